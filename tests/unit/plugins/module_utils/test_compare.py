# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import warn
from ansible_collections.kestrel.real_ip.plugins.module_utils._compare import (
    CHANGES,
    compare,
    not_later,
    page,
    swapped,
    verdict,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._report import document
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import (
    by_verdict,
    over_all,
)


def found(told: t.Any, **more: t.Any) -> dict[str, t.Any]:
    """An entry by its verdict; a dictionary is one with vantage points."""
    if isinstance(told, dict):
        vantages = {name: found(one) for name, one in told.items()}
        return {**min(vantages.values(), key=lambda one: one["verdict"]), "vantages": vantages}
    return {"verdict": told, "code": "V999", "reason": "r", "expected": ["203.0.113.10"], **more}


def made(hosts: dict[str, t.Any], probes: t.Any = None) -> dict[str, t.Any]:
    nothing: dict[str, t.Any] = {"probes": probes or {}, "path": [], "findings": []}
    told = {name: (found(one), nothing) for name, one in hosts.items() if one}
    return document(told, {"playbook": "verify", "time": "t", "versions": {}})


WARNED = warn("unaddressed", {"name": "a", "command": "c"})
VERDICT_ORDER = ("no_answer", "lost", "mixed", "forgeable", "unproven", "preserved", "untested")
VERDICTS = [
    # before, after, what that is
    ("preserved", "preserved", "same"),
    ("preserved", "lost", "worse"),
    ("preserved", "unproven", "worse"),
    ("preserved", "not_run", "worse"),
    ("preserved", None, "missing"),
    ("lost", "preserved", "mended"),
    ("not_run", "preserved", "mended"),
    ("lost", "lost", "bad"),
    ("not_run", "not_run", "bad"),
    ("unproven", "lost", "worse"),
    ("lost", "no_answer", "worse"),
    # Honest requests showed the address, and prove nothing now.
    ("forgeable", "unproven", "worse"),
    ("not_run", "lost", "worse"),
    # Less bad mends nothing, nor does not to look.
    ("lost", "unproven", "other"),
    ("lost", "not_run", "other"),
    ("lost", None, "gone"),
    ("not_run", None, "gone"),
    (None, "preserved", "new"),
    (None, "lost", "new"),
]


@pytest.mark.parametrize(("before", "after", "change"), VERDICTS)
def test_clusters_and_vantage_points(before: t.Any, after: t.Any, change: str) -> None:
    other = {"other": "preserved"}
    [one] = [
        each
        for each in compare(made({"a": before, **other}), made({"a": after, **other}))
        if each.cluster == "a"
    ]
    assert one.change == change
    assert one.fails is (change in ("worse", "missing"))
    if before and after:
        old, new = made({"a": {"x": before}}), made({"a": {"x": after}})
        [one] = compare(old, new)
        assert (one.cluster, one.vantage, one.change) == ("a", "x", change)


def test_every_change_is_tried() -> None:
    assert {change for _before, _after, change in VERDICTS} == {*CHANGES}


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        # Vantage points come and go one by one.
        (
            {"x": "preserved", "y": "preserved"},
            {"x": "preserved", "z": "lost"},
            {"x": "same", "y": "missing", "z": "new"},
        ),
        # Probed from elsewhere now: the host can be compared, what was seen before is missing.
        ("preserved", {"x": "lost"}, {"": "worse", "x": "new"}),
        ({"x": "preserved"}, "preserved", {"": "same", "x": "missing"}),
        ({"x": "lost"}, "preserved", {"": "mended", "x": "gone"}),
        (None, {"x": "lost", "y": "preserved"}, {"x": "new", "y": "new"}),
        ({"x": "lost", "y": "preserved"}, None, {"x": "gone", "y": "missing"}),
    ],
)
def test_other_vantage_points(before: t.Any, after: t.Any, changes: dict[str, str]) -> None:
    told = compare(made({"a": before, "b": "lost"}), made({"a": after, "b": "lost"}))
    assert {one.vantage: one.change for one in told if one.cluster == "a"} == changes


