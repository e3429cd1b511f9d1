# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes are known by id and start time, found again whatever happens, and nobody else is hit.

Needs root and Linux, but no cluster: control groups and processes are real.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import __main__ as command_line
from lab import (
    api,
    cgroups,
    cluster,
    lifecycle,
    machine,
    network,
    node,
    parts,
    processes,
    settings,
    shell,
)
from lab.errors import SetupError
from lab.lifecycle import Step, run_steps
from lab.parts import Part, State
from lab.processes import Process, parse_stat
from lab.settings import BASE, HOSTS, MASTER, NODES, Lab
from lab.shell import LabError

#: A line of /proc/[pid]/stat of this very kind of machine; the name in brackets is replaced.
STAT = (
    "4242 ({}) S 1 4242 4242 0 -1 4194560 1005 0 0 0 3 1 0 0 20 0 1 0 228356 2625536 512"
    " 18446744073709551615 1 1 0 0 0 0 0 4096 65536 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0"
)


BOOT = Path("/proc/sys/kernel/random/boot_id")


@pytest.mark.parametrize("name", ["etcd", "tmux: server", "a) S 1 (b", ")", "", "nginx: (x)"])
def test_stat_is_read_whatever_the_program_is_called(name: str) -> None:
    """A program's name may contain anything, also what looks like the fields after it."""
    assert parse_stat(STAT.format(name)) == (Process(4242, 228356), "S")


@pytest.mark.parametrize("line", ["", "4242", "4242 (etcd", "4242 (etcd) S 1 2", "x (y) S"])
def test_stat_that_is_none(line: str) -> None:
    """Half a line, as of a record that was being written, is no process."""
    with pytest.raises(ValueError, match="stat"):
        parse_stat(line)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def _process(popen: subprocess.Popen[bytes]) -> Process:
    found = processes.find(popen.pid)
    assert found
    return found


def _halt(popen: subprocess.Popen[bytes]) -> None:
    popen.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 10
    while not _process(popen).stopped():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_alive_is_this_very_process(sleeper: subprocess.Popen[bytes]) -> None:
    """Neither another one with the same id nor one that waits to be reaped is alive."""
    process = _process(sleeper)
    assert process.alive()
    assert 0 <= process.age < 60
    assert not replace(process, start=process.start - 1).alive()
    _halt(sleeper)
    assert process.stopped()
    assert process.alive()
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert processes.find(sleeper.pid) == process, "it is a zombie now"
    assert not process.alive()


def test_an_id_that_was_given_to_another_is_spared(sleeper: subprocess.Popen[bytes]) -> None:
    """A record with the right id and another start time means somebody who is gone."""
    processes.end([replace(_process(sleeper), start=1)])
    assert sleeper.poll() is None


def test_end_asks_again_once_the_identity_is_sure(sleeper: subprocess.Popen[bytes]) -> None:
    """Who turns out not to be ours is spared."""
    processes.end([_process(sleeper)], still_ours=lambda _: False)
    assert sleeper.poll() is None


def test_end_waits_for_the_end(sleeper: subprocess.Popen[bytes]) -> None:
    """After ``end`` the process no longer runs, also if it is halted."""
    process = _process(sleeper)
    _halt(sleeper)
    processes.end([process], grace=0.1)
    assert not process.alive()
    assert sleeper.wait(5) == -signal.SIGKILL


def test_end_lets_a_process_end_by_itself() -> None:
    """SIGTERM comes first where there is a grace."""
    script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        processes.end([_process(process)], grace=5)
        assert process.wait(5) == 3


def test_end_of_what_has_ended() -> None:
    """There is nothing to do."""
    with subprocess.Popen(["true"]) as process:
        record = _process(process)
        process.wait()
    processes.end([record])


# --------------------------------------------------------------------------------------------
# Control groups and records


@pytest.fixture
def grounds() -> Iterator[Lab]:
    """A lab of which there is one network namespace, and a directory."""
    lab = Lab("grounds")
    lab.root.mkdir(parents=True)
    netns = lab.netns(MASTER.name)
    shell.run(["ip", "netns", "add", netns])
    yield lab
    lifecycle.down(lab, print)
    assert not lab.root.exists()
    assert not (network.NAMESPACES / netns).exists()
    assert not list(Path("/sys/fs/cgroup").rglob(f"{lab.cgroup}"))


