# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a run over many clusters: one page for all of them."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kestrel.real_ip.plugins.module_utils._fleet import (
    fleet_page,
    worst_first,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    DEFAULT_LANGUAGE,
    in_language,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import (
    colour,
    line,
    with_playbooks,
    without_result,
)
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._run import facts, last_result

display = Display()


class ActionModule(ActionBase):
    """Prints the page, and publishes the results of those that couldn't do so themselves."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """``results`` of all hosts, worst first."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        validate: t.Any = self.validate_argument_spec
        arguments = validate(
            {
                "results": {"type": "dict", "required": True},
                "out": {"type": "list", "elements": "str", "default": []},
                "left_out": {"type": "list", "elements": "str", "default": []},
                "playbooks": {"type": "str", "default": "kestrel.real_ip."},
            }
        )[1]
        given = arguments["results"]
        now = facts()
        now["versions"]["kubernetes"] = None
        out = [host for host in arguments["out"] if not given.get(host)]
        hostvars = (task_vars or {}).get("hostvars", {})
        missing = {host: without_result(last_result(hostvars, host), now) for host in out}
        results = dict(worst_first({**given, **missing}))
        for host, found in missing.items():
            display.display(line(host, found))
        if any(results.values()):
            told = fleet_page(results, arguments["left_out"])
            text = with_playbooks(told, arguments["playbooks"])
            worst = next(filter(None, results.values()))
            display.display(f"\n{text}\n", color=colour(worst))
        result.update(
            changed=False,
            results=in_language(results, DEFAULT_LANGUAGE),
            ansible_stats={
                "data": {"real_ip_results": in_language(missing, DEFAULT_LANGUAGE)},
                "per_host": False,
                "aggregate": True,
            },
        )
        return result
