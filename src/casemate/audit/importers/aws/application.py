"""From resources of AWS to an application: the one way for every kind of template."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from casemate.audit.importers.aws.apis import implicit_apis
from casemate.audit.importers.aws.assets import assets_of
from casemate.audit.importers.aws.functions import PLAIN, ROLE, SAM, Roles, function_of
from casemate.audit.importers.aws.permissions import sam_policies, statements_of
from casemate.audit.importers.aws.references import References
from casemate.audit.importers.aws.resource import OPTIONAL, Resource, referred, text
from casemate.audit.importers.aws.template import Parameter
from casemate.audit.importers.aws.triggers import Triggers
from casemate.audit.importers.code_files import CodeFiles
from casemate.audit.limits import MAX_NOTES
from casemate.audit.model import Application, Place, Platform, Statement, Unresolved, Variable
from casemate.audit.notes import Notes
from casemate.audit.workspace import Workspace

_MAX_VARIABLES = 20_000
_LOGS = "/aws/lambda/"


def application_of(
    name: str,
    importer: str,
    resources: list[Resource],
    place: Place,
    workspace: Workspace,
    *,
    parameters: Iterable[Parameter] = (),
    unresolved: Iterable[Unresolved] = (),
    shared: dict[str, object] | None = None,
) -> Application:
    """Return the application that the resources are."""
    notes = Notes(MAX_NOTES)
    resources = [*resources, *implicit_apis(resources, shared or {})]
    named = {each.name: each for each in resources}
    references = References(resources, notes)
    triggers = Triggers(named, references, notes)
    roles = Roles(named, notes)
    code = CodeFiles.of(workspace)
    groups = _log_groups(resources, references)
    functions = tuple(
        function_of(each, roles, named, code, triggers.of(each.name), notes, groups.get(each.name))
        for each in named.values()
        if each.type in (SAM, PLAIN)
    )
    return Application(
        name=name,
        platform=Platform.AWS,
        importer=importer,
        place=place,
        functions=functions,
        assets=assets_of(named, notes),
        variables=tuple(_variables(resources, notes)),
        settings={
            "parameters": tuple(parameters),
            "optional": frozenset(n for n, each in named.items() if OPTIONAL in each.attributes),
            "workflows": tuple(_workflows(named, roles, notes)),
            "resources": tuple((each.name, each.type, each.place) for each in named.values()),
        },
        unresolved=tuple(dict.fromkeys((*unresolved, *notes))),
    )


_RUN_BY = (
    *("service:states.amazonaws.com", "service:pipes.amazonaws.com"),
    *("service:scheduler.amazonaws.com", "service:events.amazonaws.com"),
)
"""Who becomes the roles of workflows, pipes, schedules and rules."""


def _workflows(
    named: dict[str, Resource], roles: Roles, notes: Notes
) -> Iterator[tuple[str, tuple[Statement, ...]]]:
    """Yield what workflows and their like may do: by their roles, or by policies of their own."""
    for each in named.values():
        if each.type == ROLE:
            trust = statements_of(each.get("AssumeRolePolicyDocument"), each.place, "trust", notes)
            if any(who.lower() in _RUN_BY for one in trust for who in one.principals):
                yield each.name, roles.statements(each.name)
        elif each.type == "AWS::Serverless::StateMachine" and each.get("Policies"):
            where = each.where("Policies")
            yield each.name, tuple(sam_policies(each.get("Policies"), where, notes, named))


def _log_groups(resources: list[Resource], references: References) -> dict[str, Resource]:
    """Return the group of logs that is declared for each function."""
    found: dict[str, Resource] = {}
    groups = {each.name: each for each in resources if each.type == "AWS::Logs::LogGroup"}
    for each in groups.values():
        name = each.text("LogGroupName")
        if name.startswith(_LOGS):
            rest = name.removeprefix(_LOGS)
            function = references.one(rest)
            if function:
                found[function] = each
    for each in resources:
        if each.type in (SAM, PLAIN):
            own = groups.get(referred(each.get("LoggingConfig", "LogGroup")))
            if own is not None:
                found[each.name] = own
    return found


def _variables(resources: list[Resource], notes: Notes) -> Iterator[Variable]:
    """Yield the texts of all properties: what a secret may stand in."""
    count = 0
    for each in resources:
        for path, value, place in _texts(each):
            count += 1
            if count > _MAX_VARIABLES:
                what = f"more than {_MAX_VARIABLES} texts: no others are searched for secrets"
                notes.say(place, what)
                return
            yield Variable(path, value, place)


def _texts(each: Resource) -> Iterator[tuple[str, str, Place]]:
    waiting: list[tuple[tuple[str | int, ...], object]] = [((), each.properties)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*path, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, at), inner) for at, inner in enumerate(value)]
        elif isinstance(value, (str, int)) and not isinstance(value, bool) and path:
            shown = ".".join(map(str, path))
            if path[0] not in ("Environment", "InlineCode"):  # looked at with their functions
                yield f"{each.name}.{shown}", text(value), each.where(*path)
