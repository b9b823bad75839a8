"""What the SDK for AWS does: sessions, clients, resources, collections, paginators, waiters."""

from __future__ import annotations

import ast
from typing import Any

from casemate.audit.privileges import operations, own, services
from casemate.audit.privileges.libraries import PREPARED
from casemate.audit.privileges.needs import EVERY
from casemate.audit.privileges.reader import Arguments, Reader
from casemate.audit.privileges.services import member, plain, resource
from casemate.audit.privileges.special import NO_CALLS
from casemate.audit.privileges.values import (
    CLOUD,
    DATA,
    HOLE,
    NONE,
    Capability,
    Client,
    Collection,
    Context,
    Credentials,
    Meta,
    Method,
    Operation,
    Prepared,
    Session,
    Thing,
    Value,
    Values,
    known_texts,
    texts,
)

_KEYS = ("aws_access_key_id", "aws_session_token", "aws_secret_access_key")
_MAKERS = {"client": "client", "resource": "resource", "create_client": "client"}
_SDKS = ("boto3.", "aioboto3.")


def with_own_role(given: Arguments) -> bool:
    """Tell whether a session or client acts as the function: it is given no other credentials."""
    return not any(name in given.named for name in (*_KEYS, "profile_name"))


def library(reader: Reader, name: str, given: Arguments, node: ast.AST) -> Values | None:
    """Read a call of a function of the SDK; None if it is none."""
    if not name.startswith(_SDKS):
        return None
    last = name.rpartition(".")[2]
    if last in _MAKERS and name.count(".") == 1:
        return _make(reader, last, given, node, own=True)
    return None


def _make(reader: Reader, way: str, given: Arguments, node: ast.AST, *, own: bool) -> Values:
    """Return a client or a resource of each service that is asked for."""
    names = known_texts(given.get(0, "service_name"))
    if names is None:
        if given.get(0, "service_name") or given.open:
            reader.open(EVERY, node, "a client of a service that is not known is made")
        return NONE
    own = own and with_own_role(given)
    found = NONE
    for name in names:
        if services.service(name) is None:
            reader.open(EVERY, node, f"the SDK here has no service {name[:60]!r}")
        elif way == "resource":
            found |= {Thing(name, "", HOLE, own)}
        else:
            found |= {Client(name, own)}
    return found


def attribute(reader: Reader, each: Value, name: str, node: ast.AST) -> Values:
    """Return an attribute of something that has rights."""
    match each:
        case Session():
            if name == "credentials":
                return frozenset((Credentials(each.own),))
        case Credentials():
            return frozenset((each, Method(each, name)))
        case Meta():
            return frozenset((Client(each.service, each.own),)) if name == "client" else DATA
        case Client() | Thing() if name == "meta":
            return frozenset((Meta(each.service, each.own),))
        case Thing():
            return _of_thing(reader, each, name, node)
        case _:
            pass
    if name in NO_CALLS and not (isinstance(each, Session) and name == "client"):
        return DATA
    return frozenset((Method(each, name),))


def _of_thing(reader: Reader, each: Thing, name: str, node: ast.AST) -> Values:
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
    if request and each.own:
        operations.record(
            reader, each.service, request["operation"], Arguments(), node, each.name, sure=sure
        )


def method(reader: Reader, called: Method, given: Arguments, node: ast.AST) -> Values:
    """Read a call of a method of something that has rights."""
    receiver, name = called.receiver, called.name
    match receiver:
        case Session():
            if name in _MAKERS:
                return _make(reader, name, given, node, own=receiver.own)
            return frozenset((Credentials(receiver.own),)) if name == "get_credentials" else DATA
        case Credentials():
            return frozenset((receiver,))
        case Client():
            return _of_client(reader, receiver, name, given, node)
        case Operation():
            if name in ("paginate", "wait") and receiver.own:
                operations.record(reader, receiver.service, receiver.operation, given, node)
            return DATA
        case Thing():
            return _of_resource(reader, receiver, name, given, node)
        case Collection():
            return _of_collection(reader, receiver, name, given, node)
        case Prepared():
            _of_prepared(reader, receiver, name, given, node)
            return DATA
        case _:
            return DATA


