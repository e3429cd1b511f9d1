# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a way: each cause appears where it has to, and nowhere else."""

from __future__ import annotations

import copy
import json
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._causes import CAUSES, FIX_KINDS
from ansible_collections.kestrel.real_ip.plugins.module_utils._checks import diagnose
from ansible_collections.kestrel.real_ip.plugins.module_utils._checks_probe import (
    direct_ports,
    needs_direct,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    CODES,
    UNTESTED,
    VERDICTS,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._findings import Seen, finding
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import (
    Context,
    Direct,
    Log,
    TrafficPath,
    Unread,
    keep_pod,
    outcome_of,
    slices_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import modern_ingress
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import rows

OURS = {"app.kubernetes.io/managed-by": "kestrel.real_ip"}
APP = {"app": "echo"}
Json = dict[str, Any]


# --- A healthy way --------------------------------------------------------------------------------


def pod(name: str, node: str = "node1", **changes: Any) -> Json:
    ready = {"type": "Ready", "status": "True"}
    return {
        "metadata": {
            "name": name,
            "uid": f"u-{name}",
            "labels": {**OURS, **APP},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "echo-2"}],
        },
        "spec": {
            "nodeName": node,
            "containers": [
                {
                    "name": "app",
                    "image": "example.com/echo:2",
                    "ports": [{"containerPort": 5000}],
                    "resources": {"limits": {"memory": "64Mi"}},
                }
            ],
        },
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": f"10.244.1.{len(name)}"}],
            "conditions": [ready],
            "containerStatuses": [
                {
                    "name": "app",
                    "image": "example.com/echo:2",
                    "ready": True,
                    "restartCount": 0,
                    "state": {"running": {}},
                }
            ],
            **changes,
        },
    }


def replica_set(revision: int, **container: Any) -> Json:
    own = {"name": "app", "image": f"example.com/echo:{revision}", **container}
    return {
        "metadata": {
            "name": f"echo-{revision}",
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "ownerReferences": [{"kind": "Deployment", "name": "echo"}],
        },
        "spec": {"template": {"metadata": {"labels": APP}, "spec": {"containers": [own]}}},
    }


def healthy() -> Json:
    """The arguments of a TrafficPath on which nothing is wrong."""
    pods = [pod("echo-a"), pod("echo-bb", "node2")]
    newest = replica_set(2)
    return {
        "namespace": "shop",
        "kind": "Ingress",
        "name": "front",
        "expected_service": "echo",
        "service_name": "echo",
        "ingress": {
            "metadata": {"name": "front", "uid": "u", "labels": OURS, "annotations": {}},
            "spec": {
                "ingressClassName": "qcloud",
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {
                                        "service": {"name": "echo", "port": {"number": 80}}
                                    },
                                }
                            ]
                        }
                    }
                ],
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}},
        },
        "services": [
            {
                "metadata": {"name": "echo"},
                "spec": {
                    "type": "NodePort",
                    "selector": APP,
                    "ports": [{"port": 80, "targetPort": 5000, "nodePort": 30080}],
                },
            }
        ],
        "slices": [
            {
                "metadata": {
                    "name": "echo-x",
                    "labels": {
                        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"
                    },
                },
                "ports": [{"port": 5000}],
                "endpoints": [
                    {"addresses": [one["status"]["podIPs"][0]["ip"]], "conditions": {"ready": True}}
                    for one in pods
                ],
            }
        ],
        "pods": pods,
        "deployments": [
            {
                "metadata": {
                    "name": "echo",
                    "labels": OURS,
                    "annotations": {"deployment.kubernetes.io/revision": "2"},
                },
                "spec": {
                    "replicas": 2,
                    "selector": {"matchLabels": APP},
                    "template": newest["spec"]["template"],
                },
                "status": {},
            }
        ],
        "replica_sets": [replica_set(1), newest],
        "nodes": [
            {
                "metadata": {"name": name},
                "spec": {},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }
            for name in ("node1", "node2")
        ],
        "events": [],
        "classes": [],
        "space": {"metadata": {"name": "shop"}, "status": {}},
        "settings": {},
    }


# --- What breaks it -------------------------------------------------------------------------------

Break = Callable[[Json], None]


def every_pod(**status: Any) -> Break:
    """Change the state of the container in each pod, which is no longer ready."""

    def change(way: Json) -> None:
        for one in way["pods"]:
            own = one["status"]["containerStatuses"][0]
            own.update(ready=False, **status)
            one["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
        for endpoint in way["slices"][0]["endpoints"]:
            endpoint["conditions"]["ready"] = False

    return change


def waiting(reason: str, message: str = "", **more: Any) -> Break:
    return every_pod(state={"waiting": {"reason": reason, "message": message}}, **more)


def pull(message: str) -> Break:
    return waiting("ImagePullBackOff", f'Back-off pulling "x": ErrImagePull: rpc error: {message}')


def ended(reason: str, code: int, message: str = "") -> Break:
    last = {"terminated": {"reason": reason, "exitCode": code, "message": message}}
    return waiting("CrashLoopBackOff", lastState=last)


#: A time that the API server tells, and the same in seconds since the epoch
STARTED, STARTED_AT = "2026-01-02T03:04:05Z", 1767323045


def crashed_before(exit_code: int, age: float) -> Break:
    """The container runs for so many seconds after it ended, and counts as ready."""

    def change(way: Json) -> None:
        for one in way["pods"]:
            one["status"]["containerStatuses"][0].update(
                state={"running": {"startedAt": STARTED}},
                lastState={"terminated": {"reason": "Error", "exitCode": exit_code}},
            )
        way["now"] = STARTED_AT + age

    return both(change, status("502 Bad Gateway"), directly(direct("refused")))


def unscheduled(reasons: str, change: Break | None = None) -> Break:
    def changed(way: Json) -> None:
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": f"0/2 nodes are available: {reasons}. preemption: 0/2 nodes are available: "
            "2 Preemption is not helpful for scheduling.",
        }
        for one in way["pods"]:
            one["status"].update(
                conditions=[condition], containerStatuses=[], podIPs=[], phase="Pending"
            )
        way["slices"] = []
        if change:
            change(way)

    return changed


def refused(message: str) -> Break:
    def change(way: Json) -> None:
        way["pods"], way["slices"] = [], []
        way["deployments"][0]["status"]["conditions"] = [
            {
                "type": "ReplicaFailure",
                "status": "True",
                "reason": "FailedCreate",
                "message": f'pods "echo-2-" is forbidden: {message}',
            }
        ]

    return change


def put(*where: str | int, value: Any) -> Break:
    def change(way: Json) -> None:
        target: Any = way
        for key in where[:-1]:
            target = target[key]
        target[where[-1]] = value

    return change


def both(*changes: Break) -> Break:
    def change(way: Json) -> None:
        for one in changes:
            one(way)

    return change


