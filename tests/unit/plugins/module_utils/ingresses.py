# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects of Kubernetes for the tests of what stands in front of pods."""

from __future__ import annotations

from typing import Any


def a_pod(name: str, ready: str = "True", *addresses: str, **metadata: str) -> dict[str, object]:
    return {
        "metadata": {"name": name, **metadata},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "podIPs": [{"ip": address} for address in addresses],
        },
    }


FRONT = {
    "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}, {"hostname": "a.example"}]}}
}


def an_ingress(*tls: dict[str, Any], ports: str = "") -> dict[str, Any]:
    annotations = {"ingress.cloud.tencent.com/listen-ports": ports} if ports else {}
    return {"metadata": {"annotations": annotations}, "spec": {"tls": [*tls]}}


def a_rule(host: str, *paths: tuple[str, str, str]) -> dict[str, Any]:
    entries = [
        {"path": path, "pathType": kind, "backend": {"service": {"name": name}}}
        for path, kind, name in paths
    ]
    return {"host": host, "http": {"paths": entries}}


def ingress_at(name: str, *rules: dict[str, object], **more: Any) -> dict[str, Any]:
    address = more.get("address", "198.51.100.1")
    return {
        "metadata": {
            "namespace": more.get("namespace", "echo"),
            "name": name,
            "annotations": more.get("annotations", {}),
        },
        "spec": {"rules": [*rules], **more.get("spec", {})},
        "status": {"loadBalancer": {"ingress": [{"ip": address}] if address else []}},
    }


OWN = ingress_at("own", a_rule("a.example", ("/", "Prefix", "own")))
ALIAS = "nginx.ingress.kubernetes.io/server-alias"
TWO = [{"port": 80}, {"port": 443}]
