# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import (
    SETTINGS,
    SettingError,
    misspelt,
    nested,
    problems,
    value_of,
)

UNDERSTOOD = [
    # variable, given, value
    ("real_ip_echo", "", "image"),
    ("real_ip_echo", "bundled", "bundled"),
    ("real_ip_bundled_image", "mirror.example/python@sha256:0", "mirror.example/python@sha256:0"),
    ("real_ip_replicas", None, 2),
    ("real_ip_replicas", "", 2),
    ("real_ip_replicas", "  ", 2),
    ("real_ip_replicas", 3, 3),
    ("real_ip_replicas", "3", 3),
    ("real_ip_replicas", " 3 ", 3),
    ("real_ip_namespace", "team-a", "team-a"),
    ("real_ip_host", "a.example", "a.example"),
    ("real_ip_host", "*.example", "*.example"),
    ("real_ip_expected_source", "203.0.113.10", ["203.0.113.10"]),
    (
        "real_ip_expected_source",
        "203.0.113.10, 2001:db8::1\n198.51.100.0/24",
        ["203.0.113.10", "2001:db8::1", "198.51.100.0/24"],
    ),
    ("real_ip_expected_source", ["local"], ["local"]),
    ("real_ip_expected_source", [], []),
    ("real_ip_accept", "lost,unproven", ["lost", "unproven"]),
    ("real_ip_ingress_annotations", {"a/b": "true"}, {"a/b": "true"}),
    ("real_ip_kubeconfig", {"apiVersion": "v1"}, {"apiVersion": "v1"}),
    ("real_ip_url", "https://a.example/x", "https://a.example/x"),
    ("real_ip_echo_format", "echo_basic", "echo_basic"),
    ("real_ip_echo_queries", {"headers": "h", "pod": "", "node": None}, {"headers": "h"}),
]

REFUSED = [
    # variable, given, what the message must name
    ("real_ip_echo", "own", "expected one of image, bundled"),
    ("real_ip_replicas", 0, "expected 1 to 500, got 0"),
    ("real_ip_replicas", 501, "expected 1 to 500"),
    ("real_ip_replicas", "many", "expected an integer"),
    ("real_ip_replicas", "1_0", "expected an integer"),
    ("real_ip_replicas", "9" * 5000, "expected an integer"),
    ("real_ip_replicas", True, "got a boolean"),
    ("real_ip_replicas", 2.0, "got a number"),
    ("real_ip_replicas", [2], "got a list"),
    ("real_ip_container_port", 65536, "expected 1 to 65535"),
    ("real_ip_namespace", "Team_A", "DNS label"),
    ("real_ip_namespace", "a\n", "control characters"),
    ("real_ip_namespace", "a" * 64, "at most 63"),
    ("real_ip_namespace", 7, "put it in quotes"),
    ("real_ip_name_prefix", "a" * 53, "at most 52"),
    ("real_ip_host", "Example.COM", "lower case"),
    ("real_ip_host", "localhost", "with a dot"),
    ("real_ip_path", "echo", "starts with a slash"),
    ("real_ip_scenario", "gr-clb", "expected one of gr-clb-non-direct-pod"),
    ("real_ip_service_type", "ExternalName", "expected one of NodePort"),
    ("real_ip_ingress_annotations", {"a/b": True}, "quote it"),
    ("real_ip_ingress_annotations", "a=b", "expected a dictionary"),
    ("real_ip_echo_format", "json", "expected one of auto, kestrel, flask, whoami"),
    ("real_ip_echo_queries", "headers", "expected a dictionary"),
    ("real_ip_echo_queries", {"header": "h"}, "expected one of headers, peer, pod, node"),
    ("real_ip_echo_queries", {"headers": ["h"]}, "got a list"),
    ("real_ip_accept", "good", "expected one of no_answer"),
    ("real_ip_url", "a.example", "http://"),
    ("real_ip_expected_source", {"a": 1}, "expected a list"),
    ("real_ip_expected_source", [1], "put it in quotes"),
    ("real_ip_expected_source", [None], "expected text, got nothing"),
]


@pytest.mark.parametrize(("name", "given", "value"), UNDERSTOOD)
def test_understood(name: str, given: object, value: object) -> None:
    assert value_of(name, given) == value


