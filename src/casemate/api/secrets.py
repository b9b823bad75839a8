"""Operations on secrets and the vault. Values come in sealed to the vault, and never go out."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from casemate.api.authorization import named, principal, project
from casemate.api.inputs import (
    Query,
    declared_length,
    json_body,
    path_name,
    require_media_type,
    too_large,
    whole,
)
from casemate.api.operations import Operation, Service, json_response
from casemate.api.problems import RequestError
from casemate.model.errors import NotFoundError
from casemate.model.function import NAME_PATTERN
from casemate.model.grant import RESOURCE_PATTERN
from casemate.model.principal import Action, Resource, ResourceKind
from casemate.vault.interface import Purpose, SecretInfo, SecretVersion, VaultStatus
from casemate.vault.protocol import MAX_AT_ONCE
from casemate.vault.sealed import ALGORITHM, MAX_SEALED_BYTES

BINARY = "application/octet-stream"
MAX_TOGETHER_BYTES = 1024 * 1024
"""Of the body that sets several secrets."""

_secret = named(ResourceKind.SECRET, "name")


class VaultKey(msgspec.Struct, frozen=True, kw_only=True):
    """The public key to which values are sealed on their way in."""

    algorithm: str
    public_key: bytes
    """ML-KEM-768, then X25519: 1216 bytes, in base64."""


class SealedSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A secret's name and its value, sealed for this project and name."""

    name: Annotated[str, msgspec.Meta(pattern=whole(RESOURCE_PATTERN))]
    sealed: Annotated[bytes, msgspec.Meta(max_length=MAX_SEALED_BYTES)]
    """In base64."""


