# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Ingresses and HTTPRoutes lead to the same pods, and where."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._around import around
from ansible_collections.kestrel.real_ip.plugins.module_utils._entrances import (
    Asked,
    at_front,
    entrances,
    leading_to,
    unasked,
)
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.ingresses import (
    OWN,
    a_rule,
    ingress_at,
)

_ASK = "ansible-playbook kestrel.real_ip.verify -e real_ip_url=http://198.51.100.2/"
_FRONT = {**OWN, "kind": "Ingress"}
_ROOT = Asked([], ["/"])
_NOTHING = Asked([], [])
_ASK_ALL = _ASK.replace("real_ip_url", "'real_ip_url")[:-1]
_AWAY = {"address": "198.51.100.2"}


@pytest.mark.parametrize(
    ("other", "command"),
    [
        (ingress_at("old", a_rule("", ("/", "Prefix", "own")), **_AWAY), _ASK),
        (
            ingress_at("old", a_rule("a.example", ("/x", "Prefix", "own")), **_AWAY),
            f"{_ASK}x -e real_ip_host=a.example",
        ),
        (ingress_at("old", a_rule("", ("/", "Prefix", "beside")), **_AWAY), _ASK),
        (ingress_at("old", spec={"defaultBackend": {"service": {"name": "own"}}}, **_AWAY), _ASK),
        # Nobody can be asked for by such a name, and a wildcard stands for any.
        (ingress_at("old", a_rule("$(id)", ("/", "Prefix", "own")), **_AWAY), _ASK),
        (
            ingress_at("old", a_rule("*.example", ("/a'b", "Prefix", "own")), **_AWAY),
            f"""{_ASK_ALL}/a'"'"'b' -e real_ip_host=real-ip.example""",
        ),
        # At the same address it is no other way in, and to other Services none to these pods.
        (ingress_at("old", a_rule("", ("/", "Prefix", "own"))), None),
        (ingress_at("old", a_rule("", ("/", "Prefix", "own")), address=""), None),
        (ingress_at("old", a_rule("", ("/", "Prefix", "else")), **_AWAY), None),
        (ingress_at("old", a_rule("", ("/", "Prefix", "own")), namespace="next", **_AWAY), None),
        (ingress_at("own", a_rule("", ("/", "Prefix", "own")), **_AWAY), None),
    ],
)
def test_other_ingresses_that_lead_to_the_same_pods(
    other: dict[str, Any], command: str | None
) -> None:
    services = [{"metadata": {"name": name}} for name in ("own", "beside")]
    # Of a list none has its kind.
    every = entrances(_FRONT, services, [OWN, other], [], [])
    found = unasked(_FRONT, every, _ROOT, _NOTHING)["ingresses"]
    assert found == ({} if command is None else {"echo/old": command})


_HERE = "ansible-playbook kestrel.real_ip.verify -e real_ip_url=http://198.51.100.1/"


@pytest.mark.parametrize(
    ("place", "command"),
    [
        (("a.example", "/a"), None),
        (("", "/a"), None),
        (("*.example", "/a"), f"{_HERE}a -e real_ip_host=real-ip.example"),
        (("b.example", "/a"), f"{_HERE}a -e real_ip_host=b.example"),
        (("a.example", "/b"), f"{_HERE}b -e real_ip_host=a.example"),
    ],
)
def test_what_another_ingress_at_the_same_address_has_that_is_not_asked_for_is_told(
    place: tuple[str, str], command: str | None
) -> None:
    other = ingress_at("other", a_rule(place[0], (place[1], "Prefix", "own")))
    every = entrances(_FRONT, [{"metadata": {"name": "own"}}], [OWN, other], [], [])
    asked = Asked(["a.example"], ["/a"])
    found = unasked(_FRONT, every, asked, _NOTHING)
    told = {} if command is None else {"echo/other": command}
    assert found["ingresses"] == told
    # Whether it was asked for is known only when something was found to stand in front.
    if command is None:
        host, path = place
        ask = f"{_HERE}{path[1:]}" + (f" -e real_ip_host={host}" if host else "")
        assert found["alongside"] == {"Ingress echo/other": ask}
    # What is probed is asked for either way.
    found = unasked(_FRONT, every, _ROOT, Asked([place[0], "real-ip.example"], [place[1]]))
    assert found["ingresses"] == found["alongside"] == {}


