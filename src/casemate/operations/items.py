"""Operations on tables and their items."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.data import Item, ItemPage, Range
from casemate.model.grant import TableSpec
from casemate.model.principal import Action, ResourceKind
from casemate.operations.declaration import Decided, Declaration, Effect, Operation, on
from casemate.operations.fields import (
    MAX_SENT,
    After,
    Attribute,
    IfRevision,
    Limit,
    Name,
    text,
)
from casemate.operations.given import Given

_table = on(ResourceKind.TABLE)
_PATH = "/tables/{project}/{table}"
_HELP = "Text as it is, a number as JSON; text that looks like a number in JSON's quotes."
_KEY = Annotated[
    Attribute, msgspec.Meta(description="The item's key.", examples=["ada"]), Given(_HELP)
]
_SORT = Annotated[
    Attribute,
    msgspec.Meta(
        description="The item's sort value, in tables that have one.", examples=["2026-11-27"]
    ),
    Given(_HELP, argument=True),
]


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of a project that you may query, by name."""

    tables: tuple[TableSpec, ...]


class WrittenItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item that is kept."""

    revision: int
    modified_at: float


class ListTables(Operation[Tables], frozen=True, kw_only=True):
    """List the tables of a project that you may query."""

    declared = Declaration(http="GET /tables/{project}", tag="data", decided=Decided.FOR_EACH)
    project: Name


class GetItem(Operation[Item], frozen=True, kw_only=True):
    """Return an item.

    Keys are in the body because they are data, which must not get into the logs of proxies.
    """

    declared = Declaration(
        http=f"POST {_PATH}/get",
        tag="data",
        effect=Effect.READ,
        action=Action.TABLE_GET,
        on=_table,
        problems=(404, 413, 415, 422),
        capability="table.get",
    )
    project: Name
    table: Name
    key: _KEY
    sort: _SORT | None = None


class PutItem(Operation[Item], frozen=True, kw_only=True):
    """Write an item whole; its key attributes say where.

    `if_revision` 0: only if there is none; n: only if that revision is present. The content is a
    JSON object.
    """

    declared = Declaration(
        action=Action.TABLE_PUT,
        on=_table,
        capability="table.put",
        content="content",
        inside=frozenset({"labels"}),
    )
    project: Name
    table: Name
    content: bytes
    if_revision: IfRevision | None = None
    labels: bytes = b""


class WriteItem(Operation[WrittenItem], frozen=True, kw_only=True):
    """Write a whole item; its key attributes say where.

    The item may have at most 512 KiB, and no more than the table takes (413). 409 means that
    `if_revision` does not match. Functions that listen to the table are told. 429 means that they
    have no room for it.
    """

    declared = Declaration(
        http=f"POST {_PATH}/put",
        tag="data",
        action=Action.TABLE_PUT,
        on=_table,
        problems=(404, 409, 413, 415, 422, 429),
        max_body=MAX_SENT,
        secret=frozenset({"value"}),
        example={"value": msgspec.Raw(b'{"id": "ada", "total": 12}')},
    )
    project: Name
    table: Name
    value: Annotated[msgspec.Raw, msgspec.Meta(description="The item, a JSON object.")]
    if_revision: IfRevision | None = None


class DeleteItem(Operation[None], frozen=True, kw_only=True):
    """Delete an item. Without a condition it need not exist.

    Keys are in the body because they are data, which must not get into the logs of proxies.
    """

    declared = Declaration(
        http=f"POST {_PATH}/delete",
        tag="data",
        status=HTTPStatus.NO_CONTENT,
        action=Action.TABLE_DELETE,
        on=_table,
        problems=(404, 409, 413, 415, 422, 429),
        capability="table.delete",
    )
    project: Name
    table: Name
    key: _KEY
    sort: _SORT | None = None
    if_revision: IfRevision | None = None


class QueryItems(Operation[ItemPage], frozen=True, kw_only=True):
    """Return a page of items in order.

    Returns the items with a key, in the table or an index; without a key all items. A page ends at
    `limit` or at 4 MiB; `after` continues it.
    """

    declared = Declaration(
        http=f"POST {_PATH}/query",
        tag="data",
        effect=Effect.READ,
        action=Action.TABLE_QUERY,
        on=_table,
        problems=(404, 413, 415, 422),
        capability="table.query",
    )
    project: Name
    table: Name
    key: _KEY | None = None
    index: Annotated[str, text("Query this index.", most=256, example="by-state")] | None = None
    sort: Range | None = None
    descending: Annotated[bool, msgspec.Meta(description="Highest first.")] = False
    limit: Limit = 100
    after: After | None = None


class DropTable(Operation[None], frozen=True, kw_only=True):
    """Delete a table with all its items."""

    declared = Declaration(
        http=f"DELETE {_PATH}",
        tag="data",
        status=HTTPStatus.NO_CONTENT,
        action=Action.TABLE_DROP,
        on=_table,
        problems=(404,),
    )
    project: Name
    table: Name
