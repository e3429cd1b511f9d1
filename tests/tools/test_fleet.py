# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that can't be asked, each for a reason of its own: one run of ``verify``, no cluster."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from lab.settings import REPOSITORY
from tests.lab.playbooks import Run

#: Nobody listens there.
CLOSED: Final = 1
KUBECONFIG: Final = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "here",
    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    "clusters": [{"name": "here", "cluster": {"server": f"https://127.0.0.1:{CLOSED}"}}],
    "users": [{"name": "me", "user": {"token": "any"}}],
}
#: Host to its variables, code and words of its row's reason; {} is the test's directory.
CASES: Final[dict[str, tuple[dict[str, Any], str, str]]] = {
    "no-kubeconfig": ({"real_ip_kubeconfig": "{}/missing"}, "P007", "/missing doesn't exist"),
    "no-context": (
        {"real_ip_kubeconfig": "{}/kubeconfig", "real_ip_context": "elsewhere"},
        "P007",
        "has no context elsewhere",
    ),
    "no-yaml": ({"real_ip_kubeconfig": "{}/garbage"}, "P007", "/garbage can't be used"),
    "refused": ({"real_ip_kubeconfig": "{}/kubeconfig"}, "P001", "Connection refused"),
    "wrong": ({"real_ip_samples": "some"}, "-", "real_ip_samples"),
    # With this connection Ansible itself can't reach it, and none of its tasks runs any more.
    "away": (
        {
            "ansible_connection": "ansible.builtin.ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": CLOSED,
        },
        "-",
        "The host was not reached",
    ),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run, whatever an operator's configuration says of other plays."""
    directory = tmp_path_factory.mktemp("fleet")
    (directory / "kubeconfig").write_text(json.dumps(KUBECONFIG))
    (directory / "garbage").write_text("a: [b\n: {")
    hosts = {
        name: {
            key: value.replace("{}", str(directory)) if isinstance(value, str) else value
            for key, value in variables.items()
        }
        for name, (variables, *__) in CASES.items()
    }
    inventory = directory / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"real_ip_clusters": {"hosts": hosts}}, sort_keys=False))
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("playbooks/verify.yml", "-i", str(inventory)),
        ],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SHOW_CUSTOM_STATS": "1",
            "ANSIBLE_STRATEGY": "free",
            "ANSIBLE_ANY_ERRORS_FATAL": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return Run(done.returncode, done.stdout, 0.0)


def test_it_fails_without_a_traceback(run: Run) -> None:
    assert run.status not in (0, 1), run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize("name", CASES)
def test_each_has_one_row_one_line_and_one_result(run: Run, name: str) -> None:
    __, code, words = CASES[name]
    assert len(re.findall(rf"^  not_run +\S+ +\S+ +{name} ", run.output, re.MULTILINE)) == 1
    [line] = re.findall(rf"^real_ip: {name} not_run {code} (.*)$", run.output, re.MULTILINE)
    assert words in line
    result = run.statistics()["real_ip_results"][name]
    assert result["verdict"] == "not_run"
    assert words in result["reason"]


def test_the_page_counts_them_all(run: Run) -> None:
    assert f"\n{len(CASES)} CLUSTERS: {len(CASES)} not_run\n" in run.output
    assert run.statistics()["real_ip_results"].keys() == CASES.keys()