_BESIDE = ingress_at("beside", a_rule("b.example", ("/b", "Prefix", "own")))


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (_BESIDE, (["a.example", "b.example"], ["/a", "/b"], [])),
        # On another port of one load balancer, which TKE's Ingresses can share
        (
            {
                **_BESIDE,
                "metadata": {
                    **_BESIDE["metadata"],
                    "annotations": {"kubernetes.io/elb.port": "8080"},
                },
            },
            (["a.example", "b.example"], ["/a", "/b"], ["http:8080", "https:8080"]),
        ),
        # To another Service of the same pods, which can be headless
        (
            ingress_at("beside", a_rule("b.example", ("/b", "Prefix", "sibling"))),
            (["a.example", "b.example"], ["/a", "/b"], []),
        ),
        # To other Services, elsewhere, or in another namespace
        (ingress_at("beside", a_rule("b.example", ("/b", "Prefix", "else"))), None),
        (ingress_at("beside", a_rule("b.example", ("/b", "Prefix", "own")), **_AWAY), None),
        (ingress_at("beside", a_rule("b.example", ("/b", "Prefix", "own")), namespace="x"), None),
        # Few in all
        (
            ingress_at(
                "beside", *(a_rule(f"{n}.example", (f"/{n}", "Prefix", "own")) for n in "bcd")
            ),
            ([f"{n}.example" for n in "abcd"], [f"/{n}" for n in "abcd"], []),
        ),
    ],
)
def test_what_another_ingress_at_the_same_address_leads_to_the_same_pods_is_asked_for(
    other: dict[str, Any], found: tuple[list[str], ...] | None
) -> None:
    """What admits the proxy in front alone can be told of one Ingress and not of the other."""
    service = {"metadata": {"name": "own", "namespace": "echo"}}
    front = {**ingress_at("own", a_rule("a.example", ("/a", "Prefix", "own"))), "kind": "Ingress"}
    sibling = {"metadata": {"name": "sibling", "namespace": "echo"}}
    there, _away = at_front(front, entrances(front, [service, sibling], [front, other], [], []))
    bypass = around([], [], service, front, there=there)
    told = (bypass["hosts"], bypass["paths"], bypass["listeners"])
    assert told == (found or (["a.example"], ["/a"], []))


def _route(*backends: dict[str, Any], match: dict[str, Any] | None = None, **spec: Any) -> Any:
    matches = {"matches": [{"path": match}, {"method": "GET"}]} if match else {}
    rules = [{"backendRefs": [{"name": "else"}]}, {"backendRefs": [*backends], **matches}]
    spec = {"parentRefs": [{"name": "gate"}], "rules": rules, **spec}
    return {"metadata": {"name": "new", "namespace": "echo"}, "spec": spec}


def _gateway(
    *listeners: dict[str, Any], namespace: str = "echo", address: str = "198.51.100.2"
) -> Any:
    given = [{"type": "IPAddress", "value": address}] if address else []
    return {
        "metadata": {"name": "gate", "namespace": namespace},
        "spec": {"listeners": [*listeners]},
        "status": {"addresses": given},
    }


_HTTP = {"name": "http", "protocol": "HTTP", "port": 80}
_HTTPS = {"name": "tls", "protocol": "HTTPS", "port": 8443}
_TO_OWN = {"name": "own", "port": 80}
_ASK_TLS = _ASK.replace("http://198.51.100.2", "https://198.51.100.2:8443")
_PREFIX = {"type": "PathPrefix", "value": "/x"}


