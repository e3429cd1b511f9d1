# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry stand-in: what it answers, and what kubelet makes of that."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest

from lab import registry
from lab.api import Unanswered, api
from lab.settings import NODE1, NODE2, Lab

CHALLENGE = 'Bearer realm="http://r:5000/token",service="refusing.example",scope='
UNKNOWN = "/v2/team/app/manifests/v1?ns=known.example"
LIMITED = "/v2/team/app/manifests/v1?ns=limiting.example"
REFUSED = "/v2/team/app/manifests/v1?ns=refusing.example"


@pytest.mark.parametrize(
    ("method", "target", "authorized", "status", "code", "challenge"),
    [
        ("GET", "/v2/", False, HTTPStatus.OK, None, ""),
        ("GET", "/v2/?ns=known.example", False, HTTPStatus.OK, None, ""),
        ("GET", UNKNOWN, False, HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN", ""),
        ("HEAD", UNKNOWN, False, HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN", ""),
        ("GET", "/v2/app/manifests/v1", False, HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN", ""),
        ("GET", "/v2/a/blobs/sha256:0", False, HTTPStatus.NOT_FOUND, "BLOB_UNKNOWN", ""),
        ("GET", "/v2/a/tags/list", False, HTTPStatus.NOT_FOUND, "NAME_UNKNOWN", ""),
        ("GET", "/anything", False, HTTPStatus.NOT_FOUND, "NAME_UNKNOWN", ""),
        ("HEAD", LIMITED, False, HTTPStatus.TOO_MANY_REQUESTS, "TOOMANYREQUESTS", ""),
        ("GET", "/v2/?ns=limiting.example", False, HTTPStatus.OK, None, ""),
        ("PUT", UNKNOWN, True, HTTPStatus.METHOD_NOT_ALLOWED, "UNSUPPORTED", ""),
        (
            *("GET", REFUSED, False, HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED"),
            CHALLENGE + '"repository:team/app:pull"',
        ),
        (
            *("HEAD", REFUSED, True, HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED"),
            CHALLENGE + '"repository:team/app:pull",error="insufficient_scope"',
        ),
        (
            *("GET", "/v2/?ns=refusing.example", False, HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED"),
            CHALLENGE + '""',
        ),
    ],
)
def test_answers(
    method: str,
    target: str,
    authorized: bool,
    status: HTTPStatus,
    code: str | None,
    challenge: str,
) -> None:
    given = registry.answer(method, target, "r:5000", authorized, registry.REFUSING)
    assert given.status == status
    assert [error["code"] for error in given.body.get("errors", ())] == ([code] if code else [])
    assert given.challenge == challenge


def test_token_is_given_to_anybody() -> None:
    given = registry.answer("GET", "/token?scope=x", "r:5000", False, registry.REFUSING)
    assert given.status == HTTPStatus.OK
    assert given.body["token"]


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    with registry.Server(("127.0.0.1", 0), ["no.example"]) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield "127.0.0.1", made.server_address[1]
        made.shutdown()
        thread.join()


def ask(address: tuple[str, int], method: str, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(*address, timeout=5)
    connection.request(method, path)
    return connection.getresponse()


def test_over_http(server: tuple[str, int]) -> None:
    with ask(server, "GET", "/v2/a/manifests/b?ns=yes.example") as response:
        assert response.status == HTTPStatus.NOT_FOUND
        assert response.headers["Content-Type"] == "application/json"
        (error,) = json.loads(response.read())["errors"]
        assert error["code"] == "MANIFEST_UNKNOWN"
    with ask(server, "HEAD", "/v2/a/manifests/b?ns=no.example") as response:
        assert response.status == HTTPStatus.UNAUTHORIZED
        assert f'realm="http://127.0.0.1:{server[1]}/token"' in response.headers["WWW-Authenticate"]
        assert response.read() == b""
    with ask(server, "POST", "/v2/a/blobs/uploads/") as response:
        assert response.status == HTTPStatus.METHOD_NOT_ALLOWED
        assert response.headers["Connection"] == "close"


def test_silent_and_senseless_clients_hold_nobody_up(server: tuple[str, int]) -> None:
    silent = [socket.create_connection(server) for __ in range(20)]
    try:
        with socket.create_connection(server, timeout=5) as client:
            client.sendall(b"\x16\x03\x01 no HTTP \x1b[31m\r\n\r\n")
            assert b"400" in client.recv(1000)
        with socket.create_connection(server, timeout=5) as client:
            client.sendall(b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n")
            assert b"414" in client.recv(1000)
        with ask(server, "GET", "/v2/") as response:
            assert response.status == HTTPStatus.OK
    finally:
        for client in silent:
            client.close()


@pytest.mark.parametrize("text", ["5000", "x:y", ":5000", "127.0.0.1:99999", "127.0.0.1:"])
def test_wrong_address(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        registry.main(["--listen", text])
    assert left.value.code == 2
    assert "is not ADDRESS:PORT" in capsys.readouterr().err


def test_taken_address(server: tuple[str, int], capsys: pytest.CaptureFixture[str]) -> None:
    assert registry.main(["--listen", f"127.0.0.1:{server[1]}"]) == 2
    assert "Can't listen on 127.0.0.1" in capsys.readouterr().out


PULLS = {
    "test-angel01.tencentcloudcr.com/kestrelli/no-such-image:v1.0": "not found",
    "refusing.example/team/app:v1": (
        "pull access denied, repository does not exist or may require authorization: "
        "server message: insufficient_scope: authorization failed"
    ),
}


def test_pulls_fail_as_on_a_real_cluster(lab: Lab) -> None:
    """kubelet's events say what they say where a real registry answers so."""
    path = f"/api/v1/namespaces/registry-{secrets.token_hex(3)}"
    api(lab, "/api/v1/namespaces", "POST", {"metadata": {"name": path.rpartition("/")[2]}})
    try:
        deadline = time.monotonic() + 60
        for image, node in zip(PULLS, (NODE1, NODE2), strict=True):
            _pod(lab, path, f"on-{node.name}", node.name, image, deadline)
        waiting = dict(PULLS)
        while waiting:
            found = api(lab, f"{path}/events?fieldSelector=reason%3DFailed")["items"]
            messages = [event["message"] for event in found]
            for image, expected in PULLS.items():
                if any(f'"{image}"' in text and expected in text for text in messages):
                    waiting.pop(image, None)
            assert time.monotonic() < deadline, messages
            time.sleep(0.2)
    finally:
        api(lab, path, "DELETE")


def _pod(lab: Lab, path: str, name: str, node: str, image: str, deadline: float) -> None:
    """Create a pod as soon as its namespace has a service account."""
    spec: dict[str, Any] = {
        "nodeName": node,
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "server", "image": image}],
    }
    while True:
        try:
            api(lab, f"{path}/pods", "POST", {"metadata": {"name": name}, "spec": spec})
        except Unanswered:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
