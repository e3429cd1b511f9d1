# SPDX-License-Identifier: GPL-3.0-or-later
"""Vantage points: hosts behind ssh, one play, one verdict for each of them and one for all."""

from __future__ import annotations

import json
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.settings import CLIENT, CLIENT2, Lab
from tests.lab.playbooks import ELSEWHERE, EXPECTED, REPOSITORY, Attempt, Playbooks, Run

ADDRESSES = {host.name: host.ipv4("inet") for host in (CLIENT, CLIENT2)}
README = (REPOSITORY / "README.md").read_text()

CONTROLLER = {
    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    "ansible_pipelining": True,
}

Verify = Callable[..., Run]


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Iterator[Playbooks]:
    """The bundled echo app, deployed once."""
    found = Playbooks(lab.name, f"vantages-{secrets.token_hex(3)}")
    run = found.run(
        "site", "-e", "real_ip_echo=bundled", "-e", f"real_ip_expected_source={EXPECTED}"
    )
    assert run.verdict == "preserved", run.output
    yield found
    # Waited for: the load balancer's address is free again only then.
    found.kubectl("delete", "namespace", found.namespace)


@pytest.fixture
def verify(lab: Lab, deployed: Playbooks, tmp_path: Path) -> Verify:
    """Run verify.yml with vantage points: name → its variables, or a whole inventory as text."""

    def run(vantages: dict[str, Any] | str, *arguments: str) -> Run:
        inventory = tmp_path / "inventory.yml"
        if not isinstance(vantages, str):
            vantages = yaml.safe_dump({"real_ip_vantages": {"hosts": vantages}})
        inventory.write_text(vantages)
        return deployed.run(
            "verify",
            *("-i", str(inventory), "-e", f"ansible_ssh_args='-F {lab.ssh_config}'"),
            *arguments,
            environment={"ANSIBLE_SHOW_CUSTOM_STATS": "1"},
        )

    return run


def _result(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run.statistics()["real_ip_results"]["localhost"]
    return found


def _verdicts(run: Run) -> dict[str, str]:
    return {name: one["verdict"] for name, one in _result(run)["vantages"].items()}


def _lines(run: Run) -> list[str]:
    """The page's lines about vantage points."""
    return re.findall(r"^  vantage  (.*)$", run.output, re.MULTILINE)


def _expecting(**changes: dict[str, Any]) -> dict[str, Any]:
    """Both clients, each with its own address, but for the ``changes``."""
    return {
        name: {"real_ip_expected_source": address, **changes.get(name, {})}
        for name, address in ADDRESSES.items()
    }


def test_each_is_seen_as_itself(verify: Verify) -> None:
    """With the inventory of README.md, as it stands there."""
    [inventory] = re.findall(r"```yaml\n(real_ip_vantages:.*?)```", README, re.DOTALL)
    run = verify(inventory)
    assert run.status == 0, run.output
    assert run.output.count("\nreal_ip: ") == 1
    assert run.line.startswith("real_ip: localhost preserved V001 from 203.0.113.2")
    assert "; preserved from 203.0.113.2" in run.line
    result = _result(run)
    assert result["vantages"].keys() == set(ADDRESSES.values())
    for address, one in result["vantages"].items():
        assert one["verdict"] == "preserved"
        assert one["vantage"] == "outside"
        assert one["expected"] == [address]
        assert set(one["observed"]) == {address}
        assert one.keys() == result.keys() - {"vantages", "cause"}
    assert len(_lines(run)) == 2


def test_what_is_asked_from_here_is_said(verify: Verify) -> None:
    """A connection that is set for all hosts, and no name of another machine, leads there."""
    local = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "real_ip_expected_source": EXPECTED,
    }
    run = verify({"office": local})
    assert run.status == 0, run.output
    assert "; probed from where Ansible runs" in run.line
    run = verify(_expecting())
    assert "from where Ansible runs" not in run.output


def test_a_connection_of_the_play_leads_to_no_other_vantage_point(
    lab: Lab, deployed: Playbooks, tmp_path: Path
) -> None:
    """As of a play of one's own for the controller, or of the import of a playbook."""
    inventory = tmp_path / "inventory.yml"
    vantages = {
        name: {**own, "ansible_python_interpreter": "/usr/bin/python3"}
        for name, own in _expecting().items()
    }
    inventory.write_text(yaml.safe_dump({"real_ip_vantages": {"hosts": vantages}}))
    local = {"ansible_connection": "local"}
    own = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {**local, **CONTROLLER},
        "tasks": [
            {"ansible.builtin.import_role": {"name": "kestrel.real_ip.verify"}},
            {
                "ansible.builtin.debug": {
                    "msg": "{{ __verify_probes.results | map(attribute='msg') | join }}"
                }
            },
        ],
    }
    imported = {"import_playbook": str(REPOSITORY / "playbooks" / "verify.yml"), "vars": local}
    (tmp_path / "own.yml").write_text(yaml.safe_dump([own, imported]))
    run = deployed.run(
        str(tmp_path / "own.yml"),
        *("-i", str(inventory), "-e", f"ansible_ssh_args='-F {lab.ssh_config}'"),
        environment=ELSEWHERE,
    )
    told = "ansible_connection: a variable of the play leads from {} to where Ansible runs"
    assert run.status == 2, run.output
    alone = run.output.partition("PLAY [Check the tags]")[0]
    assert all(told.format(name) in alone for name in ADDRESSES)
    assert "localhost not_run - from client" in run.line
    assert "not probed: ansible_connection: a variable of the play leads from client" in run.line


