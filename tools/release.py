# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the artifact that is published, and see that it can be.

    python -m tools.release [--final]
    python -m tools.release version VERSION

The first builds it twice, from two copies of what git knows or would know, compares both, installs
one, lets Ansible verify what was installed, and looks at it as Galaxy does. ``--final`` also fails
where something has to be done before it is published, which is said in any case. The second writes
a version wherever it stands. docs/releasing.md has the steps.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from lab.errors import SetupError
from lab.settings import CACHE, REPOSITORY
from tools import collection, environment, files, package

PLACE: Final = environment.BUILD / "release"
LOCK: Final = REPOSITORY / "requirements" / "release.txt"

#: What galaxy-importer says in its end, and before what it found wrong.
DONE: Final = "Importer processing completed successfully"
WRONG: Final = ("WARNING: ", "ERROR: ", "CRITICAL: ")

#: What it says after 180 seconds, of a machine that has other work.
SLOW: Final = "ERROR: Timeout on call to ansible-lint"
ATTEMPTS: Final = 3

#: What Galaxy itself leaves off, and other places to publish to demand.
STRICTER: Final = ("CHECK_REQUIRED_TAGS",)

#: Kinds of content that users read the documents of.
DOCUMENTED: Final = ("filter", "module")

#: Where the version stands beside galaxy.yml, and what stands around it.
VERSIONED: Final[Mapping[str, str]] = {
    "galaxy.yml": r"^version: ({})$",
    "plugins/module_utils/_version.py": r'^VERSION = "({})"$',
    "execution-environment.yml": r"(?:kestrel-real_ip-|real-ip-ee:)({})\b(?!\.\d)",
    "docs/awx.md": r"real-ip-ee:({})\b",
}
#: A version that a release may have, see https://semver.org/.
VERSION: Final = r"\d+\.\d+\.\d+(?:-[a-z]+\.?\d+)?"
ADDED: Final = re.compile(rf"^( *version_added: )[\"']?({VERSION})[\"']?$", re.MULTILINE)

#: galaxy.yml has it until there is a place to publish from.
PLACEHOLDER: Final = "https://example.com/"


#: Writes the release that galaxy.yml names from the fragments, and removes them.
CHANGELOG: Final = ("antsibull-changelog", "release", "--reload-plugins")


# What has to be the case


def versions(root: Path, paths: Sequence[str]) -> list[str]:
    """Return where another version stands than galaxy.yml has, or one that nobody could have had.

    What was added in a version that was never released was added in the one that comes.
    """
    current, released = _version(root), _released(root)
    found = []
    for path, pattern in VERSIONED.items():
        text = (root / path).read_text()
        stated = re.findall(pattern.format(VERSION), text, re.MULTILINE)
        found += [f"{path}: no version where one was looked for"] * (not stated)
        found += [
            f"{path}: {one}, but galaxy.yml has {current}" for one in stated if one != current
        ]
    for path in _with_documents(paths):
        for __, added in ADDED.findall((root / path).read_text()):
            if added not in (current, *released):
                found.append(f"{path}: version_added {added}, which was never released")
    return found


def set_version(root: Path, paths: Sequence[str], version: str) -> list[str]:
    """Write a version wherever it stands; return the files that changed."""
    if not re.fullmatch(VERSION, version):
        raise SetupError(f"{version!r} is no version such as 1.0.0, see https://semver.org/.")
    released = _released(root)
    if version in released:
        raise SetupError(f"{version} was released already, as changelogs/changelog.yaml says.")
    changed = []
    for path in (*VERSIONED, *_with_documents(paths)):
        text = old = (root / path).read_text()
        if path in VERSIONED:
            pattern = re.compile(VERSIONED[path].format(VERSION), re.MULTILINE)
            text = pattern.sub(lambda found: found[0].replace(found[1], version), text)
        text = ADDED.sub(
            lambda found: found[0] if found[2] in released else f"{found[1]}{version}", text
        )
        if text != old:
            (root / path).write_text(text)
            changed.append(path)
    return changed


