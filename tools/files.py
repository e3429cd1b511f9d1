# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the checkout: what git tracks or would add."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from lab.settings import REPOSITORY

#: The link through which a checkout's playbooks find the collection. It leads back to the root.
SELF: Final = "playbooks/collections/"


def known(root: Path = REPOSITORY) -> list[str]:
    """Return the paths of all files, relative to the root and sorted."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    paths = sorted(set(listed.split("\0")) - {""})
    return [path for path in paths if (root / path).is_file() and not path.startswith(SELF)]


def matching(paths: Iterable[str], *patterns: str) -> list[str]:
    """Return the paths whose last part matches one of the patterns."""
    return [
        path for path in paths if any(fnmatch(Path(path).name, pattern) for pattern in patterns)
    ]


def shell_scripts(paths: Iterable[str], root: Path = REPOSITORY) -> list[str]:
    """Return the paths of shell scripts, by their name or first line."""
    found = []
    for path in paths:
        with (root / path).open("rb") as file:
            first = file.readline(80).split()
        runs_in_shell = first[:1] and first[0].startswith(b"#!") and first[-1].endswith(b"sh")
        if path.endswith((".sh", ".bash")) or runs_in_shell:
            found.append(path)
    return found
