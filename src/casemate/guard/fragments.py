"""What is left of a text that code changed where nobody was looking: pieces with signs in them.

A dependency that trims, cuts or splits a value and puts the rest into a statement leaves no note,
and the whole value is in no text any more. But what changes a structure has signs (quotes,
brackets, semicolons), and each stands with its neighbours. These few characters are looked for, and
where they are found, both texts are read on in both directions for as long as they are the same.

Found pieces are never exact: a judge asks whether they change the structure, and takes words among
them for chance.
"""

from __future__ import annotations

import bisect
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Sequence

from .budget import MAX_COMPARED, MAX_PLACES, Budget
from .identity import identity
from .windows import of_heads, shared, windows

MAX_TEXT = 4096
"""Characters of a text that is cut into pieces: longer ones share much by chance."""
MAX_PIECES = 30_000
MIN_SAME = 8
"""Characters in a row that are the same by no chance; fewer count if they are most of the text."""
_WINDOW = 5
_MAX_SIGNS = 64
_MANY = 2000
_MANY_CHARACTERS = 64 * 1024
"""Texts, and characters of them, that are not cut into pieces at once."""
_MAX_FEW = 512
_UNCUT = 2
"""Questions before they are."""
_CUT_AT_ONCE = 4000
"""Texts, and signs of them, that one later question cuts, so that none pays for all."""
_MAX_PLACES = 4
_SIGNS = (*"'\"`;|&$<>(){}\\#*!\r\n[]", "--", "..", "//")
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))
_AROUND = re.compile("|".join(map(re.escape, sorted((*_SIGNS, "."), key=len))))
"""What a piece has one of; the shortest first, as of `..` one dot is enough."""
_EACH = re.compile(f"(?=({_AROUND.pattern}))")
"""Also of those that share characters."""
_DOT = re.compile(r"(?<=\w)\.(?=\w)")
_BRACKETED = re.compile(r"[(\[]?(\w+)[)\]]?")
_OPENED = re.compile(r"(?:\w+ )?[(\[] ?\w+ ?")
_TAG_END = re.compile(r"[\"']?>")
_TAG_BEGUN = re.compile(r"</?(?:[a-z][a-z0-9]{0,9})?\Z")
_IN_NAME = re.compile(r"[\w.-]")
_MAX_HOST = 300
_ESCAPES = "\\'\""
_QUOTES = "\"'"
_BREAKS = "\r\n"
_PAIRS = ("''", '""')
_MIN_BEYOND = 2
"""Characters beyond an escape that are the same by chance, if the text goes on otherwise."""
_MAX_ESCAPES = 4
"""Characters by which escaping can put a sign's neighbours apart, as `shlex.quote` does."""

Piece = tuple[str, int, object]
"""A text in lower case, where in it the piece begins, and what is known of the text."""


