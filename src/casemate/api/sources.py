"""Operation on sources: how the servers outside are that triggers read from."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.api.authorization import function_of
from casemate.api.inputs import Query
from casemate.api.operations import PROJECT, Operation, Service, json_response
from casemate.model.principal import Action
from casemate.sources import SourceStatus


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """The sources of the functions that the caller may read."""

    sources: tuple[SourceStatus, ...]


async def _list(request: Request, service: Service) -> Response:
    query = Query(request)
    project = query.name("project")
    query.end()
    return json_response(
        Sources(
            sources=tuple(
                source
                for source in service.sources()
                if project in (None, source.project)
                and service.may(
                    request, Action.FUNCTION_READ, function_of(source.project, source.function)
                )
            )
        )
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/sources",
        id="listSources",
        tag="functions",
        summary="List the servers outside that triggers read from, and how each is",
        description="Those of functions that the caller may read (`function:read`).",
        endpoint=_list,
        query=(PROJECT,),
        response=Sources,
    ),
)
