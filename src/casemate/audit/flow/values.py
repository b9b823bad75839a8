"""What a name may stand for while code is read: known values, texts with holes, objects, functions.

All are immutable. What the code can change is an object of a `State`, and a `Ref` names it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from casemate.audit.flow.limits import MAX_ALTERNATIVES, MAX_PARTS, MAX_TAINTS, MAX_TEXT, MAX_TRAIL
from casemate.audit.flow.results import Step

EVERY = "*"
"""Among the sinks that data is safe for: all of them."""


@dataclass(frozen=True, slots=True)
class Trail:
    """The steps of data so far, the last first."""

    step: Step
    before: Trail | None
    length: int


@dataclass(frozen=True, slots=True)
class Taint:
    """That a value comes from outside, and what is known of it since."""

    source: int
    """Which of the analysis' sources."""
    forms: tuple[int, ...]
    """What it went through, as numbers: the last one first, as long as only parts were taken."""
    without: frozenset[str] = frozenset()
    """Characters that cannot be in it."""
    safe: frozenset[str] = frozenset()
    """Sinks that it cannot harm any more."""
    seen: tuple[str, ...] = ()
    """Sanitizers on the way."""
    doubt: bool = False
    """True if it went through a call that is not known."""
    trail: Trail | None = field(default=None, compare=False)

    def stepping(self, step: Step) -> Taint:
        """Return it one step further."""
        trail = self.trail
        if trail is not None and (trail.step == step or trail.length >= MAX_TRAIL):
            return self
        longer = Trail(step, trail, trail.length + 1 if trail else 1)
        # By hand: `replace` takes three times as long, and this is what is done most.
        return Taint(
            self.source, self.forms, self.without, self.safe, self.seen, self.doubt, longer
        )

    def doubted(self) -> Taint:
        """Return it after a call that is not known."""
        if self.doubt:
            return self
        return Taint(self.source, self.forms, self.without, self.safe, self.seen, True, self.trail)

    def formed(self, forms: tuple[int, ...], without: frozenset[str]) -> Taint:
        """Return it in another form."""
        return Taint(self.source, forms, without, self.safe, self.seen, self.doubt, self.trail)


Taints: TypeAlias = frozenset[Taint]
CLEAN: Taints = frozenset()


@dataclass(frozen=True, slots=True)
class Const:
    """A value that is known: a text, bytes, a number, a truth value, None, or `...`."""

    value: object
    kind: str

    def __init__(self, value: object) -> None:
        """Know a value; `1` is not `True` here."""
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "kind", type(value).__name__)


