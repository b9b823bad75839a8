"""The operations that check all that a node keeps."""

from __future__ import annotations

from http import HTTPStatus

from casemate.model import integrity
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Effect, Operation


class CheckReport(Operation[integrity.CheckReport], frozen=True, kw_only=True):
    """Show what the latest check of the node's data has found."""

    declared = Declaration(http="GET /check", tag="node", action=Action.NODE_READ)


class StartCheck(Operation[integrity.CheckReport], frozen=True, kw_only=True):
    """Check everything that the node stores.

    Reads all pages, counters, objects, bundles and the vault's files. The answer comes at once, and
    `GET` tells how far the check is. If a check is already running in the background, it continues
    at full speed.
    """

    declared = Declaration(
        http="POST /check",
        tag="node",
        effect=Effect.READ,
        action=Action.NODE_BACKUP,
        status=HTTPStatus.ACCEPTED,
        problems=(409,),
    )
