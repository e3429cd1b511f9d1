# SPDX-License-Identifier: GPL-3.0-or-later
"""Where nginx and HAProxy derive another address than client_ip, over random header lines.

Needs both programs, on loopback, but no cluster. For each program a table says which elements of
the list it reads in its own way: docs/derivation.md has the same classes in words. An answer that
the table doesn't foretell fails, as does a class that no longer makes a difference.
"""

from __future__ import annotations

import http.client
import os
import random
import re
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.packages import DIRECTORIES
from lab.settings import REPOSITORY
from plugins.module_utils._derive import (
    client_ip,
    in_ranges,
    parse_address,
    parse_ranges,
)

REQUESTS = 1000
XFF = "X-Forwarded-For"
PEER = "127.0.0.1"
TRUSTED = ("127.0.0.0/8", "10.0.0.0/8", "fd00::/8")

#: What the elements of the lists are drawn from: (weight, texts).
ELEMENTS = (
    (8, ("10.0.0.1", "10.9.8.7", "fd00::1", "10.0.0.1:443", "[fd00::1]:443")),
    (6, ("1.1.1.1", "8.8.4.4:53", "2001:4860::8", "[2001:4860::8]:53", "2001:4860:0:0::0008")),
    (2, ("unknown", "_hidden", "example.org", "1.1.1", "1.1.1.1.1", "1.1.1.256", "\xff", "::g")),
    (1, ("",)),
    (1, ("6.6.6.6 10.0.0.1", "6.6.6.6 7.7.7.7", "10.0.0.1 unknown")),
    (1, ("0.0.0.0", "::")),
    (1, ("01.1.1.1", "1.1.1.001")),
    (1, ("[2001:4860::8]", "[fd00::1]")),
    (1, ("1.1.1.1:0", "10.0.0.1:65536", "[2001:4860::8]:99999")),
    (1, ("fe80::1%eth0", "fd00::1%eth0", "[fd00::1%eth0]:80")),
    (1, ("::ffff:1.1.1.1", "::ffff:808:404", "::FFFF:10.0.0.1")),
    (1, ('"1.1.1.1"', '"', '"10.0.0.1', "\\")),
)


def header_sets() -> Iterator[list[str]]:
    """The lines of X-Forwarded-For of each request, the same in every run."""
    chance = random.Random(7239)
    kinds = [texts for __, texts in ELEMENTS]
    weights = [weight for weight, __ in ELEMENTS]
    for __ in range(REQUESTS):
        yield [
            ", ".join(
                chance.choice(texts)
                for texts in chance.choices(kinds, weights, k=chance.choice((1, 1, 2, 3)))
            )
            for __ in range(chance.choice((0, 1, 1, 1, 1, 2)))
        ]


@contextmanager
def served(command: Callable[[socket.socket], tuple[list[str], dict[str, str]]]) -> Iterator[int]:
    """Serve with a program that is handed a listening socket; yield the port."""
    with socket.create_server((PEER, 0), backlog=64) as listener:
        words, environment = command(listener)
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), *DIRECTORIES])
        process = subprocess.Popen(
            words,
            env=os.environ | {"PATH": path} | environment,
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
        )
        port = listener.getsockname()[1]
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def nginx(directory: Path) -> Callable[[socket.socket], tuple[list[str], dict[str, str]]]:
    def command(listener: socket.socket) -> tuple[list[str], dict[str, str]]:
        port = listener.getsockname()[1]
        trusted = " ".join(f"set_real_ip_from {network};" for network in TRUSTED)
        conf = directory / "nginx.conf"
        conf.write_text(
            f"""daemon off; worker_processes 1; user root; pid {directory}/pid;
error_log stderr crit;
events {{}}
http {{
  access_log off; keepalive_requests {2 * REQUESTS};
  client_body_temp_path {directory}/1; proxy_temp_path {directory}/2;
  fastcgi_temp_path {directory}/3; uwsgi_temp_path {directory}/4; scgi_temp_path {directory}/5;
  real_ip_header {XFF}; real_ip_recursive on; {trusted}
  server {{ listen {PEER}:{port}; location / {{ return 200 "$realip_remote_addr $remote_addr"; }} }}
}}
"""
        )
        return ["nginx", "-e", "stderr", "-c", str(conf)], {"NGINX": f"{listener.fileno()};"}

    return command


def haproxy(directory: Path) -> Callable[[socket.socket], tuple[list[str], dict[str, str]]]:
    def command(listener: socket.socket) -> tuple[list[str], dict[str, str]]:
        conf = directory / "haproxy.cfg"
        answer = f'"%[src] %[hdr_ip({XFF},-1)]"'
        conf.write_text(
            f"""global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout connect 1s
  timeout server 1s
frontend all
  bind fd@{listener.fileno()}
  http-request return status 200 content-type text/plain lf-string {answer}
"""
        )
        return ["haproxy", "-db", "-f", str(conf)], {}

    return command


def ask(port: int, sets: list[list[str]]) -> list[str]:
    """What the program derives from each set of lines; its peer is the same in all of them."""
    connection = http.client.HTTPConnection(PEER, port, timeout=60)
    found = []
    for lines in sets:
        connection.putrequest("GET", "/", skip_accept_encoding=True)
        for line in lines:
            connection.putheader(XFF, line.encode("latin-1"))
        connection.endheaders()
        response = connection.getresponse()
        body = response.read().decode()
        assert response.status == 200, (lines, body)
        peer, __, answer = body.partition(" ")
        assert peer == PEER
        found.append(answer)
    connection.close()
    return found


