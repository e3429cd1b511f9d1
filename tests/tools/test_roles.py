# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles make of variables, rendered without a cluster: one run of Ansible for all cases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.settings import REPOSITORY

ROLES = REPOSITORY / "roles"
PLAY = """
- hosts: all
  gather_facts: false
  connection: local
  vars_files:
    - {roles}/ingress/vars/main.yml
    - {roles}/service/vars/main.yml
  tasks:
    - ansible.builtin.set_fact:
        objects: >-
          {{{{ query('ansible.builtin.template', *templates) | map('from_yaml') }}}}
      vars:
        ingress: '{roles}/ingress/templates/'
        others: "{{{{ __ingress_templates | difference(['ingress.yml.j2'])
          | map('regex_replace', '^', ingress) }}}}"
        service: '{roles}/service/templates/service.yml.j2'
        templates: "{{{{ [ingress ~ 'ingress.yml.j2', service] + others }}}}"
    - ansible.builtin.copy:
        content: "{{{{ dict(ansible_play_hosts | zip(rendered)) }}}}"
        dest: {result}
        mode: "0600"
      run_once: true
      vars:
        rendered: "{{{{ ansible_play_hosts | map('extract', hostvars, 'objects') }}}}"
"""
#: What says nothing stays as it always was: objects that exist don't change.
PLAIN: dict[str, str] = {"ingress.cloud.tencent.com/direct-access": "false"}
DIRECT = {"service.cloud.tencent.com/direct-access": "true"}
LAYER_4 = {"real_ip_scenario": "gr-clb-direct-pod"}
CERTIFICATE = {"real_ip_qcloud_cert_id": "aB3dE6gH"}
FULL = {"real_ip_address_ip_version": "IPv6FullChain"}

