# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What a run says in its end: one entry for machines, a few lines for a person."""

from __future__ import annotations

import re
import textwrap
import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import printable
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import SETTINGS

Data = t.Mapping[str, t.Any]

# Fits a terminal of 100 columns, label included.
WIDTH = 98
LABEL = 11


def entry(probe: Data | None, failure: Data | None, facts: Data) -> dict[str, t.Any]:
    """The entry of a host in ``real_ip_results``.

    ``probe`` is the result of source_ip_info (skipped where there was nothing to probe),
    ``failure`` has ``task`` and ``msg`` of a step that failed before it; ``facts`` are added.
    """
    if failure:
        told: dict[str, t.Any] = {
            "verdict": "not_run",
            "reason": f"{failure['task']}: {failure['msg']}",
        }
    elif not probe or probe.get("skipped"):
        reason = "Check mode: the deployment doesn't exist yet, so there was nothing to probe."
        told = {"verdict": "not_run", "reason": reason}
    else:
        told = dict(probe)
    fields = ("verdict", "code", "reason", "expected", "expected_from", "observed")
    found: dict[str, t.Any] = {field: told.get(field) for field in fields}
    found["reason"] = " ".join(str(found["reason"]).split())
    # A verdict's reason is escaped already; a message of another module can hold anything.
    if failure:
        found["reason"] = printable(found["reason"], 4000)
    targets = told.get("targets") or []
    found["address"] = [one.get("name") for one in targets]
    found["vantage"] = told.get("vantage")
    return {**found, **facts}


def line(host: str, result: Data) -> str:
    """The one line that scripts look for."""
    return f"real_ip: {host} {result['verdict']} {result['code'] or '-'} {result['reason']}"


def rows(result: Data, probe: Data, then: t.Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Label and text of each line that a person reads, most important first."""
    observed = result["observed"] or {}
    backends = probe.get("backends") or []
    fates = probe.get("forgery") or {}
    safe = probe.get("safe_strategy") or {}
    total = sum(observed.values())
    seen = ", ".join(f"{one} ({count} of {total})" for one, count in observed.items())
    expected = ", ".join(map(str, result["expected"] or []))
    source = f" ({result['expected_from']})" if result["expected_from"] else ""
    table = [
        ("seen", seen or "nothing"),
        ("expected", f"{expected}{source}" if expected else "none given"),
        ("address", ", ".join(map(str, result["address"]))),
        *(("backend", text) for text in _backends(backends)),
        ("forged", ", ".join(f"{name} {one}" for name, one in fates.items())),
        ("trust", ", ".join(f"{key} {value}" for key, value in safe.items())),
        ("reason", result["reason"]),
        *(("warning", text) for text in probe.get("warnings_found") or []),
        ("fix", with_variables(probe.get("fix") or "")),
        *then,
    ]
    return [(label, text) for label, text in table if text]


def following(playbooks: str) -> list[tuple[str, str]]:
    """What comes next, and its command. ``playbooks`` is what stands before a playbook's name."""
    suffix = "" if playbooks.endswith(".") else ".yml"
    return [
        ("again", f"ansible-playbook {playbooks}verify{suffix}"),
        ("remove", f"ansible-playbook {playbooks}teardown{suffix}"),
    ]


def with_variables(text: str) -> str:
    """``text`` about options of source_ip_info, with the variables that a playbook's user sets.

    Options whose names are plain words count only where a value follows, as in ``layer: l4``.
    """

    def variable(found: re.Match[str]) -> str:
        name = f"real_ip_{found.group('name')}"
        return f"{name}{found.group('colon')}" if name in SETTINGS else found.group()

    return re.sub(r"\b(?P<name>[a-z]+(?:_[a-z]+)+|[a-z]+(?=:))(?P<colon>:?)", variable, text)


def _backends(backends: t.Iterable[Data]) -> list[str]:
    return [
        f"{one.get('name') or 'pods, which the echo app does not name'}: "
        + ", ".join(
            f"{address} ({count})" for address, count in (one.get("observed") or {}).items()
        )
        for one in backends
    ]


def page(host: str, result: Data, table: t.Iterable[tuple[str, str]]) -> str:
    """The lines of ``rows`` as a page of at most 100 columns."""
    code = f" ({result['code']})" if result["code"] else ""
    lines = [f"{host}: {str(result['verdict']).upper()}{code}"]
    for label, text in table:
        lines += textwrap.wrap(
            text,
            WIDTH,
            initial_indent=f"  {label:<{LABEL - 2}}",
            subsequent_indent=" " * LABEL,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)
