# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks on the test cluster, as a user runs them: verdicts and second runs."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.playbooks import (
    ELSEWHERE,
    EXPECTED,
    NAMESPACE,
    REPOSITORY,
    Playbooks,
    Run,
    configuration,
    elsewhere,
)

MINE = ("-e", f"real_ip_expected_source={EXPECTED}")
#: Answers at an address, port 9000, with the header lines that a load balancer would send on
NOBODYS = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        lines = {name.title(): ",".join(self.headers.get_all(name)) for name in self.headers}
        own = dict.fromkeys(["X-Forwarded-For", "X-Real-Ip"], self.client_address[0])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"headers": {**lines, **own}, "method": "GET"}).encode())

HTTPServer((sys.argv[1], 9000), Handler).serve_forever()
"""
WAY = {"namespace": NAMESPACE, "ingress": "real-ip-ingress", "service": "real-ip-service"}


@pytest.fixture(scope="module")
def deployed(playbooks: Playbooks) -> Iterator[Playbooks]:
    """The deployment of site.yml, made once for the tests of this file that only look at it."""
    playbooks.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    run = playbooks.run("site", *MINE)
    assert run.status == 0, run.output
    assert run.verdict == "preserved", run.output
    assert run.changed == 4, "namespace, Deployment, Service, Ingress"
    yield playbooks
    assert playbooks.run("teardown").status == 0


def test_the_verdict_from_outside(deployed: Playbooks) -> None:
    run = deployed.run("verify", *MINE, environment={"ANSIBLE_SHOW_CUSTOM_STATS": "1"})
    assert run.status == 0, run.output
    assert run.line.startswith("real_ip: localhost preserved V")
    assert "not tested" not in run.line, "forged headers were tried"
    assert "not checked" not in run.line, "nodes and pods were compared with the prober"
    assert "LOCALHOST: PRESERVED" in run.output.upper()
    result = run.statistics()["real_ip_results"]["localhost"]
    assert result["verdict"] == "preserved"
    assert result["expected"] == [EXPECTED]
    assert result["expected_from"] == "given"
    assert set(result["observed"]) == {EXPECTED}
    status = "jsonpath={.status.loadBalancer.ingress[*].ip}"
    given = deployed.kubectl("get", "ingress", "real-ip-ingress", "-n", NAMESPACE, "-o", status)
    assert result["address"] == [given]
    assert result["versions"]["kubernetes"] == "v1.36.3"


def test_another_client_is_seen_as_itself(deployed: Playbooks) -> None:
    run = deployed.run("verify", *MINE, "-e", "real_ip_strategy=leftmost_non_private")
    # Both addresses of the lab are documentation ranges: never a public client, so never a pass.
    assert run.status == 2
    assert run.verdict != "preserved"


def test_without_an_expected_address_nothing_is_proved(deployed: Playbooks) -> None:
    run = deployed.run("verify")
    assert run.status == 2
    assert run.verdict == "unproven"
    assert "real_ip_expected_source" in run.output or "expected_source" in run.output
    proposals = [part for part in run.line.split() if part.startswith("expected_source=")]
    assert not proposals, "the observed address must never be proposed as the expected one"


def test_an_ingress_that_leads_to_another_service_is_not_judged(deployed: Playbooks) -> None:
    path = "/spec/rules/0/http/paths/0/backend/service/name"
    change = [{"op": "replace", "path": path, "value": "other"}]
    deployed.kubectl(
        *("patch", "ingress", "real-ip-ingress", "-n", NAMESPACE, "--type=json"),
        f"-p={json.dumps(change)}",
    )
    try:
        run = deployed.run("verify", *MINE)
        assert run.status == 2
        assert run.verdict == "not_run"
        assert "expected the Service real-ip-service behind /, seen other" in run.line
    finally:
        assert deployed.run("site", *MINE).verdict == "preserved"


def test_a_url_that_the_ingress_leads_to_another_service_is_not_judged(deployed: Playbooks) -> None:
    """By another rule than that of the deployment, whose pods are those that must answer."""
    own, name = ("-n", NAMESPACE), ("ingress", "real-ip-ingress")
    exposed = ("expose", "deployment", "real-ip-deployment", "--name=other", "--type=NodePort")
    deployed.kubectl(*exposed, "--port=80", "--target-port=5000", *own)
    backend = {"service": {"name": "other", "port": {"number": 80}}}
    rule = {"path": "/other", "pathType": "Prefix", "backend": backend}
    change = [{"op": "add", "path": "/spec/rules/0/http/paths/-", "value": rule}]
    deployed.kubectl("patch", *name, *own, "--type=json", f"-p={json.dumps(change)}")
    try:
        [target] = deployed.module("operator", "path_addresses_info", WAY)["targets"]
        run = deployed.run("verify", *MINE, "-e", f"real_ip_url={target['url']}other")
        assert run.status == 2, run.output
        assert run.verdict == "not_run"
        assert "to other: expected real-ip-service alone, whoever its controller is" in run.line
        own_rule = deployed.run("verify", *MINE, "-e", f"real_ip_url={target['url']}")
        assert own_rule.verdict == "preserved", own_rule.output
    finally:
        deployed.kubectl("delete", "service", "other", *own)
        assert deployed.run("site", *MINE).verdict == "preserved"


def test_what_listens_at_no_port_of_the_load_balancer_is_not_judged(deployed: Playbooks) -> None:
    """Something at its address answers as the image's app does, and is no pod at all."""
    [target] = deployed.module("operator", "path_addresses_info", WAY)["targets"]
    url = f"http://{target['name']}:9000/"
    with deployed.running("clb", sys.executable, "-c", NOBODYS, target["name"]):
        deadline = time.monotonic() + 20
        while deployed.execute("operator", "curl", "-sfm", "2", url)[0] != 0:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        run = deployed.run("verify", *MINE, "-e", f"real_ip_url={url}")
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert "or does not listen at its port" in run.line


