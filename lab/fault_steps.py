# SPDX-License-Identifier: GPL-3.0-or-later
"""What faults are made of: steps that break one thing each, and know how to mend it.

A step first plans: it reads what will be needed to undo it, and changes nothing. That record is
on disk before the step does anything, so that whatever a broken-off command did can be undone.
Undoing takes back what the step changed and leaves alone what somebody else changed since: a
fault that was mended stays mended, and what was deleted stays deleted.
"""

from __future__ import annotations

import contextlib
import copy
import json
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from lab import (
    balancing,
    cluster,
    controller,
    credentials,
    images,
    network,
    node,
    parts,
    processes,
    shell,
)
from lab.api import Unanswered, api
from lab.settings import API_PORT, API_URL, MASTER, NODES, Host, Lab
from lab.shell import LabError, run

Json = dict[str, Any]
Facts = dict[str, str]

#: Seconds until what a step waits for counts as not coming, and between two looks.
_PATIENCE: Final = 60.0
_POLL: Final = 0.1

_FIELD_MANAGER: Final = "kestrel-real-ip-fault"
#: With what field manager the collection applies its objects, and the labels that it gives them.
_COLLECTION: Final = "kestrel.real_ip"
_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
_INSTANCE: Final = "app.kubernetes.io/instance"

#: Says on an object which fault made it, and so that it goes with that one.
_MADE_BY: Final = "lab.kestrel.example/fault"
#: Differs with each restart.
_RESTARTED: Final = "lab.kestrel.example/restarted"
#: Says nothing; what it is on is looked at again.
_LOOK: Final = "lab.kestrel.example/look"
#: A finalizer that nobody works on.
FINALIZER: Final = "lab.kestrel.example/held"


@dataclass(frozen=True)
class Place:
    """Where a fault is: the lab, the fault's name, and which deployment of the collection."""

    lab: Lab
    fault: str
    namespace: str
    prefix: str

    def fill(self, text: str) -> str:
        """Return a text with the names of this place in its placeholders.

        ``{namespace}`` and ``{prefix}`` are the deployment's, ``{fault}`` is a name for objects
        that belong to this fault on this deployment.
        """
        fault = f"fault-{self.fault}.{self.namespace}"
        return text.format(namespace=self.namespace, prefix=self.prefix, fault=fault)

    def filled(self, body: Any) -> Any:
        """Return a JSON value with all its texts filled."""
        if isinstance(body, dict):
            return {self.fill(key): self.filled(value) for key, value in body.items()}
        if isinstance(body, (list, tuple)):
            return [self.filled(value) for value in body]
        return self.fill(body) if isinstance(body, str) else body

    @property
    def directory(self) -> Path:
        """Directory of what faults write."""
        return self.lab.root / "faults"

    def file(self, suffix: str) -> Path:
        """Return a file of this fault on this deployment."""
        return self.directory / f"{self.namespace}.{self.prefix}.{self.fault}.{suffix}"


class Step:
    """One thing that is broken and mended; some only wait or tell, and have nothing to undo."""

    def plan(self, place: Place) -> Json:
        """Return what undoing it will need; changes nothing."""
        return {}

    def do(self, place: Place, record: Json) -> Facts:
        """Break it; return what users of the fault have to know."""
        return {}

    def undo(self, place: Place, record: Json) -> None:
        """Mend it; harmless where that was done, or where ``do`` never began."""


def until(what: str, check: Callable[[], bool], timeout: float = _PATIENCE) -> None:
    """Wait until ``check`` returns true; LabError if it never does."""
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() > deadline:
            raise LabError(f"{what}, but not within {timeout:g} s.")
        time.sleep(_POLL)


# --------------------------------------------------------------------------------------------
# Objects

_PATHS: Final[Mapping[str, str]] = {
    "Node": "/api/v1/nodes",
    "Namespace": "/api/v1/namespaces",
    "ConfigMap": "/api/v1/namespaces/{namespace}/configmaps",
    "Secret": "/api/v1/namespaces/{namespace}/secrets",
    "Pod": "/api/v1/namespaces/{namespace}/pods",
    "Service": "/api/v1/namespaces/{namespace}/services",
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "ResourceQuota": "/api/v1/namespaces/{namespace}/resourcequotas",
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "ReplicaSet": "/apis/apps/v1/namespaces/{namespace}/replicasets",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "ValidatingAdmissionPolicy": (
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    ),
    "ValidatingAdmissionPolicyBinding": (
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    ),
    "ValidatingWebhookConfiguration": (
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    ),
}


@dataclass(frozen=True)
class Ref:
    """An object by kind and name, which may have placeholders; ``namespace`` is the place's."""

    kind: str
    name: str
    namespace: str = "{namespace}"

    def collection(self, place: Place) -> str:
        """Return the API's path of all of its kind in its namespace."""
        return _PATHS[self.kind].format(namespace=place.fill(self.namespace))

    def path(self, place: Place) -> str:
        """Return its path in the API."""
        return f"{self.collection(place)}/{place.fill(self.name)}"

    def shown(self, place: Place) -> str:
        """Return what a person calls it."""
        where = f"{place.fill(self.namespace)}/" if "{namespace}" in _PATHS[self.kind] else ""
        return f"{self.kind} {where}{place.fill(self.name)}"

    def head(self, place: Place) -> Json:
        """Return the part of a manifest that says what it is."""
        __, prefix, *rest = _PATHS[self.kind].split("/")
        version = "/".join(rest[:2]) if prefix == "apis" else rest[0]
        metadata = {"name": place.fill(self.name)}
        if "{namespace}" in _PATHS[self.kind]:
            metadata["namespace"] = place.fill(self.namespace)
        return {"apiVersion": version, "kind": self.kind, "metadata": metadata}


