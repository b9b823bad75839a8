"""Operations on the OpenID provider that the node trusts."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from casemate.accounts import OidcSettings
from casemate.api.account_answers import answering, require_plain
from casemate.api.account_bodies import OidcState
from casemate.api.authorization import principal
from casemate.api.inputs import json_body
from casemate.api.operations import Operation, Service, json_response
from casemate.model.principal import Action


def _state(service: Service) -> Response:
    return json_response(OidcState(provider=service.accounts.provider.settings))


async def _show(request: Request, service: Service) -> Response:
    require_plain(request)
    return _state(service)


@answering
async def _set(request: Request, service: Service) -> Response:
    require_plain(request)
    settings = await json_body(request, OidcSettings)
    await service.accounts.provider.set_settings(settings, by=principal(request))
    return _state(service)


@answering
async def _remove(request: Request, service: Service) -> Response:
    require_plain(request)
    await service.accounts.provider.set_settings(None, by=principal(request))
    return _state(service)


OPERATIONS = (
    Operation(
        method="GET",
        path="/oidc",
        id="showOidc",
        tag="oidc",
        summary="Show the OpenID provider",
        endpoint=_show,
        response=OidcState,
        action=Action.ACCOUNT_READ,
    ),
    Operation(
        method="PUT",
        path="/oidc",
        id="setOidc",
        tag="oidc",
        summary="Trust an OpenID provider, which must answer",
        endpoint=_set,
        body=OidcSettings,
        response=OidcState,
        problems=(409, 413, 415, 422, 503),
        action=Action.ACCOUNT_WRITE,
    ),
    Operation(
        method="DELETE",
        path="/oidc",
        id="removeOidc",
        tag="oidc",
        summary="Trust no OpenID provider",
        endpoint=_remove,
        response=OidcState,
        problems=(409,),
        action=Action.ACCOUNT_WRITE,
    ),
)
