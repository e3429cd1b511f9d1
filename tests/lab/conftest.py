# SPDX-License-Identifier: GPL-3.0-or-later
"""The test cluster for tests that need one, and ways to run commands in it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab import balancing, controller
from lab.commands import in_host
from lab.settings import CACHE, OPERATOR, REPOSITORY, Lab
from tests.lab.playbooks import IMAGE_LOCK, VENV, Playbooks
from tests.lab.spaces import QUICK, Space, made_space, set_switches
from tools import environment

#: Seconds that any command may take before a test counts as hung.
PATIENCE = 180.0

#: Seconds that a new machine may take to build Kubernetes: on two cores 5 to 11 minutes were seen.
BUILD = 2400.0

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests of faults be asked for all of them."""
    parser.addoption("--every-fault", action="store_true", help="not only those that differ most")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark of tests that need root and a test cluster known."""
    config.addinivalue_line("markers", "lab: needs root, and puts a test cluster up")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the cluster, so that ``-m 'not lab'`` leaves it out."""
    for item in items:
        if "lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.lab)


def run(
    *words: str, check: bool = True, timeout: float = PATIENCE, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command line; with ``check`` it must exit 0.

    ``options`` are those of ``subprocess.run``; ``input`` is text.
    """
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(
        words,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )
    if check:
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done


def run_lab(name: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``python -m lab --name NAME WORDS…``; see ``run``."""
    return run(sys.executable, "-m", "lab", "--name", name, *words, **options)


@pytest.fixture(scope="session")
def built() -> None:
    """Have what test clusters are made of, so that no test has to wait for it."""
    run(sys.executable, "-m", "lab", "build", timeout=BUILD)


@pytest.fixture(scope="session")
def lab(built: None) -> Iterator[Lab]:
    """A test cluster that is up; its name is $REAL_IP_LAB or ``test``, and with several workers of
    pytest-xdist that of each ends in ``gw0`` and so on: two would break each other's.

    It is taken down at the end, also where it didn't come up, unless it was there already or
    REAL_IP_LAB_KEEP=1.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    found = Lab(f"{os.environ.get('REAL_IP_LAB') or 'test'}{worker}")
    was_up = found.root.exists()
    try:
        run_lab(found.name, "up")
        yield found
    finally:
        if not was_up and os.environ.get("REAL_IP_LAB_KEEP") != "1":
            run_lab(found.name, "down")


@pytest.fixture
def command(lab: Lab) -> Command:
    """Run a command of the lab's command line; see ``run_lab``."""
    return lambda *words, **options: run_lab(lab.name, *words, **options)


@pytest.fixture
def run_in(lab: Lab) -> Command:
    """Run a command in a host of the lab: ``run_in(HOST, WORD…)``; see ``run``."""
    return lambda host, *words, **options: run(*in_host(lab, host, words), **options)


@pytest.fixture
def kubectl(run_in: Command) -> Callable[..., str]:
    """Run kubectl as the operator and return what it printed; see ``run``."""
    return lambda *words, **options: run_in(OPERATOR.name, "kubectl", *words, **options).stdout


@pytest.fixture(scope="session")
def playbooks(lab: Lab) -> Playbooks:
    """Runs playbooks where an operator of the test cluster would."""
    return Playbooks(lab.name)


@pytest.fixture
def own(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Playbooks]:
    """Runs playbooks in a namespace of the test's own, which isn't there yet."""
    subject = request.path.stem.removeprefix("test_play_").replace("_", "-")
    found = Playbooks(lab.name, f"{subject}-{secrets.token_hex(3)}")
    yield found
    found.kubectl("delete", "namespace", found.namespace, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as it is built."""
    directory = tmp_path_factory.mktemp("tarball")
    command = ["collection", "build", str(REPOSITORY), "--output-path", str(directory)]
    subprocess.run([VENV / "ansible-galaxy", *command], check=True, capture_output=True)
    [built] = directory.glob("*.tar.gz")
    return built


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory, tarball: Path) -> Mapping[str, str]:
    """The environment of a machine with ansible-core, our requirements and two collections."""
    venv = environment.ensure(environment.choose("", os.environ), IMAGE_LOCK, CACHE, print)
    collections = tmp_path_factory.mktemp("collections")
    neighbour = collections / "ansible_collections" / "kubernetes" / "core"
    neighbour.parent.mkdir(parents=True)
    [bundle] = Path(VENV).parent.glob("lib/python3.*/site-packages/ansible_collections")
    neighbour.symlink_to(bundle / "kubernetes" / "core")
    variables = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "VENV": str(venv / "bin")}
    subprocess.run(
        [
            *(venv / "bin" / "ansible-galaxy", "collection", "install", tarball, "--no-deps"),
            *("--offline", "-p", collections),
        ],
        env={**os.environ, **variables},
        check=True,
        capture_output=True,
    )
    return variables


@pytest.fixture(scope="module")
def space(lab: Lab) -> Iterator[Space]:
    """A namespace with pods for a module's tests, with ``QUICK`` as the stand-in's switches.

    In the end there are those switches that were there before.
    """
    before = balancing.read_switches(lab.clb / controller.SWITCHES_FILE)
    set_switches(lab, QUICK)
    with made_space(lab) as made:
        yield made
    set_switches(lab, before)


@pytest.fixture
def switch(space: Space) -> Iterator[Callable[..., None]]:
    """Set switches of the stand-in for one test."""
    yield lambda **values: set_switches(space.lab, values)
    set_switches(space.lab, QUICK)
