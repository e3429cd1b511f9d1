# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The report as Markdown, for an issue or a chat; for CI as JUnit XML; for Prometheus.

Reasons, names and messages can hold what others wrote. In none of these texts do they end a line, a
cell or a quote, nor become markup.
"""

from __future__ import annotations

import re
import typing as t
from collections import Counter
from datetime import datetime
from xml.etree import ElementTree

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    VERDICTS,
    reservations,
    visible,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._report import (
    RESULTS,
    Document,
    further,
    places,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._summary import (
    NOT_RUN,
    is_diagnosis,
    worst,
)

Data = t.Mapping[str, t.Any]

PRESERVED = "preserved"
_ALL = (*VERDICTS, NOT_RUN)


# --- Markdown -------------------------------------------------------------------------------------


def markdown(found: Document) -> str:
    """A table of all clusters, then what mends those that aren't well, and each one's warnings."""
    results, run = found[RESULTS], found["run"]
    counts = Counter(one["verdict"] for one in results.values())
    names = [*dict.fromkeys(name for one in results.values() for name in places(one) if name)]
    told = [f"{counts[verdict]} {verdict}" for verdict in _ALL if counts[verdict]]
    versions = [f"{name} {version}" for name, version in run["versions"].items() if version]
    head = ["Cluster", "Verdict", *(f"From {_plain(name)}" for name in names), "Why"]
    lines = [
        f"## Client addresses: {', '.join(told)}",
        "",
        _plain(
            ", ".join([*([run["playbook"]] if run["playbook"] else []), run["time"], *versions])
        ),
        "",
        _row(head),
        _row(["---"] * len(head)),
        *(_row(_cells(host, one, names)) for host, one in results.items()),
    ]
    for host, one in results.items():
        if one.get("cause"):
            lines += ["", *_cause(host, one["cause"])]
        for text in _warnings(found, host):
            lines += ["", f"**{_plain(host)}**, warning: {_plain(text)}"]
    return "\n".join(lines) + "\n"


def _warnings(found: Document, host: str) -> list[str]:
    """Of what a host's verdict doesn't speak, once, wherever that was seen from."""
    probes = found["evidence"].get(host, {}).get("probes", {})
    seen = [text for probe in probes.values() for text in probe.get("warnings_found") or []]
    return [*dict.fromkeys([*seen, *further(found[RESULTS][host], probes)])]


def _row(cells: t.Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(host: str, one: Data, names: t.Iterable[str]) -> list[str]:
    there = one.get("vantages") or {}
    seen = [_plain(there[name]["verdict"]) if name in there else "not probed" for name in names]
    code = f"{one['code']} " if one.get("code") else ""
    return [_plain(host), f"**{_plain(one['verdict'])}**", *seen, _plain(f"{code}{one['reason']}")]


def _cause(host: str, cause: Data) -> list[str]:
    told = f"{cause['code']} {cause['object']}: {cause['cause']}"
    lines = [f"**{_plain(host)}**: {_plain(told)}", ""]
    if cause["fix_kind"] not in ("command", "variable"):
        return [*lines, f"What mends it: {_plain(cause['fix'])}"]
    text = visible(cause["fix"])
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return [*lines, fence, text, fence]


def _plain(text: object) -> str:
    """The text as itself: no markup, no link, and nobody is called by his name."""
    shown = re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", visible(text))
    # Links, names and issues are looked for in what was made of the text as well, but not in code.
    return re.sub(r"(?i)(?:://|(?<=www)[.]|[@#])+", r"`\g<0>`", shown)


# --- JUnit ----------------------------------------------------------------------------------------


def junit(found: Document) -> str:
    """A suite for each cluster, and in it a case for each vantage point.

    A bad verdict is a failure, whatever ``real_ip_accept`` holds; none at all is an error, unless
    none was asked for.
    """
    root = ElementTree.Element("testsuites", name="kestrel.real_ip")
    for host, one in found[RESULTS].items():
        cases = places(one)
        tags = Counter(_tag({**one, **case}) for case in cases.values())
        suite = _element(
            root,
            "testsuite",
            name=host,
            tests=len(cases),
            failures=tags["failure"],
            errors=tags["error"],
            skipped=tags["skipped"],
            time=0,
            timestamp=re.sub(r"[+]00:00$", "", str(one.get("time") or "")),
        )
        more = {worst(cases): further(one, cases)}
        for vantage, case in cases.items():
            told = [*(case.get("warnings_found") or []), *more.get(vantage, [])]
            shown = {"cause": one.get("cause"), **case, "warnings_found": told}
            _case(suite, host, vantage, shown)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _element(parent: ElementTree.Element, tag: str, **values: object) -> ElementTree.Element:
    shown = {name: visible(value) for name, value in values.items() if value != ""}
    return ElementTree.SubElement(parent, tag, shown)


def _tag(found: Data) -> str:
    """What a case has where it isn't preserved. A diagnosis draws no verdict, and that it names no
    cause is no error.
    """
    if found["verdict"] != NOT_RUN:
        return "failure" if found["verdict"] != PRESERVED else ""
    return "skipped" if is_diagnosis(found) and not found.get("cause") else "error"


def _case(suite: ElementTree.Element, host: str, vantage: str, found: Data) -> None:
    name = f"client address from {vantage}" if vantage else "client address"
    case = _element(suite, "testcase", classname=f"real_ip.{host}", name=name, time=0)
    warnings = [f"warning: {text}" for text in found.get("warnings_found") or []]
    if found["verdict"] == PRESERVED:
        # What it doesn't rest on stands in the reason.
        _element(case, "system-out").text = _lines([found["reason"], *warnings])
        return
    code = f" {found['code']}" if found.get("code") else ""
    cause = found["cause"]
    lines = [found["reason"]]
    if cause:
        lines += [f"{cause['code']} {cause['object']}: {cause['cause']}", cause["fix"]]
    bad = _element(
        case,
        _tag(found),
        type=f"{found['verdict']}{code}",
        message=f"{found['verdict']}: {lines[0]}",
    )
    bad.text = _lines(lines)
    if warnings:
        _element(case, "system-out").text = _lines(warnings)


def _lines(texts: t.Iterable[object]) -> str:
    return "\n".join(map(visible, texts))


# --- Prometheus -----------------------------------------------------------------------------------

_TIME = "real_ip_last_run_timestamp_seconds"
_METRICS = {
    "real_ip_verdict": "Whether this is the verdict of the cluster, 1 of one and 0 of all others.",
    "real_ip_vantage_verdict": "Whether this is the verdict from a vantage point.",
    "real_ip_code_info": "Code of the verdict and of its cause, always 1.",
    "real_ip_reservation_info": "What the verdict does not rest on, always 1.",
    "real_ip_warnings": "How many warnings stand beside the verdict.",
    _TIME: "When the cluster was looked at last.",
}


def is_newer(text: str, found: Data) -> bool:
    """Whether a file of metrics is of a later run than an entry."""
    before = re.search(rf"^{_TIME}{{.*}} (\d+)$", text, re.MULTILINE)
    when = _seconds(found.get("time"))
    return bool(before and when and int(before.group(1)) > when)


def prometheus(host: str, found: Data) -> str:
    """A cluster's metrics, for a file of the node exporter's textfile collector."""
    cluster = {"cluster": host}
    cause = (found.get("cause") or {}).get("code") or ""
    when = _seconds(found.get("time"))
    samples: dict[str, list[tuple[dict[str, str], int]]] = {
        "real_ip_verdict": _states(cluster, found),
        "real_ip_vantage_verdict": [
            sample
            for vantage, one in (found.get("vantages") or {}).items()
            for sample in _states({**cluster, "vantage": vantage}, one)
        ],
        "real_ip_code_info": [({**cluster, "code": found.get("code") or "", "cause": cause}, 1)],
        "real_ip_reservation_info": [
            ({**cluster, "reservation": one}, 1)
            for one in reservations(str(found.get("reason") or ""))
        ],
        "real_ip_warnings": [(cluster, len(found.get("warnings_found") or []))],
        _TIME: [(cluster, when)] if when else [],
    }
    lines = []
    for name, several in samples.items():
        if several:
            lines += [f"# HELP {name} {_METRICS[name]}", f"# TYPE {name} gauge"]
            lines += [f"{name}{{{_labels(labels)}}} {value}" for labels, value in several]
    return "\n".join(lines) + "\n"


def _states(labels: dict[str, str], found: Data) -> list[tuple[dict[str, str], int]]:
    return [({**labels, "verdict": one}, int(one == found["verdict"])) for one in _ALL]


def _labels(labels: t.Mapping[str, str]) -> str:
    quoted = {name: re.sub(r'(["\\])', r"\\\1", visible(value)) for name, value in labels.items()}
    return ",".join(f'{name}="{value}"' for name, value in quoted.items())


def _seconds(time: object) -> int | None:
    try:
        return int(datetime.fromisoformat(str(time)).timestamp())
    except ValueError:
        return None
