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
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple

Fields = list[tuple[str, str]]

#: Each request carries its nonce in this header line and in this parameter of the query.
NONCE_HEADER = "X-Kestrel-Nonce"
NONCE_PARAMETER = "kestrel_nonce"

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

    ``headers``: the request's header lines in order; ``peer``: the socket peer, None where the app
    doesn't tell it, likewise ``pod`` and ``node``; ``nonces``: every nonce that the answer claims.
    """

    headers: Fields
    peer: str | None
    pod: str | None
    node: str | None
    nonces: frozenset[str]


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
        raise NoEcho("V521", f"byte {error.start}") from error
    if _too_deep(text):
        raise NoEcho("V523")
    try:
        return _DECODER.decode(text)
    except ValueError as error:
        raise NoEcho("V522", str(error)) from error


# --- Forms ----------------------------------------------------------------------------------------


def _string(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _kestrel(document: _Object) -> Echo | None:
    """The collection's own echo app.

    ``{"kestrel": 1, "headers": [[name, value], …], "peer": {"address": …, "port": …}, "pod": …,
    "node": …, "nonce": …}``; further members are not looked at.
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
    )


def _flask(document: _Object) -> Echo | None:
    """The document's image: ``{"headers": {name: value, …}, "method": …, "message": …}``.

    Any further member makes it another app: httpbin's answer looks the same but hides the very
    headers that matter, so that it would seem that they were lost.
    """
    headers = document.get("headers")
    if not isinstance(headers, _Object) or not {*document.names()} <= {
        "headers",
        "method",
        "message",
    }:
        return None
    if not all(isinstance(value, str) for _name, value in headers):
        return None
    return _echo([*headers])


def _echo(
    headers: Fields,
    peer: str | None = None,
    pod: str | None = None,
    node: str | None = None,
    nonce: str | None = None,
) -> Echo:
    claimed = {value for name, value in headers if name.lower() == NONCE_HEADER.lower()}
    return Echo(headers, peer, pod, node, frozenset(claimed | ({nonce} if nonce else set())))


#: Name of each form and how to read it: None where a document is not of that form. Each is strict
#: enough that no document is of two.
FORMATS: Mapping[str, Callable[[_Object], Echo | None]] = {
    "kestrel": _kestrel,
    "flask": _flask,
}


# --- Answers --------------------------------------------------------------------------------------


def _check_head(answer: Answer) -> None:
    location = answer.fields.get("location")
    if 300 <= answer.status < 400 and location:
        raise NoEcho("V517", location)
    if not 200 <= answer.status < 300:
        raise NoEcho("V516", f"{answer.status} {answer.phrase}".strip())
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


def parse(answer: Answer, echo_format: str) -> Echo:
    """What the echo app saw. ``echo_format``: one of FORMATS, or ``auto`` for whichever fits.

    Raises NoEcho for every answer that isn't an echo app's.
    """
    _check_head(answer)
    _check_body(answer)
    document = _decode(answer.body)
    if not isinstance(document, _Object):
        raise NoEcho("V524", f"no object but {type(document).__name__}")
    for read in FORMATS.values() if echo_format == "auto" else [FORMATS[echo_format]]:
        echo = read(document)
        if echo is not None:
            return echo
    raise NoEcho("V524", f"members {', '.join(document.names()) or 'none'}")


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
        raise NoEcho("V524", f"members {', '.join(document.names()) or 'none'}")
    return answer.body.decode("utf-8", "replace").strip()
