# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._report import (
    Unreadable,
    as_json,
    document,
    evidence,
    further,
    in_several,
    judged,
    merge,
    places,
    read,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._report_schema import (
    FORMAT,
    SCHEMA,
    mismatch,
    shaped,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import (
    by_verdict,
    refused,
    without_result,
)

RUN = {"playbook": "verify", "time": "2026-01-02T03:04:05+00:00", "versions": {"ansible": "2.20"}}
NOTHING: dict[str, t.Any] = {"probes": {}, "path": [], "findings": []}
CAUSE = {"code": "P206", "object": "Service a", "cause": "b", "fix": "c", "fix_kind": "command"}


def found(verdict: str, time: str = "2026-01-01T00:00:00+00:00", **more: t.Any) -> dict[str, t.Any]:
    return {
        "verdict": verdict,
        "code": "V001",
        "reason": f"{verdict} it is",
        "expected": ["203.0.113.10"],
        "expected_from": "given",
        "observed": {"203.0.113.10": 10},
        "address": ["198.51.100.1"],
        "by_verdict": {},
        "vantage": "outside",
        "time": time,
        "versions": {"kubernetes": None},
        "cause": None,
        **more,
    }


def made(**hosts: dict[str, t.Any]) -> dict[str, t.Any]:
    return document({host: (one, NOTHING) for host, one in hosts.items()}, RUN)


def results_of(one: dict[str, t.Any]) -> str:
    """The artifacts of an AWX job with one host."""
    return json.dumps({"real_ip_results": {"a": one}})


def test_a_document_has_the_worst_first_and_fits_its_schema() -> None:
    one = made(
        a=found("preserved"), b=found("not_run", cause=CAUSE), c=found("lost"), d=found("no_answer")
    )
    assert [*one["real_ip_results"]] == [*one["evidence"]] == ["d", "c", "b", "a"]
    assert mismatch(one) is None
    assert read(as_json(one), "x.json") == one


def test_places_are_vantage_points_or_the_host_itself() -> None:
    assert places(found("lost")) == {"": found("lost")}
    vantages = {"a": found("lost"), "b": found("preserved")}
    assert places(found("lost", vantages=vantages)) == vantages


def test_json_is_ascii_whatever_a_name_holds() -> None:
    text = as_json(made(**{"a\u202e\ud800\x1b": found("lost", reason="</script>\u2028")}))
    assert text.isascii()
    assert "\x1b" not in text
    assert [*json.loads(text)["real_ip_results"]] == ["a\u202e\ud800\x1b"]


PROBE = {
    "verdict": "lost",
    "reason": "r",
    "observed": {"192.0.2.1": 2},
    "backends": [{"name": "a", "headers": {"X-Real-IP": ["b"]}, "body": "secret"}],
    "safe_strategy": {"strategy": "peer"},
    "targets": [{"name": "n", "verdict": "untested", "timings": {"total": 1}}],
    "invocation": {"module_args": {"headers": {"Authorization": "secret"}}},
    "timings": {"total": {"min": 0.1}},
}
WAY = {
    "path": [{"hop": "client", "objects": [], "broken": False, "more": "secret"}],
    "findings": [dict.fromkeys(("code", "severity", "title", "token"), "secret")],
    "cause": {"code": "P206"},
    "logs": [{"pod": "a", "lines": ["secret"]}],
    "invocation": {"module_args": {"api_key": "secret"}},
}


def test_evidence_is_only_what_the_schema_names() -> None:
    told = evidence({"": {"skipped": True}, "x": PROBE, "y": {"msg": "unreachable"}}, WAY)
    assert [*told["probes"]] == ["x"]
    assert told["probes"]["x"] == {
        "verdict": "lost",
        "reason": "r",
        "observed": {"192.0.2.1": 2},
        "backends": [{"name": "a", "headers": {"X-Real-IP": ["b"]}}],
        "safe_strategy": {"strategy": "peer"},
        "targets": [{"name": "n", "verdict": "untested"}],
    }
    assert told["path"] == [{"hop": "client", "objects": [], "broken": False}]
    assert [*told["findings"][0]] == ["code", "severity", "title"]
    assert "logs" not in told
    assert evidence({}, None) == NOTHING


@pytest.mark.parametrize("other", ["peer", None])
def test_evidence_calls_no_strategy_safe_that_is_not_so_from_everywhere(other: str | None) -> None:
    there = {**PROBE, "code": "V101", "fix": None, "safe_strategy": other and {"strategy": other}}
    told = evidence({"office": {**there, "safe_strategy": {"strategy": "peer"}}, "x": there}, WAY)
    safe = {"strategy": "peer"} if other else None
    assert [one["safe_strategy"] for one in told["probes"].values()] == [safe, safe]


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (
            {},
            "No result: the host became unreachable, or a task failed that nothing could be said "
            "after. Next: see its own message above",
        ),
        ({"unreachable": True, "msg": "no\nroute"}, "The host was not reached: no route"),
        ({"failed": True, "msg": "Task failed: refused"}, "No result: refused"),
    ],
)
def test_a_host_that_said_nothing_is_a_row(failure: t.Any, reason: str) -> None:
    told = without_result(failure, {"time": "t", "versions": {}})
    assert (told["verdict"], told["reason"], told["code"]) == ("not_run", reason, None)
    assert mismatch(made(a=told)) is None


