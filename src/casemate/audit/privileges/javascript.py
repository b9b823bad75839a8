"""The code of one function in JavaScript or TypeScript, read for what it needs.

The reader of data flow (`audit.javascript`) follows the code from its handler and tells of calls of
libraries. It decides conditions and ends at bounds, which is right for findings and not for rights;
so what it did not come to, in functions that run, counts as perhaps needed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Protocol

from casemate.audit.code.reading import Code
from casemate.audit.flow import Entry, Limits
from casemate.audit.flow.state import Instance, State
from casemate.audit.flow.state import Mapping as Object
from casemate.audit.flow.values import Const, External, Text, Value, join, options
from casemate.audit.javascript import Node, Parsed, Reader, Watcher, analyse
from casemate.audit.javascript.files import is_own, package_of
from casemate.audit.javascript.parts import ParsedFiles, parsed_inline
from casemate.audit.javascript.values import UNDEFINED, thing_of
from casemate.audit.model import Function, Place
from casemate.audit.privileges import services, values
from casemate.audit.privileges.javascript_calls import Calls
from casemate.audit.privileges.javascript_libraries import PROGRAMS, uses
from casemate.audit.privileges.javascript_sdk import of_package
from casemate.audit.privileges.locked import Locked, locked_of
from casemate.audit.privileges.needs import EVERY, Recorder

_INLINE = "index.js"
_CREDENTIALS = frozenset(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"))
_RUNNING = frozenset(("eval", "Function", "vm"))
_WHOLE = ("child_process.", "execa", "shelljs.", "cross-spawn", "worker_threads.")
_TAKING = ("@aws-sdk/credential-provider", "@smithy/signature-v4", "aws4", "@aws-sdk/signature-v4")
_HOLDING = "credentials of the role are passed on"


class Together(Protocol):
    """What else reads functions' code: once for both, where it can."""

    def follow(self, function: Function, limits: Limits, watcher: Watcher) -> bool:
        """Read a function's code with a watcher; tell whether that was done."""
        ...

    def done(self, function: Function) -> None:
        """Take that a function's rights are known."""
        ...


def read(
    function: Function,
    code: Code,
    recorder: Recorder,
    variables: Mapping[str, values.Values],
    seconds: float,
    together: Together | None = None,
) -> str:
    """Tell a recorder what a function needs; return why not all of it is known, or nothing."""
    root = f"{function.code}/" if function.code not in (None, "", ".") else ""
    files: Mapping[str, Parsed]
    if function.inline:
        files, entry = {_INLINE: parsed_inline(_INLINE, function.inline)}, _INLINE
    elif function.code is None or not function.entry:
        return "its code is not here"
    else:
        files = ParsedFiles(code, root, function.files)
        entry = function.entry.removeprefix(root)
    recorder.begin("")
    locked = locked_of(code, function.code or "") if not function.inline else None
    watcher = NeedsWatcher(recorder, variables, function, root, locked)
    name = function.handler.replace(":", ".").rpartition(".")[2]
    limits = Limits(steps=150_000, seconds=min(seconds, 4.0), file_seconds=4.0, entry_seconds=3.0)
    if together is None or not together.follow(function, limits, watcher):
        analyse(files, [Entry(path=entry, name=name, event="invoke")], limits, watcher)
    if watcher.reader is not None:
        watcher.sweep(watcher.reader)
    return ""