DEPLOYMENT: Final = Ref("Deployment", "{prefix}-deployment")
SERVICE: Final = Ref("Service", "{prefix}-service")
INGRESS: Final = Ref("Ingress", "{prefix}-ingress")
ECHO_FILE: Final = Ref("ConfigMap", "{prefix}-echo")
NAMESPACE: Final = Ref("Namespace", "{namespace}")
LAYER_4: Final = Ref("Service", "layer-4")


def read(place: Place, ref: Ref) -> Json | None:
    """Return an object, or None if there is none."""
    try:
        return api(place.lab, ref.path(place))
    except Unanswered as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise


def existing(place: Place, ref: Ref) -> Json:
    """Return an object that must exist; LabError says how to make it."""
    found = read(place, ref)
    if found is None:
        raise LabError(
            f"There is no {ref.shown(place)}: deploy with playbooks/site.yml first, or name another"
            " deployment with --namespace and --prefix."
        )
    return found


def _listed(place: Place, ref: Ref, selector: str) -> list[Json]:
    found: list[Json] = api(place.lab, f"{ref.collection(place)}?labelSelector={selector}")["items"]
    return found


def _write(place: Place, ref: Ref, body: Json, *, dry: bool = False) -> Json:
    query = f"?fieldManager={_FIELD_MANAGER}" + ("&dryRun=All" if dry else "")
    return api(place.lab, ref.path(place) + query, "PUT", body)


def _rewrite(
    place: Place, ref: Ref, change: Callable[[Json], Json], *, dry: bool = False
) -> tuple[Json, Json]:
    """Write what ``change`` makes of an object, again where somebody else wrote meanwhile.

    Returns the object as it was and as it is then.
    """
    while True:
        found = existing(place, ref)
        try:
            return found, _write(place, ref, change(found), dry=dry)
        except Unanswered as error:
            if error.status != HTTPStatus.CONFLICT:
                raise


def _unless_gone(place: Place, path: str, verb: str, body: Json | None = None) -> None:
    """Send a request about an object that may not be there any more."""
    try:
        api(place.lab, path, verb, body)
    except Unanswered as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


def _delete(place: Place, path: str) -> None:
    _unless_gone(place, path, "DELETE")


_METADATA: Final = ("labels", "annotations", "finalizers")
_BY_SERVER: Final = ("apiVersion", "kind", "metadata", "status")


def _intent(found: Json) -> Json:
    """Return what somebody asked for in an object: neither status nor what the server keeps."""
    metadata = {key: found["metadata"][key] for key in _METADATA if key in found["metadata"]}
    return {
        "metadata": metadata,
        **{key: value for key, value in found.items() if key not in _BY_SERVER},
    }


def _with_intent(found: Json, intent: Json) -> Json:
    """Return an object with another intent."""
    metadata = {key: value for key, value in found["metadata"].items() if key not in _METADATA}
    kept: Json = {key: found[key] for key in _BY_SERVER if key in found}
    return {**intent, **kept, "metadata": {**metadata, **intent.get("metadata", {})}}


class _Missing:
    """Stands for a field that isn't there."""


MISSING: Final = _Missing()


def unmerge(before: Any, after: Any, now: Any) -> Any:
    """Return what ``now`` is without the change from ``before`` to ``after``.

    What differs from ``after`` was changed by somebody else since, and stays. Lists that all have
    the same length are taken item by item, others as sets.
    """
    if now == after:
        return before
    if before == after:
        return now
    if isinstance(now, dict):
        older, newer = (value if isinstance(value, dict) else {} for value in (before, after))
        parts = {
            key: unmerge(older.get(key, MISSING), newer.get(key, MISSING), now.get(key, MISSING))
            for key in {**now, **older}
        }
        return {key: value for key, value in parts.items() if value is not MISSING}
    if isinstance(now, list):
        old, new = (value if isinstance(value, list) else [] for value in (before, after))
        if len(old) == len(new) == len(now):
            return [unmerge(*three) for three in zip(old, new, now, strict=True)]
        kept = [item for item in now if item in old or item not in new]
        return kept + [item for item in old if item not in new and item not in kept]
    return now


def _seen(found: Json) -> Json:
    """Return what a record keeps of an object: the intent, and which of it is the collection's."""
    fields = found["metadata"].get("managedFields") or ()
    return {"intent": _intent(found), "owner": [entry for entry in fields if _is_owner(entry)]}


def _is_owner(entry: Json) -> bool:
    return (entry["manager"], entry["operation"]) == (_COLLECTION, "Apply")


