# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that must be noticed before anything is changed, on the test cluster."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.playbooks import (
    ELSEWHERE,
    LAB_SERVER,
    NAMESPACE,
    REPOSITORY,
    Playbooks,
    configuration,
    elsewhere,
)

READER = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: preflight-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: reader, namespace: default}]
"""

BAD_VARIABLES = [
    ("real_ip_replica=2", "did you mean real_ip_replicas?"),
    ("real_ip_replicas=many", "real_ip_replicas: expected an integer"),
    ("real_ip_namespace=Team_A", "real_ip_namespace: expected a DNS label"),
    ("real_ip_accept=passed", "real_ip_accept: expected one of"),
    ("real_ip_state=absent", "teardown"),
    ("real_ip_scenario=unknown", "real_ip_scenario: expected one of"),
    ("real_ip_subnet_id=vpc-1", "TKE's error E4055 at an Ingress, E4037 at a Service"),
    ("real_ip_redirect=true", "real_ip_redirect: sends requests on to HTTPS"),
    (
        '{"real_ip_ingress_annotations": {"kubernetes.io/ingress.class": "nginx"}}',
        "real_ip_ingress_class: 'qcloud' contradicts",
    ),
]

# Wrong by themselves: variable, value, and what is said of it. All of them are named in one run.
BAD_TOGETHER = [
    ("real_ip_namespace", "Team_A", "expected a DNS label"),
    ("real_ip_name_prefix", "a.b", "expected a DNS label"),
    ("real_ip_container_port", 0, "expected 1 to 65535, got 0"),
    ("real_ip_service_port", "70000", "expected 1 to 65535, got 70000"),
    ("real_ip_replicas", 0, "expected 1 to 500, got 0"),
    ("real_ip_max_samples", 10**9, "expected 1 to 10000"),
    ("real_ip_host", "Echo.Example.com", "expected a host name in lower case with a dot"),
    ("real_ip_path", "echo", "expected a path that starts with a slash"),
    ("real_ip_image", True, "expected text, got a boolean: put it in quotes"),
    ("real_ip_ingress_class", False, "expected text, got a boolean: put it in quotes"),
    ("real_ip_service_annotations", {"a/b": True}, "text, got a boolean: quote it"),
    ("real_ip_forge", "maybe", "expected true or false, got 'maybe'"),
    ("real_ip_url", "echo.example.com", "expected a URL with http:// or https://"),
]
# Each fine, and not together: what is said, by variable.
BAD_PAIRS = [
    (
        {"real_ip_service_type": "ClusterIP"},
        "real_ip_service_type: 'ClusterIP' has no node port",
    ),
    (
        {"real_ip_scenario": "gr-clb-direct-pod", "real_ip_service_type": "NodePort"},
        "real_ip_service_type: 'NodePort' has no load balancer",
    ),
    ({"real_ip_samples": 300}, "real_ip_samples: 300 is more than real_ip_max_samples: 200"),
    ({"real_ip_strategy": "peer"}, "set real_ip_layer: l4"),
    ({"real_ip_expected_source": "10.0.0.0/33"}, "real_ip_expected_source[0]: 10.0.0.0/33"),
    ({"real_ip_expected_source": "0.0.0.0/0"}, "matches every IPv4 address"),
]


@pytest.fixture(autouse=True)
def unchanged(playbooks: Playbooks) -> Iterator[None]:
    """Whatever is refused here leaves the cluster as it was."""
    before = playbooks.namespaces()
    yield
    assert playbooks.namespaces() == before


@pytest.mark.parametrize(("variable", "words"), BAD_VARIABLES)
def test_bad_variables(playbooks: Playbooks, variable: str, words: str) -> None:
    run = playbooks.run("site", "-e", variable)
    assert run.status == 2
    assert run.verdict == "not_run"
    assert words in run.line
    assert "Nothing was changed" in run.line


def test_all_bad_variables_are_named_in_one_run(playbooks: Playbooks) -> None:
    given = json.dumps({name: value for name, value, __ in BAD_TOGETHER})
    run = playbooks.run("site", "-e", given)
    assert (run.status, run.verdict) == (2, "not_run")
    for name, __, words in BAD_TOGETHER:
        told = run.line.partition(f"{name}: ")[2]
        assert words in told.partition("; real_ip_")[0], name


@pytest.mark.parametrize(("given", "words"), BAD_PAIRS)
def test_what_contradicts(playbooks: Playbooks, given: dict[str, object], words: str) -> None:
    run = playbooks.run("site", "-e", json.dumps(given))
    assert (run.status, run.verdict) == (2, "not_run")
    assert words in run.line
    assert "Nothing was changed" in run.line


def test_empty_texts_are_what_is_not_set(playbooks: Playbooks) -> None:
    given = json.dumps({name: "" for name, __, __ in BAD_TOGETHER})
    run = playbooks.run("site", "-e", given, "--check")
    assert run.status == 0, run.output


def test_the_cluster_is_named_before_anything_is_changed(playbooks: Playbooks) -> None:
    run = playbooks.run("deploy", "--check")
    named = run.output.index(f"context {playbooks.lab}, https://10.255.0.2:6443 (v1.36.3)")
    assert named < run.output.index("changed: [localhost]")


def test_no_kubeconfig(playbooks: Playbooks) -> None:
    run = playbooks.run("site", environment={"K8S_AUTH_KUBECONFIG": "/nowhere/kubeconfig"})
    assert run.status == 2
    assert "the kubeconfig /nowhere/kubeconfig doesn't exist" in run.line


def test_unknown_context(playbooks: Playbooks) -> None:
    run = playbooks.run("site", "-e", "real_ip_context=elsewhere")
    assert run.status == 2
    assert "no context elsewhere" in run.line
    assert "kubectl config get-contexts" in run.line


def test_refused_connection(playbooks: Playbooks, tmp_path: Path) -> None:
    run = playbooks.run("site", *elsewhere(playbooks, tmp_path, "https://127.0.0.1:9"))
    assert run.status == 2
    assert "https://127.0.0.1:9 doesn't answer" in run.line


def test_a_server_that_accepts_and_stays_silent(playbooks: Playbooks, tmp_path: Path) -> None:
    program = (
        "import socket, time; kept = socket.create_server(('127.0.0.1', 7443)); "
        "print('up', flush=True); time.sleep(120)"
    )
    listener = ["python3", "-c", program]
    silent = subprocess.Popen(
        playbooks.command("operator", *listener),
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
    )
    try:
        assert silent.stdout is not None
        assert silent.stdout.readline()
        run = playbooks.run("site", *elsewhere(playbooks, tmp_path, "https://127.0.0.1:7443"))
    finally:
        silent.kill()
        silent.wait()
    assert run.status == 2
    assert "doesn't answer" in run.line
    assert run.seconds < 90


def test_a_context_that_is_switched_meanwhile_changes_nothing(
    playbooks: Playbooks, tmp_path: Path
) -> None:
    """As by somebody in another terminal, after the cluster was named and before it is read."""
    file = tmp_path / "kubeconfig"
    found = configuration(playbooks, LAB_SERVER)
    [here] = found["contexts"]
    dead = {"name": "dead", "cluster": {"server": "https://127.0.0.1:9"}}
    there = {"name": "there", "context": {**here["context"], "cluster": "dead"}}
    found["clusters"].append(dead)
    found["contexts"].append(there)
    file.write_text(json.dumps(found))
    switched = tmp_path / "switched"
    switched.write_text(json.dumps({**found, "current-context": "there"}))
    # Read by the role alone, which comes after the preflight.
    switch = f"{{{{ lookup('ansible.builtin.pipe', 'cp {switched} {file}') or '{NAMESPACE}' }}}}"
    given = {"real_ip_kubeconfig": str(file), "verify_namespace": switch}
    run = playbooks.run("verify", "-e", json.dumps(given))
    assert file.read_text() == switched.read_text()
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert "seen no such Ingress" in run.line
    # Without having been told before, nothing is known of the former one.
    run = playbooks.run("verify", "-e", f"real_ip_kubeconfig={file}")
    assert "https://127.0.0.1:9 doesn't answer" in run.line


def test_wrong_token(playbooks: Playbooks, tmp_path: Path) -> None:
    run = playbooks.run("site", *elsewhere(playbooks, tmp_path, LAB_SERVER, token="not-a-token"))
    assert run.status == 2
    assert "401" in run.line
    assert "not-a-token" not in run.output


def test_missing_rights_are_named(playbooks: Playbooks, tmp_path: Path) -> None:
    playbooks.kubectl("apply", "-f", "-", text=READER)
    try:
        token = playbooks.kubectl("create", "token", "reader", "-n", "default").strip()
        there = elsewhere(playbooks, tmp_path, LAB_SERVER, token=token)
        run = playbooks.run("site", *there)
        with_certificate = playbooks.run("site", *there, "-e", "real_ip_qcloud_cert_id=site0001")
    finally:
        playbooks.kubectl("delete", "-f", "-", text=READER)
    assert run.status == with_certificate.status == 2
    assert "get secrets, create secrets, patch secrets" in with_certificate.line
    assert "secrets" not in run.line
    for right in (
        "create deployments.apps",
        "patch ingresses.networking.k8s.io",
        "create namespaces",
    ):
        assert right in run.line
    assert "get deployments.apps" not in run.line, "only what is missing"


def test_a_missing_python_library_is_named(playbooks: Playbooks) -> None:
    run = playbooks.run("site", "-e", "ansible_python_interpreter=/usr/bin/python3")
    assert run.status == 2
    assert "The Python library kubernetes is missing for /usr/bin/python3" in run.line
    assert "-m pip install kubernetes" in run.line


def test_explicit_connection_wins_over_the_environment(playbooks: Playbooks) -> None:
    kubeconfig = playbooks.execute("operator", "sh", "-c", "echo $KUBECONFIG")[1].strip()
    run = playbooks.run(
        "deploy",
        "--check",
        *("-e", f"real_ip_kubeconfig={kubeconfig}"),
        environment={"K8S_AUTH_HOST": "https://127.0.0.1:9", "K8S_AUTH_API_KEY": "x" * 20},
    )
    assert run.status == 0, run.output


# What AWX sends for a credential that has no CA certificate
UNVERIFIED = {"K8S_AUTH_VERIFY_SSL": "False"}
REQUIRED = ("-e", "real_ip_require_tls=true")


def test_a_server_that_is_not_verified_is_a_warning(playbooks: Playbooks) -> None:
    run = playbooks.run("deploy", "--check", environment=UNVERIFIED)
    assert run.status == 0, run.output
    said = " ".join(run.output.split())
    assert "is not verified, since the environment has K8S_AUTH_VERIFY_SSL=False" in said
    assert "is not verified" not in playbooks.run("deploy", "--check", *REQUIRED).output


def test_a_server_that_is_not_verified_is_refused_on_demand(
    playbooks: Playbooks, tmp_path: Path
) -> None:
    run = playbooks.run("site", *REQUIRED, environment=UNVERIFIED)
    assert (run.status, run.verdict) == (2, "not_run")
    assert "real_ip_require_tls: The certificate of the API server" in run.line
    assert "CA certificate" in run.line
    plain = elsewhere(playbooks, tmp_path, "http://127.0.0.1:9")
    assert "is spoken to without TLS" in playbooks.run("site", *REQUIRED, *plain).line


def test_two_hosts_with_one_deployment_are_refused(playbooks: Playbooks, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    inventory.write_text("real_ip_clusters: {hosts: {one: {}, two: {}}}\n")
    run = playbooks.run("deploy", "-i", str(inventory))
    assert run.status == 2
    assert "are one deployment" in run.output


def test_an_empty_group_of_clusters_is_refused(playbooks: Playbooks, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    inventory.write_text("real_ip_clusters: {}\nother: {hosts: {one: {}}}\n")
    run = playbooks.run("deploy", "-i", str(inventory))
    assert run.status == 2
    assert "real_ip_clusters is empty" in run.output


@pytest.mark.parametrize(
    "name",
    [
        "real_ip_vantage",
        "real-ip-clusters",
        "Real_IP_clusters",
        "real_ip",
        "realipclusters",
        "reall_ip_clusters",
    ],
)
def test_a_group_that_nobody_reads_is_refused(
    playbooks: Playbooks, tmp_path: Path, name: str
) -> None:
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(f"{name}: {{hosts: {{one: {{}}}}}}\n")
    run = playbooks.run("verify", "-i", str(inventory))
    assert run.status == 2, run.output
    assert f"The inventory group {name} has hosts that are in neither" in " ".join(
        run.output.split()
    )
    # A part of the clusters may have any name.
    inventory.write_text(f"real_ip_clusters: {{children: {{{name}: {{hosts: {{one: {{}}}}}}}}}}\n")
    run = playbooks.run("verify", "-i", str(inventory), "-e", "real_ip_samples=none")
    assert "in neither" not in run.output
    assert run.line.startswith("real_ip: one not_run"), run.output


def test_variables_that_roles_would_take_for_their_options_are_refused(
    playbooks: Playbooks, tmp_path: Path
) -> None:
    inventory = tmp_path / "inventory.yml"
    own = {"ansible_connection": "local", "ingress_class": "nginx", "service_port": 443}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": own}}}))
    run = playbooks.run("site", "-i", str(inventory))
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    for name in ("ingress_class", "service_port"):
        told = f"{name}: a role would take it for its option: expected real_ip_{name} for that"
        assert told in run.line
    assert "Nothing was changed" in run.line
    run = playbooks.run("verify", "-e", "real-ip-url=http://192.0.2.1/")
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert "real-ip-url: no such variable: did you mean real_ip_url?" in run.line


@pytest.mark.parametrize(
    ("own", "given", "told"),
    [
        ({"real_ip_namespace": "shop"}, "real_ip_namespace=", "real_ip_namespace: what is empty"),
        (
            {"real_ip_context": "prod"},
            "real_ip_context='{{ target | default(\"\") }}'",
            "real_ip_context: what is empty goes before",
        ),
        (
            {"real_ip_kubeconfig": "{{ own }}", "own": "{{ lookup('env', 'PROD_KUBECONFIG') }}"},
            "real_ip_context=default",
            "real_ip_kubeconfig: its variable of the environment isn't set",
        ),
        (
            {"real_ip_context": "{{ lookup('env', 'PROD_CONTEXT') }}"},
            "real_ip_namespace=",
            "real_ip_context: its variable of the environment isn't set",
        ),
        ({"real_ip_namespace": "{{ lookup('env', 'PROD_NS') }}"}, "real_ip_namespace=", ""),
        ({"real_ip_namespace": "shop"}, "real_ip_url=", ""),
    ],
)
def test_what_is_empty_takes_no_place_of_what_the_inventory_names(
    playbooks: Playbooks, tmp_path: Path, own: dict[str, str], given: str, told: str
) -> None:
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"real_ip_clusters": {"hosts": {"shop": own}}}))
    run = playbooks.run("deploy", "--check", "-i", str(inventory), "-e", given)
    if told:
        assert run.status == 2, run.output
        assert f"Nothing was changed. {told}" in " ".join(run.output.split())
    else:
        assert run.status == 0, run.output


K8S = "group/kestrel.real_ip.k8s"
OWN_PLAY = """
- name: Verify in a play of one's own
  hosts: real_ip_clusters
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - name: Verify
      ansible.builtin.import_role:
        name: kestrel.real_ip.verify
