#!/usr/bin/python

# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait for several objects together."""

from __future__ import annotations

DOCUMENTATION = r"""
module: wait_ready
short_description: Wait for pods and for a load balancer's address together, and show what is
  waited for
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Waits until every one of O(objects) is ready, or gone with O(state=absent).
  - A Deployment is ready when its rollout is complete, an Ingress and a Service of type
    LoadBalancer when their status
    names an address or a host name, anything else when it exists.
  - Where O(objects[].action) says what was done with an object, the task does not wait for what
    cannot come any more. One that somebody else has removed, made again or applied otherwise
    meanwhile fails it.
  - Of what is not gone it says what holds it, such as a finalizer, or a pod on a node that does not
    answer.
  - While it waits, a line every O(interval) seconds says for what, with the namespace's latest
    event.
  - A task of this name runs an action plugin, which shows the progress and calls the module for
    one O(interval) at a time.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - kestrel.real_ip.attributes
  - kestrel.real_ip.attributes.read_only
attributes:
  check_mode:
    details:
      - Does not wait in check mode, since a run that changes nothing makes nothing ready.
  action_group:
    support: full
options:
  namespace:
    description: The namespace of O(objects), and of the events that are shown.
    type: str
    required: true
  objects:
    description: What to wait for. RV(kestrel.real_ip.apply#module:objects) can be given as it is.
    type: list
    elements: dict
    required: true
    suboptions:
      kind:
        description: The kind.
        type: str
        choices: [Namespace, ConfigMap, Secret, Deployment, Service, Ingress]
        required: true
      name:
        description: The name.
        type: str
        required: true
      action:
        description: What M(kestrel.real_ip.apply) did with the object. One that it V(kept) is not
          ours to wait for.
        type: str
      applied:
        description: By what M(kestrel.real_ip.apply) knows that nobody has applied it otherwise
          since.
        type: str
      yielded:
        description: What M(kestrel.real_ip.apply) left to somebody else. It is waited for as it is.
        type: list
        elements: str
      former_addresses:
        description: Addresses of an Ingress before its class was changed. While its status has one
          of them, it is not ready.
        type: list
        elements: str
  state:
    description: Whether to wait until the objects are ready, or until they are gone.
    type: str
    choices: [present, absent]
    default: present
  wait_timeout:
    description: How many seconds to wait at most. The task fails where that is not enough.
    type: int
    default: 300
  interval:
    description: Seconds between two lines of progress.
    type: int
    default: 10
  way:
    description:
      - What to read once everything is ready, as M(kestrel.real_ip.path_addresses_info) does. That
        saves a task of its own.
    type: dict
    suboptions:
      ingress:
        description: The Ingress in front. Without it the Service is in front.
        type: str
      service:
        description: The Service.
        type: str
        required: true
      request_host:
        description: The host name of the Ingress rule.
        type: str
        default: ''
      path:
        description: The path to request.
        type: str
        default: /
      url:
        description: What is asked instead of the addresses of what is in front, if anything.
        type: str
        default: ''
      layer:
        description:
          - Which evidence decides. With V(l7), ways around a Service in front are looked for too,
            as around O(way.ingress), since whoever gets past it writes the headers himself.
        type: str
        choices: [l7, l4]
        default: l7
requirements:
  - kubernetes >= 24.2.0
seealso:
  - module: kestrel.real_ip.path_addresses_info
"""

EXAMPLES = r"""
- name: Wait for the pods and the address together
  kestrel.real_ip.wait_ready:
    namespace: kestrel-catchip
    objects:
      - kind: Deployment
        name: real-ip-deployment
      - kind: Ingress
        name: real-ip-ingress
"""

RETURN = r"""
ready:
  description: Whether all objects are ready, or gone.
  returned: always
  type: bool
objects:
  description: Each object with its last state, in the order of O(objects).
  returned: always
  type: list
  elements: dict
  contains:
    kind:
      description: The kind.
      type: str
    name:
      description: The name.
      type: str
    ready:
      description: Whether this one is ready, or gone.
      type: bool
    state:
      description: Its state in a few words.
      type: str
      sample: 1 of 2 pods available
latest_event:
  description: The newest event of the namespace, or the empty string. Only read while something
    is not ready.
  returned: always
  type: str
waited:
  description: How many seconds were waited.
  returned: always
  type: float
way:
  description: What M(kestrel.real_ip.path_addresses_info) returns.
  returned: with O(way), where everything is ready and in check mode
  type: dict
"""

import time
import typing as t
from contextlib import suppress

