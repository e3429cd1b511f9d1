# SPDX-License-Identifier: GPL-3.0-or-later
"""Links lead to pages of the site, and one that leads nowhere is found."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from tools import site

KNOWN = [
    "LICENSE",
    "README.md",
    "docs/awx.md",
    "docs/causes/pods.md",
    "docs/rbac/deploy.yml",
    "playbooks/awx/vars/all.yml",
]

#: Page, a link on it, what becomes of that, and what else of the repository it needs.
MOVED: list[tuple[str, str, str, list[str]]] = [
    ("README.md", "[a](docs/awx.md#data)", "[a](docs/awx.md#data)", ["docs/awx.md"]),
    ("README.md", "[a](LICENSE)", "[a](LICENSE)", ["LICENSE"]),
    ("README.md", "[a](#scenarios)", "[a](#scenarios)", []),
    ("README.md", "![a](docs/gone.svg)", "![a](docs/gone.svg)", []),
    (
        "README.md",
        "[a](https://example.com/docs/awx.md)",
        "[a](https://example.com/docs/awx.md)",
        [],
    ),
    ("docs/awx.md", "[a](../README.md#use)", "[a](../index.md#use)", ["README.md"]),
    ("docs/awx.md", "[a](causes/pods.md)", "[a](causes/pods.md)", ["docs/causes/pods.md"]),
    ("docs/awx.md", "[a](rbac)", "[a](rbac/index.md)", ["docs/rbac/"]),
    ("docs/awx.md", "[a](rbac/)", "[a](rbac/index.md)", ["docs/rbac/"]),
    (
        "docs/awx.md",
        "[a](../playbooks/awx/vars), [b](rbac)",
        "[a](../playbooks/awx/vars/index.md), [b](rbac/index.md)",
        ["playbooks/awx/vars/", "docs/rbac/"],
    ),
    ("docs/causes/pods.md", "[a](../../README.md)", "[a](../../index.md)", ["README.md"]),
]


@pytest.mark.parametrize(("page", "text", "expected", "linked"), MOVED)
def test_moved(page: str, text: str, expected: str, linked: list[str]) -> None:
    assert site.moved(text, page, KNOWN) == (expected, linked)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n\n.. contents::\n   :local:\n   :depth: 1\n\nb\n", "a\n\n\nb\n"),
        ("a\n\n.. contents:: Topics\n\nb\n", "a\n\n\nb\n"),
        ("The contents::\n\n  :a\n", "The contents::\n\n  :a\n"),
    ],
)
def test_without_contents(text: str, expected: str) -> None:
    assert site.without_contents(text) == expected


def test_every_page_is_in_the_menu_once() -> None:
    pages = ["changelog", "docs/awx", "docs/new", "docs/causes/pods", "docs/rbac/index", "index"]
    pages += ["docs/runbooks/lost", "README_zh", "playbooks", "playbooks/awx/vars/index"]
    listed = [line for line in site.menu(pages).splitlines() if line in pages]
    assert sorted(listed) == sorted({*pages} - {"index"})
    assert listed[:2] == ["docs/awx", "docs/runbooks/lost"]


def test_the_inventory_has_what_is_linked_to_elsewhere_and_nothing_else() -> None:
    text = (
        r":ref:`set\_stats <ansible_collections.ansible.builtin.set_stats_module>`"
        " :ref:`common_return_values` :ref:`some_guide`"
        " :ref:`apply <ansible_collections.kestrel.real_ip.apply_module>`"
    )
    lines = site.inventory([text]).split(b"\n", 4)
    assert lines[0] == b"# Sphinx inventory version 2"
    assert zlib.decompress(lines[4]).decode().splitlines() == [
        "ansible_collections.ansible.builtin.set_stats_module std:label -1"
        " collections/ansible/builtin/set_stats_module.html -",
        "common_return_values std:label -1 reference_appendices/common_return_values.html -",
    ]


#: What a page has, and what is said of it. Beside it is other.html, with the anchor "here".
LINKS: list[tuple[str, list[str]]] = [
    ('<a href="other.html">', []),
    ('<a href="other.html#here">', []),
    ('<a href="other.html#gone">', ["page.html: other.html#gone leads nowhere"]),
    ('<a href="gone.html">', ["page.html: gone.html leads nowhere"]),
    ('<a href="../outside.html">', ["page.html: ../outside.html leads nowhere"]),
    ('<h1 id="a b"></h1><a href="#a%20b">', []),
    ('<a href="#gone">', ["page.html: #gone leads nowhere"]),
    ('<a href="https://kubernetes.io/docs/#x">', []),
    ('<a href="https://kubernetes/docs">', ["page.html: https://kubernetes/docs leads nowhere"]),
    ('<a href="https://">', ["page.html: https:// leads nowhere"]),
    ('<a href="//kubernetes.io/">', ["page.html: //kubernetes.io/ leads nowhere"]),
    ('<a href="javascript:x()">', ["page.html: javascript:x() leads nowhere"]),
    ('<a href="mailto:a@example.org">', []),
    ('<a href="mailto:a">', ["page.html: mailto:a leads nowhere"]),
    ('<img src="other.html">', []),
    ('<img src="gone.svg">', ["page.html loads gone.svg"]),
    (
        '<script src="https://cdn.example.org/a.js">',
        ["page.html loads https://cdn.example.org/a.js"],
    ),
    (
        '<nav class="local contents">',
        ["page.html: a table of contents, where the theme shows an error"],
    ),
    ('<link href="gone.css">', ["page.html loads gone.css"]),
]


@pytest.mark.parametrize(("text", "expected"), LINKS)
def test_what_is_wrong_with_a_page(tmp_path: Path, text: str, expected: list[str]) -> None:
    html = tmp_path / "html"
    html.mkdir()
    (tmp_path / "outside.html").touch()
    (html / "other.html").write_text('<p id="here"></p>')
    (html / "page.html").write_text(text)
    assert site.wrong_in(html) == expected