"""


def test_a_role_in_ones_own_play_goes_to_the_cluster_that_its_host_names(
    playbooks: Playbooks, tmp_path: Path
) -> None:
    kubeconfig = elsewhere(playbooks, tmp_path, "https://127.0.0.1:9")[1].partition("=")[2]
    hosts = {"here": {}, "there": {"real_ip_kubeconfig": kubeconfig}}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"real_ip_clusters": {"hosts": hosts}}))
    (tmp_path / "own.yml").write_text(OWN_PLAY)
    run = playbooks.run(
        str(tmp_path / "own.yml"),
        *("-i", str(tmp_path / "inventory.yml"), "-e", "verify_wait=false"),
        environment=ELSEWHERE,
    )
    told = dict(re.findall(r"^fatal: \[(\w+)\]: .*?\"msg\": \"(.*?)\"", run.output, re.MULTILINE))
    assert "127.0.0.1:9" in told["there"], run.output
    assert "127.0.0.1:9" not in told.get("here", ""), run.output


@pytest.mark.parametrize("first", [[], ["teardown"]], ids=["alone", "behind another playbook"])
@pytest.mark.parametrize(
    "chosen",
    [
        {"environment": {"KUBECONFIG": "{other}"}},
        {"environment": {"K8S_AUTH_KUBECONFIG": "{other}"}},
        {"environment": {"K8S_AUTH_CONTEXT": "there"}},
        {"vars": {"real_ip_kubeconfig": "{other}"}},
        {"vars": {"real_ip_context": "there"}},
        {"vars": {"real_ip_api_host": "https://127.0.0.1:9"}},
        {"environment": {"K8S_AUTH_HOST": "https://127.0.0.1:9"}},
        # One option for all hosts, and another one for each
        {"module_defaults": {K8S: {"kubeconfig": "{mine}"}}, "vars": {"real_ip_context": "there"}},
        {"module_defaults": {K8S: {"context": "there"}}, "vars": {"real_ip_kubeconfig": "{mine}"}},
        # As kubectl config use-context would, at the place that has no name
        {"pre_tasks": [{"ansible.builtin.copy": {"src": "{other}", "dest": "{mine}"}}]},
    ],
    ids=json.dumps,
)
def test_a_role_in_ones_own_play_goes_to_the_cluster_that_the_play_names(
    playbooks: Playbooks, tmp_path: Path, chosen: dict[str, dict[str, Any]], first: list[str]
) -> None:
    """Whatever was the cluster of a playbook before it in the same run."""
    found = configuration(playbooks, LAB_SERVER)
    [here] = found["contexts"]
    found["clusters"].append({"name": "dead", "cluster": {"server": "https://127.0.0.1:9"}})
    there = {"name": "there", "context": {**here["context"], "cluster": "dead"}}
    found["contexts"].append(there)
    for name, current in (("mine", here["name"]), ("other", "there")):
        (tmp_path / name).write_text(json.dumps({**found, "current-context": current}))
    text = json.dumps(chosen).replace("{other}", str(tmp_path / "other"))
    text = text.replace("{mine}", str(tmp_path / "mine"))
    [own] = yaml.safe_load(OWN_PLAY)
    named = json.loads(text)
    variables = {**own["vars"], **named.get("vars", {})}
    play = {**own, "hosts": "localhost", **named, "vars": variables}
    before = [{"import_playbook": f"kestrel.real_ip.{name}"} for name in first]
    (tmp_path / "own.yml").write_text(yaml.safe_dump([*before, play]))
    where = {**ELSEWHERE, "KUBECONFIG": str(tmp_path / "mine")}
    run = playbooks.run(str(tmp_path / "own.yml"), "-e", "verify_wait=false", environment=where)
    assert run.status == 2, run.output
    assert "https://127.0.0.1:9 doesn't answer" in " ".join(run.output.split())


def test_a_server_that_is_named_is_asked_with_the_token_of_a_kubeconfig(
    playbooks: Playbooks,
) -> None:
    """The client takes the token anew before each request, and the kubeconfig's server with it."""
    run = playbooks.run("verify", "-e", "real_ip_api_host=https://127.0.0.1:9")
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert "https://127.0.0.1:9 doesn't answer" in run.line
    run = playbooks.run("deploy", "--check", "-e", f"real_ip_api_host={LAB_SERVER}/")
    assert run.status == 0, run.output


