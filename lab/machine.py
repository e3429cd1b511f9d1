# SPDX-License-Identifier: GPL-3.0-or-later
"""What labs change outside their own places, and putting it back when the last lab goes.

kubelet sets some settings of the whole kernel and writes to a few fixed paths; containerd and the
CNI plugins do the latter too. All labs share these. So what was there is recorded before the first
lab starts anything, and restored when no lab's directory is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from lab import cgroups, shell
from lab.network import ETC, NAMESPACES
from lab.settings import BASE, Lab
from lab.shell import LabError

_MNT_DETACH: Final = 2
_UMOUNT_NOFOLLOW: Final = 8
_libc: Final = ctypes.CDLL(None, use_errno=True)

_RECORD: Final = BASE / ".machine.json"
_LOCK: Final = BASE / ".machine.lock"

#: Settings below /proc/sys that kubelet changes (``setupKernelTunables`` in its container manager).
SYSCTLS: Final = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)

#: Paths that no option of the programs moves into the lab's directory.
DEVICE_PLUGINS: Final = Path("/var/lib/kubelet/device-plugins")
CONTAINER_LOGS: Final = Path("/var/log/containers")
SHIM_SOCKETS: Final = Path("/run/containerd/s")
CNI_RESULTS: Final = Path("/var/lib/cni/results")

#: Where sshd, whoever starts it, locks up what it has not yet let in.
SSHD_EMPTY: Final = Path("/run/sshd")

#: Directories that may be made on the way, deepest first; removed only if they were not there
#: before and hold nothing.
DIRECTORIES: Final = (
    DEVICE_PLUGINS,
    DEVICE_PLUGINS.parent,
    CONTAINER_LOGS,
    SHIM_SOCKETS,
    SHIM_SOCKETS.parent / "fifo",
    SHIM_SOCKETS.parent,
    CNI_RESULTS,
    CNI_RESULTS.parent / "networks",
    CNI_RESULTS.parent,
    ETC,
    # Where the program that kubelet mounts volumes with keeps its notes.
    Path("/run/mount"),
    SSHD_EMPTY,
)

#: Files that kubelet leaves in a directory that is not the lab's.
FILES: Final = tuple(
    DEVICE_PLUGINS / name for name in ("kubelet.sock", "kubelet_internal_checkpoint", "DEPRECATION")
)


def lock_path(lab: Lab) -> Path:
    """Return the lock file of a lab; it stands beside the lab's directory and survives that."""
    return BASE / f".{lab.name}.lock"


def lock(lab: Lab, waiting: Callable[[], None]) -> AbstractContextManager[None]:
    """Hold the lab against other ``up`` and ``down``; ``waiting`` is called if one is at work."""
    return shell.locked(lock_path(lab), waiting)


def labs() -> list[str]:
    """Return the names of all labs that have a directory."""
    if not BASE.is_dir():
        return []
    return sorted(path.name for path in BASE.iterdir() if path.is_dir())


def enter(lab: Lab) -> None:
    """Make the lab's directory; before the first one, record what the machine is like."""
    with shell.locked(_LOCK):
        if not _RECORD.exists():
            shell.write(_RECORD, json.dumps(_observe(), indent=1) + "\n", 0o600)
        lab.root.mkdir(mode=0o755, exist_ok=True)


def _observe() -> dict[str, Any]:
    sysctls = {}
    for name in SYSCTLS:
        with contextlib.suppress(FileNotFoundError):
            sysctls[name] = Path("/proc/sys", name).read_text().strip()
    return {
        "sysctls": sysctls,
        "absent": [str(path) for path in (*FILES, *DIRECTORIES) if not path.exists()],
        "controllers": cgroups.handed_down(),
        "netns_mounted": os.path.ismount(NAMESPACES),
        "netns_existed": NAMESPACES.exists(),
    }


