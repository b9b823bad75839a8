"""What a function of this platform uses through its context: tables, buckets, secrets, ..."""

from __future__ import annotations

import ast

from casemate.audit.privileges.needs import EVERY
from casemate.audit.privileges.reader import Arguments, Reader
from casemate.audit.privileges.values import (
    DATA,
    HOLE,
    NONE,
    Capability,
    Context,
    Method,
    Values,
    texts,
)

METHODS: dict[str, dict[str, tuple[str, ...]]] = {
    "bucket": {
        "get": ("read",),
        "head": ("read",),
        "exists": ("read",),
        "open": ("read",),
        "put": ("write",),
        "create": ("write",),
        "delete": ("delete",),
        "list": ("list",),
    },
    "table": {
        "get": ("get",),
        "put": ("put",),
        "delete": ("delete",),
        "query": ("query",),
    },
    "queue": {"send": ("send",)},
    "topic": {"publish": ("publish",)},
}
"""By the kind of a capability: which actions its methods use."""
_DIRECT = {
    "secret": ("secret", "read"),
    "secret_bytes": ("secret", "read"),
    "invoke": ("function", "invoke"),
}


def attribute(reader: Reader, each: Context | Capability, name: str, node: ast.AST) -> Values:
    """Return an attribute of the context or of what it gave."""
    used = isinstance(each, Context) and (name in METHODS or name in _DIRECT)
    if used or (isinstance(each, Capability) and name in METHODS[each.of]):
        return frozenset((Method(each, name),))
    return DATA


def called(
    reader: Reader,
    each: Context | Capability,
    name: str,
    given: Arguments,
    node: ast.AST,
) -> Values:
    """Read a call of a method of these."""
    if isinstance(each, Capability):
        for action in METHODS[each.of].get(name, ()):
            reader.recorder.need(f"{each.of}:{action}", each.name, reader.place(node))
        return DATA
    names = texts(given.get(0, "name", "function") or NONE) or [HOLE]
    if name in METHODS:
        return frozenset(Capability(name, found) for found in names)
    kind, action = _DIRECT[name]
    for found in names:
        reader.recorder.need(f"{kind}:{action}", found, reader.place(node))
    return DATA


def escaped(reader: Reader, each: Context | Capability, node: ast.AST) -> None:
    """Tell that the context, or a part of it, came to code that is not read."""
    if isinstance(each, Capability):
        reader.open(each.of, node, f"a {each.of} is passed to code that is not read")
    else:
        reader.open(EVERY, node, "the context is passed to code that is not read")
