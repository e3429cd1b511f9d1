# SPDX-License-Identifier: GPL-3.0-or-later
"""From options to data: what is taken how, and what is refused before anything is sent."""

from __future__ import annotations

import ssl
from ipaddress import ip_address
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils import _options
from ansible_collections.kestrel.real_ip.plugins.module_utils._options import (
    Plan,
    WrongArgument,
    plan,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._probe import Endpoint
from ansible_collections.kestrel.real_ip.plugins.module_utils._vantage import Standpoint
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import Strategy

CLIENT = "203.0.113.20"
URL = "http://198.51.100.10/"
CLUSTER = {
    "nodes": ["10.255.0.11", "10.255.0.12"],
    "pods": ["10.244.0.0/16", "2001:db8:244::/48"],
    "services": ["10.96.0.0/16"],
    "load_balancers": ["198.51.100.10"],
}
# As the module's argument_spec has them.
DEFAULTS: dict[str, Any] = {
    "url": None,
    "targets": None,
    "connect_to": None,
    "host_header": None,
    "server_name": None,
    "address_family": "any",
    "method": "GET",
    "headers": {},
    "expected_source": None,
    "expected_source_url": None,
    "cluster_addresses": None,
    "layer": "l7",
    "vantage": "auto",
    "load_balancer": None,
    "bypass": None,
    "forge": True,
    "strategy": None,
    "header": None,
    "trusted_count": None,
    "trusted_ranges": None,
    "samples": 10,
    "expect_backends": [],
    "backend_namespace": None,
    "unready_backends": [],
    "other_nodes": [],
    "namesakes": [],
    "max_samples": 200,
    "concurrency": 16,
    "timeout": 5.0,
    "deadline": 60.0,
    "wait": False,
    "wait_timeout": 300.0,
    "echo_format": "auto",
    "echo_queries": None,
    "validate_certs": True,
    "ca_path": None,
    "tls_client_cert": None,
    "tls_client_key": None,
    "max_body": 65536,
}


def planned(**options: Any) -> Plan:
    if "targets" not in options:
        options.setdefault("url", URL)
    return plan({**DEFAULTS, **options})


def endpoint(**options: Any) -> Endpoint:
    return planned(**options).targets[0].endpoint


# --- Refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        # URLs
        ({"url": ""}, "url: "),
        ({"url": "echo.example.com"}, "url: echo.example.com: must be http://"),
        ({"url": "ftp://echo/"}, "url: ftp://echo/"),
        ({"url": "http:///path"}, "url: http:///path"),
        ({"url": "http://echo:0/"}, "between 1 and 65535"),
        ({"url": "http://echo:65536/"}, "url: http://echo:65536/"),
        ({"url": "http://echo:http/"}, "url: http://echo:http/"),
        ({"url": "http://me:secret@echo/"}, "url: http://***@echo/: must not hold a user name"),
        ({"url": "http://echo/a b"}, "no spaces"),
        ({"url": "http://echo/\r\nX-Forwarded-For: 203.0.113.20"}, "\\r\\n"),
        ({"url": "http://ec\tho/"}, "\\t"),
        ({"url": "http://[2001:db8::1/"}, "url: "),
        ({"url": "http://1.2.3.4.5/"}, "no host name and no address"),
        ({"url": "http://300.1.1.1/"}, "no host name and no address"),
        ({"url": f"http://{'x' * 64}/"}, "no host name and no address"),
        ({"url": "http://a..b/"}, "no host name and no address"),
        ({"url": "http://stra\u00dfe.example/"}, "another name to others: give its xn-- form"),
        # Younger than IDNA 2003, so that Python folds no case, and Cherokee
        *(
            ({"url": f"http://a{letter}b.example/"}, "another name to others: give its xn-- form")
            for letter in "\u1d47\u1c82\ufa70\u13a0\u13f4"
        ),
        ({"url": "http://0.0.0.0/"}, "no host name and no address"),
        ({"targets": []}, "targets: []: must name at least one"),
        ({"targets": [{"url": URL}, {"url": "x"}]}, "targets[1].url: x"),
        ({"expected_source_url": "ftp://x/"}, "expected_source_url: ftp://x/"),
        # Where to connect to, and what to say there
        ({"connect_to": "http://198.51.100.10"}, "connect_to: http://198.51.100.10"),
        ({"connect_to": "198.51.100.10:0"}, "connect_to: 198.51.100.10:0"),
        ({"connect_to": "198.51.100.10:99999"}, "connect_to: 198.51.100.10:99999"),
        ({"connect_to": "echo:70000"}, "connect_to: echo:70000"),
        ({"connect_to": "198.51.100.300"}, "connect_to: 198.51.100.300"),
        ({"connect_to": "0.0.0.0"}, "connect_to: 0.0.0.0"),
        ({"host_header": "a\r\nX-Forwarded-For: 203.0.113.20"}, "host_header: a\\r\\n"),
        ({"url": "https://echo/", "server_name": "a b"}, "server_name: a b"),
        ({"method": "HEAD"}, "method: HEAD"),
        ({"method": "CONNECT"}, "method: CONNECT"),
        ({"method": "GET /\r\n"}, "method: GET /\\r\\n"),
        # Headers
        ({"headers": {"X-Forwarded-For": CLIENT}}, "headers.X-Forwarded-For: 203.0.113.20"),
        ({"headers": {"x_forwarded_for": CLIENT}}, "headers.x_forwarded_for"),
        ({"headers": {"X-Forwarded-Whatever": "1"}}, "headers.X-Forwarded-Whatever"),
        ({"headers": {"X-Forwarded": "1"}}, "headers.X-Forwarded"),
        ({"headers": {"FORWARDED": "for=1.2.3.4"}}, "headers.FORWARDED"),
        ({"headers": {"X-Real_IP": CLIENT}}, "headers.X-Real_IP"),
        ({"headers": {"True-Client-IP": CLIENT}}, "headers.True-Client-IP"),
        ({"headers": {"client_ip": CLIENT}}, "headers.client_ip"),
        ({"headers": {"X-Stgw-Time": "1"}}, "headers.X-Stgw-Time"),
        ({"headers": {"X-Client-Proto": "http"}}, "headers.X-Client-Proto"),
        (
            {"strategy": "single_header", "header": "X-Me", "headers": {"x_me": CLIENT}},
            "headers.x_me",
        ),
        ({"headers": {"X-Kestrel-Nonce": "1"}}, "the probe sets this header itself"),
        ({"headers": {"X-Kestrel-Line": "1"}}, "the probe sets this header itself"),
        ({"headers": {"Host": "other"}}, "the probe sets this header itself"),
        ({"headers": {"Accept-Encoding": "gzip"}}, "the probe sets this header itself"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "the probe sets this header itself"),
        ({"headers": {"A: b\r\nX-Forwarded-For": "1"}}, "a token"),
        ({"headers": {"X-Forwarded-For ": "1"}}, "a token"),
        ({"headers": {"A": "b\r\nX-Forwarded-For: 203.0.113.20"}}, "one line"),
        ({"headers": {"A": "住"}}, "one line"),
        ({"headers": {"A": None}}, "one line"),
        ({"headers": {"X-Mine": CLIENT}, "expected_source": [CLIENT]}, "would prove nothing"),
        (
            {"headers": {"X-Mine": f"a={CLIENT}:80; b"}, "expected_source": ["203.0.113.0/24"]},
            "X-Mine",
        ),
        ({"headers": {"X-Mine": f"<{CLIENT}>"}, "expected_source": [CLIENT]}, "X-Mine"),
        ({"headers": {"X-Mine": "8.8.4.4"}, "expected_source": ["local"]}, "X-Mine: 8.8.4.4"),
        ({"headers": {"X-Mine": "2001:db8::7"}}, "would prove nothing"),
        (
            {"headers": {"X-Mine": "8.8.4.4"}, "expected_source_url": "http://address.example/"},
            "would prove nothing",
        ),
        # Expected addresses
        ({"expected_source": ["203.0.113.300"]}, "expected_source[0] must be an address"),
        ({"expected_source": ["client.example.com"]}, "client.example.com"),
        ({"expected_source": ["203.0.113.20:80"]}, "203.0.113.20:80"),
        ({"expected_source": ["203.0.113.0/255.255.255.0"]}, "expected_source[0]"),
        ({"expected_source": ["local", CLIENT]}, "local stands alone"),
        ({"expected_source": [CLIENT, "0.0.0.0/0"]}, "matches every IPv4 address"),
        ({"expected_source": ["::/0"]}, "matches every IPv6 address"),
        ({"expected_source": ["::ffff:0:0/96"]}, "matches every IPv4 address"),
        ({"expected_source": ["128.0.0.0/1", "0.0.0.0/1"]}, "128.0.0.0/1 holds more than a /8"),
        ({"expected_source": [CLIENT, "64.0.0.0/7"]}, "64.0.0.0/7 holds more than a /8"),
        (
            {"expected_source": [f"{n}.0.0.0/8" for n in range(20, 37)]},
            "together they hold more than a /4",
        ),
        (
            {"expected_source": [f"24{n:02x}::/12" for n in range(0, 256, 16)] + ["2600::/12"]},
            "together they hold more than a /8",
        ),
        ({"expected_source": ["2000::/3"]}, "2000::/3 holds more than a /12"),
        # Of translated addresses (NAT64), what stands in them counts.
        ({"expected_source": ["64:ff9b::/96"]}, "matches every IPv4 address"),
        ({"expected_source": ["64:ff9b::/97"]}, "0.0.0.0/1 holds more than a /8"),
        (
            {"expected_source": ["64:ff9b::a00:0/104"], "cluster_addresses": CLUSTER},
            "64:ff9b::a00:0/104 overlaps the cluster's nodes (10.255.0.11/32)",
        ),
        ({"expected_source": [f"{n}.0.0.0/8" for n in range(256)]}, "matches every IPv4 address"),
        (
            {"expected_source": ["10.0.0.0/8"], "cluster_addresses": CLUSTER},
            "10.0.0.0/8 overlaps the cluster's nodes (10.255.0.11/32)",
        ),
        (
            {"expected_source": ["10.244.1.0/24"], "cluster_addresses": CLUSTER},
            "overlaps the cluster's pods (10.244.0.0/16)",
        ),
        (
            {"expected_source": ["2001:db8::/32"], "cluster_addresses": CLUSTER},
            "overlaps the cluster's pods",
        ),
        (
            {"expected_source": ["10.255.0.12"], "cluster_addresses": CLUSTER},
            "is an address of the cluster's nodes",
        ),
        (
            {"expected_source": ["10.244.1.1"], "cluster_addresses": CLUSTER},
            "is an address of the cluster's pods (10.244.0.0/16)",
        ),
        (
            {"expected_source": ["10.96.0.9"], "cluster_addresses": CLUSTER},
            "is an address of the cluster's services",
        ),
        (
            {"expected_source": ["198.51.100.10"], "cluster_addresses": CLUSTER},
            "is an address of the cluster's load_balancers",
        ),
        (
            {
                "expected_source": ["10.1.1.7"],
                "cluster_addresses": {"pod_names": {"10.1.1.7": "proxy"}},
            },
            "is an address of the cluster's pods (10.1.1.7/32)",
        ),
        (
            {
                "targets": [{"url": URL}, {"url": URL, "expected_source": ["10.96.0.9"]}],
                "cluster_addresses": CLUSTER,
            },
            "expected_source: 10.96.0.9",
        ),
        ({"cluster_addresses": {"nodes": ["node1"]}}, "cluster_addresses.nodes[0]"),
        ({"cluster_addresses": {"pod_names": {"pod-1": "a"}}}, "cluster_addresses.pods[0]"),
        # Strategies
        ({"layer": "l4", "strategy": "single_header"}, "strategy: single_header: layer: l4 reads"),
        ({"layer": "l7", "strategy": "peer"}, "strategy: peer: layer: l7 reads"),
        ({"targets": [{"url": URL, "layer": "l4"}], "strategy": "single_header"}, "layer: l4"),
        ({"strategy": "rightmost_trusted_count"}, "trusted_count: None: trusted_count must be"),
        ({"trusted_count": 0}, "trusted_count: 0"),
        ({"strategy": "rightmost_trusted_range"}, "trusted_ranges: None"),
        ({"strategy": "rightmost_trusted_range", "trusted_ranges": ["x"]}, "trusted_ranges"),
        ({"trusted_ranges": ["10.0.0.0/8"]}, "trusted_ranges must be left out"),
        ({"strategy": "single_header"}, "header: None"),
        ({"strategy": "single_header", "header": "X-Forwarded-For"}, "header: X-Forwarded-For"),
        ({"header": "X-Real-IP"}, "header: X-Real-IP"),
        ({"strategy": "single_header", "header": "Host"}, "header: Host: the probe sends"),
        ({"strategy": "single_header", "header": "user_agent"}, "header: user_agent"),
        ({"strategy": "single_header", "header": "X-Kestrel-Nonce"}, "header: X-Kestrel-Nonce"),
        ({"bypass": {"listeners": ["8080"]}}, "bypass.listeners: 8080: must be http:PORT"),
        ({"bypass": {"service": ["lb.example"]}}, "bypass.service: lb.example: must be an address"),
        ({"bypass": {"service": ["2001:db8::1"]}}, "bypass.service: 2001:db8::1: must be an"),
        ({"bypass": {"service": ["lb.example:0"]}}, "bypass.service: lb.example:0: the port must"),
        ({"bypass": {"paths": ["x"]}}, "bypass.paths: x: must be a path"),
        ({"bypass": {"paths": ["/x?y"]}}, "bypass.paths: /x?y: must be a path"),
        # An app can answer with what it was asked for.
        (
            {"url": f"http://echo/?who={CLIENT}", "expected_source": [CLIENT]},
            f"url: http://echo/?who={CLIENT}: holds what is or may be expected",
        ),
        (
            {"url": f"http://echo/of/{CLIENT.replace('.', '%2e')}", "expected_source": [CLIENT]},
            "holds what is or may be expected",
        ),
        ({"url": "http://echo/of/8.8.4.4"}, "holds what is or may be expected"),
        ({"bypass": {"listeners": ["http:70000"]}}, "bypass.listeners: http:70000: the port must"),
        # Numbers
        ({"samples": 0}, "samples: 0: must be between 1 and"),
        ({"samples": 201}, "samples: 201: must not be greater than max_samples (200)"),
        ({"max_samples": 0}, "max_samples: 0"),
        ({"concurrency": 0}, "concurrency: 0"),
        ({"timeout": 0.0}, "timeout: 0.0"),
        ({"timeout": float("nan")}, "timeout: nan"),
        ({"timeout": float("inf")}, "timeout: inf"),
        ({"deadline": -1.0}, "deadline: -1.0"),
        ({"wait_timeout": -1.0}, "wait_timeout: -1.0"),
        ({"max_body": 0}, "max_body: 0"),
        ({"max_body": 100_000_000}, "max_body: 100000000"),
        # Files
        (
            {"url": "https://echo/", "ca_path": "/nowhere.pem"},
            "ca_path: /nowhere.pem: can't be read",
        ),
        (
            {"url": "https://echo/", "tls_client_cert": "/nowhere.pem"},
            "tls_client_cert: /nowhere.pem: can't be read",
        ),
        (
            {"expected_source_url": "https://echo/", "ca_path": "/nowhere.pem"},
            "ca_path: /nowhere.pem",
        ),
    ],
)
def test_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(WrongArgument) as caught:
        planned(**options)
    message = str(caught.value)
    assert says in message
    assert message.isprintable()
    assert "secret" not in message


