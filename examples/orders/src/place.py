"""Take an order: `POST /orders`.

An order is named by its customer and the customer's own reference. So the same request can be sent
again after any failure: it finds the order that is there, and finishes what was not.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import time
from typing import Any

from casemate import ConflictError, Context, Item, NotFoundError

CUSTOMER = re.compile(r"[a-z0-9-]{1,40}")
REFERENCE = re.compile(r"[A-Za-z0-9._-]{1,64}")
SKU = re.compile(r"[a-z0-9-]{1,40}")
MAX_LINES, MAX_QUANTITY = 50, 1000
HOUR = 3600
ORDERS_PER_HOUR = int(os.environ.get("ORDERS_PER_HOUR", "100"))
"""Of one customer. Two orders at the same instant may both be the last one."""


class RefusedError(Exception):
    """The request is answered with a status from 400 to 499 and this reason."""

    def __init__(self, status: int, reason: str) -> None:
        """Keep both."""
        super().__init__(reason)
        self.status = status


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Price, store, sign, pass on; answer 201, or 200 if the order was there already."""
    try:
        request = read_request(event.get("body"))
        return place(request, context)
    except RefusedError as error:
        return {"status": error.status, "body": {"error": str(error)}}


def place(request: dict[str, Any], context: Context) -> dict[str, Any]:
    """Do what an order takes. What can refuse it comes before the first write."""
    try:
        key = context.secret("receipt-key").encode()
    except NotFoundError:
        context.log.warning("set the secret first: casemate secrets set orders/receipt-key")
        return {"status": 503, "body": {"error": "orders are not taken at the moment"}}
    # `allow=[]`: on our behalf it may use nothing, whatever it is granted itself.
    priced = context.invoke("price", {"lines": request["lines"]}, allow=[])
    if unknown := priced.get("unknown"):
        raise RefusedError(422, f"there is no article {', '.join(unknown)}")
    item, is_new = store(request, priced, context)
    order = item.value
    write_receipt(order, key, context)
    # Each is kept once for an hour, however often the order is sent.
    shipped = [{"sku": line["sku"], "quantity": line["quantity"]} for line in order["lines"]]
    message = {"order": order["id"], "lines": shipped}
    context.queue("to-ship").send(message, deduplication=order["id"])
    context.topic("placed").publish({"order": order["id"]}, deduplication=order["id"])
    context.log.info("placed", order=order["id"], new=is_new)
    return {
        "status": 201 if is_new else 200,
        "headers": {"location": f"/orders/{order['id']}/receipt"},
        "body": {name: order[name] for name in ("id", "total_cents", "currency", "placed_at")},
    }


def read_request(body: object) -> dict[str, Any]:
    """Return customer, reference and lines of a request; RefusedError if it is none."""
    try:
        request = json.loads(body) if isinstance(body, str) else None
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict) or request.keys() != {"customer", "reference", "lines"}:
        raise RefusedError(400, "expected a JSON object of customer, reference and lines")
    for name, pattern in (("customer", CUSTOMER), ("reference", REFERENCE)):
        if not _matches(pattern, request[name]):
            raise RefusedError(400, f"{name} is not like {pattern.pattern}")
    lines = request["lines"]
    if not isinstance(lines, list) or not 1 <= len(lines) <= MAX_LINES:
        raise RefusedError(400, f"expected 1 to {MAX_LINES} lines")
    for number, line in enumerate(lines, 1):
        if not _is_line(line):
            raise RefusedError(
                400, f"line {number}: expected a sku and a quantity of 1 to {MAX_QUANTITY}"
            )
    return request


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_line(line: object) -> bool:
    if not isinstance(line, dict) or line.keys() != {"sku", "quantity"}:
        return False
    quantity = line["quantity"]
    # True is an int, too.
    return _matches(SKU, line["sku"]) and type(quantity) is int and 1 <= quantity <= MAX_QUANTITY


def store(request: dict[str, Any], priced: dict[str, Any], context: Context) -> tuple[Item, bool]:
    """Write the order if there is none; return the one that is there, and whether it is new."""
    orders = context.table("orders")
    customer, reference = request["customer"], request["reference"]
    name = hashlib.sha256(f"{customer}/{reference}".encode()).hexdigest()[:24]
    now = int(time.time())
    recent = orders.query(customer, index="by-customer", at_least=now - HOUR, limit=ORDERS_PER_HOUR)
    known = {item.value["id"] for item in recent}
    if len(known) >= ORDERS_PER_HOUR and name not in known:
        raise RefusedError(429, f"a customer can place {ORDERS_PER_HOUR} orders an hour")
    order = {
        "id": name,
        "customer": customer,
        "reference": reference,
        "placed_at": now,
        "receipt": f"receipts/{name}.json",
        **priced,
    }
    try:
        return orders.put(order, if_revision=0), True
    except ConflictError:
        found = orders.get(name)
    wanted = [(line["sku"], line["quantity"]) for line in request["lines"]]
    if [(line["sku"], line["quantity"]) for line in found.value["lines"]] != wanted:
        raise RefusedError(409, "another order has this reference")
    return found, False


def write_receipt(order: dict[str, Any], key: bytes, context: Context) -> None:
    """Write what the customer gets, with an HMAC-SHA256 (RFC 2104) of its exact bytes."""
    shown = {name: order[name] for name in sorted(order.keys() - {"receipt"})}
    content = json.dumps(shown, ensure_ascii=False, indent=2).encode() + b"\n"
    context.bucket("documents").put(
        order["receipt"],
        content,
        content_type="application/json",
        metadata={"signature": hmac.new(key, content, "sha256").hexdigest()},
    )
