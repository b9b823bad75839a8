"""What one field of a schema lets through: of Joi, Yup and Zod, and of JSON Schema (Ajv, Fastify).

A field holds data to a text (nothing), to texts without some characters (`w` and their codes), or
to what is no danger anywhere (`p`): a number, one of some texts that the code has.
"""

from __future__ import annotations

from collections.abc import Iterator

from casemate.audit.flow import characters, texts
from casemate.audit.flow.state import Instance, Mapping, Sequence, State
from casemate.audit.flow.values import ANYTHING, CLEAN, EVERY, Const, Unknown, Value
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.values import name_of, thing_of

PACKAGES = ("joi", "@hapi/joi", "zod", "yup", "zod/v4", "zod/v3", "@hono/zod-openapi")
FIELD, JSON = "field()", "json-schema()"
INVALID, VALID = "=invalid:", "=valid:"
"""The types of what tells that data does not fit, or does: behind it what is known then."""
_TEXTUAL = frozenset(("string", "date", "email", "url", "uuid", "iso", "cuid", "ulid", "nanoid"))
_PLAIN = frozenset(("number", "boolean", "bool", "bigint", "int", "enum", "nativeEnum", "literal"))
_COERCED = frozenset(("number", "boolean", "bigint", "date"))
OTHER = frozenset(
    ("or", "and", "when", "transform", "preprocess", "pipe", "catch", "alternatives", "coerce")
)
"""What may let something else through, or make it."""
_CHOOSING = frozenset(("valid", "oneOf", "equal"))
_MATCHING = frozenset(("regex", "pattern", "matches"))
_NO_OBJECT = frozenset(("nosql", "attributes"))
_ALL = frozenset((EVERY,))
_LONGEST = 180
"""A longer chain is not told whole."""
_MAX_FIELDS = 200
_DEEPEST = 4
_JSON_PLAIN = frozenset(("integer", "number", "boolean", "null"))
_FORMATS = frozenset(("uuid", "date", "time", "ipv4", "date-time"))


def limited(reader: Reader, method: str, given: list[Value], state: State) -> Value | None:
    """Return a field that lets some texts through, or those of an expression; None for others."""
    if method in _CHOOSING and given:
        first = thing_of(given[0], state)
        items = first.items if isinstance(first, Sequence) else tuple(given)
        if items and all(isinstance(each, Const) for each in items):
            return _field(reader, "p", state)
    if method in _MATCHING and given:
        thing = thing_of(given[0], state)
        source = thing.attributes.get("=source") if isinstance(thing, Instance) else None
        flags = thing.attributes.get("=flags") if isinstance(thing, Instance) else None
        text = source.value if isinstance(source, Const) else None
        if isinstance(text, str) and "m" not in str(getattr(flags, "value", "")):
            return _matching(reader, text, state)
    return None


def _matching(reader: Reader, pattern: str, state: State) -> Value | None:
    kept = _without(pattern)
    return _field(reader, kept, state) if kept else None


def _without(pattern: str) -> str:
    """Return what an expression that is bound at both ends lets no text have."""
    found = characters.by_expression(pattern, whole=False) if pattern.startswith("^") else ()
    return "w" + "-".join(_code(each) for each in sorted(found)) if found else ""


def _code(text: str) -> str:
    return ".".join(f"{ord(sign):x}" for sign in text)


def _field(reader: Reader, kept: str, state: State) -> Value:
    return reader.new(Instance(0, {"=held": Const(kept)}, FIELD), state)


def held(field: Value, state: State) -> str | None:
    """Return what a field holds data to; None if it may be anything."""
    thing = thing_of(field, state)
    if isinstance(thing, Instance) and thing.type == FIELD:
        kept = thing.attributes["=held"]
        return str(kept.value) if isinstance(kept, Const) else None
    return held_to(name_of(field, state))


def held_to(name: str) -> str | None:
    """Return what the chain of a field lets through: a text, or only what is plain."""
    package = next((each for each in PACKAGES if name.startswith(f"{each}.")), None)
    if package is None or len(name) > _LONGEST:
        return None
    parts = [each.removesuffix("()") for each in name[len(package) + 1 :].split(".")]
    parts = parts[1:] if parts[:1] in (["z"], ["default"], ["Joi"]) else parts
    if parts[:1] == ["coerce"] and len(parts) > 1 and parts[1] in _COERCED:
        return "p" if not OTHER & set(parts[1:]) else None
    if not parts or OTHER & set(parts) or "array" in parts:
        return None
    if parts[0] in _PLAIN or "uuid" in parts or "guid" in parts:
        return "p"
    return "" if parts[0] in _TEXTUAL else None


