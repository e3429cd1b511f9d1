# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The way to the API server: kubernetes.core's client, with bounded requests and plain answers."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import sys
import threading
import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kestrel.real_ip.plugins.module_utils._shapes import INGRESS_APIS
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import (
    _create_auth_spec,
    _create_configuration,
    get_api_client,
)
from ansible_collections.kubernetes.core.plugins.module_utils.k8s.core import AnsibleK8SModule

try:
    from kubernetes.client import rest
    from urllib3.exceptions import HTTPError, ProxyError
    from urllib3.exceptions import SSLError as TLSError

    HAS_KUBERNETES = True
except ImportError:
    # open_module() says so in words, before any of these names is used
    HAS_KUBERNETES = False

# Seconds. kubernetes.core sets none, and a server that accepts and stays silent would hang a play.
CONNECT_TIMEOUT = 5
READ_TIMEOUT = 30

# Connections that are kept: as many as requests are ever made side by side.
CONNECTIONS = 16

# Characters of an answer that is no object; enough to tell what it is.
_TEXT = 4096

# An explicit connection must win over what AWX or a shell put into the environment.
_CONNECTION = ("kubeconfig", "context", "host", "api_key")


#: The modules of the client that read kubeconfigs
_READER = "kubernetes.config."
#: What they say of a context that a kubeconfig lacks, by the end of the list's name
_NO_CONTEXT = re.compile(r"object with name (?P<name>.*) in .*/contexts list|key current-context ")

#: What API servers say to a resource that they don't have; of an object they name the object.
_NO_RESOURCE = ("the server could not find the requested resource", "page not found")


class ClusterError(Exception):
    """A request that failed, in one sentence for a person.

    ``status`` is the HTTP status, or 0 where there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_unserved(self) -> bool:
        """Is this about a resource that the API server doesn't have, rather than an object?"""
        return self.status == 404 and any(text in str(self) for text in _NO_RESOURCE)


class NoConfiguration(ClusterError):
    """Nothing says which API server: no kubeconfig, none that can be used, or no such context."""


def open_module(argument_spec: dict[str, t.Any], **keywords: t.Any) -> AnsibleK8SModule:
    """A module with kubernetes.core's connection options beside ``argument_spec``."""
    module = AnsibleK8SModule(
        module_class=AnsibleModule,
        argument_spec={**AUTH_ARG_SPEC, **argument_spec},
        supports_check_mode=True,
        check_k8s=False,
        check_pyyaml=False,
        **keywords,
    )
    if not HAS_KUBERNETES:
        module.fail_json(
            msg=f"The Python library kubernetes is missing for {sys.executable}, which runs this "
            f"task. Next: {sys.executable} -m pip install kubernetes"
        )
    path = module.params["kubeconfig"]
    if isinstance(path, str):
        # Hidden by kubernetes.core up to 6.2, as the contents would be: it is what messages name.
        module._module.no_log_values.discard(path)
    return module


