# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import (
    Listener,
    around,
    asked_for,
    backends,
    beside,
    collect,
    elsewhere,
    listeners,
    namesakes,
    read_as,
    ready_pods,
    receiving_pods,
    rivals,
    targets,
    url_takers,
)


def _pod(name: str, ready: str = "True", *addresses: str, **metadata: str) -> dict[str, object]:
    return {
        "metadata": {"name": name, **metadata},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "podIPs": [{"ip": address} for address in addresses],
        },
    }


NODE = {
    "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "2001:db8:244:1::/64"]},
    "status": {
        "addresses": [
            {"type": "InternalIP", "address": "10.255.0.11"},
            {"type": "Hostname", "address": "node1"},
            {"type": "ExternalIP", "address": "203.0.113.99"},
        ]
    },
}
SERVICES = [
    {"spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "2001:db8:96::1"]}},
    {"spec": {"clusterIP": "None"}},
    {
        "spec": {"clusterIP": "10.96.0.9"},
        "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}},
    },
]
FRONT = {
    "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}, {"hostname": "a.example"}]}}
}


def test_ready_pods() -> None:
    pods = [
        _pod("b"),
        _pod("a"),
        _pod("c", "False"),
        _pod("d", deletionTimestamp="now"),
        {"metadata": {"name": "e"}},
    ]
    assert ready_pods(pods) == ["a", "b"]
    assert receiving_pods({"spec": {}}, pods) == ["a", "b"]


def test_pods_that_are_not_ready_may_get_requests_too() -> None:
    pods: list[dict[str, Any]] = [
        _pod("a", "True", "10.0.0.1"),
        _pod("b", "False", "10.0.0.2"),
        _pod("without an address", "False"),
        _pod("ending", "False", "10.0.0.3", deletionTimestamp="now"),
        {"metadata": {"name": "x"}, "status": {"phase": "Failed", "podIPs": [{"ip": "10.0.0.4"}]}},
    ]
    service = {"spec": {"publishNotReadyAddresses": True}}
    assert receiving_pods(service, pods) == ["a", "b"]
    annotation = "service.alpha.kubernetes.io/tolerate-unready-endpoints"
    for text, found in ("true", ["a", "b"]), ("false", ["a"]):
        of_old = {"metadata": {"annotations": {annotation: text}}, "spec": {}}
        assert receiving_pods(of_old, pods) == found
    # That leads elsewhere, whatever it selects.
    elsewhere = {"spec": {**service["spec"], "type": "ExternalName", "externalName": "a.example"}}
    assert receiving_pods(elsewhere, pods) == []


def test_collect_all() -> None:
    assert collect([NODE], SERVICES, [_pod("a", "True", "10.244.1.5")], [FRONT]) == {
        "nodes": ["10.255.0.11", "203.0.113.99"],
        "pods": ["10.244.1.0/24", "10.244.1.5", "2001:db8:244:1::/64"],
        "pod_names": {"10.244.1.5": "a"},
        "services": ["10.96.0.1", "10.96.0.9", "2001:db8:96::1"],
        "load_balancers": ["198.51.100.1", "198.51.100.7"],
        "proxied": [],
    }


@pytest.mark.parametrize(
    ("annotations", "more"),
    [
        ({"projectcalico.org/IPv4IPIPTunnelAddr": "172.16.104.0"}, ["172.16.104.0"]),
        ({"projectcalico.org/IPv4VXLANTunnelAddr": "172.16.104.1"}, ["172.16.104.1"]),
        (
            {"k8s.ovn.org/node-gateway-router-lrp-ifaddr": '{"ipv4":"100.64.0.5/16"}'},
            ["100.64.0.5"],
        ),
        (
            {
                "k8s.ovn.org/node-gateway-router-lrp-ifaddrs": (
                    '{"default":{"ipv4":"100.64.0.3/16","ipv6":"fd98::3/64"}}'
                )
            },
            ["100.64.0.3", "fd98::3"],
        ),
        (
            {"ovn.kubernetes.io/ip_address": "100.64.0.4,fd00:100:64::4"},
            ["100.64.0.4", "fd00:100:64::4"],
        ),
        ({"network.cilium.io/ipv6-cilium-host": "fd00::7"}, ["fd00::7"]),
        ({"projectcalico.org/IPv4VXLANTunnelAddr": ""}, []),
        ({"projectcalico.org/IPv4VXLANTunnelAddr": "none yet"}, []),
        ({"example.com/IPv4VXLANTunnelAddr": "172.16.104.1"}, []),
        (None, []),
    ],
)
def test_the_end_of_a_tunnel_is_an_address_of_the_node(
    annotations: dict[str, str] | None, more: list[str]
) -> None:
    node = {**NODE, "metadata": {"annotations": annotations}}
    assert collect([node], [], [], [])["nodes"] == sorted(["10.255.0.11", *more, "203.0.113.99"])


def test_an_external_address_of_a_service_is_its_own() -> None:
    service = {"spec": {"clusterIP": "10.96.0.1", "externalIPs": ["203.0.113.50"]}}
    assert collect([], [service], [], [])["services"] == ["10.96.0.1", "203.0.113.50"]


def test_collect_leaves_out_what_could_not_be_read() -> None:
    assert collect(None, None, None, []) == {"load_balancers": [], "proxied": []}
    # Somebody who may see only his own nodes, and has none.
    pods = [_pod("a", "True", "10.244.1.5")]
    # Or nodes of which nothing tells an address: whether the prober is one isn't known.
    for nodes in ([], [{"status": {"addresses": [{"type": "Hostname", "address": "n1"}]}}]):
        assert not {"nodes", "pods"} & {*collect(nodes, [], pods, [])}
    # One of them alone may be where the prober is.
    assert "pods" not in collect([NODE, *nodes], [], pods, [])
    assert "pods" not in collect([NODE], None, None, [])
    assert "pods" not in collect(None, None, pods, [])


def test_collect_does_not_take_the_nodes_of_a_virtual_cluster_for_real_ones() -> None:
    labels = {"labels": {"vcluster.loft.sh/fake-node": "true"}}
    nodes = [NODE, {**NODE, "metadata": labels}]
    found = collect(nodes, [], [_pod("a", "True", "10.244.1.5")], [])
    assert not {"nodes", "pods"} & {*found}
    assert found["pod_names"] == {"10.244.1.5": "a"}


def test_collect_leaves_out_pods_of_the_host_network() -> None:
    pod = {**_pod("a", "True", "10.255.0.11"), "spec": {"hostNetwork": True}}
    assert collect(None, None, [pod], [])["pod_names"] == {}


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


def _ingress(*tls: dict[str, Any], ports: str = "") -> dict[str, Any]:
    annotations = {"ingress.cloud.tencent.com/listen-ports": ports} if ports else {}
    return {"metadata": {"annotations": annotations}, "spec": {"tls": [*tls]}}


HTTP, HTTPS = ("http", 80), ("https", 443)
ANY, NAMED = {"secretName": "tls"}, {"secretName": "tls", "hosts": ["a.example"]}
BOTH = '[{"HTTP":80},{"HTTPS":443},{"HTTP":8080},{"HTTPS":8443}]'
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
    (_ingress(ANY), "", [HTTPS]),
    (_ingress(ANY), "a.example", [HTTPS]),
    (_ingress(NAMED), "a.example", [HTTPS]),
    (_ingress(NAMED), "b.example", [HTTP]),
    (_ingress(NAMED), "", [HTTP]),
    (_ingress({"hosts": ["*.example"]}), "a.example", [HTTPS]),
    (_ingress({"hosts": ["b.example"]}, NAMED), "a.example", [HTTPS]),
    (_ingress(ports=BOTH), "", [HTTP, ("http", 8080)]),
    (_ingress(ANY, ports=BOTH), "", [HTTPS, ("https", 8443)]),
    (_ingress(ANY, ports='[{"HTTP":80}]'), "", [HTTPS]),
    (_ingress(ports="no JSON"), "", [HTTP]),
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


def test_collect_knows_the_pods_of_the_whole_cluster_or_says_nothing_about_them() -> None:
    own, other = _pod("own", "True", "10.0.0.5"), _pod("proxy", "True", "10.0.0.6")
    assert collect([NODE], [], [own, other], [], [own])["pods"][:2] == ["10.0.0.5", "10.0.0.6"]
    # Also where what was read is said to be all of them, and the Service's own aren't among it
    for listed in (None, [], [other]):
        found = collect([NODE], [], listed, [], [own])
        assert "pods" not in found
        assert found["pod_names"] == {"10.0.0.5": "own"}


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_collect_leaves_out_pods_that_have_ended(phase: str) -> None:
    pod = {"metadata": {"name": "job"}, "status": {"phase": phase, "podIPs": [{"ip": "10.0.0.7"}]}}
    assert collect([NODE], [], [pod], [])["pod_names"] == {}


def test_a_pod_has_an_address_on_kubernetes_before_1_16() -> None:
    """There its status has no list of them, and who runs in it would count as outside."""
    pod = {"metadata": {"name": "a"}, "status": {"podIP": "10.0.0.7", "phase": "Running"}}
    found = collect([{**NODE, "spec": {}}], [], [pod], [])
    assert (found["pods"], found["pod_names"]) == (["10.0.0.7"], {"10.0.0.7": "a"})
    assert receiving_pods({"spec": {"publishNotReadyAddresses": True}}, [pod]) == ["a"]
    assert collect([NODE], [], [{**pod, "spec": {"hostNetwork": True}}], [])["pod_names"] == {}
    assert collect([NODE], [], [{**pod, "status": {}}], [])["pod_names"] == {}


def _rule(host: str, *paths: tuple[str, str, str]) -> dict[str, Any]:
    entries = [
        {"path": path, "pathType": kind, "backend": {"service": {"name": name}}}
        for path, kind, name in paths
    ]
    return {"host": host, "http": {"paths": entries}}


ROOT = _rule("", ("/", "Prefix", "root"))


@pytest.mark.parametrize(
    ("rules", "host", "path", "expected"),
    [
        ([], "", "/", ["default"]),
        ([{"host": "a.example"}], "a.example", "/", ["default"]),
        ([ROOT], "", "/", ["root"]),
        ([ROOT], "a.example", "/x", ["root"]),
        ([_rule("b.example", ("/", "Prefix", "b"))], "a.example", "/", ["default"]),
        ([ROOT, _rule("a.example", ("/", "Prefix", "a"))], "a.example", "/", ["a"]),
        ([ROOT, _rule("*.example", ("/", "Prefix", "any"))], "a.example", "/", ["any"]),
        ([_rule("", ("/", "Prefix", "root"), ("/x", "Prefix", "x"))], "", "/x/y", ["x"]),
        ([_rule("", ("/", "Prefix", "root"), ("/x", "Prefix", "x"))], "", "/xy", ["root"]),
        ([_rule("", ("/x", "Exact", "x"))], "", "/x/y", ["default"]),
        # What the controller may take for its own
        ([ROOT, _rule("", ("/x", "ImplementationSpecific", "x"))], "", "/xy", ["x"]),
        ([ROOT, _rule("", ("/x/", "ImplementationSpecific", "x"))], "", "/x", ["root"]),
        ([ROOT, _rule("", ("/v1.2", "ImplementationSpecific", "x"))], "", "/v1", ["root"]),
        ([ROOT, _rule("", ("/*", "ImplementationSpecific", "all"))], "", "/x", ["all"]),
        ([ROOT, _rule("", ("/.*", "ImplementationSpecific", "all"))], "", "/x", ["all"]),
        ([ROOT, _rule("", ("/x(/|$)(.*)", "", "x"))], "", "/x?a=1", ["x"]),
        ([ROOT, _rule("", ("/x/*", "", "x"))], "", "/x", ["x"]),
        ([ROOT, _rule("", ("/x/*", "", "x"))], "", "/y", ["root"]),
        # To nginx, a pattern is for letters of both cases, and a wildcard for more than one label.
        ([ROOT, _rule("", ("/X/(.*)", "ImplementationSpecific", "x"))], "", "/x/", ["x"]),
        ([ROOT, _rule("", ("/X", "Prefix", "x"))], "", "/x", ["root"]),
        ([ROOT, _rule("*.example", ("/", "Prefix", "any"))], "a.b.example", "/", ["any"]),
        ([ROOT, _rule("*.example", ("/", "Prefix", "any"))], "example", "/", ["root"]),
        ([ROOT, _rule("", ("/", "Prefix", "other"))], "", "/?a=1", ["other", "root"]),
    ],
)
def test_backends(
    rules: list[dict[str, object]], host: str, path: str, expected: list[str]
) -> None:
    spec = {"rules": rules, "defaultBackend": {"service": {"name": "default"}}}
    assert backends({"spec": spec}, host, path) == expected


@pytest.mark.parametrize(
    ("path", "forms"),
    [
        ("/", ["/"]),
        ("/echo", ["/echo"]),
        ("/echo/", ["/echo/"]),
        ("/%65cho", ["/%65cho", "/echo"]),
        ("//echo", ["//echo", "/echo"]),
        ("/a/../echo/./", ["/a/../echo/./", "/echo/"]),
        ("/a/%2e%2e/", ["/a/%2e%2e/", "/"]),
        ("/../..", ["/../..", "/"]),
        ("/echo?a=/../b", ["/echo?a=/../b", "/echo"]),
        ("/\u00e9cho", ["/%C3%A9cho", "/\u00e9cho"]),
    ],
)
def test_a_path_is_read_as_it_is_sent_and_as_who_decodes_it_does(
    path: str, forms: list[str]
) -> None:
    assert read_as(path) == forms


def _at(name: str, *rules: dict[str, object], **more: Any) -> dict[str, Any]:
    address = more.get("address", "198.51.100.1")
    return {
        "metadata": {
            "namespace": more.get("namespace", "echo"),
            "name": name,
            "annotations": more.get("annotations", {}),
        },
        "spec": {"rules": [*rules], **more.get("spec", {})},
        "status": {"loadBalancer": {"ingress": [{"ip": address}] if address else []}},
    }


OWN = _at("own", _rule("a.example", ("/", "Prefix", "own")))
_ASK = "ansible-playbook kestrel.real_ip.verify -e real_ip_url=http://198.51.100.2/"
_AWAY = {"address": "198.51.100.2"}


@pytest.mark.parametrize(
    ("other", "command"),
    [
        (_at("old", _rule("", ("/", "Prefix", "own")), **_AWAY), _ASK),
        (
            _at("old", _rule("a.example", ("/x", "Prefix", "own")), **_AWAY),
            f"{_ASK}x -e real_ip_host=a.example",
        ),
        (_at("old", _rule("", ("/", "Prefix", "beside")), **_AWAY), _ASK),
        (_at("old", spec={"defaultBackend": {"service": {"name": "own"}}}, **_AWAY), _ASK),
        (
            _at("old", _rule("$(id)", ("/", "Prefix", "own")), **_AWAY),
            f"{_ASK} -e 'real_ip_host=$(id)'",
        ),
        # At the same address it is no other way in, and to other Services none to these pods.
        (_at("old", _rule("", ("/", "Prefix", "own"))), None),
        (_at("old", _rule("", ("/", "Prefix", "own")), address=""), None),
        (_at("old", _rule("", ("/", "Prefix", "else")), **_AWAY), None),
        (_at("old", _rule("", ("/", "Prefix", "own")), namespace="next", **_AWAY), None),
        (_at("own", _rule("", ("/", "Prefix", "own")), **_AWAY), None),
    ],
)
def test_other_ingresses_that_lead_to_the_same_pods(
    other: dict[str, Any], command: str | None
) -> None:
    services = [{"metadata": {"name": name}} for name in ("own", "beside")]
    found = elsewhere(OWN, services, [OWN, other])
    assert found == ({} if command is None else {"echo/old": command})


ALIAS = "nginx.ingress.kubernetes.io/server-alias"
BY_ALIAS = _rule("b.example", ("/", "Prefix", "b"))


@pytest.mark.parametrize(
    ("other", "found"),
    [
        # A canary, and the same rule of another namespace's
        (_at("canary", _rule("a.example", ("/", "Prefix", "new"))), ["echo/canary"]),
        (
            _at("own", _rule("a.example", ("/", "Prefix", "own")), namespace="next"),
            ["next/own"],
        ),
        (_at("nearer", _rule("a.example", ("/x", "Prefix", "x"))), ["echo/nearer"]),
        (_at("any", _rule("*.example", ("/", "Prefix", "any"))), []),
        # What the controller may take for its own
        *(
            (_at("other", _rule("a.example", (path, "ImplementationSpecific", "x"))), found)
            for path, found in (("/*", ["echo/other"]), ("/(.*)", ["echo/other"]), ("/y/*", []))
        ),
        (
            _at("pattern", _rule("a.example", ("/X.*", "ImplementationSpecific", "x"))),
            ["echo/pattern"],
        ),
        *(
            (_at("by alias", BY_ALIAS, annotations={ALIAS: names}), found)
            for names, found in (
                ("c.example", []),
                ("c.example, a.example", ["echo/by alias"]),
                ("*.example", []),
                ("~^[ab][.]example$", []),
                ("", []),
            )
        ),
        (_at("of another path", _rule("a.example", ("/y", "Prefix", "y"))), []),
        (_at("of another host", _rule("b.example", ("/", "Prefix", "b"))), []),
        (_at("with the same Service", _rule("a.example", ("/x", "Prefix", "own"))), []),
        (
            _at("elsewhere", _rule("a.example", ("/", "Prefix", "x")), address="198.51.100.2"),
            [],
        ),
        (_at("without a rule"), []),
        (OWN, []),
    ],
)
def test_who_may_take_the_requests_of_an_ingress(other: dict[str, Any], found: list[str]) -> None:
    assert rivals(OWN, [OWN, other], "a.example", "/x") == found


#: Of AWS, which adds them to those of the rule
CONDITIONS = '[{"field": "host-header", "hostHeaderConfig": {"values": ["%s"]}}]'


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        (ALIAS, "~^[ab][.]example$"),
        (ALIAS, "a.*"),
        (ALIAS, ".example"),
        ("ingress.kubernetes.io/server-alias", "c.example,a.example"),
        ("haproxy-ingress.github.io/server-alias-regex", "^[ab][.]example$"),
        ("konghq.com/host-aliases", "c.example,a.example"),
        ("alb.ingress.kubernetes.io/conditions.b", CONDITIONS % "a.example"),
        ("alb.ingress.kubernetes.io/conditions.b", CONDITIONS % "?.example"),
    ],
)
def test_an_alias_can_be_a_pattern(name: str, alias: str) -> None:
    """What is for every host comes after it."""
    other = _at("by alias", BY_ALIAS, annotations={name: alias})
    front = _at("own", _rule("", ("/", "Prefix", "own")))
    assert rivals(front, [front, other], "a.example", "/x") == ["echo/by alias"]


