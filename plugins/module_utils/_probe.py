# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Transport: names to addresses, requests to answers, many of them at once, all within a deadline.

Neither proxies of the environment nor redirects nor netrc are used: each request goes over its own
connection to the address it is meant for. All points in time are of the monotonic clock.
"""

from __future__ import annotations

import errno
import http.client
import io
import ipaddress
import queue
import re
import secrets
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from time import monotonic, sleep
from typing import Any, Callable, NamedTuple

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import titled
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    Address,
    forms_of,
    parse_address,
    untranslated,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._echo import (
    LINE_HEADER,
    LINE_VALUES,
    NONCE_HEADER,
    NONCE_PARAMETER,
    USER_AGENT,
    Answer,
    NoEcho,
    caller,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._forgery import (
    COPIED,
    Forgery,
    apart,
    beside,
    in_parts,
    united,
    without_refused,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import joined, phrase
from ansible_collections.kestrel.real_ip.plugins.module_utils._vantage import is_own
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import (
    OVERLOADED,
    TOO_MANY,
    Path,
    Question,
    Sample,
    Times,
    is_answer,
    is_bad_request,
    is_limited,
    read,
    wanted,
)


class NoAnswer(Exception):
    """No HTTP answer came. ``number``: the code that says why; ``detail``: unescaped."""

    def __init__(self, number: str, detail: str = "") -> None:
        super().__init__(number, detail)
        self.number = number
        self.detail = detail


#: Behind a host, that of an IPv6 address in brackets included
_PORT = re.compile(r":\d+\Z")


class Endpoint(NamedTuple):
    """Where requests go. ``host``: name or address to connect to; ``tls``: None for plain HTTP.

    ``host_header`` and ``server_name`` (for TLS) are sent whatever ``host`` is. ``label``: how to
    speak of it, the host if empty.
    """

    host: str
    port: int
    host_header: str
    path: str
    server_name: str = ""
    tls: ssl.SSLContext | None = None
    label: str = ""

    @property
    def name(self) -> str:
        """The host that is asked for, without a port; empty where that is an address."""
        asked = self.server_name or _PORT.sub("", self.host_header)
        return "" if parse_address(asked) else asked

    @property
    def spoken(self) -> str:
        """How to speak of it: of a name that is asked for another one, with both."""
        name, asked = self.label or self.host, _PORT.sub("", self.host_header)
        same = parse_address(name.partition("%")[0]) or asked.lower() == name.lower()
        return name if same else f"{name}, Host {asked}"


class Request(NamedTuple):
    """What is sent, the same each time but for the nonce. ``timeout``: seconds for all of it.

    ``forged``: header lines that are added as they are; ``preface``: goes before all of it, also
    before TLS, or with ``within`` as the first thing within that; ``host``: Host, with the asked
    one in the place of ``<host>``; ``absolute``: the request names the asked one itself;
    ``query``: stands in its query.
    """

    method: str = "GET"
    headers: Mapping[str, str] = {}
    timeout: float = 5.0
    max_body: int = 65536
    forged: tuple[tuple[str, str], ...] = ()
    preface: bytes = b""
    within: bool = False
    host: str = "<host>"
    absolute: bool = False
    query: str = ""


class Reply(NamedTuple):
    """An answer and how it came. ``local``: the socket's own address; ``nonce``: of the request."""

    answer: Answer
    local: str
    nonce: str
    times: Times


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).strip() or type(error).__name__


# --- Names ----------------------------------------------------------------------------------------

_FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


class SocketAddress(NamedTuple):
    """An address as sockets take it. ``remote``: the same without port and scope."""

    family: socket.AddressFamily
    name: tuple[Any, ...]
    remote: Address


def _look_up(host: str, port: int, family: str) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, _FAMILIES[family], socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NoAnswer("V501", _why(error)) from error


def _look_up_in_time(host: str, port: int, family: str, timeout: float) -> list[Any]:
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(_look_up(host, port, family))
        except NoAnswer as error:
            found.put(error)

    # getaddrinfo has no timeout: a thread that hangs in it is left behind.
    threading.Thread(target=look_up, daemon=True).start()
    try:
        rows = found.get(timeout=max(timeout, 0))
    except queue.Empty:
        raise NoAnswer("V502", f"{timeout:.1f} s") from None
    if isinstance(rows, NoAnswer):
        raise rows
    return list(rows)


