# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The objects on a request's way through the cluster, read in as few rounds as there are.

What doesn't depend on anything else is read at the same time; the lists grow by pages of 500 only.
No Secret is ever asked for, and of pods neither environment nor annotations are kept.
"""

from __future__ import annotations

import json
import re
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import pod_addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import (
    Cluster,
    ClusterError,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import CONFIG
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import owns
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import asked_for, backends
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    INGRESS_APIS,
    LAST_APPLIED,
    annotations_of,
    modern_ingress,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._switches import (
    SETTINGS,
    SETTINGS_NAMESPACE,
)

Object = t.Mapping[str, t.Any]

#: Requests that are under way at the same time: the lists, the objects in front, and what follows.
SIDE_BY_SIDE = 11

#: Seconds for the one question that is put to the app itself.
_DIRECT_TIMEOUT = 5.0


class Unread(t.NamedTuple):
    """A read that came to nothing, although the API server answers others.

    ``namespace`` is empty for the whole cluster.
    """

    verb: str
    group: str
    resource: str
    namespace: str
    message: str


class Context(t.NamedTuple):
    """Which cluster was asked: its address, by which context, and which others there were.

    ``kubectl``: how a command begins that asks the same one.
    """

    server: str = ""
    name: str = ""
    others: t.Sequence[str] = ()
    kubectl: str = "kubectl"


class Direct(t.NamedTuple):
    """What an app said that was asked past balancer and node, through the API server.

    ``outcome``: ``answers``, ``refused``, ``timeout`` or ``other``; ``status``: of HTTP, 0 without.
    """

    pod: str
    port: int
    scheme: str
    outcome: str
    status: int
    detail: str
    seconds: float


class Log(t.NamedTuple):
    """The last lines that a crashing container has written."""

    pod: str
    container: str
    lines: t.Sequence[str]


class TrafficPath(t.NamedTuple):
    """All that is known of one way. A list or object that is None could not be read.

    ``kind`` and ``name``: of what stands in front, an Ingress or a Service; ``service_name``: the
    Service that a request is led to; ``expected_service``: that it should be, if that was said;
    ``versions``: group to the versions that the server has; ``unserved``: it has no Ingresses at
    all; ``settings``: data of TKE's ConfigMap; ``balancing``: the TkeServiceConfig that an Ingress
    names; ``proxies``: those of HTTP that the environment names, but for what goes past them;
    ``now``: when it was read, in seconds since the epoch by the clock here, 0 for unknown.
    """

    namespace: str
    kind: str
    name: str
    host: str = ""
    path: str = "/"
    expected_service: str = ""
    ingress: Object | None = None
    service_name: str = ""
    services: t.Sequence[Object] | None = ()
    slices: t.Sequence[Object] | None = ()
    pods: t.Sequence[Object] | None = ()
    deployments: t.Sequence[Object] | None = ()
    replica_sets: t.Sequence[Object] | None = ()
    nodes: t.Sequence[Object] | None = ()
    events: t.Sequence[Object] | None = ()
    classes: t.Sequence[Object] | None = ()
    space: Object | None = None
    settings: t.Mapping[str, str] | None = None
    versions: t.Mapping[str, t.Sequence[str]] = {}
    unserved: bool = False
    balancing: Object | None = None
    denied: t.Sequence[Unread] = ()
    failed: t.Sequence[Unread] = ()
    context: Context = Context()
    proxies: t.Mapping[str, str] = {}
    direct: t.Sequence[Direct] = ()
    logs: t.Sequence[Log] = ()
    probe: Object | None = None
    now: float = 0

    @property
    def service(self) -> Object | None:
        """The Service that a request is led to, None where it doesn't exist."""
        return named(self.services, self.service_name)

    @property
    def front(self) -> Object | None:
        """What stands in front."""
        return self.ingress if self.kind == "Ingress" else self.service


