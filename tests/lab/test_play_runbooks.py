# SPDX-License-Identifier: GPL-3.0-or-later
"""The runbooks of docs/runbooks, walked on the test cluster as a person on call walks them.

Each walk of a runbook's last table is a test: its state is made, each step's command is typed as it
stands, the output is compared with what stands there, and the next step is the one that is named.
"""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import MANAGER

from lab.settings import REPOSITORY, Lab
from tests.lab.playbooks import EXPECTED, NAMESPACE, VENV, Playbooks
from tools.runbooks import (
    DIRECTORY,
    STOP,
    Outcome,
    Runbook,
    Step,
    Walk,
    compared,
    filled,
    joined,
    runbooks,
)

#: Seconds that a state may take until it shows: pods that fail or start, a balancer that is made.
PATIENCE = 60.0
#: The clusters of the audit: two names of one.
CLUSTERS = ("guangzhou", "shanghai")
LAB = "python -m lab "
DEPLOY = (
    f"ansible-playbook playbooks/site.yml -e real_ip_expected_source={EXPECTED}"
    " -e real_ip_echo=bundled"
)
#: What was deployed, without what says how it is; and what of it the collection still manages: what
#: was mended by hand looks as before, and isn't made again as before by a fault that makes it anew.
DEPLOYED = (
    f"kubectl -n {NAMESPACE} get deployments,services,ingresses --show-managed-fields"
    """ -o jsonpath='{range .items[*]}{.metadata.name}{.spec}"""
    f"""{{.metadata.managedFields[?(@.manager=="{MANAGER}")].fieldsV1}}"""
    """{"\\n"}{end}'"""
)

WALKS = [(page, walk) for page in runbooks() for walk in page.walks]


class Shown(NamedTuple):
    """What a step showed: the outcome that it is, and what is bound from there on."""

    outcome: Outcome
    bound: Mapping[str, str]


class Operator:
    """Types commands on the machine of an operator, in a checkout."""

    def __init__(self, lab: Lab, home: Path) -> None:
        self.playbooks = Playbooks(lab.name)
        self.deployed = ""
        self.environment = {
            "ANSIBLE_NOCOLOR": "1",
            "HOME": str(home),
            "PATH": f"{VENV}:{os.environ['PATH']}",
            "REAL_IP_LAB": lab.name,
        }

    def run(self, command: str) -> str:
        """What the command prints."""
        if command.startswith(LAB):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=REPOSITORY,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=PATIENCE * 3,
                check=False,
            )
            assert done.returncode == 0, done.stdout
            return done.stdout
        words = ("operator", "bash", "-c", command)
        return self.playbooks.execute(*words, environment=self.environment)[1]

    def deploy(self) -> None:
        """Bring the deployment to what it should be."""
        shown = self.run(DEPLOY)
        assert "real_ip: localhost preserved" in shown, shown
        self.deployed = self.run(DEPLOYED)

    def restore(self) -> None:
        """Deploy again where a walk has left anything otherwise.

        A field that was mended by hand goes away with the fault that had taken it over.
        """
        if self.run(DEPLOYED) != self.deployed:
            self.deploy()

    def take(self, step: Step, target: int, bound: Mapping[str, str]) -> Shown:
        """Take a step that has to lead to ``target``; one that only reads until it does."""
        command = filled(step.command, bound)
        end = time.monotonic() + PATIENCE
        while True:
            lines = self.run(command).splitlines()
            ways = [(one, compared(one.expected, lines, bound)) for one in step.outcomes]
            found = [Shown(one, way) for one, way in ways if way is not None]
            assert len(found) <= 1, f"{command} shows several outcomes at once:\n{lines}"
            if found and target in found[0].outcome.targets:
                return found[0]
            if not step.reads or time.monotonic() > end:
                wanted = [one for one in step.outcomes if target in one.targets]
                raise AssertionError(told(command, wanted, lines))
            time.sleep(1)


def told(command: str, wanted: list[Outcome], lines: list[str]) -> str:
    """What was expected of a command, and what it showed."""
    shown = joined(lines)
    texts = [
        "\n".join(
            difflib.unified_diff(joined(one.expected), shown, "expected", "shown", "", "", 99)
        )
        for one in wanted
    ]
    return "\n\n".join([f"$ {command}", *texts])


@pytest.fixture(scope="module")
def operator(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator of a cluster on which the collection is deployed, with its own echo app."""
    home = tmp_path_factory.mktemp("home")
    made = Operator(lab, home)
    (home / ".kube").mkdir()
    for name in CLUSTERS:
        shutil.copy(lab.kubeconfig, home / ".kube" / name)
    made.deploy()
    yield made
    made.run("ansible-playbook playbooks/teardown.yml")


@pytest.mark.parametrize(
    ("page", "walk"),
    WALKS,
    ids=[f"{page.name}: {walk.made_by.removeprefix(LAB)}" for page, walk in WALKS],
)
def test_walk(operator: Operator, page: Runbook, walk: Walk) -> None:
    operator.run(walk.made_by)
    by_hand = iter(walk.by_hand)
    try:
        bound: Mapping[str, str] = {}
        for number, target in zip(walk.steps, (*walk.steps[1:], STOP), strict=True):
            step = page.steps[number]
            if step.command:
                bound = operator.take(step, target, bound).bound
            else:
                assert target in step.outcomes[0].targets
                operator.run(next(by_hand))
    finally:
        if walk.undone_by:
            operator.run(walk.undone_by)
        operator.restore()


def test_the_index_says_what_is_deployed() -> None:
    assert f"\n{DEPLOY}\n" in (DIRECTORY / "README.md").read_text()
