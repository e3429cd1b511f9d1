# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifact doesn't tell when or where it was built, and nothing wrong with it stays unsaid."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.errors import SetupError
from lab.settings import REPOSITORY
from tools import files, package, release

NOON = 1_700_000_000
LATER = NOON + 86_400

GALAXY = {
    "namespace": "some",
    "name": "thing",
    "version": "1.0.0",
    "readme": "README.md",
    "authors": ["somebody"],
    "repository": "https://git.example.org/thing",
}


def checkout(root: Path, paths: Sequence[str], time: int) -> Path:
    """Make a small collection, its files in this order and with this time."""
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(GALAXY) if path == "galaxy.yml" else f"This is {path}\n")
        file.chmod(0o755 if path.endswith(".sh") else 0o644)
        os.utime(file, (time, time))
    return root


PATHS = ["galaxy.yml", "README.md", "roles/b/tasks/main.yml", "roles/a/files/run.sh", "docs/x.md"]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = tmp_path_factory.mktemp("artifact")
    return package.build(checkout(place / "one", PATHS, NOON), place, NOON).read_bytes()


def raw(tree: Path, into: Path) -> bytes:
    """Build as ansible-galaxy does it alone."""
    command = ["ansible-galaxy", "collection", "build", "--output-path", str(into)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    [built] = into.glob("*.tar.gz")
    return built.read_bytes()


def test_two_builds_are_the_same_bit_for_bit(tmp_path: Path, artifact: bytes) -> None:
    old = os.umask(0o077)
    try:
        other = checkout(tmp_path / "another/place", [*reversed(PATHS)], LATER)
        assert package.build(other, tmp_path, NOON).read_bytes() == artifact
    finally:
        os.umask(old)


def test_without_that_they_are_not(tmp_path: Path, artifact: bytes) -> None:
    built = raw(checkout(tmp_path / "one", PATHS, LATER), tmp_path / "out")
    assert built != artifact
    assert package.differences(built, artifact)
    assert package.normalised(built, NOON) == artifact


def test_the_time_is_the_one_that_was_given(artifact: bytes) -> None:
    later = package.normalised(artifact, LATER)
    assert later != artifact
    assert package.normalised(later, NOON) == artifact
    with tarfile.open(fileobj=io.BytesIO(later)) as tar:
        assert {member.mtime for member in tar} == {LATER}
    assert int.from_bytes(later[4:8], "little") == LATER


def test_what_is_in_it_is_what_was_built(artifact: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(artifact)) as tar:
        modes = {member.name: oct(member.mode) for member in tar}
        owners = {(member.uid, member.gid, member.uname, member.gname) for member in tar}
        script = tar.extractfile("roles/a/files/run.sh")
        assert script is not None
        assert script.read() == b"This is roles/a/files/run.sh\n"
    assert list(modes)[:2] == ["MANIFEST.json", "FILES.json"]
    assert list(modes)[2:] == sorted(list(modes)[2:])
    assert modes["roles/a/files/run.sh"] == modes["roles"] == "0o755"
    assert modes["README.md"] == "0o644"
    assert owners == {(0, 0, "", "")}
    assert package.faults(artifact) == []


def changed(artifact: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return an artifact with other contents of its files, without anything that follows."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(artifact)) as tar,
        tarfile.open(fileobj=out, mode="w") as written,
    ):
        held: dict[str, Any] = {
            member.name: file.read() if (file := tar.extractfile(member)) else None
            for member in tar
        }
        change(held)
        for name, content in held.items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            member.size = len(content or b"")
            written.addfile(member, io.BytesIO(content or b""))
    return gzip.compress(out.getvalue())


def unlist(held: dict[str, Any]) -> None:
    listed = json.loads(held["FILES.json"])
    listed["files"] = [one for one in listed["files"] if one["name"] != "docs/x.md"]
    held["FILES.json"] = json.dumps(listed).encode()


FAULTS: list[tuple[Callable[[dict[str, Any]], Any], list[str]]] = [
    (lambda held: None, []),
    (
        lambda held: held.update({"docs/x.md": b"another"}),
        ["docs/x.md: FILES.json has another checksum"],
    ),
    (lambda held: held.update({"docs/y.md": b"new"}), ["docs/y.md: not in FILES.json"]),
    (lambda held: held.pop("docs/x.md"), ["docs/x.md: only in FILES.json"]),
    (
        lambda held: held.update({"docs": b""}),
        ["docs: FILES.json says that it is a dir"],
    ),
    (
        unlist,
        ["FILES.json: MANIFEST.json has another checksum", "docs/x.md: not in FILES.json"],
    ),
]


@pytest.mark.parametrize(("change", "expected"), FAULTS)
def test_faults(
    artifact: bytes, change: Callable[[dict[str, Any]], None], expected: list[str]
) -> None:
    assert package.faults(changed(artifact, change)) == expected


def test_differences_name_members(artifact: bytes) -> None:
    other = changed(artifact, lambda held: held.update({"docs/x.md": b"another"}))
    same = changed(artifact, lambda held: None)
    assert package.differences(other, same) == ["docs/x.md"]
    assert package.differences(same, same) == []
    assert package.differences(gzip.compress(gzip.decompress(same), 1), same) == [
        "the order of the members, or the compression"
    ]


def test_the_time_of_a_build() -> None:
    assert package.epoch({"SOURCE_DATE_EPOCH": "17"}) == 17
    assert package.epoch({}) == package.epoch({"SOURCE_DATE_EPOCH": ""}) > NOON
    with pytest.raises(SetupError, match="expected seconds since 1970, found 'noon'"):
        package.epoch({"SOURCE_DATE_EPOCH": "noon"})


def test_what_does_not_build_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "galaxy.yml").write_text("namespace: some\n")
    with pytest.raises(
        SetupError, match=r"^ansible-galaxy builds no artifact: .* missing .*version"
    ):
        package.build(tmp_path, tmp_path / "out", NOON)


