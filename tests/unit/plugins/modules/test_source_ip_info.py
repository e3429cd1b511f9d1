# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as a whole: options in, requests to real servers on loopback, verdict out."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from functools import reduce
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Callable, NamedTuple

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator
from ansible_collections.kestrel.real_ip.plugins.module_utils import _probe
from ansible_collections.kestrel.real_ip.plugins.module_utils._bypass import Way
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    CODES,
    UNSOUGHT,
    reservations,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    DEFAULT_HEADER,
    canonical,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import in_language
from ansible_collections.kestrel.real_ip.plugins.module_utils._options import WrongArgument
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import (
    Expectation,
    Question,
    Sample,
    Strategy,
)
from ansible_collections.kestrel.real_ip.plugins.modules import source_ip_info
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.servers import (
    SECOND,
    Behaviour,
    Connection,
    Server,
    admits_by,
    admits_only,
    certificate,
    closed_port,
    echo,
    floods,
    hangs_where_forged,
    only_at,
    only_for,
    only_with,
    proxied,
    resolver,
    response,
    says,
    server_tls,
    serves_only,
    silent,
    takes_proxy_lines,
    writes,
)

CLIENT, NODE, NAT = "203.0.113.20", "10.255.0.12", "93.184.216.34"
#: A cluster of which this machine is a node
HERE: dict[str, Any] = {"nodes": ["127.0.0.1"], "pods": []}
#: Of a cluster's pods only those of one namespace, as far as they may be read
SOME_PODS: dict[str, Any] = {
    "nodes": [NODE],
    "services": [],
    "load_balancers": [],
    "pod_names": {"10.2.0.7": "real-ip-a"},
}
ALL: dict[str, Any] = {**SOME_PODS, "pods": [*SOME_PODS["pod_names"]]}


def probe(**options: Any) -> dict[str, Any]:
    """What the module returns. Options are read as Ansible reads them."""
    options = {"timeout": 30, "vantage": "outside", "forge": False, **options}
    validated = ModuleArgumentSpecValidator(source_ip_info.ARGUMENTS).validate(options)
    assert not validated.error_messages
    result = source_ip_info.run(validated.validated_parameters)
    # Whatever was answered, it goes through JSON to a terminal.
    assert json.dumps(result, ensure_ascii=False).isprintable()
    return result


@pytest.mark.parametrize(
    ("unread", "language", "told"),
    [
        ({"node_ports": "", "service": ""}, "en", []),
        (
            {"node_ports": "kubectl a", "service": ""},
            "en",
            [
                "whether a node port answers without the load balancer was not looked for: this "
                "account may not list all nodes. Next: kubectl a"
            ],
        ),
        (
            {"service": "kubectl b", "rivals": "kubectl c"},
            "zh",
            [
                "没有查找是否有其他 Service 绕过该负载均衡：该账号无权列出全部 services。"
                "下一步：kubectl b",
                "没有查找是否有其他 Ingress 代为应答：该账号无权列出全部 ingresses。"
                "下一步：kubectl c",
            ],
        ),
    ],
)
def test_what_was_not_looked_for_is_a_warning(
    unread: dict[str, str], language: str, told: list[str]
) -> None:
    with Server(echo()) as running:
        result = probe(url=running.url, expected_source=CLIENT, bypass={"unread": unread})
    said = {"en": "ways around not looked for (no right to list", "zh": "未查找绕行途径（无权列出"}
    reason = in_language(result["reason"], language)
    assert (said[language] in reason) is bool(told), reason
    assert in_language(result["warnings_found"], language) == told


def test_what_leads_to_the_same_pods_and_was_not_asked_is_a_warning() -> None:
    others = {"echo/old": "ansible-playbook kestrel.real_ip.verify -e real_ip_url=http://a/"}
    with Server(echo()) as running:
        asked = {"url": running.url, "expected_source": CLIENT}
        result = probe(**asked, bypass={"ingresses": others})
        assert probe(**asked, bypass={})["warnings_found"] == []
        both = probe(**asked, bypass={"ingresses": others, "routes": others})
    [told] = result["warnings_found"]
    assert told.startswith("Ingress echo/old leads to the same pods by an address, host")
    assert told.endswith(f"Next: {others['echo/old']}")
    [first, second] = both["warnings_found"]
    assert first == told
    assert second.startswith("HTTPRoute echo/old leads to the same pods through a Gateway at an ")
    assert second.endswith(f"Next: {others['echo/old']}")


# --- Verdicts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["kestrel", "flask"])
def test_preserved(form: str) -> None:
    with Server(echo(form=form)) as running:
        result = probe(url=running.url, expected_source=CLIENT, echo_format=form)
    assert (result["verdict"], result["code"], result["fix"]) == ("preserved", "V001", None)
    assert CLIENT in result["reason"]
    assert running.authority in result["reason"]
    assert result["reason"].endswith("; vantage not checked; forgery not tested")
    assert (result["expected"], result["expected_from"]) == ([CLIENT], "given")
    assert (result["observed"], result["coverage"]) == ({CLIENT: 10}, "not_asked")
    assert result["address"] == "127.0.0.1"
    assert result["requests"] == {
        "planned": 10,
        "sent": 10,
        "forged": 0,
        "answered": 10,
        "unanswered": {},
    }
    assert running.accepted == 10
    assert len(result["targets"]) == 1
    assert result["targets"][0]["url"] == running.url


@pytest.mark.parametrize(
    ("forwarded", "options", "code"),
    [
        (NODE, {}, "V206"),
        (NODE, {"cluster_addresses": {"nodes": [NODE]}}, "V201"),
        (NAT, {}, "V207"),
        (None, {}, "V209"),
        (f"{CLIENT}, {NODE}", {}, "V208"),
        (f"{CLIENT}, {NODE}", {"trusted_count": 2}, "V001"),
        # Nothing was forged: somebody on the way was asked from another address.
        (f"6.6.6.6, {CLIENT}", {}, "V430"),
        (f"10.1.1.1, {CLIENT}", {}, "V001"),
        (f"{CLIENT}, 6.6.6.6", {"trusted_ranges": ["6.0.0.0/8"]}, "V001"),
        (NAT, {"expected_source": ["local"]}, "V404"),
        (CLIENT, {"expected_source": []}, "V401"),
        (CLIENT, {"expected_source": ["2001:db8:113::20"]}, "V402"),
        (CLIENT, {"expected_source": ["203.0.113.0/24"]}, "V413"),
        (CLIENT, {"expected_source": ["203.0.113.0/24"], "cluster_addresses": SOME_PODS}, "V413"),
        (NAT, {"expected_source": ["93.184.216.0/24"], "cluster_addresses": SOME_PODS}, "V413"),
        (NAT, {"expected_source": ["93.184.216.0/24"], "cluster_addresses": ALL}, "V001"),
        ("100.64.0.2", {"expected_source": ["100.64.0.0/10"], "cluster_addresses": ALL}, "V413"),
        ("100.64.0.2", {"expected_source": ["100.64.0.2"], "cluster_addresses": ALL}, "V001"),
        ("10.1.2.3", {"expected_source": ["10.0.0.0/8"]}, "V413"),
        ("10.1.2.3", {"expected_source": ["10.1.0.0/16"], "cluster_addresses": SOME_PODS}, "V413"),
        (CLIENT, {"layer": "l4"}, "V205"),
        (CLIENT, {"layer": "l4", "vantage": "auto"}, "V422"),
        (CLIENT, {"vantage": "auto"}, "V424"),
        (CLIENT, {"vantage": "pod"}, "V423"),
        (CLIENT, {"cluster_addresses": HERE}, "V423"),
        (CLIENT, {"cluster_addresses": {**HERE, "nodes": []}}, "V001"),
        (CLIENT, {"strategy": "single_header", "header": "X-Real-IP"}, "V208"),
    ],
)
def test_codes_end_to_end(forwarded: str | None, options: dict[str, Any], code: str) -> None:
    if "trusted_ranges" in options:
        options = {**options, "strategy": "rightmost_trusted_range"}
        options["trusted_ranges"] = [*options["trusted_ranges"], "127.0.0.0/8"]
    options = {"expected_source": [CLIENT], **options}
    with Server(echo(forwarded)) as running:
        result = probe(url=running.url, samples=2, **options)
    assert result["code"] == code, result["reason"]


def test_ipv6_and_tls_by_address(tmp_path: Path) -> None:
    file = certificate(tmp_path, "echo.example.com")
    client = certificate(tmp_path, "client")
    tls = server_tls(file, client)
    with Server(echo("2001:db8:113::20"), socket.AF_INET6, tls) as running:
        options: dict[str, Any] = {
            "url": f"https://echo.example.com:{running.port}/",
            "connect_to": "::1",
            "expected_source": [CLIENT, "2001:db8:113::20"],
            "samples": 2,
            "ca_path": str(file),
        }
        secured = {**options, "tls_client_cert": str(client)}
        result = probe(**secured)
        assert (result["verdict"], result["address"]) == ("preserved", "::1")
        assert f"echo.example.com ([::1]:{running.port})" in result["reason"]
        assert dict(running.requests[0])["Host"] == f"echo.example.com:{running.port}"
        assert probe(**secured, server_name="other.example.com")["code"] == "V507"
        # TLS 1.3 tells only after the handshake that a client certificate was missing.
        assert probe(**options)["verdict"] == "no_answer"
        assert probe(**{**secured, "ca_path": None}, validate_certs=False)["code"] == "V001"


def test_every_address_of_a_name_is_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"echo.example.com": ["127.0.0.1", "::1"]}
    monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver(known))
    with Server(echo()) as first:
        url = f"http://echo.example.com:{first.port}/"
        result = probe(url=url, expected_source=[CLIENT], samples=2)
        assert [(one["address"], one["code"]) for one in result["targets"]] == [
            ("127.0.0.1", "V001"),
            ("::1", "V503"),
        ]
        assert (result["verdict"], result["address"]) == ("no_answer", "::1")
        assert "[::1]" in result["reason"]
        result = probe(url=url, expected_source=[CLIENT], samples=2, address_family="ipv4")
        assert result["verdict"] == "preserved"


def test_backends() -> None:
    def named(document: dict[str, Any], number: int) -> None:
        document.update(pod=f"pod-{number % 2}", node=f"node{number % 2}")

    with Server(echo(change=named)) as running:
        options: dict[str, Any] = {"url": running.url, "expected_source": [CLIENT], "samples": 1}
        result = probe(**options, expect_backends=["pod-0", "pod-1"])
        assert (result["verdict"], result["coverage"]) == ("preserved", "complete")
        assert sorted(one["name"] for one in result["backends"]) == ["pod-0", "pod-1"]
        result = probe(**options, expect_backends=["pod-0", "pod-2"], max_samples=30)
        assert (result["code"], result["coverage"]) == ("V410", "incomplete")
        assert "pod-2" in result["reason"]
        assert result["requests"]["sent"] == 30


def test_backends_that_are_not_named() -> None:
    with Server(echo(form="flask")) as running:
        options = {"url": running.url, "expected_source": [CLIENT], "expect_backends": ["a", "b"]}
        result = probe(**options)
        assert (result["code"], result["coverage"]) == ("V002", "unknown")
        assert result["requests"]["sent"] == 20
        result = probe(**options, max_samples=15)
        assert (result["code"], result["requests"]["sent"]) == ("V411", 15)


def test_mixed() -> None:
    with Server(echo(lambda number: CLIENT if number % 2 else NODE)) as running:
        result = probe(url=running.url, expected_source=[CLIENT])
    assert (result["code"], result["observed"]) == ("V303", {CLIENT: 5, NODE: 5})


def test_many_targets() -> None:
    with Server(echo()) as good, Server(echo(NODE)) as lost, closed_port() as port:
        targets = [
            {"name": "good", "url": good.url},
            {"name": "lost", "url": lost.url},
            {"name": "lost, as expected", "url": lost.url, "expected_source": [NODE]},
            {"name": "none", "url": f"http://127.0.0.1:{port}/"},
            {"name": "no name", "url": f"http://{'x' * 63}/", "connect_to": "a" * 63 + ".b."},
        ]
        result = probe(targets=targets[:4], expected_source=[CLIENT], samples=3)
        assert [(one["name"], one["verdict"]) for one in result["targets"]] == [
            ("good", "preserved"),
            ("lost", "lost"),
            ("lost, as expected", "preserved"),
            ("none", "no_answer"),
        ]
        assert (result["verdict"], result["code"]) == ("no_answer", "V503")
        assert result["observed"] == {CLIENT: 3, NODE: 6}
        assert result["requests"]["sent"] == 12
        result = probe(targets=targets[:3], expected_source=[CLIENT], samples=1)
        assert (result["verdict"], result["address"]) == ("lost", "127.0.0.1")


def test_asked() -> None:
    def caller(connection: Connection) -> None:
        connection.read()
        connection.send(response(b"203.0.113.20\n"))

    with Server(caller) as asked, Server(echo()) as running:
        options: dict[str, Any] = {"url": running.url, "samples": 1}
        result = probe(**options, expected_source_url=asked.url, headers={"X-Test": "1"})
        assert (result["verdict"], result["expected_from"]) == ("preserved", "asked")
        assert asked.accepted == 2
        assert "X-Test" not in dict(asked.requests[0])
        result = probe(**options, expected_source_url=asked.url, expected_source=[NODE])
        assert (result["code"], result["expected_from"], asked.accepted) == ("V206", "given", 2)
        with Server(echo("127.0.0.1", lambda d, _n: d.update(ip="127.0.0.1"))) as both:
            assert probe(url=both.url, expected_source_url=both.url)["code"] == "V418"
        with closed_port() as port:
            result = probe(**options, expected_source_url=f"http://127.0.0.1:{port}/")
        assert (result["code"], result["expected"]) == ("V412", [])
        assert "connection refused" in result["reason"]


def test_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_probe, "_PAUSE", 0.01)
    late = iter(range(1000))

    def comes_up(connection: Connection) -> None:
        (echo() if next(late) >= 5 else says(response(b"", "503 Unavailable")))(connection)

    with Server(comes_up) as running:
        result = probe(url=running.url, expected_source=[CLIENT], samples=2, wait=True)
    assert result["verdict"] == "preserved"
    assert running.accepted == 6 + 2


# --- Ill will -------------------------------------------------------------------------------------


def test_hostile_echo() -> None:
    evil = "\x1b]0;owned\x07\x00\u202e{{ 7 * 7 }}${jndi}'\"<script>\\"

    def claims(document: dict[str, Any], _number: int) -> None:
        document.update(pod=evil, node=evil, peer={"address": evil})
        document["headers"] += [("X-Real-IP", evil), (evil, evil), ("Forwarded", evil * 1000)]

    for forwarded in (CLIENT, evil, f"{evil}, {CLIENT}"):
        for options in ({}, {"layer": "l4"}, {"strategy": "single_header", "header": "X-Real-IP"}):
            with Server(echo(forwarded, claims)) as running:
                result = probe(url=running.url, expected_source=[CLIENT], samples=2, **options)
            assert "49" not in json.dumps(result["reason"]).replace(str(running.port), "")


def test_the_deadline_holds() -> None:
    released = threading.Event()
    began = time.monotonic()
    with Server(silent) as running:
        targets = [{"url": running.url} for _number in range(50)]
        result = probe(targets=targets, deadline=0.5, concurrency=4)
    released.set()
    assert time.monotonic() - began < 10
    assert result["verdict"] == "no_answer"
    assert {one["code"] for one in result["targets"]} <= {"V509", "V525"}
    assert len(result["targets"]) == 50


APPENDED = {"strategy": "rightmost_trusted_count", "header": "X-Forwarded-For", "trusted_count": 1}
REAL_IP = {"strategy": "single_header", "header": "X-Real-IP"}


# --- Documentation --------------------------------------------------------------------------------


def documented(found: dict[str, Any], described: dict[str, Any]) -> None:
    assert {*found} == {*described}
    for name, description in described.items():
        inner = found[name] if isinstance(found[name], list) else [found[name]]
        for one in inner if "contains" in description else ():
            documented(one, description["contains"])


def test_what_is_returned_is_documented() -> None:
    with Server(echo()) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    described = yaml.safe_load(source_ip_info.RETURN)
    documented(result, described)
    [target] = result["targets"]
    of_the_run = {"targets", "declared", "bypass", "vantage", "vantage_checked", "network"}
    assert {*target} == {*described} - of_the_run | {"name", "url"}


@pytest.mark.parametrize(
    ("layers", "options", "told"),
    [
        (["l7"], {}, [{"layer": "l7", **APPENDED}]),
        (["l7"] * 3, REAL_IP, [{"layer": "l7", **REAL_IP}]),
        (["l4"], {}, [{"layer": "l4", "strategy": "peer"}]),
        (["l7", "l4"], {}, [{"layer": "l7", **APPENDED}, {"layer": "l4", "strategy": "peer"}]),
    ],
)
def test_what_was_declared_is_told_once(
    layers: list[str], options: dict[str, Any], told: list[dict[str, Any]]
) -> None:
    with Server(echo()) as running:
        targets = [{"url": running.url, "layer": layer} for layer in layers]
        result = probe(targets=targets, expected_source=[CLIENT], samples=1, **options)
    assert result["declared"] == told


