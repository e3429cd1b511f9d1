# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the REST API of an AWX: as much of it as awx.awx's modules use for our data.

It is no AWX: it keeps what it is given in memory, runs nothing, and knows of its rules only those
below, which were seen on AWX 24.6.1. What it is good for is to run playbooks/awx/configure.yml
through awx.awx's own modules.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from tests.tools.loopback import listening

Item = dict[str, Any]

TOKEN = "a-token-of-the-stand-in"

#: By endpoint: the type of its objects, and what their names are unique in.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "organizations": ("organization", ("name",)),
    "labels": ("label", ("name", "organization")),
    "execution_environments": ("execution_environment", ("name",)),
    "projects": ("project", ("name", "organization")),
    "credential_types": ("credential_type", ("name",)),
    "credentials": ("credential", ("name", "organization", "credential_type")),
    "inventories": ("inventory", ("name", "organization")),
    "hosts": ("host", ("name", "inventory")),
    "groups": ("group", ("name", "inventory")),
    "job_templates": ("job_template", ("name", "organization")),
    "workflow_job_templates": ("workflow_job_template", ("name", "organization")),
    "workflow_job_template_nodes": (
        "workflow_job_template_node",
        ("identifier", "workflow_job_template"),
    ),
    "workflow_approval_templates": ("workflow_approval_template", ()),
    "schedules": ("schedule", ("name", "unified_job_template")),
    "project_updates": ("project_update", ()),
    "jobs": ("job", ()),
}
#: What can be launched, and found by unified_job_templates. Approvals are not listed there.
_UNIFIED = ("projects", "job_templates", "workflow_job_templates")
#: What is set where nothing was given; awx.awx sends null for it.
_DEFAULTS: dict[str, Item] = {
    "inventories": {"kind": "", "host_filter": None},
    "projects": {"scm_revision": "0" * 40, "local_path": ""},
    "credential_types": {"managed": False},
    "workflow_job_template_nodes": {"unified_job_template": None},
}
#: Which objects go with which other one, by the field that names it.
_BELONGS = {
    "organizations": ("organization",),
    "inventories": ("inventory",),
    "workflow_job_templates": ("workflow_job_template", "unified_job_template"),
    "job_templates": ("unified_job_template",),
    "projects": ("project",),
}
_SURVEY_KEYS = {"question_name": str, "variable": str, "type": str, "required": bool}


class Refused(Exception):
    """An answer that is none of success: the status, and what is wrong."""

    def __init__(self, status: int, said: Any) -> None:
        super().__init__(str(said))
        self.status = status
        self.said = said


