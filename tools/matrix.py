# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the collection with every ansible-core that it supports, and on two Kubernetes.

    python -m tools.matrix [--list] [WORD …]

Each ansible-core has a lock of its own in requirements/, and runs on each CPython that it supports
and that is found here: the unit tests on all of them, sanity on the newest, the probe on a target
with Python 3.9, and the playbooks on the test cluster. With words, only rows that have all of them,
such as ``units 2.17``. The last lines are a table of all rows, and what could not be run says why;
the exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lab import binaries
from lab.errors import SetupError
from lab.settings import CACHE, REPOSITORY
from lab.steps import locked, run_with_progress
from tools import check, collection, environment

Version = tuple[int, int]

#: Oldest and newest CPython of the controller, as ansible-core's release notes have them.
CORES: Final[Mapping[str, tuple[Version, Version]]] = {
    "2.17": ((3, 10), (3, 12)),
    "2.18": ((3, 11), (3, 13)),
    "2.19": ((3, 11), (3, 13)),
    "2.20": ((3, 12), (3, 14)),
    "2.21": ((3, 12), (3, 14)),
}

#: The oldest Python of a host that modules are sent to, see tests/config.yml.
TARGET: Final = collection.OLDEST_TARGET

#: What is run on the test cluster: both layers, a change from one to the other, and what else
#: differs most. All of the playbooks' tests would take an hour for each row.
PLAYS: Final = (
    "tests/lab/test_play_scenarios.py::test_layer_7[gr-clb-non-direct-pod]",
    "tests/lab/test_play_scenarios.py::test_a_load_balancer_of_whoever_makes_one",
    "tests/lab/test_play_scenarios.py::test_another_scenario_converges",
)

LAB: Final = "matrix"
LOGS: Final = check.LOGS / "matrix"
JUNIT: Final = check.JUNIT / "matrix"


@dataclass(frozen=True)
class Row:
    """One run: what, with which ansible-core, on which CPython; ``kubernetes`` of the playbooks."""

    what: str
    core: str
    python: str
    kubernetes: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """What the row can be named by."""
        return tuple(filter(None, (self.what, self.core, self.python, self.kubernetes)))

    @property
    def name(self) -> str:
        """A name for its files."""
        return "-".join(self.words)


@dataclass(frozen=True)
class Outcome:
    """What came of a row: ``state`` is ok, FAILED or not run, and ``detail`` says more."""

    state: str
    detail: str
    seconds: float = 0.0


def short(version: Version) -> str:
    """Return a version as interpreters and options name it."""
    return ".".join(map(str, version))


def rows(found: Sequence[Version]) -> list[Row]:
    """Return the table for the CPythons that are found, those that aren't included."""
    table = []
    for core, (oldest, newest) in CORES.items():
        supported = [(3, minor) for minor in range(oldest[1], newest[1] + 1)]
        table += [Row("units", core, short(version)) for version in supported]
    newest_kubernetes, *__, oldest_kubernetes = binaries.KUBERNETES
    for core in CORES:
        # Without any, the row stays and says so.
        python = short(_newest(core, found))
        table.append(Row("sanity", core, python))
        table.append(Row("target", core, python))
        table.append(Row("playbooks", core, python, newest_kubernetes))
    # One cluster after the other, as two don't fit onto a small machine.
    for core in (min(CORES), max(CORES)):
        table.append(Row("playbooks", core, short(_newest(core, found)), oldest_kubernetes))
    return table


def _newest(core: str, found: Sequence[Version]) -> Version:
    oldest, newest = CORES[core]
    return max((one for one in found if oldest <= one <= newest), default=newest)


# --- One row --------------------------------------------------------------------------------------


