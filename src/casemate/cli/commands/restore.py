"""`casemate restore`: make a node's data folder from a backup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casemate.cli.errors import UsageError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import YELLOW, note, print_json, print_line, progress
from casemate.cli.text import moment
from casemate.model.errors import CasemateError

if TYPE_CHECKING:
    from casemate.backup.archive import Manifest

app = new_app()


@command(
    app,
    examples="""\
$ casemate restore node.tar --data /var/lib/casemate
$ casemate restore node.tar --data /srv/casemate --master-key file:/media/key
""",
)
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `casemate backup` wrote.")],
    data: Annotated[
        Path, typer.Option("--data", help="The data folder to make; missing or empty.")
    ],
    master_key: Annotated[
        str | None,
        typer.Option(
            "--master-key",
            metavar="SOURCE",
            help="Where the master key of the backup's node is, as for `casemate serve`: it proves "
            "the backup's signature. Default: where a node with this folder would look, or where "
            "another node of yours has it.",
        ),
    ] = None,
    accept_loss: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-loss",
            metavar="NAME",
            help="Restore a backup that has no signature, or whose signature cannot be verified "
            "here, by the name that the error tells. It may be made of several.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a data folder from a backup, without a node.

    The signature of the node's vault is verified first, and the whole backup before anything is put
    in place. Run the command as the user that
    the node will run as; as root, files get the owners that a root-run node gives them.
    """
    if not file.is_file():
        raise UsageError(
            f"There is no file {file}.", next_step="Name what `casemate backup` wrote."
        )
    from casemate.backup.proving import loss_of, place_of_key, require_signed
    from casemate.backup.restore import require_free
    from casemate.backup.restore import restore as make
    from casemate.folder.folders import default_master_key

    own_key = default_master_key(data.absolute())
    require_free(data.absolute())
    with progress(f"Restoring {file} ..."):
        key = master_key or place_of_key(file, own_key)
        manifest = require_signed(file, key, accept_loss or ())
        digest = make(file, data, manifest)
    signed = manifest.signed
    if json:
        print_json(
            {
                "data": str(data),
                "files": len(manifest.files),
                "created_at": manifest.created_at,
                "version": manifest.version,
                "sha256": digest,
                "number": signed and signed.number,
                "node": signed and signed.node,
                "master_key": own_key,
            }
        )
    else:
        print_line(f"{data}  {len(manifest.files)} files of {moment(manifest.created_at)}")
        print_line(f"sha256  {digest}")
        accepted = loss_of(manifest) in (accept_loss or ())
        by_name = ", which was accepted by its name" if accepted else ""
        print_line(f"signed  {signed_as(manifest)}{by_name}")
    _note_what_is_back(data, moment(manifest.created_at), own_key, key)


def _note_what_is_back(data: Path, made_at: str, own_key: str, key: str) -> None:
    note(
        f"The master key is not in a backup. The node needs the one it had when that was made; it "
        f"looks at {own_key} unless `casemate serve` is told another place with --master-key."
        f"{_key_of(data)}{f' Here it is in {key}.' if key != own_key else ''}",
        YELLOW,
    )
    note(
        f"People, tokens, roles and secrets are those of {made_at}: what was revoked, removed or "
        "changed since is back. Once it serves: casemate tokens ls, casemate users ls.",
        YELLOW,
    )
    note(
        "What was held back since is not any more: quarantines, restrictions and exceptions are as "
        "they were, and an invitation that was used since is open. Before callers reach it: "
        "casemate quarantine, casemate restrict, casemate advisories exceptions.",
        YELLOW,
    )
    note(
        "What was done since may be done again: events that waited then are handled once more, web "
        "hooks, Idempotency-Keys and one-time codes of since are taken for new, and budgets do not "
        "know what was used. Before callers reach it: casemate queues ls PROJECT, "
        "casemate budget ls.",
        YELLOW,
    )
    note(
        "Advisories and recordings are not in a backup: deploys of functions with packages are "
        "refused until there are advisories again. Once it serves: casemate advisories import "
        "SOURCE --node.",
        YELLOW,
    )


def signed_as(manifest: Manifest) -> str:
    """Return which backup of which node a manifest says that it is."""
    signed = manifest.signed
    return f"number {signed.number} of {signed.node}" if signed else "not at all"


def _key_of(data: Path) -> str:
    """Return which master key is said to open the vault of a data folder, and where that was."""
    from casemate.folder.folders import Folders
    from casemate.vault.state import STATE_FILE, read_header, unproven

    try:
        header = read_header((Folders(data).vault / STATE_FILE).read_bytes())
    except (OSError, CasemateError):
        return ""
    return f" {unproven(header)}"
