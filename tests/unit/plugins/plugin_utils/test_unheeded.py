# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests for what somebody has written down and Ansible makes nothing of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._unheeded import (
    beside,
    for_nobody,
    for_nothing,
    imported,
    misnamed,
    not_given,
    not_named,
    passed_over,
    set_aside,
    unmatched,
)

HOSTS = ["one", "shop-gz", "edge.prod.example.com", "10.0.0.11"]
GROUPS = {"all": [*HOSTS, "office"], "real_ip_clusters": HOSTS, "prod": ["one"]}
LINK = "current.yml"


@pytest.mark.parametrize(
    ("playbooks", "sources", "found"),
    [
        (["site.yml"], ["inventories/prod/hosts.yml"], [".", "inventories"]),
        # A name of a collection's, typed there
        (["kestrel.real_ip.verify"], ["inventories/prod/hosts.yml"], [".", "inventories"]),
        (["deeper/own.yml"], ["inventories/prod"], [".", "deeper", "inventories"]),
        # Imported by a playbook that is imported
        (["outer.yml"], ["hosts.yml"], ["deeper"]),
        # Ansible reads what is beside the inventory, whatever else is there.
        (["site.yml"], ["hosts.yml"], []),
        (["site.yml"], ["one,two"], ["."]),
        (["bare/own.yml"], ["hosts.yml"], []),
        # Of a directory it reads the files below, and not what is beside these
        (["bare/own.yml"], ["inventories"], [".", "inventories/prod"]),
        # Where a link leads
        (["site.yml"], [LINK], ["inventories/prod"]),
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
    (tmp_path / "inventories" / "group_vars").mkdir()
    for name in ("hosts.yml", "inventories/prod/hosts.yml", "bare/own.yml", "deeper/own.yml"):
        (tmp_path / name).touch()
    (tmp_path / LINK).symlink_to(tmp_path / "inventories/prod/hosts.yml")
    (tmp_path / "site.yml").write_text("- import_playbook: kestrel.real_ip.verify\n")
    (tmp_path / "outer.yml").write_text("- ansible.builtin.import_playbook: bare/inner.yml\n")
    (tmp_path / "bare/inner.yml").write_text("- import_playbook: ../deeper/own.yml\n")
    monkeypatch.chdir(tmp_path)
    books = imported(map(Path, playbooks), DataLoader().load_from_file)
    places = passed_over(books, Path.cwd(), sources)
    assert places == [(tmp_path / one).resolve() for one in found]
    assert not {*places} & {*beside(sources)}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["group_vars/real_ip_cluster.yml"], True),
        (["group_vars/Real-IP-Clusters.yml"], True),
        (["group_vars/real_ip_vantages/main.yml"], False),
        (["group_vars/real_ip_vantage/main.yml"], True),
        # A directory of the same name is read in its place, and what ends otherwise not at all.
        (["group_vars/prod.yml", "group_vars/prod/vault.yml"], True),
        (["group_vars/prod/main.yml", "group_vars/prod/vault.yml"], False),
        (["group_vars/real_ip_clusters.ini"], True),
        (["group_vars/real_ip_clusters.yml.txt"], True),
        (["host_vars/one.YAML"], True),
        # Of a host among those for groups, and the other way round
        (["group_vars/one.yml"], True),
        (["host_vars/real_ip_clusters.yml"], True),
        (["host_vars/prod.yml"], True),
        (["group_vars/prod.yml"], False),
        (["group_vars/all"], False),
        (["host_vars/office.yml"], False),
        # Of another inventory that stands beside this one
        (["group_vars/staging.yml"], False),
        (["group_vars/real_ip_staging.yml"], False),
        (["host_vars/two.yml"], False),
        (["host_vars/one.stg.yml"], False),
        # Nearly a host's or a group's
        (["host_vars/shop_gz.yml"], True),
        (["host_vars/Shop-GZ/main.yml"], True),
        (["host_vars/shop-gz.example.com.yml"], True),
        (["host_vars/edge.yml"], True),
        (["host_vars/edge.stg.example.com.yml"], False),
        (["host_vars/10-0-0-11"], True),
        (["host_vars/10.0.01.1"], False),
        (["host_vars/10.yml"], False),
        (["host_vars/shop.yml"], False),
        (["host_vars/shop-gz-2.yml"], False),
        (["group_vars/Prod.yml"], True),
        # This machine, for which there is no other name
        (["host_vars/localhost.yml"], False),
        (["host_vars/Localhost.yml"], True),
        (["group_vars/localhost.yml"], True),
        # Of an inventory in which it is a cluster
        (["host_vars/local.yml"], False),
        # Within a directory that is read
        (["group_vars/prod/strategy.yml", "group_vars/prod/other.yml"], False),
        # Copies and examples
        (["group_vars/all.example.yml"], False),
        (["host_vars/shop-gz.yaml.j2"], False),
        (["host_vars/shop-gz.yml.example"], False),
        (["host_vars/shop-gz.sops.yml"], True),
        (["group_vars/all.sops.yml"], True),
        (["group_vars/real_ip_cluster.yml.bak"], False),
        (["group_vars/real_ip_clusters.yml.example"], False),
        (["group_vars/.real_ip_cluster.yml.swp"], False),
    ],
)
def test_files_that_are_for_nobody(tmp_path: Path, files: list[str], told: bool) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("real_ip_url: http://192.0.2.1/\n")
    find = DataLoader().find_vars_files
    top = tmp_path / Path(*Path(files[0]).parts[:2])
    assert for_nobody(tmp_path, GROUPS, find) == [str(top)] * told
    (tmp_path / files[0]).write_text("$ANSIBLE_VAULT;1.1;AES256\n")
    assert for_nobody(tmp_path, GROUPS, find) == [str(top)] * told
    (tmp_path / files[0]).write_text("shop_url: http://192.0.2.1/\n")
    assert not for_nobody(tmp_path, GROUPS, find), "it has nothing of ours"


