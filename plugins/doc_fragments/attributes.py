# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the attributes mean; each module says whether it supports them."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the
      target.
  diff_mode:
    description: Returns details on what has changed (or would change in C(check_mode)), when in
      diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation
        indicates no change.
      - This assumes that the system controlled or queried by the module has not changed in a
        relevant way.
  action_group:
    description:
      - Use C(group/kestrel.real_ip.k8s) in C(module_defaults) to set defaults for this module.
      - Where neither these nor the task have a kubeconfig, context, host or API key, the
        variables C(real_ip_kubeconfig), C(real_ip_context), C(real_ip_api_host) and
        C(real_ip_api_key) of the host give them.
    membership:
      - kestrel.real_ip.k8s
"""

    # For modules that change nothing; together with the standard fragment.
    READ_ONLY = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This action does not modify state.
  diff_mode:
    support: N/A
    details:
      - This action does not modify state.
  idempotent:
    support: full
    details:
      - This action does not modify state.
"""
