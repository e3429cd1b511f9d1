# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Which ways lead around what stands in front of the pods: pure functions."""

from __future__ import annotations

import re
import shlex
import typing as t
from itertools import chain

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import (
    full_name,
    name_of,
    namespace_of,
    spelled,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._controller import (
    NO_CONTROLLER,
    Controller,
    is_tkes,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._exposed import (
    OTHERS,
    at_nodes,
    at_pods,
    by_itself,
    each_once,
    internal,
    node_port,
    open_to_all,
    ports_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._listeners import (
    Listener,
    every_listener,
    listeners,
    targets,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import (
    every_rule,
    literal_paths,
    paths_to,
    service_name,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import INGRESS

Object = t.Mapping[str, t.Any]


# Enough to show that a host is served; more would be a scan.
_HOSTS = 3
_PATHS = 3
_OTHERS_RULES = 3
# Each can have rules of its own, as to which clients it believes.
_LISTENERS = 16
_OWN = 5
#: What can be asked for, or all but its first label: an annotation can hold any text
_NAME = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*", re.ASCII)


class There(t.NamedTuple):
    """What leads to the pods at the address of what is in front, beside that by itself.

    ``places``: host, empty for any, and path of rules; ``listeners``: that their objects tell.
    """

    places: t.Sequence[tuple[str, str]] = ()
    listeners: t.Sequence[Listener] = ()


NOTHING_ELSE = There()


def around(
    nodes: t.Sequence[Object],
    pods: t.Iterable[Object],
    service: Object | None,
    front: Object | None,
    others: t.Sequence[Object] = (),
    controller: Controller = NO_CONTROLLER,
    at_its_address: t.Sequence[Object] = (),
    there: There = NOTHING_ELSE,
) -> dict[str, t.Any]:
    """``bypass`` as source_ip_info takes it: the Service's node port on a few nodes, its port on
    a few ``pods``, where the Service behind an Ingress, or behind its own load balancer, is reached
    by itself, the balancer's own addresses, the hosts of its rules, the paths of those that lead to
    the Service, and where it listens.

    ``nodes``, ``pods``: those to be asked first come first; ``others``: as :func:`led_by_nodes`
    leaves them of those beside it. They are ways around what is in front, as the Service is around
    an Ingress. ``controller``: if it is to be asked past what is in front; ``at_its_address``: its
    Services where that is; ``there``: what else leads to the pods there.
    """
    # What its load balancer writes, as the PROXY protocol, nobody does at its external addresses.
    own = {**service, "status": {}} if service and service is front else service
    behind = [own, *others] if own else []
    rules = (front or {}).get("spec", {}).get("rules") or []
    ports = node_port(service or {}, rules)
    others_ports = [port for one in behind[1:] for port in node_port(one, rules)]
    balancers = addresses(front or {})
    named = _called(host for host, _paths in every_rule(front or {}, service))[:_HOSTS]
    more = [host for host in _called(host for host, _path in there.places) if host not in named]
    paths = paths_to(service, rules)[:_PATHS]
    others_paths = [
        path for path in literal_paths(path for _host, path in there.places) if path not in paths
    ]
    # Others of one load balancer tell it where to listen as well, and its controller's Services do.
    by_itself_or_controller = map(every_listener, [front or {}, *at_its_address])
    every = [*chain.from_iterable(by_itself_or_controller), *there.listeners]
    listening = [*dict.fromkeys(f"{scheme}:{port}" for scheme, port in every)]
    return {
        "node_ports": at_nodes([*map(open_to_all, nodes)], ports, others_ports),
        # One that everybody can have for his own is asked from where it belongs.
        "internal_node_ports": at_nodes([*map(internal, nodes)], ports, others_ports),
        # What is probed can be a node's address that no node's status tells, as a translated one or
        # one that moves between them. TKE's load balancers are none.
        "node_ports_of_targets": (
            [] if is_tkes(front or {}) else [*dict.fromkeys([*ports, *others_ports])][:OTHERS]
        ),
        "controller": [*controller.places],
        "controller_service": [*controller.aside],
        "pods": at_pods(pods, ports_of(service or {}, rules)[:1]),
        "service": _by_themselves(behind, rules),
        "load_balancer": balancers,
        "hosts": [*named, *more[:_OTHERS_RULES]],
        "paths": [*paths, *others_paths[:_OTHERS_RULES]],
        "listeners": listening[:_LISTENERS],
    }


def _called(hosts: t.Iterable[str]) -> list[str]:
    """Those that can be asked for, each once."""
    return [*dict.fromkeys(_one_of(host) for host in hosts if _NAME.fullmatch(host))]


def _one_of(host: str) -> str:
    """A host that a rule's is for: any name will do for a wildcard."""
    return f"real-ip{host[1:]}" if host.startswith("*") else host


def _by_themselves(services: t.Sequence[Object], rules: t.Sequence[Object]) -> list[str]:
    """Where the first Service is reached by itself, and the others, each once before any twice."""
    own = [place for one in services[:1] for place in by_itself(one, rules)]
    rounds = each_once(by_itself(one, rules) for one in services[1:])
    others = [place for place in rounds if place not in own]
    return [*own[:_OWN], *[*dict.fromkeys(others)][:OTHERS]]


def _other_ingresses(front: Object, ingresses: t.Iterable[Object]) -> list[Object]:
    """Those of the namespace but the one in front."""
    # A Service can have the name of an Ingress.
    itself = full_name(front) if front.get("kind") == INGRESS else ""
    space = namespace_of(front)
    return [one for one in ingresses if namespace_of(one) == space and full_name(one) != itself]


def there_too(
    front: Object,
    services: t.Sequence[Object],
    ingresses: t.Iterable[Object],
    routes: t.Iterable[Object],
    gateways: t.Iterable[Object],
) -> There:
    """What leads to one of the Services, all of the pods, at an address of what is in front: its
    own rules, those of other Ingresses, and HTTPRoutes, since one proxy can serve both.
    """
    own, names = spelled(addresses(front)), {*map(name_of, services)}
    known = {full_name(one): one for one in gateways}
    led = [
        (one, _places(one, names))
        for one in _other_ingresses(front, ingresses)
        if own & spelled(addresses(one))
    ]
    routed = [
        (_place_of(route, rule), listener)
        for route in routes
        for address, listener in _entrances(route, known)
        if own & spelled([address])
        for rule in _rules_to(route, names)
    ]
    places = [place for _one, its in led for place in its]
    places += [place for place, _listener in routed]
    listening = [*chain.from_iterable(every_listener(one) for one, its in led if its)]
    listening += [listener for _place, listener in routed]
    return There([*places, *_places(front, names)], listening)


def _places(ingress: Object, names: t.Collection[str]) -> list[tuple[str, str]]:
    """Host and path of each rule that leads to one of the Services, empty where it is for all."""
    led = [
        (host, str(entry.get("path") or "/"))
        for host, paths in every_rule(ingress)
        for entry in paths
        if service_name(entry.get("backend")) in names
    ]
    default = service_name(ingress.get("spec", {}).get("defaultBackend"))
    return [*led, ("", "/")] if default in names else led


def elsewhere(
    front: Object,
    services: t.Iterable[Object],
    ingresses: t.Iterable[Object],
    asked: t.Mapping[str, t.Container[str]],
) -> dict[str, str]:
    """Namespace and name of other Ingresses that lead to one of the Services at an address that is
    none of this one's, or there by a host or path that isn't asked for, to the command that does.

    ``asked``: as :func:`around` gives it.
    """
    names = {*map(name_of, services)}
    own = spelled(addresses(front))
    found = {}
    for one in _other_ingresses(front, ingresses):
        led = _places(one, names)
        others = [address for address in addresses(one) if not own & spelled([address])]
        left = [place for place in led if not _is_asked(*place, asked)]
        if led and others:
            host, path = led[0]
            found[full_name(one)] = _asking(others[0], host, path, listeners(one, host)[0])
        elif left and addresses(one):
            host, path = left[0]
            at = addresses(one)[0]
            found[full_name(one)] = _asking(at, _one_of(host), path, listeners(one, host)[0])
    return dict(sorted(found.items())[:OTHERS])


def _is_asked(host: str, path: str, asked: t.Mapping[str, t.Container[str]]) -> bool:
    """Whether a rule's host and path are asked for; without a host any is."""
    called, begins = _called([host] if host else []), literal_paths([path])
    return all(one in asked["hosts"] for one in called) and all(
        one in asked["paths"] for one in begins
    )


def _asking(address: str, host: str, path: str, listener: Listener) -> str:
    """The command that asks there."""
    [target] = targets([address], "", path, [listener])
    asked = [f"real_ip_url={target['url']}", *([f"real_ip_host={host}"] if host else [])]
    words = shlex.join(word for text in asked for word in ("-e", text))
    return f"ansible-playbook kestrel.real_ip.verify {words}"


_SCHEMES = {"HTTP": "http", "HTTPS": "https"}


def leading_to(services: t.Iterable[Object], routes: t.Iterable[Object]) -> list[Object]:
    """Those HTTPRoutes of one namespace that lead to one of its Services."""
    names = {one["metadata"]["name"] for one in services}
    return [one for one in routes if any(_rules_to(one, names))]


def _rules_to(route: Object, names: t.Collection[str]) -> t.Iterator[Object]:
    space = route["metadata"]["namespace"]
    for rule in route.get("spec", {}).get("rules") or []:
        if any(
            one.get("kind", "Service") == "Service"
            and one.get("namespace", space) == space
            and one.get("name") in names
            for one in rule.get("backendRefs") or []
        ):
            yield rule


def by_gateway(
    front: Object,
    services: t.Iterable[Object],
    routes: t.Iterable[Object],
    gateways: t.Iterable[Object],
) -> dict[str, str]:
    """Namespace and name of HTTPRoutes that lead to one of the Services through a Gateway at an
    address that is none of what is in front, to the command that asks there.
    """
    names = {one["metadata"]["name"] for one in services}
    own, known = spelled(addresses(front)), {full_name(one): one for one in gateways}
    found: dict[str, str] = {}
    for route in routes:
        host, path = _place_of(route, next(_rules_to(route, names)))
        for address, listener in _entrances(route, known):
            if not own & spelled([address]):
                command = _asking(address, _one_of(host), path, listener)
                found.setdefault(full_name(route), command)
    return dict(sorted(found.items())[:OTHERS])


def _entrances(route: Object, gateways: t.Mapping[str, Object]) -> t.Iterator[tuple[str, Listener]]:
    """Each address of a route's Gateways, with the first listener there that takes HTTP, of those
    that the route names.
    """
    for parent in route.get("spec", {}).get("parentRefs") or []:
        space = parent.get("namespace", route["metadata"]["namespace"])
        gateway = gateways.get(f"{space}/{parent['name']}", {})
        taken = [
            Listener(_SCHEMES[one["protocol"]], one["port"])
            for one in gateway.get("spec", {}).get("listeners") or []
            if one["protocol"] in _SCHEMES
            and parent.get("sectionName") in (None, one["name"])
            and parent.get("port") in (None, one["port"])
        ]
        if parent.get("kind", "Gateway") == "Gateway" and taken:
            for one in gateway.get("status", {}).get("addresses") or []:
                yield one["value"], taken[0]


def _place_of(route: Object, rule: Object) -> tuple[str, str]:
    return next(iter(route["spec"].get("hostnames") or []), ""), _path_of(rule)


def _path_of(rule: Object) -> str:
    paths = [one["path"] for one in rule.get("matches") or [] if one.get("path")]
    texts = [one.get("value", "/") for one in paths if one.get("type") != "RegularExpression"]
    return str(next(iter(texts), "/"))
