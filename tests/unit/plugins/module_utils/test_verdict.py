# SPDX-License-Identifier: GPL-3.0-or-later
"""From observations to the verdict: a row for each code, and next to it the case that it isn't."""

from __future__ import annotations

import ipaddress
import json
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import CODES, reservations
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    STRATEGIES,
    parse_ranges,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._echo import NONCE_HEADER, Answer
from ansible_collections.kestrel.real_ip.plugins.module_utils._forgery import (
    CANDIDATES,
    Forgery,
    Preface,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._vantage import Standpoint
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import (
    Cluster,
    Expectation,
    Finding,
    Path,
    Question,
    Sample,
    Strategy,
    judge,
    read,
    wanted,
)
from hypothesis import given, settings
from hypothesis import strategies as st

# The same examples in every run, however slow the machine; nothing is kept in the working tree.
settings.register_profile("units", deadline=None, database=None, derandomize=True, max_examples=150)
settings.load_profile("units")

CLIENT, CLIENT_6 = "203.0.113.20", "2001:db8:113::20"
BALANCER, BALANCER_6 = "198.51.100.10", "2001:db8:51::10"
NODE, BRIDGE, POD, SERVICE = "10.255.0.12", "10.244.1.1", "10.244.1.7", "10.96.0.9"
NAT, CDN, PUBLIC = "93.184.216.34", "151.101.1.140", "8.8.4.4"
CLUSTER = {
    "nodes": ["10.255.0.11", NODE],
    "pods": ["10.244.0.0/16"],
    "services": ["10.96.0.0/16"],
    "load_balancers": ["198.51.100.0/28"],
}
#: A cluster that has none of the addresses in 10.0.0.0/8
ELSEWHERE = {
    "nodes": ["192.168.7.1"],
    "pods": ["192.168.8.0/24"],
    "services": ["192.168.9.0/24"],
    "load_balancers": [],
}
NONCE = "f00d"


def answer(
    forwarded: str | None = CLIENT,
    headers: tuple[tuple[str, str], ...] = (),
    nonce: str = NONCE,
    **told: str,
) -> Answer:
    """An answer of the kestrel echo app; ``told``: peer, pod and node."""
    lines = [("Host", "echo.example.com"), (NONCE_HEADER, nonce), *headers]
    if forwarded is not None:
        lines.append(("X-Forwarded-For", forwarded))
    document: dict[str, Any] = {"kestrel": 1, "headers": lines, **told}
    if "peer" in told:
        document["peer"] = {"address": told["peer"], "port": 40000}
    return Answer(200, "OK", {"content-type": "application/json"}, json.dumps(document).encode())


def single(headers: dict[str, str], **members: Any) -> Answer:
    """httpbin's answer at /headers, or that of another app which tells further members."""
    document = {"headers": {NONCE_HEADER: NONCE, **headers}, **members}
    return Answer(200, "OK", {"content-type": "application/json"}, json.dumps(document).encode())


SHOWN = {"X-Forwarded-For": CLIENT}
HTTPBIN = {"args": {"show_env": "1"}, "origin": CLIENT, "url": "http://echo.example.com/get"}
REAL_IP = single({"X-Real-IP": CLIENT}, method="GET")
JOINED = single({"X-Real-IP": f"{NAT}, {CLIENT}"}, method="GET")
TAKEN = ("X-Real-IP", NAT, single({"X-Real-IP": NAT}, method="GET"))


class Case(NamedTuple):
    """What is asked and what was answered. An answer may be the code of a request that failed."""

    answers: Any = (answer(),)
    expected: tuple[str, ...] = (CLIENT,)
    source: str = "given"
    unanswered: Any = MappingProxyType({})
    asked_at: tuple[tuple[str, int], ...] = ()
    local: str = CLIENT
    remote: str = BALANCER
    is_own: bool = False
    layer: str = "l7"
    strategy: Strategy = Strategy("rightmost_trusted_count", trusted_count=1)
    cluster: Any = MappingProxyType({})
    pod_names: Any = MappingProxyType({})
    backends: tuple[str, ...] = ()
    samples: int = 1
    max_samples: int = 200
    unsent: int = 0
    standpoint: Standpoint = Standpoint()
    proxied: tuple[str, ...] = ()
    intercepted: tuple[str, ...] = ()
    balancer: str = ""
    unread: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()
    other_nodes: tuple[str, ...] = ()
    namespace: str = ""
    namesakes: tuple[str, ...] = ()
    #: Forged header and value, and what was answered; PROXY for that protocol's line.
    forged: tuple[tuple[str, str, Any], ...] = ()

    def question(self) -> Question:
        networks = parse_ranges(self.expected if self.source in ("given", "asked") else [])
        return Question(
            expectation=Expectation(
                self.source,
                tuple(networks),
                frozenset((ipaddress.ip_address(one), port) for one, port in self.asked_at),
                self.unanswered,
            ),
            strategy=Strategy("peer") if self.layer == "l4" else self.strategy,
            layer=self.layer,
            cluster=Cluster(**{key: parse_ranges(value) for key, value in self.cluster.items()}),
            pod_names=self.pod_names,
            backends=self.backends,
            samples=self.samples,
            max_samples=self.max_samples,
            standpoint=self.standpoint,
            proxied=parse_ranges(self.proxied),
            intercepted=parse_ranges(self.intercepted),
            load_balancer=self.balancer,
            forge=bool(self.forged),
            unread=self.unread,
            unready=self.unready,
            other_nodes=self.other_nodes,
            namespace=self.namespace,
            namesakes=frozenset(self.namesakes),
        )

    def path(self) -> Path:
        return Path("echo.example.com", 80, ipaddress.ip_address(self.remote), self.is_own)

    def read_one(self, one: Any, forgery: Forgery | None = None) -> Sample:
        if isinstance(one, str):
            return Sample(one, detail="why")
        return read(self.question(), self.path(), one, self.local, NONCE, forgery=forgery)

    def read(self) -> list[Sample]:
        return [self.read_one(one) for one in self.answers]

    def read_forged(self) -> list[tuple[Forgery, Sample]]:
        tried = [
            (
                Forgery(name, (), (value,), preface=Preface(1, value))
                if name == "PROXY"
                else Forgery(name, ((name, value),), (value,)),
                one,
            )
            for name, value, one in self.forged
        ]
        return [(forgery, self.read_one(one, forgery)) for forgery, one in tried]

    def judge(self) -> Finding:
        samples = self.read()
        planned = len(samples) + self.unsent
        return judge(self.question(), self.path(), samples, planned, self.read_forged())


class Row(NamedTuple):
    """``case`` gives ``code``; with ``change`` it gives ``instead``. ``says``: in the reason."""

    code: str
    case: Case
    change: dict[str, Any]
    instead: str
    says: tuple[str, ...] = ()


A, B = "real-ip-a", "real-ip-b"
GOOD_A, GOOD_B = answer(pod=A), answer(pod=B)
BAD_A, BAD_B = answer(NODE, pod=A), answer(NODE, pod=B)
RANGES = Strategy("rightmost_trusted_range", trusted_ranges=["10.0.0.0/8"])
X_REAL_IP = Strategy("single_header", header="X-Real-IP")
COUNT_2 = Strategy("rightmost_trusted_count", trusted_count=2)
LEFTMOST = Strategy("leftmost_non_private")

REAL_IP_LINE = answer(None, (("X-Real-IP", CLIENT),))
BESIDE = answer(None, (("x-real-ip", "6.6.6.6"), ("X-Real-IP", CLIENT)))
EMPTIED = answer(None, (("X-Real-IP", ""), ("X-Real-IP", CLIENT)))
SIDECAR = answer(None, (("X-Real-IP", "127.0.0.1"), ("X-Real-IP", CLIENT)))
ONLY_ITSELF = answer(None, (("X-Real-IP", "127.0.0.1"),))
XFF, QCLOUD = "X-Forwarded-For", "qcloud"
BELIEVED = ((XFF, "6.6.6.6", answer("6.6.6.6")),)
APPENDED = ((XFF, "6.6.6.6", answer(f"6.6.6.6, {CLIENT}")),)
LB_HEADERS = (("X-Stgw-Time", "1700000000.123"), ("X-Client-Proto", "http"))
MARKED = answer(headers=LB_HEADERS)
PEER = answer(peer=CLIENT)
OUTSIDE, SAID = Standpoint("outside"), Standpoint("outside", checked=False, said=True)
UNCHECKED = Standpoint("outside", checked=False)
NODE1, INSIDE_POD = Standpoint("node"), Standpoint("pod")

ROWS = (
    # --- preserved --------------------------------------------------------------------------------
    Row(
        "V001",
        Case(),
        {"answers": (answer("203.0.113.21"),)},
        "V206",
        (CLIENT, "; forgery not tested"),
    ),
    Row(
        "V001",
        Case((GOOD_A, "V503", GOOD_B), backends=(A, B)),
        {"backends": ()},
        "V415",
        ("of 3 requests 1 × connection refused",),
    ),
    Row("V001", Case(source="local"), {"local": "203.0.113.21"}, "V406"),
    Row("V001", Case((answer(PUBLIC),), source="inferred", local=PUBLIC), {"local": NODE}, "V401"),
    Row(
        "V001",
        Case(expected=("203.0.113.0/24",), cluster=CLUSTER),
        {"expected": ("203.0.113.0/28",)},
        "V206",
    ),
    Row("V001", Case((answer(f"6.6.6.6, {CLIENT}"),)), {"strategy": COUNT_2}, "V208"),
    Row(
        "V001",
        Case((answer(None, (("x-real-ip", CLIENT),)),), strategy=X_REAL_IP),
        {"strategy": Strategy("single_header", header="X-Client-IP")},
        "V209",
    ),
    Row("V001", Case((answer(f"{CLIENT}:4242"),)), {"answers": (answer(f"{CLIENT}x"),)}, "V210"),
    Row(
        "V001",
        Case((answer("2001:DB8:113:0::20"),), (CLIENT_6,), remote=BALANCER_6),
        {"remote": BALANCER},
        "V402",
    ),
    Row(
        "V002",
        Case((answer(),) * 20, backends=(A, B), samples=10),
        {"answers": (*(answer(),) * 19, "V509")},
        "V415",
        ("certain; forgery not tested",),
    ),
    # --- layer 4 ----------------------------------------------------------------------------------
    Row("V001", Case((PEER,), layer="l4"), {"answers": (answer(peer=CDN),)}, "V207", (CLIENT,)),
    Row("V001", Case((answer(None, peer=CLIENT),), layer="l4"), {"layer": "l7"}, "V409"),
    Row(
        "V001",
        Case((answer("6.6.6.6", peer=CLIENT),), layer="l4", cluster=CLUSTER),
        {"answers": (answer(CLIENT, peer=NODE),)},
        "V201",
    ),
    # --- from inside of the cluster ---------------------------------------------------------------
    Row(
        "V001",
        Case(
            *((answer(POD, LB_HEADERS),), (POD,)),
            local=POD,
            cluster=CLUSTER,
            standpoint=INSIDE_POD,
            balancer=QCLOUD,
        ),
        {"standpoint": OUTSIDE},
        "V403",
    ),
    # --- a private address at a public target -----------------------------------------------------
    Row(
        "V001",
        Case((answer("10.0.0.5", LB_HEADERS),), ("10.0.0.5",), remote=NAT, balancer=QCLOUD),
        {"balancer": ""},
        "V405",
    ),
    # --- forgeable --------------------------------------------------------------------------------
    Row(
        "V104",
        Case((PEER,), layer="l4", forged=(("PROXY", "6.6.6.6", answer(peer="6.6.6.6")),)),
        {"forged": (("PROXY", "6.6.6.6", PEER),)},
        "V001",
        ("PROXY TCP4 6.6.6.6", "made it 6.6.6.6"),
    ),
    Row(
        "V104",
        Case(forged=(("PROXY", "6.6.6.6", answer("6.6.6.6")),)),
        {"forged": (("PROXY", "6.6.6.6", "V516"),)},
        "V001",
    ),
    Row(
        "V101",
        Case((answer(CLIENT),), forged=((XFF, "6.6.6.6", answer("6.6.6.6")),)),
        {"forged": ((XFF, "6.6.6.6", answer(f"6.6.6.6, {CLIENT}")),)},
        "V001",
        ("X-Forwarded-For: 6.6.6.6", CLIENT),
    ),
    Row(
        "V101",
        Case(
            (answer(CLIENT, LB_HEADERS),),
            strategy=LEFTMOST,
            expected=(PUBLIC,),
            forged=((XFF, "6.6.6.6", answer(f"6.6.6.6, {PUBLIC}")),),
        )._replace(answers=(answer(PUBLIC),)),
        {"forged": ((XFF, "6.6.6.6", answer(PUBLIC)),)},
        "V001",
    ),
    Row(
        "V102",
        Case((answer(CLIENT),), forged=((XFF, "6.6.6.6", answer(None)),)),
        {"forged": ((XFF, "6.6.6.6", "V516"),)},
        "V001",
        ("no address",),
    ),
    # One of the range that isn't the prober's own may be anybody's, as a gateway's.
    Row(
        "V102",
        Case(
            (answer("10.9.9.9"),),
            ("10.0.0.0/8",),
            local="10.9.9.9",
            remote="10.200.0.1",
            cluster=ELSEWHERE,
            forged=(("Connection", XFF, answer("10.1.1.1")),),
        ),
        {"forged": (("Connection", XFF, answer("10.9.9.9")),)},
        "V001",
        ("made it 10.1.1.1",),
    ),
    # What stands there anyway, no client wrote.
    Row(
        "V001",
        Case((SIDECAR,), strategy=X_REAL_IP, forged=(("X-Real-IP", "127.0.0.1", SIDECAR),)),
        {"forged": (("X-Real-IP", "6.6.6.6", BESIDE),)},
        "V101",
    ),
    # That it stands first in an honest answer excuses nobody from being read in the client's place.
    Row(
        "V101",
        Case((SIDECAR,), strategy=X_REAL_IP, forged=(("X-Real-IP", "127.0.0.1", ONLY_ITSELF),)),
        {"forged": (("X-Real-IP", "127.0.0.1", SIDECAR),)},
        "V001",
        ("made it 127.0.0.1",),
    ),
    Row(
        "V102",
        Case((SIDECAR,), strategy=X_REAL_IP, forged=(("X-Real-IP", "6.6.6.6", ONLY_ITSELF),)),
        {"forged": (("X-Real-IP", "6.6.6.6", SIDECAR),)},
        "V001",
    ),
    # A line is added to the client's, and many applications read the first one.
    Row(
        "V101",
        Case((REAL_IP_LINE,), strategy=X_REAL_IP, forged=(("X-Real-IP", "6.6.6.6", BESIDE),)),
        {"forged": (("X-Real-IP", "6.6.6.6", REAL_IP_LINE),)},
        "V001",
        ("made it 6.6.6.6, in the first of several lines",),
    ),
    # Or the client's is emptied, and what those read is no address.
    Row(
        "V102",
        Case((REAL_IP_LINE,), strategy=X_REAL_IP, forged=(("X-Real-IP", "6.6.6.6", EMPTIED),)),
        {"answers": (EMPTIED,)},
        "V001",
        ("made it no address, in the first of several lines",),
    ),
    # --- lost -------------------------------------------------------------------------------------
    Row(
        "V201",
        Case((answer(NODE),), cluster=CLUSTER),
        {"cluster": {**CLUSTER, "nodes": []}},
        "V206",
        (NODE, "instead of 203.0.113.20"),
    ),
    Row("V201", Case((answer(NODE),), source="local", cluster=CLUSTER), {"cluster": {}}, "V406"),
    Row(
        "V202",
        Case((answer(BRIDGE),), cluster=CLUSTER),
        {"cluster": {"pods": ["10.244.2.0/24"]}},
        "V206",
    ),
    Row(
        "V202",
        Case((answer(POD),), cluster=CLUSTER, pod_names={POD: "proxy"}),
        {"answers": (answer(),)},
        "V001",
        ("(pod proxy)",),
    ),
    Row("V203", Case((answer(SERVICE),), cluster=CLUSTER), {"cluster": {}}, "V206"),
    Row("V204", Case((answer("198.51.100.3"),), cluster=CLUSTER), {"cluster": {}}, "V206"),
    Row("V204", Case((answer(BALANCER),)), {"remote": "198.51.100.11"}, "V206"),
    Row("V205", Case((answer("127.0.0.6"),)), {"answers": (answer("126.0.0.6"),)}, "V207"),
    Row("V205", Case((answer("::1"),), source="local"), {"answers": (answer("::2"),)}, "V406"),
    Row("V206", Case((answer("192.168.7.7"),)), {"source": "local"}, "V406"),
    Row("V207", Case((answer(CDN),)), {"expected": (CDN,)}, "V001", (CDN, CLIENT)),
    Row(
        "V208",
        Case((answer(f"{CLIENT}, {CDN}"),)),
        {"strategy": COUNT_2},
        "V001",
        ("entry 2 from the right", CDN),
    ),
    Row("V208", Case(strategy=COUNT_2), {"answers": (answer(NODE),)}, "V210"),
    Row(
        "V208",
        Case((answer(f"{CLIENT}, 10.1.1.1", (("X-Real-IP", "10.1.1.1"),)),), strategy=X_REAL_IP),
        {"answers": (answer(None, (("X-Real-IP", CLIENT),)),)},
        "V001",
    ),
    Row(
        "V208",
        Case((answer(f"{CLIENT}, {CDN}"),) * 2),
        {"answers": (answer(f"{CLIENT}, {CDN}"), answer(f"{CLIENT}, {CDN}, {CDN}"))},
        "V207",
    ),
    Row(
        "V208",
        Case((answer(f"{CLIENT}, {NODE}"),), source="local", cluster=CLUSTER),
        {"cluster": {}},
        "V406",
    ),
    Row(
        "V209",
        Case((answer(None, peer=NODE),)),
        {"answers": (answer("unknown", peer=NODE),)},
        "V210",
        ("X-Forwarded-For is missing", NODE),
    ),
    Row(
        "V209",
        Case((answer(None, (("X-Real-IP", CLIENT),), peer=CLIENT),)),
        {"answers": (answer(None, (), peer=CLIENT),)},
        "V409",
    ),
    Row("V210", Case((answer("unknown"),)), {"answers": (answer(None),)}, "V209", ("unknown",)),
    Row("V210", Case((answer(f"{CLIENT}, "),)), {"answers": (answer(CLIENT),)}, "V001")._replace(
        code="V208"
    ),
    # --- mixed ------------------------------------------------------------------------------------
    Row("V301", Case((GOOD_A, BAD_B)), {"answers": (GOOD_A, GOOD_B)}, "V001", (A, B, NODE)),
    Row(
        "V301",
        Case((GOOD_A, answer(None, peer=CLIENT, pod=B))),
        {"answers": (answer(None, peer=CLIENT, pod=B),)},
        "V409",
    ),
    Row("V302", Case((GOOD_A, BAD_A)), {"answers": (BAD_A, BAD_A)}, "V206", (A,)),
    Row("V303", Case((answer(), answer(NODE))), {"answers": (GOOD_A, BAD_B)}, "V301", ("1 of 2",)),
    Row(
        "V303",
        Case((answer(), answer(NODE)), source="local", cluster=CLUSTER),
        {"cluster": {}},
        "V406",
    ),
    # --- unproven ---------------------------------------------------------------------------------
    Row("V401", Case(source="inferred"), {"source": "local"}, "V001", (CLIENT,)),
    Row("V402", Case(remote=BALANCER_6), {"expected": (CLIENT, CLIENT_6)}, "V206", ("IPv6",)),
    Row(
        "V403",
        Case((answer(NODE),), source="local", local=NODE, cluster=CLUSTER),
        {"cluster": {}},
        "V001",
        (NODE,),
    ),
    Row(
        "V403",
        Case((answer(PUBLIC),), source="asked", expected=(POD,), cluster=CLUSTER),
        {"expected": (PUBLIC,)},
        "V001",
    ),
    Row(
        "V404",
        Case((answer("127.0.0.1"),), source="local", local="127.0.0.1", remote="127.0.0.2"),
        {"local": CLIENT},
        "V205",
    ),
    # Each machine has such containers, one that a proxy on the path runs on among them.
    Row(
        "V404",
        Case((answer("10.0.2.100"),), source="local", local="10.0.2.100", remote="192.168.50.10"),
        {"source": "given", "expected": ("10.0.2.100",)},
        "V001",
        ("10.0.2.100", "containers"),
    ),
    Row(
        "V413",
        Case(
            (answer("172.17.0.2"),),
            ("172.16.0.0/12",),
            local="172.17.0.2",
            cluster=CLUSTER,
            remote="192.168.50.10",
        ),
        {"answers": (answer("172.19.0.2"),), "local": "172.19.0.2"},
        "V001",
    ),
    # Of a whole network a proxy that tells nobody's address leaves that of the network.
    Row(
        "V413",
        Case((answer("8.8.4.0"),), ("8.8.0.0/16",), local="192.168.7.7", cluster=CLUSTER),
        {"answers": (answer("8.8.4.1"),)},
        "V001",
        ("8.8.4.0",),
    ),
    Row("V404", Case((answer(CDN),), ("169.254.0.0/16",)), {"expected": (PUBLIC,)}, "V207"),
    Row(
        "V405",
        Case((answer("10.0.0.9"),), ("10.0.0.9",), remote=PUBLIC),
        {"remote": BALANCER},
        "V001",
        ("10.0.0.9", PUBLIC),
    ),
    Row("V405", Case((answer(NAT),), remote=PUBLIC), {"expected": (NAT,)}, "V001", (NAT, CLIENT)),
    Row(
        "V406",
        Case((answer(NAT),), source="local"),
        {"source": "given"},
        "V207",
        (CLIENT, NAT, "address translation"),
    ),
    Row("V406", Case((answer(), answer(NAT)), source="local"), {"source": "given"}, "V303"),
    Row(
        "V407",
        Case((answer(nonce="beef"),)),
        {"answers": (answer(),)},
        "V001",
        ("cached, or not this request",),
    ),
    Row("V407", Case(("V503", "V503", answer(nonce="beef"))), {"answers": ("V503",)}, "V503"),
    Row(
        "V407",
        Case((answer(headers=((NONCE_HEADER, "beef"),)),)),
        {"answers": (answer(headers=((NONCE_HEADER, NONCE),)),)},
        "V001",
    ),
    Row("V409", Case((answer(None, peer=CLIENT),)), {"expected": (PUBLIC,)}, "V209", (CLIENT,)),
    Row(
        "V409",
        Case((answer(None, peer=CLIENT),), ("203.0.113.0/24",)),
        {"expected": ("203.0.114.0/24",)},
        "V209",
    ),
    Row(
        "V409",
        Case((answer(None, peer=CLIENT),), strategy=RANGES),
        {"answers": (answer(CLIENT, peer=NODE),)},
        "V001",
    ),
    # What a forged request shows isn't taken back by who has still to answer.
    Row(
        "V101",
        Case((GOOD_A,) * 20, backends=(A, B), forged=((XFF, "6.6.6.6", answer("6.6.6.6", pod=A)),)),
        {"forged": ((XFF, "6.6.6.6", answer(f"6.6.6.6, {CLIENT}", pod=A)),)},
        "V410",
    ),
    Row(
        "V302",
        Case(
            (answer(peer=CLIENT, pod=A),) * 20,
            layer="l4",
            backends=(A, B),
            forged=((XFF, "6.6.6.6", answer(peer=NODE, pod=A)),),
        ),
        {"forged": ((XFF, "6.6.6.6", answer(peer=CLIENT, pod=A)),)},
        "V410",
    ),
    # Nor is it by a doubt of what honest requests should show, while a client's choice is shown.
    *(
        Row("V101", case._replace(forged=BELIEVED), {"forged": APPENDED}, code, ("6.6.6.6",))
        for code, case in (
            ("V401", Case(source="inferred")),
            ("V402", Case(expected=(CLIENT_6,))),
            ("V406", Case((answer(NAT),), source="local")),
            ("V412", Case(source="asked", expected=(), unanswered={4: "timed out"})),
            ("V427", Case((answer(f"{CLIENT}, {NODE}"),), strategy=RANGES)),
        )
    ),
    Row(
        "V401",
        Case((answer("6.6.6.6"),), source="inferred", forged=BELIEVED),
        {"answers": (answer(),)},
        "V101",
    ),
    Row(
        "V401",
        Case(source="inferred", forged=((XFF, "6.6.6.6", answer(None)),)),
        {"source": "local"},
        "V102",
    ),
    Row(
        "V409",
        Case((answer(None, peer=CLIENT),), forged=BELIEVED),
        {"answers": (answer(),)},
        "V101",
    ),
    Row("V423", Case(standpoint=NODE1, forged=BELIEVED), {"standpoint": OUTSIDE}, "V101"),
    Row("V424", Case(standpoint=UNCHECKED, forged=BELIEVED), {"standpoint": SAID}, "V101"),
    Row(
        "V410",
        Case((GOOD_A,) * 20, backends=(A, B)),
        {"backends": (A,)},
        "V001",
        (f"{B}, only {A}",),
    ),
    Row(
        "V411",
        Case((answer(),) * 15, backends=(A, B), max_samples=15),
        {"answers": (answer(),) * 20, "max_samples": 20},
        "V002",
        ("max_samples",),
    ),
    Row(
        "V412",
        Case(source="asked", expected=(), unanswered={4: "timed out"}),
        {"expected": (CLIENT,), "unanswered": {6: "no address"}},
        "V001",
        ("timed out",),
    ),
    Row(
        "V413",
        Case((answer("10.9.9.9"),), ("10.0.0.0/8",)),
        {"expected": ("10.9.9.9",)},
        "V001",
        ("10.9.9.9", "10.0.0.0/8"),
    ),
    Row(
        "V413",
        Case((answer("10.9.9.9"),), ("10.9.0.0/16",), local="10.9.9.9", cluster={"nodes": [NODE]}),
        {"cluster": CLUSTER},
        "V001",
    ),
    # The end of a tunnel and the gateway of a network plugin, as no object names them.
    *(
        Row(
            "V413",
            Case((answer(peer=end),), (expected,), layer=layer, cluster=CLUSTER)
            if layer == "l4"
            else Case((answer(end),), (expected,), cluster=CLUSTER),
            {"local": end},
            "V001",
            (end, expected),
        )
        for layer in ("l4", "l7")
        for end, expected in (("100.64.0.2", "100.64.0.0/10"), ("10.7.3.214", "10.7.0.0/16"))
    ),
    Row(
        "V413",
        Case((answer("10.9.9.9"),), ("10.9.0.0/16",), cluster=CLUSTER),
        {"expected": ("10.9.9.9",)},
        "V001",
    ),
    # Nodes and load balancers have public addresses too, and with IPv6 pods.
    *(
        Row("V413", Case(expected=("203.0.113.0/24",), cluster=known), {"cluster": CLUSTER}, "V001")
        for known in ({}, *({k: v for k, v in CLUSTER.items() if k != kind} for kind in CLUSTER))
    ),
    Row("V413", Case((answer(PUBLIC),), ("8.8.0.0/16",)), {"expected": (PUBLIC,)}, "V001"),
    Row(
        "V413",
        Case((answer(CLIENT_6),), ("2001:db8:113::/48",), local=CLIENT_6, remote=BALANCER_6),
        {"cluster": CLUSTER},
        "V001",
    ),
    # A translator (NAT64) makes of a node's address, and of a private one, nobody else's.
    Row(
        "V201",
        Case(
            (answer("64:ff9b::aff:c"),),
            ("64:ff9b::a00:0/104",),
            remote=BALANCER_6,
            cluster=CLUSTER,
        ),
        {"answers": (answer("64:ff9b::808:404"),), "expected": ("64:ff9b::808:0/112",)},
        "V001",
    ),
    Row(
        "V413",
        Case(
            (answer("64:ff9b::a00:101"),),
            ("64:ff9b::a00:0/112",),
            remote=BALANCER_6,
            cluster=CLUSTER,
        ),
        {"local": "64:ff9b::a00:101"},
        "V001",
    ),
    # That a client can choose is known nevertheless.
    Row(
        "V101",
        Case(expected=("203.0.113.0/24",), forged=((XFF, "6.6.6.6", answer("6.6.6.6")),)),
        {"forged": ((XFF, "6.6.6.6", answer(f"6.6.6.6, {CLIENT}")),)},
        "V413",
    ),
    Row(
        "V414",
        Case((answer(f"{PUBLIC}, {CDN}"),), (PUBLIC,), strategy=LEFTMOST),
        {"strategy": COUNT_2},
        "V001",
    ),
    Row("V415", Case((*(answer(),) * 9, "V511")), {"answers": (answer(),) * 10}, "V001", ("1 of",)),
    Row("V415", Case((answer(),), unsent=1), {"unsent": 0}, "V001", ("deadline",)),
    Row("V415", Case((answer(), answer(nonce="beef"))), {"answers": (answer(),)}, "V001"),
    # That each backend has answered as well doesn't say what this one saw.
    Row(
        "V415",
        Case((GOOD_A, GOOD_B, answer(NODE, nonce="beef", pod=A)), backends=(A, B)),
        {"answers": (GOOD_A, GOOD_B)},
        "V001",
        ("1 of 3", "cached"),
    ),
    Row(
        "V416",
        Case((answer(BALANCER),), (BALANCER,)),
        {"remote": "198.51.100.11"},
        "V001",
        (BALANCER,),
    ),
    # The same address, as a translator has it
    Row(
        "V416",
        Case((answer("8.8.4.4"),), ("8.8.4.4",), remote="64:ff9b::808:404", local=CLIENT_6),
        {"remote": "64:ff9b::808:505"},
        "V001",
    ),
    Row(
        "V204",
        Case((answer("8.8.4.4"),), ("8.8.8.77",), remote="64:ff9b::808:404", local=CLIENT_6),
        {"remote": "64:ff9b::808:505"},
        "V207",
    ),
    Row("V417", Case(layer="l4"), {"answers": (answer(peer=CLIENT),)}, "V001"),
    Row(
        "V418",
        Case((answer(NODE),), (NODE,), source="asked", asked_at=((BALANCER, 8080),)),
        {"asked_at": ((CDN, 80),)},
        "V001",
        (NODE, BALANCER),
    ),
    Row(
        "V418",
        Case(source="asked", remote="127.0.0.1", asked_at=(("127.0.0.1", 80),)),
        {"asked_at": (("127.0.0.1", 8080),)},
        "V001",
    ),
    Row(
        "V419",
        Case((answer("10.1.1.9"),), (NAT,), source="asked", local="10.1.1.9"),
        {"source": "given"},
        "V206",
        ("10.1.1.9", NAT),
    ),
    Row(
        "V419",
        Case((answer("10.1.1.9"),), (NAT,), source="asked", local="10.1.1.9"),
        {"local": "10.1.1.8"},
        "V206",
    ),
    # httpbin leaves the header out; an app that joins lines doesn't show which one was the last.
    Row("V420", Case((single({}),)), {"answers": (single(SHOWN),)}, "V001", ("X-Forwarded-For",)),
    Row("V420", Case((single({}),)), {"answers": (single({}, method="GET"),)}, "V209"),
    Row("V420", Case((single({}),)), {"answers": (single({}, **HTTPBIN),)}, "V209"),
    Row(
        "V420",
        Case((single({"X-Real-IP": f"{CLIENT},{NAT}"}, method="GET"),), strategy=X_REAL_IP),
        {"answers": (single({"X-Real-IP": CLIENT}, method="GET"),)},
        "V001",
        ("X-Real-IP",),
    ),
    Row(
        "V420",
        Case((single({"X-Real-IP": f"{NAT},{CLIENT}"}, method="GET"),), strategy=X_REAL_IP),
        {"answers": (answer(headers=(("X-Real-IP", NAT), ("X-Real-IP", CLIENT))),)},
        "V001",
    ),
    Row(
        "V420",
        Case((REAL_IP,), strategy=X_REAL_IP, forged=(("X-Real-IP", NAT, JOINED),)),
        {"forged": (("X-Real-IP", NAT, REAL_IP),)},
        "V001",
    ),
    Row(
        "V101",
        Case((REAL_IP,), strategy=X_REAL_IP, forged=(("X-Real-IP", NAT, JOINED), TAKEN)),
        {"forged": (("X-Real-IP", NAT, JOINED),)},
        "V420",
    ),
    Row("V301", Case((GOOD_A, BAD_B, single({}))), {"answers": (GOOD_A, single({}))}, "V420"),
    Row(
        "V421",
        Case((PEER,), layer="l4", standpoint=NODE1),
        {"standpoint": OUTSIDE},
        "V001",
        ("the prober is a node of the cluster", CLIENT),
    ),
    Row(
        "V421",
        Case((answer(peer=BRIDGE),), layer="l4", cluster=CLUSTER, standpoint=INSIDE_POD),
        {"standpoint": OUTSIDE},
        "V202",
        ("the prober is a pod of the cluster", BRIDGE),
    ),
    Row(
        "V421",
        Case(
            *((PEER,), (CLIENT,)),
            layer="l4",
            standpoint=NODE1,
            proxied=("198.51.100.11",),
            local=NODE,
            cluster=CLUSTER,
        ),
        {"proxied": (BALANCER,)},
        "V001",
    ),
    Row(
        "V422",
        Case((PEER,), layer="l4", standpoint=UNCHECKED),
        {"standpoint": SAID},
        "V001",
        ("was not checked", CLIENT),
    ),
    Row(
        "V423",
        Case(standpoint=NODE1, balancer="qcloud", local=NODE),
        {"answers": (MARKED,)},
        "V001",
        ("X-Stgw-Time and X-Client-Proto", "a node"),
    ),
    Row("V423", Case((MARKED,), standpoint=INSIDE_POD), {"balancer": "qcloud"}, "V001"),
    # The marks of a load balancer behind a Service's, for which kube-proxy answered
    Row(
        "V423",
        Case((MARKED,), standpoint=INSIDE_POD, balancer="qcloud", intercepted=(BALANCER,)),
        {"intercepted": ()},
        "V001",
    ),
    Row(
        "V423",
        Case(
            (MARKED,),
            standpoint=INSIDE_POD,
            balancer="qcloud",
            cluster={"services": (BALANCER,)},
        ),
        {"cluster": {}},
        "V001",
    ),
    Row(
        "V424",
        Case((answer(headers=(("X-Stgw-Time", "1"),)),), standpoint=UNCHECKED, balancer="qcloud"),
        {"answers": (MARKED,)},
        "V001",
        ("was not checked", "qcloud"),
    ),
    Row("V424", Case(standpoint=UNCHECKED), {"standpoint": SAID}, "V001"),
    Row(
        "V425",
        Case((PEER,) * 20, layer="l4", backends=(A, B)),
        {"answers": (answer(peer=CLIENT, pod=A), answer(peer=CLIENT, pod=B))},
        "V001",
        ("2 pods",),
    ),
    Row("V425", Case((PEER,) * 20, layer="l4", backends=(A, B)), {"backends": (A,)}, "V002"),
    Row(
        "V427",
        Case((answer(f"{CLIENT}, {NODE}"),), strategy=RANGES),
        {"answers": (answer(f"{CLIENT}, {NODE}", peer=NODE),)},
        "V001",
        (CLIENT, "trusted_ranges"),
    ),
    Row(
        "V428",
        Case((answer("8.8.4.77"),), expected=("8.8.4.0/24",), local=PUBLIC, cluster=CLUSTER),
        {"local": "192.168.7.7"},
        "V001",
        ("8.8.4.77", PUBLIC),
    ),
    Row(
        "V428",
        Case((answer("203.0.113.77"),), expected=("203.0.113.77", CLIENT), local=CLIENT),
        {"expected": ("203.0.113.77",)},
        "V001",
    ),
    # Behind address translation, with a range that holds a proxy on the path too
    Row(
        "V430",
        Case(
            (answer("8.8.4.77, 8.8.4.82"),),
            expected=("8.8.4.0/24",),
            local="192.168.7.7",
            cluster=CLUSTER,
        ),
        {"answers": (answer("8.8.4.77"),)},
        "V001",
        ("8.8.4.82", "8.8.4.77"),
    ),
    Row(
        "V430",
        Case((answer(f"{CLIENT}, {NAT}"),), expected=(CLIENT, NAT), local="192.168.7.7"),
        {"local": NAT, "expected": (NAT,)},
        "V001",
    ),
    # The prober's own network may write what its proxies see inside, and nobody else has that.
    Row(
        "V430",
        Case((answer("8.8.8.77, 8.8.4.4"),), expected=("8.8.4.4",), local="192.168.7.7"),
        {"answers": (answer("192.168.7.7, 8.8.4.4"),)},
        "V001",
        ("8.8.4.4", "8.8.8.77"),
    ),
    # Before a private one it isn't that network's.
    Row(
        "V430",
        Case((answer("10.0.5.5, 10.0.1.1"),), ("10.0.1.1",), local="10.0.5.5", remote="10.0.9.9"),
        {"local": "10.0.5.6"},
        "V001",
        ("10.0.5.5 stands on the client's side",),
    ),
    Row(
        "V431",
        Case((MARKED,), standpoint=Standpoint(checked=False, kubelet=True), balancer="qcloud"),
        {"standpoint": UNCHECKED},
        "V001",
        ("on which a kubelet listens", CLIENT),
    ),
    Row(
        "V431",
        Case((MARKED,), standpoint=Standpoint("node", said=True), balancer="qcloud"),
        {"standpoint": Standpoint("pod", said=True)},
        "V001",
        ("which is a node by what vantage says", CLIENT),
    ),
    Row("V429", Case(local=BALANCER), {"local": CLIENT}, "V001", (BALANCER, CLIENT)),
    # To a further address of its own a machine speaks from another one.
    Row("V429", Case(is_own=True), {"is_own": False}, "V001", (BALANCER, CLIENT)),
    # --- answers to forged requests, which are as good as any on layer 4 -------------------------
    Row(
        "V426",
        Case((PEER,), layer="l4", forged=((XFF, "6.6.6.6", answer(peer="6.6.6.6")),)),
        {"forged": ((XFF, "6.6.6.6", PEER),)},
        "V001",
        ("told 6.6.6.6", f"{XFF}: 6.6.6.6"),
    ),
    Row(
        "V417",
        Case((PEER,), layer="l4", forged=((XFF, "6.6.6.6", answer()),)),
        {"forged": ((XFF, "6.6.6.6", answer(peer=NODE)), (XFF, "7.7.7.7", answer()))},
        "V303",
    ),
    Row(
        "V303",
        Case((PEER,), layer="l4", forged=((XFF, "6.6.6.6", answer(peer=NODE)),)),
        {"forged": ((XFF, "6.6.6.6", "V509"),)},
        "V001",
        ("1 of 2", NODE),
    ),
    Row(
        "V302",
        Case(
            (answer(peer=CLIENT, pod=A),),
            layer="l4",
            forged=((XFF, "6.6.6.6", answer(peer=NODE, pod=A)),),
        ),
        {"forged": ((XFF, "6.6.6.6", answer(peer=NODE, pod=B)),)},
        "V301",
    ),
    # Who takes the PROXY protocol from anybody doesn't hide what all other requests showed.
    Row(
        "V303",
        Case(
            (PEER,),
            layer="l4",
            forged=(
                ("PROXY", "6.6.6.6", answer(peer="6.6.6.6")),
                (XFF, "6.6.6.6", answer(peer=NODE)),
            ),
        ),
        {"forged": (("PROXY", "6.6.6.6", answer(peer="6.6.6.6")), (XFF, "6.6.6.6", PEER))},
        "V104",
        ("1 of 2", NODE),
    ),
    # --- no_answer --------------------------------------------------------------------------------
    Row("V503", Case(("V503", "V503", "V509")), {"answers": ("V503", "V509", "V509")}, "V509"),
    Row("V525", Case((), unsent=10), {"answers": (answer(),), "unsent": 0}, "V001"),
    Row("V601", Case(("V601", "V601")), {"answers": ("V601", "V504")}, "V504"),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.code}-not-{row.instead}")
def test_code(row: Row) -> None:
    finding = row.case.judge()
    assert finding.code == row.code, finding.reason
    assert finding.verdict == CODES[row.code].verdict
    for text in row.says:
        assert text in finding.reason
    neighbour = row.case._replace(**row.change).judge()
    assert neighbour.code == row.instead, neighbour.reason


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
def test_a_finding_is_complete(row: Row) -> None:
    finding = row.case.judge()
    for text in (finding.reason, finding.fix, *finding.warnings):
        assert text.isprintable()
        assert "{" not in text
        assert not text.endswith(".")
    assert bool(finding.fix) == (finding.verdict != "preserved")
    if finding.verdict == "preserved" and not row.case.forged:
        assert finding.reason.endswith("forgery not tested")
    if finding.verdict != "untested":
        assert row.case.remote in finding.reason


def test_nobody_is_told_to_expect_what_was_seen() -> None:
    seen = "192.0.2.77"
    wrong = [
        Case((answer(seen),), source=source, expected=expected, layer=layer, local=local)
        for source, expected in (("given", (CLIENT,)), ("local", ()), ("inferred", ()))
        for layer in ("l7", "l4")
        for local in (CLIENT, PUBLIC)
    ]
    fixes = {case.judge().fix for case in wrong}
    assert len(fixes) > 2
    named = [fix for fix in fixes if seen in fix]
    assert all("expected_source" not in fix for fix in named)


# --- Rules ----------------------------------------------------------------------------------------


def test_the_reason_names_the_fix_for_another_count() -> None:
    finding = Case((answer(f"{CLIENT}, {CDN}, {NODE}"),)).judge()
    assert (finding.code, "Set trusted_count: 3," in finding.fix) == ("V208", True)
    finding = Case(
        (answer(f"{CLIENT}, {CDN}"),), strategy=Strategy("rightmost_non_private")
    ).judge()
    assert "strategy: rightmost_trusted_count, trusted_count: 2" in finding.fix
    forwarded = (("Forwarded", f"for={CLIENT}, for={CDN}"),)
    strategy = Strategy("rightmost_trusted_count", "Forwarded", 1)
    finding = Case((answer(None, forwarded),), strategy=strategy).judge()
    assert "Set trusted_count: 2," in finding.fix


def test_local_and_inferred_refute_only_with_an_address_of_the_cluster() -> None:
    for source, local in (("local", CLIENT), ("inferred", PUBLIC)):
        for seen in (NAT, CDN, "192.168.1.1", "203.0.113.99"):
            case = Case((answer(seen),), source=source, local=local, cluster=CLUSTER)
            assert case.judge().code == "V406"
        for seen in (NODE, BRIDGE, POD, SERVICE, "198.51.100.3", BALANCER, "127.0.0.6"):
            case = Case((answer(seen),), source=source, local=local, cluster=CLUSTER)
            assert case.judge().verdict == "lost"


@pytest.mark.parametrize("code", ["V401", "V402", "V403", "V404", "V412", "V416"])
def test_without_a_usable_expectation_nothing_is_lost(code: str) -> None:
    cases = [row.case for row in ROWS if row.code == code]
    assert cases
    for case in cases:
        for seen in (CDN, NODE, None, "junk"):
            finding = case._replace(answers=(answer(seen),), cluster={}, forged=()).judge()
            if case.cluster:
                continue
            assert finding.verdict == "unproven", finding


def test_a_range_does_not_stand_for_addresses_that_are_not_the_clients() -> None:
    everything_else = ("64.0.0.0/2", "128.0.0.0/1", "0.0.0.0/2")
    for seen, code in (
        ("127.0.0.6", "V205"),
        (BALANCER, "V204"),
        ("169.254.1.1", "V206"),
        (NODE, "V201"),
    ):
        case = Case((answer(seen),), everything_else, cluster={"nodes": [NODE]})
        assert case.judge().code == code


def test_a_zone_is_no_match() -> None:
    case = Case((answer(f"{CLIENT_6}%eth0"),), (CLIENT_6,), remote=BALANCER_6)
    assert case.judge().code == "V206"
    assert case._replace(expected=("2001:db8::/32",)).judge().code == "V206"


def test_another_public_address_in_a_given_list_still_counts() -> None:
    case = Case((answer(PUBLIC),), ("10.0.0.5", PUBLIC), remote=NAT)
    assert case.judge().code == "V001"
    assert case._replace(answers=(answer("10.0.0.5"),)).judge().code == "V405"
    assert case._replace(answers=(answer(CDN),)).judge().code == "V207"


def test_the_worst_answer_of_a_backend_that_was_not_asked_for_counts() -> None:
    assert Case((GOOD_A, BAD_B), backends=(A,)).judge().code == "V301"
    assert Case((BAD_A,), backends=(A, B)).judge().verdict == "lost"


@pytest.mark.parametrize("told", [{"peer": NODE}, {"peer": "@"}, {}, {"peer": CDN}])
def test_no_header_makes_up_for_the_peer_on_layer_4(told: dict[str, str]) -> None:
    for source in ("given", "local", "inferred"):
        headers = (("X-Real-IP", CLIENT), ("Forwarded", f"for={CLIENT}"))
        case = Case((answer(CLIENT, headers, **told),), source=source, layer="l4", local=CLIENT)
        assert case.judge().verdict in ("lost", "unproven")


@pytest.mark.parametrize("standpoint", [NODE1, INSIDE_POD, UNCHECKED])
@pytest.mark.parametrize("layer", ["l4", "l7"])
@pytest.mark.parametrize("seen", [CLIENT, NODE, BRIDGE, BALANCER, CDN])
def test_from_inside_nothing_counts_without_the_balancer(
    standpoint: Standpoint, layer: str, seen: str
) -> None:
    case = Case((answer(seen, peer=seen),), (seen,), layer=layer, standpoint=standpoint)
    for cluster in ({}, CLUSTER):
        for source in ("given", "local"):
            told = case._replace(cluster=cluster, source=source, local=seen)
            assert told.judge().verdict == "unproven"


def test_pods_that_are_not_ready_yet_are_said() -> None:
    """As those of a rollout, of which a verdict about the former ones says nothing."""
    forged = ((XFF, "6.6.6.6", answer(f"6.6.6.6, {CLIENT}", pod=A)),)
    case = Case((answer(pod=A),) * 3, backends=(A,), forged=forged)
    assert case.judge().reason.endswith(f"showed {CLIENT} as the rightmost X-Forwarded-For entry")
    found = case._replace(unready=(B,)).judge()
    assert (found.code, found.coverage) == ("V001", "complete")
    assert found.reason.endswith(f"; not ready, and not asked: {B}")
    assert reservations(found.reason) == ["pods that weren't ready not asked"]


@pytest.mark.parametrize(("layer", "told"), [("l4", True), ("l7", False)])
def test_nodes_without_its_pods_are_said_on_layer_4(layer: str, told: bool) -> None:
    """A node can translate what it hands to its own pods, and nothing but these shows it."""
    peer = {"peer": CLIENT} if layer == "l4" else {}
    case = Case((answer(pod=A, **peer),), layer=layer, backends=(A,), other_nodes=("n2", "n3"))
    found = case.judge()
    assert found.code == "V001"
    assert ("; nodes without its pods: n2, n3" in found.reason) is told
    assert ("nodes without its pods" in reservations(found.reason)) is told
    # Where nodes may not be listed
    unknown = case._replace(other_nodes=()).judge().reason
    assert ("; nodes without its pods not known" in unknown) is told
    assert ("nodes without its pods not known" in reservations(unknown)) is told
    known = case._replace(other_nodes=(), cluster={"nodes": [NODE]}).judge().reason
    assert "nodes without" not in known


@pytest.mark.parametrize(
    ("expected", "local", "told"),
    [
        # Behind an address translation, a proxy of the same network would count as well.
        (("8.8.4.0/24",), "192.168.7.7", True),
        ((PUBLIC, "8.8.8.77"), "192.168.7.7", True),
        ((PUBLIC,), "192.168.7.7", False),
        (("8.8.4.0/24",), PUBLIC, False),
        # One of each family
        ((PUBLIC, CLIENT_6), "192.168.7.7", False),
    ],
)
def test_any_of_several_expected_addresses_counts_and_that_is_said(
    expected: tuple[str, ...], local: str, told: bool
) -> None:
    cluster = {kind: [] for kind in ("nodes", "pods", "services", "load_balancers")}
    found = Case((answer(PUBLIC),), expected, local=local, cluster=cluster).judge()
    assert found.code == "V001", found.reason
    assert (f"; any expected address counts, seen {PUBLIC}" in found.reason) is told
    assert ("any expected address counts" in reservations(found.reason)) is told


@pytest.mark.parametrize(
    ("own", "contained", "code"),
    [
        ("172.18.0.2", True, "V404"),
        ("192.168.16.2", True, "V404"),
        ("10.89.0.2", True, "V404"),
        ("2001:db8::2", True, "V404"),
        ("fd4d:6169:6c63::2", True, "V404"),
        ("fd00::100", False, "V404"),
        ("fd4d:6169:6c63::2", False, "V001"),
        # A virtual machine's, or a pod's of another cluster
        ("172.18.0.2", False, "V001"),
        ("10.0.0.5", True, "V001"),
        # Of which somebody has said that it is the client's
        ("172.18.0.2", None, "V001"),
    ],
)
def test_a_containers_own_address_proves_nothing(
    own: str, contained: bool | None, code: str
) -> None:
    given = {"expected": (own,)} if contained is None else {"source": "local"}
    at = Standpoint(contained=contained is not False)
    remote = "fd20::10" if ":" in own else "10.0.0.100"
    case = Case((answer(own),), local=own, remote=remote, standpoint=at, **given)
    assert case.judge().code == code


def test_a_pods_own_address_is_no_other_containers() -> None:
    """Docker leaves its mark in pods as well."""
    own, at = "172.18.0.7", Standpoint("pod", contained=True)
    answers = (answer(own, LB_HEADERS),)
    case = Case(answers, source="local", local=own, standpoint=at, balancer=QCLOUD)
    assert case.judge().code == "V001"
    assert case._replace(standpoint=at._replace(said=True)).judge().code == "V404"


@pytest.mark.parametrize(
    ("balancers", "code"),
    [([BALANCER], "V405"), ([PUBLIC], "V001"), ([], "V001"), (None, "V001")],
    ids=["in front", "the load balancer", "a name alone", "not known"],
)
def test_the_marks_speak_for_the_load_balancers_own_address(
    balancers: list[str] | None, code: str
) -> None:
    """What stands in front of it has another one, and is its client."""
    cluster = {} if balancers is None else {"load_balancers": balancers}
    marked = answer("10.0.0.5", headers=LB_HEADERS)
    case = Case((marked,), ("10.0.0.5",), remote=PUBLIC, balancer="qcloud", cluster=cluster)
    assert case.judge().code == code


@pytest.mark.parametrize(
    ("listed", "kept", "code"),
    [
        # From here to what stands in front, from there to a proxy here, and from it to the last one
        ("8.8.4.4, 151.101.1.140, 8.8.4.4", None, "V430"),
        ("8.8.4.4", "8.8.4.4, 151.101.1.140", "V430"),
        ("8.8.4.4", "8.8.4.4", "V001"),
        ("8.8.4.4, 8.8.4.4", None, "V001"),
        ("151.101.1.140, 8.8.4.4", None, "V001"),
    ],
)
def test_a_list_that_has_the_probers_own_address_twice_has_passed_its_machine(
    listed: str, kept: str | None, code: str
) -> None:
    lines = (("X-Original-Forwarded-For", kept),) if kept else ()
    case = Case((answer(listed, lines),), ("8.8.4.4",), local="8.8.4.4")
    assert case.judge().code == code
    # In a network of one's own likewise
    inside = {"8.8.4.4": "10.66.0.5", "151.101.1.140": "10.66.0.100"}
    for public, own in inside.items():
        listed = listed.replace(public, own)
        lines = tuple((name, value.replace(public, own)) for name, value in lines)
    again = Case((answer(listed, lines),), ("10.66.0.5",), local="10.66.0.5", remote="10.66.0.100")
    assert again.judge().code == code


def test_the_list_that_ingress_nginx_has_replaced_shows_a_proxy() -> None:
    kept = (("X-Original-Forwarded-For", "8.8.8.77"),)
    case = Case((answer("8.8.4.4", kept),), ("8.8.4.4",), local="192.168.7.7")
    found = case.judge()
    assert found.code == "V430"
    assert "8.8.8.77 stands on the client's side" in found.reason
    # A proxy of the prober's own network, or one that has the prober's address for its client
    for text in ("192.168.7.7", "8.8.4.4"):
        again = (answer("8.8.4.4", (("X-Original-Forwarded-For", text),)),)
        assert case._replace(answers=again).judge().code == "V001"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("198.51.100.99", CLIENT), True),
        (("", CLIENT), True),
        ((CLIENT, CLIENT), False),
        ((CLIENT,), False),
    ],
)
def test_who_reads_the_first_of_several_lines_is_warned(lines: tuple[str, ...], told: bool) -> None:
    answers = (answer(CLIENT, tuple(("X-Real-IP", line) for line in lines)),)
    found = Case(answers, strategy=X_REAL_IP).judge()
    assert found.code == "V001"
    warned = [text for text in found.warnings if "several lines" in text]
    assert len(warned) == int(told)
    if told:
        assert (lines[0] or "no address") in warned[0]


