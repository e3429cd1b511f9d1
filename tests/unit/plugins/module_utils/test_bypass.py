# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses of a load balancer are asked directly, by what its status says and names give."""

from __future__ import annotations

import ipaddress
import socket
import ssl

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._bypass import (
    Around,
    Way,
    asked_at,
    judge,
    knock_of,
    not_asked,
    sent_from_here,
    through_here,
    ways,
    worth_asking,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import Address, parse_ranges
from ansible_collections.kestrel.real_ip.plugins.module_utils._forgery import (
    Forgery,
    Preface,
    forgeries,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._probe import (
    Endpoint,
    SocketAddress,
    Station,
    Target,
    Visit,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._vantage import Standpoint
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import (
    Expectation,
    Question,
    Sample,
    Strategy,
)

#: Addresses of the load balancer, of which a status need not tell each, and of a CDN
VIP, VIP2, VIP_6, CDN, CDN2 = (
    "198.51.100.10",
    "198.51.100.11",
    "2001:db8:51::10",
    "192.0.2.1",
    "192.0.2.2",
)
#: Where the prober stands, behind an address that is translated
INNER, OUTER = "10.0.0.20", "203.0.113.20"
QUESTION = Question(Expectation("inferred"), Strategy("rightmost_trusted_count", trusted_count=1))
#: Where names lead that a status gives
NAMES: dict[str, list[str]] = {
    "lb.example.com": [VIP],
    "lb2.example.com": [VIP2],
    "both.example.com": [VIP, VIP2],
    "dual.example.com": [VIP, VIP_6],
    "cdn.example.com": [CDN],
    "turns.example.com": [CDN2],
    "mixed.example.com": [CDN, VIP2],
    "nobody.example.com": [],
}


def visit(*addresses: str) -> Visit:
    """A target that was asked, whose name gave these addresses."""
    name = "www.example.com"
    target = Target("one", "", Endpoint(name, 80, name, "/", label=name), QUESTION)
    found = Visit(target)
    for text in addresses:
        remote = ipaddress.ip_address(text)
        family = socket.AF_INET6 if remote.version == 6 else socket.AF_INET
        station = Station(target, SocketAddress(family, (text, 80), remote))
        station.result = {"verdict": "lost", "observed": {"10.244.0.1": 10}}
        found.stations.append(station)
    return found


def known(status: list[str]) -> dict[Address, list[str]]:
    """Address → the entries of the status that give it."""
    found: dict[Address, list[str]] = {}
    for entry in status:
        for text in NAMES.get(entry, [entry]):
            found.setdefault(ipaddress.ip_address(text), []).append(entry)
    return found


@pytest.mark.parametrize(
    ("status", "met", "asked"),
    [
        # Nothing stands in front: the name leads to the addresses.
        ([VIP], [VIP], []),
        ([VIP, VIP_6], [VIP, VIP_6], []),
        ([VIP, "lb.example.com"], [VIP], []),
        ([VIP, VIP_6, "dual.example.com"], [VIP, VIP_6], []),
        # To some of them: it may be that of what stands in front of the other one.
        ([VIP, VIP2, "both.example.com"], [VIP2], [VIP]),
        ([VIP, "lb.example.com", VIP2, "lb2.example.com"], [VIP2], [VIP]),
        ([VIP, VIP2, "lb.example.com"], [VIP2], [VIP]),
        ([VIP, VIP_6], [VIP], [VIP_6]),
        # With a name alone, what it leads to is all that is known.
        (["lb.example.com"], [VIP], []),
        (["both.example.com"], [VIP2], [VIP]),
        (["lb.example.com", "lb2.example.com"], [VIP, VIP2], []),
        (["cdn.example.com"], [CDN], []),
        (["lb.example.com"], [CDN], [VIP]),
        (["both.example.com"], [CDN], [VIP, VIP2]),
        # It leads to more of them than the status tells: asked once more, which harms nobody.
        ([VIP, "both.example.com"], [VIP, VIP2], [VIP]),
        ([VIP, "dual.example.com"], [VIP, VIP_6], [VIP]),
        # Beside the address there is the name of what stands in front.
        ([VIP, "cdn.example.com"], [CDN], [VIP]),
        (["cdn.example.com", VIP], [CDN], [VIP]),
        ([VIP, VIP_6, "cdn.example.com"], [CDN], [VIP, VIP_6]),
        ([VIP, "cdn.example.com"], [CDN, VIP], [VIP]),
        # A CDN that is asked as well deceives nobody by what it does rightly.
        ([VIP, "cdn.example.com"], [VIP], [CDN]),
        ([VIP, "lb2.example.com"], [VIP], [VIP2]),
        ([VIP, "nobody.example.com"], [CDN], [VIP]),
        # What the name gives by now may be the load balancer's, or the CDN's.
        ([VIP, "turns.example.com"], [CDN], [VIP, CDN2]),
        ([VIP, "both.example.com"], [CDN], [VIP, VIP2]),
        ([VIP, "mixed.example.com"], [CDN, VIP2], [VIP]),
        ([], [CDN], []),
    ],
)
def test_who_is_asked_directly(status: list[str], met: list[str], asked: list[str]) -> None:
    around = Around(load_balancer=status)
    found = ways([visit(*met)], around, known(status), Standpoint("outside"))
    assert list(dict.fromkeys(way.target.endpoint.host for way in found)) == asked
    assert {way.kind for way in found} <= {"load_balancer"}


def test_a_name_that_gives_no_address_is_no_reason_to_believe_the_others() -> None:
    """The address of the status has none of the known ones: nothing is the load balancer's own."""
    around = Around(load_balancer=[VIP_6, "turns.example.com"])
    found = ways([visit(CDN)], around, known(["turns.example.com"]), Standpoint("outside"))
    assert {way.target.endpoint.host for way in found} == {CDN2}


@pytest.mark.parametrize(
    ("at", "asked"),
    # On a node kube-proxy answers at that address, whether anybody else gets there or not.
    [
        (Standpoint("outside"), True),
        (Standpoint("vpc"), True),
        (Standpoint("node"), False),
        (Standpoint("pod"), False),
        # Which is only said, and not known or refuted
        (Standpoint("pod", checked=False, said=True), False),
        (Standpoint("pod", said=True), True),
    ],
)
def test_the_services_own_address_is_asked_from_without(at: Standpoint, asked: bool) -> None:
    tls = ssl.create_default_context()
    around = Around(service=[("lb.example.com", 8080)], tls=tls)
    found = ways([visit(VIP)], around, {}, at)
    assert {way.kind for way in found} == ({"service"} if asked else set())
    endpoints = [way.target.endpoint for way in found]
    assert [(one.tls, one.server_name) for one in endpoints] == (
        [(None, ""), (tls, "www.example.com")] if asked else []
    )
    for one in endpoints:
        assert (one.host, one.port, one.host_header) == ("lb.example.com", 8080, "www.example.com")


def test_past_which_targets_the_services_own_address_leads() -> None:
    """It is asked once for all targets of which the same is asked."""
    met = [visit(VIP) for _number in range(4)]
    met[2].target = met[2].target._replace(question=QUESTION._replace(layer="l4"))
    endpoint = met[3].target.endpoint
    met[3].target = met[3].target._replace(endpoint=endpoint._replace(path="/other"))
    around = Around(service=[("lb.example.com", 8080)], tls=ssl.create_default_context())
    found = ways(met, around, {}, Standpoint("outside"))
    there = [way for way in found if way.target.endpoint.path != "/" or 3 not in way.of]
    assert [way.of for way in there] == [(0, 1)] * 2 + [(2,)] * 2 + [(3,)] * 2


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/", ["/"]),
        ("/echo", ["/echo", "/"]),
        ("/echo/", ["/echo/", "/"]),
        ("/echo/headers?a=/b", ["/echo/headers?a=/b", "/headers?a=/b", "/?a=/b"]),
        ("/a/b/c", ["/a/b/c", "/c", "/b/c", "/"]),
    ],
)
def test_the_services_own_address_is_asked_for_what_a_rewritten_path_may_be(
    path: str, asked: list[str]
) -> None:
    met = visit(VIP)
    met.target = met.target._replace(endpoint=met.target.endpoint._replace(path=path))
    around = Around(service=[("lb.example.com", 8080)], paths=["/a/b", "/x"])
    found = ways([met], around, {}, Standpoint("outside"))
    assert [way.target.endpoint.path for way in found] == asked


def test_what_is_asked_already_is_no_way() -> None:
    """A controller by host ports is at the addresses that are asked as the load balancer's, and at
    those that are probed.
    """
    met = [visit(VIP), visit(CDN)]
    tls = ssl.create_default_context()
    places = {"controller": [(VIP, 80), (CDN, 80), (CDN, 81)], "load_balancer": [VIP, CDN]}
    found = ways(met, Around(**places, tls=tls), known([VIP, CDN]), Standpoint("vpc"))
    asked = [asked_at(way.target.endpoint, way.target.endpoint.host) for way in found]
    assert len(asked) == len({*asked})
    endpoint = met[0].target.endpoint
    assert not {asked_at(endpoint, one) for one in (VIP, CDN)} & {*asked}
    assert asked_at(endpoint._replace(port=81), CDN) in asked


@pytest.mark.parametrize(
    ("plain", "secured", "asked"),
    [
        ("V001", "V508 [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1)", [False]),
        # By another name it may be taken, as by Traefik, which says 404 to what is no TLS.
        ("V516 404 Not Found", "V508 [SSL: TLSV1_UNRECOGNIZED_NAME] unrecog", [False, True]),
        ("V516 404 Not Found", "V508 [SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED]", [False, True]),
        # Who takes TLS alone may say so.
        ("V516 400 Bad Request", "V001", [True]),
        ("V511", "V516 403 Forbidden", [True]),
        ("V516 400 Bad Request", "V508", [False, True]),
        ("V001", "V001", [False, True]),
        ("V516 404 Not Found", "V508 [SSL: HTTP_REQUEST] http request", [False]),
        ("V511", "V508 [SSL: WRONG_VERSION_NUMBER] wrong version number", [False, True]),
    ],
)
def test_where_http_is_spoken_without_tls_alone_nothing_is_asked_with_it(
    plain: str, secured: str, asked: list[bool]
) -> None:
    around = Around(service=[("lb.example.com", 8080)], tls=ssl.create_default_context())
    every = ways([visit(VIP)], around, {}, Standpoint("outside"))
    told = {False: plain, True: secured}
    met = {knock_of(way): answered(told[knock_of(way)[2]]) for way in every}
    found = [*worth_asking(every, met)]
    assert [way.target.endpoint for way, _more in found] == [way.target.endpoint for way in every]
    assert [*dict.fromkeys(way.target.endpoint.tls is not None for way, more in found if more)] == (
        asked
    )
    # Nothing is left to be told of the others.
    assert [way.target.knocks for way, _more in found] == [more for _way, more in found]


def answered(text: str) -> Visit:
    """What was asked, and answered with this code and detail."""
    code, _space, detail = text.partition(" ")
    there = visit(VIP)
    there.stations[0].result = [Sample(code, detail=detail)], []
    return there


def test_tls_may_be_spoken_by_one_name_alone() -> None:
    """As by HAProxy that looks at the name first, and sends all else to who speaks none."""
    tls = ssl.create_default_context()
    around = Around(service=[("lb.example.com", 8080)], hosts=["a.example"], tls=tls)
    endpoint = visit(VIP).target.endpoint
    secured = visit(VIP)
    secured.target = secured.target._replace(endpoint=endpoint._replace(tls=tls, port=443))
    every = ways([secured], around, {}, Standpoint("outside"))
    names = {knock_of(way)[3] for way in every}
    assert len(names) > 2
    none = "V508 [SSL: WRONG_VERSION_NUMBER] wrong version number"
    for known, count in (("a.example", len(every)), ("", 0)):
        met = {
            knock: answered("V001" if not knock[2] or knock[3] == known else none)
            for knock in map(knock_of, every)
        }
        secured_ways = [more for way, more in worth_asking(every, met) if way.target.endpoint.tls]
        assert all(secured_ways) if count else not any(secured_ways)


def test_what_another_target_knows_is_tried_where_a_target_is_itself() -> None:
    """As where the controller is at an address of the status beside what stands in front."""
    own, other = (Forgery("X", (("X", value),), (value,)) for value in ("6.6.6.6", "7.7.7.7"))
    met = [visit(CDN), visit(VIP)]
    for number, known_there in enumerate(([own, other], [own])):
        met[number].stations[0].target = met[number].target._replace(forgeries=known_there)
    around = Around(controller=[(VIP, 80)])
    found = ways(met, around, {}, Standpoint("vpc"))
    own_way = [way for way in found if way.target.endpoint.host_header == "www.example.com"]
    assert [(way.partly, [*way.target.forgeries]) for way in own_way] == [(True, [other])]
    met[0].stations[0].target = met[0].target._replace(forgeries=[own])
    found = ways(met, around, {}, Standpoint("vpc"))
    assert not [way for way in found if way.target.endpoint.host_header == "www.example.com"]


def test_the_paths_of_rules_are_asked_for_after_all_else() -> None:
    met = visit(CDN)
    endpoint = met.target.endpoint._replace(path="/a?b=c")
    met.target = met.target._replace(endpoint=endpoint)
    around = Around(load_balancer=[VIP], paths=["/a", "/d"])
    paths = [
        way.target.endpoint.path for way in ways([met], around, known([VIP]), Standpoint("outside"))
    ]
    # And behind these, which a rule may take away.
    third = len(paths) // 3
    assert paths == ["/a?b=c"] * third + ["/d?b=c"] * third + ["/d/a?b=c"] * third


@pytest.mark.parametrize(("met", "told"), [(CDN, True), ("127.0.0.1", False)])
def test_a_way_around_what_has_no_address_was_not_looked_for(met: str, told: bool) -> None:
    """On loopback, as on a laptop with kind, there is nothing to walk around."""
    command = "kubectl -n echo describe ingress front"
    around = Around(unaddressed={"Ingress front": command})
    found = not_asked(around, [], [], [visit(met)])
    assert len(found) == int(told)
    assert all(one.startswith("Ingress front tells no address of its load bal") for one in found)
    assert all(one.endswith(f"Next: {command}") for one in found)


def test_each_name_of_the_status_is_tried_as_host() -> None:
    """What stands in front can ask by the name that leads to itself for a client."""
    status = [VIP, "cdn.example.com"]
    around = Around(load_balancer=status)
    found = ways([visit(CDN)], around, known(status), Standpoint("outside"))
    hosts = [way.target.endpoint.host_header for way in found if way.target.endpoint.port == 80]
    assert hosts == ["www.example.com", VIP, "cdn.example.com"]


@pytest.mark.parametrize(
    ("place", "met", "verdict", "observed", "asked"),
    [
        ("vpc", VIP, "lost", OUTER, True),
        ("node", VIP, "lost", OUTER, True),
        ("outside", VIP, "preserved", OUTER, False),
        # The load balancer is in a network of one's own, or the prober is, as on premises.
        ("outside", "10.0.0.80", "lost", OUTER, True),
        ("outside", "fd00::80", "preserved", "fd01::20", True),
        ("outside", VIP, "preserved", INNER, True),
        ("outside", VIP, "forgeable", INNER, True),
        # The address that arrives is of the cluster, and tells nothing of the prober's network.
        ("outside", VIP, "lost", "10.244.0.1", False),
        # A tunnel can end anywhere.
        ("outside", "127.0.0.1", "lost", OUTER, False),
    ],
)
def test_a_nodes_own_address_is_asked_from_where_it_may_be_routed(
    place: str, met: str, verdict: str, observed: str, asked: bool
) -> None:
    of = visit(met)
    of.stations[0].result = {"verdict": verdict, "observed": {observed: 10}}
    around = Around(internal=[("10.0.0.11", 30080)])
    found = [way.target.endpoint.host for way in ways([of], around, {}, Standpoint(place))]
    assert found == ["10.0.0.11"] * asked


@pytest.mark.parametrize(
    ("host", "met", "code", "reachable"),
    [
        # The private address of a machine whose public one is translated: others may get there.
        ("10.0.0.1", VIP, "V504", None),
        ("10.0.0.1", VIP, "V503", None),
        # Who answers may be somebody else here.
        ("10.0.0.1", VIP, "V509", None),
        ("10.0.0.1", VIP, "V001", True),
        ("10.0.0.1", "10.0.0.80", "V504", False),
        (VIP2, VIP, "V504", False),
    ],
)
def test_a_load_balancer_at_a_private_address_may_be_elsewhere_for_others(
    host: str, met: str, code: str, reachable: bool | None
) -> None:
    of, there = visit(met), visit(host)
    there.stations[0].result = ([Sample(code)], [])
    # A name leads there as well, as those of AWS's load balancers do.
    for named in (host, "internal.example.com"):
        endpoint = there.target.endpoint._replace(host=named)
        way = Way("load_balancer", (0,), there.target._replace(endpoint=endpoint))
        entries, _deceptions, _places = judge([(way, there)], [of], Standpoint("outside"))
        assert [one["reachable"] for one in entries] == [reachable]


@pytest.mark.parametrize(
    ("kind", "code", "told"),
    [
        # What is open, and knows nothing that was asked for, may know the rest.
        ("controller", "V516", True),
        ("load_balancer", "V516", True),
        ("controller", "V503", False),
        ("controller", "V001", False),
        ("service", "V516", False),
    ],
)
def test_rules_that_are_not_asked_are_told_where_something_else_takes_requests(
    kind: str, code: str, told: bool
) -> None:
    there = visit(VIP2)
    there.stations[0].result = [Sample(code, detail="404 Not Found")], []
    walked = [(Way(kind, (0,), there.target), there)]
    entries, _deceptions, _places = judge(walked, [visit(VIP)], Standpoint("outside"))
    around = Around(beyond={"Ingress ns/own": "ansible-playbook"})
    found = not_asked(around, walked, entries, [visit(VIP)])
    assert [one.startswith("Ingress ns/own leads to the same pods") for one in found] == [True] * (
        told
    )


def is_inner(address: str) -> bool:
    return towards(address) == address


def towards(address: str) -> str:
    """From which address the prober speaks to another one."""
    return address if address in (INNER, "127.0.0.1") else INNER


@pytest.mark.parametrize(
    ("status", "met", "verdict", "observed", "asked"),
    [
        # What stands in front may be this machine, behind an address that is translated.
        ([VIP], CDN, "preserved", INNER, True),
        ([VIP], CDN, "preserved", OUTER, True),
        ([VIP], CDN, "forgeable", OUTER, True),
        ([], CDN, "preserved", INNER, True),
        (["cdn.example.com", VIP], CDN, "preserved", INNER, True),
        # The load balancer, in front of which nothing stands
        ([VIP], VIP, "preserved", INNER, False),
        (["lb.example.com"], VIP, "preserved", INNER, False),
        ([VIP], CDN, "lost", INNER, False),
    ],
)
def test_a_proxy_on_the_probers_own_machine_is_looked_for(
    status: list[str], met: str, verdict: str, observed: str, asked: bool
) -> None:
    of = visit(met)
    of.target = of.target._replace(
        forgeries=[*forgeries("X-Forwarded-For", parse_ranges([]), None)]
    )
    of.stations[0].result = {"verdict": verdict, "observed": {observed: 10}}
    tls = ssl.create_default_context()
    around = Around(load_balancer=status, hosts=["app.example.com"], tls=tls)
    found = through_here([of], around, known(status), towards, is_inner)
    places = {(one.host, one.port, bool(one.tls)) for one in (way.target.endpoint for way in found)}
    assert places == ({(INNER, 80, False), (INNER, 443, True)} if asked else set())
    names = {way.target.endpoint.host_header.partition(":")[0] for way in found}
    assert names == ({"www.example.com", "app.example.com", INNER} if asked else set())
    sent = [one for way in found for one in way.target.forgeries]
    assert all(one.opens for one in sent), "nothing else is forged there"
    assert any(sent) == asked


def test_over_loopback_a_tunnel_may_end_elsewhere() -> None:
    of = visit(CDN)
    of.stations[0].result = {"verdict": "preserved", "observed": {"127.0.0.1": 10}}
    tunnel = {"towards": lambda _address: "127.0.0.1", "own": lambda _address: True}
    assert through_here([of], Around(), {}, **tunnel) == []


def test_a_further_address_of_the_probers_network_is_asked_where_it_was_seen() -> None:
    """As a load balancer's virtual one with its mask, from which all that leaves is translated."""
    of = visit(CDN)
    of.stations[0].result = {"verdict": "preserved", "observed": {"198.51.100.21": 10}}
    found = through_here([of], Around(), {}, lambda _address: INNER, "198.51.100.21".__eq__)
    assert {way.target.endpoint.host for way in found} == {INNER, "198.51.100.21"}


@pytest.mark.parametrize(
    ("code", "opened", "told"),
    [
        ("V001", "", True),
        ("V507", "", False),
        ("V407", "", False),
        # It wants the PROXY protocol, or a header of what stands in front of it.
        ("V508", "V001", True),
        ("V508", "V508", False),
    ],
)
def test_what_answers_on_the_probers_own_machine(code: str, opened: str, told: bool) -> None:
    of = visit(CDN)
    of.stations[0].result = {"verdict": "preserved", "observed": {OUTER: 10}}
    [way, *__] = through_here([of], Around(), {}, towards, is_inner)
    there = visit(INNER)
    [opening, *__] = (one for one in forgeries(None, parse_ranges([]), None) if one.opens)
    there.stations[0].result = ([Sample(code)], [(opening, Sample(opened))] if opened else [])
    found = sent_from_here([(way, there)], [of])
    assert [*found] == [0] * told
    if told:
        assert (found[0]["code"], found[0]["verdict"]) == ("V429", "unproven")
        assert f"{INNER}:80" in found[0]["reason"]
        assert f"showed {OUTER} as" in found[0]["reason"]


def test_behind_a_translator_the_ipv4_address_that_is_asked_is_forged() -> None:
    """A proxy there has no other one."""
    asked = visit("64:ff9b::c633:640a")
    [station] = asked.stations
    station.target = station.target._replace(forgeries=forgeries(None, (), ()))
    station.samples = [Sample("V001", seen=OUTER)] * 10
    station.plan(1)
    sent = [one for one in station.todo if one is not None]
    assert any(value == VIP for one in sent for _name, value in one.lines)
    preface = Preface(1, "6.6.6.6").sent(station.target.places((station.address.remote, 80)))
    assert preface == f"PROXY TCP4 6.6.6.6 {VIP} 6666 80\r\n".encode()
    assert (ipaddress.ip_address(VIP), 80) in asked.tried.asked
