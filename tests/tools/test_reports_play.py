# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a run's report has, whatever becomes of them: playbooks run where no cluster is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
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


def test_no_variable_of_the_user_takes_a_failure_back(play: Play) -> None:
    """Extra variables and registered ones go before those of a task: its own need names that nobody
    else gives."""
    globs = ("playbooks/*.yml", "playbooks/tasks/*.yml", "roles/*/tasks/*.yml")
    names = [
        name
        for path in (one for glob in globs for one in REPOSITORY.glob(glob))
        for name in task_variables(yaml.safe_load(path.read_text()))
    ]
    assert {"__real_ip_wrong", "__verify_point_vars"} <= {*names}
    roles = [path.name for path in (REPOSITORY / "roles").iterdir()]
    own = ("__", "ansible_", "real_ip_", *(f"{role}_" for role in roles))
    assert [name for name in names if not name.startswith(own)] == []
    ordinary = '{"wrong": [], "verdict": [], "judged": false, "verified": false, "found": []}'
    assert play({"a": LOCAL}, "-e", ordinary).returncode & 2


def task_variables(found: Any) -> Iterator[str]:
    """The names of all variables that plays, blocks and tasks make for themselves."""
    if isinstance(found, list):
        for one in found:
            yield from task_variables(one)
    elif isinstance(found, dict):
        if isinstance(found.get("vars"), dict):
            yield from found["vars"]
        for one in found.values():
            yield from task_variables(one)


@pytest.mark.parametrize(
    ("playbook", "arguments", "refused"),
    [
        ("verify", ["--skip-tags", "always"], True),
        ("site", ["--tags", "verify", "--skip-tags", "always"], True),
        ("site", ["--skip-tags", "tagged"], True),
        ("deploy", ["--skip-tags", "always,diagnose"], True),
        ("diagnose", ["--skip-tags", "all,always"], True),
        ("teardown", ["--skip-tags", "always"], True),
        ("compare", ["--skip-tags", "always"], True),
        ("merge_results", ["--skip-tags", "tagged"], True),
        ("merge_results", ["--skip-tags", "all"], False),
        ("verify", ["--skip-tags", "all"], False),
        ("verify", ["--skip-tags", "verify"], False),
    ],
)
def test_tags_can_not_leave_out_what_judges(
    play: Play, playbook: str, arguments: list[str], refused: bool
) -> None:
    """A verification without a verdict would end in success; a task that says so is skipped too."""
    done = play({"a": LOCAL}, *arguments, playbook=f"playbooks/{playbook}.yml")
    assert done.returncode != 0, done.stdout
    said = f"--skip-tags {arguments[-1]} leaves out what looks before anything is changed"
    assert (said in " ".join(done.stdout.split())) is refused, done.stdout
    assert ("TASK" in done.stdout) is not refused, done.stdout


@pytest.mark.parametrize("playbook", ["compare", "merge_results"])
@pytest.mark.parametrize(("limit", "refused"), [("a", True), ("a,localhost", False)])
def test_a_limit_can_not_leave_out_where_documents_are_read(
    play: Play, playbook: str, limit: str, refused: bool
) -> None:
    done = play({"a": LOCAL}, "--limit", limit, playbook=f"playbooks/{playbook}.yml")
    assert done.returncode == 2, done.stdout
    told = " ".join(done.stdout.split())
    assert (f"The limit {limit} leaves out localhost, so that nothing would be" in told) is refused
    assert "expected" in told


@pytest.mark.parametrize(("after", "same"), [("x.json", True), ("link", True), ("y.json", False)])
def test_a_file_is_not_compared_with_itself(
    play: Play, tmp_path: Path, after: str, same: bool
) -> None:
    """It would always be as well as before."""
    for name in ("x.json", "y.json"):
        told = {"real_ip_results": {"a": {"verdict": "preserved", "reason": "r"}}}
        (tmp_path / name).write_text(json.dumps(told))
    (tmp_path / "link").symlink_to("x.json")
    files = [
        "-e",
        f"real_ip_before={tmp_path / 'x.json'}",
        "-e",
        f"real_ip_after={tmp_path / after}",
    ]
    done = play({"b": LOCAL}, *files, playbook="playbooks/compare.yml")
    assert (done.returncode != 0) is same, done.stdout
    said = " ".join(done.stdout.split())
    assert ("real_ip_after: expected another file than real_ip_before names" in said) is same
    assert ("1 still preserved" in said) is not same


def test_a_merge_is_not_left_out_by_tags(play: Play) -> None:
    done = play({"a": LOCAL}, "--tags", "verify", playbook="playbooks/merge_results.yml")
    assert done.returncode == 2, done.stdout
    assert "real_ip_documents: expected files" in done.stdout
