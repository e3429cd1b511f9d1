# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter kestrel.real_ip.scenario."""

from __future__ import annotations

DOCUMENTATION = r"""
name: scenario
short_description: What a scenario needs
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Turns a value of the variable C(real_ip_scenario) into what stands in front of the pods there
    and what the objects must have.
options:
  _input:
    description: The name of the scenario.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: The kind whose load balancer clients talk to
  ansible.builtin.debug:
    msg: "{{ ('gr-clb-direct-pod' | kestrel.real_ip.scenario).front }}"
  # Service
"""

RETURN = r"""
_value:
  description:
    - The keys V(front) (C(Ingress) or C(Service)), V(layer), V(service_type), V(direct_access) and
      V(echo).
    - And V(pod), fields of the pods' specification, V(external_traffic_policy), V(tke), whether
      annotations of TKE are written, and V(switches), TKE's switches for the whole cluster with the
      values that it needs.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import SCENARIOS
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import (
    SettingError,
    value_of,
)


def scenario(name: t.Any) -> dict[str, t.Any]:
    """The row of the scenario ``name``. Raises AnsibleFilterError."""
    try:
        return SCENARIOS[value_of("real_ip_scenario", name)]._asdict()
    except SettingError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"scenario": scenario}
