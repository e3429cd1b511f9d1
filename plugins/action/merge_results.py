# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One result of several, such as those of an AWX job's slices."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kestrel.real_ip.plugins.module_utils._report import (
    RESULTS,
    Unreadable,
    in_several,
    judged,
    merge,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import colour, line, refused
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._files import document, unusable
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._run import facts
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._writers import write_all

display = Display()


class ActionModule(ActionBase):
    """Merges documents, publishes what came of it, and writes it as reports."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """``real_ip_results``; failed where a file can't be read, or none written."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        validate: t.Any = self.validate_argument_spec
        arguments = validate(
            {
                "documents": {"type": "list", "elements": "str", "default": []},
                "report_dir": {"type": "str"},
                "accept": {"type": "list", "elements": "str", "default": []},
            }
        )[1]
        directory = arguments["report_dir"]
        why = unusable(directory) if directory else None
        if why:
            return {**result, "failed": True, "msg": f"real_ip_report_dir: {why}"}
        if not arguments["documents"]:
            return {**result, "failed": True, "msg": _MISSING}
        try:
            documents = {path: document(path) for path in arguments["documents"]}
        except Unreadable as error:
            return {**result, "failed": True, "msg": str(error)}
        found = merge(documents, {"playbook": "merge_results", **facts()})
        results, good = found[RESULTS], {"preserved", *arguments["accept"]}
        bad = {
            host: [row for one in judged(documents.values(), host) for row in refused(one, good)]
            for host in results
        }
        for host, one in results.items():
            display.display(line(host, one), color=colour(one))
            # What isn't accepted need not be the worst.
            hidden = [f"{row['verdict']}: {row['reason']}" for row in bad[host]]
            if one["verdict"] in good:
                for text in dict.fromkeys(hidden):
                    display.display(f"  not accepted of {host}: {text}")
        several = in_several(documents)
        if several:
            display.display(f"In several documents, of which the worst stays: {', '.join(several)}")
        result.update(
            write_all({directory: found} if directory else {}, self._task.check_mode),
            real_ip_results=results,
            refused=[host for host, rows in bad.items() if rows],
            ansible_stats={"data": {RESULTS: results}, "per_host": False, "aggregate": True},
        )
        return result


_MISSING = (
    "real_ip_documents: expected files: reports in JSON that real_ip_report_dir has kept, or the "
    "artifacts of AWX jobs. Next: ansible-playbook kestrel.real_ip.merge_results "
    "-e real_ip_documents=FILE,FILE"
)