def _class(name: str) -> dict[str, Any]:
    return {"spec": {"ingressClassName": name}}


LONG = {"path": "/along/the"}
TRAEFIK = _class("traefik")
PRIORITY = "traefik.ingress.kubernetes.io/router.priority"
REGEX = "nginx.ingress.kubernetes.io/use-regex"


@pytest.mark.parametrize(
    ("own", "other", "taken"),
    [
        # To Traefik the longest rule is the nearest, and that of a wildcard is long.
        (TRAEFIK, _at("x", _rule("*.example", ("/", "Prefix", "x")), **TRAEFIK), True),
        (TRAEFIK, _at("x", _rule("", ("/", "Prefix", "x")), **TRAEFIK), False),
        (TRAEFIK, _at("x", _rule("", ("/along/the/way", "Prefix", "x")), **TRAEFIK), False),
        (
            TRAEFIK,
            _at("x", _rule("", ("/along/the/way/to/all/of/it", "Prefix", "x")), **TRAEFIK),
            True,
        ),
        (
            TRAEFIK,
            _at("x", _rule("", ("/along/the/way/to/all/of/it", "Exact", "x")), **TRAEFIK),
            False,
        ),
        (TRAEFIK, _at("x", spec={"defaultBackend": {"service": {"name": "x"}}}), False),
        # The name of its class need not tell which controller it is.
        *(
            (
                _class(name),
                _at("x", _rule("*.example", ("/", "Prefix", "x")), **_class(name)),
                taken,
            )
            for name, taken in (("public", True), ("nginx-public", False), ("qcloud", False))
        ),
        # Its user says which is the first one.
        ({}, _at("x", _rule("", ("/", "Prefix", "x")), annotations={PRIORITY: "9"}), True),
        (
            {},
            _at("x", _rule("b.example", ("/", "Prefix", "x")), annotations={PRIORITY: "9"}),
            False,
        ),
        (
            {"annotations": {"alb.ingress.kubernetes.io/group.order": "9"}},
            _at("x", _rule("", ("/", "Prefix", "x"))),
            True,
        ),
        # With one annotation at any of them, all paths of a host are patterns to nginx.
        ({}, _at("x", _rule("a.example", ("/a", "Exact", "x")), annotations={REGEX: "true"}), True),
        (
            {},
            _at("x", _rule("a.example", ("/v", "Exact", "x")), annotations={REGEX: "true"}),
            False,
        ),
        (
            {"annotations": {"nginx.ingress.kubernetes.io/rewrite-target": "/"}},
            _at("x", _rule("a.example", ("/alo?ng.*", "Prefix", "x"))),
            True,
        ),
        # What is a pattern to Kong goes before all that is none.
        (LONG, _at("x", _rule("a.example", ("/~/al.*", "ImplementationSpecific", "x"))), True),
        (LONG, _at("x", _rule("a.example", ("/~/v.*", "ImplementationSpecific", "x"))), False),
        (LONG, _at("x", _rule("", ("/~/al.*", "ImplementationSpecific", "x"))), False),
        # Likewise where the nginx of F5 is told so.
        (
            LONG,
            _at(
                "x",
                _rule("a.example", ("/al.*", "Prefix", "x")),
                annotations={"nginx.org/path-regex": "case_sensitive"},
            ),
            True,
        ),
    ],
)
def test_who_may_take_requests_of_a_controller_with_habits_of_its_own(
    own: dict[str, Any], other: dict[str, Any], taken: bool
) -> None:
    path = own.get("path", "/")
    more = {key: value for key, value in own.items() if key != "path"}
    front = _at("own", _rule("a.example", (path, "Prefix", "own")), **more)
    assert (
        rivals(front, [front, other], "a.example", "/along/the/way/to/all/of/it")
        == ["echo/x"] * taken
    )


