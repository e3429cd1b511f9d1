# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._rights import needed


@pytest.mark.parametrize(
    ("purposes", "exists", "echo", "count"),
    [
        (["deploy"], True, "image", 9),
        (["deploy"], True, "bundled", 12),
        (["deploy"], False, "image", 11),
        (["deploy"], False, "bundled", 14),
        (["verify"], False, "bundled", 3),
        (["teardown"], True, "image", 8),
        (["teardown"], True, "bundled", 8),
        # get of Services and Ingresses is needed for both, and asked for once
        (["deploy", "verify"], True, "image", 10),
    ],
)
def test_needed(purposes: list[str], exists: bool, echo: str, count: int) -> None:
    rights = needed(purposes, exists, echo)
    assert len(rights) == len(set(rights)) == count


def test_config_maps_matter_where_the_bundled_app_is_or_may_have_been() -> None:
    def verbs(purpose: str, echo: str) -> list[str]:
        rights = needed([purpose], True, echo)
        return [right.verb for right in rights if right.resource == "configmaps"]

    assert verbs("deploy", "image") == []
    assert verbs("deploy", "bundled") == ["get", "create", "patch"]
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
    rights = needed(purposes, True, certificate=wanted, had_certificate=had)
    assert [right.verb for right in rights if right.resource == "secrets"] == verbs


def test_without_an_ingress_a_former_one_is_only_looked_for() -> None:
    rights = needed(["deploy", "verify"], True, "bundled", "Service")
    assert [right.verb for right in rights if right.resource == "ingresses"] == ["get"]
    assert [right.verb for right in rights if right.resource == "services"] == [
        *("get", "create", "patch")
    ]


def test_a_right_reads_as_kubectl_names_it() -> None:
    assert str(needed(["deploy"], True)[0]) == "get deployments.apps"
    assert str(needed(["verify"], True)[2]) == "list pods"


def test_a_review_asks_for_a_namespace_only_where_there_is_one() -> None:
    create = needed(["deploy"], False)[-2]
    assert create.review("x")["spec"]["resourceAttributes"] == {
        "verb": "create",
        "group": "",
        "resource": "namespaces",
    }
    assert needed(["verify"], True)[0].review("x")["spec"]["resourceAttributes"]["namespace"] == "x"