def addresses(verdict: str, **rows: str) -> dict[str, t.Any]:
    """``rows``: verdict to the names of the addresses that have it."""
    told = {one: {"count": len(rows[one].split()), "addresses": rows[one].split()} for one in rows}
    return {"verdict": verdict, "by_verdict": told}


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ({"preserved": "a b"}, {"preserved": "a b"}, "same"),
        ({"preserved": "a b"}, {"preserved": "a"}, "missing"),
        ({"preserved": "a b"}, {"preserved": "a", "untested": "b"}, "missing"),
        ({"preserved": "a"}, {"preserved": "a b"}, "same"),
        # A load balancer that is made anew, and another target
        ({"preserved": "a b"}, {"preserved": "a c"}, "same"),
        ({"preserved": "a b"}, {"preserved": "c"}, "same"),
        # One that has no answer hides what the other one shows.
        ({"no_answer": "a", "preserved": "b"}, {"no_answer": "a", "lost": "b"}, "worse"),
        ({"no_answer": "a", "preserved": "b"}, {"no_answer": "a", "preserved": "b"}, "bad"),
        ({"no_answer": "a", "preserved": "b"}, {"no_answer": "a"}, "missing"),
        ({"no_answer": "a", "preserved": "b"}, {"no_answer": "c"}, "missing"),
        ({"preserved": "a b"}, {"lost": "a", "preserved": "b"}, "worse"),
        # Another one that was mended makes not up for it.
        ({"lost": "a", "preserved": "b"}, {"lost": "b", "preserved": "a"}, "worse"),
        ({"no_answer": "a", "preserved": "b"}, {"lost": "b", "preserved": "a c"}, "worse"),
        ({"lost": "a", "preserved": "b"}, {"preserved": "a", "untested": "b"}, "missing"),
        ({"lost": "a", "preserved": "b"}, {"preserved": "a"}, "missing"),
        ({"lost": "a", "preserved": "b"}, {"preserved": "a c"}, "mended"),
        # Of two ports, at a load balancer that is made anew
        ({"lost": "a:81", "preserved": "a"}, {"lost": "b", "preserved": "b:81"}, "worse"),
        ({"lost": "a:81", "preserved": "a"}, {"lost": "b:81", "preserved": "b"}, "bad"),
        ({"lost": "a b:81", "preserved": "b"}, {"lost": "c d:81", "preserved": "d"}, "bad"),
        (
            {"lost": "2001:db8::1", "preserved": "[2001:db8::1]:81"},
            {"lost": "[2001:db8::2]:81", "preserved": "2001:db8::2"},
            "worse",
        ),
        # Of two targets at one address
        ({"lost": "a", "preserved": "a"}, {"lost": "a", "preserved": "a"}, "bad"),
        # Kept by a release that didn't tell
        ({}, {"preserved": "a"}, "same"),
    ],
)
def test_fewer_addresses(before: dict[str, str], after: dict[str, str], change: str) -> None:
    documents = []
    for rows in (before, after):
        worst = min(rows, key=VERDICT_ORDER.index, default="preserved")
        entry = {**found(worst), **addresses(worst, **rows)}
        nothing: dict[str, t.Any] = {"probes": {}, "path": [], "findings": []}
        told = {"playbook": "verify", "time": "t", "versions": {}}
        documents.append(document({"a": (entry, nothing)}, told))
    [one] = compare(*documents)
    assert (one.change, one.fails) == (change, change in ("worse", "missing"))
    assert any("addresses: " in note for note in one.notes) is one.fails


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ({"": {"preserved": "a b"}}, {"x": {"preserved": "a b"}}, "same"),
        ({"": {"preserved": "a b"}}, {"x": {"preserved": "a"}}, "missing"),
        (
            {"": {"no_answer": "a", "preserved": "b"}},
            {"x": {"no_answer": "a", "lost": "b"}},
            "worse",
        ),
        # Which of them decides isn't asked.
        (
            {"": {"no_answer": "a", "preserved": "b"}},
            {"x": {"no_answer": "a", "preserved": "b"}, "y": {"lost": "b"}},
            "worse",
        ),
        (
            {"x": {"no_answer": "a", "preserved": "b"}},
            {"": {"no_answer": "a", "lost": "b"}},
            "worse",
        ),
        (
            {"x": {"no_answer": "a", "preserved": "b"}},
            {"y": {"no_answer": "a", "preserved": "b"}},
            "bad",
        ),
    ],
)
def test_fewer_addresses_from_elsewhere(
    before: dict[str, t.Any], after: dict[str, t.Any], change: str
) -> None:
    documents = []
    for several in (before, after):
        entries = {}
        for name, rows in several.items():
            worst = min(rows, key=VERDICT_ORDER.index)
            entries[name] = {**found(worst), **addresses(worst, **rows)}
        first = min(entries.values(), key=lambda one: VERDICT_ORDER.index(one["verdict"]))
        vantages = {} if "" in entries else {"vantages": entries}
        nothing: dict[str, t.Any] = {"probes": {}, "path": [], "findings": []}
        told = {"playbook": "verify", "time": "t", "versions": {}}
        documents.append(document({"a": ({**first, **vantages}, nothing)}, told))
    [one] = [each for each in compare(*documents) if not each.vantage]
    assert (one.change, one.fails) == (change, change in ("worse", "missing"))
    assert any("addresses: " in note for note in one.notes) is one.fails


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [(None, True, "worse"), (True, True, "bad"), (True, None, "bad"), (None, None, "bad")],
)
def test_what_a_forgeable_hides_can_get_worse(before: t.Any, after: t.Any, change: str) -> None:
    doubt = {"verdict": "unproven", "code": "V401", "reason": "r"}
    entries = [
        {**found("forgeable"), "by_verdict": {}, "doubt": doubt if told else None}
        for told in (before, after)
    ]
    nothing: dict[str, t.Any] = {"probes": {}, "path": [], "findings": []}
    run = {"playbook": "verify", "time": "t", "versions": {}}
    [one] = compare(*(document({"a": (entry, nothing)}, run) for entry in entries))
    assert (one.change, one.fails) == (change, change == "worse")
    # Told by a release that knew of no doubt
    del entries[0]["by_verdict"]
    [one] = compare(*(document({"a": (entry, nothing)}, run) for entry in entries))
    assert one.change == "bad"