def test_not_judged_where_another_ingress_may_answer(deployed: Playbooks) -> None:
    """Of one class, both have one address and one rule, and the image's app names no pod."""
    other = ("ingress", "canary", "-n", "default")
    deployed.kubectl("create", *other, "--class=shared", "--rule=/*=other:80")
    [target] = deployed.module("operator", "path_addresses_info", WAY)["targets"]
    status = {"status": {"loadBalancer": {"ingress": [{"ip": target["name"]}]}}}
    deployed.kubectl(
        "patch", *other, "--subresource=status", "--type=merge", f"-p={json.dumps(status)}"
    )
    try:
        run = deployed.run("verify", *MINE)
        assert run.status == 2
        assert run.verdict == "not_run"
        assert "Ingress default/canary can take the requests" in run.line
    finally:
        deployed.kubectl("delete", *other)
    assert deployed.run("verify", *MINE).verdict == "preserved"


def test_what_other_controllers_are_told_leads_nothing_elsewhere(deployed: Playbooks) -> None:
    """As on an Ingress that was moved to TKE, whose load balancer reads only its own."""
    annotate = ("annotate", "ingress", "real-ip-ingress", "-n", NAMESPACE)
    deployed.kubectl(*annotate, "nginx.ingress.kubernetes.io/default-backend=other")
    try:
        run = deployed.run("verify", *MINE)
    finally:
        deployed.kubectl(*annotate, "nginx.ingress.kubernetes.io/default-backend-")
    assert (run.status, run.verdict) == (0, "preserved"), run.output


def test_another_ingress_of_the_same_pods_is_told(deployed: Playbooks) -> None:
    """With an address of its own, which is not asked: its verdict is another one."""
    other = ("ingress", "old", "-n", NAMESPACE)
    deployed.kubectl("create", *other, "--class=shared", "--rule=/*=real-ip-service:80")
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.200"}]}}}
    deployed.kubectl(
        "patch", *other, "--subresource=status", "--type=merge", f"-p={json.dumps(status)}"
    )
    try:
        run = deployed.run("verify", *MINE)
    finally:
        deployed.kubectl("delete", *other)
    assert run.verdict == "preserved", run.output
    told = " ".join(run.output.split())
    assert f"warning Ingress {NAMESPACE}/old leads to the same pods by an address" in told
    assert "-e real_ip_url=http://198.51.100.200/" in told
    assert "/old leads" not in deployed.run("verify", *MINE).output


#: As much of the Gateway API as is read: its definitions are in no package.
GATEWAY_API = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: {plural}.gateway.networking.k8s.io
  # The API server wants it of a group that ends in k8s.io.
  annotations: {{api-approved.kubernetes.io: "https://github.com/kubernetes-sigs/gateway-api/pull/2466"}}
