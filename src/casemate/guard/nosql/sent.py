"""Documents that the code puts together and sends to a service: JSON in a body, GraphQL in JSON.

Engines of search and APIs take them over HTTP, often without a library of their own.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..objects.judgement import judge_json
from ..objects.read_again import judge_form
from ..origin import Span
from ..pieces import as_text
from ..sink import Patch
from ..standing import is_put_together
from ..verdict import Verdict
from ..written.by_look import check_chat
from .languages import judge_graphql

_FORM = re.compile(r"[\w.\[\]-]{1,64}=[^\s]*&")
"""How a form begins that has more than one field."""
_BEGINS = ("{", "[")
_ASKS = re.compile(
    r"\s{0,80}(?:(?:query|mutation|subscription|fragment)\b[^{}]{0,500}\{|\{\s{0,80}[A-Za-z_.])"
)
"""How a document of GraphQL begins: a sentence has no braces."""
_MEMBER = '"query"'
_MAX_BODY = 64 * 1024
_GRAPHQL = "query"
"""The member of a request that has its document (GraphQL over HTTP, 5.4)."""

Bodies = Callable[[tuple[Any, ...], dict[str, Any]], Iterator[Any]]
"""Yields what a call is given to send: a text, or what becomes JSON."""


def _check(guard: Guard, sink: str, body: object) -> None:
    """Block a body (BlockedError) whose structure the event has changed.

    Only what the code was seen putting together is looked at: all else costs one question.
    """
    if isinstance(body, (str, bytes)):
        check_chat(guard, body)
        if is_put_together(guard, body):
            sent = as_text(body)
            if sent.lstrip().startswith(_BEGINS):
                guard.check(sink, body, judge_json)
            elif _FORM.match(sent) is not None:
                guard.check("url", body, _judge_form)
        elif len(body) <= _MAX_BODY and _MEMBER in as_text(body) and not guard.is_own(body):
            with contextlib.suppress(ValueError, RecursionError):
                told = json.loads(body)
                _check_asked(guard, sink, told if isinstance(told, dict) else {})
    elif isinstance(body, dict):
        check_chat(guard, body.get("text"))
        _check_asked(guard, sink, body)


def _check_asked(guard: Guard, sink: str, body: dict[str, Any]) -> None:
    """Block a document of GraphQL (BlockedError) in a request whose structure is not the code's."""
    text = body.get(_GRAPHQL)
    if isinstance(text, str) and _ASKS.match(text) is not None and is_put_together(guard, text):
        guard.check(sink, text, judge_graphql)


def _judge_form(text: str, spans: Sequence[Span]) -> Verdict | None:
    # Blanks and line ends of a value have mostly become others: then it was found again.
    whole = [span._replace(exact=True) for span in spans if not span.is_piece]
    return judge_form(text, whole) if whole else None


def _watched(owner: str, method: str, bodies: Bodies) -> Callable[[str], Patch]:
    def made(sink: str) -> Patch:
        def patch(guard: Guard, module: ModuleType) -> None:
            def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
                if guard.active:
                    for body in bodies(arguments, named):
                        _check(guard, sink, body)

            wrap(getattr(module, owner), method, before)

        return patch

    return made


def _of_requests(arguments: tuple[Any, ...], named: dict[str, Any]) -> Iterator[Any]:
    yield argument(arguments, named, 1, "data")
    yield argument(arguments, named, 3, "json")


def _of_httpx(arguments: tuple[Any, ...], named: dict[str, Any]) -> Iterator[Any]:
    for name in ("content", "data", "json"):
        yield named.get(name)


def _of_urllib(arguments: tuple[Any, ...], named: dict[str, Any]) -> Iterator[Any]:
    yield getattr(argument(arguments, named, 1, "request"), "data", None)


def _of_http(arguments: tuple[Any, ...], named: dict[str, Any]) -> Iterator[Any]:
    yield argument(arguments, named, 3, "body")


def _of_payload(arguments: tuple[Any, ...], named: dict[str, Any]) -> Iterator[Any]:
    yield argument(arguments, named, 1, "value")


_PATCHES: dict[str, tuple[Callable[[str], Patch], ...]] = {
    "requests.models": (_watched("PreparedRequest", "prepare_body", _of_requests),),
    "httpx._models": (_watched("Request", "__init__", _of_httpx),),
    "httpx2._models": (_watched("Request", "__init__", _of_httpx),),
    "urllib.request": (_watched("AbstractHTTPHandler", "do_request_", _of_urllib),),
    "http.client": (_watched("HTTPConnection", "request", _of_http),),
    "urllib3.connection": (_watched("HTTPConnection", "request", _of_http),),
    "aiohttp.payload": (
        _watched("BytesPayload", "__init__", _of_payload),
        _watched("StringPayload", "__init__", _of_payload),
        _watched("JsonPayload", "__init__", _of_payload),
    ),
}


def patches(sink: str) -> dict[str, Patch]:
    """Return the patches of clients, by module."""

    def all_of(made: tuple[Callable[[str], Patch], ...]) -> Patch:
        each = [one(sink) for one in made]

        def patch(guard: Guard, module: ModuleType) -> None:
            for one in each:
                one(guard, module)

        return patch

    return {name: all_of(made) for name, made in _PATCHES.items()}
