"""Versions: the changes to them and the questions about them, in SQL.

Every function runs on the thread that owns the connection it is given; changes run inside a
transaction of the caller's.
"""

from __future__ import annotations

import re
from collections import defaultdict

import msgspec

from casemate.decoding import decodable
from casemate.model.bundle import DIGEST_PATTERN
from casemate.model.denial import GrantApproval
from casemate.model.deployment import (
    LIVE,
    Alias,
    AliasTarget,
    DeployedFunction,
    NewVersion,
    Version,
)
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.function import FunctionSpec
from casemate.operations.deployments import ForgetFunction, ForgetVersion, KeepVersions
from casemate.operations.functions import Functions, ListFunctions
from casemate.operations.performing import DirectPerformers
from casemate.sqlite import engine
from casemate.sqlite.transaction import one_state
from casemate.store.sqlite import aliases, attestations, grants, trials
from casemate.store.sqlite.clock import now_of

_DIGEST = re.compile(DIGEST_PATTERN)
INSERT_VERSION = """
    INSERT INTO version (project, function, number, digest, spec, created_at, created_by)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""
SELECT_VERSIONS = """
    SELECT project, function, number, digest, spec, created_at, created_by
    FROM version ORDER BY project, function, number
"""
DELETE_ALIASES = "DELETE FROM alias_state WHERE project = ? AND function = ?"
DELETE_VERSIONS = "DELETE FROM version WHERE project = ? AND function = ?"
DELETE_STATE = "DELETE FROM alias_state WHERE id = ?"
DELETE_VERSION = "DELETE FROM version WHERE project = ? AND function = ? AND number = ?"

performs = DirectPerformers()


def add_version(connection: engine.Connection, new: NewVersion, by: str) -> Version:
    """Insert the next version. Numbers come from a counter that outlives the function.

    Raises InvalidInputError for a malformed name or digest.
    """
    project, function, digest = new.project, new.function, new.digest
    aliases.require_name("project", project)
    aliases.require_name("function", function)
    if not _DIGEST.fullmatch(digest):
        raise InvalidInputError(
            f"The digest {digest[:80]!r} is not one of a bundle: expected 64 lower-case hex digits."
        )
    encoded = msgspec.json.encode(new.spec).decode()
    (number,) = connection.execute(
        "INSERT INTO function_counter VALUES (?, ?, 1) "
        "ON CONFLICT (project, function) "
        "DO UPDATE SET last_version = function_counter.last_version + 1 RETURNING last_version",
        (project, function),
    ).fetchone()
    version = Version(
        project=project,
        function=function,
        number=number,
        digest=digest,
        spec=new.spec,
        created_at=now_of(connection),
        created_by=by,
    )
    connection.execute(
        INSERT_VERSION,
        (project, function, number, digest, encoded, version.created_at, by),
    )
    return version


@performs(KeepVersions)
def deploy(connection: engine.Connection, operation: KeepVersions) -> tuple[Version, ...]:
    """Add versions, with the approvals of what they have more, and point `live` at each.

    Raises ConflictError for one that is to be tried where nothing stands that can be gone back to.
    """
    return tuple(_deploy(connection, one, operation.by) for one in operation.versions)


def _deploy(connection: engine.Connection, new: NewVersion, by: str) -> Version:
    version = add_version(connection, new, by)
    attestations.use(connection, new, version.created_at)
    if new.approved:
        approval = GrantApproval(
            project=new.project,
            function=new.function,
            version=version.number,
            added=new.approved,
            by=by,
            at=version.created_at,
        )
        grants.add_approval(connection, approval)
    if new.trial is not None:
        trials.start(connection, new.project, new.function, version.number, new.trial)
        return version
    targets = (AliasTarget(version=version.number, weight=100),)
    aliases.add_state(connection, new.project, new.function, LIVE, targets)
    return version


@performs(ForgetFunction)
def remove_function(connection: engine.Connection, operation: ForgetFunction) -> tuple[str, ...]:
    """Delete a function's versions and aliases; return the digests no version has any more.

    Counts of what its grants were used for go, too; who approved them stays.

    Raises NotFoundError if there is no such function.
    """
    project, function = key = (operation.project, operation.function)
    digests = [
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT digest FROM version "
            "WHERE project = ? AND function = ? ORDER BY digest",
            key,
        )
    ]
    if not digests:
        raise NotFoundError(
            f"There is no function {project}/{function}.", next_step="List what is deployed."
        )
    connection.execute(DELETE_ALIASES, key)
    connection.execute(DELETE_VERSIONS, key)
    connection.execute("DELETE FROM grant_use WHERE project = ? AND function = ?", key)
    still_used = "SELECT 1 FROM version WHERE digest = ? LIMIT 1"
    return tuple(d for d in digests if not connection.execute(still_used, (d,)).fetchone())


@performs(ForgetVersion)
def remove_version(connection: engine.Connection, operation: ForgetVersion) -> tuple[str, ...]:
    """Delete a version; return its digest if no version has it any more.

    Earlier states of aliases that led to it go with it. Raises NotFoundError if there is no such
    version, ConflictError if an alias leads to it.
    """
    project, function, number = key = (operation.project, operation.function, operation.number)
    row = connection.execute(
        "SELECT digest FROM version WHERE project = ? AND function = ? AND number = ?", key
    ).fetchone()
    if row is None:
        raise NotFoundError(
            f"There is no version {number} of {project}/{function}.",
            next_step="Run casemate show to see the versions there are.",
        )
    states = connection.execute(
        "SELECT DISTINCT id, name, id = (SELECT max(id) FROM alias_state AS other WHERE "
        "(other.project, other.function, other.name) = (s.project, s.function, s.name)) "
        "FROM alias_state AS s JOIN alias_target ON state = id "
        "WHERE alias_target.project = ? AND alias_target.function = ? AND version = ?",
        key,
    ).fetchall()
    present = sorted(name for _, name, is_present in states if is_present)
    if present:
        raise ConflictError(
            f"The alias {present[0]} of {project}/{function} leads to version {number}.",
            next_step="Point it at another version first: casemate promote or rollback",
        )
    connection.executemany(DELETE_STATE, [(s[0],) for s in states])
    connection.execute(DELETE_VERSION, key)
    connection.execute(
        "DELETE FROM grant_use WHERE project = ? AND function = ? AND version = ?", key
    )
    digest: str = row[0]
    still_used = "SELECT 1 FROM version WHERE digest = ? LIMIT 1"
    return () if connection.execute(still_used, (digest,)).fetchone() else (digest,)


@performs(ListFunctions)
def functions(connection: engine.Connection, _operation: ListFunctions) -> Functions:
    """Return every function from one snapshot, sorted by project and name."""
    with one_state(connection):
        rows = connection.execute(SELECT_VERSIONS).fetchall()
        present = aliases.present(connection)
        by_function: dict[tuple[str, str], list[Alias]] = defaultdict(list)
        for alias in present:
            by_function[alias.project, alias.function].append(alias)
    versions: dict[tuple[str, str], list[Version]] = defaultdict(list)
    for row in rows:
        versions[row[0], row[1]].append(_version(row))
    return Functions(
        functions=tuple(
            DeployedFunction(
                project=project,
                name=name,
                versions=tuple(group),
                aliases=tuple(by_function[project, name]),
            )
            for (project, name), group in versions.items()
        )
    )


def _version(row: tuple[str, str, int, str, str, float, str]) -> Version:
    project, function, number, digest, spec, created_at, created_by = row
    return Version(
        project=project,
        function=function,
        number=number,
        digest=digest,
        spec=msgspec.json.decode(spec, type=decodable(FunctionSpec)),
        created_at=created_at,
        created_by=created_by,
    )
