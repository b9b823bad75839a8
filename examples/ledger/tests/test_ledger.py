"""Run in the example's folder: `python -m unittest discover -s tests` (needs no packages)."""

from __future__ import annotations

import json
import re
import sys
import unittest
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "src"))

import audit  # noqa: E402  (the folder of the code must be on the path first)
import enter  # noqa: E402
import report  # noqa: E402

ENTRY = json.loads((PROJECT / "data" / "entry.json").read_text(encoding="utf-8"))


class Request(dict[str, Any]):
    """A request with its body."""

    data: object = None


class LedgerTest(unittest.TestCase):
    """The three functions, with a table and a bucket in memory."""

    def setUp(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {}
        self.archive: dict[str, Any] = {}
        table = SimpleNamespace(put=self.put, query=self.query)
        bucket = SimpleNamespace(put=self.keep)
        self.context = SimpleNamespace(
            log=Mock(), table={"entries": table}.get, bucket={"archive": bucket}.get
        )

    def put(self, value: dict[str, Any]) -> SimpleNamespace:
        """Write an entry."""
        self.entries[value["id"]] = value
        return SimpleNamespace(revision=1)

    def query(self, day: str, *, index: str) -> list[SimpleNamespace]:
        """Return the entries of a day."""
        self.assertEqual(index, "by-day")
        return [SimpleNamespace(value=e) for e in self.entries.values() if e["day"] == day]

    def keep(self, key: str, content: str, *, content_type: str) -> None:
        """Write an object."""
        self.assertEqual(content_type, "application/json")
        self.archive[key] = json.loads(content)

    def enter(self, name: str, data: object) -> int:
        """Send an entry; return the status."""
        request = Request(path_parameters={"id": name})
        request.data = data
        status: int = enter.handler(request, self.context)["status"]
        return status

    def test_an_entry_is_written_whole(self) -> None:
        self.assertEqual(self.enter("e-1", ENTRY), 200)
        self.assertEqual(self.entries, {"e-1": {**ENTRY, "id": "e-1"}})
        for name in ("", "E", "a/b", "a" * 41):
            self.assertEqual(self.enter(name, ENTRY), 400)
        for body in (None, "text", b"bytes", [ENTRY]):
            self.assertEqual(self.enter("e-2", body), 415)

    def test_a_body_cannot_change_the_id(self) -> None:
        self.enter("e-1", {**ENTRY, "id": "e-2"})
        self.assertEqual(list(self.entries), ["e-1"])

    def tell(self, what: str, old: object, new: object, identity: str = "c1") -> None:
        """Tell of a change of the table."""
        event = SimpleNamespace(
            id=identity,
            type=f"casemate.table.{what}",
            time=1.0,
            data={"old": old, "new": new},
            detail={"key": "e-1"},
        )
        audit.handler(event, self.context)

    def test_the_trail_has_what_was_and_what_is(self) -> None:
        self.tell("updated", ENTRY, {**ENTRY, "cents": -1980})
        (trail,) = self.archive.values()
        self.assertEqual(trail["what"], "changed")
        self.assertEqual((trail["old"]["cents"], trail["new"]["cents"]), (-1890, -1980))
        self.assertEqual(trail["changed"], ["cents"])

    def test_first_and_last_changes_and_one_that_is_told_again(self) -> None:
        self.tell("inserted", None, ENTRY)
        self.tell("inserted", None, ENTRY)
        self.tell("deleted", ENTRY, None, "c2")
        self.assertEqual([t["what"] for t in self.archive.values()], ["entered", "deleted"])

    def report(self, due: datetime, data: object) -> dict[str, Any]:
        """Have a report made."""
        event = SimpleNamespace(time=due.timestamp(), data=data)
        return report.handler(event, self.context)

    def test_a_report_sums_up_the_day_before(self) -> None:
        self.enter("e-1", ENTRY)
        self.enter("e-2", {**ENTRY, "cents": 90})
        self.enter("e-3", {**ENTRY, "day": "2026-11-25"})
        made = self.report(datetime(2026, 11, 25, 2, 15, tzinfo=report.ZONE), {"days_back": 1})
        self.assertEqual(made, {"day": "2026-11-24", "entries": 2, "cents": {"travel": -1800}})
        self.assertEqual(self.archive["reports/2026-11-24.json"], made)

    def test_the_day_is_that_of_the_zone(self) -> None:
        for day, hour, wanted in ((29, 0, "2027-03-28"), (28, 0, "2027-03-27")):
            due = datetime(2027, 3, day, hour, 15, tzinfo=report.ZONE)
            self.assertEqual(self.report(due, None)["day"], wanted)

    def test_a_call_by_hand(self) -> None:
        due = datetime(2026, 11, 25, 12, 0, tzinfo=report.ZONE)
        self.assertEqual(self.report(due, {"days_back": 0})["day"], "2026-11-25")
        for wrong in (-1, 367, "1", 1.5):
            with self.assertRaises(ValueError):
                self.report(due, {"days_back": wrong})

    def test_the_contract_fits_the_entry(self) -> None:
        contract = json.loads((PROJECT / "contracts" / "entry.json").read_text(encoding="utf-8"))
        self.assertEqual(set(contract["properties"]), set(ENTRY))
        for name, rule in contract["properties"].items():
            if "pattern" in rule:
                self.assertTrue(re.search(rule["pattern"], ENTRY[name]))


if __name__ == "__main__":
    unittest.main()
