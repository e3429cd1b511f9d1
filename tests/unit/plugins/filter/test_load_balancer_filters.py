# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters ``load_balancer`` and ``load_balancer_annotations``."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.kestrel.real_ip.plugins.filter import (
    load_balancer,
    load_balancer_annotations,
)

values = load_balancer.FilterModule().filters()["load_balancer"]
annotations = load_balancer_annotations.FilterModule().filters()["load_balancer_annotations"]
QCLOUD = {"scenario": "gr-clb-direct-pod", "ingress_class": "qcloud", "direct_access": True}
SUBNET = "subnet-1a2b3c4d"


def test_only_what_is_set_is_left() -> None:
    given = {"subnet_id": SUBNET, "redirect": "no", "security_groups": [], "tls_secret": None}
    assert values({**given, "existing_lb_id": "", "internet_max_bandwidth_out": " 10 "}) == {
        "subnet_id": SUBNET,
        "redirect": False,
        "security_groups": [],
        "internet_max_bandwidth_out": 10,
    }


@pytest.mark.parametrize("call", [values, lambda given: annotations(given, "Service", **QCLOUD)])
def test_a_bad_value_names_its_variable(call: object) -> None:
    assert callable(call)
    with pytest.raises(AnsibleFilterError, match=r"^real_ip_subnet_id: expected subnet- and"):
        call({"subnet_id": "vpc"})


def test_annotations_are_of_the_kind_that_has_the_load_balancer() -> None:
    found = annotations({"subnet_id": SUBNET, "existing_lb_id": ""}, "Service", **QCLOUD)
    assert found == {"service.kubernetes.io/qcloud-loadbalancer-internal-subnetid": SUBNET}
    found = annotations({"subnet_id": SUBNET}, "Ingress", **QCLOUD)
    assert found == {"kubernetes.io/ingress.subnetId": SUBNET}


@pytest.mark.parametrize(
    ("given", "kind", "more", "reason"),
    [
        ({"redirect": True}, "Ingress", {}, "real_ip_redirect: sends requests on to HTTPS"),
        ({"redirect": True}, "Service", {}, "real_ip_redirect: means nothing with"),
        ({"subnet_id": SUBNET}, "Ingress", {"ingress_class": "nginx"}, "is another's"),
        ({"address_ip_version": "IPv6FullChain"}, "Ingress", {}, "E4034"),
        ({"address_ip_version": "IPv6FullChain"}, "Service", {"direct_access": "False"}, "to pods"),
    ],
)
def test_what_can_not_be_asked_for_is_an_error(
    given: dict[str, object], kind: str, more: dict[str, object], reason: str
) -> None:
    with pytest.raises(AnsibleFilterError, match=reason):
        annotations(given, kind, **{**QCLOUD, **more})
