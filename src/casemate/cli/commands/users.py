"""`casemate users`: the people of a node."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.errors import UsageError
from casemate.cli.names import bindings, user_name
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
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
    UserView,
)

app = new_app("List, add and remove people and their roles.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The person, see `users ls`.")]
RoleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        metavar="BINDING",
        help="ROLE[@PROJECT[/FUNCTION]], such as developer@shop. Can be given several times.",
    ),
]


def _state(user: UserView) -> str:
    if user.disabled_at is not None:
        return "disabled"
    if user.enrolment_expires_at is not None:
        return f"code until {moment(user.enrolment_expires_at)}"
    return "active" if user.enrolled else "cannot log in"


@command(app, examples="$ casemate users ls")
def ls(json: JsonOption = False) -> None:
    """List the people and their roles."""
    with connect() as client:
        found = client.call(ListUsers())
    if json:
        print_json(found)
        return
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
    )


@command(
    app,
    examples="""\
$ casemate users add ada --role owner
$ casemate users add bob --role developer@shop --role invoker@billing/invoice
$ casemate users add eve --role auditor --oidc-subject 248289761001
""",
)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the person logs in as.")],
    role: RoleOption = None,
    oidc_subject: Annotated[
        str | None,
        typer.Option(
            "--oidc-subject",
            metavar="SUB",
            help="The person comes by the OpenID provider, which calls it this (claim `sub`).",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Add a person and print the one-time code to enrol with.

    The code is shown this once and valid for a day. You cannot give roles that you do not have.
    """
    added = AddUser(name=user_name(name), roles=bindings(role or ()), oidc_subject=oidc_subject)
    with connect() as client:
        changed = client.call(added)
        url = client.url
    _print(changed, json=json, done=f"{name} is added.", url=url)


@command(app, examples="$ casemate users roles bob --role developer@shop --role auditor")
def roles(
    name: NameArgument,
    role: RoleOption = None,
    none: Annotated[bool, typer.Option("--none", help="Take all roles.")] = False,
    json: JsonOption = False,
) -> None:
    """Show a person's roles, or replace them by those given, at once."""
    if role and none:
        raise UsageError(
            "--none takes all roles, and --role gives one.", next_step="Give one of the two."
        )
    wanted = bindings(role or ())
    with connect() as client:
        if role or none:
            user = client.call(SetUserRoles(name=name, roles=wanted)).user
        else:
            user = client.call(ShowUser(name=name))
    if json:
        print_json(user)
        return
    for binding in user.roles:
        print_line(binding)
    if not user.roles:
        note(f"{user.name} has no role.")


@command(app, examples="$ casemate users reset bob")
def reset(name: NameArgument, yes: YesOption = False, json: JsonOption = False) -> None:
    """Take a person's password, authenticator and sessions, and print a new one-time code."""
    with connect() as client:
        confirm(f"Reset {name}, who has to enrol again?", yes=yes)
        changed = client.call(ResetUser(name=name))
        url = client.url
    _print(changed, json=json, done=f"{name} is reset and logged out everywhere.", url=url)


@command(app, examples="$ casemate users disable bob")
def disable(name: NameArgument, json: JsonOption = False) -> None:
    """Keep a person out at once; its sessions end."""
    _set_state(name, disabled=True, json=json)


@command(app, examples="$ casemate users enable bob")
def enable(name: NameArgument, json: JsonOption = False) -> None:
    """Let a disabled person log in again."""
    _set_state(name, disabled=False, json=json)


def _set_state(name: str, *, disabled: bool, json: bool) -> None:
    with connect() as client:
        changed = client.call(SetUserState(name=name, disabled=disabled))
        url = client.url
    _print(changed, json=json, done=f"{name} is {'disabled' if disabled else 'enabled'}.", url=url)


@command(app, examples="$ casemate users rm bob")
def rm(name: NameArgument, yes: YesOption = False, json: JsonOption = False) -> None:
    """Remove a person with its roles and sessions."""
    with connect() as client:
        confirm(f"Remove {name} from {client.url}?", yes=yes)
        changed = client.call(RemoveUser(name=name))
        url = client.url
    _print(changed, json=json, done=f"{name} is removed.", url=url)


def _print(changed: UserChanged, *, json: bool, done: str, url: str) -> None:
    """Print a change: the code alone goes to standard output."""
    if json:
        print_json(changed)
        return
    note(done)
    if changed.code is not None:
        print_line(changed.code)
        if sys.stdout.isatty():
            note("Give it to that person now: it is shown once and valid for a day.", YELLOW)
        note(f"To enrol: `casemate login {url} --user {changed.user.name} --enrol`.")
    if changed.tokens_left:
        note(
            "Service tokens that this person made are still valid: "
            f"{', '.join(changed.tokens_left)}. `casemate tokens revoke ID` ends one.",
            YELLOW,
        )
