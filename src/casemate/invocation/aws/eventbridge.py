"""All that has no record of its own at AWS, as events of Amazon EventBridge."""

from __future__ import annotations

import msgspec

from casemate.invocation.aws.names import ACCOUNT, REGION, arn, iso, project_of
from casemate.model.event import Event
from casemate.model.trigger import TriggerKind


def eventbridge_event(event: Event) -> dict[str, object]:
    """Return one event. Its detail is the data if that is an object, else `{"data": data}`."""
    data = msgspec.json.decode(event.data)
    detail = data if isinstance(data, dict) else {} if data is None else {"data": data}
    is_schedule = event.kind is TriggerKind.SCHEDULE
    rule = arn("events", f"rule/{project_of(event.source) or 'outside'}/{event.trigger}")
    return {
        "version": "0",
        "id": event.id,
        "detail-type": "Scheduled Event" if is_schedule else event.type,
        "source": "aws.events" if is_schedule else event.source,
        "account": ACCOUNT,
        "time": iso(event.time)[:-5] + "Z",
        "region": REGION,
        "resources": [rule] if is_schedule else [event.source],
        "detail": detail,
    }
