# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bundled echo app, run as a process on loopback and spoken to byte by byte."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils import _echo
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.servers import certificate

APP = Path(__file__).resolve().parents[4] / "roles" / "deployment" / "files" / "echo.py"
ITSELF = {"POD_NAME": "pod-1", "NODE_NAME": "node-1", "POD_NAMESPACE": "team-a"}
#: Seconds that anything may take here before it counts as hung
PATIENCE = 30.0
#: Runs the app with other constants: those of real use are too long and too large for a test.
CHANGED = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("echo", sys.argv[1])
echo = importlib.util.module_from_spec(spec)
spec.loader.exec_module(echo)
vars(echo).update(json.loads(sys.argv[2]))
sys.exit(echo.main())
"""


class App(NamedTuple):
    process: subprocess.Popen[str]
    port: int

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection((host, self.port), PATIENCE)


@contextmanager
def running(environment: dict[str, str] | None = None, **constants: float) -> Iterator[App]:
    """The app on a free port; ``constants`` replace those of the file."""
    # ansible-test runs each test in a process of its own, which ends without a module's fixtures.
    command = ["setpriv", "--pdeathsig", "TERM", sys.executable, "-I"]
    command += ["-c", CHANGED, str(APP), json.dumps(constants)] if constants else [str(APP)]
    process = subprocess.Popen(
        command,
        env={**os.environ, **ITSELF, "KESTREL_PORT": "0", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        found = re.match(r"echo: https? on port (\d+), Python ", line)
        assert found, line + process.stderr.read()
        yield App(process, int(found[1]))
    finally:
        process.terminate()
        __, errors = process.communicate(timeout=PATIENCE)
    assert errors == ""
    assert process.returncode == 0


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    with running() as found:
        yield found


class Reply(NamedTuple):
    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def echo(self) -> _echo.Echo:
        """As the probe reads it."""
        return _echo.parse(_echo.Answer(self.status, "", self.fields, self.body), "kestrel")


class Reader:
    """Reads replies from a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.stream = sock.makefile("rb")

    def reply(self, *, without_body: bool = False) -> Reply:
        status = int(self.stream.readline().split()[1])
        fields = {}
        while True:
            line = self.stream.readline()
            if line in (b"\r\n", b""):
                break
            name, __, value = line.decode().partition(":")
            fields[name.lower()] = value.strip()
        length = 0 if without_body else int(fields.get("content-length", "0"))
        return Reply(status, fields, self.stream.read(length))

    def ended(self) -> bool:
        return self.stream.peek(1) == b""


def ask(app: App, request: bytes, host: str = "127.0.0.1") -> Reply:
    """The reply to bytes, after which nothing more is sent; no byte may follow it."""
    with app.connect(host) as sock:
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        reader = Reader(sock)
        reply = reader.reply()
        assert reader.ended()
        return reply


def served(app: App) -> bool:
    try:
        return ask(app, request()).status == 200
    except OSError:
        return False


def request(*lines: str, first: str = "GET / HTTP/1.1", body: bytes = b"") -> bytes:
    return "\r\n".join([first, "Host: a", *lines, "", ""]).encode("latin-1") + body


# --- What it says ---------------------------------------------------------------------------------


def test_header_lines_stand_as_they_came(app: App) -> None:
    lines = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("x-forwarded-for", "192.0.2.2, 192.0.2.3"),
        ("X_Forwarded_For", "192.0.2.4"),
        ("X-Real-IP", ""),
        ("X-Forwarded-For", "192.0.2.1"),
    ]
    reply = ask(app, request(*(f"{name}:  {value} \t" for name, value in lines)))
    assert reply.echo.headers == [("Host", "a"), *lines]


def test_the_whole_answer(app: App) -> None:
    with app.connect() as sock:
        sock.sendall(request("X-Kestrel-Nonce: n1", first="PUT /a%20b?kestrel_nonce=n2&c HTTP/1.1"))
        reply = Reader(sock).reply()
        port = sock.getsockname()[1]
    assert reply.document == {
        "kestrel": 1,
        "headers": [["Host", "a"], ["X-Kestrel-Nonce", "n1"]],
        "peer": {"address": "127.0.0.1", "port": port},
        "pod": "pod-1",
        "node": "node-1",
        "namespace": "team-a",
        "nonce": "n1",
        "http_version": "1.1",
        "method": "PUT",
        "path": "/a%20b?kestrel_nonce=n2&c",
        "tls": None,
    }
    assert reply.echo.nonces == {"n1"}
    assert reply.fields["cache-control"] == "no-store"
    assert reply.fields["content-type"] == "application/json"


