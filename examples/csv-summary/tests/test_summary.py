"""Run in the example's folder: `python -m unittest discover -s tests` (needs pandas)."""

from __future__ import annotations

import csv
import json
import logging
import statistics
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "src"))

import summary  # noqa: E402  (the folder of the code must be on the path first)

DATA = PROJECT / "data" / "stdlib-imports.csv"


class Log:
    """Takes what the handler logs, as `context.log` does."""

    def info(self, message: str, **fields: Any) -> None:
        """Keep one line."""
        logging.getLogger(__name__).info("%s %s", message, fields)


CONTEXT = SimpleNamespace(log=Log())


def request(
    body: str, content_type: str = "text/csv; charset=utf-8", **query: str
) -> dict[str, Any]:
    """Return the event of `POST /summary`."""
    return {
        "method": "POST",
        "path": "/summary",
        "path_parameters": {},
        "query": {name: [value] for name, value in query.items()},
        "headers": {"content-type": content_type},
        "body": body or None,
        "is_base64": False,
    }


class SummaryTest(unittest.TestCase):
    """What a caller gets."""

    def columns(self, event: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the columns of the answer by name, as they look after JSON."""
        result = summary.handler(event, CONTEXT)
        self.assertEqual(result["status"], 200, result["body"])
        body = json.loads(json.dumps(result["body"], allow_nan=False))
        return {column.pop("name"): column for column in body["columns"]}

    def assert_refused(self, event: dict[str, Any], status: int, part: str = "") -> None:
        """Check that the handler answers with `status` and a reason that holds `part`."""
        result = summary.handler(event, CONTEXT)
        self.assertEqual(result["status"], status)
        self.assertIn(part, result["body"]["error"])

    def test_agrees_with_the_standard_library_on_real_data(self) -> None:
        with DATA.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        spent = [float(row["milliseconds"]) for row in rows if row["milliseconds"]]
        columns = self.columns(request(DATA.read_text(encoding="utf-8")))
        self.assertEqual(columns["milliseconds"]["type"], "number")
        self.assertEqual(columns["milliseconds"]["missing"], len(rows) - len(spent))
        for name, expected in (
            ("min", min(spent)),
            ("max", max(spent)),
            ("mean", statistics.fmean(spent)),
            ("median", statistics.median(spent)),
            ("standard_deviation", statistics.stdev(spent)),
        ):
            with self.subTest(name=name):
                self.assertAlmostEqual(
                    columns["milliseconds"][name], expected, delta=expected / 1e4
                )
        self.assertEqual(columns["module"]["distinct"], len({row["module"] for row in rows}))
        self.assertEqual(columns["round"]["type"], "integer")
        self.assertEqual(columns["measured_at"]["type"], "date-time")
        self.assertEqual(columns["measured_at"]["min"], rows[0]["measured_at"])

    def test_tells_types_apart(self) -> None:
        body = "a,b,c,d,e,f\n1,0.5,true,x,2026-02-28,\n2,,false,x,2026-03-01,\n"
        columns = self.columns(request(body))
        self.assertEqual(
            [columns[name]["type"] for name in "abcdef"],
            ["integer", "number", "boolean", "text", "date-time", "empty"],
        )
        self.assertEqual(columns["d"]["most_common"], {"x": 2})
        self.assertEqual(columns["f"]["missing"], 2)

    def test_answers_json_for_numbers_that_json_has_not(self) -> None:
        columns = self.columns(request(f"a,b,c\ninf,{2**64},1\n-inf,{10**400},\n"))
        self.assertIsNone(columns["a"]["min"])
        self.assertIsNone(columns["c"]["standard_deviation"])

    def test_keeps_large_integers_exact(self) -> None:
        self.assertEqual(self.columns(request(f"a\n{2**63 - 1}\n"))["a"]["max"], 2**63 - 1)

    def test_takes_other_delimiters_and_a_byte_order_mark(self) -> None:
        self.assertEqual(set(self.columns(request("\ufeffa;b\n1;2\n", delimiter=";"))), {"a", "b"})
        self.assertEqual(set(self.columns(request("a\tb\n1\t2\n", delimiter="tab"))), {"a", "b"})
        self.assert_refused(request("a\n1\n", delimiter=".*"), 400, "delimiter")

    def test_never_runs_or_opens_what_a_cell_says(self) -> None:
        columns = self.columns(request('a\n"=cmd|calc!A1"\nfile:///etc/passwd\n'))
        self.assertEqual(columns["a"]["distinct"], 2)

    def test_refuses_other_types(self) -> None:
        self.assert_refused(request("{}", "application/json"), 415)
        self.assert_refused({**request("/w=="), "is_base64": True}, 415, "UTF-8")
        self.assert_refused(request(""), 400)
        self.assert_refused({}, 415)

    def test_refuses_tables_that_are_none(self) -> None:
        self.assert_refused(request("a,b\n1,2\n1,2,3\n"), 422, "line 3: expected 2 fields, got 3")
        self.assert_refused(
            request("a,b\n1,2,3\n4,5,6\n"), 422, "first row: expected 2 fields, got 3"
        )
        self.assert_refused(request('a\n"never closed\n'), 422, "quotation mark")
        self.assert_refused(request("a\n" + "x" * 200_000 + "\n"), 422, "128 KiB")

    def test_refuses_more_columns_than_it_can_hold(self) -> None:
        self.assert_refused(request("a" + "," * 1_000_000 + "\n"), 413)
        self.assert_refused(request('"\n"' + "," * 1_000 + "\n"), 413)

    def test_takes_a_table_without_rows(self) -> None:
        self.assertEqual(self.columns(request("a,b"))["a"], {"missing": 0, "type": "empty"})


if __name__ == "__main__":
    unittest.main()
