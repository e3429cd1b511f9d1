# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What somebody has written down or typed, and Ansible makes nothing of: pure functions, which take
what they ask of Ansible as arguments.
"""

from __future__ import annotations

import configparser
import difflib
import re
import typing as t
from itertools import chain
from pathlib import Path

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.inventory.group import Group
from ansible.inventory.host import Host
from ansible.inventory.manager import split_host_pattern
from ansible.parsing.splitter import parse_kv
from ansible.plugins.loader import vars_loader
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import SETTINGS

Vars = t.Mapping[str, t.Any]
Groups = t.Mapping[str, t.Collection[str]]

_KINDS = ("group_vars", "host_vars")
_CLUSTERS = "real_ip_clusters"
_VANTAGES = "real_ip_vantages"
#: What playbooks that look at no cluster read of localhost, such as compare and merge_results
_OF_LOCALHOST = (
    *("real_ip_before", "real_ip_after", "real_ip_documents", "real_ip_report_dir"),
    *("real_ip_accept", "real_ip_code", "real_ip_language"),
)
#: What a vantage point has for itself
_OF_A_VANTAGE = ("real_ip_vantage", "real_ip_expected_source")
#: How alike two names are that may be one, of 1; as in difflib
_CLOSE = 0.8
#: How a file may end that is meant. Others are copies and examples.
_ENDS = ("", ".yml", ".yaml", ".json", ".ini", ".txt", ".cfg", ".conf", ".toml")
_ENCRYPTED = b"$ANSIBLE_VAULT"
#: What reads NAME.sops.yml, where it is enabled
_SOPS = "community.sops.sops"
#: What somebody may call this machine where nothing else is a cluster
_HERE = (*C.LOCALHOST, "local")


def _of_sources(sources: t.Iterable[str]) -> list[Path]:
    return [Path(one) for one in sources if "," not in one and Path(one).exists()]


def beside(sources: t.Iterable[str]) -> list[Path]:
    """The directories where Ansible looks for variables of an inventory's sources."""
    paths = _of_sources(sources)
    return [*dict.fromkeys((one if one.is_dir() else one.parent).resolve() for one in paths)]


def imported(playbooks: t.Iterable[Path], load: t.Callable[[str], t.Any]) -> list[Path]:
    """The files of playbooks, and of those that they import, each once."""
    left, found = [*playbooks], dict[Path, None]()
    while left:
        path = left.pop(0).resolve()
        if path in found or not path.is_file():
            continue
        found[path] = None
        try:
            plays = load(str(path))
        except AnsibleError:
            continue
        for play in plays if isinstance(plays, list) else []:
            entries = play.items() if isinstance(play, t.Mapping) else ()
            names = [value for key, value in entries if key.endswith("import_playbook")]
            left += [path.parent / name for name in names if isinstance(name, str)]
    return [*found]


def passed_over(playbooks: t.Iterable[Path], here: Path, sources: t.Iterable[str]) -> list[Path]:
    """The directories that have files for groups or hosts, where somebody may have expected that
    they are read: beside playbooks, where names are typed, and around the inventory's sources.
    """
    read, paths = beside(sources), _of_sources(sources)
    above = [one for path in read for one in path.parents if here in one.parents]
    linked = [one.resolve().parent for one in paths if one.is_symlink() and one.is_file()]
    below = [
        found.parent.resolve()
        for path in paths
        for kind in _KINDS
        if path.is_dir()
        for found in sorted(path.rglob(kind))
    ]
    expected = [here, *(one.parent for one in playbooks), *above, *linked, *below]
    there = [one for one in dict.fromkeys(expected) if one not in read]
    return [one for one in there if any((one / kind).is_dir() for kind in _KINDS)]


def _given(loader: t.Any, directory: Path, groups: t.Iterable[str], host: str) -> list[str]:
    """The names of this collection's variables that files of a directory would give a host."""
    plugin = vars_loader.get("host_group_vars")
    entities: list[t.Any] = [*map(Group, dict.fromkeys(["all", *groups])), Host(host)]
    found: dict[str, t.Any] = {}
    for entity in entities:
        try:
            found.update(plugin.get_vars(loader, str(directory), [entity]))
        except AnsibleError:
            # Ansible reads it as little: it may be encrypted, for other plays.
            continue
    return [name for name in found if name in SETTINGS]


