"""`casemate users`: the people of a node."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from casemate.cli.authority import naming_option
from casemate.cli.client import connect
from casemate.cli.errors import UsageError
from casemate.cli.names import user_name
from casemate.cli.operation_command import Call, answered, asked
from casemate.cli.options import JsonOption, new_app
from casemate.cli.terminal import YELLOW, note, print_json, print_line, print_table
from casemate.cli.text import moment
from casemate.operations.users import (
    AddUser,
    ListUsers,
    RemoveUser,
    ResetUser,
    SetUserRoles,
    SetUserState,
    ShowUser,
    UserChanged,
    Users,
    UserView,
)

app = new_app("List, add and remove people and their roles.")


def _state(user: UserView) -> str:
    if user.disabled_at is not None:
        return "disabled"
    if user.enrolment_expires_at is not None:
        return f"code until {moment(user.enrolment_expires_at)}"
    return "active" if user.enrolled else "cannot log in"


@answered(app, ListUsers, examples="$ casemate users ls")
def ls(found: Users) -> None:
    """List the people and their roles."""
    print_table(
        ("name", "roles", "state", "comes by", "added"),
        [
            (
                user.name,
                " ".join(user.roles),
                _state(user),
                user.oidc_issuer or "password",
                moment(user.created_at),
            )
            for user in found.users
        ],
        empty="There are no people yet: `casemate users add NAME --role ROLE`.",
        below=("added",),
    )


@answered(
    app,
    AddUser,
    read={"name": user_name},
    examples="""\
$ casemate users add ada --role owner
$ casemate users add bob --role developer@shop --role invoker@billing/invoice
$ casemate users add eve --role auditor --oidc-subject 248289761001
""",
)
def add(changed: UserChanged, call: Call) -> None:
    """Add a person and print a one-time enrolment code.

    The code is shown only this once and valid for a day. You cannot give roles that you do not
    have.
    """
    _print(changed, call, "is added")


@asked(
    app,
    SetUserRoles,
    examples="$ casemate users roles bob --role developer@shop --role auditor",
)
def roles(
    wanted: SetUserRoles,
    *,
    none: Annotated[bool, typer.Option("--none", help="Take all roles.")] = False,
    json: JsonOption = False,
) -> None:
    """Show a person's roles, or replace them at once."""
    if wanted.roles and none:
        raise UsageError(
            "--none takes all roles, and --role gives one.", next_step="Give one of the two."
        )
    with connect() as client:
        if wanted.roles or none:
            user = client.call(wanted).user
        else:
            user = client.call(ShowUser(name=wanted.name))
    if json:
        print_json(user)
        return
    for binding in user.roles:
        print_line(binding)
    if not user.roles:
        note(f"{user.name} has no role.")


@answered(
    app,
    ResetUser,
    examples="$ casemate users reset bob",
    confirm="Reset {it.name}, who has to enrol again?",
)
def reset(changed: UserChanged, call: Call) -> None:
    """Remove a person's password, authenticator and sessions, and print a new one-time code."""
    _print(changed, call, "is reset and logged out everywhere")


@answered(app, SetUserState, fixed={"disabled": True}, examples="$ casemate users disable bob")
def disable(changed: UserChanged, call: Call) -> None:
    """Lock a person out at once; open sessions end."""
    _print(changed, call, "is disabled")


@answered(app, SetUserState, fixed={"disabled": False}, examples="$ casemate users enable bob")
def enable(changed: UserChanged, call: Call) -> None:
    """Let a disabled person log in again."""
    _print(changed, call, "is enabled")


@answered(
    app,
    RemoveUser,
    examples="$ casemate users rm bob",
    confirm="Remove {it.name} from {call.url}?",
)
def rm(changed: UserChanged, call: Call) -> None:
    """Remove a person with all roles and sessions."""
    _print(changed, call, "is removed")


def _print(changed: UserChanged, call: Call, done: str) -> None:
    """Print a change: the code alone goes to standard output."""
    note(f"{call.operation.name} {done}.")
    if changed.code is not None:
        print_line(changed.code)
        if sys.stdout.isatty():
            note("Give it to that person now: it is shown once and valid for a day.", YELLOW)
        trusted = naming_option(call.client.credentials.ca)
        note(f"To enrol: `casemate login {call.url} --user {changed.user.name} --enrol{trusted}`.")
    if changed.tokens_left:
        note(
            "Service tokens that this person made are still valid: "
            f"{', '.join(changed.tokens_left)}. `casemate tokens revoke ID` ends one.",
            YELLOW,
        )
