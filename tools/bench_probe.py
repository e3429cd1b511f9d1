# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure source_ip_info on many targets, side by side with a loop of uri and with curl.

On loopback: 1,000 targets with one sample each, against ``ansible.builtin.uri`` in a loop (measured
on 50 targets and scaled up) and against ``curl --parallel``; then 10,000 targets whose backend
takes 20 ms, at equal concurrency, and how time and memory grow from 100 to 10,000.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from lab.settings import REPOSITORY

#: Where the collection is found under its own name.
BUNDLE: Final = REPOSITORY / "playbooks" / "collections"
CLIENT: Final = "203.0.113.20"
CONCURRENCY: Final = 16
LOOPED: Final = 50

# Runs the module's own function in a process of its own, and tells seconds and greatest memory.
PROBE: Final = """
import json, re, sys, time
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator
from ansible_collections.kestrel.real_ip.plugins.modules import source_ip_info
options = json.load(sys.stdin)
params = ModuleArgumentSpecValidator(source_ip_info.ARGUMENTS).validate(options)
began = time.monotonic()
found = source_ip_info.run(params.validated_parameters)
seconds = time.monotonic() - began
peak = int(re.search(r"VmHWM:\\s*([0-9]+)", open("/proc/self/status").read())[1]) / 1024
print(json.dumps([seconds, peak, found["verdict"], found["requests"]["answered"]]))
"""
LOOP: Final = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - name: Ask one after another
      ansible.builtin.uri:
        url: "%s?{{ item }}"
        return_content: true
      loop: "{{ range(%d) | list }}"
      loop_control:
        label: ""
"""


class Took(NamedTuple):
    """What a probe of so many targets took: seconds, and MiB at most."""

    targets: int
    seconds: float
    memory: float

    @property
    def rate(self) -> float:
        return self.targets / self.seconds


# --- The backend ----------------------------------------------------------------------------------


async def _serve(delay: float) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:-2]
        lines = [line.split(": ", 1) for line in head]
        body = json.dumps({"kestrel": 1, "headers": [*lines, ["X-Forwarded-For", CLIENT]]}).encode()
        await asyncio.sleep(delay)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def backend(delay: float) -> Iterator[str]:
    """The URL of an echo app that takes ``delay`` seconds for an answer."""
    with subprocess.Popen(
        [sys.executable, "-m", "tools.bench_probe", "--serve", str(delay)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
        finally:
            process.terminate()


# --- The ways -------------------------------------------------------------------------------------


def probe(url: str, count: int) -> Took:
    """``source_ip_info`` on so many targets, measured inside of it."""
    options = {
        "targets": [{"name": str(number), "url": f"{url}?{number}"} for number in range(count)],
        "expected_source": [CLIENT],
        "vantage": "outside",
        "forge": False,
        "samples": 1,
        "concurrency": CONCURRENCY,
        "deadline": 600,
    }
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, "PYTHONPATH": str(BUNDLE)},
        input=json.dumps(options),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds, memory, verdict, answered = json.loads(done.stdout)
    if verdict != "preserved" or answered != count:
        sys.exit(f"bench: {answered} of {count} targets answered, {verdict}")
    return Took(count, seconds, memory)


def curl(url: str, count: int, directory: Path) -> float:
    """Seconds that curl takes for as many requests, each over a connection of its own."""
    config = directory / "curl.conf"
    config.write_text(
        "".join(f'url = "{url}?{number}"\noutput = "/dev/null"\n' for number in range(count))
    )
    began = time.monotonic()
    subprocess.run(
        [
            *(
                "curl",
                "--silent",
                "--show-error",
                "--no-progress-meter",
                "--fail",
                "--no-keepalive",
                "--header",
                "Connection: close",
            ),
            # Without immediate, curl waits for a connection that it could share, and none comes.
            *("--parallel", "--parallel-immediate", "--parallel-max", str(CONCURRENCY)),
            *("--config", str(config)),
        ],
        check=True,
    )
    return time.monotonic() - began


def loop(url: str, count: int, directory: Path) -> float:
    """Seconds that a loop of uri takes for so many requests, Ansible's start left out."""

    def run(times: int) -> float:
        playbook = directory / "loop.yml"
        playbook.write_text(LOOP % (url, times))
        began = time.monotonic()
        subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", str(playbook)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return time.monotonic() - began

    start = run(1)
    return (run(count + 1) - start) / count


def measure(directory: Path) -> Iterator[str]:
    """Lines of the report, one by one as they are known."""
    with backend(0.0) as url:
        probe(url, 100)
        ours = probe(url, 1000)
        theirs = curl(url, 1000, directory)
        each = loop(url, LOOPED, directory)
    yield "1,000 targets on loopback, one sample each; seconds"
    yield f"  source_ip_info           {ours.seconds:8.2f}  {ours.memory:.0f} MiB at most"
    yield f"  curl --parallel          {theirs:8.2f}"
    yield f"  a loop of uri            {each * 1000:8.2f}  scaled up from {LOOPED} targets"
    yield f"  loop / source_ip_info = {each * 1000 / ours.seconds:.0f} (goal: at least 100)"
    with backend(0.02) as url:
        grown = [probe(url, count) for count in (100, 1000, 10_000)]
        theirs = curl(url, 10_000, directory)
    yield f"a backend that takes 20 ms, {CONCURRENCY} requests at a time"
    for one in grown:
        per = one.seconds / one.targets * 1000
        yield (
            f"  {one.targets:6} targets  {one.seconds:8.2f} s  {per:.2f} ms each  "
            f"{one.memory:.0f} MiB at most"
        )
    most = grown[-1]
    yield f"  curl of as many       {theirs:6.2f} s"
    yield f"  rate of source_ip_info / curl's = {theirs / most.seconds:.2f} (goal: at least 0.8)"
    yield f"  memory at {most.targets} targets = {most.memory:.0f} MiB (goal: below 100)"


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", type=float, metavar="DELAY", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve is not None:
        asyncio.run(_serve(options.serve))
        return
    with tempfile.TemporaryDirectory() as scratch:
        for line in measure(Path(scratch)):
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
