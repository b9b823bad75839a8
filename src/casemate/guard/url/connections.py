"""Clients that are no HTTP libraries, or whose library is in C: where each takes its URL or host.

Names that they resolve themselves never come to a socket's audit event as names.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..pieces import as_text
from ..sink import Patch
from .clients import judge_of

URL, HOST = "url", "host"
Entry = tuple[str, str, int, str]
"""Function or method (its arguments begin after `self`), what it takes, its place, its name."""

_TABLE: dict[str, tuple[Entry, ...]] = {
    "websockets.asyncio.client": (("connect.__init__", URL, 0, "uri"),),
    "websockets.sync.client": (("connect", URL, 0, "uri"),),
    "websocket._core": (("WebSocket.connect", URL, 0, "url"),),
    "httplib2": (("Http.request", URL, 0, "uri"),),
    "niquests.models": (("PreparedRequest.prepare_url", URL, 0, "url"),),
    "curl_cffi.requests.session": (
        ("Session.request", URL, 1, "url"),
        ("AsyncSession.request", URL, 1, "url"),
    ),
    "tornado.httpclient": (("HTTPRequest.__init__", URL, 0, "url"),),
    "scrapy.http.request": (("Request.__init__", URL, 0, "url"),),
    "feedparser.api": (("_open_resource", URL, 0, "url_file_stream_or_string"),),
    "playwright.sync_api._generated": (("Page.goto", URL, 0, "url"),),
    "playwright.async_api._generated": (("Page.goto", URL, 0, "url"),),
    "selenium.webdriver.remote.webdriver": (("WebDriver.get", URL, 0, "url"),),
    "weasyprint": (("HTML.__init__", URL, 1, "url"),),
    "pdfkit.api": (("from_url", URL, 0, "url"),),
    "zeep.client": (("Client.__init__", URL, 0, "wsdl"),),
    "suds.client": (("Client.__init__", URL, 0, "url"),),
    "git.repo.base": (("Repo.clone_from", URL, 0, "url"),),
    "obstore.store": (("from_url", URL, 0, "url"),),
    "fsspec.core": (("open", URL, 0, "urlpath"), ("url_to_fs", URL, 0, "url")),
    "grpc": (
        ("insecure_channel", HOST, 0, "target"),
        ("secure_channel", HOST, 0, "target"),
    ),
    "paramiko.client": (("SSHClient.connect", HOST, 0, "hostname"),),
    "paramiko.transport": (("Transport.__init__", HOST, 0, "sock"),),
    "asyncssh.connection": (("connect", HOST, 0, "host"),),
    "fabric.connection": (("Connection.__init__", HOST, 0, "host"),),
    "aiosmtplib.api": (("send", HOST, -1, "hostname"),),
    "psycopg.conninfo": (("make_conninfo", HOST, -1, "host"),),
    "redis.connection": (("parse_url", URL, 0, "url"),),
    "redis.asyncio.connection": (("parse_url", URL, 0, "url"),),
    "amqp.connection": (("Connection.__init__", HOST, 0, "host"),),
    "pika.connection": (("URLParameters.__init__", URL, 0, "url"),),
    "kafka.client_async": (("KafkaClient.__init__", HOST, -1, "bootstrap_servers"),),
    "elasticsearch._sync.client": (("Elasticsearch.__init__", URL, 0, "hosts"),),
    "ldap3.core.server": (("Server.__init__", URL, 0, "host"),),
    "dns.resolver": (("resolve", HOST, -1, "nameserver"),),
}

_MAX_BEGUN = 40
_OPTIONS = ("URL", "PROXY", "PRE_PROXY", "CONNECT_TO", "RESOLVE", "DOH_URL", "INTERFACE")


def patches() -> dict[str, Patch]:
    """Return the patches by module."""
    return {name: _patch(entries) for name, entries in _TABLE.items()} | {"pycurl": _patch_pycurl}


def _patch(entries: Sequence[Entry]) -> Patch:
    def patch(guard: Guard, module: ModuleType) -> None:
        for path, kind, place, name in entries:
            *steps, last = path.split(".")
            owner: Any = getattr(module, steps[0], None) if steps else module
            function = vars(owner).get(last) if owner is not None else None
            if function is None:
                continue
            # The class of a class method is an argument as well.
            shift = 1 if steps and not isinstance(function, staticmethod) else 0
            _watch(guard, owner, last, kind, place + shift if place >= 0 else 1000, name)

    return patch


def _watch(guard: Guard, owner: Any, method: str, kind: str, place: int, name: str) -> None:
    judged = judge_of(guard)

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        given = argument(arguments, named, place, name)
        for item in given if isinstance(given, list) else (given,):
            target = item[0] if isinstance(item, tuple) and item else item
            if not isinstance(target, (str, bytes)):
                continue
            if kind == URL and _names_a_place(target):
                judged.url(target)
            elif kind == HOST:
                judged.host(target)

    wrap(owner, method, before)


def _names_a_place(text: str | bytes) -> bool:
    """Tell whether a text is a URL, and no file or content, which some take as well."""
    begun = as_text(text[:_MAX_BEGUN]).lstrip()
    return "://" in begun and not begun.startswith("<")


def _patch_pycurl(guard: Guard, module: ModuleType) -> None:
    """Watch pycurl's handles, of a C type: a subclass takes their place."""
    library: Any = module
    judged, plain = judge_of(guard), library.Curl
    addresses = {getattr(library, name) for name in _OPTIONS if hasattr(library, name)}

    def check(option: Any, value: Any) -> None:
        for item in value if isinstance(value, (list, tuple)) else (value,):
            if option in addresses and isinstance(item, (str, bytes)):
                judged.url(item)

    def setopt(self: Any, option: Any, value: Any) -> Any:
        check(option, value)
        return plain.setopt(self, option, value)

    def setopt_string(self: Any, option: Any, value: Any) -> Any:
        check(option, value)
        return plain.setopt_string(self, option, value)

    members = {
        "setopt": setopt,
        "setopt_string": setopt_string,
        "__module__": plain.__module__,
        "__doc__": plain.__doc__,
    }
    library.Curl = type(plain.__name__, (plain,), members)
