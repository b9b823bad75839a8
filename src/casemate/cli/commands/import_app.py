"""`casemate import`: an application of another platform becomes a project."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casemate.cli.errors import CommandError, UsageError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import (
    BOLD,
    GREEN,
    YELLOW,
    Style,
    note,
    print_json,
    print_line,
    print_prose,
    print_table,
)

if TYPE_CHECKING:
    from casemate.importing import Imported

app = new_app()
_MOST = 20
"""Lines of each list on the terminal; all of them are in IMPORT.md and in --json."""


class Kind(StrEnum):
    """What the application is written for."""

    SAM = "sam"
    SERVERLESS = "serverless"
    OPENFAAS = "openfaas"


@command(
    app,
    name="import",
    examples="""\
$ casemate import sam .
$ casemate import serverless ./shop --output ./shop-casemate
$ casemate import openfaas stack.yml --name hooks --json
""",
)
def import_app(
    kind: Annotated[
        Kind, typer.Argument(metavar="KIND", help="What it is for: sam, serverless or openfaas.")
    ],
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Its folder, or its template in there.")
    ] = Path(),
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FOLDER", help="Folder to create. Default: NAME-casemate, here."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the project. Default: the application's name."),
    ] = None,
    accept_public: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-public",
            metavar="FUNCTION",
            help="Let everybody call this function, as the template does; otherwise it is closed.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Turn an AWS Lambda or OpenFaaS application into a project.

    It imports the functions that are in Python. It reads AWS SAM and CloudFormation templates
    (`sam`), serverless.yml (`serverless`) and OpenFaaS stacks (`openfaas`), and writes a new
    folder: manifest, code, and IMPORT.md, which lists the calls that have to be changed and what
    has no counterpart, each with its place and the next step.

    Grants are minimal: what the code needs, from what it was granted there. Routes that everybody
    could call are closed until they are accepted by name. What looks like a secret is named and not
    written. Nothing of the application is run, and nothing is overwritten.
    """
    found = _imported(kind, path, output, name, accept_public)
    if json:
        print_json(found)
        return
    _print(found)


def _imported(
    kind: Kind, path: Path, output: Path | None, name: str | None, accept_public: list[str] | None
) -> Imported:
    from casemate.audit import DataMissingError
    from casemate.importing import Choices, FolderError, NothingToImportError, imported, is_name

    if name is not None and not is_name(name):
        raise UsageError(
            f"{name!r} is not a project's name: expected lower-case letters, digits and `-`, "
            "at most 63, a letter first.",
            next_step="Give another one with --name.",
        )
    choices = Choices(name=name or "", accept_public=frozenset(accept_public or ()))
    try:
        return imported(path, kind.value, output, choices)
    except (NothingToImportError, DataMissingError) as error:
        raise UsageError(error.message, next_step=error.next_step) from error
    except FolderError as error:
        raise CommandError(error.message, next_step=error.next_step) from error


def _print(found: Imported) -> None:
    print_table(
        ("function", "was", "routes", "triggers", "grants"),
        [
            (each.name, each.was, *map(", ".join, (each.routes, each.triggers, each.grants)))
            for each in found.functions
        ],
        empty="There are no functions.",
        below=("routes", "triggers", "grants"),
    )
    blocking = [each for each in found.left if each.blocking]
    others = [each for each in found.left if not each.blocking]
    closed = [each for each in found.opened if not each.accepted]
    _section(
        "Before the first deploy",
        [
            *(f"casemate secrets set {found.project}/{each}" for each in found.secrets),
            *(f"{each.place} {each.function} was public, and is closed now" for each in closed),
            *(f"{each.place} {each.what}. Next: {each.next}" for each in blocking),
        ],
        YELLOW,
    )
    _section(
        "Calls that have to be changed",
        [f"{each.place} {each.call} -> {each.instead}" for each in found.changes],
        BOLD,
    )
    _section(
        "What has no counterpart, or is for you to decide",
        [f"{each.place} {each.what}. Next: {each.next}" for each in others],
        BOLD,
    )
    print_line()
    functions = "1 function" if len(found.functions) == 1 else f"{len(found.functions)} functions"
    print_line(f"{found.project}: {functions} in {found.folder}.", GREEN)
    note(
        f"Next: read {found.folder}/IMPORT.md, then: cd {shlex.quote(found.folder)} && "
        "casemate build"
    )


def _section(title: str, lines: list[str], style: Style) -> None:
    if not lines:
        return
    print_line()
    print_line(f"{title}:", style)
    for line in lines[:_MOST]:
        print_prose(f"  {line}")
    if len(lines) > _MOST:
        print_line(f"  and {len(lines) - _MOST} more, all of them in IMPORT.md")
