"""`casemate oidc`: the OpenID provider by which people log in."""

from __future__ import annotations

from casemate.cli.operation_command import answered
from casemate.cli.options import new_app
from casemate.cli.terminal import note, print_line
from casemate.operations.oidc import OidcState, RemoveOidc, SetOidc, ShowOidc

app = new_app("Let people log in through an OpenID provider.")


@answered(app, ShowOidc, examples="$ casemate oidc show")
def show(state: OidcState) -> None:
    """Show the OpenID provider that the node trusts."""
    if state.provider is None:
        note("There is no OpenID provider.")
        return
    print_line(f"issuer     {state.provider.issuer}")
    print_line(f"client id  {state.provider.client_id}")
    if state.provider.audiences:
        print_line(f"audiences  {' '.join(state.provider.audiences)}")


@answered(app, SetOidc, examples="$ casemate oidc set https://id.example.org --client-id casemate")
def set(state: OidcState) -> None:
    """Trust an OpenID provider. It must answer now.

    The client there must be a public, native one: authorization code with PKCE, redirects to
    http://127.0.0.1 on any port and the path /callback. People are added one by one: `casemate
    users add NAME --oidc-subject SUB`.
    """
    show(state)


@answered(
    app,
    RemoveOidc,
    examples="$ casemate oidc rm",
    confirm="Stop all logins to {call.url} by OIDC?",
)
def rm(state: OidcState) -> None:
    """Stop trusting the OpenID provider. Open sessions go on until they end."""
    show(state)