KEPT = "8.8.4.4, 151.101.1.140"


@pytest.mark.parametrize("local", ["8.8.4.4", "192.168.7.7"])
@pytest.mark.parametrize(
    ("listed", "strategy", "code"),
    [
        # It writes the client alone, or what it takes for it: its peer can have the same address.
        ("8.8.4.4", Strategy("rightmost_trusted_count", None, 1), "V430"),
        ("8.8.4.4", X_REAL_IP, "V430"),
        # What it adds tells its peer (compute-full-forwarded-for).
        (f"{KEPT}, 10.0.0.9", Strategy("rightmost_trusted_count", None, 3), "V001"),
        (f"{KEPT}, 10.0.0.9", X_REAL_IP, "V001"),
        (f"{KEPT}, 8.8.4.4", Strategy("rightmost_trusted_count", None, 3), "V430"),
        (f"{KEPT}, 8.8.4.4", Strategy("rightmost_trusted_count", None, 1), "V430"),
        (f"{KEPT}, 8.8.4.4", X_REAL_IP, "V430"),
        # A list that is left as it is tells it not: only who reads that needs no more.
        (KEPT, COUNT_2, "V001"),
        (KEPT, X_REAL_IP, "V430"),
    ],
)
def test_whom_an_ingress_nginx_behind_others_saw(
    listed: str, strategy: Strategy, code: str, local: str
) -> None:
    lines = (("X-Original-Forwarded-For", KEPT), ("X-Real-IP", "8.8.4.4"))
    case = Case((answer(listed, lines),), ("8.8.4.4",), local=local, strategy=strategy)
    assert case.judge().code == code


