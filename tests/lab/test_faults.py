# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults: each shows by plain means when it is on, and leaves nothing when it is off.

``--every-fault`` runs all of them; without it those that differ most in what they break.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pytest

from lab import balancing, controller, faults, shell
from lab.api import api
from lab.fault_steps import (
    DEPLOYMENT,
    INGRESS,
    LAYER_4,
    NAMESPACE,
    SERVICE,
    Place,
    Ref,
    address_of,
    applied,
    less,
    owned,
    read,
    unmerge,
)
from lab.faults import FAULTS, turn_off, turn_on
from lab.settings import CLB, CLIENT, CLIENT2, NODES, OPERATOR, Lab
from lab.shell import LabError
from tests.lab.conftest import Command
from tests.lab.playbooks import Playbooks
from tests.lab.spaces import Answer, eventually, fetch

Json = dict[str, Any]

PREFIX: Final = "real-ip"
CLIENT_ADDRESS: Final = CLIENT.ipv4("inet")
#: Seconds until a client must be answered again.
MENDED: Final = 60.0

QUICK: Final = (
    "image-forbidden",
    "out-of-memory",
    "quota-exceeded",
    "ingress-service-missing",
    "balancer-quota",
    "deletion-hangs",
    "node-port-closed",
    "policy-cluster",
    "rights-missing",
    "api-server-down",
)

# --------------------------------------------------------------------------------------------
# What shows a fault


@dataclass(frozen=True)
class Seen:
    """A deployment with a fault, looked at as a person would; ``facts`` are what ``on`` said."""

    playbooks: Playbooks
    lab: Lab
    facts: Mapping[str, str]

    @property
    def place(self) -> Place:
        """The deployment."""
        return Place(self.lab, "", self.playbooks.namespace, PREFIX)

    def items(self, kind: str) -> list[Json]:
        """All objects of a kind in the namespace, as kubectl would show them."""
        found: list[Json] = api(self.lab, Ref(kind, "").collection(self.place))["items"]
        return found

    def pods(self) -> list[Json]:
        """The deployment's pods; none is on its way out."""
        found = self.items("Pod")
        assert found
        assert not [pod for pod in found if "deletionTimestamp" in pod["metadata"]]
        return found

    def events(self, kind: str) -> list[str]:
        """Messages of the events of objects of a kind that are there now."""
        there = {item["metadata"]["uid"] for item in self.items(kind)}
        found = api(self.lab, f"/api/v1/namespaces/{self.playbooks.namespace}/events")["items"]
        return [
            str(event["message"]) for event in found if event["involvedObject"].get("uid") in there
        ]

    def ask(self, host: str = CLIENT.name, timeout: float = 5.0, path: str = "/") -> Answer:
        """The answer of the URL that the fault is about, else of the Ingress's balancer."""
        url = self.facts.get("url")
        address = url.split("/")[2] if url else address_of(self.place, INGRESS)
        assert address
        return fetch(self.lab, host, address, path, timeout=timeout)


Check = Callable[[Seen], None]


def waits(reason: str, message: str) -> Check:
    """Each pod's container waits, for a reason and with a message."""

    def check(seen: Seen) -> None:
        for pod in seen.pods():
            waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
            assert re.search(reason, waiting["reason"]), waiting
        assert [text for text in seen.events("Pod") if re.search(message, text)]

    return check


def ended(code: int, reason: str, log: str) -> Check:
    """Each pod's container has ended with an exit code, and the last line of its log is known."""

    def check(seen: Seen) -> None:
        for pod in seen.pods():
            state = pod["status"]["containerStatuses"][0]
            found = state["lastState"].get("terminated") or state["state"]["terminated"]
            assert (found["exitCode"], found["reason"]) == (code, reason)
            logs = ("logs", pod["metadata"]["name"], "--previous", "-n", seen.playbooks.namespace)
            __, output = seen.playbooks.execute(OPERATOR.name, "kubectl", *logs)
            assert re.search(log, output), output

    return check


