"""The least that is enough, written out to be pasted: a policy of IAM, or grants of a manifest."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping

from casemate.audit.importers.aws.data import expanded
from casemate.audit.model import Platform, Statement
from casemate.audit.privileges.deciding import Decided
from casemate.audit.privileges.needs import EVERY, Need
from casemate.audit.privileges.resources import arn_of
from casemate.audit.privileges.special import WITHOUT_RESOURCE
from casemate.manifest.grant_tables import KEYS
from casemate.model.grant import ACTIONS, GrantKind

_OWN_ROLES = frozenset(("AWSLambdaBasicExecutionRole", "AWSXRayDaemonWriteAccess"))
_MAX_RESOURCES = 100


def written(one: Decided) -> str:
    """Return it as text."""
    if one.function.platform is Platform.CASEMATE:
        return _grants(one)
    by_resources: dict[tuple[str, ...], set[str]] = defaultdict(set)
    kept: list[Statement] = []
    for statement in one.function.permissions:
        if not statement.allows:
            kept.append(statement)
            continue
        if statement.origin in _OWN_ROLES:
            continue
        for action in _undecided(one, statement):
            by_resources[statement.resources].add(action)
    for action, needs in sorted(one.by_action.items()):
        found = _resources(one, action, needs)
        if found:
            by_resources[found].add(needs[0].action)
    for action in sorted(one.implied - set(one.by_action)):
        for statement, name in _granting(one, action):
            by_resources[statement.resources].add(name)
    statements = [
        {"Effect": "Allow", "Action": sorted(actions), "Resource": list(resources)}
        for resources, actions in sorted(by_resources.items())
    ]
    statements += [
        {"Effect": "Deny", "Action": list(s.actions), "Resource": list(s.resources)} for s in kept
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)


def _undecided(one: Decided, statement: Statement) -> Iterator[str]:
    """Yield what stays granted since nothing can be said of it, as it is granted."""
    for pattern in statement.actions:
        if statement.excepted_actions:
            continue
        if pattern == "*":
            if EVERY in one.open:
                yield pattern
            continue
        if any(one.undecided(action) for action in expanded(pattern)):
            yield pattern


def _granting(one: Decided, action: str) -> Iterator[tuple[Statement, str]]:
    """Yield the statements that grant an action, and its name there; not by `*` alone."""
    for statement in one.function.permissions:
        if not statement.allows or statement.excepted_actions or statement.origin in _OWN_ROLES:
            continue
        for pattern in statement.actions:
            if pattern == "*":
                continue
            for name in expanded(pattern):
                if name.lower() == action:
                    yield statement, name


def _resources(one: Decided, action: str, needs: list[Need]) -> tuple[str, ...]:
    """Return on which resources an action has to be granted: those that are now, or fewer."""
    if not any(need.sure for need in needs):
        granted = [s.resources for s, _ in _granting(one, action)]
        return granted[0] if granted else ()
    if action in WITHOUT_RESOURCE:
        return ("*",)
    service = action.partition(":")[0]
    found: dict[str, None] = {}
    for need in needs:
        if not need.sure:
            continue
        plain = one.names.plain(service, need.resource)
        fitting = [
            resource
            for statement, _ in _granting(one, action)
            for resource in statement.resources
            if not need.known or one.names.may_be(service, resource, need.resource)
        ]
        narrow = [r for r in fitting if not one.names.is_wide(service, r)]
        if narrow:
            found.update(dict.fromkeys(narrow))
        elif need.known and one.names.known(plain) and (arn := arn_of(action, plain)):
            found[arn] = None
        else:
            found.update(dict.fromkeys(fitting or ["*"]))
    return tuple(sorted(found))[:_MAX_RESOURCES]


def _grants(one: Decided) -> str:
    """Return grants as a manifest has them."""
    lines = [f"[function.{one.function.name}.grants]"]
    by_kind: dict[str, list[str]] = defaultdict(list)
    for statement in one.function.permissions:
        kind, _, name = statement.resources[0].partition("/")
        if kind not in KEYS:
            continue
        if kind == GrantKind.EGRESS.value:
            by_kind[kind].append(_inline(statement.conditions))
            continue
        kept = [
            action.partition(":")[2]
            for action in statement.actions
            if one.undecided(action) or one.needed(action, statement)
        ]
        kept += _ungranted(one, kind, name, kept)
        if not kept:
            continue
        if len(ACTIONS[GrantKind(kind)]) == 1:
            by_kind[kind].append(json.dumps(name))
            continue
        prefixes = statement.conditions.get("prefixes")
        more = f", prefixes = {json.dumps(list(prefixes))}" if prefixes else ""
        by_kind[kind].append(f"{{ name = {json.dumps(name)}, actions = {json.dumps(kept)}{more} }}")
    for kind, key in KEYS.items():
        if by_kind[kind]:
            lines.append(f"{key} = [{', '.join(by_kind[kind])}]")
    return "\n".join(lines)


def _ungranted(one: Decided, kind: str, name: str, kept: list[str]) -> list[str]:
    """Return what the code does with something that other actions are granted of."""
    return [
        action
        for action in ACTIONS[GrantKind(kind)]
        if action not in kept
        and any(
            need.sure and need.known and need.resource == name
            for need in one.by_action.get(f"{kind}:{action}", ())
        )
    ]


def _inline(grant: object) -> str:
    """Write a value in one line of TOML: as in JSON, but for tables."""
    if isinstance(grant, Mapping):
        return f"{{ {', '.join(f'{key} = {_inline(each)}' for key, each in grant.items())} }}"
    if isinstance(grant, list | tuple):
        return f"[{', '.join(map(_inline, grant))}]"
    return json.dumps(grant, ensure_ascii=False, default=str)
