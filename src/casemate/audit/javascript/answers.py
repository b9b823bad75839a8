"""What is answered: pages, redirects, by the methods of frameworks and by objects of Lambda."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from casemate.audit.flow.library import contexts
from casemate.audit.flow.state import Instance, Mapping, State
from casemate.audit.flow.values import CLEAN, Const, Ref, Text, Unknown, Value, known_text, options
from casemate.audit.javascript.known import made_shorter
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import UNDEFINED, thing_of

_PAGES = frozenset(("send", "write", "end", "succeed"))
"""The last is that of OpenFaaS."""


def sent(
    reader: Reader, name: str, receiver: Value | None, given: list[Value], state: State, node: Node
) -> Value | None:
    """Look at what a method of a response of a framework is given; None if it is none."""
    owner, _, method = name.rpartition(".")
    if owner != "response()" or not isinstance(receiver, Ref):
        return None
    first = given[0] if given else UNDEFINED
    thing = thing_of(receiver, state)
    kind = known_text(thing.attributes.get("=type", _HTML)) if isinstance(thing, Instance) else ""
    if method in ("redirect", "location"):
        for value in given[:2]:
            _told(reader, "redirect", value, f"res.{method}", state, node)
    elif method in _PAGES and "html" in (kind or "html"):
        _page(reader, first, method, state, node)
    elif method in ("sendFile", "download", "sendfile"):
        options_ = thing_of(given[1], state) if len(given) > 1 else None
        if not (isinstance(options_, Mapping) and "root" in options_.known):
            _told(reader, "path", made_shorter(first, state), f"res.{method}", state, node)
    elif isinstance(thing, Instance):
        named = (known_text(first) or "").lower()
        if method == "headers":
            held = thing_of(first, state)
            for key, value in held.known.items() if isinstance(held, Mapping) else ():
                if str(key).lower() == "content-type":
                    _typed(receiver, thing, value, state)
        elif method in ("type", "contentType"):
            _typed(receiver, thing, first, state)
        elif method in _SETTING and len(given) > 1:
            if named == "content-type":
                _typed(receiver, thing, given[1], state)
            elif named == "location":
                _told(reader, "redirect", given[1], f"res.{method}", state, node)
    return receiver


_REDIRECTS = ("Response.redirect", "NextResponse.redirect", "next/server.NextResponse.redirect")


def redirected(reader: Reader, name: str, given: list[Value], state: State, node: Node) -> None:
    """Look at where an answer of the standard leads: `Response.redirect(url)`."""
    if name in _REDIRECTS and given:
        _told(reader, "redirect", given[0], name, state, node)


def of_context(
    reader: Reader, owner: Unknown, name: str, given: list[Value], state: State, node: Node
) -> Value | None:
    """Look at what the context of Hono or Koa answers: `c.redirect(x)`, `c.html(text)`."""
    if owner.type not in ("=hono", "=koa") or owner.path.endswith((".req", ".raw", ".request")):
        return None
    first = given[0] if given else UNDEFINED
    if name == "redirect":
        _told(reader, "redirect", first, f"{owner.path}.redirect", state, node)
    elif name == "html" and owner.type == "=hono":
        for option in options(first):
            if isinstance(option, Text) or (isinstance(option, Unknown) and _is_text(option)):
                _told(reader, "markup", option, f"{owner.path}.html", state, node)
    elif owner.type != "=hono" or name not in ("json", "text", "body", "newResponse"):
        return None
    return Unknown(CLEAN)


_HTML = Const("html")
_SETTING = ("set", "header", "setHeader", "append")


def _typed(receiver: Ref, thing: Instance, value: Value, state: State) -> None:
    state.things[receiver.number] = replace(thing, attributes={**thing.attributes, "=type": value})


_NEVER_SHOWN = ("PUT ", "PATCH ", "DELETE ", "DEL ")
"""Methods that no link and no form makes a browser ask with: it shows no page of what comes."""


def _page(reader: Reader, value: Value, method: str, state: State, node: Node) -> None:
    """A text that is sent is a page, unless the code says what else it is, or nothing shows it."""
    entry = reader.entry
    if entry is not None and entry.shape == "route" and entry.name.startswith(_NEVER_SHOWN):
        return
    for option in options(value):
        if isinstance(option, Text):
            first = option.parts[0] if option.parts else ""
            if isinstance(first, str) and first.lstrip()[:1] in ("{", "[", '"'):
                continue
            _told(reader, "markup", option, f"res.{method}", state, node)
        elif isinstance(option, Unknown) and option.path and _is_text(option):
            _told(reader, "markup", option, f"res.{method}", state, node)


def _is_text(value: Unknown) -> bool:
    """Return whether data is a text, and no object, which would be sent as JSON."""
    return bool(value.taints) and all("nosql" in taint.safe for taint in value.taints)


def _told(reader: Reader, weakness: str, value: Value, call: str, state: State, node: Node) -> None:
    taints = contexts.harmful(weakness, value, state, reader.kinds)
    if taints:
        reader.report(weakness, call, taints, node)


def returned(reader: Reader, value: Value, state: State, node: Node) -> None:
    """Look at what a handler of Lambda answers."""
    for option in options(value):
        thing = thing_of(option, state)
        if isinstance(thing, Mapping):
            with _where_made(reader, option, node) as place:
                _answer(reader, thing, state, place)
        elif isinstance(thing, Instance) and thing.type == "Response()":
            with _where_made(reader, thing.attributes.get("=1"), node) as place:
                _response(reader, thing, state, place)


@contextlib.contextmanager
def _where_made(reader: Reader, value: Value | None, node: Node) -> Iterator[Node]:
    """Give the place where a value was made, in whose file what is found is told."""
    file, place = reader.made.get(getattr(value, "number", 0), ("", node))
    outer = reader.frame.file
    reader.frame.file = file or outer
    try:
        yield place
    finally:
        reader.frame.file = outer


def _answer(reader: Reader, answer: Mapping, state: State, node: Node) -> None:
    body = answer.known.get("body")
    for field in ("headers", "multiValueHeaders"):
        headers = answer.known.get(field)
        for option in options(headers) if headers is not None else ():
            thing = thing_of(option, state)
            if isinstance(thing, Mapping):
                _headers(reader, thing, body, state, node)


def _headers(
    reader: Reader, headers: Mapping, body: Value | None, state: State, node: Node
) -> None:
    for name, value in headers.known.items():
        label = str(name).lower()
        if label == "location":
            _told(reader, "redirect", value, "headers.Location", state, node)
        if label == "content-type" and body is not None:
            text = known_text(value)
            if text is not None and ("html" in text or "svg" in text):
                for option in options(body):
                    if not isinstance(option, (Const, Ref)):
                        _told(reader, "markup", option, "the answer", state, node)


def _response(reader: Reader, thing: Instance, state: State, node: Node) -> None:
    given = thing_of(thing.attributes.get("=1", UNDEFINED), state)
    headers = given.known.get("headers") if isinstance(given, Mapping) else None
    held = thing_of(headers, state) if headers is not None else None
    if isinstance(held, Mapping):
        _headers(reader, held, thing.attributes.get("=0"), state, node)
