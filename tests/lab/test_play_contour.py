# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that isn't TKE: Contour, a real ingress controller, in front of the pods by its class.

It runs with its Envoy in the load balancer's namespace, beside the stand-in of TKE's controller,
which leaves its class alone.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from lab.settings import CLB, Lab
from tests.lab import applications
from tests.lab.playbooks import EXPECTED, Playbooks

CLASS: Final = "contour"
#: Of the load balancers' range, and of no number that the stand-in gives away.
ADDRESS: Final = "198.51.100.127"
XDS: Final = "18001"
PORTS: Final = {"stats": 18002, "http": 18003, "health": 18004, "debug-http": 18005}

INGRESS_CLASS: Final = f"""
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: {CLASS}}}
spec: {{controller: projectcontour.io/ingress-controller}}
"""

ON_CONTOUR: Final = (
    *("-e", f"real_ip_ingress_class={CLASS}"),
    *("-e", "real_ip_echo=bundled"),
    *("-e", f"real_ip_expected_source={EXPECTED}"),
)


def _contour(lab: Lab, directory: Path) -> list[str]:
    """The command of Contour, with all that it listens on at loopback."""
    return [
        str(applications.contour() / "contour"),
        "serve",
        f"--config-path={directory / 'contour.yaml'}",
        f"--kubeconfig={lab.kubeconfig}",
        f"--ingress-class-name={CLASS}",
        f"--ingress-status-address={ADDRESS}",
        f"--envoy-service-http-address={ADDRESS}",
        "--envoy-service-http-port=80",
        "--insecure",
        "--disable-leader-election",
        "--xds-address=127.0.0.1",
        f"--xds-port={XDS}",
        *(f"--{name}-address=127.0.0.1" for name in PORTS),
        *(f"--{name}-port={port}" for name, port in PORTS.items()),
    ]


@contextmanager
def _logged(playbooks: Playbooks, log: Path, *command: str) -> Iterator[None]:
    """Run a program in the load balancer's namespace meanwhile, its output in ``log``."""
    words = ("sh", "-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", str(log), *command)
    with playbooks.running(CLB.name, *words):
        yield


Controller = Callable[..., Any]


