# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts that have to stand in two places, compared."""

from __future__ import annotations

import re
from collections import Counter

import yaml
from ansible_collections.kestrel.real_ip.plugins.module_utils._fleet import FEW

from lab import images
from lab.faults import FAULTS
from lab.settings import REPOSITORY
from tests.lab.fault_cases import CASES, page
from tools import rbac

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


def test_the_documentation_says_how_many_hosts_are_many() -> None:
    words = {10: "ten"}
    assert f"Among more than {words[FEW]}," in (MODULES / "summary.py").read_text()


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


def test_every_fault_is_compared_and_has_the_code_of_its_case() -> None:
    page = (REPOSITORY / "docs" / "compared.md").read_text()
    faults, tally = (
        [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
        for table in re.findall(r"^\| --- .*\n((?:\| .*\n)+)", page, re.MULTILINE)
    )
    assert [row[0] for row in faults] == [*FAULTS]
    titles = {}
    for path in (REPOSITORY / "docs" / "causes").glob("*.md"):
        for code, title in re.findall(r"^## (P\d{3})\n\n\*\*(.*)\*\*", path.read_text(), re.M):
            titles[code] = f"[{code}](causes/{path.name}#{code.lower()}): {title}"
    here = {name: titles[case.code] for name, case in CASES.items()}
    assert {row[0]: row[1] for row in faults if row[1] != "–"} == here
    # How far each goes is counted at the end.
    said = [Counter(row[column].split(":")[0] for row in faults) for column in (2, 3)]
    named = Counter({"why": len(CASES), "nothing": len(FAULTS) - len(CASES)})
    words = ("why", "that", "nothing")
    assert {*said[0], *said[1]} == {*words}
    assert tally == [[word, *(str(one[word]) for one in (named, *said))] for word in words]
    assert f"Of {len(FAULTS)} faults:" in page


def test_the_page_of_faults_is_made_from_the_cases() -> None:
    assert (REPOSITORY / "docs" / "faults.md").read_text() == page()


def test_the_manifests_of_rights_are_made_from_the_table() -> None:
    written = {path.stem: path.read_text() for path in rbac.DIRECTORY.glob("*.yml")}
    assert written == {purpose: rbac.manifest(purpose) for purpose in rbac.PURPOSES}


def test_each_situation_in_the_life_of_a_deployment_has_a_test() -> None:
    page = (REPOSITORY / "docs" / "lifecycle.md").read_text()
    rows = [
        line.strip("|").split(" | ")
        for line in page.splitlines()
        if line.startswith("| ") and not line.startswith(("| situation |", "| --- |"))
    ]
    assert len(rows) > 30
    for situation, __, __, named in rows:
        found = re.fullmatch(r"`(\w+\.py)::(test_\w+)` ?", named)
        assert found, situation
        code = (REPOSITORY / "tests" / "lab" / found[1]).read_text()
        assert f"\ndef {found[2]}(" in code, situation
