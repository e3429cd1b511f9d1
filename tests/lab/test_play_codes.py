# SPDX-License-Identifier: GPL-3.0-or-later
"""Every code of docs/codes.md between hosts of the test cluster: what is wrong there is its cause.

A probe is asked for several targets at once. Beside those that show a code there is, wherever it
can be, one to which the cause doesn't apply.
"""

from __future__ import annotations

import ast
import json
import re
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import CODES
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.servers import (
    Server,
    certificate,
    echo,
    server_tls,
    silent,
)
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.test_probe import SERVERS

from lab.network import inside
from lab.settings import (
    CLB,
    CLIENT,
    CLIENT2,
    NODE1,
    NODES,
    OPERATOR,
    VIPS_IPV4,
    VIPS_IPV6,
    VPC,
    Lab,
    pod_networks,
)
from tests.lab.playbooks import EXPECTED, Attempt, Playbooks, ruled

XFF = "X-Forwarded-For"
#: Codes that another file shows on the test cluster, and the test that does.
ELSEWHERE = {
    "V101": "test_what_the_balancer_makes_of_forged_headers",
    "V103": "test_a_proxy_in_front_that_can_be_walked_around",
    "V104": "test_a_proxy_in_front_that_believes_the_client",
    "V105": "test_the_services_own_load_balancer_is_a_way_around",
    "V301": "test_one_replica_that_strips_the_header",
    "V410": "test_a_pod_that_went_away_meanwhile_need_not_answer",
    "V421": "test_layer_4_proves_nothing_from_a_node_or_a_pod",
    "V422": "test_layer_4_proves_nothing_from_a_node_or_a_pod",
    "V423": "test_from_a_node_only_the_balancers_own_headers_count",
    "V424": "test_what_could_not_be_read_is_said",
    "V431": "test_where_a_kubelet_listens_may_be_a_node",
}

#: Of NAT64's public range, for addresses of documentation, which it is never used for: RFC 6052.
PUBLIC, PUBLIC_FRONT = "64:ff9b::cb00:7114", "64:ff9b::cb00:7115"
PRIVATE, PRIVATE_FRONT = "192.168.7.7", "2001:db8:113::2007"
GATEWAY = "203.0.113.77"
#: Another one of the proxy in front
OTHER = "203.0.113.78"
#: One that is translated to it
ELASTIC = "203.0.113.79"
FORBIDDEN = str(VIPS_IPV4[250])

#: Ports of the layer-4 load balancer: what its nodes put in the place of a client's address.
PLAIN, UNSTEADY, LOSSY = 80, 86, 87
TRANSLATED = {
    81: NODE1.ipv4("vpc"),
    82: str(pod_networks(NODE1)[0][1]),
    83: "{service}",
    84: "{balanced}",
    85: PRIVATE,
}


class Place(NamedTuple):
    """Where it all happens. ``facts``: what rows name in braces."""

    lab: Lab
    attempt: Attempt
    facts: Mapping[str, Any]
    directory: Path


POD_NETWORKS = [network for node in NODES for network in pod_networks(node)]
Network = IPv4Network | IPv6Network
Cause = Callable[[Place], AbstractContextManager[None]]


class Row(NamedTuple):
    """A target with its outcome. ``says``: stands in the reason.

    ``addresses``: the range of those that have it, where a name gives several.
    """

    code: str
    target: dict[str, Any]
    says: tuple[str, ...] = ()
    addresses: Network | None = None

    def speaks_of(self, address: str | None) -> bool:
        return self.addresses is None or ip_address(address or "::") in self.addresses


class Probe(NamedTuple):
    """One run of the module. ``cause``: what is put in the network meanwhile."""

    name: str
    rows: tuple[Row, ...]
    options: Mapping[str, Any] = MappingProxyType({})
    cause: Cause = lambda _place: nullcontext()
    host: str = CLIENT.name


def _filled(value: Any, facts: Mapping[str, Any]) -> Any:
    """The value with the facts that it names in braces; one that is nothing else is the fact."""
    if isinstance(value, dict):
        return {key: _filled(one, facts) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, facts) for one in value]
    if not isinstance(value, str):
        return value
    return facts[value[1:-1]] if value[1:-1] in facts else value.format_map(facts)


# --- Causes ---------------------------------------------------------------------------------------


