# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import (
    addresses,
    contested,
    former_addresses,
    held_by_pods,
    latest_event,
    state_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import CLASS_ANNOTATION


def _deployment(**status: object) -> dict[str, object]:
    return {"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status}


READY = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


def _balanced(*entries: dict[str, str], **spec: str) -> dict[str, object]:
    return {"spec": spec, "status": {"loadBalancer": {"ingress": list(entries)}}}


STATES = [
    # kind, object, wanted, ready, words
    ("Deployment", _deployment(**READY), "present", True, "2 of 2 pods available"),
    (
        "Deployment",
        _deployment(**{**READY, "observedGeneration": 1}),
        "present",
        False,
        "not yet seen",
    ),
    (
        "Deployment",
        _deployment(**{**READY, "availableReplicas": 1}),
        "present",
        False,
        "1 of 2 pods",
    ),
    # an old replica is still there
    ("Deployment", _deployment(**{**READY, "replicas": 3}), "present", False, "2 of 2 pods"),
    ("Deployment", _deployment(**{**READY, "updatedReplicas": 1}), "present", False, "1 of 2 pods"),
    ("Deployment", _deployment(observedGeneration=2), "present", False, "0 of 2 pods"),
    (
        "Deployment",
        _deployment(
            **{**READY, "availableReplicas": 0},
            conditions=[{"reason": "ProgressDeadlineExceeded", "message": "stuck"}],
        ),
        "present",
        False,
        "stuck",
    ),
    ("Ingress", _balanced({"ip": "198.51.100.1"}), "present", True, "198.51.100.1"),
    ("Ingress", _balanced({"hostname": "a.example"}), "present", True, "a.example"),
    ("Ingress", _balanced({}), "present", False, "no address yet"),
    ("Ingress", {"status": {"loadBalancer": None}}, "present", False, "no address yet"),
    ("Ingress", {}, "present", False, "no address yet"),
    ("Service", {"spec": {"type": "NodePort"}}, "present", True, "exists"),
    ("Service", _balanced(type="LoadBalancer"), "present", False, "no address yet"),
    (
        "Service",
        _balanced({"ip": "198.51.100.2"}, type="LoadBalancer"),
        "present",
        True,
        "198.51.100.2",
    ),
    ("Namespace", {}, "present", True, "exists"),
    ("Ingress", None, "present", False, "doesn't exist"),
    ("Ingress", None, "absent", True, "gone"),
    ("Ingress", {"metadata": {"finalizers": ["a/b"]}}, "absent", False, "finalizer a/b"),
    ("Ingress", {"metadata": {}}, "absent", False, "still there"),
    ("Namespace", {"spec": {"finalizers": ["kubernetes"]}}, "absent", False, "kubernetes"),
    (
        "Namespace",
        {
            "spec": {"finalizers": ["kubernetes"]},
            "status": {
                "conditions": [
                    {"type": "NamespaceDeletionContentFailure", "status": "False", "message": "no"},
                    {
                        "type": "NamespaceContentRemaining",
                        "status": "True",
                        "message": "configmaps. has 1 resource instances",
                    },
                    {
                        "type": "NamespaceFinalizersRemaining",
                        "status": "True",
                        "message": "example.org/held in 1 resource instances",
                    },
                ]
            },
        },
        "absent",
        False,
        "example.org/held in 1 resource instances configmaps. has 1 resource instances",
    ),
]


@pytest.mark.parametrize(("kind", "existing", "wanted", "ready", "words"), STATES)
def test_state_of(
    kind: str, existing: dict[str, object] | None, wanted: str, ready: bool, words: str
) -> None:
    state = state_of(kind, existing, wanted)
    assert state.ready is ready
    assert words in state.text


def _classed(name: str, *found: str, made: str = "") -> dict[str, t.Any]:
    entries = [{"ip": one} for one in found]
    annotations = {"kubernetes.io/ingress.qcloud-loadbalance-id": made} if made else {}
    return {
        "kind": "Ingress",
        "metadata": {"annotations": annotations},
        "spec": {"ingressClassName": name} if name else {},
        "status": {"loadBalancer": {"ingress": entries}},
    }


ANNOTATED = {"kind": "Ingress", "metadata": {"annotations": {CLASS_ANNOTATION: "qcloud"}}}


@pytest.mark.parametrize(
    ("before", "wanted", "former"),
    [
        (_classed("qcloud", "198.51.100.2"), _classed("nginx"), ["198.51.100.2"]),
        (_classed("qcloud", "198.51.100.2"), _classed("qcloud"), []),
        (_classed("qcloud", "198.51.100.2"), ANNOTATED, []),
        (_classed("qcloud"), _classed("nginx"), []),
        # One without a class keeps its balancer where TKE has made that.
        (_classed("", "198.51.100.2", made="lb-1a2b3c4d"), _classed("qcloud"), []),
        (_classed("", "198.51.100.2"), _classed("qcloud"), ["198.51.100.2"]),
        (_classed("", "198.51.100.2", made="lb-1a2b3c4d"), _classed("nginx"), ["198.51.100.2"]),
        ({}, _classed("nginx"), []),
        ({"kind": "Service"}, {"kind": "Service"}, []),
    ],
)
def test_former_addresses(
    before: dict[str, t.Any], wanted: dict[str, t.Any], former: list[str]
) -> None:
    assert former_addresses(before, wanted) == former


@pytest.mark.parametrize(
    ("found", "ready", "words"),
    [
        (("198.51.100.2",), False, "still the address of its former class, 198.51.100.2"),
        (("198.51.100.3", "198.51.100.2"), False, "still the address"),
        (("198.51.100.3",), True, "198.51.100.3"),
        ((), False, "no address yet"),
    ],
)
def test_an_address_of_the_former_class_is_none(
    found: tuple[str, ...], ready: bool, words: str
) -> None:
    state = state_of("Ingress", _classed("nginx", *found), "present", ["198.51.100.2"])
    assert state.ready is ready
    assert words in state.text


HERE: dict[str, object] = {"metadata": {}}
ENDING = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("action", "applied", "existing", "words"),
    [
        ("created", None, HERE, ""),
        ("unchanged", None, HERE, ""),
        ("created", None, None, "was removed"),
        ("changed", None, ENDING, "was removed"),
        ("adopted", None, None, "was removed"),
        ("deleted", None, None, ""),
        ("deleted", None, ENDING, ""),
        ("deleted", None, HERE, "was made again"),
        ("absent", None, HERE, "was made again"),
        # nothing is known of what a caller names without what was done
        (None, None, None, ""),
        (None, None, HERE, ""),
        ("created", "2026-01-01T00:00:00Z abc", HERE, "was changed"),
        ("created", "", HERE, ""),
    ],
)
def test_contested(
    action: str | None, applied: str | None, existing: dict[str, object] | None, words: str
) -> None:
    assert contested({"action": action, "applied": applied}, existing) == words


