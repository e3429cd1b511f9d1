# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What a change has done, such as a move to another load balancer: two documents, side by side.

Compared are clusters, their vantage points, and the backends that answered both times. That of two
bad verdicts the second one is less bad mends nothing, and what was preserved and is not looked at
any more is not known to be preserved.
"""

from __future__ import annotations

import re
import typing as t
from collections import Counter

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    VERDICTS,
    kind_of,
    printable,
    reservations,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    DerivationError,
    in_ranges,
    parse_address,
    parse_ranges,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._fleet import FEW
from ansible_collections.kestrel.real_ip.plugins.module_utils._forgery import (
    CANDIDATES,
    is_same,
    telling,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._listeners import PORTS, port_of
from ansible_collections.kestrel.real_ip.plugins.module_utils._report import (
    RESULTS,
    Document,
    latest,
    places,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import asked_for
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import (
    address_of,
    badness,
    labelled,
)

Data = t.Mapping[str, t.Any]

PRESERVED = "preserved"

#: What became of a place, the most important first, and whether a comparison fails for it
CHANGES: dict[str, bool] = {
    "worse": True,
    "missing": True,
    "other": False,
    "bad": False,
    "new": False,
    "gone": False,
    "mended": False,
    "same": False,
}

_COUNTED = {
    "worse": "worse",
    "missing": "preserved before and not looked at any more",
    "other": "bad in another way",
    "bad": "as bad as before",
    "new": "new",
    "gone": "bad before and not looked at any more",
    "mended": "mended",
    "same": "still preserved",
}

_NAME = 80
_LISTED = 200
_SENTENCE = 500


class Change(t.NamedTuple):
    """What became of a place; ``vantage`` and ``backend`` are empty where all of them are meant.

    ``change``: one of CHANGES; ``before`` and ``after``: verdict and code, or for a backend what it
    saw; empty where it isn't there; ``notes``: what else differs; ``asked``: addresses that were
    asked both times.
    """

    cluster: str
    vantage: str
    backend: str
    change: str
    before: str
    after: str
    notes: tuple[str, ...] = ()
    asked: str = ""

    @property
    def fails(self) -> bool:
        return CHANGES[self.change]


def compare(before: Document, after: Document) -> list[Change]:
    """What became of each place, the worst first."""
    found = [
        change
        for host in dict.fromkeys([*before[RESULTS], *after[RESULTS]])
        for change in _of_host(host, before, after)
    ]
    order = [*CHANGES]
    return sorted(found, key=lambda one: order.index(one.change))


def swapped(before: Document, after: Document) -> bool:
    """Whether what is said to be after is older, so that all that got worse would be mended."""
    first, second = latest(before[RESULTS]), latest(after[RESULTS])
    return bool(first and second and second < first)


def not_later(before: Document, after: Document) -> str:
    """Each host whose entry after is no later than the one before, with both times; empty where
    all are: a copy, or an entry that a merge has kept, says nothing of what the change has done.
    """
    both = (
        (host, before[RESULTS][host], found)
        for host, found in after[RESULTS].items()
        if host in before[RESULTS]
    )
    told = [
        f"{host} (before {was}, after {now})"
        for host, old, new in both
        if (was := _verified(old)) and (now := _verified(new)) and now <= was
    ]
    return printable(", ".join(told), _SENTENCE)


def _verified(found: Data) -> str:
    """When a host was verified last, empty where that isn't known: of several verifications its
    entry has the time of the worst.
    """
    several = [found, *(found.get("verifications") or ())]
    return latest(dict(enumerate(several)))


def _of_host(host: str, before: Document, after: Document) -> t.Iterator[Change]:
    old, new = before[RESULTS].get(host), after[RESULTS].get(host)
    old_places, new_places = map(_every_place, (old, new))

    def seen(document: Document, vantage: str) -> Data:
        told: Data = document["evidence"].get(host) or {}
        return told.get("probes", {}).get(vantage) or {}

    # Of a host with vantage points now, and without before, the host itself is what can be compared
    if old and new and not {*old_places} & {*new_places}:
        pairs = (
            _fewer(_addresses(one, seen(before, name)), _addresses(other, seen(after, another)))
            for name, one in old_places.items()
            for another, other in new_places.items()
        )
        became = _became(old, new)
        fewer = min(filter(None, pairs), key=[*CHANGES].index, default="")
        change = became if CHANGES[became] else fewer or became
        notes = (
            *(_counts(old, new) if fewer else ()),
            *_differing(old, new),
            *_reserved(old, new),
            *_warned(old, new),
        )
        asked = _both_times(old, new)
        yield Change(host, "", "", change, _told(old), _told(new), notes, asked)
    for vantage in dict.fromkeys([*old_places, *new_places]):
        one, other = old_places.get(vantage), new_places.get(vantage)
        became = _became(one, other)
        probes = [seen(document, vantage) for document in (before, after)]
        if (one or other) and (vantage or (one and other) or not (old and new)):
            both = (
                *_differing(one, other),
                *_reserved(one, other),
                *_warned(one, other),
                *_notes(*probes),
            )
            notes = both if one and other else ()
            fewer = _fewer(*(_addresses(*each) for each in zip((one, other), probes)))
            turned, told = _turned(old, new, vantage)
            # What fails already says more.
            change = became if CHANGES[became] else fewer or became
            notes = (*_counts(one, other), *notes) if fewer else notes
            notes = (*told, *notes) if told and not CHANGES[change] else notes
            change = turned if turned and not CHANGES[change] else change
            asked = _both_times(one, other)
            yield Change(host, vantage, "", change, _told(one), _told(other), notes, asked)
        yield from _backends(host, vantage, became, *probes)


def _every_place(found: Data | None) -> dict[str, Data]:
    """The places of an entry, and of each other verification, which can have some of its own, the
    worst of each.
    """
    told: dict[str, Data] = {}
    for one in sorted((found or {}).get("verifications") or [], key=badness):
        told = {**places(one), **told}
    return {**told, **(places(found) if found else {})}


def _became(before: Data | None, after: Data | None) -> str:
    if before is None or after is None:
        return _appeared_or_left(before)
    was, now = before["verdict"], after["verdict"]
    # Honest requests showed the address, and prove nothing now. An older release told no doubt.
    if was == now and after.get("doubt") and not before.get("doubt") and "by_verdict" in before:
        return "worse"
    if was == now:
        return "same" if now == PRESERVED else "bad"
    # What is forgeable is so for all that honest requests show, and then nothing is known of these.
    if was == "forgeable" and now == "unproven" and not before.get("doubt"):
        return "worse"
    if now == PRESERVED:
        return "mended"
    return "worse" if badness(after)[0] < badness(before)[0] else "other"


def _turned(before: Data | None, after: Data | None, vantage: str) -> tuple[str, tuple[str, ...]]:
    """What became of several verifications of a host, one of CHANGES or empty, and the notes on it:
    the worst of them, which is its entry, can be of another one than before. Those are compared
    that ask the same.
    """
    old, new = (_verifications(one, vantage) for one in (before, after))
    if len(old) < 2 and len(new) < 2:
        return "", ()
    same = [(old.pop(asked), new.pop(asked)) for asked in [*old] if asked in new]
    # A load balancer that was made anew has another address.
    for site in {*map(_site, old.values())}:
        alike = [[key for key in of if _site(of[key]) == site] for of in (old, new)]
        if [*map(len, alike)] == [1, 1]:
            same.append((old.pop(alike[0][0]), new.pop(alike[1][0])))
    worse = [
        f"at {printable(_asked(now, 'address'), _LISTED)}: "
        f"{printable(_told(was))}, now {printable(_told(now))}"
        for was, now in same
        if CHANGES[_became(was, now)]
    ]
    left = [one for one in old.values() if one["verdict"] == PRESERVED]
    others = [one for one in new.values() if one["verdict"] == PRESERVED]
    # Without a host of its own, a site has no name but its address.
    gone = [
        f"not asked any more: {printable(', '.join(filter(None, told)), _LISTED)}"
        for told in ([_asked(one, "address"), _asked(one, "url")] for one in left)
    ]
    change = "worse" if worse else "missing" if len(left) > len(others) else ""
    return change, (*worse, *gone)


def _verifications(found: Data | None, vantage: str) -> dict[tuple[str, ...], Data]:
    """What each verification of a host asks, to its entry; of those that ask the same the worst.

    Which address was expected says who asked, as a machine that is another one each time.
    """
    every = (places(one) for one in (found or {}).get("verifications") or [found or {}])
    told = [one[vantage] for one in every if "verdict" in one.get(vantage, {})]
    worst_last = sorted(told, key=badness, reverse=True)
    fields = [field for field in _ASKED if field != "expected"]
    return {tuple(_asked(one, field) for field in fields): one for one in worst_last}


def _site(found: Data) -> tuple[str, ...]:
    """What a verification asks for, at whatever address: its URLs, or what stands for them in an
    entry of an older release, and other hosts, the deployment and the strategy.
    """
    urls, names = ([*map(str, found.get(field) or ())] for field in ("url", "address"))
    asked = sorted({_anywhere(url, names) for url in urls or names})
    # As where a URL is asked for another host than its own
    hosts = sorted({name.partition(", Host ")[2] for name in names} - {""})
    return ", ".join([*asked, *hosts]), _asked(found, "deployment"), _asked(found, "declared")


def _anywhere(url: str, own: t.Collection[str]) -> str:
    """A URL without its host where that is the address that is asked."""
    host, path = asked_for("", "/", url)
    if not (parse_address(host) or host in own):
        return url
    scheme = url.partition(":")[0]
    port = port_of(url)
    return f"{scheme}:{port or PORTS.get(scheme)}{path}"


def _addresses(found: Data | None, probe: Data) -> dict[str, Data]:
    """What an entry says of its addresses by verdict; nothing where an older release kept it.

    It names a few of them. All are named where it rests on what the ``probe`` saw.
    """
    rows, targets = (found or {}).get("by_verdict") or {}, probe.get("targets") or []
    told = {}
    for verdict, row in rows.items():
        alike = [one for one in targets if one.get("verdict") == verdict]
        names = [*map(address_of, alike)]
        # They can be of another verification of the run than the entry.
        same = len(names) == row.get("count") and {*(row.get("addresses") or ())} <= {*names}
        told[verdict] = {**row, "addresses": names} if same else row
    return told


def _fewer(old: t.Mapping[str, Data], new: t.Mapping[str, Data]) -> str:
    """What it is that an address, or fewer of them, are preserved no more, one of CHANGES; empty
    where it is nothing. ``old``, ``new``: as of :func:`_addresses`.

    By their names as far as these were kept, which another one that was mended doesn't make up for,
    and by their number: a load balancer that is made anew has others. Where none is the same, and
    all are preserved, other ones were chosen.
    """
    if not old or not new:
        return ""
    bad = VERDICTS[:-1]
    # One place can be of two targets, of which one was bad before.
    if _names(old, [PRESERVED]) & (_names(new, bad) - _names(old, bad)):
        return "worse"
    # Of one that was made anew the ports are the same, and the addresses aren't.
    lost = _ports(old, [PRESERVED]) & _ports(new, bad) - _ports(old, bad) - _ports(new, [PRESERVED])
    if lost and not _names(old, old) & _names(new, new):
        return "worse"
    fewer = _count(new, [PRESERVED]) < _count(old, [PRESERVED])
    if fewer and _count(new, bad) > _count(old, bad):
        return "worse"
    were, are, tried = _names(old, old), _names(new, new), _names(new, VERDICTS)
    left = _names(old, [PRESERVED]) - tried if _all_named(old) and _all_named(new) else set()
    if not fewer and len(left) <= len(tried - were):
        return ""
    return "missing" if were & are or {*new} != {PRESERVED} else ""


def _names(rows: t.Mapping[str, Data], verdicts: t.Iterable[str]) -> set[t.Any]:
    return {name for one in verdicts if one in rows for name in rows[one].get("addresses") or []}


#: Behind an address, as of :func:`address_of`
_PORT = re.compile(r"\A(?:\[.*\]|[^:]*):(\d+)\Z")


def _ports(rows: t.Mapping[str, Data], verdicts: t.Iterable[str]) -> set[str]:
    """The ports of the same, none of HTTP's."""
    named = (str(name) for name in _names(rows, verdicts))
    return {found[1] if (found := _PORT.match(name)) else "" for name in named}


