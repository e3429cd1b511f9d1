# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import full_name
from ansible_collections.kestrel.real_ip.plugins.module_utils._around import around
from ansible_collections.kestrel.real_ip.plugins.module_utils._controller import (
    NO_CONTROLLER,
    at_its_address,
    controller_of,
)
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.ingresses import (
    a_rule,
    ingress_at,
)


def _node(**kinds: list[str]) -> dict[str, Any]:
    addresses = [{"type": kind, "address": one} for kind, some in kinds.items() for one in some]
    return {"status": {"addresses": addresses}}


def _exposed(name: str, *ports: dict[str, Any], at: str = "", namespace: str = "in") -> Any:
    given = [{"ip": at}] if at else []
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ports": [*ports]},
        "status": {"loadBalancer": {"ingress": given}},
    }


WEB = {"port": 80, "nodePort": 30080}
TLS = {"port": 443, "nodePort": 30443}
MAIL = [{"port": port, "nodePort": 31000 + port} for port in (25, 465, 587, 993)]
_OF_CLUSTER = _exposed("entry", WEB)
BY_CLUSTER_IP = {**_OF_CLUSTER, "spec": {**_OF_CLUSTER["spec"], "clusterIP": "10.96.0.7"}}


@pytest.mark.parametrize(
    ("front", "service", "found"),
    [
        # As on premises, where the status has the nodes that the controller runs on
        (ingress_at("own", address="10.0.0.1"), _exposed("entry", WEB), True),
        (ingress_at("own", address="10.0.0.1"), _exposed("entry", {"port": 80}), False),
        (ingress_at("own", address="10.0.0.1"), _exposed("db", {**WEB, "port": 5432}), False),
        (
            ingress_at("own", address="10.0.0.1"),
            _exposed("quic", {**WEB, "protocol": "UDP"}),
            False,
        ),
        # Another controller can stand before it.
        (
            ingress_at("own", address="10.0.0.1"),
            _exposed("else", WEB, TLS, namespace="echo"),
            True,
        ),
        # What a controller publishes whose Service has no load balancer
        (ingress_at("own", address="10.96.0.7"), BY_CLUSTER_IP, True),
        # One whose address is told to it, that of a proxy before the nodes
        (ingress_at("own", address="198.51.100.8"), _exposed("entry", WEB), True),
        (ingress_at("own", address="198.51.100.8"), _exposed("db", {**WEB, "port": 5432}), False),
        # A load balancer of layer 4 leads to it.
        (ingress_at("own"), _exposed("entry", WEB, at="198.51.100.1"), True),
        (ingress_at("own"), _exposed("entry", {**WEB, "port": 8000}, at="198.51.100.1"), True),
        # One that another address leads to may do so here.
        (ingress_at("own"), _exposed("entry", WEB, at="198.51.100.9"), True),
        (ingress_at("own"), _exposed("entry", {**WEB, "port": 8000}, at="198.51.100.9"), False),
        # Applications that Ingresses lead to
        (ingress_at("own", address="10.0.0.1"), _exposed("app", WEB, namespace="echo"), False),
        (ingress_at("own", address="10.0.0.1"), _exposed("else", WEB, namespace="echo"), False),
        (ingress_at("own", address="10.0.0.1"), _exposed("spare", WEB, namespace="echo"), False),
        # TKE's load balancers are none of the cluster's pods.
        (
            ingress_at("own", address="10.0.0.1", spec={"ingressClassName": "qcloud"}),
            _exposed("entry", WEB),
            False,
        ),
    ],
)
def test_which_services_lead_to_the_controller(
    front: dict[str, Any], service: dict[str, Any], found: bool
) -> None:
    others = [
        ingress_at("other", a_rule("", ("/", "Prefix", "else"))),
        ingress_at("more", spec={"defaultBackend": {"service": {"name": "spare"}}}),
    ]
    own = [{"metadata": {"name": "app", "namespace": "echo"}}]
    nodes = [_node(InternalIP=["10.0.0.1"])]
    front = {**front, "kind": "Ingress"}
    controller = controller_of(front, [service], nodes, [], own, others)
    assert bool(controller.entries) is found


def test_a_service_in_front_has_no_controller() -> None:
    front = {**_exposed("own", WEB, at="198.51.100.1"), "kind": "Service"}
    entry = _exposed("entry", WEB, at="198.51.100.1")
    assert controller_of(front, [entry], [], [], [front], []) == NO_CONTROLLER


@pytest.mark.parametrize(
    ("front", "service", "listeners"),
    [
        # A load balancer can lead to pods by themselves, without node ports.
        (
            ingress_at("own"),
            _exposed("entry", {"port": 8080}, {"port": 443}, at="198.51.100.1"),
            ["http:8080", "https:8080", "http:443", "https:443"],
        ),
        (ingress_at("own", address="10.96.0.7"), BY_CLUSTER_IP, ["http:80"]),
        (
            ingress_at("own"),
            _exposed("dns", {"port": 53, "protocol": "UDP"}, at="198.51.100.1"),
            [],
        ),
        (ingress_at("own"), _exposed("entry", {"port": 8080}, at="198.51.100.9"), []),
        # The application's own Service is a way by itself, past the Ingress.
        (
            ingress_at("own"),
            _exposed("app", {"port": 8080}, at="198.51.100.1", namespace="echo"),
            [],
        ),
        (
            ingress_at("own", spec={"ingressClassName": "qcloud"}),
            _exposed("entry", {"port": 8080}, at="198.51.100.1"),
            [],
        ),
        # Of Huawei's an Ingress and a Service may share one.
        (
            ingress_at("own", spec={"ingressClassName": "cce"}),
            _exposed("entry", {"port": 8080}, at="198.51.100.1"),
            ["http:8080", "https:8080"],
        ),
        # Few in all
        (
            ingress_at("own"),
            _exposed("mail", *({"port": 9000 + n} for n in range(20)), at="198.51.100.1"),
            [f"{scheme}:{9000 + n}" for n in range(8) for scheme in ("http", "https")],
        ),
    ],
)
def test_a_controllers_service_listens_for_the_ingress(
    front: dict[str, Any], service: dict[str, Any], listeners: list[str]
) -> None:
    own = [{"metadata": {"name": "app", "namespace": "echo"}}]
    front = {**front, "kind": "Ingress"}
    shared = at_its_address(front, [service], own, [])
    found = around([], [], None, front, beside_it=shared)
    assert found["listeners"] == listeners
    # Nothing need tell that it listens at the usual ports.
    assert found["at_usual_ports"] == (not front["spec"].get("ingressClassName"))
    annotations = {"kubernetes.io/elb.port": "80"}
    told = {**front, "metadata": {**front["metadata"], "annotations": annotations}}
    both = around([], [], None, told, beside_it=shared)["listeners"]
    assert both[0] == "http:80", "its own come first"
    assert len({*both}) == len(both)


