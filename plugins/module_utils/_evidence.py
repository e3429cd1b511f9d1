# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From verdicts to what the module returns: the evidence of each address, and the whole run's.

Pure functions over plain data. What comes from an answer is escaped here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    CODES,
    UNTESTED,
    VERDICTS,
    printable,
    reservations,
    say,
    some_of_each,
    warn,
    with_reservations,
    without_advice,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._forgery import worst
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import Text, joined, phrase
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import (
    Forged,
    Path,
    Question,
    Sample,
    Times,
    expected_texts,
    is_answer,
    judge,
)

Result = dict[str, Any]

_MAX_ADDRESS = 100
_MAX_VALUE = 500
_MAX_WARNINGS = 20


# --- One address ----------------------------------------------------------------------------------


def _addresses(texts: Iterable[str | None]) -> dict[str, int]:
    """Address → how often, the commonest first; ``none`` where no address was found."""
    return dict(Counter(printable(text or "none", _MAX_ADDRESS) for text in texts).most_common())


def _backend(group: Sequence[Sample]) -> Result:
    headers: dict[str, list[str]] = {}
    for name, value in group[0].lines:
        headers.setdefault(printable(name), []).append(printable(value, _MAX_VALUE))
    pod, node = group[0].pod, group[0].node
    return {
        "name": None if pod is None else printable(pod),
        "node": None if node is None else printable(node),
        "answers": len(group),
        "observed": _addresses(sample.seen for sample in group),
        "peers": _addresses(sample.peer for sample in group if sample.peer),
        "headers": headers,
    }


def _backends(answers: Iterable[Sample]) -> list[Result]:
    groups: dict[tuple[str | None, str | None], list[Sample]] = {}
    for sample in answers:
        groups.setdefault((sample.pod, sample.node), []).append(sample)
    return [_backend(group) for group in groups.values()]


def spread(times: Iterable[Sequence[float]]) -> dict[str, dict[str, float]]:
    """Least, middle and greatest of each column of :class:`Times`, in seconds."""
    return {
        name: {
            "min": round(min(column), 4),
            "median": round(median(column), 4),
            "max": round(max(column), 4),
        }
        for name, column in zip(Times._fields, zip(*times))
    }


def describe(
    question: Question,
    path: Path,
    samples: Sequence[Sample],
    planned: int,
    title: Mapping[str, str],
    forged: Forged = (),
) -> Result:
    """Verdict and evidence of one address. ``title``: what names its target."""
    finding = judge(question, path, samples, planned, forged)
    answers = [sample for sample in samples if is_answer(sample)]
    expected = expected_texts(question, samples)
    return {
        **title,
        "address": str(path.remote),
        "verdict": finding.verdict,
        "code": finding.code,
        "reason": finding.reason,
        "detail": finding.detail,
        "fix": finding.fix or None,
        "warnings_found": finding.warnings,
        "expected": expected,
        "expected_from": question.expectation.source if expected else None,
        "observed": _addresses(sample.seen for sample in answers),
        "coverage": finding.coverage,
        "backends": _backends(answers),
        "forgery": dict(finding.forgery),
        "safe_strategy": None if finding.safe is None else dict(finding.safe),
        "doubt": None if finding.doubt is None else dict(finding.doubt),
        "load_balancer_headers": sorted({name for sample in answers for name in sample.marks}),
        "requests": {
            "planned": planned,
            "sent": len(samples),
            "forged": len(forged),
            "answered": len(answers),
            "unanswered": dict(Counter(s.code for s in samples if not is_answer(s))),
        },
        "timings": spread(sample.times for sample in samples if sample.times),
    }


