# SPDX-License-Identifier: GPL-3.0-or-later
"""What make fuzz starts from; whether it finds faults only a run shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.errors import SetupError
from tools import environment, fuzz


def test_an_interpreter_that_atheris_has_no_wheel_for_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = [
        environment.Interpreter(Path("/a/python3.13"), (3, 13, 0), has_pip=False),
        environment.Interpreter(Path("/a/python3.12"), (3, 12, 1)),
        environment.Interpreter(Path("/a/python3.11"), (3, 11, 2)),
    ]

    def find(_environ: object, oldest: tuple[int, int], newest: tuple[int, int]) -> list[object]:
        return [one for one in here if oldest <= one.version[:2] <= newest]

    monkeypatch.setattr(environment, "find", find)
    assert fuzz.python(os.environ).short == "3.12"
    del here[1]
    with pytest.raises(SetupError, match=r"needs a CPython 3\.12 to 3\.14 .*found: .*3\.11\.2"):
        fuzz.python(os.environ)


def test_each_recorded_answer_is_a_seed(tmp_path: Path) -> None:
    fuzz.seeds(tmp_path / "corpus")
    made = {file.name: file.read_bytes() for file in (tmp_path / "corpus").iterdir()}
    assert len(made) > 50
    assert {body[:1] for body in made.values()} == {b"\x00", b"\x01"}
    assert made["whoami-0-0"].startswith(b"\x00Hostname: ")
    assert made["echoserver-0-1"].startswith(b"\x01\n\nHostname: ")


def test_words_are_written_as_libfuzzer_reads_them(tmp_path: Path) -> None:
    fuzz.words(tmp_path / "words")
    lines = (tmp_path / "words").read_text().splitlines()
    assert len(lines) == len(set(fuzz.WORDS))
    assert '"\\x49\\x50\\x3a\\x20"' in lines
