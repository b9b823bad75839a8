"""A template of CloudFormation: its parts, its resources resolved, and the templates in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from casemate.audit.documents import DocumentError, List, Map, place_of, read_documents
from casemate.audit.importers.aws.intrinsics import ABSENT, Expansion, Scope
from casemate.audit.importers.aws.resource import OPTIONAL, Resource, text
from casemate.audit.limits import MAX_NESTED_TEMPLATES
from casemate.audit.model import Place, Unresolved
from casemate.audit.workspace import Workspace

_GLOBALS = {
    "Function": "AWS::Serverless::Function",
    "Api": "AWS::Serverless::Api",
    "HttpApi": "AWS::Serverless::HttpApi",
    "WebSocketApi": "AWS::Serverless::WebSocketApi",
    "SimpleTable": "AWS::Serverless::SimpleTable",
    "StateMachine": "AWS::Serverless::StateMachine",
    "LayerVersion": "AWS::Serverless::LayerVersion",
    "CapacityProvider": "AWS::Serverless::CapacityProvider",
}
_NESTED = {"AWS::CloudFormation::Stack": "TemplateURL", "AWS::Serverless::Application": "Location"}
_KNOWN_TRANSFORMS = (
    "AWS::Serverless-2016-10-31",
    "AWS::LanguageExtensions",
    "AWS::CodeDeployBlueGreen",
)


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of a template."""

    name: str
    type: str
    default: Any
    hidden: bool
    """`NoEcho`: its value is not shown to whoever looks at the stack."""
    place: Place


class Template(msgspec.Struct):
    """What came out of a template and those within it."""

    resources: list[Resource] = []
    parameters: list[Parameter] = []
    unresolved: list[Unresolved] = []
    description: str = ""
    shared: dict[str, Any] = {}
    """`Globals`, resolved."""


def is_template(document: Any) -> bool:
    """Tell whether a document is a template of CloudFormation or SAM."""
    if not isinstance(document, Map):
        return False
    resources = document.get("Resources")
    if not isinstance(resources, Map):
        return False
    if "AWSTemplateFormatVersion" in document or "Transform" in document:
        return True
    return any(
        isinstance(each, dict) and text(each.get("Type")).startswith(("AWS::", "Custom::"))
        for each in resources.values()
    )


def made_by_sam(resources: Map) -> Iterator[str]:
    """Yield the names of what SAM makes beside a resource: `FunctionUrl`, `ApiProdStage`."""
    for name, each in resources.items():
        kind = text(each.get("Type")) if isinstance(each, dict) else ""
        properties = each.get("Properties") if isinstance(each, dict) else None
        if not kind.startswith("AWS::Serverless::") or not isinstance(properties, dict):
            continue
        for last in (
            "Role",
            "Url",
            "UrlPublicPermissions",
            "Deployment",
            "Stage",
            "ApiGatewayDefaultStage",
        ):
            yield f"{name}{last}"
        alias, stage = properties.get("AutoPublishAlias"), properties.get("StageName")
        yield f"{name}Alias{alias}"
        yield f"{name}{stage}Stage"
        events = properties.get("Events")
        for event in events if isinstance(events, dict) else ():
            yield f"{name}{event}"


def read_template(document: Map, file: str, workspace: Workspace) -> Template:
    """Return a template with all that is in it, resolved."""
    made = Template(resources=[], parameters=[], unresolved=[])
    _Reader(workspace, made).read(document, file, "", {}, (file,))
    return made