def resting_on(targets: list[dict[str, str]], told: bool) -> dict[str, t.Any]:
    """A document of what is lost; ``told``: with the targets that it rests on."""
    told_each = [{"reason": "r", "code": "V999", **one} for one in targets]
    entry = {**found("lost"), "by_verdict": by_verdict(told_each)}
    seen = {"": {"verdict": "lost", "reason": "r", "targets": told_each}} if told else {}
    run = {"playbook": "verify", "time": "t", "versions": {}}
    return document({"a": (entry, {"probes": seen, "path": [], "findings": []})}, run)


@pytest.mark.parametrize("told", [True, False])
def test_one_port_of_an_address_is_lost_and_another_one_mended(told: bool) -> None:
    documents = []
    for lost, preserved in (("http://a:8080/", "http://a/"), ("http://a/", "http://a:8080/")):
        rows = {"lost": lost, "preserved": preserved}
        targets = [{"verdict": one, "address": "::1", "url": url} for one, url in rows.items()]
        documents.append(resting_on(targets, told))
    [one] = compare(*documents)
    assert (one.change, one.fails) == ("worse", True)


@pytest.mark.parametrize(("told", "change"), [(True, "worse"), (False, "bad")])
def test_an_address_of_many_is_lost_and_another_one_mended(told: bool, change: str) -> None:
    """An entry names three addresses with a verdict; all are named by what it rests on."""
    documents = []
    for lost, preserved in (("e", "a b c d"), ("d", "a b c e")):
        rows = {"lost": lost, "preserved": preserved}
        targets = [
            {"verdict": one, "address": name}
            for one, names in rows.items()
            for name in names.split()
        ]
        documents.append(resting_on(targets, told))
    [one] = compare(*documents)
    assert (one.change, one.fails) == (change, told)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ([], [], []),
        (["X leads there"], ["X leads there"], []),
        ([], ["X leads there"], ["X leads there"]),
        (["X leads there"], [], []),
        # The same of another address
        ([warn("unaddressed", {"name": "b", "command": "c"})], [WARNED], []),
        ([], [WARNED], [WARNED]),
        (
            [WARNED],
            [WARNED, warn("unaddressed", {"name": "b", "command": "c"})],
            [warn("unaddressed", {"name": "b", "command": "c"})],
        ),
        # Kept by a release that didn't tell
        (None, ["X leads there"], []),
    ],
)
@pytest.mark.parametrize("vantage", ["", "office"])
def test_new_warnings_are_noted(
    before: list[str] | None, after: list[str], told: list[str], vantage: str
) -> None:
    entries = [
        {**found("preserved"), **({} if some is None else {"warnings_found": some})}
        for some in (before, after)
    ]
    both = [{**one, "vantages": {vantage: one}} if vantage else one for one in entries]
    nothing: dict[str, t.Any] = {"probes": {}, "path": [], "findings": []}
    run = {"playbook": "verify", "time": "t", "versions": {}}
    changes = compare(*(document({"a": (one, nothing)}, run) for one in both))
    [one] = [each for each in changes if each.vantage == vantage]
    assert one.change == "same"
    assert [*one.notes] == [f"now warned: {text}" for text in told]


