# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Forged headers: which to send, what became of each, and what an application may trust after that.

A client can write any header. What tells the truth is what the proxies on the path make of it, and
that is seen only by trying.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from ipaddress import ip_address
from itertools import chain, islice
from struct import pack
from typing import Any, Callable, NamedTuple, TypeVar

from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    DEFAULT_HEADER,
    TOKEN,
    Address,
    Network,
    bracketed,
    canonical,
    is_private,
    parse_ranges,
)

Fields = Sequence[tuple[str, str]]
Lines = tuple[tuple[str, str], ...]
_T = TypeVar("_T")


class Preface(NamedTuple):
    """How a proxy begins a connection by the PROXY protocol. ``version``: 1 or 2, of which some
    take one only; ``source``: the client's address; ``place``: the number of the place where he
    asked, of those where he may have; ``port``: where that is to have another one.
    """

    version: int
    source: str
    place: int = 0
    port: int = 0

    def __str__(self) -> str:
        asked = f" at {self.port}" if self.port else ""
        return f"PROXY {self._kind if self.version == 1 else 'v2'} {self.source}{asked}"

    @property
    def _kind(self) -> str:
        return "TCP6" if ":" in self.source else "TCP4"

    def sent(self, places: Sequence[tuple[Address, int]], host: str = "") -> bytes:
        """What is sent: some go by where the client is said to have asked, as Envoy, which can have
        a chain of filters for each of these ``places``. Both addresses are of one family. Of who
        asked at 443 the second version tells the ``host`` in TLS too, by which some go as well.
        """
        source = ip_address(self.source)
        own = [one for one in places if one[0].version == source.version]
        asked, port = own[min(self.place, len(own) - 1)] if own else (source, places[0][1])
        port = self.port or port
        if self.version == 1:
            return f"PROXY {self._kind} {source} {asked} {_SOURCE_PORT} {port}\r\n".encode()
        block = source.packed + asked.packed + pack("!HH", _SOURCE_PORT, port)
        block += _of_tls(host) if self.port == _HTTPS and host else b""
        family = b"\x11" if source.version == 4 else b"\x21"
        return _SIGNATURE + b"\x21" + family + pack("!H", len(block)) + block


def _of_tls(host: str) -> bytes:
    """What who ended TLS says of it: protocol, host, and that there was TLS (section 2.2)."""
    tls = pack("!BI", 1, 0) + _told(0x21, b"TLSv1.3")
    return _told(1, b"http/1.1") + _told(2, host.encode("ascii", "ignore")) + _told(0x20, tls)


def _told(kind: int, value: bytes) -> bytes:
    return pack("!BH", kind, len(value)) + value


_HTTPS = 443
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_SOURCE_PORT = 6666


class Forgery(NamedTuple):
    """One forged request. ``header``: whose forgery; ``lines``: sent; ``values``: in them.

    ``public``: those of the values that are globally routable; ``repeated``: sent as often as
    honest requests, since backends can differ in what they believe; ``preface``: sent before
    anything else on the connection, with ``within`` as the first thing within TLS;
    ``near``: the values are beside the prober's own address, so that by chance it is seen with one
    of them where it is translated to several; ``sender``: the proxy from which it is to look as if
    it came, where that is none of the values, or the prober itself where a list is to tell that;
    ``host``: stands in Host, with the asked one in the place of ``<host>``, with ``absolute`` in a
    request that names the asked one before (RFC 9112, 3.2.2), so that Host may be anything;
    ``query``: stands in its query.
    """

    header: str
    lines: Lines
    values: tuple[str, ...]
    repeated: bool = False
    preface: Preface | None = None
    within: bool = False
    near: bool = False
    sender: str = ""
    host: str = ""
    absolute: bool = False
    query: str = ""

    @property
    def opens(self) -> bool:
        """Whether who answers only what came through a proxy may answer this."""
        named = (name.lower() for name, _value in self.lines)
        return bool(self.preface) or _COMPANIONS[0][0].lower() in named

    @property
    def asks_else(self) -> bool:
        """Whether it asks for another host or path, where somebody else may answer or refuse."""
        return bool(self.host or self.query)

    @property
    def names_itself(self) -> bool:
        """Whether it tells the prober's own address by the PROXY protocol."""
        return bool(self.preface) and self.values == (self.sender,)

    def names_one_of(self, values: Iterable[str]) -> bool:
        """Whether one of these addresses stands in a line, and not only an empty header."""
        return any(value in text for value in values for _name, text in self.lines)

    @property
    def in_lines(self) -> bool:
        """Whether a header is repeated."""
        return len({name for name, _value in self.lines}) < len(self.lines)

    @property
    def is_well_formed(self) -> bool:
        """Whether its header is there and has nothing but addresses, as a proxy writes them."""
        own = [value for name, value in self.lines if name == self.header]
        known = {_element(self.header, value) for value in self.values}
        return bool(own) and all(known.issuperset(value.split(", ")) for value in own)

    @property
    def alone(self) -> bool:
        """Whether no other header is forged with it."""
        return len({name for name, _value in self.lines}) == 1

    @property
    def public(self) -> tuple[str, ...]:
        return tuple(value for value in self.values if not is_private(ip_address(value)))


# --- What is sent ---------------------------------------------------------------------------------

#: Of the first kind one, and of the second: what a strategy does with an address hangs on its kind.
_PUBLIC = ("6.6.6.6", "7.7.7.7", "9.9.9.9", "130.6.6.6", "212.6.6.6")
_DOCUMENTATION = ("192.0.2.66", "198.51.100.66", "203.0.113.66")

#: Who checks what a client wrote may let through what isn't like those: proxies of one's own have
#: private addresses, and not everybody knows IPv6.
#: Of each kind the first that isn't expected: an expected range can hold all of a private one.
_UNLIKELY = (
    ("10.6.6.6", "172.16.6.6", "192.168.6.6"),
    ("127.6.6.6",),
    ("2606:6666::6", "2a06:6666::6"),
)

