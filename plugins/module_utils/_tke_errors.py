# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The error codes of TKE's load balancer controllers, and where event messages mention them.

Ingresses and Services have a list each, and the same number means different things in the two:
E4009 is a TLS entry that names no Secret, or an account in arrears. See cloud.tencent.com, pages
457/81004 (common errors of Service and Ingress) and 457/90598 (how an event writes them).

A fix stands here where it is documented, or where the cause is a mistake in a field that is known
by name. Nothing is guessed for what lies outside the cluster: quotas, roles, bills.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from ansible_collections.kestrel.real_ip.plugins.module_utils._language import phrase


class TkeError(NamedTuple):
    """One row. ``title`` is a phrase, ``cause`` a sentence.

    ``fix`` is a template of str.format for ``namespace``, ``kind`` and ``name`` of the object; no
    other text here is one. It is empty where no fix is known, and so is ``fix_kind`` then.
    ``fix_kind`` says by what it is mended: ``command`` and ``variable`` (of this collection) can be
    typed as they stand, ``console`` is for a person, who has to know or to decide something.
    """

    kind: str
    code: str
    title: str
    cause: str
    fix: str = ""
    fix_kind: str = ""


class Mention(NamedTuple):
    """A code in a text. ``retry`` is None where the text doesn't say whether it is tried again."""

    code: str
    message: str
    retry: bool | None


# --- The table ------------------------------------------------------------------------------------

_INGRESS, _SERVICE = "Ingress", "Service"
_CONSOLE, _COMMAND, _VARIABLE = "console", "command", "variable"

_FOR_INGRESS = "in real_ip_ingress_annotations"
_EDIT = "kubectl -n {namespace} edit ingress {name}"
_TLS = (
    "Set real_ip_qcloud_cert_id to the certificate's id, or let each entry of spec.tls name an "
    "Opaque Secret of the same namespace whose key "
    f"qcloud_cert_id holds the certificate's id, not its PEM text: {_EDIT}"
)
_SERVICES = (
    "Compare the names and ports of Services in the Ingress with those that there are: "
    "kubectl -n {namespace} get services"
)
_CONFIGS = (
    "Compare the name in the annotation tke-service-config with those that there are: "
    "kubectl -n {namespace} get tkeserviceconfigs.cloud.tencent.com"
)
_EXISTING = "Set real_ip_existing_lb_id to the id of a load balancer that"
_SUBNET = "Set real_ip_subnet_id to the id of a subnet that exists"
_JSON_RULES = (
    f"{_FOR_INGRESS} as a JSON list of rules, each with host, path and backend (serviceName and "
    "servicePort)"
)
_INTERNAL = (
    "an error inside the cloud",
    "One of the cloud's own services, of which the controller makes use, failed.",
)
_CONTROLLER = ("an error inside the controller", "TKE's Ingress controller itself failed.")
_TKE_CONFIG = (
    "the cluster's tke-config is missing",
    "The ConfigMap tke-config in kube-system, from which the controller takes its region and "
    "network, is missing or incomplete.",
)

