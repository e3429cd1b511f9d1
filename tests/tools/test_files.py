# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are checked, copied and shipped, and whether the lock is current."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab.settings import REPOSITORY
from tools import collection, files, lock


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a file of each sort, and the link back to the root."""
    root = tmp_path / "checkout"
    for path, text in {
        ".gitignore": "/build/\n",
        "build/made": "",
        "tracked.py": "",
        "deleted.py": "",
        "new file.md": "",
        "run": "#!/usr/bin/env bash\n",
        "install.sh": "echo\n",
        "tool": "#!/usr/bin/python3\n",
        "empty": "",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    link = root / files.SELF / "ansible_collections/kestrel/real_ip"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../../../..")
    for words in (["init", "-q"], ["add", "tracked.py", "deleted.py", files.SELF]):
        subprocess.run(["git", *words], cwd=root, check=True)
    (root / "deleted.py").unlink()
    return root


def test_known_are_tracked_and_new_files_that_exist(checkout: Path) -> None:
    assert files.known(checkout) == [
        ".gitignore",
        "empty",
        "install.sh",
        "new file.md",
        "run",
        "tool",
        "tracked.py",
    ]


def test_shell_scripts_by_name_or_first_line(checkout: Path) -> None:
    assert files.shell_scripts(files.known(checkout), checkout) == ["install.sh", "run"]


def test_matching_looks_at_the_last_part() -> None:
    paths = ["a/b.md", "md/c.py", ".yamllint", "d.yml"]
    assert files.matching(paths, "*.md", ".yamllint") == ["a/b.md", ".yamllint"]


def test_the_copy_is_fresh_and_a_repository_of_its_own(checkout: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copies/ansible_collections/kestrel/real_ip"
    copy.mkdir(parents=True)
    (copy / "stale").touch()
    collection.lay_out(copy, checkout)
    assert sorted(os.listdir(copy)) == sorted([".git", *files.known(checkout)])
    assert (copy.parent.parent / "kubernetes/core/plugins").is_dir()


def test_misplaced() -> None:
    good = ["MANIFEST.json", "README.md", "roles/verify/tasks/main.yml", "playbooks/site.yml"]
    bad = [
        ".ansible-lint",
        "lab/settings.py",
        "tests/unit/test_it.py",
        "plugins/modules/__pycache__/apply.cpython-313.pyc",
        "playbooks/collections/ansible_collections/kestrel/real_ip",
    ]
    assert collection.misplaced([*good, *bad]) == bad


def test_the_link_of_the_checkout_leads_to_its_root() -> None:
    link = REPOSITORY / files.SELF / "ansible_collections/kestrel/real_ip"
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.samefile(REPOSITORY)


def test_a_lock_is_current_until_what_it_was_made_from_changes() -> None:
    made = lock.heading(b"one\n") + "one==1\n"
    assert lock.is_current(b"one\n", made)
    assert not lock.is_current(b"one\ntwo\n", made)
    assert not lock.is_current(b"one\n", "one==1\n")
