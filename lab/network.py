# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's network: namespaces, links, addresses, routes; wanted as data, compared, repaired.

Nothing is made in the machine's own namespace, and nothing has an uplink.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from pathlib import Path
from typing import Any, Final

from lab import shell
from lab.settings import (
    CLB,
    CLIENT,
    CLIENT2,
    HOSTS,
    NETWORKS,
    NODES,
    OPERATOR,
    RESOLVER_INET,
    SWITCH,
    Host,
    Lab,
    pod_networks,
)
from lab.shell import LabError, parallel, run

NAMESPACES: Final = Path("/run/netns")
#: What ``ip netns exec`` mounts over /etc, by namespace.
ETC: Final = Path("/etc/netns")

_CLONE_NEWNET: Final = 0x40000000
_libc: Final = ctypes.CDLL(None, use_errno=True)

#: Written below /proc/sys/net before any link exists, so that links are born with them.
_SYSCTLS: Final = {
    # Packets arrive on one way and leave on another on purpose (direct access, transparent proxy).
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    # Addresses must be usable at once; duplicate address detection takes a second each.
    "ipv6/conf/all/accept_dad": "0",
    "ipv6/conf/default/accept_dad": "0",
}
_ROUTER_SYSCTLS: Final = {
    "ipv4/ip_forward": "1",
    "ipv6/conf/all/forwarding": "1",
}
_BALANCER_SYSCTLS: Final = {
    # nginx starts with the addresses of its last configuration, before they are put there again.
    "ipv4/ip_nonlocal_bind": "1",
    "ipv6/ip_nonlocal_bind": "1",
    # Nodes send their answers for clients in the VPC through here, and are not to learn better.
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
}
_NODE_SYSCTLS: Final = {
    # A pod that reaches a pod beside it through a Service: the answer crosses the bridge only,
    # and must be translated back there.
    "bridge/bridge-nf-call-iptables": "1",
    "bridge/bridge-nf-call-ip6tables": "1",
}
#: Hosts outside the cluster ask the resolver of the stand-in; there is no other name service.
OUTSIDE: Final = (OPERATOR.name, CLIENT.name, CLIENT2.name)
#: Their files below /etc: name → content and mode. Without PAM sshd turns away an account that is
#: locked, as root's is on many machines; the asterisk lets nobody in by a password either.
_FILES: Final = {
    "resolv.conf": (f"nameserver {RESOLVER_INET}\n", 0o644),
    "shadow": ("root:*:::::::\n", 0o600),
}

_ROUTERS: Final = frozenset({CLB.name, *(node.name for node in NODES)})


@dataclass(frozen=True)
class Namespace:
    """What one namespace must have.

    ``links``: interface name → bridge it belongs to, or None; ``addresses``: (interface,
    address/length); ``routes``: (range, next hop); ``sysctls``: path below /proc/sys/net → value.
    """

    name: str
    bridges: frozenset[str] = frozenset()
    links: dict[str, str | None] = field(default_factory=dict)
    addresses: frozenset[tuple[str, str]] = frozenset()
    routes: frozenset[tuple[str, str]] = frozenset()
    sysctls: dict[str, str] = field(default_factory=dict)


def port(network: str, host: str) -> str:
    """Return the name of the switch's interface towards a host; at most 15 characters."""
    return f"{network}-{host}"


def mac(network: str, host: Host) -> str:
    """Return the link address of a host: always the same, so that neighbours needn't forget it."""
    return "02:00:" + ":".join(f"{byte:02x}" for byte in host.addresses[network][0].packed)


def _wanted_host(lab: Lab, host: Host) -> Namespace:
    addresses = {
        (name, f"{address}/{length}")
        for name in host.addresses
        for address, length in (
            (host.ipv4(name), NETWORKS[name].ipv4.prefixlen),
            (host.ipv6(name), NETWORKS[name].ipv6.prefixlen),
        )
    }
    routes: set[tuple[str, str]] = set()
    if host != CLB:
        network = "inet" if "inet" in host.addresses else "vpc"
        routes |= {("0.0.0.0/0", CLB.ipv4(network)), ("::/0", CLB.ipv6(network))}
    if "vpc" in host.addresses and host != OPERATOR:
        for node in NODES:
            if node != host:
                ipv4, ipv6 = pod_networks(node)
                routes |= {(str(ipv4), node.ipv4("vpc")), (str(ipv6), node.ipv6("vpc"))}
    if host in NODES:
        # A balancer's connections keep the client's address, in the VPC as well. There it is the
        # network's own doing that answers come back to the balancer; here it is a route.
        routes |= {
            (f"{OPERATOR.ipv4('vpc')}/32", CLB.ipv4("vpc")),
            (f"{OPERATOR.ipv6('vpc')}/128", CLB.ipv6("vpc")),
        }
    return Namespace(
        lab.netns(host.name),
        links=dict.fromkeys(host.addresses),
        addresses=frozenset(addresses),
        routes=frozenset(routes),
        sysctls={
            **_SYSCTLS,
            **(_ROUTER_SYSCTLS if host.name in _ROUTERS else {}),
            **(_BALANCER_SYSCTLS if host == CLB else {}),
            **(_NODE_SYSCTLS if host in NODES else {}),
        },
    )


