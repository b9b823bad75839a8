"""Operations on the vault: how it is, the key to seal to, and the rotation of its keys."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from casemate.model.principal import Action
from casemate.model.vault import VaultStatus as Status
from casemate.operations.declaration import Decided, Declaration, Operation
from casemate.operations.fields import Name
from casemate.operations.given import Given


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """The public key to which values are sealed on their way in."""

    algorithm: str
    public_key: bytes
    """ML-KEM-768, then X25519: 1216 bytes, in base64."""


class RotatedKey(StrEnum):
    """What can be rotated here; the master key has an operation of its own."""

    DATA = "data"
    SIGNING = "signing"


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What was rotated."""

    projects: tuple[str, ...] = ()
    """Projects with a new data key; the empty name is the node itself."""
    kid: str | None = None
    """Id of the new signing key."""


class VaultStatus(Operation[Status], frozen=True, kw_only=True):
    """Tell where the master key is and how old the keys are."""

    declared = Declaration(http="GET /vault", tag="vault", action=Action.NODE_READ)


class VaultKey(Operation[PublicKey], frozen=True, kw_only=True):
    """Return the public key to seal values to.

    It is not secret: everybody with a credential of the node may have it.
    """

    declared = Declaration(http="GET /vault/key", tag="vault", decided=Decided.CREDENTIAL)


class RotateKeys(Operation[Rotated], frozen=True, kw_only=True):
    """Make new data keys, or a new signing key.

    The stored data is encrypted again with the new data keys before the answer comes, and can be
    read meanwhile. Tokens that were signed before stay valid for up to a day.
    """

    declared = Declaration(
        http="POST /vault/rotate",
        tag="vault",
        action=Action.VAULT_ROTATE,
        problems=(404, 413, 415, 422),
    )
    project: (
        Annotated[
            Name,
            Meta(description="For data keys: that of one project, without it all."),
            Given("Only this project's key.", metavar="PROJECT"),
        ]
        | None
    ) = None
    key: Annotated[
        RotatedKey,
        Meta(description="What to rotate."),
        Given(
            "The key that signs tokens, instead of data keys.",
            "--signing",
            means=RotatedKey.SIGNING,
            default=RotatedKey.DATA,
        ),
    ]


class RotateMasterKey(Operation[Status], frozen=True, kw_only=True):
    """Change the master key.

    The body is sealed to the vault. It has the new key, where it comes from, and the present key as
    a proof; `casemate vault rotate-master` makes it on the node's host. Refused while other nodes
    that share the vault are running, because they could no longer open it.
    """

    declared = Declaration(
        http="PUT /vault/master-key",
        tag="vault",
        action=Action.VAULT_ROTATE,
        raw_content=True,
        problems=(409, 413, 415, 422),
    )