class Controller:
    """What the stand-in keeps; ``changes`` lists the requests that changed it."""

    def __init__(self) -> None:
        self.items: dict[str, dict[int, Item]] = {endpoint: {} for endpoint in KINDS}
        self.surveys: dict[tuple[str, int], Item] = {}
        self.linked: dict[tuple[str, int, str], list[int]] = {}
        self.changes: list[str] = []
        self._last = 0
        galaxy = self.create(
            "credential_types", {"name": "Ansible Galaxy/Automation Hub API Token", "managed": True}
        )
        self.create(
            "credential_types",
            {"name": "OpenShift or Kubernetes API Bearer Token", "managed": True},
        )
        self.create(
            "credentials",
            {"name": "Ansible Galaxy", "organization": None, "credential_type": galaxy["id"]},
        )
        self.changes.clear()

    def names(self, endpoint: str) -> list[str]:
        """The names of an endpoint's objects."""
        return [one.get("name") or one["identifier"] for one in self.items[endpoint].values()]

    def create(self, endpoint: str, given: Item) -> Item:
        """Keep an object. Raises Refused where its name is taken or refers to nothing."""
        kind, unique = KINDS[endpoint]
        self._check_references(given)
        key = [given.get(field) for field in unique]
        for one in self.items[endpoint].values():
            if unique and [one.get(field) for field in unique] == key:
                raise Refused(400, {"__all__": [f"{kind} {key} already exists."]})
        self._last += 1
        item = {**_DEFAULTS.get(endpoint, {})}
        item.update({name: value for name, value in given.items() if value is not None})
        item.update(id=self._last, type=kind)
        self.items[endpoint][self._last] = item
        self.changes.append(f"POST {endpoint} {item.get('name', '')}")
        answer = self.shown(endpoint, item)
        if endpoint == "projects" and item.get("scm_type"):
            answer["summary_fields"]["current_update"] = {"id": self.update(item)["id"]}
        return answer

    def _check_references(self, given: Item) -> None:
        for field in ("organization", "inventory", "project", "credential_type"):
            known = {"inventory": "inventories"}.get(field, f"{field}s")
            if given.get(field) is not None and given[field] not in self.items[known]:
                raise Refused(400, {field: [f"Invalid pk {given[field]!r}"]})

    def update(self, project: Item) -> Item:
        """An update of a project, which has ended well."""
        self._last += 1
        done = {
            "id": self._last,
            "type": "project_update",
            "name": project["name"],
            "status": "successful",
            "failed": False,
            "finished": "now",
            "event_processing_finished": True,
            "scm_revision": project["scm_revision"],
        }
        self.items["project_updates"][self._last] = done
        return self.shown("project_updates", done)

    def shown(self, endpoint: str, item: Item) -> Item:
        """An object as it is answered with: with its links, and without its secrets."""
        url = f"/api/v2/{endpoint}/{item['id']}/"
        related = {"survey_spec": f"{url}survey_spec/", "update": f"{url}update/"}
        if item.get("unified_job_template"):
            approval = item["unified_job_template"]
            if approval in self.items["workflow_approval_templates"]:
                related["unified_job_template"] = f"/api/v2/workflow_approval_templates/{approval}/"
        summary: Item = {}
        if endpoint == "organizations":
            counted = ("inventories", "projects", "job_templates")
            summary["related_field_counts"] = {
                name: len(self.find(name, {"organization": str(item["id"])})) for name in counted
            }
        shown = {**item, "url": url, "related": related, "summary_fields": summary}
        if endpoint == "credentials":
            kind = self.items["credential_types"][item["credential_type"]]
            fields = kind.get("inputs", {}).get("fields", [])
            secret = {field["id"] for field in fields if field.get("secret")}
            shown["inputs"] = {
                name: "$encrypted$" if name in secret else value
                for name, value in item.get("inputs", {}).items()
            }
        return shown

    def _launch(self, endpoint: str, item: Item, given: Item) -> Item:
        spec = self.surveys.get((endpoint, item["id"]), {}).get("spec", [])
        missing = [one["variable"] for one in spec if one["required"]]
        missing = [f"'{name}' value missing" for name in missing if name not in given]
        if missing:
            raise Refused(400, {"variables_needed_to_start": missing})
        known = {one["variable"] for one in spec}
        stray = {name: value for name, value in given.items() if name not in known}
        asked = {name: value for name, value in given.items() if name in known}
        job = self.create(
            "jobs",
            {
                "name": item["name"],
                "job_template": item["id"],
                "extra_vars": json.dumps(asked),
                "status": "successful",
                "artifacts": {},
            },
        )
        return {**job, "ignored_fields": {"extra_vars": stray} if stray else {}}

    def find(self, endpoint: str, query: dict[str, str]) -> list[Item]:
        """The objects of an endpoint that a query string asks for."""
        sources = _UNIFIED if endpoint == "unified_job_templates" else (endpoint,)
        return [
            self.shown(source, item)
            for source in sources
            for item in self.items[source].values()
            if all(self._matches(item, field.split("__"), value) for field, value in query.items())
        ]

    def _matches(self, item: Item, field: list[str], value: str) -> bool:
        if field[0] == "page_size":
            return True
        if len(field) == 1:
            return str(item.get(field[0])).lower() == value.lower()
        endpoint = {"inventory": "inventories"}.get(field[0], f"{field[0]}s")
        referred = self.items[endpoint].get(item.get(field[0]) or 0)
        return referred is not None and self._matches(referred, field[1:], value)

    def change(self, endpoint: str, number: int, given: Item) -> Item:
        """Change an object."""
        item = self.get(endpoint, number)
        self._check_references(given)
        changed = {name: value for name, value in given.items() if value is not None}
        if any(item.get(name) != value for name, value in changed.items()):
            self.changes.append(f"PATCH {endpoint} {item.get('name', '')}")
        # What it has no field for is ignored, as there: an approval knows no identifier.
        if endpoint == "workflow_approval_templates":
            changed = {name: changed[name] for name in changed if name in item}
        item.update(changed)
        return self.shown(endpoint, item)

    def get(self, endpoint: str, number: int) -> Item:
        """An object as it is kept. Raises Refused where it isn't there."""
        try:
            return self.items[endpoint][number]
        except KeyError:
            raise Refused(404, {"detail": "Not found."}) from None

    def remove(self, endpoint: str, number: int) -> None:
        """Remove an object with all that belongs to it, and labels that nothing has any more."""
        item = self.get(endpoint, number)
        self.changes.append(f"DELETE {endpoint} {item.get('name', '')}")
        del self.items[endpoint][number]
        self.surveys.pop((endpoint, number), None)
        for field in _BELONGS.get(endpoint, ()):
            for other, kept in self.items.items():
                for one in [key for key, value in kept.items() if value.get(field) == number]:
                    if one in self.items[other]:
                        self.remove(other, one)
        self.items["workflow_approval_templates"].pop(item.get("unified_job_template") or 0, None)
        had = self.linked.pop((endpoint, number, "labels"), [])
        used = {label for key, ids in self.linked.items() if key[2] == "labels" for label in ids}
        for label in {*had} - used & {*self.items["labels"]}:
            self.items["labels"].pop(label, None)

    def answer(self, method: str, path: str, query: dict[str, str], given: Item) -> tuple[int, Any]:
        """Status and content of the answer to a request. Raises Refused."""
        endpoint, *rest = path.removeprefix("/api/v2/").strip("/").split("/")
        if endpoint != "unified_job_templates" and endpoint not in KINDS:
            raise Refused(404, {"detail": f"The stand-in has no {endpoint}."})
        if not rest:
            if method == "POST":
                return 201, self.create(endpoint, given)
            found = self.find(endpoint, query)
            return 200, {"count": len(found), "next": None, "previous": None, "results": found}
        number, *below = int(rest[0]), *rest[1:]
        if not below:
            if method == "PATCH":
                return 200, self.change(endpoint, number, given)
            if method == "DELETE":
                self.remove(endpoint, number)
                return 202 if endpoint == "inventories" else 204, None
            return 200, self.shown(endpoint, self.get(endpoint, number))
        return self._below(method, endpoint, number, below[0], given)

    def _below(
        self, method: str, endpoint: str, number: int, what: str, given: Item
    ) -> tuple[int, Any]:
        item = self.get(endpoint, number)
        if what == "survey_spec":
            if method == "GET":
                return 200, self.surveys.get((endpoint, number), {})
            refuse_survey(given)
            self.surveys[endpoint, number] = given
            self.changes.append(f"POST survey of {item['name']}")
            return 200, None
        if what == "update":
            return 202, self.update(item)
        if what == "launch":
            return 201, self._launch(endpoint, item, given.get("extra_vars", {}))
        if what == "stdout":
            return 200, "The stand-in runs nothing."
        if what == "create_approval_template":
            made = self.create("workflow_approval_templates", {"description": "", **given})
            item["unified_job_template"] = made["id"]
            return 201, made
        links = self.linked.setdefault((endpoint, number, what), [])
        if method == "GET":
            found = [{"id": one} for one in links]
            return 200, {"count": len(found), "next": None, "previous": None, "results": found}
        self.changes.append(f"POST {what} of {item.get('name') or item.get('identifier')}")
        if given.get("disassociate"):
            links.remove(given["id"])
        else:
            links.append(given["id"])
        return 204, None


