# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What can be asked of TKE's load balancer, as tables: what each variable may hold, by which
annotation an Ingress or a Service says it, and what excludes what.

See cloud.tencent.com, pages 457/56112 (annotations of Ingresses), 457/51258 (of Services) and
214/30692 (CreateLoadBalancer, whose parameters the extensive ones are).
"""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Sequence

from ansible_collections.kestrel.real_ip.plugins.module_utils._convert import (
    boolean,
    choice,
    dictionary,
    integer,
    list_of,
    matching,
    object_name,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import MANAGER, owns
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import (
    INGRESS,
    SCENARIOS,
    SERVICE,
    TKE_CLASS,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    annotations_of,
    class_of,
    told_in_json,
)

Object = t.Mapping[str, t.Any]

# --- What a variable may hold ---------------------------------------------------------------------


def _identifier(prefix: str) -> t.Callable[[t.Any], str]:
    pattern = re.compile(rf"{prefix}-[a-z0-9]{{8}}\Z")
    return matching(pattern, f"{prefix}- and eight lower-case letters or digits", len(prefix) + 9)


_CERTIFICATE = re.compile(r"[A-Za-z0-9]{8}\Z")
# One of a load balancer may not have more.
_SECURITY_GROUPS = 5
_security_group = _identifier("sg")


def _security_groups(value: t.Any) -> list[str]:
    found = list_of(_security_group)(value)
    if len(found) > _SECURITY_GROUPS:
        raise ValueError(f"expected at most {_SECURITY_GROUPS}, got {len(found)}")
    return found


def _parsed(value: t.Any, wanted: str) -> t.Any:
    """Text is JSON, as in the annotation itself; all else stays as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected {wanted}, also as JSON, got {value!r}: {error}") from None


def _parameters(value: t.Any) -> dict[str, t.Any]:
    found = {str(key): one for key, one in dictionary(_parsed(value, "a dictionary")).items()}
    if _VERSION in found:
        found[_VERSION] = _version(found[_VERSION])
    return found


_port = integer(1, 65535)
_protocol = choice("HTTP", "HTTPS")


def _listeners(value: t.Any) -> list[dict[str, int]]:
    entries = _parsed(value, "a list of a protocol with a port each")
    is_list = isinstance(entries, Sequence) and not isinstance(entries, str)
    pairs = [pair for one in entries for pair in dictionary(one).items()] if is_list else []
    if not pairs:
        raise ValueError("expected a list such as [{HTTP: 80}, {HTTPS: 443}]")
    found = [{_protocol(protocol): _port(port)} for protocol, port in pairs]
    ports = [port for one in found for port in one.values()]
    for port in ports:
        if ports.count(port) > 1:
            raise ValueError(f"the port {port} stands there twice")
    return found


# What the controller calls those that it makes itself
_RESERVED = ("-auto-ingress-config", "-auto-service-config")


def _config_name(value: t.Any) -> str:
    name = object_name(value)
    if name.endswith(_RESERVED):
        raise ValueError(f"expected a name that ends in neither {' nor '.join(_RESERVED)}")
    return name


_VERSION, _FULL_CHAIN = "AddressIPVersion", "IPv6FullChain"
_version = choice("IPV4", "IPV6", _FULL_CHAIN)

# --- The table ------------------------------------------------------------------------------------

#: By which an Ingress says on which ports its load balancer listens
LISTEN_PORTS = "ingress.cloud.tencent.com/listen-ports"
#: What TKE sets at layer 7 beside the Ingress (Tencent Cloud, document 457/45700).
CONFIG = "ingress.cloud.tencent.com/tke-service-config"
CONFIG_OF_SERVICE = "service.cloud.tencent.com/tke-service-config"
_REDIRECT = (
    "ingress.cloud.tencent.com/auto-rewrite",
    "ingress.cloud.tencent.com/rewrite-support",
)
_PARAMETERS = {
    INGRESS: ("kubernetes.io/ingress.extensiveParameters",),
    SERVICE: ("service.kubernetes.io/service.extensiveParameters",),
}
#: By which an object says which load balancer TKE made for it
MADE = {
    INGRESS: "kubernetes.io/ingress.qcloud-loadbalance-id",
    SERVICE: "service.kubernetes.io/loadbalance-id",
}


