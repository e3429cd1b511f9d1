# SPDX-License-Identifier: GPL-3.0-or-later
"""Teardown where somebody else has begun it, and where a part of the cluster is gone."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import balancing, processes
from lab.settings import Lab
from tests.lab.playbooks import Playbooks

SHORT = ("-e", "real_ip_wait_timeout=6")


@pytest.fixture
def deployed(own: Playbooks) -> Playbooks:
    """The same with a deployment that it has made."""
    run = own.run("deploy")
    assert run.status == 0, run.output
    return own


def _gone(own: Playbooks) -> None:
    run = own.run("teardown")
    assert run.status == 0, run.output
    all_namespaces = own.kubectl("get", "namespaces", "-o", "name").split()
    assert f"namespace/{own.namespace}" not in all_namespaces


def test_after_a_deploy_that_came_half_way(own: Playbooks) -> None:
    assert own.run("deploy", "--tags", "namespace,service").status == 0
    _gone(own)


@contextmanager
def _being_deleted(own: Playbooks) -> Iterator[None]:
    """The namespace is on its way out meanwhile, and something in it holds it."""
    held = '{"metadata": {"finalizers": ["example.org/held"]}}'
    notes = ("configmap", "notes", "-n", own.namespace)
    own.kubectl("create", *notes)
    own.kubectl("patch", *notes, "-p", held)
    own.kubectl("delete", "namespace", own.namespace, "--wait=false")
    try:
        yield
    finally:
        own.kubectl("patch", *notes, "-p", '{"metadata": {"finalizers": null}}')


def test_a_namespace_that_is_being_deleted_is_waited_for(deployed: Playbooks) -> None:
    with _being_deleted(deployed):
        run = deployed.run("teardown", *SHORT)
        assert run.status == 2, run.output
        assert f"Namespace {deployed.namespace}: " in run.output
        assert "example.org/held" in run.output, "what holds it"
        assert "Left in the cluster: nothing" not in run.output
    _gone(deployed)


def test_a_deploy_into_a_namespace_that_is_being_deleted_says_so(deployed: Playbooks) -> None:
    with _being_deleted(deployed):
        run = deployed.run("deploy")
        assert run.status == 2
        assert f"Namespace {deployed.namespace} is being deleted: " in run.output
        assert f"kubectl get namespace {deployed.namespace}" in run.output
    _gone(deployed)


@contextmanager
def _controller_off(own: Playbooks) -> Iterator[None]:
    where = ("configmap", balancing.CONFIG_NAME, "-n", balancing.CONFIG_NAMESPACE)
    own.kubectl("create", *where, f"--from-literal={balancing.ENABLED}=false")
    try:
        yield
    finally:
        own.kubectl("delete", *where)


def test_a_load_balancer_that_nobody_releases_is_said_to_be_held(deployed: Playbooks) -> None:
    with _controller_off(deployed):
        run = deployed.run("teardown", *SHORT)
        assert run.status == 2, run.output
        assert "Ingress real-ip-ingress: held by the finalizer" in run.output
        assert f"kubectl -n {deployed.namespace} describe ingress real-ip-ingress" in run.output
        assert f"namespace/{deployed.namespace}" in deployed.namespaces(), (
            "what is held isn't hidden by it"
        )
    _gone(deployed)


def test_pods_of_a_node_that_is_gone_are_named(deployed: Playbooks, lab: Lab) -> None:
    words = ("get", "pods", "-n", deployed.namespace, "-o", "json")
    pods = json.loads(deployed.kubectl(*words))["items"]
    name, node = pods[0]["metadata"]["name"], pods[0]["spec"]["nodeName"]
    kubelet = processes.recorded(lab, f"{node}-kubelet")
    assert kubelet is not None
    processes.send(kubelet, signal.SIGSTOP)
    try:
        # What the node controller writes once it has heard nothing for most of a minute.
        lost = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
        deployed.kubectl("patch", "node", node, "--subresource=status", "-p", json.dumps(lost))
        run = deployed.run("teardown", *SHORT)
        assert run.status == 2, run.output
        assert "Deployment real-ip-deployment: held by its pods: " in run.output
        assert f"{name} on {node}, a node that isn't ready" in run.output
    finally:
        processes.send(kubelet, signal.SIGCONT)
    deployed.kubectl("wait", f"node/{node}", "--for=condition=Ready", "--timeout=60s")
    _gone(deployed)
