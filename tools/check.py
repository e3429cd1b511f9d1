# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the checks of this repository; `make test` runs them all.

    python -m tools.check [--list] [NAME|GROUP …]

The last line is ``N passed, N failed``, and the exit status is 1 if anything failed: each case of a
pytest run counts, any other check counts once. A check that found nothing to do has failed, and so
has a test that was skipped.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from lab.settings import REPOSITORY
from lab.steps import Report, locked, run_with_progress
from tools import collection, files
from tools.environment import BUILD, without_proxies

LOGS: Final = BUILD / "log"
JUNIT: Final = BUILD / "junit"

#: Groups of checks that are run only where they are named: a part of each is in another check.
_ASKED_FOR: Final = ("faults",)

#: Names the AWX that a check may change. Without it that check isn't part of a usual run.
CONTROLLER: Final = "CONTROLLER_HOST"

#: Groups of checks that need no test cluster and measure no time. They run some at a time, with
#: what the tests of the cluster leave of the processors, where those wait for it half of the time.
_SPARE: Final = ("lint", "collection", "unit")
_AT_A_TIME: Final = 2

#: The check that leaves nothing, and has all to itself.
_ALONE: Final = "playbooks"

#: Characters of a failure's message: of its start and of its end.
_SHOWN: Final = (200, 1600)

#: What coreutils' timeout exits with.
_OUT_OF_TIME: Final = 124


@dataclass(frozen=True)
class Check:
    """One row of the table of checks.

    ``command`` is empty where there is nothing to check. ``cases`` is the directory in which a
    pytest run leaves its JUnit files. Only what asks package registries gets to see ``proxies``.
    """

    name: str
    group: str
    purpose: str
    command: Sequence[str]
    minutes: int = 10
    cases: Path | None = None
    proxies: bool = False


@dataclass(frozen=True)
class Result:
    """What came of a check; ``notes`` say what failed beyond what its output tells."""

    passed: int
    failed: int
    notes: tuple[str, ...] = ()


def checks(paths: Sequence[str]) -> list[Check]:
    """Return the table, for the files of the checkout; quick ones first."""

    def over(command: str, found: Sequence[str]) -> list[str]:
        return [*command.split(), *found] if found else []

    def tool(name: str) -> list[str]:
        return ["python", "-m", *f"tools.{name}".split()]

    def tests(directory: str, pattern: str) -> list[str]:
        return [one for one in files.matching(paths, pattern) if one.startswith(f"{directory}/")]

    def pytest(found: Sequence[str], junit: Path, *options: str) -> list[str]:
        return over(f"pytest --junit-xml={junit / 'pytest.xml'} {' '.join(options)}", found)

    workers = ("--numprocesses=2", "--dist=loadfile")
    python = files.matching(paths, "*.py")
    yaml = files.matching(paths, "*.yml", "*.yaml", ".yamllint", ".ansible-lint")
    markdown = files.matching(paths, "*.md")
    packages = "-p lab -p tools -p ansible_collections.kestrel.real_ip.plugins"
    live = tests("tests/lab", "test_*.py")
    plays = tests("tests/lab", "test_play_*.py")
    units = collection.copy_for("units") / "tests" / "output" / "junit"
    return [
        Check("lock", "lint", "The lock file is up to date", tool("lock check")),
        Check("format", "lint", "Python is formatted", over("ruff format --check", python)),
        Check("ruff", "lint", "Python", over("ruff check --output-format concise", python)),
        Check("mypy", "lint", "Types", f"mypy {packages}".split()),
        Check(
            "mypy-files",
            "lint",
            "Types of what roles bring",
            # Beside the other one, which would write the same cache.
            over(
                "mypy --cache-dir build/cache/mypy-files",
                [path for path in python if path.startswith("roles/")],
            ),
        ),
        Check("yamllint", "lint", "YAML", over("yamllint --strict", yaml)),
        Check("ansible-lint", "lint", "Roles and playbooks", tool("collection lint")),
        Check("shellcheck", "lint", "Shell", over("shellcheck", files.shell_scripts(paths))),
        Check("markdown", "lint", "Markdown", over("pymarkdown scan", markdown)),
        Check("gofmt", "lint", "Go is formatted", tool("golang fmt"), proxies=True),
        Check("govet", "lint", "Go", tool("golang vet"), proxies=True),
        Check("changelog", "lint", "Changelog fragments", ["antsibull-changelog", "lint"]),
        Check("docs", "lint", "Documentation of plugins and roles", tool("collection docs")),
        Check(
            "sanity",
            "collection",
            "ansible-test sanity, every test",
            tool("collection sanity"),
            minutes=20,
            proxies=True,
        ),
        Check("artifact", "collection", "Build, install, read", tool("collection artifact")),
        Check(
            "release",
            "collection",
            "Build twice, compare, look at it as Galaxy does",
            tool("release"),
            minutes=20,
            proxies=True,
        ),
        Check(
            "site",
            "collection",
            "The site of the documentation, every link in it",
            tool("site"),
            proxies=True,
        ),
        Check("units", "unit", "Plugins", tool("collection units"), minutes=25, cases=units),
        Check(
            "tools",
            "unit",
            "These tools",
            pytest(tests("tests/tools", "test_*.py"), JUNIT / "tools", *workers),
            minutes=25,
            cases=JUNIT / "tools",
        ),
        # By itself, since it is seen to go on then, and if it fails, fails once.
        Check(
            "build",
            "live",
            "What test clusters are made of",
            ["python", "-m", "lab", "build"],
            minutes=40,
            proxies=True,
        ),
        Check(
            "lab",
            "live",
            "The test cluster",
            pytest([path for path in live if path not in plays], JUNIT / "lab"),
            minutes=40,
            cases=JUNIT / "lab",
            proxies=True,
        ),
        Check(
            "playbooks",
            "live",
            "The playbooks on two test clusters, side by side",
            pytest(plays, JUNIT / "playbooks", *workers),
            minutes=85,
            cases=JUNIT / "playbooks",
            proxies=True,
        ),
        Check(
            "every-fault",
            "faults",
            "Every fault on the test cluster: shown, named, mended",
            pytest(
                tests("tests/lab", "test_*faults.py"),
                JUNIT / "faults",
                "--every-fault",
                *workers,
            ),
            minutes=80,
            cases=JUNIT / "faults",
            proxies=True,
        ),
        Check(
            "controller",
            "awx",
            f"The data for AWX on the one that {CONTROLLER} names",
            pytest(tests("tests/awx", "test_*.py"), JUNIT / "controller"),
            minutes=90,
            cases=JUNIT / "controller",
            proxies=True,
        ),
        Check(
            "molecule",
            "live",
            "The roles one by one, again, and removed",
            tool("collection molecule")
            if any(path.startswith("molecule/") for path in paths)
            else [],
            minutes=20,
            proxies=True,
        ),
    ]


