# SPDX-License-Identifier: GPL-3.0-or-later
"""Forged headers: which are sent, and what is made of what comes back."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    is_private,
    parse_ranges,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._forgery import (
    CANDIDATES,
    CARRIERS,
    FATES,
    HEARSAY,
    Forgery,
    Preface,
    apart,
    beside,
    fate,
    fates,
    forgeries,
    in_parts,
    is_novel,
    safe,
    telling,
    unanswered,
    unheard_of,
    united,
    without_refused,
    worst,
)

XFF = "X-Forwarded-For"


def test_each_header_is_forged_with_each_kind_of_address() -> None:
    sent = forgeries("X-Client-IP", parse_ranges(["203.0.113.20"]), ["10.0.0.0/8"])
    names = {"X-Client-IP", XFF, "X-Real-IP", "Forwarded"}
    underscored = {"X_Client_IP", "X-Client_IP", "X_Forwarded_For", "X-Forwarded_For"}
    underscored |= {"X_Real_IP", "X-Real_IP"}
    hearsay = {forgery.header for forgery in sent} - names - underscored
    hearsay -= {"Connection", "Proxy-Connection", "PROXY", "PROXY v2", "CF_Connecting_IP"}
    assert {"True-Client-IP", "CF-Connecting-IP", "X-Original-Forwarded-For"} < hearsay
    assert {forgery.header for forgery in sent} > names | underscored | {"Connection"}
    usual = ["6.6.6.6", "192.0.2.66", "10.85.85.86"]
    for name in names | underscored:
        alone = {one.lines[0][1] for one in sent if one.header == name and len(one.lines) == 1}
        more = ["10.6.6.6", "127.6.6.6", "2606:6666::6"] if name in names else []
        assert all(any(address in line for line in alone) for address in usual + more)
    for name in names:
        own = [one for one in sent if one.header == name]
        assert any([*map(len, one.lines)] == [2, 2] for one in own), "several lines"
        assert {name.lower(), name.upper()} < {one.lines[0][0] for one in own}, "another case"
        mingled = [[name, name.replace("-", "_")], [name.replace("-", "_"), name]]
        scored = [[line[0] for line in one.lines] for one in own]
        assert "-" not in name or all(one in scored for one in mingled), "with underscores"
        of_it = [one for one in own if {line[0].lower() for line in one.lines} == {name.lower()}]
        in_cases = [one for one in of_it if len({line[0] for line in one.lines}) > 1]
        two, four, back = ([line[0] for line in one.lines] for one in in_cases)
        assert two == [name.lower(), name]
        assert four == [*dict.fromkeys([name, name.lower(), name.upper(), name.capitalize()])]
        assert back == four[::-1]
        for text in ("", "for=unknown" if name == "Forwarded" else "unknown"):
            assert ((name, text),) in [one.lines for one in own], "no address"
    for name in hearsay:
        [[line]] = [one.lines for one in sent if one.header == name and one.alone]
        assert not is_private(ipaddress.ip_address(line[1]))
    assert any(line.endswith(":6666") for one in sent for _name, line in one.lines), "a port"
    assert any("unknown" in line for one in sent for _name, line in one.lines), "junk"
    for name in ("X-Real-IP", "X-Client-IP", XFF):
        assert ((name, ", ".join(usual)),) in [one.lines for one in sent], "a list"
    more = "for=6.6.6.6;host=front.example;proto=https"
    assert (("Forwarded", more),) in [one.lines for one in sent], "as most write it"
    for name, element in ((XFF, "6.6.6.6"), ("Forwarded", "for=6.6.6.6")):
        lists = [
            line
            for one in sent
            for key, line in one.lines
            if key == name and f"{element}, " in line
        ]
        assert {3, 4, 5, 128} <= {line.count(element) for line in lists}, "who counts"


@pytest.mark.parametrize(
    ("avoided", "line", "kind", "packed"),
    [
        ([], "TCP4 6.6.6.6 192.0.2.7", "11000c", "06060606c0000207"),
        (
            ["0.0.0.0/1", "128.0.0.0/1"],
            "TCP6 2001:db8::2 2001:db8::3",
            "210024",
            "20010db800000000000000000000000220010db8000000000000000000000003",
        ),
    ],
)
def test_the_proxy_protocol(avoided: list[str], line: str, kind: str, packed: str) -> None:
    sent = forgeries(None, parse_ranges(avoided), ["2001:db8::/126"])
    own, asked = line.split()[1:]
    prefaced = [one for one in sent if one.preface and not one.lines and one.values[0] == own]
    half = len(prefaced) // 2
    assert prefaced[half:] == [one._replace(within=True) for one in prefaced[:half]]
    first, second = (one.preface for one in prefaced[:2] if one.preface)
    there = [(ipaddress.ip_address(asked), 443)]
    assert first.sent(there) == f"PROXY {line} 6666 443\r\n".encode()
    # As in the protocol's specification, section 2.2
    signature, ports = "0d0a0d0a000d0a515549540a", "1a0a01bb"
    assert second.sent(there).hex() == f"{signature}21{kind}{packed}{ports}"
    # Both ends are of one family.
    other = [(ipaddress.ip_address("::1" if "." in own else "127.0.0.1"), 81)]
    assert first.sent(other).split()[2:] == [own.encode(), own.encode(), b"6666", b"81"]
    assert {one.lines for one in prefaced} == {()}


def test_the_proxy_protocol_tells_of_each_place_where_clients_may_ask() -> None:
    """What is behind a load balancer may go by it, or redirect who asked at another port."""
    sent = [
        one for one in forgeries(None, parse_ranges([]), None) if one.preface and not one.within
    ]
    places = [(ipaddress.ip_address(f"192.0.2.{n}"), 8443 + n) for n in range(3)]
    for alone in (True, False):
        for version in (1, 2):
            told = [
                (one.preface.place, one.preface.port)
                for one in sent
                if one.preface and one.preface.version == version and alone == (not one.lines)
                if one.preface.source == "6.6.6.6"
            ]
            ports = [(0, port) for port in (80, 443, 8080, 8443)]
            assert told == [(0, 0), (1, 0), (2, 0), *ports]
    [line] = [one for one in sent if one.preface == Preface(1, "6.6.6.6", 2) and not one.lines]
    assert line.preface
    assert line.preface.sent(places).endswith(b" 192.0.2.2 6666 8445\r\n")
    assert Preface(1, "6.6.6.6", port=80).sent(places).endswith(b" 192.0.2.0 6666 80\r\n")
    # Both ends are of one family, of which the first place may have none.
    both = [(ipaddress.ip_address("2001:db8::7"), 443), *places]
    assert Preface(1, "6.6.6.6").sent(both).endswith(b" 192.0.2.0 6666 8443\r\n")
    assert Preface(1, "2606:6666::6").sent(both).endswith(b" 2001:db8::7 6666 443\r\n")
    assert Preface(1, "2606:6666::6", 2).sent(both).endswith(b" 2001:db8::7 6666 443\r\n")
    # With what who ended TLS tells of it: ALPN, the host, and the version
    of_tls = Preface(2, "6.6.6.6", port=443).sent(places, "a.example")
    assert of_tls[28:].hex() == (
        "010008"
        + b"http/1.1".hex()
        + "020009"
        + b"a.example".hex()
        + "20000f"
        + "0100000000"
        + "210007"
        + b"TLSv1.3".hex()
    )
    assert int.from_bytes(of_tls[14:16], "big") == len(of_tls) - 16
    assert len(Preface(2, "6.6.6.6", port=443).sent(places)) == 28


def test_the_proxy_protocol_tells_of_private_addresses_and_ipv6_too() -> None:
    """Who admits some networks by it may admit these."""
    sent = [one for one in forgeries(None, parse_ranges([]), None) if not one.lines]
    told = {one.preface.source for one in sent if one.preface}
    for kind in ("6.6.6.6", "10.", "127.", "2606:"):
        assert any(text.startswith(kind) for text in told), kind
    assert all(set(told) <= {*one.values} for one in sent)


def test_a_header_with_underscores_is_forged_like_any_other() -> None:
    shapes = [
        {len(one.lines) for one in forgeries(name, parse_ranges([]), None) if one.header == name}
        for name in ("X_My_IP", "X-My-IP")
    ]
    assert shapes[0] == shapes[1] > {1, 2}


def test_one_request_has_every_header_and_is_repeated() -> None:
    for header in ("X-Client-IP", None):
        sent = forgeries(header, parse_ranges(["203.0.113.20"]), None)
        everything, *shorter = sorted(
            (one for one in sent if one.repeated), key=lambda one: -len(one.lines)
        )
        assert everything.header == (header or XFF), "by it is told whether it was tested"
        told = dict(everything.lines)
        assert len(told) == len(everything.lines)
        single = {line[0] for one in sent for line in one.lines if len(one.lines) == 1}
        assert {name for name in single if name in HEARSAY} < {*told}
        assert {"X-Forwarded-For", "X-Real-IP", "Forwarded"} < {*told}
        assert {"Ali-Real-Client-IP", "CF-Pseudo-IPv4"} < {*told}, "of which others write one alone"
        assert told["Via"], "as if it came through a proxy"
        assert told["Forwarded"] == "for=6.6.6.6"
        # Others have a part of it each, for who refuses so many lines.
        parts = [{name for name, _value in one.lines} for one in shorter]
        assert set.union(*parts) == {*told}
        assert max(map(len, parts)) < 32
        # A second one says the same of a client with IPv6.
        others = [one for one in sent if {*dict(one.lines)} == {*told} and one is not everything]
        [alike] = [one for one in others if dict(one.lines)["X-Real-IP"] == "2606:6666::6"]
        told_6 = dict(alike.lines)
        assert told_6["True-Client-IP"] == "2606:6666::6"
        assert told_6["Forwarded"] == 'for="[2606:6666::6]"'
        assert not alike.alone
        # And one to who looks for several entries of a list as well, alone and after that protocol.
        counted, *after = [one for one in others if one is not alike][::-1]
        assert dict(counted.lines)[XFF] == ", ".join(["6.6.6.6"] * 5)
        assert counted.opens
        assert {one.lines for one in after} == {counted.lines}
        assert {one.preface.version for one in after if one.preface} == {1, 2}


def test_who_believes_the_proxy_protocol_of_trusted_ranges_only() -> None:
    sent = forgeries(None, parse_ranges([]), ["10.0.0.0/8"])
    told = {one.preface.source for one in sent if one.lines and one.preface}
    # Gateways and proxies have the first or last ones.
    assert told == {"6.6.6.6", "10.85.85.86"}


SEEN = "203.0.113.10"


@pytest.mark.parametrize(
    ("seen", "told", "near"),
    [
        ([SEEN] * 5, "", ["203.0.113.11", "203.0.113.8"]),
        # What honest requests show may be a proxy's.
        ([SEEN] * 5, f"198.51.100.1 203.0.113.11, {SEEN}", ["203.0.113.8", "203.0.113.9"]),
        (["2001:db8::a"] * 5, "", ["2001:db8::b", "2001:db8::8"]),
        # Who is translated to several addresses is seen with their neighbours, and few answers
        # don't tell.
        ([*[SEEN] * 9, "203.0.113.13"], "", []),
        ([SEEN] * 4, "", []),
        # All of them are proxies.
        ([SEEN] * 5, " ".join(f"203.0.113.{n}" for n in range(8, 16)), []),
    ],
)
def test_addresses_beside_the_one_that_is_served(
    seen: list[str], told: str, near: list[str]
) -> None:
    """They are in the networks that somebody serves who serves that one."""
    sent = [one for one in beside("X-Client-IP", seen, ["", told, ""]) if one.near]
    assert [*dict.fromkeys(value for one in sent for value in one.values)] == near
    for value in near:
        own = [one for one in sent if one.values == (value,)]
        alone = {one.header for one in own if len(one.lines) == 1 and value in one.lines[0][1]}
        assert alone == {"X-Client-IP", XFF, "X-Real-IP", "Forwarded", *HEARSAY}
        plain = [one for one in own if one.preface and not one.lines]
        assert {one.header for one in plain} == {"PROXY", "PROXY v2"}
        everything = [one for one in own if len(one.lines) > 1 and XFF in dict(one.lines)]
        parts = [one for one in own if len(one.lines) > 1 and one not in everything]
        assert CARRIERS - {"x-client-ip"} <= {
            name.lower() for one in parts for name, _value in one.lines
        }
        # Varnish takes 64, those of proxies among them.
        assert max(len(one.lines) for one in parts) < 48
        assert {bool(one.preface) for one in everything} == {True, False}
        # Also by what a CDN writes, with lists and without
        assert all(dict(one.lines)["CF-Connecting-IP"] == value for one in everything)
        assert {dict(one.lines)[XFF].count(value) for one in everything} == {1, 5}
        assert all(one.opens for one in everything)


def _from_others(header: str | None, told: str) -> list[Forgery]:
    return [one for one in beside(header, [SEEN], ["", told, ""]) if one.sender not in ("", SEEN)]


def test_proxies_that_honest_requests_show_may_be_admitted_alone() -> None:
    told = f'{SEEN}, 198.51.100.1, for="[2001:db8::1]";by=unknown 198.51.100.1 2 3.x'
    sent = _from_others(None, told)
    senders = {one.preface.source for one in sent if one.preface}
    assert senders == {"198.51.100.1", "2001:db8::1"} == {one.sender for one in sent}
    assert all(one.values == ("6.6.6.6",) and dict(one.lines)[XFF] for one in sent)


PROXIES = [f"198.51.100.{n}" for n in range(1, 6)]


@pytest.mark.parametrize(
    ("told", "tried"),
    [
        (["", "", ""], []),
        ([SEEN, f"{SEEN}, {PROXIES[0]}", SEEN], PROXIES[:1]),
        # Those that are met first, and no kind keeps another one out
        (
            [" ".join(PROXIES), "192.0.2.1", "10.9 10.0.0.1"],
            [*PROXIES[:3], "192.0.2.1", "10.0.0.1"],
        ),
        ([PROXIES[0], " ".join(PROXIES), " ".join(PROXIES)], PROXIES),
        (["", "", " ".join(PROXIES)], PROXIES[:1]),
    ],
)
def test_no_kind_of_address_keeps_a_proxy_of_another_one_from_being_tried(
    told: list[str], tried: list[str]
) -> None:
    senders = dict.fromkeys(one.sender for one in beside(None, [SEEN], told))
    assert [*senders] == [*tried, SEEN]


@pytest.mark.parametrize("header", [None, "Forwarded", "X-Real-IP", "X-Client-IP"])
def test_proxies_may_be_admitted_alone_by_what_a_header_says_of_them(header: str | None) -> None:
    """Beside that header all else is forged, and in a list the other entries."""
    sent = _from_others(header, "198.51.100.1")
    by_header = [dict(one.lines) for one in sent if not one.preface]
    assert {lines[XFF] for lines in by_header} == {
        "6.6.6.6, 6.6.6.6, 6.6.6.6, 6.6.6.6, 6.6.6.6",
        "6.6.6.6, 6.6.6.6, 6.6.6.6, 6.6.6.6, 6.6.6.6, 198.51.100.1",
        "198.51.100.1, 6.6.6.6, 6.6.6.6, 6.6.6.6, 6.6.6.6, 6.6.6.6",
        "198.51.100.1",
    }
    others = [lines for lines in by_header if lines[XFF] == "198.51.100.1"]
    assert [lines["Forwarded"].count("for=6.6.6.6") for lines in others] == [5]
    assert [lines["X-Real-IP"] for lines in others] == ["6.6.6.6"]
    in_single = [lines for lines in by_header if lines["CF-Connecting-IP"] == "198.51.100.1"]
    assert [lines["CloudFront-Viewer-Address"] for lines in in_single] == ["198.51.100.1:6666"]
    # What is read is forged in each of them.
    assert all("6.6.6.6" in lines[header or "X-Real-IP"] for lines in by_header if header)
    assert all(one.opens and not one.in_lines for one in sent)


@pytest.mark.parametrize("header", [None, "X-Client-IP"])
def test_a_list_may_be_looked_at_for_the_probers_own_address(header: str | None) -> None:
    """Each of a few that are seen, behind which a forged one stands in a list alone, and others."""
    several = ["203.0.113.10", "203.0.113.11", "203.0.113.10", "203.0.113.12"]
    sent = [one for one in beside(header, several, ["", "", ""]) if one.sender]
    assert [*dict.fromkeys(one.sender for one in sent)] == several[:2]
    alone = [one.lines for one in sent if len(one.lines) == 1]
    assert alone[:2] == [
        ((XFF, "203.0.113.10, 6.6.6.6"),),
        (("Forwarded", "for=203.0.113.10, for=6.6.6.6"),),
    ]
    at_its_end = [dict(one.lines)[XFF] for one in sent if len(one.lines) > 1]
    assert "6.6.6.6, 6.6.6.6, 6.6.6.6, 6.6.6.6, 6.6.6.6, 203.0.113.10" in at_its_end
    # His own address by the PROXY protocol shows whether anybody takes it there.
    itself = [one for one in sent if one.names_itself]
    assert {one.values for one in sent if one not in itself} == {("6.6.6.6",)}
    assert {one.values for one in itself} == {(one.sender,) for one in sent}
    assert {one.lines for one in itself} == {()}


def test_what_others_hand_on_is_forged_with_underscores_too() -> None:
    """nginx's variables know no difference, where it takes such names, and who drops those with
    dashes may.
    """
    sent = forgeries("X-Real-IP", parse_ranges([]), None)
    [scored] = [one for one in sent if "True_Client_IP" in dict(one.lines)]
    assert {*HEARSAY} <= {name.replace("_", "-") for name in dict(scored.lines)}
    assert not any("-" in name for name in dict(scored.lines))
    # Nor is it one of the header that is read.
    assert scored.header == "CF_Connecting_IP"


@pytest.mark.parametrize(
    ("name", "line", "well_formed"),
    [
        (XFF, "6.6.6.6", True),
        (XFF, "6.6.6.6, 192.0.2.66", True),
        ("Forwarded", "for=6.6.6.6", True),
        ("Forwarded", "for=6.6.6.6;proto=https", False),
        (XFF, "unknown", False),
        (XFF, '"6.6.6.6"', False),
        (XFF, "6.6.6.6:6666", False),
        (XFF, "", False),
        (XFF.lower(), "6.6.6.6", False),
    ],
)
def test_who_reads_addresses_may_read_nothing_else(name: str, line: str, well_formed: bool) -> None:
    values, header = ("6.6.6.6", "192.0.2.66"), {XFF.lower(): XFF}.get(name, name)
    assert Forgery(header, ((name, line),), values).is_well_formed is well_formed


@pytest.mark.parametrize(
    "expected",
    [["6.6.6.6"], ["192.0.2.66", "6.0.0.0/7"], ["10.0.0.1"], ["0.0.0.0/1", "192.0.0.0/2"]],
)
def test_no_forged_value_is_expected(expected: list[str]) -> None:
    networks = parse_ranges(expected)
    sent = forgeries(None, networks, ["10.0.0.0/30", "192.168.1.1"])
    assert any(forgery.public for forgery in sent)
    for forgery in sent:
        for value in forgery.values:
            assert not any(ipaddress.ip_address(value) in network for network in networks)


@pytest.mark.parametrize(
    ("expected", "forged"),
    [
        ([], ["10.6.6.6", "2606:6666::6"]),
        (["10.0.0.0/8"], ["172.16.6.6", "2606:6666::6"]),
        (["10.0.0.0/8", "172.16.0.0/12", "2600::/12"], ["192.168.6.6", "2a06:6666::6"]),
    ],
)
def test_an_expected_range_keeps_no_kind_of_address_from_being_forged(
    expected: list[str], forged: list[str]
) -> None:
    values = {
        value for one in forgeries(None, parse_ranges(expected), None) for value in one.values
    }
    unlikely = ("10.", "172.", "192.168.", "2606:", "2a06:")
    assert sorted(one for one in values if one.startswith(unlikely)) == forged


def test_connection_names_each_header_that_carries_an_address() -> None:
    for avoided, value in (["203.0.113.20"], "6.6.6.6"), (["6.0.0.0/7", "192.0.2.20"], "9.9.9.9"):
        for header in ("X-Client-IP", "ClientIP"):
            sent = forgeries(header, parse_ranges(avoided), None)
            told = [one.lines[0] for one in sent if one.header == "Connection"]
            own = [header, "X-Real-IP", XFF, "Forwarded"]
            # Some take no request that names one of the others.
            for names in (own, *([one] for one in own)):
                line = ("Connection", ", ".join(["close", *names, value]))
                assert line in told
                assert (line[0], line[1].lower()) in told
            others = " ".join(text for _name, text in told)
            assert all(f" {one}," in others for one in ("CF-Connecting-IP", "Z-Forwarded-For"))
            assert max(text.count(",") for _name, text in told) < 9


def test_a_proxys_own_address_is_not_what_was_forged() -> None:
    """It can be the first of a trusted range, of which one is forged in another request."""
    values = ("6.6.6.6", "127.0.0.1")
    arrived = [(XFF, "203.0.113.20, 127.0.0.1")]
    scored = Forgery("X_Forwarded_For", (("X_Forwarded_For", "6.6.6.6"),), values)
    assert fate(scored, arrived) == "dropped"
    trusted = Forgery(XFF, ((XFF, "127.0.0.1"),), values)
    assert fate(trusted, arrived) == "passed_through"


def test_a_header_in_another_case_is_the_same_one() -> None:
    sent = forgeries("x-forwarded-for", parse_ranges([]), None)
    assert len({one.header.lower() for one in sent}) == len({one.header for one in sent})
    assert {XFF, "X-Real-IP"} < {one.header for one in sent}


@pytest.mark.parametrize(
    ("header", "seen", "expected"),
    [
        (XFF, [(XFF, "6.6.6.6")], "passed_through"),
        (XFF, [(XFF, "203.0.113.20, 6.6.6.6")], "passed_through"),
        (XFF, [(XFF, "6.6.6.6:6666")], "passed_through"),
        (XFF, [("x-forwarded-for", "6.6.6.6, 203.0.113.20")], "appended"),
        (XFF, [(XFF, "6.6.6.6"), (XFF, "203.0.113.20")], "appended"),
        (XFF, [(XFF, "203.0.113.20")], "replaced"),
        (XFF, [(XFF, "16.6.6.6"), (XFF, "6.6.6.60")], "replaced"),
        (XFF, [], "dropped"),
        (XFF, [("X-Real-IP", "6.6.6.6")], "dropped"),
        ("Forwarded", [("Forwarded", 'for="6.6.6.6:6666"')], "passed_through"),
        ("Forwarded", [("Forwarded", "for=6.6.6.6, for=203.0.113.20")], "appended"),
        ("X_Forwarded_For", [(XFF, "203.0.113.20")], "dropped"),
        ("X_Forwarded_For", [(XFF, "203.0.113.20,6.6.6.6")], "passed_through"),
        ("X_Forwarded_For", [(XFF, "203.0.113.20"), ("X_Forwarded_For", "6.6.6.6")], FATES[0]),
    ],
)
def test_fate(header: str, seen: list[tuple[str, str]], expected: str) -> None:
    assert fate(Forgery(header, ((header, "6.6.6.6"),), ("6.6.6.6",)), seen) == expected


def test_the_worst_fate_counts() -> None:
    tried = [(XFF, "refused"), (XFF, "appended"), ("X-Real-IP", "replaced"), (XFF, "replaced")]
    assert fates(tried, [XFF, "Forwarded"]) == {
        XFF: "appended",
        "Forwarded": "untested",
        "X-Real-IP": "replaced",
    }
    assert worst([{XFF: "replaced"}, {XFF: "passed_through", "Forwarded": "dropped"}]) == {
        XFF: "passed_through",
        "Forwarded": "dropped",
    }


def test_what_a_person_is_told() -> None:
    told = {XFF: "appended", "X_Real_IP": "passed_through", "Forwarded": "refused"}
    untold = {
        "X_Forwarded_For": "dropped",
        "X-Real_IP": "untested",
        "True-Client-IP": "dropped",
        "Connection": "replaced",
    }
    assert telling({**untold, **told}) == told


PEER, COUNT_1, COUNT_2, REAL_IP = 0, 1, 2, 5


@pytest.mark.parametrize(
    ("honest", "forged", "expected"),
    [
        ([{COUNT_1, REAL_IP}], [(XFF, {COUNT_1, REAL_IP})], [COUNT_1]),
        ([{COUNT_1}], [("X_Forwarded_For", {COUNT_1})], []),
        (
            [{COUNT_1, REAL_IP}],
            [(XFF, {COUNT_1, REAL_IP}), ("X-Real-IP", {COUNT_1})],
            [COUNT_1],
        ),
        ([{COUNT_1, REAL_IP}], [("X-Real-IP", {COUNT_1, REAL_IP})], [REAL_IP]),
        ([{COUNT_1}, set()], [(XFF, {COUNT_1})], []),
        ([{PEER}], [], [PEER]),
        ([{COUNT_1}], [], []),
        ([], [], []),
    ],
)
def test_safe(
    honest: list[set[int]], forged: list[tuple[str, set[int]]], expected: list[int]
) -> None:
    tried = [(header, frozenset(right)) for header, right in forged]
    assert safe(CANDIDATES, [frozenset(right) for right in honest], tried) == expected


def test_the_candidates_are_what_the_numbers_mean() -> None:
    assert CANDIDATES[PEER] == {"strategy": "peer"}
    assert [CANDIDATES[place]["trusted_count"] for place in (COUNT_1, COUNT_2)] == [1, 2]
    assert CANDIDATES[REAL_IP]["header"] == "X-Real-IP"


def test_where_every_address_is_expected_nothing_can_be_forged() -> None:
    assert forgeries(None, parse_ranges(["0.0.0.0/1", "128.0.0.0/1"]), None) == ()


def test_what_each_target_has_learned_is_forged_where_one_way_leads_past_all() -> None:
    own, near = (Forgery(XFF, ((XFF, value),), (value,)) for value in ("6.6.6.6", "7.7.7.7"))
    usual = (own,)
    assert united([usual, usual]) == usual
    assert united([usual, (*usual, near)]) == (own, near)
    assert united([(own, near), (near,)]) == (own, near)
    # One without an answer comes last.
    unknown, known = (own,), [(own, one) for one in (near, *(Forgery(XFF, (), (n,)) for n in "ab"))]
    assert united([unknown, *known]) == (own, near, *(one[1] for one in known[1:]))
    many = [(Forgery(XFF, ((XFF, str(n)),), (str(n),)),) for n in range(9)]
    assert len(united(many)) == 3


@pytest.mark.parametrize(
    ("values", "honest", "novel"),
    [
        (("198.51.100.1",), "203.0.113.10, 198.51.100.1", False),
        (("198.51.100.1",), "203.0.113.10, 198.51.100.11", True),
        (("198.51.100.1", "6.6.6.6"), "203.0.113.10, 198.51.100.1", True),
    ],
)
def test_a_proxys_own_address_tells_nothing_of_a_forged_one(
    values: tuple[str, ...], honest: str, novel: bool
) -> None:
    assert is_novel(Forgery(XFF, ((XFF, ", ".join(values)),), values), honest) == novel


@pytest.mark.parametrize(
    ("name", "value", "forged"),
    [
        ("Edge-Client", SEEN, "{}"),
        ("Edge-Client", f" {SEEN}:80", " {}:80"),
        ("edge_client", f"10.0.0.1, {SEEN}", "10.0.0.1, {}"),
        ("Edge-Client", "[2001:db8::0:5]:443", "{}:443"),
        ("Edge-Client", "2001:DB8:0:0:0:0:0:5", "{}"),
        # Twice, and beside one that begins with it
        ("Edge-Client", f"{SEEN}, {SEEN}:81", "{}, {}:81"),
        ("Edge-Client", f"{SEEN}, {SEEN}0", f"{{}}, {SEEN}0"),
        # That it's another's, or that it's forged anyway
        ("Edge-Client", "10.0.0.1", None),
        ("X_Real-IP", SEEN, None),
        ("forwarded", f"for={SEEN}", None),
        ("CDN_Real_IP", SEEN, None),
        ("Host", SEEN, None),
        # What can't be sent
        ("Edge Client", SEEN, None),
        ("Edge-\u00c4", SEEN, None),
        ("Edge-Client", f"{SEEN},\n10.0.0.1", None),
        # The rest could be a secret
        ("Edge-Client", f"{SEEN};key=5f2a", None),
    ],
)
def test_names_that_nobody_has_heard_of(name: str, value: str, forged: str | None) -> None:
    seen = "2001:db8::5" if "5]" in value or ":5" in value else SEEN
    assert unheard_of([(name, value)], seen) == (() if forged is None else ((name, forged),))


def test_a_header_of_an_unheard_of_name_is_forged_alone_and_with_others_and_dropped() -> None:
    line = ("Edge-Client", "6.6.6.6")
    sent = {*beside(None, [SEEN], ["", "", ""], unheard=[("Edge-Client", "{}")])}
    lines = [one.lines for one in sent]
    assert (line,) in lines
    assert any(line in one.lines and one.opens for one in sent)
    assert (("Edge_Client", "6.6.6.6"),) in lines
    assert (("Connection", "close, Edge-Client, 6.6.6.6"),) in lines


@pytest.mark.parametrize(
    ("text", "value", "sent"),
    [
        ("{}, {}:81", "6.6.6.6", "6.6.6.6, 6.6.6.6:81"),
        ("{}, {}:81", "2606:6666::6", "2606:6666::6, [2606:6666::6]:81"),
    ],
)
def test_each_place_of_the_address_has_the_forged_one(text: str, value: str, sent: str) -> None:
    near = [value] if ":" in value else []
    found = beside(None, ["2606:6666::7" if near else SEEN] * 5, [""] * 3, unheard=[("Edge", text)])
    assert (("Edge", sent),) in [one.lines for one in found]


def test_of_many_headers_of_unheard_of_names_the_last_are_forged_alone_and_each_with_others() -> (
    None
):
    unheard = unheard_of([(name, SEEN) for name in "ABCDEBF"], SEEN)
    assert [name for name, _value in unheard] == [*"ABCDEF"]
    sent = [*beside(None, [SEEN], ["", "", ""], unheard=unheard)]
    alone = [one.header for one in sent if one.alone and one.header in {*"ABCDEF"}]
    assert alone == [*"DEF"]
    assert tuple((name, "6.6.6.6") for name in "ABCDEF") in [one.lines for one in sent]
    near = beside(None, [SEEN] * 5, ["", "", ""], unheard=unheard)
    assert {one.values for one in near if one.near and one.header == "F"} < {
        one.values for one in near
    }


def test_what_was_refused_with_other_lines_is_sent_alone() -> None:
    """As Cloudflare refuses its own header, whatever stands beside it."""
    tried = [
        (one, not any(name.startswith("CF-Con") for name, _value in one.lines))
        for one in forgeries(None, [], None)
    ]
    missed = unanswered(tried)
    assert {"cf-connecting-ip", "cf-connecting-ipv6", "ali-cdn-real-ip"} <= missed
    assert not missed & {"via", "true-client-ip", "x-forwarded-for"}
    sent = apart(tried)
    assert [name.lower() for one in sent for name, _value in one.lines] == sorted(
        # Which was alone already
        missed - {"cf-connecting-ip"}
    )
    assert {value for one in sent for _name, value in one.lines} >= {"6.6.6.6", "2606:6666::6"}
    assert apart([(one, True) for one, _answered in tried]) == ()
    # And what remains without that header, together
    tried += [(one, not one.lines[0][0].startswith("CF-Con")) for one in sent]
    again = without_refused(tried)
    # That protocol is mostly refused for itself.
    several = [one for one in tried if len(one[0].lines) > 1 and not one[0].preface]
    assert len(again) == sum(not answered for _one, answered in several)
    names = [{name for name, _value in one.lines} for one in again]
    assert not any(name.startswith("CF-Con") for each in names for name in each)
    assert any({"Fastly-FF", "Fastly-Client-IP"} <= each for each in names)
    assert without_refused([(one, True) for one, _answered in tried]) == ()


def test_what_is_refused_for_its_length_is_sent_in_parts() -> None:
    most = 40
    tried = [(one, len(one.lines) <= most) for one in forgeries(None, [], None)]
    sent = in_parts(tried)
    long = [one for one, answered in tried if not answered and not one.preface]
    assert long
    assert max(len(one.lines) for one in sent) <= most
    for one in long:
        parts = [part for part in sent if set(part.lines) <= set(one.lines)]
        assert {line for part in parts for line in part.lines} == {*one.lines}
        assert len({("Via" in dict(part.lines)) for part in parts}) == 1
    assert in_parts([(one, True) for one, _answered in tried]) == ()


def test_rarer_headers_are_forged_in_requests_of_few_lines_too() -> None:
    few = [one for one in forgeries(None, (), ()) if 1 < len(one.lines) <= 30]
    assert all(one.opens for one in few if len(one.lines) == 29)
    names = {name.lower() for one in few for name, _value in one.lines}
    assert not CARRIERS - names
