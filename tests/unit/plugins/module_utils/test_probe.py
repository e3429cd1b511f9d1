# SPDX-License-Identifier: GPL-3.0-or-later
"""Transport against real servers on loopback: what they do, and that none of it takes long."""

from __future__ import annotations

import errno
import gzip
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils import _probe
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import CODES
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import parse_ranges
from ansible_collections.kestrel.real_ip.plugins.module_utils._echo import (
    LINE_HEADER,
    LINE_VALUES,
    NONCE_HEADER,
    Answer,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._options import tls_context
from ansible_collections.kestrel.real_ip.plugins.module_utils._probe import (
    Endpoint,
    NoAnswer,
    Reply,
    Request,
    SocketAddress,
    Station,
    Survey,
    Target,
    ask_own_address,
    await_echo,
    fetch,
    resolve,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import (
    Expectation,
    Question,
    Sample,
    Strategy,
    Times,
)
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.servers import (
    Behaviour,
    Connection,
    Server,
    certificate,
    closed_port,
    drips,
    echo,
    floods,
    full_port,
    resets,
    resolver,
    response,
    says,
    server_tls,
    silent,
)

QUESTION = Question(
    expectation=Expectation("given", tuple(parse_ranges(["203.0.113.20"]))),
    strategy=Strategy("rightmost_trusted_count", trusted_count=1),
    samples=1,
)
# A request is given up after TIMEOUT; the servers would go on for minutes. In between is LATE: far
# enough from both that a slow machine changes nothing.
TIMEOUT = 0.3
LATE = 10.0
REQUEST = Request(timeout=TIMEOUT)
# Where nothing is slow, nothing may be cut off by a slow machine.
PATIENT = Request(timeout=30)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def endpoint(port: int, host: str = "127.0.0.1", **more: Any) -> Endpoint:
    return Endpoint(host, port, f"{host}:{port}", "/", **more)


def survey(targets: list[Target], request: Request = PATIENT, **more: Any) -> list[Any]:
    """The samples of each address of each target."""
    more.setdefault("until", time.monotonic() + 60)
    run = Survey(targets, request, lambda station: station.samples, **more).run()
    return [station.result for visit in run for station in visit.stations]


def one(place: Endpoint, request: Request = PATIENT, **more: Any) -> Sample:
    [[sample]] = survey([Target("one", "", place, QUESTION)], request, **more)
    return sample


class Hostile(NamedTuple):
    """``code``: of the sample; ``slow``: the server never comes to an end by itself."""

    code: str
    name: str
    behaviour: Behaviour
    slow: bool = False


def closes(connection: Connection) -> None:
    connection.read()


# A thousand times what comes over the wire.
BOMB = gzip.compress(b" " * 20_000_000)


def claims_more(document: dict[str, Any], _number: int) -> None:
    """Beside the request's own nonce it names another one."""
    document["headers"].append([NONCE_HEADER, "f00d"])


SERVERS = (
    Hostile("V509", "silence", silent, slow=True),
    Hostile("V509", "reads, then silence", lambda c: (c.read(), c.pause(60)), slow=True),
    Hostile("V510", "a byte a second", drips(response(b"{" + b" " * 5000)), slow=True),
    Hostile("V510", "body drips", drips(b" " * 5000, HEAD + b"Content-Length: 5000\r\n\r\n"), True),
    Hostile("V510", "header drips", drips(b"X" * 5000, HEAD), slow=True),
    Hostile("V510", "chunks drip", drips(b"1\r\na\r\n" * 5000, CHUNKED), slow=True),
    Hostile("V510", "chunk never comes", drips(b"", CHUNKED + b"5\r\nab"), slow=False)._replace(
        code="V512"
    ),
    Hostile("V511", "closes", closes),
    Hostile("V511", "resets", resets()),
    Hostile("V512", "half a body", says(response(b'{"headers": ', Content_Length="5000"))),
    Hostile("V512", "half a header", says(HEAD[:-9])),
    Hostile("V512", "no empty line", says(HEAD)),
    Hostile("V512", "half a chunk", says(CHUNKED, b"ff\r\n{")),
    Hostile("V512", "no last chunk", says(CHUNKED, b"2\r\n{}\r\n")),
    Hostile("V512", "no chunk size", says(CHUNKED, b"hello\r\n")),
    Hostile("V513", "another protocol", says(b"SSH-2.0-OpenSSH_9.2p1\r\n")),
    Hostile("V513", "another version", says(b"HTTP/2 200 OK\r\n\r\n")),
    Hostile("V513", "no status", says(b"HTTP/1.1 abc OK\r\n\r\n")),
    Hostile("V514", "header of 100 kB", says(HEAD, b"X: ", b"x" * 100_000, b"\r\n\r\n{}")),
    Hostile("V514", "endless first line", floods(b"x", b"")),
    Hostile("V514", "endless header lines", floods(b"X: y\r\n", HEAD)),
    Hostile("V514", "endless header line", floods(b"x", HEAD + b"X: ")),
    Hostile("V515", "100 MB announced", floods(b" ", response(Content_Length="104857600"), 1600)),
    Hostile("V515", "100 MB until the end", floods(b" ", HEAD + b"\r\n", 1600)),
    Hostile("V515", "a byte too many", says(response(b" " * 65537))),
    Hostile("V515", "endless chunks", floods(b"1\r\na\r\n", CHUNKED)),
    Hostile("V515", "endless chunk extension", floods(b"x", CHUNKED + b"1;")),
    Hostile("V515", "endless trailer", floods(b"X: y\r\n", CHUNKED + b"2\r\n{}\r\n0\r\n")),
    Hostile("V515", "endless 100 Continue", floods(b"HTTP/1.1 100 Continue\r\n\r\n", b"")),
    Hostile("V515", "endless chunk", floods(b" ", CHUNKED + b"ffffffffffffffff\r\n")),
    Hostile("V515", "endless chunk of size -1", floods(b" ", CHUNKED + b"-1\r\n")),
    Hostile("V516", "status", says(response(b"{}", "403 Forbidden"))),
    Hostile("V517", "redirect", says(response(b"", "301 Moved", Location="http://127.0.0.1:1/"))),
    Hostile("V518", "empty", says(response())),
    Hostile("V519", "HTML", says(response(b"<html>", Content_Type="text/html"))),
    Hostile("V520", "gzip", says(response(gzip.compress(b"{}"), Content_Encoding="gzip"))),
    Hostile("V520", "gzip bomb", says(response(BOMB, Content_Encoding="gzip"))),
    Hostile(
        "V520",
        "gzip bomb, chunked",
        says(CHUNKED[:-2], b"Content-Encoding: x-gzip\r\n\r\n0\r\n\r\n"),
    ),
    Hostile("V521", "gzip bomb that doesn't say so", says(response(BOMB))),
    Hostile("V521", "invalid UTF-8", says(response(b'{"a": "\xff"}'))),
    Hostile("V522", "no JSON", says(response(b"hello"))),
    Hostile("V522", "NUL bytes", says(response(b"\x00" * 1000))),
    Hostile(
        "V522", "NUL bytes between", says(response(b'{"headers": {"a\x00": "b"}, "method": ""}'))
    ),
    Hostile("V523", "deep", says(response(b"[" * 60_000))),
    Hostile("V524", "other JSON", says(response(b'{"ip": "203.0.113.20"}'))),
    Hostile("V407", "cached", says(response(b'{"headers": {"X-Kestrel-Nonce": "f00d"}}'))),
    Hostile("V524", "NUL bytes in the header", says(HEAD, b"X-\x00: \x00\x1b\r\n\r\n{}")),
    Hostile("V407", "two nonces", echo(change=claims_more)),
    Hostile("V407", "another nonce", echo(change=lambda d, _n: d.update(nonce="f00d"))),
    Hostile("V001", "a whole body", echo(change=lambda d, _n: d.update(x="y" * 60_000))),
    Hostile("V001", "slow, but in time", lambda c: (c.pause(0.02), echo()(c))),
)
CODES_BY_HAND = ("V501", "V502", "V503", "V504", "V505", "V506", "V507", "V508", "V525", "V601")


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: f"{server.code}-{server.name}")
def test_hostile_servers(server: Hostile) -> None:
    with Server(server.behaviour) as running:
        began = time.monotonic()
        sample = one(endpoint(running.port), REQUEST if server.slow else PATIENT)
        taken = time.monotonic() - began
    assert sample.code == server.code, sample
    assert sample.detail == sample.detail.strip()
    assert running.accepted == 1
    if server.slow:
        assert TIMEOUT <= taken < LATE


LARGE = [server for server in SERVERS if server.code in ("V514", "V515")]


@pytest.mark.parametrize("server", LARGE, ids=lambda server: server.name)
def test_large_answers_cost_little_memory(server: Hostile) -> None:
    with Server(server.behaviour) as running:
        tracemalloc.start()
        try:
            one(endpoint(running.port))
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    # The servers send from the same process: their pieces and ours together.
    assert peak < 3_000_000


@pytest.mark.parametrize("max_body", [1, 5000, 65536])
@pytest.mark.parametrize("server", LARGE, ids=lambda server: server.name)
def test_no_more_is_read_than_max_body(
    monkeypatch: pytest.MonkeyPatch, server: Hostile, max_body: int
) -> None:
    class Counting(socket.socket):
        received = 0

        def recv_into(self, *arguments: Any) -> int:
            count = super().recv_into(*arguments)
            Counting.received += count
            return count

    with Server(server.behaviour) as running, monkeypatch.context() as patched:
        patched.setattr(_probe.socket, "socket", Counting)
        sample = one(endpoint(running.port), PATIENT._replace(max_body=max_body))
    assert sample.code == server.code
    if server.code == "V515":
        assert sample.detail == str(max_body)
    # Beside the body: the header section, what frames a body in chunks, what a buffer holds.
    framed = any(word in server.name for word in ("chunk", "trailer", "Continue"))
    frames = _probe._CHUNKING * max_body if framed else 0
    assert 0 < Counting.received <= _probe._MAX_HEAD + frames + max_body + 3 * 8192


def test_a_body_of_exactly_max_body_is_read() -> None:
    document = json.dumps({"headers": {"a": "b"}}).encode()
    with Server(says(response(document))) as running:
        place = endpoint(running.port)
        assert one(place, PATIENT._replace(max_body=len(document))).code == "V407"
        assert one(place, PATIENT._replace(max_body=len(document) - 1)).code == "V515"


# --- Names and connections ------------------------------------------------------------------------


def test_a_name_that_nobody_knows() -> None:
    # Too long for a label: not even a question for the resolver.
    with pytest.raises(NoAnswer) as caught:
        resolve("x" * 64, 80, "any", 30)
    assert caught.value.number == "V501"


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", "ipv6"), ("::1", "ipv4")])
def test_an_address_of_the_other_family(host: str, family: str) -> None:
    with pytest.raises(NoAnswer) as caught:
        resolve(host, 80, family, 30)
    assert caught.value.number == "V501"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the resolver says: name → addresses, or what to call. Others are asked for really."""
    known: dict[str, Any] = {}
    monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver(known))
    return known


def test_every_address_of_a_name_is_a_station(names: dict[str, Any]) -> None:
    names["echo.example.com"] = ["127.0.0.1", "::1", "127.0.0.1", "::ffff:127.0.0.2"]
    addresses = resolve("echo.example.com", 80, "any", 30)
    assert [str(address.remote) for address in addresses] == ["127.0.0.1", "::1", "127.0.0.2"]
    assert addresses[2].family == socket.AF_INET
    assert len(resolve("echo.example.com", 80, "ipv6", 30)) == 2
    names["echo.example.com"] = []
    with pytest.raises(NoAnswer):
        resolve("echo.example.com", 80, "any", 30)


def test_a_resolver_that_hangs(names: dict[str, Any]) -> None:
    released = threading.Event()
    names["hangs.example.com"] = lambda: released.wait(60) and []
    began = time.monotonic()
    with pytest.raises(NoAnswer) as caught:
        resolve("hangs.example.com", 80, "any", TIMEOUT)
    assert caught.value.number == "V502"
    target = Target("one", "", endpoint(80, "hangs.example.com"), QUESTION)
    [visit] = Survey([target], REQUEST, len, time.monotonic() + 60).run()
    assert (visit.failure.number, visit.stations) == ("V502", [])
    [visit] = Survey([target], PATIENT, len, time.monotonic() + TIMEOUT).run()
    assert visit.failure.number in ("V502", "V525")
    assert time.monotonic() - began < LATE
    released.set()


def test_a_closed_port() -> None:
    with closed_port() as port:
        assert one(endpoint(port)).code == "V503"


def test_a_port_that_drops_packets() -> None:
    began = time.monotonic()
    with full_port() as port:
        assert one(endpoint(port), REQUEST).code == "V504"
    assert time.monotonic() - began < LATE


@pytest.mark.parametrize(
    ("stream", "datagram", "code"),
    [
        (errno.ENETUNREACH, errno.ENETUNREACH, "V601"),
        (errno.EHOSTUNREACH, errno.EHOSTUNREACH, "V601"),
        (errno.EADDRNOTAVAIL, errno.EADDRNOTAVAIL, "V601"),
        # A router on the way says it, not our own table.
        (errno.ENETUNREACH, None, "V506"),
        # All ports are in use.
        (errno.EADDRNOTAVAIL, None, "V506"),
        # A route forbids, or swallows.
        (errno.EACCES, errno.EACCES, "V601"),
        (errno.EINVAL, errno.EINVAL, "V601"),
        (errno.EACCES, None, "V506"),
        (errno.EPERM, None, "V506"),
        (errno.ECONNREFUSED, None, "V503"),
        (errno.ETIMEDOUT, None, "V504"),
    ],
)
def test_what_the_kernel_says(
    monkeypatch: pytest.MonkeyPatch, stream: int, datagram: int | None, code: str
) -> None:
    class Socket(socket.socket):
        def connect(self, _address: Any) -> None:
            number = stream if self.type == socket.SOCK_STREAM else datagram
            if number is not None:
                raise OSError(number, "the kernel's words")

    monkeypatch.setattr(_probe.socket, "socket", Socket)
    sample = one(endpoint(80))
    assert sample.code == code
    if code == "V506":
        assert sample.detail == "the kernel's words"


def test_a_family_that_the_kernel_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any) -> Any:
        raise OSError(errno.EAFNOSUPPORT, "not supported")

    monkeypatch.setattr(_probe.socket, "socket", refuse)
    assert one(endpoint(80)).code == "V601"


# --- What is sent ---------------------------------------------------------------------------------


def test_the_request() -> None:
    request = PATIENT._replace(method="POST", headers={"User-Agent": "me", "X-Test": "1"})
    with Server(echo()) as running:
        place = endpoint(running.port)._replace(host_header="other.example.com", path="/a?b=c")
        assert one(place, request).code == "V001"
    [(first, *lines)] = running.requests
    fields = dict(lines)
    nonce = fields.pop(NONCE_HEADER)
    assert first[1] == f"POST /a?b=c&kestrel_nonce={nonce} HTTP/1.1"
    assert len(nonce) == 16
    assert fields == {
        "Host": "other.example.com",
        "User-Agent": "me",
        "Accept": "application/json, */*;q=0.5",
        "Accept-Encoding": "identity",
        "Cache-Control": "no-cache",
        "Connection": "close",
        "Content-Length": "0",
        "X-Test": "1",
        LINE_HEADER: LINE_VALUES[-1],
    }
    assert len(lines) == len(fields) + 2, "the nonce, and one line twice"


def test_each_request_has_its_own_connection_and_nonce() -> None:
    with Server(echo()) as running:
        target = Target("one", "", endpoint(running.port), QUESTION._replace(samples=20))
        [samples] = survey([target])
    assert {sample.code for sample in samples} == {"V001"}
    assert running.accepted == 20
    assert len({dict(lines)[NONCE_HEADER] for lines in running.requests}) == 20


def test_an_answer_to_another_request_counts_for_nothing() -> None:
    first = threading.Lock()
    known: list[bytes] = []

    def cache(connection: Connection) -> None:
        lines = [*connection.read()[1:], ("X-Forwarded-For", "203.0.113.20")]
        with first:
            known.append(response(json.dumps({"kestrel": 1, "headers": lines}).encode()))
        connection.send(known[0])

    with Server(cache) as running:
        target = Target("one", "", endpoint(running.port), QUESTION._replace(samples=5))
        [samples] = survey([target])
    assert sorted(sample.code for sample in samples) == ["V001", *["V407"] * 4]


def test_proxies_redirects_and_netrc_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Server(echo()) as proxy, Server(echo()) as running:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.authority}")
        assert one(endpoint(running.port)).code == "V001"
        elsewhere = says(response(b"", "302 Found", Location=f"http://{proxy.authority}/"))
        with Server(elsewhere) as redirect:
            sample = one(endpoint(redirect.port))
    assert (sample.code, sample.detail) == ("V517", f"http://{proxy.authority}/")
    assert (running.accepted, proxy.accepted) == (1, 0)
    assert "Authorization" not in dict(running.requests[0])


def test_the_reply() -> None:
    with Server(lambda c: (c.read(), c.pause(0.05), c.send(response(b"{}", X="y")))) as running:
        [address] = resolve("127.0.0.1", running.port, "any", 30)
        reply = fetch(endpoint(running.port), address, PATIENT, time.monotonic() + 30)
    assert reply.answer.body == b"{}"
    assert reply.answer.fields["x"] == "y"
    assert reply.local == "127.0.0.1"
    assert 0 < reply.times.connect < reply.times.first_byte <= reply.times.total < 30
    assert reply.times.first_byte >= 0.05
    assert NONCE_HEADER not in dict(running.requests[0])


def test_ipv6() -> None:
    with Server(echo("2001:db8:113::20"), socket.AF_INET6) as running:
        [[sample]] = survey(
            [
                Target(
                    "one",
                    "",
                    endpoint(running.port, "::1"),
                    QUESTION._replace(
                        expectation=Expectation("given", tuple(parse_ranges(["2001:db8:113::20"])))
                    ),
                )
            ]
        )
    assert (sample.code, sample.local) == ("V001", "::1")


# --- TLS ------------------------------------------------------------------------------------------

DEFAULTS = {
    "ca_path": None,
    "validate_certs": True,
    "tls_client_cert": None,
    "tls_client_key": None,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificates: of the server, one that has expired, and a client's."""
    directory = tmp_path_factory.mktemp("tls")
    return {
        "server": certificate(directory, "echo.example.com"),
        "expired": certificate(directory, "expired.example.com", days=-1),
        "client": certificate(directory, "client"),
    }


class Secured(NamedTuple):
    code: str
    detail: str = ""
    server: str = "server"
    authority: str | None = "server"
    name: str = "echo.example.com"
    validate: bool = True


@pytest.mark.parametrize(
    "case",
    [
        Secured("V001"),
        Secured("V001", name="127.0.0.1"),
        Secured("V507", "self", authority=None),
        Secured("V507", "self", authority="client"),
        Secured("V507", "mismatch", name="other.example.com"),
        Secured("V507", "mismatch", name="127.0.0.2"),
        Secured("V507", "expired", "expired", "expired", "expired.example.com"),
        Secured("V001", authority=None, name="other.example.com", validate=False),
        Secured("V001", server="expired", authority=None, validate=False),
    ],
)
def test_certificates(case: Secured, files: dict[str, Path]) -> None:
    authority = files[case.authority] if case.authority else None
    context = tls_context({**DEFAULTS, "ca_path": authority, "validate_certs": case.validate})
    with Server(echo(), tls=server_tls(files[case.server])) as running:
        sample = one(endpoint(running.port, server_name=case.name, tls=context))
    assert sample.code == case.code
    assert case.detail in sample.detail


def test_tls_that_fails(files: dict[str, Path]) -> None:
    context = tls_context({**DEFAULTS, "ca_path": files["server"]})
    plain = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    for behaviour in (
        lambda c: c.send(plain),
        lambda c: c.sock.recv(1),
        lambda c: (c.sock.recv(1), c.reset()),
    ):
        with Server(behaviour) as running:
            sample = one(endpoint(running.port, server_name="echo.example.com", tls=context))
        assert sample.code == "V508", sample
        assert sample.detail
    record = b"\x16\x03\x03\x40\x00" + b"\x00" * 5000
    for behaviour in (silent, lambda c: [(c.send(b"%c" % b), c.pause(0.05)) for b in record]):
        began = time.monotonic()
        with Server(behaviour) as running:
            place = endpoint(running.port, server_name="echo.example.com", tls=context)
            # It need not be TLS that is missing.
            assert one(place, REQUEST).code == "V509"
        assert time.monotonic() - began < LATE


def test_a_plain_request_to_a_port_with_tls(files: dict[str, Path]) -> None:
    with Server(echo(), tls=server_tls(files["server"])) as running:
        assert CODES[one(endpoint(running.port)).code].verdict == "no_answer"


def test_hostile_servers_behind_tls(files: dict[str, Path]) -> None:
    context = tls_context({**DEFAULTS, "ca_path": files["server"]})
    tls = server_tls(files["server"])
    for server in SERVERS:
        # A stream that TLS doesn't end properly is an error of its own kind, not another truth.
        if server.name in ("a byte a second", "endless chunks", "100 MB announced", "half a body"):
            with Server(server.behaviour, tls=tls) as running:
                place = endpoint(running.port, server_name="echo.example.com", tls=context)
                assert one(place, REQUEST if server.slow else PATIENT).code == server.code


# --- Many requests --------------------------------------------------------------------------------


def counted(code: str = "V001", seconds: float = 0.0, together: int = 1) -> Any:
    """A transport that answers by itself, and counts how many requests run at the same time.

    It answers once as many as ``together`` have: how soon a thread starts, the machine decides.
    """

    def fetch(
        _endpoint: Endpoint, _address: SocketAddress, _request: Request, _until: float, nonce: str
    ) -> Reply:
        with fetch.lock:
            fetch.calls += 1
            fetch.now += 1
            fetch.most = max(fetch.most, fetch.now)
            pod = f"pod-{fetch.calls}"
            if fetch.most >= together:
                fetch.enough.set()
        assert fetch.enough.wait(10)
        time.sleep(seconds)
        with fetch.lock:
            fetch.now -= 1
        if code != "V001":
            raise NoAnswer(code)
        headers = [[NONCE_HEADER, nonce], ["X-Forwarded-For", "203.0.113.20"]]
        document = {"kestrel": 1, "headers": headers, "pod": pod}
        answer = Answer(200, "OK", {}, json.dumps(document).encode())
        return Reply(answer, "203.0.113.20", nonce, Times(0.0, 0.0, 0.0))

    fetch.lock, fetch.enough = threading.Lock(), threading.Event()
    fetch.calls = fetch.now = fetch.most = 0
    return fetch


def targets(number: int, question: Question = QUESTION) -> list[Target]:
    return [Target(f"t{n}", "", endpoint(1 + n), question) for n in range(number)]


def test_concurrency_is_bounded_and_used() -> None:
    scripted = counted(seconds=0.01, together=8)
    results = survey(targets(40), fetch=scripted, concurrency=8)
    assert [len(samples) for samples in results] == [1] * 40
    assert scripted.calls == 40
    assert scripted.most == 8
    scripted = counted()
    survey(targets(5, QUESTION._replace(samples=3)), fetch=scripted, concurrency=1)
    assert (scripted.calls, scripted.most) == (15, 1)


def test_results_keep_the_order_of_the_targets() -> None:
    run = Survey(
        targets(200),
        PATIENT,
        lambda station: station.target.name,
        time.monotonic() + 60,
        fetch=counted(),
    ).run()
    assert [station.result for visit in run for station in visit.stations] == [
        f"t{n}" for n in range(200)
    ]


def test_more_requests_until_each_backend_answered() -> None:
    question = QUESTION._replace(samples=3, backends=("pod-11",), max_samples=50)
    scripted = counted()
    [samples] = survey(targets(1, question), fetch=scripted, concurrency=4)
    assert 11 <= len(samples) <= 15
    scripted = counted()
    question = question._replace(backends=("pod-99",))
    [samples] = survey(targets(1, question), fetch=scripted, concurrency=4)
    assert len(samples) == scripted.calls == 50
    scripted = counted("V503")
    [samples] = survey(targets(1, question), fetch=scripted, concurrency=4)
    assert len(samples) == scripted.calls == 3


def test_the_deadline_holds_whatever_is_left() -> None:
    began = time.monotonic()
    finished: list[Station] = []

    def finish(station: Station) -> int:
        finished.append(station)
        return len(station.samples)

    run = Survey(
        targets(100, QUESTION._replace(samples=10)),
        PATIENT,
        finish,
        until=began + TIMEOUT,
        concurrency=2,
        fetch=counted(seconds=0.1),
    )
    visits = run.run()
    assert time.monotonic() - began < LATE
    asked = [visit for visit in visits if visit.stations]
    assert 0 < len(asked) < 100
    assert all(visit.failure.number == "V525" for visit in visits if not visit.stations)
    assert sum(station.result for visit in asked for station in visit.stations) < 1000
    before = len(finished)
    time.sleep(0.3)
    assert len(finished) == before == len({id(station) for station in finished})


def test_requests_that_hang_at_the_deadline() -> None:
    began = time.monotonic()
    with Server(silent) as running:
        target = Target("one", "", endpoint(running.port), QUESTION._replace(samples=4))
        [samples] = survey([target], until=began + TIMEOUT, concurrency=2)
    assert time.monotonic() - began < LATE
    assert [sample.code for sample in samples] in ([], ["V509"], ["V509"] * 2)


def test_a_defect_is_not_a_verdict() -> None:
    def broken(*_arguments: Any) -> Any:
        raise ZeroDivisionError("a defect")

    with pytest.raises(ZeroDivisionError):
        survey(targets(3), fetch=broken)
    with pytest.raises(ZeroDivisionError):
        Survey(targets(3), PATIENT, lambda _s: 1 // 0, time.monotonic() + 60, fetch=counted()).run()


# --- Waiting --------------------------------------------------------------------------------------


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_probe, "_PAUSE", 0.01)
    return


@pytest.mark.usefixtures("no_pause")
def test_wait_ends_when_everything_answers() -> None:
    late = iter(range(1000))

    def comes_up(connection: Connection) -> None:
        (echo() if next(late) >= 3 else says(response(b"", "503 Unavailable")))(connection)

    with Server(comes_up) as first, Server(echo()) as second:
        both = [
            Target("a", "", endpoint(first.port), QUESTION._replace(samples=10, backends=("x",))),
            Target("b", "", endpoint(second.port), QUESTION),
        ]
        await_echo(partial(Survey, request=PATIENT), both, 30)
    assert (first.accepted, second.accepted) == (4, 1)


@pytest.mark.usefixtures("no_pause")
def test_wait_gives_up() -> None:
    began = time.monotonic()
    with closed_port() as port:
        await_echo(
            partial(Survey, request=PATIENT), [Target("a", "", endpoint(port), QUESTION)], TIMEOUT
        )
    assert TIMEOUT <= time.monotonic() - began < LATE


@pytest.mark.usefixtures("no_pause")
def test_wait_looks_names_up_anew(names: dict[str, Any]) -> None:
    with Server(echo()) as running:
        answers = iter([[], [], [running.listener.getsockname()]])

        def appear() -> Any:
            rows = next(answers)
            if not rows:
                raise socket.gaierror(-2, "Name or service not known")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", row) for row in rows]

        names["echo.example.com"] = appear
        target = Target("a", "", endpoint(running.port, "echo.example.com"), QUESTION)
        await_echo(partial(Survey, request=PATIENT), [target], 30)
    assert running.accepted == 1


@pytest.mark.usefixtures("no_pause")
def test_wait_does_not_wait_for_what_cannot_be_reached() -> None:
    def unrouted(place: Endpoint, address: SocketAddress, *more: Any) -> Reply:
        if address.remote.version == 6:
            raise NoAnswer("V601")
        return answers(place, address, *more)

    answers = counted()
    both = [Target("a", "", endpoint(80, "localhost"), QUESTION)]
    await_echo(partial(Survey, request=PATIENT, fetch=unrouted), both, 30)
    assert answers.calls == 1


# --- The prober's own address ---------------------------------------------------------------------


def caller(connection: Connection) -> None:
    connection.read()
    connection.send(response(connection.sock.getpeername()[0].encode()))


def test_the_own_address_is_asked_for_over_each_family(names: dict[str, Any]) -> None:
    with Server(caller) as running:
        names["address.example.com"] = ["127.0.0.1"]
        place = endpoint(running.port, "address.example.com")
        own = ask_own_address(place, PATIENT, "any", time.monotonic() + 30)
    assert (own.told, [*own.failures]) == ({4: "127.0.0.1"}, [6])
    assert [(str(one), port) for one, port in own.asked_at] == [("127.0.0.1", running.port)]
    assert NONCE_HEADER not in dict(running.requests[0])
    with Server(caller, socket.AF_INET6) as running:
        place = endpoint(running.port, "::1")
        own = ask_own_address(place, PATIENT, "ipv6", time.monotonic() + 30)
    assert (own.told, [*own.failures]) == ({6: "::1"}, [4])


@pytest.mark.parametrize(
    ("said", "told"), [("203.0.113.20", {4: "203.0.113.20"}), ("2001:db8::1", {})]
)
def test_the_own_address_behind_a_translator_is_one_of_ipv4(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, Any], said: str, told: dict[int, str]
) -> None:
    names["address.example.com"] = ["64:ff9b::c633:6401"]
    answer = Answer(200, "OK", {}, said.encode())
    reply = _probe.Reply(answer, "2001:db8::1", "", Times(0, 0, 0))
    monkeypatch.setattr(_probe, "fetch", lambda *_asked: reply)
    place = endpoint(80, "address.example.com")
    own = ask_own_address(place, PATIENT, "any", time.monotonic() + 30)
    assert own.told == told
    assert (4 in own.failures) is (not told)


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Behaves to each connection as the next one says."""
    left = iter(behaviours)

    def behave(connection: Connection) -> None:
        next(left)(connection)

    return behave


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (
            in_turn(says(response(b"203.0.113.20")), says(response(b"203.0.113.21"))),
            "answered 203.0.113.20 and 203.0.113.21",
        ),
        (in_turn(says(response(b"203.0.113.20")), closes), "connection closed without an answer"),
        (says(response(b"2001:db8::1")), "answered 2001:db8::1"),
        (says(response(b"who knows")), "answered who knows"),
        (says(response(b"203.0.113.20, 10.0.0.1")), "answered 203.0.113.20, 10.0.0.1"),
        (says(response(b"203.0.113.20", "500 Oops")), "HTTP status"),
        (says(response(b"", "302 Found", Location="http://127.0.0.1:1/")), "redirect"),
        (closes, "connection closed without an answer"),
        (silent, "no answer in time"),
    ],
)
def test_an_own_address_that_was_not_told(behaviour: Behaviour, said: str) -> None:
    with Server(behaviour) as running:
        request = REQUEST if behaviour is silent else PATIENT
        place = endpoint(running.port)
        own = ask_own_address(place, request, "any", time.monotonic() + 30)
    assert own.told == {}
    assert said in own.failures[4]
