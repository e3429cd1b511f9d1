# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an Ingress may lead requests elsewhere than its rules say."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._detours import detours, kept_by

SERVICE = {
    "metadata": {"name": "own"},
    "spec": {"ports": [{"port": 80, "name": "http"}, {"port": 8080}]},
}


def _backend(to: str, **port: Any) -> dict[str, Any]:
    return {"service": {"name": to, "port": port}}


def _ingress(*backends: dict[str, Any], **annotations: str) -> dict[str, Any]:
    paths = [{"path": "/", "backend": one} for one in backends]
    return {
        "metadata": {"name": "front", "annotations": annotations},
        "spec": {"rules": [{"http": {"paths": paths}}]},
    }


@pytest.mark.parametrize(
    "key",
    [
        "nginx.ingress.kubernetes.io/default-backend",
        "nginx.ingress.kubernetes.io/custom-http-errors",
        "nginx.ingress.kubernetes.io/server-snippet",
        "nginx.ingress.kubernetes.io/configuration-snippet",
        "nginx.ingress.kubernetes.io/auth-url",
        "nginx.ingress.kubernetes.io/canary",
        "nginx.ingress.kubernetes.io/permanent-redirect",
        "nginx.org/server-snippets",
        "haproxy.org/backend-config-snippet",
        "haproxy-ingress.github.io/default-backend-redirect",
        "traefik.ingress.kubernetes.io/router.middlewares",
        "traefik.ingress.kubernetes.io/service.middlewares",
        "higress.io/destination",
        "zalando.org/skipper-filter",
        "alb.ingress.kubernetes.io/transforms.own",
        "konghq.com/plugins",
        "route.openshift.io/termination",
        "example.com/whatever",
    ],
)
def test_an_annotation_that_is_not_known_to_be_harmless_may_lead_elsewhere(key: str) -> None:
    ingress = _ingress(_backend("own", number=80), **{key: "x"})
    assert detours(ingress, SERVICE) == [f"Ingress metadata.annotations[{key}]"]
    annotated = {**SERVICE, "metadata": {"name": "own", "annotations": {key: "x"}}}
    found = detours(_ingress(_backend("own", number=80)), annotated)
    assert found == [f"Service metadata.annotations[{key}]"]


@pytest.mark.parametrize(
    "key",
    [
        "kubectl.kubernetes.io/last-applied-configuration",
        "meta.helm.sh/release-name",
        "cert-manager.io/cluster-issuer",
        "external-dns.alpha.kubernetes.io/hostname",
        "kubernetes.io/ingress.class",
        "kubernetes.io/ingress.existLbId",
        "service.beta.kubernetes.io/aws-load-balancer-type",
        "service.kubernetes.io/topology-mode",
        "projectcontour.io/response-timeout",
        "nginx.ingress.kubernetes.io/proxy-body-size",
        "nginx.ingress.kubernetes.io/ssl-redirect",
        # What the rules are read with
        "nginx.ingress.kubernetes.io/use-regex",
        "nginx.ingress.kubernetes.io/server-alias",
        "nginx.ingress.kubernetes.io/ssl-passthrough",
        "alb.ingress.kubernetes.io/conditions.own",
        "alb.ingress.kubernetes.io/actions.own",
        "konghq.com/host-aliases",
        "konghq.com/regex-prefix",
    ],
)
def test_an_annotation_that_leads_nowhere_else(key: str) -> None:
    assert detours(_ingress(_backend("own", number=80), **{key: "x"}), SERVICE) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("ingressClassName", "nginx"), ("ingressClassName", "qcloud"), ("rules", [])],
)
def test_tkes_load_balancer_reads_annotations_of_its_own(key: str, value: Any) -> None:
    ingress = _ingress(**{"nginx.ingress.kubernetes.io/default-backend": "x"})
    ingress["spec"][key] = value
    assert bool(detours(ingress, SERVICE)) == (value != "qcloud")


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("ingress.cloud.tencent.com/mode", True),
        ("ingress.cloud.tencent.com/modification-protection", False),
        ("ingress.cloud.tencent.com/direct-access", False),
        ("ingress.cloud.tencent.com/tke-service-config", False),
        ("ingress.cloud.tencent.com/mix-target-prefer", False),
        ("kubernetes.io/ingress.http-rules", False),
    ],
)
def test_an_ingress_that_tke_does_not_follow(key: str, found: bool) -> None:
    ingress = _ingress(_backend("own", number=80), **{key: "skip"})
    ingress["spec"]["ingressClassName"] = "qcloud"
    assert detours(ingress, SERVICE) == [f"Ingress metadata.annotations[{key}]"] * found
    # Of a Service behind it nobody reads it.
    ingress["metadata"]["annotations"] = {}
    behind = {**SERVICE, "metadata": {"name": "own", "annotations": {key: "skip"}}}
    assert detours(ingress, behind) == []


@pytest.mark.parametrize(
    ("backends", "found"),
    [
        ([_backend("own", number=80), _backend("own", name="http")], []),
        ([_backend("own", number=8080)], []),
        ([_backend("own", number=8000)], ["Ingress backend.service.port.number: 8000"]),
        ([_backend("own", name="80")], ["Ingress backend.service.port.name: 80"]),
        # Where another Service's rule leads is told elsewhere.
        ([_backend("other", number=8000), _backend("own", number=80)], []),
        # A port that an annotation stands for is none of the Service's.
        ([_backend("own", name="use-annotation")], []),
    ],
)
def test_a_port_that_the_service_lacks(backends: list[dict[str, Any]], found: list[str]) -> None:
    assert detours(_ingress(*backends), SERVICE) == found


