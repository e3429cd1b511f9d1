# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs job templates as an AWX does, from what the stand-in of its API was given.

No AWX runs here. What one makes of a template is done over by the rules of its source: inventory
script, what credentials put in, variables, and arguments (build_inventory, build_env, build_args
and build_extra_vars_file in awx/main/tasks/jobs.py, get_script_data and inject_credential in its
models). There ansible-runner starts the playbook in a container of the image; here it is started in
an environment of nothing but what the image gets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tests.awx.client import Job
from tests.lab.playbooks import Playbooks, Run
from tests.tools.controller import Controller, Item

#: What AWX sets for every job, by its own defaults.
SETTINGS = {
    "ANSIBLE_FORCE_COLOR": "True",
    "ANSIBLE_HOST_KEY_CHECKING": "False",
    "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
    "ANSIBLE_PARAMIKO_RECORD_HOST_KEYS": "False",
    "ANSIBLE_RETRY_FILES_ENABLED": "False",
}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Unsafe(yaml.SafeDumper):
    """Marks each text as none to be templated, as AWX does with the variables of a launch."""


Unsafe.add_representer(str, lambda dumper, text: dumper.represent_scalar("!unsafe", text))


def script(kept: Controller, inventory: int) -> Item:
    """What an inventory's script prints."""

    def variables(item: Item) -> Item:
        return yaml.safe_load(item.get("variables") or "{}") or {}

    def inside(endpoint: str) -> dict[int, Item]:
        of = kept.items[endpoint].items()
        return {key: one for key, one in of if one["inventory"] == inventory}

    hosts, groups = inside("hosts"), inside("groups")
    members = {
        one["name"]: [hosts[host]["name"] for host in kept.linked.get(("groups", key, "hosts"), [])]
        for key, one in groups.items()
    }
    names = {one["name"] for one in hosts.values()}
    return {
        "all": {
            "vars": variables(kept.items["inventories"][inventory]),
            "hosts": sorted(names.difference(*members.values())),
            "children": [*members],
        },
        **{
            one["name"]: {"hosts": members[one["name"]], "vars": variables(one)}
            for one in groups.values()
        },
        "_meta": {
            "hostvars": {
                one["name"]: {
                    **variables(one),
                    "remote_host_enabled": "true",
                    "remote_host_id": key,
                    "remote_tower_enabled": "true",
                    "remote_tower_id": key,
                }
                for key, one in hosts.items()
            }
        },
    }


def injected(kind: Item, inputs: Item, directory: Path) -> dict[str, str]:
    """The environment variables that a credential of a type is for a job; its files are written."""
    sandbox = ImmutableSandboxedEnvironment()
    given: Item = {name: value for name, value in inputs.items() if value != ""}
    files = {}
    for label, text in kind["injectors"].get("file", {}).items():
        path = directory / label
        path.write_text(sandbox.from_string(text).render(given))
        path.chmod(0o600)
        files[label.removeprefix("template.")] = str(path)
    given["tower"] = {"filename": files}
    return {
        name: sandbox.from_string(text).render(given)
        for name, text in kind["injectors"].get("env", {}).items()
    }


class Jobs:
    """Runs jobs in the operator's namespace of a lab.

    ``image``: what the image has, as the fixture of that name; ``place``: a directory with the
    project, and in ``requirements_collections`` what its update has installed.
    """

    def __init__(
        self, kept: Controller, playbooks: Playbooks, image: Mapping[str, str], place: Path
    ) -> None:
        self.kept = kept
        self.playbooks = playbooks
        self.image = image
        self.place = place

    def named(self, endpoint: str, name: str) -> tuple[int, Item]:
        """An object with its number, by its name."""
        [found] = [one for one in self.kept.items[endpoint].items() if one[1].get("name") == name]
        return found

    def next_ones(self, workflow: str, identifier: str, links: str) -> list[str]:
        """The templates that follow a node of a workflow: ``links`` is failure_nodes or another."""
        number, __ = self.named("workflow_job_templates", workflow)
        nodes = {
            key: one
            for key, one in self.kept.items["workflow_job_template_nodes"].items()
            if one["workflow_job_template"] == number
        }
        [node] = [key for key, one in nodes.items() if one["identifier"] == identifier]
        followers = self.kept.linked.get(("workflow_job_template_nodes", node, links), [])
        templates = [nodes[one]["unified_job_template"] for one in followers]
        return sorted(self.kept.items["job_templates"][one]["name"] for one in templates)

    def run(self, launched: int, artifacts: Mapping[str, Any] | None = None) -> Job:
        """Run a job that was launched; ``artifacts``: those of a node before it in a workflow."""
        job = self.kept.items["jobs"][launched]
        template = self.kept.items["job_templates"][job["job_template"]]
        directory = self.place / str(launched)
        directory.mkdir()
        inventory = directory / "hosts"
        content = json.dumps(script(self.kept, template["inventory"]))
        inventory.write_text(f"#! /usr/bin/env python3\nprint({content!r})\n")
        inventory.chmod(0o700)
        extra = directory / "extravars"
        given = {
            **json.loads(job["extra_vars"]),
            **(artifacts or {}),
            "awx_job_id": launched,
            "awx_job_template_name": template["name"],
        }
        extra.write_text(yaml.dump(given, Dumper=Unsafe))
        words = ["-i", str(inventory), "-e", f"@{extra}", "-u", "root"]
        words += [f"--forks={template['forks']}", template["playbook"]]
        environment = {
            **SETTINGS,
            **self._credentials(job["job_template"], directory),
            "ANSIBLE_COLLECTIONS_PATH": f"{self.place}/requirements_collections:"
            f"~/.ansible/collections:{self.image['ANSIBLE_COLLECTIONS_PATH']}",
            # In place of ansible-runner, which hands them on: they are printed.
            "ANSIBLE_SHOW_CUSTOM_STATS": "1",
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "PATH": f"{self.image['VENV']}:/usr/bin:/bin:/usr/sbin:/sbin",
        }
        return self._play(environment, words)

    def _credentials(self, template: int, directory: Path) -> dict[str, str]:
        environment = {}
        for number in self.kept.linked.get(("job_templates", template, "credentials"), []):
            credential = self.kept.items["credentials"][number]
            kind = self.kept.items["credential_types"][credential["credential_type"]]
            environment.update(injected(kind, credential["inputs"], directory))
        return environment

    def _play(self, environment: Mapping[str, str], words: Iterable[str]) -> Job:
        # In a container nothing of the machine's environment is there, the kubeconfig least of all.
        clean = ["env", "-i", "-C", str(self.place / "project")]
        clean += [f"{name}={value}" for name, value in environment.items()]
        status, said = self.playbooks.execute("operator", *clean, "ansible-playbook", *words)
        output = COLOUR.sub("", said)
        assert "Traceback" not in output, output
        artifacts = Run(status, output, 0).statistics() if "RUN:" in output else {}
        return Job("failed" if status else "successful", artifacts, output)
