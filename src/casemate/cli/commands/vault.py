"""`casemate vault`: the keys that everything stored is encrypted with."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.commands.secrets import vault_public_key
from casemate.cli.commands.serve import default_data_folder
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.operation_command import Call, answered, asked
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.terminal import (
    YELLOW,
    note,
    print_json,
    print_labelled,
    print_line,
    print_prose,
    progress,
    wrapped,
)
from casemate.cli.text import moment
from casemate.model.vault import VaultStatus as Status
from casemate.operations.declaration import BINARY
from casemate.operations.vault import RotatedKey, RotateKeys, RotateMasterKey, VaultStatus

if TYPE_CHECKING:
    from casemate.vault.state import Header

app = new_app("Look at the vault and rotate its keys.")
_LABEL = 17
"""Characters before what a line of the status tells."""


@answered(app, VaultStatus, examples="$ casemate vault status")
def status(found: Status, call: Call, *, json: JsonOption = False) -> None:
    """Show where the master key is, how old the keys are, and the vault's fingerprint."""
    fingerprint = hashlib.sha256(vault_public_key(call.client, None)).hexdigest()
    if json:
        from msgspec import to_builtins

        print_json({**to_builtins(found), "public_key_sha256": fingerprint})
        return
    oldest = found.oldest_data_key_at
    _labelled("master key", f"{found.master_key} (id {found.master_key_id})")
    _labelled("in use since", moment(found.master_rotated_at))
    _labelled("oldest data key", moment(oldest) if oldest is not None else "none yet")
    _labelled("projects", str(found.projects))
    _labelled("secrets", str(found.secrets))
    told, *below = wrapped(f"SHA-256 {fingerprint}", _LABEL)
    _labelled("public key", told)
    for line in below:  # whole, to be copied
        print_line(f"    {line}")
    _labelled("memory", "locked" if found.memory_locked else "not locked")
    if not found.memory_locked:
        note("Keys may reach swap: the host does not let the vault lock its memory.", YELLOW)
        note(
            "Next: start the node after `ulimit -l unlimited` (of systemd: "
            "LimitMEMLOCK=infinity), or encrypt the swap."
        )


def _labelled(label: str, text: str) -> None:
    print_labelled(label, text, _LABEL)


@asked(
    app,
    RotateKeys,
    name="rotate-keys",
    examples="""\
$ casemate vault rotate-keys
$ casemate vault rotate-keys --project shop
$ casemate vault rotate-keys --signing
""",
)
def rotate_keys(wanted: RotateKeys, *, json: JsonOption = False) -> None:
    """Make new data keys, for all projects or for one, and encrypt stored data again.

    The node goes on serving. With --signing a new key signs tokens from now on; tokens signed
    before stay valid until they expire, at most a day.
    """
    if wanted.key is RotatedKey.SIGNING and wanted.project is not None:
        raise UsageError(
            "--signing is for the whole node, --project for one project.",
            next_step="Give one of the two.",
        )
    with connect() as client, progress("Making keys, and encrypting anew what is stored ..."):
        # What is stored is encrypted anew before the answer, however much it is.
        rotated = client.call(wanted, seconds=3600.0)
    if json:
        print_json(rotated)
    elif rotated.kid is not None:
        print_line(f"Tokens are signed with key {rotated.kid} now.")
    else:
        names = ", ".join(name or "the node itself" for name in rotated.projects)
        print_line(f"New data keys: {names or 'none, since none was used yet'}.")


def _stored(folder: Path) -> tuple[bytes, Header]:
    """Return the vault's file and its head."""
    from casemate.vault.state import STATE_FILE, read_header

    path = folder / "vault" / STATE_FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CommandError(
            f"{path} cannot be read: {error.strerror}.",
            next_step="Run this on the node's host, as the user who starts the node; name its "
            "data folder with --data.",
        ) from error
    return data, read_header(data)


def _present(stored: bytes, header: Header, folder: Path, named: str | None) -> bytes:
    """Return the present key, which opens the vault's file.

    Nothing proves the head of that file before: what it names is neither run nor read. Without a
    source it is read where a node has it that was told of none. That a passphrase is asked for
    opens nothing.
    """
    from casemate.folder.folders import default_master_key
    from casemate.vault.errors import MasterKeySourceError, WrongMasterKeyError
    from casemate.vault.sources import KeySource, SourceKind, parse_source
    from casemate.vault.state import decode_state, unproven

    typed = SourceKind.PASSPHRASE.value
    unsaid = typed if header.source == typed else default_master_key(folder.absolute())
    try:
        key = KeySource(parse_source(named or unsaid)).read(header.parameters)
        decode_state(stored, key)
    except (MasterKeySourceError, WrongMasterKeyError) as error:
        if named:
            raise
        raise UsageError(
            f"The present master key is not in {unsaid}, where it is unless a node is started with "
            f"--master-key. {unproven(header)}",
            next_step="Say where you keep it: --from SOURCE",
        ) from error
    return key


@command(
    app,
    name="rotate-master",
    examples="""\
$ casemate vault rotate-master --to file:/etc/casemate/master-2.key
$ casemate vault rotate-master --to 'command:/usr/local/bin/kms-plugin --key casemate'
""",
)
def rotate_master(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="SOURCE",
            help="file:/PATH (made if it is not there), env:NAME, passphrase, "
            "passphrase-file:/PATH, fd:NUMBER, transit:/PATH, kms:/PATH or command:/PROGRAM ARGS.",
        ),
    ],
    present: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SOURCE",
            help="Where the present key is, written as for --master-key of `serve`. Default: the "
            "file that a node uses by default, or the passphrase.",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="The node's data folder, as for `serve`.")
    ] = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Change the master key while the node runs. To be run on the node's host.

    The present key is needed as proof. Both keys are read here, checked against the vault's file,
    and sent to the vault sealed; the gateway can read neither. From then on the old key opens only
    older backups.
    """
    from casemate.upgrade.asking import tell_source
    from casemate.vault.new_master import NewMaster, seal_master
    from casemate.vault.sources import KeySource, SourceKind, parse_source

    folder = data or default_data_folder()
    stored, header = _stored(folder)
    new = parse_source(to)
    key = _present(stored, header, folder, present)
    with connect() as client:
        confirm(f"Change the master key of {client.url} to {new.text}?", yes=yes)
        new_key, parameters = KeySource(new, forbidden=folder).create()
        change = NewMaster(new.text, new_key, parameters, key)
        sealed = seal_master(header.public_key, header.vault, change)
        # Before it is changed: whenever the vault ends, the node opens it again.
        told = new.kind is SourceKind.FILE and tell_source(folder, new.text)
        changed = client.call(RotateMasterKey(), content=sealed, headers={"content-type": BINARY})
    if json:
        print_json(changed)
        return
    print_prose(f"The master key is that of {changed.master_key} now (id {changed.master_key_id}).")
    note(f"Start the node with --master-key {shlex.quote(new.text)} from now on.", YELLOW)
    if not told:
        note(
            "Should its vault end before that, it is not opened again: the running node was told "
            "of no file that has the new key.",
            YELLOW,
        )
    note("Keep the old key for as long as you keep backups from before.")
