"""`casemate backup`: fetch a backup of the whole node, all of it or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated

import typer

from casemate.backup.archive import ArchiveReader, Manifest
from casemate.cli.client import NodeClient, connect
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import Progress, note, print_json, print_line, progress
from casemate.kernel.drafts import draft_file
from casemate.kernel.durability import sync_folder
from casemate.kernel.placing import take_name
from casemate.operations import backup as operations

app = new_app()

SILENCE_SECONDS = 600.0
"""The node copies its records and data before it sends the first byte."""
_MIB = 1024 * 1024


@command(
    app,
    examples="""\
$ casemate backup node.tar
$ casemate backup --force /mnt/backups/node.tar
""",
)
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    json: JsonOption = False,
) -> None:
    """Fetch a backup of the whole node, which goes on serving.

    It contains records, data, secrets and bundles, all encrypted, but not the master key. Every
    hash is checked while it is received. FILE appears only when it is complete.
    """
    if file.exists() and not force:
        raise UsageError(
            f"{file} is there already.", next_step="Give another name, or --force to replace it."
        )
    try:
        with connect() as client, progress(f"Backing up {client.url} ...") as shown:
            manifest, digest, size = receive(client, file, shown, replace=force)
    except OSError as error:
        raise CommandError(
            f"{file} cannot be written: {error.strerror}.",
            next_step="Check the folder's rights and its free space; nothing was left behind.",
        ) from error
    if json:
        print_json({"file": str(file), "bytes": size, "sha256": digest, "manifest": manifest})
        return
    print_line(f"{file}  {len(manifest.files)} files, {size} bytes")
    print_line(f"sha256  {digest}")
    if manifest.signed is not None:
        print_line(f"signed  number {manifest.signed.number} of {manifest.signed.node}")
    note(
        "The master key is not in it: without that key nobody can read this backup, nor can you. "
        "Keep a copy of it in another place."
    )


def receive(
    client: NodeClient, file: Path, shown: Progress, *, replace: bool
) -> tuple[Manifest, str, int]:
    """Write the node's backup to `file`; return its manifest, SHA-256 and size."""
    reader = ArchiveReader()
    size = 0
    with draft_file(file.parent, f".{file.name}.", ".part") as (draft, descriptor):
        with os.fdopen(descriptor, "wb", closefd=False) as target:
            for piece in _pieces(client):
                reader.feed(piece)
                target.write(piece)
                if size // _MIB != (size + len(piece)) // _MIB:
                    shown.update(f"Received {(size + len(piece)) // _MIB} MiB ...")
                size += len(piece)
            manifest, digest = reader.finish()
            _sync(target)
        _put_in_place(draft, file, replace=replace)
    return manifest, digest, size


def _pieces(client: NodeClient) -> Iterator[bytes]:
    with client.open(operations.Backup(), seconds=SILENCE_SECONDS) as response:
        yield from client.progress.pieces(response.iter_raw())


def _put_in_place(draft: Path, file: Path, *, replace: bool) -> None:
    if replace:
        draft.replace(file)
    else:
        try:
            take_name(draft, file)  # unlike a rename it never replaces what came meanwhile
        except FileExistsError as error:
            raise UsageError(
                f"{file} has come into being meanwhile.", next_step="Give another name."
            ) from error
    sync_folder(file.parent)


def _sync(target: IO[bytes]) -> None:
    target.flush()
    os.fsync(target.fileno())
