#!/usr/bin/python

# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look before anything is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Say which cluster a run will touch, and whether it can
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Finds the cluster, its version and its identity, and asks it whether the credentials may do
    all that O(purposes) need.
  - Finds what other settings have left of this deployment, RV(former), and whether it may be
    removed.
  - Fails with one sentence where there is no kubeconfig or context, no answer, a version that is
    too old, or a right missing.
  - Fails as well where an Ingress or a Service has its load balancer, and the run would change
    what TKE looks at only when it makes one.
  - A task of this name runs an action plugin. It first refuses wrong values and wrong names of
    the variables C(real_ip_*),
    and in the end prints the cluster in one line.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - kestrel.real_ip.attributes
  - kestrel.real_ip.attributes.read_only
attributes:
  action_group:
    support: full
options:
  namespace:
    description:
      - The namespace that the run works in. It need not exist.
      - If not set, the value or the default of the variable C(real_ip_namespace).
    type: str
  name_prefix:
    description:
      - The prefix of the names of the deployment's objects.
      - If not set, the value or the default of the variable C(real_ip_name_prefix).
    type: str
  echo:
    description:
      - Which echo app is deployed. V(bundled) needs rights on ConfigMaps as well.
      - If not set, the value or the default of the variable C(real_ip_echo).
    type: str
    choices: [image, bundled]
  scenario:
    description:
      - How the load balancer reaches the pods.
      - If not set, the value or the default of the variable C(real_ip_scenario).
    type: str
    choices:
      - gr-clb-non-direct-pod
      - eni-clb-non-direct-pod
      - gr-clb-direct-pod
      - eni-clb-direct-pod
      - super-clb-direct-pod
      - load-balancer-service
    default: gr-clb-non-direct-pod
  load_balancer:
    description:
      - What of the object that is to have the load balancer says how that is made. Its kind and
        name, its annotations, and its class or type. Looked at to V(deploy).
      - If not set, as the variables C(real_ip_*) say it.
    type: dict
  named:
    description:
      - What the variables C(real_ip_*) name of the load balancer and the way to the pods, by their
        names without C(real_ip_). What is there has to be that where O(way) is read, since the
        verdict would be of another load balancer, listener or way than was named.
      - If not set, what the variables say where O(purposes) has V(verify) and not V(deploy).
    type: dict
    default: {}
  certificate:
    description:
      - Whether a Secret is applied for a certificate, which needs rights on Secrets.
      - If not set, whether the variable C(real_ip_qcloud_cert_id) is.
    type: bool
    default: false
  direct_access:
    description:
      - Whether the load balancer sends to pods rather than to node ports.
      - If not set, the value or the default of the variable C(real_ip_direct_access).
    type: bool
    default: false
  manage_cluster_switches:
    description:
      - Whether TKE's switches for the whole cluster may be changed where O(scenario) needs it.
      - If not set, the value or the default of the variable C(real_ip_manage_cluster_switches).
    type: bool
    default: false
  ephemeral:
    description:
      - Whether the run removes in its end what it deploys, which needs the rights of a teardown. A
        deployment that is there already and is to stay is refused.
      - Means nothing unless O(purposes) has both V(deploy) and V(verify).
      - If not set, the value or the default of the variable C(real_ip_ephemeral).
    type: bool
    default: false
  require_tls:
    description:
      - Whether to fail, before anything is sent, where the API server's certificate isn't verified
        or the connection isn't encrypted. Without it that is a warning.
      - If not set, the value or the default of the variable C(real_ip_require_tls).
    type: bool
    default: false
  way:
    description:
      - What to read where nothing is missing, as M(kestrel.real_ip.path_addresses_info) does. That
        saves a task of its own.
      - If not set, the way of the deployment where O(purposes) has V(verify) and not V(deploy).
    type: dict
    suboptions:
      ingress:
        description: The Ingress in front. Without it the Service is in front.
        type: str
      service:
        description: The Service.
        type: str
        required: true
      request_host:
        description: The host name of the Ingress rule.
        type: str
        default: ''
      path:
        description: The path to request.
        type: str
        default: /
      url:
        description: What is asked instead of the addresses of what is in front, if anything.
        type: str
        default: ''
      layer:
        description:
          - Which evidence decides. With V(l7), ways around a Service in front are looked for too,
            as around O(way.ingress), since whoever gets past it writes the headers himself.
        type: str
        choices: [l7, l4]
        default: l7
  purposes:
    description: What the run is going to do.
    type: list
    elements: str
    choices: [deploy, verify, diagnose, teardown]
    required: true
requirements:
  - kubernetes >= 24.2.0
"""

EXAMPLES = r"""
- name: See that the cluster can be used
  kestrel.real_ip.preflight:
    namespace: kestrel-catchip
    name_prefix: real-ip
    purposes: [deploy, verify]
