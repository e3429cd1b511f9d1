# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    INGRESS_APIS,
    modern_ingress,
    shaped,
    version_of,
)

Json = dict[str, Any]

MODERN, BETA, EXTENSIONS = INGRESS_APIS


def ingress(**metadata: Any) -> Json:
    return {
        "apiVersion": MODERN,
        "kind": "Ingress",
        "metadata": {"name": "front", **metadata},
        "spec": {
            "ingressClassName": "qcloud",
            "rules": [
                {
                    "host": "echo.example.com",
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": "echo", "port": {"number": 80}}},
                            }
                        ]
                    },
                }
            ],
        },
    }


def deployment() -> Json:
    profile = {"seccompProfile": {"type": "RuntimeDefault"}}
    container = {
        "name": "app",
        "startupProbe": {"periodSeconds": 1},
        "readinessProbe": {"periodSeconds": 1},
        "securityContext": {"readOnlyRootFilesystem": True, **profile},
    }
    pod = {"securityContext": {"runAsNonRoot": True, **profile}, "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "echo"},
        "spec": {"template": {"metadata": {"annotations": {"a": "b"}}, "spec": pod}},
    }


@pytest.mark.parametrize("version", [(1, 19), (1, 22), (1, 36), (2, 0)])
@pytest.mark.parametrize("made", [ingress(), deployment()], ids=["Ingress", "Deployment"])
def test_where_todays_shape_is_served_nothing_changes(made: Json, version: tuple[int, int]) -> None:
    assert shaped(made, version) == made


@pytest.mark.parametrize(
    ("version", "api", "path_type"),
    [
        ((1, 14), EXTENSIONS, {}),
        ((1, 14), BETA, {}),
        ((1, 17), BETA, {}),
        ((1, 18), BETA, {"pathType": "Prefix"}),
        ((1, 21), BETA, {"pathType": "Prefix"}),
    ],
)
def test_an_older_ingress(version: tuple[int, int], api: str, path_type: Json) -> None:
    given = ingress(annotations={"x": "y"})
    kept = copy.deepcopy(given)
    made = shaped(given, version, api)
    assert given == kept
    assert made["apiVersion"] == api
    assert made["metadata"]["annotations"] == {"x": "y", "kubernetes.io/ingress.class": "qcloud"}
    path = {"path": "/", **path_type, "backend": {"serviceName": "echo", "servicePort": 80}}
    assert made["spec"] == {"rules": [{"host": "echo.example.com", "http": {"paths": [path]}}]}
    # What is read of it has today's shape again, but for the class, which stays where it stands.
    read = modern_ingress(made)["spec"]["rules"][0]["http"]["paths"][0]["backend"]
    assert read == given["spec"]["rules"][0]["http"]["paths"][0]["backend"]


@pytest.mark.parametrize(
    ("version", "probes", "annotated"),
    [
        ((1, 14), ["readinessProbe"], True),
        ((1, 17), ["readinessProbe"], True),
        ((1, 18), ["startupProbe", "readinessProbe"], True),
        ((1, 19), ["startupProbe", "readinessProbe"], False),
    ],
)
def test_an_older_deployment(version: tuple[int, int], probes: list[str], annotated: bool) -> None:
    template = shaped(deployment(), version)["spec"]["template"]
    [container] = template["spec"]["containers"]
    assert [key for key in container if key.endswith("Probe")] == probes
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    for context in (template["spec"]["securityContext"], container["securityContext"]):
        assert ("seccompProfile" in context) is not annotated
    old = {"seccomp.security.alpha.kubernetes.io/pod": "runtime/default"} if annotated else {}
    assert template["metadata"]["annotations"] == {"a": "b", **old}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.36.3", (1, 36)),
        ("v1.14.3-tke.11", (1, 14)),
        ("v1.18.4-tke.35", (1, 18)),
        ("", None),
        ("1.18", None),
    ],
)
def test_version(text: str, version: object) -> None:
    assert version_of({"gitVersion": text}) == version