def test_who_passes_tls_on_looks_at_no_path() -> None:
    front = _at("own", _rule("a.example", ("/along", "Prefix", "own")))
    annotation = "nginx.ingress.kubernetes.io/ssl-passthrough"
    for text, host, found in (
        ("true", "a.example", ["echo/x"]),
        ("false", "a.example", []),
        ("true", "b.example", []),
    ):
        other = _at("x", _rule(host, ("/", "Prefix", "x")), annotations={annotation: text})
        assert rivals(front, [front, other], "a.example", "/along") == found


def test_where_an_annotation_says_to_whom_requests_go() -> None:
    rule = _rule("a.example", ("/", "Prefix", "own"))
    [entry] = rule["http"]["paths"]  # type: ignore[index]
    assert backends(_at("one", rule), "a.example", "/") == ["own"]
    entry["backend"]["service"]["port"] = {"name": "use-annotation"}
    assert backends(_at("one", rule), "a.example", "/") == [""]


def test_a_pattern_of_kongs_is_the_nearest_rule_of_an_ingress() -> None:
    rules = [_rule("a.example", ("/x/y", "Prefix", "a"), ("/~/x.*", "Prefix", "pattern"))]
    assert backends(_at("one", *rules), "a.example", "/x/y") == ["pattern"]
    assert backends(_at("one", *rules), "a.example", "/y") == []
    service = {"metadata": {"name": "own"}}
    found = around([], service, _at("one", _rule("", ("/~/x.*", "Prefix", "own"))))
    assert found["paths"] == ["/x."]