# --- Forged headers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "options", "code", "fates", "safe"),
    [
        ("append", {}, "V001", ("appended", "appended", "passed_through"), APPENDED),
        ("replace", {}, "V001", ("replaced", "replaced", "passed_through"), APPENDED),
        ("only without", {}, "V101", ("passed_through", "passed_through", "passed_through"), None),
        ("real ip", REAL_IP, "V001", ("dropped", "replaced", "dropped"), REAL_IP),
        ("refuse", {}, "V001", ("refused", "refused", "refused"), None),
        ("add", {}, "V001", ("appended", "appended", "passed_through"), APPENDED),
        ("add", REAL_IP, "V101", ("appended", "appended", "passed_through"), APPENDED),
        ("hearsay", {}, "V101", ("appended", "appended", "passed_through"), None),
        ("hop by hop", {}, "V102", ("appended", "appended", "passed_through"), None),
        (
            "first line",
            REAL_IP,
            "V101",
            ("passed_through", "passed_through", "passed_through"),
            None,
        ),
    ],
)
def test_what_becomes_of_forged_headers(
    mode: str,
    options: dict[str, Any],
    code: str,
    fates: tuple[str, ...],
    safe: dict[str, Any] | None,
) -> None:
    with Server(proxied(mode, CLIENT)) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True, **options)
    assert result["code"] == code, result["reason"]
    names = ("X-Forwarded-For", "X-Real-IP", "Forwarded")
    assert tuple(result["forgery"][name] for name in names) == fates
    assert result["safe_strategy"] == safe
    assert result["reason"].endswith("forgery not tested") == (mode == "refuse")
    assert result["requests"]["sent"] == 10, "forged requests are counted for themselves"
    assert running.accepted == 10 + result["requests"]["forged"]


def test_forged_headers_without_an_address_test_nothing() -> None:
    with Server(proxied("refuse addresses", CLIENT)) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    assert result["code"] == "V001", result["reason"]
    assert result["reason"].endswith("forgery not tested")
    assert result["safe_strategy"] is None


@pytest.mark.parametrize(
    ("mode", "code", "line"),
    [
        ("rumour", "V101", "; Remote-Addr: 6.6.6.6; Remote-Host: 6.6.6.6; "),
        ("viewer", "V101", "made it 6.6.6.6"),
        ("viewer over IPv6", "V101", "made it 2606:6666::6"),
        ("hearsay of IPv6", "V101", "made it 2606:6666::6"),
        ("rumour of IPv6", "V101", "made it 2606:6666::6"),
        ("Fastly's beside its mark", "V101", "made it 6.6.6.6"),
        ("Azure's beside its mark", "V101", "made it 6.6.6.6"),
        ("of Cloudflare and Fastly", "V101", " more made it 6.6.6.6"),
        ("of Cloudflare", "V101", "Ali-CDN-Real-IP: 6.6.6.6 made it 6.6.6.6"),
        ("falls back", "V101", "Connection: close, X-Real-IP, 6.6.6.6; X-Forwarded-For: 6.6.6.6; "),
        ("together", "V101", "; Ar-Real-IP: 6.6.6.6; CDN-Real-IP: 6.6.6.6; "),
        ("internal", "V101", "X-Real-IP: 10.6.6.6 made"),
        ("loopback", "V101", "X-Real-IP: 127.0.0.1 made"),
        ("itself", "V101", "X-Forwarded-For: 127.0.0.1 made"),
        ("mapped", "V101", "X-Real-IP: ::ffff:6.6.6.6 made"),
        ("brackets", "V101", "X-Forwarded-For: [2606:6666::6] made"),
        ("quotes", "V101", 'X-Real-IP: "6.6.6.6" made'),
        ("three", "V101", "X-Forwarded-For: 6.6.6.6, 6.6.6.6, 6.6.6.6 made"),
        ("four", "V101", "6.6.6.6, 6.6.6.6, 6.6.6.6, 6.6.6.6 made"),
        ("five", "V101", "6.6.6.6, 6.6.6.6, 6.6.6.6, 6.6.6.6, 6.6.6.6 made"),
        ("list of one", "V101", "X-Real-IP: 6.6.6.6, 192.0.2.66 made"),
        ("with proto", "V101", "Forwarded: for=6.6.6.6;host=front.example;proto=https made"),
        ("two cases", "V101", "x-real-ip: 6.6.6.6; X-Real-IP: 6.6.6.6 made"),
        ("other host", "V101", "Forwarded: for=6.6.6.6; CF-Ray: "),
        ("once", "V101", f"X-Forwarded-For: {CLIENT}, 6.6.6.6 made"),
        ("underscores", "V101", "CF_Connecting_IP: 6.6.6.6; "),
        ("IPv6", "V101", "X-Real-IP: 2606:6666::6 made"),
        ("with port", "V101", "X-Real-IP: [2606:6666::6]:6666 made"),
        ("second", "V101", "X-Forwarded-For: 6.6.6.6, 192.0.2.66 made"),
        ("cut", "V102", "X-Forwarded-For: 6.6.6.6, 6.6.6.6"),
        ("exact case", "V101", "x-forwarded-for: 6.6.6.6 made"),
        ("in place", "V101", "X-Forwarded-For: 6.6.6.6; x-forwarded-for: 6.6.6.6; "),
        ("of Fastly", "V101", " more made it 6.6.6.6"),
        ("not empty", "V102", "X-Forwarded-For:  made"),
        ("not unknown", "V102", "X-Forwarded-For: unknown made"),
        ("first option", "V102", "Connection: close, X-Forwarded-For, "),
        ("lower option", "V102", "Connection: close, x-forwarded-for, "),
        ("of tinyproxy", "V102", "Proxy-Connection: close, X-Forwarded-For, "),
    ],
)
def test_proxies_that_believe_some_forged_requests_only(mode: str, code: str, line: str) -> None:
    with Server(proxied(mode, CLIENT)) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    assert result["code"] == code, result["reason"]
    assert line in result["reason"]


@pytest.mark.parametrize("is_shown", [True, False])
@pytest.mark.parametrize("falls_back", [True, False])
@pytest.mark.parametrize("mark", ["X-From-Cdn", "X-Forwarded-Proto"])
def test_a_proxy_believes_another_one_by_a_mark_that_connection_takes_away(
    mark: str, is_shown: bool, falls_back: bool
) -> None:
    """As Apache drops what mod_headers has written: the next one goes by its own peer then. A mark
    of the operator's own that the app isn't shown has a name that nobody knows.
    """

    def behave(connection: Connection) -> None:
        lines = [line for line in connection.read()[1:] if line[0] != mark]
        options = {value.lower() for name, value in lines if name == "Connection"}
        named = {one.strip() for value in options for one in value.split(",")}
        is_marked = mark.lower() not in named
        begun = [value for name, value in lines if name == "X-Real-IP"] if falls_back else []
        lines = [line for line in lines if line[0] not in ("X-Real-IP", "X-Forwarded-For")]
        lines += [("X-Forwarded-For", CLIENT if is_marked else (begun or [NODE])[0])]
        lines += [(mark, "https")] if is_marked and is_shown else []
        connection.send(response(json.dumps({"kestrel": 1, "headers": lines}).encode()))

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    hidden = mark == "X-From-Cdn" and not is_shown
    found = "V001" if hidden else "V101" if falls_back else "V102"
    assert result["code"] == found, result["reason"]


@pytest.mark.parametrize("is_shown", [True, False])
@pytest.mark.parametrize("falls_back", [True, False])
def test_a_proxy_believes_another_one_by_a_mark_that_a_client_may_begin(
    is_shown: bool, falls_back: bool
) -> None:
    """As behind HAProxy's add-header: of two lines the next one reads the first, which is none."""

    def behave(connection: Connection) -> None:
        lines = [*connection.read()[1:], ("X-From-Cdn", "of-the-operator")]
        marks = [value for name, value in lines if name.lower() == "x-from-cdn"]
        begun = [value for name, value in lines if name == "X-Real-IP"] if falls_back else []
        lines = [line for line in lines if line[0] not in ("X-Real-IP", "X-Forwarded-For")]
        is_marked = marks[0] == "of-the-operator"
        lines += [("X-Forwarded-For", CLIENT if is_marked else (begun or [NODE])[0])]
        lines = [line for line in lines if is_shown or line[0].lower() != "x-from-cdn"]
        connection.send(response(json.dumps({"kestrel": 1, "headers": lines}).encode()))

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    found = "V001" if not is_shown else "V101" if falls_back else "V102"
    assert result["code"] == found, result["reason"]


@pytest.mark.parametrize(
    ("header", "code", "line"),
    [("X-Real-IP", "V102", "Connection: close, X-Real-IP, "), ("X-Forwarded-For", "V001", "")],
)
def test_a_proxy_that_takes_no_connection_with_some_names(
    header: str, code: str, line: str
) -> None:
    """As Envoy, behind another one that writes what is read: the others are dropped."""
    read = {"strategy": "single_header", "header": header}
    with Server(proxied("of Envoy", CLIENT)) as running:
        result = probe(
            url=running.url, expected_source=[CLIENT], forge=True, **(read if line else {})
        )
    assert result["code"] == code, result["reason"]
    assert line in result["reason"]
    assert "tested in part" not in result["reason"]


@pytest.mark.parametrize(
    ("network", "expected", "code", "says"),
    [
        # The office's, in which others are too, and who writes one of its addresses gets in
        (f"{CLIENT}/31", CLIENT, "V101", "made"),
        (f"{CLIENT}/24", CLIENT, "V101", "made"),
        ("203.0.113.0/24", "203.0.113.0/24", "V101", "made"),
        # Nothing that can be read is answered, and what can't be read shows nothing.
        (f"{CLIENT}/32", CLIENT, "V001", "; forgery not tested"),
        ("0.0.0.0/0", CLIENT, "V101", "made it 6.6.6.6"),
    ],
)
def test_a_proxy_that_serves_some_clients_only_by_what_they_write(
    network: str, expected: str, code: str, says: str
) -> None:
    with Server(serves_only(network, CLIENT)) as running:
        result = probe(url=running.url, expected_source=[expected], forge=True)
    assert result["code"] == code, result["reason"]
    assert says in result["reason"]


@pytest.mark.parametrize("expected", [CLIENT, "203.0.113.0/24"])
def test_a_proxy_that_serves_some_clients_only_by_what_a_cdn_writes(expected: str) -> None:
    with Server(serves_only("203.0.113.0/24", CLIENT, "CF-Connecting-IP")) as running:
        result = probe(url=running.url, expected_source=[expected], forge=True)
    assert result["code"] == "V101", result["reason"]


@pytest.mark.parametrize("refused", ["CF-Connecting-IP", 40])
@pytest.mark.parametrize("served", ["203.0.113.0/24", "2606:6666::/32"])
def test_it_is_found_behind_what_refuses_some_lines_or_many(
    refused: str | int, served: str
) -> None:
    """As Cloudflare and Varnish."""
    serve = serves_only("203.0.113.0/24", CLIENT, "True-Client-IP")
    if ":" in served:
        serve = proxied("hearsay of IPv6", CLIENT)

    def behave(connection: Connection) -> None:
        names = [name for name, _value in connection.read()[1:]]
        few = len(names) <= refused if isinstance(refused, int) else refused not in names
        (serve if few else says(response(b"", "403 Forbidden")))(connection)

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    assert result["code"] == "V101", result["reason"]


def test_it_is_found_beside_that_cdns_mark_as_well() -> None:
    """Who comes past it, as the office does, is served by his own address."""
    by_its_header = serves_only("203.0.113.0/24", CLIENT, "Fastly-Client-IP")
    with Server(only_with("Fastly-FF", by_its_header, proxied("replace", CLIENT))) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    assert result["code"] == "V101", result["reason"]


@pytest.mark.parametrize(("network", "code"), [("203.0.113.16/28", "V426"), (CLIENT, "V001")])
def test_an_app_that_is_told_its_peer_and_serves_some_clients_only(network: str, code: str) -> None:
    """As uvicorn calls a header's address the peer."""

    def behave(connection: Connection) -> None:
        lines = connection.read()[1:]
        listed = ",".join([CLIENT, *(value for name, value in lines if name == DEFAULT_HEADER)])
        peer = canonical(listed.rpartition(",")[2]) or CLIENT
        if ip_address(peer) not in ip_network(network):
            connection.send(response(b"", "403 Forbidden"))
            return
        document = {"kestrel": 1, "headers": lines, "peer": {"address": peer, "port": 1}}
        connection.send(response(json.dumps(document).encode()))

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], layer="l4", forge=True)
    assert result["code"] == code, result["reason"]


@pytest.mark.parametrize("expected", [[CLIENT, "203.0.113.21"], ["203.0.113.0/24"]])
def test_a_proxy_that_takes_the_proxy_protocol_and_serves_some_clients_only(
    expected: list[str],
) -> None:
    """Two of a range's addresses are chosen, which none that is expected alone would show."""

    def behave(connection: Connection) -> None:
        told = connection.read_after()[0][1].split()
        sender = told[2] if told[:1] == ["PROXY"] else CLIENT
        served = ip_address(sender) in ip_network("203.0.113.0/24")
        refuses = says(response(b"", "403 Forbidden"))
        (takes_proxy_lines(CLIENT) if served else refuses)(connection)

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=expected, forge=True, timeout=2)
    assert result["code"] == "V104", result["reason"]


@pytest.mark.parametrize("layer", ["l7", "l4"])
@pytest.mark.parametrize(
    ("networks", "code", "says"),
    [
        (["198.51.100.7/32"], "V001", "; forgery not tested"),
        (["10.0.0.0/8"], "V104", "one that began with PROXY TCP4 10."),
        (["2606::/16"], "V104", "one that began with PROXY TCP6 2606:"),
    ],
)
def test_who_takes_the_proxy_protocol_from_anybody_and_serves_few(
    networks: list[str], code: str, says: str, layer: str
) -> None:
    """As Traefik with ``insecure`` and an allowlist; what clients write in headers counts for
    nothing.
    """

    def behave(connection: Connection) -> None:
        first, *lines = connection.read_after()
        told = first[1].split()
        sender = told[2] if told[:1] == ["PROXY"] else CLIENT
        served = [ip_network(one) for one in (f"{CLIENT}/32", *networks)]
        if not any(ip_address(sender) in one for one in served):
            connection.send(response(b"", "403 Forbidden"))
            return
        kept = [line for line in lines if line[0].lower() in ("x-kestrel-nonce", "host")]
        seen = [*kept, ("X-Forwarded-For", sender)]
        document = {"kestrel": 1, "headers": seen, "peer": {"address": sender, "port": 1}}
        connection.send(response(json.dumps(document).encode()))

    with Server(behave) as running:
        asked = {"expected_source": [CLIENT], "forge": True, "layer": layer, "timeout": 2}
        result = probe(url=running.url, **asked)
    assert result["code"] == code, result["reason"]
    assert says in result["reason"]


def test_a_load_balancer_that_admits_the_proxies_in_front_by_the_proxy_protocol() -> None:
    """Who gets there names one of them as the sender, and what he writes counts."""
    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(admits_only(CDN, takes_proxy_lines(None)), address=(OWN, front.port)),
    ):
        result = probe(url=front.url, **{**PAST, "timeout": 2})
    assert result["code"] == "V103", result["reason"]


def hands_on(connection: Connection) -> None:
    """An echo app behind a proxy that has no header of its own to add."""
    lines = [line for line in connection.read_after()[1:] if " " not in line[0]]
    connection.send(response(json.dumps({"kestrel": 1, "headers": lines}).encode()))


def test_a_proxy_in_front_may_be_admitted_as_the_address_that_is_probed() -> None:
    """What it writes has the client's alone, and the peer is another proxy."""
    with (
        Server(proxied("append", CLIENT)) as front,
        Server(admits_only("127.0.0.1", hands_on), address=(OWN, front.port)),
    ):
        result = probe(url=front.url, **{**PAST, "trusted_count": 1, "timeout": 2})
    assert result["code"] == "V103", result["reason"]


@pytest.mark.parametrize("addresses", [["127.0.0.1", "127.0.0.3"], ["127.0.0.3", "127.0.0.1"]])
def test_a_proxy_in_front_may_be_admitted_as_another_address_of_its_name(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    """At one of them nothing listens from here."""
    monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver({"echo.example.com": addresses}))
    with (
        Server(proxied("append", CLIENT)) as front,
        Server(admits_only("127.0.0.3", hands_on), address=(OWN, front.port)),
    ):
        url = f"http://echo.example.com:{front.port}/"
        result = probe(url=url, **{**PAST, "trusted_count": 1, "timeout": 2})
    assert {one["code"] for one in result["targets"]} == {"V103", "V503"}, result["reason"]


@pytest.mark.parametrize("count", [1, 4])
def test_many_peers_keep_no_proxy_in_front_from_being_tried(count: int) -> None:
    """Nodes that translate are as many as answers, and none of them is admitted."""
    turn = itertools.cycle(f"10.0.0.{number}" for number in range(count))

    def change(document: dict[str, Any], _number: int) -> None:
        document["peer"] = {"address": next(turn), "port": 1}

    with (
        Server(echo(f"{CLIENT}, {CDN}", change)) as front,
        Server(admits_only(CDN, takes_proxy_lines(None)), address=(OWN, front.port)),
    ):
        result = probe(url=front.url, **{**PAST, "timeout": 2})
    assert result["code"] == "V103", result["reason"]


