"""Operations on policies: list, show, put and remove custom files, and ask for a decision."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from msgspec import Meta

from casemate.model.account import PolicyFile, PolicySummary
from casemate.model.principal import Action
from casemate.operations.declaration import Decided, Declaration, Effect, Operation
from casemate.operations.fields import Name

_FileName = Annotated[Name, Meta(description="The policy file's name, without `.cedar`.")]


class PolicyFileView(msgspec.Struct, frozen=True, kw_only=True):
    """A custom policy file without its text."""

    name: str
    changed_at: float
    changed_by: str
    policies: tuple[PolicySummary, ...]


class Policies(msgspec.Struct, frozen=True, kw_only=True):
    """The custom policies in force."""

    revision: int
    """Counts up with every change, from 1 at each start of the node."""
    roles: tuple[str, ...]
    """Every role there is, the built-in ones included."""
    files: tuple[PolicyFileView, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What would be decided now, and by which policies."""

    principal: str
    action: str
    resource: str
    granted: bool
    """The function's manifest grants it; always false for people."""
    allowed: bool
    reasons: tuple[str, ...]
    """Ids of the policies that decided; none means that nothing allows it."""
    errors: tuple[str, ...]
    revision: int
    roles: tuple[str, ...] = ()
    """Of a user or token that may not: each role that would let them if it were bound where the
    resource is. The built-in ones; custom ones as well for who has `policy:read`."""


class ListPolicies(Operation[Policies], frozen=True, kw_only=True):
    """List the custom policies and all roles."""

    declared = Declaration(http="GET /policies", tag="policies", action=Action.POLICY_READ)


class ShowPolicy(Operation[PolicyFile], frozen=True, kw_only=True):
    """Return a custom policy file."""

    declared = Declaration(
        http="GET /policies/{name}",
        tag="policies",
        action=Action.POLICY_READ,
        problems=(404,),
    )
    name: _FileName


class PutPolicy(Operation[PolicyFileView], frozen=True, kw_only=True):
    """Check a custom policy file and put it in force at once.

    With `no_wider`, the change is refused if it allows more than the present policies, with no
    other change in between. This also needs `policy:read`.
    """

    declared = Declaration(
        http="PUT /policies/{name}",
        tag="policies",
        action=Action.POLICY_WRITE,
        problems=(413, 415, 422),
    )
    name: _FileName
    text: Annotated[str, Meta(description="The text that the file shall have, in Cedar.")]
    no_wider: Annotated[bool, Meta(description="Only if nothing becomes newly permitted.")] = False


class RemovePolicy(Operation[None], frozen=True, kw_only=True):
    """Remove a custom policy file."""

    declared = Declaration(
        http="DELETE /policies/{name}",
        tag="policies",
        action=Action.POLICY_WRITE,
        status=HTTPStatus.NO_CONTENT,
        problems=(404, 422),
    )
    name: _FileName


class Decide(Operation[Answer], frozen=True, kw_only=True):
    """Tell what a principal may do, and which policies decide that.

    Everybody may ask about themselves; asking about others needs `policy:read`. The node decides
    with the roles and grants that it knows.
    """

    declared = Declaration(
        http="POST /policy/decide",
        tag="policies",
        effect=Effect.READ,
        decided=Decided.FOR_EACH,
        problems=(404, 413, 415, 422),
    )
    principal: Annotated[
        str,
        Meta(
            description="user:NAME, token:ID, function:PROJECT/NAME or anonymous:public.",
            examples=["user:ada"],
        ),
    ]
    action: Annotated[
        str, Meta(description="Such as function:deploy.", examples=["function:deploy"])
    ]
    resource: Annotated[
        str,
        Meta(
            description="node, project:NAME or KIND:PROJECT/NAME, such as bucket:a/b.",
            examples=["function:shop/cart"],
        ),
    ]


class ReadPolicies(Operation[tuple[PolicyFile, ...]], frozen=True, kw_only=True):
    """Return every custom policy file with its text, by name. The node's own."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)


class KeepPolicy(Operation[None], frozen=True, kw_only=True):
    """Keep a policy file that was checked in place of the one of that name. The node's own."""

    declared = Declaration(decided=Decided.INSIDE)
    file: PolicyFile
