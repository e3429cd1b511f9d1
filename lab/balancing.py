# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-in for Tencent CLB and its controller does, as pure functions.

From the cluster's objects (as JSON, the way the API server sends them) and the switches to:
balancers with their addresses, listeners and backends; the nginx.conf, nft ruleset and resolver
lines that make them work; the patches and events that are due on the objects. Nothing here reads
or writes anything but the switches' file; ``lab.controller`` does.

It behaves as public documents say that TKE does. Where they say nothing the behaviour is a switch,
or a choice that a comment here calls one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lab import settings, shell

JsonObject = Mapping[str, Any]
SwitchValue = str | float

# --------------------------------------------------------------------------------------------
# Switches


@dataclass(frozen=True)
class Switch:
    """One switch: its default, how its text is read, and what a person is told about it.

    ``parse`` raises ValueError for anything that ``allowed`` doesn't name.
    """

    default: SwitchValue
    allowed: str
    parse: Callable[[str], SwitchValue]
    doc: str


def _choice(doc: str, *values: str) -> Switch:
    """Build a switch between words; the first is the default."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(text)
        return text

    return Switch(values[0], ", ".join(values[:-1]) + " or " + values[-1], parse, doc)


#: A day: longer than any test waits, so that "never" can be had as well.
_LONGEST_DELAY: Final = 86400.0


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= _LONGEST_DELAY:
        raise ValueError(text)
    return value


#: Every switch of the stand-in by name.
SWITCHES: Final[Mapping[str, Switch]] = {
    "x_forwarded_for": _choice(
        "what layer 7 makes of X-Forwarded-For: append the client, replace it by the client,"
        " keep what the client sent and write the client where it sent nothing, or pass what"
        " the client sent",
        "append",
        "replace",
        "keep",
        "pass",
    ),
    "source": _choice(
        "whose address the backend sees as layer 7's peer: the client's (short connections),"
        " or the balancer's own (kept-alive connections)",
        "transparent",
        "own",
    ),
    "address": _choice(
        "what the status of an Ingress or Service names: an address, a name of several"
        " addresses, or both in one entry",
        "ip",
        "hostname",
        "both",
    ),
    "address_family": _choice(
        "which addresses of an Ingress its status lists; a Service's own ipFamilies decide",
        "ipv4",
        "ipv6",
        "dual",
    ),
    "address_delay": Switch(
        1.0,
        f"seconds from 0 to {_LONGEST_DELAY:.0f}",
        _seconds,
        "how long a new balancer takes until the status names its address",
    ),
    "health_check": _choice(
        "whether backends that can't answer are left out: nodes that aren't ready, and with"
        " externalTrafficPolicy Local nodes without a ready pod",
        "on",
        "off",
    ),
    "error_address": _choice(
        "whether an Ingress with an error event still gets its first address",
        "withhold",
        "publish",
    ),
    "new_balancers": _choice(
        "what comes of a balancer that isn't there yet: it is made, or refused because the"
        " account's quota is used up, or because the account is in arrears",
        "made",
        "quota",
        "arrears",
    ),
    "listeners": _choice(
        "whether layer 7 listens on the addresses of its balancers, or somebody removed that",
        "made",
        "missing",
    ),
    "names": _choice(
        "whether the resolver knows the names of the balancers",
        "known",
        "unknown",
    ),
    "forward_type": _choice(
        "which protocol layer 7 speaks to backends",
        "http",
        "https",
    ),
    "firewall": _choice(
        "whether a firewall (WAF) admits requests at layer 7, refuses all of them, or only those"
        " that come with an X-Forwarded-For",
        "open",
        "closed",
        "forged",
    ),
    "read_timeout": Switch(
        60.0,
        f"seconds from 0 to {_LONGEST_DELAY:.0f}",
        _seconds,
        "how long layer 7 waits for a backend's answer",
    ),
}

DEFAULTS: Final[Mapping[str, SwitchValue]] = {
    name: switch.default for name, switch in SWITCHES.items()
}


def _switch_value(name: str, text: str) -> SwitchValue:
    switch = SWITCHES.get(name)
    if switch is None:
        raise ValueError(f"There is no switch {name!r}; the switches are {', '.join(SWITCHES)}.")
    try:
        return switch.parse(text)
    except ValueError:
        raise ValueError(f"Switch {name} takes {switch.allowed}, not {text!r}.") from None


def parse_switches(pairs: Iterable[str]) -> dict[str, SwitchValue]:
    """Return the switches that ``KEY=VALUE`` texts set; ValueError is a sentence for a person."""
    changes = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"A switch is set as KEY=VALUE, not as {pair!r}.")
        changes[name.strip()] = _switch_value(name.strip(), text.strip())
    return changes


def read_switches(path: Path) -> dict[str, SwitchValue]:
    """Return every switch's value: from the JSON file ``path``, else its default.

    ValueError is a sentence for a person and names the file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return dict(DEFAULTS)
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}.") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object; delete it to get the defaults.")
    try:
        given = {name: _switch_value(name, str(value)) for name, value in content.items()}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return {**DEFAULTS, **given}


def write_switches(path: Path, changes: Mapping[str, SwitchValue]) -> dict[str, SwitchValue]:
    """Change some switches in the file ``path`` at once; return all values as they are then."""
    values = {**read_switches(path), **changes}
    shell.write(path, json.dumps(values, indent=2) + "\n")
    return values


# --------------------------------------------------------------------------------------------
# Objects


@dataclass(frozen=True)
class Kind:
    """What differs between the two kinds that get a balancer."""

    name: str
    api_version: str
    #: Read-only annotation with the balancer's id; tells users that one was made.
    id_annotation: str
    direct_annotation: str
    #: Further read-only annotation with the IPv6 address, where TKE documents one.
    ipv6_annotation: str | None
    finalizer: str


INGRESS: Final = Kind(
    "Ingress",
    "networking.k8s.io/v1",
    "kubernetes.io/ingress.qcloud-loadbalance-id",
    "ingress.cloud.tencent.com/direct-access",
    "ingress.cloud.tencent.com/loadbalance-ipv6",
    # Not documented; formed like the one that was seen on Services.
    "ingress.k8s.tencent/resources",
)
SERVICE: Final = Kind(
    "Service",
    "v1",
    "service.kubernetes.io/loadbalance-id",
    "service.cloud.tencent.com/direct-access",
    None,
    "service.k8s.tencent/resources",
)

