# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any
# time.

"""How an application is told to derive the client's address as a strategy of client_ip does.

The table is the one home of these settings: results, documentation and tests are made from it. A
row gives no setting, and says why, where the application can't do it or where a client could choose
the address. Where a request has no address that the setting can use, most applications keep the
socket peer, where client_ip finds none.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Mapping, Sequence

from ansible_collections.kestrel.real_ip.plugins.module_utils import _derive
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    DEFAULT_HEADER,
    DerivationError,
    Network,
    parse_ranges,
)

#: What has to hold for the settings of a strategy, whatever the application.
CAUTIONS = {
    "single_header": "Every request must come through the proxy: whoever gets around it chooses.",
    "rightmost_trusted_count": "Every request must come through all of the counted proxies: "
    "whoever gets around one chooses.",
    "rightmost_trusted_range": "Only proxies may have addresses in the ranges: a client in them "
    "chooses.",
    "rightmost_non_private": "It is rightmost_trusted_range with the private ranges: a client with "
    "a private address chooses.",
}

#: How the settings of a row were checked, strongest first.
CHECKED = {
    "run": "this project's tests run it with these settings and forged headers",
    "source": "its source was read, nothing was run",
    "documentation": "its documentation was read, nothing was run",
}

_PEER = "peer"
_SINGLE = "single_header"
_COUNT = "rightmost_trusted_count"
_RANGE = "rightmost_trusted_range"
_NON_PRIVATE = "rightmost_non_private"
_LEFTMOST = "leftmost_non_private"

# Goes into quoted text of a dozen languages, so no more than what header names are made of.
_HEADER_NAME = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")
_FIELD = re.compile(r"<(count|more|ranges|header|variable)>")


class Way(t.NamedTuple):
    """How one application does one strategy.

    ``text``: the setting, in which ``<count>``, ``<more>`` (the count less one), ``<ranges>``,
    ``<header>`` and ``<variable>`` (the header's name in a WSGI environ) are filled in; empty where
    nothing has to be set, None where it can't be done safely, and ``note`` says why.
    ``most``: the highest count it can do. ``needs_ranges``: it is no setting without the proxies'
    addresses. ``language``: of the text, where it is another one than the application's.
    """

    text: str | None
    note: str = ""
    most: int | None = None
    needs_ranges: bool = False
    language: str = ""


class Application(t.NamedTuple):
    """One row. ``item`` writes one range in its language, ``joint`` stands between two of them."""

    name: str
    title: str
    version: str
    checked: str
    language: str
    ways: Mapping[str, Sequence[Way]]
    item: Callable[[Network], str] = str
    joint: str = ", "
    ipv6_ranges: bool = True


def _quoted(mark: str) -> Callable[[Network], str]:
    return lambda network: f"{mark}{network}{mark}"


def _envoy_range(network: Network) -> str:
    return (
        f'            - {{address_prefix: "{network.network_address}",'
        f" prefix_len: {network.prefixlen}}}"
    )


def _octets(low: int, high: int) -> str:
    if (low, high) == (0, 255):
        return r"\\d{1,3}"
    return str(low) if low == high else f"(?:{'|'.join(map(str, range(low, high + 1)))})"


def _tomcat_range(network: Network) -> str:
    """A regular expression, its backslashes doubled as a properties file wants them. IPv4 only."""
    lows = network.network_address.packed
    highs = network.broadcast_address.packed
    return r"\\.".join(map(_octets, lows, highs))


_ONLY_RANGES = "It knows proxies by their addresses and can't count them: use {strategy}."
_NO_RANGES = "It counts proxies and doesn't look at their addresses: use rightmost_trusted_count."
_ONE_NAME = "It reads X-Forwarded-For only."

_CANNOT_COUNT = (Way(None, _ONLY_RANGES.format(strategy=_RANGE)),)
_CANNOT_RANGE = (Way(None, _NO_RANGES),)
_CANNOT_SINGLE = (Way(None, _ONE_NAME),)

_WSGI_SINGLE = '''\
class ClientAddress:
    """Take the client's address from the header that the proxy overwrites."""

    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        address = environ.get("<variable>", "").rpartition(",")[2].strip()
        if address:
            environ["REMOTE_ADDR"] = address
        return self.application(environ, start_response)
'''

_WSGI_COUNT = '''\
class ClientAddress:
    """Take the element of X-Forwarded-For that the outermost trusted proxy appended."""

    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        elements = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(elements) >= <count> and elements[-<count>].strip():
            environ["REMOTE_ADDR"] = elements[-<count>].strip()
        return self.application(environ, start_response)
'''

_ASGI = '''\
class ClientAddress:
    """{does}"""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] in ("http", "websocket"):
            lines = [value for name, value in scope["headers"] if name == b"{header}"]
            elements = b",".join(lines).decode("latin-1").split(",")
            if len(elements) >= {count} and elements[-{count}].strip():
                scope = {{**scope, "client": (elements[-{count}].strip(), 0)}}
        await self.app(scope, receive, send)