def named(objects: t.Iterable[Object] | None, name: str) -> Object | None:
    """The object with this name, or None."""
    return next((one for one in objects or () if one["metadata"]["name"] == name), None)


# --- What is kept ---------------------------------------------------------------------------------

# Of thousands of pods and events, all else would only fill memory.
_METADATA = (
    "name",
    "namespace",
    "uid",
    "labels",
    "ownerReferences",
    "deletionTimestamp",
    "finalizers",
)
_POD_SPEC = ("nodeName", "nodeSelector", "tolerations", "readinessGates", "hostNetwork")
_CONTAINER = ("name", "image", "ports", "resources", "readinessProbe")
_POD_STATUS = ("phase", "reason", "message", "conditions", "containerStatuses")
_EVENT = ("type", "reason", "message", "count", "involvedObject", "lastTimestamp", "eventTime")
#: Annotation by which TKE sends to pods, past the nodes, by the kind that has it.
DIRECT = {
    "Ingress": "ingress.cloud.tencent.com/direct-access",
    "Service": "service.cloud.tencent.com/direct-access",
}
#: What of other objects is left out: who wrote which field, but when the status was written, and
#: the object once more as a text (LAST_APPLIED).
_HISTORY = "managedFields"
_NODE_STATUS = ("images", "volumesInUse", "volumesAttached")


def _only(found: Object, fields: t.Iterable[str]) -> dict[str, t.Any]:
    return {field: found[field] for field in fields if field in found}


def keep_pod(pod: Object) -> dict[str, t.Any]:
    """A pod without what nobody needs to know of it."""
    spec = pod.get("spec") or {}
    return {
        "metadata": _only(pod["metadata"], _METADATA),
        "spec": {
            **_only(spec, _POD_SPEC),
            "containers": [_only(one, _CONTAINER) for one in spec.get("containers") or []],
        },
        "status": {
            **_only(pod.get("status") or {}, _POD_STATUS),
            "podIPs": [{"ip": one} for one in pod_addresses(pod)],
        },
    }


def keep_event(event: Object) -> dict[str, t.Any]:
    """An event without what nobody needs to know of it."""
    return {**_only(event, _EVENT), "metadata": _only(event["metadata"], ("creationTimestamp",))}


def _is_by(entry: Object, other: Object) -> bool:
    return bool(entry.get("manager") == other.get("manager"))


def _without(found: Object, fields: t.Container[str]) -> dict[str, t.Any]:
    return {field: value for field, value in found.items() if field not in fields}


def keep_object(found: Object) -> dict[str, t.Any]:
    """An object without its history, but for when its status was written."""
    metadata = _without(found["metadata"], (_HISTORY,))
    history = found["metadata"].get(_HISTORY) or []
    written = [
        _only(one, ("manager", "subresource", "time"))
        for one in history
        if one.get("subresource") == "status"
    ]
    # Who wrote direct access, where that is not who asked for the object.
    written += [
        {"manager": one.get("manager", ""), "annotation": key}
        for one in history
        for key in DIRECT.values()
        if owns(one, "metadata", "annotations", key)
        and not any(_is_by(one, other) and owns(other, "spec") for other in history)
    ]
    if written:
        metadata[_HISTORY] = written
    if metadata.get("annotations"):
        metadata["annotations"] = _without(metadata["annotations"], (LAST_APPLIED,))
    return {**found, "metadata": metadata}


def keep_node(node: Object) -> dict[str, t.Any]:
    """A node without its history, its images and its volumes."""
    return {**keep_object(node), "status": _without(node.get("status") or {}, _NODE_STATUS)}


# --- Older APIs -----------------------------------------------------------------------------------


#: Label of an EndpointSlice that says who writes it, and who that is for Services with a selector
SLICE_MANAGER = "endpointslice.kubernetes.io/managed-by"
SLICE_CONTROLLER = "endpointslice-controller.k8s.io"


