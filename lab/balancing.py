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
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from lab import by_hand, settings, shell

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
    "readiness_gates": _choice(
        "whether new pods that a balancer reaches directly wait until its health check reaches"
        " them",
        "off",
        "on",
    ),
    "direct_default": _choice(
        "what EnableDefaultDirectAccess does with new objects that say no to direct access:"
        " it respects that, or overrides it",
        "respects",
        "overrides",
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
    "tls": _choice(
        "how an Ingress with certificates is served where no annotation says it: by HTTPS only,"
        " or by HTTP as well",
        "only",
        "both",
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
    #: Annotations that ask for a balancer that somebody made by hand, and for one in a subnet.
    existing_annotation: str
    subnet_annotation: str
    #: Further read-only annotation with the IPv6 address, where TKE documents one.
    ipv6_annotation: str | None
    finalizer: str


INGRESS: Final = Kind(
    "Ingress",
    "networking.k8s.io/v1",
    "kubernetes.io/ingress.qcloud-loadbalance-id",
    "ingress.cloud.tencent.com/direct-access",
    "kubernetes.io/ingress.existLbId",
    "kubernetes.io/ingress.subnetId",
    "ingress.cloud.tencent.com/loadbalance-ipv6",
    # Not documented; formed like the one that was seen on Services.
    "ingress.k8s.tencent/resources",
)
SERVICE: Final = Kind(
    "Service",
    "v1",
    "service.kubernetes.io/loadbalance-id",
    "service.cloud.tencent.com/direct-access",
    "service.kubernetes.io/tke-existed-lbid",
    "service.kubernetes.io/qcloud-loadbalancer-internal-subnetid",
    None,
    "service.k8s.tencent/resources",
)

#: Class that means TKE's own load balancer, and the older place where it may stand.
CLASS: Final = "qcloud"
CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"

#: Annotations that together ask for a redirect from HTTP to HTTPS; with which status; the ports
#: that HTTP and HTTPS have; and whether with certificates there is HTTP beside HTTPS.
REWRITE_ANNOTATIONS: Final = (
    "ingress.cloud.tencent.com/auto-rewrite",
    "ingress.cloud.tencent.com/rewrite-support",
)
REWRITE_CODE_ANNOTATION: Final = "ingress.cloud.tencent.com/auto-rewrite-code"
PORTS_ANNOTATION: Final = "ingress.cloud.tencent.com/listen-ports"
BOTH_ANNOTATION: Final = "kubernetes.io/ingress.rule-mix-both"
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
    # Those that wait at their readiness gate.
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]},
)


@dataclass(frozen=True)
class Cluster:
    """The objects that decide what the balancers do, each as the API server sends it.

    ``config`` is the data of TKE's own ConfigMap. ``secrets`` has, of those Secrets that
    ``certificates`` names, the certificate's id, empty where it has none; None: no such Secret.
    """

    ingresses: Sequence[JsonObject] = ()
    services: Sequence[JsonObject] = ()
    slices: Sequence[JsonObject] = ()
    nodes: Sequence[JsonObject] = ()
    config: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[tuple[str, str], str | None] = field(default_factory=dict)

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


def is_direct(kind: Kind, item: JsonObject) -> bool:
    """Tell whether an object has, or is to have, a balancer that reaches pods directly."""
    return _wanted(kind, item) and _annotations(item).get(kind.direct_annotation) == "true"


def service_names(ingress: JsonObject) -> set[str]:
    """Return the names of the Services of an Ingress's rules."""
    references = [reference for *_match, reference in _rules(ingress)]
    return {(reference.get("service") or {}).get("name", "") for reference in references}


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

#: A public balancer's second IPv4 address is its first plus this.
_SECOND: Final = 128
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_PATTERN: Final = re.compile(r"lb-[0-9a-z]{6}([0-9a-z]{2})")

#: Domain of the names of load balancers.
DOMAIN: Final = "clb.example"


_BY_HAND: Final = {one.number: identity for identity, one in by_hand.BALANCERS.items()}


