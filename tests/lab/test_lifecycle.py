# SPDX-License-Identifier: GPL-3.0-or-later
"""The test cluster comes up, is repaired, works as a cluster does, and goes without a trace."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, run_lab
from footprint import difference, footprint

from lab import lifecycle, machine, network, node, processes
from lab.images import ECHO, PAUSE
from lab.settings import (
    BASE,
    CACHE,
    CLIENT,
    CLIENT2,
    HOSTS,
    MASTER,
    NODE1,
    NODE2,
    NODES,
    OPERATOR,
    REPOSITORY,
    Lab,
)

#: What the lab promises, in seconds.
UP = 20.0
DOWN = 5.0
UP_AGAIN = 2.0

#: Names of labs that tests of this file put up beside the session's.
OTHER = "other"
KILLED = "killed"

Kubectl = Callable[..., str]


def pids(name: str) -> dict[str, int]:
    """Return part → process id."""
    states = lifecycle.states(Lab(name))
    return {state.name: state.process.pid for state in states if state.process}


def faults(name: str) -> dict[str, str]:
    """Return part → what is wrong, for the parts that are not well."""
    return {state.name: state.detail for state in lifecycle.states(Lab(name)) if not state.healthy}


def until(check: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until a check holds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"{check} does not hold within {seconds:.0f} s"
        time.sleep(0.2)


# --------------------------------------------------------------------------------------------
# From nothing to nothing


@pytest.fixture
def no_trace() -> Iterator[Callable[[str], None]]:
    """Remember the machine; the function compares it with then, after a lab has gone."""
    before = {name: footprint(name) for name in (OTHER, KILLED)}
    yield lambda name: _compare(name, before[name])
    for name in before:
        run_lab(name, "down")


def _compare(name: str, before: dict[str, set[str]]) -> None:
    # The kernel takes namespaces apart in the background, and a busy machine takes its time.
    deadline = time.monotonic() + 30
    while difference(before, footprint(name)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert difference(before, footprint(name)) == []


# Stands first: where no other lab is up, the machine as a whole must be as it was.
@pytest.mark.usefixtures("built")
def test_up_and_down_in_time_and_without_a_trace(
    no_trace: Callable[[str], None], record_property: Callable[[str, object], None]
) -> None:
    """Up in time, with everything that it has in use, and down in time with all of that gone."""
    up: list[float] = []
    down: list[float] = []
    # What else the machine does can only slow it down, so the quickest tells what it costs.
    while not up or (len(up) < 3 and not (min(up) < UP and min(down) < DOWN)):
        started = time.monotonic()
        run_lab(OTHER, "up")
        up.append(time.monotonic() - started)
        assert faults(OTHER) == {}
        words = ("exec", OPERATOR.name, "--", "kubectl")
        run_lab(OTHER, *words, "run", "pod", f"--image={PAUSE}")
        run_lab(OTHER, *words, "wait", "pod/pod", "--for=condition=Ready", "--timeout=30s")
        # Left running on purpose: it must go with the lab.
        run_lab(OTHER, "exec", CLIENT.name, "--", "sh", "-c", "sleep 1000 >/dev/null 2>&1 &")
        started = time.monotonic()
        run_lab(OTHER, "down")
        down.append(time.monotonic() - started)
        no_trace(OTHER)
    record_property("up_seconds", round(min(up), 1))
    record_property("down_seconds", round(min(down), 1))
    assert min(up) < UP
    assert min(down) < DOWN


# --------------------------------------------------------------------------------------------
# Up and healthy


def test_status_is_a_table_of_every_part(lab: Lab, command: Command) -> None:
    """Each part has a line, and the exit code says that all are well."""
    lines = command("status").stdout.splitlines()
    assert lines[0].split() == ["PART", "HEALTH", "PID", "AGE", "DETAIL"]
    rows = {line.split()[0]: line.split()[1] for line in lines[1:]}
    assert set(rows.values()) == {"ok"}
    assert set(rows) >= {
        *("network", "cluster", "nginx", "registry", "resolver", "controller"),
        *("client-sshd", "client2-sshd"),
        *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
        *(node.name for node in NODES),
        *(
            f"{node.name}-{part}"
            for node in NODES
            for part in ("containerd", "kubelet", "kube-proxy", "images")
        ),
    }


def test_up_again_changes_nothing(lab: Lab, command: Command) -> None:
    """A second ``up`` starts nothing, writes nothing and is quick."""
    before = pids(lab.name)
    seconds = []
    for __ in range(3):
        started = time.monotonic()
        output = command("up").stdout
        seconds.append(time.monotonic() - started)
        assert " s  " not in output, "a line of progress tells of something that was done"
        assert pids(lab.name) == before
    # What else the machine does can only slow it down, so the quickest tells what it costs.
    assert min(seconds) < UP_AGAIN


def test_a_cordon_is_no_fault(lab: Lab, command: Command, kubectl: Kubectl) -> None:
    """What a user does to a node on purpose is neither reported nor waited for."""
    kubectl("cordon", NODE1.name)
    try:
        assert faults(lab.name) == {}
        command("up")
    finally:
        kubectl("uncordon", NODE1.name)


# --------------------------------------------------------------------------------------------
# Repair


def _signal(part: str, number: signal.Signals) -> Callable[[Lab], None]:
    def damage(lab: Lab) -> None:
        process = processes.recorded(lab, part)
        assert process
        assert process.alive()
        os.kill(process.pid, number)
        until(lambda: process.stopped() or not process.alive(), 5)

    return damage


def _ip(host: str, *words: str) -> Callable[[Lab], None]:
    return lambda lab: _done(["ip", "-n", lab.netns(host), *words])


def _no_namespace(host: str) -> Callable[[Lab], None]:
    return lambda lab: _done(["ip", "netns", "del", lab.netns(host)])


def _no_image(lab: Lab) -> None:
    socket = node.directory(lab, NODE1) / "containerd" / "containerd.sock"
    _done(["ctr", "-a", str(socket), "-n", "k8s.io", "images", "rm", "--sync", ECHO])


def _no_sysctl(lab: Lab) -> None:
    with network.inside(lab.netns("clb")):
        Path("/proc/sys/net/ipv4/ip_forward").write_text("0")


def _no_resolv_conf(lab: Lab) -> None:
    (network.ETC / lab.netns("client") / "resolv.conf").unlink()


def _done(argv: list[str]) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=30)


#: What is done to the lab, and the parts of which ``status`` must then say that they aren't well.
DAMAGES: dict[str, tuple[Callable[[Lab], None], set[str]]] = {
    "kubelet killed": (_signal("node1-kubelet", signal.SIGKILL), {"node1-kubelet"}),
    "containerd killed": (_signal("node2-containerd", signal.SIGKILL), {"node2-containerd"}),
    "etcd killed": (_signal("etcd", signal.SIGKILL), {"etcd"}),
    "nginx killed": (_signal("nginx", signal.SIGKILL), {"nginx"}),
    "controller ended": (_signal("controller", signal.SIGTERM), {"controller"}),
    "sshd killed": (_signal("client-sshd", signal.SIGKILL), {"client-sshd"}),
    "scheduler halted": (_signal("kube-scheduler", signal.SIGSTOP), {"kube-scheduler"}),
    "node's link gone": (_ip("node1", "link", "del", "vpc"), {"network"}),
    "bridge gone": (_ip("sw", "link", "del", "inet"), {"network"}),
    "link down": (_ip("client", "link", "set", "inet", "down"), {"network"}),
    "address gone": (_ip("clb", "addr", "del", "10.255.0.5/24", "dev", "vpc"), {"network"}),
    "route gone": (_ip("node2", "route", "del", "10.244.1.0/24"), {"network"}),
    "client's namespace gone": (_no_namespace("client2"), {"network", "client2-sshd"}),
    "setting changed": (_no_sysctl, {"network"}),
    "resolv.conf gone": (_no_resolv_conf, {"network"}),
    "image gone": (_no_image, {"node1-images"}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_repair(lab: Lab, command: Command, damage: str) -> None:
    """``status`` sees the damage and fails; ``up`` puts it right and touches nothing else."""
    harm, expected = DAMAGES[damage]
    before = pids(lab.name)
    harm(lab)
    assert faults(lab.name).keys() >= expected
    command("up")
    assert faults(lab.name) == {}
    changed = {part for part, pid in pids(lab.name).items() if before[part] != pid}
    assert changed == {part for part in expected if part in before}


def test_repair_of_a_lost_node(lab: Lab, command: Command, kubectl: Kubectl, echo: str) -> None:
    """A node whose namespace is gone gets its programs anew, and its pods an address in it."""
    _no_namespace(NODE2.name)(lab)
    found = command("status", check=False)
    assert found.returncode == 1
    assert "network" in [line.split()[0] for line in found.stdout.splitlines() if "FAULT" in line]
    command("up")
    assert faults(lab.name) == {}
    until(lambda: reachable(lab, kubectl, NODE2.name))


# --------------------------------------------------------------------------------------------
# A cluster as others


@pytest.fixture(scope="module")
def echo(lab: Lab) -> Iterator[str]:
    """The document's image, running once on each node in namespace ``lifecycle``."""
    name = "lifecycle"
    operator = partial(run_lab, lab.name, "exec", OPERATOR.name, "--", "kubectl")
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "echo"},
        "spec": {
            "selector": {"matchLabels": {"app": "echo"}},
            "template": {
                "metadata": {"labels": {"app": "echo"}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "echo", "image": ECHO}],
                },
            },
        },
    }
    # In a lab that was up before, an earlier run's may still be on its way out.
    operator("delete", "namespace", name, "--ignore-not-found")
    operator("create", "namespace", name)
    operator("apply", "-n", name, "-f", "-", input=json.dumps(manifest))
    operator("rollout", "status", "-n", name, "daemonset/echo", "--timeout=60s")
    yield name
    operator("delete", "namespace", name, "--wait=false")


