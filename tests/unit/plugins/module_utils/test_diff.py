# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.kestrel.real_ip.plugins.module_utils._diff import readable


def test_a_text_of_several_lines_stands_as_these_lines() -> None:
    long = "word " * 60
    found = {"kind": "ConfigMap", "data": {"echo.py": 'import sys\n\nprint("x")\n', "long": long}}
    text = readable(found)
    assert '  echo.py: |\n    import sys\n\n    print("x")\n' in text
    assert len(text.splitlines()) == 7, "a long text is one line"


def test_nothing_is_no_line() -> None:
    assert readable({}) == ""
