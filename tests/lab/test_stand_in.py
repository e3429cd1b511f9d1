# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods see through the stand-in for CLB, and what its controller does to the objects.

One pod of each server runs on either node, in a namespace of this module's own; each test makes
the Services and Ingresses that it needs, and takes them away.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final, TypeVar

import pytest

from lab import balancing, cluster, controller, credentials, layer7, parts, processes, shell
from lab.api import Unanswered, ask
from lab.network import inside
from lab.settings import API_URL, CLB, CLIENT, CLIENT2, NODE1, NODE2, Lab
from tests.lab.spaces import (
    CLIENT_IPV4,
    CLIENT_IPV6,
    FORGED,
    INGRESSES,
    SERVICES,
    Json,
    Space,
    eventually,
    fetch,
    in_cluster,
    rule,
    unreachable,
)

T = TypeVar("T")

# --------------------------------------------------------------------------------------------
# Layer 7

X_FORWARDED_FOR: Final = {
    "append": f"6.6.6.6, {CLIENT_IPV4}",
    "replace": CLIENT_IPV4,
    "keep": "6.6.6.6",
    "pass": "6.6.6.6",
}


def test_document_way(space: Space, switch: Callable[..., None]) -> None:
    """The document's case, in each mode of X-Forwarded-For, with a forged one."""
    with space.service("flask", {"app": "flask"}), space.ingress("document", "flask"):
        address = space.serving(INGRESSES, "document")
        for mode, expected in X_FORWARDED_FOR.items():
            switch(x_forwarded_for=mode)
            headers = fetch(space.lab, CLIENT.name, address, "/", FORGED).json()["headers"]
            assert headers["X-Forwarded-For"] == expected
            assert headers["X-Real-Ip"] == CLIENT_IPV4
            assert headers["Host"] == address
            assert headers["X-Client-Proto"] == headers["X-Forwarded-Proto"] == "http"
            assert headers["X-Client-Proto-Ver"] == "HTTP/1.1"
            assert re.fullmatch(r"\d{10}\.\d{3}", headers["X-Stgw-Time"])
        # Nothing was sent: nothing is passed.
        headers = fetch(space.lab, CLIENT.name, address).json()["headers"]
        assert "X-Forwarded-For" not in headers


def test_header_lines(space: Space, switch: Callable[..., None]) -> None:
    """Repeated lines are joined or passed as they are; names with underscores are dropped."""
    forged = (FORGED, ("X-Forwarded-For", "7.7.7.7"), ("X_Real_IP", "6.6.6.6"))
    with space.service("seen", {"app": "seen"}), space.ingress("lines", "seen"):
        address = space.serving(INGRESSES, "lines")
        for mode, expected in (
            ("append", [f"6.6.6.6, 7.7.7.7, {CLIENT_IPV4}"]),
            ("pass", ["6.6.6.6", "7.7.7.7"]),
        ):
            switch(x_forwarded_for=mode)
            __, headers = fetch(space.lab, CLIENT.name, address, "/", *forged).seen()
            assert headers["x-forwarded-for"] == expected
            assert headers["x-real-ip"] == [CLIENT_IPV4]
            assert "x_real_ip" not in headers


def test_two_clients_two_ingresses(space: Space) -> None:
    """Ingresses have addresses of their own, and one that can't be configured harms no other."""
    with (
        space.service("seen", {"app": "seen"}),
        space.ingress("one", "seen"),
        space.ingress("two", "seen", rules=[rule("seen", host="two.example.com")]),
        space.ingress(
            "broken", "seen", rules=[rule("seen", path="/(a|b)", kind="ImplementationSpecific")]
        ),
    ):
        one = space.serving(INGRESSES, "one")
        two = space.serving(INGRESSES, "two", "two.example.com")
        assert one != two
        for client in (CLIENT, CLIENT2):
            __, headers = fetch(space.lab, client.name, one).seen()
            assert headers["x-forwarded-for"] == [client.ipv4("inet")]
        assert fetch(space.lab, CLIENT.name, two, name="two.example.com").status == HTTPStatus.OK
        assert fetch(space.lab, CLIENT.name, two).status == HTTPStatus.FORBIDDEN