def wanted(lab: Lab) -> dict[str, Namespace]:
    """Return what each host's namespace, and the switch's, must have."""
    switch = Namespace(
        lab.netns(SWITCH),
        bridges=frozenset(NETWORKS),
        links={
            port(network, host.name): network
            for host in HOSTS.values()
            for network in host.addresses
        },
        sysctls=_SYSCTLS,
    )
    return {SWITCH: switch} | {host.name: _wanted_host(lab, host) for host in HOSTS.values()}


@contextlib.contextmanager
def inside(netns: str) -> Iterator[None]:
    """Be in a network namespace, with this thread only: for sockets and /proc/sys/net.

    Raises LabError if there is no such namespace. Don't start threads in there: they would stay.
    """
    with open("/proc/thread-self/ns/net", "rb") as own:
        try:
            with (NAMESPACES / netns).open("rb") as other:
                _enter(other.fileno(), netns)
        except OSError as error:
            raise LabError(f"The network namespace {netns} is missing.") from error
        try:
            yield
        finally:
            _enter(own.fileno(), "of the machine")


def _enter(descriptor: int, name: str) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise LabError(f"The network namespace {name} can't be entered: {reason}.")


def inode(netns: str) -> int | None:
    """Return the number by which the kernel knows a namespace, or None if there is none.

    A file left behind by an interrupted ``ip netns add`` is no namespace.
    """
    try:
        status = (NAMESPACES / netns).stat()
    except OSError:
        return None
    return status.st_ino if status.st_dev == os.stat("/proc/self/ns/net").st_dev else None


