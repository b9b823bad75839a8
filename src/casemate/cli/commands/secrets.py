"""`casemate secrets`: set, list and remove the secrets of projects."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import sys
from typing import Annotated

import typer

from casemate.cli.client import NodeClient, connect
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.file_input import content_of
from casemate.cli.operation_command import Call, answered
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.resources import project_or_here, resolve_resource
from casemate.cli.terminal import note, print_json, print_line, print_table
from casemate.cli.text import moment
from casemate.cli.ungranted_secrets import ungranted_notes
from casemate.model.rotation import Rotation, SecretRotation
from casemate.operations.declaration import BINARY
from casemate.operations.rotations import (
    ListRotations,
    PutRotation,
    RemoveRotation,
    RevertSecret,
    RotateSecret,
    RotationsFound,
)
from casemate.operations.secrets import (
    DeleteSecret,
    ListProjectSecrets,
    ListSecrets,
    PutSecret,
)
from casemate.operations.vault import VaultKey

app = new_app("Set, list and remove secrets. Values go in, and only functions get them.")

VaultKeyOption = Annotated[
    str | None,
    typer.Option(
        "--vault-key",
        metavar="SHA256",
        help="Refuse to seal to any other key than this; see `casemate vault status`.",
    ),
]
SecretArgument = Annotated[
    str,
    typer.Argument(
        metavar="PROJECT/SECRET",
        help="The secret, such as shop/stripe-key, or just its name inside a project's folder.",
    ),
]


def _read_value(*, exact: bool) -> bytes:
    """Return the value: typed twice unseen, or all of standard input."""
    from casemate.model.vault import MAX_VALUE_BYTES

    if not sys.stdin.isatty():
        value = content_of(None, "standard input", MAX_VALUE_BYTES + len(b"\r\n"))
        return value if exact else value.removesuffix(b"\n").removesuffix(b"\r")
    typed = getpass.getpass("Value: ")
    if typed != getpass.getpass("The same again: "):
        raise UsageError(
            "The two values are not the same.", next_step="Run it again; nothing was changed."
        )
    return typed.encode()


def vault_public_key(client: NodeClient, expected: str | None) -> bytes:
    """Return the key to seal to. With `expected`, its SHA-256 in hexadecimal must be that."""
    key = client.call(VaultKey()).public_key
    found = hashlib.sha256(key).hexdigest()
    if expected is not None and not hmac.compare_digest(
        found.encode(), expected.lower().encode("utf-8", "replace")
    ):
        raise CommandError(
            f"The vault's public key has the fingerprint {found}, expected {expected!r}.",
            next_step="Compare with `casemate vault status` on the node's host. If that shows the "
            "one that was expected, somebody is between you and the vault.",
        )
    return key


@command(
    app,
    name="set",
    examples="""\
$ casemate secrets set shop/stripe-key
$ casemate secrets set shop/tls-key --exact < key.pem
""",
)
def set_value(
    secret: SecretArgument,
    exact: Annotated[
        bool, typer.Option("--exact", help="Keep the line end at the end of standard input.")
    ] = False,
    vault_key: VaultKeyOption = None,
    json: JsonOption = False,
) -> None:
    """Store a new version of a secret.

    The value is typed without being shown, or read from standard input; it is never an argument. It
    is sealed here to the vault's key, so the node's gateway passes it on without being able to read
    it. A first version that no function is granted, as far as you may see, is told with what to do.
    """
    from casemate.vault.sealed import check_value, seal_value

    project, name = resolve_resource("secret", secret)
    value = _read_value(exact=exact)
    check_value(value)
    with connect() as client:
        sealed = seal_value(vault_public_key(client, vault_key), project, name, value)
        kept = client.call(
            PutSecret(project=project, name=name), content=sealed, headers={"content-type": BINARY}
        )
        notes = ungranted_notes(client, project, [name] if kept.version == 1 else [])
    if json:
        print_json(kept)
    else:
        print_line(f"{project}/{name} has version {kept.version}.")
    for each in notes:
        note(each)


@command(
    app,
    name="import",
    examples="""\
