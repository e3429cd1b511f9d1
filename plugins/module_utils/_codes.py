# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The codes of the verdicts: what each one says, why it comes about and what mends it.

The table is the one home of these texts: messages, documentation and tests are made from it. A code
that was released keeps its number and its meaning; a new one takes a number that was never used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import zip_longest
from string import Formatter
from typing import Any, NamedTuple

from ansible_collections.kestrel.real_ip.plugins.module_utils._chinese_codes import (
    CODES_ZH,
    WARNINGS_ZH,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    Text,
    chinese,
    filled,
    joined,
    phrase,
)

#: Worst first: a run's verdict is the worst of its targets' verdicts.
VERDICTS = ("no_answer", "lost", "mixed", "forgeable", "unproven", "preserved")

#: What an address is listed as that could not be tried from here. It is no verdict.
UNTESTED = "untested"

_LIMIT = 400
#: What a verdict doesn't rest on is put together of a few of each, and nothing of it may be missing
_LIMITS = {"not_tested": 8000}


def _escape(char: str) -> str:
    if char.isprintable() and char != "\\":
        return char
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def printable(text: object, limit: int = _LIMIT) -> str:
    """The text with everything escaped that is no visible character or space, cut at ``limit``.

    What comes from an answer passes through here before it is reported: control characters, bidi
    overrides, line separators and lone surrogates would change what a terminal or a report shows.
    Backslashes are escaped as well, so that an escaped text can't be confused with a literal one.
    """
    if isinstance(text, Text):
        return Text(printable(str(text), limit), printable(text.chinese, limit))
    shown = str(text)[: limit + 1]
    if not shown.isprintable() or "\\" in shown:
        shown = "".join(map(_escape, shown))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def visible(text: object) -> str:
    """The text with everything escaped that changes what is shown, but for backslashes.

    For texts that went through :func:`printable` before, or may have.
    """
    shown = str(text)
    return shown if shown.isprintable() else "".join(map(_escape_but_backslash, shown))


def _escape_but_backslash(char: str) -> str:
    return char if char == "\\" else _escape(char)


class Code(NamedTuple):
    """One row: ``reason`` and ``fix`` are templates of str.format, see :func:`say`.

    ``title`` is a phrase that also stands in lists ("3 × connection refused"). ``fix`` is empty
    where nothing has to be done.
    """

    number: str
    verdict: str
    title: str
    reason: str
    cause: str
    fix: str


_SHOWED = "{count} of {answered} answers through {address} showed {seen}"
_INSTEAD = "as {where} instead of {expected}"

