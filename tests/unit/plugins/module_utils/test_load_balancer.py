# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of TKE's load balancer: every row, every pair, and what can't be changed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import (
    ROWS,
    annotations_for,
    front_of,
    listen_ports,
    unchangeable,
    variable,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import MANAGER
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import (
    SettingError,
    problems,
    value_of,
    values_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._tke_errors import ERRORS

ROLES = Path(__file__).resolve().parents[4] / "roles"
BY_HOUR = "TRAFFIC_POSTPAID_BY_HOUR"
LAYER_4 = {"real_ip_scenario": "gr-clb-direct-pod"}
TLS = {"real_ip_qcloud_cert_id": "aB3dE6gH", "real_ip_host": "a.example"}
CHARGED = {"real_ip_internet_charge_type": BY_HOUR, "real_ip_internet_max_bandwidth_out": 10}

SAID = [
    # row, given, annotations of an Ingress, of a Service; None where it can't ask for it
    (
        "subnet_id",
        "subnet-1a2b3c4d",
        {"kubernetes.io/ingress.subnetId": "subnet-1a2b3c4d"},
        {"service.kubernetes.io/qcloud-loadbalancer-internal-subnetid": "subnet-1a2b3c4d"},
    ),
    (
        "existing_lb_id",
        " lb-1a2b3c4d ",
        {"kubernetes.io/ingress.existLbId": "lb-1a2b3c4d"},
        {"service.kubernetes.io/tke-existed-lbid": "lb-1a2b3c4d"},
    ),
    (
        "internet_charge_type",
        BY_HOUR,
        {"kubernetes.io/ingress.internetChargeType": BY_HOUR},
        {"service.kubernetes.io/qcloud-loadbalancer-internet-charge-type": BY_HOUR},
    ),
    (
        "internet_max_bandwidth_out",
        2048,
        {"kubernetes.io/ingress.internetMaxBandwidthOut": "2048"},
        {"service.kubernetes.io/qcloud-loadbalancer-internet-max-bandwidth-out": "2048"},
    ),
    (
        "extensive_parameters",
        {"VipIsp": "CTCC", "InternetAccessible": {"InternetMaxBandwidthOut": 10}},
        {
            "kubernetes.io/ingress.extensiveParameters": (
                '{"VipIsp":"CTCC","InternetAccessible":{"InternetMaxBandwidthOut":10}}'
            )
        },
        {
            "service.kubernetes.io/service.extensiveParameters": (
                '{"VipIsp":"CTCC","InternetAccessible":{"InternetMaxBandwidthOut":10}}'
            )
        },
    ),
    (
        "extensive_parameters",
        '{"VipIsp": "CTCC"}',
        {"kubernetes.io/ingress.extensiveParameters": '{"VipIsp":"CTCC"}'},
        {"service.kubernetes.io/service.extensiveParameters": '{"VipIsp":"CTCC"}'},
    ),
    (
        "address_ip_version",
        "IPv6FullChain",
        {"kubernetes.io/ingress.extensiveParameters": '{"AddressIPVersion":"IPv6FullChain"}'},
        {
            "service.kubernetes.io/service.extensiveParameters": (
                '{"AddressIPVersion":"IPv6FullChain"}'
            )
        },
    ),
    (
        "listen_ports",
        [{"HTTP": 80}, {"HTTPS": "443"}],
        {"ingress.cloud.tencent.com/listen-ports": '[{"HTTP":80},{"HTTPS":443}]'},
        None,
    ),
    (
        "listen_ports",
        '[{"HTTP": 8080}]',
        {"ingress.cloud.tencent.com/listen-ports": '[{"HTTP":8080}]'},
        None,
    ),
    ("qcloud_cert_id", "aB3dE6gH", {}, None),
    ("tls_secret", "team-a.tls", {}, None),
    (
        "redirect",
        "yes",
        {
            "ingress.cloud.tencent.com/auto-rewrite": "true",
            "ingress.cloud.tencent.com/rewrite-support": "true",
        },
        None,
    ),
    (
        "redirect",
        False,
        {
            "ingress.cloud.tencent.com/auto-rewrite": "false",
            "ingress.cloud.tencent.com/rewrite-support": "false",
        },
        None,
    ),
    (
        "security_groups",
        "sg-1a2b3c4d, sg-2a2b3c4d",
        {"ingress.cloud.tencent.com/security-groups": "sg-1a2b3c4d,sg-2a2b3c4d"},
        {"service.cloud.tencent.com/security-groups": "sg-1a2b3c4d,sg-2a2b3c4d"},
    ),
    (
        "security_groups",
        [],
        {"ingress.cloud.tencent.com/security-groups": ""},
        {"service.cloud.tencent.com/security-groups": ""},
    ),
    (
        "pass_to_target",
        True,
        {"ingress.cloud.tencent.com/pass-to-target": "true"},
        {"service.cloud.tencent.com/pass-to-target": "true"},
    ),
    (
        "tke_service_config",
        "team-a",
        {"ingress.cloud.tencent.com/tke-service-config": "team-a"},
        {"service.cloud.tencent.com/tke-service-config": "team-a"},
    ),
]


@pytest.mark.parametrize(("name", "given", "ingress", "service"), SAID)
def test_what_is_asked_for_stands_in_annotations(
    name: str, given: object, ingress: dict[str, str], service: dict[str, str] | None
) -> None:
    values = {name: value_of(variable(name), given)}
    assert annotations_for("Ingress", values) == ingress
    assert annotations_for("Service", values) == (service or {})
    assert (service is None) == ("Service" not in ROWS[name].keys)


def test_every_row_is_in_the_table_above() -> None:
    assert {name for name, *_rest in SAID} == {*ROWS}


@pytest.mark.parametrize("name", ROWS)
def test_what_is_not_set_is_not_asked_for(name: str) -> None:
    for given in (None, "", "  "):
        assert value_of(variable(name), given) is None
        assert annotations_for("Ingress", {name: None}) == {}


def test_what_stands_in_one_annotation_is_put_together() -> None:
    values = {"extensive_parameters": {"VipIsp": "BGP"}, "address_ip_version": "IPV6"}
    assert annotations_for("Ingress", values) == {
        "kubernetes.io/ingress.extensiveParameters": '{"VipIsp":"BGP","AddressIPVersion":"IPV6"}'
    }


@pytest.mark.parametrize("name", ROWS)
def test_codes_are_those_of_the_kinds_that_ask(name: str) -> None:
    row = ROWS[name]
    assert {*row.codes} <= {*row.keys}
    assert all(pair in ERRORS for pair in row.codes.items())


@pytest.mark.parametrize("kind", ["Ingress", "Service"])
def test_the_role_of_a_kind_has_all_that_it_can_ask_for(kind: str) -> None:
    role = kind.lower()
    specs = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"][f"{role}_load_balancer"]["options"]
    assert [*options] == [name for name, row in ROWS.items() if kind in row.keys]
    for name, option in options.items():
        for choice in option.get("choices", ()):
            assert value_of(variable(name), choice) == choice


BAD = [
    # row, given, reason, TKE's error
    ("subnet_id", "subnet-1", "expected subnet- and eight", "E4055 at an Ingress, E4037"),
    ("subnet_id", "vpc-1a2b3c4d", "expected subnet-", "E4055"),
    ("subnet_id", 7, "put it in quotes", "E4055"),
    ("existing_lb_id", "1a2b3c4d", "expected lb- and eight", "E4098 at an Ingress, E4011"),
    ("existing_lb_id", "lb-1A2B3C4D", "lower-case", "E4098"),
    ("internet_charge_type", "PREPAID", f"expected one of {BY_HOUR}", "E4045"),
    ("internet_max_bandwidth_out", 0, "expected 1 to 2048, got 0", "E4046"),
    ("internet_max_bandwidth_out", "2049", "expected 1 to 2048", "E4046"),
    ("internet_max_bandwidth_out", "10 Mbps", "expected an integer", "E4046"),
    ("extensive_parameters", "VipIsp=CTCC", "also as JSON", "E4026"),
    ("extensive_parameters", "[1]", "expected a dictionary, got a list", "E4026"),
    ("extensive_parameters", {"AddressIPVersion": "IPv5"}, "expected one of IPV4", "E4026"),
    ("address_ip_version", "ipv6", "expected one of IPV4, IPV6, IPv6FullChain", "E4032"),
    ("listen_ports", [], "expected a list such as", ""),
    ("listen_ports", [{}], "expected a list such as", ""),
    ("listen_ports", {"HTTP": 80}, "expected a list such as", ""),
    ("listen_ports", ["HTTP"], "expected a dictionary, got text", ""),
    ("listen_ports", [{"TCP": 80}], "expected one of HTTP, HTTPS", ""),
    ("listen_ports", [{"HTTP": 65536}], "expected 1 to 65535", ""),
    ("listen_ports", [{"HTTP": 80}, {"HTTPS": 80}], "the port 80 stands there twice", ""),
    ("listen_ports", "80", "expected a list such as", ""),
    ("qcloud_cert_id", "-----BEGIN", "the id of a certificate, eight", "E4035"),
    ("tls_secret", "Team_A", "a name in lower case", "E4010"),
    ("redirect", "maybe", "expected true or false", ""),
    ("security_groups", "1a2b3c4d", "expected sg- and eight", ""),
    ("security_groups", [f"sg-{n}a2b3c4d" for n in range(6)], "at most 5, got 6", ""),
    ("pass_to_target", "maybe", "expected true or false", ""),
    ("tke_service_config", "a-auto-ingress-config", "ends in neither", "E4051"),
    ("tke_service_config", "a-auto-service-config", "ends in neither", "E4051"),
    ("tke_service_config", "A", "a name in lower case", "E4051"),
]


@pytest.mark.parametrize(("name", "given", "reason", "code"), BAD)
def test_a_bad_value_is_refused_with_variable_reason_and_code(
    name: str, given: object, reason: str, code: str
) -> None:
    with pytest.raises(SettingError) as caught:
        value_of(variable(name), given)
    text = str(caught.value)
    assert text.startswith(f"real_ip_{name}: ")
    assert reason in text
    assert bool(code) == bool(re.search(r"\(TKE's error E\d{4}", text))
    assert code in text


def test_every_row_refuses_something() -> None:
    assert {name for name, *_rest in BAD} == {*ROWS}


EXISTING = {"real_ip_existing_lb_id": "lb-1a2b3c4d"}
SUBNET = {"real_ip_subnet_id": "subnet-1a2b3c4d"}
FULL = {"real_ip_address_ip_version": "IPv6FullChain"}
DIRECT = {"real_ip_direct_access": True}
PAIRS = [
    # given, how each message starts, a word of the first one's reason
    ({**EXISTING, **SUBNET}, ["real_ip_subnet_id: goes not together with real_ip_ex"], "exists"),
    (
        {**EXISTING, **CHARGED},
        ["real_ip_internet_charge", "real_ip_internet_max"],
        "as it was made",
    ),
    (
        {**EXISTING, "real_ip_extensive_parameters": {"VipIsp": "BGP"}},
        ["real_ip_extensive_parameters: goes not"],
        "as it was made",
    ),
    (
        {**EXISTING, "real_ip_address_ip_version": "IPV4"},
        ["real_ip_address_ip_version: goes not"],
        "as it was made",
    ),
    ({**EXISTING, "real_ip_pass_to_target": True}, [], ""),
    (
        {**EXISTING, **LAYER_4, "real_ip_pass_to_target": True},
        ["real_ip_pass_to_target: goes not together with real_ip_existing_lb_id"],
        "that it made",
    ),
    ({**EXISTING, "real_ip_security_groups": "sg-1a2b3c4d"}, [], ""),
    ({**SUBNET, **CHARGED}, ["real_ip_internet_charge", "real_ip_internet_max"], "internal"),
    (
        {"real_ip_internet_charge_type": BY_HOUR},
        ["real_ip_internet_charge_type: goes together with real_ip_internet_max_bandwidth_out"],
        "set both",
    ),
    (
        {"real_ip_internet_max_bandwidth_out": 10},
        ["real_ip_internet_max_bandwidth_out: goes together with real_ip_internet_charge_type"],
        "set both",
    ),
    (CHARGED, [], ""),
    ({**LAYER_4, **CHARGED}, [], ""),
    (
        {**CHARGED, "real_ip_extensive_parameters": {"InternetAccessible": {}}},
        ["real_ip_internet_charge_type: stands", "real_ip_internet_max_bandwidth_out: stands"],
        "InternetAccessible",
    ),
    (
        {
            "real_ip_address_ip_version": "IPV4",
            "real_ip_extensive_parameters": {"AddressIPVersion": "IPV4"},
        },
        ["real_ip_address_ip_version: stands in real_ip_extensive_parameters too"],
        "keep one of them",
    ),
    (TLS, [], ""),
    (
        {**TLS, "real_ip_tls_secret": "tls"},
        ["real_ip_tls_secret: goes not together"],
        "certificate",
    ),
    ({"real_ip_tls_secret": "real-ip-certificate"}, ["real_ip_tls_secret: real-ip-cer"], "makes"),
    ({"real_ip_redirect": True}, ["real_ip_redirect: sends requests on to HTTPS"], "E4068"),
    ({"real_ip_redirect": False}, [], ""),
    ({**TLS, "real_ip_redirect": True}, [], ""),
    (
        {**TLS, "real_ip_redirect": True, "real_ip_listen_ports": [{"HTTP": 80}, {"HTTPS": 8443}]},
        ["real_ip_redirect: TKE sends requests on from HTTP on port 80"],
        "443",
    ),
    (
        {**TLS, "real_ip_redirect": True, "real_ip_listen_ports": [{"HTTPS": 443}, {"HTTP": 80}]},
        [],
        "",
    ),
    (
        {"real_ip_listen_ports": [{"HTTPS": 443}]},
        ["real_ip_listen_ports: HTTPS needs a certificate"],
        "real_ip_qcloud_cert_id",
    ),
    (
        {**TLS, "real_ip_listen_ports": [{"HTTP": 80}]},
        ["real_ip_listen_ports: there is a certificate and no port for HTTPS"],
        "443",
    ),
    ({"real_ip_listen_ports": [{"HTTP": 8080}]}, [], ""),
    ({**FULL, **DIRECT}, ["real_ip_host: AddressIPVersion IPv6FullChain needs one"], "E4034"),
    (
        {**FULL, "real_ip_host": "a.example"},
        ["real_ip_direct_access: AddressIPVersion IPv6FullChain sends to pods only"],
        "true",
    ),
    ({**FULL, **DIRECT, "real_ip_host": "a.example"}, [], ""),
    ({**FULL, **LAYER_4}, [], ""),
    (
        {**FULL, **LAYER_4, "real_ip_direct_access": False},
        ["real_ip_direct_access: AddressIPVersion IPv6FullChain"],
        "pods",
    ),
    (
        {"real_ip_extensive_parameters": {"AddressIPVersion": "IPV6"}},
        ["real_ip_host: AddressIPVersion IPV6 needs one"],
        "E4034",
    ),
    ({"real_ip_address_ip_version": "IPV4"}, [], ""),
    (
        {**SUBNET, "real_ip_ingress_class": "nginx"},
        ["real_ip_subnet_id: is for TKE's own load balancer, and real_ip_ingress_class: 'nginx'"],
        "leave it unset",
    ),
    ({"real_ip_tls_secret": "tls", "real_ip_ingress_class": "nginx"}, [], ""),
    (
        {**TLS, **LAYER_4},
        ["real_ip_qcloud_cert_id: means nothing with real_ip_scenario: 'gr-clb-direct-pod'"],
        "a Service has the load balancer",
    ),
    (
        {**SUBNET, "real_ip_ingress_annotations": {"kubernetes.io/ingress.subnetId": "subnet-2"}},
        ["real_ip_subnet_id: contradicts kubernetes.io/ingress.subnetId in real_ip_ingress_annot"],
        "keep one",
    ),
    (
        {
            "real_ip_listen_ports": [{"HTTP": 8080}],
            "real_ip_ingress_annotations": {
                "ingress.cloud.tencent.com/listen-ports": '[ {"HTTP": 8080} ]'
            },
        },
        [],
        "",
    ),
]


@pytest.mark.parametrize(("given", "starts", "reason"), PAIRS)
def test_what_excludes_what(given: dict[str, object], starts: list[str], reason: str) -> None:
    found = problems(given)
    assert len(found) == len(starts), found
    assert all(text.startswith(start) for text, start in zip(found, starts)), found
    assert reason in "".join(found[:1])


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if not row.generic])
def test_every_row_is_refused_with_another_class(name: str) -> None:
    given = next(value for row, value, *_rest in SAID if row == name)
    found = problems({variable(name): given, "real_ip_ingress_class": "nginx"})
    assert any(text.startswith(f"{variable(name)}: is for TKE's own") for text in found)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if "Service" not in row.keys])
