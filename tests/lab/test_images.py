# SPDX-License-Identifier: GPL-3.0-or-later
"""Images: the same bytes from the same things, and the document's application as it answers."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import binaries, images, packages
from lab.errors import SetupError
from lab.steps import Report


class Archive:
    """An OCI image layout in a tar archive, as its reader sees it."""

    def __init__(self, path: Path) -> None:
        """Read the index."""
        self._tar = tarfile.open(path)  # noqa: SIM115
        self.index = json.loads(self.read("index.json"))

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        file = self._tar.extractfile(name)
        assert file is not None
        return file.read()

    def blob(self, descriptor: dict[str, Any]) -> bytes:
        """Return the blob that a descriptor names, checked against it."""
        kind, __, digest = descriptor["digest"].partition(":")
        content = self.read(f"blobs/{kind}/{digest}")
        assert kind == "sha256"
        assert hashlib.sha256(content).hexdigest() == digest
        assert len(content) == descriptor["size"]
        return content

    def image(self, name: str) -> tuple[dict[str, Any], list[bytes]]:
        """Return the config and the layers of an image."""
        [row] = [
            row
            for row in self.index["manifests"]
            if row["annotations"]["io.containerd.image.name"] == name
        ]
        manifest = json.loads(self.blob(row))
        return json.loads(self.blob(manifest["config"])), [
            self.blob(layer) for layer in manifest["layers"]
        ]


# The archive


def small_image(name: str, *texts: str) -> images.Image:
    """Return an image with one file per layer."""
    layers = []
    for number, text in enumerate(texts):
        tree = images.Tree()
        tree.file(f"some/where/{number}", text.encode())
        layers.append(tree.layer())
    return images.Image(name, tuple(layers), {"User": "1:1"})


def test_archive_is_an_oci_layout(tmp_path: Path) -> None:
    path = tmp_path / "archive.tar"
    one = small_image("registry.example/one:v1", "shared", "one")
    two = small_image("registry.example:5000/two:v2", "shared", "two")

    images.write_archive(path, [one, two])

    archive = Archive(path)
    assert json.loads(archive.read("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    for image in (one, two):
        config, layers = archive.image(image.name)
        assert layers == [layer.content for layer in image.layers]
        assert config["rootfs"]["diff_ids"] == [
            f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers
        ]
        assert config["config"] == {"User": "1:1"}
        assert config["architecture"] == binaries.architecture()
    tags = [
        row["annotations"]["org.opencontainers.image.ref.name"]
        for row in archive.index["manifests"]
    ]
    assert tags == ["v1", "v2"]
    with tarfile.open(path) as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))
    assert len([name for name in names if name.startswith("blobs/sha256/")]) == 3 + 2 + 2


def test_layer_depends_on_content_only(tmp_path: Path) -> None:
    layers = []
    for names in (("b", "a", "c"), ("c", "a", "b")):
        root = tmp_path / names[0]
        for age, name in enumerate(names):
            path = root / "etc" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
            path.chmod(0o600)
            os.utime(path, (age, age))
        (root / "link").symlink_to("etc/a")
        tree = images.Tree()
        tree.add(root, [root / "link", *(root / "etc" / name for name in names)])
        layers.append(tree.layer())

    assert layers[0] == layers[1]
    with tarfile.open(fileobj=io.BytesIO(layers[0].content)) as tar:
        entries = tar.getmembers()
    assert [entry.name for entry in entries] == ["etc", "etc/a", "etc/b", "etc/c", "link"]
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in entries} == {
        (0, 0, 0, "")
    }
    assert [entry.mode for entry in entries[:2]] == [0o755, 0o644]


# The cache


@pytest.fixture(scope="module")
def bin_dir() -> Path:
    """Return a directory with the pause program."""
    return binaries.ensure(names=["pause"])


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count how often the document's image is made, without making it."""
    made: list[str] = []

    def pythons(scratch: Path, report: Report) -> list[images.Image]:
        made.append(images.ECHO)
        return [small_image(images.ECHO, "")]

    monkeypatch.setattr(images, "_pythons", pythons)
    return made


def test_archive_is_cached(tmp_path: Path, bin_dir: Path, counted: list[str]) -> None:
    lines: list[str] = []
    [first] = images.ensure(bin_dir, lines.append, cache=tmp_path)
    assert lines == ["Making the container images from Debian packages"]

    assert images.ensure(bin_dir, lines.append, cache=tmp_path) == [first]

    assert len(counted) == len(lines) == 1
    assert first.parent == tmp_path / "images"


