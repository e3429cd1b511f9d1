# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter kestrel.real_ip.left_out."""

from __future__ import annotations

DOCUMENTATION = r"""
name: left_out
short_description: What is said where tags have left out a verification
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Turns the tags of a run that has verified nothing into a message.
positional: skip_tags
options:
  _input:
    description: The tags that were to run, C(ansible_run_tags).
    type: list
    elements: str
    required: true
  skip_tags:
    description: The tags that were to be skipped, C(ansible_skip_tags).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Fail where nothing was verified
  ansible.builtin.fail:
    msg: "{{ ansible_run_tags | kestrel.real_ip.left_out(ansible_skip_tags) }}"
"""

RETURN = r"""
_value:
  description: The message.
  type: str
"""

import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import left_out


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"left_out": left_out}
