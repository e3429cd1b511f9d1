# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Which ways lead around what stands in front of the pods: pure functions."""

from __future__ import annotations

import re
import shlex
import typing as t
from itertools import chain, zip_longest

from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import (
    by_use,
    full_name,
    has_ended,
    labels_match,
    name_of,
    namespace_of,
    of_nodes,
    of_services,
    pod_addresses,
    ready_pods,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    is_private,
    parse_address,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._listeners import (
    PORTS,
    Listener,
    bracketed,
    every_listener,
    listeners,
    targets,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import MADE
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import addresses
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import (
    entries_to,
    every_rule,
    is_port,
    paths_to,
    service_name,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import INGRESS, TKE_CLASS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    annotations_of,
    class_of,
)

Object = t.Mapping[str, t.Any]


def beside(service: Object, services: t.Iterable[Object], pods: t.Iterable[Object]) -> list[Object]:
    """Other Services that lead to pods of this one, from a list that may be of all namespaces.

    ``pods``: those that the Service selects. Where they may not be read, what it selects by is
    known of their labels.
    """
    own = service["metadata"]
    running = [pod for pod in pods if not has_ended(pod)]
    every = [_selector(service), *(pod["metadata"].get("labels") for pod in running)]
    return [
        one
        for one in services
        if one["metadata"]["namespace"] == own["namespace"]
        and one["metadata"]["name"] != own["name"]
        and one.get("spec", {}).get("type") != "ExternalName"
        and any(labels_match(labels, _selector(one)) for labels in every)
    ]


def _selects(service: Object, pod: Object) -> bool:
    same = namespace_of(service) == namespace_of(pod)
    return same and labels_match(pod["metadata"].get("labels"), _selector(service))


def _selector(service: Object) -> t.Mapping[str, str]:
    return service.get("spec", {}).get("selector") or {}


def led_by_nodes(services: t.Iterable[Object]) -> list[Object]:
    """Those to whose pods kube-proxy leads anybody: not the headless ones, which proxies know."""
    return [
        one for one in services if one.get("spec", {}).get("clusterIP") not in (None, "", "None")
    ]


def _is_at(service: Object, front: Object) -> bool:
    """Whether a Service has an address of the front's status. Without a load balancer, that can
    have the address that is the cluster's own.
    """
    return bool({*addresses(front)} & {*addresses(service), *of_services([service])})


class Controller(t.NamedTuple):
    """The Services by which one gets to the pods of an Ingress' controller, where these are known.

    ``listening``: those at the Ingress' address, with node ports or without; ``others``: those that
    lead to the same pods; ``likely``: those with node ports for the web that may be its;
    ``nodes``: those whose node ports are the likeliest to answer come first.
    """

    listening: t.Sequence[Object] = ()
    others: t.Sequence[Object] = ()
    likely: t.Sequence[Object] = ()
    nodes: t.Sequence[Object] = ()

    @property
    def exposed(self) -> list[Object]:
        """Those that have node ports."""
        every = [*self.listening, *self.others, *self.likely]
        return [one for one in every if _node_ports(_ports(one, ()))]


NO_CONTROLLER = Controller()


def controller_of(
    front: Object,
    services: t.Sequence[Object],
    nodes: t.Sequence[Object],
    pods: t.Sequence[Object],
    led_to: t.Iterable[Object],
    ingresses: t.Iterable[Object],
) -> Controller:
    """What leads to the controller of an Ingress. Where the Ingress is at no Service's address, or
    at a node's, as on premises, that may be each that listens at the ports of HTTP and HTTPS. TKE's
    load balancers are no pods of the cluster.

    ``nodes``, ``pods``: all that may be read; ``led_to``: Services of the pods behind the Ingress,
    which are none of these; those that any of the other ``ingresses`` leads to are likely none.
    """
    if not may_have_controller(front):
        return NO_CONTROLLER
    own_apps = {*map(full_name, led_to)}
    candidates = [one for one in services if full_name(one) not in own_apps]
    listening = [one for one in candidates if _is_at(one, front)]
    beside_them = (beside(one, candidates, _behind([one], pods)) for one in listening)
    known = {full_name(one): one for one in chain(listening, *beside_them)}
    at_a_node = bool({*addresses(front)} & {*of_nodes(nodes)[0]})
    apps = {*chain.from_iterable(map(_backends, ingresses))}
    # A controller can be behind another one.
    likely = [
        one
        for one in (candidates if at_a_node or not listening else ())
        if full_name(one) not in known and _may_be_controllers(one, apps)
    ]
    own = _behind(known.values() or likely, pods)
    used = {pod.get("spec", {}).get("nodeName") for pod in own}

    def is_another(node: Object) -> bool:
        # Those that the status names have its pods, and may be the only ones that answer.
        return name_of(node) not in used and not {*_every(node)} & {*addresses(front)}

    return Controller(
        listening,
        [one for one in known.values() if one not in listening],
        likely,
        sorted(by_use(nodes, own, ready_pods(own)), key=is_another),
    )


def _behind(services: t.Collection[Object], pods: t.Iterable[Object]) -> list[Object]:
    """Those of the pods of all namespaces that one of the Services selects."""
    return [pod for pod in pods if any(_selects(one, pod) for one in services)]


def _may_be_controllers(service: Object, apps: t.Container[str]) -> bool:
    """Whether a Service has node ports for the web, and is likely no application's."""
    web = [port for port in _ports(service, ()) if port["port"] in PORTS.values()]
    return len(_node_ports(web)) > (1 if full_name(service) in apps else 0)


def may_have_controller(front: Object) -> bool:
    """Whether pods of the cluster may answer for what is in front."""
    return front.get("kind") == INGRESS and not _is_tkes(front)


def _backends(ingress: Object) -> t.Iterator[str]:
    """Each Service that an Ingress leads to, with its namespace."""
    paths = chain.from_iterable(paths for _host, paths in every_rule(ingress))
    for one in (
        ingress.get("spec", {}).get("defaultBackend"),
        *(path["backend"] for path in paths),
    ):
        yield f"{ingress['metadata']['namespace']}/{service_name(one)}"


# Enough to show that node ports are open, and that a host is served; more would be a scan.
_NODES = 3
_PODS = 2
_HOSTS = 3
_PATHS = 3
_OTHERS_RULES = 2
# Each can have rules of its own, as to which clients it believes.
_LISTENERS = 16
_OWN = 5
_OTHERS = 3
_ENTRIES = 6
#: What can be asked for, or all but its first label: an annotation can hold any text
_NAME = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*", re.ASCII)


def around(
    nodes: t.Sequence[Object],
    pods: t.Iterable[Object],
    service: Object | None,
    front: Object | None,
    others: t.Sequence[Object] = (),
    controller: Controller = NO_CONTROLLER,
    at_its_address: t.Sequence[Object] = (),
    ingresses: t.Sequence[Object] = (),
) -> dict[str, t.Any]:
    """``bypass`` as source_ip_info takes it: the Service's node port on a few nodes, its port on
    a few ``pods``, where the Service behind an Ingress, or behind its own load balancer, is reached
    by itself, the balancer's own addresses, the hosts of its rules, the paths of those that lead to
    the Service, and where it listens.

    ``nodes``, ``pods``: those to be asked first come first; ``others``: as :func:`led_by_nodes`
    leaves them of those beside it. They are ways around what is in front, as the Service is around
    an Ingress. ``controller``: if it is to be asked past what is in front; ``at_its_address``: its
    Services where that is; ``ingresses``: others there, with rules of their own for these Services.
    """
    # What its load balancer writes, as the PROXY protocol, nobody does at its external addresses.
    own = {**service, "status": {}} if service and service is front else service
    behind = [own, *others] if own else []
    rules = (front or {}).get("spec", {}).get("rules") or []
    ports = node_port(service or {}, rules)
    others_ports = [port for one in behind[1:] for port in node_port(one, rules)]
    balancers = addresses(front or {})
    entry_ports = [port for one in controller.exposed for port in _web_ports(one)][:_ENTRIES]
    # Nobody's Service has it: it can be that of a node, which others are translated to.
    told = [] if controller.listening else [[one] for one in balancers if parse_address(one)]
    machines = (told, map(_open_to_all, controller.nodes), map(_internal, controller.nodes))
    at_nodes = [place for one in machines for place in _at_nodes([*one], entry_ports, ())]
    aside = (place for one in controller.others for place in _by_itself(one, ()))
    names = {*map(name_of, behind)}
    named = _called(host for host, _paths in every_rule(front or {}, service))[:_HOSTS]
    led = [place for one in ingresses for place in _places(one, names)]
    more = [host for host in _called(host for host, _path in led) if host not in named]
    rules_there = chain.from_iterable(one.get("spec", {}).get("rules") or [] for one in ingresses)
    paths = paths_to(service, rules)[:_PATHS]
    others_paths = [path for path in paths_to(service, rules_there) if path not in paths]
    # Others of one load balancer tell it where to listen as well, and its controller's Services do.
    every = chain.from_iterable(map(every_listener, [front or {}, *ingresses, *at_its_address]))
    listening = [*dict.fromkeys(f"{scheme}:{port}" for scheme, port in every)]
    return {
        "node_ports": _at_nodes([*map(_open_to_all, nodes)], ports, others_ports),
        # One that everybody can have for his own is asked from where it belongs.
        "internal_node_ports": _at_nodes([*map(_internal, nodes)], ports, others_ports),
        # What is probed can be a node's address that no node's status tells, as a translated one or
        # one that moves between them. TKE's load balancers are none.
        "node_ports_of_targets": (
            [] if _is_tkes(front or {}) else [*dict.fromkeys([*ports, *others_ports])][:_OTHERS]
        ),
        "controller": [*dict.fromkeys(at_nodes)],
        "controller_service": [*dict.fromkeys(aside)][:_OWN],
        "pods": _pod_ports(pods, service or {}, rules),
        "service": _by_themselves(behind, rules),
        "load_balancer": balancers,
        "hosts": [*named, *more[:_OTHERS_RULES]],
        "paths": [*paths, *others_paths[:_OTHERS_RULES]],
        "listeners": listening[:_LISTENERS],
    }


def _called(hosts: t.Iterable[str]) -> list[str]:
    """Those that can be asked for, each once."""
    return [*dict.fromkeys(_one_of(host) for host in hosts if _NAME.fullmatch(host))]


def _one_of(host: str) -> str:
    """A host that a rule's is for: any name will do for a wildcard."""
    return f"real-ip{host[1:]}" if host.startswith("*") else host


def node_port(service: Object, rules: t.Iterable[Object] = ()) -> list[int]:
    """The first node port of a Service that has one, of those that the rules send to if any."""
    return _node_ports(_ports(service, rules))[:1]


def _web_ports(service: Object) -> list[int]:
    """Two node ports of a Service, those for HTTP and HTTPS if it has them."""
    ports = sorted(_ports(service, ()), key=lambda port: port["port"] not in PORTS.values())
    return _node_ports(ports)[:2]


def _node_ports(ports: t.Iterable[Object]) -> list[int]:
    return [port["nodePort"] for port in ports if port.get("nodePort")]


def _addresses_of(node: Object) -> t.Iterator[tuple[str, bool]]:
    """A node's addresses, and whether everybody gets there."""
    for one in node.get("status", {}).get("addresses") or []:
        told = parse_address(one["address"])
        if told and one.get("type") in ("ExternalIP", "InternalIP"):
            yield one["address"], one["type"] == "ExternalIP" or not is_private(told.address)


def _open_to_all(node: Object) -> list[str]:
    return [address for address, to_all in _addresses_of(node) if to_all]


def _internal(node: Object) -> list[str]:
    return [address for address, to_all in _addresses_of(node) if not to_all]


def _every(node: Object) -> list[str]:
    return [address for address, _to_all in _addresses_of(node)]


def _at_nodes(
    nodes: t.Sequence[t.Sequence[str]], ports: t.Sequence[int], others: t.Sequence[int]
) -> list[str]:
    """Ports at the first few nodes that have addresses, and a few ports of others there."""
    some = [*filter(None, nodes)][:_NODES]
    more = [(node, port) for node in some for port in others][:_OTHERS]
    asked = [*((node, port) for node in some for port in ports), *more]
    return [f"{bracketed(address)}:{port}" for node, port in asked for address in node]


def _is_tkes(front: Object) -> bool:
    annotations = annotations_of(front)
    return class_of(front) == TKE_CLASS or any(map(annotations.get, MADE.values()))


def _pod_ports(pods: t.Iterable[Object], service: Object, rules: t.Iterable[Object]) -> list[str]:
    """Where a few pods answer to what is sent to the Service."""
    port = next(iter(_ports(service, rules)), {})
    target = port.get("targetPort", port.get("port"))
    found = []
    for pod in [*pods][:_PODS]:
        containers = pod.get("spec", {}).get("containers") or []
        own = [one for container in containers for one in container.get("ports") or []]
        named = [one["containerPort"] for one in own if one.get("name") == target]
        numbers = named[:1] if isinstance(target, str) else [target] if target else []
        found += [f"{bracketed(one)}:{port}" for one in pod_addresses(pod) for port in numbers]
    return found


def _ports(service: Object, rules: t.Iterable[Object]) -> list[Object]:
    """A Service's ports of TCP; those that the rules send to come first."""
    backends = [entry["backend"]["service"] for entry in entries_to(service, rules)]
    sent_to = [one["port"] for one in backends if one.get("port")]

    def is_other(port: Object) -> bool:
        return not any(is_port(port, one) for one in sent_to)

    ports = service.get("spec", {}).get("ports") or []
    return sorted((one for one in ports if one.get("protocol", "TCP") == "TCP"), key=is_other)


def _by_themselves(services: t.Sequence[Object], rules: t.Sequence[Object]) -> list[str]:
    """Where the first Service is reached by itself, and the others, each once before any twice."""
    own = [place for one in services[:1] for place in _by_itself(one, rules)]
    rounds = zip_longest(*(_by_itself(one, rules) for one in services[1:]))
    others = [place for places in rounds for place in places if place and place not in own]
    return [*own[:_OWN], *[*dict.fromkeys(others)][:_OTHERS]]


def _by_itself(service: Object, rules: t.Iterable[Object]) -> list[str]:
    """Addresses and names with ports of a Service that has a load balancer of its own, or external
    addresses; those at ports that the rules send to come first, since there may be too many.
    """
    external = service.get("spec", {}).get("externalIPs") or []
    return [
        f"{bracketed(host)}:{port['port']}"
        for port in _ports(service, rules)
        for host in dict.fromkeys([*addresses(service), *external])
    ]


def _other_ingresses(front: Object, ingresses: t.Iterable[Object]) -> list[Object]:
    """Those of the namespace but the one in front."""
    # A Service can have the name of an Ingress.
    itself = full_name(front) if front.get("kind") == INGRESS else ""
    space = namespace_of(front)
    return [one for one in ingresses if namespace_of(one) == space and full_name(one) != itself]


def there_too(
    front: Object, services: t.Iterable[Object], ingresses: t.Iterable[Object]
) -> list[Object]:
    """Other Ingresses that lead to one of the Services at an address of what is in front."""
    own, names = {*addresses(front)}, {*map(name_of, services)}
    return [
        one
        for one in _other_ingresses(front, ingresses)
        if own & {*addresses(one)} and _places(one, names)
    ]


def _places(ingress: Object, names: t.Collection[str]) -> list[tuple[str, str]]:
    """Host and path of each rule that leads to one of the Services, empty where it is for all."""
    led = [
        (host, str(entry.get("path") or "/"))
        for host, paths in every_rule(ingress)
        for entry in paths
        if service_name(entry.get("backend")) in names
    ]
    default = service_name(ingress.get("spec", {}).get("defaultBackend"))
    return [*led, ("", "/")] if default in names else led


def elsewhere(
    front: Object, services: t.Iterable[Object], ingresses: t.Iterable[Object]
) -> dict[str, str]:
    """Namespace and name of other Ingresses that lead to one of the Services at an address that is
    none of this one's, to the command that asks there.
    """
    names = {*map(name_of, services)}
    own = {*addresses(front)}
    found = {}
    for one in _other_ingresses(front, ingresses):
        led = _places(one, names)
        others = [address for address in addresses(one) if address not in own]
        if led and others:
            host, path = led[0]
            found[full_name(one)] = _asking(others[0], host, path, listeners(one, host)[0])
    return dict(sorted(found.items())[:_OTHERS])


def _asking(address: str, host: str, path: str, listener: Listener) -> str:
    """The command that asks there."""
    [target] = targets([address], "", path, [listener])
    asked = [f"real_ip_url={target['url']}", *([f"real_ip_host={host}"] if host else [])]
    words = shlex.join(word for text in asked for word in ("-e", text))
    return f"ansible-playbook kestrel.real_ip.verify {words}"


_SCHEMES = {"HTTP": "http", "HTTPS": "https"}


def leading_to(services: t.Iterable[Object], routes: t.Iterable[Object]) -> list[Object]:
    """Those HTTPRoutes of one namespace that lead to one of its Services."""
    names = {one["metadata"]["name"] for one in services}
    return [one for one in routes if any(_rules_to(one, names))]


def _rules_to(route: Object, names: t.Collection[str]) -> t.Iterator[Object]:
    space = route["metadata"]["namespace"]
    for rule in route.get("spec", {}).get("rules") or []:
        if any(
            one.get("kind", "Service") == "Service"
            and one.get("namespace", space) == space
            and one.get("name") in names
            for one in rule.get("backendRefs") or []
        ):
            yield rule


def by_gateway(
    front: Object,
    services: t.Iterable[Object],
    routes: t.Iterable[Object],
    gateways: t.Iterable[Object],
) -> dict[str, str]:
    """Namespace and name of HTTPRoutes that lead to one of the Services through a Gateway at an
    address that is none of what is in front, to the command that asks there.
    """
    names = {one["metadata"]["name"] for one in services}
    own, known = addresses(front), {full_name(one): one for one in gateways}
    found: dict[str, str] = {}
    for route in routes:
        rule = next(_rules_to(route, names))
        host = _one_of(next(iter(route["spec"].get("hostnames") or []), ""))
        for address, listener in _entrances(route, known):
            if address not in own:
                command = _asking(address, host, _path_of(rule), listener)
                found.setdefault(full_name(route), command)
    return dict(sorted(found.items())[:_OTHERS])


def _entrances(route: Object, gateways: t.Mapping[str, Object]) -> t.Iterator[tuple[str, Listener]]:
    """Each address of a route's Gateways, with the first listener there that takes HTTP, of those
    that the route names.
    """
    for parent in route.get("spec", {}).get("parentRefs") or []:
        space = parent.get("namespace", route["metadata"]["namespace"])
        gateway = gateways.get(f"{space}/{parent['name']}", {})
        taken = [
            Listener(_SCHEMES[one["protocol"]], one["port"])
            for one in gateway.get("spec", {}).get("listeners") or []
            if one["protocol"] in _SCHEMES
            and parent.get("sectionName") in (None, one["name"])
            and parent.get("port") in (None, one["port"])
        ]
        if parent.get("kind", "Gateway") == "Gateway" and taken:
            for one in gateway.get("status", {}).get("addresses") or []:
                yield one["value"], taken[0]


def _path_of(rule: Object) -> str:
    paths = [one["path"] for one in rule.get("matches") or [] if one.get("path")]
    texts = [one.get("value", "/") for one in paths if one.get("type") != "RegularExpression"]
    return str(next(iter(texts), "/"))
