# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure traffic_path_info on the test cluster: 50, 500 and 5,000 pods behind one Service.

Beside as many events there are 500 Ingresses. No kubelet runs these pods: no scheduler takes them,
their state is written as a kubelet would, and so are the EndpointSlices, which the cluster doesn't
make of pods without a node. Every tenth pod isn't ready. Seconds and memory are those of the
module's own function, in a process of its own.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import ssl
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlsplit

from lab import credentials
from lab.api import api
from lab.network import inside
from lab.settings import API_URL, OPERATOR, REPOSITORY, Lab
from tools.bench_probe import BUNDLE

Json = dict[str, Any]

SIZES: Final = (50, 500, 5000)
INGRESSES: Final = 500
NAMESPACE: Final = "bench-path"
FRONT: Final = "front"
SERVICE: Final = "crowd"
#: Requests at a time while objects are made.
CONCURRENCY: Final = 8
#: Endpoints of a slice, as the cluster's controller makes them.
SLICE: Final = 100

_LABELS: Final = {"app": SERVICE}
#: No scheduler has this name, and no controller this class.
_NOBODY: Final = "nobody.kestrel.example"

# Runs the module in a process of its own, once for each row of options, and adds to what it returns
# the seconds, and the greatest memory of the process so far.
MEASURE: Final = """
import json, re, sys, time
from ansible.module_utils import basic
from ansible_collections.kestrel.real_ip.plugins.modules import traffic_path_info as module
basic._ANSIBLE_PROFILE = "legacy"
diagnosis = module.diagnosis
def measured(own):
    began = time.monotonic()
    found = diagnosis(own)
    seconds = time.monotonic() - began
    peak = int(re.search(r"VmHWM:\\s*([0-9]+)", open("/proc/self/status").read())[1]) / 1024
    return {"measured": [seconds, peak], **found}
module.diagnosis = measured
for options in json.load(sys.stdin):
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode()
    try:
        module.main()
    except SystemExit as end:
        if end.code:
            raise
"""


# --- The crowd ------------------------------------------------------------------------------------


def pod(number: int) -> Json:
    """A pod that no scheduler takes."""
    image = "registry.example/crowd/app:1"
    return {
        "metadata": {"name": f"{SERVICE}-{number}", "labels": _LABELS},
        "spec": {
            "schedulerName": _NOBODY,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "app",
                    "image": image,
                    "ports": [{"containerPort": 5000}],
                    "env": [{"name": f"VARIABLE_{each}", "value": "x" * 40} for each in range(20)],
                    "readinessProbe": {"tcpSocket": {"port": 5000}},
                }
            ],
        },
    }


def _ready(number: int) -> bool:
    return number % 10 != 0


def _address(number: int) -> str:
    return f"10.200.{number // 256}.{number % 256}"


def state(number: int) -> Json:
    """The state of a pod as a kubelet writes it; each tenth isn't ready."""
    ready, address = _ready(number), _address(number)
    word = "True" if ready else "False"
    return {
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "ContainersReady", "status": word},
                {"type": "Ready", "status": word},
            ],
            "containerStatuses": [
                {
                    "name": "app",
                    "image": "registry.example/crowd/app:1",
                    "imageID": "",
                    "ready": ready,
                    "restartCount": 0,
                    "started": True,
                    "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                }
            ],
        }
    }


def endpoints(numbers: Sequence[int]) -> Json:
    """The EndpointSlice of so many pods."""
    return {
        "metadata": {
            "name": f"{SERVICE}-{numbers[0]}",
            "labels": {
                "kubernetes.io/service-name": SERVICE,
                "endpointslice.kubernetes.io/managed-by": _NOBODY,
            },
        },
        "addressType": "IPv4",
        "ports": [{"port": 5000, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [_address(one)],
                "conditions": {"ready": _ready(one)},
                "targetRef": {"kind": "Pod", "name": f"{SERVICE}-{one}"},
            }
            for one in numbers
        ],
    }


def event(namespace: str, number: int) -> Json:
    """An event of a pod that says nothing bad."""
    return {
        "metadata": {"name": f"{SERVICE}-{number}.{number:x}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": namespace,
            "name": f"{SERVICE}-{number}",
        },
        "reason": "Scheduled",
        "message": f"Successfully assigned {namespace}/{SERVICE}-{number} to a node",
        "type": "Normal",
        "source": {"component": _NOBODY},
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 1,
    }


