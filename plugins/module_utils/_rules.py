# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Which rule of an Ingress takes a request, and which other Ingress may: pure functions."""

from __future__ import annotations

import json
import posixpath
import re
import string
import typing as t
from itertools import chain
from urllib.parse import quote, unquote, urlsplit

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import spelled
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import TKE_CLASS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    annotations_of,
    class_of,
    is_false,
    is_true,
    told_in_json,
)

Object = t.Mapping[str, t.Any]


#: What a path begins with that a controller takes for a pattern: who asks there meets the same rule
_LITERAL = re.compile(r"/[\w/.~-]*", re.ASCII)
#: How far a pattern is none: what stands before one of the last three may be there or not
_NO_PATTERN = re.compile(r"[^.*+?()\[\]{}|^$\\]*(?![*?{])")
#: What begins so is a pattern to Kong, which stands behind the mark
_PATTERN_MARK = "/~"
#: Where Kong is told that it is another mark
_OTHER_MARK = "konghq.com/regex-prefix"
#: Annotations, whatever stands before the slash, with which each path is a pattern
_PATTERNED = ("path-regex", "rewrite-target", "use-regex")
#: How annotations begin, whatever stands before the slash, that make rules depend on more than host
#: and path: nginx's and Alibaba's, Kong's, Higress', HAProxy's, Huawei's, Skipper's, BFE's, APISIX'
_CONDITIONAL = (
    *("canary", "headers.", "methods", "snis", "match-"),
    *("exact-match-", "prefix-match-", "regex-match-"),
    *("http-header-match", "route-acl", "elb.conditions.", "elb.canary"),
    *("skipper-predicate", "router.header", "router.cookie"),
    *("http-allow-methods", "http-block-methods"),
)
#: Those of them that are switches, which can be off
_SWITCHES = ("canary", "elb.canary")
#: Types of paths that are none, of Ingresses and of HTTPRoutes
_WHOLE = ("Exact", "Prefix", "PathPrefix")
#: What can be asked for as it stands, and that nobody takes for a pattern
_PLAIN = re.compile(r"/[^*?()\[\]{}|^\\\x00- #\x7f-\U0010ffff]*")
#: As far as a pattern is none; to nginx a dot at an end is no part of a path
_UP_TO_PATTERN = re.compile(r"/([^.*+?()\[\]{}|^$\\\x00- #\x7f-\U0010ffff]|\.(?![*+?{]))*")
#: Ends of a pattern that need nothing more than what stands before them
_NEEDS_NOTHING = re.compile(r"(\(/\|\$\)|\([^()]*\)[?*]|\(\.\*\)|\.\*|\(\)|[*?+$])*")


def entries_to(service: Object | None, rules: t.Iterable[Object]) -> t.Iterator[Object]:
    """Each path of the rules that leads to the Service."""
    name = (service or {}).get("metadata", {}).get("name")
    for rule in rules:
        for entry in (rule.get("http") or {}).get("paths") or []:
            if name and service_name(entry.get("backend")) == name:
                yield entry


class Begun(t.NamedTuple):
    """What can be asked for of a rule's path, and whether the rule takes that."""

    path: str
    is_taken: bool


def begun(path: str, kind: str, is_patterned: bool = False) -> Begun:
    """Of a rule's path, of this pathType, whole or as far as it is no pattern. ``is_patterned``:
    whether the controller was told that each is one.
    """
    own = path[len(_PATTERN_MARK) :] if path.startswith(f"{_PATTERN_MARK}/") else path
    plain = kind in _WHOLE and not is_patterned and own == path
    if plain and _PLAIN.fullmatch(path):
        return Begun(path, True)
    literal = _UP_TO_PATTERN.match(own)
    if literal is None:
        return Begun("/", False)
    return Begun(literal[0], not plain and bool(_NEEDS_NOTHING.fullmatch(own[literal.end() :])))


def is_patterned(ingress: Object) -> bool:
    """Whether each path is a pattern."""
    return any(key.rpartition("/")[2] in _PATTERNED for key in annotations_of(ingress))


def paths_to(service: Object | None, ingress: Object) -> list[str]:
    """Of the rules' paths that lead to a Service what can be asked for, each once."""
    every, rules = is_patterned(ingress), rules_of(ingress)
    found = (
        begun(path_of(one), one.get("pathType", ""), every) for one in entries_to(service, rules)
    )
    return [*dict.fromkeys(one.path for one in found)]


