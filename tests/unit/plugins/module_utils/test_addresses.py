# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._addresses import (
    by_use,
    collect,
    instances,
    namesakes,
    other_nodes,
    ready_pods,
    receiving_pods,
    settings_of,
    unready_pods,
)
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.ingresses import (
    FRONT,
    a_pod,
)

NODE: dict[str, Any] = {
    "metadata": {"name": "node1"},
    "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "2001:db8:244:1::/64"]},
    "status": {
        "addresses": [
            {"type": "InternalIP", "address": "10.255.0.11"},
            {"type": "Hostname", "address": "node1"},
            {"type": "ExternalIP", "address": "203.0.113.99"},
        ]
    },
}
SERVICES = [
    {"spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "2001:db8:96::1"]}},
    {"spec": {"clusterIP": "None"}},
    {
        "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.9"},
        "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}},
    },
]


def test_ready_pods() -> None:
    pods = [
        a_pod("b"),
        a_pod("a"),
        a_pod("c", "False"),
        a_pod("d", deletionTimestamp="now"),
        {"metadata": {"name": "e"}},
    ]
    assert ready_pods(pods) == ["a", "b"]
    assert receiving_pods({"spec": {}}, pods) == ["a", "b"]
    assert unready_pods(pods, ["a", "b"]) == ["c", "e"]


def test_whose_node_ports_are_likely_to_answer() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    plane = {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]}
    made = (
        ("eklet", {"node.kubernetes.io/instance-type": "eklet"}, {}, ready),
        ("down", {}, {}, {"conditions": [{"type": "Ready", "status": "Unknown"}]}),
        ("plane", {}, plane, ready),
        ("server", {}, {"taints": [{**plane["taints"][0], "effect": "PreferNoSchedule"}]}, ready),
        ("n1", {}, {}, ready),
        ("n2", {}, {}, ready),
        ("busy", {}, plane, ready),
    )
    nodes = [
        {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}
        for name, labels, spec, status in made
    ]
    pods = [
        {**a_pod(name), "spec": {"nodeName": node}}
        for name, node in (("a", "busy"), ("b", "n2"), ("c", "eklet"), ("d", "n1"))
    ]
    found = [one["metadata"]["name"] for one in by_use(nodes, pods, ["a", "b", "c"])]
    # Where a pod is, it answers with externalTrafficPolicy Local as well; on a virtual node nobody.
    assert found == ["n2", "busy", "server", "n1", "plane", "down", "eklet"]


def test_nodes_without_its_pods() -> None:
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    nodes = [
        {"metadata": {"name": name}, "spec": {"taints": [{"key": key} for key in taints]}, **status}
        for name, taints, status in (
            ("n3", ("dedicated",), ready),
            ("n2", (), ready),
            ("n1", (), ready),
            ("plane", ("node-role.kubernetes.io/control-plane",), ready),
            ("down", (), {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}),
        )
    ]
    pods = [
        {**a_pod("a"), "spec": {"nodeName": "n1"}},
        {**a_pod("b", "False"), "spec": {"nodeName": "n2"}},
    ]
    assert other_nodes(nodes, pods, ["a"]) == ["n2", "n3"]
    # A server of k3s takes pods, and clients' requests, as any other node.
    label = {"node-role.kubernetes.io/control-plane": "true"}
    server = {"metadata": {"name": "server", "labels": label}, **ready}
    assert other_nodes([server], pods, ["a"]) == ["server"]


def test_pods_that_are_not_ready_may_get_requests_too() -> None:
    pods: list[dict[str, Any]] = [
        a_pod("a", "True", "10.0.0.1"),
        a_pod("b", "False", "10.0.0.2"),
        a_pod("without an address", "False"),
        a_pod("ending", "False", "10.0.0.3", deletionTimestamp="now"),
        {"metadata": {"name": "x"}, "status": {"phase": "Failed", "podIPs": [{"ip": "10.0.0.4"}]}},
    ]
    service = {"spec": {"publishNotReadyAddresses": True}}
    assert receiving_pods(service, pods) == ["a", "b"]
    assert unready_pods(pods, ["a", "b"]) == ["without an address"]
    annotation = "service.alpha.kubernetes.io/tolerate-unready-endpoints"
    for text, found in ("true", ["a", "b"]), ("1", ["a", "b"]), ("false", ["a"]), ("yes", ["a"]):
        of_old = {"metadata": {"annotations": {annotation: text}}, "spec": {}}
        assert receiving_pods(of_old, pods) == found
    # That leads elsewhere, whatever it selects.
    elsewhere = {"spec": {**service["spec"], "type": "ExternalName", "externalName": "a.example"}}
    assert receiving_pods(elsewhere, pods) == []


