# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import (
    foreign,
    hidden,
    is_anothers,
    is_ours,
    labelled,
    owns,
    without_server_fields,
)

OURS = {"app.kubernetes.io/managed-by": "kestrel.real_ip", "app.kubernetes.io/instance": "real-ip"}


def test_labelled_is_a_copy_that_is_ours() -> None:
    plain = {"kind": "Service", "metadata": {"name": "a", "labels": {"app": "x"}}}
    ours = labelled(plain, "real-ip")
    assert plain["metadata"]["labels"] == {"app": "x"}
    assert ours["metadata"]["labels"] == {"app": "x", **OURS}
    assert is_ours(ours, "real-ip")
    assert not is_ours(plain, "real-ip")


@pytest.mark.parametrize(
    ("labels", "ours", "anothers"),
    [
        (OURS, True, False),
        ({**OURS, "app.kubernetes.io/instance": "other"}, False, True),
        ({"app.kubernetes.io/managed-by": "kestrel.real_ip"}, False, True),
        ({**OURS, "app.kubernetes.io/managed-by": "Helm"}, False, False),
        ({}, False, False),
        (None, False, False),
    ],
)
def test_whose_it_is(labels: dict[str, str] | None, ours: bool, anothers: bool) -> None:
    existing = {"metadata": {"labels": labels}}
    assert is_ours(existing, "real-ip") is ours
    assert is_anothers(existing, "real-ip") is anothers


def test_without_server_fields() -> None:
    existing = {
        "kind": "Service",
        "metadata": {
            "name": "a",
            "uid": "1",
            "resourceVersion": "7",
            "generation": 2,
            "managedFields": [],
        },
        "spec": {"type": "NodePort"},
        "status": {"x": 1},
    }
    assert without_server_fields(existing) == {
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"type": "NodePort"},
    }
    assert without_server_fields({}) == {}


def _object(kind: str, name: str, **metadata: object) -> dict[str, object]:
    return {"kind": kind, "metadata": {"name": name, **metadata}}


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([], []),
        ([_object("ConfigMap", "kube-root-ca.crt"), _object("ServiceAccount", "default")], []),
        ([_object("Pod", "p", ownerReferences=[{"kind": "ReplicaSet"}])], []),
        ([_object("Event", "e"), _object("Lease", "l"), _object("EndpointSlice", "s")], []),
        ([_object("Service", "real-ip-service", labels=OURS)], []),
        (
            [
                _object(
                    "Secret",
                    "default-token-x",
                    annotations={"kubernetes.io/service-account.name": "default"},
                )
            ],
            [],
        ),
        ([_object("Secret", "mine")], ["Secret/mine"]),
        (
            [_object("ServiceAccount", "mine"), _object("ConfigMap", "notes")],
            ["ConfigMap/notes", "ServiceAccount/mine"],
        ),
        (
            [_object("Service", "s", labels={**OURS, "app.kubernetes.io/instance": "b"})],
            ["Service/s"],
        ),
    ],
)
def test_foreign(objects: list[dict[str, object]], expected: list[str]) -> None:
    assert foreign(objects, {"Deployment", "ReplicaSet", "Ingress"}, "real-ip") == expected


def test_what_an_owner_outside_the_namespace_has_is_foreign() -> None:
    owned = {"kind": "ConfigMap", "metadata": {"name": "a", "ownerReferences": [{"kind": "Node"}]}}
    assert foreign([owned], {"ConfigMap", "ReplicaSet"}, "real-ip") == ["ConfigMap/a"]


def _secret(**data: str) -> dict[str, object]:
    return {"kind": "Secret", "metadata": {"name": "a"}, "data": data}


def test_what_a_secret_holds_is_hidden_and_a_change_of_it_is_not() -> None:
    before, after = (
        _secret(same="YQ==", other="Yg==", gone="Yw=="),
        _secret(same="YQ==", other="ZA=="),
    )
    assert hidden(before, after, "before") == _secret(
        same="(hidden)", other="(hidden, before)", gone="(hidden)"
    )
    assert hidden(after, before, "after") == _secret(same="(hidden)", other="(hidden, after)")
    assert hidden(after, {}, "after")["data"] == {"same": "(hidden)", "other": "(hidden)"}
    config = {**before, "kind": "ConfigMap"}
    assert hidden(config, {}, "before") == config
    assert hidden({}, after, "before") == {}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("metadata",), True),
        (("metadata", "annotations", "a/b"), True),
        (("metadata", "annotations", "a/c"), False),
        (("spec",), False),
    ],
)
def test_whose_field_it_is(path: tuple[str, ...], found: bool) -> None:
    entry = {"fieldsV1": {"f:metadata": {"f:annotations": {"f:a/b": {}}}}}
    assert owns(entry, *path) is found
    assert not owns({}, *path)
