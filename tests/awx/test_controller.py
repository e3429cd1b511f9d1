# SPDX-License-Identifier: GPL-3.0-or-later
"""The data for AWX on a real one, that may be changed: `make test ONLY=controller`.

CONTROLLER_HOST and CONTROLLER_OAUTH_TOKEN say which, REAL_IP_AWX_SETTINGS is a file as docs/awx.md
has it, with an organization that isn't there yet.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from lab.settings import REPOSITORY
from tests.awx.client import Client

SETTINGS = os.environ.get("REAL_IP_AWX_SETTINGS", "")


def configure(*words: str) -> int:
    """Run configure.yml; how many tasks have changed something."""
    done = subprocess.run(
        ["ansible-playbook", "playbooks/awx/configure.yml", "-e", f"@{SETTINGS}", *words],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"changed=(\d+)", done.stdout)
    assert counted
    return int(counted[1])


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A controller with the data on it, which is removed afterwards."""
    assert SETTINGS, "REAL_IP_AWX_SETTINGS is not set: expected the path of a file"
    found = Client(os.environ["CONTROLLER_HOST"], os.environ["CONTROLLER_OAUTH_TOKEN"])
    assert configure() > 0
    yield found
    assert configure("-e", "state=absent") > 0
    assert configure("-e", "state=absent") == 0


def organization() -> str:
    """The organization of the settings."""
    with open(SETTINGS) as file:
        return str(yaml.safe_load(file).get("awx_organization", "Kestrel"))


def test_a_second_run_changes_nothing(client: Client) -> None:
    assert configure("--check") == 0
    assert configure() == 0


def test_a_launch_says_what_it_ignores(client: Client) -> None:
    job, ignored = client.launch(organization(), "Real IP explain", real_ip_code="P206", stray=1)
    assert ignored == {"stray"}
    done = client.wait(job, 300)
    assert done.status == "successful", done.output
    assert "selector matches no pod" in done.output


def test_verdicts_are_artifacts(client: Client) -> None:
    """Whether the verdict is good depends on the cluster; that there is one for each doesn't."""
    job, ignored = client.launch(organization(), "Real IP site", real_ip_ephemeral="true")
    assert ignored == set()
    done = client.wait(job, 3600)
    results = done.artifacts["real_ip_results"]
    assert results, done.output
    accepted = all(entry["verdict"] == "preserved" for entry in results.values())
    assert (done.status == "successful") == accepted, done.output
