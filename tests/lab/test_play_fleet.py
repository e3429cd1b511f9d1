# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clusters in one run: a row each, worst first, whatever becomes of one of them."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from lab import faults
from lab.settings import CLIENT, CLIENT2, OPERATOR, Lab
from tests.lab.playbooks import EXPECTED, Playbooks, Run, configuration, ruled

#: An address of the nodes' network that nobody has, so that packets to it are lost
SILENT: Final = "10.255.0.99"
#: Whatever an operator's configuration says of other plays
HOSTILE: Final = {"ANSIBLE_STRATEGY": "free", "ANSIBLE_ANY_ERRORS_FATAL": "1"}
DEPLOYED: Final = ("good-1", "good-2", "stripped")

Verify = Callable[..., Run]


@pytest.fixture(scope="module")
def clusters(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Six hosts with their variables: two are well, and with each other one another thing isn't."""
    playbooks = Playbooks(lab.name)
    directory = tmp_path_factory.mktemp("fleet")
    mark = secrets.token_hex(3)
    hosts: dict[str, Any] = {
        name: {"real_ip_namespace": f"fleet-{name}-{mark}"}
        for name in (*DEPLOYED, "empty", "denied", "silent")
    }
    kubeconfigs = {
        "denied": configuration(playbooks, token="wrong"),
        "silent": configuration(playbooks, f"https://{SILENT}:6443"),
    }
    for name, content in kubeconfigs.items():
        path = directory / name
        path.write_text(json.dumps(content))
        hosts[name]["real_ip_kubeconfig"] = str(path)
    inventory = directory / "deploy.yml"
    inventory.write_text(_inventory({name: hosts[name] for name in DEPLOYED}))
    try:
        run = playbooks.run("site", "-i", str(inventory))
        assert run.status == 0, run.output
        assert "\n3 CLUSTERS: 3 preserved\n" in run.output
        faults.turn_on(lab, "header-stripped", hosts["stripped"]["real_ip_namespace"])
        yield hosts
    finally:
        for name in DEPLOYED:
            namespace = hosts[name]["real_ip_namespace"]
            # Waited for: the load balancer's address is free again only then.
            playbooks.kubectl("delete", "namespace", namespace, "--ignore-not-found")


@pytest.fixture
def verify(lab: Lab, clusters: dict[str, Any], tmp_path: Path) -> Verify:
    """Run verify.yml for all six, from vantage points where there are any: name → variables."""

    def run(vantages: dict[str, Any] | None, *arguments: str) -> Run:
        inventory = tmp_path / "inventory.yml"
        inventory.write_text(_inventory(clusters, vantages))
        # Nobody refuses the connection either: a firewall that drops is what takes longest.
        with ruled(lab, OPERATOR.name, DROPPED):
            return Playbooks(lab.name).run(
                "verify",
                *("-i", str(inventory), "-e", f"ansible_ssh_args='-F {lab.ssh_config}'"),
                *arguments,
                environment={"ANSIBLE_SHOW_CUSTOM_STATS": "1", **HOSTILE},
            )

    return run


DROPPED: Final = f"chain output {{ type filter hook output priority 0; ip daddr {SILENT} drop; }}"


def _inventory(clusters: dict[str, Any], vantages: dict[str, Any] | None = None) -> str:
    settings = {
        "real_ip_echo": "bundled",
        "real_ip_replicas": 1,
        **({} if vantages else {"real_ip_expected_source": EXPECTED}),
    }
    groups: dict[str, Any] = {"real_ip_clusters": {"hosts": clusters, "vars": settings}}
    if vantages:
        groups["real_ip_vantages"] = {"hosts": vantages}
    return str(yaml.safe_dump(groups, sort_keys=False))


def _page(run: Run) -> tuple[str, list[str]]:
    """Title and rows of the page for all, each row as ``state code cause name``."""
    [page] = re.findall(r"^\d+ CLUSTERS: .*\n(?:  .*\n)+", run.output, re.MULTILINE)
    title, *lines = str(page).splitlines()
    assert max(map(len, lines)) <= 100
    found = re.findall(r"^  (\w+) +(V\d+|P\d+|-) +(P\d+|-) +(\S+)", page, re.MULTILINE)
    return title, [" ".join(row) for row in found]


def _results(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run.statistics()["real_ip_results"]
    return found


def _verdicts(run: Run) -> dict[str, str]:
    return {name: one["verdict"] for name, one in _results(run).items()}


def _lines(run: Run) -> dict[str, str]:
    """The verdict of each line for scripts, of which there is one for each host."""
    found = re.findall(r"^real_ip: (\S+) (\S+) ", run.output, re.MULTILINE)
    assert len(found) == len({name for name, __ in found}), run.output
    return dict(found)


def test_one_that_is_lost_is_a_row_and_not_the_end(verify: Verify) -> None:
    run = verify(None)
    assert run.status == 2
    title, rows = _page(run)
    assert title == "6 CLUSTERS: 1 lost, 3 not_run, 2 preserved"
    assert rows[0] == "lost V209 P513 stripped", rows
    assert set(rows[1:4]) == {
        "not_run P002 P002 denied",
        "not_run P001 P001 silent",
        "not_run P201 P201 empty",
    }
    assert rows[4:] == ["preserved V001 - good-1", "preserved V001 - good-2"]
    results = _results(run)
    assert _lines(run) == _verdicts(run)
    assert "doesn't answer" in results["silent"]["reason"]
    assert "refused the credentials" in results["denied"]["reason"]
    assert "no such Ingress" in results["empty"]["reason"]
    for name in ("good-1", "good-2"):
        assert results[name]["verdict"] == "preserved"
        assert set(results[name]["observed"]) == {EXPECTED}
    # What is to be done is there for each thing that is wrong.
    assert "lost V209 P513: stripped\n" in run.output


def test_a_dead_vantage_point_is_one_everywhere(verify: Verify) -> None:
    vantages = {
        "client": {"real_ip_expected_source": CLIENT.ipv4("inet")},
        "client2": {"real_ip_expected_source": CLIENT2.ipv4("inet"), "ansible_port": 2222},
    }
    run = verify(vantages)
    assert run.status == 2
    title, rows = _page(run)
    # What was not seen is none that is well.
    assert title == "6 CLUSTERS: 1 lost, 5 not_run"
    assert rows[:3] == [
        "lost V209 P513 stripped",
        "lost V209 - client",
        "not_run - - client2",
    ]
    assert "  from       client: 1 lost, 2 preserved\n" in run.output
    assert "  from       client2: 3 not_run\n" in run.output
    results = _results(run)
    assert _lines(run) == _verdicts(run)
    assert results.keys() == {"good-1", "good-2", "stripped", "empty", "denied", "silent"}
    for name in DEPLOYED:
        assert results[name]["vantages"].keys() == {"client", "client2"}
        assert results[name]["vantages"]["client2"]["verdict"] == "not_run"
    for name in ("good-1", "good-2"):
        assert results[name]["vantages"]["client"]["verdict"] == "preserved"


def test_a_slice_is_complete_in_itself(clusters: dict[str, Any], verify: Verify) -> None:
    slices = [verify(None, "--limit", f"good-{number},{other}") for number, other in SLICES]
    for run, (number, other) in zip(slices, SLICES, strict=True):
        assert run.status == 2, run.output
        assert _verdicts(run).keys() == {f"good-{number}", other}
        assert _lines(run) == _verdicts(run)
        title, rows = _page(run)
        assert title.startswith("2 CLUSTERS: 1 ")
        assert [row.split()[3] for row in rows] == [other, f"good-{number}"]
        left = [name for name in clusters if name not in (f"good-{number}", other)]
        assert f"  left out   4: {', '.join(left)}\n" in run.output


SLICES: Final = ((1, "stripped"), (2, "empty"))


def test_one_cluster_has_no_page_for_all(verify: Verify) -> None:
    run = verify(None, "--limit", "good-1")
    assert run.status == 0, run.output
    assert " CLUSTERS: " not in run.output
    assert list(_lines(run).values()) == ["preserved"]
