# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers on loopback: echo apps, and what else answers on a port, also with ill will."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Lines = list[tuple[str, str]]
Behaviour = Callable[["Connection"], None]
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
SECOND = "PROXY v2"


#: How TLS begins: to who awaits HTTP it is no request, and has a bare line feed
_HELLO = b"\x16\x03"
_BEGUN = re.compile(rb"PROXY [^\r]*\r\n" + _HELLO)


class Connection:
    """One accepted connection, its request read up to the empty line if the behaviour wants it."""

    def __init__(self, sock: socket.socket, server: Server) -> None:
        self.sock = sock
        self.server = server
        self.lines: Lines = []

    def read(self) -> Lines:
        """The header lines of the request; the first one has the request line as its value.

        What begins with the PROXY protocol is no request.
        """
        lines = self.read_after()
        if lines[0][1].startswith("PROXY "):
            raise ConnectionAbortedError
        return lines

    def read_after(self) -> Lines:
        """Likewise, the line of the PROXY protocol in the place of the request line.

        The second version is shown as the same line.
        """
        if self.lines:
            return self.lines
        data = b""
        while b"\r\n\r\n" not in data.removeprefix(_SIGNATURE):
            received = self.sock.recv(65536)
            if not received:
                break
            data += received
            # Also behind the PROXY protocol, of which the second version has a head of 16 bytes.
            begun = data.startswith(_SIGNATURE) and len(data) > 15
            size = 16 + int.from_bytes(data[14:16], "big") if begun else 0
            if data[size:].startswith(_HELLO) or _BEGUN.match(data):
                raise ConnectionAbortedError
        if data.startswith(_SIGNATURE + b"\x21\x11"):
            ends = [ipaddress.ip_address(data[at : at + 4]) for at in (16, 20)]
            ports = struct.unpack("!HH", data[24:28])
            told = " ".join(map(str, (SECOND, *ends, *ports)))
            # What else it tells may be a host.
            size = 16 + int.from_bytes(data[14:16], "big")
            data = told.encode() + b" " + data[28:size].hex().encode() + b"\r\n" + data[size:]
        first, *lines = data.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
        self.lines = [("", first), *(line.partition(": ")[::2] for line in lines)]
        self.server.requests.append(self.lines)
        return self.lines

    def send(self, *parts: bytes) -> None:
        self.sock.sendall(b"".join(parts))

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        if self.server.stopped.wait(seconds):
            raise ConnectionAbortedError

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


#: Where the system takes no ports for connections (ip_local_port_range), so that who has one at an
#: address of loopback finds it free at the others. Each process of a run has a part of them.
_FIRST, _PORTS_OF_EACH, _PROCESSES = 10000, 2500, 8
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _PROCESSES
_PORTS = cycle(range(_FIRST + _WORKER * _PORTS_OF_EACH, _FIRST + (_WORKER + 1) * _PORTS_OF_EACH))


def _listener(family: int, host: str, port: int) -> socket.socket:
    """Listens at a port of its own, or at the one that is given."""
    for number in [port] if port else islice(_PORTS, _PORTS_OF_EACH):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, number))
            listener.listen(128)
        except OSError:
            listener.close()
            if port:
                raise
        else:
            return listener
    raise OSError(f"no port of {host} is free")


class Server:
    """Behaves to each connection in a thread of its own. ``requests``: those that were read."""

    def __init__(
        self,
        behaviour: Behaviour,
        family: int = socket.AF_INET,
        tls: ssl.SSLContext | None = None,
        address: tuple[str, int] | None = None,
    ) -> None:
        self.behaviour = behaviour
        self.tls = tls
        self.requests: list[Lines] = []
        self.accepted = 0
        self.stopped = threading.Event()
        self.listener = _listener(family, *(address or (LOOPBACK[family], 0)))
        host, self.port = self.listener.getsockname()[:2]
        self.authority = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.authority}/"

    def __enter__(self) -> Server:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stopped.set()
        # Closing alone would leave the thread waiting in accept.
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _peer = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._behave, args=(sock,), daemon=True).start()

    def _behave(self, sock: socket.socket) -> None:
        # The other side hangs up whenever it has seen enough.
        with suppress(OSError), sock:
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
            with sock:
                self.behaviour(Connection(sock, self))


