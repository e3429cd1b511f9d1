# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo exits with, and what it tells a person to do next."""

from __future__ import annotations

import subprocess

import pytest

from tools import demo


class Lab:
    """A stand-in of the lab's command line, which notes what it is asked to run."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.failing = ""

    def __call__(self, command: str, *, quiet: bool = False) -> subprocess.CompletedProcess[str]:
        self.ran.append(command.partition(" -- ")[2] or command)
        status = 3 if self.ran[-1] == self.failing else 0
        return subprocess.CompletedProcess([], status, "198.51.100.1" if quiet else None)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    stand_in = Lab()
    monkeypatch.setattr(demo, "lab", stand_in)
    monkeypatch.delenv("REAL_IP_LAB", raising=False)
    return stand_in


def test_it_ends_with_what_to_do_next(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main() == 0
    assert lab.ran == ["up", demo.PLAY, demo.ADDRESS]
    lines = capsys.readouterr().out.splitlines()
    assert "  .venv/bin/python -m lab exec client -- curl -s http://198.51.100.1/" in lines
    assert lines[-1] == "  make lab-down"


def test_a_lab_of_another_name_stands_in_the_commands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REAL_IP_LAB", "other")
    commands = demo.how_to_go_on("192.0.2.1").splitlines()[1::2]
    assert all(command.startswith("  REAL_IP_LAB=other ") for command in commands)


def test_a_failing_playbook_is_the_exit_status(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.failing = demo.PLAY
    assert demo.main() == 3
    assert "make lab-down" in capsys.readouterr().out


def test_without_a_cluster_nothing_is_played(lab: Lab) -> None:
    lab.failing = "up"
    assert demo.main() == 3
    assert lab.ran == ["up"]