def test_one_wrong_expectation_loses_and_is_named(verify: Verify) -> None:
    run = verify(_expecting(client2={"real_ip_expected_source": "203.0.113.77"}))
    assert run.status == 2
    assert run.line.startswith("real_ip: localhost lost V2")
    assert "from client2: " in run.line
    assert run.line.endswith("; preserved from client")
    assert _verdicts(run) == {"client": "preserved", "client2": "lost"}
    [good, bad] = _lines(run)
    assert good.startswith("client: preserved V001, expected 203.0.113.20, saw 203.0.113.20 (")
    assert re.match(r"client2: lost V2\d\d, expected 203\.0\.113\.77, saw 203\.0\.113\.21 \(", bad)


def test_a_misspelt_variable_of_a_vantage_point_is_refused(verify: Verify) -> None:
    run = verify(_expecting(client2={"real_ip_expected_sorce": "203.0.113.21"}))
    assert (run.status, run.verdict) == (2, "not_run")
    assert (
        "client2: real_ip_expected_sorce: no such variable: did you mean real_ip_expected_source?"
        in " ".join(run.output.split())
    )
    # What is wrong for all hosts is said once.
    run = verify(_expecting(), "-e", "real_ip_layer=l3")
    assert run.line.count("real_ip_layer") == 1


def test_without_its_own_it_expects_what_the_cluster_does(verify: Verify) -> None:
    run = verify(
        {"client": {}},
        *("-e", f"verify_expected_source={ADDRESSES['client']}"),
    )
    assert run.status == 0, run.output
    assert _result(run)["vantages"]["client"]["expected"] == [ADDRESSES["client"]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        # Nothing listens there.
        ({"ansible_port": 2222}, "Connection refused"),
        ({"ansible_python_interpreter": "/nonexistent/python"}, "was not found"),
        # A node's own address, which the probe refuses to expect.
        ({"real_ip_expected_source": "10.255.0.11"}, "would prove nothing"),
    ],
)
def test_one_that_can_not_be_probed(verify: Verify, changes: dict[str, Any], words: str) -> None:
    """The others are still asked, and yet nothing is preserved, whatever is accepted."""
    run = verify(_expecting(client=changes), "-e", "real_ip_accept=unproven,lost,no_answer")
    assert run.status == 2
    assert run.line.startswith("real_ip: localhost not_run - from client: not probed: ")
    assert words in run.line
    assert run.line.endswith("; preserved from client2")
    assert _verdicts(run) == {"client": "not_run", "client2": "preserved"}
    assert _lines(run)[0].startswith("client: not_run, not probed: ")


def test_refused_before_anything_is_sent(verify: Verify) -> None:
    """A group without hosts would leave the probe to the controller, which nobody wanted."""
    run = verify("real_ip_vantages: {}\nother: {hosts: {one: {}}}\n")
    assert run.status == 2
    assert run.verdict == "not_run"
    assert "real_ip_vantages is empty" in run.line

    run = verify(_expecting(client={"real_ip_expected_source": {"a": "b"}}))
    assert run.status == 2
    assert run.verdict == "not_run"
    assert "real_ip_expected_source: expected a list, got a dictionary" in run.line


def test_check_mode_without_objects_asks_nobody(verify: Verify) -> None:
    unreachable = _expecting(client={"ansible_port": 2222})
    run = verify(unreachable, "--check", "-e", "real_ip_name_prefix=missing")
    assert run.status == 0, run.output
    assert run.verdict == "not_run"
    assert set(_verdicts(run).values()) == {"not_run"}