def test_warnings_beside_what_is_lost_are_its_own_affair() -> None:
    before, after = found("preserved", warnings_found=[]), found("lost", warnings_found=[WARNED])
    nothing: dict[str, t.Any] = {"probes": {}, "path": [], "findings": []}
    run = {"playbook": "verify", "time": "t", "versions": {}}
    [one] = compare(*(document({"a": (entry, nothing)}, run) for entry in (before, after)))
    assert (one.change, one.notes) == ("worse", ())


def test_the_names_of_another_verification_are_not_those_of_the_entry() -> None:
    """A run that verified twice has the worst entry, and the last one's evidence."""
    run = {"playbook": "verify", "time": "t", "versions": {}}
    documents = []
    for rows, last in (
        ({"preserved": "a", "lost": "b"}, "c"),
        ({"preserved": "b", "lost": "a"}, "b"),
    ):
        target = {"verdict": "preserved", "address": last, "reason": "r", "code": "V001"}
        seen = {"": {"verdict": "preserved", "reason": "r", "targets": [target]}}
        entry = {**found("lost"), **addresses("lost", **rows)}
        documents.append(
            document({"a": (entry, {"probes": seen, "path": [], "findings": []})}, run)
        )
    [one] = compare(*documents)
    assert (one.change, one.fails) == ("worse", True)


def probe(**backends: str) -> dict[str, t.Any]:
    """``backends``: name to the address that it saw, empty for none."""
    return {
        "": {
            "verdict": "mixed",
            "reason": "r",
            "expected": ["203.0.113.0/24"],
            "backends": [
                {"name": name, "observed": {seen: 3} if seen else {}}
                for name, seen in backends.items()
            ],
        }
    }


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("203.0.113.10", "203.0.113.11", None),
        ("203.0.113.10", "10.0.0.1", "worse"),
        ("203.0.113.10", "none", "worse"),
        ("203.0.113.10", "", "worse"),
        ("10.0.0.1", "203.0.113.10", "mended"),
        ("10.0.0.1", "10.0.0.2", None),
    ],
)
def test_backends_that_answered_both_times(before: str, after: str, change: str | None) -> None:
    told = compare(
        made({"a": "mixed"}, probe(pod=before, old="203.0.113.10")),
        made({"a": "mixed"}, probe(pod=after, new="10.0.0.1")),
    )
    assert [one.change for one in told if one.backend] == ([change] if change else [])
    [place] = [one for one in told if not one.backend]
    assert place.notes == ("backends: 1 gone, 1 new",)


@pytest.mark.parametrize(
    ("verdicts", "after", "backends"),
    [
        # What all of them did is what the place did.
        (("preserved", "lost"), {"a": "10.0.0.1", "b": "10.0.0.1"}, []),
        (("preserved", "mixed"), {"a": "10.0.0.1", "b": "203.0.113.10"}, ["a"]),
        (("mixed", "mixed"), {"a": "10.0.0.1", "b": "10.0.0.1"}, ["a", "b"]),
    ],
)
def test_backends_are_named_where_they_tell_more(
    verdicts: tuple[str, str], after: dict[str, str], backends: list[str]
) -> None:
    before = probe(a="203.0.113.10", b="203.0.113.10")
    told = compare(made({"x": verdicts[0]}, before), made({"x": verdicts[1]}, probe(**after)))
    assert [one.backend for one in told if one.backend] == backends


@pytest.mark.parametrize(
    ("own", "note", "asked"),
    [
        ({}, None, ""),
        ({"address": ["198.51.100.1"]}, None, "198.51.100.1"),
        ({"address": ["198.51.100.9"]}, "asked at 198.51.100.1, now 198.51.100.9", ""),
        ({"address": ["198.51.100.1"], "deployment": "u/next/real-ip"}, None, "198.51.100.1"),
        # Another site's host and path at the same address
        (
            {"address": ["198.51.100.1"], "url": ["http://b.example/b"]},
            "asked for http://a.example/, now http://b.example/b",
            "198.51.100.1",
        ),
        (
            {"address": ["198.51.100.9"], "url": ["http://a.example/"]},
            "asked at 198.51.100.1, now 198.51.100.9",
            "",
        ),
    ],
)
def test_whether_the_same_was_asked_is_told(own: t.Any, note: str | None, asked: str) -> None:
    """A load balancer that wasn't moved to gets no credit of the former one."""
    documents = [made({"a": "preserved"}, probe()) for _side in range(2)]
    if own:
        documents[0]["real_ip_results"]["a"]["address"] = ["198.51.100.1"]
        documents[0]["real_ip_results"]["a"]["url"] = ["http://a.example/"]
    documents[1]["real_ip_results"]["a"].update(own)
    [change] = compare(*documents)
    assert (change.notes, change.asked) == ((note,) if note else (), asked)
    text = page(("x", "y"), (documents[0], documents[1]), [change])
    assert (" a (at 198.51.100.1 both times)" in text) is (asked != "")
    documents[0]["real_ip_results"]["a"]["deployment"] = "u/shop/real-ip"
    [change] = compare(*documents)
    told = "of the deployment u/shop/real-ip, now u/next/real-ip"
    assert (told in change.notes) is ("deployment" in own)


