"""`casemate init`: a working project."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.errors import UsageError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.template import write
from casemate.cli.terminal import GREEN, print_json, print_line
from casemate.model.function import NAME_PATTERN

app = new_app()


@command(app, examples="$ casemate init\n$ casemate init hello\n$ casemate init ./web --name shop")
def init(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder to create the project in.", show_default=False),
    ] = Path(),
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the project. Default: the folder's name."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Create a working project with one function and its test.

    Nothing is overwritten: if one of the files exists, none is written.
    """
    chosen = name if name is not None else _name_of(folder)
    if re.fullmatch(NAME_PATTERN, chosen) is None:
        raise UsageError(
            f"{chosen!r} is not a project's name: expected lower-case letters, digits and `-`, "
            "at most 63, a letter first.",
            next_step="Give one with --name.",
        )
    written = write(folder, chosen)
    if json:
        print_json({"project": chosen, "files": [str(path) for path in written]})
        return
    for path in written:
        print_line(f"  {path}")
    print_line(f"The project {chosen} is ready.", GREEN)
    enter = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    print_line(f"Next: {enter}python3 -m unittest discover tests && casemate dev")


def _name_of(folder: Path) -> str:
    """Return the folder's name, made into a project's where that is plain."""
    return re.sub(r"[_. ]+", "-", os.path.basename(folder.resolve()).lower())  # noqa: PTH119
