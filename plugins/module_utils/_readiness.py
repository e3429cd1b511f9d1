# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Is an object what its user waits for? Kind by kind, a pure function of the object as read."""

from __future__ import annotations

import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import printable
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import taken_as
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import applied
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import INGRESS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import INGRESS_APIS, class_of

Object = t.Mapping[str, t.Any]


class State(t.NamedTuple):
    """``ready`` and, in a few words, the state that a person would name."""

    ready: bool
    text: str


def addresses(existing: Object) -> list[str]:
    """All addresses and host names in the status of an Ingress or a Service, in its order."""
    entries = (existing.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
    return [value for one in entries for value in (one.get("ip"), one.get("hostname")) if value]


def former_addresses(before: Object, wanted: Object) -> list[str]:
    """The addresses that an Ingress has of another class than ``wanted`` gives it.

    They stay in its status until a controller takes them away, and lead to a load balancer that is
    being given up.
    """
    both = wanted.get("kind") == INGRESS and before
    return addresses(before) if both and taken_as(before) != class_of(wanted) else []


def _deployment(existing: Object) -> State:
    # As `kubectl rollout status` has it: kubectl pkg/polymorphichelpers/rollout_status.go
    status = existing.get("status", {})
    wanted = existing.get("spec", {}).get("replicas", 1)
    if status.get("observedGeneration", 0) < existing.get("metadata", {}).get("generation", 0):
        return State(False, "not yet seen by its controller")
    for condition in status.get("conditions") or []:
        if condition.get("reason") == "ProgressDeadlineExceeded":
            return State(False, str(condition.get("message", "progress deadline exceeded")))
    updated = status.get("updatedReplicas", 0)
    available = status.get("availableReplicas", 0)
    ready = updated == wanted == available == status.get("replicas", 0)
    return State(ready, f"{min(available, updated)} of {wanted} pods available")


def _ingress(existing: Object) -> State:
    found = addresses(existing)
    return State(bool(found), ", ".join(found) or "no address yet")


def _service(existing: Object) -> State:
    if existing.get("spec", {}).get("type") != "LoadBalancer":
        return State(True, "exists")
    return _ingress(existing)


def _exists(existing: Object) -> State:
    return State(True, "exists")


class Kind(t.NamedTuple):
    """Where a kind is served, the newest API first, and when one of it is ready."""

    paths: tuple[str, ...]
    state: t.Callable[[Object], State]


KINDS: dict[str, Kind] = {
    "Namespace": Kind(("/api/v1/namespaces/{name}",), _exists),
    "ConfigMap": Kind(("/api/v1/namespaces/{namespace}/configmaps/{name}",), _exists),
    "Secret": Kind(("/api/v1/namespaces/{namespace}/secrets/{name}",), _exists),
    "Deployment": Kind(("/apis/apps/v1/namespaces/{namespace}/deployments/{name}",), _deployment),
    "Service": Kind(("/api/v1/namespaces/{namespace}/services/{name}",), _service),
    "Ingress": Kind(
        tuple(f"/apis/{api}/namespaces/{{namespace}}/ingresses/{{name}}" for api in INGRESS_APIS),
        _ingress,
    ),
}


def paths_of(kind: str, namespace: str, name: str) -> list[str]:
    """Where one object is, in each API that may have its kind."""
    return [path.format(namespace=namespace, name=name) for path in KINDS[kind].paths]


#: What the module ``apply`` says of an object that it has left there, and of one that it has not
THERE = ("created", "adopted", "changed", "unchanged")
NOT_THERE = ("deleted", "absent")

# Why a namespace is still there, as its controller says it: Kubernetes' core/v1
_REMAINING = (
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceFinalizersRemaining",
    "NamespaceContentRemaining",
)
#: By which Kubernetes keeps an object until all that it owns is gone
FOREGROUND = "foregroundDeletion"


def contested(done: Object, existing: Object | None) -> str:
    """What somebody else did to an object since this run, or the empty string.

    ``done``: what the module ``apply`` returned of it.
    """
    action, ours = done.get("action"), done.get("applied")
    there = existing is not None and not existing.get("metadata", {}).get("deletionTimestamp")
    if action in THERE and not there:
        return "was removed"
    if action in NOT_THERE and there:
        return "was made again"
    return "was changed" if ours and existing and applied(existing) != ours else ""


def _held(kind: str, existing: Object) -> str:
    """What keeps an object from being gone."""
    if kind == "Namespace":
        conditions = existing.get("status", {}).get("conditions") or []
        remaining = [
            str(one.get("message", ""))
            for name in _REMAINING
            for one in conditions
            if (one.get("type"), one.get("status")) == (name, "True")
        ]
        if remaining:
            return " ".join(printable(text, 500) for text in remaining)
    held = existing.get("metadata", {}).get("finalizers") or existing.get("spec", {}).get(
        "finalizers"
    )
    return f"held by the finalizer {', '.join(held)}" if held else "still there"


def held_by_pods(pods: t.Iterable[Object], nodes: t.Mapping[str, Object | None]) -> str:
    """Which pods keep their Deployment from being gone, and on which nodes they are.

    ``nodes``: name to node, None where it doesn't exist; one that mayn't be read is left out.
    """

    def where(name: str) -> str:
        if not name:
            return ""
        if name not in nodes:
            return f" on {name}"
        node = nodes[name]
        if node is None:
            return f" on {name}, a node that doesn't exist"
        ready = any(
            one.get("type") == "Ready" and one.get("status") == "True"
            for one in node.get("status", {}).get("conditions") or []
        )
        return f" on {name}" if ready else f" on {name}, a node that isn't ready"

    told = [
        f"{pod['metadata']['name']}{where(pod.get('spec', {}).get('nodeName', ''))}" for pod in pods
    ]
    return f"held by its pods: {'; '.join(sorted(told))}" if told else ""


def state_of(
    kind: str, existing: Object | None, wanted: str, former: t.Container[str] = ()
) -> State:
    """The state of one object. ``wanted`` is ``present`` or ``absent``.

    ``former``: what :func:`former_addresses` gave when the object was applied.
    """
    if wanted == "absent":
        if existing is None:
            return State(True, "gone")
        return State(False, _held(kind, existing))
    if existing is None:
        return State(False, "doesn't exist")
    if existing.get("metadata", {}).get("deletionTimestamp"):
        return State(False, "is being deleted")
    stale = [one for one in addresses(existing) if one in former]
    if stale:
        return State(False, f"still the address of its former class, {', '.join(stale)}")
    return KINDS[kind].state(existing)


def latest_event(events: t.Iterable[Object]) -> str:
    """The newest event in one line (of equally new ones a warning), or the empty string."""

    def age(event: Object) -> tuple[str, bool]:
        stamp = event.get("lastTimestamp") or event.get("eventTime")
        stamp = stamp or event.get("metadata", {}).get("creationTimestamp")
        return str(stamp or ""), event.get("type") == "Warning"

    found = max(events, key=age, default=None)
    if found is None:
        return ""
    where = found.get("involvedObject", {})
    # A container's output can be part of it.
    message = printable(" ".join(str(found.get("message", "")).split()), 1000)
    return f"{where.get('kind')}/{where.get('name')}: {found.get('reason')}: {message}"