def says(kind: str, message: str) -> Check:
    """An event of an object of this kind."""

    def check(seen: Seen) -> None:
        found = seen.events(kind)
        assert [text for text in found if re.search(message, text)], found

    return check


def answers(status: int) -> Check:
    """The client gets a status."""

    def check(seen: Seen) -> None:
        assert seen.ask(timeout=10.0).status == status

    return check


def fails(error: str, host: str = CLIENT.name) -> Check:
    """A host gets no answer."""

    def check(seen: Seen) -> None:
        found = "an answer"
        try:
            seen.ask(host, timeout=2.0)
        except OSError as problem:
            found = str(problem)
        assert re.search(error, found), found

    return check


def no_address(seen: Seen) -> None:
    """The Ingress has no address in its status."""
    assert read(seen.place, INGRESS)
    assert address_of(seen.place, INGRESS) == ""


def refused_pods(seen: Seen) -> None:
    """The Deployment has no pod at all."""
    assert seen.items("Pod") == []
    assert seen.items("ReplicaSet")


def peer(pattern: str) -> Check:
    """The app sees a peer: at times, where pods differ."""

    def check(seen: Seen) -> None:
        found = seen.ask().json()["peer"]["address"]
        assert re.fullmatch(pattern, found), found

    return check


def forwarded(sent: str | None, *lines: str) -> Check:
    """The app sees these lines of X-Forwarded-For where the client sent that."""

    def check(seen: Seen) -> None:
        headers = [("X-Forwarded-For", sent)] if sent else []
        address = seen.facts.get("url", "").removeprefix("http://").rstrip("/")
        where = address or address_of(seen.place, INGRESS)
        told = fetch(seen.lab, CLIENT.name, where, "/", *headers).json()["headers"]
        assert [value for name, value in told if name.lower() == "x-forwarded-for"] == list(lines)

    return check


def named(seen: Seen) -> None:
    """The status has a name only."""
    assert address_of(seen.place, INGRESS).endswith(balancing.DOMAIN)


def resolves(status: int, output: str) -> Check:
    """What curl says to the name in the status."""

    def check(seen: Seen) -> None:
        named(seen)
        url = f"http://{address_of(seen.place, INGRESS)}/"
        code, said = seen.playbooks.execute(CLIENT.name, "curl", "-sS", "--max-time", "5", url)
        assert (code, bool(re.search(output, said))) == (status, True), said

    return check


def kubectl(output: str, *words: str) -> Check:
    """What kubectl says with the kubeconfig of the fault, or as ever."""

    def check(seen: Seen) -> None:
        config = seen.facts.get("kubeconfig")
        options = (f"--kubeconfig={config}",) if config else ()
        filled = [word.replace("{namespace}", seen.playbooks.namespace) for word in words]
        command = ("kubectl", *options, "--request-timeout=2s", *filled)
        __, said = seen.playbooks.execute(OPERATOR.name, *command)
        assert re.search(output, said), said

    return check


def held(ref: Ref) -> Check:
    """An object is being deleted, and stays."""

    def check(seen: Seen) -> None:
        found = read(seen.place, ref)
        assert found
        assert "deletionTimestamp" in found["metadata"]

    return check


def translated(seen: Seen) -> None:
    """The app sees another address than the operator's."""
    found = seen.ask(OPERATOR.name).json()["headers"]
    lines = [value for name, value in found if name.lower() == "x-forwarded-for"]
    assert lines
    assert OPERATOR.ipv4("inet") not in lines


def of_ingress(path: str) -> tuple[str, ...]:
    """What kubectl is asked for a field of the Ingress."""
    return ("get", "ingress", "real-ip-ingress", "-n", "{namespace}", "-o", f"jsonpath={path}")


_ANNOTATION: Final = ".metadata.annotations"
_DIRECT: Final = of_ingress(f"{{{_ANNOTATION}.ingress\\.cloud\\.tencent\\.com/direct-access}}")
_CLASSES: Final = of_ingress(
    f"{{.spec.ingressClassName}} {{{_ANNOTATION}.kubernetes\\.io/ingress\\.class}}"
)
_SELECTOR: Final = (
    *("get", "service", "real-ip-service", "-n", "{namespace}"),
    *("-o", "jsonpath=no selector{.spec.selector}"),
)

