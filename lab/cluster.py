# SPDX-License-Identifier: GPL-3.0-or-later
"""The control plane, the stand-in's programs, and the objects that every cluster starts with."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from lab import balancing, controller, credentials, gates, layer7, processes, shell
from lab.api import Unanswered, api, ask, connections, resolve
from lab.credentials import certificate_files
from lab.parts import Part
from lab.settings import (
    API_PORT,
    API_URL,
    CLB,
    MASTER,
    NODES,
    REGISTRY_ADDRESS,
    REPOSITORY,
    RESOLVER_INET,
    RESOLVER_VPC,
    SERVICES_IPV4,
    SERVICES_IPV6,
    WEBHOOK_ADDRESS,
    Lab,
    pod_networks,
)
from lab.shell import LabError

_ETCD: Final = "http://127.0.0.1:2379"
_ETCD_PEER: Final = "http://127.0.0.1:2380"
_CONTROLLER_MANAGER_HEALTH: Final = "https://127.0.0.1:10257/healthz"
_SCHEDULER_HEALTH: Final = "https://127.0.0.1:10259/healthz"

#: Namespace and name of the account that stands for AWX: what runs the playbooks from outside,
#: with a token of ``kubectl create token`` and no more rights than the collection needs.
AWX_NAMESPACE: Final = "awx"
AWX_ACCOUNT: Final = "awx"

#: What the controller is made of.
_CONTROLLER_MODULES: Final = ("controller", "balancing", "by_hand", "gates", "layer7")

_FIELD_MANAGER: Final = "kestrel-real-ip-lab"


def answers(lab: Lab, host: str, url: str) -> Callable[[], str]:
    def check() -> str:
        ask(lab, host, url)
        return "answers"

    return check


def control_plane(lab: Lab) -> tuple[Part, ...]:
    """Return the programs of the control plane."""
    certificate, key = certificate_files(lab, credentials.SERVER.name)
    client_certificate, client_key = certificate_files(lab, credentials.KUBELET_CLIENT.name)
    authority = credentials.authority(lab)
    accounts_key = credentials.service_account_key(lab)
    serving = (f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}")
    serving_files = (certificate, key)

    def client(user: str) -> tuple[str, ...]:
        return (
            f"--kubeconfig={credentials.kubeconfig_of(lab, user)}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            *serving,
        )

    return (
        Part(
            "etcd",
            MASTER.name,
            (
                str(lab.bin / "etcd"),
                f"--name={MASTER.name}",
                f"--data-dir={lab.root / 'etcd'}",
                f"--listen-client-urls={_ETCD}",
                f"--advertise-client-urls={_ETCD}",
                f"--listen-peer-urls={_ETCD_PEER}",
                f"--initial-advertise-peer-urls={_ETCD_PEER}",
                f"--initial-cluster={MASTER.name}={_ETCD_PEER}",
                # What a lab holds need not survive a power cut.
                "--unsafe-no-fsync",
                "--log-level=warn",
            ),
            answers(lab, MASTER.name, f"{_ETCD}/health"),
        ),
        Part(
            "kube-apiserver",
            MASTER.name,
            (
                str(lab.bin / "kube-apiserver"),
                f"--etcd-servers={_ETCD}",
                "--bind-address=::",
                f"--secure-port={API_PORT}",
                f"--advertise-address={MASTER.ipv4('vpc')}",
                *serving,
                f"--client-ca-file={authority}",
                f"--token-auth-file={credentials.token_file(lab)}",
                "--authorization-mode=Node,RBAC",
                # Pod Security admission is among the plugins that are on anyway.
                "--enable-admission-plugins=NodeRestriction",
                f"--service-cluster-ip-range={SERVICES_IPV4},{SERVICES_IPV6}",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-key-file={accounts_key}",
                f"--service-account-signing-key-file={accounts_key}",
                f"--kubelet-certificate-authority={authority}",
                f"--kubelet-client-certificate={client_certificate}",
                f"--kubelet-client-key={client_key}",
                "--kubelet-preferred-address-types=InternalIP",
                "--allow-privileged=true",
                f"--cert-dir={lab.root / 'kube-apiserver'}",
            ),
            answers(lab, MASTER.name, f"{API_URL}/readyz"),
            needs=("etcd",),
            reads=(
                *serving_files,
                authority,
                credentials.token_file(lab),
                accounts_key,
                client_certificate,
                client_key,
            ),
        ),
        Part(
            "kube-controller-manager",
            MASTER.name,
            (
                str(lab.bin / "kube-controller-manager"),
                *client("system:kube-controller-manager"),
                "--use-service-account-credentials=true",
                f"--service-account-private-key-file={accounts_key}",
                f"--root-ca-file={authority}",
                # The nodes' pod ranges are fixed, see ``node_object``.
                "--allocate-node-cidrs=false",
                f"--flex-volume-plugin-dir={lab.root / 'volume-plugins'}",
                # With the usual 20 a second the controllers' start alone takes five seconds.
                "--kube-api-qps=500",
                "--kube-api-burst=500",
            ),
            answers(lab, MASTER.name, _CONTROLLER_MANAGER_HEALTH),
            needs=("kube-apiserver",),
            reads=(
                *serving_files,
                authority,
                accounts_key,
                credentials.kubeconfig_of(lab, "system:kube-controller-manager"),
            ),
        ),
        Part(
            "kube-scheduler",
            MASTER.name,
            (str(lab.bin / "kube-scheduler"), *client("system:kube-scheduler")),
            answers(lab, MASTER.name, _SCHEDULER_HEALTH),
            needs=("kube-apiserver",),
            reads=(*serving_files, credentials.kubeconfig_of(lab, "system:kube-scheduler")),
        ),
    )


def configure_stand_in(lab: Lab) -> None:
    """Write what the stand-in's programs need before its controller has run once."""
    (lab.clb / "hosts.d").mkdir(parents=True, exist_ok=True)
    if not (lab.clb / "nginx.conf").exists():
        shell.write(lab.clb / "nginx.conf", layer7.initial_nginx_conf(lab.clb))


