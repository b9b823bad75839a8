"""Checks one custom policy: Cedar's syntax, the schema, and what the schema cannot say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from cedarpy import PolicySet, policies_to_json_str, validate_policies

from casemate.model.principal import BUILT_IN_ROLES
from casemate.policy.errors import PolicyError
from casemate.policy.identifiers import ENTITY_IDS, ROLE
from casemate.policy.schema import parsed_schema
from casemate.policy.source import Statement

RESERVED = "casemate."
"""Ids of built-in policies begin with this, no others do."""

_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?")
_PRINTABLE = re.compile(r"[ -~]*")
_PARSED_ID = "policy0"
_SEE_SCHEMA = "Compare it with the schema: `casemate policy schema`."
_SEE_SYNTAX = "See docs/reference/policies.md for how policies are written."
_UNKNOWN_ATTRIBUTE = "context.casemate_unknown_attribute"

Entity = tuple[str, str]


class CheckedPolicy(NamedTuple):
    """One valid policy."""

    id: str
    file: str
    line: int
    effect: str
    """`permit` or `forbid`."""
    json: dict[str, Any]
    """As Cedar's JSON format has it."""
    entities: frozenset[Entity]
    """Type and id of every entity that it names."""


def check_statement(statement: Statement, file: str, number: int) -> CheckedPolicy:
    """Return a valid policy. `number` counts the policies of the file from 1. Or PolicyError."""
    parsed = _parse(statement, file)
    for text in _strings(parsed):
        if _PRINTABLE.fullmatch(text) is None:
            raise PolicyError(
                f"found the text {text[:40]!a}, expected printable ASCII.",
                file=file,
                line=statement.line,
                next_step="All names on a node are ASCII; one that looks alike is another one.",
            )
    entities = frozenset(_entities(parsed))
    _check_schema(statement, file)
    _check_entities(statement, file, entities)
    _check_audience(statement, file, parsed)
    _check_possible(statement, file)
    return CheckedPolicy(
        id=_id(statement, file, parsed, number),
        file=file,
        line=statement.line,
        effect=str(parsed["effect"]),
        json=parsed,
        entities=entities,
    )


def _parse(statement: Statement, file: str) -> dict[str, Any]:
    try:
        document = json.loads(policies_to_json_str(statement.text))
    except ValueError as error:
        raise _wrong(statement, file, str(error), _SEE_SYNTAX) from error
    except RecursionError as error:
        raise _too_deep(statement, file) from error
    if document.get("templates") or list(document["staticPolicies"]) != [_PARSED_ID]:
        raise PolicyError(
            "found a template (`?principal`, `?resource`), expected a policy.",
            file=file,
            line=statement.line_of("?"),
            next_step="Name a role instead; roles are bound with `casemate users roles`.",
        )
    try:
        PolicySet.from_json_str(json.dumps(document))
    except (ValueError, RecursionError) as error:
        raise _too_deep(statement, file) from error
    policy: dict[str, Any] = document["staticPolicies"][_PARSED_ID]
    return policy


def _too_deep(statement: Statement, file: str) -> PolicyError:
    return PolicyError(
        "the conditions are nested too deeply.",
        file=file,
        line=statement.line,
        next_step="Split it into several policies, or use a set: `[...].contains(...)`.",
    )


def _wrong(statement: Statement, file: str, problem: str, next_step: str) -> PolicyError:
    """Return the error for what Cedar says of a policy, on the line of what it quotes."""
    problem = problem.removeprefix("Policy parse error: ")
    problem = problem.removeprefix(f"for policy `{_PARSED_ID}`, ").replace("\n", " ")[:400]
    quoted = re.search(r"`([^`]+)`", problem) or re.search(r": ([A-Za-z_]\w*)\Z", problem)
    return PolicyError(
        problem.rstrip(".") + ".",
        file=file,
        line=statement.line_of(quoted[1] if quoted else ""),
        next_step=next_step,
    )


def _check_schema(statement: Statement, file: str) -> None:
    result = validate_policies(statement.text, parsed_schema(), release_gil=True)
    if not result.validation_passed:
        problem = result.errors[0].error if result.errors else "it does not fit the schema"
        raise _wrong(statement, file, problem, _SEE_SCHEMA)


def _check_entities(statement: Statement, file: str, entities: frozenset[Entity]) -> None:
    for kind, name in sorted(entities):
        pattern = ENTITY_IDS.get(kind)
        if pattern is None or pattern.fullmatch(name) is not None:
            continue
        next_step = f"Write it as {pattern.pattern}"
        if kind == ROLE and name.lower() in BUILT_IN_ROLES:
            next_step = f'Write {ROLE}::"{name.lower()}": names are lower case.'
        raise PolicyError(
            f'{kind}::"{name[:80]}" cannot exist, so the policy would never apply.',
            file=file,
            line=statement.line_of(f'"{name}"'),
            next_step=next_step,
        )


def _check_audience(statement: Statement, file: str, parsed: dict[str, Any]) -> None:
    """Refuse a `permit` that does not say in its head to whom."""
    if parsed["effect"] == "permit" and parsed["principal"]["op"] == "All":
        raise PolicyError(
            "found `permit (principal, ...)`, which is for everybody.",
            file=file,
            line=statement.line_of("principal"),
            next_step='Say to whom: `principal in Casemate::Role::"..."`, or '
            "`principal is Casemate::User` if every user should have it.",
        )


def _check_possible(statement: Statement, file: str) -> None:
    """Refuse a policy whose conditions are false for every request that the schema knows.

    The validator does not go on behind what it has proved false. So a condition that it must
    refuse passes as the last one only where nothing ever gets that far.
    """
    probe = statement.with_condition(_UNKNOWN_ATTRIBUTE)
    if validate_policies(probe, parsed_schema(), release_gil=True).validation_passed:
        raise PolicyError(
            "the policy can never apply: its conditions are false whatever is asked.",
            file=file,
            line=statement.line,
            next_step="Fix the conditions, or remove the policy.",
        )


def _id(statement: Statement, file: str, parsed: dict[str, Any], number: int) -> str:
    given = parsed.get("annotations", {}).get("id")
    if given is None:
        return f"{file}#{number}"
    if _ID.fullmatch(given) is None:
        raise PolicyError(
            f"the id is {given[:80]!r}, expected lower-case letters, digits, `.`, `_` and `-`.",
            file=file,
            line=statement.line,
            next_step="Choose another id, or leave @id out.",
        )
    if given.startswith(RESERVED):
        raise PolicyError(
            f"the id is {given!r}, but ids that begin with `{RESERVED}` are of built-in policies.",
            file=file,
            line=statement.line,
            next_step="Choose another id, or leave @id out.",
        )
    return str(given)


def _nodes(value: Any) -> Iterator[Any]:
    """Give every value of a JSON document, without recursion."""
    todo = [value]
    while todo:
        current = todo.pop()
        yield current
        if isinstance(current, dict):
            todo += [*current.keys(), *current.values()]
        elif isinstance(current, list):
            todo += current


def _strings(value: Any) -> Iterator[str]:
    return (node for node in _nodes(value) if isinstance(node, str))


def _entities(value: Any) -> Iterator[Entity]:
    for node in _nodes(value):
        if isinstance(node, dict):
            kind, name = node.get("type"), node.get("id")
            if isinstance(kind, str) and isinstance(name, str):
                yield kind, name