def _pods(kubectl: Kubectl) -> dict[str, dict[str, Any]]:
    """Return node → its echo pod."""
    found = json.loads(kubectl("get", "pods", "-n", "lifecycle", "-l", "app=echo", "-o", "json"))
    return {pod["spec"]["nodeName"]: pod for pod in found["items"]}


def reachable(lab: Lab, kubectl: Kubectl, name: str) -> bool:
    """Tell whether a client outside reaches the echo pod of a node, over IPv4 and IPv6."""
    pod = _pods(kubectl).get(name, {"status": {}})
    addresses = [each["ip"] for each in pod["status"].get("podIPs", [])]
    urls = [f"http://[{ip}]:5000/" if ":" in ip else f"http://{ip}:5000/" for ip in addresses]
    words = ("exec", CLIENT.name, "--", "curl", "--silent", "--fail", "--max-time", "2")
    return len(urls) == 2 and all(
        run_lab(lab.name, *words, url, check=False).returncode == 0 for url in urls
    )


def test_pods_run_on_both_nodes(lab: Lab, kubectl: Kubectl, echo: str) -> None:
    """Scheduled, running, with an IPv4 and an IPv6 address that an outside client reaches."""
    pods = _pods(kubectl)
    assert set(pods) == {NODE1.name, NODE2.name}
    for name, pod in pods.items():
        assert pod["status"]["phase"] == "Running"
        assert reachable(lab, kubectl, name)


