"""People: add, roles, reset, disable, remove."""

from __future__ import annotations

from casemate.accounts import binding_text, parse_bindings
from casemate.api.account_answers import answering
from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.api.service import Service
from casemate.operations import users
from casemate.operations.users import (
    AddUser,
    ListUsers,
    RemoveUser,
    ResetUser,
    SetUserRoles,
    SetUserState,
    ShowUser,
    UserChanged,
    Users,
    UserView,
)

performs = Performers()


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


@performs(ListUsers)
async def _list(_operation: ListUsers, call: Call) -> Users:
    names = [user.name for user in call.service.accounts.people.all()]
    return Users(users=tuple(_view(name, call.service) for name in names))


@performs(ShowUser)
async def _show(operation: ShowUser, call: Call) -> UserView:
    return _view(operation.name, call.service)


@performs(AddUser)
@answering
async def _add(operation: AddUser, call: Call) -> UserChanged:
    code = await call.service.accounts.people.add(
        operation.name,
        parse_bindings(operation.roles),
        by=call.principal,
        oidc_subject=operation.oidc_subject,
        made_with=call.token_id,
    )
    return UserChanged(user=_view(operation.name, call.service), code=code)


@performs(SetUserRoles)
@answering
async def _set_roles(operation: SetUserRoles, call: Call) -> UserChanged:
    bindings = parse_bindings(operation.roles)
    await call.service.accounts.people.set_roles(
        operation.name, bindings, by=call.principal, made_with=call.token_id
    )
    return UserChanged(user=_view(operation.name, call.service))


@performs(ResetUser)
@answering
async def _reset(operation: ResetUser, call: Call) -> UserChanged:
    code = await call.service.accounts.people.reset(
        operation.name, by=call.principal, made_with=call.token_id
    )
    return UserChanged(user=_view(operation.name, call.service), code=code)


@performs(SetUserState)
@answering
async def _set_state(operation: SetUserState, call: Call) -> UserChanged:
    name, service = operation.name, call.service
    await service.accounts.people.set_disabled(
        name, operation.disabled, by=call.principal, made_with=call.token_id
    )
    left = _tokens_left(name, service) if operation.disabled else ()
    return UserChanged(user=_view(name, service), tokens_left=left)


@performs(RemoveUser)
@answering
async def _remove(operation: RemoveUser, call: Call) -> UserChanged:
    name, service = operation.name, call.service
    view = _view(name, service)
    await service.accounts.people.remove(name, by=call.principal, made_with=call.token_id)
    return UserChanged(user=view, tokens_left=_tokens_left(name, service))


OPERATIONS = all_served(users, performs)
