"""From a path to a validated project, or to one error that names everything wrong with it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from casemate.decoding import decodable
from casemate.manifest.contracts import read_contracts
from casemate.manifest.destinations import check_delivery, check_rings
from casemate.manifest.environment import check_environment
from casemate.manifest.error_tables import check_errors
from casemate.manifest.folder import ProjectFolder
from casemate.manifest.grant_tables import KEYS
from casemate.manifest.grants import check_declared, grants_of, ordered
from casemate.manifest.guard_places import check_location
from casemate.manifest.handlers import check_handler
from casemate.manifest.locator import KeyPath
from casemate.manifest.package_tables import packages_of
from casemate.manifest.problem import ProblemCollector, dotted, file_problem
from casemate.manifest.reading import read_document
from casemate.manifest.rejection import RejectedValueError
from casemate.manifest.resources import declared_names, resources_of
from casemate.manifest.routes import RouteTable
from casemate.manifest.tables import FUNCTION, LIMITS, MANIFEST
from casemate.manifest.triggers import PlacedTrigger, check_consumed, check_consumers, triggers_of
from casemate.manifest.triggers import ordered as ordered_triggers
from casemate.manifest.validation import Values, validate
from casemate.model.function import Project
from casemate.model.grant import Grant, GrantKind

MANIFEST_NAME = "casemate.toml"


def load(path: Path, *, unwritten_contracts: bool = False) -> Project:
    """Return the project that the manifest at `path` declares.

    The manifest's folder is the project's folder: source, requirements and contracts must be
    inside it. With `unwritten_contracts` a contract whose file is not there or cannot be used is
    none, for who is about to write it.
    Raises ManifestError, and nothing else, with every problem found.
    """
    document = read_document(path)
    problems = ProblemCollector(str(path), document.locator)
    values = validate(MANIFEST, document.data, problems)
    functions = _functions(values)
    _check_routes(functions, problems)
    resources = resources_of(values, problems)
    declared = {GrantKind(key): names for key, names in declared_names(values).items()}
    declared[GrantKind.FUNCTION] = list(functions)
    headers = {header.path[:4] for header in document.locator.headers}
    grants = {
        name: _grants(name, function, declared, problems) for name, function in functions.items()
    }
    try:
        folder = ProjectFolder(path.parent)
    except OSError as error:
        raise file_problem(
            path, f"a folder that cannot be read ({error.strerror})", "a readable project folder"
        ) from error
    for name, function in functions.items():
        _check_files(folder, name, function, problems)
        read_contracts(
            folder, function, ("function", name), problems, unwritten=unwritten_contracts
        )
    triggers = {
        name: _triggers(name, function, declared, problems) for name, function in functions.items()
    }
    check_consumers(triggers, problems)
    check_rings(functions, triggers, problems)
    problems.raise_if_any()
    try:
        return msgspec.convert(
            {
                **_table(values, "project"),
                "functions": [
                    {
                        **spec,
                        "name": name,
                        "packages": msgspec.to_builtins(packages_of(spec)),
                        "grants": msgspec.to_builtins(grants[name]),
                        "grants_in_tables": [
                            kind
                            for kind, key in KEYS.items()
                            if ("function", name, "grants", key) in headers
                        ],
                        "triggers": msgspec.to_builtins(ordered_triggers(triggers[name])),
                    }
                    for name, spec in functions.items()
                ],
                "resources": msgspec.to_builtins(resources),
            },
            decodable(Project),
        )
    except msgspec.ValidationError as error:
        raise file_problem(path, f"values that do not fit ({error})", "a valid project") from error


def _functions(values: Values) -> dict[str, Values]:
    functions = _table(values, "function")
    return {name: value for name, value in functions.items() if isinstance(value, dict)}


def _table(values: Values, name: str) -> Values:
    table = values.get(name)
    return table if isinstance(table, dict) else {}


def _check_routes(functions: dict[str, Values], problems: ProblemCollector) -> None:
    """Note every route that answers what an earlier one of the project answers."""
    table = RouteTable()
    for name, function in functions.items():
        triggers = function.get("http")
        for index, trigger in enumerate(triggers if isinstance(triggers, list) else ()):
            method, template = trigger.get("method"), trigger.get("path")
            if not isinstance(method, str) or not isinstance(template, str):
                continue
            path: KeyPath = ("function", name, "http", index)
            owner = table.add(method, template, f"{dotted(path[:2])} on line {problems.line(path)}")
            if owner is not None:
                problems.add(
                    (*path, "path"),
                    f"the route {method} {template}, which is the same as one of {owner}",
                    "each route once in the project",
                )


def _grants(
    name: str,
    function: Values,
    declared: dict[GrantKind, list[str]],
    problems: ProblemCollector,
) -> tuple[Grant, ...]:
    """Return the grants of a function; note what is wrong with these, or with who may call it."""
    path: KeyPath = ("function", name)
    environment = function.get("environment")
    if isinstance(environment, dict):
        check_environment(environment, (*path, "environment"), problems)
    if function.get("internal") is True and (function.get("public") or function.get("http")):
        problems.add(
            (*path, "internal"),
            "true for a function that is public or has routes",
            "internal only for what other functions alone invoke",
        )
    _check_cors(_table(function, "cors"), (*path, "cors"), problems)
    _check_warm(_table(function, "limits"), (*path, "limits", "warm"), problems)
    placed = grants_of(_table(function, "grants"), (*path, "grants"), problems)
    check_declared(placed, declared, problems)
    return ordered(placed)


def _check_warm(limits: Values, path: KeyPath, problems: ProblemCollector) -> None:
    """Note more instances kept ready than there may be."""
    warm, most = limits.get("warm"), limits.get("concurrency", LIMITS.default("concurrency"))
    if isinstance(warm, int) and isinstance(most, int) and warm > most:
        problems.add(path, str(warm), f"at most concurrency, which is {most}")


def _check_cors(cors: Values, path: KeyPath, problems: ProblemCollector) -> None:
    """Note what would let every page of the web act as the user of its browser."""
    origins = cors.get("origins")
    if not cors or not isinstance(origins, list):
        return
    if "*" in origins and (len(origins) > 1 or cors.get("credentials") is True):
        problems.add(
            (*path, "origins"),
            '"*" together with other origins or with credentials = true',
            "origins by name, or * alone and without credentials",
        )


def _triggers(
    name: str,
    function: Values,
    declared: dict[GrantKind, list[str]],
    problems: ProblemCollector,
) -> list[PlacedTrigger]:
    """Return the triggers of a function; note what is wrong with these, its delivery or errors."""
    placed = triggers_of(function, ("function", name), problems)
    check_consumed(name, placed, declared, problems)
    check_delivery(name, _table(function, "delivery"), placed, declared, problems)
    check_errors(name, function, problems)
    return placed


def _check_files(
    folder: ProjectFolder, name: str, function: Values, problems: ProblemCollector
) -> None:
    """Note what the source, the requirements and the handler lack on the disk."""
    requirements, handler = function.get("requirements"), function.get("handler")
    source = function.get("source", FUNCTION.default("source"))
    python = function.get("python")
    key = "source"
    try:
        if isinstance(source, str):
            folder.source(source)
            key = "handler"
            if isinstance(handler, str):
                check_handler(folder, source, handler, python if isinstance(python, str) else None)
    except RejectedValueError as error:
        problems.add(("function", name, key), error.found, error.expected)
    _check_exceptions(folder, name, function, problems)
    try:
        if isinstance(requirements, str):
            folder.requirements(requirements)
    except RejectedValueError as error:
        problems.add(("function", name, "requirements"), error.found, error.expected)


def _check_exceptions(
    folder: ProjectFolder, name: str, function: Values, problems: ProblemCollector
) -> None:
    """Note exceptions of the sink guard that can match nothing."""
    source = function.get("source", FUNCTION.default("source"))
    handler, exceptions = function.get("handler"), function.get("guard", ())
    if not isinstance(source, str) or not isinstance(exceptions, (list, tuple)):
        return
    for number, exception in enumerate(exceptions):
        sink = exception.get("sink") if isinstance(exception, dict) else None
        location = exception.get("location") if isinstance(exception, dict) else None
        if isinstance(sink, str) and isinstance(location, str):
            try:
                check_location(folder, source, sink, location, str(handler))
            except RejectedValueError as error:
                path = ("function", name, "guard", number, "location")
                problems.add(path, error.found, error.expected)
