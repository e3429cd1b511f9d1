# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The files of a report, each made of the same document."""

from __future__ import annotations

import re
import secrets
import typing as t
from pathlib import Path

from ansible_collections.kestrel.real_ip.plugins.module_utils._report import Document, as_json
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._files import write
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._html import html

#: Ending to what writes it. The first one is written first: all others can be made of it.
WRITERS: dict[str, t.Callable[[Document], str]] = {
    "json": as_json,
    "html": html,
}


def stem(found: Document) -> str:
    """The name of a run's files without an ending; in the order of names they are in that of time.

    Its end is there by chance: two runs of one second, or of two machines, don't meet.
    """
    time = re.sub(r"[-:]|[.]\d+|[+]00:00$", "", str(found["run"]["time"]))
    return f"{time}Z-{found['run']['playbook']}-{secrets.token_hex(4)}"


def write_report(found: Document, directory: Path) -> list[str]:
    """Write all files of a document; the names of them. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    name = stem(found)
    files = {f"{name}.{ending}": writer(found) for ending, writer in WRITERS.items()}
    for file, text in files.items():
        write(directory, file, text)
    return [*files]
