# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the locks in requirements/ from what is wanted there, or check that nobody forgot to.

    python -m tools.lock write [--upgrade]
    python -m tools.lock check

A lock's first line holds the digest of the file that it was made from, so the check needs no
package registry: it fails as soon as dev.in says something else than when dev.txt was made.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from lab.settings import REPOSITORY

DIRECTORY = Path("requirements")

#: Name of each lock, and the oldest Python that it is for.
LOCKS = {
    "dev": "3.11",
    "ee": "3.11",
    "eda": "3.11",
    "fuzz": "3.12",
    "release": "3.11",
    "site": "3.11",
    # As tools/matrix.py has them: what the controller of each runs on.
    "core-2.17": "3.10",
    "core-2.18": "3.11",
    "core-2.19": "3.11",
    "core-2.20": "3.12",
    "core-2.21": "3.12",
}


def heading(wanted: bytes, name: str = "dev") -> str:
    """Return the first line of a lock made from these requirements."""
    return f"# Made by `make lock` from {name}.in, sha256 {hashlib.sha256(wanted).hexdigest()}\n"


def is_current(wanted: bytes, lock: str, name: str = "dev") -> bool:
    """Say whether a lock was made from these requirements."""
    return lock.startswith(heading(wanted, name))


def wanted_by(root: Path, name: str) -> bytes:
    """Return what is wanted for a lock: its own file, with those that this one includes."""
    own = (root / DIRECTORY / f"{name}.in").read_bytes()
    included = re.findall(rb"^-r (\S+)$", own, re.MULTILINE)
    return own + b"".join((root / DIRECTORY / one.decode()).read_bytes() for one in included)


def write(root: Path, name: str, oldest: str, options: list[str]) -> None:
    """Resolve one file for every Python from the oldest on and every platform, with hashes.

    Versions that the lock already has stay as they are unless ``--upgrade`` is given.
    """
    wanted, lock = DIRECTORY / f"{name}.in", DIRECTORY / f"{name}.txt"
    compiled = ["uv", "pip", "compile", "--universal", "--python-version", oldest]
    compiled += ["--generate-hashes", "--only-binary", ":all:"]
    compiled += ["--no-header", "--no-emit-index-url", "--no-emit-find-links"]
    compiled += ["--quiet", "--output-file", str(lock), *options, str(wanted)]
    subprocess.run(compiled, cwd=root, check=True)
    made = (root / lock).read_text()
    (root / lock).write_text(heading(wanted_by(root, name), name) + made)


def _is_current(root: Path, name: str) -> bool:
    lock = root / DIRECTORY / f"{name}.txt"
    return lock.exists() and is_current(wanted_by(root, name), lock.read_text(), name)


def main(arguments: list[str]) -> int:
    """Run one of the two commands; return the exit status."""
    match arguments:
        case ["write", *options]:
            for name, oldest in LOCKS.items():
                write(REPOSITORY, name, oldest, options)
        case ["check"]:
            old = [name for name in LOCKS if not _is_current(REPOSITORY, name)]
            for name in old:
                changed, lock = DIRECTORY / f"{name}.in", DIRECTORY / f"{name}.txt"
                print(f"{changed} was changed after {lock} had been made from it. Next: make lock")
            return 1 if old else 0
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
