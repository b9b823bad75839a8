"""Operations on the OpenID provider that the node trusts."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from casemate.model.oidc import OidcSettings
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Operation
from casemate.operations.given import Given
from casemate.operations.login import MAX_BODY


class OidcState(msgspec.Struct, frozen=True, kw_only=True):
    """The OpenID provider that the node trusts, if any."""

    provider: OidcSettings | None = None


class ShowOidc(Operation[OidcState], frozen=True, kw_only=True):
    """Show the OpenID provider."""

    declared = Declaration(
        http="GET /oidc", tag="oidc", action=Action.ACCOUNT_READ, max_body=MAX_BODY
    )


class SetOidc(Operation[OidcState], frozen=True, kw_only=True):
    """Trust an OpenID provider. It must be reachable now. Sessions opened by another end."""

    declared = Declaration(
        http="PUT /oidc",
        tag="oidc",
        action=Action.ACCOUNT_WRITE,
        problems=(409, 413, 415, 422, 503),
        max_body=MAX_BODY,
    )
    issuer: Annotated[
        str,
        Meta(
            description="Exactly as the provider spells it, for `iss` is compared character by "
            "character.",
            examples=["https://id.example.org"],
        ),
        Given("Address of the provider, as it spells it."),
    ]
    client_id: Annotated[
        str,
        Meta(description="The public, native client registered there."),
        Given(flags="--client-id", metavar="ID"),
    ]
    audiences: Annotated[
        tuple[str, ...],
        Meta(description="Audiences that an ID token may name beside the client id."),
        Given(
            "Further audience that an ID token may name. Can be given several times.",
            "--audience",
            metavar="NAME",
        ),
    ] = ()


class RemoveOidc(Operation[OidcState], frozen=True, kw_only=True):
    """Stop trusting the OpenID provider. Sessions that it has opened end."""

    declared = Declaration(
        http="DELETE /oidc",
        tag="oidc",
        action=Action.ACCOUNT_WRITE,
        problems=(409,),
        max_body=MAX_BODY,
    )
