# SPDX-License-Identifier: GPL-3.0-or-later
"""Which client address a backend may believe: the rules as tables, the promises as properties."""

from __future__ import annotations

import ipaddress
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils import _derive
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    STRATEGIES,
    DerivationError,
    canonical,
    client_ip,
    elements,
    in_ranges,
    is_private,
    parse_address,
    parse_ranges,
)
from hypothesis import given, settings
from hypothesis import strategies as st

VECTORS = Path(__file__).resolve().parents[3] / "vectors"
XFF = "X-Forwarded-For"
ARGUMENTS = ("headers", "peer", "strategy", "header", "trusted_count", "trusted_ranges")

# The same examples in every run, however slow the machine; nothing is kept in the working tree.
settings.register_profile("units", deadline=None, database=None, derandomize=True, max_examples=150)
settings.load_profile("units")


def count(headers, number=1, header=XFF):
    return client_ip(
        headers, strategy="rightmost_trusted_count", header=header, trusted_count=number
    )


# --- Vectors --------------------------------------------------------------------------------------


def cases():
    for path in sorted(VECTORS.glob("*.json")):
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
            yield pytest.param(case, id=f"{path.stem}-{case['id']}")


def answer(case, headers):
    arguments = {name: case[name] for name in ARGUMENTS if name in case}
    try:
        return client_ip(**{**arguments, "headers": headers})
    except DerivationError:
        return {"error": True}


def as_bytes(headers):
    return [[name.encode("latin-1"), value.encode("latin-1")] for name, value in headers]


def as_mapping(headers):
    lines = {}
    for name, value in headers:
        lines.setdefault(name, []).append(value)
    return lines


@pytest.mark.parametrize(
    "form", [list, tuple, as_bytes, as_mapping], ids=lambda form: form.__name__
)
@pytest.mark.parametrize("case", list(cases()))
def test_vector(case, form):
    assert answer(case, form(case["headers"])) == case["expect"]


def test_no_vector_is_lost():
    assert sum(1 for case in cases()) == 371


# --- Addresses ------------------------------------------------------------------------------------

VALID = [
    ("1.2.3.4", "1.2.3.4"),
    (" \t1.2.3.4\t ", "1.2.3.4"),
    ("0.0.0.1", "0.0.0.1"),
    ("255.255.255.255", "255.255.255.255"),
    ("1.2.3.4:0", "1.2.3.4"),
    ("1.2.3.4:99999", "1.2.3.4"),
    ("1.2.3.4:00080", "1.2.3.4"),
    ("::1", "::1"),
    ("[::1]", "::1"),
    ("[::1]:80", "::1"),
    ("2001:DB8::A", "2001:db8::a"),
    # RFC 5952, section 4
    ("2001:0db8::0001", "2001:db8::1"),
    ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
    ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
    ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
    # IPv4 at the end
    ("::1.2.3.4", "::102:304"),
    ("2001:db8::1.2.3.4", "2001:db8::102:304"),
    ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
    ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
    ("::ffff:0:1.2.3.4", "::ffff:0:102:304"),
    # IPv4-mapped
    ("::ffff:1.2.3.4", "1.2.3.4"),
    ("::FFFF:102:304", "1.2.3.4"),
    ("0:0:0:0:0:ffff:1.2.3.4", "1.2.3.4"),
    ("[::ffff:1.2.3.4]:80", "1.2.3.4"),
    # Zones
    ("fe80::1%eth0", "fe80::1%eth0"),
    ("fe80::1%0", "fe80::1%0"),
    ("FE80::A%Eth0.100_a~b-c", "fe80::a%Eth0.100_a~b-c"),
    ("[fe80::1%eth0]", "fe80::1%eth0"),
    ("[fe80::1%eth0]:80", "fe80::1%eth0"),
    ("2606:4700::1%eth0", "2606:4700::1%eth0"),
    ("64:ff9b::1.2.3.4%x", "64:ff9b::102:304%x"),
]

INVALID = [
    "",
    " ",
    "unknown",
    "_hidden",
    "localhost",
    "example.com",
    "-",
    "@",
    "*",
    "null",
    # No address at all
    "0.0.0.0",
    "0.0.0.0:80",
    "::",
    "[::]",
    "[::]:80",
    "::0",
    "0:0:0:0:0:0:0:0",
    "::0.0.0.0",
    "::%eth0",
    "::ffff:0.0.0.0",
    "::ffff:0:0",
    # IPv4
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.4.",
    ".1.2.3.4",
    "1..2.3.4",
    "1.2.3.256",
    "1.2.3.999",
    "1.2.3.4444",
    "01.2.3.4",
    "1.2.3.04",
    "1.2.3.00",
    "0x1.2.3.4",
    "16909060",
    "1.2.3.-4",
    "+1.2.3.4",
    "1.2.3.4/32",
    "1.2.3.4 5",
    "1.2.3. 4",
    "1.2.3.4\n",
    "\n1.2.3.4",
    "1.2.3.4\r",
    "1.2.3.4\x0b",
    "1.2.3.4\x00",
    "1.2.3.4\xa0",
    "１.2.3.4",
    "1.2.3.٤",
    "1。2。3。4",
    "[1.2.3.4]",
    "[1.2.3.4]:80",
    # Ports
    "1.2.3.4:",
    "1.2.3.4:123456",
    "1.2.3.4:-1",
    "1.2.3.4:http",
    "1.2.3.4:_http",
    "1.2.3.4:80:80",
    "1.2.3.4: 80",
    "1.2.3.4 :80",
    "1.2.3.4:٨٠",
    "[::1]:",
    "[::1]:123456",
    "[::1]:x",
    "[::1]80",
    "[::1] :80",
    # IPv6
    ":",
    ":::",
    "1",
    "abcd",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1::2::3",
    ":1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8:",
    "12345::",
    "g::1",
    "::1.2.3",
    "::1.2.3.256",
    "::1.2.3.04",
    "::ffff:01.2.3.4",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "1:2:3:4:5:6:7:1.2.3.4",
    "::1/128",
    "::１",
    "[::1",
    "::1]",
    "[[::1]]",
    "[]",
    "[ ::1 ]",
    "[::1]x",
    "x[::1]",
    # Zones
    "fe80::1%",
    "[fe80::1%]",
    "fe80::1%eth0%1",
    "fe80::1%25eth0%",
    "fe80::1%eth 0",
    "fe80::1%eth/0",
    "fe80::1%eth0:80",
    "fe80::1%ä",
    "[fe80::1]%eth0",
    "%eth0",
    "1.2.3.4%eth0",
    "1.2.3.4%eth0:80",
    "::ffff:1.2.3.4%eth0",
    "[::ffff:102:304%eth0]:80",
    # Quoted or listed
    '"1.2.3.4"',
    "'1.2.3.4'",
    "for=1.2.3.4",
    "1.2.3.4;1.2.3.4",
    "1.2.3.4 1.2.3.4",
]


