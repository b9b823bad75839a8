"""Operations on workloads: pipelines that sign in by an ID token of their CI system."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from msgspec import Meta

from casemate.model.principal import Action
from casemate.model.workload import (
    CLAIM_PATTERN,
    DEFAULT_MINUTES,
    MAX_CLAIMS,
    MAX_MINUTES,
    WORKLOAD_PATTERN,
)
from casemate.operations.declaration import Declaration, Operation
from casemate.operations.fields import Roles, number, text, whole
from casemate.operations.given import Given
from casemate.operations.login import MAX_BODY

_VALUES = 4
"""Times MAX_CLAIMS: values of all claims together."""

WorkloadName = Annotated[str, Meta(pattern=whole(WORKLOAD_PATTERN), description="A name for it.")]


class WorkloadView(msgspec.Struct, frozen=True, kw_only=True):
    """A workload that is trusted, and what its ID tokens must say."""

    name: str
    issuer: str
    audience: str
    claims: tuple[str, ...]
    roles: tuple[str, ...]
    minutes: int
    created_at: float
    created_by: str


class TrustedWorkloads(msgspec.Struct, frozen=True, kw_only=True):
    """Workloads that are trusted, by name."""

    workloads: tuple[WorkloadView, ...]


class RemovedWorkload(msgspec.Struct, frozen=True, kw_only=True):
    """A workload that is no longer trusted."""

    name: str
    ended: int
    """Sessions of it that ended now."""


class ListWorkloads(Operation[TrustedWorkloads], frozen=True, kw_only=True):
    """List the workloads that the node trusts."""

    declared = Declaration(
        http="GET /workloads", tag="workloads", action=Action.ACCOUNT_READ, max_body=MAX_BODY
    )


class AddWorkload(Operation[WorkloadView], frozen=True, kw_only=True):
    """Trust a workload: an ID token with these claims gets these roles for a while.

    The issuer must be reachable. The roles are at most your own, and never those of an owner of the
    node.
    """

    declared = Declaration(
        http="POST /workloads",
        tag="workloads",
        action=Action.ACCOUNT_WRITE,
        status=HTTPStatus.CREATED,
        problems=(409, 413, 415, 422, 503),
        max_body=MAX_BODY,
    )
    name: WorkloadName
    issuer: Annotated[
        str,
        text(
            "Address of the issuer of the ID tokens, exactly as the tokens spell it.",
            most=512,
            example="https://token.actions.githubusercontent.com",
        ),
        Given(flags="--issuer", metavar="URL"),
    ]
    audience: Annotated[
        str,
        text(
            "The only audience of the tokens: the node's own address, so that tokens for other "
            "services cannot be used here.",
            most=512,
            example="https://node.example.org:8787",
        ),
        Given(flags="--audience"),
    ]
    claims: Annotated[
        tuple[
            Annotated[
                str, Meta(pattern=whole(CLAIM_PATTERN), examples=["repository=example/shop"])
            ],
            ...,
        ],
        Meta(
            max_length=_VALUES * MAX_CLAIMS,
            description="NAME=VALUE of the ID token; all names must be there, each with one of "
            "its values.",
        ),
        Given(
            "A claim that the token must have exactly. Can be given several times; several values "
            "of one name allow each.",
            "--claim",
            metavar="NAME=VALUE",
        ),
    ]
    roles: Roles
    minutes: Annotated[int, number("Minutes that a session lasts.", least=1, most=MAX_MINUTES)] = (
        DEFAULT_MINUTES
    )


class RemoveWorkload(Operation[RemovedWorkload], frozen=True, kw_only=True):
    """Stop trusting a workload; its sessions end at once."""

    declared = Declaration(
        http="DELETE /workloads/{name}",
        tag="workloads",
        action=Action.ACCOUNT_WRITE,
        problems=(404,),
        max_body=MAX_BODY,
    )
    name: WorkloadName
