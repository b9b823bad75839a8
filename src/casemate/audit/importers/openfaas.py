"""`stack.yml` of OpenFaaS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from casemate.audit.documents import DocumentError, Map, place_of, read_documents
from casemate.audit.importers.aws.resource import at, listed, number, text, truth
from casemate.audit.importers.code_files import CodeFiles
from casemate.audit.importers.port import Source
from casemate.audit.model import Application, Function, Place, Platform, Reach, Trigger, Variable
from casemate.audit.workspace import Workspace

_MOST = 1e15
"""Beyond which a number of bytes is none that a machine has."""
_LANGUAGES = ("python", "node", "golang", "go", "ruby", "java")


class OpenFaas:
    """Stacks of OpenFaaS."""

    name = "openfaas"
    by_folder = False

    def recognises(self, source: Source) -> bool:
        """Tell whether it is a stack: its provider says so."""
        found = source.documents[0] if source.documents else None
        if not isinstance(found, Map) or not isinstance(found.get("functions"), Map):
            return False
        return text(at(found, "provider", "name")) in ("openfaas", "faas")

    def inner(self, source: Source, workspace: Workspace) -> Iterable[str]:
        """Return nothing."""
        return ()

    def read(self, source: Source, workspace: Workspace) -> Iterator[Application]:
        """Return the application."""
        document = source.documents[0]
        code = CodeFiles.of(workspace)
        functions = document["functions"]
        yield Application(
            name=source.file,
            platform=Platform.OPENFAAS,
            importer=self.name,
            place=Place(source.file),
            functions=tuple(
                _function(name, each, functions, source.file, workspace, code)
                for name, each in functions.items()
                if isinstance(each, Map)
            ),
            settings={"gateway": text(at(document, "provider", "gateway"))},
        )


def _function(
    name: str, each: Map, functions: Map, file: str, workspace: Workspace, code: CodeFiles
) -> Function:
    place = place_of(functions, name)
    folder = code.folder(file, text(each.get("handler")))
    language = text(each.get("lang"))
    runtime = _runtime(language)
    environment = each.get("environment")
    entry = ""
    if folder is not None:
        entry = code.entry(folder, "handler.handle", runtime)
    annotations = at(each, "annotations")
    kind = "schedule" if text(at(annotations, "topic")) == "cron-function" else "http"
    return Function(
        name=name,
        platform=Platform.OPENFAAS,
        runtime=runtime,
        handler="handler.handle",
        code=folder,
        files=code.files(folder) if folder is not None else (),
        entry=entry,
        # The gateway asks nothing of who calls a function: only its own API has a password.
        triggers=(
            Trigger(
                kind="http", reach=Reach.PUBLIC, method="ANY", path=f"/function/{name}", place=place
            ),
            *((Trigger(kind=kind, reach=Reach.INTERNAL, place=place),) if kind != "http" else ()),
        ),
        environment=(
            *_variables(environment),
            *_of_files(listed(each.get("environment_file")), place, file, workspace),
        ),
        timeout=_seconds(at(environment, "exec_timeout")),
        memory=_mib(at(each, "limits", "memory")),
        settings={
            "stack": each,
            "lang": language,
            "schedule": text(at(annotations, "schedule")) if kind == "schedule" else "",
            "image": text(each.get("image")),
            "limits": at(each, "limits"),
            "read_only": truth(each.get("readonly_root_filesystem")),
            "secrets": tuple(map(text, listed(each.get("secrets")))),
            "debug": truth(at(environment, "write_debug"))
            or truth(at(environment, "combine_output")),
            "inherits": truth(at(environment, "inherit_environment")),
        },
        role=name,
        place=place,
    )


def _runtime(language: str) -> str:
    """Return what a template of OpenFaaS runs: `python3.11` for `python311-http`."""
    name = next((each for each in _LANGUAGES if language.startswith(each)), "")
    if not name:
        return language
    rest = language.removeprefix(name)
    version = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    if name == "python":
        return f"python{version[:1] or '3'}" + (f".{version[1:]}" if version[1:] else "")
    if name == "node" and version:
        return f"nodejs{version}.x"
    return name + version


def _variables(environment: Any) -> tuple[Variable, ...]:
    if not isinstance(environment, Map):
        return ()
    return tuple(Variable(k, text(v), place_of(environment, k)) for k, v in environment.items())


def _of_files(
    names: list[Any], place: Place, file: str, workspace: Workspace
) -> Iterator[Variable]:
    """Yield the variables of files that a function names. What cannot be read is noted."""
    for name in map(text, names):
        found = workspace.resolve(file, name)
        content = workspace.template(found) if found is not None else None
        if found is None or content is None:
            what = f"the file {name[:128]!r} of its environment is not here"
            workspace.note(place.file, what, place.line)
            continue
        try:
            documents, _ = read_documents(content, found)
        except DocumentError as error:
            workspace.note(found, error.message, error.line)
            continue
        yield from _variables(at(documents[0] if documents else None, "environment"))


def _seconds(value: Any) -> float | None:
    written = text(value)
    found = number(written.rstrip("smh"))
    scale = {"m": 60.0, "h": 3600.0}.get(written[-1:], 1.0)
    return found * scale if found is not None else None


def _mib(value: Any) -> int | None:
    written = text(value)
    found = number(written.rstrip("iBKMGkmg"))
    scale = 1024 if "G" in written.upper() else 1
    return int(min(found, _MOST) * scale) if found is not None else None
