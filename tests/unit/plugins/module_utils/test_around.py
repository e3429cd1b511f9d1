# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._around import (
    around,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._exposed import (
    beside,
    led_by_nodes,
)
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.ingresses import (
    ALIAS,
    FRONT,
    TWO,
    a_rule,
    an_ingress,
    ingress_at,
)


def _node(**kinds: list[str]) -> dict[str, Any]:
    addresses = [{"type": kind, "address": one} for kind, some in kinds.items() for one in some]
    return {"status": {"addresses": addresses}}


PORTS = {"spec": {"ports": [{"port": 80, "nodePort": 30080}]}}


@pytest.mark.parametrize(
    ("nodes", "service", "external", "internal"),
    [
        (
            [_node(InternalIP=["10.0.0.1"], ExternalIP=["203.0.113.5"])],
            PORTS,
            ["203.0.113.5:30080"],
            ["10.0.0.1:30080"],
        ),
        (
            [_node(InternalIP=["10.0.0.1", "2600:1f18::1"])],
            PORTS,
            ["[2600:1f18::1]:30080"],
            ["10.0.0.1:30080"],
        ),
        ([_node(Hostname=["n"], InternalIP=["2001:db8::1"])], PORTS, [], ["[2001:db8::1]:30080"]),
        # A rented server has nothing but its public one.
        ([_node(InternalIP=["8.8.4.4"])], PORTS, ["8.8.4.4:30080"], []),
        (
            [_node(InternalIP=[f"10.0.0.{n}"]) for n in range(9)],
            PORTS,
            [],
            [f"10.0.0.{n}:30080" for n in range(3)],
        ),
        ([_node(InternalIP=["10.0.0.1"])], {"spec": {"ports": [{"port": 80}]}}, [], []),
        ([_node(InternalIP=["10.0.0.1"])], None, [], []),
        ([_node(Hostname=["n"])], PORTS, [], []),
    ],
)
def test_around(
    nodes: list[dict[str, Any]],
    service: dict[str, Any] | None,
    external: list[str],
    internal: list[str],
) -> None:
    found = around(nodes, [], service, FRONT)
    assert (found["node_ports"], found["internal_node_ports"]) == (external, internal)
    assert found["load_balancer"] == ["198.51.100.1", "a.example"], (
        "names are looked up by the probe"
    )
    assert found["hosts"] == []
    nothing = around(nodes, [], service, None)
    assert (nothing["load_balancer"], nothing["hosts"]) == ([], [])


def test_around_by_the_hosts_of_the_rules() -> None:
    named = ["a.example", None, "*.example", "a.example", "b.example", "c.example"]
    front = {"spec": {"rules": [{"host": host} if host else {} for host in named]}}
    assert around([], [], None, front)["hosts"] == ["a.example", "real-ip.example", "b.example"]


def test_around_by_the_hosts_that_there_are_certificates_for() -> None:
    """What stands in front can name another host in TLS than it asks for."""
    tls = [
        {"hosts": ["origin.example", "a.example"]},
        {"secretName": "x"},
        {"hosts": ["*.b.example"]},
    ]
    front = {"spec": {"rules": [{"host": "a.example"}], "tls": tls}}
    assert around([], [], None, front)["hosts"] == [
        "a.example",
        "origin.example",
        "real-ip.b.example",
    ]


def test_certificates_for_hosts_of_rules_tell_of_no_more() -> None:
    hosts = [f"{letter}.example" for letter in "abcdefgh"]
    front = {"spec": {"rules": [{"host": one} for one in hosts], "tls": [{"hosts": hosts}]}}
    found = around([], [], None, front)
    assert (found["hosts"], found["omitted"]) == (hosts[:3], [])


