# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles write is what older and newer versions of Kubernetes take.

Shapes alone: all objects of all scenarios against the published schemas. And the playbooks against
something that serves and refuses what an older API server would.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import SCENARIOS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import INGRESS_APIS, shaped

from lab.settings import REPOSITORY
from tests.tools.older_kubernetes import ADDRESS, MERGE, OldCluster, mismatch, serving

Json = dict[str, Any]

ROLES: Final = REPOSITORY / "roles"
SCHEMAS: Final = ("1.14", "1.16", "1.18", "1.20", "1.37")

#: Where each version serves Ingresses, newest first.
SERVED: Final = {
    "1.14": INGRESS_APIS[1:],
    "1.16": INGRESS_APIS[1:],
    "1.18": INGRESS_APIS[1:],
    "1.20": INGRESS_APIS,
    "1.37": INGRESS_APIS[:1],
}

#: Beside each scenario's own: what else makes templates write something.
VARIANTS: Final[dict[str, Json]] = {
    "plain": {},
    "bundled": {"real_ip_echo": "bundled", "real_ip_container_port": 80},
    "other": {
        "real_ip_echo": "image",
        "real_ip_eni": True,
        "real_ip_host": "echo.example.com",
        "real_ip_image_pull_secrets": ["one", "two"],
        "real_ip_ingress_annotations": {"a.example/b": "c"},
        "real_ip_service_annotations": {"a.example/b": "c"},
        "real_ip_ingress_class": "contour",
    },
}

RENDER: Final = """
- hosts: all
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  vars_files: %(files)s
  tasks:
    - ansible.builtin.copy:
        content: "{{ [%(templates)s] | map('from_yaml') | list | to_json }}"
        dest: "%(directory)s/{{ inventory_hostname }}.json"
"""

TEMPLATES: Final = (
    "namespace/templates/namespace.yml.j2",
    "deployment/templates/echo.yml.j2",
    "deployment/templates/deployment.yml.j2",
    "service/templates/service.yml.j2",
    "ingress/templates/ingress.yml.j2",
)


