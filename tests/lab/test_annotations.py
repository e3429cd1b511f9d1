# SPDX-License-Identifier: GPL-3.0-or-later
"""What Services and Ingresses can ask of the stand-in, by annotations and ``spec.tls``."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Final

import pytest

from lab import balancing, by_hand, certificates
from lab.balancing import INGRESS, SERVICE, Kind
from lab.settings import CLB, CLIENT, NODE1, OPERATOR
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
    refuses,
    rule,
)

SECRETS: Final = "/api/v1", "secrets"
KINDS: Final = {INGRESS.name: INGRESSES, SERVICE.name: SERVICES}


def asks(annotation: str, value: str) -> Json:
    return {"annotations": {annotation: value}}


@contextmanager
def certificate(space: Space, name: str, data: Json) -> Iterator[None]:
    body = {"metadata": {"name": name}, "type": "Opaque", "stringData": data}
    try:
        space.create(SECRETS, body)
        yield
    finally:
        space.delete(SECRETS, name)


def refused(space: Space, kind: Kind, name: str, code: str) -> None:
    """Assert that an object gets no balancer, and that one event says why."""

    def said() -> None:
        codes = [
            found
            for sort, text in space.messages(name)
            if sort == "Warning"
            for found in re.findall(r'Code:"(E\d+)"', text)
        ]
        assert codes == [code]

    eventually(said)
    metadata = space.get(KINDS[kind.name], name)["metadata"]
    assert kind.id_annotation not in metadata.get("annotations", {})
    assert kind.finalizer not in metadata.get("finalizers", ())
    assert space.entries(KINDS[kind.name], name) == []


def identity(space: Space, kind: Kind, name: str) -> str:
    return str(space.get(KINDS[kind.name], name)["metadata"]["annotations"][kind.id_annotation])


# --------------------------------------------------------------------------------------------
# HTTPS

SITE: Final = {balancing.CERTIFICATE_KEY: by_hand.SITE}
TLS: Final = [{"secretName": "site"}]


def test_https(space: Space) -> None:
    """The certificate is for name and address; headers say who asked, and that it was HTTPS."""
    trust = certificates.authority(space.lab)
    rules = [rule("seen"), rule("seen", host="shop.example.com")]
    with (
        certificate(space, "site", SITE),
        space.service("seen", {"app": "seen"}, externalTrafficPolicy="Local"),
        space.ingress("safe", "seen", rules=rules, tls=TLS),
    ):
        address = space.serving(INGRESSES, "safe", trust=trust)
        *_ipv4, ipv6 = balancing.addresses_of(_number(address))
        for to, client in ((address, CLIENT_IPV4), (ipv6, CLIENT_IPV6)):
            for name in (None, "shop.example.com"):
                peer, headers = fetch(
                    space.lab, CLIENT.name, to, "/", FORGED, name=name, trust=trust
                ).seen()
                assert peer == client
                assert headers["x-forwarded-for"] == [f"6.6.6.6, {client}"]
                assert headers["x-real-ip"] == [client]
                assert headers["x-client-proto"] == headers["x-forwarded-proto"] == ["https"]
        hostname = f"{identity(space, INGRESS, 'safe')}.{balancing.DOMAIN}"
        fetch(space.lab, CLIENT.name, address, name=hostname, trust=trust).json()
        # With a certificate there is no HTTP; no other name is shown one; another has no rule.
        refuses(space.lab, CLIENT.name, address)
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            fetch(space.lab, CLIENT.name, address, name="other.example.net", trust=trust)
        answer = fetch(space.lab, CLIENT.name, address, name="x.example.com", trust=trust)
        assert answer.status == HTTPStatus.FORBIDDEN


def test_https_wants_the_labs_authority(space: Space) -> None:
    with (
        certificate(space, "site", SITE),
        space.service("seen", {"app": "seen"}),
        space.ingress("strict", "seen", tls=TLS),
    ):
        trust = certificates.authority(space.lab)
        address = space.serving(INGRESSES, "strict", trust=trust)
        own = trust.parent.parent.parent / "credentials" / "ca.crt"
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
            fetch(space.lab, CLIENT.name, address, trust=own)


def _number(address: str) -> int:
    return next(
        number for number in by_hand.NUMBERS if balancing.addresses_of(number)[0] == address
    )


#: What a Secret has, and what is said of it.
REFUSED: Final[dict[str, tuple[Json, str]]] = {
    "pem": ({"tls.crt": "x", "tls.key": "x"}, "E4011"),
    "refused": ({balancing.CERTIFICATE_KEY: "refused1"}, "E4012"),
    "malformed": ({balancing.CERTIFICATE_KEY: "no id"}, "E4035"),
    "unknown": ({balancing.CERTIFICATE_KEY: "unknown1"}, "E4036"),
    "expired": ({balancing.CERTIFICATE_KEY: "expired1"}, "E4039"),
}


def test_certificates_that_are_refused(space: Space) -> None:
    """No address and no id as long as there is no certificate."""
    with space.service("seen", {"app": "seen"}):
        for name, (data, code) in REFUSED.items():
            ingress = f"with-{name}"
            tls = [{"secretName": name}]
            with certificate(space, name, data), space.ingress(ingress, "seen", tls=tls):
                refused(space, INGRESS, ingress, code)
        with space.ingress("nameless", "seen", tls=[{}]):
            refused(space, INGRESS, "nameless", "E4009")


def test_certificate_that_comes_later(space: Space) -> None:
    trust = certificates.authority(space.lab)
    with space.service("seen", {"app": "seen"}), space.ingress("early", "seen", tls=TLS):
        refused(space, INGRESS, "early", "E4010")
        with certificate(space, "site", SITE):
            space.serving(INGRESSES, "early", trust=trust)


PORTS: Final = '[{"HTTP":8080},{"HTTPS":8443}]'


def test_custom_ports(space: Space) -> None:
    trust = certificates.authority(space.lab)
    meta = asks(balancing.PORTS_ANNOTATION, PORTS)
    with (
        certificate(space, "site", SITE),
        space.service("flask", {"app": "flask"}),
        space.ingress("ports", "flask", meta=meta, tls=TLS),
    ):
        address = space.serving(INGRESSES, "ports", port=8080)
        space.serving(INGRESSES, "ports", port=8443, trust=trust)
        headers = fetch(space.lab, CLIENT.name, address, "/", FORGED, port=8080).json()["headers"]
        assert headers["X-Forwarded-For"] == f"6.6.6.6, {CLIENT_IPV4}"
        assert headers["Host"] == f"{address}:8080"
        for port in (80, 443):
            refuses(space.lab, CLIENT.name, address, port)


def test_redirect(space: Space) -> None:
    """HTTP is sent on to HTTPS until an annotation says "false"; taking it away does nothing."""
    trust = certificates.authority(space.lab)
    auto, support = balancing.REWRITE_ANNOTATIONS
    meta = {"annotations": {auto: "true", support: "true"}}
    with (
        certificate(space, "site", SITE),
        space.service("seen", {"app": "seen"}),
        space.ingress("moved", "seen", meta=meta, tls=TLS),
    ):
        address = space.serving(INGRESSES, "moved", trust=trust)

        def moved(code: int) -> None:
            answer = fetch(space.lab, CLIENT.name, address, "/a?b=c")
            assert (answer.status, answer.location) == (code, f"https://{address}/a?b=c")

        def change(annotation: str, value: str | None) -> None:
            space.patch(INGRESSES, "moved", {"metadata": {"annotations": {annotation: value}}})

        eventually(partial(moved, HTTPStatus.FOUND))
        code = '{"defaultRewriteCode":307}'
        change(balancing.REWRITE_CODE_ANNOTATION, code)
        eventually(partial(moved, HTTPStatus.TEMPORARY_REDIRECT))
        change(auto, None)
        change(balancing.REWRITE_CODE_ANNOTATION, None)
        eventually(partial(moved, HTTPStatus.FOUND))
        change(auto, "false")
        eventually(partial(refuses, space.lab, CLIENT.name, address))
        fetch(space.lab, CLIENT.name, address, trust=trust).json()


# --------------------------------------------------------------------------------------------
# Balancers made by hand

FREE: Final = "lb-public01"


def test_existing_balancer(space: Space) -> None:
    """It serves the Ingress that names it, refuses others, and stays when that is gone."""
    (address, *_rest) = balancing.addresses_of(by_hand.BALANCERS[FREE].number)
    meta = asks(INGRESS.existing_annotation, FREE)
    refuses(space.lab, CLIENT.name, address)
    with space.service("seen", {"app": "seen"}):
        with space.ingress("owner", "seen", meta=meta), space.ingress("made", "seen"):
            assert space.serving(INGRESSES, "owner") == address
            assert identity(space, INGRESS, "owner") == FREE
            assert fetch(space.lab, CLIENT.name, address).seen()[1]["x-real-ip"] == [CLIENT_IPV4]
            space.address(INGRESSES, "made")
            of_tke = asks(INGRESS.existing_annotation, identity(space, INGRESS, "made"))
            with space.ingress("thief", "seen", meta=of_tke):
                refused(space, INGRESS, "thief", "E4019")
            late = asks(SERVICE.existing_annotation, FREE)
            with space.service("late4", {"app": "seen"}, "LoadBalancer", late):
                refused(space, SERVICE, "late4", "E4013")
            with space.ingress("late", "seen", meta=meta):
                refused(space, INGRESS, "late", "E4020")
                space.delete(INGRESSES, "owner")
                # Who waited has it then.
                assert space.serving(INGRESSES, "late") == address
        eventually(partial(refuses, space.lab, CLIENT.name, address))


REFUSALS: Final[dict[str, tuple[Kind, str, str, str]]] = {
    "e4018": (INGRESS, INGRESS.existing_annotation, "lb-absent01", "E4018"),
    "e4020": (INGRESS, INGRESS.existing_annotation, "lb-others01", "E4020"),
    "e4021": (INGRESS, INGRESS.existing_annotation, "lb-filled01", "E4021"),
    "e4098": (INGRESS, INGRESS.existing_annotation, "clb-public01", "E4098"),
    "e4053": (INGRESS, INGRESS.subnet_annotation, "subnet-full0001", "E4053"),
    "e4055": (INGRESS, INGRESS.subnet_annotation, "subnet-absent01", "E4055"),
    "s4011": (SERVICE, SERVICE.existing_annotation, "lb-absent01", "E4011"),
    "s4013": (SERVICE, SERVICE.existing_annotation, "lb-others01", "E4013"),
    "s4014": (SERVICE, SERVICE.existing_annotation, "lb-filled01", "E4014"),
    "s4008": (SERVICE, SERVICE.subnet_annotation, "subnet-full0001", "E4008"),
    "s4037": (SERVICE, SERVICE.subnet_annotation, "subnet-absent01", "E4037"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(space: Space, name: str) -> None:
    kind, annotation, value, code = REFUSALS[name]
    meta = asks(annotation, value)
    with (
        space.service("seen", {"app": "seen"}),
        space.ingress(name, "seen", meta=meta)
        if kind is INGRESS
        else space.service(name, {"app": "seen"}, "LoadBalancer", meta),
    ):
        refused(space, kind, name, code)


def test_existing_balancer_of_a_service(space: Space) -> None:
    """A Service takes it too; what was listening there goes on."""
    (address, *_rest) = balancing.addresses_of(by_hand.BALANCERS["lb-filled01"].number)
    ports = [{"name": "http", "port": 81, "targetPort": 5000}]
    meta = {
        "annotations": {
            SERVICE.existing_annotation: "lb-filled01",
            SERVICE.direct_annotation: "true",
        }
    }
    with space.service("beside", {"app": "seen"}, "LoadBalancer", meta, ports=ports):
        assert space.address(SERVICES, "beside") == address

        def seen() -> None:
            assert fetch(space.lab, CLIENT.name, address, port=81).seen()[0] == CLIENT_IPV4

        eventually(seen)
        assert fetch(space.lab, CLIENT.name, address).status == HTTPStatus.NOT_FOUND
    eventually(partial(space.gone, SERVICES, "beside"))
    refuses(space.lab, CLIENT.name, address, 81)
    assert fetch(space.lab, CLIENT.name, address).status == HTTPStatus.NOT_FOUND


# --------------------------------------------------------------------------------------------
# Balancers in the VPC

INSIDE: Final = "subnet-inside01"
OPERATOR_IPV4: Final = OPERATOR.ipv4("vpc")
OPERATOR_IPV6: Final = OPERATOR.ipv6("vpc")


def test_internal_layer7(space: Space, switch: Callable[..., None]) -> None:
    """Its address is one of the VPC, and it connects in the name of a client there."""
    switch(address_family="dual")
    meta = asks(INGRESS.subnet_annotation, INSIDE)
    with (
        space.service("seen", {"app": "seen"}, externalTrafficPolicy="Local"),
        space.ingress("inner", "seen", meta=meta),
    ):
        space.serving(INGRESSES, "inner", client=OPERATOR.name)
        first, second = (entry["ip"] for entry in space.entries(INGRESSES, "inner"))
        assert in_cluster(first)
        assert in_cluster(second)
        for address, client in ((first, OPERATOR_IPV4), (second, OPERATOR_IPV6)):
            peer, headers = fetch(space.lab, OPERATOR.name, address, "/", FORGED).seen()
            assert headers["x-forwarded-for"] == [f"6.6.6.6, {client}"]
            assert headers["x-real-ip"] == [client]
            assert peer == client
        space.delete(INGRESSES, "inner")
        eventually(partial(space.gone, INGRESSES, "inner"))
        with pytest.raises(OSError, match=r"refused|unreachable|No route|timed out"):
            fetch(space.lab, OPERATOR.name, first, timeout=1.0)


def test_internal_layer4(space: Space) -> None:
    """As with public ones only the node's translation hides the client."""
    inner = {SERVICE.subnet_annotation: INSIDE}
    direct = {"annotations": {**inner, SERVICE.direct_annotation: "true"}}
    plain = {"annotations": inner}
    with (
        space.service("inner-direct", {"app": "seen"}, "LoadBalancer", direct),
        space.service(
            "inner-local", {"app": "seen"}, "LoadBalancer", plain, externalTrafficPolicy="Local"
        ),
        space.service("inner-cluster", {"app": "seen"}, "LoadBalancer", plain),
    ):
        for name, preserved in (
            ("inner-direct", True),
            ("inner-local", True),
            ("inner-cluster", False),
        ):
            space.serving(SERVICES, name, client=OPERATOR.name)
            first, second = (entry["ip"] for entry in space.entries(SERVICES, name))
            for address, client in ((first, OPERATOR_IPV4), (second, OPERATOR_IPV6)):
                for __ in range(4):
                    peer, _headers = fetch(space.lab, OPERATOR.name, address).seen()
                    assert (peer == client) is preserved, (name, peer)
                    assert preserved or peer not in (CLB.ipv4("vpc"), CLB.ipv6("vpc"))


def test_answers_of_nodes_for_the_vpc_are_those_that_were_asked_for(space: Space) -> None:
    """That nodes answer a client in the VPC by way of the balancer changes nothing for others."""
    with space.service("around", {"app": "seen"}) as made:
        port = made["spec"]["ports"][0]["nodePort"]
        for address in (NODE1.ipv4("vpc"), NODE1.ipv6("vpc")):

            def translated(address: str = address) -> None:
                peer, _headers = fetch(space.lab, OPERATOR.name, address, port=port).seen()
                assert peer not in (OPERATOR_IPV4, OPERATOR_IPV6)

            for __ in range(4):
                eventually(translated)
