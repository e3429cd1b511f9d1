# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What a run says in its end: one entry for machines, a few lines for a person."""

from __future__ import annotations

import json
import re
import shlex
import typing as t
from functools import partial

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    FROM_HERE,
    UNTESTED,
    VERDICTS,
    printable,
    reservations,
    some_of_each,
    with_reservations,
    without_advice,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import bracketed
from ansible_collections.kestrel.real_ip.plugins.module_utils._forgery import telling
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    DEFAULT_LANGUAGE,
    Text,
    chinese,
    cut,
    in_language,
    joined,
    padded,
    phrase,
    wrapped,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._listeners import PORTS, port_of
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import SETTINGS
from ansible_collections.kestrel.real_ip.plugins.module_utils._switches import (
    SETTINGS as SWITCHES,
)

Data = t.Mapping[str, t.Any]

# Fits a terminal of 100 columns, label included.
WIDTH = 98
LABEL = 11

NOT_RUN = "not_run"
_NOT_PROBED = phrase("not probed")
# Worst first. What was found anywhere outweighs what wasn't asked, and that outweighs only a pass.
_ORDER = (*VERDICTS[:-1], NOT_RUN, VERDICTS[-1])
_COLOURS = {"preserved": "green", NOT_RUN: "yellow", "unproven": "yellow"}


def entry(probe: Data | None, failure: Data | None, facts: Data) -> dict[str, t.Any]:
    """The entry of a host in ``real_ip_results``.

    ``probe`` is the result of source_ip_info (skipped where there was nothing to probe),
    ``failure`` has ``task`` and ``msg`` of a step that failed before it; ``facts`` are added.
    """
    if failure:
        told: dict[str, t.Any] = {
            "verdict": NOT_RUN,
            "reason": joined(": ", [failure["task"], failure["msg"]]),
        }
    elif not probe or probe.get("skipped"):
        reason = phrase("Check mode: there is no address to probe yet, so that nothing was probed.")
        told = {"verdict": NOT_RUN, "reason": reason}
    else:
        told = dict(probe)
    fields = ("verdict", "code", "reason", "expected", "expected_from", "observed")
    found: dict[str, t.Any] = {field: told.get(field) for field in fields}
    found["reason"] = _one_line(found["reason"])
    # A verdict's reason is escaped already; a message of another module can hold anything.
    if failure:
        found["reason"] = printable(found["reason"], 4000)
    targets = told.get("targets") or []
    found["by_verdict"] = by_verdict(targets)
    # A name can give several addresses, and one that was waited for can stand there twice.
    found["address"] = [*dict.fromkeys(one.get("name") for one in targets)]
    # Of one address each host and path can be another site's.
    found["url"] = [*dict.fromkeys(one.get("url") for one in targets)]
    found["vantage"] = told.get("vantage")
    # What is preserved for one way of reading the address need not be so for another.
    found["declared"] = [*(told.get("declared") or [])]
    # Of what is well among many there is no page, and a warning may be all that tells of a way in.
    found["warnings_found"] = [*(told.get("warnings_found") or [])]
    doubt = {"doubt": told["doubt"]} if told.get("doubt") else {}
    return {**found, **doubt, **facts}


#: Addresses that are named of those with one verdict: what is published stays small
_NAMED = 3


def address_of(target: Data) -> str | None:
    """The address of a target, with its port where that is another one than HTTP's: one address can
    be asked at several. The target's name where it has no address.
    """
    address, port = target.get("address"), port_of(target.get("url") or "")
    if address and port not in (None, PORTS["http"]):
        return f"{bracketed(address)}:{port}"
    return address or target.get("name")


def by_verdict(targets: t.Iterable[Data]) -> dict[str, Data]:
    """Verdict, or UNTESTED, to what the addresses with it are: how many, a few of them by name, and
    what is said of the first, with a doubt where one of them hides it.

    ``targets``: as in a result of source_ip_info. Whatever their number, so much is published.
    """
    rows: dict[str, list[Data]] = {}
    for one in targets:
        rows.setdefault(one["verdict"], []).append(one)
    return {
        verdict: {
            "count": len(rows[verdict]),
            "addresses": [*map(address_of, rows[verdict][:_NAMED])],
            "code": rows[verdict][0].get("code"),
            "reason": rows[verdict][0]["reason"],
            **next(({"doubt": one["doubt"]} for one in rows[verdict] if one.get("doubt")), {}),
        }
        for verdict in (*VERDICTS, UNTESTED)
        if verdict in rows
    }