def test_what_was_not_tested_is_said_last() -> None:
    case = Case(standpoint=SAID)
    assert case.judge().reason.endswith("; vantage not checked; forgery not tested")
    for answered, end in ((answer(f"6.6.6.6, {CLIENT}"), "entry"), ("V516", "forgery not tested")):
        tried = case._replace(standpoint=OUTSIDE, forged=((XFF, "6.6.6.6", answered),))
        assert tried.judge().reason.endswith(end)
    other = case._replace(forged=(("X-Real-IP", "6.6.6.6", MARKED),))
    assert other.judge().reason.endswith("forgery not tested"), "not of the strategy's header"
    under = case._replace(forged=(("X_Forwarded_For", "6.6.6.6", answer()),))
    assert under.judge().reason.endswith("forgery not tested"), "of a name that may be dropped"
    for header in (XFF, "True-Client-IP"):
        partly = case._replace(forged=((XFF, "6.6.6.6", answer()), (header, "7.7.7.7", "V516")))
        assert "forgery tested in part (1 of 2 forged" in partly.judge().reason
    # A balancer that hashes what was forged leads every such request to one backend.
    hashed = case._replace(answers=(GOOD_A, GOOD_B), forged=((XFF, "6.6.6.6", GOOD_A),))
    assert hashed.judge().reason.endswith(f"; no forgery tested on {B}")
    # That of another header is none of the one that is read.
    hashed = hashed._replace(forged=(*hashed.forged, ("True-Client-IP", "6.6.6.6", GOOD_B)))
    assert hashed.judge().reason.endswith(f"; no forgery tested on {B}")


