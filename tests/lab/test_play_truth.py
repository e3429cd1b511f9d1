# SPDX-License-Identifier: GPL-3.0-or-later
"""Attempts to fool the verdict, on the test cluster, with the collection's own echo app.

The probe runs in the place that a test is about: outside, on a node, in a pod. What it is told of
the cluster is what the module path_addresses_info reads there.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.servers import (
    Connection,
    Server,
    echo,
    response,
    says,
)

from lab.balancing import DOMAIN
from lab.network import inside
from lab.settings import CLIENT, CLIENT2, NODE1, NODE2, Lab
from tests.lab.applications import envoy_command
from tests.lab.playbooks import ELSEWHERE, EXPECTED, REPOSITORY, Attempt, Playbooks, Run, ruled

XFF, REAL_IP = "X-Forwarded-For", "X-Real-IP"
ONE_HEADER = {"strategy": "single_header", "header": REAL_IP}
COUNT_TWO = {"strategy": "rightmost_trusted_count", "header": XFF, "trusted_count": 2}
CLIENT_ADDRESS = str(CLIENT.ipv4("inet"))
NODE1_ADDRESS = str(NODE1.ipv4("vpc"))
#: What makes an echo app leave out the header, as a proxy in the pod could.
STRIP = (
    '"headers": head.fields,',
    '"headers": [one for one in head.fields if one[0].lower() != "x-forwarded-for"],',
)


@pytest.fixture(scope="module")
def attempt(lab: Lab) -> Iterator[Attempt]:
    """The bundled echo app behind an Ingress, and a Service of type LoadBalancer."""
    playbooks = Playbooks(lab.name, f"truth-{secrets.token_hex(3)}")
    own = ("-e", "real_ip_echo=bundled", "-e", f"real_ip_expected_source={EXPECTED}")
    run = playbooks.run("site", *own)
    assert run.verdict == "preserved", run.output
    yield Attempt(playbooks)
    playbooks.kubectl("delete", "namespace", playbooks.namespace, "--wait=false")


@pytest.fixture(scope="module")
def layer_7(attempt: Attempt) -> dict[str, Any]:
    """What a probe of the Ingress has to know."""
    return {**attempt.way(ingress="real-ip-ingress"), "expected_source": [CLIENT_ADDRESS]}


# --- Layer 7 --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "options", "code", "fate", "safe"),
    [
        ("append", {}, "V001", "appended", XFF),
        ("append", {"trusted_count": 2}, "V208", "appended", XFF),
        ("replace", {}, "V001", "replaced", XFF),
        ("keep", {}, "V101", "passed_through", REAL_IP),
        (
            "keep",
            {"strategy": "single_header", "header": REAL_IP},
            "V001",
            "passed_through",
            REAL_IP,
        ),
        ("pass", {}, "V209", "passed_through", REAL_IP),
        (
            "pass",
            {"strategy": "single_header", "header": REAL_IP},
            "V001",
            "passed_through",
            REAL_IP,
        ),
    ],
)
def test_what_the_balancer_makes_of_forged_headers(
    attempt: Attempt,
    layer_7: dict[str, Any],
    mode: str,
    options: dict[str, Any],
    code: str,
    fate: str,
    safe: str,
) -> None:
    attempt.playbooks.switch(f"x_forwarded_for={mode}")
    try:
        found = attempt.probe(CLIENT.name, **layer_7, **options)
    finally:
        attempt.playbooks.switch("x_forwarded_for=append")
    assert found["code"] == code, found["reason"]
    assert found["coverage"] == "complete"
    # Of what carries no address on this way, what the client wrote arrives as it is.
    own = {"Connection": "replaced", XFF: fate, REAL_IP: "replaced"}
    assert found["forgery"] == {
        name: own.get(name, "dropped" if "_" in name else "passed_through")
        for name in found["forgery"]
    }
    assert {*own, "True-Client-IP", "Forwarded", "X_Real_IP", "X-Real_IP"} < {*found["forgery"]}
    assert found["safe_strategy"]["header"] == safe
    assert found["vantage"] == "outside"
    assert found["vantage_checked"]
    assert "not tested" not in found["reason"]


def _pod_and_address(known: dict[str, Any]) -> tuple[str, str]:
    """One of the pods that must answer, which is a prober as good as any."""
    names = known["cluster_addresses"]["pod_names"]
    pod = known["expect_backends"][0]
    return pod, next(ip for ip, name in names.items() if name == pod and ":" not in ip)


def test_from_a_node_only_the_balancers_own_headers_count(
    attempt: Attempt, layer_7: dict[str, Any]
) -> None:
    """Of a pod as well, whose own address nobody else gets; a node's is what it translates to."""
    pod, address = _pod_and_address(layer_7)
    places = (
        ("pod", attempt.inside_of(pod), address, "V001"),
        ("node", NODE1.name, NODE1_ADDRESS, "V403"),
    )
    for place, host, expected, code in places:
        asked = {**layer_7, "expected_source": [expected]}
        met = attempt.probe(host, **asked)
        assert (met["code"], met["vantage"]) == (code, place), met["reason"]
        assert met["load_balancer_headers"] == ["X-Client-Proto", "X-Stgw-Time"]
        said = attempt.probe(host, **{**asked, "load_balancer": "nginx", "vantage": "outside"})
        assert (said["code"], said["vantage"]) == ("V423", place), "what is found overrides"


