"""The work after packing, or after it failed: three functions, each writes an object."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from casemate import Context, Event


def label(event: Event, context: Context) -> None:
    """Write the label of an order: it has one, however often this is called."""
    packed = event.data
    text = f"Order {packed['order']}\n{packed['grams'] / 1000:.2f} kg\n"
    key = f"labels/{packed['order']}.txt"
    context.bucket("documents").put(key, text, content_type="text/plain")


def pallet(event: Event, context: Context) -> None:
    """Order a pallet; only heavy orders come here, by the trigger's filter."""
    packed = event.data
    wanted = {"order": packed["order"], "grams": packed["grams"], "asked_at": event.time}
    context.bucket("documents").put(f"pallets/{packed['order']}.json", json.dumps(wanted))


def complain(event: Event, context: Context) -> None:
    """Write down that a message was given up. What was in it is in its dead letter."""
    given_up = {name: event.detail[name] for name in ("function", "outcome", "attempts")}
    context.log.warning("given up", **given_up)
    context.bucket("documents").put(f"complaints/{event.id}.json", json.dumps(given_up))
