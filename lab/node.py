# SPDX-License-Identifier: GPL-3.0-or-later
"""A node: containerd, kubelet and kube-proxy, their settings, and the images they find there."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from lab import binaries, cgroups, credentials, shell
from lab.api import Unanswered, api, ask, connect
from lab.images import PAUSE
from lab.parts import Part
from lab.settings import (
    CLOSED_ADDRESS,
    PODS_IPV4,
    PODS_IPV6,
    REGISTRY_ADDRESS,
    RESOLVER_VPC,
    Host,
    Lab,
    pod_networks,
)
from lab.shell import LabError

#: The only namespace of containerd that kubelet looks at.
_IMAGES_NAMESPACE: Final = "k8s.io"

#: Where Debian's package containernetworking-plugins puts the plugins.
_CNI_PLUGINS: Final = "/usr/lib/cni"

_CORDON: Final = "node.kubernetes.io/unschedulable"

_KUBELET_PORT: Final = 10250
_KUBELET_HEALTH_PORT: Final = 10248
_PROXY_METRICS_PORT: Final = 10249
_PROXY_HEALTH_PORT: Final = 10256


def directory(lab: Lab, node: Host) -> Path:
    """Return the directory of everything that a node's programs write."""
    return lab.root / node.name


def pods_group(node: Host) -> str:
    """Return the control group of a node's pods, below the lab's."""
    return f"{cgroups.PODS}/{node.name}"


def _socket(lab: Lab, node: Host) -> Path:
    return directory(lab, node) / "containerd" / "containerd.sock"


def _containerd_config(lab: Lab, node: Host) -> str:
    """Return containerd's configuration, in the format that versions 1.6 to 2.x read."""
    own = directory(lab, node)
    return f"""\
version = 2
root = "{own}/containerd/root"
state = "{own}/containerd/state"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "{_socket(lab, node)}"

[ttrpc]
  address = "{_socket(lab, node)}.ttrpc"

[plugins."io.containerd.internal.v1.opt"]
  path = "{own}/containerd/opt"

[plugins."io.containerd.nri.v1.nri"]
  disable = true

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Inside a container that is itself limited, lowering a score is forbidden.
  restrict_oom_score_adj = true
  # Its profile would stay in the kernel when the lab has gone.
  disable_apparmor = true
  # Otherwise the pods' namespaces would stand in /run/netns, among those of others.
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_CNI_PLUGINS}"
    conf_dir = "{own}/cni/net.d"

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{own}/registries"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{own}/containerd/runc"
      SystemdCgroup = false
"""


#: A registry that can't be reached: nothing listens at its address.
UNREACHABLE: Final = "unreachable.example"

#: Every other registry is the stand-in, which is told by ``ns=`` which one was meant.
_REGISTRIES: Final = {
    "_default": REGISTRY_ADDRESS,
    UNREACHABLE: CLOSED_ADDRESS,
}


def _registry_config(address: str) -> str:
    """Return containerd's hosts.toml.

    Plain HTTP works only for a host of its own section; ``server`` keeps containerd from asking
    the real one after.
    """
    return f"""\
server = "http://{address}"

[host."http://{address}"]
  capabilities = ["pull", "resolve"]
"""


def _cni_config(lab: Lab, node: Host) -> dict[str, Any]:
    ipv4, ipv6 = pod_networks(node)
    return {
        "cniVersion": "1.0.0",
        "name": f"{lab.name}-{node.name}",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "ipMasq": False,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(directory(lab, node) / "cni" / "ipam"),
                    "ranges": [[{"subnet": str(ipv4)}], [{"subnet": str(ipv6)}]],
                    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _kubelet_config(lab: Lab, node: Host) -> dict[str, Any]:
    own = directory(lab, node)
    certificate, key = credentials.certificate_files(lab, f"kubelet-{node.name}")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "port": _KUBELET_PORT,
        "healthzPort": _KUBELET_HEALTH_PORT,
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(credentials.authority(lab))},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{_socket(lab, node)}",
        "clusterDNS": [RESOLVER_VPC],
        "clusterDomain": "cluster.local",
        "resolvConf": str(own / "resolv.conf"),
        "podLogsDir": str(own / "pod-logs"),
        "volumePluginDir": str(own / "volume-plugins"),
        # Only with groups per class of service does kubelet put pods below the root given here;
        # otherwise containerd puts them where nothing tells which lab they belong to.
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{lab.cgroup}/{pods_group(node)}",
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        # The machine's disk belongs to its user: neither is the lab to stop working because it is
        # rather full, nor may images be collected that no registry has.
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


