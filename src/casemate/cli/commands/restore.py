"""`casemate restore`: make a node's data folder from a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.errors import UsageError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import YELLOW, note, print_json, print_line, progress
from casemate.cli.text import moment
from casemate.model.errors import CasemateError

app = new_app()


@command(app, examples="$ casemate restore node.tar --data /var/lib/casemate")
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `casemate backup` wrote.")],
    data: Annotated[
        Path, typer.Option("--data", help="The data folder to make; missing or empty.")
    ],
    json: JsonOption = False,
) -> None:
    """Make a data folder from a backup, without a node.

    The whole backup is verified before anything is put in place. Run the command as the user that
    the node will run as; as root, files get the owners that a root-run node gives them.
    """
    if not file.is_file():
        raise UsageError(
            f"There is no file {file}.", next_step="Name what `casemate backup` wrote."
        )
    from casemate.backup.restore import restore as make
    from casemate.folder.folders import default_master_key

    with progress(f"Restoring {file} ..."):
        manifest, digest = make(file, data)
    master_key = default_master_key(data.absolute())
    if json:
        print_json(
            {
                "data": str(data),
                "files": len(manifest.files),
                "created_at": manifest.created_at,
                "version": manifest.version,
                "sha256": digest,
                "master_key": master_key,
            }
        )
    else:
        print_line(f"{data}  {len(manifest.files)} files of {moment(manifest.created_at)}")
        print_line(f"sha256  {digest}")
    note(
        f"The master key is not in a backup. The node needs the one it had when that was made; it "
        f"looks at {master_key} unless `casemate serve` is told another place with --master-key."
        f"{_key_of(data)}",
        YELLOW,
    )
    note(
        f"People, tokens, roles and secrets are those of {moment(manifest.created_at)}: what was "
        "revoked, removed or changed since is back. Once it serves: casemate tokens ls, "
        "casemate users ls.",
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
        "know what was used. Before callers reach it: casemate queues ls, casemate budget ls.",
        YELLOW,
    )


def _key_of(data: Path) -> str:
    """Return which master key is said to open the vault of a data folder, and where that was."""
    from casemate.folder.folders import Folders
    from casemate.vault.state import STATE_FILE, read_header, unproven

    try:
        header = read_header((Folders(data).vault / STATE_FILE).read_bytes())
    except (OSError, CasemateError):
        return ""
    return f" {unproven(header)}"
