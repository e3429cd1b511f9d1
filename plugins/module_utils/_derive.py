# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any
# time.

"""Which client address a backend may believe: a pure function over header lines and socket peer.

Header lines and peer are the work of whoever sent the request: their text never raises, and every
step takes time linear in its length. The other arguments are the operator's: what is wrong with
them raises :class:`DerivationError`.

Grammars: ``Forwarded`` of RFC 7239, ``token`` and ``quoted-string`` of RFC 9110 section 5.6,
``IPv4address`` and ``IPv6address`` of RFC 3986 section 3.2.2; text is written as RFC 5952 says.
"""

from __future__ import annotations

import ipaddress
import re
import reprlib
import string
import typing as t
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100

# ASCII only: str.lower() makes the Kelvin sign a "k", and so one header name another.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class DerivationError(ValueError):
    """An argument of the operator's is wrong: which one, what was expected, what was seen.

    The message is one line; in it the value is shortened and its control characters are escaped.
    """

    def __init__(self, argument: str, expected: str, value: object) -> None:
        super().__init__(f"{argument} must be {expected}, not {_SHORT.repr(value)}")
        self.argument = argument


def _is_list(value: object) -> bool:
    # Templating hands over lazy containers and tuples, so what counts is the interface. Of the two
    # usual ones it is known, without asking.
    return type(value) in (list, tuple) or (
        isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))
    )


# --- Addresses ------------------------------------------------------------------------------------

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
# The shape only: ipaddress judges the groups. It is not asked about the IPv4 tail and the zone,
# since its answers on leading zeros and scopes depend on the version of Python.
_V6 = rf"[0-9A-Fa-f:]{{2,39}}(?:(?<=:){_V4})?"
_ZONE = r"[A-Za-z0-9._~-]+"
_PORT = r"[0-9]{1,5}"
_OBFUSCATED_PORT = r"_[A-Za-z0-9._-]+"


def _node(port: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?:(?P<v4>{_V4})|\[(?P<v6>{_V6})(?:%(?P<zone>{_ZONE}))?\])(?::(?P<port>{port}))?"
        rf"|(?P<bare_v6>{_V6})(?:%(?P<bare_zone>{_ZONE}))?"
    )


_NODE = _node(_PORT)
_FORWARDED_NODE = _node(rf"{_PORT}|{_OBFUSCATED_PORT}")
_RANGE = re.compile(rf"(?P<address>{_V4}|{_V6})(?:/(?P<length>0|[1-9][0-9]{{0,2}}))?")


class Endpoint(t.NamedTuple):
    """A valid address with what stood beside it.

    ``address``: neither IPv4-mapped nor unspecified, and without scope. ``zone``: of an IPv6
    address. ``port``: a number of up to five digits. ``str()`` is the canonical text, zone kept.
    """

    address: Address
    zone: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        return f"{self.address}%{self.zone}" if self.zone else str(self.address)


# Thousands of answers show a few addresses, each several times.
@lru_cache(maxsize=1024)
def _read_node(node: re.Pattern[str], text: str) -> Endpoint | None:
    match = node.fullmatch(text)
    if match is None:
        return None
    v4, v6, zone, port, bare_v6, bare_zone = match.groups()
    address: Address
    if v4:
        address = ipaddress.IPv4Address(v4)
    else:
        zone = zone or bare_zone
        try:
            address = ipaddress.IPv6Address(v6 or bare_v6)
        except ValueError:
            return None
        if address.ipv4_mapped is not None:
            if zone:
                return None
            address = address.ipv4_mapped
    if int(address) == 0:
        return None
    return Endpoint(address, zone, int(port) if port and port.isdigit() else None)


def bracketed(host: str) -> str:
    """A host as it stands before a port: an IPv6 address in brackets (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


#: What can stand around an address in a header line or in another text
BETWEEN = re.compile(r"[^\w.:%~\[\]-]+", re.ASCII)


def parse_address(text: str) -> Endpoint | None:
    """Read an element or a socket name: ``ip``, ``ip:port``, ``[v6]``, ``[v6]:port``, zones.

    Spaces and tabs around it are trimmed. None for what is no valid address.
    """
    return _read_node(_NODE, text.strip(" \t"))


def canonical(text: str) -> str | None:
    """The canonical text of the address in an element, None for what is no valid address."""
    return _text_of(parse_address(text))


def _text_of(endpoint: Endpoint | None) -> str | None:
    return None if endpoint is None else str(endpoint)


# --- Ranges ---------------------------------------------------------------------------------------


class Ranges(tuple[Network, ...]):
    """Networks in the order given, with an index.

    The sender of a request decides how many addresses are looked up, the operator how many ranges
    there are: without the index it would take the product of the two.
    """

    def __init__(self, networks: Iterable[Network]) -> None:
        merged = dict(zip((4, 6), self.apart()))
        self._index = {
            version: (
                [int(network.network_address) for network in disjoint],
                [int(network.broadcast_address) for network in disjoint],
            )
            for version, disjoint in merged.items()
        }

    def apart(self) -> tuple[list[Network], list[Network]]:
        """What they hold of IPv4 and of IPv6, in their order and without what another one holds."""
        return (
            [*ipaddress.collapse_addresses(n for n in self if n.version == 4)],
            [*ipaddress.collapse_addresses(n for n in self if n.version == 6)],
        )

    def hold(self, address: Address) -> bool:
        """Whether one of the networks, of the address' own family, holds it."""
        firsts, lasts = self._index[address.version]
        value = int(address)
        place = bisect_right(firsts, value) - 1
        return place >= 0 and value <= lasts[place]


