# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of settings for applications. That they work is tested with the applications."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._applications import (
    APPLICATIONS,
    CAUTIONS,
    CHECKED,
    for_application,
    page,
    settings,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    STRATEGIES,
    DerivationError,
)

PAGE = Path(__file__).resolve().parents[4] / "docs" / "applications.md"

COUNT = {"strategy": "rightmost_trusted_count"}
RANGE = {"strategy": "rightmost_trusted_range"}
SINGLE = {"strategy": "single_header", "header": "X-Real-IP"}

# One call for each strategy.
CALLS = [
    {"strategy": "peer"},
    SINGLE,
    {**COUNT, "trusted_count": 1},
    {**COUNT, "trusted_count": 3, "trusted_ranges": ["10.0.0.5"]},
    {**RANGE, "trusted_ranges": ["10.0.0.0/24", "2001:db8::/32"]},
    {"strategy": "rightmost_non_private"},
    {"strategy": "leftmost_non_private"},
]


def text(name, **arguments):
    return for_application(name, **arguments)["settings"]


def test_the_calls_of_this_test_are_complete() -> None:
    assert {call["strategy"] for call in CALLS} == {*STRATEGIES}


@pytest.mark.parametrize("row", APPLICATIONS.values(), ids=lambda row: row.name)
def test_a_row_is_well_formed(row) -> None:
    assert row.checked in CHECKED
    assert re.search(r" [0-9]+(\.[0-9]+)*$", row.version)
    for ways in row.ways.values():
        assert ways[-1].most is None
        for way in ways:
            assert way.text or way.note
            assert not way.note or way.note.endswith(".")


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["strategy"])
def test_every_application_has_an_answer(call) -> None:
    found = settings(**call)
    assert [one["application"] for one in found] == [*APPLICATIONS]
    for one in found:
        assert one == for_application(one["application"], **call)
        assert {*one} == {"application", "version", "checked", "settings", "note"}
        assert one["settings"] or one["note"]
        assert "<" not in re.sub(r"\(\?<element>|< count", "", one["settings"] or "")
        assert one["settings"] is None or one["settings"] == "" or one["settings"].endswith("\n")


# The line of the setting in which each application is told the count, the ranges or the header.
LINES = [
    ("flask", {**COUNT, "trusted_count": 2}, "app.wsgi_app = ClientAddress(app.wsgi_app, x_for=2"),
    ("django", {**COUNT, "trusted_count": 2}, 'environ["REMOTE_ADDR"] = elements[-2].strip()'),
    ("django", SINGLE, 'environ.get("HTTP_X_REAL_IP", "")'),
    ("uvicorn", {**COUNT, "trusted_count": 2}, "elements[-2].strip()"),
    ("uvicorn", SINGLE, 'b"x-real-ip"'),
    ("uvicorn", {**RANGE, "trusted_ranges": ["10.0.0.7/24", "::1"]}, "='10.0.0.0/24,::1/128'"),
    ("express", {**COUNT, "trusted_count": 2}, "app.set('trust proxy', 2)"),
    ("express", {**RANGE, "trusted_ranges": ["10.0.0.7/24", "::1"]}, "['10.0.0.0/24', '::1/128']"),
    (
        "spring-boot",
        {**RANGE, "trusted_ranges": ["172.16.0.0/14", "10.0.0.7"]},
        r"=172\\.(?:16|17|18|19)\\.\\d{1,3}\\.\\d{1,3}|10\\.0\\.0\\.7" + "\n",
    ),
    ("spring-boot", SINGLE, "remote-ip-header=X-Real-IP"),
    ("gin", {**COUNT, "trusted_count": 2}, "len(elements) - 2;"),
    ("gin", {**RANGE, "trusted_ranges": ["10.0.0.0/24", "::1"]}, '{"10.0.0.0/24", "::1/128"}'),
    ("gin", SINGLE, 'router.TrustedPlatform = "X-Real-IP"'),
    ("rails", {**RANGE, "trusted_ranges": ["10.0.0.0/24", "::1"]}, "%w[10.0.0.0/24 ::1/128]"),
    ("laravel", {**COUNT, "trusted_count": 1}, "at: '*'"),
    ("laravel", {**RANGE, "trusted_ranges": ["10.0.0.0/24"]}, "at: ['10.0.0.0/24']"),
    ("aspnet-core", {**COUNT, "trusted_count": 2}, "ForwardLimit = 2,"),
    ("aspnet-core", {**RANGE, "trusted_ranges": ["::1"]}, 'IPNetwork.Parse("::1/128"));\n'),
    ("aspnet-core", SINGLE, 'ForwardedForHeaderName = "X-Real-IP"'),
    ("nginx", {**COUNT, "trusted_count": 1}, "real_ip_recursive off;"),
    ("nginx", {**COUNT, "trusted_count": 3}, r"(?:,[^,]*){2}$"),
    ("nginx", {**RANGE, "trusted_ranges": ["10.0.0.0/24"]}, "set_real_ip_from 10.0.0.0/24;\n"),
    ("nginx", {**RANGE, "trusted_ranges": ["10.0.0.0/24"]}, "real_ip_recursive on;"),
    ("envoy", {**COUNT, "trusted_count": 2}, "xff_num_trusted_hops: 2"),
    ("envoy", {**RANGE, "trusted_ranges": ["::1"]}, '{address_prefix: "::1", prefix_len: 128}'),
    ("envoy", SINGLE, "header_name: X-Real-IP"),
    ("traefik", {**COUNT, "trusted_count": 2, "trusted_ranges": ["10.0.0.5"]}, "depth: 2"),
    ("traefik", {**RANGE, "trusted_ranges": ["10.0.0.0/24"]}, 'excludedIPs: ["10.0.0.0/24"]'),
]


