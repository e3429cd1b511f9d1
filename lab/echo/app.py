# SPDX-License-Identifier: GPL-3.0-or-later
# The image brings Flask and waitress; where this is checked they are not installed.
# mypy: disable-error-code="import-not-found, import-untyped"
"""Stand-in for the document's image: answers every request with its headers, in the same JSON form.

Like that image it tells neither the socket's peer nor the pod.
"""

from __future__ import annotations

import json
import signal
import socket
import sys

import waitress
from flask import Flask, Response, request

PORT = 5000


def echo(path: str) -> Response:
    """Answer with the headers as the WSGI server gives them: repeated lines joined by commas."""
    answer = {
        "headers": dict(request.headers),
        "message": "Here are your request headers",
        "method": request.method,
    }
    print(json.dumps({"path": f"/{path}", **answer}), flush=True)
    return Response(json.dumps(answer, indent=2) + "\n", mimetype="application/json")


def application() -> Flask:
    """Return the application, which answers at every path."""
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # Else "//" would be answered by a redirect.
    for rule, defaults in (("/", {"path": ""}), ("/<path:path>", None)):
        app.add_url_rule(rule, view_func=echo, defaults=defaults, methods=["GET", "POST"])
    return app


def listen_addresses() -> str:
    """Return every address to listen on; a pod without IPv6 can't bind its wildcard address."""
    addresses = [f"0.0.0.0:{PORT}"]
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
        addresses.append(f"[::]:{PORT}")
    except OSError:
        pass
    return " ".join(addresses)


def main() -> None:
    """Serve until SIGTERM, which ends process 1 of a container only if it is handled."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    waitress.serve(
        application(),
        listen=listen_addresses(),
        # Else newer versions remove X-Forwarded-For and its like, the subject of the answer.
        clear_untrusted_proxy_headers=False,
        threads=8,
    )


if __name__ == "__main__":
    main()
