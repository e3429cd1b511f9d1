# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages: only the missing ones, no service of theirs started, nothing half done."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import packages, settings
from lab.errors import SetupError
from lab.packages import Package

NEEDED = (
    Package("alpha", "alpha", "does one thing", ("alpha.service", "alpha.socket")),
    Package("beta", "beta", "does another", ("beta.service",)),
    Package("gamma", "gamma", "does a third"),
)

#: Writes down its call and whether services were forbidden to start; installs what it is asked for.
FAKE_APT = """#!/bin/sh
for argument in "$@"; do case "$argument" in --option=*|--yes|--quiet|--no-install-recommends) ;;
*) call="$call $argument";; esac; done
policy=allowed
[ ! -x "$FAKE_POLICY" ] || "$FAKE_POLICY" || policy=$?
echo "${0##*/}$call [$policy]" >> "$FAKE_RECORD"
case "$call" in
" update") touch "$FAKE_LISTS" ;;
" --download-only"*)
    [ -e "$FAKE_LISTS" ] || { echo "E: Unable to locate package"; exit 100; } ;;
" install"*)
    [ ! -e "$FAKE_BREAKS" ] || { echo "E: Sub-process /usr/bin/dpkg returned an error"; exit 100; }
    for name in $call; do
        [ "$name" = install ] || { : > "${0%/*}/$name"; chmod 755 "${0%/*}/$name"; }
    done ;;
esac
"""


