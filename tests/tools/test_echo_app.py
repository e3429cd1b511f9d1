# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundled echo app with the oldest Python here that an image may bring."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request

from lab.settings import REPOSITORY
from tools import collection, environment

APP = REPOSITORY / "roles" / "deployment" / "files" / "echo.py"


def test_it_runs_with_the_oldest_python() -> None:
    oldest = environment.find(os.environ, collection.OLDEST_TARGET)[-1]
    with subprocess.Popen(
        [oldest.path, "-I", "-B", APP],
        env={"KESTREL_PORT": "0", "POD_NAME": "pod-1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.endswith(f"Python {oldest.full}\n")
            port = re.findall(r"port (\d+)", line)[0]
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://127.0.0.1:{port}/", timeout=30) as answer:
                assert json.load(answer)["pod"] == "pod-1"
        finally:
            process.terminate()
        assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


def test_a_template_leaves_it_as_it_is() -> None:
    """Ansible before 2.19 would take such marks for templates of its own."""
    assert not re.search(r"\{\{|\{%|\{#", APP.read_text())
