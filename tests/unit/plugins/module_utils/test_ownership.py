# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import (
    applied,
    foreign,
    hidden,
    is_anothers,
    is_ours,
    labelled,
    owns,
    without_server_fields,
    yielding,
)

OURS = {"app.kubernetes.io/managed-by": "kestrel.real_ip", "app.kubernetes.io/instance": "real-ip"}


def test_labelled_is_a_copy_that_is_ours() -> None:
    plain = {"kind": "Service", "metadata": {"name": "a", "labels": {"app": "x"}}}
    ours = labelled(plain, "real-ip")
    assert plain["metadata"]["labels"] == {"app": "x"}
    assert ours["metadata"]["labels"] == {"app": "x", **OURS}
    assert is_ours(ours, "real-ip")
    assert not is_ours(plain, "real-ip")


@pytest.mark.parametrize("none", [{}, None])
def test_annotations_are_applied_only_where_there_are_some(none: object) -> None:
    def deployment(own: object, of_pods: object) -> dict[str, object]:
        template = {"metadata": {"annotations": of_pods}}
        return {"metadata": {"annotations": own}, "spec": {"template": template}}

    some = {"a": "b"}
    ours = labelled(deployment(none, some), "real-ip")
    assert "annotations" not in ours["metadata"]
    assert ours["spec"]["template"]["metadata"] == {"annotations": some}
    ours = labelled(deployment(some, none), "real-ip")
    assert ours["metadata"]["annotations"] == some
    assert ours["spec"]["template"]["metadata"] == {}


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


def test_what_was_applied_last_is_no_change_of_its_own() -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    for own in ({}, {"a": "b"}):
        existing = {"metadata": {"name": "a", "annotations": {**own, **applied}}}
        metadata = {"name": "a", **({"annotations": own} if own else {})}
        assert without_server_fields(existing) == {"metadata": metadata}
        assert existing["metadata"]["annotations"] == {**own, **applied}
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


REPLICAS = {"f:spec": {"f:replicas": {}}}


def _entry(manager: str, fields: object = None, **more: str) -> dict[str, object]:
    owned = REPLICAS if fields is None else fields
    return {"manager": manager, "operation": "Update", "fieldsV1": owned, **more}


def test_owns_follows_a_path() -> None:
    assert owns(_entry("a"), "spec", "replicas")
    assert owns(_entry("a"), "spec")
    assert not owns(_entry("a"), "spec", "paused")
    assert not owns({"manager": "a"}, "spec")


@pytest.mark.parametrize(
    ("kind", "history", "yielded"),
    [
        ("Deployment", [], []),
        ("Deployment", [_entry("kestrel.real_ip")], []),
        # by hand: the next run says again what is wanted
        ("Deployment", [_entry("kubectl", subresource="scale")], []),
        ("Deployment", [_entry("kubectl-edit")], []),
        # a controller of its own that doesn't scale but writes, such as one for rollouts
        ("Deployment", [_entry("argo")], []),
        ("Deployment", [_entry("keda", {"f:status": {}}, subresource="scale")], []),
        ("Service", [_entry("kube-controller-manager", subresource="scale")], []),
        (
            "Deployment",
            [_entry("kubectl-edit"), _entry("kube-controller-manager", subresource="scale")],
            ["spec.replicas: 5, by kube-controller-manager"],
        ),
    ],
)
def test_replicas_are_left_to_who_scales(
    kind: str, history: list[dict[str, object]], yielded: list[str]
) -> None:
    wanted = {"kind": kind, "spec": {"replicas": 2, "paused": False}}
    existing = {"metadata": {"managedFields": history}, "spec": {"replicas": 5}}
    ours, told = yielding(wanted, existing)
    assert told == yielded
    assert ours["spec"] == ({"paused": False} if yielded else {"replicas": 2, "paused": False})
    assert wanted["spec"] == {"replicas": 2, "paused": False}, "what was given stays as it was"
    assert yielding(wanted, {}) == (wanted, [])


def test_applied_changes_with_what_we_apply_and_with_nothing_else() -> None:
    def existing(time: str, fields: object, *others: object) -> dict[str, object]:
        ours = {"manager": "kestrel.real_ip", "operation": "Apply", "time": time}
        return {"metadata": {"managedFields": [*others, {**ours, "fieldsV1": fields}]}}

    first = applied(existing("2026-01-01T00:00:00Z", REPLICAS))
    assert first == "2026-01-01T00:00:00Z"
    assert applied(existing("2026-01-01T00:00:00Z", REPLICAS, _entry("keda"))) == first
    assert applied(existing("2026-01-01T00:00:01Z", REPLICAS)) != first
    # an autoscaler that takes the replicas
    assert applied(existing("2026-01-01T00:00:00Z", {"f:spec": {}})) == first
    assert applied({"metadata": {"managedFields": [_entry("kestrel.real_ip")]}}) == ""
    assert applied({}) == ""