def not_given(
    loader: t.Any, place: Path, hosts: t.Mapping[str, Vars], stronger: t.Container[str]
) -> list[str]:
    """The directory with the names of its variables that a host should have and has from nowhere.

    ``hosts``: the variables of each; ``stronger``: names that are given in a way that counts more
    than any file.
    """
    names = dict.fromkeys(
        name
        for host, has in hosts.items()
        for name in _given(loader, place, has["group_names"], host)
        if name not in has and name not in stronger
    )
    return [f"{place} ({', '.join(names)})"] if names else []


def _is_ours(path: Path) -> bool:
    try:
        files = [one for one in (path.rglob("*") if path.is_dir() else [path]) if one.is_file()]
        contents = [one.read_bytes() for one in files]
    except OSError:
        return False
    return any(b"real_ip_" in one or one.startswith(_ENCRYPTED) for one in contents)


def _is_nearly(name: str) -> bool:
    """Whether a name is one of the two groups', or may be meant for it."""
    plain = re.sub("[-_.]", "", name).lower()
    meant = [re.sub("_", "", one) for one in (_CLUSTERS, _VANTAGES)]
    return plain == "realip" or bool(difflib.get_close_matches(plain, meant, 1, _CLOSE))


def _resembles(name: str, others: t.Iterable[str]) -> bool:
    """Whether a name is one of others but for case, hyphens, underscores, dots or a domain."""
    plain = {_plain(one) for one in others}
    return bool(
        {_plain(name), _plain(_short(name))} & plain
        or _plain(name) in {_plain(_short(one)) for one in others}
    )


def _plain(name: str) -> str:
    return re.sub("[-_.]", "-", name).lower()


def _short(name: str) -> str:
    """A host's name without its domain; one label more may be another inventory's (``one.stg``)."""
    is_address = not name.strip("0123456789.")
    return name if is_address else re.sub(r"^([^.]+)\.[^.]+\..+", r"\1", name)


def for_nobody(
    directory: Path,
    groups: Groups,
    find: t.Callable[[str, str], t.Iterable[t.Any]],
    enabled: t.Collection[str] = ("host_group_vars",),
) -> list[str]:
    """Files beside an inventory that are for no group or host, though somebody has meant one.

    ``find``: which files of a directory Ansible reads by a name; ``enabled``: plugins that read.
    """
    hosts = {"localhost", *chain.from_iterable(groups.values())}
    is_read = any(one.rpartition(".")[2] == "host_group_vars" for one in enabled)
    # Another inventory in the same directory can have vantage points.
    known = {"group_vars": {*groups, _VANTAGES}, "host_vars": hosts}
    here = _HERE if _CLUSTERS not in groups else ()
    other = {"group_vars": hosts, "host_vars": {*groups, _CLUSTERS, _VANTAGES, *here}}
    found = []
    for kind in _KINDS:
        place = directory / kind
        try:
            entries = sorted(one for one in place.iterdir() if not _is_hidden(one.name))
        except OSError:
            continue
        names = [name for name in known[kind] if "/" not in name]
        asked = names if is_read else []
        read = {Path(str(one)) for name in asked for one in find(str(place), name)}
        if _SOPS in enabled:
            read |= {one for one in entries if ".sops" in one.suffixes and _bare(one) in names}
        for path in entries:
            whole = path in read or any(path in one.parents for one in read)
            if whole and path.is_dir():
                found += [str(one) for one in _left(path, read) if _is_ours(one)]
                continue
            called = {path.name, path.stem, _bare(path)}
            meant = called & {*known[kind], *other[kind]} or any(map(_is_nearly, called))
            meant = meant or _resembles(_bare(path), known[kind])
            if meant and not whole and path.suffix.lower() in _ENDS:
                found += [str(path)] if _is_ours(path) else []
    return found


def _bare(path: Path) -> str:
    """The name of a file without its ending, or several of them (``.yml.txt``, ``.sops.yml``)."""
    while path.suffix and path.suffix.lower() in (*_ENDS, ".sops"):
        path = path.with_suffix("")
    return path.name