class Cluster:
    """The API server that a module's options and environment name."""

    def __init__(self, module: AnsibleK8SModule, require_tls: bool = False) -> None:
        """Connect. Raises ClusterError.

        With ``require_tls`` also where the server isn't verified, before it gets a request, and so
        before it gets the credentials.
        """
        given = any(module.params.get(option) for option in _CONNECTION)
        for variable in [name for name in os.environ if name.startswith("K8S_AUTH_")]:
            # AWX sets the variable of a credential's field that was left empty to nothing.
            if given or not os.environ[variable]:
                del os.environ[variable]
        _bound_requests()
        try:
            if require_tls:
                _refuse_unverified(_create_configuration(_create_auth_spec(module)), module.params)
            self.client = get_api_client(module=module)
        except Exception as error:  # a configuration can fail in as many ways as its format has
            raise _explain(error, module.params) from error
        configuration = self.client.client.configuration
        _keep_host(configuration, _create_auth_spec(module).get("host"))
        self.server: str = configuration.host
        #: What is to be said of a server that isn't verified, or None.
        self.unverified = unverified(configuration, module.params, os.environ)
        self._counting = threading.Lock()
        #: How many requests were made by this object; those of the client's discovery don't count.
        self.requests = 0
        self._params = module.params

    def _count(self) -> None:
        # Requests can be made by several threads at a time.
        with self._counting:
            self.requests += 1

    def request(self, method: str, path: str, **keywords: t.Any) -> dict[str, t.Any]:
        """The answer to one request as plain data. Raises ClusterError."""
        self._count()
        try:
            answer = self.client.client.request(method, path, serialize=False, **keywords)
            return t.cast("dict[str, t.Any]", json.loads(answer.data))
        except Exception as error:
            raise self.explain(error) from error

    def get(self, path: str, **query: str | int) -> dict[str, t.Any]:
        """One object or list. ``query`` is the query string. Raises ClusterError."""
        return self.request("get", path, query_params=list(query.items()))

    def find(self, path: str) -> dict[str, t.Any] | None:
        """One object, or None where it doesn't exist. Raises ClusterError for all else."""
        try:
            return self.get(path)
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    def find_first(self, paths: t.Iterable[str]) -> dict[str, t.Any] | None:
        """One object, from the first of several APIs that the server has. Raises ClusterError."""
        for path in paths:
            try:
                return self.get(path)
            except ClusterError as error:
                if error.status != 404:
                    raise
                if not error.is_unserved:
                    return None
        return None

    def ingress_api(self) -> str:
        """Where Ingresses are served, as one of INGRESS_APIS. Raises ClusterError.

        The first of them where none is: then the server itself says so. That a group has a version
        doesn't say that the resource is in it: v1 of networking.k8s.io had NetworkPolicies first.
        """
        for api in INGRESS_APIS:
            found = self.find(f"/apis/{api}") or {}
            if any(one.get("name") == "ingresses" for one in found.get("resources") or []):
                return api
        return INGRESS_APIS[0]

    def items(
        self, path: str, keep: t.Callable[[t.Any], t.Any] | None = None, **query: str | int
    ) -> list[t.Any]:
        """All items of a list, read by pages of 500. Raises ClusterError.

        ``keep`` makes of each item what is kept of it: of thousands, all would fill the memory.
        """
        found: list[t.Any] = []
        more = ""
        while True:
            page = self.get(path, limit=500, **({"continue": more} if more else {}), **query)
            items = page.get("items") or []
            found += [keep(item) for item in items] if keep else items
            more = page.get("metadata", {}).get("continue", "")
            if not more:
                return found

    def ask(self, path: str, timeout: float) -> tuple[int, str]:
        """Status and text of an answer of whatever status; 0 and the reason where there is none."""
        self._count()
        try:
            answer = self.client.client.request(
                "get", path, serialize=False, _request_timeout=(CONNECT_TIMEOUT, timeout)
            )
            return int(answer.status), str(answer.data[:_TEXT], "utf-8", "replace")
        except Exception as error:
            status = getattr(error, "status", None)
            if isinstance(status, int):
                body = getattr(error, "body", None) or b""
                text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
                return status, text[:_TEXT]
            return 0, _last_reason(list(_chain(error)))

    def explain(self, error: BaseException) -> ClusterError:
        """``error`` of the client or of kubernetes.core as one sentence."""
        return _explain(error, self._params, getattr(self, "server", None))


#: How a certificate comes to be not verified, by variable; kubernetes.core reads the first that is
#: set. For a credential without a CA certificate AWX sets the second one, whatever its verify_ssl.
_VERIFICATION = ("K8S_AUTH_VALIDATE_CERTS", "K8S_AUTH_VERIFY_SSL")


def unverified(
    configuration: t.Any, params: t.Mapping[str, t.Any], environ: t.Mapping[str, str]
) -> str | None:
    """What is to be said where anybody on the way could be the API server, or None.

    ``configuration`` is the client's, which has been made of the other two and of a kubeconfig.
    """
    server = str(configuration.host)
    if server.lower().startswith("http://"):
        return (
            f"The API server {server} is spoken to without TLS: anybody on the way can read the "
            "credentials and answer in its place. Next: give its https:// URL"
        )
    if configuration.verify_ssl:
        return None
    named = next((name for name in _VERIFICATION if environ.get(name)), None)
    if params.get("validate_certs") is not None:
        why = "validate_certs is false"
    elif named:
        why = f"the environment has {named}={environ[named]}"
    else:
        why = "the kubeconfig has insecure-skip-tls-verify"
    return (
        f"The certificate of the API server {server} is not verified, since {why}: anybody on the "
        "way can read the credentials and answer in its place. Next: give its CA certificate, as "
        "certificate-authority-data in the kubeconfig, or in AWX's credential, which without one "
        "switches the verification off"
    )