def test_what_could_not_be_read_is_said(attempt: Attempt, layer_7: dict[str, Any]) -> None:
    blind = {**layer_7, "cluster_addresses": {}}
    marked = attempt.probe(CLIENT.name, **blind)
    assert marked["code"] == "V001"
    assert "vantage not checked" in marked["reason"]
    assert attempt.probe(CLIENT.name, **{**blind, "load_balancer": "nginx"})["code"] == "V424"


def test_where_a_kubelet_listens_may_be_a_node(attempt: Attempt, layer_7: dict[str, Any]) -> None:
    """Whether it is one of this cluster isn't known, and who knows says so."""
    blind = {**layer_7, "cluster_addresses": {}, "expected_source": [NODE1_ADDRESS]}
    found = attempt.probe(NODE1.name, **blind)
    assert (found["code"], found["vantage"]) == ("V431", "outside"), found["reason"]
    assert "on which a kubelet listens" in found["reason"]
    said = attempt.probe(NODE1.name, **blind, vantage="outside")
    assert said["code"] == "V001"
    assert "vantage not checked" in said["reason"]


# --- Layer 4 --------------------------------------------------------------------------------------


@pytest.fixture
def layer_4(attempt: Attempt) -> Iterator[dict[str, Any]]:
    """What a probe of the LoadBalancer Service has to know.

    Gone after each test: for what asks the Ingress, it is a way around.
    """
    with attempt.playbooks.balanced_service():
        found = attempt.way(service="layer-4", layer="l4")
        yield {**found, "layer": "l4", "expected_source": [CLIENT_ADDRESS]}


