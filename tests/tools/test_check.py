# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as passed and failed, and the last line."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from tools import check
from tools.check import Check, Result

CASES = """\
def test_one(): pass
def test_two(): pass
"""
FAILING = """\
import pytest
@pytest.fixture
def broken(): raise RuntimeError
def test_wrong(): assert False
def test_broken(broken): pass
@pytest.mark.skip
def test_skipped(): pass
@pytest.mark.xfail
def test_expected(): assert False
"""


def row(*command: str, cases: Path | None = None, name: str = "a") -> Check:
    return Check(name, "group", "Purpose", command, cases=cases)


def pytest_row(directory: Path, tests: str) -> Check:
    (directory / "test_it.py").write_text(tests)
    junit = directory / "junit"
    command = [sys.executable, "-m", "pytest", "-qp", "no:cacheprovider", "--rootdir", directory]
    words = [*map(str, command), f"--junit-xml={junit}/it.xml", str(directory)]
    return row(*words, cases=junit)


def run(one: Check, directory: Path) -> Result:
    return check.run(one, lambda line: None, directory / "log")


def test_a_command_counts_once(tmp_path: Path) -> None:
    assert run(row("true"), tmp_path) == Result(1, 0)
    assert run(row("false"), tmp_path) == Result(0, 1)


def test_output_goes_to_the_log(tmp_path: Path) -> None:
    run(row("sh", "-c", "echo one; echo two >&2"), tmp_path)
    assert (tmp_path / "log/a.log").read_text() == "one\ntwo\n"


def test_a_command_that_is_missing_failed(tmp_path: Path) -> None:
    assert run(row("no-such-program-here"), tmp_path).failed == 1


def test_nothing_to_check_failed(tmp_path: Path) -> None:
    assert run(row(), tmp_path) == Result(0, 1, ("nothing to check was found",))


def test_proxies_are_seen_only_by_what_asks_registries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://192.0.2.1")
    command = ("sh", "-c", 'test -z "$https_proxy"')
    assert run(row(*command), tmp_path).failed == 0
    assert run(Check("a", "b", "c", command, proxies=True), tmp_path).failed == 1


def test_cases_of_pytest_count(tmp_path: Path) -> None:
    assert run(pytest_row(tmp_path, CASES), tmp_path) == Result(2, 0)


def test_failures_errors_and_skips_of_pytest_count_as_failed(tmp_path: Path) -> None:
    result = run(pytest_row(tmp_path, CASES + FAILING), tmp_path)
    assert (result.passed, result.failed) == (2, 4)
    assert [note.partition(" ")[0] for note in result.notes] == [
        "test_it.test_wrong:",
        "test_it.test_broken:",
        "test_it.test_skipped:",
        "test_it.test_expected:",
    ]
    assert result.notes[0].endswith(": failure assert False")
    assert ": error " in result.notes[1]
    assert all(": skipped" in note for note in result.notes[2:])


def test_of_a_long_message_the_end_is_told_too(tmp_path: Path) -> None:
    """Which is where a playbook says what failed."""
    test = "def test_it(): assert False, 'PLAY ' + 'x ' * 2000 + 'fatal: why'"
    (note,) = run(pytest_row(tmp_path, test), tmp_path).notes
    assert note.startswith("test_it.test_it: failure AssertionError: PLAY x x ")
    assert " … " in note
    assert note.endswith(" fatal: why assert False")
    assert len(note) < 2000


@pytest.mark.parametrize("tests", ["", "not Python"])
def test_a_pytest_run_without_cases_failed(tmp_path: Path, tests: str) -> None:
    result = run(pytest_row(tmp_path, tests), tmp_path)
    assert (result.passed, result.failed) == (0, 1)


def test_the_cases_of_the_last_run_do_not_count(tmp_path: Path) -> None:
    run(pytest_row(tmp_path, CASES), tmp_path)
    again = row("true", cases=tmp_path / "junit")
    assert run(again, tmp_path) == Result(0, 1, ("no test ran",))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, Result(1, 0)),
        (3, Result(1, 1, ("exit status 3, although no test failed",))),
        (124, Result(1, 1, ("stopped after 10 minutes",))),
    ],
)
def test_a_run_that_ends_badly_failed(tmp_path: Path, status: int, expected: Result) -> None:
    (tmp_path / "it.xml").write_text("<testsuites><testsuite><testcase/></testsuite></testsuites>")
    assert check.judge(row("any", cases=tmp_path), status) == expected