def test_every_row_of_ingresses_is_refused_without_one(name: str) -> None:
    given = next(value for row, value, *_rest in SAID if row == name)
    found = problems({variable(name): given, **LAYER_4})
    assert any(text.startswith(f"{variable(name)}: means nothing with") for text in found)


# --- What can't be changed any more ---------------------------------------------------------------

ID = {
    "Ingress": ("kubernetes.io/ingress.qcloud-loadbalance-id", "lb-1a2b3c4d"),
    "Service": ("service.kubernetes.io/loadbalance-id", "lb-1a2b3c4d"),
}


def _live(kind: str, annotations: dict[str, str], manager: str = MANAGER) -> dict[str, Any]:
    """An object with its load balancer, whose annotations one manager wrote."""
    key, value = ID[kind]
    owned = {f"f:{one}": {} for one in annotations}
    return {
        "kind": kind,
        "metadata": {
            "annotations": {**annotations, key: value},
            "managedFields": [
                {"manager": manager, "fieldsV1": {"f:metadata": {"f:annotations": owned}}}
            ],
        },
        "spec": {"type": "LoadBalancer"} if kind == "Service" else {"ingressClassName": "qcloud"},
    }


def _wanted(kind: str, **given: object) -> dict[str, Any]:
    scenario = LAYER_4 if kind == "Service" else {}
    named = {variable(name): value for name, value in given.items()}
    return front_of(kind, values_of({**scenario, **named}))


