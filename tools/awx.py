# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for the data in playbooks/awx/vars: what AWX accepts and then does something else with.

`make test` applies them in tests/tools/test_awx.py. AWX 24.6.1 takes a survey with a variable that
no play could read, with limits that exclude each other, or with a default that it never applies.
What is refused here was seen on it; docs/awx.md says what it does. Each item and each task is held
to the options that awx.awx documents.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import (
    SETTINGS,
    SettingError,
    value_of,
)

from lab.settings import REPOSITORY

Item = Mapping[str, Any]

PLACE: Final = REPOSITORY / "playbooks" / "awx"

#: What a user has to set, with something that stands for it.
EXAMPLE: Final = {
    "awx_project_url": "https://git.example.com/real_ip.git",
    "awx_image": "registry.example.com/real-ip-ee:1.0",
    "awx_kubeconfig": "{apiVersion: v1, kind: Config}",
    "awx_vantages": [{"name": "outside", "variables": {"real_ip_expected_source": "192.0.2.1"}}],
}

#: The module of awx.awx that takes the items of each list.
MODULES: Final = {
    "controller_organizations": "organization",
    "controller_labels": "label",
    "controller_execution_environments": "execution_environment",
    "controller_projects": "project",
    "controller_credential_types": "credential_type",
    "controller_credentials": "credential",
    "controller_inventories": "inventory",
    "controller_hosts": "host",
    "controller_groups": "group",
    "controller_templates": "job_template",
    "controller_workflows": "workflow_job_template",
    "controller_schedules": "schedule",
}
NODE: Final = "workflow_job_template_node"
#: As infra.aap_configuration calls the nodes of a workflow, each for the module above.
NODES: Final = "simplified_workflow_nodes"

#: What is a question's business only where there is one cluster and no other vantage point: an
#: answer goes before the inventory's value for every host.
ONE_CLUSTER: Final = {
    *("real_ip_expected_source", "real_ip_expected_source_url", "real_ip_namespace"),
    *("real_ip_context", "real_ip_api_host"),
}
#: What belongs into a credential.
SECRET: Final = {"real_ip_api_key", "real_ip_kubeconfig"}

FAIL: Final = "awx/fail.yml"
#: Playbooks that change clusters
CHANGING: Final = {"site", "deploy", "teardown"}

# Questions


def _keys(question: Item) -> str | None:
    known = {
        *("question_name", "question_description", "variable", "type", "required"),
        *("min", "max", "choices", "default"),
    }
    missing = [key for key in ("question_name", "variable", "type") if not question.get(key)]
    if missing:
        return f"{' and '.join(missing)}: expected, and missing or empty"
    unknown = ", ".join(sorted(question.keys() - known))
    return f"{unknown}: no such key, and AWX drops it silently" if unknown else None


def _variable(question: Item) -> str | None:
    name = str(question.get("variable", ""))
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        return f"variable {name!r}: no name that a play could use"
    if name not in SETTINGS:
        return f"variable {name}: not in the table of variables"
    return f"variable {name}: belongs into a credential" if name in SECRET else None


def _type(question: Item) -> str | None:
    types = ("text", "textarea", "password", "integer", "float", "multiplechoice", "multiselect")
    if question.get("type") not in types:
        return f"type {question.get('type')!r}: expected one of {', '.join(types)}"
    return None


def _required(question: Item) -> str | None:
    if not isinstance(question.get("required"), bool):
        return f"required {question.get('required')!r}: expected true or false"
    return None


def _default(question: Item) -> str | None:
    if "default" not in question:
        return None
    value = question["default"]
    if value is None:
        why = "AWX refuses null: leave the key out"
    elif question.get("type") == "password":
        why = "it is stored encrypted, so that each run of configure.yml says changed"
    elif question.get("required"):
        why = "a launch through the API misses a required answer all the same"
    elif question.get("type") == "multiselect":
        why = "AWX stores that of a multiselect as text and never applies it"
    elif value == "" or _outside(question, value):
        why = "AWX doesn't apply one that is empty or outside of what it allows, and says nothing"
    else:
        why = "it goes before what the inventory says of each cluster"
    return f"default {value!r}: {why}. Say in question_description what holds without an answer"


def _outside(question: Item, value: Any) -> bool:
    if question.get("type") == "multiplechoice":
        return value not in (question.get("choices") or [])
    size = len(value) if isinstance(value, str) else value
    low, high = question.get("min"), question.get("max")
    return (low is not None and size < low) or (high is not None and size > high)


