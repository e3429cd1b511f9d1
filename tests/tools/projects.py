# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository as a project of AWX."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from lab.settings import REPOSITORY
from tools import files


def checked_out(project: Path) -> Path:
    """Make ``project`` what a clone is; the link in it by which playbooks find the collection."""
    for name in files.known():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, project / name)
    link = project / files.SELF / "ansible_collections" / "kestrel" / "real_ip"
    link.parent.mkdir(parents=True)
    link.symlink_to(os.readlink(REPOSITORY / link.relative_to(project)))
    return link


def updated(project: Path, collections: Path) -> None:
    """Install what AWX installs with each update; what galaxy.yml depends on is there already."""
    subprocess.run(
        [
            *("ansible-galaxy", "collection", "install", "-r", "collections/requirements.yml"),
            *("-p", str(collections), "--offline"),
        ],
        cwd=project,
        check=True,
        capture_output=True,
    )
