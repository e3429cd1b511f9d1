# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup kestrel.real_ip.unread_vars."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unread_vars
short_description: Variables that somebody has written down and Ansible doesn't read
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Of C(group_vars) and C(host_vars) Ansible reads those beside the inventory, and those beside the
    playbook that a play stands in. Where the play is a collection's, that is the collection's own
    directory, and neither that of a playbook which imports it, nor the one in which its name is
    typed. Told is what stands there, begins with C(real_ip_), and isn't the host's as well.
  - Beside the inventory, a file that has the name of no group or host is for nobody. Told is one
    whose name is nearly C(real_ip_clusters) or C(real_ip_vantages), and one of a group among those
    for hosts, or of a host among those for groups, that has a variable which begins so.
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
    that: query('kestrel.real_ip.unread_vars', *groups['all']) | length == 0
"""

RETURN = r"""
_raw:
  description: Paths of files or of their directories, with names of variables in brackets where it
    is only these.
  type: list
  elements: str
"""

import re
import typing as t
from pathlib import Path

from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleError
from ansible.inventory.group import Group
from ansible.inventory.host import Host
from ansible.plugins.loader import vars_loader
from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars

Vars = t.Mapping[str, t.Any]

_KINDS = ("group_vars", "host_vars")
_READ = ("real_ip_clusters", "real_ip_vantages")
_NEARLY = re.compile(r"real[-_.]?ip[-_.]", re.IGNORECASE)


def beside(sources: t.Iterable[str]) -> list[Path]:
    """The directories where Ansible looks for variables of an inventory's sources."""
    paths = [Path(one) for one in sources if "," not in one]
    return [*dict.fromkeys((one if one.is_dir() else one.parent).resolve() for one in paths)]


def passed_over(playbooks: t.Iterable[str], here: Path, read: t.Iterable[Path]) -> list[Path]:
    """The directories where somebody may have expected that: beside playbooks, and where their
    names are typed.
    """
    typed = [here, *(Path(one).parent.resolve() for one in playbooks if Path(one).is_file())]
    there = [one for one in dict.fromkeys(typed) if one not in {*read}]
    return [one for one in there if any((one / kind).is_dir() for kind in _KINDS)]


def _given(loader: t.Any, directory: Path, groups: t.Iterable[str], host: str) -> list[Vars]:
    """What files of a directory would give a host, those of the least weight first."""
    plugin = vars_loader.get("ansible.builtin.host_group_vars")
    entities: list[t.Any] = [*map(Group, dict.fromkeys(["all", *groups])), Host(host)]
    found = []
    for entity in entities:
        try:
            found.append(plugin.get_vars(loader, str(directory), [entity]))
        except AnsibleError:
            # Ansible reads it as little: it may be encrypted, for other plays.
            continue
    return found


def not_given(files: t.Sequence[Vars], has: Vars, stronger: t.Collection[str]) -> list[str]:
    """Names of the variables in ``files`` that a host doesn't have, or has from elsewhere.

    ``stronger``: those that are given in a way that counts more than any file.
    """
    names = dict.fromkeys(name for one in files for name in one if name.startswith("real_ip_"))
    return [
        name
        for name in names
        if name not in stronger
        and (name not in has or not any(one.get(name) == has[name] for one in files))
    ]


def _is_ours(path: Path) -> bool:
    files = path.rglob("*") if path.is_dir() else [path]
    return any(b"real_ip_" in one.read_bytes() for one in files if one.is_file())


def for_nobody(directory: Path, groups: t.Mapping[str, t.Collection[str]]) -> list[str]:
    """Files beside an inventory that are for no group or host, though somebody has meant one."""
    hosts = {host for members in groups.values() for host in members}
    known = {"group_vars": {*groups, *_READ}, "host_vars": hosts}
    other = {"group_vars": hosts, "host_vars": {*groups, *_READ}}
    return [
        str(path)
        for kind in _KINDS
        if (directory / kind).is_dir()
        for path in sorted((directory / kind).iterdir())
        if not {path.name, path.stem} & known[kind]
        and ({path.name, path.stem} & other[kind] or _NEARLY.match(path.name))
        and not path.name.endswith(tuple(C.INVENTORY_IGNORE_EXTS))
        and _is_ours(path)
    ]


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[str], variables: t.Any = None, **kwargs: t.Any) -> list[str]:
        """Paths of files or directories."""
        untyped: t.Any = self
        untyped.set_options(var_options=variables, direct=kwargs)
        read = beside(untyped.get_option("sources"))
        found = [path for one in read for path in for_nobody(one, variables["groups"])]
        places = passed_over(context.CLIARGS.get("args", ()), Path.cwd(), read)
        if not places:
            return found
        raw = variables["hostvars"].raw_get
        hosts = {host: raw(host) for host in terms}
        # What a play has and its host has not is given where the play is imported.
        of_play = {*variables} - {*raw(variables["inventory_hostname"])}
        stronger = {*load_extra_vars(self._loader), *of_play}
        for place in places:
            names: dict[str, None] = {}
            for host, has in hosts.items():
                files = _given(self._loader, place, has["group_names"], host)
                names.update(dict.fromkeys(not_given(files, has, stronger)))
            if names:
                found.append(f"{place} ({', '.join(names)})")
        return found
