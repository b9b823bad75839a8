"""Write an entry: `PUT /entries/{id}`. What the body must be is in contracts/entry.json."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from casemate import Context, Event

ENTRY_ID = re.compile(r"[a-z0-9-]{1,40}")


def handler(event: Event, context: Context) -> dict[str, Any]:
    """Write the entry whole, and answer with its revision."""
    name = event["path_parameters"]["id"]
    if ENTRY_ID.fullmatch(name) is None:
        return {"status": 400, "body": {"error": f"an id is like {ENTRY_ID.pattern}"}}
    if not isinstance(event.data, dict):
        # A body that does not claim to be JSON is held to no contract.
        return {"status": 415, "body": {"error": "expected application/json"}}
    item = context.table("entries").put({**event.data, "id": name})
    return {"status": 200, "body": {"id": name, "revision": item.revision}}
