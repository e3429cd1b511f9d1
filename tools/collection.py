# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks that need the collection in the place and the shape that users have it in.

    python -m tools.collection sanity | units | lint | docs | molecule | artifact

ansible-test works only in a directory …/ansible_collections/kestrel/real_ip, and not through a
link. So all but the last two work on a copy of what git knows or would know.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lab.errors import SetupError
from lab.settings import REPOSITORY
from tools import environment, files, package

NAME: Final = "kestrel.real_ip"
COPIES: Final = environment.BUILD / "collections"
INSTALLED: Final = environment.BUILD / "installed"

#: Collections that ours imports from or documents with; linked next to the copy.
NEIGHBOURS: Final = ("kubernetes",)

#: The oldest Python that modules and what they import must run on, see tests/config.yml.
OLDEST_TARGET: Final = (3, 9)

#: What an artifact may have at its top.
TOP: Final = frozenset(
    {
        *("FILES.json", "MANIFEST.json"),
        *("CHANGELOG.rst", "LICENSE", "README.md", "README_zh.md"),
        *("changelogs", "docs", "extensions", "meta", "playbooks", "plugins", "roles"),
    }
)

#: Where ansible-doc finds the documents of what kind. A module may also stand for an action.
DOCUMENTED: Final = {"module": "plugins/modules", "filter": "plugins/filter", "role": "roles"}


def copy_for(check: str) -> Path:
    """Return where the copy for a check is. Each has its own, since some run side by side."""
    return COPIES / check / "ansible_collections" / "kestrel" / "real_ip"


def lay_out(copy: Path, root: Path = REPOSITORY) -> Path:
    """Make a copy anew, with links to the collections that ours needs next to it; return it."""
    shutil.rmtree(copy, ignore_errors=True)
    for path in files.known(root):
        target = copy / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / path, target)
    # What isn't a repository of its own is to ansible-test an ignored directory of the checkout's.
    subprocess.run(["git", "init", "--quiet", copy], check=True)
    link_neighbours(copy.parent.parent)
    return copy


def link_neighbours(directory: Path) -> None:
    """Let those that look for collections in ``directory`` find those that ours needs."""
    directory.mkdir(parents=True, exist_ok=True)
    for neighbour in NEIGHBOURS:
        link = directory / neighbour
        link.unlink(missing_ok=True)
        link.symlink_to(_bundle() / "ansible_collections" / neighbour)


def _bundle() -> Path:
    """Return the directory with the collections of the ansible package."""
    return Path(os.environ["ANSIBLE_COLLECTIONS_PATH"])