def _with_documents(paths: Sequence[str]) -> list[str]:
    return [path for path in paths if path.startswith(("plugins/", "roles/"))]


def _version(root: Path) -> str:
    return str(yaml.safe_load((root / "galaxy.yml").read_text())["version"])


def _released(root: Path) -> list[str]:
    """Return the versions that the changelog has."""
    changelog = root / "changelogs" / "changelog.yaml"
    if not changelog.exists():
        return []
    return list((yaml.safe_load(changelog.read_text()) or {}).get("releases", {}))


def to_do(root: Path) -> Iterator[str]:
    """Yield what has to be done before this state can be published, with the command for it."""
    version = _version(root)
    if yaml.safe_load((root / "galaxy.yml").read_text())["repository"].startswith(PLACEHOLDER):
        yield "galaxy.yml names no real repository. Next: write the published one's address there"
    if version not in _released(root):
        yield f"the changelog has no release {version}. Next: {' '.join(CHANGELOG)}"
    if left := len(_fragments(root)):
        yield f"{left} changelog fragments that no release has. Next: {' '.join(CHANGELOG)}"
    if _git(root, "status", "--porcelain"):
        yield "files that are not committed. Next: git status"
    if version not in _git(root, "tag", "--points-at", "HEAD").split():
        yield f"the commit has no tag {version}. Next: git tag --annotate {version}"


def _fragments(root: Path) -> list[Path]:
    return sorted((root / "changelogs" / "fragments").glob("*.yml"))


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


# What looks at it


def built_twice() -> tuple[Path, list[str]]:
    """Build from two copies at two times; return one artifact, and what is wrong with it."""
    time = package.epoch(os.environ)
    built = []
    for number in ("first", "second"):
        collection.lay_out(_tree(number))
        built.append(package.build(_tree(number), PLACE / number, time))
    one, other = (artifact.read_bytes() for artifact in built)
    wrong = [f"{name}: differs from build to build" for name in package.differences(one, other)]
    wrong += package.faults(one)
    wrong += [
        f"{name}: must not be in it; see build_ignore in galaxy.yml"
        for name in collection.misplaced(package.names(one))
    ]
    return built[0].replace(PLACE / built[0].name), wrong


def _tree(number: str) -> Path:
    return PLACE / number / "ansible_collections" / "kestrel" / "real_ip"


def installed(artifact: Path) -> list[str]:
    """Install the artifact and have Ansible compare what was installed with its checksums."""
    place = PLACE / "installed"
    environ = os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(place)}
    galaxy = ["ansible-galaxy", "collection"]
    where = ["--offline", "--collections-path", str(place)]
    for command in (
        [*galaxy, "install", str(artifact), "--no-deps", *where],
        [*galaxy, "verify", collection.NAME, *where],
    ):
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            return [f"{' '.join(command[:3])}: {(done.stderr or done.stdout).strip()}"]
    return []


def imported(artifact: Path) -> list[str]:
    """Look at the artifact with galaxy-importer; return what that finds wrong.

    Galaxy's own one has no other collection beside it; here ours finds those that it depends on,
    and so do the links of its documents and the modules of its roles.
    """
    interpreter = environment.probe(Path(sys.executable))
    if interpreter is None:
        raise SetupError(f"{sys.executable} doesn't run, or is no CPython that can be used.")
    venv = environment.ensure(interpreter, LOCK, CACHE, _say)
    beside = PLACE / "dependencies"
    collection.link_neighbours(beside / "ansible_collections")
    variables = environment.variables(venv, os.environ)
    variables |= {
        "PYTHONPATH": str(beside),
        "GALAXY_IMPORTER_ANSIBLE_LOCAL_TMP": str(PLACE / "tmp"),
    }
    variables |= {f"GALAXY_IMPORTER_{name}": "true" for name in STRICTER}
    for __ in range(ATTEMPTS):
        said, result = _import(artifact, venv, variables)
        if SLOW not in said:
            break
    return judged(said, result)


