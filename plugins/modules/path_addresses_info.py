#!/usr/bin/python

# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a probe must know of the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: path_addresses_info
short_description: The addresses on the way from a load balancer to the pods, as a probe needs
  them
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Reads the addresses that a load balancer's status names, the pods behind it, and every address
    of the cluster that
    a source address could be mistaken for.
  - What may not be read is left out of RV(cluster_addresses) and named in RV(unread).
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - kestrel.real_ip.attributes
  - kestrel.real_ip.attributes.read_only
attributes:
  action_group:
    support: full
options:
  namespace:
    description: The namespace.
    type: str
    required: true
  ingress:
    description: The Ingress in front. Without it the Service is in front.
    type: str
  service:
    description: The Service.
    type: str
    required: true
  request_host:
    description: The host name of the Ingress rule, for RV(targets).
    type: str
    default: ''
  path:
    description: The path to request, for RV(targets).
    type: str
    default: /
  url:
    description: What is asked instead of RV(targets), if anything. RV(rivals) is of its path then,
      and of its host, unless O(request_host) is sent there.
    type: str
    default: ''
  layer:
    description:
      - Which evidence decides. With V(l7), ways around a Service in front are looked for too, as
        around O(ingress), since whoever gets past it writes the headers himself.
    type: str
    choices: [l7, l4]
    default: l7
requirements:
  - kubernetes >= 24.2.0
seealso:
  - module: kestrel.real_ip.source_ip_info
"""

EXAMPLES = r"""
- name: Read what the probe must know
  kestrel.real_ip.path_addresses_info:
    namespace: kestrel-catchip
    ingress: real-ip-ingress
    service: real-ip-service
"""

RETURN = r"""
asked:
  description: Which way that is, O(namespace), O(ingress), O(service), O(request_host), O(path),
    O(url) and O(layer).
  returned: success
  type: dict
found:
  description: Whether what stands in front (O(ingress), else O(service)) exists.
  returned: success
  type: bool
addresses:
  description: All addresses and host names of its status, in its order.
  returned: success
  type: list
  elements: str
targets:
  description:
    - What to probe, as the option of the same name of M(kestrel.real_ip.source_ip_info), for each
      of RV(addresses) and each port that is listened on.
    - An Ingress that has TLS for O(request_host) is probed over HTTPS alone.
  returned: success
  type: list
  elements: dict
leads_to:
  description: Names of the Services that O(ingress) sends a request for O(request_host) and O(path)
    to, of O(service) alone where there is no O(ingress).
  returned: success
  type: list
  elements: str
may_lead_to:
  description: Names of the Services that O(ingress) may send the same request to, or one for O(url)
    instead, whoever its controller is, as controllers differ in which rule is the nearest; an empty
    one where it may have no rule for it. Of O(service) alone where there is no O(ingress). None
    where no rule is for it, and where what is in front is known not to listen at the port of
    O(url).
  returned: success
  type: list
  elements: str
url_takers:
  description: Namespaces and names of other Services that listen at an address of what is in front,
    at the port of O(url), where that is not told to listen, or is a Service itself. Where it is an
    Ingress that is told to, those that do so if there are several, one of them its controller's.
    Without O(url) those at the ports of RV(targets).
  returned: success
  type: list
  elements: str
detours:
  description: Fields of O(ingress) and O(service), each after its kind, that may lead requests
    elsewhere than to the pods of the latter. Annotations that aren't known not to, as one
    that keeps TKE from following the Ingress, a port that the Service doesn't have, and the time of
    their deletion.
  returned: success
  type: list
  elements: str
rivals:
  description: Namespaces and names of other Ingresses at an address of O(ingress) that may take
    requests for O(request_host) and O(path) in its place, as far as they may be listed. Those that
    have a rule for them as well, however near it is, or a default backend.
  returned: success
  type: list
  elements: str
ready_pods:
  description: Names of the Service's pods that are ready, or with C(publishNotReadyAddresses) of
    those that have an address.
  returned: success
  type: list
  elements: str
instances:
  description: Each of RV(ready_pods) with what tells it from a later one of the same name, such as
    a StatefulSet makes, behind a blank.
  returned: success
  type: list
  elements: str
settings:
  description: O(ingress) and O(service), each after its kind, with what tells its spec and
    annotations from others, behind a blank.
  returned: success
  type: list
  elements: str
unready_pods:
  description: Names of the pods that O(service) selects and that aren't ready, without those that
    have ended or are about to.
  returned: success
  type: list
  elements: str
other_nodes:
  description: Names of the cluster's nodes that are ready and have none of RV(ready_pods), without
    those of the control plane.
  returned: success
  type: list
  elements: str
namesakes:
  description: As the option of the same name of M(kestrel.real_ip.source_ip_info), of
    RV(ready_pods). Where the cluster's pods may not be listed, those whose names don't end in what
    was made by chance, such as those of a StatefulSet.
  returned: success
  type: list
  elements: str
kept_by:
  description: Fields of O(service) and O(ingress) by which each client may be kept at one pod, or
    requests from one, each after its kind. Those that go by a cookie aren't among them.
    Where O(service) is in front, and isn't known to be TKE's, C(externalTrafficPolicy) is one if
    RV(ready_pods) are on several nodes.
  returned: success
  type: list
  elements: str
cluster_addresses:
  description: As the option of the same name of M(kestrel.real_ip.source_ip_info).
  returned: success
  type: dict
bypass:
  description:
    - As the option of the same name of M(kestrel.real_ip.source_ip_info), of each a few. Of
      O(service) the node port on three nodes, and behind O(ingress) five places where it is reached
      by itself, those at ports that the rules send to first.
    - Of what stands in front the addresses, three hosts of its rules and three paths of those that
      lead to O(service), three more of each of what else leads to the same pods there, and sixteen
      places where it is told to listen.
    - Of the other Services of O(namespace) that select pods of O(service) three places, and of all
      three further node ports, where they may be listed. Of the controller of O(ingress) twelve
      node ports, on three nodes with public addresses and on three without and at three external
      addresses of its Services, five ports at other addresses of three nodes that its status names,
      eight ports of its pods, as host ports on twelve nodes and at two pods, and five places of its
      Services; C(omitted) has those of which there is more.
    - Three other Ingresses that lead to these pods at an address of their own, or by a host or path
      that doesn't stand here, are in C(ingresses), three HTTPRoutes in C(routes), and three of both
      at the same address in C(alongside). C(beyond) has what is in front, if that has more rules,
      C(pods_beside) the pods that other Services of these pods lead to, and C(unread) what was not
      looked for, since it may not be.
  returned: success
  type: dict
unread:
  description: What may not be read, with the reason.
  returned: success
  type: list
  elements: str
version:
  description: The version of Kubernetes.
  returned: success
  type: str
"""

from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import (
    Cluster,
    ClusterError,
    open_module,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._way import OPTIONS, read_way


def main() -> None:
    """Entry point."""
    module = open_module({"namespace": {"type": "str", "required": True}, **OPTIONS})
    try:
        way = read_way(Cluster(module), module.params["namespace"], module.params)
    except ClusterError as error:
        module.fail_json(msg=str(error), status=error.status)
    module.exit_json(changed=False, **way)


if __name__ == "__main__":
    main()