_TABLE = (
    # --- preserved --------------------------------------------------------------------------------
    Code(
        "V001",
        "preserved",
        "the expected address arrived",
        "all {answered} answers through {address} showed {expected} as {where}{unanswered}"
        "{not_tested}",
        "Every backend that was asked for saw the expected address, where the declared strategy "
        "reads it. Requests that got no answer are named; they decide nothing where every backend "
        "of expect_backends answered.",
        "",
    ),
    Code(
        "V002",
        "preserved",
        "the expected address arrived, backends not told apart",
        "all {answered} answers through {address} showed {expected} as {where}, but the echo app "
        "doesn't name its pod, so that each backend was reached is likely and not "
        "certain{not_tested}",
        "The echo app doesn't tell in which pod it runs, or only by a name that pods of other "
        "namespaces can have. Ten requests for each expected backend were sent, all were answered "
        "and all showed the expected address.",
        "",
    ),
    # --- forgeable --------------------------------------------------------------------------------
    Code(
        "V101",
        "forgeable",
        "a client can choose the address",
        "honest requests through {address} showed {seen} as {where}, but one with the forged "
        "{line} made it {got}",
        "The load balancer passes on, or appends to, what the client writes, and the declared "
        "strategy reads the client's part.",
        "Use what was seen to be safe here, {advice}",
    ),
    Code(
        "V102",
        "forgeable",
        "a client can change what is read",
        "honest requests through {address} showed {seen} as {where}, but one with the forged "
        "{line} made it {got}",
        "The forged header changes what the declared strategy reads, though not to the forged "
        "address: a client can hide its own address.",
        "Use what was seen to be safe here, {advice}",
    ),
    Code(
        "V103",
        "forgeable",
        "a client can walk around the proxy in front",
        "{address} isn't the only way in: the load balancer answers directly as well, at {around}, "
        "and there a request with the forged {line} made {where} {got}",
        "The declared strategy counts what stands in front on the probed way. Who reaches the load "
        "balancer without it, as at another address of its own or at its controller's node port, "
        "writes that entry himself.",
        "Let the load balancer, and the nodes where its controller has node ports, admit the proxy "
        "in front only. Where another echo app answers there, and this one names no pod, use one "
        "that does (in the playbooks real_ip_echo: bundled)",
    ),
    Code(
        "V104",
        "forgeable",
        "a client can choose the address by the PROXY protocol",
        "honest requests through {address} showed {seen} as {where}, but one that began with "
        "{line} made it {got}",
        "Something on the path takes the PROXY protocol, its first or its second version, from "
        "anybody who sends it, and believes the address in it.",
        "Accept the PROXY protocol from the proxy in front alone, and turn it off where none "
        "sends it",
    ),
    Code(
        "V105",
        "forgeable",
        "a client can walk around the load balancer, by a Service's own address",
        "a Service of the pods behind {address} has a load balancer or an external address of its "
        "own, {around}, and there a request with the forged {line} made {where} {got}",
        "The Service that an Ingress sends to, or another one that selects the same pods, has a "
        "load balancer of its own, or externalIPs. Who asks there writes what the Ingress' load "
        "balancer would have written.",
        "Give the Service that has this address (kubectl get services names it) a type without a "
        "load balancer, such as NodePort or ClusterIP, and no externalIPs, or let the security "
        "group admit nobody there",
    ),
    # --- lost -------------------------------------------------------------------------------------
    Code(
        "V201",
        "lost",
        "a node's address instead of the client's",
        f"{_SHOWED}, a node's address, {_INSTEAD}",
        "A node replaced the source address: kube-proxy does for node ports with "
        "externalTrafficPolicy Cluster. Or the last proxy runs on a node and is itself reached "
        "through one.",
        "Let a layer-7 load balancer add the address before the node port, or set "
        "externalTrafficPolicy: Local on the Service",
    ),
    Code(
        "V202",
        "lost",
        "a pod network's or bridge's address instead of the client's",
        f"{_SHOWED}{{pod}}, an address of the pod network, {_INSTEAD}",
        "A node's bridge, or a pod that works as a proxy, stands where the client should: "
        "kube-proxy replaced the source address with the bridge's, or a proxy in a pod is not "
        "counted as trusted.",
        "Set externalTrafficPolicy: Local on the Service of the last proxy, or raise trusted_count "
        "where a proxy of yours runs in a pod",
    ),
    Code(
        "V203",
        "lost",
        "a Service's address instead of the client's",
        f"{_SHOWED}, a Service's address, {_INSTEAD}",
        "A node used a Service address of its own interfaces as the source, as nodes with "
        "kube-proxy in IPVS mode can.",
        "Probe from outside the cluster, then look at the node that opened the connection",
    ),
    Code(
        "V204",
        "lost",
        "the load balancer's address instead of the client's",
        f"{_SHOWED}, the load balancer's address, {_INSTEAD}",
        "The load balancer connects with its own address and a proxy behind it took that for the "
        "client.",
        "Let the load balancer pass the client's address on (X-Forwarded-For, PROXY protocol or "
        "transparent source) and count the proxy behind it in trusted_count",
    ),
    Code(
        "V205",
        "lost",
        "a loopback address instead of the client's",
        f"{_SHOWED}, a loopback address, {_INSTEAD}",
        "Something in the pod itself took the connection first: a sidecar (Istio's is 127.0.0.6), "
        "or a port-forward.",
        "Let the sidecar keep the source (Istio: interceptionMode TPROXY) or count it in "
        "trusted_count, and don't probe through a port-forward",
    ),
    Code(
        "V206",
        "lost",
        "another private address instead of the client's",
        f"{_SHOWED}, another private address, {_INSTEAD}",
        "A proxy or an address translation with a private address stands between the client and "
        "the place that records the address.",
        "Look for the machine that has {seen}, and count it in trusted_count if it is a proxy of "
        "yours",
    ),
    Code(
        "V207",
        "lost",
        "another public address instead of the client's",
        f"{_SHOWED}, another public address, {_INSTEAD}",
        "A CDN, a proxy or an address translation with a public address stands in front, or the "
        "prober's traffic doesn't leave with the expected address.",
        "Check with which address the prober's traffic leaves its network, by other means than "
        "this probe, and count a CDN or proxy in front of the load balancer in trusted_count",
    ),
    Code(
        "V208",
        "lost",
        "the expected address stands at another place of the list",
        "{count} of {answered} answers through {address} have {expected} as entry {position} from "
        "the right of {list}, but {where} is {seen}",
        "The declared strategy counts other proxies than stand on the path.",
        "Set {setting}, after checking that the load balancer can't be reached without passing "
        "every one of these proxies",
    ),
    Code(
        "V209",
        "lost",
        "the header that should carry the address is missing",
        "{header} is missing in {count} of {answered} answers through {address}, so {expected} "
        "can't be read from it (socket peer: {peer})",
        "The request didn't cross a layer-7 proxy that adds the header (node port, layer-4 "
        "Service, port-forward, another port), or something behind that proxy removed it.",
        "Probe the address of the layer-7 load balancer; for a layer-4 load balancer set layer: l4",
    ),
    Code(
        "V210",
        "lost",
        "the header has no valid address where the strategy reads",
        "{count} of {answered} answers through {address} have {detail}, so {where} is no address "
        "and not {expected}",
        "The list is shorter than the strategy counts, every entry is trusted or private, or "
        "something else than an address stands there.",
        "Choose strategy, header and trusted_count by what the load balancer writes: compare the "
        "header lines under backends",
    ),
    # --- mixed ------------------------------------------------------------------------------------
    Code(
        "V301",
        "mixed",
        "some backends see the expected address, others don't",
        "through {address} {good} saw {expected} as {where}, but {bad} saw {seen}",
        "Backends are reached on different ways: one node replaces the source address, one replica "
        "is of another version or removes the header.",
        "Compare the named pods, their nodes and versions: kubectl get pods -o wide",
    ),
    Code(
        "V302",
        "mixed",
        "the same backend sees the expected address only sometimes",
        "through {address} the same backend ({bad}) saw {expected} as {where} in some requests and "
        "{seen} in others",
        "Several ways lead to the same backend, and not all of them keep the address: another "
        "node, another balancer, another proxy.",
        "Compare the socket peers under backends: they tell the ways apart",
    ),
    Code(
        "V303",
        "mixed",
        "the expected address is seen only sometimes",
        "{good} of {answered} answers through {address} showed {expected} as {where}, the others "
        "{seen}",
        "Backends or ways to them differ, and the echo app doesn't tell which pod answered.",
        "Use an echo app that names its pod (in the playbooks real_ip_echo: bundled), then compare "
        "the backends",
    ),
    # --- unproven ---------------------------------------------------------------------------------
    Code(
        "V401",
        "unproven",
        "no expected address",
        "which address should arrive through {address} was not said, and the prober's own address "
        "({local}) is not globally routable, so nothing can be compared",
        "Without an expected address every address looks right, also a node's or a bridge's.",
        "Set expected_source to the address with which the prober's traffic leaves its network, to "
        "local where no address translation stands between, or expected_source_url to a URL that "
        "answers with the caller's address",
    ),
    Code(
        "V402",
        "unproven",
        "no expected address of this family",
        "{address} was reached over {family}, but the expected {expected_any} is of the other "
        "family",
        "Expected addresses are compared within the family of the connection only.",
        "Add the prober's {family} address to expected_source, or set address_family",
    ),
    Code(
        "V403",
        "unproven",
        "the expected address is the cluster's own",
        "the expected {expected} ({expected_from}) at {address} is an address of the cluster "
        "itself, so seeing it would prove nothing",
        "The prober stands in the cluster, or behind one of its nodes.",
        "Probe from outside the cluster",
    ),
    Code(
        "V404",
        "unproven",
        "the expected address exists on every machine",
        "the expected {expected} ({expected_from}) at {address} is a loopback, link-local or "
        "multicast address, or one that each machine gives its own containers or guests, so it "
        "can't tell the prober from another machine",
        "Such an address is no machine's alone: a sidecar in the pod shows the same, or a "
        "container's port that is forwarded.",
        "Probe the load balancer from another machine, and give that machine's address as "
        "expected_source",
    ),
    Code(
        "V405",
        "unproven",
        "a private address is expected at a public target",
        "the expected {expected} is not globally routable, but {address} is, and its answers "
        "showed {seen} as {where}: on the way the address is translated, or the request stayed in "
        "the local network",
        "A private source address can't reach a public target unchanged.",
        "Set expected_source to the public address with which the prober's traffic leaves its "
        "network",
    ),
    Code(
        "V406",
        "unproven",
        "the prober's address may have been translated",
        "the prober's own address is {expected}, but the answers through {address} showed {seen} "
        "as {where}: address translation on the prober's side, or the wrong address, which can't "
        "be told apart from here",
        "The socket's own address confirms, but never refutes: behind a NAT gateway another one is "
        "seen, and rightly.",
        "Ask the owner of the prober's network, or a service by expected_source_url, for the "
        "address with which its traffic leaves, and give that as expected_source",
    ),
    Code(
        "V407",
        "unproven",
        "the answer is cached, or not to this request",
        "{count} of {sent} requests to {address} got an answer without their own nonce: cached, or "
        "not this request",
        "A cache answers, or something removes the header that ties answer and request, so the "
        "answer may tell about another client's request.",
        "Switch caching off for this URL, and let the header {nonce_header} pass",
    ),
    Code(
        "V409",
        "unproven",
        "the expected address is the socket peer, and no proxy header is there",
        "{expected} is the socket peer in {count} of {answered} answers through {address}, and no "
        "proxy header is there: this is a layer-4 path, which headers can't decide",
        "No layer-7 proxy stands on the path: a layer-4 load balancer keeps the source address of "
        "the connection.",
        "Set layer: l4",
    ),
    Code(
        "V410",
        "unproven",
        "a backend did not answer",
        "after {sent} requests to {address} no answer named {missing}{named}: session persistence "
        "or IP hash may lead this prober to the same backend each time",
        "Every required backend must have shown the address. One that never answered may be wrong.",
        "Raise max_samples, switch session persistence off, or look at kubectl describe pod "
        "{missing}",
    ),
    Code(
        "V411",
        "unproven",
        "max_samples is too small to reach each backend",
        "{sent} requests to {address} are too few for {required} backends that can't be told "
        "apart: max_samples cuts them off",
        "The echo app doesn't name its pod, so ten requests for each backend are needed.",
        "Set max_samples: {needed}",
    ),
    Code(
        "V412",
        "unproven",
        "expected_source_url told no address",
        "expected_source_url told no {family} address of the prober ({detail}), so nothing can be "
        "compared at {address}",
        "The expected address was to be asked for, and no usable answer came.",
        "Check with curl that the URL answers with nothing but the caller's address, or give "
        "expected_source",
    ),
    Code(
        "V413",
        "unproven",
        "the range may hold addresses of the cluster",
        "the answers through {address} showed {seen} as {where}, inside the expected {expected}, "
        "but the cluster may have addresses in there too that cluster_addresses doesn't name",
        "A match through a range never counts for an address of the cluster, and which ones these "
        "are is not known. Nodes and load balancers have public addresses as well. Private ones "
        "that no object names are the ends of a network plugin's tunnels and its gateways: within "
        "a range, a private address counts only where it is the prober's own, and none that ends "
        "in zeros, as proxies write it that tell nobody's whole address.",
        "Give the single addresses with which this prober's traffic arrives as expected_source, or "
        "for public ones all of nodes, pods, services and load_balancers in cluster_addresses (the "
        "playbooks read them with the right to list them)",
    ),
    Code(
        "V414",
        "unproven",
        "the leftmost entry can be forged",
        "all {answered} answers through {address} showed {expected} as {where}, but a client can "
        "write that entry itself wherever the list is appended to, and forgery is not tested",
        "leftmost_non_private is for statistics only.",
        "Set strategy: rightmost_trusted_count with the number of your own proxies as "
        "trusted_count",
    ),
    Code(
        "V415",
        "unproven",
        "some requests got no answer",
        "{count} of {planned} requests to {address} got no answer ({detail}); the other {answered} "
        "showed {expected} as {where}, but who would have answered is not known",
        "A request without an answer may have met a backend that doesn't see the address. It "
        "weakens nothing only where every backend of expect_backends answered and is named in its "
        "answers.",
        "Mend what the unanswered requests met, or name the backends in expect_backends",
    ),
    Code(
        "V416",
        "unproven",
        "the expected address is the target's own",
        "the expected {expected} is the address of the target {address} itself, so seeing it can't "
        "tell the prober from the load balancer",
        "The prober runs on the machine that has the target's address, or the target's address was "
        "given as the expected one.",
        "Probe from another machine, and give that machine's address as expected_source",
    ),
    Code(
        "V417",
        "unproven",
        "the echo app doesn't tell the socket peer",
        "the echo app behind {address} doesn't tell the socket peer, which alone decides at "
        "layer: l4",
        "The document's image answers with header lines only. What echo_queries.peer finds counts "
        "for nothing where it stands in a header as well: the app may have it from there.",
        "Use an echo app that tells the peer (in the playbooks real_ip_echo: bundled); for a "
        "layer-7 load balancer set layer: l7",
    ),
    Code(
        "V418",
        "unproven",
        "the prober's address was asked at the target itself",
        "expected_source_url leads to {address} as well, so that the expected {expected} is itself "
        "only what is seen behind it",
        "Whatever stands between prober and target changes both answers alike.",
        "Set expected_source_url to a service that is not behind the same load balancer, or give "
        "expected_source",
    ),
    Code(
        "V419",
        "unproven",
        "the prober's own address arrived instead of the one that was asked for",
        "the answers through {address} showed {seen}, the address of the probing socket itself, as "
        "{where}, but expected_source_url told {expected}",
        "The prober's traffic leaves with another address on the way to expected_source_url than "
        "on the way to the target, for example through an internet gateway to one, directly to "
        "the other.",
        "Set expected_source_url to a service that is reached on the same way as the target, or "
        "set expected_source: local",
    ),
    Code(
        "V420",
        "unproven",
        "the echo app hides the header that the strategy reads",
        "the echo app behind {address} doesn't show {header} as it arrived, so that what came in "
        "it can't be told",
        "httpbin leaves out the headers that proxies add. Apps that join repeated lines don't show "
        "which one of them came last, and that one counts for single_header. Apps that show one "
        "line only may leave out the one that a client wrote.",
        "Add ?show_env=1 to url for httpbin, or use an echo app that shows every header line: "
        "docs/echo_apps.md lists them",
    ),
    Code(
        "V421",
        "unproven",
        "layer 4 from inside of the cluster",
        "{place}, from where {address} may be answered without its load balancer; the answers "
        "showed {seen} as {where}",
        "On nodes and in pods kube-proxy sends requests for a load balancer's address to the pods "
        "by itself, with an address of its own choice as the source. What is seen then says "
        "nothing about clients.",
        "Probe from a machine outside the cluster, for example as one of real_ip_vantages",
    ),
    Code(
        "V422",
        "unproven",
        "layer 4, and the vantage was not checked",
        "whether the prober is a node or a pod of the cluster was not checked, since nodes or pods "
        "are not known, and from there {address} may be answered without its load balancer; the "
        "answers showed {seen} as {where}",
        "On nodes and in pods kube-proxy answers in the load balancer's place. Without the "
        "addresses of nodes and pods that can't be ruled out.",
        "Grant the right to list nodes and pods, give nodes and pods in cluster_addresses, or set "
        "vantage: outside where the prober certainly stands outside the cluster",
    ),
    Code(
        "V423",
        "unproven",
        "layer 7 from inside of the cluster, and no sign of the load balancer",
        "{place}, from where {address} may be answered without its load balancer, and the header "
        "lines that show that it was met are missing ({balancer}: {marks}); the answers showed "
        "{seen} as {where}",
        "On nodes and in pods kube-proxy sends requests for a load balancer's address to the pods "
        "by itself. The load balancer's own header lines would prove that it was met.",
        "Probe from a machine outside the cluster, for example as one of real_ip_vantages",
    ),
    Code(
        "V424",
        "unproven",
        "the vantage was not checked, and no sign of the load balancer",
        "whether the prober is a node or a pod of the cluster was not checked, since nodes or pods "
        "are not known, and the header lines that show that the load balancer of {address} was met "
        "are missing ({balancer}: {marks}); the answers showed {seen} as {where}",
        "From a node or a pod a load balancer's address may be answered without the load balancer. "
        "Without the addresses of nodes and pods that can't be ruled out, nor without header lines "
        "that only the load balancer writes.",
        "Grant the right to list nodes and pods, give nodes and pods in cluster_addresses, or set "
        "vantage: outside where the prober certainly stands outside the cluster",
    ),
    Code(
        "V425",
        "unproven",
        "pods can't be told apart at layer 4",
        "all {answered} answers through {address} showed {expected} as {where}, but the echo app "
        "doesn't name its pod, and {required} pods are ready",
        "On layer 4 the way to each pod can keep or lose the address, depending on its node, and "
        "which pods answered is not known.",
        "Use an echo app that names its pod, in the playbooks real_ip_echo: bundled",
    ),
    Code(
        "V426",
        "unproven",
        "the echo app takes the socket peer from a header",
        "the echo app behind {address} told {got} as the socket peer of a request with the forged "
        "{line}: what it calls the peer it takes from a header, while the socket's own peer alone "
        "decides at layer: l4",
        "A setting for proxies in front (as uvicorn's --proxy-headers, or ProxyFix) puts the "
        "header's address in the peer's place. Behind a layer-4 load balancer that lets every "
        "client choose its address.",
        "Turn that setting off, or use an echo app that tells the peer itself (in the playbooks "
        "real_ip_echo: bundled)",
    ),
    Code(
        "V427",
        "unproven",
        "the echo app doesn't tell the peer that trusted ranges begin with",
        "{expected} is {where} in the headers that came through {address}, but the echo app "
        "doesn't tell the socket peer, and one outside of trusted_ranges would itself be taken for "
        "the client",
        "An application that trusts ranges looks at the socket peer first. Through node ports that "
        "is a node, and not the load balancer.",
        "Use an echo app that tells the peer (in the playbooks real_ip_echo: bundled), or count "
        "the proxies (strategy: rightmost_trusted_count)",
    ),
    Code(
        "V428",
        "unproven",
        "another expected address than the prober's own",
        "{seen} arrived through {address} as {where}, which is expected ({expected}), but the "
        "prober's own address {local} is expected as well, and would have arrived in its place",
        "A range, or a list for several probers, holds other machines too, a proxy on the path "
        "among them.",
        "Give the one address with which this prober's traffic must arrive as expected_source",
    ),
    Code(
        "V429",
        "unproven",
        "the prober's own machine leads to the pods",
        "the prober's own machine leads to the pods, at {own}: what stands on it speaks to the "
        "load balancer with the prober's address, and may have sent what came through {address}, "
        "which showed {seen} as {where}",
        "The prober runs on the proxy in front. The address that arrives is the machine's, whether "
        "the proxy passes clients' addresses on or not.",
        "Probe from another machine, for example as one of real_ip_vantages",
    ),
    Code(
        "V430",
        "unproven",
        "another address before the expected one",
        "{seen} arrived through {address} as {where}, which is expected ({expected}), but in the "
        "same answers {other} stands on the client's side of it, and the prober sent none: what "
        "was seen may be a proxy's",
        "What is expected is the address of a proxy on the path, or a range or list holds it too.",
        "Give the one address with which this prober's traffic meets the first proxy as "
        "expected_source, and count the proxies (trusted_count). Where both are right, a proxy "
        "writes the client once more in place of its own peer (nginx with real_ip_recursive): let "
        "it add that to the list (ingress-nginx: compute-full-forwarded-for), and count it too",
    ),
    Code(
        "V431",
        "unproven",
        "the own address, where the prober may be a node",
        "the expected {expected} ({expected_from}) at {address} is an address of this machine, "
        "{like_node}: if it is one of the cluster's, that address is also what it puts in the "
        "place of every client's",
        "A node hands requests to pods with its own address as the source. Behind a proxy in front "
        "of the app that looks like the node's own request.",
        "Grant the right to list nodes, give nodes in cluster_addresses, or set vantage: outside "
        "where this machine is no node of that cluster",
    ),
    # --- no_answer --------------------------------------------------------------------------------
    Code(
        "V501",
        "no_answer",
        "name not resolved",
        "no address was found for {address}: {detail}",
        "The name doesn't exist yet, or the prober's resolver doesn't know it.",
        "Check with getent ahosts {host}, or give the address in connect_to",
    ),
    Code(
        "V502",
        "no_answer",
        "name resolution timed out",
        "the resolver didn't answer for {address} within {detail}",
        "The prober's resolver is not reachable.",
        "Check /etc/resolv.conf on the probing host, or give the address in connect_to",
    ),
    Code(
        "V503",
        "no_answer",
        "connection refused",
        "{address} refused the connection in {count} of {sent} requests",
        "Nothing listens on this port: no listener on the load balancer, a wrong port, or no "
        "backend.",
        "Check port and listener; for an Ingress kubectl describe ingress shows why none was made",
    ),
    Code(
        "V504",
        "no_answer",
        "connection timed out",
        "{address} didn't take the connection in time in {count} of {sent} requests",
        "A security group or firewall drops the packets, or the address belongs to nobody. CLB "
        "keeps the client's address, so the nodes' security groups must let it in as well.",
        "Open the load balancer's port, and the node ports 30000-32768, for the prober's address",
    ),
    Code(
        "V505",
        "no_answer",
        "no route",
        "the prober has no route to {address}",
        "The probing host has no address of this family, or no route.",
        "Probe from a host with a route to it, or set address_family",
    ),
    Code(
        "V506",
        "no_answer",
        "connection failed",
        "the connection to {address} failed in {count} of {sent} requests: {detail}",
        "The network refused the connection for the reason given.",
        "Check the way to the address with curl -v from the probing host",
    ),
    Code(
        "V507",
        "no_answer",
        "certificate not accepted",
        "the certificate of {address} was not accepted: {detail}",
        "The certificate is for another name, expired, or from an unknown authority.",
        "Set server_name to a name in the certificate, ca_path to its authority, or "
        "validate_certs: false if it doesn't matter here",
    ),
    Code(
        "V508",
        "no_answer",
        "TLS failed",
        "no TLS connection to {address} came about: {detail}",
        "Another protocol is spoken on this port, no common version was found, or a client "
        "certificate is asked for.",
        "Check that the port speaks TLS, or use http:// in url; give tls_client_cert where one is "
        "asked for",
    ),
    Code(
        "V509",
        "no_answer",
        "no answer in time",
        "{address} took the connection but sent no answer in time in {count} of {sent} requests",
        "The backend hangs, or the load balancer waits for one that doesn't answer.",
        "Look at the backends: kubectl get endpointslices, kubectl logs; raise timeout if they are "
        "slow",
    ),
    Code(
        "V510",
        "no_answer",
        "answer not finished in time",
        "{address} began an answer but didn't finish it in time in {count} of {sent} requests",
        "The answer comes too slowly, or never ends: this is not the echo app.",
        "Check url and host_header with curl -v; raise timeout if the way is slow",
    ),
    Code(
        "V511",
        "no_answer",
        "connection closed without an answer",
        "{address} closed the connection without an answer in {count} of {sent} requests",
        "The backend or a firewall cut the connection, or the port speaks another protocol (TLS, "
        "PROXY protocol).",
        "Check that the port speaks plain HTTP, or use https:// in url",
    ),
    Code(
        "V512",
        "no_answer",
        "connection closed half-way",
        "{address} closed the connection in the middle of its answer in {count} of {sent} requests",
        "The backend crashed while it answered, or something on the way cut the connection.",
        "Look at the backends: kubectl logs --previous",
    ),
    Code(
        "V513",
        "no_answer",
        "not HTTP",
        "{address} answered with something that isn't HTTP/1.x: {detail}",
        "Another protocol is spoken on this port.",
        "Check scheme and port in url",
    ),
    Code(
        "V514",
        "no_answer",
        "header section too large",
        "{address} answered with more header lines than are read ({detail})",
        "This is not the echo app.",
        "Check url and host_header with curl -v",
    ),
    Code(
        "V515",
        "no_answer",
        "answer too large",
        "{address} answered with more than max_body ({detail}) bytes",
        "This is not the echo app, or its answer is unusually long.",
        "Check url and host_header with curl -v; raise max_body only if this is the echo app",
    ),
    Code(
        "V516",
        "no_answer",
        "HTTP status",
        "{address} answered {count} of {sent} requests with HTTP status {detail}",
        "403: no rule has this Host, or a firewall refused. 404: the Host has a rule, the path "
        "doesn't. 502, 503, 504: the load balancer found no backend that answers.",
        "Check Host and path of the Ingress' rules against url and host_header, then the Service's "
        "endpoints: kubectl get endpointslices",
    ),
    Code(
        "V517",
        "no_answer",
        "redirect",
        "{address} redirects to {detail}, which is not followed",
        "A redirect leads to another address or listener, whose path would be measured instead.",
        "Probe the target of the redirect as url if that is what clients use",
    ),
    Code(
        "V518",
        "no_answer",
        "empty answer",
        "{address} answered {count} of {sent} requests with an empty body",
        "This is not the echo app, or the method has no body in its answer.",
        "Check url, host_header and method with curl -v",
    ),
    Code(
        "V519",
        "no_answer",
        "HTML",
        "{address} answered with an HTML page instead of an echo app's JSON",
        "A default page, a login page, an error page or a block page answers.",
        "Check url and host_header with curl -v: which rule of the load balancer takes them?",
    ),
    Code(
        "V520",
        "no_answer",
        "compressed answer",
        "{address} answered with Content-Encoding {detail}, though only identity was accepted",
        "Something on the way compresses whatever the client accepts; it isn't unpacked, since a "
        "few bytes can become gigabytes.",
        "Switch compression off for this URL",
    ),
    Code(
        "V521",
        "no_answer",
        "invalid UTF-8",
        "{address} answered with bytes that are no UTF-8 text",
        "This is not the echo app.",
        "Check url and host_header with curl -v",
    ),
    Code(
        "V522",
        "no_answer",
        "not JSON",
        "{address} answered with something that isn't JSON: {detail}",
        "This is not the echo app, or its answer was cut off.",
        "Check url and host_header with curl -v",
    ),
    Code(
        "V523",
        "no_answer",
        "JSON nested too deeply",
        "{address} answered with JSON that is nested more deeply than is read",
        "This is not the echo app.",
        "Check url and host_header with curl -v",
    ),
    Code(
        "V524",
        "no_answer",
        "another form",
        "{address} answered in a form that isn't an echo app's ({detail})",
        "Another application answers, or the echo app's form is not the one in echo_format.",
        "Check url and host_header with curl -v, and echo_format",
    ),
    Code(
        "V525",
        "no_answer",
        "deadline passed",
        "the deadline passed before {address} gave an answer",
        "There are more targets or slower ones than the time allows.",
        "Raise deadline or concurrency",
    ),
    # --- listed, but no verdict -------------------------------------------------------------------
    Code(
        "V601",
        UNTESTED,
        "no route for this family",
        "{address} was not tested: the prober has no route for {family}",
        "The probing host has no address of this family, or no route. It weakens the verdict of "
        "the other addresses in nothing.",
        "Probe from a host with {family} to test it as well",
    ),
)

