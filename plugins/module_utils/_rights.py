# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Which rights a run needs, as a table."""

from __future__ import annotations

import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import INGRESS
from ansible_collections.kestrel.real_ip.plugins.module_utils._switches import (
    SETTINGS,
    SETTINGS_NAMESPACE,
)


class Right(t.NamedTuple):
    """One verb on one resource. ``group`` is empty for the core API.

    ``namespace`` and ``name``: where that is one object, wherever the run works.
    """

    verb: str
    group: str
    resource: str
    namespaced: bool = True
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        group = f".{self.group}" if self.group else ""
        where = f" {self.name} in {self.namespace}" if self.name else ""
        return f"{self.verb} {self.resource}{group}{where}"

    def review(self, namespace: str) -> dict[str, t.Any]:
        """The SelfSubjectAccessReview that asks for this right."""
        attributes = {"verb": self.verb, "group": self.group, "resource": self.resource}
        if self.namespaced:
            attributes["namespace"] = self.namespace or namespace
        if self.name:
            attributes["name"] = self.name
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }


_INGRESSES = ("networking.k8s.io", "ingresses")
_OBJECTS = (("apps", "deployments"), ("", "services"), _INGRESSES)
_BUNDLED = ("", "configmaps")
_CERTIFICATE = ("", "secrets")


def _each(*verbs: str, objects: t.Iterable[tuple[str, str]] = _OBJECTS) -> tuple[Right, ...]:
    return tuple(Right(verb, group, name) for group, name in objects for verb in verbs)


# What each purpose can't do without. The namespace's own rights depend on whether it exists.
NEEDED: dict[str, tuple[Right, ...]] = {
    "deploy": _each("get", "create", "patch"),
    "verify": (
        Right("get", *_INGRESSES),
        Right("get", "", "services"),
        Right("list", "", "pods"),
    ),
    # What it may not read, it tells itself, with what allows it.
    "diagnose": (),
    # Whatever the echo app is now, a former one may have left what it was made from.
    "teardown": _each("get", "delete", objects=(*_OBJECTS, _BUNDLED)),
}
DEPLOY_CERTIFICATE = _each("get", "create", "patch", objects=(_CERTIFICATE,))
REMOVE_CERTIFICATE = _each("get", "delete", objects=(_CERTIFICATE,))
DEPLOY_BUNDLED = _each("get", "create", "patch", objects=(_BUNDLED,))
SWITCHES = tuple(
    Right(verb, *_BUNDLED, namespace=SETTINGS_NAMESPACE, name=SETTINGS) for verb in ("get", "patch")
)
READ_NAMESPACE = Right("get", "", "namespaces")
CREATE_NAMESPACE = (
    Right("create", "", "namespaces", namespaced=False),
    Right("patch", "", "namespaces", namespaced=False),
)


def needed(
    purposes: t.Collection[str],
    namespace_exists: bool,
    echo: str = "image",
    front: str = INGRESS,
    certificate: bool = False,
    had_certificate: bool = False,
) -> list[Right]:
    """The rights that a run for ``purposes`` must have, without repetitions, in a fixed order.

    ``echo``: as the variable ``real_ip_echo``; ``front``: the kind that has the load balancer;
    ``certificate``: whether a Secret for one is wanted, ``had_certificate``: whether there is one.
    """
    rights = [right for purpose in purposes for right in NEEDED[purpose]]
    if "deploy" in purposes and echo == "bundled":
        rights += DEPLOY_BUNDLED
    # Secrets are asked for only where there is one of ours, since others of the namespace are not.
    if "deploy" in purposes and certificate:
        rights += DEPLOY_CERTIFICATE
    if ("teardown" in purposes and (certificate or had_certificate)) or (
        "deploy" in purposes and had_certificate and not certificate
    ):
        rights += REMOVE_CERTIFICATE
    if "deploy" in purposes and not namespace_exists:
        rights += CREATE_NAMESPACE
    # Where a Service has the load balancer, an Ingress is a former scenario's and only looked for.
    unneeded = () if front == INGRESS else _each("create", "patch", objects=(_INGRESSES,))
    return [right for right in dict.fromkeys(rights) if right not in unneeded]