@contextmanager
def _linked(lab: Lab, host: str, *lines: str) -> Iterator[None]:
    """A host with further addresses or routes meanwhile: ``address add …``, ``route add …``."""
    with ExitStack() as stack:
        for line in lines:
            kind, words = line.split(" add ")
            family = ("-6",) if ":" in words else ()
            ip = ("ip", *family, "-n", lab.netns(host), kind)
            subprocess.run([*ip, "add", *words.split()], check=True)
            stack.callback(subprocess.run, [*ip, "del", *words.split()], check=True)
        yield


@contextmanager
def _dropped(place: Place) -> Iterator[None]:
    """A resolver that doesn't answer, ports that take no connection, and a forbidden way.

    By the prober's own rules: of messages that others send a few a second arrive.
    """
    chain = """
    chain block {{
        type filter hook input priority 0
        ip saddr {client} udp dport 53 drop
        tcp dport 82 drop
    }}
    """
    forbidden = """
    chain forbid {
        type filter hook output priority 0
        tcp dport 84 reject with icmp type admin-prohibited
    }
    """
    with (
        ruled(place.lab, CLB.name, chain.format_map(place.facts)),
        ruled(place.lab, CLIENT.name, forbidden),
        _linked(place.lab, CLIENT.name, f"route add prohibit {FORBIDDEN}/32"),
    ):
        yield


@contextmanager
def _without_ipv6(place: Place) -> Iterator[None]:
    with _linked(place.lab, CLIENT.name, f"route add unreachable {VIPS_IPV6}"):
        yield


@contextmanager
def _translated(place: Place) -> Iterator[None]:
    """Nodes that replace the client's address, and a balancer that loses each tenth connection."""
    found = _filled(TRANSLATED, place.facts)
    ports = place.facts["node_ports"]
    always = [f"ct original proto-dst {ports[one]} snat to {found[one]}" for one in found]
    every_other = f"ct original proto-dst {ports[UNSTEADY]} numgen inc mod 2 0 snat to {PRIVATE}"
    rules = "\n".join(f'oifname "cni*" ip protocol tcp {rule}' for rule in (*always, every_other))
    nodes = f"chain translate {{ type nat hook postrouting priority 90\n{rules}\n}}"
    address = place.facts["balanced"]
    tenth = (
        "chain refuse { type filter hook forward priority 0\n"
        f"ip protocol tcp ct original ip daddr {address} ct original proto-dst {LOSSY}"
        " ct state new numgen inc mod 10 0 reject with tcp reset\n}"
    )
    with ExitStack() as stack:
        for node in NODES:
            stack.enter_context(ruled(place.lab, node.name, nodes))
        stack.enter_context(ruled(place.lab, CLB.name, tenth))
        yield


@contextmanager
def _forwarded_port(place: Place) -> Iterator[None]:
    words = ("kubectl", "-n", place.attempt.playbooks.namespace, "port-forward")
    more = ("--address", OPERATOR.ipv4("inet"), "service/real-ip-service", "8080:80")
    with place.attempt.playbooks.running(OPERATOR.name, *words, *more):
        yield


FRONT = """
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
    fastcgi_temp_path {directory}/f; scgi_temp_path {directory}/s; uwsgi_temp_path {directory}/u;
    map $http_x_forwarded_for $masked {{ "" $remote_addr; default "unknown"; }}
    map $uri $shown {{
        /unknown "unknown";
        /masked $masked;
        default $proxy_add_x_forwarded_for;
    }}
    map $uri $from {{
        /other {other};
        default "";
    }}
    server {{
        listen {client2}:80;
        listen [{client2_ipv6}]:80;
        listen [{public_front}]:80;
        listen [{private_front}]:80;
        location = /address {{ return 200 $remote_addr; }}
        location / {{
            proxy_pass http://{balancer};
            proxy_bind $from;
            proxy_set_header X-Forwarded-For $shown;
        }}
    }}
}}
"""