def balancer_id(uid: str, number: int) -> str:
    """Return the id of the balancer of the object ``uid``: ``lb-`` and eight characters.

    The last two are the number: with the annotation read back, a controller that was started
    again gives the same addresses without a record of its own. One that was made by hand has its
    own id, whatever object uses it.
    """
    if number in _BY_HAND:
        return _BY_HAND[number]
    digest = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8], "big")
    characters = "".join(_DIGITS[digest // 36**place % 36] for place in range(6))
    return f"lb-{characters}{_DIGITS[number // 36]}{_DIGITS[number % 36]}"


def _number_of_id(kind: Kind, item: JsonObject) -> int | None:
    """Return the number that an object's id annotation carries, or none where it isn't its own.

    The annotation may have been copied together with the rest of a manifest.
    """
    text = _id_annotation(kind, item)
    if text in by_hand.BALANCERS:
        return by_hand.BALANCERS[text].number if kind.finalizer in _finalizers(item) else None
    found = _ID_PATTERN.fullmatch(text)
    number = int(found.group(1), 36) if found else 0
    uid = item["metadata"]["uid"]
    return number if number in by_hand.NUMBERS and balancer_id(uid, number) == text else None


def _number_of_status(item: JsonObject) -> int | None:
    """Return the number of the first address in the status, if it is one of ours."""
    for entry in _status(item):
        for number in by_hand.NUMBERS:
            if entry.get("ip") in addresses_of(number):
                return number
    return None


def _candidates(kind: Kind, item: JsonObject) -> Sequence[int]:
    """Return the numbers that an object's balancer may have, by what its annotations ask for."""
    annotations = _annotations(item)
    existing, subnet = (
        annotations.get(key) for key in (kind.existing_annotation, kind.subnet_annotation)
    )
    if existing:
        one = by_hand.BALANCERS.get(existing)
        return () if one is None or _unfit(kind, item, one) else (one.number,)
    if subnet:
        return by_hand.INTERNAL if by_hand.SUBNETS.get(subnet) else ()
    return by_hand.PUBLIC


def _unfit(kind: Kind, item: JsonObject, one: by_hand.Balancer) -> tuple[str, str] | None:
    """Return code and reason if an object can't use a balancer that was made by hand."""
    if one.taken:
        return {INGRESS.name: "E4020", SERVICE.name: "E4013"}[kind.name], "is used by others"
    if kind is INGRESS:
        return ("E4021", "has listeners already") if one.ports else None
    ports = {port["port"] for port in item["spec"].get("ports") or ()}
    return ("E4014", "has listeners on the Service's ports") if ports & one.ports else None


def allocate(cluster: Cluster, known: Mapping[str, int]) -> dict[str, int]:
    """Return the number of each object's balancer by the object's uid.

    A number once given stays until its object is gone, or out of scope and released: from public
    to internal, or to one made by hand, there is no way but a new object. ``known`` is
    the last result; what it lacks is read back from id annotation and status; objects new to all
    of them get the lowest free numbers of those that they may have, oldest object first. Where
    none is left an object is missing in the result.
    """
    holders = [
        (kind, item)
        for kind, item in cluster.subjects()
        if _wanted(kind, item) or kind.finalizer in _finalizers(item)
    ]
    numbers: dict[str, int] = {}

    def read_back(find: Callable[[Kind, JsonObject], int | None]) -> None:
        for kind, item in holders:
            uid = item["metadata"]["uid"]
            number = find(kind, item) if uid not in numbers else None
            if number is not None and number not in numbers.values():
                numbers[uid] = number

    def known_number(kind: Kind, item: JsonObject) -> int | None:
        number: int | None = known.get(item["metadata"]["uid"])
        kept = kind.finalizer in _finalizers(item) or number in _candidates(kind, item)
        return number if kept else None

    def free_number(kind: Kind, item: JsonObject) -> int | None:
        free = (number for number in _candidates(kind, item) if number not in numbers.values())
        return next(free, None)

    read_back(known_number)
    read_back(_number_of_id)
    read_back(
        lambda kind, item: _number_of_status(item) if kind.finalizer in _finalizers(item) else None
    )
    read_back(free_number)
    return numbers


def _id_annotation(kind: Kind, item: JsonObject) -> str:
    return _annotations(item).get(kind.id_annotation, "")


def addresses_of(number: int) -> tuple[str, ...]:
    """Return the addresses of the balancer ``number``: two of IPv4 or one in the VPC, one of IPv6.

    IPv4 comes first, IPv6 last.
    """
    if number >= by_hand.FIRST_INTERNAL:
        return str(settings.VPC.ipv4[number]), str(settings.VPC.ipv6[number])
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


def _existing_refusal(
    kind: Kind, item: JsonObject, identity: str, numbers: Mapping[str, int]
) -> Fault | None:
    """Return why an object can't use the balancer that it names."""

    def fault(for_ingress: str, for_service: str, why: str) -> Fault:
        code = for_ingress if kind is INGRESS else for_service
        return Fault(code, f"Load balancer {identity} {why}.")

    if not by_hand.BALANCER_ID.fullmatch(identity):
        # For Services no code of its own is documented.
        return fault("E4098", "E4011", "is no id of a load balancer")
    if identity in (balancer_id(uid, number) for uid, number in numbers.items()):
        if identity not in by_hand.BALANCERS:
            return fault("E4019", "E4012", "was made by TKE")
        if item["metadata"]["uid"] not in numbers:
            return fault("E4020", "E4013", "is used by another object")
    one = by_hand.BALANCERS.get(identity)
    if one is None:
        return fault("E4018", "E4011", "does not exist")
    unfit = _unfit(kind, item, one)
    return unfit and Fault(unfit[0], f"Load balancer {identity} {unfit[1]}.")


#: What the subnet of an annotation may lack, and the codes: whether it is known.
_SUBNET: Final[Mapping[bool, tuple[str, Mapping[str, str]]]] = {
    True: ("has no address left", {INGRESS.name: "E4053", SERVICE.name: "E4008"}),
    False: ("does not exist", {INGRESS.name: "E4055", SERVICE.name: "E4037"}),
}


def _new_refusals(
    kind: Kind,
    item: JsonObject,
    switches: Mapping[str, SwitchValue],
    numbers: Mapping[str, int],
) -> Iterator[Fault]:
    """Yield why an object that has no balancer so far gets none."""
    existing, subnet = (
        _annotations(item).get(key, "")
        for key in (kind.existing_annotation, kind.subnet_annotation)
    )
    state = _ACCOUNT.get(switches["new_balancers"])
    if existing:
        fault = _existing_refusal(kind, item, existing, numbers)
        if fault:
            yield fault
    elif state:
        message, codes = state
        yield Fault(codes[kind.name], message, retry=True)
    elif subnet and not by_hand.SUBNETS.get(subnet):
        why, codes = _SUBNET[subnet in by_hand.SUBNETS]
        yield Fault(codes[kind.name], f"Subnet {subnet} {why}.")
    elif item["metadata"]["uid"] not in numbers:
        message, codes = _ACCOUNT["quota"]
        yield Fault(codes[kind.name], message, retry=True)


def refusals(
    kind: Kind,
    item: JsonObject,
    cluster: Cluster,
    switches: Mapping[str, SwitchValue],
    numbers: Mapping[str, int],
) -> list[Fault]:
    """Return why an object gets no balancer; one that it has already stays as it is.

    With a certificate that can't be used nothing is made at all: one listener's error stops the
    whole.
    """
    found: list[Fault] = []
    if kind.finalizer not in _finalizers(item):
        found += _new_refusals(kind, item, switches, numbers)
    if kind is INGRESS:
        found += _front(item, cluster, switches, rewrites(Cluster([item]), ())).faults
    return found


class _Unusable(Exception):
    """A rule can't be configured; carries the fault."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(code, message)


def family_of(address: str) -> str:
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


def slices_of(service: JsonObject, slices: Iterable[JsonObject]) -> Iterator[JsonObject]:
    """Yield the EndpointSlices of a Service."""
    metadata = service["metadata"]
    for part in slices:
        labels = part["metadata"].get("labels") or {}
        if part["metadata"].get("namespace") != metadata.get("namespace"):
            continue
        if labels.get("kubernetes.io/service-name") == metadata["name"]:
            yield part


def _ready_endpoints(service: JsonObject, slices: Iterable[JsonObject]) -> Iterator[JsonObject]:
    """Yield each ready endpoint of a Service: ``family``, ``address``, ``node``, ``ports``."""
    for part in slices_of(service, slices):
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
        if address["type"] == "InternalIP" and family_of(address["address"]) == family
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

    ``domains`` maps host patterns, none for the balancer's own addresses and name, to locations;
    each is served on every port of ``front``. ``entries`` is what the object's status is to say.
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
    front: Front | None = None

    @property
    def id(self) -> str:
        """The id, ``lb-`` and eight characters."""
        return balancer_id(self.uid, self.number)

    @property
    def hostname(self) -> str:
        """The name under which the resolver knows all addresses."""
        return hostname_of(self.id)

    @property
    def addresses(self) -> tuple[str, ...]:
        """IPv4 first, IPv6 last; see ``addresses_of``."""
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


@dataclass(frozen=True)
class Front:
    """How layer 7 is reached: ``ports`` by scheme.

    ``certificates`` maps patterns of hosts, none for all others, to ids. ``redirect``: the status
    with which HTTP sends every request on to HTTPS.
    """

    ports: Mapping[str, tuple[int, ...]]
    certificates: Mapping[str | None, str]
    redirect: int | None
    faults: tuple[Fault, ...] = ()

    def certificate(self, host: str | None) -> str | None:
        """Return the id of the certificate for a host of a rule."""
        above = None if host is None else f"*.{host.partition('.')[2]}"
        found = (self.certificates.get(pattern) for pattern in (host, above, None))
        return next((one for one in found if one), None)


def _certificate_id(
    name: str, namespace: str, cluster: Cluster
) -> tuple[str | None, tuple[str, str] | None]:
    """Return the id of the certificate in a Secret, or the code and the reason why it has none."""
    if not name:
        return None, ("E4009", "A part of spec.tls names no Secret.")
    if (namespace, name) not in cluster.secrets:
        # One that couldn't be read says nothing.
        return None, None
    whole = f"{namespace}/{name}"
    identity = cluster.secrets[(namespace, name)]
    if identity is None:
        return None, ("E4010", f"Secret {whole} does not exist.")
    if not identity:
        return None, ("E4011", f"Secret {whole} has no {CERTIFICATE_KEY}.")
    if not by_hand.CERTIFICATE_ID.fullmatch(identity):
        # It may be a key: nothing of it is repeated.
        return None, ("E4035", f"What Secret {whole} has as {CERTIFICATE_KEY} is no id.")
    named = f"Certificate {identity} of Secret {whole}"
    if identity in by_hand.UNUSABLE:
        code, why = by_hand.UNUSABLE[identity]
        return None, (code, f"{named} {why}.")
    if identity not in by_hand.CERTIFICATES:
        return None, ("E4036", f"{named} does not exist.")
    return identity, None


def _certificates_of(
    ingress: JsonObject, cluster: Cluster
) -> tuple[dict[str | None, str], list[Fault]]:
    """Return the certificates that ``spec.tls`` asks for by host, and why some aren't there."""
    found: dict[str | None, str] = {}
    faults: dict[Fault, None] = {}
    for part in ingress["spec"].get("tls") or ():
        name = part.get("secretName") or ""
        identity, trouble = _certificate_id(name, ingress["metadata"]["namespace"], cluster)
        if trouble:
            faults[Fault(*trouble)] = None
        for host in (part.get("hosts") or (None,)) if identity else ():
            if host not in found:
                found[host] = str(identity)
            elif host is None:
                faults[Fault("E4048", "Two certificates are for all hosts.")] = None
            else:
                faults[Fault("E4049", f"Two certificates are for host {host}.")] = None
    return found, list(faults)


#: What ``listen-ports`` calls the schemes.
_SCHEMES: Final = {"HTTP": "http", "HTTPS": "https"}
_USUAL_PORTS: Final = {"http": 80, "https": 443}
#: Statuses of a redirect. Which one is taken where none is asked for isn't officially documented.
_REDIRECTS: Final = (302, 301, 307)
#: No code is documented for what can't be read in these annotations; this one is for parameters.
_UNREADABLE: Final = "E4024"


def _asked_ports(text: str) -> dict[str, tuple[int, ...]]:
    """Read ``listen-ports``: a JSON list of objects, each of one scheme and its port."""
    try:
        pairs = [pair for entry in json.loads(text) for pair in entry.items()]
        found = {
            scheme: tuple(port for word, port in pairs if _SCHEMES[word] == scheme)
            for scheme in _USUAL_PORTS
        }
    except (ValueError, TypeError, AttributeError, KeyError):
        raise _Unusable(_UNREADABLE, f"{PORTS_ANNOTATION} can't be read.") from None
    every = [port for ports in found.values() for port in ports]
    if not every or not all(map(_is_port, every)) or len(every) != len(set(every)):
        raise _Unusable(_UNREADABLE, f"{PORTS_ANNOTATION} has no ports, or ports twice.")
    return found


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536


def _redirect_code(text: str) -> int:
    """Read ``auto-rewrite-code``: a JSON object with the status."""
    try:
        code = json.loads(text)["defaultRewriteCode"]
        return _REDIRECTS[_REDIRECTS.index(code)]
    except (ValueError, TypeError, LookupError):
        raise _Unusable(
            _UNREADABLE,
            f"{REWRITE_CODE_ANNOTATION} names none of {', '.join(map(str, _REDIRECTS))}.",
        ) from None


def rewrites(cluster: Cluster, known: Collection[str]) -> set[str]:
    """Return the uids of Ingresses whose HTTP is to be redirected; ``known`` is the last result.

    It is switched off by ``"false"``; an annotation that is gone switches nothing.
    """

    def asked(ingress: JsonObject) -> bool:
        values = [_annotations(ingress).get(key) for key in REWRITE_ANNOTATIONS]
        before = ingress["metadata"]["uid"] in known
        return all(value == "true" or (before and value is None) for value in values)

    return {ingress["metadata"]["uid"] for ingress in cluster.ingresses if asked(ingress)}


def _front(
    ingress: JsonObject,
    cluster: Cluster,
    switches: Mapping[str, SwitchValue],
    rewritten: Collection[str],
) -> Front:
    """Return on which ports an Ingress is served, and with which certificates.

    With certificates it is HTTPS alone, unless annotations ask for HTTP as well.
    """
    annotations = _annotations(ingress)
    certificates, faults = _certificates_of(ingress, cluster)
    secure = bool(ingress["spec"].get("tls"))
    both = annotations.get(BOTH_ANNOTATION) == "true" or switches["tls"] == "both"
    usual = {"http": not secure or both, "https": secure}
    ports: Mapping[str, tuple[int, ...]] = {
        scheme: (port,) if usual[scheme] else () for scheme, port in _USUAL_PORTS.items()
    }
    code = None
    try:
        asked = annotations.get(PORTS_ANNOTATION)
        ports = _asked_ports(asked) if asked else ports
        # It needs both: the port of HTTP is made where there is none, that of HTTPS isn't.
        if ingress["metadata"]["uid"] in rewritten and ports["https"]:
            ports = {**ports, "http": ports["http"] or (_USUAL_PORTS["http"],)}
            text = annotations.get(REWRITE_CODE_ANNOTATION)
            code = _redirect_code(text) if text else _REDIRECTS[0]
    except _Unusable as error:
        faults.append(error.fault)
    front = Front(ports, certificates, code)
    if ports["https"] and not faults:
        hosts = dict.fromkeys(host for host, *_rest in _rules(ingress))
        faults += [
            Fault("E4040", f"Host {host or 'of the load balancer itself'} has no certificate.")
            for host in hosts
            if not front.certificate(host) and not _unread(ingress, cluster)
        ]
    return replace(front, faults=tuple(faults))


def _unread(ingress: JsonObject, cluster: Cluster) -> bool:
    """Tell whether the Secret of a certificate could not be read."""
    namespace = ingress["metadata"]["namespace"]
    return any((namespace, name) not in cluster.secrets for name in _wanted_certificates(ingress))


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
    first, *_second, ipv6 = addresses_of(number)
    addresses = tuple({"ip": first if family == IPV4 else ipv6} for family in families)
    name = {"hostname": hostname_of(balancer_id(item["metadata"]["uid"], number))}
    shapes: Mapping[SwitchValue, tuple[Mapping[str, str], ...]] = {
        "ip": addresses,
        "hostname": (name,),
        "both": tuple({**address, **name} for address in addresses),
    }
    return shapes[switches["address"]]


def balancers(
    cluster: Cluster,
    numbers: Mapping[str, int],
    switches: Mapping[str, SwitchValue],
    rewritten: Collection[str] = (),
) -> list[Balancer]:
    """Return the balancers that are to be there: of adopted objects that should have one.

    ``rewritten`` is what ``rewrites`` returned. An object that doesn't carry the finalizer yet has
    none, so that nothing can be left behind.
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
                _front(item, cluster, switches, rewritten) if kind is INGRESS else None,
            )
        )
    return found


# --------------------------------------------------------------------------------------------
# nft: layer 4, and the way back of connections in a client's name

TABLE: Final = "kestrel_clb"
#: Mark of connections that the balancer opened in a client's name, and the routing table that
#: delivers their answers here although they are addressed to the client.
MARK: Final = 0x51
ROUTING_TABLE: Final = 151

#: Clients whose packets the nodes answer directly, past the balancer: connections in their name
#: would never be completed. The balancer takes its own address for them, as a NAT gateway would.
INSIDE: Final = (
    settings.VPC.ipv4,
    settings.PODS_IPV4,
    settings.VIPS_IPV4,
    settings.VPC.ipv6,
    settings.PODS_IPV6,
    settings.VIPS_IPV6,
)
#: Clients in the VPC whose answers the nodes send through the balancer: see ``lab.network``.
RETURNING: Final = (settings.OPERATOR.ipv4("vpc"), settings.OPERATOR.ipv6("vpc"))

_NFT_FAMILY: Final = {IPV4: "ip", IPV6: "ip6"}


def braced(head: str, lines: Iterable[str]) -> list[str]:
    """Return the lines of a block, as nft and nginx have them."""
    return [head + " {", *("    " + line for line in lines), "}"]


def _hairpin(family: str) -> str:
    networks = [str(network) for network in INSIDE if family_of(str(network)) == family]
    returning = [address for address in RETURNING if family_of(address) == family]
    source = f"{_NFT_FAMILY[family]} saddr"
    return (
        f"ct status dnat {source} != {{ {', '.join(returning)} }}"
        f" {source} {{ {', '.join(networks)} }} masquerade"
    )


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
                family = family_of(address)
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
            *map(_hairpin, FAMILIES),
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
    table = [line for name, rules in chains.items() for line in braced(f"chain {name}", rules)]
    # Declared first, so that deleting it can't fail.
    lines = [
        f"table inet {TABLE}",
        f"delete table inet {TABLE}",
        *braced(f"table inet {TABLE}", table),
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
    """Return every address that there is to be: the balancers', and of those made by hand."""
    numbers = {*_BY_HAND, *(balancer.number for balancer in found)}
    return {address for number in numbers for address in addresses_of(number)}


def own_addresses(present: Collection[str]) -> set[str]:
    """Return those of the addresses that only the stand-in can have put there."""
    every = {address for number in by_hand.NUMBERS for address in addresses_of(number)}
    return every & set(present)


def device_of(address: str) -> str:
    """Return the interface that an address of a balancer belongs to.

    Public ones are routed here; for those in the VPC its neighbours ask.
    """
    return settings.VPC.name if is_internal(address) else "lo"


def is_internal(address: str) -> bool:
    """Tell whether an address is one in the VPC."""
    networks = (settings.VPC.ipv4, settings.VPC.ipv6)
    return any(ip_address(address) in network for network in networks)


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
        new = kind.finalizer not in _finalizers(item)
        if new and refusals(kind, item, cluster, switches, numbers):
            continue
        identity = balancer_id(uid, numbers[uid])
        annotations = {kind.id_annotation: identity}
        if kind.ipv6_annotation:
            annotations[kind.ipv6_annotation] = addresses_of(numbers[uid])[-1]
        finalizers = _finalizers(item)
        adopted = kind.finalizer in finalizers
        asked = kind.direct_annotation in _annotations(item)
        # Whether an explicit "false" counts more is not documented.
        asked &= switches["direct_default"] == "respects"
        if not adopted and not asked and cluster.config.get(DIRECT_DEFAULT) == "true":
            annotations[kind.direct_annotation] = "true"
        if adopted and annotations.items() <= _annotations(item).items():
            continue
        change: dict[str, Any] = {"annotations": annotations}
        if not adopted:
            change["finalizers"] = [*finalizers, kind.finalizer]
        message = (
            f"Load balancer {identity} {'used' if identity in by_hand.BALANCERS else 'created'}."
        )
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
            said += refusals(kind, item, cluster, switches, numbers)
            direct = _annotations(item).get(kind.direct_annotation) == "true"
            if kind is SERVICE and direct and not cluster.reaches_pods:
                said.append(Fault("E4033", "No backend supports direct access."))
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
