"""Operations on people: add, roles, reset, disable, remove."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from casemate.accounts import binding_text, parse_bindings
from casemate.api.account_answers import answering, require_plain
from casemate.api.account_bodies import (
    NewRoles,
    NewState,
    NewUser,
    UserChanged,
    Users,
    UserView,
)
from casemate.api.authorization import principal
from casemate.api.inputs import json_body, path_name
from casemate.api.operations import Operation, Service, json_response
from casemate.model.principal import Action


def _view(name: str, service: Service) -> UserView:
    people = service.accounts.people
    user = people.one(name)
    return UserView(
        name=user.name,
        roles=tuple(map(binding_text, people.roles_of(name))),
        enrolled=people.is_enrolled(user),
        oidc_issuer=user.oidc_issuer,
        oidc_subject=user.oidc_subject,
        created_at=user.created_at,
        disabled_at=user.disabled_at,
        enrolment_expires_at=user.enrolment_expires_at,
    )


def _tokens_left(name: str, service: Service) -> tuple[str, ...]:
    return tuple(token.id for token in service.accounts.people.tokens_made_by(name))


async def _list(request: Request, service: Service) -> Response:
    require_plain(request)
    names = [user.name for user in service.accounts.people.all()]
    return json_response(Users(users=tuple(_view(name, service) for name in names)))


async def _show(request: Request, service: Service) -> Response:
    require_plain(request)
    return json_response(_view(path_name(request, "name"), service))


@answering
async def _add(request: Request, service: Service) -> Response:
    require_plain(request)
    body = await json_body(request, NewUser)
    code = await service.accounts.people.add(
        body.name,
        parse_bindings(body.roles),
        by=principal(request),
        oidc_subject=body.oidc_subject,
    )
    return json_response(UserChanged(user=_view(body.name, service), code=code), HTTPStatus.CREATED)


@answering
async def _set_roles(request: Request, service: Service) -> Response:
    require_plain(request)
    name = path_name(request, "name")
    body = await json_body(request, NewRoles)
    await service.accounts.people.set_roles(name, parse_bindings(body.roles), by=principal(request))
    return json_response(UserChanged(user=_view(name, service)))


@answering
async def _reset(request: Request, service: Service) -> Response:
    require_plain(request)
    name = path_name(request, "name")
    code = await service.accounts.people.reset(name, by=principal(request))
    return json_response(UserChanged(user=_view(name, service), code=code))


@answering
async def _set_state(request: Request, service: Service) -> Response:
    require_plain(request)
    name = path_name(request, "name")
    body = await json_body(request, NewState)
    await service.accounts.people.set_disabled(name, body.disabled, by=principal(request))
    left = _tokens_left(name, service) if body.disabled else ()
    return json_response(UserChanged(user=_view(name, service), tokens_left=left))


@answering
async def _remove(request: Request, service: Service) -> Response:
    require_plain(request)
    name = path_name(request, "name")
    view = _view(name, service)
    await service.accounts.people.remove(name, by=principal(request))
    return json_response(UserChanged(user=view, tokens_left=_tokens_left(name, service)))


OPERATIONS = (
    Operation(
        method="GET",
        path="/users",
        id="listUsers",
        tag="users",
        summary="List the people",
        endpoint=_list,
        response=Users,
        action=Action.ACCOUNT_READ,
    ),
    Operation(
        method="POST",
        path="/users",
        id="addUser",
        tag="users",
        summary="Add a person; show the one-time code to enrol with once",
        endpoint=_add,
        body=NewUser,
        status=HTTPStatus.CREATED,
        response=UserChanged,
        problems=(409, 413, 415, 422),
        action=Action.ACCOUNT_WRITE,
    ),
    Operation(
        method="GET",
        path="/users/{name}",
        id="showUser",
        tag="users",
        summary="Show a person",
        endpoint=_show,
        response=UserView,
        problems=(404,),
        action=Action.ACCOUNT_READ,
    ),
    Operation(
        method="DELETE",
        path="/users/{name}",
        id="removeUser",
        tag="users",
        summary="Remove a person; its sessions end at once",
        endpoint=_remove,
        response=UserChanged,
        problems=(404, 409),
        action=Action.ACCOUNT_WRITE,
    ),
    Operation(
        method="PUT",
        path="/users/{name}/roles",
        id="setUserRoles",
        tag="users",
        summary="Replace a person's roles, at once for open sessions too",
        endpoint=_set_roles,
        body=NewRoles,
        response=UserChanged,
        problems=(404, 409, 413, 415, 422),
        action=Action.ACCOUNT_WRITE,
    ),
    Operation(
        method="PUT",
        path="/users/{name}/state",
        id="setUserState",
        tag="users",
        summary="Keep a person out, or let it in again",
        endpoint=_set_state,
        body=NewState,
        response=UserChanged,
        problems=(404, 409, 413, 415),
        action=Action.ACCOUNT_WRITE,
    ),
    Operation(
        method="POST",
        path="/users/{name}/reset",
        id="resetUser",
        tag="users",
        summary="Take a person's password, second factor and sessions; show a new one-time code",
        endpoint=_reset,
        response=UserChanged,
        problems=(404, 409, 413),
        action=Action.ACCOUNT_WRITE,
    ),
)
