# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The causes of a bad verdict: what each one is, how to see it by hand, and what mends it.

The table is the one home of these texts: messages, documentation and tests are made from it. A code
that was released keeps its number and its meaning; a new one takes a number that was never used.

**The order of the rows is the ranking.** They follow the way of a request from its roots: first
what lets anybody see and do anything, then what pods need to exist, to start and to be ready, then
what leads to them, then the network, and last what happens to an address on a way that works. Of
several findings the primary cause is the first one in this order among those of the worst severity:
what stands further down can be its consequence, and never the other way round. One row ranks
elsewhere, see ``_BEFORE``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ansible_collections.kestrel.real_ip.plugins.module_utils._chinese_causes import CAUSES_ZH
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import Text, phrase

#: Worst first.
SEVERITIES = ("error", "warning", "info")

#: Where a cause is marked in the picture of the way, from the client to the app.
HOPS = ("client", "balancer", "ingress", "service", "node", "pod")

#: How a fix is carried out: typed into a shell as it stands, set as ``real_ip_*`` and the playbook
#: run again, or by a person who has to know or to decide something, mostly in a console. ``none``
#: where there is nothing to mend.
FIX_KINDS = ("command", "variable", "console", "none")

#: First digits of a number → the family that a documentation page is about.
FAMILIES: Mapping[str, tuple[str, str]] = {
    "P0": ("access", "What the tool itself lacks"),
    "P1": ("pods", "Pods that don't run"),
    "P2": ("service", "Services that lead nowhere"),
    "P3": ("ingress", "Ingress and load balancer"),
    "P4": ("network", "The network between"),
    "P5": ("address", "An address that doesn't arrive"),
}

#: Directory of the pages, from the root of the collection.
PAGES = "docs/causes"


class Cause(NamedTuple):
    """One row. ``cause``, ``fix`` and ``see`` are templates of str.format.

    Known to each are ``{namespace}``, ``{kind}`` and ``{name}`` of the object, and what its check
    says. ``fix`` holds what mends it in most cases; a check that knows better says so. ``see``: the
    command that shows it by hand. ``symptom``: what a person notices.
    """

    number: str
    severity: str
    hop: str
    title: str
    symptom: str
    cause: str
    fix: str
    fix_kind: str
    see: str

    @property
    def link(self) -> str:
        """Where the documentation has it."""
        return f"{PAGES}/{FAMILIES[self.number[:2]][0]}.md#{self.number.lower()}"


_DESCRIBE = "kubectl -n {namespace} describe {kind} {name}"

