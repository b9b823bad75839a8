"""`casemate check`: read all that a node keeps, and say what is not as it was written."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.errors import CommandError, ExitCode, UsageError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import Progress, note, print_json, print_line, print_table, progress

if TYPE_CHECKING:
    from casemate.model.integrity import CheckFinding, CheckReport

app = new_app()

_POLL_SECONDS = 0.5
_MIB = 1024 * 1024


@command(
    app,
    examples="""\
$ casemate check
$ casemate check --data /var/lib/casemate
$ casemate check --backup node.tar --master-key file:/media/key
$ casemate check --json
""",
)
def check(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Check the folder of a stopped node."),
    ] = None,
    master_key: Annotated[
        str | None,
        typer.Option(
            "--master-key",
            metavar="SOURCE",
            help="With --data or --backup: where the master key is, as for `casemate serve`.",
        ),
    ] = None,
    backup: Annotated[
        Path | None,
        typer.Option(
            "--backup",
            metavar="FILE",
            help="Read a backup instead, and verify that it is as its node's vault has signed it.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Read everything a node keeps, and report what is damaged or missing.

    Pages, logs, counters, objects, bundles and the vault's files are read; nothing is changed. The
    node goes on serving; with --data the folder of a stopped one is read, with --backup a backup.
    `casemate journal verify` reads the journal. That and the records of invocations are not read
    of a stopped node. The exit code is 1 if anything was found.
    """
    if backup is not None:
        _backup(backup, data, master_key, json=json)
        return
    if master_key is not None and data is None:
        raise UsageError(
            "--master-key is for a node that has stopped, or for a backup.",
            next_step="Leave it out, or name the folder with --data.",
        )
    with progress("Checking all that the node keeps ...") as shown:
        report = _folder(data, master_key, shown) if data is not None else _node(shown)
    if data is not None:
        # Both are the recorder's, whose keys the vault gives to nobody else.
        note(
            "Not read: the journal and the records of invocations. A running node reads them: "
            "`casemate journal verify`, `casemate check`."
        )
    if json:
        print_json(report)
    else:
        _print(report)
    if report.findings:
        raise typer.Exit(ExitCode.FAILURE)


def _backup(file: Path, data: Path | None, master_key: str | None, *, json: bool) -> None:
    """Read a backup, whose signature is verified first."""
    if data is not None or master_key is None:
        raise UsageError(
            "--backup needs --master-key, and no --data.",
            next_step="Name where the master key of the node that made it is: --master-key",
        )
    if not file.is_file():  # a pipe that nobody writes to would be waited for without end
        raise UsageError(
            f"There is no file {file}.", next_step="Name what `casemate backup` wrote."
        )
    from casemate.backup.archive import ArchiveReader
    from casemate.backup.proving import require_signed
    from casemate.cli.commands.restore import signed_as
    from casemate.cli.text import moment

    with progress(f"Checking {file} ...") as shown:
        manifest = require_signed(file, master_key)
        reader = ArchiveReader()
        read = 0
        with file.open("rb") as opened:
            while piece := opened.read(_MIB):
                reader.feed(piece)
                read += len(piece)
                shown.update(f"Checking {file}, {read // _MIB} MiB read ...")
        found, digest = reader.finish()
    if found != manifest:
        raise CommandError(
            f"{file} was changed while it was read.", next_step="Run the command again."
        )
    if json:
        print_json({"file": str(file), "bytes": read, "sha256": digest, "manifest": manifest})
        return
    print_line(f"all is as it was signed: {signed_as(manifest)}")
    print_line(f"made    {moment(manifest.created_at)}: {len(manifest.files)} files, {read} bytes")
    print_line(f"sha256  {digest}")


def _node(shown: Progress) -> CheckReport:
    from casemate.model.integrity import CheckState
    from casemate.operations import check

    with connect() as client:
        report = client.call(check.StartCheck())
        while report.state is CheckState.RUNNING:
            _show(report, shown)
            time.sleep(_POLL_SECONDS)
            report = client.call(check.CheckReport())
    return report


def _folder(data: Path, master_key: str | None, shown: Progress) -> CheckReport:
    from casemate.maintenance.check_folder import check_folder

    return check_folder(data, master_key, lambda report: _show(report, shown))


def _show(report: CheckReport, shown: Progress) -> None:
    place = report.place or "all that the node keeps"
    shown.update(f"Checking {place}, {report.bytes_read // _MIB} MiB read ...")


def _problem(finding: CheckFinding) -> str:
    if not finding.key:
        return finding.problem
    project = finding.place.removeprefix("data/")
    return f"{finding.problem} ({finding.kind}:{project}/{finding.name}, key {finding.key})"


def _print(report: CheckReport) -> None:
    rows = [(finding.place, _problem(finding)) for finding in report.findings]
    if rows:
        print_table(("place", "problem"), rows, empty="", below=("problem",))
        if any(finding.kind and not finding.key for finding in report.findings):
            note(
                "Which object or item it is by its key is told to who may list the bucket "
                "(bucket:list) or query the table (table:query)."
            )
        note(
            "Stop the node, keep the folder for examination, restore from a backup: "
            "docs/howto/check-a-node.md says what each finding means."
        )
        return
    print_line(f"all is as it was written: {report.places} places, {report.bytes_read} bytes")
