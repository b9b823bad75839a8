"""Schemas of Joi, Yup and Zod: which parts of data they leave as texts and numbers.

A schema is the object of its fields. What checks by it either throws, so that what comes after it
knows of the data, or gives an error that is asked for: then each way of that question knows.
"""

from __future__ import annotations

from collections.abc import Iterator

from casemate.audit.flow import texts
from casemate.audit.flow.state import Instance, Mapping, State
from casemate.audit.flow.values import (
    ANYTHING,
    CLEAN,
    EVERY,
    Const,
    Unknown,
    Value,
    options,
)
from casemate.audit.javascript import fields
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import thing_of

_SCHEMA = "schema()"
_MAKING = frozenset(("object", "strictObject", "looseObject", "interface", "compile"))
_THROWING = frozenset(
    ("parse", "parseAsync", "validateAsync", "validateSync", "cast", "attempt", "assert")
)
_TELLING = frozenset(("validate", "safeParse", "safeParseAsync", "spa"))
_REMADE = frozenset(("fork", "partial", "deepPartial", "pick", "omit", "extend", "merge", "keys"))
_FOUND = "=found:"
"""The type of what tells at which place of a list something was found that is like data: behind
it the forms that are known then."""
_VALIDATOR = "@hono.validator()"
_VALIDATORS = ("@hono/zod-validator.zValidator", "@hono/standard-validator.sValidator")
_DESCRIBING = "@hono/zod-openapi.createRoute"
_TARGETS = {"params": "param", "query": "query", "headers": "header", "cookies": "cookie"}
_MAX_FIELDS = 200
_DEEPEST = 4


def used(
    reader: Reader, name: str, receiver: Value | None, given: list[Value], state: State, node: Node
) -> Value | None:
    """Return what a call on a schema gives; None if it is no schema, or its fields are unknown."""
    if name in _VALIDATORS:
        made = {f"={number}": each for number, each in enumerate(given[:2])}
        return reader.new(Instance(0, made, _VALIDATOR), state)
    if name == _DESCRIBING and given:
        return given[0]
    begins = ((each, (f"{each}.", f"{each}()")) for each in fields.PACKAGES)
    package = next((each for each, begin in begins if name.startswith(begin)), None)
    method = name.rpartition(".")[2]
    thing = thing_of(receiver, state) if receiver is not None else None
    if isinstance(thing, Instance) and thing.type == fields.FIELD:
        return ANYTHING if method in fields.OTHER else receiver
    if isinstance(thing, Instance) and thing.type == _SCHEMA:
        if method in _THROWING | _TELLING and given:
            return _checked(reader, thing, method, given[0], state, node)
        return receiver if method not in fields.OTHER | _REMADE else ANYTHING
    if package is None:
        return fields.compiled(reader, name, given, state)
    limited = fields.limited(reader, method, given, state)
    if limited is not None:
        return limited
    if method in _THROWING | _TELLING and given and fields.held_to(name.rpartition(".")[0]) == "p":
        return fields.outcome(reader, method, Unknown(CLEAN, "int"), "", state)
    if method in ("assert", "attempt") and len(given) > 1:
        schema = thing_of(given[1], state)
        if isinstance(schema, Instance) and schema.type == _SCHEMA:
            return _checked(reader, schema, method, given[0], state, node)
    if method in _MAKING and given and isinstance(thing_of(given[0], state), Mapping):
        attributes = {"=fields": given[0], "=of": Const(package)}
        return reader.new(Instance(0, attributes, _SCHEMA), state)
    return None


def _checked(
    reader: Reader, schema: Instance, method: str, data: Value, state: State, node: Node
) -> Value:
    reader.schemas += 1
    known = list(_known_of(schema, data, state, reader))
    kept = _written(known)
    if method in _THROWING or (method == "validate" and schema.attributes["=of"] == Const("yup")):
        learn(kept, state)
        return data
    return fields.outcome(reader, method, data, kept, state)


def _known_of(
    schema: Instance, data: Value, state: State, reader: Reader
) -> Iterator[tuple[int, str]]:
    """Yield what a schema knows of data, or of each part of an object that the code made."""
    if isinstance(data, Unknown):
        yield from _known(schema, data, state, reader)
        return
    parts, thing = thing_of(schema.attributes["=fields"], state), thing_of(data, state)
    if not isinstance(parts, Mapping) or not isinstance(thing, Mapping):
        return
    for name, value in list(thing.known.items())[:_MAX_FIELDS]:
        field = parts.known.get(name, ANYTHING)
        inner = thing_of(field, state)
        if not isinstance(value, Unknown):
            continue
        if isinstance(inner, Instance) and inner.type == _SCHEMA:
            yield from _known(inner, value, state, reader)
        elif value.path:
            yield from _held(field, value, value.path, state, reader)


