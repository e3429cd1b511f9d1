# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter kestrel.real_ip.to_diagnose."""

from __future__ import annotations

DOCUMENTATION = r"""
name: to_diagnose
short_description: The result of several whose cause is looked for
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Chooses the first bad one of the results that vantage points have given, without a strategy that
    is not the safe one at all of them.
options:
  _input:
    description: Results of M(kestrel.real_ip.source_ip_info). Those without a verdict say nothing.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Find the cause of what one of two has seen
  kestrel.real_ip.traffic_path_info:
    namespace: kestrel-catchip
    ingress: real-ip-ingress
    probe: "{{ [office, carrier] | kestrel.real_ip.to_diagnose }}"
"""

RETURN = r"""
_value:
  description: The result. Empty where none is bad.
  type: dict
"""

import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import to_diagnose


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"to_diagnose": to_diagnose}