def _import(
    artifact: Path, venv: Path, variables: Mapping[str, str]
) -> tuple[list[str], dict[str, Any]]:
    """Run galaxy-importer; return the lines that it said, and its result, empty without one."""
    # It writes that where it runs.
    place = PLACE / "imported"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    done = subprocess.run(
        [venv / "bin" / "python", "-m", "galaxy_importer.main", artifact],
        cwd=place,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    (PLACE / "importer.log").write_text(done.stdout)
    result = place / "importer_result.json"
    return done.stdout.splitlines(), json.loads(result.read_text()) if result.exists() else {}


def judged(lines: Sequence[str], result: Mapping[str, Any]) -> list[str]:
    """Return what galaxy-importer found wrong, or didn't look at."""
    found = [line for line in lines if line.startswith(WRONG)]
    if DONE not in lines:
        found.append(f"galaxy-importer ended with {(lines or ['nothing'])[-1]!r}")
    contents = result.get("docs_blob", {}).get("contents", [])
    for kind in DOCUMENTED:
        ours = [one for one in contents if one["content_type"] == kind]
        found += [f"galaxy-importer found no {kind}"] * (not ours)
        found += [
            f"galaxy-importer found no document of the {kind} {one['content_name']}"
            for one in ours
            if not one["doc_strings"]
        ]
    return found


def changelog(tree: Path) -> list[str]:
    """Write the changelog in a copy, where this version isn't released; return what went wrong."""
    version = _version(tree)
    if version in _released(tree):
        return []
    done = subprocess.run(CHANGELOG, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        return [f"{' '.join(CHANGELOG)}: {(done.stderr or done.stdout).strip()}"]
    written = (tree / "CHANGELOG.rst").read_text()
    missing = [word for word in (f"v{version}\n", "Release Summary\n") if word not in written]
    wrong = [f"CHANGELOG.rst: no {word.strip()} in what the fragments make" for word in missing]
    wrong += [f"{path.name}: left over" for path in _fragments(tree)]
    return wrong if version in _released(tree) else [*wrong, f"no release {version} was written"]


# Commands


def _say(line: str) -> None:
    print(line, flush=True)


def release(final: bool) -> bool:
    """Build the artifact and look at it; say what is wrong and what is to be done."""
    shutil.rmtree(PLACE, ignore_errors=True)
    wrong = versions(REPOSITORY, files.known())
    artifact, found = built_twice()
    wrong += found
    wrong += changelog(_tree("second"))
    # What can't be read as an artifact is no case for those that install it.
    wrong += installed(artifact) if not found else []
    wrong += imported(artifact) if not found else []
    for one in wrong:
        _say(f"Wrong: {one}")
    digest = package.digest(artifact)
    artifact.with_name(f"{artifact.name}.sha256").write_text(f"{digest}  {artifact.name}\n")
    _say(f"{artifact.relative_to(REPOSITORY)}, {artifact.stat().st_size // 1024} KiB")
    _say(f"sha256 {digest} (zlib {zlib.ZLIB_RUNTIME_VERSION})")
    left = list(to_do(REPOSITORY))
    for one in left:
        _say(f"Before it is published: {one}")
    if not left and not wrong:
        _say(f"Next: ansible-galaxy collection publish {artifact.relative_to(REPOSITORY)}")
    return not wrong and not (final and left)


def main(arguments: Sequence[str]) -> int:
    """Run one of the two commands; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", allow_abbrev=False)
    parser.add_argument("--final", action="store_true", help="fail where something is left to do")
    parser.add_argument("words", nargs="*", metavar="version VERSION", help="write a version")
    options = parser.parse_args(arguments)
    try:
        match options.words:
            case []:
                return 0 if release(options.final) else 1
            case ["version", version]:
                for path in set_version(REPOSITORY, files.known(), version):
                    _say(path)
                return 0
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    parser.print_usage(sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