def _once_known(
    attempt: Attempt, asked: dict[str, Any], is_known: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """What a probe found once the nodes' kube-proxy knew of a change, as by that can be told."""
    end = time.monotonic() + 60
    while not is_known(found := attempt.probe(CLIENT.name, **asked)):
        assert time.monotonic() < end, found["reason"]
        time.sleep(0.5)
    return found


@contextmanager
def _local(attempt: Attempt, layer_4: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The Service with ``externalTrafficPolicy: Local``; what a probe found once it held.

    A node's kube-proxy takes a change over a second later, when a busy machine lets it, or half a
    minute after the API server was away. Until then what it does is what the policy before said.
    """
    patch = ("patch", "service", "layer-4", "-p")
    attempt.kubectl(*patch, json.dumps({"spec": {"externalTrafficPolicy": "Local"}}))
    try:
        kept = _once_known(
            attempt, layer_4, lambda one: (one["code"], one["coverage"]) == ("V001", "complete")
        )
        yield kept
    finally:
        attempt.kubectl(*patch, json.dumps({"spec": {"externalTrafficPolicy": "Cluster"}}))


def test_layer_4_loses_the_address_and_keeps_it_with_local(
    attempt: Attempt, layer_4: dict[str, Any]
) -> None:
    lost = attempt.probe(CLIENT.name, **layer_4)
    assert lost["code"] in ("V201", "V202"), lost["reason"]
    assert "externalTrafficPolicy: Local" in lost["fix"]
    with _local(attempt, layer_4) as kept:
        assert kept["safe_strategy"] == {"strategy": "peer"}
        # Its clients come another way, by who may hand on what they write.
        [told] = kept["warnings_found"]
        assert "real-ip-ingress leads to the same pods" in told


def test_layer_4_proves_nothing_from_a_node_or_a_pod(
    attempt: Attempt, layer_4: dict[str, Any]
) -> None:
    pod, address = _pod_and_address(layer_4)
    with _local(attempt, layer_4):
        for place, prober, own in (
            ("node", NODE1.name, NODE1_ADDRESS),
            ("pod", attempt.inside_of(pod), address),
        ):
            asked = {**layer_4, "expected_source": [own], "vantage": "outside"}
            found = attempt.probe(prober, **asked)
            assert (found["code"], found["vantage"]) == ("V421", place), found["reason"]
        blind = {**layer_4, "cluster_addresses": {}}
        assert attempt.probe(CLIENT.name, **blind)["code"] == "V422"
        told = attempt.probe(CLIENT.name, **blind, vantage="outside")
        assert told["code"] == "V001"
        assert "vantage not checked" in told["reason"]


# --- Backends that differ -------------------------------------------------------------------------


@contextmanager
def _another_replica(attempt: Attempt, source: str) -> Iterator[str]:
    """A pod behind the same Service whose echo app is another; its name."""
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "another"},
        "data": {"echo.py": source},
    }
    deployed = json.loads(attempt.kubectl("get", "deployment", "real-ip-deployment", "-o", "json"))
    spec = deployed["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "echo", "configMap": {"name": "another"}}]
    labels = {"app": deployed["spec"]["selector"]["matchLabels"]["app"]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "another", "labels": labels},
        "spec": {**spec, "terminationGracePeriodSeconds": 0},
    }
    for manifest in (config, pod):
        attempt.kubectl("apply", "-f", "-", text=json.dumps(manifest))
    try:
        attempt.kubectl("wait", "pod/another", "--for=condition=Ready", "--timeout=60s")
        yield "another"
    finally:
        attempt.kubectl("delete", "pod/another", "configmap/another", "--wait")


def test_one_replica_that_strips_the_header(attempt: Attempt) -> None:
    source = (REPOSITORY / "roles/deployment/files/echo.py").read_text()
    changed = source.replace(STRIP[0], STRIP[1])
    assert changed != source
    with _another_replica(attempt, changed) as name:
        asked = attempt.way(ingress="real-ip-ingress")
        assert name in asked["expect_backends"]
        asked["expected_source"] = [CLIENT_ADDRESS]
        # A node learns of a pod that is ready a second later, and hundreds of requests take less.
        found = _once_known(
            attempt, asked, lambda one: any(it["name"] == name for it in one["backends"])
        )
    assert found["code"] == "V301", found["reason"]
    assert f"but {name} saw no address" in found["reason"]


#: A node that puts its own address in the place of everybody's who connects to its pods.
TRANSLATION = """
chain translation {
    type nat hook postrouting priority 90
    oifname "cni*" masquerade
}
"""


def test_one_node_that_translates_addresses(
    lab: Lab, attempt: Attempt, layer_4: dict[str, Any]
) -> None:
    with _local(attempt, layer_4), ruled(lab, NODE1.name, TRANSLATION):
        found = attempt.probe(CLIENT.name, **layer_4)
    assert found["code"] == "V301", found["reason"]
    assert "10.244.1.1" in found["reason"]


#: What OVN makes of its nodes' gateways, in a network that no object of the cluster names
GATEWAY = "100.64.0.2"


def test_a_network_plugins_gateway_is_not_a_client_of_the_range(
    lab: Lab, attempt: Attempt, layer_4: dict[str, Any]
) -> None:
    asked = {**layer_4, "expected_source": ["100.64.0.0/10"]}
    everywhere = TRANSLATION.replace("masquerade", f"snat to {GATEWAY}")
    with (
        _local(attempt, layer_4),
        ruled(lab, NODE1.name, everywhere),
        ruled(lab, NODE2.name, everywhere),
    ):
        found = attempt.probe(CLIENT.name, **asked)
    assert found["code"] == "V413", found["reason"]
    assert {*found["observed"]} == {GATEWAY}


def _where_ready_were(way: dict[str, Any], pods: list[str]) -> dict[str, Any]:
    """A way as it was read before, when these pods were ready."""
    known = {one.split()[0]: one for one in way["instances"]}
    return {**way, "ready_pods": pods, "instances": [known.get(pod, pod) for pod in pods]}


def test_a_pod_that_went_away_meanwhile_need_not_answer(attempt: Attempt) -> None:
    way = attempt.read(ingress="real-ip-ingress")
    told = {"real_ip_expected_source": EXPECTED, "real_ip_max_samples": 20}

    def verify(pods: list[str]) -> Run:
        known = json.dumps({**told, "verify_way": _where_ready_were(way, pods)})
        return attempt.playbooks.run("verify", "-e", known)

    gone = verify([*way["ready_pods"], "real-ip-deployment-gone"])
    assert gone.line.startswith("real_ip: localhost preserved V001 "), gone.output
    # Where all have gone, there is nothing that a second probe could ask.
    nobody = verify(["real-ip-deployment-gone"])
    assert nobody.line.startswith("real_ip: localhost unproven V410 "), nobody.output


@contextmanager
def _keeping(lab: Lab, pod: str) -> Iterator[Server]:
    """A load balancer that leads each client to this pod."""
    sticky = echo(EXPECTED, lambda document, _number: document.update(pod=pod))
    with inside(lab.netns(CLIENT2.name)):
        # Only its socket is made in there: threads would stay.
        balancer = Server(sticky, address=(CLIENT2.ipv4("inet"), 0))
    with balancer:
        yield balancer


def _verified(attempt: Attempt, balancer: Server, pods: list[str], **options: Any) -> Run:
    """Behind it, where these pods were ready when the way was read."""
    way = attempt.read(ingress="real-ip-ingress", url=balancer.url)
    told = {"real_ip_expected_source": EXPECTED, "real_ip_max_samples": 20, **options}
    known = {"real_ip_url": balancer.url, "verify_way": _where_ready_were(way, pods)}
    return attempt.playbooks.run("verify", "-e", json.dumps({**told, **known}))


def test_a_pod_that_came_meanwhile_must_answer_where_others_went(
    lab: Lab, attempt: Attempt
) -> None:
    """As in a rollout behind a load balancer that keeps a client at one pod."""
    kept, came = attempt.read(ingress="real-ip-ingress")["ready_pods"]
    with _keeping(lab, kept) as balancer:
        run = _verified(attempt, balancer, [kept, "real-ip-deployment-gone"])
    assert run.line.startswith("real_ip: localhost unproven V410 "), run.output
    assert came in run.line
    assert "real-ip-deployment-gone" not in run.line


def test_a_pod_that_came_between_reading_and_probe_must_answer(lab: Lab, attempt: Attempt) -> None:
    """As while a load balancer, the own address, other clusters or machines were waited for."""
    kept, came = sorted(attempt.read(ingress="real-ip-ingress")["ready_pods"])
    with _keeping(lab, kept) as balancer:
        run = _verified(attempt, balancer, [kept])
    assert run.line.startswith("real_ip: localhost unproven V410 "), run.output
    assert came in run.line
    # None of those has stayed that were asked.
    with _keeping(lab, "real-ip-deployment-gone") as balancer:
        run = _verified(attempt, balancer, ["real-ip-deployment-gone"])
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert f"seen {kept}, {came} that came meanwhile" in run.line


def test_a_pod_of_the_same_name_that_came_meanwhile_is_another_one(attempt: Attempt) -> None:
    """As a StatefulSet makes it: the one that answered has gone."""
    way = attempt.read(ingress="real-ip-ingress")
    first, *others = way["instances"]
    told = {"real_ip_expected_source": EXPECTED, "verify_way": way}
    way["instances"] = [f"{first.split()[0]} former", *others]
    run = attempt.playbooks.run("verify", "-e", json.dumps(told))
    assert run.line.startswith("real_ip: localhost preserved V001 "), run.output
    assert "/probe.yml for localhost" in run.output, "those that are there now are asked"
    way["instances"] = [f"{one.split()[0]} former" for one in way["instances"]]
    run = attempt.playbooks.run("verify", "-e", json.dumps(told))
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert " that came meanwhile" in run.line


def test_what_was_changed_meanwhile_is_asked_again(attempt: Attempt) -> None:
    """What was probed is what the objects said before, or for a while."""
    way = attempt.read(ingress="real-ip-ingress")
    assert [one.rpartition(" ")[0] for one in way["settings"]] == [
        "Ingress real-ip-ingress",
        "Service real-ip-service",
    ]
    way["settings"][1] = "Service real-ip-service former"
    told = {"real_ip_expected_source": EXPECTED, "verify_way": way}
    run = attempt.playbooks.run("verify", "-e", json.dumps(told))
    assert run.line.startswith("real_ip: localhost preserved V001 "), run.output
    assert "/probe.yml for localhost" in run.output


def test_what_is_well_is_asked_once(attempt: Attempt) -> None:
    told = {"real_ip_expected_source": EXPECTED, "verify_wait": True}
    run = attempt.playbooks.run("verify", "-e", json.dumps(told))
    assert run.line.startswith("real_ip: localhost preserved V001 "), run.output
    assert run.output.count("[kestrel.real_ip.verify : Read the way again] ") == 1, run.output
    assert "/probe.yml for localhost" not in run.output


#: A play of one's own that rescues what fails
RESCUED = """
- name: Verify
  hosts: localhost
  connection: local
  gather_facts: false
  module_defaults:
    kestrel.real_ip.path_addresses_info:
      kubeconfig: /nowhere/config
  tasks:
    - name: Verify
      block:
        - name: Verify
          ansible.builtin.include_role:
            name: kestrel.real_ip.verify
      rescue:
        - name: Say it
          ansible.builtin.debug:
            msg: "the probe says {{ __verify_probe.verdict }}, {{ __verify_probe.reason }}"
"""


def test_a_way_that_can_not_be_read_again_leaves_no_verdict(
    attempt: Attempt, tmp_path: Path
) -> None:
    """Pods may have come or gone, as rule 6 asks, and who rescues the failure goes by nothing."""
    known = {"verify_way": attempt.read(ingress="real-ip-ingress")}
    (tmp_path / "rescued.yml").write_text(RESCUED)
    told = json.dumps({"real_ip_expected_source": EXPECTED, **known})
    run = attempt.playbooks.run(str(tmp_path / "rescued.yml"), "-e", told, environment=ELSEWHERE)
    said = " ".join(run.output.split())
    assert "the probe says not_run, " in said, run.output
    assert "/nowhere/config" in said.partition("the probe says not_run, ")[2], run.output


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"verify_namespace": "default"}, "namespace={own}: expected namespace=default,"),
        ({"verify_name_prefix": "shop"}, "real-ip-service: expected ingress=shop-ingress, "),
        ({"verify_url": "http://192.0.2.1/"}, "url=: expected url=http://192.0.2.1/,"),
        ({"verify_path": "/shop"}, "path=/: expected path=/shop,"),
        ({"verify_layer": "l4"}, "layer=l7: expected layer=l4,"),
        ({"verify_path": "/", "verify_forge": False}, ""),
    ],
    ids=json.dumps,
)
def test_a_role_s_option_is_not_taken_for_what_the_way_was_read_for(
    attempt: Attempt, tmp_path: Path, given: dict[str, Any], told: str
) -> None:
    """The pods of the one must answer, and the other one's verdict would be said of it."""
    ours = str(REPOSITORY / "playbooks" / "verify.yml")
    text = json.dumps([{"import_playbook": ours, "vars": given}])
    (tmp_path / "own.yml").write_text(text)
    run = attempt.playbooks.run(
        str(tmp_path / "own.yml"),
        *("-e", f"real_ip_expected_source={EXPECTED}", "-e", "real_ip_max_samples=20"),
        environment=ELSEWHERE,
    )
    if told:
        assert (run.status, run.verdict) == (2, "not_run"), run.output
        assert told.format(own=attempt.playbooks.namespace) in run.line
    else:
        assert run.line.startswith("real_ip: localhost preserved V001 "), run.output


def test_a_way_of_ones_own_is_that_of_what_is_verified(attempt: Attempt) -> None:
    way = attempt.read(ingress="real-ip-ingress", path="/shop")
    unnamed = {name: value for name, value in way.items() if name != "asked"}
    for told, known in (("path=/shop", way), ("something else", unnamed)):
        run = attempt.playbooks.run("verify", "-e", json.dumps({"verify_way": known}))
        assert (run.status, run.verdict) == (2, "not_run"), run.output
        assert f"The way was read for {told}: expected " in run.line


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"existing_lb_id": "lb-1a2b3c4d"}, "existing_lb_id: expected lb-1a2b3c4d, seen none"),
        ({"listen_ports": [{"HTTP": 8080}]}, "listen_ports: expected http 8080, seen http 80, "),
        ({"tls_secret": "shop-tls", "host": "shop.example.com"}, "tls_secret: expected TLS, seen "),
        ({"ingress_class": "nginx"}, "ingress_class: expected nginx, seen qcloud"),
        ({"service_port": 8080}, "service_port: expected 8080, seen 80"),
        (
            {"service_annotations": {"example.com/mark": "1"}},
            "service_annotations: expected example.com/mark: 1, seen none",
        ),
        ({"listen_ports": [{"HTTP": 80}], "service_type": "NodePort", "direct_access": False}, ""),
    ],
    ids=json.dumps,
)
def test_what_variables_name_and_is_not_there_gets_no_verdict(
    attempt: Attempt, named: dict[str, Any], told: str
) -> None:
    """As where an inventory was changed, and the deployment wasn't yet."""
    variables = {f"real_ip_{name}": value for name, value in named.items()}
    expected = ("-e", f"real_ip_expected_source={EXPECTED}")
    run = attempt.playbooks.run("verify", *expected, "-e", json.dumps(variables))
    if told:
        assert (run.status, run.verdict) == (2, "not_run"), run.output
        assert f"real_ip_{told}" in run.line
        assert "Next: ansible-playbook" in run.line
    else:
        assert run.line.startswith("real_ip: localhost preserved V001 "), run.output


