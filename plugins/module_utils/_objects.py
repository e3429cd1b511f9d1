# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Reading the objects of a way: fields, owners, events, and the revisions to go back to."""

from __future__ import annotations

import ipaddress
import json
import typing as t
from datetime import datetime
from shlex import quote

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import labels_match
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import phrase
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import MANAGED_BY, MANAGER
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import (
    DIRECT,
    Object,
    TrafficPath,
    named,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import TKE_CLASS
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import value_of
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    annotations_of,
    class_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._switches import DIRECT_DEFAULT
from ansible_collections.kestrel.real_ip.plugins.module_utils._tke_errors import mentions

#: What of a container decides what it does
RUN_BY = ("image", "command", "args", "env", "envFrom")


# --- Reading objects ------------------------------------------------------------------------------


def spec(found: Object | None) -> t.Mapping[str, t.Any]:
    """What an object is to be, nothing of one that isn't there."""
    return (found or {}).get("spec") or {}


def status(found: Object | None) -> t.Mapping[str, t.Any]:
    """What an object is, nothing of one that isn't there."""
    return (found or {}).get("status") or {}


def name(found: Object) -> str:
    """The name of an object."""
    return str(found["metadata"]["name"])


def time(text: object) -> float:
    """A time that the API server tells, in seconds since the epoch; 0 where it tells none."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0


def is_managed(found: Object | None) -> bool:
    """Does an object carry the label of this collection, of whatever deployment?"""
    labels = (found or {}).get("metadata", {}).get("labels") or {}
    return labels.get(MANAGED_BY) == MANAGER


def condition(found: Object, kind: str) -> t.Mapping[str, t.Any]:
    """One condition of an object's status, empty without it."""
    conditions = status(found).get("conditions") or []
    return next((one for one in conditions if one.get("type") == kind), {})


def template(found: Object) -> t.Mapping[str, t.Any]:
    """What a Deployment or ReplicaSet makes its pods from."""
    return spec(found).get("template") or {}


def containers(found: Object) -> list[t.Mapping[str, t.Any]]:
    """The containers of a Deployment's or ReplicaSet's pods."""
    return list((template(found).get("spec") or {}).get("containers") or [])


def selector(path: TrafficPath) -> t.Mapping[str, str]:
    """The labels by which the Service takes pods."""
    return spec(path.service).get("selector") or {}


def behind(path: TrafficPath) -> list[Object]:
    """The Deployments whose pods the Service takes."""
    wanted = selector(path)
    return [
        one
        for one in path.deployments or ()
        if labels_match((template(one).get("metadata") or {}).get("labels"), wanted)
    ]


def candidates(path: TrafficPath) -> list[Object]:
    """The Deployments that the Service could be meant for: ours, else all of the namespace."""
    everything = list(path.deployments or ())
    return [one for one in everything if is_managed(one)] or everything


def owner(found: Object, kind: str) -> str:
    """The name of the owner of this kind, or the empty string."""
    owners = found["metadata"].get("ownerReferences") or []
    return next((str(one["name"]) for one in owners if one.get("kind") == kind), "")


def deployment_of(path: TrafficPath, pod: Object) -> Object | None:
    """The Deployment that made a pod, by its ReplicaSet."""
    replica_set = named(path.replica_sets, owner(pod, "ReplicaSet"))
    return named(path.deployments, owner(replica_set, "Deployment")) if replica_set else None


def events_of(path: TrafficPath, kind: str, name: str, uid: str = "") -> list[Object]:
    """Events of one object, the newest last.

    With ``uid`` not those of an earlier object of the same name: events are kept for an hour.
    """

    found = [
        one
        for one in path.events or ()
        if one.get("involvedObject", {}).get("kind") == kind
        and one.get("involvedObject", {}).get("name") == name
        and uid in ("", one.get("involvedObject", {}).get("uid", ""))
    ]
    return sorted(found, key=_time)


def _time(event: Object) -> str:
    """When an event came about last. Texts of this form are in the order of time."""
    stamp = event.get("lastTimestamp") or event.get("eventTime")
    return str(stamp or event["metadata"].get("creationTimestamp") or "")


def _is_over(event: Object, found: Object | None) -> bool:
    """Has a load balancer's address been written since? What kept it from being made is mended.

    Events are kept for an hour, and no event says that all is well.
    """
    history = (found or {}).get("metadata", {}).get("managedFields") or []
    written = [str(one.get("time")) for one in history if one.get("subresource") == "status"]
    balanced = bool((status(found).get("loadBalancer") or {}).get("ingress"))
    return balanced and bool(written) and _time(event) < max(written)


def quoted(event: Object) -> str:
    """An event as evidence."""
    message = " ".join(str(event.get("message", "")).split())
    return phrase("event {reason}: {message}", reason=event.get("reason"), message=message)


def alive(path: TrafficPath) -> list[Object]:
    """The pods that aren't about to end."""
    return [
        pod
        for pod in path.pods or ()
        if not pod["metadata"].get("deletionTimestamp")
        and status(pod).get("phase") not in ("Succeeded", "Unread")
    ]


def patch(changes: t.Any) -> str:
    """A change of an object as one word of a shell command."""
    return quote(json.dumps(changes, separators=(",", ":")))


def rule_places(path: TrafficPath) -> t.Iterator[tuple[str, str, t.Mapping[str, t.Any]]]:
    """JSON path of the backend, host and entry of each path of each rule."""
    for number, rule in enumerate(spec(path.ingress).get("rules") or []):
        for place, entry in enumerate((rule.get("http") or {}).get("paths") or []):
            where = f"/spec/rules/{number}/http/paths/{place}/backend/service"
            yield where, str(rule.get("host") or ""), entry


def direct_access(path: TrafficPath) -> bool:
    """Does the load balancer send to pods, past the nodes?"""
    return annotations_of(path.front).get(direct_key(path)) == "true"


def direct_key(path: TrafficPath) -> str:
    """The annotation that asks what stands in front for direct access."""
    return DIRECT[path.kind]


def turned_direct(path: TrafficPath) -> str:
    """How direct access came to be on that nobody asked for; empty where it didn't.

    The annotation was written by another one than who wrote the object, and the cluster's switch
    says that TKE does so.
    """
    key = direct_key(path)
    history = (path.front or {}).get("metadata", {}).get("managedFields") or []
    others = [str(one["manager"]) for one in history if one.get("annotation") == key]
    if not (direct_access(path) and others and is_direct_default(path)):
        return ""
    return phrase(
        '{key} is "true", written by {other} and not by who made the {kind}',
        key=key,
        other=others[0],
        kind=path.kind,
    )


def is_direct_default(path: TrafficPath) -> bool:
    """Does the cluster turn direct access on where nothing is said of it?"""
    return (path.settings or {}).get(DIRECT_DEFAULT) == "true"


def by_default(path: TrafficPath) -> str:
    """What direct access will be turned on for, when it is made anew; empty where nothing is."""
    key = direct_key(path)
    ours = is_clb(path) if path.kind == "Ingress" else spec(path.front).get("type") == _BALANCED
    if not ours or key in annotations_of(path.front) or not is_direct_default(path):
        return ""
    return phrase(
        '{key} is not set, and {switch} is "true" for what is made from now on',
        key=key,
        switch=DIRECT_DEFAULT,
    )


_BALANCED = "LoadBalancer"


def ingress_class(path: TrafficPath) -> str:
    """The class of the Ingress; empty without one."""
    return class_of(path.ingress or {})


def is_unread(path: TrafficPath, resource: str) -> bool:
    """Is nothing known of a resource, as it may not be read or that failed?"""
    return any(one.resource == resource for one in (*path.denied, *path.failed))


def is_clb(path: TrafficPath) -> bool:
    """Does TKE's controller take the Ingress? One without a class only where nobody else does."""
    seen = ingress_class(path)
    return path.ingress is not None and (seen == TKE_CLASS or (not seen and path.classes == []))


def on_global_router(path: TrafficPath) -> bool:
    """Has each pod an address of its node's own range, as TKE's GlobalRouter gives it?

    With VPC-CNI pods have addresses of the VPC, which are in no node's range.
    """
    ranges = [
        ipaddress.ip_network(text)
        for node in path.nodes or ()
        for text in spec(node).get("podCIDRs") or [spec(node).get("podCIDR")]
        if text
    ]
    own = [
        ipaddress.ip_address(one["ip"])
        for pod in alive(path)
        for one in status(pod).get("podIPs") or []
    ]
    return bool(own) and all(any(one in range_ for range_ in ranges) for one in own)


def node_ports(path: TrafficPath) -> list[str]:
    """The Service's ports on the nodes."""
    ports = spec(path.service).get("ports") or []
    return [str(one["nodePort"]) for one in ports if one.get("nodePort")]


def endpoints(path: TrafficPath) -> t.Iterator[tuple[Object, t.Mapping[str, t.Any]]]:
    """Each endpoint of the Service, with its EndpointSlice."""
    for one in path.slices or ():
        for endpoint in one.get("endpoints") or []:
            yield one, endpoint


def endpoint_addresses(path: TrafficPath) -> list[str]:
    """The addresses of all endpoints of the Service."""
    return [address for _s, one in endpoints(path) for address in one.get("addresses") or []]


#: What makes the objects of this collection again
_DEPLOY = "ansible-playbook kestrel.real_ip.deploy"


def deploying(path: TrafficPath) -> tuple[str | None, str]:
    """Fix and its kind where something of this collection is missing, else the row's own.

    Who looks at its own deployment names the Ingress and the Service that it has to lead to.
    """
    if not path.expected_service:
        return None, ""
    prefix = path.expected_service.removesuffix("-service")
    given = {"namespace": path.namespace, "name_prefix": prefix}
    words = [
        f" -e real_ip_{key}={value}"
        for key, value in given.items()
        if value != value_of(f"real_ip_{key}", None)
    ]
    return f"{_DEPLOY}{''.join(words)}", "command"


# --- Going back -----------------------------------------------------------------------------------

_REVISION = "deployment.kubernetes.io/revision"


def revision(found: Object) -> int:
    """Which revision a Deployment is at, or a ReplicaSet stands for."""
    text = annotations_of(found).get(_REVISION, "0")
    return int(text) if text.isdigit() else 0


def undo(
    path: TrafficPath, deployment: Object | None, what: t.Callable[[Object], t.Any]
) -> str | None:
    """The command that goes back to the newest revision in which ``what`` was another, if any."""
    if deployment is None:
        return None
    now = what(deployment)
    older = [
        one
        for one in path.replica_sets or ()
        if owner(one, "Deployment") == name(deployment)
        and 0 < revision(one) < revision(deployment)
        and what(one) != now
    ]
    if not older:
        return None
    return (
        f"kubectl -n {path.namespace} rollout undo deployment/{name(deployment)} "
        f"--to-revision={revision(max(older, key=revision))}"
    )


def container_field(container: str, *fields: str) -> t.Callable[[Object], t.Any]:
    """What a container has in these fields, for :func:`undo`."""

    def read(found: Object) -> t.Any:
        one = next((c for c in containers(found) if c.get("name") == container), {})
        return [one.get(field) for field in fields]

    return read


def instead(path: TrafficPath, pod: Object, container: str, *fields: str) -> tuple[str | None, str]:
    """Fix and its kind for a container that doesn't start: an older revision, else our own app."""
    deployment = deployment_of(path, pod)
    back = undo(path, deployment, container_field(container, *fields))
    if back:
        return back, "command"
    return bundled_instead(deployment)


def bundled_instead(deployment: Object | None) -> tuple[str | None, str]:
    """Fix and its kind where this collection's own app can take another one's place."""
    if is_managed(deployment) and not runs_bundled(deployment):
        return "real_ip_echo=bundled", "variable"
    return None, ""


def runs_bundled(deployment: Object | None) -> bool:
    """Does a Deployment run an app from a ConfigMap, as the bundled one is?"""
    volumes = (template(deployment or {}).get("spec") or {}).get("volumes") or []
    return any(one.get("configMap") for one in volumes)


# --- Events of TKE's controller -------------------------------------------------------------------


def mentioned(path: TrafficPath) -> t.Iterator[tuple[str, str, Object, t.Any]]:
    """Kind, name, event and mention of each of TKE's codes, of each code the newest."""
    objects = [(path.kind, path.name, path.front)]
    if path.kind == "Ingress" and path.service_name:
        objects.append(("Service", path.service_name, path.service))
    for kind, name, found in objects:
        newest: dict[str, tuple[Object, t.Any]] = {}
        uid = (found or {}).get("metadata", {}).get("uid", "")
        for event in events_of(path, kind, name, uid):
            if _is_over(event, found):
                continue
            for mention in mentions(str(event.get("message", ""))):
                newest[mention.code] = (event, mention)
        for event, mention in newest.values():
            yield kind, name, event, mention


def tke_event(path: TrafficPath, code: str) -> str:
    """The event that mentions a code of TKE as one more piece of evidence, or nothing."""
    for kind, name, event, mention in mentioned(path):
        if mention.code == code:
            return phrase("; {kind} {name}, {event}", kind=kind, name=name, event=quoted(event))
    return ""
