# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module returns: of one address, of the addresses of a target, of a whole run."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import VERDICTS
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import parse_ranges
from ansible_collections.kestrel.real_ip.plugins.module_utils._evidence import (
    describe,
    describe_unreached,
    settle,
    spread,
    summarize,
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