@pytest.mark.parametrize(
    ("before", "after", "notes"),
    [
        ("r", "r", ()),
        ("r", "r; forgery not tested", ("now forgery not tested",)),
        ("r; forgery not tested", "r", ("before forgery not tested",)),
        ("r；未测试伪造", "r; forgery not tested", ("still forgery not tested",)),
        (
            "r; forgery not tested",
            "r; no forgery tested on web-1",
            ("now no forgery tested on some pods", "before forgery not tested"),
        ),
        (
            "r",
            "r; this run has changed Service web, and what is in front may not follow yet: verify",
            ("now probed by a run that had just changed what is in front",),
        ),
        (
            "r; check mode: of what is there now, without the changes that a run would make",
            "r",
            ("before probed in check mode",),
        ),
    ],
)
def test_what_either_verdict_does_not_rest_on_is_noted(
    before: str, after: str, notes: tuple[str, ...]
) -> None:
    documents = [made({"a": "preserved"}, probe()) for _side in range(2)]
    for one, reason in zip(documents, (before, after)):
        one["real_ip_results"]["a"]["reason"] = reason
    [change] = compare(*documents)
    assert change.notes == notes


XFF_1 = {"strategy": "rightmost_trusted_count", "header": "X-Forwarded-For", "trusted_count": 1}
X_REAL_IP = {"strategy": "single_header", "header": "X-Real-IP"}
RANGES = {
    "strategy": "rightmost_trusted_range",
    "header": "Forwarded",
    "trusted_ranges": ["a", "b"],
}
FORMER = "l7 rightmost_trusted_count X-Forwarded-For 1"


def declared(*strategies: dict[str, t.Any], layer: str = "l7") -> list[dict[str, t.Any]]:
    return [{"layer": layer, **one} for one in strategies]


@pytest.mark.parametrize(
    ("now", "note"),
    [
        (declared(XFF_1), None),
        (declared({**XFF_1, "header": "x-forwarded-for"}), None),
        (declared(X_REAL_IP), f"declared {FORMER}, now l7 single_header X-Real-IP"),
        (declared({**XFF_1, "trusted_count": 2}), f"declared {FORMER}, now {FORMER[:-1]}2"),
        (declared({"strategy": "peer"}, layer="l4"), f"declared {FORMER}, now l4 peer"),
        (
            declared(RANGES),
            f"declared {FORMER}, now l7 rightmost_trusted_range Forwarded a, b",
        ),
        (
            [*declared(XFF_1), *declared({"strategy": "peer"}, layer="l4")],
            f"declared {FORMER}, now l4 peer, {FORMER}",
        ),
        # Nothing was probed, or kept by a release that didn't tell
        ([], None),
        (None, None),
    ],
)
@pytest.mark.parametrize("vantage", ["", "office"])
def test_another_strategy_than_before_is_noted(now: t.Any, note: str | None, vantage: str) -> None:
    """An artifact of AWX has no evidence that would tell."""
    entries = [
        found("preserved", **({} if told is None else {"declared": told}))
        for told in (declared(XFF_1), now)
    ]
    both = [{**one, "vantages": {vantage: one}} if vantage else one for one in entries]
    nothing: dict[str, t.Any] = {"probes": {}, "path": [], "findings": []}
    run = {"playbook": "verify", "time": "t", "versions": {}}
    documents = [document({"a": (one, nothing)}, run) for one in both]
    for pair in (documents, documents[::-1]):
        changes = compare(*pair)
        [one] = [each for each in changes if each.vantage == vantage]
        assert (one.change, len(one.notes)) == ("same", 1 if note else 0)
    [one] = [each for each in compare(*documents) if each.vantage == vantage]
    assert one.notes == ((note,) if note else ())