def test_hosts_and_paths(space: Space) -> None:
    """403 where no rule has the Host, 404 where none of its rules has the path."""
    rules = [
        rule("seen", "/shop", "a.example.com"),
        rule("seen", "/exact", "a.example.com", "Exact"),
        rule("seen", "/", "*.w.example.com"),
        rule("seen", "/own"),
    ]
    with (
        space.service("seen", {"app": "seen"}),
        space.ingress("rules", "seen", rules=rules) as made,
    ):
        address = space.serving(INGRESSES, "rules", "any.w.example.com")
        identity = balancing.balancer_id(made["metadata"]["uid"], _number(address))
        for name, path, status in (
            ("a.example.com", "/shop", HTTPStatus.OK),
            ("A.example.com:80", "/shop/x?y=%20", HTTPStatus.OK),
            ("a.example.com", "/shopping", HTTPStatus.NOT_FOUND),
            ("a.example.com", "/exact", HTTPStatus.OK),
            ("a.example.com", "/exact/", HTTPStatus.NOT_FOUND),
            ("a.example.com", "/", HTTPStatus.NOT_FOUND),
            ("x.w.example.com", "/any", HTTPStatus.OK),
            ("x.y.w.example.com", "/any", HTTPStatus.FORBIDDEN),
            ("w.example.com", "/any", HTTPStatus.FORBIDDEN),
            ("b.example.com", "/shop", HTTPStatus.FORBIDDEN),
            (address, "/own", HTTPStatus.OK),
            (f"{identity}.{balancing.DOMAIN}", "/own", HTTPStatus.OK),
            (address, "/", HTTPStatus.NOT_FOUND),
        ):
            answer = fetch(space.lab, CLIENT.name, address, path, name=name)
            assert (name, path, answer.status) == (name, path, status)


def _number(address: str) -> int:
    return next(number for number in range(1, 127) if balancing.addresses_of(number)[0] == address)


def test_layer7_ipv6(space: Space, switch: Callable[..., None]) -> None:
    switch(address_family="dual")
    with (
        space.service("seen", {"app": "seen"}, externalTrafficPolicy="Local"),
        space.service("ipv4", {"app": "seen"}, ipFamilyPolicy="SingleStack", ipFamilies=["IPv4"]),
        space.ingress("six", "seen", rules=[rule("seen"), rule("ipv4", "/ipv4")]),
    ):
        space.serving(INGRESSES, "six")
        first, second = (entry["ip"] for entry in space.entries(INGRESSES, "six"))
        annotations = space.get(INGRESSES, "six")["metadata"]["annotations"]
        assert annotations["ingress.cloud.tencent.com/loadbalance-ipv6"] == second
        assert fetch(space.lab, CLIENT.name, first).seen()[0] == CLIENT_IPV4
        peer, headers = fetch(space.lab, CLIENT.name, second).seen()
        assert peer == CLIENT_IPV6
        assert headers["x-forwarded-for"] == headers["x-real-ip"] == [CLIENT_IPV6]
        # A Service without IPv6 is reached all the same, but not in the client's name.
        peer, headers = fetch(space.lab, CLIENT.name, second, "/ipv4").seen()
        assert in_cluster(peer)
        assert headers["x-forwarded-for"] == [CLIENT_IPV6]


def test_source(space: Space, switch: Callable[..., None]) -> None:
    """Whose connection the node gets; with externalTrafficPolicy Local the pod sees it."""
    with (
        space.service("local", {"app": "seen"}, externalTrafficPolicy="Local"),
        space.ingress("source", "local"),
    ):
        address = space.serving(INGRESSES, "source")

        def peer_is(expected: str, connection: list[str] | None) -> None:
            peer, headers = fetch(space.lab, CLIENT.name, address).seen()
            assert (peer, headers.get("connection")) == (expected, connection)

        peer_is(CLIENT_IPV4, ["close"])
        switch(source="own")
        peer_is(CLB.ipv4("vpc"), None)
        # From inside the balancer can't act in the client's name: nodes would answer directly.
        switch(source="transparent")
        peer_is(CLIENT_IPV4, ["close"])
        peer, headers = fetch(space.lab, NODE1.name, address).seen()
        assert peer == CLB.ipv4("vpc")
        assert headers["x-forwarded-for"] == [NODE1.ipv4("vpc")]


# --------------------------------------------------------------------------------------------
# Layer 4

DIRECT: Final = {"annotations": {"service.cloud.tencent.com/direct-access": "true"}}


def layer4(space: Space, name: str, **more: Any) -> AbstractContextManager[Json]:
    return space.service(name, {"app": "seen"}, "LoadBalancer", **more)


