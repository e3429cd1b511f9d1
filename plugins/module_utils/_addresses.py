# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Which addresses belong to the cluster, and which pods are ready: pure functions."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from itertools import chain

from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    canonical,
    parse_address,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    annotations_of,
    is_true,
)

Object = t.Mapping[str, t.Any]


def _is_ready(one: Object) -> bool:
    """Whether a pod or a node says of itself that it is ready."""
    return any(
        condition.get("type") == "Ready" and condition.get("status") == "True"
        for condition in one.get("status", {}).get("conditions") or []
    )


def ready_pods(pods: t.Iterable[Object]) -> list[str]:
    """Names of the pods that are ready and not about to end, sorted."""
    return sorted(
        pod["metadata"]["name"]
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp") and _is_ready(pod)
    )


def receiving_pods(service: Object, pods: t.Iterable[Object]) -> list[str]:
    """Names of the pods that the Service sends requests to, sorted."""
    # It is a name for somewhere else, whatever its selector says.
    if service.get("spec", {}).get("type") == "ExternalName":
        return []
    if not _takes_all(service):
        return ready_pods(pods)
    return sorted(
        pod["metadata"]["name"]
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp")
        and pod_addresses(pod)
        and not has_ended(pod)
    )


def instances(pods: t.Iterable[Object], names: t.Container[str]) -> list[str]:
    """Each of the ``names``, sorted, with what no later pod of that name has, such as a StatefulSet
    makes, nor the same pod once somebody has exchanged a container in it (OpenKruise, TKE's kinds).
    """
    return sorted(f"{name_of(pod)} {_made(pod)}" for pod in pods if name_of(pod) in names)


