# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""TKE's switches for a whole cluster: what a deployment needs of them, and what it puts back.

They stand in one ConfigMap (Tencent Cloud, document 457/131136), and so does the record of what was
changed: which value a switch had before, which one was written, and for which deployments. The last
of these puts the former value back, unless somebody has written another one meanwhile.
"""

from __future__ import annotations

import json
import typing as t

#: Where TKE keeps its switches for load balancers.
SETTINGS = "tke-service-controller-config"
SETTINGS_NAMESPACE = "kube-system"
SETTINGS_PATH = f"/api/v1/namespaces/{SETTINGS_NAMESPACE}/configmaps/{SETTINGS}"

#: What is said where they are to be changed, and the cluster has none
MISSING = (
    f"ConfigMap {SETTINGS_NAMESPACE}/{SETTINGS} doesn't exist: expected TKE's switches there. "
    "Nothing was changed. Next: leave real_ip_manage_cluster_switches unset on clusters that "
    "aren't TKE's"
)

#: Whether pods of the GlobalRouter network can be backends of a load balancer
GLOBAL_ROUTE = "GlobalRouteDirectAccess"
#: Whether a new Service or Ingress that says nothing of direct access gets it
DIRECT_DEFAULT = "EnableDefaultDirectAccess"

#: Those that a run reports
REPORTED = (GLOBAL_ROUTE, DIRECT_DEFAULT)

#: The annotation of the ConfigMap with the record, as JSON: switch to ``before``, ``ours``,
#: ``users``. ``before`` is null where the switch wasn't set.
RECORD = "real-ip.kestrel/switches"

Values = t.Mapping[str, str]


class RecordError(ValueError):
    """What stands in the annotation is no record. The text says what was expected."""


class Change(t.NamedTuple):
    """What becomes of one switch.

    ``before`` and ``after`` are None where it isn't set. ``action``: ``set`` by us, ``restored`` to
    what it was, ``kept`` for other deployments, ``respected`` where somebody changed it after us,
    ``unchanged``.
    """

    switch: str
    before: str | None
    after: str | None
    action: str


class Plan(t.NamedTuple):
    """``changes``, one for each switch that is wanted or was recorded; ``record`` as it becomes."""

    changes: t.Sequence[Change]
    record: dict[str, dict[str, t.Any]]

    def patch(self, was: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """The merge patch of the ConfigMap, empty where nothing changes; ``was``: the record."""
        data = {one.switch: one.after for one in self.changes if one.before != one.after}
        if not data and self.record == was:
            return {}
        text = json.dumps(self.record, sort_keys=True) if self.record else None
        return {"data": data, "metadata": {"annotations": {RECORD: text}}}


def recorded(config: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """The record of a ConfigMap. Raises RecordError."""
    text = (config.get("metadata", {}).get("annotations") or {}).get(RECORD)
    if not text:
        return {}
    try:
        record = json.loads(text)
        return {
            str(switch): {
                "before": _text_or_none(one["before"]),
                "ours": str(one["ours"]),
                "users": [str(user) for user in one["users"]],
            }
            for switch, one in record.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        raise RecordError(
            f"the annotation {RECORD} of ConfigMap {SETTINGS_NAMESPACE}/{SETTINGS} isn't readable: "
            "expected JSON with before, ours and users for each switch"
        ) from None


def _text_or_none(value: t.Any) -> str | None:
    return None if value is None else str(value)


def uses(record: t.Mapping[str, t.Any], user: str) -> bool:
    """Whether a switch was changed for the deployment ``user``."""
    return any(user in one["users"] for one in record.values())


def unmet(data: Values, wanted: Values) -> list[str]:
    """What a deployment misses where the switches stay as they are, a sentence each."""
    return [
        f"{switch} is {data.get(switch, 'not set')} in ConfigMap {SETTINGS_NAMESPACE}/{SETTINGS}: "
        f'expected "{value}" for this scenario. Next: real_ip_manage_cluster_switches=true sets '
        "it for the whole cluster and teardown puts it back"
        for switch, value in wanted.items()
        if data.get(switch) != value
    ]


def plan(
    data: Values, record: t.Mapping[str, t.Mapping[str, t.Any]], wanted: Values, user: str
) -> Plan:
    """What to do so that the deployment ``user`` has the switches ``wanted``, and no other ones.

    ``data``: the ConfigMap's; ``record``: as :func:`recorded` returns it.
    """
    changes = []
    kept: dict[str, dict[str, t.Any]] = {}
    for switch in sorted({*record, *wanted}):
        act = _claim if switch in wanted else _release
        change, entry = act(
            switch, data.get(switch), dict(record.get(switch) or {}), wanted.get(switch), user
        )
        changes.append(change)
        if entry:
            kept[switch] = entry
    return Plan(changes, kept)


def _claim(
    switch: str, now: str | None, entry: dict[str, t.Any], want: t.Any, user: str
) -> tuple[Change, dict[str, t.Any]]:
    users = sorted({*entry.get("users", ()), user})
    if now == want:
        # Where it was so before us, there is nothing to put back.
        ours = entry and entry["ours"] == now
        return Change(switch, now, now, "unchanged"), {**entry, "users": users} if ours else {}
    # What somebody wrote after us is what was there before, from now on.
    return Change(switch, now, want, "set"), {"before": now, "ours": want, "users": users}


def _release(
    switch: str, now: str | None, entry: dict[str, t.Any], __: t.Any, user: str
) -> tuple[Change, dict[str, t.Any]]:
    users = [one for one in entry["users"] if one != user]
    if users == entry["users"]:
        return Change(switch, now, now, "unchanged"), entry
    if users:
        return Change(switch, now, now, "kept"), {**entry, "users": users}
    if now != entry["ours"]:
        return Change(switch, now, now, "respected"), {}
    return Change(switch, now, entry["before"], "restored"), {}