def _start(lab: Lab, *argv: str) -> Process:
    processes.start(lab, "part", argv, lab.netns(MASTER.name), fingerprint="f")
    deadline = time.monotonic() + 10
    while not (found := processes.recorded(lab, "part")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_a_part_is_recorded_before_it_runs(grounds: Lab) -> None:
    """The program sees its own record, and is in the lab's groups and namespace from the start."""
    record = f"{grounds.root}/run/{BOOT.read_text().strip()}/part.process"
    script = f"read -r pid rest < {record}; echo $$ $pid; cat /proc/$$/cgroup; exec sleep 1000"
    process = _start(grounds, "sh", "-c", script)
    until_logged = time.monotonic() + 10
    log = grounds.logs / "part.log"
    while "0::" not in log.read_text() and time.monotonic() < until_logged:
        time.sleep(0.01)
    first, *groups = log.read_text().splitlines()
    assert first == f"{process.pid} {process.pid}"
    assert groups
    assert all(line.endswith(f"/{grounds.cgroup}/parts/part") for line in groups)
    assert network.inode_of(process.pid) == network.inode(grounds.netns(MASTER.name))
    assert processes.recorded_fingerprint(grounds, "part") == "f"
    # The shell's own, with which it reads the record, is gone once it has become the last program.
    while "sleep" not in Path(f"/proc/{process.pid}/comm").read_text():
        assert time.monotonic() < until_logged
        time.sleep(0.01)
    assert not {
        Path(f"/proc/{process.pid}/fd/{each}").resolve()
        for each in os.listdir(f"/proc/{process.pid}/fd")
    } - {Path("/dev/null"), log}


def test_a_part_does_not_hold_the_lock(grounds: Lab) -> None:
    """What runs on must not keep the next ``up`` waiting."""
    lock = grounds.root / "lock"
    with shell.locked(lock):
        process = _start(grounds, "sh", "-c", "echo runs; exec sleep 1000")
    # It records itself while it still holds the lock, and lets go when it becomes the program.
    deadline = time.monotonic() + 10
    while "runs" not in (grounds.logs / "part.log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    waited: list[bool] = []
    with shell.locked(lock, lambda: waited.append(True)):
        assert process.alive()
    assert not waited


def test_descendants_are_found_and_ended(grounds: Lab) -> None:
    """Children that left their session and lost their parent are still members of the group."""
    script = "setsid sh -c 'sleep 1000 & sleep 1000' & sleep 1000 & wait"
    first = _start(grounds, "sh", "-c", script)
    deadline = time.monotonic() + 10
    while len(cgroups.members(grounds)) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    members = [found for pid in cgroups.members(grounds) if (found := processes.find(pid))]
    assert len(members) == 5
    processes.end([first])
    assert processes.end_members(grounds) == 4
    assert not any(member.alive() for member in members)
    assert cgroups.members(grounds) == set()


def test_whoever_else_is_there_is_named_and_spared(
    grounds: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """``down`` ends only what the lab started, and says who keeps a namespace alive."""
    netns = f"--net={network.NAMESPACES / grounds.netns(MASTER.name)}"
    with subprocess.Popen(["nsenter", netns, "sleep", "1000"]) as stranger:
        deadline = time.monotonic() + 10
        while Path(f"/proc/{stranger.pid}/comm").read_text() != "sleep\n":
            assert time.monotonic() < deadline
        lifecycle.down(grounds, print)
        assert stranger.poll() is None
        stranger.kill()
    assert f"Process {stranger.pid} was not started by the lab" in capsys.readouterr().out


def test_records_from_before_a_restart_do_not_count(grounds: Lab) -> None:
    """Ids and start times begin anew, so an old record may by chance fit a stranger."""
    assert not processes.from_before_a_restart(grounds)
    process = _start(grounds, "sleep", "1000")
    assert not processes.from_before_a_restart(grounds)
    records = grounds.root / "run" / BOOT.read_text().strip()
    records.rename(records.with_name("another"))
    assert processes.from_before_a_restart(grounds)
    assert processes.recorded(grounds, "part") is None
    assert process.alive()


def test_start_without_a_namespace(grounds: Lab) -> None:
    """The sentence names the namespace."""
    with pytest.raises(LabError, match="namespace grounds-nowhere is missing"):
        processes.start(grounds, "part", ["true"], "grounds-nowhere", fingerprint="")


#: Mounts as on a system with version 1 and 2 side by side, with version 2 only, and with neither.
HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
99 31 0:38 / /mnt/again rw,relatime - cgroup2 cgroup2 rw
"""
UNIFIED = "26 23 0:23 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.mark.parametrize(
    ("mountinfo", "expected"),
    [
        (HYBRID, ["memory", "systemd", "unified"]),
        (UNIFIED, [""]),
        ("22 27 0:21 / /proc rw,relatime - proc proc rw\n", []),
    ],
)
def test_hierarchies(mountinfo: str, expected: list[str]) -> None:
    """Each hierarchy counts once, wherever and however often it is mounted."""
    assert cgroups.hierarchies(mountinfo) == [Path("/sys/fs/cgroup", name) for name in expected]


# --------------------------------------------------------------------------------------------
# What labs share


def test_the_last_lab_puts_the_machine_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A setting is as before the first lab once the last has gone, and not before that."""
    monkeypatch.setattr(settings, "BASE", tmp_path / "labs")
    monkeypatch.setattr(machine, "BASE", tmp_path / "labs")
    monkeypatch.setattr(machine, "_RECORD", tmp_path / "labs" / ".machine.json")
    monkeypatch.setattr(machine, "_LOCK", tmp_path / "labs" / ".machine.lock")
    monkeypatch.setattr(machine, "SYSCTLS", ("kernel/panic", "kernel/no_such_setting"))
    made, used, found = (tmp_path / name for name in ("made", "used", "found"))
    found.mkdir()
    monkeypatch.setattr(machine, "DIRECTORIES", (made, used, found))
    monkeypatch.setattr(machine, "FILES", (made / "file", found / "file"))
    setting = Path("/proc/sys/kernel/panic")
    before = setting.read_text()
    first, second = Lab("first"), Lab("second")
    try:
        machine.enter(first)
        setting.write_text("17")
        machine.enter(second)
        for path in (made / "file", used / "another's", found / "file"):
            path.parent.mkdir(exist_ok=True)
            path.touch()
        machine.leave(first)
        assert setting.read_text() == "17\n"
        assert machine.labs() == ["second"]
        machine.leave(second)
        assert setting.read_text() == before
    finally:
        setting.write_text(before)
    assert not (tmp_path / "labs").exists()
    assert not made.exists()
    assert (used / "another's").exists()
    assert found.is_dir()


# --------------------------------------------------------------------------------------------
# What a start depends on


def _part(**changes: object) -> Part:
    return replace(Part("part", "master", ("program", "--option"), lambda: "well"), **changes)  # type: ignore[arg-type]


def test_fingerprint(tmp_path: Path) -> None:
    """Another option, environment or content of a file means another start; another Python not."""
    file = tmp_path / "config"
    file.write_text("one")
    lab = Lab("none")
    seen = {
        parts.fingerprint(lab, _part()),
        parts.fingerprint(lab, _part(argv=("program", "--other"))),
        parts.fingerprint(lab, _part(environment=(("A", "b"),))),
        parts.fingerprint(lab, _part(reads=(file,))),
    }
    file.write_text("two")
    seen.add(parts.fingerprint(lab, _part(reads=(file,))))
    assert len(seen) == 5
    assert parts.fingerprint(lab, _part()) in seen
    assert parts.fingerprint(lab, _part(argv=("python",))) == parts.fingerprint(
        lab, _part(argv=(sys.executable,))
    )


# --------------------------------------------------------------------------------------------
# Steps


def test_steps_run_as_early_as_they_can() -> None:
    """What needs nothing of each other runs at the same time; needs are done before."""
    together = threading.Barrier(2, timeout=10)
    done: list[str] = []

    def step(name: str, *needs: str, meet: bool = False) -> Step:
        def run(__: threading.Event) -> str | None:
            if meet:
                together.wait()
            done.append(name)
            return None if name == "silent" else "done"

        return Step(name, run, needs)

    reported: list[str] = []
    run_steps(
        [
            step("last", "left", "right"),
            step("left", "silent", meet=True),
            step("right", "silent", meet=True),
            step("silent"),
        ],
        lambda name, _: reported.append(name),
    )
    assert done[0] == "silent"
    assert done[-1] == "last"
    assert sorted(reported) == ["last", "left", "right"]


def test_a_failed_step_stops_the_others() -> None:
    """The first failure is told; what waits is told that it is in vain, the rest never begins."""
    begun: list[str] = []

    def fail(__: threading.Event) -> str:
        raise LabError("broken")

    def wait(cancelled: threading.Event) -> str:
        begun.append("wait")
        assert cancelled.wait(10)
        raise LabError("not waited for")

    def never(__: threading.Event) -> str:
        begun.append("never")
        return ""

    with pytest.raises(LabError, match="broken"):
        run_steps([Step("wait", wait), Step("fail", fail), Step("never", never, ("fail",))], print)
    assert begun == ["wait"]


# --------------------------------------------------------------------------------------------
# Locks, commands, files


def test_a_lock_whose_file_went_away_is_taken_anew(tmp_path: Path) -> None:
    """Who waits for a lock that ``down`` removes gets the new one, not the dead one."""
    path = tmp_path / "directory" / "lock"
    entered = threading.Event()
    waiting = threading.Event()

    def second() -> None:
        with shell.locked(path, waiting.set):
            assert path.exists()
            entered.set()

    with shell.locked(path):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        path.unlink()
        path.parent.rmdir()
        assert not entered.is_set()
    assert entered.wait(10)
    thread.join(10)


def test_commands_hold_the_lock(tmp_path: Path) -> None:
    """A command that outlives a killed ``up`` keeps the lock until it has ended."""
    path = tmp_path / "lock"
    script = """
import os, pathlib, sys
from lab import shell
with shell.locked(pathlib.Path(sys.argv[1])):
    shell.run(["sh", "-c", f"kill -9 {os.getpid()}; sleep 0.5; echo > {sys.argv[1]}.done"])
"""
    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with shell.locked(path):
        assert path.with_name("lock.done").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["no-such-program-here"], "The program no-such-program-here is missing."),
        (["sh", "-c", "echo why >&2; exit 3"], "failed with exit code 3: why"),
        (["sleep", "5"], "did not end within 0.1 s"),
    ],
)
def test_a_command_that_fails(argv: list[str], message: str) -> None:
    """One sentence that names the command and what it said."""
    with pytest.raises(LabError) as caught:
        shell.run(argv, timeout=0.1 if argv[0] == "sleep" else 10)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_write(tmp_path: Path) -> None:
    """A secret is never readable for others, and a file that is right already is not touched."""
    path = tmp_path / "new" / "file"
    assert shell.write(path, "one", 0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.stat()
    assert not shell.write(path, "one", 0o600)
    assert path.stat().st_ino == before.st_ino
    assert shell.write(path, "two", 0o600)
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


# --------------------------------------------------------------------------------------------
# What is wanted


def test_the_wanted_network_is_consistent() -> None:
    """No address twice, interface names that the kernel takes, next hops that are neighbours."""
    wanted = network.wanted(Lab("abcdefgh"))
    addresses = [text for namespace in wanted.values() for __, text in namespace.addresses]
    assert (
        len(addresses)
        == len(set(addresses))
        == 2 * sum(len(host.addresses) for host in HOSTS.values())
    )
    for namespace in wanted.values():
        assert all(len(name) <= 15 for name in (*namespace.links, *namespace.bridges))
    gateways = {gateway for namespace in wanted.values() for __, gateway in namespace.routes}
    assert gateways <= {text.split("/")[0] for text in addresses}


def test_objects_that_are_there_are_not_applied() -> None:
    """What the API server adds is no difference, what it lacks or has otherwise is."""
    wanted = {"spec": {"list": [{"a": 1}, {"b": 2}], "text": "x"}}
    assert cluster.contains({"spec": {"list": [{"a": 1, "z": 0}, {"b": 2}], "text": "x"}}, wanted)
    assert not cluster.contains({"spec": {"list": [{"a": 1}], "text": "x"}}, wanted)
    assert not cluster.contains({"spec": {"list": [{"a": 1}, {"b": 3}], "text": "x"}}, wanted)
    assert not cluster.contains({"spec": {"list": [{"a": 1}, {"b": 2}]}}, wanted)
    assert not cluster.contains({}, wanted)


def test_connections_of_a_process() -> None:
    """Remote ends are read from the kernel's table, established ones only."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert ("127.0.0.1", port) not in api.connections(os.getpid())
        with socket.create_connection(("127.0.0.1", port)):
            assert ("127.0.0.1", port) in api.connections(os.getpid())


def test_status_table_is_aligned() -> None:
    """Columns begin at the same place in every line."""
    states = [
        State("etcd", True, "answers", Process(7, 0)),
        State("node1-containerd", False, "not started"),
    ]
    lines = command_line.table(states).splitlines()
    assert [line.split()[0] for line in lines] == ["PART", "etcd", "node1-containerd"]
    for words in (("HEALTH", "ok", "FAULT"), ("DETAIL", "answers", "not started")):
        assert len({line.index(word) for line, word in zip(lines, words, strict=True)}) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (187, "3m07s"), (18720, "5h12m"), (187200, "2d04h")],
)
def test_age(seconds: float, text: str) -> None:
    """Two units at most."""
    assert command_line.age(seconds) == text


def test_names() -> None:
    """A name is part of paths and of interface and namespace names, so little is allowed."""
    assert command_line.chosen("a2") == Lab("a2")
    for name in ("", "A", "a b", "../x", "1a", "ninechars", "a\n"):
        with pytest.raises(SetupError):
            command_line.chosen(name)


def test_every_node_has_its_own_places() -> None:
    """Neither files nor groups of the nodes meet."""
    lab = Lab("none")
    assert len({node.directory(lab, each) for each in NODES}) == len(NODES)
    assert len({node.pods_group(each) for each in NODES}) == len(NODES)
    assert lab.root == BASE / "none"