@pytest.mark.parametrize(
    ("told_by", "behind", "more"),
    [
        # By the end of the list, or its beginning where all of it is trusted
        (lambda given: given.get("X-Forwarded-For", "").rpartition(", ")[2], hands_on, {}),
        (
            lambda given: given.get("X-Forwarded-For", "").partition(", ")[0],
            proxied("append", "203.0.113.9"),
            {},
        ),
        # By one header, where another one is read
        (lambda given: given.get("X-Real-IP", ""), proxied("append", "203.0.113.9"), {}),
        (lambda given: given.get("CF-Connecting-IP", ""), proxied("append", "203.0.113.9"), {}),
        (
            lambda given: given.get("X-Forwarded-For", ""),
            hands_on,
            {"strategy": "single_header", "header": "X-Real-IP", "trusted_count": None},
        ),
        (
            lambda given: given.get("X-Forwarded-For", ""),
            hands_on,
            {"strategy": "rightmost_trusted_count", "header": "Forwarded", "trusted_count": 2},
        ),
    ],
)
def test_a_load_balancer_that_admits_the_proxies_in_front_by_what_a_header_says(
    told_by: Callable[[dict[str, str]], str], behind: Behaviour, more: dict[str, Any]
) -> None:
    """Who gets there names one of them in it, and himself whom he likes."""

    told = [("X-Forwarded-For", f"{CLIENT}, {CDN}"), ("X-Real-IP", CLIENT)]
    told += [("Forwarded", f"for={CLIENT}, for={CDN}")]
    options = {name: value for name, value in {**PAST, **more}.items() if value is not None}
    with (
        Server(writes(lambda _given: told)) as front,
        Server(admits_by(told_by, CDN, behind), address=(OWN, front.port)),
    ):
        result = probe(url=front.url, **{**options, "timeout": 2})
    assert result["code"] == "V103", result["reason"]


#: A client that is no example, a proxy in front of the load balancer, and where that one runs
PUBLIC, INNER, INSIDE = "198.41.0.4", "10.1.2.3", ["10.0.0.0/8", "127.0.0.0/8"]


@pytest.mark.parametrize(
    ("strategy", "directly"),
    [
        # The load balancer believes what comes from the proxy's own socket: of others it writes the
        # headers anew, or it only says where they come from, which is enough to who goes by that.
        ({"strategy": "rightmost_trusted_count", "trusted_count": 2}, "anew"),
        ({"strategy": "single_header", "header": "X-Real-IP"}, "anew"),
        ({"strategy": "leftmost_non_private"}, "anew"),
        ({"strategy": "rightmost_non_private"}, "anew"),
        ({"strategy": "rightmost_non_private"}, "appended"),
        ({"strategy": "rightmost_trusted_range", "trusted_ranges": INSIDE}, "anew"),
        ({"strategy": "rightmost_trusted_range", "trusted_ranges": INSIDE}, "appended"),
    ],
)
def test_who_goes_by_sockets_is_not_deceived_by_the_name_of_a_proxy(
    strategy: dict[str, Any], directly: str
) -> None:
    """Though it is one that stands in front in earnest, and that the application trusts."""
    believed = strategy["strategy"].startswith("rightmost")

    def writing(keeps: bool, *entries: str) -> Behaviour:
        def told(given: list[tuple[str, str]]) -> list[tuple[str, str]]:
            before = [value for name, value in given if name == "X-Forwarded-For" and keeps]
            return [("X-Forwarded-For", ", ".join([*before, *entries])), ("X-Real-IP", entries[0])]

        return writes(told)

    with (
        Server(writing(believed, PUBLIC, INNER)) as front,
        Server(writing(directly == "appended", "198.41.0.9"), address=(OWN, front.port)) as own,
    ):
        bypass = {"load_balancer": [OWN]}
        result = probe(
            url=front.url, expected_source=[PUBLIC], forge=True, bypass=bypass, **strategy
        )
    assert (result["verdict"], result["code"]) == ("preserved", "V001"), result["reason"]
    for requests in (front.requests, own.requests):
        lists = [dict(lines).get("X-Forwarded-For", "") for lines in requests]
        assert any(text.endswith(f"6.6.6.6, {INNER}") for text in lists), "it was tried"


def test_a_sockets_peer_is_not_taken_back_by_the_name_of_a_proxy() -> None:
    def change(document: dict[str, Any], _number: int) -> None:
        document["peer"] = {"address": PUBLIC, "port": 1}

    with Server(echo(INNER, change)) as running:
        result = probe(url=running.url, expected_source=[PUBLIC], forge=True, layer="l4")
    assert (result["verdict"], result["code"]) == ("preserved", "V001"), result["reason"]
    lists = [dict(lines).get("X-Forwarded-For", "") for lines in running.requests]
    assert any(text.endswith(f"6.6.6.6, {INNER}") for text in lists)


POOL = [f"203.0.113.{n}" for n in (20, 21, 22, 23)]


@pytest.mark.parametrize(
    ("expected", "layer", "codes"),
    [
        (POOL, "l7", {"V001"}),
        (POOL, "l4", {"V001"}),
        (["203.0.113.20/30"], "l7", {"V413"}),
        ([], "l7", {"V401"}),
    ],
)
def test_a_prober_that_is_translated_to_several_addresses_deceives_nobody(
    expected: list[str], layer: str, codes: set[str]
) -> None:
    """What is forged is its own address now and then, by chance."""
    chance = random.Random(1)

    def behave(connection: Connection) -> None:
        now = chance.choice(POOL)
        given = connection.read_after()
        lines = [line for line in given[1:] if line[0].lower() != "x-forwarded-for"]
        lines.append(("X-Forwarded-For", now))
        document = {"kestrel": 1, "headers": lines, "peer": {"address": now, "port": 1}}
        connection.send(response(json.dumps(document).encode()))

    with Server(behave) as running:
        asked = {"expected_source": expected, "layer": layer, "forge": True, "timeout": 2}
        found = [probe(url=running.url, **asked) for _time in range(4)]
    assert {one["code"] for one in found} == codes, found[0]["reason"]


def test_another_address_of_an_expected_range_can_be_seen_by_chance() -> None:
    """Where the prober is translated to several in turn: one alone shows nothing."""
    other = "203.0.113.21"

    def behave(connection: Connection) -> None:
        now = other if any(value == other for _name, value in connection.read()[1:]) else CLIENT
        proxied("replace", now)(connection)

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=["203.0.113.0/24"], forge=True)
    # Of this cluster nothing is known that the range could hold as well.
    assert result["code"] == "V413", result["reason"]


@pytest.mark.parametrize("layer", ["l4", "l7"])
@pytest.mark.parametrize("version", ["PROXY TCP4", SECOND])
def test_who_takes_the_proxy_protocol_from_anybody(layer: str, version: str) -> None:
    with Server(takes_proxy_lines(CLIENT, version)) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True, layer=layer)
    assert (result["verdict"], result["code"]) == ("forgeable", "V104"), result["reason"]
    assert f"{version} 6.6.6.6 " in result["reason"]
    assert result["safe_strategy"] is None
    assert "PROXY" not in result["forgery"], "it is no header"


def _asked_at(
    connection: Connection, version: str = "PROXY TCP4", host: str = "", port: int = 0
) -> bool:
    """Whether who begins with the PROXY protocol tells that a client asked there."""
    told = connection.read_after()[0][1].split()
    if " ".join(told[:2]) != version or len(told) < 6:
        return False
    return host in ("", told[3]) and port in (0, int(told[5]))


def test_who_takes_the_proxy_protocol_goes_by_the_address_that_was_asked() -> None:
    """As Envoy, whose chains of filters can be for single addresses and ports."""

    def behave(connection: Connection) -> None:
        host, port = connection.sock.getsockname()
        told = connection.read_after()[0][1]
        if told.startswith("PROXY ") and not _asked_at(connection, host=host, port=port):
            raise ConnectionAbortedError
        takes_proxy_lines(CLIENT)(connection)

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    assert result["code"] == "V104", result["reason"]


@pytest.mark.parametrize(
    ("status", "warned"),
    # To who doesn't take it, it is no request.
    [("403 Forbidden", True), ("400 Bad Request", False), ("", False)],
)
def test_who_speaks_to_the_proxy_protocol_alone_and_refuses_is_told(
    status: str, warned: bool
) -> None:
    """Another client may write there what opens it."""

    def behave(connection: Connection) -> None:
        preface = connection.read_after()[0][1].startswith("PROXY ")
        if not (preface and status):
            raise ConnectionAbortedError
        connection.send(response(b"", status))

    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(behave, address=(OWN, front.port)),
    ):
        result = probe(url=front.url, **{**PAST, "timeout": 2})
    assert result["code"] == "V001", result["reason"]
    assert any("not tested" in text for text in result["warnings_found"]) == warned


@pytest.mark.parametrize(
    ("status", "tested"), [("403 Forbidden", False), ("400 Bad Request", True), ("", True)]
)
def test_who_takes_the_proxy_protocol_and_refuses_whom_it_tells_of_is_said(
    status: str, tested: bool
) -> None:
    """As Envoy that serves some networks only. To who doesn't take it, it is no request."""
    serve = proxied("append", CLIENT)

    def behave(connection: Connection) -> None:
        if connection.read_after()[0][1].startswith("PROXY "):
            connection.send(response(b"", status) if status else b"")
        else:
            serve(connection)

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    assert result["code"] == "V001", result["reason"]
    assert ("forgery not tested" in result["reason"]) != tested


@pytest.mark.parametrize("status", ["400 Bad Request", "403 Forbidden"])
def test_who_refuses_what_no_header_admits_is_asked_with_that(status: str) -> None:
    """Whatever the refusal says, where nothing stands in front as well."""
    serve = echo(None, lambda _told, _number: None)

    def behave(connection: Connection) -> None:
        known = "X-Real-IP" in dict(connection.read()[1:])
        (serve if known else says(response(b"", status)))(connection)

    with Server(proxied("append", CLIENT)) as front, Server(behave) as other:
        listeners = [f"http:{front.port}", f"http:{other.port}"]
        bypass = {"load_balancer": ["127.0.0.1"], "listeners": listeners}
        result = probe(url=front.url, expected_source=[CLIENT], bypass=bypass, forge=True)
    assert result["code"] == "V103", result["reason"]
    # What was found open isn't told as not tested.
    assert not any("not asked" in text for text in result["warnings_found"])


def test_a_further_listener_may_know_the_host_with_its_port() -> None:
    serve = echo(None, lambda _told, _number: None)

    def behave(connection: Connection) -> None:
        known = dict(connection.read()[1:]).get("Host") == f"echo.example.com:{other.port}"
        (serve if known else says(response(b"", "404 Not Found")))(connection)

    with Server(proxied("append", CLIENT)) as front, Server(behave) as other:
        listeners = [f"http:{front.port}", f"http:{other.port}"]
        bypass = {"load_balancer": ["127.0.0.1"], "listeners": listeners}
        told = {"host_header": "echo.example.com", "bypass": bypass, "forge": True}
        result = probe(url=front.url, expected_source=[CLIENT], **told)
    assert result["code"] == "V103", result["reason"]


@pytest.mark.parametrize("status", ["400 Bad Request", ""])
def test_who_drops_what_a_header_does_not_admit_is_asked_with_that(status: str) -> None:
    """As HAProxy with silent-drop, which says of the PROXY protocol that it is no request."""
    serve = proxied("append", CDN)

    def behave(connection: Connection) -> None:
        (_name, first), *lines = connection.read_after()
        if first.startswith("PROXY "):
            connection.send(response(b"", status) if status else b"")
            return
        listed = dict(lines).get("X-Forwarded-For", "")
        (serve if listed.rpartition(", ")[2] == "127.0.0.1" else silent)(connection)

    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(behave, address=(OWN, front.port)),
    ):
        result = probe(url=front.url, **{**PAST, "timeout": 1})
    assert result["code"] == "V103", result["reason"]
    assert "127.0.0.1" in result["reason"]


@pytest.mark.parametrize("size", [1024, 2048, 4096])
def test_a_list_is_cut_where_a_buffer_ends(size: int) -> None:
    def behave(connection: Connection) -> None:
        lines = connection.read()[1:]
        told = [value for key, value in lines if key == "X-Forwarded-For"]
        whole = ", ".join([*told, CLIENT])[:size]
        others = [line for line in lines if line[0] != "X-Forwarded-For"]
        headers = [*others, ("X-Forwarded-For", whole)]
        document = {"kestrel": 1, "headers": headers, "peer": {"address": NODE, "port": 1}}
        connection.send(response(json.dumps(document).encode()))

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    assert result["code"] in ("V101", "V102"), result["reason"]


FORWARDED: dict[str, Any] = {
    "strategy": "rightmost_trusted_count",
    "trusted_count": 1,
    "header": "Forwarded",
    "forge": True,
}


def shows_forwarded(connection: Connection, lines: list[tuple[str, str]], *pairs: str) -> None:
    """Answers as an echo app that is told of the client by ``Forwarded``, with these beside."""
    handed = [line for line in lines if line[0].lower() != "forwarded"]
    seen = ("Forwarded", ";".join([f"for={CLIENT}", *pairs]))
    document = {"kestrel": 1, "headers": [*handed, seen], "peer": {"address": NODE, "port": 1}}
    connection.send(response(json.dumps(document).encode()))


@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "X-Forwarded-Host"])
def test_what_a_proxy_copies_into_a_list(name: str) -> None:
    """As OpenShift's router does with the scheme that a client tells."""

    def behave(connection: Connection) -> None:
        lines = connection.read()[1:]
        told = [value for key, value in lines if key == name]
        shows_forwarded(connection, lines, *(f"proto={one}" for one in told))

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], **FORWARDED)
    assert result["code"] == "V101", result["reason"]
    assert "https,for=6.6.6.6" in result["reason"]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("nginx", "Host: <host>,for="),
        ("nginx in quotes", 'Host: <host>",for='),
        ("nginx of known hosts", "Host: <host>,for="),
        ("nginx with the path", "<path>?x=,for="),
        ("nginx with the path in quotes", '<path>?x=",for='),
        ("nginx of names", "Host: <host>:80,for="),
        ("nginx of names, in quotes", 'Host: <host>:80",for="'),
        ("nginx of names that end so", "Host: x,for=6.6.6.6;x=<host>"),
        ("nginx of names that end so, in quotes", 'Host: x",for=6.6.6.6;x="<host>'),
        ("HAProxy of names that end so", 'Host: x",for=6.6.6.6;x=<host>'),
        ("Caddy", "Host: x,for=[2606:6666::6];x=<host>"),
        ("HAProxy", 'Host: <host>, "host,for='),
        ("HAProxy of a known beginning", 'Host: <host>",for='),
        ("OpenShift's HAProxy", 'Host: <host>/",for='),
        # That nobody serves another host is no forged request that was refused.
        ("HAProxy of known hosts", "as the rightmost Forwarded entry"),
    ],
)
def test_a_host_that_a_proxy_copies_into_a_list(kind: str, told: str) -> None:
    """nginx' ``host=$http_host`` has what is in Host, also where the request names the host itself,
    and HAProxy's ``hdr(host)`` is any of several, of which ``req.hdr(host)`` is the last.
    """

    def behave(connection: Connection) -> None:
        (_name, request_line), *lines = connection.read()
        asked = dict(lines).get("Host", "")
        known = f"127.0.0.1:{server.port}"
        path = request_line.split(" ")[1]
        first, *others = asked.split(", ")
        # What is behind an open quote is a part of it.
        last = re.split(r'(?<!"),', asked)[-1]
        is_served = {
            "nginx of known hosts": asked == known or path.startswith(f"http://{known}/"),
            "nginx of names": asked == known or asked.startswith(f"{known}:80"),
            "nginx of names, in quotes": asked == known or asked.startswith(f"{known}:80"),
            "nginx of names that end so": asked.endswith(known),
            "nginx of names that end so, in quotes": asked.endswith(known),
            "HAProxy of names that end so": last.endswith(known),
            "Caddy": asked.endswith(known) and asked.count(".") == known.count("."),
            "HAProxy": first == known,
            "HAProxy of known hosts": asked == known,
            "HAProxy of a known beginning": last.startswith(known)
            and last[len(known) :][:1] != "/",
            "OpenShift's HAProxy": last == known or last.startswith(f"{known}/"),
        }
        if not is_served.get(kind, True):
            connection.send(response(b"", "404 Not Found"))
            return
        copied = path if "path" in kind else others[-1] if others and kind == "HAProxy" else asked
        copied = f'"{copied}"' if "quotes" in kind else copied
        copied = last if "HAProxy of names" in kind else copied
        shows_forwarded(connection, lines, f"host={copied}", "proto=http")

    with Server(behave) as server:
        result = probe(url=server.url, expected_source=[CLIENT], **FORWARDED)
    assert result["code"] == ("V101" if "for=" in told else "V001"), result["reason"]
    assert told in result["reason"]
    assert "not answered" not in result["reason"]


@pytest.mark.parametrize(("count", "code"), [(2, "V101"), (1, "V001")])
def test_a_host_that_a_proxy_copies_before_its_own_address(count: int, code: str) -> None:
    """As Spring Cloud Gateway does in an element of its own: another one ends there."""

    def behave(connection: Connection) -> None:
        lines = connection.read()[1:]
        handed = [line for line in lines if line[0].lower() != "forwarded"]
        its = ("Forwarded", f'proto=http;host={dict(lines).get("Host")};for="{CLIENT}:59294"')
        headers = [*handed, ("Forwarded", f"for={CLIENT}"), its]
        document = {"kestrel": 1, "headers": headers, "peer": {"address": NODE, "port": 1}}
        connection.send(response(json.dumps(document).encode()))

    with Server(behave) as server:
        asked = {**FORWARDED, "trusted_count": count}
        result = probe(url=server.url, expected_source=[CLIENT], **asked)
    assert result["code"] == code, result["reason"]
    assert ("Host: <host>;for=6.6.6.6,x=y" in result["reason"]) is (code == "V101")


