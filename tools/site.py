# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the site of the documentation from this repository, and check every link in it.

    python -m tools.site [--pictures]

The pages are README.md, docs/, the changelog, the playbooks, and the documents of modules, filters
and roles. The site is build/site/html; nothing is asked of anybody, neither when it is made nor by
its pages. ``--pictures`` also shows some pages as a browser does, in build/site/pictures.
"""

from __future__ import annotations

import argparse
import os
import posixpath
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import yaml

from lab import packages
from lab.errors import SetupError
from lab.settings import CACHE, REPOSITORY
from tools import collection, environment, files

PLACE: Final = environment.BUILD / "site"
SOURCE: Final = PLACE / "source"
HTML: Final = PLACE / "html"
PICTURES: Final = PLACE / "pictures"
LOCK: Final = REPOSITORY / "requirements" / "site.txt"
SPHINX: Final = REPOSITORY / "tools" / "sphinx"

#: Captions of the menu, with patterns of the pages below each. A page stands where it fits first.
MENU: Final[Sequence[tuple[str, Sequence[str]]]] = (
    (
        "Use it",
        (
            "docs/lifecycle",
            "docs/awx",
            "docs/reports",
            "docs/eda",
            "docs/derivation",
            "docs/applications",
            "docs/echo_apps",
        ),
    ),
    ("Runbooks", ("docs/runbooks/*",)),
    ("When the verdict is bad", ("docs/codes", "docs/causes/*", "docs/fooled", "docs/faults")),
    ("Reference", ("playbooks", "reference/index", "docs/rbac/*")),
    ("More", ("README_*", "docs/*", "**")),
)

#: What the menu calls a page that has a less telling title.
TITLES: Final[Mapping[str, str]] = {"reference/index": "Modules, filters and roles"}
_ANY: Final = {"**": ".*"}

#: Labels of Ansible's own guides that documents of plugins link to, and where they are.
GUIDES: Final[Mapping[str, str]] = {
    "action_plugins": "plugins/action.html#action-plugins",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
_FOREIGN: Final = re.compile(r"ansible_collections\.(\w+)\.(\w+)\.(\w+_(?:module|role|filter))")
_LABEL: Final = re.compile(r":ref:`[^`<]*<([^`>]+)>`|:ref:`([^`<]+)`")

#: A link or picture of Markdown to something in the repository: its target, and an anchor.
_LINK: Final = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")

_CONTENTS: Final = re.compile(r"^\.\. contents::.*\n(?:[ ]+:.*\n)*", re.MULTILINE)

#: Pages that are looked at, as wide as these screens.
SHOWN: Final = ("index", "docs/codes", "docs/lifecycle", "reference/source_ip_info_module")
WIDTHS: Final = (1280, 400)
BROWSER: Final = packages.Package("chromium", "chromium", "shows pages as people see them")


# Sources


def lay_out(root: Path, source: Path) -> None:
    """Copy and write all sources of the site but the documents of plugins and roles."""
    shutil.rmtree(source, ignore_errors=True)
    (source / "_static").mkdir(parents=True)
    shutil.copy2(SPHINX / "conf.py", source)
    shutil.copy2(SPHINX / "site.css", source / "_static")
    known = files.known(root)
    pages = [path for path in known if path.startswith("docs/") and path.endswith(".md")]
    pages += [path for path in known if re.fullmatch(r"README\w*\.md", path)]
    for page in pages:
        text, linked = moved((root / page).read_text("utf-8"), page, known)
        _write(source / _place(page), text)
        for path in linked:
            if path.endswith("/"):
                inside = [one for one in known if one.startswith(path)]
                _write(source / path / "index.md", _directory(path, inside))
                linked = [*linked, *inside]
        for path in linked:
            if not path.endswith(("/", ".md")):
                (source / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / path, source / path)
    _write(source / "changelog.rst", without_contents((root / "CHANGELOG.rst").read_text("utf-8")))
    _write(source / "playbooks.md", _playbooks(root, source, known))


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def _place(page: str) -> str:
    return "index.md" if page == "README.md" else page


def moved(text: str, page: str, known: Sequence[str]) -> tuple[str, list[str]]:
    """Return a page whose links lead to pages of the site, and what of the repository it links to.

    A directory has a page of its own there; its path ends with a slash. What leads nowhere stays as
    it is, and Sphinx says so.
    """
    linked: list[str] = []

    def replaced(found: re.Match[str]) -> str:
        path, anchor = found[1], found[2] or ""
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
        if any(one.startswith(f"{target}/") for one in known):
            linked.append(f"{target}/")
            return f"{path.rstrip('/')}/index.md{anchor}"
        if target not in known:
            return found[0]
        linked.append(target)
        start = posixpath.dirname(_place(page)) or "."
        return posixpath.relpath(_place(target), start) + anchor

    return _LINK.sub(replaced, text), linked


def without_contents(text: str) -> str:
    """Return a page of reStructuredText without its table of contents.

    The theme shows one beside each page, and an error on a page with another.
    """
    return _CONTENTS.sub("", text)


def _directory(path: str, inside: Iterable[str]) -> str:
    """Return the page of a directory: its files, one after the other."""
    parts = [f"# {path.rstrip('/')}\n"]
    parts += [_included(posixpath.relpath(one, path), posixpath.basename(one)) for one in inside]
    return "\n".join(parts)


def _included(path: str, title: str) -> str:
    return f"## {title}\n\n```{{literalinclude}} {path}\n:language: yaml+jinja\n```\n"


def _playbooks(root: Path, source: Path, known: Sequence[str]) -> str:
    """Return the page of the playbooks that users run: what each does, how, and its text."""
    parts = [
        "# Playbooks\n",
        "Each takes the [variables](index.md#variables) of the collection; from a checkout they are"
        " run as `ansible-playbook playbooks/NAME.yml`.\n",
    ]
    # Those for AWX come last.
    for path in sorted(known, key=lambda path: (path.count("/"), path)):
        found = re.fullmatch(r"playbooks/(?:(\w+)/)?(\w+)\.yml", path)
        plays = yaml.safe_load((root / path).read_text("utf-8")) if found else None
        # Lists of tasks have neither; what has no hosts of its own only stands in others.
        hosts = [play for play in plays or () if isinstance(play, dict) and "hosts" in play]
        if not found or not hosts or found[2].startswith("check_"):
            continue
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / path, source / path)
        name = ".".join(part for part in found.groups() if part)
        parts.append(f"## {name}\n\n{hosts[-1]['name']}.\n")
        parts.append(f"```shell\nansible-playbook {collection.NAME}.{name}\n```\n")
        parts.append(f"```{{literalinclude}} {path}\n:language: yaml+jinja\n```\n")
    return "\n".join(parts)


def menu(pages: Sequence[str]) -> str:
    """Return the menu over these pages, as what Sphinx calls a toctree for each caption."""
    left = [page for page in pages if page != "index"]
    parts = []
    for caption, patterns in MENU:
        taken = []
        for pattern in patterns:
            fitting = re.compile(_ANY.get(pattern) or pattern.replace("*", "[^/]*(?:/index)?"))
            here = [page for page in left if fitting.fullmatch(page)]
            taken += here
            left = [page for page in left if page not in here]
        if taken:
            listed = "\n".join(
                f"{TITLES[page]} <{page}>" if page in TITLES else page for page in taken
            )
            parts.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n")
    return "\n".join(parts)


def inventory(sources: Iterable[str]) -> bytes:
    """Return Sphinx's inventory of what the sources link to in Ansible's own documentation.

    See https://www.sphinx-doc.org/en/master/usage/extensions/intersphinx.html. A label that follows
    no rule and stands in no table isn't in it, so that Sphinx fails.
    """
    labels = {one or other for text in sources for one, other in _LABEL.findall(text)}
    lines = []
    for label in sorted(labels):
        found = _FOREIGN.fullmatch(label)
        if found and f"{found[1]}.{found[2]}" != collection.NAME:
            lines.append(
                f"{label} std:label -1 collections/{found[1]}/{found[2]}/{found[3]}.html -"
            )
        elif label in GUIDES:
            lines.append(f"{label} std:label -1 {GUIDES[label]} -")
    head = "# Sphinx inventory version 2\n# Project: Ansible\n# Version: latest\n"
    head += "# The remainder of this file is compressed using zlib.\n"
    return head.encode() + zlib.compress("".join(f"{line}\n" for line in lines).encode())


# Links


@dataclass
class Page(HTMLParser):
    """What a page has that can be linked to, what it links to, and what it loads."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    contents: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what matters of one tag."""
        said = {name: value for name, value in attrs if value}
        self.anchors |= {said[name] for name in ("id", "name") if name in said}
        if tag == "a" and "href" in said:
            self.links.append(said["href"])
        elif tag == "link" and "href" in said:
            self.loaded.append(said["href"])
        if "contents" in said.get("class", "").split():
            self.contents = True
        if "src" in said:
            self.loaded.append(said["src"])


