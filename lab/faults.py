# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that can be turned on and off on a deployment of the collection in the lab.

A table, a row each: what is broken, and the steps that break it. The same things break on real
clusters; here they break for real too, wherever a lab can have that.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lab import balancing, machine, shell
from lab.by_hand import SITE
from lab.fault_steps import (
    DEPLOYMENT,
    ECHO_FILE,
    INGRESS,
    LAYER_4,
    NAMESPACE,
    SERVICE,
    Account,
    Address,
    Alteration,
    AnotherServer,
    ApiServer,
    Change,
    Facts,
    ForeignImage,
    Front,
    Gone,
    Hang,
    Json,
    Make,
    Nft,
    Place,
    Ready,
    Ref,
    Refused,
    Renew,
    Replica,
    Restart,
    Retry,
    Step,
    Switches,
    Url,
    WrongContext,
    containers,
)
from lab.node import UNREACHABLE
from lab.registry import LIMITING, REFUSING
from lab.settings import (
    API_PORT,
    CLB,
    CLIENT2,
    MASTER,
    NODE1,
    NODES,
    OPERATOR,
    PODS_IPV4,
    PODS_IPV6,
    VIPS_IPV4,
    VIPS_IPV6,
    VPC,
    Lab,
)


@dataclass(frozen=True)
class Fault:
    """One fault: what is broken, in one sentence, and the steps, undone from the last on.

    ``facts`` are what its users have to know beside what the steps tell.
    """

    name: str
    broken: str
    steps: tuple[Step, ...]
    facts: Mapping[str, str] = field(default_factory=dict)


# --------------------------------------------------------------------------------------------
# What several rows share

#: What takes the place of the echo app, with nothing but Python: where it listens, how long it
#: takes for an answer, and what it answers to ``/ready`` and to all else.
_SERVER: Final = """
import http.server, os, signal, socket, sys, time
port, delay, ready, says = int(sys.argv[1]), float(sys.argv[2]), *map(int, sys.argv[3:5])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        healthy = self.path == "/healthz"
        status = ready if self.path == "/ready" else 200 if healthy else says
        if self.path not in ("/ready", "/healthz"):
            time.sleep(delay)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("listening on port", port, flush=True)
Server(("::", port), Handler).serve_forever()
"""

#: What takes the place of the echo app and speaks first, as SSH does.
_BANNER: Final = """
import os, signal, socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"SSH-2.0-fault\\r\\n")
        self.rfile.readline(1024)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
Server(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"""

#: The echo app behind something that takes a header away, the bundled one or the document's.
_STRIPPED: Final = """
import os, sys
if os.path.exists("/opt/kestrel/echo.py"):
    sys.path.insert(0, "/opt/kestrel")
    import echo
    parse_head = echo.parse_head
    def stripped(raw):
        head = parse_head(raw)
        fields = [one for one in head.fields if one[0].lower() != "x-forwarded-for"]
        return head._replace(fields=fields)
    echo.parse_head = stripped
    sys.exit(echo.main())
sys.path.insert(0, "/app")
import app, waitress
serve = waitress.serve
def stripping(wsgi, **options):
    def stripped(environ, start):
        environ.pop("HTTP_X_FORWARDED_FOR", None)
        return wsgi(environ, start)
    serve(stripped, **options)
waitress.serve = stripping
app.main()
"""

#: A sidecar's proxy: takes the pod's connections and makes its own to the app, from the address
#: that Istio's uses. Istio's is put before the app by rules in the pod; here the app makes room.
_APP_PORT: Final = 5001
_SIDECAR: Final = """
import asyncio, os, signal, sys
async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()
async def serve(reader, writer):
    app = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]), local_addr=("127.0.0.6", 0))
    await asyncio.gather(copy(reader, app[1]), copy(app[0], writer))
    app[1].close()
    writer.close()
async def main():
    server = await asyncio.start_server(serve, None, int(sys.argv[1]))
    await server.serve_forever()
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
asyncio.run(main())
"""