def _range(question: Item) -> str | None:
    limits = {key: question[key] for key in ("min", "max") if question.get(key) is not None}
    for key, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int):
            return f"{key} {value!r}: expected an integer without quotes, also for a float"
        if question.get("type") in ("multiplechoice", "multiselect"):
            return f"{key}: means nothing with choices"
    if len(limits) == 2 and limits["min"] > limits["max"]:
        return f"min {limits['min']} is more than max {limits['max']}: no answer fits"
    return None


def _choices(question: Item) -> str | None:
    choices = question.get("choices")
    if question.get("type") not in ("multiplechoice", "multiselect"):
        return "choices: mean nothing with this type" if choices else None
    if not isinstance(choices, list) or not choices:
        return f"choices {choices!r}: expected a list with something in it"
    for choice in choices:
        if not isinstance(choice, str):
            return f"choice {choice!r}: expected text; quote it"
        if choice != choice.strip() or "\n" in choice or not choice:
            return f"choice {choice!r}: AWX strips it, so that each run says changed"
    return "choices: one stands there twice" if len({*choices}) < len(choices) else None


def _answers(question: Item) -> str | None:
    """Each answer that AWX lets pass by its choices is one that the collection takes."""
    name = str(question.get("variable"))
    if _variable(question) or _choices(question):
        return None
    for choice in question.get("choices") or []:
        try:
            value_of(name, choice)
        except SettingError as error:
            return f"choice {choice!r}: {error}"
    return None


def _text(question: Item) -> str | None:
    if _variable(question):
        return None
    text = str(question.get("question_description", ""))
    if question.get("required"):
        return (
            "question_description: a required answer has no default" if _OTHERWISE in text else None
        )
    wanted = f"{_OTHERWISE} {default_in_words(question['variable'])}"
    if not re.search(re.escape(wanted) + r"(?![-\w])", text):
        return f"question_description {text!r}: expected the words {wanted!r}"
    return None


_OTHERWISE: Final = "otherwise"


def default_in_words(name: str) -> str:
    """What a variable's default is called in a question."""
    value = SETTINGS[name].default
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == {} else str(value)


#: Each says what is wrong with a question, or None.
QUESTIONS: Final[dict[str, Callable[[Item], str | None]]] = {
    "keys": _keys,
    "variable": _variable,
    "type": _type,
    "required": _required,
    "default": _default,
    "range": _range,
    "choices": _choices,
    "answers": _answers,
    "text": _text,
}


def survey(item: Item) -> list[str]:
    """What is wrong with the survey of a template or workflow."""
    spec = item.get("survey_spec")
    if bool(item.get("survey_enabled")) != bool(spec):
        return ["survey_enabled: expected to be true where there is a survey_spec, and only there"]
    if not spec:
        return []
    lacking = [key for key in ("name", "description", "spec") if key not in spec]
    if lacking or not spec["spec"]:
        return [f"survey_spec: {', '.join(lacking) or 'spec'}: missing or empty, AWX refuses that"]
    found = []
    for question in spec["spec"]:
        said = [rule(question) for rule in QUESTIONS.values()]
        found += [f"{question.get('variable')}: {text}" for text in said if text]
    names = [question.get("variable") for question in spec["spec"]]
    found += [
        f"{name}: asked twice, AWX refuses that" for name in {*names} if names.count(name) > 1
    ]
    return found


# Templates, workflows, schedules, credential types


def asked(item: Item) -> list[Item]:
    """The questions of a template or workflow."""
    return list((item.get("survey_spec") or {}).get("spec") or [])


def is_playbook(path: str, text: str) -> bool:
    """Whether AWX offers a file of a project as a playbook."""
    parts = PurePosixPath(path).parts
    hidden = {"roles", "tasks", "group_vars", "host_vars"}
    if any(part in hidden or part.startswith(".") for part in parts[:-1]):
        return False
    plays = re.search(r"^\s*-?\s*(hosts|(ansible\.builtin\.)?import_playbook):\s*\S", text, re.M)
    return path.endswith((".yml", ".yaml")) and plays is not None