def _left(directory: Path, read: t.Container[Path]) -> list[Path]:
    """The files of a directory that are passed over, and look as if they were meant."""
    files = [one for one in sorted(directory.rglob("*")) if one.is_file() and one not in read]
    # What is above the directory may be hidden, and Ansible reads it all the same.
    hidden = {one for one in files if any(map(_is_hidden, one.relative_to(directory).parts))}
    return [one for one in files if one.suffix.lower() in _ENDS and one not in hidden]


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def misnamed(directory: Path) -> list[str]:
    """Directories beside an inventory whose names are nearly those that Ansible reads."""
    try:
        entries = sorted(one for one in directory.iterdir() if one.is_dir())
    except OSError:
        return []
    return [
        str(one)
        for one in entries
        if one.name not in _KINDS
        and difflib.get_close_matches(one.name, _KINDS, 1, _CLOSE)
        and _is_ours(one)
    ]


def not_named(extra_vars: t.Iterable[str]) -> list[str]:
    """Values of ``-e`` of which Ansible makes no variable, as of a file without an ``@``."""
    found = []
    for text in extra_vars:
        pairs = parse_kv(text) if text.strip() and text.strip()[0] not in "@{[" else {}
        if {"_raw_params", ""} & {*pairs}:
            found.append(f"-e {text}")
    return found


def unmatched(limit: str, match: t.Callable[[str], t.Collection[str]]) -> list[str]:
    """Parts of a limit that no host matches."""
    parts = [str(one) for one in split_host_pattern(limit)] if limit else []
    asked = [one for one in parts if one and one[0] not in "!&@" and one not in C.LOCALHOST]
    return [f"--limit {one}" for one in asked if not match(one)]


def set_aside(here: Path, playbooks: t.Iterable[Path], config: str | None) -> list[str]:
    """Configuration that names an inventory, and that Ansible hasn't read."""
    places = dict.fromkeys([here, *chain.from_iterable(one.parents for one in playbooks)])
    found = []
    for file in (one / "ansible.cfg" for one in places):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(file.read_text("utf-8"))
        except (OSError, ValueError, configparser.Error):
            continue
        is_read = bool(config) and file.resolve() == Path(str(config)).resolve()
        if parser.has_option("defaults", "inventory") and not is_read:
            found.append(f"{file} (inventory)")
    return found


def for_nothing(groups: Groups, of: t.Callable[[str], Vars]) -> list[str]:
    """Hosts that are variables by mistake, and those that are neither a cluster nor a vantage
    point, and have variables of this collection that count for none of these. Where there are
    clusters, another host can be one that was put aside: what is looked at has its name.
    """
    hosts = dict.fromkeys(chain.from_iterable(groups.values()))
    of_points = () if _VANTAGES in groups else _OF_A_VANTAGE
    asked = of_points if _CLUSTERS in groups else tuple(SETTINGS)
    here = [name for name in SETTINGS if name not in _OF_LOCALHOST]
    found = [f"host {host}" for host in hosts if host.partition("=")[0].strip() in SETTINGS]
    read = {*groups.get(_CLUSTERS, ("localhost",)), *groups.get(_VANTAGES, ())}
    # Of thousands of hosts, none is asked for that nothing is asked of.
    wanted = {**dict.fromkeys(hosts if asked else (), asked), "localhost": here}
    apart = {one: _ours(of(one), names) for one, names in wanted.items() if one not in read}
    others = {one: of(one) for one in {*read, "localhost"}} if any(apart.values()) else {}
    for host, has in apart.items():
        theirs = [variables for one, variables in others.items() if one != host]
        names = [n for n, value in has.items() if not any(_counts(n, value, one) for one in theirs)]
        found += [f"host {host} ({', '.join(names)})"] if names else []
    return found


def _ours(variables: Vars, names: t.Container[str]) -> dict[str, t.Any]:
    """Those of this collection's variables among a host's, in its order and none that is empty."""
    own = (name for name in SETTINGS if name in names)
    return {name: variables[name] for name in own if variables.get(name) not in (None, "")}


def _counts(name: str, value: t.Any, variables: Vars) -> bool:
    """Whether a host has the same, as of a group or of all, or takes it from another host."""
    if variables.get(name) == value:
        return True
    texts = (str(one) for one in variables.values() if isinstance(one, (str, list)))
    return any(name in one and "hostvars" in one for one in texts)