class Fragments:
    """Pieces of many texts around their signs."""

    def __init__(self) -> None:
        """Begin empty."""
        self._waiting: list[tuple[str, object]] = []
        self._pieces: dict[str, list[Piece]] = {}
        self._numbers: set[int] = set()
        """Of the pieces, of as many as were asked for."""
        self._numbered = 0
        self._asked = 0

    def add(self, text: str, about: object) -> None:
        """Take a text in lower case that has a sign."""
        if _WINDOW <= len(text) <= MAX_TEXT:
            self._waiting.append((text, about))

    def add_all(self, texts: Sequence[str], about: Sequence[object]) -> None:
        """Take many, with what is known of each; none of them is longer than MAX_TEXT."""
        self._waiting += zip(texts, about, strict=True)

    def find(self, inside: str) -> Iterator[tuple[int, int, object]]:
        """Yield where pieces are in a text in lower case: start, end, and what is known of them."""
        if len(inside) < _WINDOW:
            return
        fresh = self._cut_for(inside)
        pieces = self._pieces
        if not (pieces or fresh) or _has_none(inside, pieces, fresh):
            return
        budget = Budget(MAX_COMPARED // 8)
        done: dict[int, int] = {}
        for start in self._starts(inside, fresh):
            piece = inside[start : start + _WINDOW]
            for text, place, about in (*pieces.get(piece, ()), *fresh.get(piece, ())):
                if done.get(identity(text), -1) >= start + _WINDOW:
                    continue
                left, right, same = _aligned(inside, start, text, place, budget)
                window = text[place : place + _WINDOW]
                if "." in window and ".." not in window and not _is_name(inside, left, right):
                    continue
                bracketed = same < MIN_SAME and ("(" in text or "[" in text)
                if bracketed and _is_in_brackets(text, inside[left:right]):
                    continue
                if 2 * same < len(text) and _is_opened_word(text, inside[left:right]):
                    continue
                if left < right and (same >= MIN_SAME or 2 * same >= len(text)):
                    done[identity(text)] = right
                    yield left, right, about

    def _starts(self, inside: str, fresh: dict[str, list[Piece]]) -> Iterable[int]:
        """Return where in a text a piece may begin."""
        size = len(inside) - _WINDOW + 1
        if size <= _MAX_FEW:
            return range(size)
        numbers = self._numbers
        if len(self._pieces) > self._numbered:
            more = list(itertools.islice(self._pieces, self._numbered, None))
            numbers.update(of_heads(more, _WINDOW))
            self._numbered = len(self._pieces)
        if fresh:
            numbers = numbers.union(of_heads(list(fresh), _WINDOW))
        return itertools.compress(range(size), map(numbers.__contains__, windows(inside, _WINDOW)))

    def _cut_for(self, inside: str) -> dict[str, list[Piece]]:
        """Cut some of the texts; of the others, return the pieces of those that have one of it."""
        waiting = self._waiting
        fresh: dict[str, list[Piece]] = {}
        if len(waiting) < _MANY and sum([len(text) for text, _ in waiting]) < _MANY_CHARACTERS:
            _cut(waiting, self._pieces)
            waiting.clear()
            return fresh
        # To cut thousands takes longer than to look through them once.
        self._asked += 1
        if self._asked > _UNCUT:
            done = _cut(waiting, self._pieces, _CUT_AT_ONCE)
            del waiting[: len(waiting) if len(self._pieces) > MAX_PIECES else done]
        _cut(_alike(waiting, inside), fresh)
        return fresh


def _has_none(inside: str, *known: dict[str, list[Piece]]) -> bool:
    """Tell of few pieces, sooner than by each place of a text, that none of them is in it."""
    count = sum(map(len, known))
    if count > _MAX_FEW or 2 * count > len(inside):
        return False
    return not any(piece in inside for pieces in known for piece in pieces)


def _alike(texts: Sequence[tuple[str, object]], inside: str) -> list[tuple[str, object]]:
    """Return the texts that have a piece of another text, of each piece the first few."""
    joined = "\0".join([text for text, _ in texts])
    signs = [sign for sign in _SIGNS if sign in inside and sign in joined]
    if not signs and not ("." in inside and "." in joined):
        return []
    exact = joined.isascii() and inside.isascii()
    places, numbers = _with_signs(inside), windows(inside, _WINDOW)
    parts: dict[int, set[str]] = {}
    for at in () if exact else places:
        parts.setdefault(numbers[at], set()).add(inside[at : at + _WINDOW])
    left = dict.fromkeys(map(numbers.__getitem__, places), _MAX_PLACES)
    found: list[int] = []
    budget = Budget(MAX_PLACES)
    for at, number in shared(joined, inside, set(left)):
        if not left[number]:
            continue
        if exact or joined[at : at + _WINDOW] in parts[number]:
            left[number] -= 1
            found.append(at)
        else:  # others that have the same number, as no text has by chance
            budget.spend(1)
    ends = list(itertools.accumulate([len(text) + 1 for text, _ in texts])) if found else []
    return [texts[n] for n in dict.fromkeys(bisect.bisect_right(ends, at) for at in found)]


def _with_signs(inside: str) -> list[int]:
    """Return where the parts of a text are that have a sign."""
    places: list[int] = []
    after, end = 0, max(len(inside) - _WINDOW + 1, 0)
    for sign in _EACH.finditer(inside):
        last = min(sign.start() + 1, end)
        places += range(max(sign.end(1) - _WINDOW, after), last)
        after = max(last, after)
    return places


def _cut(
    texts: Sequence[tuple[str, object]], pieces: dict[str, list[Piece]], most: int = sys.maxsize
) -> int:
    """Take the pieces of texts until there are enough; return of how many texts."""
    for number, (text, about) in enumerate(texts):
        if len(pieces) > MAX_PIECES or most <= 0:
            return number
        signs = _SIGN.finditer(text)
        if len(text) <= _MAX_HOST:  # where a host may be
            signs = itertools.chain(signs, _DOT.finditer(text))
        for match in itertools.islice(signs, _MAX_SIGNS):
            most -= 1
            at = match.start()
            for place in {at, at - _WINDOW // 2, match.end() - _WINDOW}:
                piece = text[place : place + _WINDOW] if place >= 0 else ""
                if len(piece) == _WINDOW:
                    known = pieces.setdefault(piece, [])
                    if len(known) < _MAX_PLACES:
                        known.append((text, place, about))
        most -= 1
    return len(texts)


def _is_name(inside: str, start: int, end: int) -> bool:
    """Tell whether a host's name is not just the end of another's: all of `.com` have that."""
    before = inside[start - 1 : start] if start else ""
    return not (_IN_NAME.match(before) or _IN_NAME.match(inside, end))


def _is_in_brackets(text: str, part: str) -> bool:
    """Tell whether a piece is a word beside a bracket, and in its own text has both around it.

    Every statement has such words, and what is in brackets of its own closes none of the code's.
    """
    word = _BRACKETED.fullmatch(part)
    return word is not None and (f"({word[1]})" in text or f"[{word[1]}]" in text)


def _is_opened_word(text: str, part: str) -> bool:
    """Tell of `in (select ` and its like whether its own text goes on, and closes the bracket.

    Libraries begin so what they put in brackets themselves.
    """
    if _OPENED.fullmatch(part) is None:
        return False
    rest = text[text.find(part) + len(part) :]
    return bool(rest.strip(" )]")) and (")" if "(" in part else "]") in rest


def _aligned(
    inside: str, start: int, text: str, place: int, budget: Budget
) -> tuple[int, int, int]:
    """Read on from a piece that is the same in both; return start, end and how much is the same."""
    begun = start - place
    if begun >= 0 and inside.startswith(text, begun):
        # Most are there as a whole, which takes one comparison in C.
        left, right, before, after = begun, begun + len(text), -1, len(text)
        same = after
    else:
        left, before, more_left = _run(inside, start - 1, text, place - 1, -1)
        right, after, more_right = _run(inside, start + _WINDOW, text, place + _WINDOW, 1)
        left += 1
        same = more_left + more_right + _WINDOW
    first, last = _by_chance(text, before, after)
    left, right = left + first, right - last
    # A quote that was escaped has its like before it: the pair is one sign, and not the code's.
    if left and (inside[left - 1] == "\\" or inside[left - 1 : left + 1] in _PAIRS):
        left -= 1
    if last and text[after - last - 1] != "\\" and inside[left:right].endswith("\\"):
        right -= 1  # it escapes the quote that is left out
    if inside.endswith("\\", left, right):
        right = end_of_escape(inside, left, right)
    budget.spend(same + _MAX_ESCAPES)
    return left, right, same


def end_of_escape(inside: str, start: int, end: int) -> int:
    """Return where a text ends that was found in another: a backslash at its end may be escaped."""
    signs = end - start - len(inside[start:end].rstrip("\\"))
    return end + 1 if signs % 2 and inside.startswith("\\", end) else end


def _by_chance(text: str, before: int, after: int) -> tuple[int, int]:
    """Return how much at either end of a piece is the same as the code's by chance.

    It is what is around a value in the event, as quotes in JSON, or the ends of its tags.
    """
    whole = text[before + 1 : after]
    value = whole.strip()
    ended = _TAG_END.match(whole) if before >= 0 else None
    if ended is not None:
        return ended.end(), _of_tag(whole) if after < len(text) else 0
    if value[:1] in _QUOTES and value[:1] == value[-1:] and whole.count(value[:1]) == 2:
        return whole.index(value[:1]) + 1, len(whole) - whole.rindex(value[:1])
    first, last = whole[0], whole[-1]
    if last in _QUOTES and whole.count(last) == 1:
        return 0, int(before >= 0 and text[before] == last)
    if first in _QUOTES and whole.count(first) == 1:
        return int(text[after : after + 1] == first), 0
    if last in _BREAKS and after < len(text):  # it was cut where a line of the code ends
        return 0, len(whole) - len(whole.rstrip(_BREAKS))
    return 0, _of_tag(whole) if after < len(text) else 0


def _of_tag(whole: str) -> int:
    """Return how many characters at the end of a piece begin a tag."""
    begun = _TAG_BEGUN.search(whole)
    return len(begun[0]) if begun is not None else 0


def _run(inside: str, at: int, text: str, place: int, step: int) -> tuple[int, int, int]:
    """Return where two texts stop to be the same, but for escapes, and how much is the same."""
    same = skipped = 0
    end, left = at, place
    beyond = 0
    while 0 <= at < len(inside) and 0 <= place < len(text):
        if inside[at] == text[place]:
            same += 1
            skipped = 0
            place += step
            at += step
            if beyond:
                # Beyond a quote few signs are the same by chance, and a blank is if the value was
                # trimmed: then the quote is the code's.
                beyond += not text[place - step].isspace()
                if beyond <= _MIN_BEYOND and (0 <= place < len(text)):
                    continue
                if beyond == 1:
                    continue
                beyond = 0
            end, left = at, place
        elif inside[at] in _ESCAPES and skipped < _MAX_ESCAPES:
            skipped += 1
            beyond = 1
            at += step
        else:
            break
    return end, left, same
