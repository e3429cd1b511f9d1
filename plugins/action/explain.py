# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows what a code means."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kestrel.real_ip.plugins.module_utils._explain import UnknownCode, explain
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    DEFAULT_LANGUAGE,
    LANGUAGES,
)

display = Display()


class ActionModule(ActionBase):
    """Prints the page of a code."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """``text``, the page; failed where there is no such code."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        validate: t.Any = self.validate_argument_spec
        arguments = validate(
            {
                "code": {"type": "str"},
                "language": {"type": "str", "choices": [*LANGUAGES], "default": DEFAULT_LANGUAGE},
            }
        )[1]
        try:
            text = explain(arguments["code"], arguments["language"])
        except UnknownCode as error:
            result.update(failed=True, msg=str(error))
            return result
        display.display(f"\n{text}\n")
        result.update(changed=False, text=text)
        return result
