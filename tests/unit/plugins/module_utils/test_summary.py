# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    RESERVATIONS,
    reservations,
    with_reservations,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    chinese,
    phrase,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import (
    address_of,
    after_changes,
    before_changes,
    chosen,
    combined,
    diagnosed,
    done_before,
    earlier_row,
    entry,
    everywhere,
    following,
    left_out,
    likewise,
    line,
    over_all,
    page,
    refused,
    rows,
    running,
    to_diagnose,
    to_repeat,
    told_apart,
    translated,
    typed,
    vantage_entry,
    with_cause,
    with_playbooks,
    with_variables,
    worst,
)

PROBE: dict[str, t.Any] = {
    "verdict": "lost",
    "code": "V201",
    "reason": "all 10 answers showed 10.255.0.12,\n a node's",
    "fix": "Set expected_source to the client's address",
    "expected": ["203.0.113.10"],
    "expected_from": "given",
    "observed": {"10.255.0.12": 10},
    "targets": [
        {"name": "198.51.100.1", "verdict": "untested", "code": "V601", "reason": "no route"}
    ],
    "declared": [{"layer": "l4", "strategy": "peer"}],
    "warnings_found": ["X-Real-IP differs"],
    "backends": [{"name": "pod-a", "observed": {"10.255.0.12": 10}}],
}
FACTS = {"time": "2026-01-01T00:00:00+00:00", "versions": {}}
APPLIED = [
    {"kind": "Namespace", "name": "shop", "action": "kept"},
    {"kind": "Deployment", "name": "real-ip-deployment", "action": "unchanged"},
    {"kind": "Service", "name": "real-ip-service", "action": "created"},
    {"kind": "Ingress", "name": "real-ip-ingress", "action": "absent"},
]
FAILURE = {"task": "Apply the Ingress", "msg": "quota\n  exceeded"}


@pytest.mark.parametrize(
    ("probe", "failure", "verdict", "code", "words"),
    [
        (PROBE, None, "lost", "V201", "a node's"),
        (PROBE, FAILURE, "not_run", None, "Apply the Ingress: quota exceeded"),
        ({"skipped": True}, None, "not_run", None, "Check mode"),
        (None, None, "not_run", None, "Check mode"),
    ],
)
def test_entry(probe: t.Any, failure: t.Any, verdict: str, code: str | None, words: str) -> None:
    found = entry(probe, failure, FACTS)
    assert found["verdict"] == verdict
    assert found["code"] == code
    assert words in found["reason"]
    assert "\n" not in found["reason"]
    assert found["time"] == FACTS["time"]
    assert found["declared"] == (PROBE["declared"] if found["verdict"] == "lost" else [])


def test_line_has_a_dash_for_a_missing_code() -> None:
    assert line("a", entry(PROBE, None, FACTS)).startswith("real_ip: a lost V201 all 10")
    assert line("a", entry(None, FAILURE, FACTS)).startswith("real_ip: a not_run - Apply")


def test_the_line_counts_the_warnings_that_stand_elsewhere() -> None:
    """Among many, it may be all that is said of a host that is well."""
    well = entry({**GOOD, "warnings_found": ["one", "other"]}, None, FACTS)
    assert line("a", well).endswith("; warnings: 2")
    assert chinese(line("a", well)).endswith("；警告：2")
    quiet = entry({**GOOD, "warnings_found": []}, None, FACTS)
    for told in (quiet, entry(PROBE, None, FACTS)):
        assert line("a", told).endswith(told["reason"])


def test_no_vantage_point_hides_the_warning_of_another() -> None:
    results = {
        "a": {**GOOD, "warnings_found": ["both", "one"]},
        "b": {**GOOD, "warnings_found": ["both", "other"]},
        "c": REFUSED,
    }
    found = _combined(results)
    # Of "c" nothing is known, which makes it the worst.
    told = ["from a: both", "from a: one", "from b: both", "from b: other"]
    assert found["warnings_found"] == told
    told_of_two = _combined({name: results[name] for name in "ab"})["warnings_found"]
    assert told_of_two == ["both", "one", "from b: other"]
    shown = [text for label, text in rows(found, {}, []) if label == "warning"]
    assert shown == told


def test_page_fits_a_terminal_and_says_all() -> None:
    result = entry({**PROBE, "reason": "words " * 60}, None, FACTS)
    told = page("localhost", result, rows(result, PROBE, [*running(APPLIED), *following()]))
    assert with_playbooks(told, "kestrel.real_ip.") == told
    text = with_playbooks(told, "playbooks/")
    lines = text.splitlines()
    assert lines[0] == "localhost: LOST (V201)"
    assert max(map(len, lines)) <= 100
    labels = [one.split()[0] for one in lines[1:] if not one.startswith("    ")]
    assert labels == [
        "seen",
        "expected",
        "address",
        "backend",
        "reason",
        "also",
        "warning",
        "fix",
        "running",
        "again",
        "remove",
    ]
    assert "10.255.0.12 (10 of 10)" in text
    assert "ansible-playbook playbooks/teardown.yml" in text
    assert "kestrel.real_ip." not in text