def places(text):
    """The same text wherever an element may stand."""
    yield canonical(text)
    yield count([[XFF, f"9.9.9.9,{text}"]])
    yield client_ip([["X-Real-IP", text]], strategy="single_header", header="x-real-ip")
    yield client_ip([], peer=text, strategy="peer")


@pytest.mark.parametrize(("text", "expected"), VALID)
def test_valid_address(text, expected):
    assert set(places(text)) == {expected}
    assert canonical(expected) == expected


@pytest.mark.parametrize("text", INVALID)
def test_invalid_address(text):
    assert set(places(text)) == {None}


def test_a_list_is_not_one_address():
    lines = [["X-Real-IP", "1.2.3.4, 5.6.7.8"]]
    assert client_ip(lines, strategy="single_header", header="X-Real-IP") is None
    assert client_ip([], peer="1.2.3.4, 5.6.7.8", strategy="peer") is None


@pytest.mark.parametrize(
    ("text", "address", "zone", "port"),
    [
        ("1.2.3.4:080", "1.2.3.4", None, 80),
        ("1.2.3.4", "1.2.3.4", None, None),
        ("[fe80::1%eth0]:443", "fe80::1", "eth0", 443),
        ("fe80::1%eth0", "fe80::1", "eth0", None),
        ("::ffff:1.2.3.4", "1.2.3.4", None, None),
    ],
)
def test_parts_of_an_address(text, address, zone, port):
    assert parse_address(text) == (ipaddress.ip_address(address), zone, port)


@given(st.ip_addresses(v=6))
def test_every_spelling_of_an_ipv6_address(address):
    digits = f"{int(address):032x}"
    groups = [digits[place : place + 4] for place in range(0, 32, 4)]
    tail = ipaddress.IPv4Address(int(address) % 2**32)
    spellings = {
        str(address).partition("%")[0],
        ":".join(groups),
        ":".join(groups).upper(),
        ":".join(group.lstrip("0") or "0" for group in groups),
        ":".join(groups[:6]) + f":{tail}",
    }
    unmapped = address.ipv4_mapped or address
    expected = str(unmapped).partition("%")[0] if int(unmapped) else None
    assert {canonical(spelling) for spelling in spellings} == {expected}


# --- Private --------------------------------------------------------------------------------------

# First and last address of each range, and what lies just outside.
PRIVATE = [
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "239.255.255.255"),
    ("240.0.0.0", "255.255.255.255"),
    ("::", "::1"),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
    ("100::", "100::ffff:ffff:ffff:ffff"),
    ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
]
# Edges with another private range, or with nothing, beyond them.
TOUCHING = {
    "0.0.0.0",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.255",
    "::",
    "100::ffff:ffff:ffff:ffff",
    "100:0:0:1::",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
}
# The registries' exceptions inside their ranges are not made.
ALSO_PRIVATE = [
    "192.0.0.9",
    "192.0.0.10",
    "2001:1::1",
    "2001:4:112::",
    "2001:20::1",
    "fe80::1%eth0",
]
ALSO_PUBLIC = [
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::1.2.3.4",
    "::2",
    "::10.0.0.1",
    "fec0::1",
    "2620:4f:8000::1",
    "2606:4700::1%eth0",
]


@pytest.mark.parametrize(("first", "last"), PRIVATE)
def test_edges_of_a_private_range(first, last):
    first, last = ipaddress.ip_address(first), ipaddress.ip_address(last)
    assert is_private(first)
    assert is_private(last)
    if str(first) not in TOUCHING:
        assert not is_private(first - 1)
    if str(last) not in TOUCHING:
        assert not is_private(last + 1)


@pytest.mark.parametrize("text", ALSO_PRIVATE + ALSO_PUBLIC)
def test_private(text):
    assert is_private(parse_address(text).address) is (text in ALSO_PRIVATE)
    expected = None if text in ALSO_PRIVATE else canonical(text)
    assert client_ip([[XFF, text]], strategy="rightmost_non_private") == expected
    assert client_ip([[XFF, text]], strategy="leftmost_non_private") == expected


