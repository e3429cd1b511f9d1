# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests for what action plugins ask of the run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._run import (
    emptied,
    kept_here,
    taken_away,
    unnamed,
)


@pytest.mark.parametrize(
    ("typed", "own", "told"),
    [
        ({"real_ip_namespace": ""}, {"real_ip_namespace": "shop"}, ["real_ip_namespace"]),
        ({"real_ip_namespace": None}, {"real_ip_namespace": "shop"}, ["real_ip_namespace"]),
        ({"real_ip_layer": " "}, {"real_ip_layer": "l4"}, ["real_ip_layer"]),
        ({"real_ip_context": ""}, {"real_ip_context": "prod"}, ["real_ip_context"]),
        ({"real_ip_vantage": ""}, {"real_ip_vantage": "node"}, ["real_ip_vantage"]),
        # As a survey has it, of an inventory that says nothing, or the same
        ({"real_ip_namespace": ""}, {}, []),
        ({"real_ip_namespace": ""}, {"real_ip_namespace": ""}, []),
        ({"real_ip_namespace": ""}, {"real_ip_namespace": "kestrel-catchip"}, []),
        ({"real_ip_namespace": ""}, {"real_ip_url": "http://192.0.2.1/"}, []),
        ({"real_ip_namespace": "team"}, {"real_ip_namespace": "shop"}, []),
        ({"real_ip_forge": False}, {"real_ip_forge": True}, []),
        # Says the same in another language, or writes no report this time
        ({"real_ip_report_dir": ""}, {"real_ip_report_dir": "/reports"}, []),
        ({"real_ip_language": ""}, {"real_ip_language": "zh"}, []),
        ({"namespace": ""}, {"namespace": "shop"}, []),
    ],
)
def test_an_empty_extra_variable_takes_nothing_away(
    typed: dict[str, Any], own: dict[str, Any], told: list[str]
) -> None:
    found = taken_away(emptied(typed, typed), own)
    assert [one.partition(":")[0] for one in found] == told


def test_what_a_template_makes_empty_takes_nothing_away() -> None:
    written = {"real_ip_context": "{{ meant | default('') }}"}
    found = taken_away(emptied(written, {"real_ip_context": ""}), {"real_ip_context": "prod"})
    assert [one.partition(":")[0] for one in found] == ["real_ip_context"]
    assert not emptied(written, {"real_ip_context": "prod"})


OF_ENVIRONMENT = "{{ lookup('env', 'PROD_KUBECONFIG') }}"


@pytest.mark.parametrize(
    ("variables", "given", "told"),
    [
        ({"real_ip_kubeconfig": OF_ENVIRONMENT}, {"real_ip_kubeconfig": ""}, True),
        (
            {"real_ip_context": '{{ query("ansible.builtin.env", "CONTEXT") | first }}'},
            {"real_ip_context": ""},
            True,
        ),
        ({"real_ip_kubeconfig": OF_ENVIRONMENT}, {"real_ip_kubeconfig": "/prod"}, False),
        # What the client itself would take, and what another variable says
        (
            {"real_ip_kubeconfig": "{{ lookup('env', 'KUBECONFIG') }}"},
            {"real_ip_kubeconfig": ""},
            False,
        ),
        (
            {"real_ip_context": "{{ lookup('env', 'K8S_AUTH_CONTEXT') }}"},
            {"real_ip_context": ""},
            False,
        ),
        (
            {"real_ip_kubeconfig": OF_ENVIRONMENT, "real_ip_api_host": "https://192.0.2.1:6443"},
            {"real_ip_kubeconfig": "", "real_ip_api_host": "https://192.0.2.1:6443"},
            False,
        ),
        (
            {"real_ip_api_host": OF_ENVIRONMENT, "real_ip_context": "prod"},
            {"real_ip_api_host": "", "real_ip_context": "prod"},
            False,
        ),
        # Contexts of many kubeconfigs have the same name, and a kubeconfig has many contexts.
        (
            {"real_ip_kubeconfig": OF_ENVIRONMENT, "real_ip_context": "default"},
            {"real_ip_kubeconfig": "", "real_ip_context": "default"},
            True,
        ),
        (
            {"real_ip_context": OF_ENVIRONMENT, "real_ip_kubeconfig": "/all"},
            {"real_ip_context": "", "real_ip_kubeconfig": "/all"},
            True,
        ),
        # By another variable, which may have the name of itself in it
        (
            {"real_ip_kubeconfig": "{{ of_shop }}", "of_shop": OF_ENVIRONMENT + "{# of_shop #}"},
            {"real_ip_kubeconfig": ""},
            True,
        ),
        ({"real_ip_kubeconfig": "{{ of_shop }}", "of_shop": ""}, {"real_ip_kubeconfig": ""}, False),
        ({"real_ip_kubeconfig": "{{ of_shop }}", "of_shop": 5}, {"real_ip_kubeconfig": ""}, False),
        # Meant for some hosts alone
        ({"real_ip_context": "{{ context | default('') }}"}, {"real_ip_context": ""}, False),
        ({"real_ip_context": ""}, {"real_ip_context": ""}, False),
        ({}, {}, False),
    ],
)
def test_a_cluster_that_the_environment_does_not_name(
    variables: dict[str, Any], given: dict[str, Any], told: bool
) -> None:
    found = unnamed(variables, given)
    assert [one.partition(":")[0] for one in found] == [*variables][:1] * told


@pytest.mark.parametrize(
    ("point", "transport", "own", "taken", "told"),
    [
        ("office", "local", None, "local", True),
        ("office", "local", "ssh", "local", True),
        ("office", "ssh", None, "ssh", False),
        ("office", "ssh", None, None, False),
        # As its own variables have it, or as a task's keyword
        ("office", "local", "local", "local", False),
        ("office", "local", None, None, False),
        ("localhost", "local", None, "local", False),
        (None, "local", None, None, False),
    ],
)
def test_a_variable_of_the_play_keeps_no_vantage_point_here(
    point: str | None, transport: str, own: str | None, taken: str | None, told: bool
) -> None:
    def having(connection: str | None) -> dict[str, Any]:
        return {"office": {"ansible_connection": connection} if connection else {}}

    variables = {"hostvars": having(own), "ansible_delegated_vars": having(taken)}
    assert bool(kept_here(point, transport, variables)) == told
