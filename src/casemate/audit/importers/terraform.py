"""Plans of Terraform in JSON (`terraform show -json`), as the resources of CloudFormation they are.

A plan has no lines: places are those of its file, findings name the address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from casemate.audit.documents import Map
from casemate.audit.importers.aws.application import application_of
from casemate.audit.importers.aws.resource import Resource, at, listed, text
from casemate.audit.importers.port import Source
from casemate.audit.importers.terraform_archives import Archives
from casemate.audit.importers.terraform_policies import Policies
from casemate.audit.importers.terraform_references import Configuration, name_of
from casemate.audit.importers.terraform_resources import (
    ATTACHED,
    NAMING,
    PLAIN,
    TYPES,
    Joining,
    converted,
)
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
        place, notes = Place(source.file), Notes(MAX_NOTES)
        archives, configuration = Archives(document), Configuration(document)
        policies = Policies(configuration)
        resources, attached, unknown = [], [], set[str]()
        for kind, address, values in _resources(at(planned, "root_module"), place, notes):
            if kind in TYPES or kind in ATTACHED:
                name = name_of(address)
                for key in policies.fill(address, values):
                    what = f"{address[:200]}: {key} is known only when the plan is applied"
                    notes.say(place, f"{what}; audit the state after it")
                    values[key] = values.get(key) or {}
                known = configuration.completed(address, values, NAMING.get(kind, frozenset()))
                archives.unpack(known)
                properties = converted(kind, known, source.file)
                if kind in ATTACHED:
                    attached.append((kind, properties))
                else:
                    resources.append(Resource(name, TYPES[kind], properties, place))
            elif kind.startswith("aws_") and kind not in PLAIN:
                unknown.add(kind)
        joining = Joining(resources)
        for kind, properties in attached:
            joining.join(kind, properties)
        for kind in sorted(unknown)[:50]:
            notes.say(place, f"resources of the type {kind[:64]} are not audited")
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
