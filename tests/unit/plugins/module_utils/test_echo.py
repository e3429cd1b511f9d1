# SPDX-License-Identifier: GPL-3.0-or-later
"""From an answer to what the echo app says: its forms, and everything that isn't one."""

from __future__ import annotations

import codecs
import gzip
import json
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import CODES, printable
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import canonical, client_ip
from ansible_collections.kestrel.real_ip.plugins.module_utils._echo import (
    FORMATS,
    NONCE_HEADER,
    Answer,
    Echo,
    NoEcho,
    caller,
    parse,
)
from hypothesis import given, settings
from hypothesis import strategies as st

# The same examples in every run, however slow the machine; nothing is kept in the working tree.
settings.register_profile("units", deadline=None, database=None, derandomize=True, max_examples=150)
settings.load_profile("units")

HEADERS = {"Host": "echo", "X-Forwarded-For": "203.0.113.20", NONCE_HEADER: "f00d"}
FLASK = {"headers": HEADERS, "method": "GET"}
KESTREL = {
    "kestrel": 1,
    "headers": [[name, value] for name, value in HEADERS.items()],
    "peer": {"address": "10.255.0.12", "port": 40000},
    "pod": "real-ip-a",
    "node": "node1",
    "nonce": "f00d",
}


def answer(body: Any, status: int = 200, phrase: str = "OK", **fields: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, phrase, {key.replace("_", "-"): fields[key] for key in fields}, data)


def nested(depth: int) -> bytes:
    return b'{"headers": ' + b"[" * depth + b"]" * depth + b"}"


# What comes, the code that it gets, and what is shown of it.
ROWS = (
    ("V516", answer(FLASK, 404, "Not Found"), "404 Not Found"),
    ("V516", answer(FLASK, 502, ""), "502"),
    ("V516", answer(FLASK, 304, "Not Modified"), "304"),
    ("V517", answer(b"", 302, location="https://echo/"), "https://echo/"),
    ("V518", answer(b""), ""),
    ("V518", answer(b" \r\n\t"), ""),
    ("V519", answer(b"<!DOCTYPE html><p>{}", content_type="application/json"), ""),
    ("V519", answer("住".encode("gbk"), content_type="text/html; charset=gbk"), ""),
    ("V520", answer(gzip.compress(json.dumps(FLASK).encode()), content_encoding="gzip"), "gzip"),
    ("V520", answer(FLASK, content_encoding="br, identity"), "br, identity"),
    ("V521", answer(b'{"headers": {"X-Forwarded-For": "\xff\xfe"}}'), "byte"),
    ("V521", answer(gzip.compress(b"{}")), "byte"),
    ("V522", answer(b"hello"), "char 0"),
    ("V522", answer(b'{"headers": {"Host"'), ""),
    ("V522", answer(b'{"headers": {"Host": "a\x00b"}, "method": "GET"}'), "control character"),
    ("V522", answer(json.dumps(FLASK).encode() + b"\x00"), "Extra data"),
    ("V522", answer(json.dumps(FLASK).encode("utf-16-le")), ""),
    ("V523", answer(nested(33)), ""),
    ("V523", answer(nested(30_000)), ""),
    ("V523", answer(b'{"a":' * 10_000), ""),
    ("V524", answer([FLASK]), "list"),
    ("V524", answer(b"123"), "str"),
    ("V524", answer({}), "none"),
    ("V524", answer({"ip": "203.0.113.20"}), "members ip"),
    ("V524", answer({"headers": None}), "headers"),
    ("V524", answer({**FLASK, "kestrel": 0}), "kestrel"),
    ("V524", answer({**FLASK, "xhr": False}), "xhr"),
    ("V524", answer({"headers": {"Host": ["echo"]}}), "headers"),
    ("V524", answer(b'{"headers": {}, "headers": {"Host": "echo"}}'), "headers"),
    ("V524", answer({**FLASK, "origin": "203.0.113.20", "url": "http://echo/"}), "origin"),
    ("V524", answer({**KESTREL, "kestrel": 2}), "kestrel"),
    ("V524", answer({**KESTREL, "headers": HEADERS}), "kestrel"),
    ("V524", answer({**KESTREL, "headers": [["Host"]]}), "kestrel"),
    ("V524", answer({**KESTREL, "headers": [["Host", None]]}), "kestrel"),
)


