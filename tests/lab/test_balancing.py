# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in's decisions, as tables. What they do to packets is in test_stand_in.py."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import balancing, by_hand, layer7, settings
from lab.balancing import DEFAULTS, INGRESS, IPV4, IPV6, SERVICE, Backend, Cluster, Kind

Json = dict[str, Any]

# --------------------------------------------------------------------------------------------
# Objects


def metadata(kind: Kind, name: str, adopted: bool, extra: Json) -> Json:
    return {
        "name": name,
        "namespace": "shop",
        "uid": f"uid-{name}",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        **({"finalizers": ["other/one", kind.finalizer]} if adopted else {}),
        **extra,
    }


def service(
    name: str = "web", adopted: bool = False, meta: Json | None = None, **spec: Any
) -> Json:
    port = {"port": 80, "nodePort": 30080, "protocol": "TCP", "name": "http"}
    whole = {"type": "NodePort", "ipFamilies": [IPV4], "ports": [port], **spec}
    return {"metadata": metadata(SERVICE, name, adopted, meta or {}), "spec": whole}


def rule(
    service_name: str = "web",
    path: str = "/",
    path_type: str = "Prefix",
    host: str | None = None,
    **port: Any,
) -> Json:
    backend = {"service": {"name": service_name, "port": port or {"number": 80}}}
    one = {"path": path, "pathType": path_type, "backend": backend}
    return {"http": {"paths": [one]}, **({"host": host} if host else {})}


def ingress(
    name: str = "front",
    rules: Sequence[Json] = (),
    adopted: bool = True,
    meta: Json | None = None,
    **spec: Any,
) -> Json:
    return {
        "metadata": metadata(INGRESS, name, adopted, meta or {}),
        "spec": {"rules": list(rules) or [rule()], **spec},
    }


def node(name: str, *addresses: str, ready: bool = True, excluded: bool = False) -> Json:
    return {
        "metadata": {
            "name": name,
            "labels": {"node.kubernetes.io/exclude-from-external-load-balancers": ""}
            if excluded
            else {},
        },
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
            "addresses": [
                {"type": "Hostname", "address": name},
                *({"type": "InternalIP", "address": address} for address in addresses),
            ],
        },
    }


def endpoints(
    *pods: tuple[str, str, bool | None],
    family: str = IPV4,
    name: str = "web",
    port_name: str = "http",
) -> Json:
    """Build a slice of pods: address, node, and the condition ready."""
    return {
        "metadata": {
            "name": f"{name}-x",
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": family,
        "ports": [{"name": port_name, "port": 5000}],
        "endpoints": [
            {
                "addresses": [address],
                "nodeName": node_name,
                "conditions": {} if ready is None else {"ready": ready},
            }
            for address, node_name, ready in pods
        ],
    }


NODES = (node("n2", "10.0.0.12", "2001:db8::12"), node("n1", "10.0.0.11", "2001:db8::11"))
PODS = endpoints(("10.1.1.5", "n1", True), ("10.1.2.5", "n2", None))


def plan(
    cluster: Cluster, changes: Mapping[str, balancing.SwitchValue] | None = None
) -> list[balancing.Balancer]:
    switches = {**DEFAULTS, **(changes or {})}
    return balancing.balancers(cluster, balancing.allocate(cluster, {}), switches)


def only(cluster: Cluster, **changes: balancing.SwitchValue) -> balancing.Balancer:
    (one,) = plan(cluster, changes)
    return one


# --------------------------------------------------------------------------------------------
# Scope


@pytest.mark.parametrize(
    ("field", "annotation", "taken"),
    [
        (None, None, True),
        ("qcloud", None, True),
        (None, "qcloud", True),
        ("qcloud", "qcloud", True),
        ("nginx", None, False),
        (None, "nginx", False),
        ("nginx", "nginx", False),
        # The API server refuses to create this, but a change of one place can lead here.
        ("nginx", "qcloud", True),
        ("", "", True),
        ("nginx", "", False),
    ],
)
def test_ingress_scope(field: str | None, annotation: str | None, taken: bool) -> None:
    annotations = {} if annotation is None else {"kubernetes.io/ingress.class": annotation}
    found = ingress(meta={"annotations": annotations})
    if field is not None:
        found["spec"]["ingressClassName"] = field
    assert balancing.ingress_in_scope(found) is taken


@pytest.mark.parametrize(
    ("spec", "taken"),
    [
        ({"type": "LoadBalancer"}, True),
        ({"type": "LoadBalancer", "loadBalancerClass": "other.example/class"}, False),
        ({"type": "NodePort"}, False),
        ({"type": "ClusterIP"}, False),
    ],
)
def test_service_scope(spec: Json, taken: bool) -> None:
    assert balancing.service_in_scope(service(**spec)) is taken


# --------------------------------------------------------------------------------------------
# Numbers


def with_id(kind: Kind, item: Json, identity: str) -> Json:
    item["metadata"].setdefault("annotations", {})[kind.id_annotation] = identity
    return item


def test_lowest_free_numbers_oldest_first() -> None:
    old = ingress("z", meta={"creationTimestamp": "2025-01-01T00:00:00Z"})
    cluster = Cluster([ingress("a"), old], [service("l4", type="LoadBalancer"), service("web")])
    assert balancing.allocate(cluster, {}) == {"uid-z": 1, "uid-a": 2, "uid-l4": 3}


def test_numbers_stay_when_others_go() -> None:
    first = balancing.allocate(Cluster([ingress("a"), ingress("b")]), {})
    after = balancing.allocate(Cluster([ingress("b"), ingress("c")]), first)
    assert after == {"uid-b": 2, "uid-c": 1}


@pytest.mark.parametrize(
    ("item", "number"),
    [
        (with_id(INGRESS, ingress("a"), balancing.balancer_id("uid-a", 93)), 93),
        # Copied from another object together with the manifest.
        (with_id(INGRESS, ingress("a"), balancing.balancer_id("uid-b", 93)), 1),
        (with_id(INGRESS, ingress("a"), "lb-nonsense"), 1),
        (with_id(INGRESS, ingress("a"), "lb-000000zz"), 1),
        (ingress("a") | {"status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.9"}]}}}, 9),
        (ingress("a") | {"status": {"loadBalancer": {"ingress": [{"ip": "2001:db8:51::9"}]}}}, 9),
        (ingress("a") | {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}}, 1),
        # Another controller's status, left over from another class.
        (
            ingress("a", adopted=False)
            | {"status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.9"}]}}},
            1,
        ),
    ],
)
def test_numbers_are_read_back(item: Json, number: int) -> None:
    assert balancing.allocate(Cluster([item]), {}) == {"uid-a": number}


