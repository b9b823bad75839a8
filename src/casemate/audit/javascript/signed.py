"""Addresses that are signed for an object of a bucket, whose name the caller chooses."""

from __future__ import annotations

from casemate.audit.flow.library.signed import chosen
from casemate.audit.flow.state import Instance, Mapping, State
from casemate.audit.flow.values import Value
from casemate.audit.javascript import sinks
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import UNDEFINED, thing_of

_OF_COMMANDS = "@aws-sdk/client-s3."
_V2 = ("getSignedUrl", "getSignedUrlPromise", "createPresignedPost")


def addresses(reader: Reader, name: str, given: list[Value], state: State, node: Node) -> None:
    """Tell of an address that AWS's SDK signs for whatever object a caller names."""
    key = _key(name, given, state)
    if key is not None and (taints := chosen(key, state, reader.kinds)):
        reader.report("object", name, taints, node, "high")


def _key(name: str, given: list[Value], state: State) -> Value | None:
    """Return the name of the object that an address is signed for, if it is one."""
    package, method = sinks.split(name)
    if package == "@aws-sdk/s3-request-presigner" and method == "getSignedUrl":
        command = thing_of(given[1], state) if len(given) > 1 else None
        if isinstance(command, Instance) and command.type.startswith(_OF_COMMANDS):
            return _in(command.attributes.get("=0"), state)
    elif package == "@aws-sdk/s3-presigned-post" and method == "createPresignedPost":
        return _in(given[1] if len(given) > 1 else None, state)
    elif package == "aws-sdk" and name.startswith("aws-sdk.S3") and method in _V2:
        post = method == "createPresignedPost"
        found = given[0 if post else 1] if len(given) > (0 if post else 1) else None
        return _in(found, state, "Fields", "key") if post else _in(found, state)
    return None


def _in(value: Value | None, state: State, *path: str) -> Value | None:
    for label in path or ("Key",):
        thing = thing_of(value, state) if value is not None else None
        value = thing.known.get(label, UNDEFINED) if isinstance(thing, Mapping) else None
    return value
