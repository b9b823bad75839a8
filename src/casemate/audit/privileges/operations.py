"""Which actions a call of an operation needs, and on which resources."""

from __future__ import annotations

import ast
from functools import cache

from casemate.audit.importers.aws.data import actions_of, dependents
from casemate.audit.privileges import services
from casemate.audit.privileges.reader import Arguments, Reader
from casemate.audit.privileges.special import (
    FREE_OF_RIGHTS,
    OPERATIONS,
    RESOURCES,
    Actions,
)
from casemate.audit.privileges.values import (
    HOLE,
    NONE,
    Box,
    Text,
    Values,
    known_texts,
    texts,
)

_MAX_NAMES = 24


def record(
    reader: Reader,
    service: str,
    operation: str,
    given: Arguments,
    node: ast.AST,
    name: str | None = None,
    *,
    own: bool = True,
    sure: bool = True,
    told: str = "",
) -> None:
    """Tell the recorder what a call needs: nothing if it is made with other credentials.

    `name` is that of the resource it is called on, if it is called on one; `told` what is called,
    if that is not the operation itself.
    """
    found = services.service(service)
    if found is None:
        return
    names = [name] if name is not None else named(reader, service, given, operation)[:_MAX_NAMES]
    place, copies = reader.place(node), operation in _COPYING
    if sure:
        for each in names:
            reader.recorder.call(service, told or operation, each, place, own=own)
        for each in _sources(reader, given) if copies else ():
            reader.recorder.call(service, "GetObject", each, place, own=own)
    if not own:
        return
    actions = actions_for(found.prefix, service, operation)
    if actions is None:
        reader.open(found.prefix, node, f"which rights {operation} needs is not known")
        return
    if actions.perhaps and operation.startswith("Transact"):
        actions = _transaction(reader, given, actions)
    if operation in ("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"):
        actions = by_statement(given, actions)
    actions = by_arguments(found.prefix, operation, given, actions)
    for each in names:
        for action in actions.needed:
            foreign = not action.startswith(f"{found.prefix}:")
            where = HOLE if foreign or (copies and action == "s3:GetObject") else each
            reader.recorder.need(action, where, place, sure=sure)
        for action in actions.perhaps:
            reader.recorder.need(action, HOLE, place, sure=False)


def used(reader: Reader, action: str, resource: str, node: ast.AST) -> None:
    """Tell of an action that a library needs for a call, which calls the operation of its name."""
    service, _, operation = action.partition(":")
    place = reader.place(node)
    reader.recorder.need(action, resource, place)
    reader.recorder.call(service, operation, resource, place)


@cache
def actions_for(prefix: str, service: str, operation: str) -> Actions | None:
    """Return what an operation needs, or None if that is not known."""
    own = f"{prefix}:{operation}"
    always = OPERATIONS.get(f"{service}:*", OPERATIONS.get(f"{prefix}:*", Actions(())))
    if own in FREE_OF_RIGHTS:
        return Actions((), (own,))
    found = OPERATIONS.get(own)
    if found is None and prefix == "apigateway":
        found = Actions((f"apigateway:{services.verb(service, operation)}",))
    if found is None:
        known = {each.lower(): each for each in actions_of(prefix)}
        action = known.get(operation.lower())
        if action is None:
            return None
        found = Actions((f"{prefix}:{action}",))
    more = tuple(each for action in found.needed for each in dependents(action))
    return Actions(found.needed, (*found.perhaps, *always.perhaps, *more))


def named(reader: Reader, service: str, given: Arguments, operation: str = "") -> list[str]:
    """Return the names of resources that arguments have; `HOLE` where they are not known."""
    found = services.service(service)
    arguments, _ = RESOURCES.get(found.prefix if found is not None else "", ((), ""))
    held = NONE
    for each in arguments:
        for value in given.named.get(each, NONE):
            held |= reader.state.got(value) if isinstance(value, Box) else {value}
    if not held and "RequestItems" in given.named:
        for value in given.named["RequestItems"]:
            held |= reader.state.keys.get(value.number) if isinstance(value, Box) else {value}
    if not held and "TransactItems" in given.named:
        held = _within(reader, given.named["TransactItems"], "TableName")
    place = _BY_PLACE.get(operation, -1)
    if not held and 0 <= place < len(given.places):
        held = given.places[place]
    return texts(held) or [HOLE]


_COPYING = ("CopyObject", "Copy", "UploadPartCopy")


def _sources(reader: Reader, given: Arguments) -> list[str]:
    """Return the buckets that an object is copied from."""
    found: list[str] = []
    for each in given.get(0, "CopySource"):
        if isinstance(each, Box):
            found += texts(reader.state.got(each, "Bucket"))
        elif isinstance(each, Text) and HOLE not in each.text.partition("/")[0]:
            found.append(each.text.partition("/")[0])
        else:
            found.append(HOLE)
    return found[:_MAX_NAMES]


