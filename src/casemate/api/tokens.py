"""Operations on service tokens and sessions: list, make, revoke.

What may be done is decided here for each role a token is to have, and for each token shown: those
who may make tokens in a project need no right on the node, and everybody sees and revokes its own.
"""

from __future__ import annotations

import time
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.accounts import DAY, DEFAULT_DAYS, binding_text, parse_bindings, token_id_of
from casemate.api.account_answers import answering, require_plain
from casemate.api.account_bodies import (
    CreatedToken,
    NewToken,
    RevokedToken,
    Tokens,
    TokenView,
)
from casemate.api.authorization import principal
from casemate.api.inputs import Query, json_body, path_id
from casemate.api.operations import Operation, QueryParameter, Service, json_response
from casemate.model.account import Token
from casemate.model.errors import NotFoundError
from casemate.model.principal import (
    NODE,
    Action,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
    RoleBinding,
)


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


def _is_own(token: Token, asking: Principal) -> bool:
    """Tell whether a token is the caller itself, a session of it, or made by it."""
    itself = asking.kind is PrincipalKind.TOKEN and token.id == asking.id
    session = asking.kind is PrincipalKind.USER and token.user == asking.id
    return itself or session or token.created_by == asking.text


async def _list(request: Request, service: Service) -> Response:
    query = Query(request)
    sessions = query.flag("sessions")
    query.end()
    asking = principal(request)
    every = service.may(request, Action.ACCOUNT_READ, NODE)
    found = tuple(
        _view(token, service)
        for token in service.accounts.tokens.all()
        if (sessions or token.user is None) and (every or _is_own(token, asking))
    )
    return json_response(Tokens(tokens=found))


def _expires_at(body: NewToken, asking: Principal) -> float | None:
    if body.no_expiry:
        return None
    if body.days is not None:
        return time.time() + body.days * DAY
    default = time.time() + DEFAULT_DAYS * DAY
    by_token = asking.kind is PrincipalKind.TOKEN and asking.expires_at is not None
    return min(default, asking.expires_at or default) if by_token else default


@answering
async def _add(request: Request, service: Service) -> Response:
    require_plain(request)
    body = await json_body(request, NewToken)
    bindings = parse_bindings(body.roles)
    for binding in bindings:
        service.require(request, Action.TOKEN_WRITE, _scope(binding))
    asking = principal(request)
    issued = await service.accounts.tokens.add(
        body.name,
        bindings,
        _expires_at(body, asking),
        by=asking,
        made_with=token_id_of(request.headers.get("authorization")),
    )
    return json_response(
        CreatedToken(token=_view(issued.token, service), text=issued.text), HTTPStatus.CREATED
    )


@answering
async def _revoke(request: Request, service: Service) -> Response:
    require_plain(request)
    token_id = path_id(request)
    asking = principal(request)
    try:
        own = _is_own(service.accounts.tokens.one(token_id), asking)
    except NotFoundError:
        own = False  # who may not see every token does not learn which exist
    if not own:
        service.require(request, Action.ACCOUNT_WRITE, NODE)
    revoked, *line = await service.accounts.tokens.revoke(token_id, by=asking)
    shown = msgspec.structs.asdict(_view(revoked, service))
    return json_response(RevokedToken(**shown, line=tuple(_view(t, service) for t in line)))


OPERATIONS = (
    Operation(
        method="GET",
        path="/tokens",
        id="listTokens",
        tag="tokens",
        summary="List service tokens: all of them with `account:read`, else one's own",
        endpoint=_list,
        query=(
            QueryParameter(
                name="sessions",
                description="Sessions of people too.",
                schema={"type": "boolean", "default": False},
            ),
        ),
        response=Tokens,
    ),
    Operation(
        method="POST",
        path="/tokens",
        id="addToken",
        tag="tokens",
        summary="Make a service token and show its text once",
        description=(
            "Needs `token:write` where each role is to hold, and roles of one's own that cover "
            "them: a token can do no more than its maker."
        ),
        endpoint=_add,
        body=NewToken,
        status=HTTPStatus.CREATED,
        response=CreatedToken,
        problems=(409, 413, 415, 422),
    ),
    Operation(
        method="DELETE",
        path="/tokens/{id}",
        id="revokeToken",
        tag="tokens",
        summary="Revoke a token or session at once: one's own, or any with `account:write`",
        description=(
            "Every token that was made with it ends too, and what was made with these: whoever "
            "stole it may have made others."
        ),
        endpoint=_revoke,
        response=RevokedToken,
        problems=(404, 409),
    ),
)