def without_result(failure: Data, facts: Data) -> dict[str, t.Any]:
    """The entry of a host that left the run before anything could be said of it.

    ``failure``: the result of its last task that is known, which may say why; empty without one.
    """
    unreached, nothing = phrase("The host was not reached"), phrase("No result")
    task = unreached if failure.get("unreachable") else nothing
    unknown = phrase(
        "the host became unreachable, or a task failed that nothing could be said after. "
        "Next: see its own message above"
    )
    message = str(failure.get("msg") or "").removeprefix("Task failed: ") or unknown
    return with_cause(entry(None, {"task": task, "msg": message}, facts), None)


def _one_line(text: object) -> str:
    english, other = (" ".join(one.split()) for one in (str(text), chinese(text)))
    return Text(english, other)


def diagnosed(way: Data, facts: Data, probe: Data | None = None) -> dict[str, t.Any]:
    """The entry of a host that was only diagnosed; ``way``: the result of traffic_path_info.

    ``probe``: what a client gets. An app that is no echo app doesn't tell whose address arrives.
    """
    found = entry(None, {"task": "Diagnose", "msg": ""}, facts)
    cause, arrives = way.get("cause"), (probe or {}).get("verdict") == VERDICTS[-1]
    if cause:
        reason = joined(": ", [cause["object"], cause["cause"]])
    elif arrives:
        reason = phrase("nothing is wrong with the way")
    else:
        reason = phrase("no cause was found, and it is not shown that the client's address arrives")
    told = phrase("{reason} (diagnosed only, so that no verdict was drawn)", reason=reason)
    return {**found, "reason": told, "diagnosed": True, "arrives": arrives}


def with_cause(found: Data, way: Data | None) -> dict[str, t.Any]:
    """An entry with the ``cause`` that was named, None where there was nothing to name.

    Without evidence and logs: these can hold what others wrote.
    """
    cause = (way or {}).get("cause")
    fields = ("code", "object", "cause", "fix", "fix_kind")
    told = {field: cause[field] for field in fields} if cause else None
    code = found["code"] or (told["code"] if told and found["verdict"] == NOT_RUN else None)
    return {**found, "code": code, "cause": told}


def vantage_entry(probe: Data, facts: Data) -> dict[str, t.Any]:
    """The entry of one vantage point: ``not_run`` where there is no verdict, whatever the reason.

    ``probe``: what came of source_ip_info there; it may have failed, or not been reached.
    """
    if probe.get("skipped") or "verdict" in probe:
        return entry(probe, None, facts)
    told = probe.get("msg") or ""
    failed = told if isinstance(told, Text) else str(told).removeprefix("Task failed: ")
    message = failed or phrase("no answer")
    return entry(None, {"task": _NOT_PROBED, "msg": message}, facts)


#: Names that nobody gives to another machine
_HERE = ("localhost", "127.0.0.1", "::1")


def told_apart(vantages: t.Mapping[str, Data], here: str) -> dict[str, Data]:
    """What came of source_ip_info at each vantage point, without a result where that ran on a
    machine that an earlier one is: a connection that is shared, or the same address given twice,
    leads there, and what is seen says nothing of the place that was meant.

    ``here``: the network of where Ansible runs. What was asked there says so, since a connection
    that is set for all hosts, ``local``, leads there too.
    """
    firsts: dict[str, str] = {}
    found = {}
    for name, probe in vantages.items():
        first = firsts.setdefault(probe["network"], name) if probe.get("network") else name
        told = phrase(
            "the connection leads to the machine that {other} is as well: expected one of its own. "
            "Next: compare their ansible_host, ansible_port and jump hosts",
            other=printable(first),
        )
        found[name] = probe if first == name else {"msg": told}
        if here and probe.get("network") == here and name not in _HERE and "reason" in found[name]:
            found[name] = _adding(probe, phrase(FROM_HERE))
    return found


#: Warnings of all vantage points that are kept
_WARNINGS = 20