# galaxy-importer

GOOD = ["Importing with galaxy-importer 0.4.44", "Loading role a", release.DONE]
RESULT = {
    "docs_blob": {
        "contents": [
            {"content_type": "module", "content_name": "a", "doc_strings": {"doc": {}}},
            {"content_type": "filter", "content_name": "b", "doc_strings": {"doc": {}}},
            {"content_type": "module_utils", "content_name": "c", "doc_strings": None},
        ]
    }
}
UNDOCUMENTED = {
    "docs_blob": {
        "contents": [
            {"content_type": "module", "content_name": "a", "doc_strings": None},
            {"content_type": "filter", "content_name": "b", "doc_strings": {"doc": {}}},
        ]
    }
}

JUDGED: list[tuple[list[str], dict[str, Any], list[str]]] = [
    (GOOD, RESULT, []),
    (["WARNING: no changelog", *GOOD], RESULT, ["WARNING: no changelog"]),
    ([*GOOD, "ERROR: late"], RESULT, ["ERROR: late"]),
    (GOOD[:1], RESULT, [f"galaxy-importer ended with {GOOD[0]!r}"]),
    ([], RESULT, ["galaxy-importer ended with 'nothing'"]),
    (GOOD, UNDOCUMENTED, ["galaxy-importer found no document of the module a"]),
    (GOOD, {}, ["galaxy-importer found no filter", "galaxy-importer found no module"]),
]


@pytest.mark.parametrize(("said", "result", "expected"), JUDGED)
def test_judged(said: list[str], result: dict[str, Any], expected: list[str]) -> None:
    assert release.judged(said, result) == expected


# The version