def _node(ready: str) -> dict[str, object]:
    return {"status": {"conditions": [{"type": "Ready", "status": ready}]}}


def test_pods_that_hold_their_deployment_are_named_with_their_nodes() -> None:
    def pod(name: str, node: str = "") -> dict[str, object]:
        return {"metadata": {"name": name}, "spec": {"nodeName": node} if node else {}}

    nodes = {"up": _node("True"), "lost": _node("Unknown"), "removed": None}
    pods = [
        *(pod("e", "secret"), pod("d"), pod("c", "removed"), pod("b", "lost"), pod("a", "up")),
    ]
    assert held_by_pods(pods, nodes) == (
        "held by its pods: a on up; b on lost, a node that isn't ready; "
        "c on removed, a node that doesn't exist; d; e on secret"
    )
    assert held_by_pods([], nodes) == ""


def test_all_entries_of_the_status_count() -> None:
    found = addresses(
        _balanced({"ip": "198.51.100.1", "hostname": "a.example"}, {"ip": "2001:db8::1"})
    )
    assert found == ["198.51.100.1", "a.example", "2001:db8::1"]


def _event(
    stamp: str | None, reason: str, kind: str = "Normal", **more: object
) -> dict[str, object]:
    return {
        "lastTimestamp": stamp,
        "reason": reason,
        "message": "some\n  words",
        "type": kind,
        "involvedObject": {"kind": "Pod", "name": "p"},
        **more,
    }


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], ""),
        (
            [_event("2026-01-01T00:00:01Z", "A"), _event("2026-01-01T00:00:02Z", "B")],
            "Pod/p: B: some words",
        ),
        (
            [_event("2026-01-01T00:00:01Z", "A", "Warning"), _event("2026-01-01T00:00:01Z", "B")],
            "Pod/p: A: some words",
        ),
        (
            [
                _event(None, "A", eventTime="2026-01-01T00:00:03Z"),
                _event("2026-01-01T00:00:02Z", "B"),
            ],
            "Pod/p: A: some words",
        ),
    ],
)
def test_latest_event(events: list[dict[str, object]], expected: str) -> None:
    assert latest_event(events) == expected


def test_what_is_being_deleted_is_not_ready() -> None:
    ending = {"metadata": {"deletionTimestamp": "now"}, "spec": {"type": "NodePort"}}
    assert state_of("Service", ending, "present") == (False, "is being deleted")


def test_an_event_brings_no_control_characters() -> None:
    event = {"involvedObject": {}, "message": "\x1b[31mready\x1b[0m"}
    assert latest_event([event]).isprintable()
