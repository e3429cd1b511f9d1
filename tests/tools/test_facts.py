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
