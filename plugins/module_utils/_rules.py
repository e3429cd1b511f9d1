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
from functools import partial
from itertools import starmap
from urllib.parse import quote, unquote, urlsplit

from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import TKE_CLASS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    annotations_of,
    class_of,
)

Object = t.Mapping[str, t.Any]


#: What a path begins with that a controller takes for a pattern: who asks there meets the same rule
_LITERAL = re.compile(r"/[\w/.~-]*", re.ASCII)
#: How far a pattern is none: what stands before one of the last three may be there or not
_NO_PATTERN = re.compile(r"[^.*+?()\[\]{}|^$\\]*(?![*?{])")


def entries_to(service: Object | None, rules: t.Iterable[Object]) -> t.Iterator[Object]:
    """Each path of the rules that leads to the Service."""
    name = (service or {}).get("metadata", {}).get("name")
    for rule in rules:
        for entry in (rule.get("http") or {}).get("paths") or []:
            if name and service_name(entry.get("backend")) == name:
                yield entry


def paths_to(service: Object | None, rules: t.Iterable[Object]) -> list[str]:
    told = (str(entry.get("path") or "/") for entry in entries_to(service, rules))
    found = [_LITERAL.match(re.sub(f"^{_PATTERN_MARK}(?=/)", "", one)) for one in told]
    return [*dict.fromkeys(match[0] for match in found if match)]


def backends(ingress: Object, host: str, path: str, scheme: str = "") -> list[str]:
    """Names of the Services that an Ingress sends a request to, sorted; more than one where two
    rules are equally near.

    The host alone goes before a wildcard, before a rule without one; then the longest path wins.
    """
    return _nearest(_of_scheme(ingress, scheme), host, path, _habits(ingress)[0]).names


def every_backend(ingress: Object, host: str, path: str, scheme: str = "") -> list[str]:
    """Names of the Services that an Ingress may send a request to, whoever its controller is,
    sorted; an empty one where a controller may find no rule for it, while another one does.
    """
    asked = _of_scheme(ingress, scheme)
    found = [_nearest(asked, host, path, each).names for each in _habits(ingress)]
    return sorted({name for names in found for name in names or [""]}) if any(found) else []


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
    try:
        found = json.loads(text)
    except ValueError:
        return set()
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
    own, other = (_nearest(each, host, path, habits) for each in (front, one))
    if not other.names or (alike and other.names == own.names):
        return False
    # What no path of a nearer host is for, goes to a default backend.
    nearer = max(other.most, (-1 if habits.by_length else _host_nearness(one, host), 0))
    return nearer >= own.least or (habits.by_number and other.most > _DEFAULT)


class _Habits(t.NamedTuple):
    """How the controller of an Ingress chooses, where it isn't as usual.

    ``by_length``: the longest rule wins, whatever its host, written as one of _WRITTEN;
    ``in_words``: a path of the type ``Prefix`` ends where a slash may stand, and isn't the
    beginning of a text; ``by_number``: how near one is doesn't tell, since its user says which goes
    first, or that it is for some requests only; ``in_order``: the first one of the list wins;
    ``patterns``: each path is one, whatever its type; ``patterns_first``: and goes before those of
    others; ``as_text``: one that may be anything (``ImplementationSpecific``) is the beginning of a
    text; ``deep``: a ``*.`` stands for more labels than one.
    """

    by_length: str = ""
    in_words: bool = True
    by_number: bool = False
    in_order: bool = False
    patterns: bool = False
    patterns_first: bool = False
    as_text: bool = False
    deep: bool = False


