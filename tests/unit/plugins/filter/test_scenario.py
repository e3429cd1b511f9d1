# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``scenario``."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.kestrel.real_ip.plugins.filter.scenario import FilterModule

scenario = FilterModule().filters()["scenario"]


@pytest.mark.parametrize(
    ("name", "front", "pod"),
    [
        ("gr-clb-non-direct-pod", "Ingress", set()),
        ("eni-clb-non-direct-pod", "Ingress", set()),
        ("gr-clb-direct-pod", "Service", set()),
        ("eni-clb-direct-pod", "Service", set()),
        ("super-clb-direct-pod", "Service", {"nodeSelector", "tolerations"}),
        ("load-balancer-service", "Service", set()),
        ("", "Ingress", set()),
    ],
)
def test_what_stands_in_front(name: str, front: str, pod: set[str]) -> None:
    row = scenario(name)
    assert row["front"] == front
    assert set(row["pod"]) == pod


def test_an_unknown_one_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="real_ip_scenario: expected one of"):
        scenario("gr")
