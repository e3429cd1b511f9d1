# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Reads the way from a load balancer to the pods, as far as a probe must know it."""

from __future__ import annotations

import typing as t
from collections import Counter
from itertools import chain

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import (
    by_use,
    collect,
    every_node,
    instances,
    is_here,
    namesakes,
    other_nodes,
    receiving_pods,
    settings_of,
    shown_whole,
    unready_pods,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._around import around
from ansible_collections.kestrel.real_ip.plugins.module_utils._controller import (
    NO_CONTROLLER,
    controller_of,
    may_have_controller,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._detours import detours, kept_by
from ansible_collections.kestrel.real_ip.plugins.module_utils._entrances import (
    ROUTE,
    Asked,
    at_front,
    entrances,
    leading_to,
    unasked,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._exposed import (
    OTHERS,
    beside,
    led_by_nodes,
    node_port,
    pods_beside,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import (
    Cluster,
    ClusterError,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._listeners import (
    listeners,
    may_listen,
    port_of,
    targets,
    url_takers,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import (
    addresses,
    paths_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._rights import Right, granting
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import (
    asked_for,
    backends,
    every_backend,
    read_as,
    rivals,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import INGRESS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    GATEWAYS,
    INGRESS_APIS,
    modern_ingress,
)

#: Which way, beside its namespace; the documentation of path_addresses_info says more.
OPTIONS: dict[str, dict[str, t.Any]] = {
    "ingress": {"type": "str"},
    "service": {"type": "str", "required": True},
    "request_host": {"type": "str", "default": ""},
    "path": {"type": "str", "default": "/"},
    "url": {"type": "str", "default": ""},
    "layer": {"type": "str", "choices": ["l7", "l4"], "default": "l7"},
}


_NODES, _SERVICES, _PODS = (Right("list", "", one) for one in ("nodes", "services", "pods"))
_ROUTES, _GATEWAYS = (Right("list", GATEWAYS, one) for one in ("httproutes", "gateways"))


_List = t.Sequence[t.Mapping[str, t.Any]]


class _Reader:
    """Reads lists of the cluster.

    What may not be read is remembered in ``unread``, and in ``grants`` by the right that is missing
    the command that gives it. What of a list is shown in part counts as that, with the command that
    shows it, and stands in ``parts``.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.unread: list[str] = []
        self.grants: dict[Right, str] = {}
        self.parts: set[Right] = set()

    def items(
        self, right: Right, version: str = "v1", **query: str
    ) -> list[dict[str, t.Any]] | None:
        """The list that a right is about, of the whole cluster where it names no namespace; None
        where it may not be read. Raises ClusterError for all else.
        """
        root = f"/apis/{right.group}/{version}" if right.group else f"/api/{version}"
        place = f"/namespaces/{right.namespace}" if right.namespace else ""
        try:
            return self.cluster.items(f"{root}{place}/{right.resource}", None, **query)
        except ClusterError as error:
            self._without(right, error)
            return None

    def _without(self, right: Right, error: ClusterError) -> None:
        """Go on without what may not be read. Raises all other errors."""
        if error.status != 403:
            raise error
        self.unread.append(str(error))
        self.grants[right] = granting(right, str(error))

    def whole(self, own: _List) -> tuple[_List | None, _List | None, _List]:
        """All Services and all pods, each None where it may not be read or isn't shown whole, and
        the pods that are shown beside all.

        ``own``: the pods behind the Service, which are among the last. Raises ClusterError.
        """
        read = self.items(_SERVICES), self.items(_PODS)
        services, pods = shown_whole(*read, own)
        for right, before, after in zip((_SERVICES, _PODS), read, (services, pods)):
            if before is not None and after is None:
                self._partly(right)
        # In a large cluster it would take as long again to look through all of them twice.
        return services, pods, [*((read[1] or []) if pods is None else []), *own]

    def check(self, nodes: _List, pods: t.Iterable[t.Mapping[str, t.Any]]) -> None:
        """Remember where these aren't all nodes. ``pods``: all that may be read."""
        if _NODES not in self.grants and every_node(nodes, pods) is None:
            self._partly(_NODES)

    def pods_of(self, service: t.Mapping[str, t.Any] | None, namespace: str) -> _List:
        """Those that a Service selects, none where they may not be read. Raises ClusterError."""
        selector = (service or {}).get("spec", {}).get("selector") or {}
        if not selector:
            return []
        labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        return self.items(_PODS._replace(namespace=namespace), labelSelector=labels) or []

    def services(self, right: Right) -> _List:
        """Those of one namespace, where the others may not be read. Raises ClusterError."""
        found = self.items(right) or []
        self.as_services(right)
        return found

    def as_services(self, right: Right) -> None:
        """Who isn't shown all Services may not be shown all of anything else."""
        if _SERVICES in self.parts and right not in self.grants:
            self._partly(right)

    def _partly(self, right: Right) -> None:
        """Go on without what is shown in part."""
        self.parts.add(right)
        where = f" -n {right.namespace}" if right.namespace else "" if right == _NODES else " -A"
        self.grants[right] = f"kubectl get {right.resource}{where}"
        self.unread.append(f"{right}: {self.grants[right]} shows a part of them alone")

    def ingresses(self, namespace: str) -> list[t.Mapping[str, t.Any]]:
        """Those of the whole cluster, of a namespace alone where the others may not be read, which
        has those that lead to the same pods. Raises ClusterError.
        """
        for api in INGRESS_APIS:
            group, __, version = api.partition("/")
            right = Right("list", group, "ingresses")
            try:
                read = self.items(right, version)
                if read is None:
                    read = self.items(right._replace(namespace=namespace), version)
                found = [*map(modern_ingress, read or [])]
                self.as_services(right)
                return found
            except ClusterError as error:
                if error.status != 404:
                    raise
        return []

    def routes(
        self, right: Right, services: _List
    ) -> tuple[list[t.Mapping[str, t.Any]], list[dict[str, t.Any]]]:
        """HTTPRoutes that lead to one of the Services, of the list that a right is about, and where
        there are any all Gateways; none where they may not be read, or where there is no such API,
        or it lacks one of both, as a service mesh needs no Gateways. Raises ClusterError.
        """
        try:
            api = self.cluster.find(f"/apis/{GATEWAYS}") if services else None
        except ClusterError as error:
            self._without(right, error)
            api = None
        if api is None:
            return [], []
        versions = [api["preferredVersion"], *(api.get("versions") or [])]
        names = [*dict.fromkeys(one["version"] for one in versions)]
        found = leading_to(services, self._served(right, names))
        return found, self._served(_GATEWAYS, names) if found else []

    def _served(self, right: Right, versions: t.Iterable[str]) -> list[dict[str, t.Any]]:
        """The list that a right is about, in the first version that has it, none where none has."""
        for version in versions:
            try:
                return self.items(right, version) or []
            except ClusterError as error:
                if not error.is_unserved:
                    raise
        return []

    def one(self, kind: str, namespace: str, name: str) -> dict[str, t.Any] | None:
        """One object, or None where it doesn't exist. Raises ClusterError."""
        return self.cluster.find_first(paths_of(kind, namespace, name))


def _union(lists: t.Iterable[t.Iterable[str]]) -> list[str]:
    return sorted({*chain.from_iterable(lists)})


def _led_to(
    ingress: t.Mapping[str, t.Any],
    asked: t.Iterable[tuple[str, str]],
    urls: t.Iterable[str],
    led: t.Callable[[t.Mapping[str, t.Any], str, str, str], list[str]] = backends,
) -> list[str]:
    """The Services that an Ingress sends requests to, by their host and path, and the schemes of
    ``urls``. ``led``: to which one request.
    """
    schemes = {url.partition(":")[0].lower() for url in urls} & {"http", "https"}
    return _union(
        led(ingress, host, form, scheme)
        for host, path in asked
        for form in read_as(path)
        for scheme in schemes or {""}
    )


class _Asked(t.NamedTuple):
    """What a probe asks for. ``addresses``: in the status of what is in front; ``targets``: of
    these; ``hosts``: for which it asks there; ``urls``: all that it asks at; ``places``: host and
    path of each request, with a URL those of that one.
    """

    addresses: list[str]
    targets: list[dict[str, str]]
    hosts: list[str]
    path: str
    urls: list[str]
    places: list[tuple[str, str]]


def _asked_of(front: t.Mapping[str, t.Any], options: t.Mapping[str, t.Any]) -> _Asked:
    named = addresses(front)
    # What a URL has behind the sign isn't sent.
    host, path = options["request_host"], options["path"].partition("#")[0]
    url, found = options["url"], targets(named, host, path, listeners(front, host))
    # Without a host of its own, the status' names are what is asked for.
    hosts = [host] if host else [name.lower() for name in named] or [""]
    return _Asked(
        named,
        found,
        hosts,
        path,
        [url] if url else [one["url"] for one in found],
        [asked_for(host, path, url)] if url else [(one, path) for one in hosts],
    )


def _unaddressed(kind: str, namespace: str, name: str) -> dict[str, str]:
    """The kind and name of what is in front and has no address, or isn't there, to the command that
    shows it.
    """
    return {f"{kind} {name}": _showing(kind, namespace, name)}


def _omitted(named: t.Sequence[tuple[str, str]]) -> dict[str, str]:
    """The few that there are, or how many of each kind, to the command that shows them."""
    if len(named) > OTHERS:
        kinds = Counter(_PLURALS[kind] for kind, _name in named)
        return {f"{kind} ({n})": f"kubectl get {kind.lower()} -A" for kind, n in kinds.items()}
    return {f"{kind} {name}": _showing(kind, *name.split("/")) for kind, name in named}


_PLURALS = {"Service": "Services", "Pod": "Pods", INGRESS: "Ingresses", ROUTE: "HTTPRoutes"}


def _showing(kind: str, namespace: str, name: str) -> str:
    return f"kubectl -n {namespace} describe {kind.lower()} {name}"


def read_way(cluster: Cluster, namespace: str, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What path_addresses_info returns, for ``options`` as in OPTIONS. Raises ClusterError."""
    reader = _Reader(cluster)
    name, url = options["service"], options["url"]
    service = reader.one("Service", namespace, name)
    ingress, front = None, service
    if options["ingress"]:
        front = reader.one("Ingress", namespace, options["ingress"])
        # One that is read by itself has its kind, of a list it has none.
        ingress = front = {**modern_ingress(front), "kind": INGRESS} if front else None
    pods = reader.pods_of(service, namespace)
    nodes = reader.items(_NODES) or []
    every_service, every_pod, shown = reader.whole(pods)
    known = collect(nodes, every_service, every_pod, [front] if front else [], shown)
    reader.check(nodes, [*(every_pod or []), *shown])
    here, routes_here = (one._replace(namespace=namespace) for one in (_SERVICES, _ROUTES))
    services = reader.services(here) if every_service is None else every_service
    # On layer 4 as well: pods that take the PROXY protocol take it from whoever gets past it.
    same = beside(service, services, pods) if service else []
    reached, led_to = led_by_nodes(same), [service, *same] if service else []
    asked = _asked_of(front or {}, options)
    has_controller = bool(asked.urls) and may_have_controller(front or {}, nodes)
    # On layer 4 as well: some hand the PROXY protocol on.
    others = reader.ingresses(namespace) if asked.urls else []
    routes, gateways = reader.routes(routes_here, led_to if asked.urls else [])
    ports = [port for port in map(port_of, asked.urls) if port]
    # A list that was refused is missed only where something would have been looked for in it. At an
    # Ingress' usual addresses, who listens is its controller.
    usual = options["ingress"] and not url
    unlisted = [one for one in reader.grants if one.resource == "ingresses"]
    found = controller_of(
        *(front or {}, services, nodes, every_pod or [], led_to, others, ports),
        every_ingress=not unlisted,
    )
    controller = found if asked.urls else NO_CONTROLLER
    ready = receiving_pods(service or {}, pods)
    missed = {
        # A controller can have host ports as well, and the status addresses of nodes.
        "node_ports": (
            _NODES if has_controller or any(map(node_port, [service or {}, *reached])) else None
        ),
        "service": here if service else None,
        # Other Services of its pods are known by these. Of few nodes each is asked.
        "controller_pods": (
            _PODS if has_controller and (controller.listening or controller.by_pods) else None
        ),
        "controller": _SERVICES if has_controller else None,
        "ingresses": next((one for one in unlisted if one.namespace), None),
        "controller_ingresses": next(
            (one for one in unlisted if has_controller and not one.namespace), None
        ),
        "rivals": next((one for one in unlisted if ingress and not one.namespace), None),
        "url_takers": _SERVICES if asked.urls and not usual else None,
        "routes": routes_here,
        "gateways": _GATEWAYS,
    }
    unread = {key: reader.grants[one] for key, one in missed.items() if one in reader.grants}
    named = (INGRESS if options["ingress"] else "Service", namespace, options["ingress"] or name)
    forms = [(host, form) for host, sent in asked.places for form in read_as(sent)]
    usually = [(host, asked.path) for host in asked.hosts], [one["url"] for one in asked.targets]
    reachable = front and (not url or may_listen(front, service, url))
    asked_first = by_use(nodes, pods, ready)
    receiving = [pod for pod in pods if pod["metadata"]["name"] in ready]
    every = entrances(front or {}, led_to, others, routes, gateways)
    bypass = around(
        *(asked_first, receiving, service, front, reached, controller, found.listening),
        at_front(front or {}, every)[0],
    )
    past = Asked(bypass["hosts"], bypass["paths"])
    names, paths = zip(*asked.places)
    unnamed = {*names} <= {"", *(one.lower() for one in asked.addresses)}
    probed = Asked(names, paths, ports, any_host=unnamed)
    if url and not is_here(asked_for("", "/", url)[0]):
        bypass["load_balancer"] = [one for one in bypass["load_balancer"] if not is_here(one)]
    unaddressed = bool(url) and not bypass["load_balancer"]
    return {
        "asked": {"namespace": namespace, **{one: options[one] or "" for one in OPTIONS}},
        "found": front is not None,
        "addresses": asked.addresses,
        "targets": asked.targets,
        "leads_to": _led_to(front or {}, *usually) if options["ingress"] else [name],
        "may_lead_to": (
            (_led_to(ingress, asked.places, asked.urls, every_backend) if ingress else [name])
            if reachable
            else []
        ),
        "url_takers": _union(
            url_takers(front or {}, service, services, one, nodes) for one in asked.urls
        ),
        "detours": detours(ingress, service),
        "rivals": _union(rivals(ingress, others, *one) for one in forms if ingress),
        "ready_pods": ready,
        "instances": instances(pods, ready),
        "settings": [
            settings_of(kind, one)
            for kind, one in ((INGRESS, ingress), ("Service", service))
            if one
        ],
        "unready_pods": unready_pods(pods, ready),
        "other_nodes": other_nodes(nodes, pods, ready),
        "namesakes": namesakes(ready, pods, every_pod),
        "kept_by": kept_by(ingress, service, {one["spec"].get("nodeName") for one in receiving}),
        "cluster_addresses": known,
        "bypass": {
            "unaddressed": _unaddressed(*named) if unaddressed else {},
            **bypass,
            "omitted": _omitted(bypass["omitted"]),
            **unasked(front or {}, every, past, probed),
            "pods_beside": pods_beside(same, every_pod or []),
            "unread": unread,
        },
        "unread": reader.unread,
        "version": cluster.get("/version").get("gitVersion", ""),
    }
