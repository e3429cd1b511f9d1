#!/usr/bin/python

# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: explain
short_description: Say what a code of a verdict or of a cause means
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Prints the page that the documentation has for a code, with its cause and with what mends it.
extends_documentation_fragment:
  - kestrel.real_ip.attributes
  - kestrel.real_ip.attributes.read_only
attributes:
  action_group:
    support: none
    details:
      - Talks to nobody.
options:
  code:
    description: A code of a verdict (V(V201)), of a cause (V(P206)), or of TKE (V(E4009)).
    type: str
  language:
    description: The language of what a person reads, English or Chinese. Codes, verdicts, names and
      commands are the same in both.
    type: str
    choices: [en, zh]
    default: en
"""

EXAMPLES = r"""
- name: Say what V201 means
  kestrel.real_ip.explain:
    code: V201
"""

RETURN = r"""
text:
  description: The page.
  returned: success
  type: str
"""
