"""Logging in and out, enrolling, and seeing who one is."""

from __future__ import annotations

from casemate.accounts import Issued, binding_text
from casemate.api.account_answers import answering
from casemate.api.authorization import remote_address
from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.oidc import ProviderLoginStart
from casemate.operations import login
from casemate.operations.login import (
    BeginEnrolment,
    BeginOidcLogin,
    ConfirmEnrolment,
    Enrolled,
    LoggedOut,
    Login,
    Logout,
    OidcLogin,
    OpenedSession,
    OpenedToken,
    SecondFactor,
    WhoAmI,
    Whoami,
    WorkloadLogin,
)

performs = Performers()


def _session(issued: Issued) -> OpenedSession:
    token = issued.token
    return OpenedSession(
        text=issued.text, user=token.user or "", expires_at=token.expires_at or 0.0
    )


@performs(Login)
@answering
async def _login(operation: Login, call: Call) -> OpenedSession:
    return _session(
        await call.service.accounts.sessions.login(
            operation.name, operation.password, operation.code, remote_address(call.request)
        )
    )


@performs(BeginOidcLogin)
@answering
async def _oidc_begin(_operation: BeginOidcLogin, call: Call) -> ProviderLoginStart:
    return await call.service.accounts.provider.begin()


@performs(OidcLogin)
@answering
async def _oidc_login(operation: OidcLogin, call: Call) -> OpenedSession:
    address = remote_address(call.request)
    return _session(await call.service.accounts.provider.login(operation.id_token, address))


@performs(WorkloadLogin)
@answering
async def _workload_login(operation: WorkloadLogin, call: Call) -> OpenedToken:
    issued = await call.service.accounts.workloads.login(
        operation.name, operation.id_token, remote_address(call.request)
    )
    token = issued.token
    return OpenedToken(
        text=issued.text,
        name=token.name,
        roles=tuple(map(binding_text, token.bindings)),
        expires_at=token.expires_at or 0.0,
    )


@performs(BeginEnrolment)
@answering
async def _enrol(operation: BeginEnrolment, call: Call) -> SecondFactor:
    uri = await call.service.accounts.enrolment.begin(
        operation.name, operation.code, operation.password, remote_address(call.request)
    )
    return SecondFactor(otpauth_uri=uri)


@performs(ConfirmEnrolment)
@answering
async def _confirm(operation: ConfirmEnrolment, call: Call) -> Enrolled:
    await call.service.accounts.enrolment.confirm(
        operation.name, operation.code, operation.totp, remote_address(call.request)
    )
    return Enrolled(user=operation.name)


@performs(Logout)
@answering
async def _logout(_operation: Logout, call: Call) -> LoggedOut:
    credential = call.request.headers.get("authorization")
    return LoggedOut(ended=await call.service.accounts.sessions.logout(credential))


@performs(Whoami)
async def _whoami(_operation: Whoami, call: Call) -> WhoAmI:
    asking = call.principal
    return WhoAmI(
        principal=asking.text,
        roles=tuple(map(binding_text, asking.bindings)),
        expires_at=asking.expires_at,
    )


OPERATIONS = all_served(login, performs)
