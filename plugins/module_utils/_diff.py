# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""An object as a person reads it in a diff: YAML, a text of several lines as these lines."""

from __future__ import annotations

import typing as t


def readable(found: t.Mapping[str, t.Any]) -> str:
    """``found`` as YAML, empty where there is nothing: a diff would show ``{}`` as a line."""
    # It comes with the library kubernetes, whose absence is told in words before.
    import yaml

    class Lines(yaml.SafeDumper):
        """Writes texts of several lines in the literal style."""

    def text(dumper: t.Any, value: str) -> t.Any:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Lines.add_representer(str, text)
    # A line that is folded is two in a diff.
    return str(yaml.dump(found, Dumper=Lines, width=10_000)) if found else ""
