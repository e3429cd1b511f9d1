# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import UNSOUGHT
from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import ClusterError
from ansible_collections.kestrel.real_ip.plugins.module_utils._way import (
    _PLURALS,
    read_way,
)
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.test_kubernetes import (
    Answering,
)

OPTIONS = {
    "ingress": "front",
    "service": "own",
    "request_host": "",
    "path": "/",
    "url": "",
    "layer": "l7",
}
IN_NS = "/api/v1/namespaces/ns"
EVERYWHERE, HERE = "/api/v1/services", f"{IN_NS}/services"
SPEC = {"selector": {"app": "a"}, "clusterIP": "10.96.0.9", "ports": [{"port": 80}]}


def _service(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {**SPEC, **more}}


OWN, OTHER = _service("own"), _service("other", externalIPs=["198.51.100.8"])
#: The one that every cluster has
KEPT = {"metadata": {"name": "kubernetes", "namespace": "default"}, "spec": {}}
SERVICES = {"items": [KEPT, OWN, OTHER]}
FRONT = {
    "metadata": {"name": "front", "namespace": "ns"},
    "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}},
}
NOTHING: dict[str, Any] = {"items": []}
NODE = {
    "metadata": {"name": "n"},
    "status": {"addresses": [{"type": "InternalIP", "address": "10.0.1.1"}]},
}
#: What runs in another namespace
ANOTHER = {
    "metadata": {"name": "dns", "namespace": "kube-system"},
    "status": {"podIP": "10.2.9.9"},
}
ANSWERS = {
    f"{IN_NS}/services/own": OWN,
    "/apis/networking.k8s.io/v1/namespaces/ns/ingresses/front": FRONT,
    f"{IN_NS}/pods": NOTHING,
    "/api/v1/nodes": {"items": [NODE]},
    "/api/v1/pods": {"items": [ANOTHER]},
    "/apis/networking.k8s.io/v1/ingresses": {"items": [FRONT]},
    "/version": {"gitVersion": "v1.36.3"},
}


def _forbidden(path: str) -> ClusterError:
    return ClusterError(f"{path} is forbidden", 403)


@pytest.mark.parametrize("ingress", ["front", "", None])
def test_a_way_says_which_one_it_is(ingress: str | None) -> None:
    """As whoever is handed it has to know."""
    asked = {**OPTIONS, "ingress": ingress, "url": "http://www.example/"}
    cluster = Answering({**ANSWERS, EVERYWHERE: SERVICES})
    found = read_way(cluster, "ns", asked)["asked"]
    assert found == {**asked, "namespace": "ns", "ingress": ingress or ""}


@pytest.mark.parametrize(
    ("services", "found", "unread", "listed"),
    [
        ({EVERYWHERE: SERVICES}, ["198.51.100.8:80"], [], [EVERYWHERE]),
        # With rights in the namespace alone
        (
            {EVERYWHERE: _forbidden(EVERYWHERE), HERE: SERVICES},
            ["198.51.100.8:80"],
            [f"{EVERYWHERE} is forbidden"],
            [EVERYWHERE, HERE],
        ),
        (
            {path: _forbidden(path) for path in (EVERYWHERE, HERE)},
            [],
            [f"{path} is forbidden" for path in (EVERYWHERE, HERE)],
            [EVERYWHERE, HERE],
        ),
    ],
)
def test_where_other_services_are_found(
    services: dict[str, Any], found: list[str], unread: list[str], listed: list[str]
) -> None:
    cluster = Answering({**ANSWERS, **services})
    way = read_way(cluster, "ns", OPTIONS)
    assert way["bypass"]["service"] == found
    assert way["unread"] == unread
    assert ("services" in way["cluster_addresses"]) == (unread == [])
    assert [path for path in cluster.asked if path.endswith("services")] == listed
    assert len(cluster.asked) == len([*ANSWERS, GATEWAY_API]) + len(listed)


def test_a_controllers_service_of_another_namespace_tells_where_it_listens() -> None:
    entry = {
        "metadata": {"name": "entry", "namespace": "in"},
        "spec": {"ports": [{"port": 8080}], "allocateLoadBalancerNodePorts": False},
        "status": FRONT["status"],
    }
    cluster = Answering({**ANSWERS, EVERYWHERE: {"items": [*SERVICES["items"], entry]}})
    found = read_way(cluster, "ns", OPTIONS)
    assert found["bypass"]["listeners"] == ["http:8080", "https:8080"]
    # What is probed stays what it is.
    assert [one["url"] for one in found["targets"]] == ["http://198.51.100.1/"]