VERSIONED = {
    "galaxy.yml": "version: 1.0.0\nrepository: https://example.com/kestrel/real_ip\n",
    "plugins/module_utils/_version.py": 'VERSION = "1.0.0"\n',
    "execution-environment.yml": "- src: kestrel-real_ip-1.0.0.tar.gz # real-ip-ee:1.0.0\n",
    "docs/awx.md": "podman push real-ip-ee:1.0.0\n",
    "plugins/modules/a.py": "version_added: 0.9.0\n    version_added: 1.0.0\n",
}
CHANGELOG = "releases:\n  0.9.0:\n    release_date: '2026-01-01'\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path, text in {**VERSIONED, "changelogs/changelog.yaml": CHANGELOG}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "changelogs/fragments").mkdir()
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("galaxy.yml", VERSIONED["galaxy.yml"], []),
        ("docs/awx.md", "real-ip-ee:0.9.0", ["docs/awx.md: 0.9.0, but galaxy.yml has 1.0.0"]),
        ("docs/awx.md", "none", ["docs/awx.md: no version where one was looked for"]),
        (
            "plugins/modules/a.py",
            "version_added: 0.1.0\n",
            ["plugins/modules/a.py: version_added 0.1.0, which was never released"],
        ),
    ],
)
def test_versions(tree: Path, path: str, text: str, expected: list[str]) -> None:
    (tree / path).write_text(text)
    assert release.versions(tree, list(VERSIONED)) == expected


def test_a_version_is_written_everywhere_but_over_released_ones(tree: Path) -> None:
    assert release.set_version(tree, list(VERSIONED), "1.1.0-rc.1") == [*VERSIONED]
    assert release.versions(tree, list(VERSIONED)) == []
    assert release.set_version(tree, list(VERSIONED), "1.1.0-rc.1") == []
    image = (tree / "execution-environment.yml").read_text()
    assert image == "- src: kestrel-real_ip-1.1.0-rc.1.tar.gz # real-ip-ee:1.1.0-rc.1\n"
    added = (tree / "plugins/modules/a.py").read_text()
    assert added == "version_added: 0.9.0\n    version_added: 1.1.0-rc.1\n"


@pytest.mark.parametrize(
    ("version", "message"), [("1.0", "is no version such as"), ("0.9.0", "was released already")]
)
def test_a_version_that_cannot_be(tree: Path, version: str, message: str) -> None:
    with pytest.raises(SetupError, match=message):
        release.set_version(tree, list(VERSIONED), version)


def test_versions_of_this_repository() -> None:
    assert release.versions(REPOSITORY, files.known()) == []


def test_what_is_left_to_do(tree: Path) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    git = ["git", "-C", str(tree), *identity]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message=a"], check=True)
    (tree / "changelogs/fragments/a.yml").touch()
    assert [one.partition(". Next: ")[0] for one in release.to_do(tree)] == [
        "galaxy.yml names no real repository",
        "the changelog has no release 1.0.0",
        "1 changelog fragments that no release has",
        "files that are not committed",
        "the commit has no tag 1.0.0",
    ]
    (tree / "changelogs/fragments/a.yml").unlink()
    (tree / "changelogs/changelog.yaml").write_text(CHANGELOG + "  1.0.0: {}\n")
    (tree / "galaxy.yml").write_text("version: 1.0.0\nrepository: https://git.example.org/a\n")
    subprocess.run([*git, "commit", "--quiet", "--all", "--message=b"], check=True)
    subprocess.run([*git, "tag", "1.0.0"], check=True)
    assert list(release.to_do(tree)) == []


# What Galaxy shows of roles

ROLES = sorted(path.name for path in (REPOSITORY / "roles").iterdir())


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_the_same_description_everywhere(role: str) -> None:
    meta = REPOSITORY / "roles" / role / "meta"
    shown = yaml.safe_load((meta / "main.yml").read_text())["galaxy_info"]["description"]
    spec = yaml.safe_load((meta / "argument_specs.yml").read_text())["argument_specs"]["main"]
    assert shown == spec["short_description"]
