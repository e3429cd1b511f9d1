# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests for the lookup kestrel.real_ip.unparsed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.kestrel.real_ip.plugins.lookup.unparsed import unparsed

GOOD = "all: {hosts: {one: {}}}"
BAD = "all: {hosts: {one: {}}"


@pytest.mark.parametrize(
    ("files", "bad"),
    [
        ({"a.yml": GOOD}, []),
        ({"a.yml": GOOD, "b.yml": BAD}, ["b.yml"]),
        ({"a.yml": GOOD, "deeper/b.yml": BAD}, ["deeper/b.yml"]),
        ({"a": "one\ntwo ansible_port=22\n", "b": "[group\n"}, ["b"]),
        # A program that fails
        ({"a.yml": GOOD, "b.sh": "#!/bin/sh\nexit 1\n"}, ["b.sh"]),
        # What Ansible takes for no inventory
        ({"a.yml": GOOD, "group_vars/all.yml": "[", "notes.md": "[", "old.yml~": "["}, []),
        ({"a.yml": GOOD, "empty.yml": ""}, []),
        ({"a.yml": GOOD, "b.yml": "plugin: constructed\ngroups: {x: true}\n"}, []),
        # What is passed over in one that is read
        ({"a.yml": "all: {host: {one: {}}}"}, ["a.yml (host in the group all)"]),
        (
            {"a.yml": "all: {hosts: {one: {}}, var: {real_ip_url: x}}"},
            ["a.yml (var in the group all)"],
        ),
        (
            {"a.yml": "all: {children: {real_ip_clusters: {real_ip_vantages: {hosts: {x: {}}}}}}"},
            ["a.yml (real_ip_vantages in the group real_ip_clusters)"],
        ),
        (
            {"a.yml": "all: {hosts: {one: {vars: {real_ip_url: x}}}}"},
            ["a.yml (vars at the host one)"],
        ),
        ({"a.yml": "all: {hosts: {one: {hosts: 3}}}"}, []),
        (
            {"a.yml": f"{GOOD}\nreal_ip_vantages: [203.0.113.20]"},
            ["a.yml (real_ip_vantages, which is no group)"],
        ),
        (
            {"a.yml": f"{GOOD}\nreal_ip_strategy: peer\nother:"},
            ["a.yml (real_ip_strategy, which is no group)"],
        ),
        ({"a.yml": f"{GOOD}\nreal_ip_vantages:"}, []),
        ({"a": "all: {hosts: {one: {}}, var: {x: y}}"}, ["a (var in the group all)"]),
        ({"a.yml": "all: {hosts: {one: {}}, description: mine}"}, []),
        ({"a.yml": "all: {hosts: [one]}"}, ["a.yml"]),
        ({"a.yml": "all:"}, []),
        ({"a.yml": GOOD, "b.yml": "plugin: example.absent.cloud\n"}, ["b.yml"]),
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["in a directory", "one by one"])
def test_what_can_not_be_read(
    tmp_path: Path, files: dict[str, str], bad: list[str], together: bool
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755 if name.endswith(".sh") else 0o644)
    one_by_one = [str(tmp_path / name) for name in files if bad or name in ("a.yml", "a")]
    found = unparsed(DataLoader(), [str(tmp_path)] if together else one_by_one)
    assert found == [str(tmp_path / name) for name in bad]
    # Of which hosts are known
    again = unparsed(DataLoader(), [str(tmp_path)], read=found)
    assert again == [one for one in found if one.endswith(")")]


def test_files_of_a_directory_that_ansible_passes_over(tmp_path: Path) -> None:
    """Which these are goes by its version."""
    (tmp_path / "a.yml").write_text(GOOD)
    for name in ("vantages.txt", "vantages.bak", "notes.txt"):
        (tmp_path / name).write_text("[real_ip_vantages]\n" if "van" in name else "notes\n")
    assert unparsed(DataLoader(), [str(tmp_path)]) == [str(tmp_path / "vantages.txt")]


def test_what_is_not_there(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.yml")
    assert unparsed(DataLoader(), [missing]) == [missing]


@pytest.mark.parametrize(
    ("source", "bad"),
    [("a.yml,b.yml", True), ("/etc/a.ini,", True), ("one,two.example.com", False), ("one,", False)],
)
def test_files_with_a_comma_between_them_are_names_of_hosts(source: str, bad: bool) -> None:
    assert unparsed(DataLoader(), [source]) == [source] * bad
