# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways around what stands in front of the pods: node ports, and a load balancer behind a CDN.

Who gets past the proxies that an application counts on writes their headers himself.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from ipaddress import ip_address
from itertools import chain
from typing import Any, Callable, NamedTuple

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    CODES,
    UNSOUGHT,
    UNTESTED,
    printable,
    say,
    setting_of,
    unsought,
    warn,
    without_advice,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    Address,
    bracketed,
    canonical,
    elements,
    in_ranges,
    is_private,
    parse_address,
    parse_ranges,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._forgery import (
    OF_A_CDN,
    Forgery,
    unanswered,
    united,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import joined, phrase
from ansible_collections.kestrel.real_ip.plugins.module_utils._probe import (
    Endpoint,
    Station,
    Target,
    Visit,
    is_connected,
    to_knock_with,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._vantage import (
    Standpoint,
    is_own,
    own_towards,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import (
    TOO_MANY,
    Question,
    Sample,
    about_here,
    deceived,
    is_answer,
    is_bad_request,
    is_http,
    is_limited,
    is_strangers,
    is_tested,
    novel,
)

Result = dict[str, Any]
Advice = Mapping[str, Any]


class Around(NamedTuple):
    """What to try. ``node_ports``: host and port; ``internal``: likewise, from the nodes' network;
    ``of_targets``: node ports to ask at the targets' own addresses; ``controller``: host and port,
    where that of the Ingress may answer by itself; ``of_controller``: ports to ask for it at the
    load balancer's addresses; ``pods``: host and port, from anywhere but the
    cluster, where each pod gets to each.

    ``controller_service``, ``service``: host and port, where a Service of it, or of the pods, has a
    load balancer of its own;
    ``load_balancer``: the load balancer's addresses and names, as its status gives them; ``hosts``,
    ``paths``: those that it has rules for; ``left_out``: its addresses of a family that isn't
    wanted; ``listeners``: its ports and whether each has TLS;
    ``at_usual_ports``: whether it is asked at 80 and 443 also where nothing stands in front;
    ``lists_itself``: whether it writes its own address at the end of a list; ``hands_on``: whether
    it is known to speak to a controller, so that two write a list;
    ``tls``: that accepts any certificate, since who walks around doesn't mind; ``unread``: names in
    UNSOUGHT of what was not looked for, to the command that gives the right for it; ``ingresses``:
    others that lead to the same pods at addresses of their own, to the command that asks there;
    ``routes``: likewise HTTPRoutes with Gateways; ``alongside``: what leads to them at the load
    balancer's own address, likewise; ``beyond``: likewise what has the load balancer and more rules
    than are asked for; ``unaddressed``: what has the load balancer and tells no
    address of it, to the command that shows it; ``omitted``: likewise what leads past it by more
    places than are asked.
    """

    node_ports: Sequence[tuple[str, int]] = ()
    internal: Sequence[tuple[str, int]] = ()
    of_targets: Sequence[int] = ()
    of_controller: Sequence[int] = ()
    controller: Sequence[tuple[str, int]] = ()
    controller_service: Sequence[tuple[str, int]] = ()
    pods: Sequence[tuple[str, int]] = ()
    service: Sequence[tuple[str, int]] = ()
    load_balancer: Sequence[str] = ()
    hosts: Sequence[str] = ()
    paths: Sequence[str] = ()
    left_out: Sequence[str] = ()
    listeners: Sequence[tuple[int, bool]] = ()
    at_usual_ports: bool = False
    lists_itself: bool = False
    hands_on: bool = False
    tls: ssl.SSLContext | None = None
    unread: Mapping[str, str] = {}
    ingresses: Mapping[str, str] = {}
    routes: Mapping[str, str] = {}
    alongside: Mapping[str, str] = {}
    beyond: Mapping[str, str] = {}
    unaddressed: Mapping[str, str] = {}
    omitted: Mapping[str, str] = {}


#: The code of a deception by the kind of the way on which it succeeds
_DECEIVES = {"load_balancer": "V103", "controller": "V103", "service": "V105"}

#: The kind of a way to a node port at a target's address, which need not be a node's
_AT_TARGET = "node_port_of_target"

#: The kind of a way that leads through a proxy on the prober's own machine, and past nothing
OWN = "own"


class Way(NamedTuple):
    """One way around: ``kind`` as returned, or OWN; ``of``: the numbers of the targets past which
    it leads, of which ``target`` is made from the first; ``past``: whether something stands in
    front, past which it leads to the load balancer; ``partly``: whether a target is there itself,
    so that what others know alone is to be tried.
    """

    kind: str
    of: tuple[int, ...]
    target: Target
    past: bool = False
    partly: bool = False


# The first answer may be a balancer's that looks for a backend.
_TRIES = 3
#: Places of each family where clients may ask of whom a proxy tells: that of the target, and the
#: load balancer's
_ASKED = 2


#: The ranges that networks of one's own have, between which some route: RFC 1918, 4193 and 6598
_ROUTED = parse_ranges(
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]
)


def _good(visit: Visit) -> list[Station]:
    """The addresses behind which pods saw what is expected."""
    return [one for one in visit.stations if one.result["verdict"] in ("preserved", "forgeable")]


def _is_near(visits: Iterable[Visit], at: Standpoint) -> bool:
    """Whether private addresses of nodes and pods may be routed here: that is known, a target has
    such a one, or the prober's own was such a one when it arrived.
    """
    seen = [str(one.address.remote) for visit in visits for one in visit.stations]
    seen += [text for visit in visits for one in _good(visit) for text in one.result["observed"]]
    met = any(one and in_ranges(one.address, _ROUTED) for one in map(parse_address, seen))
    return at.inside or at.place == "vpc" or met


def _met(places: Iterable[tuple[str, int]], is_near: bool) -> list[tuple[str, int]]:
    """Those of the cluster's places that are here what they are there."""
    return [one for one in places if is_near or not is_private(ip_address(one[0]))]


def _to(target: Target, host: str, port: int) -> Target:
    endpoint = target.endpoint._replace(host=host, port=port, label=host)
    question = target.question._replace(samples=_TRIES, backends=())
    return target._replace(endpoint=endpoint, question=question, knocks=True)


def _opened(target: Target) -> Target:
    """The target with nothing forged but what opens it, where that answers proxies only."""
    return target._replace(forgeries=[one for one in target.trials if one.opens])


def _plain(target: Target) -> Target:
    return target._replace(endpoint=target.endpoint._replace(tls=None, server_name=""))


def _secured(target: Target, asked: Endpoint, around: Around) -> Target:
    """The target with TLS, which names the same host as where it was ``asked`` before."""
    name = asked.server_name or asked.label
    return target._replace(endpoint=target.endpoint._replace(tls=around.tls, server_name=name))


def through_here(
    visits: Sequence[Visit],
    around: Around,
    known: Mapping[Address, Sequence[str]],
    towards: Callable[[str], str] = own_towards,
    own: Callable[[str], bool] = is_own,
) -> list[Way]:
    """For each target whose pods saw what is expected, what to ask at the prober's own addresses.

    A proxy that runs there sends with the prober's address too, whoever its client is. The target
    need not have the proxy's own address, which can be translated, or that of what stands in front.
    That of a load balancer is none. ``known``: as for :func:`ways`; ``towards``: from which address
    the prober speaks to another one; ``own``: whether one is the prober's.
    """
    found = []
    # Many targets show the same addresses, and each time the system would be asked.
    towards, own = cache(towards), cache(own)
    balancers = _own(around, known)
    for number, visit in enumerate(visits):
        named = visit.target.question.cluster.load_balancers or parse_ranges([])
        good = [
            one
            for one in _good(visit)
            if one.address.remote not in balancers and not in_ranges(one.address.remote, named)
        ]
        seen = [text for one in good for text in one.result["observed"] if own(text)]
        used = [towards(str(one.address.remote)) for one in good]
        for address in dict.fromkeys([*seen, *used]):
            found_at = parse_address(address)
            # Over loopback it may be a tunnel that ends elsewhere.
            if found_at and not found_at.address.is_loopback:
                for target in _listeners(visit.tried, address, around):
                    # What stands in front can ask for another name than the target's.
                    asked = _hosts(_opened(target), _called(target, around.hosts))
                    found += [Way(OWN, (number,), one) for one in asked]
    return found


def sent_from_here(
    walked: Iterable[tuple[Way, Visit]], visits: Sequence[Visit]
) -> dict[int, Result]:
    """For each target whose pods are reached by such a way what that says of it."""
    found: dict[int, Result] = {}
    for way, visit in walked:
        question = way.target.question
        own = next((str(one.path) for one in visit.stations if _answers(one, question)), None)
        for of in way.of if own else ():
            seen = {text for one in visits[of].stations for text in one.result["observed"]}
            where = way.target.question.strategy.where
            facts = {"address": way.target.url, "own": own, "where": where}
            found[of] = _told("V429", {**facts, "seen": ", ".join(sorted(seen))})
    return found


def ways(
    visits: Sequence[Visit], around: Around, known: Mapping[Address, Sequence[str]], at: Standpoint
) -> list[Way]:
    """What to ask, after the targets themselves were asked.

    ``known``: each address that the load balancer's addresses and names give, to those that do.
    """
    is_near = _is_near(visits, at)
    services = [] if at.believed_inside else _to_services(visits, around)
    controller = [] if at.believed_inside else _to_controller(visits, around, [*known], is_near)
    balancer = _to_balancer(visits, around, known)
    # What is asked elsewhere comes last, since there may be no time for all.
    proxies = [*balancer, *controller]
    by_rules = [*_elsewhere(proxies, around.paths), *_behind_rules(proxies, around.paths)]
    rewritten = [*_rewritten(services, around.paths), *by_rules]
    nodes = _to_nodes_and_pods(visits, around, [*known], at, is_near)
    return [*nodes, *_each_once([*services, *proxies, *rewritten], visits)]


def asked_at(endpoint: Endpoint, host: str) -> tuple[object, ...]:
    """What is asked where: two of which this is the same meet the same."""
    secured = endpoint.tls is not None
    asked = endpoint.host_header, endpoint.server_name if secured else "", endpoint.path
    return canonical(host) or host, endpoint.port, secured, *asked


def _each_once(asked: Sequence[Way], visits: Sequence[Visit]) -> list[Way]:
    """The ways, one for all of the same kind of targets that ask the same in the same place, and
    past nothing for what a target is itself that alone which others know.
    """
    if not asked:
        return []
    probed: dict[object, set[Forgery]] = {}
    for visit in visits:
        for station in visit.stations:
            there = asked_at(visit.target.endpoint, str(station.address.remote))
            probed.setdefault(there, set()).update(station.target.forgeries)
    group = {number: numbers for numbers in _alike(visits) for number in numbers}
    same: dict[tuple[object, object], list[Way]] = {}
    for way in asked:
        there = asked_at(way.target.endpoint, way.target.endpoint.host)
        same.setdefault((group[way.of[0]], there), []).append(way)
    found = (_as_one(ways, probed.get(there)) for (_group, there), ways in same.items())
    return [one for one in found if one]


def _as_one(ways: Sequence[Way], tried: Collection[Forgery] | None) -> Way | None:
    """One for several, with all that is to be tried on each. ``tried``: by a target that is there
    itself, if there is one; None where that leaves nothing.
    """
    first = ways[0]
    targets = [way.target for way in ways]
    past = any(way.past for way in ways)
    partly = tried is not None and not past
    every = united(one.forgeries for one in targets)
    forgeries = [one for one in every if not partly or one not in (tried or ())]
    target = first.target._replace(
        forgeries=forgeries,
        asked=[*dict.fromkeys(place for one in targets for place in one.asked)],
        waits=any(one.waits for one in targets),
    )
    of = (*dict.fromkeys(number for way in ways for number in way.of),)
    one = first._replace(of=of, target=target, past=past, partly=partly)
    return one if forgeries or not partly else None


def _to_nodes_and_pods(
    visits: Sequence[Visit],
    around: Around,
    known: Sequence[Address],
    at: Standpoint,
    is_near: bool,
) -> list[Way]:
    """Nodes and pods, at private addresses only from where such may be routed: elsewhere somebody
    else can have them. In the cluster everybody gets to each pod.
    """
    nodes = [*around.node_ports, *(around.internal if is_near else ())]
    pods = _met(around.pods, is_near)
    met = [station.address.remote for visit in visits for station in visit.stations]
    at_targets = [(str(one), port) for one in (*met, *known) for port in around.of_targets]
    others = {_AT_TARGET: [one for one in at_targets if one not in nodes], "pod": pods}
    kinds = {"node_port": nodes, **({} if at.believed_inside else others)}
    # Nothing is forged there: that it answers is told.
    target = visits[0].target._replace(forgeries=())
    found = []
    for kind, places in kinds.items():
        for host, port in dict.fromkeys(places):
            there = _to(target, host, port)
            found.append(Way(kind, (0,), _plain(there)))
            # Of what takes connections it is told as well, but where it can be somebody else's.
            if kind == _AT_TARGET and around.tls:
                found.append(Way(kind, (0,), _secured(there, target.endpoint, around)))
    return found


def _to_services(visits: Sequence[Visit], around: Around) -> list[Way]:
    """The Services' own addresses, but from the cluster, where kube-proxy answers at them, whether
    anybody else gets there or not. With TLS as well, which a cloud's load balancer can end there,
    and with the hosts of rules, since what stands in front can ask for another than the target's.
    """
    return [
        Way("service", numbers, named)
        for numbers, one in _both(visits, around.service, around)
        for named in _hosts(one, [*_asked(visits, numbers), *around.hosts])
    ]


def _to_controller(
    visits: Sequence[Visit], around: Around, known: Sequence[Address], is_near: bool
) -> list[Way]:
    """The controller of the Ingress at node ports and by its other Services, behind what stands in
    front of it, or where nobody writes what it is told by, as the PROXY protocol.
    """
    places = [*around.controller_service, *_met(around.controller, is_near)]
    places += [(str(one), port) for one in known for port in around.of_controller]
    return [
        Way("controller", numbers, named)
        for numbers, one in _both(visits, places, around, known)
        for named in _hosts(one, _called(one, [*_asked(visits, numbers), *around.hosts]))
    ]


def _asked(visits: Sequence[Visit], numbers: Iterable[int]) -> list[str]:
    """The hosts that several targets ask for, of which one speaks for all."""
    asked = {visits[one].target.endpoint.host_header: None for one in numbers}
    return [_without_port(one) for one in asked] if len(asked) > 1 else []


def _without_port(host: str) -> str:
    return canonical(host) or host.partition(":")[0]


def _both(
    visits: Sequence[Visit],
    places: Sequence[tuple[str, int]],
    around: Around,
    before: Sequence[Address] = (),
) -> Iterable[tuple[tuple[int, ...], Target]]:
    """For all targets that ask the same, each place without TLS and with it. ``before``: addresses
    in front of the places, where clients may ask as well.
    """
    for numbers in _alike(visits) if places else ():
        tried = [visits[one].tried for one in numbers]
        target = tried[0]._replace(forgeries=united(one.forgeries for one in tried))
        balancer = [(one, target.endpoint.port) for one in before]
        asked = [*dict.fromkeys([*target.asked, *balancer])]
        asked = [
            one
            for version in (4, 6)
            for one in [each for each in asked if each[0].version == version][:_ASKED]
        ]
        target = target._replace(asked=asked)
        for host, port in places:
            there = _to(target, host, port)
            for one in (_plain(there), _secured(there, target.endpoint, around)):
                yield numbers, one


def _to_balancer(
    visits: Sequence[Visit], around: Around, known: Mapping[Address, Sequence[str]]
) -> list[Way]:
    """The load balancer, where a target's name leads elsewhere as well: of two families one can
    lead past what stands in front. An address of its status that no target leads to is asked in any
    case: of several, one can be that of what stands in front.
    """
    own, unmet = _own(around, known), _unmet(visits, known, around.left_out)
    called = [name for name in around.load_balancer if not parse_address(name)]
    found = []
    listening = {port for port, _secured in around.listeners}
    # What a name leads to can be what stands in front itself.
    is_named = not any(map(parse_address, around.load_balancer))
    every = listening | ({*_USUAL} if around.at_usual_ports else set())
    further = every - {visit.target.endpoint.port for visit in visits}
    for number, visit in enumerate(visits if known else ()):
        tried, met = visit.tried, {station.address.remote for station in visit.stations}
        # At a port of its own something else can have the same address.
        is_strange = not is_named and visit.target.endpoint.port not in (listening or _USUAL)
        before = met - own
        front = met if is_strange else before
        for address in (one for one in known if one not in before):
            names = [*around.hosts, *known[address], *called]
            asked = visit.target.endpoint.port if is_strange and address in met else None
            for target in _listeners(tried, str(address), around):
                if target.endpoint.port == asked:
                    continue
                if front or address in unmet:
                    for one in _hosts(target, _called(target, names)):
                        found.append(Way("load_balancer", (number,), one, bool(before)))
                # Where nothing stands in front, what listens at a further port can be no HTTP, and
                # say nothing at all.
                elif target.endpoint.port in further:
                    brief = target._replace(waits=False)
                    for one in _hosts(brief, _called(brief, ())[:1]):
                        found.append(Way("load_balancer", (number,), one))
    return found


#: Where a load balancer listens of which nothing else is known
_USUAL = (80, 443)

# More would be a scan.
_ENDS = 3
#: How the path of a rule begins that may be a pattern
_LITERAL = re.compile(r"[\w/.~%-]*", re.ASCII)


def _ends(path: str, rules: Iterable[str]) -> list[str]:
    """What an Ingress may leave of a path that it rewrites: the application knows that alone.

    That is what stands behind the path of its rule, or behind the first part of it.
    """
    own = path.partition("?")[0]
    begun = [match[0].rstrip("/") for match in map(_LITERAL.match, rules) if match]
    known = [own[len(begin) :] for begin in begun if begin and own.startswith(f"{begin}/")]
    shorter = [own[place:] for place, letter in enumerate(own) if letter == "/" and place]
    return [*dict.fromkeys([*[*known, *shorter[:1]][: _ENDS - 1], "/"])]


def _rewritten(asked: Sequence[Way], rules: Sequence[str]) -> Iterable[Way]:
    """The same at what an Ingress may leave of each path."""
    for path in dict.fromkeys(way.target.endpoint.path for way in asked):
        same = [way for way in asked if way.target.endpoint.path == path]
        yield from _elsewhere(same, _ends(path, rules))


def _elsewhere(asked: Sequence[Way], paths: Iterable[str]) -> Iterable[Way]:
    """The same at the paths of rules: what stands in front can change the path as well."""
    for path in paths:
        for way in asked:
            endpoint = way.target.endpoint
            own, mark, query = endpoint.path.partition("?")
            if own != path:
                there = endpoint._replace(path=f"{path}{mark}{query}")
                yield way._replace(target=way.target._replace(endpoint=there))


def _behind_rules(asked: Sequence[Way], paths: Iterable[str]) -> Iterable[Way]:
    """The same at a path behind that of each rule, which may be taken away."""
    begun = [path.rstrip("/") for path in paths]
    for own in dict.fromkeys(way.target.endpoint.path.partition("?")[0] for way in asked):
        same = [way for way in asked if way.target.endpoint.path.partition("?")[0] == own]
        behind = [f"{path}{own}" for path in begun if path and not f"{own}/".startswith(f"{path}/")]
        yield from _elsewhere(same, behind if own != "/" else ())


def _alike(visits: Sequence[Visit]) -> list[tuple[int, ...]]:
    """The numbers of the targets of which the same is asked, at whatever address: past all of these
    one way leads.
    """
    groups: list[tuple[Target, list[int]]] = []
    for number, target in enumerate(visit.target for visit in visits):
        for first, numbers in groups:
            same = first.question, first.endpoint.path
            if same == (target.question, target.endpoint.path):
                numbers.append(number)
                break
        else:
            groups.append((target, [number]))
    return [tuple(numbers) for _first, numbers in groups]


def _own(around: Around, known: Mapping[Address, Sequence[str]]) -> set[Address]:
    """The addresses in front of which nothing stands.

    Those of a name are none where there are addresses beside it: it can be the name of a CDN.
    """
    if any(map(parse_address, around.load_balancer)):
        return {address for address, names in known.items() if any(map(parse_address, names))}
    return {*known}


def _unmet(
    visits: Iterable[Visit], known: Mapping[Address, Sequence[str]], left_out: Iterable[str]
) -> set[Address]:
    """The addresses that the status has, or its names give, and that are no target's, but for those
    that weren't to be one.
    """
    met = {canonical(visit.target.endpoint.host) for visit in visits}
    met |= {str(station.address.remote) for visit in visits for station in visit.stations}
    met |= {*map(canonical, left_out)}
    return {address for address in known if str(address) not in met}


def _listeners(target: Target, host: str, around: Around) -> list[Target]:
    """The target on each port that the load balancer listens on, or may: what stands in front need
    not use its own.
    """
    same = (target.endpoint.port, target.endpoint.tls is not None)
    found = []
    for port, secured in dict.fromkeys(
        [same, *around.listeners, (_USUAL[0], False), (_USUAL[1], True)]
    ):
        if secured and around.tls is None:
            continue
        there = _to(target, host, port)
        found.append(_secured(there, target.endpoint, around) if secured else _plain(there))
    return found


def _called(target: Target, names: Iterable[str]) -> list[str]:
    """What a load balancer may be called: as the target is, by these names, or by its address."""
    return [_without_port(target.endpoint.host_header), *names, target.endpoint.host]


#: More would be too many handshakes.
_SERVER_NAMES = 3


def _hosts(target: Target, names: Iterable[str]) -> Iterable[Target]:
    """The target, and with each of these names as Host: what stands in front can change it, and who
    walks around tries what works. TLS names the same host then, since some answer to nothing else.
    """
    yield target
    port, secured = target.endpoint.port, bool(target.endpoint.tls)
    same = (target.endpoint.host_header, target.endpoint.server_name)
    usual = port == (443 if secured else 80)
    names = [*dict.fromkeys(canonical(name) or name for name in names)]
    # Some want a certificate of the client by the name in TLS, and go by Host for all else.
    for name in [one for one in names if secured and one != same[1]][:_SERVER_NAMES]:
        yield target._replace(endpoint=target.endpoint._replace(server_name=name))
    for name in names:
        literal = bracketed(name)
        server_name = name if secured else ""
        # Who knows a host by its name alone may not know it with a port, and the other way round.
        for own in (literal,) if usual else (f"{literal}:{port}", literal):
            if (own, server_name) != same:
                endpoint = target.endpoint._replace(host_header=own, server_name=server_name)
                yield target._replace(endpoint=endpoint)


def evidence(station: Station) -> Any:
    """What a survey of ways keeps of each address."""
    return station.samples, station.forged


def _honest(stations: Iterable[Station]) -> list[Sample]:
    """What came of the requests in which nothing was forged."""
    return [sample for station in stations for sample in station.result[0]]


def _own_answers(
    station: Station, question: Question
) -> tuple[list[Sample], list[tuple[Forgery, Sample]]]:
    """The honest and the forged ones without those of pods that are known to be another app's."""
    honest, forged = station.result
    return (
        [one for one in honest if is_answer(one) and not is_strangers(one, question)],
        [one for one in about_here(forged, question) if not is_strangers(one[1], question)],
    )


def _is_answered(honest: Sequence[Sample], forged: Sequence[tuple[Forgery, Sample]]) -> bool:
    return any(map(is_answer, [*honest, *(sample for _forgery, sample in forged)]))


def _answers(station: Station, question: Question) -> bool:
    return _is_answered(*_own_answers(station, question))


def place_of(way: Way) -> tuple[str, int]:
    """Where a way leads: of those to one place, each meets the same if no connection is taken."""
    return way.target.endpoint.host, way.target.endpoint.port


#: Host, port, whether with TLS, and the name in that
Knock = tuple[str, int, bool, str]


def knock_of(way: Way) -> Knock:
    """Where a way leads and in which way it speaks there, of which one request tells first."""
    endpoint = way.target.endpoint
    secured = endpoint.tls is not None
    return (*place_of(way), secured, endpoint.server_name if secured else "")


def knock_at(way: Way) -> Target:
    """What to ask first where a way leads."""
    return way.target._replace(forgeries=())


def _speaks(visit: Visit) -> bool:
    """Whether HTTP is spoken there, for all that isn't known of who says that it is no request: so
    does who takes nothing but TLS.
    """
    sent = _honest(visit.stations)
    return any(is_http(one) and not is_bad_request(one) for one in sent)


#: How OpenSSL calls it where what answers is no TLS, in its versions; who refuses a name or wants a
#: certificate, sends an alert, and may not by another name
_NO_TLS = re.compile(
    "WRONG_VERSION_NUMBER|HTTP_REQUEST|UNKNOWN_PROTOCOL|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG"
)


def _speaks_no_tls(visit: Visit) -> bool:
    sent = _honest(visit.stations)
    return bool(sent) and all(one.code == "V508" and _NO_TLS.search(one.detail) for one in sent)


#: How OpenSSL calls it where a name in TLS was refused: as HAProxy and nginx do, and Traefik
_NO_NAME = re.compile("UNRECOGNIZED_NAME|INTERNAL_ERROR")


def _refuses_names(stations: Iterable[Station]) -> bool:
    """Whether a name in TLS was refused, so that another one may be taken, as that by which what
    stands in front asks.
    """
    return any(one.code == "V508" and _NO_NAME.search(one.detail) for one in _honest(stations))


def worth_asking(ways: Iterable[Way], met: Mapping[Knock, Visit]) -> Iterable[tuple[Way, bool]]:
    """Each way, and whether to ask more there than was: not where no connection is taken, not by
    TLS where HTTP is spoken without it alone, and not without where it is spoken by TLS alone.

    ``met``: what came of the first requests.
    """
    # By one of the names
    speaks = {knock[:3] for knock, visit in met.items() if _speaks(visit)}
    may_speak = speaks | {
        knock[:3] for knock, visit in met.items() if knock[2] and not _speaks_no_tls(visit)
    }
    for way in ways:
        host, port, secured, _name = knock = knock_of(way)
        if (host, port, secured) not in may_speak and (host, port, not secured) in speaks:
            # Which leaves nothing to be tested.
            yield way._replace(target=way.target._replace(forgeries=(), knocks=False)), False
        else:
            yield way, is_open(met[knock].stations)


def is_open(stations: Iterable[Station]) -> bool:
    """Whether connections are taken, whatever was answered there."""
    return any(map(is_connected, _honest(stations)))


def _outcome(
    way: Way, stations: Sequence[Station], is_near: bool
) -> tuple[bool | None, Result | None]:
    """Whether the way leads to the echo app, None if it was not tried or could not be from here,
    and the facts where it deceives. ``is_near``: whether private addresses may be routed here.
    """
    sent = _honest(stations)
    tried = any(CODES[one.code].verdict != UNTESTED and one.code != "V525" for one in sent)
    reachable = False if tried else None
    # Others may get to a load balancer there, as through an address that is translated, and here it
    # can be somebody else's.
    elsewhere = any(in_ranges(one.address.remote, _ROUTED) for one in stations) and not is_near
    if way.kind in _DECEIVES and elsewhere:
        reachable = None
    question = way.target.question
    strategy = question.strategy
    for station in stations:
        own = _own_answers(station, question)
        reachable = _is_answered(*own) or reachable
        # Past what stands in front a header can choose the peer too, where that is handed on.
        code, facts = deceived(strategy, *own, any_header=True) or ("", {})
        # Only a forged value: that without its proxy the list is shorter deceives nobody.
        if code in ("V101", "V104"):
            return True, {**facts, "around": station.path, "where": strategy.where}
    return reachable, None


def _entry(way: Way, reachable: bool | None, at: Standpoint) -> Result:
    endpoint = way.target.endpoint
    return {
        "way": way.kind,
        "address": printable(endpoint.host),
        "port": endpoint.port,
        "host_header": printable(endpoint.host_header),
        "path": printable(endpoint.path),
        "tls": endpoint.tls is not None,
        "reachable": reachable,
        "vantage": at.place,
    }


def _tells_nothing(tried: tuple[Forgery, Sample]) -> bool:
    """Whether it stays open what another client reads with such a request: one that gets no answer,
    as from who serves single addresses only, by what a client writes, and hides that, and one of
    which the echo app doesn't show which line is read.
    """
    forgery, sample = tried
    plain = forgery.alone and forgery.is_well_formed and not (forgery.near or forgery.preface)
    return sample.code == "V420" or (plain and not is_answer(sample))


def _speaks_behind_a_preface(station: Station) -> bool:
    """Whether HTTP is answered there to what begins with the PROXY protocol alone: who takes that
    from anybody may answer another one as he wants, by what it says. Who doesn't take it may say
    that it is no request.
    """
    honest, forged = station.result
    spoke = [sample for one, sample in forged if one.preface and not is_bad_request(sample)]
    return any(map(is_http, spoke)) and not any(map(is_http, honest))


def _takes_few_lines(station: Station) -> bool:
    """Whether what may open it is refused as no request, and what doesn't for another reason."""
    honest, forged = station.result
    knocks = [sample for one, sample in forged if one.opens and not one.preface]
    return (
        bool(knocks) and all(map(is_bad_request, knocks)) and not any(map(is_bad_request, honest))
    )


def _is_left(way: Way, stations: Sequence[Station]) -> bool:
    """Whether something that was to be forged there wasn't, or was refused: an honest answer shows
    no deception, and silence doesn't either. Likewise where too many requests had been made for an
    honest one to be answered.
    """
    forgeries = {id(one) for one in way.target.trials}
    question = way.target.question
    strategy = question.strategy

    def is_untold(station: Station) -> bool:
        forged = station.result[1]
        sent = forgeries <= {id(one) for one, _sample in forged}
        limited = any(is_limited(sample) for _forgery, sample in forged)
        return bool(forgeries) and (
            limited
            or not sent
            or not (way.partly or is_tested(strategy, forged))
            or any(map(_tells_nothing, forged))
            or bool(unanswered((one, is_answer(sample)) for one, sample in forged))
        )

    return any(
        is_untold(station)
        if _answers(station, question)
        else to_knock_with(way.target, *station.result)
        or _speaks_behind_a_preface(station)
        or _takes_few_lines(station)
        or any(is_limited(sample, TOO_MANY) for sample in station.result[0])
        for station in stations
    )


def warnings(
    walked: Sequence[tuple[Way, Visit]],
    entries: Sequence[Result],
    unknown: Iterable[str],
    deceiving: Collection[tuple[str, int]] = (),
) -> list[str]:
    """A sentence for each node port that is open and each pod that answers, and one for all
    addresses that could not be tried, or not to the end.

    ``entries``: what :func:`judge` made of ``walked``; ``unknown``: names of the load balancer that
    gave no address; ``deceiving``: where a way deceives, so that no more is to be tested.
    """
    past = [(way, visit) for way, visit in walked if way.kind in ("load_balancer", "controller")]
    nameless = {place_of(way) for way, visit in past if _refuses_names(visit.stations)}
    nameless -= {place_of(way) for way, visit in past if way.target.endpoint.tls and _speaks(visit)}
    untried = [
        one["address"]
        for (way, visit), one in zip(walked, entries)
        if place_of(way) not in deceiving
        if one["reachable"] is None or place_of(way) in nameless or _is_left(way, visit.stations)
    ]
    addresses = joined(", ", dict.fromkeys([*untried, *unknown]))
    told = [warn("bypass", {"address": addresses})] if str(addresses) else []
    # By the way's kind and whether the echo app answered there, or connections are taken alone
    names = {
        ("node_port", True): "node_port",
        ("node_port", False): "open",
        (_AT_TARGET, True): "node_port",
        ("pod", True): "pod",
        ("pod", False): "open_pod",
        ("service", False): "open_service",
    }
    answering = {place_of(way) for (way, _visit), one in zip(walked, entries) if one["reachable"]}
    for (way, visit), one in zip(walked, entries):
        name = names.get((way.kind, place_of(way) in answering))
        known = one["reachable"] is not None
        if name and known and (one["reachable"] or is_open(visit.stations)):
            place = {
                "address": f"{bracketed(one['address'])}:{one['port']}",
                "place": phrase(one["vantage"]),
            }
            told.append(warn(name, place))
    return [*dict.fromkeys(told)]


def not_looked_for(around: Around, coverage: str) -> list[str]:
    """A sentence for each thing that was not looked for, since a right is missing for it.

    ``coverage``: of all targets, as in a result.
    """
    told = unsought(around.unread, coverage != "complete").values()
    return [
        warn(
            "unsought",
            {
                "what": phrase(UNSOUGHT[name].what),
                "resource": UNSOUGHT[name].resource,
                "command": around.unread[name],
            },
        )
        for name in chain.from_iterable(told)
    ]


def not_asked(
    around: Around,
    walked: Sequence[tuple[Way, Visit]],
    entries: Sequence[Result],
    visits: Iterable[Visit],
) -> list[str]:
    """A sentence for each other Ingress or HTTPRoute that leads to the same pods: it is not on the
    probed way, and has a verdict of its own; where the load balancer was asked past what stands in
    front, one at its own address was asked for. And one for what stands in front and tells no
    address where it could be asked, or has more than are asked.

    ``entries``: what :func:`judge` made of ``walked``; ``visits``: of the targets.
    """
    met = [station.address.remote for visit in visits for station in visit.stations]
    # As kind and MicroK8s publish: who meets them there has nothing in front.
    is_here = bool(met) and all(one.is_loopback for one in met)
    was_asked = any(way.past for way, _visit in walked)
    # Who takes connections and knows nothing that was asked for may know the rest.
    answering = {place_of(way) for (way, _visit), one in zip(walked, entries) if one["reachable"]}
    is_met = was_asked or any(
        way.kind in _PROXIES and place_of(way) not in answering and is_open(visit.stations)
        for way, visit in walked
    )
    kinds = {
        "alongside": {} if was_asked else around.alongside,
        "beyond": around.beyond if is_met else {},
        "ingress": around.ingresses,
        "route": around.routes,
        "unaddressed": {} if is_here else around.unaddressed,
        "omitted": around.omitted,
    }
    return [
        warn(kind, {"name": name, "command": command})
        for kind, named in kinds.items()
        for name, command in named.items()
    ]


_LISTS = ("X-Forwarded-For", "Forwarded")
#: Kinds of ways to whom what stands in front speaks
_PROXIES = ("load_balancer", "controller")


def _any_of(headers: Iterable[str], names: Iterable[str]) -> str:
    """The first of the names of which there is a header, or none."""
    there = {*map(str.lower, headers)}
    return next((name for name in names if name.lower() in there), "")


def fronts(
    walked: Sequence[tuple[Way, Visit]],
    around: Around,
    visits: Sequence[Visit],
) -> list[str]:
    """A sentence for each address that has a proxy in front, by what its backends saw, and no way
    around it that was asked: what is known of the load balancer leads to the address itself, and
    who answers elsewhere has as much in front, or a controller not just one less.

    ``visits``: of the targets, with their results.
    """
    if not around.load_balancer:
        return []
    own = {*map(canonical, around.load_balancer)} - {None} if around.lists_itself else set()
    met: list[set[str | None]] = [
        {str(station.address.remote) for station in visit.stations} for visit in visits
    ]
    # Of what nobody gets to, nobody knows whether it is what stands behind.
    shown = [
        (
            way,
            [
                _in_front(sample.lines, [name for name, _value in sample.lines], own)
                for station in visit.stations
                for sample in _own_answers(station, way.target.question)[0]
            ],
        )
        for way, visit in walked
        if way.kind in _PROXIES
    ]

    def is_past(of: int, count: int) -> bool:
        hosts = [(canonical(way.target.endpoint.host), way, there) for way, there in shown]
        past = {host for host, way, _there in hosts if way.past and of in way.of} - met[of]
        # Who has as much in front is what stands in front, at another address.
        return bool(past - {one for one, _way, its in hosts if any(e.length >= count for e in its)})

    results = [
        (number, one.result) for number, visit in enumerate(visits) for one in visit.stations
    ]
    arrived = [
        [_in_front(each["headers"], each["headers"], own) for each in one["backends"]]
        for _of, one in results
    ]
    behind = [(way.kind, each) for way, there in shown for each in there]
    balancers = [each for kind, each in behind if kind == "load_balancer"]
    fewest = min((each.length for each in (*balancers, *chain(*arrived))), default=0)
    # In front of a controller one is the load balancer.
    by_controllers = [each.length for kind, each in behind if kind == "controller"]
    known = min(by_controllers) + 1 if by_controllers else 0
    every = [each for _kind, each in behind] + [*chain(*arrived)]
    directly = any(not each.written for each in every)
    found = []
    for (of, one), its in zip(results, arrived):
        count, header, written = max(its, default=_Front())
        name = ", ".join(around.load_balancer)
        facts = {"header": header, "count": count, "address": one["address"], "name": name}
        if is_past(of, count) or count > fewest or count == known:
            continue
        if count > 1 + around.hands_on:
            found.append(warn("front", facts))
        elif written and not directly and not (around.hands_on and written == _BY_NGINX):
            found.append(warn("behind", {**facts, "header": written}))
    return [*dict.fromkeys(found)]


#: What ingress-nginx writes of any list that it is sent, as by an ALB before it
_BY_NGINX = "X-Original-Forwarded-For"


class _Front(NamedTuple):
    """``length`` of the longest list, in which header that is, and in which one of a CDN's
    something is written; the prober has sent none of these.
    """

    length: int = 0
    header: str = ""
    written: str = ""


def _in_front(headers: object, names: Iterable[str], own: set[str | None]) -> _Front:
    """``headers``: as :func:`elements` takes them; ``names``: of these."""
    counts = [(len(_by_others(elements(headers, one), own)), one) for one in _LISTS]
    return _Front(*max(counts), _any_of(names, OF_A_CDN))


def _by_others(listed: Sequence[str | None], own: set[str | None]) -> Sequence[str | None]:
    """A list without an address of the load balancer's ``own`` at its end."""
    return listed[:-1] if listed and listed[-1] in own else listed


def unsafe(walked: Iterable[tuple[Way, Visit]]) -> dict[int, list[tuple[Advice, str]]]:
    """For each target the strategies that a client who walks around what stands in front can
    deceive, of those that may be advised, and where.
    """
    found: dict[int, list[tuple[Advice, str]]] = {}
    for way, visit in walked:
        candidates = way.target.question.strategy.candidates
        for station in visit.stations:
            # Who names himself deceives nobody.
            tried = novel(*_own_answers(station, way.target.question))
            others = [sample for one, sample in tried if not one.names_itself]
            fooled = {n for sample in others if is_answer(sample) for n in sample.fooled}
            told = [(candidates[number], str(station.path)) for number in sorted(fooled)]
            for of in way.of:
                found.setdefault(of, []).extend(told)
    return found


def without_unsafe(result: Result, fooled: Iterable[tuple[Advice, str]]) -> Result:
    """An address' result, without a ``safe_strategy`` that holds on the probed path alone."""
    safe = result["safe_strategy"]
    places = [place for advice, place in fooled if advice == safe]
    if safe is None or not places:
        return result
    told = warn("unsafe", {"around": places[0], "advice": setting_of(safe)})
    return {**without_advice(result), "warnings_found": [*result["warnings_found"], told]}


def _told(code: str, facts: Mapping[str, Any]) -> Result:
    said = say(code, facts)
    verdict = CODES[code].verdict
    return {"verdict": verdict, "code": code, "reason": said.reason, "fix": said.fix}


def judge(
    walked: Sequence[tuple[Way, Visit]], visits: Sequence[Visit], at: Standpoint
) -> tuple[list[Result], dict[int, Result], set[tuple[str, int]]]:
    """What ``bypass`` returns, for each target that can be deceived that way what it says, and the
    places where that is.
    """
    entries, deceptions, places = [], {}, set()
    is_near = _is_near(visits, at)
    for way, visit in walked:
        reachable, facts = _outcome(way, visit.stations, is_near)
        entries.append(_entry(way, reachable, at))
        if facts is not None:
            told = _told(_DECEIVES[way.kind], {**facts, "address": way.target.url})
            deceptions.update(dict.fromkeys(way.of, told))
            places.add(place_of(way))
    return entries, deceptions, places
