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
    is_conditional,
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
        ([a_rule("", ("/x/", "Exact", "x"))], "", "/x", ["default"]),
        ([a_rule("", ("/x/", "Prefix", "x"))], "", "/x", ["x"]),
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
        # However near it is
        (ingress_at("any", a_rule("*.example", ("/", "Prefix", "any"))), ["echo/any"]),
        (ingress_at("any", a_rule("", ("/", "Prefix", "any"))), ["echo/any"]),
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
                ("*.example", ["echo/by alias"]),
                ("~^[ab][.]example$", ["echo/by alias"]),
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
    other = ingress_at("by alias", BY_ALIAS, annotations={name: alias})
    front = ingress_at("own", a_rule("", ("/", "Prefix", "own")))
    assert rivals(front, [front, other], "a.example", "/x") == ["echo/by alias"]


def test_conditions_that_are_nested_too_deeply_may_be_about_anything() -> None:
    told = {"alb.ingress.kubernetes.io/conditions.b": "[" * 100000}
    assert is_conditional(ingress_at("own", annotations=told))


def _class(name: str) -> dict[str, Any]:
    return {"spec": {"ingressClassName": name}}


TEXT = "ImplementationSpecific"
ALL = ("/*", TEXT, "x")
REGEX = "nginx.ingress.kubernetes.io/use-regex"


def _annotated(key: str, value: str, *paths: tuple[str, str, str]) -> dict[str, Any]:
    return ingress_at("x", a_rule("a.example", *paths), annotations={key: value})


@pytest.mark.parametrize(
    ("other", "taken"),
    [
        *(
            (ingress_at("x", a_rule(host, (path, kind, "x"))), taken)
            for host, path, kind, taken in (
                # To Traefik the longest rule is the nearest, and AWS's goes through a list.
                ("*.example", "/", "Prefix", True),
                ("", "/", "Prefix", True),
                ("", "/along", "Exact", True),
                # Not everywhere does a path end at a slash.
                ("a.example", "/al", "Prefix", True),
                ("a.example", "/al", TEXT, True),
                ("a.example", "/AL", TEXT, True),
                ("a.example", "/along/the/way/", "Prefix", True),
                # With one annotation at any Ingress of the host, each path is a pattern to nginx.
                ("a.example", "/alo?ng.*", "Prefix", True),
                # So it is to Kong with a mark, which it can be told to be another one.
                ("a.example", "/~/al.*", TEXT, True),
                ("a.example", "/~/v.*", TEXT, False),
                ("a.example", "/@/al.*", TEXT, False),
                ("a.example", "/v.*", TEXT, False),
                ("a.example", "/elsewhere", "Prefix", False),
                ("a.example", "/along/the/way/on", "Prefix", False),
                ("b.example", "/", "Prefix", False),
                ("*.a.example", "/", "Prefix", False),
            )
        ),
        (_annotated("konghq.com/regex-prefix", "/@", ("/@/al.*", TEXT, "x")), True),
        # A condition can add paths to those of a rule.
        (_annotated("alb.ingress.kubernetes.io/conditions.x", "[]", ("/v", "Exact", "x")), True),
        # Who passes TLS on looks at no path.
        (
            _annotated("nginx.ingress.kubernetes.io/ssl-passthrough", "1", ("/v", TEXT, "x")),
            True,
        ),
        (
            _annotated("nginx.ingress.kubernetes.io/ssl-passthrough", "false", ("/v", TEXT, "x")),
            False,
        ),
    ],
)
def test_how_near_a_rule_is_does_not_tell_who_takes_requests(
    other: dict[str, Any], taken: bool
) -> None:
    """Each controller has habits of its own, and its class' name need not tell which one it is."""
    front = ingress_at("own", a_rule("a.example", ("/along", "Prefix", "own")))
    assert rivals(front, [front, other], "a.example", "/along/the/way") == ["echo/x"] * taken