READ = [
    # what a file may hold beside a report
    {"real_ip_results": {"a": found("lost")}},
    {"id": 7, "artifacts": {"real_ip_results": {"a": found("lost")}}},
    {"real_ip_results": {"a": {"verdict": "not_run", "reason": ""}}, "other": 1},
]


@pytest.mark.parametrize("given", READ)
def test_an_artifact_is_a_document_without_evidence(given: t.Any) -> None:
    one = read(json.dumps(given), "artifacts.json")
    assert one["format"] == FORMAT
    assert one["evidence"] == {"a": NOTHING}
    assert mismatch(one) is None


REFUSED = [
    # text of a file, what the message says
    ("", "expected a report in JSON"),
    ("real_ip_results: {}", "expected a report in JSON"),
    ('{"real_ip_results": {"a": {"verdict": "lost", "reason": NaN}}}', "NaN is no JSON"),
    ("[" * 100000, "expected a report in JSON"),
    ("[]", "seen JSON without real_ip_results"),
    ("7", "seen JSON without real_ip_results"),
    ('{"artifacts": null}', "seen JSON without real_ip_results"),
    ('{"artifacts": {}}', "seen JSON without real_ip_results"),
    ('{"real_ip_results": {}}', "seen JSON without real_ip_results"),
    ('{"real_ip_results": [1]}', "real_ip_results: expected object, got [1]"),
    ('{"real_ip_results": {"a": 1}}', "real_ip_results.a: expected object"),
    (
        '{"real_ip_results": {"a": {"verdict": "good", "reason": ""}}}',
        "real_ip_results.a.verdict: expected no_answer, lost, mixed,",
    ),
    ('{"real_ip_results": {"a": {"verdict": ["lost"], "reason": ""}}}', "a.verdict: expected no_"),
    ('{"real_ip_results": {"a": {"verdict": "lost"}}}', "a: expected the member reason"),
    (
        '{"real_ip_results": {"a": {"verdict": "lost", "reason": "", "observed": {"x": true}}}}',
        "a.observed.x: expected integer",
    ),
    (
        '{"real_ip_results": {"a": {"verdict": "lost", "reason": "", "vantages": {"b": {}}}}}',
        "a.vantages.b: expected the member verdict",
    ),
    (
        '{"format": "kestrel.real_ip/report/2", "real_ip_results": {"a": {"verdict": "lost"}}}',
        "format: expected kestrel.real_ip/report/1, got",
    ),
    (
        '{"real_ip_results": {"a": {"verdict": "lost", "reason": ""}}, "evidence": []}',
        "evidence: expected object",
    ),
    (
        '{"real_ip_results": {"a": {"verdict": "lost", "reason": ""}, "a": {"verdict": ""}}}',
        "the member a stands twice in one object",
    ),
    # What was put together member by member is nobody's verdict.
    (
        results_of(found("preserved", vantages={"b": found("preserved"), "c": found("lost")})),
        "real_ip_results.a.verdict: expected lost, the worst in it, got preserved",
    ),
    (
        results_of(found("lost", vantages={"b": found("preserved")})),
        "real_ip_results.a.verdict: expected preserved, the worst in it, got lost",
    ),
    (
        results_of(found("preserved", verifications=[found("mixed"), found("preserved")])),
        "real_ip_results.a.verdict: expected mixed, the worst in it, got preserved",
    ),
    (
        results_of(found("lost", verifications=[found("lost", vantages={"b": found("mixed")})])),
        "real_ip_results.a.verdict: expected mixed, the worst in it, got lost",
    ),
    ('{"real_ip_results": {"\\u001b[1m": 1}}', "real_ip_results.\\x1b[1m: expected object"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_foreign_file_is_named_with_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(Unreadable) as error:
        read(text, "x.json")
    assert str(error.value).startswith("x.json: ")
    assert message in str(error.value)
    assert str(error.value).isprintable()


def test_merged_documents_have_all_hosts_the_worst_first() -> None:
    documents = {"1.json": made(a=found("preserved")), "2.json": made(b=found("mixed"))}
    one = merge(documents, {**RUN, "playbook": "merge_results"})
    assert [*one["real_ip_results"]] == ["b", "a"]
    assert one["run"]["merged"][0] == {
        "file": "1.json",
        "playbook": "verify",
        "time": RUN["time"],
    }
    assert mismatch(one) is None
    assert in_several(documents) == []


EARLY, LATE, LAST = (f"2026-01-0{day}T00:00:00+00:00" for day in (1, 2, 3))


@pytest.mark.parametrize(
    ("several", "verdict", "kept"),
    [
        # A good run takes nothing back of what another one showed, whichever was first.
        ([("lost", EARLY), ("preserved", LATE)], "lost", ["lost", "preserved"]),
        ([("preserved", LATE), ("lost", EARLY)], "lost", ["lost", "preserved"]),
        ([("preserved", EARLY), ("not_run", LATE)], "not_run", ["preserved", "not_run"]),
        ([("preserved", EARLY), ("preserved", LATE)], "preserved", ["preserved"] * 2),
        # The same run, from a report and from its artifact
        ([("lost", EARLY), ("lost", EARLY)], "lost", []),
    ],
)
def test_of_a_host_in_two_documents_the_worst_stays(
    several: list[tuple[str, str]], verdict: str, kept: list[str]
) -> None:
    documents = {
        f"{number}.json": document(
            {"a": (found(what, time), {**NOTHING, "findings": [{"code": what}]})}, RUN
        )
        for number, (what, time) in enumerate(several)
    }
    one = merge(documents, RUN)
    told = one["real_ip_results"]["a"]
    assert told["verdict"] == verdict
    assert [each["verdict"] for each in told.get("verifications", [])] == kept
    assert one["evidence"]["a"]["findings"] == [{"code": verdict}], "of the entry that stays"
    assert in_several(documents) == ["a"]


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("vantages", [(), ("office", "away")])
def test_what_one_of_several_documents_warns_of_is_told_of_all(
    vantages: tuple[str, ...], kept: bool
) -> None:
    documents = {}
    for name, time, warnings in (("1.json", EARLY, []), ("2.json", LATE, ["mind the gap"])):
        one = found("preserved", time, warnings_found=warnings, reason="well")
        probe = {"verdict": "preserved", "reason": "well", "warnings_found": warnings}
        several = {"vantages": dict.fromkeys(vantages, one)} if vantages else {}
        probes = dict.fromkeys(vantages or [""], probe) if kept else {}
        documents[name] = document({"a": ({**one, **several}, {**NOTHING, "probes": probes})}, RUN)
    merged = merge(documents, RUN)
    told = merged["real_ip_results"]["a"]
    assert told["warnings_found"] == [
        f"from {name}: mind the gap" if name else "mind the gap" for name in vantages or [""]
    ]
    assert {*places(told)} == {*(vantages or [""])}
    assert all(one["warnings_found"] == ["mind the gap"] for one in places(told).values())
    assert mismatch(merged) is None
    # Nothing of it is told of a second time.
    assert len([*judged([merged], "a")]) == 2
    assert merge({"again.json": merged}, RUN)["real_ip_results"] == merged["real_ip_results"]
    assert further(told, merged["evidence"]["a"]["probes"]) == told["warnings_found"]
    assert further(told, places(told)) == []


def _rows(verdicts: list[str]) -> list[dict[str, t.Any]]:
    return [{"verdict": one, "reason": f"{one} it is"} for one in verdicts]


def _old(one: dict[str, t.Any]) -> dict[str, t.Any]:
    """An entry as a release had it that told nothing of single addresses."""
    return {name: part for name, part in one.items() if name != "by_verdict"}


@pytest.mark.parametrize(
    ("verdicts", "accepted", "expected"),
    [
        (["no_answer", "preserved"], ["no_answer"], True),
        # The worst is accepted, and not another one, be it of another document or an address.
        (["no_answer", "lost"], ["no_answer"], False),
        (["no_answer", "lost"], ["no_answer", "lost"], True),
        (["no_answer", "untested"], ["no_answer"], True),
        (["lost"], ["lost"], True),
        (["preserved", "untested"], [], True),
    ],
)
def test_what_is_merged_is_accepted_in_each(
    verdicts: list[str], accepted: list[str], expected: bool
) -> None:
    good = {"preserved", *accepted}
    one = found(verdicts[0], by_verdict=by_verdict(_rows(verdicts)))
    probe = {"verdict": verdicts[0], "reason": "a", "targets": _rows(verdicts)}
    vantages = {"b": found("preserved"), "a": one}
    cases: dict[str, tuple[dict[str, t.Any], dict[str, t.Any]]] = {
        "published": (one, {}),
        "of a vantage point": ({**one, "vantages": vantages}, {}),
        "of an earlier verification": (
            {**one, "verifications": [one, found("preserved")]},
            {},
        ),
        "kept in the evidence": (_old(one), {"": probe}),
        "kept in that of a vantage point": (
            _old({**one, "vantages": {**vantages, "a": _old(one)}}),
            {"a": probe},
        ),
        "kept, of several verifications": (
            {**_old(one), "verifications": [_old(one), found("preserved")]},
            {"": probe},
        ),
    }
    apart = {f"{name}.json": made(a=found(name)) for name in verdicts if name != "untested"}
    several = {
        name: {"x.json": document({"a": (entry, {**NOTHING, "probes": probes})}, RUN)}
        for name, (entry, probes) in cases.items()
    }
    for name, documents in {
        **several,
        "apart": apart,
        "merged": {"again.json": merge(apart, RUN)},
        "merged artifacts": {"again.json": merge(several["published"], RUN)},
    }.items():
        read_again = {path: read(as_json(one), path) for path, one in documents.items()}
        told = [not refused(one, good) for one in judged(read_again.values(), "a")]
        assert all(told) is expected, name


@pytest.mark.parametrize(
    ("verdict", "accepted", "expected"),
    [
        ("preserved", [], True),
        # The worst of its addresses is known, and not what it hides.
        ("no_answer", ["no_answer"], False),
        ("no_answer", ["no_answer", "lost", "mixed", "forgeable", "unproven"], True),
        ("lost", ["lost", "no_answer"], False),
        ("unproven", ["unproven"], True),
        ("not_run", [], False),
    ],
)
def test_an_old_result_hides_what_it_does_not_tell(
    verdict: str, accepted: list[str], expected: bool
) -> None:
    good = {"preserved", *accepted}
    one = _old(found(verdict))
    vantages = {"b": _old(found("preserved")), "a": one}
    for entry in (one, _old({**one, "vantages": vantages})):
        kept = {"x.json": read(results_of(entry), "x.json")}
        for documents in (kept, {"again.json": merge(kept, RUN)}):
            told = [not refused(each, good) for each in judged(documents.values(), "a")]
            assert all(told) is expected


def test_an_address_that_is_worse_than_the_verdict_is_refused() -> None:
    """Put together member by member, a later run's verdict would stand over an earlier address."""
    worse = by_verdict(_rows(["preserved", "lost"]))
    for one in (found("preserved", by_verdict=worse), found("not_run", by_verdict=worse)):
        with pytest.raises(Unreadable, match=r"real_ip_results\.a\.verdict: expected lost"):
            read(results_of(one), "x.json")
    assert read(results_of(found("lost", by_verdict=worse)), "x.json")


def test_what_was_merged_can_be_merged_again() -> None:
    first = merge({"1": made(a=found("lost", EARLY)), "2": made(a=found("preserved", LATE))}, RUN)
    again = merge({"12": first, "3": made(a=found("mixed", LAST))}, RUN)
    told = again["real_ip_results"]["a"]
    assert [one["verdict"] for one in told["verifications"]] == ["lost", "preserved", "mixed"]
    assert told["verdict"] == "lost"
    assert mismatch(again) is None


def test_the_schema_names_every_definition_that_it_uses() -> None:
    used = {text.rpartition("/")[2] for text in json.dumps(SCHEMA).split('"') if "#/$defs/" in text}
    assert used == {*SCHEMA["$defs"]}
    assert shaped({"verdict": "lost", "vantages": {"b": {"x": 1}}}, "entry") == {
        "verdict": "lost",
        "vantages": {"b": {}},
    }
