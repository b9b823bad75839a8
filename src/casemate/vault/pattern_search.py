"""Finds all stretches of a text that any of many patterns cover, in linear time.

One Aho-Corasick automaton of the patterns' heads looks through the text once, however many patterns
there are; in most texts it finds nothing and that is all. Around what it finds each pattern is
searched for by `bytes.find`, which is linear. Occurrences of one pattern that overlap each other
are not visited one by one, of which there can be as many as bytes: where a pattern repeats with
a period, the whole run is taken at once (Knuth, Morris, Pratt: "Fast Pattern Matching in Strings",
SIAM J. Comput. 6, 1977; Fine and Wilf's theorem tells that no occurrence is skipped).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import ahocorasick_rs

from casemate.vault.errors import VaultError

SEARCH_SECONDS = 2.0
"""CPU time that one search may take; what takes longer is given up, and nothing is shown."""
_HEAD_BYTES = 64
"""What the automaton knows of a pattern: whole values of 64 KiB take seconds to prepare."""
_PIECE_BYTES = 128 * 1024
"""How much one call looks through, for which other threads wait: well under a millisecond."""


class SearchTooLongError(VaultError):
    """Too many patterns are in too much text to find all of them in time."""


class Pattern(NamedTuple):
    """What to search for, and whose it is."""

    text: bytes
    before: int
    """Characters before a hit that belong to it."""
    after: int
    name: str


class Hit(NamedTuple):
    """A stretch of a text that occurrences of patterns of one name cover."""

    start: int
    end: int
    name: str


class PatternSearch:
    """Patterns, prepared."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        """Prepare; takes time that is linear in the number of patterns."""
        self._patterns = tuple(patterns)
        self._longest = max((len(p.text) for p in self._patterns), default=0)
        self._periods: dict[bytes, int] = {}
        heads = sorted({p.text[:_HEAD_BYTES] for p in self._patterns})
        self._heads = (
            ahocorasick_rs.BytesAhoCorasick(
                heads, matchkind=ahocorasick_rs.MatchKind.LeftmostLongest
            )
            if heads
            else None
        )

    def __len__(self) -> int:
        """Return how many patterns there are."""
        return len(self._patterns)

    def hits(self, text: bytes, deadline: float | None = None) -> list[Hit]:
        """Return stretches that together are all occurrences. Raises SearchTooLongError.

        `deadline` is in `time.thread_time`, by default SEARCH_SECONDS from now.
        """
        deadline = time.thread_time() + SEARCH_SECONDS if deadline is None else deadline
        found: list[Hit] = []
        for start, end in self._windows(text):
            for pattern in self._patterns:
                if time.thread_time() > deadline:
                    raise SearchTooLongError(
                        f"Secrets are looked for in {len(text)} bytes, and after "
                        f"{SEARCH_SECONDS:g} s not all of them are found.",
                        next_step="Answer and print less that holds secrets, or keep fewer secrets "
                        "in the project.",
                    )
                self._stretches(text, pattern, start, end, found)
        return found

    def _windows(self, text: bytes) -> list[tuple[int, int]]:
        """Return the parts of a text outside of which there is no occurrence, in order.

        An occurrence begins with a head, and that overlaps one of the heads that are found.
        """
        windows: list[tuple[int, int]] = []
        for start, end in self._found_heads(text):
            first, last = max(0, start - _HEAD_BYTES), min(len(text), end + self._longest)
            if windows and first <= windows[-1][1]:
                windows[-1] = (min(first, windows[-1][0]), max(last, windows[-1][1]))
            else:
                windows.append((first, last))
        return windows

    def _found_heads(self, text: bytes) -> Iterator[tuple[int, int]]:
        if self._heads is None:
            return
        for start in range(0, len(text), _PIECE_BYTES):
            piece = text[start : start + _PIECE_BYTES + _HEAD_BYTES]
            for _number, first, last in self._heads.find_matches_as_indexes(piece):
                yield start + first, start + last

    def _stretches(
        self, text: bytes, pattern: Pattern, start: int, end: int, found: list[Hit]
    ) -> None:
        """Add the stretches of one pattern within a window."""
        length = len(pattern.text)
        at = _find(text, pattern.text, start, end)
        while at >= 0:
            period = self._period(pattern.text)
            run = _run_end(text, at + length, period, end)
            last = at + (run - at - length) // period * period
            first = max(0, at - pattern.before)
            behind = min(len(text), last + length + pattern.after)
            if (
                found
                and found[-1].name == pattern.name
                and found[-1].start <= first <= found[-1].end
            ):
                found[-1] = Hit(found[-1].start, max(behind, found[-1].end), pattern.name)
            else:
                found.append(Hit(first, behind, pattern.name))
            # One that begins before that would make the run longer, or the period smaller.
            at = _find(text, pattern.text, last + max(period, length - period + 1), end)

    def _period(self, text: bytes) -> int:
        """Return a pattern's smallest period; of one that was found, so few are ever needed."""
        period = self._periods.get(text)
        if period is None:
            period = self._periods[text] = smallest_period(text)
        return period


def smallest_period(text: bytes) -> int:
    """Return by how much a text has to be moved to agree with itself; its length if by no less."""
    border = 0
    borders = [0] * len(text)
    for index in range(1, len(text)):
        while border and text[index] != text[border]:
            border = borders[border - 1]
        if text[index] == text[border]:
            border += 1
        borders[index] = border
    return len(text) - border


def _find(text: bytes, pattern: bytes, start: int, end: int) -> int:
    """Do as `text.find(pattern, start, end)` in pieces, between which other threads get a turn."""
    while start + len(pattern) <= end:
        stop = min(end, start + _PIECE_BYTES + len(pattern))
        at = text.find(pattern, start, stop)
        if at >= 0:
            return at
        start = stop - len(pattern) + 1
    return -1


def _run_end(text: bytes, position: int, period: int, end: int) -> int:
    """Return the first position from `position` on, at most `end`, that breaks a period."""
    step, growing = 64, True
    while position < end and step:
        stop = min(end, position + step)
        if text[position:stop] == text[position - period : stop - period]:
            position = stop
            step = min(step * 2, _PIECE_BYTES) if growing else step
        else:
            growing = False
            step = (stop - position) // 2
    return position
