"""What functions before a route set on its request for those after them: `req.tenant = ...`."""

from __future__ import annotations

from collections.abc import Iterator

from casemate.audit.flow.state import Mapping, State
from casemate.audit.flow.values import CLEAN, Ref, Unknown, Value, join, options, shallow
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.values import CLASS, UNDEFINED, key_of, thing_of

KEPT = "=kept"
"""The type of what requests have for their functions to set: `res.locals`, `ctx.state`."""
_OWNERS = frozenset((KEPT, "=express", "=koa", "=hono"))
_MAX = 200
_DEEPEST = 3


def put(reader: Reader, owner: Unknown, name: str | None, value: Value, state: State) -> None:
    """Keep what is set on a request, of which it is certain that it comes from outside."""
    if owner.type not in _OWNERS or name is None:
        return
    for path, each in _parts(f"{owner.path}.{name}", value, state, _Left()):
        sure = frozenset(taint for taint in state.deep(each) if not taint.doubt)
        known = state.baked(each) if sure == shallow(each) else Unknown(sure)
        if sure and len(reader.carried) < _MAX:
            before = reader.carried.get(path)
            reader.carried[path] = known if before is None else join(before, known)


class _Left:
    """How many parts of one value are still looked at: objects in objects make a power of them."""

    def __init__(self) -> None:
        self.parts = _MAX


def _parts(
    path: str, value: Value, state: State, left: _Left, depth: int = 0
) -> Iterator[tuple[str, Value]]:
    for option in options(value):
        left.parts -= 1
        if left.parts < 0:
            return
        thing = thing_of(option, state)
        if isinstance(thing, Mapping) and thing.type != "function" and depth < _DEEPEST:
            for key, each in list(thing.known.items())[:_MAX]:
                if key != CLASS:
                    yield from _parts(f"{path}.{key}", each, state, left, depth + 1)
        elif not isinstance(option, Ref) or thing is not None:
            yield path, option


def get(reader: Reader, owner: Unknown, name: str) -> Value:
    """Return what a request has under a name that its sender does not choose."""
    path = f"{owner.path}.{name}"
    inner = [each for each in reader.carried if each.startswith(f"{path}.")]
    found = reader.carried.get(path)
    if inner:
        whole = Unknown(frozenset(t for e in inner for t in shallow(reader.carried[e])), KEPT, path)
        return whole if found is None else join(found, whole)
    return found if found is not None else Unknown()


def of_context(
    reader: Reader, owner: Unknown, name: str, given: list[Value], state: State
) -> Value | None:
    """Return what `c.get(name)` and `c.set(name, value)` of Hono give; None for all else."""
    if owner.type != "=hono" or owner.path.endswith((".req", ".raw")) or name not in ("get", "set"):
        return None
    key = key_of(given[0]) if given else None
    kept = Unknown(CLEAN, KEPT, f"{owner.path}.var")
    if name == "set":
        put(reader, kept, key, given[1] if len(given) > 1 else UNDEFINED, state)
        return UNDEFINED
    return get(reader, kept, key) if key is not None else Unknown()
