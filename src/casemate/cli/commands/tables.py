"""`casemate tables`: tables and their items."""

from __future__ import annotations

from casemate.cli.operation_command import Call, answered
from casemate.cli.options import JsonOption, new_app
from casemate.cli.resources import project_alone
from casemate.cli.terminal import (
    json_line,
    note,
    print_document,
    print_json,
    print_line,
    print_table,
)
from casemate.cli.text import size
from casemate.model.data import Item, ItemPage
from casemate.operations.items import DropTable, GetItem, ListTables, QueryItems, Tables

app = new_app("List tables, get and query items.")


@answered(
    app,
    ListTables,
    examples="$ casemate tables ls\n$ casemate tables ls shop",
    read={"project": project_alone("casemate tables query")},
)
def ls(found: Tables, call: Call) -> None:
    """List the tables of a project."""
    project = call.operation.project
    print_table(
        ("table", "key", "sort", "indexes", "ttl", "item at most"),
        [
            (
                f"{project}/{table.name}",
                table.key,
                table.sort or "",
                ", ".join(index.name for index in table.indexes),
                table.ttl or "",
                size(table.max_item),
            )
            for table in found.tables
        ],
        empty=f"The project {project} has no tables that you may query.",
        below=("indexes",),
    )


@answered(
    app,
    GetItem,
    examples="""\
$ casemate tables get shop/users ada
$ casemate tables get shop/orders ada 2026-11-25
$ casemate tables get shop/numbers 7
$ casemate tables get shop/texts '"7"'
""",
)
def get(item: Item, *, json: JsonOption = False) -> None:
    """Print an item as JSON; with --json with its revision."""
    print_json(item if json else item.value)


@answered(
    app,
    QueryItems,
    examples="""\
$ casemate tables query shop/orders
$ casemate tables query shop/orders --key ada --begins-with 2026- --descending
$ casemate tables query shop/orders --index by-state --key open
""",
)
def query(page: ItemPage, call: Call) -> None:
    """Print items in order, one JSON document a line; without --key all of them.

    On a narrow terminal a document takes several lines.
    """
    for item in page.items:
        print_document(json_line(item.value), is_json=True)
    if not page.items:
        note(f"The table {call.name} has no such items.")
    if page.after is not None:
        note(f"There are more: --after {page.after}")


@answered(
    app,
    DropTable,
    examples="$ casemate tables rm shop/orders",
    confirm="Delete the table {call.name} of {call.url} with all its items?",
)
def rm(call: Call) -> None:
    """Delete a table with all its items. There is no way back."""
    print_line(f"The table {call.name} is deleted.")