CODES: Mapping[str, Code] = {row.number: row for row in _TABLE}

#: Things that are worth saying beside the verdict; templates as in the codes.
WARNINGS: Mapping[str, str] = {
    "real_ip_differs": (
        "X-Real-IP shows {rival}, but {where} is {seen}: applications that read X-Real-IP (nginx's "
        "realip module by default) get another address than those with the declared strategy"
    ),
    "list_differs": (
        "the rightmost X-Forwarded-For entry is {rival}, but {where} is {seen}: applications that "
        "read X-Forwarded-For get another address than those with the declared strategy"
    ),
    "underscored": (
        "{name} arrives as a client sends it: an application that takes underscores for dashes, as "
        "those behind gunicorn before 22 and uWSGI do, can read it as {header}. Next: let the load "
        "balancer drop that name, or try the application itself"
    ),
    "proxied": (
        "{variable} in the prober's environment names a proxy, which most clients there use and "
        "this probe never does: with it they arrive from another address. Next: curl {url}"
    ),
    "own_seen": (
        "{own} is the address that the prober connected from, so that it did arrive: the expected "
        "{expected} may be somebody else's"
    ),
    "unanswered": "some of {planned} requests to {address} got no answer: {detail}",
    "earlier": (
        "{address} was {code} while an answer of another address was waited for, and when it was "
        "asked again {then}: what was shown once counts"
    ),
    "header_missing": "{header} is missing in {count} of {answered} answers through {address}",
    "bypass": (
        "not asked directly, or not to the end (no address, route or time, or each known name in "
        "TLS, or what was forged, was refused): {address}, so that a way around what stands in "
        "front of the pods was not tested"
    ),
    "unsafe": (
        "{advice} was safe where it was asked, but the load balancer answers directly as well, at "
        "{around}, and there a client chooses what that returns: it isn't safe until the load "
        "balancer's security group admits the proxy in front only"
    ),
    "front": (
        "{header} lists {count} addresses through {address}, so that a proxy stands in front of "
        "the one that wrote last. The load balancer's status has only {name}, which may be what "
        "stands in front: a way around it was not tested"
    ),
    "behind": (
        "{header} arrived through {address}, which a CDN writes, so that one stands in front. The "
        "load balancer's status has only {name}, which may be the CDN's: a way around it was not "
        "tested"
    ),
    "ingress": (
        "Ingress {name} leads to the same pods by an address, host or path of its own, which was "
        "not asked: this verdict doesn't speak of clients who come that way. Next: {command}"
    ),
    "route": (
        "HTTPRoute {name} leads to the same pods through a Gateway at an address of its own, which "
        "was not asked: this verdict doesn't speak of clients who come that way. Next: {command}"
    ),
    "alongside": (
        "{name} leads to the same pods as well, at the same load balancer by rules of its own, "
        "which were not asked for: this verdict doesn't speak of clients who come that way. Next: "
        "{command}"
    ),
    "beyond": (
        "{name} leads to the same pods by more hosts or paths, or patterns, than the load balancer "
        "was asked for past what stands in front of it. Next: {command}"
    ),
    "unaddressed": (
        "{name} tells no address of its load balancer, so that a way around what stands in front "
        "of it was not looked for. Next: {command}"
    ),
    "omitted": (
        "{name} may lead past what stands in front as well, by more node ports or addresses than "
        "were asked. Next: {command}"
    ),
    "more": (
        "{count} more warnings are about further addresses: each stands with its target in what "
        "source_ip_info returns"
    ),
    "unsought": (
        "{what} was not looked for: this account may not list all {resource}. Next: {command}"
    ),
    "node_port": (
        "{address} answers without the load balancer (seen from {place}): who reaches it writes "
        "all headers himself. CLB without direct access needs the node ports open for clients"
    ),
    "open": (
        "{address} takes connections without the load balancer (seen from {place}), though the "
        "echo app answered nothing there that was asked: who knows what to ask writes all headers "
        "himself. CLB without direct access needs the node ports open for clients"
    ),
    "open_pod": (
        "{address} is a pod's and takes connections without the load balancer (seen from {place}), "
        "though the echo app answered nothing there that was asked: who knows what to ask writes "
        "all headers himself. Security groups or a NetworkPolicy can admit the load balancer alone"
    ),
    "open_service": (
        "{address} is where a Service leads to the pods by itself, and takes connections (seen "
        "from {place}), though the echo app answered nothing there that was asked: who knows what "
        "to ask writes all headers himself. Make the Service ClusterIP or NodePort, or let its "
        "security group admit nobody else"
    ),
    "first_line": (
        "{header} arrives through {address} in several lines, the first of which is {first}: who "
        "reads that one, as most applications do, doesn't read {seen}. Next: let one proxy write it"
    ),
    "pod": (
        "{address} is a pod's and answers without the load balancer (seen from {place}): who "
        "reaches it writes all headers himself. A security group or a NetworkPolicy can admit the "
        "load balancer only"
    ),
    "limited": (
        "{count} forged requests through {address} were refused as too many (429 or 503), or not "
        "sent in time for that, so that what they would have shown is not known. Next: admit more "
        "requests of this prober for a while, and ask again"
    ),
    "name": (
        "{host} leads to {addresses} from here, which was not asked: who goes by the name may meet "
        "something in front of {address}. Next: ansible-playbook kestrel.real_ip.verify -e "
        "real_ip_url={url}"
    ),
    "forwarded_at_layer_4": (
        "{header} arrived through {address} at layer: l4: a proxy added it, or it was forged"
    ),
}


