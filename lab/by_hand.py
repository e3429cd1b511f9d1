# SPDX-License-Identifier: GPL-3.0-or-later
"""What the account of a lab has in the cloud without TKE: load balancers, subnets, certificates.

They are there from ``up`` on, as somebody would have made them in the console; objects of the
cluster name them by their ids. Those that can't be used are there to be refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: How ids look.
BALANCER_ID: Final = re.compile(r"lb-[0-9a-z]{8}")
CERTIFICATE_ID: Final = re.compile(r"[0-9A-Za-z]{8}")

#: Numbers of load balancers, see ``balancing.addresses_of``: those that the stand-in makes, public
#: and in the VPC; those that are here have the numbers between.
PUBLIC: Final = range(1, 101)
INTERNAL: Final = range(129, 229)
#: From here on they are in the VPC.
FIRST_INTERNAL: Final = 129
NUMBERS: Final[tuple[int, ...]] = (*range(1, 127), *range(FIRST_INTERNAL, 255))


@dataclass(frozen=True)
class Balancer:
    """A load balancer that nobody's object made.

    ``ports``: where it listens already, by hand. ``taken``: another cluster uses it.
    """

    number: int
    ports: frozenset[int] = frozenset()
    taken: bool = False


#: By id.
BALANCERS: Final[Mapping[str, Balancer]] = {
    "lb-public01": Balancer(101),
    "lb-public02": Balancer(102),
    "lb-filled01": Balancer(103, ports=frozenset({80})),
    "lb-others01": Balancer(104, taken=True),
    "lb-inside01": Balancer(229),
}

#: Subnet of the VPC, by id: whether it has addresses for load balancers.
SUBNETS: Final[Mapping[str, bool]] = {"subnet-inside01": True, "subnet-full0001": False}

#: Certificate for ``example.com``, the names below it, and names and addresses of load balancers.
SITE: Final = "site0001"
#: Certificate for ``other.example.net``.
OTHER: Final = "other001"
CERTIFICATES: Final = (SITE, OTHER)
#: Certificate that no listener takes, by id: TKE's code, and what is said.
UNUSABLE: Final[Mapping[str, tuple[str, str]]] = {
    "refused1": ("E4012", "was refused by the load balancer"),
    "clients1": ("E4038", "is one for clients"),
    "expired1": ("E4039", "has expired"),
}