class Runs:
    """Runs rows, each in the environment of its ansible-core and CPython."""

    def __init__(self, interpreters: Mapping[Version, environment.Interpreter]) -> None:
        self.interpreters = interpreters
        #: Of the development environment, which has those that ours imports from.
        self.collections = os.environ["ANSIBLE_COLLECTIONS_PATH"]
        self.kubernetes = ""

    def run(self, row: Row) -> Outcome:
        """Run one row."""
        major, minor = map(int, row.python.split("."))
        interpreter = self.interpreters.get((major, minor))
        if interpreter is None:
            return Outcome("not run", f"CPython {row.python} is not found here")
        lock = REPOSITORY / "requirements" / f"core-{row.core}.txt"
        try:
            venv = environment.ensure(interpreter, lock, CACHE, _say)
        except SetupError as error:
            return Outcome("FAILED", str(error))
        started = time.monotonic()
        try:
            state, detail = _RUN[row.what](self, row, venv)
        except SetupError as error:
            state, detail = "FAILED", str(error)
        return Outcome(state, detail, time.monotonic() - started)

    def variables(self, venv: Path) -> dict[str, str]:
        """Return the environment variables of what runs in an environment."""
        own = environment.variables(venv, os.environ)
        return {**own, "ANSIBLE_COLLECTIONS_PATH": self.collections, "NO_COLOR": "1"}

    def command(
        self, row: Row, command: Sequence[str | Path], cwd: Path, variables: Mapping[str, str]
    ) -> tuple[int, Path]:
        """Run a command; return its exit status and where its output is."""
        log = LOGS / f"{row.name}.log"
        status = run_with_progress(
            ["timeout", "--kill-after=30", "20m", *command],
            what=f"  {row.name}",
            log=log,
            report=_say,
            cwd=cwd,
            environment=variables,
        )
        return status, log

    # What there is to run

    def units(self, row: Row, venv: Path) -> tuple[str, str]:
        """The unit tests of the plugins."""
        copy = collection.lay_out(collection.copy_for("units"))
        options = ("--color", "no", "--local", "--python", row.python)
        command: list[str | Path] = [venv / "bin" / "ansible-test", "units", *options]
        status, log = self.command(row, command, copy, self.variables(venv))
        return self._counted(status, log, copy / "tests" / "output" / "junit")

    def sanity(self, row: Row, venv: Path) -> tuple[str, str]:
        """ansible-test's own checks, which also import modules with the oldest Python found."""
        words = ("-m", "tools.collection", "sanity")
        command: list[str | Path] = [venv / "bin" / "python", *words]
        status, log = self.command(row, command, REPOSITORY, self.variables(venv))
        # What it leaves out it says, and that has failed; see tools.collection.
        return _judged(status, log, "every test")

    def target(self, row: Row, venv: Path) -> tuple[str, str]:
        """The probe on a host with the oldest Python, of an echo app that has it as well."""
        python = self.interpreters.get(TARGET)
        if python is None:
            return "not run", f"CPython {short(TARGET)} is not found here"
        with _echo_app(python.path) as port:
            options = {
                "url": f"http://127.0.0.1:{port}/",
                "layer": "l4",
                "vantage": "outside",
                "expected_source": ["127.0.0.1"],
                "cluster_addresses": {"nodes": [], "pods": [], "services": []},
            }
            command: list[str | Path] = [
                *(venv / "bin" / "ansible", "localhost", "-m", "kestrel.real_ip.source_ip_info"),
                *("-a", json.dumps(options), "--playbook-dir", REPOSITORY / "playbooks"),
                *("-e", f"ansible_python_interpreter={python.path}"),
            ]
            status, log = self.command(row, command, REPOSITORY, self.variables(venv))
        said = log.read_text()
        if status == 0 and all(one in said for one in _ON_LOOPBACK):
            return "ok", f"probed and judged on {python.full}"
        return "FAILED", f"the probe on {python.full} said something else; see {log}"

    def playbooks(self, row: Row, venv: Path) -> tuple[str, str]:
        """Playbooks on the test cluster."""
        if self.kubernetes not in ("", row.kubernetes):
            self.lab_down()
        self.kubernetes = row.kubernetes
        junit = JUNIT / row.name
        variables = {
            **os.environ,
            "REAL_IP_ANSIBLE": str(venv / "bin"),
            "REAL_IP_LAB": LAB,
            "REAL_IP_LAB_KEEP": "1",
            binaries.KUBERNETES_VARIABLE: row.kubernetes,
        }
        command = ["pytest", "-q", f"--junit-xml={junit / 'pytest.xml'}", *PLAYS]
        status, log = self.command(row, command, REPOSITORY, variables)
        return self._counted(status, log, junit)

    def _counted(self, status: int, log: Path, junit: Path) -> tuple[str, str]:
        passed, failures = check.count(sorted(junit.glob("*.xml")))
        if status == 0 and passed and not failures:
            return "ok", f"{passed} passed"
        said = failures[0] if failures else f"exit status {status}"
        return "FAILED", f"{passed} passed, {len(failures)} failed: {said}; see {log}"

    def lab_down(self) -> None:
        """Take the test cluster down, if a row has put it up."""
        if self.kubernetes:
            down = [sys.executable, "-m", "lab", "--name", LAB, "down"]
            subprocess.run(down, cwd=REPOSITORY, check=False)
            self.kubernetes = ""


