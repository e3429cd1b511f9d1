# SPDX-License-Identifier: GPL-3.0-or-later
"""Each form of a report, read by what reads it elsewhere, with the worst that texts can hold."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import VERDICTS, visible
from ansible_collections.kestrel.real_ip.plugins.module_utils._report import (
    Unreadable,
    as_json,
    document,
    merge,
    read,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._report_schema import (
    SCHEMA,
    mismatch,
)
from ansible_collections.kestrel.real_ip.plugins.plugin_utils import _files as files
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._html import SIGNS, html
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._texts import (
    is_newer,
    junit,
    markdown,
    prometheus,
)
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._writers import (
    WRITERS,
    collected,
    stem,
    write_report,
)
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from prometheus_client.parser import text_string_to_metric_families

from lab.settings import REPOSITORY

#: What would end a line, a cell, a quote, a tag, a section or a run, or turn the text around
HOSTILE = [
    "<script>alert(1)</script>",
    "</title></style><img src=https://evil.example/x onerror=alert(1)>",
    "\" onmouseover='x' ' = &amp; &lt; <!-- ]]> <![CDATA[ -->",
    "a|b `code` ``two`` ```\nfence\n``` **bold** _it_ [x](https://evil.example) ![x](y) ~~s~~",
    "https://evil.example www.evil.example <https://evil.example> @everyone #12 $x$ \\",
    "`@a`#1`://@#www.@www.a@b.example \\`@",
    "line\r\nbreak\u2028\u2029\x85\x0b\x0c\ttab",
    "\x1b[31mred\x1b]0;title\x07 \x00\x08\x7f\x9b",
    "\u202eright to left\u2066\u200b\ufeff\ud800\ufffe\uffff",
    "{{ 7 * 7 }} {% raw %} {# x #} ${x} %(x)s %n",
    "中文 é 🎉",
    "x" * 3000,
]


def entry(verdict: str, text: str, **more: Any) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "code": "V201",
        "reason": text,
        "expected": [text],
        "expected_from": "given",
        "observed": {text: 3},
        "address": [text],
        "vantage": "outside",
        "time": "2026-01-02T03:04:05+00:00",
        "versions": {"kubernetes": text},
        "cause": None,
        **more,
    }


def evidence(text: str) -> dict[str, Any]:
    words = ("code", "severity", "title", "object", "hop", "evidence", "cause", "fix", "link")
    probe = {
        "verdict": "lost",
        "reason": text,
        "code": "V201",
        "fix": text,
        "warnings_found": [text],
        "expected": [text],
        "observed": {text: 1},
        "backends": [
            {
                "name": text,
                "node": text,
                "answers": 3,
                "observed": {text: 3},
                "peers": {text: 3},
                "headers": {text: [text, text]},
            },
            {"name": None},
        ],
        "forgery": {text: text},
        "safe_strategy": {text: text},
        "load_balancer_headers": [text],
        "bypass": [{"way": text, "address": text, "port": 1, "reachable": None}],
        "targets": [{"name": text, "verdict": "untested", "reason": text}] * 2,
        "coverage": text,
    }
    return {
        "probes": {"": probe, text: probe},
        "path": [
            {"hop": "client", "objects": [], "broken": False},
            {"hop": text, "objects": [text, ""], "broken": True},
            {"hop": "pod", "objects": [], "broken": False},
        ],
        "findings": [{**dict.fromkeys(words, text), "fix_kind": "command"}] * 2,
    }


def run(text: str) -> dict[str, Any]:
    return {"playbook": "verify", "time": "2026-01-02T03:04:05+00:00", "versions": {text: text}}


def worst(text: str) -> dict[str, Any]:
    """A document that has the text wherever one can stand."""
    cause = {**dict.fromkeys(("code", "object", "cause", "fix"), text), "fix_kind": "command"}
    console = {**cause, "fix_kind": "console"}
    hosts = {
        text: entry("lost", text, cause=cause),
        "vantages": entry(
            "mixed",
            text,
            cause=console,
            vantages={text: entry("mixed", text), "b": entry("not_run", text, code=None)},
            verifications=[entry("mixed", text), entry("preserved", text)],
        ),
        "none": {"verdict": "not_run", "reason": text},
        "good": entry("preserved", text),
    }
    told = {name: (one, evidence(text)) for name, one in hosts.items()}
    found = document(told, run(text))
    return {**found, "run": {**found["run"], "merged": [{"file": text, "time": text}]}}


@pytest.fixture(params=HOSTILE, ids=range(len(HOSTILE)))
def hostile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# --- JSON -----------------------------------------------------------------------------------------

VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_published_schema_is_the_one_that_is_used() -> None:
    published = json.loads((REPOSITORY / "docs" / "report.schema.json").read_text())
    assert published == SCHEMA, "write docs/report.schema.json anew from SCHEMA"
    jsonschema.Draft202012Validator.check_schema(published)


def test_json_fits_the_schema(hostile: str) -> None:
    found = worst(hostile)
    VALIDATOR.validate(found)
    again = read(as_json(found), "x")
    # Half of a surrogate pair is none that JSON can't carry.
    assert again == found
    VALIDATOR.validate(merge({"a": found, "b": again}, run(hostile)))


def broken(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The document with one part replaced, for each part."""
    parts = found.items() if isinstance(found, dict) else enumerate(found)
    for name, part in [*parts]:
        for other in (7, "text", None, {}):
            copy = dict(found) if isinstance(found, dict) else list(found)
            copy[name] = other
            yield (*path, name), copy
        if isinstance(part, (dict, list)):
            for place, changed in broken(part, (*path, name)):
                copy = dict(found) if isinstance(found, dict) else list(found)
                copy[name] = changed
                yield place, copy