@pytest.mark.parametrize("changed", ["pause", "application", "system", "recipe"])
def test_archive_is_made_anew_when_what_it_is_made_from_changes(
    tmp_path: Path,
    bin_dir: Path,
    counted: list[str],
    monkeypatch: pytest.MonkeyPatch,
    changed: str,
) -> None:
    [first] = images.ensure(bin_dir, cache=tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    if changed == "pause":
        (other / "pause").write_bytes((bin_dir / "pause").read_bytes() + b"\n")
        bin_dir = other
    elif changed == "application":
        (other / "app.py").write_bytes((images.ECHO_SOURCE / "app.py").read_bytes() + b"\n")
        monkeypatch.setattr(images, "ECHO_SOURCE", other)
    elif changed == "system":
        (other / "os-release").write_text("ID=debian\nVERSION_ID=99\n")
        monkeypatch.setattr(packages, "OS_RELEASE", other / "os-release")
    else:
        (other / "images.py").write_bytes(Path(images.__file__).read_bytes() + b"\n")
        monkeypatch.setattr(images, "__file__", str(other / "images.py"))

    [second] = images.ensure(bin_dir, cache=tmp_path)

    assert second != first
    assert len(counted) == 2


def test_failed_making_leaves_nothing(
    tmp_path: Path, bin_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(names: object, directory: Path, report: Report) -> list[Path]:
        raise SetupError("no mirror")

    monkeypatch.setattr(packages, "download", download)
    with pytest.raises(SetupError, match="no mirror"):
        images.ensure(bin_dir, cache=tmp_path)
    assert [path.name for path in (tmp_path / "images").iterdir()] == [".lock"]


def test_broken_package_is_one_sentence(
    tmp_path: Path, bin_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(names: object, directory: Path, report: Report) -> list[Path]:
        directory.mkdir()
        (directory / "broken_1_all.deb").write_text("no package")
        return [directory / "broken_1_all.deb"]

    monkeypatch.setattr(packages, "download", download)
    with pytest.raises(SetupError, match="failed in dpkg-deb"):
        images.ensure(bin_dir, cache=tmp_path)
    assert [path.name for path in (tmp_path / "images").iterdir()] == [".lock"]


def test_program_without_its_library_is_refused(tmp_path: Path, root: Path) -> None:
    for path in [
        *root.glob("usr/lib/*-linux-gnu/*"),
        *root.glob("usr/bin/*"),
        *root.glob("usr/lib64/*"),
    ]:
        copy = tmp_path / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not path.name.startswith("libexpat"):
            copy.symlink_to(path.readlink()) if path.is_symlink() else copy.hardlink_to(path)
    [python] = tmp_path.glob("usr/bin/python3.*")
    with pytest.raises(SetupError, match="needs libexpat"):
        images._with_libraries(tmp_path, {python})


# The document's image, as a lab gets it


@pytest.fixture(scope="module")
def archive(bin_dir: Path) -> Archive:
    """Return the archive of the shared cache."""
    [path] = images.ensure(bin_dir)
    assert path.stat().st_size < 64 << 20
    return Archive(path)


@pytest.fixture(scope="module")
def root(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the document's image, unpacked."""
    root = tmp_path_factory.mktemp("root")
    for layer in archive.image(images.ECHO)[1]:
        subprocess.run(["tar", "--extract", f"--directory={root}"], input=layer, check=True)
    return root


def test_archive_has_all_images(archive: Archive, bin_dir: Path) -> None:
    names = [row["annotations"]["io.containerd.image.name"] for row in archive.index["manifests"]]
    assert names == [images.PAUSE, images.ECHO, images.PYTHON]
    config, [layer] = archive.image(images.PAUSE)
    assert config["config"]["Entrypoint"] == ["/pause"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        [entry] = tar.getmembers()
        content = tar.extractfile(entry)
        assert content is not None
        assert content.read() == (bin_dir / "pause").read_bytes()
    assert (entry.name, entry.mode) == ("pause", 0o755)


def test_stock_image_is_the_base_of_the_other_and_leaves_all_to_its_user(archive: Archive) -> None:
    config, layers = archive.image(images.PYTHON)
    assert layers == archive.image(images.ECHO)[1][:1]
    assert config["config"]["Cmd"] == ["python3"]
    assert not {"Entrypoint", "User"} & set(config["config"])


def test_image_does_not_run_as_root(archive: Archive) -> None:
    for name in (images.PAUSE, images.ECHO):
        user = archive.image(name)[0]["config"]["User"]
        assert user == "10001:10001"


def test_image_tells_its_packages(archive: Archive) -> None:
    label = archive.image(images.ECHO)[0]["config"]["Labels"]["example.kestrel.packages"]
    names = {part.partition("=")[0] for part in label.split()}
    assert set(images.DEBIAN_PACKAGES) < names
    assert all(part.partition("=")[2] for part in label.split())


def test_every_module_is_compiled(root: Path) -> None:
    sources = list(root.glob("usr/lib/python3*/**/*.py"))
    assert len(sources) > 500
    for source in sources:
        [compiled] = source.parent.glob(f"__pycache__/{source.stem}.cpython-*.pyc")
        flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
        assert flags == 1  # By hash, unchecked: PEP 552.


class Pod:
    """The application as process 1 of namespaces of its own, where only the test reaches it."""

    def __init__(self, root: Path, entrypoint: list[str]) -> None:
        """Start it and wait until it answers."""
        namespaces = ["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]
        self._outer = subprocess.Popen(
            ["unshare", *namespaces, "chroot", root, *entrypoint],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.pid = self._process_1()
        self._enter = [f"--target={self.pid}", "--user", "--net", "--preserve-credentials"]
        self._run("ip", "link", "set", "lo", "up")
        retry = ("--retry", "50", "--retry-connrefused", "--retry-delay", "0")
        self._run("curl", "--silent", "--max-time", "10", *retry, "http://127.0.0.1:5000/")

    def _process_1(self) -> int:
        path = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        deadline = time.monotonic() + 10
        while not (children := path.read_text().split()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # Until unshare has forked and the child has become the program, it can't be entered.
        while b"app.py" not in Path(f"/proc/{children[0]}/cmdline").read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return int(children[0])

    def _run(self, *command: str) -> str:
        return subprocess.run(
            ["nsenter", *self._enter, *command],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=20,
        ).stdout

    def curl(self, *arguments: str) -> str:
        """Return what curl prints."""
        return self._run("curl", "--silent", "--show-error", "--max-time", "5", *arguments)

    def end(self) -> tuple[float, int, str]:
        """Send SIGTERM; return the seconds until the end, the exit status and the output."""
        started = time.monotonic()
        os.kill(self.pid, 15)
        output, __ = self._outer.communicate(timeout=20)
        return time.monotonic() - started, self._outer.returncode, output

    def kill(self) -> None:
        """End it in any case."""
        self._outer.kill()
        self._outer.wait()


@pytest.fixture(scope="module")
def pod(root: Path, archive: Archive) -> Iterator[Pod]:
    """Run the document's image."""
    pod = Pod(root, archive.image(images.ECHO)[0]["config"]["Entrypoint"])
    yield pod
    pod.kill()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
@pytest.mark.parametrize("path", ["/", "/some/path?with=query", "//a//b/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_path_answers_in_the_form_of_the_document(
    pod: Pod, method: str, path: str, host: str
) -> None:
    url = f"http://{host}:5000{path}"
    output = pod.curl("--globoff", "--request", method, "--write-out", "%{http_code}", url)
    body, status = output[:-3], output[-3:]

    assert status == "200"
    answer = json.loads(body)
    assert set(answer) == {"headers", "message", "method"}
    assert answer["message"] == "Here are your request headers"
    assert answer["method"] == method
    assert answer["headers"]["Host"] == f"{host}:5000"


def test_headers_arrive_as_they_were_sent(pod: Pod) -> None:
    sent = {
        "x-forwarded-for": "6.6.6.6, 203.0.113.20",
        "X-REAL-IP": "203.0.113.20",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.example",
        "X-Forwarded-Port": "443",
        "X-Forwarded-By": "198.51.100.1",
        "Forwarded": "for=192.0.2.1",
        "X-Stgw-Time": "1700000000.123",
    }
    options = [option for pair in sent.items() for option in ("--header", ": ".join(pair))]

    headers = json.loads(pod.curl(*options, "http://127.0.0.1:5000/"))["headers"]

    assert {name.title(): value for name, value in sent.items()}.items() <= headers.items()


def test_repeated_headers_are_joined(pod: Pod) -> None:
    lines = ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 203.0.113.20"]
    options = [option for line in lines for option in ("--header", line)]

    headers = json.loads(pod.curl(*options, "http://127.0.0.1:5000/"))["headers"]

    assert headers["X-Forwarded-For"].replace(" ", "") == "6.6.6.6,203.0.113.20"


def test_answer_tells_neither_peer_nor_pod(pod: Pod) -> None:
    answer = json.loads(pod.curl("http://127.0.0.1:5000/"))
    assert set(answer["headers"]) == {"Accept", "Host", "User-Agent"}
    assert "127.0.0.1" not in json.dumps(answer).replace("127.0.0.1:5000", "")


def test_application_ends_at_once_and_has_logged_its_requests(root: Path, archive: Archive) -> None:
    pod = Pod(root, archive.image(images.ECHO)[0]["config"]["Entrypoint"])
    try:
        pod.curl("--header", "X-Forwarded-For: 203.0.113.20", "http://127.0.0.1:5000/logged")
        seconds, status, output = pod.end()
    finally:
        pod.kill()
    assert seconds < 2
    assert status == 0
    line = json.loads(output.splitlines()[-1])
    assert line["path"] == "/logged"
    assert line["headers"]["X-Forwarded-For"] == "203.0.113.20"