def slices_of(endpoints: Object) -> list[dict[str, t.Any]]:
    """The EndpointSlices that say the same as an Endpoints object."""
    name = endpoints["metadata"]["name"]
    # Of a Service that selects pods, a controller writes them, and overwrites what others write.
    labels = {"kubernetes.io/service-name": name, SLICE_MANAGER: SLICE_CONTROLLER}
    return [
        {
            "metadata": {"name": name, "labels": labels},
            "ports": subset.get("ports") or [],
            "endpoints": [
                {
                    "addresses": [entry["ip"]],
                    "conditions": {"ready": ready},
                    "nodeName": entry.get("nodeName"),
                    "targetRef": entry.get("targetRef"),
                }
                for key, ready in (("addresses", True), ("notReadyAddresses", False))
                for entry in subset.get(key) or []
            ],
        }
        for subset in endpoints.get("subsets") or []
    ]


# --- Reading --------------------------------------------------------------------------------------


class List(t.NamedTuple):
    """A list to read: of which API, where, and what to keep of each item."""

    group: str
    versions: tuple[str, ...]
    resource: str
    namespaced: bool = True
    keep: t.Callable[[Object], Object] = keep_object

    def url(self, version: str, namespace: str) -> str:
        """The path at the API server."""
        root = f"/apis/{self.group}/{version}" if self.group else f"/api/{version}"
        return (
            f"{root}/namespaces/{namespace}/{self.resource}"
            if self.namespaced
            else (f"{root}/{self.resource}")
        )


LISTS: dict[str, List] = {
    "services": List("", ("v1",), "services"),
    "deployments": List("apps", ("v1",), "deployments"),
    "replica_sets": List("apps", ("v1",), "replicasets"),
    "nodes": List("", ("v1",), "nodes", namespaced=False, keep=keep_node),
    "events": List("", ("v1",), "events", keep=keep_event),
    "classes": List("networking.k8s.io", ("v1", "v1beta1"), "ingressclasses", namespaced=False),
}
PODS = List("", ("v1",), "pods", keep=keep_pod)
NAMESPACES = List("", ("v1",), "namespaces", namespaced=False)
CONFIG_MAPS = List("", ("v1",), "configmaps")
BALANCING = List("cloud.tencent.com", ("v1alpha1",), "tkeserviceconfigs")
SLICES = List("discovery.k8s.io", ("v1", "v1beta1"), "endpointslices")
ENDPOINTS = List("", ("v1",), "endpoints")
INGRESSES = tuple(
    List(group, tuple(one.split("/")[1] for one in apis), "ingresses")
    for group, apis in groupby(INGRESS_APIS, lambda one: one.split("/")[0])
)