# --- Ranges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("10.0.0.7/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], ["11.0.0.0", "::a00:1"]),
        ("10.0.0.7", ["10.0.0.7"], ["10.0.0.6", "10.0.0.8"]),
        ("0.0.0.0/0", ["1.2.3.4", "::ffff:1.2.3.4"], ["::1", "::1.2.3.4"]),
        ("::/0", ["::1", "::1.2.3.4", "fe80::1%eth0"], ["1.2.3.4", "::ffff:1.2.3.4"]),
        ("::ffff:10.0.0.7/104", ["10.9.9.9"], ["11.0.0.0", "::a09:909"]),
        ("::ffff:a00:7", ["10.0.0.7"], ["10.0.0.8"]),
        ("::ffff:0:0/96", ["1.2.3.4"], ["::1"]),
        ("::ffff:0:0/95", ["::fffe:1:1"], ["1.2.3.4", "::1"]),
        ("::1.2.3.4/128", ["::102:304"], ["1.2.3.4"]),
        ("FE80::/10", ["fe80::1", "fe80::1%eth0"], ["fec0::1"]),
        ("2001:db8::1.2.3.4/64", ["2001:db8::1"], ["2001:db8:0:1::"]),
    ],
)
def test_range(text, inside, outside):
    ranges = parse_ranges([text])
    assert [one for one in inside if not in_ranges(parse_address(one).address, ranges)] == []
    assert [one for one in outside if in_ranges(parse_address(one).address, ranges)] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/ 8",
        "10.0.0.0/08",
        "10.0.0.0/8/8",
        "10.0.0.0/٨",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/0.255.255.255",
        " 10.0.0.0/8",
        "10.0.0.0/8\n",
        "10.0.0/8",
        "10/8",
        "010.0.0.0/8",
        "10.0.0.1:80",
        "10.0.0.1-10.0.0.9",
        "::/129",
        "::/ffff::",
        "::ffff:10.0.0.0/129",
        "[::1]",
        "[::1]/128",
        "fe80::1%eth0",
        "fe80::%eth0/10",
        "localhost",
        "private",
        "*",
        None,
        8,
        True,
        b"10.0.0.0/8",
        ["10.0.0.0/8"],
        ipaddress.ip_network("10.0.0.0/8"),
    ],
)
def test_range_that_does_not_parse(text):
    with pytest.raises(DerivationError, match=r"^trusted_ranges\[1\] must be .+, not ") as caught:
        parse_ranges(["10.0.0.0/8", text])
    assert caught.value.argument == "trusted_ranges[1]"


@given(
    st.lists(st.ip_addresses(v=4).map(lambda a: f"{a}/{int(a) % 33}"), max_size=8),
    st.lists(st.ip_addresses(v=6).map(lambda a: f"{a}/{int(a) % 129}"), max_size=8),
    st.ip_addresses(),
)
def test_the_index_of_ranges_answers_as_a_search_does(v4, v6, address):
    networks = [ipaddress.ip_network(text, strict=False) for text in [*v4, *v6]]
    ranges = parse_ranges([*v4, *v6])
    edges = itertools.chain.from_iterable(
        (n.network_address, n.broadcast_address) for n in networks
    )
    for one in [address, *edges]:
        assert in_ranges(one, ranges) == any(one in network for network in ranges)
        # The networks are those of ipaddress, but for the IPv4-mapped ones.
        if not any(getattr(n.network_address, "ipv4_mapped", None) for n in networks):
            assert in_ranges(one, ranges) == any(one in network for network in networks)


# --- Lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], []),
        ([""], [None]),
        ([" \t"], [None]),
        ([","], [None, None]),
        (["1.1.1.1,2.2.2.2"], ["1.1.1.1", "2.2.2.2"]),
        (["1.1.1.1 , \t2.2.2.2\t"], ["1.1.1.1", "2.2.2.2"]),
        (["1.1.1.1", "2.2.2.2, 3.3.3.3"], ["1.1.1.1", "2.2.2.2", "3.3.3.3"]),
        (["1.1.1.1,", ",2.2.2.2"], ["1.1.1.1", None, None, "2.2.2.2"]),
        (["1.1.1.1", "", "2.2.2.2"], ["1.1.1.1", None, "2.2.2.2"]),
        (["1.1.1.1,\n2.2.2.2"], ["1.1.1.1", None]),
        (['"1.1.1.1,2.2.2.2"'], [None, None]),
        (["unknown, 1.2.3.4:80, [::1]:80, ::ffff:1.2.3.4"], [None, "1.2.3.4", "::1", "1.2.3.4"]),
        ([None, 7, ["1.1.1.1"], {"a": 1}, True, "1.1.1.1"], [None] * 5 + ["1.1.1.1"]),
    ],
)
def test_x_forwarded_for(lines, expected):
    assert elements([[XFF, line] for line in lines]) == expected
    assert elements({"x-FORWARDED-for": lines}, "x-forwarded-for") == expected


