"""Resources of the SDK for AWS: tables, buckets, and what they have many of."""

from __future__ import annotations

import ast
from typing import Any

from casemate.audit.privileges import operations, services
from casemate.audit.privileges.needs import EVERY
from casemate.audit.privileges.reader import Arguments, Reader
from casemate.audit.privileges.services import member, plain, resource
from casemate.audit.privileges.special import NO_CALLS
from casemate.audit.privileges.values import (
    DATA,
    HOLE,
    Client,
    Collection,
    Method,
    Prepared,
    Session,
    Thing,
    Value,
    Values,
    texts,
)

_EXTRA = {
    "s3": {
        "upload_file": "UploadFile",
        "upload_fileobj": "UploadFileobj",
        "download_file": "DownloadFile",
        "download_fileobj": "DownloadFileobj",
        "copy": "Copy",
        "generate_presigned_post": "GeneratePresignedPost",
    },
    "rds": {"generate_db_auth_token": "GenerateDbAuthToken"},
    "dynamodb": {"batch_writer": "BatchWriter"},
}


def added(service: str, name: str) -> str | None:
    """Return what a method does that the SDK adds to the operations of a service."""
    return _EXTRA.get(service, {}).get(name)


def attribute(reader: Reader, each: Thing, name: str, node: ast.AST) -> Values:
    """Return an attribute of a resource."""
    described = resource(each.service, each.type)
    many = member(described, "hasMany", name)
    if many is not None:
        return frozenset((Collection(each.service, each.type, many[0], each.name, each.own),))
    if name[:1].isupper() or any(member(described, section, name) for section in _SECTIONS):
        return frozenset((Method(each, name),))
    if name.startswith("wait_until_") or name in _ADDED or name in ("load", "reload"):
        return frozenset((Method(each, name),))
    if not each.type and name in ("client",):
        return frozenset((Client(each.service, each.own),))
    part = member(described, "has", name)
    if part is not None:
        return frozenset((Thing(each.service, part[1]["resource"]["type"], each.name, each.own),))
    if name not in NO_CALLS and not any(
        plain(i["name"]) == plain(name) or plain(i.get("memberName", "")) == plain(name)
        for i in described.get("identifiers", ())
    ):
        _load(reader, each, node, sure=False)
    return DATA


_SECTIONS = ("actions",)
_ADDED = frozenset(
    (
        *("upload_file", "upload_fileobj", "download_file", "download_fileobj", "copy"),
        *("batch_writer", "create_tags", "delete_tags", "get_queue_by_name"),
    )
)


def _load(reader: Reader, each: Thing, node: ast.AST, *, sure: bool) -> None:
    """Tell what an attribute needs that boto3 fetches when it is asked for."""
    request = resource(each.service, each.type).get("load", {}).get("request", {})
    if request:
        call(reader, each, request["operation"], Arguments(), node, sure=sure)


def call(
    reader: Reader,
    each: Thing | Collection,
    operation: str,
    given: Arguments,
    node: ast.AST,
    *,
    sure: bool = True,
) -> None:
    """Tell of an operation on a resource; one of the service itself has its name in arguments."""
    on = each.name if isinstance(each, Collection) or each.type else None
    operations.record(reader, each.service, operation, given, node, on, own=each.own, sure=sure)


def method(reader: Reader, thing: Thing, name: str, given: Arguments, node: ast.AST) -> Values:
    """Read a call of a method of a resource."""
    described = resource(thing.service, thing.type)
    if name in ("load", "reload"):
        _load(reader, thing, node, sure=True)
        return DATA
    action = member(described, "actions", name)
    extra = added(thing.service, name)
    if extra is not None:
        call(reader, thing, extra, given, node)
        if name == "batch_writer":
            return frozenset((Prepared(name, thing.name, thing.own),))
        return DATA
    if action is not None:
        return _action(reader, thing, action[1], given, node)
    if name.startswith("wait_until_"):
        waiter = member(described, "waiters", name.removeprefix("wait_until_"))
        found = services.service(thing.service)
        if waiter is not None and found is not None:
            operation = found.waiters.get(plain(waiter[1]["waiterName"]))
            if operation is not None:
                call(reader, thing, operation, given, node)
                return DATA
    part = member(described, "has", name)
    if part is not None:
        return _named_thing(thing, part[1]["resource"]["type"], given)
    if not thing.type and name in services.types(thing.service):
        return _named_thing(thing, name, given)
    found = services.service(thing.service)
    strange(reader, found.prefix if found is not None else EVERY, name, node)
    return DATA


