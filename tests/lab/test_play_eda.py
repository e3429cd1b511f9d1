# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebook, run by ansible-rulebook: a webhook, a verdict, and a diagnosis where it is bad."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from lab import packages
from lab.settings import CACHE, Lab
from tests.lab.playbooks import EXPECTED, REPOSITORY, Playbooks
from tools import environment

RULEBOOK = "kestrel.real_ip.verify"
LOCK = REPOSITORY / "requirements" / "eda.txt"
JAVA = packages.Package("openjdk-17-jre-headless", "java", "runs the rules of a rulebook")
TOKEN = f"test-{secrets.token_hex(16)}"
GOOD = "Every verdict is an accepted one"

#: Seconds until something has happened; most of them are waited for only where it never does.
PATIENCE = 180.0


@pytest.fixture(scope="module")
def venv() -> Path:
    """What ansible-rulebook runs in, with the Java that it needs."""
    if not packages.is_present(JAVA):
        packages.install([JAVA.name], JAVA.why)
    interpreter = environment.probe(Path(sys.executable))
    assert interpreter is not None
    return environment.ensure(interpreter, LOCK, CACHE, print)


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Iterator[Playbooks]:
    found = Playbooks(lab.name, f"eda-{secrets.token_hex(3)}")
    run = found.run("deploy", "-e", "real_ip_echo=bundled")
    assert run.status == 0, run.output
    yield found
    # Waited for: the load balancer's address is free again only then.
    found.kubectl("delete", "namespace", found.namespace)


@dataclass
class Rulebook:
    """A rulebook that runs in the operator's namespace."""

    playbooks: Playbooks
    log: Path
    process: subprocess.Popen[bytes]
    port: int

    @property
    def output(self) -> str:
        """What it has said until now."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text("utf-8", "replace"))

    def post(self, token: str | None = TOKEN) -> str:
        """Send an event; return the HTTP status of the answer, 000 where nobody answers."""
        headers = [] if token is None else ["--header", f"Authorization: Bearer {token}"]
        __, output = self.playbooks.execute(
            "operator",
            *("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"),
            *headers,
            *(
                "--json",
                '{"real_ip_event": {"bad": false}}',
                f"http://127.0.0.1:{self.port}/changed",
            ),
        )
        return output.strip()

    def said(self, text: str, times: int = 1) -> str:
        """Wait until it has said something so often; return all that it has said."""
        deadline = time.monotonic() + PATIENCE
        while (output := self.output).count(text) < times:
            assert self.process.poll() is None, output
            assert time.monotonic() < deadline, f"not said {times} times: {text}\n{output}"
            time.sleep(0.2)
        return output


def command(deployed: Playbooks, venv: Path, directory: Path, **given: int) -> list[str]:
    """The command line of docs/eda.md, with an inventory for the test cluster."""
    inventory, settings = directory / "inventory.yml", directory / "settings.yml"
    variables = {
        "ansible_connection": "local",
        "real_ip_namespace": deployed.namespace,
        "real_ip_expected_source": EXPECTED,
    }
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": variables}}}))
    settings.write_text(
        yaml.safe_dump({f"real_ip_eda_{name}": value for name, value in given.items()})
    )
    rulebook = [str(venv / "bin/ansible-rulebook"), "--rulebook", RULEBOOK]
    rulebook += ["--inventory", str(inventory), "--vars", str(settings)]
    return deployed.command("operator", *rulebook, "--env-vars", "REAL_IP_EDA_TOKEN")


def variables(venv: Path) -> dict[str, str]:
    found = environment.variables(venv, os.environ)
    places = [REPOSITORY / "playbooks/collections", *Path(sys.prefix).glob("lib/*/site-packages")]
    return found | {"ANSIBLE_COLLECTIONS_PATH": ":".join(map(str, places))}


@contextmanager
def running(deployed: Playbooks, venv: Path, directory: Path, **given: int) -> Iterator[Rulebook]:
    """The rulebook, from its start until its webhook has answered once."""
    log = directory / "log"
    with (
        log.open("wb") as written,
        subprocess.Popen(
            command(deployed, venv, directory, **given),
            cwd=REPOSITORY,
            env=variables(venv) | {"REAL_IP_EDA_TOKEN": TOKEN},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            # Its own session, so that it and the Java in it end together.
            start_new_session=True,
        ) as process,
    ):
        found = Rulebook(deployed, log, process, given["port"])
        try:
            deadline = time.monotonic() + PATIENCE
            while found.post(token=None) == "000":
                assert process.poll() is None, found.output
                assert time.monotonic() < deadline, found.output
                time.sleep(0.5)
            yield found
        finally:
            os.killpg(process.pid, signal.SIGTERM)


@pytest.fixture(scope="module")
def rulebook(
    deployed: Playbooks, venv: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rulebook]:
    with running(deployed, venv, tmp_path_factory.mktemp("eda"), port=5017) as found:
        yield found


def test_the_schedule_verifies_again_and_again(
    deployed: Playbooks, venv: Path, tmp_path: Path
) -> None:
    with running(deployed, venv, tmp_path, port=5018, interval=2) as found:
        output = found.said(GOOD, times=2)
    assert output.count("real_ip: localhost preserved") >= 2


@pytest.mark.parametrize("token", [None, "", "another"])
def test_without_the_token_nothing_is_run(rulebook: Rulebook, token: str | None) -> None:
    assert rulebook.post(token) == "401"
    assert "PLAY" not in rulebook.output


def test_a_webhook_verifies_and_a_bad_verdict_is_diagnosed(rulebook: Rulebook) -> None:
    """What the request itself claims to be an event counts for nothing."""
    assert rulebook.post() == "200"
    output = rulebook.said(GOOD)
    assert "real_ip: localhost preserved" in output
    assert "real_ip: localhost no_answer" not in output

    service = ("service", "real-ip-service", "-n", rulebook.playbooks.namespace)
    broken = '{"spec": {"selector": {"app": "another-app"}}}'
    rulebook.playbooks.kubectl("patch", *service, "-p", broken)
    assert rulebook.post() == "200"
    # Once by the playbook that verifies, once by the one that diagnoses.
    output = rulebook.said("P206 Service real-ip-service", times=2)
    assert "real_ip: localhost no_answer V516" in output
    assert output.count(GOOD) == 1
    assert TOKEN not in output


def test_without_a_token_of_its_own_it_does_not_start(
    deployed: Playbooks, venv: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        command(deployed, venv, tmp_path, port=5019),
        cwd=REPOSITORY,
        env=variables(venv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode != 0
    assert "REAL_IP_EDA_TOKEN" in done.stdout
