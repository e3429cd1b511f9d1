# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the virtual environment of this checkout's lock file and run a command in it.

    python3 -m tools.environment [--python PYTHON] [-- COMMAND …]

PYTHON is a path, a name (``python3.12``) or a version (``3.12``); without it, the CPython of the
distribution, or else the newest one that is found here. The environment stands in the cache, where
every clone with the same lock file uses it; ``.venv`` in the checkout is a link to it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import packages
from lab.errors import SetupError
from lab.settings import CACHE, REPOSITORY
from lab.steps import Report, last_line, locked, run_with_progress

#: What ansible-core 2.19 (3.11) and 2.20 (3.12 to 3.14) run on.
OLDEST: Final = (3, 11)
NEWEST: Final = (3, 14)

LOCK: Final = REPOSITORY / "requirements" / "dev.txt"
LINK: Final = REPOSITORY / ".venv"
BUILD: Final = REPOSITORY / "build"

#: Where distributions install theirs. They build it with profile-guided optimization, which pyenv
#: leaves out unless told: ``site.yml`` takes a fifth less with Debian's 3.11 than with its 3.13.
SYSTEM: Final = Path("/usr/bin")

#: Written last: an environment without it is one that was interrupted.
MARKER: Final = ".complete"

_PROBE: Final = """
import importlib.util, json, platform, sys, sysconfig
print(json.dumps({
    "path": sys.executable,
    "version": sys.version_info[:3],
    "usable": platform.python_implementation() == "CPython"
              and sys.version_info.releaselevel == "final"
              and not sysconfig.get_config_var("Py_GIL_DISABLED"),
    "has_pip": importlib.util.find_spec("ensurepip") is not None,
}))
"""

#: Variables of the caller that would change what Ansible, Python or the tests do. REAL_IP_LAB and
#: REAL_IP_LAB_ASSETS stay: they are the lab's own settings.
_FOREIGN: Final = re.compile(
    r"(ANSIBLE|AWX|K8S_AUTH|KUBE|MOLECULE|MYPY|PYTEST|PYTHON|RUFF|TOWER|YAMLLINT)\w*"
    r"|CLICOLOR_FORCE|FORCE_COLOR|LANGUAGE|LC_\w+|PY_COLORS|VIRTUAL_ENV"
)

_PROXY: Final = re.compile(r"(?i)(all|ftp|http|https|no)_proxy")


@dataclass(frozen=True)
class Interpreter:
    """A CPython that runs: released, with the global lock."""

    path: Path
    version: tuple[int, int, int]
    has_pip: bool = True

    def __str__(self) -> str:
        return f"CPython {self.full} ({self.path})"

    @property
    def full(self) -> str:
        """The version with all its parts, as ``3.13.0``."""
        return ".".join(map(str, self.version))

    @property
    def short(self) -> str:
        """The version that a name carries, as ``3.13``."""
        return ".".join(map(str, self.version[:2]))


def find(
    environ: Mapping[str, str],
    oldest: tuple[int, int] = OLDEST,
    newest: tuple[int, int] = NEWEST,
) -> list[Interpreter]:
    """Return the interpreters of PATH and of pyenv that run here, newest first.

    Of one version the first on PATH. A pyenv shim whose version isn't activated doesn't run; the
    interpreter behind it is found in pyenv's own directory.
    """
    found: dict[tuple[int, int, int], Interpreter] = {}
    for candidate in _candidates(environ):
        named = re.fullmatch(r"python(\d)\.(\d+)", candidate.name)
        if named and not oldest <= (int(named[1]), int(named[2])) <= newest:
            continue
        interpreter = probe(candidate)
        if interpreter and oldest <= interpreter.version[:2] <= newest:
            found.setdefault(interpreter.version, interpreter)
    return [found[version] for version in sorted(found, reverse=True)]


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    pyenv = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "~")) / ".pyenv")
    directories = [Path(part) for part in environ.get("PATH", "").split(os.pathsep) if part]
    for directory in [*directories, *sorted(pyenv.glob("versions/*/bin"))]:
        if directory.is_dir():
            yield from (
                path
                for path in sorted(directory.iterdir())
                if re.fullmatch(r"python3(\.\d+)?", path.name)
            )


def probe(path: Path) -> Interpreter | None:
    """Run an interpreter to learn what it is; None if it doesn't run or can't be used."""
    try:
        done = subprocess.run(
            [path, "-I", "-c", _PROBE], capture_output=True, timeout=20, check=True
        )
        said = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    major, minor, patch = said["version"]
    return (
        Interpreter(Path(said["path"]), (major, minor, patch), said["has_pip"])
        if said["usable"]
        else None
    )


