# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of kubernetes.core's client beyond what it does by itself."""

from __future__ import annotations

import importlib
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins import modules
from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import (
    Cluster,
    ClusterError,
    NoConfiguration,
    _bound_requests,
    contexts_of,
    kubectl,
    unverified,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._path import SIDE_BY_SIDE
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from kubernetes.client import Configuration, rest
from urllib3.exceptions import HTTPError


@pytest.mark.parametrize("own", [1, 5, 40])
def test_all_that_is_asked_side_by_side_keeps_its_connection(own: int) -> None:
    _bound_requests()
    configuration = Configuration()
    configuration.connection_pool_maxsize = own
    client = rest.RESTClientObject(configuration)
    with socket.socket() as silent:
        # Bound, but nobody listens: the connection is refused.
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(HTTPError):
            client.request("GET", f"http://127.0.0.1:{silent.getsockname()[1]}/")
    assert client.pool_manager.connection_pool_kw["maxsize"] >= max(own, SIDE_BY_SIDE)


CONNECTED = [
    path.stem
    for directory in modules.__path__
    for path in sorted(Path(directory).glob("*.py"))
    if "open_module(" in path.read_text()
]


@pytest.mark.parametrize("name", CONNECTED)
def test_no_option_is_in_the_place_of_one_of_the_connection(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    module = importlib.import_module(f"{modules.__name__}.{name}")
    own: dict[str, Any] = {}

    def opened(argument_spec: dict[str, Any], **_keywords: Any) -> None:
        own.update(argument_spec)
        raise SystemExit

    monkeypatch.setattr(module, "open_module", opened)
    with pytest.raises(SystemExit):
        module.main()
    assert own
    assert own.keys().isdisjoint(AUTH_ARG_SPEC)


SERVER = "https://192.0.2.1:6443"
FALSE = {"K8S_AUTH_VERIFY_SSL": "False"}


@pytest.mark.parametrize(
    ("host", "verify", "params", "environ", "words"),
    [
        (SERVER, True, {}, {}, None),
        (SERVER, True, {"validate_certs": True}, FALSE, None),
        (SERVER, False, {}, FALSE, "the environment has K8S_AUTH_VERIFY_SSL=False"),
        (
            SERVER,
            False,
            {},
            {"K8S_AUTH_VALIDATE_CERTS": "no", **FALSE},
            "has K8S_AUTH_VALIDATE_CERT",
        ),
        (SERVER, False, {"validate_certs": False}, {}, "validate_certs is false"),
        (SERVER, False, {}, {}, "the kubeconfig has insecure-skip-tls-verify"),
        ("http://192.0.2.1", True, {}, {}, "without TLS"),
        ("HTTP://192.0.2.1", False, {}, FALSE, "without TLS"),
    ],
)
def test_a_server_that_is_not_verified(
    host: str,
    verify: bool,
    params: dict[str, Any],
    environ: dict[str, str],
    words: str | None,
) -> None:
    configuration = Configuration()
    configuration.host, configuration.verify_ssl = host, verify
    said = unverified(configuration, params, environ)
    assert (said is None) == (words is None)
    assert (words or "") in (said or "")


def _kubeconfig(server: str, **cluster: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "a", "user": {"token": "a-token-that-must-stay-here"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    }


class _Module:
    def __init__(self, **params: Any) -> None:
        self.params = {**dict.fromkeys(AUTH_ARG_SPEC), **params}

    def requires(self, *_versions: Any) -> None:
        """The library is there."""


@pytest.mark.parametrize(
    ("params", "environ", "scheme"),
    [
        ({}, FALSE, "https"),
        ({"kubeconfig": {"insecure-skip-tls-verify": True}}, {}, "https"),
        ({"kubeconfig": {}}, {}, "http"),
        ({"validate_certs": False}, {}, "https"),
    ],
)
def test_nothing_is_sent_to_a_server_that_is_refused(
    monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], environ: dict[str, str], scheme: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"
        if "kubeconfig" in params:
            given = {"kubeconfig": _kubeconfig(server, **params["kubeconfig"])}
        else:
            given = dict(params)
            monkeypatch.setenv("K8S_AUTH_HOST", server)
            monkeypatch.setenv("K8S_AUTH_API_KEY", "a-token-that-must-stay-here")
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ClusterError, match=r"real_ip_require_tls: The .* Nothing was changed"):
            Cluster(_Module(**given), require_tls=True)
        listening.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listening.accept()


NOBODY = _kubeconfig("https://127.0.0.1:1")


@pytest.mark.parametrize(
    ("content", "context", "words"),
    [
        (None, None, "doesn't exist. Next: set real_ip_kubeconfig"),
        (NOBODY, "elsewhere", "has no context elsewhere. Next: kubectl config get-contexts"),
        ({**NOBODY, "current-context": "away"}, None, "has no context away"),
        ({**NOBODY, "current-context": ""}, None, "has no current context"),
        ({**NOBODY, "contexts": ["a"]}, "a", "can't be used: Invalid kube-config file"),
        ({**NOBODY, "clusters": None}, None, "can't be used: Invalid kube-config file"),
        (
            _kubeconfig("https://127.0.0.1:1", **{"certificate-authority": "/nowhere/ca"}),
            None,
            "can't be used: File does not exist: /nowhere/ca",
        ),
        (b"", None, "is empty. Next: kubectl config view"),
        (b"a text", None, "it isn't one (TypeError"),
        (b"[1, 2]", None, "it isn't one (TypeError"),
        (b"a: [b\n: {", None, "it isn't one (ParserError"),
        (b"\xff\xfe\x00", None, "it isn't one (UnicodeDecodeError"),
        ("a directory", None, "Is a directory"),
    ],
)
def test_a_kubeconfig_that_leads_nowhere(
    tmp_path: Path, content: Any, context: str | None, words: str
) -> None:
    file = tmp_path / "kubeconfig"
    if content == "a directory":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    given = {"kubeconfig": str(file), "context": context}
    with pytest.raises(NoConfiguration) as raised:
        Cluster(_Module(**given))
    said = str(raised.value)
    assert str(file) in said
    assert words in said
    assert "\n" not in said
    # What to choose from, where that can be read
    assert contexts_of(given)[1] == (["a"] if context == "elsewhere" else [])


@pytest.mark.parametrize(
    ("kubeconfig", "context", "others", "words"),
    [
        # What nobody has named, and can't be another one, is what kubectl takes by itself.
        (None, None, [], "kubectl"),
        (None, "live", [], "kubectl"),
        (None, "live", ["test"], "kubectl --context live"),
        ("a file", None, [], "kubectl --kubeconfig 'a file'"),
        ("a file", "live", ["test"], "kubectl --kubeconfig 'a file' --context live"),
        ({"users": [{"user": {"token": "secret"}}]}, "live", [], "kubectl --kubeconfig …"),
        (None, "tke;reboot", ["test"], "kubectl --context 'tke;reboot'"),
    ],
)
def test_how_kubectl_asks_the_same_cluster(
    monkeypatch: pytest.MonkeyPatch,
    kubeconfig: Any,
    context: str | None,
    others: list[str],
    words: str,
) -> None:
    monkeypatch.delenv("K8S_AUTH_KUBECONFIG", raising=False)
    assert kubectl({"kubeconfig": kubeconfig}, context, others) == words
    # AWX and others name it by a variable.
    if isinstance(kubeconfig, str):
        monkeypatch.setenv("K8S_AUTH_KUBECONFIG", kubeconfig)
        assert kubectl({}, context, others) == words


def test_a_server_that_does_not_answer_is_none_of_the_kubeconfig() -> None:
    with pytest.raises(ClusterError, match=r"https://127\.0\.0\.1:1 doesn't answer") as raised:
        Cluster(_Module(kubeconfig=NOBODY))
    assert not isinstance(raised.value, NoConfiguration)


def test_an_empty_variable_is_as_not_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As AWX sets them for a credential's field without a value; no context has an empty name."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(_kubeconfig("http://127.0.0.1:1")))
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("K8S_AUTH_CONTEXT", "")
    with pytest.raises(ClusterError, match=r"real_ip_require_tls: The .* Nothing was changed"):
        Cluster(_Module(), require_tls=True)


class Answering(Cluster):
    """Answers by path; what has no answer is a path that the server doesn't know."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        self.asked.append(path)
        found = self.answers.get(path, ClusterError("404 page not found", 404))
        if isinstance(found, ClusterError):
            raise found
        return dict(found)


ABSENT = ClusterError('ingresses.networking.k8s.io "front" not found', 404)
FORBIDDEN = ClusterError("ingresses is forbidden", 403)


@pytest.mark.parametrize(
    ("answers", "found", "asked"),
    [
        ({"/new": {"a": 1}, "/old": {"a": 2}}, {"a": 1}, ["/new"]),
        # Where the server has the API, the object is in none of the others either.
        ({"/new": ABSENT, "/old": {"a": 2}}, None, ["/new"]),
        ({"/old": {"a": 2}}, {"a": 2}, ["/new", "/old"]),
        ({}, None, ["/new", "/old"]),
    ],
)
def test_an_object_is_looked_for_in_the_first_api_that_is_served(
    answers: dict[str, Any], found: object, asked: list[str]
) -> None:
    cluster = Answering(answers)
    assert cluster.find_first(["/new", "/old"]) == found
    assert cluster.asked == asked


def test_what_may_not_be_read_is_not_taken_for_absent() -> None:
    with pytest.raises(ClusterError, match="forbidden"):
        Answering({"/new": FORBIDDEN, "/old": {}}).find_first(["/new", "/old"])


POLICIES = {"resources": [{"name": "networkpolicies"}]}
INGRESSES = {"resources": [{"name": "networkpolicies"}, {"name": "ingresses"}]}


@pytest.mark.parametrize(
    ("served", "api"),
    [
        ({"networking.k8s.io/v1": INGRESSES}, "networking.k8s.io/v1"),
        (
            {"networking.k8s.io/v1": POLICIES, "networking.k8s.io/v1beta1": INGRESSES},
            "networking.k8s.io/v1beta1",
        ),
        (
            {"networking.k8s.io/v1": POLICIES, "extensions/v1beta1": INGRESSES},
            "extensions/v1beta1",
        ),
        # Nowhere: then applying one says so.
        ({"networking.k8s.io/v1": POLICIES}, "networking.k8s.io/v1"),
    ],
)
def test_where_ingresses_are_served(served: dict[str, Any], api: str) -> None:
    answers = {f"/apis/{one}": answer for one, answer in served.items()}
    assert Answering(answers).ingress_api() == api
