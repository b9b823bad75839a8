"""The analysis itself: files and entries in, flows out. Pure: nothing of the code is run."""

from __future__ import annotations

import ast
import sys
import time
from collections.abc import Mapping, Sequence

from casemate.audit.flow import entering, frameworks, names
from casemate.audit.flow.library import contexts
from casemate.audit.flow.limits import MAX_FRAMES, Limits
from casemate.audit.flow.parsing import File, Parsed, module_of, parse_all
from casemate.audit.flow.ports import Arguments, Frame, Pending, SpentError
from casemate.audit.flow.reading import CodeReader, Files
from casemate.audit.flow.reporting import Report
from casemate.audit.flow.results import Analysis, Entry, Place
from casemate.audit.flow.state import Class, Instance, State
from casemate.audit.flow.state import Mapping as Dictionary
from casemate.audit.flow.values import (
    ANYTHING,
    Bound,
    Const,
    Func,
    Module,
    Ref,
    Tup,
    Unknown,
    Value,
    known_text,
    options,
)
from casemate.audit.syntax import walk


def analyse(
    files: Mapping[str, str] | Parsed, entries: Sequence[Entry], limits: Limits | None = None
) -> Analysis:
    """Follow outside data from entries to sinks, through the functions of the files.

    Args:
        files: Source texts by their paths, relative to where imports begin; or these, parsed.
        entries: The functions that are called from outside. Routes that the same files declare are
            followed too.
        limits: Bounds on steps and time.

    Returns:
        The flows, and what was not resolved: files that do not parse, entries that are not there,
        limits that were reached.
    """
    limits = limits or Limits()
    report = Report()
    parsed, problems = files if isinstance(files, Parsed) else parse_all(files)
    for problem in problems:
        report.unresolved(problem.place, problem.what)
    until = time.thread_time() + limits.seconds
    known = Files(parsed)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, MAX_FRAMES))
    try:
        carried: dict[str, Value] = {}
        for path, of_file in _by_path(entries).items():
            if time.thread_time() > until:
                report.unresolved(Place(path, 1), "not analysed: the time was used up before")
                continue
            _Run(known, report, limits, carried).file(path, of_file)
    finally:
        sys.setrecursionlimit(before)
    return report.analysis()


def discover(files: Mapping[str, str] | Parsed) -> list[Entry]:
    """Return the entries that files show by themselves: handlers, routes, views."""
    parsed, _ = files if isinstance(files, Parsed) else parse_all(files)
    return frameworks.discover(
        {name: file.tree for name, file in parsed.items()},
        {name: file.path for name, file in parsed.items()},
    )


