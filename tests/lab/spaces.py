# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects in a namespace of a test's own, requests to their balancers, what pods saw of them."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from lab import balancing, controller
from lab.api import Unanswered, api
from lab.images import ECHO
from lab.network import inside
from lab.settings import CLIENT, NODE1, NODE2, PODS_IPV4, PODS_IPV6, VPC, Lab

Json = dict[str, Any]
T = TypeVar("T")

CLIENT_IPV4: Final = CLIENT.ipv4("inet")
CLIENT_IPV6: Final = CLIENT.ipv6("inet")
FORGED: Final = ("X-Forwarded-For", "6.6.6.6")

#: A server that tells the socket peer, which the document's image doesn't.
SEEN: Final = """
import http.server, json, os, socket
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        peer = self.client_address[0].removeprefix("::ffff:")
        seen = {"peer": peer, "headers": self.headers.items(), "pod": os.environ["HOSTNAME"]}
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
Server(("::", 5000), Handler).serve_forever()
"""


# --------------------------------------------------------------------------------------------
# Requests


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    location: str | None = None

    def json(self) -> Any:
        """Return the body of an answer that must be 200."""
        assert self.status == HTTPStatus.OK, self.body
        return json.loads(self.body)

    def seen(self) -> tuple[str, dict[str, list[str]]]:
        """Return peer and header lines by lower-case name, as a pod of SEEN tells them."""
        told = self.json()
        headers: dict[str, list[str]] = {}
        for name, value in told["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        return told["peer"], headers


def fetch(
    lab: Lab,
    host: str,
    address: str,
    path: str = "/",
    *headers: tuple[str, str],
    port: int | None = None,
    name: str | None = None,
    timeout: float = 5.0,
    trust: Path | None = None,
) -> Answer:
    """Send one request from a host of the lab, on a connection of its own. Raises OSError.

    With the file of an authority that is to be trusted it goes by HTTPS, and the server must show
    a certificate for ``name``, or for the address.
    """
    usual = 443 if trust else 80
    with inside(lab.netns(host)):
        connection = http.client.HTTPConnection(address, port or usual, timeout=timeout)
        connection.connect()
    try:
        if trust:
            context = ssl.create_default_context(cafile=trust)
            connection.sock = context.wrap_socket(connection.sock, server_hostname=name or address)
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        shown = f"[{address}]" if ":" in address else address
        suffix = "" if port in (None, usual) else f":{port}"
        connection.putheader("Host", name or shown + suffix)
        for key, value in headers:
            connection.putheader(key, value)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(response.status, response.read(65536), response.getheader("Location"))
    except http.client.BadStatusLine as error:
        # Where nothing was said it is an OSError already.
        raise (error if isinstance(error, OSError) else OSError(str(error))) from None
    finally:
        connection.close()


def eventually(check: Callable[[], T], timeout: float = 10.0) -> T:
    """Return what ``check`` returns as soon as it raises no AssertionError or OSError any more."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return check()
        except (AssertionError, OSError, LookupError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def unreachable(lab: Lab, address: str) -> None:
    """Assert that nobody listens at an address."""
    with pytest.raises(OSError, match=r"refused|unreachable|No route|timed out"):
        fetch(lab, CLIENT.name, address, timeout=1.0)


def refuses(lab: Lab, host: str, address: str, port: int = 80) -> None:
    """Assert that an address is there, and nothing listens on the port."""
    try:
        fetch(lab, host, address, port=port)
    except ConnectionRefusedError:
        return
    raise AssertionError(f"{address} port {port} still listens")


def in_cluster(address: str) -> bool:
    """Tell whether an address is a node's, or a pod's or bridge's."""
    ranges = (VPC.ipv4, VPC.ipv6, PODS_IPV4, PODS_IPV6)
    return any(ip_address(address) in ip_network(str(one)) for one in ranges)


# --------------------------------------------------------------------------------------------
# Objects

INGRESSES: Final = "/apis/networking.k8s.io/v1", "ingresses"
SERVICES: Final = "/api/v1", "services"
PODS: Final = "/api/v1", "pods"
EVENTS: Final = "/api/v1", "events"
PODS_OF: Final = {"flask": ["/usr/bin/python3", "/app/app.py"], "seen": ["python3", "-c", SEEN]}


def exists(lab: Lab, path: str) -> bool:
    """Tell whether the API server has the object at ``path``."""
    try:
        api(lab, path)
    except Unanswered as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True


@dataclass(frozen=True)
class Space:
    """A namespace of the cluster, and the objects in it."""

    lab: Lab
    name: str

    def _path(self, kind: tuple[str, str], name: str = "", part: str = "") -> str:
        group, plural = kind
        words = [f"{group}/namespaces/{self.name}/{plural}", name, part]
        return "/".join(word for word in words if word)

    def create(self, kind: tuple[str, str], body: Json) -> Json:
        return api(self.lab, self._path(kind), "POST", body)

    def get(self, kind: tuple[str, str], name: str) -> Json:
        return api(self.lab, self._path(kind, name))

    def patch(self, kind: tuple[str, str], name: str, body: Json) -> Json:
        return api(self.lab, self._path(kind, name), "PATCH", body)

    def delete(self, kind: tuple[str, str], name: str) -> None:
        with suppress(Unanswered):
            api(self.lab, self._path(kind, name), "DELETE")

    def gone(self, kind: tuple[str, str], name: str) -> None:
        assert not exists(self.lab, self._path(kind, name))

    def entries(self, kind: tuple[str, str], name: str) -> list[Json]:
        """Return what the status says, without what the API server adds."""
        status = self.get(kind, name)["status"].get("loadBalancer") or {}
        return [
            {key: entry[key] for key in ("ip", "hostname") if key in entry}
            for entry in status.get("ingress") or ()
        ]

    def address(self, kind: tuple[str, str], name: str) -> str:
        """Wait for the address of a balancer, and return it."""

        def found() -> str:
            entries = self.entries(kind, name)
            assert entries
            return str(entries[0]["ip"])

        return eventually(found)

    def serving(self, kind: tuple[str, str], name: str, host: str | None = None, **how: Any) -> str:
        """Wait until a balancer serves clients on all its addresses, and return the first.

        The status alone doesn't say that each node's kube-proxy knows the Service by now. ``how``
        is what ``fetch`` takes, and ``client``, the host that asks.
        """
        client = how.pop("client", CLIENT.name)
        address = self.address(kind, name)

        def answers() -> None:
            for entry in self.entries(kind, name) * 4:
                fetch(self.lab, client, entry["ip"], name=host, timeout=1.0, **how).json()

        eventually(answers)
        return address

    def events(self, name: str) -> list[Json]:
        """Return the events about an object, oldest first."""
        found = api(self.lab, f"{self._path(EVENTS)}?fieldSelector=involvedObject.name%3D{name}")
        return sorted(found["items"], key=lambda event: str(event["firstTimestamp"]))

    def messages(self, name: str) -> list[tuple[str, str]]:
        return [(event["type"], event["message"]) for event in self.events(name)]

    @contextmanager
    def service(
        self,
        name: str,
        selector: Json,
        kind: str = "NodePort",
        meta: Json | None = None,
        **spec: Any,
    ) -> Iterator[Json]:
        """Have a dual-stack Service of the pods that ``selector`` names."""
        whole = {
            "type": kind,
            "selector": selector,
            "ipFamilyPolicy": "PreferDualStack",
            "ports": [{"name": "http", "port": 80, "targetPort": 5000}],
            **spec,
        }
        try:
            yield self.create(SERVICES, {"metadata": {"name": name, **(meta or {})}, "spec": whole})
        finally:
            self.delete(SERVICES, name)

    @contextmanager
    def ingress(
        self, name: str, service: str, meta: Json | None = None, **spec: Any
    ) -> Iterator[Json]:
        """Have an Ingress with one rule for all paths; of the class qcloud unless told else."""
        whole = {"ingressClassName": "qcloud", "rules": [rule(service)], **spec}
        whole = {key: value for key, value in whole.items() if value is not None}
        try:
            yield self.create(
                INGRESSES, {"metadata": {"name": name, **(meta or {})}, "spec": whole}
            )
        finally:
            self.delete(INGRESSES, name)


def rule(service: str, path: str = "/", host: str | None = None, kind: str = "Prefix") -> Json:
    backend = {"service": {"name": service, "port": {"number": 80}}}
    one = {"path": path, "pathType": kind, "backend": backend}
    return {"http": {"paths": [one]}, **({"host": host} if host else {})}


def pod(server: str, node: str) -> Json:
    return {
        "metadata": {"name": f"{server}-{node}", "labels": {"app": server, "on": node}},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "server",
                    "image": ECHO,
                    "command": PODS_OF[server],
                    "readinessProbe": {"tcpSocket": {"port": 5000}, "periodSeconds": 1},
                }
            ],
        },
    }