class NeedsWatcher(Watcher):
    """Tells a recorder of what calls of libraries need."""

    def __init__(
        self,
        recorder: Recorder,
        variables: Mapping[str, values.Values],
        function: Function,
        root: str,
        locked: Locked | None = None,
    ) -> None:
        """Begin with nothing needed."""
        self._locked = locked
        self._recorder = recorder
        self._variables = variables
        self._function = function
        self._root = root
        self._calls = Calls(recorder)
        self.reader: Reader | None = None
        self.environment = self._variable

    def _variable(self, name: str) -> Value | None:
        if name in _CREDENTIALS:
            self._recorder.open(EVERY, self._function.place, f"{name} is read: {_HOLDING}")
        found = self._variables.get(name)
        if not found:
            return None
        texts = [v.text for v in found if isinstance(v, values.Text)]
        if not texts or len(texts) != len(found) or any(values.HOLE in each for each in texts):
            return None
        return join(*(Const(each) for each in texts))

    def _place(self, reader: Reader, node: Node) -> Place:
        file = posixpath.normpath(f"{self._root}{reader.frame.file}")  # `../` leads out of it
        return Place(file, node.line, node.column + 1)

    def opened(self, reader: Reader, node: Node, what: str) -> None:
        """Take what makes that anything may happen."""
        self.reader = reader
        self._recorder.open(EVERY, self._place(reader, node), what)

    def needs_module(self, reader: Reader, name: str, node: Node) -> None:
        """Take a package, or a file that is not there, that a file needs."""
        self.reader = reader
        if is_own(name):
            self.opened(reader, node, f"the file {name[:80]} is not here")
            return
        package = package_of(name)
        if package.startswith("@aws-sdk/client-"):
            service = of_package(package.removeprefix("@aws-sdk/client-"))
            if service is None:
                self.opened(reader, node, f"{package[:80]} is not known")
            else:
                self._calls.seen(service)
            return
        if package.startswith(_TAKING) and package != "@aws-sdk/credential-providers":
            self.opened(reader, node, f"{package[:80]}: {_HOLDING}")
        elif package == "@aws-sdk/rds-signer":
            self._recorder.need("rds-db:connect", values.HOLE, self._place(reader, node))
        elif package == "@aws-sdk/credential-providers":
            self._recorder.need(
                "sts:AssumeRole", values.HOLE, self._place(reader, node), sure=False
            )
        elif package in PROGRAMS and package != "child_process":
            self.opened(reader, node, f"{package} runs another program")
        else:
            services = uses(package)
            if services is None and self._locked is not None:
                services = self._locked.services(package)
            if services is None:
                self.opened(reader, node, f"the package {package[:80]} may use any right")
            for service in services or ():
                if ":" in service:  # an action that it may need, and no other of its service
                    self._recorder.need(service, values.HOLE, self._place(reader, node), sure=False)
                    continue
                self._recorder.open(
                    service, self._place(reader, node), f"{package[:80]} uses it by itself"
                )

    def called(
        self, reader: Reader, name: str, given: list[Value], receiver: Value | None,
        state: State, node: Node, made: bool,
    ) -> None:  # fmt: skip
        """Take a call of a library, or an object that is made of its class."""
        self.reader = reader
        place = self._place(reader, node)
        if name in _RUNNING or name.startswith("vm."):
            self.opened(reader, node, f"{name[:40]} runs code that is not read")
        if name.startswith(_WHOLE):
            self.opened(reader, node, "another program is run")
        whole = any(o == External("process.env") for each in given for o in options(each))
        if whole and not name.startswith(("console.", "Object.keys")):
            self.opened(reader, node, f"the whole environment is passed to {name[:60]}")
        if name.endswith(".credentials") or ".credentials." in name:
            self.opened(reader, node, _HOLDING)
        if "aws-sdk" not in name:
            return
        arguments = Arguments(reader, state, given)
        if name.startswith("@aws-sdk/"):
            self._calls.third(name, arguments, place, made=made)
        elif name.startswith("aws-sdk"):
            why = self._calls.second(name, arguments, place, made=made)
            if why:
                self.opened(reader, node, why)

    def unknown(
        self, reader: Reader, name: str, given: list[Value], state: State, node: Node
    ) -> None:
        """Take a call of a method of something that is not known."""
        self.reader = reader
        if name:
            self._calls.lost(name, self._place(reader, node))
        for each in given:
            for option in options(each):
                thing = thing_of(option, state)
                if isinstance(thing, Instance) and thing.type.startswith("aws-sdk"):
                    service = of_package(thing.type.split(".")[1].removesuffix("()"))
                    found = services.service(service) if service else None
                    if found is not None:
                        what = "its client reaches unknown code"
                        self._recorder.open(found.prefix, self._place(reader, node), what)

    def sweep(self, reader: Reader) -> None:
        """Take calls that were not come to, of functions that run: they may be needed."""
        lost = self._calls.methods()
        for file in reader.modules:
            parsed = reader.files.parsed[file]
            reader.frame.file = file
            for node in _not_read(parsed.tree, reader.visited, lost):
                callee = node.get("constructor") or node.get("function")
                last = callee.get("property") if callee is not None else None
                name = (last or callee).text if callee is not None else ""
                self._calls.perhaps(name, self._place(reader, node))
        self._calls.end()