def test_pods_belong_to_the_lab(lab: Lab, kubectl: Kubectl, echo: str) -> None:
    """A container's processes are in the lab's control groups, in every hierarchy."""
    kubectl("exec", "-n", "lifecycle", "daemonset/echo", "--", "python3", "-c", "pass")
    for pod in _pods(kubectl).values():
        container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        groups = list(Path("/sys/fs/cgroup").rglob(container))
        assert groups
        assert all(f"kestrel-real-ip-lab/{lab.name}/pods/" in str(group) for group in groups)


@pytest.mark.parametrize(
    ("image", "reasons"),
    [
        ("unknown.example/team/app:v1", ["unknown.example/team/app:v1: not found"]),
        (
            "refusing.example/team/app:v1",
            ["pull access denied", "insufficient_scope: authorization failed"],
        ),
    ],
)
def test_pulls_fail_as_on_a_real_cluster(
    lab: Lab, kubectl: Kubectl, echo: str, image: str, reasons: list[str]
) -> None:
    """The pod ends up in ImagePullBackOff, and events tell why."""
    name = image.partition(".")[0]
    kubectl("run", name, "-n", "lifecycle", f"--image={image}", "--restart=Never")

    def messages() -> list[str]:
        selector = f"involvedObject.name={name}"
        events = kubectl(
            "get", "events", "-n", "lifecycle", "-o", "json", "--field-selector", selector
        )
        return [f"{event['reason']}: {event['message']}" for event in json.loads(events)["items"]]

    until(lambda: "Failed: Error: ImagePullBackOff" in messages())
    told = messages()
    assert "Failed: Error: ErrImagePull" in told
    assert f'BackOff: Back-off pulling image "{image}"' in told
    assert any(
        message.startswith(f'Failed: Failed to pull image "{image}"')
        and all(reason in message for reason in reasons)
        for message in told
    )