def _keep_host(configuration: t.Any, host: str | None) -> None:
    """Ask the server that was named, with the credentials of a kubeconfig's user as well.

    The client takes a token anew before each request, and the kubeconfig's own server with it.
    """
    taken_anew = configuration.refresh_api_key_hook
    if not host or not taken_anew:
        return

    def take_anew(of: t.Any) -> None:
        taken_anew(of)
        of.host = host.rstrip("/")

    configuration.refresh_api_key_hook = take_anew
    configuration.host = host.rstrip("/")


def _refuse_unverified(configuration: t.Any, params: t.Mapping[str, t.Any]) -> None:
    """Raises ClusterError where the API server isn't verified."""
    said = unverified(configuration, params, os.environ)
    if said:
        what, __, mend = said.partition(" Next: ")
        raise ClusterError(f"real_ip_require_tls: {what} Nothing was changed. Next: {mend}")


_Found = t.TypeVar("_Found")
_Told = t.TypeVar("_Told")


def insist(
    act: t.Callable[[_Found], _Told], look: t.Callable[[], _Found], found: _Found, tries: int
) -> _Told:
    """What ``act`` tells of what was found; after a new look where that had changed since.

    Raises ClusterError: of the last try, or another one than a conflict (409).
    """
    for left in reversed(range(tries)):
        try:
            return act(found)
        except ClusterError as error:
            if error.status != 409 or not left:
                raise
            found = look()
    raise AssertionError("the last try returns or raises")


def contexts_of(params: t.Mapping[str, t.Any]) -> tuple[str | None, list[str]]:
    """The context in use and the others of its kubeconfig; None where there is no kubeconfig."""
    from kubernetes import config

    source: t.Any = _kubeconfig_of(params)
    context = params.get("context") or os.environ.get("K8S_AUTH_CONTEXT")
    in_pod = not (source or context) and "KUBERNETES_SERVICE_HOST" in os.environ
    if params.get("host") or os.environ.get("K8S_AUTH_HOST") or in_pod:
        return None, []
    try:
        if isinstance(source, dict):
            names = [str(one["name"]) for one in source.get("contexts") or []]
            current = source.get("current-context")
        else:
            found, chosen = config.list_kube_config_contexts(config_file=source)
            names, current = [str(one["name"]) for one in found], chosen["name"]
    except Exception:  # as many as the format has; the connection says which
        names, current = [], None
    used = str(context or current) if context or current else None
    return used, [name for name in names if name != used]


def _kubeconfig_of(params: t.Mapping[str, t.Any]) -> t.Any:
    """What is given as one, a path or contents; None where the client looks for its own."""
    return params.get("kubeconfig") or os.environ.get("K8S_AUTH_KUBECONFIG")


def kubectl(params: t.Mapping[str, t.Any], context: str | None, others: t.Sequence[str]) -> str:
    """How a command begins that asks the same cluster, whatever kubectl's own choice is by then.

    ``context`` and ``others`` as from :func:`contexts_of`. A kubeconfig that is given by its
    contents has no name: what stands for it names no file, so that a command fails and goes
    nowhere else.
    """
    told, source = "kubectl", _kubeconfig_of(params)
    if source:
        told += f" --kubeconfig {shlex.quote(source) if isinstance(source, str) else '…'}"
    if context and others:
        told += f" --context {shlex.quote(context)}"
    return told


def _bound_requests() -> None:
    """Give every request of this process a timeout, one repetition, and a kept connection."""
    plain: t.Any = rest.RESTClientObject.request
    if hasattr(plain, "__wrapped__"):
        return

    @functools.wraps(plain)
    def request(self: t.Any, *args: t.Any, **keywords: t.Any) -> t.Any:
        if not keywords.get("_request_timeout"):
            keywords["_request_timeout"] = (CONNECT_TIMEOUT, READ_TIMEOUT)
        pool = self.pool_manager.connection_pool_kw
        pool.setdefault("retries", 1)
        # The client's own is five for each processor; those above are opened anew each time.
        pool["maxsize"] = max(int(pool.get("maxsize") or 0), CONNECTIONS)
        return plain(self, *args, **keywords)

    setattr(rest.RESTClientObject, "request", request)  # noqa: B010