@pytest.mark.parametrize(
    ("was", "now", "told", "fate", "ruled_out"),
    [
        # It was declared, and would have been told if it were safe.
        (XFF_1, X_REAL_IP, declared(XFF_1), "appended", True),
        # The other one was declared, and is told for that.
        (XFF_1, X_REAL_IP, declared(X_REAL_IP), "appended", False),
        (XFF_1, X_REAL_IP, declared({**X_REAL_IP, "header": "x-real-ip"}), "appended", False),
        (XFF_1, X_REAL_IP, declared(X_REAL_IP), "passed_through", True),
        # None of the two: the simpler one would have been told.
        (XFF_1, X_REAL_IP, declared(RANGES), "appended", True),
        (X_REAL_IP, XFF_1, declared(RANGES), "appended", False),
        # Kept by a release that didn't tell
        (XFF_1, X_REAL_IP, None, "appended", False),
        # What nobody here has written
        ({"a": 1}, XFF_1, declared({"header": 7}), "appended", False),
    ],
)
def test_an_application_must_change_only_where_its_way_does_not_hold(
    was: t.Any, now: t.Any, told: t.Any, fate: str, ruled_out: bool
) -> None:
    before = {**probe()[""], "safe_strategy": was, "declared": declared(was)}
    after = {**probe()[""], "safe_strategy": now, "forgery": {"X-Forwarded-For": fate}}
    if told is not None:
        after["declared"] = told
    [one] = compare(*(made({"a": "preserved"}, {"": each}) for each in (before, after)))
    [note] = one.notes
    assert note.startswith("an application could use ")
    assert (" and must use " in note) is ruled_out
    assert ("doesn't say whether the former still holds" in note) is not ruled_out


NOTES = [
    # changes of the entry, changes of the probe, note
    ({"expected": ["192.0.2.0/24"]}, {}, "expected 203.0.113.10, now 192.0.2.0/24"),
    ({"reason": "r; forgery not tested"}, {}, "now forgery not tested"),
    (
        {"reason": "r, but the echo app doesn't name its pod, so that"},
        {},
        "now the echo app doesn't name its pod",
    ),
    ({}, {"forgery": {"X-Real-IP": "passed_through"}}, "a forged X-Real-IP was replaced, and is"),
    ({}, {"safe_strategy": {"strategy": "peer"}}, "an application could use single_header X-Real-"),
]


@pytest.mark.parametrize(("entry", "own", "note"), NOTES)
def test_what_else_differs_is_noted(entry: t.Any, own: t.Any, note: str) -> None:
    usual = {
        **probe()[""],
        "forgery": {"X-Real-IP": "replaced"},
        "safe_strategy": {"strategy": "single_header", "header": "X-Real-IP"},
    }
    before, after = (made({"a": "preserved"}, {"": one}) for one in (usual, {**usual, **own}))
    after["real_ip_results"]["a"].update(entry)
    [one] = compare(before, after)
    [told] = one.notes
    assert told.startswith(note)
    assert one.change == "same"
    assert note in " ".join(page(("a", "b"), (before, after), [one]).split())


def test_the_one_that_is_older_can_not_be_after() -> None:
    old, new = made({"a": "lost"}), made({"a": "lost"})
    assert not swapped(old, new)
    for one, day in ((old, 1), (new, 2)):
        one["real_ip_results"]["a"]["time"] = f"2026-01-0{day}T00:00:00+00:00"
    assert not swapped(old, new)
    assert swapped(new, old)