def wrong_in(html: Path) -> list[str]:
    """Return what pages link to or load that isn't there, load from elsewhere, or show as an error.

    Links to other hosts can't be followed here; only their form is checked.
    """
    pages: dict[Path, Page] = {}
    for file in sorted(html.rglob("*.html")):
        pages[file] = Page()
        pages[file].feed(file.read_text("utf-8"))
    found = []
    for file, page in pages.items():
        name = file.relative_to(html)
        found += [f"{name}: a table of contents, where the theme shows an error"] * page.contents
        found += [
            f"{name}: {one} leads nowhere"
            for one in page.links
            if not _leads(file, one, pages, html)
        ]
        found += [
            f"{name} loads {one}"
            for one in page.loaded
            if urlsplit(one).netloc or not _leads(file, one, pages, html)
        ]
    return found


def _leads(file: Path, link: str, pages: Mapping[Path, Page], html: Path) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return _is_well_formed(link)
    target = file if not parts.path else (file.parent / unquote(parts.path)).resolve()
    if not target.is_relative_to(html.resolve()) or not target.is_file():
        return False
    anchor = unquote(parts.fragment)
    return not anchor or target not in pages or anchor in pages[target].anchors


def _is_well_formed(link: str) -> bool:
    """Say whether a link is one that a browser could follow to somebody else's page."""
    parts = urlsplit(link)
    if parts.scheme == "mailto":
        return re.fullmatch(r"[^@\s]+@[^@\s]+\.[a-z]+", parts.path) is not None
    return parts.scheme in ("http", "https") and bool(
        re.fullmatch(r"([a-z0-9-]+\.)+[a-z]+", parts.hostname or "") and not re.search(r"\s", link)
    )


