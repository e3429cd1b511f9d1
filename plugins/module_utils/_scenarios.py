# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The ways in which a load balancer reaches pods, of TKE or of anybody, as a table.

What a scenario needs stands in its row; what a variable can change about it is named as that
variable is (``real_ip_<field>``) and is the variable's default.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._switches import GLOBAL_ROUTE

INGRESS = "Ingress"
SERVICE = "Service"

#: By which TKE knows nodes without a host, which it runs each pod on by itself
_SUPER_NODE = {"node.kubernetes.io/instance-type": "eklet"}
#: Older super nodes have this taint. Tolerated it does no harm where no node has it.
_SUPER_NODE_TAINT = {
    "key": "eks.tke.cloud.tencent.com/eklet",
    "operator": "Exists",
    "effect": "NoSchedule",
}


class Scenario(t.NamedTuple):
    """``front``: the kind whose load balancer clients talk to. ``layer``: what decides there.

    ``direct_access``: whether the load balancer sends to pods rather than to node ports.
    ``pod``: fields of the pods' specification that it needs, as Kubernetes has them.
    ``external_traffic_policy``: the Service's, Kubernetes' own default without one.
    ``tke``: whether annotations of TKE are written where the class is TKE's.
    ``switches``: TKE's switches for the whole cluster that it needs, with their values.
    """

    front: str
    layer: str
    service_type: str
    direct_access: bool
    echo: str
    pod: t.Mapping[str, t.Any] = {}
    external_traffic_policy: str | None = None
    tke: bool = True
    switches: t.Mapping[str, str] = {}


_NON_DIRECT = Scenario(INGRESS, "l7", "NodePort", False, "image")
# The document's image doesn't tell the socket's peer, which decides on layer 4.
_DIRECT = Scenario(SERVICE, "l4", "LoadBalancer", True, "bundled")

DEFAULT_SCENARIO = "gr-clb-non-direct-pod"
#: A Service of type LoadBalancer, whoever makes its load balancer
ANY_PROVIDER = "load-balancer-service"
SCENARIOS: dict[str, Scenario] = {
    DEFAULT_SCENARIO: _NON_DIRECT,
    "eni-clb-non-direct-pod": _NON_DIRECT,
    "gr-clb-direct-pod": _DIRECT._replace(switches={GLOBAL_ROUTE: "true"}),
    "eni-clb-direct-pod": _DIRECT,
    "super-clb-direct-pod": _DIRECT._replace(
        pod={"nodeSelector": _SUPER_NODE, "tolerations": [_SUPER_NODE_TAINT]}
    ),
    # Nodes put their own address in place of the client's wherever Kubernetes' default holds.
    ANY_PROVIDER: _DIRECT._replace(direct_access=False, external_traffic_policy="Local", tke=False),
}

#: The class of Ingress that TKE's own load balancer takes. Its annotations are for no other one.
TKE_CLASS = "qcloud"