@contextmanager
def _front(place: Place) -> Iterator[None]:
    """A proxy in front of the load balancer, which also tells callers their addresses.

    Two of its addresses are reached from the client's own address of a public range.
    """
    file = place.directory / "front.conf"
    file.write_text(FRONT.format(directory=place.directory, other=OTHER, **place.facts))
    # Duplicate address detection would keep a route from naming the address yet.
    here = f"address add {PUBLIC}/128 dev inet preferred_lft 0 nodad"
    routes = [f"route add {one}/128 dev inet src {PUBLIC}" for one in (PUBLIC_FRONT, PRIVATE_FRONT)]
    there = [f"address add {one}/128 dev inet nodad" for one in (PUBLIC_FRONT, PRIVATE_FRONT)]
    there.append(f"address add {OTHER}/32 dev inet")
    with (
        _linked(place.lab, CLIENT.name, here, *routes),
        _linked(place.lab, CLIENT2.name, *there, f"route add {PUBLIC}/128 dev inet"),
        place.attempt.playbooks.running(CLIENT2.name, "nginx", "-c", str(file)),
    ):
        yield


@contextmanager
def _gateway(place: Place) -> Iterator[None]:
    """The proxy in front, and the client behind a gateway on some of its ways."""
    chain = """
    chain translate {{
        type nat hook postrouting priority 100
        ip daddr {{ {client2}, {balanced} }} snat to {gateway}
    }}
    """
    with (
        _front(place),
        _linked(place.lab, CLIENT.name, f"address add {GATEWAY}/32 dev inet"),
        ruled(place.lab, CLIENT.name, chain.format_map(place.facts)),
    ):
        yield


@contextmanager
def _elastic(place: Place) -> Iterator[None]:
    """The proxy in front behind an address that is translated to its machine's own."""
    chain = f"""
    chain translate {{{{
        type nat hook output priority -100
        ip daddr {ELASTIC} dnat to {{client2}}
    }}}}
    """
    with _front(place), ruled(place.lab, CLIENT2.name, chain.format_map(place.facts)):
        yield


@contextmanager
def _in_the_vpc(place: Place) -> Iterator[None]:
    """The operator's way to the load balancer begins in the nodes' network."""
    way = "route add {balancer}/32 via {clb} dev vpc src {operator_vpc}"
    with _linked(place.lab, OPERATOR.name, way.format_map(place.facts)):
        yield


@contextmanager
def _hostile(lab: Lab, authority: Path) -> Iterator[dict[str, str]]:
    """What answers at another client, most of it with ill will: name → address with port."""
    hides = echo(None, change=lambda document, _number: document.pop("method"), form="flask")
    tls = server_tls(authority)
    with inside(lab.netns(CLIENT2.name)):
        # Only their sockets are made in there: threads would stay.
        address = (CLIENT2.ipv4("inet"), 0)
        servers = {
            "silent": Server(silent, address=address),
            "hiding": Server(hides, address=address),
            "secured": Server(echo(CLIENT.ipv4("inet")), tls=tls, address=address),
            **{
                f"hostile_{number}": Server(server.behaviour, address=address)
                for number, server in enumerate(SERVERS)
            },
        }
    with ExitStack() as stack:
        for server in servers.values():
            stack.enter_context(server)
        yield {name: server.authority for name, server in servers.items()}


# --- The table ------------------------------------------------------------------------------------


def _to(url: str, *expected: str, **more: str) -> dict[str, Any]:
    return {"url": url, "expected_source": list(expected), **more}


def _at(port: int, **more: str) -> dict[str, Any]:
    """A port of the layer-4 load balancer."""
    return _to(f"http://{{balanced}}:{port}/", "{client}", **more)


BALANCER = _to("http://{balancer}/", "{client}")
#: For what a cause has only just started.
WAITING = {"wait": True, "wait_timeout": 60}
UNNAMED = {"headers": "headers", "peer": "peer.address"}
#: As an app with ProxyFix or uvicorn's proxy headers tells its peer.
BELIEVING = {**UNNAMED, "peer": f"(headers[?[0]=='{XFF}'] | [-1][1]) || peer.address"}
ENTRY = f"the rightmost {XFF} entry"


def _at_hostile(slow: bool) -> tuple[Row, ...]:
    """The servers of the transport's own tests: each answers in another wrong way."""
    return tuple(
        Row(server.code, _to(f"http://{{hostile_{number}}}/", "{client}"))
        for number, server in enumerate(SERVERS)
        if server.slow == slow
    )


