# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What objects look like on API servers that are older than the shapes that the roles write.

The roles write today's shapes, and everything here reads them. What an older server has instead is
decided by what it serves, and where it doesn't tell that, by its version; each fact has one row.
"""

from __future__ import annotations

import copy
import json
import re
import typing as t

Object = t.Mapping[str, t.Any]
Version = tuple[int, int]

#: The oldest Kubernetes that objects are written for: apps/v1 and networking.k8s.io's Ingresses.
OLDEST: Version = (1, 14)

#: The API group of HTTPRoutes and Gateways
GATEWAYS = "gateway.networking.k8s.io"
#: Where Ingresses are served, newest first, as ``group/version``.
INGRESS_APIS = ("networking.k8s.io/v1", "networking.k8s.io/v1beta1", "extensions/v1beta1")

#: From this one on server-side apply is stable. Before, objects are applied as kubectl does it, by
#: an annotation that holds what was applied last.
SERVER_SIDE_APPLY: Version = (1, 22)

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_SECCOMP_ANNOTATION = "seccomp.security.alpha.kubernetes.io/pod"

#: Fields that a server of an earlier version doesn't know, or knows but takes only where a feature
#: gate is on: kind, field, version, and the path to the objects that have it (``*``: each of them).
_SINCE: tuple[tuple[str, str, Version, tuple[str, ...]], ...] = (
    ("Deployment", "startupProbe", (1, 18), ("spec", "template", "spec", "containers", "*")),
    ("Deployment", "seccompProfile", (1, 19), ("spec", "template", "spec", "securityContext")),
    (
        "Deployment",
        "seccompProfile",
        (1, 19),
        ("spec", "template", "spec", "containers", "*", "securityContext"),
    ),
    ("Ingress", "pathType", (1, 18), ("spec", "rules", "*", "http", "paths", "*")),
)


def version_of(answer: Object) -> Version | None:
    """Major and minor version in what ``/version`` answers; None where it is no Kubernetes."""
    found = re.match(r"v(\d+)\.(\d+)", str(answer.get("gitVersion", "")))
    return (int(found[1]), int(found[2])) if found else None


def shaped(definition: Object, version: Version, ingress_api: str = INGRESS_APIS[0]) -> Object:
    """``definition``, which has today's shape, as a server of this version has it.

    ``ingress_api``: where it serves Ingresses, as one of INGRESS_APIS.
    """
    made = copy.deepcopy(dict(definition))
    if made["kind"] == "Ingress" and ingress_api != INGRESS_APIS[0]:
        made = _beta_ingress(made, ingress_api)
    if made["kind"] == "Deployment" and version < (1, 19):
        _annotate_seccomp(made)
    for kind, field, since, path in _SINCE:
        if made["kind"] == kind and version < since:
            for holder in _at(made, path):
                holder.pop(field, None)
    return made


def _at(found: t.Any, path: t.Sequence[str]) -> t.Iterator[dict[str, t.Any]]:
    """Each object at ``path``, none where there is nothing."""
    if not path:
        yield from [found] if isinstance(found, dict) else []
        return
    step, rest = path[0], path[1:]
    if step == "*":
        for one in found or []:
            yield from _at(one, rest)
    elif isinstance(found, dict) and step in found:
        yield from _at(found[step], rest)


def _annotate_seccomp(deployment: dict[str, t.Any]) -> None:
    """Before 1.19 an annotation of the pod asked for what a field asks for today."""
    template = deployment["spec"]["template"]
    for context in _at(template, ("spec", "securityContext")):
        if (context.get("seccompProfile") or {}).get("type") == "RuntimeDefault":
            annotations = template.setdefault("metadata", {}).setdefault("annotations", {})
            annotations[_SECCOMP_ANNOTATION] = "runtime/default"


def annotations_of(found: Object | None) -> t.Mapping[str, str]:
    """The annotations of an object, none of one that isn't there."""
    return (found or {}).get("metadata", {}).get("annotations") or {}


def told_in_json(text: str | None) -> t.Any:
    """What an annotation tells, None where it isn't JSON."""
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None


def is_true(text: str) -> bool:
    """Whether an annotation's value is one that Go's strconv.ParseBool takes for true."""
    return text in ("1", "t", "T", "true", "TRUE", "True")


def is_false(text: str) -> bool:
    """Whether it is one that this takes for false."""
    return text in ("0", "f", "F", "false", "FALSE", "False")


# --- Ingresses ------------------------------------------------------------------------------------


def class_of(ingress: Object) -> str:
    """The class of an Ingress, by field or annotation; empty without either."""
    named_class = (ingress.get("spec") or {}).get("ingressClassName")
    return str(named_class or annotations_of(ingress).get(CLASS_ANNOTATION) or "")


def _beta_ingress(ingress: dict[str, t.Any], api: str) -> dict[str, t.Any]:
    """An Ingress of networking.k8s.io/v1 in the shape of a beta API.

    The class stands in the annotation, which is what controllers of that time read.
    """
    spec = ingress["spec"]
    named_class = spec.pop("ingressClassName", None)
    if named_class:
        ingress["metadata"].setdefault("annotations", {})[CLASS_ANNOTATION] = named_class
    for path in _at(ingress, ("spec", "rules", "*", "http", "paths", "*")):
        path["backend"] = _beta_backend(path["backend"])
    return {**ingress, "apiVersion": api}


def _beta_backend(backend: Object) -> dict[str, t.Any]:
    service = backend["service"]
    port = service["port"]
    return {"serviceName": service["name"], "servicePort": port.get("number", port.get("name"))}


def modern_ingress(ingress: Object) -> Object:
    """An Ingress of a beta API in the shape of networking.k8s.io/v1."""

    def backend(old: Object | None) -> dict[str, t.Any] | None:
        if not old or "serviceName" not in old:
            return dict(old) if old else None
        port = old.get("servicePort")
        key = "number" if isinstance(port, int) else "name"
        return {"service": {"name": old["serviceName"], "port": {key: port}}}

    spec = dict(ingress.get("spec") or {})
    spec["rules"] = [
        {
            **rule,
            "http": {
                "paths": [
                    {**path, "backend": backend(path.get("backend"))}
                    for path in (rule.get("http") or {}).get("paths") or []
                ]
            },
        }
        for rule in spec.get("rules") or []
    ]
    default = spec.pop("backend", None)
    if default and "defaultBackend" not in spec:
        spec["defaultBackend"] = backend(default)
    return {**ingress, "spec": spec}