_AROUND = "ways around not looked for"
_RIVAL = "others that may answer not looked for"
#: Said of a vantage point, by the machine from which Ansible runs
FROM_HERE = "probed from where Ansible runs"

#: What a reason says that its verdict doesn't rest on, and by which words it is found in one of
#: either language
RESERVATIONS: Mapping[str, tuple[str, ...]] = {
    "vantage not checked": ("vantage not checked", "未核对探测位置"),
    "forgery not tested": ("forgery not tested", "未测试伪造"),
    "no forgery tested on some pods": ("no forgery tested on", "上测试伪造"),
    "forgery tested in part": ("forgery tested in part", "只测试了部分伪造"),
    "any expected address counts": ("any expected address counts", "任何预期地址均算"),
    "pods that weren't ready not asked": ("not ready, and not asked: ", "尚未就绪，未探测："),
    "nodes without its pods": ("nodes without its pods: ", "没有其 Pod 的节点："),
    "nodes without its pods not known": (
        "nodes without its pods not known",
        "是否有节点没有其 Pod 未知",
    ),
    "the host's name leads elsewhere": ("leads elsewhere from here: ", "从此处指向别处："),
    "addresses without a route not tested": ("not tested, no route: ", "没有路由而未测试："),
    "the echo app doesn't name its pod": (
        "the echo app doesn't name its pod",
        "回显应用不报告 Pod 名称",
    ),
    _AROUND: (_AROUND, "未查找绕行途径"),
    _RIVAL: (_RIVAL, "未查找可能代为应答者"),
    FROM_HERE: (FROM_HERE, "从运行 Ansible 的机器探测"),
    # What is said of the run itself
    "probed in check mode": ("check mode: of what is there now", "检查模式：这是现有内容的结果"),
    "probed by a run that had just changed what is in front": (
        "and what is in front may not follow yet",
        "前置的负载均衡可能尚未生效",
    ),
}