def outcome(reader: Reader, method: str, data: Value, kept: str, state: State) -> Value:
    """Return what a check gives: the data, or an object that tells whether it fits."""
    if method not in ("validate", "safeParse", "safeParseAsync", "spa"):
        return data
    told: dict[object, Value] = {
        "error": Unknown(CLEAN, f"{INVALID}{kept}"),
        "value": data,
        "data": data,
        "success": Unknown(CLEAN, f"{VALID}{kept}"),
    }
    return reader.new(Mapping(told), state)


def learn(each: str, state: State) -> None:
    """Know of data in one form what a field has held it to."""
    number, _, codes = each.removesuffix("p").partition("w")
    without = frozenset(
        "".join(chr(int(sign, 16)) for sign in text.split("."))
        for text in (codes.split("-") if codes else ())
    )
    state.learn(int(number), without, _ALL if each.endswith("p") else _NO_OBJECT)


# -- JSON Schema -----------------------------------------------------------------------------------


def compiled(reader: Reader, name: str, given: list[Value], state: State) -> Value | None:
    """Return a validator that Ajv makes of a schema; None if the call makes none."""
    made = name.startswith("ajv") and name.endswith(".compile")
    if not made or not given or not isinstance(thing_of(given[0], state), Mapping):
        return None
    return reader.new(Instance(0, {"=schema": given[0]}, JSON), state)


def validated(reader: Reader, function: Value, given: list[Value], state: State) -> Value:
    """Return what a validator tells of data: whether it fits, and what is known then."""
    thing, data = thing_of(function, state), given[0] if given else ANYTHING
    reader.schemas += 1
    known = []
    if isinstance(thing, Instance) and isinstance(data, Unknown) and data.path:
        for path, kept in parts_of(thing.attributes["=schema"], state):
            for kind in sorted({reader.kinds[taint.source] for taint in data.taints}):
                known.append(f"{texts.form_of(kind, data.path + path)}{kept}")
    return Unknown(CLEAN, VALID + ",".join(known))


_OF_REQUEST = {
    "body": "req.body",
    "querystring": "req.query",
    "query": "req.query",
    "params": "req.params",
    "headers": "req.headers",
}


def of_route(name: str, given: list[Value], state: State) -> frozenset[tuple[str, str]]:
    """Return what the schema of a route of Fastify holds parts of a request to."""
    options = thing_of(given[1], state) if name.startswith("fastify") and len(given) > 1 else None
    if not isinstance(options, Mapping):
        return frozenset()
    schema = thing_of(options.known.get("schema", ANYTHING), state)
    if not isinstance(schema, Mapping):
        return frozenset()
    return frozenset(
        (begin + path, kept)
        for part, begin in _OF_REQUEST.items()
        for path, kept in parts_of(schema.known.get(part, ANYTHING), state)
    )


def parts_of(
    schema: Value, state: State, path: str = "", depth: int = 0
) -> Iterator[tuple[str, str]]:
    """Yield the paths that a JSON Schema holds to something, and to what."""
    thing = thing_of(schema, state)
    if not isinstance(thing, Mapping) or depth > _DEEPEST:
        return
    inner = thing_of(thing.known.get("properties", ANYTHING), state)
    if isinstance(inner, Mapping):
        for name, each in list(inner.known.items())[:_MAX_FIELDS]:
            yield from parts_of(each, state, f"{path}.{name}", depth + 1)
        return
    kept = _json_held(thing, state)
    if kept is not None and path:
        yield path, kept


def _json_held(thing: Mapping, state: State) -> str | None:
    if isinstance(thing_of(thing.known.get("enum", ANYTHING), state), Sequence):
        return "p"
    if isinstance(thing.known.get("const"), Const):
        return "p"
    kind, pattern = _text(thing, "type"), _text(thing, "pattern")
    if kind in _JSON_PLAIN or (kind == "string" and _text(thing, "format") in _FORMATS):
        return "p"
    if kind != "string":
        return None
    return _without(pattern) if pattern else ""


def _text(thing: Mapping, name: str) -> str:
    found = thing.known.get(name)
    return str(found.value) if isinstance(found, Const) else ""
