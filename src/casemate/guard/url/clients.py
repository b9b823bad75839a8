"""Where each client takes its URLs, and where it connects.

No audit event carries a URL as the code has written it, so clients are watched by wrappers at
their entry. Below it, where redirects and libraries nobody named arrive, hosts are judged again.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import weakref
from collections.abc import Sequence
from types import FrameType, ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..origin import Origin, Span
from ..pieces import as_text
from ..sink import Patch
from ..standing import is_direct, is_put_together
from ..verdict import Verdict
from .hosts import (
    Vouching,
    host_of,
    hosts_in,
    is_meant_for_all,
    is_public,
    normal,
    proxies,
    speaks_of_few,
)
from .joining import (
    MAX_JOINED,
    cut_from,
    left_of,
    patch_urljoin,
    patch_yarl,
    without_chance,
    without_query,
)
from .shape import MAX_LOOKED, shape
from .structure import FIX_CLIMB, FIX_HOST, climbs, judge, resolved, split

NAME = "url"
_FIX_REDIRECT = (
    "follow no redirects of URLs that come from outside (allow_redirects=False, "
    "follow_redirects=False), or check each of them"
)


_SERVERS = ("asyncio", "http", "socket", "socketserver", "wsgiref")
_SENDING = ("content", "data", "files", "json", "cookies", "params")
"""What the code may have a request of httpx's send beside the URL and headers."""
_MAX_TEXTS = 500
"""Texts of an event in which URLs are looked for."""
_MAX_SERVED = 8
_MAX_FRAMES = 50
_MAX_TOLD = 200
"""Characters of what describes a class that are read."""
_SHOWN = frozenset(
    ("accept", "accept-encoding", "accept-language", "cache-control", "connection", "user-agent")
)
"""Headers that hold nothing for one host alone, in lower case."""