def test_the_nearest_rule_of_an_ingress_is_the_longest_to_traefik() -> None:
    rules = [_rule("a.example", ("/", "Prefix", "a")), _rule("*.example", ("/", "Prefix", "any"))]
    assert backends(_at("one", *rules), "a.example", "/") == ["a"]
    assert backends(_at("one", *rules, **TRAEFIK), "a.example", "/") == ["any"]


@pytest.mark.parametrize(
    ("own_class", "other_class", "found"),
    [
        ("nginx", "nginx", ["echo/new"]),
        ("", "", ["echo/new"]),
        ("nginx", "another", []),
        ("nginx", "", ["echo/new"]),
        # Of these each has a load balancer of its own.
        ("qcloud", "qcloud", []),
    ],
)
def test_an_ingress_may_take_requests_before_it_has_an_address(
    own_class: str, other_class: str, found: list[str]
) -> None:
    rule = ("a.example", ("/", "Prefix", "x"))
    own = _at("own", _rule("", ("/", "Prefix", "own")), spec={"ingressClassName": own_class})
    other = _at("new", _rule(*rule), address="", spec={"ingressClassName": other_class})
    assert rivals(own, [own, other], "a.example", "/") == found


@pytest.mark.parametrize(("names", "found"), [("ab", []), ("aa", ["echo/new"])])
def test_an_ingress_of_tkes_may_name_the_load_balancer_of_another_one(
    names: str, found: list[str]
) -> None:
    own, other = (
        {
            "spec": {"ingressClassName": "qcloud"},
            "annotations": {"kubernetes.io/ingress.existLbId": name},
        }
        for name in names
    )
    front = _at("own", _rule("", ("/", "Prefix", "own")), **own)
    new = _at("new", _rule("a.example", ("/", "Prefix", "x")), address="", **other)
    assert rivals(front, [front, new], "a.example", "/") == found


