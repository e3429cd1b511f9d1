# SPDX-License-Identifier: GPL-3.0-or-later
"""What every step of the set-up needs: progress, one process at a time, files that are whole."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

#: Takes one line for a person, without its newline.
Report = Callable[[str], None]

#: Seconds between two lines of a step that takes longer.
REPORT_EVERY = 10.0

_DETAIL = 80


@contextlib.contextmanager
def locked(path: Path, report: Report) -> Iterator[None]:
    """Hold the exclusive lock ``path``; while another process holds it, say so and wait.

    The kernel drops the lock with the process, so a crash leaves nothing that blocks the next run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"Waiting for another process that works in {path.parent}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """Give a path to write a file or a directory to; when the block ends well, it becomes ``path``.

    ``path`` is either absent (or the file it was) or whole and on disk. What a killed process left
    behind is removed by the next one, so two writers of one path need :func:`locked`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in path.parent.glob(f".{path.name}.*.partial"):
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}.", suffix=".partial", dir=path.parent
    ) as partial:
        target = Path(partial) / path.name
        yield target
        if target.is_dir():
            os.sync()
        else:
            _sync(target)
        target.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def run_with_progress(
    command: Sequence[str | Path],
    *,
    what: str,
    log: Path,
    report: Report,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a long command, its output in ``log``; say ``what`` and the elapsed seconds now and then.

    Returns the exit status. The command never outlives this process, not even when that is killed.
    """
    started = time.monotonic()
    due = started + REPORT_EVERY
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=environment,
        )
        try:
            while True:
                try:
                    return process.wait(timeout=max(0, due - time.monotonic()))
                except subprocess.TimeoutExpired:
                    due += REPORT_EVERY
                    seen = last_line(log)
                    detail = f" ({seen[:_DETAIL]})" if seen else ""
                    report(f"{what}: {time.monotonic() - started:.0f} s so far{detail}")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


def last_line(log: Path) -> str:
    """Return the last line of a log that is not blank; the empty string if there is none."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")