# --- Waiting --------------------------------------------------------------------------------------

#: Answers to a probe that waits: one for the waiting, two for the probe itself
SAMPLES = 2
IN_ONE_ROUND = 1 + SAMPLES


@pytest.mark.parametrize(("comes_up", "code"), [(True, "V206"), (False, "V516")])
def test_what_one_address_showed_while_another_was_waited_for(
    lab: Lab, attempt: Attempt, comes_up: bool, code: str
) -> None:
    right, wrong, busy = (echo(CLIENT_ADDRESS), echo("192.168.7.7"), says(response(b"", "503 No")))

    def mended(connection: Connection) -> None:
        (wrong if first.accepted <= IN_ONE_ROUND else right)(connection)

    def late(connection: Connection) -> None:
        (right if comes_up and first.accepted > IN_ONE_ROUND else busy)(connection)

    with inside(lab.netns(CLIENT2.name)):
        # Only their sockets are made in there: threads would stay.
        first, second = (Server(one, address=(CLIENT2.ipv4("inet"), 0)) for one in (mended, late))
    with first, second:
        found = attempt.probe(
            CLIENT.name,
            targets=[{"name": "first", "url": first.url}, {"name": "second", "url": second.url}],
            expected_source=[CLIENT_ADDRESS],
            vantage="outside",
            samples=SAMPLES,
            forge=False,
            wait=True,
            wait_timeout=60 if comes_up else 12,
        )
    assert found["code"] == code, found["reason"]
    shown = [(one["name"], one["code"]) for one in found["targets"]]
    assert shown[0] == ("first", "V206"), "whatever it showed when it was asked again"
    assert shown[-1] == ("second", "V001" if comes_up else "V516")
    if comes_up:
        assert shown[1:-1] == [("first", "V001")]
        assert any("lost V206 while" in text for text in found["warnings_found"])