from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import (
    Cluster,
    ClusterError,
    open_module,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._readiness import (
    FOREGROUND,
    KINDS,
    contested,
    held_by_pods,
    latest_event,
    paths_of,
    state_of,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._way import OPTIONS, read_way

# Seconds between two looks at the objects: short at first, since a warm cluster needs three.
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 2.0


class Contest(ClusterError):
    """Somebody else has undone what is waited for."""


def look(cluster: Cluster, params: t.Mapping[str, t.Any], applied: bool) -> list[dict[str, t.Any]]:
    """The state of every object now. Raises ClusterError, and Contest where ``applied`` holds.

    ``applied``: whether what the objects' actions say was done for real.
    """
    found = []
    for one in params["objects"]:
        if one["action"] == "kept":
            continue
        paths = paths_of(one["kind"], params["namespace"], one["name"])
        existing = cluster.find_first(paths)
        undone = contested(one, existing) if applied else ""
        if undone:
            raise Contest(_contest(one, undone, params["namespace"]))
        former = one["former_addresses"] or ()
        state = state_of(one["kind"], existing, params["state"], former)
        found.append(
            {"kind": one["kind"], "name": one["name"], "ready": state.ready, "state": state.text}
        )
    return found


def _contest(one: t.Mapping[str, t.Any], done: str, namespace: str) -> str:
    where = f" in the namespace {namespace}" if one["kind"] != "Namespace" else ""
    return (
        f"{one['kind']} {one['name']}{where} {done} while this run waited for it (it was "
        f"{one['action']} before): another run or a person works on the same deployment. "
        "Next: wait until that is over, and run this again"
    )


def holding(cluster: Cluster, namespace: str, one: dict[str, t.Any]) -> dict[str, t.Any]:
    """``one`` of what isn't gone, with the pods that hold it where these do and may be read."""
    if one["ready"] or one["kind"] != "Deployment" or FOREGROUND not in one["state"]:
        return one
    try:
        existing = cluster.find_first(paths_of(one["kind"], namespace, one["name"]))
        labels = (existing or {}).get("spec", {}).get("selector", {}).get("matchLabels") or {}
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        path = f"/api/v1/namespaces/{namespace}/pods"
        pods = cluster.items(path, labelSelector=selector) if selector else []
    except ClusterError:
        return one
    nodes = {}
    for name in {pod.get("spec", {}).get("nodeName", "") for pod in pods} - {""}:
        with suppress(ClusterError):
            nodes[name] = cluster.find(f"/api/v1/nodes/{name}")
    return {**one, "state": held_by_pods(pods, nodes) or one["state"]}


def unread(one: t.Mapping[str, t.Any], error: ClusterError) -> dict[str, t.Any]:
    """What is known of an object that could not be read this time."""
    return {"kind": one["kind"], "name": one["name"], "ready": False, "state": str(error)}


def events(cluster: Cluster, namespace: str) -> str:
    """The latest event, or why there is none to show: it helps, but nothing depends on it."""
    try:
        return latest_event(cluster.items(f"/api/v1/namespaces/{namespace}/events"))
    except ClusterError as error:
        return f"events can't be read: {error}"


def main() -> None:
    """Entry point."""
    module = open_module(
        {
            "namespace": {"type": "str", "required": True},
            "objects": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "kind": {"type": "str", "choices": list(KINDS), "required": True},
                    "name": {"type": "str", "required": True},
                    "action": {"type": "str"},
                    "applied": {"type": "str"},
                    "yielded": {"type": "list", "elements": "str"},
                    "former_addresses": {"type": "list", "elements": "str"},
                },
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "wait_timeout": {"type": "int", "default": 300},
            "interval": {"type": "int", "default": 10},
            "way": {"type": "dict", "options": OPTIONS},
        }
    )
    start = time.monotonic()
    pause = FIRST_PAUSE
    try:
        cluster = Cluster(module)
        while True:
            try:
                objects = look(cluster, module.params, not module.check_mode)
            except ClusterError as error:
                # A restarting API server is no reason to give up while there is time.
                objects = [unread(one, error) for one in module.params["objects"]]
                if error.status in (401, 403) or isinstance(error, Contest):
                    raise
            ready = all(one["ready"] for one in objects)
            left = start + module.params["wait_timeout"] - time.monotonic()
            if ready or left <= 0 or module.check_mode:
                break
            time.sleep(min(pause, left))
            pause = min(pause * 1.2, LONGEST_PAUSE)
        namespace, asked = module.params["namespace"], module.params["way"]
        if not module.check_mode:
            objects = [holding(cluster, namespace, one) for one in objects]
        event = "" if ready else events(cluster, namespace)
        wanted = asked and (ready or module.check_mode)
        way = {"way": read_way(cluster, namespace, asked)} if wanted else {}
    except ClusterError as error:
        module.fail_json(msg=str(error), status=error.status)
    module.exit_json(
        changed=False,
        ready=ready,
        objects=objects,
        latest_event=event,
        waited=round(time.monotonic() - start, 1),
        **way,
    )


if __name__ == "__main__":
    main()
