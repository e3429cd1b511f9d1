# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import (
    entry,
    following,
    line,
    page,
    rows,
    with_variables,
)

PROBE: dict[str, t.Any] = {
    "verdict": "lost",
    "code": "V201",
    "reason": "all 10 answers showed 10.255.0.12,\n a node's",
    "fix": "Set expected_source to the client's address",
    "expected": ["203.0.113.10"],
    "expected_from": "given",
    "observed": {"10.255.0.12": 10},
    "targets": [{"name": "198.51.100.1"}],
    "warnings_found": ["X-Real-IP differs"],
    "backends": [{"name": "pod-a", "observed": {"10.255.0.12": 10}}],
}
FACTS = {"time": "2026-01-01T00:00:00+00:00", "versions": {}}
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


def test_line_has_a_dash_for_a_missing_code() -> None:
    assert line("a", entry(PROBE, None, FACTS)).startswith("real_ip: a lost V201 all 10")
    assert line("a", entry(None, FAILURE, FACTS)).startswith("real_ip: a not_run - Apply")


def test_page_fits_a_terminal_and_says_all() -> None:
    result = entry({**PROBE, "reason": "words " * 60}, None, FACTS)
    text = page("localhost", result, rows(result, PROBE, following("playbooks/")))
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
        "warning",
        "fix",
        "again",
        "remove",
    ]
    assert "10.255.0.12 (10 of 10)" in text
    assert "playbooks/teardown.yml" in text


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
    ],
)
def test_with_variables(text: str, expected: str) -> None:
    assert with_variables(text) == expected


def test_a_failure_brings_no_control_characters() -> None:
    found = entry(None, {"task": "Wait", "msg": "Not ready\n\x1b[2Jpreserved"}, {})
    assert str(found["reason"]).isprintable()
    assert "preserved" in str(found["reason"])
