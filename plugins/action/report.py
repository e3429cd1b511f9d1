# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reports of a run."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.kestrel.real_ip.plugins.module_utils._report import (
    Document,
    document,
    evidence,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import (
    SettingError,
    value_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import without_result
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._run import facts, last_result
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._writers import write_all

Data = t.Mapping[str, t.Any]


_WHERE = "real_ip_report_dir"


class ActionModule(ActionBase):
    """Writes the reports into the directory that ``real_ip_report_dir`` names."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """``written``, the paths; failed where they could not be."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        validate: t.Any = self.validate_argument_spec
        arguments = validate({"playbook": {"type": "str", "required": True}})[1]
        run = {"playbook": arguments["playbook"], **facts()}
        variables = task_vars or {}
        here = self._templar.template(variables.get(_WHERE))
        found = documents(variables, run, here)
        return {**result, **write_all(found, self._task.check_mode)}


def documents(variables: Data, run: Data, here: t.Any = None) -> dict[str, Document]:
    """A document for each directory that hosts of the play name: of those that name it.

    ``here``: what this host's task has been given, which is the play's, and so all hosts', where it
    is not the host's own.

    Where no host has said anything, as where tags left all of it out, there is none.
    """
    hostvars = variables["hostvars"]
    own = hostvars.get(variables.get("inventory_hostname"), {}).get(_WHERE)
    of_play = here if here != own else None
    directories: dict[str, dict[str, Data]] = {}
    for host in _come_to_an_end(variables):
        try:
            directory = value_of(_WHERE, of_play or hostvars[host].get(_WHERE))
        except SettingError:
            # The preflight has said so.
            continue
        if directory:
            directories.setdefault(directory, {})[host] = hostvars[host]
    return {
        directory: document({host: _found(variables, host, run) for host in hosts}, run)
        for directory, hosts in directories.items()
        if any("published" in _registered(own, "__real_ip_summary") for own in hosts.values())
    }


def _come_to_an_end(variables: Data) -> list[str]:
    """The hosts of the play but those that it has still to come to, batch by batch (``serial``)."""
    batch, alive = variables["ansible_play_batch"], variables["ansible_play_hosts"]
    return [
        host
        for host in variables["ansible_play_hosts_all"]
        if host in batch
        or host not in alive
        or _registered(variables["hostvars"][host], "__real_ip_summary")
    ]


def _registered(own: Data, name: str) -> Data:
    """What a task has registered at a host; empty where it wasn't run."""
    found = own.get(name)
    return found if isinstance(found, t.Mapping) else {}


def _found(variables: Data, host: str, run: Data) -> tuple[Data, Data]:
    """Entry and evidence of a host: the entry that was published, where one was."""
    own = variables["hostvars"][host]
    points = _registered(own, "__verify_probes").get("results") or []
    probes = {
        "": _registered(own, "__verify_probe"),
        **{one["__verify_point"]: one for one in points},
    }
    facts_of_run = {key: run[key] for key in ("time", "versions")}
    found = (
        _registered(own, "__real_ip_summary").get("published")
        # What left the play is told of in the page for all.
        or (_registered(variables, "__real_ip_fleet").get("results") or {}).get(host)
        or without_result(last_result(variables["hostvars"], host), facts_of_run)
    )
    return found, evidence(probes, _registered(own, "__diagnose_way"))
