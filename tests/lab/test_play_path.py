# SPDX-License-Identifier: GPL-3.0-or-later
"""A diagnosis of many pods, and one of an account that may not read everything."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import (
    CONFIG_MAPS,
    INGRESSES,
    LISTS,
    NAMESPACES,
    PODS,
    SLICES,
    List,
)

from lab import credentials
from lab.api import api
from lab.settings import API_URL, Lab
from tests.lab.playbooks import Playbooks
from tools.bench_path import Crowd, diagnose

Json = dict[str, Any]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"
#: Seconds until the API server acts on a right that was given.
PATIENCE = 60.0

#: Every read of a diagnosis, as the verb and what is read.
READS: tuple[tuple[str, List], ...] = (
    *(("list", one) for one in (*LISTS.values(), PODS, SLICES)),
    *(("get", one) for one in (INGRESSES[0], NAMESPACES, CONFIG_MAPS)),
)


def shown(verb: str, wanted: List) -> str:
    return f"{verb} {wanted.resource}" + (f".{wanted.group}" if wanted.group else "")


@pytest.fixture
def crowd(lab: Lab) -> Iterator[Crowd]:
    """A Service with a few pods."""
    found = Crowd(lab, f"crowd-{secrets.token_hex(3)}")
    found.make()
    try:
        found.grow(10)
        yield found
    finally:
        found.remove()


def test_requests_grow_by_pages_of_500_only(lab: Lab, crowd: Crowd) -> None:
    [few] = diagnose(lab, crowd.namespace)
    crowd.ingresses(f"front-{number}" for number in range(20))
    crowd.grow(1200, running=False)
    [many] = diagnose(lab, crowd.namespace)
    assert few["findings"] == many["findings"] == []
    assert "1200" in str(many["path"])
    # Two pages more of pods, and two more of events; all else is asked for once.
    assert few["requests"] == 1 + len(READS)
    assert many["requests"] == few["requests"] + 2 + 2


def test_where_the_api_server_is_has_nothing_to_do_with_what_is_asked_for(
    lab: Lab, crowd: Crowd
) -> None:
    connection = {
        "host": API_URL,
        "api_key": credentials.token(lab),
        "ca_cert": str(credentials.authority(lab)),
    }
    [found] = diagnose(lab, crowd.namespace, {**connection, "request_host": "www.example.com"})
    assert found["findings"] == []
    assert "www.example.com/ to crowd" in str(found["path"])


# --- Rights ---------------------------------------------------------------------------------------


def account(lab: Lab, namespace: str, name: str, reads: list[tuple[str, List]]) -> str:
    """Make a ServiceAccount that may read this, and return its token."""
    where = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    api(lab, where, "POST", {"metadata": {"name": name}})
    rules = [
        {"apiGroups": [one.group], "resources": [one.resource], "verbs": [verb]}
        for verb, one in reads
    ]
    metadata = {"name": f"{namespace}-{name}", "labels": {"crowd": namespace}}
    api(lab, f"{RBAC}/clusterroles", "POST", {"metadata": metadata, "rules": rules})
    body = {
        "metadata": metadata,
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": metadata["name"]},
        "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
    }
    api(lab, f"{RBAC}/clusterrolebindings", "POST", body)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    return str(api(lab, f"{where}/{name}/token", "POST", request)["status"]["token"])


def forget(lab: Lab, namespace: str) -> None:
    """Remove what the accounts of a namespace were given outside of it."""
    for kind in ("clusterroles", "clusterrolebindings", "roles", "rolebindings"):
        for one in api(lab, f"{RBAC}/{kind}")["items"]:
            name, where = one["metadata"]["name"], one["metadata"].get("namespace")
            if namespace in name and where != namespace:
                place = f"{RBAC}/namespaces/{where}" if where else RBAC
                api(lab, f"{place}/{kind}/{name}", "DELETE")


def lacking(lab: Lab, namespace: str, kubeconfigs: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """What each account's diagnosis says is missing, and the command that it says gives it."""
    options = [{"kubeconfig": str(one)} for one in kubeconfigs.values()]
    missing = {}
    for name, found in zip(kubeconfigs, diagnose(lab, namespace, *options), strict=True):
        assert {one["code"] for one in found["findings"]} <= {"P003"}
        assert {one["fix_kind"] for one in found["findings"]} <= {"command"}
        assert found["cause"] is None
        missing[name] = {
            one["object"].removeprefix("Right "): one["fix"] for one in found["findings"]
        }
    return missing


def test_a_missing_right_is_named_and_the_fix_gives_it(
    lab: Lab, crowd: Crowd, tmp_path: Path
) -> None:
    operator = Playbooks(lab.name)
    cases = {f"reader-{number}": [read] for number, read in enumerate(READS)}
    # Two, that other accounts lack as well: what gives one account a right is in no other's way.
    cases["reader-both"] = [READS[0], next(read for read in READS if not read[1].namespaced)]
    files = {}
    try:
        for name, lacks in cases.items():
            reads = [one for one in READS if one not in lacks]
            token = account(lab, crowd.namespace, name, reads)
            files[name] = tmp_path / name
            files[name].write_text(credentials.kubeconfig(lab, name, token, API_URL))
        missing = lacking(lab, crowd.namespace, files)
        assert {name: {*rights} for name, rights in missing.items()} == {
            name: {shown(*read) for read in lacks} for name, lacks in cases.items()
        }
        fixes = [fix for rights in missing.values() for fix in rights.values()]
        __, output = operator.execute("operator", "bash", "-c", "\n".join(fixes))
        deadline = time.monotonic() + PATIENCE
        while any(missing.values()):
            assert time.monotonic() < deadline, (missing, output)
            missing = lacking(lab, crowd.namespace, files)
    finally:
        forget(lab, crowd.namespace)