@pytest.mark.parametrize(
    ("route", "gateway", "command"),
    [
        (_route(_TO_OWN), _gateway(_HTTP), _ASK),
        (_route({"name": "else"}, {"name": "beside"}), _gateway(_HTTP), _ASK),
        (_route(_TO_OWN, match=_PREFIX), _gateway(_HTTP), f"{_ASK}x"),
        # Of a pattern what it begins with is asked.
        (
            _route(_TO_OWN, match={"type": "RegularExpression", "value": "/x[0-9]"}),
            _gateway(_HTTP),
            f"{_ASK}x",
        ),
        (
            _route(_TO_OWN, hostnames=["*.example", "b.example"]),
            _gateway(_HTTP),
            f"{_ASK} -e real_ip_host=real-ip.example",
        ),
        (
            _route(_TO_OWN),
            _gateway({**_HTTP, "protocol": "TCP"}, _HTTPS),
            _ASK_TLS,
        ),
        (
            _route(_TO_OWN, parentRefs=[{"name": "gate", "sectionName": "tls"}]),
            _gateway(_HTTP, _HTTPS),
            _ASK_TLS,
        ),
        (
            _route(_TO_OWN, parentRefs=[{"name": "none"}, {"name": "gate", "namespace": "shared"}]),
            _gateway(_HTTP, namespace="shared"),
            _ASK,
        ),
        (_route(_TO_OWN, parentRefs=[{"name": "gate", "port": 81}]), _gateway(_HTTP), None),
        (_route(_TO_OWN, parentRefs=[{"name": "gate", "kind": "Service"}]), _gateway(_HTTP), None),
        (_route(_TO_OWN), _gateway(_HTTP, namespace="shared"), None),
        (_route(_TO_OWN), _gateway(), None),
        # At the same address it is no other way in, and without one none yet.
        (_route(_TO_OWN), _gateway(_HTTP, address="198.51.100.1"), None),
        (_route(_TO_OWN), _gateway(_HTTP, address=""), None),
        (_route({**_TO_OWN, "namespace": "next"}), _gateway(_HTTP), None),
        (_route({**_TO_OWN, "kind": "ServiceImport"}), _gateway(_HTTP), None),
        (_route({"name": "else"}), _gateway(_HTTP), None),
        (_route(), _gateway(_HTTP), None),
        ({"metadata": {"name": "new", "namespace": "echo"}}, _gateway(_HTTP), None),
    ],
)
def test_routes_that_lead_to_the_same_pods(
    route: dict[str, Any], gateway: dict[str, Any], command: str | None
) -> None:
    services = [{"metadata": {"name": name}} for name in ("own", "beside")]
    every = entrances(OWN, services, [], leading_to(services, [route]), [gateway])
    found = unasked(OWN, every, Asked([], ["/", "/x"]), _NOTHING)["routes"]
    assert found == ({} if command is None else {"echo/new": command})


def test_each_host_and_path_of_a_route_at_the_same_address_is_asked_for_or_told() -> None:
    route = _route(_TO_OWN, hostnames=["a.example", "b.example"])
    matches = [{"path": {"type": "PathPrefix", "value": f"/{one}"}} for one in "pq"]
    route["spec"]["rules"][1]["matches"] = [*matches, {"method": "GET"}]
    gateway = _gateway(_HTTP, {**_HTTP, "name": "alt", "port": 8080}, address="198.51.100.1")
    every = entrances(_FRONT, [{"metadata": {"name": "own"}}], [], [route], [gateway])
    there, _away = at_front(_FRONT, every)
    hosts, paths = ["a.example", "b.example"], ["/p", "/q", "/"]
    assert {(one.host, one.path) for one in there if one.kind != "Ingress"} == {
        (h, p) for h in hosts for p in paths
    }
    told = unasked(_FRONT, every, Asked(hosts, paths), _NOTHING)
    assert (told["routes"], [*told["alongside"]]) == ({}, ["HTTPRoute echo/new"])
    for less in (Asked(hosts[:1], paths), Asked(hosts, paths[:1])):
        assert [*unasked(_FRONT, every, less, _NOTHING)["routes"]] == ["echo/new"]
    bypass = around([], [], {"metadata": {"name": "own"}}, _FRONT, there=there)
    assert bypass["listeners"] == ["http:80", "http:8080"]


@pytest.mark.parametrize(
    ("match", "is_told"),
    [
        ({"headers": [{"name": "X-Direct", "value": "1"}]}, True),
        ({"queryParams": [{"name": "direct", "value": "1"}]}, True),
        ({"method": "POST"}, True),
        ({"method": "GET"}, False),
        # Beside one of the same path that takes all
        ({"headers": [{"name": "X-Direct", "value": "1"}], "path": {"value": "/"}}, True),
    ],
)
def test_a_match_of_more_than_host_and_path_is_told(match: dict[str, Any], is_told: bool) -> None:
    route = _route(_TO_OWN)
    route["spec"]["rules"][1]["matches"] = [match, {}]
    gateways = [_gateway(_HTTP, address="198.51.100.1")]
    every = entrances(_FRONT, [{"metadata": {"name": "own"}}], [], [route], gateways)
    found = unasked(_FRONT, every, _ROOT, _NOTHING)
    assert [*found["routes"]] == (["echo/new"] if is_told else [])