class Reader:
    """Reads for :func:`read_path`.

    What may not be read is remembered in ``denied``, what fails otherwise in ``failed``.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """Ask which APIs there are. Raises ClusterError where nothing answers."""
        self.cluster = cluster
        self.namespace = namespace
        self.denied: list[Unread] = []
        self.failed: list[Unread] = []
        #: Group and resource of what the API server has: it found an object, or knew of none.
        self.present: set[tuple[str, str]] = set()
        groups = cluster.get("/apis").get("groups") or []
        self.versions: dict[str, list[str]] = {
            group["name"]: [one["version"] for one in group["versions"]] for group in groups
        }
        self.versions[""] = ["v1"]

    def served(self, wanted: List) -> list[str]:
        """The versions of this API's group that are served, the newest first."""
        return [one for one in wanted.versions if one in self.versions.get(wanted.group, ())]

    def _first(
        self, verb: str, wanted: List, call: t.Callable[[str], t.Any], namespace: str
    ) -> t.Any:
        """What ``call`` returns of the first version that isn't answered with 404.

        None where all are, or where it is not allowed, which is remembered. That a group has a
        version doesn't say that the resource is in it: v1 of networking.k8s.io had NetworkPolicies
        long before Ingresses.
        """
        where = namespace if wanted.namespaced else ""
        for version in self.served(wanted):
            try:
                found = call(wanted.url(version, namespace))
                self.present.add((wanted.group, wanted.resource))
                return found
            except ClusterError as error:
                nothing = Unread(verb, wanted.group, wanted.resource, where, str(error))
                if error.status == 403:
                    self.denied.append(nothing)
                    return None
                if error.status == 401:
                    raise
                if error.status != 404:
                    self.failed.append(nothing)
                    return None
                if not error.is_unserved:
                    self.present.add((wanted.group, wanted.resource))
        return None

    def unread(self, wanted: List) -> bool:
        """Is nothing known of this, as it may not be read or that failed?"""
        return any(
            (one.group, one.resource) == (wanted.group, wanted.resource)
            for one in (*self.denied, *self.failed)
        )

    def confirm(self) -> None:
        """Where a read failed: does the API server answer at all? Raises ClusterError."""
        if self.failed:
            self.cluster.get("/apis")

    def all(self, wanted: List, **query: str) -> list[Object] | None:
        """The items; None where they may not be read, or where there is no such API."""

        def call(url: str) -> list[Object]:
            return self.cluster.items(url, wanted.keep, **query)

        found: list[Object] | None = self._first("list", wanted, call, self.namespace)
        return found

    def one(self, wanted: List, name: str, namespace: str | None = None) -> Object | None:
        """One object; None where it doesn't exist or may not be read."""

        def call(url: str) -> Object:
            return self.cluster.get(f"{url}/{name}")

        found: Object | None = self._first("get", wanted, call, namespace or self.namespace)
        return found

    def ingress(self, name: str) -> Object | None:
        """The Ingress, in today's shape whatever API has it."""
        for wanted in INGRESSES:
            found = self.one(wanted, name)
            if found is not None:
                return modern_ingress(keep_object(found))
            if self.unread(wanted):
                break
        return None

    def has_no_ingresses(self) -> bool:
        """Does the API server not even know what an Ingress is, once one was asked for?"""
        return not any(
            (one.group, one.resource) in self.present or self.unread(one) for one in INGRESSES
        )

    def slices(self, service: str) -> list[Object] | None:
        """The EndpointSlices of a Service, made from its Endpoints on servers without them."""
        if self.served(SLICES):
            return self.all(SLICES, labelSelector=f"kubernetes.io/service-name={service}")
        found = self.one(ENDPOINTS, service)
        if found is None:
            return None if self.unread(ENDPOINTS) else []
        return list(slices_of(found))


def leads_to(ingress: Object | None, host: str, path: str) -> str:
    """The name of the Service that an Ingress sends a request to; empty where none is."""
    return next(iter(backends(ingress or {}, host, path)), "") if ingress else ""


def requested(
    front: Object | None, options: t.Mapping[str, t.Any], probe: Object | None
) -> tuple[str, str]:
    """Host and path of the requests that were sent, or would be.

    Of what was probed by a URL they are the URL's own, as far as ``request_host`` isn't sent there.
    The host is empty where the load balancer is asked by its own address, as it is without one.
    """
    host, path = options.get("request_host") or "", options.get("path") or "/"
    if front is None:
        return host, path
    urls = [one["url"] for one in (probe or {}).get("targets") or [] if one.get("url")]
    name, path = asked_for(host, path, urls[0] if urls else "")
    return (host if name in addresses(front) else name), path