def test_number_is_held_until_released() -> None:
    leaving = ingress("a", ingressClassName="nginx")
    gone = ingress("a", ingressClassName="nginx", adopted=False)
    assert balancing.allocate(Cluster([leaving]), {"uid-a": 5}) == {"uid-a": 5}
    assert balancing.allocate(Cluster([gone]), {"uid-a": 5}) == {}


def test_quota() -> None:
    items = [ingress(f"i{number:03}", adopted=False) for number in range(103)]
    cluster = Cluster(items, [service()])
    numbers = balancing.allocate(cluster, {})
    assert sorted(numbers.values()) == list(range(1, 101))
    refused = balancing.warnings(cluster, (), numbers)
    assert {notice.name for notice in refused} == {"i100", "i101", "i102"}
    assert 'Code:"E4003"' in refused[0].message


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 30)), st.booleans()),
        max_size=8,
    )
)
def test_numbers_are_unique_and_never_change(history: list[tuple[set[int], bool]]) -> None:
    """Whatever comes and goes, and whether the controller was started again or not."""
    numbers: dict[str, int] = {}
    for names, restarted in history:
        items = [
            with_id(INGRESS, ingress(str(name)), balancing.balancer_id(f"uid-{name}", known))
            if (known := numbers.get(f"uid-{name}"))
            else ingress(str(name))
            for name in sorted(names)
        ]
        after = balancing.allocate(Cluster(items), {} if restarted else numbers)
        assert after.keys() == {f"uid-{name}" for name in names}
        assert len(set(after.values())) == len(after)
        assert all(after[uid] == number for uid, number in numbers.items() if uid in after)
        numbers = after


def test_addresses_of_numbers_never_meet() -> None:
    every = [address for number in by_hand.NUMBERS for address in balancing.addresses_of(number)]
    assert len(set(every)) == len(every) == 3 * 126 + 2 * 126
    assert balancing.addresses_of(1) == ("198.51.100.1", "198.51.100.129", "2001:db8:51::1")
    assert balancing.addresses_of(129) == ("10.255.0.129", "2001:db8:255::81")
    hosts = {
        str(address)
        for host in settings.HOSTS.values()
        for pair in host.addresses.values()
        for address in pair
    }
    assert balancing.own_addresses([*hosts, "127.0.0.1", "::1", *every]) == set(every)


def test_numbers_made_and_by_hand_never_meet() -> None:
    made = {*by_hand.PUBLIC, *by_hand.INTERNAL}
    found = [one.number for one in by_hand.BALANCERS.values()]
    assert len(set(found)) == len(found)
    assert not made & set(found)
    assert made | set(found) <= set(by_hand.NUMBERS)
    assert all(map(by_hand.BALANCER_ID.fullmatch, by_hand.BALANCERS))
    certificates = (*by_hand.CERTIFICATES, *by_hand.UNUSABLE)
    assert all(map(by_hand.CERTIFICATE_ID.fullmatch, certificates))


# --------------------------------------------------------------------------------------------
# Backends


def backend_addresses(
    cluster: Cluster,
    family: str = IPV4,
    switches: Mapping[str, balancing.SwitchValue] | None = None,
) -> list[str]:
    (listener,) = only(cluster, **(switches or {})).listeners
    return [backend.address for backend in listener.backends[family]]


def layer4(slices: Sequence[Json] = (PODS,), nodes: Sequence[Json] = NODES, **spec: Any) -> Cluster:
    return Cluster((), [service(adopted=True, type="LoadBalancer", **spec)], slices, nodes)


BOTH = ["10.0.0.11", "10.0.0.12"]
ONLY_BIND = {"annotations": {"service.kubernetes.io/local-svc-only-bind-node-with-pod": "true"}}
ONE_POD = endpoints(("10.1.1.5", "n1", True), ("10.1.2.5", "n2", False))
NO_POD = endpoints(("10.1.2.5", "n2", False))


@pytest.mark.parametrize(
    ("cluster", "switches", "expected"),
    [
        (layer4(), {}, BOTH),
        (layer4([ONE_POD]), {}, BOTH),
        (layer4([ONE_POD], externalTrafficPolicy="Local"), {}, ["10.0.0.11"]),
        (layer4([ONE_POD], externalTrafficPolicy="Local"), {"health_check": "off"}, BOTH),
        (
            layer4([ONE_POD], meta=ONLY_BIND, externalTrafficPolicy="Local"),
            {"health_check": "off"},
            ["10.0.0.11"],
        ),
        (layer4([ONE_POD], meta=ONLY_BIND), {"health_check": "off"}, BOTH),
        # If every backend is unhealthy CLB forwards to all.
        (layer4([NO_POD], externalTrafficPolicy="Local"), {}, BOTH),
        (layer4([]), {}, BOTH),
        (layer4(nodes=[NODES[0], node("n1", "10.0.0.11", ready=False)]), {}, ["10.0.0.12"]),
        (
            layer4(nodes=[NODES[0], node("n1", "10.0.0.11", ready=False)]),
            {"health_check": "off"},
            BOTH,
        ),
        (
            layer4(
                nodes=[
                    NODES[0],
                    node("n1", "10.0.0.11", excluded=True),
                ]
            ),
            {"health_check": "off"},
            ["10.0.0.12"],
        ),
    ],
)
def test_node_backends(
    cluster: Cluster, switches: dict[str, balancing.SwitchValue], expected: list[str]
) -> None:
    assert backend_addresses(cluster, switches=switches) == expected


@pytest.mark.parametrize(
    ("families", "ipv4", "ipv6"),
    [
        ([IPV4], 2, 0),
        ([IPV6], 0, 2),
        ([IPV6, IPV4], 2, 2),
    ],
)
def test_node_backends_by_family(families: list[str], ipv4: int, ipv6: int) -> None:
    cluster = layer4(ipFamilies=families)
    assert len(backend_addresses(cluster, IPV4)) == ipv4
    assert len(backend_addresses(cluster, IPV6)) == ipv6


def direct(slices: Sequence[Json], value: str = "true") -> Cluster:
    meta = {"annotations": {SERVICE.direct_annotation: value}}
    found = service(adopted=True, meta=meta, type="LoadBalancer")
    return Cluster((), [found], slices, NODES)


def test_direct_backends_are_ready_pods() -> None:
    slices = [
        ONE_POD,
        endpoints(("2001:db8:1::5", "n1", True), family=IPV6),
        endpoints(("10.1.9.9", "n1", True), name="another"),
        endpoints(("10.1.9.8", "n1", True), port_name="metrics"),
    ]
    (listener,) = only(direct(slices)).listeners
    assert listener.backends == {
        IPV4: (Backend("10.1.1.5", 5000),),
        IPV6: (Backend("2001:db8:1::5", 5000),),
    }
    assert backend_addresses(direct(slices, "false")) == BOTH


