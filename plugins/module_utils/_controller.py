# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What leads to the pods of an Ingress' controller past what stands in front: pure functions."""

from __future__ import annotations

import typing as t
from itertools import chain

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import (
    by_use,
    full_name,
    has_ended,
    name_of,
    of_nodes,
    ready_pods,
    spelled,
    used_nodes,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import parse_address
from ansible_collections.kestrel.real_ip.plugins.module_utils._exposed import (
    NODES,
    at_nodes,
    at_pods,
    beside,
    by_itself,
    container_ports,
    each_once,
    every_address,
    internal,
    is_at,
    node_ports,
    open_to_all,
    ports_of,
    selects,
    targets_of,
    web,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._listeners import (
    PORTS,
    bracketed,
    every_listener,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import MADE
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import (
    every_rule,
    service_name,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import INGRESS, TKE_CLASS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    annotations_of,
    class_of,
)

Object = t.Mapping[str, t.Any]

# More would be a scan.
_ENTRIES = 12
_ASIDE = 5
_OF_LIKELY = 2
_PORTS = 5
#: The addresses of a node that everybody gets to go before the others.
_KINDS = (open_to_all, internal)


class Entry(t.NamedTuple):
    """A node port of a Service; ``nodes``: the likeliest to answer come first."""

    port: int
    nodes: t.Sequence[Object]


class Controller(t.NamedTuple):
    """How one gets to the controller of an Ingress.

    ``listening``: Services at the address of the Ingress; ``entries``: node ports of these, of
    others that lead to the same pods, and of those that may be its; ``places``: addresses with
    ports of nodes, where it may answer; ``aside``: likewise, or names, of its Services;
    ``omitted``: names of Services of which there is more than that; ``by_pods``: whether only nodes
    with its pods answer.
    """

    listening: t.Sequence[Object] = ()
    entries: t.Sequence[Entry] = ()
    places: t.Sequence[str] = ()
    aside: t.Sequence[str] = ()
    omitted: t.Sequence[str] = ()
    by_pods: bool = False


NO_CONTROLLER = Controller()


def controller_of(
    front: Object,
    services: t.Sequence[Object],
    nodes: t.Sequence[Object],
    pods: t.Sequence[Object],
    led_to: t.Iterable[Object],
    ingresses: t.Iterable[Object],
    ports: t.Iterable[int] = (),
) -> Controller:
    """What leads to the controller of an Ingress. Where no Service for the web is at the Ingress'
    address, or a node is, as on premises or where the Ingress was told the address of what stands
    in front, that may be each that has node ports for the web, or a load balancer. TKE's load
    balancers are no pods of the cluster.

    ``nodes``, ``pods``: all that may be read; ``led_to``: Services of the pods behind the Ingress,
    which are none of these; those that any of the other ``ingresses`` leads to are likely none;
    ``ports``: at which it is probed.
    """
    if not may_have_controller(front):
        return NO_CONTROLLER
    own, own_apps = spelled(addresses(front)), {*map(full_name, led_to)}
    candidates = [one for one in services if full_name(one) not in own_apps]
    listening = [one for one in candidates if is_at(one, own)]
    beside_them = (beside(one, candidates, _behind(one, pods)) for one in listening)
    known = {full_name(one): one for one in chain(listening, *beside_them)}
    apps = {*chain.from_iterable(map(_backends, ingresses))}
    # Somebody else's external address can be the same. And a controller can be behind another one.
    at_a_node = bool(own & spelled(of_nodes(nodes)[0]))
    is_likely = at_a_node or not any(map(web, listening))
    likely = [
        one
        for one in (candidates if is_likely else ())
        if full_name(one) not in known and _may_be_controllers(one, apps)
    ]
    every = sorted([*known.values(), *likely], key=lambda one: not web(one))
    node_ports_of = each_once(
        [
            (one, port)
            for port in _node_ports(one)[: None if full_name(one) in known else _OF_LIKELY]
        ]
        for one in every
    )
    rows = [[(one, place) for place in by_itself(one, (), own)] for one in known.values()]
    maybe = [[(one, place) for place in by_itself(_for_web(one), ())] for one in likely]
    aside = [*each_once(rows), *each_once(maybe)]
    # Of a large cluster's nodes and pods only those of what is asked are gone through.
    its_nodes = [node for node in nodes if own & spelled(every_address(node))]
    named, asked = {*map(name_of, its_nodes)}, node_ports_of[:_ENTRIES]
    order = {full_name(one): _by_use(nodes, _behind(one, pods), named) for one, _port in asked}
    entries = [Entry(port, order[full_name(one)]) for one, port in asked]
    left = [one for one, _more in (*node_ports_of[_ENTRIES:], *aside[_ASIDE:])]
    places = _places(front, listening, entries, its_nodes, ports)
    its = [one for one in known.values() if web(one)]
    places += _at_own_pods(its, nodes, pods)
    if is_likely:
        others = [one for one in candidates if full_name(one) not in {*known, *apps}]
        places += _at_host_ports(filter(web, others), nodes, [*filter(_has_host_ports, pods)])
    return Controller(
        listening,
        entries,
        [*dict.fromkeys(places)],
        [place for _one, place in aside[:_ASIDE]],
        [*dict.fromkeys(map(full_name, left))],
        any(map(_is_local, (one for one, _port in node_ports_of))),
    )


def _behind(service: Object, pods: t.Iterable[Object]) -> list[Object]:
    """Those of the pods of all namespaces that a Service selects."""
    return [pod for pod in pods if selects(service, pod)]


def _node_ports(service: Object) -> list[int]:
    """A Service's node ports, those for the web first."""
    first = web(service)
    return node_ports([*first, *(one for one in ports_of(service, ()) if one not in first)])


def _is_local(service: Object) -> bool:
    return bool(service.get("spec", {}).get("externalTrafficPolicy") == "Local")


def _by_use(
    nodes: t.Iterable[Object], pods: t.Sequence[Object], named: t.Collection[str]
) -> list[Object]:
    """The nodes for a Service with these pods; those that have some, and those of these names, may
    be the only ones that answer.
    """
    likely = {*used_nodes(pods), *named}
    return sorted(
        by_use(nodes, pods, ready_pods(pods)), key=lambda node: name_of(node) not in likely
    )


def _places(
    front: Object,
    listening: t.Sequence[Object],
    entries: t.Sequence[Entry],
    its_nodes: t.Iterable[Object],
    probed: t.Iterable[int],
) -> list[str]:
    """Addresses with ports of nodes, those that everybody gets to first. ``its_nodes``: those that
    the status names; ``probed``: ports.
    """
    own = spelled(addresses(front))
    # An address that nobody's Service has can be that of a node, which others are translated to.
    told = [one for one in addresses(front) if parse_address(one) and not any(map(web, listening))]
    # By a host port, what listens at one address of a node does at each. What other Services at it
    # listen at takes no place of the usual ports.
    named = [one.port for told_by in (front, *listening) for one in every_listener(told_by)]
    ports = [*dict.fromkeys([*probed, *PORTS.values(), *named])][:_PORTS]
    others = [
        [one for one in every_address(node) if not own & spelled([one])] for node in its_nodes
    ]
    further = chain.from_iterable([*filter(None, others)][:NODES])
    at_others = [
        place
        for kind in _KINDS
        for one in entries
        for place in at_nodes([*map(kind, one.nodes)], [one.port], ())
    ]
    return [
        *(f"{bracketed(address)}:{one.port}" for address in told for one in entries),
        *(f"{bracketed(address)}:{port}" for address in further for port in ports),
        *at_others,
    ]


def _at_own_pods(
    services: t.Iterable[Object], nodes: t.Sequence[Object], pods: t.Sequence[Object]
) -> list[str]:
    """Where its pods answer by host ports of their nodes, and by themselves where the network leads
    there. ``services``: those for the web that are known to be its.
    """
    found = []
    for service in services:
        own = [pod for pod in _behind(service, pods) if not has_ended(pod)]
        found += _at_host_ports([service], nodes, own)
        found += [place for port in web(service) for place in at_pods(own, [port])]
    return found


def _at_host_ports(
    services: t.Iterable[Object], nodes: t.Sequence[Object], pods: t.Sequence[Object]
) -> list[str]:
    """Where pods of the Services answer to what is sent to its ports for the web, at nodes."""
    found: list[str] = []
    for service in services:
        own = [pod for pod in _behind(service, pods) if not has_ended(pod)]
        users: dict[int, list[Object]] = {}
        for pod in own:
            numbers = {number for port in web(service) for number in targets_of(pod, port)}
            for one in container_ports(pod):
                if one.get("hostPort") and one["containerPort"] in numbers:
                    users.setdefault(one["hostPort"], []).append(pod)
        for number, its in users.items():
            names = used_nodes(its)
            there = [node for node in nodes if name_of(node) in names]
            for kind in _KINDS:
                found += at_nodes([*map(kind, there)], [number], ())
    return found


def _has_host_ports(pod: Object) -> bool:
    return any(one.get("hostPort") for one in container_ports(pod))


def _may_be_controllers(service: Object, apps: t.Container[str]) -> bool:
    """Whether a Service is reached at ports for the web, and is likely no application's."""
    ports = web(service)
    reached = ports if by_itself(service, ()) else node_ports(ports)
    return len(reached) > (1 if full_name(service) in apps else 0)


def _for_web(service: Object) -> Object:
    """A Service with its ports for HTTP and HTTPS alone."""
    return {**service, "spec": {**service["spec"], "ports": web(service)}}


def is_tkes(front: Object) -> bool:
    """Whether a load balancer of TKE's is in front. What another class has of its annotations was
    left there, as by a copy.
    """
    named = class_of(front)
    if named:
        return named == TKE_CLASS
    return any(map(annotations_of(front).get, MADE.values()))


def may_have_controller(front: Object) -> bool:
    """Whether pods of the cluster may answer for what is in front."""
    return front.get("kind") == INGRESS and not is_tkes(front)


def _backends(ingress: Object) -> t.Iterator[str]:
    """Each Service that an Ingress leads to, with its namespace."""
    paths = chain.from_iterable(paths for _host, paths in every_rule(ingress))
    for one in (
        ingress.get("spec", {}).get("defaultBackend"),
        *(path["backend"] for path in paths),
    ):
        yield f"{ingress['metadata']['namespace']}/{service_name(one)}"