def _take_back(place: Place, ref: Ref, before: Json, after: Json) -> None:
    """Take back the change from ``before`` to ``after`` where the object still has it.

    Both as ``_seen`` returns them.
    """
    while (found := read(place, ref)) is not None:
        intent = _intent(found)
        wanted = unmerge(before["intent"], after["intent"], intent)
        try:
            if wanted != intent:
                found = _write(place, ref, _with_intent(found, wanted))
            fields = found["metadata"].get("managedFields") or []
            if not any(entry["manager"] == _FIELD_MANAGER for entry in fields):
                return
            # What the fault wrote is the collection's again, as before: else it could never take
            # that away.
            others = [
                entry
                for entry in fields
                if entry["manager"] != _FIELD_MANAGER and not _is_owner(entry)
            ]
            # Unless the collection has applied something else since, which it then owns.
            mine = [entry for entry in fields if _is_owner(entry)]
            same = [one["fieldsV1"] for one in mine] == [one["fieldsV1"] for one in after["owner"]]
            found["metadata"]["managedFields"] = (before["owner"] if same else mine) + others
            _write(place, ref, found)
        except Unanswered as error:
            # Changed or deleted meanwhile: look again.
            if error.status not in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
                raise
        else:
            return


#: Alters what is asked for in an object.
Alteration = Callable[[Json, Place], None]


@dataclass(frozen=True)
class Change(Step):
    """An object that exists is changed: ``change`` gets what is asked for in it, and alters it."""

    ref: Ref
    change: Alteration
    #: Whether a Deployment's new pods are made at all.
    admitted: bool = True

    def plan(self, place: Place) -> Json:
        """Have the server say what the object would be, with its defaults."""
        found, after = _rewrite(place, self.ref, partial(self._changed, place), dry=True)
        return {"before": _seen(found), "after": _seen(after)}

    def _changed(self, place: Place, found: Json) -> Json:
        intent = copy.deepcopy(_intent(found))
        self.change(intent, place)
        return _with_intent(found, intent)

    def do(self, place: Place, record: Json) -> Facts:
        """Change it. Of a Deployment the pods are exchanged: the former ones are gone then."""
        old = pods(place) if self.ref == DEPLOYMENT else {}
        _rewrite(place, self.ref, partial(self._changed, place))
        if old:
            _end(place, old)
            until("New pods should be made", lambda: bool(pods(place)) or not self.admitted)
        return {}

    def undo(self, place: Place, record: Json) -> None:
        """Change it back, as far as nobody has done so or deleted it."""
        _take_back(place, self.ref, record["before"], record["after"])


def pods(place: Place) -> dict[str, str]:
    """Return uid → name of the deployment's pods."""
    found = _listed(place, Ref("Pod", ""), f"app={place.prefix}-app")
    return {item["metadata"]["uid"]: item["metadata"]["name"] for item in found}


def _end(place: Place, old: Mapping[str, str]) -> None:
    """Delete pods and wait until they are gone.

    They have a second for it: one that was just being started doesn't hear that it should end.
    """
    for name in old.values():
        _delete(place, f"{Ref('Pod', name).path(place)}?gracePeriodSeconds=1")
    until("The former pods should end", lambda: not pods(place).keys() & old.keys())


def containers(change: Callable[[Json, Json], None]) -> Alteration:
    """Return a change of a Deployment: ``change`` gets its pods' spec and the app's container.

    All former pods end before new ones are made, or they would go on answering.
    """

    def changed(intent: Json, __: Place) -> None:
        intent["spec"]["strategy"] = {"type": "Recreate"}
        spec = intent["spec"]["template"]["spec"]
        change(spec, spec["containers"][0])

    return changed


@dataclass(frozen=True)
class Make(Step):
    """An object is there: made where it isn't, and where it is its fields are these."""

    ref: Ref
    body: Json
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Whether braces in the body are no placeholders.
    verbatim: bool = False

    def plan(self, place: Place) -> Json:
        """Tell whether it is there, and what it would be."""
        found = read(place, self.ref)
        if found is None or _MADE_BY in (found["metadata"].get("annotations") or {}):
            return {}
        found, after = _rewrite(place, self.ref, partial(self._merged, place), dry=True)
        return {"before": _seen(found), "after": _seen(after)}

    def _merged(self, place: Place, found: Json) -> Json:
        return _with_intent(found, _merge(_intent(found), self._filled(place)))

    def _filled(self, place: Place) -> Json:
        filled: Json = self.body if self.verbatim else place.filled(self.body)
        return filled

    def do(self, place: Place, record: Json) -> Facts:
        """Make or change it."""
        found = read(place, self.ref)
        if found is not None:
            _rewrite(place, self.ref, partial(self._merged, place))
            return {}
        whole = self.ref.head(place)
        whole["metadata"]["annotations"] = {_MADE_BY: place.fault}
        if self.labels:
            whole["metadata"]["labels"] = place.filled(dict(self.labels))
        path = f"{self.ref.collection(place)}?fieldManager={_FIELD_MANAGER}"
        api(place.lab, path, "POST", {**self._filled(place), **whole})
        return {}

    def undo(self, place: Place, record: Json) -> None:
        """Change it back, or delete it if it is the one that was made."""
        if record:
            _take_back(place, self.ref, record["before"], record["after"])
            return
        found = read(place, self.ref)
        if found and (found["metadata"].get("annotations") or {}).get(_MADE_BY) == place.fault:
            _delete(place, self.ref.path(place))
            until(
                f"{self.ref.shown(place)} should go",
                lambda: _uid(read(place, self.ref)) != _uid(found),
            )