@pytest.mark.parametrize(("name", "arguments", "line"), LINES, ids=[row[0] for row in LINES])
def test_the_arguments_reach_the_setting(name, arguments, line) -> None:
    assert line in text(name, **arguments)


def test_the_regular_expression_for_tomcat_is_the_range() -> None:
    setting = text("spring-boot", **RANGE, trusted_ranges=["10.64.0.0/10"])
    expression = setting.rpartition("internal-proxies=")[2].strip().replace("\\\\", "\\")
    for address, inside in (
        ("10.64.0.0", True),
        ("10.127.255.255", True),
        ("10.63.255.255", False),
        ("10.128.0.0", False),
        ("110.64.0.0", False),
        ("10x64.0.0", False),
    ):
        assert bool(re.fullmatch(expression, address)) is inside, address


# Where nothing safe can be set, whatever the arguments.
REFUSED = [
    ("every application", {"strategy": "leftmost_non_private"}, [*APPLICATIONS]),
    ("Forwarded", {**COUNT, "trusted_count": 1, "header": "forwarded"}, [*APPLICATIONS]),
    ("Forwarded", {**RANGE, "trusted_ranges": ["::1"], "header": "Forwarded"}, [*APPLICATIONS]),
    ("everybody", {**RANGE, "trusted_ranges": ["10.0.0.1", "0.0.0.0/0"]}, [*APPLICATIONS]),
    ("everybody", {**RANGE, "trusted_ranges": ["::/0"]}, [*APPLICATIONS]),
    ("counts", {**RANGE, "trusted_ranges": ["10.0.0.1"]}, ["flask", "django"]),
    ("ranges", {**COUNT, "trusted_count": 1}, ["spring-boot", "rails", "traefik"]),
    (
        "ranges",
        {**COUNT, "trusted_count": 2, "trusted_ranges": ["10.0.0.1"]},
        ["spring-boot", "rails", "laravel"],
    ),
    ("IPv6", {**RANGE, "trusted_ranges": ["::1"]}, ["flask", "django", "spring-boot"]),
    ("other names", SINGLE, ["express", "rails", "laravel", "traefik"]),
]


@pytest.mark.parametrize(("why", "arguments", "names"), REFUSED)
def test_what_is_not_safe_has_no_setting(why, arguments, names) -> None:
    assert [one["application"] for one in settings(**arguments) if one["settings"] is None] == names


def test_without_ranges_nobody_is_trusted() -> None:
    assert settings(**RANGE, trusted_ranges=[]) == settings(strategy="peer")


def test_private_ranges_leave_out_only_what_tomcat_cannot_compare() -> None:
    assert "fc00::" not in text("spring-boot", strategy="rightmost_non_private")
    assert "set_real_ip_from fc00::/7;" in text("nginx", strategy="rightmost_non_private")


WRONG = [
    ({"strategy": "leftmost"}, "strategy"),
    ({"strategy": "single_header"}, "header"),
    ({"strategy": "single_header", "header": "X-Forwarded-For"}, "header"),
    # Settings are code: nothing may leave the quotes.
    ({"strategy": "single_header", "header": 'X"; system("id'}, "header"),
    ({"strategy": "single_header", "header": "X-Real-IP\n"}, "header"),
    ({"strategy": "single_header", "header": "X_Real_IP"}, "header"),
    (COUNT, "trusted_count"),
    ({**COUNT, "trusted_count": 0}, "trusted_count"),
    ({**COUNT, "trusted_count": True}, "trusted_count"),
    ({**COUNT, "trusted_count": "1"}, "trusted_count"),
    (RANGE, "trusted_ranges"),
    ({**RANGE, "trusted_ranges": ["10.0.0.1; }"]}, "trusted_ranges"),
    ({**RANGE, "trusted_ranges": "10.0.0.1"}, "trusted_ranges"),
    ({"strategy": "peer", "trusted_ranges": ["10.0.0.1"]}, "trusted_ranges"),
]


@pytest.mark.parametrize(("arguments", "named"), WRONG)
def test_wrong_arguments_are_named(arguments, named) -> None:
    with pytest.raises(DerivationError, match=f"^{named}"):
        settings(**arguments)


def test_an_unknown_application_is_an_error() -> None:
    with pytest.raises(DerivationError, match=r"^application must be one of flask, "):
        for_application("Apache", "peer")


def test_each_strategy_that_can_be_fooled_has_its_caution() -> None:
    assert {*CAUTIONS} == {*STRATEGIES} - {"peer", "leftmost_non_private"}


def test_the_page_is_the_table() -> None:
    command = "write the result of _applications.page() there"
    assert PAGE.read_text("utf-8") == page(), f"{PAGE.name} is out of date: {command}"
