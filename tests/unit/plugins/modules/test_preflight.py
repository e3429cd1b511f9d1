# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import ClusterError
from ansible_collections.kestrel.real_ip.plugins.modules.preflight import (
    check_version,
    uses_certificate,
)

SERVER = "https://192.0.2.1:6443"


@pytest.mark.parametrize("version", ["v1.22.0", "v1.36.3", "v1.30.0-tke.1", "v2.0.1", "v1.100.0"])
def test_new_enough(version: str) -> None:
    assert check_version({"gitVersion": version}, SERVER) == version


@pytest.mark.parametrize("version", ["v1.21.14", "v1.14.3-tke.11", "v1.9.1"])
def test_too_old_names_what_is_needed(version: str) -> None:
    with pytest.raises(ClusterError, match=rf"Kubernetes {version} at {SERVER} is too old: 1\.22"):
        check_version({"gitVersion": version}, SERVER)


@pytest.mark.parametrize("answer", [{}, {"gitVersion": ""}, {"gitVersion": None}, {"version": "1"}])
def test_no_api_server(answer: dict[str, object]) -> None:
    with pytest.raises(ClusterError, match="not as a Kubernetes API server"):
        check_version(answer, SERVER)


@pytest.mark.parametrize(
    ("ingress", "uses"),
    [
        (None, False),
        ({"spec": {}}, False),
        ({"spec": {"tls": [{"hosts": ["a.example"]}]}}, False),
        ({"spec": {"tls": [{"secretName": "other"}]}}, False),
        ({"spec": {"tls": [{"secretName": "other"}, {"secretName": "team-certificate"}]}}, True),
    ],
)
def test_a_former_certificate_is_found_by_what_the_ingress_names(
    ingress: dict[str, object] | None, uses: bool
) -> None:
    assert uses_certificate(ingress, "team") is uses
