# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module returns: of one address, of the addresses of a target, of a whole run."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    VERDICTS,
    reservations,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import parse_ranges
from ansible_collections.kestrel.real_ip.plugins.module_utils._evidence import (
    describe,
    describe_unreached,
    settle,
    spread,
    summarize,
    with_earlier,
    worst_answers,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import (
    Expectation,
    Path,
    Question,
    Sample,
    Strategy,
    Times,
)

CLIENT, BALANCER, BALANCER_6 = "203.0.113.20", "198.51.100.10", "2001:db8:51::10"
QUESTION = Question(
    expectation=Expectation("given", tuple(parse_ranges([CLIENT]))),
    strategy=Strategy("rightmost_trusted_count", trusted_count=1),
    backends=("a", "b"),
)
TITLE = {"name": "one", "url": "http://echo/"}


def path(address: str = BALANCER) -> Path:
    return Path("echo", 80, ipaddress.ip_address(address))


def result(*samples: Sample, address: str = BALANCER, planned: int | None = None) -> dict[str, Any]:
    count = len(samples) if planned is None else planned
    return describe(QUESTION, path(address), samples, count, TITLE)


GOOD = Sample(
    "V001",
    seen=CLIENT,
    peer="10.255.0.12",
    pod="a",
    node="node1",
    lines=(("X-Forwarded-For", CLIENT), ("X-Real-IP", CLIENT), ("X-Forwarded-For", CLIENT)),
    times=Times(0.1, 0.2, 0.3),
)
OTHER = GOOD._replace(pod="b", peer="10.244.1.1", times=Times(0.2, 0.3, 0.5))
WRONG = OTHER._replace(code="V206", seen="10.255.0.12")


def test_one_address() -> None:
    shown = result(GOOD, GOOD, OTHER, Sample("V503"), planned=5)
    assert shown == {
        "name": "one",
        "url": "http://echo/",
        "address": BALANCER,
        "verdict": "preserved",
        "code": "V001",
        "reason": shown["reason"],
        "detail": "",
        "fix": None,
        "warnings_found": shown["warnings_found"],
        "expected": [CLIENT],
        "expected_from": "given",
        "observed": {CLIENT: 3},
        "coverage": "complete",
        "backends": [
            {
                "name": "a",
                "node": "node1",
                "answers": 2,
                "observed": {CLIENT: 2},
                "peers": {"10.255.0.12": 2},
                "headers": {"X-Forwarded-For": [CLIENT, CLIENT], "X-Real-IP": [CLIENT]},
            },
            {
                "name": "b",
                "node": "node1",
                "answers": 1,
                "observed": {CLIENT: 1},
                "peers": {"10.244.1.1": 1},
                "headers": {"X-Forwarded-For": [CLIENT, CLIENT], "X-Real-IP": [CLIENT]},
            },
        ],
        "forgery": {},
        "safe_strategy": None,
        "doubt": None,
        "load_balancer_headers": [],
        "requests": {
            "planned": 5,
            "sent": 4,
            "forged": 0,
            "answered": 3,
            "unanswered": {"V503": 1},
        },
        "timings": {
            "connect": {"min": 0.1, "median": 0.1, "max": 0.2},
            "first_byte": {"min": 0.2, "median": 0.2, "max": 0.3},
            "total": {"min": 0.3, "median": 0.3, "max": 0.5},
        },
    }
    assert any("connection refused" in text for text in shown["warnings_found"])


def test_no_address_seen() -> None:
    shown = result(GOOD._replace(code="V209", seen=None, peer=None, pod=None, lines=()))
    assert shown["observed"] == {"none": 1}
    assert shown["backends"][0]["name"] is None
    assert shown["backends"][0]["peers"] == {}


def test_an_unreached_target_has_the_same_members() -> None:
    facts = {"address": "echo", "host": "echo", "detail": "not known"}
    shown = describe_unreached("V501", facts, TITLE)
    assert [*shown] == [*result(GOOD)]
    assert (shown["verdict"], shown["address"]) == ("no_answer", None)


def test_hostile_text_is_escaped() -> None:
    evil = "\x1b[31m\x00\u202e\ud800"
    fields = {"seen": evil, "peer": evil, "pod": evil, "node": evil, "lines": ((evil, evil),)}
    shown = json.dumps(result(GOOD._replace(**fields)), ensure_ascii=False)
    assert shown.isprintable()
    shown.encode()


def test_spread() -> None:
    assert spread([]) == {}
    columns = spread([Times(1, 2, 3), Times(3, 4, 5), Times(2, 9, 9.00006)])
    assert columns["connect"] == {"min": 1, "median": 2, "max": 3}
    assert columns["total"] == {"min": 3, "median": 5, "max": 9.0001}


# --- Addresses of one target ----------------------------------------------------------------------

UNROUTED = Sample("V601")


@pytest.mark.parametrize(
    ("targets", "codes"),
    [
        ([(BALANCER, GOOD), (BALANCER_6, UNROUTED)], ["V410", "V601"]),
        ([(BALANCER, Sample("V503")), (BALANCER_6, UNROUTED)], ["V503", "V601"]),
        ([(BALANCER_6, UNROUTED)], ["V505"]),
        ([(BALANCER, UNROUTED), (BALANCER_6, UNROUTED)], ["V505", "V505"]),
        ([(BALANCER, GOOD), ("198.51.100.11", UNROUTED)], ["V410", "V505"]),
    ],
)
def test_an_address_without_a_route(targets: Any, codes: list[str]) -> None:
    paths = [path(address) for address, _sample in targets]
    results = [result(sample, address=address) for address, sample in targets]
    settled = settle(results, paths)
    assert [one["code"] for one in settled] == codes
    assert [[*one] for one in settled] == [[*result(GOOD)]] * len(codes)
    for one, (address, _sample) in zip(settled, targets):
        assert one["address"] == address
        assert address in one["reason"]
        assert one["requests"]["sent"] == 1
    total = summarize(settled, [])
    left = [one["address"] for one in settled if one["verdict"] == "untested"]
    told = f"; not tested, no route: {', '.join(left)}" if left else ""
    assert total["reason"].partition("; not tested")[1:] == told.partition("; not tested")[1:]
    named = ["addresses without a route not tested"] if left else []
    assert [one for one in reservations(total["reason"]) if "route" in one] == named
    assert total["verdict"] == min(
        (one["verdict"] for one in settled if one["verdict"] != "untested"), key=VERDICTS.index
    )


# --- A run ----------------------------------------------------------------------------------------


def test_the_worst_address_decides() -> None:
    good = result(GOOD, OTHER)
    lost = result(WRONG, address="198.51.100.11")
    unproven = result(Sample("V407"), address="198.51.100.12")
    failed = result(Sample("V503"), address="198.51.100.13")
    for results, verdict in (
        ([good], "preserved"),
        ([good, unproven], "unproven"),
        ([unproven, lost, good], "lost"),
        ([good, lost, unproven, failed], "no_answer"),
    ):
        total = summarize(results, [])
        worst = next(one for one in results if one["verdict"] == verdict)
        deciding = ("address", "verdict", "code", "reason", "fix", "expected", "expected_from")
        assert {key: total[key] for key in deciding} == {key: worst[key] for key in deciding}
        assert worst["address"] in total["reason"]
        assert total["targets"] == results


def test_the_first_of_the_worst_decides() -> None:
    both = [result(WRONG), result(WRONG, address="198.51.100.11")]
    assert summarize(both, [])["address"] == BALANCER


def test_of_many_addresses_without_a_route_some_are_named() -> None:
    many = [
        {**result(UNROUTED, address=f"2001:db8::{number}"), "verdict": "untested"}
        for number in range(1, 6)
    ]
    reason = summarize([result(GOOD, OTHER), *many], [])["reason"]
    assert reason.endswith("no route: 2001:db8::1, 2001:db8::2, 2001:db8::3, 2 more")


PARTLY = "; forgery tested in part (2 of 60 forged requests not answered)"


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (["all"], "all"),
        # Whichever address comes first, and however long its reason is.
        (["all of the longest", "all; forgery not tested"], "all; forgery not tested"),
        (
            ["a; vantage not checked", f"b{PARTLY}", f"c{PARTLY}", "d; forgery not tested"],
            "a; vantage not checked; forgery not tested (d); forgery tested in part (b and 1 more)",
        ),
        (
            ["all", "but the echo app doesn't name its pod; vantage not checked"],
            "but the echo app doesn't name its pod; vantage not checked",
        ),
    ],
)
def test_no_address_hides_what_another_ones_verdict_does_not_rest_on(
    reasons: list[str], expected: str
) -> None:
    results = [{**result(GOOD, OTHER), "reason": text} for text in reasons]
    named = [{**one, "address": name} for one, name in zip(results, "abcd")]
    assert summarize(named, [])["reason"] == expected


