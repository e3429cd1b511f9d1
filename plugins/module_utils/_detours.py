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

from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import CONFIG
from ansible_collections.kestrel.real_ip.plugins.module_utils._rules import (
    MODELLED,
    entries_to,
    service_name,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._scenarios import TKE_CLASS
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    annotations_of,
    class_of,
)

Object = t.Mapping[str, t.Any]

#: Annotations that lead no request to another backend than the rules do, or of which ``_rules``
#: knows where they lead, by patterns of their keys. Each controller has some that do, as a backend
#: for errors, a snippet of its configuration, an address to ask first: whatever isn't here may.
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
    # The class, and the load balancer of a cloud
    "kubernetes.io/ingress.*",
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
        for name in ("router.entrypoints", "router.priority", "router.tls*", "service.*")
    ),
    # https://developer.konghq.com/kubernetes-ingress-controller/reference/annotations/
    *(
        f"konghq.com/{name}"
        for name in ("https-redirect-status-code", "preserve-host", "protocols", "strip-path")
    ),
)


def detours(ingress: Object, service: Object | None) -> list[str]:
    """Fields of an Ingress that may lead requests elsewhere than to the Service that its rules
    name, sorted: annotations that aren't known not to, a port that the Service doesn't have, and
    that the Ingress is about to be deleted.

    TKE's load balancer reads TKE's annotations alone, and what they lead to is known.
    """
    annotations = {} if class_of(ingress) == TKE_CLASS else annotations_of(ingress)
    found = {
        f"metadata.annotations[{key}]"
        for key in annotations
        if not any(fnmatchcase(key, one) for one in _HARMLESS)
    }
    if ingress.get("metadata", {}).get("deletionTimestamp"):
        found.add("metadata.deletionTimestamp")
    return sorted(found | {*_missing_ports(ingress, service or {})})


#: Annotations by which a load balancer may send each client to one backend, whatever requests it
#: makes, by patterns of their keys. What goes by a cookie doesn't: no request has one.
_KEEPING = (
    "nginx.ingress.kubernetes.io/load-balance",
    "nginx.ingress.kubernetes.io/upstream-hash-by*",
    # What they name says how TKE's load balancer balances.
    f"{CONFIG}*",
)


def kept_by(ingress: Object | None, service: Object | None) -> list[str]:
    """Fields of an Ingress and a Service by which each client may be kept at one pod, sorted."""
    found = [
        f"Ingress metadata.annotations[{key}]"
        for key in annotations_of(ingress)
        if any(fnmatchcase(key, one) for one in _KEEPING)
    ]
    if (service or {}).get("spec", {}).get("sessionAffinity") == "ClientIP":
        found.append("Service spec.sessionAffinity")
    return sorted(found)


def _missing_ports(ingress: Object, service: Object) -> t.Iterator[str]:
    """Each port of a rule's backend that the Service, to which it leads, doesn't have."""
    spec = ingress.get("spec", {})
    known = {
        port[key]
        for port in service.get("spec", {}).get("ports") or []
        for key in ("port", "name")
        if key in port
    }
    backends = [entry["backend"] for entry in entries_to(service, spec.get("rules") or [])]
    default = spec.get("defaultBackend") or {}
    own = service.get("metadata", {}).get("name")
    if own and service_name(default) == own:
        backends.append(default)
    for backend in backends:
        port = backend["service"].get("port") or {}
        for key in ("number", "name"):
            if key in port and port[key] not in known:
                yield f"backend.service.port.{key}: {port[key]}"
