"""`casemate bill`: what is to be paid for what was used."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from casemate.cli.behind import note_behind
from casemate.cli.client import NodeClient, connect
from casemate.cli.commands.usage import name_of
from casemate.cli.errors import CommandError, DeniedError, UsageError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.resources import project_of_folder
from casemate.cli.terminal import BOLD, note, print_json, print_line, print_table
from casemate.cli.text import inert_cell
from casemate.metering import (
    FOCUS_COLUMNS,
    Bill,
    PriceList,
    bill,
    focus_rows,
    forecast,
    read_prices,
    shipped_names,
)
from casemate.metering.bill import day_of, moment_of, month_of
from casemate.metering.prices import MAX_BYTES, shipped_text
from casemate.model.principal import Action
from casemate.model.usage import Usage, UsageBy, UsageSpan
from casemate.operations.budgets import ShowPrices
from casemate.operations.usage import ShowUsage

app = new_app()
_FIRST_YEAR, _LAST_YEAR = 1970, 9998
_EXACT_BELOW = 10
_COLUMNS = ("day", "what", "resource", "quantity", "unit", "price", "cost", "currency")


class Format(StrEnum):
    """How a bill is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    FOCUS = "focus"


@command(
    app,
    name="bill",
    examples="""\
$ casemate bill
$ casemate bill --month 2026-11 --by caller
$ casemate bill --compare aws-lambda
$ casemate bill --prices prices.toml --format focus > bill.csv
""",
)
def print_bill(
    month: Annotated[
        str | None,
        typer.Option("--month", metavar="YYYY-MM", help="The month. Default: this one."),
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", help="Only functions of this project.")
    ] = None,
    by: Annotated[
        UsageBy, typer.Option("--by", metavar="WHAT", help="function, project, caller, route, ...")
    ] = UsageBy.FUNCTION,
    prices: Annotated[
        str | None,
        typer.Option(
            "--prices",
            metavar="FILE",
            help="A price list: a file, or a shipped one. Default: the node's.",
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option("--compare", metavar="FILE", help="Another price list, to compare with."),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help="table, csv, json or focus.")
    ] = Format.TABLE,
    json: JsonOption = False,
) -> None:
    """Show what use costs, with a forecast for the month.

    Prices come from a file, and are valid from one day to another; docs/reference/prices.md
    describes it. Amounts are those of `casemate usage`. `--format focus` prints CSV in the columns
    of FOCUS 1.0 for FinOps tools.
    """
    if json:
        if form not in (Format.TABLE, Format.JSON):
            raise UsageError("--json and --format name two forms.", next_step="Leave out one.")
        form = Format.JSON
    lists = [price_list(each) for each in (prices, compare) if each is not None]
    now = time.time()
    first, following = month_of(_month(month, now))
    with connect() as client:
        if prices is None:
            lists.insert(0, node_prices(client))
        rows = _usage(client, project, by, first, following)
        node = client.url
    if project is None and (here := project_of_folder()) is not None:
        note(f"Of all projects; --project {here}: of the one whose folder this is.")
    found = [bill(each, rows) for each in lists]
    if form is Format.FOCUS:
        _write(FOCUS_COLUMNS, focus_rows(found[0], node))
    elif form is Format.CSV:
        _write(_COLUMNS, _csv_rows(found[0]))
    elif form is Format.JSON:
        print_json(_json(found, first, now))
    else:
        _table(found, first, now)


def node_prices(client: NodeClient) -> PriceList:
    """Return the node's price list. Who may not see it, as with a role of one project, names one.

    Raises DeniedError, PriceListError.
    """
    try:
        text = client.call(ShowPrices()).text
    except DeniedError as error:
        if Action.NODE_READ.value not in error.message:  # such as without a token
            raise
        raise DeniedError(
            f"{error.message.rstrip('.')}, which is needed to see its price list.",
            next_step=f"Name a list: --prices FILE, or a shipped one, such as --prices "
            f"{next(iter(shipped_names()))}; with a role of one project also --project PROJECT.",
        ) from error
    return read_prices(text.encode(), "the node's price list")


def price_list(name: str) -> PriceList:
    """Return a price list: that of a file, or a shipped one. Raises PriceListError, UsageError."""
    return read_prices(list_text(name), Path(name).name)