def _of_client(
    reader: Reader, client: Client, name: str, given: Arguments, node: ast.AST
) -> Values:
    found = services.service(client.service)
    if found is None:
        return DATA
    if name in ("get_paginator", "get_waiter"):
        return _later(reader, client, name, given, node)
    if name == "generate_presigned_url":
        _presigned(reader, client, given, node)
        return DATA
    operation = _extra(client.service, name) or found.operation(name)
    if operation is None:
        if not name.startswith("_") and name[:1].islower():  # else there is none, in any version
            _strange(reader, found.prefix, name, node)
        return DATA
    if client.own:
        operations.record(reader, client.service, operation, given, node)
    return DATA


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


def _extra(service: str, name: str) -> str | None:
    return _EXTRA.get(service, {}).get(name)


def _later(reader: Reader, client: Client, name: str, given: Arguments, node: ast.AST) -> Values:
    found = services.service(client.service)
    names = known_texts(given.get(0, "operation_name", "waiter_name"))
    if found is None or names is None:
        prefix = found.prefix if found is not None else EVERY
        reader.open(prefix, node, f"what .{name} is asked for is not known")
        return DATA
    made = NONE
    for each in names:
        operation = (
            found.operation(each) if name == "get_paginator" else found.waiters.get(plain(each))
        )
        if operation is None:
            reader.open(found.prefix, node, f"it has no {each[:60]!r} to page or to wait for")
        else:
            made |= {Operation(client.service, operation, client.own)}
    return made or DATA


def _presigned(reader: Reader, client: Client, given: Arguments, node: ast.AST) -> None:
    found = services.service(client.service)
    names = known_texts(given.get(0, "ClientMethod"))
    if found is None or names is None:
        prefix = found.prefix if found is not None else EVERY
        reader.open(prefix, node, "for which operation a URL is signed is not known")
        return
    inner = operations.of_box(reader, given.get(1, "Params"))
    for each in names:
        operation = found.operation(each)
        if operation is not None and client.own:
            operations.record(reader, client.service, operation, inner, node)


def _of_resource(
    reader: Reader, thing: Thing, name: str, given: Arguments, node: ast.AST
) -> Values:
    described = resource(thing.service, thing.type)
    if name in ("load", "reload"):
        _load(reader, thing, node, sure=True)
        return DATA
    action = member(described, "actions", name)
    extra = _extra(thing.service, name)
    if extra is not None:
        if thing.own:
            operations.record(reader, thing.service, extra, given, node, thing.name)
        if name == "batch_writer":
            return frozenset((Prepared(name, thing.name),))
        return DATA
    if action is not None:
        return _action(reader, thing, action[1], given, node)
    if name.startswith("wait_until_"):
        waiter = member(described, "waiters", name.removeprefix("wait_until_"))
        found = services.service(thing.service)
        if waiter is not None and found is not None and thing.own:
            operation = found.waiters.get(plain(waiter[1]["waiterName"]))
            if operation is not None:
                operations.record(reader, thing.service, operation, given, node, thing.name)
                return DATA
    part = member(described, "has", name)
    if part is not None:
        return _named_thing(thing, part[1]["resource"]["type"], given)
    if not thing.type and name in services.types(thing.service):
        return _named_thing(thing, name, given)
    found = services.service(thing.service)
    _strange(reader, found.prefix if found is not None else EVERY, name, node)
    return DATA


def _named_thing(thing: Thing, kind: str, given: Arguments) -> Values:
    """Return a resource of a type, by the first of its identifiers."""
    names = texts(given.places[0]) if given.places else []
    names = names or texts(NONE.union(*given.named.values()))
    if (thing.type and thing.name != HOLE) or not names:
        names = [thing.name]
    return frozenset(Thing(thing.service, kind, each, thing.own) for each in names)


def _strange(reader: Reader, prefix: str, name: str, node: ast.AST) -> None:
    """Tell of a method that is not known, unless it is one of what else may be meant here."""
    if not any(has(each, name) for each in reader.alternatives):
        reader.open(prefix, node, f"what .{name[:60]} of it does is not known")


