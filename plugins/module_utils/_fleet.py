# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What a run over many clusters says in its end: one page for all, worst first."""

from __future__ import annotations

import shlex
import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    VERDICTS,
    kind_of,
    printable,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import cut
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import (
    FIXES,
    NOT_RUN,
    WIDTH,
    Data,
    addresses_seen,
    is_diagnosis,
    labelled,
)

Rows = list[tuple[str, Data]]

#: Up to so many clusters each has a row of its own, and a page before. Of more, the good ones are
#: named on a few lines, since a person looks for the others.
FEW = 10
#: Names of good clusters, or of those left out, that are listed; more would hide the bad ones.
_NAMES = 100

# A diagnosis draws no verdict, so that what it found stands in the place of one.
_CAUSE, _NO_CAUSE = "cause", "no cause"
#: A host that came to the end without a verdict having been asked for
_DONE = "done"
_GOOD = (VERDICTS[-1], _NO_CAUSE, _DONE)
_ORDER = (*VERDICTS[:-1], NOT_RUN, _CAUSE, _NO_CAUSE, VERDICTS[-1], _DONE)

# Widths of the columns before the one with free text
_STATE, _CODE = 11, 6
_LONGEST_NAME = 32


def state(found: Data) -> str:
    """The verdict of an entry of ``real_ip_results``, or what a diagnosis has in its place."""
    if not found:
        return _DONE
    if is_diagnosis(found):
        return _CAUSE if found["code"] else _NO_CAUSE
    return str(found["verdict"])


def worst_first(results: t.Mapping[str, Data]) -> Rows:
    """Names and entries, worst first; those with the same code together, else as they come."""

    def place(row: tuple[str, Data]) -> tuple[int, tuple[str, str]]:
        return _ORDER.index(state(row[1])), _codes(row[1])

    return sorted(results.items(), key=place)


def fleet_page(results: t.Mapping[str, Data], left_out: t.Sequence[str] = ()) -> str:
    """The page for all clusters of a run, at most 100 columns wide.

    ``results``: host to its entry in ``real_ip_results``, empty where no verdict was asked for.
    ``left_out``: hosts of the group that the run was not to look at.
    """
    rows = worst_first(results)
    few = len(rows) <= FEW
    shown = [row for row in rows if few or state(row[1]) not in _GOOD]
    points = [name for __, found in shown for name in found.get("vantages") or {}] if few else []
    names = [name for name, __ in shown] + [f"  {name}" for name in points]
    width = min(_LONGEST_NAME, max(map(len, names), default=0)) + 2
    lines = [f"{len(rows)} CLUSTERS: {_counts(map(state, results.values()))}"]
    for name, found in shown:
        lines.append(_row(name, found, width))
        if few:
            vantages = worst_first(found.get("vantages") or {})
            lines += [_row(f"  {point}", one, width) for point, one in vantages]
    if not few:
        for one in _GOOD:
            lines += _named(one, [name for name, found in rows if state(found) == one])
    lines += _vantages(results)
    lines += _named("left out", left_out)
    for (what, __), group in _alike(shown).items():
        lines += ["", *_why(what, group)]
    # Of few each has its page.
    return "\n".join([*lines, *([] if few else _warnings(rows))])


def _warnings(rows: Rows) -> list[str]:
    """Each kind of warning once, in the words about the first cluster that has it, the rarest
    first: what is open everywhere, as node ports, may have to be.
    """
    kinds: dict[str, dict[str, str]] = {}
    for name, found in rows:
        for text in found.get("warnings_found") or []:
            kinds.setdefault(kind_of(text), {}).setdefault(name, str(text))
    table = [
        ("warning", f"{_some([*told])}: {next(iter(told.values()))}")
        for told in sorted(kinds.values(), key=len)
    ]
    return ["", *labelled(table)] if table else []


def _some(names: t.Sequence[str]) -> str:
    more = f" and {len(names) - _ALIKE} more" if len(names) > _ALIKE else ""
    return f"{', '.join(printable(name, 63) for name in names[:_ALIKE])}{more}"


def _counts(states: t.Iterable[str]) -> str:
    counted = list(states)
    present = [one for one in _ORDER if one in counted]
    return ", ".join(f"{counted.count(one)} {one}" for one in present)


def _codes(found: Data) -> tuple[str, str]:
    """The code of an entry and that of its cause, each ``-`` where there is none."""
    return str(found.get("code") or "-"), str((found.get("cause") or {}).get("code") or "-")


def _row(name: str, found: Data, width: int) -> str:
    """One line: the state, its code, the cause, the name, and what was seen or why nothing was."""
    told = addresses_seen(found) if found.get("observed") else str(found.get("reason") or "")
    if state(found) == NOT_RUN:
        # Which step it was is told below, where there is room.
        told = told.partition(": ")[2] or told
    code, cause = _codes(found)
    head = f"  {state(found):<{_STATE}}{code:<{_CODE}}{cause:<{_CODE}}"
    return f"{head}{printable(name, width - 2):<{width}}{_cut(told, WIDTH - len(head) - width)}"


def _cut(text: str, limit: int) -> str:
    """A reason was escaped when it was made, and isn't a second time."""
    return cut(text, limit)


def _named(label: str, names: t.Sequence[str]) -> list[str]:
    """How many there are, and their names as long as a person would read them."""
    if not names:
        return []
    more = [f"and {len(names) - _NAMES} more"] if len(names) > _NAMES else []
    listed = ", ".join([*(printable(name, 63) for name in names[:_NAMES]), *more])
    return [*labelled([(label, f"{len(names)}: {listed}")], width=_STATE + 2)]


def _vantages(results: t.Mapping[str, Data]) -> list[str]:
    """What each vantage point found, over all clusters: a dead one shows at once."""
    points: dict[str, list[str]] = {}
    for found in results.values():
        for name, one in (found.get("vantages") or {}).items():
            points.setdefault(name, []).append(state(one))
    if len(points) < 2:
        return []
    table = [
        ("from", f"{printable(name, 63)}: {_counts(states)}") for name, states in points.items()
    ]
    return [*labelled(table, width=_STATE + 2)]


def _alike(shown: Rows) -> dict[tuple[str, str], Rows]:
    """The bad clusters by what is wrong, in their order: often one thing is wrong with many."""
    groups: dict[tuple[str, str], Rows] = {}
    for name, found in shown:
        if state(found) in _GOOD:
            continue
        words = dict.fromkeys((state(found), *_codes(found)))
        what = " ".join(one for one in words if one != "-")
        # Without a code the reason tells them apart.
        mark = "" if found["code"] else str(found["reason"])
        groups.setdefault((what, mark), []).append((name, found))
    return groups


def _why(what: str, group: Rows) -> list[str]:
    """What is wrong with some clusters, in the words about the first of them, and what mends it."""
    first = group[0][1]
    cause = first.get("cause") or {}
    table = [("reason", str(first["reason"]))]
    if cause:
        table += [
            ("cause", f"{cause['code']} {cause['object']}: {cause['cause']}"),
            (FIXES[cause["fix_kind"]], _for_one(str(cause["fix"]), group[0][0])),
        ]
    return [_cut(f"{what}: {_some([name for name, __ in group])}", WIDTH), *labelled(table)]


def _for_one(fix: str, name: str) -> str:
    """A fix that runs a playbook is for the cluster that it was found for, and not for all."""
    return f"{fix} --limit {shlex.quote(name)}" if fix.startswith("ansible-playbook ") else fix


#: Clusters that are named where the same is wrong with them
_ALIKE = 3