def ingress(name: str) -> Json:
    """An Ingress of a class that nobody acts on."""
    backend = {"service": {"name": SERVICE, "port": {"number": 80}}}
    return {
        "metadata": {"name": name},
        "spec": {
            "ingressClassName": _NOBODY,
            "rules": [
                {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
            ],
        },
    }


def service() -> Json:
    """The Service, headless: the nodes' kube-proxy has nothing to do with it."""
    ports = [{"port": 80, "targetPort": 5000}]
    return {
        "metadata": {"name": SERVICE},
        "spec": {"clusterIP": "None", "selector": _LABELS, "ports": ports},
    }


class _Sender:
    """Sends requests over a connection that each thread keeps."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._own = threading.local()
        self._trust = ssl.create_default_context(cafile=str(credentials.authority(lab)))
        self._token = credentials.token(lab)

    def send(self, method: str, path: str, body: Json) -> None:
        """Send one request, which must succeed."""
        kind = "merge-patch+json" if method == "PATCH" else "json"
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": f"application/{kind}",
        }
        connection = self._connection()
        connection.request(method, path, json.dumps(body), headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            sys.exit(f"bench: {method} {path}: {answer.status} {said[:300]!r}")

    def _connection(self) -> http.client.HTTPSConnection:
        if not hasattr(self._own, "connection"):
            host = urlsplit(API_URL).netloc
            made = http.client.HTTPSConnection(host, timeout=60, context=self._trust)
            # A socket stays in the network namespace in which it was opened.
            with inside(self._lab.netns(OPERATOR.name)):
                made.connect()
            self._own.connection = made
        found: http.client.HTTPSConnection = self._own.connection
        return found


class Crowd:
    """A namespace with a Service, an Ingress in front of it, and any number of pods and events."""

    def __init__(self, lab: Lab, namespace: str) -> None:
        self.lab = lab
        self.namespace = namespace
        self.pods = 0
        self._sender = _Sender(lab)

    def make(self) -> None:
        """Make the namespace, the Service and what is in front."""
        api(self.lab, "/api/v1/namespaces", "POST", {"metadata": {"name": self.namespace}})
        self._send("POST", "/api/v1", "services", [service()])
        self.ingresses([FRONT])
        address = {"status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}}
        networking = "/apis/networking.k8s.io/v1"
        self._send("PATCH", networking, f"ingresses/{FRONT}/status", [address])

    def ingresses(self, names: Iterable[str]) -> None:
        """Make Ingresses with these names."""
        self._send("POST", "/apis/networking.k8s.io/v1", "ingresses", map(ingress, names))

    def grow(self, count: int, running: bool = True) -> None:
        """Make pods and events until there are so many of each."""
        numbers = range(self.pods, count)
        self._send("POST", "/api/v1", "pods", map(pod, numbers))
        self._send("POST", "/api/v1", "events", (event(self.namespace, one) for one in numbers))
        self.pods = count
        if running:
            self._each("PATCH", [(f"pods/{SERVICE}-{one}/status", state(one)) for one in numbers])
            slices = [
                endpoints(numbers[start : start + SLICE]) for start in range(0, len(numbers), SLICE)
            ]
            self._send("POST", "/apis/discovery.k8s.io/v1", "endpointslices", slices)

    def remove(self) -> None:
        """Delete the namespace; the cluster goes on with it by itself. Until it comes to Ingresses,
        these would take requests of others at the same address.
        """
        ingresses = f"/apis/networking.k8s.io/v1/namespaces/{self.namespace}/ingresses"
        api(self.lab, ingresses, "DELETE")
        api(self.lab, f"/api/v1/namespaces/{self.namespace}", "DELETE")

    def _send(self, method: str, root: str, what: str, bodies: Iterable[Json]) -> None:
        self._each(method, [(what, body) for body in bodies], root)

    def _each(self, method: str, rows: Sequence[tuple[str, Json]], root: str = "/api/v1") -> None:
        where = f"{root}/namespaces/{self.namespace}"
        with ThreadPoolExecutor(max_workers=CONCURRENCY) as pool:
            done = [
                pool.submit(self._sender.send, method, f"{where}/{what}", body)
                for what, body in rows
            ]
            for one in done:
                one.result()


# --- Measuring ------------------------------------------------------------------------------------


def diagnose(lab: Lab, namespace: str, *options: Mapping[str, str]) -> list[Json]:
    """What ``traffic_path_info`` returns where an operator runs it, and what it took.

    ``options``: further ones, a row for each time that it is run, all in one process.
    """
    own = {"namespace": namespace, "ingress": FRONT, "service": SERVICE}
    arguments = [{**own, **one} for one in options or ({},)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lab", "--name", lab.name, "exec", OPERATOR.name, "--"),
            *(sys.executable, "-c", MEASURE),
        ],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(BUNDLE)},
        input=json.dumps(arguments),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line]


def measure(lab: Lab, sizes: Sequence[int], repetitions: int) -> Iterator[str]:
    """Lines of the report, one by one as they are known."""
    crowd = Crowd(lab, NAMESPACE)
    crowd.make()
    try:
        crowd.ingresses(f"{FRONT}-{number}" for number in range(1, INGRESSES))
        yield f"traffic_path_info, median of {repetitions} (least to most), {INGRESSES} Ingresses"
        for size in sizes:
            crowd.grow(size)
            runs = [diagnose(lab, NAMESPACE)[0] for __ in range(repetitions)]
            for one in runs[0]["findings"]:
                sys.exit(f"bench: nothing is wrong with this way, but: {one}")
            seconds, memory = zip(*(one["measured"] for one in runs), strict=True)
            yield (
                f"  {size:6} pods, as many events  {statistics.median(seconds):6.2f} s "
                f"({min(seconds):.2f} to {max(seconds):.2f})  {max(memory):4.0f} MiB at most  "
                f"{runs[0]['requests']} requests"
            )
    finally:
        crowd.remove()
    yield "  goal at 5,000 pods: at most 5 s and below 200 MiB"


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lab", default="bench", help="name of the test cluster, made if missing")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="PODS")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args(arguments)
    lab = Lab(options.lab)
    was_up = lab.root.exists()
    words = [sys.executable, "-m", "lab", "--name", lab.name]
    subprocess.run([*words, "up"], cwd=REPOSITORY, check=True)
    try:
        for line in measure(lab, options.sizes, options.repetitions):
            print(line, flush=True)
    finally:
        if not was_up:
            subprocess.run([*words, "down"], cwd=REPOSITORY, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
