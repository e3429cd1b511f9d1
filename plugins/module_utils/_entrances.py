# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Which Ingresses and HTTPRoutes lead to the same pods, and where: pure functions."""

from __future__ import annotations

import re
import shlex
import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import (
    full_name,
    name_of,
    namespace_of,
    spelled,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._exposed import OTHERS
from ansible_collections.kestrel.real_ip.plugins.module_utils._listeners import (
    Listener,
    every_listener,
    listeners,
    targets,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import (
    Begun,
    begun,
    every_rule,
    is_conditional,
    is_patterned,
    path_of,
    service_name,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import INGRESS

Object = t.Mapping[str, t.Any]

ROUTE = "HTTPRoute"
#: What can be asked for, or all but its first label: an annotation can hold any text
_NAME = re.compile(r"(\*\.)?(?![0-9.]+$)[\w-]{1,63}(\.[\w-]{1,63})*", re.ASCII)


class Entrance(t.NamedTuple):
    """Where an object, of this kind and with this namespace and name, leads to the pods: at one of
    the addresses or names that a load balancer has, at a listener, for a host, empty for any, by a
    path, of which that can be asked for which it has ``begun`` with. ``told``: where its object
    tells the load balancer to listen.
    """

    kind: str
    name: str
    address: str
    listener: Listener
    host: str
    path: str
    begun: Begun
    told: t.Sequence[Listener]

    @property
    def of(self) -> tuple[str, str]:
        """The object."""
        return self.kind, self.name

    @property
    def command(self) -> str:
        """What asks there."""
        hosts = called([self.host])
        # A certificate is for the name, which TLS has to tell as well.
        by_name = self.listener.scheme == "https" and hosts == [self.host]
        place = self.host if by_name else self.address
        [target] = targets([place], "", self.begun.path, [self.listener])
        named = [] if by_name else [f"real_ip_host={host}" for host in hosts]
        asked = [f"real_ip_url={target['url']}", *named]
        words = shlex.join(word for text in asked for word in ("-e", text))
        return f"ansible-playbook kestrel.real_ip.verify {words}"


def one_of(host: str) -> str:
    """A host that a rule's is for: any name will do for a wildcard."""
    return f"real-ip{host[1:]}" if host.startswith("*") else host


def called(hosts: t.Iterable[str]) -> list[str]:
    """Those that can be asked for, each once."""
    return [*dict.fromkeys(one_of(host) for host in hosts if _NAME.fullmatch(host))]


def entrances(
    front: Object,
    services: t.Sequence[Object],
    ingresses: t.Iterable[Object],
    routes: t.Iterable[Object],
    gateways: t.Iterable[Object],
) -> list[Entrance]:
    """All that lead to one of the Services, all of the pods: by other Ingresses of the namespace
    and HTTPRoutes, and last by the rules of what is in front.
    """
    names = {name_of(one): one for one in services}
    # A Service can have the name of an Ingress.
    itself = full_name(front) if front.get("kind") == INGRESS else ""
    others = [
        one
        for one in ingresses
        if namespace_of(one) == namespace_of(front) and full_name(one) != itself
    ]
    known = {full_name(one): one for one in gateways}
    return [
        *(entrance for one in others for entrance in _by_ingress(one, names)),
        *(entrance for one in routes for entrance in _by_route(one, names, known)),
        *_by_ingress(front, names),
    ]


class Rule(t.NamedTuple):
    """A rule of an Ingress: for a host, empty for any, and a path, of which that can be asked for
    which it has ``begun`` with.
    """

    host: str
    path: str
    begun: Begun


def rules_to(ingress: Object, services: t.Mapping[str, Object]) -> list[Rule]:
    """Those that lead to one of the Services of its namespace, by their names."""
    patterned = is_patterned(ingress)
    # Of HAProxy's it can be the Service that has the condition.
    conditional = any(map(is_conditional, (ingress, *services.values())))
    found = []
    for host, entry in _places(ingress, services):
        it = begun(path_of(entry), entry.get("pathType", ""), patterned)
        it = it._replace(is_taken=it.is_taken and not conditional)
        found.append(Rule(host, path_of(entry), it))
    return found


def _by_ingress(ingress: Object, names: t.Mapping[str, Object]) -> t.Iterator[Entrance]:
    every, rules = every_listener(ingress), rules_to(ingress, names)
    for address in addresses(ingress):
        for host, path, it in rules:
            listener = listeners(ingress, host)[0]
            yield Entrance(INGRESS, full_name(ingress), address, listener, host, path, it, every)


_ALL = {"path": "/", "pathType": "Prefix"}


def _places(ingress: Object, names: t.Collection[str]) -> list[tuple[str, Object]]:
    """Host and path of each rule that leads to one of the Services, empty where it is for all."""
    led = [
        (host, entry)
        for host, paths in every_rule(ingress)
        for entry in paths
        if service_name(entry.get("backend")) in names
    ]
    default = service_name(ingress.get("spec", {}).get("defaultBackend"))
    # To some it is for what the hosts of rules have no other one for, to some for all.
    hosts = dict.fromkeys(["", *(host for host, _paths in every_rule(ingress))])
    return [*led, *((host, _ALL) for host in hosts)] if default in names else led


def leading_to(services: t.Iterable[Object], routes: t.Iterable[Object]) -> list[Object]:
    """Those HTTPRoutes of one namespace that lead to one of its Services."""
    names = {*map(name_of, services)}
    return [one for one in routes if any(_matching(one, names))]


def _matching(route: Object, names: t.Collection[str]) -> t.Iterator[Object]:
    space = route["metadata"]["namespace"]
    for rule in route.get("spec", {}).get("rules") or []:
        if any(
            one.get("kind", "Service") == "Service"
            and one.get("namespace", space) == space
            and one.get("name") in names
            for one in rule.get("backendRefs") or []
        ):
            yield rule


def _by_route(
    route: Object, names: t.Collection[str], gateways: t.Mapping[str, Object]
) -> t.Iterator[Entrance]:
    hosts = route["spec"].get("hostnames") or [""]
    paths = dict.fromkeys(path for rule in _matching(route, names) for path in _paths_of(rule))
    for address, listener, own in _behind_gateways(route, gateways):
        for host in dict.fromkeys(_narrower(one, own) for one in hosts):
            for path, it in paths:
                at = (address, listener, host, path)
                yield Entrance(ROUTE, full_name(route), *at, it, [listener])


def _narrower(host: str, other: str) -> str:
    """What two hosts of a Gateway's listener and a route have in common, of which each can be empty
    for any, or a wildcard, for one label or more.
    """
    wide = host[1:] if host.startswith("*.") else None if host else ""
    return other if other and wide is not None and other.endswith(wide) else host


_SCHEMES = {"HTTP": "http", "HTTPS": "https"}


def _behind_gateways(
    route: Object, gateways: t.Mapping[str, Object]
) -> t.Iterator[tuple[str, Listener, str]]:
    """Each address of a route's Gateways, with each listener there that takes HTTP, of those that
    the route names, and its host, empty for any.
    """
    for parent in route.get("spec", {}).get("parentRefs") or []:
        space = parent.get("namespace", route["metadata"]["namespace"])
        gateway = gateways.get(f"{space}/{parent['name']}", {})
        taken = [
            (Listener(_SCHEMES[one["protocol"]], one["port"]), one.get("hostname") or "")
            for one in gateway.get("spec", {}).get("listeners") or []
            if one["protocol"] in _SCHEMES
            and parent.get("sectionName") in (None, one["name"])
            and parent.get("port") in (None, one["port"])
        ]
        if parent.get("kind", "Gateway") == "Gateway" and taken:
            for one in gateway.get("status", {}).get("addresses") or []:
                yield from ((one["value"], listener, host) for listener, host in taken)


def _paths_of(rule: Object) -> t.Iterator[tuple[str, Begun]]:
    """The path of each match, and what can be asked for of it."""
    for match in rule.get("matches") or [{}]:
        told = match.get("path") or {}
        path = str(told.get("value") or "/")
        it = begun(path, told.get("type", "PathPrefix"))
        yield path, it._replace(is_taken=it.is_taken and not _is_conditional(match))


def _is_conditional(match: Object) -> bool:
    """Whether a match of an HTTPRoute takes only requests with something else that isn't sent."""
    more = match.get("headers") or match.get("queryParams")
    return bool(more) or match.get("method", "GET") != "GET"


def at_front(front: Object, every: t.Iterable[Entrance]) -> tuple[list[Entrance], list[Entrance]]:
    """Those at an address of what is in front, and the others."""
    own = spelled(addresses(front))
    here: list[Entrance] = []
    away: list[Entrance] = []
    for one in every:
        (here if own & spelled([one.address]) else away).append(one)
    return here, away


class Asked(t.NamedTuple):
    """Hosts and paths that are asked for at the addresses of what is in front. ``ports``: None for
    each that is known; ``any_host``: whether what is for every host gets one of them, which it does
    where no other rule takes it.
    """

    hosts: t.Container[str]
    paths: t.Container[str]
    ports: t.Container[int] | None = None
    any_host: bool = True

    def asks(self, one: Entrance) -> bool:
        """Whether what leads there is asked for."""
        # Of a pattern none is known that it takes.
        named = any(host in self.hosts for host in called([one.host]))
        is_asked = named or (self.any_host and not one.host)
        at = self.ports is None or one.listener.port in self.ports
        return is_asked and at and one.begun.is_taken and one.begun.path in self.paths


def unasked(
    front: Object, every: t.Sequence[Entrance], past: Asked, probed: Asked
) -> dict[str, dict[str, str]]:
    """Objects beside what is in front to the command that asks where they lead to the pods, a few:
    ``ingresses`` and ``routes``, by namespace and name, at an address that is none of its own, or
    by a host or path that isn't asked for ``past`` what stands before it; and by kind and name,
    ``alongside`` what leads there at an address of its own, which is asked for only if something
    does, and ``beyond`` itself, if it isn't asked for all even then. What is ``probed`` counts as
    asked for.
    """
    itself = (front.get("kind"), full_name(front)) if front else None
    here, away = at_front(front, every)
    unprobed = [one for one in here if not probed.asks(one)]
    more = [one for one in unprobed if not past.asks(one)]
    left = [*away, *(one for one in more if one.of != itself)]
    named = {itself, *(one.of for one in left)}
    beside = [one for one in unprobed if one.of not in named]
    own = [one for one in more if one.of == itself]
    return {
        "ingresses": _commands((one.name, one) for one in left if one.kind == INGRESS),
        "routes": _commands((one.name, one) for one in left if one.kind == ROUTE),
        "alongside": _commands((" ".join(one.of), one) for one in beside),
        "beyond": _commands((" ".join(one.of), one) for one in own),
    }


def _commands(named: t.Iterable[tuple[str, Entrance]]) -> dict[str, str]:
    """The first command of each, of a few. The last name says how many more there are."""
    first: dict[str, str] = {}
    for name, one in named:
        first.setdefault(name, one.command)
    some = sorted(first.items())[:OTHERS]
    if len(first) > OTHERS:
        name, command = some[-1]
        some[-1] = (f"{name} (+{len(first) - OTHERS})", command)
    return dict(some)