"""

RETURN = r"""
server:
  description: The URL of the API server.
  returned: success
  type: str
context:
  description: The context of the kubeconfig, V(none) where the connection doesn't come from one.
  returned: success
  type: str
kubeconfig:
  description: The path of the kubeconfig that was named, V(none) where none was, or its contents.
  returned: success
  type: str
lasting_context:
  description: The same as RV(context), for what comes later in RV(play), also where somebody makes
    another one the current context meanwhile. V(none) where the environment's C(K8S_AUTH_*) lead to
    the cluster.
  returned: success
  type: str
play:
  description: What tells the play of the task from the others of a run.
  returned: success, with RV(lasting_context)
  type: str
version:
  description: The version of Kubernetes.
  returned: success
  type: str
  sample: v1.36.3
cluster:
  description: What identifies the cluster, the UID of its namespace C(kube-system), or RV(server)
    where that can't be read.
  returned: success
  type: str
deployment:
  description: RV(cluster), namespace and name prefix in one text; two hosts with the same one
    would share one deployment.
  returned: success
  type: str
namespace:
  description: The namespace.
  returned: success
  type: str
name_prefix:
  description: The prefix of the names.
  returned: success
  type: str
front:
  description: The kind whose load balancer clients talk to, V(Ingress) or V(Service).
  returned: success
  type: str
ingress:
  description: The name of the Ingress, empty where RV(front) is a Service.
  returned: success
  type: str
former:
  description:
    - What other settings of this deployment have needed, is still there and isn't needed any more.
    - What may not be read is left out, with a warning.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: The kind, V(Ingress) or V(ConfigMap).
      type: str
    name:
      description: The name.
      type: str
ephemeral:
  description: Whether the run removes in its end what it deploys.
  returned: success
  type: bool
switches:
  description:
    - TKE's switches for the whole cluster about direct access, V(none) for one that isn't set.
    - Empty on another provider's cluster, and where they mustn't be read.
  returned: success
  type: dict
  sample: {GlobalRouteDirectAccess: "true", EnableDefaultDirectAccess: "true"}
switches_wanted:
  description: What O(scenario) needs of them.
  returned: success
  type: dict
  sample: {GlobalRouteDirectAccess: "true"}
switches_managed:
  description: Whether the run changes them, or has to put back what an earlier one changed.
  returned: success
  type: bool
purposes:
  description: As given.
  returned: success
  type: list
  elements: str
had_certificate:
  description: Whether the Ingress of a former run uses the Secret that was applied for a
    certificate. Not looked for where the run neither deploys nor tears down.
  returned: success
  type: bool
namespace_exists:
  description: Whether the namespace exists already.
  returned: success
  type: bool
way:
  description: What M(kestrel.real_ip.path_addresses_info) returns.
  returned: success, with O(way)
  type: dict
"""

import os
import typing as t
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import (
    Cluster,
    ClusterError,
    contexts_of,
    open_module,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import (
    certificate_name,
    unchangeable,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._named import differing
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import (
    EPHEMERAL,
    is_ours,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import paths_of
from ansible_collections.kestrel.real_ip.plugins.module_utils._rights import (
    ABSENT,
    ANOTHERS,
    OURS,
    SWITCHES,
    Former,
    Right,
    former,
    needed,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import (
    DEFAULT_SCENARIO,
    INGRESS,
    SCENARIOS,
    SERVICE,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import OLDEST, version_of
from ansible_collections.kestrel.real_ip.plugins.module_utils._switches import (
    MISSING,
    REPORTED,
    SETTINGS_PATH,
    RecordError,
    recorded,
    unmet,
    uses,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._way import OPTIONS, read_way

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def check_version(answer: t.Mapping[str, t.Any], server: str) -> str:
    """The server's version. Raises ClusterError where it is none, or too old."""
    version = version_of(answer)
    text = str(answer.get("gitVersion", ""))
    if version is None:
        raise ClusterError(
            f"{server} answers, but not as a Kubernetes API server: no version in /version"
        )
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ClusterError(f"Kubernetes {text} at {server} is too old: {oldest} or newer is needed")
    return text


def missing_rights(cluster: Cluster, rights: t.Sequence[Right], namespace: str) -> list[Right]:
    """Those of ``rights`` that the API server does not grant. Raises ClusterError."""

    def allowed(right: Right) -> bool:
        answer = cluster.request("post", REVIEWS, body=right.review(namespace))
        return bool(answer.get("status", {}).get("allowed"))

    with ThreadPoolExecutor(max_workers=8) as pool:
        return [right for right, granted in zip(rights, pool.map(allowed, rights)) if not granted]


def readable(cluster: Cluster, *paths: str) -> dict[str, t.Any] | None:
    """An object, from the first of several APIs that the server has, or None where it doesn't exist
    or mustn't be read. Raises ClusterError.
    """
    try:
        return cluster.find_first(paths)
    except ClusterError as error:
        if error.status == 403:
            return None
        raise


