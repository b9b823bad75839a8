"""`casemate login`: remember a node and a session or token for it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from casemate.cli import oidc_login, password_login, workload_login
from casemate.cli.authority import fetch_ca, naming_option
from casemate.cli.client import NodeClient
from casemate.cli.credentials import (
    DEFAULT_URL,
    Credentials,
    load,
    parse_key,
    parse_url,
    read_ca,
    require_safe_address,
    store,
)
from casemate.cli.errors import (
    CredentialsError,
    DamagedCredentialsError,
    DeniedError,
    UsageError,
)
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.prompts import read_secret
from casemate.cli.terminal import YELLOW, note, print_json, print_prose
from casemate.cli.text import moment
from casemate.operations.login import Whoami

app = new_app()

_AllowHttp = Annotated[
    bool,
    typer.Option(
        "--allow-http",
        help="Send your credentials to another machine without encryption. Whoever is in between "
        "can read them.",
    ),
]
_Fingerprint = Annotated[
    str | None,
    typer.Option(
        "--ca-fingerprint",
        metavar="SHA256",
        help="Fetch the node's own certificate authority, check that it has this fingerprint, and "
        "trust only it for this node.",
    ),
]


@command(
    app,
    examples="""\
A person, with password and authenticator
$ casemate login https://node.example.org --user ada
The first time, with the code that an owner gave you
$ casemate login https://node.example.org --user ada --enrol
To a node with its own certificate authority; `casemate serve` shows the fingerprint
$ casemate login https://node.example.org:8787 --user ada --ca-fingerprint 5f1c...
By the OpenID provider of the node, in the browser
$ casemate login https://node.example.org --oidc
A job of a CI system that the node trusts; nothing is stored there
$ casemate login https://node.example.org --workload shop-main
A service token, which is not shown while you type
$ casemate login https://node.example.org < token.txt
""",
)
def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the node.")] = DEFAULT_URL,
    user: Annotated[
        str | None,
        typer.Option("--user", "-u", metavar="NAME", help="Log in with a password and a code."),
    ] = None,
    oidc: Annotated[
        bool, typer.Option("--oidc", help="Log in at the node's OpenID provider.")
    ] = False,
    by_token: Annotated[
        bool, typer.Option("--token", help="Log in with a service token (the default).")
    ] = False,
    workload: Annotated[
        str | None,
        typer.Option(
            "--workload", metavar="NAME", help="Log in with the ID token of this CI system's job."
        ),
    ] = None,
    audience: Annotated[
        str | None,
        typer.Option(
            "--audience", help="With --workload: the audience of the ID token. Default: the URL."
        ),
    ] = None,
    enrol: Annotated[
        bool,
        typer.Option(
            "--enrol", help="With --user: choose a password and set up the authenticator first."
        ),
    ] = False,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="With --oidc: open the browser.")
    ] = True,
    allow_http: _AllowHttp = False,
    ca_fingerprint: _Fingerprint = None,
    json: JsonOption = False,
) -> None:
    """Log in to a node.

    Passwords, codes and tokens come from the terminal or, line by line, from standard input; a
    token may also come from CASEMATE_KEY. They never come from the command line, which every
    process can read. Credentials are tried before they are stored. Only you can read them, and they
    are sent to this address only.
    """
    ways = (user is not None, oidc, workload is not None, by_token)
    if sum(ways) > 1 or (enrol and user is None) or (audience is not None and workload is None):
        raise UsageError(
            "These options do not go together.",
            next_step="Give one of --user NAME, --oidc, --workload NAME and --token; --enrol goes "
            "with --user, --audience with --workload.",
        )
    address = parse_url(url)
    require_safe_address(address, allow_http=allow_http)
    base = Credentials(address, None, allow_http, _authority(address, ca_fingerprint))
    if user is not None and enrol:
        _enrol(base, user)
        return
    with NodeClient(base) as client:
        if user is not None:
            text = password_login.login(client, user).text
        elif oidc:
            text = oidc_login.login(client, browser=browser).text
        elif workload is not None:
            text = workload_login.login(client, workload, audience or address).text
        else:
            text = os.environ.get("CASEMATE_KEY") or read_secret(f"Token for {address}: ")
    _keep(replace(base, key=parse_key(text)), json=json)


def _enrol(base: Credentials, user: str) -> None:
    with NodeClient(base) as client:
        password_login.enrol(client, user)
    note(f"{user} is enrolled. Log in with the next code of the authenticator:")
    note(f"`casemate login {base.url} --user {user}{naming_option(base.ca)}`.")


def _authority(address: str, fingerprint: str | None) -> str | None:
    """Return the certificate authority to trust for an address, None for those of the system."""
    if fingerprint is not None:
        return fetch_ca(address, fingerprint)
    if path := os.environ.get("CASEMATE_CA"):
        return read_ca(Path(path))
    try:
        stored = load()
    except DamagedCredentialsError:
        return None  # to log in is what mends that
    return stored.ca if stored is not None and stored.url == address else None


def _keep(credentials: Credentials, *, json: bool) -> None:
    """Try credentials, store them, and say who one is now."""
    with NodeClient(credentials) as client:
        asked = Whoami()
        answer = client.request(asked)
        if answer.status_code == 401:
            raise DeniedError(
                f"{credentials.url} does not accept the token; nothing was stored.",
                next_step="Ask an owner for another: `casemate tokens add NAME --role ROLE`.",
            )
        me = client.answer(asked, answer)
    replaced = _replaced(credentials)
    path = store(credentials)
    if json:
        print_json(
            {
                "node": credentials.url,
                "principal": me.principal,
                "roles": me.roles,
                "expires_at": me.expires_at,
                "stored_in": str(path),
            }
        )
        return
    print_prose(f"{credentials.url} is the node from now on; stored in {path}.")
    if replaced is not None:
        note(f"What was stored for {replaced} is not kept here any more: one node is.", YELLOW)
    until = f", until {moment(me.expires_at)}" if me.expires_at is not None else ""
    note(f"You are {me.principal} with {', '.join(me.roles) or 'no role'}{until}.")


def _replaced(credentials: Credentials) -> str | None:
    """Return the other node that was logged in to, whose credentials give way; None for none."""
    try:
        before = load()
    except CredentialsError:
        return None  # they are of no use
    return before.url if before is not None and before.url != credentials.url else None