def _network(text: object) -> Network | None:
    match = _RANGE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    try:
        address = ipaddress.ip_address(match["address"])
        length = int(match["length"] or address.max_prefixlen)
        if isinstance(address, ipaddress.IPv4Address):
            return ipaddress.IPv4Network((address, length), strict=False)
        if address.ipv4_mapped is not None and length >= 96:
            return ipaddress.IPv4Network((address.ipv4_mapped, length - 96), strict=False)
        return ipaddress.IPv6Network((address, length), strict=False)
    except ValueError:
        return None


def parse_ranges(texts: object, argument: str = "trusted_ranges") -> Ranges:
    """Read a list of addresses and CIDRs with prefix lengths; host bits are masked off.

    ``::ffff:a.b.c.d/n`` with n ≥ 96 becomes IPv4. Raises DerivationError, naming ``argument``, for
    anything but a list and for an entry that does not parse.
    """
    if not isinstance(texts, Sequence) or not _is_list(texts):
        raise DerivationError(argument, "a list of addresses and CIDRs", texts)
    networks = []
    for place, text in enumerate(texts):
        network = _network(text)
        if network is None:
            expected = "an address, or a CIDR with a prefix length"
            raise DerivationError(f"{argument}[{place}]", expected, text)
        networks.append(network)
    return Ranges(networks)


def in_ranges(address: Address, ranges: Ranges) -> bool:
    """Whether one of the ranges holds the address of an :class:`Endpoint`."""
    return ranges.hold(address)


#: What stands before the IPv4 address in the well-known prefix 64:ff9b::/96 (RFC 6052, 2.1)
_TRANSLATED = 0x0064FF9B << 64


def behind(network: Network) -> Network:
    """The IPv4 range that one of translated addresses (NAT64) stands for, any other as it is."""
    value = int(network.network_address)
    if network.version == 4 or network.prefixlen < 96 or value >> 32 != _TRANSLATED:
        return network
    return ipaddress.IPv4Network((value & 0xFFFFFFFF, network.prefixlen - 96))


@lru_cache(maxsize=1024)
def untranslated(address: Address) -> Address:
    """The IPv4 address that a translator (NAT64) has put into one of IPv6, any other as it is."""
    return behind(ipaddress.ip_network(address)).network_address


def forms_of(address: Address) -> tuple[Address, ...]:
    """The address that a translator has put into one, if any, and the latter as it stands."""
    return (address,) if address.version == 4 else (*{untranslated(address): 0, address: 0},)


# IANA's special-purpose registries and multicast: whole, without the exceptions inside them.
# 64:ff9b::/96 is left out on purpose: what stands behind it is a public IPv4 address.
PRIVATE = parse_ranges(
    [
        "0.0.0.0/8",  # RFC 791, this network
        "10.0.0.0/8",  # RFC 1918, private use
        "100.64.0.0/10",  # RFC 6598, shared address space
        "127.0.0.0/8",  # RFC 1122, loopback
        "169.254.0.0/16",  # RFC 3927, link-local
        "172.16.0.0/12",  # RFC 1918, private use
        "192.0.0.0/24",  # RFC 6890, protocol assignments
        "192.0.2.0/24",  # RFC 5737, documentation
        "192.88.99.0/24",  # RFC 7526, former 6to4 relays
        "192.168.0.0/16",  # RFC 1918, private use
        "198.18.0.0/15",  # RFC 2544, benchmarking
        "198.51.100.0/24",  # RFC 5737, documentation
        "203.0.113.0/24",  # RFC 5737, documentation
        "224.0.0.0/4",  # RFC 5771, multicast
        "240.0.0.0/4",  # RFC 1112, reserved, and the limited broadcast
        "::/128",  # RFC 4291, unspecified
        "::1/128",  # RFC 4291, loopback
        "64:ff9b:1::/48",  # RFC 8215, local-use translation
        "100::/64",  # RFC 6666, discard-only
        "100:0:0:1::/64",  # RFC 9780, dummy prefix
        "2001::/23",  # RFC 2928, protocol assignments
        "2001:db8::/32",  # RFC 3849, documentation
        "2002::/16",  # RFC 3056, 6to4
        "3fff::/20",  # RFC 9637, documentation
        "5f00::/16",  # RFC 9602, segment routing
        "fc00::/7",  # RFC 4193, unique-local
        "fe80::/10",  # RFC 4291, link-local
        "ff00::/8",  # RFC 4291, multicast
    ]
)


