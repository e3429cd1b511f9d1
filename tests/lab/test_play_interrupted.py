# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed half-way, and two at the same time: whatever comes next converges."""

from __future__ import annotations

import os
import random
import re
import secrets
import signal
import subprocess
import time
from itertools import takewhile
from pathlib import Path

import pytest

from tests.lab.playbooks import Playbooks, Run

#: The tasks that change the cluster or wait for it. Each is cut once.
ACTIVE = {
    "deploy": (
        "Apply the namespace",
        "Apply the Deployment",
        "Apply the Service",
        "Apply the Ingress",
        "Wait for pods and address",
    ),
    "teardown": (
        "Apply the Ingress",
        "Apply the Service",
        "Apply the Deployment",
        "Wait until the objects are gone",
        "Apply the namespace",
    ),
}
#: Seconds at most between a task's first line and the kill, about what a task takes
LONGEST = 0.9


def _parents() -> dict[int, int]:
    """Process to parent process, of all that there are."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The command stands in brackets and can hold anything.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            found[int(entry.name)] = int(fields[1])
    return found


def _kill_all(root: int) -> None:
    """Kill a process and all that it has started, whatever sessions these are in.

    Each is stopped before its children are looked for, so that none starts another one meanwhile.
    """
    stopped: set[int] = set()
    found = {root}
    while found:
        for process in found:
            os.kill(process, signal.SIGSTOP)
        stopped |= found
        found = {one for one, parent in _parents().items() if parent in stopped} - stopped
    for process in stopped:
        os.kill(process, signal.SIGKILL)


def _start(playbooks: Playbooks, name: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        playbooks.command("operator", *playbooks.playbook(name, *arguments)),
        cwd=Path(__file__).parents[2],
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> Run:
    """The run, which goes on to its own end."""
    output = process.communicate(timeout=300)[0]
    assert "Traceback" not in output, output
    return Run(process.returncode, output, 0)


def _cut(playbooks: Playbooks, name: str, task: str, delay: float) -> str:
    """Kill a run so many seconds after it has begun a task; whether it was still under way."""
    with _start(playbooks, name) as process:
        assert process.stdout is not None
        heading = re.compile(rf"TASK \[(\S+ : )?{re.escape(task)}")
        said = list(takewhile(lambda line: not heading.match(line), process.stdout))
        time.sleep(delay)
        if process.poll() is not None:
            assert process.returncode == 0, "".join(said)
            return "over by then"
        _kill_all(process.pid)
        assert process.wait(timeout=30) == -signal.SIGKILL
        return "killed"


def test_ten_runs_are_killed_and_the_next_one_converges(own: Playbooks) -> None:
    seed = int(os.environ.get("REAL_IP_SEED") or secrets.randbelow(10**6))
    print(f"REAL_IP_SEED={seed}")
    chosen = random.Random(seed)
    before = own.namespaces()
    cuts = {name: chosen.sample(tasks, len(tasks)) for name, tasks in ACTIVE.items()}
    for both in zip(*cuts.values(), strict=True):
        for name, task in zip(cuts, both, strict=True):
            delay = chosen.uniform(0, LONGEST)
            how = _cut(own, name, task, delay)
            print(f"{name}: {delay:.2f} s after {task!r}: {how}")
            run = own.run(name)
            assert run.status == 0, run.output
            if name == "deploy":
                again = own.run(name)
                assert (again.status, again.changed) == (0, 0), again.output
        assert own.namespaces() == before


#: How a run says that another one was faster
CONFLICT = re.compile("another run or a person|is being deleted: ")


def _green_or_in_conflict(*runs: Run) -> None:
    for run in runs:
        told = next((line for line in run.output.splitlines() if CONFLICT.search(line)), "")
        print(run.status, told)
        assert run.status == 0 or told, run.output


def _converges(own: Playbooks, *arguments: str) -> None:
    run = own.run("deploy", *arguments)
    assert run.status == 0, run.output
    again = own.run("deploy", *arguments)
    assert (again.status, again.changed) == (0, 0), again.output


# The server tells times in seconds, so two runs see each other's only a second apart.
@pytest.mark.parametrize("head_start", [0.0, 1.5])
def test_two_deploys_at_the_same_time(own: Playbooks, head_start: float) -> None:
    first = _start(own, "deploy")
    time.sleep(head_start)
    second = _start(own, "deploy")
    runs = (_end(first), _end(second))
    assert [run.status for run in runs] == [0, 0], [run.output for run in runs]
    again = own.run("deploy")
    assert (again.status, again.changed) == (0, 0), again.output


def test_two_deploys_of_different_scenarios(own: Playbooks) -> None:
    other = ("-e", "real_ip_scenario=gr-clb-direct-pod")
    first, second = _start(own, "deploy"), _start(own, "deploy", *other)
    _green_or_in_conflict(_end(first), _end(second))
    _converges(own, *other)
    kinds = own.kubectl("get", "ingresses,services", "-n", own.namespace, "-o", "name")
    assert kinds.split() == ["service/real-ip-service"]


@pytest.mark.parametrize("head_start", [0.0, 1.5])
def test_a_deploy_beside_a_teardown(own: Playbooks, head_start: float) -> None:
    assert own.run("deploy").status == 0
    teardown = _start(own, "teardown")
    time.sleep(head_start)
    deploy = _start(own, "deploy")
    _green_or_in_conflict(_end(teardown), _end(deploy))
    run = own.run("teardown")
    assert run.status == 0, run.output
    assert f"namespace/{own.namespace}" not in own.namespaces()
    _converges(own)


def test_two_teardowns_at_the_same_time(own: Playbooks) -> None:
    before = own.namespaces()
    assert own.run("deploy").status == 0
    first, second = _start(own, "teardown"), _start(own, "teardown")
    runs = (_end(first), _end(second))
    assert [run.status for run in runs] == [0, 0], [run.output for run in runs]
    assert own.namespaces() == before