def test_a_later_pod_of_the_same_name_is_another_one() -> None:
    def made(uid: str, *containers: str, ready: str = "True") -> str:
        pod = a_pod("web-0", ready, "10.244.1.5")
        pod["metadata"]["uid"] = uid
        pod["status"]["containerStatuses"] = [{"containerID": one} for one in containers]
        [one] = instances([pod, a_pod("other", "True", "10.244.1.6")], ["web-0"])
        return one

    assert made("1", "a", "b").startswith("web-0 ")
    assert made("1", "a", "b") == made("1", "b", "a", ready="False")
    assert len({made("1", "a"), made("2", "a"), made("1", "c"), made("1", "a", "b")}) == 4


def test_what_tells_an_object_from_what_it_was() -> None:
    def told(spec: dict[str, Any], **annotations: str) -> str:
        metadata = {"name": "web", "annotations": annotations, "resourceVersion": str(len(spec))}
        return settings_of("Service", {"metadata": metadata, "spec": spec})

    assert told({"a": 1, "b": [2]}).startswith("Service web ")
    assert told({"a": 1, "b": [2]}, x="1", y="2") == told({"b": [2], "a": 1}, y="2", x="1")
    assert len({told({"a": 1}), told({"a": 2}), told({"a": 1}, x="1"), told({"a": 1}, x="2")}) == 4


def test_collect_all() -> None:
    assert collect([NODE], SERVICES, [a_pod("a", "True", "10.244.1.5")], [FRONT]) == {
        "nodes": ["10.255.0.11", "203.0.113.99"],
        "pods": ["10.244.1.0/24", "10.244.1.5", "2001:db8:244:1::/64"],
        "pod_names": {"10.244.1.5": "a"},
        "services": ["10.96.0.1", "10.96.0.9", "2001:db8:96::1"],
        "load_balancers": ["198.51.100.1", "198.51.100.7"],
        "proxied": [],
        "intercepted": ["198.51.100.7"],
    }


@pytest.mark.parametrize(
    ("annotations", "more"),
    [
        ({"projectcalico.org/IPv4IPIPTunnelAddr": "172.16.104.0"}, ["172.16.104.0"]),
        ({"projectcalico.org/IPv4VXLANTunnelAddr": "172.16.104.1"}, ["172.16.104.1"]),
        (
            {"k8s.ovn.org/node-gateway-router-lrp-ifaddr": '{"ipv4":"100.64.0.5/16"}'},
            ["100.64.0.5"],
        ),
        (
            {
                "k8s.ovn.org/node-gateway-router-lrp-ifaddrs": (
                    '{"default":{"ipv4":"100.64.0.3/16","ipv6":"fd98::3/64"}}'
                )
            },
            ["100.64.0.3", "fd98::3"],
        ),
        (
            {"ovn.kubernetes.io/ip_address": "100.64.0.4,fd00:100:64::4"},
            ["100.64.0.4", "fd00:100:64::4"],
        ),
        ({"network.cilium.io/ipv6-cilium-host": "fd00::7"}, ["fd00::7"]),
        ({"projectcalico.org/IPv4VXLANTunnelAddr": ""}, []),
        ({"projectcalico.org/IPv4VXLANTunnelAddr": "none yet"}, []),
        ({"example.com/IPv4VXLANTunnelAddr": "172.16.104.1"}, []),
        (None, []),
    ],
)
def test_the_end_of_a_tunnel_is_an_address_of_the_node(
    annotations: dict[str, str] | None, more: list[str]
) -> None:
    node = {**NODE, "metadata": {"annotations": annotations}}
    assert collect([node], [], [], [])["nodes"] == sorted(["10.255.0.11", *more, "203.0.113.99"])


def test_an_external_address_of_a_service_is_its_own() -> None:
    service = {"spec": {"clusterIP": "10.96.0.1", "externalIPs": ["203.0.113.50"]}}
    assert collect([], [service], [], [])["services"] == ["10.96.0.1", "203.0.113.50"]