def path_of(entry: Object) -> str:
    return str(entry.get("path") or "/")


def backends(ingress: Object, host: str, path: str, scheme: str = "") -> list[str]:
    """Names of the Services that an Ingress sends a request to, sorted, as Kubernetes and its
    annotations have it; more than one where two rules are equally near.

    The host alone goes before a wildcard, before a rule without one; then the longest path wins.
    """
    found = [
        ((_nearness(wanted, host), len(entry.get("path") or "/")), entry)
        for wanted, entry in _entries(_of_scheme(ingress, scheme), host)
        if _is_for(ingress, entry, path)
    ]
    most = max((place for place, _entry in found), default=None)
    near = [service_name(entry.get("backend")) for place, entry in found if place == most]
    return _named(ingress, near or _default(ingress))


def every_backend(ingress: Object, host: str, path: str, scheme: str = "") -> list[str]:
    """Names of the Services that an Ingress may send a request to, whoever its controller is,
    sorted; an empty one where it may have no rule for it.

    How near a rule is counts for nothing here. One goes by the host first and one by the longest
    rule, a third one goes through a list; a path ends at a slash, anywhere or is a pattern, and
    annotations and settings of the controller change all of that.
    """
    asked = _of_scheme(ingress, scheme)
    found = _may_get(asked, host, path)
    if not _has_sure_rule(asked, host, path):
        found += _default(ingress) or ([""] if found else [])
    return _named(ingress, found)


def _default(ingress: Object) -> list[str]:
    """The Service that gets what no rule is for, if any."""
    name = service_name(ingress.get("spec", {}).get("defaultBackend"))
    return [name] if name else []


#: Where TKE is told that some rules are for HTTP, and some for HTTPS, and of each which
_MIXED = "kubernetes.io/ingress.rule-mix"
_MIXED_RULES = "kubernetes.io/ingress.{}-rules"


def _of_scheme(ingress: Object, scheme: str) -> Object:
    """An Ingress with the rules alone that are for a scheme, where it says so of each."""
    annotations = annotations_of(ingress)
    if not scheme or annotations.get(_MIXED) != "true":
        return ingress
    listed = {
        one: _places(annotations.get(_MIXED_RULES.format(one), "")) for one in ("http", "https")
    }

    def is_for_it(host: str, entry: Object) -> bool:
        place = host, str(entry.get("path") or "/")
        # What is in neither list is for HTTPS.
        return place in listed[scheme] or (scheme == "https" and place not in listed["http"])

    rules = []
    for rule in ingress.get("spec", {}).get("rules") or []:
        paths = (rule.get("http") or {}).get("paths") or []
        kept = [entry for entry in paths if is_for_it(_host(rule), entry)]
        rules.append({**rule, "http": {"paths": kept}})
    return {**ingress, "spec": {**ingress["spec"], "rules": rules}}


def _places(text: str) -> set[tuple[str, str]]:
    """Host and path of each rule in such a list."""
    found = told_in_json(text)
    rules = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return {(str(one.get("host") or ""), str(one.get("path") or "/")) for one in rules}


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
    those that have a rule for the host and path as well, or a default backend. Which one the
    controller prefers, as the one for the very host, is not asked: see :func:`every_backend`.

    One that was just made takes requests before its status has an address.
    """
    own, metadata = spelled(addresses(front)), front.get("metadata", {})
    led_to = {*backends(front, host, path)}
    found = []
    for one in ingresses:
        other = one["metadata"]
        alike = other["namespace"] == metadata.get("namespace")
        if alike and other["name"] == metadata.get("name"):
            continue
        if not (own & spelled(addresses(one)) or _is_new_beside(one, front)):
            continue
        names = _named(one, [*_may_get(one, host, path), *_default(one)])
        if {*names} - led_to if alike else names:
            found.append(f"{other['namespace']}/{other['name']}")
    return sorted(found)


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
    classes = {class_of(one), class_of(front)}
    return "" in classes or len(classes) == 1


def _nearness(wanted: str, host: str) -> int:
    """How near the host of a rule is, -1 where it is for others. To nginx a ``*.`` stands for more
    labels than one.
    """
    # What a pattern takes isn't asked: it may take this one.
    if _is_pattern(wanted) or (wanted.startswith("*.") and host.endswith(wanted[1:])):
        return 1
    return 0 if not wanted else 2 if wanted == host else -1


def _is_pattern(host: str) -> bool:
    """Whether it is a name for several hosts, which only an annotation can have: nginx's, or with
    a wildcard anywhere Azure's.
    """
    return host.startswith(("~", ".")) or not {*host[1:]}.isdisjoint("*?")


#: Annotations that give all rules of an Ingress further hosts, separated by commas, whatever stands
#: before the slash
_ALIASES = ("host-aliases", "hostname-extension", "server-alias")
#: One that gives them a pattern of hosts
_ALIAS_PATTERN = "server-alias-regex"
#: Those that give a rule more hosts or paths: of AWS and of Alibaba, in JSON
_CONDITIONS = "alb.ingress.kubernetes.io/conditions."
_TEXTS = re.compile(r'"((?:\\.|[^"\\])*)"')


def _hosts_of(text: str) -> list[str]:
    """Those of conditions that are about hosts; all where that can't be told."""
    told = _conditions(text)
    return [text] if told is None else [json.dumps(one) for one in told if _is_of_host(one)]


