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
    external_of,
    full_name,
    has_ended,
    name_of,
    namespace_of,
    of_nodes,
    ready_pods,
    spelled,
    used_nodes,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._clouds import (
    balances,
    is_clouds,
    is_tkes,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    bracketed,
    parse_address,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._entrances import Rule, rules_to
from ansible_collections.kestrel.real_ip.plugins.module_utils._exposed import (
    NODES,
    Named,
    at_nodes,
    at_pods,
    beside,
    by_itself,
    container_ports,
    each_once,
    every_address,
    few,
    first_told,
    internal,
    is_at,
    node_ports,
    open_to_all,
    ports_of,
    selects,
    sent_to,
    targets_of,
    web,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._listeners import (
    PORTS,
    every_listener,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import (
    MANAGED_BY,
    MANAGER,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import (
    every_rule,
    rules_of,
    service_name,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import INGRESS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import class_of

Object = t.Mapping[str, t.Any]

# More would be a scan.
_ENTRIES = 12
_ASIDE = 5
_PORTS = 5
_PORTS_OF_PODS = 8
# Who lets a host port of his node be reached by few does so node by node.
_NODES_OF_PODS = 12
_WEB = (*PORTS.values(),)
#: The addresses of a node that everybody gets to go before the others.
_KINDS = (open_to_all, internal)


class Entry(t.NamedTuple):
    """A node port of a Service; ``nodes``: the likeliest to answer come first."""

    port: int
    nodes: t.Sequence[Object]


#: Whose it is, None where nothing tells that somebody listens there, a pod, and the port of its
#: node at which that answers
_Hosted = tuple[t.Optional[Named], Object, int]


class Controller(t.NamedTuple):
    """How one gets to the controller of an Ingress.

    ``listening``: Services at the address of the Ingress, also of a cloud's, which has no more of
    this; ``entries``: node ports of these, of others that lead to the same pods, and of those that
    may be its; ``places``: addresses with ports of nodes and pods, where it may answer; ``aside``:
    likewise, or names, of its Services, and of Ingresses that lead to these; ``omitted``: what has
    more than that; ``ports``: of nodes, to ask at the Ingress' addresses; ``before``: Ingresses
    that lead to its Services, with the rules that do; ``by_pods``: whether only nodes with its pods
    answer, or host ports of others may be its; ``its``: Services that are its or may be.
    """

    listening: t.Sequence[Object] = ()
    entries: t.Sequence[Entry] = ()
    places: t.Sequence[str] = ()
    aside: t.Sequence[str] = ()
    omitted: t.Sequence[Named] = ()
    ports: t.Sequence[int] = ()
    before: t.Sequence[tuple[Object, t.Sequence[Rule]]] = ()
    by_pods: bool = False
    its: t.Sequence[Object] = ()


NO_CONTROLLER = Controller()


def controller_of(
    front: Object,
    services: t.Sequence[Object],
    nodes: t.Sequence[Object],
    pods: t.Sequence[Object],
    led_to: t.Sequence[Object],
    ingresses: t.Sequence[Object],
    ports: t.Iterable[int] = (),
    every_ingress: bool = True,
) -> Controller:
    """What leads to the controller of an Ingress. Where no Service for the web is at the Ingress'
    address, or a node is, as on premises or where the Ingress was told the address of what stands
    in front, that may be each that is reached at ports for the web. TKE's load balancers are no
    pods of the cluster.

    ``nodes``, ``pods``: all that may be read; ``led_to``: Services of the pods behind the Ingress,
    which are none of these; those that any of the ``ingresses`` leads to are likely none;
    ``ports``: at which it is probed; ``every_ingress``: whether these Ingresses are all.
    """
    if not may_have_controller(front, nodes):
        return NO_CONTROLLER._replace(listening=(*at_its_address(front, services, led_to, nodes),))
    own = spelled(addresses(front))
    its = _services_of(front, services, nodes, pods, led_to, ingresses, every_ingress)
    both = {**its.known, **its.likely}
    its_nodes = [node for node in nodes if own & spelled(every_address(node))]

    entries, more_ports = _entries(both, nodes, pods, {*map(name_of, its_nodes)})
    further, more_listeners = _at_further(front, its.listening, its_nodes, ports)
    surely = _surely(its.known, pods)
    its_own = [*surely, *its.likely.values()]
    external, more_external = _at_external(its_own, nodes, entries, own)
    hosted, by_pods, more_pods = _at_own_pods(surely, pods)
    others, more_hosted = _of_hosts(its, pods)
    all_hosted = [*hosted, *others]
    by_hosts, more_by_hosts = _at_their_nodes(all_hosted, nodes, own)
    bound, more_bound = _at_bound(all_hosted)
    before = _before(its, ingresses, nodes, pods)
    aside, more_aside = few(
        first_told(
            (named, [place])
            for named, place in (
                *each_once(_by_itself(one, own) for one in its.known.values()),
                *each_once(_by_itself(_with_web_first(one)) for one in its.likely.values()),
                *each_once(_by_ingress(one, own) for one, _rules in before),
            )
        ),
        _ASIDE,
    )
    places = [
        *further,
        *(place for kind in _KINDS for one in entries for place in _at_entry(one, kind)),
        *(*external, *by_hosts, *bound, *by_pods),
    ]
    its_ports = [*(one.port for one in entries), *(port for *_of, port in all_hosted)]
    omitted = [*more_ports, *more_listeners, *more_external, *more_pods, *more_hosted]
    omitted += [*more_by_hosts, *more_bound, *more_aside]
    omitted += [(INGRESS, full_name(one)) for one, _rules in before if not addresses(one)]
    return Controller(
        its.listening,
        entries,
        [*dict.fromkeys(places)],
        aside,
        [*dict.fromkeys(omitted)],
        _at_its_addresses(front, its, nodes, its_ports),
        before,
        its.is_open
        or any(_is_local(one) for one in both.values() if node_ports(ports_of(one, ()))),
        [*both.values()],
    )


class _Services(t.NamedTuple):
    """Those that lead to the controller of an Ingress, each by its name where it is looked up.

    ``listening``: at the Ingress' address; ``known``: these, and others of their pods; ``likely``:
    others that may be its; ``unled``: for the web, and no Ingress of its class leads to them;
    ``led``: to which one does, with the rules of these; ``apps``: of the pods behind the Ingress;
    ``is_open``: whether others than those that are known may be its.
    """

    listening: t.Sequence[Object]
    known: t.Mapping[str, Object]
    likely: t.Mapping[str, Object]
    unled: t.Sequence[Object]
    led: t.Sequence[tuple[Object, t.Sequence[Object]]]
    apps: t.Sequence[Object]
    is_open: bool


def _services_of(
    front: Object,
    services: t.Sequence[Object],
    nodes: t.Sequence[Object],
    pods: t.Sequence[Object],
    led_to: t.Sequence[Object],
    ingresses: t.Iterable[Object],
    every_ingress: bool,
) -> _Services:
    """All as for :func:`controller_of`."""
    own_apps = {*map(full_name, led_to)}
    candidates = [one for one in services if full_name(one) not in own_apps]
    listening = at_its_address(front, services, led_to, nodes)
    beside_them = (beside(one, candidates, _behind(one, pods)) for one in listening)
    known = {full_name(one): one for one in chain(listening, *beside_them)}
    # Somebody else's external address can be the same. And a controller can be behind another one.
    at_a_node = spelled(addresses(front)) & spelled(of_nodes(nodes)[0])
    is_sure = any(map(web, listening)) and not at_a_node
    # Whoever leads to one, where Ingresses aren't all known, isn't known either.
    is_open = not is_sure and every_ingress
    others = [
        one
        for one in (candidates if is_open else ())
        if full_name(one) not in known and not _is_made_here(one)
    ]
    # What another class leads to can be the controller of this one, and so can what has none.
    own_class = class_of(front)
    alike = [one for one in ingresses if not is_clouds(one, nodes) and own_class == class_of(one)]
    apps = {*chain.from_iterable(map(_backends, alike))}
    return _Services(
        listening,
        known,
        {full_name(one): one for one in others if _may_be_controllers(one, apps)},
        [one for one in others if web(one) and full_name(one) not in apps],
        [(one, _rules_beside(one, alike)) for one in candidates if full_name(one) in apps],
        led_to,
        is_open,
    )


def _surely(known: t.Mapping[str, Object], pods: t.Iterable[Object]) -> list[Object]:
    """Of the Services that are known those for the web, and others of the same pods: somebody
    else's with the same external address are neither. Each where none is for the web.
    """
    for_web = [*filter(web, known.values())]
    its_pods = [pod for pod in pods if any(selects(one, pod) for one in for_web)]
    return [
        one for one in known.values() if web(one) or any(selects(one, pod) for pod in its_pods)
    ] or [*known.values()]


def _service(one: Object) -> Named:
    return "Service", full_name(one)


def _behind(service: Object, pods: t.Iterable[Object]) -> list[Object]:
    """Those of the pods of all namespaces that a Service selects."""
    return [pod for pod in pods if selects(service, pod)]


def _web_first(service: Object) -> list[Object]:
    """A Service's ports."""
    first = web(service)
    return [*first, *(one for one in ports_of(service, ()) if one not in first)]


def _is_local(service: Object) -> bool:
    return bool(service.get("spec", {}).get("externalTrafficPolicy") == "Local")


def _entries(
    services: t.Mapping[str, Object],
    nodes: t.Sequence[Object],
    pods: t.Sequence[Object],
    named: t.Collection[str],
) -> tuple[list[Entry], list[Named]]:
    """Node ports of Services, each Service's first before any second, and whose aren't there.

    ``named``: names of the nodes that are in the status.
    """
    first = sorted(services.values(), key=lambda one: not web(one))
    rows = (
        [(_service(one), (full_name(one), port)) for port in node_ports(_web_first(one))]
        for one in first
    )
    asked, left = few(each_once(rows), _ENTRIES)
    # Of a large cluster's nodes and pods only those of what is asked are gone through.
    order = {name: _by_use(nodes, _behind(services[name], pods), named) for name, _port in asked}
    return [Entry(port, order[name]) for name, port in asked], left


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


def _at_entry(entry: Entry, kind: t.Callable[[Object], list[str]]) -> list[str]:
    return at_nodes([*map(kind, entry.nodes)], [entry.port], ())


def _at_its_addresses(
    front: Object, its: _Services, nodes: t.Iterable[Object], ports: t.Iterable[int]
) -> list[int]:
    """Ports of nodes to ask at the addresses of the Ingress: each can be a node's, which others are
    translated to, or which moves between nodes, whoever listens there at other ports. A cloud's
    load balancer has none of these.
    """
    own = {*addresses(front)}
    by_cloud = balances(nodes) and any(own & {*addresses(one)} for one in its.listening)
    return [] if by_cloud else [*dict.fromkeys(ports)]


def _at_external(
    services: t.Sequence[Object],
    nodes: t.Sequence[Object],
    entries: t.Sequence[Entry],
    own: t.Collection[str],
) -> tuple[list[str], list[Named]]:
    """Node ports at external addresses of Services that no node's status has, likewise, and at
    load balancers' that can be a node's. ``own``: those of the Ingress, which are asked anyhow.
    """
    known = spelled(of_nodes(nodes)[0]) | {*own}
    kinds = [external_of] if balances(nodes) else [external_of, addresses]
    rows = first_told(
        (_service(one), [address for address in kind(one) if not spelled([address]) & known])
        for kind in kinds
        for one in services
    )
    asked, left = few(rows, NODES)
    return [f"{bracketed(one)}:{entry.port}" for one in asked for entry in entries], left


def _at_further(
    front: Object,
    listening: t.Iterable[Object],
    its_nodes: t.Iterable[Object],
    probed: t.Iterable[int],
) -> tuple[list[str], list[Named]]:
    """Other addresses of the nodes that the status names, and what listens at more ports than are
    asked. By a host port, what listens at one address of a node does at each.
    """
    own = spelled(addresses(front))
    its = ([one for one in every_address(node) if not own & spelled([one])] for node in its_nodes)
    further = [*chain.from_iterable([*filter(None, its)][:NODES])]
    itself = (INGRESS, full_name(front))
    # What other Services at it listen at takes no place of the usual ports.
    told = ((itself, front), *((_service(one), one) for one in listening))
    rows = ((named, [each.port for each in every_listener(one)]) for named, one in told)
    ports, left = few(first_told([(itself, [*probed, *_WEB]), *rows]), _PORTS)
    return [
        f"{bracketed(one)}:{port}" for one in further for port in ports
    ], left if further else []


def _at_own_pods(
    services: t.Iterable[Object], pods: t.Sequence[Object]
) -> tuple[list[_Hosted], list[str], list[Named]]:
    """Its pods' host ports, where its pods answer by themselves where the network leads there, and
    the Services whose pods have more ports. ``services``: those that are known to be its.
    """
    hosted: list[_Hosted] = []
    found: list[str] = []
    left: list[Named] = []
    for service in services:
        running = [pod for pod in _behind(service, pods) if not has_ended(pod)]
        ready = ready_pods(running)
        own = sorted(running, key=lambda pod: name_of(pod) not in ready)
        named = _service(service)
        sent_to = _each_target(own, *_web_first(service))
        rows = ((named, one) for one in dict.fromkeys([*sent_to, *_every_port(own)]))
        ports, more = few(rows, _PORTS_OF_PODS)
        hosted += [
            (named, pod, at_its_node)
            for number in ports
            for pod in own
            for at_its_node in _at_its_node(pod, number)
        ]
        found += at_pods((pod, ports) for pod in own)
        left += more
    return hosted, found, left


def _each_target(pods: t.Sequence[Object], *ports: Object) -> list[int]:
    """The ports of pods that these of a Service lead to."""
    return [number for port in ports for pod in pods for number in targets_of(pod, port)]


def _every_port(pods: t.Iterable[Object]) -> list[int]:
    """The ports that containers of the pods tell, first those that have one of the node's."""
    told = [one for pod in pods for one in container_ports(pod) if one.get("protocol") != "UDP"]
    return [one["containerPort"] for one in sorted(told, key=lambda one: not one.get("hostPort"))]


def _of_hosts(its: _Services, pods: t.Iterable[Object]) -> tuple[list[_Hosted], list[Named]]:
    """Host ports of pods that may be its: those behind Services that no Ingress leads to, and
    others at ports for the web to which none of the rest leads; and whose are left out. A
    controller that is reached by host ports needs no Service but that of a webhook, or a dashboard.
    """
    ports: dict[str, dict[int, bool]] = {}
    for pod in pods if its.is_open else ():
        its_own = [one for one in its.unled if selects(one, pod)]
        known = its.known.values() if its_own else (*its.known.values(), *its.apps)
        led = [] if its_own else [each for each in its.led if selects(each[0], pod)]
        if not has_ended(pod) and not any(selects(one, pod) for one in known):
            led_ports = chain.from_iterable(sent_to(*each) or ports_of(each[0], ()) for each in led)
            ports[full_name(pod)] = _hosted(pod, its_own, _each_target([pod], *led_ports))
    hosting = [pod for pod in pods if ports.get(full_name(pod))]
    first = {
        number: ("Pod", full_name(pod))
        for pod in reversed(hosting)
        for number in ports[full_name(pod)]
    }
    web_first = sorted(first, key=lambda number: number not in _WEB)
    asked, left = few(((first[number], number) for number in web_first), _PORTS_OF_PODS)
    return [
        (("Pod", full_name(pod)) if ports[full_name(pod)][number] else None, pod, number)
        for number in asked
        for pod in hosting
        if number in ports[full_name(pod)]
    ], left


def _hosted(pod: Object, services: t.Sequence[Object], apps: t.Collection[int]) -> dict[int, bool]:
    """The ports of its node at which a pod answers, of these Services or, without any, of one that
    has ports for the web, and whether it or a Service tells of them. On the hosts' network a
    container need not tell its ports. ``apps``: its ports that are applications'.
    """
    own = _of_the_host(pod)
    listed = [one for one in container_ports(pod) if one["containerPort"] not in apps]
    hosted = [one for one in listed if own or one.get("hostPort")]
    known = [one["containerPort"] if own else one["hostPort"] for one in hosted]
    ports = chain.from_iterable(map(_web_first, services))
    targets = _each_target([pod], *ports) if own else []
    is_webs = services or {*known, *(one["containerPort"] for one in hosted)} & {*_WEB}
    told = dict.fromkeys([*targets, *(known if is_webs else [])], True)
    untold = [port for port in _WEB if own and port not in apps]
    return {**dict.fromkeys(untold, False), **told}


def _at_its_node(pod: Object, number: int) -> list[int]:
    """By which ports of its node a pod answers what a container takes at this port."""
    if _of_the_host(pod):
        return [number]
    told = [one for one in container_ports(pod) if one["containerPort"] == number]
    return [one["hostPort"] for one in told if one.get("hostPort")]


def _at_bound(hosted: t.Iterable[_Hosted]) -> tuple[list[str], list[Named]]:
    """Host ports at addresses that they are bound to, which no status need have, likewise."""
    rows = (
        (named or ("Pod", full_name(pod)), f"{bracketed(str(address.address))}:{number}")
        for named, pod, number in hosted
        for one in container_ports(pod)
        if one.get("hostPort") == number and (address := parse_address(one.get("hostIP") or ""))
        if not (address.address.is_unspecified or address.address.is_loopback)
    )
    return few(first_told((named, [place]) for named, place in rows), _NODES_OF_PODS)


def _at_their_nodes(
    hosted: t.Iterable[_Hosted], nodes: t.Iterable[Object], own: t.Collection[str]
) -> tuple[list[str], list[Named]]:
    """Host ports at addresses of the nodes that the pods run on, and whose are left out. ``own``:
    those that the status has, which are asked anyhow: nodes without others come last.
    """

    def is_asked(node: Object) -> bool:
        return spelled(every_address(node)) <= {*own}

    users: dict[int, dict[str, set[Named]]] = {}
    for named, pod, number in hosted:
        for name in used_nodes([pod]):
            of_node = users.setdefault(number, {}).setdefault(name, set())
            of_node |= {named} if named else set()
    in_order = sorted(nodes, key=is_asked)
    found: list[str] = []
    left: list[Named] = []
    for number, its in users.items():
        there = [node for node in in_order if name_of(node) in its]
        asked, more = there[:_NODES_OF_PODS], there[_NODES_OF_PODS:]
        found += [
            f"{bracketed(one)}:{number}" for kind in _KINDS for node in asked for one in kind(node)
        ]
        left += [named for one in more if not is_asked(one) for named in sorted(its[name_of(one)])]
    return found, left


def _is_made_here(service: Object) -> bool:
    """Whether it is of a deployment of this collection's, which is no controller."""
    labels = service.get("metadata", {}).get("labels") or {}
    return bool(labels.get(MANAGED_BY) == MANAGER)


def _of_the_host(pod: Object) -> bool:
    return bool(pod.get("spec", {}).get("hostNetwork"))


def _by_itself(service: Object, but: t.Collection[str] = ()) -> list[tuple[Named, str]]:
    return [(_service(service), place) for place in by_itself(service, (), but)]


def _by_ingress(ingress: Object, but: t.Collection[str]) -> list[tuple[Named, str]]:
    """Where an Ingress that leads to a controller has a load balancer of its own."""
    ports = dict.fromkeys([*PORTS.values(), *(one.port for one in every_listener(ingress))])
    return [
        ((INGRESS, full_name(ingress)), f"{bracketed(address)}:{port}")
        for port in ports
        for address in addresses(ingress)
        if not spelled([address]) & {*but}
    ]


def _before(
    its: _Services,
    ingresses: t.Iterable[Object],
    nodes: t.Sequence[Object],
    pods: t.Iterable[Object],
) -> list[tuple[Object, list[Rule]]]:
    """Ingresses that lead to a Service that is the controller's or may be, with the rules that do.

    Behind one of another class, it needs neither an address nor node ports. Most Services without
    these are applications', but where they have both ports, or behind a cloud's load balancer their
    pods do.
    """
    reached = {**its.known, **its.likely}
    listening = [pod for pod in pods if len({*_every_port([pod])} & {*_LISTENED}) > 1]
    both = {full_name(one): one for one in its.unled if len(web(one)) > 1}
    inner = {full_name(one): one for one in its.unled if any(selects(one, p) for p in listening)}
    found = (
        (one, _leading(one, {**reached, **both, **(inner if is_clouds(one, nodes) else {})}))
        for one in ingresses
    )
    return [(one, rules) for one, rules in found if rules]


#: Ports at which controllers listen in their pods: ingress-nginx', Traefik's and Kong's, HAProxy's
_LISTENED = (*_WEB, 8000, 8080, 8443)


def _leading(ingress: Object, services: t.Mapping[str, Object]) -> list[Rule]:
    """Its rules that lead to one of the Services of all namespaces."""
    space = namespace_of(ingress)
    return rules_to(
        ingress, {name_of(one): one for one in services.values() if namespace_of(one) == space}
    )


def _may_be_controllers(service: Object, apps: t.Container[str]) -> bool:
    """Whether a Service is reached at ports for the web, and is likely no application's."""
    ports = web(service)
    reached = ports if by_itself(service, ()) else node_ports(ports)
    return len(reached) > (1 if full_name(service) in apps else 0)


def _with_web_first(service: Object) -> Object:
    """A Service with its ports for HTTP and HTTPS before the others."""
    return {**service, "spec": {**service["spec"], "ports": _web_first(service)}}


def may_have_controller(front: Object, nodes: t.Sequence[Object]) -> bool:
    """Whether pods of the cluster may answer for what is in front."""
    return front.get("kind") == INGRESS and not is_clouds(front, nodes)


def at_its_address(
    front: Object,
    services: t.Iterable[Object],
    led_to: t.Iterable[Object],
    nodes: t.Sequence[Object],
) -> list[Object]:
    """Services at the address of an Ingress, but for those of the pods behind it: it answers at
    their ports as well, as of a controller's, or of a load balancer that a cloud lets both have.
    TKE's have each its own.
    """
    if front.get("kind") != INGRESS or is_tkes(front, nodes):
        return []
    own, own_apps = spelled(addresses(front)), {*map(full_name, led_to)}
    return [one for one in services if full_name(one) not in own_apps and is_at(one, own)]


def _rules_beside(service: Object, ingresses: t.Iterable[Object]) -> list[Object]:
    """All rules of the Ingresses of a Service's namespace."""
    space = namespace_of(service)
    return [rule for one in ingresses if namespace_of(one) == space for rule in rules_of(one)]


def _backends(ingress: Object) -> t.Iterator[str]:
    """Each Service that an Ingress leads to, with its namespace."""
    paths = chain.from_iterable(paths for _host, paths in every_rule(ingress))
    for one in (
        ingress.get("spec", {}).get("defaultBackend"),
        *(path["backend"] for path in paths),
    ):
        yield f"{ingress['metadata']['namespace']}/{service_name(one)}"
