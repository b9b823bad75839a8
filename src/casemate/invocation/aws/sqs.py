"""Messages of a queue as Amazon SQS's records."""

from __future__ import annotations

import hashlib

from casemate.invocation.aws.names import REGION, arn, as_text, milliseconds, texts
from casemate.model.event import Event


def sqs_record(event: Event) -> dict[str, object]:
    """Return one record. `messageId` is the event's id, which reports of failed items name."""
    body = as_text(bytes(event.data))
    detail = event.detail
    sent_at = detail.get("sent_at")
    sent = str(milliseconds(sent_at if isinstance(sent_at, (int, float)) else event.time))
    attributes: dict[str, object] = {
        "ApproximateReceiveCount": str(detail.get("attempt", 1)),
        "SentTimestamp": sent,
        "SenderId": "casemate",
        "ApproximateFirstReceiveTimestamp": sent,
    }
    if detail.get("key"):
        attributes["MessageGroupId"] = str(detail["key"])
    return {
        "messageId": event.id,
        "receiptHandle": event.id,
        "body": body,
        "attributes": attributes,
        "messageAttributes": {
            name: {
                "stringValue": value,
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "String",
            }
            for name, value in texts(event.detail.get("attributes")).items()
        },
        "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn("sqs", str(detail.get("queue", ""))),
        "awsRegion": REGION,
    }
