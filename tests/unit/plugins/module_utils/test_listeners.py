# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._listeners import (
    Listener,
    listeners,
    targets,
    url_takers,
)
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.ingresses import (
    OWN,
    TWO,
    an_ingress,
)


@pytest.mark.parametrize(
    ("addresses", "host", "path", "expected"),
    [
        ([], "", "/", []),
        (["198.51.100.1"], "", "/", [{"name": "198.51.100.1", "url": "http://198.51.100.1/"}]),
        (["2001:db8::1"], "", "/x", [{"name": "2001:db8::1", "url": "http://[2001:db8::1]/x"}]),
        (
            ["198.51.100.1", "lb.example"],
            "a.example",
            "/",
            [
                {"name": "198.51.100.1", "url": "http://a.example/", "connect_to": "198.51.100.1"},
                {"name": "lb.example", "url": "http://a.example/", "connect_to": "lb.example"},
            ],
        ),
    ],
)
def test_targets(
    addresses: list[str], host: str, path: str, expected: list[dict[str, str]]
) -> None:
    assert targets(addresses, host, path) == expected


HTTP, HTTPS = ("http", 80), ("https", 443)
ANY, NAMED = {"secretName": "tls"}, {"secretName": "tls", "hosts": ["a.example"]}
BOTH = '[{"HTTP":80},{"HTTPS":443},{"HTTP":8080},{"HTTPS":8443}]'
OF_OTHERS = {
    "alb.ingress.kubernetes.io/listen-ports": '[{"HTTP": 8080}]',
    "kubernetes.io/elb.listen-ports": '[{"HTTP": 8080}]',
    "kubernetes.io/elb.port": "8080",
    "appgw.ingress.kubernetes.io/override-frontend-port": "8080",
}
LISTENERS = [
    # what stands in front, host, where it listens
    ({}, "", [HTTP]),
    ({"spec": {"rules": []}}, "", [HTTP]),
    ({"spec": {"ports": [{"port": 8443}]}}, "", [("http", 8443)]),
    # HTTP is spoken over TCP alone.
    (
        {"spec": {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 81, "protocol": "TCP"}]}},
        "",
        [("http", 81)],
    ),
    ({"spec": {"ports": [{"port": 53, "protocol": "UDP"}]}}, "", [HTTP]),
    (an_ingress(ANY), "", [HTTPS]),
    (an_ingress(ANY), "a.example", [HTTPS]),
    (an_ingress(NAMED), "a.example", [HTTPS]),
    (an_ingress(NAMED), "b.example", [HTTP]),
    (an_ingress(NAMED), "", [HTTP]),
    (an_ingress({"hosts": ["*.example"]}), "a.example", [HTTPS]),
    (an_ingress({"hosts": ["b.example"]}, NAMED), "a.example", [HTTPS]),
    (an_ingress(ports=BOTH), "", [HTTP, ("http", 8080)]),
    (an_ingress(ANY, ports=BOTH), "", [HTTPS, ("https", 8443)]),
    (an_ingress(ANY, ports='[{"HTTP":80}]'), "", [HTTPS]),
    (an_ingress(ports="no JSON"), "", [HTTP]),
    # Whose class it is isn't known, and to another one's controller it says nothing.
    *(({"metadata": {"annotations": {key: text}}}, "", [HTTP]) for key, text in OF_OTHERS.items()),
]


@pytest.mark.parametrize(("front", "host", "found"), LISTENERS)
def test_where_a_load_balancer_listens(
    front: dict[str, Any], host: str, found: list[tuple[str, int]]
) -> None:
    assert listeners(front, host) == found


TARGETS = [
    # listeners, host, URLs of an IPv4 and an IPv6 address
    ([("http", 8080)], "", ["http://198.51.100.1:8080/", "http://[2001:db8::1]:8080/"]),
    ([HTTPS], "", ["https://198.51.100.1/", "https://[2001:db8::1]/"]),
    ([("https", 80)], "a.example", ["https://a.example:80/"] * 2),
    ([HTTPS], "a.example", ["https://a.example/"] * 2),
]


@pytest.mark.parametrize(("at", "host", "urls"), TARGETS)
def test_the_url_follows_what_is_listened_on(
    at: list[tuple[str, int]], host: str, urls: list[str]
) -> None:
    found = targets(["198.51.100.1", "2001:db8::1"], host, "/", [Listener(*one) for one in at])
    assert [one["url"] for one in found] == urls
    assert [one["name"] for one in found] == ["198.51.100.1", "2001:db8::1"]
    if host:
        assert [one["connect_to"] for one in found] == ["198.51.100.1", "[2001:db8::1]"]


