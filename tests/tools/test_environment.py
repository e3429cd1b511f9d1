# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for an interpreter, the virtual environment's life, and the variables."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.errors import SetupError
from tools import environment
from tools.environment import Interpreter


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def python(path: Path, version: str, *, usable: bool = True, has_pip: bool = True) -> Path:
    said = {
        "path": str(path),
        "version": [int(part) for part in version.split(".")],
        "usable": usable,
        "has_pip": has_pip,
    }
    return program(path, f"echo '{json.dumps(said)}'")


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A machine with interpreters on PATH, behind a shim and in pyenv's directory only."""
    python(tmp_path / "bin/python3", "3.11.2")
    python(tmp_path / "bin/python3.11", "3.11.2")
    python(tmp_path / "bin/python3.12", "3.12.3", has_pip=False)
    python(tmp_path / "bin/python3.10", "3.10.9")
    python(tmp_path / "bin/python3.15", "3.15.0")
    python(tmp_path / "bin/python3.14t", "3.14.0")
    python(tmp_path / "bin/python3.14-config", "3.14.0")
    program(
        tmp_path / "shims/python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127"
    )
    python(tmp_path / "pyenv/versions/3.13.0/bin/python3.13", "3.13.0")
    python(tmp_path / "pyenv/versions/3.14.0rc1/bin/python3.14", "3.14.0", usable=False)
    return {
        "PATH": f"{tmp_path}/missing:{tmp_path}/shims:{tmp_path}/bin",
        "PYENV_ROOT": f"{tmp_path}/pyenv",
        "HOME": "/nonexistent",
    }


def test_find_returns_what_runs_newest_first(machine: dict[str, str]) -> None:
    found = environment.find(machine)
    assert [one.full for one in found] == ["3.13.0", "3.12.3", "3.11.2"]
    assert [one.has_pip for one in found] == [True, False, True]


def test_find_takes_the_first_of_one_version_on_path(
    tmp_path: Path, machine: dict[str, str]
) -> None:
    earlier = python(tmp_path / "earlier/python3.11", "3.11.2")
    machine["PATH"] = f"{earlier.parent}:{machine['PATH']}"
    assert environment.find(machine)[-1].path == earlier


def test_find_within_other_bounds(machine: dict[str, str]) -> None:
    assert environment.find(machine, (3, 9))[-1].full == "3.10.9"


def test_find_sees_home_without_pyenv_root(tmp_path: Path) -> None:
    python(tmp_path / ".pyenv/versions/3.12.1/bin/python3.12", "3.12.1")
    assert [one.full for one in environment.find({"HOME": str(tmp_path)})] == ["3.12.1"]


@pytest.mark.parametrize(
    ("wanted", "version"),
    [
        ("", "3.13.0"),
        ("python3", "3.13.0"),
        ("python3.12", "3.12.3"),
        ("3.11", "3.11.2"),
        ("3.11.2", "3.11.2"),
        ("{bin}/python3.11", "3.11.2"),
    ],
)
def test_choose(machine: dict[str, str], tmp_path: Path, wanted: str, version: str) -> None:
    assert environment.choose(wanted.format(bin=tmp_path / "bin"), machine).full == version


@pytest.mark.parametrize(("wanted", "version"), [("", "3.12.3"), ("python3", "3.13.0")])
def test_choose_takes_the_distributions_where_nothing_is_asked_for(
    machine: dict[str, str], tmp_path: Path, wanted: str, version: str
) -> None:
    assert environment.choose(wanted, machine, tmp_path / "bin").full == version


@pytest.mark.parametrize(
    "wanted", ["3.1", "python3.10", "python3.14", "pypy3", "{bin}/python3.15", "/no/python3.12"]
)
def test_choose_refuses_what_cannot_be_used(
    machine: dict[str, str], tmp_path: Path, wanted: str
) -> None:
    wanted = wanted.format(bin=tmp_path / "bin")
    with pytest.raises(
        SetupError, match=rf"PYTHON={wanted} names no CPython .*found: CPython 3.13"
    ):
        environment.choose(wanted, machine)


def test_choose_says_when_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"A CPython 3\.11 to 3\.14 is needed"):
        environment.choose("", {"PATH": str(tmp_path), "HOME": str(tmp_path)})


def test_probe_knows_the_interpreter_that_runs_this_test() -> None:
    found = environment.probe(Path(sys.executable))
    assert found is not None
    assert found.version == sys.version_info[:3]
    assert found.has_pip


@pytest.mark.parametrize("script", ["exit 1", "echo no JSON", "kill -9 $$"])
def test_probe_survives_what_does_not_run(tmp_path: Path, script: str) -> None:
    assert environment.probe(program(tmp_path / "python3.12", script)) is None


class Making:
    """A stand-in of an interpreter that can make virtual environments, and notes each call."""

    def __init__(self, directory: Path) -> None:
        self.cache = directory / "cache"
        self.lock = directory / "dev.txt"
        self.lock.write_text("one==1\n")
        self.calls = directory / "calls"
        self.fails = directory / "fails"
        inner = f'echo "$3" >> {self.calls}; echo wrong hash; test ! -e {self.fails}'
        inside = program(directory / "inside", inner)
        outer = f'echo "$3" >> {self.calls}; mkdir -p "$4/bin"; cp {inside} "$4/bin/python"'
        self.interpreter = Interpreter(program(directory / "python3.13", outer), (3, 13, 0))
        self.said: list[str] = []

    def ensure(self) -> Path:
        return environment.ensure(self.interpreter, self.lock, self.cache, self.said.append)