_FOREIGN_IMAGE: Final = "lab.kestrel.example/foreign:1"

#: Where the app listens and a port where nobody does, in pods.
_PORT: Final = 5000
_PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")
#: A probe that asks no HTTP: what doesn't speak it is ready all the same.
_TAKES_CONNECTIONS: Final = {"tcpSocket": {"port": _PORT}, "periodSeconds": 1}
_CLOSED_PORT: Final = 5999

_FRONT: Final = """\
daemon off;
pid {directory}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
    fastcgi_temp_path {directory}/f; scgi_temp_path {directory}/s; uwsgi_temp_path {directory}/u;
    server {{
        listen {address}:80;
        location / {{
            proxy_pass http://{balancer};
            proxy_set_header Host {balancer};
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""

#: An address of the network of clients that nobody has.
_TRANSLATED: Final = "203.0.113.77"

_FILTER: Final = "filter hook prerouting priority raw"
_NODE_NAMES: Final = tuple(node.name for node in NODES)

_CONFIG: Final = Ref("ConfigMap", balancing.CONFIG_NAME, balancing.CONFIG_NAMESPACE)
_POLICY: Final = Ref("ValidatingAdmissionPolicy", "{fault}")
_BINDING: Final = Ref("ValidatingAdmissionPolicyBinding", "{fault}")
_WEBHOOK: Final = Ref("ValidatingWebhookConfiguration", "{fault}")
_HERE: Final = {"matchLabels": {"kubernetes.io/metadata.name": "{namespace}"}}
_PODS: Final = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["pods"],
}


def _app(change: Callable[[Json, Json], None]) -> Change:
    """Change the pods' spec and the app's container; see ``containers``."""
    return Change(DEPLOYMENT, containers(change))


def _image(name: str) -> Change:
    def change(_spec: Json, container: Json) -> None:
        container["image"] = name

    return _app(change)


def _runs(program: str, *arguments: str, **fields: Any) -> Change:
    """Have the container run a Python program, with some of its fields changed."""

    def change(spec: Json, container: Json) -> None:
        container["command"] = ["python3", "-c", program, *arguments]
        container.update(fields)
        spec["terminationGracePeriodSeconds"] = 1

    return _app(change)


def _server(
    *, port: int = _PORT, delay: int = 0, ready: int = 200, says: int = 200, **fields: Any
) -> Change:
    return _runs(_SERVER, *map(str, (port, delay, ready, says)), **fields)


def _pod(**fields: Any) -> Change:
    """Change fields of the pods' spec."""
    return _app(lambda spec, container: spec.update(fields))


def _unannotated(key: str) -> Alteration:
    def change(intent: Json, __: Place) -> None:
        intent["metadata"].get("annotations", {}).pop(key, None)

    return change


def _without(*keys: str, **fields: Any) -> Change:
    """Take fields of the app's container away, and set others."""

    def change(_spec: Json, container: Json) -> None:
        for key in keys:
            container.pop(key, None)
        container.update(fields)

    return _app(change)


def _annotated(annotations: Mapping[str, str]) -> Alteration:
    def change(intent: Json, __: Place) -> None:
        metadata = intent["metadata"]
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}

    return change


def _rule(change: Callable[[Json, Json], None]) -> Change:
    """Change the Ingress's rule and its path."""

    def changed(intent: Json, __: Place) -> None:
        rule = intent["spec"]["rules"][0]
        change(rule, rule["http"]["paths"][0])

    return Change(INGRESS, changed)


def _field(*path: str | int, value: Any) -> Alteration:
    """Set one field."""

    def change(intent: Json, __: Place) -> None:
        target: Any = intent
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


def _certificate(intent: Json, place: Place) -> None:
    intent["spec"]["tls"] = [{"secretName": place.fill("{fault}")}]


def _tainted(intent: Json, __: Place) -> None:
    taint = {"key": "example.com/dedicated", "value": "other", "effect": "NoSchedule"}
    intent["spec"]["taints"] = [*(intent["spec"].get("taints") or ()), taint]


