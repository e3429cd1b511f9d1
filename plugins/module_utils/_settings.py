# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The collection-wide variables ``real_ip_*``: one table that says what each may hold.

Role defaults, the preflight and the documentation all read this table, so that a survey string,
an inventory value and an extra variable are understood in the same way everywhere.
"""

from __future__ import annotations

import difflib
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import VERDICTS
from ansible_collections.kestrel.real_ip.plugins.module_utils._convert import (
    boolean,
    choice,
    dictionary,
    integer,
    kind_of,
    list_of,
    matching,
    object_name,
    plain_text,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import STRATEGIES
from ansible_collections.kestrel.real_ip.plugins.module_utils._echo import ECHO_FORMATS
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    DEFAULT_LANGUAGE,
    LANGUAGES,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import (
    ROWS,
    conflicts,
    variable,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._queries import NAMES
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import (
    DEFAULT_SCENARIO,
    INGRESS,
    SCENARIOS,
    TKE_CLASS,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._vantage import PLACES

# RFC 1123 label, as Kubernetes wants it for names of namespaces and Services
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
# What TKE accepts as the host of an Ingress rule (its error E4052): a dot, lower case
_HOST = re.compile(r"(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+\Z")


class SettingError(ValueError):
    """A variable holds what it must not hold. The text names the variable and the reason."""


def _annotations(value: t.Any) -> dict[str, str]:
    given = dictionary(value)
    for key, item in given.items():
        if not isinstance(item, str):
            raise ValueError(f"{key}: an annotation's value is text, got {kind_of(item)}: quote it")
    return {str(key): str(item) for key, item in given.items()}


def _queries(value: t.Any) -> dict[str, str]:
    given = dictionary(value)
    for key in given:
        if key not in NAMES:
            raise ValueError(f"expected one of {', '.join(NAMES)}, got {key!r}")
    # An empty one is one that isn't set, as for every other variable.
    texts = {str(key): plain_text(item) for key, item in given.items() if item is not None}
    return {key: text for key, text in texts.items() if text}


def _path(value: t.Any) -> str:
    text = plain_text(value)
    if not text.startswith("/"):
        raise ValueError(f"expected a path that starts with a slash, got {text!r}")
    return text


_ROOT = "/"


def _url(value: t.Any) -> str:
    text = plain_text(value)
    if not re.match(r"https?://[^/\s]", text):
        raise ValueError(f"expected a URL with http:// or https://, got {text!r}")
    return text


def _kubeconfig(value: t.Any) -> t.Any:
    # The client takes one without anything in it for none, and goes to the current context.
    if isinstance(value, Mapping) and not value:
        raise ValueError("expected a file, or what is in one, got an empty dictionary")
    return dict(value) if isinstance(value, Mapping) else plain_text(value)


def _documents(value: t.Any) -> list[str]:
    if isinstance(value, str) and not all(map(str.strip, value.split(","))):
        raise ValueError(f"expected files, got {value!r}, where one has no name")
    found = list_of(plain_text)(value)
    for one in found:
        if found.count(one) > 1:
            raise ValueError(f"expected each file once, got {one!r} twice")
    return found


@dataclass(frozen=True)
class Setting:
    """One variable.

    ``convert`` turns what a user, a survey or an inventory gives into the value (``ValueError``
    where it can't); ``default`` is what unset and the empty string stand for, ``by_scenario`` the
    field of the scenario that says so instead.
    """

    convert: t.Callable[[t.Any], t.Any]
    default: t.Any = None
    by_scenario: str = ""


_name = matching(_LABEL, "a DNS label (lower-case letters, digits, dashes)", 63)
# The longest suffix that is put behind the prefix is "-deployment".
_prefix = matching(_LABEL, "a DNS label (lower-case letters, digits, dashes)", 63 - 11)
_port = integer(1, 65535)
_USUAL = SCENARIOS[DEFAULT_SCENARIO]

SETTINGS: dict[str, Setting] = {
    "real_ip_scenario": Setting(choice(*SCENARIOS), DEFAULT_SCENARIO),
    "real_ip_namespace": Setting(_name, "kestrel-catchip"),
    "real_ip_name_prefix": Setting(_prefix, "real-ip"),
    "real_ip_image": Setting(
        plain_text, "test-angel01.tencentcloudcr.com/kestrelli/kestrel-seven-real-ip:v1.0"
    ),
    "real_ip_echo": Setting(choice("image", "bundled"), _USUAL.echo, "echo"),
    "real_ip_bundled_image": Setting(plain_text, "docker.io/library/python:3.13-slim"),
    "real_ip_image_pull_secrets": Setting(list_of(plain_text), []),
    "real_ip_eni": Setting(boolean, False),
    "real_ip_replicas": Setting(integer(1, 500), 2),
    "real_ip_container_port": Setting(_port, 5000),
    "real_ip_service_port": Setting(_port, 80),
    "real_ip_service_type": Setting(
        choice("NodePort", "LoadBalancer", "ClusterIP"), _USUAL.service_type, "service_type"
    ),
    "real_ip_direct_access": Setting(boolean, _USUAL.direct_access, "direct_access"),
    "real_ip_external_traffic_policy": Setting(
        choice("Cluster", "Local"), _USUAL.external_traffic_policy, "external_traffic_policy"
    ),
    "real_ip_ingress_class": Setting(matching(_LABEL, "an ingress class name", 63), TKE_CLASS),
    "real_ip_ingress_annotations": Setting(_annotations, {}),
    "real_ip_service_annotations": Setting(_annotations, {}),
    **{variable(name): Setting(row.checked) for name, row in ROWS.items()},
    "real_ip_host": Setting(matching(_HOST, "a host name in lower case with a dot", 253), None),
    "real_ip_path": Setting(_path, _ROOT),
    "real_ip_url": Setting(_url, None),
    "real_ip_expected_source": Setting(list_of(plain_text), []),
    "real_ip_expected_source_url": Setting(_url, None),
    "real_ip_layer": Setting(choice("l7", "l4"), _USUAL.layer, "layer"),
    "real_ip_vantage": Setting(choice(*PLACES), "auto"),
    "real_ip_strategy": Setting(choice(*STRATEGIES), None),
    "real_ip_header": Setting(plain_text, None),
    "real_ip_trusted_count": Setting(integer(1, 100), None),
    "real_ip_trusted_ranges": Setting(list_of(plain_text), []),
    "real_ip_forge": Setting(boolean, True),
    "real_ip_address_family": Setting(choice("any", "ipv4", "ipv6"), "any"),
    "real_ip_echo_format": Setting(choice(*ECHO_FORMATS), "auto"),
    "real_ip_echo_queries": Setting(_queries, {}),
    "real_ip_validate_certs": Setting(boolean, True),
    "real_ip_ca_path": Setting(plain_text, None),
    "real_ip_samples": Setting(integer(1, 10000), 10),
    "real_ip_max_samples": Setting(integer(1, 10000), 200),
    "real_ip_accept": Setting(list_of(choice(*VERDICTS)), ["preserved"]),
    "real_ip_wait_timeout": Setting(integer(1, 86400), 300),
    "real_ip_ingress": Setting(object_name, None),
    "real_ip_service": Setting(object_name, None),
    "real_ip_adopt": Setting(boolean, False),
    "real_ip_ephemeral": Setting(boolean, False),
    "real_ip_manage_cluster_switches": Setting(boolean, False),
    "real_ip_show_logs": Setting(boolean, False),
    "real_ip_require_tls": Setting(boolean, False),
    "real_ip_report_dir": Setting(plain_text, None),
    "real_ip_before": Setting(plain_text, None),
    "real_ip_after": Setting(plain_text, None),
    "real_ip_documents": Setting(_documents, []),
    "real_ip_code": Setting(plain_text, None),
    "real_ip_language": Setting(choice(*LANGUAGES), DEFAULT_LANGUAGE),
    "real_ip_kubeconfig": Setting(_kubeconfig, None),
    "real_ip_context": Setting(plain_text, None),
    "real_ip_api_host": Setting(_url, None),
    "real_ip_api_key": Setting(plain_text, None),
}

# Known names that are no settings: what a run publishes may come back as a variable (AWX hands
# the artifacts of one workflow node to the next).
_PUBLISHED = ("real_ip_results", "real_ip_event")
_REFUSED = {
    "real_ip_state": "run the playbook kestrel.real_ip.teardown to remove the deployment, "
    "or set <role>_state where a role is used alone",
}


def value_of(name: str, given: t.Any, scenario: t.Any = None) -> t.Any:
    """The value of the variable ``name`` for what was given.

    ``None`` and the empty string give the default; 0 and false are values. ``scenario``: what was
    given for ``real_ip_scenario``, on which some defaults depend. Raises ``SettingError``, which
    names the variable, for anything that the table does not allow.
    """
    setting = SETTINGS.get(name)
    if setting is None:
        raise SettingError(f"{name}: no such variable{_suggestion(name)}")
    if given is None or (isinstance(given, str) and not given.strip()):
        if not setting.by_scenario:
            return setting.default
        return getattr(SCENARIOS[value_of("real_ip_scenario", scenario)], setting.by_scenario)
    try:
        return setting.convert(given)
    except ValueError as error:
        raise SettingError(f"{name}: {error}") from None


def values_of(given: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The values of all variables. Raises ``SettingError``."""
    scenario = given.get("real_ip_scenario")
    return {name: value_of(name, given.get(name), scenario) for name in SETTINGS}


def problems(given: Mapping[str, t.Any]) -> list[str]:
    """Everything that is wrong with the ``real_ip_*`` variables of a host, a sentence each."""
    found = []
    for name in sorted(given):
        if name in _REFUSED:
            found.append(f"{name}: refused: {_REFUSED[name]}")
        elif name not in _PUBLISHED:
            try:
                value_of(name, given[name])
            except SettingError as error:
                found.append(str(error))
    return found or _contradictions(values_of(given))


_BEGINNING = re.compile("^realip_")


def misspelt(names: t.Iterable[str]) -> list[str]:
    """What is wrong with variables that nobody reads, and whose names are as those of this
    collection but for case, hyphens and a ``realip``. Those of others may begin like that.
    """
    meant = {name: _BEGINNING.sub("real_ip_", name.lower().replace("-", "_")) for name in names}
    return [
        f"{name}: no such variable: did you mean {meant[name]}?"
        for name in sorted(meant)
        if meant[name] != name and meant[name] in SETTINGS
    ]


#: Names under which somebody may write variables as in an inventory, or without what they begin by
_NESTS = ("vars", "all", "ungrouped", "hosts", "children", "real_ip", "realip")


def nested(variables: Mapping[str, t.Any]) -> list[str]:
    """What is wrong with variables that stand within another one, where nobody reads them: those
    that a host has in no other way, whatever name they have there.
    """
    return [
        f"{nest}: {name} stands within it, where nobody reads it: expected it by itself"
        for nest in _NESTS
        for name in sorted({*_within(variables.get(nest))})
        if name not in variables
    ]


def _within(value: t.Any) -> t.Iterator[str]:
    if not isinstance(value, Mapping):
        return
    for key, one in value.items():
        yield from (name for name in (str(key), f"real_ip_{key}") if name in SETTINGS)
        yield from _within(one)


def _contradictions(values: Mapping[str, t.Any]) -> list[str]:
    found = []
    wanted = values["real_ip_ingress_class"]
    annotated = values["real_ip_ingress_annotations"].get("kubernetes.io/ingress.class", wanted)
    if annotated != wanted:
        found.append(
            f"real_ip_ingress_class: {wanted!r} contradicts the annotation kubernetes.io/"
            f"ingress.class: {annotated!r} in real_ip_ingress_annotations: keep one of them"
        )
    scenario, kind = values["real_ip_scenario"], values["real_ip_service_type"]
    front = SCENARIOS[scenario].front
    if front != INGRESS and kind != "LoadBalancer":
        found.append(
            f"real_ip_service_type: {kind!r} has no load balancer, and real_ip_scenario: "
            f"{scenario!r} has nothing else in front: leave it unset"
        )
    if values["real_ip_direct_access"] and not SCENARIOS[scenario].tke:
        found.append(
            f"real_ip_direct_access: an annotation of TKE, and real_ip_scenario: {scenario!r} "
            "writes none: leave it unset, or name a scenario of TKE"
        )
    to_nodes = wanted == TKE_CLASS and not values["real_ip_direct_access"]
    if front == INGRESS and kind == "ClusterIP" and to_nodes:
        found.append(
            "real_ip_service_type: 'ClusterIP' has no node port, which the load balancer sends to "
            "(TKE's error E4047): set real_ip_direct_access: true, or leave it unset"
        )
    if kind == "ClusterIP" and values["real_ip_external_traffic_policy"]:
        found.append(
            "real_ip_external_traffic_policy: means nothing with real_ip_service_type: 'ClusterIP'"
            ": leave one of them unset"
        )
    if (values["real_ip_echo_format"] == "jmespath") != bool(values["real_ip_echo_queries"]):
        found.append(
            "real_ip_echo_queries: goes with real_ip_echo_format: jmespath, and neither without "
            "the other"
        )
    if values["real_ip_samples"] > values["real_ip_max_samples"]:
        found.append(
            f"real_ip_samples: {values['real_ip_samples']} is more than real_ip_max_samples: "
            f"{values['real_ip_max_samples']}"
        )
    url, path = values["real_ip_url"], values["real_ip_path"]
    if url and path != _ROOT and "/" not in url.partition("://")[2]:
        found.append(
            f"real_ip_url: {url!r} has no path, and is asked for as it stands, without "
            f"real_ip_path: {path!r}: expected one, a slash where the root is meant"
        )
    found += conflicts(front, values)
    if values["real_ip_api_key"] and not values["real_ip_api_host"]:
        found.append("real_ip_api_key: set real_ip_api_host as well: a token needs a server")
    return found


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, [*SETTINGS, *_PUBLISHED], n=1, cutoff=0.75)
    return f": did you mean {close[0]}?" if close else ""
