# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""From the objects of a way, and what a probe saw, to findings: pure functions, one per question.

Each check looks at one thing and says nothing of others: which finding is the cause is a matter of
the ranking, see ``_causes``. What isn't known (None) is never taken for wrong.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kestrel.real_ip.plugins.module_utils._causes import rank
from ansible_collections.kestrel.real_ip.plugins.module_utils._checks_ingress import (
    controller_off,
    deletion_hangs,
    direct_by_default,
    direct_refused,
    no_address,
    only_a_name,
    tke_errors,
    two_classes,
    unknown_class,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._checks_pods import (
    another_cluster,
    containers,
    namespace_ends,
    no_ingress_api,
    nodes_not_ready,
    not_ready,
    nothing_deploys,
    pods_refused,
    pulls,
    rights,
    scaled_to_zero,
    unread,
    unschedulable,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._checks_probe import (
    behind_the_balancer,
    by_verdict,
    local_without_pod,
    no_rule,
    redirected,
    refused_in_front,
    replaced_by_nodes,
    sidecar,
    unlike,
    unreachable,
    unresolved,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._checks_service import (
    another_service,
    cluster_ip,
    ingress_missing,
    no_endpoint,
    port_missing,
    selector,
    service_missing,
    strangers,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._findings import Check, finding
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import TrafficPath

CHECKS: tuple[Check, ...] = (
    rights,
    unread,
    another_cluster,
    no_ingress_api,
    namespace_ends,
    nothing_deploys,
    scaled_to_zero,
    pods_refused,
    unschedulable,
    nodes_not_ready,
    pulls,
    containers,
    not_ready,
    ingress_missing,
    service_missing,
    another_service,
    port_missing,
    cluster_ip,
    selector,
    no_endpoint,
    strangers,
    deletion_hangs,
    two_classes,
    unknown_class,
    controller_off,
    tke_errors,
    no_address,
    only_a_name,
    direct_by_default,
    direct_refused,
    unresolved,
    unreachable,
    no_rule,
    refused_in_front,
    redirected,
    behind_the_balancer,
    local_without_pod,
    by_verdict,
    replaced_by_nodes,
    unlike,
    sidecar,
)


def diagnose(path: TrafficPath) -> list[dict[str, t.Any]]:
    """All findings, the primary cause first."""
    found = [seen for check in CHECKS for seen in check(path)]
    found.sort(key=lambda seen: rank(seen.number))
    return [finding(path, seen) for seen in found]