def refuse_survey(survey: Item) -> None:
    """Raises Refused for what AWX refuses of a survey, as far as the data could have it wrong."""
    if {"name", "description", "spec"} - survey.keys() or not survey["spec"]:
        raise Refused(400, {"error": "name, description and spec are required"})
    for number, question in enumerate(survey["spec"]):
        for key, kind in _SURVEY_KEYS.items():
            if not isinstance(question.get(key), kind):
                raise Refused(400, {"error": f"{key} of question {number} is missing or no {kind}"})
        if "default" in question and question["default"] is None:
            raise Refused(400, {"error": f"default of question {number} is null"})
    variables = [question["variable"] for question in survey["spec"]]
    if len({*variables}) < len(variables):
        raise Refused(400, {"error": "two questions have the same variable"})


class _Handler(BaseHTTPRequestHandler):
    controller: ClassVar[Controller]
    lock: ClassVar[threading.Lock]

    def _handle(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise Refused(401, {"detail": "Invalid token."})
            with self.lock:
                status, said = self.controller.answer(
                    self.command, url.path, dict(parse_qsl(url.query)), json.loads(body or b"{}")
                )
        except Refused as refused:
            status, said = refused.status, refused.said
        content = b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("X-API-Product-Name", "AWX")
        self.send_header("X-API-Product-Version", "24.6.1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = _handle

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep quiet."""


@contextmanager
def serving(controller: Controller) -> Iterator[str]:
    """Serve it on a port of loopback meanwhile; the URL."""
    handler = type("Handler", (_Handler,), {"controller": controller, "lock": threading.Lock()})
    with listening(handler) as url:
        yield url