_FUNCTIONS = frozenset(
    ("arrow_function", "function_expression", "function_declaration", "method_definition",
     "generator_function", "generator_function_declaration", "function")
)  # fmt: skip


def _not_read(tree: Node, visited: set[int], lost: frozenset[str]) -> list[Node]:
    """Return the calls that were not read and may run: not those in functions nobody calls."""
    found: list[Node] = []
    todo: list[tuple[Node, bool]] = [(tree, False)]
    while todo:
        node, derived = todo.pop()
        if node.kind in _FUNCTIONS and id(node) not in visited:
            name = node.get("name")
            called = name is not None and name.text in lost
            if not derived and not called:
                continue
        if node.kind in ("call_expression", "new_expression") and id(node) not in visited:
            found.append(node)
        inherits = node.kind in ("class_declaration", "class") and any(
            kid.kind == "class_heritage" for kid in node.kids
        )
        todo += [(kid, derived or inherits) for kid in node.kids]
    return found


class Arguments:
    """What a call is given, as texts with holes."""

    def __init__(self, reader: Reader, state: State, given: list[Value]) -> None:
        """Keep them with the state in which they are."""
        self._state = state
        self._given = given

    def text(self, place: int) -> str | None:
        """Return an argument that is a known text."""
        value = self._given[place] if place < len(self._given) else UNDEFINED
        return value.value if isinstance(value, Const) and isinstance(value.value, str) else None

    def named(self, place: int) -> dict[str, list[str]] | None:
        """Return the properties of an argument as texts; None if they are not all known."""
        value = self._given[place] if place < len(self._given) else UNDEFINED
        found: dict[str, list[str]] = {}
        for option in options(value):
            thing = thing_of(option, self._state)
            if option == UNDEFINED:
                continue
            if not isinstance(thing, Object):
                return None
            for key, each in thing.known.items():
                if isinstance(key, str):
                    found.setdefault(key, []).extend(self._texts(each))
            if thing.open or thing.rest is not None:
                found.setdefault("", [])
        return found

    def at(self, place: int, *path: str) -> list[Value]:
        """Return what stands under names within an argument, whatever is between."""
        found = [self._given[place]] if place < len(self._given) else []
        for name in path:
            inner: list[Value] = []
            for value in found:
                for option in options(value):
                    thing = thing_of(option, self._state)
                    if isinstance(thing, Object) and name in thing.known:
                        inner.append(thing.known[name])
            found = inner
        return found

    def keys(self, value: Value) -> list[str] | None:
        """Return the names of an object's properties, or None."""
        thing = thing_of(value, self._state)
        if not isinstance(thing, Object) or thing.open or thing.rest is not None:
            return None
        return [key for key in thing.known if isinstance(key, str)]

    def items(self, value: Value) -> list[Value] | None:
        """Return the items of an array, or None if they are not all known."""
        thing = thing_of(value, self._state)
        items = getattr(thing, "items", None)
        rest = getattr(thing, "rest", None)
        if isinstance(thing, Object) or items is None or rest is not None:
            return None
        return list(items)

    def _texts(self, value: Value) -> list[str]:
        found = []
        for option in options(value):
            if isinstance(option, Const):
                if option.value is not None:
                    found.append(str(option.value))
            elif isinstance(option, Text):
                parts = (p if isinstance(p, str) else values.HOLE for p in option.parts)
                found.append("".join(parts))
            else:
                found.append(values.HOLE)
        return found
