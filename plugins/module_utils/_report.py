# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""One document of what a run found at all its hosts: made, read back, merged.

Each writer of a report and each comparison takes such a document and nothing else. No logs of pods
stand in it, no Secret and no credential: evidence is cut to what ``_report_schema`` names.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import VERDICTS, printable
from ansible_collections.kestrel.real_ip.plugins.module_utils._fleet import worst_first
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    DEFAULT_LANGUAGE,
    chinese,
    in_language,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._report_schema import (
    FORMAT,
    mismatch,
    shaped,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import (
    badness,
    by_verdict,
    everywhere,
    named,
    over_all,
    warned,
    worst,
)

Data = t.Mapping[str, t.Any]
Document = dict[str, t.Any]

#: The member that AWX has as an artifact, and that a document has under the same name
RESULTS = "real_ip_results"

_NOTHING: Data = {"probes": {}, "path": [], "findings": []}


class Unreadable(ValueError):
    """A file holds no document. The text names the file, what was expected and what was seen."""


def places(found: Data) -> dict[str, Data]:
    """The entries of an entry's vantage points; its own under the empty name without any."""
    return {**(found.get("vantages") or {"": found})}


def further(found: Data, told: t.Mapping[str, Data]) -> list[str]:
    """The warnings of an entry that stand at none of its places, as those of another verification.

    ``told``: vantage point to what has warnings; the empty name for the controller.
    """
    there = warned({"vantages": told})
    forms = {form for one in there for form in (one[1], named(*one))}
    known = {text for form in forms for text in (str(form), chinese(form))}
    return [one for one in found.get("warnings_found") or [] if one not in known]


def evidence(probes: t.Mapping[str, Data], way: Data | None) -> dict[str, t.Any]:
    """What an entry rests on.

    ``probes``: vantage point to its result of source_ip_info, the empty name for the controller;
    what has no verdict is left out, and a strategy that isn't the safe one at all of them. ``way``:
    the result of traffic_path_info, without its logs.
    """
    judged = {
        name: everywhere(one, probes.values()) for name, one in probes.items() if "verdict" in one
    }
    found = {"probes": judged, **{key: (way or {}).get(key) or [] for key in ("path", "findings")}}
    made: dict[str, t.Any] = shaped(found, "evidence")
    return made


def document(hosts: t.Mapping[str, tuple[Data, Data]], run: Data) -> Document:
    """The document of a run. ``hosts``: name to entry and evidence; ``run``: see the schema."""
    results = dict(worst_first({name: found for name, (found, _evidence) in hosts.items()}))
    return {
        "format": FORMAT,
        "run": {**run},
        RESULTS: results,
        "evidence": {name: {**hosts[name][1]} for name in results},
    }


def as_json(found: Document) -> str:
    """The text of the document. Only ASCII: no character in it can change what is shown."""
    return json.dumps(found, indent=2) + "\n"


# --- Reading --------------------------------------------------------------------------------------


def _refused(text: str) -> t.NoReturn:
    raise ValueError(f"{text} is no JSON")


def _once(members: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    """An object, unless a member stands there twice: the last one would take the others' place."""
    found = dict(members)
    if len(found) < len(members):
        names = [name for name, _value in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the member {twice} stands twice in one object")
    return found


def read(text: str, name: str) -> Document:
    """The document in a file's ``text``.

    A report in JSON, the artifacts of an AWX job, or the job itself as its API has it. What an
    artifact doesn't have is empty. Raises :class:`Unreadable`, which names the file ``name``.
    """
    try:
        found = json.loads(text, parse_constant=_refused, object_pairs_hook=_once)
    except RecursionError:
        raise Unreadable(f"{name}: expected a report in JSON, seen one that has no end") from None
    except ValueError as error:
        raise Unreadable(f"{name}: expected a report in JSON, seen: {printable(error)}") from None
    if isinstance(found, dict) and "format" not in found and RESULTS not in found:
        found = found.get("artifacts") or found
    if not isinstance(found, dict) or not found.get(RESULTS):
        raise Unreadable(
            f"{name}: expected a report that real_ip_report_dir has kept, or the artifacts of an "
            f"AWX job, seen JSON without {RESULTS}"
        )
    results = found[RESULTS]
    whole = {
        "format": FORMAT,
        "run": {"playbook": "", "time": latest(results), "versions": {}},
        "evidence": {},
        **{key: found[key] for key in ("format", "run", RESULTS, "evidence") if key in found},
    }
    wrong = mismatch(whole) or next(
        filter(None, (_contradiction(one, f"{RESULTS}.{host}") for host, one in results.items())),
        None,
    )
    if wrong:
        raise Unreadable(f"{name}: {wrong}")
    told = {host: whole["evidence"].get(host, _NOTHING) for host in results}
    return {**whole, "evidence": told}


def _contradiction(found: Data, place: str) -> str | None:
    """Where an entry says anything else than the worst of what it was made of; None nowhere.

    Ansible puts the results of several runs together member by member, where nobody keeps it off.
    """
    vantages = [*(found.get("vantages") or {}).values()]
    checked = [found.get("verifications") or [], vantages]
    seen = [one for one in found.get("by_verdict") or () if one in VERDICTS]
    # One of an address can be better, but not worse.
    beneath = [found, *({**found, "verdict": one} for one in seen)]
    for several in filter(None, [*checked, beneath]):
        expected = over_all(several)["verdict"]
        if expected != found["verdict"]:
            got = found["verdict"]
            return f"{printable(place)}.verdict: expected {expected}, the worst in it, got {got}"
    nested = (_contradiction(one, place) for several in checked for one in several)
    return next(filter(None, nested), None)


def latest(results: t.Any) -> str:
    """The time of the last entry, also of what isn't known to be of the right shape yet."""
    entries = results.values() if isinstance(results, dict) else ()
    return max((str(one.get("time") or "") for one in entries if isinstance(one, dict)), default="")


# --- Merging --------------------------------------------------------------------------------------


def merge(documents: t.Mapping[str, Document], run: Data) -> Document:
    """One document of several, by the name of each.

    A host that stands in several keeps its worst entry, with the warnings and reservations of those
    that have the same verdict. ``verifications`` has all of them in the order of their times, as in
    one run that verifies several times: that a later run is good takes nothing back of what an
    earlier one showed.
    """
    entries: dict[str, list[Data]] = {}
    rests_on: dict[str, list[tuple[Data, Data]]] = {}
    for one in documents.values():
        for host, found in one[RESULTS].items():
            entries.setdefault(host, []).extend(found.get("verifications") or [found])
            rests_on.setdefault(host, []).append((found, one["evidence"][host]))
    hosts = {}
    for host, several in entries.items():
        # Of the same run, found in two documents, one is enough.
        distinct = [one for place, one in enumerate(several) if one not in several[:place]]
        ordered = sorted(distinct, key=lambda one: str(one.get("time") or ""))
        found = in_language(over_all(ordered), DEFAULT_LANGUAGE)
        told = min(rests_on[host], key=lambda pair: badness(pair[0]))[1]
        hosts[host] = (found, told)
    merged = [
        {"file": name, "playbook": one["run"]["playbook"], "time": one["run"]["time"]}
        for name, one in documents.items()
    ]
    return document(hosts, {**run, "merged": merged})


def judged(documents: t.Iterable[Document], host: str) -> t.Iterator[Data]:
    """Each entry of a host that went into a merged one.

    Which of them are accepted is asked for each: the worst can be, and another one not.
    """
    for one in (document for document in documents if host in document[RESULTS]):
        found = {**one[RESULTS][host]}
        several = found.pop("verifications", None) or []
        yield _completed(found, one["evidence"][host]["probes"])
        yield from (another for another in several if _bare(another) != _bare(found))


def _bare(found: Data) -> Data:
    """An entry without what the one of all verifications has of others."""
    vantages = {name: _bare(one) for name, one in (found.get("vantages") or {}).items()}
    return {**found, "vantages": vantages, "reason": "", "warnings_found": []}


def _completed(found: Data, probes: t.Mapping[str, Data]) -> Data:
    """An entry with ``by_verdict``, from its evidence where an older release kept it only there."""

    def told(name: str, one: Data) -> Data:
        targets = probes.get(name, {}).get("targets")
        if "by_verdict" in one or targets is None:
            return one
        return {**one, "by_verdict": by_verdict(targets)}

    vantages = found.get("vantages")
    if not vantages:
        return told("", found)
    each = {name: told(name, one) for name, one in vantages.items()}
    return {**told(worst(each), found), "vantages": each}


def in_several(documents: t.Mapping[str, Document]) -> list[str]:
    """The hosts that stand in more than one document."""
    names = [host for one in documents.values() for host in one[RESULTS]]
    return sorted({name for name in names if names.count(name) > 1})
