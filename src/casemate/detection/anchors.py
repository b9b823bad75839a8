"""Finds in a rule what must hold of a field whatever else does, to tell events apart fast.

A rule of sign-ins is not tried on an invocation's end. A rule in which nothing must hold is tried
on every event.
"""

from __future__ import annotations

from casemate.detection import condition as conditions
from casemate.detection.documents import Map
from casemate.detection.fields import PATHS, text_of
from casemate.detection.rule import Anchor

_WILD = frozenset("*?\\")


def anchors_of(condition: conditions.Condition, selections: Map) -> tuple[Anchor, ...]:
    """Return what must hold for a condition to be true, of the fields of `PATHS`."""
    found: dict[str, frozenset[str]] = {}
    for each in _of(condition, selections):
        found.setdefault(each.path, each.texts)
    return tuple(Anchor(path, found[path]) for path in PATHS if path in found)


def _of(condition: conditions.Condition, selections: Map) -> list[Anchor]:
    match condition:
        case conditions.Name(name):
            return _of_selection(selections[name])
        case conditions.Both(parts):
            return [anchor for part in parts for anchor in _of(part, selections)]
        case conditions.Either(parts):
            return _of_either([_of(part, selections) for part in parts])
    return []


def _of_either(all_of: list[list[Anchor]]) -> list[Anchor]:
    """Return what holds whichever does: of a field that each of them has, all its texts."""
    found = []
    for path in PATHS:
        texts = [[one.texts for one in each if one.path == path] for each in all_of]
        if texts and all(texts):
            found.append(Anchor(path, frozenset().union(*(each[0] for each in texts))))
    return found


def _of_selection(selection: object) -> list[Anchor]:
    if isinstance(selection, list):
        return _of_either([_of_selection(each) for each in selection])
    if not isinstance(selection, Map):
        return []
    found = []
    for key, value in selection.items():
        path, *modifiers = key.split("|")
        listed = value if isinstance(value, list) else [value]
        if path in PATHS and not (set(modifiers) - {"cased"}):
            texts = [text_of(one) for one in listed]
            if all(text is not None and not _WILD & set(text) for text in texts):
                found.append(Anchor(path, frozenset(text.lower() for text in texts if text)))
    return found
