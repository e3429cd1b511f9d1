# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how many requests the bundled echo app answers on one core, with ``hey`` from Debian.

Once over connections that stay, once with a connection for each request. Fails where a request
isn't answered with 200, or where there are fewer than 1,000 in a second.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab import packages
from lab.settings import REPOSITORY

APP: Final = REPOSITORY / "roles" / "deployment" / "files" / "echo.py"
GENERATOR: Final = packages.Package("hey", "hey", "sends the requests of this measurement")
GOAL: Final = 1000

WAYS: Final = {"kept connections": [], "a connection each": ["-disable-keepalive"]}
#: What a balancer adds, in lines of the usual length
HEADERS: Final = (
    "X-Forwarded-For: 203.0.113.10",
    "X-Real-IP: 203.0.113.10",
    "X-Client-Proto: http",
    "X-Kestrel-Nonce: 0123456789abcdef",
)

RATE: Final = re.compile(r"^\s*Requests/sec:\s+([\d.]+)$", re.MULTILINE)
STATUS: Final = re.compile(r"^\s*\[(\d{3})\]\s+(\d+) responses$", re.MULTILINE)


@contextmanager
def server(core: int) -> Iterator[tuple[int, int]]:
    """Process id and port of the echo app, on this core alone."""
    process = subprocess.Popen(
        ["taskset", "--cpu-list", str(core), sys.executable, "-I", str(APP)],
        env={**os.environ, "KESTREL_PORT": "0", "POD_NAME": "pod-1", "NODE_NAME": "node-1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"port (\d+)", process.stdout.readline())
        if found is None:
            sys.exit("bench: the echo app doesn't start")
        yield process.pid, int(found[1])
    finally:
        process.terminate()
        process.wait(10)


def measure(port: int, cores: set[int], requests: int, options: list[str]) -> float:
    """Requests per second; ends the program where one of them fails."""
    command = ["taskset", "--cpu-list", ",".join(map(str, sorted(cores)))]
    command += ["hey", "-n", str(requests), "-c", "50", "-t", "10", *options]
    for header in HEADERS:
        command += ["-H", header]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/?kestrel_nonce=0123456789abcdef"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    statuses = {int(status): int(count) for status, count in STATUS.findall(done.stdout)}
    rate = RATE.search(done.stdout)
    if rate is None or statuses != {200: requests} or "Error distribution" in done.stdout:
        sys.exit(f"bench: not every request was answered:\n{done.stdout}{done.stderr}")
    return float(rate[1])


def memory(process: int) -> float:
    """The most memory that a process has held, in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--requests", type=int, default=10_000)
    options = parser.parse_args()
    if not packages.is_present(GENERATOR):
        packages.install([GENERATOR.name], GENERATOR.why)
    core, *others = sorted(os.sched_getaffinity(0))
    rows: dict[str, list[float]] = {way: [] for way in WAYS}
    with server(core) as (process, port):
        for __ in range(options.repetitions):
            for way, extra in WAYS.items():
                found = measure(port, set(others) or {core}, options.requests, extra)
                rows[way].append(found)
        peak = memory(process)
    version = ".".join(map(str, sys.version_info[:3]))
    print(
        f"bundled echo app on one core, CPython {version}: {options.repetitions} times"
        f" {options.requests} requests, 50 at a time, all answered;"
        " requests per second, median (least to most)"
    )
    for way, rates in rows.items():
        print(f"  {way:<18} {statistics.median(rates):7.0f} ({min(rates):.0f} to {max(rates):.0f})")
    print(f"  most memory        {peak:7.1f} MiB")
    if min(map(statistics.median, rows.values())) < GOAL:
        sys.exit(f"bench: fewer than {GOAL} requests per second")


if __name__ == "__main__":
    main()
