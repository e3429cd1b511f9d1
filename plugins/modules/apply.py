#!/usr/bin/python

# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply or delete a deployment's own objects."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apply
short_description: Apply or delete the objects of one deployment, and nobody else's
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Applies Kubernetes objects by server-side apply with the field manager V(kestrel.real_ip), or
    deletes them.
  - To servers before Kubernetes 1.22 they are applied as C(kubectl apply) does without the server's
    help, which keeps what was applied last in an annotation. Ingresses and pods get the shape that
    the server has, such as C(networking.k8s.io/v1beta1) with the annotation
    C(kubernetes.io/ingress.class).
  - Every object gets the labels C(app.kubernetes.io/managed-by=kestrel.real_ip) and
    C(app.kubernetes.io/instance) with the value of O(instance). An object of the same name that
    does not carry them is never changed, unless O(adopt) says so, and never deleted.
  - A namespace that exists already is used as it is. Any other object that exists and is not ours
    fails the task, before any object is applied.
  - What TKE looks at only when it makes a load balancer, such as the subnet of an internal one, is
    not changed on an Ingress or a Service that has its load balancer. The task fails with what to
    do instead, before any object is applied.
  - What a Secret holds stands in no result and no diff.
  - A namespace of ours that holds objects of somebody else is not deleted; RV(left) lists them.
    Only their metadata is read.
  - The number of replicas of a Deployment stays with the autoscaler that has set it through the
    subresource C(scale), and RV(objects[].yielded) says so. What a person set with
    C(kubectl scale) is set back, like any other field that is ours.
  - Another run beside this one is met in the middle of its work. What it removed or changed since
    it was looked at is looked at again, and where that doesn't help, the message names it.
  - In check mode the server is asked by a dry run, and objects of a namespace that a run would
    create first are
    reported as changed, with an empty C(before) in the diff.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - kestrel.real_ip.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - What other managers write into fields of the object that are not ours changes nothing
        here.
  action_group:
    support: full
options:
  instance:
    description: The identity of the deployment, its O(ignore:real_ip_name_prefix).
    type: str
    required: true
  definitions:
    description: The objects, in the order in which they are applied or deleted.
    type: list
    elements: dict
    required: true
  state:
    description: Whether the objects are to exist.
    type: str
    choices: [present, absent]
    default: present
  adopt:
    description:
      - Whether an object of the same name that is not ours becomes ours. From then on it is changed
        and deleted like any other one.
      - Never a namespace, and never an object of another deployment of this collection.
    type: bool
    default: false
seealso:
  - module: kubernetes.core.k8s
requirements:
  - kubernetes >= 24.2.0
"""

EXAMPLES = r"""
- name: Apply a ConfigMap
  kestrel.real_ip.apply:
    instance: real-ip
    definitions:
      - apiVersion: v1
        kind: ConfigMap
        metadata:
          name: real-ip-notes
          namespace: kestrel-catchip
        data:
          owner: team-a
"""

RETURN = r"""
objects:
  description: What was done with each object, in the order of O(definitions).
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: The kind.
      type: str
    name:
      description: The name.
      type: str
    action:
      description: V(created), V(adopted), V(changed), V(unchanged), V(deleted), V(absent), or
        V(kept) for what is not ours to touch.
      type: str
    applied:
      description: When this collection last changed it, by which a later change of another run is
        noticed.
      returned: with O(state=present), but not in check mode
      type: str
    yielded:
      description: The fields that were left to somebody else, with their value and who that is.
      returned: where there are any
      type: list
      elements: str
      sample: ["spec.replicas: 5, by kube-controller-manager"]
    former_addresses:
      description: The addresses of an Ingress whose class was changed.
      returned: where there are any
      type: list
      elements: str
left:
  description: What somebody else put into the namespace and what kept it from being deleted, as
    C(Kind/name).
  returned: success
  type: list
  elements: str
  sample: [ConfigMap/notes]
