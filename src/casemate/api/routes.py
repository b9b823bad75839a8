"""Operations on whose routes are whose: which paths and host names projects were given."""

from __future__ import annotations

from http import HTTPStatus

from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.model.route import RouteClaim, is_reserved
from casemate.operations import routes
from casemate.operations.routes import ClaimRoutes, Claims, ListRouteClaims

performs = Performers()


@performs(ListRouteClaims)
async def _list(_operation: ListRouteClaims, call: Call) -> Claims:
    return Claims(claims=await call.service.control.route_claims())


@performs(ClaimRoutes)
async def _claim(operation: ClaimRoutes, call: Call) -> RouteClaim:
    for prefix in operation.prefixes:
        if is_reserved(prefix):
            raise RequestError(
                HTTPStatus.BAD_REQUEST, f"{prefix} is the node's own and cannot be given away."
            )
    claim = RouteClaim(project=operation.name, prefixes=operation.prefixes, hosts=operation.hosts)
    await call.service.control.claim_routes(claim, by=call.actor)
    return claim


OPERATIONS = all_served(routes, performs)