@pytest.mark.parametrize(
    ("other", "found"),
    [
        # All requests of a host for which there is a rule, and no path of it is theirs
        ({"host": "a.example"}, ["echo/other"]),
        (_rule("a.example", ("/y", "Prefix", "y")), ["echo/other"]),
        ({"host": "*.example"}, []),
        ({"host": "b.example"}, []),
    ],
)
def test_the_default_backend_of_a_nearer_host_may_take_requests(
    other: dict[str, Any], found: list[str]
) -> None:
    own = _at("own", _rule("*.example", ("/", "Prefix", "own")))
    default = {"defaultBackend": {"service": {"name": "x"}}}
    rival = _at("other", other, spec=default)
    assert rivals(own, [own, rival], "a.example", "/") == found
    assert rivals(own, [own, _at("other", other)], "a.example", "/") == []


@pytest.mark.parametrize(
    ("host", "url", "expected"),
    [
        ("a.example", "", ("a.example", "/x")),
        ("", "http://B.example./y?z=1", ("b.example", "/y")),
        ("", "https://b.example:8443", ("b.example", "/")),
        # That is sent, wherever the URL leads.
        ("a.example", "http://b.example/y", ("a.example", "/y")),
        ("", "http://198.51.100.1/", ("198.51.100.1", "/")),
        ("", "http://[2001:db8::1]/", ("2001:db8::1", "/")),
        # As it is sent, and as a rule has it
        ("", "http://b\u00fccher.example/", ("xn--bcher-kva.example", "/")),
        ("", "http://%62.example/", ("b.example", "/")),
        ("a.example", "http://[/", ("a.example", "/x")),
    ],
)
def test_what_is_asked_for(host: str, url: str, expected: tuple[str, str]) -> None:
    assert asked_for(host, "/x", url) == expected