def test_the_controller_is_asked_on_layer_4_as_well() -> None:
    """Some hand the PROXY protocol on, and take it from anybody who gets to them."""
    status = {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}
    node = {"metadata": {"name": "n1"}, "status": status}
    entry = {
        "metadata": {"name": "entry", "namespace": "in"},
        "spec": {"ports": [{"port": 80, "nodePort": 30080}]},
        "status": FRONT["status"],
    }
    lists = {EVERYWHERE: {"items": [*SERVICES["items"], entry]}, NODES: {"items": [node]}}
    cluster = Answering({**ANSWERS, **lists})
    found = [read_way(cluster, "ns", {**OPTIONS, "layer": one})["bypass"] for one in ("l7", "l4")]
    assert found[0]["controller"] == ["10.0.0.1:30080"]
    assert found[1] == found[0]


GATEWAY_API = "/apis/gateway.networking.k8s.io"
GATEWAYS, ROUTES = f"{GATEWAY_API}/v1/gateways", f"{GATEWAY_API}/v1/namespaces/ns/httproutes"
ROUTE = {
    "metadata": {"name": "new", "namespace": "ns"},
    "spec": {"parentRefs": [{"name": "gate"}], "rules": [{"backendRefs": [{"name": "own"}]}]},
}
GATEWAY = {
    "metadata": {"name": "gate", "namespace": "ns"},
    "spec": {"listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]},
    "status": {"addresses": [{"type": "IPAddress", "value": "198.51.100.2"}]},
}
GATED = {
    GATEWAY_API: {"preferredVersion": {"version": "v1"}},
    ROUTES: {"items": [ROUTE]},
    GATEWAYS: {"items": [GATEWAY]},
}


@pytest.mark.parametrize(
    ("answers", "options", "found", "asked"),
    [
        (GATED, {}, ["ns/new"], [GATEWAY_API, ROUTES, GATEWAYS]),
        # No route leads to the pods: at which address Gateways are is of no interest.
        ({**GATED, ROUTES: {"items": []}}, {}, [], [GATEWAY_API, ROUTES]),
        ({}, {}, [], [GATEWAY_API]),
        (GATED, {"layer": "l4"}, ["ns/new"], [GATEWAY_API, ROUTES, GATEWAYS]),
        # A service mesh has routes of its own, and no Gateways.
        (
            {GATEWAY_API: GATED[GATEWAY_API], ROUTES: GATED[ROUTES]},
            {},
            [],
            [GATEWAY_API, ROUTES, GATEWAYS],
        ),
        ({GATEWAY_API: GATED[GATEWAY_API]}, {}, [], [GATEWAY_API, ROUTES]),
        # Not each resource is served in the preferred version.
        (
            {
                GATEWAY_API: {**GATED[GATEWAY_API], "versions": [{"version": "v1beta1"}]},
                ROUTES.replace("/v1/", "/v1beta1/"): GATED[ROUTES],
                GATEWAYS: GATED[GATEWAYS],
            },
            {},
            ["ns/new"],
            [GATEWAY_API, ROUTES, ROUTES.replace("/v1/", "/v1beta1/"), GATEWAYS],
        ),
    ],
)
def test_where_routes_of_gateways_are_looked_for(
    answers: dict[str, Any], options: dict[str, str], found: list[str], asked: list[str]
) -> None:
    cluster = Answering({**ANSWERS, EVERYWHERE: SERVICES, **answers})
    way = read_way(cluster, "ns", {**OPTIONS, **options})
    assert [*way["bypass"]["routes"]] == found
    assert [path for path in cluster.asked if path.startswith(GATEWAY_API)] == asked


NODES, INGRESSES = "/api/v1/nodes", "/apis/networking.k8s.io/v1/ingresses"
INGRESSES_HERE = "/apis/networking.k8s.io/v1/namespaces/ns/ingresses"
IN_FRONT = {"ingress": "", "layer": "l4"}
A_URL = {"url": "http://www.example/"}
WITH_PORT = {
    "spec": {**SPEC, "ports": [{"port": 80, "nodePort": 30080}]},
    "metadata": OWN["metadata"],
}
OWN_PORT = {f"{IN_NS}/services/own": WITH_PORT}
ENTRY: dict[str, Any] = {
    "metadata": {"name": "entry", "namespace": "in"},
    "spec": {"ports": [{"port": 80, "nodePort": 30080}]},
}
WITH_ENTRY = {EVERYWHERE: {"items": [KEPT, OWN, {**ENTRY, "status": FRONT["status"]}]}}
[FRONT_PATH, *_older] = [path for path, known in ANSWERS.items() if known is FRONT]
OF_TKE = {**FRONT, "spec": {**FRONT.get("spec", {}), "ingressClassName": "qcloud"}}


@pytest.mark.parametrize(
    ("refused", "answers", "options", "unread"),
    [
        ([], OWN_PORT, A_URL, []),
        # The controller's Service is of another namespace; TKE's load balancers have none.
        ([EVERYWHERE], OWN_PORT, {}, ["controller"]),
        ([EVERYWHERE], {FRONT_PATH: OF_TKE}, {}, []),
        ([EVERYWHERE], {}, A_URL, ["controller", "url_takers"]),
        ([EVERYWHERE, HERE], {}, {}, ["service", "controller"]),
        ([EVERYWHERE, HERE], {}, A_URL, ["service", "controller", "url_takers"]),
        # With the Service in front there is no Ingress that another one leads past, and what others
        # write that do is the PROXY protocol.
        ([EVERYWHERE, HERE, INGRESSES], {}, IN_FRONT, ["service"]),
        ([EVERYWHERE], {}, {**IN_FRONT, **A_URL}, ["url_takers"]),
        ([INGRESSES], {INGRESSES_HERE: NOTHING}, {}, ["controller_ingresses", "rivals"]),
        ([INGRESSES], {INGRESSES_HERE: NOTHING, FRONT_PATH: OF_TKE}, {}, ["rivals"]),
        (
            [INGRESSES, INGRESSES_HERE],
            {},
            {},
            ["ingresses", "controller_ingresses", "rivals"],
        ),
        ([NODES], OWN_PORT, {}, ["node_ports"]),
        ([NODES], OWN_PORT, IN_FRONT, ["node_ports"]),
        ([ROUTES], GATED, {}, ["routes"]),
        ([GATEWAYS], GATED, {}, ["gateways"]),
        ([GATEWAY_API], GATED, {}, ["routes"]),
        # No node port is there that nodes would have to be known for, but the controller's host
        # ports, or an address in its status, can be a node's.
        ([NODES], {}, {}, ["node_ports"]),
        ([NODES], {FRONT_PATH: OF_TKE}, {}, []),
        ([NODES], {}, IN_FRONT, []),
        # The controller has one, or what may be it.
        ([NODES], WITH_ENTRY, {}, ["node_ports"]),
        ([NODES], {EVERYWHERE: {"items": [KEPT, OWN, ENTRY]}}, {}, ["node_ports"]),
        ([NODES], {**WITH_ENTRY, FRONT_PATH: OF_TKE}, {}, []),
        ([NODES], WITH_ENTRY, {**IN_FRONT, **A_URL}, []),
        # Nor are these all nodes.
        ([], {**WITH_ENTRY, NODES: NOTHING}, {}, ["node_ports"]),
        ([], {**OWN_PORT, NODES: NOTHING}, {}, ["node_ports"]),
        ([], {NODES: NOTHING}, {}, ["node_ports"]),
        ([], {NODES: NOTHING, FRONT_PATH: OF_TKE}, {}, []),
    ],
)
def test_what_is_not_looked_for(
    refused: list[str], answers: dict[str, Any], options: dict[str, str], unread: list[str]
) -> None:
    forbidden = {path: _forbidden(path) for path in refused}
    cluster = Answering({**ANSWERS, EVERYWHERE: SERVICES, HERE: SERVICES, **answers, **forbidden})
    way = read_way(cluster, "ns", {**OPTIONS, **options})
    assert [*way["bypass"]["unread"]] == unread
    assert all(name in UNSOUGHT for name in unread)


@pytest.mark.parametrize(
    ("layer", "refused", "found", "unread"),
    [
        ("l7", [], ["ns/own"], []),
        ("l7", [INGRESSES], ["ns/own"], []),
        ("l7", [INGRESSES, INGRESSES_HERE], [], ["ingresses"]),
        # Some hand the PROXY protocol on.
        ("l4", [], ["ns/own"], []),
    ],
)
def test_an_ingress_leads_past_a_service_that_speaks_http(
    layer: str, refused: list[str], found: list[str], unread: list[str]
) -> None:
    """Also where it has the Service's name."""
    in_front = {
        **OWN,
        "kind": "Service",
        "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.9"}]}},
    }
    named_alike = {
        **FRONT,
        "metadata": {"name": "own", "namespace": "ns"},
        "spec": {"rules": [_rule("", "own")]},
    }
    lists = {key: {"items": [named_alike]} for key in (INGRESSES, INGRESSES_HERE)}
    answers = {**ANSWERS, **lists, f"{IN_NS}/services/own": in_front, EVERYWHERE: SERVICES}
    forbidden = {path: _forbidden(path) for path in refused}
    cluster = Answering({**answers, **forbidden})
    bypass = read_way(cluster, "ns", {**OPTIONS, "ingress": "", "layer": layer})["bypass"]
    assert ([*bypass["ingresses"]], [*bypass["unread"]]) == (found, unread)


