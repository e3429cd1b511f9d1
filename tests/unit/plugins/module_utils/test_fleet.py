# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import warn
from ansible_collections.kestrel.real_ip.plugins.module_utils._fleet import (
    FEW,
    fleet_page,
    state,
    worst_first,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import (
    combined,
    diagnosed,
    entry,
    with_cause,
)

Entry = dict[str, t.Any]

FACTS = {"time": "2026-01-01T00:00:00+00:00", "versions": {}}
CAUSE = {
    "code": "P401",
    "object": "Service shop/real-ip-service",
    "cause": "no pod has its labels",
    "fix": "kubectl -n shop label pods --all app=real-ip-app --overwrite # as long as it has to be",
    "fix_kind": "command",
}


def found(verdict: str, code: str, seen: str, reason: str = "") -> Entry:
    """The entry of a host that was probed."""
    probe = {
        "verdict": verdict,
        "code": code,
        "reason": reason or f"all 10 answers showed {seen}",
        "observed": {seen: 10} if seen else {},
    }
    return with_cause(entry(probe, None, FACTS), None)


def failed(message: str, cause: Entry | None = None) -> Entry:
    """The entry of a host where a step failed."""
    failure = {"task": "Find the cluster", "msg": message}
    return with_cause(entry(None, failure, FACTS), {"cause": cause})


GOOD = found("preserved", "V001", "203.0.113.10")
LOST = found("lost", "V201", "10.255.0.12")
MIXED = found("mixed", "V301", "10.255.0.12")
SILENT = found("no_answer", "V501", "", "198.51.100.1:80 refuses connections")
DEAD = failed("The API server https://192.0.2.1:6443 doesn't answer: timed out")
DENIED = failed("The API server https://192.0.2.2:6443 refused the credentials")
BROKEN = failed("no address", CAUSE)


def lines_of(text: str) -> list[str]:
    lines = text.splitlines()
    assert max(len(one) for one in lines if not one.startswith("  type")) <= 100, text
    assert all(one == one.rstrip() for one in lines)
    return lines


def rows_of(text: str) -> list[list[str]]:
    """State, code, cause and name of each row of the table."""
    table = text.split("\n\n")[0].splitlines()[1:]
    return [one.split()[:4] for one in table if re.match(r"  \w+ +\S{1,4} +\S{1,4} ", one)]


@pytest.mark.parametrize(
    ("entry_", "expected"),
    [
        (GOOD, "preserved"),
        (DEAD, "not_run"),
        ({}, "done"),
        (diagnosed({"cause": None}, FACTS), "no cause"),
        (with_cause(diagnosed({"cause": CAUSE}, FACTS), {"cause": CAUSE}), "cause"),
    ],
)
def test_state(entry_: Entry, expected: str) -> None:
    assert state(entry_) == expected


def test_worst_first_and_else_as_they_come() -> None:
    results = {
        "b": GOOD,
        "done": {},
        "dead": DEAD,
        "a": GOOD,
        "lost": LOST,
        "silent": SILENT,
        "mixed": MIXED,
    }
    order = ["silent", "lost", "mixed", "dead", "b", "a", "done"]
    assert [name for name, __ in worst_first(results)] == order


def test_few_have_a_row_each() -> None:
    results = {"good": GOOD, "dead": DEAD, "broken": BROKEN, "lost": LOST, "denied": DENIED}
    text = fleet_page(results)
    lines = lines_of(text)
    assert lines[0] == "5 CLUSTERS: 1 lost, 3 not_run, 1 preserved"
    assert rows_of(text) == [
        ["lost", "V201", "-", "lost"],
        ["not_run", "-", "-", "dead"],
        ["not_run", "-", "-", "denied"],
        ["not_run", "P401", "P401", "broken"],
        ["preserved", "V001", "-", "good"],
    ]
    assert lines[1].endswith("lost    10.255.0.12 (10 of 10)")
    assert "dead    The API server https://192.0.2.1:6443 doesn't answer: timed out" in lines[2]
    assert lines[5].endswith("good    203.0.113.10 (10 of 10)")
    # What is wrong is told in full, with what mends it on one line.
    assert "not_run P401: broken" in lines
    assert f"  type     {CAUSE['fix']}" in lines
    assert lines[lines.index("not_run: denied") + 1] == f"  reason   {DENIED['reason']}"
    # Two without a code are two things that are wrong.
    assert {"not_run: dead", "not_run: denied"} <= {*lines}


def test_of_many_the_bad_ones_are_in_full_and_the_good_ones_named() -> None:
    names = [f"cluster-{number:03}" for number in range(100)]
    results = dict.fromkeys(names, GOOD) | {names[7]: DEAD, names[50]: LOST, names[3]: {}}
    text = fleet_page(results)
    lines = lines_of(text)
    assert lines[0] == "100 CLUSTERS: 1 lost, 1 not_run, 97 preserved, 1 done"
    assert rows_of(text) == [
        ["lost", "V201", "-", "cluster-050"],
        ["not_run", "-", "-", "cluster-007"],
    ]
    assert len(lines) < 35
    assert "  preserved  97: cluster-000, cluster-001, cluster-002, cluster-004, " in text
    assert "  done       1: cluster-003" in lines
    assert all(name in text for name in names)


def test_of_a_thousand_all_are_counted_and_some_named() -> None:
    lines = lines_of(fleet_page({f"cluster-{number:04}": GOOD for number in range(1000)}))
    assert lines[0] == "1000 CLUSTERS: 1000 preserved"
    assert lines[-1].endswith("and 900 more")
    assert len(lines) < 20


OPEN = warn("node_port", {"address": "{}:30080", "place": "outside"})
BESIDE = warn("ingress", {"name": "shop/old", "command": "ansible-playbook x"})


def test_warnings_of_those_that_are_well_are_told_once_for_each_kind() -> None:
    """They have no page where there are many, and a warning may be all that tells of a way in."""
    results = {f"c{n:02}": found("preserved", "V001", "203.0.113.10") for n in range(FEW + 1)}
    for number, entry_ in enumerate(results.values()):
        entry_["warnings_found"] = [OPEN.format(f"192.0.2.{number}")]
    results["c07"]["warnings_found"].append(BESIDE)
    told = " ".join(fleet_page(results).split())
    assert told.endswith(
        f"warning c07: {BESIDE} warning c00, c01, c02 and 8 more: {OPEN.format('192.0.2.0')}"
    )
    # Few have a page each, which has them.
    few = dict([*results.items()][:FEW])
    assert "warning" not in fleet_page(few)


def test_the_same_wrong_with_many_is_told_once() -> None:
    results = {f"cluster-{number:03}": LOST for number in range(50)}
    text = fleet_page(results)
    assert len(rows_of(text)) == 50
    assert text.count("reason") == 1
    assert "lost V201: cluster-000, cluster-001, cluster-002 and 47 more" in lines_of(text)


def test_a_playbook_mends_the_one_that_it_is_for() -> None:
    fix = "ansible-playbook kestrel.real_ip.deploy -e real_ip_namespace=shop"
    broken = failed("no such Ingress", {**CAUSE, "fix": fix})
    text = fleet_page({"a": GOOD, "b": broken, "c d": broken})
    assert f"  type     {fix} --limit b" in lines_of(text)
    assert f"{fix} --limit 'c d'" in fleet_page({"c d": broken, "b": broken})
    # With any other command there is no such choice.
    assert "--limit" not in fleet_page({"a": GOOD, "broken": BROKEN})


def test_vantage_points() -> None:
    dead = entry(None, {"task": "not probed", "msg": "Connection refused"}, FACTS)
    results = {
        "one": with_cause(combined({"client": GOOD, "client2": dead}), None),
        "two": with_cause(combined({"client": LOST, "client2": dead}), None),
        "out": DEAD,
    }
    text = fleet_page(results)
    lines = lines_of(text)
    assert [row[0] + " " + row[3] for row in rows_of(text)] == [
        "lost two",
        "lost client",
        "not_run client2",
        "not_run one",
        "not_run client2",
        "preserved client",
        "not_run out",
    ]
    assert lines[2].index("client") == lines[1].index("two") + 2
    assert "  from       client: 1 lost, 1 preserved" in lines
    assert "  from       client2: 2 not_run" in lines
    # Of many clusters a row for each is enough, and the vantage points are told of together.
    many = {f"cluster-{number:03}": results["two"] for number in range(FEW + 1)}
    assert len(rows_of(fleet_page(many))) == FEW + 1
    assert f"  from       client2: {FEW + 1} not_run" in fleet_page(many).splitlines()


def test_names_of_any_length_and_kind() -> None:
    long = "x" * 200
    hostile = "evil\x1b[31m\u202e"
    text = fleet_page({long: LOST, hostile: GOOD}, ["left\n out", long])
    assert text.replace("\n", "").isprintable()
    lines_of(text)


def test_left_out_are_said() -> None:
    text = fleet_page({"a": GOOD, "b": GOOD}, ["c", "d"])
    assert "  left out   2: c, d" in text.splitlines()
