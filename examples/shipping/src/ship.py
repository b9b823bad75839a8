"""Note a shipment for each paid order. An order that comes twice is one shipment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from casemate import Context, Event

PAID = "order.paid"


def handler(event: Event, context: Context) -> dict[str, Any]:
    """Take what the outbox says; its topic is the event's subject."""
    if event.subject != PAID:
        # The shop may send events that this function is not for.
        context.log.info("left alone", topic=event.subject)
        return {"shipped": None}
    order = event.data
    parcels = sum(item["count"] for item in order["items"])
    context.table("shipments").put(
        {
            "order": order["order"],
            "address": order["address"],
            "parcels": parcels,
            "told_by": event.id,
            "paid_at": event.time,
        }
    )
    context.log.info("shipment noted", order=order["order"], parcels=parcels)
    return {"shipped": order["order"]}