#: Class that means TKE's own load balancer, and the older place where it may stand.
CLASS: Final = "qcloud"
CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"

#: Annotation that asks for a balancer that somebody made by hand.
EXISTING_ANNOTATION: Final = "kubernetes.io/ingress.existLbId"
#: Annotations that together ask for a redirect from HTTP to HTTPS.
REWRITE_ANNOTATIONS: Final = (
    "ingress.cloud.tencent.com/auto-rewrite",
    "ingress.cloud.tencent.com/rewrite-support",
)
#: What a Secret must have to count as a certificate: the id of one, not a certificate.
CERTIFICATE_KEY: Final = "qcloud_cert_id"

#: ConfigMap with the settings of TKE's controller, and the one that turns it off for Ingresses.
CONFIG_NAMESPACE: Final = "kube-system"
CONFIG_NAME: Final = "tke-service-controller-config"
ENABLED: Final = "EnableIngressController"
#: Whether what gets a balancer gets direct access with it, where it says nothing of that, and
#: whether pods can be backends at all: those of a lab are in their node's range, as GlobalRouter's.
DIRECT_DEFAULT: Final = "EnableDefaultDirectAccess"
GLOBAL_ROUTE: Final = "GlobalRouteDirectAccess"

#: What the controller may do in the cluster, as rules of a ClusterRole. It can't list Secrets.
RIGHTS: Final[Sequence[JsonObject]] = (
    {
        "apiGroups": [""],
        "resources": ["services"],
        "verbs": ["get", "list", "watch", "patch"],
    },
    {
        "apiGroups": ["networking.k8s.io"],
        "resources": ["ingresses"],
        "verbs": ["get", "list", "watch", "patch"],
    },
    {"apiGroups": [""], "resources": ["services/status"], "verbs": ["patch"]},
    {
        "apiGroups": ["networking.k8s.io"],
        "resources": ["ingresses/status"],
        "verbs": ["patch"],
    },
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["get", "list", "watch"],
    },
    {"apiGroups": [""], "resources": ["events"], "verbs": ["get", "create", "patch"]},
    {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [CONFIG_NAME],
        "verbs": ["get", "list", "watch"],
    },
    # Those that an Ingress names as its certificate, one by one.
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
)


@dataclass(frozen=True)
class Cluster:
    """The objects that decide what the balancers do, each as the API server sends it.

    ``config`` is the data of TKE's own ConfigMap. ``secrets`` has the keys of those Secrets that
    ``certificates`` names, or None for one that doesn't exist.
    """

    ingresses: Sequence[JsonObject] = ()
    services: Sequence[JsonObject] = ()
    slices: Sequence[JsonObject] = ()
    nodes: Sequence[JsonObject] = ()
    config: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[tuple[str, str], Collection[str] | None] = field(default_factory=dict)

    def acts_on(self, kind: Kind) -> bool:
        """Tell whether the controller works on objects of a kind."""
        return kind is not INGRESS or self.config.get(ENABLED) != "false"

    @property
    def reaches_pods(self) -> bool:
        """Tell whether pods can be backends; where nothing says so they can, as on new clusters."""
        return self.config.get(GLOBAL_ROUTE, "true") == "true"

    def subjects(self) -> Iterator[tuple[Kind, JsonObject]]:
        """Yield every object that could have a balancer, oldest first."""
        everything = [(INGRESS, item) for item in self.ingresses]
        everything += [(SERVICE, item) for item in self.services]
        yield from sorted(
            everything,
            key=lambda subject: (
                subject[1]["metadata"].get("creationTimestamp", ""),
                subject[1]["metadata"]["uid"],
            ),
        )


def _annotations(item: JsonObject) -> Mapping[str, str]:
    return item["metadata"].get("annotations") or {}


def _finalizers(item: JsonObject) -> list[str]:
    return list(item["metadata"].get("finalizers") or ())


def _deleting(item: JsonObject) -> bool:
    return "deletionTimestamp" in item["metadata"]


def ingress_in_scope(ingress: JsonObject) -> bool:
    """Tell whether TKE takes an Ingress: field or annotation says ``qcloud``, or neither is set.

    An empty annotation counts as none.
    """
    classes = {
        ingress["spec"].get("ingressClassName") or "",
        _annotations(ingress).get(CLASS_ANNOTATION, ""),
    } - {""}
    return not classes or CLASS in classes


def service_in_scope(service: JsonObject) -> bool:
    """Tell whether a Service gets a balancer: type LoadBalancer that names no other class."""
    spec = service["spec"]
    return spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")


def _wanted(kind: Kind, item: JsonObject) -> bool:
    """Tell whether the object should have a balancer now."""
    in_scope = ingress_in_scope if kind is INGRESS else service_in_scope
    return in_scope(item) and not _deleting(item)


def _wanted_certificates(ingress: JsonObject) -> Iterator[str]:
    """Yield the name of the Secret of each part of ``spec.tls``; empty where none is named."""
    for part in ingress["spec"].get("tls") or ():
        yield part.get("secretName") or ""


def certificates(cluster: Cluster) -> set[tuple[str, str]]:
    """Return namespace and name of each Secret that an Ingress in scope names."""
    return {
        (ingress["metadata"]["namespace"], name)
        for ingress in cluster.ingresses
        if _wanted(INGRESS, ingress)
        for name in _wanted_certificates(ingress)
        if name
    }


# --------------------------------------------------------------------------------------------
# Numbers: each balancer has one, and all its addresses and names follow from it

#: A balancer's second IPv4 address is its first plus this; so numbers end below it.
_SECOND: Final = 128
_NUMBERS: Final = range(1, _SECOND - 1)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_PATTERN: Final = re.compile(r"lb-[0-9a-z]{6}([0-9a-z]{2})")

#: Domain of the names of load balancers.
DOMAIN: Final = "clb.example"


