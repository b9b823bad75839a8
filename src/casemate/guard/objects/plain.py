"""Data from outside in formats that can make any object, and makes none: it is only read."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection
from typing import Any

_MAX_HEAD = 64 * 1024
_MAX_NODES = 100_000
_ARRAY = b"\x93NUMPY"
_TYPE = re.compile(r"[<>|=]?[?bBhHiIlLqQfdgFDGeSaUVcmMu]\d*(?:\[\w+\])?")
_TAG = re.compile(
    r"py/(?:object|type|repr|reduce|function|new|init|class|mod|property|method|state|iterator)"
)
_MAX_PICKLE = 1 << 20
_MAKES = frozenset(
    (
        *("GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD"),
        *("EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "NEXT_BUFFER", "DUP"),
    )
)
"""Operations of a pickle that name, call or fill objects, ask the unpickler for some, or have one
in two places."""
_GETS = frozenset(("GET", "BINGET", "LONG_BINGET"))
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"))
_SCALARS = frozenset(
    (
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING"),
        *("SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
_OBJECT = "py/object"
_KEY = "json://"
"""What a key begins with that is a document of its own, for who has jsonpickle decode keys."""


def is_plain_array(data: bytes) -> bool:
    """Tell whether an array of numpy has elements that are no objects."""
    if not data.startswith(_ARRAY):
        return False
    size = 2 if data[6:7] == b"\x01" else 4
    begun = 8 + size
    end = begun + int.from_bytes(data[8:begun], "little")
    try:
        head = ast.literal_eval(data[begun : min(end, _MAX_HEAD)].decode().strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    kind = head.get("descr") if isinstance(head, dict) else None
    return isinstance(kind, str) and _TYPE.fullmatch(kind) is not None


def is_plain_pickle(data: bytes) -> bool:
    """Tell whether a pickle makes texts, numbers, lists and dicts alone.

    One after which more comes is none: another may be read.
    """
    if len(data) > _MAX_PICKLE:
        return False
    import pickletools  # nosec B403 - it reads operations, and does none

    end, before = 0, ""
    scalars, kept = set[int](), 0
    try:
        for operation, argument, place in pickletools.genops(data):
            name = operation.name
            if name in _MAKES or (name in _GETS and int(argument or 0) not in scalars):
                return False
            if name in _PUTS:
                number = kept if name == "MEMOIZE" else int(argument or 0)
                kept += 1
                # A list that is in others twice is a bomb for who writes it out.
                (scalars.add if before in _SCALARS else scalars.discard)(number)
            end, before = (place or 0) + 1, name
    except Exception:  # noqa: BLE001 - whatever makes it unreadable
        return False
    return end == len(data)


def tag_of(document: Any) -> str | None:
    """Return a key of jsonpickle's in decoded JSON that has it make an object, if there is one."""
    todo = [document]
    for _ in range(_MAX_NODES):
        if not todo:
            return None
        item = todo.pop()
        if isinstance(item, dict):
            for key in item:
                if isinstance(key, str) and (_TAG.match(key) or key.startswith(_KEY)):
                    return key
            todo += item.values()
        elif isinstance(item, (list, tuple)):
            todo += item
    return "py/object"


def is_of_classes(document: Any, classes: Collection[str]) -> bool:
    """Tell whether decoded JSON has jsonpickle make objects of these classes alone.

    With nothing but their attributes, none of which is special.
    """
    todo = [document]
    for _ in range(_MAX_NODES):
        if not todo:
            return True
        item = todo.pop()
        if isinstance(item, dict):
            for key, value in item.items():
                known = key == _OBJECT and isinstance(value, str) and value in classes
                odd = _TAG.match(key) or key.startswith((_KEY, "__")) if type(key) is str else True
                if odd and not known:
                    return False
            todo += item.values()
        elif isinstance(item, (list, tuple)):
            todo += item
    return False


def has_tags(text: str) -> bool:
    """Tell whether a document of jsonpickle makes objects; True if it is no JSON."""
    try:
        return tag_of(json.loads(text)) is not None
    except (ValueError, RecursionError):
        return True
