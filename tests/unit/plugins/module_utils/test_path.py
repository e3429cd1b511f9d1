# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a way, from servers of today and of yesterday, and with rights missing."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils import _diagnosis
from ansible_collections.kestrel.real_ip.plugins.module_utils._checks import diagnose
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import kind_of
from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import (
    ClusterError,
    NoConfiguration,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import (
    LISTS,
    SIDE_BY_SIDE,
    TrafficPath,
    keep_node,
    keep_object,
    read_path,
    requested,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._proxies import (
    passed_by,
    proxies_of,
    proxy_for,
)

Json = dict[str, Any]
APP = {"app": "echo"}
CORE = "/api/v1/namespaces/shop"
NETWORKING = "/apis/networking.k8s.io"
DISCOVERY = "/apis/discovery.k8s.io"
EXTENSIONS = "/apis/extensions/v1beta1/namespaces/shop/ingresses"


# --- A server -------------------------------------------------------------------------------------


class Server:
    """Answers as an API server does, and remembers what it was asked.

    ``collections``: path of a list to its objects; ``refuse``: paths to the status with which
    they are answered.
    """

    def __init__(
        self,
        groups: Mapping[str, Sequence[str]],
        collections: Mapping[str, Sequence[Json]],
        refuse: Mapping[str, int] | None = None,
    ) -> None:
        self.collections = collections
        self.refuse = refuse or {}
        self.asked: list[str] = []
        self.requests = 0
        self.server = "https://192.0.2.1:6443"
        self.groups = [
            {"name": name, "versions": [{"version": one} for one in versions]}
            for name, versions in groups.items()
        ]

    def get(self, path: str) -> Json:
        self._ask(path)
        if path == "/apis":
            return {"groups": self.groups}
        where, _slash, name = path.rpartition("/")
        for one in self.collections.get(where, ()):
            if one["metadata"]["name"] == name:
                return one
        raise ClusterError("not found", 404)

    def items(self, path: str, keep: Callable[[Json], Json], **query: str) -> list[Json]:
        self._ask(path)
        if path not in self.collections:
            raise ClusterError("the server could not find the requested resource", 404)
        wanted = dict(one.split("=") for one in query.get("labelSelector", "").split(",") if one)
        return [
            keep(one)
            for one in self.collections[path]
            if wanted.items() <= (one["metadata"].get("labels") or {}).items()
        ]

    def _ask(self, path: str) -> None:
        self.asked.append(path)
        self.requests += 1
        status = next((code for text, code in self.refuse.items() if path.endswith(text)), None)
        if status is not None:
            raise ClusterError(
                f'{path.rpartition("/")[2]} is forbidden: User "bot" cannot do that', status
            )


# --- A way, as today's objects and as yesterday's -------------------------------------------------


class Way(NamedTuple):
    """The few things that a way can be broken by."""

    selector: Mapping[str, str] = APP
    backend_port: int | str = 80


def ingress(way: Way) -> Json:
    key = "number" if isinstance(way.backend_port, int) else "name"
    backend = {"service": {"name": "echo", "port": {key: way.backend_port}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return _ingress({"ingressClassName": "qcloud", "rules": [{"http": {"paths": [path]}}]})


def beta_ingress(way: Way) -> Json:
    backend = {"serviceName": "echo", "servicePort": way.backend_port}
    found = _ingress({"rules": [{"http": {"paths": [{"path": "/", "backend": backend}]}}]})
    found["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "qcloud"}
    return found


def _ingress(spec: Json) -> Json:
    status = {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}
    return {"metadata": {"name": "front"}, "spec": spec, "status": status}


def _taken(way: Way) -> list[str]:
    return ["10.244.1.6", "10.244.1.7"] if way.selector == APP else []


def endpoint_slice(way: Way) -> Json:
    return {
        "metadata": {
            "name": "echo-x",
            "labels": {
                "kubernetes.io/service-name": "echo",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "ports": [{"port": 5000}],
        "endpoints": [{"addresses": [one], "conditions": {"ready": True}} for one in _taken(way)],
    }


def endpoints(way: Way) -> Json:
    # The second one is of a pod that has just gone.
    entries = [{"ip": one} for one in (*_taken(way), *(["10.244.1.8"] if _taken(way) else []))]
    subsets = [{"addresses": entries, "ports": [{"port": 5000}]}] if entries else []
    return {"metadata": {"name": "echo"}, "subsets": subsets}


def always(way: Way) -> dict[str, list[Json]]:
    """What every version of Kubernetes has in the same place."""
    template = {"metadata": {"labels": APP}, "spec": {"containers": [{"name": "app"}]}}
    pods = [
        {
            "metadata": {"name": f"echo-{number}", "labels": APP},
            "spec": {"nodeName": "node1", "containers": [{"name": "app"}]},
            "status": {
                "phase": "Running",
                "podIPs": [{"ip": f"10.244.1.{number}"}],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }
        for number in (6, 7)
    ]
    spec = {
        "type": "NodePort",
        "selector": dict(way.selector),
        "ports": [{"port": 80, "targetPort": 5000, "nodePort": 30080}],
    }
    deployment = {
        "metadata": {"name": "echo"},
        "spec": {"replicas": 2, "selector": {"matchLabels": APP}, "template": template},
    }
    return {
        "/api/v1/namespaces": [{"metadata": {"name": "shop"}}],
        "/api/v1/nodes": [{"metadata": {"name": "node1"}}],
        f"{CORE}/services": [{"metadata": {"name": "echo"}, "spec": spec}],
        f"{CORE}/pods": pods,
        f"{CORE}/events": [],
        f"{CORE}/endpoints": [endpoints(way)],
        "/apis/apps/v1/namespaces/shop/deployments": [deployment],
        "/apis/apps/v1/namespaces/shop/replicasets": [],
    }


class Release(NamedTuple):
    """A server: its groups, where it has Ingresses and slices, and what is asked of these."""

    groups: Mapping[str, Sequence[str]]
    ingresses: Sequence[str]
    slices: str
    asked: Sequence[str]
    classes: Sequence[str] = ()


def _places(version: str) -> tuple[str, str]:
    where = f"{NETWORKING}/{version}/namespaces/shop/ingresses"
    return where, f"{where}/front"


V1, V1_FRONT = _places("v1")
BETA, BETA_FRONT = _places("v1beta1")
SLICES = f"{DISCOVERY}/v1/namespaces/shop/endpointslices"
BETA_SLICES = f"{DISCOVERY}/v1beta1/namespaces/shop/endpointslices"
ENDPOINTS = f"{CORE}/endpoints/echo"
CLASSES = f"{NETWORKING}/v1/ingressclasses"
BETA_CLASSES = f"{NETWORKING}/v1beta1/ingressclasses"
APPS = {"apps": ["v1"]}

RELEASES: dict[str, Release] = {
    "today": Release(
        {**APPS, "networking.k8s.io": ["v1"], "discovery.k8s.io": ["v1"]},
        [V1],
        SLICES,
        [V1_FRONT, SLICES, CLASSES],
        [CLASSES],
    ),
    "1.20: both versions": Release(
        {
            **APPS,
            "networking.k8s.io": ["v1", "v1beta1"],
            "extensions": ["v1beta1"],
            "discovery.k8s.io": ["v1beta1"],
        },
        [V1, BETA, EXTENSIONS],
        BETA_SLICES,
        [V1_FRONT, BETA_SLICES, CLASSES],
        [CLASSES, BETA_CLASSES],
    ),
    "1.18: v1 without Ingresses": Release(
        {
            **APPS,
            "networking.k8s.io": ["v1", "v1beta1"],
            "extensions": ["v1beta1"],
            "discovery.k8s.io": ["v1beta1"],
        },
        [BETA, EXTENSIONS],
        BETA_SLICES,
        [V1_FRONT, BETA_FRONT, BETA_SLICES, CLASSES, BETA_CLASSES],
        [BETA_CLASSES],
    ),
    "1.16: no slices, no classes": Release(
        {**APPS, "networking.k8s.io": ["v1", "v1beta1"], "extensions": ["v1beta1"]},
        [BETA, EXTENSIONS],
        "",
        [V1_FRONT, BETA_FRONT, ENDPOINTS, CLASSES, BETA_CLASSES],
    ),
    "v1beta1 alone": Release(
        {**APPS, "networking.k8s.io": ["v1beta1"]},
        [BETA],
        "",
        [BETA_FRONT, ENDPOINTS, BETA_CLASSES],
    ),
    "extensions alone": Release(
        {**APPS, "extensions": ["v1beta1"]},
        [EXTENSIONS],
        "",
        [f"{EXTENSIONS}/front", ENDPOINTS],
    ),
}

WAYS: dict[str, tuple[Way, list[str]]] = {
    "healthy": (Way(), []),
    "selector mismatch": (Way(selector={"app": "ecko"}), ["P206", "P209"]),
    "port missing": (Way(backend_port=8080), ["P204"]),
    "name of a port missing": (Way(backend_port="web"), ["P204"]),
}


def serve(release: Release, way: Way, **refuse: int) -> Server:
    """A server of this release that has this way."""
    collections = always(way)
    for where in release.ingresses:
        collections[where] = [ingress(way) if where == V1 else beta_ingress(way)]
    if release.slices:
        collections[release.slices] = [endpoint_slice(way)]
    for where in release.classes:
        collections[where] = []
    return Server(release.groups, collections, refuse)


def read(server: Any, **options: str) -> TrafficPath:
    asked = {"ingress": "front", "service": "", "request_host": "", "path": "/", **options}
    return read_path(server, "shop", asked)


def codes(path: TrafficPath) -> list[str]:
    return [one["code"] for one in diagnose(path)]


@pytest.mark.parametrize(
    ("options", "url", "expected"),
    [
        ({}, "", ("", "/")),
        ({"path": "/a"}, "", ("", "/a")),
        ({"request_host": "a.example", "path": "/a"}, "", ("a.example", "/a")),
        # The load balancer's own address, by itself or with a name that is sent there
        ({}, "http://198.51.100.1/", ("", "/")),
        ({}, "https://lb.example:8443/a?b=c", ("", "/a")),
        ({"request_host": "a.example"}, "http://198.51.100.1/a", ("a.example", "/a")),
        # A name that was asked
        ({"path": "/a"}, "https://Shop.example.com./b", ("shop.example.com", "/b")),
        ({}, "http://203.0.113.7", ("203.0.113.7", "/")),
        ({"request_host": "a.example"}, "http://shop.example.com/", ("a.example", "/")),
        ({"path": "/a"}, "http://[", ("", "/a")),
    ],
)
def test_what_was_asked_is_told_by_the_url(
    options: Json, url: str, expected: tuple[str, str]
) -> None:
    entries = [{"ip": "198.51.100.1"}, {"hostname": "lb.example"}]
    front = {"status": {"loadBalancer": {"ingress": entries}}}
    probe = {"targets": [{"name": "front", "url": url}]}
    assert requested(front, options, probe) == expected
    assert requested(front, options, None) == requested(front, options, {"targets": [{}]})
    # A Service has no rules.
    asked = options.get("request_host") or "", options.get("path") or "/"
    assert requested(None, options, probe) == asked


@pytest.mark.parametrize("release", RELEASES)
def test_each_release_is_asked_for_what_it_has(release: str) -> None:
    row = RELEASES[release]
    server = serve(row, Way())
    read(server)
    kinds = ("/ingresses", "/endpointslices", "/endpoints", "/ingressclasses")
    asked = [one for one in server.asked if any(kind in one for kind in kinds)]
    assert sorted(asked) == sorted(row.asked)
    assert server.requests == len(server.asked) == len({*server.asked})


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("broken", WAYS)
def test_each_release_leads_to_the_same_findings(release: str, broken: str) -> None:
    way, expected = WAYS[broken]
    path = read(serve(RELEASES[release], way))
    assert (path.service_name, path.denied) == ("echo", ())
    assert codes(path) == expected


@pytest.mark.parametrize("release", RELEASES)
def test_an_ingress_that_no_api_has_is_missing(release: str) -> None:
    path = read(serve(RELEASES[release], Way()), ingress="another")
    assert path.ingress is None
    assert codes(path) == ["P201"]


@pytest.mark.parametrize(
    ("groups", "message", "expected"),
    [
        # The group is there, and not the resource; neither is; and an object that there isn't
        ({"networking.k8s.io": ["v1"]}, "the server could not find the requested resource", True),
        ({"networking.k8s.io": ["v1"]}, "404 page not found", True),
        ({"apps": ["v1"]}, "not asked", True),
        ({"networking.k8s.io": ["v1"]}, 'ingresses.networking.k8s.io "front" not found', False),
    ],
)
def test_a_server_without_ingresses(
    groups: dict[str, list[str]], message: str, expected: bool
) -> None:
    class Without(Server):
        def get(self, path: str) -> Json:
            if path.endswith("/ingresses/front"):
                raise ClusterError(message, 404)
            return super().get(path)

    path = read(Without(groups, serve(RELEASES["today"], Way()).collections))
    assert path.unserved == expected
    assert codes(path)[0] == ("P005" if expected else "P201")


# --- What may not be read -------------------------------------------------------------------------


class Unread(NamedTuple):
    """A refused read: the finding, and what is then not known."""

    path: str
    found: str
    field: str


UNREAD = [
    Unread("/services", "list services", "services"),
    Unread("/deployments", "list deployments.apps", "deployments"),
    Unread("/replicasets", "list replicasets.apps", "replica_sets"),
    Unread("/nodes", "list nodes", "nodes"),
    Unread("/events", "list events", "events"),
    Unread("/ingressclasses", "list ingressclasses.networking.k8s.io", "classes"),
    Unread("/pods", "list pods", "pods"),
    Unread("/endpointslices", "list endpointslices.discovery.k8s.io", "slices"),
    Unread("/ingresses/front", "get ingresses.networking.k8s.io", "ingress"),
    Unread("/namespaces/shop", "get namespaces", "space"),
    Unread("/tke-service-controller-config", "get configmaps", "settings"),
]


@pytest.mark.parametrize("row", UNREAD, ids=lambda row: row.found)
@pytest.mark.parametrize("broken", WAYS)
def test_what_may_not_be_read_is_named_and_not_taken_for_wrong(row: Unread, broken: str) -> None:
    way, expected = WAYS[broken]
    path = read(serve(RELEASES["today"], way, **{row.path: 403}), service="echo")
    assert getattr(path, row.field) is None
    found = diagnose(path)
    rights = [one["object"] for one in found if one["code"] == "P003"]
    assert rights == [f"Right {row.found}"]
    assert {*codes(path)} <= {"P003", *expected}


def test_every_list_has_a_row_of_a_refusal() -> None:
    assert {*LISTS} <= {row.field for row in UNREAD}


def test_endpoints_that_may_not_be_read_are_not_taken_for_none() -> None:
    server = serve(RELEASES["1.16: no slices, no classes"], Way(), **{"/endpoints/echo": 403})
    path = read(server)
    assert path.slices is None
    assert codes(path) == ["P003"]


def test_pods_of_a_service_that_may_not_be_read_are_not_known() -> None:
    path = read(serve(RELEASES["today"], Way(), **{"/services": 403}))
    assert (path.service, path.pods) == (None, None)


# --- No answer ------------------------------------------------------------------------------------


class Module:
    """As much of a module as a diagnosis needs."""

    def __init__(self, **options: str) -> None:
        self.params = {
            "namespace": "shop",
            "ingress": None,
            "service": None,
            "request_host": "",
            "path": "/",
            "probe": None,
            "show_logs": "own",
            "language": "en",
            **options,
        }


@pytest.mark.parametrize("front", [{"ingress": "front"}, {"service": "echo"}])
@pytest.mark.parametrize(
    ("where", "status", "code"),
    [
        ("/apis", 401, "P002"),
        ("/apis", 0, "P001"),
        # The token expires, or the server goes away, while it is read.
        ("/services", 401, "P002"),
    ],
)
def test_a_server_that_does_not_answer_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, where: str, status: int, code: str, front: dict[str, str]
) -> None:
    server = serve(RELEASES["today"], Way(), **{where: status})
    monkeypatch.setattr(_diagnosis, "Cluster", lambda module: server)
    found = _diagnosis.diagnosis(Module(**front))
    assert [one["code"] for one in found["findings"]] == [code]
    assert found["cause"] == found["findings"][0]
    assert found["requests"] == server.requests > 0
    assert ("ingress" in [one["hop"] for one in found["path"]]) == ("ingress" in front)


@pytest.mark.parametrize("row", UNREAD, ids=lambda row: row.found)
@pytest.mark.parametrize("status", [0, 500])
@pytest.mark.parametrize("broken", WAYS)
def test_one_read_that_fails_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, row: Unread, status: int, broken: str
) -> None:
    way, expected = WAYS[broken]
    server = serve(RELEASES["today"], way, **{row.path: status})
    monkeypatch.setattr(_diagnosis, "Cluster", lambda module: server)
    found = _diagnosis.diagnosis(Module(ingress="front", service="echo"))["findings"]
    failed = [(one["object"], one["severity"]) for one in found if one["code"] == "P006"]
    [told] = {(f"Read {row.found.partition('.')[0]}", "warning")}
    assert failed == [told]
    assert {one["code"] for one in found} <= {"P006", *expected}


class Logging(Server):
    """Has the logs of a container that crashes: of this start, and of the one before."""

    now: tuple[int, str]
    before: tuple[int, str]

    def ask(self, path: str, timeout: float) -> tuple[int, str]:
        return self.before if "previous=true" in path else self.now


GONE = (200, "unable to retrieve container logs for containerd://ab")
NOTHING = (200, "")
TOLD = (200, "the shop is closed")
NEVER = (400, "previous terminated container not found")


@pytest.mark.parametrize("state", ["running", "waiting", "terminated"])
@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (TOLD, NEVER, True),
        (TOLD, GONE, True),
        (GONE, TOLD, True),
        # It was started again since its state was read, and hasn't written anything yet.
        (NOTHING, TOLD, True),
        ((400, "container is waiting to start"), TOLD, True),
        (NOTHING, NEVER, False),
        (GONE, GONE, False),
        ((403, "forbidden"), (403, "forbidden"), False),
    ],
)
def test_the_log_of_a_container_that_crashes(
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    now: tuple[int, str],
    before: tuple[int, str],
    expected: bool,
) -> None:
    server = Logging(RELEASES["today"].groups, serve(RELEASES["today"], Way()).collections)
    server.now, server.before = now, before
    monkeypatch.setattr(_diagnosis, "Cluster", lambda module: server)
    monkeypatch.setattr(_diagnosis, "_direct", lambda cluster, path: ())
    pod = next(items for path, items in server.collections.items() if path.endswith("/pods"))[0]
    ended = {"terminated": {"exitCode": 4, "reason": "Error"}}
    states = {"state": {state: ended.get(state, {})}, "lastState": ended}
    pod["status"]["containerStatuses"] = [{"name": "app", "ready": False, **states}]
    found = _diagnosis.diagnosis(Module(ingress="front", show_logs="all"))["logs"]
    assert [one["lines"] for one in found] == ([["the shop is closed"]] if expected else [])


class Leaving(Server):
    """A server that goes away after a number of answers."""

    left = 1

    def _ask(self, path: str) -> None:
        super()._ask(path)
        self.left -= 1
        if self.left < 0:
            raise ClusterError("The API server https://192.0.2.1:6443 doesn't answer", 0)


@pytest.mark.parametrize("left", [0, 1, 4, 9])
def test_a_server_that_goes_away_meanwhile_is_no_list_that_fails(
    monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    server = Leaving(RELEASES["today"].groups, serve(RELEASES["today"], Way()).collections)
    server.left = left
    monkeypatch.setattr(_diagnosis, "Cluster", lambda module: server)
    found = _diagnosis.diagnosis(Module(ingress="front"))
    assert [one["code"] for one in found["findings"]] == ["P001"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {}),
        (
            {"HTTP_PROXY": "http://me:secret@192.0.2.8:3128"},
            {"http_proxy": "http://192.0.2.8:3128"},
        ),
        ({"http_proxy": "http://p", "no_proxy": "198.51.100.0/24"}, {}),
        ({"http_proxy": "http://p", "NO_PROXY": "*"}, {}),
        ({"http_proxy": "http://p", "no_proxy": "198.51.100.1, x"}, {}),
        ({"http_proxy": "http://p", "no_proxy": ".example"}, {"http_proxy": "http://p"}),
        ({"http_proxy": ""}, {}),
    ],
)
def test_proxies(environment: dict[str, str], expected: dict[str, str]) -> None:
    assert proxies_of(environment, ["198.51.100.1"]) == expected


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({}, ""),
        ({"http_proxy": "http://p"}, "http_proxy"),
        ({"https_proxy": "http://p"}, ""),
        ({"ALL_PROXY": "http://p", "https_proxy": "http://p"}, "all_proxy"),
        ({"http_proxy": "http://p", "no_proxy": "198.51.100.1"}, ""),
    ],
)
def test_a_proxy_that_a_probe_goes_past_is_told(environment: dict[str, str], variable: str) -> None:
    """Clients that use it arrive with its address, and a probe never does."""
    url = "http://198.51.100.1/"
    assert proxy_for(environment, url) == variable
    told = passed_by(environment, [url, url])
    assert [kind_of(one) for one in told] == (["proxied"] if variable else [])
    assert all(variable in one and url in one for one in told)


def test_who_asked_for_direct_access() -> None:
    key = "ingress.cloud.tencent.com/direct-access"
    mine = {"f:metadata": {"f:annotations": {f"f:{key}": {}}}}
    for spec, expected in (({}, [{"manager": "tke", "annotation": key}]), ({"f:spec": {}}, [])):
        entries = [{"manager": "tke", "fieldsV1": {**mine, **spec}}]
        found = keep_object({"metadata": {"name": "front", "managedFields": entries}})
        assert found["metadata"].get("managedFields", []) == expected


@pytest.mark.parametrize(
    ("error", "code", "named", "fixes"),
    [
        (
            ClusterError("refused", 401),
            "P002",
            "API server",
            {"en": "Get a new kubeconfig", "zh": "获取新的 kubeconfig"},
        ),
        (
            ClusterError("silent"),
            "P001",
            "API server",
            {
                "en": "Make the API server reachable and trusted: silent",
                "zh": "让 API Server 可达且可信：silent",
            },
        ),
        (
            ClusterError("The API server a can't be trusted: b. Next: give its CA certificate"),
            "P001",
            "API server",
            {
                "en": "Make the API server reachable and trusted: give its CA certificate",
                "zh": "让 API Server 可达且可信：give its CA certificate",
            },
        ),
        (
            NoConfiguration("The kubeconfig a has no context b"),
            "P007",
            "kubeconfig",
            {"en": "Give a kubeconfig that is there", "zh": "以 real_ip_kubeconfig 给出"},
        ),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_server_that_does_not_answer_at_all_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
    error: ClusterError,
    code: str,
    named: str,
    fixes: dict[str, str],
    language: str,
) -> None:
    def refuse(module: Module) -> None:
        raise error

    monkeypatch.setattr(_diagnosis, "Cluster", refuse)
    found = _diagnosis.diagnosis(Module(ingress="front", language=language))
    assert [one["code"] for one in found["findings"]] == [code]
    assert found["cause"]["object"].endswith(f" {named}")
    assert found["cause"]["fix"].startswith(fixes[language])
    assert found["requests"] == 0


# --- How it is read -------------------------------------------------------------------------------


class Meeting(Server):
    """A server that answers nothing before all that can be asked at once was asked."""

    def meet(self, first: int, then: int) -> None:
        self.first = threading.Barrier(first, timeout=30)
        self.then = threading.Barrier(then, timeout=30)

    def _ask(self, path: str) -> None:
        super()._ask(path)
        if path != "/apis":
            late = path.endswith(("/pods", "/endpointslices"))
            (self.then if late else self.first).wait()


def test_what_depends_on_nothing_is_read_side_by_side() -> None:
    plain = serve(RELEASES["today"], Way())
    server = Meeting(RELEASES["today"].groups, plain.collections)
    # An Ingress, the namespace and the ConfigMap; then pods and slices.
    server.meet(len(LISTS) + 3, 2)
    assert codes(read(server)) == []
    assert len(LISTS) + 3 + 2 == SIDE_BY_SIDE == server.requests - 1


# --- What is kept ---------------------------------------------------------------------------------

HISTORY = "kubectl.kubernetes.io/last-applied-configuration"


def test_history_is_not_kept() -> None:
    found = {
        "metadata": {
            "name": "echo",
            "annotations": {HISTORY: "{}", "ingress.cloud.tencent.com/direct-access": "true"},
            "managedFields": [{}],
        },
        "spec": {"replicas": 2},
    }
    before = copy.deepcopy(found)
    assert keep_object(found) == {
        "metadata": {
            "name": "echo",
            "annotations": {"ingress.cloud.tencent.com/direct-access": "true"},
        },
        "spec": {"replicas": 2},
    }
    assert found == before


def test_images_of_nodes_are_not_kept() -> None:
    conditions = [{"type": "Ready", "status": "True"}]
    node = {"metadata": {"name": "node1"}, "status": {"conditions": conditions, "images": [{}]}}
    assert keep_node(node)["status"] == {"conditions": conditions}
