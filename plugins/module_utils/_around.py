# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Which ways lead around what stands in front of the pods: pure functions."""

from __future__ import annotations

import typing as t
from itertools import chain

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import (
    full_name,
    spelled,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._clouds import (
    is_clouds,
    is_googles,
    is_tkes,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._controller import (
    NO_CONTROLLER,
    Controller,
    may_have_controller,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._entrances import (
    Entrance,
    Rule,
    called,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._exposed import (
    OTHERS,
    Named,
    at_nodes,
    at_pods,
    by_itself,
    each_once,
    few,
    first_told,
    internal,
    node_port,
    node_ports,
    open_to_all,
    ports_of,
    sent_to,
    targets_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._listeners import (
    Listener,
    every_listener,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import (
    certified_hosts,
    speaks_http,
    told_hosts,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import (
    Begun,
    covers,
    every_rule,
    paths_to,
    rules_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import INGRESS

Object = t.Mapping[str, t.Any]

#: An Ingress that leads to a controller, and the rules that do
_Before = tuple[Object, t.Sequence[Rule]]

# Enough to show that a host is served; more would be a scan.
_HOSTS = 3
_PATHS = 3
_OTHERS_RULES = 3
# Each can have rules of its own, as to which clients it believes.
_LISTENERS = 16
_OWN = 5
_PORTS = 3


def around(
    nodes: t.Sequence[Object],
    pods: t.Iterable[Object],
    service: Object | None,
    front: Object | None,
    others: t.Sequence[Object] = (),
    controller: Controller = NO_CONTROLLER,
    beside_it: t.Sequence[Object] = (),
    there: t.Sequence[Entrance] = (),
) -> dict[str, t.Any]:
    """``bypass`` as source_ip_info takes it: the Service's node port on a few nodes, its port on
    a few ``pods``, where the Service behind an Ingress, or behind its own load balancer, is reached
    by itself, the balancer's own addresses, the hosts of its rules, the paths of those that lead to
    the Service, and where it listens.

    ``nodes``, ``pods``: those to be asked first come first; ``others``: as :func:`led_by_nodes`
    leaves them of those beside it. They are ways around what is in front, as the Service is around
    an Ingress. ``controller``: if it is to be asked past what is in front; ``beside_it``: Services
    where that is; ``there``: what leads to the pods at the address of what is in front.
    ``omitted`` has the kind and name of what there is more of.
    """
    # What its load balancer writes, as the PROXY protocol, nobody does at its external addresses.
    own = {**service, "status": {}} if service and service is front else service
    behind = [own, *others] if own else []
    rules = rules_of(front or {})
    wanted = sent_to(service or {}, rules)
    sent = wanted[:_PORTS] or ports_of(service or {}, rules)[:1]
    ports = node_ports(sent) or node_port(service or {}, rules)
    others_ports = each_once(
        [(full_name(one), port) for port in node_ports(ports_of(one, rules)) if port not in ports]
        for one in behind
    )
    more_ports = [port for _name, port in others_ports]
    telling = [*beside_it, *(one for one in controller.its if one not in beside_it)]
    hosts, unnamed = _hosts(front or {}, service, there, telling, controller.before)
    paths = paths_to(service, front or {})[:_PATHS]
    others_paths = [*dict.fromkeys(one.begun.path for one in there if one.begun.path not in paths)]
    paths_before, unasked = _paths_before(controller.before)
    listening, unheard = _listening(front or {}, beside_it, there, controller.before)
    asked, left = _by_themselves(behind, rules)
    left += [name for name, _port in others_ports[OTHERS:]]
    left += [full_name(service or {})] if len(wanted) > _PORTS else []
    omitted = [*controller.omitted, *(("Service", name) for name in left)]
    omitted += [*unheard, *unnamed, *unasked]
    return {
        "node_ports": at_nodes([*map(open_to_all, nodes)], ports, more_ports),
        # One that everybody can have for his own is asked from where it belongs.
        "internal_node_ports": at_nodes([*map(internal, nodes)], ports, more_ports),
        # What is probed can be a node's address that no node's status tells, as a translated one or
        # one that moves between them. TKE's load balancers are none.
        "node_ports_of_targets": (
            [] if is_tkes(front or {}, nodes) else [*dict.fromkeys([*ports, *more_ports[:OTHERS]])]
        ),
        "controller": [*controller.places],
        "controller_ports": [*controller.ports],
        "controller_service": [*controller.aside],
        "pods": at_pods(
            (pod, [number for port in sent for number in targets_of(pod, port)]) for pod in pods
        ),
        "service": asked,
        "load_balancer": addresses(front or {}),
        "hosts": hosts,
        "paths": [*dict.fromkeys([*paths, *others_paths[:_OTHERS_RULES], *paths_before])],
        "listeners": [f"{scheme}:{port}" for scheme, port in listening],
        # A controller need not be told of the usual ones.
        "at_usual_ports": bool(front) and may_have_controller(front or {}, nodes),
        "lists_itself": is_googles(front or {}, nodes),
        "hands_on": _hands_on(front or {}, beside_it, controller.before, nodes),
        "omitted": [*dict.fromkeys(omitted)],
    }


def _named(one: Object) -> Named:
    return str(one.get("kind") or "Service"), full_name(one)


def _hosts(
    front: Object,
    service: Object | None,
    there: t.Sequence[Entrance],
    telling: t.Iterable[Object],
    before: t.Iterable[_Before],
) -> tuple[list[str], list[Named]]:
    """Hosts that what is in front has rules or certificates for, or is told of, as Services are
    ``telling``, or others there, and those that what is ``before`` a controller leads there for
    alone; and what has more, but for Ingresses that lead to the pods themselves.
    """
    ruled = [host for host, _paths in every_rule(front, service)]
    named = called(ruled)[:_HOSTS]
    certified = [host for host in certified_hosts(front) if host not in ruled]
    rows = [(front, [*told_hosts(front), *certified]), *((one, told_hosts(one)) for one in telling)]
    told = first_told((_named(one), called(theirs)) for one, theirs in rows)
    of_listeners, left = few((one for one in told if one[1] not in named), _HOSTS)
    named += of_listeners
    more = [host for host in called(one.host for one in there) if host not in named]
    lead_there = [((INGRESS, full_name(one)), _alone(rules, named)) for one, rules in before]
    of_others, unnamed = few(first_told((one, called(own)) for one, own in lead_there), _HOSTS)
    # Patterns among them
    unnamed += [one for one, own in lead_there if any(not called([host]) for host in own)]
    return [*dict.fromkeys([*named, *more[:_OTHERS_RULES], *of_others])], [*left, *unnamed]


def _alone(rules: t.Sequence[Rule], hosts: t.Sequence[str]) -> list[str]:
    """The hosts of rules, unless one of these takes each path of one of the others. One without a
    host does where no condition gives it some.
    """
    all_alike = not any(rule.host for rule in rules)
    takes = any(
        rule.begun == Begun("/", is_taken=True)
        and (all_alike or any(rule.host and covers(rule.host, host) for host in hosts))
        for rule in rules
    )
    return [] if takes else [rule.host for rule in rules if rule.host]


def _paths_before(before: t.Iterable[_Before]) -> tuple[list[str], list[Named]]:
    """Paths by which what is before a controller leads there, and what does by more, or by what
    can't be asked for as it stands.
    """
    rows = [((INGRESS, full_name(one)), [rule.begun for rule in rules]) for one, rules in before]
    paths = first_told((named, [it.path for it in its if it.path != "/"]) for named, its in rows)
    asked, left = few(paths, _OTHERS_RULES)
    return asked, [*left, *(named for named, its in rows if not all(it.is_taken for it in its))]


def _at_it(front: Object, before: t.Iterable[_Before]) -> list[Object]:
    """Ingresses before a controller that are where what is in front is."""
    own = spelled(addresses(front))
    return [one for one, _rules in before if own & spelled(addresses(one))]


def _hands_on(
    front: Object,
    beside_it: t.Iterable[Object],
    before: t.Iterable[_Before],
    nodes: t.Sequence[Object],
) -> bool:
    """Whether what has the address of an Ingress is a cloud's that speaks HTTP to its controller,
    by another Ingress, or by what a Service of TKE's tells. Others may have the same address from
    the same controller.
    """
    by_ingress = any(is_clouds(one, nodes) for one in _at_it(front, before))
    return by_ingress or any(map(speaks_http, beside_it))


def _listening(
    front: Object,
    beside_it: t.Iterable[Object],
    there: t.Iterable[Entrance],
    before: t.Iterable[_Before],
) -> tuple[list[Listener], list[Named]]:
    """Where a load balancer listens, and who tells of more. Others of one load balancer tell it so
    as well, and Services at its address do, and what is ``before`` a controller, where it is there.
    """
    rows = [
        *((_named(one), every_listener(one)) for one in (front, *beside_it)),
        *(((INGRESS, full_name(one)), every_listener(one)) for one in _at_it(front, before)),
        *((one.of, one.told) for one in there),
    ]
    return few(first_told(rows), _LISTENERS)


def _by_themselves(
    services: t.Sequence[Object], rules: t.Sequence[Object]
) -> tuple[list[str], list[str]]:
    """Where the first Service is reached by itself, and the others, each once before any twice; and
    the names of those of which there is more.
    """
    rows = [[(place, full_name(one)) for place in by_itself(one, rules)] for one in services]
    own = {*chain.from_iterable(rows[:1])}
    first: dict[str, str] = {}
    for place, name in chain(*rows[:1], each_once(rows[1:])):
        first.setdefault(place, name)
    every = [*first.items()]
    its, others = every[: len(own)], every[len(own) :]
    asked = [place for place, _name in (*its[:_OWN], *others[:OTHERS])]
    return asked, [name for _place, name in (*its[_OWN:], *others[OTHERS:])]
