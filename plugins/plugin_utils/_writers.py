# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The files of a report, each made of the same document."""

from __future__ import annotations

import hashlib
import re
import secrets
import typing as t
from pathlib import Path
from urllib.parse import quote

from ansible.utils.display import Display
from ansible_collections.kestrel.real_ip.plugins.module_utils._report import (
    RESULTS,
    Document,
    as_json,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import is_diagnosis
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._files import located, write
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._html import html
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._texts import (
    is_newer,
    junit,
    markdown,
    prometheus,
)

display = Display()

#: Ending to what writes it. The first one is written first: all others can be made of it.
WRITERS: dict[str, t.Callable[[Document], str]] = {
    "json": as_json,
    "html": html,
    "md": markdown,
    "xml": junit,
}

#: Bytes of a file's name, with room for what stands around it; file systems end at 255.
_LONGEST = 180


def stem(found: Document) -> str:
    """The name of a run's files without an ending; in the order of names they are in that of time.

    Its end is there by chance: two runs of one second, or of two machines, don't meet.
    """
    time = re.sub(r"[-:]|[.]\d+|[+]00:00$", "", str(found["run"]["time"]))
    return f"{time}Z-{found['run']['playbook']}-{secrets.token_hex(4)}"


def collected(host: str) -> str:
    """The name of a cluster's file for the textfile collector.

    Each has its own, which the next run replaces: one with ``--limit`` takes none of the others.
    """
    name = quote(host, safe="", errors="backslashreplace")
    if len(name) > _LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        name = f"{name[: _LONGEST - 17]}-{digest}"
    return f"real_ip-{name}.prom"


def _is_outdated(one: t.Mapping[str, t.Any], run: t.Mapping[str, t.Any], file: Path) -> bool:
    """Whether a file of metrics is of a later run than an entry: documents that are merged can be
    of yesterday. A run's own entries never are, however far a clock was ahead when it was written.
    """
    try:
        return "merged" in run and is_newer(file.read_text("utf-8", "replace"), one)
    except OSError:
        return False


def _is_verified(one: t.Mapping[str, t.Any], run: t.Mapping[str, t.Any]) -> bool:
    """Whether a verdict was asked for: what was known of it stays true where it wasn't."""
    return not is_diagnosis(one) and run["playbook"] != "diagnose"


def write_report(found: Document, directory: Path) -> tuple[str, list[str]]:
    """Write all files of a document: their common name, and the names of all. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    name = stem(found)
    files = {f"{name}.{ending}": writer(found) for ending, writer in WRITERS.items()}
    run = found["run"]
    for host, one in found[RESULTS].items():
        file = collected(host)
        if _is_verified(one, run) and not _is_outdated(one, run, directory / file):
            files[file] = prometheus(host, one)
    for file, text in files.items():
        write(directory, file, text)
    return f"{name}.{{{','.join(WRITERS)}}}", [*files]


def write_all(documents: t.Mapping[str, Document], check_mode: bool) -> dict[str, t.Any]:
    """Write a document into each directory, say where, and return that as a task's result."""
    written: list[str] = []
    for directory, found in documents.items():
        place = located(directory)
        if check_mode:
            display.display(f"real_ip_report: check mode, nothing is written to {place}")
            continue
        try:
            name, names = write_report(found, place)
        except OSError as error:
            where = error.filename2 or error.filename or place
            told = (
                f"The report was not written: {where}: {error.strerror}. Next: make room or give "
            )
            told += "the right to write there, or set another real_ip_report_dir"
            return {"failed": True, "msg": told}
        display.display(f"real_ip_report: {place / name}")
        written += [str(place / one) for one in names]
    return {"changed": False, "written": written}
