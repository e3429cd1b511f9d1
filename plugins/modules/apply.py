#!/usr/bin/python

# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply or delete a deployment's own objects."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apply
short_description: Apply or delete the objects of one deployment, and nobody else's
version_added: 0.1.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Applies Kubernetes objects by server-side apply with the field manager V(kestrel.real_ip), or
    deletes them.
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

from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import (
    Cluster,
    ClusterError,
    open_module,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._load_balancer import unchangeable
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import (
    INSTANCE,
    MANAGED_BY,
    MANAGER,
    foreign,
    hidden,
    is_anothers,
    is_ours,
    labelled,
    without_server_fields,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import state_of
from ansible_collections.kubernetes.core.plugins.module_utils.k8s.service import (
    K8sService,
    diff_objects,
)

METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# Deleted with its pods, so that the object is there until they are gone.
FOREGROUND = {"propagationPolicy": "Foreground"}


class Found(t.NamedTuple):
    """One definition and what there is of it: ``before`` is empty where there is nothing."""

    resource: t.Any
    wanted: dict[str, t.Any]
    before: dict[str, t.Any]
    existing: t.Any


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
        # what kubernetes.core's service reads beside the options of a module of its own
        module.params["server_side_apply"] = {"field_manager": MANAGER, "force_conflicts": True}
        module.params["delete_options"] = FOREGROUND
        for definition in module.params["definitions"]:
            self._conceal(definition)
        self.instance: str = module.params["instance"]
        self.cluster = Cluster(module)
        self.service = K8sService(self.cluster.client, module)
        self.objects: list[dict[str, str]] = []
        self.diffs: list[dict[str, t.Any]] = []
        self.left: list[str] = []

    def run(self) -> None:
        """Apply or delete every definition. Raises ClusterError."""
        absent = self.module.params["state"] == "absent"
        act = self.delete if absent else self.apply
        found = [self._find(definition) for definition in self.module.params["definitions"]]
        # Where one is in the way, the others must not be applied before it either.
        for __, wanted, before, __ in [] if absent else found:
            self._check(wanted, before)
        for resource, wanted, before, existing in found:
            with self._explained():
                done = act(resource, wanted, before, existing)
            kind, name = wanted["kind"], wanted["metadata"]["name"]
            self.objects.append({"kind": kind, "name": name, "action": done})

    def _find(self, definition: dict[str, t.Any]) -> Found:
        wanted = labelled(definition, self.instance)
        with self._explained():
            resource = self.service.find_resource(wanted["kind"], wanted["apiVersion"], fail=True)
            existing = self.service.retrieve(resource, wanted)
            before = existing.to_dict() if existing else {}
            self._conceal(before)
        return Found(resource, wanted, before, existing)

    def _conceal(self, found: t.Mapping[str, t.Any]) -> None:
        """Keep what a Secret holds out of all that Ansible prints."""
        self.module._module.no_log_values.update(held(found))

    @contextmanager
    def _explained(self) -> t.Iterator[None]:
        """Whatever is raised, as a ClusterError."""
        try:
            yield
        except ClusterError:
            raise
        except Exception as error:
            raise self.cluster.explain(error) from error

    def _check(self, wanted: dict[str, t.Any], before: dict[str, t.Any]) -> None:
        if before and wanted["kind"] != "Namespace" and not self._may_change(before):
            raise ClusterError(self._not_ours(wanted))
        # It would be applied without an error, and be gone a moment later.
        if before and before["metadata"].get("deletionTimestamp"):
            raise ClusterError(_ending(wanted, before))
        reason = unchangeable(before, wanted)
        if reason:
            raise ClusterError(reason)

    def _may_change(self, before: dict[str, t.Any]) -> bool:
        """Whether an object is ours, or becomes so."""
        adopted = self.module.params["adopt"] and not is_anothers(before, self.instance)
        return is_ours(before, self.instance) or adopted

    def apply(
        self, resource: t.Any, wanted: dict[str, t.Any], before: dict[str, t.Any], existing: t.Any
    ) -> str:
        """Apply one definition and say what that did."""
        taken = bool(before) and not is_ours(before, self.instance)
        if taken and wanted["kind"] == "Namespace":
            return "kept"
        try:
            after = self.service.apply(resource, wanted, existing)[0]
        except Exception as error:
            explained = self.cluster.explain(error)
            if not (self.module.check_mode and not before and _namespace_missing(explained)):
                raise explained from error
            after = wanted
        done = self._compare(without_server_fields(before), without_server_fields(after))
        return "adopted" if taken else done

    def delete(
        self, resource: t.Any, wanted: dict[str, t.Any], before: dict[str, t.Any], existing: t.Any
    ) -> str:
        """Delete one object where it is ours and say what that did."""
        if not before:
            return "absent"
        if not is_ours(before, self.instance):
            return "kept"
        if wanted["kind"] == "Namespace":
            kinds: set[str] = set()
            contents = list(self._contents(wanted["metadata"]["name"], kinds))
            self.left = foreign(contents, kinds, self.instance)
            if self.left:
                return "kept"
        if not before["metadata"].get("deletionTimestamp"):
            self.service.delete(resource, wanted, existing)
        self.diffs.append(
            {"before": hidden(without_server_fields(before), {}, "before"), "after": ""}
        )
        return "deleted"

    def _compare(self, before: dict[str, t.Any], after: dict[str, t.Any]) -> str:
        if diff_objects(before, after)[0]:
            return "unchanged"
        diff = diff_objects(hidden(before, after, "before"), hidden(after, before, "after"))[1]
        # An empty text: a diff would show an empty object as a line that is removed.
        self.diffs.append({"before": diff["before"] or "", "after": diff["after"] or ""})
        return "changed" if before else "created"

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


def _kubectl_get(wanted: dict[str, t.Any]) -> str:
    metadata = wanted["metadata"]
    where = f" -n {metadata['namespace']}" if "namespace" in metadata else ""
    return f"kubectl get {wanted['kind'].lower()} {metadata['name']}{where}"


def _namespace_missing(error: ClusterError) -> bool:
    return error.status == 404 and str(error).startswith("namespaces ")


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
