# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 7 of the stand-in for Tencent CLB: the nginx.conf that makes balancers true."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from lab import by_hand
from lab.balancing import (
    DEFAULTS,
    FAMILIES,
    INSIDE,
    IPV6,
    RETURNING,
    Balancer,
    Front,
    Location,
    SwitchValue,
    Target,
    addresses_of,
    braced,
    family_of,
)

#: What CLB documents as its time for connecting to a backend (4 to 120 s, 4 by default).
_CONNECT_TIMEOUT: Final = "4s"

_X_FORWARDED_FOR: Final[Mapping[SwitchValue, tuple[str, ...]]] = {
    "append": ("proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",),
    "replace": ("proxy_set_header X-Forwarded-For $remote_addr;",),
    "keep": ("proxy_set_header X-Forwarded-For $kept;",),
    # Not set at all: so several lines stay several lines.
    "pass": (),
}

_TEMPORARY: Final = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def _upstream_name(target: Target, family: str) -> str:
    return f"{target.name}_{family.lower()}"


def _upstreams(found: Iterable[Balancer], own_source: bool) -> Iterator[list[str]]:
    """Yield one upstream block for each target and family that has backends."""
    targets = {
        location.target.name: location.target
        for balancer in found
        for domain in balancer.domains.values()
        for location in domain
        if location.target
    }
    for _name, target in sorted(targets.items()):
        for family in FAMILIES:
            # No backend is remembered as failed: what answers is decided anew each time.
            servers = [
                f"server {_socket(backend.address, backend.port)} max_fails=0;"
                for backend in target.backends[family]
            ]
            if servers:
                keep = ["keepalive 32;"] if own_source else []
                yield braced(f"upstream {_upstream_name(target, family)}", servers + keep)


def _socket(address: str, port: int) -> str:
    return f"[{address}]:{port}" if family_of(address) == IPV6 else f"{address}:{port}"


def _location(location: Location, family: str, own_source: bool, scheme: SwitchValue) -> list[str]:
    head = f"location {'= ' if location.exact else ''}{location.path}"
    if location.target is None:
        return braced(head, ["return 404;"])
    backend_family, backends = location.target.reached_from(family)
    if not backends:
        # What CLB answers without any backend is not documented.
        return braced(head, ["return 502;"])
    keeps_client = not own_source and backend_family == family
    bind = ["proxy_bind $client_outside transparent;"] if keeps_client else []
    upstream = _upstream_name(location.target, backend_family)
    return braced(head, [*bind, f"proxy_pass {scheme}://{upstream};"])


def _server_names(host: str | None, balancer: Balancer) -> str:
    if host is None:
        *ipv4, ipv6 = balancer.addresses
        return f'{" ".join(ipv4)} "[{ipv6}]" {balancer.hostname}'
    if host.startswith("*."):
        # One label, as in Kubernetes; nginx's own wildcard would take several.
        return '"~^[^.]+' + re.escape(host[1:]) + '$"'
    return host


#: What a firewall does with requests, by its switch.
_FIREWALL: Final[Mapping[SwitchValue, tuple[str, ...]]] = {
    "open": (),
    "closed": ('return 403 "<html><title>Blocked by the firewall</title></html>";',),
    "forged": ("if ($http_x_forwarded_for) { return 403; }",),
}


def _domain(
    domain: Sequence[Location],
    family: str,
    own_source: bool,
    switches: Mapping[str, SwitchValue],
) -> list[str]:
    """Return what a server does with the requests of its domain."""
    scheme = switches["forward_type"]
    wall = _FIREWALL[switches["firewall"]]
    return [
        *wall,
        *(line for where in domain for line in _location(where, family, own_source, scheme)),
    ]


def _redirect(front: Front) -> list[str]:
    port = front.ports["https"][0]
    suffix = "" if port == 443 else f":{port}"
    return [f"return {front.redirect} https://$host{suffix}$request_uri;"]


def _certificate(identity: str, directory: Path) -> list[str]:
    path = directory / "certificates" / identity
    return [f"ssl_certificate {path}.crt;", f"ssl_certificate_key {path}.key;"]