def balancer_id(uid: str, number: int) -> str:
    """Return the id of the balancer of the object ``uid``: ``lb-`` and eight characters.

    The last two are the number: with the annotation read back, a controller that was started
    again gives the same addresses without a record of its own.
    """
    digest = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8], "big")
    characters = "".join(_DIGITS[digest // 36**place % 36] for place in range(6))
    return f"lb-{characters}{_DIGITS[number // 36]}{_DIGITS[number % 36]}"


def _number_of_id(uid: str, text: str) -> int | None:
    """Return the number that an id carries, or none where it isn't the id of this object.

    An annotation may have been copied together with the rest of a manifest.
    """
    found = _ID_PATTERN.fullmatch(text)
    number = int(found.group(1), 36) if found else 0
    return number if number in _NUMBERS and balancer_id(uid, number) == text else None


def _number_of_status(item: JsonObject) -> int | None:
    """Return the number of the first address in the status, if it is one of ours."""
    for entry in _status(item):
        for number in _NUMBERS:
            if entry.get("ip") in addresses_of(number):
                return number
    return None


def allocate(cluster: Cluster, known: Mapping[str, int]) -> dict[str, int]:
    """Return the number of each object's balancer by the object's uid.

    A number once given stays until its object is gone, or out of scope and released. ``known`` is
    the last result; what it lacks is read back from id annotation and status; objects new to all
    of them get the lowest free numbers, oldest object first. Where none is left an object is
    missing in the result.
    """
    holders = [
        (kind, item)
        for kind, item in cluster.subjects()
        if _wanted(kind, item) or kind.finalizer in _finalizers(item)
    ]
    numbers: dict[str, int] = {}

    def read_back(find: Callable[[str, Kind, JsonObject], int | None]) -> None:
        for kind, item in holders:
            uid = item["metadata"]["uid"]
            number = find(uid, kind, item) if uid not in numbers else None
            if number is not None and number not in numbers.values():
                numbers[uid] = number

    read_back(lambda uid, _kind, _item: known.get(uid))
    read_back(lambda uid, kind, item: _number_of_id(uid, _id_annotation(kind, item)))
    read_back(
        lambda _uid, kind, item: (
            _number_of_status(item) if kind.finalizer in _finalizers(item) else None
        )
    )
    free = iter([number for number in _NUMBERS if number not in numbers.values()])
    read_back(lambda _uid, _kind, _item: next(free, None))
    return numbers


def _id_annotation(kind: Kind, item: JsonObject) -> str:
    return _annotations(item).get(kind.id_annotation, "")


def addresses_of(number: int) -> tuple[str, str, str]:
    """Return the addresses of the balancer ``number``: two of IPv4, one of IPv6."""
    return (
        str(settings.VIPS_IPV4[number]),
        str(settings.VIPS_IPV4[number + _SECOND]),
        str(settings.VIPS_IPV6[number]),
    )


# --------------------------------------------------------------------------------------------
# Backends

IPV4: Final = "IPv4"
IPV6: Final = "IPv6"
FAMILIES: Final = (IPV4, IPV6)
_OTHER_FAMILY: Final = {IPV4: IPV6, IPV6: IPV4}


@dataclass(frozen=True, order=True)
class Backend:
    """Where a balancer sends connections: a node's address and node port, or a pod's."""

    address: str
    port: int


@dataclass(frozen=True)
class Fault:
    """Why something couldn't be configured, with TKE's code."""

    code: str
    message: str
    #: Whether TKE tries again by itself.
    retry: bool = False

    def __str__(self) -> str:
        # The only form in which such messages were seen. TKE's own quoting is unknown: JSON's.
        message = json.dumps(self.message, ensure_ascii=False)
        retry = str(self.retry).lower()
        return f'IngressErrorCode{{Code:"{self.code}",Message:{message},Retry:{retry}}}'


#: What the account's state does to a balancer that isn't there yet, and the codes: the same trouble
#: has different numbers for the two kinds.
_ACCOUNT: Final[Mapping[SwitchValue, tuple[str, Mapping[str, str]]]] = {
    "quota": (
        "The quota of load balancers is used up.",
        {INGRESS.name: "E4003", SERVICE.name: "E4004"},
    ),
    "arrears": ("The account is in arrears.", {INGRESS.name: "E4027", SERVICE.name: "E4009"}),
}


def refusals(
    kind: Kind, item: JsonObject, cluster: Cluster, switches: Mapping[str, SwitchValue]
) -> list[Fault]:
    """Return why an object gets no balancer; one that it has already stays as it is."""
    found = []
    state = _ACCOUNT.get(switches["new_balancers"])
    if state and kind.finalizer not in _finalizers(item):
        message, codes = state
        found.append(Fault(codes[kind.name], message, retry=True))
    if kind is not INGRESS:
        return found
    identity = _annotations(item).get(EXISTING_ANNOTATION)
    if identity:
        # Nobody can have made one by hand.
        found.append(Fault("E4018", f"Load balancer {identity} does not exist."))
    for name in _wanted_certificates(item):
        place = (item["metadata"]["namespace"], name)
        whole = "/".join(place)
        if not name:
            found.append(Fault("E4009", "A part of spec.tls names no Secret."))
        elif place in cluster.secrets:
            keys = cluster.secrets[place]
            if keys is None:
                found.append(Fault("E4010", f"Secret {whole} does not exist."))
            elif CERTIFICATE_KEY not in keys:
                found.append(Fault("E4011", f"Secret {whole} has no {CERTIFICATE_KEY}."))
    return found


class _Unusable(Exception):
    """A rule can't be configured; carries the fault."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(code, message)


def _family_of(address: str) -> str:
    return IPV6 if ":" in address else IPV4


def _ready(node: JsonObject) -> bool:
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in node.get("status", {}).get("conditions") or ()
    )


#: Kubernetes' own label by which a node asks to be left out of load balancers.
#: With externalTrafficPolicy Local only the nodes with a pod are bound, not all.
_ONLY_BIND: Final = "service.kubernetes.io/local-svc-only-bind-node-with-pod"
_EXCLUDED: Final = "node.kubernetes.io/exclude-from-external-load-balancers"


def _ready_endpoints(service: JsonObject, slices: Iterable[JsonObject]) -> Iterator[JsonObject]:
    """Yield each ready endpoint of a Service: ``family``, ``address``, ``node``, ``ports``."""
    metadata = service["metadata"]
    for part in slices:
        labels = part["metadata"].get("labels") or {}
        if part["metadata"].get("namespace") != metadata.get("namespace"):
            continue
        if labels.get("kubernetes.io/service-name") != metadata["name"]:
            continue
        for endpoint in part.get("endpoints") or ():
            # Absent means ready: so the API's documentation of the condition.
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            for address in endpoint["addresses"]:
                yield {
                    "family": part["addressType"],
                    "address": address,
                    "node": endpoint.get("nodeName"),
                    "ports": part.get("ports") or (),
                }


def _pod_backends(
    service: JsonObject, port: JsonObject, cluster: Cluster, family: str
) -> tuple[Backend, ...]:
    return tuple(
        sorted(
            Backend(endpoint["address"], target["port"])
            for endpoint in _ready_endpoints(service, cluster.slices)
            for target in endpoint["ports"]
            if endpoint["family"] == family and (target.get("name") or "") == port.get("name", "")
        )
    )


def _node_backends(
    service: JsonObject, port: JsonObject, cluster: Cluster, family: str, health_check: bool
) -> tuple[Backend, ...]:
    """Return the node ports of all nodes, less those that health checks would find dead.

    All nodes are bound, with externalTrafficPolicy Local too unless an annotation says otherwise,
    and health checks steer; where all fail, traffic goes to all.
    """
    if family not in (service["spec"].get("ipFamilies") or (IPV4,)):
        return ()
    endpoints = list(_ready_endpoints(service, cluster.slices))
    local = service["spec"].get("externalTrafficPolicy") == "Local"
    holders = {endpoint["node"] for endpoint in endpoints}

    def answers(node: JsonObject) -> bool:
        return _ready(node) and (node["metadata"]["name"] in holders if local else bool(endpoints))

    bound = [
        (Backend(address["address"], port["nodePort"]), answers(node))
        for node in cluster.nodes
        if _EXCLUDED not in (node["metadata"].get("labels") or {})
        for address in node.get("status", {}).get("addresses") or ()
        if address["type"] == "InternalIP" and _family_of(address["address"]) == family
    ]
    only = local and _annotations(service).get(_ONLY_BIND) == "true"
    healthy = [backend for backend, alive in bound if alive] if health_check or only else []
    return tuple(sorted(healthy or [backend for backend, __ in bound]))


def _backends(
    service: JsonObject,
    port: JsonObject,
    cluster: Cluster,
    direct: bool,
    switches: Mapping[str, SwitchValue],
) -> dict[str, tuple[Backend, ...]]:
    """Return the backends of one port of a Service by family."""
    health_check = switches["health_check"] == "on"
    if direct and not cluster.reaches_pods:
        return dict.fromkeys(FAMILIES, ())
    return {
        family: _pod_backends(service, port, cluster, family)
        if direct
        else _node_backends(service, port, cluster, family, health_check)
        for family in FAMILIES
    }


# --------------------------------------------------------------------------------------------
# Balancers


@dataclass(frozen=True)
class Target:
    """One port of a Service as layer 7 sees it; ``name`` is unique in the cluster."""

    name: str
    backends: Mapping[str, tuple[Backend, ...]]

    def reached_from(self, family: str) -> tuple[str, tuple[Backend, ...]]:
        """Return family and backends for clients of ``family``: the other one's where it has none.

        A proxy can change the family, as NAT64 does, but then can't keep the client's address.
        """
        other = _OTHER_FAMILY[family]
        if not self.backends[family] and self.backends[other]:
            return other, self.backends[other]
        return family, self.backends[family]


@dataclass(frozen=True)
class Location:
    """One location of a domain. ``exact`` as nginx's ``=``; without a target: 404."""

    path: str
    exact: bool
    target: Target | None


@dataclass(frozen=True)
class Listener:
    """One layer-4 listener: what arrives at its port goes to the backends of its family."""

    protocol: str
    port: int
    backends: Mapping[str, tuple[Backend, ...]]


@dataclass(frozen=True)
class Balancer:
    """One load balancer: of an Ingress (``domains``) or of a Service (``listeners``).

    ``domains`` maps host patterns, none for the balancer's own addresses and name, to locations.
    ``entries`` is what the object's status is to say.
    """

    kind: Kind
    namespace: str
    name: str
    uid: str
    number: int
    entries: tuple[Mapping[str, str], ...]
    domains: Mapping[str | None, tuple[Location, ...]]
    listeners: tuple[Listener, ...]
    faults: tuple[Fault, ...]
    #: Whether every request is sent on to HTTPS.
    redirects: bool = False

    @property
    def id(self) -> str:
        """The id, ``lb-`` and eight characters."""
        return balancer_id(self.uid, self.number)

    @property
    def hostname(self) -> str:
        """The name under which the resolver knows all addresses."""
        return hostname_of(self.id)

    @property
    def addresses(self) -> tuple[str, str, str]:
        """Two IPv4 addresses and one of IPv6."""
        return addresses_of(self.number)


def hostname_of(identity: str) -> str:
    """Return the name of the balancer with the given id."""
    return f"{identity}.{DOMAIN}"


#: Hosts as TKE accepts them (E4052): a dot is needed, lower case.
_HOST: Final = re.compile(r"(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")
#: Paths as CLB could take them: TKE accepts no regular expressions (E4031). The exact set of
#: characters is not documented; this one has nothing that nginx would read as syntax.
_PATH: Final = re.compile(r"/[A-Za-z0-9_.~:@=/-]{0,199}")


def locations(routes: Iterable[tuple[str, str, Target]]) -> tuple[Location, ...]:
    """Return the locations of one domain for its ``(pathType, path, target)``, the first wins.

    Prefix goes by path elements, Exact by equality, as Kubernetes has it; how CLB maps
    ImplementationSpecific is not documented: here it is a prefix of the text.
    """
    exact: dict[str, Target | None] = {}
    element: dict[str, Target | None] = {}
    prefix: dict[str, Target | None] = {}
    for path_type, path, target in routes:
        stem = path.rstrip("/")
        if path_type == "Exact":
            exact.setdefault(path, target)
        elif path_type == "Prefix" and stem:
            element.setdefault(stem, target)
            prefix.setdefault(stem + "/", target)
        else:
            prefix.setdefault(path, target)
    equal = {**element, **exact}
    for path in prefix:
        stem = path.removesuffix("/")
        if stem and stem != path and stem not in equal:
            # nginx would redirect such a request to the path with the slash.
            shorter = [other for other in prefix if stem.startswith(other)]
            equal[stem] = prefix[max(shorter, key=len)] if shorter else None
    prefix.setdefault("/", None)
    return tuple(
        Location(path, is_exact, target)
        for is_exact, table in ((True, equal), (False, prefix))
        for path, target in sorted(table.items())
    )


def _rules(ingress: JsonObject) -> Iterator[tuple[str | None, str, str, JsonObject]]:
    """Yield ``(host, path type, path, backend)`` of each rule, the default backend last."""
    for rule in ingress["spec"].get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            yield (
                rule.get("host") or None,
                path["pathType"],
                path.get("path") or "/",
                path["backend"],
            )
    default = ingress["spec"].get("defaultBackend")
    if default:
        yield None, "ImplementationSpecific", "/", default


class _Targets:
    """Finds the targets of one Ingress's rules."""

    def __init__(
        self, ingress: JsonObject, cluster: Cluster, switches: Mapping[str, SwitchValue]
    ) -> None:
        self.namespace = ingress["metadata"]["namespace"]
        self.direct = _annotations(ingress).get(INGRESS.direct_annotation) == "true"
        self.cluster = cluster
        self.switches = switches

    def find(self, reference: JsonObject) -> Target:
        """Return the target of a rule's ``backend``, or raise _Unusable."""
        name = (reference.get("service") or {}).get("name", "")
        service = next(
            (
                item
                for item in self.cluster.services
                if (item["metadata"]["namespace"], item["metadata"]["name"])
                == (self.namespace, name)
            ),
            None,
        )
        if service is None:
            raise _Unusable("E4041", f"Service {self.namespace}/{name} does not exist.")
        wanted = (reference["service"].get("port")) or {}
        port = next(
            (
                port
                for port in service["spec"].get("ports") or ()
                if port.get("protocol", "TCP") == "TCP"
                and (
                    wanted.get("number") == port["port"]
                    or ("name" in wanted and wanted["name"] == port.get("name"))
                )
            ),
            None,
        )
        if port is None:
            asked = wanted.get("number", wanted.get("name", "none"))
            raise _Unusable("E4042", f"Service {self.namespace}/{name} has no port {asked}.")
        if not self.direct and not port.get("nodePort"):
            raise _Unusable(
                "E4047",
                f"Service {self.namespace}/{name} is of type"
                f" {service['spec'].get('type', 'ClusterIP')}, without direct access it must be"
                " NodePort or LoadBalancer.",
            )
        way = "pods" if self.direct else "nodes"
        return Target(
            f"{self.namespace}_{name}_{port['port']}_{way}",
            _backends(service, port, self.cluster, self.direct, self.switches),
        )


def _domains(
    ingress: JsonObject, cluster: Cluster, switches: Mapping[str, SwitchValue]
) -> tuple[dict[str | None, tuple[Location, ...]], tuple[Fault, ...]]:
    """Return an Ingress's domains, and why some of its rules aren't in them.

    A domain whose rules are all unusable is there all the same, so that it answers 404.
    """
    targets = _Targets(ingress, cluster, switches)
    routes: dict[str | None, list[tuple[str, str, Target]]] = {}
    faults: dict[Fault, None] = {}
    for host, path_type, path, reference in _rules(ingress):
        try:
            if host is not None and not _HOST.fullmatch(host):
                raise _Unusable("E4052", f"Host {host} is not allowed.")
            domain = routes.setdefault(host, [])
            if not _PATH.fullmatch(path):
                raise _Unusable("E4031", f"Path {path} is not allowed.")
            domain.append((path_type, path, targets.find(reference)))
        except _Unusable as error:
            faults[error.fault] = None
    return {host: locations(found) for host, found in routes.items()}, tuple(faults)


def _listeners(
    service: JsonObject, cluster: Cluster, switches: Mapping[str, SwitchValue]
) -> tuple[Listener, ...]:
    direct = _annotations(service).get(SERVICE.direct_annotation) == "true"
    return tuple(
        Listener(
            port.get("protocol", "TCP"),
            port["port"],
            _backends(service, port, cluster, direct, switches),
        )
        for port in service["spec"].get("ports") or ()
        if direct or port.get("nodePort")
    )


_STATUS_FAMILIES: Final[Mapping[SwitchValue, tuple[str, ...]]] = {
    "ipv4": (IPV4,),
    "ipv6": (IPV6,),
    "dual": (IPV4, IPV6),
}


def _entries(
    kind: Kind, item: JsonObject, number: int, switches: Mapping[str, SwitchValue]
) -> tuple[Mapping[str, str], ...]:
    """Return what ``status.loadBalancer.ingress`` is to hold."""
    families = (
        _STATUS_FAMILIES[switches["address_family"]]
        if kind is INGRESS
        else tuple(item["spec"].get("ipFamilies") or (IPV4,))
    )
    first, _second, ipv6 = addresses_of(number)
    addresses = tuple({"ip": first if family == IPV4 else ipv6} for family in families)
    name = {"hostname": hostname_of(balancer_id(item["metadata"]["uid"], number))}
    shapes: Mapping[SwitchValue, tuple[Mapping[str, str], ...]] = {
        "ip": addresses,
        "hostname": (name,),
        "both": tuple({**address, **name} for address in addresses),
    }
    return shapes[switches["address"]]


def balancers(
    cluster: Cluster, numbers: Mapping[str, int], switches: Mapping[str, SwitchValue]
) -> list[Balancer]:
    """Return the balancers that are to be there: of adopted objects that should have one.

    An object that doesn't carry the finalizer yet has none, so that nothing can be left behind.
    """
    found = []
    for kind, item in cluster.subjects():
        metadata = item["metadata"]
        uid = metadata["uid"]
        if not _wanted(kind, item) or uid not in numbers or kind.finalizer not in _finalizers(item):
            continue
        domains, faults = _domains(item, cluster, switches) if kind is INGRESS else ({}, ())
        found.append(
            Balancer(
                kind,
                metadata["namespace"],
                metadata["name"],
                uid,
                numbers[uid],
                _entries(kind, item, numbers[uid], switches),
                domains,
                _listeners(item, cluster, switches) if kind is SERVICE else (),
                faults,
                kind is INGRESS
                and all(_annotations(item).get(key) == "true" for key in REWRITE_ANNOTATIONS),
            )
        )
    return found


# --------------------------------------------------------------------------------------------
# nginx: layer 7

#: What CLB documents as its time for connecting to a backend (4 to 120 s, 4 by default).
_CONNECT_TIMEOUT: Final = "4s"

_X_FORWARDED_FOR: Final[Mapping[SwitchValue, tuple[str, ...]]] = {
    "append": ("proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",),
    "replace": ("proxy_set_header X-Forwarded-For $remote_addr;",),
    "keep": ("proxy_set_header X-Forwarded-For $kept;",),
    # Not set at all: so several lines stay several lines.
    "pass": (),
}

#: Clients whose packets the nodes answer directly, past the balancer: connections in their name
#: would never be completed. The balancer takes its own address for them, as a NAT gateway would.
_INSIDE: Final = (
    settings.VPC.ipv4,
    settings.PODS_IPV4,
    settings.VIPS_IPV4,
    settings.VPC.ipv6,
    settings.PODS_IPV6,
    settings.VIPS_IPV6,
)

_TEMPORARY: Final = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def _block(head: str, lines: Iterable[str]) -> list[str]:
    return [head + " {", *("    " + line for line in lines), "}"]


def _upstream_name(target: Target, family: str) -> str:
    return f"{target.name}_{family.lower()}"


def _upstreams(found: Iterable[Balancer], own_source: bool) -> Iterator[list[str]]:
    """Yield one upstream block for each target and family that has backends."""
    targets = {
        location.target.name: location.target
        for balancer in found
        for domain in balancer.domains.values()
        for location in domain
        if location.target
    }
    for _name, target in sorted(targets.items()):
        for family in FAMILIES:
            # No backend is remembered as failed: what answers is decided anew each time.
            servers = [
                f"server {_socket(backend.address, backend.port)} max_fails=0;"
                for backend in target.backends[family]
            ]
            if servers:
                keep = ["keepalive 32;"] if own_source else []
                yield _block(f"upstream {_upstream_name(target, family)}", servers + keep)


def _socket(address: str, port: int) -> str:
    return f"[{address}]:{port}" if _family_of(address) == IPV6 else f"{address}:{port}"


def _location(location: Location, family: str, own_source: bool, scheme: SwitchValue) -> list[str]:
    head = f"location {'= ' if location.exact else ''}{location.path}"
    if location.target is None:
        return _block(head, ["return 404;"])
    backend_family, backends = location.target.reached_from(family)
    if not backends:
        # What CLB answers without any backend is not documented.
        return _block(head, ["return 502;"])
    keeps_client = not own_source and backend_family == family
    bind = ["proxy_bind $client_outside transparent;"] if keeps_client else []
    upstream = _upstream_name(location.target, backend_family)
    return _block(head, [*bind, f"proxy_pass {scheme}://{upstream};"])


def _server_names(host: str | None, balancer: Balancer) -> str:
    if host is None:
        first, second, ipv6 = balancer.addresses
        return f'{first} {second} "[{ipv6}]" {balancer.hostname}'
    if host.startswith("*."):
        # One label, as in Kubernetes; nginx's own wildcard would take several.
        return '"~^[^.]+' + re.escape(host[1:]) + '$"'
    return host


#: What a firewall does with requests, by its switch.
_FIREWALL: Final[Mapping[SwitchValue, tuple[str, ...]]] = {
    "open": (),
    "closed": ('return 403 "<html><title>Blocked by the firewall</title></html>";',),
    "forged": ("if ($http_x_forwarded_for) { return 403; }",),
}


def _domain(
    balancer: Balancer,
    domain: Sequence[Location],
    family: str,
    own_source: bool,
    switches: Mapping[str, SwitchValue],
) -> list[str]:
    """Return what a server does with the requests of its domain."""
    scheme = switches["forward_type"]
    wall = _FIREWALL[switches["firewall"]]
    if balancer.redirects:
        # Port 443 isn't served: its certificate would be at Tencent Cloud.
        return ["return 301 https://$host$request_uri;"]
    return [
        *wall,
        *(line for where in domain for line in _location(where, family, own_source, scheme)),
    ]


def _servers(
    balancer: Balancer, own_source: bool, switches: Mapping[str, SwitchValue]
) -> Iterator[list[str]]:
    """Yield the servers of one Ingress, on its own addresses only: 403, then each domain."""
    if balancer.kind is not INGRESS:
        return
    for family in FAMILIES:
        sockets = [
            f"listen {_socket(address, 80)}"
            for address in balancer.addresses
            if _family_of(address) == family
        ]
        comment = f"# {balancer.namespace}/{balancer.name} {balancer.id} {family}"
        yield [
            comment,
            *_block(
                "server", [*(socket + " default_server;" for socket in sockets), "return 403;"]
            ),
        ]
        for host, domain in balancer.domains.items():
            yield _block(
                "server",
                [
                    *(socket + ";" for socket in sockets),
                    f"server_name {_server_names(host, balancer)};",
                    *_domain(balancer, domain, family, own_source, switches),
                ],
            )


def nginx_conf(
    found: Iterable[Balancer], switches: Mapping[str, SwitchValue], directory: Path
) -> str:
    """Return the whole nginx.conf; nginx writes below ``directory`` and to standard error only.

    It is to run in the foreground, as root: binding to a client's address needs that.
    """
    found = list(found)
    own_source = switches["source"] == "own"
    http = [
        'log_format brief \'$msec $remote_addr $server_addr "$host" "$request" $status'
        ' "$upstream_addr"\';',
        f"access_log {directory}/access.log brief;",
        *(f"{name}_temp_path {directory}/temp_{name};" for name in _TEMPORARY),
        "server_tokens off;",
        "client_max_body_size 60m;",
        "server_names_hash_bucket_size 512;",
        "server_names_hash_max_size 4096;",
        "",
        f"proxy_connect_timeout {_CONNECT_TIMEOUT};",
        f"proxy_read_timeout {switches['read_timeout']:g}s;",
        "proxy_http_version 1.1;",
        # An empty value leaves the header out, and with it the end of the connection.
        *(['proxy_set_header Connection "";'] if own_source else []),
        "proxy_set_header Host $http_host;",
        *_X_FORWARDED_FOR[switches["x_forwarded_for"]],
        "proxy_set_header X-Real-IP $remote_addr;",
        "proxy_set_header X-Stgw-Time $msec;",
        "proxy_set_header X-Client-Proto $scheme;",
        "proxy_set_header X-Client-Proto-Ver $server_protocol;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "",
        # nginx leaves the source alone where the value is empty.
        *_block("geo $inside", ["default 0;", *(f"{network} 1;" for network in _INSIDE)]),
        *_block("map $inside $client_outside", ["0 $remote_addr;", "1 '';"]),
        *_block(
            "map $http_x_forwarded_for $kept",
            ["default $http_x_forwarded_for;", "'' $remote_addr;"],
        ),
        "",
    ]
    for block in _upstreams(found, own_source):
        http += block
    for balancer in found if switches["listeners"] == "made" else ():
        for block in _servers(balancer, own_source, switches):
            http += ["", *block]
    lines = [
        "# Written by lab.controller; changes are lost.",
        "daemon off;",
        "user root root;",
        "worker_processes 1;",
        "worker_rlimit_nofile 16384;",
        # Connections that outlive their listener end, so that a released balancer is silent.
        "worker_shutdown_timeout 2s;",
        f"pid {directory}/nginx.pid;",
        "error_log stderr warn;",
        *_block("events", ["worker_connections 4096;"]),
        *_block("http", http),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def initial_nginx_conf(directory: Path) -> str:
    """Return the nginx.conf for the first start: no balancers, every switch at its default."""
    return nginx_conf((), DEFAULTS, directory)


# --------------------------------------------------------------------------------------------
# nft: layer 4, and the way back of connections in a client's name

TABLE: Final = "kestrel_clb"
#: Mark of connections that the balancer opened in a client's name, and the routing table that
#: delivers their answers here although they are addressed to the client.
MARK: Final = 0x51
ROUTING_TABLE: Final = 151

_NFT_FAMILY: Final = {IPV4: "ip", IPV6: "ip6"}


def _networks(family: str) -> str:
    return ", ".join(str(network) for network in _INSIDE if _family_of(str(network)) == family)


def _translation(family: str, backends: Sequence[Backend]) -> str:
    """Return nft's ``dnat`` statement: backends in turn."""
    elements = ", ".join(
        f"{place} : {backend.address} . {backend.port}" for place, backend in enumerate(backends)
    )
    return (
        f"dnat {_NFT_FAMILY[family]} addr . port to"
        f" numgen inc mod {len(backends)} map {{ {elements} }}"
    )


def _translations(found: Iterable[Balancer]) -> Iterator[str]:
    for balancer in found:
        for listener in balancer.listeners:
            for address in balancer.addresses:
                family = _family_of(address)
                if listener.backends[family]:
                    yield (
                        f"{_NFT_FAMILY[family]} daddr {address}"
                        f" {listener.protocol.lower()} dport {listener.port}"
                        f" {_translation(family, listener.backends[family])}"
                    )


def nft_ruleset(found: Iterable[Balancer]) -> str:
    """Return a script for ``nft -f`` that replaces the stand-in's own table in one transaction."""
    chains = {
        "balance": (
            "type nat hook prerouting priority dstnat; policy accept;",
            *_translations(found),
        ),
        # Layer 4 keeps the client's address, but for clients that the nodes would answer directly.
        "hairpin": (
            "type nat hook postrouting priority srcnat; policy accept;",
            *(
                f"ct status dnat {_NFT_FAMILY[family]} saddr {{ {_networks(family)} }} masquerade"
                for family in FAMILIES
            ),
        ),
        # Only what is sent from here passes "output": connections that are merely forwarded,
        # such as a client's to a node port, never get the mark.
        "depart": (
            "type filter hook output priority mangle; policy accept;",
            f"ct direction original fib saddr type != local ct mark set {MARK:#x}",
        ),
        "arrive": (
            "type filter hook prerouting priority mangle; policy accept;",
            f"ct direction reply ct mark {MARK:#x} meta mark set {MARK:#x}",
        ),
    }
    table = [line for name, rules in chains.items() for line in _block(f"chain {name}", rules)]
    # Declared first, so that deleting it can't fail.
    lines = [
        f"table inet {TABLE}",
        f"delete table inet {TABLE}",
        *_block(f"table inet {TABLE}", table),
    ]
    return "\n".join(lines) + "\n"


# --------------------------------------------------------------------------------------------
# Resolver and addresses


def hosts(found: Iterable[Balancer], switches: Mapping[str, SwitchValue] = DEFAULTS) -> str:
    """Return the resolver's lines, as in ``/etc/hosts``: each balancer's name and addresses."""
    if switches["names"] == "unknown":
        return ""
    return "".join(
        f"{address} {balancer.hostname}\n" for balancer in found for address in balancer.addresses
    )


def addresses(found: Iterable[Balancer]) -> set[str]:
    """Return every address that the balancers listen on."""
    return {address for balancer in found for address in balancer.addresses}


def own_addresses(present: Collection[str]) -> set[str]:
    """Return those of the addresses that only the stand-in can have put there."""
    every = {address for number in _NUMBERS for address in addresses_of(number)}
    return every & set(present)


# --------------------------------------------------------------------------------------------
# What is due on the objects


@dataclass(frozen=True)
class Patch:
    """A JSON merge patch that is due on an object or its status, and what to say once done."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    body: JsonObject
    status: bool
    message: str


@dataclass(frozen=True)
class Notice:
    """An event that is due. ``type`` is Normal or Warning."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    type: str
    message: str


def _metadata_patch(kind: Kind, item: JsonObject, change: JsonObject, message: str) -> Patch:
    metadata = item["metadata"]
    # The version makes it fail if anybody else changed the finalizers meanwhile.
    body = {"metadata": {"resourceVersion": metadata["resourceVersion"], **change}}
    return Patch(
        kind, metadata["namespace"], metadata["name"], metadata["uid"], body, False, message
    )


def _status(item: JsonObject) -> Sequence[JsonObject]:
    return ((item.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()


def _status_patch(
    kind: Kind, item: JsonObject, entries: Sequence[Mapping[str, str]], message: str
) -> Patch:
    metadata = item["metadata"]
    body = {"status": {"loadBalancer": {"ingress": list(entries) or None}}}
    return Patch(
        kind, metadata["namespace"], metadata["name"], metadata["uid"], body, True, message
    )


def adoptions(
    cluster: Cluster,
    numbers: Mapping[str, int],
    switches: Mapping[str, SwitchValue] = DEFAULTS,
) -> list[Patch]:
    """Return the patches that give objects which should have a balancer finalizer and id."""
    due = []
    for kind, item in cluster.subjects():
        uid = item["metadata"]["uid"]
        if not _wanted(kind, item) or uid not in numbers or not cluster.acts_on(kind):
            continue
        if kind.finalizer not in _finalizers(item) and refusals(kind, item, cluster, switches):
            continue
        identity = balancer_id(uid, numbers[uid])
        annotations = {kind.id_annotation: identity}
        if kind.ipv6_annotation:
            annotations[kind.ipv6_annotation] = addresses_of(numbers[uid])[-1]
        finalizers = _finalizers(item)
        adopted = kind.finalizer in finalizers
        asked = kind.direct_annotation in _annotations(item)
        # Whether an explicit "false" counts more is not documented; here it does.
        if not adopted and not asked and cluster.config.get(DIRECT_DEFAULT) == "true":
            annotations[kind.direct_annotation] = "true"
        if adopted and annotations.items() <= _annotations(item).items():
            continue
        change: dict[str, Any] = {"annotations": annotations}
        if not adopted:
            change["finalizers"] = [*finalizers, kind.finalizer]
        message = f"Load balancer {identity} created."
        due.append(_metadata_patch(kind, item, change, "" if adopted else message))
    return due


def publications(
    cluster: Cluster,
    found: Iterable[Balancer],
    switches: Mapping[str, SwitchValue],
    ages: Mapping[str, float],
) -> tuple[list[Patch], float | None]:
    """Return the status patches that are due, and in how many seconds the next one will be.

    ``ages`` tells since how many seconds each balancer is there, by uid. None: no other will be.
    """
    items = {item["metadata"]["uid"]: item for _kind, item in cluster.subjects()}
    delay = float(switches["address_delay"])
    due = []
    waits = []
    for balancer in found:
        if not cluster.acts_on(balancer.kind):
            continue
        item = items[balancer.uid]
        said = [
            {key: entry[key] for key in ("ip", "hostname") if key in entry}
            for entry in _status(item)
        ]
        if said == list(balancer.entries):
            continue
        if not said and balancer.faults and switches["error_address"] == "withhold":
            continue
        wait = 0.0 if said else delay - ages.get(balancer.uid, 0.0)
        if wait > 0:
            waits.append(wait)
            continue
        named = ", ".join(" ".join(entry.values()) for entry in balancer.entries)
        due.append(
            _status_patch(balancer.kind, item, balancer.entries, f"Address {named} assigned.")
        )
    return due, min(waits, default=None)


def releases(cluster: Cluster) -> list[Patch]:
    """Return the patches that let go of objects whose balancer is to be gone.

    To be sent only once it is gone. An object that stays first loses the address in its status,
    and in a later round, when the status is empty, annotations and finalizer.
    """
    due = []
    for kind, item in cluster.subjects():
        finalizers = _finalizers(item)
        if _wanted(kind, item) or kind.finalizer not in finalizers or not cluster.acts_on(kind):
            continue
        if _status(item) and not _deleting(item):
            due.append(_status_patch(kind, item, (), ""))
            continue
        finalizers.remove(kind.finalizer)
        change: dict[str, Any] = {"finalizers": finalizers}
        if not _deleting(item):
            written = {kind.id_annotation, kind.ipv6_annotation} & set(_annotations(item))
            change["annotations"] = dict.fromkeys(sorted(str(key) for key in written))
        message = f"Load balancer {_id_annotation(kind, item)} released."
        due.append(_metadata_patch(kind, item, change, message))
    return due


def warnings(
    cluster: Cluster,
    found: Iterable[Balancer],
    numbers: Mapping[str, int],
    switches: Mapping[str, SwitchValue] = DEFAULTS,
) -> list[Notice]:
    """Return the Warning events that describe what is wrong now."""
    faults = {balancer.uid: list(balancer.faults) for balancer in found}
    due = []
    for kind, item in cluster.subjects():
        metadata = item["metadata"]
        uid = metadata["uid"]
        if not cluster.acts_on(kind):
            continue
        said = faults.get(uid, [])
        if _wanted(kind, item):
            said += refusals(kind, item, cluster, switches)
            direct = _annotations(item).get(kind.direct_annotation) == "true"
            if kind is SERVICE and direct and not cluster.reaches_pods:
                said.append(Fault("E4033", "No backend supports direct access."))
            if uid not in numbers:
                __, codes = _ACCOUNT["quota"]
                message = f"The quota of {len(_NUMBERS)} load balancers is used up."
                said.append(Fault(codes[kind.name], message, retry=True))
        due += [
            Notice(kind, metadata["namespace"], metadata["name"], uid, "Warning", str(fault))
            for fault in said
        ]
    return due


#: The reason that TKE gives its events is not known; nothing may depend on this one.
EVENT_REASON: Final = "Sync"
EVENT_COMPONENT: Final = "load-balancer-stand-in"


def event_body(notice: Notice, now: str) -> dict[str, Any]:
    """Return the Event to create; ``now`` in RFC 3339. The same notice gets the same name."""
    digest = hashlib.sha256(
        "\0".join((notice.uid, notice.type, notice.message)).encode()
    ).hexdigest()[:16]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{notice.name}.{digest}", "namespace": notice.namespace},
        "involvedObject": {
            "apiVersion": notice.kind.api_version,
            "kind": notice.kind.name,
            "namespace": notice.namespace,
            "name": notice.name,
            "uid": notice.uid,
        },
        "type": notice.type,
        "reason": EVENT_REASON,
        "message": notice.message,
        "source": {"component": EVENT_COMPONENT},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
