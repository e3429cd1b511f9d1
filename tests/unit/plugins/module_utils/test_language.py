# SPDX-License-Identifier: GPL-3.0-or-later
"""Chinese texts: there is one for each English one, with the same facts, and it fits the page."""

from __future__ import annotations

import ast
import pickle
import re
import typing as t
from pathlib import Path
from string import Formatter

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils import (
    _causes,
    _diagnosis,
    _forgery,
    _path,
    _summary,
    _vantage,
    _verdict,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._causes import CAUSES, Cause
from ansible_collections.kestrel.real_ip.plugins.module_utils._checks import diagnose
from ansible_collections.kestrel.real_ip.plugins.module_utils._chinese import PHRASES
from ansible_collections.kestrel.real_ip.plugins.module_utils._chinese_causes import CAUSES_ZH
from ansible_collections.kestrel.real_ip.plugins.module_utils._chinese_codes import (
    CODES_ZH,
    WARNINGS_ZH,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._chinese_tke import ERRORS_ZH
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    CODES,
    RESERVATIONS,
    UNSOUGHT,
    WARNINGS,
    Code,
    printable,
    say,
    warn,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._explain import explain
from ansible_collections.kestrel.real_ip.plugins.module_utils._findings import Seen, finding
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    Text,
    chinese,
    columns,
    cut,
    in_language,
    joined,
    phrase,
    wrapped,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import TrafficPath
from ansible_collections.kestrel.real_ip.plugins.module_utils._tke_errors import (
    ERRORS,
    Mention,
    TkeError,
    look_up,
)
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils import test_checks

PLUGINS = Path(_causes.__file__).resolve().parents[1]
CHINESE = re.compile(r"[\u4e00-\u9fff]")
#: Kinds of fixes that are typed as they stand
TYPED = ("command", "variable")


def fields(template: str) -> set[str]:
    return {name for _literal, name, _format, _conversion in Formatter().parse(template) if name}


def same_facts(english: str, other: str) -> None:
    assert fields(other) == fields(english), f"{english!r}: {other!r}"
    assert bool(other) == bool(english), english


# --- The tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.number)
def test_each_code_is_said_in_chinese(code: Code) -> None:
    other = CODES_ZH[code.number]
    for english, text in zip((code.title, code.reason, code.cause, code.fix), other):
        same_facts(english, text)
    for text in other:
        is_chinese(text)
    assert other.cause.endswith("。")
    assert not re.search(r"[。.]\Z", other.title + other.reason + other.fix)


@pytest.mark.parametrize("row", CAUSES.values(), ids=lambda row: row.number)
def test_each_cause_is_said_in_chinese(row: Cause) -> None:
    other = CAUSES_ZH[row.number]
    same_facts(row.title, other.title)
    same_facts(row.cause, other.cause)
    same_facts("" if row.fix_kind in TYPED else row.fix, other.fix)
    # A symptom can be what kubectl says.
    assert other.symptom
    for text in (other.title, other.cause, other.fix):
        is_chinese(text)
    assert not re.search(r"[。.]\Z", other.title + other.cause)


@pytest.mark.parametrize("row", ERRORS.values(), ids=lambda row: f"{row.kind}-{row.code}")
def test_each_error_of_tke_is_said_in_chinese(row: TkeError) -> None:
    other = ERRORS_ZH[row.kind, row.code]
    same_facts("" if row.fix_kind in TYPED else row.fix, other.fix)
    for text in other:
        is_chinese(text)
    assert other.cause.endswith("。")
    assert not other.title.endswith("。")


def test_no_chinese_is_left_over() -> None:
    assert set(CODES_ZH) == set(CODES)
    assert set(CAUSES_ZH) == set(CAUSES)
    assert set(ERRORS_ZH) == set(ERRORS)
    assert set(WARNINGS_ZH) == set(WARNINGS)


@pytest.mark.parametrize("name", WARNINGS)
def test_each_warning_is_said_in_chinese(name: str) -> None:
    same_facts(WARNINGS[name], WARNINGS_ZH[name])
    is_chinese(WARNINGS_ZH[name])


#: Functions whose argument of this place is a key of PHRASES
ASKED_BY = {"phrase": 0, "joined": 0, "_listed": 1}


def asked() -> set[str]:
    """All phrases that the code asks for by their texts, and those of its tables."""
    calls = (
        node
        for file in sorted(PLUGINS.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ASKED_BY
        and len(node.args) > ASKED_BY[node.func.id]
    )
    texts = (node.args[ASKED_BY[t.cast("ast.Name", node.func).id]] for node in calls)
    found = {text.value for text in texts if isinstance(text, ast.Constant)}
    assert all(isinstance(text, str) for text in found)
    outcomes = {outcome for outcome, _pattern in _path._REASONS} | {"answers", "other"}
    return {
        *map(str, found),
        *RESERVATIONS,
        *(one.what for one in UNSOUGHT.values()),
        *_verdict._PLACES.values(),
        *_verdict._PLACE.values(),
        *(one for one in _vantage.PLACES if one != "auto"),
        *("given", "asked", "local", "inferred"),
        *outcomes,
        *_forgery.FATES,
        *_causes.HOPS,
        *_causes.SEVERITIES,
        *(one for one in _causes.FIX_KINDS if one != "none"),
        *labels(),
        *("created", "changed", "unchanged", "adopted", "kept", "absent", "deleted"),
        *("Right", "Read", "Cluster"),
        "none",
    }


def labels() -> set[str]:
    """What stands on the left of the page: first members of pairs in _summary."""
    tree = ast.parse(Path(_summary.__file__).read_text())
    pairs = [
        node.elts[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple) and len(node.elts) == 2
    ]
    found = {str(one.value) for one in pairs if isinstance(one, ast.Constant)}
    return {one for one in found if re.fullmatch(r"[a-z]+", one)} | {"way", "type", "set", "fix"}


def test_a_text_reaches_another_process_whole() -> None:
    text = phrase("not told")
    found = pickle.loads(pickle.dumps({"reason": text}))["reason"]
    assert (found, chinese(found)) == ("not told", text.chinese)


def test_each_phrase_is_said_in_chinese() -> None:
    wanted = asked()
    missing = sorted(wanted - set(PHRASES))
    assert not missing, f"not in PHRASES: {missing}"
    left = sorted(set(PHRASES) - wanted)
    assert not left, f"nobody asks for: {left}"
    for english, text in PHRASES.items():
        assert fields(text) == fields(english), english


# --- What is said ---------------------------------------------------------------------------------

#: English words that stay: names of options, headers, programs, fields, and parts of commands.
KEPT = re.compile(
    r"""
    \b(?:kubectl|curl|getent)\s[^，。；：）]*      # a command
    | \b(?:get|the|server|have|resource|type)\b(?=[^，。]*ingresses\.) # what kubectl says itself
    | \S*[-_./:=\d]\S* | [A-Z]\w* | \w*[A-Z]\w*    # identifiers, names
    """,
    re.VERBOSE,
)
#: Plain words in lower case that are names here
NAMES = [
    "backend",
    "backends",
    "bundled",
    "class",
    "concurrency",
    "context",
    "curl",
    "deadline",
    "default",
    "delete",
    "eklet",
    "exec",
    "false",
    "finalizer",
    "finalizers",
    "gunicorn",
    "format",
    "group",
    "header",
    "host",
    "hosts",
    "identity",
    "ingresses",
    "iptables",
    "kubeconfig",
    "kubelet",
    "layer",
    "local",
    "list",
    "lookup",
    "max",
    "method",
    "name",
    "names",
    "namespace",
    "nft",
    "node",
    "nodes",
    "nonce",
    "outside",
    "path",
    "paths",
    "peer",
    "playbook",
    "pods",
    "port",
    "ports",
    "print",
    "property",
    "qcloud",
    "readiness",
    "gate",
    "requests",
    "rule",
    "rules",
    "ruleset",
    "scheme",
    "services",
    "sidecar",
    "strategy",
    "targets",
    "timeout",
    "trace",
    "true",
    "url",
    "uvicorn",
    "vantage",
    "version",
    "webhook",
    "http",
    "httpbin",
    "nginx",
    "realip",
    "docs",
    "cordon",
]


def is_chinese(text: str) -> None:
    """No piece of an English sentence is left: whatever plain word stands there is a name."""
    if not text:
        return
    rest = KEPT.sub("；", re.sub(r"\{\w+\}", "F", text))
    words = [word for word in re.findall(r"[a-z]{2,}", rest) if word not in NAMES]
    assert not words, f"{words} in {text}"


FACTS = {
    name: f"F{place}"
    for place, name in enumerate(
        sorted(
            {
                field
                for row in CODES.values()
                for text in (row.reason, row.fix)
                for field in fields(text)
            }
            | {field for text in WARNINGS.values() for field in fields(text)}
        )
    )
}


@pytest.mark.parametrize("number", CODES)
def test_a_statement_has_both_languages(number: str) -> None:
    statement = say(number, FACTS)
    assert str(statement.reason) == CODES[number].reason.format_map(FACTS).rstrip(".")
    for text in statement:
        is_chinese(chinese(text))
        for name in fields(CODES[number].reason):
            assert FACTS[name] in chinese(statement.reason)


def test_a_verdict_is_said_in_chinese() -> None:
    where = _verdict.Strategy("rightmost_trusted_count", trusted_count=1).where
    facts = {
        "address": "198.51.100.1:80",
        "answered": 10,
        "expected": "203.0.113.20",
        "where": where,
        "unanswered": "",
        "not_tested": joined("", [phrase("; {left}", left=phrase("vantage not checked"))]),
    }
    assert in_language(say("V001", facts).reason, "zh") == (
        "经 198.51.100.1:80 的全部 10 个应答的 X-Forwarded-For 最右侧一项都是 203.0.113.20；"
        "未核对探测位置"
    )
    assert in_language(say("V001", facts).reason, "en") == (
        "all 10 answers through 198.51.100.1:80 showed 203.0.113.20 as the rightmost "
        "X-Forwarded-For entry; vantage not checked"
    )


@pytest.mark.parametrize("number", CAUSES)
def test_a_finding_has_both_languages(number: str) -> None:
    row = CAUSES[number]
    texts = (row.cause, row.fix, row.see)
    facts = {name: "F" for text in texts for name in fields(text)}
    path = TrafficPath("shop", "Ingress", "front")
    found = in_language(finding(path, Seen(number, "Pod", "one", "E", facts)), "zh")
    for field in ("title", "cause"):
        assert CHINESE.search(found[field])
        is_chinese(found[field])
    english = in_language(finding(path, Seen(number, "Pod", "one", "E", facts)), "en")
    assert (found["fix"] == english["fix"]) == (row.fix_kind in (*TYPED, "none"))
    assert found["see"] == english["see"]
    assert not any(isinstance(value, Text) for value in found.values())


@pytest.mark.parametrize("code", [*CODES, *CAUSES, "E4009", "W1001"])
def test_explained_in_chinese(code: str) -> None:
    text = explain(code, "zh")
    assert CHINESE.search(text)
    for line in text.splitlines():
        assert columns(line) <= 98 or " " not in line.strip()
    assert explain(code) == explain(code, "en")


@pytest.mark.parametrize("row", test_checks.ROWS.values(), ids=test_checks.ROWS.keys())
def test_no_check_depends_on_what_a_verdict_says(row: test_checks.Row) -> None:
    way, other = test_checks.healthy(), test_checks.healthy()
    row.change(way)
    row.change(other)
    if other.get("probe"):
        other["probe"]["reason"] = "中文"
    told, same = (diagnose(TrafficPath(**one)) for one in (way, other))
    for field in ("code", "object", "severity", "hop", "fix", "fix_kind", "see", "title"):
        assert [one[field] for one in told] == [one[field] for one in same]


@pytest.mark.parametrize("row", test_checks.ROWS.values(), ids=test_checks.ROWS.keys())
def test_a_cause_that_is_found_is_said_in_chinese(row: test_checks.Row) -> None:
    way = test_checks.healthy()
    row.change(way)
    for found in diagnose(TrafficPath(**way)):
        said = in_language(found, "zh")
        for field in ("title", "cause", *(["fix"] if found["fix_kind"] == "console" else [])):
            assert CHINESE.search(said[field]), said[field]
        for field in ("code", "severity", "hop", "fix_kind", "see", "link"):
            assert said[field] == found[field]
        if found["fix_kind"] in TYPED:
            assert said["fix"] == found["fix"]


def test_what_tke_itself_says_stays() -> None:
    unknown = look_up("Ingress", Mention("E9999", "", None))
    assert chinese(unknown.cause) == "事件没有说明该错误码的含义。"
    assert chinese(look_up("Ingress", Mention("E9999", "odd", None)).cause) == "odd"


# --- The type -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "facts", "said"),
    [
        ("{name}: {host}{path} to {service}", {"name": "a"}, "a：任意域名/ 转发到 b"),
        ("from {name}: {reason}", {"name": "a", "reason": phrase("no address")}, "从 a：没有地址"),
    ],
)
def test_a_phrase_is_filled_in(template: str, facts: dict[str, object], said: str) -> None:
    more = {"host": phrase("any host"), "path": "/", "service": "b"}
    assert chinese(phrase(template, **{**more, **facts})) == said


def test_no_space_between_chinese_and_chinese() -> None:
    assert chinese(phrase("answered {texts}", texts=phrase("no address"))) == "应答为没有地址"
    assert chinese(phrase("answered {texts}", texts="x")) == "应答为 x"


def test_escaping_holds_in_both() -> None:
    hostile = "a\x1b[31m\u202e\u2028\\"
    for text in (
        say("V513", {**FACTS, "detail": phrase("answered {texts}", texts=hostile)}).reason,
        warn("unanswered", {**FACTS, "detail": hostile}),
        printable(phrase("answered {texts}", texts=hostile)),
    ):
        assert str(text).isprintable()
        assert chinese(text).isprintable()
    long = printable(phrase("answered {texts}", texts="x" * 900))
    assert (len(long), len(chinese(long))) == (400, 400)


def test_what_is_returned_is_plain() -> None:
    text = Text("one", "一")
    told = {"a": [text, 1, None], text: {"b": (text,)}}
    assert in_language(told, "zh") == {"a": ["一", 1, None], "一": {"b": ("一",)}}
    assert in_language(told, "en") == {"a": ["one", 1, None], "one": {"b": ("one",)}}
    assert not isinstance(in_language(text, "en"), Text)


# --- Columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("abc", 3), ("中文", 4), ("a，b", 4), ("e\u0301", 1), ("…", 1)]
)
def test_columns(text: str, width: int) -> None:
    assert columns(text) == width


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "  three"]),
        ("中文中文中文", ["中文中文", "  中文"]),
        # No line begins with what closes.
        ("中文中文，中文", ["中文中", "  文，中", "  文"]),
        ("（中文）中文", ["（中文）", "  中文"]),
        ("a-long-command-stays whole", ["a-long-command-stays", "  whole"]),
        ("中文 ab 中", ["中文 ab", "  中"]),
        ("", []),
    ],
)
def test_lines_are_wrapped_by_columns(text: str, lines: list[str]) -> None:
    assert wrapped(text, 8, "", "  ") == lines


