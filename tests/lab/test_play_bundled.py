# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own echo app on the test cluster, in a namespace that admits little."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator

import pytest

from lab.settings import Lab
from tests.lab.playbooks import EXPECTED, REPOSITORY, Playbooks, Run

APP = REPOSITORY / "roles" / "deployment" / "files" / "echo.py"
MINE = ("-e", f"real_ip_expected_source={EXPECTED}")
BUNDLED = ("-e", "real_ip_echo=bundled")
ENFORCED = "pod-security.kubernetes.io/enforce"


@pytest.fixture(scope="module")
def restricted(lab: Lab) -> Iterator[Playbooks]:
    """Runs playbooks in a namespace of somebody else's, which enforces the standard restricted."""
    found = Playbooks(lab.name, f"bundled-{secrets.token_hex(3)}")
    found.kubectl("create", "namespace", found.namespace)
    found.kubectl("label", "namespace", found.namespace, f"{ENFORCED}=restricted")
    yield found
    found.kubectl("delete", "namespace", found.namespace)


def _objects(playbooks: Playbooks) -> set[str]:
    """What is in the namespace, but for what Kubernetes itself puts there."""
    names = playbooks.kubectl(
        *("get", "configmaps,deployments,services,ingresses,pods"),
        *("-n", playbooks.namespace, "-o", "name", "--ignore-not-found"),
    )
    return set(names.split()) - {"configmap/kube-root-ca.crt"}


def test_check_mode_and_what_is_not_ours(restricted: Playbooks) -> None:
    run = restricted.run("deploy", "--check", "--diff", *BUNDLED)
    assert run.status == 0, run.output
    assert run.changed == 3, "Deployment and ConfigMap are one task"
    assert run.output.count("--- before") == 4
    assert _objects(restricted) == set()

    foreign = {
        "configmap/real-ip-echo": ["configmap", "real-ip-echo"],
        # It is applied after the ConfigMap, which must not be there then.
        "deployment.apps/real-ip-deployment": [
            *("deployment", "real-ip-deployment", "--image=nobody.example/nothing", "--replicas=0")
        ],
    }
    for name, words in foreign.items():
        restricted.kubectl("create", *words, "-n", restricted.namespace)
        run = restricted.run("deploy", "--tags", "deployment", *BUNDLED)
        assert run.status == 2
        assert f"{words[1]} exists and isn't ours" in run.output
        assert _objects(restricted) == {name}
        restricted.kubectl("delete", name, "-n", restricted.namespace)


@pytest.fixture(scope="module")
def deployed(restricted: Playbooks) -> Run:
    """The run that deployed it."""
    return restricted.run("site", *MINE, *BUNDLED)


def test_the_verdict_names_both_pods(restricted: Playbooks, deployed: Run) -> None:
    assert deployed.line.startswith("real_ip: localhost preserved V001 "), deployed.output
    pods = {name for name in _objects(restricted) if name.startswith("pod/")}
    backends = re.findall(
        r"^  backend  (\S+): 203\.0\.113\.10 \(\d+\)$", deployed.output, re.MULTILINE
    )
    assert {f"pod/{name}" for name in backends} == pods
    assert len(pods) == 2


def test_what_reached_the_pod_is_told_line_by_line(restricted: Playbooks, deployed: Run) -> None:
    lines = ["X-Twice: 1", "X-Twice: 2", "x-twice:  1 ", "X-Forwarded-For: 192.0.2.1"]
    options = [word for line in lines for word in ("--header", line)]
    found = re.search(r"^  address  (\S+)$", deployed.output, re.MULTILINE)
    assert found, deployed.output
    url = f"http://{found[1]}/a/b?kestrel_nonce=n1"
    status, output = restricted.execute("client", "curl", "--silent", "-X", "PUT", *options, url)
    assert status == 0, output
    answer = json.loads(output)
    headers = answer["headers"]
    assert [line for line in headers if line[0].lower() == "x-twice"] == [
        *(["X-Twice", "1"], ["X-Twice", "2"], ["x-twice", "1"])
    ]
    assert ["X-Forwarded-For", "192.0.2.1, 203.0.113.20"] in headers
    assert (answer["method"], answer["path"], answer["nonce"]) == (
        "PUT",
        "/a/b?kestrel_nonce=n1",
        "n1",
    )
    assert answer["node"] in ("node1", "node2")
    assert answer["namespace"] == restricted.namespace
    assert answer["peer"]["address"].startswith("10."), "a node or a bridge, never in IPv6 clothes"


def test_the_pods_run_the_file_of_the_checkout(restricted: Playbooks, deployed: Run) -> None:
    path = r"jsonpath={.spec.template.metadata.annotations.checksum/echo}"
    told = restricted.kubectl(
        *("get", "deployment", "real-ip-deployment", "-n", restricted.namespace, "-o", path)
    )
    assert told == hashlib.sha256(APP.read_bytes()).hexdigest()
    data = (
        "get",
        "configmap",
        "real-ip-echo",
        "-n",
        restricted.namespace,
        "-o",
        "jsonpath={.data}",
    )
    assert json.loads(restricted.kubectl(*data)) == {"echo.py": APP.read_text()}


def test_a_second_run_changes_nothing(restricted: Playbooks, deployed: Run) -> None:
    run = restricted.run("deploy", *BUNDLED)
    assert run.status == 0, run.output
    assert run.changed == 0, run.output


def test_teardown_after_another_echo_app_leaves_nothing(
    restricted: Playbooks, deployed: Run
) -> None:
    restricted.kubectl("label", "namespace", restricted.namespace, f"{ENFORCED}-")
    run = restricted.run("deploy")
    assert run.status == 0, run.output
    assert run.changed == 2
    assert "configmap/real-ip-echo" not in _objects(restricted), "no pod can read it any more"
    # As a run leaves it that is killed before its end.
    left = ("configmap", "real-ip-echo", "-n", restricted.namespace)
    restricted.kubectl("create", *left)
    restricted.kubectl(
        *("label", *left, "app.kubernetes.io/managed-by=kestrel.real_ip"),
        "app.kubernetes.io/instance=real-ip",
    )
    run = restricted.run("teardown")
    assert run.status == 0, run.output
    assert _objects(restricted) == set()