def resolve(host: str, port: int, family: str, timeout: float) -> list[SocketAddress]:
    """Every address that the name gives, in the resolver's order. ``family``: any, ipv4, ipv6.

    Raises NoAnswer.
    """
    if parse_address(host):
        rows = _look_up(host, port, family)
    else:
        rows = _look_up_in_time(host, port, family, timeout)
    addresses = dict.fromkeys(_socket_address(row[0], row[4]) for row in rows)
    known = [address for address in addresses if address is not None]
    if not known:
        raise NoAnswer("V501", phrase("no address of family {family}", family=family))
    return known


def _socket_address(family: socket.AddressFamily, name: tuple[Any, ...]) -> SocketAddress | None:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    remote = ipaddress.ip_address(name[0].partition("%")[0])
    if isinstance(remote, ipaddress.IPv6Address) and remote.ipv4_mapped is not None:
        # Such a connection is one over IPv4, and has to be judged as one.
        return SocketAddress(socket.AF_INET, (str(remote.ipv4_mapped), name[1]), remote.ipv4_mapped)
    return SocketAddress(family, name, remote)


# --- One request ----------------------------------------------------------------------------------

_MAX_HEAD = 65536
_PIECE = 8192
_CHUNKING = 8  # a chunk of one byte takes six


class _TooMuch(Exception):
    """More bytes came than are read. ``head``: before the end of the header section."""

    def __init__(self, head: bool) -> None:
        super().__init__(head)
        self.head = head


class _Stream(io.RawIOBase):
    """The bytes of an answer, cut off at a point in time and at a number of bytes.

    A socket's timeout holds for one recv only: a server that sends a byte a second never meets it.
    """

    def __init__(self, sock: socket.socket, until: float, max_body: int) -> None:
        super().__init__()
        self._sock = sock
        self._until = until
        self._rest = _MAX_HEAD
        self._max_body = max_body
        self._tail = b""
        self.in_head = True
        self.first_byte: float | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._rest <= 0:
            raise _TooMuch(self.in_head)
        self._sock.settimeout(_left(self._until))
        count = self._sock.recv_into(buffer)
        if self.first_byte is None and count:
            self.first_byte = monotonic()
        self._rest -= count
        if self.in_head:
            self._look_for_end(bytes(buffer[:count]))
        return count

    def _look_for_end(self, data: bytes) -> None:
        # http.client takes a connection that is closed among the header lines for a whole answer.
        window = self._tail + data
        if b"\n\r\n" in window or b"\n\n" in window:
            self.in_head = False
            self._rest = _MAX_HEAD + _CHUNKING * self._max_body
        self._tail = window[-2:]


class _Wire:
    """A connected socket as http.client wants one."""

    def __init__(self, sock: socket.socket, until: float, stream: _Stream) -> None:
        self._sock = sock
        self._until = until
        self._stream = stream

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(_left(self._until))
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._stream)

    def close(self) -> None:
        """The socket is closed by who opened it."""


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left


_NO_ROUTE = (
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
    errno.ENETDOWN,
    # Of a route that forbids (prohibit) or swallows (blackhole)
    errno.EACCES,
    errno.EINVAL,
)


def _has_route(address: SocketAddress) -> bool:
    # Connecting a datagram socket sends nothing: it only asks the routing table.
    try:
        with socket.socket(address.family, socket.SOCK_DGRAM) as sock:
            sock.connect(address.name)
    except OSError as error:
        return error.errno not in _NO_ROUTE
    return True


def _connect(address: SocketAddress, until: float) -> socket.socket:
    try:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
    except OSError as error:
        raise NoAnswer("V601" if error.errno in _NO_ROUTE else "V506", _why(error)) from error
    try:
        sock.settimeout(_left(until))
        sock.connect(address.name)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    except OSError as error:
        sock.close()
        if isinstance(error, socket.timeout) or error.errno == errno.ETIMEDOUT:
            raise NoAnswer("V504") from error
        if isinstance(error, ConnectionRefusedError):
            raise NoAnswer("V503") from error
        unrouted = error.errno in _NO_ROUTE and not _has_route(address)
        raise NoAnswer("V601" if unrouted else "V506", _why(error)) from error


def _wrap(sock: socket.socket, endpoint: Endpoint, request: Request, until: float) -> socket.socket:
    if endpoint.tls is None:
        return sock
    try:
        sock.settimeout(_left(until))
        sock.sendall(b"" if request.within else request.preface)
        return endpoint.tls.wrap_socket(sock, server_hostname=endpoint.server_name)
    except ssl.SSLCertVerificationError as error:
        raise NoAnswer("V507", error.verify_message or str(error)) from error
    except TimeoutError as error:
        raise NoAnswer("V509") from error
    except (OSError, ValueError) as error:
        raise NoAnswer("V508", _why(error)) from error