# Commands


def _say(line: str) -> None:
    print(line, flush=True)


def build() -> list[str]:
    """Make the site; return what is wrong with it."""
    interpreter = environment.probe(Path(sys.executable))
    if interpreter is None:
        raise SetupError(f"{sys.executable} doesn't run, or is no CPython that can be used.")
    venv = environment.ensure(interpreter, LOCK, CACHE, _say)
    variables = environment.variables(venv, os.environ)
    lay_out(REPOSITORY, SOURCE)
    collections = PLACE / "collections" / "ansible_collections"
    collection.lay_out(collections / "kestrel" / "real_ip")
    reference = SOURCE / "reference"
    reference.mkdir()
    documents = ["antsibull-docs", "collection", "--use-current", "--squash-hierarchy"]
    documents += ["--fail-on-error", "--dest-dir", str(reference), collection.NAME]
    if wrong := _run(documents, variables | {"ANSIBLE_COLLECTIONS_PATH": str(collections.parent)}):
        return wrong
    texts = {file: without_contents(file.read_text("utf-8")) for file in reference.glob("*.rst")}
    for file, text in texts.items():
        _write(file, text)
    (SOURCE / "ansible.inv").write_bytes(inventory(texts.values()))
    _write(SOURCE / "index.md", f"{(SOURCE / 'index.md').read_text('utf-8')}\n{menu(_pages())}")
    shutil.rmtree(HTML, ignore_errors=True)
    sphinx = ["sphinx-build", "--builder=html", "--jobs=2", "--fail-on-warning", "--keep-going"]
    sphinx += ["--quiet", "--doctree-dir", str(PLACE / "doctrees"), str(SOURCE), str(HTML)]
    return _run(sphinx, variables) or wrong_in(HTML)


def _pages() -> list[str]:
    """Return the names of all pages that belong into the menu."""
    found = sorted(
        str(file.relative_to(SOURCE).with_suffix(""))
        for file in (*SOURCE.rglob("*.md"), *SOURCE.glob("*.rst"))
    )
    return [*found, "reference/index"]


def _run(command: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """Run a command; return what it said if it failed."""
    done = subprocess.run(
        command,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return [f"{command[0]}: {done.stdout.strip()}"] if done.returncode else []


def pictures() -> Iterator[Path]:
    """Show some pages as a browser does; yield the files."""
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    for page in SHOWN:
        for width in WIDTHS:
            picture = PICTURES / f"{page.replace('/', '-')}-{width}.png"
            show(HTML / f"{page}.html", picture, width, 1400)
            yield picture


def show(page: Path, picture: Path, width: int, height: int, dark: bool = False) -> None:
    """Write the top of a page as a browser shows it, to a reader who wants it dark, or light."""
    if not packages.is_present(BROWSER):
        packages.install([BROWSER.name], BROWSER.why, _say)
    command = [BROWSER.shows, "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--hide-scrollbars", f"--window-size={width},{height}"]
    command += [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    command += [f"--user-data-dir={PLACE / 'browser'}", f"--screenshot={picture}"]
    command += [page.resolve().as_uri()]
    subprocess.run(command, capture_output=True, check=True, timeout=300)


def main(arguments: Sequence[str]) -> int:
    """Make the site, and pictures of it where they are asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.site", allow_abbrev=False)
    parser.add_argument("--pictures", action="store_true", help="show pages as a browser does")
    options = parser.parse_args(arguments)
    try:
        wrong = build()
        for one in wrong:
            _say(f"Wrong: {one}")
        if wrong:
            return 1
        count = len(list(HTML.rglob("*.html")))
        _say(f"{(HTML / 'index.html').relative_to(REPOSITORY)} and {count - 1} more pages")
        for picture in pictures() if options.pictures else ():
            _say(str(picture.relative_to(REPOSITORY)))
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
