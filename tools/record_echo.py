# SPDX-License-Identifier: GPL-3.0-or-later
"""Send fixed requests to an echo app on loopback and print its answers as a fixture.

    python -m tools.record_echo APP VERSION SOURCE PORT PATH …

The requests are those of the probe, with header lines beside them that are forged, repeated or
written so as to look like a line of the app's own answer. tests/unit/plugins/module_utils/fixtures/
README.md says how each app was run.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from typing import Final

NONCE: Final = "0123456789abcdef"
OWN: Final = (
    ("Host", "echo.example.com"),
    ("User-Agent", "kestrel.real_ip"),
    ("Accept", "application/json, */*;q=0.5"),
    ("Accept-Encoding", "identity"),
    ("Cache-Control", "no-cache"),
    ("Connection", "close"),
    ("X-Kestrel-Nonce", NONCE),
)
CLIENT: Final = ("X-Forwarded-For", "203.0.113.20")

#: Name → what is put behind the query, and the header lines behind the probe's own.
REQUESTS: Final[dict[str, tuple[str, tuple[tuple[str, str], ...]]]] = {
    "plain": ("", ()),
    "forwarded": (
        "",
        (
            ("X-Forwarded-For", "198.51.100.66"),
            CLIENT,
            ("X-Real-IP", "198.51.100.66"),
            ("X-Real-IP", "203.0.113.20"),
            ("Forwarded", 'for="[2001:db8::66]:4711";proto=http'),
            ("Forwarded", "for=203.0.113.20"),
            ("X_Forwarded_For", "198.51.100.67"),
            ("x-forwarded-FOR", "203.0.113.21"),
        ),
    ),
    "injected": (
        "&x=%0d%0aRemoteAddr:%20198.51.100.66:1"
        "&y=%0aRequest%20Headers:%0a%09x-forwarded-for=198.51.100.66",
        (
            ("RemoteAddr", "198.51.100.66:1"),
            ("Hostname", "forged"),
            ("client_address", "198.51.100.66"),
            ("client-address", "198.51.100.66"),
            ("Request-Body", ""),
            (
                "X-Test",
                "a\tRemoteAddr: 198.51.100.66:1 <&>\"' = x-forwarded-for=198.51.100.66 {{7*7}}",
            ),
            CLIENT,
        ),
    ),
    "controls": (
        "",
        (("X-Test", "a\x0bRemoteAddr: 198.51.100.66:1\x1cHostname: forged\x1e\x1b[31m"), CLIENT),
    ),
    "beyond ASCII": (
        "",
        (("X-Test", "a\x85RemoteAddr: 198.51.100.66:1\xe2\x80\xa8Hostname: forged"), CLIENT),
    ),
}


def connect(port: int) -> socket.socket:
    """Connect to the app, which may still be starting."""
    end = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 5)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def ask(port: int, request: str) -> str:
    """Send one request and return the whole answer; a character stands for a byte."""
    with connect(port) as sock:
        sock.sendall(request.encode("latin-1"))
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    return answer.decode("latin-1")


def request(path: str, query: str, lines: tuple[tuple[str, str], ...]) -> str:
    """Return the bytes of a request, a character for each."""
    joint = "&" if "?" in path else "?"
    head = "".join(f"{name}: {value}\r\n" for name, value in (*OWN, *lines))
    return f"GET {path}{joint}kestrel_nonce={NONCE}{query} HTTP/1.1\r\n{head}\r\n"


def main(app: str, version: str, source: str, port: str, *paths: str) -> None:
    """Print the fixture of one app."""
    exchanges = []
    for path in paths:
        for name, more in REQUESTS.items():
            sent = request(path, *more)
            row = {"name": f"{path} {name}", "request": sent, "answer": ask(int(port), sent)}
            exchanges.append(row)
    told = {"app": app, "version": version, "source": source, "exchanges": exchanges}
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    if len(sys.argv) < 6:
        sys.exit(str(__doc__))
    main(*sys.argv[1:])