_BY_PLACE = {
    "UploadFile": 1,
    "UploadFileobj": 1,
    "DownloadFile": 0,
    "DownloadFileobj": 0,
    "Copy": 1,
    "GeneratePresignedPost": 0,
}
"""Where a call may name its bucket without the argument's name."""


def of_box(reader: Reader, values: Values) -> Arguments:
    """Return arguments that stand in a map."""
    given = Arguments(open=True)
    for each in values:
        if isinstance(each, Box):
            for name in known_texts(reader.state.keys.get(each.number)) or ():
                given.named[name] = reader.state.got(each, name)
    return given


def _within(reader: Reader, values: Values, name: str, depth: int = 4) -> Values:
    """Return what stands under a name anywhere within containers."""
    found = NONE
    for each in values:
        if isinstance(each, Box) and depth:
            found |= reader.state.keyed.get((each.number, name))
            found |= _within(reader, reader.state.got(each), name, depth - 1)
    return found


PARTS = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}


def _transaction(reader: Reader, given: Arguments, actions: Actions) -> Actions:
    """Return what the parts of a transaction need, where the code says which these are."""
    found: set[str] = set()
    for whole in given.get(-1, "TransactItems"):
        if not isinstance(whole, Box):
            return actions
        for part in reader.state.got(whole):
            keys = (
                known_texts(reader.state.keys.get(part.number)) if isinstance(part, Box) else None
            )
            if keys is None:
                return actions
            found |= {PARTS[key] for key in keys if key in PARTS}
    return Actions(tuple(sorted(found))) if found else actions


_WORDS = {
    "select": "dynamodb:PartiQLSelect",
    "insert": "dynamodb:PartiQLInsert",
    "update": "dynamodb:PartiQLUpdate",
    "delete": "dynamodb:PartiQLDelete",
}


def by_statement(given: Arguments, actions: Actions) -> Actions:
    """Return what a statement needs, where its first word is known."""
    found = []
    for each in given.get(-1, "Statement"):
        text = each.text if isinstance(each, Text) else HOLE
        word = text.split(maxsplit=1)[0].lower() if text.strip() else HOLE
        if word not in _WORDS:
            return actions
        found.append(_WORDS[word])
    every = any(each.startswith("dynamodb:PartiQL") for each in actions.perhaps)
    return Actions(tuple(sorted(set(found)))) if found and every else actions


_BY_ARGUMENT = {
    ("s3", "VersionId"): {
        "s3:GetObject": "s3:GetObjectVersion",
        "s3:DeleteObject": "s3:DeleteObjectVersion",
    },
    ("s3", "ACL"): {"s3:PutObject": "s3:PutObjectAcl"},
    ("s3", "Tagging"): {"s3:PutObject": "s3:PutObjectTagging"},
    ("ssm", "WithDecryption"): {},
}


_MAKING = ("Create", "Start", "Run", "Put", "Register", "Allocate", "Import", "Copy", "Restore")
_TAGS = frozenset(("Tags", "tags", "TagList", "TagSpecifications", "tagList"))
_TAGGING = ("TagResource", "AddTags", "AddTagsToResource", "CreateTags", "CreateOrUpdateTags")
"""What a service may ask besides for what is made with tags."""


_ONLY_WITH = {
    "s3:PutObjectAcl": ("ACL", "Grant"),
    "s3:PutObjectTagging": ("Tagging",),
    "s3:PutObjectRetention": ("ObjectLock",),
    "s3:PutObjectLegalHold": ("ObjectLock",),
    "s3:GetObjectVersion": ("VersionId",),
    "s3:DeleteObjectVersion": ("VersionId",),
}
"""What is needed only if an argument is given whose name begins so."""
_MORE = frozenset(("ExtraArgs", "Fields", "Conditions", "Delete", "CopySource"))
"""Arguments that hold such ones, whose names are not looked for."""
_PLAIN_PLACES = {"GeneratePresignedPost": 2}


def by_arguments(prefix: str, operation: str, given: Arguments, actions: Actions) -> Actions:
    """Return what is needed besides by what is asked for, without what is not asked for."""
    needed = list(actions.needed)
    if operation.startswith(_MAKING) and (given.open or not _TAGS.isdisjoint(given.named)):
        tagging = tuple(f"{prefix}:{each}" for each in _TAGGING)
        actions = Actions(actions.needed, (*actions.perhaps, *tagging))
    for (service, name), more in _BY_ARGUMENT.items():
        if service == prefix and name in given.named:
            needed += [more[each] for each in actions.needed if each in more]
    places = len(given.places) > _PLAIN_PLACES.get(operation, 3)
    if given.open or given.rest or places or not _MORE.isdisjoint(given.named):
        return Actions(tuple(needed), actions.perhaps)
    perhaps = tuple(
        each
        for each in actions.perhaps
        if each not in _ONLY_WITH
        or operation in _COPYING
        or any(name.startswith(_ONLY_WITH[each]) for name in given.named)
    )
    return Actions(tuple(needed), perhaps)