# --- Taken ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "spoken"),
    [
        ({"url": "http://www.example.com/"}, "www.example.com"),
        ({"url": "http://WWW.example.com:8080/"}, "www.example.com"),
        ({"url": "http://www.example.com/", "connect_to": "192.0.2.1"}, "www.example.com"),
        (
            {"url": "http://www.example.com:8080/", "host_header": "www.example.com"},
            "www.example.com",
        ),
        ({"url": "http://192.0.2.1/", "host_header": "www.example.com"}, "192.0.2.1"),
        ({"url": "http://[2001:db8::1]:8080/"}, "2001:db8::1"),
        ({"url": "http://[fe80::1%25eth0]/"}, "fe80::1%eth0"),
        # Nobody who has the URL alone asks for that.
        (
            {"url": "http://www.example.com/", "host_header": "origin.example.com:8080"},
            "www.example.com, Host origin.example.com",
        ),
        (
            {"url": "http://www.example.com/", "host_header": "www.example.com.example"},
            "www.example.com, Host www.example.com.example",
        ),
    ],
)
def test_a_name_that_is_asked_for_another_one_is_told_with_it(
    given: dict[str, Any], spoken: str
) -> None:
    assert endpoint(**given).spoken == spoken


@pytest.mark.parametrize(
    ("options", "host", "port", "host_header", "path", "server_name"),
    [
        ({"url": "http://Echo.example.com"}, "echo.example.com", 80, "echo.example.com", "/", ""),
        ({"url": "http://echo:8080/a/b?c=d#e"}, "echo", 8080, "echo:8080", "/a/b?c=d", ""),
        ({"url": "http://echo:80/"}, "echo", 80, "echo", "/", ""),
        ({"url": "https://echo/"}, "echo", 443, "echo", "/", "echo"),
        ({"url": "https://echo.:8443/"}, "echo", 8443, "echo:8443", "/", "echo"),
        ({"url": "http://[2001:DB8::1]:8080/"}, "2001:db8::1", 8080, "[2001:db8::1]:8080", "/", ""),
        ({"url": "http://[fe80::1%25eth0]/"}, "fe80::1%eth0", 80, "[fe80::1]", "/", ""),
        (
            {"url": "https://[2001:db8::1]/"},
            "2001:db8::1",
            443,
            "[2001:db8::1]",
            "/",
            "2001:db8::1",
        ),
        (
            {"url": "http://bücher.example/ü?ä"},
            "xn--bcher-kva.example",
            80,
            None,
            "/%C3%BC?%C3%A4",
            "",
        ),
        ({"url": "http://e/%41?a=%20"}, "e", 80, "e", "/%41?a=%20", ""),
        (
            {"url": "https://echo/", "connect_to": "198.51.100.10"},
            "198.51.100.10",
            443,
            "echo",
            "/",
            "echo",
        ),
        (
            {"url": "http://echo/", "connect_to": "198.51.100.10:81"},
            "198.51.100.10",
            81,
            "echo",
            "/",
            "",
        ),
        (
            {"url": "http://echo/", "connect_to": "[2001:db8::1]:81"},
            "2001:db8::1",
            81,
            "echo",
            "/",
            "",
        ),
        ({"url": "http://echo/", "connect_to": "2001:db8::1"}, "2001:db8::1", 80, "echo", "/", ""),
        (
            {"url": "http://echo/", "connect_to": "lb.example.com:81"},
            "lb.example.com",
            81,
            "echo",
            "/",
            "",
        ),
        ({"url": "http://echo/", "host_header": "other"}, "echo", 80, "other", "/", ""),
        (
            {"url": "https://echo/", "server_name": "tls.example.com", "host_header": "other"},
            "echo",
            443,
            "other",
            "/",
            "tls.example.com",
        ),
    ],
)
def test_endpoint(
    options: dict[str, Any],
    host: str,
    port: int,
    host_header: str | None,
    path: str,
    server_name: str,
) -> None:
    found = endpoint(**options)
    assert found[:2] == (host, port)
    assert found.host_header == (host_header or host)
    assert (found.path, found.server_name) == (path, server_name)
    assert (found.tls is not None) == bool(server_name)


