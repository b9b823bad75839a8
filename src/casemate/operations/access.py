"""Operations of an access review: who and what has which rights, and whether they may keep them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from casemate.model.account import BINDING_PATTERN
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Operation, on_project_or_node
from casemate.operations.fields import After, OnlyProject, number, text, whole
from casemate.operations.given import Given

MAX_PAGE = 200
MAX_REASON = 300
MAX_REVIEW_DAYS = 400

SUBJECT_PATTERN = (
    r"^(?:user|token|provider|workload|function|source|hook):[a-z0-9][a-z0-9/-]{0,200}$"
)
"""Who or what has rights: as principals are written, and what comes from outside by its trigger."""


class AccessKind(StrEnum):
    """Kinds of those who have rights."""

    USER = "user"
    TOKEN = "token"  # noqa: S105
    PROVIDER = "provider"
    """Whose word lets people in."""
    WORKLOAD = "workload"
    """A pipeline that signs in by its ID token."""
    SOURCE = "source"
    """A server outside that a trigger reads from."""
    HOOK = "hook"
    """A sender of web hooks."""
    FUNCTION = "function"


class AccessReview(msgspec.Struct, frozen=True, kw_only=True):
    """That somebody looked at rights, and kept them."""

    subject: str
    at: float
    by: str
    """A principal's text."""
    reason: str
    own: bool = False
    """Whether who looked is who has the rights, or made what has them."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody or something that has rights."""

    id: str
    kind: AccessKind
    name: str
    """Of a token the name it was given; of a third party where it is."""
    rights: tuple[str, ...]
    """In words, each with what gives it."""
    digest: str
    """Of all its rights, for `keep`: by it just those that were looked at are kept."""
    since: float
    """Since when it has any."""
    last_used: float | None = None
    """Of functions the day of their last call."""
    used_known: bool = True
    """False: nothing here tells whether it was used."""
    review: AccessReview | None = None
    """The last one."""
    due: float
    """When the next one is due."""
    overdue: bool = False


class AccessPage(msgspec.Struct, frozen=True, kw_only=True):
    """Those who have rights, by kind and id."""

    entries: tuple[Access, ...]
    after: str = ""
    """Where to go on; empty: that was all."""
    total: int
    """Of all pages."""
    overdue: int
    """Of all pages."""
    node_wide: int = 0
    """Where a project was asked for: those whose rights on the whole node reach it as well."""
    days: int
    """After how many days rights are due for review."""


class AccessRules(msgspec.Struct, frozen=True, kw_only=True):
    """How often rights must be reviewed."""

    days: int


class RemovedAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken."""

    id: str
    done: str
    """What was done, in words."""
    undo: str
    """The command that gives it again; empty: nothing does."""


_Subject = Annotated[
    str,
    msgspec.Meta(
        pattern=whole(SUBJECT_PATTERN),
        max_length=256,
        description="Who or what, as `review` lists it.",
        examples=["token:9f2c51aa03b1e7d4"],
    ),
    Given("The id, see `access review`."),
]
_Reason = Annotated[
    str,
    text("The reason, for whoever asks later.", least=1, most=MAX_REASON),
    msgspec.Meta(pattern=whole(r"^\s*\S[\s\S]*$")),  # spaces are no reason
    Given(flags="--reason", metavar="TEXT"),
]
_REVIEW = AccessReview(
    subject="token:9f2c51aa03b1e7d4", at=1764201600.0, by="user:ada", reason="still builds the shop"
)
_ENTRY = Access(
    id=_REVIEW.subject,
    kind=AccessKind.TOKEN,
    name="ci",
    rights=("developer@shop: deploys, calls and sees functions in the project shop",),
    digest="51aa03b1e7d49f2c",
    since=1756425600.0,
    last_used=1764201000.0,
    review=_REVIEW,
    due=1771977600.0,
)


class ReviewAccess(Operation[AccessPage], frozen=True, kw_only=True):
    """List people, tokens, third parties and functions, with their rights and last use.

    With `project`, only those who have rights in that project, and only these rights.
    """

    declared = Declaration(
        http="GET /access",
        tag="access",
        action=Action.ACCESS_READ,
        on=on_project_or_node,
        answer=AccessPage(entries=(_ENTRY,), total=1, overdue=0, days=90),
    )
    project: OnlyProject | None = None
    kind: (
        Annotated[
            AccessKind,
            msgspec.Meta(
                description="Only `user`, `token`, `provider`, `workload`, `source`, `hook` or "
                "`function`."
            ),
        ]
        | None
    ) = None
    overdue: Annotated[bool, msgspec.Meta(description="Only those whose review is overdue.")] = (
        False
    )
    after: After = ""
    limit: Annotated[int, number("How many at most.", least=1, most=MAX_PAGE)] = 100


class KeepAccess(Operation[AccessReview], frozen=True, kw_only=True):
    """Record that somebody reviewed these rights and kept them.

    Whoever reviews their own rights is recorded as doing so. With `digest`, the answer is 409 if
    the rights have changed since they were read.
    """

    declared = Declaration(
        http="POST /access/keep",
        tag="access",
        action=Action.ACCESS_REVIEW,
        problems=(404, 409, 413, 415),
        example={"id": _REVIEW.subject, "reason": _REVIEW.reason},
        answer=_REVIEW,
    )
    id: _Subject
    reason: _Reason
    digest: (
        Annotated[
            str,
            msgspec.Meta(
                pattern=whole(r"^[0-9a-f]{16}$"),
                description="Digest of the reviewed rights, as in the list.",
                examples=[_ENTRY.digest],
            ),
            Given("Keep exactly the rights with this digest (review --json).", metavar="DIGEST"),
        ]
        | None
    ) = None


class RemoveAccess(Operation[RemovedAccess], frozen=True, kw_only=True):
    """Take rights away from somebody or something, and record why.

    A token is revoked, together with the tokens that were made with it. A person loses all roles,
    or one. A provider or a pipeline is no longer trusted. Each of these needs the same right as
    when it is done by its own operation. Functions and triggers have the rights that their manifest
    states: deploy without them.
    """

    declared = Declaration(
        http="POST /access/remove",
        tag="access",
        action=Action.ACCESS_REVIEW,
        problems=(404, 409, 413, 415),
        example={"id": _REVIEW.subject, "reason": "nobody knows what it is for"},
        answer=RemovedAccess(id=_REVIEW.subject, done="the token is revoked", undo=""),
    )
    id: _Subject
    reason: _Reason
    role: (
        Annotated[
            str,
            msgspec.Meta(
                pattern=whole(BINDING_PATTERN),
                description="Of a person only this one.",
                examples=["developer@shop"],
            ),
            Given("Only this role of a person, such as developer@shop.", metavar="ROLE"),
        ]
        | None
    ) = None


class SetAccessRules(Operation[AccessRules], frozen=True, kw_only=True):
    """Set after how many days rights are due for review."""

    declared = Declaration(
        http="PUT /access/rules",
        tag="access",
        action=Action.ACCOUNT_WRITE,
        problems=(413, 415),
        example={"days": 90},
        answer=AccessRules(days=90),
    )
    days: Annotated[
        int, number("After so many days.", least=1, most=MAX_REVIEW_DAYS), Given(argument=True)
    ]
