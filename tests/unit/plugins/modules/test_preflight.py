# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import ClusterError
from ansible_collections.kestrel.real_ip.plugins.module_utils._rights import (
    ABSENT,
    ANOTHERS,
    OURS,
    former,
)
from ansible_collections.kestrel.real_ip.plugins.modules.preflight import (
    check_version,
    left_over,
    state_of_namespace,
    uses_certificate,
)

SERVER = "https://192.0.2.1:6443"


@pytest.mark.parametrize(
    "version", ["v1.14.0", "v1.18.4-tke.35", "v1.36.3", "v1.30.0-tke.1", "v2.0.1", "v1.100.0"]
)
def test_new_enough(version: str) -> None:
    assert check_version({"gitVersion": version}, SERVER) == version


@pytest.mark.parametrize("version", ["v1.13.12", "v1.12.4-tke.1", "v1.9.1"])
def test_too_old_names_what_is_needed(version: str) -> None:
    with pytest.raises(ClusterError, match=rf"Kubernetes {version} at {SERVER} is too old: 1\.14"):
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


class Readable:
    """Stands for a cluster: path to object, or to the status of the refusal."""

    def __init__(self, found: dict[str, dict[str, t.Any] | int]) -> None:
        self.found = found

    def find(self, path: str) -> dict[str, t.Any] | None:
        found = self.found.get(path)
        if isinstance(found, int):
            raise ClusterError("refused", found)
        return found

    def find_first(self, paths: t.Iterable[str]) -> dict[str, t.Any] | None:
        return self.find(next(iter(paths)))


OURS_TOO = {
    "metadata": {
        "labels": {
            "app.kubernetes.io/managed-by": "kestrel.real_ip",
            "app.kubernetes.io/instance": "real-ip",
        }
    }
}
SPACE = "/api/v1/namespaces/here"


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ({}, ABSENT),
        ({SPACE: OURS_TOO}, OURS),
        ({SPACE: {"metadata": {}}}, ANOTHERS),
        # that it may not be read says nothing of whether it is there
        ({SPACE: 403}, ANOTHERS),
    ],
)
def test_whose_the_namespace_is(found: dict[str, t.Any], state: str) -> None:
    assert state_of_namespace(t.cast("t.Any", Readable(found)), "here", "real-ip") == state


def test_a_failure_says_nothing_of_the_namespace() -> None:
    with pytest.raises(ClusterError):
        state_of_namespace(t.cast("t.Any", Readable({SPACE: 500})), "here", "real-ip")


INGRESS_PATH = "/apis/networking.k8s.io/v1/namespaces/here/ingresses/real-ip-ingress"
CONFIG_PATH = f"{SPACE}/configmaps/real-ip-echo"


@pytest.mark.parametrize(
    ("found", "names", "unseen"),
    [
        ({}, [], []),
        ({INGRESS_PATH: OURS_TOO, CONFIG_PATH: OURS_TOO}, ["real-ip-ingress", "real-ip-echo"], []),
        ({INGRESS_PATH: {"metadata": {}}, CONFIG_PATH: OURS_TOO}, ["real-ip-echo"], []),
        ({INGRESS_PATH: 403, CONFIG_PATH: OURS_TOO}, ["real-ip-echo"], ["get ingresses"]),
    ],
)
def test_what_other_settings_have_left(
    found: dict[str, t.Any], names: list[str], unseen: list[str]
) -> None:
    cluster = t.cast("t.Any", Readable(found))
    left, hidden = left_over(cluster, former("image", "Service"), "here", "real-ip")
    assert list(left) == names
    assert [str(right).removesuffix(".networking.k8s.io") for right in hidden] == unseen
