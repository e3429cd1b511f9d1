# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter kestrel.real_ip.setting."""

from __future__ import annotations

DOCUMENTATION = r"""
name: setting
short_description: The value of a C(real_ip_*) variable, from whatever a user or a survey gave
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Turns what was given for a C(real_ip_*) variable into the value that the collection uses.
  - Unset and the empty string, which an AWX survey sends for an optional question, give the
    default.
    V(0) and V(false) are values.
  - Booleans, integers and lists are accepted as text too; lists are split at commas and newlines.
positional: name, scenario
options:
  _input:
    description: What was given, V(none) where nothing was.
    type: raw
    required: true
  name:
    description: The name of the variable.
    type: str
    required: true
  scenario:
    description: What was given for C(real_ip_scenario), on which the defaults of some variables
      depend.
    type: raw
"""

EXAMPLES = r"""
- name: A role default that points at the collection-wide variable
  ansible.builtin.debug:
    msg: "{{ real_ip_replicas | default(none) | kestrel.real_ip.setting('real_ip_replicas') }}"
  # 2 where real_ip_replicas is unset or '', 3 where it is 3 or '3', an error where it is 'many'
"""

RETURN = r"""
_value:
  description: The value.
  type: raw
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import (
    SettingError,
    value_of,
)


def setting(given: t.Any, name: str, scenario: t.Any = None) -> t.Any:
    """``given`` as the value of the variable ``name``. Raises AnsibleFilterError."""
    try:
        return value_of(name, given, scenario)
    except SettingError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"setting": setting}