CASES: dict[str, tuple[dict[str, Any], dict[str, str] | None, dict[str, str]]] = {
    # variables, annotations of the Ingress, None where that is to be absent, and of the Service
    "plain": ({}, PLAIN, {}),
    "plain_4": (LAYER_4, None, DIRECT),
    "empty": (
        {f"real_ip_{name}": "" for name in ("subnet_id", "redirect", "listen_ports")},
        PLAIN,
        {},
    ),
    "subnet_id": (
        {"real_ip_subnet_id": "subnet-1a2b3c4d"},
        {**PLAIN, "kubernetes.io/ingress.subnetId": "subnet-1a2b3c4d"},
        {},
    ),
    "subnet_id_4": (
        {**LAYER_4, "real_ip_subnet_id": "subnet-1a2b3c4d"},
        None,
        {
            **DIRECT,
            "service.kubernetes.io/qcloud-loadbalancer-internal-subnetid": "subnet-1a2b3c4d",
        },
    ),
    "existing_lb_id": (
        {"real_ip_existing_lb_id": "lb-1a2b3c4d"},
        {**PLAIN, "kubernetes.io/ingress.existLbId": "lb-1a2b3c4d"},
        {},
    ),
    "existing_lb_id_4": (
        {**LAYER_4, "real_ip_existing_lb_id": "lb-1a2b3c4d"},
        None,
        {**DIRECT, "service.kubernetes.io/tke-existed-lbid": "lb-1a2b3c4d"},
    ),
    "charged": (
        {
            "real_ip_internet_charge_type": "TRAFFIC_POSTPAID_BY_HOUR",
            "real_ip_internet_max_bandwidth_out": 10,
        },
        {
            **PLAIN,
            "kubernetes.io/ingress.internetChargeType": "TRAFFIC_POSTPAID_BY_HOUR",
            "kubernetes.io/ingress.internetMaxBandwidthOut": "10",
        },
        {},
    ),
    "charged_4": (
        {
            **LAYER_4,
            "real_ip_internet_charge_type": "BANDWIDTH_POSTPAID_BY_HOUR",
            "real_ip_internet_max_bandwidth_out": "10",
        },
        None,
        {
            **DIRECT,
            "service.kubernetes.io/qcloud-loadbalancer-internet-charge-type": (
                "BANDWIDTH_POSTPAID_BY_HOUR"
            ),
            "service.kubernetes.io/qcloud-loadbalancer-internet-max-bandwidth-out": "10",
        },
    ),
    "extensive_parameters": (
        {"real_ip_extensive_parameters": {"VipIsp": "CTCC"}},
        {**PLAIN, "kubernetes.io/ingress.extensiveParameters": '{"VipIsp":"CTCC"}'},
        {},
    ),
    "extensive_parameters_4": (
        {**LAYER_4, "real_ip_extensive_parameters": '{"VipIsp": "CTCC"}'},
        None,
        {**DIRECT, "service.kubernetes.io/service.extensiveParameters": '{"VipIsp":"CTCC"}'},
    ),
    "address_ip_version": (
        {**FULL, "real_ip_direct_access": True, "real_ip_host": "a.example"},
        {
            "ingress.cloud.tencent.com/direct-access": "true",
            "kubernetes.io/ingress.extensiveParameters": '{"AddressIPVersion":"IPv6FullChain"}',
        },
        {},
    ),
    "address_ip_version_4": (
        {**LAYER_4, **FULL},
        None,
        {
            **DIRECT,
            "service.kubernetes.io/service.extensiveParameters": (
                '{"AddressIPVersion":"IPv6FullChain"}'
            ),
        },
    ),
    "listen_ports": (
        {"real_ip_listen_ports": [{"HTTP": 8080}]},
        {**PLAIN, "ingress.cloud.tencent.com/listen-ports": '[{"HTTP":8080}]'},
        {},
    ),
    "redirect": (
        {**CERTIFICATE, "real_ip_redirect": True},
        {
            **PLAIN,
            "ingress.cloud.tencent.com/auto-rewrite": "true",
            "ingress.cloud.tencent.com/rewrite-support": "true",
        },
        {},
    ),
    "security_groups": (
        {"real_ip_security_groups": "sg-1a2b3c4d,sg-2a2b3c4d"},
        {**PLAIN, "ingress.cloud.tencent.com/security-groups": "sg-1a2b3c4d,sg-2a2b3c4d"},
        {},
    ),
    "security_groups_none": (
        {"real_ip_security_groups": []},
        {**PLAIN, "ingress.cloud.tencent.com/security-groups": ""},
        {},
    ),
    "security_groups_4": (
        {**LAYER_4, "real_ip_security_groups": ["sg-1a2b3c4d"]},
        None,
        {**DIRECT, "service.cloud.tencent.com/security-groups": "sg-1a2b3c4d"},
    ),
    "pass_to_target": (
        {"real_ip_pass_to_target": "true"},
        {**PLAIN, "ingress.cloud.tencent.com/pass-to-target": "true"},
        {},
    ),
    "pass_to_target_4": (
        {**LAYER_4, "real_ip_pass_to_target": False},
        None,
        {**DIRECT, "service.cloud.tencent.com/pass-to-target": "false"},
    ),
    "tke_service_config": (
        {"real_ip_tke_service_config": "team-a"},
        {**PLAIN, "ingress.cloud.tencent.com/tke-service-config": "team-a"},
        {},
    ),
    "tke_service_config_4": (
        {**LAYER_4, "real_ip_tke_service_config": "team-a"},
        None,
        {**DIRECT, "service.cloud.tencent.com/tke-service-config": "team-a"},
    ),
    "qcloud_cert_id": (CERTIFICATE, PLAIN, {}),
    "qcloud_cert_id_host": ({**CERTIFICATE, "real_ip_host": "a.example"}, PLAIN, {}),
    "tls_secret": ({"real_ip_tls_secret": "team-a-tls"}, PLAIN, {}),
    "other_class": (
        {"real_ip_ingress_class": "nginx", "real_ip_tls_secret": "team-a-tls"},
        {},
        {},
    ),
    "given_too": (
        {
            "real_ip_subnet_id": "subnet-1a2b3c4d",
            "real_ip_ingress_annotations": {"ingress.cloud.tencent.com/mode": "skip"},
        },
        {
            **PLAIN,
            "kubernetes.io/ingress.subnetId": "subnet-1a2b3c4d",
            "ingress.cloud.tencent.com/mode": "skip",
        },
        {},
    ),
    "had": ({**LAYER_4, "ingress_had_certificate": True}, None, DIRECT),
    "gone": ({**CERTIFICATE, "ingress_state": "absent"}, None, {}),
}


