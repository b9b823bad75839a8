"""`casemate tables`: tables and their items."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.errors import UsageError
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.resources import ProjectArgument, project_or_here, resolve_resource
from casemate.cli.terminal import note, print_json, print_json_line, print_line, print_table
from casemate.cli.text import size
from casemate.model.data import Range
from casemate.operations.items import DropTable, GetItem, ListTables, QueryItems

app = new_app("List tables, get and query items.")

TableArgument = Annotated[
    str, typer.Argument(metavar="PROJECT/TABLE", help="The table, such as shop/orders.")
]
_VALUE_HELP = "Text as it is, a number as JSON; text that looks like a number in JSON's quotes."


@command(app, examples="$ casemate tables ls\n$ casemate tables ls shop")
def ls(project: ProjectArgument = None, json: JsonOption = False) -> None:
    """List the tables of a project."""
    name = project_or_here(project)
    with connect() as client:
        found = client.call(ListTables(project=name))
    if json:
        print_json(found)
        return
    print_table(
        ("table", "key", "sort", "indexes", "ttl", "item at most"),
        [
            (
                f"{name}/{table.name}",
                table.key,
                table.sort or "",
                ", ".join(index.name for index in table.indexes),
                table.ttl or "",
                size(table.max_item),
            )
            for table in found.tables
        ],
        empty=f"The project {name} has no tables that you may query.",
    )


@command(
    app,
    examples="""\
$ casemate tables get shop/users ada
$ casemate tables get shop/orders ada 2026-11-25
$ casemate tables get shop/numbers 7
$ casemate tables get shop/texts '"7"'
""",
)
def get(
    table: TableArgument,
    key: Annotated[str, typer.Argument(metavar="KEY", help=_VALUE_HELP)],
    sort: Annotated[str | None, typer.Argument(metavar="[SORT]", help=_VALUE_HELP)] = None,
    json: JsonOption = False,
) -> None:
    """Print an item as JSON; with --json with its revision."""
    name = resolve_resource("table", table)
    wanted = GetItem(
        project=name.project,
        table=name.name,
        key=value_of(key),
        sort=_bound(sort),
    )
    with connect() as client:
        item = client.call(wanted)
    print_json(item if json else item.value)


@command(
    app,
    examples="""\
$ casemate tables query shop/orders
$ casemate tables query shop/orders --key ada --begins-with 2026- --descending
$ casemate tables query shop/orders --index by-state --key open
""",
)
def query(
    table: TableArgument,
    key: Annotated[str | None, typer.Option("--key", help=_VALUE_HELP)] = None,
    index: Annotated[str | None, typer.Option("--index", help="Ask this index.")] = None,
    equals: Annotated[str | None, typer.Option("--equals", help="Sort value.")] = None,
    begins_with: Annotated[
        str | None, typer.Option("--begins-with", help="What the sort value starts with.")
    ] = None,
    at_least: Annotated[str | None, typer.Option("--at-least", help="Lowest sort value.")] = None,
    less_than: Annotated[
        str | None, typer.Option("--less-than", help="Sort value that is not reached.")
    ] = None,
    descending: Annotated[bool, typer.Option("--descending", help="Highest first.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many.")] = 100,
    after: Annotated[
        str | None, typer.Option("--after", help="Go on, see the end of a list.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print items in order, one JSON document a line. Without --key all of them."""
    name = resolve_resource("table", table)
    bounds = Range(
        equals=_bound(equals),
        begins_with=begins_with,
        at_least=_bound(at_least),
        less_than=_bound(less_than),
    )
    question = QueryItems(
        project=name.project,
        table=name.name,
        key=_bound(key),
        index=index,
        sort=None if bounds == Range() else bounds,
        after=after,
        limit=limit,
        descending=descending,
    )
    with connect() as client:
        page = client.call(question)
    if json:
        print_json(page)
        return
    for item in page.items:
        print_json_line(item.value)
    if not page.items:
        note(f"The table {name} has no such items.")
    if page.after is not None:
        note(f"There are more: --after {page.after}")


@command(app, examples="$ casemate tables rm shop/orders")
def rm(table: TableArgument, yes: YesOption = False) -> None:
    """Delete a table with all its items. There is no way back."""
    name = resolve_resource("table", table)
    with connect() as client:
        confirm(f"Delete the table {name} of {client.url} with all its items?", yes=yes)
        client.call(DropTable(project=name.project, table=name.name))
    print_line(f"The table {name} is deleted.")


def _bound(text: str | None) -> str | int | float | None:
    return None if text is None else value_of(text)


def value_of(text: str) -> str | int | float:
    """Return a key as it is given: a JSON number or string, and anything else as text."""
    value: str | int | float = text
    try:
        found = json_module.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, str | int | float) and not isinstance(found, bool):
        value = found
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                "A key is not valid text in UTF-8.", next_step="Give it in a UTF-8 locale."
            ) from error
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(name)
