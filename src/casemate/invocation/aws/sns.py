"""Messages of a topic as Amazon SNS's records."""

from __future__ import annotations

from casemate.invocation.aws.names import arn, as_text, iso, texts
from casemate.model.event import Event

_NOWHERE = "https://sns.invalid/"
"""No link leads anywhere: nothing is signed and nobody unsubscribes by one (RFC 2606)."""


def sns_record(event: Event) -> dict[str, object]:
    """Return one record."""
    topic = arn("sns", str(event.detail.get("topic", "")))
    return {
        "EventVersion": "1.0",
        "EventSubscriptionArn": f"{topic}:{event.trigger}",
        "EventSource": "aws:sns",
        "Sns": {
            "Type": "Notification",
            "MessageId": event.id,
            "TopicArn": topic,
            "Subject": event.subject or None,
            "Message": as_text(bytes(event.data)),
            "Timestamp": iso(event.time),
            "SignatureVersion": "1",
            "Signature": "",
            "SigningCertUrl": _NOWHERE,
            "UnsubscribeUrl": _NOWHERE,
            "MessageAttributes": {
                name: {"Type": "String", "Value": value}
                for name, value in texts(event.detail.get("attributes")).items()
            },
        },
    }
