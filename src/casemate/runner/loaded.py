"""Which files of dependencies were loaded: what an import, or a call, brought into `sys.modules`.

Told, not proven: a function's own code runs in the same process and can hide what it loads.
"""

from __future__ import annotations

import json
import sys

from ..guard import imported
from . import wire

DEPENDENCIES = "/function/deps/"
MAX_FILES = 4_000
MAX_BYTES = 96 * 1024
SAMPLED = "0"
"""Last character of the ids of calls after which it is looked: one of sixteen."""
_encode = json.JSONEncoder(separators=(",", ":")).encode


def files(known: frozenset[str] = frozenset()) -> list[str]:
    """Return the paths of modules that come from dependencies, but for those of known modules.

    Bounded in number and size; whatever a module of the function's makes of itself is passed over.
    """
    found: list[str] = []
    left = MAX_BYTES
    for name, module in imported.since():
        if type(name) is not str or name in known:
            continue
        path = _file_of(module)
        if type(path) is not str or not path.startswith(DEPENDENCIES) or not path.isascii():
            continue
        left -= len(path)
        if len(found) >= MAX_FILES or left < 0:
            break
        found.append(path[len(DEPENDENCIES) :])
    return found


def _file_of(module: object) -> object:
    """Return what a module says is its file: it can be any object, and do anything."""
    try:
        return vars(module).get("__file__")
    except BaseException:  # noqa: BLE001
        return None


def frame(paths: list[str]) -> bytes:
    """Return the frame that tells them."""
    return wire.pack(wire.LOADED, _encode({"files": paths}).encode(errors="replace"))


class LateImports:
    """What calls import that the import of the handler did not."""

    __slots__ = ("_count", "_known")

    def __init__(self) -> None:
        """Know nothing of what is loaded: `begin` looks."""
        self._count = 0
        self._known: frozenset[str] = frozenset()
        """Without those of the base zygote: a set of all would be a sixteenth of a zygote."""

    def begin(self) -> None:
        """Take what is loaded now as known."""
        self._count = len(sys.modules)
        self._known = frozenset(name for name, _ in imported.since() if type(name) is str)

    def before(self, answer: bytes, invocation: str) -> bytes:
        """Return the frame of an answer, with what was loaded late in front of it if it is due."""
        if not invocation.endswith(SAMPLED) or len(sys.modules) == self._count:
            return answer
        late = files(self._known)
        return frame(late) + answer if late else answer
