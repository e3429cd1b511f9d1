# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._rights import needed


@pytest.mark.parametrize(
    ("purposes", "exists", "count"),
    [
        (["deploy"], True, 9),
        (["deploy"], False, 11),
        (["verify"], False, 3),
        (["teardown"], True, 6),
        # get of Services and Ingresses is needed for both, and asked for once
        (["deploy", "verify"], True, 10),
    ],
)
def test_needed(purposes: list[str], exists: bool, count: int) -> None:
    rights = needed(purposes, exists)
    assert len(rights) == len(set(rights)) == count


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