def test_who_may_take_the_requests_of_a_url_of_another_host() -> None:
    other = _at("own", _rule("b.example", ("/", "Prefix", "own")), namespace="next")
    everybodys = _at("own", _rule("", ("/", "Prefix", "own")))
    for front in (OWN, everybodys):
        assert rivals(front, [front, other], *asked_for("", "/", "http://b.example/")) == [
            "next/own"
        ]
    assert rivals(everybodys, [everybodys, other], *asked_for("", "/", "http://a.example/")) == []


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
    ("nodes", "port", "expected"),
    [
        # Where an address of the front is a node's, every node port is open there.
        (["198.51.100.1"], 31080, ["echo/by itself"]),
        (["198.51.100.1"], 38443, ["echo/elsewhere"]),
        (None, 31080, ["echo/by itself"]),
        (["198.51.100.9"], 31080, []),
        (["198.51.100.1"], 30443, []),
        (["198.51.100.1"], 38000, []),
    ],
)
def test_a_node_port_is_open_where_the_front_has_a_nodes_address(
    nodes: list[str] | None, port: int, expected: list[str]
) -> None:
    own = _balanced("own", 8000)
    by_itself = {
        "metadata": {"namespace": "echo", "name": "by itself"},
        "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 31080}]},
    }
    services = [own, by_itself, _balanced("controller", 80, 443)]
    services.append(_balanced("elsewhere", 8443, address="198.51.100.2"))
    known = nodes and [
        {"status": {"addresses": [{"type": "InternalIP", "address": one}]}} for one in nodes
    ]
    url = f"http://198.51.100.1:{port}/"
    assert url_takers(OWN, own, services, url, known) == expected


