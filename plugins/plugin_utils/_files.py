# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Files on the controller: directories that reports go to, and documents that are read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ansible_collections.kestrel.real_ip.plugins.module_utils._report import (
    Document,
    Unreadable,
    read,
)

#: Bytes of a document: a thousand clusters with their evidence have less.
_MOST = 256 * 1024 * 1024


def located(path: str) -> Path:
    """The path that a person gave: ``~`` is the user's home, and what isn't absolute is relative to
    the directory that Ansible was started in.
    """
    return Path(os.path.abspath(os.path.expanduser(path)))


def is_file(value: object) -> bool:
    """Whether a value is the path of a file that is there."""
    return isinstance(value, str) and os.path.isfile(located(value))


def unusable(directory: str) -> str | None:
    """Why nothing could be written into the directory, None where it can be, or can be made."""
    path = located(directory)
    there = next(one for one in (path, *path.parents) if os.path.lexists(one))
    if not there.is_dir():
        return f"expected a directory, or one that can be made: {there} is none"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"expected a directory that can be written: {there} can't be"
    return None


def write(directory: Path, name: str, text: str) -> None:
    """Write a file at once: who reads it sees all of it, or what was there before.

    Raises OSError.
    """
    # Neither seen by a collector that looks for an ending, nor by who lists the directory.
    made = directory / f".{name[:100]}.{secrets.token_hex(4)}"
    try:
        with os.fdopen(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644), "wb") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
        os.replace(made, directory / name)
    except OSError:
        made.unlink(missing_ok=True)
        raise


def document(path: str) -> Document:
    """The document in a file. Raises :class:`Unreadable`."""
    try:
        with located(path).open("rb") as file:
            content = file.read(_MOST + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise Unreadable(f"{path}: expected a file that can be read, seen: {why}") from None
    if len(content) > _MOST:
        raise Unreadable(f"{path}: expected at most {_MOST} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path}: expected text in UTF-8, seen: {error.reason}") from None
    return read(text, path)
