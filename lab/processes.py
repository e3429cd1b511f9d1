# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting programs so that they can always be found again, and ending exactly those.

A process is known by its id and its start time: an id alone may have been given to a stranger
since. The record is written by the new process itself, in the lab's control groups already, before
it becomes the program; so there is no moment at which it runs and is not recorded.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import cgroups, shell
from lab.settings import Lab
from lab.shell import LabError

#: Joins the control groups, records itself, becomes the program. The lock of the lab comes in as
#: standard input and is let go with the last step: see ``shell.locked``.
_LAUNCHER: Final = """
set -e
record=$1; groups=$2; shift 2
while [ "$groups" -gt 0 ]; do
    echo $$ > "$1/cgroup.procs"
    groups=$((groups - 1)); shift
done
read -r stat < /proc/$$/stat
printf '%s\\n' "$stat" > "$record"
exec "$@" < /dev/null
"""

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """A process: its id and its start time in clock ticks since boot (proc(5), field 22)."""

    pid: int
    start: int

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.start / _TICKS

    def alive(self) -> bool:
        """Tell whether this very process still runs; one that only waits to be reaped does not."""
        seen = _read_stat(self.pid)
        return seen is not None and seen[0] == self and seen[1] not in "ZX"

    def stopped(self) -> bool:
        """Tell whether it was halted by a signal (SIGSTOP), so that it can't work."""
        seen = _read_stat(self.pid)
        return seen is not None and seen[0] == self and seen[1] in "Tt"


def parse_stat(line: str) -> tuple[Process, str]:
    """Read id, start time and state from a line of ``/proc/[pid]/stat``; see proc(5).

    The second field, the program's name in brackets, may contain anything, brackets too.
    Raises ValueError for anything that is no such line.
    """
    before, bracket, after = line.rpartition(")")
    fields = after.split()
    if not bracket or len(fields) < 20:
        raise ValueError(f"not a line of /proc/[pid]/stat: {line!r}")
    return Process(int(before.split(" ", 1)[0]), int(fields[19])), fields[0]


def _read_stat(pid: int) -> tuple[Process, str] | None:
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except (OSError, ValueError):
        return None


def find(pid: int) -> Process | None:
    """Return the process that has this id now, or None."""
    seen = _read_stat(pid)
    return seen[0] if seen else None


def _records(lab: Lab) -> Path:
    """Return the directory of the records of this time since the machine was started.

    Ids and start times begin anew with each start, so older records may fit anybody.
    """
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return lab.root / "run" / boot


def from_before_a_restart(lab: Lab) -> bool:
    """Tell whether the lab's programs were started before the machine was, so are no more."""
    return _records(lab).parent.is_dir() and not _records(lab).is_dir()


def recorded(lab: Lab, part: str) -> Process | None:
    """Return the process that was last started as this part, dead or alive; None if none was."""
    try:
        return parse_stat((_records(lab) / f"{part}.process").read_text())[0]
    except (OSError, ValueError):
        return None


def recorded_fingerprint(lab: Lab, part: str) -> str:
    """Return the fingerprint that this part was last started with; empty if it never was."""
    try:
        return (_records(lab) / f"{part}.fingerprint").read_text()
    except OSError:
        return ""


def start(
    lab: Lab,
    part: str,
    argv: Sequence[str],
    netns: str,
    *,
    fingerprint: str,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program as a part of the lab, in a network namespace of it.

    Its output is appended to the part's log. ``fingerprint`` stands for all that the start depends
    on, for ``recorded_fingerprint``. Returns at once. Raises LabError if there is no such
    namespace or no control groups.
    """
    namespace = Path("/run/netns") / netns
    if not namespace.exists():
        raise LabError(f"The network namespace {netns} is missing.")
    records = _records(lab)
    record = records / f"{part}.process"
    groups = [str(group) for group in cgroups.ensure(lab, f"{cgroups.PARTS}/{part}")]
    shell.write(records / f"{part}.fingerprint", fingerprint)
    # Until the new process has recorded itself there is none.
    record.unlink(missing_ok=True)
    lab.logs.mkdir(parents=True, exist_ok=True)
    with (lab.logs / f"{part}.log").open("ab") as log:
        return subprocess.Popen(
            [
                *("sh", "-c", _LAUNCHER, "sh", str(record), str(len(groups)), *groups),
                *("nsenter", f"--net={namespace}", "--", *argv),
            ],
            stdin=shell.first_lock(),
            stdout=log,
            stderr=log,
            env={**shell.ENVIRONMENT, **(environment or {})},
            cwd=lab.root,
            start_new_session=True,
        )


def _open(process: Process) -> int | None:
    """Open a descriptor that stands for exactly this process; None if it is gone."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return None
    # Only now is the id pinned: whoever has it and started then is the one that was meant.
    if find(process.pid) != process:
        os.close(descriptor)
        return None
    return descriptor


def send(process: Process, number: signal.Signals) -> None:
    """Send a signal to exactly this process; nothing happens if it is gone."""
    descriptor = _open(process)
    if descriptor is None:
        return
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def end(
    processes: Iterable[Process],
    *,
    grace: float = 0.0,
    timeout: float = 5.0,
    still_ours: Callable[[Process], bool] = lambda _: True,
) -> None:
    """End processes and wait until they have.

    They get SIGTERM and ``grace`` seconds, then SIGKILL. ``still_ours`` is asked about each
    once its identity is pinned. Raises LabError if one outlives SIGKILL by ``timeout`` seconds.
    """
    opened: dict[int, Process] = {}
    try:
        for process in processes:
            descriptor = _open(process)
            if descriptor is None:
                continue
            opened[descriptor] = process
            if not still_ours(process):
                del opened[descriptor]
                os.close(descriptor)
        left = set(opened)
        if grace:
            left = _signal_and_wait(left, signal.SIGTERM, grace)
        left = _signal_and_wait(left, signal.SIGKILL, timeout)
        if left:
            stuck = opened[left.pop()]
            raise LabError(f"The process {stuck.pid} does not end, not even by SIGKILL.")
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _signal_and_wait(descriptors: set[int], number: signal.Signals, seconds: float) -> set[int]:
    """Send a signal and return the descriptors of the processes that are left after the time."""
    poll = select.poll()
    for descriptor in descriptors:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
        poll.register(descriptor, select.POLLIN)
    left = set(descriptors)
    deadline = time.monotonic() + seconds
    while left and (remaining := deadline - time.monotonic()) > 0:
        for descriptor, __ in poll.poll(remaining * 1000):
            poll.unregister(descriptor)
            left.discard(descriptor)
    return left


def end_members(lab: Lab, below: str = "", *, timeout: float = 5.0) -> int:
    """End every process in the lab's control groups below a path; return how many there were.

    Repeats until the groups are empty: what is being ended may still start others.
    """
    count = 0
    deadline = time.monotonic() + timeout
    while members := cgroups.members(lab, below) - {os.getpid()}:
        found = [process for pid in members if (process := find(pid))]
        end(found, still_ours=lambda process: cgroups.contains(lab, process.pid, below))
        count += len(found)
        if time.monotonic() > deadline:
            raise LabError(
                f"Processes keep appearing in the control group {lab.cgroup}/{below}".rstrip("/")
                + "."
            )
        time.sleep(0.005)
    return count