def _send(
    wire: _Wire, endpoint: Endpoint, request: Request, nonce: str | None
) -> http.client.HTTPResponse:
    # It would read a port off the end of an IPv6 address; socket and Host are ours.
    connection = http.client.HTTPConnection("unused")
    connection.sock = wire
    headers = {
        "Host": request.host.replace("<host>", endpoint.host_header),
        "User-Agent": USER_AGENT,
        "Accept": "application/json, */*;q=0.5",
        "Accept-Encoding": "identity",
        "Cache-Control": "no-cache",
        "Connection": "close",
    }
    path = endpoint.path
    if request.absolute:
        path = f"{'https' if endpoint.tls else 'http'}://{endpoint.host_header}{path}"
    if nonce is not None:
        path = f"{path}{'&' if '?' in path else '?'}{NONCE_PARAMETER}={nonce}"
        headers[NONCE_HEADER] = nonce
    if request.query:
        path = f"{path}{'&' if '?' in path else '?'}x={request.query}"
    if request.method not in ("GET", "OPTIONS"):
        headers["Content-Length"] = "0"
    # A forged line stands in the place of ours: who reads the first of two would not see it.
    own = {name.lower() for name in (*request.headers, *dict(request.forged))}
    connection.putrequest(request.method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        if name.lower() not in own:
            connection.putheader(name, value)
    for name, value in (*request.headers.items(), *request.forged):
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


def _read_body(response: http.client.HTTPResponse, max_body: int) -> bytes:
    if response.length is not None and response.length > max_body:
        raise _TooMuch(head=False)
    body = bytearray()
    # In pieces, since http.client keeps each chunk of one byte in a buffer of its own.
    while piece := response.read(min(_PIECE, max_body + 1 - len(body))):
        body += piece
        if len(body) > max_body:
            raise _TooMuch(head=False)
    # Asked for a number of bytes, http.client doesn't complain when fewer come than were announced.
    if response.length:
        raise http.client.IncompleteRead(bytes(body), response.length)
    return bytes(body)


def _exchange(
    wire: _Wire, stream: _Stream, endpoint: Endpoint, request: Request, nonce: str | None
) -> Answer:
    began = "V509"
    try:
        if endpoint.tls is None or request.within:
            wire.sendall(request.preface)
        response = _send(wire, endpoint, request, nonce)
        if stream.in_head:
            raise http.client.IncompleteRead(b"")
        began = "V510"
        body = _read_body(response, request.max_body)
    except socket.timeout as error:
        raise NoAnswer(began if stream.first_byte is None else "V510") from error
    except _TooMuch as error:
        detail = f"{_MAX_HEAD} bytes" if error.head else str(request.max_body)
        raise NoAnswer("V514" if error.head else "V515", detail) from error
    except http.client.LineTooLong as error:
        # Behind the header section it is a line that frames a chunk.
        if stream.in_head:
            raise NoAnswer("V514", str(error)) from error
        raise NoAnswer("V515", str(request.max_body)) from error
    except http.client.IncompleteRead as error:
        raise NoAnswer("V512") from error
    except (http.client.BadStatusLine, http.client.UnknownProtocol) as error:
        if isinstance(error, http.client.RemoteDisconnected):
            raise NoAnswer("V511") from error
        raise NoAnswer("V513", _why(error)) from error
    except http.client.HTTPException as error:
        raise NoAnswer("V514", str(error)) from error
    except OSError as error:
        raise NoAnswer("V511" if stream.first_byte is None else "V512", _why(error)) from error
    except ValueError as error:
        raise NoAnswer("V513", str(error)) from error
    fields = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, response.reason, fields, body)


