"""Checks a function that arrives already decoded, in a bundle: its maker may not have been us.

What a table of the manifest describes is written back as a manifest would write it and validated
by that very table, so that a bundle cannot hold what a manifest could not.
"""

from __future__ import annotations

import re

import msgspec

from casemate.contracts import ContractError, canonical
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.manifest.baseline_tables import BASELINE
from casemate.manifest.contracts import MAX_TOGETHER
from casemate.manifest.destinations import check_delivery
from casemate.manifest.environment import check_environment
from casemate.manifest.error_tables import ERRORS, check_errors
from casemate.manifest.grant_tables import GRANTS
from casemate.manifest.grants import check_declared, grants_of, ordered
from casemate.manifest.locator import KeyLocator
from casemate.manifest.log_tables import LOGS
from casemate.manifest.package_tables import PACKAGES, packages_of, packages_table
from casemate.manifest.problem import ProblemCollector, printable
from casemate.manifest.recording_tables import RECORDINGS
from casemate.manifest.rejection import RejectedValueError
from casemate.manifest.rendering import grants_table, resources_tables
from casemate.manifest.resource_tables import RESOURCES
from casemate.manifest.resources import resources_of
from casemate.manifest.routes import METHODS, parse_template
from casemate.manifest.structure import Field, Table
from casemate.manifest.tables import CORS, FUNCTION, LIMITS, MAX_ROUTES
from casemate.manifest.trigger_rendering import delivery_table, triggers_tables
from casemate.manifest.trigger_tables import DELIVERY, TRIGGERS
from casemate.manifest.triggers import check_consumed, triggers_of
from casemate.manifest.triggers import ordered as ordered_triggers
from casemate.manifest.validation import validate
from casemate.model.errors import InvalidInputError
from casemate.model.function import (
    HANDLER_PATTERN,
    NAME_PATTERN,
    SUPPORTED_PYTHONS,
    Cors,
    Delivery,
    FunctionSpec,
    named_resources,
)
from casemate.model.grant import Resources

_RESOURCES = Table("Resources", "Those of the bundle.", RESOURCES)
_TRIGGERS = Table(
    "Triggers",
    "Those of the bundle.",
    (*TRIGGERS, Field("delivery", DELIVERY, DELIVERY.description)),
)
_PACKAGES = Table("Packages", "Those of the bundle.", (PACKAGES,))
_ERRORS = Table("Errors", "Those of the bundle.", (ERRORS,))
_ENVIRONMENT = Table(
    "Environment",
    "That of the bundle.",
    tuple(Field(f.name, f.kind, f.description) for f in FUNCTION.fields if f.name == "environment"),
)


def check_received(spec: FunctionSpec, resources: Resources = Resources()) -> None:  # noqa: B008
    """Raise InvalidInputError, naming everything that the manifest would have refused.

    `resources` are the bundle's; they must be those that the function is granted, no more and no
    fewer. Which functions of the project there are to invoke is not known of a bundle.
    """
    problems = _limit_problems(spec) + _route_problems(spec) + _resource_problems(spec, resources)
    problems += _cors_problems(spec) + _log_problems(spec) + _error_problems(spec)
    problems += _package_problems(spec)
    problems += _environment_problems(spec) + _trigger_problems(spec, resources)
    if spec.internal and (spec.public or spec.http):
        problems.append("internal together with public or routes")
    if not re.fullmatch(NAME_PATTERN, spec.name, re.ASCII):
        problems.append(f"name {spec.name[:80]!r} is not a DNS label")
    if len(spec.handler) > 512 or not re.fullmatch(HANDLER_PATTERN, spec.handler, re.ASCII):
        problems.append(f"handler {spec.handler[:80]!r} is not module:function")
    if spec.python not in SUPPORTED_PYTHONS:
        problems.append(f"python {spec.python!r} is none of {', '.join(SUPPORTED_PYTHONS)}")
    if problems:
        raise InvalidInputError(
            f"The bundle's function is not valid: {'; '.join(problems)}.",
            next_step="Build it with casemate build, which checks the manifest.",
        )


def _limit_problems(spec: FunctionSpec) -> list[str]:
    problems = []
    for field in LIMITS.fields:
        low, high = getattr(field.kind, "low", None), getattr(field.kind, "high", None)
        value = getattr(spec.limits, field.name)
        if low is None or high is None or not low <= value <= high:
            problems.append(f"limit {field.name} is {value}, expected {low} to {high}")
    if spec.limits.warm > spec.limits.concurrency:
        problems.append(f"limit warm is {spec.limits.warm}, expected at most concurrency")
    return problems


def _route_problems(spec: FunctionSpec) -> list[str]:
    if len(spec.http) > MAX_ROUTES:
        return [f"{len(spec.http)} routes, expected at most {MAX_ROUTES}"]
    problems = []
    for trigger in spec.http:
        if trigger.method not in METHODS:
            problems.append(f"method {trigger.method[:20]!r} is none of {', '.join(METHODS)}")
        try:
            parse_template(trigger.path)
        except RejectedValueError as error:
            problems.append(f"route {trigger.path[:80]!r}: {error}")
    return problems


