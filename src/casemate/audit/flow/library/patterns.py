"""Regular expressions: what a match tells, what a replacement takes out."""

from __future__ import annotations

import ast
from dataclasses import replace

from casemate.audit.flow import characters, texts
from casemate.audit.flow.conditions import match_of
from casemate.audit.flow.library import safe
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Instance, State
from casemate.audit.flow.values import (
    ANYTHING,
    Const,
    Text,
    Unknown,
    Value,
    known_text,
    shallow,
)


def of_library(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST
) -> Value | None:
    """Return what a function of `re` gives."""
    pattern = known_text(given.get(0, "pattern") or ANYTHING)
    if name == "compile":
        options_of: dict[str, Value] = {"=pattern": Const(pattern)} if pattern else {}
        return reader.new(Instance(0, options_of, "re.compile()"), state)
    return expression(reader, name, pattern, given, 1, state, node)


def expression(
    reader: Reader,
    name: str,
    pattern: str | None,
    given: Arguments,
    place: int,
    state: State,
    node: ast.AST,
) -> Value | None:
    """Return what a regular expression gives: a match, or a text with something replaced."""
    if name in ("match", "fullmatch", "search"):
        taints = shallow(given.get(place, "string") or ANYTHING)
        without: frozenset[str] = frozenset()
        anchored = name != "search" or (pattern or "").startswith(("^", "\\A"))
        if pattern is not None and anchored:
            without = characters.by_expression(pattern, whole=name == "fullmatch")
        return match_of(taints, without)
    if name in ("sub", "subn"):
        by = known_text(given.get(place, "repl") or ANYTHING)
        value = given.get(place + 1, "string") or ANYTHING
        taints = texts.derived(
            state.deep(value),
            state,
            ("sub", getattr(node, "lineno", 0), getattr(node, "col_offset", 0)),
            part=False,
        )
        if pattern is not None and by is not None:
            gone = safe.replacing(pattern, by)
            taints = frozenset(
                replace(t, without=t.without | gone, seen=(*t.seen, f"re.{name}")[-6:])
                for t in taints
            )
        return Text((taints,))
    if name in ("findall", "finditer", "split"):
        value = given.get(place, "string") or ANYTHING
        return Unknown(texts.derived(state.deep(value), state, name, part=True), "split")
    return None
