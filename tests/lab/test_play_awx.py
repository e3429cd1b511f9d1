# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/awx.md from a clone to a verdict: its commands against a stand-in of AWX's API, then jobs
as an AWX makes them of what the stand-in was given, on the test cluster.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import DEFAULT_SCENARIO

from tests.awx.client import Client, Job
from tests.lab.jobs import Jobs
from tests.lab.playbooks import EXPECTED, NAMESPACE, REPOSITORY, Playbooks
from tests.tools.controller import TOKEN, Controller, serving
from tests.tools.projects import checked_out, updated

PAGE = (REPOSITORY / "docs" / "awx.md").read_text()
[SETTINGS] = re.findall(r"^```yaml\n(awx_project_url: .*?)```$", PAGE, re.MULTILINE | re.DOTALL)
[KUBECONFIG] = re.findall(r'^export AWX_KUBECONFIG="\$\((.*)\)"$', PAGE, re.MULTILINE)
CONFIGURE = re.findall(r"^ansible-playbook playbooks/awx/configure\.yml .*$", PAGE, re.MULTILINE)
#: What the templates for one cluster aren't told by an answer
ALONE = f"awx_one_cluster: {{real_ip_expected_source: {EXPECTED}}}\n"
ORGANIZATION = "Kestrel"


class Awx:
    """A stand-in that the page's commands are typed against, and the jobs launched on it."""

    def __init__(self, url: str, kubeconfig: str, jobs: Jobs) -> None:
        self.client = Client(url, TOKEN)
        self.jobs = jobs
        self.environment = {
            **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
            "ANSIBLE_NOCOLOR": "1",
            "AWX_KUBECONFIG": kubeconfig,
            "CONTROLLER_HOST": url,
            "CONTROLLER_OAUTH_TOKEN": TOKEN,
        }

    def type(self, command: str) -> int:
        """Type a command of the page in the clone; how many tasks have changed something."""
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.jobs.place / "project",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        [changed] = re.findall(r"changed=(\d+)", done.stdout)
        return int(changed)

    def launch(self, template: str, **answers: Any) -> Job:
        """A job that has ended, launched with these answers to the survey's questions."""
        launched, ignored = self.client.launch(ORGANIZATION, template, **answers)
        assert ignored == set()
        return self.jobs.run(launched)

    def follow(self, template: str, before: Job) -> Job:
        """The job of a workflow's node that gets the artifacts of the one before."""
        launched, __ = self.client.launch(ORGANIZATION, template)
        return self.jobs.run(launched, before.artifacts)


@pytest.fixture(scope="module")
def awx(
    playbooks: Playbooks, image: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Awx]:
    """An AWX with everything on it by the commands of the page, which in the end take it away."""
    place = tmp_path_factory.mktemp("awx")
    checked_out(place / "project")
    updated(place / "project", place / "requirements_collections")
    (place / "project" / "my-awx.yml").write_text(SETTINGS + ALONE)
    kept = Controller()
    look, apply, remove = CONFIGURE
    with serving(kept) as url:
        status, kubeconfig = playbooks.execute("operator", "sh", "-c", KUBECONFIG)
        assert status == 0, kubeconfig
        found = Awx(url, kubeconfig, Jobs(kept, playbooks, image, place))
        assert found.type(look)
        assert kept.changes == []
        assert found.type(apply)
        yield found
        assert found.type(remove)
        assert kept.names("organizations") == []


def verdicts(job: Job) -> dict[str, str]:
    """The verdict of each cluster, of a job's artifacts."""
    return {name: one["verdict"] for name, one in job.artifacts["real_ip_results"].items()}


def test_from_a_clone_to_a_verdict(awx: Awx, playbooks: Playbooks) -> None:
    """Nothing is answered; the workflow goes on as its links say."""
    playbooks.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    for template in ("Real IP site", "Real IP verify"):
        job = awx.launch(template)
        assert job.status == "successful", job.output
        assert "\nreal_ip: shop preserved" in job.output
        assert "\n  awx      instead of ansible-playbook" in job.output
        assert verdicts(job) == {"shop": "preserved"}
    job = awx.launch("Real IP diagnose")
    assert job.status == "successful", job.output
    assert "\nreal_ip: shop " in job.output
    job = awx.launch("Real IP one cluster: diagnose")
    assert job.status == "successful", job.output
    assert "localhost: NOTHING WRONG" in job.output

    service = ("service", "real-ip-service", "-n", NAMESPACE)
    playbooks.kubectl("patch", *service, "-p", '{"spec": {"selector": {"app": "another-app"}}}')
    bad = awx.launch("Real IP verify")
    assert bad.status == "failed", bad.output
    assert verdicts(bad) == {"shop": "no_answer"}
    diagnose, failed = awx.jobs.next_ones("Real IP deploy and verify", "verify", "failure_nodes")
    job = awx.follow(diagnose, bad)
    assert job.status == "successful", job.output
    assert "P206 Service real-ip-service" in job.output
    job = awx.follow(failed, bad)
    assert job.status == "failed", job.output
    assert "The workflow has failed: shop no_answer" in job.output

    job = awx.launch("Real IP teardown")
    assert job.status == "successful", job.output
    assert f"namespace/{NAMESPACE}" not in playbooks.namespaces()


@pytest.mark.parametrize(
    ("language", "words"),
    [({}, "selector matches no pod"), ({"real_ip_language": "zh"}, "没有匹配到 Pod")],
)
def test_a_code_is_explained(awx: Awx, language: dict[str, str], words: str) -> None:
    job = awx.launch("Real IP explain", real_ip_code="P206", **language)
    assert job.status == "successful", job.output
    assert words in job.output


@pytest.mark.parametrize(
    ("expected", "status", "verdict"),
    [(EXPECTED, "successful", "preserved"), ("192.0.2.1", "failed", "lost")],
)
def test_one_cluster_with_an_answer_to_every_question(
    awx: Awx, playbooks: Playbooks, expected: str, status: str, verdict: str
) -> None:
    namespace = f"awx-{secrets.token_hex(3)}"
    job = awx.launch(
        "Real IP one cluster",
        real_ip_expected_source=expected,
        real_ip_namespace=namespace,
        real_ip_scenario=DEFAULT_SCENARIO,
        real_ip_accept=["preserved", "forgeable"],
        real_ip_ephemeral="true",
    )
    assert job.status == status, job.output
    assert verdicts(job) == {"localhost": verdict}
    assert f"namespace/{namespace}" not in playbooks.namespaces()
