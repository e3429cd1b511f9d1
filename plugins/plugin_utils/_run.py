# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What action plugins ask of the run that they are part of."""

from __future__ import annotations

import datetime
import typing as t

from ansible.release import __version__ as ansible_version
from ansible_collections.kestrel.real_ip.plugins.module_utils._version import VERSION


def facts() -> dict[str, t.Any]:
    """``time`` and ``versions``, as a result has them."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "time": now.isoformat(timespec="seconds"),
        "versions": {"kestrel.real_ip": VERSION, "ansible": ansible_version},
    }


def last_result(hostvars: t.Mapping[str, t.Any], host: str) -> t.Mapping[str, t.Any]:
    """What is known of why a host left a play: the result of its first task, empty without one."""
    own = hostvars.get(host, {})
    found = own.get("__real_ip_preflight")
    return found if isinstance(found, t.Mapping) else {}


def settings(templar: t.Any, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The variables ``real_ip_*`` among a host's, templated."""
    return {
        name: templar.template(variables[name]) for name in variables if name.startswith("real_ip_")
    }
