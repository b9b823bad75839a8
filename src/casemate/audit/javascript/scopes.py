"""Names: declared in a scope, looked up through those around it."""

from __future__ import annotations

from casemate.audit.flow.state import Scope, State
from casemate.audit.flow.values import ANYTHING, External, Value
from casemate.audit.javascript.reader import Reader

_MAX_AROUND = 200


def declare(scope: int, name: str, value: Value, state: State) -> None:
    """Let a name of a scope stand for a value."""
    thing = state.things.get(scope)
    if isinstance(thing, Scope):
        state.things[scope] = Scope({**thing.names, name: value}, thing.parent)
        if state.tests:
            state.stored(scope, name)


def find(name: str, scope: int, state: State) -> tuple[int, Value] | None:
    """Return in which scope a name is, and what it stands for."""
    for _ in range(_MAX_AROUND):
        thing = state.things.get(scope)
        if not isinstance(thing, Scope):
            return None
        value = thing.names.get(name)
        if value is not None:
            return scope, value
        scope = thing.parent
    return None


def load(reader: Reader, name: str, state: State) -> Value:
    """Return what a name stands for where the reader is; what is no name here is a global's."""
    found = find(name, reader.frame.scope, state)
    if found is None:
        return External(name)
    if reader.late and (found[1] == ANYTHING or (found[0], name) in reader.late):
        late = reader.imported_late(found[0], name, state)
        if late is not None:
            return late
    return found[1]


def store(reader: Reader, name: str, value: Value, state: State) -> None:
    """Give a name another value, in the scope that it is of."""
    found = find(name, reader.frame.scope, state)
    declare(found[0] if found is not None else reader.frame.scope, name, value, state)
