# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers of real echo apps: what each tells, and that no client can make them tell a lie."""

from __future__ import annotations

import ipaddress
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import CODES
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    canonical,
    client_ip,
    parse_ranges,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._echo import (
    FORMATS,
    NONCE_HEADER,
    Answer,
    Echo,
    NoEcho,
    parse,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._probe import (
    Endpoint,
    Request,
    fetch,
    resolve,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import (
    Expectation,
    Question,
    Strategy,
    read,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import (
    Path as Way,
)
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.servers import (
    Server,
    says,
)
from hypothesis import given, settings
from hypothesis import strategies as st

# The same examples in every run, however slow the machine; nothing is kept in the working tree.
settings.register_profile("units", deadline=None, database=None, derandomize=True, max_examples=150)
settings.load_profile("units")

FIXTURES = Path(__file__).parent / "fixtures" / "echo"
NONCE = "0123456789abcdef"
CLIENT = "203.0.113.20"
POD = "real-ip-deployment-7d9c5b8f6-abcde"
NAMESPACE = "kestrel-catchip"

COUNT = Strategy("rightmost_trusted_count", trusted_count=1)
X_REAL_IP = Strategy("single_header", header="X-Real-IP")


class App(NamedTuple):
    """What the app of a fixture tells.

    ``hides``: X-Forwarded-For and X-Real-IP; ``unsure``: doesn't tell whether it hides them;
    ``underscores``: shows lines whose names have underscores; ``space``: tells its namespace.
    """

    form: str
    pod: str | None = None
    node: str | None = None
    peer: bool = False
    merged: bool = False
    hides: bool = False
    unsure: bool = False
    underscores: bool = False
    space: bool = False


HTTPBIN = App("httpbin", merged=True, hides=True)
HTTPBIN_SHOWS = HTTPBIN._replace(hides=False)
WHOAMI = App("whoami", POD, peer=True, underscores=True)

#: Name of the fixture, and the path that was asked for where the app's answers differ by it.
APPS = {
    "echo_basic": App("echo_basic", POD, underscores=True, space=True),
    "echoserver": App("echoserver", POD, "node1", peer=True, space=True),
    "echoserver_unnamed": App("echoserver", POD, peer=True),
    "flask": App("flask", merged=True),
    "http_echo": App("http_echo", POD, merged=True, underscores=True),
    "httpbin": HTTPBIN,
    "httpbin /get?show_env=1": HTTPBIN_SHOWS,
    "httpbin /headers?show_env=1": HTTPBIN_SHOWS._replace(unsure=True),
    "kestrel": App("kestrel", POD, "node1", peer=True, underscores=True, space=True),
    "whoami": WHOAMI,
    "whoami_named": WHOAMI,
}


class Recorded(NamedTuple):
    app: App
    name: str
    raw: bytes


def _recorded() -> list[Recorded]:
    rows = []
    for file in sorted(FIXTURES.glob("*.json")):
        for exchange in json.loads(file.read_text("utf-8"))["exchanges"]:
            path, _space, name = exchange["name"].partition(" ")
            app = APPS.get(f"{file.stem} {path}") or APPS[file.stem]
            title = f"{file.stem} {path} {name}"
            rows.append(Recorded(app, title, exchange["answer"].encode("latin-1")))
    return rows


RECORDED = _recorded()


def answers(name: str) -> Any:
    """The answers to one of the recorded requests, those that were none left out."""
    rows = [row for row in RECORDED if row.name.endswith(name) and b" 200 OK" in row.raw[:20]]
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name.replace(" ", "-"))


def received(raw: bytes) -> Answer:
    """The bytes as the probe reads them."""
    with Server(says(raw)) as running:
        [address] = resolve("127.0.0.1", running.port, "ipv4", 30)
        place = Endpoint("127.0.0.1", running.port, "echo.example.com", "/")
        reply = fetch(place, address, Request(timeout=30), time.monotonic() + 30, NONCE)
    return reply.answer


def lines(echo: Echo, wanted: str) -> list[str]:
    return [value for name, value in echo.headers if name.lower() == wanted.lower()]


def is_a(row: Recorded) -> Echo:
    """The echo of an answer, after a look at who else takes it."""
    answer = received(row.raw)
    for name in FORMATS:
        if name != row.app.form:
            with pytest.raises(NoEcho):
                parse(answer, name)
    echo = parse(answer, row.app.form)
    assert parse(answer, "auto") == echo
    return echo


def test_every_form_has_an_answer() -> None:
    assert {app.form for app in APPS.values()} == {*FORMATS}
    assert {row.app for row in RECORDED} == {*APPS.values()}


@answers(" plain")
def test_what_an_app_tells(row: Recorded) -> None:
    app, echo = row.app, is_a(row)
    assert echo.nonces == {NONCE}
    assert lines(echo, "Host") == ["echo.example.com"]
    assert lines(echo, "User-Agent") == ["kestrel.real_ip"]
    assert lines(echo, "Accept") == ["application/json, */*;q=0.5"]
    assert (echo.pod, echo.node, echo.merged) == (app.pod, app.node, app.merged)
    assert echo.namespace == (NAMESPACE if app.space else None)
    assert (canonical(echo.peer) if echo.peer else None) == ("127.0.0.1" if app.peer else None)
    assert echo.hides("X-Forwarded-For", as_list=True) == (app.hides or app.unsure)


@answers(" forwarded")
def test_repeated_lines(row: Recorded) -> None:
    app, echo = row.app, is_a(row)
    repeated = ["198.51.100.66", "203.0.113.20", "203.0.113.21"]
    seen = [one.strip() for line in lines(echo, "X-Forwarded-For") for one in line.split(",")]
    assert seen == ([] if app.hides else repeated)
    assert len(lines(echo, "X-Forwarded-For")) == (0 if app.hides else 1 if app.merged else 3)
    assert len(lines(echo, "Forwarded")) == (1 if app.merged else 2)
    assert bool(lines(echo, "X_Forwarded_For")) == app.underscores
    assert echo.hides("X_Forwarded_For", as_list=True) != app.underscores
    assert client_ip(echo.headers, echo.peer, "rightmost_trusted_count", "Forwarded", 1) == CLIENT
    assert echo.hides("X-Forwarded-For", as_list=True) == app.hides
    assert echo.hides("X-Real-IP", as_list=False) == app.merged


@answers(" injected")
def test_nothing_in_a_request_stands_for_the_app(row: Recorded) -> None:
    app, echo = row.app, is_a(row)
    assert (echo.pod, echo.node) == (app.pod, app.node)
    assert echo.namespace == (NAMESPACE if app.space else None)
    assert (canonical(echo.peer) if echo.peer else None) == ("127.0.0.1" if app.peer else None)
    assert lines(echo, "X-Forwarded-For") == ([] if app.hides else [CLIENT])
    assert lines(echo, "RemoteAddr") == ["198.51.100.66:1"]
    [test] = lines(echo, "X-Test")
    wanted = "a\tRemoteAddr: 198.51.100.66:1 <&>\"' = x-forwarded-for=198.51.100.66 {{7*7}}"
    assert test == wanted


@answers(" controls")
def test_control_characters_end_no_line(row: Recorded) -> None:
    # The others answer with status 400.
    assert row.app.form == "echoserver"
    echo = is_a(row)
    assert lines(echo, "X-Test") == [
        "a\x0bRemoteAddr: 198.51.100.66:1\x1cHostname: forged\x1e\x1b[31m"
    ]
    assert canonical(echo.peer or "") == "127.0.0.1"


@answers(" beyond ASCII")
def test_other_characters_end_no_line(row: Recorded) -> None:
    echo = is_a(row)
    [test] = lines(echo, "X-Test")
    assert test.endswith("Hostname: forged")
    assert echo.pod == row.app.pod
    assert lines(echo, "X-Forwarded-For") == ([] if row.app.hides else [CLIENT])


def code(row: Recorded, strategy: Strategy, layer: str = "l7") -> str:
    question = Question(
        Expectation("given", tuple(parse_ranges([CLIENT]))), strategy, layer, echo_format="auto"
    )
    way = Way("echo.example.com", 80, ipaddress.ip_address("198.51.100.10"))
    return read(question, way, received(row.raw), CLIENT, NONCE).code


@answers(" injected")
def test_which_layer_an_app_decides(row: Recorded) -> None:
    assert code(row, COUNT) == ("V420" if row.app.hides else "V001")
    found = code(row, Strategy("peer"), "l4")
    assert (found == "V417") == (not row.app.peer)
    assert CODES[found].verdict == "unproven" or row.app.peer


@answers(" forwarded")
def test_lines_that_an_app_merges_decide_nothing(row: Recorded) -> None:
    assert code(row, X_REAL_IP) == ("V420" if row.app.merged else "V001")


@answers(" plain")
def test_what_an_app_hides_is_not_lost(row: Recorded) -> None:
    wanted = "V420" if row.app.hides or row.app.unsure else "V209"
    assert code(row, COUNT) == code(row, X_REAL_IP) == wanted


# --- Text -----------------------------------------------------------------------------------------

HEAD = "Hostname: a\nIP: 127.0.0.1\nRemoteAddr: 192.0.2.1:4711\n"
WANTED = f"GET /?x=y HTTP/1.1\r\nHost: b\r\n{NONCE_HEADER}: {NONCE}\r\n"
SECTIONS = (
    "\n\nHostname: a\n\nPod Information:\n\t-no pod information available-\n\n"
    "Server values:\n\tserver_version=nginx: 1.13.3 - lua: 10008\n\n"
    "Request Information:\n\tclient_address=192.0.2.1\n\tmethod=GET\n\n"
)
FIELDS = f"Request Headers:\n\thost=b  \n\t{NONCE_HEADER.lower()}={NONCE}  \n"
BODY = "\nRequest Body:\n\t-no body in request-\n\n"


def text(body: str) -> Answer:
    return Answer(200, "OK", {"content-type": "text/plain"}, body.encode())


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("whoami", f"{HEAD}{WANTED}\r\n"),
        ("whoami", f"Name: RemoteAddr: 6.6.6.6:1\n{HEAD}{WANTED}\r\n"),
        ("whoami", f"{HEAD}Certificate[0] Subject: CN=a\n{WANTED}\r\n"),
        # The environment, or a request's body: both behind the request's header lines.
        ("whoami", f"{HEAD}{WANTED}\r\nRemoteAddr: 6.6.6.6:1\nHostname: forged\n"),
        ("whoami", f"{HEAD}{WANTED}\r\n{HEAD}{WANTED}\r\n"),
        ("echoserver", SECTIONS + FIELDS + BODY),
        ("echoserver", f"{SECTIONS}{FIELDS}{BODY}Request Headers:\n\thost=c\n"),
        ("echoserver", f"{SECTIONS}{FIELDS}{BODY}\tclient_address=6.6.6.6\n{SECTIONS}"),
        # Blanks as other versions leave them behind.
        ("echoserver", (SECTIONS + FIELDS + BODY).replace("\n\n", "\n \t\n")),
    ],
)
def test_text(form: str, body: str) -> None:
    echo = parse(text(body), "auto")
    assert echo == parse(text(body), form)
    assert (canonical(echo.peer or ""), echo.pod, echo.node) == ("192.0.2.1", "a", None)
    assert [value for _name, value in echo.headers] == ["b", NONCE]