def test_an_ingress_to_a_headless_service_of_the_same_pods_is_told_and_that_is_not_asked() -> None:
    headless = _service("headless", clusterIP="None", externalIPs=["198.51.100.8"])
    status = {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}}
    old = {
        "metadata": {"name": "old", "namespace": "ns"},
        "spec": {"rules": [_rule("", "headless")]},
        "status": status,
    }
    lists = {INGRESSES: {"items": [FRONT, old]}, EVERYWHERE: {"items": [KEPT, OWN, headless]}}
    bypass = read_way(Answering({**ANSWERS, **lists}), "ns", OPTIONS)["bypass"]
    assert ([*bypass["ingresses"]], bypass["service"]) == (["ns/old"], [])


@pytest.mark.parametrize(
    ("status", "url", "found"),
    [
        ({"ip": "127.0.0.1"}, "http://www.example/", []),
        ({"hostname": "localhost"}, "http://www.example/", []),
        ({"ip": "169.254.1.1"}, "http://www.example/", []),
        ({"ip": "127.0.0.1"}, "http://127.0.0.1:8080/", ["127.0.0.1"]),
        ({"hostname": "localhost"}, "http://localhost/", ["localhost"]),
        ({"ip": "127.0.0.1"}, "", ["127.0.0.1"]),
        ({"ip": "198.51.100.1"}, "http://www.example/", ["198.51.100.1"]),
    ],
)
def test_an_address_of_everybodys_own_machine_is_none_from_elsewhere(
    status: dict[str, str], url: str, found: list[str]
) -> None:
    """Asked there, somebody else answers, or nobody, which would count as closed."""
    front = {**FRONT, "status": {"loadBalancer": {"ingress": [status]}}}
    answers: dict[str, Any] = {one: front for one, known in ANSWERS.items() if known is FRONT}
    cluster = Answering({**ANSWERS, **answers, EVERYWHERE: SERVICES})
    way = read_way(cluster, "ns", {**OPTIONS, "url": url})
    assert way["bypass"]["load_balancer"] == found
    assert [*way["bypass"]["unaddressed"]] == ([] if found else ["Ingress front"])
    # What is probed without a URL stays what it is.
    assert way["addresses"] == [*status.values()]