def combined(vantages: t.Mapping[str, Data]) -> dict[str, t.Any]:
    """The entry of a host that was probed from several places: the worst of theirs.

    ``vantages``: name to entry, one or more.
    """
    first = worst(vantages)
    alike = [
        (printable(name), one["reason"])
        for name, one in vantages.items()
        if one["verdict"] == vantages[first]["verdict"]
    ]
    reason = with_reservations(vantages[first]["reason"], alike)
    told = [phrase("from {name}: {reason}", name=printable(first), reason=reason)]
    for verdict in _ORDER:
        names = [name for name in vantages if vantages[name]["verdict"] == verdict]
        others = ", ".join(printable(name) for name in names if name != first)
        if others:
            what = _NOT_PROBED if verdict == NOT_RUN else verdict
            told.append(phrase("{verdict} from {names}", verdict=what, names=others))
    return {
        **vantages[first],
        "reason": joined("; ", told),
        "warnings_found": _with_others(vantages[first], warned({"vantages": vantages})),
        "vantages": dict(vantages),
    }


def warned(found: Data) -> list[tuple[str, str]]:
    """Each warning of an entry behind the vantage point that it is of, empty without any."""
    several = found.get("vantages") or {"": found}
    return [(name, one) for name in several for one in several[name].get("warnings_found") or []]


def _with_others(found: Data, others: t.Iterable[tuple[str, str]]) -> list[str]:
    """An entry's warnings and those of others that it doesn't have, each once."""
    own = found.get("warnings_found") or []
    more = (named(*other) for other in others if other[1] not in own)
    return some_of_each([*own, *more], _WARNINGS)


def named(vantage: str, warning: str) -> str:
    """A warning as the entry of all vantage points has it; without one the name is empty."""
    if not vantage:
        return warning
    return phrase("from {name}: {reason}", name=printable(vantage), reason=warning)


def worst(vantages: t.Mapping[str, Data]) -> str:
    """The name of the vantage point whose entry :func:`combined` makes the host's."""
    return min(vantages, key=lambda name: badness(vantages[name]))


def earlier_row(found: Data, published: Data) -> list[tuple[str, str]]:
    """What a page says of an earlier verification of the run that is worse than this one."""
    if _ORDER.index(published["verdict"]) >= _ORDER.index(found["verdict"]):
        return []
    code = published["code"] or "-"
    return [("earlier", f"{published['verdict']} {code}: {published['reason']}")]


def badness(found: Data) -> tuple[int, bool, int, int]:
    """How bad an entry is: what sorts first is worst."""
    # Of equal verdicts the one with most to say: what it hides, and what it doesn't rest on, which
    # stands in its reason too.
    reason, verdict = str(found["reason"]), _ORDER.index(found["verdict"])
    return verdict, not found.get("doubt"), -len(reservations(reason)), -len(reason)


def over_all(verifications: t.Sequence[Data]) -> dict[str, t.Any]:
    """The entry of a host that was verified several times in one run, one or more: the worst of
    theirs, which a later one doesn't take back, with what those of the same verdict say beside
    theirs. ``verifications``: in their order.
    """
    found = min(verifications, key=badness)
    others = [one for one in verifications if one is not found]
    several = {"verifications": [*verifications]} if len(verifications) > 1 else {}
    return {**_with_all_addresses(_united(found, others), others), **several}


def _with_all_addresses(found: Data, others: t.Sequence[Data]) -> dict[str, t.Any]:
    """An entry with what the others say of their addresses by verdict, of each of its vantage
    points as well: each verification can be of other ones.
    """
    # What was asked at the same place is the same address; one can answer at several.
    places: dict[tuple[str, ...], list[Data]] = {}
    for one in (found, *others):
        asked = tuple(str(text) for field in ("address", "url") for text in one.get(field) or ())
        places.setdefault(asked, []).extend(filter(None, [one.get("by_verdict")]))
    told: dict[str, t.Any] = {}
    if others and any(places.values()):
        told["by_verdict"] = _by_all(map(partial(_by_all, merge=_of_the_same), places.values()))
    if others and found.get("vantages"):
        told["vantages"] = {
            name: _with_all_addresses(
                one, [each["vantages"][name] for each in others if name in _places(each)]
            )
            for name, one in found["vantages"].items()
        }
    return {**found, **told}