app = ClientAddress(app)  # last in main.py; start it with: uvicorn --no-proxy-headers main:app
'''

_WERKZEUG_COUNT = '''\
from werkzeug.middleware.proxy_fix import ProxyFix


class ClientAddress(ProxyFix):
    """ProxyFix, but a quote that a client sends can't hide what proxies append after it."""

    def __call__(self, environ, start_response):
        line = environ.get("HTTP_X_FORWARDED_FOR", "")
        environ["HTTP_X_FORWARDED_FOR"] = line.replace('"', "")
        return super().__call__(environ, start_response)


app.wsgi_app = ClientAddress(app.wsgi_app, x_for=<count>, x_proto=0)
'''

_GIN_COUNT = """\
router.SetTrustedProxies(nil)
handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
    elements := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
    if place := len(elements) - <count>; place >= 0 {
        if address := net.ParseIP(strings.TrimSpace(elements[place])); address != nil {
            r.RemoteAddr = net.JoinHostPort(address.String(), "0")
        }
    }
    router.ServeHTTP(w, r)
})
// Serve handler in place of router: http.ListenAndServe(":8080", handler)
""".replace("    ", "\t")  # as gofmt wants it

_NGINX_COUNT = r"""
map $http_x_forwarded_for $client_address {
    default $remote_addr;
    "~(?:^|,)[ \t]*(?<element>[^, \t]+)[ \t]*(?:,[^,]*){<more>}$" $element;
}
""".lstrip()

_SPRING = """\
server.forward-headers-strategy=native
server.tomcat.remoteip.remote-ip-header={header}
server.tomcat.remoteip.internal-proxies={proxies}
"""

_SPRING_NOTE = (
    "For the embedded Tomcat. On Kubernetes Spring Boot does this by itself, and then trusts every "
    "private address. X-Forwarded-Proto, -Host and -Port are trusted as well: let the proxy "
    "overwrite them."
)

_DOTNET = """\
var forwarded = new ForwardedHeadersOptions
{{
    ForwardedHeaders = ForwardedHeaders.XForwardedFor,
{more}}};
forwarded.KnownProxies.Clear();
forwarded.KnownIPNetworks.Clear();
{ranges}app.UseForwardedHeaders(forwarded);
"""

_DOTNET_NOTE = (
    "Before .NET 10 KnownIPNetworks is KnownNetworks. An unmatched quote from the client leaves "
    "the socket peer's address."
)

_LARAVEL = """\
// bootstrap/app.php
->withMiddleware(function (Middleware $middleware) {{
    $middleware->trustProxies(
        at: {at},
        headers: Request::HEADER_X_FORWARDED_FOR,
    );
}})
"""

_ENVOY_EXTENSION = """\
# In the HttpConnectionManager
use_remote_address: false
original_ip_detection_extensions:
  - name: envoy.http.original_ip_detection.{name}
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.http.original_ip_detection.{name}.v3.{config}
{fields}
"""

_ENVOY_PASSES_ON = (
    "X-Forwarded-For is passed on as it came: applications behind Envoy don't count it."
)
_ENVOY_PORTS = "An address with a port is not read: the peer's stays."

_TRAEFIK = """\
# Static configuration
entryPoints:
  web:
    forwardedHeaders:
      trustedIPs: [<ranges>]
# Dynamic configuration, in each middleware that looks at the address
ipStrategy:
  {strategy}
"""

_TRAEFIK_NOTE = (
    "It is ipAllowList.ipStrategy, inFlightReq.sourceCriterion.ipStrategy and "
    "rateLimit.sourceCriterion.ipStrategy. Applications behind Traefik count it as one more proxy."
)

_TABLE = (
    Application(
        "flask",
        "Flask, Werkzeug",
        "Werkzeug 3.1.9",
        "run",
        "python",
        {
            _PEER: (Way("", "Nothing to set: request.remote_addr is the peer without ProxyFix."),),
            _SINGLE: (Way(f"{_WSGI_SINGLE}\n\napp.wsgi_app = ClientAddress(app.wsgi_app)\n"),),
            _COUNT: (
                Way(
                    _WERKZEUG_COUNT,
                    "x_for=N takes the N-th element from the right and doesn't look at the peer. "
                    "ProxyFix alone reads quoted strings: a client's quote makes it keep the "
                    "proxy's address, and up to 3.1.6 choose any with x_for=2. x_proto=0 because "
                    "X-Forwarded-Proto was not tested.",
                ),
            ),
            _RANGE: _CANNOT_RANGE,
        },
    ),
    Application(
        "django",
        "Django (WSGI)",
        "Django 6.1.3",
        "run",
        "python",
        {
            _PEER: (Way("", 'Nothing to set: request.META["REMOTE_ADDR"] is the peer.'),),
            _SINGLE: (
                Way(
                    f"{_WSGI_SINGLE}\n\napplication = ClientAddress(application)  # in wsgi.py\n",
                    "Django itself has nothing for this.",
                ),
            ),
            _COUNT: (
                Way(
                    f"{_WSGI_COUNT}\n\napplication = ClientAddress(application)  # in wsgi.py\n",
                    "Django itself has nothing for this. Under ASGI wrap the application as for "
                    "uvicorn.",
                ),
            ),
            _RANGE: (
                Way(None, "Django itself has nothing for this: use rightmost_trusted_count."),
            ),
        },
    ),
    Application(
        "uvicorn",
        "FastAPI, Starlette on uvicorn",
        "uvicorn 0.54.0",
        "run",
        "python",
        {
            _PEER: (Way("uvicorn --no-proxy-headers main:app\n", language="sh"),),
            _SINGLE: (
                Way(
                    _ASGI.format(
                        does="Take the client's address from the header that the proxy overwrites.",
                        header="<header>",
                        count=1,
                    ),
                ),
            ),
            _COUNT: (
                Way(
                    _ASGI.format(
                        does="Take the element that the outermost trusted proxy appended.",
                        header="x-forwarded-for",
                        count="<count>",
                    ),
                    "uvicorn itself can't count proxies.",
                ),
            ),
            _RANGE: (
                Way(
                    "uvicorn --proxy-headers --forwarded-allow-ips='<ranges>' main:app\n",
                    "Networks are understood from 0.31 on; before, every request "
                    "from a network that is written so keeps the peer's address. Versions before "
                    "this one can read the last of several lines alone, so that each proxy must "
                    "append to one. Never '*': that "
                    "takes the leftmost element. X-Forwarded-Proto is trusted as well.",
                    language="sh",
                ),
            ),
        },
        joint=",",
    ),
    Application(
        "express",
        "Express",
        "Express 5.3.0",
        "run",
        "javascript",
        {
            _PEER: (Way("app.set('trust proxy', false)\n"),),
            _SINGLE: _CANNOT_SINGLE,
            _COUNT: (
                Way(
                    "app.set('trust proxy', <count>)\n",
                    "The number counts the socket peer as the first proxy. It must be a number, no "
                    "string. Never true: that takes the leftmost element.",
                ),
            ),
            _RANGE: (Way("app.set('trust proxy', [<ranges>])\n"),),
        },
        item=_quoted("'"),
    ),
    Application(
        "spring-boot",
        "Spring Boot",
        "Spring Boot 4.0",
        "documentation",
        "properties",
        {
            _PEER: (
                Way(
                    "server.forward-headers-strategy=none\n",
                    "To be said: on Kubernetes the default is native.",
                ),
            ),
            _SINGLE: (
                Way(
                    _SPRING.format(header="<header>", proxies=".*"),
                    _SPRING_NOTE,
                ),
            ),
            _COUNT: _CANNOT_COUNT,
            _RANGE: (
                Way(
                    _SPRING.format(header="X-Forwarded-For", proxies="<ranges>"),
                    _SPRING_NOTE,
                ),
            ),
        },
        item=_tomcat_range,
        joint="|",
        ipv6_ranges=False,
    ),
    Application(
        "gin",
        "Gin",
        "Gin 1.12.0",
        "run",
        "go",
        {
            _PEER: (
                Way(
                    "router.SetTrustedProxies(nil)\n",
                    "To be said: by default Gin trusts every proxy and takes the leftmost element.",
                ),
            ),
            _SINGLE: (
                Way(
                    'router.SetTrustedProxies(nil)\nrouter.TrustedPlatform = "<header>"\n',
                    "Of several lines it reads the first: the proxy must overwrite all. The value "
                    "is not checked to be an address.",
                ),
            ),
            _COUNT: (
                Way(
                    _GIN_COUNT,
                    "Gin itself can't count proxies. Imports net, net/http and strings.",
                ),
            ),
            _RANGE: (
                Way(
                    "router.SetTrustedProxies([]string{<ranges>})\n"
                    'router.RemoteIPHeaders = []string{"X-Forwarded-For"}\n',
                    "RemoteIPHeaders without X-Real-IP, which would be believed "
                    "where X-Forwarded-For can't be read. Versions before this one read the first "
                    "of several lines alone, so that the proxy must not add one of its own.",
                ),
            ),
        },
        item=_quoted('"'),
    ),
    Application(
        "rails",
        "Rails",
        "Rails 8.0",
        "source",
        "ruby",
        {
            _PEER: (Way("", "Nothing to set: use request.remote_addr, not request.remote_ip."),),
            _SINGLE: (Way(None, "request.remote_ip reads X-Forwarded-For and Client-Ip only."),),
            _COUNT: _CANNOT_COUNT,
            _RANGE: (
                Way(
                    "# config/application.rb\n"
                    "config.action_dispatch.trusted_proxies =\n"
                    "  %w[<ranges>].map { |range| IPAddr.new(range) }\n",
                    "For request.remote_ip; request.ip follows other rules. The peer itself is not "
                    "checked. Leave action_dispatch.ip_spoofing_check "
                    "on: a forged Client-Ip is then refused.",
                ),
            ),
        },
        joint=" ",
    ),
    Application(
        "laravel",
        "Laravel",
        "Laravel 11",
        "source",
        "php",
        {
            _PEER: (Way("", "Nothing to set: without trustProxies no proxy is trusted."),),
            _SINGLE: _CANNOT_SINGLE,
            _COUNT: (
                Way(
                    _LARAVEL.format(at="'*'"),
                    "'*' trusts the socket peer, whoever it is, and nobody else.",
                    most=1,
                ),
                *_CANNOT_COUNT,
            ),
            _RANGE: (Way(_LARAVEL.format(at="[<ranges>]")),),
        },
        item=_quoted("'"),
    ),
    Application(
        "aspnet-core",
        "ASP.NET Core",
        "ASP.NET Core 10",
        "documentation",
        "csharp",
        {
            _PEER: (Way("", "Nothing to set: without UseForwardedHeaders it is the peer."),),
            _SINGLE: (
                Way(
                    _DOTNET.format(
                        more='    ForwardedForHeaderName = "<header>",\n    ForwardLimit = 1,\n',
                        ranges="",
                    ),
                    _DOTNET_NOTE,
                ),
            ),
            _COUNT: (
                Way(
                    _DOTNET.format(more="    ForwardLimit = <count>,\n", ranges=""),
                    "With both lists empty the peer is not checked and exactly ForwardLimit "
                    f"elements are read. {_DOTNET_NOTE}",
                ),
            ),
            _RANGE: (
                Way(
                    _DOTNET.format(more="    ForwardLimit = null,\n", ranges="<ranges>\n"),
                    _DOTNET_NOTE,
                ),
            ),
        },
        item=lambda network: (
            f'forwarded.KnownIPNetworks.Add(System.Net.IPNetwork.Parse("{network}"));'
        ),
        joint="\n",
    ),
    Application(
        "nginx",
        "nginx",
        "nginx 1.22.1",
        "run",
        "nginx",
        {
            _PEER: (Way("", "Nothing to set: without real_ip_header $remote_addr is the peer."),),
            _SINGLE: (
                Way(
                    "set_real_ip_from 0.0.0.0/0;\nset_real_ip_from ::/0;\n"
                    "real_ip_header <header>;\nreal_ip_recursive off;\n",
                ),
            ),
            _COUNT: (
                Way(
                    "set_real_ip_from 0.0.0.0/0;\nset_real_ip_from ::/0;\n"
                    "real_ip_header X-Forwarded-For;\nreal_ip_recursive off;\n",
                    "Not recursive, it takes the last element, whoever the peer is. Recursive, "
                    "these ranges would trust everybody.",
                    most=1,
                ),
                Way(
                    _NGINX_COUNT,
                    "real_ip_header can't count more than one proxy. $remote_addr stays the peer: "
                    "use $client_address in logs, limits and headers. In the http block.",
                ),
            ),
            _RANGE: (
                Way(
                    "<ranges>\nreal_ip_header X-Forwarded-For;\nreal_ip_recursive on;\n",
                ),
            ),
        },
        item=lambda network: f"set_real_ip_from {network};",
        joint="\n",
    ),
    Application(
        "envoy",
        "Envoy",
        "Envoy 1.40.0",
        "run",
        "yaml",
        {
            _PEER: (
                Way(
                    "# In the HttpConnectionManager\n"
                    "use_remote_address: true\nxff_num_trusted_hops: 0\n"
                ),
            ),
            _SINGLE: (
                Way(
                    _ENVOY_EXTENSION.format(
                        name="custom_header",
                        config="CustomHeaderConfig",
                        fields="      header_name: <header>",
                    ),
                    "Of several lines it reads the first: the proxy must overwrite all. "
                    f"{_ENVOY_PASSES_ON} {_ENVOY_PORTS}",
                ),
            ),
            _COUNT: (
                Way(
                    "# In the HttpConnectionManager\n"
                    "use_remote_address: true\nxff_num_trusted_hops: <count>\n",
                    "With use_remote_address false the number would have to be one less. "
                    f"Applications behind Envoy count it as one more proxy. {_ENVOY_PORTS}",
                ),
            ),
            _RANGE: (
                Way(
                    _ENVOY_EXTENSION.format(
                        name="xff",
                        config="XffConfig",
                        fields="      xff_trusted_cidrs:\n        cidrs:\n<ranges>",
                    ),
                    "Of more than 20 elements it reads none, and the peer's address stays: a "
                    "client can hide behind the last proxy's, so that address must have no rights. "
                    "rightmost_trusted_count has no such limit. "
                    f"{_ENVOY_PASSES_ON} {_ENVOY_PORTS}",
                ),
            ),
        },
        item=_envoy_range,
        joint="\n",
    ),
    Application(
        "traefik",
        "Traefik",
        "Traefik 3.7.13",
        "source",
        "yaml",
        {
            _PEER: (Way("", "Nothing to set: without ipStrategy it is the peer."),),
            _SINGLE: _CANNOT_SINGLE,
            _COUNT: (
                Way(
                    _TRAEFIK.format(strategy="depth: <count>"),
                    _TRAEFIK_NOTE,
                    needs_ranges=True,
                ),
            ),
            _RANGE: (
                Way(
                    _TRAEFIK.format(strategy="excludedIPs: [<ranges>]"),
                    _TRAEFIK_NOTE,
                ),
            ),
        },
        item=_quoted('"'),
    ),
)

APPLICATIONS = {row.name: row for row in _TABLE}

_FORGEABLE = "No setting: a client can choose the leftmost address. It is for statistics only."
_NOT_FORWARDED = (
    "No setting: Forwarded is either not read, or its quotes are matched from the left, so that a "
    "client can hide what proxies appended. Let the proxy overwrite another header, see "
    "single_header."
)
_EVERYBODY = "No setting: a range of all addresses trusts the client as well."
_NEEDS_RANGES = "No setting without the addresses of the last proxy: give them as trusted_ranges."
_NO_IPV6 = "No setting: it compares addresses as text, which can't be done safely for IPv6."


class _Wish(t.NamedTuple):
    """The arguments of :func:`settings`, checked."""

    strategy: str
    header: str
    number: int
    ranges: Sequence[Network]


def _wish(
    strategy: object,
    header: object = None,
    trusted_count: object = None,
    trusted_ranges: object = None,
) -> _Wish:
    ranges = parse_ranges([] if trusted_ranges is None else trusted_ranges)
    used = t.cast("list[str]", trusted_ranges) if strategy == _RANGE else None
    # Its errors are those of the filter: an operator reads about the same arguments.
    _derive.client_ip(
        [],
        strategy=t.cast("str | None", strategy),
        header=t.cast("str | None", header),
        trusted_count=t.cast("int | None", trusted_count),
        trusted_ranges=used,
    )
    if ranges and strategy not in (_RANGE, _COUNT):
        raise DerivationError("trusted_ranges", f"left out for {strategy}", trusted_ranges)
    name = DEFAULT_HEADER if header is None or strategy == _PEER else str(header)
    if not _HEADER_NAME.fullmatch(name):
        raise DerivationError("header", "a name of letters, digits and hyphens", header)
    count = trusted_count if strategy == _COUNT and isinstance(trusted_count, int) else 1
    if strategy == _NON_PRIVATE:
        ranges = _derive.PRIVATE
    return _Wish(str(strategy), name, count, ranges)


def _refusal(row: Application, wish: _Wish) -> str:
    """Why there is no setting that would be safe, whatever the way; empty if there may be one."""
    if wish.strategy == _LEFTMOST:
        return _FORGEABLE
    if wish.strategy not in (_PEER, _SINGLE) and wish.header.lower() == "forwarded":
        return _NOT_FORWARDED
    if any(network.prefixlen == 0 for network in wish.ranges):
        return _EVERYBODY
    if not row.ipv6_ranges and wish.strategy == _RANGE:
        return _NO_IPV6 if any(network.version == 6 for network in wish.ranges) else ""
    return ""


def _choose(row: Application, wish: _Wish) -> Way:
    strategy = _RANGE if wish.strategy == _NON_PRIVATE else wish.strategy
    if strategy == _RANGE and not wish.ranges:
        # Nobody is trusted, so the peer is the answer.
        strategy = _PEER
    return next(way for way in row.ways[strategy] if way.most is None or wish.number <= way.most)


def _fill(row: Application, wish: _Wish, text: str) -> str:
    # Without its IPv6 ranges an application stops too early, which only leaves a proxy's address.
    ranges = [one for one in wish.ranges if row.ipv6_ranges or one.version == 4]
    # uvicorn hands the names over in lower case.
    header = wish.header.lower() if row.name == "uvicorn" else wish.header
    values = {
        "count": str(wish.number),
        "more": str(wish.number - 1),
        "ranges": row.joint.join(map(row.item, ranges)),
        "header": header,
        "variable": f"HTTP_{wish.header.upper().replace('-', '_')}",
    }
    return _FIELD.sub(lambda field: values[field[1]], text)


def _setting(row: Application, wish: _Wish) -> dict[str, str | None]:
    refusal = _refusal(row, wish)
    way = Way(None, refusal) if refusal else _choose(row, wish)
    if way.needs_ranges and not wish.ranges:
        way = Way(None, _NEEDS_RANGES)
    return {
        "application": row.name,
        "version": row.version,
        "checked": row.checked,
        "settings": None if way.text is None else _fill(row, wish, way.text),
        "note": way.note,
    }


def settings(
    strategy: str,
    header: str | None = None,
    trusted_count: int | None = None,
    trusted_ranges: Sequence[str] | None = None,
) -> list[dict[str, str | None]]:
    """How each application of the table is told to do what client_ip does with these arguments.

    The arguments are those of :func:`_derive.client_ip`, and so are the errors (DerivationError).
    With rightmost_trusted_count, ``trusted_ranges`` may name the proxies for the applications that
    need their addresses besides. Each element: ``application`` (its key in APPLICATIONS),
    ``version`` and ``checked`` (a key of CHECKED): what the setting was checked with and how;
    ``settings``: text, empty where nothing has to be set and None where nothing safe can be, and
    ``note``.
    """
    wish = _wish(strategy, header, trusted_count, trusted_ranges)
    return [_setting(row, wish) for row in _TABLE]


def for_application(
    name: str,
    strategy: str,
    header: str | None = None,
    trusted_count: int | None = None,
    trusted_ranges: Sequence[str] | None = None,
) -> dict[str, str | None]:
    """The one element of :func:`settings` for an application; DerivationError for unknown names."""
    row = APPLICATIONS.get(name)
    if row is None:
        raise DerivationError("application", f"one of {', '.join(APPLICATIONS)}", name)
    return _setting(row, _wish(strategy, header, trusted_count, trusted_ranges))


# --- The page -------------------------------------------------------------------------------------

# What the page shows: a strategy, in words what it is shown for, and its arguments.
_EXAMPLES: tuple[tuple[str, str, dict[str, t.Any]], ...] = (
    (_COUNT, ": one proxy", {"trusted_count": 1, "trusted_ranges": ["10.0.0.5"]}),
    (_COUNT, ": two proxies", {"trusted_count": 2, "trusted_ranges": ["10.0.0.5"]}),
    (_RANGE, ": proxies in 10.0.0.0/24", {"trusted_ranges": ["10.0.0.0/24"]}),
    (_SINGLE, ": X-Real-IP", {"header": "X-Real-IP"}),
    (_PEER, "", {}),
)


def _section(row: Application) -> list[str]:
    lines = ["", f"## {row.title}"]
    for strategy, what, arguments in _EXAMPLES:
        way = _choose(row, _wish(strategy, **arguments))
        if arguments.get("trusted_count") == 1 and way.most is None:
            # Two proxies show it as well.
            continue
        lines += ["", f"### {strategy}{what}"]
        text = for_application(row.name, strategy, **arguments)["settings"]
        if text:
            lines += ["", f"```{way.language or row.language}", text.rstrip("\n"), "```"]
        if way.note:
            lines += ["", way.note]
    return lines


def page() -> str:
    """The table as a Markdown page."""
    lines = [
        "# Settings for applications",
        "",
        "How an application behind the load balancer is told to read the client's address, for",
        "each strategy of the filter `kestrel.real_ip.client_ip`. Use the strategy that a probe",
        "found safe for your path, with your own numbers and ranges in place of those below.",
        "",
        "What must hold, or no setting is safe:",
        "",
    ]
    lines += [f"- `{strategy}`: {caution}" for strategy, caution in CAUTIONS.items()]
    lines += [
        "",
        "There are no settings for `leftmost_non_private` (a client chooses the answer) and for",
        "the header `Forwarded` (not read by most, and not safely by the others). Where a request",
        "has no address that can be used, as when the list is too short, most applications keep",
        "the socket peer, where the filter finds none. An element is taken as the proxy wrote it,",
        "so with a port if the proxy adds one.",
        "",
        "| application | checked with | how |",
        "|---|---|---|",
    ]
    lines += [f"| {row.title} | {row.version} | {CHECKED[row.checked]} |" for row in _TABLE]
    for row in _TABLE:
        lines += _section(row)
    lines += ["", "This page is made from the table in `plugins/module_utils/_applications.py`."]
    return "\n".join(lines) + "\n"
