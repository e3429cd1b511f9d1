# SPDX-License-Identifier: GPL-3.0-or-later
"""Runbooks of docs/runbooks: their steps as data, and whether an output is the expected one.

``docs/runbooks/README.md`` says how a runbook is written, and what may vary.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from lab.settings import REPOSITORY

DIRECTORY: Final = REPOSITORY / "docs" / "runbooks"

#: A line that stands for lines which aren't shown, or none.
ELISION: Final = "…"
#: Where an outcome ends a runbook, in place of a step's number.
STOP: Final = 0

#: What differs from run to run. Where it is bound, one thing of a page is one thing of a walk, and
#: no other: what was seen in its place first is meant from there on, in commands too.
BOUND: Final = {
    "balancer": r"\b198\.51\.100\.\d+",
    "pod": r"\breal-ip-deployment-[a-z0-9]+-[a-z0-9]{5}\b",
    "service": r"\b10\.96\.\d+\.\d+",
    "id": r"\blb-[a-z0-9]{8}\b",
    "node_port": r"\b3[0-2]\d{3}\b",
}
FREE: Final = {
    "time": r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|\+00:00)",
    "age": r"\b(?:\d+[dhms]){1,2}\b",
    # More are sent where all of the usual ones went to one pod. Only whether it was all is told.
    "requests": r"\b(?P<n>\d+) of (?P=n)\b(?! ready)|\ball \d+ answers\b",
}
_VARIES: Final = re.compile(
    "|".join(f"(?P<{name}>{pattern})" for name, pattern in {**BOUND, **FREE}.items())
)

#: Lines of a playbook's page that go on from the one before; not those of the drawn way.
_CONTINUED: Final = re.compile(r" {11}(?![|X] )\S")

_STEP: Final = re.compile(r"^## Step (\d+): (.+)$", re.MULTILINE)
_SHELL: Final = re.compile(r"^```shell\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ITEM: Final = re.compile(r"^- ", re.MULTILINE)
_TEXT: Final = re.compile(r"^  ```text\n(.*?)^  ```$", re.MULTILINE | re.DOTALL)
_TARGET: Final = re.compile(r"\[step (\d+)\]\(#([^)]+)\)|\*\*Stop\*\*", re.IGNORECASE)
_TYPED: Final = re.compile(r"`([^`]+)`")
_WALK: Final = re.compile(
    r"^\| `([^`]+)` \| ([\d, ]+) \|(?: (`[^|]+`))? \|(?: `([^`]+)`)? \|$", re.MULTILINE
)

#: What a step may be repeated for until it shows what it has to: it changes nothing.
READS: Final = re.compile(
    r"ansible-playbook (?:-\S+ \S+ )*playbooks/(?:verify|diagnose|explain|compare)\.yml"
    r"|kubectl (?:-n \S+ )?(?:get|describe)"
    r"|curl"
)


class Outcome(NamedTuple):
    """What a step can show, and where one goes then: numbers of steps, or ``STOP``."""

    expected: tuple[str, ...]
    targets: tuple[int, ...]


class Step(NamedTuple):
    """One step. Without a command it is what a person does elsewhere, and has one outcome."""

    number: int
    title: str
    command: str
    outcomes: tuple[Outcome, ...]

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return bool(READS.match(self.command))


class Walk(NamedTuple):
    """The steps that a state leads through, and the commands that make it and take it back.

    ``by_hand`` has a command in the place of each step that a person does elsewhere.
    """

    made_by: str
    steps: tuple[int, ...]
    by_hand: tuple[str, ...]
    undone_by: str


class Runbook(NamedTuple):
    """A page of docs/runbooks."""

    name: str
    steps: Mapping[int, Step]
    walks: tuple[Walk, ...]
    anchors: Mapping[str, int]


def anchor(heading: str) -> str:
    """The fragment by which a heading is linked to, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def parse(name: str, text: str) -> Runbook:
    """A runbook from its Markdown. Raises ValueError where it isn't written as one."""
    body, __, practice = text.partition("\n## Practise")
    starts = [*_STEP.finditer(body)]
    ends = [*(one.start() for one in starts[1:]), len(body)]
    steps = {}
    for head, end in zip(starts, ends, strict=True):
        number = int(head[1])
        if number in steps:
            raise ValueError(f"{name}: step {number} is there twice")
        steps[number] = _step(name, number, head[2], body[head.end() : end])
    walks = tuple(
        Walk(made, tuple(map(int, numbers.split(","))), tuple(_TYPED.findall(by_hand)), undone)
        for made, numbers, by_hand, undone in _WALK.findall(practice)
    )
    anchors = {anchor(head[0].removeprefix("## ")): int(head[1]) for head in starts}
    return Runbook(name, steps, walks, anchors)


