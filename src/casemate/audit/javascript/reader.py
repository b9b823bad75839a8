"""Reads JavaScript as it would run, with values of which only something is known.

One reader reads the entries of one file, each from the state in which its modules were read. The
parts that it hands forms of syntax to take it as their first argument.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from casemate.audit.flow import texts
from casemate.audit.flow.limits import MAX_HEAP, Limits
from casemate.audit.flow.ports import SpentError
from casemate.audit.flow.reporting import Report
from casemate.audit.flow.results import Entry, Place, Source, Step
from casemate.audit.flow.state import Mapping, State, Thing
from casemate.audit.flow.values import (
    ANYTHING,
    Const,
    External,
    Ref,
    Taint,
    Taints,
    Text,
    Value,
    join,
    options,
    shallow,
)
from casemate.audit.javascript.files import Files, is_own
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import UNDEFINED, Function

_TEXTS = (
    *(".json", ".html", ".txt", ".md", ".graphql", ".gql", ".css", ".scss", ".sql", ".svg"),
    *(".png", ".jpg", ".pem", ".yaml", ".yml", ".hbs", ".ejs", ".mjml", ".csv", ".proto"),
)
"""Endings of files that bundlers bring in as texts: nothing of them runs."""

Ways: TypeAlias = tuple[State | None, State | None]
"""The states in which a condition holds, and in which it does not."""


@dataclass(slots=True)
class Frame:
    """One call that is being read, or a module."""

    file: str
    scope: int
    this: Value = UNDEFINED
    owner: int = 0
    """The class whose method this is."""
    returns: list[tuple[State, Value]] = field(default_factory=list)
    throws: list[State] = field(default_factory=list)
    breaks: list[State] = field(default_factory=list)
    continues: list[State] = field(default_factory=list)
    yields: list[Value] = field(default_factory=list)
    catching: int = 0
    deciding: tuple[list[State], list[State]] | None = None
    """Where only the truth of what is returned is asked for: the states of either."""
    exports: Value = UNDEFINED
    live: list[tuple[str, str]] = field(default_factory=list)
    """Names that a file exports and may change afterwards, by what it calls them."""


@dataclass(slots=True)
class Pending:
    """A function that a framework calls."""

    function: Value
    entry: Entry
    kind: str
    """The framework, as the parameters of the function are by it."""
    receiver: Value = UNDEFINED
    texts: frozenset[str] = frozenset()
    """Parts of the request that its route has made texts of, by their paths."""
    held: frozenset[tuple[str, str]] = frozenset()
    """What the route's own schema holds parts of the request to, by their paths."""
    before: tuple[Value, ...] = ()
    """Functions of the same route that look at the request first, by a schema."""


class Watcher:
    """What is told of calls of libraries, beside flows. This one takes no notice."""

    environment: Callable[[str], Value | None] | None = None

    def called(self, reader: Reader, name: str, given: list[Value], receiver: Value | None,
               state: State, node: Node, made: bool) -> None:  # fmt: skip
        """Take a call of a library, or an object that is made of its class."""

    def unknown(self, reader: Reader, name: str, given: list[Value], state: State,
                node: Node) -> None:  # fmt: skip
        """Take a call of a method of something that is not known."""

    def needs_module(self, reader: Reader, name: str, node: Node) -> None:
        """Take a package, or a file that is not there, that a file needs."""

    def opened(self, reader: Reader, node: Node, what: str) -> None:
        """Take what makes that anything may happen."""