@pytest.mark.parametrize(
    ("options", "strategy"),
    [
        ({}, Strategy("rightmost_trusted_count", None, 1)),
        ({"trusted_count": 2}, Strategy("rightmost_trusted_count", None, 2)),
        ({"header": "Forwarded"}, Strategy("rightmost_trusted_count", "Forwarded", 1)),
        ({"header": ""}, Strategy("rightmost_trusted_count", None, 1)),
        (
            {"strategy": "rightmost_trusted_range", "trusted_ranges": []},
            Strategy("rightmost_trusted_range", None, None, []),
        ),
        ({"layer": "l4"}, Strategy("peer")),
        ({"layer": "l4", "strategy": "peer"}, Strategy("peer")),
        (
            {"strategy": "single_header", "header": "X-Real-IP"},
            Strategy("single_header", "X-Real-IP"),
        ),
        (
            {"strategy": "rightmost_trusted_range", "trusted_ranges": ["10.0.0.0/8"]},
            Strategy("rightmost_trusted_range", None, None, ["10.0.0.0/8"]),
        ),
    ],
)
def test_strategy(options: dict[str, Any], strategy: Strategy) -> None:
    assert planned(**options).targets[0].question.strategy == strategy


@pytest.mark.parametrize(
    ("options", "source", "networks"),
    [
        ({}, "inferred", []),
        ({"expected_source": []}, "inferred", []),
        ({"expected_source": ["", " "]}, "inferred", []),
        ({"expected_source": ["local"]}, "local", []),
        ({"expected_source": [" local "]}, "local", []),
        ({"expected_source_url": "http://address.example.com/"}, "asked", []),
        (
            {"expected_source": [CLIENT], "expected_source_url": "http://address.example.com/"},
            "given",
            ["203.0.113.20/32"],
        ),
        (
            {"expected_source": [" 203.0.113.20", "::ffff:203.0.113.20", "2001:DB8::0:1"]},
            "given",
            ["203.0.113.20/32", "2001:db8::1/128"],
        ),
        ({"expected_source": ["203.0.113.20/24"]}, "given", ["203.0.113.0/24"]),
        ({"expected_source": [CLIENT], "cluster_addresses": CLUSTER}, "given", ["203.0.113.20/32"]),
    ],
)
def test_expectation(options: dict[str, Any], source: str, networks: list[str]) -> None:
    found = planned(**options).targets[0].question.expectation
    assert (found.source, [str(network) for network in found.networks]) == (source, networks)


