"""What runs on the nodes: every handler leaves behind what it has done, by a name that is its own.

`settled` hears of the end of each event, which is told with the end itself: so what was settled
twice is told twice, by different names.
"""

from __future__ import annotations

from typing import Any

import casemate


def keep(event: Any, context: Any) -> Any:
    """Write an item, while the caller waits."""
    context.table("kept").put({"id": event.data["id"]})
    return {"kept": event.data["id"]}


def register(event: Any, context: Any) -> Any:
    """Write a register, perhaps only if it is as it was, or read it; answer its revision."""
    asked, table = event.data, context.table("registers")
    if "value" not in asked:
        found = next(iter(table.query(asked["key"])), None)
        return {"revision": found.revision, **found.value} if found else {"revision": 0, "value": 0}
    item = {"key": asked["key"], "value": asked["value"]}
    try:
        return {"revision": table.put(item, if_revision=asked.get("condition")).revision}
    except casemate.ConflictError:  # type: ignore[attr-defined]
        return {"revision": 0}


def send(event: Any, context: Any) -> Any:
    """Send a message that has a key, while the caller waits."""
    context.queue("work").send(event.data, key=event.data["key"])
    return {"sent": event.data["number"]}


def work(event: Any, context: Any) -> Any:
    """Take a message: its number has to be at most one higher than the last of its key."""
    key, number = event.data["key"], event.data["number"]
    found = next(iter(context.table("last").query(key)), None)
    last, revision = (found.value["number"], found.revision) if found else (-1, 0)
    if number > last + 1:
        context.table("early").put({"id": f"{key}-{number}", "last": last})
    if number > last:
        context.table("last").put({"key": key, "number": number}, if_revision=revision)
    context.table("done").put({"id": f"{key}-{number}"})


def note(event: Any, context: Any) -> Any:
    """Do what was accepted for later."""
    context.table("notes").put({"id": event.data["id"]})


def settled(event: Any, context: Any) -> Any:
    """Hear of an end."""
    told = {"id": f"{event.subject}/{event.id}", "event": event.subject, "told": event.id}
    context.table("ends").put(told)


def tick(event: Any, context: Any) -> Any:
    """Hear of a time."""
    at = f"{event.detail['scheduled_at']:.0f}"
    context.table("ticks").put({"id": f"{at}/{event.id}", "at": at})