def test_rights_and_admission_are_on(lab: Lab, kubectl: Kubectl, run_in: Command) -> None:
    """RBAC limits the account that stands for AWX, and Pod Security admission limits pods."""
    token = kubectl("create", "token", "awx", "--namespace", "awx").strip()

    def can(*words: str) -> bool:
        # The kubeconfig's own token would win over one on the command line.
        server = ("--kubeconfig=/dev/null", f"--server=https://{MASTER.ipv4('vpc')}:6443")
        trust = f"--certificate-authority={lab.root}/credentials/ca.crt"
        done = run_in(
            *(OPERATOR.name, "kubectl", *server, trust, f"--token={token}"),
            *("auth", "can-i", *words),
            check=False,
        )
        assert done.stdout.strip() in ("yes", "no"), done.stderr
        return bool(done.stdout.strip() == "yes")

    assert can("create", "ingresses.networking.k8s.io", "--namespace=any")
    assert not can("get", "secrets", "--namespace=any")
    assert not can("create", "clusterroles.rbac.authorization.k8s.io")

    label = "pod-security.kubernetes.io/enforce=restricted"
    kubectl("create", "namespace", "strict")
    try:
        kubectl("label", "namespace", "strict", label)
        run = ("kubectl", "run", "pod", "-n", "strict", f"--image={PAUSE}", "--privileged")
        refused = run_in(OPERATOR.name, *run, check=False)
        assert refused.returncode != 0
        assert 'violates PodSecurity "restricted:latest"' in refused.stderr
    finally:
        kubectl("delete", "namespace", "strict", "--wait=false")


def test_a_pod_has_a_token_of_its_account(lab: Lab, kubectl: Kubectl, echo: str) -> None:
    """From inside a pod the API server knows the pod's service account and trusts its own name."""
    script = """
import json, os, ssl, urllib.request
base = "/var/run/secrets/kubernetes.io/serviceaccount/"
group = "authentication.k8s.io/v1"
request = urllib.request.Request(
    f"https://{os.environ['KUBERNETES_SERVICE_HOST']}/apis/{group}/selfsubjectreviews",
    data=json.dumps({"kind": "SelfSubjectReview", "apiVersion": group}).encode(),
    headers={
        "Authorization": "Bearer " + open(base + "token").read(),
        "Content-Type": "application/json",
    },
)
context = ssl.create_default_context(cafile=base + "ca.crt")
print(json.load(urllib.request.urlopen(request, context=context))["status"]["userInfo"]["username"])
"""
    said = kubectl("exec", "-n", "lifecycle", "daemonset/echo", "--", "python3", "-c", script)
    assert said.strip() == "system:serviceaccount:lifecycle:default"


# --------------------------------------------------------------------------------------------
# Commands


def test_exec_passes_everything_through(lab: Lab, command: Command) -> None:
    """Exit code, standard input, resolver and, for the operator, the way to the API server."""
    run_in = partial(command, "exec")
    assert run_in(CLIENT.name, "sh", "-c", "exit 7", check=False).returncode == 7
    assert run_in(CLIENT.name, "cat", input="through\n").stdout == "through\n"
    assert run_in(CLIENT.name, "cat", "/etc/resolv.conf").stdout == "nameserver 203.0.113.1\n"
    script = 'echo "$KUBECONFIG"; command -v kubectl'
    said = run_in(OPERATOR.name, "sh", "-c", script).stdout.splitlines()
    assert said == [str(lab.kubeconfig), str(lab.bin / "kubectl")]
    assert lab.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_logs(lab: Lab, command: Command) -> None:
    """Without a part the logs are listed, with one its log is printed."""
    listed = {line.split()[1] for line in command("logs").stdout.splitlines()}
    assert {"etcd", "kube-apiserver", "node1-kubelet", "controller"} <= listed
    assert "kube-apiserver" in command("logs", "kube-apiserver").stdout
    refused = command("logs", "nothing", check=False)
    assert refused.returncode == 2
    assert "etcd" in refused.stderr