def test_every_port_has_a_listener() -> None:
    ports = [
        {"port": 80, "nodePort": 30080, "name": "a"},
        {"port": 53, "nodePort": 30053, "name": "b", "protocol": "UDP"},
        {"port": 99, "name": "unreachable"},
    ]
    found = only(layer4(ports=ports)).listeners
    assert [(one.protocol, one.port) for one in found] == [("TCP", 80), ("UDP", 53)]


# --------------------------------------------------------------------------------------------
# Layer 7: domains and locations


def target(name: str) -> balancing.Target:
    return balancing.Target(name, {IPV4: (), IPV6: ()})


def as_nginx(found: Sequence[balancing.Location], path: str) -> str | None:
    """Choose a location as nginx does: equality first, then the longest prefix."""
    equal = [one for one in found if one.exact and one.path == path]
    prefixes = [one for one in found if not one.exact and path.startswith(one.path)]
    chosen = equal[0] if equal else max(prefixes, key=lambda one: len(one.path))
    return chosen.target.name if chosen.target else None


@pytest.mark.parametrize(
    ("routes", "path", "expected"),
    [
        # The rows of Kubernetes' own table of examples.
        ([("Prefix", "/")], "/any/path", "/"),
        ([("Exact", "/foo")], "/foo", "/foo"),
        ([("Exact", "/foo")], "/bar", None),
        ([("Exact", "/foo")], "/foo/", None),
        ([("Exact", "/foo/")], "/foo", None),
        ([("Prefix", "/foo")], "/foo", "/foo"),
        ([("Prefix", "/foo")], "/foo/", "/foo"),
        ([("Prefix", "/foo/")], "/foo", "/foo/"),
        ([("Prefix", "/foo/")], "/foo/", "/foo/"),
        ([("Prefix", "/aaa/bb")], "/aaa/bbb", None),
        ([("Prefix", "/aaa/bbb")], "/aaa/bbb/ccc", "/aaa/bbb"),
        ([("Prefix", "/aaa/bbb")], "/aaa/bbbxyz", None),
        ([("Prefix", "/"), ("Prefix", "/aaa")], "/aaa/ccc", "/aaa"),
        ([("Prefix", "/"), ("Prefix", "/aaa")], "/ccc", "/"),
        ([("Prefix", "/aaa")], "/ccc", None),
        ([("Prefix", "/foo"), ("Exact", "/foo/bar")], "/foo/bar", "/foo/bar"),
        # A prefix of the text, and never nginx's own redirect to the path with the slash.
        ([("ImplementationSpecific", "/foo")], "/foobar", "/foo"),
        ([("ImplementationSpecific", "/foo/")], "/foo", None),
        ([("ImplementationSpecific", "/foo/"), ("Prefix", "/")], "/foo", "/"),
        ([("ImplementationSpecific", "/foo/")], "/foo/x", "/foo/"),
    ],
)
def test_locations(routes: list[tuple[str, str]], path: str, expected: str | None) -> None:
    found = balancing.locations((kind, text, target(text)) for kind, text in routes)
    assert as_nginx(found, path) == expected
    assert len({(one.exact, one.path) for one in found}) == len(found), "nginx refuses repeats"


def test_first_of_equal_routes_wins() -> None:
    routes = [("Prefix", "/a", target("one")), ("Prefix", "/a/", target("two"))]
    assert as_nginx(balancing.locations(routes), "/a") == "one"


DIRECT_INGRESS = {"annotations": {INGRESS.direct_annotation: "true"}}
CLUSTER_IP = service(type="ClusterIP", ports=[{"port": 80, "name": "http"}])


@pytest.mark.parametrize(
    ("item", "services", "code"),
    [
        (ingress(), [service()], None),
        (ingress(rules=[rule(name="http")]), [service()], None),
        (ingress(), [service(type="LoadBalancer")], None),
        (ingress(meta=DIRECT_INGRESS), [CLUSTER_IP], None),
        (ingress(), [], "E4041"),
        (ingress(rules=[rule("another")]), [service()], "E4041"),
        (ingress(), [service() | {"metadata": {"namespace": "x", "name": "web"}}], "E4041"),
        (ingress(rules=[rule(number=8080)]), [service()], "E4042"),
        (ingress(rules=[rule(name="grpc")]), [service()], "E4042"),
        (ingress(), [CLUSTER_IP], "E4047"),
        (ingress(rules=[rule(host="nodots")]), [service()], "E4052"),
        (ingress(rules=[rule(path="/.*\\.php$")]), [service()], "E4031"),
    ],
)
def test_faults(item: Json, services: list[Json], code: str | None) -> None:
    for one in services:
        one["metadata"].setdefault("uid", "uid-service")
    found = only(Cluster([item], services, [PODS], NODES))
    assert [fault.code for fault in found.faults] == ([code] if code else [])


def test_fault_has_the_form_that_was_seen() -> None:
    text = str(balancing.Fault("E4041", 'Service a/"b" does not exist.'))
    assert text == (
        'IngressErrorCode{Code:"E4041",Message:"Service a/\\"b\\" does not exist.",Retry:false}'
    )


def test_unusable_rule_leaves_the_others_alone() -> None:
    rules = [rule("missing", host="a.example"), rule("missing", path="/x"), rule(path="/y")]
    found = only(Cluster([ingress(rules=rules)], [service()], [PODS], NODES))
    assert [one.path for one in found.domains["a.example"] if one.target] == []
    assert as_nginx(found.domains["a.example"], "/") is None
    assert as_nginx(found.domains[None], "/x") is None
    assert as_nginx(found.domains[None], "/y") == "shop_web_80_nodes"


def test_default_backend_is_the_last_choice_of_the_own_domain() -> None:
    default = {"service": {"name": "web", "port": {"number": 80}}}
    item = ingress(rules=[rule(path="/y")], defaultBackend=default)
    found = only(Cluster([item], [service()], [PODS], NODES))
    assert as_nginx(found.domains[None], "/else") == "shop_web_80_nodes"


# --------------------------------------------------------------------------------------------
# nginx.conf


def conf(cluster: Cluster, **switches: balancing.SwitchValue) -> str:
    values = {**DEFAULTS, **switches}
    numbers = balancing.allocate(cluster, {})
    found = balancing.balancers(cluster, numbers, values, balancing.rewrites(cluster, ()))
    return layer7.nginx_conf(found, values, Path("/d"))


def of_layer7(rules: Sequence[Json] = (), **spec: Any) -> Cluster:
    return Cluster([ingress(rules=rules)], [service(**spec)], [PODS], NODES)


