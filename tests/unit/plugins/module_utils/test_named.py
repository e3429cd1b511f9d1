# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of what a verification finds to be another way than variables name."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import LISTEN_PORTS
from ansible_collections.kestrel.real_ip.plugins.module_utils._named import (
    NAMED,
    differing,
    named_by,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import SETTINGS, value_of

MADE = {"kubernetes.io/ingress.qcloud-loadbalance-id": "lb-n1rm9y01"}
EXISTING = "kubernetes.io/ingress.existLbId"
PARAMETERS = "kubernetes.io/ingress.extensiveParameters"
DIRECT = "ingress.cloud.tencent.com/direct-access"
SUBNET = "service.kubernetes.io/qcloud-loadbalancer-internal-subnetid"
SERVICE = {
    "metadata": {"name": "own"},
    "spec": {
        "type": "NodePort",
        "externalTrafficPolicy": "Cluster",
        "ports": [{"port": 443}, {"port": 80}],
    },
}


def ingress(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"annotations": {**MADE, **(annotations or {})}}, "spec": spec}


def _to(port: int) -> dict[str, Any]:
    return {"service": {"name": "own", "port": {"number": port}}}


_RULES = [
    {
        "http": {
            "paths": [
                {"path": "/", "pathType": "Prefix", "backend": _to(443)},
                {"path": "/admin", "pathType": "Prefix", "backend": _to(80)},
            ]
        }
    },
    {"host": "other.example.com", "http": {"paths": [{"path": "/", "backend": _to(80)}]}},
]
QCLOUD = {"ingressClassName": "qcloud"}