#: What kube-proxy's mode needs in a Kubernetes that doesn't have it without being asked.
_PROXY_GATES: Final = {"1.30": {"NFTablesProxyMode": True}}


def _proxy_config(lab: Lab, node: Host) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "featureGates": _PROXY_GATES.get(binaries.kubernetes(), {}),
        "clientConnection": {
            "kubeconfig": str(credentials.kubeconfig_of(lab, "system:kube-proxy"))
        },
        "clusterCIDR": f"{PODS_IPV4},{PODS_IPV6}",
        "hostnameOverride": node.name,
        "oomScoreAdj": 0,
        # These settings are the whole machine's; kube-proxy must leave them alone.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "metricsBindAddress": f"127.0.0.1:{_PROXY_METRICS_PORT}",
        "healthzBindAddress": f"0.0.0.0:{_PROXY_HEALTH_PORT}",
    }


def configure(lab: Lab, node: Host) -> None:
    """Write the node's configuration files, where they differ."""
    own = directory(lab, node)
    for name, content in (
        ("containerd/config.toml", _containerd_config(lab, node)),
        *(
            (f"registries/{name}/hosts.toml", _registry_config(address))
            for name, address in _REGISTRIES.items()
        ),
        ("cni/net.d/10-lab.conflist", _json(_cni_config(lab, node))),
        ("kubelet.json", _json(_kubelet_config(lab, node))),
        ("kube-proxy.json", _json(_proxy_config(lab, node))),
        ("resolv.conf", f"nameserver {RESOLVER_VPC}\n"),
    ):
        shell.write(own / name, content)


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def parts(lab: Lab, node: Host) -> tuple[Part, ...]:
    """Return the node's programs."""
    own = directory(lab, node)
    kubelet_kubeconfig = credentials.kubeconfig_of(lab, f"system:node:{node.name}")
    proxy_kubeconfig = credentials.kubeconfig_of(lab, "system:kube-proxy")
    containerd, kubelet, proxy = (
        f"{node.name}-{program}" for program in ("containerd", "kubelet", "kube-proxy")
    )

    def check_containerd() -> str:
        connect(_socket(lab, node))
        return "answers"

    def check_kubelet() -> str:
        ask(lab, node.name, f"http://127.0.0.1:{_KUBELET_HEALTH_PORT}/healthz")
        return "answers"

    def check_proxy() -> str:
        ask(lab, node.name, f"http://127.0.0.1:{_PROXY_HEALTH_PORT}/livez")
        return "answers"

    return (
        Part(
            containerd,
            node.name,
            ("containerd", "--config", str(own / "containerd/config.toml"), "--log-level", "warn"),
            check_containerd,
            reads=(own / "containerd/config.toml",),
            environment=(("TMPDIR", str(own / "containerd")),),
            # Containers must survive containerd, as they do on a real node.
            orphans=True,
        ),
        Part(
            kubelet,
            node.name,
            (
                str(lab.bin / "kubelet"),
                f"--config={own / 'kubelet.json'}",
                f"--kubeconfig={kubelet_kubeconfig}",
                f"--root-dir={own / 'kubelet'}",
                f"--cert-dir={own / 'kubelet/pki'}",
                f"--hostname-override={node.name}",
                f"--node-ip={node.ipv4('vpc')},{node.ipv6('vpc')}",
            ),
            check_kubelet,
            needs=(containerd, "objects"),
            reads=(
                own / "kubelet.json",
                kubelet_kubeconfig,
                *credentials.certificate_files(lab, f"kubelet-{node.name}"),
            ),
        ),
        Part(
            proxy,
            node.name,
            (
                str(lab.bin / "kube-proxy"),
                f"--config={own / 'kube-proxy.json'}",
            ),
            check_proxy,
            needs=("objects",),
            reads=(own / "kube-proxy.json", proxy_kubeconfig),
        ),
    )


