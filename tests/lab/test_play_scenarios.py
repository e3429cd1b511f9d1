# SPDX-License-Identifier: GPL-3.0-or-later
"""Every scenario by its name: deployed, preserved, broken on purpose, mended, and removed."""

from __future__ import annotations

import pytest

from lab.settings import NODE1, NODE2
from tests.lab.playbooks import EXPECTED, Playbooks, super_node

MINE = ("-e", f"real_ip_expected_source={EXPECTED}")
LAYER_7 = ("gr-clb-non-direct-pod", "eni-clb-non-direct-pod")
LAYER_4 = ("gr-clb-direct-pod", "eni-clb-direct-pod")
SUPER = "super-clb-direct-pod"
ANYBODY = "load-balancer-service"


def _by_name(scenario: str) -> tuple[str, ...]:
    return (*MINE, "-e", f"real_ip_scenario={scenario}")


def _kinds(playbooks: Playbooks) -> set[str]:
    """The objects of the deployment that are there."""
    names = playbooks.kubectl(
        *("get", "ingresses,services,deployments,configmaps", "-n", playbooks.namespace),
        *("-l", "app.kubernetes.io/managed-by=kestrel.real_ip", "-o", "name"),
    )
    return {name.partition("/")[0].partition(".")[0] for name in names.split()}


def _removed(playbooks: Playbooks, *scenario: str) -> None:
    run = playbooks.run("teardown", *scenario)
    assert run.status == 0, run.output
    assert f"namespace/{playbooks.namespace}" not in playbooks.namespaces()


@pytest.mark.parametrize("scenario", LAYER_7)
def test_layer_7(own: Playbooks, scenario: str) -> None:
    run = own.run("site", *_by_name(scenario))
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    assert _kinds(own) == {"ingress", "service", "deployment"}

    # The same pods past the load balancer: a node's address, and no header.
    around = f"{NODE1.ipv4('vpc')}:{own.node_port()}"
    # The load balancer sends to the other node while this one doesn't know the Service yet.
    own.until_it_answers_always(around)
    found = own.probe("client", url=f"http://{around}/", layer="l7", expected="203.0.113.20")
    assert found["verdict"] not in ("preserved", "no_answer"), found["reason"]
    own.switch("x_forwarded_for=pass")
    try:
        run = own.run("verify", *_by_name(scenario))
        assert run.status == 2
        assert run.verdict not in ("preserved", ""), run.output
    finally:
        own.switch("x_forwarded_for=append")

    run = own.run("verify", *_by_name(scenario))
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    _removed(own, *_by_name(scenario))


def _layer_4(own: Playbooks, scenario: str) -> None:
    run = own.run("site", *_by_name(scenario))
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    assert _kinds(own) == {"service", "deployment", "configmap"}
    again = own.run("site", *_by_name(scenario))
    assert (again.status, again.changed) == (0, 0), again.output

    by_nodes = (*_by_name(scenario), "-e", "real_ip_direct_access=false")
    run = own.run("site", *by_nodes)
    assert (run.status, run.verdict) == (2, "lost"), run.output
    assert "cause    P501 Service real-ip-service" in run.output
    run = own.run("site", *by_nodes, "-e", "real_ip_external_traffic_policy=Local")
    assert (run.status, run.verdict) == (0, "preserved"), run.output

    run = own.run("site", *_by_name(scenario))
    assert (run.status, run.verdict) == (0, "preserved"), run.output


@pytest.mark.parametrize("scenario", LAYER_4)
def test_layer_4(own: Playbooks, scenario: str) -> None:
    _layer_4(own, scenario)
    _removed(own, *_by_name(scenario))


def test_a_load_balancer_of_whoever_makes_one(own: Playbooks) -> None:
    run = own.run("site", *_by_name(ANYBODY))
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    assert _kinds(own) == {"service", "deployment", "configmap"}
    service = ("get", "service", "real-ip-service", "-n", own.namespace, "-o")
    assert own.kubectl(*service, "jsonpath={.spec.externalTrafficPolicy}") == "Local"
    # What the stand-in itself writes has names of its own.
    assert "direct-access" not in own.kubectl(*service, "jsonpath={.metadata.annotations}")
    again = own.run("site", *_by_name(ANYBODY))
    assert (again.status, again.changed) == (0, 0), again.output

    run = own.run("site", *_by_name(ANYBODY), "-e", "real_ip_external_traffic_policy=Cluster")
    assert (run.status, run.verdict) == (2, "lost"), run.output
    assert "cause    P501 Service real-ip-service" in run.output
    run = own.run("site", *_by_name(ANYBODY))
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    _removed(own, *_by_name(ANYBODY))


def test_super_nodes(own: Playbooks) -> None:
    with super_node(own, NODE2.name):
        _layer_4(own, SUPER)
        nodes = own.kubectl(
            *("get", "pods", "-n", own.namespace),
            *("-o", "jsonpath={.items[*].spec.nodeName}"),
        )
        assert set(nodes.split()) == {NODE2.name}
        _removed(own, *_by_name(SUPER))


def test_without_a_super_node_no_pod_can_run(own: Playbooks) -> None:
    run = own.run("site", *_by_name(SUPER), "-e", "real_ip_wait_timeout=12")
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert "Insufficient" not in run.output
    assert "didn't match Pod's node affinity/selector" in run.output
    _removed(own)


def test_another_scenario_converges(own: Playbooks) -> None:
    assert own.run("site", *_by_name(LAYER_7[0])).verdict == "preserved"
    check = own.run("site", "--check", *_by_name(LAYER_4[0]))
    assert (check.status, check.changed) == (0, 3), "Deployment, Service and Ingress"
    run = own.run("site", *_by_name(LAYER_4[0]))
    assert (run.status, run.verdict, run.changed) == (0, "preserved", 3), run.output
    assert _kinds(own) == {"service", "deployment", "configmap"}

    run = own.run("site", *_by_name(LAYER_7[0]))
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    assert _kinds(own) == {"ingress", "service", "deployment"}
    again = own.run("site", *_by_name(LAYER_7[0]))
    assert (again.status, again.changed) == (0, 0), again.output
    _removed(own)


def test_an_ingress_that_sends_to_pods(own: Playbooks) -> None:
    direct = ("-e", "real_ip_direct_access=true", "-e", "real_ip_service_type=ClusterIP")
    run = own.run("site", *MINE, *direct)
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    _removed(own)


def test_a_port_other_than_http(own: Playbooks) -> None:
    run = own.run("site", *_by_name(LAYER_4[0]), "-e", "real_ip_service_port=8443")
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    assert ":8443 showed" in run.line
    _removed(own, *_by_name(LAYER_4[0]), "-e", "real_ip_service_port=8443")


def test_pods_on_interfaces_of_the_vpc(own: Playbooks) -> None:
    """No node here has any, so that the pods wait for one; what is asked for is what TKE reads."""
    run = own.run("deploy", "-e", "real_ip_eni=true", "-e", "real_ip_wait_timeout=1")
    assert run.status == 2
    template = "{.spec.template.metadata.annotations}{.spec.template.spec.containers[0].resources}"
    told = own.kubectl(
        *("get", "deployment", "real-ip-deployment", "-n", own.namespace),
        *("-o", f"jsonpath={template}"),
    )
    assert '{"tke.cloud.tencent.com/networks":"tke-route-eni"}' in told
    assert '"limits":{"tke.cloud.tencent.com/eni-ip":"1"}' in told
    _removed(own)