WEB_0, WEB_1 = (answer(pod=name) for name in ("web-0", "web-1"))
IN_A, IN_B = (answer(pod="web-0", namespace=space) for space in ("a", "b"))


@pytest.mark.parametrize(
    ("answers", "backends", "namesakes", "code"),
    [
        ((IN_A,), ("web-0",), (), "V001"),
        # Whose name it is doesn't matter where the namespace is told.
        ((IN_A,), ("web-0",), ("web-0",), "V001"),
        ((IN_B,), ("web-0",), (), "V410"),
        ((IN_A, IN_B), ("web-0",), (), "V001"),
        # Nobody else has the name.
        ((WEB_0,), ("web-0",), (), "V001"),
        ((WEB_0,) * 20, ("web-0",), ("web-0",), "V002"),
        ((WEB_0, WEB_1), ("web-0", "web-1"), ("web-0",), "V410"),
        # Whoever has the one, nobody told the other.
        ((WEB_0,) * 20, ("web-0", "web-1"), ("web-0", "web-1"), "V410"),
        ((WEB_0, WEB_1) * 10, ("web-0", "web-1"), ("web-0", "web-1"), "V002"),
        ((WEB_0, answer()) * 10, ("web-0", "web-1"), ("web-0", "web-1"), "V002"),
    ],
)
def test_a_pod_of_another_namespace_is_no_backend(
    answers: tuple[Any, ...], backends: tuple[str, ...], namesakes: tuple[str, ...], code: str
) -> None:
    case = Case(answers, backends=backends, namespace="a", namesakes=namesakes, max_samples=20)
    assert case.judge().code == code
    # Without a namespace, of whomever it was asked, names are all that tells pods apart.
    if not namesakes:
        assert case._replace(namespace="").judge().code == "V001"