def stand_in(lab: Lab) -> tuple[Part, ...]:
    """Return the programs in the load balancer's namespace."""
    source = REPOSITORY / "lab"
    python = (("PYTHONPATH", str(REPOSITORY)), ("PYTHONDONTWRITEBYTECODE", "1"))
    kubeconfig = credentials.kubeconfig_of(lab, credentials.CONTROLLER)
    webhook = certificate_files(lab, credentials.WEBHOOK.name)

    def check_nginx() -> str:
        process = processes.recorded(lab, "nginx")
        try:
            serving = int((lab.clb / "nginx.pid").read_text())
        except (OSError, ValueError):
            serving = None
        # It writes the file once it listens.
        if process is None or serving != process.pid:
            raise Unanswered("has not begun to serve")
        return "serves"

    def check_controller() -> str:
        process = processes.recorded(lab, "controller")
        # Before it connects, what its forerunner wrote about its rounds may still be there.
        if process is None or (MASTER.ipv4("vpc"), API_PORT) not in connections(process.pid):
            raise Unanswered("is not connected to the API server")
        try:
            return controller.health(lab.clb)
        except LabError as error:
            raise Unanswered(str(error)) from error

    def check_resolver() -> str:
        for server in (RESOLVER_INET, RESOLVER_VPC):
            resolve(lab, server)
        return "answers"

    return (
        Part(
            "nginx",
            CLB.name,
            ("nginx", "-e", "stderr", "-c", str(lab.clb / "nginx.conf")),
            check_nginx,
        ),
        Part(
            "registry",
            CLB.name,
            (sys.executable, "-m", "lab.registry", "--listen", REGISTRY_ADDRESS),
            answers(lab, CLB.name, f"http://{REGISTRY_ADDRESS}/v2/"),
            reads=(source / "registry.py",),
            environment=python,
        ),
        Part(
            "resolver",
            CLB.name,
            (
                "dnsmasq",
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                f"--pid-file={lab.clb / 'dnsmasq.pid'}",
                "--user=root",
                "--log-facility=-",
                "--no-resolv",
                # Of these it knows all there are: others are answered with NXDOMAIN.
                f"--local=/{balancing.DOMAIN}/",
                "--no-hosts",
                f"--hostsdir={lab.clb / 'hosts.d'}",
                "--bind-interfaces",
                "--interface=vpc",
                "--interface=inet",
                "--except-interface=lo",
            ),
            check_resolver,
        ),
        Part(
            "controller",
            CLB.name,
            (
                *(sys.executable, "-m", "lab.controller"),
                *("--kubeconfig", str(kubeconfig), "--directory", str(lab.clb)),
                *("--webhook", WEBHOOK_ADDRESS, "--certificate", *map(str, webhook)),
            ),
            check_controller,
            needs=("objects", "nginx"),
            reads=(
                kubeconfig,
                *webhook,
                *(source / f"{name}.py" for name in _CONTROLLER_MODULES),
            ),
            environment=python,
        ),
    )