def test_nginx_listens_on_its_own_addresses_only() -> None:
    assert listens(conf(of_layer7([rule(), rule(host="a.example")]))) == {
        "198.51.100.1:80",
        "198.51.100.129:80",
        "[2001:db8:51::1]:80",
    }
    by_hand_only = set(re.findall(r"listen (\S+?)[ ;]", layer7.initial_nginx_conf(Path("/d"))))
    assert by_hand_only == {"198.51.100.103:80", "198.51.100.231:80", "[2001:db8:51::67]:80"}


def test_nginx_writes_below_its_directory_only() -> None:
    text = layer7.initial_nginx_conf(Path("/d/e"))
    assert set(re.findall(r"^\s*\w+ (/\S*?)[/ ;]", text, re.MULTILINE)) == {"/d"}
    assert "/etc" not in text
    assert "/var" not in text


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("append", "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"),
        ("replace", "proxy_set_header X-Forwarded-For $remote_addr;"),
        ("keep", "proxy_set_header X-Forwarded-For $kept;"),
        ("pass", None),
    ],
)
def test_x_forwarded_for(mode: str, line: str | None) -> None:
    lines = [
        text
        for text in conf(of_layer7(), x_forwarded_for=mode).splitlines()
        if "X-Forwarded-For" in text
    ]
    assert [text.strip() for text in lines] == ([line] if line else [])


def test_source() -> None:
    both = of_layer7(ipFamilies=[IPV4, IPV6])
    transparent = conf(both)
    assert transparent.count("proxy_bind $client_outside transparent;") == 2
    assert "keepalive 32" not in transparent
    own = conf(both, source="own")
    assert "proxy_bind" not in own
    assert own.count("keepalive 32;") == 2
    assert 'proxy_set_header Connection "";' in own


def test_other_family_is_reached_without_the_clients_address() -> None:
    """IPv6 clients of a Service with IPv4 only are served, as by NAT64."""
    text = conf(of_layer7())
    assert text.count("proxy_pass http://shop_web_80_nodes_ipv4;") == 2
    assert text.count("proxy_bind") == 1
    assert "_ipv6" not in text


@pytest.mark.parametrize(
    ("host", "names"),
    [
        (None, '198.51.100.1 198.51.100.129 "[2001:db8:51::1]" {id}.clb.example'),
        ("a.example", "a.example"),
        ("*.a-b.example", r'"~^[^.]+\.a\-b\.example$"'),
    ],
)
def test_server_names(host: str | None, names: str) -> None:
    text = conf(of_layer7([rule(host=host)]))
    identity = balancing.balancer_id("uid-front", 1)
    assert f"server_name {names.replace('{id}', identity)};" in text


def test_without_backends_an_answer_without_upstream() -> None:
    cluster = Cluster([ingress(meta=DIRECT_INGRESS)], [CLUSTER_IP], [], NODES)
    text = conf(cluster)
    assert "upstream " not in text
    assert text.count("return 502;") == 2


@given(host=st.text(min_size=1, max_size=20), path=st.text(max_size=20))
def test_names_from_objects_never_become_syntax(host: str, path: str) -> None:
    """What nginx reads as syntax can't come from an object, so one Ingress can't break others."""
    text = conf(of_layer7([rule(host=host, path=f"/{path}")]))
    for line in text.splitlines():
        if "location" in line or ("server_name " in line and "clb.example" not in line):
            assert re.fullmatch(
                r"\s*(location (= )?/[\w.~:@=/-]* \{|server_name [a-z0-9.-]+;"
                r'|server_name "~\^\[\^\.\]\+[a-z0-9\\.-]+\$";)',
                line,
                re.ASCII,
            )


# --------------------------------------------------------------------------------------------
# nft, resolver


def test_nft_translates_without_changing_the_source() -> None:
    text = balancing.nft_ruleset(plan(layer4(ipFamilies=[IPV4, IPV6])))
    balance = text.split("chain balance")[1].split("chain")[0]
    assert [line.strip() for line in balance.splitlines() if "dnat" in line] == [
        "ip daddr 198.51.100.1 tcp dport 80 dnat ip addr . port to numgen inc mod 2 map"
        " { 0 : 10.0.0.11 . 30080, 1 : 10.0.0.12 . 30080 }",
        "ip daddr 198.51.100.129 tcp dport 80 dnat ip addr . port to numgen inc mod 2 map"
        " { 0 : 10.0.0.11 . 30080, 1 : 10.0.0.12 . 30080 }",
        "ip6 daddr 2001:db8:51::1 tcp dport 80 dnat ip6 addr . port to numgen inc mod 2 map"
        " { 0 : 2001:db8::11 . 30080, 1 : 2001:db8::12 . 30080 }",
    ]
    for line in text.splitlines():
        if "masquerade" in line:
            assert re.search(
                r"saddr != \{ 10\.255\.0\.10 \} ip saddr \{ 10\.255\.0\.0/24"
                r"|saddr != \{ 2001:db8:255::a \} ip6 saddr \{ 2001:db8:255::/64",
                line,
            )


def test_nft_replaces_its_own_table_only() -> None:
    text = balancing.nft_ruleset(())
    assert text.startswith("table inet kestrel_clb\ndelete table inet kestrel_clb\n")
    assert set(re.findall(r"table \w+ (\w+)", text)) == {"kestrel_clb"}
    assert "flush" not in text


REWRITTEN = {"annotations": dict.fromkeys(balancing.REWRITE_ANNOTATIONS, "true")}


@pytest.mark.parametrize(
    ("meta", "switches", "line", "there"),
    [
        ({}, {}, "proxy_pass http://", True),
        ({}, {}, "return 301", False),
        ({}, {}, "proxy_read_timeout 60s;", True),
        ({}, {"read_timeout": 2.5}, "proxy_read_timeout 2.5s;", True),
        ({}, {"forward_type": "https"}, "proxy_pass https://", True),
        ({}, {"forward_type": "https"}, "proxy_pass http://", False),
        ({}, {"listeners": "missing"}, "listen 198.51.100.1:", False),
        # Without a certificate there is no HTTPS to which anything could be redirected.
        (REWRITTEN, {}, "return 302", False),
        (REWRITTEN, {}, "proxy_pass", True),
    ],
)
def test_what_layer7_does(meta: Json, switches: Json, line: str, there: bool) -> None:
    cluster = Cluster([ingress(meta=meta)], [service()], [PODS], NODES)
    assert (line in conf(cluster, **switches)) == there


def test_layer7_has_no_nft_rules_and_layer4_no_servers() -> None:
    assert "daddr" not in balancing.nft_ruleset(plan(of_layer7()))
    assert "proxy_pass" not in conf(layer4())


def test_hosts() -> None:
    identity = balancing.balancer_id("uid-front", 1)
    assert balancing.hosts(plan(of_layer7())).splitlines() == [
        f"198.51.100.1 {identity}.clb.example",
        f"198.51.100.129 {identity}.clb.example",
        f"2001:db8:51::1 {identity}.clb.example",
    ]
    assert balancing.hosts(plan(of_layer7()), {**DEFAULTS, "names": "unknown"}) == ""


