# SPDX-License-Identifier: GPL-3.0-or-later
"""Write requirements/dev.txt from requirements/dev.in, or check that nobody forgot to.

    python -m tools.lock write [--upgrade]
    python -m tools.lock check

The lock's first line holds the digest of the file that it was made from, so the check needs no
package registry: it fails as soon as dev.in says something else than when the lock was made.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from lab.settings import REPOSITORY

WANTED = Path("requirements/dev.in")
LOCK = Path("requirements/dev.txt")


def heading(wanted: bytes) -> str:
    """Return the first line of a lock made from these requirements."""
    return f"# Made by `make lock` from dev.in, sha256 {hashlib.sha256(wanted).hexdigest()}\n"


def is_current(wanted: bytes, lock: str) -> bool:
    """Say whether a lock was made from these requirements."""
    return lock.startswith(heading(wanted))


def write(root: Path, options: list[str]) -> None:
    """Resolve dev.in for every Python from 3.11 on and every platform, with hashes.

    Versions that the lock already has stay as they are unless ``--upgrade`` is given.
    """
    compiled = ["uv", "pip", "compile", "--universal", "--python-version", "3.11"]
    compiled += ["--generate-hashes", "--only-binary", ":all:"]
    compiled += ["--no-header", "--no-emit-index-url", "--no-emit-find-links"]
    compiled += ["--quiet", "--output-file", str(LOCK), *options, str(WANTED)]
    subprocess.run(compiled, cwd=root, check=True)
    lock = root / LOCK
    lock.write_text(heading((root / WANTED).read_bytes()) + lock.read_text())


def main(arguments: list[str]) -> int:
    """Run one of the two commands; return the exit status."""
    match arguments:
        case ["write", *options]:
            write(REPOSITORY, options)
        case ["check"]:
            wanted, lock = (REPOSITORY / WANTED).read_bytes(), (REPOSITORY / LOCK).read_text()
            if not is_current(wanted, lock):
                print(f"{WANTED} was changed after {LOCK} had been made from it. Next: make lock")
                return 1
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
