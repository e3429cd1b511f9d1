# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What a code means, for a person: the same texts as in the documentation."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ansible_collections.kestrel.real_ip.plugins.module_utils import _causes, _codes
from ansible_collections.kestrel.real_ip.plugins.module_utils._causes import (
    CAUSES,
    FAMILIES,
    Cause,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._chinese_causes import CAUSES_ZH
from ansible_collections.kestrel.real_ip.plugins.module_utils._chinese_tke import in_chinese
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    CODES,
    Code,
    printable,
    titled,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    DEFAULT_LANGUAGE,
    Text,
    in_language,
    phrase,
    wrapped,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._tke_errors import (
    ERRORS,
    TkeError,
)

_WIDTH = 98

#: Families with a runbook: its name and title
_RUNBOOKS = {
    "ingress": ("ingress-has-no-address", "The Ingress has no address"),
    "address": ("client-ip-is-lost", "The client's IP is lost"),
}

#: The family whose page has TKE's codes as well, and how it introduces them
_WITH_TKE = "ingress"
_TKE = """
## Error codes of TKE

An event on an Ingress and one on a Service use the same numbers for different things. They are
found in the event's message, also in the form
`IngressErrorCode{Code:"E4009",Message:…,Retry:false}`. Where no fix stands, none is documented.

| object | code | means | fix |
| --- | --- | --- | --- |
"""


class UnknownCode(ValueError):
    """There is no such code. The text says which ones there are."""


def explain(code: str | None, language: str = DEFAULT_LANGUAGE) -> str:
    """The page of a code: V and P of this collection, E and W of TKE. Raises UnknownCode."""
    return "\n\n".join(_page(title, lines, language) for title, lines in _explained(code))


def _explained(code: str | None) -> Iterable[tuple[str, Iterable[str]]]:
    """Title and lines of each thing that the code stands for."""
    wanted = (code or "").strip().upper()
    if wanted in CODES:
        row = CODES[wanted]
        title = phrase(
            "{code} ({kind}): {title}", **_heading(row, row.verdict), title=titled(wanted)
        )
        return [(title, _codes.described(row))]
    if wanted in CAUSES:
        cause = CAUSES[wanted]
        lines = [*_causes.described(cause), phrase("- More: {link}", link=cause.link)]
        told = Text(cause.title, CAUSES_ZH[wanted].title)
        title = phrase("{code} ({kind}): {title}", **_heading(cause, cause.severity), title=told)
        return [(title, lines)]
    rows = [ERRORS[kind, wanted] for kind in ("Ingress", "Service") if (kind, wanted) in ERRORS]
    if rows:
        return [_of_tke(one) for one in rows]
    raise UnknownCode(_unknown(wanted))


def _heading(row: Code | Cause, kind: str) -> dict[str, object]:
    return {"code": row.number, "kind": phrase(kind)}


def _of_tke(row: TkeError) -> tuple[str, Iterable[str]]:
    other = in_chinese(row)
    title = Text(row.title, other.title)
    fix = Text(row.fix, other.fix) if row.fix else phrase("no documented fix")
    return phrase("{code} of TKE on {kind}: {title}", code=row.code, kind=row.kind, title=title), [
        phrase("- Cause: {cause}", cause=Text(row.cause, other.cause)),
        phrase("- Fix: {fix}.", fix=fix),
    ]


def pages() -> dict[str, str]:
    """Name of a family of causes → its documentation as a Markdown page."""
    return {
        name: "\n".join(_family(digits, name, title))
        + (_tke_table() if name == _WITH_TKE else "\n")
        for digits, (name, title) in FAMILIES.items()
    }


def _family(digits: str, name: str, title: str) -> Iterable[str]:
    yield f"# {title}"
    yield ""
    yield "In sentences, `{…}` stands for what was seen. This page is made from the table in"
    yield "`plugins/module_utils/_causes.py`; its order says which of several findings is"
    yield "the cause."
    if name in _RUNBOOKS:
        runbook, wrong = _RUNBOOKS[name]
        yield f"The runbook that leads here: [{wrong}](../runbooks/{runbook}.md)."
    for row in (one for one in CAUSES.values() if one.number.startswith(digits)):
        yield from ("", f"## {row.number}", "", f"**{row.title}** ({row.severity})", "")
        yield from _causes.described(row)


def _tke_table() -> str:
    rows = (
        f"| {one.kind} | {one.code} | {one.title}: {one.cause} "
        f"| {one.fix or 'no documented fix'} |\n"
        for one in ERRORS.values()
    )
    return f"\n{_TKE}{''.join(rows)}"


def _page(title: str, lines: Iterable[str], language: str) -> str:
    shown = [in_language(title, language)]
    for line in lines:
        # A command that is broken in two can't be copied.
        text = in_language(line, language)[2:].replace("`", "")
        shown += wrapped(text, _WIDTH, "  ", "    ")
    return "\n".join(shown)


def _unknown(wanted: str) -> str:
    known = [*CODES, *CAUSES, *dict.fromkeys(code for _kind, code in ERRORS)]
    close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.7)
    asked = f"{printable(wanted)} is no code" if wanted else "real_ip_code is not set"
    nearest = f" Did you mean {', '.join(close)}?" if close else ""
    return (
        f"{asked}: expected one of a result line or a finding, such as V201 or P206, or of TKE, "
        f"such as E4009.{nearest} Next: "
        "ansible-playbook kestrel.real_ip.explain -e real_ip_code=V201"
    )
