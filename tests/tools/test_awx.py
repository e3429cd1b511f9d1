# SPDX-License-Identifier: GPL-3.0-or-later
"""The data for AWX, and that each rule for it fires where it must and nowhere else."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
import yaml
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import VERDICTS
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import LANGUAGES
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import SCENARIOS
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import SETTINGS

from lab.settings import REPOSITORY
from tests.awx.client import Client
from tests.tools.controller import TOKEN, Controller, Refused, refuse_survey, serving
from tests.tools.projects import checked_out, updated
from tools import awx, files

GOOD: dict[str, Any] = {
    "variable": "real_ip_namespace",
    "question_name": "Which namespace?",
    "question_description": "Empty: as the inventory says, otherwise kestrel-catchip.",
    "type": "text",
    "required": False,
    "min": 0,
    "max": 63,
}
CHOICE: dict[str, Any] = {
    "variable": "real_ip_forge",
    "question_name": "Forge?",
    "question_description": "Otherwise true, that is, otherwise true.",
    "type": "multiplechoice",
    "required": False,
    "choices": ["true", "false"],
}
CODE: dict[str, Any] = {
    "variable": "real_ip_code",
    "question_name": "Which code?",
    "type": "text",
    "required": True,
}

#: Rule, question, what is changed of it, what is said of that. A value of ... takes a key away.
WRONG = [
    ("keys", GOOD, {"question_name": ...}, "question_name: expected"),
    ("keys", GOOD, {"question_name": ""}, "question_name: expected"),
    ("keys", GOOD, {"variable": ""}, "variable: expected"),
    ("keys", GOOD, {"type": ...}, "type: expected"),
    ("keys", GOOD, {"new_question": True}, "new_question: no such key"),
    ("variable", GOOD, {"variable": ""}, "no name that a play could use"),
    ("variable", GOOD, {"variable": "real_ip namespace"}, "no name that a play could use"),
    ("variable", GOOD, {"variable": "real-ip-namespace"}, "no name that a play could use"),
    ("variable", GOOD, {"variable": "real_ip_name_space"}, "not in the table"),
    ("variable", GOOD, {"variable": "namespace"}, "not in the table"),
    ("variable", GOOD, {"variable": "real_ip_api_key"}, "belongs into a credential"),
    ("variable", GOOD, {"variable": "real_ip_kubeconfig"}, "belongs into a credential"),
    ("type", GOOD, {"type": "boolean"}, "expected one of text"),
    ("required", GOOD, {"required": "false"}, "expected true or false"),
    ("required", GOOD, {"required": ...}, "expected true or false"),
    ("required", GOOD, {"required": 0}, "expected true or false"),
    ("default", GOOD, {"default": None}, "refuses null"),
    ("default", GOOD, {"default": "a"}, "goes before what the inventory says"),
    ("default", GOOD, {"default": ""}, "doesn't apply one that is empty"),
    ("default", GOOD, {"default": "a" * 64}, "doesn't apply one that is empty or outside"),
    ("default", GOOD, {"default": "a", "min": 2}, "doesn't apply one that is empty or outside"),
    ("default", GOOD, {"default": "a", "required": True}, "misses a required answer"),
    ("default", GOOD, {"default": "a", "type": "password"}, "each run of configure.yml"),
    ("default", GOOD, {"default": 9, "type": "integer", "max": 8}, "outside of what it allows"),
    ("default", CHOICE, {"default": "maybe"}, "outside of what it allows"),
    ("default", CHOICE, {"default": "true\nfalse", "type": "multiselect"}, "never applies it"),
    ("range", GOOD, {"min": 64}, "min 64 is more than max 63"),
    ("range", GOOD, {"max": "63"}, "expected an integer without quotes"),
    ("range", GOOD, {"max": 1.5, "type": "float"}, "expected an integer without quotes"),
    ("range", GOOD, {"min": True}, "expected an integer without quotes"),
    ("range", CHOICE, {"max": 2}, "means nothing with choices"),
    ("choices", CHOICE, {"choices": ...}, "expected a list with something in it"),
    ("choices", CHOICE, {"choices": []}, "expected a list with something in it"),
    ("choices", CHOICE, {"choices": {"true": 1}}, "expected a list with something in it"),
    ("choices", CHOICE, {"choices": "true\nfalse"}, "expected a list with something in it"),
    ("choices", CHOICE, {"choices": [True, False]}, "choice True: expected text; quote it"),
    ("choices", CHOICE, {"choices": ["true\n"]}, "AWX strips it"),
    ("choices", CHOICE, {"choices": ["true", ""]}, "AWX strips it"),
    ("choices", CHOICE, {"choices": ["true", "true"]}, "stands there twice"),
    ("choices", GOOD, {"choices": ["a"]}, "mean nothing with this type"),
    ("answers", CHOICE, {"choices": ["true", "maybe"]}, "choice 'maybe': real_ip_forge: expected"),
    ("text", GOOD, {"question_description": ...}, "expected the words 'otherwise kestrel-catchip'"),
    ("text", GOOD, {"question_description": "otherwise default"}, "expected the words"),
    ("text", GOOD, {"question_description": "otherwise kestrel-catchip-2."}, "expected the words"),
    ("text", CHOICE, {"question_description": "otherwise false"}, "expected the words"),
    ("text", CODE, {"question_description": "otherwise none"}, "has no default"),
]
#: What none of the rules may take for wrong, as WRONG without rule and words.
RIGHT = [
    (GOOD, {}),
    (GOOD, {"min": None, "max": None}),
    (GOOD, {"min": 63}),
    (GOOD, {"choices": ""}),
    (GOOD, {"type": "textarea", "question_description": "... otherwise kestrel-catchip"}),
    (CHOICE, {}),
    (CHOICE, {"type": "multiselect"}),
    (CODE, {}),
]


def changed(item: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """An item with some keys set, or with ... taken away."""
    return {key: value for key, value in {**item, **change}.items() if value is not ...}


@pytest.mark.parametrize(("rule", "question", "change", "words"), WRONG)
def test_a_rule_fires(
    rule: str, question: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    assert words in (awx.QUESTIONS[rule](changed(question, change)) or "")


@pytest.mark.parametrize(("question", "change"), RIGHT)
def test_no_rule_fires(question: dict[str, Any], change: dict[str, Any]) -> None:
    good = changed(question, change)
    assert {name: rule(good) for name, rule in awx.QUESTIONS.items() if rule(good)} == {}


def test_every_rule_for_questions_is_seen_to_fire() -> None:
    assert {row[0] for row in WRONG} == {*awx.QUESTIONS}


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"survey_enabled": True}, "survey_enabled: expected"),
        ({"survey_spec": {"spec": [GOOD]}}, "survey_enabled: expected"),
        ({"survey_enabled": True, "survey_spec": {"spec": [GOOD]}}, "name, description: missing"),
        (
            {"survey_enabled": True, "survey_spec": {"name": "", "description": "", "spec": []}},
            "spec: missing or empty",
        ),
        (
            {
                "survey_enabled": True,
                "survey_spec": {"name": "", "description": "", "spec": [GOOD, GOOD]},
            },
            "asked twice",
        ),
    ],
)
def test_surveys_that_awx_refuses(item: dict[str, Any], words: str) -> None:
    assert any(words in text for text in awx.survey(item))
    survey = item.get("survey_spec")
    if item.get("survey_enabled") and survey:
        with pytest.raises(Refused):
            refuse_survey(survey)


@pytest.mark.parametrize(
    ("path", "text", "offered"),
    [
        ("site.yml", "- hosts: all\n", True),
        ("playbooks/site.yaml", "---\n- name: A\n  hosts: all\n", True),
        ("a/b.yml", "- import_playbook: x.y.site\n", True),
        ("a/b.yml", "- ansible.builtin.import_playbook: x.y.site\n", True),
        ("a/b.yml", "- name: A task\n", False),
        ("a/b.json", "- hosts: all\n", False),
        ("playbooks/tasks/a.yml", "- hosts: all\n", False),
        ("roles/a.yml", "- hosts: all\n", False),
        ("group_vars/a.yml", "- hosts: all\n", False),
        (".ci/a.yml", "- hosts: all\n", False),
    ],
)
def test_what_awx_takes_for_a_playbook(path: str, text: str, offered: bool) -> None:
    assert awx.is_playbook(path, text) is offered


# The data


@pytest.fixture(scope="module")
def options() -> dict[str, awx.Options]:
    """What awx.awx documents."""
    return awx.documented([*awx.MODULES.values(), awx.NODE])


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    """Our data, with what a user has to set."""
    return awx.load()


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The files of the repository that could be playbooks."""
    names = files.matching(files.known(), "*.yml")
    return {name: (REPOSITORY / name).read_text() for name in names}


