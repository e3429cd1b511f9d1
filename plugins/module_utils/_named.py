# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What variables name, and what is there: who verifies without deploying gets a verdict of the
latter, and would take it for one of the former.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._exposed import (
    ports_of,
    sent_to,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._listeners import (
    PORTS,
    is_for,
    listeners,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import (
    MADE,
    ROWS,
    annotations_for,
    listen_ports,
    same,
    scheme_ports,
    taken_as,
    variable,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import rules_for
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import (
    INGRESS,
    SERVICE,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import annotations_of

Object = t.Mapping[str, t.Any]


class _There(t.NamedTuple):
    """``front``: what has the load balancer; ``host``: what is asked for, empty for any."""

    kind: str
    front: Object
    service: Object
    host: str
    path: str


#: What is expected and what is seen, as a person reads it; None where they are the same, or where
#: what is there leaves it to the cluster's own defaults.
_Differing = t.Optional[tuple[str, str]]
_Look = t.Callable[[_There, t.Any], _Differing]


def _class(there: _There, wanted: str) -> _Differing:
    # A Service has none, and is given annotations by what is named.
    if there.kind != INGRESS:
        return None
    seen = taken_as(there.front)
    return None if wanted == seen else (wanted, seen or "none")


def _field(name: str) -> _Look:
    def look(there: _There, wanted: str) -> _Differing:
        seen = (there.service.get("spec") or {}).get(name)
        return None if not seen or wanted == seen else (wanted, str(seen))

    return look


def _direct_access(there: _There, wanted: bool) -> _Differing:
    seen = annotations_of(there.front).get(f"{there.kind.lower()}.cloud.tencent.com/direct-access")
    said = str(wanted).lower()
    return None if seen is None or said == seen else (said, seen)


def _service_port(there: _There, wanted: int) -> _Differing:
    return _one_of(wanted, (one["port"] for one in _met(there)))


def _container_port(there: _There, wanted: int) -> _Differing:
    seen = [one.get("targetPort", one["port"]) for one in _met(there)]
    # A name can be another number in each pod.
    return None if any(isinstance(one, str) for one in seen) else _one_of(wanted, seen)


def _met(there: _There) -> list[Object]:
    """The ports of the Service that requests come by: a load balancer of its own is asked at the
    first, and of an Ingress's the rules say it, those that lead there.
    """
    rules = rules_for(there.front, there.host, there.path)
    ports = ports_of(there.service, rules)
    return ports[:1] if there.kind == SERVICE else sent_to(there.service, rules) or ports


def _one_of(wanted: int, seen: t.Iterable[int]) -> _Differing:
    ports = [*seen]
    return None if wanted in ports else (str(wanted), ", ".join(map(str, ports)) or "none")


def _noted(kind: str) -> _Look:
    def look(there: _There, wanted: t.Mapping[str, str]) -> _Differing:
        found = {INGRESS: None, SERVICE: there.service, there.kind: there.front}[kind]
        if found is None:
            return None
        now = annotations_of(found)
        differing = {key: text for key, text in wanted.items() if now.get(key) != text}
        for key, text in differing.items():
            return f"{key}: {text}", str(now.get(key, "none"))
        return None

    return look


def _tls(there: _There, _wanted: str) -> _Differing:
    at = listeners(there.front, there.host)
    secured = any(one.scheme == "https" for one in at)
    return None if secured else ("TLS", "none for " + (there.host or "any host"))


def _tls_secret(there: _There, wanted: str) -> _Differing:
    entries = (there.front.get("spec") or {}).get("tls") or []
    named = [one.get("secretName") for one in entries if is_for(there.host)(one)]
    seen = [*filter(None, named)]
    return (wanted, ", ".join(seen)) if seen and wanted not in seen else _tls(there, wanted)


def _ports(there: _There, wanted: t.Sequence[t.Mapping[str, int]]) -> _Differing:
    asked = scheme_ports(wanted)
    # TKE has the usual ones where an Ingress says nothing.
    seen = listen_ports(there.front) or [*PORTS.items()]
    if not {*asked} <= {*seen}:
        return _listed(asked), _listed(seen)
    # Without TLS for the host none of HTTPS is probed.
    return _tls(there, "") if {scheme for scheme, _port in asked} == {"https"} else None


def _listed(listeners: t.Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{scheme} {port}" for scheme, port in listeners)


def _annotated(name: str) -> _Look:
    def look(there: _There, wanted: t.Any) -> _Differing:
        now = annotations_of(there.front)
        for key, text in annotations_for(there.kind, {name: wanted}).items():
            seen = now.get(key)
            if not (same(text, seen) or _holds(seen, text)):
                return text, seen or "none"
        return None

    return look


def _existing(there: _There, wanted: str) -> _Differing:
    # One that was made for the object is there as well.
    made = annotations_of(there.front).get(MADE[there.kind])
    return None if wanted == made else _annotated("existing_lb_id")(there, wanted)


def _holds(seen: str | None, wanted: str) -> bool:
    """Whether an annotation with JSON has all of it: several variables share one."""
    try:
        whole, part = json.loads(seen or ""), json.loads(wanted)
    except ValueError:
        return False
    return isinstance(whole, dict) and isinstance(part, dict) and part.items() <= whole.items()


#: What leads clients to the pods, and how, by its variable without what all of them begin with
NAMED: t.Mapping[str, _Look] = {
    "ingress_class": _class,
    "service_type": _field("type"),
    "external_traffic_policy": _field("externalTrafficPolicy"),
    "direct_access": _direct_access,
    **{name: _annotated(name) for name, row in ROWS.items() if row.made},
    "existing_lb_id": _existing,
    "listen_ports": _ports,
    "service_port": _service_port,
    "container_port": _container_port,
    "ingress_annotations": _noted(INGRESS),
    "service_annotations": _noted(SERVICE),
    "qcloud_cert_id": _tls,
    "tls_secret": _tls_secret,
}


#: A scenario says whether the load balancer sends to pods. Its other fields only say what would be
#: made, and what is looked for can be that they aren't so.
_BY_SCENARIO = ("direct_access",)


def named_by(is_said: t.Callable[[str], bool]) -> list[str]:
    """Those of NAMED that variables name, one by one or by a scenario."""
    scenario = _BY_SCENARIO if is_said("real_ip_scenario") else ()
    return [name for name in NAMED if name in scenario or is_said(variable(name))]


def differing(
    kind: str,
    front: Object | None,
    service: Object | None,
    asked: tuple[str, str],
    named: t.Mapping[str, t.Any],
) -> str:
    """Each of NAMED in which what is there isn't what was named; empty where all is, and where the
    objects aren't there, which others tell. ``asked``: host and path; ``named``: converted
    values, of what is named alone.
    """
    if not front or not service:
        return ""
    there = _There(kind, front, service, *asked)
    found = {name: NAMED[name](there, value) for name, value in named.items()}
    return "; ".join(
        f"{variable(name)}: expected {told[0]}, seen {told[1]}"
        for name, told in found.items()
        if told
    )