def test_around_by_the_hosts_that_lead_to_the_service_first() -> None:
    """There may be too many, and aliases are hosts as well."""
    others = [a_rule(f"{name}.example", ("/", "Prefix", "other")) for name in "abc"]
    own = a_rule("own.example", ("/", "Prefix", "own"))
    aliases = {ALIAS: "alias.example, ~^b+[.]example$, c.*, a b, .c"}
    front = ingress_at("front", *others, own, annotations=aliases)
    asked = around([], [], {"metadata": {"name": "own"}}, front)["hosts"]
    assert asked == ["own.example", "alias.example", "a.example"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([a_rule("", ("/", "Prefix", "own"))], ["/"]),
        ([a_rule("a.example", ("/x", "Exact", "own"), ("/y", "Exact", "another"))], ["/x"]),
        (
            [a_rule(host, ("/x/y", "Prefix", "own")) for host in ("a.example", "b.example")],
            ["/x/y"],
        ),
        # Patterns: what they begin with
        (
            [a_rule("", ("/x(/|$)(.*)", "ImplementationSpecific", "own"), ("/z/*", "", "own"))],
            ["/x", "/z/"],
        ),
        (
            [a_rule("", *((f"/{number}", "Prefix", "own") for number in range(9)))],
            ["/0", "/1", "/2"],
        ),
        ([{}], []),
    ],
)
def test_around_by_the_paths_of_the_rules(rules: list[dict[str, Any]], expected: list[str]) -> None:
    service = {"metadata": {"name": "own"}}
    assert around([], [], service, {"spec": {"rules": rules}})["paths"] == expected
    assert around([], [], None, {"spec": {"rules": rules}})["paths"] == []


BALANCED = {
    "spec": {"ports": [{"port": 80}, {"port": 443}], "externalIPs": ["2001:db8::7"]},
    "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}, {"hostname": "lb.example"}]}},
}


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (
            BALANCED,
            [
                *("198.51.100.7:80", "lb.example:80", "[2001:db8::7]:80"),
                *("198.51.100.7:443", "lb.example:443"),
            ],
        ),
        (PORTS, []),
        (None, []),
    ],
)
def test_around_by_the_services_own_address(
    service: dict[str, Any] | None, expected: list[str]
) -> None:
    assert around([], [], service, FRONT)["service"] == expected
    # Where the Service itself is in front, its status is no way around it.
    external = ["[2001:db8::7]:80", "[2001:db8::7]:443"] if service is BALANCED else []
    assert around([], [], service, service)["service"] == external


def _service(
    name: str, namespace: str = "ns", status: tuple[str, ...] = (), **spec: Any
) -> dict[str, Any]:
    spec = {"selector": {"app": "a"}, "clusterIP": "10.96.0.9", "ports": [{"port": 80}], **spec}
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
        "status": {"loadBalancer": {"ingress": [{"ip": one} for one in status]}},
    }


BEHIND = _service("own")
POD = {"metadata": {"name": "p", "labels": {"app": "a", "track": "stable", "hash": "1"}}}
ENDED = {**POD, "status": {"phase": "Succeeded"}}


@pytest.mark.parametrize(
    ("other", "pods", "found"),
    [
        (_service("other"), [POD], True),
        (_service("other", selector={"track": "stable"}), [POD], True),
        (
            _service("other", selector={"track": "stable", "app": "a"}),
            [{"metadata": {}}, POD],
            True,
        ),
        # Unread, or none there: what the Service selects by is known.
        (_service("other"), [], True),
        (_service("other", selector={"track": "stable"}), [], False),
        (_service("other", selector={"track": "stable"}), [ENDED], False),
        (_service("other", selector={"app": "a", "track": "canary"}), [POD], False),
        (_service("other", selector={"app": "b"}), [POD], False),
        (_service("other", selector={}), [POD], False),
        (_service("other", selector=None), [POD], False),
        (_service("other", clusterIP="None"), [POD], True),
        (_service("other", type="ExternalName", clusterIP=None), [POD], False),
        (_service("other", "elsewhere"), [POD], False),
        (BEHIND, [POD], False),
    ],
)
def test_which_services_lead_to_the_same_pods(
    other: dict[str, Any], pods: list[dict[str, Any]], found: bool
) -> None:
    assert beside(BEHIND, [BEHIND, other], pods) == ([other] if found else [])


