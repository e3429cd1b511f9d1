#!/usr/bin/python

# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_summary
short_description: Say what a run found in all clusters, worst first
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Prints one page for all hosts of a run, of at most 100 columns. It counts the verdicts, and has
    a row for each cluster, the worst first, with code, cause and the address that was seen. What is
    wrong is told once for all with which it is the same.
  - Of more than ten hosts the good ones are named on a few lines.
  - >-
    For a host of O(out) without a result it prints C(real_ip: <host> not_run - <reason>) and
    publishes such an entry in C(real_ip_results), so that these are complete.
  - Run it once, with C(run_once), when M(kestrel.real_ip.summary) has run for each host. Never
    fails on a bad verdict.
extends_documentation_fragment:
  - kestrel.real_ip.attributes
  - kestrel.real_ip.attributes.read_only
attributes:
  action_group:
    support: none
    details:
      - Talks to nobody.
options:
  results:
    description: Host to its RV(kestrel.real_ip.summary#module:published), or to an empty dictionary
      where no verdict was asked for.
    type: dict
    required: true
  out:
    description: Those of the hosts that have left the play.
    type: list
    elements: str
    default: []
  left_out:
    description: Clusters that this run was not to look at, as C(--limit) leaves them out.
    type: list
    elements: str
    default: []
  playbooks:
    description: What stands before a playbook's name in the commands that are proposed.
    type: str
    default: kestrel.real_ip.
"""

EXAMPLES = r"""
- name: Say what was found in all clusters
  kestrel.real_ip.fleet_summary:
    results: "{{ dict(ansible_play_hosts_all | zip(found)) }}"
    out: "{{ ansible_play_hosts_all | reject('in', ansible_play_hosts) | list }}"
  vars:
    found: "{{ ansible_play_hosts_all | map('extract', hostvars)
      | map(attribute='summary', default={}) | map(attribute='published', default={}) }}"
  run_once: true
"""

RETURN = r"""
results:
  description: O(results) with those of O(out) that had none, worst first.
  returned: always
  type: dict
"""