def test_a_condition_of_a_host_alone_gives_hosts() -> None:
    """And what has a dot in others is none."""
    told = [
        {"field": "host-header", "hostHeaderConfig": {"values": ["b.example"]}},
        {"field": "http-header", "httpHeaderConfig": {"values": ["1.0", "c.example"]}},
    ]
    for conditions, hosts, is_told in (
        (told[:1], ["b.example"], False),
        (told, ["b.example"], True),
    ):
        key = "alb.ingress.kubernetes.io/conditions.own"
        annotations = {key: json.dumps(conditions)}
        rule = a_rule("a.example", ("/", "Prefix", "own"))
        other = ingress_at("other", rule, annotations=annotations)
        service = {"metadata": {"name": "own"}}
        every = entrances(_FRONT, [service], [other], [], [])
        bypass = around([], [], service, _FRONT, there=at_front(_FRONT, every)[0])
        assert bypass["hosts"] == ["a.example", *hosts]
        asked = Asked(bypass["hosts"], bypass["paths"])
        assert bool(unasked(_FRONT, every, asked, _NOTHING)["ingresses"]) == is_told


@pytest.mark.parametrize(
    ("hosts", "own", "asked"),
    [
        ([], "a.example", ["a.example"]),
        (["*.example"], "a.example", ["a.example"]),
        (["a.example"], "*.example", ["a.example"]),
        (["a.example", "b.example"], "", ["a.example", "b.example"]),
        ([], "", [""]),
    ],
)
def test_a_listener_of_a_gateway_has_a_host_as_well(
    hosts: list[str], own: str, asked: list[str]
) -> None:
    route = _route(_TO_OWN, hostnames=hosts)
    gateway = _gateway({**_HTTP, "hostname": own}, address="198.51.100.1")
    every = entrances(OWN, [{"metadata": {"name": "own"}}], [], [route], [gateway])
    assert [one.host for one in every if one.kind == "HTTPRoute"] == asked


@pytest.mark.parametrize(
    ("path", "kind", "annotation", "asked", "is_told"),
    [
        ("/v1:direct", "Exact", "", "/v1:direct", False),
        ("/@direct", "Prefix", "", "/@direct", False),
        ("/v1:direct", "ImplementationSpecific", "", "/v1:direct", False),
        ("/direct(/|$)(.*)", "ImplementationSpecific", "", "/direct", False),
        ("/direct.*", "ImplementationSpecific", "", "/direct", False),
        ("/direct/.+", "ImplementationSpecific", "", "/direct/", True),
        ("/direct/[0-9]+", "Prefix", "nginx.ingress.kubernetes.io/use-regex", "/direct/", True),
        ("/(v1|v2)/direct", "ImplementationSpecific", "", "/", True),
        ("/v1(/beta)?$", "ImplementationSpecific", "", "/v1", False),
        # To nginx it is a pattern where another Ingress of the host says so.
        ("/v(1|2)", "Prefix", "", "/v", True),
        ("/~/v1$", "ImplementationSpecific", "", "/v1", False),
        ("/a", "Prefix", "nginx.ingress.kubernetes.io/canary", "/a", True),
        ("/a", "Prefix", "konghq.com/methods", "/a", True),
        ("/a", "Prefix", "haproxy-ingress.github.io/http-header-match", "/a", True),
        ("/a", "Prefix", "haproxy.org/route-acl", "/a", True),
        ("/a", "Prefix", "kubernetes.io/elb.conditions.own", "/a", True),
        ("/a", "Prefix", "alb.ingress.kubernetes.io/conditions.own", "/a", True),
        ("/über", "Prefix", "", "/", True),
        ("^/direct", "ImplementationSpecific", "", "/", True),
    ],
)
def test_a_path_that_can_not_be_asked_for_as_it_stands_is_told(
    path: str, kind: str, annotation: str, asked: str, is_told: bool
) -> None:
    """What is cut off can lead past what the rest leads to."""
    annotations = {annotation: "true"} if annotation else {}
    other = ingress_at("other", a_rule("", (path, kind, "own")), annotations=annotations)
    service = {"metadata": {"name": "own"}}
    every = entrances(_FRONT, [service], [OWN, other], [], [])
    bypass = around([], [], service, _FRONT, there=at_front(_FRONT, every)[0])
    assert asked in bypass["paths"]
    found = unasked(_FRONT, every, Asked(bypass["hosts"], bypass["paths"]), _NOTHING)
    assert [*found["ingresses"]] == (["echo/other"] if is_told else [])


