# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests for the lookup kestrel.real_ip.unread_vars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.lookup.unread_vars import (
    beside,
    for_nobody,
    not_given,
    passed_over,
)

URL = {"real_ip_url": "http://192.0.2.1/"}
GROUPS = {"all": ["one", "office"], "real_ip_clusters": ["one"], "prod": ["one"]}


@pytest.mark.parametrize(
    ("files", "has", "stronger", "names"),
    [
        ([URL], {}, [], ["real_ip_url"]),
        ([URL], URL, [], []),
        # The inventory has another one, and that holds.
        ([URL], {"real_ip_url": "http://192.0.2.2/"}, [], ["real_ip_url"]),
        # Given with -e, or where the playbook is imported
        ([URL], {"real_ip_url": "http://192.0.2.2/"}, ["real_ip_url"], []),
        # What a stronger file says is enough.
        ([{"real_ip_url": "http://192.0.2.2/"}, URL], URL, [], []),
        ([{"shop_url": "http://192.0.2.1/"}], {}, [], []),
        ([], {}, [], []),
    ],
)
def test_what_a_host_is_not_given(
    files: list[dict[str, Any]], has: dict[str, Any], stronger: list[str], names: list[str]
) -> None:
    assert not_given(files, has, stronger) == names


@pytest.mark.parametrize(
    ("playbooks", "sources", "found"),
    [
        (["site.yml"], ["inventories/prod/hosts.yml"], ["."]),
        # A name of a collection's, typed there
        (["kestrel.real_ip.verify"], ["inventories/prod/hosts.yml"], ["."]),
        (["deeper/own.yml"], ["inventories/prod"], [".", "deeper"]),
        # Ansible reads what is beside the inventory, whatever else is there.
        (["site.yml"], ["hosts.yml"], []),
        (["site.yml"], ["."], []),
        (["site.yml"], ["one,two"], ["."]),
        (["bare/own.yml"], ["hosts.yml"], []),
    ],
)
def test_where_variables_are_passed_over(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    playbooks: list[str],
    sources: list[str],
    found: list[str],
) -> None:
    for name in ("group_vars", "inventories/prod/group_vars", "deeper/host_vars", "bare"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("site.yml", "hosts.yml", "inventories/prod/hosts.yml"):
        (tmp_path / name).touch()
    for name in ("deeper/own.yml", "bare/own.yml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    places = passed_over(playbooks, Path.cwd(), beside(sources))
    assert places == [(tmp_path / one).resolve() for one in found]


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("group_vars/real_ip_cluster.yml", True),
        ("group_vars/Real-IP-Clusters.yml", True),
        ("group_vars/real_ip_vantages/main.yml", False),
        ("group_vars/real_ip_vantage/main.yml", True),
        # Of a host among those for groups, and the other way round
        ("group_vars/one.yml", True),
        ("host_vars/real_ip_clusters.yml", True),
        ("host_vars/prod.yml", True),
        ("group_vars/prod.yml", False),
        ("group_vars/all", False),
        ("host_vars/office.yml", False),
        # Of another inventory that stands beside this one
        ("group_vars/staging.yml", False),
        ("host_vars/two.yml", False),
        ("group_vars/real_ip_cluster.yml.bak", False),
    ],
)
def test_files_that_are_for_nobody(tmp_path: Path, file: str, told: bool) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text("real_ip_url: http://192.0.2.1/\n")
    top = tmp_path / Path(*Path(file).parts[:2])
    assert for_nobody(tmp_path, GROUPS) == [str(top)] * told
    (tmp_path / file).write_text("shop_url: http://192.0.2.1/\n")
    assert not for_nobody(tmp_path, GROUPS), "it has nothing of ours"
