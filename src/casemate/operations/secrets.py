"""Operations on secrets. Values come in sealed to the vault, and go to functions alone.

Logins of package indexes are lent to who builds, sealed by the vault.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.grant import RESOURCE_PATTERN
from casemate.model.principal import Action, ResourceKind
from casemate.model.vault import MAX_AT_ONCE, MAX_SEALED_BYTES, SecretInfo, SecretVersion
from casemate.operations.declaration import Decided, Declaration, Operation, on, on_project
from casemate.operations.fields import Name, whole

_secret = on(ResourceKind.SECRET, "name")
_PATH = "/secrets/{project}/{name}"
MAX_PUBLIC_KEY_BYTES = 4096
MAX_TOGETHER_BYTES = 1024 * 1024
"""Of the body that sets several secrets."""


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """Secrets and their versions, without values; sorted by project and name."""

    secrets: tuple[SecretInfo, ...]


class SealedSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A secret's name and its value, sealed for this project and name."""

    name: Annotated[str, msgspec.Meta(pattern=whole(RESOURCE_PATTERN))]
    sealed: Annotated[bytes, msgspec.Meta(max_length=MAX_SEALED_BYTES)]
    """In base64."""


class SecretVersions(msgspec.Struct, frozen=True, kw_only=True):
    """The versions that secrets have now, in the order in which they were given."""

    versions: tuple[SecretVersion, ...]


class ListSecrets(Operation[Secrets], frozen=True, kw_only=True):
    """List the secrets of every project that you may see, without values."""

    declared = Declaration(http="GET /secrets", tag="secrets", decided=Decided.FOR_EACH)


class ListProjectSecrets(Operation[Secrets], frozen=True, kw_only=True):
    """List the secrets of a project, without values."""

    declared = Declaration(
        http="GET /secrets/{project}", tag="secrets", action=Action.SECRET_LIST, on=on_project
    )
    project: Name


class GetSecret(Operation[SecretInfo], frozen=True, kw_only=True):
    """Return a secret's versions, without values."""

    declared = Declaration(
        http=f"GET {_PATH}",
        tag="secrets",
        action=Action.SECRET_LIST,
        on=on_project,
        problems=(404,),
    )
    project: Name
    name: Name


class PutSecret(Operation[SecretVersion], frozen=True, kw_only=True):
    """Store a new version of a secret.

    The body is the value sealed to the key of `GET /vault/key` and to this project and name
    (`casemate secrets set` does it): HPKE with ML-KEM-768 and X25519, HKDF-SHA-256, AES-256-GCM.
    The same body again is the same version.
    """

    declared = Declaration(
        http=f"PUT {_PATH}",
        tag="secrets",
        action=Action.SECRET_WRITE,
        on=_secret,
        raw_content=True,
        status=HTTPStatus.CREATED,
        problems=(409, 413, 415, 422),
    )
    project: Name
    name: Name


class PutSecrets(Operation[SecretVersions], frozen=True, kw_only=True):
    """Store a new version of several secrets: all of them, or none.

    Each value is sealed as for `PUT /secrets/{project}/{name}`. The action `secret:write` is
    decided for each name before anything is stored.
    """

    declared = Declaration(
        http="PUT /secrets/{project}",
        tag="secrets",
        decided=Decided.FOR_EACH,
        max_body=MAX_TOGETHER_BYTES,
        status=HTTPStatus.CREATED,
        problems=(409, 413, 415, 422),
    )
    project: Name
    secrets: Annotated[
        tuple[SealedSecret, ...],
        msgspec.Meta(
            min_length=1, max_length=MAX_AT_ONCE, description="Secrets, each of another name."
        ),
    ]


class Lent(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a secret, sealed to the key that was given."""

    sealed: bytes
    """In base64."""


class LendSecret(Operation[Lent], frozen=True, kw_only=True):
    """Return the login of a package index, sealed to the machine that builds.

    Only for secrets whose names begin with `index-`; all others go to functions only. The key is
    made for this one answer, which the node cannot read (HPKE, as for values that come in).
    """

    declared = Declaration(
        http=f"POST {_PATH}/lend",
        tag="secrets",
        action=Action.SECRET_LEND,
        on=_secret,
        problems=(404, 409, 413, 415, 422),
        example={"public_key": "bm90IGEga2V5"},
        answer=Lent(sealed=b"sealed"),
    )
    project: Name
    name: Name
    public_key: Annotated[
        bytes,
        msgspec.Meta(
            max_length=MAX_PUBLIC_KEY_BYTES,
            description="ML-KEM-768, then X25519 (1216 bytes), in base64.",
        ),
    ]


class DeleteSecret(Operation[None], frozen=True, kw_only=True):
    """Delete a secret with all its versions."""

    declared = Declaration(
        http=f"DELETE {_PATH}",
        tag="secrets",
        action=Action.SECRET_WRITE,
        on=_secret,
        status=HTTPStatus.NO_CONTENT,
        problems=(404,),
    )
    project: Name
    name: Name
