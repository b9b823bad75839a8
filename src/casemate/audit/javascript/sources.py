"""Where outside data enters: events, requests, and their parts, each a source of its own."""

from __future__ import annotations

import re
from dataclasses import replace

from casemate.audit.flow.library.sources import NO_PAGE, of_platform, sent_by_code
from casemate.audit.flow.values import CLEAN, Taint, Unknown, Value
from casemate.audit.javascript import carried
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node

_LONGEST = 200
_TRUSTED = (".length", ".awsRequestId", ".req.method", ".req.ip", ".req.protocol")
_UPLOADED = re.compile(
    r"^req\.files?(?:\[\]|\.[^.\[]{1,80})?(?:\[\])?\.(?:path|filepath|tempFilePath|destination|size)$"
)
"""What parsers of uploads chose: where they put a file, under a name of their own."""
_NAME_OF_FILE = re.compile(r"^req\.files?(?:\[\]|\.[^.\[]{1,80})?(?:\[\])?\.(?:name|originalname)$")
_NO_FOLDER = frozenset(("/", "../"))
_TEXTS = re.compile(
    r"\.(?:queryStringParameters|pathParameters|headers|stageVariables|params|cookies|key|req\.valid)\.[^.\[]{1,80}$"
    r"|\.(?:body|rawPath|path|rawQueryString|originalUrl|url|key)$"
    r"|\.(?:multiValueQueryStringParameters|multiValueHeaders)\.[^.\[]{1,80}\[\]$"
)
"""Parts that are texts: no objects, whatever the caller sends."""
NO_OBJECT = frozenset(("nosql",))

REQUEST = {
    "express": (
        *("query", "params", "body", "headers", "cookies", "signedCookies", "url", "originalUrl"),
        *("path", "hostname", "host", "rawBody", "files", "file", "apiGateway", "rawHeaders"),
        *("querystring", "subdomains", "rawTrailers"),
    ),
    "koa": (
        *("query", "params", "request", "headers", "header", "url", "originalUrl", "path"),
        *("querystring", "hostname", "host", "href", "search", "body", "rawBody"),
    ),
}
"""Properties of requests that their sender chooses."""
_METHODS = frozenset(
    (
        *("get", "header", "param", "query", "queries", "json", "text", "parseBody", "formData"),
        *("raw", "valid", "arrayBuffer", "blob", "cookie"),
    )
)


def event(reader: Reader, kind: str, name: str, node: Node) -> Value:
    """Return the event of a handler."""
    if kind == "schedule":
        return Unknown()
    taint = reader.source(kind, name, node)
    return Unknown(frozenset((taint,)), "", name)


def request(name: str, kind: str) -> Value:
    """Return a request, or the context of one, of a framework."""
    return Unknown(CLEAN, f"={kind}", name)


def part(reader: Reader, value: Unknown, name: str, node: Node) -> Value:
    """Return a part of outside data: a source of its own, so that a check of one is of one."""
    path = f"{value.path}{name}"
    if len(path) > _LONGEST:
        return Unknown(value.taints, "", value.path)
    if path.endswith(_TRUSTED) or _UPLOADED.search(path) is not None:
        return Unknown(CLEAN)
    text = _TEXTS.search(path) is not None and "body." not in path
    named = reader.busboy and _NAME_OF_FILE.search(path) is not None
    taints: set[Taint] = set()
    for taint in value.taints:
        kind = reader.kinds[taint.source]
        if of_platform(path, kind):
            continue
        new = reader.source(kind, path, node, path)
        safe = taint.safe | NO_OBJECT if text or path in reader.texts else taint.safe
        safe = safe | NO_PAGE if sent_by_code(path) else safe
        forms = (*new.forms, *taint.forms[:5])  # what is known of the whole is known of its parts
        without = taint.without | _NO_FOLDER if named else taint.without
        taints.add(
            replace(
                taint, source=new.source, forms=forms, trail=new.trail, safe=safe, without=without
            )
        )
    return Unknown(frozenset(taints), "", path) if taints else Unknown(CLEAN)


def of_request(reader: Reader, value: Unknown, name: str, node: Node) -> Value | None:
    """Return a property of a request; None if the value is none."""
    kind = value.type.removeprefix("=")
    if value.type == carried.KEPT:
        return carried.get(reader, value, name)
    if value.type == value.type.removeprefix("=") or kind not in ("express", "koa", "hono"):
        return None
    if kind == "koa" and name == "request":
        return request(f"{value.path}.request", "koa")
    if (kind, name) in (("koa", "state"), ("hono", "var")):
        return Unknown(CLEAN, carried.KEPT, f"{value.path}.{name}")
    if kind == "hono":
        if name in ("req", "raw"):
            return request(f"{value.path}.{name}", "hono")
        sent = name in ("url", "path", "headers")
        return begin(reader, f"{value.path}.{name}", node) if sent else Unknown()
    if name in REQUEST[kind]:
        return begin(reader, f"{value.path}.{name}", node)
    return carried.get(reader, value, name)


def called(reader: Reader, value: Unknown, name: str, key: str | None, node: Node) -> Value | None:
    """Return what a method of a request gives; None if the value is none."""
    if value.type not in ("=express", "=koa", "=hono") or name not in _METHODS:
        return None
    path = f"{value.path}.{name}"
    if key is not None:
        path = f"{value.path}.{'valid' if name == 'valid' else 'params'}.{key}"
    return begin(reader, path, node)


def begin(reader: Reader, what: str, node: Node) -> Value:
    """Return what the sender of a request chose."""
    what = what[:_LONGEST]
    taint = reader.source("http", what, node, what)
    if ".".join(what.split(".")[:2]) in reader.looked_at:
        taint = taint.doubted()
    if reader.bodies == {"json"} and what.split(".")[1:2] == ["body"]:
        # No page of others makes a browser send JSON here, so the answer shows it to its sender.
        taint = replace(taint, safe=taint.safe | NO_PAGE)
    if _TEXTS.search(what) is not None and not what.endswith(".body"):
        taint = replace(taint, safe=taint.safe | NO_OBJECT)
    return Unknown(frozenset((taint,)), "", what)


def parsed(value: Value) -> Value:
    """Return what JSON of outside data may be: anything of any shape."""
    if isinstance(value, Unknown):
        taints = frozenset(
            replace(taint, safe=taint.safe - NO_OBJECT, without=frozenset())
            for taint in value.taints
        )
        return Unknown(taints, "", value.path)
    return value