NONCES = [
    ("/", (), None),
    ("/?kestrel_nonce=abc", (), "abc"),
    ("/x?a=b&kestrel_nonce=a%2Bb&kestrel_nonce=z", (), "a+b"),
    ("/?xkestrel_nonce=abc", (), None),
    ("/", ("x-kestrel-nonce: abc",), "abc"),
    ("/", (f"X-Kestrel-Nonce: {'n' * 200}",), "n" * 128),
]


@pytest.mark.parametrize(("target", "lines", "nonce"), NONCES)
def test_nonce(app: App, target: str, lines: tuple[str, ...], nonce: str | None) -> None:
    reply = ask(app, request(*lines, first=f"GET {target} HTTP/1.1"))
    assert reply.document["nonce"] == nonce


@pytest.mark.parametrize(
    "first",
    [
        *("GET / HTTP/1.1", "POST /any/path HTTP/1.1", "DELETE //x/../y HTTP/1.1"),
        *("OPTIONS * HTTP/1.1", "BREW http://a/absolute HTTP/1.1", "TRACE / HTTP/1.1"),
    ],
)
def test_every_method_and_path(app: App, first: str) -> None:
    method, path, __ = first.split()
    document = ask(app, request(first=first)).document
    assert (document["method"], document["path"]) == (method, path)


def test_ipv6_and_what_is_ipv4_within_it(app: App) -> None:
    assert ask(app, request(), "::1").echo.peer == "::1"
    assert ask(app, request(), "127.0.0.1").echo.peer == "127.0.0.1"


def test_bytes_that_are_no_utf8(app: App) -> None:
    raw = b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\nX-Odd: \xff\xe9\x9b2J \xf0\x9f\x98\x80\r\n\r\n"
    reply = ask(app, raw)
    assert reply.body.isascii(), "whatever reads it, and whatever terminal shows it"
    assert reply.echo.headers[1] == ("X-Odd", "\xff\xe9\x9b2J \xf0\x9f\x98\x80")
    assert reply.document["path"] == "/\xff\xfe"


def test_health(app: App) -> None:
    for target in ("/healthz", "/healthz?x"):
        reply = ask(app, request(first=f"GET {target} HTTP/1.1"))
        assert (reply.status, reply.document) == (200, {"status": "ok"})


def test_an_answer_to_the_largest_request_fits_the_probe(app: App) -> None:
    lines = [f"X-{number:02}: " + '"\\' * 75 for number in range(98)]
    reply = ask(app, request(*lines, "X-Kestrel-Nonce: " + '"' * 500))
    assert reply.status == 200
    assert len(reply.echo.headers) == 100
    assert 32_000 < len(reply.body) < 65_536


def test_tls(tmp_path: Path) -> None:
    pem = certificate(tmp_path, "echo.example")
    client = ssl.create_default_context(cafile=str(pem))
    with running({"KESTREL_TLS_CERT": str(pem), "KESTREL_TLS_KEY": str(pem)}) as app:
        with (
            app.connect() as plain,
            client.wrap_socket(plain, server_hostname="echo.example") as sock,
        ):
            sock.sendall(request() + request("Connection: close"))
            reader = Reader(sock)
            for __ in range(2):
                facts = reader.reply().document["tls"]
                assert facts["version"] == sock.version()
                assert facts["cipher"] == (sock.cipher() or [""])[0]
                assert facts["server_name"] == "echo.example"
            assert reader.ended()
        with app.connect() as sock:
            sock.sendall(request())
            assert not sock.recv(99).startswith(b"HTTP/"), "no answer in clear"


BAD_SETTINGS = [
    ({"KESTREL_PORT": "many"}, "invalid literal"),
    ({"KESTREL_PORT": "65536"}, "0-65535"),
    ({"KESTREL_TLS_CERT": "/nowhere"}, "set both"),
    ({"KESTREL_TLS_CERT": "/nowhere", "KESTREL_TLS_KEY": "/nowhere"}, "No such file"),
]