@pytest.mark.parametrize(("alike", "safe"), [(True, {"strategy": "peer"}), (False, None)])
def test_no_advice_of_one_address_is_given_for_all(
    alike: bool, safe: dict[str, str] | None
) -> None:
    fix = "Use what was seen to be safe here, strategy: peer"
    chosen = {"verdict": "forgeable", "code": "V101", "fix": fix}
    one = {**result(GOOD, OTHER), **chosen, "safe_strategy": {"strategy": "peer"}}
    other = {**result(GOOD, OTHER), "safe_strategy": one["safe_strategy"] if alike else None}
    total = summarize([one, other], [])
    assert (total["safe_strategy"], total["fix"] == fix) == (safe, alike)
    assert total["fix"].startswith("Use what was seen to be safe here, ")


def test_what_is_added_up() -> None:
    total = summarize([result(GOOD, OTHER), result(GOOD, WRONG, Sample("V503"))], [(1, 2, 3)])
    assert total["observed"] == {CLIENT: 3, "10.255.0.12": 1}
    sent = {"planned": 5, "sent": 5, "forged": 0, "answered": 4}
    assert total["requests"] == {**sent, "unanswered": {"V503": 1}}
    assert [(one["name"], one["answers"]) for one in total["backends"]] == [("a", 2), ("b", 2)]
    assert total["backends"][1]["observed"] == {CLIENT: 1, "10.255.0.12": 1}
    assert total["timings"]["total"] == {"min": 3, "median": 3, "max": 3}
    assert total["targets"][0]["backends"][1]["observed"] == {CLIENT: 1}


