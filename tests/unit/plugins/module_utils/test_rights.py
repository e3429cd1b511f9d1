# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._rights import (
    ABSENT,
    ANOTHERS,
    OURS,
    Right,
    former,
    needed,
)


@pytest.mark.parametrize(
    ("purposes", "namespace", "echo", "count"),
    [
        (["deploy"], ANOTHERS, "image", 10),
        (["deploy"], OURS, "image", 11),
        (["deploy"], ANOTHERS, "bundled", 13),
        (["deploy"], ABSENT, "image", 12),
        (["deploy"], ABSENT, "bundled", 15),
        (["verify"], ABSENT, "bundled", 3),
        (["diagnose"], ANOTHERS, "image", 0),
        (["teardown"], ANOTHERS, "image", 9),
        (["teardown"], ABSENT, "bundled", 9),
        (["teardown"], OURS, "bundled", 10),
        # get of Services and Ingresses is needed for both, and asked for once
        (["deploy", "verify"], ANOTHERS, "image", 11),
    ],
)
def test_needed(purposes: list[str], namespace: str, echo: str, count: int) -> None:
    rights = needed(purposes, namespace, echo)
    assert len(rights) == len(set(rights)) == count


def _verbs(rights: list[Right], resource: str) -> list[str]:
    return [right.verb for right in rights if right.resource == resource]


def test_config_maps_matter_where_the_bundled_app_is_or_may_have_been() -> None:
    def verbs(purpose: str, echo: str, **more: t.Any) -> list[str]:
        return _verbs(needed([purpose], ANOTHERS, echo, **more), "configmaps")

    assert verbs("deploy", "image") == []
    assert verbs("deploy", "bundled") == ["get", "create", "patch"]
    assert verbs("deploy", "image", left=former("image", "Ingress")) == ["get", "delete"]
    assert verbs("teardown", "image") == ["get", "delete"]


@pytest.mark.parametrize(
    ("purposes", "wanted", "had", "verbs"),
    [
        (["deploy"], False, False, []),
        (["deploy"], True, False, ["get", "create", "patch"]),
        (["deploy"], True, True, ["get", "create", "patch"]),
        (["deploy"], False, True, ["get", "delete"]),
        (["verify", "diagnose"], True, True, []),
        (["teardown"], False, False, []),
        (["teardown"], True, False, ["get", "delete"]),
        (["teardown"], False, True, ["get", "delete"]),
    ],
)
def test_secrets_matter_where_there_is_a_certificate_or_was_one(
    purposes: list[str], wanted: bool, had: bool, verbs: list[str]
) -> None:
    rights = needed(purposes, ANOTHERS, certificate=wanted, had_certificate=had)
    assert _verbs(rights, "secrets") == verbs


def test_without_an_ingress_none_is_asked_for_but_to_remove_it() -> None:
    both = (["deploy", "verify"], ANOTHERS, "bundled", "Service")
    assert _verbs(needed(*both), "ingresses") == []
    assert _verbs(needed(*both), "services") == ["get", "create", "patch"]
    left = former("bundled", "Service")
    assert _verbs(needed(*both, left=left), "ingresses") == ["get", "delete"]
    assert _verbs(needed(["teardown"], ANOTHERS, "bundled", "Service"), "ingresses") == [
        *("get", "delete")
    ]


@pytest.mark.parametrize(
    ("echo", "front", "kinds"),
    [
        ("image", "Ingress", ["ConfigMap"]),
        ("bundled", "Ingress", []),
        ("image", "Service", ["Ingress", "ConfigMap"]),
        ("bundled", "Service", ["Ingress"]),
    ],
)
def test_former(echo: str, front: str, kinds: list[str]) -> None:
    assert [one.kind for one in former(echo, front)] == kinds


def test_a_right_reads_as_kubectl_names_it() -> None:
    assert str(needed(["deploy"], ANOTHERS)[0]) == "get deployments.apps"
    assert str(needed(["verify"], ANOTHERS)[2]) == "list pods"


def test_a_review_asks_for_a_namespace_only_where_there_is_one() -> None:
    create = needed(["deploy"], ABSENT)[-2]
    assert create.review("x")["spec"]["resourceAttributes"] == {
        "verb": "create",
        "group": "",
        "resource": "namespaces",
    }
    assert (
        needed(["verify"], ANOTHERS)[0].review("x")["spec"]["resourceAttributes"]["namespace"]
        == "x"
    )


def test_ingresses_are_asked_for_in_the_group_that_has_them() -> None:
    groups = {
        right.group
        for right in needed(["deploy"], ANOTHERS, ingress_group="extensions")
        if right.resource == "ingresses"
    }
    assert groups == {"extensions"}