def _step(name: str, number: int, title: str, text: str) -> Step:
    commands = _SHELL.findall(text)
    items = _ITEM.split(text)[1:]
    if len(commands) > 1 or any(_SHELL.search(item) for item in items):
        raise ValueError(f"{name}: step {number} has more than one command")
    if not commands:
        return Step(number, title, "", (Outcome((), _targets(name, number, text)),))
    command = commands[0].rstrip("\n")
    outcomes = []
    for item in items:
        blocks = _TEXT.findall(item)
        if len(blocks) != 1:
            raise ValueError(f"{name}: an outcome of step {number} has {len(blocks)} outputs")
        lines = tuple(line.removeprefix("  ") for line in blocks[0].splitlines())
        outcomes.append(Outcome(lines, _targets(name, number, _TEXT.sub("", item))))
    if not outcomes:
        raise ValueError(f"{name}: step {number} doesn't say what its command shows")
    return Step(number, title, command, tuple(outcomes))


def _targets(name: str, number: int, text: str) -> tuple[int, ...]:
    found = tuple(int(one[1] or STOP) for one in _TARGET.finditer(text))
    if not found:
        raise ValueError(f"{name}: an outcome of step {number} doesn't say where to go")
    return found


def links(text: str) -> list[tuple[int, str]]:
    """Each step that a runbook's text links to, by number and fragment."""
    return [(int(one[1]), one[2]) for one in _TARGET.finditer(text) if one[1]]


def runbooks(directory: Path = DIRECTORY) -> list[Runbook]:
    """All runbooks, by name."""
    pages = sorted(path for path in directory.glob("*.md") if path.name != "README.md")
    return [parse(path.stem, path.read_text()) for path in pages]


# --------------------------------------------------------------------------------------------------
# Outputs


def joined(lines: Sequence[str]) -> list[str]:
    """The lines, those that were wrapped in one, and columns apart by one blank."""
    whole: list[str] = []
    for line in lines:
        text = " ".join(line.split())
        if _CONTINUED.match(line) and whole:
            whole[-1] += f" {text}"
        elif text:
            whole.append(text)
    return whole


def _pieces(line: str) -> Iterator[tuple[str, str]]:
    """The line in pieces: what varies by its name in a table, all else under no name."""
    start = 0
    for found in _VARIES.finditer(line):
        yield "", line[start : found.start()]
        yield str(found.lastgroup), found[0]
        start = found.end()
    yield "", line[start:]


def _same(expected: str, actual: str, bound: Mapping[str, str]) -> dict[str, str] | None:
    """What is bound once both lines are the same, or None."""
    ours, theirs = [*_pieces(expected)], [*_pieces(actual)]
    if [name for name, __ in ours] != [name for name, __ in theirs]:
        return None
    known = dict(bound)
    for (name, one), (__, other) in zip(ours, theirs, strict=True):
        if name in FREE:
            continue
        if name in BOUND:
            taken = other in known.values() and known.get(one) != other
            if taken or known.setdefault(one, other) != other:
                return None
        elif one != other:
            return None
    return known


def compared(
    expected: Sequence[str], actual: Sequence[str], bound: Mapping[str, str]
) -> dict[str, str] | None:
    """What is bound once the output is the expected one, or None where it isn't.

    ``bound`` maps what stands in the runbook to what is there, as far as that was seen before.
    """
    return _compared(joined(expected), joined(actual), dict(bound))


def _compared(
    expected: Sequence[str], actual: Sequence[str], bound: dict[str, str]
) -> dict[str, str] | None:
    if not expected:
        return None if actual else bound
    first, *rest = expected
    if first == ELISION:
        ways = (_compared(rest, actual[start:], bound) for start in range(len(actual) + 1))
        return next((way for way in ways if way is not None), None)
    known = _same(first, actual[0], bound) if actual else None
    return None if known is None else _compared(rest, actual[1:], known)


def filled(command: str, bound: Mapping[str, str]) -> str:
    """A command with what is there in place of what stands in the runbook."""
    return _VARIES.sub(lambda found: bound.get(found[0], found[0]), command)
