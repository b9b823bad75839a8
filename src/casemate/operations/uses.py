"""What a running function asks for beside data: secrets, other functions, a token of its own."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.principal import Action, ResourceKind
from casemate.operations.declaration import (
    Decided,
    Declaration,
    Effect,
    Operation,
    on,
    on_function,
)
from casemate.operations.fields import Name

HIGHEST_VERSION = (1 << 31) - 1
"""Of a secret, as the vault counts them."""


class SignedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A signed token, and when it expires (Unix time)."""

    token: str
    expires_at: float


class ReadSecret(Operation[int], frozen=True, kw_only=True):
    """Read a secret's value, which comes by a descriptor; the answer is its version."""

    declared = Declaration(
        effect=Effect.READ,
        action=Action.SECRET_READ,
        on=on(ResourceKind.SECRET, "name"),
        capability="secret.get",
    )
    project: Name
    name: Name
    version: Annotated[int, msgspec.Meta(ge=1, le=HIGHEST_VERSION)] | None = None


class InvokeFunction(Operation[bytes], frozen=True, kw_only=True):
    """Invoke another function of the project; the body is the event's JSON."""

    declared = Declaration(
        action=Action.FUNCTION_INVOKE,
        on=on_function,
        capability="function.invoke",
        content="content",
    )
    project: Name
    function: Name
    content: bytes
    allow: (
        Annotated[
            tuple[Annotated[str, msgspec.Meta(max_length=1300)], ...], msgspec.Meta(max_length=64)
        ]
        | None
    ) = None
    wait: bool = True
    """False has the event kept, and the function invoked with it afterwards."""


class IdentityToken(Operation[SignedToken], frozen=True, kw_only=True):
    """Get a signed token that says which function this is. Needs no grant."""

    declared = Declaration(effect=Effect.READ, decided=Decided.SELF, capability="identity.token")
    project: Name
    audience: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
