"""Gitea and Forgejo: `X-Gitea-Signature` over the body (docs.gitea.com, "Webhooks").

As with GitHub, the signature covers the body alone, so it is what is remembered against replay.
"""

from __future__ import annotations

from casemate.model.http import HttpHead
from casemate.triggers.hooks.github import EVENT, forge_notice
from casemate.triggers.hooks.interface import (
    MalformedError,
    Notice,
    Proof,
    Signed,
    UnprovenError,
    digest,
    header,
    hexadecimal,
    json_object,
)


class Gitea:
    """Reads web hooks of Gitea and Forgejo."""

    def proof(self, head: HttpHead, body: bytes, now: float) -> Proof:
        """See Provider."""
        signatures = hexadecimal(header(head, b"x-gitea-signature"))
        if not signatures:
            raise UnprovenError("no signature")
        return Signed(message=body, signatures=signatures)

    def notices(self, head: HttpHead, body: bytes) -> tuple[Notice, ...]:
        """See Provider."""
        event = header(head, b"x-gitea-event")
        if EVENT.fullmatch(event) is None:
            raise MalformedError("The header X-Gitea-Event names no event.")
        return (
            forge_notice(
                "gitea",
                event,
                json_object(body),
                body,
                delivery=header(head, b"x-gitea-delivery"),
                deduplication=digest(header(head, b"x-gitea-signature").lower().encode()),
            ),
        )