@pytest.mark.parametrize(("pod", "code"), [("pod-a", "V101"), ("other/pod-b", "V001")])
def test_a_forged_host_that_reaches_another_app_deceives_nobody(pod: str, code: str) -> None:
    """As a default backend that shows what it was sent."""

    def behave(connection: Connection) -> None:
        lines = connection.read()[1:]
        asked = dict(lines).get("Host", "")
        known = asked == f"127.0.0.1:{server.port}"
        space, _slash, name = ("shop/pod-a" if known or "/" not in pod else pod).partition("/")
        seen = ("Forwarded", f"for={CLIENT};host={asked};proto=http")
        told = {"pod": name, "namespace": space, "peer": {"address": NODE, "port": 1}}
        document = {"kestrel": 1, "headers": [*lines, seen], **told}
        connection.send(response(json.dumps(document).encode()))

    pods = {"expect_backends": ["pod-a"], "backend_namespace": "shop"}
    with Server(behave) as server:
        result = probe(url=server.url, expected_source=[CLIENT], **FORWARDED, **pods)
    assert result["code"] == code, result["reason"]


@pytest.mark.parametrize("name", ["X-Client-IP", "CF-Connecting-IP", "Fly-Client-IP"])
def test_connection_names_what_proxies_hand_on(name: str) -> None:
    """One proxy writes a header and drops what Connection names, another one reads it."""

    def behave(connection: Connection) -> None:
        lines = connection.read()[1:]
        named = ",".join(value for key, value in lines if key == "Connection").split(",")
        dropped = name in [one.strip() for one in named]
        seen = ("X-Forwarded-For", NODE if dropped else CLIENT)
        document = {"kestrel": 1, "headers": [*lines, seen], "peer": {"address": NODE, "port": 1}}
        connection.send(response(json.dumps(document).encode()))

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    assert (result["verdict"], result["code"]) == ("forgeable", "V102"), result["reason"]


@pytest.mark.parametrize("layer", ["l4", "l7"])
@pytest.mark.parametrize("version", ["PROXY TCP4", SECOND])
def test_who_takes_the_proxy_protocol_behind_who_ends_tls(
    tmp_path: Path, layer: str, version: str
) -> None:
    file = certificate(tmp_path, "127.0.0.1")
    # In front of TLS nobody takes it: what ends TLS hands on what is in it, as it is.
    with Server(takes_proxy_lines(CLIENT, version), tls=server_tls(file)) as running:
        secured = {"ca_path": str(file), "forge": True, "layer": layer}
        result = probe(url=running.url, expected_source=[CLIENT], **secured)
    assert (result["verdict"], result["code"]) == ("forgeable", "V104"), result["reason"]
    assert f"{version} 6.6.6.6 " in result["reason"]


@pytest.mark.parametrize(
    ("shows", "code"),
    [
        # The second line, which the client wrote, is the one that an application reads.
        (lambda values: values[0], "V420"),
        # The same in the form of those that show each line.
        (lambda values: values[:1], "V420"),
        (list, "V101"),
        (", ".join, "V101"),
    ],
)
def test_an_app_that_shows_one_line_of_several(shows: Any, code: str) -> None:
    def behave(connection: Connection) -> None:
        given = connection.read()[1:]
        forged = [value for name, value in given if name.lower() == "x-forwarded-for"]
        lines = [line for line in given if line[0].lower() != "x-forwarded-for"]
        # A proxy that writes anew the first line only.
        lines += [("X-Forwarded-For", value) for value in (CLIENT, *forged[1:])]
        names = {name.lower() for name, _value in lines}
        headers = {one: shows([v for name, v in lines if name.lower() == one]) for one in names}
        connection.send(response(json.dumps({"request": headers}).encode()))

    own = {"echo_format": "jmespath", "echo_queries": {"headers": "request"}}
    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True, **own)
    assert result["code"] == code, result["reason"]
    assert result["safe_strategy"] is None, "nor is what isn't shown advised"


@pytest.mark.parametrize(
    ("shows", "code"),
    [(lambda values: values[0], "V420"), (lambda values: values[-1], "V420"), (", ".join, "V208")],
)
def test_an_app_that_shows_one_of_the_lines_of_two_proxies(shows: Any, code: str) -> None:
    def behave(connection: Connection) -> None:
        # HAProxy's forwardfor adds a line to the one that is there.
        lines = [*connection.read()[1:], ("X-Forwarded-For", CLIENT)]
        lines.append(("X-Forwarded-For", "10.9.8.7"))
        headers: dict[str, list[str]] = {}
        for name, value in lines:
            headers.setdefault(name, []).append(value)
        told = {name: shows(values) for name, values in headers.items()}
        connection.send(response(json.dumps({"headers": told, "method": "GET"}).encode()))

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], echo_format="flask")
    assert result["code"] == code, result["reason"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"layer": "l4"}, "V417"),
        ({"strategy": "rightmost_trusted_range", "trusted_ranges": ["10.9.0.0/16"]}, "V427"),
    ],
)
@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Own-Address"])
def test_an_app_that_takes_its_peer_from_a_header_that_is_written_anew(
    options: dict[str, Any], code: str, header: str
) -> None:
    def behave(connection: Connection) -> None:
        given = connection.read()[1:]
        lines = [line for line in given if line[0].lower() != "x-forwarded-for"]
        lines += [("X-Forwarded-For", CLIENT), (header, f"{CLIENT}:4242")]
        connection.send(response(json.dumps({"lines": lines, "ip": CLIENT}).encode()))

    own = {"echo_format": "jmespath", "echo_queries": {"headers": "lines", "peer": "ip"}}
    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True, **own, **options)
    assert result["code"] == code, result["reason"]


@pytest.mark.parametrize("most", [1000, 40])
def test_one_replica_that_believes_the_client(most: int) -> None:
    """Also behind what takes few lines, as Varnish, and refuses the request with all of them."""
    pods = ["a", "b", "c"]

    def replica(document: dict[str, Any], number: int) -> None:
        lines = document["headers"]
        document["pod"] = pods[number % 3]
        believed = [value for name, value in lines if name == "X-Azure-ClientIP"]
        if believed and document["pod"] == "c":
            lines[-1] = ("X-Forwarded-For", believed[0])

    takes = echo(CLIENT, replica)

    def behave(connection: Connection) -> None:
        refuse = says(response(b"", "400 Bad Request"))
        (takes if len(connection.read()) <= most else refuse)(connection)

    with Server(behave) as running:
        asked = {"expected_source": [CLIENT], "forge": True, "expect_backends": pods}
        result = probe(url=running.url, samples=3, concurrency=1, **asked)
    assert (result["verdict"], result["code"]) == ("forgeable", "V101"), result["reason"]


# --- Ways around ----------------------------------------------------------------------------------

CDN = "151.101.1.140"
#: The load balancer's own address, beside the CDN's on the usual one
OWN = "127.0.0.2"
#: What is asked where the CDN and the load balancer both append
PAST: dict[str, Any] = {
    "expected_source": [CLIENT],
    "trusted_count": 2,
    "forge": True,
    "bypass": {"load_balancer": [OWN]},
}


def at_most(number: int, behaviour: Behaviour, then: Behaviour) -> Behaviour:
    """Behaves so to as many requests, and in the other way to all that come after."""
    left, lock = [number], threading.Lock()

    def behave(connection: Connection) -> None:
        with lock:
            left[0] -= 1
            some = left[0] >= 0
        (behaviour if some else then)(connection)

    return behave


def around(
    monkeypatch: pytest.MonkeyPatch, directly: str | None, *name_leads_to: str, **options: Any
) -> dict[str, Any]:
    """Probe a load balancer behind a CDN, whose ``directly`` is the mode of the former alone."""
    names = {
        "echo.example.com": [*name_leads_to],
        "lb.example.com": [OWN],
        "cdn.example.com": [*name_leads_to],
    }
    monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver(names))
    before = (
        proxied("real ip", CLIENT)
        if options.get("header")
        else proxied("append", f"{CLIENT}, {CDN}")
    )
    with Server(before) as front, ExitStack() as stack:
        if directly is not None:
            behaviour = proxied(directly, "203.0.113.9")
            if directly == "PROXY":
                behaviour = takes_proxy_lines("203.0.113.9")
            elif directly.startswith("serves "):
                behaviour = serves_only(f"{CLIENT}/31", "203.0.113.9")
            elif directly == "hangs":
                behaviour = hangs_where_forged("203.0.113.9")
            elif directly == "PROXY only":
                behaviour = takes_proxy_lines(None)
            elif directly.startswith("only with "):
                behaviour = only_with(directly[10:], proxied("append", "203.0.113.9"))
            elif directly.startswith("silent without "):
                behaviour = only_with(directly[15:], proxied("append", "203.0.113.9"), silent)
            elif directly == "silent":
                behaviour = silent
            elif directly[0].isdigit():
                number, _then, status = directly.partition(" then ")
                refuse = says(response(b"", status))
                behaviour = at_most(int(number), proxied("replace", "203.0.113.9"), refuse)
            elif directly == "by name":
                behaviour = only_for("lb.example.com", proxied("append", "203.0.113.9"))
            stack.enter_context(Server(behaviour, address=(OWN, front.port)))
        url = f"http://echo.example.com:{front.port}/"
        return probe(url=url, **{**PAST, **options})


def test_a_load_balancer_behind_a_cdn_that_answers_directly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = around(monkeypatch, "append", "127.0.0.1")
    assert (result["verdict"], result["code"]) == ("forgeable", "V103"), result["reason"]
    assert "echo.example.com" in result["reason"]
    assert OWN in result["reason"]
    there = [entry for entry in result["bypass"] if entry["port"] not in (80, 443)]
    assert {entry["port"] for entry in result["bypass"]} > {80, 443}, "where else it may listen"
    hosts = [entry["host_header"] for entry in there]
    port = there[0]["port"]
    # Of another port than the usual one, with it and without
    assert hosts == [f"echo.example.com:{port}", "echo.example.com", f"{OWN}:{port}", OWN]
    assert result["safe_strategy"] is None, "none of this way is safe"
    for entry in there:
        told = (entry["way"], entry["reachable"], entry["vantage"])
        assert told == ("load_balancer", True, "outside")


@pytest.mark.parametrize(
    ("options", "code", "without"),
    [
        ({"expected_source": []}, "V103", "V401"),
        ({"expected_source": ["203.0.113.0/24"]}, "V103", "V413"),
        ({"expect_backends": ["a"]}, "V103", "V002"),
        ({"expect_backends": ["a", "b"], "max_samples": 10}, "V103", "V411"),
        # From there the balancer may not have been met, on neither way.
        ({"vantage": "node"}, "V423", "V423"),
        ({"trusted_count": 1}, "V208", "V208"),
    ],
)
def test_no_doubt_hides_a_way_around(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], code: str, without: str
) -> None:
    result = around(monkeypatch, "append", "127.0.0.1", **options)
    assert result["code"] == code, result["reason"]
    closed = around(monkeypatch, "replace", "127.0.0.1", **options)
    assert closed["code"] == without, closed["reason"]
    hidden = without if result["code"] == "V103" and closed["verdict"] == "unproven" else None
    assert (result["doubt"] or {}).get("code") == hidden
    assert closed["doubt"] is None


@pytest.mark.parametrize(
    ("directly", "safe", "told"),
    [
        ("append", None, True),
        ("replace", {"strategy": "rightmost_trusted_count", "trusted_count": 2}, False),
        (None, {"strategy": "rightmost_trusted_count", "trusted_count": 2}, False),
    ],
)
@pytest.mark.parametrize("strategy", ["rightmost_trusted_count", "leftmost_non_private"])
def test_no_strategy_is_called_safe_that_a_way_around_deceives(
    monkeypatch: pytest.MonkeyPatch,
    strategy: str,
    directly: str | None,
    safe: dict[str, Any] | None,
    told: bool,
) -> None:
    """The declared one is wrong already, so that nothing is taken back but the advice."""
    count = 1 if strategy.startswith("right") else None
    declared = {"strategy": strategy, "trusted_count": count}
    result = around(monkeypatch, directly, "127.0.0.1", **declared)
    assert result["verdict"] in ("lost", "forgeable")
    assert result["safe_strategy"] == (safe and {**safe, "header": "X-Forwarded-For"})
    assert any("it isn't safe until" in text for text in result["warnings_found"]) is told


@pytest.mark.parametrize("is_appended", [False, True])
def test_what_honest_requests_show_past_a_proxy_makes_no_strategy_unsafe(is_appended: bool) -> None:
    """A load balancer on the machine of the next proxy shows loopback, which is forged as well."""
    with (
        Server(proxied("replace", CLIENT)) as front,
        Server(
            proxied("append" if is_appended else "replace", "127.0.0.1"), address=(OWN, front.port)
        ),
    ):
        result = probe(url=front.url, **{**PAST, "trusted_count": 1})
    assert result["code"] == "V001", result["reason"]
    assert result["safe_strategy"] is not None
    assert not any("it isn't safe until" in text for text in result["warnings_found"])


@pytest.mark.parametrize("status", [[OWN, "cdn.example.com"], ["cdn.example.com", OWN]])
def test_a_status_that_names_the_cdn_beside_the_address(
    monkeypatch: pytest.MonkeyPatch, status: list[str]
) -> None:
    result = around(monkeypatch, "append", "127.0.0.1", bypass={"load_balancer": status})
    assert (result["verdict"], result["code"]) == ("forgeable", "V103"), result["reason"]
    assert {entry["address"] for entry in result["bypass"]} == {OWN}
    replaced = around(monkeypatch, "replace", "127.0.0.1", bypass={"load_balancer": status})
    assert replaced["code"] == "V001", replaced["reason"]
    assert not any("asked directly" in text for text in replaced["warnings_found"])


