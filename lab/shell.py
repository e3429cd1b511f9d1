# SPDX-License-Identifier: GPL-3.0-or-later
"""Short-lived commands, work in parallel, and the one exception of everything that can fail."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from lab.packages import DIRECTORIES

#: How long a command that should take milliseconds may hang before it counts as failed.
PATIENCE: Final = 60.0

#: What started programs see of the environment. Proxy settings in particular would send image
#: pulls and API calls out of the lab's namespaces, where nothing answers.
ENVIRONMENT: Final[Mapping[str, str]] = {
    "PATH": os.pathsep.join((os.environ.get("PATH") or os.defpath, *DIRECTORIES)),
    "HOME": "/root",
    "LANG": "C.UTF-8",
}

#: The descriptors of locks that are held. Every command inherits them: if this program is killed,
#: whoever waits for the lock also waits for its last commands.
_locks: list[int] = []

T = TypeVar("T")
R = TypeVar("R")


class LabError(Exception):
    """Something failed while the lab was worked on: one sentence for the user, exit 1."""


@contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock file, and let every command started meanwhile hold it too.

    The file goes away with the last holder's ``unlink``, so a lock counts only if its file is
    still the one at ``path``. ``waiting`` is called once if somebody else holds the lock.
    """
    descriptor = _lock(path, waiting)
    _locks.append(descriptor)
    try:
        yield
    finally:
        _locks.remove(descriptor)
        os.close(descriptor)


def _lock(path: Path, waiting: Callable[[], None]) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            # The last lab went away, and took the directory along, since the line above.
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def first_lock() -> int:
    """Return the descriptor of the outermost lock held, or one of the null device."""
    return _locks[0] if _locks else subprocess.DEVNULL


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str = "",
    timeout: float = PATIENCE,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a command and return what it wrote to its standard output.

    Raises LabError with the command and the end of its standard error if the program is missing,
    takes longer than ``timeout`` seconds or exits with anything but 0.
    """
    words = [str(word) for word in argv]
    shown = shlex.join(words)
    if len(shown) > 200:
        shown = shown[:200] + "…"
    try:
        done = subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env={**ENVIRONMENT, **(environment or {})},
            pass_fds=_locks,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"The program {words[0]} is missing.") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{shown}` did not end within {timeout:g} s.") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split()[-60:]) or "nothing on its standard error"
        raise LabError(f"`{shown}` failed with exit code {done.returncode}: {said}")
    return done.stdout


def parallel(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Apply ``function`` to all items at the same time; results in their order.

    Raises the exception of the first item that failed, after all have ended.
    """
    listed = list(items)
    if not listed:
        return []
    with ThreadPoolExecutor(max_workers=len(listed)) as pool:
        return list(pool.map(function, listed))


def write(path: Path, text: str, mode: int = 0o644) -> bool:
    """Write a file so that it is never seen half done; True if that changed its content.

    Its directory is created; ``mode`` holds from the first byte on.
    """
    if path.exists() and path.read_text() == text:
        path.chmod(mode)
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    draft.replace(path)
    return True