@pytest.mark.parametrize(("code", "given_answer", "detail"), ROWS)
def test_no_echo(code: str, given_answer: Answer, detail: str) -> None:
    with pytest.raises(NoEcho) as caught:
        parse(given_answer, "auto")
    assert caught.value.number == code
    assert detail in caught.value.detail
    assert CODES[code].verdict == "no_answer"


# The nearest answers that are an echo app's.
@pytest.mark.parametrize(
    "good",
    [
        answer(FLASK),
        answer(FLASK, 299),
        answer({"headers": HEADERS}),
        answer({"headers": HEADERS, "message": "Here are your request headers"}),
        answer(FLASK, content_encoding="identity"),
        answer(FLASK, content_type="text/html; charset=utf-8"),
        answer(b"\xef\xbb\xbf \n" + json.dumps(FLASK).encode()),
        answer({"headers": {**HEADERS, "X": "[" * 1000 + '\\"{'}}),
        answer({"headers": {**HEADERS, "X": "\x1b[31m\x00\ud800"}}),
        answer(KESTREL),
        answer({**KESTREL, "tls": json.loads(nested(20)), "http_version": 1.1}),
    ],
)
def test_echo(good: Answer) -> None:
    echo = parse(good, "auto")
    assert ("X-Forwarded-For", "203.0.113.20") in echo.headers
    assert echo.nonces == {"f00d"}


def test_what_each_form_tells() -> None:
    lines = [*HEADERS.items()]
    assert parse(answer(FLASK), "flask") == Echo(
        lines, None, None, None, frozenset({"f00d"}), merged=True, dashed=True
    )
    assert parse(answer(KESTREL), "kestrel") == Echo(
        lines, "10.255.0.12", "real-ip-a", "node1", frozenset({"f00d"})
    )
    silent = {"kestrel": 1, "headers": [], "peer": None, "pod": "", "node": None}
    assert parse(answer(silent), "kestrel") == Echo([], None, None, None, frozenset())


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "flask"])
def test_a_named_form_takes_no_other(name: str) -> None:
    with pytest.raises(NoEcho) as caught:
        parse(answer(FLASK), name)
    assert caught.value.number == "V524"


def test_repeated_lines_keep_their_order() -> None:
    body = b'{"headers": {"X-Forwarded-For": "6.6.6.6", "x-forwarded-for": "203.0.113.20"}}'
    lines = [("X-Forwarded-For", "6.6.6.6"), ("x-forwarded-for", "203.0.113.20")]
    assert parse(answer(body), "auto").headers == lines
    same = body.replace(b"x-f", b"X-F").replace(b"d-for", b"d-For")
    assert [value for _name, value in parse(answer(same), "auto").headers] == [
        "6.6.6.6",
        "203.0.113.20",
    ]


@pytest.mark.parametrize(
    ("headers", "nonce", "claimed"),
    [
        ([], None, set()),
        ([], "f00d", {"f00d"}),
        ([[NONCE_HEADER.lower(), "f00d"]], None, {"f00d"}),
        ([[NONCE_HEADER, "f00d"]], "f00d", {"f00d"}),
        ([[NONCE_HEADER, "f00d"]], "beef", {"f00d", "beef"}),
        ([[NONCE_HEADER, "f00d"], [NONCE_HEADER, "beef"]], None, {"f00d", "beef"}),
        ([[NONCE_HEADER, "f00d, beef"]], None, {"f00d, beef"}),
    ],
)
def test_every_nonce_that_is_claimed_counts(headers: Any, nonce: Any, claimed: set[str]) -> None:
    document = {"kestrel": 1, "headers": headers, "nonce": nonce}
    assert parse(answer(document), "auto").nonces == claimed