# What stands in one element of Forwarded, and its address.
FORWARDED_ELEMENTS = [
    ("for=1.2.3.4", "1.2.3.4"),
    ("For=1.2.3.4", "1.2.3.4"),
    ("FOR=1.2.3.4", "1.2.3.4"),
    ('for="1.2.3.4"', "1.2.3.4"),
    (r'for="\1.\2.3\.4"', "1.2.3.4"),
    ('for="1.2.3.4:80"', "1.2.3.4"),
    ('for="1.2.3.4:_x.Y-1"', "1.2.3.4"),
    ("for=1.2.3.4:80", "1.2.3.4"),
    ("for=1.2.3.4:_x", "1.2.3.4"),
    ('for="[2001:DB8::1]"', "2001:db8::1"),
    ('for="[2001:db8::1]:80"', "2001:db8::1"),
    ('for="[2001:db8::1]:_x"', "2001:db8::1"),
    ("for=[2001:db8::1]:80", "2001:db8::1"),
    ("for=2001:db8::1", "2001:db8::1"),
    ('for="2001:db8::1"', "2001:db8::1"),
    ('for="[fe80::1%eth0]"', "fe80::1%eth0"),
    ("for=fe80::1%eth0", "fe80::1%eth0"),
    ('for="[::ffff:1.2.3.4]"', "1.2.3.4"),
    ("proto=http;for=1.2.3.4;by=5.6.7.8", "1.2.3.4"),
    (";;for=1.2.3.4;;proto=http;", "1.2.3.4"),
    ('by="a,b;c \\" d";for=1.2.3.4', "1.2.3.4"),
    (" ;for=1.2.3.4; \t", "1.2.3.4"),
    ('by="";for=1.2.3.4', "1.2.3.4"),
    ('by="\\\\";for=1.2.3.4', "1.2.3.4"),
    ("by=1.1.1.1;by=2.2.2.2;for=1.2.3.4", "1.2.3.4"),
    ("x=a=b;for=1.2.3.4", "1.2.3.4"),
    ("x=ä;for=1.2.3.4", "1.2.3.4"),
    ("!#$%&'*+.^_`|~09-=x;for=1.2.3.4", "1.2.3.4"),
    ("", None),
    (";", None),
    ("by=1.2.3.4", None),
    ("for", None),
    ("for=", None),
    ('for=""', None),
    ("=1.2.3.4", None),
    ("1.2.3.4", None),
    ('"1.2.3.4"', None),
    ("xfor=1.2.3.4", None),
    ("for =1.2.3.4", None),
    ("for= 1.2.3.4", None),
    ("for\t=1.2.3.4", None),
    ("for=1.2.3.4; proto=http", None),
    ("for=1.2.3.4 ;proto=http", None),
    ("for=1.2.3.4; ;", None),
    ("for=1.2.3.4;proto", None),
    ("for=1.2.3.4;proto=", None),
    ("for=1.2.3.4;=http", None),
    ("for=1.2.3.4;a b=c", None),
    ("for=1.2.3.4;ä=c", None),
    ("for=1.2.3.4;by=a\\b", None),
    ("by=a b;for=1.2.3.4", None),
    ("by=a\tb;for=1.2.3.4", None),
    ('for=1.2.3.4;by=a\\"b', None),
    ('for=1.2.3.4;by="a"b', None),
    ('for=1.2.3.4;by=a"b"', None),
    ('for=1.2.3.4;by="a""b"', None),
    ('for=1.2.3.4;by="\x00"', None),
    ('for=1.2.3.4;by="\\\x7f"', None),
    ("for=1.2.3.4;for=1.2.3.4", None),
    ("for=1.2.3.4;FOR=5.6.7.8", None),
    ("for=1.2.3.4;for=", None),
    ('for="1.2.3.4', None),
    ('for=1.2.3.4"', None),
    ("for='1.2.3.4'", None),
    ('for=" 1.2.3.4"', None),
    ('for="1.2.3.4\t"', None),
    ('for="1.2.3.4, 5.6.7.8"', None),
    ('for="1.2.3.4;by=5.6.7.8"', None),
    (r"for=1\.2.3.4", None),
    (r"for=\"1.2.3.4\"", None),
    (r'for="\"1.2.3.4\""', None),
    ('for="[1.2.3.4]"', None),
    ('for="[2001:db8::1"', None),
    ('for="2001:db8::1]:80"', None),
    ('for="1.2.3.4:"', None),
    ('for="1.2.3.4:_"', None),
    ('for="1.2.3.4:_a~"', None),
    ('for="1.2.3.4:123456"', None),
    ('for="1.2.3.4:x"', None),
    ('for="[::ffff:1.2.3.4%eth0]"', None),
    ("for=unknown", None),
    ('for="unknown:80"', None),
    ("for=_hidden", None),
    ("for=0.0.0.0", None),
    ('for="[::]"', None),
    ("for=example.com", None),
]


@pytest.mark.parametrize(("element", "expected"), FORWARDED_ELEMENTS)
def test_an_element_of_forwarded(element, expected):
    assert elements([["Forwarded", element]], "forwarded") == [expected]
    line = f"for=6.6.6.6,\t{element} , for=7.7.7.7"
    assert elements([["Forwarded", line]], "forwarded")[-2:] == [expected, "7.7.7.7"]
    assert count([["forwarded", f"for=6.6.6.6 , {element} "]], header="FORWARDED") == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('for=6.6.6.6, for="x', [None]),
        ('for=6.6.6.6, for="x, for=1.1.1.1, for=2.2.2.2', [None, "1.1.1.1", "2.2.2.2"]),
        ('", for=6.6.6.6, for="1.1.1.1"', [None, "6.6.6.6", "1.1.1.1"]),
        ('for="6.6.6.6, for="1.1.1.1"', [None, "1.1.1.1"]),
        ('"a","b","c', [None]),
        ('"a,"b","c"', [None, None, None]),
        ('for="a,b", for=1.1.1.1', [None, "1.1.1.1"]),
        ('by="a,b";for=1.1.1.1, for=2.2.2.2', ["1.1.1.1", "2.2.2.2"]),
        (r'by="a\",b";for=1.1.1.1, for=2.2.2.2', ["1.1.1.1", "2.2.2.2"]),
        (r'by="a\\",for=1.1.1.1', [None, "1.1.1.1"]),
        (r'by="a\\\",b";for=1.1.1.1', ["1.1.1.1"]),
        (r"for=\", for=1.1.1.1", [None, "1.1.1.1"]),
        (r'for=\\", for=1.1.1.1', [None, "1.1.1.1"]),
        (r"\, for=1.1.1.1", [None, "1.1.1.1"]),
        (r'"\, for=1.1.1.1', [None, "1.1.1.1"]),
        ('for=1.1.1.1, by="a, b', [None, None]),
        ("for=1.1.1.1,,for=2.2.2.2,", ["1.1.1.1", None, "2.2.2.2", None]),
    ],
)
def test_quotes_of_forwarded_are_matched_from_the_right(line, expected):
    assert elements([["Forwarded", line]], "Forwarded") == expected