def _uid(found: Json | None) -> str:
    return str(found["metadata"]["uid"]) if found else ""


def _merge(target: Json, patch: Json) -> Json:
    """Return a JSON merge patch's result: RFC 7396, without its null."""
    merged = dict(target)
    for key, value in patch.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if nested else value
    return merged


@dataclass(frozen=True)
class Restart(Step):
    """The deployment is restarted, so that new pods have to be ``admitted`` and placed.

    As ``kubectl rollout restart`` does it, but without a pod from before that goes on. Their
    ReplicaSet is a new one: of an old one that met refusals before, events are held back.
    """

    admitted: bool = True

    def plan(self, place: Place) -> Json:
        """Choose what makes the pods new ones."""
        token = str(time.time_ns())
        return {"token": token, "change": self._change(token).plan(place)}

    def _change(self, token: str) -> Change:
        def restarted(intent: Json, __: Place) -> None:
            intent["spec"]["strategy"] = {"type": "Recreate"}
            metadata = intent["spec"]["template"]["metadata"]
            metadata["annotations"] = {**(metadata.get("annotations") or {}), _RESTARTED: token}

        return Change(DEPLOYMENT, restarted, self.admitted)

    def do(self, place: Place, record: Json) -> Facts:
        """Restart it; the former pods are gone then."""
        return self._change(record["token"]).do(place, record["change"])

    def undo(self, place: Place, record: Json) -> None:
        """Go back."""
        self._change(record["token"]).undo(place, record["change"])


@dataclass(frozen=True)
class Ready(Step):
    """Nothing is broken: waits until all pods are ready, for faults that show only then."""

    def do(self, place: Place, record: Json) -> Facts:
        """Wait."""

        def ready() -> bool:
            found = existing(place, DEPLOYMENT)
            generation, replicas = found["metadata"]["generation"], found["spec"]["replicas"]
            status = found["status"]
            seen = status.get("observedGeneration"), status.get("readyReplicas")
            return seen == (generation, replicas)

        until(f"All pods of {DEPLOYMENT.shown(place)} should be ready", ready)
        return {}


@dataclass(frozen=True)
class Replica(Step):
    """One more pod behind the Service, beside those of the Deployment, runs a program of its own.

    ``command`` takes the place of the app's.
    """

    command: tuple[str, ...]
    name: str = "{prefix}-another"

    def plan(self, place: Place) -> Json:
        """Nothing is needed."""
        existing(place, DEPLOYMENT)
        return {}

    def _make(self, place: Place) -> Make:
        template = existing(place, DEPLOYMENT)["spec"]["template"]
        spec = {**template["spec"], "terminationGracePeriodSeconds": 1}
        first, *others = spec["containers"]
        spec["containers"] = [{**first, "command": list(self.command)}, *others]
        return Make(Ref("Pod", self.name), {"spec": spec}, {"app": "{prefix}-app"}, verbatim=True)

    def do(self, place: Place, record: Json) -> Facts:
        """Make it, and wait until it is ready."""
        self._make(place).do(place, {})
        until(f"Pod {place.fill(self.name)} should be ready", lambda: self._ready(place))
        return {}

    def _ready(self, place: Place) -> bool:
        found = existing(place, Ref("Pod", self.name))
        conditions = found["status"].get("conditions") or ()
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def undo(self, place: Place, record: Json) -> None:
        """Delete it."""
        Make(Ref("Pod", self.name), {}).undo(place, {})


def refuses(place: Place) -> bool:
    """Ask the API server to make a pod as the deployment's, without doing it."""
    template = existing(place, DEPLOYMENT)["spec"]["template"]
    pod = {**Ref("Pod", "fault").head(place), "spec": template["spec"]}
    pod["metadata"]["labels"] = template["metadata"]["labels"]
    try:
        api(place.lab, f"{Ref('Pod', '').collection(place)}?dryRun=All", "POST", pod)
    except Unanswered as error:
        if error.status is None:
            raise
        return True
    return False


@dataclass(frozen=True)
class Retry(Step):
    """Nothing is broken; but once all is mended, pods that were refused are tried again at once.

    The controller of ReplicaSets waits longer after each refusal, up to a quarter of an hour.
    """

    def undo(self, place: Place, record: Json) -> None:
        """Touch the ReplicaSets: whatever changes is looked at."""
        if read(place, DEPLOYMENT) is None:
            return
        # The server takes a moment to forget a policy. Where something else refuses them, too,
        # this is not the fault to wait for.
        with contextlib.suppress(LabError):
            until("Pods should be admitted", lambda: not refuses(place), 15.0)
        for found in _listed(place, Ref("ReplicaSet", ""), f"app={place.prefix}-app"):
            path = Ref("ReplicaSet", found["metadata"]["name"]).path(place)
            for value in ("again", None):
                api(place.lab, path, "PATCH", {"metadata": {"annotations": {_LOOK: value}}})