$ casemate secrets import shop .env
$ sops decrypt prod.env | casemate secrets import shop -
""",
)
def import_values(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Whose secrets they are.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="The env file; `-` is stdin.")],
    vault_key: VaultKeyOption = None,
    json: JsonOption = False,
) -> None:
    """Set the secrets of an env file, all of them or none.

    API_KEY=... becomes the secret `api-key`. Lines are NAME=value; put a value with spaces or other
    marks in '...'. What programs read in different ways is refused, by its line. Values are sealed
    here, as with `secrets set`, and shown nowhere.
    """
    from casemate.cli.secret_import import put_all, read_env_file, secrets_of
    from casemate.vault.errors import VaultInputError
    from casemate.vault.sealed import seal_value

    project_or_here(project)
    values = secrets_of(read_env_file(file))
    with connect() as client:
        key = vault_public_key(client, vault_key)
        sealed = {}
        for name, value in values.items():
            try:
                sealed[name] = seal_value(key, project, name, value)
            except VaultInputError as error:
                raise CommandError(
                    f"{name}: {error.message} Nothing was set.", next_step=error.next_step
                ) from error
        versions = put_all(client, project, sealed)
        kept = dict(zip(sealed, versions, strict=True))
        first = [name for name, version in kept.items() if version.version == 1]
        notes = ungranted_notes(client, project, first)
    if json:
        print_json({"versions": kept})
    else:
        for name, version in kept.items():
            print_line(f"{project}/{name} has version {version.version}.")
    for each in notes:
        note(each)


@command(app, examples="$ casemate secrets ls\n$ casemate secrets ls shop")
def ls(
    project: Annotated[
        str | None, typer.Argument(metavar="PROJECT", help="Only those of this project.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the secrets that you may see. Values are never shown."""
    listing = ListSecrets() if not project else ListProjectSecrets(project=project)
    with connect() as client:
        found = client.call(listing)
    if json:
        print_json(found)
        return
    print_table(
        ("secret", "version", "kept", "set", "by"),
        [
            (
                f"{info.project}/{info.name}",
                str(used.version),
                str(len(info.versions)),
                moment(used.created_at),
                used.created_by,
            )
            for info in found.secrets
            if (used := info.in_use) is not None
        ],
        empty="There are no secrets that you may see.",
        below=("by",),
    )


@command(app, examples="$ casemate secrets rm shop/stripe-key")
def rm(secret: SecretArgument, yes: YesOption = False, json: JsonOption = False) -> None:
    """Remove a secret with all its versions, for good."""
    project, name = resolve_resource("secret", secret)
    with connect() as client:
        confirm(f"Remove the secret {project}/{name} from {client.url}?", yes=yes)
        client.call(DeleteSecret(project=project, name=name))
    if json:
        print_json({"removed": f"{project}/{name}"})
    else:
        print_line(f"{project}/{name} is removed.")
        note("Backups from before still have it, encrypted.")


@answered(
    app,
    PutRotation,
    name="rotation",
    examples="""\
$ casemate secrets rotation shop/session-key --form hex --length 64 --overlap 1d
$ casemate secrets rotation shop/db-password --form password --length 32 --function rotate-db
""",
)
def rotation(found: Rotation, call: Call) -> None:
    """Say how a new value is made, and how long the former one stays valid.

    Without a function, no outside server has to know the value: for keys that the project itself
    signs with, or that senders are told by hand within the overlap. A function that is named is
    granted the secret and called with {"step": "set", "secret": NAME, "version": N, "former": M}.
    It reads context.secret(NAME, version=N), sets it where it is checked, tries it there, and
    answers {"set": true}.
    """
    by = f", set by {found.project}/{found.function}" if found.function else ""
    print_line(
        f"{found.project}/{found.name}: {found.value.form.value} of {found.value.length}{by}."
    )
    for each in ungranted_notes(call.client, found.project, [found.name]):
        note(each)
    note(f"Then: `casemate secrets rotate {found.project}/{found.name} --reason TEXT`")


@answered(
    app,
    RemoveRotation,
    name="no-rotation",
    examples="$ casemate secrets no-rotation shop/session-key",
)
def no_rotation(found: None, call: Call) -> None:
    """Stop making new values. The one in use stays."""
    print_line(f"{call.name} is rotated no more.")


@answered(app, ListRotations, name="rotations", examples="$ casemate secrets rotations shop")
def rotations(found: RotationsFound) -> None:
    """List how secrets of a project get new values."""
    print_table(
        ("secret", "form", "length", "overlap", "set by", "said by"),
        [
            (
                f"{one.project}/{one.name}",
                one.value.form.value,
                str(one.value.length),
                f"{one.overlap} s",
                one.function,
                one.by,
            )
            for one in found.rotations
        ],
        empty="No secret of the project is rotated.",
        below=("set by", "said by"),
    )


@answered(
    app,
    RotateSecret,
    examples="""\
$ casemate secrets rotate shop/db-password --reason 'it is a year old'
$ casemate secrets rotate shop/db-password --overlap 0s --reason 'it has leaked'
""",
)
def rotate(found: SecretRotation, call: Call) -> None:
    """Make a new value and put it in use. Nobody chooses or sees it."""
    print_line(f"{found.project}/{found.name} has version {found.version}.")
    first = [] if found.former else [found.name]
    for each in ungranted_notes(call.client, found.project, first):
        note(each)
    if found.until is not None:
        note(f"Version {found.former} is accepted until {moment(found.until)}; until then:")
        note(f"casemate secrets revert {found.project}/{found.name} --reason TEXT")


@answered(
    app,
    RevertSecret,
    examples="$ casemate secrets revert shop/db-password --reason 'the server does not take it'",
)
def revert(found: SecretRotation) -> None:
    """Put the value from before a rotation in use again, within its overlap."""
    print_line(
        f"{found.project}/{found.name} has version {found.version}, as before {found.former}."
    )
