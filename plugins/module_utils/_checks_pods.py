# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Checks of what pods need: to be seen at all, to exist, to start and to be ready."""

from __future__ import annotations

import collections
import re
import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils import _objects as objects
from ansible_collections.kestrel.real_ip.plugins.module_utils._findings import Seen
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import joined, phrase
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import (
    Object,
    TrafficPath,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._rights import Right, granting

# --- What the tool itself lacks -------------------------------------------------------------------


def rights(path: TrafficPath) -> t.Iterator[Seen]:
    """Each read that was refused, with the command that would allow it."""
    for one in path.denied:
        group = f".{one.group}" if one.group else ""
        where = (
            phrase("in the namespace {namespace}", namespace=one.namespace)
            if one.namespace
            else phrase("in the whole cluster")
        )
        flag = f"-n {one.namespace}" if one.namespace else "-A"
        right = Right(one.verb, one.group, one.resource, namespace=one.namespace)
        facts = {
            "verb": one.verb,
            "resource": f"{one.resource}{group}",
            "where": where,
            "flag": flag,
            "command": granting(right, one.message),
        }
        yield Seen("P003", "Right", f"{one.verb} {one.resource}{group}", one.message, facts)


def unread(path: TrafficPath) -> t.Iterator[Seen]:
    """Each read that came to nothing, although the API server answers others."""
    for one in path.failed:
        read = f"{one.verb} {one.resource}"
        facts = {"read": read, "detail": one.message}
        yield Seen("P006", "Read", read, one.message, facts)


def another_cluster(path: TrafficPath) -> t.Iterator[Seen]:
    """There is no such namespace, and there are other contexts."""
    others = path.context.others
    if path.space is not None or objects.is_unread(path, "namespaces") or not others:
        return
    yield Seen(
        "P004",
        "Cluster",
        path.context.name or path.context.server,
        phrase(
            "404 for the namespace {namespace} from {server}; other contexts: {others}",
            namespace=path.namespace,
            server=path.context.server,
            others=", ".join(others),
        ),
        {
            "server": path.context.server,
            "context": path.context.name or phrase("none"),
            "others": ", ".join(others),
        },
        *(_context(others[0]) if len(others) == 1 else (None, "")),
    )


def _context(name: str) -> tuple[str | None, str]:
    """The fix that chooses a context, and its kind: whatever can't be typed is told."""
    typed = re.fullmatch(r"[\w.@:/-]+", name)
    return (f"real_ip_context={name}", "variable") if typed else (None, "")


def no_ingress_api(path: TrafficPath) -> t.Iterator[Seen]:
    """No version of Ingresses is served."""
    if not path.unserved:
        return
    served = ", ".join(
        f"{group}/{version}"
        for group, versions in sorted(path.versions.items())
        for version in versions
        if group
    )
    yield Seen(
        "P005",
        "Cluster",
        "API server",
        phrase("no ingresses in {served}", served=served),
        {"served": served},
    )


# --- Pods -----------------------------------------------------------------------------------------


def namespace_ends(path: TrafficPath) -> t.Iterator[Seen]:
    """The namespace is on its way out."""
    space = path.space
    if space is None or not space["metadata"].get("deletionTimestamp"):
        return
    reasons = [
        str(one.get("message"))
        for one in objects.status(space).get("conditions") or []
        if one.get("status") == "True"
    ]
    held = phrase(". What holds it: {reasons}", reasons="; ".join(reasons)) if reasons else ""
    facts = {"held": held, "held_fix": f"kubectl get namespace {path.namespace} -o yaml"}
    since = space["metadata"]["deletionTimestamp"]
    yield Seen(
        "P101",
        "Namespace",
        path.namespace,
        phrase("metadata.deletionTimestamp: {since}{held}", since=since, held=held),
        facts,
    )


def nothing_deploys(path: TrafficPath) -> t.Iterator[Seen]:
    """There is no pod and nothing that would make one."""
    if path.deployments is None or path.pods is None or path.service is None:
        return
    if not path.pods and not path.deployments and not objects.endpoint_addresses(path):
        service = objects.name(path.service)
        facts, fix = {"service": service}, objects.deploying(path)
        yield Seen("P102", "Service", service, phrase("no Deployment and no pod"), facts, *fix)


def scaled_to_zero(path: TrafficPath) -> t.Iterator[Seen]:
    """A Deployment that wants no pods."""
    for one in objects.behind(path):
        if objects.spec(one).get("replicas", 1) == 0:
            yield Seen("P103", "Deployment", objects.name(one), "spec.replicas: 0", {"replicas": 2})


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
    for deployment in objects.behind(path):
        condition = objects.condition(deployment, "ReplicaFailure")
        if condition.get("status") != "True":
            continue
        message = " ".join(str(condition.get("message", "")).split())
        evidence = phrase(
            "condition ReplicaFailure, {reason}: {message}",
            reason=condition.get("reason"),
            message=message,
        )
        for number, pattern in _REFUSALS:
            found = re.search(pattern, message)
            if found:
                policy = found.group("policy").strip()
                facts = {"policy": policy, "quota": policy, "detail": _after(message)}
                fix, kind, more = _refusal_fix(number, deployment, message)
                yield Seen(
                    number,
                    "Deployment",
                    objects.name(deployment),
                    evidence,
                    {**facts, **more},
                    fix,
                    kind,
                )
                break
        else:
            yield Seen(
                "P119",
                "Deployment",
                objects.name(deployment),
                evidence,
                {"detail": _after(message)},
            )


def _after(message: str) -> str:
    """A refusal without the pod's name, which is another one each time."""
    return message.partition("is forbidden: ")[2] or message


def _refusal_fix(
    number: str, deployment: Object, message: str
) -> tuple[str | None, str, t.Mapping[str, str]]:
    if number == "P112":
        return (*objects.bundled_instead(deployment), {})
    if number != "P111":
        return None, "", {}
    hard = _room(message, int(objects.spec(deployment).get("replicas", 1)))
    if not hard:
        return phrase("Raise the quota, or lower what the pods ask for"), "console", {"patch": ""}
    return None, "", {"patch": objects.patch({"spec": {"hard": hard}})}


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
    for pod in objects.alive(path):
        condition = objects.condition(pod, "PodScheduled")
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
    evidence = phrase("condition PodScheduled, Unschedulable: {reasons}", reasons=reasons)
    detail = reasons.partition(": ")[2] or reasons
    deployment = objects.deployment_of(path, pod)
    facts: dict[str, t.Any] = {
        "detail": detail,
        "deployment": objects.name(deployment) if deployment else "DEPLOYMENT",
        "patch": "",
        "nodes": "",
    }
    fix: str | None = None
    kind = ""
    nodes = list(path.nodes or ())
    if number == "P125":
        node = next(
            (one for one in nodes if objects.condition(one, "Ready").get("status") != "True"), None
        )
        name = objects.name(node) if node else objects.name(pod)
        return Seen(number, "Node" if node else "Pod", name, evidence, facts)
    if number == "P122":
        facts["nodes"] = " ".join(
            objects.name(one) for one in nodes if objects.spec(one).get("unschedulable")
        )
    elif number == "P121" and deployment:
        facts["patch"] = objects.patch(_tolerate(deployment, nodes))
    elif number == "P124" and deployment:
        facts["patch"] = objects.patch(
            [{"op": "remove", "path": "/spec/template/spec/nodeSelector"}]
        )
        if not (objects.template(deployment).get("spec") or {}).get("nodeSelector"):
            fix, kind = phrase("Change the affinity of the Deployment"), "console"
    elif number == "P123":

        def requests(found: Object) -> t.Any:
            return [
                (one.get("resources") or {}).get("requests") for one in objects.containers(found)
            ]

        undo = objects.undo(path, deployment, requests)
        fix, kind = (undo, "command") if undo else (None, "")
    if number in ("P121", "P124") and not deployment:
        fix, kind = phrase("Change the pod's tolerations or node selector"), "console"
    return Seen(number, "Pod", objects.name(pod), evidence, facts, fix, kind)


def _tolerate(deployment: Object, nodes: t.Sequence[Object]) -> list[dict[str, t.Any]]:
    """The change that lets the pods onto the node with the fewest taints."""
    taints = [
        [
            one
            for one in objects.spec(node).get("taints") or []
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
    present = (objects.template(deployment).get("spec") or {}).get("tolerations") or []
    return [{"op": "add", "path": "/spec/template/spec/tolerations", "value": [*present, *wanted]}]


def nodes_not_ready(path: TrafficPath) -> t.Iterator[Seen]:
    """Nodes that carry pods of the Service and don't report."""
    used = {objects.spec(pod).get("nodeName") for pod in objects.alive(path)}
    for node in path.nodes or ():
        ready = objects.condition(node, "Ready")
        if objects.name(node) in used and ready and ready.get("status") != "True":
            detail = f"{ready.get('reason')}: {ready.get('message')}"
            yield Seen(
                "P125",
                "Node",
                objects.name(node),
                phrase(
                    "condition Ready: {status}, {detail}", status=ready.get("status"), detail=detail
                ),
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
    for pod in objects.alive(path):
        for status in objects.status(pod).get("containerStatuses") or []:
            waiting = (status.get("state") or {}).get("waiting") or {}
            reason, image = waiting.get("reason"), status.get("image", "")
            if image in told or reason not in (*_PULL_REASONS, "InvalidImageName"):
                continue
            told.add(image)
            message = _pull_message(path, pod, str(waiting.get("message", "")))
            number = "P136" if reason == "InvalidImageName" else "P139"
            if reason != "InvalidImageName":
                number = next((n for n, text in _PULLS if re.search(text, message)), number)
            fix, kind = objects.instead(path, pod, status["name"], "image")
            yield Seen(
                number,
                "Pod",
                objects.name(pod),
                phrase(
                    "container {name} waits, {reason}: {message}",
                    name=status["name"],
                    reason=reason,
                    message=message,
                ),
                {"image": image, "detail": message},
                fix,
                kind,
            )


def _pull_message(path: TrafficPath, pod: Object, message: str) -> str:
    """What the registry said: kubelet's message while it waits may only say that it waits."""
    if "rpc error" not in message and "rror" not in message:
        tried = [
            str(event.get("message", ""))
            for event in objects.events_of(path, "Pod", objects.name(pod))
            if event.get("reason") == "Unread" and "pull" in str(event.get("message", ""))
        ]
        message = tried[-1] if tried else message
    # Who retries with HTTP after HTTPS names both; the last failure is the one that counts.
    return " ".join(message.split())


_STARTS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError")
_FORMAT = "exec format error"
#: What of a container decides whether it starts
_STARTED_BY = (*objects.RUN_BY, "volumeMounts")


def containers(path: TrafficPath) -> t.Iterator[Seen]:
    """Containers that end, or that can't be made."""
    told = set()
    for pod in objects.alive(path):
        for status in objects.status(pod).get("containerStatuses") or []:
            if status["name"] in told:
                continue
            found = _container(path, pod, status)
            if found:
                told.add(status["name"])
                yield found


#: Seconds after its start during which a container that had crashed before may do so again, and
#: one without a readiness probe counts as ready all the same
_UNSETTLED = 30


def _settled(path: TrafficPath, status: t.Mapping[str, t.Any]) -> bool:
    """Does a container run, ready, and not only since it crashed a moment ago?"""
    now, before = status.get("state") or {}, status.get("lastState") or {}
    if "running" not in now or not status.get("ready"):
        return False
    crashed = (before.get("terminated") or {}).get("exitCode")
    age = path.now - objects.time((now["running"] or {}).get("startedAt"))
    return not (crashed and abs(age) < _UNSETTLED)


def crashing(path: TrafficPath, only_own: bool) -> list[tuple[str, str, bool]]:
    """Pod, container, and whether it runs again: of those that ended, one for each container."""
    found: dict[str, tuple[str, str, bool]] = {}
    for pod in objects.alive(path):
        if only_own and not objects.is_managed(pod):
            continue
        for status in objects.status(pod).get("containerStatuses") or []:
            now, before = status.get("state") or {}, status.get("lastState") or {}
            ended = now.get("terminated") or before.get("terminated")
            if ended and not _settled(path, status):
                running = "running" in now
                found.setdefault(status["name"], (objects.name(pod), str(status["name"]), running))
    return list(found.values())


def _container(path: TrafficPath, pod: Object, status: t.Mapping[str, t.Any]) -> Seen | None:
    name = str(status["name"])
    now, before = status.get("state") or {}, status.get("lastState") or {}
    waiting = now.get("waiting") or {}
    ended = now.get("terminated") or before.get("terminated") or {}
    if _settled(path, status) or not (ended or waiting.get("reason") in _STARTS):
        return None
    message = " ".join(str(ended.get("message") or waiting.get("message") or "").split())
    reason = str(ended.get("reason") or waiting.get("reason"))
    code = ended.get("exitCode")
    restarts = status.get("restartCount", 0)
    evidence = joined(
        "",
        [
            phrase("container {name}: {reason}", name=name, reason=reason),
            phrase(", exit code {code}", code=code) if code is not None else "",
            phrase(", {count} restarts", count=restarts) if ended else "",
            f": {message}" if message else "",
        ],
    )
    deployment = objects.deployment_of(path, pod)
    facts: dict[str, t.Any] = {
        "container": name,
        "deployment": objects.name(deployment) if deployment else "DEPLOYMENT",
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
    fix, kind = objects.instead(path, pod, name, *_STARTED_BY)
    return Seen(number, "Pod", objects.name(pod), evidence, facts, fix, kind)


def _container_of(pod: Object, name: str) -> t.Mapping[str, t.Any]:
    return next(
        (one for one in objects.spec(pod).get("containers") or [] if one["name"] == name), {}
    )


def _out_of_memory(
    path: TrafficPath, pod: Object, name: str, evidence: str, facts: dict[str, t.Any]
) -> Seen:
    own = _container_of(pod, name)
    limit = str(((own.get("resources") or {}).get("limits") or {}).get("memory", ""))
    facts.update(limit=limit or phrase("none"), more=_twice(limit))
    undo = objects.undo(
        path,
        objects.deployment_of(path, pod),
        objects.container_field(name, "resources", "command", "image"),
    )
    fix, kind = (undo, "command") if undo else (None, "")
    if not undo and not facts["more"]:
        fix, kind = phrase("Give the container a higher memory limit"), "console"
    return Seen("P141", "Pod", objects.name(pod), evidence, facts, fix, kind)


def _twice(quantity: str) -> str:
    found = re.fullmatch(r"(\d+)(Ki|Mi|Gi|k|M|G|)", quantity)
    return f"{int(found.group(1)) * 2}{found.group(2)}" if found else ""


_REFUSED = r"connection refused|connect: "

#: How often a probe fails before it tells of more than a pod that is still starting: what
#: failureThreshold is where a probe sets none,
#: https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
_FAILURES = 3


def not_ready(path: TrafficPath) -> t.Iterator[Seen]:
    """Pods whose containers run but that aren't ready; the first one stands for all."""
    # Of thousands of pods and events, not each pod can look through all events.
    failures: t.Counter[str] = collections.Counter()
    for one in path.events or ():
        if one.get("reason") == "Unhealthy":
            failures[(one.get("involvedObject") or {}).get("uid", "")] += int(one.get("count") or 1)
    for pod in objects.alive(path):
        statuses = objects.status(pod).get("containerStatuses") or []
        if not statuses or objects.condition(pod, "Ready").get("status") == "True":
            continue
        if not all("running" in (one.get("state") or {}) for one in statuses):
            continue
        gate = _gate(pod)
        unready = [str(one["name"]) for one in statuses if not one.get("ready")]
        if gate and not unready:
            yield Seen(
                "P153",
                "Pod",
                objects.name(pod),
                phrase("condition {gate} isn't True", gate=gate),
                {"gate": gate},
            )
            return
        uid = pod["metadata"]["uid"]
        # A pod that has just started has nothing to say yet.
        if failures[uid] < _FAILURES:
            continue
        events = objects.events_of(path, "Pod", objects.name(pod), uid)
        failed = [one for one in events if one.get("reason") == "Unhealthy"]
        yield _unhealthy(path, pod, failed[-1], unready[0] if unready else "")
        return


def _gate(pod: Object) -> str:
    gates = [str(one.get("conditionType")) for one in objects.spec(pod).get("readinessGates") or []]
    return next((one for one in gates if objects.condition(pod, one).get("status") != "True"), "")


def _unhealthy(path: TrafficPath, pod: Object, event: Object, container: str) -> Seen:
    message = " ".join(str(event.get("message", "")).split())
    deployment = objects.deployment_of(path, pod)
    probed = ("readinessProbe", "startupProbe", "ports", *objects.RUN_BY)
    undo = objects.undo(path, deployment, objects.container_field(container, *probed))
    number = "P151" if re.search(_REFUSED, message) else "P152"
    fix, kind = (undo, "command") if undo else (None, "")
    own = _container_of(pod, container)
    ports = [one.get("containerPort") for one in own.get("ports") or []]
    if not undo and deployment and ports and number == "P152":
        # Whether something listens is what every app can be asked.
        place = [one.get("name") for one in objects.containers(deployment)].index(container)
        at = f"/spec/template/spec/containers/{place}/readinessProbe"
        value = {"tcpSocket": {"port": ports[0]}, "periodSeconds": 1}
        patch = objects.patch([{"op": "add", "path": at, "value": value}])
        fix = (
            f"kubectl -n {path.namespace} patch deployment {objects.name(deployment)} --type=json "
            f"-p {patch}"
        )
        kind = "command"
    facts = {"detail": message}
    return Seen(number, "Pod", objects.name(pod), objects.quoted(event), facts, fix, kind)
