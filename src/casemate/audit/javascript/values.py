"""What is particular to JavaScript among values: functions, names of libraries, truth.

Values themselves are those of `flow.values`: objects are `Mapping`s of the state (functions and
classes too), arrays and sets `Sequence`s, what libraries make `Instance`s with their arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from casemate.audit.flow.state import Instance, Mapping, Sequence, State
from casemate.audit.flow.values import (
    CLEAN,
    Const,
    External,
    Method,
    Ref,
    Text,
    Union,
    Unknown,
    Value,
    truth,
)
from casemate.audit.flow.weaknesses import WEAKNESSES
from casemate.audit.javascript.syntax import Node

UNDEFINED = Const(None)
NEVER = Unknown(CLEAN, "=never")
"""What a function returns that always throws."""
CLASS = "=class"
"""Among the properties of an object: the class that it is of."""
PROTOTYPE = "prototype"
ALL_BUT_NAMES = frozenset(WEAKNESSES) - {"attributes"}
"""What a name cannot harm that is one of the names of an object, or of its prototype."""
REACHED = "=reached"
"""The type of what a key from outside chose: it may be a prototype."""
Native = Callable[[Any, list[Value], State, Node], Value]


@dataclass(slots=True)
class Function:
    """A function of the analysed code, or one that the reader itself gives to it."""

    node: Node | None
    file: str
    scope: int
    name: str = ""
    this: Value | None = None
    """Of an arrow function: that of where it was made."""
    arrow: bool = False
    owner: int = 0
    """The class it is a method of."""
    native: Native | None = None
    asynchronous: bool = False


def thing_of(value: Value, state: State) -> object:
    """Return the object that a value names, or None."""
    return state.things.get(value.number) if isinstance(value, Ref) else None


def name_of(value: Value, state: State) -> str:
    """Return the dotted name of something of a library; empty if it is none."""
    if isinstance(value, External):
        return value.name
    if isinstance(value, Unknown):
        return "" if value.type.startswith("=") else value.type
    if isinstance(value, Method):
        owner = name_of(value.receiver, state)
        return f"{owner}.{value.name}" if owner else ""
    if isinstance(value, Ref):
        thing = state.things.get(value.number)
        return thing.type if isinstance(thing, Instance) else ""
    return ""


def true_of(value: Value, state: State) -> bool | None:
    """Return whether a value counts as true, or None if it may be either."""
    if isinstance(value, Ref):
        return True
    if isinstance(value, Union):
        found = {true_of(option, state) for option in value.options}
        return found.pop() if len(found) == 1 else None
    if isinstance(value, External):
        return True if "." not in value.name and value.name in ("console", "process") else None
    if isinstance(value, (Text, Unknown)):
        return truth(value)
    return truth(value)


def is_array(value: Value, state: State) -> bool:
    """Return whether a value is an array of the analysed code."""
    return isinstance(thing_of(value, state), Sequence)


def is_object(value: Value, state: State) -> bool:
    """Return whether a value is an object of the analysed code."""
    return isinstance(thing_of(value, state), Mapping)


def key_of(value: Value) -> str | None:
    """Return a key that is known, as objects have it."""
    if not isinstance(value, Const):
        return None
    found = value.value
    if isinstance(found, bool):
        return "true" if found else "false"
    if found is None:
        return "undefined"
    if isinstance(found, float) and found.is_integer():
        return str(int(found))
    return str(found)