_TABLE = (
    # --- Ingress ----------------------------------------------------------------------------------
    TkeError(
        _INGRESS,
        "E4000",
        "too many calls of the cloud's API",
        "The cloud limits how often its API may be called; the controller tries again by itself.",
    ),
    TkeError(
        _INGRESS,
        "E4003",
        "the quota of load balancers is used up",
        "The account may not have any more load balancers.",
    ),
    TkeError(
        _INGRESS,
        "E4004",
        "the quota of listeners is used up",
        "The load balancer may not have any more listeners.",
    ),
    TkeError(
        _INGRESS,
        "E4005",
        "the quota of rules is used up",
        "The load balancer may not have any more forwarding rules.",
    ),
    TkeError(
        _INGRESS,
        "E4006",
        "a listener has a redirection",
        "A listener can't be deleted while a redirection is set on it.",
    ),
    TkeError(
        _INGRESS,
        "E4007",
        "the controller gets no credentials",
        "The service that gives the controller its credentials (Norm) refuses it, mostly because "
        "ip-masq-agent was set so that requests no longer come from a node's address.",
    ),
    TkeError(
        _INGRESS,
        "E4008",
        "the role TKE_QCSRole is missing",
        "The account's role TKE_QCSRole, with which TKE acts, is missing or was revoked.",
    ),
    TkeError(
        _INGRESS,
        "E4009",
        "no Secret is named for TLS",
        "An entry of spec.tls has no secretName, or an empty one.",
        _TLS,
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4010",
        "the Secret for TLS doesn't exist",
        "A Secret that spec.tls names doesn't exist.",
        _TLS,
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4011",
        "the Secret has no certificate id",
        "A Secret that spec.tls names lacks the key qcloud_cert_id.",
        _TLS,
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4012",
        "the certificate is refused",
        "The load balancer didn't take the certificate that the Secret's qcloud_cert_id names.",
        _TLS,
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4013",
        "a rule without http",
        "A rule of the Ingress has nothing under http.",
        f"Give each rule its paths under http: {_EDIT}",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4017",
        "the load balancer's tags were changed",
        "The tags by which the controller finds its load balancer were changed by somebody else.",
    ),
    TkeError(
        _INGRESS,
        "E4018",
        "the existing load balancer isn't there",
        "The load balancer that kubernetes.io/ingress.existLbId names doesn't exist.",
        f"{_EXISTING} was made by hand in the CLB console",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4019",
        "the existing load balancer was made by TKE",
        "The load balancer that kubernetes.io/ingress.existLbId names was made by TKE for another "
        "object.",
        f"{_EXISTING} was made by hand in the CLB console",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4020",
        "the existing load balancer is used by another Ingress",
        "Another Ingress uses the load balancer that kubernetes.io/ingress.existLbId names.",
        f"{_EXISTING} no other Ingress uses",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4021",
        "the existing load balancer has listeners",
        "The load balancer that kubernetes.io/ingress.existLbId names has listeners already.",
        f"{_EXISTING} has no listeners",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4022",
        "the annotation http-rules can't be read",
        "kubernetes.io/ingress.http-rules is no JSON of the right form.",
        f"Write kubernetes.io/ingress.http-rules {_JSON_RULES}",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4023",
        "the annotation https-rules can't be read",
        "kubernetes.io/ingress.https-rules is no JSON of the right form.",
        f"Write kubernetes.io/ingress.https-rules {_JSON_RULES}",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4024",
        "a parameter for the load balancer is refused",
        "The load balancer can't be created with what the Ingress's annotations ask for.",
    ),
    TkeError(
        _INGRESS,
        "E4025",
        "resources for the load balancer are short",
        "The cloud lacks the resources to create the load balancer.",
    ),
    TkeError(
        _INGRESS,
        "E4026",
        "the annotation extensiveParameters can't be read",
        "kubernetes.io/ingress.extensiveParameters is no JSON.",
        "Set real_ip_extensive_parameters to CreateLoadBalancer's parameters",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4027",
        "the account is in arrears",
        "The account's balance doesn't suffice for a load balancer.",
    ),
    TkeError(
        _INGRESS,
        "E4030",
        "the existing load balancer is a classic one",
        "A classic load balancer can't have the layer-7 rules of an Ingress.",
        f"{_EXISTING} isn't a classic one",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4031",
        "a path is refused",
        "A path of the Ingress has a form that the load balancer doesn't take, such as a regular "
        "expression.",
        "Set real_ip_path to a plain path that starts with a slash",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4032",
        "the load balancer's IP version is wrong",
        "The load balancer's AddressIPVersion doesn't fit the cluster's network.",
        "Set real_ip_address_ip_version to a version that fits the cluster's network",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4033",
        "the load balancer's IP version isn't supported",
        "Load balancers with this AddressIPVersion aren't offered in the cluster's region.",
    ),
    TkeError(
        _INGRESS,
        "E4034",
        "a rule without host on IPv6",
        "A rule has no host, and an IPv6 load balancer doesn't put its address there as one with "
        "IPv4 does.",
        "Set real_ip_host",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4035",
        "the certificate id has a wrong form",
        "The Secret's qcloud_cert_id doesn't have the form of a certificate's id.",
        _TLS,
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4036",
        "the certificate doesn't exist",
        "There is no certificate with the id in the Secret's qcloud_cert_id.",
        _TLS,
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4037",
        "direct-access is neither true nor false",
        "ingress.cloud.tencent.com/direct-access is neither true nor false.",
        "Set real_ip_direct_access to true or false",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4038",
        "the certificate is of a wrong type",
        "The certificate with the id in qcloud_cert_id isn't of the type that a listener needs.",
    ),
    TkeError(
        _INGRESS,
        "E4039",
        "the certificate has expired",
        "The certificate with the id in qcloud_cert_id has expired.",
    ),
    TkeError(
        _INGRESS,
        "E4040",
        "a host without certificate",
        "No entry of spec.tls has a certificate for one of the hosts.",
        f"Give each host an entry of spec.tls: {_EDIT}",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4041",
        "the Service doesn't exist",
        "The Ingress names a Service that isn't in its namespace: misspelt, or the wrong one.",
        _SERVICES,
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4042",
        "the Service doesn't have this port",
        "The Ingress names a port that its Service doesn't have.",
        _SERVICES,
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4043",
        "the TkeServiceConfig doesn't exist",
        "The TkeServiceConfig that the Ingress names isn't in its namespace.",
        _CONFIGS,
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4044",
        "the annotation rule-mix is wrong",
        "kubernetes.io/ingress.rule-mix has a value that the controller doesn't take.",
        f'Set kubernetes.io/ingress.rule-mix {_FOR_INGRESS} to "true"',
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4045",
        "the annotation internetChargeType is wrong",
        "kubernetes.io/ingress.internetChargeType has a value that the cloud doesn't know.",
        "Set real_ip_internet_charge_type to TRAFFIC_POSTPAID_BY_HOUR or "
        "BANDWIDTH_POSTPAID_BY_HOUR",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4046",
        "the annotation internetMaxBandwidthOut is wrong",
        "kubernetes.io/ingress.internetMaxBandwidthOut is no number that the cloud takes.",
        "Set real_ip_internet_max_bandwidth_out to a number of Mbps from 1 to 2048",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4047",
        "the Service is of type ClusterIP",
        "Without direct access the load balancer sends to node ports, and a Service of type "
        "ClusterIP has none.",
        "real_ip_service_type=NodePort",
        _VARIABLE,
    ),
    TkeError(
        _INGRESS,
        "E4048",
        "two default certificates",
        "More than one entry of spec.tls is the default certificate.",
        f"Leave one default certificate in spec.tls: {_EDIT}",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4049",
        "two certificates for one host",
        "More than one entry of spec.tls has a certificate for the same host.",
        f"Leave one certificate for each host in spec.tls: {_EDIT}",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4050",
        "the annotation tke-service-config-auto is wrong",
        "ingress.cloud.tencent.com/tke-service-config-auto has a value that the controller "
        "doesn't take.",
        f'Set ingress.cloud.tencent.com/tke-service-config-auto {_FOR_INGRESS} to "true"',
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4051",
        "the name of the TkeServiceConfig is reserved",
        "ingress.cloud.tencent.com/tke-service-config names one that ends as those do which the "
        "controller makes itself.",
        "Set real_ip_tke_service_config to a name that ends in neither -auto-ingress-config nor "
        "-auto-service-config",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4052",
        "the host is refused",
        "A host of the Ingress has a form that TKE doesn't take.",
        "Set real_ip_host to a name in lower case with a dot",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4053",
        "the subnet has no free address",
        "All addresses of the load balancer's subnet are in use.",
    ),
    TkeError(
        _INGRESS,
        "E4054",
        "the quota of backends is used up",
        "The load balancer may not have any more backends; 200 is the usual limit.",
    ),
    TkeError(
        _INGRESS,
        "E4055",
        "the subnet doesn't exist",
        "The subnet for the load balancer doesn't exist.",
        _SUBNET,
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4060",
        "the account isn't admitted to SNAT Pro",
        "Direct access to pods of a GlobalRouter network needs SNAT Pro, to which this account "
        "isn't admitted.",
    ),
    TkeError(
        _INGRESS,
        "E4066",
        "a resource definition can't be set up",
        "The controller couldn't set up one of its CustomResourceDefinitions.",
    ),
    TkeError(
        _INGRESS,
        "E4068",
        "redirections contradict each other",
        "The redirections that the Ingress asks for contradict each other or others.",
    ),
    TkeError(
        _INGRESS,
        "E4071",
        "trouble with the Cloud Connect Network",
        "The Cloud Connect Network (CCN) isn't as the controller needs it.",
    ),
    TkeError(
        _INGRESS,
        "E4074",
        "a node is in arrears",
        "A node that should become a backend is in arrears.",
    ),
    TkeError(
        _INGRESS,
        "E4081",
        "https-rules contradict each other",
        "What kubernetes.io/ingress.https-rules asks for contradicts itself or other rules.",
    ),
    TkeError(
        _INGRESS,
        "E4082",
        "direct access to a Service without selector",
        "Direct access isn't possible for a Service that has no selector.",
        "kubectl -n {namespace} annotate ingress {name} "
        "ingress.cloud.tencent.com/direct-access=false --overwrite",
        _COMMAND,
    ),
    TkeError(
        _INGRESS,
        "E4084",
        "SNAT Pro with cross-region binding 1.0",
        "SNAT Pro can't be used together with cross-region binding 1.0.",
    ),
    TkeError(
        _INGRESS,
        "E4091",
        "the subnet doesn't exist",
        "The subnet for the load balancer doesn't exist.",
        _SUBNET,
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4098",
        "the load balancer's id has a wrong form",
        "The id that the Ingress gives for its load balancer doesn't have the form of one.",
        f"{_EXISTING} exists; it begins with lb-",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "E4101",
        "ports 80 and 443 are in conflict",
        "What the Ingress asks for on the ports 80 and 443 is in conflict.",
    ),
    # The seven of them are documented as one range.
    TkeError(_INGRESS, "E5003", *_INTERNAL),
    TkeError(_INGRESS, "E5004", *_INTERNAL),
    TkeError(_INGRESS, "E5005", *_INTERNAL),
    TkeError(_INGRESS, "E5006", *_INTERNAL),
    TkeError(_INGRESS, "E5007", *_INTERNAL),
    TkeError(_INGRESS, "E5008", *_INTERNAL),
    TkeError(_INGRESS, "E5009", *_INTERNAL),
    TkeError(_INGRESS, "E6001", *_TKE_CONFIG),
    TkeError(_INGRESS, "E6002", *_TKE_CONFIG),
    TkeError(
        _INGRESS,
        "E6006",
        "the cloud's API doesn't answer the controller",
        "The controller couldn't resolve the names of the cloud's API, or got no answer in time.",
    ),
    TkeError(_INGRESS, "E6007", *_CONTROLLER),
    TkeError(_INGRESS, "E6009", *_CONTROLLER),
    TkeError(
        _INGRESS,
        "W1000",
        "the Service doesn't exist",
        "The controller doesn't know the Service that the Ingress names.",
        _SERVICES,
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "W1001",
        "the load balancer was left",
        "The Ingress was deleted, its load balancer was not.",
        "Delete the load balancer by hand in the CLB console, if nothing else uses it",
        _CONSOLE,
    ),
    TkeError(
        _INGRESS,
        "W1002",
        "a listener was left",
        "The Ingress was deleted, a listener of its load balancer was not.",
        "Delete the listener by hand in the CLB console, if nothing else uses it",
        _CONSOLE,
    ),
    # --- Service ----------------------------------------------------------------------------------
    TkeError(
        _SERVICE,
        "E4001",
        "the role of TKE lacks authorization",
        "The account's role TKE_QCSRole, with which TKE acts, is missing or lacks authorization.",
    ),
    TkeError(
        _SERVICE,
        "E4004",
        "the quota of load balancers is used up",
        "The account may not have any more load balancers.",
    ),
    TkeError(
        _SERVICE,
        "E4005",
        "a parameter for the load balancer is refused",
        "The load balancer can't be created with what the Service's annotations ask for.",
    ),
    TkeError(
        _SERVICE,
        "E4008",
        "the subnet has no free address",
        "All addresses of the load balancer's subnet are in use.",
    ),
    TkeError(
        _SERVICE,
        "E4009",
        "the account is in arrears",
        "The account's balance doesn't suffice for a load balancer.",
    ),
    TkeError(
        _SERVICE,
        "E4011",
        "the existing load balancer isn't there",
        "The load balancer that service.kubernetes.io/tke-existed-lbid names doesn't exist.",
        f"{_EXISTING} exists",
        _CONSOLE,
    ),
    TkeError(
        _SERVICE,
        "E4012",
        "the existing load balancer was made by TKE",
        "The load balancer that service.kubernetes.io/tke-existed-lbid names was made by TKE for "
        "another object.",
        f"{_EXISTING} TKE didn't make",
        _CONSOLE,
    ),
    TkeError(
        _SERVICE,
        "E4013",
        "the existing load balancer is used by another cluster",
        "Another cluster uses the load balancer that service.kubernetes.io/tke-existed-lbid names.",
        f"{_EXISTING} no other cluster uses",
        _CONSOLE,
    ),
    TkeError(
        _SERVICE,
        "E4014",
        "a port of the load balancer is taken",
        "A port of the Service is in conflict with another listener of the load balancer.",
        "Set real_ip_service_port to a port that no other listener of the load balancer has",
        _CONSOLE,
    ),
    TkeError(
        _SERVICE,
        "E4016",
        "sharing of load balancers isn't enabled",
        "The Service asks to share a load balancer, and reuse of one isn't enabled.",
    ),
    TkeError(
        _SERVICE,
        "E4026",
        "the TkeServiceConfig doesn't exist",
        "The TkeServiceConfig that the Service names isn't in its namespace.",
        _CONFIGS,
        _CONSOLE,
    ),
    TkeError(
        _SERVICE,
        "E4033",
        "direct access, but no backend supports it",
        "Direct access is switched on, but no pod of the Service has a network interface (ENI) "
        "of its own.",
        "kubectl -n {namespace} annotate service {name} "
        "service.cloud.tencent.com/direct-access=false --overwrite",
        _COMMAND,
    ),
    TkeError(
        _SERVICE,
        "E4036",
        "two bindings with the same addresses and ports",
        "A binding of the load balancer has the same four-tuple of addresses and ports as another.",
    ),
    TkeError(
        _SERVICE,
        "E4037",
        "trouble with the subnet",
        "The subnet for the load balancer isn't as the controller needs it.",
    ),
    TkeError(
        _SERVICE,
        "E4062",
        "trouble with the certificate",
        "The certificate for a listener isn't as the controller needs it.",
    ),
    TkeError(
        _SERVICE,
        "E4075",
        "trouble with the region",
        "The region that the Service asks for isn't as the controller needs it.",
    ),
)