def _with_sidecar(spec: Json, container: Json) -> None:
    proxy = {
        "name": "istio-proxy",
        "image": container["image"],
        "command": ["python3", "-c", _SIDECAR, str(_PORT), str(_APP_PORT)],
        "securityContext": container["securityContext"],
    }
    port = {"name": "KESTREL_PORT", "value": str(_APP_PORT)}
    container["env"] = [one for one in container.get("env") or () if one["name"] != port["name"]]
    container["env"].append(port)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        container.pop(probe, None)
    spec["containers"] = [container, proxy]


def _layer_4(policy: str, port: int = _PORT) -> tuple[Step, ...]:
    body = {
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": policy,
            "selector": {"app": "{prefix}-app"},
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": port}],
        }
    }
    return Make(LAYER_4, body), Url(LAYER_4)


def _admission(*steps: Step) -> tuple[Step, ...]:
    """Have pods refused by what the steps make, and the deployment restarted."""
    return (Retry(), *steps, Refused(), Restart(admitted=False))


_LOST_VOLUME: Final = {"name": "lost", "persistentVolumeClaim": {"claimName": "absent"}}
_HELD: Final = Ref("ConfigMap", "fault-held")

# --------------------------------------------------------------------------------------------
# The table

_TABLE: Final = (
    # Images
    Fault(
        "image-not-found",
        "The registry has no such image.",
        (_image("registry.example/team/app:v9"),),
        {"image": "registry.example/team/app:v9"},
    ),
    Fault(
        "image-forbidden",
        "The registry answers 401 to every pull.",
        (_image(f"{REFUSING[0]}/team/app:v1"),),
        {"image": f"{REFUSING[0]}/team/app:v1"},
    ),
    Fault(
        "image-rate-limited",
        "The registry answers 429: too many pulls.",
        (_image(f"{LIMITING}/team/app:v1"),),
        {"image": f"{LIMITING}/team/app:v1"},
    ),
    Fault(
        "registry-unreachable",
        "Nothing listens at the registry's address.",
        (_image(f"{UNREACHABLE}/team/app:v1"),),
        {"image": f"{UNREACHABLE}/team/app:v1"},
    ),
    Fault(
        "image-wrong-architecture",
        "The image's program is for another kind of machine than the nodes are.",
        (
            ForeignImage(_FOREIGN_IMAGE),
            _app(
                lambda spec, container: container.update(image=_FOREIGN_IMAGE, command=["/server"])
            ),
        ),
        {"image": _FOREIGN_IMAGE},
    ),
    Fault(
        "image-name-malformed",
        "The image's name is none: it has capital letters.",
        (_image("registry.example/Team/App:v9"),),
        {"image": "registry.example/Team/App:v9"},
    ),
    Fault(
        "image-never-pulled",
        "The image may not be pulled, and no node has it.",
        (_without(image="registry.example/team/app:v9", imagePullPolicy="Never"),),
        {"image": "registry.example/team/app:v9"},
    ),
    # Containers
    Fault(
        "container-crashes",
        "The app ends with exit code 3 soon after its start.",
        (_runs("import sys; print('config: DATABASE_URL is not set', flush=True); sys.exit(3)"),),
    ),
    Fault(
        "out-of-memory",
        "The app needs more memory than its limit and is killed.",
        (
            _runs(
                "hold = b'x' * (256 << 20)",
                resources={"requests": {"memory": "32Mi"}, "limits": {"memory": "64Mi"}},
            ),
        ),
    ),
    Fault(
        "app-wrong-port",
        "The app listens on another port than its container says and the probes ask.",
        (_server(port=_CLOSED_PORT),),
    ),
    Fault(
        "readiness-fails",
        "The readiness probe asks for a path to which the app answers 500.",
        (
            _server(
                ready=500,
                readinessProbe={"httpGet": {"path": "/ready", "port": _PORT}, "periodSeconds": 1},
            ),
        ),
    ),
    Fault(
        "config-missing",
        "The container takes its environment from a ConfigMap that doesn't exist.",
        (_without(envFrom=[{"configMapRef": {"name": "absent"}}]),),
    ),
    Fault(
        "not-ready-yet",
        "The readiness probe asks for the first time after an hour.",
        (
            _without(
                "startupProbe",
                readinessProbe={"tcpSocket": {"port": _PORT}, "initialDelaySeconds": 3600},
            ),
        ),
    ),
    Fault(
        "readiness-gate",
        "The pods wait for a condition that the load balancer has to set, and doesn't.",
        (_pod(readinessGates=[{"conditionType": "cloud.tencent.com/load-balancer-backendgroup"}]),),
    ),
    # Scheduling
    Fault(
        "node-tainted",
        "Every node has a taint that the pods don't tolerate.",
        (*(Change(Ref("Node", name), _tainted) for name in _NODE_NAMES), Restart()),
    ),
    Fault(
        "node-cordoned",
        "Every node is cordoned.",
        (
            *(
                Change(Ref("Node", name), _field("spec", "unschedulable", value=True))
                for name in _NODE_NAMES
            ),
            Restart(),
        ),
    ),
    Fault(
        "too-little-cpu",
        "The pods request more CPU than any node has.",
        (_app(lambda spec, container: container.update(resources={"requests": {"cpu": "1000"}})),),
    ),
    Fault(
        "node-selector",
        "The pods ask for a super node, and there is none.",
        (_pod(nodeSelector={"node.kubernetes.io/instance-type": "eklet"}),),
    ),
    Fault(
        "volume-missing",
        "The pods want a volume whose claim doesn't exist.",
        (
            _app(
                lambda spec, container: spec.update(
                    volumes=[*(spec.get("volumes") or ()), _LOST_VOLUME]
                )
            ),
        ),
    ),
    # Admission
    Fault(
        "deployment-missing",
        "The Deployment was deleted.",
        (Gone(DEPLOYMENT),),
    ),
    Fault(
        "scaled-to-zero",
        "The Deployment wants no pods.",
        (Change(DEPLOYMENT, _field("spec", "replicas", value=0), admitted=False),),
    ),
    Fault(
        "account-missing",
        "The pods are to run as a ServiceAccount that doesn't exist.",
        (
            Change(
                DEPLOYMENT,
                containers(lambda spec, container: spec.update(serviceAccountName="absent")),
                admitted=False,
            ),
        ),
    ),
    Fault(
        "quota-exceeded",
        "A ResourceQuota allows the namespace no pods.",
        _admission(Make(Ref("ResourceQuota", "{fault}"), {"spec": {"hard": {"pods": "0"}}})),
    ),
    Fault(
        "pod-security",
        "The namespace enforces the standard restricted, which the document's image doesn't meet.",
        _admission(
            Change(
                NAMESPACE,
                _field(
                    *("metadata", "labels", "pod-security.kubernetes.io/enforce"),
                    value="restricted",
                ),
            ),
        ),
    ),
    Fault(
        "admission-policy",
        "A ValidatingAdmissionPolicy refuses the namespace's pods.",
        _admission(
            Make(
                _POLICY,
                {
                    "spec": {
                        "failurePolicy": "Fail",
                        "matchConstraints": {"resourceRules": [_PODS]},
                        "validations": [
                            {"expression": "false", "message": "No pods without an owner."}
                        ],
                    }
                },
            ),
            Make(
                _BINDING,
                {
                    "spec": {
                        "policyName": "{fault}",
                        "validationActions": ["Deny"],
                        "matchResources": {"namespaceSelector": _HERE},
                    }
                },
            ),
        ),
    ),
    Fault(
        "webhook-unreachable",
        "An admission webhook for the namespace's pods doesn't answer, and must.",
        _admission(
            Make(
                _WEBHOOK,
                {
                    "webhooks": [
                        {
                            "name": "pods.webhook.example",
                            "rules": [_PODS],
                            "namespaceSelector": _HERE,
                            "clientConfig": {"url": f"https://{MASTER.ipv4('vpc')}:{API_PORT + 1}"},
                            "failurePolicy": "Fail",
                            "sideEffects": "None",
                            "admissionReviewVersions": ["v1"],
                            "timeoutSeconds": 2,
                        }
                    ]
                },
            ),
        ),
    ),
    # Service and Ingress
    Fault(
        "selector-mismatch",
        "The Service's selector matches no pod.",
        (Change(SERVICE, _field("spec", "selector", value={"app": "another-app"})),),
    ),
    Fault(
        "selector-missing",
        "The Service has no selector.",
        (Change(SERVICE, _field("spec", "selector", value=None)),),
    ),
    Fault(
        "target-port-wrong",
        "The Service's targetPort is one where the app doesn't listen.",
        (Change(SERVICE, _field("spec", "ports", 0, "targetPort", value=_CLOSED_PORT)),),
    ),
    Fault(
        "ingress-service-missing",
        "The Ingress names a Service that doesn't exist (E4041).",
        (_rule(lambda rule, path: path["backend"]["service"].update(name="misspelt-service")),),
    ),
    Fault(
        "ingress-another-service",
        "The Ingress names another Service, which has no pods.",
        (
            Make(
                Ref("Service", "another"),
                {
                    "spec": {
                        "type": "NodePort",
                        "selector": {"app": "another-app"},
                        "ports": [{"port": 80, "targetPort": _PORT}],
                    }
                },
            ),
            _rule(lambda rule, path: path["backend"]["service"].update(name="another")),
        ),
    ),
    Fault(
        "ingress-port-missing",
        "The Ingress names a port that its Service hasn't (E4042).",
        (_rule(lambda rule, path: path["backend"]["service"].update(port={"number": 8080})),),
    ),
    Fault(
        "service-cluster-ip",
        "The Service is of type ClusterIP, without direct access (E4047).",
        (Change(SERVICE, _field("spec", "type", value="ClusterIP")),),
    ),
    Fault(
        "ingress-class",
        "The Ingress has the class of another controller, which isn't there.",
        (Change(INGRESS, _field("spec", "ingressClassName", value="nginx")),),
    ),
    Fault(
        "two-classes",
        "The annotation of the Ingress names another class than its field.",
        (Change(INGRESS, _annotated({balancing.CLASS_ANNOTATION: "nginx"})),),
    ),
    Fault(
        "controller-off",
        "TKE's controller is turned off for Ingresses, and the Ingress is new.",
        (Make(_CONFIG, {"data": {balancing.ENABLED: "false"}}), Renew()),
    ),
    Fault(
        "address-late",
        "The Ingress is new, and its load balancer takes a day.",
        (Switches({"address_delay": 86400.0}), Renew()),
    ),
    Fault(
        "direct-by-default",
        "The Ingress is new and says nothing of direct access, which the cluster turns on then"
        " (EnableDefaultDirectAccess); a security group closes the pods.",
        (
            Make(_CONFIG, {"data": {balancing.DIRECT_DEFAULT: "true"}}),
            Renew(_unannotated(balancing.INGRESS.direct_annotation), own=True),
            Nft(
                _NODE_NAMES,
                _FILTER,
                (
                    f"ip saddr != {{{{ {VPC.ipv4}, {PODS_IPV4} }}}} tcp dport {_PORT} drop",
                    f"ip6 saddr != {{{{ {VPC.ipv6}, {PODS_IPV6} }}}} tcp dport {_PORT} drop",
                ),
            ),
        ),
    ),
    Fault(
        "direct-not-allowed",
        "The Ingress asks for direct access, and the cluster doesn't allow it for its pods' network"
        " (GlobalRouteDirectAccess).",
        (
            Make(_CONFIG, {"data": {balancing.GLOBAL_ROUTE: "false"}}),
            Change(INGRESS, _annotated({balancing.INGRESS.direct_annotation: "true"})),
        ),
    ),
    Fault(
        "balancer-quota",
        "The account's quota of load balancers is used up (E4003), and the Ingress is new.",
        (Switches({"new_balancers": "quota"}), Renew()),
    ),
    Fault(
        "balancer-arrears",
        "The account is in arrears (E4027), and the Ingress is new.",
        (Switches({"new_balancers": "arrears"}), Renew()),
    ),
    Fault(
        "existing-balancer-unknown",
        "The Ingress is new and asks for a load balancer that doesn't exist (E4018).",
        (Renew(_annotated({balancing.INGRESS.existing_annotation: "lb-00000000"})),),
    ),
    Fault(
        "tls-secret-missing",
        "The Ingress is new, and the Secret of its certificate doesn't exist (E4010).",
        (Renew(_certificate),),
    ),
    Fault(
        "tls-secret-without-certificate",
        "The Ingress is new, and the Secret of its certificate has no qcloud_cert_id (E4011).",
        (Make(Ref("Secret", "{fault}"), {"stringData": {"tls.crt": "none"}}), Renew(_certificate)),
    ),
    Fault(
        "deletion-hangs",
        "The Ingress is being deleted, and a finalizer holds it on which nobody works.",
        (Hang(INGRESS, INGRESS, (INGRESS,)),),
    ),
    Fault(
        "namespace-terminating",
        "The namespace is being deleted, and an object in it has a finalizer on which nobody"
        " works.",
        (Hang(NAMESPACE, _HELD, (ECHO_FILE, DEPLOYMENT, SERVICE, INGRESS)),),
    ),
    # The balancer and the way to it
    Fault(
        "listener-missing",
        "The load balancer has its address, and no listener.",
        (Switches({"listeners": "missing"}),),
    ),
    Fault(
        "balancer-closed",
        "A security group closes port 80 of the load balancer for everybody.",
        (Nft((CLB.name,), _FILTER, ('iifname "inet" tcp dport 80 drop',)),),
    ),
    Fault(
        "client-closed",
        "A security group closes port 80 of the load balancer for the operator's address alone.",
        (
            Nft(
                (CLB.name,),
                _FILTER,
                (
                    f"ip saddr {OPERATOR.ipv4('inet')} tcp dport 80 drop",
                    f"ip6 saddr {OPERATOR.ipv6('inet')} tcp dport 80 drop",
                ),
            ),
        ),
    ),
    Fault(
        "proxy-only",
        "The operator's network lets nothing out to load balancers but by an HTTP proxy.",
        (
            Nft(
                (OPERATOR.name,),
                "filter hook output priority 0",
                (f"ip daddr {VIPS_IPV4} drop", f"ip6 daddr {VIPS_IPV6} drop"),
            ),
        ),
    ),
    Fault(
        "firewall",
        "A firewall (WAF) in front refuses every request with 403.",
        (Switches({"firewall": "closed"}),),
    ),
    Fault(
        "node-port-closed",
        "A security group closes the node port on the nodes for addresses outside of the network:"
        " the load balancer connects in its client's name.",
        (
            Nft(
                _NODE_NAMES,
                _FILTER,
                (
                    f"ip saddr != {VPC.ipv4} tcp dport {{port}} drop",
                    f"ip6 saddr != {VPC.ipv6} tcp dport {{port}} drop",
                ),
            ),
        ),
    ),
    Fault(
        "backend-slow",
        "The app takes longer for an answer than the load balancer waits.",
        (Switches({"read_timeout": 2.0}), _server(delay=20), Ready()),
    ),
    Fault(
        "app-fails",
        "The app answers every request with 500.",
        (_server(says=500), Ready()),
    ),
    Fault(
        "backend-protocol",
        "The app speaks something else than the HTTP that the load balancer speaks.",
        (_runs(_BANNER, str(_PORT), **dict.fromkeys(_PROBES, _TAKES_CONNECTIONS)), Ready()),
    ),
    Fault(
        "hostname-only",
        "The status of the Ingress has a name, and no address.",
        (Switches({"address": "hostname"}),),
    ),
    Fault(
        "hostname-unresolved",
        "The status of the Ingress has a name that no resolver knows.",
        (Switches({"names": "unknown", "address": "hostname"}),),
    ),
    Fault(
        "redirect",
        "The load balancer sends every request on to HTTPS.",
        (
            Make(Ref("Secret", "{fault}"), {"stringData": {balancing.CERTIFICATE_KEY: SITE}}),
            Change(INGRESS, _certificate),
            Change(INGRESS, _annotated(dict.fromkeys(balancing.REWRITE_ANNOTATIONS, "true"))),
            Url(INGRESS),
        ),
    ),
    Fault(
        "host-rule",
        "The rule of the Ingress is for a host: requests with another get 403.",
        (_rule(lambda rule, path: rule.update(host="shop.example.com")),),
    ),
    Fault(
        "path-rule",
        "The rule of the Ingress is for a path: requests for another get 404.",
        (_rule(lambda rule, path: path.update(path="/elsewhere")),),
    ),
    # Whose address the app sees
    Fault(
        "proxy-in-front",
        "A second proxy stands in front of the load balancer, which admits nobody else.",
        (
            Front(CLIENT2.name, CLIENT2.ipv4("inet"), _FRONT),
            Nft(
                (CLB.name,),
                _FILTER,
                (
                    f'iifname "inet" ip saddr != {CLIENT2.ipv4("inet")} tcp dport 80 drop',
                    f'iifname "inet" ip6 saddr != {CLIENT2.ipv6("inet")} tcp dport 80 drop',
                ),
            ),
        ),
    ),
    Fault(
        "proxy-walked-around",
        "A second proxy stands in front of the load balancer, which admits everybody.",
        (Front(CLIENT2.name, CLIENT2.ipv4("inet"), _FRONT),),
    ),
    Fault(
        "policy-local-without-pod",
        "A layer-4 Service keeps traffic on its node, the load balancer takes a node without pods.",
        (
            Switches({"health_check": "off"}),
            _pod(nodeSelector={"kubernetes.io/hostname": NODE1.name}),
            Ready(),
            *_layer_4("Local"),
        ),
    ),
    Fault(
        "policy-cluster",
        "A layer-4 Service passes connections on between nodes, which take their own address.",
        _layer_4("Cluster"),
    ),
    Fault(
        "node-translates",
        "One node puts its own address in the place of everybody's who connects to its pods.",
        (
            *_layer_4("Local"),
            Nft(
                (NODE1.name,),
                "nat hook postrouting priority 90",
                ('oifname "cni*" masquerade',),
            ),
        ),
    ),
    Fault(
        "replica-differs",
        "One of the pods behind the Service takes X-Forwarded-For away.",
        (Replica(("python3", "-B", "-c", _STRIPPED)),),
    ),
    Fault(
        "header-stripped",
        "All pods take X-Forwarded-For away.",
        (_runs(_STRIPPED), Ready()),
    ),
    Fault(
        "address-translated",
        "The operator's connections leave with another address than the one that is expected.",
        (
            Address(OPERATOR.name, "inet", _TRANSLATED),
            Nft(
                (OPERATOR.name,),
                "nat hook postrouting priority srcnat",
                (f"ip daddr {VIPS_IPV4} snat ip to {_TRANSLATED}",),
            ),
        ),
    ),
    Fault(
        "stale-endpoint",
        "An EndpointSlice of the Service has addresses where nothing answers.",
        (
            Make(
                Ref("EndpointSlice", "{prefix}-service-stale"),
                {
                    "addressType": "IPv4",
                    "ports": [{"name": "http", "port": _PORT, "protocol": "TCP"}],
                    "endpoints": [
                        {"addresses": [str(VPC.ipv4[number])], "conditions": {"ready": True}}
                        for number in (240, 241, 242, 243)
                    ],
                },
                {
                    "kubernetes.io/service-name": "{prefix}-service",
                    "endpointslice.kubernetes.io/managed-by": "fault.lab.kestrel.example",
                },
            ),
        ),
    ),
    Fault(
        "header-dropped",
        "The load balancer adds nobody to X-Forwarded-For.",
        (Switches({"x_forwarded_for": "pass"}),),
    ),
    Fault(
        "header-believed",
        "The load balancer believes the X-Forwarded-For of its clients.",
        (Switches({"x_forwarded_for": "keep"}),),
    ),
    Fault(
        "sidecar",
        "A proxy in the pod takes the connections: the app sees 127.0.0.6.",
        (_app(_with_sidecar), Ready(), *_layer_4("Local")),
    ),
    # The ways to the API server
    Fault(
        "token-expired",
        "The kubeconfig's token is one that the API server takes no more.",
        (Account(revoked=True),),
    ),
    Fault(
        "rights-missing",
        "The kubeconfig's account may do all that the collection needs but patch Ingresses.",
        (Account(lacking=("networking.k8s.io", "ingresses", "patch")),),
    ),
    Fault(
        "context-wrong",
        "The kubeconfig's context is a cluster where nobody listens.",
        (WrongContext(),),
    ),
    Fault(
        "context-of-another-cluster",
        "The kubeconfig's context is a cluster where nothing was deployed, and it has another one.",
        (AnotherServer(),),
    ),
    Fault(
        "ingress-api-off",
        "The API server has no Ingresses.",
        (AnotherServer(("--runtime-config=networking.k8s.io/v1/ingresses=false",), named=False),),
    ),
    Fault(
        "api-server-down",
        "The API server has ended.",
        (ApiServer(),),
    ),
    Fault(
        "api-server-silent",
        "The API server takes connections and says nothing.",
        (ApiServer(halted=True),),
    ),
)

