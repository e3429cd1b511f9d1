# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs in a host of the lab, as command lines that anybody can run."""

from __future__ import annotations

from collections.abc import Sequence
from os import defpath, pathsep
from shlex import quote
from typing import Final

from lab import cgroups, network
from lab.errors import SetupError
from lab.packages import DIRECTORIES
from lab.settings import HOSTS, MASTER, OPERATOR, Lab
from lab.shell import LabError

#: Hosts from which the API server is administered.
_ADMINISTRATIVE: Final = (OPERATOR.name, MASTER.name)


def is_not_up(lab: Lab) -> LabError:
    """Return the error of a lab that is not up, with what mends it."""
    return LabError(f"The lab {lab.name} is not up. Put it up with `{lab.command('up')}`.")


def in_host(lab: Lab, host: str, command: Sequence[str]) -> list[str]:
    """Return the command line that runs ``command`` in a host of the lab that is up.

    It becomes the command, with the same process id. Where the API server is administered, the
    lab's programs come first in PATH and KUBECONFIG is set. Raises SetupError for a host that
    there isn't, and LabError if the lab isn't up.
    """
    if host not in HOSTS:
        raise SetupError(f"There is no host {host!r}; the hosts are {', '.join(HOSTS)}.")
    netns = lab.netns(host)
    if network.inode(netns) is None:
        raise is_not_up(lab)
    # What is left of it when the lab goes down is found there, and ends with the lab.
    groups = cgroups.ensure(lab, f"{cgroups.PARTS}/exec")
    steps = [f"echo $$ > {quote(str(group / 'cgroup.procs'))}" for group in groups]
    path = ['"${PATH:-' + defpath + '}"', *map(quote, DIRECTORIES)]
    if host in _ADMINISTRATIVE:
        steps.append(f"export KUBECONFIG={quote(str(lab.kubeconfig))}")
        path.insert(0, quote(str(lab.bin)))
    steps.append(f"export PATH={pathsep.join(path)}")
    steps.append(f'exec ip netns exec {netns} "$@"')
    return ["sh", "-c", " && ".join(steps), "lab", *command]