def _all_named(rows: t.Mapping[str, Data]) -> bool:
    return all(len(row.get("addresses") or ()) == row.get("count") for row in rows.values())


def _count(rows: t.Mapping[str, Data], verdicts: t.Iterable[str]) -> int:
    return sum(rows[one].get("count") or 0 for one in verdicts if one in rows)


def _counts(before: Data | None, after: Data | None) -> tuple[str, ...]:
    """How many addresses are preserved; of a single one its verdict has said it."""
    (old, was), (new, now) = (
        (_count(rows, [PRESERVED]), _count(rows, rows))
        for rows in (_addresses(one, {}) for one in (before, after))
    )
    told = f"addresses: {old} of {was} preserved, now {new} of {now}"
    return () if was == now == 1 else (told,)


def _appeared_or_left(before: Data | None) -> str:
    if before is None:
        return "new"
    return "missing" if before["verdict"] == PRESERVED else "gone"


def _told(found: Data | None) -> str:
    if found is None:
        return ""
    return f"{found['verdict']} {found.get('code') or ''}".strip()


# --- Backends -------------------------------------------------------------------------------------


def _backends(
    host: str, vantage: str, became: str, before: Data, after: Data
) -> t.Iterable[Change]:
    """Those that answered both times and saw the expected address only once.

    None where the place ``became`` what all of them did: that is said already.
    """
    old, new = (
        {one["name"]: one for one in probe.get("backends") or [] if one.get("name")}
        for probe in (before, after)
    )
    found = []
    both = [name for name in old if name in new]
    for name in both:
        was, now = _as_expected(old[name], before), _as_expected(new[name], after)
        if was != now:
            change = "worse" if was else "mended"
            found.append(Change(host, vantage, name, change, _saw(old[name]), _saw(new[name])))
    alike = len(found) == len(both) and all(one.change == became for one in found)
    return [] if alike else found


