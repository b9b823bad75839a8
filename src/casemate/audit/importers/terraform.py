"""Plans of Terraform in JSON (`terraform show -json`), as the resources of CloudFormation they are.

A plan has no lines: places are those of its file, findings name the address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from casemate.audit.documents import Map
from casemate.audit.importers.aws.application import application_of
from casemate.audit.importers.aws.resource import Resource, at, listed, text
from casemate.audit.importers.port import Source
from casemate.audit.importers.terraform_resources import ATTACHED, TYPES, Joining, converted
from casemate.audit.limits import MAX_NOTES
from casemate.audit.model import Application, Place
from casemate.audit.notes import Notes
from casemate.audit.workspace import Workspace

_MAX_RESOURCES = 20_000
_MAX_MODULES = 2_000


class Terraform:
    """Plans with functions of AWS in them."""

    name = "terraform"
    by_folder = False

    def recognises(self, source: Source) -> bool:
        """Tell whether it is a plan or a state in JSON."""
        found = source.documents[0] if source.documents else None
        return isinstance(found, dict) and (
            "planned_values" in found or ("terraform_version" in found and "values" in found)
        )

    def inner(self, source: Source, workspace: Workspace) -> Iterable[str]:
        """Return nothing: modules are in the plan."""
        return ()

    def read(self, source: Source, workspace: Workspace) -> Iterator[Application]:
        """Return the application that a plan makes."""
        document = source.documents[0]
        planned = document.get("planned_values") or document.get("values")
        references = _references(at(document, "configuration", "root_module"))
        place, notes = Place(source.file), Notes(MAX_NOTES)
        resources, attached, unknown = [], [], set[str]()
        for kind, address, values in _resources(at(planned, "root_module"), place, notes):
            if kind in TYPES or kind in ATTACHED:
                name = _name(address)
                expressions = references.get(re.sub(r"\[[^\]]{1,200}\]", "", address), {})
                properties = converted(kind, _completed(values, expressions), source.file)
                if kind in ATTACHED:
                    attached.append((kind, properties))
                else:
                    resources.append(Resource(name, TYPES[kind], properties, place))
            elif kind.startswith("aws_"):
                unknown.add(kind)
        joining = Joining(resources)
        for kind, properties in attached:
            joining.join(kind, properties)
        for kind in sorted(unknown)[:50]:
            notes.say(place, f"resources of the type {kind[:64]} are not looked at")
        yield application_of(source.file, self.name, resources, place, workspace, unresolved=notes)


def _resources(module: Any, place: Place, notes: Notes) -> Iterator[tuple[str, str, Map]]:
    waiting, modules, count = [module], 0, 0
    while waiting and modules < _MAX_MODULES:
        modules += 1
        each = waiting.pop()
        waiting += listed(at(each, "child_modules"))
        for resource in listed(at(each, "resources")):
            values = at(resource, "values")
            if isinstance(values, dict) and at(resource, "mode") in (None, "managed"):
                count += 1
                if count > _MAX_RESOURCES:
                    notes.say(place, f"more than {_MAX_RESOURCES} resources: the rest is not read")
                    return
                made = Map()
                made.update(values)
                yield text(at(resource, "type")), text(at(resource, "address")), made
    if waiting:
        notes.say(place, f"more than {_MAX_MODULES} modules: the rest is not read")


def _references(module: Any) -> dict[str, dict[str, Any]]:
    """Return the expressions of resources by their address: what refers to what."""
    found: dict[str, dict[str, Any]] = {}
    waiting, modules = [("", module)], 0
    while waiting and modules < _MAX_MODULES:
        modules += 1
        prefix, each = waiting.pop()
        for resource in listed(at(each, "resources")):
            expressions = at(resource, "expressions")
            if isinstance(expressions, dict):
                found[prefix + text(at(resource, "address"))] = {
                    key: (prefix, value) for key, value in expressions.items()
                }
        calls = at(each, "module_calls")
        for name, call in calls.items() if isinstance(calls, dict) else ():
            waiting.append((f"{prefix}module.{name}.", at(call, "module")))
    return found


def _completed(values: Map, expressions: dict[str, Any]) -> Map:
    """Return values with references in the place of what is known after the deployment."""
    for key, (prefix, expression) in expressions.items():
        if values.get(key) is None:
            found = at(expression, "references", 0)
            if isinstance(found, str) and not found.startswith(
                ("var.", "local.", "each.", "count.")
            ):
                values[key] = _reference(prefix, found)
        elif isinstance(values[key], list) and isinstance(expression, list):
            for block, inner in zip(values[key], expression, strict=False):
                if isinstance(block, dict) and isinstance(inner, dict):
                    for name, each in inner.items():
                        found = at(each, "references", 0)
                        if block.get(name) is None and isinstance(found, str):
                            block[name] = _reference(prefix, found)
    return values


def _reference(prefix: str, found: str) -> str:
    data = found.startswith("data.")
    parts = found.removeprefix("data.").split(".")
    start = 4 if parts[0] == "module" else 2
    name, rest = ".".join(parts[:start]), ".".join(parts[start:])
    marked = f"data/{name}" if data else prefix + name
    return "${" + _name(marked) + (f".{rest}" if rest else "") + "}"


def _name(address: str) -> str:
    return re.sub(r"\[([^\]]{1,200})\]", r"_\1", address).replace(".", "/").replace('"', "")
