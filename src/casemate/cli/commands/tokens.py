"""`casemate tokens`: service tokens, for programs."""

from __future__ import annotations

import sys

from casemate.cli.operation_command import answered
from casemate.cli.options import new_app
from casemate.cli.terminal import YELLOW, note, print_line, print_prose, print_table
from casemate.cli.text import moment
from casemate.operations.tokens import (
    AddToken,
    CreatedToken,
    ListTokens,
    RevokedToken,
    RevokeToken,
    Tokens,
    TokenView,
)

app = new_app("List, make and revoke service tokens.")


def _end(token: TokenView) -> str:
    if token.revoked_at is not None:
        return f"revoked {moment(token.revoked_at)}"
    return moment(token.expires_at) if token.expires_at is not None else "never"


@answered(app, ListTokens, examples="$ casemate tokens ls\n$ casemate tokens ls --sessions")
def ls(found: Tokens) -> None:
    """List service tokens: your own, or all if you may see accounts.

    Their text is stored nowhere and never shown.
    """
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
        empty="There are no tokens that you may see.",
    )


@answered(
    app,
    AddToken,
    examples="""\
$ casemate tokens add webshop --role invoker@shop
$ casemate tokens add ci --role developer@shop --days 30 > token.txt
""",
)
def add(created: CreatedToken) -> None:
    """Make a service token and print its text, which is shown only this once.

    It can do no more than you can.
    """
    print_line(created.text)
    if sys.stdout.isatty():
        note("Keep it now: it is not stored and cannot be shown again.", YELLOW)
    note(f"The token {created.token.name} has the id {created.token.id}; {_ends(created.token)}.")


def _ends(token: TokenView) -> str:
    return "it does not expire" if token.expires_at is None else f"it expires {_end(token)}"


@answered(
    app,
    RevokeToken,
    examples="$ casemate tokens revoke 3f9a1b2c4d5e6f70",
    confirm="Revoke the token {it.id} of {call.url}, and all that were made with it?",
)
def revoke(revoked: RevokedToken) -> None:
    """Revoke a token or session at once and for good, with every token that was made with it.

    Enrolment codes of people who were added or reset with it stop working; people who have already
    enrolled are named.
    """
    print_prose(f"The token {revoked.name} ({revoked.id}) is revoked.")
    for token in revoked.line:
        print_prose(f"So is {token.name} ({token.id}), which {token.created_by} had made.")
    for name in revoked.codes:
        print_prose(
            f"The code that {name} was to enrol with has ended: casemate users reset {name}"
        )
    for name in revoked.people:
        print_prose(
            f"{name} was added or reset with it and can log in; if that was not meant: "
            f"`casemate users disable {name}`"
        )
