#!/usr/bin/python

# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Set TKE's switches for a cluster, and put them back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_switches
short_description: Set TKE's switches for a whole cluster, and put back what they were
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Sets switches in the ConfigMap C(kube-system/tke-service-controller-config), which decide for
    B(every) load balancer of the cluster. Use it only where that was asked for.
  - What a switch was before, and for which deployments it was changed, is recorded in the
    annotation C(real-ip.kestrel/switches) of the same object, in the same request.
  - A switch that a deployment doesn't want any more is put back with the last deployment that
    wanted it. Where somebody has given it another value meanwhile, that stays.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - kestrel.real_ip.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  action_group:
    support: full
options:
  deployment:
    description: The identity of the deployment in the cluster, C(<namespace>/<name prefix>).
    type: str
    required: true
  wanted:
    description: Switch to the value that the deployment needs. All others are put back.
    type: dict
    default: {}
requirements:
  - kubernetes >= 24.2.0
"""

EXAMPLES = r"""
- name: Allow direct access to pods of the GlobalRouter network
  kestrel.real_ip.cluster_switches:
    deployment: kestrel-catchip/real-ip
    wanted:
      GlobalRouteDirectAccess: "true"

- name: Put back what was changed
  kestrel.real_ip.cluster_switches:
    deployment: kestrel-catchip/real-ip
"""

RETURN = r"""
switches:
  description: What became of each switch that is wanted or was recorded.
  returned: success
  type: list
  elements: dict
  contains:
    switch:
      description: Its name.
      type: str
    before:
      description: The value before, V(none) where it wasn't set.
      type: str
    after:
      description: The value now, V(none) where it isn't set.
      type: str
    action:
      description: V(set), V(restored), V(kept) for other deployments, V(respected) where somebody
        changed it after us, or V(unchanged).
      type: str
"""

import typing as t
from functools import partial

from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import (
    Cluster,
    ClusterError,
    insist,
    open_module,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._switches import (
    MISSING,
    RECORD,
    SETTINGS,
    SETTINGS_NAMESPACE,
    SETTINGS_PATH,
    Plan,
    RecordError,
    plan,
    recorded,
)

CONFIG_MAP = f"ConfigMap {SETTINGS_NAMESPACE}/{SETTINGS}"
KUBECTL = f"kubectl -n {SETTINGS_NAMESPACE} get configmap {SETTINGS} -o yaml"
MERGE_PATCH = "application/merge-patch+json"
# Somebody else's write between reading and writing is read again, so often.
TRIES = 5


def arrange(
    cluster: Cluster,
    wanted: t.Mapping[str, str],
    deployment: str,
    check_mode: bool,
    config: dict[str, t.Any] | None,
) -> tuple[Plan, dict[str, t.Any], bool]:
    """The plan that was carried out, the record before it, and whether anything changed.

    ``config``: the ConfigMap as it was found. Raises ClusterError, with 409 where it has changed.
    """
    if config is None and not wanted:
        return Plan([], {}), {}, False
    if config is None:
        raise ClusterError(MISSING)
    try:
        record = recorded(config)
    except RecordError as error:
        raise ClusterError(f"{error}. Nothing was changed. Next: {KUBECTL}") from error
    found = plan(config.get("data") or {}, record, wanted, deployment)
    patch = found.patch(record)
    if patch and not check_mode:
        patch["metadata"]["resourceVersion"] = config["metadata"]["resourceVersion"]
        cluster.request("patch", SETTINGS_PATH, body=patch, content_type=MERGE_PATCH)
    return found, record, bool(patch)


def main() -> None:
    """Entry point."""
    module = open_module(
        {
            "deployment": {"type": "str", "required": True},
            "wanted": {"type": "dict", "default": {}},
        }
    )
    wanted = {str(switch): str(value) for switch, value in module.params["wanted"].items()}
    try:
        cluster = Cluster(module)
        look = partial(cluster.find, SETTINGS_PATH)
        act = partial(arrange, cluster, wanted, module.params["deployment"], module.check_mode)
        done, record, changed = insist(act, look, look(), TRIES)
    except ClusterError as error:
        module.fail_json(msg=str(error), status=error.status)
    diff = {
        "before_header": CONFIG_MAP,
        "after_header": CONFIG_MAP,
        "before": {**{one.switch: one.before for one in done.changes}, RECORD: record},
        "after": {**{one.switch: one.after for one in done.changes}, RECORD: done.record},
    }
    module.exit_json(
        changed=changed,
        switches=[one._asdict() for one in done.changes],
        **({"diff": diff} if module._diff and changed else {}),
    )


if __name__ == "__main__":
    main()