def test_the_port_of_a_default_backend() -> None:
    front = {"metadata": {}, "spec": {"defaultBackend": _backend("own", number=8000)}}
    assert detours(front, SERVICE) == ["Ingress backend.service.port.number: 8000"]
    assert detours(front, None) == []


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("nginx.ingress.kubernetes.io/upstream-hash-by", True),
        ("nginx.ingress.kubernetes.io/service-upstream", True),
        ("traefik.ingress.kubernetes.io/service.nativelb", True),
        ("traefik.ingress.kubernetes.io/service.nodeportlb", True),
        ("nginx.ingress.kubernetes.io/upstream-hash-by-subset", True),
        ("nginx.ingress.kubernetes.io/load-balance", True),
        ("ingress.cloud.tencent.com/tke-service-config", True),
        ("ingress.cloud.tencent.com/tke-service-config-auto", True),
        ("service.cloud.tencent.com/tke-service-config", True),
        ("ingress.cloud.tencent.com/lb-rs-weight", True),
        ("service.cloud.tencent.com/lb-rs-weight", True),
        ("ingress.cloud.tencent.com/mix-target-prefer", False),
        ("service.cloud.tencent.com/local-svc-weighted-balance", False),
        # By a cookie, which no request has
        ("nginx.ingress.kubernetes.io/affinity", False),
        ("ingress.cloud.tencent.com/direct-access", False),
    ],
)
def test_what_keeps_each_client_at_one_pod(key: str, found: bool) -> None:
    ingress = _ingress(_backend("own", number=80), **{key: "x"})
    kept = [f"Ingress metadata.annotations[{key}]"] * found
    assert kept_by(ingress, SERVICE) == kept
    affine = {**SERVICE, "spec": {"sessionAffinity": "ClientIP"}}
    assert kept_by(ingress, affine) == [*kept, "Service spec.sessionAffinity"]


@pytest.mark.parametrize(
    ("service", "found"),
    [
        ({"spec": {"sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}}, []),
        ({"spec": {"topologyKeys": ["kubernetes.io/hostname"]}}, ["spec.topologyKeys"]),
        ({"spec": {"internalTrafficPolicy": "Local"}}, ["spec.internalTrafficPolicy"]),
        ({"spec": {"trafficDistribution": "PreferClose"}}, ["spec.trafficDistribution"]),
        (
            {"metadata": {"annotations": {"service.kubernetes.io/topology-mode": "Auto"}}},
            ["metadata.annotations[service.kubernetes.io/topology-mode]"],
        ),
    ],
)
def test_what_of_a_service_keeps_each_client_at_some_pods(
    service: dict[str, Any], found: list[str]
) -> None:
    assert kept_by(None, service) == [f"Service {one}" for one in found]


@pytest.mark.parametrize(
    ("policy", "nodes", "annotations", "ingress", "kept"),
    [
        ("Local", ["a", "b"], {}, False, True),
        ("Local", ["a"], {}, False, False),
        ("Cluster", ["a", "b"], {}, False, False),
        # Behind an Ingress, its controller or load balancer leads to each pod or node by itself.
        ("Local", ["a", "b"], {}, True, False),
        ("Local", ["a", "b"], {"service.kubernetes.io/loadbalance-id": "lb-1"}, False, False),
    ],
)
def test_who_leads_each_client_to_one_node_keeps_him_at_its_pods(
    policy: str, nodes: list[str], annotations: dict[str, str], ingress: bool, kept: bool
) -> None:
    service = {"metadata": {"annotations": annotations}, "spec": {"externalTrafficPolicy": policy}}
    front = _ingress(_backend("own", number=80)) if ingress else None
    assert kept_by(front, service, nodes) == ["Service spec.externalTrafficPolicy"] * kept


def test_pods_of_another_cluster_may_be_led_to_by_the_nodes_behind_tkes_load_balancer() -> None:
    ingress = _ingress(_backend("own", number=80))
    ingress["spec"]["ingressClassName"] = "qcloud"
    for key, found in (("service.cilium.io/global", True), ("example.com/whatever", False)):
        service = {**SERVICE, "metadata": {"name": "own", "annotations": {key: "true"}}}
        assert detours(ingress, service) == [f"Service metadata.annotations[{key}]"] * found


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("service.cilium.io/global", True),
        ("service.beta.kubernetes.io/aws-load-balancer-target-group-attributes", True),
        ("kubernetes.io/elb.session-affinity-mode", True),
        ("service.cloud.tencent.com/direct-access", False),
        ("service.kubernetes.io/tke-existed-lbid", False),
        ("meta.helm.sh/release-name", False),
    ],
)
def test_what_a_service_in_front_says_of_its_own_load_balancer(key: str, found: bool) -> None:
    service = {**SERVICE, "metadata": {"name": "own", "annotations": {key: "x"}}}
    assert detours(None, service) == [f"Service metadata.annotations[{key}]"] * found


def test_an_ingress_that_is_about_to_go() -> None:
    front = _ingress(_backend("own", number=80))
    front["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert detours(front, SERVICE) == ["Ingress metadata.deletionTimestamp"]
    assert detours(None, None) == []
    service = {"metadata": front["metadata"], "spec": {}}
    assert detours(None, service) == ["Service metadata.deletionTimestamp"]