@pytest.mark.parametrize("content", [None, "", "real_ip_clusters: [}"])
def test_an_inventory_that_can_not_be_read_is_refused(
    playbooks: Playbooks, tmp_path: Path, content: str | None
) -> None:
    """Ansible warns, and goes on with the current context."""
    inventory = tmp_path / "inventory.yml"
    if content is not None:
        inventory.write_text(content)
    run = playbooks.run("verify", "-i", str(inventory))
    assert run.status == 2, run.output
    assert f"The inventory {inventory} can't be read, or has no hosts" in " ".join(
        run.output.split()
    )
    # As it is where nothing is named
    assert playbooks.run("verify", "-i", "/dev/null").line.startswith("real_ip: localhost ")


@pytest.mark.parametrize("together", [True, False], ids=["in a directory", "one by one"])
def test_an_inventory_of_which_a_part_can_not_be_read_is_refused(
    playbooks: Playbooks, tmp_path: Path, together: bool
) -> None:
    """Ansible warns, and goes on with those that the others have: without vantage points, here."""
    clusters, groups, vantages = (
        tmp_path / f"{one}.yml" for one in ("clusters", "groups", "vantages")
    )
    clusters.write_text("real_ip_clusters: {hosts: {one: {ansible_connection: local}}}")
    # Has no host of its own, which is no fault.
    groups.write_text("production: {hosts: {one: {}}, vars: {real_ip_max_samples: 20}}")
    vantages.write_text("real_ip_vantages: {hosts: {office: {ansible_host: office.example}")
    named = [tmp_path] if together else [clusters, groups, vantages]
    given = [f"--inventory={one}" for one in named]
    run = playbooks.run("verify", *given)
    assert run.status == 2, run.output
    assert f"The inventory {vantages} can't be read" in " ".join(run.output.split())
    vantages.write_text("")
    rest = playbooks.run("verify", *given)
    assert rest.line.startswith("real_ip: one "), rest.output