class Unsought(NamedTuple):
    """What is not looked for where a resource may not be listed.

    ``told``: by whom it is told: a way around by each verdict, who else may answer by one that is
    drawn from pods that don't name themselves.
    """

    resource: str
    told: str
    what: str


#: By the names that ``bypass.unread`` of source_ip_info has for them
UNSOUGHT: Mapping[str, Unsought] = {
    "node_ports": Unsought(
        "nodes", _AROUND, "whether a node port answers without the load balancer"
    ),
    "service": Unsought(
        "services", _AROUND, "whether another Service leads past the load balancer"
    ),
    "controller": Unsought(
        "services", _AROUND, "whether the Ingress controller answers at node ports"
    ),
    "controller_pods": Unsought(
        "pods", _AROUND, "where else the pods of the Ingress controller are reached"
    ),
    "controller_ingresses": Unsought(
        "ingresses", _AROUND, "whether another Ingress leads to the Ingress controller"
    ),
    "ingresses": Unsought("ingresses", _AROUND, "whether another Ingress leads to the same pods"),
    "rivals": Unsought("ingresses", _RIVAL, "whether another Ingress answers in its place"),
    "url_takers": Unsought(
        "services", _RIVAL, "whether another Service listens where the probe asks"
    ),
    "routes": Unsought("httproutes", _AROUND, "whether an HTTPRoute leads to the same pods"),
    "gateways": Unsought("gateways", _AROUND, "at which address a Gateway leads to the same pods"),
}