#: Fault → what shows it; each of them must be seen, one after the other.
SHOWN: Final[Mapping[str, tuple[Check, ...]]] = {
    "image-not-found": (waits("ErrImagePull|ImagePullBackOff", "not found"), answers(502)),
    "image-forbidden": (waits("ErrImagePull|ImagePullBackOff", "insufficient_scope|denied"),),
    "image-rate-limited": (waits("ErrImagePull|ImagePullBackOff", "429 Too Many Requests"),),
    "registry-unreachable": (waits("ErrImagePull|ImagePullBackOff", "connection refused"),),
    "image-wrong-architecture": (ended(1, "Error", "exec format error"),),
    "image-name-malformed": (waits("InvalidImageName", "couldn't parse"),),
    "image-never-pulled": (waits("ErrImageNeverPull", "pull policy of Never"),),
    "container-crashes": (ended(3, "Error", "DATABASE_URL is not set"), answers(502)),
    "out-of-memory": (ended(137, "OOMKilled", ""),),
    "app-wrong-port": (says("Pod", "connection refused"), answers(502)),
    "readiness-fails": (says("Pod", "Readiness probe failed: .*statuscode: 500"), answers(502)),
    "config-missing": (waits("CreateContainerConfigError", "not found"),),
    "not-ready-yet": (answers(502),),
    "readiness-gate": (answers(502),),
    "node-tainted": (says("Pod", r"had untolerated taint"), answers(502)),
    "node-cordoned": (says("Pod", "were unschedulable"),),
    "too-little-cpu": (says("Pod", "Insufficient cpu"),),
    "node-selector": (says("Pod", "didn't match Pod's node affinity/selector"),),
    "volume-missing": (says("Pod", 'persistentvolumeclaim "absent" not found'),),
    "deployment-missing": (answers(502),),
    "scaled-to-zero": (refused_pods, answers(502)),
    "account-missing": (refused_pods, says("ReplicaSet", 'serviceaccount "absent" not found')),
    "quota-exceeded": (refused_pods, says("ReplicaSet", "exceeded quota"), answers(502)),
    "pod-security": (refused_pods, says("ReplicaSet", 'violates PodSecurity "restricted')),
    "admission-policy": (refused_pods, says("ReplicaSet", "No pods without an owner")),
    "webhook-unreachable": (refused_pods, says("ReplicaSet", "failed calling webhook")),
    "selector-mismatch": (answers(502),),
    "selector-missing": (kubectl("^no selector", *_SELECTOR), answers(200)),
    "target-port-wrong": (answers(502),),
    "ingress-service-missing": (answers(404), says("Ingress", '"E4041"')),
    "ingress-another-service": (answers(502),),
    "ingress-port-missing": (answers(404), says("Ingress", '"E4042"')),
    "service-cluster-ip": (answers(404), says("Ingress", '"E4047"')),
    "ingress-class": (no_address,),
    "two-classes": (kubectl("^qcloud nginx", *_CLASSES), answers(200)),
    "controller-off": (no_address,),
    "address-late": (no_address,),
    "direct-by-default": (kubectl("^true", *_DIRECT), fails("timed out")),
    "direct-not-allowed": (kubectl("^true", *_DIRECT), answers(502)),
    "balancer-quota": (no_address, says("Ingress", '"E4003".*Retry:true')),
    "balancer-arrears": (no_address, says("Ingress", '"E4027".*Retry:true')),
    "existing-balancer-unknown": (no_address, says("Ingress", '"E4018"')),
    "tls-secret-missing": (no_address, says("Ingress", '"E4010"')),
    "tls-secret-without-certificate": (no_address, says("Ingress", '"E4011"')),
    "deletion-hangs": (held(INGRESS),),
    "namespace-terminating": (held(NAMESPACE),),
    "listener-missing": (fails("refused"),),
    "balancer-closed": (fails("timed out"), fails("timed out", OPERATOR.name)),
    "client-closed": (answers(200), fails("timed out", OPERATOR.name)),
    "proxy-only": (answers(200), fails("timed out|not permitted", OPERATOR.name)),
    "firewall": (answers(403),),
    "node-port-closed": (answers(504),),
    "backend-slow": (answers(504),),
    "app-fails": (answers(500),),
    # nginx takes what isn't HTTP for HTTP/0.9, and passes it on.
    "backend-protocol": (fails(r"SSH-2\.0-fault"),),
    "hostname-only": (resolves(0, "kestrel"),),
    "hostname-unresolved": (resolves(6, "Could not resolve"),),
    "redirect": (answers(302),),
    "host-rule": (answers(403),),
    "path-rule": (answers(404),),
    "proxy-in-front": (forwarded(None, f"{CLIENT_ADDRESS}, {CLIENT2.ipv4('inet')}"),),
    "proxy-walked-around": (forwarded(None, f"{CLIENT_ADDRESS}, {CLIENT2.ipv4('inet')}"),),
    "policy-local-without-pod": (fails("timed out"), peer(re.escape(CLIENT_ADDRESS))),
    "policy-cluster": (peer(r"10\.(244|255)\..*"),),
    "node-translates": (peer(r"10\.244\.1\.1"), peer(re.escape(CLIENT_ADDRESS))),
    "replica-differs": (forwarded(None), forwarded(None, CLIENT_ADDRESS)),
    "header-stripped": (forwarded("6.6.6.6"), forwarded(None)),
    "address-translated": (translated,),
    "stale-endpoint": (answers(502), answers(200)),
    "header-dropped": (forwarded(None), forwarded("6.6.6.6", "6.6.6.6")),
    "header-believed": (forwarded("6.6.6.6", "6.6.6.6"),),
    "sidecar": (peer(r"127\.0\.0\.6"),),
    "token-expired": (kubectl("Unauthorized|logged in", "get", "pods", "-A"),),
    "rights-missing": (
        kubectl("^no", "auth", "can-i", "patch", "ingresses.networking.k8s.io"),
        kubectl("^yes", "auth", "can-i", "list", "ingresses.networking.k8s.io"),
    ),
    "context-wrong": (kubectl("refused", "get", "pods"),),
    "context-of-another-cluster": (
        kubectl("another", "config", "current-context"),
        kubectl("default", "get", "namespaces"),
        kubectl("NotFound", "get", "deployments", "-n", "absent", "none"),
    ),
    "ingress-api-off": (
        kubectl("have a resource type|could not find the requested resource", "get", "ingresses"),
        kubectl("default", "get", "namespaces"),
    ),
    "api-server-down": (kubectl("refused", "get", "pods"),),
    "api-server-silent": (kubectl("imeout|deadline", "get", "pods"),),
}