"""

import base64
import typing as t
from contextlib import contextmanager, suppress
from functools import partial

from ansible_collections.kestrel.real_ip.plugins.module_utils._diff import readable
from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import (
    Cluster,
    ClusterError,
    insist,
    open_module,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import unchangeable
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import (
    INSTANCE,
    MANAGED_BY,
    MANAGER,
    applied,
    foreign,
    hidden,
    is_anothers,
    is_ours,
    labelled,
    without_server_fields,
    yielding,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import (
    former_addresses,
    state_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import (
    INGRESS_APIS,
    SERVER_SIDE_APPLY,
    shaped,
    version_of,
)
from ansible_collections.kubernetes.core.plugins.module_utils.k8s.service import K8sService

# Servers before 1.15 have the second one alone, which they were given as a beta.
METADATA_ONLY = ",".join(
    f"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v={version}"
    for version in ("v1", "v1beta1")
)
# How often an object is looked at anew where somebody else was faster.
TRIES = 4


class Found(t.NamedTuple):
    """One definition and what there is of it: ``before`` is empty where there is nothing.

    ``yielded``: fields of the definition that were left out, since somebody else has them.
    """

    resource: t.Any
    wanted: dict[str, t.Any]
    before: dict[str, t.Any]
    existing: t.Any
    yielded: list[str]


def held(found: t.Mapping[str, t.Any]) -> set[str]:
    """What a Secret holds, as it stands there and as it is meant; nothing of other kinds."""
    data = found.get("data") or {} if found.get("kind") == "Secret" else {}
    encoded = {str(value) for value in data.values() if value}
    plain = set()
    for value in encoded:
        # What is no such text is for the API server to refuse.
        with suppress(ValueError):
            plain.add(base64.b64decode(value).decode())
    return encoded | plain


class Applier:
    """Works through the definitions; what was done is in ``objects``, ``diffs`` and ``left``."""

    def __init__(self, module: t.Any) -> None:
        self.module = module
        self.cluster = Cluster(module)
        self.version = version_of(self.cluster.get("/version")) or SERVER_SIDE_APPLY
        # what kubernetes.core's service reads beside the options of a module of its own
        if self.version >= SERVER_SIDE_APPLY:
            module.params["server_side_apply"] = {"field_manager": MANAGER, "force_conflicts": True}
        for definition in module.params["definitions"]:
            self._conceal(definition)
        self.instance: str = module.params["instance"]
        self.service = K8sService(self.cluster.client, module)
        self.objects: list[dict[str, t.Any]] = []
        self.diffs: list[dict[str, t.Any]] = []
        self.left: list[str] = []

    def run(self) -> None:
        """Apply or delete every definition. Raises ClusterError."""
        absent = self.module.params["state"] == "absent"
        act = self.delete if absent else self.apply
        look = self._find if absent else self._checked
        # Where one is in the way, the others must not be applied before it either.
        definitions = self.module.params["definitions"]
        for definition, found in [(one, look(one)) for one in definitions]:
            told = insist(partial(self._do, act), partial(look, definition), found, TRIES)
            kind, name = found.wanted["kind"], found.wanted["metadata"]["name"]
            self.objects.append({"kind": kind, "name": name, **told})

    def _find(self, definition: dict[str, t.Any]) -> Found:
        with self._explained():
            wanted = self._shaped(labelled(definition, self.instance))
            resource = self.service.find_resource(wanted["kind"], wanted["apiVersion"], fail=True)
            existing = self.service.retrieve(resource, wanted)
            before = existing.to_dict() if existing else {}
            self._conceal(before)
        return Found(resource, wanted, before, existing, [])

    def _conceal(self, found: t.Mapping[str, t.Any]) -> None:
        """Keep what a Secret holds out of all that Ansible prints."""
        self.module._module.no_log_values.update(held(found))

    def _shaped(self, wanted: dict[str, t.Any]) -> dict[str, t.Any]:
        """A definition as this server has it."""
        api = self.cluster.ingress_api() if wanted["kind"] == "Ingress" else INGRESS_APIS[0]
        return dict(shaped(wanted, self.version, api))

    def _checked(self, definition: dict[str, t.Any]) -> Found:
        """What there is of a definition, where it may be applied. Raises ClusterError."""
        found = self._find(definition)
        wanted, before = found.wanted, found.before
        if before and wanted["kind"] != "Namespace" and not self._may_change(before):
            raise ClusterError(self._not_ours(wanted))
        # It would be applied without an error, and be gone a moment later.
        if before and before["metadata"].get("deletionTimestamp"):
            raise ClusterError(_ending(wanted, before))
        reason = unchangeable(before, wanted)
        if reason:
            raise ClusterError(reason)
        ours, yielded = yielding(wanted, before)
        return found._replace(wanted=ours, yielded=yielded)

    def _do(self, act: t.Callable[[Found], dict[str, t.Any]], found: Found) -> dict[str, t.Any]:
        with self._explained():
            return act(found)

    @contextmanager
    def _explained(self) -> t.Iterator[None]:
        """Whatever is raised, as a ClusterError."""
        try:
            yield
        except ClusterError:
            raise
        except Exception as error:
            raise self.cluster.explain(error) from error

    def _may_change(self, before: dict[str, t.Any]) -> bool:
        """Whether an object is ours, or becomes so."""
        adopted = self.module.params["adopt"] and not is_anothers(before, self.instance)
        return is_ours(before, self.instance) or adopted

    def apply(self, found: Found) -> dict[str, t.Any]:
        """Apply one definition and tell what that did."""
        wanted, before = found.wanted, found.before
        taken = bool(before) and not is_ours(before, self.instance)
        if taken and wanted["kind"] == "Namespace":
            return {"action": "kept"}
        try:
            after = self.service.apply(found.resource, wanted, found.existing)[0]
        except Exception as error:
            explained = self.cluster.explain(error)
            missing = _namespace_missing(explained)
            if not (self.module.check_mode and not before and missing):
                namespace = wanted["metadata"].get("namespace", "")
                gone = missing or _namespace_ending(explained)
                raise (_removed(namespace) if gone else explained) from error
            after = wanted
        old, new = without_server_fields(before), without_server_fields(after)
        done = "unchanged" if old == new else "changed" if before else "created"
        if old != new:
            self._show(wanted, old, new)
        told: dict[str, t.Any] = {"action": "adopted" if taken else done}
        # A dry run has left nothing that another run could change.
        if not self.module.check_mode:
            told["applied"] = applied(after)
        more = {"yielded": found.yielded, "former_addresses": former_addresses(before, wanted)}
        return {**told, **{key: value for key, value in more.items() if value}}

    def delete(self, found: Found) -> dict[str, t.Any]:
        """Delete one object where it is ours and tell what that did."""
        return {"action": self._deleted(found)}

    def _deleted(self, found: Found) -> str:
        wanted, before = found.wanted, found.before
        if not before:
            return "absent"
        if not is_ours(before, self.instance):
            return "kept"
        ending = before["metadata"].get("deletionTimestamp")
        # One that is going takes everything in it along, whose ever that is.
        if wanted["kind"] == "Namespace" and not ending:
            kinds: set[str] = set()
            contents = list(self._contents(wanted["metadata"]["name"], kinds))
            self.left = foreign(contents, kinds, self.instance)
            if self.left:
                return "kept"
        if not ending and not self._send_off(found):
            return "absent"
        self._show(wanted, without_server_fields(before), {})
        return "deleted"

    def _send_off(self, found: Found) -> bool:
        """Have an object deleted; False where somebody else had that done already."""
        self.module.params["delete_options"] = {
            # With its pods, so that the object is there until they are gone.
            "propagationPolicy": "Foreground",
            # The one that was looked at, not one that somebody made in its place since.
            "preconditions": {"uid": found.before["metadata"]["uid"]},
        }
        try:
            self.service.delete(found.resource, found.wanted, found.existing)
        except Exception as error:
            explained = self.cluster.explain(error)
            if explained.status == 404:
                return False
            raise explained from error
        return True

    def _show(
        self, wanted: dict[str, t.Any], before: dict[str, t.Any], after: dict[str, t.Any]
    ) -> None:
        heading = f"{wanted['kind']} {wanted['metadata']['name']}"
        self.diffs.append(
            {
                "before_header": heading,
                "before": readable(hidden(before, after, "before")),
                "after_header": heading,
                "after": readable(hidden(after, before, "after")),
            }
        )

    def _contents(self, namespace: str, kinds: set[str]) -> t.Iterator[dict[str, t.Any]]:
        """Kind and metadata of everything in a namespace: never a content, let alone a Secret's.

        The kinds that live in a namespace are added to ``kinds``.
        """
        versions = ["/api/v1"] + [
            f"/apis/{group['preferredVersion']['groupVersion']}"
            for group in self.cluster.get("/apis")["groups"]
        ]
        for version in versions:
            for resource in self.cluster.get(version)["resources"]:
                if resource["namespaced"]:
                    kinds.add(resource["kind"])
                if not resource["namespaced"] or "list" not in resource["verbs"]:
                    continue
                path = f"{version}/namespaces/{namespace}/{resource['name']}"
                try:
                    accept = {"Accept": METADATA_ONLY}
                    items = self.cluster.request("get", path, header_params=accept).get("items")
                except ClusterError as error:
                    # What may not be seen may be somebody's: then the namespace stays.
                    items = [{"metadata": {"name": f"(not listed: {error.status})"}}]
                for item in items or []:
                    yield {**item, "kind": resource["kind"]}

    def _not_ours(self, wanted: dict[str, t.Any]) -> str:
        return (
            f"{wanted['kind']} {wanted['metadata']['name']} exists and isn't ours: expected the "
            f"labels {MANAGED_BY}={MANAGER} and {INSTANCE}={self.instance}. Nothing of it was "
            f"changed. Next: {_kubectl_get(wanted)} --show-labels; then set real_ip_name_prefix "
            "or real_ip_namespace to names that are free, or real_ip_adopt=true where it may be "
            "taken over, and be removed by teardown"
        )


def _ending(wanted: dict[str, t.Any], before: dict[str, t.Any]) -> str:
    kind, name = wanted["kind"], wanted["metadata"]["name"]
    return (
        f"{kind} {name} is being deleted: {state_of(kind, before, 'absent').text}. "
        f"Next: wait until it is gone ({_kubectl_get(wanted)}) and run this again"
    )


def _removed(namespace: str) -> ClusterError:
    return ClusterError(
        f"Namespace {namespace} is gone or being deleted: expected it to be there, as it was at "
        "the start; another run or a person removes it. "
        f"Next: wait until it is gone (kubectl get namespace {namespace}) and run this again"
    )


def _kubectl_get(wanted: dict[str, t.Any]) -> str:
    metadata = wanted["metadata"]
    where = f" -n {metadata['namespace']}" if "namespace" in metadata else ""
    return f"kubectl get {wanted['kind'].lower()} {metadata['name']}{where}"


def _namespace_missing(error: ClusterError) -> bool:
    return error.status == 404 and str(error).startswith("namespaces ")


def _namespace_ending(error: ClusterError) -> bool:
    return error.status == 403 and "because it is being terminated" in str(error)


def main() -> None:
    """Entry point."""
    module = open_module(
        {
            "instance": {"type": "str", "required": True},
            "definitions": {"type": "list", "elements": "dict", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "adopt": {"type": "bool", "default": False},
        }
    )
    try:
        applier = Applier(module)
        applier.run()
    except ClusterError as error:
        module.fail_json(msg=str(error), status=error.status)
    done = {one["action"] for one in applier.objects}
    module.exit_json(
        changed=bool(done & {"created", "adopted", "changed", "deleted"}),
        objects=applier.objects,
        left=applier.left,
        **({"diff": applier.diffs} if module._diff else {}),
    )


if __name__ == "__main__":
    main()
