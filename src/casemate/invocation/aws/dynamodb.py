"""Changes of a table as Amazon DynamoDB's stream records, with its typed values."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from casemate.invocation.aws.names import REGION, arn
from casemate.model.event import Event

_NAMES = {"inserted": "INSERT", "updated": "MODIFY", "deleted": "REMOVE", "expired": "REMOVE"}
_EXPIRED_BY = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def dynamodb_record(event: Event) -> dict[str, object]:
    """Return one record. `SequenceNumber` is the event's id, which reports of failures name."""
    data = bytes(event.data)
    images = msgspec.json.decode(data)
    old, new = images.get("old"), images.get("new")
    word = event.type.rpartition(".")[2]
    keys = event.detail.get("keys")
    image = new if new is not None else old
    names = keys if isinstance(keys, dict) else {}
    change: dict[str, object] = {
        "ApproximateCreationDateTime": float(int(event.time)),
        "Keys": {name: typed((image or names).get(name, value)) for name, value in names.items()},
        "SequenceNumber": event.id,
        "SizeBytes": len(data),
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if new is not None:
        change["NewImage"] = _item(new)
    if old is not None:
        change["OldImage"] = _item(old)
    table = str(event.detail.get("table", ""))
    record: dict[str, object] = {
        "eventID": event.id,
        "eventName": _NAMES.get(word, "MODIFY"),
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": change,
        "eventSourceARN": arn("dynamodb", f"table/{table}/stream/1970-01-01T00:00:00.000"),
    }
    if word == "expired":
        record["userIdentity"] = _EXPIRED_BY
    return record


def typed(value: object) -> dict[str, object]:
    """Return a JSON value as an attribute value: `{"S": "a"}`, `{"N": "1.5"}`, `{"M": {...}}`."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, (int, float)):
        return {"N": msgspec.json.encode(value).decode()}
    if isinstance(value, list):
        return {"L": [typed(item) for item in value]}
    if isinstance(value, dict):
        return {"M": _item(value)}
    raise TypeError(f"a {type(value).__name__} is no value of JSON")


def _item(value: Mapping[str, object]) -> dict[str, object]:
    return {name: typed(item) for name, item in value.items()}
