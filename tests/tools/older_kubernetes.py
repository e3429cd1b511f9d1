# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of an older API server as the playbooks see of it: what it serves, and what it refuses.

It takes only what the published schema of its version has, field by field, while a real one lets
go of what it doesn't know without a word. It makes no pods: a Deployment is ready as soon as it is
written, and what gets a load balancer has an address.
"""

from __future__ import annotations

import copy
import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import jsonschema

from lab.settings import REPOSITORY
from tests.tools.loopback import listening
from tools.record_schemas import KINDS

Json = dict[str, Any]

ADDRESS: Final = "198.51.100.1"
MERGE: Final = "application/merge-patch+json"

#: group/version → plural → kind, and the versions of Kubernetes that serve that.
ALWAYS: Final = range(1000)
SERVED: Final[Mapping[str, Mapping[str, tuple[str, range]]]] = {
    "v1": {
        "configmaps": ("ConfigMap", ALWAYS),
        "events": ("Event", ALWAYS),
        "namespaces": ("Namespace", ALWAYS),
        "nodes": ("Node", ALWAYS),
        "pods": ("Pod", ALWAYS),
        "secrets": ("Secret", ALWAYS),
        "services": ("Service", ALWAYS),
    },
    "apps/v1": {"deployments": ("Deployment", ALWAYS)},
    "authorization.k8s.io/v1": {
        "selfsubjectaccessreviews": ("SelfSubjectAccessReview", ALWAYS),
    },
    "extensions/v1beta1": {"ingresses": ("Ingress", range(22))},
    "networking.k8s.io/v1": {
        "ingresses": ("Ingress", range(19, 1000)),
        "networkpolicies": ("NetworkPolicy", ALWAYS),
    },
    "networking.k8s.io/v1beta1": {"ingresses": ("Ingress", range(14, 22))},
}
_CLUSTERS: Final = ("namespaces", "nodes", "selfsubjectaccessreviews")


class Refused(Exception):
    """An answer that isn't what was asked for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def mismatch(version: str, found: Mapping[str, Any]) -> str:
    """What of an object isn't as the published schema of ``version`` has it; empty if all is."""
    path = REPOSITORY / "tests" / "vectors" / "schemas" / f"{version}.json"
    definitions = json.loads(path.read_text())
    name = KINDS.get(f"{found['apiVersion']}/{found['kind']}", "")
    if name not in definitions["definitions"]:
        return f"{version} has no {found['apiVersion']} {found['kind']}"
    schema = {**definitions, "$ref": f"#/definitions/{name}"}
    errors = jsonschema.Draft7Validator(schema).iter_errors(found)
    return "; ".join(f"{error.json_path}: {error.message}" for error in errors)