@pytest.mark.parametrize(
    ("probe", "actions", "told"),
    [
        (PROBE, "unchanged absent kept", False),
        (PROBE, "", False),
        (PROBE, "unchanged changed", True),
        (PROBE, "deleted", True),
        (PROBE, "created", True),
        # Nothing was probed, so that there is nothing to be mistaken about.
        (None, "created", False),
    ],
)
def test_check_mode_says_that_its_verdict_is_of_what_was_there_before(
    probe: t.Any, actions: str, told: bool
) -> None:
    applied = [{"action": action} for action in actions.split()]
    before = entry(probe, None, FACTS)
    found = before_changes(before, applied)
    assert ("; check mode: of what is there now" in found["reason"]) is told
    assert {**found, "reason": ""} == {**before, "reason": ""}


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (before_changes, "probed in check mode"),
        (after_changes, "probed by a run that had just changed what is in front"),
    ],
)
def test_what_an_entry_says_of_its_run_is_found_in_either_language(made: t.Any, told: str) -> None:
    applied = [{"kind": "Service", "name": "x", "action": "changed"}]
    reason = made(entry(PROBE, None, FACTS), applied)["reason"]
    for text in (reason, chinese(reason)):
        assert reservations(text) == [told]
    assert chinese(reason) != reason


@pytest.mark.parametrize(
    ("probe", "actions", "told"),
    [
        (PROBE, {"Deployment": "changed", "Service": "unchanged"}, ""),
        # What was made has done nothing else before.
        (PROBE, {"Service": "created", "Ingress": "created"}, ""),
        (PROBE, {"Service": "changed", "Ingress": "unchanged"}, "Service x"),
        (PROBE, {"Service": "adopted", "Ingress": "changed"}, "Service x, Ingress x"),
        (None, {"Service": "changed"}, ""),
    ],
)
def test_a_load_balancer_may_not_follow_yet_what_a_run_has_changed(
    probe: t.Any, actions: dict[str, str], told: str
) -> None:
    applied = [{"kind": kind, "name": "x", "action": one} for kind, one in actions.items()]
    before = entry(probe, None, FACTS)
    found = after_changes(before, applied)
    said = f"; this run has changed {told}, and what is in front may not follow yet: verify again"
    assert found["reason"] == before["reason"] + (said if told else "")
    assert {**found, "reason": ""} == {**before, "reason": ""}


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("set", True),
        ("restored", True),
        ("kept", False),
        ("respected", False),
        ("unchanged", False),
    ],
)
def test_nor_may_it_follow_yet_the_switches_that_a_run_has_changed(action: str, told: bool) -> None:
    switches = [{"switch": "x", "action": action}]
    # In check mode they stay as they are, and the verdict is of that.
    before = before_changes(entry(PROBE, None, FACTS), [], switches)
    assert ("check mode: of what is there now" in before["reason"]) is told
    found = after_changes(entry(PROBE, None, FACTS), [], switches)
    said = "this run has changed ConfigMap tke-service-controller-config, and what is in front"
    assert (said in found["reason"]) is told


@pytest.mark.parametrize(
    ("applied", "told"),
    [
        (APPLIED, "Deployment real-ip-deployment, Service real-ip-service in the namespace shop"),
        (APPLIED[2:3], "Service real-ip-service"),
        (APPLIED[:1], None),
        ([], None),
    ],
)
def test_what_is_left_running(applied: list[t.Any], told: str | None) -> None:
    assert running(applied) == ([("running", told)] if told else [])


def test_what_a_run_removes_itself_needs_no_command() -> None:
    ((label, text),) = following(ephemeral=True)
    assert label == "then"
    assert "removed by this run" in text


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({}, ""),
        ({"real_ip_expected_source": "2001:db8::a"}, " -e real_ip_expected_source=2001:db8::a"),
        (
            {"real_ip_host": "a.example", "real_ip_namespace": "shop"},
            " -e real_ip_namespace=shop -e real_ip_host=a.example",
        ),
        ({"real_ip_samples": 20}, """ -e '{"real_ip_samples": 20}'"""),
        ({"real_ip_path": "/a b"}, """ -e '{"real_ip_path": "/a b"}'"""),
        ({"real_ip_path": "/$(id)"}, """ -e '{"real_ip_path": "/$(id)"}'"""),
        ({"real_ip_path": "/it's"}, """ -e '{"real_ip_path": "/it'"'"'s"}'"""),
        ({"real_ip_path": "\x1b[2J"}, """ -e '{"real_ip_path": "\\u001b[2J"}'"""),
        ({"real_ip_accept": ["lost"]}, """ -e '{"real_ip_accept": ["lost"]}'"""),
        # Neither secrets nor what is somebody else's.
        ({"shop_password": "s3cret"}, ""),
        (
            {"real_ip_api_host": "https://a.example", "real_ip_api_key": "s3cret"},
            " -e real_ip_api_host=https://a.example -e real_ip_api_key=…",
        ),
        # Without it, another cluster would be asked, or removed from.
        ({"real_ip_kubeconfig": "/there/a.yml"}, " -e real_ip_kubeconfig=/there/a.yml"),
        ({"real_ip_kubeconfig": "/there/a b"}, """ -e '{"real_ip_kubeconfig": "/there/a b"}'"""),
        ({"real_ip_kubeconfig": "/gone"}, " -e real_ip_kubeconfig=…"),
        ({"real_ip_kubeconfig": "YXBpVmVyc2lvbjogdjEK"}, " -e real_ip_kubeconfig=…"),
        ({"real_ip_kubeconfig": {"users": ["s3cret"]}}, " -e real_ip_kubeconfig=…"),
        ({"real_ip_api_key": "/there/a.yml"}, " -e real_ip_api_key=…"),
        # Empty, they take the inventory's place.
        ({"real_ip_api_key": ""}, """ -e '{"real_ip_api_key": ""}'"""),
    ],
)
def test_the_next_command_has_the_same_variables(variables: dict[str, t.Any], options: str) -> None:
    assert typed(variables, lambda value: str(value).startswith("/there")) == options
    again, remove = following(options=options)
    assert again == ("again", f"ansible-playbook kestrel.real_ip.verify{options}")
    assert remove == ("remove", f"ansible-playbook kestrel.real_ip.teardown{options}")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, []),
        ({"inventory_hostname": "shop", "real_ip_namespace": "awx_job_id"}, []),
        ({"awx_job_id": 7, "tower_job_id": 7}, ["awx"]),
    ],
)
def test_a_job_of_awx_has_no_commands_to_type(variables: dict[str, t.Any], told: list[str]) -> None:
    assert [label for label, __ in translated(variables)] == told