IMPORTED = """
- name: Verify
  ansible.builtin.import_playbook: kestrel.real_ip.verify
"""


def test_variables_beside_a_playbook_that_imports_ours_are_refused(
    playbooks: Playbooks, tmp_path: Path
) -> None:
    """Ansible reads those beside the collection's own playbook, and these without a word not."""
    where = ELSEWHERE
    own = tmp_path / "own.yml"
    own.write_text(IMPORTED)
    for name in ("group_vars", "host_vars", "inventory/group_vars"):
        (tmp_path / name).mkdir(parents=True)
    inventory = tmp_path / "inventory" / "hosts.yml"
    hosts = {"one": {"ansible_connection": "local"}}
    inventory.write_text(yaml.safe_dump({"real_ip_clusters": {"hosts": hosts}}))
    file = tmp_path / "group_vars" / "real_ip_clusters.yml"
    file.write_text("real_ip_url: http://192.0.2.1/\nreal_ip_samples: none\n")
    given = (str(own), "-i", str(inventory))
    run = playbooks.run(*given, environment=where)
    assert run.status == 2, run.output
    told = " ".join(run.output.split())
    assert f"Of no effect is {tmp_path} (real_ip_url, real_ip_samples): expected" in told
    assert "real_ip:" not in run.output
    # By -e, or beside the inventory, they hold.
    some = ("-e", "real_ip_url=http://192.0.2.1/")
    run = playbooks.run(*given, *some, environment=where)
    assert f"Of no effect is {tmp_path} (real_ip_samples)" in " ".join(run.output.split())
    run = playbooks.run(*given, *some, "-e", "real_ip_samples=none", environment=where)
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    file.rename(inventory.parent / "group_vars" / file.name)
    run = playbooks.run(*given, environment=where)
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    # There under a name that is no group's
    moved = inventory.parent / "group_vars" / file.name
    misspelt = moved.rename(moved.with_name("real_ip_cluster.yml"))
    run = playbooks.run("verify", "-i", str(inventory))
    assert run.status == 2, run.output
    assert f"Of no effect is {misspelt}: expected" in " ".join(run.output.split())


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ({"all": {"hosts": {"shop": "{own}"}}}, "host shop (real_ip_samples)"),
        ({"web": {"hosts": {"shop": "{own}"}}}, "host shop (real_ip_samples)"),
        (
            {"all": {"hosts": {"localhost": "{own}"}}, "real_ip_clusters": {"hosts": {"one": {}}}},
            "host localhost (real_ip_samples)",
        ),
        # What all of a group have, and what a cluster takes from elsewhere
        ({"web": {"hosts": {"shop": {}}}, "all": {"vars": "{own}"}}, ""),
        (
            {
                "real_ip_clusters": {"hosts": {"one": {}}},
                "web": {
                    "children": {"real_ip_clusters": {}},
                    "hosts": {"shop": {}},
                    "vars": "{own}",
                },
            },
            "",
        ),
        (
            {
                "all": {
                    "hosts": {
                        "shop": "{own}",
                        "localhost": {"real_ip_samples": "{{ hostvars['shop'].real_ip_samples }}"},
                    }
                }
            },
            "",
        ),
    ],
)
def test_variables_of_a_host_that_nobody_looks_at_are_refused(
    playbooks: Playbooks, tmp_path: Path, groups: dict[str, Any], told: str
) -> None:
    """Its name is no cluster's, and the current context would be looked at in its place."""
    inventory = tmp_path / "inventory.yml"
    text = json.dumps(groups).replace('"{own}"', '{"real_ip_samples": "none"}')
    inventory.write_text(yaml.safe_dump(json.loads(text)))
    run = playbooks.run("verify", "-i", str(inventory))
    assert run.status == 2, run.output
    if told:
        assert f"Of no effect is {told}: expected" in " ".join(run.output.split())
        assert not run.line
    else:
        assert "real_ip_samples: expected an integer" in run.line, run.output


