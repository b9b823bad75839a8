"""Functions and classes where they are made; what setting a name or an item tells."""

from __future__ import annotations

import ast
from dataclasses import replace

from casemate.audit.flow import frameworks, models
from casemate.audit.flow.library import contexts
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Class, Instance, Mapping, Scope, Sequence, State, known_key
from casemate.audit.flow.values import (
    ANYTHING,
    Const,
    External,
    Func,
    Ref,
    Text,
    Tup,
    Unknown,
    Value,
    known_text,
    options,
)

NEVER = Unknown(frozenset(), "never")
"""What a call gives after which nothing comes."""
_KINDS = {
    "builtins.staticmethod": "static",
    "builtins.classmethod": "class",
    "builtins.property": "property",
    "functools.cached_property": "property",
    "werkzeug.utils.cached_property": "property",
    "django.utils.functional.cached_property": "property",
}
_SECRET_NAMES = (
    *("token", "password", "passwd", "secret", "session", "otp", "nonce", "salt", "api_key"),
    *("apikey", "csrf", "cookie", "remember", "auth", "credential", "reset_code", "verification"),
    *("private_key", "signing", "captcha"),
)
"""In names of what must not be foretold."""


def function(reader: Reader, node: ast.FunctionDef | ast.AsyncFunctionDef, state: State) -> Value:
    """Return what `def` makes, its decorators applied."""
    frame = reader.frame
    arguments = node.args
    defaults = tuple(reader.evaluate(each, state) for each in arguments.defaults)
    keyword = tuple(
        None if each is None else reader.evaluate(each, state) for each in arguments.kw_defaults
    )
    value: Value = Func(
        node, frame.module, frame.scope, node.name, defaults, keyword, "", frame.owner
    )
    for decorator in reversed(node.decorator_list):
        value = _decorated(reader, decorator, value, node, state)
    return value


def _decorated(
    reader: Reader,
    decorator: ast.expr,
    value: Value,
    node: ast.FunctionDef | ast.AsyncFunctionDef,
    state: State,
) -> Value:
    pending = frameworks.routed(reader, decorator, value, node, state)
    if pending is not None:
        reader.found(pending)
        return value
    if isinstance(decorator, ast.Attribute) and decorator.attr in ("setter", "deleter", "getter"):
        return value if decorator.attr == "getter" else reader.load(node.name, state, node)
    made = reader.evaluate(decorator, state)
    if isinstance(made, External) and isinstance(value, Func):
        kind = _KINDS.get(made.name)
        return replace(value, kind=kind) if kind else value
    if isinstance(made, (Unknown, External)):
        return value
    result = reader.call(made, Arguments([value]), state, decorator)
    return value if isinstance(result, (Unknown, Const)) else result


def class_(reader: Reader, node: ast.ClassDef, state: State) -> Value:
    """Return the class that `class` makes: its body is read at once."""
    frame = reader.frame
    bases = tuple(reader.evaluate(each, state) for each in node.bases)
    for each in node.keywords:
        reader.evaluate(each.value, state)
    scope = reader.new(Scope({}, frame.scope), state)
    fields = tuple(
        each.target.id
        for each in node.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    )
    typed = frozenset(
        each.target.id
        for each in node.body
        if isinstance(each, ast.AnnAssign)
        and isinstance(each.target, ast.Name)
        and frameworks.is_text(ast.unparse(each.annotation))
    )
    limits = models.limits_of(node, bases, state) if models.is_model(bases, state) else ()
    kind = Class(node.name, frame.module, scope.number, bases, fields, typed, limits)
    made = reader.new(kind, state)
    before = frame.scope, frame.owner
    frame.scope, frame.owner = scope.number, made.number
    try:
        after = reader.execute(node.body, state)
        if after is not None and after is not state:
            state.become(after)
    finally:
        frame.scope, frame.owner = before
    # Functions in a class do not see its names: they look where the class is.
    inside = state.things.get(scope.number)
    if isinstance(inside, Scope):
        names = {
            name: replace(value, scope=frame.scope)
            if isinstance(value, Func) and value.scope == scope.number
            else value
            for name, value in inside.names.items()
        }
        state.things[scope.number] = Scope(names, 0)
    frameworks.class_made(reader, node, made, bases, state)
    return made