@dataclass(frozen=True, slots=True)
class Text:
    """A text of which parts are known: strings, and holes with the data in them."""

    parts: tuple[str | Taints, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Anything. What is known is where it came from, and how it was got."""

    taints: Taints = CLEAN
    type: str = ""
    """Dotted, from outside: `sqlite3.connect().cursor()`; or `int`, `str`, `bytes`."""
    path: str = ""
    """As long as it is a part of outside data itself, which one."""


@dataclass(frozen=True, slots=True)
class Tup:
    """A tuple."""

    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Ref:
    """An object of the state."""

    number: int


@dataclass(frozen=True, slots=True)
class Func:
    """A function of the analysed code."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    module: str
    scope: int
    """The scope in which it was made."""
    name: str
    defaults: tuple[Value, ...] = ()
    keyword_defaults: tuple[Value | None, ...] = ()
    kind: str = ""
    """`static`, `class`, `property`, or nothing."""
    owner: int = 0
    """The class it is a method of."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A method with its object, or a function with its first arguments."""

    function: Value
    arguments: tuple[Value, ...]
    named: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a value that no analysed code has made."""

    receiver: Value
    name: str


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the analysed files."""

    name: str


@dataclass(frozen=True, slots=True)
class External:
    """A name of a library: `os.path.join`."""

    name: str


@dataclass(frozen=True, slots=True)
class Union:
    """One of several."""

    options: tuple[Value, ...]


Value: TypeAlias = (
    Const | Text | Unknown | Tup | Ref | Func | Bound | Method | Module | External | Union
)

NONE = Const(None)
TRUE, FALSE = Const(True), Const(False)
ANYTHING = Unknown()
ANY_TEXT = Text((CLEAN,))
ANY_NUMBER = Unknown(CLEAN, "int")
ANY_BOOL = Union((TRUE, FALSE))


def options(value: Value) -> tuple[Value, ...]:
    """Return what a value may be, one by one."""
    return value.options if isinstance(value, Union) else (value,)


def few(taints: Iterable[Taint]) -> Taints:
    """Return taints, as many as are kept."""
    found = frozenset(taints)
    if len(found) <= MAX_TAINTS:
        return found
    ordered = sorted(found, key=lambda taint: (len(taint.safe), len(taint.without), taint.source))
    return frozenset(ordered[:MAX_TAINTS])


def join(*values: Value) -> Value:
    """Return a value that may be any of those given."""
    if len(values) == 1:
        return values[0]
    found: dict[Value, None] = {}
    for value in values:
        for option in options(value):
            found.setdefault(option)
    if not found:
        return ANYTHING
    if len(found) == 1:
        return next(iter(found))
    if len(found) > MAX_ALTERNATIVES:
        found = dict.fromkeys(_merged(found))
        if len(found) == 1:
            return next(iter(found))
    return Union(tuple(found))


def _merged(found: Iterable[Value]) -> Iterator[Value]:
    """Put together what is alike, so that few are left."""
    taints: set[Taint] = set()
    texts = others = False
    kept: list[Value] = []
    for value in found:
        if isinstance(value, (Text, Const)):
            taints |= shallow(value)
            texts = texts or isinstance(value, Text) or isinstance(value.value, str)
            others = True
        elif isinstance(value, Unknown) and not value.path:
            taints |= value.taints
            others = True
        else:
            kept.append(value)
    if others or texts:
        yield Text((few(taints),)) if texts else Unknown(few(taints))
    yield from kept[:MAX_ALTERNATIVES]


def shallow(value: Value) -> Taints:
    """Return where a value comes from, without what objects hold."""
    if isinstance(value, Text):
        holes = [part for part in value.parts if not isinstance(part, str)]
        return holes[0] if len(holes) == 1 else few(t for hole in holes for t in hole)
    if isinstance(value, Unknown):
        return value.taints
    if isinstance(value, Tup):
        return few(taint for item in value.items for taint in shallow(item))
    if isinstance(value, Union):
        return few(taint for option in value.options for taint in shallow(option))
    if isinstance(value, Method):
        return shallow(value.receiver)
    if isinstance(value, Bound):
        return few(taint for item in value.arguments for taint in shallow(item))
    return CLEAN


def text_of(parts: Iterable[str | Taints]) -> Value:
    """Return the text of parts that follow one another: known ones together, and not too many."""
    out: list[str | Taints] = []
    size = 0
    for part in parts:
        if isinstance(part, str):
            if not part:
                continue
            size += len(part)
            if out and isinstance(out[-1], str):
                out[-1] += part
                continue
        elif out and out[-1] == part:
            continue
        out.append(part)
    if len(out) > MAX_PARTS or size > MAX_TEXT:
        return Text((few(t for part in out if not isinstance(part, str) for t in part),))
    if not out:
        return Const("")
    if len(out) == 1 and isinstance(out[0], str):
        return Const(out[0])
    return Text(tuple(out))


def known_text(value: Value) -> str | None:
    """Return a text that is known."""
    if isinstance(value, Const) and isinstance(value.value, str):
        return value.value
    return None


def truth(value: Value) -> bool | None:
    """Return whether a value counts as true, or None if it may be either."""
    if isinstance(value, Const):
        return bool(value.value)
    if isinstance(value, Tup):
        return bool(value.items)
    if isinstance(value, Text):
        return True if any(isinstance(part, str) and part for part in value.parts) else None
    if isinstance(value, (Func, Bound, Module, Method)):
        return True
    if isinstance(value, Union):
        found = {truth(option) for option in value.options}
        return found.pop() if len(found) == 1 else None
    return None


def with_taints(value: Value, change: dict[Taint, Taint]) -> Value:
    """Return a value with other taints in the place of its own."""
    if isinstance(value, Text):
        return Text(
            tuple(
                part if isinstance(part, str) else frozenset(change.get(t, t) for t in part)
                for part in value.parts
            )
        )
    if isinstance(value, Unknown):
        taints = frozenset(change.get(taint, taint) for taint in value.taints)
        return Unknown(taints, value.type, value.path)
    if isinstance(value, Tup):
        return Tup(tuple(with_taints(item, change) for item in value.items))
    if isinstance(value, Union):
        return join(*(with_taints(option, change) for option in value.options))
    return value