def test_nothing_is_wrong_with_the_data(
    data: dict[str, Any], texts: dict[str, str], options: dict[str, awx.Options]
) -> None:
    assert awx.problems(data, texts, options) == []
    assert all(data.values()), "a list that is empty was checked for nothing"


def test_nothing_is_wrong_with_the_tasks(
    data: dict[str, Any], options: dict[str, awx.Options]
) -> None:
    assert awx.problems_of_tasks(data, options) == []


#: List, name, where in it, what is put there, what is said of it.
SPOILED: list[tuple[str, str, list[str | int], Any, str]] = [
    ("controller_organizations", "Kestrel", ["galaxy_credential"], [], "galaxy_credential. Supp"),
    ("controller_projects", "Real IP", ["scm_type"], "hg", "value of scm_type must be one of"),
    ("controller_schedules", "Real IP verify every night", ["rrule"], "daily", "expected DTSTART"),
    (
        "controller_schedules",
        "Real IP verify every night",
        ["unified_job_template"],
        "Real IP explain",
        "a required question, which nobody answers at night",
    ),
    (
        "controller_schedules",
        "Real IP verify every night",
        ["unified_job_template"],
        "Real IP",
        "no such template",
    ),
    ("controller_templates", "Real IP site", ["forks"], "many", "forks"),
    ("controller_templates", "Real IP site", ["playbook"], "playbooks/sites.yml", "no such file"),
    (
        "controller_templates",
        "Real IP site",
        ["playbook"],
        "playbooks/tasks/deploy.yml",
        "AWX doesn't take it for one",
    ),
    ("controller_templates", "Real IP site", ["labels"], ["real ip"], "labels real ip: not in"),
    ("controller_templates", "Real IP site", ["project"], "Real", "project Real: not in"),
    ("controller_templates", "Real IP site", ["organization"], "", "organization: missing"),
    ("controller_templates", "Real IP site", ["inventory"], "", "inventory: missing"),
    ("controller_templates", "Real IP site", ["timeout"], 0, "timeout: missing or 0"),
    ("controller_templates", "Real IP site", ["job_slice_count"], 2, "no artifacts"),
    (
        "controller_templates",
        "Real IP teardown",
        ["allow_simultaneous"],
        True,
        "two of them would work on the same objects",
    ),
    ("controller_templates", "Real IP site", ["survey_enabled"], False, "survey_enabled"),
    (
        "controller_templates",
        "Real IP one cluster",
        ["inventory"],
        "Real IP clusters",
        "real_ip_expected_source: asked for many hosts",
    ),
    (
        "controller_templates",
        "Real IP site",
        ["survey_spec", "spec", 0, "choices", 0],
        "gr-clb",
        "choice 'gr-clb': real_ip_scenario: expected one of",
    ),
    (
        "controller_workflows",
        "Real IP deploy and verify",
        [awx.NODES, 1, "failure_nodes"],
        ["diagnose"],
        "its failure counts as dealt with",
    ),
    (
        "controller_workflows",
        "Real IP deploy and verify",
        [awx.NODES, 0, "success_nodes"],
        ["verified"],
        "goes on to verified, which isn't there",
    ),
    (
        "controller_workflows",
        "Real IP deploy and verify",
        [awx.NODES, 0, "unified_job_template"],
        "Real IP deployment",
        "no such template",
    ),
    (
        "controller_workflows",
        "Real IP deploy and verify",
        [awx.NODES, 1, "identifier"],
        "deploy",
        "an identifier stands there twice",
    ),
    (
        "controller_workflows",
        "Real IP deploy and verify",
        [awx.NODES, 1, "on_success"],
        ["diagnose"],
        "node verify: on_success. Supported parameters",
    ),
    (
        "controller_workflows",
        "Real IP teardown with approval",
        [awx.NODES, 0, "success_nodes"],
        [],
        "removes, and not only after an approval",
    ),
    (
        "controller_workflows",
        "Real IP teardown with approval",
        [awx.NODES, 0, "approval_node", "timeout"],
        0,
        "it would wait for ever",
    ),
    ("controller_credential_types", "Real IP kubeconfig", ["kind"], "kubernetes", "kind"),
    (
        "controller_credential_types",
        "Real IP kubeconfig",
        ["inputs", "fields", 1, "type"],
        "integer",
        "expected string or boolean",
    ),
    (
        "controller_credential_types",
        "Real IP kubeconfig",
        ["inputs", "required"],
        ["config"],
        "required config: no such field",
    ),
    (
        "controller_credential_types",
        "Real IP kubeconfig",
        ["injectors", "env", "ANSIBLE_HOME"],
        "a",
        "AWX refuses that name",
    ),
    (
        "controller_credential_types",
        "Real IP kubeconfig",
        ["injectors", "env", "K8S_AUTH_CONTEXT"],
        "{{ contexts }}",
        "{{ contexts }}: no such field",
    ),
    (
        "controller_credential_types",
        "Real IP kubeconfig",
        ["injectors", "file", "template"],
        "a",
        "template beside template.NAME",
    ),
]