class _Reader:
    """Reads a template, and those that it brings in from the disk."""

    def __init__(self, workspace: Workspace, made: Template) -> None:
        self._workspace = workspace
        self._made = made
        self._nested = 0

    def read(
        self, document: Map, file: str, prefix: str, given: dict[str, Any], chain: tuple[str, ...]
    ) -> None:
        parameters = self._parameters(document, given)
        resources = document.get("Resources")
        resources = resources if isinstance(resources, Map) else Map(file)
        # A parameter without a default is known by its name, not by its value.
        names = frozenset({*resources, *_map(document, "Parameters"), *made_by_sam(resources)})
        scope = Scope(
            parameters,
            _map(document, "Mappings"),
            _map(document, "Conditions"),
            names,
            prefix,
            lambda location: self._included(file, location),
        )
        self._check_transforms(document, scope)
        try:
            shared = scope.resolve(_map(document, "Globals"))
            if not prefix and isinstance(shared, dict):
                self._made.shared = shared
            self._resources(resources, scope, shared, file, prefix, chain)
        except Expansion:
            scope.note(Place(file), "this template expands to more than is read")
        self._made.unresolved += scope.notes
        if not prefix:
            self._made.description = text(document.get("Description"))[:500]

    def _parameters(self, document: Map, given: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        declared = _map(document, "Parameters")
        for name, each in declared.items():
            if not isinstance(each, dict):
                continue
            kind, default = text(each.get("Type")) or "String", each.get("Default")
            place = place_of(each, "Default") if default is not None else place_of(declared, name)
            hidden = text(each.get("NoEcho")).lower() == "true"
            self._made.parameters.append(Parameter(name, kind, default, hidden, place))
            value = given.get(name, default)
            if kind.startswith("AWS::SSM::Parameter::Value") or value is None:
                continue  # its value is known only when it is deployed
            is_list = kind == "CommaDelimitedList" or kind.startswith("List<")
            if is_list and isinstance(value, str):
                value = [part.strip() for part in value.split(",")]
            found[name] = value if isinstance(value, (str, list)) else text(value)
        return found

    def _check_transforms(self, document: Map, scope: Scope) -> None:
        transform = document.get("Transform")
        for each in transform if isinstance(transform, list) else [transform]:
            name = each.get("Name") if isinstance(each, dict) else each
            if name and str(name) not in _KNOWN_TRANSFORMS:
                what = f"the macro {str(name)[:128]} is not run here"
                scope.note(place_of(document, "Transform"), what)

    def _resources(
        self,
        resources: Map,
        scope: Scope,
        shared: Any,
        file: str,
        prefix: str,
        chain: tuple[str, ...],
    ) -> None:
        for name, each in _looped(resources, scope).items():
            place = place_of(resources, name)
            if not place.file:
                place = place_of(each, None, Place(file))
            if not isinstance(each, dict) or not isinstance(each.get("Type"), str):
                scope.note(place, f"{name[:128]} is not a resource: it has no Type")
                continue
            condition = each.get("Condition")
            never = isinstance(condition, str) and scope.condition_named(condition) is False
            if never and not scope.parameters:  # else other parameters would make it
                continue
            kind = each["Type"]
            properties = scope.resolve(each.get("Properties") or Map(file, place.line))
            if properties is ABSENT or not isinstance(properties, dict):
                properties = Map(file, place.line)
            properties = _with_globals(kind, properties, shared)
            attributes = {k: each[k] for k in ("Metadata", "DeletionPolicy") if k in each}
            if never:
                attributes[OPTIONAL] = True
            if "Connectors" in each:
                attributes["Connectors"] = scope.resolve(each["Connectors"])
            self._made.resources.append(
                Resource(prefix + name, kind, properties, place, attributes=attributes, base=file)
            )
            if kind in _NESTED:
                self._enter(name, kind, each, properties, scope, file, prefix, chain)

    def _enter(
        self,
        name: str,
        kind: str,
        each: Any,
        properties: Any,
        scope: Scope,
        file: str,
        prefix: str,
        chain: tuple[str, ...],
    ) -> None:
        """Read a template that another brings in, if it is here."""
        location = properties.get(_NESTED[kind])
        place = place_of(each, "Properties", Place(file))
        if not isinstance(location, str):
            scope.note(place, f"the template of {name[:128]} is outside: not audited")
            return
        found = self._workspace.resolve(file, location) if "://" not in location else None
        if found is None or not self._workspace.has(found):
            scope.note(place, f"the template of {name[:128]} ({location[:128]}) is not here")
            return
        self._nested += 1
        if found in chain or self._nested > MAX_NESTED_TEMPLATES:
            scope.note(place, f"the template {location[:128]} refers to itself, or to too many")
            return
        documents = self._documents(found)
        if documents and is_template(documents[0]):
            given = properties.get("Parameters")
            given = (
                {k: v for k, v in given.items() if v is not None} if isinstance(given, dict) else {}
            )
            self.read(documents[0], found, f"{prefix}{name}/", given, (*chain, found))

    def _documents(self, file: str) -> list[Any]:
        try:
            documents, notes = read_documents(self._workspace.template(file) or "", file)
        except DocumentError as error:
            self._workspace.note(file, error.message, error.line)
            return []
        for line, column, what in notes:
            self._workspace.note(file, what, line, column)
        return documents

    def _included(self, file: str, location: str) -> Any:
        """Return what is in a file that a template includes (`AWS::Include`); None: not here."""
        found = self._workspace.resolve(file, location) if "://" not in location else None
        if found is None or not self._workspace.has(found):
            return None
        self._nested += 1
        if self._nested > MAX_NESTED_TEMPLATES:
            return None
        documents = self._documents(found)
        return documents[0] if documents else None


def nested_files(document: Any, file: str, workspace: Workspace) -> set[str]:
    """Return the templates on disk that one brings in: they are not audited by themselves."""
    found = set()
    resources = document.get("Resources") if isinstance(document, Map) else None
    for each in resources.values() if isinstance(resources, Map) else ():
        kind = each.get("Type") if isinstance(each, dict) else None
        if isinstance(kind, str) and kind in _NESTED and isinstance(each.get("Properties"), dict):
            location = each["Properties"].get(_NESTED[kind])
            if isinstance(location, str) and "://" not in location:
                inner = workspace.resolve(file, location)
                if inner is not None and workspace.has(inner) and inner != file:
                    found.add(inner)
    return found


def _looped(resources: Map, scope: Scope) -> Map:
    """Return resources with loops unrolled; nothing else is resolved yet."""
    if not any(name.startswith("Fn::ForEach::") for name in resources):
        return resources
    made = Map(resources.file, resources.line)
    for name, each in resources.items():
        if name.startswith("Fn::ForEach::"):
            inner = scope.resolve({name: each})
            made.update(inner if isinstance(inner, dict) else {})
        else:
            made[name] = each
    return made


def _map(document: Map, key: str) -> Map:
    found = document.get(key)
    return found if isinstance(found, Map) else Map(document.file)


def _with_globals(kind: str, properties: dict[str, Any], shared: Any) -> dict[str, Any]:
    """Return properties with those of `Globals` below them, as SAM lays them together."""
    for name, of in _GLOBALS.items():
        below = shared.get(name) if isinstance(shared, dict) else None
        if of == kind and isinstance(below, dict):
            merged = _merged(below, properties, 0)
            return merged if isinstance(merged, dict) else properties
    return properties


def _merged(below: Any, above: Any, depth: int) -> Any:
    if depth > 20:
        return above
    if isinstance(below, dict) and isinstance(above, dict):
        made = Map(getattr(above, "file", ""), getattr(above, "line", 1))
        made.places = {**getattr(below, "places", {}), **getattr(above, "places", {})}
        for key in (*below, *(key for key in above if key not in below)):
            if key in below and key in above:
                made[key] = _merged(below[key], above[key], depth + 1)
            else:
                made[key] = above[key] if key in above else below[key]
        return made
    if isinstance(below, list) and isinstance(above, list):
        joined = List(getattr(above, "file", ""), getattr(above, "line", 1))
        joined += [*below, *above]
        joined.places = [*getattr(below, "places", []), *getattr(above, "places", [])]
        return joined
    return above