def test_cluster() -> None:
    question = planned(cluster_addresses={"nodes": [], "pods": None}).targets[0].question
    assert question.cluster.nodes == ()
    assert question.cluster.pods is None
    assert not question.cluster.complete
    assert planned(cluster_addresses=CLUSTER).targets[0].question.cluster.complete
    names = {"2001:DB8::7": "proxy"}
    assert (
        planned(cluster_addresses={**CLUSTER, "pod_names": names})
        .targets[0]
        .question.cluster.complete
    )
    others = {**CLUSTER, "pods": None, "pod_names": names}
    assert not planned(cluster_addresses=others).targets[0].question.cluster.complete
    question = planned(cluster_addresses={"pod_names": names}).targets[0].question
    assert question.pod_names == {"2001:db8::7": "proxy"}
    assert [str(network) for network in question.cluster.pods or ()] == ["2001:db8::7/128"]


@pytest.mark.parametrize("given", [{}, {"pods": ["10.1.0.0/16"]}, {"nodes": ["203.0.113.3"]}])
def test_what_is_known_of_more_is_the_clusters(given: dict[str, list[str]]) -> None:
    """That there may be more keeps nobody from being one of those."""
    some = {"some_nodes": ["203.0.113.2"], "some_pods": ["10.2.0.0/24"], **given}
    plan = planned(cluster_addresses=some)
    cluster = plan.targets[0].question.cluster
    assert all(cluster.hold(ip_address(one)) for one in ("203.0.113.2", "10.2.0.9"))
    assert [cluster.knows_all(kind) for kind in ("nodes", "pods")] == [
        kind in given for kind in ("nodes", "pods")
    ]
    assert not plan.standpoint.checked
    with pytest.raises(WrongArgument, match="is an address of the cluster's pods"):
        planned(cluster_addresses=some, expected_source=["10.2.0.9"])
    found = planned(cluster_addresses={"some_nodes": ["127.0.0.1"]}, vantage="outside")
    at = found.targets[0].question.standpoint
    assert (at.place, at.checked, "127.0.0.1" in at.addresses) == ("node", False, True)


