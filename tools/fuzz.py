# SPDX-License-Identifier: GPL-3.0-or-later
"""Feed what reads an echo app's answers with made-up ones, and stop at the first fault.

    python -m tools.fuzz [SECONDS]

Runs tools/fuzz_target.py with a CPython that atheris has a wheel for, in an environment of its own.
What was found worth mutating stays in build/fuzz/corpus, inputs that show a fault in build/fuzz.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab.errors import SetupError
from lab.settings import CACHE, REPOSITORY
from tools import environment

#: Those that the atheris of requirements/fuzz.in has wheels for.
OLDEST: Final = (3, 12)
NEWEST: Final = (3, 14)

LOCK: Final = REPOSITORY / "requirements" / "fuzz.txt"
PLACE: Final = environment.BUILD / "fuzz"
FIXTURES: Final = REPOSITORY / "tests/unit/plugins/module_utils/fixtures/echo"

#: What makes a document one of an echo app's, for the mutator to put in.
WORDS: Final = (
    *('"kestrel": 1', '"headers": {', '"headers": [[', '"method"', '"message"', '"peer"', '"pod"'),
    *(
        '"address"',
        '"args": {',
        '"show_env"',
        '"origin"',
        '"url"',
        '"os": {',
        '"hostname"',
        '"xhr"',
    ),
    *(
        '"ip"',
        '"ips"',
        '"path"',
        '"protocol"',
        '"query"',
        '"subdomains"',
        '"connection"',
        '"proto"',
    ),
    *('"host"', '"namespace"', '"ingress"', '"service"', '"remoteAddr"', '"X-Forwarded-For"'),
    *("Hostname: ", "IP: ", "RemoteAddr: ", "Name: ", "GET / HTTP/1.1\r\n", "Host: ", "\r\n\r\n"),
    *("\nPod Information:\n", "\nServer values:\n", "\nRequest Information:\n", "\tpod name:\t"),
    *(
        "\nRequest Headers:\n",
        "\nRequest Body:\n",
        "\tclient_address=",
        "&lt;",
        "\\u0000",
        "\\ud800",
    ),
    *(
        "X-Forwarded-For: ",
        "Forwarded: for=",
        "203.0.113.20",
        "[2001:db8::1]:80",
        "X-Kestrel-Nonce",
    ),
)


def python(environ: Mapping[str, str]) -> environment.Interpreter:
    """Return an interpreter that atheris runs on."""
    found = [one for one in environment.find(environ, OLDEST, NEWEST) if one.has_pip]
    if not found:
        span = f"CPython {'.'.join(map(str, OLDEST))} to {'.'.join(map(str, NEWEST))}"
        here = ", ".join(map(str, environment.find(environ, (3, 0), (3, 99)))) or "none"
        raise SetupError(f"atheris needs a {span} with pip, and none is here; found: {here}.")
    return found[0]


def seeds(corpus: Path) -> None:
    """Write the bodies of the recorded answers, each for every way to read it (the first byte)."""
    corpus.mkdir(parents=True, exist_ok=True)
    for file in FIXTURES.glob("*.json"):
        for place, exchange in enumerate(json.loads(file.read_text("utf-8"))["exchanges"]):
            body = exchange["answer"].encode("latin-1").partition(b"\r\n\r\n")[2]
            # A chunked one: the only chunk.
            body = body.partition(b"\r\n")[2] if body[:1].isdigit() else body
            for way in (0, 1):
                (corpus / f"{file.stem}-{place}-{way}").write_bytes(bytes([way]) + body)


def words(file: Path) -> None:
    """Write the dictionary in libFuzzer's form."""
    quoted = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in WORDS)
    file.write_text("".join(f'"{word}"\n' for word in quoted))


def main(arguments: list[str]) -> int:
    """Fuzz for some seconds; return libFuzzer's exit status, 0 for no fault."""
    seconds = int(arguments[0]) if arguments else 600
    try:
        interpreter = python(os.environ)
        venv = environment.ensure(interpreter, LOCK, CACHE, print)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 2
    seeds(PLACE / "corpus")
    words(PLACE / "words")
    command: list[str | Path] = [venv / "bin" / "python", "-m", "tools.fuzz_target"]
    command += [
        f"-max_total_time={seconds}",
        "-max_len=4096",
        "-timeout=10",
        "-print_final_stats=1",
    ]
    command += [f"-dict={PLACE / 'words'}", f"-artifact_prefix={PLACE}/", PLACE / "corpus"]
    collections = REPOSITORY / "playbooks" / "collections"
    done = subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(collections)}, check=False
    )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