def fetch(
    endpoint: Endpoint,
    address: SocketAddress,
    request: Request,
    until: float,
    nonce: str | None = None,
) -> Reply:
    """Send one request over a connection of its own and read the answer, at the latest ``until``.

    Raises NoAnswer for everything that is no HTTP answer; an answer of any status is one.
    """
    began = monotonic()
    end, until = until, min(until, began + request.timeout)
    try:
        plain = _connect(address, until)
    except NoAnswer as error:
        # Where it is the end of all that cut it short, nobody knows whether one would be taken.
        if error.number == "V504" and until == end:
            raise _TOO_LATE from error
        raise
    with plain:
        connected = monotonic()
        local = parse_address(plain.getsockname()[0])
        with _wrap(plain, endpoint, request, until) as sock:
            stream = _Stream(sock, until, request.max_body)
            answer = _exchange(_Wire(sock, until, stream), stream, endpoint, request, nonce)
            first_byte = stream.first_byte or connected
    times = Times(connected - began, first_byte - began, monotonic() - began)
    return Reply(answer, "" if local is None else str(local.address), nonce or "", times)


# --- Many requests --------------------------------------------------------------------------------

Fetch = Callable[[Endpoint, SocketAddress, Request, float, str], Reply]


class Target(NamedTuple):
    """What is asked of which endpoint. ``forgeries``: to be tried where the endpoint answers.

    ``knocks``: where it answers no honest request, those are tried that may open it; with
    ``waits`` also where it says nothing at all, which takes the time of many requests; ``asked``:
    addresses and ports in front of it, where clients ask.
    """

    name: str
    url: str
    endpoint: Endpoint
    question: Question
    forgeries: Sequence[Forgery] = ()
    knocks: bool = False
    waits: bool = True
    asked: Sequence[tuple[Address, int]] = ()

    def places(self, here: tuple[Address, int]) -> list[tuple[Address, int]]:
        """Where a client may have asked of whom a proxy tells, the likeliest first."""
        address, port = here
        return [*dict.fromkeys([*self.asked, (untranslated(address), port), here])]

    @property
    def trials(self) -> list[Forgery]:
        """The forgeries that can be sent: without TLS there is nothing within it."""
        return [
            one
            for one in self.forgeries
            if (self.endpoint.tls or not one.within)
            and (not one.preface or one.preface.place <= len(self.asked))
        ]


# There is no connection that anything could be sent over. Who takes one and then says nothing may
# still answer to what came through a proxy.
_UNCONNECTED = ("V503", "V504", "V506", "V601")
_TOO_LATE = NoAnswer("V525")


def is_connected(sample: Sample) -> bool:
    """Whether a connection was taken over which something could be sent."""
    return sample.code not in (*_UNCONNECTED, "V505", _TOO_LATE.number)


def to_knock_with(
    target: Target, samples: Sequence[Sample], forged: Sequence[tuple[Forgery, Sample]]
) -> list[Forgery]:
    """What may open a target that answered nothing so far, and wasn't tried."""
    if not target.knocks or all(one.code in _UNCONNECTED for one in samples):
        return []
    # Who speaks another protocol may count what he doesn't understand, and refuse everybody then.
    if any(one.code == "V513" for one in samples):
        return []
    tried = {id(forgery) for forgery, _sample in forged}
    # To who doesn't take it, the PROXY protocol is no request.
    refused = [one.preface and is_bad_request(sample) for one, sample in forged]
    said = [*samples, *(sample for (_one, sample), bad in zip(forged, refused) if not bad)]
    # Each that waits for an answer costs time, and who admits some only says so to others.
    is_silent = all(one.code == "V509" for one in said)
    if is_silent and not target.waits:
        return []
    # Who refuses so speaks HTTP, and may be silent to whom a header doesn't admit.
    speaks = any(refused)

    def costs(one: Forgery) -> bool:
        told = bool(one.near or one.sender)
        return told or bool(one.lines) if one.preface else told and not speaks

    left = [one for one in target.trials if one.opens and id(one) not in tried]
    return [one for one in left if not (is_silent and costs(one))]


#: What makes of requests that were refused others, in turn
_PARTS = (apart, without_refused, in_parts)
_NOTHING: deque[Forgery | None] = deque()
_UNTRIED = Sample(_TOO_LATE.number)

#: Seconds before a request to who refused one as too many, at first: twice as many each time
_PACE = 0.1
#: So often in the end: after three seconds, what is refused isn't refused for the number of
#: requests, unless it says so, as with a window of ten seconds.
_PATIENCE, _PATIENCE_TOO_MANY = 5, 8
#: After so many that were asked in vain, all are.
_SPENT = 2


