"""The analysis itself: files and entries in, flows out. Pure: nothing of the code is run."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from casemate.audit.flow import texts
from casemate.audit.flow.limits import MAX_FRAMES, Limits
from casemate.audit.flow.ports import SpentError
from casemate.audit.flow.reporting import Report
from casemate.audit.flow.results import Analysis, Entry, Place
from casemate.audit.flow.state import Instance, State
from casemate.audit.flow.state import Mapping as Object
from casemate.audit.flow.values import External, Ref, Unknown, Value, join, options
from casemate.audit.javascript import answers, calls, fields, guards, members, routes, sources
from casemate.audit.javascript.files import Files
from casemate.audit.javascript.reader import Frame, Pending, Reader, Watcher
from casemate.audit.javascript.reading import CodeReader
from casemate.audit.javascript.syntax import Node, Parsed
from casemate.audit.javascript.values import UNDEFINED, Function, name_of, thing_of

_NOWHERE = Node("", 1, 0)


def analyse(
    parsed: Mapping[str, Parsed],
    entries: Sequence[Entry],
    limits: Limits | None = None,
    watcher: Watcher | None = None,
) -> Analysis:
    """Follow outside data from entries to sinks, through the functions of the files.

    Args:
        parsed: The syntax of files, by their paths.
        entries: The functions that are called from outside; one without a name stands for the
            file, of which the routes are followed that it declares.
        limits: Bounds on steps and time.
        watcher: Is told of calls of libraries.

    Returns:
        The flows, and what was not resolved.
    """
    limits = limits or Limits()
    report = Report()
    until = time.thread_time() + limits.seconds
    files = Files(parsed)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, MAX_FRAMES))
    by_file: dict[str, list[Entry]] = {}
    for entry in entries:
        by_file.setdefault(entry.path, []).append(entry)
    try:
        for path, of_file in by_file.items():
            if time.thread_time() > until:
                report.unresolved(Place(path, 1), "not analysed: the time was used up before")
                continue
            reader = CodeReader(files, report, limits, watcher)
            _Run(reader, report, limits).file(path, of_file)
    finally:
        sys.setrecursionlimit(before)
    return report.analysis()


class _Run:
    """Reads one file and its entries."""

    def __init__(self, reader: Reader, report: Report, limits: Limits) -> None:
        self._reader = reader
        self._report = report
        self._limits = limits
        self._until = time.thread_time() + limits.file_seconds
        self._done: set[tuple[object, ...]] = set()

    def file(self, path: str, entries: list[Entry]) -> None:
        """Read a file, then each entry of it, then the routes that came up."""
        reader = self._reader
        if path not in reader.files.parsed:
            self._report.unresolved(Place(path, 1), "no such file, or it could not be parsed")
            reader.watcher.opened(reader, _NOWHERE, "its code is not here")
            return
        state = State()
        reader.entry = entries[0]
        self._guarded(path, lambda: reader.module(path, state))
        reader.frame = Frame(path, 0)
        shared = State(state.things.settled(), {})
        for entry in entries:
            reader.entry = entry
            self._guarded(path, lambda e=entry: self._entry(path, e, shared.copy()))  # type: ignore[misc]
        self._routes(path, shared)

    def _guarded(self, path: str, read: Callable[[], object]) -> None:
        reader = self._reader
        left = self._until - time.thread_time()
        frame, stack = reader.frame, reader.stack
        why = "not analysed: the time for its file was used up before"
        try:
            if left > 0:
                reader.begin(self._limits.steps, min(left, self._limits.entry_seconds))
                read()
                return
        except SpentError as error:
            why = f"only a part was analysed: too many {error}"
            if str(error) == "time":
                why = "only a part was analysed: it takes too long"
        except RecursionError:
            why = "only a part was analysed: it is nested too deeply"
        place = Place(reader.frame.file or path, 1)
        reader.frame, reader.stack = frame, stack
        self._report.unresolved(place, why)
        reader.watcher.opened(reader, _NOWHERE, why)

    def _entry(self, path: str, entry: Entry, state: State) -> None:
        reader = self._reader
        if not entry.name:
            return
        exports = reader.module(path, state)
        found = _handler(reader, exports, entry.name, state)
        if not found:
            # A library may be the handler: what it was given was followed when it was.
            if found is None and not reader.pending:
                self._report.unresolved(
                    Place(path, 1), f"{entry.name[:80]} is not among what it exports"
                )
                reader.watcher.opened(reader, _NOWHERE, "its handler was not found")
            return
        for function in found:
            way = state.copy()
            given = _given(reader, entry, function, way)
            value = calls.call(reader, function, given, UNDEFINED, way, _node_of(reader, function))
            if entry.event in ("http", "invoke"):
                answers.returned(reader, value, way, _node_of(reader, function))

    def _routes(self, path: str, shared: State) -> None:
        reader = self._reader
        while reader.pending:
            # What is before all routes may be declared after those of other files.
            first = (n for n, each in enumerate(reader.pending) if each.entry.name[:3] == "USE")
            pending = reader.pending.pop(next(first, 0))
            number = getattr(pending.function, "number", id(pending.function))
            before = tuple(getattr(each, "number", 0) for each in pending.before)
            key = (number, pending.kind, pending.texts, pending.held, before)
            if key in self._done or len(self._done) > 400:
                continue
            self._done.add(key)
            reader.entry, reader.texts = pending.entry, pending.texts
            reader.frame = Frame(pending.entry.path, 0)
            self._guarded(path, lambda p=pending: self._route(p, shared.copy()))  # type: ignore[misc]
            reader.texts = reader.looked_at = frozenset()

    def _route(self, pending: Pending, state: State) -> None:
        reader = self._reader
        node = _node_of(reader, pending.function)
        for path, kept in sorted(pending.held):
            fields.learn(f"{texts.form_of(pending.entry.event, path)}{kept}", state)
        for each in pending.before:

            def with_next(way: State, onward: Value) -> list[Value]:
                return routes.arguments(reader, pending, way, node, onward)

            state = guards.passed(reader, each, state, node, with_next)
        given = routes.arguments(reader, pending, state, node)
        value = calls.call(reader, pending.function, given, UNDEFINED, state, node)
        if pending.kind == "hono":
            answers.returned(reader, value, state, node)


def _node_of(reader: Reader, function: Value) -> Node:
    made = reader.functions.get(getattr(function, "number", 0))
    return made.node if made is not None and made.node is not None else _NOWHERE


def _given(reader: Reader, entry: Entry, function: Value, state: State) -> list[Value]:
    """Return what a handler is called with, by whom it is called."""
    node = _node_of(reader, function)
    if entry.shape == "request":
        return routes.arguments(reader, Pending(function, entry, "express"), state, node)
    event = sources.event(reader, entry.event, "event", node)
    if entry.shape == "worker":  # its bindings and its context are no outside data
        return [sources.request("request", "hono"), Unknown(), Unknown()]
    if entry.shape == "knative":
        return [sources.request("context", "express"), event]
    context: Value = External("context")
    if entry.shape == "openfaas":  # it answers by its context
        context = reader.new(Instance(0, {}, "response()"), state)
    return [event, context, _callback(reader, state)]


def _callback(reader: Reader, state: State) -> Value:
    """Return what a handler may answer by."""

    def answered(_: Reader, given: list[Value], way: State, node: Node) -> Value:
        if len(given) > 1:
            answers.returned(reader, given[1], way, node)
        return UNDEFINED

    return reader.function(Function(None, reader.frame.file, 0, native=answered), state)


def _handler(reader: Reader, exports: Value, name: str, state: State) -> list[Value] | None:
    """Return the functions that a handler's name stands for: itself, or those that it wraps.

    None if there is nothing of that name, or it is not known what it is.
    """
    thing = thing_of(exports, state)
    value: Value = exports
    if isinstance(thing, Object) and thing.type == "dict":
        held = thing.known.get(name)
        inner = thing_of(thing.known.get("default", UNDEFINED), state)
        if held is None and isinstance(inner, Object):
            held = inner.known.get(name)
        if held is None:
            return None
        value = held
    elif not calls.is_function(reader, exports):
        value = members.get(reader, exports, name, state, None)
    found: list[Value] = []
    for option in options(_behind_getters(reader, value, state)):
        if calls.is_function(reader, option):
            found.append(option)
        else:
            found += calls.held_functions(reader, option, state)
    return found if found or name_of(value, state) else None


def _behind_getters(reader: Reader, value: Value, state: State) -> Value:
    """Return what a bundler exports as `handler: () => handler`, read once all of it is there."""
    for _ in range(_MAX_GETTERS):
        held = [_behind(reader, each, state) for each in options(value)]
        behind = join(*held) if held else value
        if behind == value:
            break
        value = behind
    return value


_MAX_GETTERS = 3
_NAMED = ("identifier", "member_expression", "subscript_expression")


def _behind(reader: Reader, value: Value, state: State) -> Value:
    made = reader.functions.get(value.number) if isinstance(value, Ref) else None
    node = made.node if made is not None else None
    body = node.get("body") if node is not None and node.kind == "arrow_function" else None
    if node is None or body is None or body.kind not in _NAMED or _takes(node):
        return value
    held = calls.call(reader, value, [], UNDEFINED, state, node)
    return held if any(calls.is_function(reader, each) for each in options(held)) else value


def _takes(node: Node) -> bool:
    """Return whether a function has parameters."""
    given = node.get("parameters")
    return node.get("parameter") is not None or (given is not None and bool(given.kids))


_EXPORTED = re.compile(
    r"\bexports\.(handler|handle|main|lambdaHandler) ?="
    r"|\bexport (?:const|async function|function) (handler|handle|main|lambdaHandler)\b"
)
_KNATIVE = re.compile(
    r"\b(?:module\.exports = ?|export )\{ ?handle\b|\bexports\.handle = ?handle\b"
)
_WORKER = re.compile(r"\bexport default \{\s{0,40}(?:async )?fetch\b")
_OF_REQUESTS = re.compile(
    r"\bexports\.(\w{1,80}) = (?:async )?(?:function(?: \w{1,80})?)? ?"
    r"\((?:req|request), ?(?:res|response)\)"
)


def discover(texts: Mapping[str, str]) -> list[Entry]:
    """Return the entries that files show by themselves: those with handlers or routes."""
    found: list[Entry] = []
    for path, text in texts.items():
        if _KNATIVE.search(text) is not None:
            found.append(Entry(path=path, name="handle", event="http", shape="knative"))
        for match in _EXPORTED.finditer(text):
            name = match[1] or match[2]
            if not any(each.path == path and each.name == name for each in found):
                found.append(Entry(path=path, name=name, event="invoke", shape="lambda"))
        for match in _OF_REQUESTS.finditer(text):
            found.append(Entry(path=path, name=match[1], event="http", shape="request"))
        if _WORKER.search(text) is not None:
            found.append(Entry(path=path, name="fetch", event="http", shape="worker"))
        if routes.has_routes(text):
            found.append(Entry(path=path, name="", event="http", shape="route"))
    return list(dict.fromkeys(found))
