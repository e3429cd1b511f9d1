# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter kestrel.real_ip.load_balancer."""

from __future__ import annotations

DOCUMENTATION = r"""
name: load_balancer
short_description: What is asked of TKE's load balancer, from whatever users or surveys gave
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Turns what was given for variables about the load balancer into the values that are set. Unset
    ones and empty strings are left out, since TKE has defaults of its own.
options:
  _input:
    description: What was given, by the names of the variables without C(real_ip_).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Only what is set
  ansible.builtin.debug:
    msg: "{{ {'subnet_id': '', 'pass_to_target': 'yes'} | kestrel.real_ip.load_balancer }}"
  # {'pass_to_target': true}
"""

RETURN = r"""
_value:
  description: The values by the same names.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import variable
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import (
    SettingError,
    value_of,
)


def load_balancer(given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The values that are set. Raises AnsibleFilterError, which names the variable."""
    try:
        values = {name: value_of(variable(name), value) for name, value in given.items()}
    except SettingError as error:
        raise AnsibleFilterError(str(error)) from None
    return {name: value for name, value in values.items() if value is not None}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"load_balancer": load_balancer}