@dataclass(frozen=True)
class Refused(Step):
    """Nothing is broken: waits until the API server refuses pods as the deployment's."""

    def do(self, place: Place, record: Json) -> Facts:
        """Wait."""
        until(f"Pods of {DEPLOYMENT.shown(place)} should be refused", lambda: refuses(place), 15.0)
        return {}


# --------------------------------------------------------------------------------------------
# Objects that go, and come back


def owned(value: Any, fields: Json) -> Any:
    """Return those parts of a value that ``fieldsV1`` of a field manager lists.

    Format: ``FieldsV1`` of Kubernetes' meta/v1: ``f:`` is a field, ``k:`` an item by its keys,
    ``v:`` an item by its value; empty is all of it.
    """
    listed = {key: sub for key, sub in fields.items() if key != "."}
    if not listed:
        return value
    if isinstance(value, dict):
        return {
            key[2:]: owned(value[key[2:]], sub)
            for key, sub in listed.items()
            if key.startswith("f:") and key[2:] in value
        }
    found = []
    # In the order of the items; that of the fields is the alphabet's.
    for item in value:
        for key, sub in listed.items():
            wanted = json.loads(key[2:])
            if key.startswith("v:") and item == wanted:
                found.append(item)
            elif key.startswith("k:") and wanted.items() <= item.items():
                found.append({**wanted, **owned(item, sub)})
    return found


def applied(place: Place, ref: Ref) -> Json:
    """Return an object as the collection applied it; LabError if it isn't the collection's."""
    found = existing(place, ref)
    for entry in _seen(found)["owner"]:
        mine = owned(found, entry["fieldsV1"])
        head = ref.head(place)
        metadata = {**mine.get("metadata", {}), **head["metadata"]}
        return {**mine, **head, "metadata": metadata}
    raise LabError(f"{ref.shown(place)} wasn't applied by the collection: it can't be made again.")


def _apply(place: Place, ref: Ref, body: Json, manager: str = _COLLECTION) -> None:
    path = f"{ref.path(place)}?fieldManager={manager}&force=true"
    api(place.lab, path, "PATCH", body)


@dataclass(frozen=True)
class Gone(Step):
    """An object of the collection was deleted."""

    ref: Ref

    def plan(self, place: Place) -> Json:
        """Keep what the collection applied."""
        return {"applied": applied(place, self.ref)}

    def do(self, place: Place, record: Json) -> Facts:
        """Delete it, and what it made."""
        _delete(place, f"{self.ref.path(place)}?propagationPolicy=Foreground")
        until(f"{self.ref.shown(place)} should go", lambda: read(place, self.ref) is None)
        return {}

    def undo(self, place: Place, record: Json) -> None:
        """Make it again, if nobody has done so and its namespace is there."""
        if read(place, self.ref) is None and read(place, NAMESPACE) is not None:
            _apply(place, self.ref, record["applied"])


@dataclass(frozen=True)
class Renew(Step):
    """The Ingress is made anew with a change: it has no balancer yet, and meets the fault so."""

    change: Alteration = lambda intent, place: None
    #: Whether the change is the collection's own: what it applied otherwise comes at the end only.
    own: bool = False

    def plan(self, place: Place) -> Json:
        """Keep what the collection applied."""
        before = applied(place, INGRESS)
        after = copy.deepcopy(before)
        self.change(after, place)
        return {"before": before, "after": after}

    def do(self, place: Place, record: Json) -> Facts:
        """Delete it, whoever holds it, and make it again."""
        _delete(place, INGRESS.path(place))
        if read(place, INGRESS) is not None:
            # Its controller may have let it go meanwhile.
            _unless_gone(place, INGRESS.path(place), "PATCH", {"metadata": {"finalizers": None}})
        until("The Ingress should go", lambda: read(place, INGRESS) is None)
        if self.own:
            _apply(place, INGRESS, record["after"])
            return {}
        if record["after"] != record["before"]:
            # The change isn't the collection's: running it again doesn't take that back.
            _apply(place, INGRESS, record["after"], _FIELD_MANAGER)
        _apply(place, INGRESS, record["before"])
        return {}

    def undo(self, place: Place, record: Json) -> None:
        """Change it back, as far as nobody has done so or deleted it."""
        found = read(place, INGRESS)
        if self.own:
            if found is not None:
                _apply(place, INGRESS, record["before"])
            return
        owner = _seen(found)["owner"] if found else []
        before, after = (
            {"intent": _intent(record[key]), "owner": owner} for key in ("before", "after")
        )
        _take_back(place, INGRESS, before, after)