def test_layer4(space: Space) -> None:
    """Only a node's translation hides the client: Cluster does, Local and direct access don't."""
    with (
        layer4(space, "cluster"),
        layer4(space, "local", externalTrafficPolicy="Local"),
        layer4(space, "direct", meta=DIRECT, allocateLoadBalancerNodePorts=False),
    ):
        for name, preserved in (("cluster", False), ("local", True), ("direct", True)):
            space.serving(SERVICES, name)
            first, second = (entry["ip"] for entry in space.entries(SERVICES, name))
            for address, client in ((first, CLIENT_IPV4), (second, CLIENT_IPV6)):
                # More than one round over the backends.
                for __ in range(4):
                    peer, headers = fetch(space.lab, CLIENT.name, address, "/", FORGED).seen()
                    assert (peer == client) is preserved, (name, peer)
                    assert preserved or in_cluster(peer)
                    assert headers["x-forwarded-for"] == ["6.6.6.6"]
                    assert "x-stgw-time" not in headers


def test_short_circuit(space: Space) -> None:
    """From a node kube-proxy answers: the packet never leaves, whatever the balancer does."""
    with layer4(space, "near", externalTrafficPolicy="Local"):
        address = space.serving(SERVICES, "near")
        assert fetch(space.lab, CLIENT.name, address).seen()[0] == CLIENT_IPV4

        def answered_on_the_node() -> None:
            peer, __ = fetch(space.lab, NODE1.name, address).seen()
            assert in_cluster(peer)
            assert peer != CLB.ipv4("vpc"), "kube-proxy doesn't know the address yet"

        eventually(answered_on_the_node)
        before = connections(space.lab, NODE1.ipv4("vpc"), address)
        for __ in range(4):
            answered_on_the_node()
        assert connections(space.lab, NODE1.ipv4("vpc"), address) == before
        assert connections(space.lab, CLIENT_IPV4, address) > 0


def connections(lab: Lab, source: str, address: str) -> int:
    """Return how many connections from ``source`` to ``address`` the balancer has seen."""
    netns = f"--net=/run/netns/{lab.netns(CLB.name)}"
    command = ["nsenter", netns, "conntrack", "-L", "--orig-src", source, "--orig-dst", address]
    return len(shell.run(command).splitlines())


def test_bypass(space: Space) -> None:
    """A client that asks a node directly isn't seen, and no header says who it is."""
    with space.service("around", {"app": "seen"}) as made, space.ingress("front", "around"):
        space.serving(INGRESSES, "front")
        port = made["spec"]["ports"][0]["nodePort"]
        for address in (NODE1.ipv4("vpc"), NODE1.ipv6("vpc")):

            def seen(address: str = address) -> tuple[str, dict[str, list[str]]]:
                return fetch(space.lab, CLIENT.name, address, port=port).seen()

            peer, headers = eventually(seen)
            assert in_cluster(peer)
            assert not headers.keys() & {"x-forwarded-for", "x-real-ip", "x-stgw-time"}


def test_health_check_steers_local(space: Space, switch: Callable[..., None]) -> None:
    """All nodes are bound; only the health check keeps clients from a node without a pod."""
    selector = {"app": "seen", "on": NODE1.name}
    with space.service("half", selector, "LoadBalancer", externalTrafficPolicy="Local"):
        address = space.serving(SERVICES, "half")

        def answers() -> bool:
            try:
                return fetch(space.lab, CLIENT.name, address, timeout=0.5).status == HTTPStatus.OK
            except TimeoutError:
                return False

        assert all(answers() for __ in range(4))
        switch(health_check="off")
        assert sorted([answers(), answers()]) == [False, True]


def test_ports_and_protocols(space: Space) -> None:
    ports = [
        {"name": "a", "port": 80, "targetPort": 5000},
        {"name": "b", "port": 8080, "targetPort": 5000},
        {"name": "c", "port": 53, "targetPort": 5053, "protocol": "UDP"},
    ]
    with layer4(space, "ports", meta=DIRECT, ports=ports):
        address = space.serving(SERVICES, "ports")
        for port in (80, 8080):
            peer, __ = fetch(space.lab, CLIENT.name, address, port=port).seen()
            assert peer == CLIENT_IPV4
        with pytest.raises(ConnectionRefusedError):
            fetch(space.lab, CLIENT.name, address, port=81)
        command = [
            "nsenter",
            f"--net=/run/netns/{space.lab.netns(CLB.name)}",
            "nft",
            "list",
            "table",
        ]
        assert f"ip daddr {address} udp dport 53 dnat ip to" in shell.run(
            [*command, "inet", balancing.TABLE]
        )


