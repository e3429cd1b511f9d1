# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of a controller's API as it takes to launch a template and to read what came of it."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: What a job ends as
ENDED = ("successful", "failed", "error", "canceled")


@dataclass(frozen=True)
class Job:
    """A job that has ended."""

    status: str
    artifacts: Mapping[str, Any]
    output: str


class Client:
    """Speaks to a controller with a token."""

    def __init__(self, host: str, token: str) -> None:
        self.host = host.rstrip("/")
        self.token = token

    def ask(self, path: str, content: Mapping[str, Any] | None = None) -> Any:
        """The answer to GET, or with ``content`` to POST; text where it isn't JSON."""
        request = urllib.request.Request(
            f"{self.host}/api/v2/{path}",
            data=None if content is None else json.dumps(content).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = answer.read().decode()
        return json.loads(said) if answer.headers["Content-Type"] == "application/json" else said

    def launch(self, organization: str, template: str, **variables: Any) -> tuple[int, set[str]]:
        """The number of the job, and the variables that AWX has ignored.

        It ignores what no question asks for without a word but this one.
        """
        where = urllib.parse.urlencode({"name": template, "organization__name": organization})
        [found] = self.ask(f"job_templates/?{where}")["results"]
        launched = self.ask(f"job_templates/{found['id']}/launch/", {"extra_vars": variables})
        return launched["id"], {*launched["ignored_fields"].get("extra_vars", {})}

    def wait(self, job: int, seconds: float) -> Job:
        """The job, once it has ended."""
        until = time.monotonic() + seconds
        while (found := self.ask(f"jobs/{job}/"))["status"] not in ENDED:
            assert time.monotonic() < until, f"job {job} is {found['status']} after {seconds} s"
            time.sleep(2)
        return Job(found["status"], found["artifacts"], self.ask(f"jobs/{job}/stdout/?format=txt"))
