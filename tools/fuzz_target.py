# SPDX-License-Identifier: GPL-3.0-or-later
# Its decorator has no annotations where this is checked: atheris isn't installed there.
# mypy: disable-error-code="no-any-return"
"""What must hold for any answer, for libFuzzer; tools/fuzz.py runs it.

The first byte of an input says how it is read, the others are the body.
"""

from __future__ import annotations

import codecs
import sys
from typing import Any, Final

import atheris

with atheris.instrument_imports():
    from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import CODES, printable
    from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
        canonical,
        client_ip,
        elements,
    )
    from ansible_collections.kestrel.real_ip.plugins.module_utils._echo import (
        FORMATS,
        Answer,
        Echo,
        NoEcho,
        caller,
        parse,
    )
    from ansible_collections.kestrel.real_ip.plugins.module_utils._queries import compile_queries

STRATEGIES: Final[tuple[dict[str, Any], ...]] = (
    {"strategy": "peer"},
    {"strategy": "single_header", "header": "X-Real-IP"},
    {"strategy": "rightmost_trusted_count", "trusted_count": 1},
    {"strategy": "rightmost_trusted_count", "header": "Forwarded", "trusted_count": 2},
    {"strategy": "rightmost_trusted_range", "trusted_ranges": ["10.0.0.0/8", "fd00::/8"]},
    {"strategy": "rightmost_trusted_range", "header": "Forwarded", "trusted_ranges": ["::/0"]},
    {"strategy": "rightmost_non_private"},
    {"strategy": "leftmost_non_private", "header": "Forwarded"},
)
QUERIES: Final = tuple(
    compile_queries({"headers": headers, "peer": more, "pod": more, "node": more})
    for headers in ("headers", "headers[*].[name, value]", "*.*[]", "keys(@)[*].[@, @]")
    for more in ("peer", "values(@)[0]", "max_by(headers, &peer)", "join(',', keys(@))", "*[?a<b]")
)

#: Nothing in an answer is a program or a name of a file.
FORBIDDEN: Final = ("compile", "exec", "import", "open", "os.", "socket.", "subprocess.")
watching = False


def _watch(event: str, _arguments: object) -> None:
    if watching and event.startswith(FORBIDDEN):
        raise AssertionError(f"an answer made Python do this: {event}")


def _check_refusal(error: NoEcho) -> None:
    assert CODES[error.number].verdict == "no_answer"
    assert printable(error.detail).isprintable()


def _check_echo(echo: Echo, size: int) -> None:
    texts = [text for text in (echo.peer, echo.pod, echo.node, *echo.nonces) if text]
    texts += [text for line in echo.headers for text in line]
    # Escapes of JSON and of invalid bytes are the longest: four characters for a byte. A query may
    # find one text in each of its places.
    assert sum(map(len, texts)) <= 40 * size + 40
    for text in texts:
        assert printable(text).isprintable()
        assert len(printable(text)) <= 400
    for strategy in STRATEGIES:
        seen = client_ip(echo.headers, echo.peer, **strategy)
        assert seen is None or canonical(seen) == seen
    for header in ("X-Forwarded-For", "Forwarded"):
        for one in elements(echo.headers, header):
            assert one is None or canonical(one) == one
        echo.hides(header, as_list=False)


def _attempt(answer: Answer, form: str, queries: Any = None) -> Echo | None:
    try:
        echo = parse(answer, form, queries)
    except NoEcho as error:
        _check_refusal(error)
        return None
    _check_echo(echo, len(answer.body))
    return echo


def check(data: bytes) -> None:
    """Raise for whatever must not come out of an answer."""
    way, body = data[:1], data[1:]
    answer = Answer(200, "OK", {"content-type": "text/plain"}, body)
    if way and way[0] % 4 == 1:
        _attempt(answer, "jmespath", QUERIES[way[0] // 4 % len(QUERIES)])
    elif way and way[0] % 4 == 2:
        try:
            assert len(caller(answer)) <= len(body)
        except NoEcho as error:
            _check_refusal(error)
    elif way and way[0] % 4 == 3:
        value = body.decode("latin-1")
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
            _check_echo(Echo([(name, value)] * 2, value, None, None, frozenset()), 2 * len(body))
    else:
        found = [echo for name in FORMATS if (echo := _attempt(answer, name)) is not None]
        assert len(found) <= 1, "an answer of two forms"
        assert _attempt(answer, "auto") == (found[0] if found else None)


def test_one_input(data: bytes) -> None:
    """Watch what Python does meanwhile."""
    global watching
    watching = True
    try:
        check(data)
    finally:
        watching = False


if __name__ == "__main__":
    # Python looks its codecs up when they are first needed, by an import.
    for codec in ("utf-8-sig", "unicode_escape", "latin-1"):
        codecs.lookup(codec)
    sys.addaudithook(_watch)
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
