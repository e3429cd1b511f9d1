# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Which addresses belong to the cluster, and which pods are ready: pure functions."""

from __future__ import annotations

import posixpath
import re
import shlex
import string
import typing as t
from functools import partial
from itertools import chain, starmap, zip_longest
from urllib.parse import quote, unquote, urlsplit

from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import canonical
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import listen_ports
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import INGRESS, TKE_CLASS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import class_of

Object = t.Mapping[str, t.Any]


def ready_pods(pods: t.Iterable[Object]) -> list[str]:
    """Names of the pods that are ready and not about to end, sorted."""
    return sorted(
        pod["metadata"]["name"]
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp")
        and any(
            condition.get("type") == "Ready" and condition.get("status") == "True"
            for condition in pod.get("status", {}).get("conditions") or []
        )
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
        and pod["status"].get("phase") not in _ENDED
    )


#: How that was said before Kubernetes had a field for it, which it still understands
_TOLERATES = "service.alpha.kubernetes.io/tolerate-unready-endpoints"


def _takes_all(service: Object) -> bool:
    """Whether requests are sent to pods that aren't ready as well."""
    noted = (service.get("metadata", {}).get("annotations") or {}).get(_TOLERATES, "")
    return bool(service.get("spec", {}).get("publishNotReadyAddresses")) or noted == "true"


def pod_addresses(pod: Object) -> list[str]:
    """The addresses of a pod: all of them, or the one that Kubernetes before 1.16 tells alone."""
    status = pod.get("status", {})
    several = [entry["ip"] for entry in status.get("podIPs") or []]
    return several or [one for one in (status.get("podIP"),) if one]


