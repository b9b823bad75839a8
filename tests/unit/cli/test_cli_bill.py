"""Bills on the command line: what is wrong is refused by name, and no cell is a formula."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from casemate.cli.client import NodeClient
from casemate.cli.commands import bill as module
from casemate.cli.commands.bill import (
    _month,
    _sums,
    _write,
    list_text,
    money,
    node_prices,
    price_list,
)
from casemate.cli.commands.budget import _amount
from casemate.cli.errors import DeniedError, UsageError
from casemate.cli.main import run as run_command
from casemate.cli.text import inert_cell
from casemate.metering import PriceListError, bill, shipped
from casemate.metering.bill import moment_of
from casemate.metering.prices import MAX_BYTES
from casemate.model.usage import Usage

NOW = moment_of(date(2026, 11, 27)) + 3600


def test_a_month_is_named_or_this_one() -> None:
    assert _month(None, NOW) == date(2026, 11, 27)
    assert _month("2026-02", NOW) == date(2026, 2, 1)
    for text in ("2026", "2026-13", "2026-1", "now", "", "2026-02-03"):
        with pytest.raises(UsageError, match="expected YYYY-MM"):
            _month(text, NOW)


def test_a_price_list_is_a_file_or_a_shipped_one(tmp_path: Path) -> None:
    assert price_list("aws-lambda").currency == "USD"
    own = tmp_path / "own.toml"
    own.write_bytes(list_text("example").replace(b"EUR", b"CHF"))
    assert price_list(str(own)).currency == "CHF"
    with pytest.raises(UsageError, match="cannot be read"):
        price_list(str(tmp_path / "missing.toml"))
    with pytest.raises(UsageError, match="cannot be read"):
        price_list(str(tmp_path))
    own.write_bytes(b"#" * (MAX_BYTES + 9))
    with pytest.raises(PriceListError, match="at most"):
        price_list(str(own))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("user:ada may not node:read on node.", "--prices FILE, or a shipped one"),
        ("http://n needs a token, and none is stored for it.", "casemate login"),
    ],
)
def test_who_may_not_see_the_nodes_prices_is_told_to_name_some(said: str, told: str) -> None:
    class Node:
        def call(self, _operation: object) -> None:
            raise DeniedError(said, next_step="Run `casemate login`.")

    with pytest.raises(DeniedError) as caught:
        node_prices(cast(NodeClient, Node()))
    assert told in str(caught.value) and caught.value.exit_code == 4


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\uff1d1", "\uff201"])
def test_no_cell_is_a_formula(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Names of routes are what somebody wrote, and a spreadsheet reads the file."""
    assert inert_cell(text) == f"'{text}"
    _write(("a",), [{"a": text}, {"a": "1.5"}])
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out, newline="")))
    assert rows == [["a"], [f"'{text}"], ["1.5"]]


def test_no_cell_begins_with_what_ends_a_line() -> None:
    assert [inert_cell(f"{end}=1") for end in "\r\n"] == ["\\x0d=1", "\\x0a=1"]


def test_no_cell_is_one_where_cells_end_at_semicolons() -> None:
    """Spreadsheets split so where a comma is for decimals, and at tabs if somebody says so."""
    assert inert_cell("/a;=1+1;b\t@x;-") == "/a;'=1+1;b\t'@x;'-"
    assert inert_cell("a;b = c") == "a;b = c"


def test_days_of_one_thing_are_one_line() -> None:
    rows = [
        Usage(project="shop", function="cart", requests=1_000_000, start=NOW + n * 86_400)
        for n in range(3)
    ]
    assert _sums(bill(shipped("aws-lambda"), rows)) == {"shop/cart": {"requests": Decimal("0.60")}}


def test_money_for_people() -> None:
    assert [money([Decimal(text)]) for text in ("0", "0.0000016", "3.5", "12.345")] == [
        ["0.00"],
        ["0.000002"],
        ["3.500000"],
        ["12.34"],
    ]


def test_amounts_of_a_column_have_as_many_places() -> None:
    assert money([Decimal(text) for text in ("0", "0.0000016", "3.5", "12.345")]) == [
        "0.000000",
        "0.000002",
        "3.500000",
        "12.345000",
    ]
    assert money([Decimal("0"), Decimal("12.345")]) == ["0.00", "12.34"]
    assert money([]) == []


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "nan", "inf", "1e300"])
def test_an_amount_is_a_number_above_nothing(text: str) -> None:
    with pytest.raises(UsageError, match="above 0"):
        _amount(text)
    assert _amount("12.5") == 12.5


def test_json_is_a_form_as_of_other_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: only `--format json`, where all others have `--json`."""

    @contextmanager
    def connect() -> Iterator[Any]:
        yield SimpleNamespace(url="http://n")

    monkeypatch.setattr(module, "connect", connect)
    monkeypatch.setattr(module, "_usage", lambda *_: [])
    line = ["bill", "--month", "2026-02", "--prices", "example"]
    shown = []
    for form in (["--json"], ["--format", "json"], ["--json", "--format", "json"]):
        assert run_command([*line, *form]) == 0
        shown.append(json.loads(capsys.readouterr().out))
    assert shown[0] == shown[1] == shown[2]
    assert run_command([*line, "--json", "--format", "csv"]) == 2

    capsys.readouterr()
    for here, told in (("shop", "Of all projects; --project shop: "), (None, "")):
        monkeypatch.setattr(module, "project_of_folder", lambda here=here: here)
        assert run_command(line) == 0
        assert capsys.readouterr().err.startswith(told)
        assert run_command([*line, "--project", "mail"]) == 0
        assert "Of all projects" not in capsys.readouterr().err