def _asked(nodes: list[Any], front: dict[str, Any], *services: Any, pods: Any = ()) -> list[str]:
    """Where the controller is asked at node ports."""
    front = {**front, "kind": "Ingress"}
    controller = controller_of(front, services, nodes, [*pods], [], [])
    return list(around(nodes, [], None, front, controller=controller)["controller"])


def _called(name: str, node: dict[str, Any]) -> dict[str, Any]:
    return {**node, "metadata": {"name": name}}


def _on(node: str, app: str, namespace: str = "in") -> dict[str, Any]:
    """A pod that is ready."""
    return {
        "metadata": {"name": f"{app}-{node}", "namespace": namespace, "labels": {"app": app}},
        "spec": {"nodeName": node},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_where_the_controller_is_asked() -> None:
    """First at the nodes that the status names, which have its pods."""
    nodes = [
        _called(f"n{n}", _node(InternalIP=[f"10.0.0.{n}"], ExternalIP=[f"203.0.113.{n}"]))
        for n in range(1, 6)
    ]
    front = ingress_at("own", address="10.0.0.5")
    kinds, ports = ("203.0.113", "10.0.0"), (30080, 30443)
    at_nodes = [f"{kind}.{n}:{port}" for kind in kinds for port in ports for n in (5, 1, 2)]
    asked = [
        # What listens at a port of one address of a node does at the others.
        *(f"203.0.113.5:{port}" for port in (80, 443)),
        *at_nodes,
    ]
    assert _asked(nodes, front, _exposed("entry", WEB, TLS)) == asked
    # Without a Service it may have host ports.
    assert _asked(nodes, front) == [f"203.0.113.5:{port}" for port in (80, 443)]
    assert _asked(nodes, {**front, "spec": {"ingressClassName": "qcloud"}}) == []
    listening = _exposed("entry", {"port": 8443}, at="10.0.0.5")
    places = [f"203.0.113.5:{port}" for port in (80, 443, 8443)]
    assert _asked(nodes, front, listening) == places
    # What others listen at there takes no place of these.
    broker = _exposed("broker", *({"port": 1883 + n} for n in range(9)), at="10.0.0.5")
    found = _asked(nodes, front, broker)
    assert found == [f"203.0.113.5:{port}" for port in (80, 443, 1883, 1884, 1885)]


def test_of_the_nodes_that_the_status_names_those_with_other_addresses_are_asked() -> None:
    nodes = [_called(f"n{n}", _node(InternalIP=[f"10.0.0.{n}"])) for n in range(1, 5)]
    nodes += [_called("n5", _node(InternalIP=["10.0.0.5"], ExternalIP=["203.0.113.5"]))]
    front = ingress_at("own", address="10.0.0.1")
    front["status"]["loadBalancer"]["ingress"] += [{"ip": f"10.0.0.{n}"} for n in range(2, 6)]
    assert _asked(nodes, front) == ["203.0.113.5:80", "203.0.113.5:443"]


def test_the_controllers_own_pods_are_asked() -> None:
    """By host ports at each address of their nodes, and where the network leads to pods."""
    entry = _exposed("entry", {"port": 80, "targetPort": "http"}, at="198.51.100.1")
    entry["spec"]["selector"] = {"app": "entry"}
    nodes = [
        _called("n1", _node(InternalIP=["10.0.0.1"], ExternalIP=["203.0.113.1"])),
        _called("n2", _node(InternalIP=["10.0.0.2"])),
    ]
    pod = _on("n1", "entry")
    web_port = {"name": "http", "containerPort": 8080, "hostPort": 81}
    other = {"name": "metrics", "containerPort": 9090, "hostPort": 9090}
    pod["spec"]["containers"] = [{"ports": [web_port, other]}]
    pod["status"]["podIPs"] = [{"ip": "10.1.0.7"}]
    found = _asked(nodes, ingress_at("own"), entry, pods=[pod])
    # Those that no port of the Service leads to come behind, as an entry point for somebody else.
    hosted = [f"{one}:{port}" for port in (81, 9090) for one in ("203.0.113.1", "10.0.0.1")]
    by_pods = ["10.1.0.7:8080", "10.1.0.7:9090"]
    assert found == [*hosted, *by_pods]
    # Two ports of the node can lead to one of a container.
    pod["spec"]["containers"] = [{"ports": [web_port, {**web_port, "hostPort": 82}, other]}]
    both = [f"{one}:{port}" for port in (81, 82, 9090) for one in ("203.0.113.1", "10.0.0.1")]
    assert _asked(nodes, ingress_at("own"), entry, pods=[pod]) == [*both, *by_pods]
    pod["spec"]["containers"] = [{"ports": [web_port, other]}]
    # Two Services of the same pods lead there once.
    twin = {**entry, "metadata": {"name": "twin", "namespace": "in"}}
    assert _asked(nodes, ingress_at("own"), entry, twin, pods=[pod]) == found
    pod["status"]["phase"] = "Failed"
    assert _asked(nodes, ingress_at("own"), entry, pods=[pod]) == []


def test_host_ports_are_asked_at_many_nodes_or_told() -> None:
    """Each node can let in others. Those of the status are asked at these anyhow."""
    entry = _exposed("entry", {"port": 80})
    entry["spec"] |= {"selector": {"app": "entry"}, "externalIPs": ["198.51.100.1"]}
    pods = [_on(f"n{n}", "entry") for n in range(20)]
    for pod in pods:
        pod["spec"]["containers"] = [{"ports": [{"containerPort": 80, "hostPort": 80}]}]
    nodes = [_called(f"n{n}", _node(ExternalIP=[f"203.0.113.{n}"])) for n in range(20)]
    front = {**ingress_at("own"), "kind": "Ingress"}
    for count, omitted in ((12, []), (13, [("Service", "in/entry")])):
        found = controller_of(front, [entry], nodes[:count], pods, [], [])
        asked = [f"203.0.113.{n}:80" for n in range(12)]
        assert ([*found.places], [*found.omitted]) == (asked, omitted)
    # One of which the status has another address only is asked at this one.
    nodes[12]["status"]["addresses"] += [{"type": "InternalIP", "address": "198.51.100.1"}]
    assert controller_of(front, [entry], nodes[:13], pods, [], []).omitted == found.omitted
    front["status"]["loadBalancer"]["ingress"] += [{"ip": f"203.0.113.{n}"} for n in range(8)]
    found = controller_of(front, [entry], nodes, pods, [], [])
    assert found.omitted == []
    assert {*found.places} >= {f"203.0.113.{n}:80" for n in range(8, 20)}


def test_who_is_on_the_hosts_network_of_many_nodes_and_tells_no_port_is_not_told() -> None:
    """As kube-proxy is on each node of each cluster. What listens there at 80 is asked all the
    same.
    """
    nodes = [_called(f"n{n}", _node(ExternalIP=[f"203.0.113.{n}"])) for n in range(14)]
    pods = [_on(f"n{n}", "kube-proxy") for n in range(14)]
    for pod in pods:
        pod["spec"]["hostNetwork"] = True
    front = {**ingress_at("own"), "kind": "Ingress"}
    found = controller_of(front, [], nodes, pods, [], [])
    assert (len(found.places), found.omitted) == (24, [])
    pods[13]["spec"]["containers"] = [{"ports": [{"containerPort": 80, "hostPort": 80}]}]
    assert controller_of(front, [], nodes, pods, [], []).omitted == [
        ("Pod", full_name(pods[13])),
    ]


def test_a_service_that_is_not_for_the_web_can_lead_to_the_same_pods() -> None:
    entry, edge = _exposed("entry", {"port": 80}, at="198.51.100.1"), _exposed("edge", {"port": 8})
    broker = _exposed("broker", {"port": 9})
    for one in (entry, edge, broker):
        one["spec"] |= {"selector": {"app": "entry"}, "externalIPs": ["198.51.100.1"]}
    broker["spec"]["selector"] = {"app": "broker"}
    pods = [_on("n1", "entry"), _on("n1", "broker")]
    for number, pod in enumerate(pods):
        pod["status"]["podIPs"] = [{"ip": f"10.1.0.{number}"}]
    front = {**ingress_at("own"), "kind": "Ingress"}
    found = controller_of(front, [entry, edge, broker], [], pods, [], [])
    assert found.places == ["10.1.0.0:80", "10.1.0.0:8"]


def test_each_port_of_the_controllers_pods_is_asked_or_told() -> None:
    """One beside 80 and 443 can believe others, and a sidecar can have it (Kubernetes 1.29)."""
    ports = [{"port": port} for port in (8443, 80, 9000, 443, *range(9443, 9448))]
    entry = _exposed("entry", *ports, {"port": 81, "targetPort": "named"}, at="198.51.100.1")
    entry["spec"]["selector"] = {"app": "entry"}
    pod = _on("n1", "entry")
    pod["status"]["podIPs"] = [{"ip": "10.1.0.7"}]
    front = {**ingress_at("own"), "kind": "Ingress"}
    found = controller_of(front, [entry], [], [pod], [], [])
    asked = (80, 443, 8443, 9000, *range(9443, 9447))
    assert found.places == [f"10.1.0.7:{port}" for port in asked]
    assert found.omitted == [("Service", "in/entry")]
    entry["spec"]["ports"] = [{"port": 81, "targetPort": "named"}]
    assert controller_of(front, [entry], [], [pod], [], []).places == []
    entry["spec"]["ports"] += [{"port": 80}]
    sidecar = {"ports": [{"name": "named", "containerPort": 8081}]}
    pod["spec"]["initContainers"] = [{**sidecar, "restartPolicy": "Always"}, sidecar]
    found = controller_of(front, [entry], [], [pod], [], [])
    assert (found.places, found.omitted) == (["10.1.0.7:80", "10.1.0.7:8081"], [])


@pytest.mark.parametrize(
    ("own_class", "annotation", "provider", "found"),
    [
        ("nginx", "", "", True),
        ("", "", "", True),
        # Those of clouds run elsewhere, and other Services are none of theirs.
        ("alb", "", "", False),
        ("gce", "", "", False),
        ("", "alb.ingress.kubernetes.io/scheme", "", False),
        ("", "ingress.kubernetes.io/backends", "", False),
        ("nginx", "alb.ingress.kubernetes.io/scheme", "", True),
        # TKE takes those without a class, where it is.
        ("qcloud", "", "aws:///a/i-1", False),
        # On premises no node has a provider.
        ("", "kubernetes.io/ingress.qcloud-loadbalance-id", "", True),
        ("", "kubernetes.io/ingress.qcloud-loadbalance-id", "qcloud:///1/ins-1", False),
        ("", "kubernetes.io/ingress.qcloud-loadbalance-id", "tencentcloud:///1/ins-1", False),
        ("", "kubernetes.io/ingress.qcloud-loadbalance-id", "aws:///a/i-1", True),
    ],
)
def test_the_controller_is_looked_for_unless_it_is_a_clouds(
    own_class: str, annotation: str, provider: str, found: bool
) -> None:
    front = ingress_at("own", address="10.0.0.1", annotations={annotation: "x"})
    front["spec"] = {"ingressClassName": own_class} if own_class else {}
    node = {**_node(InternalIP=["10.0.0.1"]), "spec": {"providerID": provider}}
    assert bool(_asked([node], front, _exposed("entry", WEB))) == found


def test_what_is_of_this_collection_is_no_controller() -> None:
    """Another deployment's Service, which an Ingress leads to that may not be listed."""
    nodes, entry = [_node(InternalIP=["10.0.0.1"])], _exposed("entry", WEB)
    front = {**ingress_at("own", address="10.0.0.1"), "kind": "Ingress"}
    assert controller_of(front, [entry], nodes, [], [], []).places
    assert not controller_of(front, [entry], nodes, [], [], [], every_ingress=False).entries
    entry["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "kestrel.real_ip"}
    assert not controller_of(front, [entry], nodes, [], [], []).entries


def test_a_controller_that_listens_at_other_ports_than_the_usual_is_asked_at_its_pods() -> None:
    """On the hosts' network, a container need not tell its ports."""
    entry = _exposed("entry", {"port": 8080}, at="198.51.100.1")
    entry["spec"]["selector"] = {"app": "entry"}
    pod = _on("n1", "entry")
    pod["status"]["podIPs"] = [{"ip": "10.0.0.1"}]
    pod["spec"]["hostNetwork"] = True
    nodes = [_called("n1", _node(InternalIP=["10.0.0.1"], ExternalIP=["203.0.113.1"]))]
    found = _asked(nodes, ingress_at("own"), entry, pods=[pod])
    assert found == ["203.0.113.1:8080", "10.0.0.1:8080"]


def test_pods_that_can_not_be_asked_take_no_places() -> None:
    """As those that are pending, or not ready, and come first by their names."""
    entry = _exposed("entry", {"port": 80}, at="198.51.100.1")
    entry["spec"]["selector"] = {"app": "entry"}
    pods = [_on(f"n{number}", "entry") for number in range(5)]
    for number, pod in enumerate(pods):
        pod["metadata"]["name"] = f"entry-{number}"
        pod["status"]["podIPs"] = [{"ip": f"10.1.0.{number}"}] if number > 1 else []
        if number < 3:
            pod["status"]["conditions"] = []
    assert _asked([], ingress_at("own"), entry, pods=pods) == ["10.1.0.3:80", "10.1.0.4:80"]


@pytest.mark.parametrize(
    ("status", "led_to", "found"),
    [
        # The status has what stands in front, as a virtual address before the nodes.
        ("203.0.113.80", "", ["10.0.0.1:80"]),
        ("203.0.113.80", "entry", []),
        # It is known who listens.
        ("198.51.100.1", "", []),
    ],
)
def test_host_ports_of_what_may_be_the_controller_are_asked(
    status: str, led_to: str, found: list[str]
) -> None:
    """Its Service need not have an address or node ports, where it has the nodes' network."""
    entry, other = _exposed("entry", {"port": 80}), _exposed("other", {"port": 80})
    other["status"] = {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}
    for one in (entry, other):
        one["spec"]["selector"] = {"app": one["metadata"]["name"]}
    pod = _on("n1", "entry")
    pod["spec"]["containers"] = [{"ports": [{"containerPort": 80, "hostPort": 80}]}]
    nodes = [_called("n1", _node(InternalIP=["10.0.0.1"]))]
    leading = ingress_at("app", a_rule("", ("/", "Prefix", led_to)), namespace="in")
    front = {**ingress_at("own", address=status), "kind": "Ingress"}
    services = [entry] if status != "198.51.100.1" else [entry, other]
    controller = controller_of(front, services, nodes, [pod], [], [leading])
    assert [*controller.places] == found


@pytest.mark.parametrize(
    ("name", "ports", "spec", "asked"),
    [
        # ingress-nginx as RKE2 has it: its one Service is that of its webhook.
        ("webhook", [{"containerPort": 80, "hostPort": 80}], {}, [80]),
        ("webhook", [{"containerPort": 8000, "hostPort": 8080}], {}, [8080]),
        ("webhook", [{"containerPort": 80}], {"hostNetwork": True}, [80, 443, 8443]),
        ("webhook", [], {"hostNetwork": True}, [80, 443, 8443]),
        # There a container need not tell each of its ports, as Istio's doesn't.
        ("webhook", [{"containerPort": 15090}], {"hostNetwork": True}, [80, 443, 8443, 15090]),
        # None selects it.
        ("other", [{"containerPort": 8000, "hostPort": 80}], {}, [80]),
        ("other", [], {"hostNetwork": True}, [80, 443]),
        ("other", [{"containerPort": 9100}], {"hostNetwork": True}, [80, 443]),
        ("other", [{"containerPort": 80}], {}, []),
        # An application's
        ("app", [{"containerPort": 80, "hostPort": 80}], {}, []),
    ],
)
def test_host_ports_of_pods_that_may_be_the_controllers_are_asked(
    name: str, ports: list[Any], spec: dict[str, Any], asked: list[int]
) -> None:
    webhook = _exposed("webhook", {"port": 443, "targetPort": 8443})
    app = _exposed("app", {"port": 80})
    for one in (webhook, app):
        one["spec"]["selector"] = {"app": one["metadata"]["name"]}
    pod = _on("n1", name)
    pod["spec"] |= {"containers": [{"ports": ports}], **spec}
    nodes = [_called("n1", _node(ExternalIP=["203.0.113.1"]))]
    leading = ingress_at("app", a_rule("", ("/", "Prefix", "app")), namespace="in")
    front = {**ingress_at("own"), "kind": "Ingress"}
    found = controller_of(front, [webhook, app], nodes, [pod], [], [leading, front])
    assert [*found.places] == [f"203.0.113.1:{port}" for port in asked]
    unknown = controller_of(front, [webhook, app], nodes, [pod], [], [front], every_ingress=False)
    assert [*unknown.places] == []
    many = [{"containerPort": 80 + n, "hostPort": 80 + n} for n in range(9)]
    pod["spec"]["containers"] = [{"ports": many}]
    found = controller_of(front, [webhook], nodes, [pod], [], [front])
    assert found.omitted == [("Pod", f"in/{name}-n1")]


def test_an_ingress_to_a_dashboard_hides_no_host_ports_of_the_controllers() -> None:
    entry, dashboard = _exposed("entry", {"port": 80}), _exposed("dashboard", {"port": 9000})
    for one in (entry, dashboard):
        one["spec"]["selector"] = {"app": "entry"}
    pod = _on("n1", "entry")
    pod["spec"]["containers"] = [{"ports": [{"containerPort": 8000, "hostPort": 80}]}]
    nodes = [_called("n1", _node(ExternalIP=["203.0.113.1"]))]
    rule = a_rule("entry.example", ("/", "Prefix", "dashboard"))
    leading = ingress_at("dashboard", rule, namespace="in")
    front = {**ingress_at("own"), "kind": "Ingress"}
    found = controller_of(front, [entry, dashboard], nodes, [pod], [], [leading, front])
    assert [*found.places] == ["203.0.113.1:80"]


def test_load_balancers_of_ingresses_to_the_controller_are_asked() -> None:
    """As an ALB or a CLB before ingress-nginx, or one of the VPC beside it."""
    entry = _exposed("entry", {"port": 80}, at="198.51.100.1")
    before = ingress_at("alb", a_rule("", ("/", "Prefix", "entry")), namespace="in", **_ALB)
    front = {**ingress_at("own"), "kind": "Ingress", "spec": {"ingressClassName": "nginx"}}
    another = ingress_at("other", a_rule("", ("/", "Prefix", "app")), namespace="in", **_ALB)
    found = controller_of(front, [entry], [], [], [], [before, another, front])
    assert found.aside == ["198.51.100.77:80", "198.51.100.77:443"]
    # Where the status has the nodes it is likely a controller, if another class leads to it.
    nodes = [_node(InternalIP=["10.0.0.1"])]
    entry = _exposed("entry", WEB)
    front["status"] = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
    for its_class, asked in (("alb", True), ("nginx", False)):
        before["spec"]["ingressClassName"] = its_class
        found = controller_of(front, [entry], nodes, [], [], [before, front])
        assert ("10.0.0.1:30080" in found.places) == asked
        assert bool(found.aside) == asked
    # It needs neither an address nor node ports then.
    before["spec"]["ingressClassName"] = "alb"
    inner = _exposed("entry", {"port": 80})
    inner["spec"]["selector"] = {"app": "entry"}
    pod = _on("", "entry")
    pod["spec"]["containers"] = [{"ports": [{"containerPort": one} for one in (80, 443)]}]
    told = {**front, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}}
    found = controller_of(told, [inner], nodes, [pod], [], [before, told])
    assert found.aside == ["198.51.100.77:80", "198.51.100.77:443"]
    # It may know a host of its own alone, and listen at the status' address too.
    before["spec"]["rules"] = [a_rule(f"{n}.example", ("/", "Prefix", "entry")) for n in "abcd"]
    before["metadata"]["annotations"] = {
        "alb.ingress.kubernetes.io/listen-ports": '[{"HTTP":8088}]'
    }
    found = controller_of(told, [inner], nodes, [pod], [], [before, told])
    bypass = around(nodes, [], None, told, controller=found)
    assert bypass["hosts"] == ["a.example", "b.example", "c.example"]
    assert ("Ingress", "in/alb") in bypass["omitted"]
    assert bypass["listeners"] == []
    # It knows the application's as well.
    named = {**told, "spec": {"rules": [a_rule("d.example", ("/", "Prefix", "app"))]}}
    assert around([], [], None, named, controller=found)["hosts"] == ["d.example"]
    before["status"] = told["status"]
    found = controller_of(told, [inner], nodes, [pod], [], [before, told])
    assert around(nodes, [], None, told, controller=found)["listeners"] == ["http:8088"]
    # Without a class, that of a cloud's is another one.
    front["spec"] = {}
    before["spec"]["ingressClassName"] = "alb"
    found = controller_of(front, [entry], nodes, [], [], [before, front])
    assert "10.0.0.1:30080" in found.places


@pytest.mark.parametrize(
    ("rules", "more", "hosts", "paths", "is_told"),
    [
        # All else is refused, or sent on to HTTPS.
        (
            [a_rule("a.example", ("/", "Prefix", "entry"))],
            {"spec": {"defaultBackend": {"service": {"name": "response-404"}}}},
            *(["a.example"], [], False),
        ),
        (
            [
                a_rule("", ("/", "Prefix", "ssl-redirect")),
                a_rule("a.example", ("/", "Prefix", "entry")),
            ],
            {},
            *(["a.example"], [], False),
        ),
        # One path of any host, as for a monitor
        (
            [
                a_rule("a.example", ("/", "Prefix", "entry")),
                a_rule("", ("/healthz", "Prefix", "entry")),
            ],
            *({}, ["a.example"], ["/healthz"], False),
        ),
        # AWS' controller gives the rule the hosts of the condition.
        *(
            (
                [a_rule("", ("/", "Prefix", "entry"))],
                {
                    "annotations": {
                        "alb.ingress.kubernetes.io/conditions.entry": json.dumps(
                            [{"field": "host-header", "hostHeaderConfig": {"values": [host]}}]
                        )
                    }
                },
                *(hosts, [], is_told),
            )
            for host, hosts, is_told in (
                ("a.example", ["a.example"], False),
                ("a*.example", [], True),
            )
        ),
        ([], {"spec": {"defaultBackend": {"service": {"name": "entry"}}}}, [], [], False),
        ([a_rule("", ("/shop", "Prefix", "entry"))], {}, [], ["/shop"], False),
        ([a_rule("", ("/", "Prefix", "entry"), ("/shop", "Exact", "app"))], {}, [], [], False),
        (
            [a_rule("", *((f"/{n}", "Prefix", "entry") for n in range(4)))],
            *({}, [], ["/0", "/1", "/2"], True),
        ),
        ([a_rule("", ("/(a|b)", "ImplementationSpecific", "entry"))], {}, [], [], True),
        (
            [a_rule("", ("/", "Prefix", "entry"))],
            {
                "annotations": {
                    "alb.ingress.kubernetes.io/conditions.entry": json.dumps(
                        [{"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "X-From"}}]
                    )
                }
            },
            *([], [], True),
        ),
    ],
)
def test_what_a_load_balancer_before_the_controller_leads_there_for_is_asked_or_told(
    rules: list[dict[str, Any]],
    more: dict[str, Any],
    hosts: list[str],
    paths: list[str],
    is_told: bool,
) -> None:
    entry = _exposed("entry", {"port": 80}, at="198.51.100.1")
    before = ingress_at("alb", *rules, namespace="in", **_ALB, **more)
    front = {**ingress_at("own", spec={"ingressClassName": "nginx"}), "kind": "Ingress"}
    found = controller_of(front, [entry], [], [], [], [before, front])
    bypass = around([], [], None, front, controller=found)
    assert (bypass["hosts"], bypass["paths"]) == (hosts, paths)
    assert not bypass["hands_on"]
    before["status"] = front["status"]
    for its_class, hands_on in (
        ("alb", True),
        *(("", False), ("nginx", False), ("avi-lb", False)),
    ):
        before["spec"]["ingressClassName"] = its_class
        found = controller_of(front, [entry], [], [], [], [before, front])
        is_clouds = hands_on or (not its_class and "annotations" in more)
        assert around([], [], None, front, controller=found)["hands_on"] == is_clouds
    assert (("Ingress", "in/alb") in bypass["omitted"]) == is_told


def test_a_service_of_tkes_beside_the_ingress_may_know_some_hosts_alone() -> None:
    told = json.dumps({"80": {"protocol": ["HTTP"], "hosts": {"a.example": {}}}})
    entry = _exposed("entry", {"port": 80}, at="198.51.100.1")
    entry["metadata"]["annotations"] = {"service.cloud.tencent.com/specify-protocol": told}
    rules = [a_rule(f"{n}.example", ("/", "Prefix", "app")) for n in "bcd"]
    front = {**ingress_at("own", *rules), "kind": "Ingress"}
    hosts = around([], [], None, front, beside_it=[entry])["hosts"]
    assert hosts == ["b.example", "c.example", "d.example", "a.example"]
    # It speaks to the controller then.
    # Another one of the same pods, at an address of its own
    inner = {**_exposed("inner", {"port": 80}, at="203.0.113.9"), "metadata": entry["metadata"]}
    found = NO_CONTROLLER._replace(its=[inner])
    assert around([], [], None, front, controller=found)["hosts"] == hosts
    told = json.dumps({"80": {"protocol": ["TCP"]}})
    tcp = _exposed("entry", {"port": 80}, at="198.51.100.1")
    tcp["metadata"]["annotations"] = {"service.cloud.tencent.com/specify-protocol": told}
    for beside_it, hands_on in (([entry], True), ([tcp], False), ([], False)):
        assert around([], [], None, front, beside_it=beside_it)["hands_on"] == hands_on


def test_a_load_balancer_before_the_controller_without_an_address_is_told() -> None:
    entry = _exposed("entry", {"port": 80}, at="198.51.100.1")
    before = ingress_at("edge", a_rule("", ("/", "Prefix", "entry")), namespace="in", address="")
    front = {**ingress_at("own", spec={"ingressClassName": "nginx"}), "kind": "Ingress"}
    assert controller_of(front, [entry], [], [], [], [before]).omitted == [("Ingress", "in/edge")]


def test_node_ports_at_a_load_balancer_that_may_be_a_nodes_are_asked() -> None:
    """Of what may be the controller's, where the status was told another address."""
    front = {**ingress_at("own", address="203.0.113.7"), "kind": "Ingress"}
    entry = _exposed("entry", WEB, at="203.0.113.8")
    for provider, asked in (("", True), ("aws:///a/i-1", False)):
        nodes = [{**_node(InternalIP=["10.0.0.1"]), "spec": {"providerID": provider}}]
        found = controller_of(front, [entry], nodes, [], [], [front])
        assert ("203.0.113.8:30080" in found.places) == asked


@pytest.mark.parametrize(
    ("target", "more", "places"),
    [
        (9000, [], ["10.0.0.1:80"]),
        (80, [], []),
        ("http", [], []),
        # Its Service has the ports for the web as well, to which no Ingress leads.
        (9000, [{"port": 80, "targetPort": "http"}, {"port": 443}], ["10.0.0.1:80"]),
    ],
)
def test_an_ingress_to_a_dashboard_alone_hides_no_host_ports(
    target: Any, more: list[dict[str, Any]], places: list[str]
) -> None:
    """As of Traefik on each node, whose only Service is that of its dashboard."""
    dashboard = _exposed("dashboard", {"port": 9000, "targetPort": target}, *more)
    dashboard["spec"]["selector"] = {"app": "entry"}
    pod = _on("n1", "entry")
    ports = [{"name": "http", "containerPort": 80, "hostPort": 80}, {"containerPort": 9000}]
    pod["spec"]["containers"] = [{"ports": ports}]
    nodes = [_called("n1", _node(InternalIP=["10.0.0.1"]))]
    led = a_rule("", ("/", "Prefix", "dashboard"))
    led["http"]["paths"][0]["backend"]["service"]["port"] = {"number": 9000}
    inner = ingress_at("inner", led, namespace="in", spec={"ingressClassName": "traefik"})
    front = {**ingress_at("own", spec={"ingressClassName": "traefik"}), "kind": "Ingress"}
    found = controller_of(front, [dashboard], nodes, [pod], [], [inner, front])
    assert found.places == places


@pytest.mark.parametrize(
    ("bound", "asked"),
    [
        ("203.0.113.9", ["203.0.113.9:80"]),
        ("2001:db8::9", ["[2001:db8::9]:80"]),
        ("0.0.0.0", []),
        ("127.0.0.1", []),
        ("", []),
    ],
)
def test_a_host_port_at_an_address_of_its_own_is_asked_there(bound: str, asked: list[str]) -> None:
    """As of a second interface that the node's status doesn't have."""
    port = {"containerPort": 8000, "hostPort": 80, "hostIP": bound}
    pod = _on("n1", "entry")
    pod["spec"]["containers"] = [{"ports": [port]}]
    nodes = [_called("n1", _node(InternalIP=["10.0.0.1"]))]
    front = {**ingress_at("own"), "kind": "Ingress"}
    found = controller_of(front, [], nodes, [pod], [], [front])
    assert found.places == ["10.0.0.1:80", *asked]


def test_node_ports_at_load_balancers_of_the_controllers_other_services_are_asked() -> None:
    """kube-vip gives each Service an address that a node has."""
    front = {**ingress_at("own", address="203.0.113.7"), "kind": "Ingress"}
    entry, inner = _exposed("entry", WEB, at="203.0.113.7"), _exposed("inner", TLS, at="10.0.0.8")
    for one in (entry, inner):
        one["spec"]["selector"] = {"app": "entry"}
    nodes = [_called("n1", _node(InternalIP=["10.0.0.1"]))]
    found = controller_of(front, [entry, inner], nodes, [_on("n1", "entry")], [], [front])
    at_others = [one for one in found.places if one.startswith(("203.0.113.7", "10.0.0.8"))]
    assert at_others == ["10.0.0.8:30080", "10.0.0.8:30443"]


@pytest.mark.parametrize(
    ("its_class", "ports", "listening", "leads"),
    [
        # Most Services without node ports are applications'.
        ("nginx-internal", [80], [80, 443], False),
        ("", [80], [80, 443], False),
        ("alb", [80], [8080], False),
        # A cloud's load balancer ends TLS, and can lead to pods by themselves.
        ("alb", [80], [80, 443, 8443], True),
        ("alb", [80], [8000, 8443], True),
        ("nginx-internal", [80, 443], [], True),
    ],
)
def test_which_ingresses_may_lead_to_the_controller(
    its_class: str, ports: list[int], listening: list[int], leads: bool
) -> None:
    nodes = [_node(InternalIP=["10.0.0.1"])]
    front = {**ingress_at("own", spec={"ingressClassName": "nginx"}), "kind": "Ingress"}
    front["status"] = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
    of_class = {"ingressClassName": its_class}
    led = a_rule("a.example", ("/", "Prefix", "app"))
    other = ingress_at("other", led, namespace="in", spec=of_class, **_ALB)
    app = _exposed("app", *({"port": port} for port in ports))
    app["spec"]["selector"] = {"app": "app"}
    pod = _on("n1", "app")
    pod["spec"]["containers"] = [{"ports": [{"containerPort": port} for port in listening]}]
    found = controller_of(front, [app], nodes, [pod], [], [front, other])
    assert bool(found.before) == leads


@pytest.mark.parametrize(
    ("its_class", "annotations", "is_asked"),
    [
        ("alb-internal", {"alb.ingress.kubernetes.io/scheme": "internal"}, False),
        # Behind an ALB
        ("nginx-alb", {}, True),
        ("nginx-alb", {"nginx.ingress.kubernetes.io/rewrite-target": "/"}, True),
        ("alb-nginx", {}, True),
        ("alb-nginx", {"nginx.ingress.kubernetes.io/rewrite-target": "/"}, True),
        ("nginx-alb", {"alb.ingress.kubernetes.io/scheme": "internal"}, True),
    ],
)
def test_a_class_that_is_named_after_what_stands_before_it_is_no_clouds(
    its_class: str, annotations: dict[str, str], is_asked: bool
) -> None:
    nodes = [_node(InternalIP=["10.0.0.1"])]
    of_class = {"ingressClassName": its_class}
    front = ingress_at("own", spec=of_class, annotations=annotations)
    entry = _exposed("entry", WEB, at="198.51.100.1")
    assert bool(_asked(nodes, front, entry)) == is_asked


def test_ingresses_of_one_load_balancer_take_one_place_each() -> None:
    entry = _exposed("entry", {"port": 80}, at="198.51.100.1")
    rule = a_rule("", ("/", "Prefix", "entry"))
    before = [ingress_at(f"alb-{n}", rule, namespace="in", **_ALB) for n in range(6)]
    front = {**ingress_at("own", spec={"ingressClassName": "nginx"}), "kind": "Ingress"}
    found = controller_of(front, [entry], [], [], [], before)
    assert (found.aside, found.omitted) == (["198.51.100.77:80", "198.51.100.77:443"], [])


def test_what_another_class_leads_to_may_be_the_controller_of_an_ingress_without_one() -> None:
    nodes = [_node(InternalIP=["10.0.0.1"])]
    entry = _exposed("entry", WEB)
    before = ingress_at("edge", a_rule("", ("/", "Prefix", "entry")), namespace="in", **_ALB)
    front = {**ingress_at("own"), "kind": "Ingress"}
    for its_class, asked in (("avi-lb", True), ("", False)):
        before["spec"]["ingressClassName"] = its_class
        found = controller_of(front, [entry], nodes, [], [], [before, front])
        assert ("10.0.0.1:30080" in found.places) == asked


_ALB = {"address": "198.51.100.77"}


def test_a_node_may_have_another_address_of_another_family() -> None:
    nodes = [_node(InternalIP=["10.0.0.1", "fd00:0::1"])]
    front = ingress_at("own", address="fd00::1")
    assert _asked(nodes, front) == ["10.0.0.1:80", "10.0.0.1:443"]
    found = controller_of({**front, "kind": "Ingress"}, [], nodes, [], [], [], [8443])
    assert found.places == ["10.0.0.1:8443", "10.0.0.1:80", "10.0.0.1:443"]


#: What others have, in a namespace that comes first
_OTHERS = [
    _exposed(f"web-{n}", {"port": 80, "nodePort": 31000 + n}, namespace="a") for n in range(9)
]


def test_no_ports_of_others_take_the_places_of_the_controllers() -> None:
    nodes = [_node(InternalIP=["10.0.0.1"])]
    front = ingress_at("own", address="10.0.0.1")
    entry = _exposed("entry", WEB, TLS, *MAIL)
    found = _asked(nodes, front, *_OTHERS, entry)
    # Each Service's first port before any second, since nobody knows which is the controller's.
    assert {"10.0.0.1:30080", "10.0.0.1:30443"} <= {*found}
    # Of one that is known to be, all are asked, and those for the web first.
    known = {**entry, "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}}
    found = _asked(nodes, front, *_OTHERS, known)
    ports = [30080, 30443, *(port["nodePort"] for port in MAIL)]
    asked = [port for port in ports if f"10.0.0.1:{port}" in found]
    assert asked[:3] == ports[:3]


def test_what_is_not_asked_of_the_controller_is_told() -> None:
    front = {**ingress_at("own", address="10.0.0.1"), "kind": "Ingress"}
    many = [_exposed(f"web-{n:02}", {"port": 80, "nodePort": 31000 + n}) for n in range(14)]
    found = controller_of(front, many, [_node(InternalIP=["10.0.0.1"])], [], [], [])
    assert [one.port for one in found.entries] == [31000 + n for n in range(12)]
    assert found.omitted == [("Service", "in/web-12"), ("Service", "in/web-13")]
    # Likewise the addresses of a Service
    external = [f"10.1.0.{n}" for n in range(1, 8)]
    known = _exposed("entry", {"port": 80}, at="10.0.0.1")
    known["spec"]["externalIPs"] = external
    found = controller_of(front, [known], [], [], [], [])
    assert found.aside == [f"{one}:80" for one in external[:5]]
    assert found.omitted == [("Service", "in/entry")]


def test_where_the_status_was_told_another_address_load_balancers_may_be_the_controllers() -> None:
    """As ingress-nginx is by ``--publish-status-address``."""
    front = {**ingress_at("own", address="203.0.113.80"), "kind": "Ingress"}
    entry = _exposed("entry", {"port": 443}, MAIL[0], at="198.51.100.1")
    named = _exposed("named", {"port": 80})
    named["status"] = {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}
    mail, app = _exposed("mail", MAIL[0], at="198.51.100.2"), _exposed("app", {"port": 80})
    app["spec"]["externalIPs"] = ["198.51.100.3"]
    leading = ingress_at("app", a_rule("", ("/", "Prefix", "app")), namespace="in")
    services = [entry, named, mail, app]
    found = controller_of(front, services, [], [], [], [leading])
    # Each one's first port before any second, and those for the web before others.
    assert found.aside == ["198.51.100.1:443", "lb.example.com:80", "198.51.100.1:25"]
    # What is at the address of the status is its load balancer.
    own = _exposed("own", {"port": 80}, at="203.0.113.80")
    assert controller_of(front, [*services, own], [], [], [], [leading]).aside == []


def test_further_addresses_of_the_controllers_own_service_are_asked() -> None:
    """Traefik publishes those of its load balancer alone."""
    entry = _exposed("entry", WEB, at="2001:DB8:0:0::1")
    entry["spec"]["externalIPs"] = ["198.51.100.9", "2001:db8::1"]
    front = {**ingress_at("own", address="2001:db8::1"), "kind": "Ingress"}
    found = controller_of(front, [entry], [], [], [], [])
    assert [full_name(one) for one in found.listening] == ["in/entry"]
    assert found.aside == ["198.51.100.9:80"]


@pytest.mark.parametrize("address", ["10.0.0.1", "198.51.100.8"])
def test_a_service_with_the_same_address_need_not_be_the_controllers(address: str) -> None:
    """A database can have it as an external one, and then the controller is sought all the same."""
    nodes = [_called(f"n{n}", _node(InternalIP=[f"10.0.0.{n}"])) for n in range(1, 5)]
    database = _exposed("db", {"port": 5432, "nodePort": 30432})
    database["spec"] |= {"externalIPs": [address], "selector": {"app": "db"}}
    entry = _exposed("entry", WEB)
    entry["spec"]["selector"] = {"app": "entry"}
    pods = [_on("n1", "db"), _on("n2", "db"), _on("n3", "db"), _on("n4", "entry")]
    found = _asked(nodes, ingress_at("own", address=address), database, entry, pods=pods)
    assert "10.0.0.4:30080" in found


def test_an_annotation_of_tkes_says_nothing_of_another_class() -> None:
    """It may have come with a copy."""
    front = ingress_at("own", annotations={"kubernetes.io/ingress.qcloud-loadbalance-id": "lb-1"})
    nodes = [{**_node(InternalIP=["10.0.0.1"]), "spec": {"providerID": "qcloud:///1/ins-1"}}]
    entry = _exposed("entry", WEB, at="198.51.100.1")
    assert _asked(nodes, front, entry) == []
    front["spec"] = {"ingressClassName": "nginx"}
    assert _asked(nodes, front, entry) == ["10.0.0.1:30080"]


@pytest.mark.parametrize(
    ("provider", "by_service", "ports"),
    [
        # An address can lead to a node, as one that is translated, or be a node's for a while
        # (kube-vip), whoever listens there.
        ("", False, [30080, 8080]),
        ("", True, [30080, 8080]),
        ("hcloud://1", True, [30080, 8080]),
        # A cloud's load balancer is none of the nodes, unless something else was told.
        ("qcloud:///1/ins-1", True, []),
        ("aws:///a/i-1", True, []),
        ("aws:///a/i-1", False, [30080, 8080]),
    ],
)
def test_the_controller_is_asked_at_an_address_that_it_was_told(
    provider: str, by_service: bool, ports: list[int]
) -> None:
    nodes = [_called("n1", {**_node(InternalIP=["10.0.0.1"]), "spec": {"providerID": provider}})]
    front = {**ingress_at("own", address="203.0.113.7"), "kind": "Ingress"}
    entry = _exposed("entry", WEB, at="203.0.113.7" if by_service else "")
    entry["spec"] |= {"externalIPs": ["203.0.113.8", "10.0.0.1"], "selector": {"app": "entry"}}
    pod = _on("n1", "entry")
    pod["spec"]["containers"] = [{"ports": [{"containerPort": 80, "hostPort": 8080}]}]
    found = controller_of(front, [entry], nodes, [pod], [], [front])
    bypass = around(nodes, [], None, front, controller=found)
    assert bypass["controller_ports"] == ports
    asked = [one for one in bypass["controller"] if one.endswith(":30080")]
    # And external addresses of its Service, that nobody else's status has
    assert asked == ["10.0.0.1:30080", "203.0.113.8:30080"]
    # A name is asked by the addresses that it gives.
    front["status"] = {"loadBalancer": {"ingress": [{"hostname": "nodes.example.com"}]}}
    found = controller_of(front, [_exposed("entry", WEB)], nodes, [], [], [front])
    assert found.ports == [30080]


def test_a_node_of_the_control_plane_that_the_status_names_is_asked_first() -> None:
    """Also where no pods may be listed."""
    nodes = [_called(f"n{n}", _node(InternalIP=[f"10.0.0.{n}"])) for n in range(1, 6)]
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    nodes[4]["spec"] = {"taints": [taint]}
    entry = _exposed("entry", WEB, at="10.0.0.5")
    assert _asked(nodes, ingress_at("own", address="10.0.0.5"), entry)[0] == "10.0.0.5:30080"


@pytest.mark.parametrize(
    ("runs_on", "first"), [("n4", "10.0.0.4:30080"), ("n2", "10.0.0.2:30080"), ("", None)]
)
def test_the_controller_is_asked_first_where_its_pods_are(runs_on: str, first: str | None) -> None:
    """With externalTrafficPolicy Local, no other node answers."""
    nodes = [_called(f"n{n}", _node(InternalIP=[f"10.0.0.{n}"])) for n in range(1, 5)]
    entry = _exposed("entry", WEB, at="198.51.100.1")
    entry["spec"]["selector"] = {"app": "entry"}
    # An application's of the same labels, elsewhere
    pods = [_on("n3", "entry", namespace="echo"), *([_on(runs_on, "entry")] if runs_on else [])]
    found = _asked(nodes, ingress_at("own"), entry, pods=pods)
    assert found[0] == (first or "10.0.0.1:30080")


def test_the_controller_is_asked_at_nodes_that_everybody_gets_to_however_many_are_private() -> None:
    nodes = [_node(InternalIP=[f"10.0.0.{n}"]) for n in range(1, 5)]
    nodes += [_node(InternalIP=["10.0.0.9"], ExternalIP=["203.0.113.9"])]
    entry = _exposed("entry", WEB, at="198.51.100.1")
    private = [f"10.0.0.{n}:30080" for n in (1, 2, 3)]
    assert _asked(nodes, ingress_at("own"), entry) == ["203.0.113.9:30080", *private]


@pytest.mark.parametrize(
    ("service", "found", "ports"),
    [
        # A load balancer of the VPC, as ingress-nginx has on demand
        (_exposed("inside", {"port": 80, "nodePort": 31080}, at="10.0.0.7"), ["10.0.0.7:80"], 2),
        (_exposed("inside", {"port": 80}, at="10.0.0.7"), ["10.0.0.7:80"], 1),
        # Without an address of its own it may have node ports.
        (_exposed("metrics", {"port": 10254, "nodePort": 31254}), [], 2),
        (_exposed("metrics", {"port": 10254}), [], 1),
        # Of another namespace, or of other pods
        (_exposed("inside", WEB, at="10.0.0.7", namespace="echo"), [], 1),
        (
            {
                **_exposed("inside", WEB, at="10.0.0.7"),
                "spec": {"ports": [WEB], "selector": {"app": "x"}},
            },
            [],
            1,
        ),
    ],
)
def test_a_controllers_other_services_are_asked(
    service: dict[str, Any], found: list[str], ports: int
) -> None:
    entry = _exposed("entry", WEB, at="198.51.100.1")
    for one in (entry, service):
        one["spec"].setdefault("selector", {"app": "entry"})
    front = {**ingress_at("own"), "kind": "Ingress"}
    nodes = [_node(InternalIP=["10.0.0.1"])]
    controller = controller_of(front, [service, entry], nodes, [], [], [])
    bypass = around(nodes, [], None, front, controller=controller)
    asked = [one for one in bypass["controller"] if one.startswith("10.0.0.1:")]
    assert (bypass["controller_service"], len(asked)) == (found, ports)
    # Who asks for a socket's peer asks none of these.
    assert around(nodes, [], None, front, beside_it=[entry])["controller_service"] == []