def shown(verdict: str, code: str, name: str = "198.51.100.1") -> dict[str, str]:
    return {"name": name, "verdict": verdict, "code": code, "reason": f"{name} showed this"}


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        ([shown("lost", "V201")], []),
        ([shown("lost", "V201"), shown("preserved", "V001", "a")], []),
        # It is named among the addresses, and was not tried.
        ([shown("lost", "V201"), shown("untested", "V601", "a")], ["V601: a showed this"]),
        ([shown("lost", "V201"), shown("lost", "V206", "a")], []),
        ([shown("lost", "V201"), shown("forgeable", "V101", "a")], ["V101: a showed this"]),
        ([shown("unproven", "V402", "b"), shown("lost", "V201")], ["V402: b showed this"]),
    ],
)
def test_page_says_what_other_addresses_show(targets: list[t.Any], told: list[str]) -> None:
    probe = {**PROBE, "targets": targets}
    result = entry(probe, None, FACTS)
    table = rows(result, probe, [])
    assert [text.partition(" ")[2] for label, text in table if label == "also"] == told
    assert result["address"] == list(dict.fromkeys(one["name"] for one in targets))


def test_page_says_only_so_much_of_other_addresses() -> None:
    others = [shown("lost", "V201", str(number)) for number in range(9)]
    probe = {**PROBE, "verdict": "no_answer", "targets": others}
    told = [text for label, text in rows(entry(probe, None, FACTS), probe, []) if label == "also"]
    assert told[-1] == "4 more"
    assert len(told) == 6


CAUSE = {
    "code": "P206",
    "severity": "error",
    "title": "the Service's selector matches no pod",
    "object": "Service echo",
    "hop": "service",
    "evidence": "spec.selector: app=no, 0 pods",
    "cause": "No pod carries the labels",
    "fix": "kubectl -n shop patch service echo --type=json -p '" + "x" * 100 + "'",
    "fix_kind": "command",
}
OTHER = {**CAUSE, "code": "P209", "title": "no endpoint is ready", "evidence": "none"}
WAY = {
    "path": [
        {"hop": "client", "objects": [], "broken": False},
        {"hop": "service", "objects": ["echo: NodePort, 80 to 5000"], "broken": True},
        {"hop": "pod", "objects": [], "broken": False},
    ],
    "findings": [CAUSE, OTHER],
    "cause": CAUSE,
    "logs": [{"pod": "echo-a", "container": "app", "lines": ["boom"]}],
}
HEALTHY: dict[str, t.Any] = {**WAY, "findings": [], "cause": None, "logs": []}


def test_page_names_the_cause_and_what_to_type() -> None:
    result = with_cause(entry(PROBE, None, FACTS), WAY)
    text = page("localhost", result, rows(result, PROBE, [], WAY))
    lines = text.splitlines()
    assert f"  type     {CAUSE['fix']}" in lines, "whole, however long"
    assert "           X service  echo: NodePort, 80 to 5000" in lines
    assert "           | pod      none" in lines
    assert "  cause    P206 Service echo: No pod carries the labels" in lines
    assert "  also     P209 Service echo: no endpoint is ready (none)" in lines
    assert "           | boom" in lines
    assert not any(line.startswith("  fix ") for line in lines), "the verdict's own would mislead"
    many = {**WAY, "findings": [CAUSE, *[OTHER] * 9]}
    told = page("localhost", result, rows(result, PROBE, [], many))
    assert "  also     4 more" in told.splitlines()


def test_the_result_has_the_cause_without_evidence_and_logs() -> None:
    found = with_cause(entry(PROBE, None, FACTS), WAY)
    assert found["code"] == "V201", "the verdict's"
    assert {*found["cause"]} == {"code", "object", "cause", "fix", "fix_kind"}
    assert "boom" not in str(found)
    assert CAUSE["evidence"] not in str(found)
    assert with_cause(entry(None, FAILURE, FACTS), WAY)["code"] == "P206"
    for nothing in (None, HEALTHY):
        assert with_cause(entry(PROBE, None, FACTS), nothing)["cause"] is None


def test_a_diagnosis_draws_no_verdict() -> None:
    found = with_cause(diagnosed(WAY, FACTS), WAY)
    assert (found["verdict"], found["code"]) == ("not_run", "P206")
    assert line("a", found).startswith("real_ip: a not_run P206 Service echo: No pod carries")
    text = page("a", found, rows(found, PROBE, [], WAY))
    assert text.startswith("a: CAUSE P206\n  probe    lost V201: ")
    fine = with_cause(diagnosed(HEALTHY, FACTS, {"verdict": "preserved"}), HEALTHY)
    assert page("a", fine, rows(fine, {}, [], HEALTHY)).startswith("a: NOTHING WRONG\n")
    assert line("a", fine).startswith("real_ip: a not_run - nothing is wrong with the way")


