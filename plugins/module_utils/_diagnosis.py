# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""One diagnosis: read the way, ask an app itself where that tells more, judge, and show the way."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import ready_pods
from ansible_collections.kestrel.real_ip.plugins.module_utils._causes import HOPS
from ansible_collections.kestrel.real_ip.plugins.module_utils._checks import diagnose
from ansible_collections.kestrel.real_ip.plugins.module_utils._checks_pods import crashing
from ansible_collections.kestrel.real_ip.plugins.module_utils._checks_probe import (
    direct_ports,
    needs_direct,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import printable
from ansible_collections.kestrel.real_ip.plugins.module_utils._findings import Seen, finding
from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import (
    Cluster,
    ClusterError,
    NoConfiguration,
    contexts_of,
    kubectl,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    in_language,
    joined,
    phrase,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._objects import node_ports
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import (
    Context,
    Direct,
    Log,
    Object,
    TrafficPath,
    ask,
    read_path,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._proxies import proxies_of
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses

Result = dict[str, t.Any]

_LINES = 10
_LINE = 300
#: What kubelet says in the place of a log that is gone
_NO_LOG = "unable to retrieve container logs"


def diagnosis(module: t.Any) -> Result:
    """What traffic_path_info returns. An API server that doesn't answer is a finding as well."""
    params = module.params
    cluster = None
    try:
        cluster = Cluster(module)
        path = read_path(cluster, params["namespace"], params, params["probe"])
        path = path._replace(now=time.time())
        context, others = contexts_of(params)
        begin = kubectl(params, context, others)
        path = path._replace(
            context=Context(cluster.server, context or "", others, begin),
            proxies=proxies_of(os.environ, addresses(path.front or {})),
            direct=tuple(_direct(cluster, path)),
            logs=tuple(_logs(cluster, path, params["show_logs"])),
        )
        findings = diagnose(path)
    except ClusterError as error:
        kind = "Ingress" if params["ingress"] else "Service"
        path = TrafficPath(params["namespace"], kind, params["ingress"] or params["service"])
        findings = [_unread(path, error, *contexts_of(params))]
    cause = next((one for one in findings if one["severity"] == "error"), None)
    found = {
        "path": picture(path, cause),
        "findings": findings,
        "cause": cause,
        "logs": [
            {**log._asdict(), "lines": [printable(line, _LINE) for line in log.lines]}
            for log in path.logs
        ],
        "requests": cluster.requests if cluster else 0,
    }
    return dict(in_language(found, params["language"]))


def _unread(
    path: TrafficPath, error: ClusterError, context: str | None, others: t.Sequence[str]
) -> Result:
    """The finding of an API server that nothing names, that can't be asked, or knew us not."""
    if isinstance(error, NoConfiguration):
        number, name = "P007", "kubeconfig"
    else:
        number, name = "P002" if error.status == 401 else "P001", "API server"
    told = phrase(
        "; context: {context}, others: {others}", context=context, others=", ".join(others)
    )
    seen, __, mend = str(error).partition(" Next: ")
    seen, mend, detail = (
        joined("", [one, told if others else ""]) for one in (seen, mend or seen, error)
    )
    return finding(path, Seen(number, "Cluster", name, seen, {"detail": detail, "next": mend}))


def _direct(cluster: Cluster, path: TrafficPath) -> t.Iterator[Direct]:
    """What a ready pod says itself: at the Service's port, and where that fails at others."""
    if not needs_direct(path):
        return
    pod = ready_pods(path.pods or [])[0]
    for number, port in enumerate(direct_ports(path)):
        said = ask(cluster, path.namespace, pod, port, "http", path.path)
        if said.outcome == "denied":
            return
        yield said
        if said.outcome == "answers":
            return
        if said.outcome == "other" and not number:
            yield ask(cluster, path.namespace, pod, port, "https", path.path)


def _logs(cluster: Cluster, path: TrafficPath, whose: str) -> t.Iterator[Log]:
    """The last lines that crashing containers have written, from whom they may be shown."""
    if whose == "none":
        return
    for pod, container, running in crashing(path, only_own=whose == "own"):
        url = f"/api/v1/namespaces/{path.namespace}/pods/{pod}/log?container={container}"
        url += f"&tailLines={_LINES}&limitBytes=8192"
        # Of one that has just ended, the one before it may be gone; and since its state was read,
        # one may have started that hasn't written anything yet.
        previous = f"{url}&previous=true"
        for asked in (previous, url) if running else (url, previous):
            status, text = cluster.ask(asked, 5)
            lines = [line for line in text.splitlines() if not line.startswith(_NO_LOG)]
            if status == 200 and lines:
                yield Log(pod, container, lines[-_LINES:])
                break


# --- The picture of the way -----------------------------------------------------------------------


def picture(path: TrafficPath, cause: Result | None) -> list[Result]:
    """Each part of the way with its objects, and where the cause is."""
    told: dict[str, list[str]] = {
        "client": [],
        "balancer": addresses(path.front or {}),
        "ingress": list(_ingress(path)),
        "service": list(_service(path)),
        "node": list(_nodes(path)),
        "pod": list(_pods(path)),
    }
    return [
        {
            "hop": hop,
            "objects": [printable(text, 120) for text in told[hop]],
            "broken": cause is not None and cause["hop"] == hop,
        }
        for hop in HOPS
        if hop != "ingress" or path.kind == "Ingress"
    ]


def _ingress(path: TrafficPath) -> t.Iterator[str]:
    if path.ingress is not None:
        yield phrase(
            "{name}: {host}{path} to {service}",
            name=path.name,
            host=path.host or phrase("any host"),
            path=path.path,
            service=path.service_name or phrase("nothing"),
        )


def _service(path: TrafficPath) -> t.Iterator[str]:
    if path.service is None:
        return
    spec = path.service.get("spec") or {}
    ports = joined(
        ", ",
        (
            phrase(
                "{port} to {target}",
                port=one.get("port"),
                target=one.get("targetPort", one.get("port")),
            )
            for one in spec.get("ports") or []
        ),
    )
    policy = spec.get("externalTrafficPolicy")
    shown = f", externalTrafficPolicy {policy}" if policy else ""
    kind = spec.get("type", "ClusterIP")
    yield joined("", [f"{path.service_name}: {kind}, ", ports, shown])


def _nodes(path: TrafficPath) -> t.Iterator[str]:
    names = {(pod.get("spec") or {}).get("nodeName") for pod in path.pods or ()}
    known = sorted(name for name in names if name)
    ports = node_ports(path)
    if known:
        more = phrase(" and {count} more", count=len(known) - 4) if len(known) > 4 else ""
        yield joined("", [", ".join(known[:4]), more])
    if ports:
        yield phrase("node port {ports}", ports=", ".join(ports))


def _pods(path: TrafficPath) -> t.Iterator[str]:
    if path.pods is None:
        yield phrase("not readable")
        return
    ready = set(ready_pods(path.pods))
    if path.service is not None:
        yield phrase("{ready} of {count} ready", ready=len(ready), count=len(path.pods))
    for pod in [one for one in path.pods if one["metadata"]["name"] not in ready][:3]:
        yield joined("", [f"{pod['metadata']['name']}: ", _state(pod)])


def _state(pod: Object) -> str:
    """A pod's state as ``kubectl get pods`` shows it."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = pod.get("status") or {}
    for one in status.get("containerStatuses") or []:
        state = one.get("state") or {}
        reason = (state.get("waiting") or state.get("terminated") or {}).get("reason")
        if reason:
            return str(reason)
    return phrase("{phase}, not ready", phase=status.get("phase", "Unknown"))
