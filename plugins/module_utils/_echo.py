# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an HTTP answer to what an echo app says it saw, or to the code of why it says nothing.

An answer is the work of whoever holds the address: every step is bounded by the length of the body,
nothing in it is evaluated, and the only exception is :class:`NoEcho`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import unescape
from typing import Any, Callable, NamedTuple

from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    BETWEEN,
    Address,
    parse_address,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import phrase
from ansible_collections.kestrel.real_ip.plugins.module_utils._queries import Failed, Queries

Fields = list[tuple[str, str]]

#: Each request carries its nonce in this header line and in this parameter of the query.
NONCE_HEADER = "X-Kestrel-Nonce"
#: What the probe calls itself, until it is told otherwise
USER_AGENT = "kestrel.real_ip"
NONCE_PARAMETER = "kestrel_nonce"

#: Sent in as many lines, with these values, where nothing is forged and where a header is repeated:
#: from it is seen whether the echo app shows each line, or one of them only.
LINE_HEADER = "X-Kestrel-Line"
LINE_VALUES = ("1", "2")

#: The deepest real answer (httpbin's) has three levels.
_MAX_DEPTH = 32


class NoEcho(Exception):
    """The answer is no echo app's. ``number``: the code that says why; ``detail``: unescaped."""

    def __init__(self, number: str, detail: str = "") -> None:
        super().__init__(number, detail)
        self.number = number
        self.detail = detail


class Answer(NamedTuple):
    """One HTTP answer as it came. ``fields``: its own header lines; ``body``: not decoded."""

    status: int
    phrase: str
    fields: Mapping[str, str]
    body: bytes


class Echo(NamedTuple):
    """What the echo app says of the request that reached it.

    ``headers``: the request's header lines, those of one name in order; ``peer``: the socket peer,
    maybe with its port, None where the app doesn't tell it, likewise ``pod`` and ``node``;
    ``nonces``: every nonce that the answer claims; ``hidden``: names in lower case of headers that
    this answer doesn't show as they arrived; ``merged``: repeated lines stand as one, with commas;
    ``dashed``: lines whose names have underscores are left out; ``partial``: of a header that isn't
    there it isn't known whether it arrived; ``namespace``: the pod's, None where the app doesn't
    tell it.
    """

    headers: Fields
    peer: str | None
    pod: str | None
    node: str | None
    nonces: frozenset[str]
    hidden: frozenset[str] = frozenset()
    merged: bool = False
    dashed: bool = False
    partial: bool = False
    namespace: str | None = None

    def hides(self, header: str, as_list: bool) -> bool:
        """Whether it can't be told what arrived in this header.

        ``as_list``: its lines are one list, so that it's the same whether they are merged or not.
        """
        name = header.lower()
        values = [value for other, value in self.headers if other.lower() == name]
        if name in self.hidden or (not values and (self.partial or (self.dashed and "_" in name))):
            return True
        return self.merged and not as_list and any("," in value for value in values)

    def shows_each_line(self, sent: bool = True) -> bool:
        """Whether of repeated lines none was left out, as far as LINE_HEADER tells.

        ``sent``: it must be there; else, where it isn't there at all, nothing is known against it.
        """
        lines = [value for name, value in self.headers if name.lower() == LINE_HEADER.lower()]
        found = {one.strip() for line in lines for one in line.split(",")}
        told = found >= {*LINE_VALUES} or not (sent or found)
        return told or not (self.merged or self.partial)


# --- JSON -----------------------------------------------------------------------------------------


class _Object(tuple[tuple[str, Any], ...]):
    """The members of a JSON object in order: a repeated name is a repeated header line."""

    def names(self) -> list[str]:
        return [name for name, _value in self]

    def get(self, wanted: str) -> Any:
        """The value of a member that stands there once, else None."""
        values = [value for name, value in self if name == wanted]
        return values[0] if len(values) == 1 else None


# Numbers stay text: turning a long one into an int takes quadratic time, and none is needed.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_Object, parse_int=str, parse_float=str, parse_constant=str
)
_MARK = re.compile(r'\\.|["\[{\]}]', re.DOTALL)
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}


def _too_deep(text: str) -> bool:
    # Measured, not tried: how deep a parser may recurse depends on the Python and on the stack.
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
        return False
    depth = deepest = 0
    quoted = False
    for mark in _MARK.findall(text):
        quoted ^= mark == '"'
        depth += 0 if quoted else _STEP.get(mark, 0)
        deepest = max(deepest, depth)
    return deepest > _MAX_DEPTH