@pytest.mark.parametrize(
    ("file", "enabled", "told"),
    [
        ("group_vars/all.yml", ["host_group_vars"], False),
        ("group_vars/all.yml", ["ansible.builtin.host_group_vars"], False),
        ("group_vars/all.yml", ["community.sops.sops"], True),
        ("host_vars/one/main.yml", [], True),
        ("group_vars/staging.yml", [], False),
        ("group_vars/real_ip_clusters.sops.yml", ["host_group_vars"], True),
        ("group_vars/real_ip_clusters.sops.yml", ["host_group_vars", "community.sops.sops"], False),
        ("host_vars/shop-gz.sops.yaml", ["host_group_vars", "community.sops.sops"], False),
        # A name that it doesn't read either
        ("group_vars/real_ip_cluster.sops.yml", ["community.sops.sops"], True),
        ("host_vars/shop_gz.sops.yml", ["community.sops.sops"], True),
    ],
)
def test_files_that_no_plugin_reads(
    tmp_path: Path, file: str, enabled: list[str], told: bool
) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text("real_ip_url: http://192.0.2.1/\n")
    top = tmp_path / Path(*Path(file).parts[:2])
    found = for_nobody(tmp_path, GROUPS, DataLoader().find_vars_files, enabled)
    assert found == [str(top)] * told


@pytest.mark.parametrize("name", ["local", "127.0.0.1", "localhost"])
def test_names_of_this_machine_where_no_other_is_a_cluster(tmp_path: Path, name: str) -> None:
    path = tmp_path / "host_vars" / f"{name}.yml"
    path.parent.mkdir()
    path.write_text("real_ip_url: http://192.0.2.1/\n")
    find = DataLoader().find_vars_files
    told = [str(path)] * (name != "localhost")
    assert for_nobody(tmp_path, {"all": ["one"]}, find) == told
    assert for_nobody(tmp_path, {"all": [name]}, find) == []


