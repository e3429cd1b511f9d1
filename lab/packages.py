# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian packages that a lab needs, installed where they are missing.

Nothing that an installation brings is started, now or at the next boot: the lab runs its own
instances in its own network namespaces, and the machine's ports are not the lab's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import settings
from lab.errors import SetupError
from lab.steps import Report, last_line, locked, run_with_progress


@dataclass(frozen=True)
class Package:
    """A package: what shows that it is there, what it is for, which services it would start.

    ``shows`` is a program on the path or the absolute path of a file: who has it from somewhere
    else, such as containerd from Docker's packages, needs no second one.
    """

    name: str
    shows: str
    why: str
    services: tuple[str, ...] = ()


PACKAGES: Final = (
    Package("containerd", "containerd", "runs the nodes' containers", ("containerd.service",)),
    Package("runc", "runc", "starts a container for containerd"),
    Package("containernetworking-plugins", "/usr/lib/cni/bridge", "connects pods to their node"),
    Package("nftables", "nft", "is the layer-4 load balancer", ("nftables.service",)),
    Package("iptables", "iptables", "is what kubelet and portmap set rules with"),
    Package("conntrack", "conntrack", "lets kube-proxy drop stale connections"),
    Package("iproute2", "ip", "makes network namespaces"),
    Package("nginx-light", "nginx", "is the layer-7 load balancer", ("nginx.service",)),
    Package("haproxy", "haproxy", "derives addresses in a second way", ("haproxy.service",)),
    Package("dnsmasq-base", "dnsmasq", "resolves names of load balancers"),
    Package(
        "openssh-server",
        "sshd",
        "makes client namespaces hosts for Ansible",
        ("ssh.service", "ssh.socket"),
    ),
    Package("openssh-client", "ssh", "reaches the client namespaces"),
    Package("util-linux", "nsenter", "enters network namespaces"),
    Package("mount", "mount", "mounts the volumes of pods"),
    Package("curl", "curl", "asks the demo app as a person would"),
    Package("kmod", "modprobe", "loads the kernel modules for bridges, overlays and nft"),
    Package("procps", "sysctl", "sets the forwarding of network namespaces"),
    Package("python3", "python3", "runs the probe in the client namespaces"),
)

#: Where Debian puts programs; a user's path may lack the sbin directories.
DIRECTORIES: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

OS_RELEASE: Final = Path("/etc/os-release")
SYSTEMS: Final = ("debian", "ubuntu")

#: Asked by Debian's maintainer scripts before they start a service; 101 forbids it.
POLICY: Final = Path("/usr/sbin/policy-rc.d")
POLICY_MARKER: Final = "# Written by the kestrel.real_ip lab for one installation of packages."
POLICY_TEXT: Final = f"#!/bin/sh\n{POLICY_MARKER}\nexit 101\n"

#: Seconds to wait for another package manager, such as unattended upgrades after a boot.
LOCK_TIMEOUT: Final = 300


def ensure(report: Report = print) -> None:
    """Install what is missing of :data:`PACKAGES`.

    :raises SetupError: where that can't be done here; nothing was changed then.
    """
    missing = [package for package in PACKAGES if not is_present(package)]
    if missing:
        install(
            [package.name for package in missing],
            ", ".join(f"{package.name} {package.why}" for package in missing),
            report,
            services=[service for package in missing for service in package.services],
        )
    elif os.geteuid() == 0:
        with locked(_lock(), report):
            _recover(report)


def is_present(package: Package) -> bool:
    """Tell whether what the package is for is on this machine, wherever it came from."""
    if package.shows.startswith("/"):
        return Path(package.shows).exists()
    return _program(package.shows) is not None


def install(
    names: Iterable[str], why: str, report: Report = print, *, services: Iterable[str] = ()
) -> None:
    """Install Debian packages without recommended ones, and start none of their services.

    Everything is downloaded before anything is installed.

    :param why: what needs them, as a phrase that follows their names.
    :param services: systemd units of the packages that must not start at the next boot either.
    :raises SetupError: where that can't be done here; nothing was changed then.
    """
    names = list(names)
    _check_system(f"the Debian packages {' '.join(names)} ({why})", names)
    with locked(_lock(), report):
        _recover(report)
        report(f"Installing the Debian packages {' '.join(names)}: {why}")
        _download([], names, report)
        with _no_service_starts():
            _apt(["install", *names], "Installing Debian packages", report)
        for service in services:
            _disable(service)