def test_a_url_that_leads_to_one_of_several_addresses_of_a_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two addresses one can be that of what stands in front; the other one is asked as well."""
    status = {"load_balancer": ["127.0.0.1", OWN]}
    result = around(monkeypatch, "append", "127.0.0.1", bypass=status)
    assert (result["verdict"], result["code"]) == ("forgeable", "V103"), result["reason"]
    # The port of the URL is none that a load balancer usually has.
    assert {entry["address"] for entry in result["bypass"]} == {OWN, "127.0.0.1"}
    assert OWN in result["reason"]
    replaced = around(monkeypatch, "replace", "127.0.0.1", bypass=status)
    assert replaced["code"] == "V001", replaced["reason"]


@pytest.mark.parametrize(
    ("status", "seen", "count", "told"),
    [
        (["cdn.example.com"], f"{CLIENT}, {CDN}", 2, True),
        # One proxy is the load balancer, whatever its name.
        (["cdn.example.com"], CLIENT, 1, False),
        # What is known to be the load balancer's own is asked.
        (["lb.example.com"], f"{CLIENT}, {CDN}", 2, False),
        ([OWN], f"{CLIENT}, {CDN}", 2, False),
        # Nor does the same address tell what it is, where two proxies write.
        (["127.0.0.1", "cdn.example.com"], f"{CLIENT}, {CDN}", 2, True),
        (["127.0.0.1"], f"{CLIENT}, {CDN}", 2, True),
        (["127.0.0.1"], CLIENT, 1, False),
    ],
)
def test_a_status_with_nothing_but_the_name_of_what_stands_in_front(
    monkeypatch: pytest.MonkeyPatch, status: list[str], seen: str, count: int, told: bool
) -> None:
    names = {name: ["127.0.0.1"] for name in ("echo.example.com", "cdn.example.com")}
    monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver({**names, "lb.example.com": [OWN]}))
    with Server(proxied("append", seen)) as front:
        url = f"http://echo.example.com:{front.port}/"
        bypass = {"load_balancer": status, "listeners": [f"http:{front.port}"]}
        result = probe(url=url, **{**PAST, "bypass": bypass, "trusted_count": count})
    assert result["code"] == "V001", result["reason"]
    warned = [text for text in result["warnings_found"] if "stands in front of the one" in text]
    assert len(warned) == int(told)
    assert all(", ".join(status) in text for text in warned)


@pytest.mark.parametrize(
    ("status", "header", "told"),
    [
        (["cdn.example.com"], "CF-Connecting-IP", True),
        (["cdn.example.com"], "x-original-forwarded-for", True),
        (["cdn.example.com"], "X-Request-Id", False),
        ([OWN], "CF-Connecting-IP", False),
    ],
)
def test_a_header_of_a_cdn_behind_a_status_with_nothing_but_a_name(
    monkeypatch: pytest.MonkeyPatch, status: list[str], header: str, told: bool
) -> None:
    """The load balancer can write its list anew, of one entry, from what the CDN has written."""
    names = {name: ["127.0.0.1"] for name in ("echo.example.com", "cdn.example.com")}
    monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver(names))

    def change(document: dict[str, Any], _number: int) -> None:
        document["headers"] = [*document["headers"], (header, CLIENT)]

    with Server(echo(CLIENT, change)) as front:
        url = f"http://echo.example.com:{front.port}/"
        options = {**PAST, "bypass": {"load_balancer": status}, "trusted_count": 1}
        result = probe(url=url, **{**options, "forge": False})
    assert result["code"] == "V001", result["reason"]
    warned = [text for text in result["warnings_found"] if "which a CDN writes" in text]
    assert len(warned) == int(told)


@pytest.mark.parametrize(("code", "rounds"), [("V504", 1), ("V509", 2), ("V001", 2)])
def test_where_no_connection_is_taken_nothing_more_is_tried(code: str, rounds: int) -> None:
    """Each attempt may last until its time is over, and there are many hosts and paths."""
    asked: list[int] = []
    times: list[float] = []

    class Surveyed:
        def __init__(self, targets: list[Any], request: Any = None, **_options: Any) -> None:
            self.targets = targets
            times.extend([request.timeout] if request else [])

        def run(self) -> list[_probe.Visit]:
            asked.append(len(self.targets))
            visits = [_probe.Visit(target) for target in self.targets]
            for visit in visits:
                remote = ip_address(OWN)
                place = _probe.SocketAddress(socket.AF_INET, (OWN, 80), remote)
                station = _probe.Station(visit.target, place)
                station.result = ([Sample(code)], [])
                visit.stations.append(station)
            return visits

    endpoint = _probe.Endpoint(OWN, 80, "a.example", "/")
    question = Question(Expectation("inferred"), Strategy("peer"))
    target = _probe.Target("", "", endpoint, question)
    ways = [
        Way("load_balancer", (0,), target._replace(endpoint=endpoint._replace(path=path)))
        for path in ("/", "/a", "/b")
    ]
    survey: Any = Surveyed
    visited = source_ip_info.walk(survey, ways, 0, _probe.Request(timeout=5))
    assert times == [2], "a connection is taken at once"
    assert asked == ([1, 0] if rounds == 1 else [1, 3])
    assert len(visited) == len(ways)


def test_a_load_balancer_that_answers_to_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    bypass = {"load_balancer": ["lb.example.com", OWN]}
    result = around(monkeypatch, "by name", "127.0.0.1", bypass=bypass)
    assert (result["verdict"], result["code"]) == ("forgeable", "V103"), result["reason"]
    reached = {entry["host_header"] for entry in result["bypass"] if entry["reachable"]}
    assert {name.partition(":")[0] for name in reached} == {"lb.example.com"}


def test_a_load_balancer_that_answers_to_the_host_of_a_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bypass = {"load_balancer": [OWN], "hosts": ["lb.example.com"]}
    result = around(monkeypatch, "by name", "127.0.0.1", bypass=bypass)
    assert (result["verdict"], result["code"]) == ("forgeable", "V103"), result["reason"]


def test_a_load_balancer_that_wants_the_same_host_in_tls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = certificate(tmp_path, "echo.example.com")
    tls, named = server_tls(file), set()
    tls.sni_callback = lambda sock, name, _context: named.add((sock, name)) or None

    def behave(connection: Connection) -> None:
        same = (connection.sock, "app.example.com") in named
        wanted = only_for("app.example.com", proxied("append", "203.0.113.9"))
        (wanted if same else says(response(b"", "421 Misdirected Request")))(connection)

    monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver({"echo.example.com": ["127.0.0.1"]}))
    before = proxied("append", f"{CLIENT}, {CDN}")
    with (
        Server(before, tls=server_tls(file)) as front,
        Server(behave, tls=tls, address=(OWN, front.port)),
    ):
        result = probe(
            url=f"https://echo.example.com:{front.port}/",
            host_header="app.example.com",
            ca_path=str(file),
            **PAST,
        )
    assert (result["verdict"], result["code"]) == ("forgeable", "V103"), result["reason"]


@pytest.mark.parametrize(("told", "code"), [(True, "V103"), (False, "V001")])
def test_a_load_balancer_that_listens_elsewhere_than_what_stands_in_front(
    monkeypatch: pytest.MonkeyPatch, told: bool, code: str
) -> None:
    monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver({"echo.example.com": ["127.0.0.1"]}))
    before, behind = (proxied("append", one) for one in (f"{CLIENT}, {CDN}", "203.0.113.9"))
    with Server(before) as front, Server(behind, address=(OWN, 0)) as own:
        listeners = [f"http:{own.port}"] if told else []
        url = f"http://echo.example.com:{front.port}/"
        bypass = {"load_balancer": [OWN], "listeners": listeners}
        result = probe(url=url, **{**PAST, "bypass": bypass})
    assert result["code"] == code, result["reason"]
    ports = {entry["port"] for entry in result["bypass"] if entry["reachable"]}
    assert ports == ({own.port} if told else set())


@pytest.mark.parametrize(("told", "code"), [(True, "V103"), (False, "V001")])
def test_a_load_balancer_that_answers_to_the_path_of_a_rule(
    monkeypatch: pytest.MonkeyPatch, told: bool, code: str
) -> None:
    monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver({"echo.example.com": ["127.0.0.1"]}))
    before, behind = (proxied("append", one) for one in (f"{CLIENT}, {CDN}", "203.0.113.9"))
    with (
        Server(before) as front,
        Server(only_at("/app", behind), address=(OWN, front.port)),
    ):
        url = f"http://echo.example.com:{front.port}/"
        bypass = {"load_balancer": [OWN], "paths": ["/app"] if told else []}
        result = probe(url=url, **{**PAST, "bypass": bypass})
    assert result["code"] == code, result["reason"]
    reached = {entry["path"] for entry in result["bypass"] if entry["reachable"]}
    assert reached == ({"/app"} if told else set())


@pytest.mark.parametrize(
    ("directly", "code"),
    [
        # On layer 4 nobody writes a header but the client.
        (echo(None), "V105"),
        (proxied("append", "203.0.113.9"), "V001"),
        (None, "V001"),
    ],
)
def test_a_service_that_has_a_load_balancer_of_its_own(
    directly: Behaviour | None, code: str
) -> None:
    with Server(proxied("append", CLIENT)) as front, ExitStack() as stack:
        port = front.port
        if directly is not None:
            port = stack.enter_context(Server(directly, address=(OWN, 0))).port
        bypass = {"service": [f"{OWN}:{port}"]}
        # Who speaks no TLS waits for the end of a line.
        options = {**PAST, "trusted_count": 1, "bypass": bypass, "timeout": 2}
        result = probe(url=front.url, **options)
    assert result["code"] == code, result["reason"]
    reached = [(entry["way"], entry["reachable"]) for entry in result["bypass"]]
    assert reached == [("service", directly is not None), ("service", False)], "and with TLS"
    assert (result["safe_strategy"] is None) == (code == "V105")


def test_a_service_whose_own_load_balancer_ends_tls(tmp_path: Path) -> None:
    """That nobody vouches for its certificate keeps nobody from asking there."""
    tls = server_tls(certificate(tmp_path, "elsewhere.example.com"))
    with (
        Server(proxied("append", CLIENT)) as front,
        Server(echo(None), tls=tls, address=(OWN, 0)) as own,
    ):
        bypass = {"service": [own.authority]}
        result = probe(url=front.url, **{**PAST, "trusted_count": 1, "bypass": bypass})
    assert result["code"] == "V105", result["reason"]
    assert [entry["reachable"] for entry in result["bypass"]] == [False, True]


@pytest.mark.parametrize(
    ("path", "known", "rules"),
    [
        ("/echo", "/", []),
        ("/team/shop/whoami", "/whoami", ["/team/shop"]),
        ("/team/shop/whoami", "/whoami", ["/team/shop(/|$)(.*)"]),
        ("/shop/whoami", "/whoami", []),
    ],
)
def test_a_services_own_address_where_the_ingress_rewrites_the_path(
    path: str, known: str, rules: list[str]
) -> None:
    with Server(proxied("append", CLIENT)) as front, Server(only_at(known, echo(None))) as own:
        bypass = {"service": [own.authority], "paths": rules}
        options = {**PAST, "trusted_count": 1, "bypass": bypass, "timeout": 2}
        result = probe(url=f"{front.url.rstrip('/')}{path}", **options)
    assert result["code"] == "V105", result["reason"]


def test_a_services_own_address_where_the_app_knows_the_host_of_a_rule_only() -> None:
    """The load balancer can write another name than the URL's, as for what checks it."""
    app = only_for("origin.example.com", echo(None))
    with Server(proxied("append", CLIENT)) as front, Server(app) as own:
        bypass = {"service": [own.authority], "hosts": ["origin.example.com"]}
        options = {**PAST, "trusted_count": 1, "bypass": bypass, "timeout": 2}
        result = probe(url=front.url, **options)
    assert result["code"] == "V105", result["reason"]


@pytest.mark.parametrize("ported", [True, False])
def test_a_load_balancer_that_knows_a_host_with_its_port_only_or_without(
    monkeypatch: pytest.MonkeyPatch, ported: bool
) -> None:
    names = {"echo.example.com": ["127.0.0.1"]}
    monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver(names))
    known = "origin.example.com"

    def behave(connection: Connection) -> None:
        asked = dict(connection.read())["Host"]
        expected = f"{known}:{connection.server.port}" if ported else known
        knows = proxied("append", "203.0.113.9")
        (knows if asked == expected else says(response(b"", "404 Not Found")))(connection)

    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(behave, address=(OWN, front.port)),
    ):
        url = f"http://echo.example.com:{front.port}/"
        result = probe(url=url, **{**PAST, "bypass": {"load_balancer": [OWN], "hosts": [known]}})
    assert result["code"] == "V103", result["reason"]


@pytest.mark.parametrize("name", ["CF-Ray", "X-Forwarded-Proto", "X-Forwarded-Ssl", "CF-IPCountry"])
def test_a_load_balancer_behind_three_proxies_that_wants_what_they_write(name: str) -> None:
    """Who walks around them writes that beside a list that is as long."""
    seen = f"{CLIENT}, {CDN}, 203.0.113.8"
    directly = only_with(name, proxied("append", "203.0.113.9"))
    with Server(proxied("append", seen)) as front, Server(directly, address=(OWN, front.port)):
        options = {**PAST, "trusted_count": 3, "timeout": 2}
        result = probe(url=front.url, **options)
    assert result["code"] == "V103", result["reason"]


def test_a_services_own_address_leads_past_each_target() -> None:
    """The first of them gives no answer, which can be accepted, and must hide nothing."""
    with Server(proxied("append", CLIENT)) as front, Server(echo(None)) as own:
        targets = [{"url": "http://127.0.0.1:1/"}, {"url": front.url}]
        bypass = {"service": [own.authority]}
        options = {**PAST, "trusted_count": 1, "bypass": bypass, "timeout": 2}
        result = probe(targets=targets, **options)
    assert [one["code"] for one in result["targets"]] == ["V503", "V105"], result["reason"]


@pytest.mark.parametrize(
    ("directly", "place", "code"),
    [
        (proxied("append", OWN), "vpc", "V103"),
        # It writes the header anew, as ingress-nginx does by itself.
        (proxied("replace", OWN), "vpc", "V001"),
        (None, "vpc", "V001"),
        # A private address is another's elsewhere, and in the cluster each node answers.
        (proxied("append", OWN), "outside", "V001"),
        (proxied("append", OWN), "node", "V423"),
    ],
)
def test_a_node_port_of_the_ingress_controller(
    directly: Behaviour | None, place: str, code: str
) -> None:
    """Behind a proxy in front of the nodes that the application counts on."""
    with Server(proxied("append", f"{CLIENT}, {CDN}")) as front, ExitStack() as stack:
        port = front.port
        if directly is not None:
            port = stack.enter_context(Server(directly, address=(OWN, 0))).port
        options = {**PAST, "timeout": 2, "vantage": place}
        result = probe(url=front.url, **{**options, "bypass": {"controller": [f"{OWN}:{port}"]}})
        # By a Service it is asked for from anywhere outside.
        other = {"controller_service": [f"{OWN}:{port}"]}
        by_service = probe(url=front.url, **{**options, "bypass": other})
    assert result["code"] == code, result["reason"]
    expected = "V103" if directly and place == "outside" else code
    assert by_service["code"] == expected, by_service["reason"]
    ways = {(entry["way"], entry["tls"]) for entry in result["bypass"]}
    assert ways == ({("controller", False), ("controller", True)} if place == "vpc" else set())


def test_who_answers_without_tls_where_it_is_taken_for_some_names_only(tmp_path: Path) -> None:
    """As Traefik with ``sniStrict``, which says 404 at its port for TLS to what is none."""
    tls = server_tls(certificate(tmp_path, "origin.example.com"))

    def admit(_socket: Any, name: str | None, _context: Any) -> int | None:
        known = name == "origin.example.com"
        return None if known else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    tls.sni_callback = admit
    serve = proxied("append", "203.0.113.9")

    def behave(connection: Connection) -> None:
        if connection.sock.recv(1, socket.MSG_PEEK) == b"\x16":
            with tls.wrap_socket(connection.sock, server_side=True) as secured:
                serve(Connection(secured, connection.server))
        else:
            connection.read()
            connection.send(response(b"", "404 Not Found"))

    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(behave, address=(OWN, 0)) as own,
    ):
        listeners = [f"http:{own.port}", f"https:{own.port}"]
        known = {"load_balancer": [OWN], "hosts": ["origin.example.com"], "listeners": listeners}
        result = probe(url=front.url, **{**PAST, "bypass": known, "timeout": 2})
    assert result["code"] == "V103", result["reason"]
    reached = [one for one in result["bypass"] if one["reachable"]]
    assert {(one["tls"], one["host_header"]) for one in reached} >= {(True, "origin.example.com")}


def test_tls_is_tried_by_each_name_and_no_more_where_none_is_spoken() -> None:
    began = []

    def behave(connection: Connection) -> None:
        if connection.sock.recv(1, socket.MSG_PEEK) == b"\x16":
            began.append(1)
            connection.send(response(b"", "400 Bad Request"))
        else:
            connection.read()
            connection.send(response(b"", "404 Not Found"))

    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(behave, address=(OWN, 0)) as own,
    ):
        known = {"controller_service": [f"{OWN}:{own.port}"], "hosts": ["a.example", "b.example"]}
        result = probe(url=front.url, **{**PAST, "bypass": known, "timeout": 2})
    assert result["code"] == "V001", result["reason"]
    # An honest request has three tries, for each name that TLS can have.
    names = {"127.0.0.1", OWN, "a.example", "b.example"}
    assert len(began) == 3 * len(names)
    assert {entry["tls"] for entry in result["bypass"]} == {False, True}


def test_a_load_balancer_that_admits_by_the_name_in_tls_alone(tmp_path: Path) -> None:
    """One wants a certificate of the client by that name, and goes by Host for all else."""
    file = certificate(tmp_path, "app.example.com")
    tls = server_tls(file)

    def admit(_socket: Any, name: str | None, _context: Any) -> int | None:
        return ssl.ALERT_DESCRIPTION_ACCESS_DENIED if name == "app.example.com" else None

    tls.sni_callback = admit
    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(only_for("app.example.com", echo(None)), tls=tls, address=(OWN, 0)) as balancer,
    ):
        target = {"url": f"http://app.example.com:{front.port}/", "connect_to": front.authority}
        bypass = {
            "load_balancer": [OWN],
            "listeners": [f"https:{balancer.port}"],
            "hosts": ["other.example.com"],
        }
        result = probe(targets=[target], **{**PAST, "bypass": bypass, "timeout": 2})
    assert result["code"] == "V103", result["reason"]


@pytest.mark.parametrize(
    ("known", "code", "is_told"),
    [
        (["origin.example.net"], "V103", False),
        # What stands in front asks by a name that no object has.
        ([], "V001", True),
        (["app.example.com"], "V001", False),
    ],
)
def test_a_load_balancer_that_takes_one_name_in_tls_alone(
    tmp_path: Path, known: list[str], code: str, is_told: bool
) -> None:
    """As HAProxy with strict-sni: what stands in front names another host there than in Host."""
    tls = server_tls(certificate(tmp_path, "origin.example.net"))
    taken = known or ["origin.example.net"]

    def admit(_socket: Any, name: str | None, _context: Any) -> int | None:
        return None if name in taken else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    tls.sni_callback = admit
    behind = proxied("append" if code == "V103" else "replace", f"{CLIENT}, {CDN}")
    believes = only_for("app.example.com", echo(None) if code == "V103" else behind)
    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(believes, tls=tls, address=(OWN, 0)) as balancer,
    ):
        target = {"url": f"http://app.example.com:{front.port}/", "connect_to": front.authority}
        bypass = {
            "load_balancer": [OWN],
            "listeners": [f"https:{balancer.port}"],
            "hosts": ["app.example.com", *known],
        }
        result = probe(targets=[target], **{**PAST, "bypass": bypass, "timeout": 2})
    assert result["code"] == code, result["reason"]
    told = [text for text in result["warnings_found"] if "not to the end" in text]
    assert bool(told) == is_told, told


@pytest.mark.parametrize(
    ("leads_to", "told"),
    [
        (["127.0.0.1"], ""),
        # Another one of the status, which need not be tested
        ([OWN, "127.0.0.1"], ""),
        (["203.0.113.80"], "leads elsewhere from here: 203.0.113.80"),
        (["127.0.0.1", "2001:db8::80"], "leads elsewhere from here: 2001:db8::80"),
        (["203.0.113.80", *(f"203.0.113.{n}" for n in (81, 82, 83))], "203.0.113.82, 1 more"),
        ([], ""),
    ],
)
def test_a_name_that_leads_elsewhere_than_the_load_balancer_is_told(
    monkeypatch: pytest.MonkeyPatch, leads_to: list[str], told: str
) -> None:
    """It is asked for by real_ip_host, and those who go by it meet a CDN."""
    monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver({"shop.example.com": leads_to}))
    with Server(echo()) as running:
        options = {"connect_to": running.authority, "bypass": {"load_balancer": [OWN]}}
        url = f"http://shop.example.com:{running.port}/"
        result = probe(url=url, expected_source=[CLIENT], samples=2, **options)
        lost = probe(url=url, expected_source=[NODE], samples=2, **options)
    assert (result["code"], lost["code"]) == ("V001", "V206")
    assert told in result["reason"], result["reason"]
    assert ("elsewhere" in result["reason"]) == bool(told)
    assert "elsewhere" not in lost["reason"]
    warned = [text for text in result["warnings_found"] if f"-e real_ip_url={url}" in text]
    assert len(warned) == bool(told)