class Judge:
    """The judgements of one process. Hosts that were judged once are not judged again below."""

    def __init__(self, guard: Guard) -> None:
        """Begin with nothing."""
        self.guard = guard
        self._vouching = Vouching(guard)
        self._reading = functools.partial(self._vouching, links=True)
        self._taint: object = None
        self._passed: set[str] = set()
        self._resolved: set[str] = set()
        self._whole: set[str] = set()
        """Hosts of which the event has URLs that were judged with their paths."""
        self._asked: set[str] = set()
        """These paths, with their queries: a client may ask for one at another host."""
        self._carrying: Origin | None = None

    def _begin(self) -> None:
        if self.guard.taint is not self._taint:
            self._taint = self.guard.taint
            self._passed = proxies()
            self._resolved = set()
            self._whole = set()
            self._asked = set()
            self._carrying = None

    def url(self, url: Any, *, reads: bool = False) -> None:
        """Judge a URL, or path and query alone, as the code hands it to a client.

        `reads`: the request has nothing in it of what the function knows.
        """
        text = _text_of(url)
        if text is not None and self.guard.active:
            self.guard.decide(NAME, lambda: self._url(text, reads=reads))
            if not self.guard.is_own(text):
                self._meet(text)

    def _meet(self, url: str | bytes) -> None:
        text = as_text(url)[:MAX_LOOKED]
        if split(text).has_authority():
            self.guard.meets(NAME, shape(text, self.guard.spans(url)))

    def _url(self, url: str | bytes, *, reads: bool = False) -> Verdict | None:
        self._begin()
        text, spans = as_text(url), self.guard.spans(url) or self._chosen(url)
        spans = [*spans, *self._of_host(text, spans)]
        if text in self._resolved:
            return None  # it was judged with its steps
        asked = without_query(self.guard, text)
        inside = [s._replace(end=min(s.end, len(asked))) for s in spans if s.start < len(asked)]
        vouching = self._reading if reads else self._vouching
        verdict = judge(asked, inside, vouching) if inside else None
        if verdict is not None and any(s.is_piece for s in inside):
            inside = without_chance(self.guard, asked, inside)
            verdict = judge(asked, inside, vouching) if inside else None
        verdict = verdict or left_of(self.guard, text) or self._climbing(text, inside)
        if verdict is None:
            self._pass(text, spans)
            parts = split(text)
            if spans and parts.has_authority():
                self._whole.add(host_of(text))
                if len(self._asked) < MAX_JOINED:
                    self._asked.add(text[parts.path : parts.fragment])
            if spans and climbs(text) and len(self._resolved) < MAX_JOINED:
                self._resolved.add(resolved(text))
        return verdict

    def _climbing(self, text: str, spans: Sequence[Span]) -> Verdict | None:
        """Return a verdict if a URL passed a check of the code's by steps that clients resolve."""
        doubtful = [s for s in spans if not s.vouched] if climbs(text) else []
        if not doubtful or self._vouching.keeps_steps(text):
            return None
        return Verdict(doubtful[0].origin, "leaves by `..` what the code has checked", FIX_CLIMB)

    def _chosen(self, url: str | bytes) -> list[Span]:
        """Return the span of an event's own URL that code holds as well, if it is not for all."""
        origin = self.guard.taint.is_of(url) if self.guard.taint is not None else None
        if origin is None or is_meant_for_all(host_of(as_text(url))):
            return []
        how = self.guard.check_of(as_text(url))
        return [Span(0, len(as_text(url)), origin, exact=True, checked=how)]

    def _of_host(self, text: str, spans: Sequence[Span]) -> list[Span]:
        """Return the span of a host of one word that a URL of the event's has, and no text of the
        code's: `urlsplit(url).hostname` is no text that is looked for, if it is `localhost`.
        """
        taint, (start, end) = self.guard.taint, split(text).host
        host = normal(text[start:end])
        if taint is None or not host.isalnum():
            return []
        if any(s.start < end and start < s.end for s in spans) or self._is_own_word(host):
            return []
        for given, origin in taint.texts(_MAX_TEXTS):
            if "://" in given and host in hosts_in(given):
                return [Span(start, end, origin, exact=True)]
        return []

    def _is_own_word(self, host: str) -> bool:
        """Tell whether code or settings have a host of one word, by itself or in a URL."""
        constants = self.guard.constants
        texts = (*constants.texts, *os.environ.values())
        return constants.holds_word(host) or any(
            host == one.lower().partition(":")[0] or ("//" in one and host in hosts_in(one))
            for one in texts
        )

    def _pass(self, text: str, spans: Sequence[Span]) -> None:
        host = host_of(text)
        self._passed.add(host)
        if not host.isascii():
            with contextlib.suppress(UnicodeError):
                self._passed.add(host.encode("idna").decode())
        if spans and self._carrying is None:
            self._carrying = spans[0].origin

    def serves(self, host: str, port: int, *, for_few: bool = False) -> None:
        """Take where a server of the code's listens: a port by chance is none that events name.

        Beside such a one, whose port is 0 here, another may be for itself. One that is for few
        alone is taken for a second one: no event may name it.
        """
        served = self._vouching.served
        if len(served) < _MAX_SERVED:
            served.add((host, port))
            if for_few:
                served.add(("", port))

    def hop(self, url: Any) -> None:
        """Judge a URL that a client goes to: one it was given, or one it was redirected to."""
        text = _text_of(url)
        if text is not None and self.guard.active:
            self.guard.decide(NAME, lambda: self._hop(text))

    def _hop(self, url: str | bytes) -> Verdict | None:
        self._begin()
        text = as_text(url)
        host = host_of(text)
        if not host or host in self._passed:
            return None
        carrying = self._carrying
        if carrying is not None and not is_public(host) and not self._vouching.is_foreseen(text):
            return Verdict(carrying, "is redirected to an address not public", _FIX_REDIRECT)
        return self._url(url)

    def host(self, host: Any) -> None:
        """Judge the host of a connection."""
        if isinstance(host, (str, bytes)) and host and self.guard.active:
            self.guard.decide(NAME, lambda: self._host(host))

    def _host(self, host: str | bytes) -> Verdict | None:
        self._begin()
        if normal(as_text(host)) in self._passed or normal(host_of(f"//{as_text(host)}")) in (
            self._passed
        ):
            return None
        cut = cut_from(self.guard, normal(as_text(host)))
        if cut is not None and (verdict := self._url(cut)) is not None:
            return verdict
        spans = [span.moved(2) for span in self.guard.spans(host)]
        text = f"//{as_text(host)}"
        verdict = judge(text, spans, self._vouching) if spans else None
        if verdict is None:
            self._pass(text, spans)
            if spans:
                self._whole.add(host_of(text))
        return verdict

    def path(self, host: Any, url: Any) -> None:
        """Judge what is asked of a host, unless URLs of it were judged as a whole.

        A proxy is asked for a whole URL, whose host is the one that counts.
        """
        self._begin()
        asked = host_of(as_text(url)) if isinstance(url, (str, bytes)) else ""
        if not asked and isinstance(host, str):
            asked = normal(host)
        if asked not in self._whole and url not in self._asked:
            self.url(url)

    def named(self, host: Any) -> None:
        """Judge the URL that the code has cut, and whose host a request names in its head."""
        if isinstance(host, (str, bytes)) and self.guard.active:
            url = cut_from(self.guard, host_of(f"//{as_text(host)}"))
            if url is not None and is_put_together(self.guard, url):
                self.url(url)

    def header(self, value: Any) -> None:
        """Judge a header of a request."""
        if isinstance(value, (str, bytes)) and self.guard.active:
            self.guard.check(NAME, value, _line_break)


