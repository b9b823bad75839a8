"""Policies of IAM into statements: inline, managed, SAM's templates, connectors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from casemate.audit.documents import Map, place_of
from casemate.audit.importers.aws import data
from casemate.audit.importers.aws.intrinsics import Scope, symbolic
from casemate.audit.importers.aws.resource import Resource, listed, referred, text
from casemate.audit.model import Place, Statement
from casemate.audit.notes import Notes

_MAX_STATEMENTS = 500


def statements_of(document: Any, place: Place, origin: str, notes: Notes) -> list[Statement]:
    """Return the statements of a policy document."""
    if isinstance(document, str):
        document = _parsed(document) if document.strip() else None
    if not isinstance(document, dict):
        if document is not None:
            known = isinstance(document, str) and not symbolic(document)
            what = "is not JSON: what it allows is unknown" if known else "could not be resolved"
            notes.say(place, f"the policy document {what}")
        return []
    found = []
    statements = listed(document.get("Statement"))
    if isinstance(document.get("Statement"), dict):
        statements = [document["Statement"]]
    if len(statements) > _MAX_STATEMENTS:
        notes.say(
            place, f"a policy has more than {_MAX_STATEMENTS} statements: the rest is not read"
        )
    for at, each in enumerate(statements[:_MAX_STATEMENTS]):
        if isinstance(each, dict):
            where = place_of(document.get("Statement"), at, place)
            if isinstance(each, Map) and each.file:
                where = Place(each.file, each.line)
            found.append(_statement(each, where if where.file else place, origin))
        else:
            notes.say(place, "a statement of the policy could not be resolved")
    return found


def _parsed(document: str) -> Any:
    try:
        return json.loads(document)
    except (ValueError, RecursionError):
        return document


def _statement(each: dict[str, Any], place: Place, origin: str) -> Statement:
    actions = each.get("Action", each.get("NotAction"))
    resources = each.get("Resource", each.get("NotResource"))
    return Statement(
        effect=text(each.get("Effect")) or "Allow",
        actions=tuple(filter(None, map(_pattern, listed(actions)))),
        resources=tuple(filter(None, map(_pattern, listed(resources)))),
        principals=tuple(_principals(each)),
        conditions=each["Condition"] if isinstance(each.get("Condition"), dict) else {},
        excepted_actions="NotAction" in each,
        excepted_resources="NotResource" in each,
        origin=origin,
        place=place,
    )


def _pattern(value: Any) -> str:
    """Return a pattern as rules know it: several `*` in a row mean what one does, so does `*:*`."""
    found = text(value)
    while "**" in found:
        found = found.replace("**", "*")
    return "*" if found == "*:*" else found


def _principals(each: dict[str, Any]) -> Iterator[str]:
    principal = each.get("Principal")
    if isinstance(principal, str):
        yield principal
    elif isinstance(principal, dict):
        for kind, values in principal.items():
            for value in listed(values):
                yield text(value) if kind == "AWS" else f"{kind.lower()}:{text(value)}"
    elif "NotPrincipal" in each:
        yield "*"


def managed(reference: str, place: Place, notes: Notes) -> list[Statement]:
    """Return the statements of a managed policy of AWS."""
    name = data.managed_name(reference)
    found = data.managed_policy(name) if name is not None else None
    if found is None or name is None:
        if not referred(reference):
            notes.say(place, f"the policy {reference[:200]} is not a known AWS policy")
        return []
    return [_statement(each, place, name) for each in found]


def sam_policies(
    policies: Any, place: Place, notes: Notes, named: dict[str, Resource]
) -> Iterator[Statement]:
    """Yield the statements of the `Policies` of a function of SAM."""
    for at, each in enumerate(listed(policies)):
        where = place_of(policies, at, place)
        where = where if where.file else place
        if isinstance(each, str):
            own = named.get(referred(each))
            if own is not None:
                yield from statements_of(own.get("PolicyDocument"), own.place, own.name, notes)
            else:
                yield from managed(each, where, notes)
        elif isinstance(each, dict) and "Statement" in each:
            yield from statements_of(each, where, "inline", notes)
        elif isinstance(each, dict) and len(each) == 1:
            [(name, given)] = each.items()
            yield from _template(name, given, where, notes)
        elif each is not None:
            notes.say(where, "the policy could not be resolved")


def _template(name: str, given: Any, place: Place, notes: Notes) -> Iterator[Statement]:
    found = data.policy_templates().get(name)
    if found is None:
        notes.say(place, f"there is no policy template {name[:128]}")
        return
    values = given if isinstance(given, dict) else {}
    parameters = {key: values.get(key, "${" + key + "}") for key in found.get("Parameters", {})}
    scope = Scope(parameters, {}, {}, frozenset())
    for each in scope.resolve(found["Definition"])["Statement"]:
        yield _statement(each, place, name)


def connector_statements(
    source: Resource, destination: Resource, permissions: Iterable[Any], place: Place, notes: Notes
) -> Iterator[tuple[str, Statement]]:
    """Yield what a connector permits, and to which of the two (its name)."""
    one, other = _plain_type(source.type), _plain_type(destination.type)
    profile = data.connectors().get(one, {}).get(other)
    if profile is None:
        notes.say(place, f"there is no connector of {one[:100]} to {other[:100]}")
        return
    wanted = {text(each) for each in permissions}
    properties = profile["Properties"]
    holder = source.name if properties.get("SourcePolicy", True) else destination.name
    for category, document in properties["AccessCategories"].items():
        if category not in wanted:
            continue
        for each in document.get("Statement", ()):
            named = _named(each, {"Source": source.name, "Destination": destination.name})
            yield holder, _statement(named, place, "connector")


def _named(value: Any, names: dict[str, str]) -> Any:
    """Return part of a profile with its roles' names, which are of the template's author."""
    if isinstance(value, dict):
        return {key: _named(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_named(each, names) for each in value]
    if isinstance(value, str):
        for role, name in names.items():
            value = value.replace("%{" + role + ".Arn}", "${" + name + ".Arn}")
            value = value.replace("%{" + role + ".Name}", "${" + name + "}")
    return value


_SAM_TYPES = {
    "AWS::Serverless::Function": "AWS::Lambda::Function",
    "AWS::Serverless::Api": "AWS::ApiGateway::RestApi",
    "AWS::Serverless::HttpApi": "AWS::ApiGatewayV2::Api",
    "AWS::Serverless::SimpleTable": "AWS::DynamoDB::Table",
    "AWS::Serverless::StateMachine": "AWS::StepFunctions::StateMachine",
}


def _plain_type(kind: str) -> str:
    return _SAM_TYPES.get(kind, kind)


def role_statements(role: Resource, notes: Notes) -> Iterator[Statement]:
    """Yield all that a role may do by its own properties."""
    for at, each in enumerate(role.list("Policies")):
        if isinstance(each, dict):
            where = role.where("Policies", at)
            yield from statements_of(each.get("PolicyDocument"), where, "inline", notes)
        else:
            notes.say(role.where("Policies"), "a policy of the role could not be resolved")
    for at, each in enumerate(role.list("ManagedPolicyArns")):
        reference = text(each)
        if not referred(reference):
            yield from managed(reference, role.where("ManagedPolicyArns", at), notes)