def unsought(unread: Iterable[str], unnamed: bool) -> dict[str, list[str]]:
    """Of the names in ``unread`` those that a verdict must tell, by the reservation about them.

    ``unnamed``: it is drawn from pods that don't name themselves.
    """
    found: dict[str, list[str]] = {}
    for name in (one for one in UNSOUGHT if one in unread):
        told = UNSOUGHT[name].told
        if told == _AROUND or unnamed:
            found.setdefault(told, []).append(name)
    return found


def reservations(reason: str) -> list[str]:
    """The names in RESERVATIONS of what a reason has words of, or that with_reservations named."""
    left, found = str(reason), set()
    # One name can begin like another one.
    for name in sorted(RESERVATIONS, key=len, reverse=True):
        for word in (*RESERVATIONS[name], name, str(chinese(phrase(name)))):
            if word in left:
                found.add(name)
                left = left.replace(word, "")
    return [name for name in RESERVATIONS if name in found]


def with_reservations(reason: str, others: Iterable[tuple[str, str]]) -> Text:
    """The reason with what those of ``others``, name and reason, are reserved about and it isn't,
    since it is said for all of them.
    """
    own, told = reservations(reason), [(name, reservations(other)) for name, other in others]
    parts: list[object] = [reason]
    for text in (one for one in RESERVATIONS if one not in own):
        names = [name for name, reserved in told if text in reserved]
        if names:
            more = len(names) - 1
            where = phrase("{name} and {count} more", name=names[0], count=more)
            shown = where if more else names[0]
            parts.append(phrase("; {told} ({name})", told=phrase(text), name=shown))
    return joined("", parts)