# --------------------------------------------------------------------------------------------
# What is due

NAME = {"hostname": f"{balancing.balancer_id('uid-front', 1)}.clb.example"}
FIRST = {"ip": "198.51.100.1"}
V6 = {"ip": "2001:db8:51::1"}


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({}, [FIRST]),
        ({"address_family": "ipv6"}, [V6]),
        ({"address_family": "dual"}, [FIRST, V6]),
        ({"address": "hostname"}, [NAME]),
        ({"address": "hostname", "address_family": "dual"}, [NAME]),
        ({"address": "both"}, [FIRST | NAME]),
        ({"address": "both", "address_family": "dual"}, [FIRST | NAME, V6 | NAME]),
    ],
)
def test_status_entries(switches: dict[str, balancing.SwitchValue], expected: list[Json]) -> None:
    assert list(only(of_layer7(), **switches).entries) == expected


@pytest.mark.parametrize(
    ("families", "expected"),
    [
        ([IPV4], ["198.51.100.1"]),
        ([IPV6], ["2001:db8:51::1"]),
        ([IPV6, IPV4], ["2001:db8:51::1", "198.51.100.1"]),
    ],
)
def test_status_of_a_service_follows_its_families(families: list[str], expected: list[str]) -> None:
    entries = only(layer4(ipFamilies=families)).entries
    assert [entry["ip"] for entry in entries] == expected


def test_nothing_is_served_before_the_finalizer_is_there() -> None:
    cluster = Cluster([ingress(adopted=False)], [service()], [PODS], NODES)
    assert plan(cluster) == []
    (patch,) = balancing.adoptions(cluster, balancing.allocate(cluster, {}))
    identity = balancing.balancer_id("uid-front", 1)
    assert patch.body == {
        "metadata": {
            "resourceVersion": "7",
            "finalizers": [INGRESS.finalizer],
            "annotations": {
                "kubernetes.io/ingress.qcloud-loadbalance-id": identity,
                "ingress.cloud.tencent.com/loadbalance-ipv6": "2001:db8:51::1",
            },
        }
    }
    assert not patch.status
    assert identity in patch.message


def test_adoption_of_a_service() -> None:
    item = service("l4", type="LoadBalancer")
    cluster = Cluster((), [item, service("web"), service("mine", type="ClusterIP")])
    (patch,) = balancing.adoptions(cluster, balancing.allocate(cluster, {}))
    assert (patch.kind, patch.name) == (SERVICE, "l4")
    assert patch.body["metadata"]["finalizers"] == ["service.k8s.tencent/resources"]
    assert list(patch.body["metadata"]["annotations"]) == ["service.kubernetes.io/loadbalance-id"]


def adopted_fully(**more: Any) -> Json:
    item = with_id(INGRESS, ingress(**more), balancing.balancer_id("uid-front", 1))
    item["metadata"]["annotations"][str(INGRESS.ipv6_annotation)] = "2001:db8:51::1"
    return item


def test_adoption_is_done_once_and_repaired_silently() -> None:
    assert balancing.adoptions(Cluster([adopted_fully()]), {"uid-front": 1}) == []
    damaged = with_id(INGRESS, adopted_fully(), "lb-somebody")
    (patch,) = balancing.adoptions(Cluster([damaged]), {"uid-front": 1})
    assert "finalizers" not in patch.body["metadata"]
    assert patch.message == ""


BROKEN = ingress(rules=[rule("missing")])
OLD = {"status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}}


@pytest.mark.parametrize(
    ("item", "age", "switches", "entries", "wait"),
    [
        (ingress(), 0.25, {}, None, 0.75),
        (ingress(), 1.0, {}, [FIRST], None),
        (ingress(), 0.0, {"address_delay": 0.0}, [FIRST], None),
        (ingress(), 60.0, {"address_delay": 100.0}, None, 40.0),
        (ingress() | OLD, 0.0, {}, None, None),
        # A change of an address that is there already takes no time.
        (ingress() | OLD, 0.0, {"address": "hostname"}, [NAME], None),
        (BROKEN, 5.0, {}, None, None),
        (BROKEN, 5.0, {"error_address": "publish"}, [FIRST], None),
        (BROKEN | OLD, 5.0, {"address": "hostname"}, [NAME], None),
    ],
)
def test_publication(
    item: Json,
    age: float,
    switches: dict[str, balancing.SwitchValue],
    entries: list[Json] | None,
    wait: float | None,
) -> None:
    cluster = Cluster([item], [service()], [PODS], NODES)
    found = plan(cluster, switches)
    due, next_due = balancing.publications(
        cluster, found, {**DEFAULTS, **switches}, {"uid-front": age}
    )
    said = [patch.body["status"]["loadBalancer"]["ingress"] for patch in due]
    assert said == ([entries] if entries else [])
    assert all(patch.status for patch in due)
    assert next_due == wait


def test_status_of_a_service_is_compared_without_what_the_server_adds() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "198.51.100.1", "ipMode": "VIP"}]}}
    item = service(adopted=True, type="LoadBalancer") | {"status": status}
    cluster = Cluster((), [item], [PODS], NODES)
    assert balancing.publications(cluster, plan(cluster), DEFAULTS, {}) == ([], None)


DELETED = {"deletionTimestamp": "2026-01-02T00:00:00Z"}


def test_deleted_object_loses_its_balancer_then_the_finalizer() -> None:
    item = with_id(INGRESS, ingress(meta=DELETED), "lb-12345678") | OLD
    cluster = Cluster([item], [service()], [PODS], NODES)
    assert plan(cluster) == []
    (patch,) = balancing.releases(cluster)
    assert patch.body == {"metadata": {"resourceVersion": "7", "finalizers": ["other/one"]}}
    assert patch.message == "Load balancer lb-12345678 released."


def test_object_that_leaves_loses_status_then_annotations_and_finalizer() -> None:
    leaving = adopted_fully(ingressClassName="nginx")
    (first,) = balancing.releases(Cluster([leaving | OLD]))
    assert first.body == {"status": {"loadBalancer": {"ingress": None}}}
    (second,) = balancing.releases(Cluster([leaving]))
    assert second.body["metadata"]["finalizers"] == ["other/one"]
    assert second.body["metadata"]["annotations"] == {
        "kubernetes.io/ingress.qcloud-loadbalance-id": None,
        "ingress.cloud.tencent.com/loadbalance-ipv6": None,
    }


def test_service_that_changes_its_type_is_released() -> None:
    cluster = Cluster((), [service(adopted=True, type="NodePort")], [PODS], NODES)
    assert plan(cluster) == []
    (patch,) = balancing.releases(cluster)
    assert patch.kind is SERVICE


