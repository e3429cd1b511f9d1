# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The shape of a run's document: a JSON Schema, published as ``docs/report.schema.json``.

The one home of that shape. What is written is cut to it, so that nothing gets into a report that
isn't named here, and what is read is held to it by :func:`mismatch`, which knows the few keywords
that the schema uses: the library ``jsonschema`` is none of the collection's requirements.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    UNTESTED,
    VERDICTS,
    printable,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import NOT_RUN

Schema = t.Mapping[str, t.Any]

#: What marks a document. The number grows where a reader of an older one would be misled.
FORMAT = "kestrel.real_ip/report/1"

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NONE: Schema = {"type": ["string", "null"]}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_TEXTS_OR_NONE: Schema = {"type": ["array", "null"], "items": _TEXT_OR_NONE}
_COUNTS: Schema = {"type": "object", "additionalProperties": _COUNT}
_VERSIONS: Schema = {"type": "object", "additionalProperties": _TEXT_OR_NONE}
_TEXTS_BY_NAME: Schema = {"type": "object", "additionalProperties": _TEXT}


def _object(required: str, /, **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _each(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _named(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


def _definition(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


_DOUBT: Schema = {
    **_object("verdict code reason", verdict={"enum": [*VERDICTS]}, code=_TEXT, reason=_TEXT),
    "type": ["object", "null"],
    "description": "What honest requests alone would say, where a forgeable hides that",
}

_DECLARED: Schema = {
    "type": "array",
    "items": {"type": "object"},
    "description": "What the verdict holds for, as it was declared: layer, strategy and what that "
    "looks at; one, unless targets are on different layers",
}

#: What was seen of one address, or of all of them together
_SEEN: dict[str, Schema] = {
    "address": _TEXT_OR_NONE,
    "code": _TEXT_OR_NONE,
    "reason": _TEXT,
    "fix": _TEXT_OR_NONE,
    "warnings_found": _TEXTS,
    "expected": _TEXTS,
    "expected_from": _TEXT_OR_NONE,
    "observed": _COUNTS,
    "coverage": _TEXT,
    "backends": _each(_definition("backend")),
    "forgery": _TEXTS_BY_NAME,
    "safe_strategy": {"type": ["object", "null"]},
    "doubt": _DOUBT,
    "load_balancer_headers": _TEXTS,
}

SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "What a run of kestrel.real_ip found",
    "description": "Members that stand in no list of properties may come with any release.",
    **_object(
        "format run real_ip_results evidence",
        format={"const": FORMAT},
        run=_object(
            "playbook time versions",
            playbook={
                **_TEXT,
                "description": "site, verify, diagnose; merge_results where documents were merged",
            },
            time={**_TEXT, "description": "When it was written, ISO 8601 in UTC"},
            versions=_VERSIONS,
            merged={
                **_each(_object("file", file=_TEXT, playbook=_TEXT_OR_NONE, time=_TEXT_OR_NONE)),
                "description": "The documents that this one was made of",
            },
        ),
        real_ip_results={
            **_named(_definition("entry")),
            "description": "Host to what set_stats publishes of it, the worst first",
        },
        evidence={
            **_named(_definition("evidence")),
            "description": "Host to what its entry rests on",
        },
    ),
    "$defs": {
        "entry": _object(
            "verdict reason",
            verdict={"enum": [*VERDICTS, NOT_RUN]},
            code=_TEXT_OR_NONE,
            reason=_TEXT,
            expected=_TEXTS_OR_NONE,
            expected_from=_TEXT_OR_NONE,
            observed={**_COUNTS, "type": ["object", "null"]},
            address=_TEXTS_OR_NONE,
            url=_TEXTS_OR_NONE,
            by_verdict={
                **_named(
                    _object(
                        "reason",
                        count=_COUNT,
                        addresses=_TEXTS_OR_NONE,
                        code=_TEXT_OR_NONE,
                        reason=_TEXT,
                        doubt=_DOUBT,
                    )
                ),
                "description": "Verdict, or untested, to how many addresses have it, a few of "
                "them, and what is said of the first",
            },
            vantage=_TEXT_OR_NONE,
            declared=_DECLARED,
            warnings_found={
                **_TEXTS,
                "description": "What is worth saying beside the verdict; those of other vantage "
                "points than the one that decides name theirs",
            },
            doubt=_DOUBT,
            time=_TEXT,
            versions=_VERSIONS,
            deployment={
                **_TEXT_OR_NONE,
                "description": "Which one it is: cluster, namespace, prefix of names",
            },
            cause={
                **_object(
                    "code object cause fix fix_kind",
                    **dict.fromkeys(("code", "object", "cause", "fix", "fix_kind"), _TEXT),
                ),
                "type": ["object", "null"],
            },
            diagnosed={**_FLAG, "description": "Nothing but a diagnosis was asked for"},
            arrives={**_FLAG, "description": "Of a diagnosis: the expected address was seen"},
            vantages=_named(_definition("entry")),
            verifications=_each(_definition("entry")),
        ),
        "evidence": _object(
            "probes path findings",
            probes={
                **_named(_definition("probe")),
                "description": "Vantage point to its probe; the empty name is the controller",
            },
            path=_each(_object("hop objects broken", hop=_TEXT, objects=_TEXTS, broken=_FLAG)),
            findings=_each(
                _object(
                    "code severity title object hop evidence cause fix fix_kind",
                    **dict.fromkeys(
                        (
                            *("code", "severity", "title", "object", "hop", "evidence"),
                            *("cause", "fix", "fix_kind", "see", "link"),
                        ),
                        _TEXT,
                    ),
                )
            ),
        ),
        "probe": _object(
            "verdict reason",
            verdict={
                "enum": [*VERDICTS],
                "description": "What the probe alone would say. The entry decides: a later step "
                "can have taken it back",
            },
            **_SEEN,
            declared=_DECLARED,
            vantage=_TEXT_OR_NONE,
            vantage_checked=_FLAG,
            network={**_TEXT, "description": "What tells the network probed from from any other"},
            requests=_object(
                "",
                planned=_COUNT,
                sent=_COUNT,
                forged=_COUNT,
                answered=_COUNT,
                unanswered=_COUNTS,
            ),
            bypass=_each(
                _object(
                    "way address",
                    way=_TEXT,
                    address=_TEXT,
                    port=_COUNT,
                    host_header=_TEXT,
                    path=_TEXT,
                    tls={"type": "boolean"},
                    reachable={"type": ["boolean", "null"]},
                    vantage=_TEXT_OR_NONE,
                )
            ),
            targets=_each(
                _object(
                    "verdict",
                    name=_TEXT_OR_NONE,
                    url=_TEXT_OR_NONE,
                    verdict={"enum": [*VERDICTS, UNTESTED]},
                    **_SEEN,
                )
            ),
        ),
        "backend": _object(
            "",
            name=_TEXT_OR_NONE,
            node=_TEXT_OR_NONE,
            answers=_COUNT,
            observed=_COUNTS,
            peers=_COUNTS,
            headers=_named(_TEXTS),
        ),
    },
}

_KINDS: Mapping[str, t.Callable[[t.Any], bool]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, Sequence) and not isinstance(value, (str, bytes)),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def _resolved(schema: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    return found


def _kinds(schema: Schema) -> Sequence[str]:
    kind = schema.get("type", ())
    return [kind] if isinstance(kind, str) else [*kind]


def _members(value: t.Any, schema: Schema) -> t.Iterator[tuple[str, t.Any, Schema]]:
    """Place, value and schema of each part that the schema says something of."""
    if _KINDS["object"](value):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, part in value.items():
            known = properties.get(name, others)
            if known is not None:
                yield f".{printable(name, 80)}", part, known
    elif _KINDS["array"](value) and "items" in schema:
        for number, part in enumerate(value):
            yield f"[{number}]", part, schema["items"]


def mismatch(value: t.Any, schema: Schema = SCHEMA, place: str = "") -> str | None:
    """Where ``value`` isn't what the schema says, what is expected there; None where it fits."""
    schema = _resolved(schema)
    here = place.lstrip(".") or "the document"
    kinds = _kinds(schema)
    if kinds and not any(_KINDS[kind](value) for kind in kinds):
        return f"{here}: expected {' or '.join(kinds)}, got {printable(repr(value), 80)}"
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if allowed is not None and value not in allowed:
        expected = ", ".join(map(str, allowed))
        return f"{here}: expected {expected}, got {printable(repr(value), 80)}"
    if _KINDS["object"](value):
        missing = [name for name in schema.get("required", ()) if name not in value]
        if missing:
            return f"{here}: expected the member {missing[0]}, and it is missing"
        odd = [name for name in value if not isinstance(name, str)]
        if odd:
            return f"{here}: expected names that are text, got {printable(repr(odd[0]), 80)}"
    found = (mismatch(part, known, place + name) for name, part, known in _members(value, schema))
    return next((text for text in found if text), None)


def shaped(value: t.Any, name: str) -> t.Any:
    """``value`` with only those members that the definition ``name`` has, as plain data.

    A member that the schema says no more of than that it is an object keeps what it has.
    """
    return _shaped(value, SCHEMA["$defs"][name])


def _shaped(value: t.Any, schema: Schema) -> t.Any:
    schema = _resolved(schema)
    if _KINDS["object"](value):
        properties, others = schema.get("properties"), schema.get("additionalProperties")
        if properties is None and others is None:
            return dict(value)
        known = ((name, part, (properties or {}).get(name, others)) for name, part in value.items())
        return {name: _shaped(part, one) for name, part, one in known if one is not None}
    if _KINDS["array"](value):
        return [_shaped(part, schema.get("items", {})) for part in value]
    return value