def template(item: Item, data: Item, playbooks: Mapping[str, str]) -> list[str]:
    """What is wrong with a job template; ``playbooks``: the project's files by their paths."""
    found = survey(item)
    path = str(item.get("playbook"))
    if path not in playbooks:
        found.append(f"playbook {path}: no such file in the project")
    elif not is_playbook(path, playbooks[path]):
        found.append(f"playbook {path}: AWX doesn't take it for one, by its place or its content")
    for key, lists in _REFERENCES.items():
        known = {one["name"] for name in lists for one in data[name]}
        wanted = item.get(key)
        for name in wanted if isinstance(wanted, list) else [wanted] if wanted else []:
            if name not in known:
                found.append(f"{key} {name}: not in {' or '.join(lists)}")
    if not item.get("organization"):
        found.append("organization: missing, and another one may have a template of this name")
    if not item.get("inventory") and not item.get("ask_inventory_on_launch"):
        found.append("inventory: missing, and not asked for")
    if not item.get("timeout"):
        found.append("timeout: missing or 0, so that a job that hangs would stay")
    if item.get("allow_simultaneous") and PurePosixPath(path).stem in CHANGING:
        found.append("allow_simultaneous: two of them would work on the same objects")
    if item.get("job_slice_count", 1) != 1:
        found.append(
            "job_slice_count: with slices the job itself has no artifacts, only each slice"
        )
    if any(one["inventory"] == item.get("inventory") for one in data["controller_groups"]):
        found += [
            f"{question['variable']}: asked for many hosts, where the inventory says it for each"
            for question in asked(item)
            if question.get("variable") in ONE_CLUSTER
        ]
    return found


_REFERENCES: Final = {
    "project": ["controller_projects"],
    "inventory": ["controller_inventories"],
    "execution_environment": ["controller_execution_environments"],
    "labels": ["controller_labels"],
}


def workflow(item: Item, data: Item) -> list[str]:
    """What is wrong with a workflow."""
    found = survey(item)
    templates = {one["name"]: one for one in data["controller_templates"]}
    nodes = {one["identifier"]: one for one in item[NODES]}
    if len(nodes) < len(item[NODES]):
        found.append("nodes: an identifier stands there twice")
    parents: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        if "approval_node" in node:
            if not node["approval_node"].get("timeout"):
                found.append(f"node {name}: no timeout, so that it would wait for ever")
        elif node.get("unified_job_template") not in templates:
            found.append(f"node {name}: {node.get('unified_job_template')}: no such template")
        handlers = [*node.get("failure_nodes", []), *node.get("always_nodes", [])]
        for following in [*handlers, *node.get("success_nodes", [])]:
            if following not in nodes:
                found.append(f"node {name}: goes on to {following}, which isn't there")
            parents.setdefault(following, []).append(name)
        ends = [nodes[one].get("unified_job_template") for one in handlers if one in nodes]
        fails = any(templates.get(str(one), {}).get("playbook", "").endswith(FAIL) for one in ends)
        if handlers and not fails:
            found.append(
                f"node {name}: its failure counts as dealt with, and the workflow as successful: "
                f"let it go on to a template of {FAIL} as well"
            )
    found += [
        f"node {name}: removes, and not only after an approval"
        for name, node in nodes.items()
        if str(templates.get(str(node.get("unified_job_template")), {}).get("playbook")).endswith(
            "teardown.yml"
        )
        and not (parents[name] and all("approval_node" in nodes[one] for one in parents[name]))
    ]
    return found


_RRULE: Final = (
    r"DTSTART(;TZID=[\w/+-]+)?:\d{8}T\d{6}Z? RRULE:FREQ=[A-Z]+;INTERVAL=\d+(;[A-Z]+=[^; ]+)*"
)


def schedule(item: Item, data: Item) -> list[str]:
    """What is wrong with a schedule."""
    found = []
    launched = [*data["controller_templates"], *data["controller_workflows"]]
    meant = [one for one in launched if one["name"] == item.get("unified_job_template")]
    if not meant:
        found.append(f"unified_job_template {item.get('unified_job_template')}: no such template")
    found += [
        f"{question['variable']}: a required question, which nobody answers at night"
        for one in meant
        for question in asked(one)
        if question.get("required")
    ]
    if not re.fullmatch(_RRULE, str(item.get("rrule"))):
        found.append(f"rrule {item.get('rrule')!r}: expected DTSTART and RRULE with an INTERVAL")
    return found


def credential_type(item: Item) -> list[str]:
    """What is wrong with a credential type, of which AWX says so only when it is used."""
    found = []
    fields = {field["id"]: field for field in item["inputs"]["fields"]}
    for name, field in fields.items():
        if field.get("type") not in ("string", "boolean"):
            found.append(f"field {name}: type {field.get('type')!r}: expected string or boolean")
    for name in item["inputs"].get("required", []):
        if name not in fields:
            found.append(f"required {name}: no such field")
    injectors = item["injectors"]
    for name in injectors.get("env", {}):
        if name.startswith("ANSIBLE_") or name in ("PATH", "PYTHONPATH", "LD_PRELOAD"):
            found.append(f"env {name}: AWX refuses that name")
    templates = [*injectors.get("file", {})]
    if "template" in templates and len(templates) > 1:
        found.append("file: template beside template.NAME, AWX refuses that")
    for text in [value for part in injectors.values() for value in part.values()]:
        for used in re.findall(r"{{\s*([\w.]+)\s*}}", str(text)):
            made = used.removeprefix("tower.filename.")
            if used not in fields and f"template.{made}" not in templates:
                found.append(f"{{{{ {used} }}}}: no such field and no such file")
    return found