@pytest.mark.parametrize(
    "item",
    [
        ingress(),
        ingress(adopted=False),
        ingress(adopted=False, ingressClassName="nginx"),
        # Another controller's object is none of ours, whatever it carries.
        ingress(adopted=False, ingressClassName="nginx", meta={"finalizers": ["x/y"]}) | OLD,
        ingress(adopted=False, meta=DELETED),
    ],
)
def test_nothing_else_is_released(item: Json) -> None:
    assert balancing.releases(Cluster([item])) == []


def test_objects_of_others_are_left_alone() -> None:
    cluster = Cluster(
        [ingress(adopted=False, ingressClassName="nginx")],
        [service(), service("mine", type="LoadBalancer", loadBalancerClass="a.example/b")],
    )
    numbers = balancing.allocate(cluster, {})
    assert numbers == {}
    assert plan(cluster) == []
    assert balancing.adoptions(cluster, numbers) == []
    assert balancing.warnings(cluster, (), numbers) == []


def test_warnings_and_their_events() -> None:
    cluster = Cluster([BROKEN], [service()], [PODS], NODES)
    (notice,) = balancing.warnings(cluster, plan(cluster), {"uid-front": 1})
    assert notice.type == "Warning"
    event = balancing.event_body(notice, "2026-01-01T00:00:00Z")
    assert event["involvedObject"] == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "namespace": "shop",
        "name": "front",
        "uid": "uid-front",
    }
    assert event["message"].startswith('IngressErrorCode{Code:"E4041",Message:"Service shop/mis')
    later = balancing.event_body(notice, "2026-01-02T00:00:00Z")
    assert later["metadata"] == event["metadata"], "said again it is the same event"


def test_rights_have_no_secrets_but_those_that_are_asked_for_by_name() -> None:
    granted = {
        (resource, verb)
        for right in balancing.RIGHTS
        for resource in right["resources"]
        for verb in right["verbs"]
    }
    assert {verb for resource, verb in granted if resource == "secrets"} == {"get"}
    assert not any("*" in pair for pair in granted)


# --------------------------------------------------------------------------------------------
# What is refused before there is a balancer


def certified(*names: str) -> Json:
    return ingress(adopted=False, tls=[{"secretName": name} if name else {} for name in names])


def asks(annotation: str, value: str) -> Json:
    return {"annotations": {annotation: value}}


def existing(identity: str) -> Json:
    return ingress(adopted=False, meta=asks(INGRESS.existing_annotation, identity))


def existed(identity: str, port: int = 80) -> Json:
    meta = asks(SERVICE.existing_annotation, identity)
    ports = [{"port": port, "nodePort": 30080, "name": "http"}]
    return service("l4", type="LoadBalancer", meta=meta, ports=ports)


def in_subnet(kind: Kind, identity: str) -> Json:
    meta = asks(kind.subnet_annotation, identity)
    if kind is INGRESS:
        return ingress(adopted=False, meta=meta)
    return service("l4", type="LoadBalancer", meta=meta)


L4 = service("l4", type="LoadBalancer")
CERT = ("shop", "cert")
HOSTS = {"hosts": ["a.example.com"], "secretName": "cert"}
SHOP = [rule(host="shop.example.com")]
PORTS = balancing.PORTS_ANNOTATION
HTTPS_PORT = asks(PORTS, '[{"HTTPS":443}]')


@pytest.mark.parametrize(
    ("item", "switches", "secrets", "codes"),
    [
        (ingress(adopted=False), {}, {}, []),
        (ingress(adopted=False), {"new_balancers": "quota"}, {}, ["E4003"]),
        (ingress(adopted=False), {"new_balancers": "arrears"}, {}, ["E4027"]),
        (ingress(), {"new_balancers": "quota"}, {}, []),
        (L4, {"new_balancers": "quota"}, {}, ["E4004"]),
        (L4, {"new_balancers": "arrears"}, {}, ["E4009"]),
        (existing("lb-12345678"), {}, {}, ["E4018"]),
        (existing("lb-Public01"), {}, {}, ["E4098"]),
        (existing("lb-filled01"), {}, {}, ["E4021"]),
        (existing("lb-others01"), {}, {}, ["E4020"]),
        (existing("lb-public01"), {}, {}, []),
        # It needs no new one.
        (existing("lb-public01"), {"new_balancers": "quota"}, {}, []),
        (existed("lb-12345678"), {}, {}, ["E4011"]),
        (existed("lb-others01"), {}, {}, ["E4013"]),
        (existed("lb-filled01"), {}, {}, ["E4014"]),
        (existed("lb-filled01", 81), {}, {}, []),
        (existed("lb-inside01"), {}, {}, []),
        (in_subnet(INGRESS, "subnet-inside01"), {}, {}, []),
        (in_subnet(INGRESS, "subnet-full0001"), {}, {}, ["E4053"]),
        (in_subnet(INGRESS, "subnet-absent01"), {}, {}, ["E4055"]),
        (in_subnet(SERVICE, "subnet-inside01"), {}, {}, []),
        (in_subnet(SERVICE, "subnet-full0001"), {}, {}, ["E4008"]),
        (in_subnet(SERVICE, "subnet-absent01"), {}, {}, ["E4037"]),
        (certified(""), {}, {}, ["E4009"]),
        (certified("cert"), {}, {CERT: None}, ["E4010"]),
        (certified("cert"), {}, {CERT: ""}, ["E4011"]),
        (certified("cert"), {}, {CERT: "-----BEGIN CERTIFICATE-----"}, ["E4035"]),
        (certified("cert"), {}, {CERT: "unknown1"}, ["E4036"]),
        (certified("cert"), {}, {CERT: "refused1"}, ["E4012"]),
        (certified("cert"), {}, {CERT: "clients1"}, ["E4038"]),
        (certified("cert"), {}, {CERT: "expired1"}, ["E4039"]),
        (certified("cert"), {}, {CERT: by_hand.SITE}, []),
        # One that couldn't be read says nothing.
        (certified("cert"), {}, {}, []),
        (certified("", "cert"), {}, {CERT: None}, ["E4009", "E4010"]),
        (certified("cert", "cert"), {}, {CERT: by_hand.SITE}, ["E4048"]),
        (ingress(adopted=False, tls=[HOSTS, HOSTS]), {}, {CERT: by_hand.SITE}, ["E4049"]),
        (ingress(rules=SHOP, adopted=False, tls=[HOSTS]), {}, {CERT: by_hand.SITE}, ["E4040"]),
        (ingress(adopted=False, meta=HTTPS_PORT), {}, {}, ["E4040"]),
        (ingress(adopted=False, meta=asks(PORTS, "80")), {}, {}, ["E4024"]),
        (ingress(adopted=False, meta=asks(PORTS, '[{"HTTP":"80"}]')), {}, {}, ["E4024"]),
        (ingress(adopted=False, meta=asks(PORTS, '[{"TCP":80}]')), {}, {}, ["E4024"]),
        (ingress(adopted=False, meta=asks(PORTS, "[]")), {}, {}, ["E4024"]),
        (
            ingress(adopted=False, meta=asks(PORTS, '[{"HTTP":80},{"HTTPS":80}]')),
            {},
            {},
            ["E4024"],
        ),
    ],
)
def test_refusals(item: Json, switches: Json, secrets: Json, codes: list[str]) -> None:
    kind = INGRESS if "rules" in item["spec"] else SERVICE
    ingresses, services = ([], [item]) if kind is SERVICE else ([item], [service()])
    cluster = Cluster(ingresses, services, [PODS], NODES, secrets=secrets)
    values = {**DEFAULTS, **switches}
    numbers = balancing.allocate(cluster, {})
    found = balancing.balancers(cluster, numbers, values)
    said = [notice.message for notice in balancing.warnings(cluster, found, numbers, values)]
    assert [re.findall(r"E\d{4}", message) for message in said] == [[code] for code in codes]
    if kind.finalizer not in item["metadata"].get("finalizers", ()):
        assert bool(balancing.adoptions(cluster, numbers, values)) == (not codes)