def test_collect_leaves_out_what_could_not_be_read() -> None:
    assert collect(None, None, None, []) == {
        "load_balancers": [],
        "proxied": [],
        "intercepted": [],
    }
    # Somebody who may see only his own nodes, and has none.
    pods = [a_pod("a", "True", "10.244.1.5")]
    # Or nodes of which nothing tells an address: whether the prober is one isn't known.
    for nodes in ([], [{"status": {"addresses": [{"type": "Hostname", "address": "n1"}]}}]):
        assert not {"nodes", "pods"} & {*collect(nodes, [], pods, [])}
    # One of them alone may be where the prober is.
    assert "pods" not in collect([NODE, *nodes], [], pods, [])
    assert "pods" not in collect([NODE], None, None, [])
    assert "pods" not in collect(None, None, pods, [])


def test_collect_does_not_take_the_nodes_of_a_virtual_cluster_for_real_ones() -> None:
    labels = {"labels": {"vcluster.loft.sh/fake-node": "true"}}
    nodes = [NODE, {**NODE, "metadata": labels}]
    found = collect(nodes, [], [a_pod("a", "True", "10.244.1.5")], [])
    assert not {"nodes", "pods"} & {*found}
    assert found["pod_names"] == {"10.244.1.5": "a"}
    # What it made up is nobody's.
    assert "some_nodes" not in collect(nodes[1:], [], [], [])


def test_collect_names_pods_that_may_run_before_their_address_is_known() -> None:
    def named(**more: Any) -> list[str]:
        pod = {"metadata": {"name": "job"}, "spec": {"nodeName": "node1"}, "status": {}, **more}
        found: list[str] = collect([NODE], [], [pod], []).get("starting_pods", [])
        return found

    assert named() == ["job"]
    assert named(spec={"nodeName": "node1", "hostname": "job-0"}) == ["job", "job-0"]
    assert named(spec={}) == []
    assert named(spec={"nodeName": "node1", "hostNetwork": True}) == []
    assert named(status={"phase": "Failed"}) == []
    assert named(status={"podIP": "10.0.0.7"}) == []


def test_collect_leaves_out_pods_of_the_host_network() -> None:
    pod = {**a_pod("a", "True", "10.255.0.11"), "spec": {"hostNetwork": True}}
    assert collect(None, None, [pod], [])["pod_names"] == {}


def test_collect_knows_the_pods_of_the_whole_cluster_or_says_nothing_about_them() -> None:
    own, other = a_pod("own", "True", "10.0.0.5"), a_pod("proxy", "True", "10.0.0.6")
    assert collect([NODE], [], [own, other], [], [own])["pods"][:2] == ["10.0.0.5", "10.0.0.6"]
    found = collect([NODE], [], None, [], [own])
    assert "pods" not in found
    assert found["pod_names"] == {"10.0.0.5": "own"}


def test_collect_knows_all_nodes_that_pods_run_on_or_says_nothing_about_them() -> None:
    here = {**a_pod("here", "True", "10.0.0.5"), "spec": {"nodeName": NODE["metadata"]["name"]}}
    hidden = {**a_pod("there", "True", "10.0.0.6"), "spec": {"nodeName": "another"}}
    ended = {**hidden, "status": {"phase": "Succeeded"}}
    assert {"nodes", "pods"} <= {*collect([NODE], [], [here, ended], [])}
    for pods, own in (([here, hidden], []), ([here], [hidden]), (None, [hidden])):
        found = collect([NODE], [], pods, [], own)
        assert not {"nodes", "pods"} & {*found}
        # And yet those are the cluster's that are shown.
        assert found["some_nodes"] == ["10.255.0.11", "203.0.113.99"]
        assert found["some_pods"] == ["10.244.1.0/24", "2001:db8:244:1::/64"]
    # Where nodes may be listed, and pods not
    found = collect([NODE], [], None, [])
    assert ("pods" in found, found["some_pods"]) == (False, NODE["spec"]["podCIDRs"])
    assert "some_nodes" not in found


