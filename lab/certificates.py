# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that load balancers of the stand-in show, and the authority that issued them.

They are made at ``up`` and kept until ``down``. Clients that are to trust them need ``authority``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab import balancing, by_hand, credentials
from lab.credentials import Certificate
from lab.settings import Lab

#: Below the directory of the stand-in.
DIRECTORY: Final = "certificates"


def _site_names() -> tuple[str, ...]:
    names = ("example.com", "*.example.com", f"*.{balancing.DOMAIN}")
    addresses = [
        address for number in by_hand.NUMBERS for address in balancing.addresses_of(number)
    ]
    return (*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses))


def _certificate(identity: str, *names: str) -> Certificate:
    return Certificate(identity, f"/CN={identity}", "serverAuth", names)


def authority(lab: Lab) -> Path:
    """Return the file with the authority's certificate: what a client takes as its CA."""
    return credentials.files_in(directory(lab), "ca")[0]


def directory(lab: Lab) -> Path:
    """Return where certificates and keys are, called by the certificates' ids."""
    return lab.clb / DIRECTORY


def ensure(lab: Lab) -> list[str]:
    """Make what is missing; return the names of what was made."""
    directory(lab).mkdir(parents=True, exist_ok=True)
    wanted = (
        _certificate(by_hand.SITE, *_site_names()),
        _certificate(by_hand.OTHER, "DNS:other.example.net"),
    )
    return credentials.certify(directory(lab), f"/CN=load-balancers-of-{lab.name}", wanted)