class Statement(NamedTuple):
    """What a code says about one case: one sentence each, without a full stop."""

    reason: str
    fix: str


@cache
def _names(templates: tuple[str, ...]) -> frozenset[str]:
    """What the templates ask for: thousands of answers have one code."""
    parts = (part for one in templates for part in Formatter().parse(one))
    return frozenset(name for _literal, name, _format, _conversion in parts if name)


def say(number: str, facts: Mapping[str, object]) -> Statement:
    """Fill in the templates of a code. Every fact is escaped here, wherever it comes from."""
    row, other = CODES[number], CODES_ZH[number]
    named = _names((row.reason, row.fix, other.reason, other.fix))
    shown = {
        name: printable(fact, _LIMITS.get(name, _LIMIT))
        for name, fact in facts.items()
        if name in named
    }
    reason = filled(row.reason, other.reason, shown)
    # A detail that comes last may have a full stop of its own: OpenSSL's words do.
    reason = Text(reason.rstrip("."), chinese(reason).rstrip("."))
    return Statement(reason, filled(row.fix, other.fix, shown))


def setting_of(trustworthy: Mapping[str, object] | None) -> str:
    """A strategy that was seen to be safe, as arguments; what to do where there is none."""
    if trustworthy is None:
        return phrase("none was; let the load balancer write the header anew")
    return ", ".join(f"{key}: {value}" for key, value in trustworthy.items())


