"""`casemate prices`: what a node's use costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.commands.bill import list_text
from casemate.cli.operation_command import answered
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import print_json, print_line, print_text
from casemate.metering import read_prices
from casemate.operations.budgets import PricesFound, SetPrices, ShowPrices

app = new_app("See and set the price list of a node.")


@answered(app, ShowPrices, examples="$ casemate prices show > prices.toml")
def show(found: PricesFound) -> None:
    """Print the node's price list, as its file is."""
    print_text(found.text)


@command(app, name="set", examples="$ casemate prices set prices.toml")
def set_prices(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A price list, or a shipped one.")],
    json: JsonOption = False,
) -> None:
    """Give the node another price list, for bills and budgets in money from now on.

    docs/reference/prices.md describes the file.
    """
    data = list_text(file)
    read_prices(data, Path(file).name)
    with connect() as client:
        found = client.call(SetPrices(text=data.decode()))
    if json:
        print_json(found)
    else:
        print_line(f"{found.name} ({found.version}), in {found.currency}, holds.")