FAULTS: Final[Mapping[str, Fault]] = {fault.name: fault for fault in _TABLE}

DEFAULT_NAMESPACE: Final = "kestrel-catchip"
DEFAULT_PREFIX: Final = "real-ip"


# --------------------------------------------------------------------------------------------
# On and off


def turn_on(
    lab: Lab, fault: str, namespace: str = DEFAULT_NAMESPACE, prefix: str = DEFAULT_PREFIX
) -> dict[str, str]:
    """Turn a fault on; returns what its users have to know, such as a url or a kubeconfig.

    One that is on is mended first, as somebody may have mended it by half. LabError, and
    nothing is broken, if it can't be turned on.
    """
    place = Place(lab, FAULTS[fault].name, namespace, prefix)
    with machine.lock(lab, lambda: None):
        _undo(place)
        try:
            return _do(place)
        except BaseException:
            _undo(place)
            raise


def turn_off(
    lab: Lab, fault: str, namespace: str = DEFAULT_NAMESPACE, prefix: str = DEFAULT_PREFIX
) -> bool:
    """Turn a fault off; False if it isn't on. What somebody else changed since stays."""
    with machine.lock(lab, lambda: None):
        return _undo(Place(lab, FAULTS[fault].name, namespace, prefix))


def _do(place: Place) -> Facts:
    fault = FAULTS[place.fault]
    records: list[Json] = []
    facts = dict(fault.facts)
    for step in fault.steps:
        records.append(step.plan(place))
        # On disk before anything is done, so that it can be undone whatever happens.
        shell.write(place.file("json"), json.dumps(records), 0o600)
        facts |= step.do(place, records[-1])
    return facts


def _undo(place: Place) -> bool:
    file = place.file("json")
    if not file.exists():
        return False
    records = json.loads(file.read_text())
    steps = FAULTS[place.fault].steps
    for step, record in reversed(list(zip(steps, records, strict=False))):
        step.undo(place, record)
    file.unlink()
    shutil.rmtree(place.file("d"), ignore_errors=True)
    return True


def on(lab: Lab, namespace: str, prefix: str) -> list[str]:
    """Return the names of the faults that are on, on one deployment."""
    return [name for name in FAULTS if Place(lab, name, namespace, prefix).file("json").exists()]