EARLY, LATE, LATER = (f"2026-01-0{day}T00:00:00+00:00" for day in (1, 2, 3))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a": LATE}, {"a": LATER}, ""),
        # A copy, or the artifact of the same run
        ({"a": LATE}, {"a": LATE}, f"a (before {LATE}, after {LATE})"),
        # That another host's is later proves nothing of this one.
        ({"a": LATE, "b": LATE}, {"a": LATER, "b": EARLY}, f"b (before {LATE}, after {EARLY})"),
        ({"a": LATE, "b": LATE}, {"a": LATER, "b": LATE}, f"b (before {LATE}, after {LATE})"),
        # One that is not looked at any more, and one that wasn't before
        ({"a": EARLY, "b": LATE}, {"a": LATE}, ""),
        ({"a": EARLY}, {"a": LATE, "b": EARLY}, ""),
        # An older release, or somebody who cut it down, kept no time.
        ({"a": ""}, {"a": ""}, ""),
        ({"a": LATE}, {"a": ""}, ""),
        ({"a": ""}, {"a": LATE}, ""),
        # Of several verifications the worst is the entry, and the last one is what counts.
        ({"a": LATE}, {"a": [EARLY, LATER]}, ""),
        ({"a": [EARLY, LATE]}, {"a": LATER}, ""),
        ({"a": [EARLY, LATER]}, {"a": LATE}, f"a (before {LATER}, after {LATE})"),
        ({"a": LATE}, {"a": [EARLY, LATE]}, f"a (before {LATE}, after {LATE})"),
    ],
)
def test_each_host_was_verified_again(before: t.Any, after: t.Any, told: str) -> None:
    def at(times: t.Any) -> dict[str, t.Any]:
        hosts = made(dict.fromkeys(times, "preserved"))
        for host, time in times.items():
            several = [time] if isinstance(time, str) else time
            entries = [{**found("preserved"), **({"time": one} if one else {})} for one in several]
            more = {"verifications": entries} if len(entries) > 1 else {}
            hosts["real_ip_results"][host] = {**entries[0], **more}
        return hosts

    assert not_later(at(before), at(after)) == told


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        # The worst is as bad as before, and another one.
        ({"a": "lost", "b": "preserved"}, {"a": "preserved", "b": "lost"}, "worse"),
        ({"a": "lost", "b": "preserved"}, {"b": "lost"}, "worse"),
        ({"b": "preserved"}, {"a": "lost", "b": "preserved"}, "worse"),
        ({"a": "lost", "b": "preserved"}, {"a": "lost", "b": "preserved"}, "bad"),
        ({"a": "lost", "b": "preserved"}, {"a": "lost", "c": "preserved"}, "bad"),
        ({"a": "lost", "b": "forgeable"}, {"a": "preserved", "b": "preserved"}, "mended"),
    ],
)
@pytest.mark.parametrize("vantage", ["", "x"])
def test_of_several_verifications_those_that_ask_the_same_are_compared(
    before: dict[str, str], after: dict[str, str], change: str, vantage: str
) -> None:
    def of(verdicts: dict[str, str]) -> dict[str, t.Any]:
        several = [
            found(one, address=[f"http://{name}.example/"], by_verdict={})
            for name, one in verdicts.items()
        ]
        if vantage:
            several = [{**one, "vantages": {vantage: one}} for one in several]
        told = made({"h": "lost"})
        told["real_ip_results"]["h"] = over_all(several)
        return told

    [one] = [one for one in compare(of(before), of(after)) if one.vantage == vantage]
    assert one.change == change
    told = "at http://b.example/: preserved V999, now lost V999"
    assert (told in one.notes) == (change == "worse" and len(before) > 1)


HOSTILE = "\x1b[31m\u202e|`\n" + "word " * 60


def test_the_page_is_of_100_columns_and_says_the_worst_first() -> None:
    before = made({"a": "preserved", HOSTILE: "preserved", "c": "lost", "d": "preserved"})
    after = made({"a": "preserved", HOSTILE: "lost", "c": "preserved"})
    changes = compare(before, after)
    text = page(("one.json", HOSTILE), (before, after), changes)
    lines = text.splitlines()
    assert lines[0] == (
        "1 worse, 1 preserved before and not looked at any more, 1 mended, 1 still preserved"
    )
    assert lines[0] == verdict(changes)
    assert max(map(len, lines)) <= 100
    assert all(line.isprintable() for line in lines)
    labels = [line.split()[0] for line in lines[1:] if not line.startswith("    ")]
    assert labels == ["before", "after", "worse", "missing", "mended", "same"]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (
            [{"a": "preserved"}, {"b": "preserved"}],
            [{"a": "preserved"}],
            {"a": "same", "b": "missing"},
        ),
        (
            [{"a": "lost"}, {"b": "preserved"}],
            [{"a": "lost"}, {"b": "lost"}],
            {"a": "bad", "b": "worse"},
        ),
        (
            [{"": "lost"}, {"b": "preserved"}],
            [{"": "lost"}, {"b": "preserved"}],
            {"": "bad", "b": "same"},
        ),
        ([{"": "preserved"}], [{"": "lost"}, {"b": "preserved"}], {"": "worse", "b": "new"}),
        (
            [{"a": "lost", "b": "lost"}, {"b": "preserved"}],
            [{"b": "lost"}],
            {"a": "gone", "b": "bad"},
        ),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_each_verification_can_be_from_other_vantage_points(
    before: list[dict[str, str]], after: list[dict[str, str]], changes: dict[str, str], order: int
) -> None:
    """As of jobs at several sites whose documents were merged."""

    def of(runs: list[dict[str, str]]) -> dict[str, t.Any]:
        told = made({"h": "lost"})
        several = [found(one.get("", one)) for one in runs[::order]]
        told["real_ip_results"]["h"] = over_all(several)
        return told

    told = compare(of(before), of(after))
    assert {one.vantage: one.change for one in told} == changes


