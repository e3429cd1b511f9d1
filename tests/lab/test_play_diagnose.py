# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks diagnose and explain, and diagnose within site: what they say, and what they don't.

That the right cause is named for each fault is what test_play_faults.py is about.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import columns

from tests.lab.playbooks import EXPECTED, Playbooks, Run, configuration

MINE = ("-e", f"real_ip_expected_source={EXPECTED}")
STATISTICS = {"ANSIBLE_SHOW_CUSTOM_STATS": "1"}
FRONT = ("-e", "real_ip_ingress=front")
SECRET = "s3cret-of-the-shop"

#: What somebody else deployed: an app that ends and says why, and a password that it knows.
FOREIGN = """
apiVersion: v1
kind: Secret
metadata: {name: password}
stringData: {password: %(secret)s}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: shop
        image: docker.io/library/python:3.13-slim
        command: [python3, -c, "import sys; print('the shop is closed'); sys.exit(4)"]
        # Without it the pod is ready for a moment after each start.
        readinessProbe: {tcpSocket: {port: 8000}}
        env:
        - name: PASSWORD
          valueFrom: {secretKeyRef: {name: password, key: password}}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  type: NodePort
  selector: {app: shop}
  ports: [{port: 80, targetPort: 8000}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: front}
spec:
  ingressClassName: qcloud
  rules:
  - http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}
"""