def test_a_pod_of_another_namespace_is_named_with_it() -> None:
    case = Case((IN_A, IN_B), namespace="a")
    assert [sample.pod for sample in case.read()] == ["web-0", "b/web-0"]
    # Its address counts all the same: it is behind the same front.
    bad = case._replace(answers=(IN_A, answer(NODE, pod="web-0", namespace="b")))
    assert (bad.judge().code, "b/web-0" in bad.judge().reason) == ("V301", True)


ALL_UNREAD = ("node_ports", "service", "rivals", "url_takers")


@pytest.mark.parametrize(
    ("answers", "backends", "unread", "told"),
    [
        ((GOOD_A,), (A,), (), ""),
        ((GOOD_A,), (A,), ("node_ports",), "; ways around not looked for (no right to list nodes)"),
        # Who else may answer is no matter where each pod has named itself.
        ((GOOD_A,), (A,), ("rivals", "url_takers"), ""),
        (
            (answer(),) * 20,
            (A, B),
            ("rivals",),
            "; others that may answer not looked for (no right to list ingresses)",
        ),
        (
            (answer(),) * 20,
            (A, B),
            ALL_UNREAD,
            "; ways around not looked for (no right to list nodes, services); others that may "
            "answer not looked for (no right to list ingresses, services)",
        ),
    ],
)
def test_what_was_not_looked_for_is_said(
    answers: tuple[Any, ...], backends: tuple[str, ...], unread: tuple[str, ...], told: str
) -> None:
    """And doesn't change the verdict: what is there to be found isn't known."""
    case = Case(answers, backends=backends, samples=10, unread=unread)
    finding, before = case.judge(), case._replace(unread=()).judge()
    assert (finding.verdict, finding.code) == (before.verdict, before.code)
    end = "; forgery not tested"
    assert finding.reason == before.reason.removesuffix(end) + told + end
    bad = case._replace(answers=(answer("192.0.2.77"),) * 20).judge()
    assert (bad.verdict, "not looked for" in bad.reason) == ("lost", False)


