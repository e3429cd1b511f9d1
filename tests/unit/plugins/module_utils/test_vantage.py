# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the prober stands, from its own addresses and those of the cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils import _vantage
from ansible_collections.kestrel.real_ip.plugins.module_utils._vantage import (
    PLACES,
    Standpoint,
    find,
    is_contained,
    is_own,
    network,
    runs_kubelet,
)

NODES, PODS = ["10.255.0.11", "2001:db8::11"], {"10.244.1.7": "real-ip-a", "10.244.1.8": ""}


@pytest.mark.parametrize(
    ("own", "host", "said", "nodes", "pods", "expected"),
    [
        ("10.255.0.11", "n", "auto", NODES, PODS, Standpoint("node")),
        ("2001:db8::11", "n", "outside", NODES, PODS, Standpoint("node")),
        ("10.255.0.11", "n", "vpc", NODES, None, Standpoint("node", checked=False)),
        ("10.244.1.7", "real-ip-a", "auto", NODES, PODS, Standpoint("pod")),
        ("10.244.1.7", "real-ip-a", "outside", None, PODS, Standpoint("pod", checked=False)),
        ("10.244.1.7", "laptop", "auto", NODES, PODS, Standpoint("outside", checked=False)),
        ("10.244.1.7", "n", "outside", NODES, PODS, Standpoint("outside", False, said=True)),
        ("10.244.1.8", "laptop", "auto", NODES, PODS, Standpoint("pod")),
        ("203.0.113.9", "n", "auto", NODES, PODS, Standpoint("outside")),
        ("203.0.113.9", "n", "vpc", NODES, PODS, Standpoint("vpc", said=True)),
        ("203.0.113.9", "n", "node", NODES, PODS, Standpoint("node", said=True)),
        ("203.0.113.9", "n", "auto", None, None, Standpoint("outside", checked=False)),
        ("203.0.113.9", "n", "auto", NODES, None, Standpoint("outside", checked=False)),
        ("203.0.113.9", "n", "auto", [], {}, Standpoint("outside")),
        ("203.0.113.9", "n", "outside", None, PODS, Standpoint("outside", False, said=True)),
    ],
)
def test_find(
    own: str,
    host: str,
    said: str,
    nodes: list[str] | None,
    pods: dict[str, str] | None,
    expected: Standpoint,
) -> None:
    found = find(said, nodes, pods, [], lambda address: address == own, lambda: host)
    assert found == expected
    assert found.place in PLACES


@pytest.mark.parametrize(
    ("said", "nodes", "expected"),
    [
        ("auto", None, Standpoint("outside", checked=False, kubelet=True)),
        # Of another cluster, as is known, or as is said
        ("auto", NODES, Standpoint("outside")),
        ("outside", None, Standpoint("outside", checked=False, said=True)),
    ],
)
def test_where_a_kubelet_runs_may_be_a_node(
    said: str, nodes: list[str] | None, expected: Standpoint
) -> None:
    told: Any = (said, nodes, PODS, [], lambda _address: False, lambda: "n")
    assert find(*told, kubelet=lambda: True) == expected
    assert not find(*told, kubelet=lambda: False).kubelet


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("   1: 0100007F:2808 00000000:0000 0A 00000000:00000000 00:00000000", True),
        ("  12: 00000000:280A 00000000:0000 0A 00000000:00000000 00:00000000", True),
        # A connection to another one's, and another port
        ("   1: 0100007F:9C40 0200A8C0:280A 01 00000000:00000000 00:00000000", False),
        ("   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000", False),
    ],
)
@pytest.mark.parametrize("name", ["tcp", "tcp6"])
def test_a_kubelet_is_known_by_where_it_listens(
    tmp_path: Path, name: str, line: str, runs: bool
) -> None:
    wide = line.replace("0100007F:", f"{'0' * 24}01000000:") if name == "tcp6" else line
    heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"
    (tmp_path / name).write_text(f"{heading}{wide}\n")
    assert runs_kubelet(tmp_path) is runs
    assert not runs_kubelet(tmp_path / "none")


def test_a_long_pod_name_is_cut_in_the_host_name() -> None:
    name = "a" * 80
    found = find("auto", [], {"10.1.1.1": name}, [], lambda __: True, lambda: "a" * 63)
    assert found.place == "pod"


@pytest.mark.parametrize(
    ("name", "checked"), [("job-x2", False), ("b" * 80, True), ("other", True)]
)
def test_a_pod_may_be_at_work_before_its_address_is_known(name: str, checked: bool) -> None:
    found = find("auto", [], {}, [name], lambda __: False, lambda: "job-x2")
    assert found == Standpoint("outside", checked=checked)
    assert not find("auto", [], {}, ["b" * 80], lambda __: False, lambda: "b" * 63).checked
    # No dash at the end, and one with its domain
    ends = f"{'b' * 62}-7d9c5b8f6-x2x4q"
    assert not find("auto", [], {}, [ends], lambda __: False, lambda: "b" * 62).checked
    assert not find("auto", [], {}, ["job-0"], lambda __: False, lambda: "job-0.jobs.a.svc").checked


