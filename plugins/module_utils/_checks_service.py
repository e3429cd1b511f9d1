# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Checks of what leads to the pods: Service, ports, selector and endpoints."""

from __future__ import annotations

import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils import _objects as objects
from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import labels_match
from ansible_collections.kestrel.real_ip.plugins.module_utils._findings import Seen
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import joined, phrase
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import (
    SLICE_CONTROLLER,
    SLICE_MANAGER,
    Object,
    TrafficPath,
    named,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import is_port

# --- Service --------------------------------------------------------------------------------------


def ingress_missing(path: TrafficPath) -> t.Iterator[Seen]:
    """There is no Ingress of this name, and it may be read."""
    known = not objects.is_unread(path, "ingresses") and not path.unserved
    if path.kind == "Ingress" and path.ingress is None and known:
        fix = objects.deploying(path)
        yield Seen("P201", "Ingress", path.name, _not_found(path), {}, *fix)


def _not_found(path: TrafficPath) -> str:
    return phrase("404 from {asked}", asked=_asked(path))


def _asked(path: TrafficPath) -> str:
    """Which API server said so, where another context may be the one that was meant."""
    context = path.context
    if not context.others:
        return phrase("the API server")
    return phrase(
        "{server} (context {name}; the kubeconfig has {others} as well)",
        server=context.server,
        name=context.name,
        others=", ".join(context.others),
    )


def _backend_place(path: TrafficPath) -> tuple[str, t.Mapping[str, t.Any]]:
    """JSON path and content of the backend that leads to the Service at hand."""
    for where, _host, entry in objects.rule_places(path):
        service = (entry.get("backend") or {}).get("service") or {}
        if service.get("name") == path.service_name:
            return where, service
    default = (objects.spec(path.ingress).get("defaultBackend") or {}).get("service") or {}
    return "/spec/defaultBackend/service", default


def _better_service(path: TrafficPath) -> str:
    """The Service that was meant: the expected one, else the only one with a Deployment's pods."""
    names = [objects.name(one) for one in path.services or ()]
    if path.expected_service in names:
        return path.expected_service
    templates = [
        (objects.template(one).get("metadata") or {}).get("labels")
        for one in path.deployments or ()
    ]
    leading = [
        objects.name(one)
        for one in path.services or ()
        if any(
            labels_match(labels, objects.spec(one).get("selector") or {}) for labels in templates
        )
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
            _not_found(path),
            {"by": phrase("The playbook"), "ingress": "", "patch": ""},
            phrase("Name a Service that exists"),
            "console",
        )
        return
    if path.ingress is None:
        return
    where, _service = _backend_place(path)
    better = _better_service(path)
    event = objects.tke_event(path, "E4041")
    evidence = f"Ingress {path.name} {where.strip('/').replace('/', '.')}.name: {path.service_name}"
    yield Seen(
        "P202",
        "Service",
        path.service_name,
        joined("", [evidence, event]),
        {
            "by": phrase("The Ingress {name}", name=path.name),
            "ingress": path.name,
            "patch": objects.patch([{"op": "replace", "path": f"{where}/name", "value": better}]),
        },
        None if better else phrase("Create the Service, or name one that exists in the Ingress"),
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
    patch = objects.patch(
        [{"op": "replace", "path": f"{where}/name", "value": path.expected_service}]
    )
    facts = {"seen": path.service_name, "service": path.expected_service, "patch": patch}
    yield Seen(
        "P203",
        "Ingress",
        path.name,
        f"{where.strip('/').replace('/', '.')}.name: {path.service_name}",
        facts,
        *((None, "") if known else objects.deploying(path)),
    )


def port_missing(path: TrafficPath) -> t.Iterator[Seen]:
    """The Ingress names a port that its Service doesn't have."""
    if path.ingress is None or path.service is None:
        return
    where, backend = _backend_place(path)
    port = backend.get("port") or {}
    ports = objects.spec(path.service).get("ports") or []
    wanted = port.get("number", port.get("name"))
    if wanted is None or any(is_port(one, port) for one in ports):
        return
    shown = ", ".join(str(one.get("port")) for one in ports) or phrase("none")
    patch = [{"op": "replace", "path": f"{where}/port", "value": {"number": ports[0]["port"]}}]
    one = len(ports) == 1
    yield Seen(
        "P204",
        "Service",
        path.service_name,
        phrase(
            "Ingress {name} names port {port}, the Service has {ports}{event}",
            name=path.name,
            port=wanted,
            ports=shown,
            event=objects.tke_event(path, "E4042"),
        ),
        {
            "ingress": path.name,
            "port": wanted,
            "ports": phrase("it has {ports}", ports=shown),
            "patch": objects.patch(patch) if one else "",
        },
        None if one else phrase("Name one of the Service's ports in the Ingress"),
        "" if one else "console",
    )


def cluster_ip(path: TrafficPath) -> t.Iterator[Seen]:
    """CLB without direct access in front of a Service without node port."""
    kind = objects.spec(path.service).get("type", "ClusterIP")
    if path.service is None or not objects.is_clb(path) or objects.direct_access(path):
        return
    if kind == "ClusterIP":
        yield Seen(
            "P205",
            "Service",
            path.service_name,
            joined("", ["spec.type: ClusterIP", objects.tke_event(path, "E4047")]),
            {"patch": objects.patch({"spec": {"type": "NodePort"}})},
        )


def selector(path: TrafficPath) -> t.Iterator[Seen]:
    """A Service that takes no pod, while there are pods that it could be meant for."""
    service = path.service
    if service is None or path.pods is None or path.deployments is None:
        return
    if objects.spec(service).get("type") == "ExternalName":
        return
    wanted = objects.selector(path)
    meant = objects.candidates(path)
    facts: dict[str, t.Any] = {"selector": _labels(wanted), "patch": ""}
    right = _right_selector(meant[0]) if len(meant) == 1 else None
    if not wanted:
        if objects.endpoint_addresses(path) and not meant:
            return
        facts["patch"] = objects.patch({"spec": {"selector": right}})
        number, evidence = "P207", phrase("spec.selector: none")
    elif not path.pods and not objects.behind(path) and meant:
        change = [{"op": "replace", "path": "/spec/selector", "value": right}]
        facts["patch"] = objects.patch(change)
        number, evidence = "P206", phrase("spec.selector: {labels}, 0 pods", labels=_labels(wanted))
    else:
        return
    yield Seen(
        number,
        "Service",
        path.service_name,
        evidence,
        facts,
        None if right else phrase("Set the selector to labels that the pods carry"),
        "" if right else "console",
    )


def _labels(labels: t.Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or phrase("none")


def _right_selector(deployment: Object) -> dict[str, str] | None:
    """What a Deployment itself knows its pods by."""
    return dict((objects.spec(deployment).get("selector") or {}).get("matchLabels") or {}) or None


def _is_ready(endpoint: t.Mapping[str, t.Any]) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is not False


def no_endpoint(path: TrafficPath) -> t.Iterator[Seen]:
    """No endpoint is ready: what comes of all that is wrong with pods and selectors."""
    if path.slices is None or path.service is None:
        return
    if objects.spec(path.service).get("type") == "ExternalName":
        return
    states = [_is_ready(endpoint) for _slice, endpoint in objects.endpoints(path)]
    if not any(states):
        unready = phrase("{count} endpoints, none of them ready", count=len(states))
        detail = unready if states else phrase("no endpoint")
        evidence = joined("", ["EndpointSlices: ", detail])
        yield Seen("P209", "Service", path.service_name, evidence, {"detail": detail})


_SLICE_MANAGERS = (SLICE_CONTROLLER, "endpointslicemirroring-controller.k8s.io")


def strangers(path: TrafficPath) -> t.Iterator[Seen]:
    """Endpoints beside the pods that the Service selects."""
    if path.pods is None or not objects.selector(path):
        return
    own = {
        entry.get("ip") for pod in path.pods for entry in objects.status(pod).get("podIPs") or []
    }
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
                objects.name(one),
                phrase(
                    "endpoints.addresses: {addresses}, managed by {manager}",
                    addresses=", ".join(lost),
                    manager=manager or phrase("nobody"),
                ),
                {"address": ", ".join(lost)},
            )