@pytest.mark.parametrize(
    ("ingress", "url", "found"),
    [
        ("front", "http://www.example/", {"Ingress front": "kubectl -n ns describe ingress front"}),
        ("", "http://www.example/", {"Service own": "kubectl -n ns describe service own"}),
        ("front", "", {}),
    ],
)
def test_what_has_no_address_can_not_be_asked_past_what_stands_in_front(
    ingress: str, url: str, found: dict[str, str]
) -> None:
    """A controller need not publish one, and then a URL is the only way to ask."""
    front = {**FRONT, "status": {"loadBalancer": {}}}
    answers: dict[str, Any] = {one: front for one, known in ANSWERS.items() if known is FRONT}
    # Nor need the way lead through an Ingress at all.
    without = {one: known for one, known in ANSWERS.items() if known is not FRONT}
    gone = Answering({**without, EVERYWHERE: SERVICES})
    asked = {**OPTIONS, "ingress": ingress, "url": url}
    if ingress:
        assert read_way(gone, "ns", asked)["bypass"]["unaddressed"] == found
    old = {
        "metadata": {"name": "old", "namespace": "ns"},
        "spec": {"rules": [_rule("", "own")]},
        "status": FRONT["status"],
    }
    lists = {**answers, EVERYWHERE: SERVICES, INGRESSES: {"items": [front, old]}}
    cluster = Answering({**ANSWERS, **lists})
    bypass = read_way(cluster, "ns", {**OPTIONS, "ingress": ingress, "url": url})["bypass"]
    assert bypass["unaddressed"] == found
    # Others are looked for all the same.
    assert [*bypass["ingresses"]] == (["ns/old"] if url else [])
    addressed = Answering({**ANSWERS, EVERYWHERE: SERVICES})
    asked = {**OPTIONS, "url": url}
    assert read_way(addressed, "ns", asked)["bypass"]["unaddressed"] == {}


def _pod(namespace: str, name: str) -> dict[str, Any]:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    address = "10.0.0.5" if namespace == "ns" else "10.0.0.6"
    status = {"podIPs": [{"ip": address}], "phase": "Running", **ready}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {}, "status": status}


DNS = {
    "metadata": {"name": "dns", "namespace": "kube-system"},
    "spec": {"selector": {"app": "dns"}},
}
LIST_SERVICES, LIST_PODS, LIST_HERE, LIST_INGRESSES = (
    f"list {right}: kubectl get {what} shows a part of them alone"
    for right, what in (
        ("services", "services -A"),
        ("pods", "pods -A"),
        ("services", "services -n ns"),
        ("ingresses.networking.k8s.io", "ingresses -A"),
    )
)


