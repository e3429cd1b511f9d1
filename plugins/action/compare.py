# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Before and after a change, from what two runs have kept."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kestrel.real_ip.plugins.module_utils._compare import (
    compare,
    not_later,
    page,
    swapped,
    verdict,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._report import Unreadable
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._files import document, located

display = Display()


class ActionModule(ActionBase):
    """Prints what became of each cluster, vantage point and backend."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """``worse`` and ``changes``; failed where a file can't be read."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        validate: t.Any = self.validate_argument_spec
        arguments = validate({"before": {"type": "str"}, "after": {"type": "str"}})[1]
        names = (arguments["before"] or "", arguments["after"] or "")
        missing = [f"real_ip_{key}" for key, name in zip(("before", "after"), names) if not name]
        if missing:
            return {**result, "failed": True, "msg": _MISSING.format(" and ".join(missing))}
        try:
            before, after = (document(name) for name in names)
            same = located(names[0]).samefile(located(names[1]))
        except (Unreadable, OSError) as error:
            return {**result, "failed": True, "msg": str(error)}
        if same:
            return {**result, "failed": True, "msg": _SAME.format(*names)}
        if swapped(before, after):
            return {**result, "failed": True, "msg": _SWAPPED.format(*names)}
        former = not_later(before, after)
        if former:
            return {**result, "failed": True, "msg": _NOT_LATER.format(*names, former)}
        changes = compare(before, after)
        worse = any(one.fails for one in changes)
        told = page(names, (before, after), changes)
        display.display(f"\n{told}\n", color="red" if worse else "green")
        result.update(
            changed=False,
            worse=worse,
            verdict=verdict(changes),
            changes=[one._asdict() for one in changes],
        )
        return result


_MISSING = (
    "{}: expected a file: a report in JSON that real_ip_report_dir has kept, or the artifacts of "
    "an AWX job. Next: ansible-playbook kestrel.real_ip.compare -e real_ip_before=FILE "
    "-e real_ip_after=FILE"
)
_SAME = (
    "real_ip_after: expected another file than real_ip_before names, {0}, seen the same one, {1}: "
    "compared with itself nothing is ever worse. Next: name the report of the run after the change"
)
_SWAPPED = (
    "real_ip_after: {1} is older than {0}, which real_ip_before names: what got worse would be "
    "called mended. Next: name them the other way round"
)
_NOT_LATER = (
    "real_ip_after: expected {1} to be of later runs than {0}, which real_ip_before names, seen "
    "none of {2}: what was not verified again would be called still preserved. "
    "Next: ansible-playbook kestrel.real_ip.verify -e real_ip_report_dir=DIRECTORY, and name the "
    "report in JSON that it keeps"
)