NONE_B = answer(None, pod=B)


@pytest.mark.parametrize(
    ("answers", "forged", "code"),
    [
        # Whatever is forged, that pod shows the same, which is not what was forged.
        ((GOOD_A,), ((XFF, BAD_B), ("True-Client-IP", BAD_B)), "V301"),
        ((GOOD_A,), ((XFF, NONE_B), ("True-Client-IP", NONE_B), (XFF, GOOD_A)), "V301"),
        # Of one request it isn't known what changed it.
        ((GOOD_A,), ((XFF, BAD_B),), "V102"),
        ((GOOD_A,), ((XFF, BAD_B), ("True-Client-IP", GOOD_B)), "V102"),
        ((GOOD_A,), ((XFF, BAD_B), ("True-Client-IP", NONE_B)), "V102"),
        ((GOOD_A, GOOD_B), ((XFF, BAD_B), ("True-Client-IP", BAD_B)), "V102"),
        # What a client chooses or changes elsewhere weighs as before.
        ((GOOD_A,), ((XFF, BAD_B), (XFF, BAD_B), (XFF, answer(None, pod=A))), "V102"),
        ((GOOD_A,), ((XFF, BAD_B), (XFF, BAD_B), (XFF, answer("6.6.6.6", pod=A))), "V101"),
        ((GOOD_A,), ((XFF, answer("6.6.6.6", pod=B)), (XFF, answer("6.6.6.6", pod=B))), "V101"),
        # Pods that don't name themselves may all be one.
        ((answer(),), ((XFF, answer(NODE)), ("True-Client-IP", answer(NODE))), "V102"),
    ],
)
def test_a_bad_pod_that_met_forged_requests_alone_is_no_forgery(
    answers: tuple[Answer, ...], forged: tuple[tuple[str, Answer], ...], code: str
) -> None:
    tried = tuple((header, "6.6.6.6", told) for header, told in forged)
    finding = Case(answers, forged=tried).judge()
    assert finding.code == code, finding.reason
    assert (f"{A} saw {CLIENT} as" in finding.reason) is (code == "V301")
    assert (f"but {B} saw" in finding.reason) is (code == "V301")


def test_forged_headers_change_nothing_on_layer_4() -> None:
    forged = ((XFF, "6.6.6.6", answer("6.6.6.6", peer=CLIENT)),)
    assert Case((PEER,), layer="l4", forged=forged).judge().verdict == "preserved"


def test_a_private_value_does_not_test_who_passes_it_over() -> None:
    case = Case((answer(PUBLIC),), (PUBLIC,), strategy=LEFTMOST)
    for value, code in (("192.0.2.66", "V414"), ("6.6.6.6", "V001")):
        tried = case._replace(forged=((XFF, value, answer(PUBLIC)),))
        assert tried.judge().code == code