def _decode(body: bytes) -> Any:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NoEcho("V521", phrase("byte {place}", place=error.start)) from error
    if _too_deep(text):
        raise NoEcho("V523")
    try:
        return _DECODER.decode(text)
    except ValueError as error:
        raise NoEcho("V522", str(error)) from error


# --- Forms ----------------------------------------------------------------------------------------


def _string(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _echo(
    headers: Fields,
    peer: str | None = None,
    pod: str | None = None,
    node: str | None = None,
    nonce: str | None = None,
    hidden: Iterable[str] = (),
    merged: bool = False,
    dashed: bool = False,
) -> Echo:
    claimed = {value for name, value in headers if name.lower() == NONCE_HEADER.lower()}
    nonces = frozenset(claimed | ({nonce} if nonce else set()))
    return Echo(headers, peer, pod, node, nonces, frozenset(hidden), merged, dashed)


def _single(headers: object) -> Fields | None:
    """The lines of ``{name: value, …}``, None for anything else."""
    if not isinstance(headers, _Object):
        return None
    return [*headers] if all(isinstance(value, str) for _name, value in headers) else None


def _repeated(headers: object) -> Fields | None:
    """The lines of ``{name: [value, …], …}``, None for anything else."""
    if not isinstance(headers, _Object):
        return None
    if not all(isinstance(values, list) for _name, values in headers):
        return None
    lines = [(name, value) for name, values in headers for value in values]
    return lines if all(isinstance(value, str) for _name, value in lines) else None


def _kestrel(document: _Object) -> Echo | None:
    """The collection's own echo app.

    ``{"kestrel": 1, "headers": [[name, value], …], "peer": {"address": …, "port": …}, "pod": …,
    "node": …, "namespace": …, "nonce": …}``; further members are not looked at.
    """
    headers = document.get("headers")
    if document.get("kestrel") != "1" or not isinstance(headers, list):
        return None
    if not all(isinstance(line, list) and [*map(type, line)] == [str, str] for line in headers):
        return None
    peer, nonce = document.get("peer"), _string(document.get("nonce"))
    return _echo(
        [(line[0], line[1]) for line in headers],
        peer=_string(peer.get("address")) if isinstance(peer, _Object) else None,
        pod=_string(document.get("pod")),
        node=_string(document.get("node")),
        nonce=nonce,
    )._replace(namespace=_string(document.get("namespace")))


_FLASK = frozenset({"headers", "method", "message"})


def _flask(document: _Object) -> Echo | None:
    """The document's image: ``{"headers": {name: value, …}, "method": …, "message": …}``.

    One of the latter two may be missing. Any further member, or none but the headers, makes it
    another app: httpbin's answers look the same but hide the very headers that matter, so that it
    would seem that they were lost.
    """
    headers, members = _single(document.get("headers")), {*document.names()}
    if headers is None or not {"headers"} < members <= _FLASK:
        return None
    return _echo(headers, merged=True, dashed=True)


# Left out of its answers unless show_env stands in the query (helpers.py, ENV_HEADERS).
_HTTPBIN_HIDES = frozenset(
    {
        "connect-time",
        "total-route-time",
        "via",
        "x-forwarded-for",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-forwarded-protocol",
        "x-forwarded-ssl",
        "x-heroku-dynos-in-use",
        "x-heroku-queue-depth",
        "x-heroku-queue-wait-time",
        "x-real-ip",
        "x-request-id",
        "x-request-start",
        "x-varnish",
    }
)
_HTTPBIN = frozenset({"args", "headers", "origin", "url"})
_HTTPBIN_MORE = frozenset({"data", "files", "form", "json", "method"})


def _httpbin(document: _Object) -> Echo | None:
    """httpbin at ``/headers``, ``/get``, ``/anything`` and the like.

    ``origin`` is X-Forwarded-For where there is one, so that it isn't the socket peer.
    """
    headers, members = _single(document.get("headers")), {*document.names()}
    if headers is None or not (
        members == {"headers"} or _HTTPBIN <= members <= _HTTPBIN | _HTTPBIN_MORE
    ):
        return None
    query = document.get("args")
    shows_all = isinstance(query, _Object) and "show_env" in query.names()
    shown = {name.lower() for name, _value in headers}
    hidden = () if shows_all else _HTTPBIN_HIDES - shown
    return _echo(headers, hidden=hidden, merged=True, dashed=True)


# Of these Node.js keeps the first line only (http.IncomingMessage, message.headers).
_NODE_HIDES = frozenset(
    {
        "age",
        "authorization",
        "content-length",
        "content-type",
        "etag",
        "expires",
        "from",
        "host",
        "if-modified-since",
        "if-unmodified-since",
        "last-modified",
        "location",
        "max-forwards",
        "proxy-authorization",
        "referer",
        "retry-after",
        "server",
        "user-agent",
    }
)
_HTTP_ECHO = frozenset(
    {
        "connection",
        "headers",
        "hostname",
        "ip",
        "ips",
        "method",
        "os",
        "path",
        "protocol",
        "query",
        "subdomains",
        "xhr",
    }
)


def _http_echo(document: _Object) -> Echo | None:
    """mendhak/http-https-echo. ``ip`` comes from X-Forwarded-For, so that it isn't the peer."""
    headers, system = _single(document.get("headers")), document.get("os")
    members = {*document.names()}
    if headers is None or not isinstance(system, _Object):
        return None
    if not members >= _HTTP_ECHO or members & {"kestrel", "proto"}:
        return None
    return _echo(headers, pod=_string(system.get("hostname")), hidden=_NODE_HIDES, merged=True)


_ECHO_BASIC = frozenset(
    {"headers", "host", "ingress", "method", "namespace", "path", "pod", "proto", "service"}
)


def _echo_basic(document: _Object) -> Echo | None:
    """The conformance tests' app of the Kubernetes Gateway API."""
    headers, host = _repeated(document.get("headers")), document.get("host")
    members = {*document.names()}
    if headers is None or not isinstance(host, str):
        return None
    if not members >= _ECHO_BASIC or members & {"kestrel", "xhr"}:
        return None
    return _echo([("Host", host), *headers], pod=_string(document.get("pod")))._replace(
        namespace=_string(document.get("namespace"))
    )


_WHOAMI = frozenset({"headers", "host", "hostname", "method", "remoteAddr", "url"})
_WHOAMI_MORE = frozenset({"environ", "ip", "name"})


def _whoami(document: _Object) -> Echo | None:
    """traefik/whoami at ``/api``."""
    headers, host = _repeated(document.get("headers")), document.get("host")
    if headers is None or not isinstance(host, str):
        return None
    if not _WHOAMI <= {*document.names()} <= _WHOAMI | _WHOAMI_MORE:
        return None
    peer, pod = _string(document.get("remoteAddr")), _string(document.get("hostname"))
    return _echo([("Host", host), *headers], peer=peer, pod=pod)


# A line ends with \n and with nothing else: str.splitlines and \s would see ends of lines in
# characters that a header's value may hold, and so let a client write lines of its own.
_WHOAMI_TEXT = re.compile(
    r"(?:Name: [^\n]*\n)?"
    r"Hostname: (?P<pod>[^\n]*)\n"
    r"(?:IP: [^\n]*\n)*"
    r"RemoteAddr: (?P<peer>[^\n]*)\n"
    r"(?:Certificate\[[0-9]+\] Subject: [^\n]*\n)*"
    r"[A-Z]+ [^ \n]+ HTTP/[0-9.]+\r\n"
)
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)")