def test_a_pod_is_found_by_its_name_where_not_all_are_known() -> None:
    names = {"127.0.0.1": gethostname()}
    found = planned(cluster_addresses={"pod_names": names}, vantage="outside")
    assert found.targets[0].question.standpoint == Standpoint("pod", checked=False)


@pytest.mark.parametrize(
    ("options", "own"),
    [({}, ["6.6.6.6", "10.6.6.6"]), ({"expected_source": ["local"]}, ["10.6.6.6"])],
)
def test_the_probers_own_address_is_not_forged(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], own: list[str]
) -> None:
    monkeypatch.setattr(_options, "is_own", own.__contains__)
    [target] = planned(**options).targets
    forged = {value for one in target.forgeries for value in one.values}
    assert forged
    assert not forged & {*own}


def test_a_target_takes_what_it_leaves_out_from_the_options() -> None:
    first, second = planned(
        targets=[
            {"url": "http://a/", "name": "first", "connect_to": " ", "expected_source": [" "]},
            {"url": "http://b/", "connect_to": "b:81", "layer": "l4", "expected_source": ["local"]},
        ],
        connect_to="c:82",
        host_header="host",
        expected_source=[CLIENT],
        expect_backends=["x", "y", "x"],
    ).targets
    assert (first.name, first.url, first.endpoint.host, first.endpoint.port) == (
        "first",
        "http://a/",
        "c",
        82,
    )
    assert (second.name, second.endpoint.host, second.endpoint.port) == ("http://b/", "b", 81)
    assert (first.question.layer, second.question.layer) == ("l7", "l4")
    assert first.question.expectation.source == "given"
    assert second.question.expectation.source == "local"
    assert {first.endpoint.host_header, second.endpoint.host_header} == {"host"}
    assert first.question.backends == second.question.backends == ("x", "y")