def readiness(lab: Lab, node: Host) -> str:
    """Return a short text if the node can run pods; raises Unanswered saying why it can't."""
    found = api(lab, f"/api/v1/nodes/{node.name}")
    conditions = {each["type"]: each for each in found["status"].get("conditions", [])}
    ready = conditions.get("Ready", {"status": "Unknown", "message": "kubelet has not reported"})
    if ready["status"] != "True":
        raise Unanswered(str(ready.get("message") or "not ready"))
    taints = {taint["key"] for taint in found["spec"].get("taints", [])}
    # Those that the cluster sets; a user's own, and his cordon, are his affair.
    taints = {key for key in taints if key.startswith("node.kubernetes.io/")} - {_CORDON}
    if taints:
        raise Unanswered(f"tainted {', '.join(sorted(taints))}")
    return f"Ready, {found['status']['nodeInfo']['kubeletVersion']}"


def renewed(lab: Lab, node: Host) -> datetime:
    """Return when the kubelet has renewed the node's lease; raises Unanswered without an answer."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node.name}"
    return datetime.fromisoformat(api(lab, path)["spec"]["renewTime"])


@dataclass(frozen=True)
class Image:
    """An image that the nodes must have: its manifest's digest, and the archive that holds it."""

    name: str
    digest: str
    archive: str


def read_images(archives: Iterable[Path]) -> list[Image]:
    """Return the images in OCI archives.

    Format: OCI image layout, ``index.json``; the name is the annotation that ``ctr`` goes by.
    """
    found = []
    for archive in archives:
        with tarfile.open(archive) as tar:
            index = tar.extractfile("index.json")
            if index is None:
                raise LabError(f"{archive} is no OCI archive: it has no index.json.")
            for manifest in json.load(index)["manifests"]:
                name = manifest["annotations"]["io.containerd.image.name"]
                found.append(Image(name, manifest["digest"], str(archive)))
    return found


def _ctr(lab: Lab, node: Host, *words: str, timeout: float = 60.0) -> str:
    command = ["ctr", "--address", str(_socket(lab, node)), "--namespace", _IMAGES_NAMESPACE]
    return shell.run([*command, *words], timeout=timeout)


def missing_images(lab: Lab, node: Host, wanted: Iterable[Image]) -> list[Image]:
    """Return the images that the node lacks, or has with another content."""
    present = {}
    for line in _ctr(lab, node, "images", "list").splitlines()[1:]:
        name, digest = line.split()[0:3:2]
        present[name] = digest
    return [image for image in wanted if present.get(image.name) != image.digest]


def import_images(lab: Lab, node: Host, wanted: Iterable[Image]) -> str | None:
    """Import what the node lacks; return how many images that was, or None if none."""
    missing = missing_images(lab, node, wanted)
    if not missing:
        return None
    shell.parallel(
        lambda archive: import_archive(lab, node, archive), {image.archive for image in missing}
    )
    return f"{len(missing)} imported"


def import_archive(lab: Lab, node: Host, archive: str) -> None:
    """Import all images of an OCI archive, whether the node has them or not."""
    _ctr(lab, node, "images", "import", archive, timeout=300.0)


def remove_image(lab: Lab, node: Host, name: str) -> None:
    """Remove an image; one that isn't there is none that has to be."""
    _ctr(lab, node, "images", "remove", "--sync", name)


def check_images(lab: Lab, node: Host, wanted: Iterable[Image]) -> str:
    """Return a short text if the node has all images; raises Unanswered naming what it lacks."""
    wanted = list(wanted)
    try:
        missing = missing_images(lab, node, wanted)
    except LabError as error:
        raise Unanswered(str(error)) from error
    if missing:
        raise Unanswered(f"lacks {', '.join(image.name for image in missing)}")
    return f"{len(wanted)} present"
