# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._around import around
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import (
    asked_for,
    backends,
    every_backend,
    read_as,
    rivals,
)
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.ingresses import (
    ALIAS,
    OWN,
    a_rule,
    ingress_at,
)

ROOT = a_rule("", ("/", "Prefix", "root"))


@pytest.mark.parametrize(
    ("rules", "host", "path", "expected"),
    [
        ([], "", "/", ["default"]),
        ([{"host": "a.example"}], "a.example", "/", ["default"]),
        ([ROOT], "", "/", ["root"]),
        ([ROOT], "a.example", "/x", ["root"]),
        ([a_rule("b.example", ("/", "Prefix", "b"))], "a.example", "/", ["default"]),
        ([ROOT, a_rule("a.example", ("/", "Prefix", "a"))], "a.example", "/", ["a"]),
        ([ROOT, a_rule("*.example", ("/", "Prefix", "any"))], "a.example", "/", ["any"]),
        ([a_rule("", ("/", "Prefix", "root"), ("/x", "Prefix", "x"))], "", "/x/y", ["x"]),
        ([a_rule("", ("/", "Prefix", "root"), ("/x", "Prefix", "x"))], "", "/xy", ["root"]),
        ([a_rule("", ("/x", "Exact", "x"))], "", "/x/y", ["default"]),
        # What the controller may take for its own
        ([ROOT, a_rule("", ("/x", "ImplementationSpecific", "x"))], "", "/xy", ["x"]),
        ([ROOT, a_rule("", ("/x/", "ImplementationSpecific", "x"))], "", "/x", ["root"]),
        ([ROOT, a_rule("", ("/v1.2", "ImplementationSpecific", "x"))], "", "/v1", ["root"]),
        ([ROOT, a_rule("", ("/*", "ImplementationSpecific", "all"))], "", "/x", ["all"]),
        ([ROOT, a_rule("", ("/.*", "ImplementationSpecific", "all"))], "", "/x", ["all"]),
        ([ROOT, a_rule("", ("/x(/|$)(.*)", "", "x"))], "", "/x?a=1", ["x"]),
        ([ROOT, a_rule("", ("/x/*", "", "x"))], "", "/x", ["x"]),
        ([ROOT, a_rule("", ("/x/*", "", "x"))], "", "/y", ["root"]),
        # To nginx, a pattern is for letters of both cases, and a wildcard for more than one label.
        ([ROOT, a_rule("", ("/X/(.*)", "ImplementationSpecific", "x"))], "", "/x/", ["x"]),
        ([ROOT, a_rule("", ("/X", "Prefix", "x"))], "", "/x", ["root"]),
        ([ROOT, a_rule("*.example", ("/", "Prefix", "any"))], "a.b.example", "/", ["any"]),
        ([ROOT, a_rule("*.example", ("/", "Prefix", "any"))], "example", "/", ["root"]),
        ([ROOT, a_rule("", ("/", "Prefix", "other"))], "", "/?a=1", ["other", "root"]),
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


BY_ALIAS = a_rule("b.example", ("/", "Prefix", "b"))


@pytest.mark.parametrize(
    ("other", "found"),
    [
        # A canary, and the same rule of another namespace's
        (ingress_at("canary", a_rule("a.example", ("/", "Prefix", "new"))), ["echo/canary"]),
        (
            ingress_at("own", a_rule("a.example", ("/", "Prefix", "own")), namespace="next"),
            ["next/own"],
        ),
        (ingress_at("nearer", a_rule("a.example", ("/x", "Prefix", "x"))), ["echo/nearer"]),
        (ingress_at("any", a_rule("*.example", ("/", "Prefix", "any"))), []),
        # What the controller may take for its own
        *(
            (ingress_at("other", a_rule("a.example", (path, "ImplementationSpecific", "x"))), found)
            for path, found in (("/*", ["echo/other"]), ("/(.*)", ["echo/other"]), ("/y/*", []))
        ),
        (
            ingress_at("pattern", a_rule("a.example", ("/X.*", "ImplementationSpecific", "x"))),
            ["echo/pattern"],
        ),
        *(
            (ingress_at("by alias", BY_ALIAS, annotations={ALIAS: names}), found)
            for names, found in (
                ("c.example", []),
                ("c.example, a.example", ["echo/by alias"]),
                ("*.example", []),
                ("~^[ab][.]example$", []),
                ("", []),
            )
        ),
        (ingress_at("of another path", a_rule("a.example", ("/y", "Prefix", "y"))), []),
        (ingress_at("of another host", a_rule("b.example", ("/", "Prefix", "b"))), []),
        (ingress_at("with the same Service", a_rule("a.example", ("/x", "Prefix", "own"))), []),
        (
            ingress_at(
                "elsewhere", a_rule("a.example", ("/", "Prefix", "x")), address="198.51.100.2"
            ),
            [],
        ),
        (ingress_at("without a rule"), []),
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
        ("appgw.ingress.kubernetes.io/hostname-extension", "c.example, a.example"),
        ("appgw.ingress.kubernetes.io/hostname-extension", "a.ex*.com, a.exam*"),
        ("alb.ingress.kubernetes.io/conditions.b", CONDITIONS % "a.example"),
        ("alb.ingress.kubernetes.io/conditions.b", CONDITIONS % "?.example"),
    ],
)
def test_an_alias_can_be_a_pattern(name: str, alias: str) -> None:
    """What is for every host comes after it."""
    other = ingress_at("by alias", BY_ALIAS, annotations={name: alias})
    front = ingress_at("own", a_rule("", ("/", "Prefix", "own")))
    assert rivals(front, [front, other], "a.example", "/x") == ["echo/by alias"]


def _class(name: str) -> dict[str, Any]:
    return {"spec": {"ingressClassName": name}}


TEXT = "ImplementationSpecific"
LONG = {"path": "/along/the"}
TRAEFIK = _class("traefik")
PRIORITY = "traefik.ingress.kubernetes.io/router.priority"
REGEX = "nginx.ingress.kubernetes.io/use-regex"


@pytest.mark.parametrize(
    ("own", "other", "taken"),
    [
        # To Traefik the longest rule is the nearest, and that of a wildcard is long.
        (TRAEFIK, ingress_at("x", a_rule("*.example", ("/", "Prefix", "x")), **TRAEFIK), True),
        (TRAEFIK, ingress_at("x", a_rule("", ("/", "Prefix", "x")), **TRAEFIK), False),
        (
            {**TRAEFIK, **LONG},
            ingress_at("x", a_rule("", ("/along/the/way", "Prefix", "x")), **TRAEFIK),
            False,
        ),
        # Told to end paths at a slash it writes them twice, and its version 2 a wildcard at length.
        (TRAEFIK, ingress_at("x", a_rule("", ("/along/the/way", "Prefix", "x")), **TRAEFIK), True),
        (
            {**TRAEFIK, "path": "/along/the/way/to/all/of"},
            ingress_at("x", a_rule("*.example", ("/", TEXT, "x")), **TRAEFIK),
            True,
        ),
        # Not told so, it takes a path for the beginning of a text, as F5's nginx does, whose class
        # has the same name as that of another one.
        *(
            (
                _class(name),
                ingress_at("x", a_rule("a.example", ("/al", "Prefix", "x")), **_class(name)),
                taken,
            )
            for name, taken in (
                *(("traefik", True), ("nginx", True), ("qcloud", True), ("public", True)),
                *(("kong", False), ("alb", False)),
            )
        ),
        (
            TRAEFIK,
            ingress_at("x", a_rule("", ("/along/the/way/to/all/of/it", "Prefix", "x")), **TRAEFIK),
            True,
        ),
        (
            TRAEFIK,
            ingress_at("x", a_rule("", ("/along/the/way/to/all/of/it", "Exact", "x")), **TRAEFIK),
            False,
        ),
        (TRAEFIK, ingress_at("x", spec={"defaultBackend": {"service": {"name": "x"}}}), False),
        # The name of its class need not tell which controller it is.
        *(
            (
                _class(name),
                ingress_at("x", a_rule("*.example", ("/", "Prefix", "x")), **_class(name)),
                taken,
            )
            for name, taken in (("public", True), ("nginx-public", False), ("qcloud", False))
        ),
        # Its user says which is the first one.
        ({}, ingress_at("x", a_rule("", ("/", "Prefix", "x")), annotations={PRIORITY: "9"}), True),
        (
            {},
            ingress_at("x", a_rule("b.example", ("/", "Prefix", "x")), annotations={PRIORITY: "9"}),
            False,
        ),
        (
            {"annotations": {"alb.ingress.kubernetes.io/group.order": "9"}},
            ingress_at("x", a_rule("", ("/", "Prefix", "x"))),
            True,
        ),
        # With one annotation at any of them, all paths of a host are patterns to nginx.
        (
            {},
            ingress_at("x", a_rule("a.example", ("/a", "Exact", "x")), annotations={REGEX: "true"}),
            True,
        ),
        (
            {},
            ingress_at("x", a_rule("a.example", ("/v", "Exact", "x")), annotations={REGEX: "true"}),
            False,
        ),
        (
            {"annotations": {"nginx.ingress.kubernetes.io/rewrite-target": "/"}},
            ingress_at("x", a_rule("a.example", ("/alo?ng.*", "Prefix", "x"))),
            True,
        ),
        # What is a pattern to Kong goes before all that is none.
        (
            LONG,
            ingress_at("x", a_rule("a.example", ("/~/al.*", "ImplementationSpecific", "x"))),
            True,
        ),
        (
            LONG,
            ingress_at("x", a_rule("a.example", ("/~/v.*", "ImplementationSpecific", "x"))),
            False,
        ),
        (LONG, ingress_at("x", a_rule("", ("/~/al.*", "ImplementationSpecific", "x"))), False),
        (
            LONG,
            ingress_at(
                "x",
                a_rule("a.example", ("/@/al.*", "ImplementationSpecific", "x")),
                annotations={"konghq.com/regex-prefix": "/@"},
            ),
            True,
        ),
        # Likewise where the nginx of F5 is told so.
        (
            LONG,
            ingress_at(
                "x",
                a_rule("a.example", ("/al.*", "Prefix", "x")),
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
    front = ingress_at("own", a_rule("a.example", (path, "Prefix", "own")), **more)
    assert (
        rivals(front, [front, other], "a.example", "/along/the/way/to/all/of/it")
        == ["echo/x"] * taken
    )


@pytest.mark.parametrize(
    ("name", "path", "led_to"),
    [
        ("nginx", "/xy", ["root", "x"]),
        ("nginx", "/x", ["x"]),
        ("kong", "/xy", ["root"]),
        ("traefik", "/xy", ["root", "x"]),
        ("public", "/", ["any", "root"]),
        # One of them finds no rule, where another one does.
        ("nginx", "/yz", ["", "y"]),
        ("nginx", "/z", []),
    ],
)
def test_another_rule_of_the_same_ingress_may_take_what_its_controller_alone_knows(
    name: str, path: str, led_to: list[str]
) -> None:
    rules = {
        "/y": [a_rule("", ("/y", "Prefix", "y"))],
        "/x": [a_rule("", ("/", "Prefix", "root"), ("/x", "Prefix", "x"))],
        "/": [
            a_rule("a.example", ("/", "Prefix", "root")),
            a_rule("*.example", ("/", TEXT, "any")),
        ],
        "/z": [a_rule("b.example", ("/", "Prefix", "b"))],
    }
    front = ingress_at("own", *rules[path[:2]], **_class(name))
    assert every_backend(front, "a.example", path) == led_to


ALB, OF_ALB = _class("alb"), "alb.ingress.kubernetes.io/"


@pytest.mark.parametrize(
    ("own", "other"),
    [
        # Of a group of AWS's or Alibaba's the first by name goes first, whatever its path.
        (ALB, ALB),
        ({"annotations": {f"{OF_ALB}group.name": "shared"}}, {}),
        ({}, {"annotations": {f"{OF_ALB}order": "1"}}),
        # Huawei's users say which goes first.
        ({}, {"annotations": {"kubernetes.io/elb.ingress-order": "1"}}),
        # So do Azure's, also where one rule has a wildcard and the other one the very host.
        ({}, {"annotations": {"appgw.ingress.kubernetes.io/rule-priority": "1"}}),
        ({}, {"annotations": {"haproxy-ingress.github.io/path-type-order": "regex,prefix"}}),
        # It may be for other requests: of another method, with another header, over TLS.
        ({"annotations": {"konghq.com/methods": "POST"}}, {}),
        ({"annotations": {"konghq.com/headers.x-canary": "yes"}}, {}),
        ({"annotations": {"konghq.com/protocols": "https"}}, {}),
        ({"annotations": {"kubernetes.io/elb.conditions.own": "[]"}}, {}),
        (
            {**TRAEFIK, "annotations": {"traefik.ingress.kubernetes.io/router.tls": "true"}},
            TRAEFIK,
        ),
        (
            {**TRAEFIK, "annotations": {"traefik.ingress.kubernetes.io/router.entrypoints": "w"}},
            TRAEFIK,
        ),
        # To Kong, who asks for more goes before who has the longer path.
        ({}, {"annotations": {"konghq.com/methods": "GET"}}),
    ],
)
def test_how_near_a_rule_is_does_not_tell_who_takes_requests(
    own: dict[str, Any], other: dict[str, Any]
) -> None:
    front = ingress_at("own", a_rule("a.example", ("/along", "Prefix", "own")), **own)
    for place, found in (("/", ["echo/x"]), ("/elsewhere", [])):
        rival = ingress_at("x", a_rule("", (place, "Prefix", "x")), **other)
        assert rivals(front, [front, rival], "a.example", "/along/the") == found


ALL = ("/*", TEXT, "x")


@pytest.mark.parametrize(
    ("more", "rules", "host", "path", "expected"),
    [
        # The list is gone through: of rules as they stand, of paths that may be anything likewise.
        (ALB, [a_rule("", ALL), a_rule("a.example", ("/", "Prefix", "own"))], "", "/", ["x"]),
        (ALB, [a_rule("", ALL, ("/own", TEXT, "own"))], "", "/own", ["x"]),
        (ALB, [a_rule("", ("/own", TEXT, "own"), ALL)], "", "/own", ["own"]),
        (ALB, [a_rule("", ("/", "Prefix", "x"), ("/own", TEXT, "own"))], "", "/own", ["x"]),
        (ALB, [a_rule("", ("/own", "Prefix", "own"), ("/", "Prefix", "x"))], "", "/own", ["own"]),
        (
            ALB,
            [a_rule("", ("/", "Prefix", "x"), ("/own", "Prefix", "own"))],
            *("", "/own", ["own", "x"]),
        ),
        # Such a path is the whole one to many.
        (ALB, [a_rule("", ("/own", TEXT, "own"), ALL)], "", "/own/it", ["own", "x"]),
        (_class("gce"), [a_rule("", ("/own", TEXT, "own"), ALL)], "", "/own/it", ["own", "x"]),
        (_class("gce"), [a_rule("", ("/own", TEXT, "own"), ALL)], "", "/own?a=1", ["own"]),
        (_class("gce"), [a_rule("", ("/own", TEXT, "own"))], "", "/own/it", ["default", "own"]),
        (_class("nginx"), [a_rule("", ("/own", TEXT, "own"), ALL)], "", "/own/it", ["own"]),
        (
            {
                **TRAEFIK,
                "annotations": {"traefik.ingress.kubernetes.io/router.pathmatcher": "Path"},
            },
            [a_rule("", ("/own", TEXT, "own"), ("/", "Prefix", "x"))],
            *("", "/own/it", ["own", "x"]),
        ),
        # And a wildcard is for one label.
        (
            _class("gce"),
            [ROOT, a_rule("*.example", ("/", "Prefix", "own"))],
            *("a.b.example", "/", ["own", "root"]),
        ),
        (
            _class("nginx"),
            [ROOT, a_rule("*.example", ("/", "Prefix", "own"))],
            *("a.b.example", "/", ["own"]),
        ),
    ],
)
def test_to_which_service_a_rule_leads_is_not_the_same_to_all(
    more: dict[str, Any], rules: list[dict[str, Any]], host: str, path: str, expected: list[str]
) -> None:
    spec = {**more.get("spec", {}), "defaultBackend": {"service": {"name": "default"}}}
    own = ingress_at("own", *rules, **{**more, "spec": spec})
    assert backends(own, host or "a.example", path) == expected


def test_another_ingress_takes_what_a_rule_may_not_be_for() -> None:
    rule = a_rule("a.example", ("/own", TEXT, "own"))
    other = a_rule("", ("/", "Prefix", "x"))
    for name, found in (("gce", ["echo/x"]), ("nginx", [])):
        front = ingress_at("own", rule, **_class(name))
        rival = ingress_at("x", other, **_class(name))
        assert rivals(front, [front, rival], "a.example", "/own/it") == found
        assert rivals(front, [front, rival], "a.example", "/own") == []


def test_who_passes_tls_on_looks_at_no_path() -> None:
    front = ingress_at("own", a_rule("a.example", ("/along", "Prefix", "own")))
    annotation = "nginx.ingress.kubernetes.io/ssl-passthrough"
    for text, host, found in (
        ("true", "a.example", ["echo/x"]),
        ("false", "a.example", []),
        ("true", "b.example", []),
    ):
        other = ingress_at("x", a_rule(host, ("/", "Prefix", "x")), annotations={annotation: text})
        assert rivals(front, [front, other], "a.example", "/along") == found


def test_where_an_annotation_says_to_whom_requests_go() -> None:
    rule = a_rule("a.example", ("/", "Prefix", "own"))
    [entry] = rule["http"]["paths"]
    assert backends(ingress_at("one", rule), "a.example", "/") == ["own"]
    entry["backend"]["service"]["port"] = {"name": "use-annotation"}
    assert backends(ingress_at("one", rule), "a.example", "/") == [""]


@pytest.mark.parametrize(
    ("space", "leads_to", "found"),
    [("echo", "own", []), ("", "own", []), ("next", "next/own", ["echo/other"])],
)
def test_an_annotation_can_lead_to_services_of_another_namespace(
    space: str, leads_to: str, found: list[str]
) -> None:
    told = {"annotations": {"k8s.apisix.apache.org/svc-namespace": space}}
    other = ingress_at("other", a_rule("a.example", ("/x", "Prefix", "own")), **told)
    assert backends(other, "a.example", "/x") == [leads_to]
    assert rivals(OWN, [OWN, other], "a.example", "/x") == found


def test_a_pattern_of_kongs_is_the_nearest_rule_of_an_ingress() -> None:
    rules = [a_rule("a.example", ("/x/y", "Prefix", "a"), ("/~/x.*", "Prefix", "pattern"))]
    assert backends(ingress_at("one", *rules), "a.example", "/x/y") == ["pattern"]
    assert backends(ingress_at("one", *rules), "a.example", "/y") == []
    service = {"metadata": {"name": "own"}}
    found = around([], service, ingress_at("one", a_rule("", ("/~/x.*", "Prefix", "own"))))
    assert found["paths"] == ["/x."]


def test_the_nearest_rule_of_an_ingress_is_the_longest_to_traefik() -> None:
    rules = [a_rule("a.example", ("/", "Prefix", "a")), a_rule("*.example", ("/", "Prefix", "any"))]
    assert backends(ingress_at("one", *rules), "a.example", "/") == ["a"]
    assert backends(ingress_at("one", *rules, **TRAEFIK), "a.example", "/") == ["any"]


@pytest.mark.parametrize(
    ("own_class", "other_class", "found"),
    [
        ("nginx", "nginx", ["echo/new"]),
        ("", "", ["echo/new"]),
        ("nginx", "another", []),
        ("nginx", "", ["echo/new"]),
        ("", "nginx", ["echo/new"]),
        # Of these each has a load balancer of its own.
        ("qcloud", "qcloud", []),
    ],
)
def test_an_ingress_may_take_requests_before_it_has_an_address(
    own_class: str, other_class: str, found: list[str]
) -> None:
    rule = ("a.example", ("/", "Prefix", "x"))
    own = ingress_at(
        "own", a_rule("", ("/", "Prefix", "own")), spec={"ingressClassName": own_class}
    )
    other = ingress_at("new", a_rule(*rule), address="", spec={"ingressClassName": other_class})
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
    front = ingress_at("own", a_rule("", ("/", "Prefix", "own")), **own)
    new = ingress_at("new", a_rule("a.example", ("/", "Prefix", "x")), address="", **other)
    assert rivals(front, [front, new], "a.example", "/") == found


@pytest.mark.parametrize(
    ("other", "found"),
    [
        # All requests of a host for which there is a rule, and no path of it is theirs
        ({"host": "a.example"}, ["echo/other"]),
        (a_rule("a.example", ("/y", "Prefix", "y")), ["echo/other"]),
        ({"host": "*.example"}, []),
        ({"host": "b.example"}, []),
    ],
)
def test_the_default_backend_of_a_nearer_host_may_take_requests(
    other: dict[str, Any], found: list[str]
) -> None:
    own = ingress_at("own", a_rule("*.example", ("/", "Prefix", "own")))
    default = {"defaultBackend": {"service": {"name": "x"}}}
    rival = ingress_at("other", other, spec=default)
    assert rivals(own, [own, rival], "a.example", "/") == found
    assert rivals(own, [own, ingress_at("other", other)], "a.example", "/") == []


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
    other = ingress_at("own", a_rule("b.example", ("/", "Prefix", "own")), namespace="next")
    everybodys = ingress_at("own", a_rule("", ("/", "Prefix", "own")))
    for front in (OWN, everybodys):
        assert rivals(front, [front, other], *asked_for("", "/", "http://b.example/")) == [
            "next/own"
        ]
    assert rivals(everybodys, [everybodys, other], *asked_for("", "/", "http://a.example/")) == []


def test_backends_of_an_ingress_that_leads_nowhere() -> None:
    assert backends({}, "", "/") == []