#: Annotations, whatever stands before the slash: several controllers know the same ones, and some
#: can be told to read them under another name.
_NUMBERED = (
    *("elb.ingress-order", "elb.rule-priority-enabled", "group.order", "order", "path-type-order"),
    *("regex-priority", "router.priority", "rule-priority"),
)
#: With these it depends on more than host and path whether a rule takes a request, and Kong takes
#: of two the one that asks for more.
_CONDITIONAL = re.compile(
    r"methods|protocols|snis|headers\..*|elb\.conditions\..*|router\.(entrypoints|tls)(\..*)?"
)
_PATTERNED = ("path-regex", "rewrite-target", "use-regex")
#: Of these nginx looks at the patterns before it looks at any other path.
_PATTERNS_FIRST = ("path-regex",)
#: What begins so is a pattern to Kong, which stands behind the mark, and goes before other paths.
_PATTERN_MARK = "/~"
#: Where Kong is told that it is another mark
_OTHER_MARK = "konghq.com/regex-prefix"
#: Whose load balancer goes through a list, in the order of the objects' names and then of their
#: rules (AWS, Alibaba): what stands in the names of its classes, and before the slash of what is
#: said to it.
_IN_ORDER, _TO_THEM = "alb", "alb.ingress.kubernetes.io/"
#: What stands in the names of classes of which the controller takes such a path for the beginning
#: of a text. To others it is the whole one (AWS, Google, Azure, Istio), or a pattern (Cilium).
_AS_TEXT = (
    *("contour", "haproxy", "higress", "kong", "mse", "nginx", "traefik"),
    TKE_CLASS,
)
#: Unless they are told otherwise (HAProxy's, Traefik)
_TYPED = ("path-type", "router.pathmatcher")
#: Likewise to which a ``*.`` stands for several labels
_DEEP = ("kong", "nginx", TKE_CLASS)
#: What stands in the names of classes of which the controller lets a path of the type ``Prefix``
#: end at a slash, as Kubernetes has it. To others, as F5's nginx or Tencent's load balancer, it is
#: the beginning of a text.
_IN_WORDS = (
    *("alb", "apisix", "cilium", "contour", "gce", "haproxy", "higress", "istio", "kong", "mse"),
)
#: How Traefik writes rules, its versions 3 and 2, and where it is told to end such a path at a
#: slash (``strictPrefixMatching``); and whether it does
_WRITTEN = {"3": False, "2": False, "strict": True}
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

    def are(*words: str) -> bool:
        return any(word in name for word in words for name in classes)

    told = are(*_BY_HOST)
    keys = [key for one in ingresses for key in annotations_of(one)]
    noted = {key.rpartition("/")[2] for key in keys}
    in_order = are(_IN_ORDER) or any(key.startswith(_TO_THEM) for key in keys)
    conditional = any(map(_CONDITIONAL.fullmatch, noted))
    usual = _Habits(
        by_number=in_order or conditional or not noted.isdisjoint(_NUMBERED),
        in_order=in_order,
        as_text=noted.isdisjoint(_TYPED) and (not classes or are(*_AS_TEXT)),
        deep=not classes or are(*_DEEP),
        patterns=not noted.isdisjoint(_PATTERNED),
        patterns_first=not noted.isdisjoint(_PATTERNS_FIRST),
    )
    by_length = [
        usual._replace(by_length=one, in_words=in_words) for one, in_words in _WRITTEN.items()
    ]
    if any("traefik" in name for name in classes):
        return by_length
    in_words = [usual] if are(*_IN_WORDS) else [usual, usual._replace(in_words=False)]
    return [*in_words, *(by_length if classes and not told else [])]


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


def _host_nearness(ingress: Object, host: str) -> int:
    """How near the rule is that is nearest to a host, whatever its paths: -1 without any."""
    return max((_nearness(wanted, host) for wanted, _paths in every_rule(ingress)), default=-1)


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
            hosts = (one for one in _TEXTS.findall(text) if "." in one and one[0] != "/")
            found += (f"~{one}" if "?" in one or "*" in one[1:] else one for one in hosts)
    return [one.strip() for one in found if one.strip()]


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


def _is_passed_through(ingress: Object) -> bool:
    """Whether what is asked with TLS goes to a backend as it is: of its path nobody knows then, and
    who passes it on does so before all else.
    """
    annotations = annotations_of(ingress)
    return any(
        key.endswith("/ssl-passthrough") and text.lower() == "true"
        for key, text in annotations.items()
    )


#: How near a default backend is
_DEFAULT = (-1, 0)
#: Longer than any path
_FIRST = 1_000_000


class _Match(t.NamedTuple):
    """A rule that a request is for. ``place``: how near it is; ``rank``: where it stands among
    those that are taken in order; ``sure``: whether it is for that request to each controller.
    """

    place: tuple[int, int]
    rank: tuple[int, int, int]
    name: str
    sure: bool


class _Nearest(t.NamedTuple):
    """``most``: how near the nearest rule is; ``least``: and if it isn't for the request, although
    it looks so; ``names``: of the Services that may get it.
    """

    most: tuple[int, int]
    least: tuple[int, int]
    names: list[str]


def _nearest(ingress: Object, host: str, path: str, habits: _Habits) -> _Nearest:
    """The nearest rule of an Ingress, as far as it can be told."""
    found = [*_matches(ingress, host, path, habits)]
    most = max((one.place for one in found), default=_DEFAULT)
    least = max((one.place for one in found if one.sure), default=_DEFAULT)
    if habits.in_order:
        # Some go by the length of a path within a rule, some releases by the list alone.
        orders = found, sorted(found, key=lambda one: one.rank)
        near = [one for order in orders for one in _until_sure(order)]
    else:
        near = [one for one in found if one.place >= least]
    names = {one.name for one in near}
    default = service_name(ingress.get("spec", {}).get("defaultBackend"))
    if default and least == _DEFAULT:
        names.add(default)
    return _Nearest(most, least, sorted(f"{_space_before(ingress)}{name}" for name in names))


