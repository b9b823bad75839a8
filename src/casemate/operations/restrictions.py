"""Operations that hold something back, and let it go again."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.principal import Action
from casemate.model.restriction import MAX_WHAT, Restriction, RestrictionKind
from casemate.operations.declaration import (
    Decided,
    Declaration,
    Operation,
    on_project_or_node,
)
from casemate.operations.fields import Id, Name, OnlyProject, text
from casemate.operations.given import Given

MAX_REASON = 400
_Reason = Annotated[
    str,
    text(
        "The reason, for whoever asks later.",
        least=1,
        most=MAX_REASON,
        example="inc_9f2c51aa03b1e7d4",
    ),
    Given(flags="--reason", metavar="TEXT"),
]
_SHOWN = Restriction(
    id="res_9f2c51aa03b1e7d4",
    kind=RestrictionKind.HOST,
    project="shop",
    function="report",
    what="paste.example.com",
    reason="inc_9f2c51aa03b1e7d4",
    by="user:ada",
    since=1764201700.0,
)


class Restrictions(msgspec.Struct, frozen=True, kw_only=True):
    """Restrictions, by whose they are."""

    restrictions: tuple[Restriction, ...]


class Restrict(Operation[Restriction], frozen=True, kw_only=True):
    """Restrict aliases, an outside host, callers or a secret, until the restriction is lifted.

    It is in force when the answer comes, and ends what is still using what it is about. If the
    restriction already exists, its reason and author stay. Needs `restriction:write` on the
    function, the project or the node concerned.
    """

    declared = Declaration(
        http="POST /restrictions",
        tag="incidents",
        decided=Decided.FOR_EACH,
        problems=(404, 409, 413, 415, 422),
        example={
            "kind": "host",
            "what": _SHOWN.what,
            "project": "shop",
            "function": "report",
            "reason": _SHOWN.reason,
        },
        answer=_SHOWN,
    )
    kind: Annotated[
        RestrictionKind,
        msgspec.Meta(description="What: `alias`, `host`, `address` or `secret`."),
        Given(metavar="KIND"),
    ]
    what: Annotated[
        str,
        text(
            "A host (`api.example.com`, `*.example.com`), an address or network, a secret's name; "
            "`*`: every host or secret; nothing for aliases.",
            most=MAX_WHAT,
        ),
        Given(argument=True),
    ] = ""
    project: Annotated[Name, msgspec.Meta(description="Only for this project.")] | None = None
    function: (
        Annotated[Name, msgspec.Meta(description="Only for this function of the project.")] | None
    ) = None
    reason: _Reason


class LiftRestriction(Operation[Restriction], frozen=True, kw_only=True):
    """Lift a restriction; the answer is the restriction. Needs the same right as making it."""

    declared = Declaration(
        http="POST /restrictions/{id}/lift",
        tag="incidents",
        decided=Decided.FOR_EACH,
        problems=(404, 409, 413, 415),
        example={"reason": "a false alarm"},
        answer=_SHOWN,
    )
    id: Annotated[Id, msgspec.Meta(description="Id of a restriction.")]
    reason: _Reason


class ListRestrictions(Operation[Restrictions], frozen=True, kw_only=True):
    """List the restrictions of a project, or all."""

    declared = Declaration(
        http="GET /restrictions",
        tag="incidents",
        action=Action.INCIDENTS_READ,
        on=on_project_or_node,
        answer=Restrictions(restrictions=(_SHOWN,)),
    )
    project: OnlyProject | None = None