def _of_the_same(alike: t.Sequence[Data]) -> tuple[int, list[t.Any]]:
    """How many addresses rows of a verdict speak of, and their names, where they were asked at the
    same place. Of those without a name nobody knows which are the same.
    """
    names = [*dict.fromkeys(name for row in alike for name in row["addresses"])]
    whole = all(len(row["addresses"]) == row["count"] for row in alike)
    return len(names) if whole else max(row["count"] for row in alike), names


def _of_others(alike: t.Sequence[Data]) -> tuple[int, list[t.Any]]:
    """Likewise where they were asked at different ones."""
    return sum(row["count"] for row in alike), [name for row in alike for name in row["addresses"]]


def _by_all(
    every: t.Iterable[t.Mapping[str, Data]],
    merge: t.Callable[[t.Sequence[Data]], tuple[int, list[t.Any]]] = _of_others,
) -> dict[str, t.Any]:
    """One of several as :func:`by_verdict` makes them."""
    tables, found = [*every], {}
    for verdict in (*VERDICTS, UNTESTED):
        alike = [one[verdict] for one in tables if verdict in one]
        if alike:
            count, names = merge(alike)
            doubts = [{"doubt": row["doubt"]} for row in alike if row.get("doubt")]
            row = {**alike[0], "count": count, "addresses": names[:_NAMED]}
            found[verdict] = {**row, **next(iter(doubts), {})}
    return found


def _united(found: Data, others: t.Iterable[Data]) -> dict[str, t.Any]:
    """An entry with the reservations and warnings of those among the others that have its verdict,
    of each of its vantage points as well.
    """
    alike = [one for one in others if one["verdict"] == found["verdict"]]
    # The verdict of the better ones is another one, and so is what they say beside it.
    if not alike:
        return {**found}
    own = warned(found)
    more = [told for one in alike for told in warned(one) if told not in own]
    unnamed = phrase("another verification")
    reasons = [(printable(one.get("time") or "") or unnamed, one["reason"]) for one in alike]
    told: dict[str, t.Any] = {"reason": with_reservations(found["reason"], reasons)}
    if more:
        told["warnings_found"] = _with_others(found, more)
    if found.get("vantages"):
        told["vantages"] = {
            name: _united(one, [each["vantages"][name] for each in alike if name in _places(each)])
            for name, one in found["vantages"].items()
        }
    return {**found, **told}


def _places(found: Data) -> t.Collection[str]:
    return found.get("vantages") or {}


def everywhere(probe: Data, probes: t.Iterable[Data]) -> Data:
    """The result of a vantage point, without a strategy that is not the safe one at all of them.

    ``probes``: of all vantage points; those without a verdict say nothing.
    """
    safe = [one.get("safe_strategy") for one in probes if "verdict" in one]
    alike = "verdict" not in probe or all(one == probe.get("safe_strategy") for one in safe)
    return probe if alike else without_advice(probe)


def to_diagnose(probes: t.Iterable[Data]) -> Data:
    """The first result that is bad, as the cause is looked for by it; empty without one.

    ``probes``: of all vantage points; those without a verdict, or whose verdict was taken back, say
    nothing.
    """
    several = list(probes)
    bad = (one for one in several if one.get("verdict") in VERDICTS[:-1])
    return everywhere(next(bad, {}), several)


def left_out(run_tags: t.Iterable[str], skip_tags: t.Iterable[str]) -> str:
    """What is said where a run was to verify and its tags lead to nothing.

    A job whose tags do would be green for ever.
    """
    ran, skipped = ", ".join(run_tags), ", ".join(skip_tags)
    return (
        f"Nothing was verified: the tags ({ran}), those that are skipped ({skipped}) or "
        "--start-at-task left it out. Next: ansible-playbook kestrel.real_ip.verify"
    )


def refused(found: Data, accepted: t.Container[str], excused: bool = False) -> list[Data]:
    """What is not accepted of a host: its verdict, else those that a worse one hides, of vantage
    points, of addresses and of honest requests.

    ``excused``: nothing was to be probed, so that ``not_run`` is no failure.
    """
    told = [found, *(found.get("vantages") or {}).values()]
    every = [*told, *(row for one in told for row in _of_addresses(one))]
    doubts: list[Data] = []
    for doubt in (one["doubt"] for one in every if one.get("doubt")):
        # An entry has that of its addresses once more.
        if doubt not in doubts:
            doubts.append(doubt)
    bad = [
        one
        for one in (*every, *doubts)
        if one["verdict"] not in accepted and not (one["verdict"] == NOT_RUN and excused)
    ]
    return bad[:1] if found in bad else bad