def test_the_nodes_own_address_is_nobodys_on_layer_4() -> None:
    case = Case((answer(peer=NODE),), (NODE,), layer="l4", standpoint=NODE1, proxied=(BALANCER,))
    assert case._replace(cluster=CLUSTER).judge().code == "V403"
    # Where it isn't known what the nodes' addresses are
    assert case.judge().code == "V421"


@pytest.mark.parametrize(
    ("expected", "own", "at", "code"),
    [
        (POD, POD, INSIDE_POD, "V001"),
        (POD, POD, Standpoint("pod", said=True), "V403"),
        # Another pod's, or what its node puts in the place of everybody's
        (POD, "10.244.1.8", INSIDE_POD, "V403"),
        (NODE, POD, INSIDE_POD, "V403"),
        (NODE, NODE, NODE1, "V403"),
        # What a node has in other networks, unless it is an address of an interface, which nobody
        # knows of a pod's node
        (NAT, NODE, NODE1, "V001"),
        (NAT, NODE, Standpoint("node", addresses=frozenset({NAT})), "V403"),
        (NAT, POD, INSIDE_POD, "V403"),
        (NAT, NAT, NODE1, "V403"),
        (NAT, NODE, Standpoint("node", said=True), "V403"),
        # Of which no status tells, as with --node-ip
        ("10.9.9.9", "10.9.9.9", NODE1, "V403"),
        ("10.9.9.9", "10.9.9.9", Standpoint("node", checked=False, said=True), "V431"),
        ("10.9.9.9", NODE, Standpoint("node", addresses=frozenset({"10.9.9.9"})), "V403"),
        ("10.9.9.9", "10.9.9.9", INSIDE_POD, "V001"),
        (NAT, NODE, OUTSIDE, "V403"),
    ],
)
def test_what_a_node_puts_in_the_place_of_everybodys_is_nobodys(
    expected: str, own: str, at: Standpoint, code: str
) -> None:
    """As behind a load balancer that sends to the prober's node, where pods of another one answer
    behind an nginx that writes the address of its peer.
    """
    cluster = {**CLUSTER, "nodes": [*CLUSTER["nodes"], NAT]}
    answers = (answer(expected, LB_HEADERS),)
    case = Case(answers, (expected,), local=own, cluster=cluster, standpoint=at, balancer=QCLOUD)
    assert case.judge().code == code


def test_who_may_be_a_node_proves_nothing_where_kube_proxy_leaves_the_address_alone() -> None:
    """What it sees of itself there is seen of everybody."""
    case = Case((PEER,), layer="l4", standpoint=UNCHECKED, proxied=(BALANCER,))
    assert case.judge().code == "V422"
    assert case._replace(standpoint=SAID).judge().code == "V001"
    said = Standpoint("node", checked=False, said=True)
    assert case._replace(standpoint=said, local=NODE).judge().code == "V421"
    known = case._replace(standpoint=said, local=NODE, cluster=CLUSTER)
    assert known.judge().code == "V001"
    assert known._replace(answers=(answer(peer=NODE),), expected=(NODE,)).judge().code == "V403"


def test_one_answer_without_a_name_does_not_make_up_for_a_silent_pod() -> None:
    case = Case((*(GOOD_A,) * 29, answer()), backends=(A, B))
    assert case.judge().code == "V410"


@pytest.mark.parametrize(
    ("honest", "forged", "expected"),
    [
        (CLIENT, f"6.6.6.6, {CLIENT}", ("rightmost_trusted_count", "X-Forwarded-For", 1)),
        (f"{CLIENT}, {CDN}", f"6.6.6.6, {CLIENT}, {CDN}", (*COUNT_2[:1], "X-Forwarded-For", 2)),
        (CLIENT, "6.6.6.6", None),
        (None, None, None),
        (CLIENT, "V516", None),
    ],
)
def test_the_safe_strategy_is_what_nothing_deceived(
    honest: str | None, forged: str | None, expected: tuple[Any, ...] | None
) -> None:
    told = forged if forged == "V516" else answer(forged)
    finding = Case((answer(honest),), forged=((XFF, "6.6.6.6", told),)).judge()
    assert (finding.safe and tuple(finding.safe.values())) == expected


def test_the_declared_strategy_is_preferred_where_it_is_safe() -> None:
    both = (("X-Real-IP", CLIENT),)
    tried = (
        (XFF, "6.6.6.6", answer(f"6.6.6.6, {CLIENT}", both)),
        ("X-Real-IP", "6.6.6.6", answer(CLIENT, both)),
    )
    case = Case((answer(CLIENT, both),), forged=tried)
    assert case.judge().safe == CANDIDATES[1]
    # Spelled in another way, and with a count that it doesn't look at
    for strategy in (X_REAL_IP, X_REAL_IP._replace(header="x-real-ip", trusted_count=2)):
        assert case._replace(strategy=strategy).judge().safe == {
            "strategy": "single_header",
            "header": "X-Real-IP",
        }


#: With another one more ranges than are told
FAR = ("192.0.2.0/26", "192.0.2.128/26", "192.0.2.224/27")


@pytest.mark.parametrize(
    ("strategy", "header", "is_told"),
    [
        (Strategy("rightmost_trusted_range", XFF, trusted_ranges=[CDN]), XFF, True),
        (Strategy("leftmost_non_private", XFF), XFF, False),
        (Strategy("rightmost_trusted_range", XFF, trusted_ranges=[CDN, *FAR]), XFF, False),
        (Strategy("rightmost_trusted_count", XFF, 5), XFF, False),
        (Strategy("single_header", "CF-Connecting-IP"), "CF-Connecting-IP", True),
        # Nothing was forged there
        (Strategy("single_header", "CF-Connecting-IP"), XFF, False),
    ],
)
def test_the_declared_strategy_is_advised_though_it_is_none_of_those_that_are_tried(
    strategy: Strategy, header: str, is_told: bool
) -> None:
    lines = (("CF-Connecting-IP", CLIENT),)
    shown = answer(f"6.6.6.6, {CLIENT}, {CDN}" if header == XFF else f"{CLIENT}, {CDN}", lines)
    honest = answer(f"{CLIENT}, {CDN}", lines)
    case = Case((honest,), strategy=strategy, forged=((header, "6.6.6.6", shown),))
    told = dict(case.judge().safe or {})
    assert (told == strategy.told) is is_told


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        (Strategy("peer", "X-Real-IP", 2), {"strategy": "peer"}),
        (Strategy("rightmost_trusted_count", None, 1), CANDIDATES[1]),
        (Strategy("single_header", "A", 2, []), {"strategy": "single_header", "header": "A"}),
        (
            Strategy("rightmost_trusted_range", trusted_ranges=["10.128.0.0/9", "10.0.0.1/9"]),
            {
                "strategy": "rightmost_trusted_range",
                "header": "X-Forwarded-For",
                "trusted_ranges": ["10.0.0.0/8"],
            },
        ),
    ],
)
def test_what_is_declared_is_told_as_far_as_it_is_looked_at(
    strategy: Strategy, told: dict[str, Any]
) -> None:
    assert strategy.told == told


def test_what_is_told_of_many_ranges_stays_small_and_tells_them_apart() -> None:
    several = [[f"192.0.2.{2 * number}" for number in range(count)] for count in (3, 90, 91)]
    told = [
        Strategy("rightmost_trusted_range", trusted_ranges=ranges).told["trusted_ranges"]
        for one in several
        for ranges in (one, one[::-1])
    ]
    assert told[0] == ["192.0.2.0/32", "192.0.2.2/32", "192.0.2.4/32"]
    assert told[2][:3] == told[0]
    assert told[2][3].startswith("87 more (sha256 ")
    assert told[::2] == told[1::2]
    assert len({str(one) for one in told}) == 3


def test_no_strategy_is_called_safe_that_reads_another_expected_address() -> None:
    """Of two that are expected, one is a proxy's, whoever asks."""
    ranges = Strategy("rightmost_trusted_range", trusted_ranges=["10.0.0.0/8", CDN, *FAR])
    told = answer(f"{CLIENT}, {CDN}", peer=NODE)
    forged = ((XFF, "6.6.6.6", answer(f"6.6.6.6, {CLIENT}, {CDN}", peer=NODE)),)
    case = Case((told,), (CLIENT, CDN), local=NAT, strategy=ranges, forged=forged)
    found = case.judge()
    assert (found.code, found.safe) == ("V001", CANDIDATES[2])
    # Which of the two is the client's, a strategy that reads neither doesn't tell.
    found = case._replace(strategy=X_REAL_IP).judge()
    assert (found.verdict, found.safe) == ("lost", None)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"standpoint": NODE1}, "V423"),
        ({"standpoint": UNCHECKED}, "V424"),
        ({"source": "asked", "asked_at": ((BALANCER, 443),)}, "V418"),
        ({"expected": (CLIENT, NAT), "local": NAT}, "V428"),
        ({"local": BALANCER}, "V429"),
    ],
)
def test_no_strategy_is_called_safe_where_the_way_or_the_expectation_is_in_doubt(
    change: dict[str, Any], code: str
) -> None:
    case = Case(forged=APPENDED)
    assert case.judge().safe == CANDIDATES[1]
    found = case._replace(**change).judge()
    assert (found.code, found.safe) == (code, None)


def test_forwarded_at_layer_4_is_said() -> None:
    case = Case((answer("6.6.6.6", peer=CLIENT),), layer="l4")
    assert any("X-Forwarded-For arrived" in text for text in case.judge().warnings)
    case = Case((answer(None, peer=CLIENT),), layer="l4")
    assert case.judge().warnings == []


@pytest.mark.parametrize(
    ("layer", "name", "arrives", "warned"),
    [
        ("l7", "X_Forwarded_For", True, True),
        ("l7", "X_Forwarded_For", False, False),
        # Of another header than the one that is read
        ("l7", "X_Real_IP", True, False),
        # With dashes it is the header itself, which is judged.
        ("l7", "X-Forwarded-For", False, False),
        ("l4", "X_Forwarded_For", True, False),
    ],
)
def test_a_name_with_underscores_that_arrives_is_told(
    layer: str, name: str, arrives: bool, warned: bool
) -> None:
    """Gunicorn before 22 and uWSGI make one variable of both names."""
    peer = {"peer": CLIENT} if layer == "l4" else {}
    told = answer(headers=((name, "6.6.6.6"),) if arrives else (), **peer)
    case = Case((answer(**peer),), layer=layer, forged=((name, "6.6.6.6", told),))
    finding = case.judge()
    assert finding.verdict == "preserved"
    assert any(f"{name} arrives as a client sends it" in one for one in finding.warnings) is warned


