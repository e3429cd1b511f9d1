# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Texts in the languages that a person can ask for.

All is decided and compared in English. A text that a person may read in Chinese too is a
:class:`Text`: the English one, with the Chinese one beside it. What a module or an action returns
goes through :func:`in_language` at its very end, so that nothing before it depends on a language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from string import Formatter
from typing import Any

from ansible_collections.kestrel.real_ip.plugins.module_utils._chinese import PHRASES

LANGUAGES = ("en", "zh")
DEFAULT_LANGUAGE = "en"


class Text(str):
    """An English text with the Chinese one. What is made of it as of any str is English alone."""

    chinese: str

    def __new__(cls, english: str, chinese: str) -> Text:
        made = super().__new__(cls, english)
        made.chinese = chinese
        return made

    def __reduce__(self) -> tuple[type[Text], tuple[str, str]]:
        """For pickle: without both, who is sent such a text by another process waits for ever."""
        return Text, (str(self), self.chinese)


def chinese(value: object) -> str:
    """The Chinese text where there is one, else the value's own: names and numbers have none."""
    return value.chinese if isinstance(value, Text) else str(value)


def filled(english: str, template: str, facts: Mapping[str, object]) -> Text:
    """Both templates of str.format, filled in with the same facts.

    Between Chinese and other words stands a space, between Chinese and Chinese none: which of both
    a fact is shows only here.
    """
    said = ""
    for literal, name, _format, _conversion in Formatter().parse(template):
        said = _met(said, literal)
        if name is not None:
            said = _met(said, chinese(facts[name]))
    return Text(english.format_map(facts), said)


def _met(left: str, right: str) -> str:
    if left.endswith(" ") and _is_wide(left[-2:-1]) and _is_wide(right[:1]):
        return left[:-1] + right
    if right.startswith(" ") and _is_wide(left[-1:]) and _is_wide(right[1:2]):
        return left + right[1:]
    return left + right


def _is_wide(char: str) -> bool:
    return bool(char) and unicodedata.east_asian_width(char) in "WF"


def phrase(english: str, /, **facts: object) -> Text:
    """A phrase of the table PHRASES, filled in. A test holds the table to what is asked of it."""
    return filled(english, PHRASES.get(english, english), facts) if facts else _plain(english)


# Most are words that have nothing to be filled in, and each answer needs some.
@cache
def _plain(english: str) -> Text:
    return filled(english, PHRASES.get(english, english), {})


_NOTHING = Text("", "")


def joined(joint: str, texts: Iterable[object]) -> Text:
    """The texts with a joint of the table PHRASES between them."""
    several = list(texts)
    if not several:
        return _NOTHING
    return Text(
        joint.join(map(str, several)), PHRASES.get(joint, joint).join(map(chinese, several))
    )


def in_language(value: Any, language: str) -> Any:
    """The value with every text in it in one language, as plain str."""
    if isinstance(value, str):
        return chinese(value) if language == "zh" else str(value)
    if isinstance(value, Mapping):
        return {in_language(k, language): in_language(one, language) for k, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(in_language(one, language) for one in value)
    return value


# --- Columns of a terminal ------------------------------------------------------------------------


def columns(text: str) -> int:
    """How many columns of a terminal the text takes: Chinese characters take two."""
    return sum(0 if unicodedata.combining(one) else 2 if _is_wide(one) else 1 for one in text)


def padded(text: str, width: int) -> str:
    """The text with spaces behind it, up to a width in columns."""
    return text + " " * (width - columns(text))


def cut(text: str, width: int) -> str:
    """The text in at most so many columns, the last one an ellipsis where something is left out."""
    if columns(text) <= width:
        return text
    while columns(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


#: What no line begins with, and what none ends with
_CLOSING = "，。、；：！？）》」』\u201d\u2019…"
_OPENING = "（《「『\u201c\u2018"
_WIDE = r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]"
_PIECES = re.compile(
    rf"\s+|[{_OPENING}]*(?:{_WIDE}|[^\s{_OPENING}]+?(?=$|\s|{_WIDE}|[{_OPENING}{_CLOSING}]))"
    rf"[{_CLOSING}]*"
)


def _pieces(text: str) -> Iterator[str]:
    """What can't be broken: spaces, words, and single characters of Chinese with their marks."""
    return (found.group() for found in _PIECES.finditer(text) if found.group())


def wrapped(text: str, width: int, first: str = "", further: str = "") -> list[str]:
    """The text in lines of at most so many columns. Words and commands are never broken.

    ``first``, ``further``: what the first line begins with, and each one after it.
    """
    lines, line, held = [], first, ""
    filled_in = False
    for piece in _pieces(text.strip()):
        if piece.isspace():
            held = " " * len(piece)
        elif filled_in and columns(line) + len(held) + columns(piece) > width:
            lines.append(line)
            line, held = further + piece, ""
        else:
            line, held, filled_in = f"{line}{held}{piece}", "", True
    return [*lines, line] if filled_in else []
