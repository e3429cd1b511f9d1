# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""From the objects of a way, and what a probe saw, to findings: pure functions, one per question.

Each check looks at one thing and says nothing of others: which finding is the cause is a matter of
the ranking, see ``_causes``. What isn't known (None) is never taken for wrong.
"""

from __future__ import annotations

import json
import re
import typing as t
from shlex import quote

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import ready_pods
from ansible_collections.kestrel.real_ip.plugins.module_utils._causes import CAUSES, rank
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import printable
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import (
    MANAGED_BY,
    MANAGER,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import (
    SLICE_CONTROLLER,
    SLICE_MANAGER,
    Denied,
    Object,
    TrafficPath,
    labels_match,
    named,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._tke_errors import (
    TkeError,
    look_up,
    mentions,
)


class Seen(t.NamedTuple):
    """What a check found. ``evidence``: the very field or event; ``facts``: for the row's texts.

    ``fix`` and ``fix_kind`` replace the row's where the check knows better; ``hop`` likewise.
    """

    number: str
    kind: str
    name: str
    evidence: str
    facts: t.Mapping[str, t.Any] = {}
    fix: str | None = None
    fix_kind: str = ""


Check = t.Callable[[TrafficPath], t.Iterable[Seen]]

_CLASS = "qcloud"
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_DIRECT = {
    "Ingress": "ingress.cloud.tencent.com/direct-access",
    "Service": "service.cloud.tencent.com/direct-access",
}


# --- Reading objects ------------------------------------------------------------------------------


def _annotations(found: Object | None) -> t.Mapping[str, str]:
    return (found or {}).get("metadata", {}).get("annotations") or {}


def _spec(found: Object | None) -> t.Mapping[str, t.Any]:
    return (found or {}).get("spec") or {}


def _status(found: Object | None) -> t.Mapping[str, t.Any]:
    return (found or {}).get("status") or {}


def _name(found: Object) -> str:
    return str(found["metadata"]["name"])


def _is_ours(found: Object | None) -> bool:
    labels = (found or {}).get("metadata", {}).get("labels") or {}
    return labels.get(MANAGED_BY) == MANAGER


def _condition(found: Object, kind: str) -> t.Mapping[str, t.Any]:
    conditions = _status(found).get("conditions") or []
    return next((one for one in conditions if one.get("type") == kind), {})


def _template(found: Object) -> t.Mapping[str, t.Any]:
    return _spec(found).get("template") or {}


def _containers(found: Object) -> list[t.Mapping[str, t.Any]]:
    """The containers of a Deployment's or ReplicaSet's pods."""
    return list((_template(found).get("spec") or {}).get("containers") or [])


def _selector(path: TrafficPath) -> t.Mapping[str, str]:
    return _spec(path.service).get("selector") or {}


def behind(path: TrafficPath) -> list[Object]:
    """The Deployments whose pods the Service takes."""
    selector = _selector(path)
    return [
        one
        for one in path.deployments or ()
        if labels_match((_template(one).get("metadata") or {}).get("labels"), selector)
    ]


def candidates(path: TrafficPath) -> list[Object]:
    """The Deployments that the Service could be meant for: ours, else all of the namespace."""
    everything = list(path.deployments or ())
    return [one for one in everything if _is_ours(one)] or everything


def _owner(found: Object, kind: str) -> str:
    owners = found["metadata"].get("ownerReferences") or []
    return next((str(one["name"]) for one in owners if one.get("kind") == kind), "")


def deployment_of(path: TrafficPath, pod: Object) -> Object | None:
    """The Deployment that made a pod, by its ReplicaSet."""
    replica_set = named(path.replica_sets, _owner(pod, "ReplicaSet"))
    return named(path.deployments, _owner(replica_set, "Deployment")) if replica_set else None


def _events_of(path: TrafficPath, kind: str, name: str) -> list[Object]:
    """Events of one object, the newest last."""

    def age(event: Object) -> str:
        stamp = event.get("lastTimestamp") or event.get("eventTime")
        return str(stamp or event["metadata"].get("creationTimestamp") or "")

    found = [
        one
        for one in path.events or ()
        if one.get("involvedObject", {}).get("kind") == kind
        and one.get("involvedObject", {}).get("name") == name
    ]
    return sorted(found, key=age)


def _quoted(event: Object) -> str:
    return f"event {event.get('reason')}: {' '.join(str(event.get('message', '')).split())}"


def _alive(path: TrafficPath) -> list[Object]:
    """The pods that aren't about to end."""
    return [
        pod
        for pod in path.pods or ()
        if not pod["metadata"].get("deletionTimestamp")
        and _status(pod).get("phase") not in ("Succeeded", "Failed")
    ]


def _patch(changes: t.Any) -> str:
    return quote(json.dumps(changes, separators=(",", ":")))


# --- Going back -----------------------------------------------------------------------------------

_REVISION = "deployment.kubernetes.io/revision"


def _revision(found: Object) -> int:
    text = _annotations(found).get(_REVISION, "0")
    return int(text) if text.isdigit() else 0


def _undo(
    path: TrafficPath, deployment: Object | None, what: t.Callable[[Object], t.Any]
) -> str | None:
    """The command that goes back to the newest revision in which ``what`` was another, if any."""
    if deployment is None:
        return None
    now = what(deployment)
    older = [
        one
        for one in path.replica_sets or ()
        if _owner(one, "Deployment") == _name(deployment)
        and 0 < _revision(one) < _revision(deployment)
        and what(one) != now
    ]
    if not older:
        return None
    return (
        f"kubectl -n {path.namespace} rollout undo deployment/{_name(deployment)} "
        f"--to-revision={_revision(max(older, key=_revision))}"
    )


def _field(container: str, *fields: str) -> t.Callable[[Object], t.Any]:
    """What a container has in these fields, for :func:`_undo`."""

    def read(found: Object) -> t.Any:
        one = next((c for c in _containers(found) if c.get("name") == container), {})
        return [one.get(field) for field in fields]

    return read


def _instead(
    path: TrafficPath, pod: Object, container: str, *fields: str
) -> tuple[str | None, str]:
    """Fix and its kind for a container that doesn't start: an older revision, else our own app."""
    deployment = deployment_of(path, pod)
    undo = _undo(path, deployment, _field(container, *fields))
    if undo:
        return undo, "command"
    if _is_ours(deployment) and not _bundled(deployment):
        return "real_ip_echo=bundled", "variable"
    return None, ""


def _bundled(deployment: Object | None) -> bool:
    volumes = (_template(deployment or {}).get("spec") or {}).get("volumes") or []
    return any(one.get("configMap") for one in volumes)


# --- What the tool itself lacks -------------------------------------------------------------------


def rights(path: TrafficPath) -> t.Iterator[Seen]:
    """Each read that was refused, with the command that would allow it."""
    for one in path.denied:
        group = f".{one.group}" if one.group else ""
        where = f"in the namespace {one.namespace}" if one.namespace else "in the whole cluster"
        flag = f"-n {one.namespace}" if one.namespace else "-A"
        facts = {
            "verb": one.verb,
            "resource": f"{one.resource}{group}",
            "where": where,
            "flag": flag,
            "command": _grant(one),
        }
        yield Seen("P003", "Right", f"{one.verb} {one.resource}{group}", one.message, facts)