SHOP, API = ("http://shop.example/",), ("http://shop.example/api",)
OLD, NEW = ("http://198.51.100.1:8080/",), ("http://198.51.100.2:8080/",)


@pytest.mark.parametrize(
    ("before", "after", "change", "note"),
    [
        # At a load balancer with another address
        (
            {SHOP: "preserved", API: "lost"},
            {SHOP: "lost", API: "preserved"},
            "worse",
            "at 198.51.100.2: preserved V999, now lost V999",
        ),
        ({SHOP: "preserved", OLD: "lost"}, {SHOP: "preserved", NEW: "lost"}, "bad", ""),
        (
            {SHOP: "lost", OLD: "preserved"},
            {SHOP: "preserved", NEW: "lost"},
            "worse",
            "at 198.51.100.2: preserved V999, now lost V999",
        ),
        (
            {SHOP: "preserved", API: "preserved"},
            {SHOP: "preserved", OLD: "preserved"},
            "same",
            "not asked any more: 198.51.100.1, http://shop.example/api",
        ),
        (
            {SHOP: "preserved", API: "preserved"},
            {SHOP: "preserved", OLD: "lost"},
            "worse",
            "",
        ),
        (
            {SHOP: "preserved", API: "preserved"},
            {SHOP: "preserved"},
            "missing",
            "not asked any more",
        ),
    ],
)
def test_several_verifications_before_and_after_a_migration(
    before: dict[t.Any, str], after: dict[t.Any, str], change: str, note: str
) -> None:
    def of(urls: dict[t.Any, str], address: str) -> dict[str, t.Any]:
        more = {"address": [address], "by_verdict": {}, "expected": [f"{address}0"]}
        told = made({"h": "lost"})
        several = [found(verdict, url=[*url], **more) for url, verdict in urls.items()]
        told["real_ip_results"]["h"] = over_all(several)
        return told

    [one] = compare(of(before, "198.51.100.1"), of(after, "198.51.100.2"))
    assert (one.change, any(note in text for text in one.notes)) == (change, True)


@pytest.mark.parametrize(
    ("before", "after", "is_told"),
    [
        ("http://198.51.100.1/", "http://198.51.100.2/", False),
        ("http://lb-1.example/", "http://lb-2.example/", False),
        ("http://198.51.100.1/", "http://198.51.100.2/api", True),
        ("http://198.51.100.1/", "http://198.51.100.2:81/", True),
        ("http://a.example/a", "http://b.example/b", True),
        ("http://[a/", "http://[a/", False),
        ("http://198.51.100.1:80/", "http://198.51.100.2/", False),
        ("http://198.51.100.1:99999/", "http://198.51.100.2:x/", False),
    ],
)
def test_another_host_path_or_port_is_told_at_another_address(
    before: str, after: str, is_told: bool
) -> None:
    documents = [made({"a": "preserved"}, probe()) for _side in range(2)]
    names = (["198.51.100.1", "lb-1.example"], ["198.51.100.2", "lb-2.example"])
    for one, url, address in zip(documents, (before, after), names, strict=True):
        one["real_ip_results"]["a"].update(url=[url], address=address)
    [change] = compare(*documents)
    assert any(text.startswith("asked for ") for text in change.notes) is is_told


def test_hosts_of_one_url_that_change_places_at_another_address_are_told() -> None:
    def of(address: str, **hosts: str) -> dict[str, t.Any]:
        url = f"http://{address}/"
        told = made({"h": "lost"})
        several = [
            found(one, url=[url], address=[f"{url}, Host {host}.example"], by_verdict={})
            for host, one in hosts.items()
        ]
        told["real_ip_results"]["h"] = over_all(several)
        return told

    before, after = ({"a": "preserved", "b": "lost"}, {"a": "lost", "b": "preserved"})
    [one] = compare(of("198.51.100.1", **before), of("198.51.100.2", **after))
    assert one.change == "worse"
    assert any("Host a.example: preserved V999, now lost V999" in text for text in one.notes)
    [one] = compare(of("198.51.100.1", **before), of("198.51.100.2", **before))
    assert one.change == "bad"