def test_quotes_do_not_reach_beyond_their_line():
    lines = [["Forwarded", 'for=1.1.1.1, for="'], ["Forwarded", '", for=2.2.2.2']]
    assert elements(lines, "Forwarded") == [None, None, "2.2.2.2"]


def split_from_the_right(line):
    """The contract's words, literally: walk from the right end, pair quotes, split outside."""
    parts, part, quoted = [], "", False
    last = "".join(reversed(line))
    swallowing = False
    for place, character in enumerate(last):
        behind = len(last[place + 1 :]) - len(last[place + 1 :].lstrip("\\"))
        if character == '"' and behind % 2 == 0:
            quoted = not quoted
            # Without a partner further left, it is the one that swallows the rest.
            if quoted and not has_quote(last[place + 1 :]):
                swallowing = True
        if character == "," and not quoted and not swallowing:
            parts.append(part)
            part = ""
        else:
            part = character + part
    return [*parts, part][::-1]


def has_quote(reversed_text):
    return any(
        character == '"' and (len(rest) - len(rest.lstrip("\\"))) % 2 == 0
        for character, rest in (
            (reversed_text[place], reversed_text[place + 1 :])
            for place in range(len(reversed_text))
        )
    )


QUOTING = st.text(alphabet='",\\;=a ', max_size=14)


@settings(max_examples=600)
@given(QUOTING)
def test_split_of_forwarded_is_the_literal_one(line):
    assert _derive._split_forwarded(line) == split_from_the_right(line)


# --- Strategies -----------------------------------------------------------------------------------

RANGES = ["10.0.0.0/8", "fd00::/8"]
BY_RANGE = {"strategy": "rightmost_trusted_range", "trusted_ranges": RANGES}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # peer
        ({"strategy": "peer", "peer": "10.0.0.1:80"}, "10.0.0.1"),
        ({"strategy": "peer", "peer": "unix:"}, None),
        ({"strategy": "peer", "peer": ""}, None),
        ({"strategy": "peer", "peer": "@"}, None),
        ({"strategy": "peer"}, None),
        ({"strategy": "peer", "peer": "::ffff:10.0.0.1"}, "10.0.0.1"),
        # rightmost_trusted_range: the peer first
        ({**BY_RANGE, "peer": "1.2.3.4:80", "headers": ["6.6.6.6"]}, "1.2.3.4"),
        ({**BY_RANGE, "peer": "fe80::1%eth0", "headers": ["6.6.6.6"]}, "fe80::1%eth0"),
        ({**BY_RANGE, "peer": "0.0.0.0", "headers": ["6.6.6.6"]}, None),
        ({**BY_RANGE, "peer": "junk", "headers": ["6.6.6.6"]}, None),
        ({**BY_RANGE, "peer": " ", "headers": ["6.6.6.6"]}, None),
        ({**BY_RANGE, "peer": "@x", "headers": ["6.6.6.6"]}, None),
        ({**BY_RANGE, "peer": "10.0.0.1", "headers": ["6.6.6.6"]}, "6.6.6.6"),
        ({**BY_RANGE, "peer": "[fd00::1%eth0]:1", "headers": ["6.6.6.6"]}, "6.6.6.6"),
        ({**BY_RANGE, "peer": "", "headers": ["6.6.6.6"]}, "6.6.6.6"),
        ({**BY_RANGE, "peer": "@", "headers": ["6.6.6.6"]}, "6.6.6.6"),
        ({**BY_RANGE, "peer": None, "headers": ["6.6.6.6"]}, "6.6.6.6"),
        (
            {**BY_RANGE, "trusted_ranges": [], "peer": "10.0.0.1", "headers": ["6.6.6.6"]},
            "10.0.0.1",
        ),
        ({**BY_RANGE, "trusted_ranges": [], "headers": ["6.6.6.6, 10.0.0.1"]}, "10.0.0.1"),
        # then the list
        ({**BY_RANGE, "headers": ["6.6.6.6, 1.1.1.1, 10.0.0.1", "10.0.0.2"]}, "1.1.1.1"),
        ({**BY_RANGE, "headers": ["1.1.1.1, fd00::1%x"]}, "1.1.1.1"),
        ({**BY_RANGE, "headers": ["1.1.1.1, junk, 10.0.0.1"]}, None),
        ({**BY_RANGE, "headers": ["1.1.1.1,, 10.0.0.1"]}, None),
        ({**BY_RANGE, "headers": ["10.0.0.1, 10.0.0.2"]}, None),
        ({**BY_RANGE, "headers": []}, None),
        ({**BY_RANGE, "headers": [], "peer": "10.0.0.1"}, None),
        # rightmost_non_private
        ({"strategy": "rightmost_non_private", "headers": ["9.9.9.9, 1.1.1.1, ::1"]}, "1.1.1.1"),
        ({"strategy": "rightmost_non_private", "headers": ["9.9.9.9, junk, ::1"]}, None),
        ({"strategy": "rightmost_non_private", "headers": ["192.168.0.1"]}, None),
        ({"strategy": "rightmost_non_private", "headers": []}, None),
        # leftmost_non_private
        (
            {"strategy": "leftmost_non_private", "headers": ["junk,, ::1, 1.1.1.1, 9.9.9.9"]},
            "1.1.1.1",
        ),
        ({"strategy": "leftmost_non_private", "headers": ["junk, ::1"]}, None),
        ({"strategy": "leftmost_non_private", "headers": []}, None),
    ],
)
def test_strategy(arguments, expected):
    lines = [[XFF, line] for line in arguments.get("headers", ["9.9.9.9"])]
    assert client_ip(**{**arguments, "headers": lines}) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, "3.3.3.3"), (2, None), (3, "1.1.1.1"), (4, None), (10**30, None)],
)
def test_rightmost_trusted_count(number, expected):
    lines = [[XFF, "1.1.1.1, junk"], ["Other", "5.5.5.5"], ["x-forwarded-for", "3.3.3.3"]]
    assert count(lines, number) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], None),
        ([""], None),
        (["1.1.1.1"], "1.1.1.1"),
        (["junk", "1.1.1.1:80"], "1.1.1.1"),
        (["1.1.1.1", "junk"], None),
        (["1.1.1.1", None], None),
        (["1.1.1.1", ""], None),
    ],
)
def test_single_header_reads_the_last_line(lines, expected):
    arguments = {"strategy": "single_header", "header": "X-Real-IP"}
    assert client_ip([["x-real-ip", line] for line in lines], **arguments) == expected
    assert client_ip({"X-REAL-IP": lines}, **arguments) == expected