class Pace(NamedTuple):
    """How an address is asked where it refuses requests as too many.

    ``seconds`` before each one, one at a time, 0.0 for all at once, None where waiting was in vain;
    ``eased``: whether it wasn't once; ``refusals``: how often the same one was refused, on end;
    ``spent``: which ones are asked no more for that; ``limit``: the last such refusal.
    """

    seconds: float | None = 0.0
    eased: bool = False
    refusals: int = 0
    spent: tuple[Forgery, ...] = ()
    limit: Sample | None = None

    @property
    def is_beside(self) -> bool:
        """Whether waiting has helped nobody: the refusal isn't for the number of requests."""
        return bool(self.spent) and not self.eased

    def after(self, forgery: Forgery, waited: float, limit: Sample | None, helped: bool) -> Pace:
        """The pace after a request before which was waited; ``limit``: how it was refused again;
        ``helped``: whether it was refused before and isn't now.
        """
        eased = self.eased or helped
        if not limit:
            return self._replace(seconds=_PACE, eased=eased, refusals=0)
        is_said = is_limited(limit, TOO_MANY)
        refusals = self.refusals + 1
        if refusals < (_PATIENCE_TOO_MANY if is_said else _PATIENCE):
            return self._replace(seconds=2 * waited, refusals=refusals)
        spent = (*self.spent, forgery)
        # Where no other one was asked in vain, that one may be refused for itself.
        in_vain = len(spent) == _SPENT or (is_said and not eased)
        seconds = None if in_vain else _PACE if eased else 0.0
        return self._replace(seconds=seconds, refusals=0, spent=spent)


_AT_ONCE = Pace()


