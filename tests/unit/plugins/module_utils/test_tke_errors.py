# SPDX-License-Identifier: GPL-3.0-or-later
"""TKE's error codes: none is missing, each is usable, and events are read however they are cut."""

from __future__ import annotations

import re
import string
import time

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils import _tke_errors
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import SETTINGS, value_of
from ansible_collections.kestrel.real_ip.plugins.module_utils._tke_errors import (
    ERRORS,
    Mention,
    TkeError,
    look_up,
    mentions,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

# The same examples in every run, however slow the machine; nothing is kept in the working tree.
settings.register_profile("units", deadline=None, database=None, derandomize=True, max_examples=150)
settings.load_profile("units")

# --- The table ------------------------------------------------------------------------------------

# As TKE's documents list them, which write E5003 to E5009 as a range.
DOCUMENTED = {
    "Ingress": """
        E4000 E4003 E4004 E4005 E4006 E4007 E4008 E4009 E4010 E4011 E4012 E4013 E4017 E4018 E4019
        E4020 E4021 E4022 E4023 E4024 E4025 E4026 E4027 E4030 E4031 E4032 E4033 E4034 E4035 E4036
        E4037 E4038 E4039 E4040 E4041 E4042 E4043 E4044 E4045 E4046 E4047 E4048 E4049 E4050 E4051
        E4052 E4053 E4054 E4055 E4060 E4066 E4068 E4071 E4074 E4081 E4082 E4084 E4091 E4098 E4101
        E5003 E5004 E5005 E5006 E5007 E5008 E5009 E6001 E6002 E6006 E6007 E6009 W1000 W1001 W1002
    """,
    "Service": """
        E4001 E4004 E4005 E4008 E4009 E4011 E4012 E4013 E4014 E4016 E4026 E4033 E4036 E4037 E4062
        E4075
    """,
}
OBJECT = {"namespace": "a-namespace", "kind": "a-kind", "name": "a-name"}
VARIABLE = re.compile(r"real_ip_[a-z_]+")
# Options and arguments that need no quoting, so that the text can be typed as it is
COMMAND = re.compile(r"kubectl -n a-namespace [a-z]+( [-a-zA-Z0-9./=]+)+")


@pytest.mark.parametrize("kind", DOCUMENTED)
def test_each_documented_code_has_a_row_and_no_other_has(kind: str) -> None:
    assert sorted(code for of, code in ERRORS if of == kind) == DOCUMENTED[kind].split()


def test_each_code_of_a_kind_stands_once() -> None:
    assert len(ERRORS) == len(_tke_errors._TABLE)
    assert {kind for kind, code in ERRORS} == {*DOCUMENTED}


@pytest.mark.parametrize("row", ERRORS.values(), ids=lambda row: f"{row.kind}-{row.code}")
def test_a_row_is_well_formed(row: TkeError) -> None:
    assert row.title[0].islower() or row.title.startswith("SNAT")
    assert not row.title.endswith(".")
    assert row.cause.endswith(".")
    assert ". " not in row.cause
    for text in row:
        assert text.isprintable()
        assert text == text.strip()
    for text in (row.title, row.cause):
        assert not re.search(r"[{}]", text)
    fix = row.fix.format(**OBJECT)
    assert not re.search(r"[{}]|\.\Z", fix)
    if row.fix_kind == "command":
        assert COMMAND.fullmatch(fix)
    elif row.fix_kind == "variable":
        name, _equals, value = fix.partition("=")
        assert value_of(name, value) == value
    else:
        assert row.fix_kind == ("console" if fix else "")
        assert {*VARIABLE.findall(fix)} <= {*SETTINGS}


@pytest.mark.parametrize("row", ERRORS.values(), ids=lambda row: f"{row.kind}-{row.code}")
def test_a_fix_belongs_to_the_kind_of_the_object(row: TkeError) -> None:
    other = {"Ingress": "service", "Service": "ingress"}[row.kind]
    assert f"{other}.cloud.tencent.com/" not in row.fix
    assert f"real_ip_{other}_annotations" not in row.fix
    assert not re.search(rf"(edit|annotate) {other}\b", row.fix)


@pytest.mark.parametrize(
    ("kind", "code", "title", "fix"),
    [
        ("Ingress", "E4009", "no Secret is named for TLS", "qcloud_cert_id"),
        ("Service", "E4009", "the account is in arrears", ""),
        ("Ingress", "E4027", "the account is in arrears", ""),
        ("Ingress", "E4033", "the load balancer's IP version isn't supported", ""),
        ("Service", "E4033", "direct access, but no backend supports it", "direct-access=false"),
        ("Ingress", "E4034", "a rule without host on IPv6", "real_ip_host"),
        ("Ingress", "E4047", "the Service is of type ClusterIP", "real_ip_service_type=NodePort"),
    ],
)
def test_look_up(kind: str, code: str, title: str, fix: str) -> None:
    row = look_up(kind, Mention(code, "whatever", None))
    assert row == ERRORS[kind, code]
    assert (row.kind, row.code, row.title) == (kind, code, title)
    assert fix in row.fix
    assert bool(fix) == bool(row.fix)


def test_a_fix_can_be_typed() -> None:
    fix = ERRORS["Ingress", "E4082"].fix.format(namespace="shop", kind="Ingress", name="front")
    assert fix == (
        "kubectl -n shop annotate ingress front "
        "ingress.cloud.tencent.com/direct-access=false --overwrite"
    )


@pytest.mark.parametrize(
    ("kind", "code"),
    [("Ingress", "E4999"), ("Ingress", "E4001"), ("Service", "E4047"), ("Pod", "E4009")],
)
def test_an_unknown_code_is_passed_on_with_its_message(kind: str, code: str) -> None:
    row = look_up(kind, Mention(code, "no {name} in it\x1b", False))
    assert row == TkeError(kind, code, f"TKE error {code}", "no {name} in it\x1b", "", "")
    assert look_up(kind, Mention(code, "", None)).cause.endswith(".")


# --- Finding codes --------------------------------------------------------------------------------

EMPTY = "Ingress:a/b.Secretnameisempty.Forhttpsrulecertsecretisrequired."
TYPED = f'IngressErrorCode{{Code:"E4009",Message:"{EMPTY}",Retry:false}}'

FOUND = {
    # Plain text
    "E4009": [("E4009", "", None)],
    "E4009: secretName is empty": [("E4009", "secretName is empty", None)],
    "ErrorCode: E4009": [("E4009", "", None)],
    "ErrorCode:E4009.": [("E4009", "", None)],
    "secretName is empty (E4009)": [("E4009", "", None)],
    "[W1000] Service a/b not found in store": [("W1000", "Service a/b not found in store", None)],
    "Ingress Sync ClientError. ErrorCode: E4047 Details: Ingress: a/b. No. OriginError: ": [
        ("E4047", "Ingress: a/b. No. OriginError:", None)
    ],
    "错误码E4009：证书": [("E4009", "证书", None)],
    "E4009: one\nE4010: two": [("E4009", "one", None), ("E4010", "two", None)],
    "E4009 E4009 E4009": [("E4009", "", None)],
    '{"code":"E4009","message":"x"}': [("E4009", 'message":"x"}', None)],
    "E4999 at 06:10": [("E4999", "at 06:10", None)],
    # As Go prints the error
    TYPED: [("E4009", EMPTY, False)],
    f"SecretEmptyError={TYPED} and more": [("E4009", EMPTY, False)],
    'ServiceErrorCode{Code:"E4014",Message:"port 80",Retry:true}': [("E4014", "port 80", True)],
    "IngressErrorCode{Code:E4009,Message:no name,Retry:false}": [("E4009", "no name", False)],
    '&IngressErrorCode { Code: "E4009", Message: "no name", Retry: true }': [
        ("E4009", "no name", True)
    ],
    'IngressErrorCode{Code:"E4009"}': [("E4009", "", None)],
    'IngressErrorCode{Code:"E4009",Retry:true}': [("E4009", "", True)],
    'IngressErrorCode{Code:"E4009",Message:"",Retry:false}': [("E4009", "", False)],
    'IngressErrorCode{Code:"E4009",Message:"x",Retry:maybe}': [("E4009", "x", None)],
    'IngressErrorCode{Code:"E4009",Message:"x",Retry:falsehood}': [("E4009", "x", None)],
    # Escapes, braces and commas in the message
    r'IngressErrorCode{Code:"E4009",Message:"a \"b\", {c},\n\\d\q",Retry:false}': [
        ("E4009", 'a "b", {c},\n\\d\\q', False)
    ],
    'IngressErrorCode{Code:"E4009",Message:"a\\\nb, Retry:true",Retry:false}': [
        ("E4009", "a\\\nb, Retry:true", False)
    ],
    'IngressErrorCode{Code:"E4009",Message:"}, Retry:true} E4010",Retry:false}': [
        ("E4009", "}, Retry:true} E4010", False)
    ],
    "IngressErrorCode{Code:E4009,Message:a, {b}, c} d,Retry:true}": [
        ("E4009", "a, {b}, c} d", True)
    ],
    "IngressErrorCode{Code:E4009,Message:a {b}} for E4010: c": [
        ("E4009", "a {b}", None),
        ("E4010", "c", None),
    ],
    'IngressErrorCode{Code:"E4009",Message:"no "b" there",Retry:true}': [
        ("E4009", 'no "b" there', True)
    ],
    # Cut off
    'IngressErrorCode{Code:"E4009': [("E4009", "", None)],
    'IngressErrorCode{Code:"E4009",Mess': [("E4009", "", None)],
    'IngressErrorCode{Code:"E4009",Message:': [("E4009", "", None)],
    'IngressErrorCode{Code:"E4009",Message:"no \\"name': [("E4009", 'no "name', None)],
    'IngressErrorCode{Code:"E4009",Message:"no \\"name\\"': [("E4009", 'no "name"', None)],
    'IngressErrorCode{Code:"E4009",Message:"no name\\': [("E4009", "no name\\", None)],
    'IngressErrorCode{Code:"E4009",Message:"no name"': [("E4009", "no name", None)],
    'IngressErrorCode{Code:"E4009",Message:"no name",Retry:fal': [("E4009", "no name", None)],
    "IngressErrorCode{Code:E4009,Message:no {name": [("E4009", "no {name", None)],
    # Several
    TYPED + TYPED.replace("E4009", "E4010"): [("E4009", EMPTY, False), ("E4010", EMPTY, False)],
    f"{TYPED}, {TYPED}": [("E4009", EMPTY, False)],
    f"E4047: a, then {TYPED} E4042: b": [
        ("E4047", "a, then", None),
        ("E4009", EMPTY, False),
        ("E4042", "b", None),
    ],
    f'IngressErrorCode{{Code:"E4010",Message:"no name{TYPED}': [
        ("E4010", "no name", None),
        ("E4009", EMPTY, False),
    ],
    f"IngressErrorCode{{Code:E4010,Message:no name{TYPED}": [
        ("E4010", "no name", None),
        ("E4009", EMPTY, False),
    ],
}


@pytest.mark.parametrize(("text", "found"), FOUND.items())
def test_mentions(text: str, found: list[tuple[str, str, bool | None]]) -> None:
    assert list(mentions(text)) == [Mention(*row) for row in found]


NOTHING = [
    "",
    "E400",
    "E40091",
    "0xE4009",
    "TRACE4009",
    "e4009",
    "_E4009",
    "E4009_",
    "E4009a",
    "E4009-7b9f",
    "lb-E4009",
    "%E4009",
    "U+E4009",
    "E４００９",
    "\\uE4009",
    "F4009",
    "E1127 06:10:11.123456       1 controller.go:114] sync",
    "W1001 10:11:12.000000       1 controller.go:114] sync",
    'IngressErrorCode{Code:"E40',
    'IngressErrorCode{Code:"E40091",Message:"x",Retry:false}',
    "Successfully assigned default/pod to node",
]


@pytest.mark.parametrize("text", NOTHING)
def test_what_is_no_code(text: str) -> None:
    assert mentions(text) == ()


@pytest.mark.parametrize("cut", range(len(TYPED)))
def test_a_message_may_be_cut_off_anywhere(cut: int) -> None:
    found = mentions(TYPED[:cut])
    whole = len('IngressErrorCode{Code:"E4009')
    assert [mention.code for mention in found] == (["E4009"] if cut >= whole else [])
    for mention in found:
        assert EMPTY.startswith(mention.message)
        assert mention.retry is (None if cut < len(TYPED) - 1 else False)


PIECES = st.sampled_from(
    [
        *("IngressErrorCode{", "ServiceErrorCode{", "Code:", "Message:", "Retry:", "true", "false"),
        *("E4009", '"E4010"', "W1001", "E40091", '"', "\\", "\\\\", '\\"', "{", "}", ",", ":"),
        *(" ", "\n", "\ud800", "住", "x", "Details:", "OriginError:"),
    ]
)


@given(st.text() | st.lists(PIECES, max_size=40).map("".join))
@example(TYPED)
def test_any_text_is_allowed(text: str) -> None:
    found = mentions(text)
    assert len(found) == len(set(found))
    # No character of a text is in two messages.
    assert sum(len(mention.message) + 5 for mention in found) <= len(text)
    for mention in found:
        assert re.fullmatch("[EW][0-9]{4}", mention.code)
        assert mention.code in text
        assert mention.retry in (None, True, False)
        assert look_up("Ingress", mention).title


@given(st.text(string.printable))
def test_a_quoted_message_is_read_as_it_was_written(message: str) -> None:
    escaped = message.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    text = f'a IngressErrorCode{{Code:"E4009",Message:"{escaped}",Retry:true}} E4010: b'
    assert mentions(text) == (Mention("E4009", message, True), Mention("E4010", "b", None))


HEADER = 'IngressErrorCode{Code:"E4009",Message:'
HOSTILE = {
    "codes": "E4009 ",
    "codes in a row": "E4009",
    "no codes": "E400 ",
    "openings": "IngressErrorCode{",
    "openings without message": 'IngressErrorCode{Code:"E4009"',
    "cut off in quotes": HEADER + '"',
    "cut off": HEADER,
    "unquoted": "IngressErrorCode{Code:E4009,Message:x",
    "unquoted, ended": "IngressErrorCode{Code:E4009,Message:x,Retry:true}",
    "escaped quotes": 'IngressErrorCode{Code:E4009,Message:\\"',
    "typed": TYPED,
    "backslashes": "\\",
    "quotes": '"',
    "blanks": " ",
    "commas": ",Retry:",
    "commas and blanks": ",  ",
    "braces": "{",
    "closing braces": "}",
    "separators": ".-:",
}


def seconds(text: str, size: int) -> float:
    many = text * (size // len(text))
    begin = time.process_time()
    for before in ("", HEADER, HEADER + '"', "IngressErrorCode", "E4009"):
        mentions(before + many)
    return time.process_time() - begin


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_time_is_linear_in_the_length(text: str) -> None:
    size = 20_000
    once = min(seconds(text, size) for run in range(3))
    # Quadratic would be 64 times.
    assert seconds(text, 8 * size) < 24 * once + 0.01