@pytest.mark.parametrize(
    ("each", "together"),
    [
        (["complete", "incomplete"], "incomplete"),
        (["complete", "unknown"], "unknown"),
        (["complete", "not_asked"], "not_asked"),
        (["complete", "complete"], "complete"),
    ],
)
def test_coverage_is_the_weakest(each: list[str], together: str) -> None:
    results = [{**result(GOOD), "coverage": one} for one in each]
    assert summarize(results, [])["coverage"] == together


def test_warnings_are_few_and_stand_once() -> None:
    many = [{**result(GOOD), "warnings_found": [f"w{n}", "same"]} for n in range(50)]
    found = summarize(many, [])["warnings_found"]
    assert len(found) == len({*found}) == 20
    assert found[:2] == ["w0", "same"]


# --- Runs that are repeated -----------------------------------------------------------------------

#: Verdicts of one address: what its answers in one run led to.
PRESERVED = (GOOD, OTHER)
UNPROVEN = (GOOD,)
LOST = (WRONG,)
MIXED = (GOOD, WRONG)
SILENT = (Sample("V503"),)
ELSEWHERE = "198.51.100.11"

Round = dict[str, tuple[Sample, ...]]


def run_of(addresses: Round) -> dict[str, Any]:
    return summarize([result(*seen, address=one) for one, seen in addresses.items()], [(1, 2, 3)])


