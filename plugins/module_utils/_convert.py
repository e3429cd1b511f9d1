# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""From what a user, a survey or an inventory gives to a value; ``ValueError`` where it can't be."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping, Sequence

# RFC 1123 subdomain, as Kubernetes wants it for names of Ingresses, Secrets and the like
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def plain_text(value: t.Any) -> str:
    """Text without control characters, and without blanks around it."""
    if not isinstance(value, str):
        told = "" if value is None else ": put it in quotes"
        raise ValueError(f"expected text, got {kind_of(value)}{told}")
    if not value.isprintable():
        raise ValueError("control characters are not allowed")
    return value.strip()


def kind_of(value: t.Any) -> str:
    """Of what kind a value is, as a person calls it."""
    if value is None:
        return "nothing"
    for kind, name in ((bool, "a boolean"), (int, "an integer"), (float, "a number")):
        if isinstance(value, kind):
            return name
    if isinstance(value, Mapping):
        return "a dictionary"
    return "a list" if isinstance(value, Sequence) and not isinstance(value, str) else "text"


def matching(pattern: re.Pattern[str], wanted: str, longest: int) -> t.Callable[[t.Any], str]:
    """Takes texts of a form, of which ``wanted`` speaks."""

    def convert(value: t.Any) -> str:
        text = plain_text(value)
        if len(text) > longest or not pattern.match(text):
            raise ValueError(f"expected {wanted} of at most {longest} characters, got {text!r}")
        return text

    return convert


def integer(least: int, most: int) -> t.Callable[[t.Any], int]:
    """Takes integers within bounds, also as text."""

    def convert(value: t.Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise ValueError(f"expected an integer, got {kind_of(value)}")
        if isinstance(value, str) and not re.match(r"\s*[-+]?[0-9]{1,18}\s*\Z", value):
            raise ValueError(f"expected an integer, got {value!r}")
        number = int(value)
        if not least <= number <= most:
            raise ValueError(f"expected {least} to {most}, got {number}")
        return number

    return convert


def boolean(value: t.Any) -> bool:
    """A boolean, also one as text."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE + _FALSE:
        return text in _TRUE
    raise ValueError(f"expected true or false, got {value!r}")


def choice(*choices: str) -> t.Callable[[t.Any], str]:
    """Takes one of these texts."""

    def convert(value: t.Any) -> str:
        text = plain_text(value)
        if text not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}, got {text!r}")
        return text

    return convert


def list_of(item: t.Callable[[t.Any], t.Any]) -> t.Callable[[t.Any], list[t.Any]]:
    """Takes lists, also as text with commas or newlines between what ``item`` takes."""

    def convert(value: t.Any) -> list[t.Any]:
        if isinstance(value, str):
            value = [part.strip() for part in re.split(r"[,\n]", value) if part.strip()]
        if isinstance(value, Mapping) or not isinstance(value, Sequence):
            raise ValueError(f"expected a list, got {kind_of(value)}")
        return [item(element) for element in value]

    return convert


def dictionary(value: t.Any) -> Mapping[t.Any, t.Any]:
    """A dictionary and nothing else."""
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a dictionary, got {kind_of(value)}")
    return value


def object_name(value: t.Any) -> str:
    """A name as most kinds of Kubernetes take it."""
    return matching(_SUBDOMAIN, "a name in lower case, with digits, dashes and dots", 253)(value)