def test_many_targets_share_their_question() -> None:
    targets = planned(
        targets=[{"url": f"http://10.0.{n // 256}.{n % 256}/"} for n in range(1000)],
        expected_source=[CLIENT],
        cluster_addresses=CLUSTER,
    ).targets
    assert len({id(target.question) for target in targets}) == 1


def test_request() -> None:
    options = {"headers": {"Authorization": "Bearer x", "X-Number": 7}, "method": "POST"}
    # An address that isn't expected can be of use to somebody.
    assert planned(headers={"X-Mine": "203.0.113.7"}, expected_source=[CLIENT]).request.headers
    request = planned(**options, timeout=2.5, max_body=100).request
    assert request.headers == {"Authorization": "Bearer x", "X-Number": "7"}
    assert (request.method, request.timeout, request.max_body) == ("POST", 2.5, 100)


def test_tls(tmp_path: Path) -> None:
    found = endpoint(url="https://echo/").tls
    assert found is not None
    assert (found.verify_mode, found.check_hostname) == (ssl.CERT_REQUIRED, True)
    found = endpoint(url="https://echo/", validate_certs=False).tls
    assert found is not None
    assert (found.verify_mode, found.check_hostname) == (ssl.CERT_NONE, False)
    # An empty directory of authorities: nobody is trusted.
    found = endpoint(url="https://echo/", ca_path=str(tmp_path)).tls
    assert found is not None
    assert found.get_ca_certs() == []


