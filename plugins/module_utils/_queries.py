# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""JMESPath expressions that read an answer of any form: the operator's, over an attacker's data.

The library is needed only where such expressions are given. Neither what it costs to evaluate them
nor what they find can grow beyond a bound, whatever an answer holds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

try:
    from jmespath import compile as _compile
    from jmespath.visitor import TreeInterpreter
except ImportError:
    HAS_JMESPATH = False
    TreeInterpreter = object
else:
    HAS_JMESPATH = True

#: What can be asked for; the first one has to be.
NAMES = ("headers", "peer", "pod", "node")

_MAX_LENGTH = 1000
_MAX_DEPTH = 50

# Steps and elements: some ten steps for each element of the longest answer with a plain expression.
_MAX_COST = 1_000_000

# What they do takes more than linear time in the length of a number or of a nested value.
_REFUSED = ("to_number", "to_string")


class WrongQuery(ValueError):
    """An expression can't be used. ``name``: which one; the message says why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


class Failed(Exception):
    """An expression can't be evaluated on this answer."""


class _TooMuch(Exception):
    pass


class _Interpreter(TreeInterpreter):  # type: ignore[misc]
    """Evaluates one expression and gives up when it costs too much."""

    def __init__(self) -> None:
        super().__init__()
        self._left = _MAX_COST

    def visit(self, node: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        found = super().visit(node, *args, **kwargs)
        self._left -= 1 + (len(found) if isinstance(found, (list, dict)) else 0)
        if self._left < 0:
            raise _TooMuch
        return found


class Queries(NamedTuple):
    """Name of each query, of NAMES, to its parsed expression."""

    parsed: Mapping[str, Any]

    def search(self, document: Any) -> dict[str, Any]:
        """What each query finds, None for those that were not given. Raises Failed."""
        found = dict.fromkeys(NAMES)
        for name, expression in self.parsed.items():
            try:
                found[name] = _Interpreter().visit(expression, document)
            except _TooMuch as error:
                raise Failed(f"echo_queries.{name} costs too much on this answer") from error
            except Exception as error:  # the library lets errors of its operators through
                kind = type(error).__name__
                raise Failed(f"echo_queries.{name} fails on this answer: {kind}") from error
        return found


def _nodes(tree: Any, depth: int = 1) -> Iterator[tuple[Any, int]]:
    yield tree, depth
    if depth <= _MAX_DEPTH:
        for child in tree.get("children") or ():
            if isinstance(child, dict) and "type" in child:
                yield from _nodes(child, depth + 1)


def _parse(name: str, text: object) -> Any:
    if not isinstance(text, str) or not text.strip():
        raise WrongQuery(name, "must be a JMESPath expression")
    if len(text) > _MAX_LENGTH:
        raise WrongQuery(name, f"must not be longer than {_MAX_LENGTH} characters")
    try:
        tree = _compile(text).parsed
        nodes = [*_nodes(tree)]
    except RecursionError as error:
        raise WrongQuery(name, "is nested too deeply") from error
    except ValueError as error:
        why = " ".join(str(error).split())
        raise WrongQuery(name, f"is no JMESPath expression: {why}") from error
    if any(depth > _MAX_DEPTH for _node, depth in nodes):
        raise WrongQuery(name, "is nested too deeply")
    for node, _depth in nodes:
        if node["type"] == "function_expression" and node["value"] in _REFUSED:
            raise WrongQuery(name, f"must not use {node['value']}")
    return tree


_EMPTY: tuple[Any, ...] = ({}, [])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    for one in value if isinstance(value, (list, tuple)) else ():
        yield from _texts(one)


def _refuse_constant(name: str, tree: Any) -> None:
    """What an answer that tells nothing seems to tell, the operator says himself."""
    for nothing in _EMPTY:
        try:
            found = _Interpreter().visit(tree, nothing)
        except Exception:  # nor does it find anything then
            continue
        if name == NAMES[0]:
            lines = [*found.items()] if isinstance(found, dict) else found or []
            # The name of a header line may be the operator's.
            found = [line[1:] for line in lines if isinstance(line, (list, tuple))]
        for text in _texts(found):
            why = f"finds {text!r} in an empty answer too, and not in what was answered"
            raise WrongQuery(name, why)


def compile_queries(given: Mapping[str, object]) -> Queries:
    """Parse the expressions. Raises WrongQuery for the first one that can't be used."""
    if not HAS_JMESPATH:
        why = f"needs the Python library jmespath: {sys.executable} -m pip install jmespath"
        raise WrongQuery("", why)
    for name in given:
        if name not in NAMES:
            raise WrongQuery(str(name), f"must be one of {', '.join(NAMES)}")
    queries = {name: given[name] for name in NAMES if given.get(name) not in (None, "")}
    if NAMES[0] not in queries:
        raise WrongQuery(NAMES[0], "must be given")
    parsed = {name: _parse(name, text) for name, text in queries.items()}
    for name, tree in parsed.items():
        _refuse_constant(name, tree)
    return Queries(parsed)
