# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts that have to stand in two places, compared."""

from __future__ import annotations

import re

import yaml

from lab import images
from lab.settings import REPOSITORY

MODULES = REPOSITORY / "plugins" / "modules"


def test_results_carry_the_version_of_galaxy_yml() -> None:
    galaxy = yaml.safe_load((REPOSITORY / "galaxy.yml").read_text())
    code = (REPOSITORY / "plugins" / "module_utils" / "_version.py").read_text()
    assert re.findall(r'^VERSION = "(.*)"$', code, re.MULTILINE) == [galaxy["version"]]


def test_the_action_group_holds_what_talks_to_the_api_server() -> None:
    runtime = yaml.safe_load((REPOSITORY / "meta" / "runtime.yml").read_text())
    group = {name for name in runtime["action_groups"]["k8s"] if isinstance(name, str)}
    talking = {
        path.stem for path in MODULES.glob("*.py") if "module_utils._kubernetes" in path.read_text()
    }
    assert group == talking


def test_users_get_the_requirement_that_galaxy_yml_declares() -> None:
    galaxy = yaml.safe_load((REPOSITORY / "galaxy.yml").read_text())
    required = yaml.safe_load((REPOSITORY / "requirements.yml").read_text())["collections"]
    assert {one["name"]: one["version"] for one in required} == galaxy["dependencies"]


def test_the_lab_has_the_images_that_are_the_defaults() -> None:
    table = (REPOSITORY / "plugins" / "module_utils" / "_settings.py").read_text()
    for image in (images.ECHO, images.PYTHON):
        assert f'"{image}"' in table


def test_every_way_to_be_fooled_names_tests_that_exist() -> None:
    page = (REPOSITORY / "docs" / "fooled.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and "`test_" in line]
    known = {
        name
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    named = {name for row in rows for name in re.findall(r"`(test_\w+)`", row)}
    assert named <= known, sorted(named - known)
    table = (REPOSITORY / "plugins" / "module_utils" / "_codes.py").read_text()
    codes = {code for row in rows for code in re.findall(r"\bV\d{3}\b", row)}
    assert all(f'"{code}"' in table for code in codes)
    assert len(rows) >= 20