def _run(
    command: Sequence[str | Path],
    where: Path,
    *,
    show: bool = True,
    collections: Path | None = None,
    pythons: Path | None = None,
) -> tuple[int, str]:
    """Run a command; return its exit status and what it printed.

    Its output is shown as it comes, or with ``show`` off only its errors. ``collections`` and
    ``pythons`` are directories in which it also finds collections and interpreters.
    """
    environ = dict(os.environ)
    if collections:
        environ["ANSIBLE_COLLECTIONS_PATH"] = f"{collections}:{environ['ANSIBLE_COLLECTIONS_PATH']}"
    if pythons:
        environ["PATH"] = f"{environ['PATH']}:{pythons}"
    said = []
    with subprocess.Popen(
        command,
        cwd=where,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if show else None,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            said.append(line)
            if show:
                print(line, end="", flush=True)
    return process.returncode, "".join(said)


# ansible-test

#: What it says when it leaves something out, and then succeeds.
GAPS: Final = ("All targets skipped", "Required program", "Skipping sanity test")

#: Stands in for get-pip.py, which it would download from outside the package registry.
BOOTSTRAP: Final = """\
# Written by `make test` of kestrel.real_ip: this Python's own pip installs the one wanted.
import os, subprocess, sys
subprocess.run([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL, check=True)
options = [one for one in sys.argv[1:] if one not in ("--no-setuptools", "--no-wheel")]
os.execv(sys.executable, [sys.executable, "-m", "pip", "install", "--upgrade", *options])
"""

_PIP_VERSION: Final = """
import types
from ansible_test._internal.python_requirements import get_venv_packages
print(get_venv_packages(types.SimpleNamespace(version=""))["pip"])
"""


def sanity() -> bool:
    """Run every sanity test, with this Python and the oldest one here that modules may meet."""
    copy = lay_out(copy_for("sanity"))
    _seed_bootstrap()
    here = _short_version()
    pythons = environment.BUILD / "pythons"
    command = ["ansible-test", "sanity", "--color", "no", "--controller", f"origin:python={here}"]
    command += ["--target-python", here]
    oldest = environment.find(os.environ, OLDEST_TARGET)[-1]
    if oldest.version[:2] < sys.version_info[:2]:
        command += ["--target-python", f"{oldest.short}@{_named(pythons, oldest)}"]
    print(f"Python of the controller {here}, oldest of a target {oldest.short}", flush=True)
    status, said = _run(command, copy, pythons=pythons)
    gaps = [line for line in said.splitlines() if any(gap in line for gap in GAPS)]
    for gap in gaps:
        print(f"Not tested: {gap}")
    return status == 0 and not gaps


def _short_version() -> str:
    return ".".join(map(str, sys.version_info[:2]))


def _named(directory: Path, interpreter: environment.Interpreter) -> Path:
    """Give the interpreter the name by which the import test looks for it on PATH."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    name = directory / f"python{interpreter.short}"
    name.symlink_to(interpreter.path)
    return name


def _seed_bootstrap() -> None:
    asked = subprocess.run(
        [sys.executable, "-c", _PIP_VERSION], capture_output=True, text=True, check=True
    )
    version = asked.stdout.strip().replace(".", "_")
    script = Path.home() / ".ansible" / "test" / "cache" / f"get_pip_{version}.py"
    if not script.exists():
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(BOOTSTRAP)


def units() -> bool:
    """Run the unit tests of the plugins."""
    copy = lay_out(copy_for("units"))
    command = ["ansible-test", "units", "--color", "no", "--local", "--python", _short_version()]
    return _run(command, copy)[0] == 0


# What looks for the collection by its name


def lint() -> bool:
    """Check roles and playbooks, and that every module they name exists."""
    copy = lay_out(copy_for("lint"))
    # The collection is installed there once, and later modules would be unknown there.
    installed = environment.BUILD / "ansible" / "collections"
    if installed.exists():
        shutil.rmtree(installed)
    return _run(["ansible-lint", "--nocolor"], copy, collections=copy.parents[2])[0] == 0


def docs() -> bool:
    """Check documentation of plugins and roles, and every reference in it."""
    copy = lay_out(copy_for("docs"))
    options = ["--plugin-docs", "--skip-rstcheck", "--validate-collection-refs=dependent"]
    return _run(["antsibull-docs", "lint-collection-docs", *options, "."], copy)[0] == 0


def molecule() -> bool:
    """Run the scenarios of molecule/, each on a test cluster of its own."""
    collections = REPOSITORY / "playbooks" / "collections"
    # After a run that failed it would take its cluster for one that is still there.
    steps = (["reset", "--all"], ["test", "--all"])
    ended = [_run(["molecule", *step], REPOSITORY, collections=collections) for step in steps]
    return all(status == 0 for status, __ in ended)


# The artifact


def artifact() -> bool:
    """Build the artifact, look at what it holds, install it elsewhere, read all its documents."""
    directory = environment.BUILD / "artifact"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.rmtree(INSTALLED, ignore_errors=True)
    built = package.build(REPOSITORY, directory, package.epoch(os.environ))
    names = package.names(built.read_bytes())
    print(f"{built.name}: {built.stat().st_size // 1024} KiB, {len(names)} members", flush=True)
    wrong = misplaced(names)
    for name in wrong:
        print(f"Must not be in the artifact: {name}; see build_ignore in galaxy.yml", flush=True)
    install = ["ansible-galaxy", "collection", "install", str(built), "--no-deps", "--offline"]
    where = ["--collections-path", str(INSTALLED)]
    if _run([*install, *where], directory, collections=INSTALLED)[0] != 0:
        return False
    missing = _undocumented(INSTALLED / "ansible_collections" / "kestrel" / "real_ip")
    for name in missing:
        print(f"Installed, but ansible-doc doesn't show it: {name}")
    return not wrong and not missing


def misplaced(names: Sequence[str]) -> list[str]:
    """Return what an artifact must not hold: what isn't for users, and what Python compiled."""
    return [
        name
        for name in names
        if name.split("/")[0] not in TOP or name.startswith(files.SELF) or "__pycache__" in name
    ]


def _undocumented(installed: Path) -> list[str]:
    """Return what of an installed collection ansible-doc can't show, or a kind with nothing."""
    missing = []
    for kind, place in DOCUMENTED.items():
        names = sorted({f"{NAME}.{path.stem}" for path in (installed / place).glob("*")})
        command = ["ansible-doc", "--json", "--type", kind, *names]
        status, said = _run(command, installed, show=False, collections=INSTALLED)
        shown = json.loads(said) if status == 0 else {}
        print(f"ansible-doc --type {kind}: {', '.join(shown) or 'nothing'}", flush=True)
        missing += [f"{kind} {name}" for name in names or ["of any name"] if not shown.get(name)]
    return missing


CHECKS: Final[dict[str, Callable[[], bool]]] = {
    "sanity": sanity,
    "units": units,
    "lint": lint,
    "docs": docs,
    "molecule": molecule,
    "artifact": artifact,
}

if __name__ == "__main__":
    if sys.argv[1:] not in [[name] for name in CHECKS]:
        sys.exit(str(__doc__))
    try:
        sys.exit(0 if CHECKS[sys.argv[1]]() else 1)
    except SetupError as error:
        sys.exit(str(error))