def test_wrapping_loses_nothing() -> None:
    for texts in CODES_ZH.values():
        for text in texts:
            shown = wrapped(text, 40)
            assert "".join(shown).replace(" ", "") == text.replace(" ", "")
            assert all(columns(line) <= 40 or " " not in line for line in shown)


def test_a_text_is_cut_by_columns() -> None:
    assert cut("中文中文", 8) == "中文中文"
    assert cut("中文中文", 7) == "中文中…"


def test_the_page_fits_in_chinese() -> None:
    probe = {
        "verdict": "lost",
        "code": "V201",
        "reason": chinese(say("V201", FACTS).reason) * 3,
        "expected": ["203.0.113.20"],
        "expected_from": "given",
        "observed": {"10.255.0.12": 3, "none": 1},
        "targets": [],
        "backends": [{"name": None, "observed": {"none": 1}}],
        "forgery": {"X-Real-IP": "replaced"},
        "warnings_found": [chinese(warn("bypass", FACTS))],
        "fix": "在 Service 上设置 expected_source",
    }
    found = in_language(_summary.entry(probe, None, {}), "zh")
    then = [*_summary.following(), *_summary.translated({"awx_job_id": 7})]
    table = _summary.rows(found, probe, then)
    text = _summary.page("中文主机", found, table, "zh")
    assert all(columns(line) <= 98 for line in text.splitlines())
    for part in (
        "看到",
        "4 个中的 3 个",
        "预期",
        "（已指定）",
        "被替换",
        "real_ip_expected_source",
    ):
        assert part in text
    assert _diagnosis.in_language is in_language
