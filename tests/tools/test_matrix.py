# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of ansible-core, CPython and Kubernetes, and that nothing in it goes unsaid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from lab import binaries
from lab.settings import REPOSITORY
from tools import lock, matrix
from tools.environment import Interpreter
from tools.matrix import CORES, Outcome, Row, Runs, chosen, rows, short, table

FOUND = [(3, 9), (3, 11), (3, 13)]


def test_units_run_on_every_cpython_that_a_core_supports_found_or_not() -> None:
    asked = {(row.core, row.python) for row in rows(FOUND) if row.what == "units"}
    assert asked == {
        (core, f"3.{minor}")
        for core, (oldest, newest) in CORES.items()
        for minor in range(oldest[1], newest[1] + 1)
    }


def test_all_else_runs_on_the_newest_cpython_that_is_found_and_supported() -> None:
    newest = {row.core: row.python for row in rows(FOUND) if row.what == "sanity"}
    # Of 2.20 and 2.21, 3.13 is; without one the row names the newest that there is.
    assert newest == {
        "2.17": "3.11",
        "2.18": "3.13",
        "2.19": "3.13",
        "2.20": "3.13",
        "2.21": "3.13",
    }
    assert {row.python for row in rows([]) if row.core == "2.17" and row.what == "sanity"} == {
        "3.12"
    }


def test_playbooks_run_with_every_core_and_on_the_oldest_and_the_newest_kubernetes() -> None:
    plays = [(row.core, row.kubernetes) for row in rows(FOUND) if row.what == "playbooks"]
    first, *__, last = binaries.KUBERNETES
    assert plays == [*((core, first) for core in CORES), ("2.17", last), ("2.21", last)]


def test_rows_are_chosen_by_all_words() -> None:
    every = rows(FOUND)
    assert chosen(every, []) == every
    assert chosen(every, ["units", "2.17", "3.10"]) == [Row("units", "2.17", "3.10")]
    assert chosen(every, ["units", "1.30"]) == []
    assert len({row.name for row in every}) == len(every)


def test_a_cpython_that_is_not_there_is_said_and_is_no_failure_of_the_collection() -> None:
    here = Interpreter(Path("/python3.9"), (3, 9, 0))
    outcome = Runs({(3, 9): here}).run(Row("units", "2.21", "3.14"))
    assert outcome == Outcome("not run", "CPython 3.14 is not found here")


def test_where_nothing_could_run_the_matrix_has_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(matrix.environment, "find", lambda *__: [])
    monkeypatch.setattr(matrix.environment, "BUILD", tmp_path)
    assert matrix.main(["units", "2.17"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert "CPython 3.10: not found here" in said
    assert re.match(r"units +2\.17 +3\.12 +- +not run +0 +CPython 3\.12 is not found", said[-3])
    assert said[-1] == "0 passed, 0 failed"
    assert matrix.main(["no such row"]) == 2


def test_the_table_says_what_failed() -> None:
    lines = table(
        [
            (Row("units", "2.17", "3.10"), Outcome("ok", "12 passed", 3.4)),
            (Row("playbooks", "2.21", "3.13", "1.30"), Outcome("FAILED", "see x.log", 100)),
        ]
    )
    assert [line.split() for line in lines[1:]] == [
        ["units", "2.17", "3.10", "-", "ok", "3", "12", "passed"],
        ["playbooks", "2.21", "3.13", "1.30", "FAILED", "100", "see", "x.log"],
    ]


@pytest.mark.parametrize("core", CORES)
def test_each_core_has_a_lock_for_its_oldest_cpython(core: str) -> None:
    name = f"core-{core}"
    assert lock.LOCKS[name] == short(CORES[core][0])
    text = (REPOSITORY / "requirements" / f"{name}.txt").read_text()
    assert re.search(rf"^ansible-core=={re.escape(core)}\.\d+ ", text, re.MULTILINE)


def test_the_oldest_core_is_the_one_that_the_collection_promises() -> None:
    promised = yaml.safe_load((REPOSITORY / "meta" / "runtime.yml").read_text())
    assert promised["requires_ansible"] == f">={min(CORES)}.0"