# --- Behaviours -----------------------------------------------------------------------------------


def response(body: bytes = b"", status: str = "200 OK", **fields: str) -> bytes:
    """A whole answer; of a field that is given twice the later value counts."""
    named = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    named.update((name.replace("_", "-"), value) for name, value in fields.items())
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body


def says(*parts: bytes) -> Behaviour:
    """Reads the request, sends the bytes and closes."""

    def behave(connection: Connection) -> None:
        connection.read()
        connection.send(*parts)

    return behave


def echo(
    forwarded: str | Callable[[int], str | None] | None = "203.0.113.20",
    change: Callable[[dict[str, Any], int], None] = lambda _document, _number: None,
    form: str = "kestrel",
    status: str = "200 OK",
) -> Behaviour:
    """An echo app behind a proxy that adds X-Forwarded-For, to each request another if callable."""
    lock = threading.Lock()
    count = iter(range(1_000_000))

    def behave(connection: Connection) -> None:
        lines = connection.read()[1:]
        with lock:
            number = next(count)
        value = forwarded(number) if callable(forwarded) else forwarded
        if value is not None:
            lines = [*lines, ("X-Forwarded-For", value)]
        if form == "flask":
            merged = {name: ",".join(_values(lines, name)) for name, _value in lines}
            document: dict[str, Any] = {"headers": merged, "method": "GET"}
        else:
            host, port = connection.sock.getpeername()[:2]
            document = {"kestrel": 1, "headers": lines, "peer": {"address": host, "port": port}}
        change(document, number)
        connection.send(response(json.dumps(document).encode(), status))

    return behave


def writes(told: Callable[[Lines], Lines]) -> Behaviour:
    """An echo app behind a proxy that makes these lines of all that it is told of the client."""

    def behave(connection: Connection) -> None:
        given = connection.read()[1:]
        others = [line for line in given if not _FORWARDING.match(line[0])]
        peer = {"address": connection.sock.getpeername()[0], "port": 1}
        document = {"kestrel": 1, "headers": [*others, *told(given)], "peer": peer}
        connection.send(response(json.dumps(document).encode()))

    return behave


def takes_proxy_lines(client: str | None, version: str = "PROXY TCP4") -> Behaviour:
    """An echo app that takes the PROXY protocol from whoever sends it, and where there is a
    ``client`` does without it too.
    """

    def behave(connection: Connection) -> None:
        first, *lines = connection.read_after()
        told = first[1].split()
        believed = first[1].startswith(version)
        if not believed and (told[:1] == ["PROXY"] or client is None):
            raise ConnectionAbortedError
        address = told[2] if believed else client
        lines = [line for line in lines if " " not in line[0]]
        peer = {"address": address, "port": 1}
        lines = [line for line in lines if line[0].lower() != "x-real-ip"]
        lines += [("X-Real-IP", address), ("X-Forwarded-For", address)]
        document = {"kestrel": 1, "headers": lines, "peer": peer}
        connection.send(response(json.dumps(document).encode()))

    return behave


def only_for(host: str, behaviour: Behaviour) -> Behaviour:
    """Behaves so to requests for this host, and knows no other."""

    def behave(connection: Connection) -> None:
        asked = dict(connection.read())["Host"].partition(":")[0]
        (behaviour if asked == host else says(response(b"", "404 Not Found")))(connection)

    return behave


def only_at(path: str, behaviour: Behaviour) -> Behaviour:
    """Behaves so to requests for this path, and knows no other."""

    def behave(connection: Connection) -> None:
        asked = connection.read()[0][1].split()[1].partition("?")[0]
        (behaviour if asked == path else says(response(b"", "404 Not Found")))(connection)

    return behave


def only_with(name: str, behaviour: Behaviour, other: Behaviour | None = None) -> Behaviour:
    """Behaves so to requests with this header; all others it refuses as not having come its way, or
    treats them in the other way.
    """
    refuse = other or says(response(b"", "403 Forbidden"))

    def behave(connection: Connection) -> None:
        known = name in dict(connection.read())
        (behaviour if known else refuse)(connection)

    return behave