def test_switch(lab: Lab, command: Command) -> None:
    """Switches are shown and set; what the stand-in doesn't know is refused."""
    try:
        assert "x_forwarded_for=replace" in command("switch", "x_forwarded_for=replace").stdout
        assert "x_forwarded_for=replace" in command("switch").stdout
        for pair in ("x_forwarded_for=wrong", "wrong=1", "wrong"):
            refused = command("switch", pair, check=False)
            assert refused.returncode == 2
            assert refused.stdout == ""
            assert len(refused.stderr.splitlines()) == 1
    finally:
        command("switch", "x_forwarded_for=append")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["exec", "nowhere", "--", "true"], ", ".join(HOSTS)),
        (["exec", "client"], "exec HOST -- CMD"),
        (["fly"], "invalid choice: 'fly'"),
        (["fault", "earthquake", "on"], "no fault 'earthquake'"),
        (["fault", "redirect"], "fault redirect on|off"),
        ([], "COMMAND"),
        (["--name", "A B", "up"], "'A B'"),
        (["up", "--name", "A B"], "'A B'"),
        (["--name", "../etc", "down"], "'../etc'"),
        (["--name", "toolongname", "status"], "'toolongname'"),
    ],
)
def test_wrong_words_are_refused(words: list[str], part: str) -> None:
    """One sentence that names what is wrong, exit code 2, and nothing done."""
    done = run_lab("unused", *words, check=False)
    assert done.returncode == 2
    assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not Lab("unused").root.exists()


@pytest.mark.parametrize(
    "words",
    [
        *(["status"], ["exec", "client", "--", "true"], ["logs"], ["switch"]),
        *(["fault", "redirect", "on"], ["fault", "redirect", "off"]),
    ],
)
def test_a_lab_that_is_not_up(words: list[str]) -> None:
    """Everything but ``down`` fails, and says so."""
    done = run_lab("unused", *words, check=False)
    assert done.returncode == 1
    assert "The lab unused is not up" in done.stdout + done.stderr


@pytest.mark.usefixtures("built")
def test_what_labs_are_made_of_is_built_once() -> None:
    """Where all is there, nothing is said to be built or fetched, and no lab is put up."""
    done = run_lab("unused", "build")
    assert done.stdout.splitlines()[0] == f"All that labs are made of is in {CACHE}. To go on:"
    assert not Lab("unused").root.exists()


def test_down_of_nothing() -> None:
    """There is nothing to do, which is no failure."""
    done = run_lab("unused", "down")
    assert done.stdout == "The lab unused is not up.\n"