# How the two read an element that client_ip reads in another way: (class, pattern).

_MAPPED = ("IPv4-mapped IPv6", r"::ffff:.*")
_TAKEN = (("unspecified address", r"0\.0\.0\.0|::"), ("leading zero", r"01\.1\.1\.1|1\.1\.1\.001"))
_ZONE = ("zone", r".*%.*")
_PORT_ABOVE = ("port above 65535", r".*:(?:65536|99999)")
NGINX_REFUSES = (
    _ZONE,
    _PORT_ABOVE,
    ("brackets without a port", r"\[.*\]"),
    ("port 0", r".*\d:0"),
)
HAPROXY_REFUSES = (_ZONE, _PORT_ABOVE, ("brackets", r"\[.*"))
NGINX_ONLY = (
    "junk",
    "empty element",
    "empty element, the first in its line",
    "space between addresses",
    "every element trusted",
    "no header",
)
HAPROXY_ONLY = ("quote",)
QUOTED_OR_NO_COMMA = re.compile(r'(?:"(?:\\.|[^"\\])*(?:"|\\?\Z)|[^",])*')

Foretold = tuple[str, set[str]]


def one_of(table: tuple[tuple[str, str], ...], text: str) -> set[str]:
    return {name for name, pattern in table if re.fullmatch(pattern, text, re.IGNORECASE)}


def read(text: str, refuses: tuple[tuple[str, str], ...]) -> Foretold:
    """The address that a program reads in an element, "" for none, and the classes it is of."""
    refused = one_of(refuses, text)
    if refused:
        return "", refused
    taken = one_of(_TAKEN, text)
    if taken:
        return {"0.0.0.0": "0.0.0.0", "::": "::"}.get(text, "1.1.1.1"), taken
    found = parse_address(text)
    if found is None:
        return "", set()
    mapped = one_of((_MAPPED,), text)
    return (f"::ffff:{found}" if mapped else str(found)), mapped


def nginx_answer(lines: list[str]) -> Foretold:
    """It goes left as long as what it holds is trusted, and keeps that where it can't read on."""
    kept, mapped = PEER, set[str]()
    classes: set[str] = set()
    for line in reversed(lines):
        for place, element in reversed(list(enumerate(line.split(",")))):
            words = element.split()
            if not words and place == 0:
                return kept, classes | mapped | {"empty element, the first in its line"}
            if not words:
                classes.add("empty element")
            if len(words) > 1:
                classes.add("space between addresses")
            for word in reversed(words):
                address, found = read(word, NGINX_REFUSES)
                if not address:
                    return kept, classes | mapped | (found or {"junk"})
                kept, mapped = address, found
                known = parse_address(address)
                if known is None or not in_ranges(known.address, parse_ranges(TRUSTED)):
                    return kept, classes | mapped
    return kept, classes | mapped | {"every element trusted" if lines else "no header"}


def haproxy_answer(lines: list[str]) -> Foretold:
    """It reads the last element; a quote hides the commas behind it."""
    if not lines:
        return "", set()
    begin = 0
    while (end := QUOTED_OR_NO_COMMA.match(lines[-1], begin).end()) < len(lines[-1]):
        begin = end + 1
    element = lines[-1][begin:].strip(" ")
    if element != lines[-1].split(",")[-1].strip(" "):
        return "", {"quote"}
    return read(element, HAPROXY_REFUSES)


RANGE = {"strategy": "rightmost_trusted_range", "peer": PEER, "trusted_ranges": TRUSTED}
COUNT = {"strategy": "rightmost_trusted_count", "peer": PEER, "trusted_count": 1}


@pytest.mark.parametrize(
    ("program", "arguments", "foretell", "table"),
    [
        (nginx, RANGE, nginx_answer, (NGINX_REFUSES, NGINX_ONLY)),
        (haproxy, COUNT, haproxy_answer, (HAPROXY_REFUSES, HAPROXY_ONLY)),
    ],
    ids=["nginx", "haproxy"],
)
def test_every_difference_is_a_known_one(program, arguments, foretell, table, tmp_path):
    refuses, others = table
    listed = {name for name, __ in (*refuses, *_TAKEN, _MAPPED)} | set(others)
    sets = list(header_sets())
    with served(program(tmp_path)) as port:
        answers = ask(port, sets)

    seen: Counter[str] = Counter()
    for lines, answer in zip(sets, answers, strict=True):
        ours = client_ip([[XFF, line] for line in lines], **arguments) or ""
        foretold, classes = foretell(lines)
        assert answer == foretold, (lines, ours, classes)
        if answer != ours:
            assert classes, (lines, ours, answer)
            seen.update(classes)
    print(f"{program.__name__}: {REQUESTS} sets of header lines, differences by class {dict(seen)}")
    assert set(seen) == listed
    page = (REPOSITORY / "docs" / "derivation.md").read_text()
    section = page.partition(f"### {program.__name__}\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| ([^|]+?) \| `", section, re.MULTILINE)
    assert sorted(rows) == sorted(listed)
