# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of docs/applications.md, run for real: what do the applications take for the client?

Loopback only. Real nginx proxies stand before each application; every request comes from one client
with whatever headers it likes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._applications import (
    APPLICATIONS,
    for_application,
)

from lab import packages
from tests.lab import applications
from tests.lab.applications import Case, address

CLIENT: Final = address(200)
#: The only proxy, or the inner one of two.
PROXY: Final = address(201)
OUTER: Final = address(202)
#: Overwrites X-Real-IP and passes on all else, where the others append to X-Forwarded-For.
REPLACING: Final = address(203)
FORGED: Final = "6.6.6.6"

ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "count1": {"strategy": "rightmost_trusted_count", "trusted_count": 1},
    "count2": {"strategy": "rightmost_trusted_count", "trusted_count": 2},
    "range": {"strategy": "rightmost_trusted_range", "trusted_ranges": [PROXY, OUTER]},
    # The client is in it: what happens to those who list more than their proxies.
    "wide": {"strategy": "rightmost_trusted_range", "trusted_ranges": [address(0) + "/24"]},
    "private": {"strategy": "rightmost_non_private"},
    "single": {"strategy": "single_header", "header": "X-Real-IP"},
    "peer": {"strategy": "peer"},
}

#: What was usual before: a client's quote fools it.
PROXY_FIX: Final = (
    "from werkzeug.middleware.proxy_fix import ProxyFix\napp.wsgi_app = ProxyFix(app.wsgi_app)\n"
)


def _cases() -> Iterator[Case]:
    number = 1
    for name in applications.RUN:
        for case, arguments in ARGUMENTS.items():
            settings = for_application(name, **arguments)["settings"]
            if settings is not None:
                yield Case(f"{name}-{case}", settings, address(number))
                number += 1
    yield Case("flask-alone", PROXY_FIX, address(number))


CASES: Final = {case.name: case for case in _cases()}

#: By which way which case must find the client.
WAYS: Final = {
    PROXY: ("count1", "range"),
    OUTER: ("count2", "range"),
    REPLACING: ("single",),
}

X: Final = "X-Forwarded-For:"
HEADERS: Final[dict[str, list[str]]] = {
    "none": [],
    "one address": [f"{X} {FORGED}"],
    "a list": [f"{X} {FORGED}, 7.7.7.7,8.8.8.8"],
    "two lines": [f"{X} {FORGED}", f"{X} 7.7.7.7"],
    "lines in other cases": [f"x-forwarded-for: {FORGED}", f"X-FORWARDED-FOR: {FORGED}"],
    "ports": [f"{X} {FORGED}:80, [2001:db8::6]:80"],
    "IPv6": [f"{X} 2001:db8::6"],
    "junk": [f"{X} unknown, _hidden, 999.1.1.1, test.example"],
    "empty elements": [f"{X} {FORGED},,, ,"],
    "an empty line": [X],
    "tabs": [f"{X} {FORGED}\t,\t{FORGED}"],
    "an open quote": [f'{X} {FORGED}, "x'],
    "a quoted comma": [f'{X} {FORGED}, "x, y"'],
    "a backslash": [f'{X} {FORGED}, "x\\', f"{X} \\"],
    "the proxies": [f"{X} {FORGED}, {PROXY}, {OUTER}"],
    "itself": [f"{X} {CLIENT}, {FORGED}"],
    "many": [f"{X} {', '.join([FORGED] * 300)}"],
    "other headers": [
        *(f"{name}: {FORGED}" for name in ("Client-IP", "True-Client-IP", "CF-Connecting-IP")),
        *(f"{name}: {FORGED}" for name in ("X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP")),
        f"Forwarded: for={FORGED}",
    ],
    "two lines of X-Real-IP": [f"X-Real-IP: {FORGED}", f"X-Real-IP: {FORGED}"],
    "underscores": [
        *(f"{name}: {FORGED}" for name in ("X_Forwarded_For", "X-Forwarded_For", "X_Real_IP")),
    ],
    "a hop-by-hop header": [f"{X} {FORGED}", "Connection: close, X-Forwarded-For, X-Real-IP"],
    "all at once": [
        f"X_Forwarded_For: {FORGED}",
        f'{X} "{FORGED}, ',
        f"X-Real-IP: {FORGED}",
        f'Forwarded: for={FORGED}, for="x',
    ],
}