def _conditions(text: str) -> list[Object] | None:
    found = told_in_json(text)
    listed = isinstance(found, list) and all(isinstance(one, dict) for one in found)
    return found if listed else None


def _is_of_host(condition: Object) -> bool:
    return str(condition.get("field")) == _OF_HOST


#: What such a condition is about, AWS' name and Alibaba's
_OF_HOST = "host-header"


def _is_condition(name: str, text: str) -> bool:
    return name.startswith(_CONDITIONAL) and not (name in _SWITCHES and is_false(text))


def is_conditional(ingress: Object) -> bool:
    """Whether its rules may take only requests with something else in them than host and path."""
    return any(
        not all(map(_is_of_host, _conditions(text) or [{}]))
        if key.startswith(_CONDITIONS)
        else _is_condition(key.rpartition("/")[2], text)
        for key, text in annotations_of(ingress).items()
    )


def _aliases(ingress: Object) -> list[str]:
    """Further hosts of all rules, patterns among them."""
    annotations = annotations_of(ingress)
    found: list[str] = []
    for key, text in annotations.items():
        name = key.rpartition("/")[2]
        if name in _ALIASES:
            found += text.split(",")
        elif name == _ALIAS_PATTERN:
            found.append(f"~{text}")
        elif key.startswith(_CONDITIONS):
            # What has a dot there can be a host, and what is none takes nothing.
            texts = chain.from_iterable(map(_TEXTS.findall, _hosts_of(text)))
            hosts = (one for one in texts if "." in one and one[0] != "/")
            found += (f"~{one}" if "?" in one or "*" in one[1:] else one for one in hosts)
    return [one.strip() for one in found if one.strip()]


def rules_of(front: Object) -> list[Object]:
    """The rules of what is in front, and one for what no rule is for, if that leads anywhere."""
    spec = front.get("spec", {})
    default = spec.get("defaultBackend")
    paths = [{"path": "/", "pathType": "Prefix", "backend": default}] if default else []
    return [*(spec.get("rules") or []), *([{"http": {"paths": paths}}] if paths else [])]


def rules_for(front: Object, host: str, path: str) -> list[Object]:
    """Those of :func:`rules_of` that may be for requests of a host, empty for any, and a path, each
    with the nearest of its paths alone.
    """
    found: list[Object] = []
    for rule in rules_of(front):
        paths = (rule.get("http") or {}).get("paths") or []
        taking = [one for one in paths if under(path, path_of(one), one.get("pathType", ""))]
        nearest = sorted(taking, key=lambda one: -len(path_of(one)))[:1]
        if not host or covers(_host(rule), host):
            found.append({**rule, "http": {"paths": nearest}})
    return found


def every_rule(
    ingress: Object, first: Object | None = None
) -> t.Iterator[tuple[str, list[Object]]]:
    """Host and paths of each rule; those that lead to the Service ``first`` come first."""
    aliases = _aliases(ingress)

    def is_other(rule: Object) -> bool:
        return not any(entries_to(first, [rule]))

    for rule in sorted(ingress.get("spec", {}).get("rules") or [], key=is_other):
        paths = (rule.get("http") or {}).get("paths") or []
        yield from ((host, paths) for host in (_host(rule), *aliases))


#: With which what is asked with TLS goes to a backend as it is, whatever stands before the slash
_PASSED_THROUGH = "ssl-passthrough"