def choose(wanted: str, environ: Mapping[str, str], system: Path = SYSTEM) -> Interpreter:
    """Return the interpreter that the user asked for.

    Without a wish that of the distribution, whose directory is ``system``, or else the newest one.
    """
    if "/" in wanted:
        found = [one for one in [probe(Path(wanted))] if one]
    else:
        version = wanted.removeprefix("python")
        found = [one for one in find(environ) if not version or _is(one, version)]
    supported = [one for one in found if OLDEST <= one.version[:2] <= NEWEST]
    if supported:
        ours = [one for one in supported if not wanted and one.path.parent == system]
        return [*ours, *supported][0]
    span = f"CPython {'.'.join(map(str, OLDEST))} to {'.'.join(map(str, NEWEST))}"
    here = ", ".join(str(one) for one in find(environ)) or "none"
    if wanted:
        raise SetupError(f"PYTHON={wanted} names no {span} that runs here; found: {here}.")
    raise SetupError(f"A {span} is needed, and none runs here; on Debian: apt install python3.")


def _is(interpreter: Interpreter, version: str) -> bool:
    return f"{interpreter.full}.".startswith(f"{version}.")


def ensure(interpreter: Interpreter, lock: Path, cache: Path, report: Report) -> Path:
    """Return the virtual environment of an interpreter and a lock file; make it if it's missing."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    directory = cache / f"venv-{interpreter.full}-{digest}"
    if (directory / MARKER).exists():
        return directory
    with locked(cache / f"{directory.name}.lock", report):
        if not (directory / MARKER).exists():
            shutil.rmtree(directory, ignore_errors=True)
            report(f"Making the virtual environment {directory} with {interpreter}, once.")
            _make(directory, interpreter, lock, report)
            (directory / MARKER).touch()
    return directory


def _make(directory: Path, interpreter: Interpreter, lock: Path, report: Report) -> None:
    log = directory.parent / f"{directory.name}.log"
    # Isolated, so that the caller's PYTHONPATH or user site neither help nor hinder.
    python: list[str | Path] = [directory / "bin" / "python", "-I", "-m"]
    hashed = ["--require-hashes", "--only-binary=:all:", f"--requirement={lock}"]
    # The lock is complete, so nothing is resolved. Compiling all of the ansible package takes
    # longer than everything else together, and Ansible's loader doesn't use it.
    plain = ["--no-deps", "--no-compile", "--no-input", "--disable-pip-version-check"]
    steps: list[tuple[str, list[str | Path]]] = [
        ("Virtual environment", [interpreter.path, "-I", "-m", "venv", directory]),
        (f"Packages of requirements/{lock.name}", [*python, "pip", "install", *hashed, *plain]),
        (
            "Compilation",
            [*python, "compileall", "-qj0", "-x/ansible_collections/", directory / "lib"],
        ),
        ("Check of the packages", [*python, "pip", "check"]),
    ]
    for what, command in steps:
        if run_with_progress(command, what=what, log=log, report=report) != 0:
            raise SetupError(f"{what}: failed, {last_line(log)!r}. The whole output: {log}")
    log.unlink()


def link(directory: Path, name: Path = LINK) -> None:
    """Let the checkout's ``.venv`` point to the environment, in one step."""
    if name.exists() and not name.is_symlink():
        raise SetupError(f"{name} is no link but a file or directory of its own. Next: remove it.")
    draft = name.with_name(f"{name.name}.{os.getpid()}")
    draft.symlink_to(directory)
    draft.replace(name)


def variables(venv: Path, environ: Mapping[str, str], build: Path = BUILD) -> dict[str, str]:
    """Return the environment variables of everything that the Makefile runs.

    Nothing of the user's Ansible settings is seen or changed. The collection's own place is not
    named: in a checkout playbooks find it without.
    """
    kept = {name: value for name, value in environ.items() if not _FOREIGN.fullmatch(name)}
    [packages] = (venv / "lib").glob("python3.*/site-packages")
    build.mkdir(parents=True, exist_ok=True)
    # An empty file, since Ansible refuses /dev/null.
    (build / "ansible.cfg").touch()
    return {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": str(packages),
        "ANSIBLE_CONFIG": str(build / "ansible.cfg"),
        "ANSIBLE_HOME": str(build / "ansible"),
        # A checkout may belong to somebody else than root, who runs the lab; git refuses that.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": str(REPOSITORY),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PATH": os.pathsep.join([str(venv / "bin"), environ.get("PATH") or os.defpath]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "VIRTUAL_ENV": str(venv),
    }


def without_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without proxies: for everything but what asks package registries."""
    return {name: value for name, value in environ.items() if not _PROXY.fullmatch(name)}


def _report(line: str) -> None:
    print(line, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Make the environment; replace this process by the command, if there is one."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.environment", allow_abbrev=False)
    parser.add_argument("--python", default="", help="path, name or version of the CPython to use")
    parser.add_argument("command", nargs="*", help="what to run in the environment")
    options = parser.parse_args(arguments)
    try:
        interpreter = choose(options.python, os.environ)
        if not interpreter.has_pip:
            # Debian and Ubuntu ship ensurepip in a package of its own.
            why = f"makes virtual environments of {interpreter}"
            packages.install([f"python{interpreter.short}-venv"], why, _report)
        venv = ensure(interpreter, LOCK, CACHE, _report)
        link(venv)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 2
    environment = variables(venv, os.environ)
    if options.command:
        os.chdir(REPOSITORY)
        os.execvpe(options.command[0], options.command, environment)
    print(f"{LINK.name} is ready: {interpreter}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