def test_an_external_address_can_be_that_of_the_service_in_front() -> None:
    own = _balanced("own", 80)
    metadata = {"namespace": "next", "name": "taker"}
    taker = {"metadata": metadata, "spec": {"externalIPs": ["198.51.100.1"], "ports": TWO}}
    shared = _balanced("shared", 8080)
    asked = (own, own, [own, taker, shared])
    assert url_takers(*asked, "http://198.51.100.1/") == ["next/taker"]
    # Of an Ingress it is the controller.
    assert url_takers(OWN, *asked[1:], "http://198.51.100.1/") == []


def test_another_protocol_at_the_port_of_the_front_is_not_its_listener() -> None:
    own, other = _balanced("own", 443), _balanced("other", 443, 8080)
    other["spec"]["ports"][0]["protocol"] = "UDP"
    assert url_takers(own, own, [own, other], "http://198.51.100.1:8080/") == ["echo/other"]


def test_backends_of_an_ingress_that_leads_nowhere() -> None:
    assert backends({}, "", "/") == []


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
            [],
        ),
        ([_node(Hostname=["n"], InternalIP=["2001:db8::1"])], PORTS, [], ["[2001:db8::1]:30080"]),
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
    found = around(nodes, service, FRONT)
    assert (found["node_ports"], found["internal_node_ports"]) == (external, internal)
    assert found["load_balancer"] == ["198.51.100.1", "a.example"], (
        "names are looked up by the probe"
    )
    assert found["hosts"] == []
    nothing = around(nodes, service, None)
    assert (nothing["load_balancer"], nothing["hosts"]) == ([], [])


def test_around_by_the_hosts_of_the_rules() -> None:
    named = ["a.example", None, "*.example", "a.example", "b.example", "c.example"]
    front = {"spec": {"rules": [{"host": host} if host else {} for host in named]}}
    assert around([], None, front)["hosts"] == ["a.example", "real-ip.example", "b.example"]


def test_around_by_the_hosts_that_lead_to_the_service_first() -> None:
    """There may be too many, and aliases are hosts as well."""
    others = [_rule(f"{name}.example", ("/", "Prefix", "other")) for name in "abc"]
    own = _rule("own.example", ("/", "Prefix", "own"))
    aliases = {ALIAS: "alias.example, ~^b+[.]example$, c.*, a b, .c"}
    front = _at("front", *others, own, annotations=aliases)
    asked = around([], {"metadata": {"name": "own"}}, front)["hosts"]
    assert asked == ["own.example", "alias.example", "a.example"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([_rule("", ("/", "Prefix", "own"))], ["/"]),
        ([_rule("a.example", ("/x", "Exact", "own"), ("/y", "Exact", "another"))], ["/x"]),
        ([_rule(host, ("/x/y", "Prefix", "own")) for host in ("a.example", "b.example")], ["/x/y"]),
        # Patterns: what they begin with
        (
            [_rule("", ("/x(/|$)(.*)", "ImplementationSpecific", "own"), ("/z/*", "", "own"))],
            ["/x", "/z/"],
        ),
        (
            [_rule("", *((f"/{number}", "Prefix", "own") for number in range(9)))],
            ["/0", "/1", "/2"],
        ),
        ([{}], []),
    ],
)
def test_around_by_the_paths_of_the_rules(rules: list[dict[str, Any]], expected: list[str]) -> None:
    service = {"metadata": {"name": "own"}}
    assert around([], service, {"spec": {"rules": rules}})["paths"] == expected
    assert around([], None, {"spec": {"rules": rules}})["paths"] == []


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
    assert around([], service, FRONT)["service"] == expected
    # Where the Service itself is in front, its status is no way around it.
    assert around([], service, service, by_header=False)["service"] == []
    external = ["[2001:db8::7]:80", "[2001:db8::7]:443"] if service is BALANCED else []
    assert around([], service, service)["service"] == external


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
        (_service("other", clusterIP="None"), [POD], False),
        (_service("other", type="ExternalName", clusterIP=None), [POD], False),
        (_service("other", "elsewhere"), [POD], False),
        (BEHIND, [POD], False),
    ],
)
def test_which_services_lead_to_the_same_pods(
    other: dict[str, Any], pods: list[dict[str, Any]], found: bool
) -> None:
    assert beside(BEHIND, [BEHIND, other], pods) == ([other] if found else [])