# --- A proxy in front -----------------------------------------------------------------------------

NGINX = """
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
    fastcgi_temp_path {directory}/f; scgi_temp_path {directory}/s; uwsgi_temp_path {directory}/u;
    server {{
        listen {address}:80;
        location / {{
            proxy_pass http://{balancer};
            proxy_set_header Host {balancer};
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            {more}
        }}
    }}
}}
"""
# It adds a line of its own, where nginx adds to the line.
HAPROXY = """
defaults
    mode http
    timeout client 30s
    timeout connect 5s
    timeout server 30s
    option forwardfor{more}
frontend front
    bind {address}:80
    http-request set-header Host {balancer}
    default_backend balancer
backend balancer
    server one {balancer}:80
"""
# As for a CDN, but anybody is believed.
HEARSAY = "set_real_ip_from 0.0.0.0/0; real_ip_header True-Client-IP;"
# As the annotation for an allowlist, where anybody's list is believed
FOR_A_NETWORK = (
    "set_real_ip_from 0.0.0.0/0; real_ip_header X-Forwarded-For; real_ip_recursive on;"
    f" allow {CLIENT_ADDRESS}/28; deny all;"
)
# It adds to the line if it is told to use its peer's address, and else to nothing.
ENVOY = """
static_resources:
  clusters:
  - name: balancer
    type: STRICT_DNS
    load_assignment:
      cluster_name: balancer
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address: {{address: "{balancer}", port_value: 80}}
  listeners:
  - address:
      socket_address: {{address: "{address}", port_value: 80}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.\
http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          use_remote_address: {use}
          xff_num_trusted_hops: 0
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: /}}
                route: {{cluster: balancer, host_rewrite_literal: "{balancer}"}}
            {more}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
    {listener}
"""
ENVOY_TAKES_PROXY_LINES = """listener_filters:
    - name: envoy.filters.listener.proxy_protocol
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.listener.\
proxy_protocol.v3.ProxyProtocol
        allow_requests_without_proxy_protocol: true
"""
# Without DIRECT it would be what Envoy believes, which is what the client wrote.
ENVOY_WRITES = """request_headers_to_add:
            - append_action: {action}
              header:
                key: X-Forwarded-For
                value: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
"""

