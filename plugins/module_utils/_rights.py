# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Which rights a run needs, as a table."""

from __future__ import annotations

import re
import typing as t
from shlex import quote

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import UNSOUGHT
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import INGRESS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import GATEWAYS
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


def granting(right: Right, refusal: str) -> str:
    """The command that gives a right, in the whole cluster where it names no namespace.

    ``refusal``: what the API server said, which names who is to have it.
    """
    found = re.search(r'User "([^"]+)"', refusal)
    user = found.group(1) if found else "USER"
    account = re.fullmatch(r"system:serviceaccount:([^:]+):([^:]+)", user)
    to = (
        f"--serviceaccount={account.group(1)}:{account.group(2)}"
        if account
        else f"--user={quote(user)}"
    )
    # Of its own for each account: a name that is taken would be refused.
    own = re.sub(r"[^a-z0-9.-]+", "-", (account.expand(r"\1-\2") if account else user).lower())
    name = f"real-ip-{right.verb}-{right.resource.replace('/', '-')}-{own}"
    group = f".{right.group}" if right.group else ""
    space = f"-n {right.namespace} " if right.namespace else ""
    kind = "role" if right.namespace else "clusterrole"
    return (
        f"kubectl {space}create {kind} {name} --verb={right.verb} "
        f"--resource={right.resource}{group} && "
        f"kubectl {space}create {kind}binding {name} --{kind}={name} {to}"
    )


_INGRESSES = ("networking.k8s.io", "ingresses")
_DEPLOYMENTS = ("apps", "deployments")
_SERVICES = ("", "services")
_CONFIG_MAPS = ("", "configmaps")
_CERTIFICATE = ("", "secrets")
_NAMESPACES = ("", "namespaces")
_OBJECTS = (_DEPLOYMENTS, _SERVICES, _INGRESSES)


def _each(*verbs: str, objects: t.Iterable[tuple[str, str]] = _OBJECTS) -> tuple[Right, ...]:
    return tuple(Right(verb, group, name) for group, name in objects for verb in verbs)


# What each purpose can't do without. The namespace's own rights depend on whether it exists.
NEEDED: dict[str, tuple[Right, ...]] = {
    "deploy": (*_each("get", "create", "patch"), Right("get", *_NAMESPACES)),
    "verify": (
        Right("get", *_INGRESSES),
        Right("get", *_SERVICES),
        Right("list", "", "pods"),
    ),
    # What it may not read, it tells itself, with what allows it.
    "diagnose": (),
    # Whatever the scenario is now, a former one may have left what it needed.
    "teardown": (
        *_each("get", "delete", objects=(*_OBJECTS, _CONFIG_MAPS)),
        Right("get", *_NAMESPACES),
    ),
}
DEPLOY_CERTIFICATE = _each("get", "create", "patch", objects=(_CERTIFICATE,))
REMOVE_CERTIFICATE = _each("get", "delete", objects=(_CERTIFICATE,))
DEPLOY_BUNDLED = _each("get", "create", "patch", objects=(_CONFIG_MAPS,))
SWITCHES = tuple(
    Right(verb, *_CONFIG_MAPS, namespace=SETTINGS_NAMESPACE, name=SETTINGS)
    for verb in ("get", "patch")
)
#: By what becomes of the namespace, since only one of ours is changed or removed.
ABSENT, OURS, ANOTHERS = "absent", "ours", "another's"
NAMESPACE: dict[tuple[str, str], tuple[Right, ...]] = {
    ("deploy", ABSENT): (
        Right("create", *_NAMESPACES, namespaced=False),
        Right("patch", *_NAMESPACES, namespaced=False),
    ),
    ("deploy", OURS): (Right("patch", *_NAMESPACES),),
    ("teardown", OURS): (Right("delete", *_NAMESPACES),),
}


class Former(t.NamedTuple):
    """A kind that only some settings need, by the end of its name: others may have left one."""

    kind: str
    ending: str
    resource: tuple[str, str]

    def right(self, verb: str) -> Right:
        """The right to do that with one."""
        return Right(verb, *self.resource)


def former(echo: str, front: str) -> list[Former]:
    """What a deployment with these settings doesn't need; parameters as for :func:`needed`."""
    found = [
        (front != INGRESS, Former(INGRESS, "ingress", _INGRESSES)),
        (echo != "bundled", Former("ConfigMap", "echo", _CONFIG_MAPS)),
    ]
    return [one for unneeded, one in found if unneeded]


