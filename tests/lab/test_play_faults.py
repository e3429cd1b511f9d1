# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault of the lab: the verdict, the cause that is named, and whether its fix mends it.

What mends is the text of the finding itself, typed as it stands, with no knowledge of the fault.
Only where a person has to act (``console``), the fault's own switch stands for that person.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._causes import CAUSES

from lab import faults
from lab.settings import Lab
from tests.lab.fault_cases import (
    BUNDLED,
    CASES,
    DEPLOYMENT,
    INGRESS,
    LAYER_4,
    SERVICE,
    UNPRODUCED,
    Case,
)
from tests.lab.playbooks import EXPECTED, VENV, Playbooks, Run
from tests.lab.spaces import eventually

MINE = ("-e", f"real_ip_expected_source={EXPECTED}", "-e", "real_ip_wait_timeout=60")
#: Seconds that what was mended may take until it works: pods that start, a balancer that is made.
PATIENCE = 60.0


#: What is run in every `make test`; with ``--every-fault``, as in `make test-faults`, all are.
QUICK = (
    "image-not-found",
    "container-crashes",
    "quota-exceeded",
    "selector-mismatch",
    "target-port-wrong",
    "controller-off",
    "client-closed",
    "policy-cluster",
    "header-believed",
)


class Page(NamedTuple):
    """What a run says, as a person and as a script read it."""

    run: Run
    verdict: str
    cause: dict[str, Any] | None

    @property
    def fix(self) -> str:
        return str(self.cause["fix"]) if self.cause else ""

    @property
    def command(self) -> str:
        """The command that the page says to type."""
        [found] = re.findall(r"^  type +(.+)$", self.run.output, re.MULTILINE)
        return str(found)


class Matrix:
    """A deployment on which faults are turned on and mended."""

    def __init__(self, lab: Lab, echo: tuple[str, ...]) -> None:
        self.lab = lab
        self.echo = echo
        self.namespace = f"faults-{secrets.token_hex(3)}"
        self.playbooks = Playbooks(lab.name, self.namespace)
        self.environment: dict[str, str] = {}

    def deploy(self) -> None:
        """Bring the deployment to what it should be."""
        # For what asks the Ingress, it is a way around.
        layer_4 = ("service", "layer-4", "-n", self.namespace)
        self.playbooks.kubectl("delete", *layer_4, "--ignore-not-found")
        run = self.playbooks.run("site", *MINE, *self.echo)
        assert run.verdict == "preserved", run.output

    def run(self, playbook: str, *arguments: str) -> Page:
        """Run a playbook as an operator does."""
        shown = {"ANSIBLE_SHOW_CUSTOM_STATS": "1", **self.environment}
        run = self.playbooks.run(playbook, *MINE, *arguments, environment=shown)
        result = run.statistics()["real_ip_results"]["localhost"]
        verdict = result["verdict"]
        if playbook == "diagnose":
            # It draws no verdict, but shows the probe's, and of one that is good the reason alone.
            [told] = re.findall(r"^  probe +(\w+)", run.output, re.MULTILINE) or [verdict]
            verdict = "preserved" if told == "all" else told
        return Page(run, verdict, result["cause"])

    def type(self, command: str) -> None:
        """Type a command as it stands, where playbooks are at hand."""
        path = {"PATH": f"{VENV}:{os.environ['PATH']}"}
        words = ("operator", "bash", "-c", command)
        status, output = self.playbooks.execute(*words, environment=path)
        assert status == 0, f"{command}\n{output}"

    def settle(self, playbook: str, *arguments: str) -> Page:
        """The page once what was mended works, or the last one."""
        end = time.monotonic() + PATIENCE
        while True:
            page = self.run(playbook, *arguments)
            good = page.verdict == "preserved" and page.cause is None
            if good or time.monotonic() > end:
                return page
            time.sleep(1)


Matrices = dict[tuple[str, ...], Matrix]


@pytest.fixture(scope="module")
def matrices(lab: Lab) -> Iterator[Matrices]:
    """A deployment for each echo app, made when it is needed first."""
    made: Matrices = {}
    yield made
    for matrix in made.values():
        namespace = matrix.playbooks.namespace
        matrix.playbooks.kubectl("delete", "namespace", namespace, "--wait=false")