def test_each_port_is_a_target_of_its_own() -> None:
    at = [Listener("http", 80), Listener("http", 8080)]
    assert targets(["198.51.100.1"], "a.example", "/x", at) == [
        {"name": "198.51.100.1:80", "url": "http://a.example/x", "connect_to": "198.51.100.1"},
        {
            "name": "198.51.100.1:8080",
            "url": "http://a.example:8080/x",
            "connect_to": "198.51.100.1",
        },
    ]


def _balanced(name: str, *ports: int, address: str = "198.51.100.1") -> dict[str, Any]:
    return {
        "metadata": {"namespace": "echo", "name": name},
        "spec": {"ports": [{"port": port, "nodePort": port + 30000} for port in ports]},
        "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://198.51.100.1/", []),
        ("https://198.51.100.1", []),
        ("http://198.51.100.1:8080/", ["echo/other"]),
        ("http://www.example:8080/", ["echo/other"]),
        # Where addresses are those of nodes
        ("http://198.51.100.1:30443/", []),
        ("http://198.51.100.1:38080/", ["echo/other"]),
        # Its own Service, one at another address, nobody known
        ("http://198.51.100.1:8000/", []),
        ("http://198.51.100.1:8443/", []),
        ("http://198.51.100.1:9000/", []),
        ("http://[/", []),
    ],
)
def test_who_else_listens_where_a_url_leads(url: str, expected: list[str]) -> None:
    own = _balanced("own", 8000)
    services = [
        own,
        _balanced("controller", 80, 443),
        _balanced("other", 8080),
        _balanced("elsewhere", 8443, address="198.51.100.2"),
    ]
    # One that is read by itself has its kind as well.
    assert url_takers(OWN, {**own, "kind": "Service"}, services, url) == expected
    # A Service in front listens at its ports alone.
    assert url_takers(own, own, services, "http://198.51.100.1/") == ["echo/controller"]


@pytest.mark.parametrize(
    ("spec", "port", "expected"),
    [
        # Where an address of the front is a node's, every node port is open there, and it may be
        # one whatever the nodes' statuses say, as one that moves between them.
        ({}, 31080, ["echo/by itself"]),
        ({}, 38443, ["echo/elsewhere"]),
        ({"ingressClassName": "nginx"}, 31080, ["echo/by itself"]),
        ({"ingressClassName": "qcloud"}, 31080, []),
        ({}, 30443, []),
        ({}, 38000, []),
    ],
)
def test_a_node_port_is_open_where_the_front_has_a_nodes_address(
    spec: dict[str, Any], port: int, expected: list[str]
) -> None:
    own = _balanced("own", 8000)
    by_itself = {
        "metadata": {"namespace": "echo", "name": "by itself"},
        "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 31080}]},
    }
    services = [own, by_itself, _balanced("controller", 80, 443)]
    services.append(_balanced("elsewhere", 8443, address="198.51.100.2"))
    front = {**OWN, "spec": {**OWN["spec"], **spec}}
    assert url_takers(front, own, services, f"http://198.51.100.1:{port}/") == expected


def test_an_external_address_can_be_that_of_the_service_in_front() -> None:
    own = _balanced("own", 80)
    metadata = {"namespace": "next", "name": "taker"}
    taker = {"metadata": metadata, "spec": {"externalIPs": ["198.51.100.1"], "ports": TWO}}
    shared = _balanced("shared", 8080)
    asked = (own, own, [own, taker, shared])
    assert url_takers(*asked, "http://198.51.100.1/") == ["next/taker"]
    # Of an Ingress it is the controller, and nobody knows which one where there are two.
    assert url_takers(OWN, None, [taker, shared], "http://198.51.100.1/") == []
    two = [taker, _balanced("controller", 80)]
    assert url_takers(OWN, None, two, "http://198.51.100.1/") == ["echo/controller", "next/taker"]
    assert url_takers(OWN, None, two, "https://198.51.100.1/") == []


def test_another_protocol_at_the_port_of_the_front_is_not_its_listener() -> None:
    own, other = _balanced("own", 443), _balanced("other", 443, 8080)
    other["spec"]["ports"][0]["protocol"] = "UDP"
    assert url_takers(own, own, [own, other], "http://198.51.100.1:8080/") == ["echo/other"]


@pytest.mark.parametrize(("key", "text"), OF_OTHERS.items())
def test_an_annotation_of_another_class_says_nothing_of_who_answers(key: str, text: str) -> None:
    front = {**OWN, "metadata": {**OWN["metadata"], "annotations": {key: text}}}
    own, controller = _balanced("own", 8000), _balanced("controller", 80, 443)
    for url in ("http://198.51.100.1/", "http://198.51.100.1:8080/"):
        found = [url_takers(one, own, [own, controller], url) for one in (front, OWN)]
        assert found[0] == found[1]