def _named_thing(thing: Thing, kind: str, given: Arguments) -> Values:
    """Return a resource of a type, by the first of its identifiers: that of what it is part of."""
    names = [thing.name]
    if not thing.type:
        first = next(iter(resource(thing.service, kind).get("identifiers", ())), {"name": ""})
        by_name = [n for n in given.named if plain(n) == plain(first["name"])]
        names = texts(given.get(0, *by_name)) or names
    return frozenset(Thing(thing.service, kind, each, thing.own) for each in names)


def _action(
    reader: Reader, thing: Thing, action: dict[str, Any], given: Arguments, node: ast.AST
) -> Values:
    request = action.get("request")
    if request:
        call(reader, thing, request["operation"], given, node)
    made = action.get("resource")
    if not made:
        return DATA
    names = [thing.name] if thing.name != HOLE else operations.named(reader, thing.service, given)
    return DATA | {Thing(thing.service, made["type"], each, thing.own) for each in names}


def of_collection(
    reader: Reader, each: Collection, name: str, given: Arguments, node: ast.AST
) -> Values:
    """Read a call of a method of a collection."""
    described = resource(each.service, each.owner).get("hasMany", {}).get(each.collection, {})
    _list(reader, each, described, given, node)
    if name in ("all", "filter", "limit", "page_size"):
        return frozenset((each,))
    kind = described.get("resource", {}).get("type", "")
    if name == "pages":
        return frozenset((each,))
    batch = member(resource(each.service, kind), "batchActions", name)
    if batch is not None:
        call(reader, each, batch[1]["request"]["operation"], given, node)
        return DATA
    found = services.service(each.service)
    prefix = found.prefix if found is not None else EVERY
    reader.open(prefix, node, f"what .{name[:60]} of a collection does is not known")
    return DATA


def _list(
    reader: Reader,
    each: Collection,
    described: dict[str, Any],
    given: Arguments,
    node: ast.AST,
) -> None:
    request = described.get("request")
    if request:
        call(reader, each, request["operation"], given, node)


def iterated(reader: Reader, each: Value, node: ast.AST) -> Values:
    """Return what looping over something with rights gives."""
    if isinstance(each, Collection):
        described = resource(each.service, each.owner).get("hasMany", {}).get(each.collection, {})
        _list(reader, each, described, Arguments(), node)
        kind = described.get("resource", {}).get("type", "")
        return frozenset((Thing(each.service, kind, each.name, each.own), each))
    return frozenset((each,))


def strange(reader: Reader, prefix: str, name: str, node: ast.AST) -> None:
    """Tell of a method that is not known, unless it is one of what else may be meant here."""
    if not any(has(each, name) for each in reader.alternatives):
        reader.open(prefix, node, f"what .{name[:60]} of it does is not known")


def has(each: Value, name: str) -> bool:
    """Tell whether a client or a resource has a method of that name."""
    if isinstance(each, Client):
        found = services.service(each.service)
        known = added(each.service, name) is not None or name in _ON_CLIENTS
        return known or (found is not None and found.operation(name) is not None)
    if isinstance(each, Thing):
        described = resource(each.service, each.type)
        return any(member(described, section, name) for section in ("actions", "has")) or (
            name in _ADDED or (not each.type and name in services.types(each.service))
        )
    return isinstance(each, (Collection, Session, Prepared))


_ON_CLIENTS = frozenset(("get_paginator", "get_waiter", "generate_presigned_url"))