def _servers(
    balancer: Balancer,
    own_source: bool,
    switches: Mapping[str, SwitchValue],
    directory: Path,
) -> Iterator[list[str]]:
    """Yield the servers of one Ingress, on its own addresses only: 403, then each domain."""
    front = balancer.front
    if front is None:
        return
    for scheme, port, family in (
        (scheme, port, family)
        for scheme, ports in front.ports.items()
        for port in ports
        for family in FAMILIES
    ):
        secure = scheme == "https"
        if secure and not front.certificates:
            continue
        sockets = [
            f"listen {_socket(address, port)}{' ssl' if secure else ''}"
            for address in balancer.addresses
            if family_of(address) == family
        ]
        # Who asks for no host that is known is shown any.
        any_one = [*front.certificates.values()][:1] if secure else []
        yield [
            f"# {balancer.namespace}/{balancer.name} {balancer.id} {scheme} {family}",
            *braced(
                "server",
                [
                    *(socket + " default_server;" for socket in sockets),
                    *(line for one in any_one for line in _certificate(one, directory)),
                    "return 403;",
                ],
            ),
        ]
        for host, domain in balancer.domains.items():
            certificate = front.certificate(host) if secure else None
            if secure and certificate is None:
                continue
            does = _domain(domain, family, own_source, switches)
            yield braced(
                "server",
                [
                    *(socket + ";" for socket in sockets),
                    f"server_name {_server_names(host, balancer)};",
                    *(_certificate(certificate, directory) if certificate else ()),
                    *(does if secure or front.redirect is None else _redirect(front)),
                ],
            )


def _servers_by_hand() -> Iterator[list[str]]:
    """Yield what listens on balancers that nobody's object made."""
    for identity, one in by_hand.BALANCERS.items():
        sockets = [
            f"listen {_socket(address, port)};"
            for port in sorted(one.ports)
            for address in addresses_of(one.number)
        ]
        if sockets:
            yield [f"# {identity}", *braced("server", [*sockets, "return 404;"])]


def nginx_conf(
    found: Iterable[Balancer], switches: Mapping[str, SwitchValue], directory: Path
) -> str:
    """Return the whole nginx.conf; nginx writes below ``directory`` and to standard error only.

    It is to run in the foreground, as root: binding to a client's address needs that.
    """
    found = list(found)
    own_source = switches["source"] == "own"
    http = [
        'log_format brief \'$msec $remote_addr $server_addr "$host" "$request" $status'
        ' "$upstream_addr"\';',
        f"access_log {directory}/access.log brief;",
        *(f"{name}_temp_path {directory}/temp_{name};" for name in _TEMPORARY),
        "server_tokens off;",
        "client_max_body_size 60m;",
        "server_names_hash_bucket_size 512;",
        "server_names_hash_max_size 4096;",
        "",
        f"proxy_connect_timeout {_CONNECT_TIMEOUT};",
        f"proxy_read_timeout {switches['read_timeout']:g}s;",
        "proxy_http_version 1.1;",
        # An empty value leaves the header out, and with it the end of the connection.
        *(['proxy_set_header Connection "";'] if own_source else []),
        "proxy_set_header Host $http_host;",
        *_X_FORWARDED_FOR[switches["x_forwarded_for"]],
        "proxy_set_header X-Real-IP $remote_addr;",
        "proxy_set_header X-Stgw-Time $msec;",
        "proxy_set_header X-Client-Proto $scheme;",
        "proxy_set_header X-Client-Proto-Ver $server_protocol;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "",
        # nginx leaves the source alone where the value is empty.
        *braced(
            "geo $inside",
            [
                "default 0;",
                *(f"{network} 1;" for network in INSIDE),
                *(f"{address} 0;" for address in RETURNING),
            ],
        ),
        *braced("map $inside $client_outside", ["0 $remote_addr;", "1 '';"]),
        *braced(
            "map $http_x_forwarded_for $kept",
            ["default $http_x_forwarded_for;", "'' $remote_addr;"],
        ),
        "",
    ]
    for block in _upstreams(found, own_source):
        http += block
    servers = [
        block
        for balancer in (found if switches["listeners"] == "made" else ())
        for block in _servers(balancer, own_source, switches, directory)
    ]
    for block in (*servers, *_servers_by_hand()):
        http += ["", *block]
    lines = [
        "# Written by lab.controller; changes are lost.",
        "daemon off;",
        "user root root;",
        "worker_processes 1;",
        "worker_rlimit_nofile 16384;",
        # Connections that outlive their listener end, so that a released balancer is silent.
        "worker_shutdown_timeout 2s;",
        f"pid {directory}/nginx.pid;",
        "error_log stderr warn;",
        *braced("events", ["worker_connections 4096;"]),
        *braced("http", http),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def initial_nginx_conf(directory: Path) -> str:
    """Return the nginx.conf for the first start: no balancers, every switch at its default."""
    return nginx_conf((), DEFAULTS, directory)