def event(
    kind: str, name: str, message: str, reason: str = "x", uid: str = "u", **more: Any
) -> Break:
    def change(way: Json) -> None:
        way["events"].append(
            {
                **more,
                "reason": reason,
                "message": message,
                "involvedObject": {"kind": kind, "name": name, "uid": uid},
                "lastTimestamp": "2026-01-01T00:00:00Z",
                "metadata": {},
            }
        )

    return change


def of_pods(message: str, count: int = 3, uid: str = "u-echo-a") -> Break:
    failed = event("Pod", "echo-a", message, "Unhealthy", uid, count=count)
    return both(failed, every_pod(state={"running": {}}))


def probe(code: str, reason: str = "", **more: Any) -> Break:
    verdicts = {"0": "preserved", "1": "forgeable", "2": "lost", "3": "mixed", "5": "no_answer"}
    result = {
        "verdict": verdicts.get(code[1], "unproven"),
        "code": code,
        "reason": reason,
        "targets": [{"name": "198.51.100.1", "address": "198.51.100.1", "code": code}],
        "requests": {"answered": 0 if code[1] == "5" else 10, "unanswered": {}},
        **more,
    }
    return put("probe", value=result)


def status(text: str) -> Break:
    reason = f"198.51.100.1:80 answered 10 of 10 requests with HTTP status {text}"
    return probe("V516", reason, detail=text)


def direct(outcome: str, http: int = 0, port: int = 5000, scheme: str = "http") -> Direct:
    return Direct("echo-a", port, scheme, outcome, http, "said", 0.1)


def directly(*said: Direct) -> Break:
    return put("direct", value=list(said))


def no_address(way: Json) -> None:
    way["ingress"]["status"] = {}


def layer_4(policy: str = "Cluster") -> Break:
    def change(way: Json) -> None:
        way.update(kind="Service", name="echo", ingress=None, expected_service="")
        spec = way["services"][0]["spec"]
        spec.update(type="LoadBalancer", externalTrafficPolicy=policy)
        way["services"][0]["status"] = {"loadBalancer": {"ingress": [{"ip": "198.51.100.2"}]}}

    return change


def backends(first: str, second: str) -> Json:
    return {
        "expected": ["203.0.113.20"],
        "backends": [
            {"name": "echo-a", "node": "node1", "observed": {first: 5}},
            {"name": "echo-bb", "node": "node2", "observed": {second: 5}},
        ],
    }


def alone(way: Json) -> None:
    """A pod that no ReplicaSet made."""
    way["pods"][0]["metadata"]["ownerReferences"] = []


def tainted(way: Json) -> None:
    for node in way["nodes"]:
        node["spec"]["taints"] = [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]


def cordoned(way: Json) -> None:
    for node in way["nodes"]:
        node["spec"]["unschedulable"] = True


