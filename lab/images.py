# SPDX-License-Identifier: GPL-3.0-or-later
"""The container images of a lab, as an OCI archive for ``ctr --namespace k8s.io images import``.

A lab has no way to a registry. Its images are written by hand: the pause program alone, a stock
Python on a root file system from Debian packages, and the document's Flask application above it.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from lab import binaries, packages, settings
from lab.errors import SetupError
from lab.steps import Report, locked, written

PAUSE: Final = "lab.kestrel.example/pause:1"
#: The document's image, under the document's name.
ECHO: Final = "test-angel01.tencentcloudcr.com/kestrelli/kestrel-seven-real-ip:v1.0"
#: What stands for the stock Python image, under the name that `real_ip_bundled_image` has if unset.
PYTHON: Final = "docker.io/library/python:3.13-slim"

ECHO_SOURCE: Final = Path(__file__).resolve().parent / "echo"

#: What the root file system is made from, with all that they depend on.
DEBIAN_PACKAGES: Final = ("python3", "python3-flask", "python3-waitress")

#: What of these packages an image gets, beside the shared libraries that it needs.
PYTHON_FILES: Final = (
    "usr/bin/python3",
    "usr/bin/python3.*",
    "usr/lib/python3.*/**/*",
    "usr/lib/*/ld-linux-*.so.*",
    "usr/lib/ld-linux-*.so.*",
    "usr/lib64/ld-linux-*.so.*",
    # Opened by name when a thread ends, so nothing names it as needed.
    "usr/lib/*/libgcc_s.so.*",
)
FLASK_FILES: Final = ("usr/lib/python3/dist-packages/**/*",)

#: Parts of the standard library that no server needs.
UNUSED: Final = (
    "usr/lib/python3.*/ensurepip",
    "usr/lib/python3.*/idlelib",
    "usr/lib/python3.*/lib2to3",
    "usr/lib/python3.*/pydoc_data",
    "usr/lib/python3.*/test",
    "usr/lib/python3.*/tkinter",
    "usr/lib/python3.*/turtle*",
    "usr/lib/python3.*/unittest",
    "usr/lib/python3.*/config-*",
    "usr/lib/python3.*/dbm",
    "usr/lib/python3.*/sqlite3",
    *(
        f"usr/lib/python3.*/lib-dynload/{module}.*.so"
        for module in ("_codecs_*", "_ctypes_test*", "_curses*", "_dbm", "_sqlite3", "_test*")
    ),
    *(
        f"usr/lib/python3.*/lib-dynload/{module}.*.so"
        for module in ("_xx*", "audioop", "nis", "ossaudiodev", "readline", "xx*")
    ),
)

#: The directories that a merged /usr replaces by links.
MERGED: Final = ("bin", "lib", "lib64", "sbin")

USER: Final = 10001
ETC: Final = {
    "etc/group": f"root:x:0:\napp:x:{USER}:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    "etc/passwd": f"root:x:0:0:root:/:/nologin\napp:x:{USER}:{USER}:app:/:/nologin\n",
}


@dataclass(frozen=True)
class Layer:
    """A layer: an uncompressed tar archive, the same bytes for the same content."""

    content: bytes

    @property
    def digest(self) -> str:
        """Return the digest, which of an uncompressed layer is also its diff id."""
        return _digest(self.content)


@dataclass(frozen=True)
class Image:
    """An image: its full name, its layers from the lowest, ``config`` as in the specification."""

    name: str
    layers: tuple[Layer, ...]
    config: Mapping[str, object] = field(default_factory=dict)


def ensure(bin_dir: Path, report: Report = print, *, cache: Path = settings.CACHE) -> list[Path]:
    """Return OCI archives that hold all images of a lab.

    An archive is cached by what it is made from: this recipe, the application, the pause program
    and the release of the system whose packages it takes. Which versions these had is a label of
    the image. Newer ones alone make no new archive: a start must not depend on a mirror.

    :param bin_dir: what :func:`lab.binaries.ensure` returned.
    :raises SetupError: where the packages can't be had.
    """
    pause = bin_dir / "pause"
    archive = cache / "images" / f"lab-{_key(pause)}.tar"
    if not archive.exists():
        with locked(archive.parent / ".lock", report):
            if not archive.exists():
                report("Making the container images from Debian packages")
                with written(archive) as partial:
                    write_archive(partial, [_pause(pause), *_pythons(partial.parent, report)])
    return [archive]


def _key(pause: Path) -> str:
    digest = hashlib.sha256()
    sources = [Path(__file__), pause, packages.OS_RELEASE, *sorted(ECHO_SOURCE.glob("*.py"))]
    for path in filter(Path.exists, sources):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    digest.update(binaries.architecture().encode())
    return digest.hexdigest()[:12]


def _pause(program: Path) -> Image:
    tree = Tree()
    tree.file("pause", program.read_bytes(), 0o755)
    config = {"Entrypoint": ["/pause"], "User": f"{USER}:{USER}"}
    return Image(PAUSE, (tree.layer(),), config)


def _pythons(scratch: Path, report: Report) -> list[Image]:
    root = scratch / "root"
    versions = unpack_packages(DEBIAN_PACKAGES, root, scratch / "packages", report)
    shutil.copytree(ECHO_SOURCE, root / "app", ignore=shutil.ignore_patterns("__pycache__"))
    base = python_layer(root)
    common = {
        "Env": ["LANG=C.UTF-8", "PATH=/usr/bin"],
        "Labels": {"example.kestrel.packages": versions},
    }
    config = {
        **common,
        "Entrypoint": ["/usr/bin/python3", "/app/app.py"],
        "ExposedPorts": {"5000/tcp": {}},
        "User": f"{USER}:{USER}",
        "WorkingDir": "/app",
    }
    # As in the stock image: no entrypoint, and no user, which means root.
    stock = {**common, "Cmd": ["python3"]}
    return [Image(ECHO, (base, flask_layer(root)), config), Image(PYTHON, (base,), stock)]


# Root file systems


def unpack_packages(names: Iterable[str], root: Path, archives: Path, report: Report) -> str:
    """Unpack Debian packages with all that they depend on; no script of theirs is run.

    Their documentation and the parts in :data:`UNUSED` are left out, Python's modules are compiled.

    :param root: becomes the root file system, with a merged ``/usr``.
    :param archives: where the package files are downloaded to.
    :returns: what was unpacked, as ``name=version`` separated by blanks.
    """
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    files = packages.download(names, archives, report)
    for file in files:
        content = _run("dpkg-deb", "--fsys-tarfile", file)
        options = ("--keep-directory-symlink", "--no-same-owner", "--exclude=./usr/share")
        _run("tar", "--extract", f"--directory={root}", *options, content=content)
    for pattern in UNUSED:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    _compile(root)
    parts = (file.stem.replace("%3a", ":").split("_") for file in files)
    return " ".join(f"{name}={version}" for name, version, *__ in parts)


def python_layer(root: Path) -> Layer:
    """Return a layer with Python, its standard library and the shared libraries that they need."""
    tree = Tree()
    for name in MERGED:
        tree.link(name, f"usr/{name}")
    for name, text in ETC.items():
        tree.file(name, text.encode())
    tree.directory("tmp", 0o1777)
    tree.add(root, _with_libraries(root, _matching(root, PYTHON_FILES)))
    return tree.layer()


def flask_layer(root: Path) -> Layer:
    """Return a layer for above :func:`python_layer`: Flask, a WSGI server and the application."""
    tree = Tree()
    below = _with_libraries(root, _matching(root, PYTHON_FILES))
    tree.add(root, _with_libraries(root, _matching(root, FLASK_FILES)) - below)
    tree.add(root, _matching(root, ("app/**/*",)))
    return tree.layer()


def _matching(root: Path, patterns: Iterable[str]) -> set[Path]:
    """Return the files and links that match; not the links that lead to something left out."""
    found = {path for pattern in patterns for path in root.glob(pattern) if not _is_directory(path)}
    return {path for path in found if not path.is_symlink() or _target(root, path) in found}


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _target(root: Path, path: Path) -> Path:
    """Return what a path stands for, with absolute links taken as links within ``root``."""
    while path.is_symlink():
        path = path.parent / path.readlink()
        if not path.is_relative_to(root):
            path = root / path.relative_to("/")
    return path.resolve()


def _loader(root: Path) -> list[str | Path]:
    """Return the command that runs a program of ``root`` with the libraries of ``root``."""
    libraries = [*root.glob("usr/lib/*-linux-gnu"), root / "usr/lib"]
    loader = next(
        path for pattern in PYTHON_FILES if "/ld-linux" in pattern for path in root.glob(pattern)
    )
    return [_target(root, loader), "--library-path", ":".join(map(str, libraries))]


def _with_libraries(root: Path, files: set[Path]) -> set[Path]:
    """Return the files and the shared libraries in ``root`` that programs among them need."""
    needed = set(files)
    for path in files:
        with path.open("rb") as file:
            if file.read(4) != b"\x7fELF":
                continue
        for line in _run(*_loader(root), "--list", path).decode().splitlines():
            name, arrow, place = line.strip().partition(" => ")
            if not arrow:
                continue
            library = Path(place.rsplit(" (", 1)[0])
            if not library.is_relative_to(root):
                raise SetupError(f"{path.relative_to(root)} needs {name}, which no package has")
            needed |= {library, _target(root, library)}
    return needed


def _compile(root: Path) -> None:
    """Compile Python's modules with the Python of ``root``: a read-only image can't keep them."""
    _run(
        *_loader(root),
        _target(root, root / "usr/bin/python3"),
        *("-m", "compileall", "-q", "-s", root, "-p", "/"),
        # Neither a time stamp, which the archive doesn't have, nor a look at the source.
        *("--invalidation-mode", "unchecked-hash"),
        *root.glob("usr/lib/python3*"),
        environment={
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",  # What it imports itself is compiled like the rest.
            "PYTHONHASHSEED": "0",
            "PYTHONHOME": f"{root}/usr",
        },
    )


def _run(
    *command: str | Path,
    content: bytes | None = None,
    environment: Mapping[str, str] | None = None,
) -> bytes:
    done = subprocess.run(command, input=content, capture_output=True, check=False, env=environment)
    if done.returncode:
        output = done.stderr.decode(errors="replace").strip() or f"status {done.returncode}"
        raise SetupError(f"Making a container image failed in {command[0]}: {output}")
    return done.stdout


# Archives


class Tree:
    """Files to become a tar archive that has the same bytes whenever they are the same."""

    def __init__(self) -> None:
        """Start with an empty root directory."""
        self._entries: dict[str, tuple[tarfile.TarInfo, bytes]] = {}

    def directory(self, name: str, mode: int = 0o755) -> None:
        """Add a directory, and those above it that are not there."""
        self._entry(name, tarfile.DIRTYPE, mode)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        self._entry(name, tarfile.REGTYPE, mode, content=content)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._entry(name, tarfile.SYMTYPE, 0o777, target=target)

    def add(self, root: Path, paths: Iterable[Path]) -> None:
        """Add files and links below ``root`` under their paths relative to it."""
        for path in paths:
            name = str(path.relative_to(root))
            if path.is_symlink():
                self.link(name, str(path.readlink()))
            else:
                executable = path.stat().st_mode & 0o100
                self.file(name, path.read_bytes(), 0o755 if executable else 0o644)

    def _entry(
        self, name: str, kind: bytes, mode: int, *, content: bytes = b"", target: str = ""
    ) -> None:
        for parent in Path(name).parents:
            if parent.name and str(parent) not in self._entries:
                self.directory(str(parent))
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.linkname, entry.size = kind, mode, target, len(content)
        self._entries[name] = entry, content

    def write(self, file: IO[bytes]) -> None:
        """Write the archive; an entry follows its directory."""
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name in sorted(self._entries):
                entry, content = self._entries[name]
                archive.addfile(entry, io.BytesIO(content))

    def layer(self) -> Layer:
        """Return the files as a layer of an image."""
        buffer = io.BytesIO()
        self.write(buffer)
        return Layer(buffer.getvalue())


def write_archive(path: Path, images: Iterable[Image]) -> None:
    """Write images as one OCI image layout; layers that several have stand in it once.

    Source: https://github.com/opencontainers/image-spec, image-layout.md, manifest.md, config.md.
    """
    tree = Tree()
    manifests = []

    def blob(media_type: str, content: bytes) -> dict[str, Any]:
        digest = _digest(content)
        tree.file(f"blobs/{digest.replace(':', '/')}", content)
        kind = f"application/vnd.oci.image.{media_type}"
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    platform = {"architecture": binaries.architecture(), "os": "linux"}
    for image in images:
        config = {
            **platform,
            "config": image.config,
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in image.layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("config.v1+json", _json(config)),
            "layers": [blob("layer.v1.tar", layer.content) for layer in image.layers],
        }
        annotations = {
            "io.containerd.image.name": image.name,
            "org.opencontainers.image.ref.name": image.name.rpartition(":")[2],
        }
        row = blob("manifest.v1+json", _json(manifest))
        manifests.append({**row, "platform": platform, "annotations": annotations})
    tree.file("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    tree.file("index.json", _json({"schemaVersion": 2, "manifests": manifests}))
    with path.open("wb") as file:
        tree.write(file)


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