def _as_it_is(value: t.Any) -> t.Any:
    return value


def _word(value: bool) -> str:
    return "true" if value else "false"


class Row(t.NamedTuple):
    """One thing that can be asked for.

    ``keys``: the annotations that say it, by the kind that has the load balancer; a kind that
    isn't there can't ask for it. ``say``: the value as they hold it, what is no text as JSON, where
    those of one annotation are put together. ``codes``: TKE's errors for a bad value, by kind.
    ``made``: whether it is looked at only when a load balancer is made. ``off``: what turns it off
    again, since TKE may go on with it where the annotation just goes. ``generic``: whether every
    class takes it.
    """

    convert: t.Callable[[t.Any], t.Any]
    keys: t.Mapping[str, tuple[str, ...]]
    codes: t.Mapping[str, str] = {}
    say: t.Callable[[t.Any], t.Any] = _as_it_is
    made: bool = False
    off: str = ""
    generic: bool = False

    def checked(self, given: t.Any) -> t.Any:
        """The value for what was given. Raises ValueError, which names TKE's error."""
        try:
            return self.convert(given)
        except ValueError as error:
            raise ValueError(f"{error}{_named(self.codes)}") from None


def _named(codes: t.Mapping[str, str]) -> str:
    if not codes:
        return ""
    if SERVICE not in codes:
        return f" (TKE's error {codes[INGRESS]})"
    return f" (TKE's error {codes[INGRESS]} at an Ingress, {codes[SERVICE]} at a Service)"


ROWS: dict[str, Row] = {
    "subnet_id": Row(
        _identifier("subnet"),
        {
            INGRESS: ("kubernetes.io/ingress.subnetId",),
            SERVICE: ("service.kubernetes.io/qcloud-loadbalancer-internal-subnetid",),
        },
        {INGRESS: "E4055", SERVICE: "E4037"},
        made=True,
    ),
    "existing_lb_id": Row(
        _identifier("lb"),
        {
            INGRESS: ("kubernetes.io/ingress.existLbId",),
            SERVICE: ("service.kubernetes.io/tke-existed-lbid",),
        },
        {INGRESS: "E4098", SERVICE: "E4011"},
        made=True,
    ),
    "internet_charge_type": Row(
        choice("TRAFFIC_POSTPAID_BY_HOUR", "BANDWIDTH_POSTPAID_BY_HOUR"),
        {
            INGRESS: ("kubernetes.io/ingress.internetChargeType",),
            SERVICE: ("service.kubernetes.io/qcloud-loadbalancer-internet-charge-type",),
        },
        {INGRESS: "E4045", SERVICE: "E4005"},
        made=True,
    ),
    "internet_max_bandwidth_out": Row(
        integer(1, 2048),
        {
            INGRESS: ("kubernetes.io/ingress.internetMaxBandwidthOut",),
            SERVICE: ("service.kubernetes.io/qcloud-loadbalancer-internet-max-bandwidth-out",),
        },
        {INGRESS: "E4046", SERVICE: "E4005"},
        say=str,
        made=True,
    ),
    "extensive_parameters": Row(
        _parameters, _PARAMETERS, {INGRESS: "E4026", SERVICE: "E4005"}, made=True
    ),
    "address_ip_version": Row(
        _version,
        _PARAMETERS,
        {INGRESS: "E4032", SERVICE: "E4005"},
        say=lambda value: {_VERSION: value},
        made=True,
    ),
    "listen_ports": Row(_listeners, {INGRESS: (LISTEN_PORTS,)}, made=True),
    "qcloud_cert_id": Row(
        matching(_CERTIFICATE, "the id of a certificate, eight letters or digits", 8),
        {INGRESS: ()},
        {INGRESS: "E4035"},
    ),
    "tls_secret": Row(object_name, {INGRESS: ()}, {INGRESS: "E4010"}, generic=True),
    "redirect": Row(boolean, {INGRESS: _REDIRECT}, say=_word, off="false"),
    "security_groups": Row(
        _security_groups,
        {
            INGRESS: ("ingress.cloud.tencent.com/security-groups",),
            SERVICE: ("service.cloud.tencent.com/security-groups",),
        },
        say=",".join,
        off="[]",
    ),
    "pass_to_target": Row(
        boolean,
        {
            INGRESS: ("ingress.cloud.tencent.com/pass-to-target",),
            SERVICE: ("service.cloud.tencent.com/pass-to-target",),
        },
        say=_word,
        off="false",
    ),
    "tke_service_config": Row(
        _config_name,
        {INGRESS: (CONFIG,), SERVICE: (CONFIG_OF_SERVICE,)},
        {INGRESS: "E4051"},
    ),
}