#: Whom a proxy believes that takes its own machine for trusted. In one request of each header only:
#: proxies next to an app hand on this address in earnest.
_LOOPBACK = "127.0.0.1"

#: All of them; beside these, addresses of trusted ranges are forged.
CHOSEN = (*_PUBLIC, *_DOCUMENTATION, *chain.from_iterable(_UNLIKELY), _LOOPBACK)

_LISTS = ("X-Forwarded-For", "Forwarded")
# Who counts proxies may look at a list of just so many.
_SEVERAL = (3, 4, 5)
# Envoy with trusted ranges reads no list of more than 20, others cut what is longer than a buffer:
# of 1 KiB, or of 4. Most servers take no line of more than 8.
_LONG, _LONGEST_BYTES = 128, 6000

#: Other headers in which proxies and CDNs hand an address on. A proxy that believes one of them
#: writes what the client chose into a header that the strategy reads.
HEARSAY = (
    "CF-Connecting-IP",
    "EO-Client-IP",
    "EO-Connecting-IP",
    "Fastly-Client-IP",
    "True-Client-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Envoy-External-Address",
    "X-Original-Forwarded-For",
)

#: Those of them and of the rarer ones that nothing but a CDN writes, or an ingress-nginx behind one
OF_A_CDN = (
    "Ali-CDN-Real-IP",
    "CF-Connecting-IP",
    "CloudFront-Viewer-Address",
    "EO-Client-IP",
    "EO-Connecting-IP",
    "Fastly-Client-IP",
    "Incap-Client-IP",
    "True-Client-IP",
    "X-Azure-ClientIP",
    "X-Original-Forwarded-For",
)

#: Rarer ones, all in one request with those above.
_RUMOURS = (
    "Ali-CDN-Real-IP",
    "Ali-Real-Client-IP",
    "Ar-Real-IP",
    "CDN-Real-IP",
    "CDN-Src-IP",
    "CF-Connecting-IPv6",
    "CF-Pseudo-IPv4",
    "Client-IP",
    "CloudFront-Viewer-Address",
    "Cluster-Client-IP",
    "DDG-Connecting-IP",
    "DO-Connecting-IP",
    "Fly-Client-IP",
    "Forwarded-For",
    "HTTP-Client-IP",
    "HTTP-X-Forwarded-For",
    "Incap-Client-IP",
    "Proxy-Client-IP",
    "Remote-Addr",
    "Remote-Host",
    "WL-Proxy-Client-IP",
    "X-Appengine-Remote-Addr",
    "X-Appengine-User-IP",
    "X-Azure-ClientIP",
    "X-Azure-SocketIP",
    "X-Forward-For",
    "X-Forwarded",
    "X-Hwwaf-Client-IP",
    "X-Hwwaf-Real-IP",
    "X-Middleton-IP",
    "X-NF-Client-Connection-IP",
    "X-Original-Remote-Addr",
    "X-Originating-IP",
    "X-ProxyUser-IP",
    "X-Qrator-IP-Source",
    "X-RDWR-IP",
    "X-Real-Client-IP",
    "X-Remote-Addr",
    "X-Remote-IP",
    "X-SP-Forwarded-IP",
    "X-Sucuri-ClientIP",
    "X-True-Client-IP",
    "X-Vercel-Forwarded-For",
    "X-Vercel-Proxied-For",
    "Z-Forwarded-For",
)

#: Names in lower case of headers in which somebody on a path may look for the client's address.
CARRIERS = frozenset(name.lower() for name in (*HEARSAY, *_RUMOURS))

_HEARD_OF = frozenset((*CARRIERS, *map(str.lower, ("Host", "X-Real-IP", *_LISTS))))