def selective(way: Json) -> None:
    way["deployments"][0]["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "fast"}


def other_command(way: Json) -> None:
    """The newest revision differs from the one before in more than the image."""
    for found in (way["deployments"][0], way["replica_sets"][1]):
        found["spec"]["template"]["spec"]["containers"][0]["command"] = ["false"]


DIRECT_KEY = "ingress.cloud.tencent.com/direct-access"


def switched(**data: str) -> Break:
    return put("settings", value=data)


def direct_access(manager: str = "") -> Break:
    """Direct access is on; ``manager`` says who wrote that, where it isn't who made the Ingress."""

    def change(way: Json) -> None:
        metadata = way["ingress"]["metadata"]
        metadata["annotations"] = {DIRECT_KEY: "true"}
        if manager:
            metadata["managedFields"] = [{"manager": manager, "annotation": DIRECT_KEY}]

    return change


def ranged(way: Json) -> None:
    """Pods have addresses of their nodes' ranges."""
    for node in way["nodes"]:
        node["spec"]["podCIDRs"] = ["10.244.1.0/24"]


def forwarding(kind: str) -> Break:
    rule = {"url": "/", "forwardType": kind}
    listener = {"protocol": "HTTP", "port": 80, "domains": [{"domain": "", "rules": [rule]}]}
    config = {"metadata": {"name": "way"}, "spec": {"loadBalancer": {"l7Listeners": [listener]}}}
    return put("balancing", value=config)


def stripped(way: Json) -> None:
    """Of the load balancer's headers all but one arrive, and that one not even from a client."""
    probe(
        "V209",
        forgery={"X-Forwarded-For": "dropped"},
        load_balancer_headers=["X-Stgw-Time"],
        safe_strategy={"strategy": "single_header", "header": "X-Real-IP"},
    )(way)


def older_that_failed(way: Json) -> None:
    """The newest revision differs in envFrom only; an older one had another image, and failed."""
    newest = replica_set(3, image="example.com/echo:2", envFrom=[{"configMapRef": {"name": "x"}}])
    way["replica_sets"] = [replica_set(1), replica_set(2), newest]
    way["deployments"][0]["spec"]["template"] = newest["spec"]["template"]
    way["deployments"][0]["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "3"
    for one in way["pods"]:
        one["metadata"]["ownerReferences"][0]["name"] = "echo-3"


def not_ours(way: Json) -> None:
    del way["deployments"][0]["metadata"]["labels"]


UNDO = "kubectl -n shop rollout undo deployment/echo --to-revision=1"
OUTSIDE = "203.0.113.20"
GATE = "cloud.tencent.com/load-balancer-backendgroup-ready"
TWO = {"strategy": "rightmost_trusted_count", "header": "X-Forwarded-For", "trusted_count": 2}


class Row(NamedTuple):
    """What is broken, the primary cause's code, its object, its fix, and what else is told."""

    change: Break
    code: str
    found: str
    fix: str
    kind: str = "command"
    also: tuple[str, ...] = ()


def _patch(kind: str, name: str, change: Any, how: str = " --type=json") -> str:
    text = shlex.quote(json.dumps(change, separators=(",", ":")))
    return f"kubectl -n shop patch {kind} {name}{how} -p {text}"


def _replace(where: str, value: Any) -> list[Json]:
    return [{"op": "replace", "path": where, "value": value}]


_BACKEND = "/spec/rules/0/http/paths/0/backend/service"
ROWS: dict[str, Row] = {
    "a right": Row(
        put(
            "denied",
            value=[
                Unread(
                    "list",
                    "apps",
                    "deployments",
                    "shop",
                    'deployments.apps is forbidden: User "system:serviceaccount:ops:bot" cannot',
                )
            ],
        ),
        "P003",
        "Right list deployments.apps",
        "kubectl -n shop create role real-ip-list-deployments-ops-bot --verb=list "
        "--resource=deployments.apps && kubectl -n shop create rolebinding "
        "real-ip-list-deployments-ops-bot --role=real-ip-list-deployments-ops-bot "
        "--serviceaccount=ops:bot",
    ),
    "another cluster": Row(
        both(
            put("space", value=None),
            put("context", value=Context("https://192.0.2.1:6443", "test", ["live"])),
        ),
        "P004",
        "Cluster test",
        "real_ip_context=live",
        "variable",
    ),
    "one of many other clusters": Row(
        both(
            put("space", value=None),
            put("context", value=Context("https://192.0.2.1:6443", "test", ["a", "b"])),
        ),
        "P004",
        "Cluster test",
        "Set real_ip_context to the one that was meant: a, b",
        "console",
    ),
    "no Ingress API": Row(
        both(
            put("ingress", value=None),
            put("unserved", value=True),
            put("versions", value={"": ["v1"], "apps": ["v1"]}),
        ),
        "P005",
        "Cluster API server",
        "Use Kubernetes 1.14",
        "console",
    ),
    "a read that fails": Row(
        both(
            put("events", value=None),
            put("failed", value=[Unread("list", "", "events", "", "timed out")]),
        ),
        "P006",
        "Read list events",
        "Run it again",
        "console",
    ),
    "namespace ends": Row(
        put("space", value={"metadata": {"name": "shop", "deletionTimestamp": "t"}, "status": {}}),
        "P101",
        "Namespace shop",
        "Wait until it is gone",
        "console",
    ),
    "nothing deploys": Row(
        both(put("pods", value=[]), put("deployments", value=[]), put("slices", value=[])),
        "P102",
        "Service echo",
        "ansible-playbook kestrel.real_ip.deploy -e real_ip_namespace=shop "
        "-e real_ip_name_prefix=echo",
        also=("P209",),
    ),
    "scaled to zero": Row(
        both(
            put("deployments", 0, "spec", "replicas", value=0),
            put("pods", value=[]),
            put("slices", value=[]),
        ),
        "P103",
        "Deployment echo",
        "kubectl -n shop scale deployment echo --replicas=2",
        also=("P209",),
    ),
    "quota": Row(
        refused("exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3"),
        "P111",
        "Deployment echo",
        _patch("resourcequota", "q", {"spec": {"hard": {"pods": "6"}}}, " --type=merge")
        + " && kubectl -n shop rollout restart deployment/echo",
        also=("P209",),
    ),
    "quota of memory": Row(
        refused("exceeded quota: q, requested: limits.memory=1Gi, used: x=1Mi, limited: x=1Gi"),
        "P111",
        "Deployment echo",
        "Raise the quota",
        "console",
        also=("P209",),
    ),
    "Pod Security": Row(
        refused('violates PodSecurity "restricted:latest": runAsNonRoot != true'),
        "P112",
        "Deployment echo",
        "real_ip_echo=bundled",
        "variable",
        also=("P209",),
    ),
    "admission policy": Row(
        refused("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"),
        "P113",
        "Deployment echo",
        "Ask who is responsible for p",
        "console",
        also=("P209",),
    ),
    "webhook denies": Row(
        refused('admission webhook "w.example" denied the request: no'),
        "P113",
        "Deployment echo",
        "Ask who is responsible for w.example",
        "console",
        also=("P209",),
    ),
    "webhook silent": Row(
        refused('Internal error occurred: failed calling webhook "w.example": timeout'),
        "P114",
        "Deployment echo",
        "Mend the webhook's service",
        "console",
        also=("P209",),
    ),
    "refused": Row(
        refused("something new"),
        "P119",
        "Deployment echo",
        "Change the Deployment",
        "console",
        also=("P209",),
    ),
    "taint": Row(
        unscheduled("2 node(s) had untolerated taint {gpu: yes}", tainted),
        "P121",
        "Pod echo-a",
        _patch(
            "deployment",
            "echo",
            [
                {
                    "op": "add",
                    "path": "/spec/template/spec/tolerations",
                    "value": [
                        {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}
                    ],
                }
            ],
        ),
        also=("P209",),
    ),
    "cordon": Row(
        unscheduled("2 node(s) were unschedulable", cordoned),
        "P122",
        "Pod echo-a",
        "kubectl uncordon node1 node2",
        also=("P209",),
    ),
    "cpu": Row(
        unscheduled("2 Insufficient cpu"),
        "P123",
        "Pod echo-a",
        "Add a node",
        "console",
        also=("P209",),
    ),
    "node selector": Row(
        unscheduled("2 node(s) didn't match Pod's node affinity/selector", selective),
        "P124",
        "Pod echo-a",
        _patch(
            "deployment", "echo", [{"op": "remove", "path": "/spec/template/spec/nodeSelector"}]
        ),
        also=("P209",),
    ),
    "node not ready": Row(
        put(
            "nodes",
            0,
            "status",
            "conditions",
            value=[
                {
                    "type": "Ready",
                    "status": "Unknown",
                    "reason": "NodeStatusUnknown",
                    "message": "m",
                }
            ],
        ),
        "P125",
        "Node node1",
        "Look at the node's kubelet",
        "console",
    ),
    "unscheduled otherwise": Row(
        unscheduled("2 node(s) had volume trouble"),
        "P129",
        "Pod echo-a",
        "Change what",
        "console",
        also=("P209",),
    ),
    "no image": Row(
        pull("example.com/echo:2: not found"), "P131", "Pod echo-a", UNDO, also=("P209",)
    ),
    "image refused": Row(
        pull("pull access denied, authorization failed"),
        "P132",
        "Pod echo-a",
        UNDO,
        also=("P209",),
    ),
    "too many pulls": Row(
        pull("429 Too Many Requests - toomanyrequests"), "P133", "Pod echo-a", UNDO, also=("P209",)
    ),
    "registry": Row(
        pull("dial tcp 192.0.2.1:443: connect: connection refused"),
        "P134",
        "Pod echo-a",
        UNDO,
        also=("P209",),
    ),
    "no match for platform": Row(
        pull("no match for platform in manifest: not found"),
        "P135",
        "Pod echo-a",
        UNDO,
        also=("P209",),
    ),
    "exec format": Row(
        both(
            ended("Error", 255),
            other_command,
            put("logs", value=[Log("echo-a", "app", ["exec /x: exec format error"])]),
        ),
        "P135",
        "Pod echo-a",
        UNDO,
        also=("P209",),
    ),
    "image name": Row(
        waiting("InvalidImageName", "couldn't parse"), "P136", "Pod echo-a", UNDO, also=("P209",)
    ),
    "pull otherwise": Row(pull("disk is full"), "P139", "Pod echo-a", UNDO, also=("P209",)),
    "memory": Row(
        both(ended("OOMKilled", 137), put("replica_sets", value=[replica_set(2)])),
        "P141",
        "Pod echo-a",
        "kubectl -n shop set resources deployment echo -c app --limits=memory=128Mi",
        also=("P209",),
    ),
    "crash": Row(
        both(ended("Error", 3, "boom"), other_command), "P142", "Pod echo-a", UNDO, also=("P209",)
    ),
    "crash a moment ago, without a readiness probe": Row(
        both(crashed_before(3, 2), other_command),
        "P142",
        "Pod echo-a",
        UNDO,
        also=("P208",),
    ),
    "crash long ago": Row(
        crashed_before(3, 3600),
        "P208",
        "Service echo",
        "Set the Service's targetPort to the port that the app listens on",
        "console",
    ),
    "end a moment ago, which was no crash": Row(
        crashed_before(0, 2),
        "P208",
        "Service echo",
        "Set the Service's targetPort to the port that the app listens on",
        "console",
    ),
    "crash of the only revision": Row(
        both(ended("Error", 3), put("replica_sets", value=[replica_set(2)])),
        "P142",
        "Pod echo-a",
        "real_ip_echo=bundled",
        "variable",
        also=("P209",),
    ),
    "config": Row(
        waiting("CreateContainerConfigError", 'configmap "x" not found'),
        "P143",
        "Pod echo-a",
        UNDO,
        also=("P209",),
    ),
    "config, after another revision that failed": Row(
        both(
            waiting("CreateContainerConfigError", 'configmap "x" not found'),
            older_that_failed,
        ),
        "P143",
        "Pod echo-a",
        "kubectl -n shop rollout undo deployment/echo --to-revision=2",
        also=("P209",),
    ),
    "app's port": Row(
        of_pods("Readiness probe failed: dial tcp 10.244.1.6:5000: connect: connection refused"),
        "P151",
        "Pod echo-a",
        UNDO,
        also=("P209",),
    ),
    "readiness": Row(
        both(
            of_pods("Readiness probe failed: HTTP probe failed with statuscode: 500"),
            put("replica_sets", value=[replica_set(2)]),
        ),
        "P152",
        "Pod echo-a",
        _patch(
            "deployment",
            "echo",
            [
                {
                    "op": "add",
                    "path": "/spec/template/spec/containers/0/readinessProbe",
                    "value": {"tcpSocket": {"port": 5000}, "periodSeconds": 1},
                }
            ],
        ),
        also=("P209",),
    ),
    "gate": Row(
        both(
            put("pods", 0, "spec", "readinessGates", value=[{"conditionType": GATE}]),
            put("pods", 0, "status", "conditions", value=[{"type": "Ready", "status": "False"}]),
        ),
        "P153",
        "Pod echo-a",
        "Let the security group of the pods admit",
        "console",
    ),
    "no Ingress": Row(
        put("ingress", value=None),
        "P201",
        "Ingress front",
        "ansible-playbook kestrel.real_ip.deploy -e real_ip_namespace=shop "
        "-e real_ip_name_prefix=echo",
    ),
    "no Service": Row(
        both(
            put("service_name", value="ekho"),
            put(
                "ingress",
                "spec",
                "rules",
                0,
                "http",
                "paths",
                0,
                "backend",
                "service",
                "name",
                value="ekho",
            ),
            put("pods", value=[]),
            put("slices", value=[]),
        ),
        "P202",
        "Service ekho",
        _patch("ingress", "front", _replace(f"{_BACKEND}/name", "echo")),
    ),
    "another Service": Row(
        both(
            put("service_name", value="other"),
            put(
                "ingress",
                "spec",
                "rules",
                0,
                "http",
                "paths",
                0,
                "backend",
                "service",
                "name",
                value="other",
            ),
            lambda way: way["services"].append(
                {**copy.deepcopy(way["services"][0]), "metadata": {"name": "other"}}
            ),
        ),
        "P203",
        "Ingress front",
        _patch("ingress", "front", _replace(f"{_BACKEND}/name", "echo")),
    ),
    "no port": Row(
        put("services", 0, "spec", "ports", 0, "port", value=8080),
        "P204",
        "Service echo",
        _patch("ingress", "front", _replace(f"{_BACKEND}/port", {"number": 8080})),
    ),
    "ClusterIP": Row(
        put("services", 0, "spec", "type", value="ClusterIP"),
        "P205",
        "Service echo",
        _patch("service", "echo", {"spec": {"type": "NodePort"}}, ""),
    ),
    "selector": Row(
        both(
            put("services", 0, "spec", "selector", value={"app": "no"}),
            put("pods", value=[]),
            put("slices", value=[]),
        ),
        "P206",
        "Service echo",
        _patch("service", "echo", _replace("/spec/selector", APP)),
        also=("P209",),
    ),
    "no selector": Row(
        both(
            put("services", 0, "spec", "selector", value=None),
            put("pods", value=[]),
            put("slices", value=[]),
        ),
        "P207",
        "Service echo",
        _patch("service", "echo", {"spec": {"selector": APP}}, " --type=merge"),
        also=("P209",),
    ),
    "target port": Row(
        both(
            put("services", 0, "spec", "ports", 0, "targetPort", value=5999),
            status("502 Bad Gateway"),
            directly(direct("refused", port=5999), direct("answers", 200)),
        ),
        "P208",
        "Service echo",
        _patch("service", "echo", _replace("/spec/ports/0/targetPort", 5000)),
    ),
    "no endpoint": Row(
        put("slices", value=[]), "P209", "Service echo", "Mend the pods: ", "console"
    ),
    "stale endpoint": Row(
        lambda way: way["slices"].append(
            {
                "metadata": {"name": "old", "labels": {}},
                "endpoints": [{"addresses": ["192.0.2.9"], "conditions": {"ready": True}}],
            }
        ),
        "P210",
        "EndpointSlice old",
        "kubectl -n shop delete endpointslice old",
    ),
    "deletion": Row(
        lambda way: way["ingress"]["metadata"].update(deletionTimestamp="t", finalizers=["f/x"]),
        "P301",
        "Ingress front",
        "Let the controller of the finalizer finish",
        "console",
    ),
    "two classes": Row(
        put("ingress", "metadata", "annotations", value={"kubernetes.io/ingress.class": "nginx"}),
        "P302",
        "Ingress front",
        "kubectl -n shop annotate ingress front kubernetes.io/ingress.class-",
    ),
    "class": Row(
        both(put("ingress", "spec", "ingressClassName", value="nginx"), no_address),
        "P303",
        "Ingress front",
        _patch("ingress", "front", {"spec": {"ingressClassName": "qcloud"}}, " --type=merge"),
        also=("P306",),
    ),
    "class, while pods start": Row(
        both(
            put("ingress", "spec", "ingressClassName", value="nginx"),
            put("slices", value=[]),
            no_address,
        ),
        "P303",
        "Ingress front",
        _patch("ingress", "front", {"spec": {"ingressClassName": "qcloud"}}, " --type=merge"),
        also=("P209", "P306"),
    ),
    "class, while probes of starting pods fail": Row(
        both(
            put("ingress", "spec", "ingressClassName", value="nginx"),
            # The first one, and those of an earlier pod of that name, as of a StatefulSet.
            of_pods("Startup probe failed: connect: connection refused", count=1),
            of_pods("Startup probe failed: connect: connection refused", uid="u-before"),
            no_address,
        ),
        "P303",
        "Ingress front",
        _patch("ingress", "front", {"spec": {"ingressClassName": "qcloud"}}, " --type=merge"),
        also=("P209", "P306"),
    ),
    "no address, while pods start": Row(
        both(put("slices", value=[]), no_address),
        "P209",
        "Service echo",
        "Mend the pods: ",
        "console",
        also=("P306",),
    ),
    "class where there is one of another kind": Row(
        both(
            put("ingress", "spec", "ingressClassName", value="nginx"),
            put("settings", value=None),
            put("classes", value=[{"metadata": {"name": "contour"}}]),
            no_address,
        ),
        "P303",
        "Ingress front",
        _patch("ingress", "front", {"spec": {"ingressClassName": "contour"}}, " --type=merge"),
        also=("P306",),
    ),
    "class where there are two": Row(
        both(
            put("ingress", "spec", "ingressClassName", value="nginx"),
            put("settings", value=None),
            put("classes", value=[{"metadata": {"name": one}} for one in ("contour", "other")]),
            no_address,
        ),
        "P303",
        "Ingress front",
        "Name a class that the cluster has",
        "console",
        also=("P306",),
    ),
    "controller": Row(
        both(put("settings", value={"EnableIngressController": "false"}), no_address),
        "P304",
        "ConfigMap tke-service-controller-config",
        "kubectl -n kube-system patch configmap tke-service-controller-config --type=merge -p "
        + shlex.quote('{"data":{"EnableIngressController":"true"}}'),
        also=("P306",),
    ),
    "TKE's code": Row(
        both(
            event("Ingress", "front", 'IngressErrorCode{Code:"E4027",Message:"m",Retry:true}'),
            no_address,
        ),
        "P305",
        "Ingress front",
        "No documented fix",
        "console",
        also=("P306",),
    ),
    "no address": Row(no_address, "P306", "Ingress front", "See that the controller", "console"),
    "no address of a Service": Row(
        both(layer_4(), put("services", 0, "status", value={})),
        "P306",
        "Service echo",
        "See that what makes load balancers for Services",
        "console",
    ),
    "no name": Row(
        probe("V501", "no address was found for lb.example"),
        "P307",
        "Ingress front",
        "Let the prober use a resolver",
        "console",
    ),
    "host": Row(
        both(
            put("ingress", "spec", "rules", 0, "host", value="shop.example.com"),
            status("403 Forbidden"),
        ),
        "P308",
        "Ingress front",
        "real_ip_host=shop.example.com",
        "variable",
    ),
    "no host, which CLB takes for its own address": Row(
        both(put("host", value="shop.example.com"), status("403 Forbidden")),
        "P308",
        "Ingress front",
        "Give the rule the host shop.example.com, or leave real_ip_url",
        "console",
    ),
    "path": Row(
        both(
            put("ingress", "spec", "rules", 0, "http", "paths", 0, "path", value="/api"),
            status("404 Not Found"),
        ),
        "P309",
        "Ingress front",
        "real_ip_path=/api",
        "variable",
    ),
    "the app's own 404": Row(
        both(status("404 Not Found"), directly(direct("answers", 404))),
        "P310",
        "Pod echo-a",
        "Deploy an app that answers /",
        "console",
    ),
    "app fails since the newest revision": Row(
        both(status("500 Oops"), directly(direct("answers", 500))), "P310", "Pod echo-a", UNDO
    ),
    "redirect": Row(
        probe("V517", "redirects", detail="https://198.51.100.1/"),
        "P311",
        "Ingress front",
        "real_ip_url=https://198.51.100.1/",
        "variable",
    ),
    "redirect by annotation": Row(
        both(
            put(
                "ingress",
                "metadata",
                "annotations",
                value={"ingress.cloud.tencent.com/auto-rewrite": "true"},
            ),
            probe("V517", "redirects", detail="https://x/"),
        ),
        "P311",
        "Ingress front",
        "real_ip_url=https://x/",
        "variable",
    ),
    "direct by default": Row(
        both(switched(EnableDefaultDirectAccess="true"), direct_access("tke")),
        "P313",
        "Ingress front",
        f"kubectl -n shop annotate ingress front --overwrite {DIRECT_KEY}=false",
    ),
    "direct when made anew": Row(
        switched(EnableDefaultDirectAccess="true"),
        "P313",
        "Ingress front",
        f"kubectl -n shop annotate ingress front --overwrite {DIRECT_KEY}=false",
    ),
    "direct, not on GlobalRouter": Row(
        both(switched(), direct_access(), ranged, status("502 Bad Gateway")),
        "P314",
        "Ingress front",
        "kubectl -n kube-system patch configmap tke-service-controller-config --type=merge -p "
        '\'{"data":{"GlobalRouteDirectAccess":"true"}}\'',
    ),
    "firewall": Row(
        both(status("403 Forbidden, Server: waf"), directly(direct("answers", 200))),
        "P315",
        "Ingress front",
        "Let the firewall (WAF)",
        "console",
    ),
    "firewall, and the app could not be asked": Row(
        status("403 Forbidden"), "P315", "Ingress front", "Let the firewall (WAF)", "console"
    ),
    "direct by default, and closed": Row(
        both(
            switched(EnableDefaultDirectAccess="true"),
            direct_access("tke"),
            status("504 Gateway Timeout"),
            directly(direct("answers", 200)),
        ),
        "P407",
        "Ingress front",
        f"kubectl -n shop annotate ingress front --overwrite {DIRECT_KEY}=false",
        also=("P313",),
    ),
    "a proxy of the prober": Row(
        both(probe("V504"), put("proxies", value={"http_proxy": "http://192.0.2.8:3128"})),
        "P408",
        "Ingress front",
        "Probe from a machine",
        "console",
    ),
    "HTTPS to HTTP": Row(
        both(status("502 Bad Gateway"), directly(direct("answers", 200)), forwarding("HTTPS")),
        "P409",
        "TkeServiceConfig way",
        "Set forwardType: HTTP",
        "console",
    ),
    "security group": Row(
        probe("V504"), "P401", "Ingress front", "Open the port for the client", "console"
    ),
    "listener": Row(probe("V503"), "P402", "Ingress front", "See whether the listener", "console"),
    "node port": Row(
        both(status("504 Gateway Timeout"), directly(direct("answers", 200))),
        "P403",
        "Service echo",
        "Open the node port for the clients",
        "console",
    ),
    "slow": Row(
        both(
            status("504 Gateway Timeout"),
            directly(direct("timeout")),
            put("replica_sets", value=[replica_set(2)]),
        ),
        "P404",
        "Pod echo-a",
        "Make the app quicker",
        "console",
    ),
    "slow since the newest revision": Row(
        both(status("504 Gateway Timeout"), directly(direct("timeout"))),
        "P404",
        "Pod echo-a",
        UNDO,
    ),
    "protocol": Row(
        both(
            status("502 Bad Gateway"),
            directly(direct("other"), direct("answers", 200, scheme="https")),
            put("replica_sets", value=[replica_set(2)]),
        ),
        "P405",
        "Pod echo-a",
        "Let the load balancer speak HTTPS",
        "console",
    ),
    "Local": Row(
        both(
            layer_4("Local"),
            put("pods", value=[pod("echo-a")]),
            put(
                "slices",
                0,
                "endpoints",
                value=[{"addresses": ["10.244.1.6"], "conditions": {"ready": True}}],
            ),
            probe("V415", requests={"answered": 5, "unanswered": {"V504": 5}}),
        ),
        "P406",
        "Service echo",
        "kubectl -n shop annotate service echo --overwrite "
        "service.kubernetes.io/local-svc-only-bind-node-with-pod=true",
    ),
    "Cluster": Row(
        both(layer_4(), probe("V202", observed={"10.244.1.1": 10})),
        "P501",
        "Service echo",
        _patch("service", "echo", {"spec": {"externalTrafficPolicy": "Local"}}, ""),
    ),
    "two proxies": Row(
        probe("V208", "entry 2", safe_strategy=TWO),
        "P502",
        "Ingress front",
        "real_ip_strategy=rightmost_trusted_count real_ip_header=X-Forwarded-For "
        "real_ip_trusted_count=2",
        "variable",
    ),
    "no header at layer 4": Row(
        both(layer_4(), probe("V209")), "P503", "Service echo", "real_ip_layer=l4", "variable"
    ),
    "no header at layer 7": Row(
        probe("V209", safe_strategy=None),
        "P503",
        "Ingress front",
        "Let the load balancer write the header",
        "console",
    ),
    "forgeable": Row(
        probe("V101", safe_strategy={"strategy": "single_header", "header": "X-Real-IP"}),
        "P504",
        "Ingress front",
        "real_ip_strategy=single_header real_ip_header=X-Real-IP",
        "variable",
    ),
    "forgeable, nothing safe": Row(
        probe("V102", safe_strategy=None),
        "P504",
        "Ingress front",
        "Let the load balancer write the header anew",
        "console",
    ),
    "bypass": Row(
        probe("V103"), "P505", "Ingress front", "Let the load balancer, and the nodes", "console"
    ),
    "one replica": Row(
        both(alone, probe("V301", **backends("10.244.2.1", OUTSIDE))),
        "P506",
        "Pod echo-a",
        "kubectl -n shop delete pod echo-a",
    ),
    "one node": Row(
        probe("V301", **backends("10.244.1.1", OUTSIDE)),
        "P507",
        "Node node1",
        "Compare the node's rules",
        "console",
    ),
    "sidecar": Row(
        both(
            lambda way: [
                one["spec"]["containers"].append({"name": "proxy"}) for one in way["pods"]
            ],
            probe("V205", observed={"127.0.0.6": 10}),
        ),
        "P508",
        "Pod echo-a",
        "Let the sidecar keep",
        "console",
    ),
    "from a node": Row(
        probe("V421", vantage="node"), "P509", "Ingress front", "Run the playbook from", "console"
    ),
    "no expectation": Row(
        probe("V401"), "P510", "Ingress front", "Set real_ip_expected_source", "console"
    ),
    "NAT": Row(
        probe("V207", observed={"8.8.8.8": 10}), "P511", "Ingress front", "Find out with", "console"
    ),
    "header taken away": Row(
        both(other_command, stripped),
        "P513",
        "Deployment echo",
        UNDO,
    ),
    "header taken away by one pod": Row(
        probe("V301", **backends("none", OUTSIDE)),
        "P513",
        "Pod echo-a",
        "Let the app's server",
        "console",
    ),
    "PROXY protocol": Row(
        probe("V104"), "P514", "Ingress front", "Accept the PROXY protocol from", "console"
    ),
    "peer from a header": Row(
        both(layer_4(), probe("V426")), "P515", "Service echo", "real_ip_echo=bundled", "variable"
    ),
    "no peer": Row(probe("V427"), "P516", "Ingress front", "real_ip_echo=bundled", "variable"),
    "no peer, and no app of ours": Row(
        both(not_ours, probe("V417")), "P516", "Ingress front", "Use an app that tells", "console"
    ),
    "expected too much": Row(
        probe("V428"), "P517", "Ingress front", "Set real_ip_expected_source", "console"
    ),
    "on the proxy itself": Row(
        probe("V429"), "P518", "Ingress front", "Run the playbook from another", "console"
    ),
    "proxy in the cluster": Row(
        probe("V202", observed={"10.244.1.7": 10}),
        "P512",
        "Ingress front",
        "Set externalTrafficPolicy: Local on that",
        "console",
    ),
}

#: Only told beside something else, or where the API server can't be read.
ELSEWHERE = {"P001", "P002", "P007", "P312"}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_the_cause(row: Row) -> None:
    way = healthy()
    row.change(way)
    found = diagnose(TrafficPath(**way))
    codes = [one["code"] for one in found]
    assert codes == [row.code, *row.also], found
    cause = found[0]
    assert cause["object"] == row.found
    assert cause["fix_kind"] == row.kind
    if row.kind == "console":
        assert cause["fix"].startswith(row.fix), cause["fix"]
    else:
        assert cause["fix"] == row.fix
    for text in (cause["evidence"], cause["cause"], cause["fix"], cause["see"]):
        assert text
        assert not re.search(r"[{]\w+[}]", text), text
    # Every command that is typed as it stands goes to the cluster that was read, but for one that
    # somebody else has to type: a right is given by who has more.
    begin = "kubectl --context live"
    context = way.get("context", Context())._replace(kubectl=begin)
    there = diagnose(TrafficPath(**{**way, "context": context}))[0]
    typed = row.kind == "command" and row.code != "P003"
    commands = ("see", "fix") if typed else ("see",)
    for text in (re.sub(r"(^|&& )kubectl ", rf"\1{begin} ", cause[one]) for one in commands):
        assert text in (there["see"], there["fix"])
    assert (there["fix"] == cause["fix"]) == (not typed or "kubectl " not in row.fix)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # Said by who made the Ingress, or not by the switch
        (both(switched(EnableDefaultDirectAccess="true"), direct_access()), []),
        (direct_access("tke"), []),
        (both(switched(EnableDefaultDirectAccess="false"), direct_access("tke")), []),
        # Allowed, another network, or it works all the same
        (
            both(
                switched(GlobalRouteDirectAccess="true"),
                direct_access(),
                ranged,
                status("502 Bad Gateway"),
            ),
            [],
        ),
        (
            both(
                switched(EnableDefaultDirectAccess="true"),
                direct_access(),
                ranged,
                status("502 Bad Gateway"),
            ),
            [],
        ),
        (both(switched(), direct_access(), status("502 Bad Gateway")), []),
        (both(switched(), direct_access(), ranged, probe("V001")), []),
        (both(put("settings", value=None), direct_access(), ranged, status("502 x")), []),
        # Another context, and the namespace is there, may not be read, or there is no other one
        (put("context", value=Context("s", "test", ["live"])), []),
        (both(put("space", value=None), put("context", value=Context("s", "test"))), []),
        (
            both(
                put("space", value=None),
                put("failed", value=[Unread("get", "", "namespaces", "", "timed out")]),
                put("context", value=Context("s", "test", ["live"])),
            ),
            ["P006"],
        ),
        # What only forged requests meet, the app's own refusal, and a Host without a rule
        (probe("V001", forgery={"X-Forwarded-For": "refused"}), []),
        (both(status("403 Forbidden"), directly(direct("answers", 403))), ["P310"]),
        (
            both(status("403 Forbidden"), put("ingress", "spec", "rules", 0, "host", value="a.b")),
            ["P308"],
        ),
        # A rule without a host is for every one, with who isn't TKE
        (
            both(
                put("ingress", "spec", "ingressClassName", value="nginx"),
                put("host", value="shop.example.com"),
                status("403 Forbidden"),
            ),
            ["P315"],
        ),
        # A proxy in the environment of a probe that arrives
        (both(probe("V001"), put("proxies", value={"http_proxy": "http://192.0.2.8"})), []),
        (both(probe("V503"), put("proxies", value={"http_proxy": "http://192.0.2.8"})), ["P402"]),
        # HTTP to HTTP, and HTTPS to HTTPS
        (
            both(status("504 x"), directly(direct("answers", 200)), forwarding("HTTP")),
            ["P403"],
        ),
        (both(probe("V001"), forwarding("HTTPS")), []),
        # A balancer that hands on what the client writes doesn't write the header itself
        (
            probe(
                "V209",
                forgery={"X-Forwarded-For": "passed_through"},
                load_balancer_headers=["X-Stgw-Time"],
            ),
            ["P503"],
        ),
        (probe("V209", forgery={"X-Forwarded-For": "dropped"}), ["P503"]),
        # Another address isn't a header that is missing
        (probe("V301", **backends("10.244.1.1", OUTSIDE)), ["P507"]),
    ],
)
def test_the_neighbour_is_another(change: Break, expected: list[str]) -> None:
    way = healthy()
    change(way)
    assert [one["code"] for one in diagnose(TrafficPath(**way))] == expected