@dataclass(frozen=True)
class Hang(Step):
    """``deleted`` is being deleted, and can't go as long as ``holder`` has its finalizer."""

    deleted: Ref
    holder: Ref
    #: What goes with it, and is made again.
    lost: tuple[Ref, ...]

    def plan(self, place: Place) -> Json:
        """Keep what the collection applied."""
        found = {ref.kind + ref.name: applied(place, ref) for ref in self.lost if read(place, ref)}
        labels = existing(place, NAMESPACE)["metadata"].get("labels") or {}
        return {"objects": found, "labels": labels}

    def do(self, place: Place, record: Json) -> Facts:
        """Hold it, and delete it."""
        if read(place, self.holder) is None:
            body = self.holder.head(place)
            body["metadata"]["finalizers"] = [FINALIZER]
            api(place.lab, self.holder.collection(place), "POST", body)
        else:
            finalizers = existing(place, self.holder)["metadata"].get("finalizers") or []
            body = {"metadata": {"finalizers": [*finalizers, FINALIZER]}}
            api(place.lab, self.holder.path(place), "PATCH", body)
        _delete(place, self.deleted.path(place))
        until(
            f"Of {self.deleted.shown(place)} the rest should go",
            lambda: (
                (read(place, self.holder) or {}).get("metadata", {}).get("finalizers")
                == [FINALIZER]
                and not any(read(place, ref) for ref in self.lost if ref != self.holder)
            ),
        )
        return {}

    def undo(self, place: Place, record: Json) -> None:
        """Let it go, and make it again; where somebody let it go, what came then is his affair."""
        holder = read(place, self.holder)
        if holder is None or FINALIZER not in (holder["metadata"].get("finalizers") or ()):
            return
        left = [one for one in holder["metadata"]["finalizers"] if one != FINALIZER]
        body = {"metadata": {"finalizers": left or None}}
        api(place.lab, self.holder.path(place), "PATCH", body)
        until(f"{self.deleted.shown(place)} should go", lambda: not read(place, self.deleted))
        if self.deleted == NAMESPACE:
            head = NAMESPACE.head(place)
            head["metadata"]["labels"] = record["labels"]
            api(place.lab, NAMESPACE.collection(place), "POST", head)
        for ref in self.lost:
            body = record["objects"].get(ref.kind + ref.name)
            if body:
                _apply(place, ref, body)


# --------------------------------------------------------------------------------------------
# The stand-in, the network


@dataclass(frozen=True)
class Switches(Step):
    """The load balancer's stand-in behaves otherwise."""

    values: Mapping[str, balancing.SwitchValue]

    def plan(self, place: Place) -> Json:
        """Keep what they are."""
        found = balancing.read_switches(place.lab.clb / controller.SWITCHES_FILE)
        return {key: found[key] for key in self.values}

    def do(self, place: Place, record: Json) -> Facts:
        """Set them."""
        self._set(place, self.values)
        return {}

    def undo(self, place: Place, record: Json) -> None:
        """Set those back that nobody has set since."""
        found = balancing.read_switches(place.lab.clb / controller.SWITCHES_FILE)
        ours = {key: record[key] for key, value in self.values.items() if found[key] == value}
        if ours:
            self._set(place, ours)

    @staticmethod
    def _set(place: Place, values: Mapping[str, balancing.SwitchValue]) -> None:
        balancing.write_switches(place.lab.clb / controller.SWITCHES_FILE, values)
        controller.await_switches(place.lab.clb)


@dataclass(frozen=True)
class Nft(Step):
    """Hosts have a chain of rules in a table of the fault's own.

    ``rules`` may have the placeholder ``{port}``: the node port of the Service.
    """

    hosts: tuple[str, ...]
    hook: str
    rules: tuple[str, ...]

    @staticmethod
    def table(place: Place) -> str:
        """Return the table's name."""
        name = f"fault_{place.fault}_{place.namespace}"
        return "inet " + "".join(letter if letter.isalnum() else "_" for letter in name)

    def plan(self, place: Place) -> Json:
        """Read the node port."""
        if not any("{port}" in rule for rule in self.rules):
            return {}
        return {"port": existing(place, SERVICE)["spec"]["ports"][0]["nodePort"]}

    def do(self, place: Place, record: Json) -> Facts:
        """Add the table."""
        rules = "\n".join(rule.format(**record) for rule in self.rules)
        chain = f"chain c {{\ntype {self.hook}; policy accept;\n{rules}\n}}"
        self._load(place, f"table {self.table(place)} {{\n{chain}\n}}\n")
        return {}

    def undo(self, place: Place, record: Json) -> None:
        """Remove it."""
        self._load(place, "")

    def _load(self, place: Place, text: str) -> None:
        table = self.table(place)
        # Declared first, so that deleting it can't fail.
        script = f"table {table}\ndelete table {table}\n{text}"
        for host in self.hosts:
            netns = f"--net={network.NAMESPACES / place.lab.netns(host)}"
            run(["nsenter", netns, "nft", "-f", "-"], stdin=script)


def address_of(place: Place, ref: Ref) -> str:
    """Return the first address or name in the status of an Ingress or Service; empty for none."""
    status = (read(place, ref) or {}).get("status") or {}
    entries = (status.get("loadBalancer") or {}).get("ingress") or [{}]
    return str(entries[0].get("ip") or entries[0].get("hostname") or "")


@dataclass(frozen=True)
class Url(Step):
    """Nothing is broken: tells the URL of a balancer, once it has one."""

    ref: Ref

    def do(self, place: Place, record: Json) -> Facts:
        """Wait for the address."""
        until(f"{self.ref.shown(place)} should get an address", lambda: bool(self._address(place)))
        return {"url": f"http://{self._address(place)}/"}

    def _address(self, place: Place) -> str:
        return address_of(place, self.ref)