def run(check: Check, report: Report, logs: Path = LOGS) -> Result:
    """Run one check, its output in ``logs``."""
    if not check.command:
        return Result(0, 1, ("nothing to check was found",))
    if check.cases:
        shutil.rmtree(check.cases, ignore_errors=True)
    environment = dict(os.environ) if check.proxies else without_proxies(os.environ)
    environment["NO_COLOR"] = "1"
    politely = ["nice"] if check.group in _SPARE else []
    status = run_with_progress(
        [*politely, "timeout", "--kill-after=30", f"{check.minutes}m", *check.command],
        what=f"  {check.name}",
        log=logs / f"{check.name}.log",
        report=report,
        cwd=REPOSITORY,
        environment=environment,
    )
    return judge(check, status)


def judge(check: Check, status: int) -> Result:
    """Count what a check that exited with ``status`` has passed and failed."""
    notes = [f"stopped after {check.minutes} minutes"] if status == _OUT_OF_TIME else []
    if check.cases is None:
        return Result(int(status == 0), int(status != 0), tuple(notes))
    passed, failures = count(sorted(check.cases.glob("*.xml")))
    notes += failures
    if not passed and not failures:
        notes.append("no test ran")
    if status != 0 and not notes:
        notes.append(f"exit status {status}, although no test failed")
    return Result(passed, max(len(failures), int(bool(notes))), tuple(notes))


def count(reports: Iterable[Path]) -> tuple[int, list[str]]:
    """Return how many cases of JUnit files passed, and for each other one its name and what it is.

    A case with an error in its teardown may stand there twice; it is one failure for each.
    """
    passed, failures = 0, []
    for report in reports:
        for case in ElementTree.parse(report).iter("testcase"):
            found = ((kind, case.find(kind)) for kind in ("failure", "error", "skipped"))
            bad = [(kind, part) for kind, part in found if part is not None]
            if bad:
                kind, part = bad[0]
                name = f"{case.get('classname')}.{case.get('name')}"
                failures.append(f"{name}: {kind} {_both_ends(_message(part))}")
            else:
                passed += 1
    return passed, failures


