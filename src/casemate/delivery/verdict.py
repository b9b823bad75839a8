"""What becomes of each message of a batch, judged by how its invocation ended."""

from __future__ import annotations

import msgspec

from casemate.data.interface import Fate, Message
from casemate.decoding import DECODING_ERRORS
from casemate.model.function import Delivery
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import Sealed

NOTHING_RAN = frozenset((Outcome.THROTTLED, Outcome.UNAVAILABLE))
"""The node had no instance: it is asked again, and the attempt does not count."""
HOPELESS = frozenset((Outcome.INVALID, Outcome.DENIED, Outcome.NOT_FOUND))
"""What would end the same way however often it is tried."""
_SERVER_ERROR = 500
_MAX_FAILED = 10_000
_MAX_CONTENT_TYPE = 255
_MAX_REASON = 200
_JSON, _JSON_TEXT = b"application/json", "application/json"


class _Reported(msgspec.Struct):
    failed: list[str] | None = None
    items: list[dict[str, str]] | None = msgspec.field(default=None, name="batchItemFailures")


_read_report = msgspec.json.Decoder(_Reported).decode


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one attempt at one message."""

    fate: Fate
    reason: str = ""


DONE = Verdict(fate=Fate.DONE)
KEEPER_GONE = "whoever sent it was revoked, disabled or removed since"
KEEPER_DENIED = "whoever sent it may no longer invoke the function"
REDRIVER_GONE = "who sent it again was revoked, disabled or removed since"
REDRIVER_DENIED = "whoever sent it again may no longer do that"


def worn_out(message: Message, delivery: Delivery, now: float) -> str:
    """Return why a message is given up before another attempt; empty if it is not."""
    ends = message.sent_at + delivery.max_age
    if message.expires_at is not None:
        ends = min(ends, message.expires_at)
    if now >= ends:
        return "too old"
    # Its attempts were leased, but never ended: each took the process with it.
    return "attempts used up" if message.attempts > delivery.attempts else ""


def is_done(sealed: Sealed) -> bool:
    """Tell whether a message whose invocation ended so needs no other attempt."""
    return sealed.outcome is Outcome.OK and sealed.response.status < _SERVER_ERROR


def judge(sealed: Sealed, message: Message, delivery: Delivery, now: float) -> Verdict:
    """Return what becomes of a message whose invocation ended so."""
    response, outcome = sealed.response, sealed.outcome
    if is_done(sealed):
        return DONE
    reason = outcome.value if outcome is not Outcome.OK else f"status {response.status}"
    if outcome in HOPELESS:
        return Verdict(fate=Fate.DEAD, reason=refusal_reason(outcome, response))
    return failed(reason, message, delivery, now)


def failed(reason: str, message: Message, delivery: Delivery, now: float) -> Verdict:
    """Return what becomes of a message whose attempt failed: another, unless it was the last."""
    if message.attempts >= delivery.attempts or worn_out(message, delivery, now):
        return Verdict(fate=Fate.DEAD, reason=reason)
    return Verdict(fate=Fate.RETRY, reason=reason)


def refusal_reason(outcome: Outcome, response: HttpResponse) -> str:
    """Return what a refusal said. Its text is ours and tells nothing of the event's content."""
    try:
        detail = msgspec.json.decode(body_of(response)).get("detail", "")
    except (AttributeError, *DECODING_ERRORS):
        detail = ""
    reason = f"{outcome.value}: {detail}" if detail else outcome.value
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in reason[:_MAX_REASON])


def failed_items(response: HttpResponse, ids: set[str]) -> set[str] | None:
    """Return the ids of events that a handler reports as failed; None if it reports nonsense.

    `{"failed": [id, ...]}`, or AWS Lambda's `{"batchItemFailures": [{"itemIdentifier": id}]}`.
    What cannot be understood must not pass as success.
    """
    body = body_of(response)
    if not body.lstrip().startswith(b"{"):
        return set()
    try:
        report = _read_report(body)
        if report.failed is not None:
            found = set(report.failed)
        elif report.items is not None:
            found = {item["itemIdentifier"] for item in report.items}
        else:
            return set()
    except (KeyError, *DECODING_ERRORS):
        return None
    return found if len(found) <= _MAX_FAILED and found <= ids else None


def body_of(response: HttpResponse) -> bytes:
    """Return the body of a function's answer, which is never a stream."""
    return response.body if isinstance(response.body, bytes) else b""


def content_type_of(response: HttpResponse) -> str:
    """Return the media type of an answer, empty if it has none that is worth keeping."""
    for name, value in response.headers:
        if name == b"content-type":
            if value == _JSON:
                return _JSON_TEXT  # as nearly all have it
            text = value.decode("latin-1")
            short = len(text) <= _MAX_CONTENT_TYPE
            return text if short and text.isascii() and text.isprintable() else ""
    return ""
