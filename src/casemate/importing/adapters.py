"""Modules that stand between Casemate and handlers of another shape."""

from __future__ import annotations

from casemate.audit.model import Function

ADAPTER = "casemate_handler"

_LAMBDA = '''\
"""Leads to a handler in a module whose name no manifest can hold."""

import importlib

handler = getattr(importlib.import_module({module}), {name})
'''

_BODY = '''\
import base64


def _body(event):
    """Return what was sent: the body of a request, or the payload of a direct call."""
    if isinstance(event, dict) and "is_base64" in event and "route" in event:
        body = event.get("body") or ""
        return base64.b64decode(body) if event["is_base64"] else body.encode()
    if event is None:
        return b""
    return event.encode() if isinstance(event, str) else json.dumps(event).encode()
'''

_ONE = (
    '''\
"""Calls `handle(req)` as OpenFaaS does: with the body of a request as text."""

import json
'''
    + _BODY
    + '''

from function.handler import handle


def handler(event, context):
    """Handle one event."""
    found = handle(_body(event).decode("utf-8", "replace"))
    status, headers = 200, {}
    if isinstance(found, tuple):  # as Flask has it: body, status, headers
        found, status, headers = (*found, *(None, 200, {})[len(found) :])[:3]
    if isinstance(event, dict) and "route" in event and "path_parameters" in event:
        body = "" if found is None else found
        return {"status": int(status), "headers": dict(headers), "body": body}
    return found
'''
)

_TWO = (
    '''\
"""Calls `handle(event, context)` as OpenFaaS's python3-http does."""

import json
'''
    + _BODY
    + '''

from function.handler import handle


class _Headers(dict):
    """Headers under any case of their names."""

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def __contains__(self, name):
        return super().__contains__(str(name).lower())

    def get(self, name, default=None):
        return super().get(name.lower(), default)


class _Event:
    def __init__(self, event):
        request = event if isinstance(event, dict) and "route" in event else {}
        self.body = _body(event)
        self.headers = _Headers(request.get("headers") or {})
        self.method = request.get("method", "POST")
        query = request.get("query") or {}
        self.query = {name: values[0] for name, values in query.items() if values}
        start = request.get("route", "").removesuffix("/{rest...}")
        self.path = request.get("path", "/").removeprefix(start) or "/"


class _Context:
    def __init__(self, context):
        self.hostname = context.function_name
        self.casemate = context


def handler(event, context):
    """Handle one event."""
    found = handle(_Event(event), _Context(context))
    if isinstance(found, dict) and "statusCode" in found:
        headers, body = found.get("headers") or {}, found.get("body")
        if isinstance(event, dict) and "route" in event:
            body = "" if body is None else body
            return {"status": int(found["statusCode"]), "headers": dict(headers), "body": body}
        return body
    return found
'''
)


def for_lambda(parts: list[str], name: str) -> str:
    """Return the module that leads to a handler of Lambda."""
    return _LAMBDA.format(module=repr(".".join(parts)), name=repr(name))


def for_openfaas(function: Function) -> str:
    """Return the module that calls a handler of OpenFaaS, by its template."""
    return _TWO if takes_two(function) else _ONE


def takes_two(function: Function) -> bool:
    """Tell whether a handler gets event and context, by the language of its template."""
    return "http" in str(function.settings.get("lang") or "")