def until(found: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What ``found`` returns once that isn't empty."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.5)
    return result


@pytest.fixture(scope="module")
def shop(playbooks: Playbooks) -> Iterator[Playbooks]:
    """A namespace with somebody else's Ingress, whose pods crash."""
    own = Playbooks(playbooks.lab, f"shop-{secrets.token_hex(3)}")
    own.kubectl("create", "namespace", own.namespace)
    own.kubectl("apply", "-n", own.namespace, "-f", "-", text=FOREIGN % {"secret": SECRET})
    reason = "jsonpath={.items[*].status.containerStatuses[0].lastState.terminated.exitCode}"
    until(lambda: own.kubectl("get", "pods", "-n", own.namespace, "-o", reason))
    address = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    until(lambda: own.kubectl("get", "ingress", "front", "-n", own.namespace, "-o", address))
    yield own
    own.kubectl("delete", "namespace", own.namespace, "--wait=false")


def objects(playbooks: Playbooks) -> str:
    """Names and versions of everything that somebody could have changed."""
    fields = "custom-columns=K:.kind,N:.metadata.name,G:.metadata.generation,L:.metadata.labels"
    kinds = "deployments,services,ingresses,secrets,configmaps"
    return playbooks.kubectl("get", kinds, "-n", playbooks.namespace, "-o", fields)


def result_of(run: Run) -> dict[str, Any]:
    """The host's entry in real_ip_results."""
    found: dict[str, Any] = run.statistics()["real_ip_results"]["localhost"]
    return found


def test_an_ingress_of_somebody_else(shop: Playbooks) -> None:
    before = objects(shop)
    run = shop.run("diagnose", *FRONT, environment=STATISTICS)
    assert run.status == 0, "it ran, whatever it found"
    assert run.changed == 0
    assert "localhost: CAUSE P142" in run.output, run.output
    assert "container shop: Error, exit code 4" in run.output
    assert f"kubectl -n {shop.namespace} logs " not in run.output
    assert run.line.startswith("real_ip: localhost not_run P142 Pod shop-"), run.line
    result = result_of(run)
    assert (result["verdict"], result["cause"]["code"]) == ("not_run", "P142")
    assert {*result["cause"]} == {"code", "object", "cause", "fix", "fix_kind"}
    assert objects(shop) == before
    assert "the shop is closed" not in run.output, "logs of somebody else's pods"
    assert SECRET not in run.output


def test_logs_of_somebody_elses_pods_are_shown_on_request_and_stand_in_no_result(
    shop: Playbooks,
) -> None:
    run = shop.run("diagnose", *FRONT, "-e", "real_ip_show_logs=true", environment=STATISTICS)
    assert "| the shop is closed" in run.output, run.output
    assert "the shop is closed" not in json.dumps(result_of(run))
    assert SECRET not in run.output


def test_in_chinese(shop: Playbooks) -> None:
    run = shop.run("diagnose", *FRONT, "-e", "real_ip_language=zh", environment=STATISTICS)
    assert run.status == 0, run.output
    page = run.output[run.output.index("localhost: 原因 P142") :].partition("real_ip: ")[0]
    for text in ("容器 shop 自行退出，退出码 4", "| 客户端", "负载均衡", "重新验证"):
        assert text in page, page
    # What is typed is never broken.
    lines = [line for line in page.splitlines() if "ansible-playbook" not in line]
    assert all(columns(line) <= 100 for line in lines if "kubectl" not in line), page
    assert run.line.startswith("real_ip: localhost not_run P142 Pod shop-"), run.line
    result = result_of(run)
    assert (result["verdict"], result["cause"]["code"]) == ("not_run", "P142")
    assert "退出码 4" in result["cause"]["cause"]


def test_what_is_typed_goes_to_the_cluster_that_was_read(shop: Playbooks, tmp_path: Path) -> None:
    """kubectl would take another one by itself, and so mend, or break, what isn't meant."""
    content = configuration(shop)
    [cluster], [context] = content["clusters"], content["contexts"]
    dead = {"name": "dead", "cluster": {"server": "https://127.0.0.1:9"}}
    content["clusters"] = [cluster, dead]
    other = {"name": "other", "context": {**context["context"], "cluster": "dead"}}
    content["contexts"] = [{**context, "name": "meant"}, other]
    content["current-context"] = "other"
    file = tmp_path / "two contexts"
    file.write_text(json.dumps(content))
    named = json.dumps({"real_ip_kubeconfig": str(file), "real_ip_context": "meant"})
    shown = ("-n", shop.namespace, "-o", "jsonpath={.spec.replicas}")
    shop.kubectl("scale", "deployment", "shop", "-n", shop.namespace, "--replicas=0")
    try:
        run = shop.run("diagnose", *FRONT, "-e", named)
        [command] = re.findall(r"^  type +(.+)$", run.output, re.MULTILINE)
        begin = f"kubectl --kubeconfig '{file}' --context meant -n {shop.namespace} scale "
        assert command.startswith(begin), run.output
        status, output = shop.execute("operator", "bash", "-c", command)
        assert status == 0, output
        assert shop.kubectl("get", "deployment", "shop", *shown) != "0"
    finally:
        shop.kubectl("scale", "deployment", "shop", "-n", shop.namespace, "--replicas=1")


def test_an_ingress_that_there_is_not(shop: Playbooks) -> None:
    run = shop.run("diagnose", "-e", "real_ip_ingress=frontt")
    assert run.status == 0
    assert "CAUSE P201" in run.output
    assert "The namespace has no Ingress frontt" in " ".join(run.output.split())


def test_site_and_verify_diagnose_by_themselves_and_by_the_tag(playbooks: Playbooks) -> None:
    own = Playbooks(playbooks.lab, f"diagnosed-{secrets.token_hex(3)}")
    try:
        run = own.run("site", *MINE, "--tags", "namespace,deployment,service,ingress")
        assert run.status == 0, run.output
        assert "cause" not in run.output, "nothing is wrong, and nobody asked"
        # Of a way that works, the tag alone says so.
        run = own.run("site", *MINE, "--tags", "diagnose")
        assert run.status == 0, run.output
        assert "localhost: NOTHING WRONG" in run.output
        assert "  probe    all 20 answers through " in run.output
        assert "preserved" not in run.output
        # What an earlier playbook of the same run has found is not what this one finds.
        run = own.run("verify diagnose", *MINE)
        first, second = re.findall(r"^real_ip: localhost (\S+) ", run.output, re.MULTILINE)
        assert (first, second) == ("preserved", "not_run"), run.output
        # A bad verdict is diagnosed without asking: here by no fault of the cluster.
        run = own.run("verify", environment=STATISTICS)
        assert (run.status, run.verdict) == (2, "unproven")
        assert result_of(run)["cause"]["code"] == "P510"
        # So is a step that fails before the probe.
        own.kubectl("delete", "ingress", "real-ip-ingress", "-n", own.namespace)
        run = own.run("verify", *MINE, environment=STATISTICS)
        assert (run.status, run.verdict) == (2, "not_run")
        assert result_of(run)["cause"]["code"] == "P201"
        assert run.line.startswith("real_ip: localhost not_run P201 "), run.line
        assert run.output.count("traffic_path_info") <= 1
        # A variable that is refused has nothing to do with the cluster.
        run = own.run("verify", *MINE, "-e", "real_ip_layer=l3")
        assert (run.status, "cause" in run.output) == (2, False)
    finally:
        own.kubectl("delete", "namespace", own.namespace, "--wait=false")


def test_explain(playbooks: Playbooks) -> None:
    for code, told in (
        ("P206", "selector matches no pod"),
        ("v201", "V201 (lost)"),
        ("E4009", "TKE"),
    ):
        run = playbooks.run("explain", "-e", f"real_ip_code={code}")
        assert run.status == 0, run.output
        assert told in run.output
    for arguments in ((), ("-e", "real_ip_code=P2O6")):
        run = playbooks.run("explain", *arguments)
        assert run.status == 2
        assert "expected one of a result line or a finding" in run.output
