# SPDX-License-Identifier: GPL-3.0-or-later
"""Readiness gates of direct access: pods get one, and are ready once their balancer reaches them.

The API server asks the stand-in's webhook about each new pod; the controller checks the pods that
wait. Decisions are pure functions over the cluster's objects.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from lab import balancing, shell
from lab.balancing import INGRESS, SERVICE, Cluster, JsonObject

#: The condition that pods wait for.
GATE: Final = "cloud.tencent.com/load-balancer-backendgroup-ready"

#: Seconds that a pod may take to accept a connection; and a client of the webhook for its request.
_HEALTH_CHECK: Final = 0.5
_REQUEST: Final = 5.0

PATH: Final = "/gates"


def direct_services(cluster: Cluster) -> Iterator[JsonObject]:
    """Yield each Service whose pods a balancer reaches directly, by itself or by an Ingress."""
    if not cluster.reaches_pods:
        return
    by_ingress = {
        (item["metadata"]["namespace"], name)
        for item in cluster.ingresses
        if balancing.is_direct(INGRESS, item)
        for name in balancing.service_names(item)
    }
    for item in cluster.services:
        metadata = item["metadata"]
        named = (metadata["namespace"], metadata["name"]) in by_ingress
        if named or balancing.is_direct(SERVICE, item):
            yield item


def patch_for(pod: JsonObject, namespace: str, cluster: Cluster) -> list[dict[str, Any]]:
    """Return the JSON patch (RFC 6902) that is due on a new pod: the gate, if it needs one."""
    labels = (pod["metadata"].get("labels") or {}).items()
    selectors = [
        service["spec"].get("selector") or {}
        for service in direct_services(cluster)
        if service["metadata"]["namespace"] == namespace
    ]
    gates = pod["spec"].get("readinessGates") or []
    wanted = any(selector and selector.items() <= labels for selector in selectors)
    if not wanted or any(gate["conditionType"] == GATE for gate in gates):
        return []
    value = [*gates, {"conditionType": GATE}]
    return [{"op": "add", "path": "/spec/readinessGates", "value": value}]


@dataclass(frozen=True, order=True)
class Waiting:
    """A pod behind a balancer that isn't ready: ``ports`` are those that the balancer uses."""

    namespace: str
    name: str
    uid: str
    address: str
    ports: tuple[int, ...]


def waiting(cluster: Cluster) -> list[Waiting]:
    """Return the pods of direct balancers that aren't ready, one for each of their addresses."""
    found = set()
    for service in direct_services(cluster):
        for part in balancing.slices_of(service, cluster.slices):
            ports = tuple(
                sorted(
                    port["port"]
                    for port in part.get("ports") or ()
                    if port.get("protocol", "TCP") == "TCP"
                )
            )
            for endpoint in part.get("endpoints") or ():
                target = endpoint.get("targetRef") or {}
                ready = (endpoint.get("conditions") or {}).get("ready") is not False
                if target.get("kind") != "Pod" or ready:
                    continue
                for address in endpoint["addresses"]:
                    namespace = part["metadata"]["namespace"]
                    found.add(Waiting(namespace, target["name"], target["uid"], address, ports))
    return sorted(found)


def is_open(pod: JsonObject) -> bool:
    """Tell whether a pod has no gate, or no longer waits at it."""
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return GATE not in gates or any(
        condition["type"] == GATE and condition["status"] == "True" for condition in conditions
    )


def answers(one: Waiting) -> bool:
    """Tell whether a pod accepts connections on all ports: the health check of layer 4."""
    try:
        for port in one.ports:
            socket.create_connection((one.address, port), timeout=_HEALTH_CHECK).close()
    except OSError:
        return False
    return True


def healthy(found: Sequence[Waiting]) -> set[str]:
    """Return the uids of those pods that answer on all of their addresses."""
    checked = list(zip(found, shell.parallel(answers, found), strict=True))
    failed = {one.uid for one, well in checked if not well}
    return {one.uid for one in found} - failed


# --------------------------------------------------------------------------------------------
# The webhook


def review(question: Mapping[str, Any], cluster: Cluster | None) -> dict[str, Any]:
    """Return the AdmissionReview that answers one; without a cluster nothing is changed."""
    request = question["request"]
    response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
    pod = request.get("object")
    patch = patch_for(pod, request["namespace"], cluster) if cluster and pod else []
    if patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


class _Handler(BaseHTTPRequestHandler):
    """Answers one POST after the other."""

    protocol_version = "HTTP/1.1"
    timeout = _REQUEST
    server: _Server

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        try:
            answer = review(json.loads(self.rfile.read(length)), self.server.cluster())
        except (ValueError, LookupError, TypeError):
            self.send_error(400)
            return
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing of each request."""


class _Server(ThreadingHTTPServer):
    """Serves HTTPS; a handshake that hangs is its own thread's trouble."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self,
        address: tuple[str, int],
        context: ssl.SSLContext,
        cluster: Callable[[], Cluster | None],
    ) -> None:
        super().__init__(address, _Handler)
        self._context = context
        self.cluster = cluster

    def get_request(self) -> tuple[socket.socket, Any]:
        plain, address = super().get_request()
        wrapped = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        return wrapped, address

    def handle_error(self, *_arguments: object) -> None:
        """Say nothing of clients that went away."""


def serve(
    address: tuple[str, int],
    certificate: Path,
    key: Path,
    cluster: Callable[[], Cluster | None],
) -> None:
    """Serve the webhook from a thread of its own, as long as the program runs.

    ``cluster`` returns the objects to decide by, or none where no pod is to get a gate.
    Raises OSError where the address is taken.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = _Server(address, context, cluster)
    threading.Thread(target=server.serve_forever, name="webhook", daemon=True).start()