Seen = Callable[[str, str, list[str]], str]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Tell which address a case takes for the client's: by way of which proxy, with which lines."""
    packages.ensure()
    directory = tmp_path_factory.mktemp("applications")
    compiled = [case for case in CASES.values() if case.name.startswith("gin-")]
    (directory / "gin").symlink_to(applications.gin(compiled))
    append = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
    proxies = [
        applications.proxy(PROXY, append),
        applications.proxy(OUTER, append, PROXY),
        applications.proxy(REPLACING, "proxy_set_header X-Real-IP $remote_addr;"),
    ]
    servers = applications.Servers()
    with applications.alone():
        try:
            servers.start(applications.nginx("proxies", PROXY, "\n".join(proxies), directory))
            for case in CASES.values():
                kind = case.name.partition("-")[0]
                servers.start(applications.RUN[kind](case, directory))
            servers.wait()
            yield lambda case, way, lines: applications.ask(
                CLIENT, way, f"/{CASES[case].address.rpartition('.')[2]}", lines
            )
        finally:
            servers.stop()


def _named(*rows: tuple[str, str]) -> list[Any]:
    return [pytest.param(*row, id=f"{row[0]}-by-{row[1].rpartition('.')[2]}") for row in rows]


TRUE: Final = [
    (f"{name}-{case}", way)
    for name in applications.RUN
    for way, cases in WAYS.items()
    for case in cases
    if f"{name}-{case}" in CASES
]


#: Where a setting keeps the peer's address, as its note says.
KEPT: Final[dict[str, dict[str, str]]] = {"envoy-range": {"many": PROXY}}


@pytest.mark.parametrize(("case", "way"), _named(*TRUE))
def test_the_settings_find_the_client_whatever_it_sends(seen: Seen, case: str, way: str) -> None:
    found = {name: seen(case, way, lines) for name, lines in HEADERS.items()}
    assert found == dict.fromkeys(HEADERS, CLIENT) | KEPT.get(case, {})


#: What arrives where proxies append lines of their own, as HAProxy does, and what of it counts.
OWN_LINES: Final = [
    ("count1", [f"{X} {FORGED}", f"{X} {CLIENT}"]),
    ("count1", [f'{X} {FORGED}, "x', f"{X} {CLIENT}"]),
    ("count2", [f"{X} {FORGED}", f"{X} {CLIENT}", f"{X} {OUTER}"]),
    ("count2", [f"{X} {FORGED}", f"{X} {FORGED}, {CLIENT}", f"{X} {OUTER}"]),
    ("range", [f"{X} {FORGED}", f"{X} {CLIENT}"]),
    ("range", [f"{X} {FORGED}", f"{X} {CLIENT}", f"{X} {OUTER}"]),
]


@pytest.mark.parametrize("kind", applications.RUN)
def test_proxies_may_append_lines_of_their_own(seen: Seen, kind: str) -> None:
    rows = [(CASES.get(f"{kind}-{case}"), lines) for case, lines in OWN_LINES]
    found = [applications.ask(PROXY, case.address, "/", lines) for case, lines in rows if case]
    assert found
    assert {*found} == {CLIENT}


@pytest.mark.parametrize("kind", ["uvicorn", "express", "nginx", "gin", "envoy"])
def test_private_ranges_are_all_passed_over(seen: Seen, kind: str) -> None:
    # Said in a proxy's place: nobody here has a public address.
    passed = "203.0.113.7, 192.168.0.1, 100.64.0.1, 172.31.255.255, fd00::1"
    case = CASES[f"{kind}-private"]
    lines = [f"{X} {FORGED}, 8.8.8.8, {passed}"]
    assert applications.ask(PROXY, case.address, "/", lines) == "8.8.8.8"
    # A client that has a private address is one of them, and chooses.
    assert seen(case.name, PROXY, HEADERS["one address"]) == FORGED


def _list(*elements: str) -> list[str]:
    return [f"{X} {', '.join(elements)}"]


#: What the notes say of Envoy: what the last proxy sends, to where, and what is answered.
ENVOY: Final = [
    ("range", _list(*[FORGED] * 19, CLIENT), "/", CLIENT),
    ("range", _list(*[FORGED] * 20, CLIENT), "/", PROXY),
    ("count1", _list(*[FORGED] * 20, CLIENT), "/", CLIENT),
    ("single", [f"X-Real-IP: {FORGED}", f"X-Real-IP: {CLIENT}"], "/", FORGED),
    ("range", _list(f"{CLIENT}:80"), "/", PROXY),
    ("count1", _list(f"{CLIENT}:80"), "/", PROXY),
    ("single", [f"X-Real-IP: {CLIENT}:80"], "/", PROXY),
    ("range", _list(FORGED, CLIENT), applications.PASSED_ON, f"{FORGED}, {CLIENT}"),
    ("single", _list(FORGED, CLIENT), applications.PASSED_ON, f"{FORGED}, {CLIENT}"),
    ("count1", _list(FORGED, CLIENT), applications.PASSED_ON, f"{FORGED}, {CLIENT},{PROXY}"),
]


