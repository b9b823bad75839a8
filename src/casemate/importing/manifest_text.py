"""`casemate.toml` out of tables, with what a person has to look at as comments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from casemate.importing.outcome import shown
from casemate.manifest.rendering import toml_value

_LONG = 96


def text_of(
    project: str,
    functions: Mapping[str, Mapping[str, Any]],
    declared: Mapping[str, Mapping[str, Mapping[str, Any]]],
    comments: Mapping[tuple[str, str], list[str]],
    first: list[str],
) -> str:
    """Return a manifest. `comments` stand by function and key; `first` at the beginning."""
    lines = [
        *(f"# {shown(each)}" for each in first),
        "",
        "[project]",
        f"name = {toml_value(project)}",
    ]
    for name, function in functions.items():
        lines += ["", *_function(name, function, comments)]
    for kind, tables in declared.items():
        for name, table in tables.items():
            lines += ["", f"[{kind}.{name}]", *_pairs(table)]
    return "\n".join(lines) + "\n"


def _function(
    name: str, function: Mapping[str, Any], comments: Mapping[tuple[str, str], list[str]]
) -> Iterator[str]:
    def told(key: str) -> Iterator[str]:
        yield from (f"# {shown(each)}" for each in comments.get((name, key), ()))

    yield f"[function.{name}]"
    yield from told("")
    tables = {key: value for key, value in function.items() if isinstance(value, (dict, list))}
    yield from _pairs({key: value for key, value in function.items() if key not in tables})
    for key in tables if ("environment" in tables) else (*tables, "environment"):
        value = tables.get(key, {})
        if isinstance(value, list):
            for each in value:
                yield from ("", f"[[function.{name}.{key}]]", *_pairs(each))
        elif value or comments.get((name, key)):
            yield from ("", f"[function.{name}.{key}]", *told(key), *_pairs(value))


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        line = f"{key} = {toml_value(value)}"
        if isinstance(value, list) and len(line) > _LONG:
            yield f"{key} = ["
            yield from (f"  {toml_value(each)}," for each in value)
            yield "]"
        else:
            yield line
