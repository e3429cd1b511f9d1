# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The waiting that shows progress: a module can't, so it waits for one interval at a time."""

from __future__ import annotations

import math
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.validation import check_type_int
from ansible.utils.display import Display
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._direct import (
    DirectAction,
    module_of,
)

display = Display()
# Seconds that a call of the module costs beside its waiting, until one was measured
OVERHEAD = 3.0


def seconds(args: t.Mapping[str, t.Any], option: str, default: int) -> int:
    """An option that is an integer; raises AnsibleActionFail, which names it."""
    try:
        return int(check_type_int(args.get(option, default)))
    except TypeError as error:
        raise AnsibleActionFail(f"{option}: {error}") from None


class ActionModule(DirectAction):
    """Calls the module until everything is ready or the time is up."""

    MODULE = module_of("wait_ready")

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """The module's result; failed, with all that is known, where the time was not enough."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        args = self._task.args
        limit, interval = seconds(args, "wait_timeout", 300), seconds(args, "interval", 10)
        start = time.monotonic()
        overhead = OVERHEAD
        while True:
            called = time.monotonic()
            left = limit - (called - start)
            patience = min(interval - math.ceil(overhead), math.ceil(left))
            result.update(
                self._execute_module(
                    module_name="kestrel.real_ip.wait_ready",
                    module_args={**args, "wait_timeout": max(0, patience)},
                    task_vars=task_vars,
                )
            )
            waited = time.monotonic() - start
            overhead = max(overhead, time.monotonic() - called - result.get("waited", 0))
            if result.get("failed") or result["ready"] or self._task.check_mode:
                break
            if waited >= limit:
                result.update(failed=True, msg=_timed_out(result, args, limit))
                break
            host = (task_vars or {}).get("inventory_hostname", "")
            display.display(f"[{host}] {_progress(result)} ({waited:.0f} s of {limit} s)")
        if not result.get("failed"):
            result["waited"] = round(time.monotonic() - start, 1)
        return result


def _open(result: t.Mapping[str, t.Any]) -> str:
    return "; ".join(
        f"{one['kind']} {one['name']}: {one['state']}"
        for one in result["objects"]
        if not one["ready"]
    )


def _progress(result: t.Mapping[str, t.Any]) -> str:
    event = f"; latest event: {result['latest_event']}" if result["latest_event"] else ""
    return f"waiting for {_open(result)}{event}"


def _timed_out(result: t.Mapping[str, t.Any], args: t.Mapping[str, t.Any], limit: int) -> str:
    first = next(one for one in result["objects"] if not one["ready"])
    goal = "gone" if args.get("state") == "absent" else "ready"
    event = result["latest_event"] or "none"
    return (
        f"Not {goal} after {limit} s: {_open(result)}. Latest event: {event}. "
        f"Next: kubectl -n {args['namespace']} describe {first['kind'].lower()} {first['name']}"
    )