class Reader:
    """What is known while code is read."""

    def __init__(
        self, files: Files, report: Report, limits: Limits, watcher: Watcher | None = None
    ) -> None:
        """Begin with nothing read."""
        self.files = files
        self._report = report
        self.limits = limits
        self.kinds = report.kinds
        self.watcher = watcher or Watcher()
        self.functions: dict[int, Function] = {}
        self.modules: dict[str, Value] = {}
        """Exports by file, once a file is begun to be read."""
        self.late: dict[tuple[int, str], tuple[str, str]] = {}
        """Names imported from files that were not read to their end."""
        self.stack: list[Node] = []
        self.entry: Entry | None = None
        self.pending: list[Pending] = []
        self.texts: frozenset[str] = frozenset()
        """Parts of the request that are texts, whatever was sent."""
        self.looked_at: frozenset[str] = frozenset()
        """Parts of the request that a schema has let through of which nothing else is known."""
        self.carried: dict[str, Value] = {}
        """What functions before routes have set on requests, by its path."""
        self.busboy = False
        """Whether uploads are taken apart by what leaves the last part of their names alone."""
        self.bodies: set[str] = set()
        """What takes bodies of requests apart: `json`, `other`."""
        self.imported_packages = set[str]()
        """Names of packages that the code imports."""
        self.schemas = 0
        """Calls of schemas whose fields are known that were read."""
        self.frame = Frame("", 0)
        self.left = limits.steps
        self.until = 0.0
        self._numbers = itertools.count(1)
        self._made = 0
        self.visited: set[int] = set()
        """Calls that were read and functions that were entered, by the identity of syntax."""
        self.made: dict[int, tuple[str, Node]] = {}
        """Where objects were written that may be answers."""

    # -- bounds ------------------------------------------------------------------------------------

    def begin(self, steps: int, seconds: float) -> None:
        """Grant steps and time."""
        self.left = steps
        self._made = 0
        self.until = time.thread_time() + seconds

    def spend(self) -> None:
        """Count a step; `SpentError` when none is left."""
        self.left -= 1
        if self.left < 0:
            raise SpentError("steps")
        if self.left % 256 == 0 and time.thread_time() > self.until:
            raise SpentError("time")

    def require_time(self) -> None:
        """Raise `SpentError` if the time is used up."""
        if time.thread_time() > self.until:
            raise SpentError("time")

    # -- reading -----------------------------------------------------------------------------------

    def evaluate(self, node: Node | None, state: State) -> Value:
        """Return what an expression stands for."""
        raise NotImplementedError

    def execute(self, body: Sequence[Node], state: State) -> State | None:
        """Read statements; None if nothing comes after them."""
        raise NotImplementedError

    def decide(self, node: Node | None, state: State) -> Ways:
        """Return the states in which a condition holds, and in which it does not.

        The state that is given is used up.
        """
        raise NotImplementedError

    def enter(
        self, function: Value, given: list[Value], this: Value, state: State, node: Node
    ) -> Value:
        """Read the body of a function for a call of it."""
        raise NotImplementedError

    def method(
        self, receiver: Value, name: str, given: list[Value], state: State, node: Node
    ) -> Value | None:
        """Return what a method of a value gives; None if it is not one of the language's."""
        raise NotImplementedError

    def of_library(
        self, function: Value, given: list[Value], state: State, node: Node, *, new: bool = False
    ) -> Value:
        """Return what a call of a library gives, or an object of a class of it."""
        raise NotImplementedError

    def tagged(self, name: str, given: Node, holes: list[Value], state: State, node: Node) -> Value:
        """Return what a tagged template of a library gives."""
        raise NotImplementedError

    def module(self, file: str, state: State) -> Value:
        """Return what a file exports, read once."""
        raise NotImplementedError

    def imported_late(self, scope: int, name: str, state: State) -> Value | None:
        """Return what a name is that was imported while its file was still being read."""
        raise NotImplementedError

    def new(self, thing: Thing, state: State) -> Ref:
        """Make an object."""
        self._made += 1
        if self._made > MAX_HEAP:
            raise SpentError("objects")
        number = next(self._numbers)
        state.things[number] = thing
        return Ref(number)

    def function(self, made: Function, state: State) -> Ref:
        """Make a function."""
        ref = self.new(Mapping({}, type="function"), state)
        self.functions[ref.number] = made
        return ref

    # -- modules -----------------------------------------------------------------------------------

    def require(self, value: Value, state: State, node: Node) -> Value:
        """Return what `require(value)` and `import(value)` give."""
        return join(*(self._required_by(each, state, node) for each in options(value)))

    def _required_by(self, value: Value, state: State, node: Node) -> Value:
        if isinstance(value, Const) and isinstance(value.value, str):
            return self.required(value.value, state, node)
        if isinstance(value, Text) and isinstance(value.parts[-1], str) and not shallow(value):
            # `${process.env.ROOT}/shared`: where a layer lies there, and beside it here.
            _, slash, rest = value.parts[-1].partition("/")
            found = self.files.find(f"/opt/{rest}", self.frame.file) if slash and rest else None
            if found is not None:
                return self.module(found, state)
        self.watcher.opened(self, node, "a module is imported by an unknown name")
        return join(ANYTHING, self.of_library(External("require"), [value], state, node))

    def required(self, name: str, state: State, node: Node) -> Value:
        """Return what a module's name stands for."""
        found = self.files.find(name, self.frame.file)
        if found is not None:
            return self.module(found, state)
        if name.endswith(_TEXTS):
            return ANYTHING
        self.watcher.needs_module(self, name, node)
        self.imported_packages.add(name)
        if is_own(name):
            return ANYTHING
        return External(name.removeprefix("node:"))

    # -- what is told ------------------------------------------------------------------------------

    def source(self, kind: str, what: str, node: Node, path: str = "") -> Taint:
        """Return the mark of outside data."""
        place = self.place(node)
        number = self._report.source(Source(kind=kind, what=what, place=place))
        taint = Taint(number, (texts.form_of(kind, path or what),))
        return taint.stepping(Step(place, f"{what} comes from outside"))

    def form_of(self, taint: Taint) -> int:
        """Return the form that data had where it came in: of itself, and of no whole it is of."""
        source = self._report.of(taint.source)
        return texts.form_of(source.kind, source.what)

    def place(self, node: Node) -> Place:
        """Return where something is."""
        return Place(self.frame.file, node.line, node.column)

    def unresolved(self, node: Node, what: str) -> None:
        """Tell that something was not looked at."""
        self._report.unresolved(self.place(node), what)

    def looked(self, node: Node, *, checked: bool) -> None:
        """Tell of a command line, and whether all in it is written out or was checked.

        Whether others call a function with what nobody has checked is not known: only what the
        function of an entry does itself counts.
        """
        self._report.looked(self.place(node), checked=checked and len(self.stack) <= 1)

    def report(
        self, weakness: str, call: str, taints: Taints, node: Node, confidence: str = "high"
    ) -> None:
        """Tell of a flow."""
        if self.entry is not None:
            self._report.flow(self.entry, weakness, call, taints, self.place(node), confidence)