# --------------------------------------------------------------------------------------------
# Deployments, and what must be as before


def _deployed(lab: Lab, *options: str) -> Iterator[Playbooks]:
    playbooks = Playbooks(lab.name, f"faults-{secrets.token_hex(3)}")
    run = playbooks.run("deploy", *options)
    assert run.status == 0, run.output
    yield playbooks
    for name in FAULTS:
        turn_off(lab, name, playbooks.namespace, PREFIX)
    playbooks.kubectl("delete", "namespace", playbooks.namespace, "--wait=false")


@pytest.fixture(scope="module")
def bundled(lab: Lab) -> Iterator[Playbooks]:
    """The collection's own echo app, which tells the peer."""
    yield from _deployed(lab, "-e", "real_ip_echo=bundled")


@pytest.fixture(scope="module")
def document(lab: Lab) -> Iterator[Playbooks]:
    """The document's image."""
    yield from _deployed(lab)


#: What the server chooses anew when an object is made again.
CHOSEN: Final = ("clusterIP", "clusterIPs", "healthCheckNodePort")


def _spec(found: Json | None) -> Json:
    spec = {key: value for key, value in (found or {})["spec"].items() if key not in CHOSEN}
    for port in spec.get("ports", ()):
        port.pop("nodePort", None)
    return spec