@pytest.mark.parametrize(("environment", "words"), BAD_SETTINGS)
def test_a_wrong_setting_is_one_line(environment: dict[str, str], words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-I", str(APP)],
        env={**os.environ, "KESTREL_PORT": "0", **environment},
        capture_output=True,
        check=False,
        timeout=PATIENCE,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(rf"echo: .*{words}.*\n", done.stderr)


# --- Connections ----------------------------------------------------------------------------------


def test_requests_in_one_packet_are_answered_in_order(app: App) -> None:
    with app.connect() as sock:
        sock.sendall(
            request(first="GET /1 HTTP/1.1")
            + request("Content-Length: 5", first="POST /2 HTTP/1.1", body=b"GET /")
            + b"\r\n"
            + request(first="HEAD /3 HTTP/1.1")
            + request(
                "Transfer-Encoding: chunked",
                first="POST /4 HTTP/1.1",
                body=b'3;a="b"\r\nGET\r\n2\r\n /\r\n0\r\nX-T: 1\r\n\r\n',
            )
            + request("Connection: close", first="GET /5 HTTP/1.1")
            + request(first="GET /never HTTP/1.1")
        )
        reader = Reader(sock)
        replies = [reader.reply(without_body=number == 3) for number in range(1, 6)]
        assert reader.ended()
    paths = [reply.document["path"] for reply in replies if reply.body]
    assert paths == ["/1", "/2", "/4", "/5"]
    assert int(replies[2].fields["content-length"]) > 100, "of what GET would answer"
    kept = [reply.fields["connection"] for reply in replies]
    assert kept == ["keep-alive"] * 4 + ["close"]


def test_a_request_byte_by_byte(app: App) -> None:
    raw = b"\r\n" + request("Transfer-Encoding: chunked", body=b"2\r\nab\r\n0\r\n\r\n")
    with app.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in raw:
            sock.sendall(bytes([byte]))
        reader = Reader(sock)
        assert reader.reply().status == 200
        sock.sendall(request(first="GET /2 HTTP/1.1"))
        assert reader.reply().document["path"] == "/2"


VERSIONS = [
    ("HTTP/1.0", (), "close"),
    ("HTTP/1.0", ("Connection: Keep-Alive",), "keep-alive"),
    ("HTTP/1.1", (), "keep-alive"),
    ("HTTP/1.1", ("Connection: x", "Connection: TE, Close"), "close"),
]


@pytest.mark.parametrize(("version", "lines", "connection"), VERSIONS)
def test_who_keeps_a_connection(
    app: App, version: str, lines: tuple[str, ...], connection: str
) -> None:
    with app.connect() as sock:
        sock.sendall(request(*lines, first=f"GET / {version}"))
        reader = Reader(sock)
        reply = reader.reply()
        assert reply.fields["connection"] == connection
        assert reply.document["http_version"] == version[5:]
        if connection == "close":
            assert reader.ended()


def test_http_1_0_needs_no_host(app: App) -> None:
    assert ask(app, b"GET / HTTP/1.0\r\n\r\n").document["headers"] == []


def test_a_client_that_waits_to_be_asked_for_the_body(app: App) -> None:
    with app.connect() as sock:
        sock.sendall(request("Content-Length: 2", "Expect: 100-Continue"))
        reader = Reader(sock)
        assert reader.reply().status == 100
        sock.sendall(b"ab")
        assert reader.reply().status == 200


def test_a_large_body_is_read_and_forgotten(app: App) -> None:
    size = 1024 * 1024
    reply = ask(app, request(f"Content-Length: {size}") + b"x" * size)
    assert reply.status == 200
    assert b"xxx" not in reply.body


def test_a_client_that_reads_late_gets_every_answer(app: App) -> None:
    # More than the buffers of both sides hold
    count, filler = 2000, f"X-A: {'b' * 8192}"
    with app.connect() as sock:

        def write() -> None:
            for number in range(count):
                sock.sendall(request(filler, first=f"GET /{number} HTTP/1.1"))
            sock.shutdown(socket.SHUT_WR)

        # It sends on while its answers wait to be read.
        writer = threading.Thread(target=write)
        writer.start()
        writer.join(0.5)
        reader = Reader(sock)
        paths = [reader.reply().document["path"] for __ in range(count)]
        assert reader.ended()
        writer.join()
    assert paths == [f"/{number}" for number in range(count)]


# --- What it refuses ------------------------------------------------------------------------------

CHUNKED = "Transfer-Encoding: chunked"
REFUSED = [
    # name, request, status
    ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ("no words", b"GET\r\n\r\n", 400),
    ("HTTP/0.9", b"GET /\r\n\r\n", 400),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("two blanks", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("control in the target", b"GET /\x07 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("method that is no token", b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a tunnel", b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("no host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("two hosts", request("Host: b"), 400),
    ("bare LF", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    ("bare CR", request("X-A: b\rX-Forwarded-For: 192.0.2.1"), 400),
    ("CR before the end", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400),
    ("NUL", request("X-A: b\0c"), 400),
    ("continued line", request("X-A: b", " c"), 400),
    ("blank before the colon", request("X-A : b"), 400),
    ("no colon", request("X-A"), 400),
    ("no name", request(": b"), 400),
    ("name in Latin-1", request("X-\xe9: b"), 400),
    ("both lengths", request("Content-Length: 3", CHUNKED, body=b"0\r\n\r\n"), 400),
    ("length and length", request("Content-Length: 3", "Content-Length: 3", body=b"abc"), 400),
    ("list of lengths", request("Content-Length: 3, 3", body=b"abc"), 400),
    ("signed length", request("Content-Length: +3", body=b"abc"), 400),
    ("negative length", request("Content-Length: -1"), 400),
    ("superscript length", request("Content-Length: \xb3", body=b"abc"), 400),
    ("empty length", request("Content-Length:"), 400),
    ("hexadecimal length", request("Content-Length: 0x3", body=b"abc"), 400),
    ("endless length", request(f"Content-Length: {'9' * 4000}"), 400),
    ("too large", request("Content-Length: 1048577"), 413),
    ("too large, not asked for", request("Content-Length: 1048577", "Expect: 100-continue"), 413),
    ("chunks in HTTP/1.0", request(CHUNKED, first="POST / HTTP/1.0", body=b"0\r\n\r\n"), 400),
    ("unknown coding", request("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    ("coding twice", request(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 501),
    ("odd coding", request("Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400),
    ("chunk without size", request(CHUNKED, body=b"\r\nabc\r\n"), 400),
    ("chunk with sign", request(CHUNKED, body=b"+3\r\nabc\r\n0\r\n\r\n"), 400),
    ("chunk with prefix", request(CHUNKED, body=b"0x3\r\nabc\r\n0\r\n\r\n"), 400),
    ("chunk longer than said", request(CHUNKED, body=b"2\r\nabc\r\n0\r\n\r\n"), 400),
    ("chunk ended by LF", request(CHUNKED, body=b"2\nab\n0\n\n"), 400),
    ("LF in an extension", request(CHUNKED, body=b"2;\nxx\r\nab\r\n0\r\n\r\n"), 400),
    ("long extension", request(CHUNKED, body=b"2;" + b"x" * 300 + b"\r\nab\r\n0\r\n\r\n"), 400),
    ("huge chunk", request(CHUNKED, body=b"fffffff0\r\nabc"), 413),
    ("endless chunk size", request(CHUNKED, body=b"1" * 300), 400),
    ("bad trailer", request(CHUNKED, body=b"0\r\nbad trailer\r\n\r\n"), 400),
    ("many trailers", request(CHUNKED, body=b"0\r\n" + b"A: b\r\n" * 120 + b"\r\n"), 431),
    ("large trailers", request(CHUNKED, body=b"0\r\nA: " + b"b" * 20000 + b"\r\n\r\n"), 431),
    ("many small chunks", request(CHUNKED, body=b"1\r\na\r\n" * 210_000), 413),
    ("unknown expectation", request("Content-Length: 2", "Expect: more", body=b"ab"), 417),
    ("many lines", request(*["A: b"] * 100), 431),
    ("large head", request(f"A: {'b' * 17_000}"), 431),
    ("huge head", request(f"A: {'b' * 2_000_000}"), 431),
    ("huge target", request(first=f"GET /{'b' * 100_000} HTTP/1.1"), 431),
]


@pytest.mark.parametrize(
    ("sent", "status"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_refused(app: App, sent: bytes, status: int) -> None:
    """Also where much is still unread: a reset would take the answer with it."""
    with app.connect() as sock:
        sock.sendall(sent + request(first="GET /smuggled HTTP/1.1"))
        reader = Reader(sock)
        reply = reader.reply()
        assert (reply.status, reply.fields["connection"]) == (status, "close")
        assert reader.ended(), "nothing behind it is taken for a request"
    assert set(reply.document) == {"error"}


def test_whatever_is_sent_gets_whole_answers_or_none(app: App) -> None:
    chance = random.Random(7)
    whole = [row[1][:400] for row in REFUSED]
    whole += [request(), request(CHUNKED, body=b"3\r\nabc\r\n0\r\nA: b\r\n\r\n")]
    parts = [b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"\xff", b"0\r\n\r\n", b"chunked"]
    statuses = set()
    for __ in range(2000):
        sent = b"".join(chance.choices(whole, k=2))
        for __ in range(chance.randrange(6)):
            at, length = chance.randrange(len(sent)), chance.randrange(9)
            sent = sent[:at] + chance.choice(parts) + sent[at + length :]
        with app.connect() as sock:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
            reader = Reader(sock)
            while not reader.ended():
                reply = reader.reply()
                assert reply.status == 100 or reply.document
                statuses.add(reply.status)
    assert {200, 400, 413, 501, 505} <= statuses


@pytest.mark.parametrize(
    "sent", [b"", b"\r\n", b"GET / HT", request("Content-Length: 9", body=b"x"), request(CHUNKED)]
)
def test_a_client_that_leaves_early(app: App, sent: bytes) -> None:
    with app.connect() as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        assert Reader(sock).ended()
    with app.connect() as sock:
        sock.sendall(sent)
    assert ask(app, request()).status == 200


# --- Time, numbers, end ---------------------------------------------------------------------------


def test_who_is_slow_is_told_and_who_is_idle_is_not() -> None:
    short = {"HEAD_TIMEOUT": 0.6, "BODY_TIMEOUT": 0.6, "IDLE_TIMEOUT": 0.6, "SWEEP": 0.1}
    with running(**short) as app:
        silent, slow, unfinished, kept = (app.connect() for __ in range(4))
        slow.sendall(b"GET / HTTP/1.1\r\nHost:")
        unfinished.sendall(request("Content-Length: 5", body=b"ab"))
        kept.sendall(request())
        reader = Reader(kept)
        assert reader.reply().status == 200
        assert reader.ended()
        assert Reader(silent).ended()
        assert Reader(slow).reply().status == 408
        assert Reader(unfinished).reply().status == 408
        for sock in (silent, slow, unfinished, kept):
            sock.close()


def test_a_client_that_never_reads_is_dropped() -> None:
    with running(WRITE_TIMEOUT=0.5, SWEEP=0.1) as app, app.connect() as sock:
        sock.settimeout(0.2)
        end = time.monotonic() + PATIENCE
        dropped = False
        while not dropped and time.monotonic() < end:
            try:
                sock.sendall(request() * 1000)
            except socket.timeout:
                continue
            except OSError:
                dropped = True
        assert dropped


def test_more_connections_than_it_serves() -> None:
    with running(MAX_CONNECTIONS=3) as app:
        held = [app.connect() for __ in range(3)]
        for sock in held:
            sock.sendall(request())
            assert Reader(sock).reply().status == 200
        with app.connect() as sock:
            assert Reader(sock).reply().status == 503
        held.pop().close()
        end = time.monotonic() + PATIENCE
        while not served(app):
            assert time.monotonic() < end
        for sock in held:
            sock.close()


def test_it_ends_at_once_and_keeps_nobody_waiting() -> None:
    with running() as app:
        idle, begun = app.connect(), app.connect()
        idle.sendall(request())
        reader = Reader(idle)
        assert reader.reply().status == 200
        begun.sendall(b"GET / HTTP/1.1\r\n")
        ask(app, request())
        start = time.monotonic()
        app.process.send_signal(signal.SIGTERM)
        assert reader.ended()
        begun.sendall(b"Host: a\r\n\r\n")
        last = Reader(begun).reply()
        assert (last.status, last.fields["connection"]) == (200, "close")
        assert app.process.wait(PATIENCE) == 0
        # Its own limit is half a second; the rest is for a busy machine.
        assert time.monotonic() - start < 5
        begun.close()
        idle.close()
        with pytest.raises(OSError, match="refused"):
            app.connect()