def test_a_healthy_way_has_no_finding() -> None:
    assert diagnose(TrafficPath(**healthy())) == []
    way = healthy()
    probe("V001", observed={OUTSIDE: 10})(way)
    # Events are kept for an hour: of a fault that was mended they say nothing.
    event("Ingress", "front", 'IngressErrorCode{Code:"E4027",Message:"m",Retry:true}')(way)
    assert diagnose(TrafficPath(**way)) == []


def test_events_of_an_earlier_object_of_the_same_name_say_nothing() -> None:
    way = healthy()
    event("Ingress", "front", 'IngressErrorCode{Code:"E4027",Message:"m",Retry:true}', uid="v")(way)
    no_address(way)
    assert [one["code"] for one in diagnose(TrafficPath(**way))] == ["P306"]


@pytest.mark.parametrize(
    ("written", "expected"), [("2026-01-01T00:00:01Z", False), ("2025-12-31T23:59:59Z", True)]
)
def test_an_error_that_is_over_is_no_cause(written: str, expected: bool) -> None:
    """An address was written since: what kept it from being made was mended."""
    way = healthy()
    event("Ingress", "front", 'IngressErrorCode{Code:"E4003",Message:"m",Retry:true}')(way)
    way["ingress"]["metadata"]["managedFields"] = [{"subresource": "status", "time": written}]
    probe("V504")(way)
    codes = [one["code"] for one in diagnose(TrafficPath(**way))]
    assert codes == (["P305", "P401"] if expected else ["P401"])


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("qcloud", ["nginx"], True),
        ("", [], True),
        ("", ["nginx"], False),
        ("nginx", ["nginx"], False),
    ],
)
def test_only_clb_needs_node_ports(name: str, classes: list[str], expected: bool) -> None:
    way = healthy()
    way["ingress"]["spec"]["ingressClassName"] = name
    way["classes"] = [{"metadata": {"name": one}} for one in classes]
    put("services", 0, "spec", "type", value="ClusterIP")(way)
    put("settings", value={"EnableIngressController": "false"})(way)
    codes = [one["code"] for one in diagnose(TrafficPath(**way))]
    assert codes == (["P205", "P304"] if expected else [])