@pytest.mark.parametrize("known", ["a.example", "b.example"])
@pytest.mark.parametrize("way", ["controller_service", "service"])
def test_past_several_targets_each_of_their_hosts_is_asked_for(known: str, way: str) -> None:
    """One speaks for all that ask the same."""
    with Server(proxied("append", CLIENT)) as front, Server(only_for(known, echo(None))) as own:
        urls = [f"http://{host}:{front.port}/" for host in ("a.example", "b.example")]
        targets = [{"url": url, "connect_to": front.authority} for url in urls]
        bypass = {way: [own.authority]}
        result = probe(targets=targets, **{**PAST, "trusted_count": 1, "bypass": bypass})
    assert result["verdict"] == "forgeable", result["reason"]


@pytest.mark.parametrize("refusal", ["403 Forbidden", "404 Not Found", ""])
def test_a_load_balancer_that_serves_single_addresses_by_what_a_client_writes(refusal: str) -> None:
    """What it makes of one that it serves, no other's prober sees. Many hide that they refuse."""

    def behave(connection: Connection) -> None:
        given = connection.read()[1:]
        believed = dict(given).get("X-Real-IP", CLIENT)
        if believed != CLIENT:
            if refusal:
                connection.send(response(b"", refusal))
            return
        before = [value for name, value in given if name == "X-Forwarded-For"]
        lines = [line for line in given if line[0] != "X-Forwarded-For"]
        listed = ", ".join([*before, believed])
        told = {"kestrel": 1, "headers": [*lines, ("X-Forwarded-For", listed)]}
        connection.send(response(json.dumps(told).encode()))

    with Server(proxied("append", CLIENT)) as front, Server(behave, address=(OWN, front.port)):
        result = probe(url=front.url, **{**PAST, "trusted_count": 1, "timeout": 2})
    assert result["code"] == "V001", result["reason"]
    assert any(OWN in text and "not tested" in text for text in result["warnings_found"])


def test_a_further_listener_is_asked_where_nothing_stands_in_front() -> None:
    """As a port of TCP that ingress-nginx was told of, at which it writes nothing."""
    with (
        Server(proxied("append", CLIENT)) as front,
        Server(echo(None, lambda _told, _number: None)) as other,
    ):
        told = {"alongside": {"Ingress echo/other": "one"}}
        listeners = [f"http:{front.port}", f"http:{other.port}"]
        bypass = {"load_balancer": ["127.0.0.1"], "listeners": listeners, **told}
        result = probe(url=front.url, expected_source=[CLIENT], bypass=bypass, forge=True)
        assert result["code"] == "V103", result["reason"]
        assert str(other.port) in result["reason"]
        # Nothing was asked past anything all the same.
        assert result["warnings_found"][-1].endswith("one")
        bypass["listeners"] = listeners[:1]
        result = probe(url=front.url, expected_source=[CLIENT], bypass=bypass, forge=True)
    assert result["code"] == "V001", result["reason"]


def test_a_further_port_that_says_nothing_takes_little_time_and_warns_of_nothing() -> None:
    """As one of TCP whose server waits for the client's protocol."""
    with Server(proxied("append", CLIENT)) as front, Server(silent) as other:
        listeners = [f"http:{front.port}", f"http:{other.port}", f"https:{other.port}"]
        told = {"hosts": ["a.example", "b.example"], "listeners": listeners}
        bypass = {"load_balancer": ["127.0.0.1"], **told}
        began = time.monotonic()
        given = {"bypass": bypass, "forge": True, "timeout": 2}
        result = probe(url=front.url, expected_source=[CLIENT], **given)
    assert time.monotonic() - began < 12
    assert (result["code"], result["warnings_found"]) == ("V001", []), result["reason"]


@pytest.mark.parametrize("lists_itself", [True, False])
def test_a_load_balancer_that_adds_its_own_address_is_no_second_proxy(lists_itself: bool) -> None:
    """As Google's writes it at the end of the list. Of others it is one that has that address."""
    with Server(proxied("append", f"{CLIENT}, 127.0.0.1")) as front:
        told = {"load_balancer": ["127.0.0.1"], "listeners": [f"http:{front.port}"]}
        bypass = {**told, "lists_itself": lists_itself}
        result = probe(url=front.url, **{**PAST, "bypass": bypass})
    assert result["code"] == "V001", result["reason"]
    told = any("stands in front of the one" in text for text in result["warnings_found"])
    assert told == (not lists_itself)


@pytest.mark.parametrize(
    ("listed", "hands_on", "inner", "is_told"),
    [
        (f"{CLIENT}, {CDN}", False, None, True),
        (f"{CLIENT}, {CDN}", True, None, False),
        (f"{CLIENT}, 203.0.113.5, {CDN}", True, None, True),
        # One of those before the controller is the load balancer.
        (f"{CLIENT}, {CDN}", False, CLIENT, False),
        (f"{CLIENT}, 203.0.113.5, {CDN}", False, CLIENT, True),
    ],
)
def test_what_is_known_to_stand_before_a_controller_is_no_second_proxy(
    listed: str, hands_on: bool, inner: str | None, is_told: bool
) -> None:
    """As an ALB before ingress-nginx. ``inner``: what the controller writes at a node port."""
    count = listed.count(",") + 1
    with (
        Server(proxied("append", listed)) as front,
        Server(proxied("replace", inner or CLIENT)) as node,
    ):
        asked = {"controller": [f"127.0.0.1:{node.port}"]} if inner else {}
        told = {"load_balancer": ["127.0.0.1"], "hands_on": hands_on, **asked}
        options = {**PAST, "trusted_count": count, "vantage": "vpc", "bypass": told}
        result = probe(url=front.url, **options)
    assert result["code"] == "V001", result["reason"]
    found = any("stands in front of the one" in text for text in result["warnings_found"])
    assert found == is_told


@pytest.mark.parametrize(
    ("name", "hands_on", "is_told"),
    [
        # By ingress-nginx, of what an ALB before it has sent
        ("X-Original-Forwarded-For", True, False),
        ("X-Original-Forwarded-For", False, True),
        ("CF-Connecting-IP", True, True),
    ],
)
def test_a_list_that_a_known_load_balancer_has_sent_tells_of_no_cdn(
    name: str, hands_on: bool, is_told: bool
) -> None:
    serve = proxied("replace", CLIENT)

    def behave(connection: Connection) -> None:
        connection.read()
        kept = [line for line in connection.lines if line[0] != name]
        connection.lines = [*kept, (name, CLIENT)]
        serve(connection)

    with Server(behave) as front:
        told = {"load_balancer": ["127.0.0.1"], "hands_on": hands_on}
        result = probe(url=front.url, **{**PAST, "trusted_count": 1, "bypass": told})
    assert result["code"] == "V001", result["reason"]
    found = any("arrived through" in text for text in result["warnings_found"])
    assert found == is_told


@pytest.mark.parametrize(("there", "is_told"), [(f"{CLIENT}, {CDN}", True), (CLIENT, False)])
def test_another_name_of_what_stands_in_front_is_no_way_past_it(
    monkeypatch: pytest.MonkeyPatch, there: str, is_told: bool
) -> None:
    """As a CDN gives another address to the name in the status, and serves every host there."""
    names = {"echo.example.com": ["127.0.0.1"], "edge.example.com": [OWN]}
    monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver(names))
    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(proxied("replace", there), address=(OWN, front.port)),
    ):
        known = {"bypass": {"load_balancer": ["edge.example.com"]}}
        result = probe(url=f"http://echo.example.com:{front.port}/", **{**PAST, **known})
    assert result["code"] == "V001", result["reason"]
    found = any("stands in front of the one" in text for text in result["warnings_found"])
    assert found == is_told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CF-IPCountry", "US"),
        ("CloudFront-Viewer-Country", "US"),
        # By which guides tell who comes through CloudFront
        ("User-Agent", "Amazon CloudFront"),
        ("Akamai-Origin-Hop", "2"),
        # Which a CDN writes into each request, and tells in its names
        ("X-Resource", "12345"),
    ],
)
@pytest.mark.parametrize("most", [1000, 40])
def test_what_a_cdn_writes_of_a_client_is_written_past_it(name: str, value: str, most: int) -> None:
    """What honest answers show of it opens a load balancer that serves one country, also one that
    takes few lines.
    """
    cdn = proxied("append", f"{CLIENT}, {CDN}")
    serve = proxied("append", "203.0.113.9")

    def write(connection: Connection) -> None:
        connection.read()
        kept = [line for line in connection.lines if line[0] != name]
        connection.lines = [*kept, (name, value)]
        cdn(connection)

    def behave(connection: Connection) -> None:
        given = connection.read()[1:]
        known = dict(given).get(name) == value and len(given) <= most
        (serve if known else says(response(b"", "403 Forbidden")))(connection)

    with Server(write) as front, Server(behave, address=(OWN, front.port)):
        result = probe(url=front.url, **PAST)
    assert result["code"] == "V103", result["reason"]


@pytest.mark.parametrize(
    ("name", "value", "believed"),
    [
        ("Edge-Client", CLIENT, "6.6.6.6"),
        ("Edge-Client", f"{CLIENT}:4711", "6.6.6.6:4711"),
        ("edge_client", f"{CLIENT}, 10.1.1.1", "6.6.6.6, 10.1.1.1"),
    ],
)
@pytest.mark.parametrize("marked", [False, True])
def test_a_header_of_a_cdn_that_nobody_has_heard_of_is_written_past_it(
    name: str, value: str, believed: str, marked: bool
) -> None:
    """Honest answers show the client's address there."""
    cdn = proxied("append", f"{CLIENT}, {CDN}")

    def write(connection: Connection) -> None:
        connection.read()
        own = {name: value, "User-Agent": "Amazon CloudFront"}
        connection.lines = [*(one for one in connection.lines if one[0] not in own), *own.items()]
        cdn(connection)

    def behave(connection: Connection) -> None:
        given = dict(connection.read()[1:])
        if marked and given.get("User-Agent") != "Amazon CloudFront":
            connection.send(response(b"", "403 Forbidden"))
            return
        seen = "6.6.6.6" if given.get(name) == believed else CLIENT
        proxied("replace", f"{seen}, {CDN}")(connection)

    with Server(write) as front, Server(behave, address=(OWN, front.port)):
        result = probe(url=front.url, **PAST)
    assert result["code"] == "V103", result["reason"]
    assert f"{name}: {believed}" in result["reason"]


@pytest.mark.parametrize(
    ("most", "gated", "code"),
    # With a dozen each is sent alone where it answers, and nothing opens it that is longer.
    [(40, False, "V103"), (40, True, "V103"), (12, False, "V103"), (12, True, "V001")],
)
def test_a_load_balancer_that_takes_few_header_lines(most: int, gated: bool, code: str) -> None:
    """As Varnish takes 64: whom it believes is seen in requests that it takes, or else said."""
    name = "CloudFront-Viewer-Address"

    def behave(connection: Connection) -> None:
        lines = connection.read()[1:]
        if len(lines) > most:
            connection.send(response(b"", "400 Bad Request"))
            return
        if gated and name not in dict(lines):
            connection.send(response(b"", "403 Forbidden"))
            return
        told = dict(lines).get(name, CLIENT).partition(":")[0]
        proxied("replace", f"{told}, {CDN}")(connection)

    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(behave, address=(OWN, front.port)),
    ):
        result = probe(url=front.url, **PAST)
    assert result["code"] == code, result["reason"]
    left = [text for text in result["warnings_found"] if "not to the end" in text]
    assert len(left) == (code == "V001")


def test_usual_ports_that_are_closed_tell_nothing_of_a_second_proxy_at_another_port() -> None:
    with Server(proxied("append", f"{CLIENT}, {CDN}")) as front:
        result = probe(url=front.url, **{**PAST, "bypass": {"load_balancer": ["127.0.0.1"]}})
    assert result["code"] == "V001", result["reason"]
    assert any("stands in front of the one" in text for text in result["warnings_found"])


@pytest.mark.parametrize(
    ("also", "reachable", "warned"),
    [
        ("", True, False),
        ("", False, True),
        # What answers there is what stands in front itself, which runs in the cluster too.
        (f", {CDN}", True, True),
    ],
)
def test_a_closed_port_of_the_controller_tells_nothing_of_a_second_proxy(
    also: str, reachable: bool, warned: bool
) -> None:
    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(
            proxied("append" if also else "replace", f"{CLIENT}{also}"), address=(OWN, 0)
        ) as controller,
    ):
        place = controller.authority if reachable else f"{OWN}:1"
        told = {"controller": [place], "listeners": [f"http:{front.port}"]}
        bypass = {"load_balancer": ["127.0.0.1"], **told}
        result = probe(url=front.url, **{**PAST, "bypass": bypass, "timeout": 2}, vantage="vpc")
    assert result["code"] == "V001", result["reason"]
    told = any("stands in front of the one" in text for text in result["warnings_found"])
    assert told == warned


@pytest.mark.parametrize("version", ["PROXY TCP4", SECOND])
@pytest.mark.parametrize(
    ("host", "port"), [("", 80), ("", 443), ("127.0.0.1", 0), (OWN, 0), ("127.0.0.3", 0)]
)
@pytest.mark.parametrize("way", ["load_balancer", "controller"])
def test_who_takes_the_proxy_protocol_goes_by_where_clients_ask(
    version: str, host: str, port: int, way: str
) -> None:
    """As HAProxy by ``dst_port``, and ingress-nginx where TLS has ended before it: what stands in
    front tells of its own address and port, and the load balancer before a controller of its.
    """

    def behave(connection: Connection) -> None:
        redirects = says(response(b"", "301 Moved Permanently"))
        asked = _asked_at(connection, version, host, port)
        (takes_proxy_lines(None, version) if asked else redirects)(connection)

    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(behave, address=(OWN, front.port)),
    ):
        asked = {
            "load_balancer": {"load_balancer": [OWN]},
            "controller": {"load_balancer": ["127.0.0.3"], "controller": [f"{OWN}:{front.port}"]},
        }
        given = {**PAST, "bypass": asked[way], "timeout": 2, "vantage": "vpc"}
        result = probe(url=front.url, **given)
    told = host != "127.0.0.3" or way == "controller"
    assert (result["code"] == "V103") == told, result["reason"]


def test_who_takes_the_proxy_protocol_goes_by_the_host_in_it() -> None:
    """As HAProxy by ``fc_pp_authority``, behind another one that has ended TLS."""

    def behave(connection: Connection) -> None:
        if b"echo.example.com".hex() not in connection.read_after()[0][1]:
            raise ConnectionAbortedError
        takes_proxy_lines(None, SECOND)(connection)

    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(behave, address=(OWN, front.port)),
    ):
        url = {"url": front.url, "host_header": "echo.example.com"}
        result = probe(**url, **{**PAST, "timeout": 2})
    assert result["code"] == "V103", result["reason"]


def test_who_takes_the_proxy_protocol_of_some_clients_goes_by_where_they_ask() -> None:
    with Server(proxied("append", f"{CLIENT}, {CDN}")) as front:

        def behave(connection: Connection) -> None:
            told = connection.read_after()[0][1].split()
            near = len(told) > 4 and ip_address(told[2]) in ip_network("203.0.113.0/24")
            if not (near and _asked_at(connection, host="127.0.0.1", port=front.port)):
                raise ConnectionAbortedError
            takes_proxy_lines(None)(connection)

        with Server(behave, address=(OWN, front.port)):
            result = probe(url=front.url, **{**PAST, "timeout": 2})
    assert result["code"] == "V103", result["reason"]


@pytest.mark.parametrize("named", [True, False])
def test_the_controllers_ports_are_asked_at_the_load_balancers_addresses(
    monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """Which can be a node's, by an address or by a name."""
    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(proxied("append", CLIENT), address=(OWN, 0)) as controller,
    ):
        names = {"echo.example.com": ["127.0.0.1"], "nodes.example.com": [OWN]}
        monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver(names))
        told = {"load_balancer": ["nodes.example.com" if named else OWN]}
        bypass = {**told, "controller_ports": [controller.port]}
        url = f"http://echo.example.com:{front.port}/"
        result = probe(url=url, **{**PAST, "bypass": bypass, "timeout": 2})
    assert result["code"] == "V103", result["reason"]
    assert controller.authority in result["reason"]


