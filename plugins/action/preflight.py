# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The preflight: variables are judged here, where all are known, the cluster by the module."""

from __future__ import annotations

import typing as t

from ansible.utils.display import Display
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import (
    front_of,
    variable,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._named import named_by
from ansible_collections.kestrel.real_ip.plugins.module_utils._options import SETTLED, refused
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import (
    INGRESS,
    SCENARIOS,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import (
    misspelt,
    nested,
    problems,
    values_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import with_variables
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._direct import (
    DirectAction,
    module_of,
)
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._files import unusable
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._run import (
    by_inventory,
    emptied,
    mistaken,
    said,
    settings,
    taken_away,
    unnamed,
)

display = Display()


class ActionModule(DirectAction):
    """Refuses wrong variables, asks the cluster, prints which one it is."""

    MODULE = module_of("preflight")

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """The module's result."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        given = settings(self._templar, variables)
        host = variables.get("inventory_hostname", "")
        # Without those that the roles themselves have.
        had = variables["hostvars"].raw_get(host)
        wrong = _wrong(given) + mistaken(had) + misspelt(variables) + nested({**had, **given})
        wrong += unnamed(variables, given)
        empty = emptied(variables, given)
        if empty:
            says = by_inventory(self._loader, variables["hostvars"], host)
            says = {name: says[name] for name in empty if name in says}
            wrong += taken_away(empty, settings(self._templar, says))
        for point in variables.get("groups", {}).get("real_ip_vantages", []):
            had = variables["hostvars"].raw_get(point)
            # As it has them itself, where the role looks for them
            own = _wrong(settings(self._templar, variables["hostvars"][point]))
            own += misspelt(had) + nested(had)
            wrong += [f"{point}: {text}" for text in own if text not in wrong]
        if wrong:
            result.update(failed=True, msg="Nothing was changed. " + "; ".join(wrong))
            return result
        passed = (
            *("namespace", "name_prefix", "echo", "scenario"),
            *("direct_access", "manage_cluster_switches", "ephemeral", "require_tls"),
        )
        values = values_of(given)
        purposes = self._task.args.get("purposes") or []
        only_verifies = "verify" in purposes and "deploy" not in purposes
        args = {
            **{name: values[f"real_ip_{name}"] for name in passed},
            **(_of_the_way(given, values) if only_verifies else {}),
            "load_balancer": front_of(SCENARIOS[values["real_ip_scenario"]].front, values),
            "certificate": values[variable("qcloud_cert_id")] is not None,
            **self._task.args,
        }
        result.update(
            self._execute_module(
                module_name="kestrel.real_ip.preflight", module_args=args, task_vars=task_vars
            )
        )
        if not result.get("failed"):
            context = f"context {result['context']}, " if result["context"] else ""
            switches = [f"{one} {value}" for one, value in result["switches"].items() if value]
            display.display(
                f"[{host}] {' and '.join(args['purposes'])}: "
                f"{context}{result['server']} ({result['version']}), "
                + ", ".join([f"namespace {args['namespace']}", *switches])
            )
        return result


def _of_the_way(given: t.Mapping[str, t.Any], values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The options about a deployment that the run doesn't change before it verifies."""
    named = {name: values[variable(name)] for name in named_by(lambda one: said(given, one))}
    return {"way": _way(values), "named": named}


def _way(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What the verification has to know of a deployment that the run doesn't change first."""
    prefix = values["real_ip_name_prefix"]
    in_front = SCENARIOS[values["real_ip_scenario"]].front == INGRESS
    return {
        "ingress": f"{prefix}-ingress" if in_front else "",
        "service": f"{prefix}-service",
        "request_host": values["real_ip_host"] or "",
        "path": values["real_ip_path"],
        "url": values["real_ip_url"] or "",
        "layer": values["real_ip_layer"],
    }


def _wrong(given: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with a host's variables, each by itself or with another one, by their names.

    The probe would refuse some of that too, but only after everything is deployed.
    """
    found = problems(given)
    if found:
        return found
    values = values_of(given)
    directory = values["real_ip_report_dir"]
    why = unusable(directory) if directory else None
    if why:
        return [f"real_ip_report_dir: {why}"]
    params = {option: values[f"real_ip_{option}"] for option in SETTLED}
    return [with_variables(text) for text in refused(params)]