def describe_unreached(code: str, facts: Mapping[str, object], title: Mapping[str, str]) -> Result:
    """The same for a target of which no address is known."""
    statement = say(code, facts)
    return {
        **title,
        "address": None,
        "verdict": CODES[code].verdict,
        "code": code,
        "reason": statement.reason,
        "detail": printable(facts.get("detail", "")),
        "fix": statement.fix or None,
        "warnings_found": [],
        "expected": [],
        "expected_from": None,
        "observed": {},
        "coverage": "not_asked",
        "backends": [],
        "forgery": {},
        "safe_strategy": None,
        "doubt": None,
        "load_balancer_headers": [],
        "requests": {"planned": 0, "sent": 0, "forged": 0, "answered": 0, "unanswered": {}},
        "timings": {},
    }


# --- A target and a run ---------------------------------------------------------------------------

# Worst first.
_COVERAGES = ("incomplete", "unknown", "not_asked", "complete")


def settle(results: Sequence[Result], paths: Sequence[Path]) -> Sequence[Result]:
    """The results of all addresses of one target, no longer seen each for itself.

    An address without a route stays ``untested`` only if it shares that with all of its family, and
    if another family was tried.
    """
    tried = {path.remote.version for path, r in zip(paths, results) if r["verdict"] != UNTESTED}
    settled = []
    for path, result in zip(paths, results):
        if result["verdict"] == UNTESTED and (not tried or path.remote.version in tried):
            facts = {"address": path}
            title = {key: result[key] for key in ("name", "url")}
            reached = describe_unreached("V505", facts, title)
            keep = ("address", "expected", "expected_from", "requests")
            result = {**reached, **{key: result[key] for key in keep}}
        settled.append(result)
    return settled


#: Addresses that are named of those that were not tested
_NAMED = 3


def led_elsewhere(result: Result, host: str, others: Sequence[str]) -> Result:
    """An address' entry, where the name that it was asked for leads to ``others`` as well, or to
    these alone: a verdict of the address says nothing of who goes by the name.
    """
    if not others or result["verdict"] not in ("preserved", "forgeable"):
        return result
    facts = {"host": host, "addresses": _first_named(others)}
    reason = phrase(
        "{reason}; {host} leads elsewhere from here: {addresses}", reason=result["reason"], **facts
    )
    told = warn("name", {**facts, "address": result["address"], "url": result["url"]})
    return {**result, "reason": reason, "warnings_found": [*result["warnings_found"], told]}


def _first_named(addresses: Sequence[str]) -> Text:
    more = [phrase("{count} more", count=len(addresses) - _NAMED)]
    return joined(", ", [*addresses[:_NAMED], *(more if len(addresses) > _NAMED else [])])


def summarize(results: Sequence[Result], times: Iterable[Sequence[float]]) -> Result:
    """The verdict of a run: the worst of its addresses', with what was seen through all of them.

    ``results``: one or more, settled; ``times``: of all requests that were answered.
    """
    decided = [result for result in results if result["verdict"] != UNTESTED]
    deciding = min(
        decided,
        # Of equal ones that with most reservations, since it speaks for all.
        key=lambda result: (_badness(result), -len(reservations(result["reason"]))),
    )
    alike = [one for one in decided if one["verdict"] == deciding["verdict"]]
    others = [(one["address"] or one["name"], one["reason"]) for one in alike]
    told = ("verdict", "code", "reason", "detail", "fix", "expected", "expected_from")
    safe = _common([result["safe_strategy"] for result in decided])
    deciding = deciding if safe == deciding["safe_strategy"] else without_advice(deciding)
    warnings = dict.fromkeys(text for one in (deciding, *results) for text in one["warnings_found"])
    reason = with_reservations(deciding["reason"], others)
    left = [printable(one["address"]) for one in results if one["verdict"] == UNTESTED]
    if left:
        shown = _first_named(left)
        reason = phrase(
            "{reason}; not tested, no route: {addresses}", reason=reason, addresses=shown
        )
    return {
        "address": deciding["address"],
        **{key: deciding[key] for key in told},
        "reason": reason,
        "warnings_found": some_of_each(warnings, _MAX_WARNINGS),
        "observed": _sum(result["observed"] for result in results),
        "coverage": min((result["coverage"] for result in decided), key=_COVERAGES.index),
        "backends": _merge(backend for result in results for backend in result["backends"]),
        "forgery": worst(result["forgery"] for result in results),
        "safe_strategy": safe,
        "doubt": next((one["doubt"] for one in alike if one["doubt"]), None),
        "load_balancer_headers": sorted(
            {name for result in results for name in result["load_balancer_headers"]}
        ),
        "requests": {
            **_sum({**result["requests"], "unanswered": 0} for result in results),
            "unanswered": _sum(result["requests"]["unanswered"] for result in results),
        },
        "timings": spread(times),
        "targets": list(results),
    }


