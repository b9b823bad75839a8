"""`casemate store`: where the state of a node is kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casemate.cli.errors import UsageError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import YELLOW, note, print_json, print_line, print_table, progress

if TYPE_CHECKING:
    from casemate.migration.process import MoveLine
    from casemate.migration.sequence import Outcome
    from casemate.supervisor.shared_places import SharedPlaces

app = new_app("Move the state of a node between its own files and a database.")

_MIB = 1024 * 1024
_ENVIRONMENT = "env"
_URL = (
    "postgresql://USER@HOST:PORT/DATABASE without a password, file:PATH for a file with the URL, "
    f"or `{_ENVIRONMENT}` for the variable CASEMATE_STORE."
)


DataOption = Annotated[
    Path,
    typer.Option("--data", metavar="FOLDER", help="The data folder of a node that has stopped."),
]
ObjectsOption = Annotated[
    str | None,
    typer.Option(
        "--objects",
        metavar="URL",
        help="The S3-compatible store of objects and bundles, as for `casemate serve`; also the "
        "variable CASEMATE_OBJECTS.",
    ),
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="URL", help=f"Move to this database: {_URL}")
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="URL", help="Move from this database; written as for --to."),
]
MasterKeyOption = Annotated[
    str | None,
    typer.Option("--master-key", metavar="SOURCE", help="Where the master key is, as for `serve`."),
]
EncryptedDisksOption = Annotated[
    bool,
    typer.Option(
        "--encrypted-disks", help="With --to: state that the disks of the database are encrypted."
    ),
]
RiskOption = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-risk",
        metavar="NAME",
        help="Accept `clear-disks` or `unproved-store`, as for `serve`.",
    ),
]


@command(
    app,
    examples="""\
$ casemate store migrate --data /var/lib/casemate --to file:/etc/casemate/store.url \\
    --objects s3://casemate --encrypted-disks
And back, to a data folder that has the vault
$ casemate store migrate --data /var/lib/casemate --from env --objects s3://casemate
""",
)
def migrate(
    data: DataOption,
    objects: ObjectsOption = None,
    to: ToOption = None,
    origin: FromOption = None,
    master_key: MasterKeyOption = None,
    encrypted_disks: EncryptedDisksOption = False,
    accept_risk: RiskOption = None,
    json: JsonOption = False,
) -> None:
    """Move everything a stopped node keeps to PostgreSQL and S3, or back.

    Everything is encrypted again for its new place, read again there and compared. Until all of it
    is the same, no node starts at the new place; from then on, none starts at the old one, which is
    not changed otherwise. After an interruption, the same command continues. Journal, recordings
    and the records of invocations stay with the node's folder.
    """
    if (to is None) == (origin is None):
        raise UsageError(
            "Where the state goes is not said.", next_step="Give one of --to and --from."
        )
    back = origin is not None
    places = _places(
        origin or to or "", objects, back=back, encrypted=encrypted_disks, risks=accept_risk
    )
    from casemate.migration.start import migrate as move

    with progress("Opening both places ...") as shown:

        def show(line: MoveLine) -> None:
            size = f", {line.bytes // _MIB} MiB" if line.bytes >= _MIB else ""
            shown.update(f"{line.doing[:1].upper()}{line.doing[1:]}, {line.rows} rows{size} ...")

        outcome = move(data, master_key, places, show, back=back)
    if json:
        print_json(dataclasses.asdict(outcome))
        return
    _print(outcome, back=back)


def _places(
    url: str, objects: str | None, *, back: bool, encrypted: bool, risks: list[str] | None
) -> SharedPlaces:
    from casemate.supervisor.options import SharedOptions
    from casemate.supervisor.shared_places import CLEAR_DISKS, UNPROVED, named_places

    unknown = sorted(set(risks or ()) - {CLEAR_DISKS, UNPROVED})
    if unknown:
        raise UsageError(
            f"{unknown[0][:80]!r} is no risk of a move.",
            next_step=f"It may be {CLEAR_DISKS} or {UNPROVED}.",
        )
    options = SharedOptions(
        store=None if url == _ENVIRONMENT else url,
        objects=objects,
        encrypted_disks=encrypted or back,
    )
    places = named_places(options, tuple(risks or ()))
    if places is None:
        raise UsageError(
            "The variable CASEMATE_STORE is not set, and --objects is not given.",
            next_step="Set it, or name a file: --to file:PATH",
        )
    return places


def _print(outcome: Outcome, *, back: bool) -> None:
    rows = [
        (one.part, str(one.rows), one.digest[:16], "an earlier try" if one.kept else "this one")
        for one in outcome.parts
    ]
    print_table(("part", "rows", "digest", "moved by"), rows, empty="")
    print_line(
        f"{outcome.source} -> {outcome.target}: {outcome.objects} objects and {outcome.bundles} "
        "bundles; all of it is the same there"
    )
    if back:
        note("Start the node without --store. Nodes no longer start on the database.", YELLOW)
    else:
        note(
            "Start nodes with --store and --objects, first the one of this data folder: it has the "
            "vault. What is left in its folders store, data and bundles is no longer used.",
            YELLOW,
        )
