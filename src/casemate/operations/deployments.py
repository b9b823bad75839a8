"""Operations on versions and aliases as they are stored. The node's own: deploys ask for them."""

from __future__ import annotations

from typing import Annotated

from casemate.model.deployment import Alias, NewVersion, Version
from casemate.operations.declaration import Decided, Declaration, Effect, Operation
from casemate.operations.fields import Name, VersionNumber, number


class KeepVersions(Operation[tuple[Version, ...]], frozen=True, kw_only=True):
    """Add versions and point `live` at each with 100 %, all in one transaction or none.

    A digest deployed before gets a new number. What `by` approved of their grants is recorded with
    them.
    """

    declared = Declaration(decided=Decided.INSIDE)
    versions: tuple[NewVersion, ...]
    by: str


class ShowAliasHistory(Operation[tuple[Alias, ...]], frozen=True, kw_only=True):
    """Return the states an alias has had, newest (the present one) first."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    project: Name
    function: Name
    name: Name
    limit: Annotated[int, number("How many at most.")] = 20


class ForgetVersion(Operation[tuple[str, ...]], frozen=True, kw_only=True):
    """Delete one version; return its digest if no version has it any more.

    Raises NotFoundError, and ConflictError if an alias leads to it.
    """

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    function: Name
    number: VersionNumber


class ForgetFunction(Operation[tuple[str, ...]], frozen=True, kw_only=True):
    """Forget a function; return the digests that nothing refers to any more."""

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    function: Name
