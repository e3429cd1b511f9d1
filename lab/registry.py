# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry that has no image: what a container runtime is told when a pull must fail.

``python -m lab.registry --listen ADDRESS:PORT``. The nodes use it in place of every registry; the
query parameter ``ns`` names the one that was meant. Registries that refuse answer as such ones
do: anybody gets a token, and the token is good for nothing (``insufficient_scope``). All others
know no such manifest. One has had too many requests. It serves nothing else and takes nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import socket
import socketserver
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

#: Registries that refuse, unless the command line names others.
REFUSING: Final = ("refusing.example",)
#: The registry that has had enough requests.
LIMITING: Final = "limiting.example"

#: Connections at a time, and seconds that one may be silent.
_CONNECTIONS: Final = 64
_TIMEOUT: Final = 10.0

_TOKEN_PATH: Final = "/token"
#: Kinds of objects below ``/v2/NAME/`` and the code that says that one isn't there.
_UNKNOWN: Final[Mapping[str, str]] = {
    "manifests": "MANIFEST_UNKNOWN",
    "blobs": "BLOB_UNKNOWN",
    "tags": "NAME_UNKNOWN",
}
_OBJECT: Final = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags)/(?P<reference>[^/]+)")


@dataclass(frozen=True)
class Answer:
    """One answer; ``body`` is JSON, ``challenge`` is the header WWW-Authenticate."""

    status: HTTPStatus
    body: Mapping[str, Any]
    challenge: str = ""


def _error(status: HTTPStatus, code: str, message: str, **detail: str) -> Answer:
    return Answer(status, {"errors": [{"code": code, "message": message, "detail": detail}]})


def answer(
    method: str, target: str, host: str, authorized: bool, refusing: Collection[str]
) -> Answer:
    """Return the answer to a request, by the distribution specification.

    ``target`` is path and query, ``host`` the Host header, ``authorized`` whether a token came.
    """
    url = urlsplit(target)
    if method not in ("GET", "HEAD"):
        return _error(HTTPStatus.METHOD_NOT_ALLOWED, "UNSUPPORTED", "nothing can be stored here")
    if url.path == _TOKEN_PATH:
        return Answer(HTTPStatus.OK, {"token": "worthless", "expires_in": 60})

    registry = parse_qs(url.query).get("ns", [""])[0]
    found = _OBJECT.fullmatch(url.path)
    if registry in refusing:
        scope = f'scope="repository:{found["name"]}:pull"' if found else 'scope=""'
        refusal = _error(
            HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED", "authentication required", registry=registry
        )
        challenge = f'Bearer realm="http://{host}{_TOKEN_PATH}",service="{registry}",{scope}'
        # Said only to those who did come with a token: so containerd knows that it was refused.
        insufficient = ',error="insufficient_scope"' if authorized else ""
        return Answer(refusal.status, refusal.body, challenge + insufficient)
    if registry == LIMITING and found:
        message = "You have reached your unauthenticated pull rate limit."
        return _error(HTTPStatus.TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message)
    if url.path in ("/v2", "/v2/"):
        return Answer(HTTPStatus.OK, {})
    if found:
        return _error(
            HTTPStatus.NOT_FOUND,
            _UNKNOWN[found["kind"]],
            f"{found['kind'].removesuffix('s')} unknown",
            name=found["name"],
            reference=found["reference"],
        )
    return _error(HTTPStatus.NOT_FOUND, "NAME_UNKNOWN", "there is nothing here")


class Server(ThreadingHTTPServer):
    """The registry on one address; more than a few dozen connections at a time have to wait."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], refusing: Collection[str] = REFUSING) -> None:
        self.refusing = frozenset(refusing)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any
    ) -> None:
        """Hand a connection to a thread once there is a place for it."""
        self._free.acquire()
        super().process_request(request, client_address)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any
    ) -> None:
        """Serve one connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any
    ) -> None:
        """Say in one line that a connection broke."""
        print(f"{client_address[0]} broke off: {sys.exc_info()[1]!r}", flush=True)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "registry-stand-in"
    sys_version = ""
    timeout = _TIMEOUT

    def _answer(self) -> None:
        host, port = self.server.server_address[:2]
        given = answer(
            self.command,
            self.path,
            self.headers.get("Host") or f"{host!s}:{port}",
            "Authorization" in self.headers,
            self.server.refusing,
        )
        body = json.dumps(given.body).encode()
        self.send_response(given.status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        if given.challenge:
            self.send_header("WWW-Authenticate", given.challenge)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.command not in ("GET", "HEAD"):
            # What comes with it is not read, so nothing can follow on this connection.
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def log_message(self, format: str, *arguments: object) -> None:
        """Write one line; control characters can't split it."""
        line = f"{self.address_string()} {format % arguments}"
        clean = "".join(character if character.isprintable() else "?" for character in line)
        print(clean[:500], flush=True)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdigit() and int(port) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDRESS:PORT")
    return host.strip("[]"), int(port)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(prog="python -m lab.registry", description=__doc__)
    parser.add_argument("--listen", type=_address, required=True, metavar="ADDRESS:PORT")
    parser.add_argument(
        "--refuse", action="append", metavar="HOST", help=f"default: {', '.join(REFUSING)}"
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server: socketserver.BaseServer = Server(options.listen, options.refuse or REFUSING)
    except OSError as error:
        print(f"Can't listen on {options.listen[0]} port {options.listen[1]}: {error}.")
        return 2
    with server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