def _cors_problems(spec: FunctionSpec) -> list[str]:
    cors, problems = spec.cors, _collector()
    if cors == Cors():
        return []
    lists = {"origins": cors.origins, "headers": cors.headers, "expose": cors.expose}
    written = {key: list(values) for key, values in lists.items() if values}
    validate(CORS, written, problems)
    found = _told(problems)
    if "*" in cors.origins and (len(cors.origins) > 1 or cors.credentials):
        found.append("cors with the origin * together with others or with credentials")
    if not 0.0 <= cors.max_age <= 86_400.0:
        found.append("cors with a max_age that is not from 0 s to a day")
    return found


def _log_problems(spec: FunctionSpec) -> list[str]:
    problems = _collector()
    whole = msgspec.to_builtins(spec.logs)
    written = {key: list(whole[key]) for key in ("mask", "unmasked") if whole[key]}
    validate(LOGS, written, problems)
    return (
        _told(problems)
        + _range_problems("logs", LOGS, spec.logs, ("keep", "keep_bytes"))
        + _range_problems(
            "recordings", RECORDINGS, spec.recordings, ("sample", "keep", "keep_bytes")
        )
        + _range_problems("baseline", BASELINE, spec.baseline, ("learn", "calls"))
    )


def _range_problems(
    what: str, table: Table, values: msgspec.Struct, names: tuple[str, ...]
) -> list[str]:
    found = []
    for name in names:
        kind, value = getattr(table.field(name), "kind", None), getattr(values, name)
        low, high = getattr(kind, "low", None), getattr(kind, "high", None)
        if low is None or high is None or not low <= value <= high:
            found.append(f"{what} {name} is {value}, expected {low} to {high}")
    return found


def _error_problems(spec: FunctionSpec) -> list[str]:
    problems = _collector()
    entries = [msgspec.to_builtins(entry) for entry in spec.errors]
    routes = [{"path": trigger.path} for trigger in spec.http]
    validate(_ERRORS, {"errors": entries}, problems)
    check_errors(spec.name, {"errors": entries, "http": routes}, problems)
    return _told(problems)


def _package_problems(spec: FunctionSpec) -> list[str]:
    if not spec.packages:
        return []
    problems = _collector()
    written = {"packages": packages_table(spec.packages)}
    again = packages_of(validate(_PACKAGES, written, problems))
    found = _told(problems)
    if not found and again != spec.packages:
        found.append("packages that are not in the one form that a manifest gives them")
    return found


def _resource_problems(spec: FunctionSpec, resources: Resources) -> list[str]:
    """Return the problems of the grants, and of the resources that come with them."""
    problems = _collector()
    placed = grants_of(validate(GRANTS, grants_table(spec.grants), problems), (), problems)
    check_declared(placed, resources.names(), problems)
    try:
        declared = validate(_RESOURCES, resources_tables(resources), problems)
    except (ArithmeticError, ValueError):
        return [*_told(problems), "resources with numbers that are none"]
    again = resources_of(declared, problems)
    found = _told(problems)
    if not found and ordered(placed) != spec.grants:
        found.append("grants that are not in the one form that a manifest gives them")
    if not found and again != resources:
        found.append("resources that are not in the one form that a manifest gives them")
    if not found and resources.granted(named_resources(spec)) != resources:
        found.append("resources that are not granted")
    return found


def _environment_problems(spec: FunctionSpec) -> list[str]:
    problems = _collector()
    validate(_ENVIRONMENT, {"environment": spec.environment}, problems)
    check_environment(dict(spec.environment), ("environment",), problems)
    return _told(problems)


def _trigger_problems(spec: FunctionSpec, resources: Resources) -> list[str]:
    """Return the problems of triggers, delivery and contracts."""
    problems = _collector()
    try:
        written = {**triggers_tables(spec.triggers), "delivery": delivery_table(spec.delivery)}
        values = validate(_TRIGGERS, written, problems)
    except (ArithmeticError, ValueError, *DECODING_ERRORS):
        return [*_told(problems), "triggers with values that are none"]
    placed = triggers_of(values, (), problems)
    declared = resources.names()
    check_consumed(spec.name, placed, declared, problems)
    delivery = values.get("delivery")
    checked = delivery if isinstance(delivery, dict) else {}
    check_delivery(spec.name, checked, placed, declared, problems)
    found = _told(problems)
    bare = tuple(msgspec.structs.replace(trigger, contract="") for trigger in spec.triggers)
    if not found and ordered_triggers(placed) != bare:
        found.append("triggers that are not in the one form that a manifest gives them")
    if not found and msgspec.convert(checked, decodable(Delivery)) != spec.delivery:
        found.append("delivery that is not in the one form that a manifest gives it")
    return found + _contract_problems(spec)


def _contract_problems(spec: FunctionSpec) -> list[str]:
    texts = [spec.contract, *(t.contract for t in spec.http), *(t.contract for t in spec.triggers)]
    if sum(len(text) for text in texts) > MAX_TOGETHER:
        return [f"more than {MAX_TOGETHER} bytes of contracts"]
    found = []
    for text in filter(None, texts):
        try:
            if canonical(text) != text:
                found.append("a contract that is not in its one form")
        except ContractError as error:
            found.append(printable(error.message))
    return found


def _collector() -> ProblemCollector:
    return ProblemCollector("bundle.json", KeyLocator(""))


def _told(problems: ProblemCollector) -> list[str]:
    return [
        f"{printable(p.key)}: found {p.found}, expected {p.expected}" for p in problems.noted[:20]
    ]
