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
from ansible import constants as C
from ansible.release import __version__ as ansible_version
from ansible.vars.manager import VariableManager
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import SETTINGS
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


#: Any of them says which cluster a host is
_NAMING = ("real_ip_kubeconfig", "real_ip_context", "real_ip_api_host")
#: Without these, the verdict is of another cluster, deployment, way, place or strategy
_MEANT = (
    *_NAMING,
    *("real_ip_namespace", "real_ip_name_prefix", "real_ip_scenario"),
    *("real_ip_url", "real_ip_host", "real_ip_path", "real_ip_layer", "real_ip_vantage"),
    *("real_ip_strategy", "real_ip_header", "real_ip_trusted_count", "real_ip_trusted_ranges"),
)


def emptied(variables: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any]) -> list[str]:
    """What is meant, as far as somebody gives it and nothing comes of it: with -e, in a survey, as
    a variable of a play or of its import, or as a fact. ``given``: ``variables``, templated.
    """
    return [name for name in _MEANT if name in variables and not said(given, name)]


def by_inventory(loader: t.Any, hostvars: t.Any, host: str) -> dict[str, t.Any]:
    """A host's variables, not templated, as the inventory alone has them."""
    inventory = hostvars._inventory
    manager: t.Any = VariableManager(loader=loader, inventory=inventory)
    manager._extra_vars = {}
    found: dict[str, t.Any] = manager.get_vars(
        host=inventory.get_host(host), include_hostvars=False
    )
    return found


def taken_away(names: t.Iterable[str], own: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with variables of these names that are empty: they go before what the inventory
    says, and what holds without it would be told under the host's name.
    """
    return [
        f"{name}: what is empty goes before the inventory's value: expected a value, or none with "
        "-e, as the answer of a survey, in a play, at its import or as a fact"
        for name in names
        if said(own, name) and own[name] != SETTINGS[name].default
    ]


def said(variables: t.Mapping[str, t.Any], name: str) -> bool:
    """Whether a variable has a value, which the empty string is none of."""
    value = variables.get(name)
    return value is not None and bool(not isinstance(value, str) or value.strip())


_OF_ENVIRONMENT = re.compile(r"(lookup|query|q)\(\s*['\"](ansible\.builtin\.)?env['\"]")
#: Without these the Kubernetes client goes to the current context as well.
_OF_THE_CLIENT = re.compile(r"['\"](KUBECONFIG|K8S_AUTH_\w+)['\"]")


#: What says as well which cluster it is, so that a variable may be empty
_INSTEAD = {
    "real_ip_kubeconfig": ("real_ip_api_host",),
    # A kubeconfig has several.
    "real_ip_context": ("real_ip_api_host",),
    "real_ip_api_host": ("real_ip_kubeconfig", "real_ip_context"),
}


def unnamed(variables: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with a host that names its cluster by variables of the environment that aren't
    set: the current context would be taken for it, or that of another kubeconfig. ``given``: its
    variables, templated.
    """
    texts = {
        name: " ".join(_written(variables, name))
        for name in _NAMING
        if not any(said(given, one) for one in (name, *_INSTEAD[name]))
    }
    return [
        f"{name}: its variable of the environment isn't set where Ansible runs: expected one that "
        "is, since the current context would be taken, or that of the usual kubeconfig"
        for name, text in texts.items()
        if _OF_ENVIRONMENT.search(text) and not _OF_THE_CLIENT.search(text)
    ]


def _written(variables: t.Mapping[str, t.Any], name: str) -> list[str]:
    """A variable as it is written, with those that it is made of."""
    found = {name: str(variables.get(name, ""))}
    todo = [name]
    while todo:
        more = [one for one in re.findall(r"\w+", found[todo.pop()]) if one not in found]
        found.update({one: variables[one] for one in more if isinstance(variables.get(one), str)})
        todo += [one for one in more if one in found]
    return [*found.values()]


def kept_here(point: str | None, transport: str, variables: t.Mapping[str, t.Any]) -> str:
    """What is wrong where a task is delegated, and a variable of the play keeps it here: that goes
    before the task's ``connection``, and what is seen would count as seen from there.
    """
    if not point or point in C.LOCALHOST or transport != "local":
        return ""
    meant = variables["hostvars"].get(point, {}).get("ansible_connection")
    taken = variables.get("ansible_delegated_vars", {}).get(point, {}).get("ansible_connection")
    if meant == "local" or taken is None:
        return ""
    return (
        f"ansible_connection: a variable of the play leads from {point} to where Ansible runs: "
        "expected connection: local at the play in its place"
    )