MADE = [
    (name, given, kind)
    for name, given, ingress, service in SAID
    for kind, keys in (("Ingress", ingress), ("Service", service))
    if ROWS[name].made and keys
]


@pytest.mark.parametrize(("name", "given", "kind"), MADE)
def test_what_counts_when_it_is_made_is_not_changed_afterwards(
    name: str, given: object, kind: str
) -> None:
    wanted = _wanted(kind, **{name: given})
    there = wanted["metadata"]["annotations"]
    assert unchangeable({}, wanted) == ""
    assert unchangeable(_live(kind, there), wanted) == ""
    added = unchangeable(_live(kind, {}), wanted)
    gone = unchangeable(_live(kind, there), _wanted(kind))
    other = unchangeable(_live(kind, dict.fromkeys(there, "other")), wanted)
    for text in (added, gone, other):
        assert text.startswith(f"{kind} real-ip-{kind.lower()} has its load balancer, and ")
        assert variable(name) in text
        assert "Next: ansible-playbook kestrel.real_ip.teardown, then this again" in text
        assert text.count("Next:") == 1
    assert "expected none, seen '" in added
    assert "expected 'other', seen '" in other
    assert "', seen none" in gone


@pytest.mark.parametrize("kind", ID)
def test_what_others_wrote_stays_and_is_no_change(kind: str) -> None:
    there = _wanted(kind, subnet_id="subnet-1a2b3c4d")["metadata"]["annotations"]
    assert unchangeable(_live(kind, there, "console"), _wanted(kind)) == ""