# --------------------------------------------------------------------------------------------
# The controller

ANNOTATION: Final = "kubernetes.io/ingress.class"
CLASSES: Final[dict[str, Json]] = {
    "field": {"ingressClassName": "qcloud"},
    "annotation": {"meta": {"annotations": {ANNOTATION: "qcloud"}}, "ingressClassName": None},
    "neither": {"ingressClassName": None},
    "other-field": {"ingressClassName": "nginx"},
    "other-annotation": {"meta": {"annotations": {ANNOTATION: "nginx"}}, "ingressClassName": None},
}


def test_classes(space: Space) -> None:
    """Field, annotation or neither; another class is ignored; leaving the scope releases."""
    with space.service("seen", {"app": "seen"}):
        for name, how in CLASSES.items():
            with suppress(Unanswered):
                space.delete(INGRESSES, name)
            _create(space, name, how)
        found = {
            name: space.serving(INGRESSES, name) for name in ("field", "annotation", "neither")
        }
        assert len(set(found.values())) == 3
        for name in ("other-field", "other-annotation"):
            ignored = space.get(INGRESSES, name)
            assert "finalizers" not in ignored["metadata"]
            assert not ignored["status"]["loadBalancer"]
            assert not space.events(name)

        identity = balancing.INGRESS.id_annotation
        assert identity in space.get(INGRESSES, "field")["metadata"]["annotations"]
        assert fetch(space.lab, CLIENT.name, found["field"]).status == HTTPStatus.OK
        space.patch(INGRESSES, "field", {"spec": {"ingressClassName": "nginx"}})
        space.patch(INGRESSES, "other-field", {"spec": {"ingressClassName": "qcloud"}})

        def released() -> None:
            left = space.get(INGRESSES, "field")
            assert "finalizers" not in left["metadata"]
            assert identity not in left["metadata"].get("annotations", {})
            assert not left["status"]["loadBalancer"]

        eventually(released)
        assert space.address(INGRESSES, "other-field")
        for name in CLASSES:
            space.delete(INGRESSES, name)
        for name in CLASSES:
            eventually(partial(space.gone, INGRESSES, name))
        for address in found.values():
            unreachable(space.lab, address)


def _create(space: Space, name: str, how: Json) -> None:
    spec = {"rules": [rule("seen")], **{key: how[key] for key in how if key != "meta"}}
    spec = {key: value for key, value in spec.items() if value is not None}
    space.create(INGRESSES, {"metadata": {"name": name, **how.get("meta", {})}, "spec": spec})


def addresses_on_lo(lab: Lab) -> set[str]:
    shown = shell.run(["ip", "-n", lab.netns(CLB.name), "-json", "address", "show", "dev", "lo"])
    return {entry["local"] for link in json.loads(shown) for entry in link["addr_info"]}


def test_life_of_a_balancer(space: Space, switch: Callable[..., None]) -> None:
    """Address after the delay, id, events, finalizer; and nothing is left when it is deleted."""
    delay = 1.5
    switch(address_delay=delay)
    with space.service("seen", {"app": "seen"}), space.ingress("life", "seen") as made:
        start = time.monotonic()
        address = space.address(INGRESSES, "life")
        assert delay <= time.monotonic() - start < delay + 2
        now = space.get(INGRESSES, "life")["metadata"]
        identity = now["annotations"][balancing.INGRESS.id_annotation]
        assert identity == balancing.balancer_id(made["metadata"]["uid"], _number(address))
        assert now["finalizers"] == [balancing.INGRESS.finalizer]
        assert eventually(lambda: _two(space.messages("life"))) == [
            ("Normal", f"Load balancer {identity} created."),
            ("Normal", f"Address {address} assigned."),
        ]
        own = set(balancing.addresses_of(_number(address)))
        assert own <= addresses_on_lo(space.lab)
        # Answers on the addresses of balancers only.
        with pytest.raises(ConnectionRefusedError):
            fetch(space.lab, CLIENT.name, CLB.ipv4("inet"))

        space.delete(INGRESSES, "life")
        eventually(partial(space.gone, INGRESSES, "life"))
        # At once: the finalizer goes last.
        assert not own & addresses_on_lo(space.lab)
        assert identity not in (space.lab.clb / "nginx.conf").read_text()
        assert identity not in (space.lab.clb / "hosts.d" / "balancers").read_text()
        unreachable(space.lab, address)


