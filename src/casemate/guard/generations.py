"""How texts were made, by their identity, in two generations: what is old and not asked for goes.

Notes wait in a ring until somebody asks about a text. So a loop that makes thousands of texts, none
of which comes to a sink, pays for one append each.
"""

from __future__ import annotations

import _thread
import collections
import contextlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from .identity import identity
from .notes import (
    BATCH,
    DERIVED,
    FORMAT,
    JOINED,
    NUMBERED,
    PERCENT,
    REPLACED,
    SPREAD,
    TEXTS,
    TOGETHER,
    Made,
    in_turns,
)
from .quick import MAX_SHORT, MAX_WAITING, written_out
from .rows import Rows

_PUT_TOGETHER = frozenset((JOINED, PERCENT, FORMAT))
MAX_BATCH = 1024
"""Notes that wait as one."""
MAX_TEXT = 32 * 1024
"""Characters of a text whose making is noted; longer ones are searched at the sink instead."""
MAX_NOTED = 8192
MAX_CHARACTERS = 4 << 20
MAX_PENDING = 1 << 20
"""Characters of longer texts, and of what they were made from, that wait until a sink asks."""
MAX_HELD = 16 << 20
"""Characters that are kept from being freed, since texts were made of them."""
MAX_OBJECTS = 8192
"""Bounds of one generation of notes; when it is full, the one before it is forgotten."""
_FEW = 64
"""Notes that wait up to which they are looked through for a text before they are sorted in."""
_LAST = 16
"""Notes among which a function's result is looked for that the function itself has made."""
_LAST_CUT = 4
"""Notes among which a text is looked for that is cut where it was put together."""
_LISTED_LEFT = MAX_WAITING - MAX_WAITING * 3 // 8
"""Texts in lists and batches that still wait once the oldest are forgotten: more than one
generation has."""