def _known(
    schema: Instance, data: Unknown, state: State, reader: Reader
) -> Iterator[tuple[int, str]]:
    """Yield the forms of the parts that a schema holds to a text, and whether to less than that."""
    for at, field in _paths(schema, state) if data.path else ():
        yield from _held(field, data, f"{data.path}{at}", state, reader)


def _paths(
    schema: Instance, state: State, path: str = "", depth: int = 0
) -> Iterator[tuple[str, Value]]:
    """Yield the fields of a schema and of those within it, by where they stand."""
    parts = thing_of(schema.attributes["=fields"], state)
    if not isinstance(parts, Mapping):
        return
    for name, value in list(parts.known.items())[:_MAX_FIELDS]:
        inner = thing_of(value, state)
        at = f"{path}.{name}"
        if isinstance(inner, Instance) and inner.type == _SCHEMA and depth < _DEEPEST:
            yield from _paths(inner, state, at, depth + 1)
        yield at, value


def _held(
    field: Value, data: Unknown, path: str, state: State, reader: Reader
) -> Iterator[tuple[int, str]]:
    """Yield the forms of what is at a path, if its field of a schema holds it to a text."""
    kept = _kept(field, state)
    for kind in sorted({reader.kinds[taint.source] for taint in data.taints}):
        if kept is not None:
            yield texts.form_of(kind, path), kept


def _kept(field: Value, state: State) -> str | None:
    held = {fields.held(option, state) for option in options(field)}
    if None in held or not held:
        return None
    return (held.pop() if len(held) == 1 else "") or ""


def of_route(given: list[Value], state: State) -> Iterator[tuple[str, str]]:
    """Yield what validators of Hono hold parts of a request to, by what `c.req.valid` gives."""
    for each in given:
        thing = thing_of(each, state)
        if isinstance(thing, Instance) and thing.type == _VALIDATOR:
            target, schema = thing.attributes.get("=0"), thing.attributes.get("=1", ANYTHING)
            found = [(target.value, schema)] if isinstance(target, Const) else []
        else:
            found = list(_described(thing, state))
        for name, schema in found:
            inner = thing_of(schema, state)
            if isinstance(inner, Instance) and inner.type == _SCHEMA:
                for at, field in _paths(inner, state):
                    kept = _kept(field, state)
                    if kept is not None:
                        yield f"ctx.req.valid.{name}{at}", kept


def _described(route: object, state: State) -> Iterator[tuple[object, Value]]:
    """Yield the schemas of a route that `createRoute` of `@hono/zod-openapi` describes."""
    request = _inner(route, "request", state)
    for part, name in _TARGETS.items():
        if isinstance(request, Mapping) and part in request.known:
            yield name, request.known[part]
    content = _inner(_inner(request, "body", state), "content", state)
    for kind, each in content.known.items() if isinstance(content, Mapping) else ():
        body = thing_of(each, state)
        if isinstance(body, Mapping) and "schema" in body.known:
            yield "json" if "json" in str(kind) else "form", body.known["schema"]


def _inner(thing: object, name: str, state: State) -> object:
    return thing_of(thing.known.get(name, ANYTHING), state) if isinstance(thing, Mapping) else None


def _written(known: list[tuple[int, str]]) -> str:
    return ",".join(f"{form}{kept}" for form, kept in known)


def learn(kept: str, state: State) -> None:
    """Know of data what a schema has held it to."""
    for each in kept.split(",") if kept else ():
        fields.learn(each, state)


def place_of(yes: State | None, state: State) -> Value:
    """Return what `list.findIndex(f)` gives, by what is known where `f` holds."""
    gained = [
        form
        for form, (_, safe) in (yes.facts.items() if yes is not None else ())
        if EVERY in safe and EVERY not in state.facts.get(form, _NOTHING)[1]
    ]
    if not gained:
        return Unknown(CLEAN, "int")
    return Unknown(CLEAN, _FOUND + _written([(form, "p") for form in sorted(gained)]))


_NOTHING: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())


def found(value: Value, state: State) -> None:
    """Know that a place of a list is not -1: something was found."""
    if isinstance(value, Unknown) and value.type.startswith(_FOUND):
        learn(value.type.removeprefix(_FOUND), state)


def told(value: Value, state: State, *, holds: bool) -> None:
    """Know what it means that a condition on the outcome of a check holds, or does not."""
    if isinstance(value, Unknown):
        if value.type.startswith(fields.INVALID) and not holds:
            learn(value.type.removeprefix(fields.INVALID), state)
        elif value.type.startswith(fields.VALID) and holds:
            learn(value.type.removeprefix(fields.VALID), state)