#: Cluster-wide, beside nodes.
WIDE: Final = (
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
)
#: In the namespace: what nobody but a fault makes or removes.
LOCAL: Final = ("ConfigMap", "Secret", "Service", "Ingress", "ResourceQuota")


def _names(place: Place, kind: str, where: str = "{namespace}") -> list[str]:
    items = api(place.lab, Ref(kind, "", where).collection(place))["items"]
    return sorted(item["metadata"]["name"] for item in items)


def state(lab: Lab, namespace: str) -> Json:
    """All that a fault can change and that isn't made anew by a controller."""
    place = Place(lab, "", namespace, PREFIX)

    return {
        "namespace": (read(place, NAMESPACE) or {})["metadata"]["labels"],
        "specs": [_spec(read(place, ref)) for ref in (DEPLOYMENT, SERVICE, INGRESS)],
        "applied": [applied(place, ref) for ref in (DEPLOYMENT, SERVICE, INGRESS)],
        "local": {kind: _names(place, kind) for kind in LOCAL},
        "slices": [name for name in _names(place, "EndpointSlice") if name.endswith("stale")],
        **state_outside(lab, namespace),
    }


def state_outside(lab: Lab, namespace: str) -> Json:
    """That part of the state that is outside of the deployment's namespace."""
    place = Place(lab, "", namespace, PREFIX)
    nodes = {node.name: read(place, Ref("Node", node.name)) or {} for node in NODES}
    tables = {
        host: shell.run(["nsenter", f"--net=/run/netns/{lab.netns(host)}", "nft", "list", "tables"])
        for host in (CLB.name, *(node.name for node in NODES))
    }
    return {
        "wide": {kind: _names(place, kind) for kind in WIDE},
        "config": _names(place, "ConfigMap", "kube-system"),
        "accounts": _names(place, "ServiceAccount", "awx"),
        "nodes": {
            name: (node["spec"].get("taints"), node["spec"].get("unschedulable"))
            for name, node in nodes.items()
        },
        "tables": tables,
        "switches": balancing.read_switches(lab.clb / controller.SWITCHES_FILE),
        "files": sorted(path.name for path in (lab.root / "faults").glob(f"{namespace}.*")),
    }