def test_what_the_reader_refuses_is_what_the_schema_refuses() -> None:
    """The collection's own few lines say the same as a whole implementation, wherever it hurts."""
    seen = {True: 0, False: 0}
    for place, changed in broken(worst("x")):
        fits = VALIDATOR.is_valid(changed)
        assert (mismatch(changed) is None) is fits, (place, mismatch(changed))
        seen[fits] += 1
    assert min(seen.values()) > 300


# --- HTML -----------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, texts, and what isn't closed."""

    VOID = ("meta", "br", "line", "circle", "rect", "path")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "class", "id", "href", "scope"),
    *("data-label", "aria-hidden", "aria-label", "role", "viewbox"),
    *("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "width", "height", "d"),
}


def test_html_is_one_page_that_asks_nobody(hostile: str) -> None:
    text = html(worst(hostile))
    page = Page(text)
    assert page.open == []
    assert {tag for tag, _attributes in page.tags}.isdisjoint({"script", "img", "link", "iframe"})
    assert {name for _tag, attributes in page.tags for name in attributes} <= ATTRIBUTES
    targets = [own["href"] for _tag, own in page.tags if "href" in own]
    ids = [own["id"] for _tag, own in page.tags if "id" in own]
    assert targets == [f"#{one}" for one in ids]
    assert len({*ids}) == 4
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|src=", "".join(re.findall(r"<style>.*?</style>", text)))
    # All of it is there to read, and nothing that turns it around.
    assert visible(hostile) in page.texts
    assert all(char.isprintable() or char == "\n" for char in text)


def test_html_says_without_colours_what_it_says_with_them() -> None:
    assert {*SIGNS} == {*VERDICTS, "not_run"}
    assert len({*SIGNS.values()}) == len(SIGNS)
    page = Page(html(worst("x")))
    chips = [own["class"] for tag, own in page.tags if tag == "span" and "chip" in str(own)]
    assert "chip lost" in chips
    assert page.texts.count("lost") > 1
    assert "x: broken here" in page.texts


def test_html_says_no_verdict_that_a_later_step_has_taken_back() -> None:
    """As where something answered as the echo app although no pod of it is ready."""
    told = {"verdict": "preserved", "code": "V001", "reason": "all well"}
    addresses = [{**told, "name": name} for name in ("lb", "lb2")]
    advice = {"backends": [{"name": None}], "safe_strategy": {"strategy": "peer"}}
    probe = {**told, **advice, "targets": addresses}
    rests_on = {"probes": {"": probe}, "path": [], "findings": []}
    refused = document({"a": (entry("not_run", "refused"), rests_on)}, run("x"))
    assert not re.search(r">\s*(V001 )?preserved", html(refused))
    assert not re.search(r"preserved V001|must use", html(refused))
    good = document({"a": (entry("preserved", "well"), rests_on)}, run("x"))
    assert re.search(r"V001 preserved, ", html(good))
    assert html(good).count("preserved V001: all well") == len(addresses)
    assert "must use" in html(good)


def test_html_folds_the_evidence_and_prints_it() -> None:
    text = html(worst("x"))
    assert text.count("<details>") == text.count("<summary>") > 4
    assert "details::details-content { content-visibility: visible" in text
    assert "prefers-color-scheme: dark" in text


