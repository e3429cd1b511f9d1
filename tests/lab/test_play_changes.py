# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment whose variables change, and one that others write to as well."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from lab.balancing import CONFIG_NAME, CONFIG_NAMESPACE, ENABLED
from lab.settings import NODE2
from tests.lab.playbooks import EXPECTED, Playbooks, super_node

MINE = ("-e", f"real_ip_expected_source={EXPECTED}")
SCENARIOS = (
    "gr-clb-non-direct-pod",
    "eni-clb-non-direct-pod",
    "gr-clb-direct-pod",
    "eni-clb-direct-pod",
    "super-clb-direct-pod",
)
KINDS = "ingresses,services,deployments,configmaps"
#: What must have no part in a diff; what stands deeper is an object's own
NOISE = re.compile(
    "^[+-](  )?(managedFields|resourceVersion|uid|creationTimestamp|status|generation):", re.M
)


def _set(**variables: Any) -> tuple[str, str]:
    named = {f"real_ip_{name}": value for name, value in variables.items()}
    return ("-e", json.dumps(named))


def _there(own: Playbooks, *more: str) -> dict[str, dict[str, Any]]:
    """The deployment's objects by kind."""
    ours = ("-l", "app.kubernetes.io/managed-by=kestrel.real_ip")
    found = json.loads(own.kubectl("get", KINDS, "-n", own.namespace, *ours, *more, "-o", "json"))
    return {one["kind"]: one for one in found["items"]}


def _converged(own: Playbooks, *arguments: str) -> dict[str, dict[str, Any]]:
    """The objects after a run that a second one finds nothing to do in."""
    run = own.run("deploy", *arguments)
    assert run.status == 0, run.output
    again = own.run("deploy", "-v", *arguments)
    assert (again.status, again.changed) == (0, 0), again.output
    return _there(own)


def _ports(service: dict[str, Any]) -> list[tuple[int, int]]:
    return [(one["port"], one["targetPort"]) for one in service["spec"]["ports"]]


def test_each_variable_converges_and_leaves_nothing_of_the_former_value(own: Playbooks) -> None:
    found = _converged(own)
    assert found.keys() == {"Ingress", "Service", "Deployment"}

    bundled = _set(echo="bundled", container_port=8000, service_port=8080)
    found = _converged(own, *bundled)
    assert found.keys() == {"Ingress", "Service", "Deployment", "ConfigMap"}
    assert _ports(found["Service"]) == [(8080, 8000)]
    assert own.run("verify", *MINE, *bundled).verdict == "preserved"

    # Back: the ConfigMap goes with the last pod that read it.
    found = _converged(own, *_set(replicas=1, host="app.example.com"))
    assert found.keys() == {"Ingress", "Service", "Deployment"}
    assert _ports(found["Service"]) == [(80, 5000)]
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert not pod.get("volumes")
    assert not pod["containers"][0].get("env")
    assert [one["containerPort"] for one in pod["containers"][0]["ports"]] == [5000]
    assert found["Deployment"]["spec"]["replicas"] == 1
    assert [rule["host"] for rule in found["Ingress"]["spec"]["rules"]] == ["app.example.com"]

    broken = own.run("deploy", *_set(image="registry.example/nobody/nothing:v0", wait_timeout=2))
    assert broken.status == 2
    assert "Not ready after 2 s: Deployment real-ip-deployment" in broken.output
    found = _converged(own)
    assert [rule.get("host") for rule in found["Ingress"]["spec"]["rules"]] == [None]
    assert own.run("verify", *MINE).verdict == "preserved"
    versions = {kind: one["metadata"]["resourceVersion"] for kind, one in found.items()}

    other = _set(name_prefix="other")
    run = own.run("deploy", *other)
    assert run.status == 0, run.output
    ours = ("-l", "app.kubernetes.io/instance=real-ip")
    assert {
        kind: one["metadata"]["resourceVersion"] for kind, one in _there(own, *ours).items()
    } == versions
    # The namespace is that of the first one.
    assert own.run("teardown", *other).status == 0
    assert _there(own).keys() == {"Ingress", "Service", "Deployment"}


def test_another_class_keeps_nothing_of_the_former_one(own: Playbooks) -> None:
    _converged(own)
    run = own.run("deploy", *_set(ingress_class="nobody", wait_timeout=4))
    # No controller has that class, so there is no address; that of the former one is none.
    assert run.status == 2, run.output
    assert "Ingress real-ip-ingress: no address yet" in run.output
    ingress = _there(own)["Ingress"]
    assert ingress["spec"]["ingressClassName"] == "nobody"
    annotations = ingress["metadata"].get("annotations") or {}
    assert "ingress.cloud.tencent.com/direct-access" not in annotations
    found = _converged(own)
    assert found["Ingress"]["spec"]["ingressClassName"] == "qcloud"
    assert own.run("teardown").status == 0


OFF = """
apiVersion: v1
kind: ConfigMap
metadata: {name: %s, namespace: %s}
data: {%s: "false"}
"""