@pytest.mark.parametrize(("behind", "warned"), [(f", {CDN}", True), ("", False)])
def test_another_address_of_the_name_tells_nothing_of_a_second_proxy(
    monkeypatch: pytest.MonkeyPatch, behind: str, warned: bool
) -> None:
    """The status was told one of them, and at both the same stands in front."""
    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(proxied("append", f"{CLIENT}{behind}"), address=(OWN, front.port)),
    ):
        names = {"echo.example.com": ["127.0.0.1", OWN]}
        monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver(names))
        told = {"load_balancer": ["127.0.0.1"], "listeners": [f"http:{front.port}"]}
        url = f"http://echo.example.com:{front.port}/"
        result = probe(url=url, **{**PAST, "bypass": told, "timeout": 2})
    told = any("stands in front of the one" in text for text in result["warnings_found"])
    assert told == warned, result["warnings_found"]


def test_a_path_behind_that_of_a_rule_is_asked_for_past_what_stands_in_front() -> None:
    """A rule can take its own path away, and the app know what is behind it alone."""

    def behave(connection: Connection) -> None:
        asked = connection.read()[0][1].split()[1].partition("?")[0]
        known = asked == "/direct/whoami"
        (proxied("append", "203.0.113.9") if known else says(response(b"", "404 Not Found")))(
            connection
        )

    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(behave, address=(OWN, front.port)),
    ):
        given = {**PAST, "bypass": {"load_balancer": [OWN], "paths": ["/direct"]}, "timeout": 2}
        result = probe(url=f"{front.url}whoami", **given)
    assert result["code"] == "V103", result["reason"]


def test_where_the_time_ends_while_a_connection_is_made_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It isn't closed: there was no time to see it."""
    connect = _probe._connect

    def slow(address: _probe.SocketAddress, until: float) -> socket.socket:
        if str(address.remote) == OWN:
            time.sleep(max(until - time.monotonic(), 0))
            raise _probe.NoAnswer("V504")
        return connect(address, until)

    monkeypatch.setattr(_probe, "_connect", slow)
    monkeypatch.setattr(source_ip_info, "BYPASS_TIME", 1)
    with Server(proxied("append", f"{CLIENT}, {CDN}")) as front:
        result = probe(url=front.url, **{**PAST, "timeout": 30, "deadline": 1})
    assert result["code"] == "V001", result["reason"]
    assert {one["reachable"] for one in result["bypass"]} == {None}
    assert any(OWN in text and "not tested" in text for text in result["warnings_found"])


def test_of_several_addresses_one_that_is_closed_says_nothing_of_the_others() -> None:
    """Nothing stands in front of the one where the URL leads, whatever becomes of the other one."""
    with Server(proxied("append", f"{CLIENT}, {CDN}")) as front:
        told = {"alongside": {"Ingress echo/other": "one"}, "listeners": [f"http:{front.port}"]}
        bypass = {"load_balancer": ["127.0.0.1", OWN], **told}
        result = probe(url=front.url, **{**PAST, "bypass": bypass})
    assert result["code"] == "V001", result["reason"]
    assert {one["address"] for one in result["bypass"]} == {OWN}
    assert any(text.endswith(" one") for text in result["warnings_found"])
    assert any("stands in front of the one" in text for text in result["warnings_found"])


@pytest.mark.parametrize("past", [True, False])
def test_what_is_alongside_is_told_where_nothing_is_asked_past_anything(past: bool) -> None:
    """Where the load balancer is asked past what stands in front, these were asked for, and what
    it has beyond them wasn't.
    """
    status = OWN if past else "127.0.0.1"
    told = {"alongside": {"Ingress echo/other": "one"}, "beyond": {"Ingress echo/own": "two"}}
    with Server(proxied("append", CLIENT)) as front:
        bypass = {"load_balancer": [status], "listeners": [f"http:{front.port}"], **told}
        result = probe(url=front.url, expected_source=[CLIENT], bypass=bypass)
    assert result["code"] == "V001", result["reason"]
    assert [text.rpartition(" ")[2] for text in result["warnings_found"]] == [
        "two" if past else "one"
    ]


def test_a_load_balancer_that_speaks_old_tls_only(tmp_path: Path) -> None:
    """Who walks around speaks what works, as a CDN does to its origin."""
    file = certificate(tmp_path, "127.0.0.1")
    old = server_tls(file)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with (
        Server(proxied("append", f"{CLIENT}, {CDN}"), tls=server_tls(file)) as front,
        Server(proxied("append", "203.0.113.9"), tls=old, address=(OWN, front.port)),
    ):
        result = probe(url=front.url, ca_path=str(file), **PAST)
    assert result["code"] == "V103", result["reason"]


def test_something_in_front_can_have_the_load_balancers_own_address() -> None:
    """At a port of its own, as a proxy on a node before the controller there."""
    with (
        Server(proxied("append", f"{CLIENT}, {CDN}")) as front,
        Server(proxied("append", "203.0.113.9")) as own,
    ):
        bypass = {"load_balancer": ["127.0.0.1"], "listeners": [f"http:{own.port}"]}
        result = probe(url=front.url, **{**PAST, "bypass": bypass})
        assert result["code"] == "V103", result["reason"]
        bypass["listeners"] = [f"http:{front.port}"]
        result = probe(url=front.url, **{**PAST, "bypass": bypass})
    assert result["code"] == "V001", result["reason"]


@pytest.mark.parametrize("tls", [False, True])
def test_a_node_port_at_the_load_balancers_own_address_is_told(tmp_path: Path, tls: bool) -> None:
    """Which can be a node's that no node's status has; also where the pods speak TLS themselves."""
    settings = server_tls(certificate(tmp_path, "127.0.0.1")) if tls else None
    with (
        Server(proxied("append", CLIENT)) as front,
        Server(proxied("append", CLIENT), address=(OWN, front.port)),
        Server(proxied("add", CLIENT), tls=settings, address=(OWN, 0)) as node,
    ):
        bypass = {"load_balancer": [OWN], "node_ports_of_targets": [node.port]}
        result = probe(url=front.url, **{**PAST, "trusted_count": 1, "bypass": bypass})
    assert result["code"] == "V001", result["reason"]
    [told] = [text for text in result["warnings_found"] if str(node.port) in text]
    assert told.startswith(f"{node.authority} answers without the load balancer")


def test_a_service_that_takes_connections_and_answers_nothing_that_is_asked_is_open() -> None:
    """As where a rule rewrites the path to one that nothing tells."""
    unknown = says(response(b"", "404 Not Found"))
    with Server(proxied("append", CLIENT)) as front, Server(unknown) as other:
        given = {"bypass": {"service": [other.authority]}, "vantage": "vpc", "timeout": 2}
        result = probe(url=front.url, expected_source=[CLIENT], **given)
    assert result["code"] == "V001", result["reason"]
    [told] = result["warnings_found"]
    assert told.startswith(f"{other.authority} is where a Service leads to the pods by itself")


def test_past_what_stands_in_front_an_app_that_joins_lines_does_not_tell_which_is_read() -> None:
    def adding(kept: bool) -> Behaviour:
        def change(document: dict[str, Any], _number: int) -> None:
            given = document["headers"]
            own = [name for name in given if name.lower() == "x-real-ip"]
            before = [given.pop(name) for name in own]
            given["X-Real-IP"] = ",".join([*(before if kept else []), CLIENT])

        return echo(None, change, form="flask")

    options = {**PAST, "strategy": "single_header", "header": "X-Real-IP", "timeout": 2}
    del options["trusted_count"]
    with (
        Server(adding(kept=False)) as front,
        Server(adding(kept=True), address=(OWN, front.port)),
    ):
        result = probe(url=front.url, **options)
    assert result["code"] == "V001", result["reason"]
    assert any(OWN in text and "not tested" in text for text in result["warnings_found"])


def test_a_pod_that_takes_connections_and_answers_nothing_that_is_asked_is_open() -> None:
    """As one that wants the PROXY protocol does."""
    with Server(proxied("append", CLIENT)) as front, Server(takes_proxy_lines(None)) as pod:
        given = {"bypass": {"pods": [pod.authority]}, "vantage": "vpc", "timeout": 2}
        result = probe(url=front.url, expected_source=[CLIENT], **given)
    assert result["code"] == "V001", result["reason"]
    [told] = result["warnings_found"]
    assert told.startswith(f"{pod.authority} is a pod's and takes connections without")


@pytest.mark.parametrize("way", ["load_balancer", "controller_service", "service"])
@pytest.mark.parametrize(
    ("named", "deceives", "beside"),
    [
        ({"pod": "real-ip-a", "namespace": "echo"}, True, []),
        # One that was made since, or that says less
        ({"pod": "real-ip-b", "namespace": "echo"}, True, []),
        ({"pod": "real-ip-b"}, True, []),
        ({}, True, []),
        # Another app's, of another namespace or of a name that is known
        ({"pod": "real-ip-a", "namespace": "second"}, False, []),
        ({"pod": "whoami-x"}, False, []),
        # Where the Service that leads there leads to the pods as well, others meet these.
        ({"pod": "whoami-x"}, True, ["whoami-x"]),
    ],
)
def test_another_app_that_answers_there_is_no_way_around(
    named: dict[str, str], deceives: bool, way: str, beside: list[str]
) -> None:
    own = {"pod": "real-ip-a", "namespace": "echo"}
    with (
        Server(echo(f"{CLIENT}, {CDN}", lambda told, _number: told.update(own))) as front,
        Server(echo(None, lambda told, _number: told.update(named)), address=(OWN, 0)) as other,
    ):
        place = OWN if way == "load_balancer" else other.authority
        listening = [f"http:{other.port}"]
        bypass = {way: [place], "listeners": listening, "pods_beside": beside}
        known = {"pod_names": {"10.2.0.7": "real-ip-a", "10.2.0.8": "whoami-x"}}
        result = probe(
            url=front.url,
            **{**PAST, "bypass": bypass, "timeout": 2},
            expect_backends=["real-ip-a"],
            backend_namespace="echo",
            cluster_addresses=known,
        )
    assert result["verdict"] == ("forgeable" if deceives else "preserved"), result["reason"]
    reached = any(one["reachable"] for one in result["bypass"])
    assert reached == deceives


@pytest.mark.parametrize("version", ["PROXY TCP4", SECOND])
def test_who_gets_past_who_writes_the_proxy_protocol_writes_it_himself(version: str) -> None:
    """Behind a load balancer that writes it, what a client writes is no request any more."""

    def behind(connection: Connection) -> None:
        first, *lines = connection.read_after()
        if not first[1].startswith("GET "):
            connection.send(response(b"", "400 Bad Request"))
            return
        document = {"kestrel": 1, "headers": lines, "peer": {"address": CLIENT, "port": 1}}
        connection.send(response(json.dumps(document).encode()))

    asked = {"expected_source": CLIENT, "forge": True, "layer": "l4", "timeout": 2}
    with Server(behind) as front, Server(takes_proxy_lines(None, version)) as own:
        assert probe(url=front.url, **asked)["code"] == "V001"
        result = probe(url=front.url, **asked, bypass={"service": [own.authority]})
    assert result["code"] == "V105", result["reason"]
    assert f"{version} 6.6.6.6 " in result["reason"]


@pytest.mark.parametrize("option", ["service", "controller_service", "controller"])
def test_a_service_that_is_not_asked_from_a_node_is_untested(option: str) -> None:
    with Server(proxied("append", CLIENT)) as front:
        bypass = {option: [f"{OWN}:{front.port}"]}
        result = probe(url=front.url, **{**PAST, "bypass": bypass}, vantage="node")
    assert result["bypass"] == []
    assert any(OWN in text and "not tested" in text for text in result["warnings_found"])


def test_a_load_balancer_that_wants_the_clients_certificate_as_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file, client = certificate(tmp_path, "echo.example.com"), certificate(tmp_path, "client")
    monkeypatch.setattr(_probe.socket, "getaddrinfo", resolver({"echo.example.com": ["127.0.0.1"]}))
    before, behind = (proxied("append", one) for one in (f"{CLIENT}, {CDN}", "203.0.113.9"))
    with (
        Server(before, tls=server_tls(file, client)) as front,
        Server(behind, tls=server_tls(file, client), address=(OWN, front.port)),
    ):
        result = probe(
            url=f"https://echo.example.com:{front.port}/",
            ca_path=str(file),
            tls_client_cert=str(client),
            **PAST,
        )
    assert (result["verdict"], result["code"]) == ("forgeable", "V103"), result["reason"]


#: An address of the load balancer to which the prober has no route
FAR = "2001:db8:51::10"


@pytest.fixture
def without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = _probe._connect

    def unrouted(address: _probe.SocketAddress, until: float) -> socket.socket:
        if address.family == socket.AF_INET6:
            raise _probe.NoAnswer("V601", "Network is unreachable")
        return connect(address, until)

    monkeypatch.setattr(_probe, "_connect", unrouted)


@pytest.mark.usefixtures("without_ipv6")
@pytest.mark.parametrize(
    ("status", "family", "code", "says"),
    [
        ([OWN, FAR], "any", "V001", f"; not tested, no route: {FAR}"),
        # What isn't asked for is no more tested than the other addresses of a name.
        ([OWN, FAR], "ipv4", "V001", ""),
        ([OWN, FAR], "ipv6", "V505", ""),
        # Who names it himself wants to know of it.
        ([], "any", "V505", ""),
        ([OWN], "any", "V505", ""),
        ([FAR], "any", "V505", ""),
    ],
)
def test_the_addresses_of_one_status_are_those_of_one_load_balancer(
    status: list[str], family: str, code: str, says: str
) -> None:
    """Of two families, one of which the prober has no route for."""
    with Server(proxied("append", CLIENT), address=(OWN, 0)) as front:
        targets = [{"url": front.url}, {"url": f"http://[{FAR}]:{front.port}/"}]
        bypass = {"load_balancer": status, "listeners": [f"http:{front.port}"]}
        given = {"bypass": bypass, "address_family": family}
        result = probe(targets=targets, expected_source=[CLIENT], **given)
    assert result["code"] == code, result["reason"]
    assert says in result["reason"]
    assert ("no route:" in result["reason"]) == bool(says)
    # Nor is what was left out a way around.
    assert result["code"] != "V001" or result["warnings_found"] == []


def test_no_reservation_is_cut_off_however_long_the_others_are() -> None:
    names = [f"{number}{'b' * 251}" for number in range(9)]
    unread = dict.fromkeys(UNSOUGHT, "kubectl")
    told = {"unready_backends": names, "other_nodes": names, "bypass": {"unread": unread}}
    with Server(takes_proxy_lines(CLIENT)) as front:
        result = probe(url=front.url, expected_source=[CLIENT], layer="l4", **told)
    assert result["verdict"] == "preserved"
    assert result["reason"].endswith("; forgery not tested"), result["reason"]
    assert "ways around not looked for" in reservations(result["reason"])


@pytest.mark.parametrize("option", ["service", "controller_service"])
@pytest.mark.parametrize(("place", "reachable"), [("outside", None), ("vpc", False)])
def test_a_private_address_of_a_service_is_untested_from_where_it_need_not_lead_there(
    monkeypatch: pytest.MonkeyPatch, option: str, place: str, reachable: bool | None
) -> None:
    """Others may get there, and here nobody answers at it, or somebody else."""
    connect, private = _probe._connect, "10.1.2.3"

    def refused(address: _probe.SocketAddress, until: float) -> socket.socket:
        if str(address.remote) == private:
            raise _probe.NoAnswer("V503", "Connection refused")
        return connect(address, until)

    monkeypatch.setattr(_probe, "_connect", refused)
    options = {"bypass": {option: [f"{private}:80"]}, "vantage": place, "timeout": 2}
    with Server(proxied("append", f"{CLIENT}, {CDN}")) as front:
        result = probe(url=front.url, **{**PAST, **options})
    assert result["code"] == "V001", result["reason"]
    assert {one["reachable"] for one in result["bypass"]} == {reachable}
    told = any(private in text and "not tested" in text for text in result["warnings_found"])
    assert told == (reachable is None)


@pytest.mark.usefixtures("without_ipv6")
def test_a_load_balancer_that_is_behind_a_cdn_with_one_family_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bypass = {"load_balancer": [OWN, FAR]}
    result = around(monkeypatch, "append", "127.0.0.1", FAR, bypass=bypass)
    assert (result["verdict"], result["code"]) == ("forgeable", "V103"), result["reason"]


@pytest.mark.usefixtures("without_ipv6")
def test_a_load_balancer_without_a_route_is_untested(monkeypatch: pytest.MonkeyPatch) -> None:
    result = around(monkeypatch, None, "127.0.0.1", bypass={"load_balancer": [FAR]})
    assert {entry["reachable"] for entry in result["bypass"]} == {None}
    assert any(FAR in text and "not tested" in text for text in result["warnings_found"])


@pytest.mark.parametrize(
    ("directly", "timeout", "deadline", "untested"),
    # Who says nothing is knocked at after that, if there is time. A timeout is longer than a
    # busy machine takes for an answer: a probed way that is late is unproven.
    [("hangs", 5, 5, True), ("silent", 6, 5, True), ("silent", 2, 60, False)],
)
def test_a_load_balancer_that_was_not_asked_to_the_end_is_untested(
    monkeypatch: pytest.MonkeyPatch, directly: str, timeout: float, deadline: float, untested: bool
) -> None:
    monkeypatch.setattr(source_ip_info, "BYPASS_TIME", 0)
    options = {"deadline": deadline, "concurrency": 8, "timeout": timeout}
    result = around(monkeypatch, directly, "127.0.0.1", **options)
    assert result["verdict"] == "preserved"
    told = [text for text in result["warnings_found"] if OWN in text and "not tested" in text]
    assert len(told) == int(untested)