PROBES = (
    Probe(
        "nothing put there",
        (
            Row("V001", BALANCER, ("all 3 answers", f"showed {{client}} as {ENTRY}")),
            Row("V401", _to("http://{balancer}/"), ("({client}) is not globally routable",)),
            Row(
                "V404", _to("http://{balancer}/", "169.254.7.7"), ("expected 169.254.7.7 (given)",)
            ),
            Row("V501", _to("http://nobody.example/", "{client}"), ("nobody.example: ",)),
            Row("V503", _to("http://{balancer}:81/", "{client}"), ("3 of 3 requests",)),
            Row("V508", _to("https://{balancer}:80/", "{client}"), ("{balancer}:80 came about: ",)),
        ),
        {"samples": 3, "forge": False},
    ),
    Probe(
        "packets that don't get through",
        (
            Row(
                "V502", _to("http://silent.example/", "{client}"), ("silent.example within 3.0 s",)
            ),
            Row("V504", _to("http://{balancer}:82/", "{client}"), ("10 of 10 requests",)),
            Row("V506", _to("http://{balancer}:84/", "{client}"), ("10 of 10 requests: No route",)),
            # There is none from here.
            Row("V505", _to(f"http://{FORBIDDEN}/", "{client}"), (FORBIDDEN,)),
        ),
        {"timeout": 3, "forge": False},
        _dropped,
    ),
    Probe(
        "two families",
        (
            Row("V001", _to("http://{name}/", "{client}"), addresses=VIPS_IPV4),
            Row(
                "V402",
                _to("http://{name}/", "{client}"),
                ("reached over IPv6, but the expected {client}",),
                VIPS_IPV6,
            ),
            Row("V001", _to("http://[{balancer_ipv6}]/", "{client_ipv6}")),
        ),
        {"forge": False},
    ),
    Probe(
        "one family without a route",
        (
            Row("V001", _to("http://{name}/", "{client}"), addresses=VIPS_IPV4),
            Row("V601", _to("http://{name}/", "{client}"), ("for IPv6",), VIPS_IPV6),
            Row("V505", _to("http://[{balancer_ipv6}]/", "{client_ipv6}")),
        ),
        {"forge": False},
        _without_ipv6,
    ),
    Probe(
        "layer 4",
        (
            Row("V001", _at(PLAIN), ("showed {client} as the socket peer",)),
            Row("V201", _at(81), (f"{NODE1.ipv4('vpc')}, a node's address", "of {client}")),
            Row(
                "V202", _at(82), (f"{TRANSLATED[82]}, an address of the pod network", "of {client}")
            ),
            Row("V203", _at(83), ("{service}, a Service's address", "of {client}")),
            Row("V204", _at(84), ("{balanced}, the load balancer's address", "of {client}")),
            Row("V206", _at(85), (f"{PRIVATE}, another private address", "of {client}")),
            Row("V302", _at(UNSTEADY), ("real-ip-deployment-", "saw {client}", PRIVATE)),
            Row("V415", _at(LOSSY), ("of 40 requests", "× connection refused", "{client}")),
            Row("V409", _at(PLAIN, layer="l7"), ("{client} is the socket peer",)),
            Row("V209", _at(85, layer="l7"), (f"{XFF} is missing", f"socket peer: {PRIVATE}")),
        ),
        {"layer": "l4", "samples": 40, "forge": False},
        _translated,
    ),
    Probe(
        "an echo app that doesn't name its pod",
        (
            Row("V002", BALANCER, ("all 20 answers", "{client}")),
            Row("V425", _at(PLAIN, layer="l4"), ("2 pods are ready", "{client}")),
            Row("V303", _at(UNSTEADY, layer="l4"), ("of 20 answers", "{client}", PRIVATE)),
        ),
        {
            "echo_format": "jmespath",
            "echo_queries": UNNAMED,
            "expect_backends": "{pods}",
            "samples": 20,
            "forge": False,
        },
        _translated,
    ),
    Probe(
        "an echo app that tells the headers only",
        (
            Row("V411", BALANCER, ("10 requests", "2 backends")),
            Row("V417", _at(PLAIN, layer="l4")),
        ),
        {
            "echo_format": "jmespath",
            "echo_queries": {"headers": "headers"},
            "expect_backends": "{pods}",
            "max_samples": 10,
            "forge": False,
        },
    ),
    Probe(
        "an echo app that takes its peer from a header",
        (Row("V426", _at(PLAIN), ("told 6.6.6.6 as the socket peer", f"forged {XFF}: 6.6.6.6")),),
        {"echo_format": "jmespath", "echo_queries": BELIEVING, "layer": "l4"},
    ),
    Probe(
        "trusted ranges without a peer",
        (Row("V427", BALANCER, ("{client} is the nearest address outside trusted_ranges",)),),
        {
            "strategy": "rightmost_trusted_range",
            "trusted_ranges": [str(VPC.ipv4)],
            "echo_format": "jmespath",
            "echo_queries": {"headers": "headers"},
            "forge": False,
        },
    ),
    Probe(
        "trusted ranges with a peer",
        (Row("V001", BALANCER, ("{client} as the nearest address outside trusted_ranges",)),),
        {
            "strategy": "rightmost_trusted_range",
            "trusted_ranges": [str(VPC.ipv4), *(str(one) for one in POD_NETWORKS)],
            "forge": False,
        },
    ),
    Probe(
        "on the proxy in front itself",
        (
            Row("V429", _to("http://{client2}/", "{client2}"), ("showed {client2} as",)),
            Row("V429", _to(f"http://{ELASTIC}/", "{client2}"), ("to the pods, at {client2}:80",)),
            Row("V001", _to("http://{balancer}/", "{client2}")),
        ),
        # Asked directly, it is the load balancer that sees the prober.
        {
            "cluster_addresses": {"load_balancers": ["{balancer}"]},
            "vantage": "outside",
            "forge": False,
            **WAITING,
        },
        _elastic,
        CLIENT2.name,
    ),
    Probe(
        "on the proxy in front itself, which is said to be a pod",
        (Row("V429", _to(f"http://{ELASTIC}/", "{client2}"), ("to the pods, at {client2}:80",)),),
        {
            "cluster_addresses": {"load_balancers": ["{balancer}"]},
            "load_balancer": "qcloud",
            "vantage": "pod",
            "forge": False,
            **WAITING,
        },
        _elastic,
        CLIENT2.name,
    ),
    Probe(
        "a port-forward",
        (
            Row(
                "V205",
                _to("http://{operator}:8080/", "{client}"),
                ("127.0.0.1, a loopback address", "of {client}"),
            ),
            Row("V001", _at(PLAIN)),
        ),
        {"layer": "l4", "forge": False, **WAITING},
        _forwarded_port,
    ),
    Probe(
        "a gateway on the client's way",
        (
            Row(
                "V406",
                _at(PLAIN, layer="l4") | {"expected_source": ["local"]},
                ("{client}", GATEWAY),
            ),
            Row(
                "V428",
                _at(PLAIN, layer="l4") | {"expected_source": ["{client}", GATEWAY]},
                (f"{GATEWAY} arrived", "own address {client}"),
            ),
            Row(
                "V430",
                _to("http://{client2}/other", GATEWAY, OTHER),
                (f"{OTHER} arrived", f"in the same answers {GATEWAY} stands"),
            ),
            Row("V001", _to("http://{client2}/other", OTHER)),
            Row("V419", _to("http://{balancer}/"), ("showed {client}", f"told {GATEWAY}")),
            Row("V418", _to("http://{client2}/"), (f"expected {GATEWAY}",)),
            Row("V412", _to("http://[{client2_ipv6}]/"), ("told no IPv6 address of the prober",)),
        ),
        {"expected_source_url": "http://{client2}/address", "forge": False, **WAITING},
        _gateway,
    ),
    Probe(
        "no gateway on the client's way",
        (
            Row("V001", _at(PLAIN, layer="l4") | {"expected_source": ["local"]}),
            Row("V001", _to("http://{balancer}/")),
        ),
        {"expected_source_url": "http://{client2}/address", "forge": False, **WAITING},
        _front,
    ),
    Probe(
        "a proxy in front",
        (
            Row(
                "V001", _to("http://{client2}/", "{client}"), (f"entry 2 from the right of {XFF}",)
            ),
            Row(
                "V210",
                _to("http://{client2}/unknown", "{client}"),
                (f"{XFF}: unknown, {{client2}}",),
            ),
            Row("V102", _to("http://{client2}/masked", "{client}"), ("forged", "it no address")),
            Row("V208", BALANCER, ("{client} as entry 1 from the right",)),
            Row(
                "V405",
                _to("http://[{public_front}]/", "{client_ipv6}"),
                ("expected {client_ipv6} is not globally routable", f"showed {PUBLIC}"),
            ),
            Row(
                "V207",
                _to("http://[{private_front}]/", "{client_ipv6}"),
                (f"{PUBLIC}, another public address", "of {client_ipv6}"),
            ),
            Row("V001", _to("http://[{public_front}]/", PUBLIC)),
            Row("V001", _to("http://[{public_front}]/"), (f"showed {PUBLIC}",)),
            Row("V401", _to("http://[{client2_ipv6}]/"), ("({client_ipv6})",)),
        ),
        {"trusted_count": 2, **WAITING},
        _front,
    ),
    Probe(
        "the leftmost entry",
        (Row("V414", _to("http://[{public_front}]/", PUBLIC), (f"showed {PUBLIC}",)),),
        {"strategy": "leftmost_non_private", "forge": False, **WAITING},
        _front,
    ),
    Probe(
        "in the nodes' network",
        (
            Row("V403", _to("http://{balancer}/", "local"), ("expected {operator_vpc} (local)",)),
            Row("V201", BALANCER, ("{operator_vpc}, a node's address", "of {client}")),
        ),
        {"cluster_addresses": {"nodes": [str(VPC.ipv4)]}, "vantage": "vpc", "forge": False},
        _in_the_vpc,
        OPERATOR.name,
    ),
    Probe(
        "beside the nodes, which are known one by one",
        (Row("V001", _to("http://{balancer}/", "local"), ("showed {operator_vpc}",)),),
        {"forge": False},
        _in_the_vpc,
        OPERATOR.name,
    ),
    Probe(
        "beside nodes that are not known",
        (
            Row(
                "V413",
                _to("http://{balancer}/", str(VPC.ipv4)),
                ("{operator_vpc}", f"expected {VPC.ipv4}"),
            ),
            Row("V001", _to("http://{balancer}/", "{operator_vpc}")),
        ),
        {"cluster_addresses": {}, "vantage": "vpc", "forge": False},
        _in_the_vpc,
        OPERATOR.name,
    ),
    Probe(
        "a load balancer that isn't known as one",
        (
            Row(
                "V416",
                _to("http://{balancer}/", "{balancer}"),
                ("expected {balancer} is the address",),
            ),
        ),
        {"cluster_addresses": {}, "vantage": "outside", "forge": False},
    ),
    Probe(
        "hostile servers",
        (
            *_at_hostile(slow=False),
            Row("V420", _to("http://{hiding}/", "{client}"), (f"show {XFF}",)),
            Row(
                "V507",
                _to("https://{secured}/", "{client}"),
                ("mismatch", "'{client2}'"),
            ),
            Row(
                "V001",
                _to("https://{secured}/", "{client}", server_name="echo.example.com"),
            ),
        ),
        {"samples": 1, "ca_path": "{authority}", "forge": False},
    ),
    Probe(
        "servers without an end",
        _at_hostile(slow=True),
        {"samples": 1, "timeout": 3, "forge": False},
    ),
    Probe(
        "no time left",
        (Row("V525", _to("http://{balancer}/"), ("the deadline passed before {balancer} gave",)),),
        # Asking for the own address takes all of it.
        {"expected_source_url": "http://{silent}/", "deadline": 1},
    ),
)


