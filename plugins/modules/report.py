#!/usr/bin/python

# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Write what a run found at all its hosts into files
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - >-
    Run once for all hosts of a play, behind M(kestrel.real_ip.summary). Of the hosts whose variable
    C(real_ip_report_dir) names the same directory on the controller it writes one report there.
  - A host that left the play before it could say what was found is a row V(not_run).
  - The names of the files begin with the time in UTC, so that they sort by it, and end with a
    part by chance, so that no run overwrites another one's.
  - Logs of pods, Secrets and credentials stand in none of them.
extends_documentation_fragment:
  - kestrel.real_ip.attributes
attributes:
  check_mode:
    support: full
    details:
      - Writes nothing, and says so.
  diff_mode:
    support: none
    details:
      - A report is new each time.
  idempotent:
    support: N/A
    details:
      - Each run adds its report and changes none that is there. That is the record of a run and no
        state of anything, so that it is never called changed.
  action_group:
    support: none
    details:
      - Talks to nobody.
options:
  playbook:
    description: The playbook that was run, for the names of the files.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Write the report
  kestrel.real_ip.report:
    playbook: verify
  run_once: true
"""

RETURN = r"""
written:
  description: The paths of the files. Empty in check mode, and where no host has a result.
  returned: success
  type: list
  elements: str
"""
