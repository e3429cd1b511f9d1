# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Whose object is it? Only what carries our labels is ever changed or deleted."""

from __future__ import annotations

import copy
import typing as t
from collections.abc import Collection, Iterable, Mapping

from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import LAST_APPLIED

Object = t.Mapping[str, t.Any]

MANAGER = "kestrel.real_ip"
MANAGED_BY = "app.kubernetes.io/managed-by"
INSTANCE = "app.kubernetes.io/instance"
#: The annotation of a Deployment that a run may remove in its end (``real_ip_ephemeral``)
EPHEMERAL = "real-ip.kestrel/ephemeral"

# Kinds that Kubernetes itself puts into every namespace, or that go with their owner
_BY_KUBERNETES = {
    ("ConfigMap", "kube-root-ca.crt"),
    ("ServiceAccount", "default"),
}
_DERIVED = ("Event", "Endpoints", "EndpointSlice", "ControllerRevision", "Lease", "PodMetrics")

# Fields that an autoscaler takes over through a subresource: kind to subresource and path
_SCALED: dict[str, tuple[str, tuple[str, ...]]] = {"Deployment": ("scale", ("spec", "replicas"))}
# Who scales by hand. The next run says again what a deployment is to have.
_BY_HAND = "kubectl"

# What a server writes into every object; none of it is a change that somebody asked for
_BY_SERVER = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


def labelled(definition: Object, instance: str) -> dict[str, t.Any]:
    """``definition`` with the labels that mark it as ours, as a copy.

    Annotations of which there are none are left out. Once somebody else has set one, a controller
    say, the server takes an empty map for a field of ours: applying what is there would write.
    """
    ours = copy.deepcopy(dict(definition))
    metadata = ours.setdefault("metadata", {})
    metadata.setdefault("labels", {}).update({MANAGED_BY: MANAGER, INSTANCE: instance})
    pods = ours.get("spec", {}).get("template", {}).get("metadata", {})
    for one in (metadata, pods):
        if not one.get("annotations"):
            one.pop("annotations", None)
    return ours


def is_ours(existing: Object, instance: str) -> bool:
    """Does ``existing`` carry the labels of the deployment ``instance``?"""
    labels = existing.get("metadata", {}).get("labels") or {}
    return labels.get(MANAGED_BY) == MANAGER and labels.get(INSTANCE) == instance


def is_anothers(existing: Object, instance: str) -> bool:
    """Does ``existing`` belong to another deployment of this collection?"""
    labels = existing.get("metadata", {}).get("labels") or {}
    return labels.get(MANAGED_BY) == MANAGER and labels.get(INSTANCE) != instance


def owns(entry: Object, *path: str) -> bool:
    """Does an entry of managedFields list this field? Format: FieldsV1 of Kubernetes' meta/v1."""
    fields: t.Any = entry.get("fieldsV1") or {}
    for part in path:
        fields = fields.get(f"f:{part}")
        if fields is None:
            return False
    return True


def without_server_fields(existing: Object) -> dict[str, t.Any]:
    """``existing`` without status and what the server keeps: two of them compare by intent."""
    metadata = {
        key: value
        for key, value in (existing.get("metadata") or {}).items()
        if key not in _BY_SERVER
    }
    # It says once more what was applied last, and stands there only on older servers.
    annotations = dict(metadata.pop("annotations", None) or {})
    annotations.pop(LAST_APPLIED, None)
    if annotations:
        metadata["annotations"] = annotations
    rest = {key: value for key, value in existing.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": metadata} if existing else {}


def hidden(one: Object, other: Object, when: str) -> dict[str, t.Any]:
    """``one`` without what it holds, if it is a Secret.

    Where that isn't what ``other`` holds, ``when`` says of which of the two it is.
    """
    if one.get("kind") != "Secret":
        return dict(one)
    known = other.get("data") or {}
    data = {
        key: "(hidden)" if known.get(key, value) == value else f"(hidden, {when})"
        for key, value in (one.get("data") or {}).items()
    }
    return {**one, "data": data}


def applied(existing: Object) -> str:
    """When we last changed an object, by which a later change of another run is noticed.

    The fields that are ours tell nothing: who writes one of them takes it away from us.
    """
    for entry in existing.get("metadata", {}).get("managedFields") or []:
        if (entry.get("manager"), entry.get("operation")) == (MANAGER, "Apply"):
            return str(entry.get("time") or "")
    return ""


def yielding(wanted: dict[str, t.Any], existing: Object) -> tuple[dict[str, t.Any], list[str]]:
    """``wanted`` without what an autoscaler has set, and for each such field what and who it is.

    Taking it back would be a fight: both would write it in turn, for as long as both are there.
    """
    subresource, path = _SCALED.get(wanted.get("kind", ""), ("", ()))
    scalers = [
        entry.get("manager", "")
        for entry in existing.get("metadata", {}).get("managedFields") or []
        if path and entry.get("subresource") == subresource and owns(entry, *path)
    ]
    scaler = next((name for name in scalers if not name.startswith(_BY_HAND)), None)
    if scaler is None:
        return wanted, []
    ours = copy.deepcopy(wanted)
    inner: t.Any = ours
    value: t.Any = existing
    for part in path[:-1]:
        inner = inner.get(part) or {}
    for part in path:
        value = value.get(part) or {}
    inner.pop(path[-1], None)
    return ours, [f"{'.'.join(path)}: {value}, by {scaler}"]


def foreign(objects: Iterable[Object], kinds: Collection[str], instance: str) -> list[str]:
    """``Kind/name`` of what somebody else put into the namespace, sorted.

    ``objects`` need ``kind`` and ``metadata`` only; ``kinds`` are those that live in a namespace.
    """
    found = []
    for one in objects:
        kind, metadata = one.get("kind", ""), one.get("metadata", {})
        name = metadata.get("name", "")
        if kind in _DERIVED or (kind, name) in _BY_KUBERNETES:
            continue
        # What has an owner goes or stays with it. An owner outside the namespace stays.
        owners = {owner.get("kind", "") for owner in metadata.get("ownerReferences") or []}
        if owners and all(owner in kinds for owner in owners):
            continue
        if not is_ours(one, instance) and not _token_of_default(kind, metadata):
            found.append(f"{kind}/{name}")
    return sorted(found)


def _token_of_default(kind: str, metadata: Mapping[str, t.Any]) -> bool:
    """Kubernetes before 1.24 made a Secret for each namespace's default service account."""
    annotations = metadata.get("annotations") or {}
    return kind == "Secret" and annotations.get("kubernetes.io/service-account.name") == "default"