@pytest.mark.parametrize("probe", [{}, {"skipped": True}, PROBE, {**PROBE, "verdict": "unproven"}])
def test_what_no_app_told_is_not_called_well(probe: dict[str, t.Any]) -> None:
    """As of an application that is no echo app, or without an expected address."""
    found = with_cause(diagnosed(HEALTHY, FACTS, probe), HEALTHY)
    assert page("a", found, rows(found, {}, [], HEALTHY)).startswith("a: NO CAUSE FOUND\n")
    assert "it is not shown that the client's address arrives" in line("a", found)


def test_a_diagnosis_never_says_preserved() -> None:
    good = {**PROBE, "verdict": "preserved", "code": "V001", "reason": "all 9 answers showed it"}
    found = with_cause(diagnosed(HEALTHY, FACTS, good), HEALTHY)
    text = page("a", found, rows(found, good, [], HEALTHY))
    assert text.startswith("a: NOTHING WRONG\n  probe    all 9 answers showed it\n")
    assert "preserved" not in text


def test_what_was_taken_back_is_no_ground_for_advice() -> None:
    """As where another Service's pods can have answered."""
    good = {**PROBE, "verdict": "preserved", "safe_strategy": {"strategy": "peer"}}
    for failure, told in ((None, "strategy peer"), (FAILURE, None)):
        found = entry(good, failure, FACTS)
        assert dict(rows(found, good, [], WAY)).get("trust") == told


def test_what_was_done_before_a_step_failed() -> None:
    applied = [
        {"kind": "Namespace", "name": "shop", "action": "created"},
        {"kind": "Deployment", "name": "echo", "action": "unchanged"},
        {"kind": "Service", "name": "echo", "action": "created"},
    ]
    told = "created: Namespace shop, Service echo; unchanged: Deployment echo"
    assert done_before(applied) == [("done", told)]
    assert done_before([]) == []


def test_nothing_seen_and_nothing_expected_is_said() -> None:
    bare = {"verdict": "no_answer", "code": "V600", "reason": "refused"}
    result = entry(bare, None, FACTS)
    table = dict(rows(result, bare, []))
    assert table["seen"] == "nothing"
    assert table["expected"] == "none given"
    assert "fix" not in table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("set expected_source to x", "set real_ip_expected_source to x"),
        ("set layer: l4", "set real_ip_layer: l4"),
        ("the layer and the header", "the layer and the header"),
        ("trusted_count: 2", "real_ip_trusted_count: 2"),
        ("real_ip_expected_source", "real_ip_expected_source"),
        ("some_other_name: x", "some_other_name: x"),
        (
            "Set server_name to a name, or validate_certs: false",
            "Set real_ip_host to a name, or real_ip_validate_certs: false",
        ),
    ],
)
def test_with_variables(text: str, expected: str) -> None:
    assert with_variables(text) == expected


def test_a_failure_brings_no_control_characters() -> None:
    found = entry(None, {"task": "Wait", "msg": "Not ready\n\x1b[2Jpreserved"}, {})
    assert str(found["reason"]).isprintable()
    assert "preserved" in str(found["reason"])


# --- Vantage points -------------------------------------------------------------------------------

GOOD: dict[str, t.Any] = {
    **PROBE,
    "verdict": "preserved",
    "code": "V001",
    "reason": "all 10 answers showed 203.0.113.10",
    "fix": None,
    "observed": {"203.0.113.10": 10},
    "vantage": "outside",
}
HALF = {**GOOD, "code": "V002", "reason": f"{GOOD['reason']}; forgery not tested"}
LONG = {**GOOD, "reason": f"{GOOD['reason']} {'through a long address ' * 9}"}
UNCHECKED = {**GOOD, "reason": f"{GOOD['reason']}; vantage not checked"}
DOUBT = {**GOOD, "verdict": "unproven", "code": "V401", "reason": "no expected address"}
REFUSED = {"unreachable": True, "msg": "Task failed: Failed to connect\n to the host via ssh"}
# What failed_when leaves of a module that failed
CRASHED = {"failed": False, "msg": "The module interpreter was not found."}
SKIPPED = {"skipped": True, "skip_reason": "Conditional result was False"}

Results = t.Mapping[str, t.Mapping[str, t.Any]]


def _combined(results: Results) -> dict[str, t.Any]:
    return combined({name: vantage_entry(one, FACTS) for name, one in results.items()})


