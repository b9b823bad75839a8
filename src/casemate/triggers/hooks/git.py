"""Plain git: what the post-receive hook sends that `casemate hooks git` prints.

It signs as Standard Webhooks has it: id, time and body. So a request that is old or was seen is
refused, whatever was changed of it.
"""

from __future__ import annotations

import re

import msgspec

from casemate.model.http import HttpHead
from casemate.triggers.hooks.interface import (
    MalformedError,
    Notice,
    Proof,
    branch_of,
    digest,
    header,
    json_object,
    made_after,
    standard_webhook,
    text,
)

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Git:
    """Reads what the hook of a plain git repository sends."""

    def proof(self, head: HttpHead, body: bytes, now: float) -> Proof:
        """See Provider."""
        return standard_webhook(head, body, now)

    def notices(self, head: HttpHead, body: bytes) -> tuple[Notice, ...]:
        """See Provider."""
        payload = json_object(body)
        identity = header(head, b"webhook-id")
        deduplication = digest(b"id", identity.encode())
        event = text(payload, "event")
        if event == "ping":
            return (Notice(event=event, deduplication=deduplication, ping=True),)
        ref, before, after = (text(payload, name) for name in ("ref", "before", "after"))
        known = event == "push" and ref.startswith("refs/")
        if not known or not _COMMIT.fullmatch(before) or not _COMMIT.fullmatch(after):
            raise MalformedError(
                "The body is not that of a push.",
                next_step="Print the hook again: casemate hooks git",
            )
        return (
            Notice(
                event=event,
                deduplication=deduplication,
                made_after=made_after(head),
                data=msgspec.Raw(body),
                source=text(payload, "repository"),
                subject=ref,
                branch=branch_of(ref),
                detail={
                    "provider": "git",
                    "event": event,
                    "repository": text(payload, "repository"),
                    "branch": branch_of(ref),
                    "commit": after,
                    "sender": text(payload, "sender"),
                    "delivery": identity,
                },
            ),
        )
