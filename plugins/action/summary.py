# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a run: what was found, for a person, for a script and for AWX."""

from __future__ import annotations

import typing as t
from functools import partial
from pathlib import Path

from ansible import constants as C
from ansible.context import CLIARGS
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.vars import load_extra_vars
from ansible_collections.kestrel.real_ip.plugins.module_utils._fleet import FEW
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    DEFAULT_LANGUAGE,
    LANGUAGES,
    in_language,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import (
    after_changes,
    before_changes,
    chosen,
    colour,
    combined,
    diagnosed,
    done_before,
    earlier_row,
    entry,
    everywhere,
    following,
    likewise,
    line,
    over_all,
    page,
    refused,
    rows,
    running,
    to_repeat,
    told_apart,
    translated,
    typed,
    vantage_entry,
    with_cause,
    with_playbooks,
    worst,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._vantage import network
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._files import is_file
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._run import facts

display = Display()


class ActionModule(ActionBase):
    """Prints the summary and publishes ``real_ip_results``."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """``accepted`` and what was found, with the custom stats that Ansible collects."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        validate: t.Any = self.validate_argument_spec
        arguments = validate(
            {
                "probe": {"type": "dict"},
                "vantages": {"type": "dict", "default": {}},
                "failure": {"type": "dict"},
                "way": {"type": "dict"},
                "applied": {"type": "list", "elements": "dict", "default": []},
                "switches": {"type": "list", "elements": "dict", "default": []},
                "diagnosis": {"type": "bool", "default": False},
                "earlier": {"type": "list", "elements": "dict", "default": []},
                "ephemeral": {"type": "bool", "default": False},
                "deployment": {"type": "str"},
                "kubernetes_version": {"type": "str"},
                "accept": {"type": "list", "elements": "str", "default": []},
                "hosts": {"type": "int", "default": 1},
                "playbooks": {"type": "str", "default": "kestrel.real_ip."},
                "language": {"type": "str", "choices": [*LANGUAGES], "default": DEFAULT_LANGUAGE},
            }
        )[1]
        probe, failure, way = arguments["probe"] or {}, arguments["failure"], arguments["way"]
        now = facts()
        now["versions"]["kubernetes"] = arguments["kubernetes_version"] or None
        now["deployment"] = arguments["deployment"]
        changes = {"applied": arguments["applied"], "switches": arguments["switches"]}
        of_run: t.Callable[[t.Any], dict[str, t.Any]] = partial(
            before_changes if self._task.check_mode else after_changes, **changes
        )
        vantages = {} if failure else told_apart(arguments["vantages"], network())
        if vantages:
            entries = {name: of_run(vantage_entry(one, now)) for name, one in vantages.items()}
            found = combined(entries)
            probe = everywhere(vantages[worst(found["vantages"])], vantages.values())
        elif way and not failure and arguments["diagnosis"]:
            found = of_run(diagnosed(way, now, probe))
        else:
            found = of_run(entry(probe, failure, now))
        language = arguments["language"]
        found = in_language(with_cause(found, way), language)
        # A diagnosis draws no verdict, so that it takes none back either.
        verifications = [*arguments["earlier"], *([] if arguments["diagnosis"] else [found])]
        published = in_language(over_all(verifications or [found]), language)
        host = (task_vars or {}).get("inventory_hostname", "localhost")
        excused = not failure and bool(arguments["diagnosis"] or not probe or probe.get("skipped"))
        accept = {"preserved", *arguments["accept"]}
        bad = refused(found, accept, excused)
        accepted = not bad
        earlier = (one for one in arguments["earlier"] if refused(one, accept, excused))
        # Among many, what is well would only hide what isn't.
        among_many = arguments["hosts"] > FEW and not display.verbosity
        hidden = among_many and accepted and not found["cause"]
        if (way or not (failure or excused)) and not hidden:
            told_of = done_before if failure else running
            variables = load_extra_vars(self._loader)
            options = self._chosen(host, arguments["hosts"], task_vars or {})
            options += typed(variables, is_file)
            again = to_repeat(variables, arguments["diagnosis"])
            then = [
                *earlier_row(found, published),
                *told_of(arguments["applied"]),
                *following(arguments["ephemeral"], options, again),
                *translated(task_vars or {}),
            ]
            shown = likewise(found, options)
            told = page(host, shown, rows(shown, probe, then, way), language)
            text = with_playbooks(told, arguments["playbooks"])
            display.display(f"\n{text}\n", color=colour(found))
        display.display(in_language(line(host, found), language))
        result.update(
            changed=False,
            result=found,
            published=published,
            verifications=verifications,
            accepted=accepted,
            # A run that doesn't fail, as one that hands an event to a rulebook, goes on after each.
            all_accepted=accepted and not any(earlier),
            refused=[f"{one['verdict']}: {in_language(one['reason'], language)}" for one in bad],
            ansible_stats={
                "data": {"real_ip_results": {host: published}},
                "per_host": False,
                "aggregate": True,
            },
        )
        return result

    def _chosen(self, host: str, hosts: int, variables: t.Any) -> str:
        """What chooses this host on a command line; nothing for who has none."""
        given = [*(CLIARGS.get("inventory") or ())]
        if "awx_job_id" in variables or given == C.config.get_config_value("DEFAULT_HOST_LIST"):
            return ""
        here = Path.cwd()
        # Ansible has made them absolute.
        sources = [
            str(Path(one).relative_to(here)) if here in Path(one).parents else one for one in given
        ]
        return chosen(sources, host if hosts > 1 or CLIARGS.get("subset") else None)
