"""Which code of an application is followed together, and from which functions on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from casemate.audit.code.reading import Code, PythonFile
from casemate.audit.flow import Entry
from casemate.audit.flow import Place as FlowPlace
from casemate.audit.javascript import Parsed
from casemate.audit.javascript import discover as discover_scripts
from casemate.audit.javascript.parts import ParsedFiles, parsed_inline
from casemate.audit.model import Application, Function, Place, Platform, Reach
from casemate.audit.syntax import Syntax

_EVENTS = {
    "http": "http",
    "url": "http",
    "websocket": "http",
    "edge": "http",
    "queue": "queue",
    "topic": "topic",
    "event": "topic",
    "iot": "topic",
    "bucket": "storage",
    "table": "table",
    "stream": "stream",
    "schedule": "schedule",
    "repository": "code",
    "mail": "mail",
    "invoke": "invoke",
}
_SHAPES = {
    Platform.AWS: "lambda",
    Platform.OPENFAAS: "lambda",
    Platform.CASEMATE: "casemate",
    Platform.GOOGLE: "cloud-http",
}


WIDTH = {
    Reach.INTERNAL: 0,
    Reach.AUTHENTICATED: 1,
    Reach.UNKNOWN: 2,
    Reach.PUBLIC: 3,
}
"""By how many callers a function is reached: more is wider."""


_NAMING = (Platform.AWS, Platform.CASEMATE)
"""Platforms whose manifests name each handler."""


def shows_entries(function: Function) -> bool:
    """Tell whether no manifest names its handler: routes and handlers are found in its code.

    So it is with files alone, and with containers, whose command starts what it likes.
    """
    if function.platform in (Platform.OPENFAAS, Platform.GOOGLE):
        return not function.language or not function.handler
    return function.platform in (Platform.CODE, Platform.KNATIVE)


class PythonPart:
    """Code in Python that is read together: below one folder, or in a template."""

    def __init__(self, name: str) -> None:
        """Begin without files."""
        self.name = name
        self.texts: dict[str, str] = {}
        self.parsed: dict[str, Syntax] = {}
        self.places: dict[str, tuple[str, int]] = {}
        """File and first line of each path."""
        self.entries: list[Entry] = []
        self.functions: dict[tuple[str, str], Function] = {}
        self.any: Function | None = None
        self.handlers: set[str] | None = set()
        """The files of all handlers, by their last names; None if some are not named."""

    def add(
        self, path: str, text: str, parsed: PythonFile | None, file: str, line: int = 1
    ) -> None:
        """Take a file, parsed or not."""
        self.texts[path] = text
        if parsed is not None:
            self.parsed[path] = parsed.syntax
        self.places[path] = (file, line)

    def enter(self, path: str, name: str, function: Function) -> None:
        """Take a function whose handler is in a file."""
        self.any = self.any or function
        shape = _SHAPES.get(function.platform)
        if shape == "cloud-http" and all(each.kind != "http" for each in function.triggers):
            shape = "cloud-event"
        self._know(path, name, function)
        if shape is None or not name or path not in self.texts:
            return
        self.functions.setdefault((path, name), function)
        for event in events_of(function):
            self.entries.append(Entry(path=path, name=name, event=event, shape=shape))

    def _know(self, path: str, name: str, function: Function) -> None:
        """Remember what a manifest calls the handler, wherever it is."""
        module = path.removesuffix(".py") if path else function.handler.rpartition(".")[0]
        last = re.split(r"[/.]", module)[-1]
        if function.platform not in _NAMING or not name or not last or "${" in function.handler:
            self.handlers = None
        elif self.handlers is not None:
            self.handlers.add(last)

    def serves(self, entry: Entry) -> bool:
        """Tell whether something calls an entry that the code shows by itself.

        What only looks like a handler of Lambda, and no function names, is what was left behind.
        Routes of frameworks are called by whatever handler there is.
        """
        if self.handlers is None or entry.shape != "lambda":
            return True
        file = entry.path.rpartition("/")[2].removesuffix(".py")
        return file in self.handlers or file == "__init__"

    def place(self, at: FlowPlace) -> Place:
        """Return where something is in what is audited."""
        file, first = self.places.get(at.path, (at.path, 1))
        return Place(file, at.line + first - 1, at.column + 1)

    def of(self, entry: Entry) -> Function | None:
        """Return the function that an entry is of."""
        return self.functions.get((entry.path, entry.name), self.any)


def events_of(function: Function) -> list[str]:
    """Return by what a function is called; a direct call where nothing is said."""
    found = {_EVENTS[t.kind] for t in function.triggers if t.kind in _EVENTS}
    return sorted(found) or ["invoke"]


def handler_of(function: Function) -> str:
    """Return the name of the handler in its module: `app.handler`, `src/app.handler`, `a:f`."""
    handler = function.handler.replace(":", ".")
    return handler.rpartition(".")[2]


def python_parts(application: Application, code: Code) -> Iterable[PythonPart]:
    """Return the code of an application, each part once."""
    parts: dict[str, PythonPart] = {}
    added = set[tuple[str, tuple[str, ...]]]()
    for function in application.functions:
        if function.language != "python" and not shows_entries(function):
            continue
        inline = code.inline(function)
        if inline is not None:
            part = parts.setdefault(f"#{function.name}", PythonPart(f"#{function.name}"))
            place = function.inline_place or function.place
            part.add("index.py", inline.text, inline, place.file, place.line)
            part.enter("index.py", handler_of(function), function)
            continue
        if function.code is None:
            continue
        root = f"{function.code}/" if function.code not in ("", ".") else ""
        part = parts.setdefault(root, PythonPart(root))
        new = () if (root, function.files) in added else function.files
        added.add((root, function.files))
        for file in new:
            path = file.removeprefix(root)
            if file.endswith(".py") and path not in part.texts:
                text = code.text(file)
                if text is not None:
                    part.add(path, text, code.python(file), file)
        part.enter(function.entry.removeprefix(root), handler_of(function), function)
    return parts.values()


class ScriptPart:
    """Code in JavaScript that is read together; each file is parsed once something needs it."""

    def __init__(self, files: ParsedFiles | None, place: Place | None = None) -> None:
        """Take the files, or the place of a template that the code stands in."""
        self.files = files
        self.inline = place
        self.parsed: Mapping[str, Parsed] = files if files is not None else {}
        self.entries: list[Entry] = []
        self.functions: dict[tuple[str, str], Function] = {}
        self.any: Function | None = None

    def enter(self, path: str, function: Function) -> None:
        """Take a function whose handler is in a file."""
        self.any = self.any or function
        name = handler_of(function)
        if path not in self.parsed or not name or shows_entries(function):
            return
        self.functions.setdefault((path, name), function)
        for event in events_of(function):
            shape = "openfaas" if function.platform is Platform.OPENFAAS else "lambda"
            self.entries.append(Entry(path=path, name=name, event=event, shape=shape))

    def place(self, at: FlowPlace) -> Place:
        """Return where something is in what is audited."""
        if self.inline is not None:
            return Place(self.inline.file, at.line + self.inline.line - 1, at.column + 1)
        file = self.files.file(at.path) if self.files is not None else at.path
        return Place(file, at.line, at.column + 1)

    def of(self, entry: Entry) -> Function | None:
        """Return the function that an entry is of."""
        return self.functions.get((entry.path, entry.name), self.any)


def script_of(function: Function) -> tuple[str, str]:
    """Return the part that a function's JavaScript is in, and the file of its handler there."""
    if shows_entries(function):
        return f"in {function.code}", ""
    if function.inline:
        return f"#{function.name}", "index.js"
    root = f"{function.code}/" if function.code not in (None, "", ".") else ""
    return root, function.entry.removeprefix(root)


def script_parts(application: Application, code: Code) -> Mapping[str, ScriptPart]:
    """Return the JavaScript of an application, each part once."""
    parts: dict[str, ScriptPart] = {}
    for function in application.functions:
        name, path = script_of(function)
        if shows_entries(function):
            if name in parts:
                part = parts[name]
                if part.any is not None and WIDTH[function.reach] > WIDTH[part.any.reach]:
                    part.any = function
                continue
            part = ScriptPart(ParsedFiles(code, "", function.files))
            part.any = function
            texts = {each: code.text(each) or "" for each in part.parsed}
            part.entries += discover_scripts(texts)
            parts[name] = part
        elif function.language != "javascript":
            continue
        elif function.inline:
            part = parts[name] = ScriptPart(None, function.inline_place or function.place)
            part.parsed = {path: parsed_inline(path, function.inline)}
            part.enter(path, function)
        elif function.code is not None:
            if name not in parts:
                parts[name] = ScriptPart(ParsedFiles(code, name, function.files))
            parts[name].enter(path, function)
    return parts
