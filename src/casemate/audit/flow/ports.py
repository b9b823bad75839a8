"""What the parts of the reader ask of one another, so that none imports all others."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from casemate.audit.flow.results import Entry, Place, Step
from casemate.audit.flow.state import State, Thing
from casemate.audit.flow.values import Func, Ref, Taint, Taints, Value


class SpentError(Exception):
    """The steps or the time of one entry are used up."""


@dataclass(slots=True)
class Arguments:
    """What a call is given."""

    places: list[Value] = field(default_factory=list)
    named: dict[str, Value] = field(default_factory=dict)
    rest: Value | None = None
    """What `*` or `**` may bring beside these."""

    def get(self, place: int, *names: str) -> Value | None:
        """Return an argument by its place or one of its names."""
        for name in names:
            if name in self.named:
                return self.named[name]
        if 0 <= place < len(self.places):
            return self.places[place]
        return self.rest

    def all(self) -> list[Value]:
        """Return all of them."""
        rest = [self.rest] if self.rest is not None else []
        return [*self.places, *self.named.values(), *rest]


@dataclass(slots=True)
class Frame:
    """One call that is being read."""

    module: str
    path: str
    scope: int
    name: str
    returns: list[tuple[State, Value]] = field(default_factory=list)
    raises: list[State] = field(default_factory=list)
    breaks: list[State] = field(default_factory=list)
    continues: list[State] = field(default_factory=list)
    yields: list[Value] = field(default_factory=list)
    globals: set[str] = field(default_factory=set)
    nonlocals: set[str] = field(default_factory=set)
    catching: int = 0
    """`try` statements around what is being read."""
    owner: int = 0
    """The class whose method this is."""
    first: Value | None = None
    """The object that the method was called on."""


@dataclass(slots=True)
class Pending:
    """An entry that was found while reading: a function that a framework calls."""

    function: Value
    entry: Entry
    pattern: str
    """Of the route, if it has one."""
    decorator: str = ""
    shown: bool = True
    """Whether a link or a form can make a browser ask for it, and show what comes."""
    html: bool = True
    """Whether a text that is returned is a page."""
    before: tuple[ast.Call, ...] = ()
    """What it depends on beside its parameters."""
    is_middleware: bool = False
    """Whether it runs before routes: what it sets on a request they have."""


class Reader(Protocol):
    """The whole of it, as its parts see it."""

    frame: Frame
    stack: list[ast.AST]
    """The functions that are being read, one called by the other."""
    entry: Entry | None
    route: Pending | None
    texts: set[str]
    """Paths of outside data that a framework has made texts or numbers of, of this entry."""
    narrow: dict[str, frozenset[str]]
    """Paths of outside data that a model has checked, and what cannot be in them."""
    kinds: list[str]
    """Of the sources, by their numbers."""
    scopes: dict[str, int]
    """Of the modules that have been read."""

    def evaluate(self, node: ast.expr, state: State) -> Value:
        """Return what an expression stands for."""
        ...

    def execute(self, body: Sequence[ast.stmt], state: State) -> State | None:
        """Read statements; None if nothing comes after them."""
        ...

    def call(self, function: Value, arguments: Arguments, state: State, node: ast.AST) -> Value:
        """Read a call."""
        ...

    def enter(self, function: Func, arguments: Arguments, state: State, node: ast.AST) -> Value:
        """Read the body of a function for a call of it."""
        ...

    def attribute(self, value: Value, name: str, state: State, node: ast.AST) -> Value:
        """Return an attribute."""
        ...

    def path_attribute(self, value: Ref, name: str, state: State) -> Value:
        """Return an attribute of a `pathlib` path."""
        ...

    def set_attribute(self, owner: Value, name: str, value: Value, state: State) -> None:
        """Set an attribute."""
        ...

    def item(self, value: Value, key: Value, state: State, node: ast.AST) -> Value:
        """Return an item."""
        ...

    def set_item(self, owner: Value, key: Value, value: Value, state: State, node: ast.AST) -> None:
        """Set an item."""
        ...

    def items(self, value: Value, state: State, node: ast.AST) -> tuple[list[Value] | None, Value]:
        """Return the items of what is looped over one by one if known, and what each may be."""
        ...

    def assign(self, target: ast.expr, value: Value, state: State) -> None:
        """Give a value to a target."""
        ...

    def decide(self, test: ast.expr, state: State) -> tuple[State | None, State | None]:
        """Return the states in which a condition holds, and in which it does not.

        The state that is given is used up.
        """
        ...

    def deciding_call(
        self, node: ast.Call, state: State
    ) -> tuple[State | None, State | None] | None:
        """Return the same for a call of a function of the code; None if it is no such call."""
        ...

    def patterns(self, view: str) -> list[str]:
        """Return the paths by which views of a name are called."""
        ...

    def alias(self, name: str) -> tuple[str, ast.expr] | None:
        """Return the type that a name stands for, and its module."""
        ...

    def scope_of(self, module: str) -> int:
        """Return the number of a module's names, once it was read."""
        ...

    def load(self, name: str, state: State, node: ast.AST) -> Value:
        """Return what a name stands for."""
        ...

    def store(self, name: str, value: Value, state: State) -> None:
        """Let a name stand for a value."""
        ...

    def module(self, name: str, state: State) -> Value:
        """Return a module, its code read once."""
        ...

    def new(self, thing: Thing, state: State) -> Ref:
        """Make an object."""
        ...

    def source(self, kind: str, what: str, node: ast.AST, path: str = "") -> Taint:
        """Return the mark of outside data."""
        ...

    def place(self, node: ast.AST) -> Place:
        """Return where something is."""
        ...

    def step(self, node: ast.AST, what: str) -> Step:
        """Return a step."""
        ...

    def spend(self, node: ast.AST) -> None:
        """Count a step; `SpentError` when none is left."""
        ...

    def looked(self, node: ast.AST, *, checked: bool) -> None:
        """Tell of a command line, and whether all in it is written out or was checked."""
        ...

    def unresolved(self, node: ast.AST, what: str) -> None:
        """Tell that something was not looked at."""
        ...

    def report(
        self,
        weakness: str,
        call: str,
        taints: Taints,
        node: ast.AST,
        confidence: str = "high",
    ) -> None:
        """Tell of a flow."""
        ...

    def choice(self, weakness: str, call: str, node: ast.AST, confidence: str) -> None:
        """Tell of what the code itself has chosen badly, whatever the data."""
        ...

    def found(self, pending: Pending) -> None:
        """Take an entry that the code itself makes."""
        ...

    def path_of(self, module: str) -> str:
        """Return the file of a module."""
        ...

    def own(self, name: str) -> bool:
        """Return whether a module is one of the analysed files."""
        ...


Handler = Callable[[Reader, ast.Call, "Value", Arguments, State, str], Value | None]
Table = Mapping[str, Handler]