@pytest.mark.parametrize(("name", "given", "words"), REFUSED)
def test_refused(name: str, given: object, words: str) -> None:
    with pytest.raises(SettingError) as caught:
        value_of(name, given)
    assert str(caught.value).startswith(f"{name}: ")
    assert words in str(caught.value)


BY_SCENARIO = [
    ("real_ip_layer", "gr-clb-non-direct-pod", "l7"),
    ("real_ip_layer", "eni-clb-direct-pod", "l4"),
    ("real_ip_echo", "eni-clb-non-direct-pod", "image"),
    ("real_ip_echo", "super-clb-direct-pod", "bundled"),
    ("real_ip_service_type", "gr-clb-direct-pod", "LoadBalancer"),
    ("real_ip_service_type", "", "NodePort"),
    ("real_ip_direct_access", None, False),
    ("real_ip_direct_access", "gr-clb-direct-pod", True),
    ("real_ip_external_traffic_policy", "gr-clb-direct-pod", None),
    ("real_ip_external_traffic_policy", "load-balancer-service", "Local"),
    ("real_ip_direct_access", "load-balancer-service", False),
    # What no scenario has a say in
    ("real_ip_replicas", "gr-clb-direct-pod", 2),
]


@pytest.mark.parametrize(("name", "scenario", "value"), BY_SCENARIO)
def test_some_defaults_are_the_scenarios(name: str, scenario: object, value: object) -> None:
    assert value_of(name, None, scenario) == value
    assert value_of(name, "", scenario) == value


def test_what_is_given_goes_before_the_scenario() -> None:
    assert value_of("real_ip_layer", "l7", "gr-clb-direct-pod") == "l7"
    assert value_of("real_ip_direct_access", "no", "gr-clb-direct-pod") is False


def test_an_unknown_scenario_is_named_where_a_default_depends_on_it() -> None:
    with pytest.raises(SettingError, match=r"^real_ip_scenario: expected one of"):
        value_of("real_ip_layer", None, "gr")


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_default_is_a_value_of_its_own_variable(name: str) -> None:
    default = SETTINGS[name].default
    assert value_of(name, None) == default
    if default is not None:
        assert value_of(name, default) == default


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("real-ip-url", "real_ip_url"),
        ("realip_url", "real_ip_url"),
        ("REAL_IP_URL", "real_ip_url"),
        ("real_ip_url", None),
        # Somebody else's
        ("realip_from", None),
        ("url", None),
        ("ansible_host", None),
    ],
)
def test_a_name_of_another_spelling(name: str, meant: str | None) -> None:
    told = [f"{name}: no such variable: did you mean {meant}?"] if meant else []
    assert misspelt([name, "inventory_hostname"]) == told


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        # A file of group_vars that was written as an inventory
        ({"vars": {"real_ip_url": "http://a.example/"}}, ["vars: real_ip_url"]),
        ({"all": {"vars": {"real_ip_url": "http://a.example/"}}}, ["all: real_ip_url"]),
        ({"real_ip": {"url": "http://a.example/", "x": 1}}, ["real_ip: real_ip_url"]),
        # Somebody's own structure, from which the variable is made
        ({"real_ip": {"url": "x"}, "real_ip_url": "{{ real_ip.url }}"}, []),
        ({"vars": {"http_port": 80}, "all": "x", "hosts": ["real_ip_url"]}, []),
        ({"clusters": {"one": {"real_ip_url": "x"}}}, []),
    ],
)
def test_variables_that_stand_within_others(variables: dict[str, Any], told: list[str]) -> None:
    assert [text.partition(" stands")[0] for text in nested(variables)] == told