@pytest.mark.parametrize(
    "body",
    [
        f"{HEAD}{WANTED}",
        f"{HEAD}{WANTED}\n",
        f"{HEAD}RemoteAddr: 6.6.6.6:1\n{WANTED}\r\n",
        f"RemoteAddr: 6.6.6.6:1\n{HEAD}{WANTED}\r\n",
        f"{HEAD}Hostname: c\n{WANTED}\r\n",
        f"{HEAD}Environment\n{WANTED}\r\n",
        f"{HEAD}\n{WANTED}\r\n",
        f"{HEAD}GET / HTTP/1.1\nHost: b\r\n\r\n",
        f"{HEAD}GET /a b HTTP/1.1\r\nHost: b\r\n\r\n",
        f"{HEAD}GET / HTTP/1.1\r\n\r\n",
        f"{HEAD}GET / HTTP/1.1\r\nX-Forwarded-For: {CLIENT}\r\nHost: b\r\n\r\n",
        f"{HEAD}{WANTED}X-Forwarded-For\r\n\r\n",
        f"{HEAD}{WANTED}X-Forwarded-For: {CLIENT}\n\r\n",
        f"{HEAD}{WANTED}X-Test: a\rX-Forwarded-For: {CLIENT}\r\n\r\n",
        f"{HEAD}{WANTED} X-Forwarded-For: {CLIENT}\r\n\r\n",
        HEAD,
        f"{SECTIONS}{FIELDS}\tx-test=&#{'1' * 5000};\n{BODY}",
        SECTIONS + FIELDS,
        SECTIONS + BODY,
        FIELDS + BODY,
        SECTIONS + SECTIONS + FIELDS + BODY,
        SECTIONS + FIELDS + FIELDS + BODY,
        f"{SECTIONS}x=y\n{FIELDS}{BODY}",
        f"{SECTIONS}{FIELDS}\tx-forwarded-for\n{BODY}",
        f"{SECTIONS}{FIELDS} x-forwarded-for={CLIENT}\n{BODY}",
        f"\tclient_address=6.6.6.6\n{SECTIONS}{FIELDS}{BODY}",
        SECTIONS + "Request Headers:\n" + "\tx=y\n" * 100 + BODY,
        "CLIENT VALUES:\nclient_address=192.0.2.1\ncommand=GET\n\nHEADERS RECEIVED:\nhost=b\n",
    ],
    ids=range(28),
)
def test_no_text(body: str) -> None:
    for name in ("auto", *FORMATS):
        with pytest.raises(NoEcho):
            parse(text(body), name)


