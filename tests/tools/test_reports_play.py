# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a run's report has, whatever becomes of them: playbooks run where no cluster is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.settings import REPOSITORY

TOKEN = "t0ken-of-nobody"
#: Nobody listens there.
NOWHERE = "127.0.0.1:9"
LOCAL = {"ansible_connection": "local"}
WRONG = {**LOCAL, "real_ip_samples": "many"}
AWAY = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}

Play = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Run a playbook for hosts, name → variables; reports go to ``kept`` unless told else."""

    def run(
        hosts: dict[str, dict[str, Any]], *arguments: str, playbook: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        inventory = tmp_path / "inventory.yml"
        common = {
            "real_ip_api_host": f"https://{NOWHERE}",
            "real_ip_api_key": TOKEN,
            "real_ip_name_prefix": "{{ inventory_hostname }}",
            "real_ip_report_dir": str(tmp_path / "kept"),
        }
        clusters = {"hosts": hosts, "vars": common}
        inventory.write_text(yaml.safe_dump({"real_ip_clusters": clusters}))
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                playbook or "playbooks/verify.yml",
                *("-i", str(inventory), *arguments),
            ],
            cwd=REPOSITORY,
            env={
                **os.environ,
                **environment,
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_COLLECTIONS_PATH": f"{REPOSITORY / 'playbooks' / 'collections'}:"
                f"{os.environ.get('ANSIBLE_COLLECTIONS_PATH', '')}",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        assert "Traceback" not in done.stdout, done.stdout
        assert TOKEN not in done.stdout
        return done

    return run


def reasons(directory: Path) -> list[dict[str, str]]:
    """Host to reason of each report, in the order of their names."""
    found = [json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))]
    return [
        {host: one["reason"] for host, one in document["real_ip_results"].items()}
        for document in found
    ]


def test_every_host_of_the_play_is_a_row(play: Play, tmp_path: Path) -> None:
    done = play({"a": LOCAL, "wrong": WRONG, "away": AWAY})
    # 2 where hosts failed, 4 where one was not reached
    assert done.returncode & 6, done.stdout
    assert done.stdout.count("\nreal_ip_report: ") == 1
    [told] = reasons(tmp_path / "kept")
    assert {*told} == {"a", "wrong", "away"}
    assert "doesn't answer" in told["a"]
    assert "real_ip_samples: expected an integer" in told["wrong"]
    assert told["away"].startswith("The host was not reached: Data could not be sent")
    # Nobody but the API server is told the token.
    texts = [path.read_text() for path in (tmp_path / "kept").iterdir()]
    assert len(texts) == 4 + 3
    assert not any(TOKEN in text for text in texts)


def test_a_failure_that_ends_it_for_all_ends_no_report(play: Play, tmp_path: Path) -> None:
    done = play({"a": LOCAL, "wrong": WRONG}, ANSIBLE_ANY_ERRORS_FATAL="1")
    assert done.returncode & 2, done.stdout
    [told] = reasons(tmp_path / "kept")
    assert {*told} == {"a", "wrong"}


def test_each_directory_has_the_hosts_that_name_it(play: Play, tmp_path: Path) -> None:
    there = {**WRONG, "real_ip_report_dir": str(tmp_path / "other")}
    nowhere = {**WRONG, "real_ip_report_dir": ""}
    play({"a": nowhere, "b": there, "c": there, "d": WRONG})
    assert [{*one} for one in reasons(tmp_path / "other")] == [{"b", "c"}]
    assert [{*one} for one in reasons(tmp_path / "kept")] == [{"d"}]


def test_what_can_not_be_written_is_said_beside_the_verdict(play: Play, tmp_path: Path) -> None:
    (tmp_path / "kept" / "real_ip-a.prom").mkdir(parents=True)
    done = play({"a": WRONG})
    assert done.returncode == 2
    said = " ".join(done.stdout.split())
    assert "not_run: Find the cluster" in said
    assert re.search(r"The report was not written: \S+/real_ip-a\.prom: Is a directory", said)


@pytest.mark.parametrize("playbook", ["verify", "diagnose"])
def test_a_directory_that_is_none_is_refused_first(
    play: Play, tmp_path: Path, playbook: str
) -> None:
    (tmp_path / "kept").touch()
    done = play({"a": LOCAL}, playbook=f"playbooks/{playbook}.yml")
    assert done.returncode == 2
    line = re.search(r"^real_ip: .*$", done.stdout, re.MULTILINE)
    assert line, done.stdout
    assert "real_ip_report_dir: expected a directory, or one that can be made: " in line.group()
    assert NOWHERE not in done.stdout, "nobody was asked"


def test_check_mode_and_a_run_without_directory_write_nothing(play: Play, tmp_path: Path) -> None:
    done = play({"a": WRONG}, "--check")
    assert f"real_ip_report: check mode, nothing is written to {tmp_path}/kept" in done.stdout
    done = play({"a": WRONG}, "-e", "real_ip_report_dir=")
    assert "real_ip_report" not in done.stdout
    assert not (tmp_path / "kept").exists()
