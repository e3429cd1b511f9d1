# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs playbooks and modules in the test cluster's namespaces and reads what they print."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lab import balancing
from lab.commands import in_host
from lab.settings import OPERATOR, Lab
from tests.lab.spaces import set_switches

REPOSITORY = Path(__file__).resolve().parents[2]
#: What a playbook needs in its environment that doesn't stand beside the collection's own
ELSEWHERE = {"ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "playbooks" / "collections")}
NAMESPACE = "kestrel-catchip"
#: The operator's address in the outer network, which pods must see
EXPECTED = "203.0.113.10"
EXPECTED_IPV6 = "2001:db8:113::a"
#: Where the programs of Ansible are: those of this environment, or of another ansible-core
VENV = Path(os.environ.get("REAL_IP_ANSIBLE") or Path(sys.executable).parent)

#: The Python packages of the image that AWX runs the playbooks in
IMAGE_LOCK = REPOSITORY / "requirements" / "ee.txt"

RECAP = re.compile(r"^(\S+) +: ok=\d+ +changed=(\d+)", re.MULTILINE)
RESULT = re.compile(r"^(?:ok|changed): \[\S+\] => (\{.*\})$", re.MULTILINE)
LINE = re.compile(r"^real_ip: .*$", re.MULTILINE)

LAB_SERVER = "https://10.255.0.2:6443"
SUPER_NODE = "node.kubernetes.io/instance-type"
TAINT = "eks.tke.cloud.tencent.com/eklet"

BALANCED = """
apiVersion: v1
kind: Service
metadata: {name: layer-4, namespace: %s}
spec:
  type: LoadBalancer
  externalTrafficPolicy: %s
  selector: {app: real-ip-app}
  ports: [%s]
"""


@dataclass(frozen=True)
class Run:
    """A finished run of ansible-playbook."""

    status: int
    output: str
    seconds: float

    @property
    def changed(self) -> int:
        """Changed tasks of all hosts together."""
        return sum(int(changed) for __, changed in RECAP.findall(self.output))

    @property
    def actions(self) -> set[tuple[str, str]]:
        """Each object with what was done to it, or would be, of a run with ``-v``."""
        found = [json.loads(text) for text in RESULT.findall(self.output)]
        objects = [one for result in found for one in result.get("objects", [])]
        return {
            (f"{one['kind']}/{one['name']}", one["action"])
            for one in objects
            if one.get("action") not in (None, "unchanged", "absent", "kept")
        }

    @property
    def line(self) -> str:
        """The result line, or the empty string."""
        found = LINE.search(self.output)
        return found.group() if found else ""

    @property
    def verdict(self) -> str:
        """The verdict of the result line, or the empty string."""
        return [*self.line.split(), "", "", ""][2]

    def statistics(self) -> dict[str, Any]:
        """The custom stats, printed with ANSIBLE_SHOW_CUSTOM_STATS=1."""
        text = self.output.split("RUN:", 1)[1]
        found: dict[str, Any] = json.JSONDecoder().raw_decode(text[text.index("{") :])[0]
        return found


class Playbooks:
    """Runs things in one lab."""

    def __init__(self, lab: str, namespace: str = NAMESPACE) -> None:
        self.lab = lab
        self.namespace = namespace

    def command(self, host: str, *command: str) -> list[str]:
        """The command line that runs ``command`` in a namespace of the lab."""
        return in_host(Lab(self.lab), host, command)

    def execute(
        self,
        host: str,
        *command: str,
        environment: Mapping[str, str] | None = None,
        text: str | None = None,
        timeout: float = 300,
    ) -> tuple[int, str]:
        """Status and output of a command in a namespace of the lab."""
        done = subprocess.run(
            self.command(host, *command),
            cwd=REPOSITORY,
            env={**os.environ, **(environment or {})},
            input=text if text is not None else "",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        return done.returncode, done.stdout

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """The output of a kubectl command that must succeed."""
        status, output = self.execute("operator", "kubectl", *arguments, text=text)
        assert status == 0, output
        return output

    def define(self, definitions: str) -> None:
        """Apply CustomResourceDefinitions and wait until the API server serves them.

        Whoever asks sooner is told that there is no such kind, and a controller ends by it.
        """
        # They are too big for the annotation of kubectl's own way to apply.
        self.kubectl("apply", "--server-side", "-f", "-", text=definitions)
        served = ("--for=condition=Established", "--timeout=60s")
        self.kubectl("wait", *served, "-f", "-", text=definitions)

    def namespaces(self) -> list[str]:
        """All namespaces but those on their way out, such as an earlier test's."""
        active = ("--field-selector", "status.phase=Active")
        return self.kubectl("get", "namespaces", *active, "-o", "name").split()

    def playbook(self, name: str, *arguments: str) -> list[str]:
        """The command line of a playbook: its file name without ending, or its full name.

        Several names stand with blanks between them.
        """
        playbooks = [one if "." in one else f"playbooks/{one}.yml" for one in name.split()]
        default = self.namespace == NAMESPACE
        where = () if default else ("-e", f"real_ip_namespace={self.namespace}")
        return [str(VENV / "ansible-playbook"), *playbooks, *where, *arguments]

    def run(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Run:
        """Run a playbook; ``name`` as for ``playbook``."""
        start = time.monotonic()
        # Within the namespace, where KUBECONFIG is set by itself.
        given = {"ANSIBLE_NOCOLOR": "1", **(environment or {})}
        variables = [f"{name}={value}" for name, value in given.items()]
        status, output = self.execute(
            "operator", "env", *variables, *self.playbook(name, *arguments)
        )
        assert "Traceback" not in output, output
        return Run(status, output, time.monotonic() - start)

    @contextmanager
    def running(self, host: str, *command: str) -> Iterator[None]:
        """Run a command in a namespace of the lab meanwhile; it ends on SIGTERM."""
        # Its own session, so that a master and its workers can be told to end together.
        with subprocess.Popen(
            self.command(host, *command), cwd=REPOSITORY, start_new_session=True
        ) as process:
            try:
                yield
            finally:
                os.killpg(process.pid, signal.SIGTERM)

    def switch(self, setting: str) -> None:
        """Set a switch of the load balancer's stand-in; it acts on it before this returns."""
        set_switches(Lab(self.lab), balancing.parse_switches([setting]))

    def node_port(self) -> int:
        """The node port of the echo app's Service."""
        return int(
            self.kubectl(
                *("get", "service", "real-ip-service", "-n", self.namespace),
                *("-o", "jsonpath={.spec.ports[0].nodePort}"),
            )
        )

    def balance(self, policy: str, ports: Sequence[int] = (80,)) -> None:
        """Make the Service layer-4, of type LoadBalancer, in front of the echo app."""
        listed = ", ".join(f"{{name: port-{one}, port: {one}, targetPort: 5000}}" for one in ports)
        self.kubectl("apply", "-f", "-", text=BALANCED % (self.namespace, policy, listed))

    @contextmanager
    def balanced_service(
        self, policy: str = "Cluster", ports: Iterable[int] = (80,)
    ) -> Iterator[str]:
        """The address of a layer-4 load balancer in front of the echo app.

        ``policy``: the externalTrafficPolicy of its Service; ``ports``: all lead to the app.
        """
        self.balance(policy, ports)
        try:
            for __ in range(100):
                address = self.kubectl(
                    *("get", "service", "layer-4", "-n", self.namespace),
                    *("-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"),
                )
                if address:
                    break
                time.sleep(0.2)
            assert address, "the Service got no address"
            yield address
        finally:
            self.kubectl("delete", "service", "layer-4", "-n", self.namespace)

    def until_it_answers_always(self, address: str) -> None:
        """Wait for a new Service, of which nodes learn one after the other."""
        script = f"for i in $(seq 20); do curl -sfm 2 http://{address}/ >/dev/null || exit 1; done"
        deadline = time.monotonic() + 60
        while self.execute("client", "sh", "-c", script)[0] != 0:
            assert time.monotonic() < deadline, f"{address} does not answer every time"
            time.sleep(0.2)

    def module(self, host: str, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What a module of the collection returns, run in a namespace of the lab."""
        return run_module(self.command(host), name, arguments)

    def probe(self, host: str, *, url: str, layer: str, expected: str) -> dict[str, Any]:
        """The result of source_ip_info, run by hand in a namespace of the lab."""
        arguments = {"url": url, "layer": layer, "expected_source": [expected]}
        return self.module(host, "source_ip_info", arguments)


# --- Modules --------------------------------------------------------------------------------------


def run_module(prefix: Sequence[str], module: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a module of the collection returns, run behind a command prefix.

    By itself, as Ansible lets developers do: through ``ansible`` it takes five times as long, and
    the playbooks' own tests go that way.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"ANSIBLE_MODULE_ARGS": dict(arguments)}, file)
        file.flush()
        name = f"ansible_collections.kestrel.real_ip.plugins.modules.{module}"
        collections = {"PYTHONPATH": str(REPOSITORY / "playbooks" / "collections")}
        return _said([*prefix, str(VENV / "python"), "-m", name, file.name], collections)


def run_action(prefix: Sequence[str], action: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What an action of the collection returns, such as of waiting, which a module does once."""
    command = [
        *(*prefix, str(VENV / "ansible"), "localhost"),
        *("-m", f"kestrel.real_ip.{action}", "-a", json.dumps(arguments)),
        *("-e", f"ansible_python_interpreter={VENV / 'python'}"),
        *("--playbook-dir", str(REPOSITORY / "playbooks")),
    ]
    return _said(command, {"ANSIBLE_NOCOLOR": "1"})


def _said(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """The object that a command prints last, in JSON."""
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return found


class Attempt:
    """A deployment that is probed from several places."""

    def __init__(self, playbooks: Playbooks) -> None:
        self.playbooks = playbooks
        self.kubectl = partial(playbooks.kubectl, "-n", playbooks.namespace)

    def read(self, **front: str) -> dict[str, Any]:
        """What path_addresses_info returns to the operator; ``front`` are options of it."""
        asked = {"namespace": self.playbooks.namespace, "service": "real-ip-service", **front}
        operator = self.playbooks.command(OPERATOR.name)
        return run_module(operator, "path_addresses_info", asked)

    def way(self, **front: str) -> dict[str, Any]:
        """Options of source_ip_info that are read from the cluster."""
        read = self.read(**front)
        return {
            "targets": read["targets"],
            "cluster_addresses": read["cluster_addresses"],
            "expect_backends": read["ready_pods"],
            "bypass": read["bypass"],
            "load_balancer": "qcloud",
        }

    def probe(self, host: str | Sequence[str], **options: Any) -> dict[str, Any]:
        """The result of source_ip_info in a host of the lab, or behind a command prefix."""
        prefix = self.playbooks.command(host) if isinstance(host, str) else host
        run = run_action if options.get("wait") else run_module
        return run(prefix, "source_ip_info", options)

    def inside_of(self, pod: str) -> list[str]:
        """The command prefix that enters a pod's network and host name, as a process in it has."""
        words = ("get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].containerID}")
        container = self.kubectl(*words).rpartition("/")[2]
        groups = [path for path in Path("/sys/fs/cgroup").rglob(container) if path.is_dir()]
        numbers = {line for path in groups for line in (path / "cgroup.procs").read_text().split()}
        return ["nsenter", f"--target={min(numbers)}", "--net", "--uts", "--"]


def configuration(playbooks: Playbooks, server: str = LAB_SERVER, **user: str) -> dict[str, Any]:
    """A kubeconfig like the lab's, with another server or user."""
    words = ("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
    content: dict[str, Any] = json.loads(playbooks.kubectl(*words))
    content["clusters"][0]["cluster"]["server"] = server
    if user:
        content["users"][0]["user"] = user
    return content


def elsewhere(
    playbooks: Playbooks, directory: Path, server: str = LAB_SERVER, **user: str
) -> tuple[str, str]:
    """The argument for such a kubeconfig, which is written into the directory."""
    path = directory / "kubeconfig"
    path.write_text(json.dumps(configuration(playbooks, server, **user)))
    return "-e", f"real_ip_kubeconfig={path}"


@contextmanager
def super_node(playbooks: Playbooks, name: str) -> Iterator[None]:
    """A node that looks like a super node meanwhile, with the taint of older ones."""
    node = ("node", name)
    playbooks.kubectl("label", *node, f"{SUPER_NODE}=eklet")
    playbooks.kubectl("taint", *node, f"{TAINT}=:NoSchedule")
    try:
        yield
    finally:
        playbooks.kubectl("taint", *node, f"{TAINT}-")
        playbooks.kubectl("label", *node, f"{SUPER_NODE}-")


@contextmanager
def ruled(lab: Lab, host: str, chains: str) -> Iterator[None]:
    """A host of the lab with these chains of nft in a table of their own meanwhile."""
    nft = ("nsenter", f"--net=/run/netns/{lab.netns(host)}", "nft")
    subprocess.run(
        [*nft, "-f", "-"], input=f"table ip meanwhile {{\n{chains}\n}}", text=True, check=True
    )
    try:
        yield
    finally:
        subprocess.run([*nft, "delete table ip meanwhile"], check=True)
