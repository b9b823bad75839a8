"""The operation that says which errors are the same one."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.error_group import ErrorGroup, Trend
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Operation, on_chosen
from casemate.operations.fields import OnlyFunction, OnlyProject, number
from casemate.operations.given import Given
from casemate.operations.records import OnlyOutcome, OnlyVersion, Since, Until

MAX_LOOKED_AT = 1000

_GROUP = ErrorGroup(
    fingerprint="9f2c51aa03b1e7d4",
    project="shop",
    function="checkout",
    type="KeyError",
    place="app.py in handler",
    line='order = ORDERS[event["id"]]',
    count=12,
    first_at=1764201600.0,
    last_at=1764288000.0,
    versions=(7, 8),
    trend=Trend.RISING,
    counts=(0, 1, 0, 1, 2, 2, 3, 3),
    latest="err_2f1f25ef71e873e660435a53",
)


class ErrorGroups(msgspec.Struct, frozen=True, kw_only=True):
    """Groups of like errors, those with the newest error first."""

    groups: tuple[ErrorGroup, ...]
    looked_at: int
    """Errors that were looked at, the newest."""
    since: float
    until: float
    """The time between the oldest of them and now."""


class ListErrorGroups(Operation[ErrorGroups], frozen=True, kw_only=True):
    """List errors, grouped by type, the frames of the function's own code, and the line there.

    Messages and line numbers are ignored, so that other values or versions do not make new groups.
    """

    declared = Declaration(
        http="GET /error-groups",
        tag="records",
        action=Action.ERROR_READ,
        on=on_chosen,
        answer=ErrorGroups(groups=(_GROUP,), looked_at=12, since=1764201600.0, until=1764288060.0),
    )
    project: OnlyProject | None = None
    function: OnlyFunction | None = None
    outcome: OnlyOutcome | None = None
    version: OnlyVersion = 0
    since: Since | None = None
    until: Until | None = None
    limit: Annotated[
        int,
        number("How many of the newest errors to look at.", least=1, most=MAX_LOOKED_AT),
        Given("How many of the newest errors to look at."),
    ] = 500