def test_a_load_balancer_that_adds_a_line_directly_whatever_address_is_expected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over another family, or translated, honest requests have another address there."""
    result = around(monkeypatch, "add", "127.0.0.1", **REAL_IP)
    assert result["code"] == "V103", result["reason"]
    assert "made X-Real-IP 6.6.6.6, in the first of several lines" in result["reason"]


def test_a_load_balancer_that_takes_the_proxy_protocol_directly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = around(monkeypatch, "PROXY", "127.0.0.1", **REAL_IP)
    assert result["code"] == "V103", result["reason"]
    assert "PROXY TCP4 6.6.6.6 " in result["reason"]


@pytest.mark.parametrize(
    ("directly", "options"),
    [
        ("only with Via", {}),
        ("only with CF-Connecting-IP", {}),
        ("only with X-Forwarded-Host", {}),
        ("only with CDN-Loop", {}),
        ("only with X-Forwarded-For", {}),
        ("PROXY only", REAL_IP),
        # A header counts there as well, after that protocol.
        ("PROXY only", {}),
        ("serves the client's network", REAL_IP),
        ("silent without Via", {"timeout": 1.5}),
        ("silent without X-Forwarded-For", {"timeout": 1.5}),
    ],
)
def test_a_load_balancer_that_answers_only_what_looks_as_if_it_came_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, directly: str, options: dict[str, Any]
) -> None:
    result = around(monkeypatch, directly, "127.0.0.1", **options)
    assert (result["verdict"], result["code"]) == ("forgeable", "V103"), result["reason"]
    assert {one["reachable"] for one in result["bypass"] if one["port"] not in (80, 443)} == {True}


def test_a_load_balancer_that_wants_a_mark_and_believes_what_that_cdn_writes_beside_it() -> None:
    """It looks whether Front Door's mark is there, and not whose it is."""
    believes = only_with("X-Azure-FDID", proxied("rumour", "203.0.113.9"))
    with (
        Server(proxied("real ip", CLIENT)) as front,
        Server(believes, address=(OWN, front.port)),
    ):
        result = probe(url=front.url, **{**PAST, **REAL_IP})
    assert (result["verdict"], result["code"]) == ("forgeable", "V103"), result["reason"]


@pytest.mark.parametrize(
    ("status", "advised"),
    [
        ("404 Not Found", True),
        ("429 Too Many Requests", False),
        ("503 Service Unavailable", False),
    ],
)
def test_no_strategy_is_called_safe_where_too_many_requests_were_refused(
    status: str, advised: bool
) -> None:
    behaviour = at_most(40, proxied("append", CLIENT), says(response(b"", status)))
    with Server(behaviour) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    assert (result["verdict"], result["safe_strategy"] is not None) == ("preserved", advised)
    assert "forgery tested in part" in result["reason"]
    assert bool(told_of_limits(result)) == (not advised)


def told_of_limits(result: dict[str, Any]) -> list[str]:
    return [text for text in result["warnings_found"] if "were refused as too many" in text]


def at_rate(most: int, per_second: float, behaviour: Behaviour, then: Behaviour) -> Behaviour:
    """Behaves so to as many requests, and to so many more each second, as a leaky bucket."""
    level, since, lock = [0.0], [time.monotonic()], threading.Lock()

    def behave(connection: Connection) -> None:
        with lock:
            now = time.monotonic()
            level[0] = max(level[0] - (now - since[0]) * per_second, 0.0)
            since[0] = now
            some = level[0] + 1 <= most
            level[0] += some
        (behaviour if some else then)(connection)

    return behave


@pytest.mark.parametrize(
    ("mode", "code"),
    [("append", "V001"), ("of Cloudflare and Fastly", "V101"), ("of Fastly", "V101")],
)
@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_what_is_refused_as_too_many_is_asked_again_more_slowly(
    monkeypatch: pytest.MonkeyPatch, status: str, mode: str, code: str
) -> None:
    monkeypatch.setattr(_probe, "_PACE", 0.01)
    behaviour = at_rate(40, 50, proxied(mode, CLIENT), says(response(b"", status)))
    with Server(behaviour) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    assert result["code"] == code, result["reason"]
    assert not told_of_limits(result)
    assert result["safe_strategy"] is not None or code != "V001"


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_what_a_limit_left_no_time_for_is_told_like_what_it_refused(status: str) -> None:
    """What wasn't sent could have deceived as well."""
    behaviour = at_rate(40, 4, proxied("append", CLIENT), says(response(b"", status)))
    with Server(behaviour) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True, deadline=5)
    assert (result["verdict"], result["safe_strategy"]) == ("preserved", None), result["reason"]
    [told] = told_of_limits(result)
    assert int(told.partition(" ")[0]) > 100
    assert "forgery tested in part" in result["reason"]


def test_who_says_that_there_are_too_many_is_waited_for_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As for a window in which so many are served, and none is meanwhile."""
    monkeypatch.setattr(_probe, "_PACE", 0.01)
    served, begun = [0], [0.0]

    def behave(connection: Connection) -> None:
        now = time.monotonic()
        if now - begun[0] > 1.5:
            begun[0], served[0] = now, 0
        served[0] += 1
        many = says(response(b"", "429 Too Many Requests"))
        (many if served[0] > 100 else proxied("of Fastly", CLIENT))(connection)

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    assert result["code"] == "V101", result["reason"]
    assert not told_of_limits(result)


@pytest.mark.parametrize("believes", [True, False])
def test_what_is_refused_for_itself_slows_nothing_else(
    monkeypatch: pytest.MonkeyPatch, believes: bool
) -> None:
    """As by a firewall that says so with 503, and with it what stands beside it."""
    waits: list[float] = []
    monkeypatch.setattr(_probe, "sleep", waits.append)

    def behave(connection: Connection) -> None:
        lines = connection.read()[1:]
        told = dict(lines)
        if "CF-Connecting-IP" in told:
            connection.send(response(b"", "503 Service Unavailable"))
            return
        marked = believes and "CDN-Loop" in told
        seen = told.get("EO-Client-IP", CLIENT) if marked else CLIENT
        kept = [line for line in lines if line[0] not in ("X-Forwarded-For", "X-Real-IP")]
        kept += [("X-Forwarded-For", seen), ("X-Real-IP", seen)]
        connection.send(response(json.dumps({"kestrel": 1, "headers": kept}).encode()))

    with Server(behave) as running:
        result = probe(url=running.url, expected_source=[CLIENT], forge=True)
    assert result["code"] == ("V101" if believes else "V001"), result["reason"]
    assert len([one for one in waits if one]) == _probe._PATIENCE * _probe._SPENT
    assert told_of_limits(result)


def test_who_is_asked_slowly_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_probe, "_PACE", 0.5)
    slow = at_rate(40, 4, proxied("append", CLIENT), says(response(b"", "429 Too Many Requests")))
    with Server(slow) as limited, Server(proxied("append", CLIENT)) as other:
        targets = [{"name": "slow", "url": limited.url}]
        targets += [{"name": f"{number}", "url": other.url} for number in range(4)]
        result = probe(
            targets=targets, expected_source=[CLIENT], forge=True, concurrency=1, deadline=8
        )
    first, *others = result["targets"]
    assert "forgery tested in part" in first["reason"]
    assert {one["code"] for one in others} == {"V001"}
    assert not any("tested in part" in one["reason"] for one in others)


#: Whether ways answer: where so many requests are answered and no more, what is forged on one of
#: them can come before what is honest on another.
ALL, NONE, SOME = ({True},), ({False},), ({True}, {True, False})
#: Modes of a load balancer that refuses some or all for too many requests
LIMITED = {
    "0 then 429 Too Many Requests": NONE,
    "40 then 429 Too Many Requests": SOME,
    "40 then 503 Service Unavailable": SOME,
}


@pytest.mark.parametrize(
    ("directly", "leads_to", "options", "reachable"),
    [
        ("replace", "127.0.0.1", {}, ALL),
        (None, "127.0.0.1", {}, NONE),
        ("refuse", "127.0.0.1", {}, ALL),
        ("silent", "127.0.0.1", {"timeout": 1.5}, NONE),
        ("0 then 404 Not Found", "127.0.0.1", {}, NONE),
        *((directly, "127.0.0.1", {}, reachable) for directly, reachable in LIMITED.items()),
        ("append", "127.0.0.1", {"bypass": None}, (set(),)),
        ("append", "127.0.0.1", {"bypass": {"load_balancer": ["127.0.0.1"]}}, (set(),)),
    ],
)
def test_a_load_balancer_that_can_not_be_deceived_directly(
    monkeypatch: pytest.MonkeyPatch,
    directly: str | None,
    leads_to: str,
    options: dict[str, Any],
    reachable: tuple[set[bool], ...],
) -> None:
    result = around(monkeypatch, directly, leads_to, **options)
    assert (result["verdict"], result["code"]) == ("preserved", "V001"), result["reason"]
    there = [entry for entry in result["bypass"] if entry["port"] not in (80, 443)]
    assert {entry["reachable"] for entry in there} in reachable
    # Who refuses what is forged, or everything for a while, has shown nothing.
    told = [text for text in result["warnings_found"] if OWN in text and "not tested" in text]
    assert len(told) == int(directly in ("refuse", *LIMITED)), told


def test_a_load_balancer_without_time_or_address_is_untested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unknown = {"bypass": {"load_balancer": ["lb.example.invalid", "b.example.invalid"]}}
    result = around(monkeypatch, "append", "127.0.0.1", **unknown)
    # All that wasn't asked stands in one warning.
    told = [text for text in result["warnings_found"] if text.startswith("not asked")]
    assert len(told) == 1
    assert "lb.example.invalid, b.example.invalid," in told[0]
    monkeypatch.setattr(source_ip_info, "BYPASS_TIME", -60)
    result = around(monkeypatch, "append", "127.0.0.1")
    assert {entry["reachable"] for entry in result["bypass"]} == {None}
    assert any(OWN in text and "not tested" in text for text in result["warnings_found"])


def test_the_last_group_of_an_address_is_no_port() -> None:
    with Server(proxied("append", CLIENT)) as running:
        mapped = f"[::ffff:127.0.0.1]:{running.port}"
        result = probe(url=f"http://{mapped}/", expected_source=[CLIENT], samples=1)
    assert result["code"] == "V001", result["reason"]


def test_a_bypass_does_not_mend_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    result = around(monkeypatch, "append", "127.0.0.1", expected_source=["203.0.113.77"])
    assert result["verdict"] == "lost"


@pytest.mark.parametrize(
    ("option", "vantage", "tried"),
    [
        ("node_ports", "outside", True),
        ("internal_node_ports", "outside", False),
        ("internal_node_ports", "vpc", True),
    ],
)
def test_node_ports_are_a_warning_only(option: str, vantage: str, tried: bool) -> None:
    with (
        Server(proxied("append", CLIENT)) as balancer,
        Server(echo(None)) as node,
        closed_port() as closed,
    ):
        ports = [node.authority, f"127.0.0.1:{closed}"]
        result = probe(
            url=balancer.url, expected_source=[CLIENT], vantage=vantage, bypass={option: ports}
        )
    assert result["verdict"] == "preserved"
    assert [entry["reachable"] for entry in result["bypass"]] == ([True, False] if tried else [])
    named = [text for text in result["warnings_found"] if node.authority in text]
    assert len(named) == int(tried)


def test_a_node_port_that_only_takes_the_connection_is_open(tmp_path: Path) -> None:
    """The app may answer only TLS, another host or path, or what came through a proxy."""
    tls = server_tls(certificate(tmp_path, "elsewhere.example.com"))
    with (
        Server(proxied("append", CLIENT)) as balancer,
        Server(echo(None), tls=tls) as secured,
        Server(takes_proxy_lines(None)) as told,
        Server(only_at("/other", echo(None))) as elsewhere,
        closed_port() as closed,
    ):
        ports = [one.authority for one in (secured, told, elsewhere)]
        given = {"node_ports": [*ports, f"127.0.0.1:{closed}"]}
        result = probe(url=balancer.url, expected_source=[CLIENT], forge=True, bypass=given)
    assert result["verdict"] == "preserved"
    # Clients may have to get there, and what is advised holds behind the load balancer.
    assert result["safe_strategy"] is not None
    assert [one["reachable"] for one in result["bypass"]] == [False] * 4
    assert len(result["warnings_found"]) == len(ports)
    for port, text in zip(ports, result["warnings_found"]):
        assert f"{port} takes connections without the load balancer" in text


@pytest.mark.parametrize(("place", "told"), [("outside", True), ("node", False)])
def test_a_node_port_at_the_probed_address_is_open(place: str, told: bool) -> None:
    with Server(proxied("append", CLIENT)) as balancer, Server(echo(None)) as node:
        given = {"node_ports_of_targets": [node.port]}
        result = probe(url=balancer.url, expected_source=[CLIENT], bypass=given, vantage=place)
    assert any(node.authority in text for text in result["warnings_found"]) is told


@pytest.mark.parametrize(("place", "told"), [("vpc", True), ("outside", False), ("pod", False)])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_pod_that_answers_by_itself_is_told(place: str, told: bool, family: int) -> None:
    with Server(proxied("append", CLIENT)) as balancer, Server(echo(None), family) as pod:
        given = {"pods": [pod.authority]}
        result = probe(url=balancer.url, expected_source=[CLIENT], bypass=given, vantage=place)
    assert any(f"{pod.authority} is a pod's" in one for one in result["warnings_found"]) is told


# --- The program ----------------------------------------------------------------------------------


# Runs a module and tells the greatest memory that the process had, in kB. What the resource module
# tells includes the memory of the process that started this one.
PROGRAM = """
import atexit, re, runpy, sys
usage = lambda: re.search(r"VmHWM:\\s*([0-9]+)", open("/proc/self/status").read())[1]
atexit.register(lambda: print(usage(), file=sys.stderr))
runpy.run_module(sys.argv.pop(1), run_name="__main__")
"""


class Done(NamedTuple):
    status: int
    result: dict[str, Any]
    memory: int


def execute(directory: Path, environment: dict[str, str] | None = None, **options: Any) -> Done:
    """Run the module as Ansible does: a process of its own, one line of JSON."""
    file = directory / "arguments.json"
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": options}))
    # Where this very module is taken from, whatever else lies on the path.
    root = Path(source_ip_info.__file__).parents[5]
    paths = [str(root), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, source_ip_info.__name__, str(file)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr.strip().isdigit(), done.stderr
    return Done(done.returncode, json.loads(done.stdout), int(done.stderr))


def test_the_program(tmp_path: Path) -> None:
    with Server(echo()) as running, Server(echo(NODE)) as proxy:
        options = {"url": running.url, "expected_source": CLIENT, "_ansible_check_mode": True}
        options["vantage"] = "outside"
        variables = {"http_proxy": f"http://{proxy.authority}", "no_proxy": ""}
        status, result, _memory = execute(tmp_path, variables, **options)
        assert (status, result["changed"], result["verdict"]) == (0, False, "preserved")
        assert proxy.accepted == 0
        # A bad verdict is no failure.
        status, result, _memory = execute(tmp_path, **{**options, "url": proxy.url})
        assert (status, result["verdict"]) == (0, "lost")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "one of the following is required: url, targets"),
        ({"url": "http://x/", "forge_more": True}, "Unsupported parameters"),
        ({"expected_source": "0.0.0.0/0"}, "expected_source: 0.0.0.0/0: matches every IPv4"),
    ],
)
def test_wrong_arguments_fail_before_the_first_request(
    tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    with Server(echo()) as running:
        if "expected_source" in options:
            options = {"url": running.url, **options}
        status, result, _memory = execute(tmp_path, **options)
    assert (status, result["failed"], running.accepted) == (1, True, 0)
    assert says in result["msg"]


def test_wrong_arguments_are_found_by_run_too() -> None:
    with pytest.raises(WrongArgument):
        probe(url="http://127.0.0.1/", samples=0)


def test_a_large_answer_costs_little_memory(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n"
    with Server(floods(b" " * 65536, head, times=1600)) as running:
        done = execute(tmp_path, url=running.url, samples=32)
    assert (done.status, done.result["code"]) == (0, "V515")
    assert done.result["requests"]["sent"] == 32
    # Python with Ansible's modules has 30 MB of it; one of the answers would have 100.
    assert done.memory < 80_000


FROM_HERE = {"verdict": "unproven", "code": "V429", "reason": "a proxy here", "fix": "elsewhere"}
AROUND = {"verdict": "forgeable", "code": "V103", "reason": "walked around", "fix": "close it"}


@pytest.mark.parametrize(
    ("code", "found", "shown", "doubt"),
    [
        ("V001", [FROM_HERE], "V429", None),
        ("V001", [AROUND], "V103", None),
        # What a client can choose hides no doubt about whose address arrived.
        ("V001", [FROM_HERE, AROUND], "V103", "V429"),
        ("V101", [FROM_HERE], "V101", "V429"),
        ("V201", [FROM_HERE, AROUND], "V201", None),
    ],
)
def test_what_is_found_elsewhere_takes_a_verdict_back(
    code: str, found: list[dict[str, str]], shown: str, doubt: str | None
) -> None:
    one = {
        "verdict": CODES[code].verdict,
        "code": code,
        "reason": "r",
        "fix": "",
        "doubt": None,
        "safe_strategy": {"strategy": "peer"},
    }
    result = reduce(source_ip_info.with_bypass, found, one)
    assert (result["code"], (result["doubt"] or {}).get("code")) == (shown, doubt)
    assert (result["safe_strategy"] is None) is (code != "V201")
    assert ("V429" in result["reason"]) is (doubt is not None)