def serves_only(network: str, client: str, header: str = "X-Forwarded-For") -> Behaviour:
    """An echo app behind a proxy that believes a client's header, and serves one network only, as
    nginx with realip for everybody and ``allow``. What is no address counts for nothing.
    """
    served = ipaddress.ip_network(network, strict=False)

    def behave(connection: Connection) -> None:
        given = connection.read()[1:]
        told = [value.partition(",")[0] for value in _values(given, header)]
        try:
            address = ipaddress.ip_address(told[0] if told else client)
        except ValueError:
            address = ipaddress.ip_address(client)
        if address not in served:
            connection.send(response(b"", "403 Forbidden"))
            return
        lines = [line for line in given if not _FORWARDING.match(line[0])]
        lines += [(name, str(address)) for name in ("X-Forwarded-For", "X-Real-IP")]
        connection.send(response(json.dumps({"kestrel": 1, "headers": lines}).encode()))

    return behave


def admits_only(sender: str, behaviour: Behaviour) -> Behaviour:
    """Behaves so behind the PROXY protocol that names this sender, and answers nobody else."""

    def behave(connection: Connection) -> None:
        first, *_lines = connection.read_after()
        told = first[1].split()
        # The second version isn't text.
        if told[:1] != ["PROXY"] or told[2:3] != [sender]:
            raise ConnectionAbortedError
        behaviour(connection)

    return behave


def admits_by(told_by: Callable[[dict[str, str]], str], sender: str, then: Behaviour) -> Behaviour:
    """Behaves so to requests whose headers tell this sender, as nginx with realip and ``allow``
    behind one proxy, and refuses all others.
    """

    def behave(connection: Connection) -> None:
        told = told_by(dict(connection.read()[1:]))
        (then if told == sender else says(response(b"", "403 Forbidden")))(connection)

    return behave


def hangs_where_forged(client: str) -> Behaviour:
    """An echo app that answers honest requests at once and forged ones too late."""

    def behave(connection: Connection) -> None:
        forged = any(map(_FORWARDING.match, dict(connection.read())))
        (silent if forged else proxied("append", client))(connection)

    return behave


def silent(connection: Connection) -> None:
    connection.pause(60)


def drips(data: bytes, first: bytes = b"") -> Behaviour:
    """Sends ``first`` at once and then a byte every now and then: no single recv takes long."""

    def behave(connection: Connection) -> None:
        connection.read()
        connection.send(first)
        for byte in data:
            connection.send(bytes([byte]))
            connection.pause(0.05)

    return behave


def floods(piece: bytes, first: bytes, times: int = 10_000_000) -> Behaviour:
    """Sends ``first``, then ``piece`` again and again as long as somebody reads."""

    def behave(connection: Connection) -> None:
        connection.read()
        connection.send(first)
        block = piece * max(1, 65536 // len(piece))
        for _time in range(times):
            connection.send(block)

    return behave


def resets(first: bytes = b"") -> Behaviour:
    def behave(connection: Connection) -> None:
        connection.read()
        connection.send(first)
        connection.reset()

    return behave


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that nothing listens on, and that nobody else gets meanwhile."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@contextmanager
def full_port() -> Iterator[int]:
    """A port that takes no further connection: the packets that ask for one are dropped."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _number in range(3)]
        for sock in waiting:
            sock.setblocking(False)
            with suppress(BlockingIOError):
                sock.connect(listener.getsockname())
        yield listener.getsockname()[1]
        for sock in waiting:
            sock.close()


def resolver(known: dict[str, Any]) -> Callable[..., Any]:
    """getaddrinfo that knows some names itself: name → addresses, or what to call."""
    real = socket.getaddrinfo

    def look_up(host: str, port: int, family: int = 0, kind: int = 0, *more: int) -> Any:
        if host not in known:
            return real(host, port, family, kind, *more)
        if callable(known[host]):
            return known[host]()
        rows = [row for address in known[host] for row in real(address, port, 0, kind)]
        return [row for row in rows if family in (socket.AF_UNSPEC, row[0])]

    return look_up


# --- Certificates ---------------------------------------------------------------------------------


def certificate(directory: Path, name: str, days: int = 1) -> Path:
    """A self-signed certificate for the name and both loopback addresses, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName(name)]
    addresses = [x509.IPAddress(ipaddress.ip_address(one)) for one in LOOPBACK.values()]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = directory / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def server_tls(file: Path, client: Path | None = None) -> ssl.SSLContext:
    """A server's settings for TLS; with ``client`` it wants that certificate of the client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if client is not None:
        context.load_verify_locations(client)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _values(lines: Lines, wanted: str) -> list[str]:
    return [value for name, value in lines if name.lower() == wanted.lower()]


def _first_of(lines: Lines, count: int) -> list[str]:
    """The first entries of X-Forwarded-For's lists of just so many."""
    lists = (value.split(",") for value in _values(lines, "X-Forwarded-For"))
    return [entries[0] for entries in lists if len(entries) == count]