def test_names_are_compared_without_case_in_ascii_only():
    lines = [["X-\u212aestrel-IP", "6.6.6.6"], ["X-KESTREL-ip", "1.1.1.1"]]
    assert client_ip(lines, strategy="single_header", header="x-kestrel-IP") == "1.1.1.1"
    assert client_ip(lines[:1], strategy="single_header", header="x-kestrel-IP") is None
    assert count([["X_Forwarded_For", "6.6.6.6"], ["X-Forwarded-For ", "6.6.6.6"]]) is None


# --- Arguments ------------------------------------------------------------------------------------

GOOD = {"headers": [], "strategy": "rightmost_trusted_count", "trusted_count": 1}
SINGLE = {"headers": [], "strategy": "single_header", "header": "X-Real-IP"}
PEER = {"headers": [], "strategy": "peer"}


@pytest.mark.parametrize(
    ("arguments", "argument", "value"),
    [
        ({"headers": []}, "strategy", "None"),
        ({"headers": [], "strategy": ""}, "strategy", "''"),
        ({"headers": [], "strategy": "Peer"}, "strategy", "'Peer'"),
        ({"headers": [], "strategy": "leftmost"}, "strategy", "'leftmost'"),
        ({"headers": [], "strategy": ["peer"]}, "strategy", "['peer']"),
        ({"headers": [], "strategy": b"peer"}, "strategy", "b'peer'"),
        ({**PEER, "headers": None}, "headers", "None"),
        ({**PEER, "headers": "X-Forwarded-For: 1.1.1.1"}, "headers", "'X-Forwarded-For: 1.1.1.1'"),
        ({**PEER, "headers": b"x"}, "headers", "b'x'"),
        ({**PEER, "headers": 7}, "headers", "7"),
        ({**PEER, "headers": {"a"}}, "headers", "{'a'}"),
        ({**PEER, "headers": iter([])}, "headers", "list_iterator"),
        ({**GOOD, "headers": None}, "headers", "None"),
        ({**PEER, "peer": 7}, "peer", "7"),
        ({**PEER, "peer": False}, "peer", "False"),
        ({**PEER, "peer": b"1.1.1.1"}, "peer", "b'1.1.1.1'"),
        ({**PEER, "peer": ["1.1.1.1", 80]}, "peer", "['1.1.1.1', 80]"),
        ({**GOOD, "peer": 7}, "peer", "7"),
        ({**SINGLE, "header": None}, "header", "None"),
        ({**SINGLE, "header": ""}, "header", "''"),
        ({**SINGLE, "header": 7}, "header", "7"),
        ({**SINGLE, "header": "X-Forwarded-For"}, "header", "'X-Forwarded-For'"),
        ({**SINGLE, "header": "x-forwarded-FOR"}, "header", "'x-forwarded-FOR'"),
        ({**SINGLE, "header": "forwarded"}, "header", "'forwarded'"),
        ({**GOOD, "header": "X-Real-IP"}, "header", "'X-Real-IP'"),
        ({**GOOD, "header": ""}, "header", "''"),
        ({**GOOD, "header": 7}, "header", "7"),
        ({**GOOD, "header": ["Forwarded"]}, "header", "['Forwarded']"),
        ({**BY_RANGE, "headers": [], "header": "X-Real-IP"}, "header", "'X-Real-IP'"),
        ({**BY_RANGE, "headers": [], "peer": "9.9.9.9", "header": "Via"}, "header", "'Via'"),
        ({"headers": [], "strategy": "rightmost_non_private", "header": "Via"}, "header", "'Via'"),
        ({"headers": [], "strategy": "leftmost_non_private", "header": "Via"}, "header", "'Via'"),
        ({**GOOD, "trusted_count": None}, "trusted_count", "None"),
        ({**GOOD, "trusted_count": 0}, "trusted_count", "0"),
        ({**GOOD, "trusted_count": -1}, "trusted_count", "-1"),
        ({**GOOD, "trusted_count": True}, "trusted_count", "True"),
        ({**GOOD, "trusted_count": 1.0}, "trusted_count", "1.0"),
        ({**GOOD, "trusted_count": "1"}, "trusted_count", "'1'"),
        ({**GOOD, "trusted_count": [1]}, "trusted_count", "[1]"),
        ({**BY_RANGE, "headers": [], "trusted_ranges": None}, "trusted_ranges", "None"),
        (
            {**BY_RANGE, "headers": [], "trusted_ranges": "10.0.0.0/8"},
            "trusted_ranges",
            "'10.0.0.0/8'",
        ),
        ({**BY_RANGE, "headers": [], "trusted_ranges": ""}, "trusted_ranges", "''"),
        ({**BY_RANGE, "headers": [], "trusted_ranges": {}}, "trusted_ranges", "{}"),
        ({**BY_RANGE, "headers": [], "trusted_ranges": 8}, "trusted_ranges", "8"),
        ({**BY_RANGE, "headers": [], "trusted_ranges": [8]}, "trusted_ranges[0]", "8"),
        (
            {**BY_RANGE, "headers": [], "peer": "9.9.9.9", "trusted_ranges": ["x"]},
            "trusted_ranges[0]",
            "'x'",
        ),
        ({**PEER, "trusted_ranges": RANGES}, "trusted_ranges", "['10.0.0.0/8', 'fd00::/8']"),
        ({**PEER, "trusted_ranges": "10.0.0.0/8"}, "trusted_ranges", "'10.0.0.0/8'"),
        ({**PEER, "trusted_ranges": ["x"]}, "trusted_ranges[0]", "'x'"),
        ({**PEER, "trusted_ranges": ""}, "trusted_ranges", "''"),
        ({**GOOD, "trusted_ranges": RANGES}, "trusted_ranges", "['10.0.0.0/8', 'fd00::/8']"),
        ({**SINGLE, "trusted_ranges": RANGES}, "trusted_ranges", "['10.0.0.0/8', 'fd00::/8']"),
    ],
)
def test_wrong_argument(arguments, argument, value):
    with pytest.raises(DerivationError) as caught:
        client_ip(**arguments)
    assert caught.value.argument == argument
    message = str(caught.value)
    assert message.startswith(f"{argument} must be ")
    assert value in message