@dataclass(frozen=True)
class Address(Step):
    """A host has one more address on an interface."""

    host: str
    interface: str
    address: str

    def do(self, place: Place, record: Json) -> Facts:
        """Add it."""
        self._change(place, "replace")
        return {}

    def undo(self, place: Place, record: Json) -> None:
        """Remove it."""
        with contextlib.suppress(LabError):
            self._change(place, "delete")

    def _change(self, place: Place, verb: str) -> None:
        netns = f"--net={network.NAMESPACES / place.lab.netns(self.host)}"
        words = ("ip", "address", verb, f"{self.address}/32", "dev", self.interface)
        run(["nsenter", netns, *words])


@dataclass(frozen=True)
class Front(Step):
    """A proxy runs on a host in front of the Ingress's balancer. ``conf`` is an nginx.conf."""

    host: str
    address: str
    conf: str

    @staticmethod
    def _part(place: Place) -> str:
        return f"fault-{place.fault}"

    def plan(self, place: Place) -> Json:
        """Find out where the balancer is."""
        address = address_of(place, INGRESS)
        if not address:
            raise LabError(f"{INGRESS.shown(place)} has no address yet.")
        return {"balancer": address}

    def do(self, place: Place, record: Json) -> Facts:
        """Start it, and wait until it serves."""
        directory = place.file("d")
        directory.mkdir(parents=True, exist_ok=True)
        conf = directory / "nginx.conf"
        text = self.conf.format(directory=directory, address=self.address, **record)
        shell.write(conf, text)
        pid = directory / "nginx.pid"
        pid.unlink(missing_ok=True)
        argv = ["nginx", "-e", "stderr", "-c", str(conf)]
        netns = place.lab.netns(self.host)
        processes.start(place.lab, self._part(place), argv, netns, fingerprint="")
        # It writes the file once it listens.
        until("The proxy should begin to serve", pid.exists, timeout=10.0)
        return {"url": f"http://{self.address}/"}

    def undo(self, place: Place, record: Json) -> None:
        """End it."""
        found = processes.recorded(place.lab, self._part(place))
        if found:
            processes.end([found], grace=2.0)


@dataclass(frozen=True)
class ForeignImage(Step):
    """The nodes have an image whose program is for another kind of machine than they are."""

    name: str

    def do(self, place: Place, record: Json) -> Facts:
        """Import it. Its program differs from one of this machine's in the field that says so."""
        program = bytearray((place.lab.bin / "pause").read_bytes())
        # e_machine, ELF specification: x86-64 is 62, AArch64 is 183.
        other = 183 if program[18] == 62 else 62
        program[18:20] = other.to_bytes(2, "little")
        tree = images.Tree()
        tree.file("server", bytes(program), 0o755)
        image = images.Image(self.name, (tree.layer(),), {"Entrypoint": ["/server"]})
        place.directory.mkdir(exist_ok=True)
        archive = place.file("tar")
        images.write_archive(archive, [image])
        shell.parallel(lambda each: node.import_archive(place.lab, each, str(archive)), NODES)
        archive.unlink()
        return {}

    def undo(self, place: Place, record: Json) -> None:
        """Remove it."""
        shell.parallel(lambda each: node.remove_image(place.lab, each, self.name), NODES)


# --------------------------------------------------------------------------------------------
# The API server and the ways to it


def _api_server(lab: Lab) -> parts.Part:
    return next(part for part in cluster.control_plane(lab) if part.name == "kube-apiserver")


def _is_ready(lab: Lab, host: Host, since: datetime | None = None) -> bool:
    """Whether a node is ready, and, with ``since``, has reported later than that."""
    try:
        node.readiness(lab, host)
        return since is None or node.renewed(lab, host) > since
    except Unanswered:
        return False


@dataclass(frozen=True)
class ApiServer(Step):
    """The API server has ended, or, ``halted``, takes connections and says nothing."""

    halted: bool = False

    def plan(self, place: Place) -> Json:
        """Return the nodes that were ready."""
        return {"ready": [each.name for each in NODES if _is_ready(place.lab, each)]}

    def do(self, place: Place, record: Json) -> Facts:
        """End or halt it. The lab's ``up`` would bring it back, too."""
        if self.halted:
            self._signal(place, signal.SIGSTOP)
        else:
            parts.stop(place.lab, _api_server(place.lab))
        return {}

    def undo(self, place: Place, record: Json) -> None:
        """Continue or start it, and wait until it and the nodes that were ready are well.

        Who was away for 50 s counts as not ready as soon as the API server is back, and says that
        it is well up to a minute later. Until a node has renewed its lease, ready is what it was.
        """
        if self.halted:
            self._signal(place, signal.SIGCONT)
        parts.bring_up(place.lab, _api_server(place.lab), threading.Event())
        since = datetime.now(UTC)
        for each in NODES:
            if each.name in record.get("ready", ()):
                until(
                    f"{each.name} is ready again",
                    partial(_is_ready, place.lab, each, since),
                    parts.START_TIMEOUT,
                )

    @staticmethod
    def _signal(place: Place, number: signal.Signals) -> None:
        process = processes.recorded(place.lab, "kube-apiserver")
        if process and process.alive():
            processes.send(process, number)