#: What a proxy believes that only sometimes believes anything, by its mode: values of the request.
_BELIEVES: dict[str, Callable[[Lines], list[str]]] = {
    "hearsay": lambda given: _values(given, "True-Client-IP"),
    "hearsay of IPv6": lambda given: [v for v in _values(given, "True-Client-IP") if ":" in v],
    "rumour of IPv6": lambda given: [v for v in _values(given, "X-Remote-IP") if ":" in v],
    "rumour": lambda given: _values(given, "X-Azure-ClientIP"),
    "viewer": lambda given: [
        v.removesuffix(":6666")
        for v in _values(given, "CloudFront-Viewer-Address")
        if v.endswith(":6666")
    ],
    "viewer over IPv6": lambda given: [v for v in _values(given, "CF-Connecting-IPv6") if ":" in v],
    "Fastly's beside its mark": lambda given: (
        _values(given, "Fastly-Client-IP") if _values(given, "Fastly-FF") else []
    ),
    "Azure's beside its mark": lambda given: (
        _values(given, "X-Azure-ClientIP") if _values(given, "X-Azure-FDID") else []
    ),
    "of Cloudflare": lambda given: _values(given, "Ali-CDN-Real-IP"),
    "of Cloudflare and Fastly": lambda given: (
        _values(given, "Fastly-Client-IP") if _values(given, "Fastly-FF") else []
    ),
    "together": lambda given: _values(given, "Client-IP") if _values(given, "Via") else [],
    "internal": lambda given: [v for v in _values(given, "X-Real-IP") if v.startswith("10.")],
    "loopback": lambda given: [v for v in _values(given, "X-Real-IP") if v.startswith("127.")],
    "IPv6": lambda given: [v for v in _values(given, "X-Real-IP") if ":" in v and "." not in v],
    "with port": lambda given: [v for v in _values(given, "X-Real-IP") if v.endswith(":6666")],
    "itself": lambda given: [v for v in _values(given, "X-Forwarded-For") if v == "127.0.0.1"],
    "mapped": lambda given: [v for v in _values(given, "X-Real-IP") if v.startswith("::ffff:")],
    "brackets": lambda given: [v for v in _values(given, "X-Forwarded-For") if v.endswith("]")],
    "quotes": lambda given: [
        v.strip('"') for v in _values(given, "X-Real-IP") if v.startswith('"') and v.endswith('"')
    ],
    "three": lambda given: _first_of(given, 3),
    "four": lambda given: _first_of(given, 4),
    "five": lambda given: _first_of(given, 5),
    "list of one": lambda given: [
        v.partition(",")[0] for v in _values(given, "X-Real-IP") if "," in v
    ],
    "with proto": lambda given: [
        v.partition(";")[0].removeprefix("for=")
        for v in _values(given, "Forwarded")
        if "proto=" in v
    ],
    "two cases": lambda given: (
        _values(given, "X-Real-IP") if {"X-Real-IP", "x-real-ip"} <= {n for n, _v in given} else []
    ),
    "underscores": lambda given: _values(given, "True_Client_IP"),
    "other host": lambda given: (
        _values(given, "X-Forwarded-For") if _values(given, "X-Forwarded-Host") else []
    ),
    "second": lambda given: [
        v.partition(",")[0] for v in _values(given, "X-Forwarded-For") if v.endswith(", 192.0.2.66")
    ],
}


