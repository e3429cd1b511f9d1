# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup kestrel.real_ip.unparsed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unparsed
short_description: What Ansible can't read of an inventory
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Ansible only warns of a source that no inventory plugin can read, and goes on with the others.
    Whoever is in it is left out then.
  - Likewise of a key of a group in YAML that is none of C(hosts), C(vars) and C(children). Those
    that are nearly one of these, or begin with C(real_ip), are told, and one of these at a host,
    of which Ansible makes a variable of that name.
  - Likewise of a file in a directory whose ending it passes over, if there is anything in it of
    this collection.
  - Of files with a comma between them Ansible makes hosts that have these names.
options:
  _terms:
    description: The sources, C(ansible_inventory_sources). Of a directory each file is one.
    type: list
    elements: str
    required: true
  read:
    description: Files of which hosts are known, each host's C(inventory_file). Plugins don't read
      them again.
    type: list
    elements: str
    default: []
seealso:
  - name: ansible-core, any_unparsed_is_failed
    description: The setting with which Ansible fails there by itself.
    link: https://docs.ansible.com/ansible/latest/reference_appendices/config.html#inventory-any-unparsed-is-failed
"""

EXAMPLES = r"""
- name: Refuse an inventory of which a part is missing
  ansible.builtin.assert:
    that: query('kestrel.real_ip.unparsed', *ansible_inventory_sources) | length == 0
"""

RETURN = r"""
_raw:
  description: Paths of files, with the key in brackets where it is only that.
  type: list
  elements: str
"""

import difflib
import typing as t
from pathlib import Path

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.inventory.manager import IGNORED, InventoryManager
from ansible.plugins.lookup import LookupBase

_SUFFIXES = (".yml", ".yaml", ".json", ".ini")
#: Of those that a directory's files may have and Ansible passes over, by its version
_PASSED_OVER = (".ini", ".cfg", ".txt", ".conf")
_SECTIONS = ("hosts", "vars", "children")
#: How alike two names are that may be one, of 1; as in difflib
_CLOSE = 0.75


class _Sources(InventoryManager):
    """Which of the sources can't be read; nothing else is made of them."""

    def __init__(self, loader: t.Any, read: t.Iterable[str]) -> None:
        untyped: t.Any = super()
        untyped.__init__(loader, sources=None, parse=False)
        self.read = {*read}
        self.unparsed: list[str] = []

    def parse_source(self, source: str, cache: bool = True) -> bool:
        """Called by itself for each file of a directory."""
        self.unparsed += [f"{source} ({key})" for key in self._skipped(source)]
        self.unparsed += self._set_aside(source)
        if source in self.read:
            return True
        untyped: t.Any = super()
        try:
            parsed = bool(untyped.parse_source(source, cache=cache))
        except AnsibleError:
            parsed = False
        if not parsed and not self._loader.is_directory(source):
            self.unparsed.append(source)
        return parsed

    def _set_aside(self, source: str) -> list[str]:
        """Files of a directory that are passed over by their endings, with something of ours."""
        if not self._loader.is_directory(source):
            return []
        files = [one for one in sorted(Path(source).iterdir()) if one.suffix in _PASSED_OVER]
        left = [one for one in files if IGNORED.search(one.name.encode()) and one.is_file()]
        return [str(one) for one in left if b"real_ip_" in one.read_bytes()]

    def _skipped(self, source: str) -> list[str]:
        # A file without one can be YAML, too.
        suffixes = ["", *C.config.get_config_value("YAML_FILENAME_EXTENSIONS")]
        if Path(source).suffix not in suffixes or not self._loader.is_file(source):
            return []
        try:
            return [*skipped(self._loader.load_from_file(source))]
        except AnsibleError:
            return []


def skipped(groups: t.Any) -> t.Iterator[str]:
    """Keys that are passed over in an inventory in YAML, and that somebody has meant."""
    # The settings of a plugin have other ones.
    if not isinstance(groups, t.Mapping) or "plugin" in groups:
        return
    for group, members in groups.items():
        if not isinstance(members, t.Mapping):
            # Ansible warns of it, and goes on.
            if members is not None and str(group).startswith("real_ip"):
                yield f"{group}, which is no group"
            continue
        for key in members:
            name = str(key)
            near = difflib.get_close_matches(name, _SECTIONS, n=1, cutoff=_CLOSE)
            if name not in _SECTIONS and (near or name.startswith("real_ip")):
                yield f"{name} in the group {group}"
        hosts = members.get("hosts")
        for host, given in hosts.items() if isinstance(hosts, t.Mapping) else ():
            # A host has its variables without a word before them.
            for key in (one for one in _SECTIONS if isinstance(given, t.Mapping) and one in given):
                if isinstance(given[key], t.Mapping):
                    yield f"{key} at the host {host}"
        yield from skipped(members.get("children"))


def unparsed(loader: t.Any, sources: t.Iterable[str], read: t.Iterable[str] = ()) -> list[str]:
    """Paths of files, as the lookup returns them."""
    found = _Sources(loader, read)
    for source in sources:
        # A comma makes names of hosts of what stands around it.
        if "," not in source:
            found.parse_source(source)
        elif {Path(one).suffix for one in source.split(",")} & {*_SUFFIXES}:
            found.unparsed.append(source)
    return found.unparsed


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[str], variables: t.Any = None, **kwargs: t.Any) -> list[str]:
        """Paths of files."""
        untyped: t.Any = self
        untyped.set_options(var_options=variables, direct=kwargs)
        return unparsed(self._loader, terms, untyped.get_option("read"))