#: Bad verdicts for which the objects have no cause, so that the page shows the verdict's own fix.
OWN_FIX = {
    *(
        "V105",
        "V203",
        "V204",
        "V303",
        "V403",
        "V404",
        "V405",
        "V407",
        "V409",
        "V410",
        "V411",
        "V413",
        "V431",
    ),
    *("V414", "V415", "V416", "V418", "V419", "V420", "V422", "V424", "V506", "V507", "V508"),
    *(
        "V514",
        "V515",
        "V516",
        "V518",
        "V519",
        "V520",
        "V521",
        "V522",
        "V523",
        "V524",
        "V525",
    ),
    # With an app that was asked itself, or backends that differ, they have a cause; see above.
    *("V301", "V302", "V509", "V510", "V511", "V512", "V513"),
}


@pytest.mark.parametrize(
    "code", [code for code, row in CODES.items() if row.verdict not in (UNTESTED, VERDICTS[-1])]
)
def test_a_bad_verdict_has_a_cause_or_its_own_fix(code: str) -> None:
    way = healthy()
    probe(code, fix="what the verdict says")(way)
    found = diagnose(TrafficPath(**way))
    causes = [one for one in found if one["severity"] == "error"]
    assert (not causes) == (code in OWN_FIX)
    cause = causes[0] if causes else None
    result = {**way["probe"], "address": [], "observed": {}, "expected": [], "expected_from": None}
    told = rows(result, way["probe"], [], {"cause": cause, "findings": found})
    [(_label, fix)] = [one for one in told if one[0] in ("type", "set", "fix")]
    assert fix == (cause["fix"] if cause else "what the verdict says")