def called(
    cluster: Cluster, namespace: str, name_prefix: str, kind: str
) -> dict[str, t.Any] | None:
    """The object that is called as the deployment's, whosever it is. Raises ClusterError."""
    return readable(cluster, *paths_of(kind, namespace, f"{name_prefix}-{kind.lower()}"))


def existing(
    cluster: Cluster, namespace: str, name_prefix: str, kind: str
) -> dict[str, t.Any] | None:
    """The deployment's object of a kind, or None without one that is ours. Raises ClusterError."""
    found = called(cluster, namespace, name_prefix, kind)
    return found if found and is_ours(found, name_prefix) else None


def uses_certificate(ingress: t.Mapping[str, t.Any] | None, name_prefix: str) -> bool:
    """Does an Ingress name the Secret that is made for a certificate's id?"""
    entries = (ingress or {}).get("spec", {}).get("tls") or []
    return certificate_name(name_prefix) in [one.get("secretName") for one in entries]


def state_of_namespace(cluster: Cluster, namespace: str, prefix: str) -> str:
    """Whose the namespace is; one that may not be read is there, and another's."""
    try:
        found = cluster.find(f"/api/v1/namespaces/{namespace}")
    except ClusterError as error:
        if error.status != 403:
            raise
        return ANOTHERS
    return ABSENT if found is None else OURS if is_ours(found, prefix) else ANOTHERS


def left_over(
    cluster: Cluster, candidates: t.Iterable[Former], namespace: str, prefix: str
) -> tuple[dict[str, Former], list[Right]]:
    """What of ``candidates`` is there and ours, by name, and the rights that it takes to see more.

    Raises ClusterError.
    """
    found, unseen = {}, []
    for one in candidates:
        name = f"{prefix}-{one.ending}"
        try:
            there = cluster.find_first(paths_of(one.kind, namespace, name))
        except ClusterError as error:
            if error.status != 403:
                raise
            unseen.append(one.right("get"))
        else:
            if there and is_ours(there, prefix):
                found[name] = one
    return found, unseen


def switches(
    config: t.Mapping[str, t.Any] | None,
    params: t.Mapping[str, t.Any],
    warn: t.Callable[[str], None],
) -> dict[str, t.Any]:
    """What is returned of TKE's switches; ``config``: their ConfigMap, where it can be read."""
    data = (config or {}).get("data") or {}
    wanted: dict[str, str] = {}
    if "deploy" in params["purposes"] and params["direct_access"]:
        wanted = dict(SCENARIOS[params["scenario"]].switches)
    changing = {"deploy", "teardown"} & {*params["purposes"]}
    managed = bool(wanted) and params["manage_cluster_switches"]
    try:
        record = recorded(config or {})
        used = uses(record, f"{params['namespace']}/{params['name_prefix']}")
        managed = managed or bool(changing and used)
    except RecordError as error:
        warn(f"What was changed of TKE's switches isn't known: {error}")
    if config and not managed:
        for text in unmet(data, wanted):
            warn(text)
    return {
        "switches": {one: data.get(one) for one in REPORTED} if config else {},
        "switches_wanted": wanted,
        "switches_managed": managed,
    }


def refuse_lasting(cluster: Cluster, params: t.Mapping[str, t.Any]) -> None:
    """Raises ClusterError where the deployment is there already, and to stay."""
    namespace, prefix = params["namespace"], params["name_prefix"]
    name = f"{prefix}-deployment"
    found = existing(cluster, namespace, prefix, "Deployment")
    if found and EPHEMERAL not in (found["metadata"].get("annotations") or {}):
        raise ClusterError(
            f"real_ip_ephemeral: Deployment {name} in the namespace {namespace} was deployed to "
            "stay, and would be removed in the end. Nothing was changed. Next: set "
            "real_ip_name_prefix or real_ip_namespace to names of this run's own, or run the "
            "playbook kestrel.real_ip.teardown first"
        )


def refuse_another(cluster: Cluster, params: t.Mapping[str, t.Any], kind: str) -> None:
    """Raises ClusterError where what is there isn't what is named; ``kind``: what is in front."""
    namespace, prefix, named = params["namespace"], params["name_prefix"], params["named"]
    if not named or not params["way"]:
        return
    found = {one: called(cluster, namespace, prefix, one) for one in dict.fromkeys((kind, SERVICE))}
    asked = params["way"]["request_host"], params["way"]["path"]
    told = differing(kind, found[kind], found[SERVICE], asked, named)
    if told:
        raise ClusterError(
            f"{kind} {prefix}-{kind.lower()} in the namespace {namespace} isn't as the variables "
            f"say, and the verdict would be of what is there: {told}. Nothing was changed. Next: "
            "ansible-playbook kestrel.real_ip.site, or leave these variables out"
        )


