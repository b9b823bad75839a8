"""Operations on tables: list, look up an item, query, drop."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.api.authorization import named
from casemate.api.data_query import visible
from casemate.api.inputs import Query, json_body, path_name
from casemate.api.operations import Operation, Service, json_response
from casemate.data.interface import MAX_PAGE, Item, ItemPage, Range
from casemate.model.grant import TableSpec
from casemate.model.principal import Action, ResourceKind

_table = named(ResourceKind.TABLE, "table")


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of a project that the caller may query, by name."""

    tables: tuple[TableSpec, ...]


class ItemKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an item is. `sort` belongs to tables that have a sort attribute."""

    key: str | int | float
    sort: str | int | float | None = None


class TableQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question: items with a key, in the table or an index; without a key all of them."""

    key: str | int | float | None = None
    index: str | None = None
    sort: Range | None = None
    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE)] = 100
    descending: bool = False


async def _list(request: Request, service: Service) -> Response:
    project = path_name(request, "project")
    Query(request).end()
    found = (await service.data.resources(project)).tables
    return json_response(
        Tables(
            tables=tuple(
                spec
                for spec in found
                if visible(
                    request, service, Action.TABLE_QUERY, ResourceKind.TABLE, project, spec.name
                )
            )
        )
    )


async def _get(request: Request, service: Service) -> Response:
    project, table = path_name(request, "project"), path_name(request, "table")
    Query(request).end()
    body = await json_body(request, ItemKey)
    return json_response(await service.data.get_item(project, table, body.key, body.sort))


async def _query(request: Request, service: Service) -> Response:
    project, table = path_name(request, "project"), path_name(request, "table")
    Query(request).end()
    body = await json_body(request, TableQuery)
    return json_response(
        await service.data.query_items(
            project,
            table,
            key=body.key,
            index=body.index,
            sort=body.sort,
            after=body.after,
            limit=body.limit,
            descending=body.descending,
        )
    )


async def _drop(request: Request, service: Service) -> Response:
    project, table = path_name(request, "project"), path_name(request, "table")
    Query(request).end()
    await service.data.drop(project, "table", table)
    return Response(status_code=HTTPStatus.NO_CONTENT.value)


_PATH = "/tables/{project}/{table}"

OPERATIONS = (
    Operation(
        method="GET",
        path="/tables/{project}",
        id="listTables",
        tag="data",
        summary="List the tables of a project that the caller may query",
        endpoint=_list,
        response=Tables,
    ),
    Operation(
        method="POST",
        path=_PATH + "/get",
        id="getItem",
        tag="data",
        summary="Return an item",
        description="Keys are in the body: they are data, and not for the logs of proxies.",
        endpoint=_get,
        body=ItemKey,
        response=Item,
        problems=(404, 413, 415, 422),
        action=Action.TABLE_GET,
        resource=_table,
    ),
    Operation(
        method="POST",
        path=_PATH + "/query",
        id="queryItems",
        tag="data",
        summary="Return a page of items in order",
        description="A page ends at `limit` or at 4 MiB; `after` continues it.",
        endpoint=_query,
        body=TableQuery,
        response=ItemPage,
        problems=(404, 413, 415, 422),
        action=Action.TABLE_QUERY,
        resource=_table,
    ),
    Operation(
        method="DELETE",
        path=_PATH,
        id="dropTable",
        tag="data",
        summary="Delete a table with all its items",
        endpoint=_drop,
        status=HTTPStatus.NO_CONTENT,
        problems=(404,),
        action=Action.TABLE_DROP,
        resource=_table,
    ),
)