def read_path(
    cluster: Cluster, namespace: str, options: t.Mapping[str, t.Any], probe: Object | None = None
) -> TrafficPath:
    """Read one way. Raises ClusterError where the API server doesn't answer or knows us not."""
    reader = Reader(cluster, namespace)
    kind = "Ingress" if options["ingress"] else "Service"
    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
        futures = {name: pool.submit(reader.all, wanted) for name, wanted in LISTS.items()}
        ingress = pool.submit(reader.ingress, options["ingress"]) if options["ingress"] else None
        space = pool.submit(reader.one, NAMESPACES, namespace)
        settings = pool.submit(reader.one, CONFIG_MAPS, SETTINGS, SETTINGS_NAMESPACE)
        front = ingress.result() if ingress else None
        host, path = requested(front, options, probe)
        service_name = leads_to(front, host, path) if ingress else options["service"]
        # A request that no rule takes leads nowhere; what should be behind it is still of interest.
        service_name = service_name or options["service"] or _any_service(front)
        services = futures["services"].result()
        selector = ((named(services, service_name) or {}).get("spec") or {}).get("selector") or {}
        text = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        pods = pool.submit(reader.all, PODS, labelSelector=text) if selector else None
        # Which pods a Service takes that may not be read is not known.
        no_pods: list[Object] | None = None if services is None else []
        slices = pool.submit(reader.slices, service_name) if service_name else None
        wanted = annotated(front, CONFIG)
        balancing = pool.submit(reader.one, BALANCING, wanted) if wanted else None
        found = {name: future.result() for name, future in futures.items()}
        data = settings.result()
        read = TrafficPath(
            namespace=namespace,
            kind=kind,
            name=options["ingress"] or options["service"],
            host=host,
            path=path,
            expected_service=options["service"] if ingress else "",
            ingress=front,
            service_name=service_name,
            pods=pods.result() if pods else no_pods,
            slices=slices.result() if slices else [],
            space=space.result(),
            settings=None if data is None else data.get("data") or {},
            versions=reader.versions,
            unserved=bool(ingress) and reader.has_no_ingresses(),
            balancing=balancing.result() if balancing else None,
            probe=probe,
            deployments=found["deployments"],
            replica_sets=found["replica_sets"],
            nodes=found["nodes"],
            events=found["events"],
            classes=found["classes"],
            services=services,
        )
    reader.confirm()
    return read._replace(
        denied=tuple(dict.fromkeys(reader.denied)), failed=tuple(dict.fromkeys(reader.failed))
    )


def annotated(found: Object | None, key: str) -> str:
    """The value of an annotation; empty without it."""
    return str(annotations_of(found).get(key) or "")


def _any_service(ingress: Object | None) -> str:
    """The Service of the first rule, for requests that no rule takes."""
    spec = (ingress or {}).get("spec") or {}
    for rule in spec.get("rules") or []:
        for entry in (rule.get("http") or {}).get("paths") or []:
            name = ((entry.get("backend") or {}).get("service") or {}).get("name")
            if name:
                return str(name)
    return ""


# --- Asking the app itself ------------------------------------------------------------------------

#: What the API server's proxy says, by outcome: k8s.io/apimachinery/pkg/util/proxy.
_REASONS = (
    ("refused", r"connection refused"),
    ("timeout", r"deadline exceeded|i/o timeout|timed out|Client\.Timeout|context canceled"),
)


def ask(cluster: Cluster, namespace: str, pod: str, port: int, scheme: str, path: str) -> Direct:
    """Ask an app through the API server, past load balancer and node. Never raises."""
    name = pod if scheme == "http" else f"{scheme}:{pod}"
    url = f"/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy{path}"
    start = time.monotonic()
    status, detail = cluster.ask(url, _DIRECT_TIMEOUT)
    seconds = round(time.monotonic() - start, 3)
    return Direct(pod, port, scheme, outcome_of(status, detail), status, detail, seconds)


def outcome_of(status: int, detail: str) -> str:
    """The outcome of a request through the API server's proxy; ``status`` 0 is no answer."""
    try:
        message = str(json.loads(detail)["message"])
    except (ValueError, KeyError, TypeError):
        message = ""
    # The proxy's own errors are Status objects; what the app says passes as it is.
    trouble = message if status in (502, 503, 504) else "" if status else detail
    if status and not trouble:
        return "denied" if status in (401, 403) and message else "answers"
    for outcome, pattern in _REASONS:
        if re.search(pattern, trouble):
            return outcome
    return "other"
