# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What action plugins ask of the run that they are part of."""

from __future__ import annotations

import datetime
import functools
import re
import typing as t
from pathlib import Path

import yaml
from ansible.release import __version__ as ansible_version
from ansible_collections.kestrel.real_ip.plugins.module_utils._version import VERSION


def facts() -> dict[str, t.Any]:
    """``time`` and ``versions``, as a result has them."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "time": now.isoformat(timespec="seconds"),
        "versions": {"kestrel.real_ip": VERSION, "ansible": ansible_version},
    }


def last_result(hostvars: t.Mapping[str, t.Any], host: str) -> t.Mapping[str, t.Any]:
    """What is known of why a host left a play: the result of its first task, empty without one."""
    own = hostvars.get(host, {})
    found = own.get("__real_ip_preflight")
    return found if isinstance(found, t.Mapping) else {}


def settings(templar: t.Any, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The variables ``real_ip_*`` among a host's, templated."""
    return {
        name: templar.template(variables[name]) for name in variables if name.startswith("real_ip_")
    }


#: Roles whose options have names that an inventory can have for something else
_GENERAL = ("namespace", "deployment", "service", "ingress")
#: Options of another one that the playbooks have read the way for
_OF_THE_WAY = ("verify_host", "verify_path", "verify_url")
_PREFIXES = (*(f"{role}_" for role in _GENERAL), *_OF_THE_WAY)


@functools.cache
def role_options() -> t.Mapping[str, str]:
    """Option of a role → the variable of the playbooks that gives it, empty for none.

    A variable of the inventory with such a name would take its place without having been judged.
    """
    roles = Path(__file__).parents[2] / "roles"
    found = {}
    for role in (*_GENERAL, "verify"):
        defaults = yaml.safe_load((roles / role / "defaults" / "main.yml").read_text("utf-8"))
        for name, value in defaults.items():
            variable = re.match(r"{{ (real_ip_\w+)", str(value))
            found[name] = variable.group(1) if variable else ""
    return found


def mistaken(names: t.Iterable[str]) -> list[str]:
    """What is wrong with variables of these names, since roles would take them for their own."""
    told = []
    # Most inventories have none, and then the roles' files need not be read for each host.
    for name in sorted(one for one in names if one.startswith(_PREFIXES)):
        instead = role_options().get(name)
        if instead is not None:
            meant = f"expected {instead} for that, or" if instead else "expected"
            told.append(f"{name}: a role would take it for its option: {meant} another name")
    return told
