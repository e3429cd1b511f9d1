# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Echo app: answers every HTTP request with what reached it, as JSON.

    {"kestrel": 1, "headers": [[name, value], ...], "peer": {"address": ..., "port": ...},
     "pod": ..., "node": ..., "namespace": ..., "nonce": ..., "http_version": "1.1",
     "method": ..., "path": ..., "tls": {...} or null}

``headers`` are the header lines as they came, in order and with repetitions; a byte is a character
of Latin-1. ``path`` is the request's target with its query. /healthz answers ``{"status": "ok"}``.
CONNECT is refused: any answer that is a success would open a tunnel.

One file of the standard library, for Python 3.9 or newer. Settings are environment variables:

    KESTREL_PORT                             where to listen on every address; 5000, 0 for any
    KESTREL_TLS_CERT, KESTREL_TLS_KEY        PEM files; with both it speaks TLS
    POD_NAME, NODE_NAME, POD_NAMESPACE       what it says of itself

A request is refused rather than guessed at: where two readers could see different requests in the
same bytes, a proxy in front may have seen another one. Source: RFC 9110 and RFC 9112.
"""

from __future__ import annotations

import asyncio
import http
import json
import os
import platform
import re
import signal
import socket
import ssl
import sys
from collections.abc import Generator, Mapping
from email.utils import formatdate
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

# A head of plain characters makes an answer of less than 40 KiB; the probe reads 64.
MAX_HEAD = 16 * 1024
MAX_LINES = 100
MAX_BODY = 1024 * 1024
MAX_NONCE = 128
MAX_CONNECTIONS = 1000

# Seconds. A balancer must be the first to give up a connection that it keeps for later, or a
# request meets one that is just being closed: nginx and most others do so after 60 s.
IDLE_TIMEOUT = 75.0
HEAD_TIMEOUT = 10.0
BODY_TIMEOUT = 30.0
WRITE_TIMEOUT = 30.0
LINGER = 1.0
SWEEP = 0.5
GRACE = 0.5

NONCE_HEADER = "x-kestrel-nonce"
NONCE_PARAMETER = "kestrel_nonce="

# What ends a line is CR LF alone: some take a bare CR or LF for an end as well.
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")
_REQUEST = re.compile(
    r"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([^\x00-\x20\x7f]+) HTTP/([0-9])\.([0-9])"
)
_FIELD = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\x00-\x08\x0a-\x1f\x7f]*)")
_LENGTH = re.compile(r"[0-9]{1,15}")
# A chunk's size, with an extension or without
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_CHUNK_LINE = 256

Steps = Generator[None, None, None]


class Refused(Exception):
    """The request gets an answer of this ``status``, and the connection ends."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Head(NamedTuple):
    """A request without its body. ``minor``: of the version HTTP/1."""

    method: str
    target: str
    minor: int
    fields: list[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        """The values of each line of this name, which is in lower case."""
        return [value for key, value in self.fields if key.lower() == name]

    def tokens(self, name: str) -> list[str]:
        """The members of a list that may be spread over several lines, in lower case."""
        return [one.strip().lower() for value in self.values(name) for one in value.split(",")]


# --- Requests -------------------------------------------------------------------------------------


def parse_head(raw: bytes) -> Head:
    """The head in ``raw``, which is without the empty line at its end. Raises Refused."""
    first, *lines = raw.decode("latin-1").split("\r\n")
    found = _REQUEST.fullmatch(first)
    if found is None:
        raise Refused(400)
    method, target, major, minor = found.groups()
    if major != "1":
        raise Refused(505)
    if method == "CONNECT":
        raise Refused(501)
    if len(lines) > MAX_LINES:
        raise Refused(431)
    head = Head(method, target, int(minor), parse_fields(lines))
    hosts = len(head.values("host"))
    if hosts > 1 or (head.minor and not hosts):
        raise Refused(400)
    return head


def parse_fields(lines: list[str]) -> list[tuple[str, str]]:
    """Header lines as name and value. Raises Refused, also for a line that continues another."""
    fields = []
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise Refused(400)
        fields.append((found[1], found[2].strip(" \t")))
    return fields


def body_length(head: Head) -> int | None:
    """Length of the body in bytes, None for one in chunks. Raises Refused."""
    lengths, codings = head.values("content-length"), head.values("transfer-encoding")
    if codings:
        if lengths or not head.minor:
            raise Refused(400)
        if [one.lower() for one in codings] != ["chunked"]:
            raise Refused(501)
        return None
    if not lengths:
        return 0
    # Also where two lines agree: who stands in front may have read but one.
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise Refused(400)
    length = int(lengths[0])
    if length > MAX_BODY:
        raise Refused(413)
    return length


def keeps_alive(head: Head) -> bool:
    """Does the client want to send another request on this connection?"""
    tokens = head.tokens("connection")
    return "close" not in tokens and (bool(head.minor) or "keep-alive" in tokens)


def nonce_of(head: Head) -> str | None:
    """The nonce of the header, else that of the query: a proxy may drop the one or the other."""
    named = head.values(NONCE_HEADER)
    for part in head.target.partition("?")[2].split("&"):
        if part.startswith(NONCE_PARAMETER):
            named.append(unquote_plus(part[len(NONCE_PARAMETER) :], "latin-1"))
    return named[0][:MAX_NONCE] if named else None


def plain_address(address: str) -> str:
    """An IPv4 peer of a socket for both families as the IPv4 address that it is."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address


# --- Connections ----------------------------------------------------------------------------------


class App:
    """What all connections share. ``itself``: pod, node and namespace."""

    def __init__(self, itself: Mapping[str, str | None]) -> None:
        self.itself = itself
        self.connections: set[Connection] = set()
        self.stopping = False
        self._date = (0, "")

    def date(self, now: float) -> str:
        """The time for an answer; made once a second."""
        if int(now) != self._date[0]:
            self._date = (int(now), formatdate(usegmt=True))
        return self._date[1]

    def sweep(self, now: float) -> None:
        """End the connections whose time is over."""
        for connection in [one for one in self.connections if one.deadline <= now]:
            connection.expire()

    def stop(self) -> None:
        """Serve what has begun, and nothing new."""
        self.stopping = True
        for connection in list(self.connections):
            connection.stop()


class Connection(asyncio.Protocol):
    """One client. ``deadline``: of the loop's clock, when to stop waiting for it."""

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop) -> None:
        self.deadline = 0.0
        self._app = app
        self._time = loop.time
        self._buffer = bytearray()
        self._steps: Any = self._serve()
        self._waiting = ""
        self._held = False
        self._last = False
        self._ended = False
        self._transport: Any = None
        self._peer: Any = None
        self._tls: dict[str, str | None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        if not peer:
            # It was reset before it was accepted.
            self._ended = True
            self._transport.close()
            return
        self._peer = {"address": plain_address(peer[0]), "port": peer[1]}
        self._tls = tls_facts(transport.get_extra_info("ssl_object"))
        if len(self._app.connections) >= MAX_CONNECTIONS:
            self._refuse(503, linger=False)
            return
        self._app.connections.add(self)
        next(self._steps)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._ended = True
        self._app.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Go on with the request; what follows the last one is dropped."""
        if not self._ended:
            self._buffer += data
            self._advance()

    def eof_received(self) -> bool:
        """Whether to keep our half open: yes, where requests are still to be answered."""
        self._last = self._held and not self._ended and bool(self._transport.can_write_eof())
        if not self._last and not self._ended:
            self._close()
        return self._last

    def pause_writing(self) -> None:
        """Read no further requests while nobody reads the answers."""
        self._held = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._held = False
        if not self._ended:
            self._transport.resume_reading()
            self._advance()
        if self._last and not self._held:
            self._close()

    def stop(self) -> None:
        """End it as soon as no request is under way."""
        if self._waiting == "idle":
            self._close()

    def expire(self) -> None:
        """End it, with an answer where half a request is there."""
        if self._waiting in ("end", "write"):
            self._transport.abort()
        elif self._waiting == "idle":
            self._close()
        else:
            self._refuse(408)

    def _advance(self) -> None:
        if self._ended or self._steps.gi_running:
            return
        try:
            next(self._steps)
        except Refused as refused:
            self._refuse(refused.status)
        except StopIteration:
            self._close()

    def _wait(self, what: str, seconds: float) -> None:
        self._waiting = what
        self.deadline = self._time() + seconds

    def _serve(self) -> Steps:
        """Serve one request after the other; yields where it must wait for the client."""
        self._wait("idle", HEAD_TIMEOUT)
        while True:
            while not self._begun():
                yield
            self._wait("head", HEAD_TIMEOUT)
            head = parse_head((yield from self._until(b"\r\n\r\n", MAX_HEAD, too_long=431)))
            length = body_length(head)
            if length != 0:
                self._wait("body", BODY_TIMEOUT)
                self._encourage(head)
                yield from self._skip(length)
            if not self._answer(head):
                return
            self._wait("write", WRITE_TIMEOUT)
            while self._held:
                yield
            self._wait("idle", IDLE_TIMEOUT)

    def _begun(self) -> bool:
        # Some clients send an empty line behind a body: RFC 9112, section 2.2.
        while self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
        return bool(self._buffer) and self._buffer != b"\r"

    def _until(self, end: bytes, limit: int, too_long: int) -> Generator[None, None, bytes]:
        """At most ``limit`` bytes that stand before ``end``, which is taken with them.

        Raises Refused: with the status ``too_long`` where there are more.
        """
        seen = 0
        while True:
            at = self._buffer.find(end, max(0, seen - len(end)))
            if _BARE.search(self._buffer, max(0, seen - 1), len(self._buffer) if at < 0 else at):
                raise Refused(400)
            if 0 <= at <= limit:
                found = bytes(self._buffer[:at])
                del self._buffer[: at + len(end)]
                return found
            if len(self._buffer) - len(end) >= limit:
                raise Refused(too_long)
            seen = len(self._buffer)
            yield

    def _encourage(self, head: Head) -> None:
        wishes = head.tokens("expect") if head.minor else []
        if wishes and wishes != ["100-continue"]:
            raise Refused(417)
        if wishes and not self._buffer:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _skip(self, length: int | None) -> Steps:
        if length is not None:
            yield from self._drop(length)
            return
        left = MAX_BODY
        while True:
            line = yield from self._until(b"\r\n", _CHUNK_LINE, too_long=400)
            found = _CHUNK.fullmatch(line)
            if found is None:
                raise Refused(400)
            size = int(found[1], 16)
            # The lines count too, or a body of endless small chunks would be endless.
            left -= size + len(line) + 4
            if left < 0:
                raise Refused(413)
            if size == 0:
                break
            yield from self._drop(size)
            if (yield from self._until(b"\r\n", 0, too_long=400)):
                raise Refused(400)
        yield from self._skip_trailers()

    def _skip_trailers(self) -> Steps:
        left = MAX_HEAD
        for __ in range(MAX_LINES + 1):
            line = yield from self._until(b"\r\n", left, too_long=431)
            if not line:
                return
            parse_fields([line.decode("latin-1")])
            left -= len(line)
        raise Refused(431)

    def _drop(self, length: int) -> Steps:
        """Take ``length`` bytes, without ever holding more than one read brings."""
        while length > len(self._buffer):
            length -= len(self._buffer)
            self._buffer.clear()
            yield
        del self._buffer[:length]

    def _answer(self, head: Head) -> bool:
        """Answer and say whether the connection stays."""
        body: dict[str, Any] = {"status": "ok"}
        if head.target.partition("?")[0] != "/healthz":
            body = {
                "kestrel": 1,
                "headers": head.fields,
                "peer": self._peer,
                **self._app.itself,
                "nonce": nonce_of(head),
                "http_version": f"1.{head.minor}",
                "method": head.method,
                "path": head.target,
                "tls": self._tls,
            }
        keep = keeps_alive(head) and not self._app.stopping
        self._write(200, body, keep, without_body=head.method == "HEAD")
        return keep

    def _refuse(self, status: int, *, linger: bool = True) -> None:
        self._write(status, {"error": http.HTTPStatus(status).phrase}, keep=False)
        self._close(linger=linger)

    def _write(
        self, status: int, body: Mapping[str, Any], keep: bool, *, without_body: bool = False
    ) -> None:
        # Nothing but ASCII, so that no byte of a request does anything in a terminal.
        content = json.dumps(body).encode() + b"\n"
        head = (
            f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n"
            f"Date: {self._app.date(self._time())}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n"
            "Cache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        ).encode()
        self._transport.write(head if without_body else head + content)

    def _close(self, *, linger: bool = False) -> None:
        """End it. Where more may come from the client, that is read, but for a second at most: an
        answer that it has not read yet would be lost by a reset.
        """
        self._ended = True
        linger = (linger or bool(self._buffer)) and self._transport.can_write_eof()
        self._wait("end", LINGER if linger else WRITE_TIMEOUT)
        self._buffer.clear()
        if not linger:
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()


def tls_facts(session: Any) -> dict[str, str | None] | None:
    """What the handshake agreed on, None without TLS."""
    if session is None:
        return None
    return {
        "version": session.version(),
        "cipher": (session.cipher() or (None,))[0],
        "server_name": getattr(session, "kestrel_server_name", None),
    }


# --- Server ---------------------------------------------------------------------------------------


def listen(port: int) -> socket.socket:
    """A socket for both families, or for IPv4 where there is no IPv6. Raises OSError."""
    for family, address in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):
        try:
            server = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue
        try:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            server.bind((address, port))
            server.listen(1024)
            return server
        except OSError:
            server.close()
            if family == socket.AF_INET:
                raise
    raise OSError("neither IPv6 nor IPv4")


def tls_context(environment: Mapping[str, str]) -> ssl.SSLContext | None:
    """The context for the certificate, None where none is named. Raises OSError."""
    names = [environment.get(name, "") for name in ("KESTREL_TLS_CERT", "KESTREL_TLS_KEY")]
    if not any(names):
        return None
    if not all(names):
        raise OSError("KESTREL_TLS_CERT and KESTREL_TLS_KEY: set both")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*names)
    context.set_alpn_protocols(["http/1.1"])

    def remember(session: Any, name: str | None, __: ssl.SSLContext) -> None:
        session.kestrel_server_name = name

    context.sni_callback = remember
    return context


async def serve(server: socket.socket, tls: ssl.SSLContext | None, app: App) -> None:
    """Serve until SIGTERM or SIGINT, and then for as long as it takes to end well."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    listener = await loop.create_server(
        lambda: Connection(app, loop),
        sock=server,
        backlog=1024,
        ssl=tls,
        ssl_handshake_timeout=HEAD_TIMEOUT if tls else None,
    )
    while not asked.is_set():
        try:
            await asyncio.wait_for(asked.wait(), SWEEP)
        except asyncio.TimeoutError:
            app.sweep(loop.time())
    listener.close()
    app.stop()
    end = loop.time() + GRACE
    while app.connections and loop.time() < end:
        await asyncio.sleep(0.02)


def main() -> int:
    """Entry point: the exit status."""
    try:
        tls = tls_context(os.environ)
        server = listen(int(os.environ.get("KESTREL_PORT") or 5000))
    except (OSError, OverflowError, ValueError) as error:
        print(f"echo: {error}", file=sys.stderr)
        return 1
    names = {"pod": "POD_NAME", "node": "NODE_NAME", "namespace": "POD_NAMESPACE"}
    app = App({key: os.environ.get(name) or None for key, name in names.items()})
    print(
        f"echo: {'https' if tls else 'http'} on port {server.getsockname()[1]},"
        f" Python {platform.python_version()}",
        flush=True,
    )
    asyncio.run(serve(server, tls, app))
    return 0


if __name__ == "__main__":
    sys.exit(main())
