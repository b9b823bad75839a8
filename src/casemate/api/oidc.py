"""The OpenID provider that the node trusts."""

from __future__ import annotations

from casemate.api.account_answers import answering
from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.oidc import OidcSettings
from casemate.operations import oidc
from casemate.operations.oidc import OidcState, RemoveOidc, SetOidc, ShowOidc

performs = Performers()


def _state(call: Call) -> OidcState:
    return OidcState(provider=call.service.accounts.provider.settings)


@performs(ShowOidc)
async def _show(_operation: ShowOidc, call: Call) -> OidcState:
    return _state(call)


@performs(SetOidc)
@answering
async def _set(operation: SetOidc, call: Call) -> OidcState:
    settings = OidcSettings(
        issuer=operation.issuer, client_id=operation.client_id, audiences=operation.audiences
    )
    await call.service.accounts.provider.set_settings(
        settings, by=call.principal, made_with=call.token_id
    )
    return _state(call)


@performs(RemoveOidc)
@answering
async def _remove(_operation: RemoveOidc, call: Call) -> OidcState:
    await call.service.accounts.provider.set_settings(
        None, by=call.principal, made_with=call.token_id
    )
    return _state(call)


OPERATIONS = all_served(oidc, performs)