ERRORS: Mapping[tuple[str, str], TkeError] = {(row.kind, row.code): row for row in _TABLE}


def look_up(kind: str, mention: Mention) -> TkeError:
    """The row for a code at an object of this kind.

    A code that has none comes back as it was mentioned, its cause being the controller's words.
    They are as untrusted as the event, and may be of any length.
    """
    row = ERRORS.get((kind, mention.code))
    if row is not None:
        return row
    said = mention.message or phrase("The event doesn't say what this code means.")
    return TkeError(kind, mention.code, f"TKE error {mention.code}", said)


# --- Finding codes --------------------------------------------------------------------------------

# Every pattern takes time linear in the text: a repetition is never followed by what it could have
# eaten itself, and mentions() goes on where the last match ended.

# Part of another word is no code, nor of a resource's name, an escape (%E4) or a code point
# (U+E000). "E1127 06:10:11" is no code either: klog begins its lines with severity and date.
_CODE = r"(?<![0-9A-Za-z_%+-])[EW][0-9]{4}(?!-?[0-9A-Za-z_])(?! [0-9]{2}:[0-9]{2}:)"
# How Go prints the controllers' error type. No word boundary in front: what was cut off may run on.
_OPENING = rf'(?:Ingress|Service)ErrorCode\s*\{{\s*Code\s*:\s*"?(?P<typed>{_CODE})"?'
_HEADER = re.compile(_OPENING, re.ASCII)
_ANY = re.compile(rf"{_OPENING}|(?P<plain>{_CODE})", re.ASCII)
_MESSAGE = re.compile(r"\s*,\s*Message\s*:\s*")
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"(?=\s*(?:[,}]|\Z))', re.DOTALL)
_RETRY = re.compile(r"\s*,\s*Retry\s*:\s*(true|false)(?![0-9A-Za-z_])")
_RETRY_LATER = re.compile(r",\s*Retry\s*:\s*(true|false)(?![0-9A-Za-z_])")
_BRACE = re.compile(r"[{}]")
# What stands between a code and its message in plain text
_BETWEEN = re.compile(r"""[\s:;,.：；，。'")\]}–—-]*(?:Details:)?\s*""")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[0]), text)