def _as_expected(backend: Data, probe: Data) -> bool:
    try:
        expected = parse_ranges(probe.get("expected") or [])
    except DerivationError:
        return False
    seen = [parse_address(address) for address in backend.get("observed") or {}]
    return bool(seen) and all(one and in_ranges(one.address, expected) for one in seen)


def _saw(found: Data) -> str:
    return f"saw {', '.join(found.get('observed') or {}) or 'nothing'}"


# --- What else differs ----------------------------------------------------------------------------


#: What a verdict speaks of: with another one, two verdicts answer different questions
_ASKED = {
    "expected": "expected",
    "address": "asked at",
    "url": "asked for",
    "deployment": "of the deployment",
    "declared": "declared",
}


def _asked(found: Data | None, field: str) -> str:
    told = (found or {}).get(field) or []
    several = [told] if isinstance(told, str) else told
    texts = (_setting(one) if isinstance(one, t.Mapping) else str(one) for one in several)
    return ", ".join(sorted(texts))


def _differing(before: Data | None, after: Data | None) -> t.Iterator[str]:
    """That another address was expected, or something else asked."""
    for field, words in _ASKED.items():
        old, new = (_asked(one, field) for one in (before, after))
        # The name of a header has no case.
        case = str.lower if field == "declared" else str
        # At another address it is another URL where no host is asked for.
        same = field == "url" and before and after and _site(before)[0] == _site(after)[0]
        if old and new and case(old) != case(new) and not same:
            yield f"{words} {printable(old, _LISTED)}, now {printable(new, _LISTED)}"