@pytest.mark.parametrize(
    ("results", "verdict", "reason"),
    [
        ({"a": GOOD}, "preserved", "from a: all 10 answers showed 203.0.113.10"),
        (
            {"a": GOOD, "b": GOOD, "c": GOOD},
            "preserved",
            "from a: all 10 answers showed 203.0.113.10; preserved from b, c",
        ),
        # A reservation is not lost beside an equal verdict without one.
        (
            {"a": GOOD, "b": HALF},
            "preserved",
            "from b: all 10 answers showed 203.0.113.10; forgery not tested; preserved from a",
        ),
        (
            {"a": LONG, "b": UNCHECKED, "c": HALF},
            "preserved",
            "from b: all 10 answers showed 203.0.113.10; vantage not checked; forgery not tested "
            "(c); preserved from a, c",
        ),
        (
            {"a": GOOD, "b": PROBE},
            "lost",
            "from b: all 10 answers showed 10.255.0.12, a node's; preserved from a",
        ),
        (
            {"a": GOOD, "b": REFUSED},
            "not_run",
            "from b: not probed: Failed to connect to the host via ssh; preserved from a",
        ),
        (
            {"a": CRASHED, "b": GOOD},
            "not_run",
            "from a: not probed: The module interpreter was not found.; preserved from b",
        ),
        (
            {"a": GOOD, "b": REFUSED, "c": DOUBT, "d": REFUSED},
            "unproven",
            "from c: no expected address; not probed from b, d; preserved from a",
        ),
        ({"a": {}, "b": REFUSED}, "not_run", None),
        ({"a": {"failed": True, "msg": ""}}, "not_run", "from a: not probed: no answer"),
        ({"a\x1b[2J": GOOD}, "preserved", "from a\\x1b[2J: all 10 answers showed 203.0.113.10"),
    ],
)
def test_the_worst_vantage_point_speaks(results: Results, verdict: str, reason: str | None) -> None:
    found = _combined(results)
    assert found["verdict"] == verdict
    assert reason is None or found["reason"] == reason
    assert found["vantages"].keys() == results.keys()
    for one in found["vantages"].values():
        assert one.keys() == found.keys() - {"vantages"}
    speaking = found["vantages"][worst(found["vantages"])]
    said_of_all = {field: found[field] for field in ("reason", "warnings_found", "vantages")}
    assert {**speaking, **said_of_all} == found


VERDICTS = ("no_answer", "lost", "mixed", "forgeable", "unproven", "not_run", "preserved")


@pytest.mark.parametrize(
    ("verdicts", "published", "told"),
    [
        (["preserved"], "preserved", []),
        (["lost", "preserved"], "lost", ["earlier lost V201: "]),
        (["preserved", "lost"], "lost", []),
        (["preserved", "preserved"], "preserved", []),
        (["unproven", "lost", "forgeable", "preserved"], "lost", ["earlier lost V201: "]),
        (["not_run", "preserved"], "not_run", ["earlier not_run -: "]),
    ],
)
def test_a_later_verification_takes_back_no_worse_one(
    verdicts: list[str], published: str, told: list[str]
) -> None:
    codes = {"lost": "V201", "not_run": None}
    found = [
        {
            **entry(PROBE, None, FACTS),
            "verdict": verdict,
            "code": codes.get(verdict, "V001"),
            "reason": f"{verdict} {place}",
        }
        for place, verdict in enumerate(verdicts)
    ]
    shown = over_all(found)
    assert shown["verdict"] == published
    assert shown.get("verifications", found) == found
    assert ("verifications" in shown) == (len(found) > 1)
    [*rows_told] = earlier_row(found[-1], shown)
    assert [f"{label} {text}" for label, text in rows_told] == [
        f"{one}{shown['reason']}" for one in told
    ]


def _verified(day: int, verdict: str, *warnings: str, reason: str = "r") -> dict[str, t.Any]:
    own = {"verdict": verdict, "reason": reason, "warnings_found": [*warnings]}
    return {**entry(GOOD, None, FACTS), **own, "time": f"2026-01-0{day}"}


@pytest.mark.parametrize(
    ("verifications", "warnings", "reason"),
    [
        (
            [_verified(1, "preserved"), _verified(2, "preserved", "a")],
            ["a"],
            "r",
        ),
        (
            [_verified(1, "preserved", "a", "b"), _verified(2, "preserved", "c", "b")],
            ["a", "b", "c"],
            "r",
        ),
        (
            [
                _verified(1, "preserved", "a", reason="a long one; vantage not checked"),
                _verified(2, "preserved", reason="r; forgery not tested"),
                _verified(3, "preserved", "c", reason="r; forgery not tested"),
            ],
            ["a", "c"],
            "a long one; vantage not checked; forgery not tested (2026-01-02 and 1 more)",
        ),
        # Beside another verdict it is another matter.
        (
            [
                _verified(1, "lost", "a"),
                _verified(2, "preserved", "c", reason="r; forgery not tested"),
                _verified(3, "lost", "d"),
            ],
            ["a", "d"],
            "r",
        ),
        (
            [_verified(1, "lost"), _verified(2, "preserved", "c")],
            [],
            "r",
        ),
        (
            [_verified(1, "preserved", *map(str, range(30))), _verified(2, "preserved", "c")],
            [
                *map(str, range(19)),
                "12 more warnings are about further addresses: each stands with its target in what "
                "source_ip_info returns",
            ],
            "r",
        ),
    ],
)
def test_no_verification_hides_the_warning_of_another(
    verifications: list[dict[str, t.Any]], warnings: list[str], reason: str
) -> None:
    found = over_all(verifications)
    assert (found["warnings_found"], found["reason"]) == (warnings, reason)
    assert found["verifications"] == verifications
    alone = over_all(verifications[:1])
    assert alone == verifications[0]