def _of_addresses(found: Data) -> list[Data]:
    """What an entry says of its addresses, with the verdict of each."""
    told, verdict = found.get("by_verdict"), found["verdict"]
    if told is not None:
        return [{**row, "verdict": one} for one, row in told.items() if one != UNTESTED]
    # Kept by a release that didn't tell: an address can have any verdict that isn't worse.
    reason = phrase("what each address showed was not kept, so that this may be among it")
    better = VERDICTS[VERDICTS.index(verdict) + 1 :] if verdict in VERDICTS else ()
    return [{"verdict": one, "reason": reason} for one in better]


def colour(found: Data) -> str:
    """In which colour of Ansible's an entry is told."""
    return _COLOURS.get(str(found["verdict"]), "red")


def line(host: str, result: Data) -> str:
    """The one line that scripts look for. Of what is well among many nothing else is shown."""
    well = result["verdict"] == VERDICTS[-1]
    warnings = len(result.get("warnings_found") or []) if well else 0
    told = [phrase("; warnings: {count}", count=warnings)] if warnings else []
    head = f"real_ip: {host} {result['verdict']} {result['code'] or '-'} "
    return joined("", [head, result["reason"], *told])


def rows(
    result: Data, probe: Data, then: t.Iterable[tuple[str, str]], way: Data | None = None
) -> list[tuple[str, str]]:
    """Label and text of each line that a person reads, most important first.

    ``way``: the result of traffic_path_info, whose fix goes before the verdict's.
    """
    vantages = result.get("vantages") or {}
    backends = probe.get("backends") or []
    fates = telling(probe.get("forgery") or {})
    # What a later step took back is no ground for advice.
    safe = probe.get("safe_strategy") or {} if result["verdict"] != NOT_RUN else {}
    of = phrase(", from {name}", name=printable(worst(vantages))) if len(vantages) > 1 else ""
    seen = [("seen", joined("", [addresses_seen(result), of])), ("expected", _expected(result))]
    table = [
        *(("vantage", _vantage(name, found)) for name, found in vantages.items()),
        *([("probe", _probed(probe))] if is_diagnosis(result) and "verdict" in probe else []),
        *(seen if result["verdict"] != NOT_RUN else []),
        ("address", ", ".join(map(str, result["address"]))),
        *(("backend", text) for text in _backends(backends)),
        ("forged", joined(", ", (joined(" ", [one, phrase(fates[one])]) for one in fates))),
        ("trust", ", ".join(f"{key} {value}" for key, value in safe.items())),
        ("reason", result["reason"]),
        *(("also", text) for text in _others(result, probe)),
        *(("warning", text) for text in result.get("warnings_found") or []),
        *(_diagnosis(way) if way else []),
        *([] if (way or {}).get("cause") else [("fix", with_variables(probe.get("fix") or ""))]),
        *then,
    ]
    return [(label, text) for label, text in table if text]


# More would hide the first one.
_ALSO = 5


def _diagnosis(way: Data) -> t.Iterator[tuple[str, str]]:
    """The way with the broken part marked, the cause, what mends it, and what else was seen."""
    cause, others = way.get("cause"), list(way.get("findings") or [])
    for place, one in enumerate(way.get("path") or []):
        objects = "; ".join(one["objects"]) or ("" if one["hop"] == "client" else phrase("none"))
        part = phrase(one["hop"])
        told = Text(f"{part:<9}{objects}", f"{padded(chinese(part), 9)}{chinese(objects)}")
        yield ("way" if place == 0 else _NO_LABEL, joined("", [_MARKS[one["broken"]], " ", told]))
    if cause:
        others = [one for one in others if one is not cause and one != cause]
        yield "cause", f"{cause['code']} {cause['object']}: {cause['cause']}"
        yield FIXES[cause["fix_kind"]], cause["fix"]
        yield "evidence", cause["evidence"]
    for log in way.get("logs") or []:
        where = {"pod": log["pod"], "container": log["container"]}
        yield "log", phrase("last lines of {pod}, container {container}:", **where)
        for text in log["lines"]:
            yield _NO_LABEL, f"| {text}"
    for one in others[:_ALSO]:
        yield "also", f"{one['code']} {one['object']}: {one['title']} ({one['evidence']})"
    if len(others) > _ALSO:
        yield "also", phrase("{count} more", count=len(others) - _ALSO)
    if cause:
        # Who reads this in Chinese is told the code in Chinese as well.
        yield (
            "explain",
            phrase(
                "ansible-playbook kestrel.real_ip.explain -e real_ip_code={code}",
                code=cause["code"],
            ),
        )