def _whoami_text(text: str) -> Echo | None:
    """traefik/whoami: what it says itself, the request as it was, and maybe its environment.

    The request begins behind all that counts but the header lines, and these end with the first
    empty line: nothing in it can stand for one of the app's own lines.
    """
    begin = _WHOAMI_TEXT.match(text)
    end = text.find("\r\n\r\n", begin.end() - 2) if begin else -1
    if begin is None or end < 0:
        return None
    lines = text[begin.end() : end].split("\r\n")
    fields = [_FIELD.fullmatch(line) for line in lines]
    headers = [(field[1], field[2].strip(" \t")) for field in fields if field]
    if len(headers) < len(lines) or headers[0][0] != "Host":
        return None
    return _echo(headers, peer=_string(begin["peer"]), pod=_string(begin["pod"]))


_SECTIONS = (
    "Hostname",
    "Pod Information",
    "Server values",
    "Request Information",
    "Request Headers",
    "Request Body",
)

# As many lines as ngx.req.get_headers returns at most: with as many, some may have been left out.
_MAX_FIELDS = 100


def _sections(text: str) -> dict[str, list[str]] | None:
    """Title → what stands behind it, then the indented lines below it; None for another form.

    Each title stands once, in this order, at the beginning of a line, where nothing of a request
    ever stands but its body; that comes last and is left out.
    """
    titles = iter(_SECTIONS)
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        if not line.strip(" \t\r"):
            continue
        if line[0] == "\t" and sections:
            lines.append(line.strip(" \t"))
            continue
        title, _colon, rest = line.partition(":")
        if title != next(titles, None):
            return None
        lines = sections[title] = [rest.strip(" \t")]
        if title == _SECTIONS[-1]:
            return sections
    return None