#: The command for a configuration file, and what the file says.
Front = tuple[Callable[[Path], list[str]], str]


def _runs(*words: str) -> Callable[[Path], list[str]]:
    return lambda conf: [*words, str(conf)]


def _nginx(more: str = "") -> Front:
    return _runs("nginx", "-c"), NGINX.replace("{more}", more)


def _haproxy(more: str = "") -> Front:
    return _runs("haproxy", "-db", "-f"), HAPROXY.replace("{more}", more)


def _envoy(use: str, action: str = "", listener: str = "") -> Front:
    writes = ENVOY_WRITES.replace("{action}", action) if action else ""
    content = ENVOY.replace("{use}", use).replace("{more}", writes)
    return envoy_command, content.replace("{listener}", listener)


#: Where the load balancer has its rule, in a test in which the front asks there
APP = "/app"
TO_A_PATH = "proxy_pass http://{balancer};", f"proxy_pass http://{{balancer}}{APP}/;"

FRONTS: dict[str, Front] = {
    "nginx": _nginx(),
    "nginx to a path": (_nginx()[0], _nginx()[1].replace(*TO_A_PATH)),
    "nginx hearsay": _nginx(HEARSAY),
    "nginx for a network": _nginx(FOR_A_NETWORK),
    "haproxy": _haproxy(),
    "haproxy if-none": _haproxy(" if-none"),
    "envoy": _envoy("true"),
    "envoy takes PROXY lines": _envoy("true", listener=ENVOY_TAKES_PROXY_LINES),
    "envoy passes on": _envoy("false"),
    "envoy if absent": _envoy("false", "ADD_IF_ABSENT"),
    "envoy overwrites": _envoy("false", "OVERWRITE_IF_EXISTS_OR_ADD"),
}


@contextmanager
def _front(attempt: Attempt, layer_7: dict[str, Any], kind: str, directory: Path) -> Iterator[str]:
    """The URL of a proxy in front of the load balancer, as a CDN is one."""
    [target] = layer_7["targets"]
    address = str(CLIENT2.ipv4("inet"))
    command, content = FRONTS[kind]
    # Only Envoy looks at the name: it would take another one for JSON.
    conf = directory / "front.yaml"
    conf.write_text(content.format(directory=directory, address=address, balancer=target["name"]))
    with attempt.playbooks.running(CLIENT2.name, *command(conf)):
        yield f"http://{address}/"


def _through(layer_7: dict[str, Any], url: str) -> dict[str, Any]:
    """A probe of the URL, where two proxies are counted."""
    asked = {key: value for key, value in layer_7.items() if key != "targets"}
    return {**asked, "url": url, "trusted_count": 2, "wait": True, "wait_timeout": 30}


@pytest.mark.parametrize("kind", ["nginx", "haproxy", "envoy"])
def test_a_proxy_in_front_that_can_be_walked_around(
    attempt: Attempt, layer_7: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    with _front(attempt, layer_7, kind, tmp_path) as url:
        asked = _through(layer_7, url)
        found = attempt.probe(CLIENT.name, **asked)
        unaware = attempt.probe(CLIENT.name, **{**asked, "bypass": {}})
    assert (found["verdict"], found["code"]) == ("forgeable", "V103"), found["reason"]
    around = [entry for entry in found["bypass"] if entry["way"] == "load_balancer"]
    # It knows its own address as Host only, and who walks around it sends that.
    assert {entry["reachable"] for entry in around if entry["port"] == 80} == {False, True}
    assert found["forgery"][XFF] == "appended", "twice"
    # Nothing else is wrong on this way: what decides is that there is another one.
    assert (unaware["code"], unaware["bypass"]) == ("V001", []), unaware["reason"]
    assert unaware["safe_strategy"] == COUNT_TWO


@contextmanager
def _asked_at(attempt: Attempt, path: str) -> Iterator[None]:
    """The Ingress has its rule at this path."""
    patch = ("patch", "ingress", "real-ip-ingress", "--type=json", "-p")
    place = {"op": "replace", "path": "/spec/rules/0/http/paths/0/path"}
    attempt.kubectl(*patch, json.dumps([{**place, "value": path}]))
    try:
        yield
    finally:
        attempt.kubectl(*patch, json.dumps([{**place, "value": "/"}]))


@contextmanager
def _with_its_own_balancer(attempt: Attempt) -> Iterator[None]:
    """The Service behind the Ingress has a load balancer beside that of the Ingress."""
    patch = ("patch", "service", "real-ip-service", "-p")
    attempt.kubectl(*patch, json.dumps({"spec": {"type": "LoadBalancer"}}))
    try:
        there = "jsonpath={.status.loadBalancer.ingress}"
        attempt.kubectl("wait", "service/real-ip-service", f"--for={there}", "--timeout=30s")
        yield
    finally:
        attempt.kubectl(*patch, json.dumps({"spec": {"type": "NodePort"}}))


def test_a_load_balancer_behind_a_front_that_asks_at_another_path(
    attempt: Attempt, layer_7: dict[str, Any], tmp_path: Path
) -> None:
    with (
        _asked_at(attempt, APP),
        _front(attempt, layer_7, "nginx to a path", tmp_path) as url,
    ):
        known = attempt.way(ingress="real-ip-ingress")
        asked = _through({**known, "expected_source": [CLIENT_ADDRESS]}, url)
        found = attempt.probe(CLIENT.name, **asked)
        bypass = {**known["bypass"], "paths": []}
        unaware = attempt.probe(CLIENT.name, **{**asked, "bypass": bypass})
    assert known["bypass"]["paths"] == [APP]
    assert (found["verdict"], found["code"]) == ("forgeable", "V103"), found["reason"]
    reached = {one["path"] for one in found["bypass"] if one["reachable"]}
    assert reached == {APP}
    assert unaware["code"] == "V001", unaware["reason"]


def test_the_services_own_load_balancer_is_a_way_around(attempt: Attempt) -> None:
    with _with_its_own_balancer(attempt):
        known = attempt.way(ingress="real-ip-ingress")
        asked = {**known, "expected_source": [CLIENT_ADDRESS], "wait": True, "wait_timeout": 30}
        found = attempt.probe(CLIENT.name, **asked)
        pod, address = _pod_and_address(asked)
        inside = attempt.inside_of(pod)
        within = attempt.probe(inside, **{**asked, "expected_source": [address]})
    [own] = known["bypass"]["service"]
    assert (found["verdict"], found["code"]) == ("forgeable", "V105"), found["reason"]
    assert own in found["reason"]
    assert found["safe_strategy"] is None
    # There kube-proxy answers at that address, whether anybody else gets there or not.
    assert within["code"] == "V001", within["reason"]
    assert any("not tested" in text for text in within["warnings_found"])


@contextmanager
def _another_service(attempt: Attempt, **selector: str) -> Iterator[None]:
    """Another Service of the namespace, with a load balancer, that selects by these labels."""
    spec = {"type": "LoadBalancer", "selector": selector}
    ports = [{"port": 80, "targetPort": 5000}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "another"}}
    attempt.kubectl(
        "apply", "-f", "-", text=json.dumps({**service, "spec": {**spec, "ports": ports}})
    )
    try:
        there = "jsonpath={.status.loadBalancer.ingress}"
        attempt.kubectl("wait", "service/another", f"--for={there}", "--timeout=30s")
        yield
    finally:
        attempt.kubectl("delete", "service", "another")


