"""Addresses that are signed for an object of a bucket, whose name the caller chooses."""

from __future__ import annotations

import ast

from casemate.audit.flow.library import contexts
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Mapping, State
from casemate.audit.flow.values import Ref, Taints, Value, few

_ROOTS = ("boto3", "aioboto3", "botocore", "")


def chosen(value: Value, state: State, kinds: list[str]) -> Taints:
    """Return the data of a request that is the beginning of an object's name.

    Behind a part of the code's own it chooses within that folder alone: names have no `..`.
    What was stored or comes with an event was somebody else's choice.
    """
    found = contexts.harmful("object", value, state, kinds)
    return few(taint for taint in found if kinds[taint.source] == "http")


def addresses(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    """Tell of an address that boto3 signs for whatever object a caller names."""
    if name.partition(".")[0] not in _ROOTS:
        return None
    key: Value | None = given.get(1, "Key")
    if name.endswith("generate_presigned_url"):
        params = given.get(1, "Params")
        thing = state.things.get(params.number) if isinstance(params, Ref) else None
        key = thing.known.get(("str", "Key")) if isinstance(thing, Mapping) else None
    if key is not None and (taints := chosen(key, state, reader.kinds)):
        reader.report("object", name, taints, node)
    return None
