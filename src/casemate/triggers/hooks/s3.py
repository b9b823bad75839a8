"""S3-compatible servers: notifications by web hook, as MinIO sends them, with a bearer token.

One request may hold many records; each is an event of its own. Keys come as in a form
(`a+b%2Fc`) and are decoded once.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import unquote_plus

import msgspec

from casemate.model.http import HttpHead
from casemate.triggers.hooks.interface import (
    MalformedError,
    Notice,
    Proof,
    Shown,
    UnprovenError,
    digest,
    json_object,
    text,
    within,
)

MAX_RECORDS = 1000
MAX_KEY = 3 * 1024
"""Characters of a key as it comes: S3 has at most 1,024 bytes, each of which may be three."""
_SCHEME = b"bearer "


class S3:
    """Reads notifications of S3-compatible servers."""

    def proof(self, head: HttpHead, body: bytes, now: float) -> Proof:
        """See Provider."""
        shown = head.header(b"authorization") or b""
        if shown[: len(_SCHEME)].lower() != _SCHEME or not shown[len(_SCHEME) :].strip():
            raise UnprovenError("no bearer token")
        return Shown(shown[len(_SCHEME) :].strip())

    def notices(self, head: HttpHead, body: bytes) -> tuple[Notice, ...]:
        """See Provider."""
        payload = json_object(body)
        if text(payload, "Event") == "s3:TestEvent":
            return (Notice(event="s3:TestEvent", deduplication=digest(body), ping=True),)
        records = within(payload, "Records")
        if not isinstance(records, list) or not 0 < len(records) <= MAX_RECORDS:
            raise MalformedError(f'The body has no "Records", 1 to {MAX_RECORDS} of them.')
        return tuple(map(_notice, records))


def _notice(record: object) -> Notice:
    event, bucket = text(record, "eventName"), text(record, "s3", "bucket", "name")
    encoded = within(record, "s3", "object", "key")
    if not event or not bucket or not isinstance(encoded, str) or not encoded:
        raise MalformedError("A record does not say what happened to which object.")
    if len(encoded) > MAX_KEY:
        raise MalformedError(f"The key of an object has over {MAX_KEY} characters.")
    try:
        key = unquote_plus(encoded, errors="strict")
    except UnicodeDecodeError as error:
        raise MalformedError("The key of an object is not UTF-8.") from error
    event = event if event.startswith("s3:") else f"s3:{event}"
    sequencer, version = (text(record, "s3", "object", n) for n in ("sequencer", "versionId"))
    size = within(record, "s3", "object", "size")
    when = text(record, "eventTime")
    # Without a sequencer the time stands for it; two of the same moment are the same.
    parts = (event, bucket, key, version, sequencer or when)
    return Notice(
        event=event,
        deduplication=digest(*(part.encode("utf-8", "surrogatepass") for part in parts)),
        data=msgspec.Raw(msgspec.json.encode(record)),
        subject=key,
        time=_time(when),
        detail={
            "event": event,
            "bucket": bucket,
            "key": key,
            "size": size if isinstance(size, int) and not isinstance(size, bool) else None,
            "content_type": text(record, "s3", "object", "contentType"),
            "etag": text(record, "s3", "object", "eTag"),
            "version": version,
            "sequencer": sequencer,
        },
    )


def _time(when: str) -> float | None:
    try:
        parsed = datetime.fromisoformat(when)
    except ValueError:
        return None
    return parsed.timestamp() if parsed.tzinfo is not None else None