def _two(found: list[T]) -> list[T]:
    assert len(found) >= 2
    return found


def test_service_released_by_type(space: Space) -> None:
    with layer4(space, "former"):
        address = space.address(SERVICES, "former")
        metadata = space.get(SERVICES, "former")["metadata"]
        assert balancing.SERVICE.finalizer in metadata["finalizers"]
        assert re.fullmatch(
            r"lb-[0-9a-z]{8}", metadata["annotations"]["service.kubernetes.io/loadbalance-id"]
        )
        space.patch(SERVICES, "former", {"spec": {"type": "NodePort"}})

        def released() -> None:
            left = space.get(SERVICES, "former")
            assert balancing.SERVICE.finalizer not in left["metadata"].get("finalizers", ())
            assert not left["status"]["loadBalancer"]

        eventually(released)
        unreachable(space.lab, address)


def test_errors_are_events(space: Space) -> None:
    """An Ingress whose Service is missing waits for its address, and says why."""
    expected = {
        "absent": r'IngressErrorCode\{Code:"E4041",Message:".*absent.*",Retry:false\}',
        "plain": r'IngressErrorCode\{Code:"E4047",Message:".*plain.*ClusterIP.*",Retry:false\}',
    }
    with (
        space.service("plain", {"app": "seen"}, "ClusterIP"),
        space.ingress("of-absent", "absent"),
        space.ingress("of-plain", "plain"),
    ):
        for service, pattern in expected.items():

            def said(service: str = service, pattern: str = pattern) -> None:
                warnings = [
                    text for kind, text in space.messages(f"of-{service}") if kind == "Warning"
                ]
                assert [bool(re.fullmatch(pattern, text)) for text in warnings] == [True]

            eventually(said)
            assert space.entries(INGRESSES, f"of-{service}") == []
        with space.service("absent", {"app": "seen"}):
            address = space.serving(INGRESSES, "of-absent")

        # Once the address is there it stays; the rule is gone.
        def not_found() -> None:
            assert fetch(space.lab, CLIENT.name, address).status == HTTPStatus.NOT_FOUND

        eventually(not_found)
        assert space.entries(INGRESSES, "of-absent") == [{"ip": address}]


