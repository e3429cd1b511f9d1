# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting a lab up, telling how it is, taking it down."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import partial
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

from lab import (
    binaries,
    certificates,
    cgroups,
    cluster,
    credentials,
    images,
    machine,
    network,
    node,
    packages,
    parts,
    processes,
    shell,
    ssh,
)
from lab.api import Unanswered
from lab.errors import SetupError
from lab.parts import POLL, START_TIMEOUT, Part, State
from lab.settings import NODES, Host, Lab
from lab.shell import LabError

Report = Callable[[str], None]

#: A lab that is up takes about this many MiB of disk.
_SCARCE = 400


@dataclass(frozen=True)
class Step:
    """Something that can be done once the steps that it ``needs`` are done.

    ``run`` gets an event that says that all is in vain; it returns what it did, or None if there
    was nothing to do.
    """

    name: str
    run: Callable[[threading.Event], str | None]
    needs: tuple[str, ...] = ()


def run_steps(steps: Iterable[Step], report: Callable[[str, str], None]) -> None:
    """Run steps as early as their needs allow, as many at a time as that gives.

    ``report`` is called with the name and what was done, for steps that had something to do.
    Raises the exception of the first step that failed, when the others have stopped.
    """
    by_name = {step.name: step for step in steps}
    order = TopologicalSorter({step.name: step.needs for step in by_name.values()})
    order.prepare()
    cancelled = threading.Event()
    with ThreadPoolExecutor(max_workers=len(by_name)) as pool:
        try:
            waiting: dict[Future[str | None], str] = {}
            while order.is_active():
                for name in order.get_ready():
                    waiting[pool.submit(by_name[name].run, cancelled)] = name
                done, __ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    name = waiting.pop(future)
                    result = future.result()
                    if result is not None:
                        report(name, result)
                    order.done(name)
        finally:
            cancelled.set()


def all_parts(lab: Lab) -> list[Part]:
    """Return every program of the lab, in the order in which a person looks for the fault."""
    return [
        *cluster.control_plane(lab),
        *(part for each in NODES for part in node.parts(lab, each)),
        *cluster.stand_in(lab),
        *ssh.parts(lab),
    ]


def _until(
    lab: Lab, what: str, log: str, check: Callable[[], str], cancelled: threading.Event
) -> str | None:
    """Wait until ``check`` raises Unanswered no more; None if it didn't even at first.

    Raises LabError, naming the ``log`` to read, if that doesn't come.
    """
    deadline = time.monotonic() + START_TIMEOUT
    first = True
    while True:
        try:
            found = check()
        except Unanswered as error:
            if time.monotonic() > deadline:
                raise LabError(
                    f"{what} is not ready after {START_TIMEOUT:.0f} s ({error}); see"
                    f" `{lab.command(f'logs {log}')}`."
                ) from error
        else:
            return None if first else found
        first = False
        if cancelled.wait(POLL):
            raise LabError(f"{what} was not waited for.")


def _steps(lab: Lab, wanted: list[node.Image]) -> list[Step]:
    steps = [
        Step(part.name, partial(parts.bring_up, lab, part), part.needs) for part in all_parts(lab)
    ]
    manager = "kube-controller-manager"
    accounts = partial(_until, lab, "The cluster", manager, partial(cluster.readiness, lab))
    steps += [
        Step("objects", lambda _: cluster.apply_objects(lab), ("kube-apiserver",)),
        Step("cluster", accounts, (manager,)),
    ]
    for each in NODES:
        containerd, kubelet = f"{each.name}-containerd", f"{each.name}-kubelet"
        ready = partial(_until, lab, each.name, kubelet, partial(node.readiness, lab, each))
        steps += [
            Step(f"{each.name}-images", _importing(lab, each, wanted), (containerd,)),
            Step(each.name, ready, (kubelet, manager)),
        ]
    return steps


def _importing(
    lab: Lab, host: Host, wanted: list[node.Image]
) -> Callable[[threading.Event], str | None]:
    return lambda _: node.import_images(lab, host, wanted)


@contextlib.contextmanager
def _locked(lab: Lab, report: Report) -> Iterator[None]:
    def waiting() -> None:
        report(f"Another command is working on the lab {lab.name}; waiting until it has ended.")

    with machine.lock(lab, waiting):
        yield


def build(report: Report) -> tuple[Path, list[Path]]:
    """Have what every lab is made of; return the directory of programs, and archives of images.

    The first time on a machine that takes minutes, and nothing later: it is kept in a cache.
    Raises SetupError if something can be had from no source.
    """
    packages.ensure(report)
    programs = binaries.ensure(report)
    return programs, images.ensure(programs, report)


def up(lab: Lab, report: Report) -> float:
    """Put the lab up, or back in order; where it is so already nothing is changed.

    Returns the seconds that it took, without the set-up of programs and images.
    Raises SetupError if the machine lacks something, LabError if something doesn't get well.
    """
    if find_spec("kubernetes") is None:
        raise SetupError(
            f"{sys.executable} lacks the Python package kubernetes, which the load balancer"
            " stand-in needs; `make demo` makes an environment that has it."
        )
    programs, archives = build(report)
    with _locked(lab, report):
        started = time.monotonic()

        def progress(what: str, done: str) -> None:
            report(f"{time.monotonic() - started:5.1f} s  {what}: {done}")

        if processes.from_before_a_restart(lab):
            report("The machine was restarted since this lab was put up: starting it anew.")
            _clean(lab)
        machine.enter(lab)
        _keep_kubernetes(lab)
        _link_programs(lab, programs)
        _prepare(lab, progress)
        wanted = node.read_images(archives)
        shell.write(_images_file(lab), json.dumps([asdict(image) for image in wanted]))
        try:
            run_steps(_steps(lab, wanted), progress)
        except LabError as error:
            raise LabError(f"{error}{_disk(lab)}") from error
        return time.monotonic() - started


