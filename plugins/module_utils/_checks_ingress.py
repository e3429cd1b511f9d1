# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Checks of what stands in front: class, controller, TKE's errors and the address."""

from __future__ import annotations

import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils import _objects as objects
from ansible_collections.kestrel.real_ip.plugins.module_utils._chinese_tke import in_chinese
from ansible_collections.kestrel.real_ip.plugins.module_utils._findings import Seen
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    Text,
    filled,
    phrase,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import (
    CONFIG_MAPS,
    TrafficPath,
    named,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import TKE_CLASS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    CLASS_ANNOTATION,
    annotations_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._switches import (
    GLOBAL_ROUTE,
    SETTINGS,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._tke_errors import TkeError, look_up

# --- Ingress and load balancer --------------------------------------------------------------------


def deletion_hangs(path: TrafficPath) -> t.Iterator[Seen]:
    """What stands in front, or the Service, is being deleted."""
    found_here = [(path.kind, path.front)]
    if path.kind == "Ingress":
        found_here.append(("Service", path.service))
    for kind, found in found_here:
        metadata = (found or {}).get("metadata", {})
        if found is not None and metadata.get("deletionTimestamp"):
            held = ", ".join(metadata.get("finalizers") or []) or phrase("nothing that is named")
            since = metadata["deletionTimestamp"]
            yield Seen(
                "P301",
                kind,
                objects.name(found),
                phrase(
                    "metadata.deletionTimestamp: {since}, finalizers: {held}",
                    since=since,
                    held=held,
                ),
                {"since": since, "finalizers": held},
            )


def two_classes(path: TrafficPath) -> t.Iterator[Seen]:
    """Field and annotation name different classes."""
    field = objects.spec(path.ingress).get("ingressClassName")
    annotation = annotations_of(path.ingress).get(CLASS_ANNOTATION)
    if field and annotation and field != annotation:
        yield Seen(
            "P302",
            "Ingress",
            path.name,
            phrase(
                "spec.ingressClassName: {field}, annotation {key}: {annotation}",
                field=field,
                key=CLASS_ANNOTATION,
                annotation=annotation,
            ),
            {"seen": field, "other": annotation},
        )


def unknown_class(path: TrafficPath) -> t.Iterator[Seen]:
    """No address, and a class that nobody in the cluster takes."""
    seen = objects.ingress_class(path)
    if path.ingress is None or path.classes is None or addresses(path.ingress):
        return
    if seen in ("", TKE_CLASS) or named(path.classes, seen) is not None:
        return
    field = "ingressClassName" if objects.spec(path.ingress).get("ingressClassName") else ""
    known = _classes_to_choose_from(path)
    change: dict[str, t.Any] = (
        {"spec": {"ingressClassName": known[0]}}
        if field
        else {"metadata": {"annotations": {CLASS_ANNOTATION: known[0]}}}
    )
    of_tke = any("cloud.tencent.com" in one for one in annotations_of(path.ingress))
    sure = len(known) == 1 and (objects.is_managed(path.ingress) or of_tke)
    yield Seen(
        "P303",
        "Ingress",
        path.name,
        phrase(
            "{field}: {seen}; IngressClasses: {classes}",
            field=field or CLASS_ANNOTATION,
            seen=seen,
            classes=", ".join(map(objects.name, path.classes)) or phrase("none"),
        ),
        {"seen": seen, "wanted": TKE_CLASS, "patch": objects.patch(change)},
        None if sure else phrase("Name a class that the cluster has"),
        "" if sure else "console",
    )


def _classes_to_choose_from(path: TrafficPath) -> list[str]:
    """What the class could have to be: TKE's, where nothing tells that this isn't TKE."""
    elsewhere = path.settings is None and not objects.is_unread(path, CONFIG_MAPS.resource)
    return (elsewhere and [*map(objects.name, path.classes or ())]) or [TKE_CLASS]


def controller_off(path: TrafficPath) -> t.Iterator[Seen]:
    """TKE's switch says that nobody acts on Ingresses."""
    if not objects.is_clb(path):
        return
    value = (path.settings or {}).get("EnableIngressController")
    if value == "false":
        yield Seen(
            "P304",
            "ConfigMap",
            SETTINGS,
            'data.EnableIngressController: "false"',
            {"patch": objects.patch({"data": {"EnableIngressController": "true"}})},
        )


def direct_by_default(path: TrafficPath) -> t.Iterator[Seen]:
    """Direct access that nobody asked for: it is there, or comes when the object is made anew."""
    detail = objects.turned_direct(path) or objects.by_default(path)
    if detail:
        facts = {"detail": detail, "annotation": objects.direct_key(path)}
        yield Seen("P313", path.kind, path.name, detail, facts)


def direct_refused(path: TrafficPath) -> t.Iterator[Seen]:
    """Direct access to pods of the GlobalRouter network, for which the cluster doesn't allow it."""
    if path.settings is None or not objects.direct_access(path) or _works(path):
        return
    seen = path.settings.get(GLOBAL_ROUTE)
    told = seen or phrase("not set")
    # Clusters that turn direct access on by themselves allow it as well, whatever isn't written.
    allowed = seen == "true" or (seen is None and objects.is_direct_default(path))
    if allowed or not objects.on_global_router(path):
        return
    yield Seen(
        "P314",
        path.kind,
        path.name,
        phrase(
            'data.{switch} of ConfigMap {name}: {seen}; annotation {key}: "true"{event}',
            switch=GLOBAL_ROUTE,
            name=SETTINGS,
            seen=told,
            key=objects.direct_key(path),
            event=objects.tke_event(path, "E4033"),
        ),
        {"seen": told, "patch": objects.patch({"data": {GLOBAL_ROUTE: "true"}})},
    )


#: Codes that the checks of the objects themselves tell better: an event stays for an hour.
_TOLD_BY_OBJECTS = {("Ingress", "E4041"), ("Ingress", "E4042"), ("Ingress", "E4047")}


def tke_errors(path: TrafficPath) -> t.Iterator[Seen]:
    """TKE's codes in the events of what stands in front.

    Events are kept for an hour: one of a fault that was mended says nothing once all works.
    """
    if _works(path):
        return
    for kind, name, event, mention in objects.mentioned(path):
        if (kind, mention.code) in _TOLD_BY_OBJECTS:
            continue
        row: TkeError = look_up(kind, mention)
        texts = {"namespace": path.namespace, "kind": kind.lower(), "name": name}
        other = in_chinese(row)
        fix = filled(row.fix, other.fix, texts) if row.fix else phrase("No documented fix")
        said = Text(row.cause.rstrip("."), other.cause.rstrip("。."))
        yield Seen(
            "P305",
            kind,
            name,
            objects.quoted(event),
            {
                "error": mention.code,
                "title": Text(row.title, other.title),
                "detail": phrase(". {cause}", cause=said) if row.cause else "",
            },
            fix,
            row.fix_kind if row.fix else "console",
        )


def _works(path: TrafficPath) -> bool:
    """The probe got answers, or without a probe there is an address."""
    if path.probe is not None:
        return bool((path.probe.get("requests") or {}).get("answered"))
    return bool(addresses(path.front or {}))


def no_address(path: TrafficPath) -> t.Iterator[Seen]:
    """What stands in front has no address, whoever is to blame."""
    front = path.front
    if front is None or addresses(front):
        return
    if path.kind == "Service" and objects.spec(front).get("type") != "LoadBalancer":
        return
    yield Seen(
        "P306",
        path.kind,
        path.name,
        phrase("status.loadBalancer.ingress: empty"),
        {"controller": _controller(path)},
    )


def _controller(path: TrafficPath) -> str:
    """Who should have made the load balancer."""
    if path.kind == "Ingress":
        seen = objects.ingress_class(path) or TKE_CLASS
        return phrase("the controller of the class {seen}", seen=seen)
    named_class = objects.spec(path.front).get("loadBalancerClass")
    of_class = phrase(" of the class {seen}", seen=named_class) if named_class else ""
    return phrase(
        "what makes load balancers{of_class} for Services, such as the cloud's controller,",
        of_class=of_class,
    )


def only_a_name(path: TrafficPath) -> t.Iterator[Seen]:
    """A balancer without an address of its own in the status."""
    entries = (objects.status(path.front).get("loadBalancer") or {}).get("ingress") or []
    for entry in entries:
        if entry.get("hostname") and not entry.get("ip"):
            facts = {"address": entry["hostname"]}
            yield Seen("P312", path.kind, path.name, f"status: {entry['hostname']}", facts)