_TABLE = (
    # --- What the tool itself lacks ---------------------------------------------------------------
    Cause(
        "P001",
        "error",
        "client",
        "the API server can't be asked",
        "The play stops before anything is probed.",
        "The API server can't be reached from where the play runs, or can't be trusted, so nothing "
        "is known of the way",
        "Make the API server reachable and trusted: {next}",
        "console",
        "kubectl version",
    ),
    Cause(
        "P002",
        "error",
        "client",
        "the credentials are refused",
        "The play stops before anything is probed.",
        "The token or certificate is wrong, has expired or was revoked",
        "Get a new kubeconfig or token, and give it as real_ip_kubeconfig or real_ip_api_key",
        "console",
        "kubectl auth whoami",
    ),
    Cause(
        "P003",
        "warning",
        "client",
        "a right is missing",
        "Parts of the way are unknown.",
        "The account of this run may not {verb} {resource} {where}, so that part of the way is "
        "unknown",
        "{command}",
        "command",
        "kubectl auth can-i {verb} {resource} {flag}",
    ),
    Cause(
        "P004",
        "error",
        "client",
        "the context leads to another cluster",
        "Nothing of what was deployed is there.",
        "The cluster at {server}, by the context {context}, has no namespace {namespace}. The "
        "kubeconfig has other contexts, of which one may be the one that was meant: {others}",
        "Set real_ip_context to the one that was meant: {others}",
        "console",
        "kubectl config get-contexts",
    ),
    Cause(
        "P005",
        "error",
        "client",
        "the API server has no Ingresses",
        "kubectl: the server doesn't have a resource type ingresses.",
        "The API server has no Ingresses in networking.k8s.io/v1, nor in an older version; it "
        "serves {served}",
        "Use Kubernetes 1.14 or newer, or switch the API on: kube-apiserver "
        "--runtime-config=networking.k8s.io/v1/ingresses=true",
        "console",
        "kubectl api-versions",
    ),
    Cause(
        "P006",
        "warning",
        "client",
        "a part of the cluster can't be read",
        "Parts of the way are unknown, and the run takes long.",
        "The API server answers, but not to {read}, so that part of the way is unknown ({detail})",
        "Run it again; where it stays so, see what the API server's log says of {read}",
        "console",
        "kubectl get --raw /readyz?verbose",
    ),
    Cause(
        "P007",
        "error",
        "client",
        "the kubeconfig can't be used",
        "The play stops before anything is probed.",
        "There is no kubeconfig, it can't be read, or it has no such context, so that no way leads "
        "to an API server",
        "Give a kubeconfig that is there and whole as real_ip_kubeconfig, and a context that it "
        "has as real_ip_context: {detail}",
        "console",
        "kubectl config get-contexts",
    ),
    # --- Pods that don't run ----------------------------------------------------------------------
    Cause(
        "P101",
        "error",
        "pod",
        "the namespace is being deleted",
        "Nothing new can be made in the namespace, and what is there goes away.",
        "The namespace is being deleted, and everything in it with it{held}",
        "Wait until it is gone, then deploy again, or use another namespace: {held_fix}",
        "console",
        "kubectl get namespace {name} -o yaml",
    ),
    Cause(
        "P102",
        "error",
        "pod",
        "there is nothing to deploy pods",
        "The Service has no pods, and no Deployment would make any.",
        "No Deployment of the namespace makes pods for the Service {service}",
        "Deploy what makes pods for it",
        "console",
        "kubectl -n {namespace} get deployments --show-labels",
    ),
    Cause(
        "P103",
        "error",
        "pod",
        "the Deployment is scaled to zero",
        "There are no pods.",
        "The Deployment wants 0 pods",
        "kubectl -n {namespace} scale deployment {name} --replicas={replicas}",
        "command",
        "kubectl -n {namespace} get deployment {name}",
    ),
    Cause(
        "P111",
        "error",
        "pod",
        "a quota is used up",
        "Fewer pods than wanted, or none; the ReplicaSet tells of FailedCreate.",
        "The ResourceQuota {quota} of the namespace leaves no room for the pods ({detail})",
        "kubectl -n {namespace} patch resourcequota {quota} --type=merge -p {patch} && "
        "kubectl -n {namespace} rollout restart deployment/{name}",
        "command",
        "kubectl -n {namespace} describe resourcequota",
    ),
    Cause(
        "P112",
        "error",
        "pod",
        "Pod Security refuses the pods",
        "Fewer pods than wanted, or none; the ReplicaSet tells of FailedCreate.",
        "The namespace's Pod Security Standard doesn't admit what the pods ask for ({detail})",
        "Give the pods the securityContext that the message asks for",
        "console",
        "kubectl -n {namespace} describe replicasets",
    ),
    Cause(
        "P113",
        "error",
        "pod",
        "an admission policy or webhook refuses the pods",
        "Fewer pods than wanted, or none; the ReplicaSet tells of FailedCreate.",
        "{policy} of the cluster denies the pods ({detail})",
        "Ask who is responsible for {policy} for an exception, or change the pods as it wants",
        "console",
        "kubectl -n {namespace} describe replicasets",
    ),
    Cause(
        "P114",
        "error",
        "pod",
        "an admission webhook doesn't answer",
        "Fewer pods than wanted, or none; the ReplicaSet tells of FailedCreate.",
        "The webhook {policy} must be asked before a pod is made, and doesn't answer ({detail})",
        "Mend the webhook's service, or let its configuration say failurePolicy: Ignore",
        "console",
        "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
    ),
    Cause(
        "P119",
        "error",
        "pod",
        "the pods can't be made",
        "Fewer pods than wanted, or none; the ReplicaSet tells of FailedCreate.",
        "The API server refuses the pods ({detail})",
        "Change the Deployment as the message says",
        "console",
        "kubectl -n {namespace} describe replicasets",
    ),
    Cause(
        "P121",
        "error",
        "pod",
        "no node takes the pods: taints",
        "Pods stay Pending.",
        "Every node that could take the pod has a taint that it doesn't tolerate ({detail})",
        "kubectl -n {namespace} patch deployment {deployment} --type=json -p {patch}",
        "command",
        "kubectl -n {namespace} describe pod {name}",
    ),
    Cause(
        "P122",
        "error",
        "pod",
        "no node takes the pods: cordoned",
        "Pods stay Pending.",
        "The nodes are cordoned, so that no new pod is placed on them ({detail})",
        "kubectl uncordon {nodes}",
        "command",
        "kubectl get nodes",
    ),
    Cause(
        "P123",
        "error",
        "pod",
        "no node takes the pods: too few resources",
        "Pods stay Pending.",
        "No node has what the pod requests ({detail})",
        "Add a node, or lower the requests of the Deployment",
        "console",
        "kubectl -n {namespace} describe pod {name}",
    ),
    Cause(
        "P124",
        "error",
        "pod",
        "no node takes the pods: node selector",
        "Pods stay Pending.",
        "No node has the labels that the pod asks for ({detail})",
        "kubectl -n {namespace} patch deployment {deployment} --type=json -p {patch}",
        "command",
        "kubectl get nodes --show-labels",
    ),
    Cause(
        "P125",
        "error",
        "pod",
        "a node isn't ready",
        "Pods stay Pending, or those of a node stop answering.",
        "The node doesn't report to the API server as ready ({detail})",
        "Look at the node's kubelet, or replace the node",
        "console",
        "kubectl describe node {name}",
    ),
    Cause(
        "P129",
        "error",
        "pod",
        "no node takes the pods",
        "Pods stay Pending.",
        "The scheduler finds no node ({detail})",
        "Change what the message names",
        "console",
        "kubectl -n {namespace} describe pod {name}",
    ),
    Cause(
        "P131",
        "error",
        "pod",
        "the image doesn't exist",
        "ErrImagePull, ImagePullBackOff.",
        "The registry has no image {image}: name or tag is wrong",
        "Give the image its right name and tag",
        "console",
        "kubectl -n {namespace} describe pod {name}",
    ),
    Cause(
        "P132",
        "error",
        "pod",
        "the registry refuses the image",
        "ErrImagePull, ImagePullBackOff.",
        "The registry doesn't let the cluster have {image}: a pull secret is missing, or has no "
        "right to it",
        "Make a pull secret with kubectl create secret docker-registry, and name it in "
        "real_ip_image_pull_secrets",
        "console",
        "kubectl -n {namespace} describe pod {name}",
    ),
    Cause(
        "P133",
        "error",
        "pod",
        "the registry limits pulls",
        "ErrImagePull, ImagePullBackOff.",
        "The registry has had too many pulls from here and wants to be asked for {image} later",
        "Pull with an account, or from a registry of your own",
        "console",
        "kubectl -n {namespace} describe pod {name}",
    ),
    Cause(
        "P134",
        "error",
        "pod",
        "the registry can't be reached",
        "ErrImagePull, ImagePullBackOff.",
        "The node doesn't reach the registry of {image}: name, route, firewall, or the registry's "
        "list of allowed networks",
        "Open the way from the nodes to the registry",
        "console",
        "kubectl -n {namespace} describe pod {name}",
    ),
    Cause(
        "P135",
        "error",
        "pod",
        "the image is for another architecture",
        "The container ends at once with exec format error, or the image has no match for the "
        "platform.",
        "The image {image} has no program for the node's processor",
        "Take an image that is built for the nodes' architecture",
        "console",
        "kubectl get nodes -L kubernetes.io/arch",
    ),
    Cause(
        "P136",
        "error",
        "pod",
        "the image's name is malformed",
        "InvalidImageName.",
        "{image} is no name of an image",
        "Give the image its right name and tag",
        "console",
        "kubectl -n {namespace} describe pod {name}",
    ),
    Cause(
        "P139",
        "error",
        "pod",
        "the image can't be pulled",
        "ErrImagePull, ImagePullBackOff.",
        "The node can't pull {image} ({detail})",
        "Mend what the message names",
        "console",
        "kubectl -n {namespace} describe pod {name}",
    ),
    Cause(
        "P141",
        "error",
        "pod",
        "the container runs out of memory",
        "OOMKilled, CrashLoopBackOff.",
        "The container {container} needs more memory than its limit of {limit}, and the kernel "
        "ends it",
        "kubectl -n {namespace} set resources deployment {deployment} -c {container} "
        "--limits=memory={more}",
        "command",
        "kubectl -n {namespace} describe pod {name}",
    ),
    Cause(
        "P142",
        "error",
        "pod",
        "the container crashes",
        "CrashLoopBackOff, many restarts.",
        "The container {container} ends by itself with exit code {exit_code}{detail}",
        "Read its last log lines, and mend what they name",
        "console",
        "kubectl -n {namespace} logs {name} -c {container} --previous",
    ),
    Cause(
        "P143",
        "error",
        "pod",
        "the container can't be made",
        "CreateContainerConfigError, CreateContainerError, RunContainerError.",
        "The container {container} can't be made ({detail})",
        "Make what the message names, or take it out of the Deployment",
        "console",
        "kubectl -n {namespace} describe pod {name}",
    ),
    Cause(
        "P151",
        "error",
        "pod",
        "the app doesn't listen where it is asked",
        "Pods run but are never ready; the readiness probe's connection is refused.",
        "Nothing listens on the port that the readiness probe asks ({detail}): the app listens on "
        "another port, or hasn't started to",
        "Let the app listen on the port that its probe and the Service name",
        "console",
        "kubectl -n {namespace} describe pod {name}",
    ),
    Cause(
        "P152",
        "error",
        "pod",
        "the readiness probe fails",
        "Pods run but are never ready.",
        "The app answers its readiness probe with a failure ({detail})",
        "Let the probe ask what the app answers",
        "console",
        "kubectl -n {namespace} describe pod {name}",
    ),
    Cause(
        "P153",
        "error",
        "pod",
        "the load balancer's health check holds the pods back",
        "Pods run, their containers are ready, but the pods are not.",
        "With direct access a pod is ready only when the load balancer's health check reaches it, "
        "and its readiness gate {gate} isn't there yet",
        "Let the security group of the pods admit the load balancer's health check on the "
        "container port",
        "console",
        "kubectl -n {namespace} get pod {name} -o yaml",
    ),
    # --- Services that lead nowhere ---------------------------------------------------------------
    Cause(
        "P201",
        "error",
        "ingress",
        "the Ingress is missing",
        "There is nothing that would make a load balancer.",
        "The namespace has no Ingress {name}",
        "Name an Ingress that exists",
        "console",
        "kubectl -n {namespace} get ingress",
    ),
    Cause(
        "P202",
        "error",
        "service",
        "the Service is missing",
        "TKE's event E4041; the load balancer has no backend.",
        "{by} names the Service {name}, which the namespace doesn't have",
        "kubectl -n {namespace} patch ingress {ingress} --type=json -p {patch}",
        "command",
        "kubectl -n {namespace} get services",
    ),
    Cause(
        "P203",
        "error",
        "ingress",
        "the Ingress leads to another Service",
        "Other pods answer than those that were deployed.",
        "The Ingress sends the request to {seen} instead of the Service {service}",
        "kubectl -n {namespace} patch ingress {name} --type=json -p {patch}",
        "command",
        _DESCRIBE,
    ),
    Cause(
        "P204",
        "error",
        "service",
        "the Service lacks the port",
        "TKE's event E4042; the load balancer has no backend.",
        "The Ingress {ingress} names the port {port}, which the Service doesn't have ({ports})",
        "kubectl -n {namespace} patch ingress {ingress} --type=json -p {patch}",
        "command",
        "kubectl -n {namespace} get service {name}",
    ),
    Cause(
        "P205",
        "error",
        "service",
        "a Service of type ClusterIP has no node port",
        "TKE's event E4047; the load balancer has no backend.",
        "Without direct access the load balancer sends to node ports, and a Service of type "
        "ClusterIP has none",
        "kubectl -n {namespace} patch service {name} -p {patch}",
        "command",
        "kubectl -n {namespace} get service {name}",
    ),
    Cause(
        "P206",
        "error",
        "service",
        "the Service's selector matches no pod",
        "The Service has no endpoints although pods run.",
        "No pod of the namespace carries the labels of the Service's selector ({selector})",
        "kubectl -n {namespace} patch service {name} --type=json -p {patch}",
        "command",
        "kubectl -n {namespace} get pods --show-labels",
    ),
    Cause(
        "P207",
        "error",
        "service",
        "the Service has no selector",
        "The Service has no endpoints although pods run.",
        "The Service has no selector, so that Kubernetes gives it no endpoints",
        "kubectl -n {namespace} patch service {name} --type=merge -p {patch}",
        "command",
        "kubectl -n {namespace} get service {name} -o yaml",
    ),
    Cause(
        "P208",
        "error",
        "service",
        "the Service's target port is wrong",
        "502 from the load balancer although pods are ready.",
        "The Service sends to port {port} of the pods, where nothing listens ({detail})",
        "kubectl -n {namespace} patch service {name} --type=json -p {patch}",
        "command",
        "kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={name}",
    ),
    Cause(
        "P209",
        "error",
        "service",
        "no endpoint is ready",
        "502 or 503 from the load balancer.",
        "None of the Service's endpoints is ready ({detail})",
        "Mend the pods: what is found of them stands beside this one. Where nothing is, they are "
        "still starting: run it again, with a longer real_ip_wait_timeout if it waited too short",
        "console",
        "kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={name}",
    ),
    Cause(
        "P210",
        "error",
        "service",
        "an endpoint belongs to no pod",
        "Some requests fail or are answered by something else.",
        "The EndpointSlice names {address}, which is no pod of the Service",
        "kubectl -n {namespace} delete endpointslice {name}",
        "command",
        "kubectl -n {namespace} get endpointslice {name} -o yaml",
    ),
    # --- Ingress and load balancer ----------------------------------------------------------------
    Cause(
        "P301",
        "error",
        "ingress",
        "its deletion hangs",
        "The object is there but goes on being deleted; the load balancer costs money.",
        "It was deleted at {since} and is held by {finalizers}",
        "Let the controller of the finalizer finish, or delete the load balancer in its console, "
        "then take the finalizer away by hand",
        "console",
        "kubectl -n {namespace} get {kind} {name} -o yaml",
    ),
    Cause(
        "P302",
        "error",
        "ingress",
        "class and annotation contradict each other",
        "The Ingress stays without an address, or moves between controllers.",
        "The Ingress names the class {seen} in ingressClassName and {other} in its annotation",
        "kubectl -n {namespace} annotate ingress {name} kubernetes.io/ingress.class-",
        "command",
        "kubectl -n {namespace} get ingress {name} -o yaml",
    ),
    Cause(
        "P303",
        "error",
        "ingress",
        "no controller takes the Ingress's class",
        "The Ingress stays without an address, and without events.",
        "The Ingress names the class {seen}, for which the cluster has no IngressClass, and isn't "
        "{wanted}'s",
        "kubectl -n {namespace} patch ingress {name} --type=merge -p {patch}",
        "command",
        "kubectl get ingressclass",
    ),
    Cause(
        "P304",
        "error",
        "ingress",
        "the load balancer's controller is switched off",
        "The Ingress stays without an address, and without events.",
        'EnableIngressController in kube-system/tke-service-controller-config is "false": nobody '
        "acts on Ingresses",
        "kubectl -n kube-system patch configmap tke-service-controller-config --type=merge -p "
        "{patch}",
        "command",
        "kubectl -n kube-system get configmap tke-service-controller-config -o yaml",
    ),
    Cause(
        "P305",
        "error",
        "balancer",
        "TKE reports an error",
        "The object stays without an address, or changes don't arrive at the load balancer.",
        "TKE reports {error}: {title}{detail}",
        "What mends the error with this code, see `ingress.md`",
        "console",
        _DESCRIBE,
    ),
    Cause(
        "P306",
        "error",
        "balancer",
        "no load balancer's address yet",
        "The object stays without an address, and without events.",
        "No address stands in its status, and no event says why: the controller is absent, slow, "
        "or has no rights",
        "See that {controller} runs, and wait for the address",
        "console",
        _DESCRIBE,
    ),
    Cause(
        "P307",
        "error",
        "balancer",
        "the load balancer's name doesn't resolve",
        "V501, V502.",
        "The status names {address}, and the prober's resolver gives no address for it ({detail})",
        "Let the prober use a resolver that knows the name",
        "console",
        "nslookup {address}",
    ),
    Cause(
        "P308",
        "error",
        "ingress",
        "no rule has the Host of the request",
        "403 from CLB, 404 from other controllers.",
        "The rules of the Ingress are for {hosts}, and the request asked for {asked}",
        "real_ip_host={host}",
        "variable",
        _DESCRIBE,
    ),
    Cause(
        "P309",
        "error",
        "ingress",
        "no rule has the path of the request",
        "404.",
        "The rules of the Ingress are for {paths}, and the request asked for {asked}",
        "real_ip_path={path}",
        "variable",
        _DESCRIBE,
    ),
    Cause(
        "P310",
        "error",
        "pod",
        "the app itself answers with an error",
        "{status} although the way works.",
        "Asked directly, past load balancer and nodes, the app answers {status} as well",
        "Deploy an app that answers {asked}, or set real_ip_path to a path that it has",
        "console",
        "kubectl -n {namespace} port-forward {name} 8080:{port}",
    ),
    Cause(
        "P311",
        "error",
        "ingress",
        "requests are redirected",
        "V517.",
        "The load balancer redirects to {location}, whose way is another one{detail}",
        "real_ip_url={location}",
        "variable",
        _DESCRIBE,
    ),
    Cause(
        "P312",
        "info",
        "balancer",
        "the load balancer has a name instead of an address",
        "The ADDRESS column shows a name.",
        "The status names {address} only: its addresses can change, so each run resolves it anew",
        "",
        "none",
        "kubectl -n {namespace} get {kind} {name}",
    ),
    Cause(
        "P313",
        "warning",
        "ingress",
        "nobody asked for direct access",
        "The load balancer sends to pods, past the node ports.",
        "{detail}. Newer clusters turn direct access on wherever it isn't refused "
        "(EnableDefaultDirectAccess), and then the security group of the pods decides, and no node "
        "port",
        "kubectl -n {namespace} annotate {kind} {name} --overwrite {annotation}=false",
        "command",
        "kubectl -n {namespace} get {kind} {name} -o yaml",
    ),
    Cause(
        "P314",
        "error",
        "ingress",
        "direct access is off for the pods' network",
        "TKE's event E4033, or 502 from the load balancer although pods are ready.",
        "Direct access is asked for, and the pods have addresses of the GlobalRouter network, for "
        "which the cluster doesn't allow it (GlobalRouteDirectAccess: {seen})",
        "kubectl -n kube-system patch configmap tke-service-controller-config --type=merge -p "
        "{patch}",
        "command",
        "kubectl -n kube-system get configmap tke-service-controller-config -o yaml",
    ),
    Cause(
        "P315",
        "error",
        "balancer",
        "something in front refuses the request: a WAF",
        "403 although the Host has a rule.",
        "The Ingress has a rule for the request, and yet it is refused with 403 ({detail}): a web "
        "application firewall does so",
        "Let the firewall (WAF) admit the prober's address and its requests, or probe with what "
        "it admits",
        "console",
        "curl -v http://{address}/",
    ),
    # --- The network between ----------------------------------------------------------------------
    Cause(
        "P401",
        "error",
        "balancer",
        "the load balancer doesn't take connections",
        "V504: the connection times out.",
        "Packets to {address} are dropped: the load balancer's security group doesn't admit this "
        "client, or the address belongs to nobody",
        "Open the port for the client in the load balancer's security group",
        "console",
        "curl -v --max-time 5 http://{address}/",
    ),
    Cause(
        "P402",
        "error",
        "balancer",
        "the load balancer has no listener",
        "V503: the connection is refused.",
        "{address} refuses connections: the load balancer exists, but nothing listens on this port",
        "See whether the listener stands in the load balancer's console, or was deleted there by "
        "hand",
        "console",
        "curl -v --max-time 5 http://{address}/",
    ),
    Cause(
        "P403",
        "error",
        "node",
        "the load balancer doesn't reach the node ports",
        "502 or 504 from the load balancer although pods are ready and answer.",
        "Asked directly, the pods answer, but the load balancer gets no answer from the node port "
        "{port}. CLB keeps the client's address, so that the nodes' security group has to admit "
        "the client itself on that port",
        "Open the node port for the clients' addresses in the nodes' security group",
        "console",
        "kubectl -n {namespace} get service {name}",
    ),
    Cause(
        "P404",
        "error",
        "pod",
        "the app answers too slowly",
        "504 from the load balancer, or V509.",
        "Asked directly, past load balancer and nodes, the app takes {seconds} s or more for an "
        "answer",
        "Make the app quicker, or raise the load balancer's time for an answer",
        "console",
        "kubectl -n {namespace} logs {name}",
    ),
    Cause(
        "P405",
        "error",
        "pod",
        "the app speaks another protocol",
        "502 from the load balancer although pods are ready.",
        "Asked directly, past load balancer and nodes, the app speaks {scheme}, while the load "
        "balancer speaks HTTP to it",
        "Let the load balancer speak {scheme} to the backend (TkeServiceConfig, forwardType)",
        "console",
        "kubectl -n {namespace} port-forward {name} 8443:{port}",
    ),
    Cause(
        "P406",
        "error",
        "node",
        "nodes without a pod drop requests",
        "Some requests time out.",
        "With externalTrafficPolicy: Local a node without a ready pod drops what the load balancer "
        "sends it ({detail})",
        "kubectl -n {namespace} annotate service {name} --overwrite "
        "service.kubernetes.io/local-svc-only-bind-node-with-pod=true",
        "command",
        "kubectl -n {namespace} get pods -o wide",
    ),
    Cause(
        "P407",
        "error",
        "node",
        "direct access was turned on, and the pods are closed",
        "502 or 504 from the load balancer although pods are ready and answer.",
        "{detail}, so that the load balancer sends to pods, and not to the node ports that are "
        "open for it. Asked directly, the pods answer, but not to the load balancer",
        "kubectl -n {namespace} annotate {kind} {name} --overwrite {annotation}=false",
        "command",
        "kubectl -n {namespace} get {kind} {name} -o yaml",
    ),
    Cause(
        "P408",
        "error",
        "client",
        "the prober's network may let only a proxy out",
        "V504: the connection times out; {variable} is set where the play runs.",
        "Packets to {address} are dropped, and the environment names {proxy} as {variable}: where "
        "only that may leave the network, nothing can be probed. A proxy is never used, since its "
        "own address would arrive",
        "Probe from a machine with a way out of its own, for example as one of real_ip_vantages, "
        "or let the firewall admit this one's",
        "console",
        "curl -v --noproxy '*' --max-time 5 http://{address}/",
    ),
    Cause(
        "P409",
        "error",
        "balancer",
        "the load balancer speaks HTTPS to an app that speaks HTTP",
        "502 from the load balancer although pods are ready.",
        "The TkeServiceConfig {name} has forwardType: HTTPS, and asked directly, past load "
        "balancer and nodes, the app answers HTTP",
        "Set forwardType: HTTP in the TkeServiceConfig",
        "console",
        "kubectl -n {namespace} get tkeserviceconfig {name} -o yaml",
    ),
    # --- An address that doesn't arrive -----------------------------------------------------------
    Cause(
        "P501",
        "error",
        "node",
        "the nodes replace the client's address",
        "V201, V202 at layer 4.",
        "externalTrafficPolicy is Cluster, so that kube-proxy puts a node's address in "
        "place of the client's",
        "kubectl -n {namespace} patch service {name} -p {patch}",
        "command",
        "kubectl -n {namespace} get service {name} -o yaml",
    ),
    Cause(
        "P502",
        "error",
        "balancer",
        "more or fewer proxies stand on the way than are counted",
        "V208, V210.",
        "The client's address arrives, but not where the declared strategy reads it ({detail})",
        "Choose strategy, header and trusted_count by what the load balancer writes",
        "console",
        "ansible-playbook kestrel.real_ip.verify -v",
    ),
    Cause(
        "P503",
        "error",
        "balancer",
        "no layer-7 load balancer writes the header",
        "V209.",
        "The request arrives without {header}: it crossed no layer-7 load balancer, or that one "
        "doesn't write it, or something behind it takes it away",
        "real_ip_layer=l4",
        "variable",
        _DESCRIBE,
    ),
    Cause(
        "P504",
        "error",
        "balancer",
        "a client can choose what the app takes for its address",
        "V101, V102.",
        "The load balancer hands on what the client writes, and the declared strategy reads it "
        "({detail})",
        "Let the load balancer write the header anew",
        "console",
        "ansible-playbook kestrel.real_ip.verify -v",
    ),
    Cause(
        "P505",
        "error",
        "balancer",
        "the proxy in front can be walked around",
        "V103.",
        "The load balancer answers clients directly as well, past the proxy in front of it "
        "({detail})",
        "Let the load balancer, and the nodes where its controller has node ports, admit the proxy "
        "in front only",
        "console",
        "ansible-playbook kestrel.real_ip.verify -v",
    ),
    Cause(
        "P506",
        "error",
        "pod",
        "one pod isn't like the others",
        "V301: some backends see the address, others don't.",
        "The pod {name} sees {seen}, where others see the client's address; it is not made by the "
        "newest ReplicaSet of the Deployment",
        "kubectl -n {namespace} delete pod {name}",
        "command",
        "kubectl -n {namespace} get pods --show-labels",
    ),
    Cause(
        "P507",
        "error",
        "node",
        "one node replaces addresses",
        "V301: backends on one node don't see the address.",
        "Only pods on the node {name} see {seen} instead of the client's address: something on it "
        "translates addresses",
        "Compare the node's rules for address translation (nft list ruleset, iptables-save) with "
        "another node's, and remove what is not kube-proxy's",
        "console",
        "kubectl get pods -A -o wide --field-selector spec.nodeName={name}",
    ),
    Cause(
        "P508",
        "error",
        "pod",
        "something in the pod takes the connection first",
        "V205: the app sees a loopback address.",
        "The app sees {seen}: another container of the pod accepts connections and makes them anew "
        "({detail})",
        "Let the sidecar keep the source address (Istio: interceptionMode TPROXY), or leave it out "
        "of these pods",
        "console",
        "kubectl -n {namespace} get pod {name} -o yaml",
    ),
    Cause(
        "P509",
        "error",
        "client",
        "the prober doesn't stand outside",
        "V421, V423.",
        "The probe ran on a {place} of the cluster, where kube-proxy answers instead of the "
        "load balancer",
        "Run the playbook from outside of the cluster, or name hosts outside in real_ip_vantages",
        "console",
        "kubectl get nodes -o wide",
    ),
    Cause(
        "P510",
        "error",
        "client",
        "no expected address was said",
        "V401, V402, V412.",
        "Nothing says which address should arrive, so nothing can be compared",
        "Set real_ip_expected_source to the address with which the prober's traffic leaves its "
        "network",
        "console",
        "ansible-playbook kestrel.real_ip.explain -e real_ip_code=V401",
    ),
    Cause(
        "P511",
        "error",
        "client",
        "something between client and load balancer replaces the address",
        "V206, V207, V406.",
        "{seen} arrives, which belongs to no node, pod or load balancer: a NAT, proxy or CDN is "
        "in front, or the expected address is wrong",
        "Find out with which address the prober's traffic leaves its network, and count a proxy or "
        "CDN in real_ip_trusted_count",
        "console",
        "ansible-playbook kestrel.real_ip.verify -v",
    ),
    Cause(
        "P512",
        "error",
        "node",
        "a node's or pod's address stands in the place of the client's",
        "V201, V202 at layer 7.",
        "{seen}, an address of the cluster, arrives where the client's should: a proxy inside of "
        "the cluster stands in front and is itself reached through a node port",
        "Set externalTrafficPolicy: Local on that proxy's Service",
        "console",
        "kubectl get services -A",
    ),
    Cause(
        "P513",
        "error",
        "pod",
        "something behind the load balancer takes the header away",
        "V209, V301 although the load balancer's other headers arrive.",
        "The load balancer's own headers ({marks}) arrive, and X-Forwarded-For doesn't: the app or "
        "a server in front of it removes it",
        "Let the app's server hand X-Forwarded-For on",
        "console",
        "kubectl -n {namespace} get deployments -o yaml",
    ),
    Cause(
        "P514",
        "error",
        "balancer",
        "a client can choose its address by the PROXY protocol",
        "V104.",
        "Something on the way takes the PROXY protocol from anybody ({detail})",
        "Accept the PROXY protocol from the proxy in front alone, and turn it off where none "
        "sends it",
        "console",
        "ansible-playbook kestrel.real_ip.verify -v",
    ),
    Cause(
        "P515",
        "error",
        "pod",
        "the app takes its peer from a header",
        "V426.",
        "What the app tells as its peer it takes from a header that anybody can write ({detail})",
        "Turn the app's setting for proxies in front off (uvicorn's --proxy-headers, ProxyFix)",
        "console",
        "kubectl -n {namespace} get deployments -o yaml",
    ),
    Cause(
        "P516",
        "error",
        "pod",
        "the app tells too little",
        "V417, V425, V427.",
        "The app doesn't tell what the verdict rests on ({detail})",
        "Use an app that tells peer and pod: docs/echo_apps.md lists them",
        "console",
        "ansible-playbook kestrel.real_ip.verify -v",
    ),
    Cause(
        "P517",
        "error",
        "client",
        "the expected address holds others too",
        "V428, V430.",
        "More than the prober's own address is expected, so that a proxy's may count for it "
        "({detail})",
        "Set real_ip_expected_source to the one address with which the prober's traffic arrives",
        "console",
        "ansible-playbook kestrel.real_ip.explain -e real_ip_code=V428",
    ),
    Cause(
        "P518",
        "error",
        "client",
        "the prober runs on the proxy in front",
        "V429.",
        "The prober's own machine leads to the pods ({detail})",
        "Run the playbook from another machine, or name other hosts in real_ip_vantages",
        "console",
        "ansible-playbook kestrel.real_ip.explain -e real_ip_code=V429",
    ),
)