def run_play(place: Path, play: str, **more: str) -> None:
    """Run a play for the inventory in ``place``; what it finds goes to ``result.json`` there."""
    words = {"roles": ROLES, "result": place / "result.json", **more}
    (place / "play.yml").write_text(play.format(**words))
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("-i", str(place / "hosts.yml"), str(place / "play.yml")),
        ],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "playbooks" / "collections"),
            "ANSIBLE_NOCOLOR": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Ingress, Service, and a Secret where there is one, of each case."""
    place = tmp_path_factory.mktemp("roles")
    interpreter = {"ansible_python_interpreter": sys.executable}
    hosts = {name: {**case[0], **interpreter} for name, case in CASES.items()}
    # Below what hosts say, as defaults of roles are
    defaults = {
        name: value
        for role in ("ingress", "service")
        for name, value in yaml.safe_load((ROLES / role / "defaults/main.yml").read_text()).items()
    }
    inventory = {"all": {"hosts": hosts, "vars": defaults}}
    (place / "hosts.yml").write_text(yaml.safe_dump(inventory))
    run_play(place, PLAY)
    found: dict[str, list[dict[str, Any]]] = json.loads((place / "result.json").read_text())
    return found


@pytest.mark.parametrize("case", CASES)
def test_annotations(rendered: dict[str, list[dict[str, Any]]], case: str) -> None:
    ingress, service, *_secret = rendered[case]
    __, of_ingress, of_service = CASES[case]
    assert of_ingress is None or ingress["metadata"]["annotations"] == of_ingress
    assert service["metadata"]["annotations"] == of_service


def test_every_variable_has_a_case() -> None:
    specs = yaml.safe_load((ROLES / "ingress/meta/argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]["ingress_load_balancer"]["options"]
    given = {name for case in CASES.values() for name in case[0]}
    assert {f"real_ip_{name}" for name in options} <= given


def _tls(host: str, secret: str) -> list[dict[str, Any]]:
    return [{"secretName": secret, **({"hosts": [host]} if host else {})}]


@pytest.mark.parametrize(
    ("case", "tls"),
    [
        ("plain", None),
        ("qcloud_cert_id", _tls("", "real-ip-certificate")),
        ("qcloud_cert_id_host", _tls("a.example", "real-ip-certificate")),
        ("tls_secret", _tls("", "team-a-tls")),
        ("other_class", _tls("", "team-a-tls")),
        ("gone", None),
    ],
)
def test_tls(
    rendered: dict[str, list[dict[str, Any]]], case: str, tls: list[dict[str, Any]] | None
) -> None:
    assert rendered[case][0]["spec"].get("tls") == tls


@pytest.mark.parametrize("case", CASES)
def test_a_secret_holds_the_id_alone(rendered: dict[str, list[dict[str, Any]]], case: str) -> None:
    secrets = rendered[case][2:]
    if case.startswith(("qcloud_cert_id", "redirect", "gone")):
        [secret] = secrets
        assert (secret["kind"], secret["type"]) == ("Secret", "Opaque")
        assert secret["data"] == {"qcloud_cert_id": "YUIzZEU2Z0g="}
    else:
        assert [one["data"] for one in secrets] == (
            [{"qcloud_cert_id": ""}] if case == "had" else []
        )


@pytest.mark.parametrize("case", CASES)
def test_pods_are_reached_by_both_families_where_the_load_balancer_has_ipv6(
    rendered: dict[str, list[dict[str, Any]]], case: str
) -> None:
    policy = rendered[case][1]["spec"].get("ipFamilyPolicy")
    assert policy == ("PreferDualStack" if case.startswith("address_ip_version") else None)


# --- Whose answers a verification is judged by ----------------------------------------------------

VALUES = """
- hosts: all
  gather_facts: false
  connection: local
  vars_files: ["{roles}/verify/vars/main.yml"]
  tasks:
    - ansible.builtin.set_fact:
        value: "{{{{ {expression} }}}}"
    - ansible.builtin.copy:
        content: "{{{{ dict(ansible_play_hosts | zip(found)) }}}}"
        dest: {result}
        mode: "0600"
      run_once: true
      vars:
        found: "{{{{ ansible_play_hosts | map('extract', hostvars, 'value') }}}}"