@pytest.mark.parametrize(("name", "item", "way", "value", "words"), SPOILED)
def test_what_is_spoiled_is_found(
    data: dict[str, Any],
    texts: dict[str, str],
    options: dict[str, awx.Options],
    name: str,
    item: str,
    way: list[str | int],
    value: Any,
    words: str,
) -> None:
    spoiled = copy.deepcopy(data)
    place: Any = next(one for one in spoiled[name] if one["name"] == item)
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = value
    found = awx.problems(spoiled, texts, options)
    assert any(line.startswith(f"{name}: {item}: ") and words in line for line in found), found


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"awx.awx.label": {"name": "a", "organization": "b", "colour": "c"}}, "colour: no option"),
        ({"awx.awx.label": {"name": "a"}}, "organization: label requires it"),
        ({"awx.awx.team": {"name": "a"}}, "not among the modules"),
        ({"ansible.builtin.debug": {"colour": "c"}}, ""),
        ({"awx.awx.label": {"name": "a", "organization": "b"}}, ""),
    ],
)
def test_a_task_that_awx_awx_refuses(
    options: dict[str, awx.Options], task: dict[str, Any], words: str
) -> None:
    found = awx.misused(task, options)
    assert words in "".join(found)
    assert bool(found) == bool(words)


def test_a_key_that_no_task_hands_on() -> None:
    assert awx.unpassed([{"name": "a"}, {"forks": 1}], {"name": "{{ item.name }}"}) == ["forks"]