def test_to_whose_pods_kube_proxy_leads() -> None:
    other, headless = _service("other"), _service("headless", clusterIP="None")
    assert led_by_nodes([other, headless, _service("unset", clusterIP=None)]) == [other]


def test_a_service_that_selects_nothing_has_none_beside_it() -> None:
    assert beside(_service("own", selector=None), [_service("other")], []) == []


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (BEHIND, [_service("a", status=("198.51.100.8",))], ["198.51.100.8:80"]),
        (BEHIND, [_service("a", externalIPs=["2001:db8::8"])], ["[2001:db8::8]:80"]),
        (BEHIND, [_service("a"), _service("b", type="NodePort")], []),
        # Each once before any twice, and few in all
        (
            BEHIND,
            [_service("a", status=("198.51.100.8",), ports=TWO), _service("b", status=("lb.b",))],
            ["198.51.100.8:80", "lb.b:80", "198.51.100.8:443"],
        ),
        (
            BEHIND,
            [_service(str(n), status=(f"198.51.100.{n}",)) for n in range(9)],
            [f"198.51.100.{n}:80" for n in range(3)],
        ),
        # Two can share an address.
        (
            _service("own", status=("198.51.100.7",)),
            [_service(name, status=("198.51.100.7", "198.51.100.8")) for name in "ab"],
            ["198.51.100.7:80", "198.51.100.8:80"],
        ),
    ],
)
def test_around_by_the_addresses_of_other_services(
    own: dict[str, Any], others: list[dict[str, Any]], expected: list[str]
) -> None:
    assert around([], [], own, FRONT, others)["service"] == expected
    # Its own status is what stands in front then.
    addresses = [text for text in expected if "198.51.100.7" not in text]
    assert [text for text in around([], [], own, own, others)["service"] if text in addresses] == (
        addresses
    )


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], []),
        ([_service("a")], []),
        ([_service("a", **PORTS["spec"])], [("1", 30080), ("2", 30080)]),
        (
            [_service(str(n), ports=[{"port": 80, "nodePort": 31000 + n}]) for n in range(9)],
            [(node, port) for port in (31000, 31001, 31002) for node in "12"],
        ),
    ],
)
def test_around_by_the_node_ports_of_other_services(
    others: list[dict[str, Any]], expected: list[tuple[str, int]]
) -> None:
    nodes = [_node(InternalIP=[f"10.0.0.{n}"]) for n in (1, 2)]
    own = _service("own", ports=[{"port": 80, "nodePort": 30000}])
    found = around(nodes, [], own, FRONT, others)["internal_node_ports"]
    asked = [("1", 30000), ("2", 30000), *expected]
    assert found == [f"10.0.0.{node}:{port}" for node, port in asked]


def test_the_node_port_that_the_rules_send_to_is_asked() -> None:
    ports = [
        {"name": "quic", "port": 443, "protocol": "UDP", "nodePort": 30443},
        {"name": "metrics", "port": 9090, "nodePort": 30090},
        {"name": "http", "port": 80, "nodePort": 30080},
    ]
    rule = a_rule("", ("/", "Prefix", "own"))
    rule["http"]["paths"][0]["backend"]["service"]["port"] = {"name": "http"}
    nodes = [_node(ExternalIP=["203.0.113.5"])]
    own = _service("own", ports=ports)
    first, then = "203.0.113.5:30080", "203.0.113.5:30090"
    # The other one can lead to the same.
    assert around(nodes, [], own, ingress_at("own", rule))["node_ports"] == [first, then]
    assert around(nodes, [], own, own)["node_ports"] == [then, first]
    other = _service(
        "other", ports=[{"port": 1, "nodePort": 30001}, {"port": 2, "nodePort": 30002}]
    )
    found = around(nodes, [], own, ingress_at("own", rule), [other])["node_ports"]
    assert found == [first, then, "203.0.113.5:30001", "203.0.113.5:30002"]


