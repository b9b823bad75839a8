"""Pack what was ordered: messages of the queue `to-ship`, several at once.

A message may come twice (its function was killed before it was done), so nothing here does harm
when it is done again: the topic keeps one message of each order.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from casemate import Context, Event

HEAVY_GRAMS = 20_000
MAX_GRAMS = 500_000


class PackError(Exception):
    """This order cannot be packed."""


def read_weights(path: Path) -> dict[str, int]:
    """Return the weight of every article."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["sku"]: int(row["grams"]) for row in csv.DictReader(file)}


WEIGHTS = read_weights(Path(__file__).with_name("catalogue.csv"))


def handler(event: Event, context: Context) -> dict[str, Any]:
    """Pack each message; report those that cannot be, so that the others are done."""
    failed = []
    for record in event.records:
        order = record.data["order"]
        try:
            grams = weigh(record.data["lines"])
        except PackError as error:
            context.log.warning("not packed", order=order, reason=str(error))
            failed.append(record.id)
            continue
        packed = {"order": order, "grams": grams, "heavy": grams > HEAVY_GRAMS}
        context.topic("packed").publish(packed, deduplication=order)
        context.log.info("packed", order=order, grams=grams)
    return {"failed": failed}


def weigh(lines: list[dict[str, Any]]) -> int:
    """Return what all lines weigh together, in grams. Raises PackError."""
    unknown = sorted({line["sku"] for line in lines} - WEIGHTS.keys())
    if unknown:
        raise PackError(f"nobody knows what {', '.join(unknown)} weighs")
    grams: int = sum(WEIGHTS[line["sku"]] * line["quantity"] for line in lines)
    if grams > MAX_GRAMS:
        raise PackError(f"{grams} g do not fit on a lorry")
    return grams
