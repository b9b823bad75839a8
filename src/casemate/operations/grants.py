"""Operations on what a function is granted, and what of it was used."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.denial import Denial, GrantApproval, GrantUse, PackageUse
from casemate.model.grant import Grant
from casemate.model.principal import Action
from casemate.operations.declaration import (
    Decided,
    Declaration,
    Effect,
    Operation,
    on_function,
)
from casemate.operations.fields import Name, number
from casemate.operations.given import Given


class FunctionGrants(msgspec.Struct, frozen=True, kw_only=True):
    """What one version of a function is granted, and what it has used."""

    project: str
    function: str
    version: int
    deployed_at: float
    granted: tuple[Grant, ...]
    events: tuple[Grant, ...] = ()
    """What its triggers let it see and its destinations are sent, in the form of grants."""
    uses: tuple[GrantUse, ...]
    """Those of this version."""
    others: tuple[GrantUse, ...] = ()
    """Of each grant and action the newest other version that used it, under any prefix."""
    packages: tuple[PackageUse, ...] = ()
    """What packages of others did in this version, by the word of its processes."""
    approvals: tuple[GrantApproval, ...]
    """Those of all versions, newest first."""
    denials: tuple[Denial, ...]
    """The newest attempts of any version to use what it was not granted, and the newest refused
    deploys; newest first."""


class ShowGrants(Operation[FunctionGrants], frozen=True, kw_only=True):
    """Show what a function is granted, which grants it used, and who approved them."""

    declared = Declaration(
        http="GET /functions/{project}/{function}/grants",
        tag="functions",
        action=Action.GRANT_READ,
        on=on_function,
        problems=(404,),
    )
    project: Name
    function: Name
    version: Annotated[
        int,
        number("Which version; 0 is the live one that most callers are sent to."),
        Given("The version. Default: the live one.", least=1),
    ] = 0


class ListApprovals(Operation[tuple[GrantApproval, ...]], frozen=True, kw_only=True):
    """Return the approvals of a function, newest first. The node's own."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    project: Name
    function: Name


class ListUses(Operation[tuple[GrantUse, ...]], frozen=True, kw_only=True):
    """Return what a function's versions used, newest version first. The node's own."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    project: Name
    function: Name
    version: Annotated[int, number("Only what this version used.")] | None = None


class CountUses(Operation[None], frozen=True, kw_only=True):
    """Add counts to those of the same version, grant, action and prefix. The node's own."""

    declared = Declaration(decided=Decided.INSIDE)
    uses: tuple[GrantUse, ...]
