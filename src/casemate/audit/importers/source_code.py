"""Code without a manifest: functions of Google Cloud by their decorators, else files alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from casemate.audit.code.reading import Code, PythonFile
from casemate.audit.importers.code_files import CodeFiles
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


def read_code(workspace: Workspace, *, alone: bool) -> Iterator[Application]:
    """Yield functions of Google Cloud; with `alone` at least all code as one application."""
    files = CodeFiles(workspace)
    code = Code(workspace)
    folders: dict[str, list[Function]] = {}
    for name in files.files("."):
        text = workspace.text(name) if name.endswith(".py") else None
        if text is None or not any(sign in text for sign in _SIGNS):
            continue
        found = code.python(name)
        for function in _functions(found, files) if found is not None else ():
            folders.setdefault(function.code or ".", []).append(function)
    for folder, functions in sorted(folders.items()):
        yield Application(
            name=folder,
            platform=Platform.GOOGLE,
            importer="google",
            place=Place(functions[0].place.file),
            functions=tuple(functions),
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


def _functions(found: PythonFile, files: CodeFiles) -> Iterator[Function]:
    folder = found.file.rpartition("/")[0] or "."
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
                place = found.place(node)
                # Whether callers have to show who they are is said at deploy, not here.
                reach = Reach.UNKNOWN if kind == "http" else Reach.INTERNAL
                yield Function(
                    name=node.name,
                    platform=Platform.GOOGLE,
                    runtime="python3",
                    handler=node.name,
                    code=folder,
                    files=files.files(folder),
                    entry=found.file,
                    triggers=(Trigger(kind=kind, reach=reach, path="/", place=place),),
                    place=place,
                )
