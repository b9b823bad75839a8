"""Routes that code declares to a framework, and what the framework calls them with."""

from __future__ import annotations

from casemate.audit.flow.results import Entry
from casemate.audit.flow.state import Instance, Mapping, Sequence, State
from casemate.audit.flow.values import CLEAN, External, Unknown, Value, known_text, options
from casemate.audit.javascript import calls, fields, guards, schemas, sources, validators
from casemate.audit.javascript.reader import Pending, Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import name_of, thing_of

_KINDS = {
    "express": "express",
    "lambda-api": "express",
    "restify": "express",
    "polka": "express",
    "fastify": "express",
    "router": "express",
    "@koa/router": "koa",
    "koa-router": "koa",
    "koa": "koa",
    "hono": "hono",
    "@hono/zod-openapi": "hono",
    "express-promise-router": "express",
}
_METHODS = frozenset(
    (
        *("get", "post", "put", "patch", "delete", "del", "all", "use", "options", "head", "param"),
        *("on", "openapi"),
    )
)
_GOOGLE = "@google-cloud/functions-framework"
_FIREBASE = "firebase-functions"
FILES = frozenset((*_KINDS, _GOOGLE))
_FIREBASE_EVENTS = {
    "firestore": "table",
    "database": "table",
    "pubsub": "topic",
    "eventarc": "topic",
    "storage": "storage",
    "scheduler": "schedule",
}
"""What calls the functions of a module of Firebase; of all others it is `invoke`."""


def has_routes(text: str) -> bool:
    """Tell whether a file names a framework whose routes are followed."""
    return _FIREBASE in text or any(f"'{each}'" in text or f'"{each}"' in text for each in FILES)


_BUSBOY = ("express-fileupload()", "multer()")
_MAX = 400
_MAX_BEFORE = 4
"""Functions of a route that are read again before each that comes after them."""


def registered(
    reader: Reader, name: str, receiver: Value | None, given: list[Value], state: State, node: Node
) -> Value | None:
    """Take the functions of a route; None if the call declares none."""
    package, _, _ = name.partition(".")
    if package == _GOOGLE or package.partition("/")[0] == _FIREBASE:
        return _of_google(reader, name, given, state)
    package = package.removesuffix("()")
    kind = _KINDS.get("/".join(package.split("/")[:2]) if package[:1] == "@" else package)
    method = name.rpartition(".")[2]
    if kind is None or method not in _METHODS or "()" not in name:
        return None
    path = known_text(given[0]) if given else None
    checked = validators.texts_of(reader, given, state)
    held = fields.of_route(name, given, state) | set(schemas.of_route(given, state))
    before: tuple[Value, ...] = ()
    for each in given[:40]:
        reader.busboy = reader.busboy or name_of(each, state).startswith(_BUSBOY)
        if parser := _parser(each, state):
            reader.bodies.add(parser)
        for option in _functions(reader, each, state):
            if len(reader.pending) < _MAX and reader.entry is not None:
                entry = Entry(
                    path=reader.frame.file,
                    name=f"{method.upper()} {path or ''}".strip()[:120],
                    event="http",
                    shape="route",
                )
                pending = Pending(option, entry, kind, texts=checked, held=held, before=before)
                reader.pending.append(pending)
                if kind == "express" and guards.looks(reader, option):
                    before = (*before, option)[-_MAX_BEFORE:]
    return receiver if receiver is not None else Unknown(CLEAN, name.rpartition(".")[0])


_OF_JSON = ("express.json()", "body-parser.json()")
_OF_OTHERS = (
    *("express.urlencoded()", "express.text()", "express.raw()", "body-parser", "multer"),
    *("express-fileupload", "formidable", "express-formidable", "connect-busboy", "busboy"),
)


def _parser(value: Value, state: State) -> str:
    """Return what a function before routes takes bodies apart as: `json`, `other`, or nothing.

    Express takes for JSON what says that it is, unless it is told of other types.
    """
    name = name_of(value, state)
    if not name.startswith(_OF_JSON):
        return "other" if name.startswith(_OF_OTHERS) else ""
    made = thing_of(value, state)
    options_ = made.attributes.get("=0") if isinstance(made, Instance) else None
    set_ = thing_of(options_, state) if options_ is not None else None
    plain = options_ is None or (isinstance(set_, Mapping) and "type" not in set_.known)
    return "json" if plain and not (isinstance(set_, Mapping) and set_.rest) else "other"


def _of_google(reader: Reader, name: str, given: list[Value], state: State) -> Value | None:
    """Take the functions that are given to Google Cloud or Firebase to be called."""
    method = name.rpartition(".")[2]
    called = name.replace("/", ".").replace("()", "").split(".")
    event = next((_FIREBASE_EVENTS[each] for each in called if each in _FIREBASE_EVENTS), "invoke")
    if method in ("http", "onRequest"):
        kind, event = "express", "http"
    elif method == "onCall":
        kind, event = "call" if "v2" in called else "call-v1", "http"
    elif method == "cloudEvent":
        kind, event = "event", "topic"
    elif (method.startswith("on") and method[2:3].isupper()) or method == "onSchedule":
        kind = "event"
    else:
        return None
    for each in given[:4]:
        for option in _functions(reader, each, state):
            if len(reader.pending) < _MAX and reader.entry is not None:
                path = known_text(given[0]) or method
                entry = Entry(path=reader.frame.file, name=path[:120], event=event, shape="route")
                reader.pending.append(Pending(option, entry, kind))
    return Unknown(CLEAN, f"{name}()")


def _functions(reader: Reader, value: Value, state: State) -> list[Value]:
    found: list[Value] = []
    for option in options(value):
        thing = thing_of(option, state)
        if calls.is_function(reader, option):
            found.append(option)
        elif isinstance(thing, Sequence):
            found += [e for item in thing.items or () for e in _functions(reader, item, state)]
        else:
            found += calls.held_functions(reader, option, state)
    return found


def arguments(
    reader: Reader, pending: Pending, state: State, node: Node, onward: Value | None = None
) -> list[Value]:
    """Return what a framework calls a function with; `onward` is what calls the next one."""
    if pending.kind in ("event", "call", "call-v1"):
        event = sources.event(reader, pending.entry.event, "event", node)
        if pending.kind == "call":
            # Who calls is proved by the platform: only the data is of the caller's choice.
            event = reader.new(Mapping({"data": event}, Unknown(), open=True), state)
        return [event, Unknown()]
    request = sources.request("req" if pending.kind == "express" else "ctx", pending.kind)
    if pending.kind == "express":
        function = pending.function
        made = reader.functions.get(getattr(function, "number", 0))
        parameters = made.node.get("parameters") if made is not None and made.node else None
        response: Value = reader.new(Instance(0, {}, "response()"), state)
        if parameters is not None and len(parameters.kids) == 4:  # it takes errors
            return [Unknown(), request, response, External("next")]
        return [request, response, onward if onward is not None else External("next")]
    return [request, External("next")]
