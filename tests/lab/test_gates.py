# SPDX-License-Identifier: GPL-3.0-or-later
"""Readiness gates of direct access, and the cluster's switches for it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

import pytest

from lab import balancing, controller, gates
from lab.api import Unanswered, api
from lab.balancing import DEFAULTS, INGRESS, SERVICE, Cluster, Kind
from lab.gates import GATE, Waiting
from lab.images import ECHO
from lab.settings import CLIENT, NODE1, Lab
from tests.lab.spaces import (
    CLIENT_IPV4,
    INGRESSES,
    PODS,
    PODS_OF,
    SERVICES,
    Json,
    Space,
    eventually,
    exists,
    fetch,
)

# --------------------------------------------------------------------------------------------
# Which pods get a gate

APP: Final = {"app": "seen"}


def item(name: str, annotations: Json | None = None, **spec: Any) -> Json:
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}"}
    return {"metadata": {**metadata, "annotations": annotations or {}}, "spec": spec}


def layer4(direct: str | None = "true", **spec: Any) -> Json:
    annotations = {} if direct is None else {SERVICE.direct_annotation: direct}
    return item("web", annotations, **{"type": "LoadBalancer", "selector": APP, **spec})


def behind(service: str, direct: str = "true", **spec: Any) -> Json:
    path = {"pathType": "Prefix", "backend": {"service": {"name": service}}}
    rules = [{"http": {"paths": [path]}}]
    return item("front", {INGRESS.direct_annotation: direct}, rules=rules, **spec)


def pod_of(labels: Json, *conditions: str) -> Json:
    wanted = [{"conditionType": one} for one in conditions]
    return {
        "metadata": {"labels": labels},
        "spec": {"readinessGates": wanted} if wanted else {},
    }


CLUSTER_IP: Final = layer4(None, type="ClusterIP")


@pytest.mark.parametrize(
    ("cluster", "labels", "gated"),
    [
        (Cluster(services=[layer4()]), APP, True),
        (Cluster(services=[layer4()]), {**APP, "more": "x"}, True),
        (Cluster(services=[layer4()]), {"app": "other"}, False),
        (Cluster(services=[layer4()]), {}, False),
        (Cluster(services=[layer4("false")]), APP, False),
        (Cluster(services=[layer4(None)]), APP, False),
        (Cluster(services=[layer4(type="NodePort")]), APP, False),
        # One without a selector has no pods of its own.
        (Cluster(services=[layer4(selector={})]), APP, False),
        (Cluster(services=[CLUSTER_IP]), APP, False),
        (Cluster([behind("web")], [CLUSTER_IP]), APP, True),
        (Cluster([behind("web", "false")], [CLUSTER_IP]), APP, False),
        (Cluster([behind("other")], [CLUSTER_IP]), APP, False),
        (Cluster([behind("web", ingressClassName="nginx")], [CLUSTER_IP]), APP, False),
        # Where pods can't be backends nothing would ever open it.
        (Cluster(services=[layer4()], config={balancing.GLOBAL_ROUTE: "false"}), APP, False),
    ],
)
def test_gate_of_a_new_pod(cluster: Cluster, labels: Json, gated: bool) -> None:
    patch = gates.patch_for(pod_of(labels), "shop", cluster)
    value = [{"conditionType": GATE}]
    expected = [{"op": "add", "path": "/spec/readinessGates", "value": value}]
    assert patch == (expected if gated else [])
    assert gates.patch_for(pod_of(labels), "elsewhere", cluster) == []


def test_gates_of_others_stay_and_its_own_is_there_once() -> None:
    cluster = Cluster(services=[layer4()])
    (patch,) = gates.patch_for(pod_of(APP, "other/gate"), "shop", cluster)
    assert patch["value"] == [{"conditionType": "other/gate"}, {"conditionType": GATE}]
    assert gates.patch_for(pod_of(APP, GATE), "shop", cluster) == []


@pytest.mark.parametrize(
    ("cluster", "patched"),
    [(Cluster(services=[layer4()]), True), (Cluster(), False), (None, False)],
)
def test_review(cluster: Cluster | None, patched: bool) -> None:
    request = {"uid": "u1", "namespace": "shop", "object": pod_of(APP)}
    response = gates.review({"request": request}, cluster)["response"]
    assert (response["uid"], response["allowed"]) == ("u1", True)
    assert ("patch" in response) == patched
    if patched:
        assert response["patchType"] == "JSONPatch"
        assert json.loads(base64.b64decode(response["patch"]))[0]["op"] == "add"


def endpoints(*ready: bool | None, kind: str = "Pod") -> Json:
    return {
        "metadata": {"namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"port": 5000}, {"port": 53, "protocol": "UDP"}],
        "endpoints": [
            {
                "addresses": [f"10.1.1.{number}"],
                "conditions": {} if value is None else {"ready": value},
                "targetRef": {"kind": kind, "name": f"p{number}", "uid": f"u{number}"},
            }
            for number, value in enumerate(ready)
        ],
    }


def test_waiting_are_pods_of_direct_balancers_that_are_not_ready() -> None:
    slices = [endpoints(True, None, False)]
    found = gates.waiting(Cluster(services=[layer4()], slices=slices))
    assert found == [Waiting("shop", "p2", "u2", "10.1.1.2", (5000,))]
    assert gates.waiting(Cluster(services=[layer4("false")], slices=slices)) == []
    others = [endpoints(False, kind="Node")]
    assert gates.waiting(Cluster(services=[layer4()], slices=others)) == []


@pytest.mark.parametrize(
    ("wanted", "status", "expected"),
    [
        ((), None, True),
        (("other/gate",), None, True),
        ((GATE,), None, False),
        ((GATE,), "False", False),
        ((GATE,), "True", True),
    ],
)
def test_is_open(wanted: tuple[str, ...], status: str | None, expected: bool) -> None:
    conditions = [] if status is None else [{"type": GATE, "status": status}]
    assert gates.is_open({**pod_of(APP, *wanted), "status": {"conditions": conditions}}) == expected


# --------------------------------------------------------------------------------------------
# The cluster's switches


def new(kind: Kind, direct: str | None) -> Cluster:
    annotations = {} if direct is None else {kind.direct_annotation: direct}
    found = layer4(direct) if kind is SERVICE else item("front", annotations, rules=[])
    found["metadata"]["resourceVersion"] = "1"
    return Cluster([found]) if kind is INGRESS else Cluster(services=[found])


@pytest.mark.parametrize("kind", [INGRESS, SERVICE], ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    ("default", "asked", "switch", "written"),
    [
        (None, None, "respects", None),
        ("false", None, "respects", None),
        ("true", None, "respects", "true"),
        ("true", "true", "respects", None),
        ("true", "false", "respects", None),
        ("true", "false", "overrides", "true"),
        ("false", "false", "overrides", None),
    ],
)
def test_direct_access_by_default(
    kind: Kind, default: str | None, asked: str | None, switch: str, written: str | None
) -> None:
    cluster = new(kind, asked)
    config = {} if default is None else {balancing.DIRECT_DEFAULT: default}
    cluster = Cluster(cluster.ingresses, cluster.services, config=config)
    values = {**DEFAULTS, "direct_default": switch}
    (patch,) = balancing.adoptions(cluster, balancing.allocate(cluster, {}), values)
    assert patch.body["metadata"]["annotations"].get(kind.direct_annotation) == written


@pytest.mark.parametrize("value", [None, "true", "false"])
def test_global_route(value: str | None) -> None:
    """Pods can be backends unless the ConfigMap says no; then a Service is told so."""
    service = layer4(ports=[{"port": 80, "name": "http"}])
    service["metadata"]["finalizers"] = [SERVICE.finalizer]
    part = endpoints(True)
    part["ports"] = [{"name": "http", "port": 5000}]
    config = {} if value is None else {balancing.GLOBAL_ROUTE: value}
    cluster = Cluster(services=[service], slices=[part], config=config)
    numbers = balancing.allocate(cluster, {})
    (one,) = balancing.balancers(cluster, numbers, DEFAULTS)
    (listener,) = one.listeners
    said = [notice.message for notice in balancing.warnings(cluster, [one], numbers)]
    assert bool(listener.backends[balancing.IPV4]) == (value != "false")
    assert [re.findall(r"E\d+", text) for text in said] == ([["E4033"]] if value == "false" else [])


# --------------------------------------------------------------------------------------------
# On a cluster

DEPLOYMENTS: Final = "/apis/apps/v1", "deployments"
DIRECT: Final = {"annotations": {SERVICE.direct_annotation: "true"}}
CONFIG: Final = f"/api/v1/namespaces/{balancing.CONFIG_NAMESPACE}/configmaps"


def deployment(name: str) -> Json:
    """Build a Deployment of one pod that answers, with a label of its own."""
    labels = {"app": name}
    container = {
        "name": "server",
        "image": ECHO,
        "command": PODS_OF["seen"],
        "readinessProbe": {"tcpSocket": {"port": 5000}, "periodSeconds": 1},
    }
    spec = {
        "nodeName": NODE1.name,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": [container],
    }
    return {
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


@contextmanager
def deployed(space: Space, name: str) -> Iterator[None]:
    try:
        space.create(DEPLOYMENTS, deployment(name))
        yield
    finally:
        space.delete(DEPLOYMENTS, name)


def conditions(space: Space, name: str) -> tuple[dict[str, str], list[str]]:
    """Return conditions and gates of the one pod of a Deployment."""
    path = f"{PODS[0]}/namespaces/{space.name}/{PODS[1]}?labelSelector=app%3D{name}"
    items = api(space.lab, path)["items"]
    assert len(items) == 1
    (found,) = items
    said = {one["type"]: one["status"] for one in found["status"].get("conditions", ())}
    return said, [one["conditionType"] for one in found["spec"].get("readinessGates", ())]


def available(space: Space, name: str) -> int:
    return int(space.get(DEPLOYMENTS, name)["status"].get("availableReplicas", 0))


def test_pods_wait_for_their_balancer(space: Space, switch: Callable[..., None]) -> None:
    """A pod whose balancer can't reach it runs and isn't ready; a rollout ends once it can."""
    switch(readiness_gates="on")
    ports = [{"name": "http", "port": 80, "targetPort": 5999}]
    with (
        space.service("gated", {"app": "gated"}, "LoadBalancer", DIRECT, ports=ports),
        space.service("free", {"app": "free"}),
    ):
        eventually(lambda: space.address(SERVICES, "gated"))
        with deployed(space, "gated"), deployed(space, "free"):

            def free() -> None:
                assert conditions(space, "free")[0].get("Ready") == "True"

            def shut() -> None:
                said, wanted = conditions(space, "gated")
                assert wanted == [GATE]
                assert said.get("ContainersReady") == "True"

            eventually(free, 30)
            eventually(shut, 30)
            assert conditions(space, "free")[1] == []
            # Longer than a round of the controller: it was looked at, and not let in.
            with pytest.raises(AssertionError, match="ready after all"):
                eventually(partial(_becomes_ready, space, "gated"), 3)
            assert available(space, "gated") == 0
            right = [{"name": "http", "port": 80, "targetPort": 5000}]
            space.patch(SERVICES, "gated", {"spec": {"ports": right}})

            def rolled_out() -> None:
                assert conditions(space, "gated")[0].get(GATE) == "True"
                assert available(space, "gated") == 1

            eventually(rolled_out, 20)
            address = space.serving(SERVICES, "gated")
            assert fetch(space.lab, CLIENT.name, address).seen()[0] == CLIENT_IPV4


def _becomes_ready(space: Space, name: str) -> None:
    assert conditions(space, name)[0].get("Ready") == "True", "not ready after all"


def test_no_gates_unless_asked_for(space: Space) -> None:
    with space.service("plain", {"app": "plain"}, "LoadBalancer", DIRECT):
        space.address(SERVICES, "plain")
        with deployed(space, "plain"):

            def ready() -> None:
                said, wanted = conditions(space, "plain")
                assert (said.get("Ready"), wanted) == ("True", [])

            eventually(ready, 30)


@contextmanager
def configured(lab: Lab, **data: str) -> Iterator[Callable[..., None]]:
    """Have TKE's own ConfigMap; yields what changes its data."""
    path = f"{CONFIG}/{balancing.CONFIG_NAME}"
    assert not exists(lab, path), "somebody else's ConfigMap"
    try:
        api(lab, CONFIG, "POST", {"metadata": {"name": balancing.CONFIG_NAME}, "data": data})

        def in_effect() -> None:
            assert controller.config(lab.clb) == data

        eventually(in_effect)
        yield lambda **changed: api(lab, path, "PATCH", {"data": changed})
    finally:
        with suppress(Unanswered):
            api(lab, path, "DELETE")


