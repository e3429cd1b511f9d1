# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The probe that shows its waiting: a module can't, so it waits for one interval at a time."""

from __future__ import annotations

import time
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.utils.display import Display
from ansible_collections.kestrel.real_ip.plugins.action.wait_ready import seconds
from ansible_collections.kestrel.real_ip.plugins.module_utils._evidence import (
    with_earlier,
    worst_answers,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    DEFAULT_LANGUAGE,
    in_language,
)
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._direct import (
    DirectAction,
    module_of,
)
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._run import kept_here

display = Display()
# Seconds of waiting in one call: with the probe behind it a line comes at least every ten seconds
INTERVAL = 5


class ActionModule(DirectAction):
    """Calls the module until every target answers as an echo app or the time is up."""

    MODULE = module_of("source_ip_info")
    OF_A_CLUSTER = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """The module's last result, with what those before it saw and it didn't."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        elsewhere = kept_here(self._task.delegate_to, self._connection.transport, task_vars or {})
        if elsewhere:
            return {**result, "failed": True, "msg": elsewhere}
        args = dict(self._task.args)
        wait = boolean(args.get("wait", False), strict=False)
        limit = seconds(args, "wait_timeout", 300) if wait else 0
        start = time.monotonic()
        seen: list[dict[str, t.Any]] = []
        while True:
            left = limit - (time.monotonic() - start)
            if wait:
                args["wait_timeout"] = max(1, min(INTERVAL, round(left)))
            result.update(
                self._execute_module(
                    module_name="kestrel.real_ip.source_ip_info",
                    module_args=args,
                    task_vars=task_vars,
                )
            )
            waited = time.monotonic() - start
            if result.get("failed"):
                return result
            if result["verdict"] != "no_answer" or waited >= limit:
                language = str(args.get("language") or DEFAULT_LANGUAGE)
                return dict(in_language(with_earlier(seen, result), language))
            seen = worst_answers([*seen, *result["targets"]])
            host = self._task.delegate_to or (task_vars or {}).get("inventory_hostname", "")
            display.display(
                f"[{host}] waiting for an echo answer: {result['reason']} "
                f"({waited:.0f} s of {limit} s)"
            )