def test_nor_does_it_that_of_a_vantage_point() -> None:
    half, same = {**HALF, "warnings_found": ["one"]}, {**GOOD, "warnings_found": ["both"]}
    first = _combined({"a": same, "b": {**GOOD, "warnings_found": ["other"]}})
    later = {**_combined({"b": half, "a": same, "c": half}), "time": "2026-01-02"}
    found = over_all([first, later])
    # "b" decides then, so that its own sentence is another one in the entry.
    assert found["warnings_found"] == ["one", "from a: both", "from b: other"]
    told = {name: one["warnings_found"] for name, one in found["vantages"].items()}
    assert told == {"a": ["both"], "b": ["one", "other"], "c": ["one"]}
    again = over_all([first, {**first, "reason": f"{first['reason']}, as before"}])
    assert again["warnings_found"] == first["warnings_found"], "each once"


def test_a_reservation_of_a_verification_without_a_time_is_told() -> None:
    told = [
        {**GOOD, "reason": text} for text in ("long; vantage not checked", "; forgery not tested")
    ]
    found = over_all(told)
    assert found["reason"] == f"{told[0]['reason']}; forgery not tested (another verification)"
    assert "另一次验证" in chinese(found["reason"])


@pytest.mark.parametrize("better", range(1, len(VERDICTS)))
def test_the_order_of_verdicts(better: int) -> None:
    of = {
        verdict: {**GOOD, "verdict": verdict} if verdict != "not_run" else REFUSED
        for verdict in VERDICTS
    }
    worse, good = VERDICTS[better - 1], VERDICTS[better]
    assert _combined({"a": of[good], "b": of[worse]})["verdict"] == worse


@pytest.mark.parametrize(
    ("results", "accepted", "excused", "expected"),
    [
        ({"a": GOOD, "b": GOOD}, {"preserved"}, False, True),
        ({"a": GOOD, "b": PROBE}, {"preserved"}, False, False),
        ({"a": GOOD, "b": PROBE}, {"preserved", "lost"}, False, True),
        # The worst is accepted, but not the other.
        ({"a": DOUBT, "b": PROBE}, {"preserved", "lost"}, False, False),
        ({"a": REFUSED, "b": PROBE}, {"preserved", "lost"}, False, False),
        ({"a": REFUSED, "b": GOOD}, {"preserved"}, False, False),
        ({"a": SKIPPED, "b": SKIPPED}, {"preserved"}, True, True),
    ],
)
def test_every_vantage_point_must_be_accepted(
    results: Results, accepted: set[str], excused: bool, expected: bool
) -> None:
    assert (not refused(_combined(results), accepted, excused)) is expected


def _targets(*verdicts: str) -> list[dict[str, t.Any]]:
    return [{"verdict": one, "reason": f"{one} it is"} for one in verdicts]


@pytest.mark.parametrize(
    ("verdicts", "accepted", "told"),
    [
        (["preserved", "preserved"], [], []),
        (["no_answer", "preserved"], ["no_answer"], []),
        # An address without an answer is accepted, and not what it would hide.
        (["no_answer", "lost"], ["no_answer"], ["lost"]),
        (["no_answer", "forgeable", "lost"], ["no_answer", "lost"], ["forgeable"]),
        (["lost", "unproven"], ["lost", "unproven"], []),
        (["no_answer", "lost"], ["lost"], ["no_answer"]),
        # What could not be tried from here weakens nothing.
        (["preserved", "untested"], [], []),
    ],
)
def test_every_address_must_be_accepted(
    verdicts: list[str], accepted: list[str], told: list[str]
) -> None:
    probe = {**PROBE, "verdict": verdicts[0], "targets": _targets(*verdicts)}
    for vantages in ({}, {"a": probe}):
        found = _combined(vantages) if vantages else entry(probe, None, FACTS)
        bad = refused(found, {"preserved", *accepted})
        assert [*dict.fromkeys(one["verdict"] for one in bad)] == told
        assert all(one["reason"] == f"{one['verdict']} it is" for one in bad if one is not found)


def test_what_is_published_of_addresses_stays_small() -> None:
    """However many there are."""
    many = [
        {**one, "address": f"192.0.2.{number}", "code": "V201"}
        for number in range(200)
        for one in _targets("lost", "no_answer", "untested")
    ]
    found = entry({**PROBE, "targets": many}, None, FACTS)["by_verdict"]
    assert [*found] == ["no_answer", "lost", "untested"], "the worst first"
    assert found["lost"] == {
        "count": 200,
        "addresses": ["192.0.2.0", "192.0.2.1", "192.0.2.2"],
        "code": "V201",
        "reason": "lost it is",
    }
    for failure, probe in (({"task": "Apply", "msg": "no"}, PROBE), (None, {"skipped": True})):
        assert entry(probe, failure, FACTS)["by_verdict"] == {}


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        ([], {}),
        ([{}], {}),
        ([GOOD, SKIPPED, REFUSED], {}),
        ([GOOD, PROBE, DOUBT], PROBE),
        ([DOUBT, PROBE], DOUBT),
        ([{"msg": "unreachable"}, PROBE], PROBE),
    ],
)
def test_the_first_bad_result_is_diagnosed(
    probes: list[dict[str, t.Any]], expected: dict[str, t.Any]
) -> None:
    found = to_diagnose([{"safe_strategy": None, **one} for one in probes])
    assert found == ({"safe_strategy": None, **expected} if expected else {})


def test_what_tags_left_out_is_said() -> None:
    said = left_out(["verifi", "all"], [])
    assert said.startswith(
        "Nothing was verified: the tags (verifi, all), those that are skipped ()"
    )