def test_what_a_secret_has_instead_of_an_id_is_not_repeated() -> None:
    cluster = Cluster([certified("cert")], [service()], secrets={CERT: "a key that is secret"})
    (notice,) = balancing.warnings(cluster, (), balancing.allocate(cluster, {}))
    assert "E4035" in notice.message
    assert "a key" not in notice.message


def test_existing_balancer_of_another_object() -> None:
    """Oldest object first: it has it, and others are told so; what TKE made nobody can have."""
    first = adopted(existing("lb-public01"))
    made = ingress("made")
    of_tke = balancing.balancer_id("uid-made", 1)
    second, third = (
        ingress(name, adopted=False, meta=asks(INGRESS.existing_annotation, identity))
        for name, identity in (("second", "lb-public01"), ("third", of_tke))
    )
    rivals = [
        service("rival", type="LoadBalancer", meta=asks(SERVICE.existing_annotation, one))
        for one in ("lb-public01",)
    ]
    cluster = Cluster([first, made, second, third], [service(), *rivals], [PODS], NODES)
    numbers = balancing.allocate(cluster, {})
    assert numbers == {"uid-front": 101, "uid-made": 1}
    said = {
        notice.name: re.findall(r"E\d{4}", notice.message)
        for notice in balancing.warnings(cluster, (), numbers)
    }
    assert said == {"second": ["E4020"], "third": ["E4019"], "rival": ["E4013"]}
    adoptions = balancing.adoptions(cluster, numbers)
    assert {patch.name for patch in adoptions} == {"front", "made"}
    (one,) = [one for one in balancing.balancers(cluster, numbers, DEFAULTS) if one.name == "front"]
    assert one.id == "lb-public01"
    assert one.entries == ({"ip": "198.51.100.101"},)


def adopted(item: Json) -> Json:
    item["metadata"]["finalizers"] = [INGRESS.finalizer]
    return item


def test_existing_balancer_stays_when_its_object_goes() -> None:
    kept = {
        address
        for one in by_hand.BALANCERS.values()
        for address in balancing.addresses_of(one.number)
    }
    assert balancing.addresses(()) == kept
    assert {"198.51.100.101", "10.255.0.229"} <= kept


@pytest.mark.parametrize(
    ("meta", "known", "expected"),
    [
        # Read back after a restart, by the annotation alone.
        (asks(INGRESS.id_annotation, "lb-public02"), {}, 102),
        # No way from public to internal, or to one made by hand, but a new object.
        (asks(INGRESS.existing_annotation, "lb-public01"), {"uid-front": 7}, 7),
        (asks(INGRESS.subnet_annotation, "subnet-inside01"), {"uid-front": 7}, 7),
    ],
)
def test_adopted_keeps_its_balancer(meta: Json, known: dict[str, int], expected: int) -> None:
    assert balancing.allocate(Cluster([ingress(meta=meta)]), known) == {"uid-front": expected}


def test_internal_balancer_has_addresses_in_the_vpc() -> None:
    cluster = Cluster([adopted(in_subnet(INGRESS, "subnet-inside01"))], [service()], [PODS], NODES)
    one = only(cluster)
    assert one.addresses == ("10.255.0.129", "2001:db8:255::81")
    assert one.entries == ({"ip": "10.255.0.129"},)
    assert {balancing.device_of(address) for address in one.addresses} == {"vpc"}
    assert balancing.device_of("198.51.100.1") == "lo"
    assert 'server_name 10.255.0.129 "[2001:db8:255::81]"' in conf(cluster)


def secure(meta: Json | None = None, rules: Sequence[Json] = (), **tls: Any) -> Cluster:
    """Build a cluster with an Ingress that has the lab's certificate."""
    item = ingress(rules=rules, meta=meta or {}, tls=[{"secretName": "cert", **tls}])
    return Cluster([item], [service()], [PODS], NODES, secrets={CERT: by_hand.SITE})


def listens(text: str) -> set[str]:
    """Return what layer 7 listens on, but for the balancer that listens whatever objects say."""
    found = set(re.findall(r"listen (\S+?)[ ;]", text))
    return found - set(re.findall(r"listen (\S+?)[ ;]", layer7.initial_nginx_conf(Path("/d"))))


def annotated(*changes: Json) -> Json:
    return {
        "annotations": {key: value for one in changes for key, value in one["annotations"].items()}
    }


CUSTOM = asks(PORTS, '[{"HTTP":8080},{"HTTPS":8443},{"HTTPS":9443}]')
CODE = balancing.REWRITE_CODE_ANNOTATION


@pytest.mark.parametrize(
    ("cluster", "switches", "ports"),
    [
        (of_layer7(), {}, {80}),
        (secure(), {}, {443}),
        (secure(), {"tls": "both"}, {80, 443}),
        (secure(asks(balancing.BOTH_ANNOTATION, "true")), {}, {80, 443}),
        (secure(REWRITTEN), {}, {80, 443}),
        (secure(CUSTOM), {}, {8080, 8443, 9443}),
        (secure(annotated(CUSTOM, REWRITTEN)), {}, {8080, 8443, 9443}),
        (secure(annotated(asks(PORTS, '[{"HTTPS":8443}]'), REWRITTEN)), {}, {80, 8443}),
        (secure(asks(PORTS, '[{"HTTP":81}]')), {}, {81}),
    ],
)
def test_ports_of_layer7(cluster: Cluster, switches: Json, ports: set[int]) -> None:
    text = conf(cluster, **switches)
    assert {int(one.rpartition(":")[2]) for one in listens(text)} == ports
    secure_ports = {int(port) for port in re.findall(r"listen \S+:(\d+) ssl", text)}
    assert secure_ports == ports & {443, 8443, 9443}