def _made(pod: Object) -> str:
    return _digest(" ".join([pod["metadata"].get("uid", ""), *sorted(_containers(pod))]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def settings_of(kind: str, one: Object) -> str:
    """An object's kind and name, with what no other spec or annotations have."""
    told = json.dumps([one.get("spec"), annotations_of(one)], sort_keys=True)
    return f"{kind} {name_of(one)} {_digest(told)}"


def _containers(pod: Object) -> t.Iterator[str]:
    for kind in ("containerStatuses", "initContainerStatuses"):
        for one in pod.get("status", {}).get(kind) or []:
            yield one.get("containerID") or ""


def unready_pods(pods: t.Iterable[Object], ready: t.Container[str]) -> list[str]:
    """Names of the pods that are to be ready and aren't in ``ready`` yet, sorted."""
    return sorted(
        pod["metadata"]["name"]
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp")
        and not has_ended(pod)
        and pod["metadata"]["name"] not in ready
    )


#: By which Kubernetes keeps what isn't its own off a node, as a taint
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def _is_control_plane(node: Object) -> bool:
    """Whether a node takes nothing but the control plane."""
    taints = node.get("spec", {}).get("taints") or []
    return any(
        taint["key"] in _CONTROL_PLANE and taint.get("effect") != "PreferNoSchedule"
        for taint in taints
    )


#: What says of a node that it is no machine and has no kube-proxy: virtual-kubelet's, TKE's super
#: nodes, EKS' Fargate
_VIRTUAL = (
    ("type", "virtual-kubelet"),
    ("node.kubernetes.io/instance-type", "eklet"),
    ("eks.amazonaws.com/compute-type", "fargate"),
)


def _is_virtual(node: Object) -> bool:
    labels = node.get("metadata", {}).get("labels") or {}
    return any(labels.get(name) == value for name, value in _VIRTUAL)


def by_use(
    nodes: t.Iterable[Object], pods: t.Iterable[Object], ready: t.Container[str]
) -> list[Object]:
    """The nodes, first those whose node ports are the likeliest to answer.

    With externalTrafficPolicy Local only those answer that have one of the ``ready`` pods.
    """
    used = used_nodes(pod for pod in pods if pod["metadata"]["name"] in ready)

    def weight(node: Object) -> tuple[bool, ...]:
        has_pods = name_of(node) in used
        return (_is_virtual(node), not has_pods, not _is_ready(node), _is_control_plane(node))

    return sorted(nodes, key=weight)


def other_nodes(
    nodes: t.Iterable[Object], pods: t.Iterable[Object], ready: t.Container[str]
) -> list[str]:
    """Names of the nodes that are ready and have none of the ``ready`` pods, sorted; without those
    that are the control plane's alone.
    """
    used = used_nodes(pod for pod in pods if pod["metadata"]["name"] in ready)
    return sorted(
        node["metadata"]["name"]
        for node in nodes
        if node["metadata"]["name"] not in used and not _is_control_plane(node) and _is_ready(node)
    )


#: How that was said before Kubernetes had a field for it, which it still understands
_TOLERATES = "service.alpha.kubernetes.io/tolerate-unready-endpoints"


def _takes_all(service: Object) -> bool:
    """Whether requests are sent to pods that aren't ready as well."""
    noted = annotations_of(service).get(_TOLERATES, "")
    return bool(service.get("spec", {}).get("publishNotReadyAddresses")) or is_true(noted)


def pod_addresses(pod: Object) -> list[str]:
    """The addresses of a pod: all of them, or the one that Kubernetes before 1.16 tells alone."""
    return _told_by(pod, "podIP")


def _told_by(pod: Object, field: str) -> list[str]:
    """The addresses in a field of its status, of which Kubernetes has the list in the plural."""
    status = pod.get("status", {})
    several = [entry["ip"] for entry in status.get(f"{field}s") or []]
    return several or [one for one in (status.get(field),) if one]


#: A Service that each API server keeps, wherever one may look
_KEPT = "default/kubernetes"
_SYSTEM = "kube-system"


def shown_whole(
    services: t.Sequence[Object] | None,
    pods: t.Sequence[Object] | None,
    own: t.Sequence[Object],
) -> tuple[t.Sequence[Object] | None, t.Sequence[Object] | None]:
    """The lists of all Services and pods, each None where it may be a part: what stands between can
    leave out what somebody mayn't see, without a word, as Teleport and capsule-proxy do.

    ``own``: the pods behind the Service, of which each list has one at least. Where kube-system has
    a Service for pods, as that of the cluster's DNS, it has pods as well; another namespace, which
    may be about to go, need not. Where Services may not be listed, one other has some.
    """
    if services is not None and _KEPT not in map(full_name, services):
        return None, None
    names = {*map(full_name, own)}
    if pods is not None and names and names.isdisjoint(map(full_name, pods)):
        return services, None
    served = any(
        one.get("spec", {}).get("selector") and namespace_of(one) == _SYSTEM
        for one in services or ()
    )
    spaces = {*map(namespace_of, pods or ())}
    others = spaces - {*map(namespace_of, own)}
    # Without the Services it isn't known what kube-system serves, and yet something runs somewhere.
    is_whole = _SYSTEM in spaces if served else services is not None or bool(others)
    return services, pods if is_whole else None


def namesakes(
    names: t.Collection[str], pods: t.Iterable[Object], everywhere: t.Sequence[Object] | None
) -> list[str]:
    """Those of ``names`` that other pods have as well, or may have, sorted: as their own name, or
    as that of their host, which is what most echo apps tell.

    ``pods``: of the namespace, which the names are of; ``everywhere``: of the whole cluster, None
    where they may not be listed. Then pods may have the names of others, unless these end in what
    was made by chance: a StatefulSet numbers its own.
    """
    own = [pod for pod in pods if pod["metadata"]["name"] in names]
    if everywhere is None:
        numbered = (pod for pod in own if _is_numbered(pod))
        return sorted(pod["metadata"]["name"] for pod in numbered)
    spaces = {*map(namespace_of, own)}
    others = [
        pod
        for pod in everywhere
        if namespace_of(pod) not in spaces or pod["metadata"]["name"] not in names
        if not has_ended(pod)
    ]
    called = {pod["metadata"]["name"] for pod in others}
    called |= {pod.get("spec", {}).get("hostname") for pod in others}
    return sorted(called & {*names})


#: Who end the names of their pods in what was made by chance. Others, as a cloud's own kinds, may
#: number them. CloneSet is OpenKruise's.
_BY_CHANCE = ("CloneSet", "DaemonSet", "Job", "ReplicaSet", "ReplicationController")


def _is_numbered(pod: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences") or []
    # A pod that nobody has made has the name that somebody gave it.
    return not any(one.get("kind") in _BY_CHANCE for one in owners)


def has_ended(pod: Object) -> bool:
    """Whether its address may be another one's by now."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def labels_match(labels: t.Mapping[str, str] | None, selector: t.Mapping[str, str]) -> bool:
    """Does a Service with this selector take a pod with these labels? An empty one takes none."""
    return bool(selector) and selector.items() <= (labels or {}).items()


def of_pods(pods: t.Iterable[Object]) -> dict[str, str]:
    """Pod address → pod name. Pods of the host's network have a node's address and are left out."""
    return {
        address: pod["metadata"]["name"]
        for pod in pods
        if not pod.get("spec", {}).get("hostNetwork")
        if not has_ended(pod)
        for address in pod_addresses(pod)
    }


def _hosts_of(pods: t.Iterable[Object]) -> t.Iterable[str]:
    """The addresses of nodes that pods tell which run there."""
    return chain.from_iterable(_told_by(pod, "hostIP") for pod in pods if not has_ended(pod))


def _is_starting(pod: Object) -> bool:
    """Whether a pod may be at work already, and its address isn't in its status yet."""
    runs = bool(pod.get("spec", {}).get("nodeName")) and not pod["spec"].get("hostNetwork")
    return runs and not pod_addresses(pod) and not has_ended(pod)


#: Where network plugins note further addresses of a node. What it sends to a pod of another node,
#: also in a client's place, can come from its end of a tunnel.
_NODE_ANNOTATIONS = (
    "io.cilium.network.ipv4-cilium-host",
    "io.cilium.network.ipv6-cilium-host",
    "k8s.ovn.org/node-gateway-router-lrp-ifaddr",
    "k8s.ovn.org/node-gateway-router-lrp-ifaddrs",
    "network.cilium.io/ipv4-cilium-host",
    "network.cilium.io/ipv6-cilium-host",
    "ovn.kubernetes.io/ip_address",
    "projectcalico.org/IPv4IPIPTunnelAddr",
    "projectcalico.org/IPv4VXLANTunnelAddr",
    "projectcalico.org/IPv4WireguardInterfaceAddr",
    "projectcalico.org/IPv6VXLANTunnelAddr",
    "projectcalico.org/IPv6WireguardInterfaceAddr",
)
_APART = re.compile(r'[\s"{}\[\],/]+')


def of_nodes(nodes: t.Iterable[Object]) -> tuple[list[str], list[str]]:
    """Addresses of the nodes, and the ranges of their pods."""
    own: list[str] = []
    ranges: list[str] = []
    for node in nodes:
        own += [
            one["address"]
            for one in node.get("status", {}).get("addresses") or []
            if one.get("type") in ("InternalIP", "ExternalIP")
        ]
        noted = node.get("metadata", {}).get("annotations") or {}
        # Some have one address of each family, with its length, in JSON.
        parts = [_APART.split(str(noted.get(name, ""))) for name in _NODE_ANNOTATIONS]
        own += [text for text in map(canonical, chain.from_iterable(parts)) if text]
        spec = node.get("spec", {})
        ranges += spec.get("podCIDRs") or [one for one in (spec.get("podCIDR"),) if one]
    return own, ranges


def _stands_for_another(node: Object) -> bool:
    """Whether a virtual cluster shows this in place of a node of the cluster that it runs in.

    Its address is made up, and there are more nodes and pods than those that are shown.
    """
    labels = node.get("metadata", {}).get("labels") or {}
    return labels.get("vcluster.loft.sh/fake-node") == "true"


def every_node(
    nodes: t.Sequence[Object] | None, pods: t.Iterable[Object]
) -> t.Sequence[Object] | None:
    """The list of all nodes, None where it may be a part, as one in which that of a pod is missing.

    A cluster has nodes with addresses: who is shown none is not shown all. Pods that are about to
    go can be those of a node that has gone.
    """
    shown = nodes or []
    staying = (one for one in pods if not one.get("metadata", {}).get("deletionTimestamp"))
    if any(map(_stands_for_another, shown)) or used_nodes(staying) - {*map(name_of, shown)}:
        return None
    return nodes if of_nodes(shown)[0] else None


def external_of(service: Object) -> list[str]:
    """A Service's addresses that nodes take for it, and somebody else leads to these."""
    return service.get("spec", {}).get("externalIPs") or []


def of_services(services: t.Iterable[Object]) -> list[str]:
    """Addresses of the Services: those of the cluster, and others that they take as theirs."""
    found: list[str] = []
    for service in services:
        spec = service.get("spec", {})
        found += spec.get("clusterIPs") or [one for one in (spec.get("clusterIP"),) if one]
        found += external_of(service)
    return [address for address in found if address != "None"]


def of_load_balancers(objects: t.Iterable[Object]) -> list[str]:
    """The addresses, not the names, in the status of Ingresses and Services."""
    return [
        entry["ip"]
        for one in objects
        for entry in (one.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
        if entry.get("ip")
    ]


def of_proxied(objects: t.Iterable[Object]) -> list[str]:
    """The addresses of balancers that kube-proxy leaves alone: those with ``ipMode: Proxy``."""
    modes: dict[str, set[bool]] = {}
    for one in objects:
        for entry in (one.get("status", {}).get("loadBalancer") or {}).get("ingress") or []:
            if entry.get("ip"):
                modes.setdefault(entry["ip"], set()).add(entry.get("ipMode") == "Proxy")
        for address in external_of(one):
            modes.setdefault(address, set()).add(False)
    # Where two objects share an address, one of them is enough for kube-proxy to take it.
    return [address for address, proxied in modes.items() if proxied == {True}]


def of_intercepted(objects: t.Iterable[Object], proxied: t.Container[str]) -> list[str]:
    """The addresses of Services' balancers for which kube-proxy answers on nodes and in pods."""
    services = (one for one in objects if one.get("spec", {}).get("type") == "LoadBalancer")
    return [address for address in of_load_balancers(services) if address not in proxied]


def collect(
    nodes: t.Sequence[Object] | None,
    services: t.Sequence[Object] | None,
    pods: t.Sequence[Object] | None,
    front: t.Sequence[Object],
    some_pods: t.Sequence[Object] = (),
) -> dict[str, t.Any]:
    """``cluster_addresses`` as source_ip_info takes it. A list that is None could not be read.

    ``pods`` are those of the whole cluster, ``some_pods`` others that are shown, among them those
    behind the Service, which are named in any case.
    """
    found: dict[str, t.Any] = {}
    shown = [*(pods or []), *some_pods]
    every = every_node(nodes, shown)
    addresses, ranges = of_nodes(every or [])
    if addresses:
        found["nodes"] = addresses
    if pods is not None or some_pods:
        found["pod_names"] = of_pods(shown)
    starting = [
        name
        for pod in filter(_is_starting, shown)
        # Its host name can be another one, as of an Indexed Job's pod.
        for name in (name_of(pod), pod["spec"].get("hostname"))
        if name
    ]
    if starting:
        found["starting_pods"] = starting
    # Only the two together tell a pod network whole: bridges are in the nodes' ranges alone, and
    # pods with addresses of the VPC are in no range. And only with each node's address it is known
    # that the prober is on none of them.
    if addresses and pods is not None and all(of_nodes([node])[0] for node in every or []):
        found["pods"] = [*ranges, *found["pod_names"]]
    # What is known of more that may be there is none the less the cluster's.
    known, their_ranges = of_nodes(one for one in nodes or [] if not _stands_for_another(one))
    if not addresses:
        found["some_nodes"] = [*known, *_hosts_of(shown)]
    if "pods" not in found:
        found["some_pods"] = their_ranges
    if services is not None:
        found["services"] = of_services(services)
    balanced = [*front, *(services or [])]
    found["load_balancers"] = of_load_balancers(balanced)
    found["proxied"] = of_proxied(balanced)
    found["intercepted"] = of_intercepted(balanced, found["proxied"])
    return {
        key: value if key == "pod_names" else sorted(set(value))
        for key, value in found.items()
        if value or not key.startswith("some_")
    }


def spelled(addresses: t.Iterable[str]) -> set[str]:
    """Addresses and names, each as it is always spelled."""
    return {canonical(one) or one.lower().rstrip(".") for one in addresses}


def is_here(host: str) -> bool:
    """Whether an address or name is everybody's own machine, as some controllers publish it that
    run on one (MicroK8s, kind): who asks elsewhere doesn't meet them there.
    """
    told = parse_address(host)
    if told is None:
        return host.lower().rstrip(".") == "localhost"
    one = told.address
    return one.is_loopback or one.is_unspecified or one.is_link_local


def name_of(one: Object) -> str:
    return str(one.get("metadata", {}).get("name", ""))


def namespace_of(one: Object) -> str:
    return str(one.get("metadata", {}).get("namespace", ""))


def used_nodes(pods: t.Iterable[Object]) -> set[str]:
    """Names of the nodes that pods run on."""
    named = (one.get("spec", {}).get("nodeName") for one in pods if not has_ended(one))
    return {name for name in named if name}


def full_name(one: Object) -> str:
    return f"{namespace_of(one)}/{name_of(one)}"
