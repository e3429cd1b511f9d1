# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of the lab: one long-running program, whether it is well, and making it so."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import cgroups, network, processes
from lab.api import Unanswered
from lab.processes import Process
from lab.settings import Lab
from lab.shell import LabError

#: Seconds between two looks at something that is awaited.
POLL: Final = 0.1

#: Seconds that a part may need until it is well, on a busy machine with slow disks.
START_TIMEOUT: Final = 90.0

#: A part that has run for long and isn't well may just be busy; after as many seconds it isn't.
_SECOND_LOOK: Final = 15.0

#: What a line has that tells why a program ended; what Go prints after it is where.
_TELLING: Final = re.compile(r"panic:|fatal|error|failed", re.IGNORECASE)

#: Seconds that a part gets to end by itself before it is killed.
_GRACE: Final = 1.0


@dataclass(frozen=True)
class Part:
    """One program of the lab.

    ``check`` returns a short detail if the part is well, else raises Unanswered. ``needs`` names
    steps that must be done before it can start. ``reads`` are files whose change calls for a
    restart. ``orphans`` tells that its children must outlive it.
    """

    name: str
    host: str
    argv: tuple[str, ...]
    check: Callable[[], str]
    needs: tuple[str, ...] = ()
    reads: tuple[Path, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    orphans: bool = False


@dataclass(frozen=True)
class State:
    """How something is: ``process`` only of parts that run; ``detail`` is for people."""

    name: str
    healthy: bool
    detail: str
    process: Process | None = None


def fingerprint(lab: Lab, part: Part) -> str:
    """Return a text that changes with everything that a start of the part depends on."""
    # Any Python that runs the lab will do; the one that started a part is as good as this.
    argv = ["python" if word == sys.executable else word for word in part.argv]
    # Builds of one version are equal wherever they stand, those of two differ in size.
    program = Path(part.argv[0])
    build = program.stat().st_size if program.is_relative_to(lab.bin) else None
    digest = hashlib.sha256(repr((argv, part.environment, build)).encode())
    for path in part.reads:
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def running(lab: Lab, part: Part) -> State:
    """Tell whether the part's process runs as it should, without asking it anything."""
    process = processes.recorded(lab, part.name)
    if process is None:
        return State(part.name, False, "not started")
    if not process.alive():
        return State(part.name, False, f"ended; see `logs {part.name}`")
    if process.stopped():
        return State(part.name, False, "halted by a signal", process)
    if network.inode_of(process.pid) != network.inode(lab.netns(part.host)):
        return State(part.name, False, "in a network namespace that is gone", process)
    return State(part.name, True, "runs", process)


def inspect(lab: Lab, part: Part) -> State:
    """Tell how the part is: whether its process runs, and what the part itself says."""
    state = running(lab, part)
    if not state.healthy:
        return state
    try:
        return State(part.name, True, part.check(), state.process)
    except Unanswered as error:
        return State(part.name, False, str(error), state.process)


def stop(lab: Lab, part: Part) -> None:
    """End what is left of the part: its process, and its children unless they must outlive it."""
    process = processes.recorded(lab, part.name)
    if process is not None:
        processes.end([process], grace=_GRACE)
    if not part.orphans:
        processes.end_members(lab, f"{cgroups.PARTS}/{part.name}")


def bring_up(lab: Lab, part: Part, cancelled: threading.Event) -> str | None:
    """Make the part run and be well; return its detail, or None if it already did and was.

    Raises LabError if it ends, or isn't well in time.
    """
    wanted = fingerprint(lab, part)
    seen = running(lab, part)
    if seen.healthy and seen.process and processes.recorded_fingerprint(lab, part.name) == wanted:
        state = inspect(lab, part)
        if state.healthy:
            return None
        starting = seen.process.age < START_TIMEOUT
        state = _settled(lab, part, START_TIMEOUT if starting else _SECOND_LOOK, cancelled)
        if state.healthy:
            return state.detail
    stop(lab, part)
    child = processes.start(
        lab,
        part.name,
        part.argv,
        lab.netns(part.host),
        fingerprint=wanted,
        environment=dict(part.environment),
    )
    state = _settled(lab, part, START_TIMEOUT, cancelled, child)
    if state.healthy:
        return state.detail
    see = f"see `{lab.command(f'logs {part.name}')}`"
    if child.poll() is not None:
        raise LabError(f"{part.name} ended right after its start; {see}{_last_line(lab, part)}.")
    raise LabError(f"{part.name} is not well after {START_TIMEOUT:.0f} s ({state.detail}); {see}.")


def _settled(
    lab: Lab,
    part: Part,
    seconds: float,
    cancelled: threading.Event,
    child: subprocess.Popen[bytes] | None = None,
) -> State:
    """Wait until the part is well, or certainly won't be, or the time has passed."""
    deadline = time.monotonic() + seconds
    while True:
        # A child is reaped by asking it, or it would stay a zombie as long as this program runs.
        gone = child.poll() is not None if child else not running(lab, part).healthy
        state = inspect(lab, part)
        if state.healthy or gone or time.monotonic() > deadline:
            return state
        if cancelled.wait(POLL):
            raise LabError(f"{part.name} was not waited for.")


def _last_line(lab: Lab, part: Part) -> str:
    """Return the line of a log that most likely tells why a program ended, in brackets."""
    lines = (lab.logs / f"{part.name}.log").read_text(errors="replace").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)] or lines
    return f" (it says: {telling[-1][:300]})" if telling else ""
