"""`casemate stubs`: types of what a handler gets, for editors and type checkers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.stubs import write_stub
from casemate.cli.terminal import DIM, GREEN, print_json, print_line

app = new_app()


@command(app, examples="$ casemate stubs\n$ casemate stubs ./web")
def stubs(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of the project.", show_default=False)
    ] = Path(),
    json: JsonOption = False,
) -> None:
    """Write the types that a handler works with, for editors and type checkers.

    They go to `typings/casemate/__init__.pyi`, where Pyright and editors built on it find them; for
    mypy set `mypy_path = "typings"`. Then `from casemate import Context` is known there without the
    platform installed. The manifest's schema goes to `typings/casemate.schema.json`, for the line
    `#:schema ./typings/casemate.schema.json` at the head of `casemate.toml`. Run it again after an
    update of Casemate. A file of your own in these places is not overwritten.
    """
    from casemate.cli.project_schema import write_schema

    path, changed = write_stub(folder)
    changed = write_schema(folder)[1] or changed
    if json:
        print_json({"file": str(path), "changed": changed})
    elif changed:
        print_line(f"{path} is written.", GREEN)
    else:
        print_line(f"{path} is as it should be.", DIM)
