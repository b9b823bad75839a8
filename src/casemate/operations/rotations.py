"""Operations that have secrets get other values, which nobody chooses or sees."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.principal import Action, ResourceKind
from casemate.model.rotation import Rotation, SecretRotation
from casemate.model.vault import MAX_LENGTH, MAX_OVERLAP_SECONDS, NewValue, ValueForm
from casemate.operations.declaration import Declaration, Operation, on, on_project
from casemate.operations.fields import Name, number, text
from casemate.operations.given import DURATION, Given

_secret = on(ResourceKind.SECRET, "name")
_PATH = "/secrets/{project}/{name}"
_Reason = Annotated[
    str,
    text("The reason, for whoever asks later.", least=1, most=400, example="inc_9f2c51aa03b1e7d4"),
    Given(flags="--reason", metavar="TEXT"),
]
_Overlap = Annotated[
    int,
    number(
        "For how many seconds the value before is accepted, and may be gone back to.",
        most=MAX_OVERLAP_SECONDS,
    ),
    Given(
        "How long the former value is accepted, and can be reverted to: `15m`, `1d`, at most "
        "`7d`; `0s` means not at all.",
        metavar=DURATION,
    ),
]
_SHOWN = Rotation(
    project="shop",
    name="db-password",
    value=NewValue(form=ValueForm.PASSWORD, length=32),
    overlap=3600,
    function="rotate-db",
    by="user:ada",
    since=1764201700.0,
)
_ROTATED = SecretRotation(
    project="shop",
    name="db-password",
    version=4,
    former=3,
    until=1764205300.0,
    function="rotate-db",
)


class RotationsFound(msgspec.Struct, frozen=True, kw_only=True):
    """How secrets are rotated, by name."""

    rotations: tuple[Rotation, ...]


class PutRotation(Operation[Rotation], frozen=True, kw_only=True):
    """Set how a new value of a secret is made, and who sets it at the service that checks it.

    A `function` must be granted the secret. It is called with the number of the version to set, and
    reads the value as it reads any secret. Needs `function:invoke` on it as well.
    """

    declared = Declaration(
        http=f"PUT {_PATH}/rotation",
        tag="secrets",
        action=Action.SECRET_WRITE,
        on=_secret,
        problems=(404, 409, 413, 415, 422),
        example={"form": "password", "length": 32, "overlap": 3600, "function": "rotate-db"},
        answer=_SHOWN,
    )
    project: Name
    name: Name
    form: Annotated[
        ValueForm,
        msgspec.Meta(description="`bytes`, `hex`, `url-safe` or `password`."),
        Given(metavar="FORM"),
    ] = ValueForm.URL_SAFE
    length: Annotated[
        int,
        number("How many bytes (`bytes`) or characters it has.", least=16, most=MAX_LENGTH),
    ] = 43
    overlap: _Overlap = 86_400
    function: (
        Annotated[
            Name,
            msgspec.Meta(description="Function of the project that sets it at the outside server."),
        ]
        | None
    ) = None


class RemoveRotation(Operation[None], frozen=True, kw_only=True):
    """Stop rotating a secret. Its present value stays."""

    declared = Declaration(
        http=f"DELETE {_PATH}/rotation",
        tag="secrets",
        action=Action.SECRET_WRITE,
        on=_secret,
        status=HTTPStatus.NO_CONTENT,
        problems=(404,),
    )
    project: Name
    name: Name


class ListRotations(Operation[RotationsFound], frozen=True, kw_only=True):
    """List how secrets of a project are rotated."""

    declared = Declaration(
        http="GET /rotations/{project}",
        tag="secrets",
        action=Action.SECRET_LIST,
        on=on_project,
        answer=RotationsFound(rotations=(_SHOWN,)),
    )
    project: Name


class RotateSecret(Operation[SecretRotation], frozen=True, kw_only=True):
    """Make a new value of a secret and use it from now on, as its rotation says.

    Functions get the new value from then on. Instances that may hold the old value are ended when
    their calls are answered, or at once if there is no overlap.
    """

    declared = Declaration(
        http=f"POST {_PATH}/rotate",
        tag="secrets",
        action=Action.SECRET_ROTATE,
        on=_secret,
        problems=(404, 409, 413, 415, 422),
        example={"reason": "inc_9f2c51aa03b1e7d4"},
        answer=_ROTATED,
    )
    project: Name
    name: Name
    reason: _Reason
    overlap: _Overlap | None = None


class RevertSecret(Operation[SecretRotation], frozen=True, kw_only=True):
    """Use the value from before a rotation again, within its overlap.

    The rotated value is no longer accepted, and instances that may hold it are ended at once.
    """

    declared = Declaration(
        http=f"POST {_PATH}/revert",
        tag="secrets",
        action=Action.SECRET_ROTATE,
        on=_secret,
        problems=(404, 409, 413, 415, 422),
        example={"reason": "the server does not take it"},
        answer=msgspec.structs.replace(_ROTATED, version=5, former=4, until=None),
    )
    project: Name
    name: Name
    reason: _Reason