def download(names: Iterable[str], directory: Path, report: Report = print) -> list[Path]:
    """Download Debian packages and all that they depend on into ``directory``; install nothing.

    :returns: the package files, sorted.
    :raises SetupError: where they can't be had.
    """
    names = list(names)
    _check_apt(f"the Debian packages {' '.join(names)}")
    (directory / "partial").mkdir(parents=True, exist_ok=True)
    # Without a status file nothing is installed, so that the answer has every dependency. Without
    # caches of its own apt would store that view as the machine's.
    options = {
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
        "Dir::Cache::archives": f"{directory}/",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Dir::State::extended_states": "/dev/null",
        "Dir::State::status": "/dev/null",
    }
    _download([f"--option={name}={value}" for name, value in options.items()], names, report)
    return sorted(directory.glob("*.deb"))


def _check_system(what: str, names: list[str]) -> None:
    _check_apt(what)
    if os.geteuid() != 0:
        raise SetupError(
            f"Only root can install {what}: run this as root,"
            f" or first run: sudo apt-get install --no-install-recommends {' '.join(names)}"
        )


def _check_apt(what: str) -> None:
    system = _os_release()
    family = {system.get("ID", ""), *system.get("ID_LIKE", "").split()}
    name = system.get("PRETTY_NAME") or system.get("ID") or "unknown"
    if family.isdisjoint(SYSTEMS):
        raise SetupError(f"Debian or Ubuntu is needed for {what}; this system is {name}")
    if _program("apt-get") is None:
        raise SetupError(f"apt-get is needed for {what}; this system ({name}) has none")


def _os_release() -> dict[str, str]:
    try:
        lines = OS_RELEASE.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name: value.strip("\"'") for name, __, value in pairs}


def _program(name: str) -> str | None:
    return shutil.which(name, path=_path())


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *DIRECTORIES])


def _lock() -> Path:
    return settings.CACHE / "packages" / ".lock"


# apt-get


def _download(options: list[str], names: list[str], report: Report) -> None:
    """Download packages; where the lists of packages are missing or too old, refresh them once."""
    command = [*options, "--download-only", "install", *names]
    what = "Downloading Debian packages"
    try:
        _apt(command, what, report)
    except SetupError:
        report("Refreshing the lists of Debian packages")
        with contextlib.suppress(SetupError):  # A source that is down may be one not needed.
            _apt(["update"], "Refreshing the lists of Debian packages", report)
        _apt(command, what, report)


def _apt(arguments: list[str], what: str, report: Report) -> None:
    options = [
        "--yes",
        "--quiet",
        "--no-install-recommends",
        f"--option=DPkg::Lock::Timeout={LOCK_TIMEOUT}",
        "--option=Dpkg::Options::=--force-confold",
        "--option=Dpkg::Use-Pty=0",
    ]
    _run(["apt-get", *options, *arguments], what, report)


def _run(command: list[str], what: str, report: Report) -> None:
    log = _lock().with_name("apt.log")
    status = run_with_progress(
        command,
        what=what,
        log=log,
        report=report,
        environment=os.environ
        | {
            "DEBIAN_FRONTEND": "noninteractive",
            "LC_ALL": "C.UTF-8",
            "NEEDRESTART_SUSPEND": "1",  # It would restart services of the machine.
            "PATH": _path(),
        },
    )
    if status:
        raise SetupError(
            f"{what} failed: {last_line(log) or f'status {status}'};"
            f" look at {log}, then run this again"
        )


# Services


@contextlib.contextmanager
def _no_service_starts() -> Iterator[None]:
    """Forbid maintainer scripts to start services; a policy that the machine has is left alone."""
    # Linked into place, so that it is never seen without its marker and replaces nothing.
    draft = POLICY.with_name(f"{POLICY.name}.kestrel-real-ip")
    draft.write_text(POLICY_TEXT)
    draft.chmod(0o755)
    try:
        ours = True
        try:
            POLICY.hardlink_to(draft)
        except FileExistsError:
            ours = _is_ours()
    finally:
        draft.unlink()
    try:
        yield
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


def _is_ours() -> bool:
    try:
        return POLICY_MARKER in POLICY.read_text(errors="replace")
    except OSError:
        return False


def _recover(report: Report) -> None:
    """Finish an installation that was killed: its policy stands, and some packages may be half."""
    if _is_ours():
        report("Finishing an installation of Debian packages that was interrupted")
        with _no_service_starts():
            _run(["dpkg", "--configure", "-a"], "Configuring Debian packages", report)


def _disable(service: str) -> None:
    """Keep a service that an installation brought from starting at the next boot."""
    systemctl = _program("systemctl")
    if systemctl:
        # It fails for a unit that this release of the package doesn't have.
        subprocess.run([systemctl, "disable", "--quiet", service], capture_output=True, check=False)
