# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command of README.md, run as it stands there, and its facts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator

import pytest

from lab.settings import Lab
from tests.lab.playbooks import REPOSITORY, VENV, Playbooks

README = (REPOSITORY / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```shell\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
DEMO = "readme"


@pytest.fixture(scope="module", autouse=True)
def demo_goes_away() -> Iterator[None]:
    """The demo of these tests is a lab of its own, and is removed as README.md says."""
    yield
    subprocess.run(
        ["make", "lab-down"], cwd=REPOSITORY, env={**os.environ, "REAL_IP_LAB": DEMO}, check=True
    )
    assert not Lab(DEMO).root.exists()


def _on_this_machine(command: str, **environment: str) -> str:
    done = subprocess.run(
        command.split(),
        cwd=REPOSITORY,
        env={**os.environ, "PATH": f"{VENV}:{os.environ['PATH']}", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_there_are_commands() -> None:
    assert {"make demo", "make test"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_command(playbooks: Playbooks, command: str) -> None:
    if command == "make test":
        # What runs this test: a run within itself would never end.
        assert "tools.check" in _on_this_machine("make --dry-run test")
    elif command == "make demo":
        output = _on_this_machine(
            command, REAL_IP_LAB=DEMO, PYTHON=f"{sys.version_info[0]}.{sys.version_info[1]}"
        )
        assert "real_ip: localhost preserved" in output
        assert f"REAL_IP_LAB={DEMO} make lab-down" in output
    elif command.startswith("ansible-playbook"):
        status, output = playbooks.execute("operator", *f"{VENV}/{command}".split())
        assert status == 0, output
    else:
        bundled = sysconfig.get_paths()["purelib"]
        _on_this_machine(command, ANSIBLE_COLLECTIONS_PATH=bundled)


def test_the_table_of_variables_is_complete_and_its_defaults_are_true() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import json; from ansible_collections.kestrel.real_ip.plugins.module_utils._settings"
            " import SETTINGS; print(json.dumps({k: v.default for k, v in SETTINGS.items()}))",
        ],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "playbooks" / "collections")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    defaults = json.loads(done.stdout)
    rows = dict(re.findall(r"^\| `(real_ip_\w+)` \| `?(.*?)`? \|", README, re.MULTILINE))
    assert set(rows) == set(defaults)
    for name, default in defaults.items():
        text = json.dumps(default) if isinstance(default, bool) else str(default).replace("'", "")
        text = "none" if default is None else text
        assert rows[name] == text, f"{name}: {rows[name]} in README.md, {default!r} in the table"
