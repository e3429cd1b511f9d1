# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy and verify on a test cluster as an outside client would, and say how to go on with it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

from lab.settings import CLIENT, OPERATOR, REPOSITORY
from tools.environment import LINK, without_proxies

NAMESPACE: Final = "kestrel-catchip"

PLAY: Final = (
    f"{LINK.name}/bin/ansible-playbook playbooks/site.yml"
    f" -e real_ip_expected_source={OPERATOR.ipv4('inet')}"
)
OBJECTS: Final = f"kubectl get ingress,service,pods -n {NAMESPACE}"
ADDRESS: Final = (
    f"kubectl get ingress -n {NAMESPACE}"
    " -o jsonpath={.items[0].status.loadBalancer.ingress[0].ip}"
)


#: Said by Ansible because there is no inventory, which is meant: the host is localhost.
SILENCED: Final = {
    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
    "ANSIBLE_LOCALHOST_WARNING": "False",
}


def lab(command: str, *, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command of the lab's command line; with ``quiet``, keep its output."""
    return subprocess.run(
        [sys.executable, "-m", "lab", *command.split()],
        cwd=REPOSITORY,
        # Only what installs something may use a proxy: inside the lab nothing would answer.
        env=os.environ if command == "up" else without_proxies(os.environ) | SILENCED,
        stdout=subprocess.PIPE if quiet else None,
        text=True,
        check=False,
    )


def how_to_go_on(address: str) -> str:
    """Return what a person can do with the cluster, as commands to copy."""
    name = os.environ.get("REAL_IP_LAB", "")
    setting = f"REAL_IP_LAB={name} " if name else ""
    inside = f"{setting}{LINK.name}/bin/python -m lab exec"
    steps = {
        "See by hand what the echo app sees": f"{inside} {CLIENT.name} -- curl -s http://{address}/",
        "Look at the cluster": f"{inside} {OPERATOR.name} -- {OBJECTS}",
        "Run it again, which changes nothing": f"{inside} {OPERATOR.name} -- {PLAY}",
        "Remove the cluster": f"{setting}make lab-down",
    }
    return "\n".join(f"{what}:\n  {command}" for what, command in steps.items())


def main() -> int:
    """Run the demo; return the exit status of its playbook, or of what failed before."""
    up = lab("up")
    if up.returncode != 0:
        return up.returncode
    print(f"\n$ {PLAY}", flush=True)
    play = lab(f"exec {OPERATOR.name} -- {PLAY}")
    address = lab(f"exec {OPERATOR.name} -- {ADDRESS}", quiet=True).stdout
    print(f"\nThe cluster stays up.\n{how_to_go_on(address or 'ADDRESS')}", flush=True)
    return play.returncode


if __name__ == "__main__":
    sys.exit(main())
