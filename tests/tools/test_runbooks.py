# SPDX-License-Identifier: GPL-3.0-or-later
"""Runbooks: how they are read, what is the same output, and whether each leads somewhere."""

from __future__ import annotations

import re

import pytest

from tools import runbooks
from tools.runbooks import STOP, Outcome, Runbook, Step, Walk

PAGE = """\
# The light is out

## Step 1: is there power?

```shell
curl -s \\
  http://192.0.2.1/
```

Any address of yours.

- **Power**: go to [step 2](#step-2-the-bulb).

  ```text
  …
  power   on
  ```

- **None**: **Stop**. Wait for it.

  ```text
  power   off
  ```

## Step 2: the bulb

Change it. Then [step 1](#step-1-is-there-power).

## Practise

| make it so | walk | in a person's place | undo |
| --- | --- | --- | --- |
| `fault bulb on` | 1, 2, 1, 2 | `fault bulb off`, `true` | `fault all off` |
| `ansible-playbook playbooks/site.yml` | 1 | | |
"""


def test_a_page_is_read() -> None:
    read = runbooks.parse("light", PAGE)
    power = Outcome(("…", "power   on"), (2,))
    none = Outcome(("power   off",), (STOP,))
    assert read == Runbook(
        "light",
        {
            1: Step(1, "is there power?", "curl -s \\\n  http://192.0.2.1/", (power, none)),
            2: Step(2, "the bulb", "", (Outcome((), (1,)),)),
        },
        (
            Walk("fault bulb on", (1, 2, 1, 2), ("fault bulb off", "true"), "fault all off"),
            Walk("ansible-playbook playbooks/site.yml", (1,), (), ""),
        ),
        {"step-1-is-there-power": 1, "step-2-the-bulb": 2},
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("go to [step 2](#step-2-the-bulb)", "go on", "doesn't say where to go"),
        ("**Stop**. Wait", "Wait", "doesn't say where to go"),
        ("Then [step 1](#step-1-is-there-power).", "", "doesn't say where to go"),
        ("## Step 2", "## Step 1", "is there twice"),
        ("Any address", "```shell\nls\n```\n\nAny address", "more than one command"),
        ("  ```text\n  power   off\n  ```\n", "", "has 0 outputs"),
    ],
)
def test_a_page_that_leads_nowhere_is_refused(old: str, new: str, told: str) -> None:
    assert old in PAGE
    with pytest.raises(ValueError, match=told):
        runbooks.parse("light", PAGE.replace(old, new))


POD = "real-ip-deployment-d99995d7-hjhl7"
OTHER = "real-ip-deployment-6cb5667dd4-xbq9p"


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("a\nb", "a\nb", True),
        ("a\nb", "a\nc", False),
        ("a", "a\nb", False),
        ("a\nb", "a", False),
        ("…\nb", "a\nb", True),
        ("…\nb", "a\nb\nc", False),
        ("…\nb\n…", "a\nb\nc", True),
        ("a\n…\nd", "a\nd", True),
        ("…\nb\nd", "a\nb\nc\nd", False),
        # Columns are as wide as what is in them.
        ("NAME   AGE\nweb    5s", "NAME          AGE\nweb           12m3s", True),
        ("web   5s", "web   never", False),
        # Where a line is wrapped depends on what is in it; the drawn way isn't wrapped.
        ("  reason   a b\n           c", "  reason   a\n           b c", True),
        ("  way      | client\n           X pod", "  way      | client\n           | pod", False),
        ("  reason   a\n           b", "  reason   a", False),
        # One thing is one thing.
        (f"{POD}\n{POD}", f"{OTHER}\n{OTHER}", True),
        (f"{POD}\n{POD}", f"{POD}\n{OTHER}", False),
        (f"{POD}\n{OTHER}", f"{POD}\n{POD}", False),
        (f"{POD}\n{OTHER}", f"{OTHER}\n{POD}", True),
        ("at 198.51.100.1:80", "at 198.51.100.12:80", True),
        ("at 198.51.100.1:80", "at 198.51.100.1:81", False),
        # An address of a client or a node is told exactly, and so are counts, codes and verdicts.
        ("seen 203.0.113.10", "seen 203.0.113.11", False),
        ("seen 10.255.0.11", "seen 10.255.0.12", False),
        ("20 of 20", "19 of 20", False),
        ("10 of 10", "13 of 13", True),
        ("10 of 10 requests", "13 of 14 requests", False),
        ("2 of 2 ready", "3 of 3 ready", False),
        ("all 10 answers", "all 13 answers", True),
        ("lost V209", "lost V208", False),
        ("preserved", "lost", False),
    ],
)
def test_the_same_output(expected: str, actual: str, same: bool) -> None:
    found = runbooks.compared(expected.splitlines(), actual.splitlines(), {})
    assert (found is not None) is same


def test_what_was_seen_first_is_meant_from_there_on() -> None:
    bound = runbooks.compared([f"pod {POD}"], [f"pod {OTHER}"], {})
    assert bound == {POD: OTHER}
    assert runbooks.filled(f"kubectl delete pod {POD}", bound) == f"kubectl delete pod {OTHER}"
    assert runbooks.compared([POD], [POD], bound) is None
    assert runbooks.compared([POD], [OTHER], bound) == bound


PAGES = runbooks.runbooks()


def test_there_are_runbooks() -> None:
    assert len(PAGES) >= 3


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_each_step_and_outcome_is_walked_and_each_link_leads_to_its_step(page: Runbook) -> None:
    assert [*page.steps] == [*range(1, len(page.steps) + 1)]
    text = (runbooks.DIRECTORY / f"{page.name}.md").read_text()
    for number, fragment in runbooks.links(text):
        assert page.anchors.get(fragment) == number, fragment
    assert page.walks, "nobody has walked it"
    ways = {
        (one, two)
        for walk in page.walks
        for one, two in zip(walk.steps, (*walk.steps[1:], STOP), strict=True)
    }
    assert {walk.steps[0] for walk in page.walks} == {1}
    for walk in page.walks:
        by_hand = [number for number in walk.steps if not page.steps[number].command]
        assert len(walk.by_hand) == len(by_hand), walk
    for step in page.steps.values():
        for outcome in step.outcomes:
            for target in outcome.targets:
                assert (step.number, target) in ways, f"step {step.number} to {target}"


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_nothing_stands_before_the_first_command(page: Runbook) -> None:
    text = (runbooks.DIRECTORY / f"{page.name}.md").read_text()
    assert re.match(r"# .+\n\n## Step 1: .+\n\n```shell\n", text)


def test_the_index_names_each_runbook_and_all_that_varies() -> None:
    index = (runbooks.DIRECTORY / "README.md").read_text()
    listed = re.findall(r"\]\(([a-z-]+)\.md\) \| ([\d, ]+|none) \|", index)
    changing = {
        page.name: [str(one.number) for one in page.steps.values() if one.command and not one.reads]
        for page in PAGES
    }
    assert dict(listed) == {name: ", ".join(steps) or "none" for name, steps in changing.items()}
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (\w+) \|$", index, re.MULTILINE)
    assert rows == [
        *((name, "same") for name in runbooks.BOUND),
        *((name, "any") for name in runbooks.FREE),
    ]
