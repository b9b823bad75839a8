"""Keep the trail: one object for each change of an entry, never overwritten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from casemate import Context, Event

VERBS = {"inserted": "entered", "updated": "changed", "deleted": "deleted", "expired": "expired"}


def handler(event: Event, context: Context) -> None:
    """Write what an entry was and what it is now.

    Changes of one entry come one after the other, in order. A change that is told again has the
    id that it had, and is the same object.
    """
    entry = event.detail["key"]
    trail = {
        "entry": entry,
        "what": VERBS[event.type.rpartition(".")[2]],
        "at": event.time,
        "old": event.data["old"],
        "new": event.data["new"],
        "changed": changed(event.data["old"] or {}, event.data["new"] or {}),
    }
    key = f"trail/{entry}/{event.id}.json"
    context.bucket("archive").put(key, json.dumps(trail), content_type="application/json")
    context.log.info("kept", entry=entry, what=trail["what"])


def changed(old: dict[str, object], new: dict[str, object]) -> list[str]:
    """Return the names of the attributes that differ."""
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
