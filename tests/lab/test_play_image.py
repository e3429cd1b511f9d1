# SPDX-License-Identifier: GPL-3.0-or-later
"""What an execution environment has to hold: the playbooks run where there is nothing else.

No image is built here, since that needs one to start from. Its build context is made, and the
Python packages that it names are installed into a virtual environment of their own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.lab.playbooks import EXPECTED, IMAGE_LOCK, NAMESPACE, REPOSITORY, VENV, Playbooks

DEFINITION = yaml.safe_load((REPOSITORY / "execution-environment.yml").read_text())

#: Imports every module that Ansible would, and prints how many.
IMPORT = """
import importlib, pathlib, pkgutil
import ansible_collections.kestrel.real_ip.plugins as plugins
found = [
    importlib.import_module(f"{plugins.__name__}.{path.parent.name}.{path.stem}")
    for path in sorted(pathlib.Path(plugins.__path__[0]).glob("*/*.py"))
]
print(len(found))
"""


def test_nothing_else_is_there(image: Mapping[str, str]) -> None:
    """All packages are of the lock, and the two Ansible packages not both."""
    command = [f"{image['VENV']}/python", "-I", "-m", "pip", "list", "--format=freeze"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = {line.split("==")[0].lower() for line in said.splitlines()}
    locked = {*re.findall(r"^([a-z0-9_.-]+)==", IMAGE_LOCK.read_text(), re.MULTILINE)}
    assert {name.replace("_", "-") for name in names} - locked == {"pip"}
    assert "ansible" not in names


def test_every_plugin_is_imported(image: Mapping[str, str]) -> None:
    done = subprocess.run(
        [f"{image['VENV']}/python", "-c", IMPORT],
        env={**os.environ, "PYTHONPATH": image["ANSIBLE_COLLECTIONS_PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len([*(REPOSITORY / "plugins").glob("*/*.py")])


def test_every_playbook_runs(
    playbooks: Playbooks, image: Mapping[str, str], tmp_path: Path
) -> None:
    playbooks.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    given = f"-e real_ip_expected_source={EXPECTED} -e real_ip_code=P206"
    words = {
        "site --check": "not_run",
        "site": "real_ip: localhost preserved",
        "verify": "real_ip: localhost preserved",
        "diagnose": "real_ip: localhost",
        "explain": "selector matches no pod",
        "teardown": "Left in the cluster",
    }
    for name, expected in words.items():
        line = f"cd {tmp_path} && exec {image['VENV']}/ansible-playbook kestrel.real_ip.{name}"
        status, output = playbooks.execute(
            "operator", "sh", "-c", f"{line} {given}", environment={**image, "ANSIBLE_NOCOLOR": "1"}
        )
        assert status == 0, output
        assert expected in output


# The build context


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory, tarball: Path) -> Path:
    """What ansible-builder makes of the definition, from a checkout with the tarball in place."""
    checkout = tmp_path_factory.mktemp("checkout")
    (checkout / "execution-environment.yml").write_text(
        (REPOSITORY / "execution-environment.yml").read_text()
    )
    (checkout / "build" / "image").mkdir(parents=True)
    (checkout / "build" / "image" / tarball.name).write_bytes(tarball.read_bytes())
    command = [VENV / "ansible-builder", "create", "--context", "build/context"]
    command += ["--output-filename", "Containerfile"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout / "build" / "context"


def test_the_build_context_holds_the_collection(context: Path, tarball: Path) -> None:
    wanted = yaml.safe_load((context / "_build" / "requirements.yml").read_text())["collections"]
    [ours] = [one["name"] for one in wanted if one.get("type") == "file"]
    assert (context / "_build" / ours).read_bytes() == tarball.read_bytes()
    galaxy = yaml.safe_load((REPOSITORY / "galaxy.yml").read_text())["dependencies"]
    assert galaxy == {one["name"]: one["version"] for one in wanted if "version" in one}
    text = (context / "Containerfile").read_text()
    for package in ("ansible_core", "ansible_runner"):
        assert DEFINITION["dependencies"][package]["package_pip"] in text
    assert "WORKDIR /build" in text, "to which the name of the tarball is relative"


def test_the_image_gets_what_the_collection_needs(context: Path, image: Mapping[str, str]) -> None:
    """As the build does, with the script that it runs for that."""
    script = context / "_build" / "scripts" / "introspect.py"
    command = [sys.executable, script, "introspect", image["ANSIBLE_COLLECTIONS_PATH"]]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = yaml.safe_load(said)
    ours = [
        line.split("  #")[0]
        for kind in ("python", "system")
        for line in found[kind]
        if "kestrel.real_ip" in line
    ]
    stated = [
        line
        for name in ("requirements.txt", "bindep.txt")
        for line in (REPOSITORY / "meta" / f"ee-{name}").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert ours == stated


def test_what_is_tried_is_what_the_image_gets() -> None:
    wanted = (REPOSITORY / "requirements" / "ee.in").read_text().splitlines()
    needed = (REPOSITORY / "meta" / "ee-requirements.txt").read_text().splitlines()
    assert {line for line in needed if not line.startswith("#")} <= {*wanted}
    core = DEFINITION["dependencies"]["ansible_core"]["package_pip"]
    assert any(line.startswith(core) for line in wanted)
    others = [line for line in wanted if line and not line.startswith(("#", "ansible-core"))]
    assert {*others} <= {*needed}