@dataclass(frozen=True)
class Account(Step):
    """A kubeconfig of a ServiceAccount of its own, with the rights that the collection needs.

    ``lacking``: API group, resource and verb of a right that it hasn't. ``revoked``: the
    account is deleted, and with it its token is worth nothing.
    """

    lacking: tuple[str, str, str] | None = None
    revoked: bool = False

    def _steps(self) -> tuple[Make, ...]:
        group = {"apiGroup": "rbac.authorization.k8s.io"}
        subject = {
            "kind": "ServiceAccount",
            "namespace": cluster.AWX_NAMESPACE,
            "name": "{fault}",
        }
        return (
            Make(_ACCOUNT, {}),
            Make(Ref("ClusterRole", "{fault}"), {"rules": less(cluster.AWX_RULES, self.lacking)}),
            Make(
                Ref("ClusterRoleBinding", "{fault}"),
                {
                    "roleRef": {**group, "kind": "ClusterRole", "name": "{fault}"},
                    "subjects": [subject],
                },
            ),
        )

    def do(self, place: Place, record: Json) -> Facts:
        """Make it."""
        for step in self._steps():
            step.do(place, {})
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        path = f"{_ACCOUNT.path(place)}/token"
        token = api(place.lab, path, "POST", request)["status"]["token"]
        if self.revoked:
            _delete(place, _ACCOUNT.path(place))
        return _kubeconfig(place, token, API_URL)

    def undo(self, place: Place, record: Json) -> None:
        """Remove it."""
        for step in reversed(self._steps()):
            step.undo(place, {})
        place.file("kubeconfig").unlink(missing_ok=True)


_ACCOUNT: Final = Ref("ServiceAccount", "{fault}", cluster.AWX_NAMESPACE)


def less(rules: Sequence[Json], right: tuple[str, str, str] | None) -> list[Json]:
    """Return RBAC rules without one right: API group, resource, verb."""
    if right is None:
        return list(rules)
    group, resource, verb = right
    found = []
    for rule in rules:
        if group in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"]:
            others = [one for one in rule["resources"] if one != resource]
            verbs = [one for one in rule["verbs"] if one != verb]
            found += [{**rule, "resources": others}] if others else []
            found += [{**rule, "resources": [resource], "verbs": verbs}] if verbs else []
        else:
            found.append(rule)
    return found


def _kubeconfig(place: Place, token: str, server: str, another: str | None = None) -> Facts:
    path = place.file("kubeconfig")
    content = credentials.kubeconfig(place.lab, "fault", token, server, another)
    shell.write(path, content, 0o600)
    return {"kubeconfig": str(path)}


@dataclass(frozen=True)
class AnotherServer(Step):
    """The API server of another cluster, without nodes, and a kubeconfig that leads to it.

    ``options`` are added to those of the lab's; ``named``: whether the kubeconfig has a context of
    the lab's own cluster, too.
    """

    options: tuple[str, ...] = ()
    named: bool = True

    @staticmethod
    def _part(place: Place) -> str:
        return f"fault-{place.fault}"

    def do(self, place: Place, record: Json) -> Facts:
        """Start it, and wait until it serves."""
        first = _api_server(place.lab)
        changed = ("--secure-port=", "--cert-dir=", "--advertise-address=")
        argv = [
            *(one for one in first.argv if not one.startswith(changed)),
            f"--secure-port={API_PORT + 2}",
            f"--cert-dir={place.file('d')}",
            # Its objects are its own.
            f"--etcd-prefix=/{self._part(place)}",
            "--endpoint-reconciler-type=none",
            *self.options,
        ]
        place.directory.mkdir(parents=True, exist_ok=True)
        netns = place.lab.netns(first.host)
        processes.start(place.lab, self._part(place), argv, netns, fingerprint="")
        server = f"https://{MASTER.ipv4('vpc')}:{API_PORT + 2}"
        ready = cluster.answers(place.lab, MASTER.name, f"{server}/readyz")
        until("The other API server should begin to serve", lambda: _is_well(ready))
        token = credentials.token(place.lab)
        return _kubeconfig(place, token, server, _ANOTHER if self.named else None)

    def undo(self, place: Place, record: Json) -> None:
        """End it."""
        found = processes.recorded(place.lab, self._part(place))
        if found:
            processes.end([found], grace=5.0)
        place.file("kubeconfig").unlink(missing_ok=True)


#: The context of the other cluster.
_ANOTHER: Final = "another"


def _is_well(check: Callable[[], str]) -> bool:
    try:
        check()
    except Unanswered:
        return False
    return True


@dataclass(frozen=True)
class WrongContext(Step):
    """A kubeconfig whose current context is a cluster where nobody listens."""

    def do(self, place: Place, record: Json) -> Facts:
        """Write it."""
        server = f"https://{MASTER.ipv4('vpc')}:{API_PORT + 1}"
        return _kubeconfig(place, credentials.token(place.lab), server)

    def undo(self, place: Place, record: Json) -> None:
        """Remove it."""
        place.file("kubeconfig").unlink(missing_ok=True)