def annotation(space: Space, kind: Kind, name: str) -> str | None:
    where = INGRESSES if kind is INGRESS else SERVICES
    annotations = space.get(where, name)["metadata"].get("annotations", {})
    return annotations.get(kind.direct_annotation) if kind.id_annotation in annotations else ""


def test_new_objects_get_direct_access_by_default(space: Space) -> None:
    """What is new and says nothing gets it; what says no, and what was there, stays."""
    no = {"annotations": {SERVICE.direct_annotation: "false"}}
    with space.service("before", APP, "LoadBalancer"):
        space.address(SERVICES, "before")
        with (
            configured(space.lab, **{balancing.DIRECT_DEFAULT: "true"}),
            space.service("of-web", APP),
            space.service("after", APP, "LoadBalancer"),
            space.service("says-no", APP, "LoadBalancer", no),
            space.ingress("web", "of-web"),
        ):
            wanted = {
                (SERVICE.name, "before"): None,
                (SERVICE.name, "after"): "true",
                (SERVICE.name, "says-no"): "false",
                (INGRESS.name, "web"): "true",
            }

            def written() -> None:
                kinds = {kind.name: kind for kind in (INGRESS, SERVICE)}
                seen = {(kind, name): annotation(space, kinds[kind], name) for kind, name in wanted}
                assert seen == wanted

            eventually(written)
            address = space.serving(SERVICES, "after")
            assert fetch(space.lab, CLIENT.name, address).seen()[0] == CLIENT_IPV4


def test_direct_access_that_the_cluster_does_not_allow(space: Space) -> None:
    """A Service says E4033 and has no backends, until the ConfigMap allows it."""
    with (
        configured(space.lab, **{balancing.GLOBAL_ROUTE: "false"}) as change,
        space.service("barred", APP, "LoadBalancer", DIRECT),
    ):
        address = space.address(SERVICES, "barred")

        def told() -> None:
            assert any('"E4033"' in text for _type, text in space.messages("barred"))

        eventually(told)
        with pytest.raises(OSError, match="refused"):
            fetch(space.lab, CLIENT.name, address)
        change(**{balancing.GLOBAL_ROUTE: "true"})
        space.serving(SERVICES, "barred")
        assert fetch(space.lab, CLIENT.name, address).seen()[0] == CLIENT_IPV4
