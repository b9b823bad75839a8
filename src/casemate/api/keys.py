"""Operations on API keys: list, make, revoke."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.api.functions import key_id
from casemate.api.inputs import Query, json_body, path_id, whole
from casemate.api.operations import Operation, Service, json_response
from casemate.model.deployment import Key, KeyRole
from casemate.model.function import NAME_PATTERN


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key as shown: neither its text, which is not stored, nor the hash of it."""

    id: str
    name: str
    role: KeyRole
    created_at: float
    revoked_at: float | None = None


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Every key, oldest first, revoked ones included."""

    keys: tuple[KeyView, ...]


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key to make."""

    name: Annotated[str, msgspec.Meta(pattern=whole(NAME_PATTERN))]
    role: KeyRole


class CreatedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A new key. This is the only time that its text is shown."""

    key: KeyView
    text: str


def _view(key: Key) -> KeyView:
    return KeyView(
        id=key.id,
        name=key.name,
        role=key.role,
        created_at=key.created_at,
        revoked_at=key.revoked_at,
    )


async def _list(request: Request, service: Service) -> Response:
    Query(request).end()
    return json_response(Keys(keys=tuple(map(_view, await service.control.keys()))))


async def _add(request: Request, service: Service) -> Response:
    Query(request).end()
    body = await json_body(request, NewKey)
    issued = await service.control.add_key(body.name, body.role, by=key_id(request))
    return json_response(CreatedKey(key=_view(issued.key), text=issued.text), HTTPStatus.CREATED)


async def _revoke(request: Request, service: Service) -> Response:
    Query(request).end()
    key = await service.control.revoke_key(path_id(request), by=key_id(request))
    return json_response(_view(key))


OPERATIONS = (
    Operation(
        method="GET",
        path="/keys",
        id="listKeys",
        tag="keys",
        summary="List the keys",
        endpoint=_list,
        response=Keys,
    ),
    Operation(
        method="POST",
        path="/keys",
        id="addKey",
        tag="keys",
        summary="Make a key and show its text once",
        endpoint=_add,
        body=NewKey,
        status=HTTPStatus.CREATED,
        response=CreatedKey,
        problems=(409, 413, 415),
    ),
    Operation(
        method="DELETE",
        path="/keys/{id}",
        id="revokeKey",
        tag="keys",
        summary="Revoke a key at once",
        endpoint=_revoke,
        response=KeyView,
        problems=(404, 409),
    ),
)