def test_what_somebody_else_misspelt_is_not_deployed() -> None:
    for name in ("no Ingress", "nothing deploys"):
        way = healthy()
        ROWS[name].change(way)
        [cause, *_others] = diagnose(TrafficPath(**{**way, "expected_service": ""}))
        assert (cause["code"], cause["fix_kind"]) == (ROWS[name].code, "console")
    way = healthy()
    layer_4()(way)
    [cause, *_others] = diagnose(TrafficPath(**{**way, "services": [], "service_name": "ekho"}))
    assert (cause["code"], cause["fix_kind"]) == ("P202", "console")


def test_every_cause_has_a_row() -> None:
    assert {row.code for row in ROWS.values()} | ELSEWHERE == {*CAUSES}


@pytest.mark.parametrize("name", ROWS)
def test_what_could_not_be_read_is_not_taken_for_wrong(name: str) -> None:
    """Where a list is missing, the cause may not be found, but none is made up instead."""
    way = healthy()
    ROWS[name].change(way)
    whole = {one["code"] for one in diagnose(TrafficPath(**way))}
    for key in ("services", "slices", "pods", "deployments", "replica_sets", "nodes", "events"):
        partial = {one["code"] for one in diagnose(TrafficPath(**{**way, key: None}))}
        assert partial <= whole | {"P123", "P139", "P142", "P209"}, key


