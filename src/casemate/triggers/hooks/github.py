"""GitHub: `X-Hub-Signature-256` over the body (docs.github.com, "Validating webhook deliveries").

The signature covers neither the event's name nor the delivery's id, which are headers, nor a
time. So what is remembered against replay is the signature, and a body must be one that its event
could have.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import msgspec

from casemate.model.http import HttpHead
from casemate.triggers.hooks.interface import (
    MalformedError,
    Notice,
    Proof,
    Signed,
    UnprovenError,
    branch_of,
    digest,
    header,
    hexadecimal,
    json_object,
    text,
    within,
)

EVENT = re.compile(r"[a-z][a-z_]{0,63}")
_FORM = "application/x-www-form-urlencoded"


class GitHub:
    """Reads web hooks of GitHub."""

    def proof(self, head: HttpHead, body: bytes, now: float) -> Proof:
        """See Provider."""
        scheme, _, encoded = header(head, b"x-hub-signature-256").partition("=")
        signatures = hexadecimal(encoded) if scheme == "sha256" else ()
        if not signatures:
            raise UnprovenError("no signature")
        return Signed(message=body, signatures=signatures)

    def notices(self, head: HttpHead, body: bytes) -> tuple[Notice, ...]:
        """See Provider."""
        event = header(head, b"x-github-event")
        if EVENT.fullmatch(event) is None:
            raise MalformedError("The header X-GitHub-Event names no event.")
        raw = _payload(head, body)
        return (
            forge_notice(
                "github",
                event,
                json_object(raw),
                raw,
                delivery=header(head, b"x-github-delivery"),
                deduplication=digest(header(head, b"x-hub-signature-256").lower().encode()),
            ),
        )


def _payload(head: HttpHead, body: bytes) -> bytes:
    """Return the JSON of a body, which may come in a form."""
    if header(head, b"content-type").partition(";")[0].strip().lower() != _FORM:
        return body
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=4)
    except ValueError as error:
        raise MalformedError("The body is not a form.") from error
    return fields.get("payload", [""])[0].encode("utf-8", "surrogateescape")


def forge_notice(
    provider: str,
    event: str,
    payload: dict[str, object],
    raw: bytes,
    *,
    delivery: str,
    deduplication: str,
) -> Notice:
    """Return the notice of a payload in the form that GitHub began and Gitea took over."""
    ref, commit, branch = _what(event, payload)
    return Notice(
        event=event,
        deduplication=deduplication,
        data=msgspec.Raw(raw),
        source=text(payload, "repository", "html_url"),
        subject=ref,
        branch=branch,
        ping=event == "ping",
        detail={
            "provider": provider,
            "event": event,
            "repository": text(payload, "repository", "full_name"),
            "branch": branch or "",
            "commit": commit,
            "sender": text(payload, "sender", "login"),
            "delivery": delivery[:200],
        },
    )


def _what(event: str, payload: dict[str, object]) -> tuple[str, str, str | None]:
    """Return ref, commit and branch of a payload, as far as it is about any."""
    if event == "push":
        ref, commit = text(payload, "ref"), text(payload, "after")
        if not ref or not commit or not text(payload, "before"):
            raise MalformedError(
                "The body is not that of a push, which has `ref`, `before` and `after`."
            )
        return ref, commit, branch_of(ref)
    if event in ("create", "delete"):
        ref = text(payload, "ref")
        return ref, "", ref if text(payload, "ref_type") == "branch" else ""
    if isinstance(within(payload, "pull_request"), dict):
        branch = text(payload, "pull_request", "base", "ref")
        return branch, text(payload, "pull_request", "head", "sha"), branch or None
    for kind in ("workflow_run", "check_suite", "deployment"):
        if isinstance(within(payload, kind), dict):
            branch = text(payload, kind, "head_branch") or text(payload, kind, "ref")
            commit = text(payload, kind, "head_sha") or text(payload, kind, "sha")
            return branch, commit, branch or None
    return "", "", None
