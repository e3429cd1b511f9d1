#!/usr/bin/python

# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: summary
short_description: Say what a run found, for a person, a script and AWX
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - >-
    Prints verdict, addresses, reason, fix and the next command, then one line
    C(real_ip: <host> <verdict> <code> <reason>) at column 0.
  - Publishes the same as C(real_ip_results), as M(ansible.builtin.set_stats) does.
  - Never fails on a bad verdict, so that the result is published before the play fails.
extends_documentation_fragment:
  - kestrel.real_ip.attributes
  - kestrel.real_ip.attributes.read_only
attributes:
  action_group:
    support: none
    details:
      - Talks to nobody.
options:
  probe:
    description: A registered result of M(kestrel.real_ip.source_ip_info), also a skipped one.
    type: dict
  vantages:
    description:
      - Name of a vantage point to its result of M(kestrel.real_ip.source_ip_info), which may have
        failed. Takes the place of O(probe) unless it is empty.
      - The worst of their verdicts is the host's. One without a verdict is V(not_run), and the
        host's then never V(preserved).
    type: dict
    default: {}
  way:
    description: A result of M(kestrel.real_ip.traffic_path_info), whose cause is shown and becomes
      part of the result.
    type: dict
  diagnosis:
    description: Whether the run was to find the cause only, so that what O(probe) says is evidence
      and no verdict.
    type: bool
    default: false
  earlier:
    description: What RV(verifications) was when this was last called in the same run.
    type: list
    elements: dict
    default: []
  failure:
    description: The step that failed before the probe, with C(task) and C(msg).
    type: dict
  applied:
    description: What the run has applied, as C(objects) of M(kestrel.real_ip.apply) has it. Shown
      as what is left running, or as what was done before a step failed.
    type: list
    elements: dict
    default: []
  switches:
    description: What the run has made of the cluster's switches, as C(switches) of
      M(kestrel.real_ip.cluster_switches) has it.
    type: list
    elements: dict
    default: []
  ephemeral:
    description: Whether the run removes what it deployed after this task.
    type: bool
    default: false
  kubernetes_version:
    description: The version of Kubernetes, for the result.
    type: str
  accept:
    description: Verdicts that are accepted beside V(preserved).
    type: list
    elements: str
    default: []
  hosts:
    description:
      - How many hosts the run has. Among more than ten, only the line is printed, and no page, of
        one whose verdict is accepted and with which nothing is wrong.
      - With C(-v) there is a page all the same.
    type: int
    default: 1
  playbooks:
    description: What stands before a playbook's name in the commands that are proposed.
    type: str
    default: kestrel.real_ip.
  language:
    description: The language of what a person reads, English or Chinese. Codes, verdicts, names and
      commands are the same in both.
    type: str
    choices: [en, zh]
    default: en
"""

EXAMPLES = r"""
- name: Say what was found
  kestrel.real_ip.summary:
    probe: "{{ probe }}"
"""

RETURN = r"""
result:
  description: What was found. With O(vantages) it is the worst of theirs, and C(vantages) has them
    all by their names.
  returned: always
  type: dict
published:
  description: The host's entry in C(real_ip_results). It is the worst of RV(verifications), and
    where there are several, C(verifications) has them all, and warnings and reservations are those
    of all that have its verdict.
  returned: always
  type: dict
verifications:
  description: O(earlier), and RV(result) behind it unless it is a diagnosis.
  returned: always
  type: list
  elements: dict
accepted:
  description: Whether the verdict, and that of each vantage point and of each address, is accepted.
    V(not_run) is only where there was nothing to probe.
  returned: always
  type: bool
refused:
  description: What is not accepted, each as verdict and reason. RV(result) alone where it is that,
    else what its verdict hides.
  returned: always
  type: list
  elements: str
"""