def test_the_urls_of_plain_http_need_no_tls(tmp_path: Path) -> None:
    options = planned(ca_path=str(tmp_path / "missing"), expected_source_url="http://a/")
    assert options.own_address == Endpoint("a", 80, "a", "/", label="a")
    assert options.targets[0].endpoint.tls is None


REFUSED_AT_ONCE: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"expected_source": ["203.0.113.10", "2001:db8::/32"]}, []),
    ({"expected_source": ["local"]}, []),
    ({"layer": "l4"}, []),
    ({"strategy": "rightmost_trusted_range", "trusted_ranges": ["10.0.0.0/8"]}, []),
    ({"expected_source": ["here"]}, ["expected_source[0]: here: "]),
    ({"expected_source": ["0.0.0.0/1", "128.0.0.0/1"]}, ["expected_source: "]),
    ({"expected_source": ["local", "203.0.113.10"]}, ["expected_source: "]),
    ({"strategy": "peer"}, ["strategy: peer: layer: l7 reads a header"]),
    ({"layer": "l4", "strategy": "single_header"}, ["strategy: single_header: layer: l4"]),
    ({"trusted_count": 1, "trusted_ranges": ["10.0.0.0/8"]}, ["trusted_ranges: "]),
    ({"strategy": "single_header", "header": "X Y"}, ["header: X Y: "]),
    ({"strategy": "single_header", "header": "Host"}, ["header: Host: "]),
    ({"expected_source_url": "http://a:b@c/"}, ["expected_source_url: http://***@c/: "]),
    # All of them, and not the first one alone
    ({"strategy": "peer", "expected_source": ["x"]}, ["strategy: peer: ", "expected_source[0]: "]),
]


@pytest.mark.parametrize(("given", "starts"), REFUSED_AT_ONCE)
def test_what_is_refused_without_a_target(given: dict[str, Any], starts: list[str]) -> None:
    told = [*_options.refused({**DEFAULTS, **given})]
    assert len(told) == len(starts)
    assert [text.startswith(start) for text, start in zip(told, starts, strict=True)] == [
        True for __ in starts
    ], told