def test_what_else_one_proxy_leads_to_the_same_pods_is_asked_for() -> None:
    """By a Gateway at the same address, as Traefik serves both, and by other rules of the front."""
    service, sibling = (
        {"metadata": {"name": name, "namespace": "echo"}} for name in ("own", "beside")
    )
    rules = a_rule("a.example", ("/", "Prefix", "own"), ("/s", "Prefix", "beside"))
    front = {**ingress_at("own", rules), "kind": "Ingress"}
    route = _route(_TO_OWN, match=_PREFIX, hostnames=["r.example"])
    listener = {**_HTTP, "port": 8080}
    for address, told in (
        ("198.51.100.1", (["a.example", "r.example"], ["/", "/x", "/s"], ["http:8080"])),
        ("198.51.100.2", (["a.example"], ["/", "/s"], [])),
    ):
        gateways = [_gateway(listener, address=address)]
        every = entrances(front, [service, sibling], [front], [route], gateways)
        there, _away = at_front(front, every)
        bypass = around([], [], service, front, there=there)
        assert (bypass["hosts"], bypass["paths"], bypass["listeners"]) == told


@pytest.mark.parametrize(
    ("host", "other", "both"),
    [
        ("", "", ""),
        ("", "a.example", "a.example"),
        ("a.example", "", "a.example"),
        ("*.example", "a.example", "a.example"),
        # One label or more
        ("*.example", "a.b.example", "a.b.example"),
        ("*.example", "*.b.example", "*.b.example"),
        ("a.example", "*.example", "a.example"),
        ("*.example", "a.another", "*.example"),
    ],
)
def test_what_a_listener_and_a_route_have_in_common(host: str, other: str, both: str) -> None:
    route = _route(_TO_OWN, hostnames=[host] if host else [])
    gateway = _gateway({**_HTTP, "hostname": other}, address="198.51.100.1")
    every = entrances(_FRONT, [{"metadata": {"name": "own"}}], [], [route], [gateway])
    assert [one.host for one in every if one.kind == "HTTPRoute"] == [both]


@pytest.mark.parametrize(
    ("rule", "port", "probed", "told"),
    [
        # What is for every host gets none that a rule is for.
        (a_rule("", ("/", "Prefix", "own")), 80, "shop.example", True),
        (a_rule("", ("/", "Prefix", "own")), 80, "", False),
        (a_rule("shop.example", ("/", "Prefix", "own")), 80, "shop.example", False),
        # At another port
        (a_rule("shop.example", ("/", "Prefix", "own")), 8080, "shop.example", True),
    ],
)
def test_what_is_probed_is_a_host_at_a_port(
    rule: dict[str, Any], port: int, probed: str, told: bool
) -> None:
    annotations = {"alb.ingress.kubernetes.io/listen-ports": '[{"HTTPS": 8080}]'}
    other = ingress_at("other", rule, annotations=annotations if port == 8080 else {})
    every = entrances(_FRONT, [{"metadata": {"name": "own"}}], [OWN, other], [], [])
    asked = Asked([probed], ["/"], [80], any_host=not probed)
    found = unasked(_FRONT, every, Asked(["shop.example"], ["/"]), asked)
    assert [*found["alongside"]] == (["Ingress echo/other"] if told else [])


def test_the_default_backend_is_asked_for_by_the_hosts_of_rules_too() -> None:
    """To ingress-nginx it is for what those have no other one for."""
    rules = a_rule("b.example", ("/static", "Prefix", "else"))
    default = {"defaultBackend": {"service": {"name": "own"}}}
    other = ingress_at("other", rules, spec=default)
    every = entrances(_FRONT, [{"metadata": {"name": "own"}}], [other], [], [])
    assert [(one.host, one.path) for one in every if one.name == "echo/other"] == [
        ("", "/"),
        ("b.example", "/"),
    ]


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        # A certificate is for the name.
        ("a.example", "real_ip_url=https://a.example/"),
        ("*.example", "real_ip_url=https://198.51.100.2/ -e real_ip_host=real-ip.example"),
        ("", "real_ip_url=https://198.51.100.2/"),
    ],
)
def test_a_command_with_tls_names_the_host(host: str, asked: str) -> None:
    rule = a_rule(host, ("/", "Prefix", "own"))
    other = ingress_at("old", rule, spec={"tls": [{"secretName": "tls"}]}, **_AWAY)
    every = entrances(_FRONT, [{"metadata": {"name": "own"}}], [other], [], [])
    found = unasked(_FRONT, every, _ROOT, _NOTHING)["ingresses"]
    assert found == {"echo/old": f"ansible-playbook kestrel.real_ip.verify -e {asked}"}
