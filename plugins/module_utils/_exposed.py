# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Where Services and nodes are reached past a load balancer: pure functions."""

from __future__ import annotations

import typing as t
from itertools import chain, zip_longest

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import (
    external_of,
    has_ended,
    labels_match,
    name_of,
    namespace_of,
    of_services,
    pod_addresses,
    spelled,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    bracketed,
    is_private,
    parse_address,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._listeners import PORTS
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import entries_to, is_port

Object = t.Mapping[str, t.Any]
_Any = t.TypeVar("_Any")
#: Kind of an object, and its namespace and name
Named = tuple[str, str]

#: Enough to show that node ports are open; more would be a scan.
NODES = 3
_PODS = 2
#: Places of other Services of the pods, and what is named of several
OTHERS = 3


def beside(service: Object, services: t.Iterable[Object], pods: t.Iterable[Object]) -> list[Object]:
    """Other Services that lead to pods of this one, from a list that may be of all namespaces.

    ``pods``: those that the Service selects. Where they may not be read, what it selects by is
    known of their labels.
    """
    own = service["metadata"]
    running = [pod for pod in pods if not has_ended(pod)]
    every = [_selector(service), *(pod["metadata"].get("labels") for pod in running)]
    return [
        one
        for one in services
        if one["metadata"]["namespace"] == own["namespace"]
        and one["metadata"]["name"] != own["name"]
        and one.get("spec", {}).get("type") != "ExternalName"
        and any(labels_match(labels, _selector(one)) for labels in every)
    ]


def selects(service: Object, pod: Object) -> bool:
    same = namespace_of(service) == namespace_of(pod)
    return same and labels_match(pod["metadata"].get("labels"), _selector(service))


def pods_beside(services: t.Iterable[Object], pods: t.Iterable[Object]) -> list[str]:
    """Names of the pods that any of the Services leads to, sorted."""
    them = [*services]
    running = (pod for pod in pods if not has_ended(pod))
    return sorted(name_of(pod) for pod in running if any(selects(one, pod) for one in them))


def _selector(service: Object) -> t.Mapping[str, str]:
    return service.get("spec", {}).get("selector") or {}


def led_by_nodes(services: t.Iterable[Object]) -> list[Object]:
    """Those to whose pods kube-proxy leads anybody: not the headless ones, which proxies know."""
    return [
        one for one in services if one.get("spec", {}).get("clusterIP") not in (None, "", "None")
    ]


def is_at(service: Object, places: set[str]) -> bool:
    """Whether a Service has one of the addresses of a status, as :func:`spelled` gives them. One
    without a load balancer has those that are the cluster's own.
    """
    return bool(places & spelled([*addresses(service), *of_services([service])]))


def node_port(service: Object, rules: t.Iterable[Object] = ()) -> list[int]:
    """The first node port of a Service that has one, of those that the rules send to if any."""
    return node_ports(ports_of(service, rules))[:1]


def sent_to(service: Object, rules: t.Sequence[Object]) -> list[Object]:
    """The ports of a Service that the rules send to."""
    wanted = [entry["backend"]["service"].get("port") for entry in entries_to(service, rules)]
    return [one for one in ports_of(service, rules) if any(is_port(one, port) for port in wanted)]


def web(service: Object) -> list[Object]:
    """Its ports for HTTP and HTTPS."""
    return [port for port in ports_of(service, ()) if port["port"] in PORTS.values()]


def few(rows: t.Iterable[tuple[Named, _Any]], limit: int) -> tuple[list[_Any], list[Named]]:
    """What stands in the first rows, and whose it is that stands in the others."""
    every = [*rows]
    return [one for _named, one in every[:limit]], [named for named, _one in every[limit:]]


def first_told(
    rows: t.Iterable[tuple[Named, t.Iterable[_Any]]],
) -> t.Iterator[tuple[Named, _Any]]:
    """What is in the rows, each once, with whose it is in the first of them."""
    first: dict[_Any, Named] = {}
    for named, told in rows:
        for one in told:
            first.setdefault(one, named)
    return ((named, one) for one, named in first.items())


def each_once(rows: t.Iterable[t.Iterable[_Any]]) -> list[_Any]:
    """What is in the rows, each row's first before any second."""
    return [one for column in zip_longest(*rows) for one in column if one is not None]


def node_ports(ports: t.Iterable[Object]) -> list[int]:
    return [port["nodePort"] for port in ports if port.get("nodePort")]


def _addresses_of(node: Object) -> t.Iterator[tuple[str, bool]]:
    """A node's addresses, and whether everybody gets there."""
    for one in node.get("status", {}).get("addresses") or []:
        told = parse_address(one["address"])
        if told and one.get("type") in ("ExternalIP", "InternalIP"):
            yield one["address"], one["type"] == "ExternalIP" or not is_private(told.address)


def open_to_all(node: Object) -> list[str]:
    return [address for address, to_all in _addresses_of(node) if to_all]


def internal(node: Object) -> list[str]:
    return [address for address, to_all in _addresses_of(node) if not to_all]


def every_address(node: Object) -> list[str]:
    return [address for address, _to_all in _addresses_of(node)]


def at_nodes(
    nodes: t.Sequence[t.Sequence[str]], ports: t.Sequence[int], others: t.Sequence[int]
) -> list[str]:
    """Ports at the first few nodes that have addresses, and a few ports of others there."""
    some = [*filter(None, nodes)][:NODES]
    asked = [(node, port) for port in (*ports, *others[:OTHERS]) for node in some]
    return [f"{bracketed(address)}:{port}" for node, port in asked for address in node]


def at_pods(rows: t.Iterable[tuple[Object, t.Iterable[int]]]) -> list[str]:
    """Where a few pods answer, each at its ports, of those that have any."""
    places = (
        [f"{bracketed(address)}:{port}" for address in pod_addresses(pod) for port in ports]
        for pod, ports in rows
    )
    return [*chain.from_iterable([*filter(None, places)][:_PODS])]


def targets_of(pod: Object, port: Object) -> list[int]:
    """The port of a pod that a Service's port leads to; a name can be another one in each pod."""
    target = port.get("targetPort", port.get("port"))
    if not isinstance(target, str):
        return [target] if target else []
    return [one["containerPort"] for one in container_ports(pod) if one.get("name") == target][:1]


def container_ports(pod: Object) -> list[Object]:
    spec = pod.get("spec", {})
    sidecars = (
        one for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"
    )
    containers = [*(spec.get("containers") or []), *sidecars]
    return [one for container in containers for one in container.get("ports") or []]


def ports_of(service: Object, rules: t.Iterable[Object]) -> list[Object]:
    """A Service's ports of TCP; those that the rules send to come first."""
    backends = [entry["backend"]["service"] for entry in entries_to(service, rules)]
    sent_to = [one["port"] for one in backends if one.get("port")]

    def is_other(port: Object) -> bool:
        return not any(is_port(port, one) for one in sent_to)

    ports = service.get("spec", {}).get("ports") or []
    return sorted((one for one in ports if one.get("protocol", "TCP") == "TCP"), key=is_other)


def by_itself(service: Object, rules: t.Iterable[Object], but: t.Collection[str] = ()) -> list[str]:
    """Addresses and names with ports of a Service that has a load balancer of its own, or external
    addresses; those at ports that the rules send to come first, since there may be too many.
    ``but``: without these, as :func:`spelled` gives them.
    """
    return [
        f"{bracketed(host)}:{port['port']}"
        for port in ports_of(service, rules)
        for host in dict.fromkeys([*addresses(service), *external_of(service)])
        if not spelled([host]) & {*but}
    ]