# Options of awx.awx

Options = Mapping[str, Mapping[str, Any]]


def documented(modules: Iterable[str]) -> dict[str, Options]:
    """The options that the installed awx.awx documents, by module."""
    names = [f"awx.awx.{module}" for module in modules]
    command = ["ansible-doc", "--type", "module", "--json", *names]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {
        name.removeprefix("awx.awx."): entry["doc"]["options"]
        for name, entry in json.loads(said).items()
    }


def _specification(options: Options) -> dict[str, Any]:
    kept = ("type", "elements", "choices", "required", "aliases")
    return {
        name: {key: option[key] for key in kept if option.get(key)}
        for name, option in options.items()
    }


def misfits(item: Item, options: Options) -> list[str]:
    """What a module says of an item that it is given as its options."""
    result = ArgumentSpecValidator(_specification(options)).validate(dict(item))
    return [str(text) for text in result.error_messages]


def tasks(path: Path) -> list[Item]:
    """All tasks of a file, those in blocks too."""

    def inner(found: Sequence[Item]) -> list[Item]:
        return [one for task in found for one in [task, *inner(task.get("block", []))]]

    return inner(yaml.safe_load(path.read_text()))


def misused(task: Item, options: Mapping[str, Options]) -> list[str]:
    """What is wrong with the arguments of a task of awx.awx."""
    found = []
    for module in [key.removeprefix("awx.awx.") for key in task if key.startswith("awx.awx.")]:
        if module not in options:
            return [f"awx.awx.{module}: not among the modules that are looked at"]
        arguments, known = task[f"awx.awx.{module}"], options[module]
        found += [f"{name}: no option of {module}" for name in arguments.keys() - known.keys()]
        found += [
            f"{name}: {module} requires it"
            for name, option in known.items()
            if option.get("required") and name not in arguments
        ]
    return found


def unpassed(items: Iterable[Item], arguments: Item) -> list[str]:
    """The keys of items that the task that takes them doesn't hand on."""
    keys = {key for item in items for key in item}
    return sorted(keys - arguments.keys())


# All of it


def load(given: Item | None = None, place: Path = PLACE) -> dict[str, Any]:
    """The data, with everything in braces put in; ``given`` in place of :data:`EXAMPLE`."""
    loader = DataLoader()
    variables: dict[str, Any] = {}
    for path in sorted((place / "vars").glob("*.yml")):
        variables.update(loader.load_from_file(str(path), trusted_as_template=True))
    variables.update(EXAMPLE if given is None else given)
    templar = Templar(loader, variables)
    return {name: templar.template(variables[name]) for name in MODULES}


def problems(data: Item, playbooks: Mapping[str, str], options: Mapping[str, Options]) -> list[str]:
    """Everything that is wrong with the data, a line each."""
    rules: dict[str, Callable[[Item], list[str]]] = {
        "controller_credential_types": credential_type,
        "controller_templates": lambda item: template(item, data, playbooks),
        "controller_workflows": lambda item: workflow(item, data),
        "controller_schedules": lambda item: schedule(item, data),
    }
    found = []
    for name, module in MODULES.items():
        for item in data[name]:
            own = {key: value for key, value in item.items() if key != NODES}
            said = misfits(own, options[module])
            for node in item.get(NODES, []):
                whole = {**node, "workflow_job_template": item["name"]}
                said += [
                    f"node {node['identifier']}: {text}" for text in misfits(whole, options[NODE])
                ]
            if name in rules:
                said += rules[name](item)
            found += [f"{name}: {item['name']}: {text}" for text in said]
    return found


def problems_of_tasks(data: Item, options: Mapping[str, Options]) -> list[str]:
    """Everything that is wrong with the tasks that apply the data."""
    found, passed = [], {}
    for path in sorted((PLACE / "tasks").glob("*.yml")):
        for task in tasks(path):
            found += [f"{path.name}: {task['name']}: {text}" for text in misused(task, options)]
            if path.name == "present.yml":
                keys = [key for key in task if key.startswith("awx.awx.")]
                passed.update({key.removeprefix("awx.awx."): task[key] for key in keys[:1]})
    for name, module in MODULES.items():
        items = [{key: one[key] for key in one if key != NODES} for one in data[name]]
        for key in unpassed(items, passed.get(module, {})):
            found.append(f"present.yml: {module} isn't given {key}, which {name} has")
    return found