@pytest.mark.parametrize(
    ("rules", "path", "led_to"),
    [
        ([a_rule("", ("/", "Prefix", "own"))], "/x", ["own"]),
        ([a_rule("", ("/x", "Exact", "own"))], "/x?a=1", ["own"]),
        ([a_rule("", ("/", "Prefix", "root"), ("/x", "Prefix", "x"))], "/xy", ["root", "x"]),
        ([a_rule("", ("/", "Prefix", "root"), ("/x", "Prefix", "x"))], "/", ["root"]),
        ([a_rule("", ("/own", TEXT, "own"), ALL)], "/own", ["own", "x"]),
        (
            [a_rule("a.example", ("/", "Prefix", "a")), a_rule("*.example", ("/", TEXT, "any"))],
            "/",
            ["a", "any"],
        ),
        ([a_rule("a.example", ("/x/y", "Prefix", "a"), ("/~/x.*", TEXT, "x"))], "/x/y", ["a", "x"]),
        # Some find no rule, where others do.
        ([a_rule("", ("/y", "Prefix", "y"))], "/yz", ["", "y"]),
        ([a_rule("", ("/own", TEXT, "own"))], "/own/it", ["", "own"]),
        ([a_rule("", ("/own", TEXT, "own"))], "/own?a=1", ["own"]),
        ([a_rule("**.example", ("/", "Prefix", "own"))], "/", ["", "own"]),
        ([a_rule("", ("/x/", "Prefix", "own"))], "/x", ["", "own"]),
        # Who goes by the host first finds none for the very host.
        ([ROOT, a_rule("a.example", ("/y", "Prefix", "y"))], "/", ["", "root"]),
        ([ROOT, {"host": "a.example"}], "/", ["", "root"]),
        ([ROOT, a_rule("b.example", ("/y", "Prefix", "y"))], "/", ["root"]),
        ([a_rule("b.example", ("/", "Prefix", "b"))], "/", []),
    ],
)
def test_to_which_service_a_rule_leads_is_not_the_same_to_all(
    rules: list[dict[str, Any]], path: str, led_to: list[str]
) -> None:
    assert every_backend(ingress_at("own", *rules), "a.example", path) == led_to
    default = {"defaultBackend": {"service": {"name": "default"}}}
    more = every_backend(ingress_at("own", *rules, spec=default), "a.example", path)
    # Who gets what no rule is for gets it where some find none.
    assert more == (led_to if led_to and "" not in led_to else sorted({"default", *led_to} - {""}))


def test_a_path_is_a_pattern_where_an_annotation_says_so() -> None:
    rule = a_rule("", ("/alo?ng.*", "Prefix", "own"))
    for told, led_to in (({REGEX: "true"}, ["own"]), ({}, [])):
        assert backends(ingress_at("own", rule, annotations=told), "", "/along") == led_to


def test_a_path_that_is_a_pattern_is_still_for_what_its_type_says() -> None:
    own = ingress_at("own", a_rule("", ("/x/", "Prefix", "own")), annotations={REGEX: "true"})
    assert backends(own, "", "/x") == ["own"]


def test_who_passes_tls_on_is_asked_for_its_host_alone() -> None:
    told = {"annotations": {"nginx.ingress.kubernetes.io/ssl-passthrough": "true"}}
    other = ingress_at("x", a_rule("b.example", ("/", "Prefix", "x")), **told)
    assert rivals(OWN, [OWN, other], "a.example", "/x") == []


def test_a_wildcard_is_not_for_several_labels_to_all() -> None:
    own = ingress_at("own", a_rule("*.example", ("/", "Prefix", "own")))
    assert every_backend(own, "a.example", "/") == ["own"]
    assert every_backend(own, "a.b.example", "/") == ["", "own"]


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


def test_what_is_behind_the_mark_of_a_pattern_is_asked_for() -> None:
    rules = [a_rule("a.example", ("/x/y", "Prefix", "a"), ("/~/x.*", "Prefix", "pattern"))]
    assert backends(ingress_at("one", *rules), "a.example", "/x/y") == ["pattern"]
    assert backends(ingress_at("one", *rules), "a.example", "/x/z") == ["pattern"]
    assert backends(ingress_at("one", *rules), "a.example", "/y") == []
    service = {"metadata": {"name": "own"}}
    found = around([], [], service, ingress_at("one", a_rule("", ("/~/x.*", "Prefix", "own"))))
    assert found["paths"] == ["/x"]


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


@pytest.mark.parametrize(
    ("address", "found"),
    [("2001:db8::1", ["echo/other"]), ("2001:DB8:0::1", ["echo/other"]), ("2001:db8::2", [])],
)
def test_one_address_can_be_spelled_in_several_ways(address: str, found: list[str]) -> None:
    own, other = (
        ingress_at(name, a_rule("a.example", ("/", "Prefix", name)), address=one)
        for name, one in (("own", "2001:db8::1"), ("other", address))
    )
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
    "rule",
    [{"host": "a.example"}, a_rule("a.example", ("/y", "Prefix", "y")), {"host": "b.example"}],
)
def test_a_default_backend_may_take_requests(rule: dict[str, Any]) -> None:
    """As those of a host for which there is a rule, and no path of it is theirs."""
    own = ingress_at("own", a_rule("*.example", ("/", "Prefix", "own")))
    for name, found in (("x", ["echo/other"]), ("own", [])):
        rival = ingress_at("other", rule, spec={"defaultBackend": {"service": {"name": name}}})
        assert rivals(own, [own, rival], "a.example", "/") == found
    assert rivals(own, [own, ingress_at("other", rule)], "a.example", "/") == []


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


@pytest.mark.parametrize(
    ("annotations", "is_told"),
    [
        ({"nginx.ingress.kubernetes.io/canary": "false"}, False),
        ({"kubernetes.io/elb.canary": "False"}, False),
        # What another one takes can be the word.
        ({"konghq.com/headers.x-beta": "false"}, True),
    ],
)
def test_a_canary_that_is_switched_off_is_none(annotations: dict[str, str], is_told: bool) -> None:
    assert is_conditional(ingress_at("other", annotations=annotations)) == is_told