@pytest.mark.parametrize(
    ("services", "pods", "unread", "unsought"),
    [
        ([KEPT, OWN, DNS], [_pod("ns", "own"), _pod("kube-system", "dns")], [], []),
        ([KEPT, OWN], [_pod("ns", "own")], [], []),
        # One without a selector has no pods.
        ([KEPT, OWN, {**DNS, "spec": {}}], [_pod("ns", "own")], [], []),
        # A namespace that is about to go has lost its pods, and not yet its Services.
        (
            [KEPT, OWN, {**DNS, "metadata": {"name": "x", "namespace": "another"}}],
            [_pod("ns", "own")],
            [],
            [],
        ),
        # Own pods alone, where the system's Service tells that there are more, and not even these
        ([KEPT, OWN, DNS], [_pod("ns", "own")], [LIST_PODS], ["controller_pods"]),
        ([KEPT, OWN], [_pod("kube-system", "dns")], [LIST_PODS], ["controller_pods"]),
        # Services of some namespaces alone: who is shown no more isn't shown all of anything.
        (
            [OWN, DNS],
            [_pod("ns", "own"), _pod("kube-system", "dns")],
            [LIST_SERVICES, LIST_PODS, LIST_HERE, LIST_INGRESSES],
            ["service", "controller", "controller_ingresses", "rivals", "url_takers"],
        ),
    ],
)
def test_what_is_shown_in_part_is_not_taken_for_all(
    services: list[Any], pods: list[Any], unread: list[str], unsought: list[str]
) -> None:
    """What stands before the API server can leave out, without a word, what somebody mayn't see."""
    answers = {
        f"{IN_NS}/pods": {"items": [_pod("ns", "own")]},
        EVERYWHERE: {"items": services},
        HERE: {"items": [OWN]},
        "/api/v1/pods": {"items": pods},
    }
    way = read_way(Answering({**ANSWERS, **answers}), "ns", {**OPTIONS, **A_URL})
    assert way["unread"] == unread
    assert [*way["bypass"]["unread"]] == unsought
    # Only then is it known whether the prober is one of them.
    assert ("pods" in way["cluster_addresses"]) == (LIST_PODS not in unread)
    assert ("services" in way["cluster_addresses"]) == (LIST_SERVICES not in unread)
    # Those that are shown are the cluster's nevertheless.
    assert {*way["cluster_addresses"]["pod_names"].values()} >= {
        one["metadata"]["name"] for one in pods
    } - {"own"}
    # Nor is it known then whether others have the name of one, which nobody made by chance.
    assert way["namesakes"] == (["own"] if LIST_PODS in unread else [])


@pytest.mark.parametrize("others", [True, False])
def test_without_the_services_own_pods_alone_are_not_all(others: bool) -> None:
    pods = [_pod("ns", "own"), *([_pod("kube-system", "dns")] if others else [])]
    answers = {
        f"{IN_NS}/pods": {"items": [_pod("ns", "own")]},
        EVERYWHERE: _forbidden(EVERYWHERE),
        HERE: SERVICES,
        "/api/v1/pods": {"items": pods},
    }
    way = read_way(Answering({**ANSWERS, **answers}), "ns", OPTIONS)
    assert (LIST_PODS in way["unread"]) == (not others)
    assert ("pods" in way["cluster_addresses"]) == others


@pytest.mark.parametrize("url", ["", "http://www.example/"])
def test_rules_beyond_those_that_are_asked_are_told(url: str) -> None:
    """Each was asked for where something was met that stands in front."""
    rules = [_rule(f"{letter}.example", "own") for letter in "abcdefghi"]
    front = {**FRONT, "spec": {"rules": rules}}
    answers = {one: front for one, known in ANSWERS.items() if known is FRONT}
    cluster = Answering({**ANSWERS, **answers, EVERYWHERE: SERVICES})
    bypass = read_way(cluster, "ns", {**OPTIONS, "url": url, "request_host": "d.example"})["bypass"]
    assert [*bypass["beyond"]] == ["Ingress ns/front"]
    assert (bypass["ingresses"], bypass["alongside"]) == ({}, {})
    front["spec"]["rules"] = rules[:6]
    assert read_way(cluster, "ns", {**OPTIONS, "url": url})["bypass"]["beyond"] == {}


def test_nodes_that_are_shown_in_part_are_told_of() -> None:
    bound = {**_pod("ns", "own"), "spec": {"nodeName": "another"}}
    lists = {path: {"items": [bound]} for path in (f"{IN_NS}/pods", "/api/v1/pods")}
    answers = {**lists, EVERYWHERE: SERVICES, **OWN_PORT}
    way = read_way(Answering({**ANSWERS, **answers}), "ns", OPTIONS)
    assert way["unread"] == ["list nodes: kubectl get nodes shows a part of them alone"]
    assert way["bypass"]["unread"] == {"node_ports": "kubectl get nodes"}
    # Those that are shown are asked.
    assert way["bypass"]["internal_node_ports"] == ["10.0.1.1:30080"]
    assert "10.0.1.1" in way["cluster_addresses"]["some_nodes"]