def test_the_address_of_the_former_class_is_not_waited_for(own: Playbooks) -> None:
    _converged(own)
    [address] = _there(own)["Ingress"]["status"]["loadBalancer"]["ingress"]
    # A controller that works no more leaves what it wrote, and the former balancer still answers.
    own.kubectl("apply", "-f", "-", text=OFF % (CONFIG_NAME, CONFIG_NAMESPACE, ENABLED))
    try:
        run = own.run("site", *MINE, *_set(ingress_class="nobody", wait_timeout=4))
    finally:
        own.kubectl("delete", "configmap", CONFIG_NAME, "-n", CONFIG_NAMESPACE)
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    text = f"Ingress real-ip-ingress: still the address of its former class, {address['ip']}"
    assert text in " ".join(run.output.split()), run.output
    assert own.run("teardown").status == 0


AUTOSCALER = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: echo, namespace: %s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: real-ip-deployment}
  minReplicas: 3
  maxReplicas: 3
"""


def _replicas(own: Playbooks) -> int:
    return int(_there(own)["Deployment"]["spec"]["replicas"])


def test_an_autoscaler_keeps_its_replicas_and_a_person_doesnt(own: Playbooks) -> None:
    _converged(own)
    own.kubectl("apply", "-f", "-", text=AUTOSCALER % own.namespace)
    deadline = time.monotonic() + 90
    while _replicas(own) != 3:
        assert time.monotonic() < deadline, "the autoscaler has not scaled"
        time.sleep(0.5)
    check = own.run("deploy", "--check", "--diff")
    assert (check.status, check.changed) == (0, 0), check.output
    run = own.run("deploy", "-v")
    assert (run.status, run.changed) == (0, 0), run.output
    assert "spec.replicas: 3, by kube-controller-manager" in run.output
    assert _replicas(own) == 3
    # What else changes is still changed, and the replicas stay.
    _converged(own, *_set(container_port=5000, image_pull_secrets=["none"]))
    assert _replicas(own) == 3

    own.kubectl("delete", "hpa", "echo", "-n", own.namespace)
    own.kubectl("scale", "deployment/real-ip-deployment", "--replicas=1", "-n", own.namespace)
    _converged(own)
    assert _replicas(own) == 2, "scaled by hand, which the next run puts right"
    assert own.run("teardown").status == 0


def test_what_others_write_into_our_objects_stays(own: Playbooks) -> None:
    _converged(own)
    objects = ("ingress/real-ip-ingress", "service/real-ip-service")
    deployment = "deployment/real-ip-deployment"
    for one in (*objects, deployment):
        own.kubectl("label", one, "example.com/team=payments", "-n", own.namespace)
        own.kubectl("annotate", one, "example.com/note=mine", "-n", own.namespace)
    own.kubectl("rollout", "restart", deployment, "-n", own.namespace)
    own.kubectl("rollout", "status", deployment, "-n", own.namespace)
    check = own.run("deploy", "--check", "--diff")
    assert (check.status, check.changed) == (0, 0), check.output
    run = own.run("deploy", *_set(replicas=1))
    assert run.changed == 1, run.output
    found = _converged(own, *_set(replicas=1))
    for one in found.values():
        assert one["metadata"]["labels"]["example.com/team"] == "payments"
        assert one["metadata"]["annotations"]["example.com/note"] == "mine"
    # The controller's own, by which it knows its load balancer
    annotations = found["Ingress"]["metadata"]["annotations"]
    assert "kubernetes.io/ingress.qcloud-loadbalance-id" in annotations
    assert own.run("teardown").status == 0


def _true_to(own: Playbooks, playbook: str, *arguments: str) -> set[str]:
    """What a run did, and check mode had said: the names of the objects."""
    check = own.run(playbook, "--check", "--diff", "-v", *arguments)
    assert check.status == 0, check.output
    assert not NOISE.search(check.output), check.output
    run = own.run(playbook, "-v", *arguments)
    assert run.status == 0, run.output
    assert check.actions == run.actions
    assert check.changed == run.changed
    for name, __ in run.actions:
        kind, __, name = name.partition("/")
        assert f"--- before: {kind} {name}\n" in check.output, "a diff names its object"
    return {f"{name} {action}" for name, action in run.actions}


@pytest.mark.parametrize("number", range(len(SCENARIOS)))
def test_check_mode_says_what_a_run_then_does(own: Playbooks, number: int) -> None:
    scenario, following = SCENARIOS[number], SCENARIOS[(number + 1) % len(SCENARIOS)]
    with super_node(own, NODE2.name):
        ours, others = _set(scenario=scenario), _set(scenario=following)
        made = _true_to(own, "deploy", *ours)
        assert f"Namespace/{own.namespace} created" in made
        assert _true_to(own, "deploy", *ours) == set()
        assert _true_to(own, "deploy", *ours, *_set(replicas=1, service_port=81)) == {
            "Deployment/real-ip-deployment changed",
            "Service/real-ip-service changed",
            *(["Ingress/real-ip-ingress changed"] if "non-direct" in scenario else []),
        }
        changed = _true_to(own, "deploy", *others)
        went = "non-direct" in scenario and "non-direct" not in following
        assert ("Ingress/real-ip-ingress deleted" in changed) is went
        back = "non-direct" not in scenario and "non-direct" in following
        assert ("ConfigMap/real-ip-echo deleted" in changed) is back
        assert f"Namespace/{own.namespace} deleted" in _true_to(own, "teardown", *others)
