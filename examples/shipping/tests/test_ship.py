"""Run in the example's folder: `python -m unittest discover -s tests` (needs no packages)."""

from __future__ import annotations

import json
import re
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "src"))

import ship  # noqa: E402  (the folder of the code must be on the path first)

ORDER = json.loads((PROJECT / "data" / "order.json").read_text(encoding="utf-8"))


class ShipTest(unittest.TestCase):
    """What becomes of rows of the outbox."""

    def setUp(self) -> None:
        self.shipments: dict[str, Any] = {}

    def ship(self, topic: str = "order.paid", identity: str = "7") -> Any:
        """Tell of an order; return what was shipped."""
        event = SimpleNamespace(id=identity, subject=topic, time=1.5, data=ORDER)
        table = SimpleNamespace(put=lambda item: self.shipments.update({item["order"]: item}))
        context = SimpleNamespace(log=Mock(), table={"shipments": table}.get)
        return ship.handler(event, context)["shipped"]

    def test_a_paid_order_is_a_shipment(self) -> None:
        self.assertEqual(self.ship(), "A-1017")
        self.assertEqual(self.shipments["A-1017"]["parcels"], 8)
        self.assertEqual(self.shipments["A-1017"]["told_by"], "7")

    def test_the_same_order_again_is_the_same_shipment(self) -> None:
        self.ship()
        self.ship(identity="8")
        self.assertEqual(len(self.shipments), 1)

    def test_other_topics_are_left_alone(self) -> None:
        self.assertIsNone(self.ship("order.cancelled"))
        self.assertEqual(self.shipments, {})

    def test_when_it_was_paid_is_what_the_shop_says(self) -> None:
        self.ship()
        self.assertEqual(self.shipments["A-1017"]["paid_at"], 1.5)

    def test_the_contract_describes_what_the_shop_writes(self) -> None:
        contract = json.loads((PROJECT / "contracts" / "order.json").read_text(encoding="utf-8"))
        self.assertEqual(set(contract["required"]), set(ORDER))
        self.assertTrue(re.search(contract["properties"]["order"]["pattern"], ORDER["order"]))


if __name__ == "__main__":
    unittest.main()