def test_a_group_of_clusters_that_is_missing_has_no_file(tmp_path: Path) -> None:
    file = tmp_path / "group_vars" / "real_ip_clusters.yml"
    file.parent.mkdir()
    file.write_text("real_ip_url: http://192.0.2.1/\n")
    find = DataLoader().find_vars_files
    assert for_nobody(tmp_path, {"all": ["one"]}, find) == [str(file)]
    assert for_nobody(tmp_path, GROUPS, find) == []


def test_a_file_of_another_ending_in_a_groups_directory(tmp_path: Path) -> None:
    # Hidden is what is hidden within it, and not what is above.
    tmp_path = tmp_path / ".inventories"
    place = tmp_path / "group_vars" / "prod"
    (place / ".git").mkdir(parents=True)
    (place / ".git" / "strategy.yml").write_text("real_ip_url: http://192.0.2.1/\n")
    for name in ("main.yml", "strategy.yml.txt", "notes.md"):
        (place / name).write_text("real_ip_url: http://192.0.2.1/\n")
    found = for_nobody(tmp_path, GROUPS, DataLoader().find_vars_files)
    assert found == [str(place / "strategy.yml.txt")]


@pytest.mark.parametrize(
    ("name", "told"),
    [("group_var", True), ("groups_vars", True), ("host-vars", True), ("vars", False)],
)
def test_directories_of_nearly_the_right_name(tmp_path: Path, name: str, told: bool) -> None:
    (tmp_path / name).mkdir()
    assert misnamed(tmp_path) == []
    (tmp_path / name / "all.yml").write_text("real_ip_url: http://192.0.2.1/\n")
    assert misnamed(tmp_path) == [str(tmp_path / name)] * told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("strategy.yml", True),
        ("real_ip_strategy: peer", True),
        ("real_ip_strategy = peer", True),
        ("real_ip_strategy", True),
        ("real_ip_strategy=peer", False),
        ("real_ip_strategy=peer real_ip_layer='l4'", False),
        ("@strategy.yml", False),
        ('{"real_ip_strategy": "peer"}', False),
        ("", False),
    ],
)
def test_values_of_which_no_variable_is_made(text: str, told: bool) -> None:
    assert not_named([text]) == [f"-e {text}"] * told


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("one", []),
        ("one,two", ["--limit two"]),
        ("all:!two", []),
        ("@failed.retry", []),
        ("localhost", []),
        ("", []),
    ],
)
def test_parts_of_a_limit_that_no_host_matches(limit: str, told: list[str]) -> None:
    hosts = {"one": ["one"], "all": ["one"]}
    assert unmatched(limit, lambda part: hosts.get(part, [])) == told


def test_configuration_that_is_set_aside(tmp_path: Path) -> None:
    """As where everybody may write, or where somebody starts in another directory."""
    file, book = tmp_path / "ansible.cfg", tmp_path / "playbooks" / "own.yml"
    assert set_aside(tmp_path, [book], None) == []
    file.write_text("[defaults]\nforks = 5\n")
    assert set_aside(tmp_path, [book], None) == []
    file.write_text("[defaults]\ninventory = fleet.yml\n")
    assert set_aside(tmp_path, [], None) == [f"{file} (inventory)"]
    assert set_aside(Path("/"), [book], "/etc/ansible/ansible.cfg") == [f"{file} (inventory)"]
    assert set_aside(tmp_path, [book], str(file)) == []