def test_defaults_in_words() -> None:
    told = {name: awx.default_in_words(f"real_ip_{name}") for name in ("accept", "host", "forge")}
    assert told == {"accept": "preserved", "host": "none", "forge": "true"}
    assert all(awx.default_in_words(name) for name in SETTINGS)


# configure.yml


class Runs:
    """Runs configure.yml against a stand-in."""

    def __init__(self, controller: Controller, url: str) -> None:
        self.controller = controller
        self.url = url

    def run(self, *words: str, **variables: Any) -> tuple[int, list[str], str]:
        """How many tasks changed something, the requests that did, and what was printed."""
        before = len(self.controller.changes)
        given = {"awx_project_url": "https://git.example.com/a.git", "awx_image": "localhost/ee:1"}
        environment = {
            **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
            "CONTROLLER_HOST": self.url,
            "CONTROLLER_OAUTH_TOKEN": TOKEN,
            "ANSIBLE_NOCOLOR": "1",
        }
        extra = ["-e", json.dumps({**given, **variables})]
        done = subprocess.run(
            ["ansible-playbook", "playbooks/awx/configure.yml", *extra, *words],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        counted = re.search(r"changed=(\d+)", done.stdout)
        assert counted, said
        return int(counted[1]), self.controller.changes[before:], said


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    """One stand-in for all of these tests, which go on where the one before has stopped."""
    controller = Controller()
    with serving(controller) as url:
        yield Runs(controller, url)


SECRET = "a-kubeconfig-that-must-not-be-seen"


def test_the_life_of_a_configuration(runs: Runs) -> None:
    kept = runs.controller
    told, changes, said = runs.run("--check")
    assert (told, changes) == (2, [])
    for item in ("Kestrel", "Real IP kubeconfig", "Real IP site", "Real IP verify every night"):
        assert item in said

    theirs = {
        setting: kept.create("credentials", {"name": setting, "credential_type": 1})["id"]
        for setting in ("awx_project_credential", "awx_image_credential")
    }
    told, changes, said = runs.run(
        awx_kubeconfig=SECRET,
        awx_vantages=[{"name": "outside"}],
        awx_one_cluster={"real_ip_language": "zh"},
        **{setting: setting for setting in theirs},
    )
    assert told
    assert changes
    assert SECRET not in said
    [project] = kept.items["projects"].values()
    [image] = kept.items["execution_environments"].values()
    assert [project["credential"], image["credential"]] == [*theirs.values()]
    [alone] = [one for one in kept.items["hosts"].values() if one["name"] == "localhost"]
    assert json.loads(alone["variables"]) == {"real_ip_language": "zh"}
    expected = awx.load()
    for name, endpoint in (
        ("controller_templates", "job_templates"),
        ("controller_workflows", "workflow_job_templates"),
        ("controller_schedules", "schedules"),
        ("controller_groups", "groups"),
    ):
        assert kept.names(endpoint) == [item["name"] for item in expected[name]]
    surveys = {kept.items[key[0]][key[1]]["name"]: one for key, one in kept.surveys.items()}
    asked = [*expected["controller_templates"], *expected["controller_workflows"]]
    assert surveys == {one["name"]: one["survey_spec"] for one in asked if awx.asked(one)}
    [kind] = [
        one for one in kept.items["credential_types"].values() if one["name"].startswith("Real")
    ]
    assert kind["injectors"]["env"]["K8S_AUTH_CONTEXT"] == "{{ context }}", "as it stands"
    [group] = [one for one in kept.items["groups"].values() if one["name"] == "real_ip_clusters"]
    assert "lookup('ansible.builtin.env', 'K8S_AUTH_KUBECONFIG')" in group["variables"]

    # Without the secret, whose credential stays, and those of the templates with it.
    assert runs.run(awx_vantages=[{"name": "outside"}])[:2] == (0, [])
    [site] = [one for one in kept.items["job_templates"].values() if one["name"] == "Real IP site"]
    assert len(kept.linked["job_templates", site["id"], "credentials"]) == 1

    site["timeout"] = 1
    told, changes, said = runs.run("--check")
    assert (told, changes) == (1, [])
    assert "changed: [localhost] => (item=Real IP site)" in said
    site["timeout"] = 3600

    told, changes, said = runs.run("-e", "state=absent", "--check")
    assert told
    assert changes == []


def test_a_launch_tells_what_is_ignored(runs: Runs) -> None:
    """What tests/awx does on a controller, as far as one that runs nothing can show it."""
    client = Client(runs.url, TOKEN)
    job, ignored = client.launch("Kestrel", "Real IP explain", real_ip_code="P206", stray=1)
    assert ignored == {"stray"}
    assert client.wait(job, 10).status == "successful"
    assert client.launch("Kestrel", "Real IP site", real_ip_ephemeral="true")[1] == set()
    with pytest.raises(HTTPError, match="400"):
        client.launch("Kestrel", "Real IP explain")


def test_what_is_not_ours_stays(runs: Runs) -> None:
    kept = runs.controller
    [organization] = [
        number for number, one in kept.items["organizations"].items() if one["name"] == "Kestrel"
    ]
    theirs = kept.create("inventories", {"name": "Theirs", "organization": organization})
    __, changes, said = runs.run("-e", "state=absent")
    assert "The organization Kestrel was left: it still holds inventories" in said
    assert kept.names("organizations") == ["Kestrel"]
    assert kept.names("inventories") == ["Theirs"]
    removed = [line.split(" ")[1] for line in changes if line.startswith("DELETE")]
    order = ["schedules", "workflow_job_templates", "job_templates", "inventories", "projects"]
    assert sorted(order, key=removed.index) == order

    kept.remove("inventories", theirs["id"])
    told, changes, __ = runs.run("-e", "state=absent")
    assert (told, changes) == (1, ["DELETE organizations Kestrel"])
    assert runs.run("-e", "state=absent")[:2] == (0, [])
    builtin = {"credential_types", "credentials", "project_updates", "jobs"}
    assert {name: kept.names(name) for name in kept.items if name not in builtin} == {
        name: [] for name in kept.items if name not in builtin
    }


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"awx_image": ""}, "awx_image ''"),
        ({"awx_project_url": ""}, "awx_project_url '', awx_project_path ''"),
        ({"awx_project_path": "real_ip"}, "awx_project_path 'real_ip'"),
        ({"state": "gone"}, "state 'gone'"),
        # Without a word, there would be no hosts to probe from.
        ({"awx_vantage": "[]", "awx_job_id": "1"}, "No such setting: awx_vantage."),
    ],
)
def test_settings_that_are_missing_or_misspelt(
    runs: Runs, variables: dict[str, str], words: str
) -> None:
    with pytest.raises(AssertionError, match=re.escape(words)):
        runs.run(**variables)


