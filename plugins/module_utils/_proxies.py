# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""HTTP proxies that an environment names, which clients there use and a probe never does."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import typing as t
from itertools import islice
from urllib.parse import urlsplit

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import warn


def proxies_of(environment: t.Mapping[str, str], balancer: t.Iterable[str]) -> dict[str, str]:
    """The HTTP proxies of an environment, without passwords, that a client of ``balancer`` uses.

    Names in lower case count as well, as curl and Python have it.
    """
    lower = {name.lower(): value for name, value in environment.items() if value}
    past = [one.strip().lstrip(".") for one in lower.get("no_proxy", "").split(",") if one.strip()]
    if any(goes_past(address, past) for address in balancer):
        return {}
    return {
        name: re.sub(r"//[^/@]*@", "//", lower[name])
        for name in ("http_proxy", "https_proxy", "all_proxy")
        if name in lower
    }


def goes_past(address: str, past: t.Iterable[str]) -> bool:
    """Does ``no_proxy`` have the address: everything, itself, its domain, or its network?"""
    for one in past:
        if one in ("*", address) or address.endswith(f".{one}"):
            return True
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(address) in ipaddress.ip_network(one, strict=False):
                return True
    return False


def proxy_for(environment: t.Mapping[str, str], url: str) -> str:
    """The variable that names a proxy for a URL, in lower case; empty where none does."""
    parts = urlsplit(url)
    named = proxies_of(environment, [parts.hostname or ""])
    return next((one for one in (f"{parts.scheme}_proxy", "all_proxy") if one in named), "")


def passed_by(environment: t.Mapping[str, str], urls: t.Iterable[str]) -> list[str]:
    """A warning where a proxy is named for one of the URLs, which a probe goes past."""
    # There can be thousands of URLs, and mostly there is no proxy.
    if not proxies_of(environment, []):
        return []
    named = ((proxy_for(environment, url), url) for url in urls)
    told = (warn("proxied", {"variable": name, "url": url}) for name, url in named if name)
    return [*islice(told, 1)]