def inode_of(pid: int) -> int | None:
    """Return the number of the network namespace that a process is in, or None if it is gone."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return None


def inhabitants(namespaces: Iterable[str]) -> dict[int, str]:
    """Return id → namespace of all processes in any of the given namespaces."""
    by_inode = {inode(netns): netns for netns in namespaces}
    found = {}
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal():
            pid = int(directory.name)
            own = inode_of(pid)
            if own is not None and own in by_inode:
                found[pid] = by_inode[own]
    return found


def host_of_this_process(lab: Lab) -> str | None:
    """Return the host of the lab in whose namespace this program runs, or None."""
    own = inode_of(os.getpid())
    return next((host for host in wanted(lab) if inode(lab.netns(host)) == own), None)


def _ip(netns: str, *words: str) -> list[dict[str, Any]]:
    objects: list[dict[str, Any]] = json.loads(run(["ip", "-n", netns, "-json", *words]) or "[]")
    return [entry for entry in objects if entry]


def _links(netns: str) -> dict[str, dict[str, Any]]:
    return {link["ifname"]: link for link in _ip(netns, "addr", "show")}


def lacking(namespace: Namespace) -> list[tuple[str, str]]:
    """Compare a namespace with what it must have.

    Returns (what a person calls it, line for ``ip -batch`` that puts it there) for whatever lacks,
    in the order in which the lines work. The line for a link is empty: see ``_connect``.
    """
    links = _links(namespace.name)
    found: list[tuple[str, str]] = []
    for bridge in sorted(namespace.bridges - links.keys()):
        # Snooping without a querier would hold back neighbour discovery.
        found.append((f"bridge {bridge}", f"link add {bridge} type bridge mcast_snooping 0"))
    for name, master in namespace.links.items():
        if name not in links:
            found.append((f"link {name}", ""))
        elif master and links[name].get("master") != master:
            found.append((f"{name} on bridge {master}", f"link set {name} master {master}"))
    for name in ("lo", *sorted(namespace.bridges), *namespace.links):
        if "UP" not in links.get(name, {}).get("flags", ()):
            found.append((f"{name} up", f"link set {name} up"))
    addresses = {
        (name, ip_interface(f"{address['local']}/{address['prefixlen']}"))
        for name, link in links.items()
        for address in link["addr_info"]
        if "local" in address
    }
    for name, text in sorted(namespace.addresses):
        if (name, ip_interface(text)) not in addresses:
            found.append((f"address {text}", f"addr replace {text} dev {name} nodad"))
    routes = {
        (_range_of(route, family), route.get("gateway"))
        for family in (4, 6)
        if namespace.routes
        for route in _ip(namespace.name, f"-{family}", "route", "show")
    }
    for text, gateway in sorted(namespace.routes):
        if (ip_network(text), gateway) not in routes:
            found.append((f"route {text}", f"route replace {text} via {gateway}"))
    return found


def _range_of(route: dict[str, Any], family: int) -> IPv4Network | IPv6Network:
    everything = "0.0.0.0/0" if family == 4 else "::/0"
    return ip_network(str(route["dst"]).replace("default", everything))


def _wrong_sysctls(namespace: Namespace) -> dict[str, str]:
    """Return the settings that differ from what they must be. One the kernel lacks is left out."""
    wrong = {}
    with inside(namespace.name):
        for path, value in namespace.sysctls.items():
            with contextlib.suppress(FileNotFoundError):
                if Path("/proc/sys/net", path).read_text().strip() != value:
                    wrong[path] = value
    return wrong


def _wrong_files(lab: Lab, host: str) -> list[str]:
    if host not in OUTSIDE:
        return []
    paths = {name: ETC / lab.netns(host) / name for name in _FILES}
    return [
        name
        for name, path in paths.items()
        if not path.exists() or path.read_text() != _FILES[name][0]
    ]


def problems(lab: Lab) -> list[str]:
    """Return what lacks, each as ``host: thing``; empty if the network is as it must be."""

    def of(item: tuple[str, Namespace]) -> list[str]:
        host, namespace = item
        if inode(namespace.name) is None:
            return [f"{host}: namespace"]
        things = [thing for thing, __ in lacking(namespace)]
        things += _wrong_sysctls(namespace)
        things += _wrong_files(lab, host)
        return [f"{host}: {thing}" for thing in things]

    return [problem for found in parallel(of, wanted(lab).items()) for problem in found]


def ensure(lab: Lab) -> list[str]:
    """Put the network in place; return what lacked, each as ``host: thing``.

    ``host: namespace`` in the answer means that whatever ran in that host before is cut off.
    """
    found = problems(lab)
    if not found:
        return []
    namespaces = wanted(lab)
    # One after the other: `ip netns add` prepares the directory that they share.
    for namespace in namespaces.values():
        if inode(namespace.name) is None:
            (NAMESPACES / namespace.name).unlink(missing_ok=True)
            run(["ip", "netns", "add", namespace.name])
    for host, namespace in namespaces.items():
        with inside(namespace.name):
            for path, value in _wrong_sysctls(namespace).items():
                Path("/proc/sys/net", path).write_text(value)
        for name in _wrong_files(lab, host):
            shell.write(ETC / namespace.name / name, *_FILES[name])
    _connect(lab)
    parallel(_repair, namespaces.values())
    return found


def _connect(lab: Lab) -> None:
    """Make the pairs of links between the switch and the hosts that lack one of their ends."""
    switch = _links(lab.netns(SWITCH))
    ends = {host: _links(lab.netns(host)) for host in HOSTS}
    lines: list[str] = []
    for host in HOSTS.values():
        for network in host.addresses:
            name = port(network, host.name)
            if name in switch and network in ends[host.name]:
                continue
            if name in switch:
                lines.append(f"link del {name}")
            if network in ends[host.name]:
                run(["ip", "-n", lab.netns(host.name), "link", "del", network])
            lines.append(
                f"link add {name} type veth"
                f" peer name {network} address {mac(network, host)} netns {lab.netns(host.name)}"
            )
    if lines:
        _batch(lab.netns(SWITCH), lines)


def _repair(namespace: Namespace) -> None:
    _batch(namespace.name, [line for __, line in lacking(namespace) if line])


def _batch(netns: str, lines: list[str]) -> None:
    if lines:
        run(["ip", "-n", netns, "-batch", "-"], stdin="".join(f"{line}\n" for line in lines))


def leftovers(lab: Lab) -> tuple[list[Path], list[Path]]:
    """Return the files of the lab's namespaces and their directories below /etc, if any."""
    pattern = f"{lab.name}-*"
    hosts = {lab.netns(host) for host in (SWITCH, *HOSTS)}
    return (
        [path for path in NAMESPACES.glob(pattern) if path.name in hosts],
        [path for path in ETC.glob(pattern) if path.name in hosts],
    )