def test_without_root() -> None:
    """Nothing is tried without the rights for it."""
    script = (
        "import os, lab.__main__ as m; os.geteuid = lambda: 1000; raise SystemExit(m.main(['up']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "lab: The lab needs root, for network namespaces and control groups.\n"


def test_ssh_leads_into_the_clients_only(lab: Lab, run_in: Command) -> None:
    """With the lab's key, by name and by both addresses, into a host with its own resolver."""
    ssh = (OPERATOR.name, "ssh", "-F", str(lab.ssh_config))
    for host in (CLIENT, CLIENT2):
        for name in (host.name, host.ipv4("inet"), host.ipv6("inet")):
            words = ("ip -oneline addr show inet; cat /etc/resolv.conf; id -un; echo ~",)
            said = run_in(*ssh, name, *words).stdout
            assert f"inet {host.ipv4('inet')}/24" in said
            home = str(lab.ssh_config.parent / "home")
            assert said.splitlines()[-3:] == ["nameserver 203.0.113.1", "root", home]
    for refused in (
        ("-o", "PubkeyAuthentication=no", "client", "true"),
        ("-o", f"UserKnownHostsFile={os.devnull}", "client", "true"),
        ("-l", "nobody", "client", "true"),
    ):
        assert run_in(*ssh, *refused, check=False).returncode == 255
    keys = [path for path in lab.ssh_config.parent.iterdir() if path.suffix == ".key"]
    assert len(keys) == 3
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    listening = run_in(CLIENT.name, "ss", "-Hltn").stdout.split()
    assert {f"{CLIENT.ipv4('inet')}:22", f"[{CLIENT.ipv6('inet')}]:22"} <= set(listening)
    assert not {"0.0.0.0:22", "[::]:22", "*:22"} & set(listening)


@pytest.mark.parametrize(
    ("meanwhile", "left"), [("true", False), ("$1 60 & true", True), ("$1 0 & sleep 0.2", False)]
)
def test_the_directory_of_sshd_stays_where_one_needs_it(
    tmp_path: Path, meanwhile: str, left: bool
) -> None:
    """It goes with the last lab, but an sshd that was started since could let nobody in."""
    sshd = tmp_path / "sshd"
    shutil.copy2("/bin/sleep", sshd)
    restore = (
        "from lab import machine; machine.SSHD_EMPTY.mkdir(); machine._restore({'sysctls': {},"
        " 'absent': [str(machine.SSHD_EMPTY)], 'netns_mounted': True, 'netns_existed': True});"
        " print(machine.SSHD_EMPTY.exists())"
    )
    script = f'mount -t tmpfs tmpfs /run && {meanwhile} && "$2" -c "{restore}"'
    done = subprocess.run(
        # Processes and /run of its own: other labs' are left alone.
        [
            *("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"),
            *("sh", "-c", script, "sh", str(sshd), sys.executable),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == f"{left}\n"


def test_from_inside(lab: Lab, run_in: Command) -> None:
    """A shell inside the lab can't take it away from under itself."""
    words = ("env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-m", "lab", "--name", lab.name)
    done = run_in(OPERATOR.name, *words, "down", check=False)
    assert done.returncode == 2
    assert "inside the lab, in operator" in done.stderr


# --------------------------------------------------------------------------------------------
# Several labs, and none


def test_two_labs_at_once(lab: Lab, no_trace: Callable[[str], None]) -> None:
    """A second lab comes, is well and goes without touching the first."""
    first = pids(lab.name)
    run_lab(OTHER, "up")
    assert faults(OTHER) == {}
    assert faults(lab.name) == {}
    run_lab(OTHER, "down")
    no_trace(OTHER)
    assert faults(lab.name) == {}
    assert pids(lab.name) == first


#: Progress at which ``up`` is killed.
MOMENTS = ("  network: ", "  kube-apiserver: ", "-kubelet: ")


def _up_until_killed(moment: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lab", "--name", KILLED, "up"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert any(moment in line for line in process.stdout), f"`up` never said {moment!r}"
        process.kill()


@pytest.mark.parametrize("moment", MOMENTS)
def test_down_after_up_was_killed(lab: Lab, no_trace: Callable[[str], None], moment: str) -> None:
    """Killed at any moment, ``up`` leaves nothing that ``down`` does not find."""
    _up_until_killed(moment)
    run_lab(KILLED, "down")
    no_trace(KILLED)
    assert faults(lab.name) == {}


def test_up_after_up_was_killed_and_after_a_restart(
    lab: Lab, no_trace: Callable[[str], None]
) -> None:
    """What a killed ``up`` has begun, the next finishes; after a restart it begins anew."""
    _up_until_killed("  etcd: ")
    begun = processes.recorded(Lab(KILLED), "etcd")
    run_lab(KILLED, "up")
    assert faults(KILLED) == {}
    before = pids(KILLED)
    assert begun
    assert before["etcd"] == begun.pid
    records = Lab(KILLED).root / "run"
    next(records.iterdir()).rename(records / "another-boot-id")
    assert "The machine was restarted" in run_lab(KILLED, "up").stdout
    assert faults(KILLED) == {}
    assert not set(before.values()) & set(pids(KILLED).values())
    run_lab(KILLED, "down")
    no_trace(KILLED)


def test_a_part_that_can_not_start(lab: Lab, no_trace: Callable[[str], None]) -> None:
    """One sentence names the part and where to read on."""
    blocked = Lab(KILLED).root / "etcd"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("not a directory\n")
    done = run_lab(KILLED, "up", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("lab: etcd ended right after its start; see `")
    assert f"--name {KILLED} logs etcd`" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    run_lab(KILLED, "down")
    no_trace(KILLED)


def test_a_full_disk(lab: Lab, no_trace: Callable[[str], None]) -> None:
    """One sentence says that the space is used up."""
    root = Lab(KILLED).root
    root.mkdir(parents=True)
    _done(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root)])
    try:
        done = run_lab(KILLED, "up", check=False)
        assert done.returncode == 1
        assert "MiB are left on the disk of" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    finally:
        _done(["umount", "--lazy", str(root)])
    run_lab(KILLED, "down")
    no_trace(KILLED)


def test_commands_wait_for_each_other(lab: Lab, no_trace: Callable[[str], None]) -> None:
    """While one command works on a lab another says that it waits, and then does its work."""
    other = Lab(KILLED)
    with machine.lock(other, lambda: None):
        machine.enter(other)
        waiting = subprocess.Popen(
            [sys.executable, "-m", "lab", "--name", KILLED, "down"],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert waiting.stdout
        assert "waiting until it has ended" in waiting.stdout.readline()
        assert waiting.poll() is None
    with waiting:
        assert waiting.stdout.read() == f"The lab {KILLED} is down.\n"
    assert not (BASE / KILLED).exists()
    no_trace(KILLED)
