"""Service tokens and sessions: list, make, revoke.

What may be done is decided here for each role a token is to have, and for each token shown: those
who may make tokens in a project need no right on the node, and everybody sees and revokes its own.
"""

from __future__ import annotations

import time

import msgspec

from casemate.accounts import DAY, DEFAULT_DAYS, binding_text, parse_bindings
from casemate.api.account_answers import answering
from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.api.service import Service
from casemate.model.account import Token
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.model.principal import (
    NODE,
    Action,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
    RoleBinding,
)
from casemate.operations import tokens
from casemate.operations.tokens import (
    AddToken,
    CreatedToken,
    ListTokens,
    RevokedToken,
    RevokeToken,
    Tokens,
    TokenView,
)

MINUTE = 60.0
performs = Performers()


def _view(token: Token, service: Service) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        user=token.user,
        roles=tuple(map(binding_text, token.bindings)),
        created_at=token.created_at,
        created_by=token.created_by,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        last_used_at=service.accounts.tokens.used_at(token),
    )


def _scope(binding: RoleBinding) -> Resource:
    """Return where `token:write` is needed to give a binding: its project, or the node."""
    if binding.project is None:
        return NODE
    return Resource(kind=ResourceKind.PROJECT, project=binding.project)


def _is_own(token: Token, asking: Principal, service: Service) -> bool:
    """Tell whether a token is the caller itself, a session of it, or made by it.

    What somebody made who had the caller's name before is not the caller's.
    """
    itself = asking.kind is PrincipalKind.TOKEN and token.id == asking.id
    session = asking.kind is PrincipalKind.USER and token.user == asking.id
    if itself or session or token.created_by != asking.text:
        return itself or session
    since = service.accounts.there_since(asking.text)
    return since is not None and token.created_at >= since


@performs(ListTokens)
async def _list(operation: ListTokens, call: Call) -> Tokens:
    every = call.service.may(call.request, Action.ACCOUNT_READ, NODE)
    return Tokens(
        tokens=tuple(
            _view(token, call.service)
            for token in call.service.accounts.tokens.all()
            if (operation.sessions or token.user is None)
            and (every or _is_own(token, call.principal, call.service))
        )
    )


def _expires_at(operation: AddToken, asking: Principal) -> float | None:
    given = [operation.days is not None, operation.minutes is not None, operation.no_expiry]
    if sum(given) > 1:
        raise InvalidInputError(
            "More than one of days, minutes and no_expiry says when the token expires.",
            next_step="Give one of them, or none for 90 days.",
        )
    if operation.no_expiry:
        return None
    if operation.minutes is not None:
        return time.time() + operation.minutes * MINUTE
    if operation.days is not None:
        return time.time() + operation.days * DAY
    default = time.time() + DEFAULT_DAYS * DAY
    by_token = asking.kind is PrincipalKind.TOKEN and asking.expires_at is not None
    return min(default, asking.expires_at or default) if by_token else default


@performs(AddToken)
@answering
async def _add(operation: AddToken, call: Call) -> CreatedToken:
    bindings = parse_bindings(operation.roles)
    for binding in bindings:
        call.service.require(call.request, Action.TOKEN_WRITE, _scope(binding))
    issued = await call.service.accounts.tokens.add(
        operation.name,
        bindings,
        _expires_at(operation, call.principal),
        by=call.principal,
        made_with=call.token_id,
    )
    return CreatedToken(token=_view(issued.token, call.service), text=issued.text)


@performs(RevokeToken)
@answering
async def _revoke(operation: RevokeToken, call: Call) -> RevokedToken:
    service, asking = call.service, call.principal
    try:
        own = _is_own(service.accounts.tokens.one(operation.id), asking, service)
    except NotFoundError:
        own = False  # who may not see every token does not learn which exist
    if not own:
        service.require(call.request, Action.ACCOUNT_WRITE, NODE)
    revoked = await service.accounts.tokens.revoke(operation.id, by=asking)
    shown = msgspec.structs.asdict(_view(revoked.token, service))
    line = tuple(_view(token, service) for token in revoked.line)
    return RevokedToken(**shown, line=line, codes=revoked.codes, people=revoked.people)


OPERATIONS = all_served(tokens, performs)