@pytest.mark.parametrize(
    ("named", "front", "told"),
    [
        ({}, ingress(), ""),
        ({"ingress_class": "qcloud"}, ingress(**QCLOUD), ""),
        ({"ingress_class": "qcloud"}, ingress({"kubernetes.io/ingress.class": "qcloud"}), ""),
        # TKE takes those without a class as well.
        ({"ingress_class": "qcloud"}, ingress(), ""),
        (
            {"ingress_class": "nginx"},
            ingress(**QCLOUD),
            "real_ip_ingress_class: expected nginx, seen qcloud",
        ),
        (
            {"ingress_class": "nginx"},
            {"spec": {}},
            "real_ip_ingress_class: expected nginx, seen none",
        ),
        ({"service_type": "NodePort"}, ingress(), ""),
        (
            {"service_type": "ClusterIP"},
            ingress(),
            "real_ip_service_type: expected ClusterIP, seen NodePort",
        ),
        (
            {"external_traffic_policy": "Local"},
            ingress(),
            "real_ip_external_traffic_policy: expected Local, seen Cluster",
        ),
        ({"direct_access": False}, ingress({DIRECT: "false"}), ""),
        (
            {"direct_access": "true"},
            ingress({DIRECT: "false"}),
            "real_ip_direct_access: expected true, seen false",
        ),
        # What nobody said is the cluster's own default.
        ({"direct_access": True}, ingress(), ""),
        ({"existing_lb_id": "lb-1a2b3c4d"}, ingress({EXISTING: "lb-1a2b3c4d"}), ""),
        ({"existing_lb_id": "lb-n1rm9y01"}, ingress(), ""),
        (
            {"existing_lb_id": "lb-1a2b3c4d"},
            ingress(),
            "real_ip_existing_lb_id: expected lb-1a2b3c4d, seen none",
        ),
        (
            {"subnet_id": "subnet-a1b2c3d4"},
            ingress(),
            "real_ip_subnet_id: expected subnet-a1b2c3d4",
        ),
        (
            {"address_ip_version": "IPv6FullChain"},
            ingress({PARAMETERS: '{"AddressIPVersion": "IPv6FullChain", "ZoneId": "ap-1"}'}),
            "",
        ),
        (
            {"address_ip_version": "IPv6FullChain"},
            ingress({PARAMETERS: '{"ZoneId": "ap-1"}'}),
            'real_ip_address_ip_version: expected {"AddressIPVersion":"IPv6FullChain"}, seen {"Z',
        ),
        (
            {"address_ip_version": "IPv6FullChain"},
            ingress({PARAMETERS: "no JSON"}),
            "real_ip_address_ip_version: expected",
        ),
        (
            {"listen_ports": '[{"HTTP": 8080}]'},
            ingress({LISTEN_PORTS: '[{"HTTP": 80}, {"HTTP": 8080}]'}),
            "",
        ),
        ({"listen_ports": [{"HTTPS": 443}, {"HTTP": 80}]}, ingress(), ""),
        (
            {"listen_ports": [{"HTTP": 80}, {"HTTP": 8080}]},
            ingress(),
            "real_ip_listen_ports: expected http 80, http 8080, seen http 80, https 443",
        ),
        ({"tls_secret": "shop-tls"}, ingress(tls=[{"hosts": ["shop.example.com"]}]), ""),
        (
            {"qcloud_cert_id": "aB3dE6gH"},
            ingress(tls=[{"hosts": ["other.example.com"]}]),
            "real_ip_qcloud_cert_id: expected TLS, seen none for shop.example.com",
        ),
        ({"tls_secret": "shop-tls"}, ingress(), "real_ip_tls_secret: expected TLS, seen none"),
        ({"service_port": 80}, ingress(), ""),
        ({"service_port": 8080}, ingress(), "real_ip_service_port: expected 8080, seen 443, 80"),
        ({"container_port": 80}, ingress(), ""),
        # That another rule leads to
        ({"service_port": 443}, ingress(rules=_RULES), ""),
        (
            {"service_port": 80},
            ingress(rules=_RULES),
            "real_ip_service_port: expected 80, seen 443",
        ),
        (
            {"service_port": 80},
            ingress(defaultBackend=_to(443)),
            "real_ip_service_port: expected 80, seen 443",
        ),
        (
            {"container_port": 5000},
            ingress(),
            "real_ip_container_port: expected 5000, seen 443, 80",
        ),
        ({"ingress_annotations": {DIRECT: "true"}}, ingress({DIRECT: "true"}), ""),
        ({"ingress_annotations": {}}, ingress(), ""),
        (
            {"ingress_annotations": {DIRECT: "true", "a.example/b": "c"}},
            ingress({DIRECT: "true"}),
            "real_ip_ingress_annotations: expected a.example/b: c, seen none",
        ),
        (
            {"service_annotations": {"a.example/b": "c"}},
            ingress({"a.example/b": "c"}),
            "real_ip_service_annotations: expected a.example/b: c, seen none",
        ),
        # That there is nothing is told by others.
        ({"tls_secret": "shop-tls", "ingress_class": "nginx"}, None, ""),
    ],
)
def test_what_is_there_is_not_what_is_named(
    named: dict[str, Any], front: dict[str, Any] | None, told: str
) -> None:
    values = {name: value_of(f"real_ip_{name}", value) for name, value in named.items()}
    found = differing("Ingress", front, SERVICE, ("shop.example.com", "/"), values)
    assert found.startswith(told)
    assert bool(found) == bool(told), found


def test_all_that_differs_is_told_of_a_service() -> None:
    front = {"metadata": {}, "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}}
    named = {"subnet_id": "subnet-a1b2c3d4", "external_traffic_policy": "Cluster"}
    assert differing("Service", front, front, ("", "/"), named) == (
        "real_ip_subnet_id: expected subnet-a1b2c3d4, seen none; "
        "real_ip_external_traffic_policy: expected Cluster, seen Local"
    )
    front["metadata"] = {"annotations": {SUBNET: "subnet-a1b2c3d4"}}
    named = {
        "subnet_id": "subnet-a1b2c3d4",
        "ingress_class": "qcloud",
        "ingress_annotations": {"a.example/b": "c"},
        "service_annotations": {SUBNET: "subnet-a1b2c3d4"},
    }
    assert not differing("Service", front, front, ("", "/"), named)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ([], []),
        (["real_ip_url", "real_ip_ingress_class"], ["ingress_class"]),
        (["real_ip_scenario"], ["direct_access"]),
        (["real_ip_scenario", "real_ip_direct_access"], ["direct_access"]),
    ],
)
def test_a_scenario_names_whether_the_load_balancer_sends_to_pods(
    said: list[str], named: list[str]
) -> None:
    assert named_by(lambda name: name in said) == named


def test_what_can_be_named_is_a_variable() -> None:
    assert {f"real_ip_{name}" for name in NAMED} <= {*SETTINGS}