def leave(lab: Lab) -> None:
    """Remove the lab's directory; after the last one, put back what was recorded.

    To be called with the lab's lock held, which it removes as the last thing.
    """
    with shell.locked(_LOCK):
        if lab.root.exists():
            shutil.rmtree(lab.root)
        last = not labs()
        if _RECORD.exists():
            record = json.loads(_RECORD.read_text())
            _remove_unused(path for path in FILES if str(path) in record["absent"])
            # A shim that was killed leaves its socket, and nothing says whose it was.
            if str(SHIM_SOCKETS) in record["absent"] and SHIM_SOCKETS.exists():
                _remove_unused(SHIM_SOCKETS.iterdir())
            if last:
                _restore(record)
                _RECORD.unlink()
        lock_path(lab).unlink(missing_ok=True)
        if last:
            # Others may be waiting for it; they notice that it is gone and make a new one.
            _LOCK.unlink()
    with contextlib.suppress(OSError):
        BASE.rmdir()


def _remove_unused(paths: Iterable[Path]) -> None:
    """Remove files, but sockets that somebody serves: another lab's programs."""
    for path in paths:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(str(path)) != 0:
                path.unlink(missing_ok=True)


def _restore(record: dict[str, Any]) -> None:
    for name, value in record["sysctls"].items():
        path = Path("/proc/sys", name)
        with contextlib.suppress(FileNotFoundError):
            if path.read_text().strip() != value:
                path.write_text(value)
    cgroups.take_back(record.get("controllers", {}))
    for path in DIRECTORIES:
        if str(path) in record["absent"] and not (path == SSHD_EMPTY and sshd_runs()):
            # Whoever else put something there needs it.
            with contextlib.suppress(OSError):
                path.rmdir()
    if NAMESPACES.exists() and not any(NAMESPACES.iterdir()):
        if not record["netns_mounted"] and os.path.ismount(NAMESPACES):
            unmount([NAMESPACES])
        if not record["netns_existed"]:
            with contextlib.suppress(OSError):
                NAMESPACES.rmdir()


def sshd_runs() -> bool:
    """Tell whether an sshd runs, which would let nobody in any more without its directory."""
    for program in Path("/proc").glob("[0-9]*/exe"):
        # One that has ended and only waits to be reaped has no program any more.
        with contextlib.suppress(OSError):
            if program.readlink().name.split()[0] == SSHD_EMPTY.name:
                return True
    return False


def mounts(lab: Lab) -> list[Path]:
    """Return the mount points below the lab's directory, the last mounted first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # Blanks and backslashes come as octal escapes; see proc(5).
        path = line.split(" ")[4].encode().decode("unicode_escape")
        if path.startswith(f"{lab.root}/"):
            found.append(Path(path))
    return found[::-1]


def unmount(points: list[Path]) -> None:
    """Unmount, also what is in use; raises LabError naming what could not be.

    Not by the program ``umount``: that leaves its own notes in /run.
    """
    for point in points:
        if _libc.umount2(os.fsencode(point), _MNT_DETACH | _UMOUNT_NOFOLLOW) != 0:
            reason = os.strerror(ctypes.get_errno())
            raise LabError(f"{point} can't be unmounted: {reason}.")


def remove_outside(lab: Lab) -> None:
    """Remove the files of this lab that its programs put at fixed paths outside its directory."""
    for address in lab.root.glob("*/containerd/state/*/*/*/address"):
        with contextlib.suppress(OSError):
            socket = Path(address.read_text().removeprefix("unix://"))
            if socket.parent == SHIM_SOCKETS:
                socket.unlink(missing_ok=True)
    if CONTAINER_LOGS.is_dir():
        for link in CONTAINER_LOGS.iterdir():
            if link.is_symlink() and os.readlink(link).startswith(f"{lab.root}/"):
                link.unlink()
    if CNI_RESULTS.is_dir():
        for result in CNI_RESULTS.iterdir():
            # Those of the loopback plugin have no name of ours, but the pod's network namespace.
            if f"{lab.root}/" in result.read_text(errors="replace"):
                result.unlink()