@pytest.mark.parametrize(
    ("selector", "verdict", "code"),
    [
        ({"app": "real-ip-app"}, "forgeable", "V105"),
        ({"app": "real-ip-app", "track": "another"}, "preserved", "V001"),
    ],
)
def test_another_services_load_balancer_is_a_way_around(
    attempt: Attempt, selector: dict[str, str], verdict: str, code: str
) -> None:
    with _another_service(attempt, **selector):
        known = attempt.way(ingress="real-ip-ingress")
        own = attempt.kubectl(
            *("get", "service", "another", "-o"), "jsonpath={.status.loadBalancer.ingress[0].ip}"
        )
        asked = {**known, "expected_source": [CLIENT_ADDRESS], "wait": True, "wait_timeout": 30}
        found = attempt.probe(CLIENT.name, **asked)
    assert known["bypass"]["service"] == ([f"{own}:80"] if code == "V105" else [])
    assert (found["verdict"], found["code"]) == (verdict, code), found["reason"]
    assert (own in found["reason"]) == (code == "V105")
    assert (found["safe_strategy"] is None) == (code == "V105")


CDN_NAME = f"cdn.{DOMAIN}"
#: An Ingress of somebody else's class: what its status says is left alone.
SOMEBODY_ELSES = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "somebody-elses"},
    "spec": {
        "ingressClassName": "somebody-elses",
        "defaultBackend": {"service": {"name": "real-ip-service", "port": {"number": 80}}},
    },
}


@contextmanager
def _somebody_elses(attempt: Attempt, *entries: dict[str, str]) -> Iterator[dict[str, Any]]:
    """What a probe has to know of an Ingress with this status."""
    attempt.kubectl("apply", "-f", "-", text=json.dumps(SOMEBODY_ELSES))
    status = json.dumps({"status": {"loadBalancer": {"ingress": entries}}})
    patch = ("patch", "ingress", "somebody-elses", "--subresource=status", "--type=merge", "-p")
    attempt.kubectl(*patch, status)
    try:
        yield attempt.way(ingress="somebody-elses")
    finally:
        attempt.kubectl("delete", "ingress", "somebody-elses")


