# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of load balancers by their class: the header lines that they add themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Balancer(NamedTuple):
    """``marks``: header lines that each request through it has; ``more``: that it may have."""

    marks: tuple[str, ...]
    more: tuple[str, ...] = ()


#: Ingress class → what a load balancer of that class adds.
BALANCERS: Mapping[str, Balancer] = {
    # CLB: https://cloud.tencent.com/document/product/214/6151
    "qcloud": Balancer(("X-Stgw-Time", "X-Client-Proto"), ("X-Client-Proto-Ver", "X-Client-Spdy")),
}

#: In lower case; nobody else may send them, or they would prove nothing.
OWN_HEADERS = frozenset(
    name.lower() for row in BALANCERS.values() for name in (*row.marks, *row.more)
)