@pytest.mark.parametrize(
    ("strategy", "seen", "rival", "warned"),
    [
        (COUNT_2._replace(trusted_count=1), CLIENT, CDN, "X-Real-IP shows"),
        (COUNT_2._replace(trusted_count=1), CLIENT, CLIENT, None),
        (COUNT_2._replace(trusted_count=1), CLIENT, "junk", "no address"),
        (X_REAL_IP, CDN, CLIENT, "the rightmost X-Forwarded-For entry is"),
        (X_REAL_IP, CLIENT, CLIENT, None),
    ],
)
def test_another_address_in_the_other_header_is_a_warning_only(
    strategy: Strategy, seen: str, rival: str, warned: str | None
) -> None:
    case = Case((answer(seen, (("X-Real-Ip", rival),)),), strategy=strategy)
    finding = case.judge()
    assert finding.code == "V001"
    assert [warned in text for text in finding.warnings] == ([True] if warned else [])


@pytest.mark.parametrize(
    ("case", "code", "said"),
    [
        (Case((answer(PUBLIC),), local=PUBLIC), "V207", True),
        (Case((answer("10.9.9.9"),), local="10.9.9.9"), "V206", True),
        (Case((answer(PUBLIC),), local="10.9.9.9"), "V207", False),
        (Case((answer(PUBLIC),), local=PUBLIC, expected=(PUBLIC,)), "V001", False),
    ],
)
def test_the_probers_own_address_is_said_to_have_arrived(case: Case, code: str, said: bool) -> None:
    finding = case.judge()
    assert finding.code == code
    told = [text for text in finding.warnings if "the prober connected from" in text]
    assert len(told) == int(said)
    assert all(case.local in text and CLIENT in text for text in told)


def test_what_is_missing_is_said_without_an_expectation_too() -> None:
    case = Case((answer(None),), source="inferred")
    assert case.judge().code == "V401"
    assert case.judge().warnings == [
        "X-Forwarded-For is missing in 1 of 1 answers through echo.example.com (198.51.100.10:80)"
    ]


def test_hostile_text_is_escaped_and_shortened() -> None:
    evil = "\x1b[31m\u202e\x00\ud800\u2028" + "x" * 60_000
    case = Case((answer(evil, (("X-Real-IP", evil),), pod=evil, node=evil, peer=evil),))
    for changed in (case, case._replace(backends=(evil,)), case._replace(layer="l4")):
        finding = changed.judge()
        for text in (finding.reason, finding.fix, *finding.warnings):
            assert text.isprintable()
            assert len(text) < 3000
            text.encode()


# --- How many requests ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "backends", "more"),
    [
        ((), (), 10),
        ((answer(),) * 10, (), 0),
        ((answer(),) * 10, (A,), 0),
        ((answer(),) * 10, (A, B), 10),
        ((answer(),) * 20, (A, B), 0),
        ((GOOD_A,) * 10, (A, B), 40),
        ((GOOD_A,) * 49, (A, B), 1),
        ((GOOD_A,) * 50, (A, B), 0),
        ((GOOD_A,) * 9 + (GOOD_B,), (A, B), 0),
        (("V503",) * 10, (A, B), 0),
        ((answer(nonce="beef"),) * 10, (A, B), 0),
        ((answer(),) * 10, tuple("abcdefgh"), 40),
    ],
)
def test_wanted(answers: tuple[Any, ...], backends: tuple[str, ...], more: int) -> None:
    case = Case(answers, backends=backends, samples=10, max_samples=50)
    assert wanted(case.question(), case.read()) == more


# --- Promises -------------------------------------------------------------------------------------

ADDRESSES = st.sampled_from([CLIENT, NODE, BRIDGE, NAT, CDN, BALANCER, "127.0.0.6", CLIENT_6, "x"])
LISTS = st.none() | st.lists(ADDRESSES, max_size=3).map(", ".join)
ANSWERS = st.builds(
    answer,
    LISTS,
    st.sampled_from([(), (("X-Real-IP", CLIENT),), (("X-Real-IP", NODE),)]),
    st.sampled_from([NONCE, NONCE, NONCE, "beef"]),
)
SAMPLES = st.lists(ANSWERS | st.sampled_from(["V503", "V516", "V601"]), max_size=6)
STRATEGY = st.sampled_from(
    [
        Strategy("rightmost_trusted_count", trusted_count=1),
        COUNT_2,
        RANGES,
        X_REAL_IP,
        LEFTMOST,
        Strategy("rightmost_non_private"),
    ]
)
CASES = st.fixed_dictionaries(
    {
        "answers": SAMPLES,
        "expected": st.sampled_from(
            [(CLIENT,), (CLIENT, CLIENT_6), (CLIENT_6,), ("203.0.113.0/24",)]
        ),
        "source": st.sampled_from(["given", "asked", "local", "inferred"]),
        "local": st.sampled_from([CLIENT, NODE, NAT, BALANCER, "127.0.0.1", CLIENT_6]),
        "remote": st.sampled_from([BALANCER, BALANCER_6, NAT]),
        "strategy": STRATEGY,
        "cluster": st.sampled_from([{}, CLUSTER]),
        "backends": st.sampled_from([(), (A,)]),
        "unsent": st.integers(0, 2),
    }
).map(lambda given: Case(**given))


@given(CASES)
def test_preserved_is_only_what_was_shown(case: Case) -> None:
    """The verdict's definition, written down a second time, from the outside."""
    finding = case.judge()
    samples = case.read()
    shown = [sample.seen for sample in samples if sample.code == "V001"]
    if finding.verdict == "preserved":
        assert shown
        assert all(sample.code == "V001" for sample in samples) or finding.coverage == "complete"
        assert not case.unsent or finding.coverage == "complete"
        if case.source in ("local", "inferred"):
            assert {*shown} == {case.local}
        for text in shown:
            address = ipaddress.ip_address(text)
            assert address.version == ipaddress.ip_address(case.remote).version
            assert text not in (NODE, BRIDGE, BALANCER, "127.0.0.1", case.remote)
    if finding.verdict == "lost":
        assert not shown
    if finding.verdict == "mixed":
        assert shown


@given(CASES)
def test_the_order_of_answers_does_not_change_the_verdict(case: Case) -> None:
    backwards = case._replace(answers=case.answers[::-1])
    assert case.judge().verdict == backwards.judge().verdict


@pytest.mark.parametrize(
    ("case", "hidden"),
    [
        (Case(), None),
        (Case(source="inferred"), "V401"),
        (Case(expected=("203.0.113.0/24",)), "V413"),
        (Case((GOOD_A,) * 20, backends=(A, B)), "V410"),
        (Case((GOOD_A,) * 20, backends=(A,)), None),
        (Case((answer(),) * 19, backends=(A, B), max_samples=19), "V411"),
    ],
)
def test_a_client_that_can_choose_hides_no_doubt(case: Case, hidden: str | None) -> None:
    """Who accepts the one hasn't accepted the other."""
    alone, forged = case.judge(), case._replace(forged=BELIEVED).judge()
    assert (alone.doubt, forged.code) == (None, "V101")
    assert (forged.doubt or {}).get("code") == hidden
    assert hidden in (None, alone.code)
    assert hidden is None or f"({hidden})" in forged.reason


@pytest.mark.parametrize(
    ("told", "hidden"), [(answer(peer="7.7.7.7"), "V426"), (answer(), "V417"), (PEER, None)]
)
def test_who_takes_the_proxy_protocol_hides_no_doubt(told: Answer, hidden: str | None) -> None:
    """On layer 4 what other requests show is in doubt as well, whatever was forged in them."""
    forged = (("PROXY", "6.6.6.6", answer(peer="6.6.6.6")), (XFF, "7.7.7.7", told))
    finding = Case((PEER,), layer="l4", forged=forged).judge()
    assert (finding.code, (finding.doubt or {}).get("code")) == ("V104", hidden)
    assert f"showed {CLIENT} as" in finding.reason


def test_every_strategy_has_a_place_to_speak_of() -> None:
    for name in STRATEGIES:
        assert Strategy(name, "Forwarded", 3).where


@pytest.mark.parametrize(
    ("header", "seen", "fate"),
    [
        ("X-Real-IP", single(SHOWN), "untested"),
        ("X-Real-IP", single(SHOWN, **HTTPBIN), "dropped"),
        ("X-Real-IP", single(SHOWN, method="GET"), "dropped"),
        ("X_Real_IP", single(SHOWN, method="GET"), "untested"),
        ("X_Real_IP", single({**SHOWN, "X_Real_IP": NAT}, method="GET"), "passed_through"),
        ("X_Real_IP", single({**SHOWN, "X-Real-IP": NAT}, method="GET"), "passed_through"),
        ("X_Real_IP", answer(), "dropped"),
        ("Forwarded", single(SHOWN), "dropped"),
    ],
)
def test_what_the_app_leaves_out_was_not_dropped(header: str, seen: Answer, fate: str) -> None:
    case = Case((single(SHOWN, method="GET"),), forged=((header, NAT, seen),))
    assert case.judge().forgery == {header: fate}


@pytest.mark.parametrize(
    ("remote", "expected", "code"),
    [
        ("64:ff9b::c633:6401", (PUBLIC,), "V001"),
        # As who is told an address for each family
        ("64:ff9b::c633:6401", (CLIENT_6, PUBLIC), "V001"),
        ("64:ff9b::c633:6401", (CLIENT_6,), "V405"),
        (BALANCER_6, (PUBLIC,), "V402"),
    ],
)
def test_behind_a_translator_the_family_is_that_of_the_other_end(
    remote: str, expected: tuple[str, ...], code: str
) -> None:
    """Whoever has IPv6 alone meets a load balancer with IPv4 through NAT64, and is translated."""
    case = Case((answer(PUBLIC),), expected, remote=remote, local="2001:db8:64::5")
    assert case.judge().code == code


LONG = f"{'a' * 62}-7d9c5b8f6-x2x4q"


@pytest.mark.parametrize(
    ("told", "backends", "code"),
    [
        (LONG, (LONG,), "V001"),
        # The kubelet leaves no dash at the end of a host name.
        ("a" * 62, (LONG,), "V001"),
        ("a" * 61, (LONG,), "V410"),
        # That it may be another's, too
        ("a" * 62, (LONG, f"{LONG}x"), "V410"),
        ("a" * 62, ("a" * 62, LONG), "V410"),
    ],
)
def test_a_pod_is_known_by_the_host_name_that_is_made_of_a_long_name(
    told: str, backends: tuple[str, ...], code: str
) -> None:
    case = Case((answer(CLIENT, pod=told),), backends=backends)
    assert case.judge().code == code
    # Another one of that host name, as of a second Service, or one that is about to go
    assert case._replace(pod_names={"10.0.0.9": f"{LONG}y"}).judge().code == (
        code if told == LONG else "V410"
    )
