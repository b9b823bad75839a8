"""Write an entry: `PUT /entries/{id}`. contracts/entry.json defines a valid body."""

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
        # A contract is checked only for a body that claims to be JSON.
        return {"status": 415, "body": {"error": "expected application/json"}}
    item = context.table("entries").put({**event.data, "id": name})
    return {"status": 200, "body": {"id": name, "revision": item.revision}}
