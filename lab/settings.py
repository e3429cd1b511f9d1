# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, addresses and directories of a lab: the one home of each of these facts.

All addresses come from the documentation ranges and private space and live inside network
namespaces, so several labs can have the same ones at the same time.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Final

#: Directory of everything that labs write on this machine; one directory per lab below it.
BASE: Final = Path("/var/lib/kestrel-real-ip-lab")

#: Control group below which each lab has its own, in every hierarchy.
CGROUP: Final = "kestrel-real-ip-lab"

#: What all clones share: programs, images, virtual environments.
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kestrel-real-ip"

#: The checkout that this package stands in.
REPOSITORY: Final = Path(__file__).resolve().parent.parent

DEFAULT_NAME: Final = "demo"
NAME_PATTERN: Final = re.compile(r"[a-z][a-z0-9]{0,7}")


@dataclass(frozen=True)
class Network:
    """One switched network: an IPv4 and an IPv6 range on one bridge."""

    name: str
    ipv4: IPv4Network
    ipv6: IPv6Network


@dataclass(frozen=True)
class Host:
    """One network namespace: its addresses by network name, ``(IPv4, IPv6)`` each."""

    name: str
    role: str
    addresses: dict[str, tuple[IPv4Address, IPv6Address]]

    def ipv4(self, network: str) -> str:
        """Return the IPv4 address on ``network`` (``vpc`` or ``inet``)."""
        return str(self.addresses[network][0])

    def ipv6(self, network: str) -> str:
        """Return the IPv6 address on ``network`` (``vpc`` or ``inet``)."""
        return str(self.addresses[network][1])


VPC: Final = Network("vpc", IPv4Network("10.255.0.0/24"), IPv6Network("2001:db8:255::/64"))
INET: Final = Network("inet", IPv4Network("203.0.113.0/24"), IPv6Network("2001:db8:113::/64"))
NETWORKS: Final = {network.name: network for network in (VPC, INET)}

#: Addresses that the stand-in gives to load balancers.
VIPS_IPV4: Final = IPv4Network("198.51.100.0/24")
VIPS_IPV6: Final = IPv6Network("2001:db8:51::/64")

PODS_IPV4: Final = IPv4Network("10.244.0.0/16")
PODS_IPV6: Final = IPv6Network("2001:db8:244::/48")
SERVICES_IPV4: Final = IPv4Network("10.96.0.0/16")
SERVICES_IPV6: Final = IPv6Network("2001:db8:96::/112")


def _host(name: str, role: str, **numbers: int) -> Host:
    """Build a host whose address in each network is the network's plus the given number."""
    return Host(
        name,
        role,
        {
            network: (NETWORKS[network].ipv4[number], NETWORKS[network].ipv6[number])
            for network, number in numbers.items()
        },
    )


#: The switches' namespace: it has the bridges and no address.
SWITCH: Final = "sw"
MASTER: Final = _host("master", "control plane", vpc=2)
CLB: Final = _host("clb", "load balancer stand-in, registry, resolver, router", vpc=5, inet=1)
NODE1: Final = _host("node1", "node", vpc=11)
NODE2: Final = _host("node2", "node", vpc=12)
OPERATOR: Final = _host("operator", "where playbooks run", vpc=10, inet=10)
CLIENT: Final = _host("client", "outside client", inet=20)
CLIENT2: Final = _host("client2", "another outside client", inet=21)

NODES: Final = (NODE1, NODE2)
HOSTS: Final = {host.name: host for host in (MASTER, NODE1, NODE2, CLB, OPERATOR, CLIENT, CLIENT2)}

#: The API server's port on MASTER's address in the VPC.
API_PORT: Final = 6443
API_URL: Final = f"https://{MASTER.ipv4('vpc')}:{API_PORT}"

#: The registry stand-in, in the namespace of CLB.
REGISTRY_PORT: Final = 5000
REGISTRY_ADDRESS: Final = f"{CLB.ipv4('vpc')}:{REGISTRY_PORT}"

#: Where the API server asks the stand-in about new pods.
WEBHOOK_PORT: Final = 9443
WEBHOOK_ADDRESS: Final = f"{CLB.ipv4('vpc')}:{WEBHOOK_PORT}"

#: Where nothing listens, in the namespace of CLB: a connection is refused.
CLOSED_ADDRESS: Final = f"{CLB.ipv4('vpc')}:5999"

#: The resolver for the world outside and the one for pods, both in the namespace of CLB.
RESOLVER_INET: Final = CLB.ipv4("inet")
RESOLVER_VPC: Final = CLB.ipv4("vpc")


def pod_networks(node: Host) -> tuple[IPv4Network, IPv6Network]:
    """Return a node's pod ranges: 10.244.N.0/24 and 2001:db8:244:N::/64 for ``nodeN``."""
    number = NODES.index(node) + 1
    return (
        list(PODS_IPV4.subnets(new_prefix=24))[number],
        IPv6Network((int(PODS_IPV6.network_address) + (number << 64), 64)),
    )


@dataclass(frozen=True)
class Lab:
    """One lab: its name and, derived from it, every place that it occupies."""

    name: str

    @property
    def root(self) -> Path:
        """Directory of everything that this lab writes."""
        return BASE / self.name

    @property
    def kubeconfig(self) -> Path:
        """Administrator's kubeconfig, mode 0600."""
        return self.root / "kubeconfig"

    @property
    def bin(self) -> Path:
        """Link to the directory of the Kubernetes programs, kubectl among them."""
        return self.root / "bin"

    @property
    def clb(self) -> Path:
        """Directory of the load balancer stand-in: nginx.conf, hosts.d, switches.json."""
        return self.root / "clb"

    @property
    def ssh_config(self) -> Path:
        """Configuration with which ``ssh -F`` reaches the clients by their names."""
        return self.root / "ssh" / "config"

    @property
    def logs(self) -> Path:
        """Directory of the parts' logs, ``PART.log`` each."""
        return self.root / "log"

    @property
    def cgroup(self) -> str:
        """Path of this lab's control group below the root of each hierarchy."""
        return f"{CGROUP}/{self.name}"

    def command(self, words: str) -> str:
        """Return a command line of the lab as a person can type it where this program runs."""
        python = os.path.relpath(sys.executable)
        if python.startswith(".."):
            python = sys.executable
        named = self.name == (os.environ.get("REAL_IP_LAB") or DEFAULT_NAME)
        return f"{python} -m lab {'' if named else f'--name {self.name} '}{words}"

    def netns(self, host: str) -> str:
        """Return the name of a host's network namespace, as ``ip netns`` knows it."""
        return f"{self.name}-{host}"