DOUBTFUL = {"verdict": "unproven", "code": "V401", "reason": "no expected address"}


@pytest.mark.parametrize(
    ("doubts", "accepted", "told"),
    [
        ([None], ["forgeable"], []),
        # That a client can choose its address is accepted, and not that none was expected.
        ([DOUBTFUL], ["forgeable"], ["unproven"]),
        ([None, DOUBTFUL], ["forgeable"], ["unproven"]),
        ([DOUBTFUL, DOUBTFUL], ["forgeable", "unproven"], []),
        ([DOUBTFUL], [], ["forgeable"]),
    ],
)
def test_what_forged_requests_hide_must_be_accepted(
    doubts: list[dict[str, t.Any] | None], accepted: list[str], told: list[str]
) -> None:
    targets = [{**one, "doubt": doubt} for one, doubt in zip(_targets(*["forgeable"] * 2), doubts)]
    probe = {**PROBE, "verdict": "forgeable", "targets": targets, "doubt": doubts[0]}
    for vantages in ({}, {"a": probe}, {"a": GOOD, "b": probe}):
        found = _combined(vantages) if vantages else entry(probe, None, FACTS)
        bad = refused(found, {"preserved", *accepted})
        assert [one["verdict"] for one in bad] == told


XFF_2 = {"strategy": "rightmost_trusted_count", "header": "X-Forwarded-For", "trusted_count": 2}


@pytest.mark.parametrize(
    ("others", "safe"),
    [
        ([], XFF_2),
        ([{**GOOD, "safe_strategy": XFF_2}], XFF_2),
        ([{**GOOD, "safe_strategy": {**XFF_2, "trusted_count": 1}}], None),
        ([{**GOOD, "safe_strategy": None}], None),
        ([{"unreachable": True}], XFF_2),
    ],
)
def test_no_strategy_is_called_safe_that_is_not_so_from_everywhere(
    others: list[dict[str, t.Any]], safe: dict[str, t.Any] | None
) -> None:
    fix = "Use what was seen to be safe here, trusted_count: 2"
    probe = {**PROBE, "code": "V101", "fix": fix, "safe_strategy": XFF_2}
    told = everywhere(probe, [probe, *others])
    assert told["safe_strategy"] == safe
    assert to_diagnose([probe, *others]) == told
    assert ("trusted_count" in told["fix"]) == bool(safe), told["fix"]
    assert everywhere({"unreachable": True}, [probe, *others]) == {"unreachable": True}


@pytest.mark.parametrize(
    ("probe", "failure", "excused", "expected"),
    [
        (GOOD, None, False, True),
        (PROBE, None, False, False),
        (SKIPPED, None, True, True),
        (None, FAILURE, False, False),
    ],
)
def test_a_single_verdict_is_accepted_or_not(
    probe: t.Any, failure: t.Any, excused: bool, expected: bool
) -> None:
    assert (not refused(entry(probe, failure, FACTS), {"preserved"}, excused)) is expected


def test_the_page_has_a_line_for_each_vantage_point() -> None:
    seen_by_many = {**PROBE, "observed": {f"10.255.0.{number}": 1 for number in range(20)}}
    results = {"client": GOOD, "client2": seen_by_many, "client3": REFUSED}
    found = _combined(results)
    text = page("localhost", found, rows(found, results["client2"], []))
    lines = text.splitlines()
    assert lines[:2] == [
        "localhost: LOST (V201)",
        "  vantage  client: preserved V001, expected 203.0.113.10, saw 203.0.113.10 (10 of 10)",
    ]
    assert lines[2].startswith("  vantage  client2: lost V201, expected 203.0.113.10, saw 10.255")
    assert lines[2].endswith("…")
    assert (
        lines[3] == "  vantage  client3: not_run, not probed: Failed to connect to the host via ssh"
    )
    assert lines[4].startswith("  seen     10.255.0.0")
    assert ", from client2" in text
    assert max(map(len, lines)) <= 100


def test_where_nothing_was_probed_nothing_was_seen() -> None:
    found = _combined({"a": REFUSED})
    labels = [label for label, __ in rows(found, REFUSED, [])]
    assert labels == ["vantage", "reason"]


@pytest.mark.parametrize(
    ("sources", "limit", "options"),
    [
        ([], None, ""),
        (["inventory.yml"], None, " -i inventory.yml"),
        (["a b", "c,"], "shop's", " -i 'a b' -i c, --limit 'shop'\"'\"'s'"),
    ],
)
def test_the_next_command_has_the_same_hosts(
    sources: list[str], limit: str | None, options: str
) -> None:
    assert chosen(sources, limit) == options


@pytest.mark.parametrize(
    ("variables", "diagnosis", "playbook"),
    [
        ({}, True, "verify"),
        ({"real_ip_ingress": "shop"}, True, "diagnose"),
        ({"real_ip_service": "shop"}, True, "diagnose"),
        # After a bad verdict
        ({"real_ip_service": "shop"}, False, "verify"),
    ],
)
def test_what_was_diagnosed_is_diagnosed_again(
    variables: dict[str, str], diagnosis: bool, playbook: str
) -> None:
    again = to_repeat(variables, diagnosis)
    assert again == playbook
    told = dict(following(options=" -e a=b", again=again))
    assert told["again"] == f"ansible-playbook kestrel.real_ip.{playbook} -e a=b"