def test_a_name_instead_of_an_address_is_an_information() -> None:
    way = healthy()
    way["ingress"]["status"]["loadBalancer"]["ingress"] = [{"hostname": "lb.example"}]
    [found] = diagnose(TrafficPath(**way))
    assert (found["code"], found["severity"]) == ("P312", "info")


def test_where_two_things_are_wrong_the_one_nearer_to_the_root_is_the_cause() -> None:
    way = healthy()
    pull("not found")(way)
    status("502 Bad Gateway")(way)
    put("services", 0, "spec", "type", value="ClusterIP")(way)
    codes = [one["code"] for one in diagnose(TrafficPath(**way))]
    assert codes == ["P131", "P205", "P209"]


def test_hostile_text_reaches_nobody() -> None:
    way = healthy()
    waiting("ImagePullBackOff", "rror \x1b[31m\u202e{namespace} {0} not found")(way)
    way["pods"][0]["status"]["containerStatuses"][0]["image"] = "\x1b]0;x\x07"
    for one in diagnose(TrafficPath(**way)):
        assert all(str(text).isprintable() for text in one.values())
    told = finding(
        TrafficPath("shop", "Ingress", "front"),
        Seen("P206", "Service", "a\x1b", "\x1b", {"selector": "x", "patch": "\x1b"}),
    )
    assert told["fix_kind"] == "console"
    assert all(str(text).isprintable() for text in told.values())


