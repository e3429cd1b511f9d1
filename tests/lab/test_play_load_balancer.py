# SPDX-License-Identifier: GPL-3.0-or-later
"""What users ask of the load balancer: each deployed, preserved as clients see it, and removed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab import balancing, by_hand, certificates
from lab.settings import OPERATOR, Lab
from tests.lab.playbooks import ELSEWHERE, EXPECTED, EXPECTED_IPV6, VENV, Playbooks

HOST = "shop.example.com"
LAYER_4 = {"scenario": "gr-clb-direct-pod"}
INSIDE = OPERATOR.ipv4("vpc")


@pytest.fixture
def secured(lab: Lab) -> dict[str, Any]:
    """Variables for HTTPS with a certificate of the lab's own authority."""
    authority = str(certificates.authority(lab))
    return {"qcloud_cert_id": by_hand.SITE, "host": HOST, "ca_path": authority}


def _given(expected: str = EXPECTED, **variables: Any) -> tuple[str, ...]:
    named = {f"real_ip_{name}": value for name, value in variables.items()}
    return ("-e", json.dumps({"real_ip_expected_source": expected, **named}))


def _front(own: Playbooks, kind: str = "ingress") -> dict[str, Any]:
    text = own.kubectl("get", kind, f"real-ip-{kind}", "-n", own.namespace, "-o", "json")
    found: dict[str, Any] = json.loads(text)
    return found


def _address(own: Playbooks, kind: str = "ingress") -> str:
    return str(_front(own, kind)["status"]["loadBalancer"]["ingress"][0]["ip"])


def _secrets(own: Playbooks) -> str:
    return own.kubectl("get", "secrets", "-n", own.namespace, "-o", "name").strip()


def _preserved(own: Playbooks, place: str, *given: str) -> str:
    """Deployed, preserved at ``place``, and deployed again without a change. What it said."""
    run = own.run("site", *given)
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    assert place in run.line
    again = own.run("deploy", *given)
    assert (again.status, again.changed) == (0, 0), again.output
    return run.output


def _removed(own: Playbooks, *given: str) -> None:
    run = own.run("teardown", *given)
    assert run.status == 0, run.output
    assert "nothing of ours" in run.output
    assert f"namespace/{own.namespace}" not in own.namespaces()


def _moved(own: Playbooks) -> str:
    """Where a plain request of a client is sent on to."""
    asked = ("--connect-to", f"::{_address(own)}:", "-o", "/dev/null", "-w", "%{redirect_url}")
    return own.execute("client", "curl", "-sm", "5", *asked, f"http://{HOST}/")[1].strip()


# --- HTTPS ----------------------------------------------------------------------------------------


def test_https_with_a_certificate(own: Playbooks, secured: dict[str, Any]) -> None:
    given = _given(**secured)
    _preserved(own, ":443) showed", *given)
    assert _secrets(own) == "secret/real-ip-certificate"
    # What answers there is only believed with a certificate that is.
    run = own.run("verify", *_given(**{**secured, "ca_path": ""}))
    assert (run.status, run.verdict) == (2, "no_answer"), run.output
    assert "no_answer V507 the certificate of shop.example.com" in run.line
    assert "real_ip_ca_path" in run.output
    run = own.run("verify", *_given(**{**secured, "ca_path": "", "validate_certs": False}))
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    # Forged by who gets around nothing: the same answer as over HTTP.
    own.switch("x_forwarded_for=pass")
    try:
        run = own.run("verify", *given)
        assert run.status == 2
        assert run.verdict not in ("preserved", "no_answer", ""), run.output
    finally:
        own.switch("x_forwarded_for=append")
    _removed(own, *given)


def test_https_is_turned_off_and_its_secret_goes(own: Playbooks, secured: dict[str, Any]) -> None:
    run = own.run("deploy", *_given(**secured), "--diff", "-vvv")
    assert run.status == 0, run.output
    assert "(hidden)" in run.output
    encoded = own.kubectl(
        *("get", "secret", "real-ip-certificate", "-n", own.namespace),
        *("-o", f"jsonpath={{.data.{balancing.CERTIFICATE_KEY}}}"),
    )
    printed = [line for line in run.output.splitlines() if "ansible-playbook" not in line]
    assert not [line for line in printed if encoded in line or by_hand.SITE in line]

    plain = _given(host=HOST)
    check = own.run("deploy", "--check", *plain)
    assert (check.status, check.changed) == (0, 2), "the Ingress, and the Secret that it used"
    run = own.run("site", *plain)
    assert (run.status, run.verdict, run.changed) == (0, "preserved", 2), run.output
    assert ":80) showed" in run.line
    assert _secrets(own) == ""
    # One that nobody says anything of any more is still found by the Ingress that uses it.
    assert own.run("deploy", *_given(**secured)).status == 0
    _removed(own)


def test_a_secret_of_ones_own(own: Playbooks, secured: dict[str, Any]) -> None:
    own.kubectl("create", "namespace", own.namespace)
    own.kubectl(
        *("create", "secret", "generic", "team-a", "-n", own.namespace),
        f"--from-literal={balancing.CERTIFICATE_KEY}={by_hand.SITE}",
    )
    given = _given(**{**secured, "qcloud_cert_id": "", "tls_secret": "team-a"})
    _preserved(own, ":443) showed", *given)
    run = own.run("teardown", *given)
    assert run.status == 0, run.output
    assert _secrets(own) == "secret/team-a"


