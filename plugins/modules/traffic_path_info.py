#!/usr/bin/python
# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with the way that a request takes through the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: traffic_path_info
short_description: Say what is wrong with the way from a load balancer to the pods, and what mends
  it
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Reads what a request meets in the cluster, the Ingress or Service in front, the Service behind
    it, its EndpointSlices, its pods and what makes them, the nodes, the namespace's events, and the
    switches of TKE's controller. Names everything that is wrong with it, and of that the one cause.
  - Reads only, and no Secrets. A right that is missing, and an API server that does not answer, are
    findings and no failure.
  - Where O(probe) says that a load balancer answers but not the app, one of the Service's pods that
    are ready is asked for O(path) through the API server, which tells an app that fails from a way
    to it that is closed. That needs the right to C(get) C(pods/proxy); without it this is left out.
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
    description: The Ingress in front. Without it O(service) is in front.
    type: str
  service:
    description:
      - The Service. Behind O(ingress), the one that it is expected to lead to.
      - One of O(ingress) and O(service) is required.
    type: str
  request_host:
    description:
      - The host name that is asked for.
      - If it is empty and O(probe) went by a URL, the host name of that URL counts. If there is
        none, the load balancer is asked by its own address.
    type: str
    default: ''
  path:
    description: The path that is asked for. If O(probe) went by a URL, the path of that URL counts.
    type: str
    default: /
  probe:
    description: What M(kestrel.real_ip.source_ip_info) returned for this way.
    type: dict
  show_logs:
    description:
      - Whose last log lines are read where a container crashes. V(own) are pods that carry this
        collection's label C(app.kubernetes.io/managed-by).
    type: str
    choices: [none, own, all]
    default: own
  language:
    description: The language of what a person reads, English or Chinese. Codes, verdicts, names and
      commands are the same in both.
    type: str
    choices: [en, zh]
    default: en
requirements:
  - kubernetes >= 24.2.0
seealso:
  - module: kestrel.real_ip.source_ip_info
  - module: kestrel.real_ip.path_addresses_info
"""

EXAMPLES = r"""
- name: Say why an Ingress does not work
  kestrel.real_ip.traffic_path_info:
    namespace: shop
    ingress: front
  register: way

- name: Show the cause
  ansible.builtin.debug:
    msg: "{{ way.cause.cause }}. Next: {{ way.cause.fix }}"
  when: way.cause
"""

RETURN = r"""
path:
  description: What a request meets, from the client to the pods.
  returned: success
  type: list
  elements: dict
  contains:
    hop:
      description: Which part of the way, V(client), V(balancer), V(ingress), V(service), V(node) or
        V(pod).
      type: str
    objects:
      description: The objects there, short. Empty where there are none.
      type: list
      elements: str
      sample: [Service real-ip-service NodePort 80 to 5000]
    broken:
      description: Whether the primary cause is here.
      type: bool
findings:
  description: All that is wrong, the primary cause first. The documentation says how it is chosen.
  returned: success
  type: list
  elements: dict
  contains: &finding
    code:
      description: Stable code, V(P) and three digits. The collection's documentation lists them.
      type: str
      sample: P206
    severity:
      description: V(error), V(warning) or V(info).
      type: str
    title:
      description: The cause in a few words.
      type: str
    object:
      description: Kind and name of the object that it was seen on.
      type: str
      sample: Service real-ip-service
    hop:
      description: Which part of RV(path).
      type: str
    evidence:
      description: The very field, event or answer.
      type: str
    cause:
      description: The cause in one sentence.
      type: str
    fix:
      description: What mends it. A command of kubectl names the kubeconfig that was given, and the
        context where there are others, so that it goes to the cluster that was read. In the place
        of a kubeconfig that was given by its contents stands C(…). A right is given by somebody
        else, so that such a command names neither.
      type: str
      sample: kubectl --context live -n shop scale deployment echo --replicas=2
    fix_kind:
      description: V(command) for one that can be typed as it stands, V(variable) for C(real_ip_*)
        variables with which the playbook is to be run again, V(console) for what a person has to
        do, V(none) where nothing is to be mended.
      type: str
    see:
      description: The command that shows it by hand.
      type: str
    link:
      description: Where the documentation has it.
      type: str
cause:
  description: The first of RV(findings) that is an V(error), else none.
  returned: success
  type: dict
  contains: *finding
logs:
  description: The last log lines of crashing containers.
  returned: success
  type: list
  elements: dict
  contains:
    pod:
      description: The pod.
      type: str
    container:
      description: The container.
      type: str
    lines:
      description: At most 10 lines.
      type: list
      elements: str
requests:
  description: How many requests the API server had to answer.
  returned: success
  type: int
"""

import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._diagnosis import diagnosis
from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import open_module
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    DEFAULT_LANGUAGE,
    LANGUAGES,
)


def main() -> None:
    """Entry point."""
    options: dict[str, dict[str, t.Any]] = {
        "namespace": {"type": "str", "required": True},
        "ingress": {"type": "str"},
        "service": {"type": "str"},
        "request_host": {"type": "str", "default": ""},
        "path": {"type": "str", "default": "/"},
        "probe": {"type": "dict"},
        "show_logs": {"type": "str", "choices": ["none", "own", "all"], "default": "own"},
        "language": {"type": "str", "choices": [*LANGUAGES], "default": DEFAULT_LANGUAGE},
    }
    module = open_module(options, required_one_of=[("ingress", "service")])
    module.exit_json(changed=False, **diagnosis(module))


if __name__ == "__main__":
    main()