@contextmanager
def _behind_a_cdn(lab: Lab, attempt: Attempt, *entries: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Likewise; CDN_NAME leads to the CDN."""
    names = lab.clb / "hosts.d" / "cdn"
    names.write_text(f"{CLIENT2.ipv4('inet')} {CDN_NAME}\n")
    try:
        with _somebody_elses(attempt, *entries) as known:
            yield known
    finally:
        names.unlink()


@contextmanager
def _controller(attempt: Attempt, address: str) -> Iterator[int]:
    """The node port of a Service that leads to a proxy, as on premises to the Ingress controller's;
    this one has ``address``.
    """
    ports = [{"name": "http", "port": 80}]
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "controller"},
            "spec": {"type": "NodePort", "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "controller",
                "labels": {"kubernetes.io/service-name": "controller"},
            },
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": [{"addresses": [address]}],
        },
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    attempt.kubectl("apply", "-f", "-", text=text)
    own = ("get", "service", "controller", "-o", "jsonpath={.spec.ports[0].nodePort}")
    try:
        yield int(attempt.kubectl(*own))
    finally:
        attempt.kubectl("delete", "service", "controller")


def test_a_node_port_of_the_controller_is_a_way_around(
    attempt: Attempt, layer_7: dict[str, Any], tmp_path: Path
) -> None:
    """The status has a node's address, as a controller on premises writes it, and at its usual
    ports nothing listens there.
    """
    [target] = layer_7["targets"]
    with (
        _front(attempt, layer_7, "nginx", tmp_path) as url,
        _controller(attempt, target["name"]) as port,
        _somebody_elses(attempt, {"ip": NODE1_ADDRESS}) as known,
    ):
        # The stand-in knows its own address as Host only, as others the hosts of their rules.
        known["bypass"]["hosts"] = [target["name"]]
        asked = _through({**known, "expected_source": [CLIENT_ADDRESS], "vantage": "vpc"}, url)
        found = attempt.probe(CLIENT.name, **asked)
        bypass = {**known["bypass"], "controller": [], "controller_ports": []}
        unaware = attempt.probe(CLIENT.name, **{**asked, "bypass": bypass})
    assert f"{NODE1_ADDRESS}:{port}" in known["bypass"]["controller"]
    assert port in known["bypass"]["controller_ports"]
    assert (found["verdict"], found["code"]) == ("forgeable", "V103"), found["reason"]
    assert f":{port}" in found["reason"]
    assert unaware["code"] == "V001", unaware["reason"]


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("beside the address", "V103"),
        # Nothing in the cluster tells where the load balancer is then, and that is said.
        ("alone", "V001"),
    ],
)
def test_a_status_that_names_the_cdn(
    lab: Lab,
    attempt: Attempt,
    layer_7: dict[str, Any],
    named: str,
    code: str,
    tmp_path: Path,
) -> None:
    [target] = layer_7["targets"]
    entries = [{"ip": target["name"]}] if named == "beside the address" else []
    with (
        _front(attempt, layer_7, "nginx", tmp_path),
        _behind_a_cdn(lab, attempt, *entries, {"hostname": CDN_NAME}) as known,
    ):
        asked = _through({**known, "expected_source": [CLIENT_ADDRESS]}, f"http://{CDN_NAME}/")
        found = attempt.probe(CLIENT.name, **asked)
    assert known["bypass"]["load_balancer"][-1] == CDN_NAME
    assert found["code"] == code, found["reason"]
    # What is probed is asked at 443 as well, where a controller need not be told to listen.
    probed = {(one["address"], 443) for one in found["targets"]}
    asked_at = {
        (one["address"], one["port"]) for one in found["bypass"] if one["way"] == "load_balancer"
    }
    assert {address for address, _port in asked_at - probed} == {entry["ip"] for entry in entries}
    told = [text for text in found["warnings_found"] if f"status has only {CDN_NAME}" in text]
    assert len(told) == (named == "alone"), found["warnings_found"]


def test_a_name_that_leads_to_more_than_the_status_tells(attempt: Attempt) -> None:
    attempt.playbooks.switch("address=both")
    try:
        known = attempt.way(ingress="real-ip-ingress")
        asked = {**known, "expected_source": [CLIENT_ADDRESS], "address_family": "ipv4"}
        found = attempt.probe(CLIENT.name, **asked)
    finally:
        attempt.playbooks.switch("address=ip")
    address, name = known["bypass"]["load_balancer"]
    met = {one["address"] for one in found["targets"] if one["name"] == name}
    assert met > {address}
    assert (found["code"], found["warnings_found"]) == ("V001", []), found["reason"]
    around = [one for one in found["bypass"] if one["way"] == "load_balancer"]
    assert {one["reachable"] for one in around if one["address"] == address} >= {True}
    assert not {one["address"] for one in around} & (met - {address})


@pytest.mark.parametrize(
    ("kind", "code", "told"),
    [
        ("haproxy if-none", "V101", f"the forged {XFF}: "),
        ("envoy if absent", "V101", f"the forged {XFF}: "),
        ("nginx hearsay", "V101", "the forged True-Client-IP: "),
        ("nginx for a network", "V101", f"the forged {XFF}: 203.0.113.2"),
        ("envoy takes PROXY lines", "V104", "one that began with PROXY TCP4 6.6.6.6 "),
        # By itself Envoy adds nothing: of an honest client only Envoy's own address arrives.
        ("envoy passes on", "V210", "is no address"),
    ],
)
def test_a_proxy_in_front_that_believes_the_client(
    attempt: Attempt,
    layer_7: dict[str, Any],
    kind: str,
    code: str,
    told: str,
    tmp_path: Path,
) -> None:
    with _front(attempt, layer_7, kind, tmp_path) as url:
        found = attempt.probe(CLIENT.name, **{**_through(layer_7, url), "bypass": {}})
    assert found["code"] == code, found["reason"]
    assert told in found["reason"]
    assert found["forgery"][XFF] == "appended", "by the load balancer, to what the client wrote"
    assert found["safe_strategy"] is None, "X-Real-IP is the proxy's on this way"


def test_a_proxy_in_front_that_overwrites_the_header(
    attempt: Attempt, layer_7: dict[str, Any], tmp_path: Path
) -> None:
    with _front(attempt, layer_7, "envoy overwrites", tmp_path) as url:
        found = attempt.probe(CLIENT.name, **{**_through(layer_7, url), "bypass": {}})
    assert (found["code"], found["forgery"][XFF]) == ("V001", "replaced"), found["reason"]
    assert found["safe_strategy"] == COUNT_TWO