@pytest.mark.parametrize(
    "arguments",
    [
        {**PEER, "header": 7, "trusted_count": "x", "trusted_ranges": []},
        {**PEER, "header": "Via", "trusted_count": 0, "trusted_ranges": ()},
        {**SINGLE, "trusted_count": 0, "trusted_ranges": None},
        {**GOOD, "peer": "junk", "trusted_ranges": []},
        {**BY_RANGE, "headers": [], "trusted_count": False},
        {"headers": (), "strategy": "rightmost_non_private", "trusted_count": []},
        {"headers": {}, "strategy": "leftmost_non_private", "header": None},
    ],
)
def test_arguments_that_are_not_looked_at(arguments):
    assert client_ip(**arguments) is None


def test_a_message_is_one_short_line():
    with pytest.raises(DerivationError) as caught:
        client_ip("\x1b[31m\n" * 100_000, strategy="peer")
    message = str(caught.value)
    assert len(message) < 300
    assert message.isprintable()


def test_elements_refuses_what_client_ip_refuses():
    with pytest.raises(DerivationError, match=r"^header must be "):
        elements([], "X-Real-IP")
    with pytest.raises(DerivationError, match=r"^headers must be "):
        elements("X-Forwarded-For: 1.1.1.1")


# --- Containers -----------------------------------------------------------------------------------


class LazyList(Sequence):
    """Like the containers that templating hands over: neither list nor dict."""

    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, place):
        return self.items[place]


class LazyMapping(Mapping):
    def __init__(self, items):
        self.content = items

    def __len__(self):
        return len(self.content)

    def __iter__(self):
        return iter(self.content)

    def __getitem__(self, key):
        return self.content[key]


@pytest.mark.parametrize(
    "headers",
    [
        [["A", "x"], [XFF, "6.6.6.6"], [XFF, "1.1.1.1"]],
        ((XFF, "6.6.6.6"), (XFF, "1.1.1.1")),
        [(b"X-Forwarded-For", b"6.6.6.6"), (b"x-forwarded-for", "1.1.1.1")],
        LazyList(LazyList(XFF, "6.6.6.6"), LazyList(XFF, "1.1.1.1")),
        {XFF: "6.6.6.6, 1.1.1.1"},
        {XFF: ["6.6.6.6", "1.1.1.1"]},
        {XFF: ("6.6.6.6", b"1.1.1.1")},
        {"X-Forwarded-For": "6.6.6.6", "x-forwarded-for": "1.1.1.1"},
        {b"X-Forwarded-For": [b"6.6.6.6, 1.1.1.1"]},
        LazyMapping({XFF: LazyList("6.6.6.6", "1.1.1.1")}),
    ],
)
def test_containers(headers):
    assert elements(headers) == ["6.6.6.6", "1.1.1.1"]
    ranges = LazyList("1.0.0.0/8")
    assert (
        client_ip(headers, strategy="rightmost_trusted_range", trusted_ranges=ranges) == "6.6.6.6"
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        # What is no header line at all
        ([None, 7, "ab", [], {}, [None, None], [["X-Forwarded-For"], "6.6.6.6"]], []),
        ({None: "6.6.6.6", 7: "6.6.6.6", (): "6.6.6.6"}, []),
        # A header line whose value cannot be read counts
        ([[XFF], [XFF, "1.1.1.1", "x"], [XFF, "x", "1.1.1.1"], [XFF, None]], [None] * 4),
        ([[XFF, ["1.1.1.1"]], [XFF, {}], [XFF, "1.1.1.1"]], [None, None, "1.1.1.1"]),
        ({XFF: [None, 7, ["1.1.1.1"], "2.2.2.2"]}, [None, None, None, "2.2.2.2"]),
        ({XFF: None}, [None]),
        ({XFF: 16843009}, [None]),
        ({XFF: {"1.1.1.1": 1}}, [None]),
        ({XFF: []}, []),
        ({XFF: bytearray(b"1.1.1.1")}, [None]),
    ],
)
def test_anything_inside_the_container(headers, expected):
    assert elements(headers) == expected


# --- Properties -----------------------------------------------------------------------------------

