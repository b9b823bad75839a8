"""Operations to log in and out, to enrol, and to see who one is."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from casemate.accounts import Issued, ProviderLoginStart, binding_text
from casemate.api.account_answers import answering, remote_address, require_plain
from casemate.api.account_bodies import (
    Enrolled,
    EnrolmentBegin,
    EnrolmentConfirm,
    LoggedOut,
    Login,
    OidcLogin,
    OpenedSession,
    SecondFactor,
    WhoAmI,
)
from casemate.api.authorization import principal
from casemate.api.inputs import json_body
from casemate.api.operations import Operation, Service, json_response


def _session(issued: Issued) -> Response:
    token = issued.token
    return json_response(
        OpenedSession(text=issued.text, user=token.user or "", expires_at=token.expires_at or 0.0),
        HTTPStatus.CREATED,
    )


@answering
async def _login(request: Request, service: Service) -> Response:
    require_plain(request)
    body = await json_body(request, Login)
    return _session(
        await service.accounts.sessions.login(
            body.name, body.password, body.code, remote_address(request)
        )
    )


@answering
async def _oidc_begin(request: Request, service: Service) -> Response:
    require_plain(request)
    return json_response(await service.accounts.provider.begin())


@answering
async def _oidc_login(request: Request, service: Service) -> Response:
    require_plain(request)
    body = await json_body(request, OidcLogin)
    return _session(await service.accounts.provider.login(body.id_token, remote_address(request)))


@answering
async def _enrol(request: Request, service: Service) -> Response:
    require_plain(request)
    body = await json_body(request, EnrolmentBegin)
    uri = await service.accounts.enrolment.begin(
        body.name, body.code, body.password, remote_address(request)
    )
    return json_response(SecondFactor(otpauth_uri=uri))


@answering
async def _confirm(request: Request, service: Service) -> Response:
    require_plain(request)
    body = await json_body(request, EnrolmentConfirm)
    await service.accounts.enrolment.confirm(
        body.name, body.code, body.totp, remote_address(request)
    )
    return json_response(Enrolled(user=body.name))


@answering
async def _logout(request: Request, service: Service) -> Response:
    require_plain(request)
    ended = await service.accounts.sessions.logout(request.headers.get("authorization"))
    return json_response(LoggedOut(ended=ended))


async def _whoami(request: Request, _service: Service) -> Response:
    require_plain(request)
    asking = principal(request)
    return json_response(
        WhoAmI(
            principal=asking.text,
            roles=tuple(map(binding_text, asking.bindings)),
            expires_at=asking.expires_at,
        )
    )


OPERATIONS = (
    Operation(
        method="POST",
        path="/login",
        id="login",
        tag="login",
        summary="Open a session by password and second factor",
        endpoint=_login,
        body=Login,
        status=HTTPStatus.CREATED,
        response=OpenedSession,
        authenticated=False,
        problems=(401, 413, 415, 429, 503),
    ),
    Operation(
        method="POST",
        path="/login/oidc/begin",
        id="beginOidcLogin",
        tag="login",
        summary="Begin to log in by the OpenID provider",
        description="The nonce belongs into the authorization request; it is valid once.",
        endpoint=_oidc_begin,
        response=ProviderLoginStart,
        authenticated=False,
        problems=(404, 413, 503),
    ),
    Operation(
        method="POST",
        path="/login/oidc",
        id="oidcLogin",
        tag="login",
        summary="Open a session by an ID token of the OpenID provider",
        endpoint=_oidc_login,
        body=OidcLogin,
        status=HTTPStatus.CREATED,
        response=OpenedSession,
        authenticated=False,
        problems=(401, 404, 413, 415, 429, 503),
    ),
    Operation(
        method="POST",
        path="/enrol",
        id="beginEnrolment",
        tag="login",
        summary="Choose a password by a one-time code; get a second factor to set up",
        endpoint=_enrol,
        body=EnrolmentBegin,
        response=SecondFactor,
        authenticated=False,
        problems=(401, 413, 415, 422, 429, 503),
    ),
    Operation(
        method="POST",
        path="/enrol/confirm",
        id="confirmEnrolment",
        tag="login",
        summary="Prove the second factor by its code; the person is enrolled then",
        endpoint=_confirm,
        body=EnrolmentConfirm,
        response=Enrolled,
        authenticated=False,
        problems=(401, 413, 415, 429, 503),
    ),
    Operation(
        method="POST",
        path="/logout",
        id="logout",
        tag="login",
        summary="End the session that the request is sent with",
        endpoint=_logout,
        response=LoggedOut,
        problems=(413,),
    ),
    Operation(
        method="GET",
        path="/whoami",
        id="whoami",
        tag="login",
        summary="Show who asks and which roles it has",
        endpoint=_whoami,
        response=WhoAmI,
    ),
)