def _message(part: ElementTree.Element) -> str:
    """What failed: pytest cuts the attribute, and marks the same lines of the whole with an E."""
    lines = (part.text or "").splitlines()
    marked = [line.removeprefix("E") for line in lines if line.startswith("E  ")]
    return "\n".join(marked) or part.get("message", "")


def _both_ends(text: str) -> str:
    """One line of a message: with its end, where the output of a playbook says what failed."""
    line = " ".join(text.split())
    return line if len(line) <= sum(_SHOWN) else f"{line[: _SHOWN[0]]} … {line[-_SHOWN[1] :]}"


def run_all(table: Sequence[Check], run_one: Callable[[Check], Result], report: Report) -> bool:
    """Run the checks, show the output of those that fail, sum up; tell whether all passed."""
    told = threading.Lock()

    def timed(place: tuple[int, Check]) -> tuple[Check, Result, float]:
        number, check = place
        report(f"[{number}/{len(table)}] {check.name}: {check.purpose}")
        started = time.monotonic()
        result = run_one(check)
        seconds = time.monotonic() - started
        verdict = f"{result.failed} FAILED" if result.failed else "ok"
        with told:
            if result.failed:
                _show(check, result, report)
            report(f"  {check.name}: {verdict}, {result.passed} passed, {seconds:.1f} s")
        return check, result, seconds

    numbered = [*enumerate(table, 1)]
    spare = [one for one in numbered if one[1].group in _SPARE]
    alone = [one for one in numbered if one[1].name == _ALONE]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        meanwhile = pool.map(timed, spare)
        rows = [timed(one) for one in numbered if one not in (*spare, *alone)]
        rows += meanwhile
    rows += [timed(one) for one in alone]
    report("")
    width = max(len(check.name) for check in table)
    for check, result, seconds in sorted(rows, key=lambda row: table.index(row[0])):
        verdict = "FAILED" if result.failed else "ok"
        counts = f"{result.passed:>5} passed {result.failed:>4} failed"
        report(f"{check.name:{width}}  {verdict:6} {counts} {seconds:7.1f} s  {check.purpose}")
        # Again at the end: of a long log, the end is what is read.
        for note in result.notes:
            report(f"  ! {note}")
    report("")
    failed = sum(row[1].failed for row in rows)
    report(f"{sum(row[1].passed for row in rows)} passed, {failed} failed")
    return failed == 0


def _show(check: Check, result: Result, report: Report) -> None:
    log = LOGS / f"{check.name}.log"
    if check.command and log.exists():
        report(f"  $ {textwrap.shorten(' '.join(check.command), 160, placeholder=' …')}")
        for line in log.read_text(errors="replace").splitlines():
            report(f"  | {line}")
    for note in result.notes:
        report(f"  ! {note}")


def chosen(table: Sequence[Check], names: Iterable[str], environ: Mapping[str, str]) -> list[Check]:
    """Return the checks with these names or in these groups; without any, those of a usual run.

    Raises LookupError with a name that is neither.
    """
    wanted = [part for name in names for part in name.replace(",", " ").split()]
    for name in wanted:
        if not any(name in (check.name, check.group) for check in table):
            raise LookupError(name)
    if not wanted:
        left_out = [*_ASKED_FOR, *([] if environ.get(CONTROLLER) else ["awx"])]
        return [check for check in table if check.group not in left_out]
    return [check for check in table if {check.name, check.group} & set(wanted)]


def _say(line: str) -> None:
    print(line, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run the checks that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m tools.check", allow_abbrev=False)
    parser.add_argument("--list", action="store_true", help="print the table of checks")
    parser.add_argument("names", nargs="*", metavar="NAME|GROUP", help="run only these")
    options = parser.parse_args(arguments)
    table = checks(files.known())
    try:
        table = chosen(table, options.names, os.environ)
    except LookupError as error:
        names = ", ".join(dict.fromkeys(name for row in table for name in (row.group, row.name)))
        _say(f"There is no check or group {error}; there are: {names}")
        return 2
    if options.list:
        for check in table:
            _say(f"{check.group:11} {check.name:13} {check.purpose}")
        return 0
    if not options.names and not os.environ.get(CONTROLLER):
        _say(f"Not run: controller, which needs an AWX. Next: set {CONTROLLER}, see docs/awx.md")
    with locked(BUILD / ".lock", _say):
        return 0 if run_all(table, lambda check: run(check, _say), _say) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
