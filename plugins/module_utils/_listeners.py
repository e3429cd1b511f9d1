# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Where a load balancer listens, and who else does there: pure functions."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import (
    external_of,
    full_name,
    spelled,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._clouds import is_tkes
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import bracketed
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import (
    listen_ports,
    told_ports,
    told_protocols,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import covers
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import INGRESS, TKE_CLASS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import class_of

Object = t.Mapping[str, t.Any]


def url_takers(
    front: Object,
    own: Object | None,
    services: t.Iterable[Object],
    url: str,
    nodes: t.Sequence[Object] = (),
) -> list[str]:
    """Other Services, with their namespaces, that listen at an address of this one, at the port of
    ``url``, where it doesn't listen itself: several load balancers can share an address, and one
    can have that of a node, where all node ports are open, also one that no node's status has, as
    where it moves between them. ``nodes``: all that are known, by which TKE's are.

    With a Service in front also where that listens itself: somebody's external address can be that
    of its load balancer. Of an Ingress, who listens where it does is its controller, where there is
    one alone.
    """
    port, told = port_of(url), _ports_of(front)
    by_controller = not front.get("spec", {}).get("ports")
    if port is None:
        return []
    itself, here = full_name(own or {}), spelled(addresses(front))
    # TKE's load balancers have no node ports.
    at_a_node = not is_tkes(front, nodes)
    found, controllers = [], []
    for one in services:
        spec = one.get("spec", {})
        listed = [each for each in spec.get("ports") or [] if each.get("protocol", "TCP") == "TCP"]
        ports = {each["port"] for each in listed}
        node_ports = {each.get("nodePort") for each in listed}
        is_here = bool(here & spelled([*addresses(one), *external_of(one)]))
        if by_controller and is_here and ports & told:
            controllers += [full_name(one)] if port in ports else []
        elif by_controller and port in told:
            continue
        elif (is_here and port in ports) or ((is_here or at_a_node) and port in node_ports):
            found.append(full_name(one))
    if len(controllers) > 1 and port in told:
        found += controllers
    return sorted(name for name in found if name != itself)


def may_listen(front: Object, own: Object | None, url: str) -> bool:
    """Whether what is in front may listen at the port of ``url``. Of Ingresses only TKE's say where
    they do; to those of others, a controller has been told so, which no object of theirs tells.
    """
    port = port_of(url)
    if port is None or (front.get("kind") == INGRESS and class_of(front) != TKE_CLASS):
        return True
    node_ports = {one.get("nodePort") for one in (own or {}).get("spec", {}).get("ports") or []}
    return port in _ports_of(front) | node_ports


def _ports_of(front: Object) -> set[int]:
    """Where what is in front is told to listen, else where it usually does."""
    told = {*(port for _scheme, port in listen_ports(front)), *_tcp_ports(front)}
    return told or {*PORTS.values()}


def _tcp_ports(service: Object) -> list[int]:
    ports = service.get("spec", {}).get("ports") or []
    return [port["port"] for port in ports if port.get("protocol", "TCP") == "TCP"]


def port_of(url: str) -> int | None:
    """The port that a URL leads to, None where there is none in it."""
    try:
        parts = urlsplit(url)
        return parts.port or PORTS.get(parts.scheme)
    except ValueError:  # as for asked_for
        return None


#: Those of HTTP and HTTPS, which a URL doesn't name
PORTS = {"http": 80, "https": 443}


class Listener(t.NamedTuple):
    """Where a load balancer listens."""

    scheme: str = "http"
    port: int = PORTS["http"]


def every_listener(front: Object) -> list[Listener]:
    """Each place where a load balancer may be told to listen, for whatever host, by anybody's
    annotation, since asking where nobody listens finds nothing. Where nothing tells which it
    speaks, as of a Service, also with TLS.
    """
    told = [*told_ports(front), *(("", port) for port in _tcp_ports(front))]
    # To one of TKE's its Service tells the protocol of each port. At that of HTTPS who ends TLS may
    # be in front.
    usual = {} if told_protocols(front) else {PORTS["http"]: "http"}
    return [
        Listener(scheme, port)
        for named, port in told
        for scheme in ([named] if named else [usual[port]] if port in usual else PORTS)
    ]


def listeners(front: Object, host: str) -> list[Listener]:
    """Where a load balancer listens for requests of a host.

    A Service's at its first port of TCP. An Ingress's where TLS is for this host at HTTPS alone:
    whether it answers plain requests as well, or sends them on, is not asked.
    """
    spec = front.get("spec", {})
    for port in spec.get("ports") or []:
        if port.get("protocol", "TCP") == "TCP":
            return [Listener(port=port["port"])]
    scheme = "https" if any(map(is_for(host), spec.get("tls") or [])) else "http"
    wanted = [Listener(*one) for one in listen_ports(front) if one[0] == scheme]
    # Of others' a certificate need not be a Secret: who is told of TLS alone has one.
    told = [Listener(*one) for one in told_ports(front) if one[0]]
    secured = told[:1] if all(one.scheme == "https" for one in told) else []
    return wanted or secured or [Listener(scheme, PORTS[scheme])]


def is_for(host: str) -> t.Callable[[Object], bool]:
    """Is an entry of ``spec.tls`` for this host? One without hosts is for every one."""

    def takes(entry: Object) -> bool:
        return any(covers(one, host) for one in entry.get("hosts") or [""])

    return takes


def targets(
    addresses: t.Iterable[str], host: str, path: str, at: t.Sequence[Listener] = (Listener(),)
) -> list[dict[str, str]]:
    """What to probe: each address or name of a load balancer's status, wherever it listens.

    Without ``host`` the URL has the entry as written, so that it is the Host header too; with it
    the URL has the host, and the entry is what is connected to.
    """
    found = []
    for address in addresses:
        literal = bracketed(address)
        for scheme, port in at:
            name = host or literal
            place = name if port == PORTS[scheme] else f"{name}:{port}"
            target = {
                "name": address if len(at) == 1 else f"{literal}:{port}",
                "url": f"{scheme}://{place}{path}",
            }
            found.append({**target, "connect_to": literal} if host else target)
    return found