#: In which namespace Apache APISIX looks for an Ingress' Services, where it isn't its own
_OF_SERVICES = "k8s.apisix.apache.org/svc-namespace"


def _space_before(ingress: Object) -> str:
    """What stands before the names of an Ingress' Services: nothing where they are of its own
    namespace.
    """
    own = ingress.get("metadata", {}).get("namespace")
    space = annotations_of(ingress).get(_OF_SERVICES) or ""
    return f"{space}/" if space and space != own else ""


def _until_sure(matches: t.Iterable[_Match]) -> t.Iterator[_Match]:
    for one in matches:
        yield one
        if one.sure:
            return


def _matches(ingress: Object, host: str, path: str, habits: _Habits) -> t.Iterator[_Match]:
    through, asked = _is_passed_through(ingress), path.partition("?")[0]
    annotations = annotations_of(ingress)
    marks = (_PATTERN_MARK, annotations.get(_OTHER_MARK) or _PATTERN_MARK)
    for number, (wanted, paths) in enumerate(every_rule(ingress)):
        nearness = _nearness(wanted, host)
        one_label = habits.deep or not wanted.startswith("*.") or covers(wanted, host)
        for entry in paths if nearness >= 0 else ():
            prefix, kind = entry.get("path") or "/", entry.get("pathType", "")
            patterns = [prefix[len(one) :] for one in marks if prefix.startswith(f"{one}/")]
            marked = bool(patterns)
            by_text = kind == "Prefix" and not habits.in_words
            own = "" if habits.patterns else _BEGINNING if by_text else kind
            forms = {prefix: own, **dict.fromkeys(patterns, "")}
            if through or any(starmap(partial(under, path), forms.items())):
                is_first = habits.patterns_first and not _LITERAL.fullmatch(prefix)
                goes_first = through or marked or is_first
                length = _FIRST if goes_first else len(prefix)
                by_length = (0, _length(wanted, prefix, kind, habits.by_length))
                is_text = kind not in _RANKS and not goes_first and bool(_LITERAL.fullmatch(prefix))
                yield _Match(
                    place=by_length if habits.by_length else (nearness, length),
                    rank=(number, _RANKS.get(kind, 2), -len(prefix) if kind == "Prefix" else 0),
                    name=service_name(entry.get("backend")),
                    sure=one_label and (habits.as_text or not is_text or asked == prefix),
                )


#: By the type of a path where it stands among those of its rule, to who sorts them
_RANKS = {"Exact": 0, "Prefix": 1}


def _length(host: str, prefix: str, kind: str, written: str) -> int:
    """Characters of a rule as Traefik writes it, of which it takes the longest.

    ``written``: one of _WRITTEN.
    """
    if host.startswith("*.") and written == "2":
        matcher = f"HostRegexp(`{{subdomain:[a-zA-Z0-9-]+}}{host[1:]}`) && "
    elif host.startswith("*."):
        pattern = host[1:].replace(".", r"\.")
        matcher = f"HostRegexp(`^[a-zA-Z0-9-]+{pattern}$`) && "
    else:
        matcher = f"Host(`{host}`) && " if host else ""
    begin = prefix.rstrip("/")
    if written == "strict" and kind == "Prefix" and begin:
        return len(f"{matcher}(Path(`{begin}`) || PathPrefix(`{begin}/`))")
    return len(f"{matcher}{'Path' if kind == 'Exact' else 'PathPrefix'}(`{prefix}`)")


def covers(rule_host: str, host: str) -> bool:
    """Is a rule for this host? One without a host is for every one, ``*.`` for one more label."""
    wildcard = rule_host.startswith("*.") and host.partition(".")[2] == rule_host[2:]
    return rule_host in ("", host) or wildcard


#: In the place of the type ``Prefix``, to whom that is the beginning of a text
_BEGINNING = "beginning"


def under(path: str, prefix: str, kind: str) -> bool:
    """Is a path of a rule, of this pathType, for a request of ``path``? Its query doesn't count.

    Of ``ImplementationSpecific`` the controller decides: to most it is the beginning of a text, to
    some a pattern, which is for all that begins like it.
    """
    path = path.partition("?")[0]
    if kind == "Exact":
        return path == prefix
    if kind == _BEGINNING:
        return path.startswith(prefix)
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


def service_name(backend: Object | None) -> str:
    """The Service of a backend, empty where it isn't one: with such a port the name is that of an
    annotation, which says to whom requests go (AWS, Alibaba).
    """
    service = (backend or {}).get("service") or {}
    by_annotation = (service.get("port") or {}).get("name") == "use-annotation"
    return "" if by_annotation else str(service.get("name", ""))
