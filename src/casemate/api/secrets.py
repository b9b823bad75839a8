"""Secrets and the vault. Values come in sealed to the vault, and go out to nobody but functions.

Logins of package indexes are lent to who builds, sealed by the vault: the gateway reads neither.
"""

from __future__ import annotations

import contextlib
from http import HTTPStatus

from starlette.requests import Request

from casemate.api.inputs import read_body, require_media_type
from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.api.service import Service
from casemate.model.errors import ConflictError, NoNamedError, NotFoundError
from casemate.model.nodes import GONE_SECONDS
from casemate.model.principal import Action, Resource, ResourceKind
from casemate.model.vault import MAX_SEALED_BYTES, SecretInfo, SecretVersion, VaultStatus
from casemate.operations import secrets, vault
from casemate.operations.declaration import BINARY
from casemate.operations.resources import RekeyProject
from casemate.operations.secrets import (
    DeleteSecret,
    GetSecret,
    LendSecret,
    Lent,
    ListProjectSecrets,
    ListSecrets,
    PutSecret,
    PutSecrets,
    Secrets,
    SecretVersions,
)
from casemate.operations.vault import (
    PublicKey,
    Rotated,
    RotatedKey,
    RotateKeys,
    RotateMasterKey,
    VaultKey,
)
from casemate.vault.interface import Purpose
from casemate.vault.sealed import ALGORITHM

_MAX_SHOWN = 8

performs = Performers()


@performs(VaultKey)
async def _key(_operation: VaultKey, call: Call) -> PublicKey:
    return PublicKey(algorithm=ALGORITHM, public_key=await call.service.vault.public_key())


@performs(vault.VaultStatus)
async def _status(_operation: vault.VaultStatus, call: Call) -> VaultStatus:
    return await call.service.vault.status()


@performs(RotateKeys)
async def _rotate(operation: RotateKeys, call: Call) -> Rotated:
    service = call.service
    if operation.key is RotatedKey.SIGNING:
        if operation.project is not None:
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                "The signing key is the node's, and belongs to no project.",
                next_step="Leave out `project`.",
            )
        return Rotated(kid=await service.vault.rotate_signing_key())
    rotated = await service.vault.rotate_data_keys(operation.project)
    await _rekey(service, rotated)
    return Rotated(projects=rotated)


async def _rekey(service: Service, projects: tuple[str, ...]) -> None:
    """Have what is stored encrypted anew; until that is done the older keys read it."""
    for each in projects:
        if each:
            # A project with secrets need not have data.
            with contextlib.suppress(NotFoundError):
                await service.data.change(RekeyProject(project=each))
        else:
            newest = await service.vault.data_key("", Purpose.STORE)
            await service.rekey_store(newest.key)
            await service.control.reseal_bundles()
    # Last, since a damaged secret ends it, and says so.
    for each in filter(None, projects):
        while await service.vault.renew_secrets(each):
            pass


@performs(RotateMasterKey)
async def _rotate_master(_operation: RotateMasterKey, call: Call) -> VaultStatus:
    await _require_no_others(call.service)
    return await call.service.vault.rotate_master(await _sealed_body(call.request))


async def _require_no_others(service: Service) -> None:
    """Refuse a change of the master key that other nodes could not follow."""
    others = await service.nodes.membership.others()
    if others:
        shown = ", ".join(others[:_MAX_SHOWN]) + (", ..." if len(others) > _MAX_SHOWN else "")
        raise ConflictError(
            f"Other nodes share this vault and are running: {shown}. They cannot open it with the "
            "present master key any more. Nothing was changed.",
            next_step="Bring the new key to their hosts, stop them, change it, and start them with "
            f"it. One that has died is taken for gone after {GONE_SECONDS:g} s.",
        )


async def _sealed_body(request: Request) -> bytes:
    require_media_type(request, BINARY)
    return await read_body(request, MAX_SEALED_BYTES)


@performs(ListSecrets)
async def _list_all(_operation: ListSecrets, call: Call) -> Secrets:
    found = await call.service.vault.secrets(None)
    visible = {
        name: call.service.may(
            call.request, Action.SECRET_LIST, Resource(kind=ResourceKind.PROJECT, project=name)
        )
        for name in {info.project for info in found}
    }
    return Secrets(secrets=tuple(info for info in found if visible[info.project]))


@performs(ListProjectSecrets)
async def _list(operation: ListProjectSecrets, call: Call) -> Secrets:
    return Secrets(secrets=await call.service.vault.secrets(operation.project))


@performs(GetSecret)
async def _show(operation: GetSecret, call: Call) -> SecretInfo:
    asked = Resource(kind=ResourceKind.SECRET, project=operation.project, name=operation.name)
    call.service.decoys.watch.on_resource(asked, Action.SECRET_LIST.value, call.actor)
    for info in await call.service.vault.secrets(operation.project):
        if info.name == operation.name:
            return info
    raise NoNamedError(
        "secret",
        operation.name,
        f"There is no secret {operation.project}/{operation.name}.",
        next_step=f"Set it: `casemate secrets set {operation.project}/{operation.name}`",
        project=operation.project,
    )


@performs(PutSecret)
async def _put(operation: PutSecret, call: Call) -> SecretVersion:
    sealed = await _sealed_body(call.request)
    version = await call.service.vault.put_secret(
        operation.project, operation.name, sealed, call.principal.text
    )
    await renewed(call, operation.project, operation.name)
    return version


async def renewed(call: Call, project: str, *names: str) -> None:
    """Give secrets again that were held back until they have other values, by who may say so."""
    if call.may(Action.RESTRICTION_WRITE, Resource(kind=ResourceKind.PROJECT, project=project)):
        for name in names:
            await call.service.restrictions.renewed(project, name, call.actor)


@performs(PutSecrets)
async def _put_all(operation: PutSecrets, call: Call) -> SecretVersions:
    where = operation.project
    for one in operation.secrets:
        call.require(
            Action.SECRET_WRITE,
            Resource(kind=ResourceKind.SECRET, project=where, name=one.name),
        )
    sealed = [(one.name, one.sealed) for one in operation.secrets]
    versions = await call.service.vault.put_secrets(where, sealed, call.principal.text)
    await renewed(call, where, *(one.name for one in operation.secrets))
    return SecretVersions(versions=versions)


@performs(LendSecret)
async def _lend(operation: LendSecret, call: Call) -> Lent:
    project, name = operation.project, operation.name
    asked = Resource(kind=ResourceKind.SECRET, project=project, name=name)
    call.service.decoys.watch.on_resource(asked, Action.SECRET_LEND.value, call.actor)
    if call.service.restrictions.withholds(project, "", name):
        raise ConflictError(
            f"The secret {name} of {project} is withheld.",
            next_step="Set a new value of it, or lift what withholds it: casemate restrict ls",
        )
    sealed = await call.service.vault.lend_secret(project, name, operation.public_key)
    return Lent(sealed=sealed)


@performs(DeleteSecret)
async def _delete(operation: DeleteSecret, call: Call) -> None:
    try:
        await call.service.vault.delete_secret(operation.project, operation.name)
    except NotFoundError as error:  # of any use it says: set it
        raise NoNamedError(
            "secret",
            operation.name,
            error.message,
            next_step=f"`casemate secrets ls {operation.project}` lists them.",
            project=operation.project,
        ) from error
    if call.service.rotations.find(operation.project, operation.name) is not None:
        await call.service.rotations.forget(operation.project, operation.name, call.actor)


OPERATIONS = (*all_served(vault, performs), *all_served(secrets, performs))