@pytest.mark.parametrize(
    ("told", "address"),
    [
        (answer(b"203.0.113.20\n"), "203.0.113.20"),
        (answer({"ip": "203.0.113.20", "country": "ZZ"}), "203.0.113.20"),
        (answer({"origin": "2001:db8::1"}), "2001:db8::1"),
        (answer(b"no address"), "no address"),
    ],
)
def test_caller(told: Answer, address: str) -> None:
    assert caller(told) == address


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (answer(b"203.0.113.20", 404), "V516"),
        (answer(b"", 301, location="http://elsewhere/"), "V517"),
        (answer(b""), "V518"),
        (answer(b"<p>203.0.113.20"), "V519"),
        (answer({"address": "203.0.113.20"}), "V524"),
        (answer({"ip": None}), "V524"),
        (answer(b'{"ip": "203.0.113.20"'), "V522"),
    ],
)
def test_no_caller(told: Answer, code: str) -> None:
    with pytest.raises(NoEcho) as caught:
        caller(told)
    assert caught.value.number == code


# --- Promises -------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
NAMES = st.sampled_from(
    ["headers", "kestrel", "peer", "pod", "node", "nonce", "method", "origin", "os", "host", "x"]
)
DOCUMENTS = st.dictionaries(NAMES, JSON | st.just(1) | st.just(HEADERS), max_size=5)
PIECES = st.sampled_from(
    [
        "Hostname: a\n",
        "RemoteAddr: 192.0.2.1:1\n",
        "GET / HTTP/1.1\r\n",
        "Host: b\r\n",
        "X-Forwarded-For: 203.0.113.20\r\n",
        "\r\n",
        "Pod Information:\n",
        "Server values:\n",
        "Request Information:\n",
        "\tclient_address=192.0.2.1\n",
        "Request Headers:\n",
        "\thost=b  \n",
        "Request Body:\n",
        *("\n", "\t", "=", ":", "\x00", "\x0b", "\x85", "\u2028", "&lt;", "{"),
    ]
)
BODIES = (
    st.binary(max_size=200)
    | DOCUMENTS.map(lambda one: json.dumps(one).encode())
    | st.lists(PIECES | st.text(max_size=5), max_size=25).map(
        lambda pieces: "".join(pieces).encode("utf-8", "surrogatepass")
    )
)
STRATEGIES_TO_TRY: tuple[dict[str, Any], ...] = (
    {"strategy": "peer"},
    {"strategy": "single_header", "header": "X-Real-IP"},
    {"strategy": "rightmost_trusted_count", "trusted_count": 1},
    {"strategy": "rightmost_trusted_count", "header": "Forwarded", "trusted_count": 2},
    {"strategy": "rightmost_trusted_range", "trusted_ranges": ["10.0.0.0/8"]},
    {"strategy": "rightmost_non_private"},
    {"strategy": "leftmost_non_private"},
)


def told(echo: Echo) -> list[str]:
    """All text that an answer can bring into a result."""
    one = [echo.peer, echo.pod, echo.node, *echo.nonces]
    return [*(text for text in one if text), *(text for line in echo.headers for text in line)]


def attempt(given_answer: Answer, name: str) -> Echo | NoEcho:
    try:
        return parse(given_answer, name)
    except NoEcho as error:
        return error


@given(BODIES)
def test_any_body_is_an_echo_or_none(body: bytes) -> None:
    given_answer = Answer(200, "OK", {}, body)
    with suppress(NoEcho):
        assert len(caller(given_answer)) <= len(body)
    for name in ("auto", *FORMATS):
        echo = attempt(given_answer, name)
        if isinstance(echo, NoEcho):
            assert CODES[echo.number].verdict == "no_answer"
            assert printable(echo.detail).isprintable()
            continue
        # Escapes of JSON and of invalid bytes are the longest: four characters for a byte.
        assert sum(map(len, told(echo))) <= 4 * len(body) + len(echo.headers)
        assert all(printable(text).isprintable() for text in told(echo))
        for arguments in STRATEGIES_TO_TRY:
            seen = client_ip(echo.headers, echo.peer, **arguments)
            assert seen is None or canonical(seen) == seen