def test_pods_tell_addresses_of_nodes_that_may_not_be_listed() -> None:
    status = {"hostIP": "10.255.0.11", "hostIPs": [{"ip": "10.255.0.11"}, {"ip": "2001:db8::11"}]}
    several, one = ({**a_pod("a", "True", "10.0.0.5"), "status": each} for each in (status, {}))
    one["status"] = {"hostIP": "10.255.0.12"}
    ended = {**one, "status": {"phase": "Failed", "hostIP": "10.255.0.13"}}
    found = collect(None, [], [several, one, ended], [])
    assert found["some_nodes"] == ["10.255.0.11", "10.255.0.12", "2001:db8::11"]
    assert "some_nodes" not in collect([NODE], [], [several, one, ended], [])


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_collect_leaves_out_pods_that_have_ended(phase: str) -> None:
    pod = {"metadata": {"name": "job"}, "status": {"phase": phase, "podIPs": [{"ip": "10.0.0.7"}]}}
    assert collect([NODE], [], [pod], [])["pod_names"] == {}


def test_a_pod_has_an_address_on_kubernetes_before_1_16() -> None:
    """There its status has no list of them, and who runs in it would count as outside."""
    pod = {"metadata": {"name": "a"}, "status": {"podIP": "10.0.0.7", "phase": "Running"}}
    found = collect([{**NODE, "spec": {}}], [], [pod], [])
    assert (found["pods"], found["pod_names"]) == (["10.0.0.7"], {"10.0.0.7": "a"})
    assert receiving_pods({"spec": {"publishNotReadyAddresses": True}}, [pod]) == ["a"]
    assert collect([NODE], [], [{**pod, "spec": {"hostNetwork": True}}], [])["pod_names"] == {}
    assert collect([NODE], [], [{**pod, "status": {}}], [])["pod_names"] == {}


def test_only_addresses_that_kube_proxy_leaves_alone_are_proxied() -> None:
    entries = [{"ip": "198.51.100.1", "ipMode": "Proxy"}, {"ip": "198.51.100.2", "ipMode": "VIP"}]
    entries += [{"ip": "198.51.100.3"}, {"hostname": "lb.example"}]
    front = {"status": {"loadBalancer": {"ingress": entries}}}
    assert collect(None, None, None, [front])["proxied"] == ["198.51.100.1"]
    # It takes an external address of any Service, whatever a status says of it.
    taken = {"spec": {"externalIPs": ["198.51.100.1"]}}
    assert collect(None, [taken], None, [front])["proxied"] == []


def _of(
    namespace: str, name: str, kind: str = "ReplicaSet", phase: str = "Running", hostname: str = ""
) -> Any:
    owners = [{"kind": kind, "name": "o"}] if kind else []
    where = {"namespace": namespace, "name": name, "ownerReferences": owners}
    return {"metadata": where, "spec": {"hostname": hostname}, "status": {"phase": phase}}


OWN_PODS = [
    _of("a", "web-0", "StatefulSet", hostname="web-0"),
    _of("a", "tapp-0", "TApp"),
    _of("a", "app-5d-x2x"),
    _of("a", "bare", ""),
]


@pytest.mark.parametrize(
    ("names", "others", "expected"),
    [
        (["web-0", "app-5d-x2x"], [], []),
        (["web-0", "app-5d-x2x"], [_of("b", "web-0", "StatefulSet")], ["web-0"]),
        (["app-5d-x2x"], [_of("b", "web-0", "StatefulSet")], []),
        (["web-0"], [_of("b", "web-0", "StatefulSet", "Failed")], []),
        (["web-0"], [_of("b", "web-1", "StatefulSet")], []),
        # Who is called so by its host name, which is what most echo apps tell
        (["web-0"], [_of("b", "web-0-x-1", hostname="web-0")], ["web-0"]),
        (["web-0"], [_of("a", "other-5d-x2x", hostname="web-0")], ["web-0"]),
        (["web-0"], [_of("a", "other-5d-x2x", hostname="web-1")], []),
        # What isn't known of the others, may be.
        (["web-0", "app-5d-x2x", "bare"], None, ["bare", "web-0"]),
        (["app-5d-x2x"], None, []),
        (["tapp-0"], None, ["tapp-0"]),
    ],
)
def test_namesakes(names: list[str], others: list[Any] | None, expected: list[str]) -> None:
    everywhere = None if others is None else [*OWN_PODS, *others]
    assert namesakes(names, OWN_PODS, everywhere) == expected