@pytest.mark.parametrize(
    ("has", "stronger", "told"),
    [
        ({}, [], ["real_ip_url", "real_ip_layer"]),
        # From elsewhere, whatever its value
        ({"real_ip_url": "http://192.0.2.9/"}, [], ["real_ip_layer"]),
        ({}, ["real_ip_url", "real_ip_layer"], []),
    ],
)
def test_variables_that_a_host_has_from_nowhere(
    tmp_path: Path, has: dict[str, Any], stronger: list[str], told: list[str]
) -> None:
    files = {
        "group_vars/all.yml": "real_ip_url: http://192.0.2.1/\nshop_url: x\n",
        "host_vars/one.yml": "real_ip_layer: l4\n",
        "group_vars/staging.yml": "real_ip_host: x\n",
        "group_vars/prod.yml": "$ANSIBLE_VAULT;1.1;AES256\n66\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    hosts = {"one": {"group_names": ["prod"], **has}}
    found = not_given(DataLoader(), tmp_path, hosts, stronger)
    assert found == ([f"{tmp_path} ({', '.join(told)})"] if told else [])


CONTEXT = {"real_ip_context": "other"}
ALONE = {"all": ["one"]}
BESIDE = {"all": ["one", "two"], "real_ip_clusters": ["two"]}
OF_ONE = "{{ hostvars['one'].real_ip_context }}"
TOLD = "host one (real_ip_context)"


@pytest.mark.parametrize(
    ("groups", "variables", "told"),
    [
        ({"all": ["one"]}, {"one": CONTEXT}, ["host one (real_ip_context)"]),
        # The current context is looked at, and that is the one.
        ({"all": ["one"]}, {"one": CONTEXT, "localhost": CONTEXT}, []),
        ({"all": ["one"]}, {"one": {"ansible_host": "192.0.2.1"}}, []),
        ({"all": ["localhost"]}, {"localhost": CONTEXT}, []),
        ({"all": ["one"], "real_ip_vantages": ["one"]}, {"one": CONTEXT}, []),
        (
            {"all": ["one"]},
            {"one": {"real_ip_namespace": "shop"}},
            ["host one (real_ip_namespace)"],
        ),
        ({"all": ["one"]}, {"one": {"real_ip_forge": False}}, ["host one (real_ip_forge)"]),
        ({"all": ["one"]}, {"one": {"real_ip_namespace": "", "real_ip_url": None}}, []),
        ({"all": ["one"]}, {"one": {"real_ip_of_others": "x"}}, []),
        # A cluster that somebody has put aside, and what nobody looks at beside clusters
        (BESIDE, {"one": CONTEXT}, []),
        (BESIDE, {"localhost": CONTEXT}, ["host localhost (real_ip_context)"]),
        # Of a group that both are in, or of all
        (BESIDE, {"one": CONTEXT, "two": CONTEXT}, []),
        (BESIDE, {"one": CONTEXT, "localhost": CONTEXT, "two": {**CONTEXT}}, []),
        (BESIDE, {"two": CONTEXT}, []),
        # What others are told of it
        (ALONE, {"one": CONTEXT, "localhost": {"real_ip_context": OF_ONE}}, []),
        (ALONE, {"one": CONTEXT, "localhost": {"real_ip_documents": [OF_ONE]}}, []),
        (ALONE, {"one": CONTEXT, "localhost": {"where": "{{ hostvars.one.x }}"}}, [TOLD]),
        # What is read where no cluster is looked at
        (BESIDE, {"localhost": {"real_ip_language": "zh", "real_ip_report_dir": "/r"}}, []),
        (ALONE, {"one": {"real_ip_language": "zh"}}, ["host one (real_ip_language)"]),
        (
            {"all": ["one", "two"], "real_ip_clusters": ["two"], "vantages": ["one"]},
            {"one": {"real_ip_expected_source": "192.0.2.1"}},
            ["host one (real_ip_expected_source)"],
        ),
        # A section [vars], or variables where hosts belong
        ({"vars": ["real_ip_url=http://x/"]}, {}, ["host real_ip_url=http://x/"]),
        ({"real_ip_clusters": ["real_ip_url"]}, {}, ["host real_ip_url"]),
        ({"real_ip_clusters": ["real_ip_shanghai"]}, {}, []),
    ],
)
def test_hosts_that_are_for_nothing(
    groups: dict[str, list[str]], variables: dict[str, Any], told: list[str]
) -> None:
    assert for_nothing(groups, lambda host: variables.get(host, {})) == told
