"""What the SDK for AWS does: sessions, clients, resources, collections, paginators, waiters."""

from __future__ import annotations

import ast

from casemate.audit.privileges import operations, own, services, things
from casemate.audit.privileges.libraries import PREPARED
from casemate.audit.privileges.needs import EVERY
from casemate.audit.privileges.reader import Arguments, Reader
from casemate.audit.privileges.services import plain
from casemate.audit.privileges.special import NO_CALLS
from casemate.audit.privileges.values import (
    CLOUD,
    DATA,
    HOLE,
    NONE,
    Box,
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
    Text,
    Thing,
    Value,
    Values,
    known_texts,
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
            reader.open(EVERY, node, "a client of an unknown service is made")
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
            return things.attribute(reader, each, name, node)
        case _:
            pass
    if name in NO_CALLS and not (isinstance(each, Session) and name == "client"):
        return DATA
    return frozenset((Method(each, name),))


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
            if name in ("paginate", "wait"):
                service, own = receiver.service, receiver.own
                operations.record(reader, service, receiver.operation, given, node, own=own)
            return DATA
        case Thing():
            return things.method(reader, receiver, name, given, node)
        case Collection():
            return things.of_collection(reader, receiver, name, given, node)
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
    operation = things.added(client.service, name) or found.operation(name)
    if operation is None:
        if not name.startswith("_") and name[:1].islower():  # else there is none, in any version
            things.strange(reader, found.prefix, name, node)
        return DATA
    operations.record(reader, client.service, operation, given, node, own=client.own)
    return _url(reader, given, node) if operation == "GetQueueUrl" else DATA


def _url(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    """Return the answer that has the address of a queue: its name says which it is."""
    box = Box(id(node))
    found = operations.named(reader, "sqs", given)
    reader.state.put(box, DATA)
    reader.state.put(box, frozenset(Text(each) for each in found), "QueueUrl")
    return frozenset((box,))


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
        if operation is not None:
            way, own = "GeneratePresignedUrl", client.own
            operations.record(reader, client.service, operation, inner, node, own=own, told=way)


def _of_prepared(
    reader: Reader, prepared: Prepared, name: str, given: Arguments, node: ast.AST
) -> None:
    if prepared.name == "batch_writer" and name in ("put_item", "delete_item"):
        place, way = reader.place(node), f"BatchWriter.{name}"
        reader.recorder.call("dynamodb", way, prepared.resource, place, own=prepared.own)
    for (_, end), methods in PREPARED.items():
        if end == prepared.name:
            named = prepared.resource
            if named == HOLE:
                first = known_texts(given.get(0, "name", "path"))
                named = first[0] if first is not None and len(first) == 1 else HOLE
            for action in methods.get(name, ()):
                operations.used(reader, action, named, node)


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
