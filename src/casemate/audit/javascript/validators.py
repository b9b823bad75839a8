"""Chains of `express-validator`: which parts of a request a route has made texts of.

What cleans (`trim`, `escape`, ...) puts a text in the place of whatever was sent; what only looks
(`isEmail`, `matches`, ...) holds if something of the route asks for its result.
"""

from __future__ import annotations

from collections.abc import Iterator

from casemate.audit.flow.state import Instance, Sequence, State
from casemate.audit.flow.values import Const, Value, options
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.values import UNDEFINED, thing_of

_PACKAGES = ("express-validator", "express-validator/check")
_CHAIN = "express-validator.chain()"
_PARTS = {
    "body": ("body",),
    "query": ("query",),
    "param": ("params",),
    "cookie": ("cookies",),
    "check": ("body", "query", "params", "cookies"),
}
_CLEANING = frozenset(
    (
        *("trim", "ltrim", "rtrim", "escape", "unescape", "normalizeEmail", "toLowerCase"),
        *("toUpperCase", "toInt", "toFloat", "toBoolean", "toDate", "stripLow", "whitelist"),
        *("blacklist", "toString"),
    )
)
_LOOKING = frozenset(
    (
        *("isEmail", "isString", "isInt", "isFloat", "isNumeric", "isDecimal", "isAlpha", "isUUID"),
        *("isAlphanumeric", "isMongoId", "isHexadecimal", "isURL", "isIP", "isISO8601", "isDate"),
        *("matches", "isMobilePhone", "isPostalCode", "isJWT", "isSlug", "isStrongPassword"),
        *("isBoolean", "isHash", "isBase64", "isCreditCard", "isCurrency"),
    )
)
_MAX_SEARCHED = 200


def chained(
    reader: Reader, name: str, receiver: Value | None, given: list[Value], state: State
) -> Value | None:
    """Return a chain, begun or one longer; None if the call is of something else."""
    package, _, method = name.partition(".")
    if package not in _PACKAGES:
        return None
    thing = thing_of(receiver, state) if receiver is not None else None
    if isinstance(thing, Instance) and thing.type == _CHAIN:
        done = thing.attributes["=done"]
        before = done.value if isinstance(done, Const) else frozenset()
        attributes = {**thing.attributes, "=done": Const(before | {method.rpartition(".")[2]})}  # type: ignore[operator]
        return reader.new(Instance(0, attributes, _CHAIN), state)
    parts = _PARTS.get(method)
    if parts is None:
        return None
    fields = _fields(given[0] if given else UNDEFINED, state)
    paths = tuple(f"req.{part}.{field}" for part in parts for field in fields)
    made: dict[str, Value] = {"=paths": Const(paths), "=done": Const(frozenset())}
    return reader.new(Instance(0, made, _CHAIN), state)


def _fields(value: Value, state: State) -> list[str]:
    thing = thing_of(value, state)
    items = thing.items or () if isinstance(thing, Sequence) else (value,)
    return [e.value for e in items if isinstance(e, Const) and isinstance(e.value, str)]


def texts_of(reader: Reader, given: list[Value], state: State) -> frozenset[str]:
    """Return the paths of parts of the request that the chains of a route leave as texts only."""
    found = set[str]()
    asked = False
    looked = set[str]()
    for each in _inside(given, state):
        thing = thing_of(each, state)
        if isinstance(thing, Instance):
            paths, done = thing.attributes["=paths"], thing.attributes["=done"]
            if isinstance(paths, Const) and isinstance(done, Const):
                one, methods = paths.value, done.value
                found |= set(one) if methods & _CLEANING else set()  # type: ignore[operator,call-overload]
                looked |= set(one) if methods & _LOOKING else set()  # type: ignore[operator,call-overload]
            continue
        made = reader.functions.get(getattr(each, "number", 0))
        if made is not None and made.node is not None:
            asked = asked or any(node.text == "validationResult" for node in made.node.walk())
    return frozenset(found | looked) if asked else frozenset(found)


def _inside(given: list[Value], state: State) -> Iterator[Value]:
    """Yield the chains and functions among what a route is given, in lists too."""
    todo, count = list(given), 0
    while todo and count < _MAX_SEARCHED:
        count += 1
        for option in options(todo.pop(0)):
            thing = thing_of(option, state)
            if isinstance(thing, Sequence):
                todo += thing.items or ()
            elif not isinstance(thing, Instance) or thing.type == _CHAIN:
                yield option