#: A line that goes on with what the one above it is about
_NO_LABEL = ""
_MARKS = {True: "X", False: "|"}
#: The label of a fix by its kind
FIXES = {"command": "type", "variable": "set", "console": "fix", "none": "fix"}
#: What is to be copied stays on one line, however long that is.
_WHOLE = ("type", "set", "explain", "again", "remove")


def done_before(applied: t.Iterable[Data]) -> list[tuple[str, str]]:
    """What a run had done before a step failed, by action; ``applied``: what ``apply`` returned."""
    actions: dict[str, list[str]] = {}
    for one in applied:
        actions.setdefault(str(one["action"]), []).append(f"{one['kind']} {one['name']}")
    told = joined(
        "; ",
        (joined(": ", [phrase(action), ", ".join(actions[action])]) for action in actions),
    )
    return [("done", told)] if told else []


_AS_BEFORE = ("unchanged", "absent", "kept")


def _adding(found: Data, told: str) -> dict[str, t.Any]:
    return {**found, "reason": phrase("{reason}; {told}", reason=found["reason"], told=told)}


#: What was done to a switch of the cluster where it isn't as before
_SWITCHED = ("set", "restored")


def _is_switched(switches: t.Iterable[Data]) -> bool:
    return any(one["action"] in _SWITCHED for one in switches)


def before_changes(
    found: Data, applied: t.Iterable[Data], switches: t.Iterable[Data] = ()
) -> dict[str, t.Any]:
    """The entry of check mode: what was probed is what is there, and not what a run would make.

    ``applied``: what ``apply`` returned; ``switches``: what ``cluster_switches`` did.
    """
    changed = any(one["action"] not in _AS_BEFORE for one in applied)
    if found["verdict"] == NOT_RUN or not (changed or _is_switched(switches)):
        return {**found}
    told = phrase("check mode: of what is there now, without the changes that a run would make")
    return _adding(found, told)


#: Objects that a load balancer is made by, and what was done where it was there before
_FRONTS, _CHANGED = ("Service", "Ingress"), ("changed", "adopted")


def after_changes(
    found: Data, applied: t.Iterable[Data], switches: t.Iterable[Data] = ()
) -> dict[str, t.Any]:
    """The entry of a run that changed what a load balancer is made by: whoever carries that out
    takes his time, and no object says when he has. Until then, answers come as before.

    ``switches``: as cluster_switches returns them.
    """
    changed = [
        f"{one['kind']} {one['name']}"
        for one in applied
        if one.get("kind") in _FRONTS and one["action"] in _CHANGED
    ]
    if _is_switched(switches):
        changed.append(f"ConfigMap {SWITCHES}")
    if found["verdict"] == NOT_RUN or not changed:
        return {**found}
    told = phrase(
        "this run has changed {objects}, and what is in front may not follow yet: verify again",
        objects=", ".join(changed),
    )
    return _adding(found, told)


def running(applied: t.Iterable[Data]) -> list[tuple[str, str]]:
    """What a run leaves in the cluster; ``applied``: what ``apply`` returned."""
    objects = [one for one in applied if one["action"] not in ("absent", "deleted")]
    places = [str(one["name"]) for one in objects if one["kind"] == "Namespace"]
    told = ", ".join(
        f"{one['kind']} {one['name']}" for one in objects if one["kind"] != "Namespace"
    )
    if places and told:
        place = {"namespace": places[0]}
        told = phrase("{objects} in the namespace {namespace}", objects=told, **place)
    return [("running", told)] if told else []


def following(
    ephemeral: bool = False, options: str = "", again: str = "verify"
) -> list[tuple[str, str]]:
    """What comes next, and its command, with ``options`` of :func:`chosen` and :func:`typed`.

    ``ephemeral``: the run itself removes what it deployed; ``again``: the playbook to run again.
    """
    if ephemeral:
        return [("then", phrase("what was deployed is removed by this run (real_ip_ephemeral)"))]
    return [
        ("again", f"ansible-playbook kestrel.real_ip.{again}{options}"),
        ("remove", f"ansible-playbook kestrel.real_ip.teardown{options}"),
    ]