class Station:
    """One address of a target. ``goal``: honest requests that are to be sent.

    ``siblings``: all addresses of the target; ``own``: whether one is the prober's; ``todo``: what
    was not sent yet, None for an honest request; ``busy``: requests under way; ``learned``: whether
    the target has what is forged because of what honest requests show; ``parted``: what makes of
    refused requests others, and wasn't done yet; ``pace``: how forged requests are sent;
    ``result`` is what the survey's ``finish`` made of it, after which the samples are dropped.
    """

    __slots__ = (
        *("address", "busy", "forged", "goal", "learned", "pace", "parted", "path", "result"),
        *("samples", "siblings", "target", "todo"),
    )

    def __init__(
        self,
        target: Target,
        address: SocketAddress,
        siblings: Iterable[SocketAddress] = (),
        own: Callable[[str], bool] = is_own,
    ) -> None:
        self.target = target
        self.address = address
        self.siblings = siblings
        endpoint = target.endpoint
        self.path = Path(endpoint.spoken, endpoint.port, address.remote, own(str(address.remote)))
        self.goal = 0
        # Ways around are made of a target that knows already.
        self.learned = target.knocks
        self.parted: tuple[Callable[..., tuple[Forgery, ...]], ...] = _PARTS
        self.pace = _AT_ONCE
        self.busy = 0
        self.todo: deque[Forgery | None] = deque()
        self.samples: list[Sample] = []
        self.forged: list[tuple[Forgery, Sample]] = []
        self.result: Any = None

    def plan(self, most: int) -> bool:
        """Plan the next requests, at most so many honest ones; tell whether there are any."""
        question = self.target.question
        more = min(wanted(question, self.samples), most)
        if more:
            self.goal += more
            self.todo.extend([None] * more)
        else:
            forged = self._refused() or self._untried() or self._again(most)
            self.todo.extend(forged[:1] if self.pace.seconds else forged)
        return bool(self.todo)

    def took(self, forgery: Forgery | None, sample: Sample, waited: float | None) -> None:
        """Keep what came of a request, before which so many seconds were waited."""
        if forgery is None:
            self.samples.append(sample)
            return
        limit = sample if is_limited(sample) and not forgery.asks_else else None
        if limit:
            self.pace = self.pace._replace(limit=limit)
        if waited:
            # What was refused before is as if it hadn't been asked.
            kept = [one for one in self.forged if one[0] is not forgery or not is_limited(one[1])]
            helped = len(kept) < len(self.forged) and not limit
            self.forged = kept
            self.pace = self.pace.after(forgery, waited, limit, helped)
        elif limit and self.pace.seconds == 0 and any(map(is_answer, self.samples)):
            # What wasn't sent yet is sent after it, one by one.
            self.pace = self.pace._replace(seconds=_PACE)
            self.todo.clear()
        self.forged.append((forgery, sample))

    @property
    def untried(self) -> Sample:
        """What a forged request shows that there was no time for: where others were refused as too
        many, the time that they had to wait for was what it lacked.
        """
        return self.pace.limit if self.pace.limit and self.pace.seconds else _UNTRIED

    def _refused(self) -> list[Forgery]:
        """What was refused as one too many, to be asked again more slowly, the last one first."""
        if not self.pace.seconds:
            return []
        refused = [one for one, sample in reversed(self.forged) if is_limited(sample)]
        return [one for one in refused if not (one.asks_else or one in self.pace.spent)]

    def _learn(self) -> None:
        """Forge what is like the address that is served here as well."""
        answers = [one for one in self.samples if is_answer(one) and one.seen]
        if self.learned or not answers or not self.target.forgeries:
            return
        self.learned = True
        # Who stands in front of a load balancer can be met by it at the address that is probed, in
        # no line, and in no peer where another one is behind both.
        probed = [str(untranslated(one.remote)) for one in (self.address, *self.siblings)]
        lines = [value for one in answers for _name, value in one.lines]
        peers = [one.peer or "" for one in answers]
        told = [" ".join(dict.fromkeys(texts)) for texts in (probed, lines, peers)]
        seen = [str(one.seen) for one in answers]
        header, companions = self.target.question.strategy.header, answers[0].companions
        unheard = {name: (name, value) for one in answers for name, value in one.unheard}
        names = tuple(dict.fromkeys(name for one in answers for name in one.added))
        more = beside(header, seen, told, companions, (*unheard.values(),), names)
        written = {name.lower() for one in answers for name, _value in one.lines}
        copied = COPIED if "forwarded" in written else ()
        self.target = self.target._replace(forgeries=(*self.target.forgeries, *more, *copied))

    def _untried(self) -> list[Forgery]:
        """What to forge that was not: all of it where anything was answered."""
        self._learn()
        tried = {id(forgery) for forgery, _sample in self.forged}
        left = [one for one in self.target.trials if id(one) not in tried]
        samples = [*self.samples, *(sample for _forgery, sample in self.forged)]
        if any(map(is_answer, samples)):
            return left or self._apart()
        return to_knock_with(self.target, self.samples, self.forged)

    def _apart(self) -> list[Forgery]:
        """What was refused because of something else than itself, maybe: first each line alone,
        then, as it is known by that which ones are refused, the others together, and some of them.
        """
        # Who asks for another host may be refused for that, and silence takes the time of many.
        known = [pair for pair in self.forged if not pair[0].asks_else]
        # What waiting didn't help is refused for something else, unless it says that it isn't.
        statuses = TOO_MANY if self.pace.is_beside else OVERLOADED
        if any(is_limited(sample, statuses) for _forgery, sample in known):
            return []
        tried = [(one, is_answer(sample)) for one, sample in known if sample.code != "V509"]
        more: tuple[Forgery, ...] = ()
        while self.parted and not more:
            more = self.parted[0](tried)
            self.parted = self.parted[1:]
        self.target = self.target._replace(forgeries=(*self.target.forgeries, *more))
        return [*more]

    def _again(self, most: int) -> list[Forgery]:
        """What to forge once more, until each backend has met it that answers at all."""
        answers = filter(is_answer, self.samples)
        named = tuple({sample.called for sample in answers if sample.called})
        question = self.target.question._replace(backends=named)
        repeated = [one for one in self.target.forgeries if one.repeated]
        # Where the one with all lines is refused, others have a part of them each.
        met: set[str] = set()
        for forgery in sorted(repeated, key=lambda one: -len(one.lines)):
            tried = [sample for one, sample in self.forged if one is forgery]
            names = {name for name, _value in forgery.lines}
            if names <= met or not any(map(is_answer, tried)):
                continue
            met |= names
            more = min(wanted(question, tried), most)
            if more:
                return [forgery] * more
        return []


class Visit:
    """One target: its addresses in order, or why it has none."""

    __slots__ = ("failure", "stations", "target")

    def __init__(self, target: Target) -> None:
        self.target = target
        self.stations: list[Station] = []
        self.failure = _TOO_LATE

    @property
    def tried(self) -> Target:
        """The target with all that was forged at its addresses, or a few of them, and the first of
        each family of these as where clients ask.
        """
        first = {one.address.family: one for one in reversed(self.stations)}
        forms = [form for one in first.values() for form in forms_of(one.address.remote)]
        asked = [(form, self.target.endpoint.port) for form in forms]
        # Over each family other proxies can be met.
        in_order = [*first.values(), *self.stations]
        lists = [*(one.target.forgeries for one in in_order), self.target.forgeries]
        return self.target._replace(forgeries=united(lists), asked=asked)