def test_what_a_verdict_does_not_speak_of_is_not_folded() -> None:
    told = {"verdict": "preserved", "reason": "well", "warnings_found": ["mind the gap"]}
    rests_on: dict[str, Any] = {"probes": {"": told}, "path": [], "findings": []}
    found = document({"a": (entry("preserved", "well"), rests_on)}, run("x"))
    open_parts = re.sub(r"<details>.*?</details>", "", html(found), flags=re.DOTALL)
    assert open_parts.count("mind the gap") == 1
    assert html(found).count("mind the gap") == 1
    assert markdown(found).count("**a**, warning: mind the gap") == 1
    rests_on["probes"] = {"v1": told, "v2": told}
    found = document({"a": (entry("preserved", "well"), rests_on)}, run("x"))
    assert html(found).count("from v1:</b> mind the gap") == 1
    assert markdown(found).count("mind the gap") == 1
    assert "arning:" not in markdown(document({"a": (entry("preserved", "well"), {})}, run("x")))


# --- JUnit ----------------------------------------------------------------------------------------


def test_junit_is_read_by_a_parser(hostile: str) -> None:
    suites = [*JUnitXml.fromstring(junit(worst(hostile)).encode())]
    told = {str(suite.name): suite for suite in suites}
    assert [*told] == [visible(hostile), "vantages", "none", "good"]
    counts = [(suite.tests, suite.failures, suite.errors) for suite in suites]
    assert counts == [(1, 1, 0), (2, 1, 1), (1, 0, 1), (1, 0, 0)]
    for suite in suites:
        cases = [*suite]
        assert len(cases) == suite.tests
        assert sum(len(case.result) for case in cases) == suite.failures + suite.errors
    [case] = told[visible(hostile)]
    [bad] = case.result
    assert bad.message == f"lost: {visible(hostile)}"
    assert bad.type == "lost V201"
    assert bad.text.splitlines()[0] == visible(hostile)
    assert told["good"].timestamp == "2026-01-02T03:04:05"


@pytest.mark.parametrize("verdict", ["preserved", "lost", "not_run"])
def test_what_a_verdict_does_not_speak_of_is_in_the_xml_and_the_metrics(verdict: str) -> None:
    reason = "all well; forgery not tested (forge is false)"
    kept = {**entry(verdict, reason), "warnings_found": ["mind the gap", "and the doors"]}
    [suite] = JUnitXml.fromstring(junit(document({"a": (kept, {})}, run("x"))).encode())
    [case] = suite
    told = str(case.system_out).splitlines()
    assert told[-2:] == ["warning: mind the gap", "warning: and the doors"]
    assert told[:-2] == [reason] * (verdict == "preserved")
    metrics = prometheus("a", kept)
    assert 'real_ip_warnings{cluster="a"} 2\n' in metrics
    assert 'real_ip_reservation_info{cluster="a",reservation="forgery not tested"} 1\n' in metrics
    none = prometheus("a", entry(verdict, "all well"))
    assert 'real_ip_warnings{cluster="a"} 0\n' in none
    assert "reservation" not in none


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("vantages", [(), ("v1", "v2")])
def test_each_form_tells_what_one_of_several_documents_warns_of(
    vantages: tuple[str, ...], kept: bool
) -> None:
    """Also where these are artifacts of AWX, of which no evidence was kept."""
    documents = {}
    for day, warnings in ((2, []), (3, ["mind the gap"])):
        one = entry("preserved", "well", time=f"2026-01-0{day}", warnings_found=warnings)
        told = {**one, "vantages": dict.fromkeys(vantages, one)} if vantages else one
        probe = {"verdict": "preserved", "reason": "well", "warnings_found": warnings}
        probes = dict.fromkeys(vantages or [""], probe) if kept else {}
        rests_on = {"probes": probes, "path": [], "findings": []}
        documents[str(day)] = document({"a": (told, rests_on)}, run("x"))
    merged = merge(documents, run("x"))
    times = len(vantages) or 1
    assert html(merged).count("mind the gap") == times
    assert markdown(merged).count("**a**, warning: ") == times
    [suite] = JUnitXml.fromstring(junit(merged).encode())
    assert [str(case.system_out).count("warning: mind the gap") for case in suite] == [1] * times
    metrics = prometheus("a", merged["real_ip_results"]["a"])
    assert f'real_ip_warnings{{cluster="a"}} {times}\n' in metrics
    none = merge({"1": documents["2"], "2": documents["2"]}, run("x"))
    assert "arning:" not in html(none) + markdown(none) + junit(none)


