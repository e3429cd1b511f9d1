# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kestrel.real_ip.plugins.action.report import documents

RUN = {"playbook": "verify", "time": "2026-01-02T03:04:05+00:00", "versions": {}}
ENTRY = {"verdict": "lost", "reason": "r", "code": "V201"}
SAID = {"__real_ip_summary": {"published": ENTRY}}
SKIPPED = {"__real_ip_summary": {"skipped": True}}
PROBES = {
    "__verify_probe": {"skipped": True},
    "__verify_probes": {
        "results": [
            {"__verify_point": "office", "verdict": "lost", "reason": "r", "invocation": {}},
            {"__verify_point": "away", "unreachable": True},
        ]
    },
}


def run(hosts: dict[str, t.Any], batch: str, alive: str, directory: str = "kept") -> t.Any:
    """Documents by directory; ``batch`` and ``alive``: names of hosts, as Ansible has them."""
    hostvars = {name: {"real_ip_report_dir": directory, **own} for name, own in hosts.items()}
    variables = {
        "hostvars": hostvars,
        "ansible_play_hosts_all": [*hosts],
        "ansible_play_hosts": alive.split(),
        "ansible_play_batch": batch.split(),
    }
    return documents(variables, RUN)


@pytest.mark.parametrize(
    ("hosts", "batch", "alive", "rows"),
    [
        ({"a": SAID}, "a", "a", {"a": "lost"}),
        # Failed or not reached: no host that is alive, and yet a row
        ({"a": SAID, "b": {}}, "a", "a", {"a": "lost", "b": "not_run"}),
        ({"a": SAID, "b": SKIPPED}, "a", "a", {"a": "lost", "b": "not_run"}),
        # Of a batch that is still to come nothing is known, and nothing is said.
        ({"a": SAID, "b": {}}, "a", "a b", {"a": "lost"}),
        # Of one that was before, all is known.
        ({"a": SAID, "b": SAID}, "b", "a b", {"a": "lost", "b": "lost"}),
        ({"a": SAID, "b": SAID}, "b", "b", {"a": "lost", "b": "lost"}),
    ],
)
def test_which_hosts_are_rows(hosts: t.Any, batch: str, alive: str, rows: dict[str, str]) -> None:
    [(directory, found)] = run(hosts, batch, alive).items()
    assert directory == "kept"
    assert {name: one["verdict"] for name, one in found["real_ip_results"].items()} == rows


@pytest.mark.parametrize(
    ("own", "here", "found"),
    [
        # The play's goes before each host's own, also of hosts that have none.
        ({"a": None, "b": None}, "play", {"play": ["a", "b"]}),
        ({"a": "a's", "b": None}, "play", {"play": ["a", "b"]}),
        # One that a host has is its own.
        ({"a": "a's", "b": None}, "a's", {"a's": ["a"]}),
        ({"a": "a's", "b": "b's"}, "a's", {"a's": ["a"], "b's": ["b"]}),
        ({"a": None, "b": "b's"}, None, {"b's": ["b"]}),
        ({"a": None, "b": None}, None, {}),
    ],
)
def test_a_directory_that_the_play_names_is_that_of_all_hosts(
    own: dict[str, t.Any], here: str | None, found: dict[str, list[str]]
) -> None:
    hosts = {name: {**SAID, "real_ip_report_dir": where} for name, where in own.items()}
    variables = {
        "hostvars": hosts,
        "inventory_hostname": "a",
        "ansible_play_hosts_all": [*hosts],
        "ansible_play_hosts": [*hosts],
        "ansible_play_batch": [*hosts],
    }
    written = documents(variables, RUN, here)
    assert {where: [*one["real_ip_results"]] for where, one in written.items()} == found


def test_a_host_that_left_the_play_is_told_of_as_it_was_published() -> None:
    told = {"verdict": "not_run", "reason": "No result: it left", "code": None}
    kept = {"real_ip_report_dir": "kept"}
    variables = {
        "hostvars": {"a": {**kept, **SAID}, "b": kept},
        "ansible_play_hosts_all": ["a", "b"],
        "ansible_play_hosts": ["a"],
        "ansible_play_batch": ["a", "b"],
        "__real_ip_fleet": {"results": {"b": told, "a": {}}},
    }
    [found] = documents(variables, RUN).values()
    assert found["real_ip_results"] == {"a": ENTRY, "b": told}


@pytest.mark.parametrize(
    ("hosts", "directory"),
    [
        # Where tags have left all of it out there is nothing to say.
        ({"a": {}, "b": SKIPPED}, "kept"),
        ({"a": SAID}, ""),
        ({"a": SAID}, None),
        # The preflight has refused it, and has said so.
        ({"a": SAID}, ["a"]),
    ],
)
def test_what_has_no_report(hosts: t.Any, directory: t.Any) -> None:
    assert run(hosts, "a b", "a b", directory) == {}


def test_the_evidence_is_that_of_each_vantage_point() -> None:
    way = {"path": [], "findings": [], "logs": ["x"]}
    [found] = run({"a": {**SAID, **PROBES, "__diagnose_way": way}}, "a", "a").values()
    assert found["evidence"]["a"] == {
        "probes": {"office": {"verdict": "lost", "reason": "r"}},
        "path": [],
        "findings": [],
    }