def test_fix_kinds() -> None:
    assert {row.kind for row in ROWS.values()} <= {*FIX_KINDS}


# --- Asking an app itself -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda way: None, False),
        (status("502 Bad Gateway"), True),
        (status("404 Not Found"), True),
        (probe("V509"), True),
        (probe("V513"), True),
        (probe("V504"), False),
        (both(status("502 Bad Gateway"), every_pod(state={})), False),
        (probe("V415", requests={"answered": 5, "unanswered": {"V516": 5}}), True),
        (probe("V001"), False),
    ],
)
def test_when_an_app_is_asked(change: Break, expected: bool) -> None:
    way = healthy()
    change(way)
    assert needs_direct(TrafficPath(**way)) == expected


def test_a_slice_of_strangers_is_told_once() -> None:
    way = healthy()
    strangers = [{"addresses": [f"10.9.0.{number}"]} for number in range(100)]
    way["slices"].append({"metadata": {"name": "old"}, "endpoints": strangers})
    [one] = diagnose(TrafficPath(**way))
    assert (one["code"], one["object"]) == ("P210", "EndpointSlice old")
    assert "10.9.0.0, 10.9.0.1," in one["evidence"]


class Counted(list[Json]):
    """A list that knows how often it was walked through."""

    walks = 0

    def __iter__(self) -> Iterator[Json]:
        self.walks += 1
        return super().__iter__()


def test_events_are_not_looked_through_for_each_pod() -> None:
    def walks(count: int) -> int:
        way = healthy()
        way["pods"] = [pod(f"echo-{number}") for number in range(count)]
        every_pod(state={"running": {}})(way)
        event("Pod", "another", "", "Unhealthy")(way)
        way["events"] = Counted(way["events"])
        diagnose(TrafficPath(**way))
        return int(way["events"].walks)

    assert walks(2) == walks(200)


def test_which_ports_are_asked() -> None:
    way = healthy()
    assert direct_ports(TrafficPath(**way)) == [5000]
    way["slices"][0]["ports"] = [{"port": 5999}]
    assert direct_ports(TrafficPath(**way)) == [5999, 5000]


@pytest.mark.parametrize(
    ("http", "text", "expected"),
    [
        (200, "hello", "answers"),
        (404, "not here", "answers"),
        (500, "", "answers"),
        (503, "the app is busy", "answers"),
        (503, '{"message": "dial tcp 10.0.0.1:5: connect: connection refused"}', "refused"),
        (503, '{"message": "context deadline exceeded"}', "timeout"),
        (502, '{"message": "malformed HTTP response"}', "other"),
        (403, '{"kind": "Status", "message": "pods/proxy is forbidden"}', "denied"),
        (403, "go away", "answers"),
        (0, "Read timed out.", "timeout"),
        (0, "Connection aborted", "other"),
    ],
)
def test_outcome(http: int, text: str, expected: str) -> None:
    assert outcome_of(http, text) == expected


# --- Reading --------------------------------------------------------------------------------------


def test_nothing_of_a_pod_is_kept_that_could_be_a_secret() -> None:
    full = pod("echo-a")
    full["metadata"]["annotations"] = {"token": "s3cret"}
    full["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": "s3cret"}]
    full["spec"]["containers"][0]["command"] = ["app", "--token=s3cret"]
    assert "s3cret" not in json.dumps(keep_pod(full))


def test_a_pod_of_kubernetes_before_1_16_has_its_address() -> None:
    kept = keep_pod({"metadata": {"name": "a"}, "status": {"podIP": "10.244.1.2"}})
    assert kept["status"] == {"podIPs": [{"ip": "10.244.1.2"}]}


def test_an_older_ingress_has_todays_shape() -> None:
    old = {
        "metadata": {"name": "front"},
        "spec": {
            "backend": {"serviceName": "rest", "servicePort": "http"},
            "rules": [
                {"http": {"paths": [{"backend": {"serviceName": "echo", "servicePort": 80}}]}}
            ],
        },
    }
    spec = modern_ingress(old)["spec"]
    assert spec["defaultBackend"] == {"service": {"name": "rest", "port": {"name": "http"}}}
    [path] = spec["rules"][0]["http"]["paths"]
    assert path["backend"] == {"service": {"name": "echo", "port": {"number": 80}}}
    new = healthy()["ingress"]
    assert modern_ingress(new)["spec"] == new["spec"]


def test_endpoints_say_the_same_as_slices() -> None:
    found = slices_of(
        {
            "metadata": {"name": "echo"},
            "subsets": [
                {
                    "addresses": [{"ip": "10.244.1.6", "nodeName": "node1"}],
                    "notReadyAddresses": [{"ip": "10.244.1.7"}],
                    "ports": [{"port": 5000}],
                }
            ],
        }
    )
    [one] = found
    assert [entry["conditions"]["ready"] for entry in one["endpoints"]] == [True, False]
    assert one["ports"] == [{"port": 5000}]


def test_the_header_that_is_missing_is_the_one_that_the_strategy_reads() -> None:
    way = healthy()
    probe("V209", "a header is missing", detail="Forwarded")(way)
    [found] = diagnose(TrafficPath(**way))
    assert (found["code"], found["cause"].partition(":")[0]) == (
        "P503",
        "The request arrives without Forwarded",
    )
