# SPDX-License-Identifier: GPL-3.0-or-later
"""What each fault of the lab must lead to: verdict, cause, and by what it is mended.

``docs/faults.md`` is what ``page`` returns.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.kestrel.real_ip.plugins.module_utils._causes import CAUSES

from lab.faults import FAULTS
from lab.settings import MASTER

BUNDLED = ("-e", "real_ip_echo=bundled")
LAYER_4 = ("-e", "real_ip_service=layer-4")


class Case(NamedTuple):
    """What one fault must lead to.

    ``found``: kind and name of the cause's object, its name left out where it is made up by the
    cluster; ``kind``: of the fix; ``playbook``: which one is run; ``facts``: what the fault tells
    that is passed on, as variable to fact; ``environment``: that of the run.
    """

    verdict: str
    code: str
    found: str
    kind: str = "command"
    playbook: str = "verify"
    echo: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


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
    "image-name-malformed": Case("no_answer", "P136", "Pod "),
    "image-never-pulled": Case("no_answer", "P139", "Pod "),
    "container-crashes": Case("no_answer", "P142", "Pod "),
    "out-of-memory": Case("no_answer", "P141", "Pod "),
    "app-wrong-port": Case("no_answer", "P151", "Pod "),
    "readiness-fails": Case("no_answer", "P152", "Pod "),
    "config-missing": Case("no_answer", "P143", "Pod "),
    "not-ready-yet": Case("no_answer", "P209", SERVICE, "console"),
    "readiness-gate": Case("no_answer", "P153", "Pod ", "console"),
    "node-tainted": Case("no_answer", "P121", "Pod "),
    "node-cordoned": Case("no_answer", "P122", "Pod "),
    "too-little-cpu": Case("no_answer", "P123", "Pod "),
    "node-selector": Case("no_answer", "P124", "Pod "),
    "volume-missing": Case("no_answer", "P129", "Pod ", "console"),
    "deployment-missing": Case("no_answer", "P102", SERVICE),
    "scaled-to-zero": Case("no_answer", "P103", DEPLOYMENT),
    "account-missing": Case("no_answer", "P119", DEPLOYMENT, "console"),
    "quota-exceeded": Case("no_answer", "P111", DEPLOYMENT),
    "pod-security": Case("no_answer", "P112", DEPLOYMENT, "variable"),
    "admission-policy": Case("no_answer", "P113", DEPLOYMENT, "console"),
    "webhook-unreachable": Case("no_answer", "P114", DEPLOYMENT, "console"),
    "selector-mismatch": Case("no_answer", "P206", SERVICE),
    # Kubernetes leaves the endpoints there that it made as long as there was a selector.
    "selector-missing": Case("preserved", "P207", SERVICE, playbook="diagnose"),
    "target-port-wrong": Case("no_answer", "P208", SERVICE),
    "ingress-service-missing": Case("not_run", "P202", "Service misspelt-service"),
    "ingress-another-service": Case("not_run", "P203", INGRESS),
    "ingress-port-missing": Case("no_answer", "P204", SERVICE),
    "service-cluster-ip": Case("no_answer", "P205", SERVICE),
    "ingress-class": Case("not_run", "P303", INGRESS),
    # Only where it is new, or its load balancer is, the contradiction does more than wait.
    "two-classes": Case("preserved", "P302", INGRESS, playbook="diagnose"),
    "controller-off": Case("not_run", "P304", "ConfigMap tke-service-controller-config"),
    "address-late": Case("not_run", "P306", INGRESS, "console"),
    "direct-by-default": Case("no_answer", "P407", INGRESS),
    "direct-not-allowed": Case("no_answer", "P314", INGRESS),
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
    "proxy-only": Case(
        "no_answer",
        "P408",
        INGRESS,
        "console",
        environment=(
            ("http_proxy", "http://127.0.0.1:3128"),
            ("no_proxy", MASTER.ipv4("vpc")),
        ),
    ),
    "firewall": Case("no_answer", "P315", INGRESS, "console"),
    "node-port-closed": Case("no_answer", "P403", SERVICE, "console"),
    "backend-slow": Case("no_answer", "P404", "Pod "),
    "app-fails": Case("no_answer", "P310", "Pod "),
    "backend-protocol": Case("no_answer", "P405", "Pod "),
    "hostname-unresolved": Case("no_answer", "P307", INGRESS, "console"),
    # An Ingress with a certificate is asked over HTTPS, unless a URL says otherwise.
    "redirect": Case(
        "no_answer",
        "P311",
        INGRESS,
        "variable",
        arguments=("-e", "real_ip_validate_certs=false"),
        facts=(("real_ip_url", "url"),),
    ),
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
    "header-stripped": Case("lost", "P513", DEPLOYMENT, echo=BUNDLED),
    "address-translated": Case("lost", "P511", INGRESS, "console"),
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
    "context-of-another-cluster": Case(
        "not_run",
        "P004",
        "Cluster another",
        "variable",
        facts=(("real_ip_kubeconfig", "kubeconfig"),),
    ),
    "ingress-api-off": Case(
        "not_run",
        "P005",
        "Cluster API server",
        "console",
        facts=(("real_ip_kubeconfig", "kubeconfig"),),
    ),
    "api-server-down": Case("not_run", "P001", "Cluster API server", "console"),
    "api-server-silent": Case("not_run", "P001", "Cluster API server", "console"),
}

#: Causes without a fault, and why.
UNPRODUCED = {
    "P003": "what it costs to lack a right is tested for each right by itself (test_path.py)",
    "P006": "a list that alone isn't answered needs an API server that is made so (test_path.py)",
    "P007": "what leads to no cluster breaks none (test_fleet.py)",
    "P125": "a node that stops reporting is noticed after most of a minute, and its pods are moved"
    " minutes later: too slow to be mended in a test",
    "P201": "the Ingress is missing in tests of the playbooks (test_play_diagnose.py)",
    "P312": "it is no error; a name instead of an address is tested as a healthy way",
    "P313": "it is a warning, which stands beside the cause of direct-by-default",
    "P409": "the load balancer's stand-in has no TkeServiceConfig",
    "P509": "where the prober stands is no state of the cluster (test_play_vantages.py)",
    "P510": "what was not said is no state of the cluster (test_play_diagnose.py)",
    "P512": "a second proxy inside of the cluster would have to be deployed and reached",
    "P514": "the load balancer's stand-in doesn't speak the PROXY protocol",
    "P515": "the echo apps of the collection don't take their peer from headers",
    "P516": "which apps tell too little is tested with each of them (test_applications.py)",
    "P517": "what is expected is no state of the cluster",
    "P518": "where the prober stands is no state of the cluster (test_play_vantages.py)",
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
_OTHERS = """
## Causes without a fault

| cause | why |
| --- | --- |
"""


def _cause(code: str) -> str:
    row = CAUSES[code]
    return f"[{code}]({row.link.removeprefix('docs/')}): {row.title}"


def page() -> str:
    """The table as a Markdown page."""
    rows = []
    for name, case in CASES.items():
        verdict = f"`{case.verdict}`"
        cells = (name, FAULTS[name].broken, verdict, _cause(case.code), _MENDED[case.kind])
        rows.append(f"| {' | '.join(cells)} |\n")
    counts = {kind: sum(case.kind == kind for case in CASES.values()) for kind in _MENDED}
    told = ", ".join(f"{count} by {_MENDED[kind]}" for kind, count in counts.items())
    others = "".join(f"| {_cause(code)} | {why} |\n" for code, why in UNPRODUCED.items())
    summary = f"Of {len(CASES)} faults, {told}."
    return f"{_HEAD}{''.join(rows)}\n{summary}\n{_OTHERS}{others}"