def summed_up(results: dict[str, Result]) -> tuple[bool, list[str]]:
    lines: list[str] = []
    table = [row("any", name=name) for name in results]
    passed = check.run_all(table, lambda one: results[one.name], lines.append)
    return passed, lines


def test_the_last_line_when_all_passed() -> None:
    passed, lines = summed_up({"a": Result(1, 0), "b": Result(40, 0)})
    assert passed
    assert lines[-1] == "41 passed, 0 failed"


def test_one_failure_does_not_stop_the_rest() -> None:
    passed, lines = summed_up({"a": Result(0, 1, ("why",)), "b": Result(3, 2), "c": Result(1, 0)})
    assert not passed
    assert lines[-6:-3] == [
        "a  FAILED     0 passed    1 failed     0.0 s  Purpose",
        "  ! why",
        "b  FAILED     3 passed    2 failed     0.0 s  Purpose",
    ]
    assert lines[-1] == "4 passed, 3 failed"


def test_what_needs_no_cluster_runs_beside_what_does_and_the_playbooks_alone() -> None:
    meeting = threading.Barrier(3, timeout=30)
    running: list[str] = []

    def run_one(one: Check) -> Result:
        running.append(one.name)
        if one.name in "abc":
            meeting.wait()
        is_well = one.name != "playbooks" or running == [one.name]
        running.remove(one.name)
        return Result(int(is_well), int(not is_well))

    rows = [("a", "lint"), ("b", "unit"), ("c", "live"), ("playbooks", "live"), ("d", "live")]
    lines: list[str] = []
    table = [Check(name, group, "", ["true"]) for name, group in rows]
    assert check.run_all(table, run_one, lines.append)
    assert [line.split()[0] for line in lines[-7:-2]] == [name for name, _group in rows]
    assert lines[-1] == "5 passed, 0 failed"


def test_it_runs_with_what_others_leave(tmp_path: Path) -> None:
    for group, niceness in (("unit", 10), ("live", 0)):
        words = (
            sys.executable,
            "-c",
            f"import os; assert os.nice(0) == {min(19, os.nice(0) + niceness)}",
        )
        assert run(Check("a", group, "", words), tmp_path) == Result(1, 0)


TABLE = [Check(name, group, "", ["true"]) for name, group in ("ax", "bx", "cy")]


@pytest.mark.parametrize(
    ("names", "expected"),
    [([], "abc"), (["b"], "b"), (["c,a"], "ac"), (["x"], "ab"), (["y", "a"], "ac")],
)
def test_chosen(names: list[str], expected: str) -> None:
    assert "".join(one.name for one in check.chosen(TABLE, names, {})) == expected


@pytest.mark.parametrize(
    ("environ", "run"),
    [({}, False), ({check.CONTROLLER: ""}, False), ({check.CONTROLLER: "a"}, True)],
)
def test_an_awx_is_tested_only_where_there_is_one(environ: dict[str, str], run: bool) -> None:
    usual = [one.name for one in check.chosen(check.checks([]), [], environ)]
    assert ("controller" in usual) is run
    assert [one.name for one in check.chosen(check.checks([]), ["awx"], environ)] == ["controller"]


def test_chosen_refuses_what_is_unknown() -> None:
    with pytest.raises(LookupError, match="lint"):
        check.chosen(TABLE, ["a,lint"], {})


def test_names_of_checks_are_unique_and_no_groups() -> None:
    table = check.checks([])
    names = [one.name for one in table]
    assert len({*names}) == len(names)
    assert not {*names} & {one.group for one in table}


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["--list", "lock"]) == 0
    assert capsys.readouterr().out.split()[:2] == ["lint", "lock"]


def test_an_unknown_name_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["nonsense"]) == 2
    assert "There is no check or group nonsense; there are: lint, lock" in capsys.readouterr().out