@pytest.fixture
def making(tmp_path: Path) -> Making:
    return Making(tmp_path)


WHOLE = ["venv", "pip", "compileall", "pip"]


def test_ensure_makes_the_environment_once(making: Making) -> None:
    directory = making.ensure()
    assert directory.parent == making.cache
    assert directory.name.startswith("venv-3.13.0-")
    assert making.ensure() == directory
    assert making.calls.read_text().split() == WHOLE
    assert len(making.said) == 1


def test_ensure_makes_another_one_for_another_lock(making: Making) -> None:
    first = making.ensure()
    making.lock.write_text("one==2\n")
    assert making.ensure() != first
    assert making.calls.read_text().split() == [*WHOLE, *WHOLE]


def test_ensure_remakes_an_interrupted_one(making: Making) -> None:
    directory = making.ensure()
    (directory / environment.MARKER).unlink()
    leftover = directory / "half-written"
    leftover.touch()
    assert making.ensure() == directory
    assert not leftover.exists()
    assert (directory / environment.MARKER).exists()


def test_ensure_says_what_failed_and_goes_on_next_time(making: Making) -> None:
    making.fails.touch()
    with pytest.raises(SetupError, match=r"Packages of requirements/dev\.txt: .*'wrong hash'"):
        making.ensure()
    assert not list(making.cache.glob(f"venv-*/{environment.MARKER}"))
    making.fails.unlink()
    assert (making.ensure() / environment.MARKER).exists()


def test_ensure_works_for_two_at_a_time(making: Making) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda __: making.ensure(), range(2))
    assert first == second
    assert making.calls.read_text().split() == WHOLE


def test_link_replaces_a_link_and_nothing_else(tmp_path: Path) -> None:
    name = tmp_path / ".venv"
    for directory in (tmp_path / "one", tmp_path / "two"):
        environment.link(directory, name)
        assert name.readlink() == directory
    name.unlink()
    name.mkdir()
    with pytest.raises(SetupError, match="remove it"):
        environment.link(tmp_path / "one", name)


def test_variables_hide_the_users_settings(tmp_path: Path) -> None:
    (tmp_path / "lib/python3.13/site-packages").mkdir(parents=True)
    users = {
        "ANSIBLE_CONFIG": "/home/me/ansible.cfg",
        "ANSIBLE_STDOUT_CALLBACK": "json",
        "K8S_AUTH_HOST": "https://192.0.2.1",
        "KUBECONFIG": "/home/me/.kube/config",
        "LC_ALL": "de_DE.UTF-8",
        "PYTEST_ADDOPTS": "-x",
        "PYTHONPATH": "/home/me",
        "HOME": "/home/me",
        "PATH": "/usr/bin",
        "PIP_INDEX_URL": "https://192.0.2.2",
        "REAL_IP_LAB_ASSETS": "/home/me/assets",
    }
    given = environment.variables(tmp_path, users, tmp_path / "build")
    kept = {name for name, value in users.items() if given.get(name) == value}
    assert kept == {"HOME", "PIP_INDEX_URL", "REAL_IP_LAB_ASSETS"}
    assert given["PATH"] == f"{tmp_path}/bin:/usr/bin"
    assert "KUBECONFIG" not in given
    assert given["LC_ALL"] == "C.UTF-8"
    assert Path(given["ANSIBLE_CONFIG"]).read_text() == ""


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "no_proxy", "ALL_PROXY"])
def test_without_proxies(name: str) -> None:
    assert environment.without_proxies({name: "http://192.0.2.1", "PATH": "/bin"}) == {
        "PATH": "/bin"
    }


def test_main_runs_a_command_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, making: Making, tmp_path: Path
) -> None:
    ran: list[list[str]] = []
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(environment, "choose", lambda wanted, environ: making.interpreter)
    monkeypatch.setattr(environment, "ensure", lambda *__: Path(sys.prefix))
    monkeypatch.setattr(environment, "link", lambda directory: None)
    monkeypatch.setattr(os, "chdir", lambda directory: None)
    monkeypatch.setattr(os, "execvpe", lambda name, command, __: ran.append(command))
    environment.main(["--python", "", "--", "python", "-m", "lab", "--name", "x", "up"])
    assert ran == [["python", "-m", "lab", "--name", "x", "up"]]


def test_main_exits_2_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*__: object) -> Interpreter:
        raise SetupError("Nothing is here.")

    monkeypatch.setattr(environment, "choose", fail)
    assert environment.main([]) == 2
    assert capsys.readouterr().err == "Nothing is here.\n"


def test_main_installs_ensurepip_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = Interpreter(Path("/usr/bin/python3.11"), (3, 11, 2), has_pip=False)
    asked: list[list[str]] = []

    def refuse(names: list[str], why: str, report: object) -> None:
        asked.append(names)
        raise SetupError("Only root can install python3.11-venv.")

    monkeypatch.setattr(environment, "choose", lambda wanted, environ: bare)
    monkeypatch.setattr(environment.packages, "install", refuse)
    assert environment.main([]) == 2
    assert asked == [["python3.11-venv"]]
    assert capsys.readouterr().err == "Only root can install python3.11-venv.\n"
