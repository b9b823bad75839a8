"""Code without a manifest: functions of Google Cloud by their decorators, else files alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Set

import msgspec

from casemate.audit.code.reading import Code, PythonFile
from casemate.audit.importers.code_files import CodeFiles
from casemate.audit.importers.google_commands import Deployed, deployed
from casemate.audit.model import Application, Function, Place, Platform, Reach, Trigger
from casemate.audit.workspace import Workspace

_HTTP = (
    "functions_framework.http",
    "functions_framework.typed",
    "firebase_functions.https_fn.on_request",
)
_EVENTS = ("functions_framework.cloud_event",)
_FIREBASE = "firebase_functions."
_SIGNS = ("functions_framework", "firebase_functions")
_SCRIPTS = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts")
_SCRIPT_SIGNS = ("@google-cloud/functions-framework", "firebase-functions")
_REGISTERED = re.compile(
    r"\b(?P<call>http|cloudEvent)\(\s{0,20}[\"'](?P<name>[\w.-]{1,80})[\"']"
    r"|\bexports?(?:\.| const )(?P<exported>\w{1,80}) = ?\s{0,8}(?P<by>[\w.]{1,80}\()?"
)
"""What a file of JavaScript gives to Google Cloud or Firebase, and by which call."""
_MAX_OF_FILE = 500
"""Functions of a file of JavaScript that are told apart; the code of all is followed."""
_BY = re.compile(r"\bon[A-Z]\w{1,40}\(")


def read_code(workspace: Workspace, *, alone: bool) -> Iterator[Application]:
    """Yield functions of Google Cloud; with `alone` at least all code as one application."""
    files = CodeFiles.of(workspace)
    code = Code(workspace)
    folders: dict[str, list[Function]] = {}
    commands = tuple(deployed(workspace))
    for name in files.files("."):
        if name.endswith(_SCRIPTS):
            for function in _script_functions(name, code, files):
                said = _as_deployed(function, commands)
                folders.setdefault(function.code or ".", []).append(said)
            continue
        for function in _of_python(name, workspace, code, files, commands):
            folders.setdefault(function.code or ".", []).append(function)
    for folder, functions in sorted(folders.items()):
        yield Application(
            name=folder,
            platform=Platform.GOOGLE,
            importer="google",
            place=Place(functions[0].place.file),
            functions=tuple(_without_others(functions, folders.keys())),
        )
    everything = files.files(".")
    if alone and not folders and everything:
        yield Application(
            name=".",
            platform=Platform.CODE,
            importer="code",
            place=Place(everything[0]),
            functions=(
                Function(
                    name="code",
                    platform=Platform.CODE,
                    code=".",
                    files=everything,
                    place=Place(everything[0]),
                    triggers=(
                        Trigger(kind="other", reach=Reach.UNKNOWN, place=Place(everything[0])),
                    ),
                ),
            ),
        )


_FOLDERS = re.compile(r"(?:gcf|gcp|cloud|google)[-_]?(?:cloud[-_]?)?functions?|gcf", re.I)
"""Folders that are named after what they are deployed as."""
_CALLED = (["request"], ["req"], ["event", "context"], ["data", "context"], ["cloud_event"])
"""What Google Cloud gives to functions that no decorator marks."""
_HTTP_NAMES = ("request", "req")


def _of_python(
    name: str, workspace: Workspace, code: Code, files: CodeFiles, commands: tuple[Deployed, ...]
) -> Iterator[Function]:
    """Yield the functions of a file: those with a decorator, else what a command deploys."""
    text = workspace.text(name) if name.endswith(".py") else None
    if text is None:
        return
    marked = any(sign in text for sign in _SIGNS)
    folder, _, last = name.rpartition("/")
    named = _FOLDERS.fullmatch(folder.rpartition("/")[2]) is not None
    entries = {each.entry for each in commands if _may_be_of(each, folder)}
    if not marked and (last != "main.py" or not (named or entries)):
        return
    found = code.python(name)
    if found is None:
        return
    made = list(_functions(found, files))
    if not made and last == "main.py":
        plain = list(_plain_functions(found, files))
        made = plain if named or any(each.name in entries for each in plain) else []
    for function in made:
        yield _as_deployed(function, commands)


def _plain_functions(found: PythonFile, files: CodeFiles) -> Iterator[Function]:
    """Yield what Google Cloud can call of a `main.py` without decorators, and nothing else does."""
    tree = found.tree
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        given = [each.arg.lstrip("_") for each in node.args.args]
        if node.name in called or given not in _CALLED:
            continue
        kind = "http" if given[0] in _HTTP_NAMES else "event"
        yield _of_python_node(node, kind, found, files)


def _of_python_node(
    node: ast.FunctionDef | ast.AsyncFunctionDef, kind: str, found: PythonFile, files: CodeFiles
) -> Function:
    """Return what Google Cloud calls in Python, by a request or by an event."""
    folder, place = found.file.rpartition("/")[0] or ".", found.place(node)
    return Function(
        name=node.name,
        platform=Platform.GOOGLE,
        runtime="python3",
        handler=node.name,
        code=folder,
        files=files.files(folder),
        entry=found.file,
        triggers=(_trigger(kind, place),),
        place=place,
    )


def _trigger(kind: str, place: Place) -> Trigger:
    # Whether callers have to show who they are is said at deploy, not here.
    reach = Reach.UNKNOWN if kind == "http" else Reach.INTERNAL
    return Trigger(kind=kind, reach=reach, path="/", place=place)


def _may_be_of(command: Deployed, folder: str) -> bool:
    """Tell whether a command may deploy what is in a folder: one that names no other."""
    source = command.source.strip("./")
    if not source or "$" in source:
        return True
    return f"/{folder}/".endswith(f"/{source}/")


def _as_deployed(function: Function, commands: tuple[Deployed, ...]) -> Function:
    """Return a function as the commands deploy it: who may call it, and what starts it."""
    folder = (function.code or ".").removeprefix(".")
    said = [c for c in commands if c.entry == function.name and _may_be_of(c, folder)]
    said = [c for c in said if (c.trigger.kind == "http") == _is_http(function)]
    if not said:
        return function
    widest = max(said, key=lambda each: _WIDTHS.index(each.trigger.reach))
    given = tuple({v.name: v for each in said for v in each.environment}.values())
    settings = {**function.settings, "retried": widest.retried}
    return msgspec.structs.replace(
        function, triggers=(widest.trigger,), environment=given, settings=settings
    )


_WIDTHS = (Reach.INTERNAL, Reach.AUTHENTICATED, Reach.UNKNOWN, Reach.PUBLIC)


def _is_http(function: Function) -> bool:
    return any(each.kind == "http" for each in function.triggers)


def _without_others(functions: list[Function], folders: Set[str]) -> Iterator[Function]:
    """Leave out code in another language below a folder that is of functions of its own."""
    kept: dict[tuple[str, str | None], tuple[str, ...]] = {}
    for function in functions:
        key = (function.language, function.code)
        if key not in kept:
            other = _SCRIPTS if function.language == "python" else (".py",)
            kept[key] = tuple(
                name
                for name in function.files
                if not (name.endswith(other) and _is_below(name, function.code or ".", folders))
            )
        yield msgspec.structs.replace(function, files=kept[key])


def _is_below(name: str, folder: str, folders: Set[str]) -> bool:
    """Tell whether a file is in a folder of functions that is below another."""
    above = name.rpartition("/")[0]
    while above and above != folder:
        if above in folders:
            return True
        above = above.rpartition("/")[0]
    return False


def _functions(found: PythonFile, files: CodeFiles) -> Iterator[Function]:
    for node in found.tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            name = found.name(called)
            kind = "http" if name in _HTTP else "event" if name in _EVENTS else ""
            if not kind and name.startswith(_FIREBASE):
                kind = "http" if ".https_fn." in name else "event"
            if kind:
                yield _of_python_node(node, kind, found, files)


def _script_functions(name: str, code: Code, files: CodeFiles) -> Iterator[Function]:
    """Yield the functions of a file of JavaScript; their code is followed by what it registers."""
    text = code.text(name) if name.endswith(_SCRIPTS) else None
    if text is None or not any(sign in text for sign in _SCRIPT_SIGNS):
        return
    folder = name.rpartition("/")[0] or "."
    count = 0
    for line, written in enumerate(text.split("\n"), 1):
        found = _REGISTERED.search(written[:400])
        if found is None:
            continue
        by = _BY.search(written[:400])
        called = found["call"] or (by[0] if by is not None else "")
        if not called:
            continue
        if count == _MAX_OF_FILE:
            files.note(
                name, f"more than {_MAX_OF_FILE} functions: the rest have no name here", line
            )
            return
        count += 1
        http = called in ("http", "onRequest(", "onCall(")
        place = Place(name, line, found.start() + 1)
        yield Function(
            name=found["name"] or found["exported"],
            platform=Platform.GOOGLE,
            runtime="node",
            code=folder,
            files=files.files(folder),
            entry=name,
            triggers=(_trigger("http" if http else "event", place),),
            place=place,
        )