def _bare(text: str) -> str:
    """A message whose quotes are missing, or are no pair."""
    if not text.startswith('"'):
        return text
    if text.endswith('"') and not text.endswith('\\"'):
        text = text[:-1]
    return _unescape(text[1:])


def _closing(text: str, start: int, end: int) -> int:
    """Where the brace closes that was opened before ``start``; ``end`` if it doesn't."""
    depth = 1
    for brace in _BRACE.finditer(text, start, end):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return brace.start()
    return end


def _typed(text: str, code: str, start: int) -> tuple[Mention, int]:
    """The mention whose code ends at ``start``, and where the text goes on behind it."""
    begin = _MESSAGE.match(text, start)
    message, place = "", start
    if begin is not None:
        place = begin.end()
        quoted = _QUOTED.match(text, place)
        if quoted is not None:
            message, place = _unescape(quoted[1]), quoted.end()
        else:
            # Without quotes, or cut off: it ends before what can't be part of it.
            following = _HEADER.search(text, place)
            end = following.start() if following is not None else len(text)
            later = _RETRY_LATER.search(text, place, end)
            end = later.start() if later is not None else _closing(text, place, end)
            message, place = _bare(text[place:end].strip()), end
    retry = _RETRY.match(text, place)
    return Mention(code, message, None if retry is None else retry[1] == "true"), place


def mentions(text: str) -> tuple[Mention, ...]:
    """The codes that the message of an event mentions, in its order and each mention once.

    Two forms are known: ``IngressErrorCode{Code:"E4009",Message:"…",Retry:false}``, with or without
    quotes and cut off anywhere, and plain text: ``ErrorCode: E4009 Details: …``, ``E4009: …``. What
    a plain code is followed by is its message, as far as the next code. A code within a message of
    the first form is part of that message.

    Any text is allowed. An event's reason is none: its strings are not documented.
    """
    found: dict[Mention, None] = {}
    match = _ANY.search(text)
    while match is not None:
        if match["typed"]:
            mention, place = _typed(text, match["typed"], match.end())
            match = _ANY.search(text, place)
        else:
            start = match.end()
            code = match["plain"]
            match = _ANY.search(text, start)
            end = match.start() if match is not None else len(text)
            between = _BETWEEN.match(text, start, end)
            if between is not None:
                start = between.end()
            mention = Mention(code, text[start:end].strip(), None)
        found[mention] = None
    return tuple(found)