def likewise(result: Data, options: str) -> Data:
    """A result for a page, on which the commands of warnings have the same ``options`` as this run,
    before their own, which count for more, but for what chooses another place.
    """
    ask = "ansible-playbook kestrel.real_ip.verify"
    own = _PLACE.sub("", options)
    told = [
        text.replace(f"{ask} -e ", f"{ask}{own} -e ") for text in result.get("warnings_found") or []
    ]
    return {**result, "warnings_found": told}


#: What says where is asked, as a command has it
_PLACE = re.compile(r" -e (real_ip_(?:url|host|path)=\S*|'real_ip_(?:url|host|path)=[^']*')")


def translated(variables: t.Mapping[str, t.Any]) -> list[tuple[str, str]]:
    """What the commands of a page are for somebody who can't type them.

    ``variables``: the host's, among which AWX puts its own into each job.
    """
    if "awx_job_id" not in variables:
        return []
    told = phrase(
        "instead of ansible-playbook, launch the job template that runs the same playbook; what "
        "stands after -e goes into its variables, or into those of the inventory's host"
    )
    return [("awx", told)]


#: What only a diagnosis takes for what it is about
_DIAGNOSED = ("real_ip_ingress", "real_ip_service")


def to_repeat(variables: t.Container[str], diagnosis: bool) -> str:
    """The playbook that looks once more at what was looked at; ``diagnosis``: that was one."""
    return "diagnose" if diagnosis and any(one in variables for one in _DIAGNOSED) else "verify"


def chosen(sources: t.Iterable[str], limit: str | None) -> str:
    """The options that choose the same hosts, each with a blank in front of it.

    ``sources``: of the inventory, as given on the command line.
    """
    told = [("-i", one) for one in sources] + ([("--limit", limit)] if limit else [])
    return "".join(f" {option} {shlex.quote(value)}" for option, value in told)


#: Their values are secrets, or can be.
_SECRET = ("real_ip_api_key", "real_ip_kubeconfig")
#: Stands for one. It is the name of nothing, so that what is typed without the value fails.
_UNSAID = "…"
#: What needs no quotes, neither in a shell nor as one of Ansible's pairs
_PLAIN = re.compile(r"[\w./:@%+-]+")


def typed(variables: t.Mapping[str, t.Any], is_file: t.Callable[[t.Any], bool]) -> str:
    """The options that give a playbook the same variables, each with a blank in front of it.

    Without them, the next command would ask for less, or in another place. What isn't the
    collection's is left out. In the place of what may be secret stands _UNSAID: without a word, the
    command would be for another cluster. ``is_file``: whether a value is a file's path, which is
    how a kubeconfig is told from its contents.
    """
    told = ""
    for name in (one for one in SETTINGS if one in variables):
        value = variables[name]
        is_path = name == "real_ip_kubeconfig" and is_file(value)
        if name in _SECRET and value and not is_path:
            told += f" -e {name}={_UNSAID}"
        elif isinstance(value, str) and _PLAIN.fullmatch(value):
            told += f" -e {name}={value}"
        else:
            told += f" -e {shlex.quote(json.dumps({name: value}, default=str))}"
    return told


def with_playbooks(text: str, playbooks: str) -> str:
    """``text`` with the playbooks as its reader has them: ``playbooks`` stands before their names,
    ``kestrel.real_ip.`` or a directory.
    """
    if playbooks.endswith("."):
        return text
    return re.sub(
        r"\b(ansible-playbook )kestrel\.real_ip\.(\w+)", rf"\g<1>{playbooks}\g<2>.yml", text
    )


#: Options that a playbook sets by a variable of another name
_OTHERWISE = {"server_name": "real_ip_host"}


def with_variables(text: str) -> str:
    """``text`` about options of source_ip_info, with the variables that a playbook's user sets.

    Options whose names are plain words count only where a value follows, as in ``layer: l4``.
    """

    def variable(found: re.Match[str]) -> str:
        option = found.group("name")
        name = _OTHERWISE.get(option, f"real_ip_{option}")
        return f"{name}{found.group('colon')}" if name in SETTINGS else found.group()

    return re.sub(r"\b(?P<name>[a-z]+(?:_[a-z]+)+|[a-z]+(?=:))(?P<colon>:?)", variable, text)