@pytest.mark.parametrize("port", [{"number": 8080}, {"name": "http"}])
def test_the_port_that_the_rules_send_to_is_asked_first(port: dict[str, Any]) -> None:
    others = [{"name": f"other{number}", "port": number} for number in range(9001, 9009)]
    ports = [
        *others,
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "http", "port": 8080},
    ]
    service = {
        "metadata": {"name": "own"},
        "spec": {"ports": ports},
        "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}},
    }
    rule = a_rule("", ("/", "Prefix", "own"))
    rule["http"]["paths"][0]["backend"]["service"]["port"] = port
    found = around([], [], service, {"spec": {"rules": [rule]}})["service"]
    assert [text.rpartition(":")[2] for text in found] == ["8080", "9001", "9002", "9003", "9004"]


def _told(key: str, text: str) -> dict[str, Any]:
    return {"metadata": {"annotations": {key: text}}, "spec": {}}


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        (an_ingress(ports='[{"HTTP":8080},{"HTTPS":8443}]'), ["http:8080", "https:8443"]),
        (an_ingress(), []),
        # What others than TKE are told by, one of which tells no scheme
        (
            _told("alb.ingress.kubernetes.io/listen-ports", '[{"HTTP": 8080}, {"HTTPS": 8443}]'),
            ["http:8080", "https:8443"],
        ),
        (
            _told("alb.ingress.kubernetes.io/listen-ports", '[{"QUIC": 443}, {"HTTPS": 443}]'),
            ["https:443"],
        ),
        (
            _told("kubernetes.io/elb.listen-ports", '[{"HTTP":81},{"HTTPS":444}]'),
            ["http:81", "https:444"],
        ),
        (_told("kubernetes.io/elb.port", "8080"), ["http:8080", "https:8080"]),
        (_told("kubernetes.io/elb.port", "443"), ["http:443", "https:443"]),
        (
            _told("appgw.ingress.kubernetes.io/override-frontend-port", "8080"),
            ["http:8080", "https:8080"],
        ),
        *(
            (_told("kubernetes.io/elb.port", text), [])
            for text in ("", "no number", "0", "true", "[1, [2]]", '{"HTTP": 8080}')
        ),
        ({"spec": {"ports": [{"port": 8443}]}}, ["http:8443", "https:8443"]),
        (
            {"spec": {"ports": [{"port": 80}, {"port": 443}, {"port": 53, "protocol": "UDP"}]}},
            # Who ends TLS may be in front.
            ["http:80", "http:443", "https:443"],
        ),
        ({"spec": {"ports": [{"port": port} for port in range(1, 10)]}}, 16),
        ({}, []),
    ],
)
def test_around_where_the_load_balancer_listens(
    front: dict[str, Any], expected: list[str] | int
) -> None:
    found = around([], [], None, front)["listeners"]
    assert (len(found) if isinstance(expected, int) else found) == expected


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        # A node can be the load balancer, or a virtual address can move between nodes.
        ({}, [30080]),
        (ingress_at("own", address="10.0.0.1"), [30080]),
        (ingress_at("own", address="198.51.100.1"), [30080]),
        (ingress_at("own", spec={"ingressClassName": "qcloud"}), []),
        (ingress_at("own", annotations={"kubernetes.io/ingress.class": "qcloud"}), []),
        (
            {"metadata": {"annotations": {"service.kubernetes.io/loadbalance-id": "lb-1"}}},
            [],
        ),
    ],
)
def test_node_ports_at_the_probed_addresses(front: dict[str, Any], expected: list[int]) -> None:
    """A node's address can be translated, and no status tells by which one."""
    nodes = [{**_node(InternalIP=["10.0.0.1"]), "spec": {"providerID": "qcloud:///1/ins-1"}}]
    assert around(nodes, [], PORTS, front)["node_ports_of_targets"] == expected


def test_nodes_with_a_public_address_are_asked_behind_those_without() -> None:
    nodes = [_node(InternalIP=[f"10.0.0.{n}"]) for n in range(1, 5)]
    nodes += [_node(InternalIP=["10.0.0.9"], ExternalIP=["203.0.113.9"])]
    found = around(nodes, [], PORTS, None)
    assert found["node_ports"] == ["203.0.113.9:30080"]
    assert found["internal_node_ports"] == [f"10.0.0.{n}:30080" for n in range(1, 4)]