@pytest.mark.parametrize("nodes", [_forbidden(NODES), NOTHING, {"items": [NODE]}])
def test_without_the_nodes_another_services_node_port_may_be_at_any_address(nodes: Any) -> None:
    url = {"url": "http://10.0.1.1:30080/"}
    at_a_node = {**FRONT, "status": {"loadBalancer": {"ingress": [{"ip": "10.0.1.1"}]}}}
    lists = {EVERYWHERE: {"items": [KEPT, OWN, ENTRY]}, NODES: nodes, FRONT_PATH: at_a_node}
    way = read_way(Answering({**ANSWERS, **lists}), "ns", {**OPTIONS, **url})
    assert way["url_takers"] == ["in/entry"]


@pytest.mark.parametrize(
    ("count", "policy", "refused", "unread"),
    [
        (4, "Local", ["/api/v1/pods"], ["controller_pods"]),
        (4, "Local", [], []),
        # It can have host ports as well.
        (4, "Cluster", ["/api/v1/pods"], ["controller_pods"]),
        (3, "Local", ["/api/v1/pods"], ["controller_pods"]),
    ],
)
def test_without_its_pods_it_is_not_known_which_nodes_answer_for_the_controller(
    count: int, policy: str, refused: list[str], unread: list[str]
) -> None:
    nodes = [
        {
            "metadata": {"name": f"n{n}"},
            "status": {"addresses": [{"type": "InternalIP", "address": f"10.0.1.{n}"}]},
        }
        for n in range(1, count + 1)
    ]
    entry = {**ENTRY, "spec": {**ENTRY["spec"], "externalTrafficPolicy": policy}}
    lists = {EVERYWHERE: {"items": [KEPT, OWN, entry]}, NODES: {"items": nodes}}
    forbidden = {path: _forbidden(path) for path in refused}
    way = read_way(Answering({**ANSWERS, **lists, **forbidden}), "ns", OPTIONS)
    assert [*way["bypass"]["unread"]] == unread


def test_without_its_pods_the_controllers_other_services_are_not_known() -> None:
    entry = {**ENTRY, "status": FRONT["status"]}
    lists = {EVERYWHERE: {"items": [KEPT, OWN, entry]}, "/api/v1/pods": _forbidden("/api/v1/pods")}
    way = read_way(Answering({**ANSWERS, **lists}), "ns", OPTIONS)
    assert [*way["bypass"]["unread"]] == ["controller_pods"]


def test_what_leads_to_the_controller_and_is_not_asked_comes_with_the_command_that_shows_it() -> (
    None
):
    ports = [{"port": 80 + n, "nodePort": 30080 + n} for n in range(13)]
    entry = {**ENTRY, "spec": {"ports": ports}, "status": FRONT["status"]}
    way = read_way(Answering({**ANSWERS, EVERYWHERE: {"items": [KEPT, OWN, entry]}}), "ns", OPTIONS)
    assert way["bypass"]["omitted"] == {"Service in/entry": "kubectl -n in describe service entry"}
    # Of many it is told how many there are.
    many = [
        {**ENTRY, "metadata": {"name": f"entry-{n:02}", "namespace": "in"}} for n in range(12 + 4)
    ]
    way = read_way(Answering({**ANSWERS, EVERYWHERE: {"items": [KEPT, OWN, *many]}}), "ns", OPTIONS)
    assert way["bypass"]["omitted"] == {"Services (4)": "kubectl get services -A"}
    assert {"Service", "Pod", "Ingress", "HTTPRoute"} == {*_PLURALS}


def test_what_was_not_looked_for_comes_with_the_command_that_allows_it() -> None:
    said = 'services is forbidden: User "system:serviceaccount:ns:robot" cannot list'
    refused = {path: ClusterError(said, 403) for path in (EVERYWHERE, HERE)}
    way = read_way(Answering({**ANSWERS, **refused}), "ns", {**OPTIONS, **A_URL})
    name = "real-ip-list-services-ns-robot"
    whose = "--serviceaccount=ns:robot"
    role, cluster_role = (
        f"kubectl {space}create {kind} {name} --verb=list --resource=services && "
        f"kubectl {space}create {kind}binding {name} --{kind}={name} {whose}"
        for space, kind in (("-n ns ", "role"), ("", "clusterrole"))
    )
    told = way["bypass"]["unread"]
    assert told == {"service": role, "controller": cluster_role, "url_takers": cluster_role}


def _rule(host: str, service: str) -> dict[str, Any]:
    backend = {"service": {"name": service}}
    return {
        "host": host,
        "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
    }