def resolve(lab: Lab, name: str) -> set[str]:
    """Ask the lab's resolver as a program on the client does."""
    command = ["ip", "netns", "exec", lab.netns(CLIENT.name), "getent", "ahosts", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return {line.split()[0] for line in done.stdout.splitlines()}


def test_hostname(space: Space, switch: Callable[..., None]) -> None:
    """Balancers that have a name only: two addresses of IPv4 and one of IPv6 stand behind it."""
    switch(address="hostname")
    with (
        space.service("seen", {"app": "seen"}),
        space.ingress("named", "seen"),
        layer4(space, "named4"),
    ):

        def name_of(kind: tuple[str, str], name: str) -> str:
            (entry,) = space.entries(kind, name) or [{}]
            assert entry.keys() == {"hostname"}
            host = str(entry["hostname"])
            assert resolve(space.lab, host)
            return host

        name = eventually(lambda: name_of(INGRESSES, "named"))
        assert re.fullmatch(r"lb-[0-9a-z]{8}\.clb\.example", name)
        found = resolve(space.lab, name)
        assert sorted(ip_address(one).version for one in found) == [4, 4, 6]
        for address in found:

            def seen(address: str = address) -> tuple[str, dict[str, list[str]]]:
                return fetch(space.lab, CLIENT.name, address, name=name).seen()

            __, headers = eventually(seen)
            expected = CLIENT_IPV6 if ":" in address else CLIENT_IPV4
            assert headers["x-forwarded-for"] == [expected]
        name4 = eventually(lambda: name_of(SERVICES, "named4"))
        assert len(resolve(space.lab, name4) - found) == 3

        switch(address="both")

        def both() -> None:
            (entry,) = space.entries(INGRESSES, "named")
            assert entry.keys() == {"ip", "hostname"}
            assert entry["ip"] in found

        eventually(both)
        space.delete(INGRESSES, "named")
        eventually(partial(space.gone, INGRESSES, "named"))

        def forgotten() -> None:
            assert resolve(space.lab, name) == set()

        eventually(forgotten)


def _kill(lab: Lab, part: parts.Part) -> None:
    running = processes.recorded(lab, part.name)
    assert running is not None
    assert running.alive()
    os.kill(running.pid, signal.SIGKILL)


def test_controller_killed_and_started_again(space: Space) -> None:
    """Addresses stay, traffic goes on, and what happened meanwhile is caught up with."""
    part = next(one for one in cluster.stand_in(space.lab) if one.name == "controller")
    with (
        space.service("seen", {"app": "seen"}),
        space.ingress("kept", "seen"),
        space.ingress("first", "seen"),
    ):
        first = space.serving(INGRESSES, "first")
        kept = space.serving(INGRESSES, "kept")
        _kill(space.lab, part)
        try:
            space.delete(INGRESSES, "first")
            with space.ingress("new", "seen"):
                assert fetch(space.lab, CLIENT.name, kept).status == HTTPStatus.OK
                assert "deletionTimestamp" in space.get(INGRESSES, "first")["metadata"]
                assert space.entries(INGRESSES, "new") == []
                parts.bring_up(space.lab, part, threading.Event())
                new = space.serving(INGRESSES, "new")
                eventually(partial(space.gone, INGRESSES, "first"))
                assert fetch(space.lab, CLIENT.name, new).status == HTTPStatus.OK
                assert space.address(INGRESSES, "kept") == kept
                assert new not in (kept, first)
                assert fetch(space.lab, CLIENT.name, kept).status == HTTPStatus.OK
                assert _counts(space, "kept") == [1, 1], "nothing is announced again"
                assert re.fullmatch(r"\d+ balancers", controller.health(space.lab.clb))
        finally:
            parts.bring_up(space.lab, part, threading.Event())


def test_watch_from_too_long_ago_is_refused(lab: Lab) -> None:
    """What makes the controller read everything anew comes out as what it is."""
    # An API server that has just started knows nothing of what was before.
    part = next(one for one in cluster.control_plane(lab) if one.name == "kube-apiserver")
    _kill(lab, part)
    parts.bring_up(lab, part, threading.Event())
    with inside(lab.netns(CLB.name)):
        asking = controller.Api(credentials.kubeconfig_of(lab, credentials.CONTROLLER))
        items, _version = asking.read("Node")
        assert {item["metadata"]["name"] for item in items} == {NODE1.name, NODE2.name}
        with pytest.raises(controller.Refused, match="too old resource version") as caught:
            list(asking.watch("Service", "1"))
        assert caught.value.status == HTTPStatus.GONE


def test_secrets_are_out_of_its_reach(lab: Lab) -> None:
    headers = {"Authorization": f"Bearer {credentials.token(lab, credentials.CONTROLLER)}"}
    with pytest.raises(Unanswered, match="forbidden") as caught:
        ask(lab, CLB.name, f"{API_URL}/api/v1/secrets", headers=headers)
    assert caught.value.status == HTTPStatus.FORBIDDEN


def _counts(space: Space, name: str) -> Sequence[int]:
    return [event["count"] for event in space.events(name)]


def test_changes_by_hand_are_mended(space: Space) -> None:
    """Addresses, nft table and nginx.conf come back by themselves; so does the id annotation."""
    netns = space.lab.netns(CLB.name)
    with (
        space.service("seen", {"app": "seen"}),
        space.ingress("mended", "seen"),
        layer4(space, "mended4", meta=DIRECT),
    ):
        address = space.address(INGRESSES, "mended")
        address4 = space.address(SERVICES, "mended4")
        annotation = balancing.INGRESS.id_annotation
        identity = space.get(INGRESSES, "mended")["metadata"]["annotations"][annotation]
        change: Json = {"metadata": {"annotations": {annotation: None}}}
        space.patch(INGRESSES, "mended", change)
        shell.run(["ip", "-n", netns, "address", "del", f"{address}/32", "dev", "lo"])
        inside_clb = ["nsenter", f"--net=/run/netns/{netns}"]
        shell.run([*inside_clb, "nft", "delete", "table", "inet", balancing.TABLE])
        (space.lab.clb / "nginx.conf").write_text(layer7.initial_nginx_conf(space.lab.clb))

        def mended() -> None:
            assert fetch(space.lab, CLIENT.name, address, timeout=1).seen()[0] is not None
            assert fetch(space.lab, CLIENT.name, address4, timeout=1).seen()[0] == CLIENT_IPV4
            annotations = space.get(INGRESSES, "mended")["metadata"]["annotations"]
            assert annotations[annotation] == identity
            assert identity in (space.lab.clb / "nginx.conf").read_text()

        eventually(mended, 15)
