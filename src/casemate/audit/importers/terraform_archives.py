"""Where the code of a function is that a plan of Terraform packs into an archive.

Functions name an archive (`filename`). What it is made of is in the plan too: the data sources
`archive_file` of HashiCorp, and `external` in the module `terraform-aws-modules/lambda`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from casemate.audit.documents import Map
from casemate.audit.importers.aws.resource import at, listed, text

_MAX_MODULES = 2_000


class Archives:
    """What archives are made of, by the name of their file and by the address of their source."""

    def __init__(self, document: Any) -> None:
        """Read all of a plan."""
        self._files: dict[str, str] = {}
        self._addresses: dict[str, str] = {}
        configured = at(document, "configuration", "root_module")
        for address, kind, expressions in _sources(configured, "expressions", "module_calls"):
            values = {key: at(each, "constant_value") for key, each in expressions.items()}
            self._take(address, kind, values)
        for state in ("prior_state", "planned_values"):
            module = at(document, state, "values", "root_module") or at(
                document, state, "root_module"
            )
            for address, kind, values in _sources(module, "values", ""):
                self._take(address, kind, values)
        for address, kind, values in _sources(at(document, "values", "root_module"), "values", ""):
            self._take(address, kind, values)

    def _take(self, address: str, kind: str, values: dict[str, Any]) -> None:
        if kind == "archive_file":
            file, made_of = text(values.get("output_path")), _made_of(values)
        elif kind == "external":
            file = text(at(values, "result", "filename"))
            made_of = _first_path(text(at(values, "query", "source_path")))
        else:
            return
        if made_of:
            self._addresses[address] = made_of
            if file:
                self._files[_normal(file)] = made_of

    def unpack(self, values: Map) -> None:
        """Name the folder of a function's code in the place of the archive it comes in."""
        named = text(values.get("filename"))
        found = self._files.get(_normal(named))
        if found is None and named.startswith("${"):
            address = named.removeprefix("${").removesuffix("}").rpartition(".")[0]
            found = self._addresses.get(address.replace("/", "."))
        if found is not None:
            values["filename"] = found


def _sources(module: Any, key: str, calls: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield address, type and values of the data sources of a module and of those below."""
    waiting, count = [("", module)], 0
    while waiting and count < _MAX_MODULES:
        count += 1
        prefix, each = waiting.pop()
        waiting += [("", child) for child in listed(at(each, "child_modules"))]
        called = at(each, calls) if calls else None
        for name, call in called.items() if isinstance(called, dict) else ():
            waiting.append((f"{prefix}module.{name}.", at(call, "module")))
        for resource in listed(at(each, "resources")):
            values = at(resource, key)
            if at(resource, "mode") == "data" and isinstance(values, dict):
                yield prefix + text(at(resource, "address")), text(at(resource, "type")), values


def _made_of(values: dict[str, Any]) -> str:
    folder, file = text(values.get("source_dir")), text(values.get("source_file"))
    return folder or (str(PurePosixPath(file).parent) if file else "")


def _first_path(query: str) -> str:
    """Return the first path of `["src/app"]` or `[{"path": "src/app"}]`, as the module asks."""
    try:
        found = json.loads(query) if query else None
    except (ValueError, RecursionError):
        return ""
    first = found[0] if isinstance(found, list) and found else found
    path = text(at(first, "path") if isinstance(first, dict) else first)
    return str(PurePosixPath(path).parent) if path.endswith((".py", ".js", ".mjs")) else path


def _normal(path: str) -> str:
    return str(PurePosixPath(path)) if path else ""