def main() -> None:
    """Entry point."""
    module = open_module(
        {
            "namespace": {"type": "str"},
            "name_prefix": {"type": "str"},
            "echo": {"type": "str", "choices": ["image", "bundled"]},
            "scenario": {"type": "str", "choices": list(SCENARIOS), "default": DEFAULT_SCENARIO},
            "load_balancer": {"type": "dict"},
            "named": {"type": "dict", "default": {}},
            "certificate": {"type": "bool", "default": False},
            "direct_access": {"type": "bool", "default": False},
            "manage_cluster_switches": {"type": "bool", "default": False},
            "ephemeral": {"type": "bool", "default": False},
            "require_tls": {"type": "bool", "default": False},
            "way": {"type": "dict", "options": OPTIONS},
            "purposes": {
                "type": "list",
                "elements": "str",
                "choices": ["deploy", "verify", "diagnose", "teardown"],
                "required": True,
            },
        }
    )
    namespace, prefix = module.params["namespace"], module.params["name_prefix"]
    purposes, echo = module.params["purposes"], module.params["echo"]
    front = SCENARIOS[module.params["scenario"]].front
    ephemeral = module.params["ephemeral"] and {"deploy", "verify"} <= {*purposes}
    try:
        cluster = Cluster(module, require_tls=module.params["require_tls"])
        if cluster.unverified:
            module.warn(cluster.unverified)
        version = check_version(cluster.get("/version"), cluster.server)
        state = state_of_namespace(cluster, namespace, prefix)
        candidates = [] if state == ABSENT or "deploy" not in purposes else former(echo, front)
        left, unseen = left_over(cluster, candidates, namespace, prefix)
        named = partial(existing, cluster, namespace, prefix)
        ingress = named(INGRESS) if {"deploy", "teardown"} & {*purposes} else None
        certificate, had_certificate = (
            module.params["certificate"],
            uses_certificate(ingress, prefix),
        )
        needs = [*purposes, "teardown"] if ephemeral else purposes
        group = cluster.ingress_api().partition("/")[0]
        rights = needed(
            *(needs, state, echo, front, left.values()),
            *(certificate, had_certificate, group),
        )
        settings = readable(cluster, SETTINGS_PATH)
        found = switches(settings, module.params, module.warn)
        if found["switches_managed"]:
            rights += SWITCHES
        missing = missing_rights(cluster, rights, namespace)
        if missing:
            names = ", ".join(str(right) for right in missing)
            raise ClusterError(
                f"Rights are missing in the namespace {namespace} at {cluster.server}: {names}. "
                f"Nothing was changed. Next: kubectl auth can-i --list -n {namespace}"
            )
        if found["switches_managed"] and settings is None:
            raise ClusterError(MISSING)
        if ephemeral:
            refuse_lasting(cluster, module.params)
        wanted = module.params["load_balancer"]
        if wanted and "deploy" in purposes:
            before = ingress if front == INGRESS else named(front)
            reason = unchangeable(before, wanted) if before else ""
            if reason:
                raise ClusterError(f"Nothing was changed. {reason}")
        system = readable(cluster, "/api/v1/namespaces/kube-system")
        asked = module.params["way"]
        refuse_another(cluster, module.params, front)
        way = {"way": read_way(cluster, namespace, asked)} if asked else {}
    except ClusterError as error:
        module.fail_json(msg=str(error), status=error.status)
    if unseen:
        module.warn(
            f"What another scenario or echo app has left in the namespace {namespace} can't be "
            f"seen, and would stay: {', '.join(map(str, unseen))} isn't allowed. Next: "
            "kubectl apply -f docs/rbac/deploy.yml, or ignore this if there never was another one"
        )
    identity = system["metadata"]["uid"] if system else cluster.server
    context, kubeconfig = contexts_of(module.params)[0], module.params["kubeconfig"]
    module.exit_json(
        changed=False,
        server=cluster.server,
        context=context,
        # Of what file that is, unless it is its contents.
        kubeconfig=kubeconfig if isinstance(kubeconfig, str) else None,
        # An option would take the place of these variables, all of them.
        lasting_context=None if any(one.startswith("K8S_AUTH_") for one in os.environ) else context,
        version=version,
        cluster=identity,
        deployment=f"{identity}/{namespace}/{prefix}",
        namespace=namespace,
        name_prefix=prefix,
        front=front,
        ingress=f"{prefix}-ingress" if front == INGRESS else "",
        purposes=purposes,
        former=[{"kind": one.kind, "name": name} for name, one in left.items()],
        ephemeral=ephemeral,
        had_certificate=had_certificate,
        namespace_exists=state != ABSENT,
        **found,
        **way,
    )


if __name__ == "__main__":
    main()
