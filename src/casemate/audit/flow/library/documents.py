"""Queries that are made of objects: MongoDB, DynamoDB."""

from __future__ import annotations

import ast

from casemate.audit.flow.library.telling import tell
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Mapping, Sequence, State
from casemate.audit.flow.values import (
    Ref,
    Unknown,
    Value,
    options,
)

_TEXTUAL = (
    *("args", "form", "headers", "cookies", "GET[", "POST[", "queryStringParameters"),
    *("pathParameters", "query_params", "path_params", "values", "query_string", ".path", ".url"),
    *("full_path", "view_args", "['query']", "['headers']", "path_parameters", "['key']"),
)


_COMPARING = frozenset(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin"))
"""Operators of MongoDB whose operand is a value, whatever it is."""


def textual(value: Unknown) -> bool:
    """Return whether a part of an event can only be a text."""
    return any(each in value.path for each in _TEXTUAL)


def find_documents(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    """Queries of MongoDB: an object in the place of a text brings operators."""
    if name.partition(".")[0] not in (
        "pymongo",
        "motor",
        "flask_pymongo",
        "mongomock",
        "mongoengine",
    ):
        return None
    for value in given.places[:1] or list(given.named.values())[:1]:
        _document(reader, name, value, state, node, 0)
    return True


def _document(
    reader: Reader, name: str, value: Value, state: State, node: ast.AST, depth: int
) -> None:
    thing = state.things.get(value.number) if isinstance(value, Ref) else value
    if isinstance(thing, Mapping) and depth < 4:
        for key, each in thing.known.items():
            label = str(key[1]) if isinstance(key, tuple) and len(key) == 2 else ""
            if label in ("$where", "$expr", "$function", "$accumulator"):
                tell(reader, "nosql", name, each, state, node)
            elif label not in _COMPARING:
                _document(reader, name, each, state, node, depth + 1)
        if thing.rest is not None:
            tell(reader, "nosql", name, thing.rest, state, node, "medium")
    elif isinstance(thing, Sequence) and depth < 4:
        for each in (*(thing.items or ()), *([thing.rest] if thing.rest else [])):
            _document(reader, name, each, state, node, depth + 1)
    elif isinstance(value, Unknown) and not (textual(value) or value.path in reader.texts):
        tell(reader, "nosql", name, value, state, node, "medium")
    else:
        for option in options(value):
            if option is not value:
                _document(reader, name, option, state, node, depth + 1)


def dynamodb(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    if name.partition(".")[0] not in ("boto3", "aioboto3", "botocore", ""):
        return None
    for label in (
        *("FilterExpression", "KeyConditionExpression", "ConditionExpression"),
        *("UpdateExpression", "ProjectionExpression", "Statement"),
    ):
        value = given.named.get(label)
        if value is None:
            continue
        if label != "Statement" and _placed(value, given, state):
            tell(reader, "nosql", name, value, state, node, "low")
        else:
            tell(reader, "sql" if label == "Statement" else "nosql", name, value, state, node)
    _document_filter(reader, name, given, state, node)
    return None


def _placed(value: Value, given: Arguments, state: State) -> bool:
    """Return whether all data in an expression names place holders that are given with it.

    DynamoDB takes letters, digits and `_` alone in their names, so such data brings no more of
    an expression; whoever chooses it still chooses which attributes are meant.
    """
    forms = set[int]()
    for label in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        each = given.named.get(label)
        thing = state.things.get(each.number) if isinstance(each, Ref) else None
        if isinstance(thing, Mapping):
            forms.update(taint.forms[0] for taint in thing.keys)
    return all(taint.forms[0] in forms for taint in state.deep(value))


_STATEMENTS = ("sql", "Sql", "Sqls", "QueryString", "Expression", "sqlStatements", "queryString")
"""Where Aurora, Redshift, Athena, Timestream, S3 and the logs of AWS take their queries."""


def statements(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    """Tell of a query that outside data is part of, for the services of AWS that take one."""
    dynamodb(reader, name, given, state, node, receiver)
    if name.partition(".")[0] in ("boto3", "aioboto3", "botocore"):
        for label in _STATEMENTS:
            value = given.named.get(label)
            if value is not None:
                tell(reader, "sql", name, value, state, node)
    return None


def _document_filter(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST
) -> None:
    value = given.named.get("ScanFilter") or given.named.get("QueryFilter")
    if value is not None:
        _conditions(reader, name, value, state, node, 0)


def _conditions(
    reader: Reader, name: str, value: Value, state: State, node: ast.AST, depth: int
) -> None:
    """Tell of names and operators from outside; values that are compared bring none."""
    thing = state.things.get(value.number) if isinstance(value, Ref) else value
    if not isinstance(thing, Mapping) or depth >= 2:
        tell(reader, "nosql", name, value, state, node, "medium")
        return
    for key, each in thing.known.items():
        if not (isinstance(key, tuple) and key[-1] == "AttributeValueList"):
            _conditions(reader, name, each, state, node, depth + 1)
    if thing.rest is not None:
        tell(reader, "nosql", name, thing.rest, state, node, "medium")