def has(each: Value, name: str) -> bool:
    """Tell whether a client or a resource has a method of that name."""
    if isinstance(each, Client):
        found = services.service(each.service)
        known = _extra(each.service, name) is not None or name in _ON_CLIENTS
        return known or (found is not None and found.operation(name) is not None)
    if isinstance(each, Thing):
        described = resource(each.service, each.type)
        return any(member(described, section, name) for section in ("actions", "has")) or (
            name in _ADDED or (not each.type and name in services.types(each.service))
        )
    return isinstance(each, (Collection, Session, Prepared))


_ON_CLIENTS = frozenset(("get_paginator", "get_waiter", "generate_presigned_url"))


def _action(
    reader: Reader, thing: Thing, action: dict[str, Any], given: Arguments, node: ast.AST
) -> Values:
    request = action.get("request")
    if request and thing.own:
        operations.record(reader, thing.service, request["operation"], given, node, thing.name)
    made = action.get("resource")
    if not made:
        return DATA
    names = [thing.name] if thing.name != HOLE else operations.named(reader, thing.service, given)
    return DATA | {Thing(thing.service, made["type"], each, thing.own) for each in names}


def _of_collection(
    reader: Reader, each: Collection, name: str, given: Arguments, node: ast.AST
) -> Values:
    described = resource(each.service, each.owner).get("hasMany", {}).get(each.collection, {})
    _list(reader, each, described, given, node)
    if name in ("all", "filter", "limit", "page_size"):
        return frozenset((each,))
    kind = described.get("resource", {}).get("type", "")
    if name == "pages":
        return frozenset((each,))
    batch = member(resource(each.service, kind), "batchActions", name)
    if batch is not None:
        if each.own:
            operations.record(
                reader, each.service, batch[1]["request"]["operation"], given, node, each.name
            )
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
    if request and each.own:
        operations.record(reader, each.service, request["operation"], given, node, each.name)


def iterated(reader: Reader, each: Value, node: ast.AST) -> Values:
    """Return what looping over something with rights gives."""
    if isinstance(each, Collection):
        described = resource(each.service, each.owner).get("hasMany", {}).get(each.collection, {})
        _list(reader, each, described, Arguments(), node)
        kind = described.get("resource", {}).get("type", "")
        return frozenset((Thing(each.service, kind, each.name, each.own), each))
    return frozenset((each,))


def _of_prepared(
    reader: Reader, prepared: Prepared, name: str, given: Arguments, node: ast.AST
) -> None:
    for (_, end), methods in PREPARED.items():
        if end == prepared.name:
            named = prepared.resource
            if named == HOLE:
                first = known_texts(given.get(0, "name", "path"))
                named = first[0] if first is not None and len(first) == 1 else HOLE
            for action in methods.get(name, ()):
                reader.recorder.need(action, named, reader.place(node))


def called(reader: Reader, each: Value, given: Arguments, node: ast.AST) -> Values:
    """Read a call of something with rights itself, which is none that is known."""
    if isinstance(each, Credentials):
        return frozenset((each,))
    escaped(reader, each, node, "a call of it")
    return DATA


def escaped(reader: Reader, each: object, node: ast.AST, to: str) -> None:
    """Tell that something with rights came to code that is not read."""
    match each:
        case Session() if each.own:
            reader.open(EVERY, node, f"a session is passed to {to}")
        case Credentials() if each.own:
            reader.open(EVERY, node, f"the credentials themselves are passed to {to}")
        case Client() | Thing() | Collection() | Operation() | Meta() if each.own:
            found = services.service(each.service)
            prefix = found.prefix if found is not None else EVERY
            reader.open(prefix, node, f"a client is passed to {to}")
        case Method() if getattr(each.receiver, "kind", "") in CLOUD:
            method(reader, each, Arguments(open=True), node)
        case Method() if isinstance(each.receiver, (Context, Capability)):
            escaped(reader, each.receiver, node, to)
        case Context() | Capability():
            own.escaped(reader, each, node)
        case _:
            pass
