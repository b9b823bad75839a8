"""Changes of a bucket, and notifications of S3-compatible servers, as Amazon S3's records."""

from __future__ import annotations

from urllib.parse import quote_plus

import msgspec

from casemate.invocation.aws.names import REGION, arn, iso
from casemate.model.event import Event
from casemate.model.trigger import TriggerKind

_OWNER = {"principalId": "casemate"}


def s3_record(event: Event) -> dict[str, object]:
    """Return one record. What an S3-compatible server sent is one already."""
    if event.kind is TriggerKind.S3:
        sent = msgspec.json.decode(event.data)
        if isinstance(sent, dict):
            return sent
    detail = event.detail
    bucket, created = str(detail.get("bucket", "")), event.type.endswith(".created")
    shown: dict[str, object] = {
        "key": quote_plus(str(detail.get("key", "")), safe="/"),
        "sequencer": f"{_whole(detail.get('revision')):016X}",
        "versionId": str(detail.get("revision", "")),
    }
    if created:
        shown["size"] = _whole(detail.get("size"))
        shown["eTag"] = str(detail.get("sha256", ""))
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": iso(event.time),
        "eventName": "ObjectCreated:Put" if created else "ObjectRemoved:Delete",
        "userIdentity": _OWNER,
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": event.id, "x-amz-id-2": event.id},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": event.trigger,
            "bucket": {
                "name": bucket,
                "ownerIdentity": _OWNER,
                "arn": arn("s3", bucket, placed=False),
            },
            "object": shown,
        },
    }


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
