#!/usr/bin/python

# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: merge_results
short_description: Make one result of those that several runs have kept
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Reads documents from files on the controller, as those of the slices of an AWX job, prints a
    line for each cluster, the worst first, and publishes all as C(real_ip_results).
  - A document is a report in JSON that C(real_ip_report_dir) has kept, the artifacts of an AWX job,
    or such a job as AWX's API has it.
  - Of a cluster that stands in several the worst result stays, whichever was later, and
    C(verifications) has them all in the order of their times, as in one run that verifies several
    times. To let a later run count alone, leave the document of the earlier one out.
  - Fails where a file is none of these, and where no report could be written. Never fails for a
    verdict, so that the results are published before the play fails.
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
      - Each run adds its report and changes none that is there.
  action_group:
    support: none
    details:
      - Talks to nobody.
options:
  documents:
    description: The paths of the files. Required.
    type: list
    elements: str
    default: []
  report_dir:
    description: A directory on the controller that reports of the whole are written into. None are
      written if not set.
    type: str
  accept:
    description: Verdicts that are accepted beside V(preserved).
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Make one result of those of two slices
  kestrel.real_ip.merge_results:
    documents: [slice-1.json, slice-2.json]
    report_dir: reports
"""

RETURN = r"""
real_ip_results:
  description: Cluster to its result, the worst first.
  returned: where all documents could be read
  type: dict
refused:
  description: The clusters whose verdict, or that of one of their vantage points or addresses, is
    not accepted. Where an older release has kept nothing of single addresses, an accepted verdict
    is refused that could hide another one.
  returned: where all documents could be read
  type: list
  elements: str
written:
  description: The paths of the reports. Empty in check mode.
  returned: where all documents could be read
  type: list
  elements: str
"""