def _both_times(before: Data | None, after: Data | None) -> str:
    """The addresses where they are the same: of a load balancer that was to be another one, the
    former has answered.
    """
    old, new = (_asked(one, "address") for one in (before, after))
    return printable(old, _LISTED) if old == new else ""


def _reserved(before: Data | None, after: Data | None) -> t.Iterator[str]:
    """What the two verdicts don't rest on, which their names alone don't say."""
    reasons = (str((one or {}).get("reason") or "") for one in (before, after))
    old, new = map(reservations, reasons)
    yield from (f"{'still' if text in old else 'now'} {text}" for text in new)
    yield from (f"before {text}" for text in old if text not in new)


def _warned(before: Data | None, after: Data | None) -> t.Iterator[str]:
    """Warnings of which there are more of a kind beside what is preserved now, in their words:
    addresses and numbers in them can be others than before where nothing has changed.
    """
    # Of what is bad the verdict says more.
    if not (before and after) or after["verdict"] != PRESERVED or "warnings_found" not in before:
        return
    old, new = (
        {str(text): kind_of(text) for text in one.get("warnings_found") or []}
        for one in (before, after)
    )
    counts = Counter(new.values())
    counts.subtract(old.values())
    for text in (one for one in new if one not in old):
        if counts[new[text]] > 0:
            counts[new[text]] -= 1
            yield f"now warned: {printable(text, _SENTENCE)}"