def _by_path(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    out: dict[str, list[Entry]] = {}
    # What runs before routes of other files is read before them.
    for entry in sorted(entries, key=lambda each: "middleware" not in each.path.lower()):
        out.setdefault(entry.path, []).append(entry)
    return out


def _adds_context(file: File) -> bool:
    """Tell whether a handler tells the routes of its application something: it is read first."""
    return any(
        isinstance(each, ast.Attribute) and each.attr == "append_context"
        for each in walk(file.tree)
    )


class _Run:
    """Reads one file and its entries."""

    def __init__(
        self, files: Files, report: Report, limits: Limits, carried: dict[str, Value]
    ) -> None:
        self._files = files
        self._carried = carried
        """What functions before routes have set on requests."""
        self._report = report
        self._limits = limits
        self._reader = CodeReader(files, report, limits)
        self._until = time.thread_time() + limits.file_seconds
        self._adds = False
        self._done: set[tuple[object, ...]] = set()
        self._routes: set[tuple[str, str]] = set()
        """Entries that frameworks call, by path and name, once they are read."""

    def file(self, path: str, entries: list[Entry]) -> None:
        """Read a file, then each entry of it, then the routes that came up meanwhile."""
        file = self._files.files.get(module_of(path))
        if file is None:
            self._report.unresolved(Place(path, 1), "no such file, or it could not be parsed")
            return
        state = State()
        reader = self._reader
        reader.entry = entries[0]
        if not self._guarded(file, lambda: reader.module(file.module, state)):
            # What was read until then is there still.
            reader.frame = Frame("", "", 0, "")
        shared = State(state.things.settled(), {})
        self._adds = _adds_context(file)
        if self._adds:
            entries = sorted(entries, key=lambda each: each.shape != "lambda")
        else:
            self._pending(shared)
        for entry in entries:
            self._entry(file, entry, shared.copy())
        self._pending(shared)

    def _guarded(self, file: File, read: object) -> bool:
        """Read something within bounds; what stops it is told."""
        reader = self._reader
        left = self._until - time.thread_time()
        if left <= 0:
            self._stopped(file, "not analysed: the time of its file was used up before")
            return False
        reader.begin(self._limits.steps, min(self._limits.entry_seconds, left))
        frame, stack = reader.frame, reader.stack
        try:
            read()  # type: ignore[operator]
        except SpentError as error:
            self._stopped(file, f"read in part: its {error} were used up")
        except RecursionError:
            self._stopped(file, "read in part: it is nested too deep")
        else:
            return True
        reader.frame, reader.stack = frame, stack
        del reader.stack[:]
        return False

    def _stopped(self, file: File, what: str) -> None:
        entry = self._reader.entry
        name = f" ({entry.name})" if entry is not None and entry.name else ""
        self._report.unresolved(Place(file.path, 1), what + name)

    def _entry(self, file: File, entry: Entry, state: State) -> None:
        reader = self._reader
        reader.entry, reader.route = entry, None
        if not entry.name:
            return
        scope = reader.scopes.get(file.module, 0)
        reader.frame = Frame(file.module, file.path, scope, "")
        found: Value = ANYTHING
        first, *rest = entry.name.split(".")
        found = reader.load(first, state, ast.Pass())
        if rest and isinstance(found, Func):
            self._outer(file, found, state)
            return
        for name in rest:
            found = reader.attribute(_instance(reader, found, state), name, state, ast.Pass())
        functions = [o for o in options(found) if isinstance(o, (Func, Bound))]
        routes = (entry.path, entry.name) in self._routes
        if not functions:
            if not routes and isinstance(found, (type(ANYTHING),)) and not reader.pending:
                self._report.unresolved(Place(file.path, 1), f"no function {entry.name}")
            return
        if entry.shape in ("route",) and routes:
            return
        for function in functions:
            self._run(file, Pending(function, entry, ""), state.copy())
        self._pending(state)

    def _outer(self, file: File, function: Func, state: State) -> None:
        """Read a function that makes routes, `def init(app)`, then these."""
        reader = self._reader
        node = function.node
        given = Arguments([ANYTHING] * len(node.args.args))
        self._guarded(file, lambda: reader.enter(function, given, state, node))
        self._pending(state)

    def _pending(self, state: State) -> None:
        """Read the routes that came up."""
        reader = self._reader
        guards = [p for p in reader.pending if p.decorator.endswith(".before_request")]
        while reader.pending:
            first = (n for n, each in enumerate(reader.pending) if each.is_middleware)
            pending = reader.pending.pop(next(first, 0))
            file = self._files.files.get(module_of(pending.entry.path))
            inner = pending.function
            function = inner.function if isinstance(inner, Bound) else inner
            if file is None or not isinstance(function, Func):
                continue
            key = (id(function.node), pending.pattern)
            if key in self._done:
                continue
            self._done.add(key)
            self._routes.add((pending.entry.path, pending.entry.name))
            reader.entry, reader.route = pending.entry, pending
            owner = pending.decorator.rpartition(".")[0]
            before = [g.function for g in guards if g is not pending and _is_of(g, owner, pending)]
            self._run(file, pending, state.copy(), before)
            reader.route = None

    def _run(
        self, file: File, pending: Pending, state: State, before: Sequence[Value] = ()
    ) -> None:
        reader = self._reader
        reader.entry, reader.texts, reader.narrow = pending.entry, set(), {}
        inner = pending.function
        function = inner.function if isinstance(inner, Bound) else inner
        if not isinstance(function, Func):
            return
        bound = len(inner.arguments) if isinstance(inner, Bound) else 0
        reader.frame = Frame(function.module, reader.path_of(function.module), function.scope, "")

        def read() -> None:
            for guard in before[:_MAX_BEFORE]:
                if isinstance(guard, Func):
                    entering.passed(reader, guard, state)
            names.carry(self._carried, state)
            given = frameworks.arguments(reader, pending, function, bound, state)
            value = reader.call(inner, given, state, function.node)
            if pending.is_middleware or self._adds:
                self._carried.update(names.carried(state))
            self._answered(pending, value, state, function.node)

        self._guarded(file, read)

    def _answered(self, pending: Pending, value: Value, state: State, node: ast.AST) -> None:
        """Look at what a handler answers: text from outside is markup of a page."""
        for option in options(value):
            body = option.items[0] if isinstance(option, Tup) and option.items else option
            thing = state.things.get(body.number) if isinstance(body, Ref) else None
            if pending.entry.shape in ("route", "view", "cloud-http") and thing is None:
                if pending.html and pending.shown and not _says_no_page(option, state):
                    self._markup(body, state, node)
            elif isinstance(thing, Dictionary) and pending.entry.event == "http":
                self._proxied(thing, state, node)

    def _proxied(self, answer: Dictionary, state: State, node: ast.AST) -> None:
        """Look at an answer of AWS's form: `{"statusCode": ..., "headers": ..., "body": ...}`."""
        body = answer.known.get(("str", "body"))
        headers = answer.known.get(("str", "headers"))
        thing = state.things.get(headers.number) if isinstance(headers, Ref) else None
        if not isinstance(thing, Dictionary):
            return
        for key, value in thing.known.items():
            label = str(key[1]).lower() if isinstance(key, tuple) and len(key) == 2 else ""
            if label == "location":
                taints = contexts.harmful("redirect", value, state, self._reader.kinds)
                if taints:
                    self._reader.report("redirect", "headers['Location']", taints, node)
            if label == "content-type" and body is not None:
                text = known_text(value)
                if text is not None and "html" in text:
                    self._markup(body, state, node)

    def _markup(self, value: Value, state: State, node: ast.AST) -> None:
        if isinstance(value, (Const, Module)) or _is_object(value):
            return
        taints = contexts.harmful("markup", value, state, self._reader.kinds)
        if taints:
            self._reader.report("markup", "the answer", taints, node)


_MAX_BEFORE = 4
"""Functions that are read again before each route."""


def _is_of(guard: Pending, owner: str, pending: Pending) -> bool:
    """Tell whether a function runs before a route: both are of one application, in one file."""
    same = guard.entry.path == pending.entry.path
    return same and bool(owner) and guard.decorator == f"{owner}.before_request"


def _says_no_page(answer: Value, state: State) -> bool:
    """Return whether the headers beside a body, `(body, status, headers)`, say it is no page."""
    for part in answer.items[1:] if isinstance(answer, Tup) else ():
        thing = state.things.get(part.number) if isinstance(part, Ref) else None
        for key, value in thing.known.items() if isinstance(thing, Dictionary) else ():
            label = key[1] if isinstance(key, tuple) and len(key) == 2 else ""
            kind = known_text(value)
            if str(label).lower() == "content-type" and kind is not None:
                return "html" not in kind and "svg" not in kind
    return False


def _is_object(value: Value) -> bool:
    """Return whether an answer is an object that a library has made, not a text."""
    if not isinstance(value, Unknown) or "(" not in value.type:
        return False
    return not (value.type.startswith("jinja2.") and value.type.endswith(".render()"))


def _instance(reader: CodeReader, value: Value, state: State) -> Value:
    """Return an object of a class, for a method that is an entry."""
    thing = state.things.get(value.number) if isinstance(value, Ref) else None
    if isinstance(thing, Class) and isinstance(value, Ref):
        return reader.new(Instance(value.number, {}), state)
    return value
