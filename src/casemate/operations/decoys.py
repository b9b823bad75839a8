"""Operations on decoys: what nothing honest touches, and no other listing shows."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.decoy import DecoyKind, DecoyState
from casemate.model.principal import Action
from casemate.operations.declaration import (
    Declaration,
    Operation,
    on_project,
    on_project_or_node,
)
from casemate.operations.fields import Name, OnlyProject, text
from casemate.operations.given import Given

LEAST_REASON, MOST_REASON = 10, 500

_STATE = DecoyState(
    project="shop",
    kind=DecoyKind.SECRET,
    place="payments-api-key-x7k2m",
    generation=1,
    on=True,
)
_Kind = Annotated[DecoyKind, msgspec.Meta(description="`secret`, `token`, `host` or `row`.")]


class DecoyList(msgspec.Struct, frozen=True, kw_only=True):
    """Decoys, by project and kind."""

    decoys: tuple[DecoyState, ...]


class ListDecoys(Operation[DecoyList], frozen=True, kw_only=True):
    """Show where decoys are.

    Their secret values are never shown; of a token only the id is. That somebody looked is recorded
    first.
    """

    declared = Declaration(
        http="GET /decoys",
        tag="decoys",
        recorded=True,
        action=Action.DECOYS_READ,
        on=on_project_or_node,
        problems=(404,),
        answer=DecoyList(decoys=(_STATE,)),
    )
    project: OnlyProject | None = None


class RotateDecoys(Operation[DecoyList], frozen=True, kw_only=True):
    """Replace the decoys of a project. Use of the old ones is still reported."""

    declared = Declaration(
        http="POST /decoys/{project}/rotate",
        tag="decoys",
        action=Action.DECOYS_WRITE,
        on=on_project,
        problems=(404,),
        answer=DecoyList(decoys=(_STATE,)),
    )
    project: Name


class DisableDecoy(Operation[DecoyState], frozen=True, kw_only=True):
    """Turn a decoy of a project off. The reason is stored and shown."""

    declared = Declaration(
        http="POST /decoys/{project}/{kind}/disable",
        tag="decoys",
        action=Action.DECOYS_WRITE,
        on=on_project,
        problems=(404, 422),
        answer=_STATE,
        example={"kind": DecoyKind.HOST, "reason": "A scanner of ours resolves every name."},
    )
    project: Name
    kind: _Kind
    reason: Annotated[
        str,
        text("Why, in 10 to 500 characters.", least=LEAST_REASON, most=MOST_REASON),
        Given("Why it is off.", "--reason"),
    ]


class EnableDecoy(Operation[DecoyState], frozen=True, kw_only=True):
    """Turn a decoy of a project on again."""

    declared = Declaration(
        http="POST /decoys/{project}/{kind}/enable",
        tag="decoys",
        action=Action.DECOYS_WRITE,
        on=on_project,
        problems=(404,),
        answer=_STATE,
    )
    project: Name
    kind: _Kind