@pytest.fixture(scope="module")
def contour(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """Runs Contour and its Envoy meanwhile, with this configuration."""
    playbooks = Playbooks(lab.name)
    built = applications.contour()
    directory = tmp_path_factory.mktemp("contour")

    @contextmanager
    def run(configuration: str = "{}") -> Iterator[None]:
        (directory / "contour.yaml").write_text(configuration)
        bootstrap, admin = directory / "envoy.json", directory / "admin"
        subprocess.run(
            [
                *(str(built / "contour"), "bootstrap", str(bootstrap)),
                *("--xds-address=127.0.0.1", f"--xds-port={XDS}", f"--admin-address={admin}"),
            ],
            check=True,
        )
        envoy = applications.envoy_command(bootstrap)
        envoy += ["--service-cluster", CLASS, "--service-node", CLB.name]
        logs = [directory / f"{name}.log" for name in ("contour", "envoy")]
        with ExitStack() as stack:
            for log, command in zip(logs, (_contour(lab, directory), envoy), strict=True):
                stack.enter_context(_logged(playbooks, log, *command))
            # Envoy tells there that it has got its listeners from Contour.
            asked = ("--retry", "60", "--retry-delay", "1", "--retry-all-errors", "-sf")
            ready = ("curl", *asked, f"http://127.0.0.1:{PORTS['stats']}/ready")
            status, said = playbooks.execute(CLB.name, *ready)
            assert status == 0, "\n".join([said, *(log.read_text() for log in logs)])
            yield

    playbooks.define((built / "crds.yaml").read_text())
    playbooks.kubectl("apply", "-f", "-", text=INGRESS_CLASS)
    address = ("address", "replace", f"{ADDRESS}/32", "dev", "lo")
    assert playbooks.execute(CLB.name, "ip", *address)[0] == 0
    yield run
    assert playbooks.execute(CLB.name, "ip", "address", "del", *address[2:])[0] == 0
    playbooks.kubectl("delete", "-f", "-", text=INGRESS_CLASS)
    playbooks.kubectl("delete", "-f", str(built / "crds.yaml"))


def _annotations(playbooks: Playbooks) -> set[str]:
    """The annotations of the Ingress and the Service."""
    objects = json.loads(
        playbooks.kubectl("get", "ingresses,services", "-n", playbooks.namespace, "-o", "json")
    )
    assert [one["kind"] for one in objects["items"]] == ["Ingress", "Service"]
    return {key for one in objects["items"] for key in one["metadata"].get("annotations") or {}}


def test_deployed_verified_and_removed(contour: Controller, own: Playbooks) -> None:
    with contour():
        check = own.run("site", *ON_CONTOUR, "--check")
        assert check.status == 0, check.output
        run = own.run("site", *ON_CONTOUR)
        assert (run.status, run.verdict) == (0, "preserved"), run.output
        assert f"all 10 answers through {ADDRESS}:80 showed {EXPECTED}" in run.line
        # The app told of both pods, and Envoy's own way with what a client wrote itself.
        assert run.output.count("  backend  real-ip-deployment-") == 2
        assert "X-Forwarded-For appended, X-Real-IP passed_through" in run.output
        assert _annotations(own) == set()

        again = own.run("site", *ON_CONTOUR)
        assert (again.status, again.verdict, again.changed) == (0, "preserved", 0), again.output

        for words, status, expected in STRATEGIES:
            run = own.run("verify", *ON_CONTOUR, *words)
            assert (run.status, run.line.split()[2:4]) == (status, expected), run.output

        run = own.run("diagnose", *ON_CONTOUR)
        assert "localhost: NOTHING WRONG" in run.output

        gone = own.run("teardown", *ON_CONTOUR)
        assert gone.status == 0, gone.output
        assert f"namespace/{own.namespace}" not in own.namespaces()
        again = own.run("teardown", *ON_CONTOUR)
        assert (again.status, again.changed) == (0, 0), again.output


def test_not_judged_where_an_annotation_may_lead_elsewhere(
    contour: Controller, own: Playbooks
) -> None:
    """What its controller makes of it nobody here knows, and the document's app names no pod."""
    words = (*ON_CONTOUR, "-e", "real_ip_echo=image")
    annotate = ("annotate", "ingress", "real-ip-ingress", "-n", own.namespace)
    with contour():
        run = own.run("site", *words)
        assert (run.status, run.verdict) == (0, "preserved"), run.output
        own.kubectl(*annotate, "projectcontour.io/response-timeout=5s")
        run = own.run("verify", *words)
        assert (run.status, run.verdict) == (0, "preserved"), run.output
        own.kubectl(*annotate, "nginx.ingress.kubernetes.io/default-backend=other")
        run = own.run("verify", *words)
        assert (run.status, run.verdict) == (2, "not_run"), run.output
        assert "metadata.annotations[nginx.ingress.kubernetes.io/default-backend]" in run.line
        assert "-e real_ip_echo=bundled" in run.line


def _single(header: str) -> tuple[str, ...]:
    return ("-e", "real_ip_strategy=single_header", "-e", f"real_ip_header={header}")


#: How an application reads the address, and what comes of it behind Contour as it is installed.
STRATEGIES: Final = [
    (_single("X-Envoy-External-Address"), 0, ["preserved", "V001"]),
    # Envoy neither writes it nor takes it away.
    (_single("X-Real-IP"), 2, ["lost", "V208"]),
    (
        (
            *("-e", "real_ip_strategy=rightmost_trusted_count", "-e", "real_ip_trusted_count=1"),
            *("-e", "real_ip_header=Forwarded"),
        ),
        2,
        ["lost", "V209"],
    ),
]


def test_a_proxy_that_is_trusted_but_not_there(contour: Controller, own: Playbooks) -> None:
    """With one trusted hop too many Envoy takes a client's word for the address."""
    host = ("-e", "real_ip_host=echo.example.com")
    with contour("network: {num-trusted-hops: 1}"):
        run = own.run("site", *ON_CONTOUR, *host, *_single("X-Envoy-External-Address"))
        assert (run.status, run.verdict) == (2, "forgeable"), run.output
        # Envoy appends its peer nevertheless, so that this still can't be chosen.
        run = own.run("verify", *ON_CONTOUR, *host)
        assert (run.status, run.verdict) == (0, "preserved"), run.output


def test_nobody_takes_the_class(contour: Controller, own: Playbooks) -> None:
    """``contour`` has made its IngressClass, and doesn't run."""
    soon = ("-e", "real_ip_wait_timeout=1")
    run = own.run("site", *ON_CONTOUR, *soon, "-e", "real_ip_ingress_class=contur")
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert "cause    P303 Ingress real-ip-ingress" in run.output
    assert '{"spec":{"ingressClassName":"contour"}}' in run.output
    # Pods that are still starting would be the cause now.
    available = ("--for=condition=Available", "deployment/real-ip-deployment", "--timeout=60s")
    own.kubectl("wait", "-n", own.namespace, *available)
    run = own.run("site", *ON_CONTOUR, *soon)
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert "cause    P306 Ingress real-ip-ingress" in run.output
    assert "the controller of the class contour" in " ".join(run.output.split())