def without_advice(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result that calls no strategy safe, since elsewhere that one isn't."""
    number, fix = result["code"], result["fix"]
    if "{advice}" in CODES[number].fix:
        told = {"advice": printable(setting_of(None))}
        fix = filled(CODES[number].fix, CODES_ZH[number].fix, told)
    return {**result, "fix": fix, "safe_strategy": None}


def titled(number: str) -> Text:
    """The title of a code."""
    return Text(CODES[number].title, CODES_ZH[number].title)


def doubt_of(number: str) -> dict[str, Any] | None:
    """What is hidden by a verdict that forged requests made worse, None where that is nothing.

    ``number``: the code of the honest requests. Who accepts that a client can choose its address
    hasn't accepted that it isn't known whether it arrives.
    """
    verdict = CODES[number].verdict
    if verdict != "unproven":
        return None
    facts = {"title": titled(number), "code": number}
    told = phrase("honest requests decide nothing: {title} ({code})", **facts)
    return {"verdict": verdict, "code": number, "reason": told}


def with_doubt(reason: str, doubt: Mapping[str, Any] | None) -> str:
    """The reason of a verdict with what it hides, if anything."""
    return phrase("{reason}; {told}", reason=reason, told=doubt["reason"]) if doubt else reason


def warn(name: str, facts: Mapping[str, object]) -> str:
    """One warning as a sentence, its facts escaped."""
    shown = {key: printable(fact) for key, fact in facts.items()}
    return filled(WARNINGS[name], WARNINGS_ZH[name], shown)


def _pattern(template: str) -> re.Pattern[str]:
    """How sentences of a template end, since from where it is said may stand before."""
    parts = (
        re.escape(literal) + (".*" if name is not None else "")
        for literal, name, _format, _conversion in Formatter().parse(template)
    )
    return re.compile(f"{''.join(parts)}\\Z", re.DOTALL)


_KINDS = [
    (name, _pattern(text)) for table in (WARNINGS, WARNINGS_ZH) for name, text in table.items()
]


def kind_of(warning: str) -> str:
    """The name in WARNINGS of what a sentence says, in either language; itself where it isn't one
    of these. What differs in two of a kind is whose addresses and names stand there.
    """
    return next((name for name, words in _KINDS if words.search(str(warning))), str(warning))


def some_of_each(warnings: Iterable[str], most: int) -> list[str]:
    """At most so many, each once, the first of each kind before any second; the last one says how
    many more there are.
    """
    rows: dict[str, list[str]] = {}
    for one in dict.fromkeys(warnings):
        rows.setdefault(kind_of(one), []).append(one)
    every = [one for column in zip_longest(*rows.values()) for one in column if one is not None]
    if len(every) <= most:
        return every
    kept = every[: most - 1]
    return [*kept, warn("more", {"count": len(every) - len(kept)})]


def page() -> str:
    """The table as a Markdown page."""
    lines = [
        "# Codes of the verdicts",
        "",
        "Options are named as in `kestrel.real_ip.source_ip_info`; the variables of the playbooks",
        "are the same with `real_ip_` in front. In sentences, `{…}` stands for what was seen. "
        "This page",
        "is made from the table in `plugins/module_utils/_codes.py`.",
    ]
    for verdict in (*reversed(VERDICTS), UNTESTED):
        rows = [row for row in _TABLE if row.verdict == verdict]
        if rows:
            lines += ["", f"## {verdict}"]
        for row in rows:
            lines += ["", f"### {row.number}: {row.title}", "", *described(row)]
    return "\n".join(lines) + "\n"


def described(row: Code) -> list[str]:
    """One code as lines of Markdown."""
    other = CODES_ZH[row.number]
    fix = Text(row.fix, other.fix) if row.fix else phrase("Nothing to mend")
    return [
        phrase("- Says: {reason}.", reason=Text(row.reason, other.reason)),
        phrase("- Cause: {cause}", cause=Text(row.cause, other.cause)),
        phrase("- Fix: {fix}.", fix=fix),
    ]