def _is_passed_through(ingress: Object) -> bool:
    """Whether TLS is passed on: of the path nobody knows then, and who does so does it before all
    else.
    """
    annotations = annotations_of(ingress)
    return any(
        key.endswith(f"/{_PASSED_THROUGH}") and is_true(text) for key, text in annotations.items()
    )


#: In which namespace Apache APISIX looks for an Ingress' Services, where it isn't its own
_OF_SERVICES = "k8s.apisix.apache.org/svc-namespace"


def _named(ingress: Object, names: t.Iterable[str]) -> list[str]:
    """Names of Services, after their namespace where it isn't that of the Ingress."""
    own = ingress.get("metadata", {}).get("namespace")
    space = annotations_of(ingress).get(_OF_SERVICES) or ""
    before = f"{space}/" if space and space != own else ""
    return sorted({f"{before}{name}" for name in names})


def _by_host(ingress: Object, host: str) -> dict[str, list[Object]]:
    """Each host of rules that may be for one, with all of their paths."""
    found: dict[str, list[Object]] = {}
    for wanted, paths in every_rule(ingress):
        if _nearness(wanted, host) >= 0:
            found.setdefault(wanted, []).extend(paths)
    return found


def _entries(ingress: Object, host: str) -> t.Iterator[tuple[str, Object]]:
    """Each path that may be for a host, after the host of its rule."""
    for wanted, paths in _by_host(ingress, host).items():
        yield from ((wanted, entry) for entry in paths)


def _is_for(ingress: Object, entry: Object, path: str) -> bool:
    """Whether a path of an Ingress is for a request, as Kubernetes and its annotations have it."""
    annotations = annotations_of(ingress)
    own = entry.get("path") or "/"
    marks = {_PATTERN_MARK, annotations.get(_OTHER_MARK) or _PATTERN_MARK}
    patterns = [own[len(mark) :] for mark in marks if own.startswith(f"{mark}/")]
    if is_patterned(ingress):
        patterns.append(own)
    fits = under(path, own, entry.get("pathType", ""))
    return fits or any(under(path, one, "") for one in patterns) or _is_passed_through(ingress)


def _may_get(ingress: Object, host: str, path: str) -> list[str]:
    """Services of the rules that may be for a request to some controller: those whose path, as far
    as it is no pattern, is the beginning of the text that is asked for.
    """
    # A condition can add a path to that of a rule.
    any_path = any(key.startswith(_CONDITIONS) for key in annotations_of(ingress))
    return [
        service_name(entry.get("backend"))
        for _host, entry in _entries(ingress, host)
        if any_path or _is_for(ingress, entry, path) or under(path, entry.get("path") or "/", "")
    ]


#: Types of paths of which Kubernetes says what they are for
_TOLD = ("Exact", "Prefix")


def _has_sure_rule(ingress: Object, host: str, path: str) -> bool:
    """Whether one of its rules takes a request whoever the controller is.

    Who goes by the host first looks among the rules of the nearest one alone, so that each host
    that may be the request's must have such a rule.
    """

    def is_sure(entry: Object) -> bool:
        own, kind = entry.get("path") or "/", entry.get("pathType")
        # To Traefik a Prefix is the beginning of a text, to others it ends at a slash.
        told = kind in _TOLD and under(path, own, kind) and asked.startswith(own)
        return told or own == asked

    asked = path.partition("?")[0]
    found = _by_host(ingress, host)
    return bool(found) and all(
        covers(wanted, host) and any(map(is_sure, paths)) for wanted, paths in found.items()
    )


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
        return f"{path}/".startswith(prefix.rstrip("/") + "/")
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


#: Annotations that are understood here, by patterns of their keys
MODELLED = (
    *(f"*/{name}" for name in (*_ALIASES, _ALIAS_PATTERN, *_PATTERNED, _PASSED_THROUGH)),
    f"{_CONDITIONS}*",
    "alb.ingress.kubernetes.io/actions.*",
    _OTHER_MARK,
    _OF_SERVICES,
)


def is_port(port: Object, wanted: Object) -> bool:
    """Whether a port of a Service is that of a rule's backend, by its number or its name."""
    return wanted in ({"number": port["port"]}, {"name": port.get("name")})


def service_name(backend: Object | None) -> str:
    """The Service of a backend, empty where it isn't one: with such a port the name is that of an
    annotation, which says to whom requests go (AWS, Alibaba).
    """
    service = (backend or {}).get("service") or {}
    by_annotation = (service.get("port") or {}).get("name") == "use-annotation"
    return "" if by_annotation else str(service.get("name", ""))
