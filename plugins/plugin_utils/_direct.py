# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules without a Python of their own, where they'd run on the controller anyway.

A module costs a second of a processor before its first line: its files are packed, sent, unpacked
and compiled, and the Kubernetes client is imported. With C(connection: local) and the controller's
own Python that leads back to where it started, so the module is called instead, in the process that
Ansible forks for each task. C(ansible.netcommon) does the same under the name C(import_modules).
Everywhere else, such as on a vantage point, modules run as always.
"""

from __future__ import annotations

import io
import json
import os
import sys
import typing as t
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from importlib import import_module
from types import ModuleType

from ansible import constants as C
from ansible.module_utils import basic
from ansible.module_utils.common import json as serialization
from ansible.plugins.action import ActionBase
from ansible.release import __version__
from ansible.utils.vars import merge_hash

#: Those with which it was tried, since nothing promises that the next one has the same insides:
#: with any other one modules run as always.
CORES = ("2.17", "2.18", "2.19", "2.20", "2.21")
_CORE = ".".join(__version__.split(".")[:2])

# How ansible-core 2.19 and later name the form of arguments and results that all modules know.
_PROFILE = "legacy"


#: Option of a module → the variable of a host that gives it
_CONNECTION = {
    "kubeconfig": "real_ip_kubeconfig",
    "context": "real_ip_context",
    "host": "real_ip_api_host",
    "api_key": "real_ip_api_key",
}


def _names_a_cluster(variable: str) -> bool:
    """Whether a variable of the environment says which cluster is meant."""
    return variable == "KUBECONFIG" or variable.startswith("K8S_AUTH_")


class DirectAction(ActionBase):
    """An action whose module is called where it stands, if that makes no difference.

    ``MODULE``: the module; None where it can't be imported, which it then says itself.
    ``OF_A_CLUSTER``: whether it talks to the API server of the host's cluster.
    """

    MODULE: t.ClassVar[ModuleType | None] = None
    OF_A_CLUSTER: t.ClassVar[bool] = True

    def _execute_module(self, *unnamed: t.Any, **named: t.Any) -> dict[str, t.Any]:
        task_vars = named.get("task_vars") or {}
        environment: dict[str, str] = {}
        untyped: t.Any = self
        untyped._compute_environment_string(environment)
        if self.OF_A_CLUSTER:
            given = named.get("module_args") or self._task.args
            named["module_args"] = self._connected(given, task_vars, environment)
        if unnamed or not self._is_here(task_vars, environment):
            found: dict[str, t.Any] = super()._execute_module(*unnamed, **named)
            return self._of_this_play(found)
        args = dict(named.get("module_args") or self._task.args)
        self._update_module_args(named.get("module_name") or self._task.action, args, task_vars)
        printed = io.StringIO()
        # SystemExit is how modules end; whatever else they raise is told by Ansible.
        with _started_with(args, environment), redirect_stdout(printed), suppress(SystemExit):
            untyped.MODULE.main()
        # The last line, like Ansible: what a library prints comes before.
        result = json.loads(printed.getvalue().strip().rpartition("\n")[2], **_form("decoder"))
        return self._of_this_play(result)

    def _of_this_play(self, found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """A result, with the play in which the context that it names lasts."""
        return {**found, **({"play": self._play()} if found.get("lasting_context") else {})}

    def _play(self) -> str:
        """What tells the task's play from the others of a run, also of the same name and file."""
        return str(self._task.get_play()._uuid)

    def _connected(
        self,
        args: t.Mapping[str, t.Any],
        task_vars: t.Mapping[str, t.Any],
        environment: t.Mapping[str, str],
    ) -> dict[str, t.Any]:
        """The arguments, with the connection that the host's variables name where they name none.

        A role in somebody's own play has nothing else that tells one host's cluster from another's.
        Which context a playbook has found first holds for its whole play, also where somebody
        switches the current one meanwhile; but not in a later play, which may have switched it.
        """
        variables = {
            option: self._templar.template(task_vars.get(variable) or None)
            for option, variable in _CONNECTION.items()
            if not args.get(option)
        }
        named = {option: value for option, value in variables.items() if value}
        before = task_vars.get("__real_ip_preflight") or {}
        lasting = before.get("lasting_context")
        named_before = {"kubeconfig": before["kubeconfig"]} if before.get("kubeconfig") else {}
        by_environment = any(map(_names_a_cluster, filter(environment.get, environment)))
        is_given = any(args.get(option) for option in _CONNECTION)
        is_same = lasting and before.get("play") == self._play()
        if is_same and not is_given and not by_environment and named == named_before:
            named["context"] = lasting
        return {**args, **named}

    def _is_here(self, task_vars: t.Mapping[str, t.Any], environment: t.Mapping[str, str]) -> bool:
        """Whether the module would run as this user, by this Python, on this machine."""
        elsewhere = (
            self.MODULE is None,
            _CORE not in CORES,
            self._task.delegate_to,
            self._task.async_val,
            self._connection.transport != "local",
            self._connection.become,
            # Who keeps the files wants to run them by hand.
            C.config.get_config_value("DEFAULT_KEEP_REMOTE_FILES"),
            # The Kubernetes client reads it once, where it is imported.
            "KUBECONFIG" in environment,
        )
        if any(elsewhere):
            return False
        interpreter = self._templar.template(task_vars.get("ansible_python_interpreter") or "")
        return bool(interpreter == sys.executable)


