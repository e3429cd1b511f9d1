# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of kubernetes.core's client beyond what it does by itself."""

from __future__ import annotations

import importlib
import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kestrel.real_ip.plugins import modules
from ansible_collections.kestrel.real_ip.plugins.module_utils._kubernetes import _bound_requests
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
