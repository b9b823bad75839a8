"""Texts that code put together character by character: which characters are the event's?

A character has no identity of its own: it is one object wherever it comes from. So the characters
are compared, in their order, with the texts that they may have been taken from.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .batches import lowered
from .notes import JOINED, Made
from .origin import Origin, Span
from .pieces import Piece, as_text
from .provenance import Provenance
from .spans import apart

Step = Sequence[tuple[str, bool]]
"""What one turn of a loop added: pieces, and whether each is a literal of the code."""

_WORD_OR_NUMBER = re.compile(r"-?\w++(?:(?:[.:-]|::)\w++)*+")
"""Names, numbers, dates, addresses."""
_DIGITS = frozenset("0123456789")
NUMBERS = ("numbers that the code made a text of",)
_MIN_CHARACTERS = 3
_MOST_LEFT = 1.25
_MAX_LONE = 4096
_MAX_ADDED = 12
"""Characters that code puts in the place of one, such as `&quot;`."""


def spans(
    steps: Sequence[Step],
    sources: Callable[[], Iterable[tuple[str, Origin]]],
    is_constant: Callable[[str], bool],
) -> list[Span]:
    """Return where in the text that `steps` made characters of one of the sources are.

    `sources` are asked for only if there are such characters: to decode them takes 100 µs.
    """
    single = [(place, c) for place, c, literal in _placed(steps) if not literal and len(c) == 1]
    if not single:
        return []
    candidates = list(_candidates(single, is_constant)) if _short(steps, is_constant) else []
    if not candidates:
        return []
    explained: Origin | None = None
    kept: list[Span] = []
    for source, origin in sources():
        text = lowered(source)
        enclosed = _enclosed(steps, text, is_constant) if explained is None else None
        if enclosed is not None:
            explained, kept = origin, _runs(enclosed, origin.decoded("its characters"))
        if explained is not None and _is_within(origin, explained):
            continue  # other forms of it are there by chance, but not other values
        left = (p for p, wanted in candidates if _is_left_of(wanted, text))
        places: Sequence[int] = next(left, ())
        places = places or _one_by_one(steps, text, is_constant)
        places = places or next((p for p, wanted in candidates if _is_turned(wanted, text)), ())
        if places:
            return _runs(places, origin.decoded("its characters"))
    return kept


def of_numbers(text: str, is_constant: Callable[[str], bool]) -> list[Span]:
    """What was made of numbers is the event's: code writes its own texts as texts.

    Not letters alone, such as those that columns or files are counted by.
    """
    if text.isalnum() or is_constant(text):
        return []
    return [Span(0, len(text), Origin("event", "", NUMBERS), exact=True)]


def searched(
    text: str, pieces: Sequence[Piece], found: list[Span], search: Callable[[str], list[Span]]
) -> list[Span]:
    """Search a text, too, most of which was put together from single characters."""
    single = sum(len(piece) == 1 and not constant for piece, constant in pieces)
    if 2 * single <= len(text):
        return found
    if all(len(piece) <= 1 for piece, _ in pieces):
        # Of these a letter or digit is one of the event by chance.
        found = [s for s in found if s.end - s.start > 1 or not text[s.start].isalnum()]
    return apart(found, search(text))


def lone(
    text: str,
    spans_of: Callable[[str], list[Span]],
    standing_in: Callable[[str], list[tuple[int, int]]],
) -> list[Span]:
    """Return single signs from outside, such as `*`, that are all which the code did not write.

    One that is searched for is in most texts; here it is not in the code's part of the text.
    """
    if not 1 < len(text) <= _MAX_LONE or text.isalnum():
        return []
    signs = {c: s for c in set(text) if not (c.isalnum() or c.isspace()) if (s := spans_of(c))}
    if not signs:
        return []
    own = {n for start, end in standing_in(text) for n in range(start, end)}
    left = [n for n in range(len(text)) if n not in own]
    if any(text[n] not in signs for n in left):
        return []
    return [signs[text[n]][0].moved(n)._replace(exact=False) for n in left]


def is_between(pieces: Sequence[Piece], number: int, is_constant: Callable[[str], bool]) -> bool:
    """Tell whether a sign stands between longer texts, as the code's own does in a list."""
    if not 0 < number < len(pieces) - 1 or len(pieces[number][0]) != 1:
        return False
    beside = (pieces[number - 1][0], pieces[number + 1][0])
    return all(len(b) > 1 for b in beside) and is_constant(as_text(pieces[number][0]))


def ends_in(made: Made) -> bool:
    """Tell whether a text was joined from another and single characters that are no literals."""
    return any(
        len(part) == 1 and not made.constant >> number & 1
        for number, part in enumerate(made.parts)
        if number
    )


def _candidates(
    single: Sequence[tuple[int, str]], is_constant: Callable[[str], bool]
) -> Iterator[tuple[list[int], str]]:
    """Yield places and characters that may be of one source: all, or without the code's quotes."""
    first, last = is_constant(single[0][1]), is_constant(single[-1][1])
    for left, right in dict.fromkeys(((0, 0), (0, last), (first, 0), (first, last))):
        chosen = single[left : len(single) - right]
        wanted = lowered("".join(c for _, c in chosen))
        # Such as the marks of `",".join("?" * number)`, and of a formula that is written anew.
        own = all(c in _DIGITS or is_constant(c) for c in set(wanted))
        if len(wanted) >= _MIN_CHARACTERS and not wanted.isalnum() and not own:
            yield [place for place, _ in chosen], wanted