@dataclass
class Machine:
    """A machine whose programs, policy and package manager are the test's."""

    programs: Path
    policy: Path
    os_release: Path
    record: Path
    lists: Path
    breaks: Path

    @property
    def calls(self) -> list[str]:
        """Return what was run, with the policy's answer."""
        return self.record.read_text().splitlines() if self.record.exists() else []

    def has(self, *names: str) -> None:
        """Have programs."""
        for name in names:
            (self.programs / name).touch(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a Debian machine with root's rights, current lists and no needed program."""
    programs, system = tmp_path / "bin", tmp_path / "system"
    programs.mkdir()
    system.mkdir()
    for name in ("apt-get", "dpkg", "systemctl"):
        (programs / name).write_text(FAKE_APT)
        (programs / name).chmod(0o755)
    for name in ("setpriv", "touch", "chmod"):
        real = shutil.which(name)
        assert real
        (programs / name).symlink_to(real)
    machine = Machine(
        programs,
        system / "policy-rc.d",
        system / "os-release",
        tmp_path / "record",
        tmp_path / "lists",
        tmp_path / "breaks",
    )
    machine.os_release.write_text('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n')
    machine.lists.touch()
    monkeypatch.setattr(packages, "PACKAGES", NEEDED)
    monkeypatch.setattr(packages, "DIRECTORIES", ())
    monkeypatch.setattr(packages, "POLICY", machine.policy)
    monkeypatch.setattr(packages, "OS_RELEASE", machine.os_release)
    monkeypatch.setattr(settings, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("FAKE_POLICY", str(machine.policy))
    monkeypatch.setenv("FAKE_RECORD", str(machine.record))
    monkeypatch.setenv("FAKE_LISTS", str(machine.lists))
    monkeypatch.setenv("FAKE_BREAKS", str(machine.breaks))
    return machine


def unchanged(machine: Machine) -> bool:
    """Tell whether nothing was run and nothing written beside the test's own files."""
    return machine.calls == [] and list(machine.policy.parent.iterdir()) == [machine.os_release]


def test_nothing_is_done_where_nothing_is_missing(machine: Machine) -> None:
    machine.has("alpha", "beta", "gamma")
    lines: list[str] = []

    packages.ensure(lines.append)

    assert lines == []
    assert unchanged(machine)


def test_root_is_not_needed_where_nothing_is_missing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has("alpha", "beta", "gamma")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    packages.ensure()
    assert unchanged(machine)


def test_only_missing_packages_are_installed(machine: Machine) -> None:
    machine.has("beta")
    lines: list[str] = []

    packages.ensure(lines.append)

    assert lines == [
        "Installing the Debian packages alpha gamma: alpha does one thing, gamma does a third"
    ]
    assert machine.calls == [
        "apt-get --download-only install alpha gamma [allowed]",
        "apt-get install alpha gamma [101]",
        "systemctl disable alpha.service [allowed]",
        "systemctl disable alpha.socket [allowed]",
    ]
    assert not machine.policy.exists()
    assert all(packages.is_present(package) for package in NEEDED)


def test_a_file_can_show_a_package(tmp_path: Path) -> None:
    package = Package("delta", str(tmp_path / "plugin"), "is a plugin")
    assert not packages.is_present(package)
    (tmp_path / "plugin").touch()
    assert packages.is_present(package)


def test_lists_are_refreshed_only_where_needed(machine: Machine) -> None:
    machine.lists.unlink()
    lines: list[str] = []

    packages.install(["delta"], "for a test", lines.append)

    assert lines == [
        "Installing the Debian packages delta: for a test",
        "Refreshing the lists of Debian packages",
    ]
    assert [call.partition(" [")[0] for call in machine.calls] == [
        "apt-get --download-only install delta",
        "apt-get update",
        "apt-get --download-only install delta",
        "apt-get install delta",
    ]


def test_nothing_is_installed_where_a_download_fails(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_LISTS", "/nonexistent/lists")

    with pytest.raises(SetupError, match="E: Unable to locate package"):
        packages.install(["delta"], "for a test")

    assert not [call for call in machine.calls if call.startswith("apt-get install")]
    assert not machine.policy.exists()


def test_failed_installation_leaves_no_policy(machine: Machine) -> None:
    machine.breaks.touch()

    with pytest.raises(SetupError, match="dpkg returned an error") as caught:
        packages.install(["delta"], "for a test")

    assert str(settings.CACHE / "packages" / "apt.log") in str(caught.value)
    assert "apt-get install delta [101]" in machine.calls
    assert list(machine.policy.parent.iterdir()) == [machine.os_release]


def test_policy_of_the_machine_is_left_alone(machine: Machine) -> None:
    machine.policy.write_text("#!/bin/sh\nexit 104\n")
    machine.policy.chmod(0o755)

    packages.install(["delta"], "for a test")

    assert "apt-get install delta [104]" in machine.calls
    assert machine.policy.read_text() == "#!/bin/sh\nexit 104\n"


@pytest.mark.parametrize("missing", [True, False])
def test_killed_installation_is_finished(machine: Machine, missing: bool) -> None:
    machine.has("alpha", "beta", *([] if missing else ["gamma"]))
    machine.policy.write_text(packages.POLICY_TEXT)
    machine.policy.chmod(0o755)
    lines: list[str] = []

    packages.ensure(lines.append)

    assert machine.calls[0] == "dpkg --configure -a [101]"
    assert ("apt-get install gamma [101]" in machine.calls) == missing
    assert lines[0] == "Finishing an installation of Debian packages that was interrupted"
    assert list(machine.policy.parent.iterdir()) == [machine.os_release]


def test_policy_forbids_by_itself(machine: Machine, tmp_path: Path) -> None:
    with packages._no_service_starts():
        assert stat.S_IMODE(machine.policy.stat().st_mode) == 0o755
        assert packages.POLICY_MARKER in machine.policy.read_text()
        assert os.waitstatus_to_exitcode(os.system(str(machine.policy))) == 101
    assert not machine.policy.exists()


def test_without_root_it_says_what_is_needed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(SetupError) as caught:
        packages.ensure()

    message = str(caught.value)
    assert message.startswith("Only root can install the Debian packages alpha beta gamma (")
    assert "sudo apt-get install --no-install-recommends alpha beta gamma" in message
    assert "\n" not in message
    assert unchanged(machine)


def test_other_systems_are_refused(machine: Machine) -> None:
    machine.os_release.write_text('NAME=Fedora\nID=fedora\nPRETTY_NAME="Fedora Linux 44"\n')

    with pytest.raises(SetupError, match=r"^Debian or Ubuntu is needed .* is Fedora Linux 44$"):
        packages.ensure()

    assert unchanged(machine)


def test_unknown_system_is_refused(machine: Machine) -> None:
    machine.os_release.unlink()
    with pytest.raises(SetupError, match="this system is unknown"):
        packages.ensure()
    assert machine.calls == []


@pytest.mark.parametrize(
    "text", ["ID=ubuntu\nID_LIKE=debian\n", 'ID=linuxmint\nID_LIKE="ubuntu debian"\n']
)
def test_relatives_of_debian_are_accepted(machine: Machine, text: str) -> None:
    machine.os_release.write_text(text)
    packages.ensure()
    assert all(packages.is_present(package) for package in NEEDED)


def test_system_without_apt_is_refused(machine: Machine) -> None:
    (machine.programs / "apt-get").unlink()
    with pytest.raises(SetupError, match=r"^apt-get is needed "):
        packages.ensure()
    assert unchanged(machine)


def test_this_machine_has_what_the_lab_needs() -> None:
    assert [package.name for package in packages.PACKAGES if not packages.is_present(package)] == []
