"""Servers that code calls over HTTP, and files that it opens: what is not a right, and is granted.

A client of HTTP is data for all else; only the start of its addresses is kept.
"""

from __future__ import annotations

import ast

from casemate.audit.privileges.reader import Arguments, Reader
from casemate.audit.privileges.values import HOLE, NONE, Values, Web, texts

_METHODS = frozenset(("get", "post", "put", "patch", "delete", "head", "options", "stream"))
MODULES = ("requests", "httpx", "aiohttp", "urllib3", "httpx2")
_CLIENTS = frozenset(
    (
        *("requests.Session", "requests.session", "httpx.Client", "httpx.AsyncClient"),
        *("aiohttp.ClientSession", "urllib3.PoolManager", "httpx2.Client", "httpx2.AsyncClient"),
    )
)
"""What makes an object with the methods above."""
_OPENERS = frozenset(
    ("urllib.request.urlopen", "urllib.request.Request", "urllib.request.urlretrieve")
)
_CONNECTIONS = {"http.client.HTTPSConnection": "https", "http.client.HTTPConnection": "http"}
_FILES = frozenset(("builtins.open", "io.open", "pathlib.Path"))
_MAX_STARTS = 4
"""Of one client's addresses; with more, none is known."""


def library(reader: Reader, name: str, given: Arguments, node: ast.AST) -> Values:
    """Read a call of a function of a library for what it reaches; return the client it makes."""
    if name in _FILES:
        for path in texts(given.get(0, "file")):
            if HOLE not in path:
                reader.recorder.file(path, reader.place(node))
    elif name in _OPENERS:
        _tell(reader, texts(given.get(0, "url")), "", node)
    elif name in _CONNECTIONS:
        hosts = texts(given.get(0, "host"))
        _tell(reader, [f"{_CONNECTIONS[name]}://{each}" for each in hosts], "", node)
    elif name.partition(".")[0] in MODULES:
        if name in _CLIENTS:
            place = 0 if name.startswith("aiohttp.") else -1
            starts = [each or HOLE for each in texts(given.get(place, "base_url"))] or [""]
            starts = starts if len(starts) <= _MAX_STARTS else [HOLE]
            return frozenset(Web(each) for each in starts)
        _called(reader, name.rpartition(".")[2], "", given, node)
    return NONE


def method(reader: Reader, client: Web, name: str, given: Arguments, node: ast.AST) -> None:
    """Read a call of a method of a client of HTTP."""
    _called(reader, name, client.base, given, node)


def _called(reader: Reader, name: str, base: str, given: Arguments, node: ast.AST) -> None:
    if name == "request" or name in _METHODS:
        place = 1 if name in ("request", "stream") else 0
        _tell(reader, texts(given.get(place, "url")), base, node)


def _tell(reader: Reader, addresses: list[str], base: str, node: ast.AST) -> None:
    for each in addresses or [HOLE]:
        known = each if "://" in each else base or each
        reader.recorder.address(known, reader.place(node))
