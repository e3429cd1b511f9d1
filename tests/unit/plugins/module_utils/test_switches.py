# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._switches import (
    RECORD,
    Plan,
    RecordError,
    plan,
    recorded,
    unmet,
    uses,
)

S = "GlobalRouteDirectAccess"
ON, OFF = {S: "true"}, {S: "false"}
US, THEM = "kestrel-catchip/real-ip", "shop/edge"

Record = dict[str, dict[str, Any]]


def record(before: str | None, *users: str, ours: str = "true") -> Record:
    return {S: {"before": before, "ours": ours, "users": sorted(users)}}


class Row(NamedTuple):
    """``data`` and ``record`` before, what ``US`` wants, and what comes of it."""

    data: dict[str, str]
    record: Record
    wanted: dict[str, str]
    action: str
    after: str | None
    left: Record


ROWS = {
    "off: set, and what it was is recorded": Row(OFF, {}, ON, "set", "true", record("false", US)),
    "not there: set, to be removed again": Row({}, {}, ON, "set", "true", record(None, US)),
    "on before us: nothing to put back": Row(ON, {}, ON, "unchanged", "true", {}),
    "second run": Row(ON, record("false", US), ON, "unchanged", "true", record("false", US)),
    "on by another deployment of ours: both are users": Row(
        ON, record("false", THEM), ON, "unchanged", "true", record("false", THEM, US)
    ),
    "somebody turned it off after us, and it is asked for again": Row(
        OFF, record(None, US), ON, "set", "true", record("false", US)
    ),
    "somebody wrote what is wanted over another value of ours": Row(
        ON, record("x", US, ours="false"), ON, "unchanged", "true", {}
    ),
    "put back": Row(ON, record("false", US), {}, "restored", "false", {}),
    "put back to not being there": Row(ON, record(None, US), {}, "restored", None, {}),
    "another deployment needs it still": Row(
        ON, record("false", THEM, US), {}, "kept", "true", record("false", THEM)
    ),
    "somebody turned it off after us": Row(OFF, record(None, US), {}, "respected", "false", {}),
    "somebody removed it after us": Row({}, record("false", US), {}, "respected", None, {}),
    "another deployment's alone": Row(
        ON, record("false", THEM), {}, "unchanged", "true", record("false", THEM)
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_plan(row: Row) -> None:
    done = plan(row.data, row.record, row.wanted, US)
    (change,) = done.changes
    assert (change.action, change.before, change.after) == (
        row.action,
        row.data.get(S),
        row.after,
    )
    assert done.record == row.left


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_second_time_changes_nothing(row: Row) -> None:
    done = plan(row.data, row.record, row.wanted, US)
    after = {} if done.changes[0].after is None else {S: done.changes[0].after}
    assert plan(after, done.record, row.wanted, US).patch(done.record) == {}


def test_nothing_wanted_and_nothing_recorded() -> None:
    assert plan(OFF, {}, {}, US) == Plan([], {})


def test_the_patch_holds_what_changes_and_the_record() -> None:
    was = record("false", US)
    assert plan(OFF, {}, ON, US).patch({}) == {
        "data": ON,
        "metadata": {"annotations": {RECORD: json.dumps(was, sort_keys=True)}},
    }
    # In a merge patch null removes.
    nothing = {"metadata": {"annotations": {RECORD: None}}}
    assert plan(ON, record(None, US), {}, US).patch(record(None, US)) == {
        "data": {S: None},
        **nothing,
    }
    assert plan(OFF, was, {}, US).patch(was) == {"data": {}, **nothing}


def test_what_was_written_is_read_again() -> None:
    was = record("false", US, THEM)
    assert recorded({"metadata": {"annotations": {RECORD: json.dumps(was)}}}) == was
    assert recorded({"metadata": {}}) == recorded({}) == {}
    assert uses(was, US)
    assert not uses(was, "kestrel-catchip/real")
    assert not uses({}, US)


@pytest.mark.parametrize(
    "text", ["{", "[]x", "[1]", '"a"', '{"a": 1}', '{"a": {"before": "x"}}', "null", "7"]
)
def test_no_record(text: str) -> None:
    with pytest.raises(RecordError, match=f"annotation {RECORD} of ConfigMap kube-system/"):
        recorded({"metadata": {"annotations": {RECORD: text}}})


@pytest.mark.parametrize(
    ("data", "wanted", "seen"),
    [(ON, ON, None), (OFF, ON, "false"), ({}, ON, "not set"), (OFF, {}, None)],
)
def test_unmet(data: dict[str, str], wanted: dict[str, str], seen: str | None) -> None:
    told = unmet(data, wanted)
    assert [f"{S} is {seen} in" in text for text in told] == [True] * bool(seen)
