# SPDX-License-Identifier: GPL-3.0-or-later
"""What each fault of the lab must lead to: verdict, cause, and by what it is mended.

``docs/faults.md`` is what ``page`` returns.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.kestrel.real_ip.plugins.module_utils._causes import CAUSES

from lab.faults import FAULTS

BUNDLED = ("-e", "real_ip_echo=bundled")
LAYER_4 = ("-e", "real_ip_service=layer-4")


class Case(NamedTuple):
    """What one fault must lead to.

    ``found``: kind and name of the cause's object, its name left out where it is made up by the
    cluster; ``kind``: of the fix; ``playbook``: which one is run; ``facts``: what the fault tells
    that is passed on, as variable to fact.
    """

    verdict: str
    code: str
    found: str
    kind: str = "command"
    playbook: str = "verify"
    echo: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


SERVICE = "Service real-ip-service"
INGRESS = "Ingress real-ip-ingress"
DEPLOYMENT = "Deployment real-ip-deployment"
FOUR = {"playbook": "diagnose", "echo": BUNDLED, "arguments": LAYER_4}

CASES: dict[str, Case] = {
    "image-not-found": Case("no_answer", "P131", "Pod "),
    "image-forbidden": Case("no_answer", "P132", "Pod "),
    "image-rate-limited": Case("no_answer", "P133", "Pod "),
    "registry-unreachable": Case("no_answer", "P134", "Pod "),
    "image-wrong-architecture": Case("no_answer", "P135", "Pod "),
    "container-crashes": Case("no_answer", "P142", "Pod "),
    "out-of-memory": Case("no_answer", "P141", "Pod "),
    "app-wrong-port": Case("no_answer", "P151", "Pod "),
    "readiness-fails": Case("no_answer", "P152", "Pod "),
    "node-tainted": Case("no_answer", "P121", "Pod "),
    "node-cordoned": Case("no_answer", "P122", "Pod "),
    "too-little-cpu": Case("no_answer", "P123", "Pod "),
    "node-selector": Case("no_answer", "P124", "Pod "),
    "quota-exceeded": Case("no_answer", "P111", DEPLOYMENT),
    "pod-security": Case("no_answer", "P112", DEPLOYMENT, "variable"),
    "admission-policy": Case("no_answer", "P113", DEPLOYMENT, "console"),
    "webhook-unreachable": Case("no_answer", "P114", DEPLOYMENT, "console"),
    "selector-mismatch": Case("no_answer", "P206", SERVICE),
    "target-port-wrong": Case("no_answer", "P208", SERVICE),
    "ingress-service-missing": Case("not_run", "P202", "Service misspelt-service"),
    "ingress-port-missing": Case("no_answer", "P204", SERVICE),
    "service-cluster-ip": Case("no_answer", "P205", SERVICE),
    "ingress-class": Case("not_run", "P303", INGRESS),
    "controller-off": Case("not_run", "P304", "ConfigMap tke-service-controller-config"),
    "balancer-quota": Case("not_run", "P305", INGRESS, "console"),
    "balancer-arrears": Case("not_run", "P305", INGRESS, "console"),
    "existing-balancer-unknown": Case("not_run", "P305", INGRESS, "console"),
    "tls-secret-missing": Case("not_run", "P305", INGRESS, "console"),
    "tls-secret-without-certificate": Case("not_run", "P305", INGRESS, "console"),
    # Its status names an address that nobody has any more.
    "deletion-hangs": Case("no_answer", "P301", INGRESS, "console"),
    "namespace-terminating": Case("not_run", "P101", "Namespace ", "console"),
    "listener-missing": Case("no_answer", "P402", INGRESS, "console"),
    "balancer-closed": Case("no_answer", "P401", INGRESS, "console"),
    "client-closed": Case("no_answer", "P401", INGRESS, "console"),
    "node-port-closed": Case("no_answer", "P403", SERVICE, "console"),
    "backend-slow": Case("no_answer", "P404", "Pod "),
    "backend-protocol": Case("no_answer", "P405", "Pod "),
    "hostname-unresolved": Case("no_answer", "P307", INGRESS, "console"),
    "redirect": Case("no_answer", "P311", INGRESS),
    "host-rule": Case("not_run", "P308", INGRESS, "variable"),
    "path-rule": Case("not_run", "P309", INGRESS, "variable"),
    "proxy-in-front": Case(
        "lost", "P502", INGRESS, "variable", echo=BUNDLED, facts=(("real_ip_url", "url"),)
    ),
    "proxy-walked-around": Case(
        "forgeable",
        "P505",
        INGRESS,
        "console",
        echo=BUNDLED,
        arguments=("-e", "real_ip_trusted_count=2"),
        facts=(("real_ip_url", "url"),),
    ),
    # Who answers sees the address; that every other request gets no answer is the fault.
    "policy-local-without-pod": Case("preserved", "P406", "Service layer-4", **FOUR),
    "policy-cluster": Case("lost", "P501", "Service layer-4", **FOUR),
    "node-translates": Case("mixed", "P507", "Node node1", "console", **FOUR),
    "replica-differs": Case("mixed", "P506", "Pod ", echo=BUNDLED),
    "stale-endpoint": Case("unproven", "P210", "EndpointSlice real-ip-service-stale"),
    "header-dropped": Case("lost", "P503", INGRESS, "variable"),
    "header-believed": Case("forgeable", "P504", INGRESS, "variable"),
    "sidecar": Case("lost", "P508", "Pod ", **FOUR),
    "token-expired": Case(
        "not_run",
        "P002",
        "Cluster API server",
        "console",
        facts=(("real_ip_kubeconfig", "kubeconfig"),),
    ),
    "context-wrong": Case(
        "not_run",
        "P001",
        "Cluster API server",
        "console",
        facts=(("real_ip_kubeconfig", "kubeconfig"),),
    ),
    "api-server-down": Case("not_run", "P001", "Cluster API server", "console"),
    "api-server-silent": Case("not_run", "P001", "Cluster API server", "console"),
}

_MENDED = {
    "command": "the command that is named",
    "variable": "the variable that is named",
    "console": "a person",
}
_HEAD = """\
# Faults, and what is said of them

Each fault is turned on on the test cluster (`python -m lab fault NAME on`), a playbook is run, and
verdict and cause are compared with this table. Then the fix is typed as it stands, with no
knowledge of the fault, and the verdict has to be `preserved`, without a cause. Where a person has
to act, the fault's own switch stands for that. `make test-faults` does it for all, `make test` for
some.

| fault | what is broken | verdict | cause | mended by |
| --- | --- | --- | --- | --- |
"""


def page() -> str:
    """The table as a Markdown page."""
    rows = []
    for name, case in CASES.items():
        row = CAUSES[case.code]
        cause = f"[{case.code}]({row.link.removeprefix('docs/')}): {row.title}"
        cells = (name, FAULTS[name].broken, f"`{case.verdict}`", cause, _MENDED[case.kind])
        rows.append(f"| {' | '.join(cells)} |\n")
    counts = {kind: sum(case.kind == kind for case in CASES.values()) for kind in _MENDED}
    told = ", ".join(f"{count} by {_MENDED[kind]}" for kind, count in counts.items())
    return f"{_HEAD}{''.join(rows)}\nOf {len(CASES)} faults, {told}.\n"