@pytest.mark.parametrize(
    ("annotations", "line"),
    [
        (REWRITTEN, "return 302 https://$host$request_uri;"),
        (annotated(REWRITTEN, CUSTOM), "return 302 https://$host:8443$request_uri;"),
        (
            annotated(REWRITTEN, asks(CODE, '{"defaultRewriteCode":307}')),
            "return 307 https://$host$request_uri;",
        ),
        (asks(balancing.REWRITE_ANNOTATIONS[0], "true"), None),
        (annotated(REWRITTEN, asks(balancing.REWRITE_ANNOTATIONS[0], "false")), None),
        # What can't be read makes no redirect.
        (annotated(REWRITTEN, asks(CODE, '{"defaultRewriteCode":303}')), None),
        (annotated(REWRITTEN, asks(CODE, "307")), None),
    ],
)
def test_redirect(annotations: Json, line: str | None) -> None:
    found = [one.strip() for one in conf(secure(annotations)).splitlines() if "return 30" in one]
    assert set(found) == ({line} if line else set())
    assert "proxy_pass" in conf(secure(annotations)), "HTTPS is served all the same"


@pytest.mark.parametrize(
    ("annotations", "known", "expected"),
    [
        (REWRITTEN, False, True),
        ({}, False, False),
        # An annotation that is gone switches nothing off, "false" does.
        ({}, True, True),
        (asks(balancing.REWRITE_ANNOTATIONS[1], "true"), True, True),
        (asks(balancing.REWRITE_ANNOTATIONS[0], "false"), True, False),
        (annotated(REWRITTEN, asks(balancing.REWRITE_ANNOTATIONS[1], "false")), True, False),
    ],
)
def test_rewrites_are_switched_off_by_false(annotations: Json, known: bool, expected: bool) -> None:
    cluster = Cluster([ingress(meta=annotations)])
    assert bool(balancing.rewrites(cluster, {"uid-front"} if known else ())) == expected


def test_each_host_has_its_certificate() -> None:
    rules = [rule(host="shop.example.com"), rule(host="other.example.net"), rule(host="b.example")]
    item = ingress(
        rules=rules,
        tls=[
            {"hosts": ["*.example.com"], "secretName": "cert"},
            {"hosts": ["other.example.net"], "secretName": "another"},
        ],
    )
    secrets = {CERT: by_hand.SITE, ("shop", "another"): by_hand.OTHER}
    cluster = Cluster([item], [service()], [PODS], NODES, secrets=secrets)
    shown = re.findall(r"server_name (\S+);\s+ssl_certificate (\S+);", conf(cluster))
    assert set(shown) == {
        ("shop.example.com", "/d/certificates/site0001.crt"),
        ("other.example.net", "/d/certificates/other001.crt"),
    }


def test_trouble_of_the_account_may_pass() -> None:
    text = str(balancing.Fault("E4003", "Full.", retry=True))
    assert text == 'IngressErrorCode{Code:"E4003",Message:"Full.",Retry:true}'


def test_certificates_are_those_of_ingresses_in_scope() -> None:
    other = ingress("other", tls=[{"secretName": "theirs"}], ingressClassName="nginx")
    cluster = Cluster([certified("one", "", "two"), other])
    assert balancing.certificates(cluster) == {("shop", "one"), ("shop", "two")}


@pytest.mark.parametrize(
    ("config", "acts"),
    [({}, True), ({balancing.ENABLED: "true"}, True), ({balancing.ENABLED: "false"}, False)],
)
def test_a_controller_that_is_off_leaves_ingresses_alone(config: Json, acts: bool) -> None:
    items = [ingress("new", adopted=False), ingress("gone", meta=DELETED), BROKEN]
    services = [service(), service("l4", type="LoadBalancer")]
    cluster = Cluster(items, services, [PODS], NODES, config)
    numbers = balancing.allocate(cluster, {})
    found = balancing.balancers(cluster, numbers, DEFAULTS)
    assert [one.name for one in found] == ["front"], "what it made goes on"
    adopted = {patch.name for patch in balancing.adoptions(cluster, numbers)}
    assert adopted >= {"l4"}
    assert ("new" in adopted) == acts
    assert bool(balancing.releases(cluster)) == acts
    assert bool(balancing.warnings(cluster, found, numbers)) == acts
    values = {**DEFAULTS, "error_address": "publish", "address_delay": 0.0}
    assert bool(balancing.publications(cluster, found, values, {})[0]) == acts


# --------------------------------------------------------------------------------------------
# Switches


def test_switches_are_parsed() -> None:
    pairs = ["x_forwarded_for=replace", "address_delay = 2.5", "source=own"]
    assert balancing.parse_switches(pairs) == {
        "x_forwarded_for": "replace",
        "address_delay": 2.5,
        "source": "own",
    }


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("xff=append", "There is no switch 'xff'; the switches are x_forwarded_for, "),
        (
            "x_forwarded_for=add",
            "Switch x_forwarded_for takes append, replace, keep or pass, not 'add'.",
        ),
        ("x_forwarded_for", "A switch is set as KEY=VALUE, not as 'x_forwarded_for'."),
        ("address_delay=-1", "Switch address_delay takes seconds from 0 to 86400, not '-1'."),
        ("address_delay=nan", "Switch address_delay takes seconds from 0 to 86400, not 'nan'."),
        ("address_delay=", "Switch address_delay takes seconds from 0 to 86400, not ''."),
    ],
)
def test_wrong_switches(pair: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        balancing.parse_switches([pair])


def test_switches_file(tmp_path: Path) -> None:
    path = tmp_path / "switches.json"
    assert balancing.read_switches(path) == DEFAULTS
    assert balancing.write_switches(path, {"source": "own"}) == {**DEFAULTS, "source": "own"}
    balancing.write_switches(path, {"address_delay": 3.0})
    assert balancing.read_switches(path) == {**DEFAULTS, "source": "own", "address_delay": 3.0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "holds no JSON object"),
        (json.dumps({"source": "theirs"}), "Switch source takes transparent or own"),
        (json.dumps({"sauce": "own"}), "There is no switch 'sauce'"),
        (json.dumps({"source": None}), "Switch source takes transparent or own"),
    ],
)
def test_damaged_switches_file(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "switches.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        balancing.read_switches(path)
    assert str(path) in str(caught.value)


def test_every_switch_is_documented_and_takes_its_default() -> None:
    for name, switch in balancing.SWITCHES.items():
        assert switch.doc
        assert switch.allowed
        assert balancing.parse_switches([f"{name}={switch.default}"]) == {name: switch.default}