def _pod(*addresses: str, **ports: int) -> dict[str, Any]:
    named = [{"name": name, "containerPort": port} for name, port in ports.items()]
    return {
        "spec": {"containers": [{}, {"ports": named}]},
        "status": {"podIPs": [{"ip": one} for one in addresses]},
    }


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"port": 80}, ["10.1.0.1:80", "[fd00::1]:80", "10.1.0.2:80"]),
        ({"port": 80, "targetPort": 8080}, ["10.1.0.1:8080", "[fd00::1]:8080", "10.1.0.2:8080"]),
        # A name can be another port in each pod, and not be there.
        (
            {"port": 80, "targetPort": "web"},
            ["10.1.0.1:5000", "[fd00::1]:5000", "10.1.0.3:5000"],
        ),
    ],
)
def test_the_pods_own_addresses(port: dict[str, Any], expected: list[str]) -> None:
    pods = [_pod("10.1.0.1", "fd00::1", web=5000), _pod("10.1.0.2"), _pod("10.1.0.3", web=5000)]
    # One that is pending has no address.
    pods = [_pod(web=5000), *pods]
    assert around([], pods, {"spec": {"ports": [port]}}, FRONT)["pods"] == expected
    assert around([], pods, None, FRONT)["pods"] == []


def test_what_is_not_asked_of_the_pods_services_is_told() -> None:
    def service(name: str, *external: str) -> dict[str, Any]:
        ports = [{"port": 80, **({} if external else {"nodePort": 30080 + int(name)})}]
        return {
            "metadata": {"name": name, "namespace": "echo"},
            "spec": {"ports": ports, "externalIPs": [*external]},
        }

    own = service("own", *(f"198.51.100.{number}" for number in range(10, 16)))
    others = [service(str(number), f"198.51.100.{number}") for number in range(20, 24)]
    found = around([], [], own, FRONT, others)
    asked = [f"198.51.100.{number}:80" for number in (*range(10, 15), *range(20, 23))]
    assert found["service"] == asked
    assert found["omitted"] == [("Service", "echo/own"), ("Service", "echo/23")]
    ports = [service(str(number)) for number in range(4)]
    nodes = [_node(InternalIP=["10.0.0.1"])]
    found = around(nodes, [], service("own", "198.51.100.10"), FRONT, ports)
    assert found["internal_node_ports"] == [f"10.0.0.1:{30080 + number}" for number in range(3)]
    assert found["omitted"] == [("Service", "echo/3")]
    assert around(nodes, [], own, FRONT, [])["omitted"] == [("Service", "echo/own")]


def test_each_port_that_rules_lead_to_is_asked_at_nodes_and_pods() -> None:
    """A firewall can have one of them open, and the other closed."""
    ports = [{"port": port, "nodePort": 30000 + port} for port in (80, 81, 82)]
    service = {"metadata": {"name": "own"}, "spec": {"ports": ports}}
    paths = [
        {"path": f"/{port}", "backend": {"service": {"name": "own", "port": {"number": port}}}}
        for port in (81, 82)
    ]
    front = {**FRONT, "spec": {"rules": [{"http": {"paths": paths}}]}}
    found = around([_node(InternalIP=["10.0.0.1"])], [_pod("10.1.0.1")], service, front)
    assert found["internal_node_ports"] == [f"10.0.0.1:{port}" for port in (30081, 30082, 30080)]
    assert found["pods"] == ["10.1.0.1:81", "10.1.0.1:82"]


def test_listeners_beyond_those_that_are_asked_are_told() -> None:
    ports = [{"port": port} for port in (80, 443, *range(8001, 8010))]
    front = {"metadata": {"name": "own", "namespace": "echo"}, "spec": {"ports": ports}}
    found = around([], [], front, front)
    assert (len(found["listeners"]), found["omitted"]) == (16, [("Service", "echo/own")])
    front["spec"]["ports"] = ports[:8]
    assert around([], [], front, front)["omitted"] == []


