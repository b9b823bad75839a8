"""Return the receipt of an order: `GET /orders/{id}/receipt`."""

from __future__ import annotations

import re
from typing import Any

from casemate import Context, NotFoundError

ORDER_ID = re.compile(r"[0-9a-f]{24}")
NONE = {"status": 404, "body": {"error": "there is no such order"}}


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Look the order up, and return its receipt as it was signed."""
    name = event["path_parameters"]["id"]
    if ORDER_ID.fullmatch(name) is None:
        return NONE
    try:
        order = context.table("orders").get(name).value
    except NotFoundError:
        return NONE
    try:
        # One revision: its content and the signature that was written with it.
        with context.bucket("documents").open(order["receipt"]) as file:
            content, signature = file.read(), file.info.metadata["signature"]
    except NotFoundError:
        context.log.warning("an order without its receipt", order=name)
        return {"status": 404, "body": {"error": "no receipt yet: send the order again"}}
    return {
        "status": 200,
        "headers": {
            "content-type": "application/json",
            "x-receipt-signature": f"sha256={signature}",
        },
        "body": content,
    }