# How AWX gets the collection


def _play(where: Path, playbook: str, collections: Path) -> str:
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    environment["ANSIBLE_COLLECTIONS_PATH"] = (
        f"{collections}:{os.environ['ANSIBLE_COLLECTIONS_PATH']}"
    )
    done = subprocess.run(
        ["ansible-playbook", playbook, "-e", "real_ip_code=P206"],
        cwd=where,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


def test_the_repository_is_a_project(tmp_path: Path) -> None:
    project = tmp_path / "project"
    link = checked_out(project)
    updated(project, tmp_path / "collections")
    # By the link where an update installs nothing; by what it installed where a copy has no link.
    assert "selector matches no pod" in _play(project, "playbooks/explain.yml", tmp_path / "none")
    link.unlink()
    said = _play(project, "playbooks/explain.yml", tmp_path / "collections")
    assert "selector matches no pod" in said


def test_stubs_find_the_collection_of_an_image(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "awx.md").read_text()
    [script] = re.findall(r"```shell\n(mkdir -p awx\n.*?)```", page, re.DOTALL)
    subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, check=True)
    made = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*.yml")}
    wanted = {
        item["playbook"]
        for item in awx.load({**awx.EXAMPLE, "awx_playbooks": ""})["controller_templates"]
    }
    assert wanted <= {name for name, text in made.items() if awx.is_playbook(name, text)}
    said = _play(tmp_path, "explain.yml", REPOSITORY / "playbooks" / "collections")
    assert "selector matches no pod" in said
    failed = _play(tmp_path, "awx/fail.yml", REPOSITORY / "playbooks" / "collections")
    assert "a step before has no result" in failed


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ({}, "a step before has no result"),
        ({"tke": {"verdict": "lost", "reason": "No header."}}, "failed: tke lost No header."),
        (
            {"a": {"verdict": "lost", "reason": "1"}, "b": {"verdict": "preserved", "reason": "2"}},
            "a lost 1; b preserved 2",
        ),
    ],
)
def test_the_end_of_a_workflow_that_fails(results: dict[str, Any], words: str) -> None:
    done = subprocess.run(
        [
            "ansible-playbook",
            "playbooks/awx/fail.yml",
            "-e",
            json.dumps({"real_ip_results": results}),
        ],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stdout


def test_every_survey_is_answered_soon(data: dict[str, Any]) -> None:
    for item in [*data["controller_templates"], *data["controller_workflows"]]:
        assert len(awx.asked(item)) <= 5, item["name"]


def test_the_page_names_what_there_is(data: dict[str, Any]) -> None:
    page = (REPOSITORY / "docs" / "awx.md").read_text()
    for name in ("controller_templates", "controller_workflows", "controller_schedules"):
        for item in data[name]:
            assert f"| `{item['name']}` |" in page
    settings = yaml.safe_load((awx.PLACE / "vars" / "settings.yml").read_text())
    for name in settings:
        assert re.search(rf"^\| .*`{name}`.* \|.*\|.*\|$", page, re.MULTILINE), name


def test_the_page_installs_what_is_tested() -> None:
    """One image everywhere, of this version, and the awx.awx whose modules these tests run."""
    page = (REPOSITORY / "docs" / "awx.md").read_text()
    version = yaml.safe_load((REPOSITORY / "galaxy.yml").read_text())["version"]
    images = {*re.findall(r"registry\.example\.com/[\w:.-]+", page)}
    assert images == {f"registry.example.com/real-ip-ee:{version}"}
    [installed] = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"]).glob("ansible_collections/awx/awx")
    manifest = json.loads((installed / "MANIFEST.json").read_text())
    assert f"install awx.awx:{manifest['collection_info']['version']}\n" in page


@pytest.mark.parametrize(
    ("question", "choices"),
    [("scenario", {*SCENARIOS}), ("accept", {*VERDICTS}), ("language", {*LANGUAGES})],
)
def test_a_question_offers_all_that_there_is(question: str, choices: set[str]) -> None:
    surveys = yaml.safe_load((REPOSITORY / "playbooks/awx/vars/surveys.yml").read_text())
    assert {*surveys["awx_questions"][question]["choices"]} == choices