ADDRESS = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: str(address).partition("%")[0]),
).filter(canonical)
PUBLIC = ADDRESS.filter(lambda text: not is_private(parse_address(text).address))
HOP = st.sampled_from(
    ["10.0.0.1", "10.255.0.9:80", "[fd00::1]:443", "fd12::1%eth0", "::ffff:10.0.0.1"]
)
JUNK = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=' \t",;=\\[]:.%for0127', max_size=30),
    st.lists(ADDRESS, max_size=3).map(", ".join),
    st.lists(ADDRESS, max_size=3).map(lambda some: ", ".join(f'for="{one}' for one in some)),
)
LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.binary(max_size=30),
)
NAME = st.one_of(st.sampled_from([XFF, "forwarded", "X-Real-IP", b"FORWARDED"]), LEAF)
ANYTHING = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(NAME, inner),
        st.dictionaries(NAME, inner, max_size=4),
        st.frozensets(LEAF, max_size=3),
    ),
    max_leaves=12,
)
CALLS = [
    {"strategy": "peer"},
    {"strategy": "single_header", "header": "X-Real-IP"},
    *(
        {"strategy": strategy, "header": header, **more}
        for header in (XFF, "Forwarded")
        for strategy, more in (
            ("rightmost_trusted_count", {"trusted_count": 1}),
            ("rightmost_trusted_count", {"trusted_count": 2}),
            ("rightmost_trusted_range", {"trusted_ranges": RANGES}),
            ("rightmost_non_private", {}),
            ("leftmost_non_private", {}),
        )
    ),
]


def test_every_strategy_is_called():
    assert {call["strategy"] for call in CALLS} == set(STRATEGIES)


def written(header, addresses):
    """Elements as proxies write them."""
    quoted = {XFF: "{}", "Forwarded": 'proto=https;for="{}"'}[header]
    return [quoted.format(address) for address in addresses]


@given(
    st.one_of(
        st.lists(st.one_of(ANYTHING, st.tuples(NAME, JUNK))), st.dictionaries(NAME, ANYTHING)
    ),
    JUNK,
)
def test_nothing_of_a_sender_raises(headers, peer):
    for call in CALLS:
        found = client_ip(headers, peer=peer, **call)
        assert found is None or canonical(found) == found


@given(JUNK)
def test_an_answer_is_its_own_answer(text):
    for header in (XFF, "Forwarded"):
        for found in filter(None, elements([[header, text]], header)):
            assert canonical(found) == found
            assert count([[XFF, found]]) == found
            assert count([["Forwarded", f'for="{found}"']], header="Forwarded") == found
            assert client_ip([], peer=found, strategy="peer") == found
            single = {"strategy": "single_header", "header": "X-Real-IP"}
            assert client_ip({"X-Real-IP": found}, **single) == found


@given(
    st.sampled_from([XFF, "Forwarded"]),
    st.lists(JUNK, max_size=3),
    JUNK,
    PUBLIC,
    st.lists(HOP, max_size=3),
    st.booleans(),
)
def test_forged_prefixes_never_change_a_rightmost_answer(
    header, forged, prefix, client, hops, joined
):
    honest = written(header, [client, *hops])
    # A trusted proxy appends to the client's line or adds a line of its own.
    lines = [[header, line] for line in forged]
    lines.append([header, ", ".join([prefix, *honest] if joined else honest)])
    expected = canonical(client)
    assert count(lines, len(honest), header) == expected
    for call in CALLS:
        rightmost = call["strategy"] in ("rightmost_trusted_range", "rightmost_non_private")
        if rightmost and call["header"] == header:
            assert client_ip(lines, peer="10.0.0.5:999", **call) == expected
    assert elements(lines, header)[-len(honest) :][0] == expected


@given(PUBLIC, st.lists(HOP, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_trusted_hops_and_ranges_does_not_matter(client, hops, random):
    shuffled_hops, shuffled_ranges = list(hops), list(RANGES)
    random.shuffle(shuffled_hops)
    random.shuffle(shuffled_ranges)
    line = [[XFF, ", ".join([client, *shuffled_hops])]]
    found = client_ip(line, strategy="rightmost_trusted_range", trusted_ranges=shuffled_ranges)
    assert found == canonical(client)


# --- Time -----------------------------------------------------------------------------------------

HOSTILE = [
    *'",;\\[:%=1a \t',
    '\\"',
    '"\\',
    '"a',
    '"\\"',
    "\\\\",
    ";=",
    "for=",
    'for="',
    "for=1;",
    "::",
    "1:",
    "1.",
    "10.0.0.1,",
    "for=10.0.0.1,",
    'for="[fd00::1]:80",',
]


def seconds(text, size):
    line = text * (size // len(text))
    values = (line, f'for="{line}"', f"for={line}", f"fe80::1%{line}", f"{line}x")
    begin = time.process_time()
    for value in values:
        for call in CALLS:
            client_ip(dict.fromkeys((XFF, "Forwarded", "X-Real-IP"), value), peer=value, **call)
    return time.process_time() - begin


@pytest.mark.parametrize("text", HOSTILE)
def test_time_is_linear_in_the_length(text):
    size = 8_000
    once = min(seconds(text, size) for run in range(3))
    # Quadratic would be 64 times.
    assert seconds(text, 8 * size) < 24 * once + 0.01


def test_the_number_of_ranges_does_not_multiply_the_time():
    lines = [[XFF, ",".join(["10.0.0.1"] * 20_000)]]

    def cost(number):
        ranges = [
            *(f"11.{place >> 8}.{place & 255}.0/24" for place in range(0, number, 2)),
            "10.0.0.0/8",
        ]
        begin = time.process_time()
        client_ip(lines, strategy="rightmost_trusted_range", trusted_ranges=ranges)
        return time.process_time() - begin

    # One look at each of 1,000 ranges for each element would take minutes.
    assert cost(2_000) < 5 * min(cost(2) for run in range(3)) + 0.2
