"""Operations on queues and topics: list, see how much waits, purge, drop."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.api.authorization import named
from casemate.api.data_query import visible
from casemate.api.inputs import Query, path_name
from casemate.api.operations import Operation, Service, json_response
from casemate.data.interface import QueueInfo
from casemate.model.grant import QueueSpec
from casemate.model.principal import Action, ResourceKind


class Queues(msgspec.Struct, frozen=True, kw_only=True):
    """The queues and topics of a project that the caller may read, by name."""

    queues: tuple[QueueSpec, ...] = ()
    topics: tuple[QueueSpec, ...] = ()


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages were deleted."""

    deleted: int


async def _list(request: Request, service: Service) -> Response:
    project = path_name(request, "project")
    Query(request).end()
    found = await service.data.resources(project)

    def shown(kind: ResourceKind, specs: tuple[QueueSpec, ...]) -> tuple[QueueSpec, ...]:
        return tuple(
            spec
            for spec in specs
            if visible(request, service, Action.QUEUE_READ, kind, project, spec.name)
        )

    return json_response(
        Queues(
            queues=shown(ResourceKind.QUEUE, found.queues),
            topics=shown(ResourceKind.TOPIC, found.topics),
        )
    )


async def _show(kind: str, request: Request, service: Service) -> Response:
    project, name = path_name(request, "project"), path_name(request, kind)
    Query(request).end()
    return json_response(await service.data.queue_info(project, kind, name))


async def _purge(kind: str, request: Request, service: Service) -> Response:
    project, name = path_name(request, "project"), path_name(request, kind)
    Query(request).end()
    return json_response(Purged(deleted=await service.data.purge(project, kind, name)))


async def _drop(kind: str, request: Request, service: Service) -> Response:
    project, name = path_name(request, "project"), path_name(request, kind)
    Query(request).end()
    await service.data.drop(project, kind, name)
    return Response(status_code=HTTPStatus.NO_CONTENT.value)


def _operations(kind: ResourceKind) -> tuple[Operation, ...]:
    word = kind.value
    path = f"/{word}s/{{project}}/{{{word}}}"
    resource = named(kind, word)
    return (
        Operation(
            method="GET",
            path=path,
            id=f"show{word.title()}",
            tag="data",
            summary=f"Tell how much waits in a {word}",
            endpoint=partial(_show, word),
            response=QueueInfo,
            problems=(404,),
            action=Action.QUEUE_READ,
            resource=resource,
        ),
        Operation(
            method="POST",
            path=path + "/purge",
            id=f"purge{word.title()}",
            tag="data",
            summary=f"Delete every message of a {word}",
            endpoint=partial(_purge, word),
            response=Purged,
            problems=(404,),
            action=Action.QUEUE_PURGE,
            resource=resource,
        ),
        Operation(
            method="DELETE",
            path=path,
            id=f"drop{word.title()}",
            tag="data",
            summary=f"Delete a {word} with its messages",
            endpoint=partial(_drop, word),
            status=HTTPStatus.NO_CONTENT,
            problems=(404,),
            action=Action.QUEUE_DROP,
            resource=resource,
        ),
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/queues/{project}",
        id="listQueues",
        tag="data",
        summary="List the queues and topics of a project that the caller may read",
        endpoint=_list,
        response=Queues,
    ),
    *_operations(ResourceKind.QUEUE),
    *_operations(ResourceKind.TOPIC),
)
