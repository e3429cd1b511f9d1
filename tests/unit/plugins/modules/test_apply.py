# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of an object that somebody else changes between the look and the deed."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest
from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import ClusterError
from ansible_collections.kestrel.real_ip.plugins.module_utils._ownership import labelled
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import SERVER_SIDE_APPLY
from ansible_collections.kestrel.real_ip.plugins.modules.apply import TRIES, Applier

WANTED = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "real-ip-service", "namespace": "here"},
    "spec": {"type": "NodePort"},
}
OURS = labelled({**WANTED, "metadata": {**WANTED["metadata"], "uid": "1"}}, "real-ip")
ENDING = {**OURS, "metadata": {**OURS["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
FOREIGN = {**OURS, "metadata": {**WANTED["metadata"], "uid": "2"}}


class Server:
    """Stands for kubernetes.core's service: what is there at each look, and what each deed says."""

    def __init__(self, looks: t.Iterable[t.Any], deeds: t.Iterable[ClusterError | None]) -> None:
        self.looks, self.deeds = iter(looks), iter(deeds)
        self.asked: list[dict[str, t.Any]] = []
        self.parameters: dict[str, t.Any] = {}

    def find_resource(self, *__: t.Any, **___: t.Any) -> None:
        return None

    def retrieve(self, *__: t.Any) -> t.Any:
        found = next(self.looks)
        return SimpleNamespace(to_dict=lambda: found) if found else None

    def _done(self) -> None:
        error = next(self.deeds)
        if error:
            raise error

    def apply(self, __: t.Any, wanted: dict[str, t.Any], ___: t.Any) -> tuple[t.Any, list[str]]:
        self._done()
        return wanted, []

    def delete(self, *__: t.Any) -> None:
        self.asked.append(self.parameters["delete_options"])
        self._done()


def _applier(server: Server, state: str) -> Applier:
    made = Applier.__new__(Applier)
    params = {"state": state, "definitions": [WANTED], "adopt": False}
    printed = SimpleNamespace(no_log_values=set())
    made.module = SimpleNamespace(params=params, check_mode=False, _module=printed)
    made.instance, made.version = "real-ip", SERVER_SIDE_APPLY
    made.cluster = t.cast("t.Any", SimpleNamespace(explain=lambda error: error))
    made.service = t.cast("t.Any", server)
    made.objects, made.diffs, made.left = [], [], []
    server.parameters = params
    return made


CONFLICT = ClusterError("the object has been modified", 409)
GONE = ClusterError('services "real-ip-service" not found', 404)
ENDED = ClusterError('namespaces "here" not found', 404)
ENDS = ClusterError("forbidden: new content in here because it is being terminated", 403)
DENIED = ClusterError("services is forbidden", 403)


@pytest.mark.parametrize(
    ("state", "looks", "deeds", "action"),
    [
        ("present", [None], [None], "created"),
        ("present", [None, None], [CONFLICT, None], "created"),
        ("absent", [None], [], "absent"),
        ("absent", [OURS], [None], "deleted"),
        ("absent", [ENDING], [], "deleted"),
        # another run was faster
        ("absent", [OURS], [GONE], "absent"),
        ("absent", [OURS, None], [CONFLICT], "absent"),
        # somebody has put another one in its place
        ("absent", [OURS, FOREIGN], [CONFLICT], "kept"),
    ],
)
def test_what_is_done(
    state: str, looks: list[t.Any], deeds: list[ClusterError | None], action: str
) -> None:
    server = Server(looks, deeds)
    applier = _applier(server, state)
    applier.run()
    assert [one["action"] for one in applier.objects] == [action]
    assert bool(applier.diffs) is (action in ("created", "deleted"))
    assert all(one["preconditions"] == {"uid": "1"} for one in server.asked)


@pytest.mark.parametrize(
    ("state", "looks", "deeds", "words"),
    [
        ("present", [None] * TRIES, [CONFLICT] * TRIES, "has been modified"),
        ("present", [None], [ENDED], "Namespace here is gone or being deleted"),
        ("present", [None], [ENDS], "Namespace here is gone or being deleted"),
        ("present", [None], [DENIED], "services is forbidden"),
        ("present", [ENDING], [], "Service real-ip-service is being deleted"),
        ("present", [OURS, ENDING], [CONFLICT], "Service real-ip-service is being deleted"),
        ("present", [FOREIGN], [], "exists and isn't ours"),
        ("present", [None, FOREIGN], [CONFLICT], "exists and isn't ours"),
        ("absent", [OURS], [DENIED], "services is forbidden"),
    ],
)
def test_what_ends_a_run(
    state: str, looks: list[t.Any], deeds: list[ClusterError | None], words: str
) -> None:
    with pytest.raises(ClusterError, match=words):
        _applier(Server(looks, deeds), state).run()
