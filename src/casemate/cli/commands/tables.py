"""`casemate tables`: tables and their items."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from casemate.cli.client import connect
from casemate.cli.errors import UsageError
from casemate.cli.json_input import JsonFileArgument, json_given
from casemate.cli.operation_command import Call, answered, asked, name_of
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.resources import project_alone, resolve_resource
from casemate.cli.terminal import (
    json_line,
    note,
    print_document,
    print_json,
    print_line,
    print_table,
    print_written,
)
from casemate.cli.text import size
from casemate.cli.values import value_of
from casemate.model.data import Item, ItemPage
from casemate.operations.items import (
    DeleteItem,
    DropTable,
    GetItem,
    ListTables,
    QueryItems,
    Tables,
    WriteItem,
)

app = new_app("List tables; get, query, put and remove items.")

_KEY_HELP = "Text as it is, a number as JSON; text that looks like a number in JSON's quotes."
TableArgument = Annotated[
    str, typer.Argument(metavar="PROJECT/TABLE", help="The table, such as shop/orders.")
]
KeyArgument = Annotated[
    str | None, typer.Argument(metavar="[KEY]", help=f"The item's key. {_KEY_HELP}")
]
SortArgument = Annotated[
    str | None,
    typer.Argument(metavar="[SORT]", help="The item's sort value, in tables that have one."),
]


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


@asked(
    app,
    WriteItem,
    fixed={"value": msgspec.Raw(b"{}")},
    examples="""\
$ casemate tables put shop/users ada.json
$ echo '{"id": "ada", "state": "new"}' | casemate tables put shop/users --if-absent
$ casemate tables put shop/users ada.json --if-revision 3
""",
)
def put(
    written: WriteItem,
    *,
    file: JsonFileArgument = None,
    if_absent: Annotated[
        bool, typer.Option("--if-absent", help="Only if there is no item with its key yet.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write an item whole: a JSON object of at most 512 KB, whose key attributes say where.

    Functions that listen to the table are told, as they are of what functions write.
    """
    if if_absent:
        if written.if_revision is not None:
            raise UsageError(
                "Both --if-absent and --if-revision are given, expected one of them.",
                next_step="Leave out one: --if-absent is --if-revision 0.",
            )
        written = msgspec.structs.replace(written, if_revision=0)
    item = json_given(file, "item", as_object=True)
    with connect() as client:
        kept = client.call(msgspec.structs.replace(written, value=item))
    if json:
        print_json(kept)
    else:
        print_line(f"{name_of(written)}: the item is kept, revision {kept.revision}.")


@command(
    app,
    examples="""\
$ casemate tables rm shop/users ada
$ casemate tables rm shop/orders ada 2026-11-25
$ casemate tables rm shop/orders --all
""",
)
def rm(
    table: TableArgument,
    key: KeyArgument = None,
    sort: SortArgument = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Delete the table with all its items.")
    ] = False,
    if_revision: Annotated[
        int | None,
        typer.Option("--if-revision", min=0, help="Only if the item has this revision."),
    ] = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Delete an item, or with --all the table with all its items. There is no way back."""
    if (key is None) != everything or (everything and if_revision is not None):
        raise UsageError(
            "Give a KEY, or --all for the whole table.", next_step="See `casemate tables rm -h`."
        )
    name = resolve_resource("table", table)
    with connect() as client:
        if key is None:
            confirm(f"Delete the table {name} of {client.url} with all its items?", yes=yes)
            client.call(DropTable(project=name.project, table=name.name))
            if json:
                print_json({"removed": str(name)})
            else:
                print_line(f"The table {name} is deleted.")
            return
        item = DeleteItem(
            project=name.project,
            table=name.name,
            key=value_of(key),
            sort=None if sort is None else value_of(sort),
            if_revision=if_revision,
        )
        # As JSON: a number is another key than the text that looks like it.
        shown = " ".join(json_line(each) for each in (item.key, item.sort) if each is not None)
        confirm(f"Delete the item {shown} from {name} of {client.url}?", yes=yes)
        client.call(item)
    if json:
        print_json({"removed": str(name), "key": item.key, "sort": item.sort})
    else:
        print_written(f"{name} has no item {shown} any more.")