@pytest.mark.parametrize(
    ("host", "asked", "other_host", "leads_to", "rivals"),
    [
        # Without a host of its own, the status' name is what is asked for.
        ("LB.example.com", "", "*.example.com", ["other", "own"], ["ns/another"]),
        ("lb.example.com", "", "lb.example.com", ["other", "own"], ["ns/another"]),
        ("lb.example.com", "", "a.example.com", ["own"], []),
        ("lb.example.com", "a.example.com", "lb.example.com", ["own"], []),
    ],
)
def test_the_name_of_a_load_balancer_may_be_the_host_of_another_rule(
    host: str, asked: str, other_host: str, leads_to: list[str], rivals: list[str]
) -> None:
    entries = [{"ip": "198.51.100.1"}, {"hostname": host}]
    status = {"status": {"loadBalancer": {"ingress": entries}}}
    own = {**FRONT, **status, "spec": {"rules": [_rule("", "own"), _rule(other_host, "other")]}}
    metadata = {"name": "another", "namespace": "ns"}
    rules = {"rules": [_rule(other_host, "another")]}
    another = {**FRONT, **status, "metadata": metadata, "spec": rules}
    answers = {path: own for path, found in ANSWERS.items() if found is FRONT}
    answers[INGRESSES] = {"items": [own, another]}
    cluster = Answering({**ANSWERS, EVERYWHERE: SERVICES, **answers})
    way = read_way(cluster, "ns", {**OPTIONS, "request_host": asked})
    assert (way["leads_to"], way["rivals"]) == (leads_to, rivals)


@pytest.mark.parametrize(
    ("path", "rivals"), [("/", []), ("/%65cho", ["ns/another"]), ("/b/../echo", ["ns/another"])]
)
def test_who_may_take_a_path_that_is_written_in_another_way(path: str, rivals: list[str]) -> None:
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}}
    entry = {"path": "/echo", "pathType": "Prefix", "backend": {"service": {"name": "another"}}}
    another = {
        **status,
        "metadata": {"name": "another", "namespace": "ns"},
        "spec": {"rules": [{"http": {"paths": [entry]}}]},
    }
    own = {**FRONT, **status, "spec": {"rules": [_rule("", "own")]}}
    answers = {one: own for one, found in ANSWERS.items() if found is FRONT}
    answers[INGRESSES] = {"items": [own, another]}
    cluster = Answering({**ANSWERS, EVERYWHERE: SERVICES, **answers})
    assert read_way(cluster, "ns", {**OPTIONS, "path": path})["rivals"] == rivals


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", ["own"]),
        ("/%65cho", ["another", "own"]),
        ("/b/../echo", ["another", "own"]),
        # What isn't sent is no part of it.
        ("/#echo", ["own"]),
    ],
)
def test_where_a_path_leads_that_is_written_in_another_way(path: str, found: list[str]) -> None:
    """Another rule of the same Ingress may be the one for it."""
    other, own = _rule("", "another"), _rule("", "own")
    other["http"]["paths"][0]["path"] = "/echo"
    hidden = _rule("", "another")
    hidden["http"]["paths"][0]["path"] = "/#echo"
    front = {**FRONT, "spec": {"rules": [own, other, hidden]}}
    answers = {one: front for one, found in ANSWERS.items() if found is FRONT}
    cluster = Answering({**ANSWERS, EVERYWHERE: SERVICES, **answers})
    assert read_way(cluster, "ns", {**OPTIONS, "path": path})["leads_to"] == found
    url = f"http://198.51.100.1{path}"
    assert read_way(cluster, "ns", {**OPTIONS, "url": url})["may_lead_to"] == found


@pytest.mark.parametrize(
    ("ingress_class", "port", "path", "leads_to"),
    [
        ("qcloud", 80, "/x", ["own"]),
        # A node port of its Service; elsewhere TKE's load balancer listens where it is told to.
        ("qcloud", 30080, "/x", ["own"]),
        ("qcloud", 9000, "/x", []),
        ("qcloud", 80, "/y", []),
        # Of others only their controller knows.
        ("nginx", 9000, "/x", ["own"]),
        # The Service itself is in front.
        (None, 80, "/y", ["own"]),
        (None, 9000, "/y", []),
    ],
)
def test_where_a_url_leads(
    ingress_class: str | None, port: int, path: str, leads_to: list[str]
) -> None:
    rule = _rule("", "own")
    rule["http"]["paths"][0]["path"] = "/x"
    front = {**FRONT, "spec": {"ingressClassName": ingress_class, "rules": [rule]}}
    answers = {one: front for one, found in ANSWERS.items() if found is FRONT}
    cluster = Answering({**ANSWERS, EVERYWHERE: SERVICES, **answers, **OWN_PORT})
    url = f"http://198.51.100.1:{port}{path}"
    ingress = "front" if ingress_class else ""
    way = read_way(cluster, "ns", {**OPTIONS, "ingress": ingress, "url": url})
    assert way["may_lead_to"] == leads_to


