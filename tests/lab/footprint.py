# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab could leave behind on a machine, to be compared before and after.

Read from the kernel and the file system only, not from what the lab knows about itself. Other labs
may come and go meanwhile: theirs is left out.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab.settings import BASE, CGROUP, HOSTS

#: Settings that change by themselves.
VOLATILE = (
    "fs/aio-nr",
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/quota/",
    "kernel/ns_last_pid",
    "kernel/perf_event_max_sample_rate",
    "kernel/pty/nr",
    "kernel/random/",
    "net/netfilter/nf_conntrack_count",
)
SHARED = (
    "/etc/netns",
    "/opt/containerd",
    "/run/containerd",
    "/run/mount",
    "/run/netns",
    "/run/runc",
    "/run/sshd",
    "/run/xtables.lock",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _mentions(text: str, name: str) -> bool:
    """Tell whether a text names something of the lab."""
    return (
        f"{BASE}/{name}/" in f"{text}/"
        or f"{CGROUP}/{name}/" in f"{text}/"
        or any(f"{name}-{host}" in text for host in ("sw", *HOSTS))
    )


def _processes(name: str) -> Iterator[str]:
    machine = _link(Path("/proc/1/ns/mnt"))
    for directory in Path("/proc").iterdir():
        if not directory.name.isdecimal():
            continue
        command = _text(directory / "cmdline").replace("\0", " ").strip()
        fields = _text(directory / "stat").rpartition(")")[2].split()
        seen = " ".join((command, _text(directory / "cgroup"), _link(directory / "cwd")))
        # A container that lost its shim belongs to process 1 and has mounts of its own.
        orphan = fields[1:2] == ["1"] and _link(directory / "ns/mnt") not in ("", machine)
        of_others = any(_mentions(seen, other) for other in _others(name))
        if "pytest" not in command and (_mentions(seen, name) or (orphan and not of_others)):
            yield f"{directory.name} {command}"


def _others(name: str) -> list[str]:
    found = [path.name for path in BASE.iterdir()] if BASE.is_dir() else []
    return [other for other in found if not other.startswith(".") and other != name]


def _files(name: str) -> Iterator[str]:
    others = _others(name)
    for path in (BASE, BASE / ".machine.json", BASE / ".machine.lock"):
        if path.exists() and not others:
            yield str(path)
    for path in (BASE / name, BASE / f".{name}.lock"):
        if path.exists():
            yield str(path)
    for top in map(Path, SHARED):
        if top.exists():
            yield str(top)
        for directory, directories, files in os.walk(top):
            for entry in (*directories, *files):
                path = Path(directory, entry)
                seen = f"{path} {_link(path)} {_text(path)}"
                if not path.is_socket() and not any(_mentions(seen, other) for other in others):
                    yield str(path)


def _dead_sockets(name: str) -> Iterator[str]:
    """Yield sockets that nobody serves, such as those of shims that were killed.

    A socket doesn't say whose it is: none is told where there are labs beside the tests' own.
    """
    if len(_others(name)) > 1:
        return
    for top in map(Path, SHARED):
        for path in top.rglob("*"):
            if path.is_socket():
                with socket.socket(socket.AF_UNIX) as client:
                    if client.connect_ex(str(path)) != 0:
                        yield str(path)


def _sysctls() -> Iterator[str]:
    for path in sorted(Path("/proc/sys").rglob("*")):
        name = str(path.relative_to("/proc/sys"))
        if path.is_file() and not name.startswith(VOLATILE):
            yield f"{name} = {_text(path).strip()}"


def _output(*argv: str) -> set[str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30)
    return set(done.stdout.splitlines())


def _groups(name: str) -> Iterator[str]:
    for directory, directories, __ in os.walk("/sys/fs/cgroup"):
        if Path(directory).name == CGROUP:
            directories[:] = [each for each in directories if each == name]
        for each in directories:
            # Where containers are that were given no group.
            if each in (name, "k8s.io", "kubepods") or "k8s.io" in directory:
                yield f"{directory}/{each}"


def footprint(name: str) -> dict[str, set[str]]:
    """Return kind → what there is of the lab ``name`` and of what all labs share."""
    mountinfo = [line.split(" ") for line in _text(Path("/proc/self/mountinfo")).splitlines()]
    return {
        "processes": set(_processes(name)),
        "namespaces": {path.name for path in Path("/run/netns").glob(f"{name}-*")},
        "mounts": {fields[4] for fields in mountinfo if _mentions(fields[4], name)},
        "nft": _output("nft", "list", "ruleset"),
        "interfaces": {line.split()[0] for line in _output("ip", "-brief", "link")},
        "groups": set(_groups(name)),
        "sysctls": set(_sysctls()),
        "files": set(_files(name)),
        "sockets": set(_dead_sockets(name)),
    }


def difference(before: dict[str, set[str]], after: dict[str, set[str]]) -> list[str]:
    """Return what was added (``+``) and what is gone (``-``), one line each.

    Processes that have ended and dead sockets that are gone are none: they were others'.
    """
    added = [f"{kind}: + {item}" for kind in before for item in sorted(after[kind] - before[kind])]
    gone = [
        f"{kind}: - {item}"
        for kind in before
        if kind not in ("processes", "sockets")
        for item in sorted(before[kind] - after[kind])
    ]
    return added + gone
