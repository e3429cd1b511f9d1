# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Checks of what a client gets, joined with the objects on its way."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils import _objects as objects
from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import ready_pods
from ansible_collections.kestrel.real_ip.plugins.module_utils._findings import Seen
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import joined, phrase
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import (
    Object,
    TrafficPath,
    named,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import covers, under
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import annotations_of

# --- What the probe saw ---------------------------------------------------------------------------


def _code(path: TrafficPath) -> str:
    return str((path.probe or {}).get("code") or "")


def _reason(path: TrafficPath) -> str:
    return f"{_code(path)}: {(path.probe or {}).get('reason')}"


def _detail(path: TrafficPath) -> str:
    """What the verdict is about; a reason is for persons and can be in any language."""
    return str((path.probe or {}).get("detail") or "")


def _with_reason(path: TrafficPath, told: str) -> str:
    return joined("; ", [told, _reason(path)])


def _target(path: TrafficPath) -> t.Mapping[str, t.Any]:
    """The address that decided."""
    probe = path.probe or {}
    same = [one for one in probe.get("targets") or [] if one.get("code") == probe.get("code")]
    return same[0] if same else {}


def _failures(path: TrafficPath) -> t.Mapping[str, int]:
    return ((path.probe or {}).get("requests") or {}).get("unanswered") or {}


def _http_status(path: TrafficPath) -> int:
    """The HTTP status of a probe that got one instead of an answer, 0 for none."""
    found = re.match(r"\d{3}\b", _detail(path))
    return int(found.group()) if _code(path) == "V516" and found else 0


def _observed(found: t.Mapping[str, t.Any]) -> str:
    """The addresses that a probe or a backend saw; ``none`` stands for no address."""
    seen = found.get("observed") or {}
    return joined(", ", (phrase("none") if one == "none" else one for one in seen))


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
    if not number:
        return
    kind, name, facts = _balancer(path)
    evidence = _reason(path)
    if path.proxies and number == "P401":
        number = "P408"
        variable, proxy = min(path.proxies.items())
        told = phrase("environment: {variable}={proxy}", variable=variable, proxy=proxy)
        evidence = joined("; ", [evidence, told])
        facts = {**facts, "variable": variable, "proxy": proxy}
    yield Seen(number, kind, name, evidence, facts)


def _hosts(path: TrafficPath) -> list[str]:
    return [str(rule.get("host") or "") for rule in objects.spec(path.ingress).get("rules") or []]


def no_rule(path: TrafficPath) -> t.Iterator[Seen]:
    """A request that no rule of the Ingress takes, as far as an answer doesn't say otherwise."""
    status = _http_status(path)
    if path.ingress is None or (path.probe and status not in (403, 404)):
        return
    hosts = _hosts(path)
    # Of a rule without a host TKE makes one for the load balancer's own address.
    is_own = bool(path.host) and objects.is_clb(path) and status == 403
    if hosts and not any(covers(host, path.host) for host in hosts if host or not is_own):
        wanted = next((host for host in hosts if host and not host.startswith("*")), "")
        told = joined(", ", (host or phrase("the load balancer's own address") for host in hosts))
        facts = {
            "hosts": told,
            "asked": path.host or phrase("the address without a name"),
            "host": wanted,
        }
        evidence = f"spec.rules.host: {', '.join(host or '-' for host in hosts)}"
        seen = Seen("P308", "Ingress", path.name, evidence, facts)
        if "" in hosts:
            fix = phrase(
                "Give the rule the host {asked}, or leave real_ip_url and real_ip_host unset",
                asked=path.host,
            )
        else:
            fix = phrase("Set real_ip_host to a name under the rule's wildcard")
        yield seen if wanted else seen._replace(fix=fix, fix_kind="console")
        return
    rules = [
        (str(entry.get("path") or "/"), str(entry.get("pathType", "")))
        for _w, host, entry in objects.rule_places(path)
        if covers(host, path.host)
    ]
    paths = [prefix for prefix, _kind in rules]
    if rules and not any(under(path.path, *rule) for rule in rules):
        facts = {"paths": ", ".join(paths), "asked": path.path, "path": paths[0]}
        yield Seen(
            "P309", "Ingress", path.name, f"spec.rules.http.paths: {', '.join(paths)}", facts
        )


def refused_in_front(path: TrafficPath) -> t.Iterator[Seen]:
    """A 403 although there is a rule for the request, and it isn't the app's own."""
    if path.ingress is None or _http_status(path) != 403 or any(no_rule(path)):
        return
    said = path.direct[0] if path.direct else None
    if not _hosts(path) or (said and said.status == 403):
        return
    detail = (
        phrase("asked directly, the app answers {status}", status=said.status)
        if said and said.outcome == "answers"
        else phrase("whether the app itself refuses it could not be asked")
    )
    kind, name, facts = _balancer(path)
    yield Seen(
        "P315", kind, name, joined("; ", [_reason(path), detail]), {**facts, "detail": detail}
    )


_REWRITE = "ingress.cloud.tencent.com/auto-rewrite"


def redirected(path: TrafficPath) -> t.Iterator[Seen]:
    """The load balancer redirects. That is mostly meant, so that nothing of it is to be undone."""
    if _code(path) != "V517":
        return
    location = _detail(path) or phrase("another address")
    rewrite = annotations_of(path.ingress).get(_REWRITE) == "true"
    by = phrase(", by the annotation {key}", key=_REWRITE)
    facts = {"location": location, "detail": by if rewrite else ""}
    if re.fullmatch(r"https?://[\w.:\[\]/?=&%~-]+", location):
        yield Seen("P311", path.kind, path.name, _reason(path), facts)
    else:
        fix = phrase("Probe where it leads to, with real_ip_url")
        yield Seen("P311", path.kind, path.name, _reason(path), facts, fix, "console")


_GATEWAY = (502, 503, 504)
#: Verdicts of a load balancer that takes a connection and hands on no HTTP
_HANGS = ("V509", "V510", "V511", "V512", "V513")


def needs_direct(path: TrafficPath) -> bool:
    """Would asking a pod directly tell more? Only where one is ready and nothing answers."""
    failed = _http_status(path) >= 400 or _code(path) in _HANGS
    partly = not failed and any(code in ("V516", *_HANGS) for code in _failures(path))
    return (failed or partly) and bool(ready_pods(path.pods or []))


def direct_ports(path: TrafficPath) -> list[int]:
    """The ports of a pod that are worth asking: the Service's, then those that it declares."""
    service = [port.get("port") for one in path.slices or () for port in one.get("ports") or []]
    ready = set(ready_pods(path.pods or []))
    pod = next((one for one in path.pods or () if objects.name(one) in ready), {})
    declared = [
        port.get("containerPort")
        for one in objects.spec(pod).get("containers") or []
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
    said = phrase(
        "asked directly, pod {pod} port {port}: {said}",
        pod=first.pod,
        port=first.port,
        said=_said(first),
    )
    evidence = joined("; ", [_reason(path), said])
    others = [one for one in path.direct[1:] if one.outcome == "answers"]
    if first.outcome == "refused":
        yield _wrong_port(path, evidence, first, others, facts)
    elif first.outcome == "timeout":
        yield Seen("P404", "Pod", first.pod, evidence, facts, *_without_change(path, first))
    elif first.outcome == "other":
        known = any(one.scheme == "https" for one in others)
        facts["scheme"] = "HTTPS" if known else phrase("another protocol than HTTP")
        yield Seen("P405", "Pod", first.pod, evidence, facts, *_without_change(path, first))
    elif (
        first.outcome == "answers" and status and first.status == status and status not in _GATEWAY
    ):
        # Another path may be all that is wrong; a server's error comes of what it runs.
        fix = _without_change(path, first) if status >= 500 else (None, "")
        yield Seen("P310", "Pod", first.pod, evidence, facts, *fix)
    elif first.outcome == "answers" and (status in _GATEWAY or _code(path) in _HANGS):
        yield _node_port(path, evidence, facts)


_FORWARD = "forwardType"


def _speaks_https(found: Object | None) -> bool:
    """Does a TkeServiceConfig have the load balancer speak HTTPS to backends?"""
    balancer = objects.spec(found).get("loadBalancer") or {}
    return any(
        rule.get(_FORWARD) == "HTTPS"
        for listener in balancer.get("l7Listeners") or []
        for domain in listener.get("domains") or []
        for rule in domain.get("rules") or []
    )


def _said(one: t.Any) -> str:
    told = f"HTTP {one.status}" if one.status else one.detail
    return phrase(
        "{outcome} ({told}) after {seconds} s",
        outcome=phrase(one.outcome),
        told=told[:200],
        seconds=one.seconds,
    )


def _wrong_port(
    path: TrafficPath,
    evidence: str,
    first: t.Any,
    others: t.Sequence[t.Any],
    facts: dict[str, t.Any],
) -> Seen:
    facts["detail"] = phrase("the connection is refused")
    ports = objects.spec(path.service).get("ports") or []
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
        facts["patch"] = objects.patch([{"op": "replace", "path": where, "value": right}])
        return Seen("P208", "Service", path.service_name, evidence, facts)
    fix = phrase("Set the Service's targetPort to the port that the app listens on")
    return Seen("P208", "Service", path.service_name, evidence, facts, fix, "console")


def _without_change(path: TrafficPath, first: t.Any) -> tuple[str | None, str]:
    """Fix and its kind where an older revision ran something else, else the row's own."""
    pod = named(path.pods, first.pod)
    if pod is None:
        return None, ""
    container = str((objects.spec(pod).get("containers") or [{}])[0].get("name", ""))
    runs = objects.container_field(container, *objects.RUN_BY)
    back = objects.undo(path, objects.deployment_of(path, pod), runs)
    return (back, "command") if back else (None, "")


def _node_port(path: TrafficPath, evidence: str, facts: dict[str, t.Any]) -> Seen:
    config = path.balancing
    if config is not None and _speaks_https(config) and path.direct[0].scheme == "http":
        field = f"spec.loadBalancer.l7Listeners.domains.rules.{_FORWARD}: HTTPS"
        told = joined("; ", [field, evidence])
        return Seen("P409", "TkeServiceConfig", objects.name(config), told, facts)
    turned = objects.turned_direct(path)
    if turned:
        more = {"detail": turned, "annotation": objects.direct_key(path)}
        return Seen(
            "P407", path.kind, path.name, joined("; ", [turned, evidence]), {**facts, **more}
        )
    ports = objects.node_ports(path)
    shown = {**facts, "port": ", ".join(ports) or facts["port"]}
    if not ports or objects.direct_access(path):
        fix = phrase("Open the container's port in the security group of the pods")
        return Seen("P403", "Service", path.service_name, evidence, shown, fix, "console")
    return Seen("P403", "Service", path.service_name, evidence, shown)


def local_without_pod(path: TrafficPath) -> t.Iterator[Seen]:
    """Nodes without a pod get requests that they drop."""
    if objects.spec(path.service).get("externalTrafficPolicy") != "Local" or path.nodes is None:
        return
    if not any(code in ("V504", "V503", "V509", "V511", "V525") for code in _failures(path)):
        return
    ready = set(ready_pods(path.pods or []))
    with_pod = {
        objects.spec(pod).get("nodeName") for pod in path.pods or () if objects.name(pod) in ready
    }
    without = [objects.name(node) for node in path.nodes if objects.name(node) not in with_pod]
    if with_pod and without:
        detail = phrase("no ready pod on {nodes}", nodes=", ".join(without))
        yield Seen(
            "P406",
            "Service",
            path.service_name,
            joined("; ", ["spec.externalTrafficPolicy: Local", detail, _reason(path)]),
            {"detail": detail},
        )


# --- An address that doesn't arrive ---------------------------------------------------------------


def _variables(strategy: Object | None) -> str:
    """A strategy that was seen to be safe, as ``real_ip_*`` variables."""
    return " ".join(f"real_ip_{key}={value}" for key, value in (strategy or {}).items())


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
    "V429": "P518",
    "V104": "P514",
    "V426": "P515",
    "V417": "P516",
    "V425": "P516",
    "V427": "P516",
    "V428": "P517",
    "V430": "P517",
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
        "header": (number == "P503" and _detail(path)) or phrase("the header"),
        "place": phrase(probe.get("vantage") or "node"),
        "seen": _observed(probe) or phrase("another address"),
    }
    setting = _variables(probe.get("safe_strategy"))
    if number == "P503" and _is_stripped(probe):
        yield from _stripped(path, probe)
        return
    if number in ("P515", "P516"):
        deployments = [one for one in objects.behind(path) if objects.is_managed(one)]
        instead = objects.bundled_instead(deployments[0] if deployments else None)
        yield Seen(number, path.kind, path.name, _reason(path), facts, *instead)
        return
    if number in ("P502", "P503", "P504") and setting and path.kind == "Ingress":
        yield Seen(number, path.kind, path.name, _reason(path), facts, setting, "variable")
        return
    if number == "P503" and path.kind == "Ingress":
        fix = phrase(
            "Let the load balancer write the header, or probe the layer-7 load balancer's address"
        )
        yield Seen(number, path.kind, path.name, _reason(path), facts, fix, "console")
        return
    yield Seen(number, path.kind, path.name, _reason(path), facts)


_FORWARDED = "X-Forwarded-For"


def _is_stripped(probe: Object) -> bool:
    """Do the balancer's own headers arrive, and X-Forwarded-For not even as a client wrote it?

    A load balancer that doesn't write it hands on what the client wrote.
    """
    fate = (probe.get("forgery") or {}).get(_FORWARDED)
    return bool(probe.get("load_balancer_headers")) and fate == "dropped"


def _stripped(path: TrafficPath, probe: Object) -> t.Iterator[Seen]:
    found = objects.behind(path)
    dropped = phrase("a forged {header}: dropped", header=_FORWARDED)
    evidence = joined("; ", [_reason(path), dropped])
    if len(found) != 1:
        yield _stripped_by(path.kind, path.name, evidence, probe)
        return
    [deployment] = found
    container = str((objects.containers(deployment) or [{}])[0].get("name", ""))
    back = objects.undo(path, deployment, objects.container_field(container, *objects.RUN_BY))
    seen = _stripped_by("Deployment", objects.name(deployment), evidence, probe)
    yield seen._replace(fix=back, fix_kind="command" if back else "")


def _stripped_by(kind: str, name: str, evidence: str, probe: Object) -> Seen:
    marks = ", ".join(probe.get("load_balancer_headers") or []) or phrase("none is known")
    arrived = phrase("arrived: {marks}", marks=marks)
    return Seen("P513", kind, name, joined("; ", [evidence, arrived]), {"marks": marks})


def replaced_by_nodes(path: TrafficPath) -> t.Iterator[Seen]:
    """A node's or pod's address arrives."""
    if _code(path) not in ("V201", "V202"):
        return
    policy = objects.spec(path.service).get("externalTrafficPolicy", "Cluster")
    if path.kind == "Service" and policy == "Cluster" and not objects.direct_access(path):
        yield Seen(
            "P501",
            "Service",
            path.service_name,
            _with_reason(path, f"spec.externalTrafficPolicy: {policy}"),
            {"patch": objects.patch({"spec": {"externalTrafficPolicy": "Local"}})},
        )
        return
    seen = _observed(path.probe or {})
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
        seen = _observed(one)
        pod = named(path.pods, str(one.get("name")))
        node = one.get("node") or objects.spec(pod).get("nodeName")
        current = pod is not None and _of_newest(path, pod)
        where = {"name": one.get("name"), "node": node, "seen": seen}
        evidence = _with_reason(path, phrase("backend {name} on {node}: {seen}", **where))
        elsewhere = {other.get("node") or "" for other in fine}
        if pod is not None and not current:
            yield Seen("P506", "Pod", objects.name(pod), evidence, {"seen": seen})
        elif pod is not None and set(one.get("observed") or {}) == {"none"}:
            # A node can change an address, and no header.
            yield _stripped_by("Pod", objects.name(pod), evidence, probe)
            return
        elif node and node not in elsewhere:
            yield Seen("P507", "Node", str(node), evidence, {"seen": seen})
            return


def _of_newest(path: TrafficPath, pod: Object) -> bool:
    """Was the pod made by the newest ReplicaSet of a Deployment?"""
    deployment = objects.deployment_of(path, pod)
    replica_set = named(path.replica_sets, objects.owner(pod, "ReplicaSet"))
    if deployment is None or replica_set is None:
        return False
    return objects.revision(replica_set) == objects.revision(deployment)


def sidecar(path: TrafficPath) -> t.Iterator[Seen]:
    """A loopback address arrives."""
    if _code(path) != "V205":
        return
    pod = next(
        (one for one in objects.alive(path) if len(objects.spec(one).get("containers") or []) > 1),
        None,
    )
    seen = _observed(path.probe or {})
    if pod is None:
        yield Seen(
            "P508",
            path.kind,
            path.name,
            _reason(path),
            {"seen": seen, "detail": phrase("no sidecar seen")},
        )
        return
    names = ", ".join(str(one["name"]) for one in objects.spec(pod)["containers"])

    def count(found: Object) -> int:
        return len(objects.containers(found))

    undo = objects.undo(path, objects.deployment_of(path, pod), count)
    yield Seen(
        "P508",
        "Pod",
        objects.name(pod),
        _with_reason(path, phrase("containers: {names}", names=names)),
        {"seen": seen, "detail": phrase("the containers {names}", names=names)},
        undo,
        "command" if undo else "",
    )
