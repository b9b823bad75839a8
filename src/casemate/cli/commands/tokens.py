"""`casemate tokens`: service tokens, for programs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.commands.users import RoleOption
from casemate.cli.names import bindings
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.terminal import YELLOW, note, print_json, print_line, print_table
from casemate.cli.text import moment
from casemate.operations.tokens import AddToken, ListTokens, RevokeToken, TokenView

app = new_app("List, make and revoke service tokens.")


def _end(token: TokenView) -> str:
    if token.revoked_at is not None:
        return f"revoked {moment(token.revoked_at)}"
    return moment(token.expires_at) if token.expires_at is not None else "never"


@command(app, examples="$ casemate tokens ls\n$ casemate tokens ls --sessions")
def ls(
    sessions: Annotated[bool, typer.Option("--sessions", help="Sessions of people too.")] = False,
    json: JsonOption = False,
) -> None:
    """List service tokens: your own, or all if you may see accounts.

    Their text is stored nowhere and never shown.
    """
    with connect() as client:
        found = client.call(ListTokens(sessions=sessions))
    if json:
        print_json(found)
        return
    print_table(
        ("id", "name", "roles", "made by", "last used", "ends"),
        [
            (
                token.id,
                token.name if token.user is None else f"session of {token.user}",
                " ".join(token.roles),
                token.created_by,
                moment(token.last_used_at) if token.last_used_at is not None else "never",
                _end(token),
            )
            for token in found.tokens
        ],
        below=("roles", "made by"),
        empty="There are no tokens.",
    )


@command(
    app,
    examples="""\
$ casemate tokens add webshop --role invoker@shop
$ casemate tokens add ci --role developer@shop --days 30 > token.txt
""",
)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you will know it by.")],
    role: RoleOption = None,
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, max=365, help="Days until it expires; 90 without it."),
    ] = None,
    no_expiry: Annotated[
        bool, typer.Option("--no-expiry", help="Let it never expire; for owners, and recorded.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make a service token and print its text, which is shown this once only.

    It can do no more than you can.
    """
    wanted = AddToken(name=name, roles=bindings(role or ()), days=days, no_expiry=no_expiry)
    with connect() as client:
        created = client.call(wanted)
    if json:
        print_json(created)
        return
    print_line(created.text)
    if sys.stdout.isatty():
        note("Keep it now: it is not stored and cannot be shown again.", YELLOW)
    note(f"The token {created.token.name} has the id {created.token.id}; {_ends(created.token)}.")


def _ends(token: TokenView) -> str:
    return "it does not expire" if token.expires_at is None else f"it expires {_end(token)}"


@command(app, examples="$ casemate tokens revoke 3f9a1b2c4d5e6f70")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The id, see `tokens ls`.")],
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Revoke a token or session at once and for good, with every token that was made with it."""
    with connect() as client:
        confirm(
            f"Revoke the token {token_id} of {client.url}, and all that were made with it?",
            yes=yes,
        )
        revoked = client.call(RevokeToken(id=token_id))
    if json:
        print_json(revoked)
    else:
        print_line(f"The token {revoked.name} ({revoked.id}) is revoked.")
        for token in revoked.line:
            print_line(f"So is {token.name} ({token.id}), which {token.created_by} had made.")