def _chain(error: BaseException) -> t.Iterator[BaseException]:
    """``error`` and what caused it, urllib3's wrapped reasons included."""
    seen: set[int] = set()
    todo: list[t.Any] = [error]
    while todo:
        one = todo.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += [getattr(one, "reason", None), one.__cause__, one.__context__]


def _explain(
    error: BaseException, params: t.Mapping[str, t.Any], server: str | None = None
) -> ClusterError:
    if isinstance(error, ClusterError):
        return error
    chain = list(_chain(error))
    server = server or _pool_server(chain) or "named by the kubeconfig"
    answered = next((one for one in chain if isinstance(getattr(one, "status", None), int)), None)
    if answered is not None:
        return _refused(answered, server)
    reading = next(filter(_is_of_the_kubeconfig, chain), None)
    if reading is not None:
        return NoConfiguration(_no_configuration(reading, params))
    tls = next((one for one in chain if isinstance(one, TLSError)), None)
    if tls is not None:
        return ClusterError(
            f"The API server {server} can't be trusted: {tls}. Next: "
            "give its CA certificate in a kubeconfig (real_ip_kubeconfig)"
        )
    if any(isinstance(one, ProxyError) for one in chain):
        return ClusterError(
            f"The API server {server} can't be reached through the proxy that the environment "
            f"names: {_last_reason(chain)}. Next: add it to NO_PROXY, or mend HTTPS_PROXY"
        )
    broken = next((one for one in chain if isinstance(one, (HTTPError, OSError))), None)
    if broken is not None:
        return ClusterError(
            f"The API server {server} doesn't answer: {_last_reason(chain)}. Next: kubectl version "
            "on the machine that runs this play"
        )
    return ClusterError(f"{type(error).__name__}: {error}")


def _is_of_the_kubeconfig(error: BaseException) -> bool:
    """Whether it comes of reading one: a text that is none fails by what somebody then does to it.

    That of the requests comes later.
    """
    frames = (frame for frame, _line in traceback.walk_tb(error.__traceback__))
    return any(str(one.f_globals.get("__name__")).startswith(_READER) for one in frames)


def _pool_server(chain: t.Iterable[BaseException]) -> str | None:
    """Where urllib3 wanted to go, for errors from before the client is ready."""
    pools = (getattr(one, "pool", None) for one in chain)
    pool = next((one for one in pools if one), None)
    return f"{pool.scheme}://{pool.host}:{pool.port}" if pool else None


def _last_reason(chain: t.Sequence[BaseException]) -> str:
    """The innermost words, without urllib3's object addresses and repetitions."""
    for one in reversed(chain):
        text = str(one).rsplit(">: ", 1)[-1].strip()
        if text:
            return text
    return type(chain[0]).__name__


def _refused(error: t.Any, server: str) -> ClusterError:
    status = int(error.status)
    try:
        message = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        message = str(getattr(error, "reason", "") or error)
    if status == 401:
        message = (
            f"The API server {server} refused the credentials (401 {message}): the token or "
            "certificate is wrong or has expired. Next: kubectl auth whoami"
        )
    return ClusterError(message, status)


def _no_configuration(error: BaseException, params: t.Mapping[str, t.Any]) -> str:
    kubeconfig = _kubeconfig_of(params)
    if kubeconfig is None:
        kubeconfig = os.environ.get("KUBECONFIG") or "~/.kube/config"
    if isinstance(kubeconfig, str):
        path = os.path.expanduser(kubeconfig)
        if os.pathsep not in path and not os.path.exists(path):
            return (
                f"No way to a cluster: the kubeconfig {kubeconfig} doesn't exist. Next: set "
                "real_ip_kubeconfig, KUBECONFIG or K8S_AUTH_KUBECONFIG to one, or run in AWX with "
                "a Kubernetes credential"
            )
    else:
        kubeconfig = "given as a dictionary"
    lacking = _NO_CONTEXT.search(str(error))
    if lacking:
        lacks = f"context {lacking['name']}" if lacking["name"] else "current context"
        return f"The kubeconfig {kubeconfig} has no {lacks}. Next: kubectl config get-contexts"
    reason = " ".join(str(error).split()).rstrip(".")
    if not isinstance(error, (HTTPError, OSError)) and type(error).__name__ != "ConfigException":
        reason = f"it isn't one ({type(error).__name__}: {reason})"
    return f"The kubeconfig {kubeconfig} can't be used: {reason}. Next: kubectl config view"