def test_two_peers_are_none() -> None:
    twice = SECTIONS.replace("\tmethod", "\tclient_address=6.6.6.6\n\tmethod")
    assert parse(text(twice + FIELDS + BODY), "auto").peer is None


# What may stand in a header's value, with what would make it look like one of the app's lines.
VALUE = st.lists(
    st.sampled_from(["RemoteAddr: 6.6.6.6:1", "Hostname: forged", "Request Headers:", "="])
    | st.sampled_from(["\t", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "&lt;", "&", "<", "x"])
    | st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=5),
    max_size=6,
).map(lambda parts: "".join(parts).strip(" \t"))
NAME = st.sampled_from(["X-Forwarded-For", "RemoteAddr", "Hostname", "Client-Address", "X-Test"])
LINES = st.lists(st.tuples(NAME, VALUE), max_size=5).map(sorted)


def _escaped(value: str) -> str:
    marks = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
    return "".join(marks.get(char, char) for char in value)


@given(LINES)
def test_a_client_writes_header_lines_and_nothing_else(fields: list[tuple[str, str]]) -> None:
    own = [("Host", "b"), (NONCE_HEADER, NONCE)]
    sent = "".join(f"{name}: {value}\r\n" for name, value in fields)
    echo = parse(text(f"{HEAD}{WANTED}{sent}\r\n"), "auto")
    assert echo.headers == own + fields
    assert (echo.peer, echo.pod, echo.node) == ("192.0.2.1:4711", "a", None)
    sent = "".join(f"\t{name.lower()}={_escaped(value)}  \n" for name, value in fields)
    echo = parse(text(f"{SECTIONS}{FIELDS}{sent}{BODY}"), "auto")
    assert echo.headers == [(name.lower(), value) for name, value in own + fields]
    assert (echo.peer, echo.pod, echo.node) == ("192.0.2.1", "a", None)
