# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure three ways of doing the document's job, side by side on the test cluster.

(a) the document's steps one after another, with the ``sleep 30`` of published scripts;
(b) the floor: everything applied at once, then a look every 0.2 s until the app answers;
(c) ``playbooks/site.yml``.

Also ``t``, what one bare task of kubernetes.core costs here, and where the time of (c) goes.
Absolute times are the machine's; the ratios are what counts.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENT = REPOSITORY / "tools" / "document"
NAMESPACE = "kestrel-catchip"
EXPECTED = "203.0.113.10"
TASK = re.compile(r"^(?P<name>\S.*?) -{2,} *(?P<seconds>\d+\.\d+)s$", re.MULTILINE)

ADDRESS = (
    f"kubectl -n {NAMESPACE} get ingress real-ip-ingress "
    "-o jsonpath='{.status.loadBalancer.ingress[0].ip}'"
)
DOCUMENT_WAY = f"""
set -e
kubectl create ns {NAMESPACE}
kubectl apply -f {DOCUMENT}/catchip.yaml
kubectl get pods -l app=real-ip-app -n {NAMESPACE}
kubectl apply -f {DOCUMENT}/svc.yaml
kubectl get svc real-ip-service -n {NAMESPACE}
kubectl apply -f {DOCUMENT}/ingress.yaml
sleep 30
curl --silent --show-error --fail --max-time 10 "http://$({ADDRESS})"
"""
FLOOR_WAY = f"""
set -e
kubectl create ns {NAMESPACE}
kubectl apply -f {DOCUMENT}/catchip.yaml -f {DOCUMENT}/svc.yaml -f {DOCUMENT}/ingress.yaml
for _ in $(seq 600); do
    address=$({ADDRESS})
    [ -n "$address" ] && curl --silent --fail --max-time 1 "http://$address" && exit 0
    sleep 0.2
done
exit 1
"""
BARE_TASKS = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
"""


def operator(lab: str, *command: str) -> list[str]:
    """The command line that runs ``command`` where an operator would."""
    return [sys.executable, "-m", "lab", "--name", lab, "exec", "operator", "--", *command]


def timed(command: list[str]) -> tuple[float, str]:
    """Seconds and output of a command that must succeed."""
    environment = {**os.environ, "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks"}
    start = time.monotonic()
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    elapsed = time.monotonic() - start
    if done.returncode:
        sys.exit(f"bench: {' '.join(command[:12])} … failed:\n{done.stdout[-3000:]}")
    return elapsed, done.stdout


def tasks(output: str) -> dict[str, float]:
    """Seconds of each task, as the profile_tasks callback prints them."""
    return {found["name"]: float(found["seconds"]) for found in TASK.finditer(output)}


def remove(lab: str) -> None:
    """Take away what a repetition made, unmeasured."""
    timed(operator(lab, "kubectl", "delete", "ns", NAMESPACE, "--ignore-not-found"))


def bare_task(lab: str, repetitions: int) -> list[float]:
    """Seconds of each of several identical k8s_info tasks."""
    playbook = BARE_TASKS + "".join(
        f"    - name: Bare task {number}\n"
        "      kubernetes.core.k8s_info: {kind: Namespace, name: kube-system}\n"
        for number in range(repetitions)
    )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "bare.yml"
        path.write_text(playbook)
        __, output = timed(operator(lab, "ansible-playbook", str(path)))
    return [seconds for name, seconds in tasks(output).items() if name.startswith("Bare task")]


def report(
    rows: dict[str, list[float]], bare: list[float], profile: dict[str, float], count: int
) -> str:
    """The table, the ratios and the profile, ready to print."""
    median = {name: statistics.median(seconds) for name, seconds in rows.items()}
    a, b, c = (median[name] for name in ("a", "b", "c"))
    t = statistics.median(bare)
    labels = {"a": "the document's way", "b": "the floor", "c": "site.yml"}
    lines = [f"{count} repetitions each, in turn; seconds: median (least to most)"]
    lines += [
        f"  ({name}) {labels[name]:<20} {median[name]:6.2f}  ({min(row):.2f} to {max(row):.2f})"
        for name, row in rows.items()
    ]
    lines += [
        f"   t  a bare k8s_info task  {t:6.2f}  ({min(bare):.2f} to {max(bare):.2f})",
        f"  (c - b) / t = {(c - b) / t:.1f}  (goal: at most 8)",
        f"  c / a       = {c / a:.2f} (goal: at most 0.5)",
        "where the time of (c) goes, median seconds by task:",
    ]
    for name, seconds in sorted(profile.items(), key=lambda row: -row[1]):
        if seconds >= 0.05:
            lines.append(f"  {seconds:5.2f}  {textwrap.shorten(name, 80)}")
    lines.append(f"  {c - sum(profile.values()):5.2f}  Ansible's start and end")
    return "\n".join(lines)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lab", default="bench", help="name of the test cluster, made if missing")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    subprocess.run(
        [sys.executable, "-m", "lab", "--name", options.lab, "up"], cwd=REPOSITORY, check=True
    )
    ways: dict[str, Callable[[], list[str]]] = {
        "a": lambda: operator(options.lab, "bash", "-c", DOCUMENT_WAY),
        "b": lambda: operator(options.lab, "bash", "-c", FLOOR_WAY),
        "c": lambda: operator(
            options.lab,
            "ansible-playbook",
            "playbooks/site.yml",
            "-e",
            f"real_ip_expected_source={EXPECTED}",
        ),
    }
    rows: dict[str, list[float]] = {name: [] for name in ways}
    profiles: list[dict[str, float]] = []
    bare: list[float] = []
    try:
        remove(options.lab)
        for repetition in range(options.repetitions):
            for name, command in ways.items():
                seconds, output = timed(command())
                rows[name].append(seconds)
                if name == "c":
                    profiles.append(tasks(output))
                remove(options.lab)
            bare += bare_task(options.lab, 3)
            print(f"repetition {repetition + 1} of {options.repetitions} done", flush=True)
    finally:
        subprocess.run(
            [sys.executable, "-m", "lab", "--name", options.lab, "down"], cwd=REPOSITORY, check=True
        )
    names = {name for profile in profiles for name in profile}
    profile = {name: statistics.median(one.get(name, 0.0) for one in profiles) for name in names}
    print(report(rows, bare, profile, options.repetitions))


if __name__ == "__main__":
    main()