def deployed(lab: Lab, matrices: Matrices, echo: tuple[str, ...]) -> Matrix:
    """The deployment with this echo app."""
    if echo not in matrices:
        matrices[echo] = Matrix(lab, echo)
        matrices[echo].deploy()
    return matrices[echo]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The faults of this run."""
    if "fault" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every-fault")
        metafunc.parametrize("fault", list(CASES) if every else QUICK)


def test_the_cause_is_named_and_its_fix_mends(lab: Lab, matrices: Matrices, fault: str) -> None:
    case = CASES[fault]
    matrix = deployed(lab, matrices, case.echo)
    if case.arguments == LAYER_4:
        # What faults at layer 4 change; what they make themselves goes away with them.
        matrix.playbooks.balance("Local")
    namespace = matrix.namespace
    facts = faults.turn_on(lab, fault, namespace)
    arguments = [*case.arguments]
    matrix.environment = dict(case.environment)
    for variable, fact in case.facts:
        arguments += ["-e", f"{variable}={facts[fact]}"]
    try:
        page = noticed(matrix, case, arguments)
        assert page.cause is not None, page.run.output
        assert page.cause["code"] == case.code, page.run.output
        assert page.verdict == case.verdict, page.run.output
        assert page.cause["object"].startswith(case.found), page.run.output
        assert page.cause["fix_kind"] == case.kind, page.run.output
        # The page says the same, and a command stands on it whole.
        assert page.fix.split()[0] in page.run.output
        if case.kind == "command":
            matrix.type(page.command)
        elif case.kind == "variable":
            arguments += ["-e", page.fix]
            if "real_ip_echo" in page.fix:
                site = matrix.playbooks.run("site", *MINE, *arguments)
                assert site.verdict == "preserved", site.output
        else:
            faults.turn_off(lab, fault, namespace)
            arguments = [*LAYER_4] if case.arguments == LAYER_4 else []
        page = matrix.settle(case.playbook, *arguments)
        assert page.verdict == "preserved", page.run.output
        assert page.cause is None, page.run.output
    finally:
        faults.turn_off(lab, fault, namespace)
        matrix.environment = {}
        # What a fix has left is made as the next fault wants to find it.
        matrix.deploy()


def noticed(matrix: Matrix, case: Case, arguments: list[str]) -> Page:
    """The page once the fault is noticed: pods need a moment to fail, and events to be written."""
    end = time.monotonic() + PATIENCE
    while True:
        page = matrix.run(case.playbook, *arguments)
        told = page.cause is not None and page.cause["code"] == case.code
        # Under load a pod that ends, or a rule of a node, is there a moment longer than its object.
        told = told and page.verdict == case.verdict
        if told or time.monotonic() > end:
            return page
        time.sleep(1)


def test_every_fault_has_a_case() -> None:
    # What is no fault of the cluster, or not told as one: each with the test that is about it.
    others = {"rights-missing", "hostname-only"}
    assert {*CASES} | others == {*faults.FAULTS}
    assert {*QUICK} <= {*CASES}
    assert len(CASES) >= 30


def test_every_cause_has_a_fault_or_a_reason_why_not() -> None:
    assert {case.code for case in CASES.values()} | {*UNPRODUCED} == {*CAUSES}
    assert not {case.code for case in CASES.values()} & {*UNPRODUCED}


def test_what_only_forged_requests_meet_is_no_cause(lab: Lab, matrices: Matrices) -> None:
    matrix = deployed(lab, matrices, ())
    matrix.playbooks.switch("firewall=forged")
    try:
        page = matrix.run("verify", "--tags", "verify,diagnose")
        assert page.verdict == "preserved", page.run.output
        assert page.cause is None, page.run.output
        assert "NOTHING" in page.run.output or "PRESERVED" in page.run.output
    finally:
        matrix.playbooks.switch("firewall=open")


def test_an_api_server_that_ends_half_way(lab: Lab) -> None:
    own = Playbooks(lab.name, f"faults-{secrets.token_hex(3)}")
    # The run waits for an address that doesn't come, once all was applied.
    own.switch("address_delay=600")
    try:
        with ThreadPoolExecutor(max_workers=1) as pool:
            running = pool.submit(own.run, "site", *MINE, "-e", "real_ip_wait_timeout=20")
            end = time.monotonic() + PATIENCE
            while own.execute(
                "operator", "kubectl", "get", "ingress/real-ip-ingress", "-n", own.namespace
            )[0]:
                assert time.monotonic() < end, "no Ingress was made"
                time.sleep(0.2)
            faults.turn_on(lab, "api-server-down", own.namespace)
            run = running.result()
        assert run.status == 2
        assert re.search(r"^real_ip: localhost not_run P001 ", run.output, re.MULTILINE), run.output
        [done] = re.findall(r"^  done +((?:.+\n)(?: {11}.+\n)*)", run.output, re.MULTILINE)
        told = " ".join(done.split())
        for found in ("Namespace " + own.namespace, DEPLOYMENT, SERVICE, INGRESS):
            assert found in told, run.output
        assert "created: " in told
    finally:
        faults.turn_off(lab, "api-server-down", own.namespace)
        own.switch("address_delay=1")
        own.kubectl("delete", "namespace", own.namespace, "--ignore-not-found", "--wait=false")


INGRESS_WAY = {"ingress": "real-ip-ingress", "service": "real-ip-service"}


@pytest.mark.parametrize(
    ("echo", "front", "hops", "info"),
    [
        ((), INGRESS_WAY, 6, []),
        (BUNDLED, INGRESS_WAY, 6, []),
        (BUNDLED, {"service": "layer-4"}, 5, []),
        (BUNDLED, {"ingress": "real-ip-ingress"}, 6, ["P312"]),
    ],
    ids=["image", "bundled", "layer 4", "a name for an address"],
)
def test_a_healthy_way_has_nothing_above_info(
    lab: Lab,
    matrices: Matrices,
    echo: tuple[str, ...],
    front: dict[str, str],
    hops: int,
    info: list[str],
) -> None:
    matrix = deployed(lab, matrices, echo)
    if front.get("service") == "layer-4":
        matrix.playbooks.balance("Local")
    if info:
        matrix.playbooks.switch("address=hostname")

    def as_found() -> dict[str, Any]:
        asked = {"namespace": matrix.namespace, **front}
        found = matrix.playbooks.module("operator", "traffic_path_info", asked)
        assert [one["code"] for one in found["findings"]] == info
        return found

    try:
        # The status follows a switch a moment later, and controllers whose API server was gone, in
        # a test before, look again after a minute at most.
        found = eventually(as_found, 120)
        assert all(one["severity"] == "info" for one in found["findings"])
        assert found["cause"] is None
        assert [one["broken"] for one in found["path"]] == [False] * hops
    finally:
        matrix.playbooks.switch("address=ip")