class SealedSecrets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Secrets of one project that are set together, each of another name."""

    secrets: Annotated[tuple[SealedSecret, ...], msgspec.Meta(min_length=1, max_length=MAX_AT_ONCE)]


class SecretVersions(msgspec.Struct, frozen=True, kw_only=True):
    """The versions that secrets have now, in the order in which they were given."""

    versions: tuple[SecretVersion, ...]


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """Secrets and their versions, without values; sorted by project and name."""

    secrets: tuple[SecretInfo, ...]


class RotatedKey(StrEnum):
    """What can be rotated here; the master key has an operation of its own."""

    DATA = "data"
    SIGNING = "signing"


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to rotate. `project` is for data keys: that of one project, without it all."""

    key: RotatedKey
    project: Annotated[str, msgspec.Meta(pattern=whole(NAME_PATTERN))] | None = None


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What was rotated."""

    projects: tuple[str, ...] = ()
    """Projects with a new data key; the empty name is the node itself."""
    kid: str | None = None
    """Id of the new signing key."""


async def _key(request: Request, service: Service) -> Response:
    Query(request).end()
    public = await service.vault.public_key()
    return json_response(VaultKey(algorithm=ALGORITHM, public_key=public))


async def _status(request: Request, service: Service) -> Response:
    Query(request).end()
    return json_response(await service.vault.status())


async def _rotate(request: Request, service: Service) -> Response:
    Query(request).end()
    body = await json_body(request, Rotation)
    if body.key is RotatedKey.SIGNING:
        if body.project is not None:
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                "The signing key is the node's, and belongs to no project.",
                next_step="Leave out `project`.",
            )
        return json_response(Rotated(kid=await service.vault.rotate_signing_key()))
    rotated = await service.vault.rotate_data_keys(body.project)
    await _rekey(service, rotated)
    return json_response(Rotated(projects=rotated))


async def _rekey(service: Service, projects: tuple[str, ...]) -> None:
    """Have what is stored encrypted anew; until that is done the older keys read it."""
    for each in projects:
        if each:
            # A project with secrets need not have data.
            with contextlib.suppress(NotFoundError):
                await service.data.rekey(each)
        else:
            newest = await service.vault.data_key("", Purpose.STORE)
            await service.store.rekey(newest.key)
            await service.control.reseal_bundles()
    # Last, since a damaged secret ends it, and says so.
    for each in filter(None, projects):
        while await service.vault.renew_secrets(each):
            pass


async def _rotate_master(request: Request, service: Service) -> Response:
    Query(request).end()
    sealed = await _sealed_body(request)
    return json_response(await service.vault.rotate_master(sealed))


async def _sealed_body(request: Request) -> bytes:
    require_media_type(request, BINARY)
    declared_length(request, MAX_SEALED_BYTES)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_SEALED_BYTES:
                raise too_large(MAX_SEALED_BYTES)
    except ClientDisconnect as error:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "The body ended before it was complete."
        ) from error
    return bytes(body)


async def _list_all(request: Request, service: Service) -> Response:
    Query(request).end()
    found = await service.vault.secrets(None)
    visible = {
        name: service.may(
            request, Action.SECRET_LIST, Resource(kind=ResourceKind.PROJECT, project=name)
        )
        for name in {info.project for info in found}
    }
    return json_response(Secrets(secrets=tuple(info for info in found if visible[info.project])))


async def _list(request: Request, service: Service) -> Response:
    Query(request).end()
    return json_response(
        Secrets(secrets=await service.vault.secrets(path_name(request, "project")))
    )


async def _show(request: Request, service: Service) -> Response:
    Query(request).end()
    where, name = path_name(request, "project"), path_name(request, "name")
    for info in await service.vault.secrets(where):
        if info.name == name:
            return json_response(info)
    raise NotFoundError(
        f"There is no secret {where}/{name}.",
        next_step=f"set it: casemate secrets set {where}/{name}",
    )


async def _put(request: Request, service: Service) -> Response:
    Query(request).end()
    where, name = path_name(request, "project"), path_name(request, "name")
    sealed = await _sealed_body(request)
    version = await service.vault.put_secret(where, name, sealed, principal(request).text)
    return json_response(version, HTTPStatus.CREATED)


async def _put_all(request: Request, service: Service) -> Response:
    Query(request).end()
    where = path_name(request, "project")
    body = await json_body(request, SealedSecrets, most=MAX_TOGETHER_BYTES)
    for one in body.secrets:
        service.require(
            request,
            Action.SECRET_WRITE,
            Resource(kind=ResourceKind.SECRET, project=where, name=one.name),
        )
    sealed = [(one.name, one.sealed) for one in body.secrets]
    versions = await service.vault.put_secrets(where, sealed, principal(request).text)
    return json_response(SecretVersions(versions=versions), HTTPStatus.CREATED)


async def _delete(request: Request, service: Service) -> Response:
    Query(request).end()
    await service.vault.delete_secret(path_name(request, "project"), path_name(request, "name"))
    return Response(status_code=HTTPStatus.NO_CONTENT.value)


_SEALED = (
    "The body is the value sealed to the key of `GET /vault/key` and to this project and name "
    "(`casemate secrets set` does it): HPKE with ML-KEM-768 and X25519, HKDF-SHA-256, "
    "AES-256-GCM. "
)

OPERATIONS = (
    Operation(
        method="GET",
        path="/vault",
        id="vaultStatus",
        tag="vault",
        summary="Tell where the master key is and how old the keys are",
        endpoint=_status,
        response=VaultStatus,
        action=Action.NODE_READ,
    ),
    Operation(
        method="GET",
        path="/vault/key",
        id="vaultKey",
        tag="vault",
        summary="Return the public key to seal values to",
        description="It is public: whoever has a credential of the node may have it.",
        endpoint=_key,
        response=VaultKey,
    ),
    Operation(
        method="POST",
        path="/vault/rotate",
        id="rotateKeys",
        tag="vault",
        summary="Make new data keys, or a new signing key",
        description=(
            "What is stored is encrypted anew with the new data keys before the answer; it can be "
            "read all the while. Tokens that were signed before stay valid for up to a day."
        ),
        endpoint=_rotate,
        body=Rotation,
        response=Rotated,
        problems=(404, 413, 415, 422),
        action=Action.VAULT_ROTATE,
    ),
    Operation(
        method="PUT",
        path="/vault/master-key",
        id="rotateMasterKey",
        tag="vault",
        summary="Change the master key",
        description=(
            "The body is sealed to the vault and holds the new key, its source, and the present "
            "key as proof; `casemate vault rotate-master` makes it on the node's host."
        ),
        endpoint=_rotate_master,
        has_body=True,
        body_media_type=BINARY,
        response=VaultStatus,
        problems=(413, 415, 422),
        action=Action.VAULT_ROTATE,
    ),
    Operation(
        method="GET",
        path="/secrets",
        id="listSecrets",
        tag="secrets",
        summary="List the secrets of every project that you may see, without values",
        endpoint=_list_all,
        response=Secrets,
    ),
    Operation(
        method="GET",
        path="/secrets/{project}",
        id="listProjectSecrets",
        tag="secrets",
        summary="List the secrets of a project, without values",
        endpoint=_list,
        response=Secrets,
        action=Action.SECRET_LIST,
        resource=project,
    ),
    Operation(
        method="GET",
        path="/secrets/{project}/{name}",
        id="getSecret",
        tag="secrets",
        summary="Return a secret's versions, without values",
        endpoint=_show,
        response=SecretInfo,
        problems=(404,),
        action=Action.SECRET_LIST,
        resource=project,
    ),
    Operation(
        method="PUT",
        path="/secrets/{project}/{name}",
        id="putSecret",
        tag="secrets",
        summary="Keep a new version of a secret",
        description=_SEALED + "The same body again is the same version.",
        endpoint=_put,
        has_body=True,
        body_media_type=BINARY,
        status=HTTPStatus.CREATED,
        response=SecretVersion,
        problems=(409, 413, 415, 422),
        action=Action.SECRET_WRITE,
        resource=_secret,
    ),
    Operation(
        method="PUT",
        path="/secrets/{project}",
        id="putSecrets",
        tag="secrets",
        summary="Keep a new version of several secrets, all of them or none",
        description="Each value is sealed as that of `PUT /secrets/{project}/{name}`. The action "
        "`secret:write` is decided for each name before anything is kept.",
        endpoint=_put_all,
        body=SealedSecrets,
        status=HTTPStatus.CREATED,
        response=SecretVersions,
        problems=(403, 409, 413, 415, 422),
    ),
    Operation(
        method="DELETE",
        path="/secrets/{project}/{name}",
        id="deleteSecret",
        tag="secrets",
        summary="Forget a secret with all its versions",
        endpoint=_delete,
        status=HTTPStatus.NO_CONTENT,
        problems=(404,),
        action=Action.SECRET_WRITE,
        resource=_secret,
    ),
)
