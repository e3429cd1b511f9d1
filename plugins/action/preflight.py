# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The preflight: variables are judged here, where all are known, the cluster by the module."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import (
    front_of,
    variable,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import SCENARIOS
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import (
    problems,
    values_of,
)

display = Display()


class ActionModule(ActionBase):
    """Refuses wrong variables, asks the cluster, prints which one it is."""

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """The module's result."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        given = self._settings(variables)
        wrong = problems(given)
        for point in variables.get("groups", {}).get("real_ip_vantages", []):
            own = problems(self._settings(variables["hostvars"][point]))
            wrong += [f"{point}: {text}" for text in own if text not in wrong]
        if wrong:
            result.update(failed=True, msg="Nothing was changed. " + "; ".join(wrong))
            return result
        names = ("namespace", "name_prefix", "echo", "scenario")
        values = values_of(given)
        front = front_of(SCENARIOS[values["real_ip_scenario"]].front, values)
        certificate = values[variable("qcloud_cert_id")] is not None
        args = {
            **{name: values[f"real_ip_{name}"] for name in names},
            "load_balancer": front,
            "certificate": certificate,
            **self._task.args,
        }
        result.update(
            self._execute_module(
                module_name="kestrel.real_ip.preflight", module_args=args, task_vars=task_vars
            )
        )
        if not result.get("failed"):
            context = f"context {result['context']}, " if result["context"] else ""
            display.display(
                f"[{variables.get('inventory_hostname', '')}] {' and '.join(args['purposes'])}: "
                f"{context}{result['server']} ({result['version']}), namespace {args['namespace']}"
            )
        return result

    def _settings(self, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """The variables ``real_ip_*`` among a host's, templated."""
        return {
            name: self._templar.template(variables[name])
            for name in variables
            if name.startswith("real_ip_")
        }
