# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that is called where Ansible runs says what it says as a program of its own."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.kestrel.real_ip.plugins.plugin_utils._direct import CORES

from lab.settings import REPOSITORY
from tools import matrix

SECRET = "s3cret-t0ken"
#: A port that nobody listens at, of an address that is never anybody's: no time is spent.
CLOSED = "http://127.0.0.1:1/"
EXPECTED = "203.0.113.10"
PLAY = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [
            {
                "name": "An answer, of a probe",
                "kestrel.real_ip.source_ip_info": {"url": CLOSED, "expected_source": [EXPECTED]},
                "register": "probed",
            },
            {
                "name": "An argument that is refused",
                "kestrel.real_ip.source_ip_info": {"url": CLOSED, "strategy": "guess"},
                "register": "refused",
                "failed_when": False,
            },
            {
                "name": "Variables of the task",
                "kestrel.real_ip.path_addresses_info": {"namespace": "a", "service": "b"},
                "environment": {"KUBECONFIG": "{{ '/nonexistent/' ~ 'here' }}"},
                "register": "unread",
                "failed_when": False,
            },
            {
                "name": "A secret among the arguments",
                "kestrel.real_ip.apply": {
                    "instance": "a",
                    "definitions": [],
                    "kubeconfig": "/nonexistent/own",
                    "api_key": "{{ secret }}",
                },
                "register": "secured",
                "failed_when": False,
            },
            {
                "name": "No variables of a former task",
                "kestrel.real_ip.path_addresses_info": {"namespace": "a", "service": "b"},
                "register": "later",
                "failed_when": False,
            },
            {
                "name": "More than one item",
                "kestrel.real_ip.source_ip_info": {"url": CLOSED, "layer": "{{ item }}"},
                "loop": ["l8", "l9"],
                "register": "looped",
                "failed_when": False,
            },
            {
                "name": "What there was",
                "ansible.builtin.copy": {
                    "content": "{{ dict(names | zip(query('ansible.builtin.vars', *names))) }}",
                    "dest": "{{ kept }}",
                    "mode": "0600",
                },
                "vars": {"names": ["probed", "refused", "unread", "secured", "later", "looped"]},
            },
        ],
    }
]


class Way(NamedTuple):
    """A way to run modules; ``task``: keywords of each task."""

    interpreter: str = "{{ ansible_playbook_python }}"
    environment: Mapping[str, str] = {}
    task: Mapping[str, Any] = {}


HERE = Way()
#: With a Python of their own, since it isn't this one, or somebody wants to see it
ELSEWHERE = {
    "another name of the interpreter": Way(
        interpreter=str(Path(sys.executable).with_name("python3"))
    ),
    "files that are kept": Way(environment={"ANSIBLE_KEEP_REMOTE_FILES": "1"}),
    "another host": Way(task={"delegate_to": "there"}),
}


class Done(NamedTuple):
    """``programs``: how many were started."""

    output: str
    results: dict[str, Any]
    programs: int


def test_no_file_with_a_key_is_left(tmp_path: Path) -> None:
    """The Kubernetes client has those of a kubeconfig in files of its own."""
    key = base64.b64encode(SECRET.encode()).decode()
    kinds = {
        "cluster": {"server": "https://127.0.0.1:1", "certificate-authority-data": key},
        "user": {"client-certificate-data": key, "client-key-data": key},
        "context": {"cluster": "a", "user": "a"},
    }
    lists = {f"{kind}s": [{"name": "a", kind: one}] for kind, one in kinds.items()}
    kubeconfig, file, left = (tmp_path / name for name in ("kubeconfig", "play.yml", "left"))
    kubeconfig.write_text(json.dumps({"current-context": "a", **lists}))
    left.mkdir()
    read = {"namespace": "a", "service": "b", "kubeconfig": str(kubeconfig)}
    tasks = [
        {
            "kestrel.real_ip.path_addresses_info": read,
            "loop": [1, 2],
            "failed_when": "'127.0.0.1' not in msg",
        }
    ]
    given = {"ansible_python_interpreter": sys.executable}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": given}
    file.write_text(json.dumps([{**play, "tasks": tasks}]))
    ours = REPOSITORY / "playbooks" / "collections"
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", file, "-i", "localhost,", "-vvv"],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": f"{ours}:{os.environ['ANSIBLE_COLLECTIONS_PATH']}",
            "TMPDIR": str(left),
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert "Using module file" not in done.stdout, "it was called"
    assert done.stdout.count('"item": ') == 2, done.stdout + done.stderr
    assert [one.name for one in left.iterdir()] == [], done.stdout


def run(directory: Path, way: Way) -> Done:
    """Run the play."""
    file, kept, hosts = (directory / name for name in ("play.yml", "kept.json", "hosts"))
    play: list[dict[str, Any]] = json.loads(json.dumps(PLAY))
    *modules, copy = play[0]["tasks"]
    for task in modules:
        task.update(way.task)
    file.write_text(json.dumps(play))
    hosts.write_text("localhost\nthere\n[all:vars]\nansible_connection=local\n")
    given = {"ansible_python_interpreter": way.interpreter, "kept": str(kept), "secret": SECRET}
    ours = REPOSITORY / "playbooks" / "collections"
    done = subprocess.run(
        [
            *(Path(sys.executable).parent / "ansible-playbook", file, "-vvv"),
            *("-i", hosts, "-e", json.dumps(given)),
        ],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": f"{ours}:{os.environ['ANSIBLE_COLLECTIONS_PATH']}",
            "ANSIBLE_REMOTE_TEMP": str(directory / "remote"),
            "KUBECONFIG": "/nonexistent/there",
            **way.environment,
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    before, __ = output.split(copy["name"])
    results = json.loads(kept.read_text(), object_hook=_without_summaries)
    return Done(output, results, before.count("Using module file"))


def _without_summaries(result: dict[str, Any]) -> dict[str, Any]:
    """Without what Ansible adds to a failure of a program that ``failed_when`` then calls none."""
    return {key: one for key, one in result.items() if key != "failed_when_suppressed_exception"}


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """What modules say that are called."""
    return run(tmp_path_factory.mktemp("here"), HERE)


def test_a_module_is_called_where_it_would_run_anyway(direct: Done) -> None:
    found = direct.results
    tasks = PLAY[0]["tasks"]
    named = [one["name"] for one in tasks if "KUBECONFIG" in one.get("environment", {})]
    assert direct.programs == len(named), "the client reads it once, where it is imported"
    assert (found["probed"]["code"], found["probed"]["changed"]) == ("V503", False)
    assert "value of strategy must be one of: " in found["refused"]["msg"]
    assert "/nonexistent/here doesn't exist" in found["unread"]["msg"]
    assert "/nonexistent/own doesn't exist" in found["secured"]["msg"], "no secret, unlike the key"
    assert "/nonexistent/there doesn't exist" in found["later"]["msg"], "a task's own, no longer"
    assert [one["msg"][-2:] for one in found["looped"]["results"]] == ["l8", "l9"]
    assert SECRET not in direct.output


@pytest.mark.parametrize("name", ELSEWHERE)
def test_elsewhere_it_is_a_program_and_says_the_same(
    tmp_path: Path, direct: Done, name: str
) -> None:
    done = run(tmp_path, ELSEWHERE[name])
    assert done.programs == len(PLAY[0]["tasks"])
    assert done.results == direct.results
    assert SECRET not in done.output


def test_it_is_tried_with_each_ansible_core_that_it_is_for() -> None:
    assert {*CORES} == {*matrix.CORES}
