# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Whose load balancer is in front, a cloud's or that of pods of the cluster: pure functions."""

from __future__ import annotations

import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import MADE
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import INGRESS, TKE_CLASS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    annotations_of,
    class_of,
)

Object = t.Mapping[str, t.Any]

#: How the names begin that Tencent's cloud has for machines
_TENCENTS = ("qcloud:", "tencentcloud:")
#: Likewise those of clouds whose load balancers are none of the machines: AWS', Microsoft's,
#: DigitalOcean's, Google's
_BALANCED = (*_TENCENTS, "aws:", "azure:", "digitalocean:", "gce:")


def _are_of(nodes: t.Iterable[Object], providers: tuple[str, ...]) -> bool:
    told = (str(one.get("spec", {}).get("providerID") or "") for one in nodes)
    return any(one.startswith(providers) for one in told)


def balances(nodes: t.Iterable[Object]) -> bool:
    """Whether the load balancers of Services are a cloud's, and never one of the nodes."""
    return _are_of(nodes, _BALANCED)


def is_tkes(front: Object, nodes: t.Sequence[Object]) -> bool:
    """Whether a load balancer of TKE's is in front. What another class has of its annotations was
    left there, as by a copy, and so it is without a class where there are nodes and none is
    Tencent's.
    """
    named = class_of(front)
    if named:
        return named == TKE_CLASS
    marked = any(map(annotations_of(front).get, MADE.values()))
    return marked and (not nodes or _are_of(nodes, _TENCENTS))


_GOOGLES = ("gce", "gce-internal")
_GOOGLES_MARK = "ingress.kubernetes.io/backends"
#: Classes of Ingresses whose load balancers are a cloud's, and run outside of the cluster: AWS' and
#: Alibaba's, Google's, Azure's, Huawei's
_CLOUDS = (
    "alb",
    *_GOOGLES,
    "azure-application-gateway",
    "azure/application-gateway",
    "cce",
)
_ALBS_MARK = "alb.ingress.kubernetes.io/"
#: How annotations begin that these have or write, where no class is named
_CLOUDS_MARKS = (
    _ALBS_MARK,
    "appgw.ingress.kubernetes.io/",
    _GOOGLES_MARK,
    "kubernetes.io/elb.",
)


#: How the names of further classes of ALBs begin
_ALBS = ("alb-", "alb_", "alb.")
#: What stands in the names of annotations that controllers read
_OF_CONTROLLERS = "ingress.kubernetes.io/"


def _are_all(annotations: Object, mark: str) -> bool:
    """Whether there are annotations for one controller, and none for another."""
    told = [key for key in annotations if _OF_CONTROLLERS in key]
    return bool(told) and all(key.startswith(mark) for key in told)


def is_clouds(ingress: Object, nodes: t.Sequence[Object]) -> bool:
    """Whether the load balancer of an Ingress is a cloud's."""
    named = class_of(ingress)
    if named:
        # AWS' and Alibaba's have several, as alb-internal; nginx-alb is behind one.
        is_named = named.startswith(_ALBS) and _are_all(annotations_of(ingress), _ALBS_MARK)
        return named in (*_CLOUDS, TKE_CLASS) or is_named
    marked = any(key.startswith(_CLOUDS_MARKS) for key in annotations_of(ingress))
    return marked or is_tkes(ingress, nodes)


def is_googles(ingress: Object, nodes: t.Iterable[Object]) -> bool:
    """Whether the load balancer of an Ingress is Google's, which writes its own address at the end
    of X-Forwarded-For (https://cloud.google.com/load-balancing/docs/https#x-forwarded-for_header).
    """
    named = class_of(ingress)
    marked = any(key.startswith(_GOOGLES_MARK) for key in annotations_of(ingress))
    # What is Google's annotation elsewhere came with a copy.
    its = named in _GOOGLES if named else marked and _are_of(nodes, ("gce:",))
    return ingress.get("kind") == INGRESS and its