def _grant(one: Denied) -> str:
    """The command that gives the right, to whom the refusal names."""
    found = re.search(r'User "([^"]+)"', one.message)
    user = found.group(1) if found else "USER"
    account = re.fullmatch(r"system:serviceaccount:([^:]+):([^:]+)", user)
    to = (
        f"--serviceaccount={account.group(1)}:{account.group(2)}"
        if account
        else f"--user={quote(user)}"
    )
    # Of its own for each account: a name that is taken would be refused.
    own = re.sub(r"[^a-z0-9.-]+", "-", (account.expand(r"\1-\2") if account else user).lower())
    name = f"real-ip-{one.verb}-{one.resource.replace('/', '-')}-{own}"
    group = f".{one.group}" if one.group else ""
    space = f"-n {one.namespace} " if one.namespace else ""
    kind = "role" if one.namespace else "clusterrole"
    return (
        f"kubectl {space}create {kind} {name} --verb={one.verb} "
        f"--resource={one.resource}{group} && "
        f"kubectl {space}create {kind}binding {name} --{kind}={name} {to}"
    )


# --- Pods -----------------------------------------------------------------------------------------


def namespace_ends(path: TrafficPath) -> t.Iterator[Seen]:
    """The namespace is on its way out."""
    space = path.space
    if space is None or not space["metadata"].get("deletionTimestamp"):
        return
    reasons = [
        str(one.get("message"))
        for one in _status(space).get("conditions") or []
        if one.get("status") == "True"
    ]
    held = f". What holds it: {'; '.join(reasons)}" if reasons else ""
    facts = {"held": held, "held_fix": f"kubectl get namespace {path.namespace} -o yaml"}
    since = space["metadata"]["deletionTimestamp"]
    yield Seen(
        "P101", "Namespace", path.namespace, f"metadata.deletionTimestamp: {since}{held}", facts
    )


def nothing_deploys(path: TrafficPath) -> t.Iterator[Seen]:
    """There is no pod and nothing that would make one."""
    if path.deployments is None or path.pods is None or path.service is None:
        return
    if not path.pods and not path.deployments and not _endpoint_addresses(path):
        service = _name(path.service)
        yield Seen("P102", "Service", service, "no Deployment and no pod", {"service": service})


def scaled_to_zero(path: TrafficPath) -> t.Iterator[Seen]:
    """A Deployment that wants no pods."""
    for one in behind(path):
        if _spec(one).get("replicas", 1) == 0:
            yield Seen("P103", "Deployment", _name(one), "spec.replicas: 0", {"replicas": 2})


_QUOTA = re.compile(
    r"exceeded quota: (?P<quota>[^,]+), requested: (?P<requested>.+), "
    r"used: (?P<used>.+), limited: (?P<limited>.+)$"
)
#: What the API server says where it refuses a pod → code and the words that it names.
_REFUSALS: tuple[tuple[str, str], ...] = (
    ("P111", r"exceeded quota: (?P<policy>[^,]+)"),
    ("P112", r"violates PodSecurity \"?(?P<policy>[^\":]+:[^\":]+)"),
    ("P114", r"failed calling webhook \"(?P<policy>[^\"]+)\""),
    ("P113", r"admission webhook \"(?P<policy>[^\"]+)\" denied the request"),
    ("P113", r"ValidatingAdmissionPolicy '(?P<policy>[^']+)'.* denied request"),
)


def pods_refused(path: TrafficPath) -> t.Iterator[Seen]:
    """A ReplicaSet whose pods the API server doesn't let it make."""
    for deployment in behind(path):
        condition = _condition(deployment, "ReplicaFailure")
        if condition.get("status") != "True":
            continue
        message = " ".join(str(condition.get("message", "")).split())
        evidence = f"condition ReplicaFailure, {condition.get('reason')}: {message}"
        for number, pattern in _REFUSALS:
            found = re.search(pattern, message)
            if found:
                policy = found.group("policy").strip()
                facts = {"policy": policy, "quota": policy, "detail": _after(message)}
                fix, kind, more = _refusal_fix(number, deployment, message)
                yield Seen(
                    number,
                    "Deployment",
                    _name(deployment),
                    evidence,
                    {**facts, **more},
                    fix,
                    kind,
                )
                break
        else:
            yield Seen(
                "P119", "Deployment", _name(deployment), evidence, {"detail": _after(message)}
            )


def _after(message: str) -> str:
    """A refusal without the pod's name, which is another one each time."""
    return message.partition("is forbidden: ")[2] or message


def _refusal_fix(
    number: str, deployment: Object, message: str
) -> tuple[str | None, str, t.Mapping[str, str]]:
    if number == "P112" and _is_ours(deployment) and not _bundled(deployment):
        return "real_ip_echo=bundled", "variable", {}
    if number != "P111":
        return None, "", {}
    hard = _room(message, int(_spec(deployment).get("replicas", 1)))
    if not hard:
        return "Raise the quota, or lower what the pods ask for", "console", {"patch": ""}
    return None, "", {"patch": _patch({"spec": {"hard": hard}})}


