"""Shapes of what reaches sinks and is put together at run time: what is usual of them is learned.

A text of the code as it is written has no shape here: it can only change with the code. Of the
others values are left out, so that a shape is the same whatever an event says. What the host knows
is not told again; what is not usual is refused where the host says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

MAX_MET = 32
"""Shapes that are told of one invocation."""
MAX_TEXT = 240
"""Characters of one; of a longer one the first, and a hash of all."""
_SHOWN = 220
_MAX_SEEN = 256


def shape_of(sink: str, text: str) -> str:
    """Return a shape as it is told: the sink, and the text within its bound."""
    shape = f"{sink} {text}"
    if not shape.isprintable():
        shape = "".join(char if char.isprintable() else "\ufffd" for char in shape)
    if len(shape) <= MAX_TEXT:
        return shape
    digest = hashlib.blake2b(shape.encode(errors="replace"), digest_size=8).hexdigest()
    return f"{shape[:_SHOWN]} #{digest}"


def id_of(shape: str) -> str:
    """Return the short name by which the host says that a shape is usual."""
    return hashlib.blake2b(shape.encode(errors="replace"), digest_size=8).hexdigest()


class Shapes:
    """Those of one process, for one invocation after the other."""

    __slots__ = ("_known", "_seen", "_strict", "met", "refused")

    def __init__(self) -> None:
        """Know nothing, refuse nothing."""
        self._known: frozenset[str] = frozenset()
        self._strict = False
        self._seen: dict[str, bool] = {}
        """Whether a shape is known, of the newest."""
        self.met: dict[str, None] = {}
        """Shapes of this invocation that the host does not know."""
        self.refused: dict[str, None] = {}

    def use(self, known: Iterable[str], *, strict: bool) -> None:
        """Know these, by their ids; with `strict` no other is let through."""
        self._known = frozenset(known)
        self._strict = strict

    def begin(self) -> None:
        """An invocation begins."""
        if self.met or self.refused:
            self.met, self.refused = {}, {}

    def admits(self, sink: str, text: str) -> bool:
        """Note a shape; tell whether the call may be made."""
        shape = shape_of(sink, text)
        known = self._seen.get(shape)
        if known is None:
            if len(self._seen) >= _MAX_SEEN:
                self._seen.clear()
            known = self._seen[shape] = id_of(shape) in self._known
        if known:
            return True
        told = self.refused if self._strict else self.met
        if len(told) < MAX_MET:
            told[shape] = None
        return not self._strict