def test_redirect(own: Playbooks, secured: dict[str, Any]) -> None:
    given = _given(**secured, redirect=True)
    _preserved(own, ":443) showed", *given)
    assert _moved(own) == f"https://{HOST}/"
    # Taken away it would go on.
    run = own.run("site", *_given(**secured))
    assert (run.status, run.changed) == (2, 0), run.output
    assert "Next: set real_ip_redirect: false" in run.output
    run = own.run("site", *_given(**secured, redirect=False))
    assert (run.status, run.verdict, run.changed) == (0, "preserved", 1), run.output
    assert _moved(own) == ""
    _removed(own, *given)


# --- Where it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "more"), [("ingress", {}), ("service", LAYER_4)])
def test_an_internal_load_balancer(own: Playbooks, kind: str, more: dict[str, Any]) -> None:
    [subnet] = [name for name, has_addresses in by_hand.SUBNETS.items() if has_addresses]
    given = _given(INSIDE, subnet_id=subnet, **more)
    said = _preserved(own, f"showed {INSIDE}", *given)
    assert _address(own, kind).startswith("10.255.0.")
    # Who is in its network gets to the nodes as well.
    assert "node port" in said
    _removed(own, *given)


def test_both_families(own: Playbooks) -> None:
    expected = f"{EXPECTED},{EXPECTED_IPV6}"
    given = _given(expected, address_ip_version="IPv6FullChain", **LAYER_4)
    run = own.run("site", *given, environment={"ANSIBLE_SHOW_CUSTOM_STATS": "1"})
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    probed = run.statistics()["real_ip_results"]["localhost"]
    assert len(probed["address"]) == 2
    assert {*probed["observed"]} == {EXPECTED, EXPECTED_IPV6}
    _removed(own, *given)


@pytest.mark.parametrize(("kind", "more"), [("ingress", {}), ("service", LAYER_4)])
def test_a_load_balancer_that_exists(own: Playbooks, kind: str, more: dict[str, Any]) -> None:
    identity = "lb-public01"
    first = balancing.addresses_of(by_hand.BALANCERS[identity].number)[0]
    given = _given(existing_lb_id=identity, **more)
    _preserved(own, f"{first}:80 showed", *given)
    _removed(own, *given)


@pytest.mark.parametrize(
    ("ports", "tls", "places", "told"),
    [
        ([{"HTTP": 8080}], False, ["{}"], "{}:8080 showed"),
        ([{"HTTP": 80}, {"HTTP": 8080}], False, ["{}:80", "{}:8080"], "{}:80 showed"),
        ([{"HTTP": 8080}, {"HTTPS": 8443}], True, ["{}"], "({}:8443) showed"),
    ],
)
def test_ports(
    own: Playbooks,
    secured: dict[str, Any],
    ports: list[Any],
    tls: bool,
    places: list[str],
    told: str,
) -> None:
    given = _given(listen_ports=ports, **(secured if tls else {}))
    run = own.run("site", *given, environment={"ANSIBLE_SHOW_CUSTOM_STATS": "1"})
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    address = _address(own)
    probed = run.statistics()["real_ip_results"]["localhost"]["address"]
    assert probed == [place.format(address) for place in places]
    assert told.format(address) in run.line
    _removed(own, *given)


# --- Before anything is sent ----------------------------------------------------------------------


def test_what_a_load_balancer_was_made_with_is_not_changed(own: Playbooks) -> None:
    run = own.run("site", *_given())
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    before = _front(own)["metadata"]
    for more in ({"subnet_id": "subnet-inside01"}, {"existing_lb_id": "lb-public02"}):
        for check in ((), ("--check",)):
            run = own.run("site", *_given(**more), *check)
            assert (run.status, run.changed) == (2, 0), run.output
            assert (
                "Nothing was changed. Ingress real-ip-ingress has its load balancer" in run.output
            )
            assert "Next: ansible-playbook kestrel.real_ip.teardown, then this again" in run.output
    assert _front(own)["metadata"]["resourceVersion"] == before["resourceVersion"]
    _removed(own)


def test_a_role_alone_does_not_change_it_either(own: Playbooks) -> None:
    run = own.run("deploy", *_given())
    assert run.status == 0, run.output
    play = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {
                "ingress_namespace": own.namespace,
                "ingress_load_balancer": {"subnet_id": "subnet-inside01"},
            },
            "roles": ["kestrel.real_ip.ingress"],
        }
    ]
    status, output = own.execute(
        *("operator", str(VENV / "ansible-playbook"), "/dev/stdin"),
        environment=ELSEWHERE,
        text=json.dumps(play),
    )
    assert status == 2, output
    assert "these annotations count only when TKE makes one" in output
    assert "kubernetes.io/ingress.subnetId" not in _front(own)["metadata"]["annotations"]
    _removed(own)


def test_a_load_balancer_that_was_not_made_can_still_be_another(own: Playbooks) -> None:
    given = _given(existing_lb_id="lb-missing1", wait_timeout=5)
    run = own.run("site", *given)
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert "E4018" in run.output
    run = own.run("site", *_given(existing_lb_id="lb-public02"))
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    _removed(own)


def test_bad_input_is_refused_and_nothing_is_sent(own: Playbooks) -> None:
    wrong = {"subnet_id": "vpc-1", "existing_lb_id": "lb-1", "listen_ports": [{"HTTP": 0}]}
    run = own.run("site", *_given(**wrong, internet_max_bandwidth_out=4096))
    assert (run.status, run.changed) == (2, 0), run.output
    for text in ("E4055", "E4098", "expected 1 to 65535", "E4046"):
        assert text in run.output
    run = own.run("site", *_given(redirect=True, ingress_class="nginx"))
    assert (run.status, run.changed) == (2, 0), run.output
    assert "real_ip_redirect: is for TKE's own load balancer" in run.output
    assert f"namespace/{own.namespace}" not in own.namespaces()