class Survey:
    """Asks many targets at once, each of their addresses as often as needed.

    Workers draw their jobs from here one at a time, target after target, so that only about as many
    targets are under way as there are workers. Resolving a name is a job like a request.
    """

    def __init__(
        self,
        targets: Iterable[Target],
        request: Request,
        finish: Callable[[Station], Any],
        until: float,
        family: str = "any",
        concurrency: int = 16,
        fetch: Fetch = fetch,
    ) -> None:
        self._visits = [Visit(target) for target in targets]
        self._request = request
        self._finish = finish
        self._until = until
        self._family = family
        self._concurrency = concurrency
        self._fetch = fetch
        # Many targets can be at one address, and each time the system would be asked.
        self._is_own = cache(is_own)
        self._state = threading.Condition()
        self._unresolved = iter(self._visits)
        self._open: deque[Station] = deque()
        # Who has to be asked slowly comes last, so that nobody else waits for him.
        self._slow: deque[Station] = deque()
        self._busy = 0
        self._over = threading.Event()
        self._crash: BaseException | None = None

    def run(self) -> list[Visit]:
        """Return when every station is finished, at the latest a moment after the deadline."""
        for _worker in range(self._concurrency):
            threading.Thread(target=self._work, daemon=True).start()
        # The moment lets requests that end with the deadline say how they ended.
        self._over.wait(max(self._until - monotonic(), 0) + 0.2)
        with self._state:
            self._over.set()
            self._state.notify_all()
            if self._crash is not None:
                raise self._crash
            for station in (one for visit in self._visits for one in visit.stations):
                if station.result is None:
                    self._end(station)
        return self._visits

    def _work(self) -> None:
        try:
            with self._state:
                job = self._next_job()
            while job is not None:
                done = job()
                with self._state:
                    if self._over.is_set():
                        return
                    done()
                    self._busy -= 1
                    job = self._next_job()
        except BaseException as error:  # a worker that dies silently would leave the run waiting
            with self._state:
                self._crash = error
                self._over.set()
                self._state.notify_all()

    def _next_job(self) -> Callable[[], Callable[[], None]] | None:
        """What to do next outside of the lock; it returns what to do with its outcome under it."""
        while not self._over.is_set() and monotonic() < self._until:
            # One that turned out to be slow has nothing to do any more.
            while self._open and not self._open[0].todo:
                self._open.popleft()
            visit = None if self._open else next(self._unresolved, None)
            if visit is not None:
                self._busy += 1
                return partial(self._find, visit)
            queue = self._open or self._slow
            if queue:
                station = queue[0]
                forgery = station.todo.popleft()
                if not station.todo:
                    queue.popleft()
                station.busy += 1
                self._busy += 1
                return partial(self._ask, station, forgery, station.pace.seconds)
            if not self._busy:
                self._over.set()
                self._state.notify_all()
                break
            self._state.wait(max(self._until - monotonic(), 0))
        return None

    def _find(self, visit: Visit) -> Callable[[], None]:
        endpoint = visit.target.endpoint
        left = min(self._request.timeout, self._until - monotonic())
        try:
            addresses = resolve(endpoint.host, endpoint.port, self._family, left)
        except NoAnswer as error:
            # A new one, since a caught exception keeps alive everything that was under way.
            failure = NoAnswer(error.number, error.detail)
            return lambda: self._lacks(visit, failure)
        return lambda: self._found(visit, addresses)

    def _lacks(self, visit: Visit, failure: NoAnswer) -> None:
        visit.failure = failure

    def _found(self, visit: Visit, addresses: Sequence[SocketAddress]) -> None:
        visit.stations = [
            Station(visit.target, address, addresses, self._is_own) for address in addresses
        ]
        for station in visit.stations:
            station.plan(station.target.question.samples)
        self._open.extend(visit.stations)
        self._state.notify_all()

    def _ask(
        self, station: Station, forgery: Forgery | None, wait: float | None
    ) -> Callable[[], None]:
        if wait:
            sleep(max(min(wait, self._until - monotonic()), 0))
        target, nonce = station.target, secrets.token_hex(8)
        own = [(LINE_HEADER, value) for value in LINE_VALUES]
        if forgery is None:
            request = self._request._replace(forged=(*own,))
        else:
            lines = (*forgery.lines, *(own if forgery.in_lines else ()))
            places = target.places((station.address.remote, target.endpoint.port))
            request = self._request._replace(
                forged=lines,
                preface=forgery.preface.sent(places, target.endpoint.name)
                if forgery.preface
                else b"",
                within=forgery.within,
                host=forgery.host or self._request.host,
                absolute=forgery.absolute,
                query=forgery.query,
            )
        try:
            reply = self._fetch(target.endpoint, station.address, request, self._until, nonce)
        except NoAnswer as error:
            sample = Sample(error.number, detail=error.detail)
        else:
            answer, local, _nonce, times = reply
            sample = read(target.question, station.path, answer, local, nonce, times, forgery)
        return lambda: self._took(station, forgery, sample, wait)

    def _took(
        self, station: Station, forgery: Forgery | None, sample: Sample, waited: float | None
    ) -> None:
        station.busy -= 1
        station.took(forgery, sample, waited)
        if station.busy or station.todo:
            return
        # A few at a time: the next answer may already be the one that is missing.
        if station.plan(self._concurrency):
            (self._slow if station.pace.seconds else self._open).append(station)
            self._state.notify_all()
        else:
            self._end(station)

    def _end(self, station: Station) -> None:
        station.result = self._finish(station)
        station.samples, station.forged = [], []
        # Of thousands each would have room for more.
        station.todo = _NOTHING