def variable(name: str) -> str:
    """The variable of a row."""
    return f"real_ip_{name}"


def annotations_for(kind: str, values: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The annotations by which an object of this kind asks for ``values``, by the rows' names."""
    found: dict[str, t.Any] = {}
    for name, row in ROWS.items():
        value = values.get(name)
        for key in row.keys.get(kind, ()) if value is not None else ():
            said = row.say(value)
            found[key] = {**found.get(key, {}), **said} if isinstance(said, dict) else said
    return {
        key: said if isinstance(said, str) else json.dumps(said, separators=(",", ":"))
        for key, said in found.items()
    }


def front_of(kind: str, values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What of the object that has the load balancer says how that is made.

    ``values``: those of all variables by their names, converted.
    """
    asked = {name: values[variable(name)] for name in ROWS}
    given = values[f"real_ip_{kind.lower()}_annotations"]
    ingress_class, prefix = values["real_ip_ingress_class"], values["real_ip_name_prefix"]
    ours = annotations_for(kind, asked) if ingress_class == TKE_CLASS else {}
    return {
        "kind": kind,
        "metadata": {"name": f"{prefix}-{kind.lower()}", "annotations": {**ours, **given}},
        "spec": (
            {"ingressClassName": ingress_class}
            if kind == INGRESS
            else {"type": values["real_ip_service_type"]}
        ),
    }


# --- What excludes what ---------------------------------------------------------------------------


class _Pair(t.NamedTuple):
    """Two rows that exclude each other, and why; on ``kinds`` only."""

    first: str
    second: str
    why: str
    kinds: tuple[str, ...] = (INGRESS, SERVICE)


_EXISTS = "a load balancer that exists stays as it was made"
_NOT_PUBLIC = "an internal load balancer has no bandwidth of the internet"
_EXCLUSIVE = (
    _Pair("existing_lb_id", "subnet_id", _EXISTS),
    _Pair("existing_lb_id", "internet_charge_type", _EXISTS),
    _Pair("existing_lb_id", "internet_max_bandwidth_out", _EXISTS),
    _Pair("existing_lb_id", "extensive_parameters", _EXISTS),
    _Pair("existing_lb_id", "address_ip_version", _EXISTS),
    _Pair(
        *("existing_lb_id", "pass_to_target"),
        "on Services TKE sets it for load balancers that it made",
        (SERVICE,),
    ),
    _Pair("subnet_id", "internet_charge_type", _NOT_PUBLIC),
    _Pair("subnet_id", "internet_max_bandwidth_out", _NOT_PUBLIC),
    _Pair("qcloud_cert_id", "tls_secret", "both say which certificate there is"),
)
_TOGETHER = ("internet_charge_type", "internet_max_bandwidth_out")
#: A parameter among the extensive ones, and the rows that say the same
_SAID_TWICE = {_VERSION: ("address_ip_version",), "InternetAccessible": _TOGETHER}
_HTTP, _HTTPS = {"HTTP": 80}, {"HTTPS": 443}


class _Asked:
    """What is asked for: ``real_ip_*`` values, of which None is one that isn't set."""

    def __init__(self, kind: str, values: t.Mapping[str, t.Any]) -> None:
        self.kind = kind
        self.values = values
        self.names = [name for name in ROWS if self.value(name) is not None]

    def value(self, name: str) -> t.Any:
        return self.values.get(variable(name))

    @property
    def secured(self) -> bool:
        return bool(self.value("qcloud_cert_id") or self.value("tls_secret"))


def _misplaced(asked: _Asked) -> t.Iterator[str]:
    wanted, scenario = (asked.values[f"real_ip_{one}"] for one in ("ingress_class", "scenario"))
    for name in asked.names:
        if asked.kind not in ROWS[name].keys:
            yield (
                f"{variable(name)}: means nothing with real_ip_scenario: "
                f"{asked.values['real_ip_scenario']!r}, where a Service has the load balancer: "
                "leave it unset"
            )
        elif not SCENARIOS[scenario].tke and not ROWS[name].generic:
            yield (
                f"{variable(name)}: is for TKE's own load balancer, and real_ip_scenario: "
                f"{scenario!r} is for anybody's: leave it unset, or name a scenario of TKE"
            )
        elif wanted != TKE_CLASS and not ROWS[name].generic:
            yield (
                f"{variable(name)}: is for TKE's own load balancer, and real_ip_ingress_class: "
                f"{wanted!r} is another's: leave it unset"
            )


def _excluded(asked: _Asked) -> t.Iterator[str]:
    for pair in _EXCLUSIVE:
        if {pair.first, pair.second} <= {*asked.names} and asked.kind in pair.kinds:
            yield (
                f"{variable(pair.second)}: goes not together with {variable(pair.first)}, since "
                f"{pair.why}: leave one of them unset"
            )
    lone = [name for name in _TOGETHER if name in asked.names]
    secret = certificate_name(asked.values.get("real_ip_name_prefix", ""))
    if asked.value("tls_secret") == secret:
        yield (
            f"real_ip_tls_secret: {secret} is what real_ip_qcloud_cert_id makes: set that instead, "
            "or give it another name"
        )
    if len(lone) == 1:
        (other,) = (name for name in _TOGETHER if name not in lone)
        yield f"{variable(lone[0])}: goes together with {variable(other)}: set both"
    for parameter, names in _SAID_TWICE.items():
        for name in names:
            if name in asked.names and parameter in (asked.value("extensive_parameters") or {}):
                yield (
                    f"{variable(name)}: stands in real_ip_extensive_parameters too, as "
                    f"{parameter}: keep one of them"
                )


def _unsecured(asked: _Asked) -> t.Iterator[str]:
    listeners = asked.value("listen_ports")
    certificate = "real_ip_qcloud_cert_id or real_ip_tls_secret"
    spoken = {protocol for one in listeners or () for protocol in one}
    if "HTTPS" in spoken and not asked.secured:
        yield f"real_ip_listen_ports: HTTPS needs a certificate: set {certificate}"
    if listeners and asked.secured and "HTTPS" not in spoken:
        yield (
            "real_ip_listen_ports: there is a certificate and no port for HTTPS: add one such as "
            "{HTTPS: 443}, or leave the certificate unset"
        )
    if not asked.value("redirect"):
        return
    if not asked.secured:
        yield (
            "real_ip_redirect: sends requests on to HTTPS, which needs a certificate (TKE's error "
            f"E4068): set {certificate}"
        )
    elif listeners and not (_HTTP in listeners and _HTTPS in listeners):
        yield (
            "real_ip_redirect: TKE sends requests on from HTTP on port 80 to HTTPS on port 443 "
            "only: have both in real_ip_listen_ports, or leave that unset"
        )


def _of_ipv6(asked: _Asked) -> t.Iterator[str]:
    parameters = asked.value("extensive_parameters") or {}
    version = asked.value("address_ip_version") or parameters.get(_VERSION)
    if version in (None, "IPV4"):
        return
    if asked.kind == INGRESS and not asked.values["real_ip_host"]:
        yield (
            f"real_ip_host: {_VERSION} {version} needs one: a rule without a host is for an IPv4 "
            "address (TKE's error E4034)"
        )
    if version == _FULL_CHAIN and not asked.values["real_ip_direct_access"]:
        yield (
            f"real_ip_direct_access: {_VERSION} {version} sends to pods only: set "
            "real_ip_direct_access: true"
        )


def _contradicted(asked: _Asked) -> t.Iterator[str]:
    place = f"real_ip_{asked.kind.lower()}_annotations"
    given = asked.values.get(place) or {}
    for name in asked.names:
        for key, said in annotations_for(asked.kind, {name: asked.value(name)}).items():
            if not same(given.get(key, said), said):
                yield f"{variable(name)}: contradicts {key} in {place}: keep one of them"


_RULES = (_misplaced, _excluded, _unsecured, _of_ipv6, _contradicted)


def conflicts(kind: str, values: t.Mapping[str, t.Any]) -> list[str]:
    """Everything that can't be asked for together, a sentence each.

    ``values``: those of all variables by their names, converted; ``kind``: what has the balancer.
    """
    asked = _Asked(kind, values)
    return [text for rule in _RULES for text in rule(asked)]


# --- What can't be changed any more ---------------------------------------------------------------


def same(one: str | None, other: str | None) -> bool:
    """Do two annotations say the same? Those with JSON may be written in many ways."""
    if one == other or one is None or other is None:
        return one == other
    try:
        return bool(json.loads(one) == json.loads(other))
    except (ValueError, RecursionError):
        return False


def taken_as(ingress: Object) -> str:
    """The class as which an Ingress was taken. TKE takes those without one too, and says so."""
    return class_of(ingress) or (TKE_CLASS if annotations_of(ingress).get(MADE[INGRESS]) else "")


def _has(kind: str, found: Object) -> bool:
    """Has an object of this class or type a load balancer of TKE's?"""
    spec = found.get("spec") or {}
    if kind == SERVICE:
        return bool(spec.get("type") == "LoadBalancer")
    return bool(spec.get("ingressClassName", TKE_CLASS) == TKE_CLASS)


def unchangeable(before: Object, wanted: Object) -> str:
    """Why ``wanted`` can't be made of an Ingress or a Service as it is; empty where it can.

    Of ``wanted``, kind and name, the annotations, and the class or type are looked at. An
    annotation of ``before`` that somebody else wrote stays, and is no change.
    """
    kind = wanted.get("kind", "")
    now = before.get("metadata", {}).get("annotations") or {}
    if not (now.get(MADE.get(kind, "")) and all(_has(kind, one) for one in (before, wanted))):
        return ""
    then = wanted["metadata"].get("annotations") or {}
    made, off = [], []
    for key, names in _variables(kind).items():
        old, new = now.get(key), then.get(key)
        if same(old, new) or (new is None and not _is_by_us(before, key)):
            continue
        row, shown = ROWS[names[0]], " or ".join(map(variable, names))
        if row.made:
            made.append(f"{key} ({shown}), expected {_shown(old)}, seen {_shown(new)}")
        elif row.off and new is None and old not in ("", row.off):
            off.append(
                f"{key} ({shown}) is turned off by a value, expected one, seen none in place of "
                f"{_shown(old)}, with which TKE may go on. Next: set {shown}: {row.off}"
            )
    name = f"{kind} {wanted['metadata']['name']}"
    if made:
        return (
            f"{name} has its load balancer, and these annotations count only when TKE makes one: "
            f"{'; '.join(made)}. Next: ansible-playbook kestrel.real_ip.teardown, then this again, "
            "for another load balancer with another address"
        )
    return f"{name}: {'; '.join(off)}" if off else ""


def _variables(kind: str) -> dict[str, list[str]]:
    """The rows that each annotation of a kind can come from."""
    found: dict[str, list[str]] = {}
    for name, row in ROWS.items():
        for key in row.keys.get(kind, ()):
            found.setdefault(key, []).append(name)
    return found


def _is_by_us(found: Object, key: str) -> bool:
    """Is an annotation one that this collection wrote, so that it goes where it isn't wanted?"""
    return any(
        one.get("manager") == MANAGER and owns(one, "metadata", "annotations", key)
        for one in found["metadata"].get("managedFields") or ()
    )


def _shown(value: str | None) -> str:
    return "none" if value is None else repr(value)


def certificate_name(name_prefix: str) -> str:
    """The name of the Secret that holds a certificate's id."""
    return f"{name_prefix}-certificate"


# --- Where a load balancer listens ----------------------------------------------------------------


def listen_ports(ingress: Object) -> list[tuple[str, int]]:
    """Scheme and port of each listener that an Ingress asks for by annotation, in its order.

    Empty where it doesn't, or where what it says can't be read: then TKE has the usual ones.
    """
    text = annotations_of(ingress).get(LISTEN_PORTS)
    try:
        listeners = _listeners(text) if text else []
    except ValueError:
        return []
    return scheme_ports(listeners)


def scheme_ports(listeners: t.Iterable[t.Mapping[str, int]]) -> list[tuple[str, int]]:
    """Scheme and port of each entry as the annotation and its variable have them."""
    return [(protocol.lower(), port) for one in listeners for protocol, port in one.items()]


#: By which others say so: a list of the form of TKE's, or one number, that tells no scheme
_LISTENED = (
    LISTEN_PORTS,
    "alb.ingress.kubernetes.io/listen-ports",
    "kubernetes.io/elb.listen-ports",
    "kubernetes.io/elb.port",
    "appgw.ingress.kubernetes.io/override-frontend-port",
)
#: Ports of a network load balancer before AWS', each with that of a listener: "8088=80,8443=443"
_MAPPED = "alb.ingress.kubernetes.io/frontend-nlb-listener-port-mapping"


#: By which the listener of a Service of TKE's speaks HTTP, for the hosts in it alone
_PROTOCOLS = "service.cloud.tencent.com/specify-protocol"


def told_protocols(service: Object) -> list[t.Mapping[str, t.Any]]:
    """What a Service of TKE's tells of the protocol of each port, as far as it can be read."""
    found = told_in_json(annotations_of(service).get(_PROTOCOLS))
    every = found.values() if isinstance(found, dict) else ()
    return [one for one in every if isinstance(one, dict)]


def speaks_http(service: Object) -> bool:
    """Whether the load balancer of a Service of TKE's is told to at any port."""
    listed = (one.get("protocol") for one in told_protocols(service))
    return any({"HTTP", "HTTPS"} & {*map(str, one)} for one in listed if isinstance(one, list))


def told_hosts(service: Object) -> list[str]:
    """The hosts that the load balancer of a Service of TKE's knows, none where it knows any."""
    told = [one.get("hosts") for one in told_protocols(service)]
    return [host for hosts in told if isinstance(hosts, dict) for host in hosts]


def certified_hosts(ingress: Object) -> list[str]:
    """The hosts that an Ingress has certificates for, which need not be those of its rules: what
    stands in front can name another host in TLS.
    """
    return [
        host for one in ingress.get("spec", {}).get("tls") or [] for host in one.get("hosts") or []
    ]


def told_ports(ingress: Object) -> list[tuple[str, int]]:
    """Scheme and port of each listener that any known annotation names, the scheme empty where it
    tells none. What can't be read is passed over: others have protocols that TKE hasn't.
    """
    annotations = annotations_of(ingress)
    mapped = [one.partition("=")[0].strip() for one in annotations.get(_MAPPED, "").split(",")]
    texts = [*map(annotations.get, _LISTENED), *filter(str.isdecimal, mapped)]
    return [one for text in texts for one in _told(text)]


def _told(text: str | None) -> t.Iterator[tuple[str, int]]:
    found = told_in_json(text)
    entries = found if isinstance(found, list) else [{"": found}] if found else []
    for protocol, port in (
        pair for one in entries if isinstance(one, dict) for pair in one.items()
    ):
        try:
            yield (_protocol(protocol).lower() if protocol else "", _port(port))
        except ValueError:
            continue