# --- Markdown -------------------------------------------------------------------------------------


def test_markdown_is_a_table_and_nothing_that_others_wrote(hostile: str) -> None:
    text = markdown(worst(hostile))
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    kinds = {token.type for token in tokens} | {
        child.type for token in tokens for child in token.children or ()
    }
    assert kinds.isdisjoint({"html_block", "html_inline", "link_open", "image", "s_open"})
    bodies = [token for token in tokens if token.type == "tr_open"]
    assert len(bodies) == 5, "a head, and a row for each cluster"
    cells = [token for token in tokens if token.type == "td_open"]
    assert len(cells) == 4 * 5
    inlines = ["".join(child.content for child in token.children or ()) for token in tokens]
    assert f"V201 {visible(hostile)}".rstrip() in inlines
    fences = [token.content for token in tokens if token.type == "fence"]
    assert fences == [f"{visible(hostile)}\n"]
    # What names, issues and links are looked for in, in what was made of the text
    texts = [child for token in tokens for child in token.children or () if child.type == "text"]
    assert not re.search(r"@|#|://|www[.]", "\n".join(child.content for child in texts))


# --- Prometheus -----------------------------------------------------------------------------------


def test_prometheus_reads_what_is_collected(hostile: str) -> None:
    found = worst(hostile)
    for host, one in found["real_ip_results"].items():
        families = {
            family.name: family.samples
            for family in text_string_to_metric_families(prometheus(host, one))
        }
        states = families["real_ip_verdict"]
        assert [s.labels["verdict"] for s in states if s.value == 1] == [one["verdict"]]
        assert len(states) == len(VERDICTS) + 1
        assert {s.labels["cluster"] for s in states} == {visible(host)}
        [info] = families["real_ip_code_info"]
        assert info.labels["cause"] == visible((one.get("cause") or {}).get("code", ""))
        points = families.get("real_ip_vantage_verdict", [])
        assert {s.labels["vantage"] for s in points} == {
            visible(v) for v in one.get("vantages", ())
        }
        if "time" in one:
            [when] = families["real_ip_last_run_timestamp_seconds"]
            assert when.value == 1767323045