def test_a_service_that_selects_nothing_has_none_beside_it() -> None:
    assert beside(_service("own", selector=None), [_service("other")], []) == []


TWO = [{"port": 80}, {"port": 443}]


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
    assert around([], own, FRONT, others)["service"] == expected
    assert around([], own, own, others, by_header=False)["service"] == []
    # Its own status is what stands in front then.
    addresses = [text for text in expected if "198.51.100.7" not in text]
    assert [text for text in around([], own, own, others)["service"] if text in addresses] == (
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
            [("1", 31000), ("1", 31001), ("1", 31002)],
        ),
    ],
)
def test_around_by_the_node_ports_of_other_services(
    others: list[dict[str, Any]], expected: list[tuple[str, int]]
) -> None:
    nodes = [_node(InternalIP=[f"10.0.0.{n}"]) for n in (1, 2)]
    own = _service("own", ports=[{"port": 80, "nodePort": 30000}])
    found = around(nodes, own, FRONT, others)["internal_node_ports"]
    asked = [("1", 30000), ("2", 30000), *expected]
    assert found == [f"10.0.0.{node}:{port}" for node, port in asked]


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
    rule = _rule("", ("/", "Prefix", "own"))
    rule["http"]["paths"][0]["backend"]["service"]["port"] = port
    found = around([], service, {"spec": {"rules": [rule]}})["service"]
    assert [text.rpartition(":")[2] for text in found] == ["8080", "9001", "9002", "9003", "9004"]


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        (_ingress(ports='[{"HTTP":8080},{"HTTPS":8443}]'), ["http:8080", "https:8443"]),
        (_ingress(), []),
        ({"spec": {"ports": [{"port": 8443}]}}, ["http:8443", "https:8443"]),
        (
            {"spec": {"ports": [{"port": 80}, {"port": 443}, {"port": 53, "protocol": "UDP"}]}},
            ["http:80", "https:443"],
        ),
        ({"spec": {"ports": [{"port": port} for port in range(1, 10)]}}, 16),
        ({}, []),
    ],
)
def test_around_where_the_load_balancer_listens(
    front: dict[str, Any], expected: list[str] | int
) -> None:
    found = around([], None, front)["listeners"]
    assert (len(found) if isinstance(expected, int) else found) == expected


def test_only_addresses_that_kube_proxy_leaves_alone_are_proxied() -> None:
    entries = [{"ip": "198.51.100.1", "ipMode": "Proxy"}, {"ip": "198.51.100.2", "ipMode": "VIP"}]
    entries += [{"ip": "198.51.100.3"}, {"hostname": "lb.example"}]
    front = {"status": {"loadBalancer": {"ingress": entries}}}
    assert collect(None, None, None, [front])["proxied"] == ["198.51.100.1"]
    # It takes an external address of any Service, whatever a status says of it.
    taken = {"spec": {"externalIPs": ["198.51.100.1"]}}
    assert collect(None, [taken], None, [front])["proxied"] == []


def _of(
    namespace: str, name: str, kind: str = "ReplicaSet", phase: str = "Running", hostname: str = ""
) -> Any:
    owners = [{"kind": kind, "name": "o"}] if kind else []
    where = {"namespace": namespace, "name": name, "ownerReferences": owners}
    return {"metadata": where, "spec": {"hostname": hostname}, "status": {"phase": phase}}


OWN_PODS = [
    _of("a", "web-0", "StatefulSet", hostname="web-0"),
    _of("a", "tapp-0", "TApp"),
    _of("a", "app-5d-x2x"),
    _of("a", "bare", ""),
]


@pytest.mark.parametrize(
    ("names", "others", "expected"),
    [
        (["web-0", "app-5d-x2x"], [], []),
        (["web-0", "app-5d-x2x"], [_of("b", "web-0", "StatefulSet")], ["web-0"]),
        (["app-5d-x2x"], [_of("b", "web-0", "StatefulSet")], []),
        (["web-0"], [_of("b", "web-0", "StatefulSet", "Failed")], []),
        (["web-0"], [_of("b", "web-1", "StatefulSet")], []),
        # Who is called so by its host name, which is what most echo apps tell
        (["web-0"], [_of("b", "web-0-x-1", hostname="web-0")], ["web-0"]),
        (["web-0"], [_of("a", "other-5d-x2x", hostname="web-0")], ["web-0"]),
        (["web-0"], [_of("a", "other-5d-x2x", hostname="web-1")], []),
        # What isn't known of the others, may be.
        (["web-0", "app-5d-x2x", "bare"], None, ["bare", "web-0"]),
        (["app-5d-x2x"], None, []),
        (["tapp-0"], None, ["tapp-0"]),
    ],
)
def test_namesakes(names: list[str], others: list[Any] | None, expected: list[str]) -> None:
    everywhere = None if others is None else [*OWN_PODS, *others]
    assert namesakes(names, OWN_PODS, everywhere) == expected