class Watch:
    """What Python is made to do in this thread; a hook stays for as long as the process lives."""

    DANGEROUS = ("compile", "exec", "import", "open", "os.", "pty.", "socket.", "subprocess.")

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.thread: int | None = None
        sys.addaudithook(self._look)

    def _look(self, event: str, _arguments: object) -> None:
        if self.thread == threading.get_ident() and event.startswith(self.DANGEROUS):
            self.seen.append(event)


def test_nothing_in_an_answer_is_evaluated() -> None:
    payloads = (
        "__import__('os').system('id')",
        "{{ lookup('pipe', 'id') }}{% for x in y %}${7*7}#{7*7}%(x)s{0.__class__}",
        "!!python/object/apply:os.system ['id']",
        "file:///etc/passwd",
        "../../etc/passwd",
        "`id`$(id)",
    )
    headers = {**HEADERS, **{f"X-{number}": text for number, text in enumerate(payloads)}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    bodies = [
        json.dumps({**FLASK, "headers": headers}).encode(),
        json.dumps({**KESTREL, "pod": payloads[0], "peer": {"address": payloads[1]}}).encode(),
        f"Hostname: {payloads[0]}\nRemoteAddr: a\nGET / HTTP/1.1\r\n{lines}\r\n".encode(),
        *(text.encode() for text in payloads),
    ]
    # Codecs are imported when they are first needed.
    [codecs.lookup(name) for name in ("utf-8-sig", "latin-1", "unicode_escape")]
    watch = Watch()
    watch.thread = threading.get_ident()
    try:
        for body in bodies:
            tried = attempt(Answer(200, "OK", {}, body), "auto")
            for text in told(tried) if isinstance(tried, Echo) else [tried.detail]:
                printable(text)
            with suppress(NoEcho):
                caller(Answer(200, "OK", {}, body))
    finally:
        watch.thread = None
    assert watch.seen == []
    assert headers["X-1"] in told(parse(Answer(200, "OK", {}, bodies[2]), "whoami"))


@given(BODIES)
def test_no_answer_is_of_two_forms(body: bytes) -> None:
    given_answer = Answer(200, "OK", {}, body)
    tried = [attempt(given_answer, name) for name in FORMATS]
    found = [echo for echo in tried if isinstance(echo, Echo)]
    assert len(found) <= 1
    assert not found or attempt(given_answer, "auto") == found[0]


@pytest.mark.parametrize(
    "body",
    [
        b'"' + b'\\"' * 500_000,
        b"[" + b'"\\' * 500_000,
        b"[" * 1_000_000,
        b'{"headers": {"A": "' + b"[" * 900_000 + b'"}, "x": 1}',
        b"[" + b"9" * 1_000_000 + b"]",
        b"[" + b'"a",' * 250_000 + b"1]",
        b'{"headers": {' + b",".join(b'"a%d":"b"' % n for n in range(60_000)) + b'}, "x": 1}',
        b"\n" * 1_000_000,
        b"Hostname: a\n" + b"IP: ::1\n" * 125_000,
        b"Hostname: a\nRemoteAddr: b\nGET / HTTP/1.1\r\n" + b"a: b\r\n" * 150_000,
        b"Hostname: a\nRemoteAddr: b\nGET / HTTP/1.1\r\n" + b"a:" + b" \t" * 500_000 + b"\r\n\r\n",
        b"Hostname: a\nPod Information:\n" + b"\ta=b\n" * 200_000,
        b"Hostname: " + b"&amp" * 250_000,
        b"\xff" * 1_000_000,
    ],
    ids=range(14),
)
def test_time_is_linear_in_the_length(body: bytes) -> None:
    # Sixteen times what is read of an answer by default; anything quadratic takes minutes. What
    # else the machine does isn't counted.
    began = time.thread_time()
    with pytest.raises(NoEcho):
        parse(Answer(200, "OK", {}, body), "auto")
    assert time.thread_time() - began < 5