# --- Tests ----------------------------------------------------------------------------------------


def _facts(attempt: Attempt, balanced: str) -> dict[str, Any]:
    def read(kind: str, name: str) -> Any:
        return json.loads(attempt.kubectl("get", kind, name, "-o", "json"))

    status = read("ingress", "real-ip-ingress")["status"]["loadBalancer"]["ingress"]
    addresses = [one["ip"] for one in status]
    way = attempt.way(service="layer-4", layer="l4")
    return {
        "balanced": balanced,
        "balancer": next(one for one in addresses if ":" not in one),
        "balancer_ipv6": next(one for one in addresses if ":" in one),
        "name": status[0]["hostname"],
        "service": read("service", "real-ip-service")["spec"]["clusterIP"],
        "node_ports": {
            port["port"]: port["nodePort"] for port in read("service", "layer-4")["spec"]["ports"]
        },
        "pods": way["expect_backends"],
        "cluster": way["cluster_addresses"],
        "client": CLIENT.ipv4("inet"),
        "client_ipv6": CLIENT.ipv6("inet"),
        "client2": CLIENT2.ipv4("inet"),
        "client2_ipv6": CLIENT2.ipv6("inet"),
        "operator": OPERATOR.ipv4("inet"),
        "operator_vpc": OPERATOR.ipv4("vpc"),
        "clb": CLB.ipv4("vpc"),
        "gateway": GATEWAY,
        "public_front": PUBLIC_FRONT,
        "private_front": PRIVATE_FRONT,
    }


