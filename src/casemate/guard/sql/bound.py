"""What of a library's statement is the same as the event's by chance: its value is bound.

A question about SQL (`... LIKE '%x%' ESCAPE '/'`) has the very words of the statement by which a
library looks for it. Pieces of a text that is among the parameters are no part of the statement, if
nobody was seen putting this statement, or anything in it, together.
"""

from __future__ import annotations

import bisect
import collections
from collections.abc import Sequence
from typing import Any

from ..batches import lowered
from ..core import Guard
from ..fragments import MAX_TEXT, MIN_SAME
from ..origin import Span

_BOUND = ("sql", "bound")
_MAX_BOUND = 100
"""Calls of an invocation of which the parameters are known, the last ones."""
_MAX_ROWS = 200
_MAX_TEXTS = 2000
_HOLDS = (tuple, list, dict)


def note(guard: Guard, values: object) -> None:
    """Note the parameters of a statement."""
    if guard.active:
        kept = guard.provenance.kept
        if _BOUND not in kept:
            kept[_BOUND] = collections.deque(maxlen=_MAX_BOUND)
        kept[_BOUND].append(values if type(values) in _HOLDS else ())


def without_chance(guard: Guard, query: object, text: str, spans: Sequence[Span]) -> list[Span]:
    """Return the spans that are not there by chance: all of a statement that was seen being made.

    Asked once a statement is about to be stopped.
    """
    calls = list(guard.provenance.kept.get(_BOUND, ()))
    if not calls or guard.provenance.of(query) is not None:
        return list(spans)
    bound, now = (["\0", *map(lowered, _texts(some))] for some in (calls, calls[-1:]))
    lower = lowered(text)
    notes, _ = guard.provenance.since((-1, 0))
    made = [low for n in notes if type(n[0]) is str and (low := lowered(n[0])) in lower]

    def is_chance(span: Span) -> bool:
        part = lower[span.start : span.end]
        if span.exact:
            return False
        # All of a text is more than a piece of it: that is bound by this very call.
        whole = not span.is_piece and any(part == one for one in bound)
        if not _is_in(part, now if whole else bound):
            return False
        return not any(part in one or (one in part and not one.isalnum()) for one in made)

    return [span for span in spans if not is_chance(span)]


def _is_in(part: str, texts: Sequence[str]) -> bool:
    """Tell whether a part of a statement is in one of the texts, or its two halves are in two.

    Pieces of two texts that overlap in the statement were made one.
    """
    joined = "\0".join(texts)
    if part in joined:
        return True
    if len(part) > MAX_TEXT or "\0" in part:
        return False
    begun = bisect.bisect_left(range(len(part)), 1, key=lambda n: part[: n + 1] not in joined)
    ended = bisect.bisect_left(range(len(part)), 1, key=lambda n: part[-n - 1 :] not in joined)
    return min(begun, ended) >= MIN_SAME and begun + ended >= len(part)


def _texts(calls: Sequence[Any]) -> list[str]:
    """Return the texts among the parameters of calls."""
    found: list[str] = []
    for values in calls:
        todo: list[Any] = [values]
        for _ in range(_MAX_ROWS):
            if not todo or len(found) >= _MAX_TEXTS:
                break
            item = todo.pop()
            if isinstance(item, dict):
                item = list(item.values())
            for one in item:
                if isinstance(one, str):
                    found.append(one)
                elif type(one) in _HOLDS:
                    todo.append(one)
    return found