def test_a_rule_of_tkes_can_be_for_one_scheme_only() -> None:
    own, other = _rule("", "own"), _rule("", "other")
    own["http"]["paths"][0]["path"] = "/x"
    annotations = {
        "kubernetes.io/ingress.rule-mix": "true",
        "kubernetes.io/ingress.http-rules": '[{"path": "/", "backend": {"serviceName": "other"}}]',
        "kubernetes.io/ingress.https-rules": '[{"path": "/x"}, {"path": "/"}]',
    }
    front = {
        **FRONT,
        "metadata": {**FRONT["metadata"], "annotations": annotations},
        "spec": {"ingressClassName": "qcloud", "rules": [own, other]},
    }
    answers = {one: front for one, found in ANSWERS.items() if found is FRONT}
    for scheme, led_to in (("http", ["other"]), ("https", ["other", "own"])):
        cluster = Answering({**ANSWERS, EVERYWHERE: SERVICES, **answers})
        url = f"{scheme}://198.51.100.1/x"
        assert read_way(cluster, "ns", {**OPTIONS, "url": url})["may_lead_to"] == led_to
    for text, led_to in (("", []), ("no list", []), ("{}", [])):
        annotations["kubernetes.io/ingress.http-rules"] = text
        cluster = Answering({**ANSWERS, EVERYWHERE: SERVICES, **answers})
        way = read_way(cluster, "ns", {**OPTIONS, "url": "http://198.51.100.1/x"})
        assert way["may_lead_to"] == led_to
    annotations["kubernetes.io/ingress.rule-mix"] = "false"
    cluster = Answering({**ANSWERS, EVERYWHERE: SERVICES, **answers})
    way = read_way(cluster, "ns", {**OPTIONS, "url": "http://198.51.100.1/x", "path": "/x"})
    assert (way["leads_to"], way["may_lead_to"]) == (["own"], ["other", "own"])


@pytest.mark.parametrize(
    "asked", [{"url": "http://198.51.100.1/xy"}, {"path": "/xy"}, {"path": "/xy", "url": ""}]
)
def test_requests_may_go_where_only_some_controllers_lead_them(asked: dict[str, str]) -> None:
    own, other = _rule("", "own"), _rule("", "other")
    other["http"]["paths"][0].update(path="/x", pathType="Prefix")
    front = {**FRONT, "spec": {"ingressClassName": "nginx", "rules": [own, other]}}
    answers = {one: front for one, found in ANSWERS.items() if found is FRONT}
    cluster = Answering({**ANSWERS, EVERYWHERE: SERVICES, **answers})
    way = read_way(cluster, "ns", {**OPTIONS, **asked})
    assert way["may_lead_to"] == ["other", "own"]


@pytest.mark.parametrize("layer", ["l4", "l7"])
def test_what_a_service_in_front_writes_is_written_by_others_who_get_past_it(layer: str) -> None:
    """Its load balancer can speak HTTP or write the PROXY protocol, or a proxy can stand in front
    of it.
    """
    own = _service("own", externalIPs=["198.51.100.7"])
    answers = {f"{IN_NS}/services/own": own, EVERYWHERE: {"items": [KEPT, own, OTHER]}}
    options = {**OPTIONS, "ingress": "", "layer": layer}
    way = read_way(Answering({**ANSWERS, **answers}), "ns", options)
    assert way["bypass"]["service"] == ["198.51.100.7:80", "198.51.100.8:80"]
    refused = {path: _forbidden(path) for path in (EVERYWHERE, HERE)}
    way = read_way(Answering({**ANSWERS, **answers, **refused}), "ns", options)
    assert [*way["bypass"]["unread"]] == ["service"]


def test_the_node_ports_of_nodes_with_pods_are_asked_first() -> None:
    """With externalTrafficPolicy Local, others don't answer."""
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    nodes = [
        {
            "metadata": {"name": f"n{number}"},
            "status": {
                **status,
                "addresses": [{"type": "ExternalIP", "address": f"203.0.113.{number}"}],
            },
        }
        for number in range(1, 6)
    ]
    pod = {**_pod("ns", "own"), "spec": {"nodeName": "n5"}}
    own = _service("own", ports=[{"port": 80, "nodePort": 30080}])
    answers = {
        f"{IN_NS}/services/own": own,
        f"{IN_NS}/pods": {"items": [pod]},
        "/api/v1/nodes": {"items": nodes},
        EVERYWHERE: {"items": [KEPT, own]},
        "/api/v1/pods": {"items": [pod]},
    }
    way = read_way(Answering({**ANSWERS, **answers}), "ns", OPTIONS)
    assert way["other_nodes"] == ["n1", "n2", "n3", "n4"]
    ports = [f"203.0.113.{number}:30080" for number in (5, 1, 2)]
    assert way["bypass"]["node_ports"] == ports
