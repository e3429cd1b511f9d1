# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode, waiting, ownership and teardown of the playbooks on the test cluster."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from lab.settings import Lab
from tests.lab.playbooks import EXPECTED, EXPECTED_IPV6, Playbooks

MINE = ("-e", f"real_ip_expected_source={EXPECTED}")
UNKNOWN_IMAGE = "registry.example/nobody/nothing:v0"


@pytest.fixture
def playbooks(lab: Lab) -> Iterator[Playbooks]:
    """Runs playbooks in a namespace of the test's own, which is gone some time after the test."""
    found = Playbooks(lab.name, f"lifecycle-{secrets.token_hex(3)}")
    yield found
    found.kubectl("delete", "namespace", found.namespace, "--ignore-not-found", "--wait=false")


def test_check_mode_on_an_empty_cluster(playbooks: Playbooks) -> None:
    run = playbooks.run("site", "--check", "--diff", *MINE)
    assert run.status == 0, run.output
    assert run.changed == 4, "what a run would create: namespace, Deployment, Service, Ingress"
    assert run.verdict == "not_run"
    assert run.output.count("--- before") == 4
    assert "\n-" not in run.output.replace("\n--- before", ""), "nothing is there before"
    assert f"namespace/{playbooks.namespace}" not in playbooks.namespaces()


def test_deploy_then_check_mode_says_what_would_change(playbooks: Playbooks) -> None:
    assert playbooks.run("deploy").status == 0
    run = playbooks.run("deploy", "--check", "--diff", "-e", "real_ip_replicas=1")
    assert run.status == 0
    assert run.changed == 1
    real = playbooks.run("deploy", "-e", "real_ip_replicas=1")
    assert real.changed == 1


def _applied(playbooks: Playbooks) -> list[object]:
    """What the server keeps of our last writing of each object, with its time."""
    kinds = "deployments,services,ingresses"
    command = ("get", kinds, "-n", playbooks.namespace, "-o", "json", "--show-managed-fields")
    return [
        entry
        for one in json.loads(playbooks.kubectl(*command))["items"]
        for entry in one["metadata"]["managedFields"]
        if entry["operation"] == "Apply"
    ]


def test_a_second_run_writes_nothing_where_others_have_annotated(playbooks: Playbooks) -> None:
    assert playbooks.run("deploy").status == 0
    before = _applied(playbooks)
    assert len(before) == 3
    objects = (
        "deployment/real-ip-deployment",
        "service/real-ip-service",
        "ingress/real-ip-ingress",
    )
    here = ("-n", playbooks.namespace)
    playbooks.kubectl("annotate", *objects, "example.com/seen=yes", *here)
    playbooks.kubectl("rollout", "restart", objects[0], *here)
    time.sleep(1.1)  # the server tells times in seconds
    again = playbooks.run("deploy")
    assert (again.status, again.changed) == (0, 0), again.output
    assert _applied(playbooks) == before


def test_teardown_removes_everything_and_twice_is_fine(playbooks: Playbooks) -> None:
    before = playbooks.namespaces()
    assert playbooks.run("deploy").status == 0
    run = playbooks.run("teardown")
    assert run.status == 0, run.output
    assert playbooks.namespaces() == before
    again = playbooks.run("teardown")
    assert again.status == 0, again.output
    assert again.changed == 0


def test_a_namespace_that_existed_before_is_kept(playbooks: Playbooks) -> None:
    playbooks.kubectl("create", "namespace", playbooks.namespace)
    assert playbooks.run("deploy").changed == 3
    labels = ("get", "namespace", playbooks.namespace, "-o", "jsonpath={.metadata.labels}")
    assert "kestrel.real_ip" not in playbooks.kubectl(*labels)
    run = playbooks.run("teardown")
    assert run.status == 0, run.output
    assert f"namespace/{playbooks.namespace}" in playbooks.namespaces()
    left = playbooks.kubectl(
        "get", "deployments,services,ingresses,pods", "-n", playbooks.namespace, "-o", "name"
    )
    assert left.strip() in ("", f"No resources found in {playbooks.namespace} namespace.")


