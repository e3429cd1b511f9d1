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
version_added: 0.1.0
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
  host:
    description: The host name of the Ingress rule, for RV(targets).
    type: str
    default: ''
  path:
    description: The path to request, for RV(targets).
    type: str
    default: /
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
  description: What to probe, as the option of the same name of M(kestrel.real_ip.source_ip_info),
    for each of RV(addresses).
  returned: success
  type: list
  elements: dict
leads_to:
  description: Names of the Services that O(ingress) sends a request for O(host) and O(path) to, of
    O(service) alone where there is no O(ingress).
  returned: success
  type: list
  elements: str
ready_pods:
  description: Names of the Service's pods that are ready.
  returned: success
  type: list
  elements: str
cluster_addresses:
  description: As the option of the same name of M(kestrel.real_ip.source_ip_info).
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

import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import (
    backends,
    collect,
    ready_pods,
    targets,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import (
    Cluster,
    ClusterError,
    open_module,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import KINDS, addresses


class Reader:
    """Reads lists of the cluster; what may not be read is remembered in ``unread``."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.unread: list[str] = []

    def items(self, path: str, **query: str) -> list[dict[str, t.Any]] | None:
        """A list, or None where it may not be read. Raises ClusterError for all else."""
        try:
            return self.cluster.items(path, **query)
        except ClusterError as error:
            if error.status != 403:
                raise
            self.unread.append(str(error))
            return None

    def one(self, kind: str, namespace: str, name: str) -> dict[str, t.Any] | None:
        """One object, or None where it doesn't exist. Raises ClusterError."""
        return self.cluster.find(KINDS[kind].path.format(namespace=namespace, name=name))


def main() -> None:
    """Entry point."""
    module = open_module(
        {
            "namespace": {"type": "str", "required": True},
            "ingress": {"type": "str"},
            "service": {"type": "str", "required": True},
            "host": {"type": "str", "default": ""},
            "path": {"type": "str", "default": "/"},
        }
    )
    namespace, name = module.params["namespace"], module.params["ingress"]
    try:
        cluster = Cluster(module)
        reader = Reader(cluster)
        service = reader.one("Service", namespace, module.params["service"])
        front = reader.one("Ingress", namespace, name) if name else service
        selector = (service or {}).get("spec", {}).get("selector") or {}
        pods = (
            reader.items(
                f"/api/v1/namespaces/{namespace}/pods",
                labelSelector=",".join(f"{key}={value}" for key, value in sorted(selector.items())),
            )
            if selector
            else []
        )
        found = collect(
            reader.items("/api/v1/nodes"),
            reader.items("/api/v1/services"),
            reader.items("/api/v1/pods"),
            [front] if front else [],
            pods or [],
        )
        version = cluster.get("/version").get("gitVersion", "")
    except ClusterError as error:
        module.fail_json(msg=str(error), status=error.status)
    named = addresses(front or {})
    module.exit_json(
        changed=False,
        found=front is not None,
        addresses=named,
        targets=targets(named, module.params["host"], module.params["path"]),
        leads_to=(
            backends(front or {}, module.params["host"], module.params["path"])
            if name
            else [module.params["service"]]
        ),
        ready_pods=ready_pods(pods or []),
        cluster_addresses=found,
        unread=reader.unread,
        version=version,
    )


if __name__ == "__main__":
    main()