@pytest.fixture(scope="module")
def place(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The bundled echo app behind a load balancer of each layer; that of layer 7 has a name."""
    playbooks = Playbooks(lab.name, f"codes-{secrets.token_hex(3)}")
    attempt, directory = Attempt(playbooks), tmp_path_factory.mktemp("codes")
    run = playbooks.run(
        "site", "-e", "real_ip_echo=bundled", "-e", f"real_ip_expected_source={EXPECTED}"
    )
    assert run.verdict == "preserved", run.output
    ports = (PLAIN, *TRANSLATED, UNSTEADY, LOSSY)
    authority = certificate(directory, "echo.example.com")
    with (
        playbooks.balanced_service("Local", ports) as balanced,
        _hostile(lab, authority) as servers,
    ):
        playbooks.until_it_answers_always(balanced)
        playbooks.switch("address_family=dual")
        playbooks.switch("address=both")
        try:
            known = {**_facts(attempt, balanced), **servers, "authority": str(authority)}
            yield Place(lab, attempt, known, directory)
        finally:
            playbooks.switch("address=ip")
            playbooks.switch("address_family=ipv4")
    # Waited for: only then its addresses are free again.
    attempt.kubectl("delete", "ingress", "real-ip-ingress")
    playbooks.kubectl("delete", "namespace", playbooks.namespace, "--wait=false")


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_each_target_has_its_code(place: Place, probe: Probe) -> None:
    targets: list[dict[str, Any]] = []
    for row in probe.rows:
        # A name that gives two addresses has two rows.
        if row.target not in targets:
            targets.append(row.target)
    common = {"cluster_addresses": "{cluster}", "timeout": 30}
    options = _filled({**common, **probe.options}, place.facts)
    named = [{**_filled(one, place.facts), "name": str(n)} for n, one in enumerate(targets)]
    with probe.cause(place):
        found = place.attempt.probe(probe.host, **options, targets=named)["targets"]
    wrong, seen = [], []
    for one in found:
        [row] = [
            row
            for row in probe.rows
            if str(targets.index(row.target)) == one["name"] and row.speaks_of(one["address"])
        ]
        says = [*_filled([*row.says], place.facts), one["address"] or ""]
        right = (one["code"], one["verdict"]) == (row.code, CODES[row.code].verdict)
        right = right and not one["reason"].endswith(".")
        if not right or any(text not in one["reason"] for text in says):
            wrong.append((row, says, one["code"], one["verdict"], one["reason"]))
        seen.append(row)
    assert (wrong, [row for row in probe.rows if row not in seen]) == ([], [])


def _compared(test: ast.FunctionDef) -> set[str]:
    """The texts in a test and in what it is parametrized by: neither comments nor its docstring."""
    body = test.body[1:] if ast.get_docstring(test) else test.body
    return {
        node.value
        for one in (*test.decorator_list, *body)
        for node in ast.walk(one)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _tests() -> dict[str, set[str]]:
    """Name → texts, of the tests of the other files here."""
    return {
        node.name: _compared(node)
        for path in Path(__file__).parent.glob("test_play_*.py")
        if path != Path(__file__)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }


def test_every_code_is_shown_on_the_test_cluster() -> None:
    shown = {row.code for probe in PROBES for row in probe.rows}
    assert sorted(CODES.keys() - shown - ELSEWHERE.keys()) == [], "shown by no test here"
    assert sorted((shown | ELSEWHERE.keys()) - CODES.keys()) == [], "no codes"
    tests = _tests()
    lacking = [
        (code, name)
        for code, name in ELSEWHERE.items()
        if not any(re.search(rf"\b{code}\b", text) for text in tests.get(name, ()))
    ]
    assert lacking == [], "no such test, or it doesn't name the code"
