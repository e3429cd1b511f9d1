# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifests of docs/rbac: a playbook runs with exactly these rights, and not with one less."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from ansible_collections.kestrel.real_ip.plugins.module_utils._rights import (
    ANOTHERS,
    OURS,
    Right,
    former,
    needed,
)

from tests.lab.playbooks import ELSEWHERE, EXPECTED, LAB_SERVER, Playbooks, configuration, elsewhere
from tools import rbac

MINE = ("-e", f"real_ip_expected_source={EXPECTED}")
DIRECT = ("-e", "real_ip_scenario=gr-clb-direct-pod")


@pytest.fixture
def own(own: Playbooks) -> Playbooks:
    """The same in a namespace that somebody has made for them."""
    own.kubectl("create", "namespace", own.namespace)
    return own


class Granted:
    """One purpose's manifest in effect, and nothing else that its account may do."""

    def __init__(self, own: Playbooks, directory: Path) -> None:
        self.own, self.directory = own, directory

    def run(self, purpose: str, *arguments: str) -> Any:
        """A run of that playbook with these rights."""
        text = rbac.manifest(purpose).replace(rbac.NAMESPACE, self.own.namespace)
        self.own.kubectl("apply", "-f", "-", text=text)
        try:
            words = ("create", "token", rbac.ACCOUNT, "-n", self.own.namespace)
            token = self.own.kubectl(*words).strip()
            where = elsewhere(self.own, self.directory, LAB_SERVER, token=token)
            run = self.own.run(purpose, *where, *arguments)
        finally:
            self.own.kubectl("delete", "-f", "-", text=text)
        assert run.status == 0, run.output
        assert "isn't allowed" not in run.output
        assert "is forbidden" not in run.output
        return run


def test_each_playbook_runs_with_its_manifest(own: Playbooks, tmp_path: Path) -> None:
    granted = Granted(own, tmp_path)
    assert granted.run("deploy").changed == 3
    run = granted.run("verify", *MINE)
    assert run.verdict == "preserved"
    assert "vantage not checked" not in run.output
    assert "not looked for" not in run.output
    granted.run("diagnose")
    # Another scenario, and back: what each has needed is removed.
    granted.run("deploy", *DIRECT)
    assert granted.run("verify", *MINE, *DIRECT).verdict == "preserved"
    granted.run("diagnose", *DIRECT)
    assert granted.run("deploy").changed == 4
    assert granted.run("teardown").changed == 3
    kinds = ("get", "deployments,services,ingresses", "-n", own.namespace, "-o", "name")
    assert own.kubectl(*kinds) == ""


def test_what_may_not_be_listed_is_said_with_the_verdict(own: Playbooks, tmp_path: Path) -> None:
    """Of an account with what is needed, and nothing else."""
    assert own.run("deploy").status == 0
    objects = _account("just-enough", own.namespace, needed(["verify"], ANOTHERS))
    own.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(objects))
    token = own.kubectl("create", "token", "just-enough", "-n", own.namespace).strip()
    where = elsewhere(own, tmp_path, LAB_SERVER, token=token)
    run = own.run("verify", *where, *MINE, "-e", "real_ip_vantage=outside")
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    [line] = [one for one in run.output.splitlines() if one.startswith("real_ip: ")]
    assert "; ways around not looked for (no right to list nodes, services, ingresses)" in line
    assert "; others that may answer not looked for (no right to list ingresses)" in line
    said = " ".join(run.output.split())
    role = "create role real-ip-list-services-"
    assert f"may not list all services. Next: kubectl -n {own.namespace} {role}" in said
    assert "may not list all nodes. Next: kubectl create clusterrole real-ip-list-nodes-" in said


class Case(NamedTuple):
    """Settings of a run, and the rights that it needs with them."""

    options: dict[str, Any]
    ours: bool
    rights: list[Right]


IMAGE = {"echo": "image", "scenario": "gr-clb-non-direct-pod"}
BUNDLED = {"echo": "bundled", "scenario": "gr-clb-direct-pod"}
CASES = (
    Case({**IMAGE, "purposes": ["deploy"]}, True, needed(["deploy"], OURS)),
    Case(
        {**IMAGE, "purposes": ["deploy"]},
        False,
        needed(["deploy"], ANOTHERS, left=former("image", "Ingress")),
    ),
    Case(
        {**BUNDLED, "purposes": ["deploy", "verify"]},
        False,
        needed(["deploy", "verify"], ANOTHERS, "bundled", "Service"),
    ),
    Case({**IMAGE, "purposes": ["verify"]}, False, needed(["verify"], ANOTHERS)),
    Case({**IMAGE, "purposes": ["teardown"]}, False, needed(["teardown"], ANOTHERS)),
    Case({**IMAGE, "purposes": ["teardown"]}, True, needed(["teardown"], OURS)),
)
#: What of it a run goes on without, since nothing need be there
SEEN_ONLY = "get configmaps"