def run(directory: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook with nothing of another run's in its temporary directory."""
    return subprocess.run(
        ["ansible-playbook", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "TMPDIR": str(directory)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Json]]:
    """Name of scenario and variant → the objects that the roles' templates make of it."""
    directory = tmp_path_factory.mktemp("rendered")
    (directory / "files").symlink_to(ROLES / "deployment" / "files")
    # Next to the playbook, where the collection is found without a setting.
    (directory / "collections").symlink_to(REPOSITORY / "playbooks" / "collections")
    roles = dict.fromkeys(Path(path).parts[0] for path in TEMPLATES)
    files = [
        str(path)
        for role in roles
        for path in (ROLES / role / "defaults/main.yml", ROLES / role / "vars/main.yml")
        if path.exists()
    ]
    looked_up = ", ".join(
        f"lookup('ansible.builtin.template', '{ROLES / path}')" for path in TEMPLATES
    )
    values = {"files": json.dumps(files), "directory": directory, "templates": looked_up}
    (directory / "render.yml").write_text(RENDER % values)
    hosts = {
        f"{scenario}.{variant}": {"real_ip_scenario": scenario, **variables}
        for scenario in SCENARIOS
        for variant, variables in VARIANTS.items()
    }
    (directory / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    done = run(directory, "-i", directory / "hosts.json", directory / "render.yml", "-f", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: json.loads((directory / f"{name}.json").read_text()) for name in hosts}


@pytest.mark.parametrize("version", SCHEMAS)
def test_every_object_of_every_scenario_has_the_published_shape(
    version: str, rendered: dict[str, list[Json]]
) -> None:
    major, minor = version.split(".")
    assert len(rendered) == len(SCENARIOS) * len(VARIANTS)
    wrong = {
        f"{name} {found['kind']} {api}": what
        for name, objects in rendered.items()
        for found in objects
        for api in (SERVED[version] if found["kind"] == "Ingress" else SERVED[version][:1])
        if (what := mismatch(version, shaped(found, (int(major), int(minor)), api)))
    }
    assert wrong == {}


def test_a_shape_that_is_not_that_of_the_version_is_seen(rendered: dict[str, list[Json]]) -> None:
    """Today's shapes are refused by older schemas, and a beta by today's."""
    __, __, deployment, __, ingress = rendered["gr-clb-non-direct-pod.bundled"]
    assert "'seccompProfile' was unexpected" in mismatch("1.18", deployment)
    assert "'startupProbe'" in mismatch("1.14", deployment)
    assert mismatch("1.18", ingress) == "1.18 has no networking.k8s.io/v1 Ingress"
    beta = shaped(ingress, (1, 18), INGRESS_APIS[1])
    assert mismatch("1.37", beta) == "1.37 has no networking.k8s.io/v1beta1 Ingress"
    assert "'pathType' was unexpected" in mismatch("1.16", beta)
    # Contents too, and not only names.
    assert mismatch("1.37", {**ingress, "spec": {"rules": [{"host": 5}]}})


# --- The playbooks --------------------------------------------------------------------------------

#: Name of the host → version, and the variables.
CLUSTERS: Final[dict[str, tuple[str, Json]]] = {
    "k14": ("1.14", {"real_ip_echo": "bundled", "real_ip_host": "echo.example.com"}),
    "k20": ("1.20", {}),
    "super": ("1.16", {"real_ip_scenario": "super-clb-direct-pod"}),
}

RECAP: Final = re.compile(r"^(\w+) +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0 ", re.M)

SPACE: Final = "/namespaces/kestrel-catchip/"


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[dict[str, OldCluster]]:
    """A cluster for each of CLUSTERS, and an inventory of them in ``hosts.json``."""
    found = {name: OldCluster(version) for name, (version, __) in CLUSTERS.items()}
    with ExitStack() as stack:
        hosts = {
            name: {
                "real_ip_api_host": stack.enter_context(serving(cluster)),
                "real_ip_api_key": "unasked",
                **CLUSTERS[name][1],
            }
            for name, cluster in found.items()
        }
        inventory = {"real_ip_clusters": {"hosts": hosts}}
        (tmp_path / "hosts.json").write_text(json.dumps(inventory))
        yield found


def changes(directory: Path, name: str, *arguments: str) -> dict[str, int]:
    """Run a playbook on all clusters; return how many tasks have changed something on each."""
    playbook = REPOSITORY / "playbooks" / f"{name}.yml"
    done = run(directory, "-i", directory / "hosts.json", "-f", "3", playbook, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {host: int(changed) for host, changed in RECAP.findall(done.stdout)}
    found.pop("localhost", None)
    assert set(found) == set(CLUSTERS)
    return found


def test_deployed_again_changed_and_removed(
    tmp_path: Path, clusters: dict[str, OldCluster]
) -> None:
    before = {name: dict(cluster.objects) for name, cluster in clusters.items()}
    told = changes(tmp_path, "deploy", "--check")
    assert {name: dict(cluster.objects) for name, cluster in clusters.items()} == before

    assert changes(tmp_path, "deploy") == told
    ingresses = {
        name: [path for path in cluster.objects if "/ingresses/" in path]
        for name, cluster in clusters.items()
    }
    modern, beta = (f"/apis/{api}{SPACE}ingresses/real-ip-ingress" for api in INGRESS_APIS[:2])
    assert ingresses == {"k14": [beta], "k20": [modern], "super": []}
    made = clusters["k14"].objects[beta]
    assert made["metadata"]["annotations"]["kubernetes.io/ingress.class"] == "qcloud"
    assert made["status"]["loadBalancer"]["ingress"] == [{"ip": ADDRESS}]

    assert changes(tmp_path, "deploy") == dict.fromkeys(CLUSTERS, 0)

    # What a former scenario wrote goes, and nothing was asked of the server that it can't do.
    common = ("-e", "real_ip_scenario=gr-clb-direct-pod", "-e", "real_ip_replicas=3")
    assert set(changes(tmp_path, "deploy", *common).values()) <= {1, 2, 3}
    for name, cluster in clusters.items():
        assert not [path for path in cluster.objects if "/ingresses/" in path], name
        deployment = cluster.objects[f"/apis/apps/v1{SPACE}deployments/real-ip-deployment"]
        assert deployment["spec"]["replicas"] == 3
        assert "nodeSelector" not in deployment["spec"]["template"]["spec"], name
        assert {kind for method, __, kind in cluster.requests if method == "PATCH"} <= {MERGE}

    changes(tmp_path, "teardown")
    for name, cluster in clusters.items():
        assert not [path for path in cluster.objects if "kestrel-catchip" in path], name
    assert changes(tmp_path, "teardown") == dict.fromkeys(CLUSTERS, 0)
