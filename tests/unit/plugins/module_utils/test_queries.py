# SPDX-License-Identifier: GPL-3.0-or-later
"""JMESPath expressions: what they may be, what they find, and that an answer can't abuse them."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils import _queries
from ansible_collections.kestrel.real_ip.plugins.module_utils._echo import (
    NONCE_HEADER,
    Answer,
    NoEcho,
    parse,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._options import WrongArgument, plan
from ansible_collections.kestrel.real_ip.plugins.module_utils._queries import (
    Queries,
    WrongQuery,
    compile_queries,
)
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.test_echo import (
    BODIES,
    answer,
)
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.test_options import (
    DEFAULTS,
)
from hypothesis import given
from hypothesis import strategies as st

LINES = [["Host", "echo"], ["X-Forwarded-For", "203.0.113.20"], [NONCE_HEADER, "f00d"]]
DOCUMENT = {
    "request": {
        "lines": [{"n": name, "v": value} for name, value in LINES],
        "map": dict(LINES),
        "lists": {name: [value, value] for name, value in LINES},
        "port": 40000,
    },
    "from": "192.0.2.1:40000",
    "me": {"pod": "real-ip-a", "node": None},
}
MORE = {"peer": "from", "pod": "me.pod", "node": "me.node"}


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ("request.lines[*].[n, v]", LINES),
        ("request.map", LINES),
        ("request.lists", [line for line in LINES for _time in range(2)]),
        ("request.lines[?n=='Host'].[n, v]", LINES[:1]),
        ("request.lines[?n=='none'].[n, v]", []),
        ("[['X-Forwarded-For', request.map.\"X-Forwarded-For\"]]", LINES[1:2]),
    ],
)
def test_what_they_find(headers: str, found: list[list[str]]) -> None:
    echo = parse(answer(DOCUMENT), "jmespath", compile_queries({"headers": headers, **MORE}))
    assert [[*line] for line in echo.headers] == found
    assert (echo.peer, echo.pod, echo.node) == ("192.0.2.1:40000", "real-ip-a", None)
    assert echo.merged == (headers == "request.map")
    assert echo.hides("X_Forwarded_For", as_list=True)
    # That a query doesn't find a header says nothing of whether it arrived.
    shown = any(name == "X-Forwarded-For" for name, _value in echo.headers)
    assert echo.hides("X-Forwarded-For", as_list=True) == (not shown)


@pytest.mark.parametrize(
    ("queries", "said"),
    [
        ({"headers": "nothing"}, "headers finds no header lines"),
        ({"headers": "from"}, "headers finds no header lines"),
        ({"headers": "request"}, "headers finds no header lines"),
        ({"headers": "request.lines"}, "headers finds no header lines"),
        ({"headers": "request.lines[*].[v]"}, "headers finds no header lines"),
        ({"headers": "request.lines[*].[n, v, v]"}, "headers finds no header lines"),
        ({"headers": "request.map", "peer": "me"}, "peer finds no text"),
        ({"headers": "request.map", "pod": "request.lines"}, "pod finds no text"),
        ({"headers": "request.map", "node": "length(from) > `1`"}, "node finds no text"),
        ({"headers": "request.map", "node": "sum(from)"}, "node fails on this answer"),
        ({"headers": "request.map", "node": "request.lines[::0]"}, "node fails on this answer"),
        # What an empty answer doesn't lead to, and any other one does
        ({"headers": "request.map", "peer": "me && '203.0.113.9'"}, "peer finds what the answer"),
        ({"headers": "request.map", "peer": "me.pod && join('.', ['8', '8', '4', '4'])"}, "peer"),
        ({"headers": "request.map", "pod": "me && 'real-ip-b'"}, "pod finds what the answer"),
        (
            {"headers": "me && [['X-Forwarded-For', '8.8.4.4']]"},
            "headers finds what the answer does not hold",
        ),
        ({"headers": "request.map.{Via: Host && '8.8.4.4:80'}"}, "headers finds what the answer"),
    ],
)
def test_what_is_another_app(queries: dict[str, str], said: str) -> None:
    with pytest.raises(NoEcho) as caught:
        parse(answer(DOCUMENT), "jmespath", compile_queries(queries))
    assert caught.value.number == "V524"
    assert said in caught.value.detail


def test_a_repeated_member_is_another_app() -> None:
    body = b'{"headers": {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-For": "203.0.113.20"}}'
    with pytest.raises(NoEcho) as caught:
        parse(answer(body), "jmespath", compile_queries({"headers": "headers"}))
    assert "twice" in caught.value.detail


# --- Refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queries", "name", "said"),
    [
        ({}, "headers", "must be given"),
        ({"peer": "peer"}, "headers", "must be given"),
        ({"headers": "", "peer": "peer"}, "headers", "must be given"),
        ({"headers": "a", "adress": "b"}, "adress", "must be one of headers, peer, pod, node"),
        ({"headers": "a["}, "headers", "is no JMESPath expression"),
        ({"headers": "a", "peer": "a b"}, "peer", "is no JMESPath expression"),
        ({"headers": "a", "peer": "  "}, "peer", "must be a JMESPath expression"),
        ({"headers": "a", "peer": 5}, "peer", "must be a JMESPath expression"),
        ({"headers": "a" * 1001}, "headers", "not be longer than 1000"),
        ({"headers": "[" * 400 + "a" + "]" * 400}, "headers", "nested too deeply"),
        ({"headers": "!" * 900 + "a"}, "headers", "nested too deeply"),
        ({"headers": "a" + "[*].a" * 100}, "headers", "nested too deeply"),
        ({"headers": "to_string(a)"}, "headers", "must not use to_string"),
        ({"headers": "a", "peer": "'203.0.113.20'"}, "peer", "in an empty answer too"),
        ({"headers": "a", "peer": '`"203.0.113.20"`'}, "peer", "in an empty answer too"),
        ({"headers": "a", "peer": "b || '203.0.113.20'"}, "peer", "in an empty answer too"),
        ({"headers": "a", "peer": "join('.', ['203', '0', '113', '20'])"}, "peer", "203.0.113.20"),
        ({"headers": "a", "pod": "'real-ip-a'"}, "pod", "in an empty answer too"),
        ({"headers": "[['X-Forwarded-For', '203.0.113.20']]"}, "headers", "203.0.113.20"),
        ({"headers": "[a, ['X-Forwarded-For', '203.0.113.20']]"}, "headers", "203.0.113.20"),
        ({"headers": "{a: b, \"X-Real-IP\": '203.0.113.20'}"}, "headers", "203.0.113.20"),
        ({"headers": "{a: ['203.0.113.20']}"}, "headers", "203.0.113.20"),
        ({"headers": "a[*].{b: [map(&to_number(@), c)]}"}, "headers", "must not use to_number"),
    ],
)
def test_a_wrong_expression(queries: dict[str, Any], name: str, said: str) -> None:
    with pytest.raises(WrongQuery) as caught:
        compile_queries(queries)
    assert caught.value.name == name
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_queries, "HAS_JMESPATH", False)
    with pytest.raises(WrongArgument) as caught:
        plan(
            {
                **DEFAULTS,
                "url": "http://echo/",
                "echo_format": "jmespath",
                "echo_queries": {"headers": "headers"},
            }
        )
    assert f"{sys.executable} -m pip install jmespath" in str(caught.value)
    assert plan({**DEFAULTS, "url": "http://echo/"}).targets[0].question.echo_queries is None


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"echo_format": "jmespath"}, "echo_queries.headers"),
        ({"echo_format": "jmespath", "echo_queries": {"headers": "a["}}, "echo_queries.headers"),
        ({"echo_queries": {"headers": "headers"}}, "echo_queries"),
        ({"echo_format": "whoami", "echo_queries": {"pod": "pod"}}, "echo_queries"),
    ],
)
def test_it_is_refused_before_the_first_request(options: dict[str, Any], option: str) -> None:
    with pytest.raises(WrongArgument) as caught:
        plan({**DEFAULTS, "url": "http://echo/", **options})
    assert caught.value.option == option


# --- Promises -------------------------------------------------------------------------------------

EXPRESSIONS = (
    "headers",
    "headers.*",
    "*.*[]",
    "headers | [*].[@, @]",
    "keys(headers)[*].[@, @]",
    "sort(values(headers))",
    "merge(headers, peer)",
    "join(',', keys(@))",
    "headers[?contains(@, 'a') && starts_with(@, 'b')]",
    "max_by(headers, &peer)",
    "map(&[0], headers)",
    "not_null(peer.address, peer, node)",
    "reverse(headers)[::-1][0:5:2]",
    "length(headers) > `2`",
    "headers && type(headers)",
)


@given(BODIES, st.sampled_from(EXPRESSIONS), st.sampled_from(EXPRESSIONS))
def test_any_body_is_an_echo_or_none(body: bytes, headers: str, other: str) -> None:
    queries = compile_queries({"headers": headers, "peer": other, "pod": other, "node": other})
    try:
        echo = parse(Answer(200, "OK", {}, body), "jmespath", queries)
    except NoEcho:
        return
    assert all(isinstance(one, str) for line in echo.headers for one in line)
    assert all(isinstance(one, (str, type(None))) for one in (echo.peer, echo.pod, echo.node))


@pytest.mark.parametrize(
    ("expression", "document"),
    [
        # Each doubles what the one before it finds.
        (" | ".join(["[@, @][]"] * 40), ["a"]),
        ("[*].[@, @][][].[@, @][][]", ["a"] * 200_000),
        ("a" + ".*" * 25, {"a": {"b": {"c": "d"}}}),
        ("sort(@)", ["b", "a"] * 100_000),
        ("[?@ == 'a'] | [?@ == 'a'] | [?@ == 'a'] | [?@ == 'a']", ["a"] * 200_000),
    ],
    ids=range(5),
)
def test_what_it_costs_is_bounded(expression: str, document: Any) -> None:
    queries = compile_queries({"headers": expression})
    # Of this process: what else the machine does is no cost of it.
    began = time.process_time()
    with pytest.raises(NoEcho):
        parse(answer(document), "jmespath", queries)
    assert time.process_time() - began < 10


def test_a_plain_expression_never_costs_too_much() -> None:
    lines = [{"name": f"a{number}", "value": "b"} for number in range(1900)]
    body = json.dumps({"headers": lines}).encode()
    assert 60_000 < len(body) < 65_536
    echo = parse(answer(body), "jmespath", compile_queries({"headers": "headers[*].[name, value]"}))
    assert len(echo.headers) == 1900


def test_an_answer_is_data_and_no_expression() -> None:
    queries = compile_queries({"headers": "headers", "peer": "peer"})
    document = {"headers": {"a": "{{ 7 * 7 }}`1`[*].b"}, "peer": "to_string(@)"}
    echo = parse(answer(document), "jmespath", queries)
    assert (echo.headers, echo.peer) == ([("a", "{{ 7 * 7 }}`1`[*].b")], "to_string(@)")
    assert isinstance(queries, Queries)
