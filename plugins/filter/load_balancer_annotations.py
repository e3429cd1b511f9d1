# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter kestrel.real_ip.load_balancer_annotations."""

from __future__ import annotations

DOCUMENTATION = r"""
name: load_balancer_annotations
short_description: The annotations that ask TKE for a load balancer
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Turns what is asked of TKE's load balancer into annotations of the object that has it. Their
    values are text, some of it JSON.
  - What can't be asked for, or not together, is an error that names the variables, and TKE's own
    error where it has one.
positional: kind
options:
  _input:
    description: As P(kestrel.real_ip.load_balancer#filter) returns it.
    type: dict
    required: true
  kind:
    description: The kind that has the load balancer, C(Ingress) or C(Service).
    type: str
    required: true
  scenario:
    description: The name of the scenario, for messages.
    type: str
    required: true
  ingress_class:
    description: The class of the load balancer.
    type: str
    required: true
  direct_access:
    description: Whether it sends to pods.
    type: bool
    required: true
  host:
    description: The host of the Ingress's rule.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: An internal load balancer in front of a Service
  ansible.builtin.debug:
    msg: >-
      {{ {'subnet_id': 'subnet-1a2b3c4d'} | kestrel.real_ip.load_balancer_annotations('Service',
         scenario='gr-clb-direct-pod', ingress_class='qcloud', direct_access=true) }}
  # {'service.kubernetes.io/qcloud-loadbalancer-internal-subnetid': 'subnet-1a2b3c4d'}
"""

RETURN = r"""
_value:
  description: The annotations.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.kestrel.real_ip.plugins.filter.load_balancer import load_balancer
from ansible_collections.kestrel.real_ip.plugins.module_utils._convert import boolean
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import (
    annotations_for,
    conflicts,
    variable,
)


def load_balancer_annotations(
    given: t.Mapping[str, t.Any],
    kind: str,
    scenario: str,
    ingress_class: str,
    direct_access: bool,
    host: str = "",
) -> dict[str, str]:
    """The annotations for what was given. Raises AnsibleFilterError, which names variables."""
    values = load_balancer(given)
    found = conflicts(
        kind,
        {
            **{variable(name): value for name, value in values.items()},
            "real_ip_scenario": scenario,
            "real_ip_ingress_class": ingress_class,
            "real_ip_direct_access": boolean(direct_access),
            "real_ip_host": host,
        },
    )
    if found:
        raise AnsibleFilterError("; ".join(found))
    return annotations_for(kind, values)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"load_balancer_annotations": load_balancer_annotations}
