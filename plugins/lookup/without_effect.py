# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup kestrel.real_ip.without_effect."""

from __future__ import annotations

DOCUMENTATION = r"""
name: without_effect
short_description: What somebody has written down or typed and Ansible makes nothing of
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Of C(group_vars) and C(host_vars) Ansible reads those beside the inventory, and those beside the
    playbook that a play stands in. Where the play is a collection's, that is the collection's own
    directory, and none of a playbook that imports it, nor the one in which its name is typed.
    Neither are those read that stand in a directory above or below the inventory's, or where a link
    to it leads. Told are variables of this collection that stand there and that a host has from
    nowhere.
  - Beside the inventory, a file is passed over that has the name of no group or host, another
    ending, or the name of a directory beside it. Told is one that has the name of a group or host
    all the same, but for case, hyphens, underscores or a domain, one of a group among those for
    hosts, or of a host among those for groups, and one whose name is nearly C(real_ip_clusters) or
    C(real_ip_vantages), if it has a variable of this collection or is encrypted. Files of SOPS are
    let go where the vars plugin C(community.sops.sops) is enabled, and all are told where
    C(host_group_vars) isn't.
  - Hosts are told that have the name of a variable, and where there is no C(real_ip_clusters), or
    no C(real_ip_vantages) and it is of these, hosts of neither that have variables of this
    collection. Not told are values that a host of these groups or localhost has alike, as of a
    group, and what such a host takes from another one by C(hostvars). Without C(real_ip_clusters),
    localhost has the variables of the cluster.
  - Told are also values of C(-e) of which Ansible makes no variable, parts of C(--limit) that no
    host matches, and where there is no inventory, an C(ansible.cfg) that names one and isn't read.
options:
  _terms:
    description: The hosts that are looked at.
    type: list
    elements: str
    required: true
  sources:
    description: The sources of the inventory, C(ansible_inventory_sources).
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Refuse variables that would be passed over
  ansible.builtin.assert:
    that: query('kestrel.real_ip.without_effect', *groups['all']) | length == 0
"""

RETURN = r"""
_raw:
  description: Paths of files or directories, hosts and options, with what is in them in brackets.
  type: list
  elements: str
"""

import typing as t
from itertools import chain
from pathlib import Path

from ansible import constants as C
from ansible import context
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars
from ansible_collections.kestrel.real_ip.plugins.plugin_utils import _unheeded as unheeded


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[str], variables: t.Any = None, **kwargs: t.Any) -> list[str]:
        """Paths of files or directories, hosts and options."""
        untyped: t.Any = self
        untyped.set_options(var_options=variables, direct=kwargs)
        loader: t.Any = self._loader
        groups, of = variables["groups"], variables["hostvars"].raw_get
        sources, here = untyped.get_option("sources"), Path.cwd()
        typed = [Path(one) for one in context.CLIARGS.get("args", ())]
        books = unheeded.imported(typed, loader.load_from_file)
        by_pattern = lookup_loader.get("ansible.builtin.inventory_hostnames", loader=loader)
        limit = str(variables.get("ansible_limit") or "")
        enabled = C.config.get_config_value("VARIABLE_PLUGINS_ENABLED")
        # Given where the play is imported, or with -e
        stronger = {*variables, *load_extra_vars(loader)}
        found = [
            unheeded.not_named(context.CLIARGS.get("extra_vars", ())),
            unheeded.for_nothing(groups, of),
            unheeded.unmatched(limit, lambda one: by_pattern.run([one], variables=variables)),
        ]
        if not groups.get("all"):
            found.append(unheeded.set_aside(here, books, getattr(C, "CONFIG_FILE", None)))
        for one in unheeded.beside(sources):
            found.append(unheeded.for_nobody(one, groups, loader.find_vars_files, enabled))
            found.append(unheeded.misnamed(one))
        places = unheeded.passed_over(books, here, sources)
        hosts = {host: of(host) for host in (terms if places else ())}
        found += [unheeded.not_given(loader, place, hosts, stronger) for place in places]
        return [*chain.from_iterable(found)]