"""


def values(place: Path, expression: str, cases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What an expression of the role's variables is, by case with what that has set."""
    hosts = {
        name: {"ansible_python_interpreter": sys.executable, **case} for name, case in cases.items()
    }
    (place / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    run_play(place, VALUES, expression=expression)
    found: dict[str, Any] = json.loads((place / "result.json").read_text())
    return found


JUDGED = (
    "[__verify_arrived, __verify_unnamed] | map('map', attribute='address') | map('list') | list"
    " + [__verify_elsewhere]"
)
OWN, CDN, OTHER = "198.51.100.10", "203.0.113.80", "198.51.100.11"


def _probe(**verdicts: tuple[str, str, str]) -> list[dict[str, Any]]:
    """Results of vantage points, each by its verdict with address, verdict and coverage of one."""
    return [
        {
            "verdict": verdict,
            "targets": [
                {"address": OTHER, "verdict": verdict, "coverage": "not_asked"},
                dict(zip(("address", "verdict", "coverage"), one, strict=True)),
            ],
        }
        for verdict, one in verdicts.items()
    ]


WHOSE: dict[str, tuple[list[str], list[dict[str, Any]], tuple[list[str], ...]]] = {
    # accepted, results, the addresses that let it succeed, whose pods aren't named, elsewhere
    "plain": (
        [],
        _probe(preserved=(CDN, "preserved", "complete")),
        ([OTHER, CDN], [OTHER], [OTHER]),
    ),
    "untested": (
        [],
        _probe(preserved=(CDN, "untested", "not_asked")),
        ([OTHER], [OTHER], [OTHER]),
    ),
    "bad": ([], _probe(lost=(OWN, "preserved", "unknown")), ([], [], [])),
    "beneath": (["lost"], _probe(lost=(OWN, "preserved", "unknown")), ([OWN], [OWN], [])),
    "silent": (
        ["no_answer"],
        _probe(no_answer=(CDN, "preserved", "unknown")),
        ([CDN], [CDN], [CDN]),
    ),
    "named": (["no_answer"], _probe(no_answer=(CDN, "preserved", "complete")), ([CDN], [], [])),
    "forgeable": (["mixed"], _probe(mixed=(OWN, "forgeable", "unknown")), ([], [], [])),
    "both": (
        ["mixed", "forgeable"],
        _probe(mixed=(OWN, "forgeable", "unknown"), lost=(CDN, "preserved", "unknown")),
        ([OWN], [OWN], []),
    ),
}


@pytest.fixture(scope="module")
def whose(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    """What the role makes of the results of each case."""
    cases = {
        name: {
            "verify_way": {"ready_pods": [], "addresses": [OWN]},
            "verify_url": "",
            "verify_wait": False,
            "real_ip_accept": accepted,
            "__verify_probe": {"skipped": True},
            "__verify_probes": {"results": results},
        }
        for name, (accepted, results, _found) in WHOSE.items()
    }
    return values(tmp_path_factory.mktemp("whose"), JUDGED, cases)


@pytest.mark.parametrize("case", WHOSE)
def test_whose_pods_may_have_answered_is_asked_beneath_what_is_accepted(
    whose: dict[str, list[list[str]]], case: str
) -> None:
    """Of each address that is called good, also where a worse one that is accepted decides."""
    assert whose[case] == [*WHOSE[case][2]]


# --- What the last probe went by ------------------------------------------------------------------


def _way(*pods: str, **other: object) -> dict[str, object]:
    """A way with these pods, each with what tells it from a later one behind a blank, if any."""
    known = {"ready_pods": [one.split()[0] for one in pods], "instances": [*pods]}
    return {**known, "addresses": [OWN], "leads_to": ["s"], "found": True, **other}


WAYS: dict[str, tuple[dict[str, object], bool]] = {
    # what was read in the end, whether it is what is asked once more
    "not read again": ({"skipped": True}, False),
    "one has gone": (_way("a", rivals=["other/rival"]), True),
    "one has gone, another came": (_way("a", "c", namesakes=["c"]), True),
    "one came": (_way("a", "b", "c"), True),
    "one is another": (_way("a", "b later"), True),
    "all are there": (_way("a", "b"), False),
    "the Service was changed": (_way("a", "b", settings=["Service s 2"]), True),
    "all have gone": (_way("c"), False),
    "no address": (_way("a", addresses=[]), False),
    "another Service": (_way("a", leads_to=["other"]), False),
}


def test_other_pods_are_asked_and_those_that_a_node_may_not_know_yet(tmp_path: Path) -> None:
    # Of what has been there for a while, and of what may have been made only just now
    ways = {(name, wait, code) for name in WAYS for wait in (False, True) for code in ONE_EACH}
    cases = {
        f"{name} {wait} {code}": {
            "verify_way": _way("a", "b"),
            "verify_url": "",
            "__verify_after": WAYS[name][0],
            "verify_wait": wait,
            "__verify_probe": _found(code),
            "__verify_probes": {"results": []},
        }
        for name, wait, code in ways
    }
    assert values(tmp_path, "__verify_due", cases) == {
        f"{name} {wait} {code}": WAYS[name][1]
        or (name == "all are there" and wait and code == "V410")
        for name, wait, code in ways
    }


#: All is well, and a pod is silent
ONE_EACH = ("V001", "V410")


@pytest.mark.parametrize(
    ("code", "url", "is_asked"),
    [
        ("V001", "", True),
        # Where it is asked directly
        ("V001", "http://shop.example/", True),
        ("V410", "", False),
        # It might not show again.
        ("V101", "", False),
    ],
)
def test_another_address_is_asked_where_all_was_well(
    tmp_path: Path, code: str, url: str, is_asked: bool
) -> None:
    """Of a silent pod, a second look elsewhere might not show what is wrong."""
    case = {
        "verify_way": _way("a", "b", addresses=[OWN]),
        "verify_url": url,
        "__verify_after": _way("a", "b", addresses=[OTHER, OWN]),
        "verify_wait": False,
        "__verify_probe": _found(code),
        "__verify_probes": {"results": []},
    }
    assert values(tmp_path, "__verify_due", {"one": case}) == {"one": is_asked}


HERE: dict[str, object] = {"addresses": [OWN, OTHER]}
LATER: dict[str, tuple[dict[str, object], str]] = {
    # what was read after the probe, and what is refused
    "the same": (_way("a", "b", **HERE), ""),
    "one came": (_way("a", "b", "c", **HERE), "seen c that came meanwhile"),
    "its settings were read": (_way("a", "b", settings=["Ingress i 1", "Service s 2"], **HERE), ""),
    "its Service was changed": (
        _way("a", "b", settings=["Ingress i 1", "Service s 3"], **HERE),
        "Service s in the namespace n: expected the same spec",
    ),
    "one has gone": (_way("a", **HERE), ""),
    "all have gone": (_way(**HERE), "seen that a, b went meanwhile"),
    "one is another": (_way("a", "b later", **HERE), "seen b that came meanwhile"),
    "another address": (_way("a", "b", addresses=[OTHER]), "expected the same addresses"),
    "in another order": (_way("a", "b", addresses=[OTHER, OWN]), ""),
    "another Service": (_way("a", "b", leads_to=["other"], **HERE), "expected the same addresses"),
    "nothing could be read": ({"msg": "the API server is gone"}, "the API server is gone"),
}


@pytest.mark.parametrize("again", [False, True])
def test_what_has_changed_since_the_last_probe_is_refused(tmp_path: Path, again: bool) -> None:
    first = _way("a", "b", settings=["Ingress i 1", "Service s 2"], **HERE)
    last = "__verify_last" if again else "__verify_after"
    answer = {"address": OWN, "coverage": "complete", "reason": "r"}
    seen = _found("V001")
    fixed = {
        "verify_namespace": "n",
        "verify_host": "h",
        "verify_path": "/",
        "verify_wait": False,
        "verify_name_prefix": "real-ip",
        "verify_scenario": "gr-clb-non-direct-pod",
        "__verify_probe": {**seen, "targets": [{**one, **answer} for one in seen["targets"]]},
        "__verify_probes": {"results": []},
    }
    cases = {
        name: {
            **fixed,
            "verify_way": first,
            "verify_url": "",
            "__verify_after": first,
            "__verify_again": again,
            last: later,
        }
        for name, (later, _told) in LATER.items()
    }
    told = "__verify_refusals | selectattr('when') | map(attribute='msg') | list"
    found = values(tmp_path, told, cases)
    for name, (_later, text) in LATER.items():
        assert (text in " ".join(found[name])) if text else found[name] == [], (name, found[name])


def test_a_second_probe_goes_by_all_that_was_read_again(tmp_path: Path) -> None:
    first, after = _way("a", "b"), _way("a", rivals=["other/rival"])
    read = {"verify_way": first, "__verify_after": after}
    cases = {"once": read, "twice": {**read, "__verify_again": True}}
    assert values(tmp_path, "__verify_way", cases) == {"once": first, "twice": after}


VERDICT = {"V0": "preserved", "V1": "forgeable", "V2": "lost", "V4": "unproven", "V6": "untested"}


def _found(*codes: str) -> dict[str, Any]:
    """A result of source_ip_info whose addresses have these codes, its own being the first."""
    each = [{"code": one, "verdict": VERDICT[one[:2]]} for one in codes]
    return {**each[0], "targets": each}


#: Results, and whether a pod that answers nothing is all that is wrong with them
ONLY_SILENT: dict[str, tuple[list[dict[str, Any]], bool]] = {
    "all is well": ([_found("V001", "V002")], False),
    "a pod is silent": ([_found("V410")], True),
    "at one address of several": ([_found("V410", "V001", "V601")], True),
    "from one of two places": ([_found("V410"), _found("V001")], True),
    "elsewhere the address is lost": ([_found("V410"), _found("V206")], False),
    "a client can choose it": ([_found("V101", "V410")], False),
    "another address proves nothing": ([_found("V410", "V407")], False),
    "another place proves nothing": ([_found("V410"), _found("V412", "V410")], False),
    "one place was not reached": ([_found("V410"), {"unreachable": True}], True),
}


def test_pods_are_read_again_where_nothing_but_a_silent_one_is_wrong(tmp_path: Path) -> None:
    cases = {
        name: {"__verify_probe": {"skipped": True}, "__verify_probes": {"results": results}}
        for name, (results, _silent) in ONLY_SILENT.items()
    }
    assert values(tmp_path, "__verify_silent", cases) == {
        name: silent for name, (_results, silent) in ONLY_SILENT.items()
    }


#: Codes, what is accepted, and whether the way is read again to see whether other pods came
ARRIVED: dict[str, tuple[tuple[str, ...], list[str], bool]] = {
    "well": (("V001",), [], True),
    "lost": (("V206",), [], False),
    "lost somewhere": (("V206", "V001"), [], False),
    "silent": (("V410",), [], False),
    "accepted": (("V101",), ["forgeable"], True),
}


def test_pods_that_came_are_looked_for_where_the_address_arrives(tmp_path: Path) -> None:
    cases = {
        name: {
            "__verify_probe": _found(*codes),
            "__verify_probes": {"results": []},
            "real_ip_accept": accepted,
        }
        for name, (codes, accepted, _read) in ARRIVED.items()
    }
    assert values(tmp_path, "__verify_arrived | length > 0", cases) == {
        name: read for name, (*_told, read) in ARRIVED.items()
    }