spec:
  group: gateway.networking.k8s.io
  names: {{kind: {kind}, plural: {plural}}}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""
ROUTED = f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gate, namespace: {NAMESPACE}}}
spec: {{gatewayClassName: none, listeners: [{{name: http, protocol: HTTP, port: 80}}]}}
status: {{addresses: [{{type: IPAddress, value: 198.51.100.200}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: new, namespace: {NAMESPACE}}}
spec:
  parentRefs: [{{name: gate}}]
  rules: [{{backendRefs: [{{name: real-ip-service, port: 80}}]}}]
"""


def test_a_gateway_of_the_same_pods_is_told(deployed: Playbooks) -> None:
    """With an address of its own, which is not asked: its verdict is another one."""
    kinds = {"Gateway": "gateways", "HTTPRoute": "httproutes"}
    api = "---".join(GATEWAY_API.format(kind=one, plural=kinds[one]) for one in kinds)
    try:
        deployed.define(api)
        deployed.kubectl("apply", "-f", "-", text=ROUTED)
        run = deployed.run("verify", *MINE)
    finally:
        deployed.kubectl("delete", "--ignore-not-found", "-f", "-", text=api)
    assert run.verdict == "preserved", run.output
    told = " ".join(run.output.split())
    assert f"warning HTTPRoute {NAMESPACE}/new leads to the same pods through a Gateway" in told
    assert "-e real_ip_url=http://198.51.100.200/" in told
    assert "/new leads" not in deployed.run("verify", *MINE).output


def test_one_pod_of_several_does_not_speak_for_those_that_it_keeps_requests_from(
    deployed: Playbooks, tmp_path: Path
) -> None:
    """The image's app names no pod, so that one alone looks like all of them."""
    patch = ("patch", "service", "real-ip-service", "-n", NAMESPACE, "-p")
    deployed.kubectl(*patch, json.dumps({"spec": {"sessionAffinity": "ClientIP"}}))
    try:
        run = deployed.run("verify", *MINE)
        assert (run.status, run.verdict) == (2, "not_run"), run.output
        assert "one of its 2 pods may have answered all requests" in run.line
        assert "Service spec.sessionAffinity can keep each client" in run.line
        # Who rescues the role's failure in a play of his own finds no verdict either.
        run = _of_ones_own(deployed, tmp_path, IN_TURN)
        assert "the last one says not_run" in run.output
    finally:
        deployed.kubectl(*patch, json.dumps({"spec": {"sessionAffinity": "None"}}))
    # With weights TKE can leave one out, and an Ingress that it doesn't follow says nothing.
    annotate = ("annotate", "ingress", "real-ip-ingress", "-n", NAMESPACE)
    for name, value, words in (
        ("lb-rs-weight", "{}", "can keep each client at one pod"),
        ("mode", "skip", "may lead requests of Ingress real-ip-ingress"),
    ):
        key = f"ingress.cloud.tencent.com/{name}"
        deployed.kubectl(*annotate, f"{key}={value}")
        try:
            run = deployed.run("verify", *MINE)
            assert (run.status, run.verdict) == (2, "not_run"), run.output
            assert f"Ingress metadata.annotations[{key}] {words}" in run.line
        finally:
            deployed.kubectl(*annotate, f"{key}-")
    assert deployed.run("verify", *MINE).verdict == "preserved"


#: A play of one's own
OWN: list[dict[str, Any]] = [
    {
        "name": "Verify twice",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"real_ip_expected_source": EXPECTED},
    }
]
VERIFY = "kestrel.real_ip.verify"
IN_TURN = {
    "tasks": [
        {
            "name": "Verify one",
            "block": [{"ansible.builtin.include_role": {"name": VERIFY}, "name": "Verify"}],
            "rescue": [{"ansible.builtin.meta": "noop", "name": "Go on"}],
        },
        {
            "name": "Say it",
            "ansible.builtin.debug": {
                "msg": "the last one says {{ __verify_probe.verdict | default('nothing') }}"
            },
        },
    ],
}


def _of_ones_own(deployed: Playbooks, directory: Path, *parts: dict[str, Any]) -> Run:
    plays = [{**OWN[0], **part} for part in parts]
    (directory / "own.yml").write_text(yaml.safe_dump(plays, sort_keys=False))
    return deployed.run(str(directory / "own.yml"), environment=ELSEWHERE)


def test_a_second_verification_in_a_play_of_ones_own_is_one(
    deployed: Playbooks, tmp_path: Path
) -> None:
    """Ansible runs equal roles of a list once, and what the first one registered stays."""
    run = _of_ones_own(deployed, tmp_path, {"roles": [VERIFY, VERIFY]})
    assert run.status == 0, run.output
    assert run.output.count("TASK [kestrel.real_ip.verify : Probe and judge]") == 2
    gone = {**IN_TURN, "vars": {**OWN[0]["vars"], "real_ip_namespace": "gone"}}
    run = _of_ones_own(deployed, tmp_path, IN_TURN, gone)
    assert re.findall("the last one says (\\w+)", run.output) == ["preserved", "nothing"]


def test_the_next_command_is_for_the_same_cluster(deployed: Playbooks, tmp_path: Path) -> None:
    """A kubeconfig's contents are a secret, and without a word another cluster would be meant."""
    there = elsewhere(deployed, tmp_path)
    run = deployed.run("verify", *MINE, *there)
    assert run.verdict == "preserved", run.output
    for playbook in ("verify", "teardown"):
        [command] = re.findall(rf"ansible-playbook playbooks/{playbook}.yml.*", run.output)
        assert " ".join(there) in command
    contents = configuration(deployed)
    run = deployed.run("verify", *MINE, "-e", json.dumps({"real_ip_kubeconfig": contents}))
    assert run.verdict == "preserved", run.output
    assert run.output.count(" -e real_ip_kubeconfig=…") == 2
    [secret, *_others] = contents["users"][0]["user"].values()
    assert secret not in run.output
    run = deployed.run("teardown", *MINE, "-e", "real_ip_kubeconfig=…")
    assert run.status == 2
    assert "the kubeconfig … doesn't exist" in run.output


def test_never_preserved_without_a_ready_pod(deployed: Playbooks) -> None:
    """A Service without selector, in front of pods that nobody counts."""
    service = ("service", "real-ip-service", "-n", NAMESPACE)
    deployed.kubectl(
        "patch", *service, "--type=json", '-p=[{"op":"remove","path":"/spec/selector"}]'
    )
    try:
        run = deployed.run("verify", *MINE)
        assert run.status == 2
        assert run.verdict == "not_run"
        assert "expected a ready pod behind it, seen none" in run.line
        deployed.switch("x_forwarded_for=keep")
        assert deployed.run("verify", *MINE).verdict == "forgeable", "bad whoever answers"
        # Accepted, it says that the address arrives, which is that of nobody's pods.
        run = deployed.run("verify", *MINE, "-e", "real_ip_accept=forgeable")
        assert (run.status, run.verdict) == (2, "not_run"), run.output
        assert "expected a ready pod behind it, seen none" in run.line
    finally:
        deployed.switch("x_forwarded_for=append")
        assert deployed.run("site", *MINE).verdict == "preserved"


def test_an_accepted_verdict_lets_the_play_succeed(deployed: Playbooks) -> None:
    run = deployed.run("verify", "-e", "real_ip_accept=unproven")
    assert run.status == 0
    assert run.verdict == "unproven"


@pytest.mark.parametrize(
    ("options", "accepted", "status"),
    [
        (MINE, "forgeable", 0),
        # Nobody said which address should arrive.
        ((), "forgeable", 2),
        ((), "forgeable,unproven", 0),
    ],
)
def test_an_accepted_verdict_hides_no_other(
    deployed: Playbooks, options: tuple[str, ...], accepted: str, status: int
) -> None:
    deployed.switch("x_forwarded_for=keep")
    try:
        run = deployed.run("verify", *options, "-e", f"real_ip_accept={accepted}")
    finally:
        deployed.switch("x_forwarded_for=append")
    assert (run.status, run.verdict) == (status, "forgeable"), run.output
    assert ("(V401)" in run.line) is (options == ())


#: Two verifications in one run, of different targets
TWICE = """
- import_playbook: {playbook}
  vars: {{real_ip_url: "{first}"}}
- import_playbook: {playbook}
  vars: {{real_ip_url: "{second}"}}
"""


def _bad_and_good(deployed: Playbooks) -> list[str]:
    [way] = deployed.module("operator", "path_addresses_info", WAY)["targets"]
    return [f"http://10.255.0.11:{deployed.node_port()}/", way["url"]]


def _twice(
    deployed: Playbooks,
    directory: Path,
    playbook: str,
    urls: list[str],
    bad_first: bool,
    *options: str,
) -> Run:
    """A run of the playbook for each of the URLs in one, which has to succeed."""
    first, second = urls if bad_first else urls[::-1]
    path = REPOSITORY / "playbooks" / f"{playbook}.yml"
    file = directory / "twice.yml"
    file.write_text(TWICE.format(playbook=path, first=first, second=second))
    statistics = {"ANSIBLE_SHOW_CUSTOM_STATS": "1", **ELSEWHERE}
    run = deployed.run(str(file), *MINE, *options, environment=statistics)
    assert run.status == 0, run.output
    return run


@pytest.mark.parametrize(
    ("bad_first", "shown"), [(True, "lost preserved"), (False, "preserved lost")]
)
def test_a_second_verification_of_a_run_takes_nothing_back(
    deployed: Playbooks, tmp_path: Path, bad_first: bool, shown: str
) -> None:
    urls = _bad_and_good(deployed)
    run = _twice(deployed, tmp_path, "verify", urls, bad_first, "-e", "real_ip_accept=lost")
    lines = re.findall(r"^real_ip: localhost (\S+) ", run.output, re.MULTILINE)
    assert lines == shown.split(), run.output
    pages = re.split(r"^localhost: [A-Z]+ .*$", run.output, flags=re.MULTILINE)[1:]
    assert ["  cause " in page for page in pages] == [one == "lost" for one in lines]
    assert ["  earlier  lost V" in page for page in pages] == [False, bad_first]
    result = run.statistics()["real_ip_results"]["localhost"]
    assert (result["verdict"], result["address"]) == ("lost", [urls[0]])
    assert EXPECTED not in result["observed"], "that is the other's"
    assert [one["verdict"] for one in result["verifications"]] == lines
    causes = [one["cause"] for one in result["verifications"]]
    assert [cause is not None for cause in causes] == [one == "lost" for one in lines]


@pytest.mark.parametrize("bad_first", [True, False])
def test_an_event_speaks_of_each_verification_of_a_run(
    deployed: Playbooks, tmp_path: Path, bad_first: bool
) -> None:
    run = _twice(deployed, tmp_path, "verify_event", _bad_and_good(deployed), bad_first)
    event = run.statistics()["real_ip_event"]
    assert event == {"bad": True, "verdicts": {"localhost": "lost"}}, run.output


def test_a_failure_before_an_earlier_verification_is_not_told_of_the_next(
    deployed: Playbooks, tmp_path: Path
) -> None:
    urls = ["ftp://203.0.113.1/", _bad_and_good(deployed)[1]]
    run = _twice(deployed, tmp_path, "verify_event", urls, True)
    lines = re.findall(r"^real_ip: localhost (\S+) ", run.output, re.MULTILINE)
    assert lines == ["not_run", "preserved"], run.output


def test_the_node_port_loses_the_address(deployed: Playbooks) -> None:
    url = f"http://10.255.0.11:{deployed.node_port()}/"
    run = deployed.run("verify", *MINE, "-e", f"real_ip_url={url}")
    assert run.status == 2
    assert run.verdict == "lost", run.output


def test_a_host_that_a_rule_without_one_does_not_take(deployed: Playbooks) -> None:
    """TKE makes of it a rule for the load balancer's own address, and refuses others with 403."""
    run = deployed.run("verify", *MINE, "-e", "real_ip_host=other.example.com")
    assert (run.status, run.verdict) == (2, "no_answer"), run.output
    told = " ".join(run.output.split())
    assert "cause P308 Ingress real-ip-ingress" in told
    assert "own address, and the request asked for other.example.com" in told
    assert "Give the rule the host other.example.com, or leave" in told


def test_a_wrong_expectation_is_lost_and_names_both(deployed: Playbooks) -> None:
    run = deployed.run("verify", "-e", "real_ip_expected_source=203.0.113.77")
    assert run.status == 2
    assert run.verdict == "lost"
    assert EXPECTED in run.line


@pytest.mark.parametrize(
    ("form", "queries", "status", "said"),
    [
        ("jmespath", {"headers": "headers", "peer": ""}, 0, "preserved V002"),
        ("jmespath", {"headers": "headers.*"}, 2, "no_answer V524"),
        ("jmespath", {"headers": "headers["}, 2, "not_run"),
        ("httpbin", {}, 2, "no_answer V524"),
    ],
)
def test_the_form_of_the_answers(
    deployed: Playbooks, form: str, queries: dict[str, str], status: int, said: str
) -> None:
    settings = {"real_ip_echo_format": form, "real_ip_echo_queries": queries}
    run = deployed.run("verify", *MINE, "-e", json.dumps(settings))
    assert (run.status, f" {said} " in run.line) == (status, True), run.output


def test_a_second_run_changes_nothing(deployed: Playbooks) -> None:
    run = deployed.run("site", *MINE)
    assert run.status == 0
    assert run.changed == 0, run.output


def test_what_others_write_is_no_change(deployed: Playbooks) -> None:
    deployed.kubectl(
        "annotate", "service", "real-ip-service", "-n", NAMESPACE, "--overwrite", "team/note=mine"
    )
    run = deployed.run("deploy")
    assert run.status == 0
    assert run.changed == 0, run.output
    annotations = deployed.kubectl(
        "get",
        "service",
        "real-ip-service",
        "-n",
        NAMESPACE,
        "-o",
        "jsonpath={.metadata.annotations}",
    )
    assert json.loads(annotations)["team/note"] == "mine"


def test_our_own_fields_are_put_back(deployed: Playbooks) -> None:
    deployed.kubectl("scale", "deployment", "real-ip-deployment", "-n", NAMESPACE, "--replicas=1")
    run = deployed.run("deploy", "--diff")
    assert run.status == 0
    assert run.changed == 1
    assert "replicas" in run.output
    assert "managedFields" not in run.output


@pytest.mark.parametrize("tag", ["namespace", "deployment", "service", "ingress"])
def test_a_step_alone(deployed: Playbooks, tag: str) -> None:
    run = deployed.run("site", "--tags", tag)
    assert run.status == 0, run.output
    assert run.changed == 0
    assert not run.line, "nothing was verified, so there is no verdict"


def test_the_verification_alone(deployed: Playbooks) -> None:
    run = deployed.run("site", "--tags", "verify", *MINE)
    assert run.status == 0, run.output
    assert run.verdict == "preserved"


def test_check_mode_on_a_deployment_probes(deployed: Playbooks) -> None:
    run = deployed.run("site", "--check", *MINE)
    assert run.status == 0, run.output
    assert run.changed == 0
    assert run.verdict == "preserved"


def test_a_proxy_in_the_environment_is_not_used(deployed: Playbooks) -> None:
    proxy = "http://203.0.113.1:9"
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY")
    run = deployed.run(
        "verify", *MINE, environment={**dict.fromkeys(names, proxy), "NO_PROXY": "10.255.0.2"}
    )
    assert run.status == 0, run.output
    assert run.verdict == "preserved"


def test_a_step_that_fails_before_the_probe_is_not_run(playbooks: Playbooks) -> None:
    run = playbooks.run("verify", *MINE, "-e", "real_ip_namespace=not-there")
    assert run.status == 2
    assert run.verdict == "not_run"
    assert "real-ip-ingress" in run.line
    assert "no such Ingress" in run.line


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_modes_of_the_balancer_that_keep_the_address(deployed: Playbooks, mode: str) -> None:
    deployed.switch(f"x_forwarded_for={mode}")
    try:
        assert deployed.run("verify", *MINE).verdict == "preserved"
    finally:
        deployed.switch("x_forwarded_for=append")


def test_a_balancer_that_passes_the_header_through_loses_it(deployed: Playbooks) -> None:
    deployed.switch("x_forwarded_for=pass")
    try:
        run = deployed.run("verify", *MINE)
        assert run.verdict == "lost", run.output
        assert "X-Forwarded-For" in run.line
    finally:
        deployed.switch("x_forwarded_for=append")


def test_never_preserved_from_a_node_against_a_layer_4_address(deployed: Playbooks) -> None:
    with deployed.balanced_service() as address:
        for host in ("node1", "operator"):
            run = deployed.probe(host, url=f"http://{address}/", layer="l4", expected="10.255.0.11")
            assert run["verdict"] == "unproven", run
