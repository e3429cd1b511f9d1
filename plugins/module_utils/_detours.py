# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""What of an Ingress may lead requests elsewhere than its rules say, or all to one pod: pure
functions.
"""

from __future__ import annotations

import typing as t
from fnmatch import fnmatchcase

from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import (
    CONFIG,
    CONFIG_OF_SERVICE,
    MADE,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import (
    MODELLED,
    entries_to,
    is_port,
    service_name,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import TKE_CLASS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    annotations_of,
    class_of,
)

Object = t.Mapping[str, t.Any]

#: Annotations of Ingresses and Services that lead no request to another backend than the rules do,
#: or of which ``_rules`` knows where they lead, by patterns of their keys. Each controller has some
#: that do, as a backend for errors, a snippet of its configuration, an address to ask first:
#: whatever isn't here may.
_HARMLESS = (
    *MODELLED,
    # Who made the object, certificates, names
    "kubectl.kubernetes.io/*",
    "*helm.sh/*",
    "argocd.argoproj.io/*",
    "*fluxcd.io/*",
    "field.cattle.io/*",
    "real-ip.kestrel/*",
    "*cert-manager.io/*",
    "kubernetes.io/tls-acme",
    "external-dns.alpha.kubernetes.io/*",
    "endpoints.kubernetes.io/*",
    "prometheus.io/*",
    # The class, and load balancers of clouds
    "kubernetes.io/ingress.*",
    "cloud.google.com/neg*",
    *("*cloud.google.com/backend-config", "networking.gke.io/managed-certificates"),
    "networking.gke.io/*FrontendConfig",
    *(
        f"ingress.kubernetes.io/{name}"
        for name in (
            "backends",
            "forwarding-rule",
            "https-forwarding-rule",
            "https-target-proxy",
            "ssl-cert",
            "static-ip",
            "target-proxy",
            "url-map",
        )
    ),
    *(f"kubernetes.io/elb.{name}" for name in ("autocreate", "class", "id", "ip", "port")),
    *(
        f"appgw.ingress.kubernetes.io/{name}"
        for name in (
            "appgw-ssl-certificate",
            "backend-protocol",
            "health-probe-*",
            "request-timeout",
            "ssl-redirect",
            "use-private-ip",
        )
    ),
    "metallb.*",
    "service.cloud.tencent.com/*",
    "service.kubernetes.io/loadbalance-id",
    "service.kubernetes.io/qcloud-*",
    "service.kubernetes.io/service.extensiveParameters",
    "service.kubernetes.io/tke-*",
    "service.kubernetes.io/topology-*",
    # https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/
    *(
        f"nginx.ingress.kubernetes.io/{name}"
        for name in (
            "affinity*",
            "backend-protocol",
            "client-body-buffer-size",
            "connection-proxy-header",
            "cors-*",
            "custom-headers",
            "denylist-source-range",
            "enable-access-log",
            "enable-cors",
            "force-ssl-redirect",
            "limit-*",
            "load-balance",
            "preserve-trailing-slash",
            "proxy-*",
            "service-upstream",
            "session-cookie-*",
            "ssl-ciphers",
            "ssl-prefer-server-ciphers",
            "ssl-redirect",
            "upstream-hash-by*",
            "upstream-vhost",
            "whitelist-source-range",
            "x-forwarded-prefix",
        )
    ),
    # https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/
    *(
        f"alb.ingress.kubernetes.io/{name}"
        for name in (
            "backend-protocol*",
            "certificate-arn",
            "group.*",
            "healthcheck-*",
            "healthy-threshold-count",
            "inbound-cidrs",
            "ip-address-type",
            "listen-ports",
            "load-balancer-*",
            "manage-backend-security-group-rules",
            "scheme",
            "security-groups",
            "ssl-policy",
            "ssl-redirect",
            "subnets",
            "success-codes",
            "tags",
            "target-group-attributes",
            "target-node-labels",
            "target-type",
            "unhealthy-threshold-count",
            "wafv2-acl-arn",
        )
    ),
    # https://projectcontour.io/docs/main/config/annotations/
    "projectcontour.io/*",
    # https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/ingress/
    *(
        f"traefik.ingress.kubernetes.io/{name}"
        for name in (
            "router.entrypoints",
            "router.priority",
            "router.tls*",
            # Not its middlewares, of which one for errors leads elsewhere.
            "service.nativelb",
            "service.nodeportlb",
            "service.passhostheader",
            "service.serversscheme",
            "service.serverstransport",
            "service.sticky*",
        )
    ),
    # https://developer.konghq.com/kubernetes-ingress-controller/reference/annotations/
    *(
        f"konghq.com/{name}"
        for name in ("https-redirect-status-code", "preserve-host", "protocols", "strip-path")
    ),
)


#: Those by which Cilium, in kube-proxy's place, leads to pods of other clusters
_OF_CILIUM = ("service.cilium.io/*", "io.cilium/*")
#: By which TKE stops following an Ingress: where requests go is what the rules said until then
_UNFOLLOWED = ("ingress.cloud.tencent.com/mode",)
#: Those for the load balancer of a Service, which isn't asked where an Ingress is in front
_OF_ITS_OWN = "service.*kubernetes.io/*"


def detours(ingress: Object | None, service: Object | None) -> list[str]:
    """Fields of an Ingress, if any, and its Service that may lead requests elsewhere than to the
    pods of the latter, sorted, each after its kind: annotations that aren't known not to, a port
    that the Service doesn't have, and that what is in front is about to be deleted.

    TKE's load balancer reads TKE's annotations alone, and what they lead to is known, unless TKE is
    told not to follow; the nodes behind it may lead to pods of another cluster.
    """
    harmless = (*_HARMLESS, _OF_ITS_OWN) if ingress else _HARMLESS
    found = {*_missing_ports(ingress or {}, service or {})}
    if class_of(ingress or {}) == TKE_CLASS:
        found |= {*_annotated(ingress, None, lambda key: _matches(key, _UNFOLLOWED))}
        found |= {*_annotated(None, service, lambda key: _matches(key, _OF_CILIUM))}
    else:
        found |= {*_annotated(ingress, service, lambda key: not _matches(key, harmless))}
    for kind, one in (("Ingress", ingress), ("Service", service)):
        if (one or {}).get("metadata", {}).get("deletionTimestamp"):
            found.add(f"{kind} metadata.deletionTimestamp")
    return sorted(found)


def _matches(key: str, patterns: t.Iterable[str]) -> bool:
    return any(fnmatchcase(key, one) for one in patterns)


def _annotated(
    ingress: Object | None, service: Object | None, wanted: t.Callable[[str], bool]
) -> t.Iterator[str]:
    """Each annotation of the two whose key is wanted."""
    for kind, one in (("Ingress", ingress), ("Service", service)):
        yield from (
            f"{kind} metadata.annotations[{key}]" for key in annotations_of(one) if wanted(key)
        )


#: Annotations by which each client may be sent to one backend, to those near it or to those that
#: have a weight, whatever requests it makes, by patterns of their keys. What goes by a cookie
#: doesn't: no request has one.
_KEEPING = (
    "nginx.ingress.kubernetes.io/load-balance",
    "nginx.ingress.kubernetes.io/upstream-hash-by*",
    # By these kube-proxy chooses the pod, once for each connection that is kept.
    "nginx.ingress.kubernetes.io/service-upstream",
    "traefik.ingress.kubernetes.io/service.nativelb",
    "traefik.ingress.kubernetes.io/service.nodeportlb",
    # What they name says how TKE's load balancer balances.
    f"{CONFIG}*",
    f"{CONFIG_OF_SERVICE}*",
    # Google's, in an object of their own
    "*cloud.google.com/backend-config",
    # Weights of its backends, of which 0 sends nothing to a pod
    "ingress.cloud.tencent.com/lb-rs-weight",
    "service.cloud.tencent.com/lb-rs-weight",
    # Of these kube-proxy leads to pods of the zone in which a request enters.
    "service.kubernetes.io/topology-*",
)
#: Fields of a Service that do so, with the values of those that have others
_KEEPING_FIELDS = {
    "sessionAffinity": ("ClientIP",),
    "internalTrafficPolicy": ("Local",),
    "trafficDistribution": ("PreferClose", "PreferSameZone", "PreferSameNode"),
}


def kept_by(
    ingress: Object | None, service: Object | None, nodes: t.Collection[str] = ()
) -> list[str]:
    """Fields of an Ingress and a Service by which each client may be kept at one pod, or
    requests from one, sorted. ``nodes``: those that its pods are on.
    """
    found = [*_annotated(ingress, service, lambda key: _matches(key, _KEEPING))]
    spec = (service or {}).get("spec", {})
    found += [
        f"Service spec.{field}"
        for field, told in _KEEPING_FIELDS.items()
        if spec.get(field) in told
    ]
    # Who leads to nodes by an address of the Service itself, as a router or MetalLB, may lead each
    # client to one of them. TKE's load balancer chooses one for each connection.
    if not ingress and len(nodes) > 1 and MADE["Service"] not in annotations_of(service):
        local = spec.get("externalTrafficPolicy") == "Local"
        found += ["Service spec.externalTrafficPolicy"] if local else []
    # Before Kubernetes 1.22
    found += ["Service spec.topologyKeys"] if spec.get("topologyKeys") else []
    return sorted(found)


def _missing_ports(ingress: Object, service: Object) -> t.Iterator[str]:
    """Each port of a rule's backend that the Service, to which it leads, doesn't have."""
    spec = ingress.get("spec", {})
    ports = service.get("spec", {}).get("ports") or []
    backends = [entry["backend"] for entry in entries_to(service, spec.get("rules") or [])]
    default = spec.get("defaultBackend") or {}
    own = service.get("metadata", {}).get("name")
    if own and service_name(default) == own:
        backends.append(default)
    for backend in backends:
        wanted = backend["service"].get("port") or {}
        if wanted and not any(is_port(one, wanted) for one in ports):
            yield from (f"Ingress backend.service.port.{key}: {wanted[key]}" for key in wanted)
