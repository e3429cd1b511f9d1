#!/usr/bin/python

# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compare
short_description: Say what got worse between two runs, and what was mended
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Reads two documents from files on the controller and prints what became of each cluster, of
    each vantage point, and of the backends that answered both times.
  - A document is a report in JSON that C(real_ip_report_dir) has kept, the artifacts of an AWX job,
    or such a job as AWX's API has it. Only the first kind tells backends and headers.
  - Worse is a verdict that is worse than before, a backend that does not see the expected address
    any more, and what was V(preserved) and is not looked at any more.
  - Likewise where fewer addresses of a place are V(preserved) than before, whatever the place's
    verdict is, unless all that are asked now are others than before and V(preserved).
  - What is new is not worse, whatever its verdict.
  - Fails where a file is none of these, where both are the same one, and where O(after) is older
    than O(before). Never fails for what got worse, which RV(worse) says.
extends_documentation_fragment:
  - kestrel.real_ip.attributes
  - kestrel.real_ip.attributes.read_only
attributes:
  action_group:
    support: none
    details:
      - Talks to nobody.
options:
  before:
    description: The path of the first document. Required.
    type: str
  after:
    description: The path of the second document. Required.
    type: str
"""

EXAMPLES = r"""
- name: Say what the migration has done
  kestrel.real_ip.compare:
    before: reports/20260101T220000Z-verify-1a2b3c4d.json
    after: reports/20260101T233000Z-verify-5e6f7a8b.json
"""

RETURN = r"""
worse:
  description: Whether anything got worse.
  returned: where both documents could be read
  type: bool
verdict:
  description: How many places became what, in one sentence.
  returned: where both documents could be read
  type: str
changes:
  description: What became of each place, the worst first.
  returned: where both documents could be read
  type: list
  elements: dict
  contains:
    cluster:
      description: The inventory's name of it.
      type: str
    vantage:
      description: The vantage point, empty for the controller.
      type: str
    backend:
      description: The pod, empty where the verdict is meant.
      type: str
    change:
      description:
        - V(worse), V(missing) for what was V(preserved) and is not looked at any more, V(other) for
          another bad verdict that is not worse, V(bad) for the same bad one, V(new), V(gone) for
          what was bad and is not looked at any more, V(mended), V(same).
        - The first two are what RV(worse) means.
      type: str
    before:
      description: Verdict and code, or what the backend saw.
      type: str
    after:
      description: Likewise.
      type: str
    notes:
      description: What else differs, as which address was expected, which strategy declared, and
        what became of a forged header.
      type: list
      elements: str
    asked:
      description: The addresses that were asked, where they were the same both times. Of a load
        balancer that was to be another one, the former has answered then.
      type: str
"""