@pytest.mark.parametrize(
    ("standpoint", "inside", "known"),
    [
        (Standpoint("outside"), False, True),
        (Standpoint("outside", checked=False), False, False),
        (Standpoint("outside", checked=False, said=True), False, True),
        (Standpoint("node", checked=False), True, True),
    ],
)
def test_what_a_standpoint_tells(standpoint: Standpoint, inside: bool, known: bool) -> None:
    assert (standpoint.inside, standpoint.known) == (inside, known)


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("203.0.113.77", False),
        ("2001:db8:77::77", False),
        ("no address", False),
    ],
)
def test_is_own_on_this_machine(address: str, own: bool) -> None:
    assert is_own(address) == own


#: Of a machine with a further address of the same network, and one that isn't its own
_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 198.51.100.0/24 2 0 2
        |-- 198.51.100.0
           /24 link UNICAST
        |-- 198.51.100.20
           /32 host LOCAL
        |-- 198.51.100.21
           /32 link UNICAST
           /32 host LOCAL
        |-- 198.51.100.255
           /32 link BROADCAST
"""
_INET6 = "20010db80051000000000000000000ab 02 40 00 80     eth0\n"


@pytest.mark.parametrize(
    ("address", "any_may_be_bound", "own"),
    [
        ("198.51.100.20", False, True),
        # To it the machine speaks from the first address of the network.
        ("198.51.100.21", False, True),
        ("198.51.100.21", True, True),
        ("2001:db8:51::ab", True, True),
        ("198.51.100.22", False, False),
        ("198.51.100.22", True, False),
        ("198.51.100.255", True, False),
        ("2001:db8:51::ac", True, False),
    ],
)
def test_a_further_address_of_one_network_is_own(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    address: str,
    any_may_be_bound: bool,
    own: bool,
) -> None:
    (tmp_path / "fib_trie").write_text(_TRIE)
    (tmp_path / "if_inet6").write_text(_INET6)
    local = ("198.51.100.20", "198.51.100.21", "2001:db8:51::ab")
    monkeypatch.setattr(_vantage, "own_towards", lambda address: "198.51.100.20")
    monkeypatch.setattr(_vantage, "_binds", lambda one: any_may_be_bound or one in local)
    told = _vantage.local_addresses(tmp_path)
    monkeypatch.setattr(_vantage, "local_addresses", lambda: told)
    assert is_own(address) == own


def test_a_network_is_told_apart_from_those_of_other_machines_and_containers(
    tmp_path: Path,
) -> None:
    boots, spaces = ([tmp_path / f"{kind}{n}" for n in (1, 2)] for kind in ("boot", "space"))
    for number, path in enumerate([*boots, *spaces]):
        path.write_text(f"{number}\n")
    told = {network(boot, space) for boot in boots for space in spaces}
    assert len(told) == 4
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in told)
    assert network(boots[0], spaces[0]) == network(boots[0], spaces[0])
    # Another system than Linux
    other = network(tmp_path / "none", tmp_path / "none")
    assert other == network(tmp_path / "none", tmp_path / "none")
    assert other not in told


@pytest.mark.parametrize(
    ("mark", "interfaces", "contained"),
    [
        (True, {"lo": (1, 1), "eth0": (2, 17)}, True),
        # With Docker in it, or a private network's tunnel
        (True, {"lo": (1, 1), "eth0": (2, 17), "docker0": (3, 3)}, True),
        (True, {"lo": (1, 1), "tun0": (3, 3), "eth0": (2, 17)}, True),
        # In the machine's own network, beside what leads into other containers
        (True, {"lo": (1, 1), "device0": (2, 2), "veth0": (5, 2)}, False),
        (True, {"lo": (1, 1), "tap0": (2, 2)}, False),
        (True, {"lo": (1, 1)}, False),
        # With an address of the machine's own network
        (True, {"lo": (1, 1), "macvlan": (2, 17)}, False),
        (True, {"lo": (1, 1), "ipvlan": (2, 17)}, False),
        (False, {"lo": (1, 1), "eth0": (2, 17)}, False),
    ],
)
def test_a_container_is_told_by_its_mark_and_its_interfaces(
    tmp_path: Path, mark: bool, interfaces: dict[str, tuple[int, int]], contained: bool
) -> None:
    if mark:
        (tmp_path / ".dockerenv").touch()
    for name, (own, other) in interfaces.items():
        (tmp_path / "net" / name).mkdir(parents=True)
        (tmp_path / "net" / name / "ifindex").write_text(f"{own}\n")
        (tmp_path / "net" / name / "iflink").write_text(f"{other}\n")
        (tmp_path / "net" / name / "uevent").write_text(f"DEVTYPE={name}\nINTERFACE={name}\n")
        if name.startswith("device"):
            (tmp_path / "net" / name / "device").mkdir()
    # As bonding_masters, which is a file
    (tmp_path / "net" / "masters").touch()
    marks = [tmp_path / ".dockerenv", tmp_path / "none"]
    assert is_contained(marks, tmp_path / "net") is contained
    # As gVisor has none
    assert is_contained(marks, tmp_path / "none") is mark