def _disk(lab: Lab) -> str:
    """Return a sentence if the disk is so full that this explains whatever failed."""
    free = shutil.disk_usage(lab.root).free >> 20
    return f" Only {free} MiB are left on the disk of {lab.root}." if free < _SCARCE else ""


def _images_file(lab: Lab) -> Path:
    """Return the file that says which images the nodes have, for those who don't make them."""
    return lab.root / "images.json"


def _keep_kubernetes(lab: Lab) -> None:
    """Write down which Kubernetes the lab runs; SetupError if it is up with another one.

    What one has stored another need not understand, an older one least of all.
    """
    record, wanted = lab.root / "kubernetes", binaries.kubernetes()
    known = record.read_text() if record.exists() else wanted
    if known != wanted:
        raise SetupError(
            f"The lab {lab.name} is up with Kubernetes {known}, not {wanted}. Set"
            f" {binaries.KUBERNETES_VARIABLE}={known}, or take it down: `{lab.command('down')}`."
        )
    shell.write(record, wanted)


def _link_programs(lab: Lab, programs: Path) -> None:
    if not lab.bin.is_symlink() or lab.bin.readlink() != programs:
        draft = lab.bin.with_name("bin.new")
        draft.unlink(missing_ok=True)
        draft.symlink_to(programs)
        draft.replace(lab.bin)


def _prepare(lab: Lab, progress: Callable[[str, str], None]) -> None:
    """Put in place what the parts stand on: network, credentials, configuration files."""
    lacked = network.ensure(lab)
    if lacked:
        progress("network", f"{len(lacked)} put in place")
    cut_off = {problem.split(":")[0] for problem in lacked if problem.endswith(": namespace")}
    for part in all_parts(lab):
        if part.host in cut_off:
            # Its containers sit in the namespace that is gone, as it does.
            processes.end_members(lab, f"{cgroups.PARTS}/{part.name}")
    for each in NODES:
        if each.name in cut_off:
            processes.end_members(lab, node.pods_group(each))
        cgroups.ensure(lab, node.pods_group(each))
    made = credentials.ensure(lab)
    if made:
        progress("credentials", f"{len(made)} made")
    shown = certificates.ensure(lab)
    if shown:
        progress("load balancers' certificates", f"{len(shown)} made")
    keys = ssh.ensure(lab)
    if keys:
        progress("ssh keys", f"{len(keys)} made")
    for each in NODES:
        node.configure(lab, each)
    cluster.configure_stand_in(lab)


def down(lab: Lab, report: Report) -> bool:
    """Remove everything of the lab, whatever state it is in; False if there was nothing.

    Raises LabError if something can't be removed.
    """
    if not _exists(lab):
        return False
    with _locked(lab, report):
        strangers = _clean(lab)
        machine.leave(lab)
    for pid, netns in strangers.items():
        report(
            f"Process {pid} was not started by the lab and is still in the network namespace"
            f" {netns}, which has lost its name but lives on until that process ends."
        )
    return True


def _exists(lab: Lab) -> bool:
    return (
        lab.root.exists()
        or machine.lock_path(lab).exists()
        or any(any(found) for found in network.leftovers(lab))
        or cgroups.exists(lab)
    )


def _clean(lab: Lab) -> dict[int, str]:
    """Remove everything of the lab but its lock.

    Returns, by process id, the namespaces of processes that are in there but not the lab's.
    """
    recorded = [
        process for part in all_parts(lab) if (process := processes.recorded(lab, part.name))
    ]
    processes.end(recorded)
    processes.end_members(lab)
    machine.remove_outside(lab)
    namespaces, directories = network.leftovers(lab)
    mounted = [path for path in namespaces if network.inode(path.name) is not None]
    strangers = network.inhabitants([path.name for path in mounted])
    machine.unmount([*machine.mounts(lab), *mounted])
    for path in namespaces:
        path.unlink()
    for path in directories:
        shutil.rmtree(path)
    cgroups.remove(lab)
    if lab.root.exists():
        shutil.rmtree(lab.root)
    return strangers


def states(lab: Lab) -> list[State]:
    """Return how everything in the lab is, in the order in which a person looks for the fault."""
    checks: list[Callable[[], State]] = [
        partial(_state, "network", partial(_network, lab)),
        *(partial(parts.inspect, lab, part) for part in all_parts(lab)),
    ]
    for each in NODES:
        checks += [
            partial(_state, f"{each.name}-images", partial(_images, lab, each)),
            partial(_state, each.name, partial(node.readiness, lab, each)),
        ]
    checks.append(partial(_state, "cluster", partial(cluster.readiness, lab)))
    return shell.parallel(lambda check: check(), checks)


def _state(name: str, check: Callable[[], str]) -> State:
    try:
        return State(name, True, check())
    except LabError as error:
        return State(name, False, str(error))


def _images(lab: Lab, host: Host) -> str:
    try:
        wanted = [node.Image(**image) for image in json.loads(_images_file(lab).read_text())]
    except OSError as error:
        raise Unanswered("not imported") from error
    return node.check_images(lab, host, wanted)


def _network(lab: Lab) -> str:
    lacking = network.problems(lab)
    if lacking:
        raise Unanswered(f"lacks {', '.join(lacking)}")
    return "complete"