class Generations:
    """The notes of one process, emptied for each invocation."""

    __slots__ = (
        "_characters",
        "_generation",
        "_held",
        "_held_last",
        "_listed",
        "_lists",
        "_made",
        "_made_before",
        "_objects",
        "_objects_before",
        "_pending",
        "_turn",
        "_uncounted",
        "_waiting",
        "active",
    )

    def __init__(self) -> None:
        """Begin inactive: what is made at import holds no event."""
        self.active = False
        self._made: dict[Any, tuple[Any, ...]] = {}
        self._made_before: dict[Any, tuple[Any, ...]] = {}
        self._characters = 0
        self._generation = 0
        self._held = 0
        self._held_last: object = None
        self._objects_before: dict[int, tuple[object, tuple[Any, ...]]] = {}
        self._objects: dict[int, tuple[object, tuple[Any, ...]]] = {}
        """Lists and dicts that a call made from texts, and these texts."""
        self._lists: collections.deque[tuple[Any, ...]] = collections.deque(maxlen=2 * MAX_OBJECTS)
        """Notes as in `_waiting` of the last lists and tuples that are not among these yet."""
        self._waiting: collections.deque[tuple[Any, ...]] = collections.deque(maxlen=MAX_WAITING)
        """Notes as in `Made` that nobody has asked about."""
        self._listed = 0
        """Texts in lists among these, at least."""
        self._uncounted = False
        """True if rows may be among these, of which only the most that they have is counted."""
        self._pending = 0
        """Characters of texts among these that are too long for `quick`, at most."""
        self._turn = _thread.RLock()
        """Held while these become known: a thread must not miss what another has in its hands."""

    def end(self) -> None:
        """Forget everything, and take no notes."""
        self.active = False
        # The ring itself stays: rewritten code has its `append`. Of what most calls leave empty
        # only that is asked here and below, since this is done in each.
        if self._waiting:
            self._waiting.clear()
        self._listed = self._pending = 0
        self._made = {}
        self._made_before = {}
        if self._lists:
            self._lists.clear()
        self._objects = {}
        self._objects_before = {}
        self._characters = self._held = 0
        self._held_last = None

    def of(self, value: object) -> Made | None:
        """Return how a text was made, if it was seen."""
        single = (type(value) is str or type(value) is bytes) and len(value) == 1
        if self._waiting and (single or self._may_wait(value)):
            self._settle()
        key: Any = value if single else identity(value)
        made = self._made.get(key) or self._made_before.get(key)
        # A note holds its text, so an id is no other's. Of single characters only those of Latin-1
        # are one object each: an equal one of others may not be the one that was noted.
        return Made(*made) if made is not None and made[0] is value else None

    def _may_wait(self, value: object) -> bool:
        """Tell whether the notes that wait may have one of this very value.

        What a framework made has none, and a few are looked through sooner than they are sorted in.
        """
        # A copy, for which no other thread can come between.
        waiting = self._waiting.copy() if len(self._waiting) <= _FEW else ()
        for note in waiting:
            if note[0] is value or note[1] is SPREAD or note[1] is BATCH:
                return True
        return not waiting

    def has_none(self, value: str | bytes) -> bool:
        """Tell whether there is no note of a text, nor of an equal one; False if that takes long.

        There are a few notes at most, which all wait, and none of lists or of several texts.
        """
        waiting = self._waiting
        if self._made or self._made_before or len(waiting) > _FEW or len(value) == 1:
            return False
        kind = type(value)
        # A copy, for which no other thread can come between.
        for note in waiting.copy():
            text = note[0]
            if text is value or note[1] is SPREAD or note[1] is BATCH:
                return False
            if type(text) is kind and text == value:
                return False
        return True

    def has(self, value: str) -> bool:
        """Tell whether a text was noted, or is of one character, which has no identity."""
        if self._waiting:
            self._settle()
        key = identity(value)
        return key in self._made or key in self._made_before or len(value) == 1

    def _is_of_last(self, value: str) -> bool:
        """Tell whether a text is one of the last that were noted, without an end to the wait."""
        waiting = self._waiting
        with contextlib.suppress(IndexError):  # there are fewer, or a thread has taken some
            for place in range(-1, -_LAST - 1, -1):
                if waiting[place][0] is value:
                    return True
        made = self._made.get(identity(value))
        return made is not None and made[0] is value

    def _last_values(self, text: str) -> Iterable[Any] | None:
        """Return what is no literal of a text that was put together last; None if it was not."""
        waiting = self._waiting
        with contextlib.suppress(IndexError):
            for place in range(-1, -_LAST_CUT - 1, -1):
                note = waiting[place]
                if note[0] is not text:
                    continue
                if type(note[1]) is tuple:  # an f-string, whose literals are in it
                    return note[2:]
                return note[2][1] if note[1] is TOGETHER else None
        return None

    def since(self, mark: tuple[int, int]) -> tuple[list[tuple[Any, ...]], tuple[int, int]]:
        """Return the notes, as in `Made`, that were taken after a mark, and the mark of now.

        The first mark is `(-1, 0)`. A mark of a generation that is forgotten has all that are left.
        """
        if self._waiting:
            self._settle()
        generation, count = mark
        now = (self._generation, len(self._made))
        if generation == self._generation:
            return list(itertools.islice(self._made.values(), count, None)), now
        return [*self._made_before.values(), *self._made.values()], now

    def made_from(self, value: object) -> tuple[Any, ...] | None:
        """Return the texts that a call made a list or dict from, if it was seen."""
        found = self.objects.get(identity(value)) or self._objects_before.get(identity(value))
        return found[1] if found is not None and found[0] is value else None

    @property
    def objects(self) -> dict[int, tuple[object, tuple[Any, ...]]]:
        """The lists and dicts of this generation, by identity, with what they are made from."""
        if self._lists:
            with self._turn:
                self._settle_lists()
        return self._objects

    def _settle_lists(self) -> None:
        while self._lists:
            note = self._lists[0]
            if len(self._objects) >= MAX_OBJECTS:
                self._renew_objects()
            several = note[0] if type(note[3]) is Rows else (note[0],)
            self._objects.update((identity(one), (one, note[2])) for one in several)
            self._lists.popleft()

    def noted(self) -> Iterator[tuple[Any, ...]]:
        """Yield the notes of texts, oldest first, without an end to the wait of those that wait."""
        yield from self._made_before.copy().values()
        yield from self._made.copy().values()
        for note in self._waiting.copy():
            if note[1] is BATCH:
                yield from note[3]
            elif note[1] is not SPREAD:
                yield note

    def derived(self, value: object, sources: Iterable[object]) -> None:
        """Note that `value` was made from `sources`, in a way that only a sink can judge."""
        self._note(value, DERIVED, tuple(sources))

    def joins(self, value: object, parts: tuple[Any, ...]) -> None:
        """Note that `value` was put together from `parts`, none of them known as a literal."""
        self._note(value, JOINED, parts)

    def _settle(self) -> None:
        """Know what was noted since somebody asked."""
        waiting = self._waiting
        with self._turn:
            if not self.active:
                waiting.clear()
            self._listed = self._pending = 0
            while waiting:
                # Away only when it is known: without the turn, others look whether it is empty.
                self._keep(waiting[0])
                waiting.popleft()

    def _forget_lists(self) -> None:
        """Forget the oldest notes that nobody asked about, until their lists have fewer texts.

        To know each of them would take most of the time that a loop over lines takes, for no more
        than the last of them to be left.
        """
        waiting = self._waiting
        with self._turn:
            listed = self._listed
            if len(waiting) >= MAX_WAITING or self._uncounted:
                several = [n for n in waiting.copy() if n[1] is SPREAD or n[1] is BATCH]
                for note in several:
                    if type(note[3]) is Rows:
                        note[3].count()
                self._uncounted = False
                # What went by itself, since the ring was full, is still counted.
                listed = sum([len(note[3]) for note in several])
            while listed > _LISTED_LEFT and waiting:
                note = waiting.popleft()
                if note[1] is SPREAD or note[1] is BATCH:
                    listed -= len(note[3])
            self._listed = listed

    def _note(self, value: Any, kind: str, parts: tuple[Any, ...], constant: int = 0) -> None:
        length = len(value)
        if not 1 <= length <= MAX_TEXT:
            return
        if kind is not JOINED:
            for part in parts:
                if type(part) is str or type(part) is bytes:
                    length += len(part)
        self._pending += length
        if self._pending > MAX_PENDING:
            self._settle()
            self._pending = length
        self._waiting.append((value, kind, parts, constant))

    def _take_batch(self, notes: list[tuple[Any, ...]], size: int) -> None:
        """Take the notes of texts that are of so many characters together, as one or as a few."""
        if not self.active:
            return
        if size > MAX_SHORT * len(notes):  # more than as many in the ring have
            self._pending += size
            if self._pending > MAX_PENDING:
                self._settle()
                self._pending = size
        if len(notes) <= MAX_BATCH:
            self._waiting.append(((), BATCH, (), notes))
        else:
            for first in range(0, len(notes), MAX_BATCH):
                self._waiting.append(((), BATCH, (), notes[first : first + MAX_BATCH]))
        self._listed += len(notes)
        if self._listed > MAX_WAITING:
            self._forget_lists()

    def _keep(self, note: tuple[Any, ...]) -> None:
        if type(note[1]) is not str or len(note) < 4:
            for each in written_out(note):
                self._keep_whole(each)
        else:
            self._keep_whole(note)

    def _keep_whole(self, note: tuple[Any, ...]) -> None:
        value = note[0]
        if note[1] is TOGETHER:
            note = in_turns(note)
        if note[1] is BATCH:
            for each in note[3]:
                self._keep(each)
            return
        if note[1] is SPREAD:
            self._keep_parts(note[3], note[2])
            return
        length = len(value)
        # Texts of one character are shared by the whole interpreter: they have no identity, and
        # are known by what they are, if it is no letter that is anywhere.
        single = length == 1 and note[1] in (DERIVED, NUMBERED) and not value.isalnum()
        if not (single or 2 <= length <= MAX_TEXT):
            return
        made = self._made
        self._characters += length
        if note[1] is DERIVED or note[1] is REPLACED:
            self._hold(note[2])
        if len(made) >= MAX_NOTED or self._characters > MAX_CHARACTERS or self._held > MAX_HELD:
            self._renew()
            made = self._made
        made[value if single else identity(value)] = note

    def _keep_parts(self, texts: Iterable[Any], sources: tuple[Any, ...]) -> None:
        for text in texts:
            if type(text) not in TEXTS or self._was_there(text):
                continue
            if all(text is not source for source in sources):
                self._keep_whole((text, DERIVED, sources, 0))

    def _was_there(self, text: Any) -> bool:
        """Tell whether a text in what a call returned was put together before: not by the call.

        A function of the code's own may be called as one that takes texts apart is.
        """
        key = identity(text)
        made = self._made.get(key) or self._made_before.get(key)
        return made is not None and made[0] is text and made[1] in _PUT_TOGETHER

    def _hold(self, sources: Iterable[object]) -> None:
        """Count the long texts that a note keeps: what was cut from them can be much shorter."""
        for source in sources:
            if (type(source) is str or type(source) is bytes) and len(source) > MAX_SHORT:
                # Most are cut, or split, many times in a row.
                if source is not self._held_last:
                    self._held += len(source)
                self._held_last = source

    def _renew_objects(self) -> None:
        """Begin a generation of lists and dicts alone."""
        self._objects_before, self._objects = self._objects, {}

    def _renew(self) -> None:
        """Begin a generation, and forget the one before the one that ends."""
        # Two of them: what was made last is what a sink is asked about next.
        self._made_before, self._made = self._made, {}
        self._settle_lists()
        self._renew_objects()
        self._characters = self._held = 0
        self._generation += 1
