# SPDX-License-Identifier: GPL-3.0-or-later
"""README_zh.md says what README.md says: the same sections, commands, variables and links."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ENGLISH = (REPOSITORY / "README.md").read_text()
CHINESE = (REPOSITORY / "README_zh.md").read_text()

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def sections(text: str) -> list[str]:
    """Each section without what is in fences, its heading first."""
    return re.split(r"^(?=#{1,6} )", FENCED.sub("", text), flags=re.MULTILINE)[1:]


def level(section: str) -> int:
    return len(section) - len(section.lstrip("#"))


PAIRS = [*zip(sections(ENGLISH), sections(CHINESE), strict=True)]


def test_the_sections_are_the_same() -> None:
    assert [*map(level, sections(CHINESE))] == [*map(level, sections(ENGLISH))]


def test_what_is_typed_is_the_same() -> None:
    assert FENCED.findall(CHINESE) == FENCED.findall(ENGLISH)


def code(text: str) -> Counter[str]:
    return Counter(re.findall(r"`([^`]+)`", text))


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda one: one.splitlines()[0])
def test_a_section_names_the_same_things(english: str, chinese: str) -> None:
    # A sentence of one language may name a thing once more than that of the other.
    assert set(code(english)) == set(code(chinese))


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda one: one.splitlines()[0])
def test_a_section_has_the_same_links(english: str, chinese: str) -> None:
    found = [
        sorted(
            link
            for link in re.findall(r"\]\(([^)]+)\)", text)
            if not link.startswith(("#", "README"))
        )
        for text in (english, chinese)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda one: one.splitlines()[0])
def test_a_section_has_the_same_figures(english: str, chinese: str) -> None:
    found = [set(re.findall(r"(?<![\w.])\d[\d.,]*\d(?!\w)", text)) for text in (english, chinese)]
    assert found[0] == found[1]


def rows(text: str) -> list[tuple[str, str]]:
    """Variable and default of each row, with the one word for none."""
    found = re.findall(r"^\| `(real_ip_\w+)` \| (.*?) \|", text, re.MULTILINE)
    return [(name, "none" if default == "无" else default) for name, default in found]


def test_the_variables_are_the_same() -> None:
    assert rows(ENGLISH)
    assert rows(CHINESE) == rows(ENGLISH)


def test_tables_have_the_same_size() -> None:
    for english, chinese in PAIRS:
        assert english.count("\n|") == chinese.count("\n|")


def test_a_link_within_the_page_leads_somewhere() -> None:
    headings = {re.sub(r"^#+ ", "", one.splitlines()[0]) for one in sections(CHINESE)}
    anchors = {"".join(char for char in one.lower().replace(" ", "-")) for one in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", CHINESE)) <= anchors


def test_each_leads_to_the_other() -> None:
    assert "](README_zh.md)" in ENGLISH
    assert "](README.md)" in CHINESE


def test_every_paragraph_is_chinese() -> None:
    for paragraph in FENCED.sub("", CHINESE).split("\n\n"):
        text = re.sub(r"`[^`]*`|\]\([^)]*\)", "", paragraph)
        if len(text) > 80:
            assert any(unicodedata.east_asian_width(char) == "W" for char in text), paragraph
