# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users get it: built, installed, and run by its full name."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.lab.playbooks import EXPECTED, NAMESPACE, REPOSITORY, VENV, Playbooks

ANSIBLE = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment in which the built and installed tarball is found, and the checkout isn't."""
    directory = tmp_path_factory.mktemp("installed")
    # kubernetes.core, which galaxy.yml declares, comes with the package ansible.
    bundled = sysconfig.get_paths()["purelib"]
    environment = {**ANSIBLE, "ANSIBLE_COLLECTIONS_PATH": f"{directory}/collections:{bundled}"}
    for command in (
        ["collection", "build", str(REPOSITORY), "--output-path", str(directory)],
        ["collection", "install", "--offline", "-p", f"{directory}/collections"],
    ):
        tarballs = [str(path) for path in directory.glob("kestrel-real_ip-*.tar.gz")]
        subprocess.run(
            [str(VENV / "ansible-galaxy"), *command, *tarballs],
            cwd=directory,
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
        )
    return environment


def _run(playbooks: Playbooks, name: str, where: Path, environment: Mapping[str, str]) -> str:
    program = VENV / "ansible-playbook"
    variables = f"-e real_ip_expected_source={EXPECTED} -e real_ip_code=P206"
    line = f"cd {where} && exec {program} {name} {variables}"
    status, output = playbooks.execute("operator", "sh", "-c", line, environment=environment)
    assert status == 0, output
    return output


def test_playbooks_by_their_full_names(
    playbooks: Playbooks, installed: Mapping[str, str], tmp_path: Path
) -> None:
    playbooks.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    for name in ("deploy", "verify", "diagnose", "site"):
        output = _run(playbooks, f"kestrel.real_ip.{name}", tmp_path, installed)
        if name in ("verify", "site"):
            assert "real_ip: localhost preserved" in output
            assert "ansible-playbook kestrel.real_ip.teardown" in output
    assert "selector matches no pod" in _run(
        playbooks, "kestrel.real_ip.explain", tmp_path, installed
    )
    _run(playbooks, "kestrel.real_ip.teardown", tmp_path, installed)
    assert NAMESPACE not in playbooks.kubectl("get", "namespaces", "-o", "name")


def test_nothing_of_the_workshop_is_installed(installed: Mapping[str, str]) -> None:
    root = Path(installed["ANSIBLE_COLLECTIONS_PATH"].split(":")[0])
    found = {path.name for path in (root / "ansible_collections/kestrel/real_ip").iterdir()}
    expected = {"plugins", "roles", "playbooks", "extensions", "meta", "docs", "changelogs"}
    expected |= {"README.md", "README_zh.md", "LICENSE", "CHANGELOG.rst", "requirements.yml"}
    assert found - expected == {"MANIFEST.json", "FILES.json"}
