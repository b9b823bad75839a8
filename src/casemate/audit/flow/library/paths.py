"""Paths as objects: `pathlib`."""

from __future__ import annotations

import ast
from dataclasses import replace

from casemate.audit.flow import texts
from casemate.audit.flow.checks import learn_normal
from casemate.audit.flow.library import contexts, functions, safe
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Instance, State
from casemate.audit.flow.values import (
    ANYTHING,
    CLEAN,
    NONE,
    Const,
    Ref,
    Text,
    Unknown,
    Value,
    few,
)

KIND = "pathlib.Path()"
_SINKS = frozenset(
    (
        *("open", "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir"),
        *("rmdir", "rename", "replace", "iterdir", "glob", "rglob", "touch", "symlink_to"),
        *("chmod", "hardlink_to", "readlink", "link_to", "walk"),
    )
)
_LOOKING = frozenset(("exists", "is_file", "is_dir", "stat", "lstat"))
_NORMAL = frozenset(("resolve", "absolute"))
_PARTS = frozenset(("joinpath", "with_suffix", "with_name", "expanduser", "as_posix", "__str__"))


def made(reader: Reader, text: Value, state: State) -> Value:
    """Return a path of a text."""
    return reader.new(Instance(0, {texts.TEXT: text}, KIND, state.deep(text)), state)


def text_of(value: Value, state: State) -> Value:
    """Return what a path is as a text."""
    thing = state.things.get(value.number) if isinstance(value, Ref) else None
    found = thing.attributes.get(texts.TEXT) if isinstance(thing, Instance) else None
    return found if found is not None else Text((state.deep(value),))


def attribute(reader: Reader, value: Ref, name: str, state: State) -> Value | None:
    """Return an attribute of a path; None if it has no such."""
    if name in ("name", "stem", "suffix"):
        text = text_of(value, state)
        taints = texts.derived(state.deep(text), state, name, part=True)
        gone = frozenset(("/", "../"))
        return Text((frozenset(replace(t, without=t.without | gone) for t in taints),))
    if name in ("parent", "parents", "parts"):
        text = text_of(value, state)
        if isinstance(text, Const):
            return made(reader, Const(str(text.value).rpartition("/")[0]), state)
        return made(reader, text, state)
    return None


def method(
    reader: Reader, value: Ref, name: str, given: Arguments, state: State, node: ast.AST
) -> Value:
    """Return what a method of a path gives, and tell of one that somebody outside chose."""
    text = text_of(value, state)
    if name in _SINKS or name in _LOOKING:
        taints = contexts.harmful("path", text, state, reader.kinds)
        if taints:
            confidence = "high" if name in _SINKS else "low"
            reader.report("path", f"{KIND}.{name}", taints, node, confidence)
        return Unknown(CLEAN, f"{KIND}.{name}()")
    if name in _NORMAL:
        return made(reader, normal(text, state), state)
    if name == "joinpath":
        joined = functions.call(
            reader, "pathlib.Path", Arguments([value, *given.places]), state, node
        )
        return joined if joined is not None else ANYTHING
    if name in ("as_posix", "__str__"):
        return text
    if name in ("is_relative_to",):
        return Unknown(state.deep(text), "bool")
    if name == "relative_to":
        if given.places and not state.deep(given.places[0]):
            learn_normal(text, state)  # it raises where the path leads out
        return value
    if name in _PARTS:
        return value
    return NONE if name == "write" else Unknown(state.deep(text))


def normal(text: Value, state: State) -> Value:
    """Return a path in which no `..` is left."""
    if isinstance(text, Const):
        return text
    taints = texts.derived(state.deep(text), state, "resolve", part=True)
    return Text((few(replace(t, safe=t.safe | {safe.NORMAL}) for t in taints),))
