# SPDX-License-Identifier: GPL-3.0-or-later
"""How an address is asked that refuses requests as too many."""

from __future__ import annotations

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._forgery import Forgery
from ansible_collections.kestrel.real_ip.plugins.module_utils._probe import Pace
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import Sample

FIRST, OTHER = (Forgery(name, (), ()) for name in ("X-Real-IP", "X-Forwarded-For"))
SAID, UNSAID = Sample("V516", "429 Too Many Requests"), Sample("V516", "503 Service Unavailable")
#: What came of a request that was refused before, and what of one that wasn't
HELPED, ANSWERED = (None, True), (None, False)


def paced(forgery: Forgery, outcomes: list[Sample | tuple[None, bool]], pace: Pace) -> Pace:
    for outcome in outcomes:
        limit, helped = (outcome, False) if isinstance(outcome, Sample) else outcome
        pace = pace.after(forgery, pace.seconds or 0, limit, helped)
    return pace


@pytest.mark.parametrize(
    ("outcomes", "seconds", "spent", "beside"),
    [
        ([UNSAID], 0.2, False, False),
        ([UNSAID] * 4, 1.6, False, False),
        ([UNSAID] * 5, 0.0, True, True),
        # Whoever says that there are too many is believed for longer, and then altogether.
        ([SAID] * 7, 12.8, False, False),
        ([SAID] * 8, None, True, True),
        # What an answer shows: the next ones are asked at that pace, and begin to count anew.
        ([UNSAID] * 4 + [HELPED], 0.1, False, False),
        ([UNSAID] * 4 + [ANSWERED] + [UNSAID] * 4, 1.6, False, False),
        ([HELPED] + [UNSAID] * 5, 0.1, True, False),
        ([HELPED] + [SAID] * 8, 0.1, True, False),
        ([ANSWERED] + [UNSAID] * 5, 0.0, True, True),
        # Two kinds by turns end the waiting no later than the more patient one.
        ([SAID] * 6 + [UNSAID], 0.0, True, True),
        ([UNSAID, SAID] * 4, 0.0, True, True),
    ],
)
def test_a_pace_is_slowed_while_that_can_help(
    outcomes: list[Sample | tuple[None, bool]], seconds: float | None, spent: bool, beside: bool
) -> None:
    pace = paced(FIRST, outcomes, Pace(0.1))
    assert pace.seconds == (seconds if seconds is None else pytest.approx(seconds))
    assert (bool(pace.spent), pace.is_beside) == (spent, beside)


@pytest.mark.parametrize(("first", "seconds"), [([], 0.0), ([HELPED], None)])
def test_two_that_are_asked_in_vain_are_enough(
    first: list[Sample | tuple[None, bool]], seconds: float | None
) -> None:
    pace = paced(FIRST, [*first, *[UNSAID] * 5], Pace(0.1))
    assert pace.spent == (FIRST,)
    if first:
        pace = paced(OTHER, [UNSAID] * 5, pace)
        assert pace.spent == (FIRST, OTHER)
    assert pace.seconds == seconds