@pytest.mark.parametrize(
    ("file", "environment", "told"),
    [
        ("host_vars/localhost.yml", {}, False),
        ("host_vars/127.0.0.1.yml", {}, True),
        ("group_vars/localhost.yml", {}, True),
        ("host_vars/Office_1.yml", {}, True),
        ("group_vars/all.yml", {}, False),
        ("group_vars/all.yml", {"ANSIBLE_VARS_ENABLED": "none"}, True),
    ],
)
def test_files_that_nobody_reads_are_refused(
    playbooks: Playbooks, tmp_path: Path, file: str, environment: dict[str, str], told: bool
) -> None:
    """As of this machine, which no inventory has to name."""
    inventory, path = tmp_path / "hosts.yml", tmp_path / file
    inventory.write_text("other: {hosts: {office-1: {}}}\n")
    path.parent.mkdir()
    path.write_text("real_ip_samples: none\n")
    run = playbooks.run("verify", "-i", str(inventory), environment=environment)
    assert run.status == 2, run.output
    words = f"Of no effect is {path}: expected" if told else "real_ip_samples: expected an integer"
    assert words in " ".join(run.output.split())


def test_variables_within_others_and_of_another_spelling_are_refused(
    playbooks: Playbooks, tmp_path: Path
) -> None:
    """As of who writes a file of variables like an inventory, or an import with a mistake."""
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("real_ip_clusters: {hosts: {one: {ansible_connection: local}}}\n")
    (tmp_path / "group_vars").mkdir()
    file = tmp_path / "group_vars" / "real_ip_clusters.yml"
    file.write_text("vars: {real_ip_url: 'http://192.0.2.1/'}\nreal_ip: {samples: 1}\n")
    own = tmp_path / "own.yml"
    ours = {"import_playbook": str(REPOSITORY / "playbooks" / "verify.yml")}
    own.write_text(yaml.safe_dump([{**ours, "vars": {"realip_strategy": "leftmost"}}]))
    run = playbooks.run(str(own), "-i", str(inventory), environment=ELSEWHERE)
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    for name, told in (
        ("vars", "real_ip_url stands within it"),
        ("real_ip", "real_ip_samples stands within it"),
        ("realip_strategy", "no such variable: did you mean real_ip_strategy?"),
    ):
        assert f"{name}: {told}" in run.line


