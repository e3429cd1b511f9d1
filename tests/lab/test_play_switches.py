# SPDX-License-Identifier: GPL-3.0-or-later
"""TKE's switches for a whole cluster: reported, changed only when asked, and put back."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest

from lab.settings import Lab
from tests.lab.playbooks import EXPECTED, Playbooks

SWITCH = "GlobalRouteDirectAccess"
SETTINGS = ("configmap", "tke-service-controller-config", "-n", "kube-system")
DIRECT = ("-e", "real_ip_scenario=gr-clb-direct-pod", "-e", f"real_ip_expected_source={EXPECTED}")
MANAGE = ("-e", "real_ip_manage_cluster_switches=true")
RECORD = "real-ip.kestrel/switches"


class Cluster(Playbooks):
    """The playbooks in a namespace of their own, and the switches of the cluster they share."""

    def settings(self) -> dict[str, str]:
        """The data of TKE's ConfigMap."""
        found: dict[str, str] = json.loads(self.kubectl("get", *SETTINGS, "-o", "json")).get(
            "data", {}
        )
        return found

    def record(self) -> str:
        """The record that stands on it, or the empty string."""
        metadata = json.loads(self.kubectl("get", *SETTINGS, "-o", "json"))["metadata"]
        found: str = (metadata.get("annotations") or {}).get(RECORD, "")
        return found

    def set(self, value: str | None) -> None:
        """Do by hand what somebody else would do; None removes the switch."""
        patch = json.dumps({"data": {SWITCH: value}})
        self.kubectl("patch", *SETTINGS, "--type=merge", "-p", patch)


@pytest.fixture
def cluster(lab: Lab) -> Iterator[Cluster]:
    """A cluster with TKE's ConfigMap, in which direct access isn't allowed."""
    found = Cluster(lab.name, f"switches-{secrets.token_hex(3)}")
    found.kubectl("create", *SETTINGS, f"--from-literal={SWITCH}=false")
    yield found
    found.kubectl("delete", "namespace", found.namespace, "--ignore-not-found")
    found.kubectl("delete", *SETTINGS)


def test_the_switch_is_set_when_asked_and_put_back_by_teardown(cluster: Cluster) -> None:
    # Not asked: it is said, with what would change it, and nothing is.
    run = cluster.run("deploy", *DIRECT, "--check")
    assert f"{SWITCH} is false in ConfigMap kube-system/" in " ".join(run.output.split())
    assert "real_ip_manage_cluster_switches=true" in run.output
    assert f", {SWITCH} false" in run.output

    # Check mode says what would change, and nothing does.
    run = cluster.run("deploy", *DIRECT, *MANAGE, "--check", "--diff")
    assert (run.status, run.changed) == (0, 4), run.output
    assert f'-    "{SWITCH}": "false"' in run.output
    assert f'+    "{SWITCH}": "true"' in run.output
    assert (cluster.settings()[SWITCH], cluster.record()) == ("false", "")

    run = cluster.run("site", *DIRECT, *MANAGE)
    assert (run.status, run.verdict, run.changed) == (0, "preserved", 4), run.output
    assert cluster.settings()[SWITCH] == "true"
    assert json.loads(cluster.record()) == {
        SWITCH: {"before": "false", "ours": "true", "users": [f"{cluster.namespace}/real-ip"]}
    }
    again = cluster.run("deploy", *DIRECT, *MANAGE)
    assert (again.status, again.changed) == (0, 0), again.output

    # Whoever tears down need not say again that it was asked for.
    run = cluster.run("teardown", *DIRECT)
    assert run.status == 0, run.output
    assert (cluster.settings()[SWITCH], cluster.record()) == ("false", "")
    again = cluster.run("teardown", *DIRECT)
    assert (again.status, again.changed) == (0, 0), again.output


def test_another_deployment_keeps_it_and_a_later_change_is_respected(cluster: Cluster) -> None:
    other = ("-e", "real_ip_name_prefix=other")
    for prefix in ((), other):
        run = cluster.run("deploy", *DIRECT, *MANAGE, *prefix)
        assert run.status == 0, run.output
    # The first goes by a change of scenario, which needs no switch.
    run = cluster.run("deploy")
    assert run.status == 0, run.output
    assert cluster.settings()[SWITCH] == "true"
    assert json.loads(cluster.record())[SWITCH]["users"] == [f"{cluster.namespace}/other"]

    cluster.set(None)
    run = cluster.run("teardown", *DIRECT, *other)
    assert run.status == 0, run.output
    assert (cluster.settings().get(SWITCH), cluster.record()) == (None, "")


def test_a_record_that_somebody_broke(cluster: Cluster) -> None:
    cluster.kubectl("annotate", *SETTINGS, f"{RECORD}=nothing")
    run = cluster.run("deploy", *DIRECT, *MANAGE)
    assert run.status == 2
    assert f"the annotation {RECORD} of ConfigMap" in run.output
    assert cluster.settings()[SWITCH] == "false"
    # Who asked for no change has nothing to do with it.
    run = cluster.run("teardown", *DIRECT)
    assert run.status == 0, run.output


def test_a_cluster_that_has_no_such_switches(lab: Lab) -> None:
    elsewhere = Playbooks(lab.name, f"switches-{secrets.token_hex(3)}")
    run = elsewhere.run("deploy", *DIRECT, *MANAGE)
    assert run.status == 2
    told = " ".join(run.output.split())
    assert "ConfigMap kube-system/tke-service-controller-config doesn't exist" in told
    assert "leave real_ip_manage_cluster_switches unset on clusters that aren't TKE's" in told
    assert f"namespace/{elsewhere.namespace}" not in elsewhere.namespaces()