def test_the_same_json_written_otherwise_is_no_change() -> None:
    live = _live("Ingress", {"ingress.cloud.tencent.com/listen-ports": '[ { "HTTP" : 8080 } ]'})
    assert unchangeable(live, _wanted("Ingress", listen_ports=[{"HTTP": 8080}])) == ""


def test_before_there_is_a_load_balancer_all_can_be_changed() -> None:
    live = _live("Ingress", {"kubernetes.io/ingress.existLbId": "lb-00000000"})
    del live["metadata"]["annotations"][ID["Ingress"][0]]
    assert unchangeable(live, _wanted("Ingress", existing_lb_id="lb-1a2b3c4d")) == ""


def test_another_class_or_type_has_another_load_balancer() -> None:
    subnet = {"subnet_id": "subnet-1a2b3c4d"}
    live = _live("Ingress", _wanted("Ingress", **subnet)["metadata"]["annotations"])
    assert unchangeable(live, _wanted("Ingress", ingress_class="nginx")) == ""
    live = _live("Service", {})
    live["spec"]["type"] = "NodePort"
    assert unchangeable(live, _wanted("Service", **subnet)) == ""


@pytest.mark.parametrize(
    ("name", "value", "off"),
    [
        ("redirect", True, "false"),
        ("security_groups", ["sg-1a2b3c4d"], "[]"),
        ("pass_to_target", True, "false"),
    ],
)
def test_what_is_turned_off_by_a_value_says_so(name: str, value: object, off: str) -> None:
    more = TLS if name == "redirect" else {}
    more = {key.removeprefix("real_ip_"): one for key, one in more.items()}
    there = _wanted("Ingress", **{name: value}, **more)["metadata"]["annotations"]
    text = unchangeable(_live("Ingress", there), _wanted("Ingress", **more))
    assert f"Next: set real_ip_{name}: {off}" in text
    assert text.startswith("Ingress real-ip-ingress: ingress.cloud.tencent.com/")
    given: object = [] if off == "[]" else False
    assert unchangeable(_live("Ingress", there), _wanted("Ingress", **{name: given}, **more)) == ""
    turned = _wanted("Ingress", **{name: given}, **more)["metadata"]["annotations"]
    assert unchangeable(_live("Ingress", turned), _wanted("Ingress", **more)) == ""


def test_what_can_be_changed_is() -> None:
    there = _wanted("Ingress", tke_service_config="a")["metadata"]["annotations"]
    assert unchangeable(_live("Ingress", there), _wanted("Ingress", tke_service_config="b")) == ""
    assert unchangeable(_live("Ingress", there), _wanted("Ingress")) == ""


def test_other_kinds_have_no_load_balancer() -> None:
    secret = {"kind": "Secret", "metadata": {"name": "a"}}
    assert unchangeable(secret, secret) == ""


# --- Where it listens -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, []),
        ("", []),
        ('[{"HTTP": 80}, {"HTTPS": 8443}]', [("http", 80), ("https", 8443)]),
        ('[{"HTTP": 80}', []),
        ('[{"UDP": 80}]', []),
    ],
)
def test_listen_ports(text: str | None, found: list[tuple[str, int]]) -> None:
    annotations = {} if text is None else {"ingress.cloud.tencent.com/listen-ports": text}
    assert listen_ports({"metadata": {"annotations": annotations}}) == found