def test_two_vantage_points_on_one_machine_are_one() -> None:
    here, there = {**GOOD, "network": "a"}, {**GOOD, "network": "b"}
    alike = told_apart({"x": here, "y": {**PROBE, "network": "a"}, "z": there, "q": REFUSED}, "c")
    assert [one for one in alike if "verdict" in alike[one]] == ["x", "z"]
    assert "that x is as well" in alike["y"]["msg"]
    found = _combined(alike)
    assert found["verdict"] == "not_run"
    assert (
        "not probed: the connection leads to the machine that x"
        in (found["vantages"]["y"]["reason"])
    )
    assert "同一台" in chinese(found["vantages"]["y"]["reason"])
    # What doesn't tell its network, as another system than Linux, is believed.
    unknown = {name: {**GOOD, "network": ""} for name in "xy"}
    assert told_apart(unknown, "") == unknown


@pytest.mark.parametrize(
    ("name", "here", "told"),
    [
        ("office", "a", True),
        ("localhost", "a", False),
        ("office", "b", False),
        ("office", "", False),
    ],
)
def test_a_vantage_point_that_is_where_ansible_runs_says_so(
    name: str, here: str, told: bool
) -> None:
    found = _combined(told_apart({name: {**GOOD, "network": "a"}}, here))
    words = "probed from where Ansible runs"
    assert (words in found["reason"]) is told
    assert reservations(found["reason"]) == [words] * told
    assert ("运行 Ansible" in chinese(found["reason"])) is told
    # Who doesn't answer has said nothing of its machine.
    assert told_apart({name: REFUSED}, here) == {name: REFUSED}


def test_the_command_of_a_warning_has_what_this_run_was_given() -> None:
    """Without that it would ask without an expected address, or in another cluster."""
    ask = "Next: ansible-playbook kestrel.real_ip.verify -e real_ip_url=http://198.51.100.2/"
    found = {"warnings_found": [ask, "of something else"], "verdict": "preserved"}
    place = " -e real_ip_host=a.example -e 'real_ip_path=/a b' -e real_ip_url=http://b.example/"
    shown = likewise(found, f" -i here{place} -e real_ip_expected_source=203.0.113.10")
    given = "-i here -e real_ip_expected_source=203.0.113.10"
    own = "-e real_ip_url=http://198.51.100.2/"
    assert shown["warnings_found"] == [
        f"Next: ansible-playbook kestrel.real_ip.verify {given} {own}",
        "of something else",
    ]
    assert found["warnings_found"][0] == ask
    assert likewise({"verdict": "lost"}, "")["warnings_found"] == []


@pytest.mark.parametrize("name", RESERVATIONS)
def test_a_reservation_that_is_told_of_another_place_is_found(name: str) -> None:
    """In either language, and as no other one: one name begins like another one."""
    reason = with_reservations(phrase("r"), [("client", phrase("r; {left}", left=phrase(name)))])
    for text in (reason, chinese(reason)):
        assert reservations(text) == [name]


def test_of_alike_entries_the_one_that_hides_a_doubt_speaks_for_all() -> None:
    doubt = {"verdict": "unproven", "code": "V401", "reason": "no address was expected"}
    found = [
        {**GOOD, "verdict": "forgeable", "code": "V101", "reason": reason, "doubt": one}
        for reason, one in (("a longer reason", None), ("short", doubt))
    ]
    assert over_all(found)["doubt"] == doubt
    assert combined(dict(zip("ab", found)))["doubt"] == doubt


def test_what_is_published_has_the_addresses_of_each_verification() -> None:
    def row(verdict: str, *addresses: str, count: int = 0) -> dict[str, t.Any]:
        told = {"count": count or len(addresses), "addresses": [*addresses]}
        return {verdict: {**told, "code": "V", "reason": "r"}}

    rows = [row("preserved", "a"), row("preserved", "b"), row("preserved", "a", "c")]
    found = [
        {**GOOD, "by_verdict": one, "vantages": {"x": {**GOOD, "by_verdict": one}}} for one in rows
    ]
    published = over_all(found)
    for one in (published, published["vantages"]["x"]):
        told = one["by_verdict"]["preserved"]
        assert (told["count"], told["addresses"]) == (3, ["a", "b", "c"])
    # Of more than are named it isn't known which are the same.
    many = [{**GOOD, "by_verdict": row("preserved", *"abc", count=9)}, found[0]]
    assert over_all(many)["by_verdict"]["preserved"]["count"] == 9
    # For another host, or at another port, one address is another place.
    apart = [{**found[0], "address": [url]} for url in ("http://a.example/", "http://b.example/")]
    told = over_all(apart)["by_verdict"]["preserved"]
    assert (told["count"], told["addresses"]) == (2, ["a", "a"])
    lost = {**GOOD, "verdict": "lost", "by_verdict": row("lost", "a")}
    assert [*over_all([found[0], lost])["by_verdict"]] == ["lost", "preserved"]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://shop.example/", "2001:db8::1"),
        ("http://shop.example:80/", "2001:db8::1"),
        ("http://shop.example:8080/", "[2001:db8::1]:8080"),
        ("https://shop.example/", "[2001:db8::1]:443"),
        (None, "2001:db8::1"),
    ],
)
def test_an_address_is_told_with_any_port_but_that_of_http(url: str | None, place: str) -> None:
    told = {"name": "shop", "address": "2001:db8::1", "url": url}
    assert address_of(told) == place
    assert address_of({**told, "address": None}) == "shop"
