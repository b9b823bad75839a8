"""Aliases: the states that they have had, of which the newest counts, in SQL.

Every function runs on the thread that owns the connection it is given; changes run inside a
transaction of the caller's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from casemate.decoding import decodable
from casemate.model.deployment import Alias, AliasTarget, Trial
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.model.function import NAME_PATTERN
from casemate.operations.deployments import ShowAliasHistory
from casemate.operations.functions import SetAlias, Target
from casemate.operations.performing import DirectPerformers
from casemate.sqlite import engine
from casemate.sqlite.questions import require_limit
from casemate.sqlite.transaction import one_state
from casemate.store.sqlite.clock import now_of

_NAME = re.compile(NAME_PATTERN)
SELECT_ALIAS = """
    SELECT id, project, function, name, changed_at, trial FROM alias_state
    WHERE project = ? AND function = ? AND name = ? ORDER BY id DESC LIMIT 1
"""
SELECT_TARGETS = """
    SELECT state, version, weight FROM alias_target
    WHERE state IN (SELECT CAST(value AS INTEGER) FROM json_each(?)) ORDER BY state, position
"""
SELECT_ALIASES = """
    SELECT id, project, function, name, changed_at, trial FROM alias_state
    WHERE id IN (SELECT max(id) FROM alias_state GROUP BY project, function, name)
    ORDER BY name
"""
SELECT_ALIAS_HISTORY = """
    SELECT id, project, function, name, changed_at, trial FROM alias_state
    WHERE project = ? AND function = ? AND name = ? ORDER BY id DESC LIMIT ?
"""
INSERT_STATE = """
    INSERT INTO alias_state (project, function, name, changed_at, trial)
    VALUES (?, ?, ?, ?, ?) RETURNING id
"""
INSERT_TARGET = "INSERT INTO alias_target VALUES (?, ?, ?, ?, ?, ?)"

performs = DirectPerformers()


@performs(SetAlias)
def set_alias(connection: engine.Connection, operation: SetAlias) -> Alias:
    """Add a state to an alias; the newest one counts.

    Raises InvalidInputError for weights that do not add up to 100 or a repeated version,
    NotFoundError for a version that does not exist.
    """
    project, function, name = operation.project, operation.function, operation.name
    require_name("alias", name)
    _require_shares(operation.targets)
    targets = tuple(AliasTarget(version=t.version, weight=t.weight) for t in operation.targets)
    existing = {
        row[0]
        for row in connection.execute(
            "SELECT number FROM version WHERE project = ? AND function = ?",
            (project, function),
        )
    }
    missing = sorted(t.version for t in targets if t.version not in existing)
    if missing:
        raise NotFoundError(
            f"{project}/{function} has no version {', '.join(map(str, missing))}; "
            f"it has {_numbers(existing)}.",
            next_step="Point the alias at versions that exist, or deploy first.",
        )
    return add_state(connection, project, function, name, targets)


def add_state(
    connection: engine.Connection,
    project: str,
    function: str,
    name: str,
    targets: tuple[AliasTarget, ...],
    trial: Trial | None = None,
) -> Alias:
    """Add a state to an alias. Its versions are there, and its weights add up."""
    changed_at = now_of(connection)
    (state,) = connection.execute(
        INSERT_STATE,
        (
            *(project, function, name, changed_at),
            None if trial is None else msgspec.json.encode(trial).decode(),
        ),
    ).fetchone()
    connection.executemany(
        INSERT_TARGET,
        [(state, i, project, function, t.version, t.weight) for i, t in enumerate(targets)],
    )
    return Alias(
        project=project,
        function=function,
        name=name,
        targets=targets,
        changed_at=changed_at,
        trial=trial,
    )


def present(connection: engine.Connection) -> tuple[Alias, ...]:
    """Return the aliases of all functions, as they are now."""
    return tuple(_with_targets(connection, connection.execute(SELECT_ALIASES).fetchall()))


def one(connection: engine.Connection, project: str, function: str, name: str) -> Alias | None:
    """Return an alias as it is now; None without it."""
    found = connection.execute(SELECT_ALIAS, (project, function, name)).fetchall()
    return next(iter(_with_targets(connection, found)), None)


@performs(ShowAliasHistory)
def alias_history(connection: engine.Connection, operation: ShowAliasHistory) -> tuple[Alias, ...]:
    """Return the newest states of an alias, newest first."""
    require_limit(operation.limit)
    with one_state(connection):
        states = connection.execute(
            SELECT_ALIAS_HISTORY,
            (operation.project, operation.function, operation.name, operation.limit),
        ).fetchall()
        return tuple(_with_targets(connection, states))


def require_name(what: str, name: str) -> None:
    """Raise InvalidInputError unless `name` is a project, function or alias name."""
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"The {what} name {name[:80]!r} is not valid: expected at most 63 lower-case letters, "
            "digits and hyphens, starting with a letter and not ending with a hyphen."
        )


def _require_shares(targets: Sequence[Target]) -> None:
    for target in targets:
        for value, lowest, highest in ((target.version, 1, 2**63 - 1), (target.weight, 0, 100)):
            if type(value) is not int or not lowest <= value <= highest:
                raise InvalidInputError(
                    f"An alias target is not valid: version {target.version!r} with weight "
                    f"{target.weight!r}; expected a version from 1 and a weight from 0 to 100."
                )
    versions = [t.version for t in targets]
    total = sum(t.weight for t in targets)
    if total != 100 or len(set(versions)) != len(versions):
        raise InvalidInputError(
            f"The weights of versions {versions} add up to {total}; "
            "expected 100, every version named once.",
            next_step="Give each version one weight in percent so that all add up to 100.",
        )


def _numbers(existing: Iterable[int]) -> str:
    ordered = sorted(existing)
    shown = ", ".join(map(str, ordered[-10:])) or "none"
    return f"… {shown}" if len(ordered) > 10 else shown


def _with_targets(
    connection: engine.Connection, states: Iterable[tuple[int, str, str, str, float, str | None]]
) -> Iterable[Alias]:
    found = tuple(states)
    # One statement for all of them: each is a way to a server and back.
    listed = msgspec.json.encode([state for state, *_ in found]).decode()
    targets: dict[int, list[AliasTarget]] = defaultdict(list)
    for state, version, weight in connection.execute(SELECT_TARGETS, (listed,)):
        targets[state].append(AliasTarget(version=version, weight=weight))
    for state, project, function, name, changed_at, trial in found:
        yield Alias(
            project=project,
            function=function,
            name=name,
            targets=tuple(targets[state]),
            changed_at=changed_at,
            trial=None if trial is None else msgspec.json.decode(trial, type=decodable(Trial)),
        )