def needed(
    purposes: t.Collection[str],
    namespace: str,
    echo: str = "image",
    front: str = INGRESS,
    left: t.Iterable[Former] = (),
    certificate: bool = False,
    had_certificate: bool = False,
    ingress_group: str = _INGRESSES[0],
) -> list[Right]:
    """The rights that a run for ``purposes`` must have, without repetitions, in a fixed order.

    ``namespace``: ABSENT, OURS or ANOTHERS; ``echo``: as the variable ``real_ip_echo``; ``front``:
    the kind that has the load balancer; ``left``: what of :func:`former` is there, and is ours;
    ``certificate``: whether a Secret for one is wanted, ``had_certificate``: whether there is one;
    ``ingress_group``: the API group in which the server has Ingresses.
    """
    rights = [right for purpose in purposes for right in NEEDED[purpose]]
    if front != INGRESS and "teardown" not in purposes:
        rights = [right for right in rights if (right.group, right.resource) != _INGRESSES]
    if "deploy" in purposes and echo == "bundled":
        rights += DEPLOY_BUNDLED
    # Secrets are asked for only where there is one of ours, since others of the namespace are not.
    if "deploy" in purposes and certificate:
        rights += DEPLOY_CERTIFICATE
    if ("teardown" in purposes and (certificate or had_certificate)) or (
        "deploy" in purposes and had_certificate and not certificate
    ):
        rights += REMOVE_CERTIFICATE
    if "deploy" in purposes:
        rights += [one.right(verb) for one in left for verb in ("get", "delete")]
    rights += [right for purpose in purposes for right in NAMESPACE.get((purpose, namespace), ())]
    if namespace == ABSENT and {"deploy", "teardown"} <= {*purposes}:
        rights.append(Right("delete", *_NAMESPACES, namespaced=False))
    return [
        right._replace(group=ingress_group) if right.resource == _INGRESSES[1] else right
        for right in dict.fromkeys(rights)
    ]


class Extra(t.NamedTuple):
    """A right that a run goes on without, and what it then can't say or do."""

    right: Right
    without: str


_HELD = (
    Extra(Right("list", "", "pods"), "what holds a Deployment that is being deleted"),
    Extra(Right("get", "", "nodes", False), "whether the node of such a pod answers"),
)
_EVENTS = Extra(Right("list", "", "events"), "the latest event, while it waits")
_IDENTITY = Extra(
    Right("get", *_NAMESPACES, namespace=SETTINGS_NAMESPACE),
    "that two hosts of an inventory are one cluster",
)
# Read only: who wants them changed gives the right for it, and the preflight asks for it then.
_SWITCHES = Extra(SWITCHES[0], "TKE's switches for the whole cluster")
_VANTAGE = "where the prober stands (a verdict says so)"
_WAY = "what is wrong there. It says so, with what allows it"
#: What each purpose can do more with.
OPTIONAL: dict[str, tuple[Extra, ...]] = {
    "deploy": (
        _EVENTS,
        _IDENTITY,
        _SWITCHES,
        *(
            Extra(one.right(verb), f"a former scenario's {one.kind}, which then stays")
            for one in former("image", "Service")
            for verb in ("get", "delete")
        ),
    ),
    "verify": (
        _IDENTITY,
        *(
            Extra(Right("list", "", name, False), _VANTAGE)
            for name in ("nodes", "pods", "services")
        ),
        Extra(Right("list", *_SERVICES), UNSOUGHT["service"].what),
        Extra(Right("list", *_INGRESSES), UNSOUGHT["ingresses"].what),
        Extra(Right("list", *_INGRESSES, False), UNSOUGHT["rivals"].what),
        Extra(Right("list", GATEWAYS, "httproutes"), UNSOUGHT["routes"].what),
        Extra(Right("list", GATEWAYS, "gateways", False), UNSOUGHT["gateways"].what),
    ),
    "diagnose": (
        Extra(Right("get", *_INGRESSES), _WAY),
        *(
            Extra(Right("list", group, name), _WAY)
            for group, name in (
                _SERVICES,
                ("", "pods"),
                ("discovery.k8s.io", "endpointslices"),
                _DEPLOYMENTS,
                ("apps", "replicasets"),
                ("", "events"),
            )
        ),
        Extra(Right("get", *_NAMESPACES), _WAY),
        Extra(Right("get", "", "pods/proxy"), "whether the app answers past the load balancer"),
        Extra(Right("get", "", "pods/log"), "the last lines of a container that crashes"),
        Extra(
            Right("get", "cloud.tencent.com", "tkeserviceconfigs"),
            "what an Ingress sets by a TkeServiceConfig",
        ),
        Extra(Right("list", "", "nodes", False), _WAY),
        Extra(Right("list", "networking.k8s.io", "ingressclasses", False), _WAY),
        _SWITCHES,
        _IDENTITY,
    ),
    "teardown": (_EVENTS, _IDENTITY, _SWITCHES, *_HELD),
}
