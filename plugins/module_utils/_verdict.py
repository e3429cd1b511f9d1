# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what the backends saw to a verdict: pure functions over plain data.

``read`` compares one answer with the expected address and gives it a code; ``wanted`` says whether
more requests are needed; ``judge`` draws the verdict of one address from the codes of its answers.

Two things hold throughout. What isn't shown is not preserved: a doubt about the expected address or
about an answer makes the verdict ``unproven``, whatever was seen. And only what is shown is lost:
where the expected address itself is in doubt, another one refutes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import groupby, starmap
from typing import Any, NamedTuple

from ansible_collections.kestrel.real_ip.plugins.module_utils._balancers import BALANCERS
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    CODES,
    UNSOUGHT,
    UNTESTED,
    VERDICTS,
    doubt_of,
    printable,
    say,
    setting_of,
    titled,
    unsought,
    warn,
    with_doubt,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    BETWEEN,
    DEFAULT_HEADER,
    Address,
    Endpoint,
    Network,
    Ranges,
    bracketed,
    canonical,
    client_ip,
    elements,
    forms_of,
    in_ranges,
    is_private,
    parse_address,
    parse_ranges,
    untranslated,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._echo import (
    NONCE_HEADER,
    USER_AGENT,
    Answer,
    Echo,
    NoEcho,
    parse,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._forgery import (
    CANDIDATES,
    CHOSEN,
    COMPANIONS,
    OF_A_CDN,
    Forgery,
    added,
    fate,
    fates,
    is_novel,
    is_of,
    is_same,
    safe,
    unanswered,
    unheard_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    Text,
    chinese,
    joined,
    phrase,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._queries import Queries
from ansible_collections.kestrel.real_ip.plugins.module_utils._vantage import (
    MAX_HOST,
    Standpoint,
    host_of,
)

# --- Questions ------------------------------------------------------------------------------------

#: How each strategy's address is spoken of.
_PLACES = {
    "peer": "the socket peer",
    "single_header": "{header}",
    "rightmost_trusted_count": "entry {count} from the right of {header}",
    "rightmost_trusted_range": "the nearest address outside trusted_ranges",
    "rightmost_non_private": "the rightmost public {header} entry",
    "leftmost_non_private": "the leftmost public {header} entry",
}


_COUNT = "rightmost_trusted_count"
#: Ranges that are named of those that were declared
_NAMED = 3


class Strategy(NamedTuple):
    """The arguments of :func:`client_ip` that the operator declares; they were checked."""

    strategy: str
    header: str | None = None
    trusted_count: int | None = None
    trusted_ranges: Sequence[str] | None = None

    def derive(self, echo: Echo) -> str | None:
        return client_ip(echo.headers, echo.peer, **self._asdict())

    @property
    def source(self) -> str:
        """The name of the header that is read; without meaning for ``peer``."""
        return self.header or DEFAULT_HEADER

    @property
    def list_header(self) -> str:
        """The header to look for the expected address in, where the strategy reads another one."""
        return DEFAULT_HEADER if self.strategy == "single_header" else self.source

    @property
    def where(self) -> str:
        if self.strategy == _COUNT and self.trusted_count == 1:
            return phrase("the rightmost {header} entry", header=self.source)
        return phrase(_PLACES[self.strategy], header=self.source, count=self.trusted_count)

    @property
    def told(self) -> dict[str, Any]:
        """The arguments that this strategy looks at, in the form of CANDIDATES; small, however many
        ranges there are, and the same for those that hold the same.
        """
        header = {} if self.strategy == "peer" else {"header": self.source}
        count = {"trusted_count": self.trusted_count} if self.strategy == _COUNT else {}
        ranges = {"trusted_ranges": _few(self.trusted_ranges or ())} if self.trusted_ranges else {}
        return {"strategy": self.strategy, **header, **count, **ranges}

    @property
    def candidates(self) -> Sequence[Mapping[str, Any]]:
        """What may be advised: CANDIDATES, and at the end this one where it is none of them and
        :attr:`told` whole.
        """
        return _candidates(self._replace(trusted_ranges=(*(self.trusted_ranges or ()),)))


@lru_cache(maxsize=16)
def _candidates(strategy: Strategy) -> Sequence[Mapping[str, Any]]:
    # Each answer asks for them, and those to thousands of targets have one strategy.
    told = strategy.told
    is_listed = any(is_same(told, one) for one in CANDIDATES)
    is_whole = len(told.get("trusted_ranges", ())) <= _NAMED
    return CANDIDATES if is_listed or not is_whole else (*CANDIDATES, told)


def _few(texts: Sequence[str]) -> list[str]:
    ranges = [network for one in parse_ranges(texts).apart() for network in one]
    told = [*map(str, ranges)]
    if len(told) <= _NAMED:
        return told
    digest = sha256(" ".join(told).encode()).hexdigest()[:12]
    return [*told[:_NAMED], f"{len(told) - _NAMED} more (sha256 {digest})"]


class Expectation(NamedTuple):
    """Which address should arrive, and where that is known from.

    ``source``: ``given``, ``asked``, ``local`` or ``inferred``; ``networks``: for the first two;
    ``asked_at``: addresses and ports that ``expected_source_url`` leads to; ``unanswered``: family
    (4, 6) → why it told no address of it.
    """

    source: str
    networks: tuple[Network, ...] = ()
    asked_at: frozenset[tuple[Address, int]] = frozenset()
    unanswered: Mapping[int, str] = {}

    @property
    def refutes(self) -> bool:
        """Whether another address proves a loss. Behind a NAT, the socket's own never arrives."""
        return self.source in ("given", "asked")

    def at(self, local: str) -> tuple[Network, ...]:
        """What a connection from the address ``local`` is expected to show."""
        own = None if self.refutes else parse_address(local)
        if own is None:
            return self.networks
        if self.source == "inferred" and is_private(own.address):
            return ()
        return (*parse_ranges([str(own.address)]),)


def _families(path: Path) -> tuple[int, ...]:
    """4 or 6, of what is compared: behind a translator a prober with IPv6 meets IPv4, but for one
    that has such an address itself.
    """
    return (*dict.fromkeys([path.remote.version, untranslated(path.remote).version]),)


class Cluster(NamedTuple):
    """Addresses of the cluster, None for those that are not known.

    ``parts``: kinds of which there may be more than those that are known.
    """

    nodes: Ranges | None = None
    pods: Ranges | None = None
    services: Ranges | None = None
    load_balancers: Ranges | None = None
    parts: frozenset[str] = frozenset()

    @property
    def complete(self) -> bool:
        return None not in self and not self.parts

    def knows_all(self, kind: str) -> bool:
        return getattr(self, kind) is not None and kind not in self.parts

    def known(self) -> dict[str, Ranges]:
        """Kind → addresses, in this order."""
        return {kind: one for kind, one in self._asdict().items() if isinstance(one, Ranges)}

    def hold(self, address: Address) -> bool:
        """Whether it is one of them, also where a translator (NAT64) has put it into IPv6."""
        forms = forms_of(address)
        return any(in_ranges(one, ranges) for ranges in self.known().values() for one in forms)


class Question(NamedTuple):
    """What is asked of one target.

    ``backends``: names of the pods that have to answer; ``pod_names``: canonical address → name;
    ``proxied``: addresses of load balancers that kube-proxy leaves alone (``ipMode: Proxy``);
    ``intercepted``: those of Services that it answers for on nodes and in pods;
    ``load_balancer``: a class of BALANCERS; ``forge``: whether to send forged headers as well;
    ``unready``: names of pods that will answer, and aren't ready yet;
    ``other_nodes``: names of nodes that have none of the backends;
    ``namespace``: of the backends; ``namesakes``: names of theirs that other pods may have as well;
    ``strangers``: names that pods of the cluster have and none that a Service of the backends
    leads to;
    ``unread``: names in UNSOUGHT of what was not looked for;
    ``met``: of the answer at hand it is known that it came through the load balancer on layer 7;
    ``own``: the address that the prober's socket had for it.
    """

    expectation: Expectation
    strategy: Strategy
    layer: str = "l7"
    cluster: Cluster = Cluster()
    pod_names: Mapping[str, str] = {}
    echo_format: str = "auto"
    echo_queries: Queries | None = None
    backends: tuple[str, ...] = ()
    samples: int = 10
    max_samples: int = 200
    standpoint: Standpoint = Standpoint()
    proxied: Ranges = parse_ranges([])
    intercepted: Ranges = parse_ranges([])
    load_balancer: str = ""
    forge: bool = False
    namespace: str = ""
    unready: tuple[str, ...] = ()
    other_nodes: tuple[str, ...] = ()
    namesakes: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()
    unread: tuple[str, ...] = ()
    met: bool = False
    own: str = ""

    @property
    def declared(self) -> dict[str, Any]:
        """What a verdict holds for, beside the address that was expected."""
        return {"layer": self.layer, **self.strategy.told}

    @property
    def marks(self) -> tuple[str, ...]:
        """The header lines by which the load balancer is known, if any."""
        row = BALANCERS.get(self.load_balancer)
        return row.marks if row else ()


class Path(NamedTuple):
    """One address that requests are sent to. ``host``: the name that gave it, or its own text;
    ``is_own``: whether it is one of the prober's machine.
    """

    host: str
    port: int
    remote: Address
    is_own: bool = False

    def __str__(self) -> str:
        shown = f"{bracketed(str(self.remote))}:{self.port}"
        return shown if canonical(self.host) == str(self.remote) else f"{self.host} ({shown})"


class Times(NamedTuple):
    """Seconds from the start of a request to the connection, the first byte, the last one."""

    connect: float
    first_byte: float
    total: float


class Sample(NamedTuple):
    """What one request showed. ``code`` stands for this answer alone.

    ``seen``: what the strategy derives; ``position``: where the expected address stands in the
    list, counted from the right, 0 for nowhere; ``missing``: the strategy's header isn't there;
    ``lines``: the header lines that carry addresses, shortened; ``companions``: those that tell
    how a request came, ``unheard`` what :func:`unheard_of` finds, and ``added`` the names of lines
    that the prober didn't send, if nothing was forged;
    ``marks``: the load balancer's own header lines that are there; ``fate``: what became of the
    forged header; ``right``: numbers of the candidates that give the expected address;
    ``first``: the address in the first line of a single header that stands in several, empty where
    none stands there;
    ``fooled``: numbers of the candidates that give a forged address;
    ``other``: an address on the client's side of ``seen``, if nothing was forged;
    ``twice``: beyond that one ``seen`` stands once more, so that its machine is also on the path;
    ``called``: the name that the answer tells, which is ``pod`` unless other pods may have it too.
    """

    code: str
    detail: str = ""
    local: str = ""
    seen: str | None = None
    peer: str | None = None
    pod: str | None = None
    node: str | None = None
    position: int = 0
    missing: bool = False
    lines: tuple[tuple[str, str], ...] = ()
    times: Times | None = None
    marks: tuple[str, ...] = ()
    fate: str = ""
    right: frozenset[int] = frozenset()
    first: str | None = None
    fooled: frozenset[int] = frozenset()
    other: str | None = None
    twice: bool = False
    companions: tuple[tuple[str, str], ...] = ()
    unheard: tuple[tuple[str, str], ...] = ()
    added: tuple[str, ...] = ()
    called: str | None = None


# --- One answer -----------------------------------------------------------------------------------

_LOOPBACK = parse_ranges(["127.0.0.0/8", "::1/128"])

# No address in them tells one machine from another.
_EVERYWHERE = parse_ranges(
    [
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::/128",
        "::1/128",
        "fe80::/10",
        "ff00::/8",
    ]
)

# Whoever runs containers or virtual machines has these, unless told otherwise: slirp4netns, QEMU
# and VirtualBox; Docker; its Desktop; Podman; libvirt; IPv6 of the first two. A guest elsewhere can
# have the prober's.
_OF_GUESTS = parse_ranges(
    [
        *("10.0.2.0/24", "172.17.0.0/16", "192.168.65.0/24", "10.88.0.0/16", "192.168.122.0/24"),
        *("fd00::/64", "fec0::/64"),
    ]
)

# And these, of which it is known that the prober is in one: Docker's and Podman's further networks,
# and those of IPv6 that are in manuals or made up.
_OF_CONTAINERS = parse_ranges(
    [
        *("172.16.0.0/12", "192.168.0.0/16", "10.89.0.0/16", "10.90.0.0/15"),
        *("2001:db8::/32", "fc00::/7"),
    ]
)

#: Where ingress-nginx keeps the list that it was sent, and writes a new one
_REPLACED = "X-Original-Forwarded-For"

_CARRIERS = ("x-forwarded-for", "x-real-ip", "forwarded", *map(str.lower, OF_A_CDN))
_MAX_PROXIES = 32
_MAX_LINES = 8
_MAX_LINE = 500


def _cut(text: object, limit: int) -> str:
    """The beginning of a text, in both languages if it has them."""
    return Text(str(text)[:limit], chinese(text)[:limit])


def _lines(headers: Iterable[tuple[str, str]], *names: str) -> list[tuple[str, str]]:
    wanted = {name.lower() for name in names}
    return [(name, value) for name, value in headers if name.lower() in wanted]


def _is_of_guests(address: Address, question: Question) -> bool:
    """Whether containers or virtual machines elsewhere have the prober's address as well."""
    at = question.standpoint
    # Docker leaves its mark in pods as well, whose addresses are their own.
    contained = at.contained and not at.found_inside and in_ranges(address, _OF_CONTAINERS)
    return contained or in_ranges(address, _OF_GUESTS)


def _may_arrive(address: Address, question: Question) -> bool:
    """Whether an address of the cluster can be nobody's but the prober's: that of a pod, which was
    found to be one, or a public one that a node is translated to.

    What a node has itself is also what it puts in the place of everybody's whom it hands to pods,
    on layer 7 behind the load balancer as well: in front of who writes the header.
    """
    at, nodes = question.standpoint, question.cluster.nodes
    if question.layer != "l7" or not at.found_inside:
        return False
    own = {question.own, *at.addresses}
    if nodes is not None and in_ranges(address, nodes):
        # Of a pod's node nobody here knows which addresses are its own.
        return at.place == "node" and str(address) not in own and not is_private(address)
    return str(address) in own


def _doubt(address: Address, question: Question, path: Path) -> str | None:
    """Why seeing this address would prove nothing, as a code."""
    if question.cluster.hold(address) and not _may_arrive(address, question):
        return "V403"
    # Who names it says whose it is.
    unsaid = not question.expectation.refutes
    if in_ranges(address, _EVERYWHERE) or (unsaid and _is_of_guests(address, question)):
        return "V404"
    # A node's status need not tell those by which it leaves.
    at = question.standpoint
    if str(address) in (question.own, *at.addresses) and (at.place == "node" or at.kubelet):
        return "V403" if at.found_inside else "V431"
    if address in forms_of(path.remote):
        return "V416"
    if is_private(address) and not is_private(path.remote) and not _is_met_there(question, path):
        return "V405"
    return None


def _is_met_there(question: Question, path: Path) -> bool:
    """Whether an answer came through the load balancer with nothing in front, where that is known:
    what stands in front is met at another address, and speaks to it in the prober's place.
    """
    # Of a name alone nobody knows which address is the load balancer's.
    balancers = question.cluster.load_balancers
    forms = forms_of(path.remote)
    return question.met and (not balancers or any(in_ranges(one, balancers) for one in forms))


def is_single(network: Network) -> bool:
    return network.prefixlen == network.max_prefixlen


def _doubts(network: Network, question: Question, path: Path) -> str | None:
    ends = {network.network_address, network.broadcast_address}
    codes = [_doubt(end, question, path) for end in sorted(ends)]
    return None if None in codes else codes[0]


def _is_outside(address: Address, question: Question) -> bool:
    """Whether an address that no list of the cluster's has is known to be none of the cluster's.

    Nodes and load balancers have public addresses as well, and of IPv6 pods too. Private ones can
    be the cluster's with no object that names them: the ends of a network plugin's tunnels, its
    gateways and what stands between its networks. But none of these is the prober's own.
    """
    private = is_private(untranslated(address))
    own = str(address) == question.own and not _is_of_guests(address, question)
    return question.cluster.complete and (not private or own)


def _is_masked(address: Address) -> bool:
    """Whether an address ends in zeros, as one from which who it belongs to was taken away."""
    host = 8 if address.version == 4 else 64
    return int(address) % (1 << host) == 0


def _compare(seen: Endpoint, network: Network, question: Question, path: Path) -> str | None:
    """The code of an address that matches, None for one that doesn't.

    Through a range an address counts only where it is known to be none of the cluster's: with the
    address of a node in it, translation to that node would look like the client. A single one
    counts where nodes aren't known too. Whoever names it says that clients have that very address:
    were it a node's as well, that would be wrong already, whatever was seen.
    """
    if seen.zone or seen.address not in network:
        return None
    doubt = _doubt(seen.address, question, path)
    if is_single(network):
        return doubt or "V001"
    if doubt is None and (_is_masked(seen.address) or not _is_outside(seen.address, question)):
        return "V413"
    # A range never stands for an address that isn't the client's for another reason.
    return "V001" if doubt is None else doubt if doubt == "V405" else None


def _match(
    text: str | None, expected: Iterable[Network], question: Question, path: Path
) -> str | None:
    """The best code that the address gets from the expected ones, None where none matches."""
    seen = None if text is None else parse_address(text)
    if seen is None:
        return None
    codes = [_compare(seen, network, question, path) for network in expected]
    found = [code for code in codes if code is not None]
    return "V001" if "V001" in found else next(iter(found), None)


_OWNERS = {"nodes": "V201", "pods": "V202", "services": "V203", "load_balancers": "V204"}


def _whose(address: Address, question: Question, path: Path) -> str:
    """The code of a wrong address: whose is it?"""
    if in_ranges(address, _LOOPBACK):
        return "V205"
    forms = forms_of(address)
    for kind, ranges in question.cluster.known().items():
        if any(in_ranges(one, ranges) for one in forms):
            return _OWNERS[kind]
    if address in forms_of(path.remote):
        return "V204"
    return "V206" if is_private(address) else "V207"


def _position(echo: Echo, expected: Iterable[Network], question: Question, path: Path) -> int:
    listed = elements(echo.headers, question.strategy.list_header)[-_MAX_PROXIES:]
    for place, text in enumerate(reversed(listed), start=1):
        if _match(text, expected, question, path) == "V001":
            return place
    return 0


def _asked_itself(question: Question, path: Path) -> bool:
    # Another port of a load balancer is the same load balancer; on loopback it is another program.
    return any(
        remote == path.remote and (port == path.port or not in_ranges(remote, _LOOPBACK))
        for remote, port in question.expectation.asked_at
    )


def _without_expectation(question: Question, family: int) -> str:
    expectation = question.expectation
    if family in expectation.unanswered:
        return "V412"
    return "V402" if expectation.networks else "V401"


def _short_circuit(question: Question, path: Path) -> str | None:
    """Why the answer may not have come through the load balancer, as a code.

    kube-proxy answers in its place on nodes and in pods, but for addresses with ``ipMode: Proxy``.
    """
    at = question.standpoint
    if at.known and not at.inside:
        return None
    if question.layer == "l4":
        # What a node puts in the place of everybody's is known to be a node's then.
        is_known = at.inside and question.cluster.knows_all("nodes")
        if is_known and in_ranges(path.remote, question.proxied):
            return None
        return "V421" if at.inside else "V422"
    # A load balancer can be met behind a Service whose own was not.
    answered = [one for one in (question.intercepted, question.cluster.services) if one]
    if question.met and not any(in_ranges(path.remote, one) for one in answered):
        return None
    return "V423" if at.inside else "V424"


def _is_neighbour(sample: Sample, expected: Iterable[Network]) -> bool:
    """Whether the prober's own address is expected, and another one that is expected was seen."""
    seen, own = (parse_address(text or "") for text in (sample.seen, sample.local))
    if seen is None or own is None or seen.address == own.address:
        return False
    return any(own.address in network for network in expected)


def _code(sample: Sample, expected: tuple[Network, ...], question: Question, path: Path) -> str:
    """What this answer shows."""
    on_layer_4 = question.layer == "l4"
    if on_layer_4 and sample.peer is None:
        return "V417"
    short_circuit = _short_circuit(question, path)
    if short_circuit is not None:
        return short_circuit
    if not expected:
        return _without_expectation(question, _families(path)[-1])
    if _asked_itself(question, path):
        return "V418"
    # Over loopback it may be a tunnel that ends elsewhere.
    met_itself = path.is_own or sample.local == str(path.remote)
    if met_itself and not in_ranges(path.remote, _LOOPBACK):
        return "V429"
    doubts = [_doubts(network, question, path) for network in expected]
    # Without a header that carries addresses, a strategy that falls back to the peer reads layer 4.
    bare = not on_layer_4 and not sample.lines
    if bare and _match(sample.peer, expected, question, path) in ("V001", "V413"):
        return "V409"
    matched = _match(sample.seen, expected, question, path)
    by_range = question.strategy.strategy == "rightmost_trusted_range"
    if matched == "V001" and by_range and sample.peer is None:
        return "V427"
    if matched == "V001" and _is_neighbour(sample, expected):
        return "V428"
    # Clients share what is seen then, unless it is the prober's own.
    shared = sample.seen != sample.local or sample.twice
    if matched == "V001" and not on_layer_4 and sample.other and shared:
        return "V430"
    if matched is not None:
        return matched
    if None not in doubts:
        return str(doubts[0])
    if sample.seen is None:
        return "V209" if sample.missing else "V210"
    seen = parse_address(sample.seen)
    owner = "V206" if seen is None else _whose(seen.address, question, path)
    # Of no cluster and no balancer, the address can be the prober's own after translation.
    if owner in ("V206", "V207") and not question.expectation.refutes:
        return "V406"
    # The way to who was asked need not be the way to the target: there, no address is translated.
    if question.expectation.source == "asked" and sample.seen == sample.local:
        return "V419"
    return owner


def read(
    question: Question,
    path: Path,
    answer: Answer,
    local: str,
    nonce: str,
    times: Times | None = None,
    forgery: Forgery | None = None,
) -> Sample:
    """Compare one answer with what was expected. ``local``: the socket's own address.

    ``forgery``: what was forged in the request. Never raises: what is no echo app's answer is a
    sample with the code that says why.
    """
    try:
        echo = parse(answer, question.echo_format, question.echo_queries)
    except NoEcho as error:
        return Sample(error.number, detail=_cut(error.detail, _MAX_LINE), local=local, times=times)
    if echo.nonces != {nonce}:
        return Sample("V407", local=local, times=times)
    if forgery is None and _is_told_twice(echo):
        echo = echo._replace(peer=None)
    strategy = question.strategy
    carriers = _lines(echo.headers, *_CARRIERS, strategy.source)
    marks = tuple(name for name in question.marks if _lines(echo.headers, name))
    question = question._replace(met=bool(marks) and marks == question.marks, own=local)
    families = _families(path)
    expected = tuple(n for n in question.expectation.at(local) if n.version in families)
    as_list = strategy.strategy != "single_header"
    called = _called(echo, question)
    hidden = question.layer == "l7" and _is_hidden(forgery, echo, strategy.source, as_list)
    sample = Sample(
        code="",
        local=local,
        seen=strategy.derive(echo),
        peer=None if echo.peer is None else canonical(echo.peer),
        pod=None if called in question.namesakes and not echo.namespace else called,
        called=called,
        node=_name(echo.node),
        missing=not hidden and not _lines(echo.headers, strategy.source),
        lines=tuple(
            (name[:_MAX_LINE], _right_end(value)) for name, value in carriers[-_MAX_LINES:]
        ),
        times=times,
        marks=marks,
        fate=_shown(forgery, echo) if forgery else "",
        right=_right(forgery, echo, expected, question, path) if question.forge else frozenset(),
        first=_first(echo, strategy.source) if not as_list else None,
        fooled=_fooled(echo, forgery, strategy.candidates) if forgery else frozenset(),
    )
    # What is forged stands there too.
    if forgery is None:
        lists = [one[-_MAX_PROXIES:] for one in _lists(echo, sample.seen, strategy, as_list)]
        others = (
            _another(sample.seen, one, expected, local) or _between(sample.seen, one)
            for one in lists
        )
        sample = sample._replace(
            other=next(filter(None, others), None),
            twice=any(_between(sample.seen, one) for one in lists),
            companions=_companions(echo) if question.forge else (),
            unheard=unheard_of(echo.headers, sample.seen) if question.forge and sample.seen else (),
            added=added(echo.headers) if question.forge else (),
        )
    code = "V420" if hidden else _code(sample, expected, question, path)
    lost = CODES[code].verdict == "lost" and question.layer == "l7"
    return sample._replace(
        code=code,
        position=_position(echo, expected, question, path) if lost else 0,
        detail=_found(echo, strategy) if code == "V210" else "",
    )


def _companions(echo: Echo) -> tuple[tuple[str, str], ...]:
    """Header lines of COMPANIONS that can be sent as they are."""
    return tuple(
        (name, value)
        for name, value in echo.headers
        if name.lower() in COMPANIONS and len(value) <= _MAX_LINE and value != USER_AGENT
        if value.isascii() and value.isprintable()
    )


def _lists(
    echo: Echo, seen: str | None, strategy: Strategy, as_list: bool
) -> Iterable[Sequence[str | None]]:
    """The list of addresses that the echo app was sent, and that which was replaced on the way with
    the address that was seen behind it, as that of the last proxy's peer.
    """
    listed = elements(echo.headers, strategy.list_header)
    yield listed
    lines = [(DEFAULT_HEADER, value) for _name, value in _lines(echo.headers, _REPLACED)]
    kept = elements(lines, DEFAULT_HEADER)
    # What goes on from it has that peer itself.
    goes_on = listed[: len(kept)] == kept and (as_list or len(listed) > len(kept))
    if not goes_on:
        yield [*kept, seen]


def _another(
    seen: str | None, listed: Sequence[str | None], expected: Iterable[Network], own: str
) -> str | None:
    """The nearest address on the client's side of the one that was seen, that no network inside has
    or that is expected too, or the prober's ``own`` before another private one; of a list without
    the one that was seen only the latter two. What a proxy of the prober's network writes there
    stands before a public one.

    The prober sends none: who wrote it speaks of his own client, who need not be what was seen.
    """
    networks, places = [*expected], [place for place, one in enumerate(listed) if one == seen]
    told = parse_address(seen or "")
    inside = told is not None and is_private(told.address)
    for text in reversed(listed[: places[-1]] if places else listed):
        found = parse_address(text or "")
        if found is None or text == seen:
            continue
        if any(found.address in network for network in networks) or (text == own and inside):
            return text
        if places and not is_private(found.address):
            return text
    return None


def _between(seen: str | None, listed: Sequence[str | None]) -> str | None:
    """The nearest address that stands before the one that was seen, where that stands in the list
    again, on the client's side of it.
    """
    alike = [text for text, _group in groupby(listed)]
    if seen is None or alike.count(seen) < 2:
        return None
    last = len(alike) - 1 - alike[::-1].index(seen)
    return next((text for text in reversed(alike[:last]) if text and text != seen), None)


def _is_told_twice(echo: Echo) -> bool:
    """Whether what an app of an unknown form calls the peer stands in a header as well.

    Nobody who keeps the socket's peer writes it into a header: it may come from there.
    """
    peer = canonical(echo.peer) if echo.partial and echo.peer else None
    return peer is not None and any(
        canonical(part) == peer
        for name, value in echo.headers
        if name.lower() != "host"
        for part in BETWEEN.split(value)
    )


def _is_hidden(forgery: Forgery | None, echo: Echo, header: str, as_list: bool) -> bool:
    """Whether it can't be told what arrived in this header, in one line or several."""
    return echo.hides(header, as_list) or _leaves_out(forgery, echo, header)


def _leaves_out(forgery: Forgery | None, echo: Echo, header: str) -> bool:
    """Whether of several lines, of proxies or forged ones, the one that counts may not be shown."""
    if forgery is None:
        return not echo.shows_each_line(sent=False)
    if not forgery.in_lines or not is_of(forgery, header):
        return False
    return not echo.shows_each_line()


def _shown(forgery: Forgery, echo: Echo) -> str:
    found = fate(forgery, echo.headers)
    # What the echo app itself leaves out may well have arrived.
    left_out = found == "dropped" and echo.hides(forgery.header, as_list=True)
    return "untested" if left_out else found


def _right(
    forgery: Forgery | None,
    echo: Echo,
    expected: tuple[Network, ...],
    question: Question,
    path: Path,
) -> frozenset[int]:
    """Numbers of the strategy's candidates that give the expected address, and hide nothing of it.

    Where they give several that are expected, one can be a proxy's: only the one that the declared
    strategy reads is the client's.
    """
    candidates = question.strategy.candidates
    read_by = {
        number: client_ip(echo.headers, echo.peer, **candidate)
        for number, candidate in enumerate(candidates)
    }
    right = {
        number: address
        for number, address in read_by.items()
        if _match(address, expected, question, path) == "V001"
    }
    several = len({*right.values()}) > 1
    declared = question.strategy.derive(echo)
    return frozenset(
        number
        for number, address in right.items()
        if not several or address == declared
        if candidates[number]["strategy"] == "peer" or _tells_all(forgery, echo, candidates[number])
    )


def _tells_all(forgery: Forgery | None, echo: Echo, candidate: Mapping[str, Any]) -> bool:
    """Whether who reads what the echo app shows of a header reads what an application would."""
    header, as_list = candidate["header"], candidate["strategy"] != "single_header"
    if _is_hidden(forgery, echo, header, as_list):
        return False
    return as_list or _first(echo, header) is None


def _fooled(
    echo: Echo, forgery: Forgery, candidates: Sequence[Mapping[str, Any]]
) -> frozenset[int]:
    """Numbers of the candidates that give an address of this very request, also where that is in
    the first line of several.
    """
    in_lines = not (forgery.preface or forgery.asks_else)
    sent = [one for one in forgery.values if not in_lines or forgery.names_one_of([one])]
    return frozenset(
        number
        for number, candidate in enumerate(candidates)
        if client_ip(echo.headers, echo.peer, **candidate) in sent
        or (candidate["strategy"] == "single_header" and _first(echo, candidate["header"]) in sent)
    )


def _first(echo: Echo, header: str) -> str | None:
    """What those take who read the first of several lines, as most applications do."""
    lines = _lines(echo.headers, header)
    return (canonical(lines[0][1]) or "") if len(lines) > 1 else None


def _called(echo: Echo, question: Question) -> str | None:
    """The pod's name, with its namespace where that is another one than the backends'."""
    name, space = _whole(_name(echo.pod), question), _name(echo.namespace)
    return f"{space}/{name}" if name and space and question.namespace not in ("", space) else name


def _whole(name: str | None, question: Question) -> str | None:
    """The name of the one pod whose host name this is: of a longer one the kubelet takes the first
    63 characters, and from their end what none may end with.
    """
    if name is None or name in question.backends or len(name) < MAX_HOST - _TRIMMED:
        return name
    # Of whichever Service
    known = {
        *question.backends,
        *question.unready,
        *question.strangers,
        *question.pod_names.values(),
    }
    longer = [one for one in known if len(one) > MAX_HOST and host_of(one) == name]
    return longer[0] if len(longer) == 1 else name


#: So many characters at the end of a host name may be none that it may end with.
_TRIMMED = 8


def is_strangers(sample: Sample, question: Question) -> bool:
    """Whether the answer is of a pod that is known to be none of those that are probed."""
    pod = sample.pod or ""
    return "/" in pod or pod in question.strangers


def _name(text: str | None) -> str | None:
    # The longest name that Kubernetes allows; an answer may claim any length.
    return None if text is None else text[:253]


def _right_end(value: str) -> str:
    # What trusted proxies wrote stands on the right.
    return value if len(value) <= _MAX_LINE else f"…{value[1 - _MAX_LINE :]}"


def _found(echo: Echo, strategy: Strategy) -> str:
    lines = [f"{strategy.source}: {value}" for _n, value in _lines(echo.headers, strategy.source)]
    return _right_end("; ".join(lines))


# --- How many requests ----------------------------------------------------------------------------

_PER_BACKEND = 10


def is_answer(sample: Sample) -> bool:
    return sample.code != "V407" and CODES[sample.code].verdict not in ("no_answer", UNTESTED)


def is_http(sample: Sample) -> bool:
    """Whether an answer of HTTP came, which need not be an echo app's."""
    return is_answer(sample) or "V514" <= sample.code <= "V524"


def is_bad_request(sample: Sample) -> bool:
    return sample.code == "V516" and sample.detail.startswith("400")


def _matches(sample: Sample) -> bool:
    """Whether the expected address was seen, though it may be one of the cluster as well."""
    return CODES[sample.code].verdict == "preserved" or sample.code == "V413"


def _missing(question: Question, answers: Iterable[Sample]) -> list[str]:
    seen = {sample.pod for sample in answers}
    return [name for name in question.backends if name not in seen]


def _needed(question: Question) -> int:
    """Requests that make each backend's answer likely where the answers don't name it."""
    return max(question.samples, _PER_BACKEND * len(question.backends))


def wanted(question: Question, samples: Sequence[Sample]) -> int:
    """How many more requests to send after these, at most; 0 to stop.

    Goes on until each named backend has answered. Where nothing answers, more would not help.
    """
    if len(samples) < question.samples:
        return question.samples - len(samples)
    answers = [sample for sample in samples if is_answer(sample)]
    known, missing = coverage(question, answers)
    if not answers or known in ("not_asked", "complete"):
        return 0
    most = question.max_samples
    goal = most if missing else min(_needed(question), most)
    return max(goal - len(samples), 0)


def coverage(question: Question, answers: Sequence[Sample]) -> tuple[str, list[str]]:
    """Whether each required backend answered, and the names of those that didn't.

    ``not_asked``, ``complete``, ``incomplete``, or ``unknown`` where answers don't name their pod.
    A name that pods of other namespaces have too, or may have, is none, and yet whose name no
    answer tells has given none.
    """
    if not question.backends:
        return "not_asked", []
    missing = _missing(question, answers)
    if not missing:
        return "complete", []
    if answers and not any(sample.pod for sample in answers):
        told = {sample.called for sample in answers}
        missing = [] if None in told else [name for name in missing if name not in told]
    return ("incomplete" if missing else "unknown"), missing


# --- The verdict of one address -------------------------------------------------------------------

Facts = dict[str, object]


Forged = Sequence[tuple[Forgery, Sample]]


class Finding(NamedTuple):
    """The verdict of one address: code, one sentence why, and one what to do, empty for nothing.

    ``detail``: what the reason is about beside addresses, such as an HTTP status, where a redirect
    leads, or the header that is missing; ``forgery``: header → fate; ``safe``: the simplest
    strategy that nothing could deceive, as keyword arguments of client_ip, None where there is
    none or where that was not tried; ``doubt``: what the verdict hides, see :func:`doubt_of`.
    """

    code: str
    reason: str
    fix: str
    warnings: list[str]
    coverage: str
    detail: str
    forgery: Mapping[str, str] = {}
    safe: Mapping[str, object] | None = None
    doubt: Mapping[str, object] | None = None

    @property
    def verdict(self) -> str:
        return CODES[self.code].verdict


_SHOWN = 4
_MAX_ITEM = 100


def _listed(items: Iterable[object], joint: str = ", ") -> str:
    """The first few of the items in order, and how many more there are; not escaped yet."""
    texts = list(dict.fromkeys(_cut(item, _MAX_ITEM) for item in items))
    more = [phrase("{count} more", count=len(texts) - _SHOWN)] if len(texts) > _SHOWN else []
    return joined(joint, [*texts[:_SHOWN], *more])


def _counted(items: Iterable[str]) -> str:
    counts = Counter(items).most_common()
    if len(counts) == 1:
        return counts[0][0]
    return _listed(phrase("{item} ({count})", item=item, count=count) for item, count in counts)


def _seen(samples: Iterable[Sample]) -> str:
    return _counted(sample.seen or phrase("no address") for sample in samples)


def _commonest(samples: Iterable[Sample]) -> str:
    # The first one of those that are equally common, so that the answer is always the same.
    return Counter(sample.code for sample in samples).most_common(1)[0][0]


def _titles(samples: Iterable[Sample], unsent: int) -> str:
    counts = Counter((sample.code, *_statuses(sample)) for sample in samples)
    if unsent:
        counts["V525",] += unsent
    return joined(
        ", ",
        (
            phrase("{count} × {title}", count=count, title=joined(" ", [titled(code), *status]))
            for (code, *status), count in counts.most_common()
        ),
    )


def _statuses(sample: Sample) -> list[str]:
    """What tells refusals by HTTP apart: that there were too many is another thing than a host that
    nobody knows.
    """
    return [sample.detail.partition(" ")[0]] if sample.code == "V516" else []


def _pods(samples: Iterable[Sample]) -> str:
    return _listed(sample.pod for sample in samples)


def _setting(strategy: Strategy, position: int) -> str:
    count = f"trusted_count: {position}"
    if strategy.strategy == _COUNT:
        return count
    header = "" if strategy.list_header == DEFAULT_HEADER else f", header: {strategy.list_header}"
    return f"strategy: rightmost_trusted_count{header}, {count}"


def _lost(lost: Sequence[Sample]) -> tuple[str, list[Sample]]:
    """The code of a loss, and the answers that it speaks of."""
    positions = {sample.position for sample in lost}
    if len(positions) == 1 and 0 not in positions:
        return "V208", list(lost)
    code = _commonest(lost)
    return code, [sample for sample in lost if sample.code == code]


def _mixed(good: Sequence[Sample], bad: Sequence[Sample]) -> tuple[str, Facts]:
    good_pods, bad_pods = {s.pod for s in good}, {s.pod for s in bad}
    if None in good_pods | bad_pods:
        return "V303", {"good": len(good)}
    both = [sample for sample in bad if sample.pod in good_pods]
    if both:
        return "V302", {"bad": _pods(both)}
    return "V301", {"good": _pods(good), "bad": _pods(bad)}


def _arrived(question: Question, answers: Sequence[Sample], unanswered: int, strange: bool) -> str:
    """The code where every answer shows the expected address.

    ``strange``: among those without one is what an echo app said of another request, or of this one
    as it arrived where its nonce was lost. Who has answered otherwise doesn't make up for that.
    """
    known, missing = coverage(question, answers)
    if known == "complete" and not strange:
        return "V001"
    if missing:
        return "V410"
    if unanswered:
        return "V415"
    if known == "unknown" and question.layer == "l4" and len(question.backends) > 1:
        return "V425"
    if known == "unknown":
        return "V411" if _needed(question) > question.max_samples else "V002"
    return "V001"


def _decide(
    question: Question, samples: Sequence[Sample], answers: Sequence[Sample], unanswered: int
) -> tuple[str, Sequence[Sample], Facts]:
    """The code, the samples that it speaks of, and facts of its own."""
    if not answers:
        # An echo app that answers another request is nearer to the truth than a failed request.
        cached = [sample for sample in samples if sample.code == "V407"]
        routed = [sample for sample in samples if sample.code != "V601"]
        code = _commonest(cached or routed or samples) if samples else "V525"
        return code, [sample for sample in samples if sample.code == code], {}
    by_verdict = {
        verdict: [sample for sample in answers if CODES[sample.code].verdict == verdict]
        for verdict in ("lost", "preserved", "unproven")
    }
    good = [sample for sample in answers if _matches(sample)]
    unproxied = [sample for sample in answers if sample.code == "V409"]
    bad = by_verdict["lost"] + (unproxied if good or by_verdict["lost"] else [])
    if bad and good:
        code, facts = _mixed(good, bad)
        return code, bad, facts
    if bad:
        code, group = _lost(by_verdict["lost"])
        return code, group, {}
    if by_verdict["unproven"]:
        code = _commonest(by_verdict["unproven"])
        return code, [sample for sample in answers if sample.code == code], {}
    strange = any(sample.code == "V407" for sample in samples)
    return _arrived(question, answers, unanswered, strange), answers, {}


# --- Forged requests ------------------------------------------------------------------------------


def about_here(forged: Forged, question: Question) -> list[tuple[Forgery, Sample]]:
    """Those that tell something of the host and path of honest requests: what asks for others does
    where an answer has what was forged, and isn't another application's.
    """
    return [
        (forgery, sample)
        for forgery, sample in forged
        if not forgery.asks_else
        or ((_chosen(forgery, sample) or sample.fooled) and not is_strangers(sample, question))
    ]


def is_tested(strategy: Strategy, forged: Forged) -> bool:
    """Whether a forged request was answered that the strategy could have fallen for.

    Most refuse the PROXY protocol. Who takes it, and answers only to the prober's own address, goes
    by what a client writes in whom he serves: what he makes of others' addresses is not known.
    """
    prefaced = [(one, sample) for one, sample in forged if one.preface]
    taken = [one.names_itself for one, sample in prefaced if is_answer(sample)]
    # Who refuses for whom it tells of takes it too.
    if all(taken) and (taken or any(is_refusal(sample) for _one, sample in prefaced)):
        return False
    return any(
        is_answer(sample) and sample.fate != "untested"
        for forgery, sample in forged
        if _aims_at(forgery, strategy)
    )


def _aims_at(forgery: Forgery, strategy: Strategy) -> bool:
    if not forgery.lines:
        return False
    if strategy.strategy == "peer":
        return not forgery.preface
    # Who serves some addresses only, and refuses what he reads, answers what he can't read.
    if not forgery.is_well_formed:
        return False
    # Names with underscores and private addresses may be passed over by who reads the header.
    wanted_public = strategy.strategy in ("leftmost_non_private", "rightmost_non_private")
    values = forgery.public if wanted_public else forgery.values
    return forgery.header.lower() == strategy.source.lower() and forgery.names_one_of(values)


def deceived(
    strategy: Strategy, answers: Sequence[Sample], forged: Forged, any_header: bool = False
) -> tuple[str, Facts] | None:
    """The code and the facts where a forged request changed what the strategy reads.

    ``answers``: to honest requests there. What they show as well, no forged one has made;
    ``any_header``: whether the peer may be what was forged in a header as well.
    """
    on_layer_4 = strategy.strategy == "peer"
    shown = {sample.seen for sample in answers}
    # Where honest requests show the prober's own address alone, another one of the range is none.
    alike = {sample.code for sample in answers}
    firsts = {sample.seen if sample.first is None else sample.first for sample in answers}
    # One alone that is expected too, as of a range, can be seen by chance.
    near = {s.seen for one, s in forged if one.near and is_answer(s) and _chosen(one, s)} - shown
    wrong = [
        (not _chosen(forgery, sample), forgery, sample.seen or phrase("no address"))
        for forgery, sample in forged
        if is_answer(sample)
        if (_chosen(forgery, sample) and (len(near) > 1 or not _matches(sample)))
        or not (forgery.near or (_matches(sample) and sample.code in alike | {"V001"}))
        if sample.code != "V420" and sample.seen not in shown
        # No header changes a socket's peer, unless it is handed on.
        if forgery.preface or not on_layer_4 or (any_header and _chosen(forgery, sample))
    ]
    # Written beside what the client wrote, instead of in its place: on a way around, the address
    # that is read need not be the expected one. Or emptied, beside the address.
    wrong += [
        (
            not sample.first,
            forgery,
            phrase(
                "{address}, in the first of several lines",
                address=sample.first or phrase("no address"),
            ),
        )
        for forgery, sample in forged
        if is_answer(sample) and sample.first in ("", *forgery.values)
        if sample.first not in firsts
    ]
    if wrong:
        # Requests end in any order; the plainest one says most.
        other, forgery, got = min(wrong, key=lambda one: (one[0], *_plainness(one[1])))
        code = "V102" if other else "V104" if forgery.preface else "V101"
        return code, {"line": _line(forgery), "got": got}
    if not on_layer_4 and any(sample.code == "V420" for _forgery, sample in forged):
        return "V420", {}
    if strategy.strategy == "leftmost_non_private" and not is_tested(strategy, forged):
        return "V414", {}
    return None


def _plainness(forgery: Forgery) -> tuple[object, ...]:
    names = [name != forgery.header for name, _value in forgery.lines]
    values = [value for _name, value in forgery.lines]
    # An address of the prober's own network tells less than one that is nobody's.
    known = forgery.values[0] in CHOSEN
    return (
        *(
            bool(forgery.preface),
            bool(forgery.sender or forgery.asks_else),
            len(names),
            names,
            not known,
        ),
        bool(forgery.preface) and forgery.values[0] not in forgery.public,
        *(sum(map(len, values)), values, forgery.header),
        *(len(forgery.host + forgery.query), forgery.host, forgery.query, forgery.absolute),
    )


def _other_peers(
    strategy: Strategy, answers: Sequence[Sample], forged: Forged
) -> tuple[str, Sequence[Sample], Facts] | None:
    """The code, the samples that it speaks of and the facts where the answers to forged requests
    take back that every peer is the expected one.

    No header changes a socket's peer: on layer 4 these answers are as good as any.
    """
    if strategy.strategy != "peer":
        return None
    answered = [
        (one, sample)
        for one, sample in forged
        if one.lines and not one.preface and is_answer(sample)
    ]
    tried = [(one, sample) for one, sample in answered if not one.near]
    chosen = [(one, sample) for one, sample in answered if _chosen(one, sample)]
    # One alone of those beside the prober's can be seen by chance.
    by_chance = len({sample.seen for one, sample in chosen if one.near}) == 1
    named = [(one, sample) for one, sample in chosen if not (one.near and by_chance)]
    if named:
        forgery, sample = min(named, key=lambda one: _plainness(one[0]))
        return "V426", [sample], {"line": _line(forgery), "got": sample.seen}
    bad = [sample for _one, sample in tried if CODES[sample.code].verdict == "lost"]
    doubtful = [sample for _one, sample in tried if CODES[sample.code].verdict == "unproven"]
    if not bad:
        return (_commonest(doubtful), doubtful, {}) if doubtful else None
    good = [*answers, *(s for _one, s in tried if CODES[s.code].verdict == "preserved")]
    code, facts = _mixed(good, bad)
    return code, bad, {**facts, "answered": len(good) + len(bad)}


def _never_right(
    strategy: Strategy, answers: Sequence[Sample], forged: Forged
) -> tuple[str, Sequence[Sample], Facts] | None:
    """The code, the samples that it speaks of and the facts where a pod that no honest request met
    shows one wrong address, whatever was forged: then it isn't what was forged that changes it.
    """
    met = {sample.pod for sample in answers}
    others: dict[str, list[tuple[Forgery, Sample]]] = {}
    for forgery, sample in forged:
        if sample.pod and sample.pod not in met and is_answer(sample):
            others.setdefault(sample.pod, []).append((forgery, sample))
    bad = [
        sample
        for tried in others.values()
        if len(tried) > 1 and len({sample.seen for _one, sample in tried}) == 1
        for one, sample in tried
        if not _matches(sample) and not _chosen(one, sample)
    ]
    pods = {sample.pod for sample in bad}
    left = [(one, sample) for one, sample in forged if sample.pod not in pods]
    if not bad or deceived(strategy, answers, left):
        return None
    code, facts = _mixed(answers, bad)
    return code, bad, {**facts, "answered": len(answers) + len(bad)}


def _line(forgery: Forgery) -> str:
    if forgery.asks_else:
        return f"Host: {forgery.host}" if forgery.host else f"<path>?x={forgery.query}"
    lines = (f"{name}: {value}" for name, value in forgery.lines)
    return str(forgery.preface) if forgery.preface else _listed(lines, "; ")


def _chosen(forgery: Forgery, sample: Sample) -> bool:
    return sample.seen in forgery.values


#: With which status somebody says that he is asked too often (RFC 6585), and with which nginx does
#: unless it is told otherwise. Of hosts that it doesn't know, HAProxy says the latter too.
TOO_MANY = ("429",)
OVERLOADED = (*TOO_MANY, "503")


def is_limited(sample: Sample, statuses: tuple[str, ...] = OVERLOADED) -> bool:
    """Whether a request was refused since there were too many."""
    return sample.code == "V516" and sample.detail.startswith(statuses)


#: With which status somebody says that who asks may not
_FORBIDDEN = ("401", "403")


def is_refusal(sample: Sample) -> bool:
    """Whether a request was refused for whom it seemed to come from."""
    return sample.code == "V516" and sample.detail.startswith(_FORBIDDEN)


def _safe(
    question: Question, answers: Sequence[Sample], forged: Forged
) -> dict[str, object] | None:
    """The declared strategy where it is safe, else the simplest that is."""
    # What was refused for another reason than what stood in it could have deceived.
    if any(is_limited(sample) for _forgery, sample in forged):
        return None
    found = safe(
        question.strategy.candidates,
        [sample.right for sample in answers],
        [
            (
                forgery.header if forgery.names_one_of(forgery.values) else "",
                # What was chosen can be of an expected range.
                sample.right - sample.fooled,
            )
            for forgery, sample in forged
            if is_answer(sample)
        ],
    )
    candidates = [dict(question.strategy.candidates[number]) for number in found]
    declared = (one for one in candidates if is_same(one, question.strategy.told))
    return next(declared, next(iter(candidates), None))


def _not_told_apart(question: Question, family: int, answers: Iterable[Sample]) -> list[str]:
    """The addresses that were seen and are expected as one of several, of which it isn't known that
    they are the prober's.
    """
    networks = [one for one in question.expectation.networks if one.version == family]
    if len(networks) < 2 and all(map(is_single, networks)):
        return []
    seen = dict.fromkeys(one.seen for one in answers if one.seen and one.seen != one.local)
    return [*seen]


def _not_tested(
    question: Question, family: int, answers: Sequence[Sample], forged: Forged, unnamed: bool
) -> str:
    """What the verdict doesn't rest on, as the end of the reason.

    ``family``: 4 or 6; ``unnamed``: it is drawn from pods that don't name themselves.
    """
    # Of any header: who believes another one writes what it says into the strategy's. The PROXY
    # protocol is refused by most.
    sent = [(forgery, sample) for forgery, sample in forged if not forgery.preface]
    # Nobody is deceived by names in it that are refused as no valid request, as Envoy does.
    sent = [one for one in sent if not _is_invalid_hop(*one)]
    refused = sum(not is_answer(sample) for _forgery, sample in sent)
    never = sorted(unanswered((one, is_answer(sample)) for one, sample in sent))
    partly = phrase(
        "forgery tested in part ({refused} of {sent} forged requests not answered{never})",
        refused=refused,
        sent=len(sent),
        never=phrase(", none with {names}", names=_listed(never)) if never else "",
    )
    tested = is_tested(question.strategy, forged)
    aimed = [one for one in forged if is_tested(question.strategy, [one])]
    met = {sample.pod for _forgery, sample in aimed}
    unmet = [sample for sample in answers if sample.pod and sample.pod not in met]
    any_of = _listed(_not_told_apart(question, family, answers))
    waited = _listed(question.unready)
    on_layer_4 = question.layer == "l4"
    others = _listed(question.other_nodes) if on_layer_4 else ""
    # Who was told of some has read the nodes.
    knows_nodes = question.cluster.knows_all("nodes")
    unknown = on_layer_4 and question.backends and not others and not knows_nodes
    left = [
        *([phrase("vantage not checked")] if not question.standpoint.checked else []),
        *([phrase("any expected address counts, seen {seen}", seen=any_of)] if any_of else []),
        *([phrase("not ready, and not asked: {pods}", pods=waited)] if waited else []),
        *([phrase("nodes without its pods: {nodes}", nodes=others)] if others else []),
        *([phrase("nodes without its pods not known")] if unknown else []),
        *starmap(_not_looked_for, unsought(question.unread, unnamed).items()),
        *([partly] if tested and refused else []),
        *([phrase("no forgery tested on {pods}", pods=_pods(unmet))] if tested and unmet else []),
        *([phrase("forgery not tested")] if not tested else []),
    ]
    return joined("", (phrase("; {left}", left=one) for one in left))


def _is_invalid_hop(forgery: Forgery, sample: Sample) -> bool:
    return forgery.header == "Connection" and is_bad_request(sample)


def _not_looked_for(told: str, names: Iterable[str]) -> str:
    resources = _listed(UNSOUGHT[name].resource for name in names)
    return phrase("{told} (no right to list {resources})", told=phrase(told), resources=resources)


def expected_texts(question: Question, samples: Iterable[Sample]) -> list[str]:
    """The expected addresses and ranges, also those of the other family."""
    networks = dict.fromkeys(question.expectation.networks)
    for local in dict.fromkeys(sample.local for sample in samples if sample.local):
        networks.update(dict.fromkeys(question.expectation.at(local)))
    return [str(n.network_address) if is_single(n) else str(n) for n in networks]


#: All answers show the expected address, but they are too few, or it may be the cluster's as well.
_UNFINISHED = ("V410", "V411", "V413", "V415", "V425")


def _may_worsen(code: str) -> bool:
    """Whether all honest answers show the expected address: then what others show counts too."""
    return CODES[code].verdict == "preserved" or code in _UNFINISHED


#: What was seen need not be what clients' requests show: it wasn't this request, a strategy of the
#: other layer was declared, or the load balancer may not have been met.
_ASIDE = ("V407", "V409", "V421", "V422", "V423", "V424")

#: What was seen is no ground for advice: the load balancer may not have been met, or the address
#: that is expected may be that of a proxy on the path.
_ELSEWHERE = ("V418", "V421", "V422", "V423", "V424", "V428", "V429", "V430", "V431")

#: A client chooses the address, and doesn't only change what is read.
_CHOSEN = ("V101", "V103", "V104", "V105")


def worsens(found: str, code: str) -> bool:
    """Whether the code of a deception weighs more than that of the honest requests.

    That a client can choose is shown by one answer, whoever else has still to answer, and also
    where it is in doubt what honest requests should show. That it only changes what is read, is not
    shown then.
    """
    shown = CODES[code].verdict == "unproven" and code not in _ASIDE and found in _CHOSEN
    return (_may_worsen(code) or shown) and _worse(found, code)


def _worse(found: str, code: str) -> bool:
    return VERDICTS.index(CODES[found].verdict) < VERDICTS.index(CODES[code].verdict)


_PLACE = {
    "node": "the prober is a node of the cluster",
    "pod": "the prober is a pod of the cluster",
}


def judge(
    question: Question,
    path: Path,
    samples: Sequence[Sample],
    planned: int,
    forged: Forged = (),
) -> Finding:
    """The verdict of one address. ``planned``: requests that were to be sent, sent or not.

    ``forged``: what came of each forged request; these are not among ``samples``.
    """
    forged = about_here(forged, question)
    answers = [sample for sample in samples if is_answer(sample)]
    dumb = [sample for sample in samples if not is_answer(sample)]
    unsent = planned - len(samples)
    code, group, own = _decide(question, samples, answers, len(dumb) + unsent)
    strategy = question.strategy
    shown = code, group, own
    # Before what deceives, which would hide it.
    seen = _other_peers(strategy, answers, forged) if _may_worsen(code) else None
    code, group, own = seen if seen and _worse(seen[0], code) else shown
    honest = code
    told = deceived(strategy, answers, forged)
    if told and worsens(told[0], code):
        code, group, own = told[0], shown[1], told[1]
    if code == "V102":
        code, group, own = _never_right(strategy, answers, forged) or (code, group, own)
    known, missing = coverage(question, answers)
    expected = expected_texts(question, samples)
    families = _families(path)
    family = families[-1]
    in_family = [text for text in expected if (6 if ":" in text else 4) in families]
    first = group[0] if group else Sample("V525")
    pods = [question.pod_names[s.seen] for s in group if s.seen and s.seen in question.pod_names]
    named = _listed(sample.called for sample in answers if sample.called)
    titles = _titles(dumb, unsent)
    asked = answers and forged and honest not in _ELSEWHERE
    trustworthy = _safe(question, answers, forged) if asked else None
    facts: Facts = {
        "address": path,
        "nonce_header": NONCE_HEADER,
        "host": path.host,
        "family": f"IPv{family}",
        "where": strategy.where,
        "header": strategy.source,
        "list": strategy.list_header,
        "expected": _listed(in_family, " or "),
        "expected_any": _listed(expected, " or "),
        "expected_from": phrase(question.expectation.source),
        "local": _listed(sample.local for sample in group),
        "own": path,
        "seen": _seen(group),
        "pod": phrase(" (pod {pods})", pods=_listed(pods)) if pods else "",
        "peer": _counted(sample.peer or phrase("not told") for sample in group),
        "count": len(group),
        "answered": len(answers),
        "sent": len(samples),
        "planned": planned,
        "position": first.position,
        "other": _listed(sample.other for sample in group if sample.other),
        "setting": _setting(strategy, first.position),
        "detail": first.detail,
        "missing": _listed(missing),
        "limited": sum(is_limited(sample) for _forgery, sample in forged),
        "named": phrase(", only {pods}", pods=named) if named else "",
        "required": len(question.backends),
        "needed": _needed(question),
        "unanswered": phrase(" (of {planned} requests {titles})", planned=planned, titles=titles)
        if titles
        else "",
        "not_tested": _not_tested(question, family, answers, forged, known != "complete"),
        "place": phrase(_PLACE.get(question.standpoint.place, "outside")),
        "like_node": (
            phrase("on which a kubelet listens, and which nodes the cluster has is not known")
            if question.standpoint.kubelet
            else phrase("which is a node by what vantage says")
        ),
        "marks": _listed(question.marks, " and ") or phrase("none are known"),
        "balancer": question.load_balancer or phrase("no class is given"),
        "advice": setting_of(trustworthy),
        **own,
    }
    if code == "V415":
        facts.update(count=len(dumb) + unsent, detail=titles)
    if code == "V412":
        facts["detail"] = question.expectation.unanswered[family]
    statement = say(code, facts)
    telling = novel(answers, forged)
    doubt = doubt_of(honest) if CODES[code].verdict == "forgeable" else None
    return Finding(
        code=code,
        reason=with_doubt(statement.reason, doubt),
        fix=statement.fix,
        warnings=_warnings(code, question, answers, facts, titles, telling),
        coverage=known,
        detail=printable(facts["header"] if code == "V209" else facts["detail"]),
        # What became of one header is told by the requests that have no other.
        forgery=fates(((f.header, _fate(s)) for f, s in telling if f.alone), ()),
        safe=trustworthy,
        doubt=doubt,
    )


def novel(answers: Iterable[Sample], forged: Forged) -> list[tuple[Forgery, Sample]]:
    """What was forged with an address that honest ``answers`` don't show anyway."""
    honest = " ".join(value for sample in answers for _name, value in sample.lines)
    return [(forgery, sample) for forgery, sample in forged if is_novel(forgery, honest)]


def _fate(sample: Sample) -> str:
    return sample.fate if is_answer(sample) else "refused"


def _rivals(sample: Sample, strategy: Strategy) -> Iterable[tuple[str, str]]:
    """Warning and address for each other header that says something else than the strategy."""
    for name, header in (("real_ip_differs", "X-Real-IP"), ("list_differs", DEFAULT_HEADER)):
        values = [value for _name, value in _lines(sample.lines, header)]
        if values and header.lower() != strategy.source.lower():
            rival = canonical(values[-1].rpartition(",")[2])
            if rival != sample.seen:
                yield name, rival or phrase("no address")


def _warnings(
    code: str,
    question: Question,
    answers: Sequence[Sample],
    facts: Facts,
    titles: str,
    novel: Forged,
) -> list[str]:
    found: list[tuple[str, Facts]] = []
    verdict = CODES[code].verdict
    lines = [name for sample in answers for name, _value in sample.lines]
    without = sum(sample.missing for sample in answers)
    if question.layer == "l7":
        for sample in answers:
            seen = sample.seen or phrase("no address")
            for name, rival in _rivals(sample, question.strategy):
                found.append((name, {"rival": rival, "seen": seen}))
            if sample.first is not None and sample.first != sample.seen:
                first = sample.first or phrase("no address")
                header = question.strategy.source
                found.append(("first_line", {"header": header, "first": first, "seen": seen}))
    arrived = [
        forgery.header
        for forgery, sample in novel
        if forgery.header.lower() != question.strategy.source.lower()
        if is_of(forgery, question.strategy.source)
        if is_answer(sample) and sample.fate in ("passed_through", "appended")
    ]
    if question.layer == "l7" and arrived:
        found.append(("underscored", {"name": arrived[0]}))
    if question.layer == "l4" and lines:
        found.append(("forwarded_at_layer_4", {"header": _listed(lines)}))
    own = [sample.local for sample in answers if sample.seen and sample.seen == sample.local]
    if verdict == "lost" and own:
        found.append(("own_seen", {"own": own[0]}))
    if question.layer == "l7" and without and verdict == "unproven":
        found.append(("header_missing", {"count": without}))
    if titles and answers:
        found.append(("unanswered", {"detail": titles}))
    if facts["limited"] and verdict in ("preserved", "forgeable"):
        found.append(("limited", {"count": facts["limited"]}))
    # The first example of each is enough.
    chosen = dict(reversed(found))
    return [warn(name, {**facts, **chosen[name]}) for name in sorted(chosen)]