#: By these a request looks like one that came through a proxy, for who believes only such.
_COMPANIONS = (
    ("CF-Ray", "8f6666666666666-FRA"),
    ("CF-IPCountry", "DE"),
    ("CF-Visitor", '{"scheme":"https"}'),
    ("CloudFront-Forwarded-Proto", "https"),
    ("Front-End-Https", "on"),
    ("Via", "1.1 front"),
    ("X-Forwarded-Port", "443"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Scheme", "https"),
    ("X-Forwarded-Protocol", "https"),
    ("X-Forwarded-Ssl", "on"),
    ("X-Client-Scheme", "https"),
    ("X-Url-Scheme", "https"),
)
#: By this one a CDN proves who asks.
_PROOF = "X-Azure-FDID"
# Not everywhere a request with these arrives, so that they stand in one of its own.
_FROM_ELSEWHERE = (
    ("X-Forwarded-Host", "front.example"),
    ("CDN-Loop", "cloudflare"),
    ("X-Amz-Cf-Id", "f6666666666666666666666666666666666666666666666666666w=="),
    (_PROOF, "66666666-6666-6666-6666-666666666666"),
)
#: Others by which a CDN or balancer is known to have been passed, and some count it as their own:
#: Fastly's, Varnish's, AWS', Google's, Imperva's, EdgeOne's, Tencent's
_PASSED = (
    ("Fastly-FF", "cache-lon6666-LON"),
    ("Fastly-Client", "1"),
    ("Fastly-SSL", "1"),
    ("X-Varnish", "66666"),
    ("X-Amzn-Trace-Id", "Root=1-66666666-666666666666666666666666"),
    ("X-Cloud-Trace-Context", "66666666666666666666666666666666/6;o=0"),
    ("Incap-Proxy-ID", "6"),
    ("EO-LOG-UUID", "6666666666666666666"),
    ("X-NWS-LOG-UUID", "6666666666666666666"),
)


#: Names in lower case of these, but for one that proves who asks, and of others that CDNs write of
#: a client, a request or themselves, as CloudFront's User-Agent: what honest answers show of them
#: may be looked for, and is no secret
COMPANIONS = frozenset(
    name.lower()
    for name in (
        *dict((*_COMPANIONS, *_FROM_ELSEWHERE, *_PASSED)),
        *("Akamai-Origin-Hop", "CDN-RequestId", "CDN-ServerId", "User-Agent", "X-Azure-Ref"),
        *("X-Azure-RequestChain", "X-CDN", "X-Resource", "Zen-Host"),
        *("CloudFront-Viewer-Country", "EO-Client-IPCountry", "X-Client-Country", "X-Client-Geo"),
        *("X-Country-Code", "X-Geo-Country"),
    )
    if name != _PROOF
)

#: Names in lower case of lines that forged requests have and that nobody looks for an address in
NO_CARRIERS = COMPANIONS | {_PROOF.lower(), "connection", "proxy-connection"}


#: Envoy takes nine options of a connection, of which two are others.
_HOPS = 7


#: Varnish takes 64 lines, the proxies' own among them.
_LINES = 16

#: What stands beside the rarer headers: who believes a CDN's may look for that one's mark as well.
_MARKS: tuple[Lines, ...] = (
    _COMPANIONS,
    (*_COMPANIONS, *_FROM_ELSEWHERE),
    (*_COMPANIONS, *_PASSED),
)


def _in_parts(names: Sequence[_T], most: int) -> list[tuple[_T, ...]]:
    return [(*names[first : first + most],) for first in range(0, len(names), most)]


def _unlike(candidates: Iterable[Address], avoided: Sequence[Network]) -> list[str]:
    """The first candidate that is no expected address, if there is one."""
    free = (one for one in candidates if not any(one in network for network in avoided))
    return [str(one) for one in islice(free, 1)]


def _trusted(expected: Sequence[Network], trusted_ranges: Sequence[str]) -> list[str]:
    # Gateways and proxies have the first or last ones.
    trusted = (
        network[(network.num_addresses // 3 + place) % network.num_addresses]
        for network in parse_ranges(trusted_ranges)
        for place in (1, 2)
    )
    return _unlike(trusted, expected)


def _values(expected: Sequence[Network], trusted_ranges: Sequence[str]) -> list[str]:
    return [
        *_unlike(map(ip_address, _PUBLIC), expected),
        *_unlike(map(ip_address, _DOCUMENTATION), expected),
        *_trusted(expected, trusted_ranges),
    ]


def _names(header: str | None) -> dict[str, str]:
    """The headers that are forged alone, by their names in lower case: those that are read, written
    as the standards do, since the fate of a header is reported under that name.
    """
    known = ("X-Real-IP", *_LISTS)
    return {name.lower(): name for name in (header or DEFAULT_HEADER, *known)} | {
        name.lower(): name for name in known
    }


def _element(header: str, value: str) -> str:
    if header.lower() != "forwarded":
        return value
    return f'for="[{value}]"' if ":" in value else f"for={value}"


def _with_port(header: str, value: str) -> str:
    host = bracketed(value)
    return f'for="{host}:6666"' if header.lower() == "forwarded" else f"{host}:6666"


def _quoted(header: str, value: str) -> str:
    return f'for="{value}"' if header.lower() == "forwarded" else f'"{value}"'


def _mapped(value: str) -> list[str]:
    """An IPv4 address as one of IPv6, as sockets of both families have it."""
    return [] if ":" in value else [f"::ffff:{value}"]


def _alone(header: str, values: Iterable[str]) -> Iterable[tuple[str, ...]]:
    return ((_element(header, value),) for value in values)


def _forms(header: str, values: Sequence[str]) -> Iterable[tuple[str, ...]]:
    """The values of the lines of each forged request."""
    first, last = values[0], values[-1]
    yield from _alone(header, values)
    # A proxy may write anew only the first of them.
    yield (_element(header, first), _element(header, last))
    # Not all that looks for a text takes an empty one for one, nor what isn't an address.
    yield ("",)
    yield (_element(header, "unknown"),)
    # A list goes to those as well that read one address, and most who write Forwarded say more.
    yield (", ".join(_element(header, value) for value in values),)
    if header == "Forwarded":
        yield (f"{_element(header, first)};host=front.example;proto=https",)
    if header in _LISTS:
        yield (f'unknown, "{_element(header, first)}',)
        element = _element(header, first)
        for count in (*_SEVERAL, _LONG, _LONGEST_BYTES // len(f"{element}, ")):
            yield (", ".join([element] * count),)


def _handed_on(header: str, value: str, ipv6: str) -> str:
    """The value as those write it who hand an address on: who looks for that takes nothing else."""
    if header == "CloudFront-Viewer-Address":
        return _with_port(header, value)
    return ipv6 if header == "CF-Connecting-IPv6" else value


def _in_cases(header: str, value: str) -> list[Lines]:
    """Of lines that are one header, who compares text may drop or write anew only one, in its
    place or behind the others, however it spells the name. To some so are those with underscores.
    """
    element = _element(header, value)
    spelled = dict.fromkeys([header, header.lower(), header.upper(), header.capitalize()])
    lines = [(name, element) for name in spelled]
    usual, small = lines[0], lines[1] if len(lines) > 1 else lines[0]
    other = header.replace("-", "_") if "-" in header else header.replace("_", "-")
    scored = [usual, (other, element)]
    mingled = [(*scored,), (*reversed(scored),)] if other != header else []
    return [(small, usual), (*lines,), (*reversed(lines),), *mingled]


def _unlikely(header: str, values: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Lines that a proxy may not take for those that it drops or writes anew."""
    # Names mean the same in any case, but not to who compares text.
    yield header.lower(), _element(header, values[0])
    yield header.upper(), _with_port(header, values[0])
    yield header, _quoted(header, values[0])
    for value in (*values[1:], *_mapped(values[0])):
        yield header, _element(header, value)
    # Not everybody who takes brackets off looks for them without a port, nor with one.
    for value in values[1:] if header != "Forwarded" else ():
        if ":" in value:
            yield header, f"[{value}]"
            yield header, _with_port(header, value)


def _lines(names: Mapping[str, str], value: str, times: int = 1) -> list[tuple[str, str]]:
    """A line of each header, that of a list with the value so many times."""
    return [
        (name, ", ".join([_element(name, value)] * (times if name in _LISTS else 1)))
        for name in names.values()
    ]


def _rumours(names: Mapping[str, str], value: str, ipv6: str) -> list[tuple[str, str]]:
    """Lines of all other headers in which somebody may hand an address on."""
    others = (name for name in (*HEARSAY, *_RUMOURS) if name.lower() not in names)
    return [(name, _handed_on(name, value, ipv6)) for name in others]


def _counted(names: Mapping[str, str], value: str, ipv6: str) -> Lines:
    """A line of every header, as long as any that proxies are counted in, and companions."""
    several = _lines(names, value, _SEVERAL[-1])
    return (*several, *_rumours(names, value, ipv6), *_COMPANIONS)


#: The PROXY protocol's versions, and under which names their fates are told
_VERSIONS = {1: "PROXY", 2: "PROXY v2"}
#: Places where a client may have asked, and ports there: who is told another one may redirect
_ASKED_AT = ((0, 0), (1, 0), (2, 0), *((0, port) for port in (80, _HTTPS, 8080, 8443)))


def _with_prefaces(
    senders: Iterable[str],
    values: tuple[str, ...],
    read: str = "",
    lines: Lines = (),
    anywhere: bool = False,
) -> Iterable[Forgery]:
    """Requests that begin with the PROXY protocol, ahead of the lines: who takes nothing without it
    may believe them too. Who ends TLS hands on what is in it as it came, to who may take it too.
    """
    for within in (False, True):
        for sender in senders:
            for place, port in _ASKED_AT if anywhere else _ASKED_AT[:1]:
                for version, kind in _VERSIONS.items():
                    preface = Preface(version, sender, place, port)
                    yield Forgery(read or kind, lines, values, preface=preface, within=within)


def _from_proxy(names: Mapping[str, str], read: str, value: str, proxy: str) -> Iterable[Forgery]:
    """Requests that look by a header as if they came from a proxy: who goes by that header in
    admitting it alone may believe another one, or another entry.

    A list is looked at from its end or, by who trusts all of it, from its beginning.
    """
    forged = dict(_counted(names, value, value))
    lists = [name for name in names.values() if name in _LISTS]
    singles = [name for name in forged if name not in (*lists, *dict(_COMPANIONS))]
    at_its_end = {name: f"{forged[name]}, {_element(name, proxy)}" for name in lists}
    at_its_beginning = {name: f"{_element(name, proxy)}, {forged[name]}" for name in lists}
    alone = {DEFAULT_HEADER: proxy}
    by_another = {name: _handed_on(name, proxy, proxy) for name in singles if name != read}
    for admitted in (at_its_end, at_its_beginning, alone, by_another):
        yield Forgery(read, (*{**forged, **admitted}.items(),), (value,), sender=proxy)


#: Who writes Forwarded may copy Host or the path with its query into it, where these begin an
#: element, also of who puts them in quotes, and of who takes the last of several hosts for Host.
_BREAKS = (",for={}", '",for="{}', ', "host,for={}')
_BEHIND_HOSTS = [f"<host>{one}" for one in _BREAKS]
#: In Host alone: a comma behind an open quote divides nothing for HAProxy, who chooses by host and
#: path in one text takes what is behind a slash for a path (OpenShift's router), nginx finds its
#: server by what is before a colon, and by the end where a name begins with ``*``, as Caddy does,
#: which counts its dots.
_IN_HOSTS = (
    *('<host>",for={}', '<host>/",for={}', "<host>:80,for={}"),
    *('<host>:80",for={}', '<host>:80",for="{}'),
    *("x,for={};x=<host>", 'x",for={};x=<host>', 'x",for={};x="<host>'),
    # Whose own address stands behind it (Spring Cloud Gateway)
    *("<host>;for={},x=y", "<host>:80;for={},x=y", '<host>";for={},x="y'),
)
_WITHOUT_DOTS = ("x,for=[{}];x=<host>", 'x",for=[{}];x=<host>')
COPIED = (
    *(
        Forgery("Forwarded", (), (value,), host=one.format(value), absolute=absolute)
        for value, forms, absolute in (
            (_PUBLIC[0], _BEHIND_HOSTS, False),
            (_PUBLIC[0], _BEHIND_HOSTS, True),
            (_PUBLIC[0], _IN_HOSTS, False),
            (_UNLIKELY[2][0], _WITHOUT_DOTS, False),
        )
        for one in forms
    ),
    *(Forgery("Forwarded", (), _PUBLIC[:1], query=one.format(_PUBLIC[0])) for one in _BREAKS[:2]),
)

#: So many honest answers tell whether the prober has one address.
_ENOUGH = 5
#: Of the proxies that may be admitted alone, so many are tried: of the probed addresses, of those
#: in header lines, and of the peers. The last may be many that are none, as nodes that translate.
_SENDERS = (3, 3, 1)
_TOKEN = re.compile(TOKEN)
_OTHERWISE = str.maketrans("-_", "_-")
#: So many of the prober's own addresses are tried in a list, by the honest answers.
_OWN = 2
#: So many headers that no list here has are tried alone in which honest answers show the address;
#: of more all stand in one request.
_UNHEARD_OF = 3
_PART = re.compile(r"[^\s,;=\"]+")


def _addresses_in(text: str) -> list[str]:
    return [one for one in map(canonical, _PART.findall(text)) if one]


def unheard_of(headers: Fields, seen: str) -> Lines:
    """Header lines that have the address that is ``seen``, with ``{}`` in its place: of names that
    aren't forged anyway, so that somebody on the path knows one of his own.

    Such a line has nothing but addresses: what else stands there could be a secret.
    """
    found = {
        name: _without(seen, value)
        for name, value in headers
        if _normal(name) not in _HEARD_OF and _has_only_addresses(value, seen)
        # An echo app may claim what can't be sent.
        if _TOKEN.fullmatch(name) and value.isascii() and value.isprintable()
    }
    return (*found.items(),)[-_LINES:]


#: Names in lower case of lines that nobody on the path need have added: that the prober sends
#: itself, that are about one connection or the body, or that are named anyway
_NOT_ADDED = _HEARD_OF | {
    *("accept", "accept-encoding", "cache-control", "connection", "content-length", "host"),
    *("keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"),
}
#: More aren't named in Connection.
_ADDED = 21


def added(headers: Fields) -> tuple[str, ...]:
    """Names of header lines that somebody on the path writes, by what arrived of an honest request:
    who looks for one may believe another header, or nobody, where it is missing.
    """
    names = dict.fromkeys(name.lower() for name, _value in headers)
    return tuple(
        name
        for name in names
        if name not in _NOT_ADDED and "kestrel" not in name and _TOKEN.fullmatch(name)
    )[-_ADDED:]


def _has_only_addresses(text: str, one: str) -> bool:
    addresses = [*map(canonical, _PART.findall(text))]
    return one in addresses and None not in addresses


#: Behind an address: of IPv6 in brackets
_AT_PORT = re.compile(r"(?:\]|\A[^:]*)(:\d+)\Z")


def _without(seen: str, text: str) -> str:
    """The text with ``{}`` in the place of an address, beside the port that this had."""

    def put(part: re.Match[str]) -> str:
        if canonical(part[0]) != seen:
            return part[0]
        port = _AT_PORT.search(part[0])
        return "{}" + (port[1] if port else "")

    return _PART.sub(put, text)


def _proxies(seen: Sequence[str], told: Sequence[str]) -> list[str]:
    """The first few addresses of each kind that is ``told``, none twice, nor the prober's own."""
    found: list[str] = []
    for text, most in zip(told, _SENDERS):
        others = dict.fromkeys(_addresses_in(text))
        found += [one for one in others if one not in (*seen, *found)][:most]
    return found


def _with(unheard: Fields, value: str) -> list[tuple[str, str]]:
    """What :func:`unheard_of` has found, with this value."""
    return [
        (name, text.replace("{}:", f"{bracketed(value)}:").replace("{}", value))
        for name, text in unheard
    ]


def _unheard(unheard: Fields, value: str) -> Iterable[Forgery]:
    """Requests with the value in what :func:`unheard_of` has found.

    What the last proxy sets stands before what others wrote, so that the last are sent alone. To
    some an underscore is a dash.
    """
    lines = _with(unheard, value)
    alike = [(name.translate(_OTHERWISE), text) for name, text in lines]
    alone = [[line] for line in lines[-_UNHEARD_OF:]]
    marked = [[*lines, *marks] for marks in _MARKS]
    for some in [*alone, lines, alike, *marked] if lines else ():
        yield Forgery(some[0][0], (*some,), (value,))


def _as_that_cdn(
    names: Mapping[str, str], read: str, companions: Fields, unheard: Fields
) -> Iterable[Forgery]:
    """Requests beside the header lines that a CDN wrote."""
    lines = _counted(names, _PUBLIC[0], _PUBLIC[0])
    theirs = {name.lower(): (name, value) for name, value in companions}
    replaced = [theirs.pop(name.lower(), (name, value)) for name, value in lines]
    yield Forgery(read, (*replaced, *theirs.values()), _PUBLIC[:1])
    # As a real one of that CDN looks, with what somebody knows of his own as well
    several = dict((*_COMPANIONS[:1], *companions))
    for more in ((), _with(unheard, _PUBLIC[0])):
        lines = (*more, *_lines(names, _PUBLIC[0]), *several.items())
        yield Forgery(read, lines, _PUBLIC[:1])


def _without_marks(
    names: Mapping[str, str], unheard: Fields, names_added: Sequence[str]
) -> Iterable[Forgery]:
    """Requests that take away what somebody on the path writes, or begin it."""
    hops = {name.lower(): name for name in (*names_added, *(name for name, _text in unheard))}
    for some in _in_parts([*hops.values()], _HOPS):
        option = ", ".join(["close", *some, _PUBLIC[0]])
        yield from _also_with_lines(names, (("Connection", option),))
    # Who adds a line to the client's (HAProxy's add-header) leaves it to the next what that means.
    for some in _in_parts(names_added, _LINES):
        yield from _also_with_lines(names, tuple((name, _PUBLIC[0]) for name in some))


def _also_with_lines(names: Mapping[str, str], lines: Lines) -> Iterable[Forgery]:
    """Who misses the one that these take away may look at what the client began."""
    for more in ((), _lines(names, _PUBLIC[0])):
        yield Forgery(lines[0][0], (*lines, *more), _PUBLIC[:1])


def _through(names: Mapping[str, str], read: str, proxy: str) -> Iterable[Forgery]:
    lines = _counted(names, _PUBLIC[0], _PUBLIC[0])
    for one in _with_prefaces([proxy], _PUBLIC[:1], read, lines):
        yield one._replace(sender=proxy)
    yield from _from_proxy(names, read, _PUBLIC[0], proxy)


def _through_itself(names: Mapping[str, str], read: str, value: str) -> Iterable[Forgery]:
    """Some add no address that stands in a list already (Zuul), or believe who names himself."""
    for name in _LISTS:
        line = ", ".join(_element(name, one) for one in (value, _PUBLIC[0]))
        yield Forgery(name, ((name, line),), _PUBLIC[:1], sender=value)
    yield from _from_proxy(names, read, _PUBLIC[0], value)
    # Who serves single addresses only answers no other by that protocol, and yet takes it.
    for one in _with_prefaces([value], (value,)):
        yield one._replace(sender=value)


def _next_to(names: Mapping[str, str], read: str, value: str, unheard: Fields) -> Iterable[Forgery]:
    """Requests with an address beside the prober's."""
    lines, rumours = _lines(names, value), _rumours(names, value, value)
    counted = _counted(names, value, value)
    yield from (Forgery(line[0], (line,), (value,)) for line in lines)
    yield from _with_prefaces([value], (value,))
    yield from _with_prefaces([value], (value,), read, counted)
    yield Forgery(read, (*lines, *rumours, *_COMPANIONS), (value,))
    yield Forgery(read, counted, (value,))
    # As those of everybody else: what stands beside one can have it refused.
    yield from (Forgery(line[0], (line,), (value,)) for line in rumours if line[0] in HEARSAY)
    for part in _in_parts(rumours, _LINES):
        for marks in _MARKS:
            yield Forgery(rumours[0][0], (*part, *marks), (value,))
    yield from _unheard(unheard, value)


def _neighbours(seen: Sequence[str], known: Container[str]) -> list[str]:
    """Two addresses beside the one that is seen, that nobody on the path has; none where the prober
    may have several, since one that is translated so is seen with their neighbours.

    By the second one it is known that none of them is seen by chance.
    """
    if len(seen) < _ENOUGH or len({*seen}) > 1:
        return []
    own = ip_address(seen[0])
    near = [str(type(own)(int(own) ^ bit)) for bit in range(1, 8)]
    free = [one for one in near if one not in known][:2]
    return free if len(free) > 1 else []


def beside(
    header: str | None,
    seen: Sequence[str],
    told: Sequence[str],
    companions: Fields = (),
    unheard: Fields = (),
    names_added: Sequence[str] = (),
) -> tuple[Forgery, ...]:
    """Forged requests that tell what honest ones show, for who refuses all that comes from others.

    With addresses beside the one that is ``seen``, by each answer, since some networks are served
    only, by what a client writes; behind the one that is, since that may be looked for in a list;
    and from addresses of proxies, since these alone may be admitted by the PROXY protocol, or by a
    header. ``told``: text with those that were probed, with those in the header lines of the
    answers, and with their peers; ``companions``: header lines that a CDN wrote beside them, as of
    the client's country; ``unheard``: what :func:`unheard_of` makes of them;
    ``names_added``: what :func:`added` does.
    """
    names = _names(header)
    read = names[(header or DEFAULT_HEADER).lower()]
    known = {*_addresses_in(" ".join(told))}
    groups = (
        _as_that_cdn(names, read, companions, unheard) if companions else (),
        _unheard(unheard, _PUBLIC[0]),
        _without_marks(names, unheard, names_added),
        *(_through(names, read, proxy) for proxy in _proxies(seen, told)),
        *(_through_itself(names, read, one) for one in [*dict.fromkeys(seen)][:_OWN]),
        *(
            (one._replace(near=True) for one in _next_to(names, read, value, unheard))
            for value in _neighbours(seen, known)
        ),
    )
    return (*chain.from_iterable(groups),)


#: More would be too many requests: what each learned is a part of all that is sent.
_UNITED = 3


def united(lists: Iterable[Sequence[Forgery]]) -> tuple[Forgery, ...]:
    """What is to be forged at one place for several addresses or targets, of which each knows other
    proxies by its honest answers, or none without an answer: all of the first few.
    """
    apart = [*{id(one): one for one in lists}.values()]
    least = min(map(len, apart))
    first = sorted(apart, key=lambda one: len(one) == least)[:_UNITED]
    return (*dict.fromkeys(chain.from_iterable(first)),) if len(first) > 1 else (*first[0],)


Tried = Sequence[tuple[Forgery, bool]]


def unanswered(tried: Iterable[tuple[Forgery, bool]]) -> set[str]:
    """Names in lower case of headers in which somebody may look for an address, and that stood in
    refused requests alone, by what was forged and whether that was answered: one may be taken.
    """
    # Who refuses what these name, or what tells of another proxy, may refuse just that.
    return _missed(tried) - NO_CARRIERS


def _missed(tried: Iterable[tuple[Forgery, bool]]) -> set[str]:
    refused, answered = set[str](), set[str]()
    for one, is_answered in tried:
        found = answered if is_answered else refused
        found.update(name.lower() for name, _value in one.lines)
    return refused - answered


def apart(tried: Tried) -> tuple[Forgery, ...]:
    """Requests with each line alone that stood in refused ones only and wasn't alone yet: what
    stood beside it can be why, as Cloudflare refuses its own header.
    """
    missed = _missed(tried)
    plain = [one for one, _answered in tried if not (one.sender or one.preface)]
    # Beside the prober's own each is for itself.
    alone = {(one.lines[0][0].lower(), one.near and one.values) for one in plain if one.alone}
    found = [(line, one) for one in plain for line in one.lines]
    # Of each name the one with the usual value, whatever was answered first
    found.sort(key=lambda pair: (pair[1].values[0] in pair[0][1], pair[0]))
    lines = {
        (line[0].lower(), one.near and one.values): Forgery(
            line[0], (line,), one.values, near=one.near
        )
        for line, one in found
    }
    left = ((key, one) for key, one in lines.items() if key[0] in missed and key not in alone)
    return tuple(one for _key, one in sorted(left, key=lambda pair: str(pair[0])))


def without_refused(tried: Tried) -> tuple[Forgery, ...]:
    """The refused requests with several lines, without those that are refused alone as well: the
    others may count together, as a CDN's header beside its mark.
    """
    refused = _refused_alone(tried)
    return _sent_as(tried, lambda one: [_without_lines(one, refused)])


def in_parts(tried: Tried) -> tuple[Forgery, ...]:
    """The long ones among the refused requests in parts of few lines, as Varnish takes: in each are
    the usual headers and all marks.
    """
    refused = _refused_alone(tried)

    def parts(one: Forgery) -> Iterable[list[tuple[str, str]]]:
        lines = _without_lines(one, refused)
        if len(lines) <= 2 * _LINES:
            return []
        kept = [line for line in lines if line[0].lower() in _ALWAYS]
        others = [line for line in lines if line[0].lower() not in _ALWAYS]
        return ([*kept, *some] for some in _in_parts(others, _LINES))

    return _sent_as(tried, parts)


_ALWAYS = NO_CARRIERS | {name.lower() for name in ("X-Real-IP", *_LISTS)}


def _without_lines(one: Forgery, refused: Container[str]) -> list[tuple[str, str]]:
    return [line for line in one.lines if line[0].lower() not in refused]


def _refused_alone(tried: Tried) -> set[str]:
    alone = {one.lines[0][0].lower() for one, answered in tried if one.alone and not answered}
    return alone & _missed(tried)


def _sent_as(
    tried: Tried, make: Callable[[Forgery], Iterable[Sequence[tuple[str, str]]]]
) -> tuple[Forgery, ...]:
    """What is made of the refused requests, each once, and nothing that was sent. Those by the
    PROXY protocol are mostly refused for that.
    """
    sent = {one.lines for one, _answered in tried}
    found: dict[Lines, Forgery] = {}
    for one in (one for one, answered in tried if not (answered or one.preface)):
        for lines in map(tuple, make(one)):
            if lines and lines not in sent:
                header = one.header if one.header in dict(lines) else lines[0][0]
                found.setdefault(lines, one._replace(header=header, lines=lines))
    return (*found.values(),)


def _misspelled(names: Mapping[str, str]) -> list[str]:
    """The names with underscores for dashes, and dashes for underscores."""
    dashed = [name for name in names.values() if "-" in name]
    # Who looks for names without any dash, or drops those, may miss the one with both.
    underscored = [name.replace("-", "_") for name in dashed]
    # And an application that knows no difference reads either.
    underscored += [name.replace("_", "-") for name in names.values() if "_" in name]
    mingled = ["_".join(name.rsplit("-", 1)) for name in dashed if name.count("-") > 1]
    known = names.values()
    return [name for name in dict.fromkeys([*underscored, *mingled]) if name not in known]


def _options(
    names: Mapping[str, str], value: str, others: Sequence[tuple[str, str]]
) -> tuple[list[Lines], list[Lines]]:
    """Lines that make who drops what Connection names (RFC 9110, 7.6.1) drop his own: alone, and
    beside these ``others`` for who looks at another one then, or at what the client began.

    The address is an option like any other: by it is seen whether the line itself arrives.
    """
    # Also what one proxy hands to another one, which writes what is read.
    hearsay = [name for name in (*HEARSAY, *_RUMOURS) if name.lower() not in names]
    # Some refuse requests by one of the names, and keep others from none (Envoy).
    marks = [*dict((*_COMPANIONS, *_FROM_ELSEWHERE, *_PASSED))]
    together = [
        [*names.values()],
        *([name] for name in names.values()),
        *_in_parts(hearsay, _HOPS),
        # Who misses that believes another header, or nobody in front.
        *_in_parts(marks, _HOPS),
    ]
    texts = [", ".join(["close", *some, value.replace(":", ".")]) for some in together]
    # Who keeps some names from being dropped can compare them as they are written (Traefik).
    alone: list[Lines] = [(("Connection", one),) for text in texts for one in (text, text.lower())]
    # Which that was called once, and some go by both (tinyproxy).
    alone.append((("Proxy-Connection", texts[0]),))
    left = [
        (("Connection", text), *(line for line in others if line[0] not in some))
        for text, some in zip(texts, together)
    ]
    return alone, left


def forgeries(
    header: str | None, expected: Sequence[Network], trusted_ranges: Sequence[str] | None
) -> tuple[Forgery, ...]:
    """All forged requests for one target. ``header``: what the declared strategy reads, if any."""
    values = _values(expected, trusted_ranges or ())
    if not values:
        return ()
    names = _names(header)
    forms = [
        (name, tuple((name, text) for text in form))
        for group, make in ((names.values(), _forms), (_misspelled(names), _alone))
        for name in group
        for form in make(name, values)
    ]
    unlikely = [one for kind in _UNLIKELY for one in _unlike(map(ip_address, kind), expected)]
    near = [*unlikely, *_unlike([ip_address(_LOOPBACK)], expected)]
    alike = [
        (name, (line,)) for name in names.values() for line in _unlikely(name, [values[0], *near])
    ]
    ipv6 = next((one for one in unlikely if ":" in one), values[0])
    # Of the second kind is what a proxy says of a client with IPv6, which some look for only.
    rumours, over_ipv6 = (_rumours(names, value, ipv6) for value in (values[0], ipv6))
    everything, everything_6 = (_lines(names, value) for value in (values[0], ipv6))
    usual = [line for line in rumours if line[0] in HEARSAY]
    hearsay = [(line[0], (line,)) for line in usual]
    hops, left = _options(names, values[0], (*everything, *usual))
    all_values = (*values, *unlikely)
    near_values = (*values, *near, *_mapped(values[0]))
    lines = (*everything, *rumours, *_COMPANIONS)
    lines_6 = (*everything_6, *over_ipv6, *_COMPANIONS)
    counted = _counted(names, values[0], ipv6)
    # To nginx's variables, WSGI and CGI a name with underscores is the one with dashes, and a proxy
    # in front may write that anew alone.
    scored = tuple((name.replace("-", "_"), value) for name, value in rumours if "-" in name)
    read = names[(header or DEFAULT_HEADER).lower()]
    # Who takes that protocol from some only goes by what it says of them.
    senders = dict.fromkeys([values[0], *_trusted(expected, trusted_ranges or ())])
    return (
        *(Forgery(name, one, all_values) for name, one in (*forms, *hearsay)),
        *(Forgery(text[0][0], text, all_values) for text in hops),
        *(Forgery(name, one, near_values) for name, one in alike),
        *(
            Forgery(name, lines_of_it, all_values)
            for name in names.values()
            for lines_of_it in _in_cases(name, values[0])
        ),
        *(
            one
            for value in dict.fromkeys([values[0], *near, ipv6])
            for one in _with_prefaces(
                [value],
                (value, *(one for one in near_values if one != value)),
                anywhere=value == values[0],
            )
        ),
        *_with_prefaces(senders, all_values, read, counted, anywhere=True),
        Forgery(read, counted, all_values),
        Forgery(read, lines_6, all_values),
        # Who takes few lines refuses all of them together, and a CDN what only others write.
        *(
            Forgery(rumours[0][0], (*part, *marks), all_values, repeated=marks is _COMPANIONS)
            for some in (usual, [line for line in rumours if line not in usual])
            for part in _in_parts(some, _LINES)
            for marks in _MARKS
        ),
        *(
            Forgery(read, (*everything, *marks), all_values, repeated=marks is _COMPANIONS)
            for marks in _MARKS
        ),
        *(Forgery("Connection", some, all_values) for some in left),
        Forgery(scored[0][0], scored, all_values),
        # Who writes Forwarded may copy what else a client says of the request, also into quotes.
        *(
            Forgery(
                "Forwarded",
                (
                    ("X-Forwarded-Host", f"front.example{one.format(values[0])}"),
                    ("X-Forwarded-Proto", f"https{one.format(values[0])}"),
                ),
                all_values,
            )
            for one in _BREAKS[:2]
        ),
        Forgery(read, lines, all_values, repeated=True),
    )


# --- What became of it ----------------------------------------------------------------------------

#: Worst first: the fate of a header is the worst of its requests'.
FATES = ("passed_through", "appended", "replaced", "dropped", "refused", "untested")


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")


def is_of(forgery: Forgery, header: str) -> bool:
    """Whether the forgery is one of this header, with dashes or underscores."""
    return _normal(forgery.header) == _normal(header)


def _holds(text: str, values: Iterable[str]) -> bool:
    return any(re.search(rf"(?<![\w.:]){re.escape(value)}(?![\w.])", text) for value in values)


def fate(forgery: Forgery, headers: Fields) -> str:
    """What the path made of a forged header, from the header lines that the echo app saw.

    ``passed_through`` where the forged value stands rightmost, ``appended`` where something stands
    right of it.
    """
    alike = [(name, value) for name, value in headers if is_of(forgery, name)]
    line = ",".join(value for _name, value in alike)
    # Others of the values a proxy may have of its own, as one of a trusted range.
    values = [value for value in forgery.values if forgery.names_one_of([value])]
    if _holds(line, values):
        return "passed_through" if _holds(line.rpartition(",")[2], values) else "appended"
    # With underscores it is another header: that the one with dashes is there says nothing of it.
    return "replaced" if alike and "_" not in forgery.header else "dropped"


def is_novel(forgery: Forgery, honest: str) -> bool:
    """Whether one of the values in its lines isn't in the lines of honest answers, as a proxy's own
    address is: nothing tells then that one which is seen was forged.
    """
    named = [value for value in forgery.values if forgery.names_one_of([value])]
    return not named or any(not _holds(honest, [value]) for value in named)


def fates(tried: Iterable[tuple[str, str]], names: Iterable[str]) -> dict[str, str]:
    """Header → fate, from a pair of both for each request that was sent; ``names``: of all."""
    found = dict.fromkeys(names, "untested")
    for header, one in tried:
        found[header] = min(found.get(header, "untested"), one, key=FATES.index)
    # Requests end in any order.
    return dict(sorted(found.items(), key=lambda item: ("_" in item[0], item[0])))


def worst(fate_maps: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The same over several addresses."""
    return fates((item for one in fate_maps for item in one.items()), ())


def telling(found: Mapping[str, str]) -> dict[str, str]:
    """Of header → fate what a person wants to know: every path hands on headers that it doesn't
    know, names with underscores are dropped by most, and some echo apps leave out all of them.
    """
    return {
        name: one
        for name, one in found.items()
        if name.replace("_", "-") not in (*HEARSAY, "Connection", "Proxy-Connection")
        and not ("_" in name and one in ("dropped", "untested"))
    }


# --- What may be trusted --------------------------------------------------------------------------

#: What an application could read, the simplest first, as keyword arguments of client_ip.
CANDIDATES: tuple[Mapping[str, Any], ...] = (
    {"strategy": "peer"},
    *(
        {"strategy": "rightmost_trusted_count", "header": DEFAULT_HEADER, "trusted_count": count}
        for count in (1, 2, 3, 4)
    ),
    {"strategy": "single_header", "header": "X-Real-IP"},
    *(
        {"strategy": "rightmost_trusted_count", "header": "Forwarded", "trusted_count": count}
        for count in (1, 2, 3, 4)
    ),
)


def is_same(strategy: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two of such arguments mean the same: a header's name has no case."""
    one, another = (
        {key: str(value).lower() if key == "header" else value for key, value in each.items()}
        for each in (strategy, other)
    )
    return one == another


def safe(
    candidates: Sequence[Mapping[str, Any]],
    honest: Sequence[frozenset[int]],
    forged: Sequence[tuple[str, frozenset[int]]],
) -> list[int]:
    """The numbers of the candidates that no request could deceive.

    ``candidates``: in the form of CANDIDATES; ``honest``: of each answer the numbers of those that
    gave the expected address; ``forged``: likewise, with the header that was forged. A header for
    which no forged request was answered is not safe.
    """
    tried = {header.lower() for header, _right in forged}
    right = [*honest, *(one for _header, one in forged)]
    return [
        number
        for number, candidate in enumerate(candidates)
        if right and all(number in one for one in right)
        if candidate["strategy"] == "peer" or candidate["header"].lower() in tried
    ]