@contextmanager
def made_space(lab: Lab) -> Iterator[Space]:
    """Have a namespace with a pod of each server on either node; removed in the end."""
    made = Space(lab, f"stand-in-{secrets.token_hex(3)}")
    path = f"/api/v1/namespaces/{made.name}"
    api(lab, "/api/v1/namespaces", "POST", {"metadata": {"name": made.name}})
    try:
        eventually(lambda: _ready_for_pods(made))
        pods = [pod(server, node.name) for server in PODS_OF for node in (NODE1, NODE2)]
        for body in pods:
            made.create(PODS, body)

        def all_ready() -> None:
            for body in pods:
                status = made.get(PODS, body["metadata"]["name"])["status"]
                ready = {one["type"]: one["status"] for one in status.get("conditions", ())}
                assert ready.get("Ready") == "True", status

        eventually(all_ready, 30)
        yield made
    finally:
        api(lab, path, "DELETE")

    def gone() -> None:
        assert not exists(lab, path)

    eventually(gone, 30)


def _ready_for_pods(space: Space) -> None:
    # Made by kube-controller-manager a moment after the namespace.
    assert exists(space.lab, f"/api/v1/namespaces/{space.name}/serviceaccounts/default")


#: Where each test begins: the defaults, but for the address, which comes at once.
QUICK: Final = {**balancing.DEFAULTS, "address_delay": 0.0}


def set_switches(lab: Lab, values: Mapping[str, balancing.SwitchValue]) -> None:
    balancing.write_switches(lab.clb / controller.SWITCHES_FILE, values)
    controller.await_switches(lab.clb)