def test_check_mode_with_a_url_on_an_empty_cluster_asks_nobody(playbooks: Playbooks) -> None:
    run = playbooks.run("site", *MINE, "--check", "-e", "real_ip_url=http://198.51.100.77/")
    assert run.status == 0, run.output
    assert run.verdict == "not_run"


def test_a_url_is_asked_with_the_host(playbooks: Playbooks) -> None:
    host = (*MINE, "-e", "real_ip_host=app.example.com")
    assert playbooks.run("site", *host).verdict == "preserved"
    status = ("get", "ingress", "real-ip-ingress", "-n", playbooks.namespace)
    address = playbooks.kubectl(*status, "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
    run = playbooks.run("verify", *host, "-e", f"real_ip_url=http://{address}/")
    assert run.verdict == "preserved", run.output


def test_an_object_that_is_being_deleted_is_named(playbooks: Playbooks) -> None:
    assert playbooks.run("deploy").status == 0
    service = ("service", "real-ip-service", "-n", playbooks.namespace)
    held = '{"metadata": {"finalizers": ["example.org/held"]}}'
    playbooks.kubectl("patch", *service, "-p", held)
    playbooks.kubectl("delete", *service, "--wait=false")
    try:
        run = playbooks.run("site", *MINE)
        assert run.status == 2
        assert "Service real-ip-service is being deleted: held by the finalizer" in run.line
    finally:
        playbooks.kubectl("patch", *service, "-p", '{"metadata": {"finalizers": null}}')
    assert playbooks.run("site", *MINE).verdict == "preserved"


def test_an_object_of_an_owner_outside_keeps_our_namespace(playbooks: Playbooks) -> None:
    assert playbooks.run("deploy").status == 0
    uid = playbooks.kubectl("get", "node", "node1", "-o", "jsonpath={.metadata.uid}")
    owner = {"apiVersion": "v1", "kind": "Node", "name": "node1", "uid": uid}
    notes = {"metadata": {"ownerReferences": [owner]}}
    playbooks.kubectl("create", "configmap", "notes", "-n", playbooks.namespace)
    playbooks.kubectl(
        "patch", "configmap", "notes", "-n", playbooks.namespace, "-p", json.dumps(notes)
    )
    run = playbooks.run("teardown")
    assert run.status == 0, run.output
    assert "ConfigMap/notes" in run.output
    playbooks.kubectl("get", "configmap", "notes", "-n", playbooks.namespace)


def test_foreign_objects_keep_our_namespace(playbooks: Playbooks) -> None:
    assert playbooks.run("deploy").status == 0
    playbooks.kubectl("create", "configmap", "notes", "-n", playbooks.namespace)
    playbooks.kubectl(
        "create", "secret", "generic", "keys", "-n", playbooks.namespace, "--from-literal=a=s3cret"
    )
    run = playbooks.run("teardown", "-vvv")
    assert run.status == 0, run.output
    assert "ConfigMap/notes" in run.output
    assert "Secret/keys" in run.output
    assert "czNjcmV0" not in run.output, "a Secret's content is never read"
    playbooks.kubectl("get", "configmap", "notes", "-n", playbooks.namespace)


def test_an_object_that_is_not_ours_is_refused_and_unchanged(playbooks: Playbooks) -> None:
    playbooks.kubectl("create", "namespace", playbooks.namespace)
    playbooks.kubectl(
        "create",
        "service",
        "clusterip",
        "real-ip-service",
        "--tcp=80:80",
        "-n",
        playbooks.namespace,
    )
    version = (
        "get",
        "service",
        "real-ip-service",
        "-n",
        playbooks.namespace,
        "-o",
        "jsonpath={.metadata.resourceVersion}",
    )
    before = playbooks.kubectl(*version)
    run = playbooks.run("deploy")
    assert run.status == 2
    assert "Service real-ip-service exists and isn't ours" in run.output
    assert playbooks.run("teardown").status == 0
    assert playbooks.kubectl(*version) == before


def test_an_object_that_is_not_ours_is_adopted_where_that_is_asked_for(
    playbooks: Playbooks,
) -> None:
    service = ("service", "real-ip-service", "-n", playbooks.namespace)
    playbooks.kubectl("create", "namespace", playbooks.namespace)
    playbooks.kubectl(
        *("create", "service", "clusterip", "real-ip-service", "--tcp=80:80"),
        *("-n", playbooks.namespace),
    )
    playbooks.kubectl("annotate", *service, "example/team=payments")
    adopt = ("-e", "real_ip_adopt=true")
    labels = ("-o", "jsonpath={.metadata.labels.app\\.kubernetes\\.io/managed-by}")

    check = playbooks.run("deploy", "--check", *adopt)
    assert (check.status, check.changed) == (0, 3), check.output
    assert playbooks.kubectl("get", *service, *labels) == ""
    run = playbooks.run("site", *MINE, *adopt)
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    assert playbooks.kubectl("get", *service, *labels) == "kestrel.real_ip"
    team = ("-o", "jsonpath={.metadata.annotations.example/team}")
    assert playbooks.kubectl("get", *service, *team) == "payments"
    again = playbooks.run("deploy", *adopt)
    assert (again.status, again.changed) == (0, 0), again.output

    # One of another deployment isn't for the taking.
    playbooks.kubectl("label", *service, "--overwrite", "app.kubernetes.io/instance=other")
    run = playbooks.run("deploy", *adopt)
    assert run.status == 2
    assert "Service real-ip-service exists and isn't ours" in run.output
    playbooks.kubectl("label", *service, "--overwrite", "app.kubernetes.io/instance=real-ip")
    assert playbooks.run("teardown").status == 0
    left = playbooks.kubectl("get", "services", "-n", playbooks.namespace, "-o", "name")
    assert left == "", "what was adopted is ours"


def test_two_deployments_in_one_namespace(playbooks: Playbooks) -> None:
    assert playbooks.run("deploy").status == 0
    other = ("-e", "real_ip_name_prefix=other")
    assert playbooks.run("site", *MINE, *other).verdict == "preserved"
    status = ("get", "ingress", "other-ingress", "-n", playbooks.namespace)
    address = playbooks.kubectl(*status, "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
    # Both see the client, and neither names its pods: who answers there can't be told.
    elsewhere = playbooks.run("verify", *MINE, "-e", f"real_ip_url=http://{address}/")
    assert elsewhere.verdict == "not_run", elsewhere.output
    assert "may be another deployment" in elsewhere.line
    assert playbooks.run("teardown", *other).status == 0
    run = playbooks.run("verify", *MINE)
    assert run.verdict == "preserved", run.output
    assert run.status == 0


def test_a_wait_shows_progress_and_its_end_names_the_object(playbooks: Playbooks) -> None:
    start = time.monotonic()
    run = playbooks.run(
        "site", "-e", f"real_ip_image={UNKNOWN_IMAGE}", "-e", "real_ip_wait_timeout=22"
    )
    assert time.monotonic() - start < 60
    assert run.status == 2
    assert run.verdict == "not_run"
    progress = [line for line in run.output.splitlines() if "waiting for" in line]
    shown = [0.0, *(float(line.rsplit("(", 1)[1].split()[0]) for line in progress), 22.0]
    assert max(b - a for a, b in pairwise(shown)) <= 10, shown
    assert all("Deployment real-ip-deployment: 0 of 2 pods available" in line for line in progress)
    assert "Not ready after 22 s" in run.line
    assert "Latest event: Pod/real-ip-deployment-" in run.line
    assert f"kubectl -n {playbooks.namespace} describe deployment real-ip-deployment" in run.line


@pytest.mark.parametrize("address", ["hostname", "both"])
def test_every_entry_of_the_status_counts(playbooks: Playbooks, address: str) -> None:
    playbooks.switch(f"address={address}")
    try:
        both = f"real_ip_expected_source={EXPECTED},{EXPECTED_IPV6}"
        run = playbooks.run("site", "-e", both, environment={"ANSIBLE_SHOW_CUSTOM_STATS": "1"})
        observed = run.statistics()["real_ip_results"]["localhost"]["observed"]
    finally:
        playbooks.switch("address=ip")
    assert run.status == 0, run.output
    assert {*observed} == {EXPECTED, EXPECTED_IPV6}
    # A name with two addresses of IPv4 and one of IPv6: each is a target of its own.
    assert sum(observed.values()) >= 30
