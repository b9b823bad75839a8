"""Checks a function that arrives already decoded, in a bundle: its maker may not have been us."""

from __future__ import annotations

import re

from casemate.manifest.rejection import RejectedValueError
from casemate.manifest.routes import METHODS, parse_template
from casemate.manifest.tables import LIMITS, MAX_ROUTES
from casemate.model.errors import InvalidInputError
from casemate.model.function import (
    HANDLER_PATTERN,
    NAME_PATTERN,
    SUPPORTED_PYTHONS,
    FunctionSpec,
)


def _limit_problems(spec: FunctionSpec) -> list[str]:
    problems = []
    for field in LIMITS.fields:
        low, high = getattr(field.kind, "low", None), getattr(field.kind, "high", None)
        value = getattr(spec.limits, field.name)
        if low is None or high is None or not low <= value <= high:
            problems.append(f"limit {field.name} is {value}, expected {low} to {high}")
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


def check_received(spec: FunctionSpec) -> None:
    """Raise InvalidInputError, naming everything that the manifest would have refused."""
    problems = _limit_problems(spec) + _route_problems(spec)
    if not re.fullmatch(NAME_PATTERN, spec.name, re.ASCII):
        problems.append(f"name {spec.name[:80]!r} is not a DNS label")
    if len(spec.handler) > 512 or not re.fullmatch(HANDLER_PATTERN, spec.handler, re.ASCII):
        problems.append(f"handler {spec.handler[:80]!r} is not module:function")
    if spec.python not in SUPPORTED_PYTHONS:
        problems.append(f"python {spec.python!r} is none of {', '.join(SUPPORTED_PYTHONS)}")
    if problems:
        raise InvalidInputError(
            f"The bundle's function is not valid: {'; '.join(problems)}.",
            next_step="build it with casemate build, which checks the manifest",
        )
