"""GitLab: a signing token as Standard Webhooks has it, or the secret itself in `X-Gitlab-Token`.

Where a request is signed the signature alone counts. Whoever can read a request with the token can
send any, so a replay of one is the least of it: use a signing token where GitLab has them.
"""

from __future__ import annotations

import re

import msgspec

from casemate.model.http import HttpHead
from casemate.triggers.hooks.interface import (
    MalformedError,
    Notice,
    Proof,
    Shown,
    UnprovenError,
    branch_of,
    digest,
    header,
    json_object,
    made_after,
    standard_webhook,
    text,
    within,
)

_EVENT = re.compile(r"[a-z][a-z_]{0,63}")
_SIGNATURE = b"webhook-signature"


class GitLab:
    """Reads web hooks of GitLab."""

    def proof(self, head: HttpHead, body: bytes, now: float) -> Proof:
        """See Provider."""
        if head.header(_SIGNATURE) is not None:
            return standard_webhook(head, body, now)
        token = head.header(b"x-gitlab-token")
        if not token:
            raise UnprovenError("no signature and no token")
        return Shown(token)

    def notices(self, head: HttpHead, body: bytes) -> tuple[Notice, ...]:
        """See Provider."""
        payload = json_object(body)
        event = text(payload, "object_kind") or text(payload, "event_name")
        if _EVENT.fullmatch(event) is None:
            raise MalformedError('The body has no "object_kind" that names an event.')
        ref, commit, branch = _what(event, payload)
        return (
            Notice(
                event=event,
                deduplication=_deduplication(head, body),
                made_after=None if head.header(_SIGNATURE) is None else made_after(head),
                data=msgspec.Raw(body),
                source=text(payload, "project", "web_url"),
                subject=ref,
                branch=branch,
                detail={
                    "provider": "gitlab",
                    "event": event,
                    "repository": text(payload, "project", "path_with_namespace"),
                    "branch": branch or "",
                    "commit": commit,
                    "sender": text(payload, "user_username") or text(payload, "user", "username"),
                    "delivery": _delivery(head),
                },
            ),
        )


def _delivery(head: HttpHead) -> str:
    names = (b"webhook-id", b"idempotency-key", b"x-gitlab-event-uuid")
    return next((found[:200] for name in names if (found := header(head, name))), "")


def _deduplication(head: HttpHead, body: bytes) -> str:
    """Return the signed id; without a signature what the sender calls it, and the body."""
    if head.header(_SIGNATURE) is not None:
        return digest(b"id", header(head, b"webhook-id").encode())
    return digest(b"token", _delivery(head).encode(), body)


def _what(event: str, payload: dict[str, object]) -> tuple[str, str, str | None]:
    """Return ref, commit and branch of a payload, as far as it is about any."""
    if event in ("push", "tag_push"):
        ref = text(payload, "ref")
        if not ref:
            raise MalformedError("The body is not that of a push.")
        return ref, text(payload, "checkout_sha") or text(payload, "after"), branch_of(ref)
    if event == "merge_request":
        branch = text(payload, "object_attributes", "target_branch")
        commit = text(payload, "object_attributes", "last_commit", "id")
        return branch, commit, branch or None
    if event in ("pipeline", "build"):
        inside = ("object_attributes",) if event == "pipeline" else ()
        branch = text(payload, *inside, "ref")
        is_tag = within(payload, *inside, "tag") is True
        return branch, text(payload, *inside, "sha"), "" if is_tag else branch or None
    return "", "", None
