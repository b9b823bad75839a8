"""Run in the example's folder: `python -m unittest discover -s tests` (needs no packages)."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT / "src"), str(PROJECT / "tests")]

import fake_casemate  # noqa: E402  (must come before the handlers, which import `casemate`)
import pack  # noqa: E402
import place  # noqa: E402
import price  # noqa: E402
import receipt  # noqa: E402
import shipping  # noqa: E402

ORDER = json.loads((PROJECT / "data" / "order.json").read_text(encoding="utf-8"))
TOTAL = 3495 + 12 * 690 + 3 * 120
KEY = "a key that only this test knows"


class OrdersTest(unittest.TestCase):
    """The three functions together, as a caller sees them."""

    def setUp(self) -> None:
        self.context = fake_casemate.Context(price=price.handler)
        self.context.secrets["receipt-key"] = KEY

    def place(self, **changes: Any) -> dict[str, Any]:
        """Send the order, with changes."""
        event = {"method": "POST", "path": "/orders", "body": json.dumps({**ORDER, **changes})}
        return place.handler(event, self.context)

    def receipt(self, name: str) -> dict[str, Any]:
        """Ask for a receipt."""
        return receipt.handler({"path_parameters": {"id": name}}, self.context)

    def test_an_order_is_priced_stored_and_passed_on(self) -> None:
        answer = self.place()
        self.assertEqual(answer["status"], 201)
        self.assertEqual(answer["body"]["total_cents"], TOTAL)
        name = answer["body"]["id"]
        self.assertEqual(answer["headers"]["location"], f"/orders/{name}/receipt")
        self.assertEqual(self.context.orders.items[name].value["customer"], "harbour-cafe")
        self.assertEqual(self.context.sent[name]["lines"], ORDER["lines"])
        self.assertEqual(self.context.published["placed"], {name: {"order": name}})

    def test_the_receipt_is_signed_with_the_secret_and_does_not_hold_it(self) -> None:
        found = self.receipt(self.place()["body"]["id"])
        self.assertEqual(found["status"], 200)
        signature = hmac.new(KEY.encode(), found["body"], hashlib.sha256).hexdigest()
        self.assertEqual(found["headers"]["x-receipt-signature"], f"sha256={signature}")
        self.assertEqual(json.loads(found["body"])["total_cents"], TOTAL)
        self.assertNotIn(KEY.encode(), found["body"])

    def test_the_same_request_again_changes_nothing(self) -> None:
        first = self.place()
        content = dict(self.context.documents.objects)
        again = self.place()
        self.assertEqual((again["status"], again["body"]), (200, first["body"]))
        self.assertEqual(len(self.context.orders.items), 1)
        self.assertEqual(len(self.context.sent), 1)
        self.assertEqual(self.context.documents.objects, content)

    def test_the_same_request_again_finishes_what_failed(self) -> None:
        with (
            mock.patch.object(self.context.documents, "put", side_effect=OSError),
            self.assertRaises(OSError),
        ):
            self.place()
        (name,) = self.context.orders.items
        self.assertEqual(self.receipt(name)["status"], 404)
        self.assertEqual(self.place()["status"], 200)
        self.assertEqual(self.receipt(name)["status"], 200)
        self.assertIn(name, self.context.sent)

    def test_what_an_order_cost_stays_what_it_cost(self) -> None:
        self.place()
        dearer = {sku: (name, cents + 1) for sku, (name, cents) in price.CATALOGUE.items()}
        with mock.patch.object(price, "CATALOGUE", dearer):
            self.assertEqual(self.place()["body"]["total_cents"], TOTAL)

    def test_another_order_cannot_take_a_reference(self) -> None:
        self.place()
        answer = self.place(lines=[{"sku": "pen-red", "quantity": 1}])
        self.assertEqual(answer["status"], 409)
        other = self.place(customer="other-cafe", lines=[{"sku": "pen-red", "quantity": 1}])
        self.assertEqual(other["status"], 201)

    def test_customer_and_reference_do_not_run_into_each_other(self) -> None:
        for customer, reference in (("a", "b-c"), ("a-b", "c"), ("a", "b.c")):
            self.assertEqual(self.place(customer=customer, reference=reference)["status"], 201)
        self.assertEqual(len(self.context.orders.items), 3)

    def test_a_customer_can_place_so_many_orders_an_hour(self) -> None:
        with mock.patch.object(place, "ORDERS_PER_HOUR", 2):
            answers = [self.place(reference=text)["status"] for text in ("1", "2", "3", "2")]
            self.assertEqual(answers, [201, 201, 429, 200])
            self.assertEqual(self.place(customer="other")["status"], 201)

    def test_what_there_is_no_price_for_is_refused_before_anything_is_written(self) -> None:
        answer = self.place(lines=[{"sku": "unicorn", "quantity": 1}])
        self.assertEqual(answer["status"], 422)
        self.assertIn("unicorn", answer["body"]["error"])
        self.assertEqual(self.context.orders.items, {})
        self.assertEqual(self.context.sent, {})

    def test_without_the_secret_no_order_is_taken(self) -> None:
        self.context.secrets.clear()
        self.assertEqual(self.place()["status"], 503)
        self.assertEqual(self.context.orders.items, {})

    def test_requests_that_are_none(self) -> None:
        bodies = [None, "", "{", "[]", "7", "{}", "[" * 20_000, json.dumps({**ORDER, "total": 1})]
        for body in bodies:
            with self.subTest(body=str(body)[:20]):
                self.assertEqual(place.handler({"body": body}, self.context)["status"], 400)
        for changes in (
            {"customer": "Harbour"},
            {"customer": "a\n"},
            {"customer": 7},
            {"reference": "a/b"},
            {"reference": ""},
            {"lines": []},
            {"lines": "pen-red"},
            {"lines": [{"sku": "pen-red", "quantity": 1}] * 51},
            {"lines": [{"sku": "pen-red"}]},
            {"lines": [{"sku": "pen-red", "quantity": 1, "cents": 0}]},
            {"lines": [{"sku": ["pen-red"], "quantity": 1}]},
        ):
            with self.subTest(changes=str(changes)[:60]):
                self.assertEqual(self.place(**changes)["status"], 400)
        for quantity in (0, -1, 1.0, True, "1", 1001, None):
            with self.subTest(quantity=quantity):
                line = {"sku": "pen-red", "quantity": quantity}
                self.assertEqual(self.place(lines=[line])["status"], 400)
        self.assertEqual(self.context.orders.items, {})

    def test_receipts_that_are_none(self) -> None:
        for name in ("", "../secrets", "0" * 24, "0" * 25, "A" * 24, "0" * 23 + "\n"):
            with self.subTest(name=name):
                self.assertEqual(self.receipt(name)["status"], 404)

    def test_a_catalogue_with_a_price_that_is_none_is_refused_at_import(self) -> None:
        for cents in ("0", "-1", "1.5", "", "٣"):
            with tempfile.TemporaryDirectory() as folder, self.subTest(cents=cents):
                path = Path(folder) / "catalogue.csv"
                path.write_text(f"sku,name,cents\nx,X,{cents}\n", encoding="utf-8")
                with self.assertRaises(price.CatalogueError):
                    price.read_catalogue(path)


def event(*datas: Any, **detail: Any) -> SimpleNamespace:
    """Return an event with what the handlers read of it: one for each of `datas`."""
    records = [SimpleNamespace(id=f"m{n}", data=data) for n, data in enumerate(datas)]
    return SimpleNamespace(
        id="end",
        time=1767225600.0,
        data=datas[0] if datas else None,
        detail=detail,
        records=records,
    )


class PipelineTest(unittest.TestCase):
    """What follows an order."""

    def setUp(self) -> None:
        self.context = fake_casemate.Context()

    def test_what_place_sends_can_be_packed(self) -> None:
        message = {"order": "a" * 24, "lines": ORDER["lines"]}
        self.assertEqual(pack.handler(event(message), self.context), {"failed": []})
        (packed,) = self.context.published["packed"].values()
        self.assertEqual(packed, {"order": "a" * 24, "grams": 2254, "heavy": False})

    def test_one_that_cannot_be_packed_does_not_stop_the_others(self) -> None:
        good = {"order": "a" * 24, "lines": [{"sku": "pen-red", "quantity": 1}]}
        bad = {"order": "b" * 24, "lines": [{"sku": "unicorn", "quantity": 1}]}
        heavy = {"order": "c" * 24, "lines": [{"sku": "kettle-2l", "quantity": 1000}]}
        answer = pack.handler(event(good, bad, heavy, good), self.context)
        self.assertEqual(answer, {"failed": ["m1", "m2"]})
        self.assertEqual(list(self.context.published["packed"]), ["a" * 24])

    def test_what_is_heavy(self) -> None:
        for quantity, heavy in ((17, False), (18, True)):
            message = {
                "order": str(quantity),
                "lines": [{"sku": "kettle-2l", "quantity": quantity}],
            }
            pack.handler(event(message), self.context)
            self.assertIs(self.context.published["packed"][str(quantity)]["heavy"], heavy)

    def test_labels_and_pallets_are_written_once(self) -> None:
        packed = event({"order": "a" * 24, "grams": 20700, "heavy": True})
        for _ in range(2):
            shipping.label(packed, self.context)
            shipping.pallet(packed, self.context)
        label, pallet = self.context.documents.objects.values()
        self.assertEqual(label[0], f"Order {'a' * 24}\n20.70 kg\n")
        self.assertEqual(json.loads(pallet[0])["grams"], 20700)

    def test_a_complaint_holds_nothing_of_the_message(self) -> None:
        ended = event(None, function="pack", outcome="failure", attempts=3, invocation="inv_1")
        shipping.complain(ended, self.context)
        (complaint,) = self.context.documents.objects.values()
        wanted = {"function": "pack", "outcome": "failure", "attempts": 3}
        self.assertEqual(json.loads(complaint[0]), wanted)


if __name__ == "__main__":
    unittest.main()