def _placed(steps: Sequence[Step]) -> Iterator[tuple[int, str, bool]]:
    place = 0
    for step in steps:
        for piece, literal in step:
            yield place, piece, literal
            place += len(piece)


def _short(steps: Sequence[Step], is_constant: Callable[[str], bool]) -> bool:
    """Tell whether all that is no single character is the code's, by its look."""
    return all(
        literal or len(piece) <= _MAX_ADDED or is_constant(piece)
        for step in steps
        for piece, literal in step
    )


def _is_left_of(wanted: str, source: str) -> bool:
    """Tell whether characters are what a filter left of a text, or of it from its end on."""
    for text in (source, source[::-1]):
        rest = iter(text)
        if all(character in rest for character in wanted):
            return True
    return False


def _is_turned(wanted: str, source: str) -> bool:
    """Tell whether characters are nearly all of a text, in another order."""
    if not len(wanted) <= len(source) <= len(wanted) * _MOST_LEFT:
        return False
    return not collections.Counter(wanted) - collections.Counter(source)


def _enclosed(
    steps: Sequence[Step], source: str, is_constant: Callable[[str], bool]
) -> list[int] | None:
    """Return what was kept of a text between signs that the code has put around it, if so.

    `"*" + escaped + "*"`: the first of these is not the one that the text itself begins with.
    """
    left, right = (_is_sign(steps[n], is_constant) for n in (0, -1))
    inner = steps[left : len(steps) - right]
    if not left + right or not inner:
        return None
    if len(inner) == 1:  # joined by nothing
        inner = [[one] for one in inner[0] if one[0]]
    # What stands for a character is longer here: another sign may be that of another text.
    kept = _kept(inner, source, lambda piece: False)
    return None if kept is None else [place + left for place in kept]


def _is_within(origin: Origin, value: Origin) -> bool:
    """Tell whether an origin is a value, in any form, or a part of what that was decoded to."""
    if origin.source != value.source or isinstance(origin.steps, str):
        return origin[:2] == value[:2]
    return origin.steps[: len(value.steps)] == value.steps


def _is_sign(step: Step, is_constant: Callable[[str], bool]) -> bool:
    """Tell whether a step is one sign that the code has as a text of its own."""
    return len(step) == 1 and len(step[0][0]) == 1 and is_constant(step[0][0])


def _one_by_one(
    steps: Sequence[Step], source: str, is_constant: Callable[[str], bool]
) -> list[int]:
    """Return where each character of a text is that was kept, if that was more than a few."""
    kept = _kept(steps, source, is_constant) or []
    return kept if len(kept) * 2 >= len(source) else []


def _kept(
    steps: Sequence[Step], source: str, is_constant: Callable[[str], bool]
) -> list[int] | None:
    """Return where each character of a text is that was kept; None unless a turn was made for each.

    For others the code has put a text of its own.
    """
    if len(steps) != len(source):
        return None
    kept: list[int] = []
    left = ""
    place = 0
    for step, character in zip(steps, source, strict=True):
        seen = False
        for piece, literal in step:
            same = lowered(piece) == character
            seen = seen or same
            if same and not literal:
                kept.append(place)
            place += len(piece)
        if seen:
            left += character
        elif not all(literal or len(p) > 1 or is_constant(p) for p, literal in step):
            return None
    # Letters that were kept of a cleaned text are as harmless as those of a filtered one.
    return [] if left.replace("_", "a").isalnum() else kept


def _runs(places: Sequence[int], origin: Origin) -> list[Span]:
    found: list[Span] = []
    for place in places:
        if found and found[-1].end == place:
            found[-1] = found[-1]._replace(end=place + 1)
        else:
            found.append(Span(place, place + 1, origin, exact=True))
    return found


class Turns:
    """Tells what the turns of a loop added to a text."""

    def __init__(self, provenance: Provenance, is_constant: Callable[[str], bool]) -> None:
        """Take the notes, and what tells whether the function's own code holds a text."""
        self._provenance = provenance
        self._is_constant = is_constant

    def step(self, piece: Any, *, constant: bool) -> Step | None:
        """Take apart what one turn of a loop added; None if it is more than a character."""
        made = None if constant or len(piece) < 2 else self._provenance.of(piece)
        if made is None or made.kind != JOINED:
            text = as_text(piece)
            plain = constant or len(text) <= 1 or self._is_constant(text)
            return [(text, constant)] if plain else None
        parts = [(p, bool(made.constant >> n & 1)) for n, p in enumerate(made.parts)]
        return None if self.is_list(parts) else [(as_text(p), literal) for p, literal in parts]

    def is_list(self, pieces: list[Piece]) -> bool:
        """Tell whether words and numbers are joined by one text of the code: its signs are all."""
        separators = {piece for piece, _ in pieces[1::2]}
        if (
            len(pieces) % 2 == 0
            or len(separators) != 1
            or not self._is_constant(as_text(separators.pop()))
        ):
            return False
        return all(_WORD_OR_NUMBER.fullmatch(as_text(piece)) for piece, _ in pieces[::2])