def merged(old: Any, patch: Any) -> Any:
    """JSON Merge Patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def without_nulls(found: Any) -> Any:
    """As a server reads it: null is what isn't there, also in lists, where a patch doesn't look."""
    if isinstance(found, list):
        return [without_nulls(one) for one in found]
    if isinstance(found, dict):
        return {key: without_nulls(value) for key, value in found.items() if value is not None}
    return found


class OldCluster:
    """One API server: ``version`` as ``1.16``. ``requests`` has each writing one's content type."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.minor = int(version.partition(".")[2])
        self.objects: dict[str, Json] = {}
        self.requests: list[tuple[str, str, str]] = []
        self._lock = threading.Lock()
        self._count = 0
        self.write("/api/v1/namespaces/kube-system", "Namespace", "v1", {})

    # What is served

    def _versions(self) -> list[str]:
        return [one for one in SERVED if self._resources(one)]

    def _resources(self, version: str) -> dict[str, str]:
        rows = SERVED.get(version, {})
        return {plural: kind for plural, (kind, when) in rows.items() if self.minor in when}

    def _discovery(self, path: str) -> Json | None:
        groups: dict[str, list[str]] = {}
        for one in self._versions():
            groups.setdefault(one.rpartition("/")[0], []).append(one)
        rows = [
            {
                "name": group,
                "versions": [
                    {"groupVersion": one, "version": one.rpartition("/")[2]} for one in versions
                ],
                "preferredVersion": {
                    "groupVersion": versions[0],
                    "version": versions[0].rpartition("/")[2],
                },
            }
            for group, versions in groups.items()
            if group
        ]
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if path == "/version":
            return {"major": "1", "minor": str(self.minor), "gitVersion": f"v{self.version}.0"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            return {"kind": "APIGroupList", "groups": rows}
        if version in self._versions():
            verbs = ["create", "delete", "get", "list", "patch"]
            resources = [
                {
                    "name": plural,
                    "singularName": "",
                    "kind": kind,
                    "namespaced": plural not in _CLUSTERS,
                    "verbs": verbs,
                }
                for plural, kind in self._resources(version).items()
            ]
            return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
        return None

    # Objects

    def write(self, path: str, kind: str, version: str, content: Json) -> Json:
        """Store an object with what a server adds."""
        self._count += 1
        found = copy.deepcopy(content)
        metadata = found.setdefault("metadata", {})
        metadata.setdefault("name", path.rpartition("/")[2])
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        metadata["resourceVersion"] = str(self._count)
        status: Json = {}
        if kind == "Deployment":
            wanted = found["spec"]["replicas"]
            status = {"replicas": wanted, "updatedReplicas": wanted, "availableReplicas": wanted}
        if kind == "Ingress" or found.get("spec", {}).get("type") == "LoadBalancer":
            status = {"loadBalancer": {"ingress": [{"ip": ADDRESS}]}}
        self.objects[path] = {**found, "apiVersion": version, "kind": kind, "status": status}
        return self.objects[path]

    def answer(self, method: str, url: str, kind: str, body: Json) -> Json:
        """Answer one request. Raises Refused."""
        parts = urlsplit(url)
        path, query = parts.path.rstrip("/"), parse_qs(parts.query)
        with self._lock:
            found = self._discovery(path) if method == "GET" else None
            if found is not None:
                return found
            words = path.split("/")
            version = "v1" if words[1] == "api" else "/".join(words[2:4])
            rest = words[3:] if words[1] == "api" else words[4:]
            if rest[:1] == ["namespaces"] and len(rest) > 2:
                rest = rest[2:]
            plural, name = "".join(rest[:1]), "/".join(rest[1:])
            # Without a plural it is the discovery of an API that isn't served.
            if plural not in self._resources(version):
                raise Refused(404, "the server could not find the requested resource")
            of = self._resources(version)[plural]
            if of == "SelfSubjectAccessReview":
                return {**body, "status": {"allowed": True}}
            if method != "GET":
                self.requests.append((method, path, kind))
            dry = query.get("dryRun") == ["All"]
            return self._act(method, path, (version, plural, name, of), kind, body, dry)

    def _act(
        self,
        method: str,
        path: str,
        where: tuple[str, str, str, str],
        content_type: str,
        body: Json,
        dry: bool,
    ) -> Json:
        version, plural, name, kind = where
        if method == "GET" and not name:
            items = [one for at, one in self.objects.items() if at.rpartition("/")[0] == path]
            return {"kind": f"{kind}List", "metadata": {}, "items": items}
        at = path if name else f"{path}/{body['metadata']['name']}"
        old = self.objects.get(at)
        if method == "POST":
            if old is not None:
                raise Refused(409, f'{plural} "{body["metadata"]["name"]}" already exists')
            new = body
        elif old is None:
            group = version.rpartition("/")[0]
            raise Refused(404, f'{plural}{"." if group else ""}{group} "{name}" not found')
        elif method == "PATCH":
            if content_type != MERGE:
                raise Refused(415, f"{content_type} is not supported here")
            new = merged(old, body)
        elif method == "DELETE":
            if not dry:
                inside = [one for one in self.objects if one.startswith(f"{at}/")]
                for one in [at, *inside, *self._beyond(at)]:
                    self.objects.pop(one, None)
            return {"kind": "Status", "status": "Success"}
        else:
            return old
        new = without_nulls({key: value for key, value in new.items() if key != "status"})
        wrong = mismatch(self.version, {"apiVersion": version, "kind": kind, **new})
        if wrong:
            raise Refused(422, wrong)
        before = copy.deepcopy(old)
        made = copy.deepcopy(self.write(at, kind, version, new))
        if dry:
            del self.objects[at]
            if before is not None:
                self.objects[at] = before
        return made

    def _beyond(self, namespace: str) -> list[str]:
        """What is in a namespace under the other APIs' paths."""
        part = f"/namespaces/{namespace.rpartition('/')[2]}/"
        return [one for one in self.objects if part in one]


@contextmanager
def serving(cluster: OldCluster) -> Iterator[str]:
    """The URL at which a cluster answers meanwhile, on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            kind = self.headers.get("Content-Type") or ""
            try:
                status, said = 200, cluster.answer(self.command, self.path, kind, body)
            except Refused as error:
                status = error.status
                said = {"kind": "Status", "status": "Failure", "message": str(error)}
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _do

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    with listening(Handler) as url:
        yield url