_PAUSE = 1.0


def await_echo(survey: Callable[..., Survey], targets: Iterable[Target], timeout: float) -> None:
    """Ask every target once a second until it answers as an echo app, for ``timeout`` seconds.

    ``survey``: makes one, but for the arguments that are given here. Names are looked up anew each
    time. What doesn't answer in the end is left to the survey proper to tell.
    """
    end = monotonic() + timeout
    pending = [
        target._replace(question=target.question._replace(samples=1, backends=()), forgeries=())
        for target in targets
    ]
    while pending and monotonic() < end:
        visits = survey(targets=pending, finish=_is_ready, until=end).run()
        pending = [visit.target for visit in visits if not _are_ready(visit.stations)]
        if pending:
            sleep(max(min(_PAUSE, end - monotonic()), 0))


def _is_ready(station: Station) -> bool | None:
    """None for an address that can't be tried from here: nothing to wait for."""
    if all(sample.code == "V601" for sample in station.samples):
        return None
    return any(is_answer(sample) for sample in station.samples)


def _are_ready(stations: Iterable[Station]) -> bool:
    results = {station.result for station in stations}
    return True in results and False not in results


# --- The prober's own address ---------------------------------------------------------------------


class OwnAddress(NamedTuple):
    """``told``: by family, 4 and 6; ``asked_at``: where; ``failures``: why none of a family."""

    told: dict[int, str]
    asked_at: frozenset[tuple[Address, int]]
    failures: dict[int, str]


def _own(text: str, version: int) -> str | None:
    own = parse_address(text)
    usable = own and own.address.version == version and not own.zone
    return str(own.address) if own and usable else None


def ask_own_address(endpoint: Endpoint, request: Request, family: str, until: float) -> OwnAddress:
    """Ask a service for the address that it sees us with, over each family twice.

    Behind a translation to several addresses, each connection may have another one. What was told
    then refutes nothing.
    """
    told: dict[int, str] = {}
    failures: dict[int, str] = {}
    asked_at: set[tuple[Address, int]] = set()
    for version in (4, 6):
        name = f"ipv{version}"
        try:
            if family not in ("any", name):
                raise NoAnswer("V601", phrase("not asked for"))
            left = min(request.timeout, until - monotonic())
            addresses = resolve(endpoint.host, endpoint.port, name, left)
            asked_at.update((address.remote, endpoint.port) for address in addresses)
            texts = [
                caller(fetch(endpoint, addresses[0], request, until).answer) for _time in (1, 2)
            ]
            # Whom a translator (NAT64) leads there is seen with an address of IPv4.
            seen_as = untranslated(addresses[0].remote).version
            first, second = (_own(text, seen_as) for text in texts)
            if first is None or first != second:
                told_twice = joined(" and ", dict.fromkeys(texts))
                raise NoEcho("V524", phrase("answered {texts}", texts=told_twice))
            told.setdefault(seen_as, first)
        except (NoAnswer, NoEcho) as error:
            title = titled(error.number)
            told_why = phrase("{title}: {detail}", title=title, detail=error.detail)
            failures[version] = told_why if error.detail else title
    untold = {version: why for version, why in failures.items() if version not in told}
    return OwnAddress(told, frozenset(asked_at), untold)
