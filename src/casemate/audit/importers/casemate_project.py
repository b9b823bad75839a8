"""`casemate.toml`: a project of this platform, as it is written, whether or not it would deploy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from casemate.audit.documents import List, Map, place_of
from casemate.audit.importers.aws.resource import at, listed, number, text, truth
from casemate.audit.importers.code_files import CodeFiles
from casemate.audit.importers.port import Source
from casemate.audit.model import (
    Application,
    Asset,
    Function,
    Logging,
    Place,
    Platform,
    Reach,
    Statement,
    Trigger,
    Variable,
)
from casemate.audit.workspace import Workspace
from casemate.decoding import toml_of
from casemate.manifest.grant_tables import KEYS
from casemate.manifest.locator import KeyLocator, KeyPath
from casemate.manifest.reading import MAX_BYTES
from casemate.model.grant import ACTIONS
from casemate.model.trigger import TriggerKind

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MIB = {"KB": 1 / 1024, "KiB": 1 / 1024, "MB": 1.0, "MiB": 1.0, "GB": 1024.0, "GiB": 1024.0}
_GRANTED = {key: kind for kind, key in KEYS.items()}
_TRIGGERS = tuple(kind.value for kind in TriggerKind if kind.value not in ("http", "invoke"))
_MAX_NESTING = 20
_MAX_BITS = 64
"""Of a number: TOML has no larger ones, and Python writes none that is much longer."""


class CasemateProject:
    """Manifests of this platform."""

    name = "casemate"
    by_folder = False

    def recognises(self, source: Source) -> bool:
        """Tell whether it is called so."""
        return source.file.rpartition("/")[2] == "casemate.toml"

    def inner(self, source: Source, workspace: Workspace) -> Iterable[str]:
        """Return nothing: projects do not nest."""
        return ()

    def read(self, source: Source, workspace: Workspace) -> Iterator[Application]:
        """Return the project."""
        written = workspace.template(source.file) or ""
        try:
            if len(written) > MAX_BYTES:
                raise ValueError("more than a manifest may have")
            data = toml_of(written)
        except ValueError as error:
            workspace.note(source.file, f"it is not TOML: {str(error)[:200]}")
            return
        document = _placed(data, (), source.file, KeyLocator(written))
        code = CodeFiles.of(workspace)
        functions = at(document, "function")
        place = Place(source.file)
        made = []
        for name, each in functions.items() if isinstance(functions, dict) else ():
            if isinstance(each, Map):
                made.append(_function(name, each, place_of(functions, name), source.file, code))
            else:
                workspace.note(source.file, f"function.{name[:64]} is not a table")
        yield Application(
            name=text(at(document, "project", "name")) or source.file,
            platform=Platform.CASEMATE,
            importer=self.name,
            place=place,
            functions=tuple(made),
            assets=tuple(_assets(document)),
        )


def _placed(value: Any, path: KeyPath, file: str, locator: KeyLocator) -> Any:
    """Return tables and arrays that know where they stand."""
    if len(path) > _MAX_NESTING:
        return None
    line, _column = locator.locate(path) if path else (1, 1)
    if isinstance(value, dict):
        made = Map(file, line)
        for key, each in value.items():
            made[key] = _placed(each, (*path, key), file, locator)
            at_line, at_column = locator.locate((*path, key))
            made.places[key] = (at_line, at_column)
        return made
    if isinstance(value, list):
        items = List(file, line)
        for index, each in enumerate(value):
            items.append(_placed(each, (*path, index), file, locator))
            at_line, at_column = locator.locate((*path, index))
            items.places.append((at_line, at_column))
        return items
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return None
    return value


def _measured(value: Any, units: dict[str, float]) -> float | None:
    """Return `10s` or `256MB` as a number."""
    written = text(value).strip()
    digits = written.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    found, unit = number(digits), written[len(digits) :]
    return found * units[unit] if found is not None and unit in units else None


def _function(name: str, each: Map, place: Place, file: str, code: CodeFiles) -> Function:
    folder = code.folder(file, text(each.get("source")) or ".")
    module = text(each.get("handler")).partition(":")[0]
    limits = at(each, "limits")
    timeout, memory = (
        _measured(at(limits, "timeout") or "10s", _UNITS),
        _measured(at(limits, "memory") or "256MB", _MIB),
    )
    concurrency = number(at(limits, "concurrency"))
    environment = each.get("environment")
    keep = _measured(at(each, "logs", "keep") or "7d", {**_UNITS, "h": 3600.0})
    return Function(
        name=name,
        platform=Platform.CASEMATE,
        runtime=f"python{text(each.get('python'))}",
        handler=text(each.get("handler")),
        code=folder,
        files=code.files(folder) if folder is not None else (),
        entry=code.entry(folder, f"{module}.handler", "python") if folder is not None else "",
        triggers=tuple(_triggers(each, place)),
        permissions=tuple(_grants(each, place)),
        role=name,
        environment=tuple(
            Variable(key, text(value), place_of(environment, key))
            for key, value in (environment.items() if isinstance(environment, Map) else ())
        ),
        timeout=timeout,
        memory=int(memory) if memory is not None else None,
        concurrency=int(concurrency) if concurrency is not None else 16,
        logging=Logging(
            declared=True, encrypted=True, retention_days=int(keep // 86400) if keep else None
        ),
        settings={"manifest": each},
        place=place,
    )


def _triggers(each: Map, place: Place) -> Iterator[Trigger]:
    public = truth(each.get("public"))
    reach = Reach.PUBLIC if public else Reach.AUTHENTICATED
    if truth(each.get("internal")):
        reach = Reach.INTERNAL
    routes = each.get("http")
    for index, route in enumerate(listed(routes)):
        yield Trigger(
            kind="http",
            reach=reach,
            how="" if public else "token",
            method=text(at(route, "method")).replace("*", "ANY"),
            path=text(at(route, "path")),
            place=place_of(routes, index, place),
            settings=route if isinstance(route, dict) else {},
        )
    for kind in _TRIGGERS:
        found = each.get(kind)
        for index, trigger in enumerate(listed(found)):
            yield Trigger(
                kind=kind,
                reach=Reach.AUTHENTICATED if kind in ("repository", "s3") else Reach.INTERNAL,
                source=text(at(trigger, kind)),
                place=place_of(found, index, place),
                settings=trigger if isinstance(trigger, dict) else {},
            )
    # Past its routes only with a contract for it, as in `FunctionSpec.direct`.
    if public and listed(routes) and not each.get("contract"):
        public, reach = False, Reach.AUTHENTICATED
    yield Trigger(kind="invoke", reach=reach, how="" if public else "token", place=place)


def _grants(each: Map, place: Place) -> Iterator[Statement]:
    grants = each.get("grants")
    for key, found in grants.items() if isinstance(grants, Map) else ():
        kind = _GRANTED.get(key)
        if kind is None:
            continue
        for index, grant in enumerate(listed(found)):
            name = text(at(grant, "name") or at(grant, "host")) or text(grant)
            actions = tuple(map(text, listed(at(grant, "actions")))) or ACTIONS[kind]
            yield Statement(
                actions=tuple(f"{kind.value}:{action}" for action in actions),
                resources=(f"{kind.value}/{name}",),
                conditions=grant if isinstance(grant, dict) else {},
                origin="grant",
                place=place_of(found, index, place_of(grants, key, place)),
            )


def _assets(document: Any) -> Iterator[Asset]:
    for kind in ("bucket", "table", "queue", "topic"):
        found = at(document, kind)
        for name, each in found.items() if isinstance(found, Map) else ():
            settings = each if isinstance(each, dict) else {}
            yield Asset(kind=kind, name=name, settings=settings, place=place_of(found, name))