def test_each_cluster_has_a_file_of_its_own(hostile: str, tmp_path: Path) -> None:
    names = [collected(host) for host in (hostile, f"{hostile}b", "..", "a/../b", "")]
    assert len({*names}) == 5
    for name in names:
        assert re.fullmatch(r"real_ip-[\w.~%\\-]*\.prom", name, re.ASCII), name
        files.write(tmp_path, name, "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_metrics_of_a_later_run_stay(tmp_path: Path) -> None:
    """Documents that are merged can be of yesterday, and what is bad today isn't theirs to mend."""
    late, early, none = (
        {**entry("lost", "r"), "time": f"2026-01-02T03:04:{second}+00:00"}
        for second in ("07", "05", "x")
    )
    text = prometheus("a", late)
    assert [is_newer(text, one) for one in (late, early, none)] == [False, True, False]
    assert [is_newer(one, early) for one in ("", "garbage")] == [False, False]
    for one, stays in ((late, True), (early, True), (late, True)):
        made = {**worst(""), "real_ip_results": {"a": one}, "evidence": {"a": evidence("")}}
        write_report(made, tmp_path)
        assert ((tmp_path / collected("a")).read_text() == text) is stays


@pytest.mark.parametrize(
    ("facts", "replaced"),
    [
        ({}, True),
        ({"merged": [{"file": "x", "time": "2026-01-02T03:04:05+00:00"}]}, False),
    ],
)
def test_metrics_of_a_clock_that_was_ahead_are_replaced_by_the_next_run(
    tmp_path: Path, facts: dict[str, Any], replaced: bool
) -> None:
    """What is merged may be of before, and what a run has just seen is not."""
    for told, time, more in (("preserved", "2027", {}), ("lost", "2026", facts)):
        one = entry(told, "r", time=f"{time}-01-02T03:04:05+00:00")
        write_report(document({"a": (one, evidence(""))}, {**run(""), **more}), tmp_path)
    text = (tmp_path / collected("a")).read_text()
    assert ('verdict="lost"} 1' in text) is replaced, text


DIAGNOSED = {"diagnosed": True, "code": None}
CAUSE = {**dict.fromkeys(("code", "object", "cause", "fix"), "x"), "fix_kind": "command"}


@pytest.mark.parametrize(
    ("playbook", "own", "replaced"),
    [
        ("verify", {}, True),
        ("site", DIAGNOSED, False),
        ("diagnose", DIAGNOSED, False),
        ("diagnose", {**DIAGNOSED, "cause": CAUSE}, False),
        # It has failed, which says nothing of the verdict either.
        ("diagnose", {}, False),
    ],
)
def test_a_diagnosis_takes_no_metrics_back(
    tmp_path: Path, playbook: str, own: dict[str, Any], replaced: bool
) -> None:
    good = entry("preserved", "r", time="2026-01-02T03:04:05+00:00")
    write_report(document({"a": (good, evidence(""))}, run("")), tmp_path)
    kept = (tmp_path / collected("a")).read_text()
    later = entry("not_run", "r", time="2026-01-02T03:04:09+00:00", **own)
    told = {"a": (later, evidence("")), "new": (later, evidence(""))}
    _name, names = write_report(document(told, {**run(""), "playbook": playbook}), tmp_path)
    assert ((tmp_path / collected("a")).read_text() != kept) is replaced
    assert (tmp_path / collected("new")).exists() is replaced
    assert (collected("a") in names) is replaced


@pytest.mark.parametrize(
    ("own", "tag"),
    [
        ({}, "error"),
        (DIAGNOSED, "skipped"),
        # Somebody has to look at it.
        ({**DIAGNOSED, "cause": CAUSE}, "error"),
    ],
)
def test_a_diagnosis_without_a_cause_is_no_error(own: dict[str, Any], tag: str) -> None:
    one = entry("not_run", "nothing is wrong with the way", **own)
    [suite] = JUnitXml.fromstring(junit(document({"a": (one, {})}, run("x"))).encode())
    assert {"error": suite.errors, "skipped": suite.skipped, "failure": suite.failures} == {
        **dict.fromkeys(("error", "skipped", "failure"), 0),
        tag: 1,
    }
    [case] = suite
    [told] = case.result
    assert told._tag == tag
    assert "nothing is wrong with the way" in told.message


# --- Files ----------------------------------------------------------------------------------------


def test_a_report_is_written_at_once_and_overwrites_no_other(hostile: str, tmp_path: Path) -> None:
    place = tmp_path / "made" / "for it"
    common, names = write_report(worst(hostile), place)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    assert sorted(before) == sorted(names)
    assert common.endswith(".{json,html,md,xml}")
    assert re.match(r"20260102T030405Z-verify-[0-9a-f]{8}\.json", names[0])
    assert {stat.S_IMODE(path.stat().st_mode) & ~0o644 for path in place.iterdir()} == {0}
    _common, again = write_report(worst(hostile), place)
    assert {*again} & {*names} == {name for name in names if name.endswith(".prom")}
    for name, content in before.items():
        assert (place / name).read_bytes() == content
    assert len([*place.iterdir()]) == len(names) + len(WRITERS)


def test_names_sort_by_time() -> None:
    runs = [{**run(""), "time": f"2026-{month:02}-02T03:04:05+00:00"} for month in (9, 10, 11)]
    names = [stem({"run": one}) for one in runs]
    assert sorted(names) == names


def test_what_can_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        files.write(tmp_path, "taken", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("", None),
        ("made", None),
        ("made/deep/down", None),
        ("file", "file is none"),
        ("file/below", "file is none"),
        ("nowhere", "nowhere is none"),
    ],
)
def test_a_directory_is_looked_at_before_anything_is_sent(
    tmp_path: Path, place: str, words: str | None
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    why = files.unusable(str(tmp_path / place))
    assert why is None if words is None else words in str(why)
    assert not (tmp_path / "made").exists()


def test_a_path_is_relative_to_where_ansible_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/operator")
    assert files.located("~/x") == Path("/home/operator/x")
    assert files.located("x/../y") == Path(os.getcwd()) / "y"


def test_a_path_is_told_from_the_contents_of_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own").write_text("apiVersion: v1")
    assert all(map(files.is_file, (str(tmp_path / "own"), "~/own")))
    others = (str(tmp_path), "~/gone", "", "apiVersion: v1\n", "a" * 9000, "\0", {"a": 1}, None)
    assert not any(map(files.is_file, others))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"\xff\xfe", "expected text in UTF-8"),
        (b"", "expected a report in JSON"),
        (b"[]", "seen JSON without real_ip_results"),
    ],
)
def test_a_file_that_holds_no_document_is_named(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Unreadable) as error:
        files.document(str(path))
    assert str(error.value).startswith(f"{path}: ")
    assert words in str(error.value)
    with pytest.raises(Unreadable, match="Is a directory"):
        files.document(str(tmp_path))