class OnlyModule(DirectAction):
    """An action that does nothing beside."""

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """The module's result, as Ansible's own action for modules has it."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        found = self._execute_module(task_vars=task_vars, wrap_async=wrap_async)
        merged: dict[str, t.Any] = merge_hash(result, found)
        return merged


def module_of(name: str) -> ModuleType | None:
    """A module of this collection, or None where what it needs isn't there.

    Imported with the action, so once for all tasks and hosts: Ansible loads an action before it
    forks.
    """
    try:
        return import_module(f"ansible_collections.kestrel.real_ip.plugins.modules.{name}")
    except ImportError:
        return None


def _form(coder: str) -> dict[str, t.Any]:
    """How the ``encoder`` of arguments or the ``decoder`` of results is named to ``json``."""
    if hasattr(serialization, "Direction"):
        way = serialization.Direction
        directions = {"encoder": way.CONTROLLER_TO_MODULE, "decoder": way.MODULE_TO_CONTROLLER}
        make = getattr(serialization, f"get_module_{coder}")
        return {"cls": make(_PROFILE, directions[coder])}
    # Before ansible-core 2.19; among arguments may be vaulted text.
    encoder = {"cls": serialization.AnsibleJSONEncoder, "vault_to_text": True}
    return encoder if coder == "encoder" else {}


@contextmanager
def _started_with(
    args: t.Mapping[str, t.Any], environment: t.Mapping[str, str]
) -> t.Iterator[None]:
    """A module that starts meanwhile has these arguments, and these variables more.

    What it changes of the variables is undone.
    """
    before = dict(os.environ)
    encoded = json.dumps({"ANSIBLE_MODULE_ARGS": args}, **_form("encoder")).encode()
    with ExitStack() as stack:
        for name, value in (("_ANSIBLE_ARGS", encoded), ("_ANSIBLE_PROFILE", _PROFILE)):
            # Before ansible-core 2.19 there is no profile, and nobody reads this one.
            stack.callback(setattr, basic, name, getattr(basic, name, None))
            setattr(basic, name, value)
        os.environ.update({name: str(value) for name, value in environment.items()})
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            _forget_credentials()


def _forget_credentials() -> None:
    """Remove the files in which the Kubernetes client has a kubeconfig's certificates and keys.

    It does so where a process ends, which Ansible's forked ones do without a word to anybody. What
    was connected with them is of no use without.
    """
    prefix = "ansible_collections.kubernetes.core.plugins.module_utils.k8s"
    clients = getattr(sys.modules.get(f"{prefix}.client"), "_pool", {})
    clients.clear()
    config = sys.modules.get("kubernetes.config.kube_config")
    getattr(config, "_cleanup_temp_files", lambda: None)()
