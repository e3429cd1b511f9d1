# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the options of source_ip_info to data: everything that can be wrong with them is found here.

Nothing is sent and no name is looked up; files with certificates are read.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
import ssl
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from ansible_collections.kestrel.real_ip.plugins.module_utils._balancers import OWN_HEADERS
from ansible_collections.kestrel.real_ip.plugins.module_utils._bypass import Around
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import printable
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    BETWEEN,
    TOKEN,
    DerivationError,
    Network,
    Ranges,
    behind,
    bracketed,
    canonical,
    client_ip,
    parse_address,
    parse_ranges,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._echo import (
    LINE_HEADER,
    NONCE_HEADER,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._forgery import (
    CARRIERS,
    CHOSEN,
    Forgery,
    forgeries,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._probe import (
    Endpoint,
    Request,
    Target,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._queries import (
    Queries,
    WrongQuery,
    compile_queries,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._vantage import (
    Standpoint,
    find,
    is_contained,
    is_own,
    local_addresses,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import (
    Cluster,
    Expectation,
    Question,
    Strategy,
    is_single,
)

Params = Mapping[str, Any]


class WrongArgument(Exception):
    """An option can't be meant as it is given. The message names option, value and reason."""

    def __init__(self, option: str, value: object, why: str) -> None:
        super().__init__(f"{option}: {printable(value)!s}: {why}")
        self.option = option


class Plan(NamedTuple):
    """All that a run needs. ``own_address``: where to ask for the prober's address, if anywhere."""

    targets: list[Target]
    request: Request
    own_address: Endpoint | None
    standpoint: Standpoint
    around: Around


# --- URLs -----------------------------------------------------------------------------------------

_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(TOKEN)
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_NAME_AND_PORT = re.compile(r"(?P<name>[^:/@\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_LISTENER = re.compile(r"(?P<scheme>https?):(?P<port>[0-9]{1,5})", re.ASCII)
_NUMERIC = re.compile(r"[0-9.]+")


class _Url(NamedTuple):
    tls: bool
    host: str
    port: int
    authority: str
    path: str


#: Letters that IDNA 2003, which Python knows, makes others of, and IDNA 2008 keeps (RFC 5894, 7.2):
#: the sharp s, the final sigma and the two joiners
_OTHERWISE = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")


def _is_otherwise(letter: str) -> bool:
    """Whether others may make another name of it: UTS 46, which browsers go by, also folds the case
    of letters that are younger than what IDNA 2003 knows, and of Cherokee's.
    """
    is_younger = unicodedata.ucd_3_2_0.category(letter) == "Cn"
    return is_younger or letter in _OTHERWISE or "\u13a0" <= letter <= "\u13f4"


def _host(option: str, text: str, value: str) -> str:
    """The host as the resolver and TLS take it: names in ASCII, no dot at the end."""
    if parse_address(text):
        return text
    if any(map(_is_otherwise, text)):
        raise WrongArgument(
            option, value, f"{printable(text)!r} is another name to others: give its xn-- form"
        )
    try:
        name = text.rstrip(".").encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if not _VISIBLE.fullmatch(name) or _NUMERIC.fullmatch(name) or set(name) & set(":/@[]%"):
        raise WrongArgument(option, value, f"{printable(text)!r} is no host name and no address")
    return name


def _port(option: str, number: int | None, value: str, default: int) -> int:
    if number is None:
        return default
    if not 1 <= number <= 65535:
        raise WrongArgument(option, value, "the port must be between 1 and 65535")
    return number


def _parse_url(option: str, value: str) -> _Url:
    # A password must not get into a log through a message.
    shown = re.sub(r"(?i)^([a-z]+://)?.*@", r"\1***@", value)
    if not value.isprintable() or " " in value:
        raise WrongArgument(option, shown, "a URL has no spaces and no control characters")
    try:
        parts = urlsplit(value)
        host, number = parts.hostname, parts.port
    except ValueError as error:
        raise WrongArgument(option, shown, str(error)) from error
    if parts.scheme not in _PORTS or not host:
        raise WrongArgument(option, shown, "must be http://host/… or https://host/…")
    if "@" in parts.netloc:
        raise WrongArgument(option, shown, "must not hold a user name or password")
    host = _host(option, unquote(host), shown)
    default = _PORTS[parts.scheme]
    port = _port(option, number, shown, default)
    bare = host.partition("%")[0]
    authority = bracketed(bare)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    return _Url(
        tls=parts.scheme == "https",
        host=host,
        port=port,
        authority=authority if port == default else f"{authority}:{port}",
        path=f"{path}?{query}" if query else path,
    )


def _connect_to(value: str, url: _Url) -> tuple[str, int]:
    """Address or name, and port, the URL's where none is given."""
    known = parse_address(value)
    if known is not None:
        host = f"{known.address}%{known.zone}" if known.zone else str(known.address)
        return host, _port("connect_to", known.port, value, url.port)
    match = _NAME_AND_PORT.fullmatch(value)
    if match is None:
        raise WrongArgument("connect_to", value, "must be an address or a name, and maybe a port")
    number = None if match["port"] is None else int(match["port"])
    return (
        _host("connect_to", match["name"], value),
        _port("connect_to", number, value, url.port),
    )


def _visible(option: str, value: str | None, default: str) -> str:
    if not value:
        return default
    if not _VISIBLE.fullmatch(value):
        raise WrongArgument(option, value, "must be ASCII without spaces and control characters")
    return value


# --- Requests -------------------------------------------------------------------------------------

#: What the probe says itself, and what decides how an answer is read.
_OWN_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        LINE_HEADER.lower(),
        NONCE_HEADER.lower(),
    }
)

#: Sent with each request, but of no use to anybody as a place for the client's address.
_SENT = frozenset({"accept", "cache-control", "user-agent"})

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def _normal(name: str) -> str:
    # CGI and WSGI can't tell an underscore from a dash.
    return name.strip().lower().replace("_", "-")


def _headers(given: Mapping[str, Any] | None, strategy_header: str) -> dict[str, str]:
    headers = {}
    for name, content in (given or {}).items():
        option = f"headers.{printable(name)}"
        value = str(content)
        normal = _normal(str(name))
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise WrongArgument(option, value, "the name of a header is a token")
        if (
            normal in ("forwarded", "x-forwarded", "x-real-ip", _normal(strategy_header))
            or normal.startswith("x-forwarded-")
            or normal in OWN_HEADERS | CARRIERS
        ):
            why = "a header that tells the client's address must come from the path, not from here"
            raise WrongArgument(option, value, why)
        if normal in _OWN_HEADERS:
            raise WrongArgument(option, value, "the probe sets this header itself")
        if content is None or not value.isprintable() or not value.isascii():
            raise WrongArgument(option, value, "a value is one line of ASCII text")
        headers[name] = value
    return headers


def _refuse_expected(headers: Mapping[str, str], targets: Sequence[Target]) -> None:
    """Whatever its name, somebody on the path may take a header for the client's address, and an
    app can answer with what it was asked for.
    """
    expectations = [target.question.expectation for target in targets]
    expected = {one for expectation in expectations for one in expectation.networks}
    if any(expectation.source != "given" for expectation in expectations):
        # Which address will be expected isn't known yet.
        expected.update(parse_ranges(["0.0.0.0/0", "::/0"]))
    paths = dict.fromkeys((target.url, target.endpoint.path) for target in targets)
    sent = [
        *((f"headers.{printable(name)}", value, value) for name, value in headers.items()),
        *(("url", url, unquote(path)) for url, path in paths),
    ]
    for option, value, text in sent:
        told = [parse_address(part) for part in BETWEEN.split(text)]
        if any(one.address in network for one in told if one for network in expected):
            why = "holds what is or may be expected: that it arrives from here would prove nothing"
            raise WrongArgument(option, value, why)


# --- Questions ------------------------------------------------------------------------------------


def _strategy(params: Params, layer: str) -> Strategy:
    name, count = params["strategy"], params["trusted_count"]
    if layer == "l4":
        if name not in (None, "peer"):
            why = "layer: l4 reads the socket peer: leave strategy out, or set layer: l7"
            raise WrongArgument("strategy", name, why)
        name = "peer"
    elif name == "peer":
        raise WrongArgument("strategy", name, "layer: l7 reads a header, so set layer: l4")
    elif name is None:
        name, count = "rightmost_trusted_count", 1 if count is None else count
    strategy = Strategy(name, params["header"] or None, count, params["trusted_ranges"])
    try:
        client_ip([], None, **strategy._asdict())
    except DerivationError as error:
        option = error.argument.partition("[")[0]
        raise WrongArgument(option, params.get(option), str(error)) from error
    if not _TOKEN.fullmatch(strategy.source):
        raise WrongArgument("header", strategy.source, "the name of a header is a token")
    if _normal(strategy.source) in _OWN_HEADERS | _SENT:
        why = "the probe sends this header itself, so it can't carry the client's address"
        raise WrongArgument("header", strategy.source, why)
    return strategy


def _queries(params: Params) -> Queries | None:
    given = {name: text for name, text in (params["echo_queries"] or {}).items() if text}
    if params["echo_format"] != "jmespath":
        if given:
            why = "is only for echo_format: jmespath"
            raise WrongArgument("echo_queries", ", ".join(given), why)
        return None
    try:
        return compile_queries(given)
    except WrongQuery as error:
        if not error.name:
            raise WrongArgument("echo_format", "jmespath", str(error)) from error
        option = f"echo_queries.{error.name}"
        raise WrongArgument(option, given.get(error.name, ""), str(error)) from error


def _ranges(texts: Sequence[str], option: str) -> Ranges:
    try:
        return parse_ranges(texts, option)
    except DerivationError as error:
        raise WrongArgument(error.argument, ", ".join(map(str, texts)), str(error)) from error


def _pod_names(params: Params) -> dict[str, str]:
    """Canonical address → name."""
    given = (params["cluster_addresses"] or {}).get("pod_names") or {}
    return {canonical(address) or address: str(given[address]) for address in given}


def _cluster(params: Params) -> Cluster:
    given = params["cluster_addresses"] or {}
    known = {key: given[key] for key in Cluster._fields if given.get(key) is not None}
    some = {
        "nodes": [*(given.get("some_nodes") or ())],
        # The names alone are those of the pods that may be read.
        "pods": [*(given.get("some_pods") or ()), *(given.get("pod_names") or ())],
    }
    parts = frozenset(key for key, texts in some.items() if texts and key not in known)
    known.update({key: [*known.get(key, ()), *texts] for key, texts in some.items() if texts})
    ranges = {key: _ranges(known[key], f"cluster_addresses.{key}") for key in known}
    return Cluster(**ranges, parts=parts)


def _single(ranges: Ranges | None) -> list[str] | None:
    """The addresses among the ranges, None where they aren't known: a range names nobody's."""
    found = [str(network.network_address) for network in ranges or () if is_single(network)]
    return found if ranges is not None and (found or not ranges) else None


def _standpoint(params: Params, cluster: Cluster) -> Standpoint:
    single = _single(cluster.pods)
    pods = None if single is None else {**dict.fromkeys(single, ""), **_pod_names(params)}
    starting = (params["cluster_addresses"] or {}).get("starting_pods") or ()
    more = bool(cluster.parts & {"nodes", "pods"})
    found = find(params["vantage"], _single(cluster.nodes), pods, starting, more=more)
    own = local_addresses() if found.place == "node" or found.kubelet else ()
    return found._replace(contained=is_contained(), addresses=frozenset(own))


# More than the largest that belong to one holder
_SHORTEST = {4: 8, 6: 12}

# As many in all as sixteen of these, of which each would do: who lists more lists what isn't his
_SHORTEST_OF_ALL = {4: 4, 6: 8}


def _refuse_everything(given: Iterable[Network], text: str) -> None:
    networks = [*map(behind, given)]
    for network in networks:
        least = _SHORTEST[network.version]
        if 0 < network.prefixlen < least:
            why = f"{network} holds more than a /{least}, so that it would prove nothing"
            raise WrongArgument("expected_source", text, why)
    for version in (4, 6):
        # Also in halves: 0.0.0.0/1 with 128.0.0.0/1 is everything.
        family: Any = [network for network in networks if network.version == version]
        told = [*ipaddress.collapse_addresses(family)]
        if any(one.prefixlen == 0 for one in told):
            why = f"matches every IPv{version} address, so that it would prove nothing"
            raise WrongArgument("expected_source", text, why)
        least = _SHORTEST_OF_ALL[version]
        if sum(2**-one.prefixlen for one in told) > 2**-least:
            why = f"together they hold more than a /{least}, so that they would prove nothing"
            raise WrongArgument("expected_source", text, why)


def _refuse_cluster(
    networks: Iterable[Network], cluster: Cluster, text: str, at: Standpoint
) -> None:
    for network in networks:
        # Inside of the cluster, one of its addresses can be the prober's own.
        if at.found_inside and is_single(network):
            continue
        forms = {network, behind(network)}
        for key, ranges in cluster.known().items():
            for own in ranges:
                if any(one.version == own.version and own.overlaps(one) for one in forms):
                    kind = "is an address of" if is_single(network) else "overlaps"
                    why = (
                        f"{network} {kind} the cluster's {key} ({own}), so that seeing it would "
                        "prove nothing"
                    )
                    raise WrongArgument("expected_source", text, why)


def _expectation(
    given: Sequence[str] | None, url: str | None, cluster: Cluster, at: Standpoint
) -> Expectation:
    texts = [text.strip() for text in given or () if text.strip()]
    if not texts:
        return Expectation("asked" if url else "inferred")
    shown = ", ".join(texts)
    if texts == ["local"]:
        return Expectation("local")
    if "local" in texts:
        raise WrongArgument("expected_source", shown, "local stands alone")
    networks = tuple(dict.fromkeys(_ranges(texts, "expected_source")))
    _refuse_everything(networks, shown)
    _refuse_cluster(networks, cluster, shown, at)
    return Expectation("given", networks)


# --- All of it ------------------------------------------------------------------------------------

#: Least and greatest value of each option that is a number; seconds, requests, bytes.
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "samples": (1, 100_000),
    "max_samples": (1, 100_000),
    "concurrency": (1, 1024),
    "timeout": (0.001, 3600),
    "deadline": (0.001, 86_400),
    "wait_timeout": (0, 86_400),
    "max_body": (1, 1_048_576),
}

_PER_TARGET = ("url", "connect_to", "host_header", "server_name", "expected_source", "layer")


def _check_numbers(params: Params) -> None:
    for option, (least, greatest) in _BOUNDS.items():
        value = params[option]
        if math.isnan(value) or not least <= value <= greatest:
            raise WrongArgument(option, value, f"must be between {least} and {greatest}")
    if params["samples"] > params["max_samples"]:
        why = f"must not be greater than max_samples ({params['max_samples']})"
        raise WrongArgument("samples", params["samples"], why)


def tls_context(params: Params, own_authority_only: bool = True) -> ssl.SSLContext:
    """Settings for TLS. ``own_authority_only``: ``ca_path`` replaces the system's authorities."""
    ca_path = params["ca_path"]
    where = {"capath" if ca_path and os.path.isdir(ca_path) else "cafile": ca_path}
    try:
        context = ssl.create_default_context(**(where if own_authority_only else {}))
        if ca_path and not own_authority_only:
            context.load_verify_locations(**where)
    except OSError as error:
        raise WrongArgument("ca_path", ca_path, f"can't be read: {error}") from error
    # HTTP/2 would be an answer that http.client can't read.
    context.set_alpn_protocols(["http/1.1"])
    if not params["validate_certs"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _target_tls(params: Params) -> ssl.SSLContext:
    context = tls_context(params)
    certificate, key = params["tls_client_cert"], params["tls_client_key"]
    if certificate:
        try:
            # An empty password instead of a question on the terminal, which would wait for ever.
            context.load_cert_chain(certificate, key, password="")
        except OSError as error:
            raise WrongArgument(
                "tls_client_cert", certificate, f"can't be read: {error}"
            ) from error
    return context


def _any_tls(params: Params) -> ssl.SSLContext:
    """Settings for ways around: who takes one speaks what works there, and trusts nothing."""
    context = _target_tls({**params, "validate_certs": False})
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)
    return context


def _endpoint(option: str, given: Params) -> Endpoint:
    url = _parse_url(option, given["url"])
    host, port = url.host, url.port
    if given.get("connect_to"):
        host, port = _connect_to(given["connect_to"], url)
    own_name = url.host.partition("%")[0]
    return Endpoint(
        host=host,
        port=port,
        host_header=_visible("host_header", given.get("host_header"), url.authority),
        path=url.path,
        server_name=_visible("server_name", given.get("server_name"), own_name) if url.tls else "",
        label=url.host,
    )


def _question(
    params: Params, layer: str, expected: Sequence[str] | None, cluster: Cluster, at: Standpoint
) -> Question:
    proxied, intercepted = (
        _ranges((params["cluster_addresses"] or {}).get(one) or (), f"cluster_addresses.{one}")
        for one in ("proxied", "intercepted")
    )
    backends, unready = params["expect_backends"] or (), params["unready_backends"] or ()
    pod_names, beside = _pod_names(params), (params["bypass"] or {}).get("pods_beside") or ()
    return Question(
        expectation=_expectation(expected, params["expected_source_url"], cluster, at),
        strategy=_strategy(params, layer),
        layer=layer,
        cluster=cluster,
        pod_names=pod_names,
        echo_format=params["echo_format"],
        echo_queries=_queries(params),
        backends=tuple(dict.fromkeys(backends)),
        samples=params["samples"],
        max_samples=params["max_samples"],
        standpoint=at,
        proxied=proxied,
        intercepted=intercepted,
        load_balancer=params["load_balancer"] or "",
        forge=params["forge"],
        namespace=params["backend_namespace"] or "",
        unready=tuple(unready),
        other_nodes=tuple(params["other_nodes"] or ()),
        namesakes=frozenset(params["namesakes"] or ()),
        strangers=frozenset(pod_names.values()).difference(backends, unready, beside)
        if backends
        else frozenset(),
        unread=(*_unread(params["bypass"] or {}),),
    )


def forging(target: Target) -> Target:
    """The target with the forged requests that its question asks for."""
    return target._replace(forgeries=_forgeries(target.question))


def _forgeries(question: Question) -> tuple[Forgery, ...]:
    strategy = question.strategy
    if not question.forge:
        return ()
    # Where the prober's own address is expected, it is not known before there is a connection.
    own = [] if question.expectation.refutes else [one for one in CHOSEN if is_own(one)]
    expected = (*question.expectation.networks, *parse_ranges(own))
    return forgeries(strategy.header, expected, strategy.trusted_ranges)


def _is_set(value: Any) -> bool:
    """Whether a target says something itself: blank texts, also in a list, are what is not set."""
    return any(map(_is_set, value)) if isinstance(value, list) else bool(value and value.strip())


def _targets(params: Params, cluster: Cluster, at: Standpoint) -> Iterable[Target]:
    common = {name: params.get(name) for name in _PER_TARGET}
    entries = [{}] if params["targets"] is None else params["targets"]
    # Thousands of targets have few questions between them.
    questions: dict[tuple[str, ...], tuple[Question, tuple[Forgery, ...]]] = {}
    for place, entry in enumerate(entries):
        own = {name: value for name, value in entry.items() if _is_set(value)}
        given = {**common, **own}
        layer, expected = given["layer"], given["expected_source"]
        key = (layer, *(expected or ()))
        if key not in questions:
            question = _question(params, layer, expected, cluster, at)
            questions[key] = question, _forgeries(question)
        option = "url" if params["targets"] is None else f"targets[{place}].url"
        endpoint = _endpoint(option, given)
        name = own.get("name") or given["url"]
        yield Target(printable(name), printable(given["url"]), endpoint, *questions[key])


def _secured(targets: list[Target], params: Params) -> list[Target]:
    """The targets, those of https with the settings for TLS."""
    if not any(target.endpoint.server_name for target in targets):
        return targets
    context = _target_tls(params)
    return [
        target._replace(endpoint=target.endpoint._replace(tls=context))
        if target.endpoint.server_name
        else target
        for target in targets
    ]


def _own_address(params: Params) -> Endpoint | None:
    if not params["expected_source_url"]:
        return None
    endpoint = _endpoint("expected_source_url", {"url": params["expected_source_url"]})
    if not endpoint.server_name:
        return endpoint
    return endpoint._replace(tls=tls_context(params, own_authority_only=False))


def _host_and_port(option: str, text: str) -> tuple[str, int]:
    known = parse_address(text)
    if known is None or known.port is None:
        raise WrongArgument(option, text, "must be an address with a port")
    return str(known.address), _port(option, known.port, text, 0)


def _listener(text: str) -> tuple[int, bool]:
    """Port, and whether TLS is spoken there."""
    match = _LISTENER.fullmatch(text)
    if match is None:
        raise WrongArgument("bypass.listeners", text, "must be http:PORT or https:PORT")
    port = _port("bypass.listeners", int(match["port"]), text, 0)
    return port, match["scheme"] == "https"


def _name_and_port(option: str, text: str) -> tuple[str, int]:
    match = _NAME_AND_PORT.fullmatch(text)
    if parse_address(text) or match is None or match["port"] is None:
        return _host_and_port(option, text)
    return _host(option, match["name"], text), _port(option, int(match["port"]), text, 0)


def _path(text: str) -> str:
    if not text.startswith("/") or not _VISIBLE.fullmatch(text) or set(text) & set("?#"):
        raise WrongArgument("bypass.paths", text, "must be a path that begins with a slash")
    return text


def _around(given: Params) -> Around:
    def ports(name: str) -> list[tuple[str, int]]:
        return [_host_and_port(f"bypass.{name}", text) for text in given.get(name) or ()]

    def numbers(name: str) -> list[int]:
        return [_port(f"bypass.{name}", one, str(one), 0) for one in given.get(name) or ()]

    def named(name: str) -> list[tuple[str, int]]:
        return [_name_and_port(f"bypass.{name}", text) for text in given.get(name) or ()]

    paths = [_path(text) for text in given.get("paths") or ()]

    own = [_host("bypass.load_balancer", text, text) for text in given.get("load_balancer") or ()]
    hosts = [_host("bypass.hosts", text, text) for text in given.get("hosts") or ()]
    listeners = [_listener(text) for text in given.get("listeners") or ()]
    return Around(
        node_ports=ports("node_ports"),
        internal=ports("internal_node_ports"),
        of_targets=numbers("node_ports_of_targets"),
        controller=ports("controller"),
        of_controller=numbers("controller_ports"),
        controller_service=named("controller_service"),
        pods=ports("pods"),
        service=named("service"),
        load_balancer=own,
        hosts=hosts,
        paths=paths,
        listeners=listeners,
        at_usual_ports=bool(given.get("at_usual_ports")),
        lists_itself=bool(given.get("lists_itself")),
        hands_on=bool(given.get("hands_on")),
        unread=_unread(given),
        ingresses=_commands(given.get("ingresses")),
        routes=_commands(given.get("routes")),
        alongside=_commands(given.get("alongside")),
        beyond=_commands(given.get("beyond")),
        unaddressed=_commands(given.get("unaddressed")),
        omitted=_commands(given.get("omitted")),
    )


def _commands(given: Params | None) -> dict[str, str]:
    return {name: str(command) for name, command in (given or {}).items()}


def _unread(bypass: Params) -> dict[str, str]:
    return {name: text for name, text in (bypass.get("unread") or {}).items() if text}


_FAMILIES = {"ipv4": 4, "ipv6": 6}


def _of_family(targets: list[Target], family: str, around: Around) -> list[Target]:
    """Those whose addresses of the load balancer's status are of the family, if there are any: of a
    name's none of the other one is asked either.
    """
    wanted, status = _FAMILIES.get(family), {*map(canonical, around.load_balancer)}

    def is_other(target: Target) -> bool:
        told = parse_address(target.endpoint.host)
        return bool(told and str(told.address) in status and told.address.version != wanted)

    return [one for one in targets if not (wanted and is_other(one))] or targets


def plan(params: Params) -> Plan:
    """Read the module's parameters. Raises WrongArgument for the first one that is wrong."""
    _check_numbers(params)
    if params["method"] not in _METHODS:
        why = f"must be one of {', '.join(_METHODS)}: others carry no body in the answer"
        raise WrongArgument("method", params["method"], why)
    cluster = _cluster(params)
    standpoint = _standpoint(params, cluster)
    targets = [*_targets(params, cluster, standpoint)]
    if not targets:
        raise WrongArgument("targets", "[]", "must name at least one target")
    request = Request(
        method=params["method"],
        headers=_headers(params["headers"], params["header"] or ""),
        timeout=params["timeout"],
        max_body=params["max_body"],
    )
    _refuse_expected(request.headers, targets)
    around = _around(params["bypass"] or {})
    wanted = _of_family(targets, params["address_family"], around)
    left_out = [one.endpoint.host for one in targets if one not in wanted]
    around, targets = around._replace(left_out=left_out), [*_secured(wanted, params)]
    may_have_tls = (
        *(around.load_balancer, around.service, around.of_targets),
        *(around.controller, around.controller_service),
    )
    if any(may_have_tls) or any(one.endpoint.tls for one in targets):
        around = around._replace(tls=_any_tls(params))
    return Plan(targets, request, _own_address(params), standpoint, around)


#: Options on whose values neither targets nor the cluster have a say
SETTLED = (
    *("layer", "strategy", "header", "trusted_count", "trusted_ranges"),
    *("expected_source", "expected_source_url"),
)


def refused(params: Params) -> Iterator[str]:
    """What the module would refuse of the options SETTLED, whatever it is asked to probe."""
    own_url = params["expected_source_url"]
    checks: tuple[Callable[[], object], ...] = (
        lambda: _strategy(params, params["layer"]),
        lambda: _expectation(params["expected_source"], None, Cluster(), Standpoint()),
        lambda: own_url and _endpoint("expected_source_url", {"url": own_url}),
    )
    for check in checks:
        try:
            check()
        except WrongArgument as error:
            yield str(error)
