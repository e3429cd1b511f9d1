# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure ``verify`` on many clusters in one run: 10, 25, 50 and 100 of them.

Each is a namespace of the test cluster, with a Service, an Ingress, a balancer's address and an
echo app of its own, which ``site.yml`` deploys before. Every host must be preserved. Seconds and
processor time are those of ``ansible-playbook`` and all below it, memory is the resident one of all
these processes together, at its greatest; what forked processes share counts for each of them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from lab.settings import OPERATOR, REPOSITORY, Lab

SIZES: Final = (10, 25, 50, 100)
EXPECTED: Final = OPERATOR.ipv4("inet")
#: Seconds between two looks at the memory
INTERVAL: Final = 0.25
#: Seconds for the most clusters, on two cores
GOAL: Final = 180
_MIB: Final = 2**20
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Took(NamedTuple):
    """What a run took: seconds, those of processors (the lab's apart), MiB, processes."""

    hosts: int
    seconds: float
    processor: float
    lab: float
    memory: float
    processes: int


# --- Processes ------------------------------------------------------------------------------------


def processes() -> Iterator[tuple[int, int, float, int]]:
    """Id, parent, processor seconds and resident bytes of every process."""
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            # The name, in parentheses, can hold anything.
            words = (directory / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        yield (
            int(directory.name),
            int(words[1]),
            (int(words[11]) + int(words[12])) / _TICKS,
            int(words[21]) * _PAGE,
        )


def lab_processor(lab: Lab) -> float:
    """Processor seconds so far of the lab's own programs; what pods take isn't among them."""
    total = 0.0
    for number, __, seconds, __ in processes():
        try:
            command = Path(f"/proc/{number}/cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(f"{lab.root}/") in command:
            total += seconds
    return total


class Watch(threading.Thread):
    """Looks at a process and all below it, until that ends."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root = root
        self.memory = 0
        self.most = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(INTERVAL):
            below: dict[int, list[int]] = {}
            resident = {}
            for number, parent, __, size in processes():
                below.setdefault(parent, []).append(number)
                resident[number] = size
            # Ansible's workers have sessions of their own, so that only parents tell.
            found, todo = [], [self.root]
            while todo:
                found.append(todo.pop())
                todo += below.get(found[-1], [])
            self.memory = max(self.memory, sum(resident.get(one, 0) for one in found))
            self.most = max(self.most, len(found))


# --- Runs -----------------------------------------------------------------------------------------


def name(number: int) -> str:
    """The inventory's name of a cluster."""
    return f"cluster-{number:03}"


def inventory(count: int) -> str:
    """So many clusters, which are namespaces of one."""
    hosts: dict[str, Any] = {
        name(number): {"real_ip_namespace": f"fleet-{number:03}"} for number in range(1, count + 1)
    }
    settings = {
        "real_ip_echo": "bundled",
        "real_ip_replicas": 1,
        "real_ip_expected_source": EXPECTED,
    }
    return json.dumps({"real_ip_clusters": {"hosts": hosts, "vars": settings}})


def play(lab: Lab, playbook: str, hosts: int, forks: int) -> Took:
    """Run a playbook for so many clusters, each of which must be preserved."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "inventory.yml"
        path.write_text(inventory(hosts))
        output = Path(directory) / "output"
        command = [
            *(sys.executable, "-m", "lab", "--name", lab.name, "exec", OPERATOR.name, "--"),
            str(Path(sys.executable).parent / "ansible-playbook"),
            *(f"playbooks/{playbook}.yml", "-i", str(path), "-f", str(forks)),
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        lab_before = lab_processor(lab)
        began = time.monotonic()
        with (
            output.open("wb") as file,
            subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            watch = Watch(process.pid)
            watch.start()
            status = process.wait()
            seconds = time.monotonic() - began
            watch.ended.set()
            watch.join()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = output.read_text()
    good = re.findall(r"^real_ip: (\S+) preserved ", told, re.MULTILINE)
    if status or sorted(good) != [name(number) for number in range(1, hosts + 1)]:
        others = re.findall(r"^real_ip: (?!\S+ preserved ).*", told, re.MULTILINE)
        why = "\n".join(others) or told[-3000:]
        sys.exit(
            f"bench: {playbook}: status {status}, {len(good)} of {hosts} are preserved:\n{why}"
        )
    used = [one.ru_utime + one.ru_stime for one in (before, after)]
    return Took(
        hosts,
        seconds,
        used[1] - used[0],
        lab_processor(lab) - lab_before,
        watch.memory / _MIB,
        watch.most,
    )


def row(took: Took) -> str:
    """One line of the report."""
    each = took.processor / took.hosts
    return (
        f"  {took.hosts:4} clusters  {took.seconds:6.1f} s  {took.seconds / took.hosts:5.2f} each  "
        f"{took.processor:6.1f} s of processors  {each:4.2f} each  "
        f"{took.memory:5.0f} MiB  {took.processes:3} processes"
    )


def measure(lab: Lab, sizes: Sequence[int], forks: int, deployed: bool) -> Iterator[str]:
    """Lines of the report, one by one as they are known."""
    if not deployed:
        yield f"site.yml, {forks} at a time\n{row(play(lab, 'site', max(sizes), forks))}"
    yield f"verify.yml, {forks} at a time, on {os.cpu_count()} cores"
    all_took = []
    for size in sizes:
        all_took.append(play(lab, "verify", size, forks))
        yield row(all_took[-1])
    least, most = all_took[0], all_took[-1]
    busy = (most.processor + most.lab) / most.seconds / (os.cpu_count() or 1)
    more = most.hosts - least.hosts
    yield (
        f"  the test cluster beside it: {most.lab:.1f} s of processors; both together kept the "
        f"cores busy for {busy:.0%} of the time"
    )
    if more:
        each = (most.processor - least.processor) / more
        yield (
            f"  each more costs {each:.2f} s of processors and "
            f"{(most.memory - least.memory) / more:.1f} MiB"
        )
        ratio = (most.processor / most.hosts) / (least.processor / least.hosts)
        yield f"  processor time each, most / least = {ratio:.2f} (1 is linear)"
        ratio = (most.memory / most.hosts) / (least.memory / least.hosts)
        yield f"  memory each, most / least = {ratio:.2f} (1 is linear, less is better)"
    idle = (most.processor + most.lab) / (os.cpu_count() or 1)
    yield (
        f"  {most.hosts} clusters take {most.seconds:.0f} s (goal: at most {GOAL} for 100); what "
        f"they and the test cluster need of processors is {idle:.0f} s of all cores"
    )


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lab", default="bench", help="name of the test cluster, made if missing")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="CLUSTERS")
    parser.add_argument("--forks", type=int, default=25)
    parser.add_argument(
        "--deployed", action="store_true", help="an earlier run in that test cluster deployed them"
    )
    options = parser.parse_args(arguments)
    lab = Lab(options.lab)
    was_up = lab.root.exists()
    words = [sys.executable, "-m", "lab", "--name", lab.name]
    subprocess.run([*words, "up"], cwd=REPOSITORY, check=True)
    try:
        for line in measure(lab, sorted(options.sizes), options.forks, options.deployed):
            print(line, flush=True)
    finally:
        if not was_up:
            subprocess.run([*words, "down"], cwd=REPOSITORY, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
