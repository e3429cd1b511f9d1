# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of codes: complete, stable, tested, and what the documentation says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils import _codes
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    CODES,
    UNTESTED,
    VERDICTS,
    WARNINGS,
    Code,
    kind_of,
    page,
    printable,
    say,
    some_of_each,
    visible,
    warn,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import chinese, phrase
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils import (
    test_echo,
    test_probe,
    test_verdict,
)

PAGE = Path(__file__).resolve().parents[4] / "docs" / "codes.md"
FIELD = re.compile(r"\{[a-z_]+\}")

# The hundreds of a number tell the verdict; V1xx is kept for forgeable.
HUNDREDS = {
    "0": "preserved",
    "1": "forgeable",
    "2": "lost",
    "3": "mixed",
    "4": "unproven",
    "5": "no_answer",
    "6": UNTESTED,
}


def test_each_number_stands_once() -> None:
    assert len(CODES) == len(_codes._TABLE)


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.number)
def test_a_row_is_well_formed(code: Code) -> None:
    assert re.fullmatch(r"V[0-9]{3}", code.number)
    assert code.verdict == HUNDREDS[code.number[1]]
    assert code.verdict in (*VERDICTS, UNTESTED)
    assert "{address}" in code.reason
    assert (code.verdict == "preserved") == code.reason.endswith("{not_tested}")
    assert (code.verdict == "preserved") == (not code.fix)
    assert code.cause.endswith(".")
    for text in code[2:]:
        assert not re.search(r"[{}]", FIELD.sub("", text))
        assert text.isprintable()
    for text in (code.title, code.reason, code.fix):
        assert not text.endswith(".")


def test_every_code_is_the_outcome_of_a_test() -> None:
    shown = {row.code for row in test_verdict.ROWS}
    shown |= {row[0] for row in test_echo.ROWS}
    shown |= {server.code for server in test_probe.SERVERS} | {*test_probe.CODES_BY_HAND}
    # A way around needs a second server: test_source_ip_info has the two.
    shown |= {"V103", "V105"}
    assert shown == {*CODES}


def test_every_code_has_a_neighbour_that_it_is_not() -> None:
    near = {row.instead for row in test_verdict.ROWS}
    # What separates the codes of one verdict can only be seen where another one comes out.
    assert near <= {*CODES}
    assert len(near) > 15
    assert all(row.code != row.instead for row in test_verdict.ROWS)


def test_the_page_is_the_table() -> None:
    command = "write the result of _codes.page() there"
    assert PAGE.read_text("utf-8") == page(), f"{PAGE.name} is out of date: {command}"


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.number)
def test_the_page_says_of_each_code_its_cause_and_its_fix(code: Code) -> None:
    _before, _title, rest = PAGE.read_text("utf-8").partition(f"\n### {code.number}: ")
    section = rest.split("\n#")[0]
    told = dict(re.findall(r"^- (\w+): (.+)\.$", section, re.MULTILINE))
    assert [*told] == ["Says", "Cause", "Fix"]
    assert (told["Fix"] == "Nothing to mend") == (code.verdict == "preserved")


# --- Text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ümlaut 住", "plain text, ümlaut 住"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\r\nb\tc\x00", "a\\r\\nb\\tc\\x00"),
        ("\u202eevil\u200b\u2028", "\\u202eevil\\u200b\\u2028"),
        ("\x85\xa0\xad", "\\x85\\xa0\\xad"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("back\\slash \\x1b", "back\\\\slash \\\\x1b"),
        (None, "None"),
    ],
)
def test_printable(text: object, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).isprintable()
    printable(text).encode()


@pytest.mark.parametrize(
    "text", ["plain text, 住", "\x1b[31m\u202e\r\n\ud800", "back\\slash", None]
)
def test_what_was_escaped_is_visible_as_it_is(text: object) -> None:
    assert visible(printable(text)) == printable(text)
    assert visible(text).isprintable()
    assert visible("back\\slash\n") == "back\\slash\\n"


def test_printable_is_short() -> None:
    assert printable("x" * 10, 10) == "x" * 10
    assert printable("x" * 11, 10) == "x" * 9 + "…"
    assert len(printable("\x00" * 1_000_000)) == len(printable("x" * 1_000_000)) == 400


class _Everything(dict):
    def __missing__(self, key: str) -> str:
        return f"\x1b[{key}]{{0.__class__}}%s"


@pytest.mark.parametrize("number", CODES)
def test_facts_are_escaped_and_never_templates(number: str) -> None:
    fields = {field[1:-1] for field in FIELD.findall("".join(CODES[number]))}
    facts = {field: _Everything()[field] for field in fields}
    for text in say(number, facts):
        assert text.isprintable()
        assert text == "" or "\\x1b" in text or not FIELD.search(CODES[number].fix)
        assert text.count("{0.__class__}") == text.count("%s")


def test_a_detail_that_comes_last_ends_without_a_full_stop() -> None:
    detail = "certificate is not valid for '198.51.100.1'."
    reason, _fix = say("V507", {"address": "198.51.100.1:443", "detail": detail})
    assert reason.endswith("not valid for '198.51.100.1'")


@pytest.mark.parametrize("name", WARNINGS)
def test_the_kind_of_a_warning_is_found_in_either_language(name: str) -> None:
    facts = {
        field[1:-1]: f"a{number}" for number, field in enumerate(FIELD.findall(WARNINGS[name]))
    }
    said = warn(name, facts)
    assert [kind_of(text) for text in (said, chinese(said))] == [name, name]
    assert kind_of(phrase("from {name}: {reason}", name="b", reason=said)) == name


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings_are_escaped(name: str) -> None:
    facts = {field[1:-1]: "\x1b[31m" for field in FIELD.findall(WARNINGS[name])}
    assert warn(name, facts).isprintable()
    assert "\\x1b" in warn(name, facts)


def test_of_many_warnings_each_kind_is_told() -> None:
    """Also one that the last of many addresses has, and how many more there are."""
    facts = {"header": "X-Forwarded-For", "count": 2, "name": "lb.example.com"}
    many = [warn("front", {**facts, "address": f"198.51.100.{number}"}) for number in range(30)]
    last = warn("unaddressed", {"name": "Ingress front", "command": "kubectl"})
    found = some_of_each([*many, last, many[0]], 20)
    assert (len(found), found[1]) == (20, last)
    assert found[-1].startswith("12 more warnings")
    assert some_of_each(many[:20], 20) == many[:20]