def addresses_seen(found: Data) -> str:
    observed = found["observed"] or {}
    total = sum(observed.values())
    counted = (
        phrase("{item} ({count} of {total})", item=_item(one), count=count, total=total)
        for one, count in observed.items()
    )
    return joined(", ", counted) or phrase("nothing")


def _item(observed: str) -> str:
    """What was seen; ``none`` stands for no address."""
    return phrase("none") if observed == "none" else observed


def _expected(found: Data) -> str:
    expected, source = ", ".join(map(str, found["expected"] or [])), found["expected_from"]
    told = phrase("{item} ({count})", item=expected, count=phrase(source)) if source else expected
    return told if expected else phrase("none given")


def _others(result: Data, probe: Data) -> list[str]:
    """What addresses show that don't decide: of a target without an answer nothing else is told.

    And which of those that are named could not be tried: the verdict isn't theirs.
    """
    if result["verdict"] == NOT_RUN:
        return []
    told = [
        f"{one['verdict']} {one['code']}: {one['reason']}"
        for one in probe.get("targets") or []
        if one.get("verdict") in (*VERDICTS[:-1], UNTESTED) and one["verdict"] != probe["verdict"]
    ]
    more = [phrase("{count} more", count=len(told) - _ALSO)] if len(told) > _ALSO else []
    return told[:_ALSO] + more


def _vantage(name: str, found: Data) -> str:
    """One line of a page; a long one is cut, since all of it stands in ``real_ip_results``."""
    expected = joined(" or ", found["expected"] or [phrase("none")])
    told = phrase("expected {expected}, saw {seen}", expected=expected, seen=addresses_seen(found))
    code = f" {found['code']}" if found["code"] else ""
    detail = found["reason"] if found["verdict"] == NOT_RUN else told
    whole = printable(joined("", [f"{name}: {found['verdict']}{code}", ", ", detail]), WIDTH * 2)
    return Text(*(cut(one, WIDTH - LABEL) for one in (str(whole), chinese(whole))))


def _backends(backends: t.Iterable[Data]) -> list[str]:
    return [
        joined(
            ": ",
            [
                one.get("name") or phrase("pods, which the echo app does not name"),
                joined(
                    ", ",
                    (
                        phrase("{item} ({count})", item=_item(address), count=count)
                        for address, count in (one.get("observed") or {}).items()
                    ),
                ),
            ],
        )
        for one in backends
    ]


def is_diagnosis(result: Data) -> bool:
    return bool(result.get("diagnosed"))


def _probed(probe: Data) -> str:
    """What a client gets, where that is evidence and no verdict.

    It was asked with default settings and nothing was forged: that is never called preserved.
    """
    verdict = "" if probe["verdict"] == VERDICTS[-1] else f"{probe['verdict']} {probe['code']}: "
    return f"{verdict}{probe['reason']}"


def _title(result: Data) -> str:
    if is_diagnosis(result):
        if result["code"]:
            return phrase("CAUSE {code}", code=result["code"])
        return phrase("NOTHING WRONG") if result["arrives"] else phrase("NO CAUSE FOUND")
    code = f" ({result['code']})" if result["code"] else ""
    return f"{str(result['verdict']).upper()}{code}"


def page(
    host: str,
    result: Data,
    table: t.Iterable[tuple[str, str]],
    language: str = DEFAULT_LANGUAGE,
) -> str:
    """The lines of ``rows`` as a page of at most 100 columns, commands whole."""
    lines = [f"{host}: {in_language(_title(result), language)}"]
    return "\n".join([*lines, *labelled(table, language)])


def labelled(
    table: t.Iterable[tuple[str, str]], language: str = DEFAULT_LANGUAGE, width: int = LABEL
) -> t.Iterator[str]:
    """The lines of label and text, of at most 100 columns where no word is longer.

    ``width``: of the column of labels.
    """
    for label, told in table:
        shown, text = in_language(phrase(label), language), in_language(told, language)
        first = f"  {padded(shown, width - 2)}"
        if label in _WHOLE:
            yield f"{first}{text}"
            continue
        yield from wrapped(text, WIDTH, first, " " * width)