def _line_break(text: str, spans: Sequence[Span]) -> Verdict | None:
    for span in spans:
        value = text[span.start : span.end]
        if "\r" in value or "\n" in value:
            return Verdict(span.origin, "begins a header of its own by a line break", FIX_HOST)
    return None


def _text_of(url: Any) -> str | bytes | None:
    if url is None or isinstance(url, (str, bytes)):
        return url
    full = getattr(url, "full_url", None)
    return full if isinstance(full, str) else str(url)


_judges: dict[int, Judge] = {}


def judge_of(guard: Guard) -> Judge:
    """Return the one for a guard."""
    found = _judges.get(id(guard))
    if found is None or found.guard is not guard:
        found = _judges[id(guard)] = Judge(guard)
    return found


# -- the standard library --------------------------------------------------------------------------


def patch_urllib(guard: Guard, module: ModuleType) -> None:
    """Watch urllib.request: what is opened becomes a Request, whose URL is judged."""
    judged, library = judge_of(guard), vars(module)

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        method = argument(arguments, named, 6, "method") or "GET"
        data, headers = (argument(arguments, named, p, n) for p, n in ((2, "data"), (3, "headers")))
        reads = data is None and _only_reads(method, headers)
        judged.url(argument(arguments, named, 1, "url"), reads=reads)

    wrap(library["Request"], "__init__", before)
    wrap(
        library["HTTPRedirectHandler"],
        "redirect_request",
        lambda a, n: judged.hop(argument(a, n, 6, "newurl")),
    )
    wrap(library["OpenerDirector"], "open", lambda a, n: _opened(judged, a, n))