def is_private(address: Address) -> bool:
    """Whether the address of an :class:`Endpoint` is not globally routable unicast."""
    return PRIVATE.hold(address)


# --- Header lines ---------------------------------------------------------------------------------

Fields = list[tuple[str, str]]


def _text(value: object) -> str:
    # No string counts as an empty one: malformed as an element, and the name of no header.
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


def _fields(headers: t.Any) -> Fields:
    """Name in lower case and value of each line. An entry that is no pair has an empty value."""
    pairs: Iterable[tuple[object, object]]
    if isinstance(headers, Mapping):
        pairs = (
            (name, value)
            for name, values in headers.items()
            for value in (values if _is_list(values) else [values])
        )
    elif _is_list(headers):
        pairs = (
            (entry[0], entry[1] if len(entry) == 2 else "")
            for entry in headers
            if _is_list(entry) and entry
        )
    else:
        expected = "a list of [name, value] pairs, or a mapping of names to values"
        raise DerivationError("headers", expected, headers)
    return [(_in_lower_case(_text(name)), _text(value)) for name, value in pairs]


def _in_lower_case(name: str) -> str:
    return name.lower() if name.isascii() else name.translate(_LOWER)


def _lines(fields: Fields, header: str) -> list[str]:
    wanted = header.translate(_LOWER)
    return [value for name, value in fields if name == wanted]


# --- Lists ----------------------------------------------------------------------------------------

# A quote counts only behind an even number of backslashes.
_QUOTE = r'(?<!\\)(?:\\\\)*"'
_QUOTES = re.compile(_QUOTE)
_QUOTES_AND_COMMAS = re.compile(rf"{_QUOTE}|,")
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_CONTROL = r"\x00-\x08\x0a-\x1f\x7f"
_TEXT = rf'[^"\\{_CONTROL}]*'
_QUOTED = rf'"(?P<quoted>{_TEXT}(?:\\[^{_CONTROL}]{_TEXT})*)"'
_PAIR = re.compile(rf'(?P<token>{TOKEN})=(?:{_QUOTED}|(?P<plain>[^ \t"\\;]+))(?:;+|\Z)')
_ESCAPED = re.compile(r"\\(.)")


def _split_forwarded(line: str) -> list[str]:
    """Split at the commas outside quotes, the quotes matched from the right end.

    The right is what trusted proxies wrote. A quote without a partner is thus the leftmost one and
    swallows what stands left of it: with an odd number of quotes the line begins inside of them.
    """
    parts = []
    begin = 0
    quoted = len(_QUOTES.findall(line)) % 2 == 1
    for mark in _QUOTES_AND_COMMAS.finditer(line):
        if mark[0] != ",":
            quoted = not quoted
        elif not quoted:
            parts.append(line[begin : mark.start()])
            begin = mark.end()
    return [*parts, line[begin:]]


def _read_forwarded(element: str) -> Endpoint | None:
    """The address of the only ``for`` of an element of which every pair is well-formed."""
    pairs = element.strip(" \t").strip(";")
    nodes = []
    place = 0
    while place < len(pairs):
        pair = _PAIR.match(pairs, place)
        if pair is None:
            return None
        place = pair.end()
        token, quoted, plain = pair.groups()
        if token.lower() == "for":
            nodes.append(plain or _ESCAPED.sub(r"\1", quoted))
    return _read_node(_FORWARDED_NODE, nodes[0]) if len(nodes) == 1 else None


class _Syntax(t.NamedTuple):
    split: t.Callable[[str], list[str]]
    read: t.Callable[[str], Endpoint | None]


DEFAULT_HEADER = "X-Forwarded-For"
_LISTS = {
    "x-forwarded-for": _Syntax(lambda line: line.split(","), parse_address),
    "forwarded": _Syntax(_split_forwarded, _read_forwarded),
}


class _WholeList(t.NamedTuple):
    """The whole list of a list header: its elements as text, to be read when they are looked at."""

    texts: list[str]
    read: t.Callable[[str], Endpoint | None]


def _whole_list(fields: Fields, header: object) -> _WholeList:
    name = DEFAULT_HEADER if header is None else header
    syntax = _LISTS.get(name.translate(_LOWER)) if isinstance(name, str) else None
    if syntax is None or not isinstance(name, str):
        raise DerivationError("header", "X-Forwarded-For or Forwarded", header)
    lines = _lines(fields, name)
    return _WholeList([text for line in lines for text in syntax.split(line)], syntax.read)