@pytest.mark.parametrize("given", ["real_ip_ingress=shop", "real_ip_service=shop"])
def test_what_only_a_diagnosis_looks_at_is_not_taken_for_what_is_verified(
    playbooks: Playbooks, given: str
) -> None:
    run = playbooks.run("verify", "-e", given)
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert "name shop: expected Ingress real-ip-ingress" in run.line


@pytest.mark.parametrize(
    ("inventory", "expected"),
    [
        ("real_ip_clusters: {hosts: {one: {}}}", "a host of the inventory group real_ip_clusters"),
        ("{}", "localhost"),
    ],
)
def test_a_limit_that_leaves_out_every_cluster_is_refused(
    playbooks: Playbooks, tmp_path: Path, inventory: str, expected: str
) -> None:
    """Without a host no task runs, and that is a success to Ansible."""
    groups = {**yaml.safe_load(inventory), "other": {"hosts": {"two": {}}}}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(groups))
    for playbook in ("verify", "verify_event", "site"):
        run = playbooks.run(playbook, "-i", str(tmp_path / "inventory.yml"), "--limit", "other")
        assert run.status == 2, run.output
        said = " ".join(run.output.split())
        assert f"would be looked at: expected one with {expected}" in said


def test_tags_that_lead_to_nothing_are_refused(playbooks: Playbooks) -> None:
    """A word that is no tag, as a mistyped one is."""
    run = playbooks.run("site", "--tags", "verifi")
    assert run.status == 2, run.output
    assert "Nothing was verified: the tags (verifi)" in run.output
    # Who wants one step gets it.
    run = playbooks.run("site", "--check", "--tags", "namespace")
    assert run.status == 0, run.output
