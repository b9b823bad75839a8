"""The orders example: a secret is set, three functions work together, a call is refused."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from pathlib import Path

import httpx2
from calls import LATER_CALLS, expect, say_times, timed
from node import Node
from workspace import CASEMATE, EXAMPLES, ROOT, DemoError, run, say

ORDER = EXAMPLES / "orders" / "data" / "order.json"
RECEIPT_KEY = "orders/receipt-key"
INTERNAL = "orders/price"


def set_receipt_key(project: Path, node: Node) -> str:
    """Give the node a new key for receipts, on standard input; return it."""
    key = secrets.token_hex(32)
    command = [CASEMATE, "secrets", "set", RECEIPT_KEY]
    say(f"    {run(command, project, node.variables, stdin=key.encode()).strip()}")
    return key


def call_orders(client: httpx2.Client, node: Node, key: str) -> None:
    """Place one order 1 + 20 times, and fetch and verify its receipt."""
    # A reference of its own makes it a new order on a data folder with those of earlier runs.
    order = json.loads(ORDER.read_text(encoding="utf-8"))
    order["reference"] = f"demo-{secrets.token_hex(6)}"
    headers = {"authorization": f"Bearer {node.token}"}

    def place() -> httpx2.Response:
        return client.post("/orders", json=order, headers=headers)

    say(f"\n--> POST /orders  {ORDER.name}, as {order['reference']}")
    first, first_ms = timed(place)
    expect(first, 201, "POST /orders")
    say(f"    {first.text}")
    later = []
    for _ in range(LATER_CALLS):
        again, spent = timed(place)
        expect(again, 200, "the same order again")
        if again.json() != first.json():
            raise DemoError("the same order again was answered differently")
        later.append(spent)
    say_times(first_ms, later)

    path = first.headers["location"]
    say(f"\n--> GET {path}")
    receipt = client.get(path, headers=headers)
    expect(receipt, 200, f"GET {path}")
    signature = "sha256=" + hmac.new(key.encode(), receipt.content, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature, receipt.headers["x-receipt-signature"]):
        raise DemoError("the receipt is not signed with the secret that was set")
    if key in receipt.text:
        raise DemoError("the receipt holds the secret")
    total = receipt.json()["total_cents"] / 100
    say(f"    {len(receipt.content)} bytes, {total:.2f} EUR; {signature[:23]}... is right")


def show_grants(project: Path, node: Node) -> None:
    """Print what the function that takes orders is granted, and what it used."""
    say("\n--> casemate grants show place")
    _print(run([CASEMATE, "grants", "show", "place"], project, node.variables, whole=True))


def show_denial(client: httpx2.Client, project: Path, node: Node) -> None:
    """Call, as the owner, what only functions may call, and find it among the denials."""
    headers = {"authorization": f"Bearer {node.token}"}
    refused = client.post(f"/invoke/{INTERNAL}", json={"lines": []}, headers=headers)
    expect(refused, 403, "a call of an internal function from outside")
    say(f"    an internal function:   {refused.status_code} {refused.text[:200]}")
    command = [CASEMATE, "denials", INTERNAL, "--limit", "1"]
    invocation = refused.headers["x-request-id"]
    found = json.loads(run([*command, "--json"], project, node.variables))["denials"]
    if [denial["invocation"] for denial in found] != [invocation]:
        raise DemoError(f"{invocation} was denied and is not among the denials")
    say(f"\n--> casemate denials {INTERNAL} --limit 1")
    _print(run(command, project, node.variables))


def how_to_go_on() -> list[str]:
    """Return commands to go on with."""
    auth = '-H "Authorization: Bearer $CASEMATE_KEY"'
    return [
        f'curl -X POST "$CASEMATE_URL/orders" {auth} \\\n'
        f'        -H "Content-Type: application/json" --data-binary @{ORDER.relative_to(ROOT)}',
        ".venv/bin/casemate grants show orders/place",
    ]


def _print(text: str) -> None:
    for line in text.strip().splitlines():
        say(f"    {line.rstrip()}".rstrip())
