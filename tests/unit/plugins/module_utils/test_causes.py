# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of causes: complete, stable, ranked, and what the documentation says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils import _causes
from ansible_collections.kestrel.real_ip.plugins.module_utils._causes import (
    CAUSES,
    FAMILIES,
    FIX_KINDS,
    HOPS,
    SEVERITIES,
    Cause,
    rank,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import CODES
from ansible_collections.kestrel.real_ip.plugins.module_utils._explain import (
    UnknownCode,
    explain,
    pages,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._tke_errors import ERRORS

DOCS = Path(__file__).resolve().parents[4] / "docs" / "causes"


def test_each_number_stands_once() -> None:
    assert len(CAUSES) == len(_causes._TABLE)


@pytest.mark.parametrize("row", CAUSES.values(), ids=lambda row: row.number)
def test_a_row_is_well_formed(row: Cause) -> None:
    assert re.fullmatch(r"P[0-9]{3}", row.number)
    assert row.number[:2] in FAMILIES
    assert row.severity in SEVERITIES
    assert row.hop in HOPS
    assert row.fix_kind in FIX_KINDS
    assert (row.fix_kind == "none") == (not row.fix)
    assert row.symptom.endswith(".")
    for text in (row.title, row.cause, row.fix, row.see):
        assert text.isprintable()
        assert not text.endswith(".")
    if row.fix_kind == "command" and row.fix != "{command}":
        assert row.fix.startswith(("kubectl ", "ansible-playbook "))
    if row.fix_kind == "variable":
        assert row.fix.startswith("real_ip_")
    assert re.match(r"kubectl|curl|nslookup|ansible-playbook", row.see)


def test_numbers_rise_within_a_family() -> None:
    """The order is the ranking: a number that was put elsewhere would surprise who reads it."""
    assert [*CAUSES] == sorted(CAUSES)


def test_the_worst_severity_goes_first_then_the_order_of_the_table() -> None:
    order = sorted(CAUSES, key=rank)
    severities = [SEVERITIES.index(CAUSES[number].severity) for number in order]
    assert severities == sorted(severities)
    errors = [number for number in order if CAUSES[number].severity == "error"]
    # Pods that may just be starting are no cause before what is known to be wrong.
    assert errors.index("P209") == errors.index("P306") - 1
    errors.remove("P209")
    assert errors == sorted(errors)
    assert order.index("P312") > order.index("P003") > order.index("P512")


@pytest.mark.parametrize("name", [name for name, _title in FAMILIES.values()])
def test_the_documentation_is_made_from_the_table(name: str) -> None:
    page = pages()[name]
    assert (DOCS / f"{name}.md").read_text() == page
    for row in CAUSES.values():
        assert (f"## {row.number}\n" in page) == row.link.startswith(f"docs/causes/{name}.md#")


@pytest.mark.parametrize("code", [*CODES, *CAUSES, *dict.fromkeys(code for _kind, code in ERRORS)])
def test_every_code_is_explained(code: str) -> None:
    text = explain(f" {code.lower()} ")
    assert text.startswith(code)
    assert "Cause:" in text
    assert "Fix" in text
    assert max(map(len, text.splitlines())) <= 130


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (None, "real_ip_code is not set"),
        ("", "real_ip_code is not set"),
        ("P20", "P20 is no code: expected"),
        ("V999", "V999 is no code: expected"),
        ("\x1b[31m", "\\x1b[31M is no code"),
    ],
)
def test_a_code_that_there_is_not(code: str | None, told: str) -> None:
    with pytest.raises(UnknownCode, match=re.escape(told)) as caught:
        explain(code)
    assert "Next: ansible-playbook kestrel.real_ip.explain" in str(caught.value)


def test_a_code_with_two_meanings_has_both() -> None:
    text = explain("E4009")
    assert "E4009 of TKE on Ingress" in text
    assert "E4009 of TKE on Service" in text