def _opened(judged: Judge, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    url = argument(arguments, named, 1, "fullurl")
    if isinstance(url, str):
        secrets = any(name.lower() not in _SHOWN for name, _ in arguments[0].addheaders)
        reads = argument(arguments, named, 2, "data") is None and not secrets
        judged.url(url, reads=reads)


def _only_reads(method: object, headers: Any) -> bool:
    """Tell whether a request asks for what is there, and tells nothing of who asks."""
    if not isinstance(method, str) or method.upper() not in ("GET", "HEAD"):
        return False
    return all(str(name).lower() in _SHOWN for name in headers or ())


def patch_http_client(guard: Guard, module: ModuleType) -> None:
    """Watch http.client: hosts, tunnels through proxies, paths and headers."""
    judged = judge_of(guard)
    connection = vars(module)["HTTPConnection"]
    wrap(connection, "__init__", lambda a, n: judged.host(argument(a, n, 1, "host")))
    wrap(connection, "set_tunnel", lambda a, n: judged.host(argument(a, n, 1, "host")))
    wrap(
        connection,
        "putrequest",
        lambda a, n: judged.path(getattr(a[0], "host", None), argument(a, n, 2, "url")),
    )

    def before_header(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        for value in arguments[1:]:
            if isinstance(value, (str, bytes)) and _breaks(value):
                judged.header(value)
        if len(arguments) > 2 and _name_of(arguments[1]).lower() == "host":
            judged.named(arguments[2])

    wrap(connection, "putheader", before_header)


def _name_of(field: object) -> str:
    return as_text(field) if isinstance(field, (str, bytes)) else ""


def _breaks(value: str | bytes) -> bool:
    return any(mark in as_text(value) for mark in "\r\n")


def patch_socket(guard: Guard, module: ModuleType) -> None:
    """Watch create_connection: the address that it connects to is resolved already."""
    judged = judge_of(guard)

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        address = argument(arguments, named, 0, "address")
        if isinstance(address, (tuple, list)) and address:
            judged.host(address[0])

    wrap(module, "create_connection", before)


def on_connect(guard: Guard, arguments: tuple[Any, ...]) -> None:
    """Judge where a socket connects or sends to, whoever calls it."""
    address = arguments[1]
    if isinstance(address, tuple) and address:
        judge_of(guard).host(address[0])


def on_bind(guard: Guard, arguments: tuple[Any, ...]) -> None:
    """Note where a server of the function's own code listens."""
    address = arguments[1]
    if isinstance(address, tuple) and len(address) > 1 and is_direct(guard, *_SERVERS):
        host, port = address[:2]
        if isinstance(host, str) and isinstance(port, int):
            judge_of(guard).serves(normal(host), port, for_few=_is_for_few(guard))


def _is_for_few(guard: Guard) -> bool:
    """Tell whether the code that begins a server says that it is not for all: `_Admin`."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame is None or frame.f_code.co_filename.startswith(guard.root):
            break
        frame = frame.f_back
    code = frame.f_code if frame is not None else None
    if frame is None or code is None:
        return False
    names = (code.co_name, *code.co_names)
    return any(map(speaks_of_few, names)) or any(_is_told_for_few(frame, name) for name in names)


def _is_told_for_few(frame: FrameType, name: str) -> bool:
    """Tell whether the class of a server's answers is said to be for few by what describes it."""
    kind = frame.f_globals.get(name)
    text = vars(kind).get("__doc__") if isinstance(kind, type) else None
    return isinstance(text, str) and speaks_of_few(text[:_MAX_TOLD])


def patch_asyncio_streams(guard: Guard, module: ModuleType) -> None:
    """Watch open_connection, above an event loop that may be compiled."""
    judged = judge_of(guard)
    original: Any = vars(module)["open_connection"]
    wrap(module, "open_connection", lambda a, n: judged.host(argument(a, n, 0, "host")))
    package: Any = sys.modules.get("asyncio")
    if getattr(package, "open_connection", None) is original:
        package.open_connection = vars(module)["open_connection"]


def patch_asyncio_events(guard: Guard, module: ModuleType) -> None:
    """Watch the connections of the interpreter's own event loop."""
    judged = judge_of(guard)
    loop = vars(module)["BaseEventLoop"]
    wrap(loop, "create_connection", lambda a, n: judged.host(argument(a, n, 2, "host")))


# -- libraries -------------------------------------------------------------------------------------


def patch_requests_models(guard: Guard, module: ModuleType) -> None:
    """Watch the URLs that requests prepares."""
    judged = judge_of(guard)
    prepared = vars(module)["PreparedRequest"]

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        told = ((4, "files"), (5, "data"), (6, "params"), (7, "auth"), (8, "cookies"), (10, "json"))
        empty = not any(argument(arguments, named, place, name) for place, name in told)
        method = argument(arguments, named, 1, "method")
        reads = empty and _only_reads(method, argument(arguments, named, 3, "headers"))
        reading[arguments[0]] = reads

    def before_url(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        judged.url(argument(arguments, named, 1, "url"), reads=reading.pop(arguments[0], False))

    reading: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
    wrap(prepared, "prepare", before)
    wrap(prepared, "prepare_url", before_url)


def patch_requests_adapters(guard: Guard, module: ModuleType) -> None:
    """Watch what requests sends, redirects among it."""
    judged = judge_of(guard)
    adapter = vars(module)["HTTPAdapter"]
    wrap(adapter, "send", lambda a, n: judged.hop(getattr(a[1], "url", None)))


def patch_urllib3(guard: Guard, module: ModuleType) -> None:
    """Watch urllib3's pools; a redirect comes by the same way, with a history."""
    judged = judge_of(guard)

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        url = argument(arguments, named, 2, "url")
        history = getattr(named.get("retries"), "history", None)
        if history:
            judged.hop(url)
        else:
            judged.url(url)

    wrap(vars(module)["PoolManager"], "urlopen", before)


def patch_httpx(guard: Guard, module: ModuleType) -> None:
    """Watch httpx, or httpx2 which took its names over: URLs and base URLs of clients."""
    judged, library = judge_of(guard), vars(module)
    unset = type(library["USE_CLIENT_DEFAULT"])
    asking: weakref.WeakSet[Any] = weakref.WeakSet()
    """Clients of which a request is being made, whose `auth` was seen."""
    told: weakref.WeakSet[Any] = weakref.WeakSet()
    """Those of which one has had some: asynchronous ones make several at the same time."""

    def before_sent(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not (named.get("auth") is None or isinstance(named["auth"], unset)):
            told.add(arguments[0])

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        asking.add(arguments[0])
        before_sent(arguments, named)

    def before_built(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        client = arguments[0]
        silent = client in asking and client not in told and client.auth is None
        asking.discard(client)
        silent = silent and not any((client.cookies, client.params, *client.event_hooks.values()))
        silent = silent and not any(map(named.get, _SENDING))
        method = argument(arguments, named, 1, "method")
        headers = (*client.headers, *(named.get("headers") or ()))
        reads = silent and _only_reads(method, headers)
        judged.url(argument(arguments, named, 2, "url"), reads=reads)

    def before_init(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        judged.url(named.get("base_url") or None)

    wrap(library["BaseClient"], "build_request", before_built)
    for name in ("Client", "AsyncClient"):
        wrap(library[name], "__init__", before_init)
        wrap(library[name], "request", before)
        for other in ("stream", "send"):
            wrap(library[name], other, before_sent)


def patch_httpx_transport(guard: Guard, module: ModuleType) -> None:
    """Watch what httpx or httpx2 sends, redirects among it."""
    judged, library = judge_of(guard), vars(module)
    for owner, name in (
        ("HTTPTransport", "handle_request"),
        ("AsyncHTTPTransport", "handle_async_request"),
    ):
        wrap(library[owner], name, lambda a, n: judged.hop(a[1].url))


def patch_aiohttp(guard: Guard, module: ModuleType) -> None:
    """Watch aiohttp's sessions."""
    judged = judge_of(guard)
    session = vars(module)["ClientSession"]
    wrap(session, "_request", lambda a, n: judged.url(argument(a, n, 2, "str_or_url")))
    wrap(session, "_ws_connect", lambda a, n: judged.url(argument(a, n, 1, "url")))
    wrap(session, "__init__", lambda a, n: judged.url(argument(a, n, 1, "base_url")))


def patch_aiohttp_request(guard: Guard, module: ModuleType) -> None:
    """Watch each request that aiohttp makes, redirects among them."""
    judged = judge_of(guard)
    request = vars(module)["ClientRequest"]
    wrap(request, "__init__", lambda a, n: judged.hop(argument(a, n, 2, "url")))


def patch_botocore_session(guard: Guard, module: ModuleType) -> None:
    """Watch the endpoints of AWS clients."""
    judged = judge_of(guard)
    session = vars(module)["Session"]
    wrap(session, "create_client", lambda a, n: judged.url(argument(a, n, 6, "endpoint_url")))


PATCHES: dict[str, Patch] = {
    "urllib.parse": patch_urljoin,
    "yarl._url": patch_yarl,
    "urllib.request": patch_urllib,
    "http.client": patch_http_client,
    "socket": patch_socket,
    "asyncio.streams": patch_asyncio_streams,
    "asyncio.base_events": patch_asyncio_events,
    "requests.models": patch_requests_models,
    "requests.adapters": patch_requests_adapters,
    "urllib3.poolmanager": patch_urllib3,
    "httpx._client": patch_httpx,
    "httpx._transports.default": patch_httpx_transport,
    "httpx2._client": patch_httpx,
    "httpx2._transports.default": patch_httpx_transport,
    "aiohttp.client": patch_aiohttp,
    "aiohttp.client_reqrep": patch_aiohttp_request,
    "botocore.session": patch_botocore_session,
}