def answered(lab: Lab, playbooks: Playbooks) -> None:
    """Assert that the echo app answers the client through the Ingress's balancer."""
    seen = Seen(playbooks, lab, {})
    told = seen.ask(timeout=2.0).json()
    assert {"kestrel", "message"} & set(told)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All faults, or those that differ most."""
    if "fault" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every-fault")
        metafunc.parametrize("fault", list(FAULTS) if every else QUICK)


def test_every_fault_has_something_that_shows_it() -> None:
    assert list(SHOWN) == list(FAULTS)
    assert all(SHOWN.values())
    assert all(fault.broken.endswith(".") and fault.steps for fault in FAULTS.values())


def test_fault(lab: Lab, fault: str, request: pytest.FixtureRequest) -> None:
    playbooks: Playbooks = request.getfixturevalue(
        "document" if fault == "pod-security" else "bundled"
    )
    eventually(lambda: answered(lab, playbooks), MENDED)
    before = state(lab, playbooks.namespace)
    facts = turn_on(lab, fault, playbooks.namespace, PREFIX)
    try:
        assert faults.on(lab, playbooks.namespace, PREFIX) == [fault]
        seen = Seen(playbooks, lab, facts)
        for check in SHOWN[fault]:
            eventually(partial(check, seen), 40.0)
    finally:
        assert turn_off(lab, fault, playbooks.namespace, PREFIX)
    assert not turn_off(lab, fault, playbooks.namespace, PREFIX)
    eventually(lambda: answered(lab, playbooks), MENDED)
    assert state(lab, playbooks.namespace) == before


@pytest.mark.parametrize("name", ["host-rule", "balancer-quota", "policy-cluster"])
def test_on_twice_is_as_on_once(lab: Lab, bundled: Playbooks, name: str) -> None:
    eventually(lambda: answered(lab, bundled), MENDED)
    before = state(lab, bundled.namespace)
    facts = [turn_on(lab, name, bundled.namespace, PREFIX) for __ in range(2)]
    try:
        for check in SHOWN[name]:
            eventually(partial(check, Seen(bundled, lab, facts[1])), 40.0)
        assert facts[0].keys() == facts[1].keys()
    finally:
        turn_off(lab, name, bundled.namespace, PREFIX)
    eventually(lambda: answered(lab, bundled), MENDED)
    assert state(lab, bundled.namespace) == before


def test_what_somebody_else_did_meanwhile_stays(lab: Lab, bundled: Playbooks) -> None:
    place = Place(lab, "", bundled.namespace, PREFIX)
    mine = {"lab.kestrel.example/mine": "stays"}
    turn_on(lab, "host-rule", bundled.namespace, PREFIX)
    turn_on(lab, "quota-exceeded", bundled.namespace, PREFIX)
    rule = {"op": "replace", "path": "/spec/rules/0/host", "value": "other.example.com"}
    operations = ("--type=json", "-p", json.dumps([rule]))
    bundled.kubectl("patch", "ingress", "real-ip-ingress", "-n", bundled.namespace, *operations)
    bundled.kubectl(
        *("annotate", "ingress", "real-ip-ingress", "-n", bundled.namespace),
        *(f"{key}={value}" for key, value in mine.items()),
    )
    bundled.kubectl("delete", "resourcequota", "--all", "-n", bundled.namespace)
    assert turn_off(lab, "quota-exceeded", bundled.namespace, PREFIX)
    assert turn_off(lab, "host-rule", bundled.namespace, PREFIX)
    found = read(place, INGRESS)
    assert found
    assert found["spec"]["rules"][0]["host"] == "other.example.com"
    assert mine.items() <= found["metadata"]["annotations"].items()
    rule = {"op": "remove", "path": "/spec/rules/0/host"}
    operations = ("--type=json", "-p", json.dumps([rule]))
    bundled.kubectl("patch", "ingress", "real-ip-ingress", "-n", bundled.namespace, *operations)
    eventually(lambda: answered(lab, bundled), MENDED)


def test_the_command_line(lab: Lab, bundled: Playbooks, command: Command) -> None:
    where = ("--namespace", bundled.namespace, "--prefix", PREFIX)
    listed = command("fault", *where).stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(FAULTS)
    said = command("fault", "token-expired", "on", *where).stdout
    try:
        assert re.fullmatch(r"kubeconfig=/\S+\n", said)
        active = [line for line in command("fault", *where).stdout.splitlines() if line[:2] == "on"]
        assert [line.split()[1] for line in active] == ["token-expired"]
    finally:
        assert command("fault", "token-expired", "off", *where).stdout == ""
    assert command("fault", "token-expired", "off", *where).stdout == "token-expired is not on.\n"


def test_without_a_deployment_nothing_is_broken(lab: Lab) -> None:
    for name in ("image-not-found", "balancer-quota", "node-port-closed", "deletion-hangs"):
        with pytest.raises(LabError, match=r"There is no .*deploy with playbooks/site"):
            turn_on(lab, name, "nowhere", PREFIX)
        assert not turn_off(lab, name, "nowhere", PREFIX)
    assert balancing.read_switches(lab.clb / controller.SWITCHES_FILE) == balancing.DEFAULTS


def test_a_deployment_that_was_deleted_meanwhile(lab: Lab) -> None:
    for playbooks in _deployed(lab, "-e", "real_ip_echo=bundled"):
        before = state(lab, playbooks.namespace)
        names = (
            *("selector-mismatch", "node-port-closed", "redirect", "replica-differs"),
            *("policy-cluster", "controller-off", "quota-exceeded", "deletion-hangs"),
        )
        for name in names:
            turn_on(lab, name, playbooks.namespace, PREFIX)
        bare = ("-n", playbooks.namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        playbooks.kubectl("patch", "ingress", "real-ip-ingress", *bare)
        kinds = "deployments,services,ingresses,configmaps,pods,resourcequotas"
        playbooks.kubectl("delete", kinds, "--all", "-n", playbooks.namespace)
        for name in names:
            assert turn_off(lab, name, playbooks.namespace, PREFIX)
        place = Place(lab, "", playbooks.namespace, PREFIX)
        assert not any(read(place, ref) for ref in (DEPLOYMENT, SERVICE, INGRESS, LAYER_4))
        after = state_outside(lab, playbooks.namespace)
        assert after == {key: before[key] for key in after}


# --------------------------------------------------------------------------------------------
# What undoing is made of


@pytest.mark.parametrize(
    ("before", "after", "now", "expected"),
    [
        # As the fault left it
        ({"a": 1}, {"a": 2}, {"a": 2}, {"a": 1}),
        ({"a": 1}, {"a": 2, "b": 3}, {"a": 2, "b": 3, "c": 4}, {"a": 1, "c": 4}),
        ({"a": 1, "b": 2}, {"a": 1}, {"a": 1}, {"a": 1, "b": 2}),
        ({}, {"labels": {"x": "1"}}, {"labels": {"x": "1", "y": "2"}}, {"labels": {"y": "2"}}),
        # As somebody else left it
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 3}),
        ({"a": 1}, {"a": 2}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": 2}, {}, {}),
        ({}, {"b": {"c": 1}}, {"b": {"c": 2}}, {"b": {"c": 2}}),
        ({"a": 1}, {}, {"a": 5}, {"a": 5}),
        # Lists: item by item, or as sets
        (
            {"l": [{"p": 1}]},
            {"l": [{"p": 2}]},
            {"l": [{"p": 2, "q": 3}]},
            {"l": [{"p": 1, "q": 3}]},
        ),
        ({"l": [1]}, {"l": [1, 2]}, {"l": [1, 2, 3]}, {"l": [1, 3]}),
        ({}, {"l": [2]}, {"l": [2, 3]}, {"l": [3]}),
        ({"l": [1, 2]}, {"l": [2]}, {"l": [2, 3]}, {"l": [2, 3, 1]}),
        ({"l": [1, 2]}, {"l": [1, 2]}, {"l": [9]}, {"l": [9]}),
    ],
)
def test_unmerge(before: Any, after: Any, now: Any, expected: Any) -> None:
    assert unmerge(before, after, now) == expected


RULES: Final = [
    {"apiGroups": [""], "resources": ["services", "configmaps"], "verbs": ["get", "patch"]},
    {"apiGroups": ["apps"], "resources": ["services"], "verbs": ["patch"]},
]


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        (None, RULES),
        (("batch", "jobs", "get"), RULES),
        (
            ("", "services", "patch"),
            [
                {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch"]},
                {"apiGroups": [""], "resources": ["services"], "verbs": ["get"]},
                RULES[1],
            ],
        ),
        (("apps", "services", "patch"), RULES[:1]),
    ],
)
def test_less(right: tuple[str, str, str] | None, expected: list[Json]) -> None:
    assert less(RULES, right) == expected


def test_owned_fields() -> None:
    found = {
        "metadata": {"labels": {"a": "1", "b": "2"}, "finalizers": ["mine", "theirs"]},
        "spec": {
            "list": [{"name": "x", "image": "i", "more": 1}, {"name": "y"}, {"name": "a"}],
            "whole": {"deep": [1]},
            "empty": [],
        },
    }
    fields = {
        "f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {'v:"mine"': {}}},
        "f:spec": {
            "f:list": {
                'k:{"name":"a"}': {".": {}, "f:name": {}},
                'k:{"name":"x"}': {".": {}, "f:name": {}, "f:image": {}},
            },
            "f:whole": {},
            "f:empty": {},
            "f:gone": {},
        },
    }
    assert owned(found, fields) == {
        "metadata": {"labels": {"a": "1"}, "finalizers": ["mine"]},
        "spec": {
            "list": [{"name": "x", "image": "i"}, {"name": "a"}],
            "whole": {"deep": [1]},
            "empty": [],
        },
    }
