"""`casemate oidc`: the OpenID provider by which people log in."""

from __future__ import annotations

from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.terminal import note, print_json, print_line
from casemate.operations.oidc import OidcState, RemoveOidc, SetOidc, ShowOidc

app = new_app("Let people log in by an OpenID provider.")


def _print(state: OidcState, *, json: bool) -> None:
    if json:
        print_json(state)
    elif state.provider is None:
        note("There is no OpenID provider.")
    else:
        print_line(f"issuer     {state.provider.issuer}")
        print_line(f"client id  {state.provider.client_id}")
        if state.provider.audiences:
            print_line(f"audiences  {' '.join(state.provider.audiences)}")


@command(app, examples="$ casemate oidc show")
def show(json: JsonOption = False) -> None:
    """Show the OpenID provider that the node trusts."""
    with connect() as client:
        _print(client.call(ShowOidc()), json=json)


@command(app, examples="$ casemate oidc set https://id.example.org --client-id casemate")
def set(
    issuer: Annotated[
        str, typer.Argument(metavar="ISSUER", help="Address of the provider, as it spells it.")
    ],
    client_id: Annotated[
        str, typer.Option("--client-id", metavar="ID", help="The client registered there.")
    ],
    audience: Annotated[
        list[str] | None,
        typer.Option(
            "--audience",
            metavar="NAME",
            help="Further audience that an ID token may name. Can be given several times.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Trust an OpenID provider, which must answer.

    The client there must be a public, native one: authorization code with PKCE, redirects to
    http://127.0.0.1 on any port and the path /callback. People are added one by one:
    `casemate users add NAME --oidc-subject SUB`.
    """
    wanted = SetOidc(issuer=issuer, client_id=client_id, audiences=tuple(audience or ()))
    with connect() as client:
        _print(client.call(wanted), json=json)


@command(app, examples="$ casemate oidc rm")
def rm(yes: YesOption = False, json: JsonOption = False) -> None:
    """Trust no OpenID provider. Open sessions go on until they end."""
    with connect() as client:
        confirm(f"Let nobody log in to {client.url} by OIDC any more?", yes=yes)
        state = client.call(RemoveOidc())
    _print(state, json=json)
