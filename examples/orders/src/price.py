"""Price the lines of an order. Only functions that are granted it can invoke this one."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from casemate import Context

CURRENCY = "EUR"


class CatalogueError(Exception):
    """The catalogue has an invalid price."""


def read_catalogue(path: Path) -> dict[str, tuple[str, int]]:
    """Return name and price in cents of every article."""
    catalogue = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cents = row["cents"]
            if not (cents.isascii() and cents.isdigit() and int(cents) > 0):
                raise CatalogueError(f"{row['sku']}: found {cents!r}, expected cents above 0")
            catalogue[row["sku"]] = (row["name"], int(cents))
    return catalogue


# A mistake in the file raises here, at import: the deployment fails, and what was live stays live.
CATALOGUE = read_catalogue(Path(__file__).with_name("catalogue.csv"))


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Return the lines with names and prices, and their total; or what there is no price for."""
    lines = event["lines"]
    unknown = sorted({line["sku"] for line in lines} - CATALOGUE.keys())
    if unknown:
        context.log.info("unknown articles", count=len(unknown))
        return {"unknown": unknown}
    priced = []
    for line in lines:
        name, cents = CATALOGUE[line["sku"]]
        amount = cents * line["quantity"]
        priced.append({**line, "name": name, "cents": cents, "amount_cents": amount})
    total = sum(line["amount_cents"] for line in priced)
    return {"lines": priced, "total_cents": total, "currency": CURRENCY}