def namesakes(
    names: t.Collection[str], pods: t.Iterable[Object], everywhere: t.Iterable[Object] | None
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
    spaces = {pod["metadata"].get("namespace") for pod in own}
    others = [
        pod
        for pod in everywhere
        if pod["metadata"].get("namespace") not in spaces or pod["metadata"]["name"] not in names
        if pod.get("status", {}).get("phase") not in _ENDED
    ]
    called = {pod["metadata"]["name"] for pod in others}
    called |= {pod.get("spec", {}).get("hostname") for pod in others}
    return sorted(called & {*names})


#: Who end the names of their pods in what was made by chance. Others, as a cloud's own kinds, may
#: number them.
_BY_CHANCE = ("DaemonSet", "Job", "ReplicaSet", "ReplicationController")


def _is_numbered(pod: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences") or []
    # A pod that nobody has made has the name that somebody gave it.
    return not any(one.get("kind") in _BY_CHANCE for one in owners)


#: Phases after which an address of a pod may be another one's.
_ENDED = ("Succeeded", "Failed")


def labels_match(labels: t.Mapping[str, str] | None, selector: t.Mapping[str, str]) -> bool:
    """Does a Service with this selector take a pod with these labels? An empty one takes none."""
    return bool(selector) and selector.items() <= (labels or {}).items()


def beside(service: Object, services: t.Iterable[Object], pods: t.Iterable[Object]) -> list[Object]:
    """Other Services that lead to pods of this one, from a list that may be of all namespaces.

    ``pods``: those that the Service selects. Where they may not be read, what it selects by is
    known of their labels.
    """
    own = service["metadata"]
    running = [pod for pod in pods if pod.get("status", {}).get("phase") not in _ENDED]
    every = [_selector(service), *(pod["metadata"].get("labels") for pod in running)]
    return [
        one
        for one in services
        if one["metadata"]["namespace"] == own["namespace"]
        and one["metadata"]["name"] != own["name"]
        and _is_led_by_nodes(one)
        and any(labels_match(labels, _selector(one)) for labels in every)
    ]


def _selector(service: Object) -> t.Mapping[str, str]:
    return service.get("spec", {}).get("selector") or {}


def _is_led_by_nodes(service: Object) -> bool:
    """Whether kube-proxy leads anybody to its pods: not where it is a name only, or headless."""
    spec = service.get("spec", {})
    return spec.get("type") != "ExternalName" and spec.get("clusterIP") not in (None, "", "None")


def of_pods(pods: t.Iterable[Object]) -> dict[str, str]:
    """Pod address → pod name. Pods of the host's network have a node's address and are left out."""
    return {
        address: pod["metadata"]["name"]
        for pod in pods
        if not pod.get("spec", {}).get("hostNetwork")
        if pod.get("status", {}).get("phase") not in _ENDED
        for address in pod_addresses(pod)
    }


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


def of_services(services: t.Iterable[Object]) -> list[str]:
    """Addresses of the Services: those of the cluster, and others that they take as theirs."""
    found: list[str] = []
    for service in services:
        spec = service.get("spec", {})
        found += spec.get("clusterIPs") or [one for one in (spec.get("clusterIP"),) if one]
        found += spec.get("externalIPs") or []
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
        for address in one.get("spec", {}).get("externalIPs") or []:
            modes.setdefault(address, set()).add(False)
    # Where two objects share an address, one of them is enough for kube-proxy to take it.
    return [address for address, proxied in modes.items() if proxied == {True}]


# Enough to show that node ports are open, and that a host is served; more would be a scan.
_NODES = 3
_HOSTS = 3
_PATHS = 3
# Each can have rules of its own, as to which clients it believes.
_LISTENERS = 16
_OWN = 5
_OTHERS = 3

#: What a path begins with that a controller takes for a pattern: who asks there meets the same rule
_LITERAL = re.compile(r"/[\w/.~-]*", re.ASCII)
#: What can be asked for, or all but its first label: an annotation can hold any text
_NAME = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*", re.ASCII)
#: How far a pattern is none: what stands before one of the last three may be there or not
_NO_PATTERN = re.compile(r"[^.*+?()\[\]{}|^$\\]*(?![*?{])")


def around(
    nodes: t.Iterable[Object],
    service: Object | None,
    front: Object | None,
    others: t.Sequence[Object] = (),
    by_header: bool = True,
) -> dict[str, list[str]]:
    """``bypass`` as source_ip_info takes it: the Service's node port on a few nodes, where the
    Service behind an Ingress, or behind its own load balancer, is reached by itself, the balancer's
    own addresses, the hosts of its rules, the paths of those that lead to the Service, and where it
    listens.

    ``others``: as :func:`beside` finds them. They are ways around what is in front, as the Service
    is around an Ingress. ``by_header``: whether clients' addresses are read from what a Service in
    front writes, too.
    """
    # What its load balancer writes, nobody does at its external addresses.
    own = {**service, "status": {}} if service and service is front else service
    behind = [own, *others] if own and (own is service or by_header) else []
    some = list(nodes)[:_NODES]
    asked = [(node, port) for node in some for port in node_port(service or {})]
    more = [(node, port) for node in some for one in behind[1:] for port in node_port(one)]
    found: dict[str, list[str]] = {"node_ports": [], "internal_node_ports": []}
    for node, port in [*asked, *more[:_OTHERS]]:
        kinds: dict[str, list[str]] = {}
        for one in node.get("status", {}).get("addresses") or []:
            kinds.setdefault(one.get("type", ""), []).append(one["address"])
        external = kinds.get("ExternalIP")
        address = (external or kinds.get("InternalIP") or [""])[0]
        if address:
            key = "node_ports" if external else "internal_node_ports"
            found[key].append(f"{_literal(address)}:{port}")
    rules = (front or {}).get("spec", {}).get("rules") or []
    told = (host for host, _paths in _rules(front or {}, service))
    called = [host for host in told if _NAME.fullmatch(host)]
    # Any name will do for a wildcard.
    hosts = [f"real-ip{host[1:]}" if host[0] == "*" else host for host in called]
    named = [*dict.fromkeys(hosts)][:_HOSTS]
    listening = [f"{scheme}:{port}" for scheme, port in every_listener(front or {})]
    return {
        **found,
        "service": _by_themselves(behind, rules),
        "load_balancer": addresses(front or {}),
        "hosts": named,
        "paths": _paths_to(service, rules)[:_PATHS],
        "listeners": listening[:_LISTENERS],
    }


def _literal(host: str) -> str:
    """A host as it stands before a port: an IPv6 address in brackets (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def node_port(service: Object) -> list[int]:
    """The first node port of a Service that has one."""
    ports = service.get("spec", {}).get("ports") or []
    return [port["nodePort"] for port in ports if port.get("nodePort")][:1]


def _by_themselves(services: t.Sequence[Object], rules: t.Sequence[Object]) -> list[str]:
    """Where the first Service is reached by itself, and the others, each once before any twice."""
    own = [place for one in services[:1] for place in _by_itself(one, rules)]
    rounds = zip_longest(*(_by_itself(one, rules) for one in services[1:]))
    others = [place for places in rounds for place in places if place and place not in own]
    return [*own[:_OWN], *[*dict.fromkeys(others)][:_OTHERS]]


def _by_itself(service: Object, rules: t.Iterable[Object]) -> list[str]:
    """Addresses and names with ports of a Service that has a load balancer of its own, or external
    addresses; those at ports that the rules send to come first, since there may be too many.
    """
    spec = service.get("spec", {})
    backends = [entry["backend"]["service"] for entry in _entries_to(service, rules)]
    sent_to = [one["port"] for one in backends if one.get("port")]

    def is_other(port: Object) -> bool:
        known = ({"number": port["port"]}, {"name": port.get("name")})
        return not any(one in sent_to for one in known)

    ports = [one for one in spec.get("ports") or [] if one.get("protocol", "TCP") == "TCP"]
    return [
        f"{_literal(host)}:{port['port']}"
        for port in sorted(ports, key=is_other)
        for host in dict.fromkeys([*addresses(service), *(spec.get("externalIPs") or [])])
    ]


def _entries_to(service: Object | None, rules: t.Iterable[Object]) -> t.Iterator[Object]:
    """Each path of the rules that leads to the Service."""
    name = (service or {}).get("metadata", {}).get("name")
    for rule in rules:
        for entry in (rule.get("http") or {}).get("paths") or []:
            if name and _service_name(entry.get("backend")) == name:
                yield entry


def _paths_to(service: Object | None, rules: t.Iterable[Object]) -> list[str]:
    told = (str(entry.get("path") or "/") for entry in _entries_to(service, rules))
    found = [_LITERAL.match(re.sub(f"^{_PATTERN_MARK}(?=/)", "", one)) for one in told]
    return [*dict.fromkeys(match[0] for match in found if match)]


def elsewhere(
    front: Object, services: t.Iterable[Object], ingresses: t.Iterable[Object]
) -> dict[str, str]:
    """Namespace and name of other Ingresses that lead to one of the Services at an address that is
    none of this one's, to the command that asks there.
    """
    names = {one["metadata"]["name"] for one in services}
    own, itself = {*addresses(front)}, _full_name(front)
    space = itself.partition("/")[0]
    found = {}
    for one in (one for one in ingresses if one["metadata"]["namespace"] == space):
        default = _service_name(one.get("spec", {}).get("defaultBackend"))
        led = [
            (host, str(entry.get("path") or "/"))
            for host, paths in _rules(one)
            for entry in paths
            if _service_name(entry.get("backend")) in names
        ]
        led += [("", "/")] if default in names else []
        others = [address for address in addresses(one) if address not in own]
        if led and others and _full_name(one) != itself:
            host, path = led[0]
            [url] = [to["url"] for to in targets(others[:1], "", path, listeners(one, host)[:1])]
            asked = [f"real_ip_url={url}", *([f"real_ip_host={host}"] if host else [])]
            words = shlex.join(word for text in asked for word in ("-e", text))
            found[_full_name(one)] = f"ansible-playbook kestrel.real_ip.verify {words}"
    return dict(sorted(found.items())[:_OTHERS])


def collect(
    nodes: t.Sequence[Object] | None,
    services: t.Sequence[Object] | None,
    pods: t.Sequence[Object] | None,
    front: t.Sequence[Object],
    own_pods: t.Sequence[Object] = (),
) -> dict[str, t.Any]:
    """``cluster_addresses`` as source_ip_info takes it. A list that is None could not be read.

    ``pods`` are those of the whole cluster, ``own_pods`` those behind the Service, which are named
    in any case.
    """
    found: dict[str, t.Any] = {}
    if any(map(_stands_for_another, nodes or [])):
        nodes = None
    # Who isn't shown the Service's own pods among all isn't shown all.
    if own_pods and {*map(_full_name, own_pods)}.isdisjoint(map(_full_name, pods or [])):
        pods = None
    addresses, ranges = of_nodes(nodes or [])
    # A cluster that has pods has nodes with addresses: who is shown none is not shown all.
    if addresses:
        found["nodes"] = addresses
    if pods is not None or own_pods:
        found["pod_names"] = of_pods([*(pods or []), *own_pods])
    # Only the two together tell a pod network whole: bridges are in the nodes' ranges alone, and
    # pods with addresses of the VPC are in no range. And only with each node's address it is known
    # that the prober is on none of them.
    if addresses and pods is not None and all(of_nodes([node])[0] for node in nodes or []):
        found["pods"] = [*ranges, *found["pod_names"]]
    if services is not None:
        found["services"] = of_services(services)
    found["load_balancers"] = of_load_balancers([*front, *(services or [])])
    found["proxied"] = of_proxied([*front, *(services or [])])
    return {
        key: value if key == "pod_names" else sorted(set(value)) for key, value in found.items()
    }


def backends(ingress: Object, host: str, path: str) -> list[str]:
    """Names of the Services that an Ingress sends a request to, sorted; more than one where two
    rules are equally near.

    The host alone goes before a wildcard, before a rule without one; then the longest path wins.
    """
    return _nearest(ingress, host, path, _habits(ingress)[0])[1]


def asked_for(host: str, path: str, url: str) -> tuple[str, str]:
    """Host and path of the requests, where ``url`` is asked instead of the addresses, if any.

    ``host``: is sent whatever the URL's is, if any.
    """
    if not url:
        return host, path
    try:
        parts = urlsplit(url)
        # As whoever sends the requests has it
        name = unquote(parts.hostname or "").rstrip(".").encode("idna").decode("ascii")
        return host or name, parts.path or "/"
    except ValueError:  # whoever sends the requests says what is wrong with it
        return host, path


def rivals(front: Object, ingresses: t.Iterable[Object], host: str, path: str) -> list[str]:
    """Other Ingresses at an address of this one that may take its requests, with their namespaces:
    a canary, or one with the same host and path, of which the controller chooses one.

    One that was just made takes requests before its status has an address.
    """
    own, metadata = {*addresses(front)}, front.get("metadata", {})
    found = []
    for one in ingresses:
        other = one["metadata"]
        alike = other["namespace"] == metadata.get("namespace")
        if alike and other["name"] == metadata.get("name"):
            continue
        if not (own & {*addresses(one)} or _is_new_beside(one, front)):
            continue
        if any(_may_take(front, one, each, host, path, alike) for each in _habits(front, one)):
            found.append(f"{other['namespace']}/{other['name']}")
    return sorted(found)


def _may_take(
    front: Object, one: Object, habits: _Habits, host: str, path: str, alike: bool
) -> bool:
    """Whether an Ingress takes requests before ``front`` does, to a controller with such habits.

    ``alike``: both are of one namespace.
    """
    near, names = _nearest(front, host, path, habits)
    nearness, others = _nearest(one, host, path, habits)
    if not others or (alike and others == names):
        return False
    # What no path of a nearer host is for, goes to a default backend.
    nearer = max(nearness, (-1 if habits.by_length else _host_nearness(one, host), 0))
    return nearer >= near or (habits.by_number and nearness > _DEFAULT)


class _Habits(t.NamedTuple):
    """How the controller of an Ingress chooses, where it isn't as usual.

    ``by_length``: the longest rule wins, whatever its host; ``by_number``: its user says which;
    ``patterns``: each path is one, whatever its type; ``patterns_first``: and goes before those of
    others.
    """

    by_length: bool = False
    by_number: bool = False
    patterns: bool = False
    patterns_first: bool = False


#: Annotations, whatever stands before the slash: several controllers know the same ones, and some
#: can be told to read them under another name.
_NUMBERED = ("group.order", "regex-priority", "router.priority")
_PATTERNED = ("path-regex", "rewrite-target", "use-regex")
#: Of these nginx looks at the patterns before it looks at any other path.
_PATTERNS_FIRST = ("path-regex",)
#: What begins so is a pattern to Kong, which stands behind the mark, and goes before other paths.
_PATTERN_MARK = "/~"


#: What stands in the names of classes of which the controller goes by the host first
_BY_HOST = (
    *("alb", "apisix", "azure", "cilium", "contour", "gce", "haproxy", "higress", "istio", "kong"),
    *("mse", "nginx", TKE_CLASS),
)


def _habits(*ingresses: Object) -> list[_Habits]:
    """Those that the controller of all of these may have: one of them is enough to tell.

    The name of a class is its user's, so that it need not tell.
    """
    classes = {class_of(one).lower() for one in ingresses} - {""}
    told = any(word in name for word in _BY_HOST for name in classes)
    noted = {
        key.rpartition("/")[2]
        for one in ingresses
        for key in one.get("metadata", {}).get("annotations") or {}
    }
    usual = _Habits(
        by_number=not noted.isdisjoint(_NUMBERED),
        patterns=not noted.isdisjoint(_PATTERNED),
        patterns_first=not noted.isdisjoint(_PATTERNS_FIRST),
    )
    by_length = usual._replace(by_length=True)
    if any("traefik" in name for name in classes):
        return [by_length]
    return [usual, by_length] if classes and not told else [usual]


#: The load balancer that an Ingress of TKE's shares with others
_NAMED = "kubernetes.io/ingress.existLbId"


def _is_new_beside(one: Object, front: Object) -> bool:
    """Whether an Ingress has no address yet, and will have that of the other one, or may: one
    without a class can be anybody's. Of TKE's each has a load balancer of its own, unless it names
    one.
    """
    if addresses(one):
        return False
    if class_of(front) == TKE_CLASS:
        named, own = (each["metadata"].get("annotations", {}).get(_NAMED) for each in (one, front))
        return named is not None and named == own
    return class_of(one) in ("", class_of(front))


def url_takers(
    front: Object,
    own: Object | None,
    services: t.Iterable[Object],
    url: str,
    nodes: t.Iterable[Object] | None = (),
) -> list[str]:
    """Other Services, with their namespaces, that listen at an address of this one, at the port of
    ``url``, where it doesn't listen itself: several load balancers can share an address, and one
    can have that of a node, where all node ports are open. ``nodes``: None where they aren't known.

    With a Service in front also where that listens itself: somebody's external address can be that
    of its load balancer. Of an Ingress, who listens where it does is its controller.
    """
    port, told = _port_of(url), _ports_of(front)
    by_controller = not front.get("spec", {}).get("ports")
    if port is None or (by_controller and port in told):
        return []
    found, itself, here = [], _full_name(own or {}), {*addresses(front)}
    at_a_node = nodes is None or bool(here & {*of_nodes(nodes)[0]})
    for one in services:
        spec = one.get("spec", {})
        listed = [each for each in spec.get("ports") or [] if each.get("protocol", "TCP") == "TCP"]
        ports = {each["port"] for each in listed}
        node_ports = {each.get("nodePort") for each in listed}
        is_here = bool(here & {*addresses(one), *(spec.get("externalIPs") or [])})
        if by_controller and is_here and ports & told:
            continue
        if (is_here and port in ports) or ((is_here or at_a_node) and port in node_ports):
            found.append(_full_name(one))
    return sorted(name for name in found if name != itself)


def may_listen(front: Object, own: Object | None, url: str) -> bool:
    """Whether what is in front may listen at the port of ``url``. Of Ingresses only TKE's say where
    they do; to those of others, a controller has been told so, which no object of theirs tells.
    """
    port = _port_of(url)
    if port is None or (front.get("kind") == INGRESS and class_of(front) != TKE_CLASS):
        return True
    node_ports = {one.get("nodePort") for one in (own or {}).get("spec", {}).get("ports") or []}
    return port in _ports_of(front) | node_ports


def _ports_of(front: Object) -> set[int]:
    """Where what is in front is told to listen, else where it usually does."""
    return {listener.port for listener in every_listener(front)} or {*_PORTS.values()}


def _port_of(url: str) -> int | None:
    """The port that a URL leads to, None where there is none in it."""
    try:
        parts = urlsplit(url)
        return parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # as for asked_for
        return None


def _full_name(one: Object) -> str:
    metadata = one.get("metadata", {})
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"


def _host_nearness(ingress: Object, host: str) -> int:
    """How near the rule is that is nearest to a host, whatever its paths: -1 without any."""
    return max((_nearness(wanted, host) for wanted, _paths in _rules(ingress)), default=-1)


def _nearness(wanted: str, host: str) -> int:
    """How near the host of a rule is, -1 where it is for others. To nginx a ``*.`` stands for more
    labels than one.
    """
    # What a pattern takes isn't asked: it may take this one.
    if _is_pattern(wanted) or (wanted.startswith("*.") and host.endswith(wanted[1:])):
        return 1
    return 0 if not wanted else 2 if wanted == host else -1


def _is_pattern(host: str) -> bool:
    """Whether it is a name of nginx's for several hosts, which only an annotation can have."""
    return host.startswith(("~", ".")) or host.endswith(".*")


#: Annotations that give all rules of an Ingress further hosts, separated by commas, whatever stands
#: before the slash
_ALIASES = ("host-aliases", "server-alias")
#: One that gives them a pattern of hosts
_ALIAS_PATTERN = "server-alias-regex"
#: Those that give a rule more hosts or paths: of AWS and of Alibaba, in JSON
_CONDITIONS = "alb.ingress.kubernetes.io/conditions."
_TEXTS = re.compile(r'"((?:\\.|[^"\\])*)"')


def _aliases(ingress: Object) -> list[str]:
    """Further hosts of all rules, patterns among them."""
    annotations = ingress.get("metadata", {}).get("annotations") or {}
    found: list[str] = []
    for key, text in annotations.items():
        name = key.rpartition("/")[2]
        if name in _ALIASES:
            found += text.split(",")
        elif name == _ALIAS_PATTERN:
            found.append(f"~{text}")
        elif key.startswith(_CONDITIONS):
            # What has a dot there can be a host, and what is none takes nothing.
            hosts = (one for one in _TEXTS.findall(text) if "." in one and one[0] != "/")
            found += (f"~{one}" if "?" in one or "*" in one[1:] else one for one in hosts)
    return [one.strip() for one in found if one.strip()]


def _rules(ingress: Object, first: Object | None = None) -> t.Iterator[tuple[str, list[Object]]]:
    """Host and paths of each rule; those that lead to the Service ``first`` come first."""
    aliases = _aliases(ingress)

    def is_other(rule: Object) -> bool:
        return not any(_entries_to(first, [rule]))

    for rule in sorted(ingress.get("spec", {}).get("rules") or [], key=is_other):
        paths = (rule.get("http") or {}).get("paths") or []
        yield from ((host, paths) for host in (_host(rule), *aliases))


def _is_passed_through(ingress: Object) -> bool:
    """Whether what is asked with TLS goes to a backend as it is: of its path nobody knows then, and
    who passes it on does so before all else.
    """
    annotations = ingress.get("metadata", {}).get("annotations") or {}
    return any(
        key.endswith("/ssl-passthrough") and text.lower() == "true"
        for key, text in annotations.items()
    )


#: How near a default backend is
_DEFAULT = (-1, 0)
#: Longer than any path
_FIRST = 1_000_000


def _nearest(
    ingress: Object, host: str, path: str, habits: _Habits
) -> tuple[tuple[int, int], list[str]]:
    """How near the nearest rule is, and the names of the Services there."""
    spec, through = ingress.get("spec", {}), _is_passed_through(ingress)
    found: dict[tuple[int, int], set[str]] = {}
    for wanted, paths in _rules(ingress):
        nearness = _nearness(wanted, host)
        for entry in paths if nearness >= 0 else ():
            prefix, kind = entry.get("path") or "/", entry.get("pathType", "")
            marked = prefix.startswith(f"{_PATTERN_MARK}/")
            forms = {prefix: "" if habits.patterns else kind}
            if marked:
                forms[prefix[len(_PATTERN_MARK) :]] = ""
            if through or any(starmap(partial(under, path), forms.items())):
                by_length = (0, _length(wanted, prefix, kind))
                is_first = habits.patterns_first and not _LITERAL.fullmatch(prefix)
                goes_first = through or marked or is_first
                length = _FIRST if goes_first else len(prefix)
                place = by_length if habits.by_length else (nearness, length)
                names = found.setdefault(place, set())
                names.add(_service_name(entry.get("backend")))
    if found:
        return max(found), sorted(found[max(found)])
    default = _service_name(spec.get("defaultBackend"))
    return _DEFAULT, [default] if default else []


def _length(host: str, prefix: str, kind: str) -> int:
    """Characters of a rule as Traefik writes it, of which it takes the longest."""
    if host.startswith("*."):
        pattern = host[1:].replace(".", r"\.")
        matcher = f"HostRegexp(`^[a-zA-Z0-9-]+{pattern}$`) && "
    else:
        matcher = f"Host(`{host}`) && " if host else ""
    return len(f"{matcher}{'Path' if kind == 'Exact' else 'PathPrefix'}(`{prefix}`)")


def covers(rule_host: str, host: str) -> bool:
    """Is a rule for this host? One without a host is for every one, ``*.`` for one more label."""
    wildcard = rule_host.startswith("*.") and host.partition(".")[2] == rule_host[2:]
    return rule_host in ("", host) or wildcard


def under(path: str, prefix: str, kind: str) -> bool:
    """Is a path of a rule, of this pathType, for a request of ``path``? Its query doesn't count.

    Of ``ImplementationSpecific`` the controller decides: to most it is the beginning of a text, to
    some a pattern, which is for all that begins like it.
    """
    path = path.partition("?")[0]
    if kind == "Exact":
        return path == prefix
    if kind == "Prefix":
        return path == prefix or path.startswith(prefix.rstrip("/") + "/")
    literal = _LITERAL.fullmatch(prefix) or _NO_PATTERN.match(prefix)
    # To nginx small letters are large ones then.
    return literal is not None and path.lower().startswith(literal[0].lower())


def read_as(path: str) -> list[str]:
    """A path as it is sent, and as it is read by who decodes it and goes up at its dots."""
    plain = re.sub("/+", "/", unquote(path.partition("?")[0]))
    end = "/" if plain.endswith(("/", "/.", "/..")) else ""
    resolved = f"{posixpath.normpath(plain).rstrip('/')}{end}" or "/"
    # Letters beyond ASCII are sent with ``%``, and not everybody decodes them.
    return [*dict.fromkeys([quote(path, safe=string.printable), resolved])]


def _host(rule: Object) -> str:
    return str(rule.get("host") or "")


def _service_name(backend: Object | None) -> str:
    """The Service of a backend, empty where it isn't one: with such a port the name is that of an
    annotation, which says to whom requests go (AWS, Alibaba).
    """
    service = (backend or {}).get("service") or {}
    by_annotation = (service.get("port") or {}).get("name") == "use-annotation"
    return "" if by_annotation else str(service.get("name", ""))


#: Those of HTTP and HTTPS, which a URL doesn't name
_PORTS = {"http": 80, "https": 443}


class Listener(t.NamedTuple):
    """Where a load balancer listens."""

    scheme: str = "http"
    port: int = _PORTS["http"]


def every_listener(front: Object) -> list[Listener]:
    """Each place where a load balancer is told to listen, for whatever host; of a Service also with
    TLS, since nothing tells which it speaks.
    """
    ports = [
        port["port"]
        for port in front.get("spec", {}).get("ports") or []
        if port.get("protocol", "TCP") == "TCP"
    ]
    both = [Listener(scheme, port) for port in ports for scheme in _PORTS]
    usual = {port: scheme for scheme, port in _PORTS.items()}
    likely = [one for one in both if usual.get(one.port, one.scheme) == one.scheme]
    return [*(Listener(*one) for one in listen_ports(front)), *likely]


def listeners(front: Object, host: str) -> list[Listener]:
    """Where a load balancer listens for requests of a host.

    A Service's at its first port of TCP. An Ingress's where TLS is for this host at HTTPS alone:
    whether it answers plain requests as well, or sends them on, is not asked.
    """
    spec = front.get("spec", {})
    for port in spec.get("ports") or []:
        if port.get("protocol", "TCP") == "TCP":
            return [Listener(port=port["port"])]
    scheme = "https" if any(map(_is_for(host), spec.get("tls") or [])) else "http"
    wanted = [Listener(*one) for one in listen_ports(front) if one[0] == scheme]
    return wanted or [Listener(scheme, _PORTS[scheme])]


def _is_for(host: str) -> t.Callable[[Object], bool]:
    """Is an entry of ``spec.tls`` for this host? One without hosts is for every one."""

    def is_for(entry: Object) -> bool:
        return any(covers(one, host) for one in entry.get("hosts") or [""])

    return is_for


def targets(
    addresses: t.Iterable[str], host: str, path: str, at: t.Sequence[Listener] = (Listener(),)
) -> list[dict[str, str]]:
    """What to probe: each address or name of a load balancer's status, wherever it listens.

    Without ``host`` the URL has the entry as written, so that it is the Host header too; with it
    the URL has the host, and the entry is what is connected to.
    """
    found = []
    for address in addresses:
        literal = _literal(address)
        for scheme, port in at:
            name = host or literal
            place = name if port == _PORTS[scheme] else f"{name}:{port}"
            target = {
                "name": address if len(at) == 1 else f"{literal}:{port}",
                "url": f"{scheme}://{place}{path}",
            }
            found.append({**target, "connect_to": literal} if host else target)
    return found
