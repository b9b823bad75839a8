"""Data from outside in formats that can make any object, and makes none: it is only read."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

_MAX_HEAD = 64 * 1024
_MAX_NODES = 100_000
_ARRAY = b"\x93NUMPY"
_TYPE = re.compile(r"[<>|=]?[?bBhHiIlLqQfdgFDGeSaUVcmM]\d*(?:\[\w+\])?")
_TAG = re.compile(
    r"py/(?:object|type|repr|reduce|function|new|init|class|mod|property|method|state|iterator)"
)
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


def has_tags(text: str) -> bool:
    """Tell whether a document of jsonpickle makes objects; True if it is no JSON."""
    try:
        return tag_of(json.loads(text)) is not None
    except (ValueError, RecursionError):
        return True
