# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What checks find, and how it is told."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._causes import CAUSES
from ansible_collections.kestrel.real_ip.plugins.module_utils._chinese_causes import CAUSES_ZH
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import printable
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import Text, filled, phrase
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import TrafficPath


class Seen(t.NamedTuple):
    """What a check found. ``evidence``: the very field or event; ``facts``: for the row's texts.

    ``fix`` and ``fix_kind`` replace the row's where the check knows better.
    """

    number: str
    kind: str
    name: str
    evidence: str
    facts: t.Mapping[str, t.Any] = {}
    fix: str | None = None
    fix_kind: str = ""


Check = t.Callable[[TrafficPath], t.Iterable[Seen]]

_EVIDENCE = 1000
#: Where a command begins, and where the next one does
_KUBECTL = re.compile(r"(^|&& )kubectl (?=-n |[a-z])")
#: Who lacks a right can't give it to himself: that takes credentials that nothing is known of.
_BY_ANOTHER = ("P003",)


def finding(path: TrafficPath, seen: Seen) -> dict[str, t.Any]:
    """One finding as traffic_path_info returns it."""
    row, other = CAUSES[seen.number], CAUSES_ZH[seen.number]
    own = {"namespace": path.namespace, "kind": seen.kind.lower(), "name": seen.name}
    # Messages of registries and apps are anybody's text.
    shown = {key: printable(value, _EVIDENCE) for key, value in {**own, **seen.facts}.items()}
    # A command is made of names that the API server has checked; escaping would change it.
    exact = {key: str(value) for key, value in {**own, **seen.facts}.items()}
    fix, kind = (seen.fix, seen.fix_kind) if seen.fix is not None else (row.fix, row.fix_kind)
    if seen.fix is None and kind in ("command", "variable"):
        fix = fix.format_map(exact)
    elif seen.fix is None:
        fix = filled(row.fix, other.fix, shown)
    see = _at(path, row.see.format_map(shown))
    if kind in ("command", "variable") and not fix.isprintable():
        fix, kind = phrase("See {command}", command=see), "console"
    elif kind == "command" and seen.number not in _BY_ANOTHER:
        fix = _at(path, fix)
    return {
        "code": seen.number,
        "severity": row.severity,
        "title": Text(row.title, other.title),
        "object": phrase("{kind} {name}", kind=phrase(seen.kind), name=printable(seen.name)),
        "hop": row.hop,
        "evidence": printable(seen.evidence, _EVIDENCE),
        "cause": filled(row.cause, other.cause, shown),
        "fix": printable(fix, 2000) if kind not in ("command", "variable") else fix,
        "fix_kind": kind,
        "see": see,
        "link": row.link,
    }


def _at(path: TrafficPath, command: str) -> str:
    """A command that asks the cluster that was read: another one is changed in its place else."""
    return _KUBECTL.sub(lambda found: f"{found[1]}{path.context.kubectl} ", command)