#: What the probe says of an app on loopback: all answers show the address, and it is asked from
#: where the app runs, which proves nothing.
_ON_LOOPBACK: Final = ('"code": "V404"', '"127.0.0.1": 10', '"verdict": "unproven"')


def _judged(status: int, log: Path, detail: str) -> tuple[str, str]:
    return ("ok", detail) if status == 0 else ("FAILED", f"exit status {status}; see {log}")


@contextmanager
def _echo_app(python: Path) -> Iterator[int]:
    """The port of loopback at which the bundled echo app answers meanwhile."""
    app = REPOSITORY / "roles" / "deployment" / "files" / "echo.py"
    own = {"POD_NAME": "pod-1", "NODE_NAME": "node-1", "POD_NAMESPACE": "a", "KESTREL_PORT": "0"}
    process = subprocess.Popen(
        [python, "-I", "-B", app],
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        found = re.match(r"echo: http on port (\d+), Python ", line)
        if found is None:
            raise SetupError(f"{python} doesn't run {app}: {line!r}")
        yield int(found[1])
    finally:
        process.terminate()
        process.wait(10)


_RUN: Final = {
    "units": Runs.units,
    "sanity": Runs.sanity,
    "target": Runs.target,
    "playbooks": Runs.playbooks,
}


# --- All rows -------------------------------------------------------------------------------------


def table(outcomes: Sequence[tuple[Row, Outcome]]) -> list[str]:
    """Return the lines of the table."""
    head = ("WHAT", "ANSIBLE-CORE", "CPYTHON", "KUBERNETES", "RESULT", "SECONDS", "")
    lines = [
        (
            row.what,
            row.core,
            row.python,
            row.kubernetes or "-",
            outcome.state,
            f"{outcome.seconds:.0f}",
            outcome.detail,
        )
        for row, outcome in outcomes
    ]
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *lines)
    ]


def chosen(every: Sequence[Row], words: Sequence[str]) -> list[Row]:
    """Return the rows that have all of the words."""
    return [row for row in every if set(words) <= set(row.words)]


def _outside(one: environment.Interpreter) -> environment.Interpreter:
    """Return the interpreter that the development environment was made with in place of its own."""
    if not one.path.is_relative_to(sys.prefix):
        return one
    return replace(one, path=Path(sys.base_prefix) / "bin" / f"python{one.short}")


def _say(line: str) -> None:
    print(line, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run the rows that the words name."""
    parser = argparse.ArgumentParser(prog="python -m tools.matrix", allow_abbrev=False)
    parser.add_argument("--list", action="store_true", help="print the rows")
    parser.add_argument("words", nargs="*", metavar="WORD", help="run only rows that have them")
    options = parser.parse_args(arguments)
    oldest = min(TARGET, *(span[0] for span in CORES.values()))
    newest = max(span[1] for span in CORES.values())
    interpreters: dict[Version, environment.Interpreter] = {}
    for one in environment.find(os.environ, oldest, newest):
        interpreters.setdefault(one.version[:2], _outside(one))
    wanted = chosen(rows(list(interpreters)), options.words)
    if not wanted:
        _say(f"No row has {' '.join(options.words)}; --list shows them all.")
        return 2
    if options.list:
        for row in wanted:
            _say(" ".join(row.words))
        return 0
    for version in range(oldest[1], newest[1] + 1):
        _say(f"CPython 3.{version}: {interpreters.get((3, version)) or 'not found here'}")
    runs = Runs(interpreters)
    outcomes = []
    with locked(environment.BUILD / ".lock", _say):
        try:
            for number, row in enumerate(wanted, 1):
                _say(f"[{number}/{len(wanted)}] {' '.join(row.words)}")
                outcome = runs.run(row)
                _say(f"  {outcome.state}: {outcome.detail}")
                outcomes.append((row, outcome))
        finally:
            runs.lab_down()
            _say("")
            for line in table(outcomes):
                _say(line)
    failed = sum(outcome.state == "FAILED" for __, outcome in outcomes)
    run = sum(outcome.state != "not run" for __, outcome in outcomes)
    _say("")
    _say(f"{run - failed} passed, {failed} failed")
    return int(failed > 0 or run == 0)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
