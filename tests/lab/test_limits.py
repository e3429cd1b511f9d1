# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real nginx refuses as one request too many is asked again more slowly, until it answers.

Loopback only, where every request has the same address: nginx writes a client's in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from ansible_collections.kestrel.real_ip.tests.unit.plugins.module_utils.servers import Server, echo

from lab import packages
from tests.lab import applications
from tests.lab.playbooks import run_module

CLIENT: Final = "203.0.113.20"
LISTEN: Final = applications.address(210)
#: Its first answers are to honest requests and the first forged ones; what it believes comes later.
CONTENT: Final = """
limit_req_zone $server_port zone=all:1m rate=20r/s;
map $http_x_azure_clientip $believed {{ default $http_x_azure_clientip; "" {client}; }}
server {{
    listen {listen}:8000;
    location / {{
        limit_req zone=all burst=30 nodelay;
        {status}
        proxy_pass http://{upstream};
        proxy_set_header X-Forwarded-For {seen};
    }}
}}
"""


#: By itself it refuses with 503.
@pytest.fixture(params=[(CLIENT, "limit_req_status 429;"), ("$believed", "")])
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    packages.ensure()
    servers = applications.Servers()
    with applications.alone(), Server(echo(None)) as app:
        content = CONTENT.format(
            client=CLIENT,
            listen=LISTEN,
            status=request.param[1],
            seen=request.param[0],
            upstream=app.url.removeprefix("http://").rstrip("/"),
        )
        try:
            servers.start(applications.nginx("limited", LISTEN, content, tmp_path))
            servers.wait()
            yield str(request.param[0])
        finally:
            servers.stop()


def test_what_nginx_refuses_as_too_many_is_asked_again_more_slowly(front: str) -> None:
    asked = {"url": f"http://{LISTEN}:8000/", "expected_source": [CLIENT], "vantage": "outside"}
    result = run_module((), "source_ip_info", asked)
    assert result["code"] == ("V001" if front == CLIENT else "V101"), result["reason"]
    assert "tested in part" not in result["reason"]
    assert not [text for text in result["warnings_found"] if "refused as too many" in text]
