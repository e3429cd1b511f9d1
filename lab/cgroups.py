# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's control groups: the kernel's own record of which processes belong to it.

Containers and their shims are started by containerd, not by the lab, so no record of the lab
names them. But they stay below the control group that containerd was started in, whoever dies.
Version 1, version 2 and both side by side work alike: the lab has a group of the same path in each
hierarchy that is mounted.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from lab.settings import CGROUP, Lab
from lab.shell import LabError

#: Groups below the lab's own: one for what the lab starts, one for pods. Version 2 lets only
#: leaves have processes once controllers are handed down, so the two can't be one.
PARTS = "parts"
PODS = "pods"


def hierarchies(mountinfo: str) -> list[Path]:
    """Return where control group hierarchies are mounted, read from the text of mountinfo.

    Format: proc(5), ``/proc/[pid]/mountinfo``: field 5 is the mount point, the first field after
    the lone ``-`` is the type of file system. A hierarchy mounted twice is returned once.
    """
    found: dict[str, Path] = {}
    for line in mountinfo.splitlines():
        before, __, after = line.partition(" - ")
        if after.split(" ", 1)[0] in ("cgroup", "cgroup2"):
            device, __, mount_point = before.split(" ")[2:5]
            found.setdefault(device, Path(mount_point))
    return list(found.values())


def _mounted() -> list[Path]:
    return hierarchies(Path("/proc/self/mountinfo").read_text())


def _inherit_cpuset(group: Path) -> None:
    """Give a new group of a version 1 cpuset hierarchy its parent's processors and memory.

    It starts with none, and then refuses every process.
    """
    if (group / "cgroup.controllers").exists():
        # Version 2 has the same file names, but there an empty file means "as the parent".
        return
    for name in ("cpuset.cpus", "cpuset.mems"):
        own = group / name
        if own.exists() and not own.read_text().strip():
            own.write_text((group.parent / name).read_text())


def _hand_down(group: Path) -> None:
    """Let what is below a version 2 group be limited by every controller that the group has.

    kubelet counts a group that lacks a controller as missing.
    """
    handed_down = group / "cgroup.subtree_control"
    names = set((group / "cgroup.controllers").read_text().split())
    for name in sorted(names - set(handed_down.read_text().split())):
        # One by one: a controller that is in use elsewhere is refused, and the rest still work.
        with contextlib.suppress(OSError):
            handed_down.write_text(f"+{name}")


def handed_down() -> dict[str, list[str]]:
    """Return version 2 hierarchy → controllers that its root hands down."""
    return {
        str(hierarchy): (hierarchy / "cgroup.subtree_control").read_text().split()
        for hierarchy in _mounted()
        if (hierarchy / "cgroup.subtree_control").exists()
    }


def take_back(before: dict[str, list[str]]) -> None:
    """Hand down from the roots what they handed down ``before``, and no more."""
    for hierarchy, controllers in handed_down().items():
        for name in set(controllers) - set(before.get(hierarchy, controllers)):
            # Others may use it by now.
            with contextlib.suppress(OSError):
                Path(hierarchy, "cgroup.subtree_control").write_text(f"-{name}")


def ensure(lab: Lab, below: str) -> list[Path]:
    """Create a group below the lab's in every hierarchy; return these directories.

    Raises LabError if there is no hierarchy or it can't be written to.
    """
    groups = []
    mounted = _mounted()
    if not mounted:
        raise LabError("No control groups are mounted at /sys/fs/cgroup; kubelet needs them.")
    for hierarchy in mounted:
        group = hierarchy
        for name in (*lab.cgroup.split("/"), *below.split("/")):
            try:
                # Beside version 1, version 2 has no part in limiting anything.
                if len(mounted) == 1:
                    _hand_down(group)
                group /= name
                group.mkdir(exist_ok=True)
                _inherit_cpuset(group)
            except OSError as error:
                raise LabError(
                    f"The control group {group} can't be set up: {error.strerror}."
                ) from error
        groups.append(group)
    return groups


def _tree(lab: Lab, below: str) -> Iterator[Path]:
    """Yield the lab's groups below a relative path in all hierarchies, children first."""
    for hierarchy in _mounted():
        top = hierarchy / lab.cgroup / below
        for directory, __, __ in os.walk(top, topdown=False):
            yield Path(directory)


def members(lab: Lab, below: str = "") -> set[int]:
    """Return the ids of all processes in the lab's groups, or in those below a relative path."""
    found: set[int] = set()
    for group in _tree(lab, below):
        # A group may go away between being listed and being read.
        with contextlib.suppress(OSError):
            found.update(int(line) for line in (group / "cgroup.procs").read_text().split())
    # 0 stands for a process of a parent process id namespace: not ours.
    return found - {0}


def contains(lab: Lab, pid: int, below: str = "") -> bool:
    """Tell whether a process is in one of the lab's groups right now."""
    wanted = f"/{lab.cgroup}/{below}".rstrip("/") + "/"
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return False
    # Not only at the start: inside a container the path may begin with the container's own.
    return any(wanted in f"{line}/" for line in lines)


def exists(lab: Lab) -> bool:
    """Tell whether any of the lab's groups exists."""
    return any((hierarchy / lab.cgroup).exists() for hierarchy in _mounted())


def remove(lab: Lab, timeout: float = 3.0) -> None:
    """Remove the lab's groups, whose processes have ended; raises LabError if some remain.

    The kernel may take some milliseconds to let go of a group after its last process.
    """
    end = time.monotonic() + timeout
    while True:
        left = [group for group in _tree(lab, "") if not _removed(group)]
        if not left:
            break
        if time.monotonic() > end:
            raise LabError(f"The control group {left[0]} can't be removed: it is still in use.")
        time.sleep(0.02)
    for hierarchy in _mounted():
        # Other labs may have theirs beside ours.
        with contextlib.suppress(OSError):
            (hierarchy / CGROUP).rmdir()


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
