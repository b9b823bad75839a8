"""`casemate keys`: who may do what on the node."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from casemate.cli.client import connect, path_of
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.terminal import YELLOW, note, print_json, print_line, print_table
from casemate.cli.text import moment
from casemate.model.deployment import KeyRole

app = new_app("List, make and revoke the keys of a node.")


class _Key(msgspec.Struct):
    id: str
    name: str
    role: KeyRole
    created_at: float
    revoked_at: float | None = None


class _Keys(msgspec.Struct):
    keys: tuple[_Key, ...]


class _Created(msgspec.Struct):
    key: _Key
    text: str


@command(app, examples="$ casemate keys ls")
def ls(json: JsonOption = False) -> None:
    """List the keys, revoked ones included. Their text is stored nowhere and never shown."""
    with connect() as client:
        found = client.get(path_of("keys"), _Keys)
    if json:
        print_json(found)
        return
    print_table(
        ("id", "name", "role", "made", "revoked"),
        [
            (
                key.id,
                key.name,
                key.role.value,
                moment(key.created_at),
                moment(key.revoked_at) if key.revoked_at is not None else "",
            )
            for key in found.keys
        ],
        empty="There are no keys.",
    )


@command(
    app,
    examples="""\
$ casemate keys add webshop
$ casemate keys add ci --role admin > key.txt
""",
)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you will know it by.")],
    role: Annotated[
        KeyRole, typer.Option("--role", help="`invoke`: call functions. `admin`: everything.")
    ] = KeyRole.INVOKE,
    json: JsonOption = False,
) -> None:
    """Make a key and print its text, which is shown this once only."""
    with connect() as client:
        created = client.send("POST", path_of("keys"), _Created, {"name": name, "role": role})
    if json:
        print_json(created)
        return
    print_line(created.text)
    if sys.stdout.isatty():
        note("Keep it now: it is not stored and cannot be shown again.", YELLOW)
    note(f"The key {created.key.name} ({created.key.role.value}) has the id {created.key.id}.")


@command(app, examples="$ casemate keys rm 3f9a")
def rm(
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, see `keys ls`.")],
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Revoke a key at once and for good."""
    with connect() as client:
        confirm(f"Revoke the key {key} of {client.url}?", yes=yes)
        revoked = client.decode(client.ask("DELETE", path_of("keys", key)), _Key)
    if json:
        print_json(revoked)
    else:
        print_line(f"The key {revoked.name} ({revoked.id}) is revoked.")