PLAYBOOK = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": [
            {
                "name": "Ask with each account",
                "kestrel.real_ip.preflight": "{{ item.options }}",
                "loop": "{{ cases }}",
                "loop_control": {"label": "{{ item.name }}"},
                "register": "asked",
                "failed_when": False,
            },
            {
                "name": "Keep what was said",
                "ansible.builtin.copy": {
                    "content": "{{ asked.results | map(attribute='msg', default='') | to_json }}",
                    "dest": "{{ told }}",
                    "mode": "0600",
                },
            },
        ],
    }
]


def _account(name: str, namespace: str, rights: Sequence[Right]) -> list[dict[str, Any]]:
    group = "rbac.authorization.k8s.io"
    where = {"name": name, "namespace": namespace}
    rules = [
        {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]}
        for right in rights
    ]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": where},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": where, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": where,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", **where}],
        },
    ]


OF_OURS = {
    "app.kubernetes.io/managed-by": "kestrel.real_ip",
    "app.kubernetes.io/instance": "real-ip",
}


def test_one_right_less_is_named_before_anything_is_changed(own: Playbooks, tmp_path: Path) -> None:
    """Every right of every case, left out once, each with an account of its own."""
    ours = f"{own.namespace}-ours"
    labels = {"metadata": {"name": ours, "labels": OF_OURS}}
    left = {"name": "real-ip-echo", "namespace": own.namespace, "labels": OF_OURS}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", **labels},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": left},
    ]
    expected: list[tuple[str, Case, str]] = []
    for number, case in enumerate(CASES):
        namespace = ours if case.ours else own.namespace
        for place, dropped in enumerate([None, *case.rights]):
            name = f"account-{number}-{place}"
            rights = [right for right in case.rights if right != dropped]
            objects += _account(name, namespace, rights)
            expected.append((name, case, str(dropped or "")))
    try:
        own.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(objects))
        told = _ask(own, ours, tmp_path, expected)
    finally:
        own.kubectl("delete", "namespace", ours, "--ignore-not-found", "--wait=false")
    for (name, case, dropped), said in zip(expected, told, strict=True):
        fine = not dropped or (dropped == SEEN_ONLY and case is CASES[1])
        where = ours if case.ours else own.namespace
        wanted = "" if fine else f"in the namespace {where} at {LAB_SERVER}: {dropped}. Nothing was"
        assert wanted in said, (name, dropped, said)
        assert bool(said) is not fine, (name, dropped, said)


def _ask(
    own: Playbooks, ours: str, tmp_path: Path, expected: Sequence[tuple[str, Case, str]]
) -> list[str]:
    """What the preflight says to each account."""
    lines = [
        f"kubectl create token {name} -n {ours if case.ours else own.namespace}; echo"
        for name, case, __ in expected
    ]
    status, output = own.execute("operator", "sh", "-ec", "\n".join(lines))
    assert status == 0, output
    content = configuration(own)
    cases = []
    for (name, case, __), token in zip(expected, output.split(), strict=True):
        # A file: of one that is given as a whole kubernetes.core 6.2 hides the server, too.
        file = tmp_path / f"{name}.json"
        users = [{**content["users"][0], "user": {"token": token}}]
        file.write_text(json.dumps({**content, "users": users}))
        options = {
            **case.options,
            "namespace": ours if case.ours else own.namespace,
            "name_prefix": "real-ip",
            "kubeconfig": str(file),
        }
        cases.append({"name": name, "options": options})
    playbook, variables, told = (tmp_path / name for name in ("ask.yml", "cases.json", "told.json"))
    playbook.write_text(yaml.safe_dump(PLAYBOOK))
    variables.write_text(json.dumps({"cases": cases, "told": str(told)}))
    status, output = own.execute(
        "operator",
        *(own.playbook("deploy")[0], str(playbook), "-e", f"@{variables}"),
        environment=ELSEWHERE,
    )
    assert status == 0, output
    # What may not be seen is said, once of each namespace, and doesn't stop a run.
    for namespace in (own.namespace, ours):
        unseen = f"in the namespace {namespace} can't be seen, and would stay: {SEEN_ONLY} isn't"
        assert output.count(unseen) == 1, output
    found: list[str] = json.loads(told.read_text())
    return found