def _unescaped(text: str) -> str:
    try:
        return unescape(text)
    except ValueError as error:  # a number of thousands of digits
        raise NoEcho("V524", phrase("a character reference that is no character")) from error


def _pairs(lines: Iterable[str], mark: str) -> Fields:
    pairs = (line.partition(mark) for line in lines)
    return [
        (_unescaped(name), _unescaped(value.strip(" \t"))) for name, found, value in pairs if found
    ]


def _told(pairs: Fields, wanted: str) -> str | None:
    values = [value for name, value in pairs if name == wanted and value not in ("", "N/A")]
    return values[0] if len(values) == 1 else None


def _echoserver(text: str) -> Echo | None:
    """registry.k8s.io/echoserver, from version 1.8 on."""
    sections = _sections(text)
    if sections is None:
        return None
    lines = sections["Request Headers"][1:]
    headers = _pairs(lines, "=")
    if not 0 < len(headers) == len(lines) < _MAX_FIELDS:
        return None
    pod, request = _pairs(sections["Pod Information"], ":"), sections["Request Information"]
    hostname = [("hostname", _unescaped(sections["Hostname"][0]))]
    return _echo(
        headers,
        peer=_told(_pairs(request, "="), "client_address"),
        pod=_told(pod, "pod name") or _told(hostname, "hostname"),
        node=_told(pod, "node name"),
        dashed=True,
    )._replace(namespace=_told(pod, "pod namespace"))


class Form(NamedTuple):
    """How to read the answers of one app: None where an answer is not of that form."""

    document: Callable[[_Object], Echo | None] | None = None
    text: Callable[[str], Echo | None] | None = None


#: Name of each form and how to read it. Each is strict enough that no answer is of two.
FORMATS: Mapping[str, Form] = {
    "kestrel": Form(_kestrel),
    "flask": Form(_flask),
    "whoami": Form(_whoami, _whoami_text),
    "echoserver": Form(text=_echoserver),
    "httpbin": Form(_httpbin),
    "http_echo": Form(_http_echo),
    "echo_basic": Form(_echo_basic),
}

#: What ``echo_format`` may be.
ECHO_FORMATS = ("auto", *FORMATS, "jmespath")


# --- Any other form -------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """JSON of dictionaries and lists; numbers stay text. Raises NoEcho for a repeated member."""
    if isinstance(value, _Object):
        members = {name: _plain(member) for name, member in value}
        if len(members) < len(value):
            raise NoEcho("V524", phrase("a member stands twice in one object"))
        return members
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _lines_of(found: object) -> Fields | None:
    """Header lines from ``{name: value}``, ``{name: [value, …]}`` or ``[[name, value], …]``."""
    if isinstance(found, dict):
        found = [
            [name, value]
            for name, values in found.items()
            for value in (values if isinstance(values, list) else [values])
        ]
    if not isinstance(found, list):
        return None
    if not all(isinstance(line, list) and [*map(type, line)] == [str, str] for line in found):
        return None
    return [(line[0], line[1]) for line in found]


def _texts(value: Any) -> Iterator[str]:
    """Every text in a document, names of members among them."""
    if isinstance(value, str):
        yield value
    members = [*value, *value.values()] if isinstance(value, dict) else value
    for one in members if isinstance(members, list) else ():
        yield from _texts(one)


def _addresses(texts: Iterable[str]) -> set[Address]:
    found = (parse_address(part) for text in texts for part in BETWEEN.split(text))
    return {one.address for one in found if one}


def _refuse_made_up(found: Mapping[str, Any], headers: Fields, document: Any) -> None:
    """What a query says of itself, whatever was answered, no app has seen."""
    told = {"", *_texts(document)}
    known = _addresses(told)
    held = {
        "headers": _addresses(value for _name, value in headers) <= known,
        "peer": _addresses([found["peer"] or ""]) <= known,
        "pod": (found["pod"] or "") in told,
    }
    for name in (one for one, is_held in held.items() if not is_held):
        query = f"echo_queries.{name}"
        raise NoEcho("V524", phrase("{query} finds what the answer does not hold", query=query))


