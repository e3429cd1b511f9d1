# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifact of the collection, bit for bit the same from the same files.

What ``ansible-galaxy collection build`` writes depends on when and where it ran: MANIFEST.json and
FILES.json have the time of the build, the others that of the checkout, gzip's header has both a
time and a name, and FILES.json lists in the order in which the file system does. Here all of that
follows from the files and from one time.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lab.errors import SetupError
from lab.settings import REPOSITORY

MANIFEST: Final = "MANIFEST.json"
FILES: Final = "FILES.json"

#: How ansible-galaxy writes both. A change of it would change what it wrote.
_INDENT: Final = 1

#: Modes of directories and of what may be run, and of everything else.
_OPEN: Final = 0o755
_PLAIN: Final = 0o644


def epoch(environ: Mapping[str, str], root: Path = REPOSITORY) -> int:
    """Return the time of all members, in seconds: SOURCE_DATE_EPOCH, otherwise the commit's.

    See https://reproducible-builds.org/specs/source-date-epoch/.
    """
    said = environ.get("SOURCE_DATE_EPOCH")
    if not said:
        command = ["git", "log", "-1", "--format=%ct"]
        said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    if not said.strip().isdecimal():
        raise SetupError(f"SOURCE_DATE_EPOCH: expected seconds since 1970, found {said!r}.")
    return int(said)


def build(tree: Path, directory: Path, time: int) -> Path:
    """Build the artifact of the collection in ``tree``; return it, a new file in ``directory``.

    :raises SetupError: where ansible-galaxy doesn't build it, with what that says.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as draft:
        command = ["ansible-galaxy", "collection", "build", "--output-path", draft]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SetupError(f"ansible-galaxy builds no artifact: {done.stderr.strip()}")
        [built] = Path(draft).glob("*.tar.gz")
        package = directory / built.name
        package.write_bytes(normalised(built.read_bytes(), time))
    return package


def normalised(package: bytes, time: int) -> bytes:
    """Return an artifact with the same files, in which nothing tells when or where it was built."""
    members = dict(_members(package))
    listed = json.loads(members[FILES][1])
    listed["files"].sort(key=lambda entry: str(entry["name"]))
    members[FILES] = _replaced(members[FILES][0], listed)
    manifest = json.loads(members[MANIFEST][1])
    manifest["file_manifest_file"]["chksum_sha256"] = _digest(members[FILES][1])
    members[MANIFEST] = _replaced(members[MANIFEST][0], manifest)
    # Who installs it reads these two first.
    order = [MANIFEST, FILES, *sorted(set(members) - {MANIFEST, FILES})]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in order:
            member, content = members[name]
            tar.addfile(_plain(member, time), io.BytesIO(content))
    return gzip.compress(archive.getvalue(), compresslevel=9, mtime=time)


def _members(package: bytes) -> Iterator[tuple[str, tuple[tarfile.TarInfo, bytes]]]:
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            yield member.name, (member, file.read() if file else b"")


def _replaced(member: tarfile.TarInfo, content: Any) -> tuple[tarfile.TarInfo, bytes]:
    written = json.dumps(content, indent=_INDENT).encode()
    member.size = len(written)
    return member, written


def _plain(member: tarfile.TarInfo, time: int) -> tarfile.TarInfo:
    plain = tarfile.TarInfo(member.name)
    plain.type, plain.linkname, plain.size = member.type, member.linkname, member.size
    plain.mode = _OPEN if member.isdir() or member.mode & 0o100 else _PLAIN
    plain.mtime = time
    return plain


def faults(package: bytes) -> list[str]:
    """Return what contradicts what an artifact says of itself, one sentence each."""
    members = dict(_members(package))
    manifest = json.loads(members[MANIFEST][1])
    said = manifest["file_manifest_file"]["chksum_sha256"]
    found = [f"{FILES}: {MANIFEST} has another checksum"] * (_digest(members[FILES][1]) != said)
    listed = {entry["name"]: entry for entry in json.loads(members[FILES][1])["files"]}
    listed.pop(".", None)
    held = {name: content for name, content in members.items() if name not in (MANIFEST, FILES)}
    found += [f"{name}: not in {FILES}" for name in sorted(held.keys() - listed.keys())]
    found += [f"{name}: only in {FILES}" for name in sorted(listed.keys() - held.keys())]
    for name in sorted(held.keys() & listed.keys()):
        member, content = held[name]
        if listed[name]["ftype"] == "file" and listed[name]["chksum_sha256"] != _digest(content):
            found.append(f"{name}: {FILES} has another checksum")
        if (listed[name]["ftype"] == "dir") != member.isdir():
            found.append(f"{name}: {FILES} says that it is a {listed[name]['ftype']}")
    return found


def names(package: bytes) -> list[str]:
    """Return the names of all members."""
    return [name for name, __ in _members(package)]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest(package: Path) -> str:
    """Return what ``sha256sum`` says of a file."""
    return _digest(package.read_bytes())


def differences(one: bytes, other: bytes) -> list[str]:
    """Return by which members two artifacts differ; none where they are the same bit for bit."""
    if one == other:
        return []
    ours, theirs = dict(_members(one)), dict(_members(other))
    differing = [
        name
        for name in sorted(ours.keys() | theirs.keys())
        if _seen(ours.get(name)) != _seen(theirs.get(name))
    ]
    return differing or ["the order of the members, or the compression"]


def _seen(member: tuple[tarfile.TarInfo, bytes] | None) -> tuple[Any, ...]:
    if member is None:
        return ()
    info, content = member
    return (info.type, info.mode, info.mtime, info.uid, info.gid, info.uname, info.gname, content)