def _notes(before: Data, after: Data) -> t.Iterator[str]:
    old, new = (telling(one.get("forgery") or {}) for one in (before, after))
    for header in old:
        if header in new and old[header] != new[header]:
            yield f"a forged {header} was {old[header]}, and is {new[header]} now"
    was, now = (one.get("safe_strategy") for one in (before, after))
    if was and now and was != now:
        yield f"an application could use {_setting(was)}, and " + (
            f"must use {_setting(now)} now"
            if _is_ruled_out(was, now, after)
            else f"can use {_setting(now)} now, which doesn't say whether the former still holds"
        )
    told = [
        {one["name"] for one in probe.get("backends") or [] if one.get("name")}
        for probe in (before, after)
    ]
    if all(told) and told[0] != told[1]:
        yield f"backends: {len(told[0] - told[1])} gone, {len(told[1] - told[0])} new"


def _is_ruled_out(was: Data, now: Data, probe: Data) -> bool:
    """Whether a strategy that was safe isn't any more, since another one is told to be.

    Of several that are safe the declared one is told, else the first of CANDIDATES.
    """
    if (probe.get("forgery") or {}).get(was.get("header")) == "passed_through":
        return True
    told = probe.get("declared") or []
    declared = [{key: one[key] for key in one if key != "layer"} for one in told]
    if any(is_same(one, was) for one in declared):
        return True
    order = [*CANDIDATES]
    if not declared or any(is_same(one, now) for one in declared):
        return False
    return was in order and now in order and order.index(was) < order.index(now)


def _setting(strategy: Data) -> str:
    return " ".join(
        ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for value in strategy.values()
    )


# --- The page -------------------------------------------------------------------------------------


def page(
    names: tuple[str, str], documents: tuple[Document, Document], changes: t.Sequence[Change]
) -> str:
    """The comparison for a person, of at most 100 columns. ``names``: those of the two files."""
    table = [
        (label, f"{_run(document)} ({printable(name, 200)})")
        for label, name, document in zip(("before", "after"), names, documents)
    ]
    for change, several in _grouped(changes).items():
        # What is well as before needs no line of its own.
        if change == "same":
            asked = {one: f" (at {one.asked} both times)" for one in several if one.asked}
            few = asked if len(several) <= FEW else {}
            told = ", ".join(f"{_place(one)}{few.get(one, '')}" for one in several)
            table.append(("same", told))
            continue
        for one in several:
            table.append((change, f"{_place(one)}: {_verdicts(one)}"))
            table += [("", f"{note}") for note in one.notes]
    noted = [one for one in changes if one.change == "same" and one.notes]
    table += [("note", f"{_place(one)}: {'; '.join(one.notes)}") for one in noted]
    return "\n".join([f"{verdict(changes)}", *labelled(table)])


def verdict(changes: t.Iterable[Change]) -> str:
    """One sentence: how many places became what."""
    told = [f"{len(several)} {_COUNTED[change]}" for change, several in _grouped(changes).items()]
    return ", ".join(told)


def _grouped(changes: t.Iterable[Change]) -> dict[str, list[Change]]:
    groups: dict[str, list[Change]] = {}
    for one in changes:
        groups.setdefault(one.change, []).append(one)
    return groups


def _run(document: Document) -> str:
    playbook = printable(document["run"]["playbook"], _NAME)
    return f"{playbook} {printable(latest(document[RESULTS]), _NAME)}".strip()


def _place(change: Change) -> str:
    vantage = f" from {printable(change.vantage, _NAME)}" if change.vantage else ""
    backend = f", backend {printable(change.backend, _NAME)}" if change.backend else ""
    return f"{printable(change.cluster, _NAME)}{vantage}{backend}"


def _verdicts(change: Change) -> str:
    before, after = printable(change.before), printable(change.after)
    if before and after:
        return before if before == after else f"{before}, now {after}"
    return after or f"{before}, and not there any more"
