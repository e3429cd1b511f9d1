# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking servers inside the lab's namespaces, without starting a program for each question."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

from lab import credentials
from lab.network import inside
from lab.settings import API_URL, CLB, MASTER, Lab
from lab.shell import LabError

#: Seconds that a server in the lab may take for an answer.
PATIENCE: Final = 3.0

#: State of a connection in /proc/net/tcp.
_ESTABLISHED: Final = "01"


class Unanswered(LabError):
    """A server gave no answer, or not the one that was asked for; the message says which."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@cache
def _trust(authority: str, _changed: int) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority)


def _opener(lab: Lab) -> urllib.request.OpenerDirector:
    file = credentials.authority(lab)
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if file.exists():
        context = _trust(str(file), file.stat().st_mtime_ns)
        handlers.append(urllib.request.HTTPSHandler(context=context))
    return urllib.request.build_opener(*handlers)


def ask(
    lab: Lab,
    host: str,
    url: str,
    *,
    method: str = "GET",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Send a request from a host of the lab and return the answer's body.

    ``body`` is sent as JSON. Raises Unanswered if there is no answer with a status below 300.
    """
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
    )
    try:
        with inside(lab.netns(host)), _opener(lab).open(request, timeout=PATIENCE) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        with error:
            text = " ".join(error.read(2000).decode(errors="replace").split())
        raise Unanswered(f"{method} {url}: {error.code} {text[:300]}", error.code) from error
    except urllib.error.URLError as error:
        raise Unanswered(f"{url}: {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"{url}: {error or type(error).__name__}") from error
    except LabError as error:
        raise Unanswered(str(error)) from error


def api(lab: Lab, path: str, method: str = "GET", body: Any = None) -> dict[str, Any]:
    """Ask the API server, as the administrator; ``path`` begins with ``/``. Returns the object.

    A PATCH is a merge patch (RFC 7396), or, with a ``fieldManager`` in the path, server-side apply.
    """
    headers = {"Authorization": f"Bearer {credentials.token(lab)}"}
    if method == "PATCH":
        kind = "apply-patch+yaml" if "fieldManager=" in path else "merge-patch+json"
        headers["Content-Type"] = f"application/{kind}"
    answer = ask(lab, MASTER.name, API_URL + path, method=method, body=body, headers=headers)
    found: dict[str, Any] = json.loads(answer)
    return found


def connect(address: Path) -> None:
    """Connect to a Unix socket and let go again; raises Unanswered if nobody listens."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        try:
            client.connect(str(address))
        except OSError as error:
            raise Unanswered(f"{address}: {error.strerror or error}") from error


def resolve(lab: Lab, server: str) -> None:
    """Ask a resolver something that it must answer itself; raises Unanswered if it doesn't.

    The question is for the address of ``localhost`` (RFC 1035, RFC 6761).
    """
    question = (
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + b"\x09localhost\x00\x00\x01\x00\x01"
    )
    try:
        with inside(lab.netns(CLB.name)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(PATIENCE)
            udp.connect((server, 53))
            udp.send(question)
            answer = udp.recv(512)
    except (OSError, LabError) as error:
        raise Unanswered(f"resolver {server}: {error}") from error
    if answer[:2] != question[:2]:
        raise Unanswered(f"resolver {server}: an answer to another question")


def connections(pid: int) -> set[tuple[str, int]]:
    """Return the remote ends of all IPv4 connections in the network namespace of a process.

    Read from ``/proc/[pid]/net/tcp``: proc(5); addresses are in the machine's byte order.
    """
    try:
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return set()
    found = set()
    for line in lines:
        remote, state = line.split()[2:4]
        if state == _ESTABLISHED:
            address, port = remote.split(":")
            packed = int(address, 16).to_bytes(4, sys.byteorder)
            found.add((str(IPv4Address(packed)), int(port, 16)))
    return found