CAUSES: Mapping[str, Cause] = {row.number: row for row in _TABLE}
_RANK: Mapping[str, int] = {row.number: place for place, row in enumerate(_TABLE)}
#: Number → the one that it ranks just before. Pods of which nothing else is found may just be
#: starting, as an address may be on its way: what is known to be wrong with an Ingress goes first.
_BEFORE: Mapping[str, str] = {"P209": "P306"}


def rank(number: str) -> tuple[int, int, int]:
    """What findings are sorted by, the primary cause first; see the top of this file."""
    severity = SEVERITIES.index(CAUSES[number].severity)
    return severity, _RANK[_BEFORE.get(number, number)], _RANK[number]


def described(row: Cause) -> Iterable[str]:
    """One code as lines of Markdown."""
    other = CAUSES_ZH[row.number]
    told = Text(row.fix, other.fix) if row.fix else phrase("nothing to mend")
    quoted = row.fix_kind in ("command", "variable") and row.fix
    fix = f"`{row.fix}`" if quoted else phrase("{told}.", told=told)
    yield phrase("- Symptom: {symptom}", symptom=Text(row.symptom, other.symptom))
    yield phrase("- See it by hand: {command}", command=f"`{row.see}`")
    yield phrase("- Cause: {cause}", cause=phrase("{told}.", told=Text(row.cause, other.cause)))
    yield phrase("- Fix ({kind}): {fix}", kind=phrase(row.fix_kind), fix=fix)