def entered(reader: Reader, value: Value, state: State, node: ast.AST) -> Value:
    """Return what `with value as name` gives."""
    thing = state.things.get(value.number) if isinstance(value, Ref) else None
    if isinstance(thing, Instance) and thing.owner:
        for name in ("__enter__", "__aenter__"):
            method = reader.attribute(value, name, state, node)
            if not isinstance(method, Unknown):
                return reader.call(method, Arguments(), state, node)
    if isinstance(thing, Sequence) and thing.kind == "generator":
        return thing.items[0] if thing.items else ANYTHING
    return value


def named(reader: Reader, name: str, value: Value, state: State, node: ast.AST) -> None:
    """Look at what a name is given: numbers that can be foretold are no secret."""
    if is_secret(name):
        report_random(reader, name, value, state, node)


def is_secret(name: str) -> bool:
    """Return whether something is called as what must not be foretold."""
    lower = name.lower()
    return any(each in lower for each in _SECRET_NAMES)


def report_random(reader: Reader, name: str, value: Value, state: State, node: ast.AST) -> None:
    """Tell of numbers that can be foretold in the place of a secret."""
    taints = contexts.harmful("random", value, state, reader.kinds)
    if taints:
        reader.report("random", name, taints, node, "medium")


def attribute_set(
    reader: Reader, owner: Value, name: str, value: Value, state: State, node: ast.AST
) -> None:
    """Look at `owner.name = value`."""
    if is_secret(name):
        report_random(reader, name, value, state, node)


def item_set(
    reader: Reader, owner: Value, key: Value, value: Value, state: State, node: ast.Subscript
) -> None:
    """Look at `owner[key] = value`: sessions, headers."""
    text = known_text(key) or ""
    if isinstance(key, Text):
        text = "".join(part for part in key.parts if isinstance(part, str))
    for option in options(owner):
        kind = option.name if isinstance(option, External) else getattr(option, "type", "")
        if kind in _SESSIONS or (isinstance(kind, str) and kind.endswith(".session")):
            for each in (key, value):
                taints = contexts.harmful("session", each, state, reader.kinds)
                if taints:
                    reader.report("session", kind, taints, node, "medium")
        if isinstance(kind, str) and kind.endswith(".headers"):
            _header(reader, text, value, state, node)
    place = ast.unparse(node.value)[:60]
    if is_secret(text) or is_secret(place):
        report_random(reader, place, value, state, node)


_SESSIONS = frozenset(
    ("flask.session", "quart.session", "django.session", "bottle.session", "request.session")
)


def _header(reader: Reader, name: str, value: Value, state: State, node: ast.AST) -> None:
    weakness = "redirect" if name.lower() == "location" else "header"
    taints = contexts.harmful(weakness, value, state, reader.kinds)
    if taints:
        confidence = "high" if weakness == "redirect" else "low"
        reader.report(weakness, f"headers[{name!r}]", taints, node, confidence)


def deleted(owner: Value, key: Value, state: State) -> None:
    """Take an item out of a container."""
    for option in options(owner):
        thing = state.things.get(option.number) if isinstance(option, Ref) else None
        name = known_key(key)
        if isinstance(thing, Mapping) and name is not None and isinstance(option, Ref):
            left = {each: value for each, value in thing.known.items() if each != name}
            state.things[option.number] = replace(thing, known=left)
        elif isinstance(thing, Sequence) and isinstance(option, Ref) and thing.items is not None:
            number = key.value if isinstance(key, Const) else None
            items = list(thing.items)
            if isinstance(number, int) and -len(items) <= number < len(items):
                del items[number]
                state.things[option.number] = replace(thing, items=tuple(items))


def returned(reader: Reader, value: Value, state: State, node: ast.AST) -> None:
    """Look at what a function returns: what its name says, it is."""
    if is_secret(reader.frame.name):
        report_random(reader, f"{reader.frame.name}()", value, state, node)


def first_of(value: Value) -> Value:
    """Return the first of several values that are returned together."""
    return value.items[0] if isinstance(value, Tup) and value.items else value
