# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenSSH in the clients' namespaces, so that Ansible reaches them as it reaches any other host."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lab import processes, shell
from lab.api import Unanswered
from lab.machine import SSHD_EMPTY
from lab.parts import Part
from lab.settings import CLIENT, CLIENT2, Host, Lab

#: Hosts that can be logged in to, as root with the lab's key, from wherever their network reaches.
SERVERS: Final = (CLIENT, CLIENT2)

#: The name of the pair of keys with which one logs in; the servers' are called as the servers are.
_CLIENT_KEY: Final = "login"


def directory(lab: Lab) -> Path:
    """Return where keys and configurations are."""
    return lab.root / "ssh"


def _key(lab: Lab, name: str) -> Path:
    return directory(lab) / f"{name}.key"


def _home(lab: Lab) -> Path:
    """Return the home of who has logged in: the machine's root may have a shell set up there."""
    return directory(lab) / "home"


def _own(lab: Lab, host: Host, name: str) -> Path:
    return directory(lab) / f"{host.name}.{name}"


def ensure(lab: Lab) -> list[str]:
    """Make the keys that are missing, and the configurations; return the names of the keys made."""
    directory(lab).mkdir(mode=0o700, parents=True, exist_ok=True)
    _home(lab).mkdir(exist_ok=True)
    SSHD_EMPTY.mkdir(mode=0o755, exist_ok=True)

    def make(name: str) -> list[str]:
        key = _key(lab, name)
        if key.exists() and _public(key).exists():
            return []
        draft = key.with_suffix(".new")
        for path in (draft, _public(draft)):
            path.unlink(missing_ok=True)
        shell.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", lab.netns(name), "-f", draft]
        )
        _public(draft).replace(_public(key))
        draft.replace(key)
        return [name]

    names = (_CLIENT_KEY, *(host.name for host in SERVERS))
    made = [name for found in shell.parallel(make, names) for name in found]
    shell.write(directory(lab) / "authorized_keys", _public(_key(lab, _CLIENT_KEY)).read_text())
    shell.write(directory(lab) / "known_hosts", _known_hosts(lab))
    shell.write(lab.ssh_config, _client_configuration(lab))
    for host in SERVERS:
        shell.write(_own(lab, host, "sshd_config"), _server_configuration(lab, host))
    return made


def _public(key: Path) -> Path:
    return key.with_name(f"{key.name}.pub")


def _known_hosts(lab: Lab) -> str:
    lines = []
    for host in SERVERS:
        kind, key = _public(_key(lab, host.name)).read_text().split()[:2]
        names = (host.name, host.ipv4("inet"), host.ipv6("inet"))
        lines.append(f"{','.join(names)} {kind} {key}\n")
    return "".join(lines)


def _client_configuration(lab: Lab) -> str:
    hosts = "".join(
        f"Host {host.name}\n    HostName {host.ipv4('inet')}\n    HostKeyAlias {host.name}\n"
        for host in SERVERS
    )
    # Labs have the same addresses, so that a shared connection could lead into another one.
    return f"""\
{hosts}Host *
    User root
    IdentityFile {_key(lab, _CLIENT_KEY)}
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {directory(lab) / "known_hosts"}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    PreferredAuthentications publickey
    BatchMode yes
    ConnectTimeout 10
    ControlMaster no
    ControlPath none
"""


def _server_configuration(lab: Lab, host: Host) -> str:
    # Without PAM and without terminals nothing is written to the machine's lists of sessions and of
    # logins. So Ansible needs pipelining here, which the playbooks set.
    return f"""\
ListenAddress {host.ipv4("inet")}
ListenAddress {host.ipv6("inet")}
PidFile {_own(lab, host, "pid")}
HostKey {_key(lab, host.name)}
AuthorizedKeysFile {directory(lab) / "authorized_keys"}
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers root
UsePAM no
UseDNS no
PermitTTY no
PermitUserRC no
SetEnv HOME={_home(lab)}
PrintLastLog no
PrintMotd no
X11Forwarding no
AllowAgentForwarding no
AllowTcpForwarding no
MaxStartups 100
LogLevel VERBOSE
Subsystem sftp internal-sftp
"""


def parts(lab: Lab) -> tuple[Part, ...]:
    """Return the servers."""
    # It starts itself anew for each connection, which takes the whole path.
    program = shutil.which("sshd", path=shell.ENVIRONMENT["PATH"]) or "/usr/sbin/sshd"
    return tuple(_part(lab, host, program) for host in SERVERS)


def _part(lab: Lab, host: Host, program: str) -> Part:
    name = f"{host.name}-sshd"
    configuration = _own(lab, host, "sshd_config")
    return Part(
        name,
        host.name,
        # By `ip netns exec`, for the client's own resolver and accounts: see ``network``.
        (
            *("ip", "netns", "exec", lab.netns(host.name)),
            *(program, "-D", "-e", "-f", str(configuration)),
        ),
        _serves(lab, name, _own(lab, host, "pid")),
        reads=(configuration, _key(lab, host.name), directory(lab) / "authorized_keys"),
    )


def _serves(lab: Lab, name: str, pid_file: Path) -> Callable[[], str]:
    def check() -> str:
        process = processes.recorded(lab, name)
        try:
            serving = int(pid_file.read_text())
        except (OSError, ValueError):
            serving = None
        # It writes the file once it listens. Asking it would be held against the address that asks.
        if process is None or serving != process.pid:
            raise Unanswered("has not begun to serve")
        if not SSHD_EMPTY.is_dir():
            raise Unanswered(f"{SSHD_EMPTY} is missing, which it needs for each connection")
        return "serves"

    return check
