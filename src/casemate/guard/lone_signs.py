"""Texts of one sign: the interpreter has one object for each, the event's and the code's alike.

Where one changes what a text means, it is taken for the event's if the event has it as a text, and
the code has put it in by itself, and not within a literal.
"""

from __future__ import annotations

from collections.abc import Collection

from .core import Guard
from .notes import DERIVED, JOINED, Made
from .origin import Origin
from .pieces import as_text, texts_in

_MAX_TEXTS = 500
"""Of an event, or of what a text was put together of, among which a sign is looked for."""
_MAX_DEPTH = 6


def origin_of_sign(
    guard: Guard, text: str | bytes, signs: Collection[str], *, between: bool = True
) -> Origin | None:
    """Return where one of these signs is from that a text was put together of.

    Without `between`, by which texts were joined is the code's: `"|".join(words)`.
    """
    alone = _pieces(guard, text, between=between).intersection(signs)
    if not alone or guard.taint is None:
        return None
    for sign in alone:  # cut out of a text of the event's
        made = guard.provenance.of(sign)
        for part in texts_in(made) if made is not None and made.kind == DERIVED else ():
            for span in guard.spans(part) if len(part) > 1 and isinstance(part, str) else ():
                if sign in part[span.start : span.end]:
                    return span.origin
    for given, origin in guard.taint.texts(_MAX_TEXTS):
        if len(given) < _MAX_TEXTS and given.strip() in alone:
            return origin
    return None


def _pieces(guard: Guard, text: str | bytes, *, between: bool) -> set[str]:
    """Return the values that a text was put together of, and those that these were."""
    found: set[str] = set()
    todo: list[tuple[object, int]] = [(text, 0)]
    while todo and len(found) < _MAX_TEXTS:
        item, depth = todo.pop()
        if not isinstance(item, (str, bytes)):
            continue
        found.add(as_text(item))
        made = guard.provenance.of(item) if len(item) > 1 and depth < _MAX_DEPTH else None
        if made is not None and made.kind == JOINED:
            separated = not between and _is_separated(made)
            parts = enumerate(made.parts)
            todo += [
                (part, depth + 1)
                for n, part in parts
                if not (made.constant >> n & 1 or (separated and n % 2))
            ]
        elif made is not None:
            todo += [(part, depth + 1) for part in texts_in(made)]
    return found


def _is_separated(made: Made) -> bool:
    """Tell whether every other part is the same sign, as where `join` has put texts together."""
    separators = made.parts[1::2]
    return made.constant == 0 and len(made.parts) % 2 == 1 and len(set(separators)) == 1