def binding(name: str, role: str, subject: dict[str, str]) -> dict[str, Any]:
    """Return a ClusterRoleBinding."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


def role(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a ClusterRole."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def _rule(group: str, resources: str, verbs: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


_READ: Final = "get list watch"
_WRITE: Final = f"{_READ} create update patch delete"

#: What the collection needs: its own objects, and a look at what stands on the way of a request.
AWX_RULES: Final = [
    _rule("", "namespaces services configmaps", _WRITE),
    _rule("apps", "deployments", _WRITE),
    _rule("networking.k8s.io", "ingresses", _WRITE),
    _rule("networking.k8s.io", "ingressclasses networkpolicies", _READ),
    _rule("", "pods pods/log events nodes endpoints", _READ),
    _rule("apps", "replicasets", _READ),
    _rule("discovery.k8s.io", "endpointslices", _READ),
    _rule("events.k8s.io", "events", _READ),
]

_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"


def _webhook(lab: Lab) -> dict[str, Any]:
    """Return what has the API server ask the stand-in about new pods; it can do without."""
    trust = base64.b64encode(credentials.authority(lab).read_bytes()).decode()
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": credentials.CONTROLLER},
        "webhooks": [
            {
                "name": f"gates.{balancing.DOMAIN}",
                "clientConfig": {
                    "url": f"https://{WEBHOOK_ADDRESS}{gates.PATH}",
                    "caBundle": trust,
                },
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["pods"],
                        "scope": "Namespaced",
                    }
                ],
                "failurePolicy": "Ignore",
                "timeoutSeconds": 2,
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


def objects(lab: Lab) -> dict[str, dict[str, Any]]:
    """Return API path → object, for what must be there before nodes and stand-in start."""
    found: dict[str, dict[str, Any]] = {}
    for node in NODES:
        ranges = [str(ip_range) for ip_range in pod_networks(node)]
        # Made before kubelet registers it: only then can it have pod ranges, which are the CNI's.
        found[f"/api/v1/nodes/{node.name}"] = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": node.name},
            "spec": {"podCIDR": ranges[0], "podCIDRs": ranges},
        }
    found[f"{_RBAC}/clusterroles/{credentials.CONTROLLER}"] = role(
        credentials.CONTROLLER, [dict(rule) for rule in balancing.RIGHTS]
    )
    found[f"{_RBAC}/clusterrolebindings/{credentials.CONTROLLER}"] = binding(
        credentials.CONTROLLER,
        credentials.CONTROLLER,
        {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "User",
            "name": credentials.CONTROLLER,
        },
    )
    webhooks = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    found[f"{webhooks}/{credentials.CONTROLLER}"] = _webhook(lab)
    found[f"/api/v1/namespaces/{AWX_NAMESPACE}"] = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": AWX_NAMESPACE},
    }
    found[f"/api/v1/namespaces/{AWX_NAMESPACE}/serviceaccounts/{AWX_ACCOUNT}"] = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": AWX_ACCOUNT, "namespace": AWX_NAMESPACE},
    }
    found[f"{_RBAC}/clusterroles/kestrel-real-ip"] = role("kestrel-real-ip", AWX_RULES)
    found[f"{_RBAC}/clusterrolebindings/kestrel-real-ip"] = binding(
        "kestrel-real-ip",
        "kestrel-real-ip",
        {"kind": "ServiceAccount", "namespace": AWX_NAMESPACE, "name": AWX_ACCOUNT},
    )
    return found


def contains(actual: Any, wanted: Any) -> bool:
    """Tell whether an object of the API has every field of another, whatever else it has.

    Lists must be equal but for fields that their items have in addition.
    """
    if isinstance(wanted, dict):
        return isinstance(actual, dict) and all(
            contains(actual.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(wanted)
            and all(map(contains, actual, wanted))
        )
    return bool(actual == wanted)


def apply_objects(lab: Lab) -> str | None:
    """Apply what differs of ``objects``; return how many that were, or None if none."""

    def differs(path: str, wanted: dict[str, Any]) -> bool:
        try:
            return not contains(api(lab, path), wanted)
        except Unanswered as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return True
            raise

    different = {path: wanted for path, wanted in objects(lab).items() if differs(path, wanted)}
    for path, wanted in different.items():
        api(lab, f"{path}?fieldManager={_FIELD_MANAGER}&force=true", "PATCH", wanted)
    return f"{len(different)} applied" if different else None


def readiness(lab: Lab) -> str:
    """Return a short text if pods can be created; raises Unanswered if not."""
    api(lab, "/api/v1/namespaces/default/serviceaccounts/default")
    return "service accounts are made"
