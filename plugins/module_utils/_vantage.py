# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the prober stands: from a node or a pod, a load balancer's address may never be reached.

kube-proxy answers there in the balancer's place, so that what a backend sees proves nothing about
the way of a client.
"""

from __future__ import annotations

import hashlib
import re
import socket
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from ipaddress import IPv6Address
from pathlib import Path
from typing import Callable, NamedTuple

#: What a user can say. ``vpc`` is only said, never found.
PLACES = ("auto", "outside", "vpc", "node", "pod")


class Standpoint(NamedTuple):
    """``place``: one of PLACES but ``auto``.

    ``checked``: nodes and pods are known and were compared; ``said``: the operator named a place;
    ``contained``: the prober is a container that Docker or Podman runs; ``kubelet``: where it isn't
    known whether it is a node, one listens on it; ``addresses``: of both, those of all interfaces,
    whatever a status tells.
    """

    place: str = "outside"
    checked: bool = True
    said: bool = False
    contained: bool = False
    kubelet: bool = False
    addresses: frozenset[str] = frozenset()

    @property
    def inside(self) -> bool:
        return self.place in ("node", "pod")

    @property
    def found_inside(self) -> bool:
        """Whether it has an address of a node, or of a pod of its name, whatever was said."""
        return self.inside and not self.said

    @property
    def believed_inside(self) -> bool:
        """Whether it is inside as was found, or as was said where nothing refutes that."""
        return self.inside and not (self.said and self.checked)

    @property
    def known(self) -> bool:
        """Whether the place is more than the absence of knowledge."""
        return self.inside or self.checked or self.said


def own_towards(address: str) -> str:
    """From which of its addresses this machine speaks to another one; empty without a route.

    Connecting a datagram socket asks the routing table and sends nothing.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def is_own(address: str) -> bool:
    """Whether an interface of this machine has the address.

    To an address of its own a machine speaks from that very address, but to a further one of the
    same network from the first.
    """
    if own_towards(address) == address:
        return True
    # Who may bind what is nobody's may bind any (net.ipv4.ip_nonlocal_bind).
    nobodys = _NOBODYS[":" in address]
    return _binds(address) and (not _binds(nobodys) or address in local_addresses())


#: Of those that are for documentation (RFC 5737, 3849), IPv4 and IPv6
_NOBODYS = ("192.0.2.1", "2001:db8::1")


def _binds(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
            return True
    except OSError:
        return False


_LOCAL = re.compile(r"\|-- (\S+)\n(?:\s+/\d+ .*\n)*?\s+/32 host LOCAL")


def local_addresses(proc: Path = Path("/proc/net")) -> set[str]:
    """Those of all interfaces, none where the system doesn't tell."""
    found: set[str] = set()
    with suppress(OSError, UnicodeDecodeError):
        found.update(_LOCAL.findall((proc / "fib_trie").read_text("ascii")))
    with suppress(OSError, UnicodeDecodeError):
        lines = (proc / "if_inet6").read_text("ascii").split("\n")
        found.update(str(IPv6Address(int(line[:32], 16))) for line in lines if line)
    return found


#: Where a kubelet listens, for the API server and for its own health, and kube-proxy for its own
_OF_NODES = (10250, 10248, 10256)
_LISTENS = re.compile(r"^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:0000 0A ", re.MULTILINE)


def runs_kubelet(proc: Path = Path("/proc/net")) -> bool:
    """Whether this machine looks like a node of some cluster, by what listens on it."""
    for name in ("tcp", "tcp6"):
        with suppress(OSError, UnicodeDecodeError):
            ports = _LISTENS.findall((proc / name).read_text("ascii"))
            if any(int(port, 16) in _OF_NODES for port in ports):
                return True
    return False


#: What Docker and Podman put into each container
_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))


def is_contained(marks: Iterable[Path] = _MARKS, interfaces: Path = Path("/sys/class/net")) -> bool:
    """Whether this is a container of Docker or Podman with a network of its own.

    There an interface has its other end elsewhere, and none is a device's, as one of the machine's
    own network is, which other containers' ends are in as well, or has an address of that.
    """
    if not any(mark.exists() for mark in marks):
        return False
    try:
        found = [one for one in interfaces.iterdir() if (one / "iflink").exists()]
        ends = [
            [(one / end).read_text("ascii").strip() for end in ("ifindex", "iflink")]
            for one in found
        ]
    except (OSError, UnicodeDecodeError):
        # A kernel of its own that shows none (gVisor)
        return True
    on_device = any((one / "device").exists() or _is_on_device(one) for one in found)
    return not on_device and any(here != there for here, there in ends)


#: Kinds of interfaces by which a container stands in its machine's network
_ON_DEVICE = ("DEVTYPE=macvlan", "DEVTYPE=ipvlan")


def _is_on_device(interface: Path) -> bool:
    try:
        return any(one in _ON_DEVICE for one in (interface / "uevent").read_text("ascii").split())
    except (OSError, UnicodeDecodeError):
        return False


def network(
    boot: Path = Path("/proc/sys/kernel/random/boot_id"), space: Path = Path("/proc/self/ns/net")
) -> str:
    """What tells this machine's network, or a container's own, from any other. Two vantage points
    with the same one are one.
    """
    try:
        told = f"{boot.read_text('ascii').strip()} {space.stat().st_ino}"
    except (OSError, UnicodeDecodeError):
        # No Linux, and so no network of a container's own
        told = f"{socket.gethostname()} {uuid.getnode()}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


#: Characters of a host name
MAX_HOST = 63


def host_of(pod: str) -> str:
    """The host name that the kubelet makes of a pod's name: so much of it, and no dash or dot at
    the end.
    """
    return pod[:MAX_HOST].rstrip("-.")


def find(
    said: str,
    nodes: Iterable[str] | None,
    pods: Mapping[str, str] | None,
    starting: Iterable[str] = (),
    own: Callable[[str], bool] = is_own,
    host_name: Callable[[], str] = socket.gethostname,
    more: bool = False,
    kubelet: Callable[[], bool] = runs_kubelet,
) -> Standpoint:
    """The prober's place; what is found overrides what was said (one of PLACES).

    ``nodes``: addresses; ``pods``: address → name, an empty name where it is not known; None for
    what could not be read. ``starting``: names and host names of pods whose addresses aren't known
    yet; ``more``: there may be others than all these.
    """

    def is_called(name: str) -> bool:
        # A pod may have its domain in its host name as well (setHostnameAsFQDN).
        told = host_name()
        return bool({name, host_of(name)} & {told, told.partition(".")[0]})

    # A pod can be at work before its status tells its address.
    known = nodes is not None and pods is not None and not more
    checked = known and not any(map(is_called, starting))
    for address, name in (pods or {}).items():
        if not own(address):
            continue
        if not name or is_called(name):
            return Standpoint("pod", checked)
        # Private addresses repeat themselves all over the world, and a pod can have another name.
        checked = False
    if any(own(address) for address in nodes or ()):
        return Standpoint("node", checked)
    if said != "auto":
        return Standpoint(said, checked, said=True)
    # Of which cluster, isn't known, and who says that it is another one is believed.
    return Standpoint("outside", checked, kubelet=not checked and kubelet())