def proxied(mode: str, client: str) -> Behaviour:
    """An echo app behind a proxy that treats the forwarding headers of a request in this way."""

    def behave(connection: Connection) -> None:
        given = connection.read()[1:]
        forged = [(name, value) for name, value in given if _FORWARDING.match(name)]
        believed = _BELIEVES.get(mode, lambda _given: [])(given)
        peer = believed[-1] if believed else client
        lines = [line for line in given if line not in forged]
        if mode == "refuse" and forged:
            connection.send(response(b"blocked", "403 Forbidden"))
            return
        if mode.startswith("of Cloudflare") and any(
            name.startswith("CF-Con") for name, _value in given
        ):
            connection.send(response(b"error code: 1000", "403 Forbidden"))
            return
        if mode == "refuse addresses" and any(re.search(r"\d", value) for _name, value in forged):
            connection.send(response(b"blocked", "403 Forbidden"))
            return
        for name in ("X-Forwarded-For", "X-Real-IP"):
            before = _values(forged, name)
            # Zuul adds no address that is there already.
            once = mode == "once" and peer in ", ".join(before)
            appended = ", ".join([*before, *([] if once else [peer])])
            if mode == "falls back" and name == "X-Real-IP":
                lines.append((name, client))
            elif mode in ("append", "once", *_HOP_BY_HOP[:-1]) or mode in _BELIEVES:
                lines.append((name, appended))
            elif mode == "cut":
                lines.append((name, appended[:1000].rstrip(", ")))
            elif mode == "in place":
                # As a dictionary with case keeps the place of what it replaces.
                kept = {n: v for n, v in forged if n.lower() == name.lower()}
                lines += [*{**kept, name: client}.items()]
            elif mode == "of Fastly":
                known = any(n == "Fastly-FF" for n, _value in given)
                lines.append((name, ", ".join(before) if known and before else appended))
            elif mode == "exact case":
                lines += [(name, client), *((n, v) for n, v in forged if n == name.lower())]
            elif mode in ("not empty", "not unknown"):
                kept = "" if mode == "not empty" else "unknown"
                lines.append((name, kept if kept in before else client))
            elif mode == "add":
                lines += [(name, value) for value in (*before, client)]
            elif mode == "first line":
                lines += [(name, value) for value in (client, *before[1:])]
            elif mode == "only without" and before:
                lines += [(name, value) for value in before]
            elif mode != "real ip" or name == "X-Real-IP":
                lines.append((name, client))
        if mode != "real ip":
            lines += [line for line in forged if line[0] == "Forwarded"]
        if mode in _HOP_BY_HOP:
            its_name = "Proxy-Connection" if mode == "of tinyproxy" else "Connection"
            given_options = _values(given, its_name)
            options = ",".join(given_options[:1] if mode == "first option" else given_options)
            named = {option.strip() for option in options.split(",")}
            # Traefik's before 3.6.9 kept these, but looked for them as they are written.
            kept = {"X-Forwarded-For", "X-Real-IP"} if mode == "lower option" else set()
            named = {option.lower() for option in named - kept}
            if mode == "of Envoy" and (len(named) > 9 or "x-forwarded-for" in named):
                connection.send(response(b"", "400 Bad Request"))
                return
            lines = [line for line in lines if line[0].lower() not in named]
        if mode == "falls back":
            first = [*_values(lines, "X-Real-IP"), *_values(lines, "X-Forwarded-For"), client][0]
            others = [line for line in lines if not _FORWARDING.match(line[0])]
            lines = [*others, ("X-Forwarded-For", first.split(",")[0])]
        connection.send(response(json.dumps({"kestrel": 1, "headers": lines}).encode()))

    return behave


_HOP_BY_HOP = (
    "hop by hop",
    "first option",
    "lower option",
    "of tinyproxy",
    "falls back",
    "of Envoy",
)
_FORWARDING = re.compile(r"x[-_](forwarded[-_]for|real[-_]ip)$|forwarded$", re.IGNORECASE)