# --- Runs that are repeated -----------------------------------------------------------------------

# Shown once, it holds: that a later answer is right takes nothing back.
_LASTING = ("lost", "mixed", "forgeable")

Place = tuple[str, str, str]


def _place(result: Result) -> Place:
    return result["name"], result["url"], result["address"]


def _badness(result: Result) -> int:
    return VERDICTS.index(result["verdict"])


def worst_answers(results: Iterable[Result]) -> list[Result]:
    """Of each address of each target the worst result that an answer led to."""
    found: dict[Place, Result] = {}
    for result in results:
        if result["verdict"] not in ("no_answer", UNTESTED):
            known = found.setdefault(_place(result), result)
            found[_place(result)] = min(known, result, key=_badness)
    return [*found.values()]


def with_earlier(earlier: Iterable[Result], last: Result) -> Result:
    """The last one of several runs, with what only those before it saw.

    ``earlier``: the entries of their ``targets``. They were repeated since an address gave no
    answer, and what the others showed meanwhile counts as well: it stands in ``targets`` before
    the entries of ``last``, and can decide.
    """
    again: dict[Place, list[Result]] = {}
    for one in last["targets"]:
        again.setdefault(_place(one), []).append(one)
    kept = [
        {**one, "warnings_found": [*one["warnings_found"], _then(one, again.get(_place(one), ()))]}
        for one in worst_answers(earlier)
        if _tells_more(one, again.get(_place(one), ()))
    ]
    if not kept:
        return last
    told = {text for one in last["targets"] for text in one["warnings_found"]}
    total = summarize([*kept, *last["targets"]], ())
    of_the_run = [text for text in last["warnings_found"] if text not in told]
    return {
        **last,
        **total,
        "warnings_found": [*total["warnings_found"], *of_the_run],
        "timings": last["timings"],
    }


def _tells_more(one: Result, again: Sequence[Result]) -> bool:
    """Whether an earlier result says what is not said ``again``, by the same address' last ones."""
    answered = worst_answers(again)
    if one["verdict"] in _LASTING:
        return not answered or _badness(one) < _badness(answered[0])
    # A doubt from when things came up is none any more, and a name may have moved on.
    return bool(again) and not answered


_GONE = phrase("not there any more")


def _then(one: Result, again: Iterable[Result]) -> str:
    verdicts = [f"{now['verdict']} {now['code']}" for now in again]
    facts = {"address": one["address"], "code": f"{one['verdict']} {one['code']}"}
    return warn("earlier", {**facts, "then": joined(" and ", verdicts) or _GONE})


def _common(safe: Sequence[Result | None]) -> Result | None:
    """What holds for every address, None where they differ."""
    return safe[0] if all(one == safe[0] for one in safe) else None


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)


def _merge(backends: Iterable[Result]) -> list[Result]:
    """One entry for each pod, whatever addresses it was reached through."""
    merged: dict[tuple[str | None, str | None], Result] = {}
    for backend in backends:
        known = merged.setdefault((backend["name"], backend["node"]), backend)
        if known is not backend:
            merged[backend["name"], backend["node"]] = {
                **known,
                "answers": known["answers"] + backend["answers"],
                "observed": _sum([known["observed"], backend["observed"]]),
                "peers": _sum([known["peers"], backend["peers"]]),
            }
    return list(merged.values())
