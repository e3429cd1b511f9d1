# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The report as one page of HTML: it asks nobody for anything, and needs no script."""

from __future__ import annotations

import textwrap
import typing as t
from collections import Counter
from pathlib import Path

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import visible
from ansible_collections.kestrel.real_ip.plugins.module_utils._fleet import worst_first
from ansible_collections.kestrel.real_ip.plugins.module_utils._forgery import telling
from ansible_collections.kestrel.real_ip.plugins.module_utils._report import (
    RESULTS,
    Document,
    further,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import FIXES
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

Data = t.Mapping[str, t.Any]

_TEMPLATE = Path(__file__).parent / "report.html.j2"

#: A sign for each verdict, so that nobody has to tell them apart by their colours.
SIGNS = {
    "no_answer": "∅",
    "lost": "✕",
    "mixed": "≠",
    "forgeable": "!",
    "unproven": "?",
    "not_run": "–",
    "preserved": "✓",
}

# Of the picture, in its own units: the heights of lines and gaps, and characters in a line
_HEIGHT, _GAP = 15, 30
_WRAPPER = textwrap.TextWrapper(42, break_on_hyphens=False)


def html(found: Document) -> str:
    """The text of the page."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    results = dict(worst_first(found[RESULTS]))
    names = dict.fromkeys(name for one in results.values() for name in one.get("vantages") or {})
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        run=found["run"],
        results=results,
        evidence=found["evidence"],
        vantages=[*names],
        counts=Counter(one["verdict"] for one in results.values()),
        signs=SIGNS,
        fixes=FIXES,
        ids={host: f"cluster-{number}" for number, host in enumerate(results, 1)},
        hops=hops,
        further=further,
        telling=telling,
        expected=lambda one: ", ".join(map(str, one.get("expected") or ())) or "nothing given",
        seen=seen,
    )


def _shown(value: t.Any) -> t.Any:
    # What was escaped for HTML is ours; all else can hold what others wrote.
    return value if isinstance(value, Markup) or not isinstance(value, str) else visible(value)


def seen(one: Data) -> str:
    """The addresses that were seen, with how often, as a person reads them."""
    observed = one.get("observed") or {}
    return ", ".join(f"{address} ({count})" for address, count in observed.items()) or "nothing"


class Hop(t.NamedTuple):
    """A part of the way in the picture: where it stands, and its lines of text.

    ``past``: it lies behind the broken one.
    """

    name: str
    lines: list[str]
    broken: bool
    past: bool
    top: int
    height: int


def hops(path: t.Sequence[Data]) -> list[Hop]:
    """The parts of a way, one below the other."""
    placed: list[Hop] = []
    for one in path:
        texts = one["objects"] or ([] if one["hop"] == "client" else ["none"])
        lines = [line for text in texts for line in _WRAPPER.wrap(visible(text))]
        past = bool(placed) and (placed[-1].broken or placed[-1].past)
        top = placed[-1].top + placed[-1].height + _GAP if placed else 0
        height = _HEIGHT * (1 + len(lines))
        placed.append(Hop(one["hop"], lines, one["broken"], past, top, height))
    return placed