def list_text(name: str) -> bytes:
    """Return the file of a price list, or of a shipped one. Raises UsageError."""
    if name in shipped_names():
        return shipped_text(name)
    try:
        with Path(name).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"The price list {name} cannot be read: {error.strerror}.",
            next_step=f"Give a file, or one of {', '.join(shipped_names())}.",
        ) from error


def _month(text: str | None, now: float) -> date:
    if text is None:
        return day_of(now)
    try:
        found = date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise UsageError(f"--month is {text!r}, expected YYYY-MM such as 2026-11.") from error
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise UsageError(f"--month is {text!r}, expected one of {_FIRST_YEAR} to {_LAST_YEAR}.")
    return found


def _usage(
    client: NodeClient, project: str | None, by: UsageBy, first: date, following: date
) -> tuple[Usage, ...]:
    found = client.call(
        ShowUsage(
            project=project,
            by=by,
            each=UsageSpan.DAY,
            since=moment_of(first),
            until=moment_of(following),
        )
    )
    if found.more:
        raise CommandError(
            "There is more in that month than is shown at once; nothing is left out silently.",
            next_step="Ask for one project after the other (--project), or by project.",
        )
    note_behind(found.behind)
    return found.rows


def _write(columns: tuple[str, ...], rows: Iterable[dict[str, str]]) -> None:
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: inert_cell(text) for name, text in row.items()} for row in rows)


def _csv_rows(found: Bill) -> Iterable[dict[str, str]]:
    for line in found.lines:
        yield {
            "day": line.day.isoformat(),
            "what": name_of(line.of, of_when=False),
            "resource": line.resource.name,
            "quantity": format(line.quantity, "f"),
            "unit": line.resource.unit,
            "price": format(line.price, "f"),
            "cost": format(line.cost, "f"),
            "currency": found.prices.currency,
        }


def _sums(found: Bill) -> dict[str, dict[str, Decimal]]:
    """Return what each thing costs, by resource."""
    sums: dict[str, dict[str, Decimal]] = {}
    for line in found.lines:
        name = name_of(line.of, of_when=False)
        costs = sums.setdefault(name, {})
        costs[line.resource.name] = costs.get(line.resource.name, Decimal()) + line.cost
    return sums


def money(amounts: Sequence[Decimal]) -> list[str]:
    """Return the amounts of a column for people: cents, or more exactly where one is below ten.

    All have as many places: of those that have not, the longer one looks like more.
    """
    small = any(0 < amount < _EXACT_BELOW for amount in amounts)
    places = Decimal("0.000001" if small else "0.01")
    return [format(amount.quantize(places), "f") for amount in amounts]


def _json(found: list[Bill], first: date, now: float) -> dict[str, Any]:
    bills = [
        {
            "prices": each.prices.name,
            "version": each.prices.version,
            "currency": each.prices.currency,
            "total": format(each.total, "f"),
            "month_end": _guess(each, first, now),
            "lines": list(_csv_rows(each)),
        }
        for each in found
    ]
    return {"month": f"{first:%Y-%m}", "bill": bills[0], "compared": bills[1:]}


def _guess(found: Bill, first: date, now: float) -> str | None:
    if month_of(day_of(now))[0] != first:
        return None
    return format(forecast(found, now).total.quantize(Decimal("0.000001")), "f")


def _table(found: list[Bill], first: date, now: float) -> None:
    main = found[0]
    resources = list(dict.fromkeys(line.resource.name for line in main.lines))
    sums = sorted(_sums(main).items(), key=lambda each: -sum(each[1].values()))
    of_each = [[costs.get(name, Decimal()) for _, costs in sums] for name in resources]
    totals = [sum(costs.values(), Decimal()) for _, costs in sums]
    columns = [[name for name, _ in sums], *map(money, (*of_each, totals))]
    print_table(
        ("what", *resources, main.prices.currency),
        list(zip(*columns, strict=True)),
        empty="Nothing was used in that month.",
        below=tuple(resources),
    )
    following = month_of(first)[1]
    last = following - timedelta(days=1)
    for number, each in enumerate(found):
        guess = _guess(each, first, now)
        total, *about = money([each.total, *([] if guess is None else [Decimal(guess)])])
        more = f", until {last} about {about[0]}" if about else ""
        text = f"{each.prices.name} ({each.prices.version}): {total} "
        print_line(f"{text}{each.prices.currency}{more}", BOLD if not number else None)
    if main.prices.name == "example":
        note("These are the example's prices; --prices names a list of your own.")