@pytest.mark.parametrize(
    ("earlier", "last", "verdict", "shown"),
    [
        # Nothing was shown before, or nothing that isn't shown again.
        ([], PRESERVED, "preserved", ["preserved"]),
        ([SILENT, SILENT], PRESERVED, "preserved", ["preserved"]),
        ([PRESERVED], PRESERVED, "preserved", ["preserved"]),
        ([LOST], LOST, "lost", ["lost"]),
        ([MIXED], LOST, "lost", ["lost"]),
        # While things come up, some doubts are none that last.
        ([UNPROVEN], PRESERVED, "preserved", ["preserved"]),
        # What is shown once holds, whatever is shown later.
        ([LOST], PRESERVED, "lost", ["lost", "preserved"]),
        ([LOST, PRESERVED], PRESERVED, "lost", ["lost", "preserved"]),
        ([MIXED], PRESERVED, "mixed", ["mixed", "preserved"]),
        ([MIXED], UNPROVEN, "mixed", ["mixed", "unproven"]),
        ([LOST], MIXED, "lost", ["lost", "mixed"]),
        ([MIXED, LOST], PRESERVED, "lost", ["lost", "preserved"]),
        # What has fallen silent has still shown something.
        ([LOST], SILENT, "no_answer", ["lost", "no_answer"]),
        ([PRESERVED], SILENT, "no_answer", ["preserved", "no_answer"]),
        ([PRESERVED, LOST, UNPROVEN, SILENT], SILENT, "no_answer", ["lost", "no_answer"]),
        # A name that gives other addresses by now.
        ([LOST], None, "lost", ["lost"]),
        ([MIXED], None, "mixed", ["mixed"]),
        ([UNPROVEN], None, "preserved", []),
        ([PRESERVED], None, "preserved", []),
        ([SILENT], None, "preserved", []),
    ],
)
def test_what_one_address_showed_while_another_was_waited_for(
    earlier: list[tuple[Sample, ...]],
    last: tuple[Sample, ...] | None,
    verdict: str,
    shown: list[str],
) -> None:
    runs = [run_of({BALANCER: one, ELSEWHERE: SILENT}) for one in earlier]
    again = run_of({**({BALANCER: last} if last else {}), ELSEWHERE: PRESERVED})
    seen = worst_answers([one for run in runs for one in run["targets"]])
    total = with_earlier(seen, {**again, "bypass": [], "vantage": "outside"})
    assert total["verdict"] == verdict
    here = [one for one in total["targets"] if one["address"] == BALANCER]
    assert [one["verdict"] for one in here] == shown
    assert [one["address"] for one in total["targets"]][-1] == ELSEWHERE
    assert {*total} == {*again, "bypass", "vantage"}
    assert total["timings"] == again["timings"]
    before = shown[0] if len(here) > (last is not None) else None
    told = [text for text in total["warnings_found"] if "was waited for" in text]
    assert [before in text and BALANCER in text for text in told] == ([True] if before else [])
    assert total["observed"].get("10.255.0.12", 0) == sum(
        one["observed"].get("10.255.0.12", 0) for one in here
    )


def test_what_was_waited_for_in_vain_hides_nobody() -> None:
    """No answer is the worst, and the evidence of the others stands beside it."""
    first = run_of({BALANCER: LOST, ELSEWHERE: SILENT})
    last = {**run_of({BALANCER: SILENT, ELSEWHERE: SILENT}), "warnings_found": ["of the run"]}
    total = with_earlier(worst_answers(first["targets"]), last)
    assert (total["verdict"], total["code"]) == ("no_answer", "V503")
    assert [one["verdict"] for one in total["targets"]] == ["lost", "no_answer", "no_answer"]
    assert total["observed"] == {"10.255.0.12": 1}
    assert total["warnings_found"][-1] == "of the run"
    assert "lost V206" in " ".join(total["warnings_found"])


def test_targets_of_one_address_are_told_apart() -> None:
    def target(name: str, *seen: Sample) -> dict[str, Any]:
        return {**result(*seen), "name": name}

    first = [target("a", *LOST), target("b", *PRESERVED), target("c", *SILENT)]
    last = summarize([target(name, *PRESERVED) for name in "abc"], [])
    total = with_earlier(first, last)
    assert [(one["name"], one["verdict"]) for one in total["targets"]] == [
        ("a", "lost"),
        ("a", "preserved"),
        ("b", "preserved"),
        ("c", "preserved"),
    ]