def test_the_port_of_the_default_backend_is_asked_at_nodes_and_pods() -> None:
    ports = [{"port": port, "nodePort": 30000 + port} for port in (80, 81)]
    service = {"metadata": {"name": "own"}, "spec": {"ports": ports}}
    default = {"service": {"name": "own", "port": {"number": 81}}}
    front = {**FRONT, "spec": {"defaultBackend": default}}
    found = around([_node(InternalIP=["10.0.0.1"])], [_pod("10.1.0.1")], service, front)
    assert found["internal_node_ports"] == ["10.0.0.1:30081", "10.0.0.1:30080"]
    assert (found["pods"], found["paths"]) == (["10.1.0.1:81"], ["/"])


@pytest.mark.parametrize(
    ("told", "hosts"),
    [
        (
            '{"80":{"protocol":["HTTP"],"hosts":{"b.example":{},"a.example":{"tls":"x"}}}}',
            ["b", "a"],
        ),
        (
            '{"443":{"protocol":["HTTPS"],"hosts":{"a.example":{}}},"80":{"protocol":["TCP"]}}',
            ["a"],
        ),
        ('{"80":{"protocol":["HTTP"],"tls":"x"}}', []),
        ("{", []),
        ("[]", []),
        ("[" * 100000, []),
        ('{"80":[],"81":{"hosts":["a"]}}', []),
    ],
)
def test_the_load_balancer_of_a_service_of_tkes_may_know_some_hosts_alone(
    told: str, hosts: list[str]
) -> None:
    annotations = {"service.cloud.tencent.com/specify-protocol": told}
    front = {"metadata": {"name": "own", "annotations": annotations}, "spec": {"ports": []}}
    assert around([], [], front, front)["hosts"] == [f"{one}.example" for one in hosts]


def test_the_load_balancer_of_a_service_of_tkes_may_speak_tls_at_any_port() -> None:
    annotations = {"service.cloud.tencent.com/specify-protocol": '{"80":{"protocol":["HTTPS"]}}'}
    metadata = {"name": "own", "namespace": "echo"}
    front = {"metadata": metadata, "spec": {"ports": [{"port": 80}]}}
    assert around([], [], front, front)["listeners"] == ["http:80"]
    front["metadata"] = {**metadata, "annotations": annotations}
    assert around([], [], front, front)["listeners"] == ["http:80", "https:80"]
    hosts = "".join(f',"{n}.example":{{}}' for n in "bcd")
    told = f'{{"80":{{"hosts":{{"a.example":{{}}{hosts}}}}}}}'
    front["metadata"]["annotations"] = {"service.cloud.tencent.com/specify-protocol": told}
    assert around([], [], front, front)["omitted"] == [("Service", "echo/own")]


@pytest.mark.parametrize(
    ("front", "last"),
    [
        (ingress_at("own", spec={"ingressClassName": "gce"}), True),
        (ingress_at("own", annotations={"kubernetes.io/ingress.class": "gce-internal"}), True),
        # Left there by a copy, unless the nodes are Google's
        (ingress_at("own", annotations={"ingress.kubernetes.io/backends": "{}"}), False),
        (ingress_at("own", spec={"ingressClassName": "nginx"}), False),
        (ingress_at("own"), False),
        ({}, False),
    ],
)
def test_which_load_balancers_write_their_own_address_last(
    front: dict[str, Any], last: bool
) -> None:
    assert around([], [], None, {**front, "kind": "Ingress"})["lists_itself"] == last


def test_an_ingress_without_a_class_is_googles_where_the_nodes_are() -> None:
    front = ingress_at("own", annotations={"ingress.kubernetes.io/backends": "{}"})
    nodes = [{**_node(InternalIP=["10.0.0.1"]), "spec": {"providerID": "gce://p/z/n"}}]
    assert around(nodes, [], None, {**front, "kind": "Ingress"})["lists_itself"]
