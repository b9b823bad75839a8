"""What calls are given, with `*` and `**` followed."""

from __future__ import annotations

import ast

from casemate.audit.privileges import (
    attributes,
)
from casemate.audit.privileges.reader import Arguments, Reader
from casemate.audit.privileges.values import (
    NONE,
    Box,
    Values,
    known_texts,
)


def arguments(reader: Reader, node: ast.Call) -> Arguments:
    """Return what a call is given."""
    given = Arguments()
    for each in node.args:
        if isinstance(each, ast.Starred):
            given.rest |= attributes.items(reader, reader.value(each.value), each)
            given.open = True
        else:
            given.places.append(reader.value(each))
    for keyword in node.keywords:
        found = reader.value(keyword.value)
        if keyword.arg is not None:
            given.named[keyword.arg] = given.named.get(keyword.arg, NONE) | found
        else:
            spread(reader, given, found)
    return given


def spread(reader: Reader, given: Arguments, found: Values) -> None:
    """Take what `**` brings: by name where its keys are known."""
    for each in found:
        if isinstance(each, Box):
            names = known_texts(reader.state.keys.get(each.number))
            given.rest |= reader.state.got(each)
            for name in names or ():
                held = reader.state.got(each, name)
                given.named[name] = given.named.get(name, NONE) | held
            given.open = given.open or names is None
        else:
            given.rest |= {each}
            given.open = True