def test_never_preserved_without_a_ready_pod(deployed: Playbooks, verify: Verify) -> None:
    """From no vantage point: a Service without selector, in front of pods that nobody counts."""
    service = ("service", "real-ip-service", "-n", deployed.namespace)
    selector = deployed.kubectl("get", *service, "-o", "jsonpath={.spec.selector}")
    remove = [{"op": "remove", "path": "/spec/selector"}]
    deployed.kubectl("patch", *service, "--type=json", f"-p={json.dumps(remove)}")
    try:
        run = verify(_expecting())
        assert run.status == 2
        assert run.verdict == "not_run"
        assert "expected a ready pod behind it, seen none" in run.line
    finally:
        deployed.kubectl("patch", *service, f'-p={{"spec": {{"selector": {selector}}}}}')


def test_a_pod_that_may_have_gone_hides_nothing_that_another_one_saw(
    deployed: Playbooks, verify: Verify
) -> None:
    """Asked again, the pods that still are might not show it."""
    way = Attempt(deployed).read(ingress="real-ip-ingress")
    way["ready_pods"].append("real-ip-deployment-gone")
    way["instances"].append("real-ip-deployment-gone")
    known = json.dumps({"verify_way": way, "real_ip_max_samples": 20})
    expecting = _expecting(client2={"real_ip_expected_source": "203.0.113.77"})
    run = verify(expecting, "-e", known)
    assert _verdicts(run) == {"client": "unproven", "client2": "lost"}, run.output
    run = verify(_expecting(), "-e", known)
    assert set(_verdicts(run).values()) == {"preserved"}, run.output


def test_two_names_of_one_machine_are_one_vantage_point(verify: Verify) -> None:
    own = {"ansible_host": "client", "real_ip_expected_source": ADDRESSES["client"]}
    run = verify({"here": own, "there": own})
    assert run.status == 2
    assert _verdicts(run) == {"here": "preserved", "there": "not_run"}
    assert "not probed: the connection leads to the machine that here is as well" in run.line


def test_machines_of_one_address_behind_other_ways_share_no_connection(
    lab: Lab, deployed: Playbooks, tmp_path: Path
) -> None:
    """As those of two networks behind a jump host each, for which Ansible has one socket."""
    vantages = {
        f"behind-{name}": {
            "ansible_host": "10.0.0.5",
            "ansible_ssh_common_args": f"-o HostName={address} -o HostKeyAlias={name}",
            "real_ip_expected_source": address,
        }
        for name, address in ADDRESSES.items()
    }
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"real_ip_vantages": {"hosts": vantages}}))
    shared = f"-F {lab.ssh_config} -o ControlMaster=auto -o ControlPersist=5s"
    # The path of a socket has room for little.
    with tempfile.TemporaryDirectory() as sockets:
        run = deployed.run(
            "verify",
            *("-i", str(inventory), "-e", f"ansible_ssh_args='{shared}'"),
            environment={
                "ANSIBLE_SHOW_CUSTOM_STATS": "1",
                "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets,
            },
        )
    assert run.status == 0, run.output
    assert _verdicts(run) == dict.fromkeys(vantages, "preserved")


@pytest.mark.parametrize(
    ("policy", "said", "verdict"),
    [
        ("Cluster", "auto", "lost"),
        ("Local", "auto", "preserved"),
        # As of a container on a node, which nothing tells from one elsewhere
        ("Local", "node", "unproven"),
    ],
)
def test_layer_4_from_outside(
    deployed: Playbooks, verify: Verify, policy: str, said: str, verdict: str
) -> None:
    """What a node makes of the source address is seen where no node is in the prober's place."""
    with deployed.balanced_service(policy) as address:
        deployed.until_it_answers_always(address)
        run = verify(
            {"client": {"real_ip_expected_source": ADDRESSES["client"], "real_ip_vantage": said}},
            *("-e", f"real_ip_url=http://{address}/", "-e", "real_ip_layer=l4"),
        )
    assert run.verdict == verdict, run.output
    assert _verdicts(run) == {"client": verdict}
    assert run.status == (0 if verdict == "preserved" else 2)


def test_a_vantage_point_s_variables_are_made_of_its_own(verify: Verify) -> None:
    # What it has for others is nobody's affair here.
    others = {"motd": "{{ greeting_of_the_day }}"}
    vantages = {name: {"ansible_host": address, **others} for name, address in ADDRESSES.items()}
    own = {"real_ip_expected_source": "{{ ansible_host }}"}
    run = verify(yaml.safe_dump({"real_ip_vantages": {"hosts": vantages, "vars": own}}))
    assert _verdicts(run) == dict.fromkeys(ADDRESSES, "preserved"), run.output
    # What the cluster alone has would count as not set there.
    hosts = {"localhost": {**CONTROLLER, "ansible_connection": "local", "place": "node"}}
    points = {"client": {"real_ip_vantage": "{{ place }}", **own, **vantages["client"]}}
    run = verify(yaml.safe_dump({"all": {"hosts": hosts}, "real_ip_vantages": {"hosts": points}}))
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert "'place' is undefined" in run.line, run.line