def _queried(document: Any, queries: Queries) -> Echo:
    plain = _plain(document)
    try:
        found = queries.search(plain)
    except Failed as error:
        raise NoEcho("V524", str(error)) from error
    headers = _lines_of(found["headers"])
    if headers is None:
        raise NoEcho("V524", phrase("echo_queries.headers finds no header lines"))
    for name in ("peer", "pod", "node"):
        if not isinstance(found[name], (str, type(None))):
            raise NoEcho("V524", phrase("{query} finds no text", query=f"echo_queries.{name}"))
    _refuse_made_up(found, headers, plain)
    peer, pod, node = (_string(found[name]) for name in ("peer", "pod", "node"))
    # One value for each name: whether there were several lines can't be seen.
    members = found["headers"].values() if isinstance(found["headers"], dict) else ()
    merged = any(isinstance(value, str) for value in members)
    # Of an unknown app it isn't known what it leaves out.
    return _echo(headers, peer, pod, node, merged=merged)._replace(partial=True)


# --- Answers --------------------------------------------------------------------------------------


def _check_head(answer: Answer) -> None:
    location = answer.fields.get("location")
    if 300 <= answer.status < 400 and location:
        raise NoEcho("V517", location)
    if not 200 <= answer.status < 300:
        # Of a refusal it counts who says it: a firewall is known by its name.
        server = answer.fields.get("server") if answer.status == 403 else None
        named = f", Server: {server}" if server else ""
        raise NoEcho("V516", f"{answer.status} {answer.phrase}".strip() + named)
    encoding = answer.fields.get("content-encoding", "").strip()
    if encoding.lower() not in ("", "identity"):
        raise NoEcho("V520", encoding)


def _check_body(answer: Answer) -> None:
    begin = answer.body.lstrip()[:1]
    if not begin:
        raise NoEcho("V518")
    # Before the encoding: a block page in GBK is told better by what it is. The type alone says
    # little: an application that returns JSON as a string labels it as HTML.
    labelled = "html" in answer.fields.get("content-type", "").lower()
    if begin == b"<" or (labelled and begin not in (b"{", b"[")):
        raise NoEcho("V519")


def _read_text(body: bytes, forms: Iterable[Form]) -> Echo | None:
    # What stands in no header that matters may be of any encoding: the apps copy it as it came.
    text = body.decode("utf-8", "backslashreplace")
    found = (form.text(text) for form in forms if form.text)
    return next((echo for echo in found if echo is not None), None)


def _members(document: _Object) -> str:
    names = ", ".join(document.names()) or phrase("none")
    return phrase("members {names}", names=names)


def parse(answer: Answer, echo_format: str, queries: Queries | None = None) -> Echo:
    """What the echo app saw. ``echo_format``: one of ECHO_FORMATS, ``auto`` for whichever fits.

    ``queries``: for ``jmespath``. Raises NoEcho for every answer that isn't an echo app's.
    """
    _check_head(answer)
    _check_body(answer)
    if echo_format == "jmespath" and queries is not None:
        return _queried(_decode(answer.body), queries)
    forms = [*FORMATS.values()] if echo_format == "auto" else [FORMATS[echo_format]]
    echo = _read_text(answer.body, forms)
    if echo is not None:
        return echo
    if not any(form.document for form in forms):
        raise NoEcho("V524", phrase("no text of {form}", form=echo_format))
    document = _decode(answer.body)
    if not isinstance(document, _Object):
        raise NoEcho("V524", phrase("no object but {kind}", kind=type(document).__name__))
    for form in forms:
        echo = form.document(document) if form.document else None
        if echo is not None:
            return echo
    raise NoEcho("V524", _members(document))


#: Members under which services tell the caller's address: ipify and many others, httpbin.
_CALLER = ("ip", "origin")


def caller(answer: Answer) -> str:
    """The text in which a what-is-my-address service names the caller; the whole body or a member.

    Raises NoEcho as :func:`parse` does, but for a text that isn't an object with such a member.
    """
    _check_head(answer)
    _check_body(answer)
    if answer.body.lstrip()[:1] == b"{":
        document = _decode(answer.body)
        for name in _CALLER:
            value = _string(document.get(name))
            if value is not None:
                return value
        raise NoEcho("V524", _members(document))
    return answer.body.decode("utf-8", "replace").strip()