def elements(headers: object, header: str | None = None) -> list[str | None]:
    """The whole list of a list header in the order received, None for an element without address.

    ``headers`` and ``header`` as for :func:`client_ip`. Raises DerivationError for these two.
    """
    texts, read = _whole_list(_fields(headers), header)
    return [_text_of(read(text)) for text in texts]


# --- Strategies -----------------------------------------------------------------------------------


class _Request(t.NamedTuple):
    """The arguments of client_ip, those that only some strategies look at as they were given."""

    fields: Fields
    peer_known: bool
    peer: Endpoint | None
    header: object
    trusted_count: object
    trusted_ranges: object


def _peer(request: _Request) -> Endpoint | None:
    return request.peer


def _single_header(request: _Request) -> Endpoint | None:
    header = request.header
    if not isinstance(header, str) or not header or header.translate(_LOWER) in _LISTS:
        expected = "the name of one header, none of X-Forwarded-For and Forwarded,"
        raise DerivationError("header", f"{expected} for single_header", header)
    lines = _lines(request.fields, header)
    return parse_address(lines[-1]) if lines else None


def _rightmost_trusted_count(request: _Request) -> Endpoint | None:
    texts, read = _whole_list(request.fields, request.header)
    count = request.trusted_count
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise DerivationError("trusted_count", "an integer of at least 1", count)
    return read(texts[-count]) if count <= len(texts) else None


def _rightmost_outside(listed: _WholeList, ranges: Ranges) -> Endpoint | None:
    # A malformed element is in no range, so it decides, and the answer is none.
    for endpoint in map(listed.read, reversed(listed.texts)):
        if endpoint is None or not ranges.hold(endpoint.address):
            return endpoint
    return None


def _rightmost_trusted_range(request: _Request) -> Endpoint | None:
    listed = _whole_list(request.fields, request.header)
    ranges = parse_ranges(request.trusted_ranges)
    if request.peer_known and (request.peer is None or not ranges.hold(request.peer.address)):
        return request.peer
    return _rightmost_outside(listed, ranges)


def _rightmost_non_private(request: _Request) -> Endpoint | None:
    return _rightmost_outside(_whole_list(request.fields, request.header), PRIVATE)


def _leftmost_non_private(request: _Request) -> Endpoint | None:
    texts, read = _whole_list(request.fields, request.header)
    for endpoint in map(read, texts):
        if endpoint is not None and not is_private(endpoint.address):
            return endpoint
    return None


_DERIVE: dict[str, t.Callable[[_Request], Endpoint | None]] = {
    "peer": _peer,
    "single_header": _single_header,
    "rightmost_trusted_count": _rightmost_trusted_count,
    "rightmost_trusted_range": _rightmost_trusted_range,
    "rightmost_non_private": _rightmost_non_private,
    "leftmost_non_private": _leftmost_non_private,
}
STRATEGIES = tuple(_DERIVE)
_UNKNOWN_PEERS = (None, "", "@")


def client_ip(
    headers: object,
    peer: str | None = None,
    strategy: str | None = None,
    header: str | None = None,
    trusted_count: int | None = None,
    trusted_ranges: Sequence[str] | None = None,
) -> str | None:
    """The client address that one strategy derives, canonical, or None where it finds none.

    ``headers``: list of ``[name, value]`` pairs, or mapping of names to a string or a list of
    strings (bytes are taken as Latin-1); ``peer``: ``ip``, ``ip:port``, ``[v6]:port``, or one of
    None, ``""`` and ``@`` where it is unknown; ``strategy``: one of STRATEGIES, required;
    ``header``: the header to read; ``trusted_count``: at least 1; ``trusted_ranges``: addresses
    and CIDRs.

    Raises DerivationError for a missing, wrong or contradictory argument, never for what a header
    line or the text of ``peer`` says.
    """
    derive = _DERIVE.get(strategy) if isinstance(strategy, str) else None
    if derive is None:
        raise DerivationError("strategy", f"one of {', '.join(STRATEGIES)}", strategy)
    if peer is not None and not isinstance(peer, str):
        raise DerivationError("peer", "a string or none", peer)
    unused = derive is not _rightmost_trusted_range and trusted_ranges is not None
    if unused and parse_ranges(trusted_ranges):
        raise DerivationError("trusted_ranges", f"left out for {strategy}", trusted_ranges)
    known = peer not in _UNKNOWN_PEERS
    request = _Request(
        fields=_fields(headers),
        peer_known=known,
        peer=parse_address(peer) if known and peer else None,
        header=header,
        trusted_count=trusted_count,
        trusted_ranges=trusted_ranges,
    )
    return _text_of(derive(request))