def test_what_the_notes_say_of_envoy(seen: Seen) -> None:
    found = [
        applications.ask(PROXY, CASES[f"envoy-{case}"].address, path, lines)
        for case, lines, path, __ in ENVOY
    ]
    assert found == [answer for *__, answer in ENVOY]


def test_what_must_be_run_is() -> None:
    kinds = {"flask", "uvicorn", "express", "nginx", "gin", "envoy"}
    for case in ("count1", "count2"):
        assert {f"{kind}-{case}" for kind in kinds} <= {*CASES}
    ranges = ("uvicorn", "express", "nginx", "gin", "envoy")
    assert {f"{kind}-range" for kind in ranges} <= {*CASES}
    assert {f"{kind}-single" for kind in ("flask", "uvicorn", "nginx", "gin", "envoy")} <= {*CASES}


def test_the_rows_that_are_run_say_so() -> None:
    assert {row.name for row in APPLICATIONS.values() if row.checked == "run"} == {
        *applications.RUN
    }


# Controls: the same programs with a setting that doesn't fit the way must be fooled, or the tests
# above could not fail.


@pytest.mark.parametrize("kind", applications.RUN)
def test_a_count_too_high_lets_the_client_choose(seen: Seen, kind: str) -> None:
    assert seen(f"{kind}-count2", PROXY, HEADERS["one address"]) == FORGED


@pytest.mark.parametrize("kind", applications.RUN)
def test_a_count_too_low_gives_a_proxy(seen: Seen, kind: str) -> None:
    assert seen(f"{kind}-count1", OUTER, HEADERS["one address"]) == OUTER


@pytest.mark.parametrize("kind", ["uvicorn", "express", "nginx", "gin", "envoy"])
def test_a_range_too_wide_lets_the_client_choose(seen: Seen, kind: str) -> None:
    assert seen(f"{kind}-wide", PROXY, HEADERS["one address"]) == FORGED


@pytest.mark.parametrize("kind", ["flask", "django", "uvicorn", "nginx", "gin", "envoy"])
def test_a_header_that_is_passed_on_lets_the_client_choose(seen: Seen, kind: str) -> None:
    assert seen(f"{kind}-single", PROXY, HEADERS["other headers"]) == FORGED


@pytest.mark.parametrize("kind", applications.RUN)
def test_the_peer_is_the_last_proxy(seen: Seen, kind: str) -> None:
    found = {name: seen(f"{kind}-peer", PROXY, lines) for name, lines in HEADERS.items()}
    assert found == dict.fromkeys(HEADERS, PROXY)


def test_why_proxy_fix_is_not_used_alone(seen: Seen) -> None:
    assert seen("flask-alone", PROXY, HEADERS["one address"]) == CLIENT
    assert seen("flask-alone", PROXY, HEADERS["an open quote"]) != CLIENT


def _pinned() -> Iterator[tuple[str, str]]:
    """What each row was checked with, as the project's files pin it. nginx is the machine's."""
    lock = Path(applications.HERE / "express" / "package-lock.json").read_text()
    module = Path(applications.HERE / "gin" / "go.mod").read_text()
    yield "flask", f"Werkzeug {version('werkzeug')}"
    yield "uvicorn", f"uvicorn {version('uvicorn')}"
    yield "express", f"Express {json.loads(lock)['packages']['node_modules/express']['version']}"
    yield "envoy", f"Envoy {applications.ENVOY.version}"
    yield "gin", f"Gin {re.findall('gin-gonic/gin v(.*)', module)[0]}"


@pytest.mark.parametrize(("name", "said"), [*_pinned()])
def test_the_table_names_the_version_that_is_run(name: str, said: str) -> None:
    assert APPLICATIONS[name].version == said, "write this version there: the tests hold for it"


def test_the_lock_of_express_names_no_host() -> None:
    lock = json.loads((applications.HERE / "express" / "package-lock.json").read_text())
    packages_of_it = [entry for path, entry in lock["packages"].items() if path]
    assert packages_of_it
    assert all("resolved" not in entry and entry["integrity"] for entry in packages_of_it)
