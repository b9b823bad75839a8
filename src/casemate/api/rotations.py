"""Rotation of secrets: how new values are made, making one, going back."""

from __future__ import annotations

import time

from casemate.api.authorization import function_of
from casemate.api.performing import Call, Performers
from casemate.api.secrets import renewed
from casemate.api.served import all_served
from casemate.model.principal import Action
from casemate.model.rotation import Rotation, SecretRotation
from casemate.model.vault import NewValue
from casemate.operations import rotations
from casemate.operations.rotations import (
    ListRotations,
    PutRotation,
    RemoveRotation,
    RevertSecret,
    RotateSecret,
    RotationsFound,
)

performs = Performers()


@performs(PutRotation)
async def _put(wanted: PutRotation, call: Call) -> Rotation:
    if wanted.function:
        # It is called whenever the secret is rotated, by whomever.
        call.require(Action.FUNCTION_INVOKE, function_of(wanted.project, wanted.function))
        call.service.rotators.require(wanted.project, wanted.function, wanted.name)
    declared = Rotation(
        project=wanted.project,
        name=wanted.name,
        value=NewValue(form=wanted.form, length=wanted.length),
        overlap=wanted.overlap,
        function=wanted.function or "",
        by=call.principal.text,
        since=time.time(),
    )
    return await call.service.rotations.declare(declared, call.actor)


@performs(RemoveRotation)
async def _remove(wanted: RemoveRotation, call: Call) -> None:
    await call.service.rotations.forget(wanted.project, wanted.name, call.actor)


@performs(ListRotations)
async def _list(wanted: ListRotations, call: Call) -> RotationsFound:
    return RotationsFound(rotations=call.service.rotations.all(wanted.project))


@performs(RotateSecret)
async def _rotate(wanted: RotateSecret, call: Call) -> SecretRotation:
    rotated = await call.service.rotations.rotate(
        wanted.project, wanted.name, reason=wanted.reason, by=call.actor, overlap=wanted.overlap
    )
    await renewed(call, wanted.project, wanted.name)
    return rotated


@performs(RevertSecret)
async def _revert(wanted: RevertSecret, call: Call) -> SecretRotation:
    return await call.service.rotations.back(
        wanted.project, wanted.name, reason=wanted.reason, by=call.actor
    )


OPERATIONS = all_served(rotations, performs)