PROBLEMS = [
    ({}, []),
    ({"real_ip_results": {"x": 1}}, []),
    ({"real_ip_event": {"bad": True}}, []),
    ({"real_ip_replica": 2}, ["real_ip_replica: no such variable: did you mean real_ip_replicas?"]),
    ({"real_ip_zzz": 2}, ["real_ip_zzz: no such variable"]),
    (
        {"real_ip_replicas": 0, "real_ip_path": "x"},
        ["real_ip_path: expected a path", "real_ip_replicas: expected 1 to 500"],
    ),
    (
        {"real_ip_state": "absent"},
        ["real_ip_state: refused: run the playbook kestrel.real_ip.teardown"],
    ),
    (
        {"real_ip_ingress_annotations": {"kubernetes.io/ingress.class": "nginx"}},
        ["real_ip_ingress_class: 'qcloud' contradicts the annotation"],
    ),
    ({"real_ip_ingress_annotations": {"kubernetes.io/ingress.class": "qcloud"}}, []),
    # Who writes a base has another path probed than is named.
    (
        {"real_ip_url": "http://www.example.com", "real_ip_path": "/api"},
        ["real_ip_url: 'http://www.example.com' has no path, and is asked for as it"],
    ),
    ({"real_ip_url": "http://www.example.com"}, []),
    ({"real_ip_url": "http://www.example.com/api/v1", "real_ip_path": "/api"}, []),
    # What stands in front can have another path for it.
    ({"real_ip_url": "http://www.example.com/", "real_ip_path": "/api"}, []),
    (
        {"real_ip_scenario": "gr-clb-direct-pod", "real_ip_service_type": "NodePort"},
        ["real_ip_service_type: 'NodePort' has no load balancer, and real_ip_scenario"],
    ),
    ({"real_ip_scenario": "gr-clb-direct-pod", "real_ip_service_type": "LoadBalancer"}, []),
    (
        {"real_ip_scenario": "load-balancer-service", "real_ip_direct_access": True},
        ["real_ip_direct_access: an annotation of TKE, and real_ip_scenario: 'load-balancer-servi"],
    ),
    ({"real_ip_scenario": "load-balancer-service", "real_ip_direct_access": False}, []),
    (
        {"real_ip_scenario": "load-balancer-service", "real_ip_subnet_id": "subnet-a1b2c3d4"},
        ["real_ip_subnet_id: is for TKE's own load balancer, and real_ip_scenario: 'load-balanc"],
    ),
    ({"real_ip_service_type": "LoadBalancer"}, []),
    # As where a variable of the shell isn't set: who merges slices of a fleet wants all of them.
    ({"real_ip_documents": "a.json,"}, ["real_ip_documents: expected files, got 'a.json,', where"]),
    ({"real_ip_documents": ["a", "a"]}, ["real_ip_documents: expected each file once, got 'a' tw"]),
    ({"real_ip_documents": "a.json, b.json\n"}, []),
    ({"real_ip_documents": ""}, []),
    ({"real_ip_kubeconfig": {}}, ["real_ip_kubeconfig: expected a file, or what is in one, got"]),
    ({"real_ip_kubeconfig": {"contexts": []}}, []),
    (
        {"real_ip_service_type": "ClusterIP"},
        ["real_ip_service_type: 'ClusterIP' has no node port, which the load balancer sends to (T"],
    ),
    ({"real_ip_service_type": "ClusterIP", "real_ip_direct_access": True}, []),
    ({"real_ip_service_type": "ClusterIP", "real_ip_ingress_class": "nginx"}, []),
    (
        {
            "real_ip_service_type": "ClusterIP",
            "real_ip_direct_access": True,
            "real_ip_external_traffic_policy": "Local",
        },
        ["real_ip_external_traffic_policy: means nothing with real_ip_service_type: 'ClusterIP'"],
    ),
    ({"real_ip_external_traffic_policy": "Local"}, []),
    ({"real_ip_samples": 300}, ["real_ip_samples: 300 is more than real_ip_max_samples"]),
    ({"real_ip_echo_format": "jmespath"}, ["real_ip_echo_queries: goes with"]),
    ({"real_ip_echo_queries": {"headers": "h"}}, ["real_ip_echo_queries: goes with"]),
    ({"real_ip_echo_format": "jmespath", "real_ip_echo_queries": {"headers": "h"}}, []),
    ({"real_ip_api_key": "t"}, ["real_ip_api_key: set real_ip_api_host as well"]),
]


@pytest.mark.parametrize(("given", "starts"), PROBLEMS)
def test_problems(given: dict[str, object], starts: list[str]) -> None:
    found = problems(given)
    assert len(found) == len(starts)
    assert all(text.startswith(start) for text, start in zip(found, starts)), found


def test_a_token_never_stands_in_a_message() -> None:
    assert "s3cret" not in " ".join(problems({"real_ip_api_key": ["s3cret"]}))