def _room(message: str, replicas: int) -> dict[str, str]:
    """The limits that leave room for all replicas; empty where they aren't whole numbers."""
    found = _QUOTA.search(message)
    if not found:
        return {}
    parts = {
        key: dict(item.partition("=")[::2] for item in found.group(key).split(","))
        for key in ("requested", "used", "limited")
    }
    hard: dict[str, str] = {}
    for resource, wanted in parts["requested"].items():
        used = parts["used"].get(resource, "")
        if not (wanted.isdigit() and used.isdigit()):
            return {}
        # While a Deployment is rolled out, a quarter of its pods can be there twice.
        hard[resource] = str(int(used) + int(wanted) * (replicas + -(-replicas // 4)))
    return hard


#: What the scheduler says of nodes → code; pkg/scheduler/framework/plugins, their ErrReason.
_UNSCHEDULABLE: tuple[tuple[str, str], ...] = (
    ("P122", r"were unschedulable"),
    ("P125", r"node\.kubernetes\.io/(not-ready|unreachable)"),
    ("P124", r"didn't match Pod's node affinity"),
    ("P123", r"Insufficient |Too many pods"),
    ("P121", r"had untolerated taint"),
)


def unschedulable(path: TrafficPath) -> t.Iterator[Seen]:
    """Pods for which there is no node."""
    for pod in _alive(path):
        condition = _condition(pod, "PodScheduled")
        if condition.get("reason") != "Unschedulable":
            continue
        message = str(condition.get("message", ""))
        # What preemption says after it is no reason of its own.
        reasons = message.partition("preemption:")[0].strip(" .")
        numbers = [number for number, text in _UNSCHEDULABLE if re.search(text, reasons)]
        for number in numbers[:1] or ["P129"]:
            yield _unplaced(path, pod, number, reasons)
        return


def _unplaced(path: TrafficPath, pod: Object, number: str, reasons: str) -> Seen:
    evidence = f"condition PodScheduled, Unschedulable: {reasons}"
    detail = reasons.partition(": ")[2] or reasons
    deployment = deployment_of(path, pod)
    facts: dict[str, t.Any] = {
        "detail": detail,
        "deployment": _name(deployment) if deployment else "DEPLOYMENT",
        "patch": "",
        "nodes": "",
    }
    fix, kind = None, ""
    nodes = list(path.nodes or ())
    if number == "P125":
        node = next(
            (one for one in nodes if _condition(one, "Ready").get("status") != "True"), None
        )
        name = _name(node) if node else _name(pod)
        return Seen(number, "Node" if node else "Pod", name, evidence, facts)
    if number == "P122":
        facts["nodes"] = " ".join(_name(one) for one in nodes if _spec(one).get("unschedulable"))
    elif number == "P121" and deployment:
        facts["patch"] = _patch(_tolerate(deployment, nodes))
    elif number == "P124" and deployment:
        facts["patch"] = _patch([{"op": "remove", "path": "/spec/template/spec/nodeSelector"}])
        if not (_template(deployment).get("spec") or {}).get("nodeSelector"):
            fix, kind = "Change the affinity of the Deployment", "console"
    elif number == "P123":

        def requests(found: Object) -> t.Any:
            return [(one.get("resources") or {}).get("requests") for one in _containers(found)]

        undo = _undo(path, deployment, requests)
        fix, kind = (undo, "command") if undo else (None, "")
    if number in ("P121", "P124") and not deployment:
        fix, kind = "Change the pod's tolerations or node selector", "console"
    return Seen(number, "Pod", _name(pod), evidence, facts, fix, kind)


def _tolerate(deployment: Object, nodes: t.Sequence[Object]) -> list[dict[str, t.Any]]:
    """The change that lets the pods onto the node with the fewest taints."""
    taints = [
        [
            one
            for one in _spec(node).get("taints") or []
            if one.get("effect") in ("NoSchedule", "NoExecute")
        ]
        for node in nodes
    ]
    wanted = [
        {
            "key": one["key"],
            "operator": "Equal" if one.get("value") else "Exists",
            **({"value": one["value"]} if one.get("value") else {}),
            "effect": one["effect"],
        }
        for one in min((some for some in taints if some), key=len, default=[])
    ]
    present = (_template(deployment).get("spec") or {}).get("tolerations") or []
    return [{"op": "add", "path": "/spec/template/spec/tolerations", "value": [*present, *wanted]}]


def nodes_not_ready(path: TrafficPath) -> t.Iterator[Seen]:
    """Nodes that carry pods of the Service and don't report."""
    used = {_spec(pod).get("nodeName") for pod in _alive(path)}
    for node in path.nodes or ():
        ready = _condition(node, "Ready")
        if _name(node) in used and ready and ready.get("status") != "True":
            detail = f"{ready.get('reason')}: {ready.get('message')}"
            yield Seen(
                "P125",
                "Node",
                _name(node),
                f"condition Ready: {ready.get('status')}, {detail}",
                {"detail": detail},
            )


#: What container runtimes and registries say → code. The first that matches.
_PULLS: tuple[tuple[str, str], ...] = (
    ("P133", r"429|toomanyrequests|rate limit|Too Many Requests"),
    ("P135", r"no match for platform|no matching manifest"),
    ("P131", r"not found|manifest unknown|MANIFEST_UNKNOWN|NAME_UNKNOWN|404"),
    ("P132", r"40[13]|unauthorized|[Ff]orbidden|denied|authorization failed|insufficient_scope"),
    ("P134", r"dial tcp|no such host|i/o timeout|connection refused|no route|handshake|x509|EOF"),
)
_PULL_REASONS = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable")


def pulls(path: TrafficPath) -> t.Iterator[Seen]:
    """Images that can't be pulled; the first pod stands for all with the same image."""
    told = set()
    for pod in _alive(path):
        for status in _status(pod).get("containerStatuses") or []:
            waiting = (status.get("state") or {}).get("waiting") or {}
            reason, image = waiting.get("reason"), status.get("image", "")
            if image in told or reason not in (*_PULL_REASONS, "InvalidImageName"):
                continue
            told.add(image)
            message = _pull_message(path, pod, str(waiting.get("message", "")))
            number = "P136" if reason == "InvalidImageName" else "P139"
            if reason != "InvalidImageName":
                number = next((n for n, text in _PULLS if re.search(text, message)), number)
            fix, kind = _instead(path, pod, status["name"], "image")
            yield Seen(
                number,
                "Pod",
                _name(pod),
                f"container {status['name']} waits, {reason}: {message}",
                {"image": image, "detail": message},
                fix,
                kind,
            )


def _pull_message(path: TrafficPath, pod: Object, message: str) -> str:
    """What the registry said: kubelet's message while it waits may only say that it waits."""
    if "rpc error" not in message and "rror" not in message:
        tried = [
            str(event.get("message", ""))
            for event in _events_of(path, "Pod", _name(pod))
            if event.get("reason") == "Failed" and "pull" in str(event.get("message", ""))
        ]
        message = tried[-1] if tried else message
    # Who retries with HTTP after HTTPS names both; the last failure is the one that counts.
    return " ".join(message.split())


_STARTS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError")
_FORMAT = "exec format error"
#: What of a container decides whether it starts
_STARTED_BY = ("image", "command", "args", "env", "volumeMounts")


def containers(path: TrafficPath) -> t.Iterator[Seen]:
    """Containers that end, or that can't be made."""
    told = set()
    for pod in _alive(path):
        for status in _status(pod).get("containerStatuses") or []:
            if status["name"] in told:
                continue
            found = _container(path, pod, status)
            if found:
                told.add(status["name"])
                yield found


def crashing(path: TrafficPath, only_own: bool) -> list[tuple[str, str, bool]]:
    """Pod, container, and whether it runs again: of those that ended, one for each container."""
    found: dict[str, tuple[str, str, bool]] = {}
    for pod in _alive(path):
        if only_own and not _is_ours(pod):
            continue
        for status in _status(pod).get("containerStatuses") or []:
            now, before = status.get("state") or {}, status.get("lastState") or {}
            ended = now.get("terminated") or before.get("terminated")
            if ended and not status.get("ready"):
                running = "running" in now
                found.setdefault(status["name"], (_name(pod), str(status["name"]), running))
    return list(found.values())


def _container(path: TrafficPath, pod: Object, status: t.Mapping[str, t.Any]) -> Seen | None:
    name = str(status["name"])
    now, before = status.get("state") or {}, status.get("lastState") or {}
    waiting = now.get("waiting") or {}
    ended = now.get("terminated") or before.get("terminated") or {}
    running = "running" in now and status.get("ready")
    if running or not (ended or waiting.get("reason") in _STARTS):
        return None
    message = " ".join(str(ended.get("message") or waiting.get("message") or "").split())
    reason = str(ended.get("reason") or waiting.get("reason"))
    code = ended.get("exitCode")
    evidence = (
        f"container {name}: {reason}"
        + (f", exit code {code}" if code is not None else "")
        + (f", {status.get('restartCount', 0)} restarts" if ended else "")
        + (f": {message}" if message else "")
    )
    deployment = deployment_of(path, pod)
    facts: dict[str, t.Any] = {
        "container": name,
        "deployment": _name(deployment) if deployment else "DEPLOYMENT",
        "exit_code": code,
        "detail": f" ({reason}: {message})" if message else f" ({reason})",
        "image": status.get("image", ""),
        "limit": "",
        "more": "",
    }
    if reason == "OOMKilled":
        return _out_of_memory(path, pod, name, evidence, facts)
    number = "P142"
    written = [line for log in path.logs if log.container == name for line in log.lines]
    if any(_FORMAT in line for line in (message, *written)):
        number = "P135"
    elif reason in _STARTS:
        number = "P143"
        facts["detail"] = f"{reason}: {message}"
    fix, kind = _instead(path, pod, name, *_STARTED_BY)
    return Seen(number, "Pod", _name(pod), evidence, facts, fix, kind)


def _container_of(pod: Object, name: str) -> t.Mapping[str, t.Any]:
    return next((one for one in _spec(pod).get("containers") or [] if one["name"] == name), {})


def _out_of_memory(
    path: TrafficPath, pod: Object, name: str, evidence: str, facts: dict[str, t.Any]
) -> Seen:
    own = _container_of(pod, name)
    limit = str(((own.get("resources") or {}).get("limits") or {}).get("memory", "none"))
    facts.update(limit=limit, more=_twice(limit))
    undo = _undo(path, deployment_of(path, pod), _field(name, "resources", "command", "image"))
    fix, kind = (undo, "command") if undo else (None, "")
    if not undo and not facts["more"]:
        fix, kind = "Give the container a higher memory limit", "console"
    return Seen("P141", "Pod", _name(pod), evidence, facts, fix, kind)


def _twice(quantity: str) -> str:
    found = re.fullmatch(r"(\d+)(Ki|Mi|Gi|k|M|G|)", quantity)
    return f"{int(found.group(1)) * 2}{found.group(2)}" if found else ""


_REFUSED = r"connection refused|connect: "


def not_ready(path: TrafficPath) -> t.Iterator[Seen]:
    """Pods whose containers run but that aren't ready; the first one stands for all."""
    # Of thousands of pods and events, not each pod can look through all events.
    unhealthy = {
        (one.get("involvedObject") or {}).get("name")
        for one in path.events or ()
        if one.get("reason") == "Unhealthy"
    }
    for pod in _alive(path):
        statuses = _status(pod).get("containerStatuses") or []
        if not statuses or _condition(pod, "Ready").get("status") == "True":
            continue
        if not all("running" in (one.get("state") or {}) for one in statuses):
            continue
        gate = _gate(pod)
        unready = [str(one["name"]) for one in statuses if not one.get("ready")]
        if gate and not unready:
            yield Seen("P153", "Pod", _name(pod), f"condition {gate} isn't True", {"gate": gate})
            return
        # A pod that has just started has nothing to say yet.
        events = [
            one
            for one in (_events_of(path, "Pod", _name(pod)) if _name(pod) in unhealthy else ())
            if one.get("reason") == "Unhealthy"
        ]
        if not events:
            continue
        yield _unhealthy(path, pod, events[-1], unready[0] if unready else "")
        return


def _gate(pod: Object) -> str:
    gates = [str(one.get("conditionType")) for one in _spec(pod).get("readinessGates") or []]
    return next((one for one in gates if _condition(pod, one).get("status") != "True"), "")


def _unhealthy(path: TrafficPath, pod: Object, event: Object, container: str) -> Seen:
    message = " ".join(str(event.get("message", "")).split())
    deployment = deployment_of(path, pod)
    probed = ("readinessProbe", "startupProbe", "ports", "image", "command", "args", "env")
    undo = _undo(path, deployment, _field(container, *probed))
    number = "P151" if re.search(_REFUSED, message) else "P152"
    fix, kind = (undo, "command") if undo else (None, "")
    own = _container_of(pod, container)
    ports = [one.get("containerPort") for one in own.get("ports") or []]
    if not undo and deployment and ports and number == "P152":
        # Whether something listens is what every app can be asked.
        place = [one.get("name") for one in _containers(deployment)].index(container)
        at = f"/spec/template/spec/containers/{place}/readinessProbe"
        value = {"tcpSocket": {"port": ports[0]}, "periodSeconds": 1}
        patch = _patch([{"op": "add", "path": at, "value": value}])
        fix = (
            f"kubectl -n {path.namespace} patch deployment {_name(deployment)} --type=json "
            f"-p {patch}"
        )
        kind = "command"
    facts = {"detail": message}
    return Seen(number, "Pod", _name(pod), _quoted(event), facts, fix, kind)


# --- Service --------------------------------------------------------------------------------------


def ingress_missing(path: TrafficPath) -> t.Iterator[Seen]:
    """There is no Ingress of this name, and it may be read."""
    unread = any(one.resource == "ingresses" for one in path.denied)
    if path.kind == "Ingress" and path.ingress is None and not unread:
        yield Seen("P201", "Ingress", path.name, "404 from the API server")


def _rule_places(path: TrafficPath) -> t.Iterator[tuple[str, str, t.Mapping[str, t.Any]]]:
    """JSON path of the backend, host and entry of each path of each rule."""
    for number, rule in enumerate(_spec(path.ingress).get("rules") or []):
        for place, entry in enumerate((rule.get("http") or {}).get("paths") or []):
            where = f"/spec/rules/{number}/http/paths/{place}/backend/service"
            yield where, str(rule.get("host") or ""), entry


def _backend_place(path: TrafficPath) -> tuple[str, t.Mapping[str, t.Any]]:
    """JSON path and content of the backend that leads to the Service at hand."""
    for where, _host, entry in _rule_places(path):
        service = (entry.get("backend") or {}).get("service") or {}
        if service.get("name") == path.service_name:
            return where, service
    default = (_spec(path.ingress).get("defaultBackend") or {}).get("service") or {}
    return "/spec/defaultBackend/service", default


def _better_service(path: TrafficPath) -> str:
    """The Service that was meant: the expected one, else the only one with a Deployment's pods."""
    names = [_name(one) for one in path.services or ()]
    if path.expected_service in names:
        return path.expected_service
    templates = [
        (_template(one).get("metadata") or {}).get("labels") for one in path.deployments or ()
    ]
    leading = [
        _name(one)
        for one in path.services or ()
        if any(labels_match(labels, _spec(one).get("selector") or {}) for labels in templates)
    ]
    return leading[0] if len(leading) == 1 else ""


def service_missing(path: TrafficPath) -> t.Iterator[Seen]:
    """The Service that is named doesn't exist."""
    if path.services is None or path.service is not None or not path.service_name:
        return
    if path.kind == "Service":
        yield Seen(
            "P202",
            "Service",
            path.service_name,
            "404 from the API server",
            {"by": "The playbook", "ingress": "", "patch": ""},
            "ansible-playbook kestrel.real_ip.deploy",
            "command",
        )
        return
    if path.ingress is None:
        return
    where, _service = _backend_place(path)
    better = _better_service(path)
    event = _tke_event(path, "E4041")
    evidence = f"Ingress {path.name} {where.strip('/').replace('/', '.')}.name: {path.service_name}"
    yield Seen(
        "P202",
        "Service",
        path.service_name,
        f"{evidence}{event}",
        {
            "by": f"The Ingress {path.name}",
            "ingress": path.name,
            "patch": _patch([{"op": "replace", "path": f"{where}/name", "value": better}]),
        },
        None if better else "Create the Service, or name one that exists in the Ingress",
        "" if better else "console",
    )


def another_service(path: TrafficPath) -> t.Iterator[Seen]:
    """The Ingress leads to a Service that exists and isn't the expected one."""
    if path.ingress is None or not path.expected_service or path.service is None:
        return
    if path.service_name == path.expected_service:
        return
    where, _service = _backend_place(path)
    known = named(path.services, path.expected_service) is not None
    patch = _patch([{"op": "replace", "path": f"{where}/name", "value": path.expected_service}])
    facts = {"seen": path.service_name, "service": path.expected_service, "patch": patch}
    yield Seen(
        "P203",
        "Ingress",
        path.name,
        f"{where.strip('/').replace('/', '.')}.name: {path.service_name}",
        facts,
        None if known else "ansible-playbook kestrel.real_ip.deploy",
        "" if known else "command",
    )


def port_missing(path: TrafficPath) -> t.Iterator[Seen]:
    """The Ingress names a port that its Service doesn't have."""
    if path.ingress is None or path.service is None:
        return
    where, backend = _backend_place(path)
    port = backend.get("port") or {}
    ports = _spec(path.service).get("ports") or []
    key = "number" if "number" in port else "name"
    field = "port" if key == "number" else "name"
    wanted = port.get(key)
    if wanted is None or any(one.get(field) == wanted for one in ports):
        return
    shown = ", ".join(str(one.get("port")) for one in ports) or "none"
    patch = [{"op": "replace", "path": f"{where}/port", "value": {"number": ports[0]["port"]}}]
    one = len(ports) == 1
    yield Seen(
        "P204",
        "Service",
        path.service_name,
        f"Ingress {path.name} names port {wanted}, the Service has {shown}"
        f"{_tke_event(path, 'E4042')}",
        {
            "ingress": path.name,
            "port": wanted,
            "ports": f"it has {shown}",
            "patch": _patch(patch) if one else "",
        },
        None if one else "Name one of the Service's ports in the Ingress",
        "" if one else "console",
    )


def _direct_access(path: TrafficPath) -> bool:
    return _annotations(path.front).get(_DIRECT[path.kind]) == "true"


def cluster_ip(path: TrafficPath) -> t.Iterator[Seen]:
    """CLB without direct access in front of a Service without node port."""
    if path.ingress is None or path.service is None or _ingress_class(path) not in (_CLASS, ""):
        return
    if _spec(path.service).get("type", "ClusterIP") == "ClusterIP" and not _direct_access(path):
        yield Seen(
            "P205",
            "Service",
            path.service_name,
            f"spec.type: ClusterIP{_tke_event(path, 'E4047')}",
            {"patch": _patch({"spec": {"type": "NodePort"}})},
        )


def selector(path: TrafficPath) -> t.Iterator[Seen]:
    """A Service that takes no pod, while there are pods that it could be meant for."""
    service = path.service
    if service is None or path.pods is None or path.deployments is None:
        return
    if _spec(service).get("type") == "ExternalName":
        return
    wanted = _selector(path)
    meant = candidates(path)
    facts: dict[str, t.Any] = {"selector": _labels(wanted), "patch": ""}
    right = _right_selector(meant[0]) if len(meant) == 1 else None
    if not wanted:
        if _endpoint_addresses(path) and not meant:
            return
        facts["patch"] = _patch({"spec": {"selector": right}})
        number, evidence = "P207", "spec.selector: none"
    elif not path.pods and not behind(path) and meant:
        change = [{"op": "replace", "path": "/spec/selector", "value": right}]
        facts["patch"] = _patch(change)
        number, evidence = "P206", f"spec.selector: {_labels(wanted)}, 0 pods"
    else:
        return
    yield Seen(
        number,
        "Service",
        path.service_name,
        evidence,
        facts,
        None if right else "Set the selector to labels that the pods carry",
        "" if right else "console",
    )


def _labels(labels: t.Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "none"


def _right_selector(deployment: Object) -> dict[str, str] | None:
    """What a Deployment itself knows its pods by."""
    return dict((_spec(deployment).get("selector") or {}).get("matchLabels") or {}) or None


def _endpoints(path: TrafficPath) -> t.Iterator[tuple[Object, t.Mapping[str, t.Any]]]:
    for one in path.slices or ():
        for endpoint in one.get("endpoints") or []:
            yield one, endpoint


def _endpoint_addresses(path: TrafficPath) -> list[str]:
    return [address for _s, one in _endpoints(path) for address in one.get("addresses") or []]


def _is_ready(endpoint: t.Mapping[str, t.Any]) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is not False


def no_endpoint(path: TrafficPath) -> t.Iterator[Seen]:
    """No endpoint is ready: what comes of all that is wrong with pods and selectors."""
    if path.slices is None or path.service is None:
        return
    if _spec(path.service).get("type") == "ExternalName":
        return
    states = [_is_ready(endpoint) for _slice, endpoint in _endpoints(path)]
    if not any(states):
        detail = f"{len(states)} endpoints, none of them ready" if states else "no endpoint"
        yield Seen(
            "P209", "Service", path.service_name, f"EndpointSlices: {detail}", {"detail": detail}
        )


_SLICE_MANAGERS = (SLICE_CONTROLLER, "endpointslicemirroring-controller.k8s.io")


def strangers(path: TrafficPath) -> t.Iterator[Seen]:
    """Endpoints beside the pods that the Service selects."""
    if path.pods is None or not _selector(path):
        return
    own = {entry.get("ip") for pod in path.pods for entry in _status(pod).get("podIPs") or []}
    for one in path.slices or ():
        manager = (one["metadata"].get("labels") or {}).get(SLICE_MANAGER)
        lost = [
            address
            for endpoint in one.get("endpoints") or []
            for address in endpoint.get("addresses") or []
            if address not in own
        ]
        # A pod that has just come or gone stands in only one of two lists that were read.
        if lost and manager not in _SLICE_MANAGERS:
            yield Seen(
                "P210",
                "EndpointSlice",
                _name(one),
                f"endpoints.addresses: {', '.join(lost)}, managed by {manager or 'nobody'}",
                {"address": ", ".join(lost)},
            )


# --- Ingress and load balancer --------------------------------------------------------------------


def deletion_hangs(path: TrafficPath) -> t.Iterator[Seen]:
    """What stands in front, or the Service, is being deleted."""
    objects = [(path.kind, path.front)]
    if path.kind == "Ingress":
        objects.append(("Service", path.service))
    for kind, found in objects:
        metadata = (found or {}).get("metadata", {})
        if found is not None and metadata.get("deletionTimestamp"):
            held = ", ".join(metadata.get("finalizers") or []) or "nothing that is named"
            since = metadata["deletionTimestamp"]
            yield Seen(
                "P301",
                kind,
                _name(found),
                f"metadata.deletionTimestamp: {since}, finalizers: {held}",
                {"since": since, "finalizers": held},
            )


def _ingress_class(path: TrafficPath) -> str:
    named_class = _spec(path.ingress).get("ingressClassName")
    return str(named_class or _annotations(path.ingress).get(_CLASS_ANNOTATION) or "")


def two_classes(path: TrafficPath) -> t.Iterator[Seen]:
    """Field and annotation name different classes."""
    field = _spec(path.ingress).get("ingressClassName")
    annotation = _annotations(path.ingress).get(_CLASS_ANNOTATION)
    if field and annotation and field != annotation:
        yield Seen(
            "P302",
            "Ingress",
            path.name,
            f"spec.ingressClassName: {field}, annotation {_CLASS_ANNOTATION}: {annotation}",
            {"seen": field, "other": annotation},
        )


def unknown_class(path: TrafficPath) -> t.Iterator[Seen]:
    """No address, and a class that nobody in the cluster takes."""
    seen = _ingress_class(path)
    if path.ingress is None or path.classes is None or addresses(path.ingress):
        return
    if seen in ("", _CLASS) or named(path.classes, seen) is not None:
        return
    field = "ingressClassName" if _spec(path.ingress).get("ingressClassName") else ""
    change: dict[str, t.Any] = (
        {"spec": {"ingressClassName": _CLASS}}
        if field
        else {"metadata": {"annotations": {_CLASS_ANNOTATION: _CLASS}}}
    )
    clb = _is_ours(path.ingress) or any(
        "cloud.tencent.com" in one for one in _annotations(path.ingress)
    )
    yield Seen(
        "P303",
        "Ingress",
        path.name,
        f"{field or _CLASS_ANNOTATION}: {seen}; IngressClasses: "
        f"{', '.join(map(_name, path.classes)) or 'none'}",
        {"seen": seen, "wanted": _CLASS, "patch": _patch(change)},
        None if clb else "Name a class that the cluster has",
        "" if clb else "console",
    )


def controller_off(path: TrafficPath) -> t.Iterator[Seen]:
    """TKE's switch says that nobody acts on Ingresses."""
    if path.ingress is None or _ingress_class(path) not in (_CLASS, ""):
        return
    value = (path.settings or {}).get("EnableIngressController")
    if value == "false":
        yield Seen(
            "P304",
            "ConfigMap",
            "tke-service-controller-config",
            'data.EnableIngressController: "false"',
            {"patch": _patch({"data": {"EnableIngressController": "true"}})},
        )


#: Codes that a check of the objects themselves tells better.
_TOLD_BY_OBJECTS = {
    ("Ingress", "E4041"): service_missing,
    ("Ingress", "E4042"): port_missing,
    ("Ingress", "E4047"): cluster_ip,
}


def _mentioned(path: TrafficPath) -> t.Iterator[tuple[str, str, Object, t.Any]]:
    """Kind, name, event and mention of each of TKE's codes, of each code the newest."""
    objects = [(path.kind, path.name)]
    if path.kind == "Ingress" and path.service_name:
        objects.append(("Service", path.service_name))
    for kind, name in objects:
        newest: dict[str, tuple[Object, t.Any]] = {}
        for event in _events_of(path, kind, name):
            for mention in mentions(str(event.get("message", ""))):
                newest[mention.code] = (event, mention)
        for event, mention in newest.values():
            yield kind, name, event, mention


def _tke_event(path: TrafficPath, code: str) -> str:
    for kind, name, event, mention in _mentioned(path):
        if mention.code == code:
            return f"; {kind} {name}, {_quoted(event)}"
    return ""


def tke_errors(path: TrafficPath) -> t.Iterator[Seen]:
    """TKE's codes in the events of what stands in front.

    Events are kept for an hour: one of a fault that was mended says nothing once all works.
    """
    if _works(path):
        return
    for kind, name, event, mention in _mentioned(path):
        told = _TOLD_BY_OBJECTS.get((kind, mention.code))
        if told is not None:
            # The event stays for an hour, the object tells how it is now.
            continue
        row: TkeError = look_up(kind, mention)
        texts = {"namespace": path.namespace, "kind": kind.lower(), "name": name}
        fix = row.fix.format(**texts) if row.fix else "No documented fix"
        yield Seen(
            "P305",
            kind,
            name,
            _quoted(event),
            {
                "error": mention.code,
                "title": row.title,
                "detail": f". {row.cause.rstrip('.')}" if row.cause else "",
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
    if path.kind == "Service" and _spec(front).get("type") != "LoadBalancer":
        return
    yield Seen(
        "P306",
        path.kind,
        path.name,
        "status.loadBalancer.ingress: empty",
        {"seen": _ingress_class(path) or _CLASS},
    )


def only_a_name(path: TrafficPath) -> t.Iterator[Seen]:
    """A balancer without an address of its own in the status."""
    entries = (_status(path.front).get("loadBalancer") or {}).get("ingress") or []
    for entry in entries:
        if entry.get("hostname") and not entry.get("ip"):
            facts = {"address": entry["hostname"]}
            yield Seen("P312", path.kind, path.name, f"status: {entry['hostname']}", facts)


# --- What the probe saw ---------------------------------------------------------------------------


def _code(path: TrafficPath) -> str:
    return str((path.probe or {}).get("code") or "")


def _reason(path: TrafficPath) -> str:
    return f"{_code(path)}: {(path.probe or {}).get('reason')}"


def _target(path: TrafficPath) -> t.Mapping[str, t.Any]:
    """The address that decided."""
    probe = path.probe or {}
    same = [one for one in probe.get("targets") or [] if one.get("code") == probe.get("code")]
    return same[0] if same else {}


def _failures(path: TrafficPath) -> t.Mapping[str, int]:
    return ((path.probe or {}).get("requests") or {}).get("unanswered") or {}


def _http_status(path: TrafficPath) -> int:
    """The HTTP status of a probe that got one instead of an answer, 0 for none."""
    found = re.search(r"HTTP status (\d{3})", str((path.probe or {}).get("reason")))
    return int(found.group(1)) if _code(path) == "V516" and found else 0


def _balancer(path: TrafficPath) -> tuple[str, str, t.Mapping[str, t.Any]]:
    """Kind, name and facts of findings about the way to the load balancer."""
    target = _target(path)
    address = target.get("address") or target.get("name") or ", ".join(addresses(path.front or {}))
    return path.kind, path.name, {"address": address}


def unresolved(path: TrafficPath) -> t.Iterator[Seen]:
    """The load balancer's name gives no address."""
    if _code(path) in ("V501", "V502"):
        kind, name, facts = _balancer(path)
        yield Seen("P307", kind, name, _reason(path), {**facts, "detail": _code(path)})


def unreachable(path: TrafficPath) -> t.Iterator[Seen]:
    """The load balancer takes no connection."""
    number = {"V503": "P402", "V504": "P401", "V505": "P401"}.get(_code(path))
    if number:
        kind, name, facts = _balancer(path)
        yield Seen(number, kind, name, _reason(path), facts)


def _hosts(path: TrafficPath) -> list[str]:
    return [str(rule.get("host") or "") for rule in _spec(path.ingress).get("rules") or []]


def _covers(host: str, asked: str) -> bool:
    return host in ("", asked) or (host.startswith("*.") and asked.partition(".")[2] == host[2:])


def no_rule(path: TrafficPath) -> t.Iterator[Seen]:
    """A request that no rule of the Ingress takes."""
    if path.ingress is None or _http_status(path) not in (403, 404):
        return
    hosts = _hosts(path)
    if hosts and not any(_covers(host, path.host) for host in hosts):
        wanted = next((host for host in hosts if not host.startswith("*")), "")
        facts = {
            "hosts": ", ".join(hosts),
            "asked": path.host or "the address without a name",
            "host": wanted,
        }
        fix = None if wanted else "Set real_ip_host to a name under the rule's wildcard"
        kind = "" if wanted else "console"
        yield Seen(
            "P308", "Ingress", path.name, f"spec.rules.host: {', '.join(hosts)}", facts, fix, kind
        )
        return
    paths = [
        str(entry.get("path") or "/")
        for _w, host, entry in _rule_places(path)
        if _covers(host, path.host)
    ]
    if paths and not any(_under(path.path, one) for one in paths):
        facts = {"paths": ", ".join(paths), "asked": path.path, "path": paths[0]}
        yield Seen(
            "P309", "Ingress", path.name, f"spec.rules.http.paths: {', '.join(paths)}", facts
        )


def _under(asked: str, prefix: str) -> bool:
    asked = asked.partition("?")[0]
    return asked == prefix or asked.startswith(prefix.rstrip("/") + "/")


_REWRITE = "ingress.cloud.tencent.com/auto-rewrite"


def redirected(path: TrafficPath) -> t.Iterator[Seen]:
    """The load balancer redirects."""
    if _code(path) != "V517":
        return
    found = re.search(r"redirects to (\S+?), which", str((path.probe or {}).get("reason")))
    location = found.group(1) if found else "another address"
    rewrite = _annotations(path.ingress).get(_REWRITE) == "true"
    if rewrite:
        fix = (
            f"kubectl -n {path.namespace} annotate ingress {path.name} --overwrite {_REWRITE}=false"
        )
    known = re.fullmatch(r"https?://[\w.:\[\]/?=&%~-]+", location)
    facts = {"location": location, "detail": f", by the annotation {_REWRITE}" if rewrite else ""}
    if rewrite:
        yield Seen("P311", path.kind, path.name, _reason(path), facts, fix, "command")
    elif known:
        yield Seen("P311", path.kind, path.name, _reason(path), facts)
    else:
        fix = "Probe where it leads to, with real_ip_url"
        yield Seen("P311", path.kind, path.name, _reason(path), facts, fix, "console")


_GATEWAY = (502, 503, 504)
_HANGS = ("V509", "V510", "V511")


def needs_direct(path: TrafficPath) -> bool:
    """Would asking a pod directly tell more? Only where one is ready and nothing answers."""
    failed = _http_status(path) >= 400 or _code(path) in _HANGS
    partly = not failed and any(code in ("V516", *_HANGS) for code in _failures(path))
    return (failed or partly) and bool(ready_pods(path.pods or []))


def direct_ports(path: TrafficPath) -> list[int]:
    """The ports of a pod that are worth asking: the Service's, then those that it declares."""
    service = [port.get("port") for one in path.slices or () for port in one.get("ports") or []]
    ready = set(ready_pods(path.pods or []))
    pod = next((one for one in path.pods or () if _name(one) in ready), {})
    declared = [
        port.get("containerPort")
        for one in _spec(pod).get("containers") or []
        for port in one.get("ports") or []
    ]
    return [int(port) for port in dict.fromkeys([*service, *declared]) if port][:3]


def behind_the_balancer(path: TrafficPath) -> t.Iterator[Seen]:
    """The load balancer answers, but not as the app: what does the app say itself?

    ``direct`` holds what it said on each port and over each protocol; the first is the Service's.
    """
    if not path.direct:
        return
    first = path.direct[0]
    status = _http_status(path)
    facts = {
        "port": first.port,
        "seconds": first.seconds,
        "status": status,
        "asked": path.path,
        "detail": "",
        "scheme": "",
        "patch": "",
    }
    said = f"asked directly, pod {first.pod} port {first.port}: {_said(first)}"
    evidence = f"{_reason(path)}; {said}"
    others = [one for one in path.direct[1:] if one.outcome == "answers"]
    if first.outcome == "refused":
        yield _wrong_port(path, evidence, first, others, facts)
    elif first.outcome == "timeout":
        yield _slow(path, evidence, first, facts)
    elif first.outcome == "other" and any(one.scheme == "https" for one in others):
        facts["scheme"] = "https"
        yield Seen("P405", "Pod", first.pod, evidence, facts)
    elif (
        first.outcome == "answers" and status and first.status == status and status not in _GATEWAY
    ):
        yield Seen("P310", "Pod", first.pod, evidence, facts)
    elif first.outcome == "answers" and (status in _GATEWAY or _code(path) in _HANGS):
        yield _node_port(path, evidence, facts)


def _said(one: t.Any) -> str:
    told = f"HTTP {one.status}" if one.status else one.detail
    return f"{one.outcome} ({told[:200]}) after {one.seconds} s"


def _wrong_port(
    path: TrafficPath,
    evidence: str,
    first: t.Any,
    others: t.Sequence[t.Any],
    facts: dict[str, t.Any],
) -> Seen:
    facts["detail"] = "the connection is refused"
    ports = _spec(path.service).get("ports") or []
    right = next((one.port for one in others if one.port != first.port), None)
    place = next(
        (
            n
            for n, one in enumerate(ports)
            if one.get("targetPort") in (first.port, str(first.port))
        ),
        0,
    )
    if right is not None:
        where = f"/spec/ports/{place}/targetPort"
        facts["patch"] = _patch([{"op": "replace", "path": where, "value": right}])
        return Seen("P208", "Service", path.service_name, evidence, facts)
    fix = "Set the Service's targetPort to the port that the app listens on"
    return Seen("P208", "Service", path.service_name, evidence, facts, fix, "console")


def _slow(path: TrafficPath, evidence: str, first: t.Any, facts: dict[str, t.Any]) -> Seen:
    pod = named(path.pods, first.pod)
    fix, kind = None, ""
    if pod is not None:
        container = str((_spec(pod).get("containers") or [{}])[0].get("name", ""))
        undo = _undo(
            path, deployment_of(path, pod), _field(container, "image", "command", "args", "env")
        )
        fix, kind = (undo, "command") if undo else (None, "")
    return Seen("P404", "Pod", first.pod, evidence, facts, fix, kind)


def _node_port(path: TrafficPath, evidence: str, facts: dict[str, t.Any]) -> Seen:
    ports = [
        str(one["nodePort"])
        for one in _spec(path.service).get("ports") or []
        if one.get("nodePort")
    ]
    shown = {**facts, "port": ", ".join(ports) or facts["port"]}
    if not ports or _direct_access(path):
        fix = "Open the container's port in the security group of the pods"
        return Seen("P403", "Service", path.service_name, evidence, shown, fix, "console")
    return Seen("P403", "Service", path.service_name, evidence, shown)


def local_without_pod(path: TrafficPath) -> t.Iterator[Seen]:
    """Nodes without a pod get requests that they drop."""
    if _spec(path.service).get("externalTrafficPolicy") != "Local" or path.nodes is None:
        return
    if not any(code in ("V504", "V503", "V509", "V511", "V525") for code in _failures(path)):
        return
    ready = set(ready_pods(path.pods or []))
    with_pod = {_spec(pod).get("nodeName") for pod in path.pods or () if _name(pod) in ready}
    without = [_name(node) for node in path.nodes if _name(node) not in with_pod]
    if with_pod and without:
        detail = f"no ready pod on {', '.join(without)}"
        yield Seen(
            "P406",
            "Service",
            path.service_name,
            f"spec.externalTrafficPolicy: Local; {detail}; {_reason(path)}",
            {"detail": detail},
        )


# --- An address that doesn't arrive ---------------------------------------------------------------


def _variables(strategy: Object | None) -> str:
    """A strategy that was seen to be safe, as ``real_ip_*`` variables."""
    return " ".join(f"real_ip_{key}={value}" for key, value in (strategy or {}).items())


def _layer(path: TrafficPath) -> str:
    return "l7" if path.kind == "Ingress" else "l4"


#: Verdicts by their codes → the cause that they stand for, where no other check tells it better.
_BY_VERDICT = {
    "V208": "P502",
    "V210": "P502",
    "V209": "P503",
    "V101": "P504",
    "V102": "P504",
    "V103": "P505",
    "V421": "P509",
    "V423": "P509",
    "V401": "P510",
    "V402": "P510",
    "V412": "P510",
    "V206": "P511",
    "V207": "P511",
    "V406": "P511",
}


def by_verdict(path: TrafficPath) -> t.Iterator[Seen]:
    """What the verdict alone already tells."""
    number = _BY_VERDICT.get(_code(path))
    if number is None:
        return
    probe = path.probe or {}
    facts = {
        "detail": _reason(path),
        "header": "the header" if path.kind == "Service" else "X-Forwarded-For",
        "place": probe.get("vantage") or "node",
        "seen": ", ".join(probe.get("observed") or {}) or "another address",
    }
    setting = _variables(probe.get("safe_strategy"))
    if number in ("P502", "P503", "P504") and setting and path.kind == "Ingress":
        yield Seen(number, path.kind, path.name, _reason(path), facts, setting, "variable")
        return
    if number == "P503" and path.kind == "Ingress":
        fix = "Let the load balancer write the header, or probe the layer-7 load balancer's address"
        yield Seen(number, path.kind, path.name, _reason(path), facts, fix, "console")
        return
    yield Seen(number, path.kind, path.name, _reason(path), facts)


def replaced_by_nodes(path: TrafficPath) -> t.Iterator[Seen]:
    """A node's or pod's address arrives."""
    if _code(path) not in ("V201", "V202"):
        return
    policy = _spec(path.service).get("externalTrafficPolicy", "Cluster")
    if path.kind == "Service" and policy == "Cluster" and not _direct_access(path):
        yield Seen(
            "P501",
            "Service",
            path.service_name,
            f"spec.externalTrafficPolicy: {policy}; {_reason(path)}",
            {"patch": _patch({"spec": {"externalTrafficPolicy": "Local"}})},
        )
        return
    seen = ", ".join((path.probe or {}).get("observed") or {})
    yield Seen("P512", path.kind, path.name, _reason(path), {"seen": seen})


def unlike(path: TrafficPath) -> t.Iterator[Seen]:
    """Some backends see the address, others don't."""
    if _code(path) not in ("V301", "V302"):
        return
    # What made a pod is known from all three together.
    if None in (path.pods, path.deployments, path.replica_sets):
        return
    probe = path.probe or {}
    good = set(map(str, probe.get("expected") or []))
    bad = [one for one in probe.get("backends") or [] if not set(one.get("observed") or {}) <= good]
    fine = [one for one in probe.get("backends") or [] if one not in bad]
    for one in bad:
        seen = ", ".join(one.get("observed") or {})
        pod = named(path.pods, str(one.get("name")))
        node = one.get("node") or _spec(pod).get("nodeName")
        current = pod is not None and _of_newest(path, pod)
        evidence = f"backend {one.get('name')} on {node}: {seen}; {_reason(path)}"
        elsewhere = {other.get("node") or "" for other in fine}
        if pod is not None and not current:
            yield Seen("P506", "Pod", _name(pod), evidence, {"seen": seen})
        elif node and node not in elsewhere:
            yield Seen("P507", "Node", str(node), evidence, {"seen": seen})
            return


def _of_newest(path: TrafficPath, pod: Object) -> bool:
    """Was the pod made by the newest ReplicaSet of a Deployment?"""
    deployment = deployment_of(path, pod)
    replica_set = named(path.replica_sets, _owner(pod, "ReplicaSet"))
    if deployment is None or replica_set is None:
        return False
    return _revision(replica_set) == _revision(deployment)


def sidecar(path: TrafficPath) -> t.Iterator[Seen]:
    """A loopback address arrives."""
    if _code(path) != "V205":
        return
    pod = next((one for one in _alive(path) if len(_spec(one).get("containers") or []) > 1), None)
    seen = ", ".join((path.probe or {}).get("observed") or {})
    if pod is None:
        yield Seen(
            "P508", path.kind, path.name, _reason(path), {"seen": seen, "detail": "no sidecar seen"}
        )
        return
    names = ", ".join(str(one["name"]) for one in _spec(pod)["containers"])

    def count(found: Object) -> int:
        return len(_containers(found))

    undo = _undo(path, deployment_of(path, pod), count)
    yield Seen(
        "P508",
        "Pod",
        _name(pod),
        f"containers: {names}; {_reason(path)}",
        {"seen": seen, "detail": f"the containers {names}"},
        undo,
        "command" if undo else "",
    )


CHECKS: tuple[Check, ...] = (
    rights,
    namespace_ends,
    nothing_deploys,
    scaled_to_zero,
    pods_refused,
    unschedulable,
    nodes_not_ready,
    pulls,
    containers,
    not_ready,
    ingress_missing,
    service_missing,
    another_service,
    port_missing,
    cluster_ip,
    selector,
    no_endpoint,
    strangers,
    deletion_hangs,
    two_classes,
    unknown_class,
    controller_off,
    tke_errors,
    no_address,
    only_a_name,
    unresolved,
    unreachable,
    no_rule,
    redirected,
    behind_the_balancer,
    local_without_pod,
    by_verdict,
    replaced_by_nodes,
    unlike,
    sidecar,
)

_EVIDENCE = 1000


def finding(path: TrafficPath, seen: Seen) -> dict[str, t.Any]:
    """One finding as traffic_path_info returns it."""
    row = CAUSES[seen.number]
    own = {"namespace": path.namespace, "kind": seen.kind.lower(), "name": seen.name}
    # Messages of registries and apps are anybody's text.
    shown = {key: printable(value, _EVIDENCE) for key, value in {**own, **seen.facts}.items()}
    # A command is made of names that the API server has checked; escaping would change it.
    exact = {key: str(value) for key, value in {**own, **seen.facts}.items()}
    fix, kind = (seen.fix, seen.fix_kind) if seen.fix is not None else (row.fix, row.fix_kind)
    if seen.fix is None:
        fix = fix.format_map(exact if kind in ("command", "variable") else shown)
    if kind in ("command", "variable") and not fix.isprintable():
        fix, kind = f"See {row.see.format_map(shown)}", "console"
    return {
        "code": seen.number,
        "severity": row.severity,
        "title": row.title,
        "object": f"{seen.kind} {printable(seen.name)}",
        "hop": row.hop,
        "evidence": printable(seen.evidence, _EVIDENCE),
        "cause": row.cause.format_map(shown),
        "fix": printable(fix, 2000) if kind not in ("command", "variable") else fix,
        "fix_kind": kind,
        "see": row.see.format_map(shown),
        "link": row.link,
    }


def diagnose(path: TrafficPath) -> list[dict[str, t.Any]]:
    """All findings, the primary cause first."""
    found = [seen for check in CHECKS for seen in check(path)]
    found.sort(key=lambda seen: rank(seen.number))
    return [finding(path, seen) for seen in found]
