"""Where in a text data from outside is: by how it was made, else by search."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from . import characters, own_files
from .batches import lowered
from .characters import Step, Turns
from .generations import MAX_NOTED
from .identity import identity
from .known import MIN_SEARCHED
from .matched import Substitution, parts_of, unwritten
from .membership import Membership
from .noted_texts import NotedTexts
from .notes import (
    DERIVED,
    ESCAPERS,
    FORMAT,
    JOINED,
    NUMBERED,
    PERCENT,
    REPLACED,
    SUBSTITUTED,
    Made,
    joined_of,
)
from .origin import Origin, Span
from .pieces import Piece, as_text, of_format, of_percent, replaced, same, texts_in
from .provenance import Provenance
from .reaching import MANY, Reach
from .spans import (
    MIN_AGAIN,
    Cover,
    apart,
    chance,
    cutting,
    escaped_again,
    folder_before,
    found_again,
    merged,
    within,
    without_pieces_of,
)
from .substituting import pieces as substituted
from .substituting import replaced_in
from .taint import Taint

_MAX_DEPTH = 60
"""Of texts made from texts. A deeper one is searched, as one that nobody saw being made."""
_MAX_COMPARED = 2000
_MIN_PIECES = 4
"""Of a text that is looked at as one of characters: three, with what joins them, are five."""
_MIN_WORD = 16
_MAX_PLACES = 8
"""At which a text that was cut out of another may have stood there."""
_MAX_DOTS = 3
"""Dots in a name: of a catalogue, a schema, a table and a column."""
_MAX_GROWN_DEPTH = 4
_MAX_OWN_DEPTH = 8
_NUMBERS = frozenset((int, float, bool, type(None)))
_MAX_FILTERED = 4096
_MAX_LEAVES = 256
_NOTED_DEPTH = 40
"""At which a noted text is begun that was found in another: the rest of the depth is enough."""
TOO_MUCH = ("more than the guard looks at",)


_NONE = (-1, 0)
"""Before the first note."""
_MAX_SORTED = 4096
"""Characters of a text of which each place is looked at; a longer one is compared with all."""
_SCANNED = 2
"""Texts that are compared with each note, before these are sorted: most calls ask about fewer."""


class _Leaf(NamedTuple):
    """What is known of a text that nobody was seen making."""

    sources: int
    mark: tuple[int, int]
    """The notes up to which it was searched."""
    spans: list[Span]


class Tracer:
    """Finds the spans of one sink's input."""

    def __init__(
        self,
        taint: Taint,
        provenance: Provenance,
        is_constant: Callable[[str], bool],
        standing_in: Callable[[str], list[tuple[int, int]]],
        numbers: Collection[str] = (),
    ) -> None:
        """The last three tell whether the function's own code holds a text, where texts that it
        holds stand in one, and which numbers it has written.
        """
        self._taint = taint
        self._provenance = provenance
        self._is_constant = is_constant
        self._standing_in = standing_in
        self._numbers = numbers
        self._leaves: dict[str, _Leaf] = {}
        self._noted_texts = NotedTexts()
        self._sorted_in: tuple[int, int] = _NONE
        """The notes up to which these are among them."""
        self._scanned = 0
        self._searching = False
        self._looks_at_signs = False
        self._traced: dict[tuple[int, bool, bool], tuple[int, list[Span]]] = {}
        """Of one question, what was found in noted texts, each with the depth at which."""
        self._turns = Turns(provenance, is_constant)
        self.membership = Membership(taint, provenance, is_constant)

    def spans(self, value: str | bytes) -> list[Span]:
        """Return the parts of `as_text(value)` that came from outside, in order."""
        if self._provenance.of(value) is None and self._is_constant(as_text(value)):
            return []
        self._traced.clear()
        return self._spans(value, 0)

    def whole(self, value: object) -> Origin | None:
        """Return where a value is from if all of it is from outside: a text, a list or a dict."""
        if isinstance(value, (str, bytes)):
            text = as_text(value)
            self._traced.clear()
            spans = self._spans(value, 0)
            covered = sum(s.end - s.start for s in spans)
            return spans[0].origin if spans and covered == len(text) else None
        origin = self._taint.is_of(value)
        if origin is not None:
            return origin
        sources = self._provenance.made_from(value) or ()
        return next((o for source in sources if (o := self.whole(source)) is not None), None)

    def _spans(self, value: str | bytes, depth: int) -> list[Span]:
        if not value:
            return []
        text = as_text(value)
        # What a text is comes before what it says: an equal one can be the code's own.
        origin = self._taint.is_of(value)
        if origin is not None:
            return [self._all_of(text, origin)]
        made = self._provenance.of(value)
        # Of the characters that the code holds, one that the event has as well is none of its own.
        own = len(text) == 1 and self._is_constant(text)
        if made is None or own or depth > _MAX_DEPTH:
            return self._leaf(text)
        # What is cut in a loop is made of all that was cut before: each is traced once.
        key = (identity(value), self._searching, self._looks_at_signs)
        known = self._traced.get(key)
        if known is not None and known[0] <= depth:
            return list(known[1])
        found = self._noted(text, made, depth)
        self._traced[key] = (depth, list(found))
        return found

    def _noted(self, text: str, made: Made, depth: int) -> list[Span]:
        """A text of which it is known how it was made."""
        if made.kind == NUMBERED:
            return self._leaf(text) or characters.of_numbers(text, self._is_constant)
        pieces = self._pieces(made)
        if pieces is None:

            def spans_of(part: str) -> list[Span]:
                return self._spans(part, depth + 1)

            found = replaced_in(text, made, spans_of)
            if found is None:
                # Of a template with what cannot be held, such as a date, it is known what went in.
                mixed = made.kind in (FORMAT, PERCENT)
                again = made._replace(parts=texts_in(made)) if mixed else made
                found = self._derived(text, again, depth)
            how = self._provenance.check_of(text)[0]
            if found and how in ESCAPERS:  # escaped as a whole, however much of it is the same
                return [Span(0, len(text), found[0].origin, exact=True, checked=how)]
            return found
        # Two pieces of bytes may share a character, and a format depend on the locale. Then it is
        # only known what went in.
        if not same(text, pieces):
            return self._derived(text, made._replace(parts=texts_in(made)), depth)
        grown = self._grown(text, made, depth) if depth <= _MAX_GROWN_DEPTH else []
        pieces = self._unfolded(pieces)
        found = grown or self._composed(pieces, depth)
        numbered = any(span.origin.decoding == characters.NUMBERS for span in found)
        if numbered and all(len(piece) <= 1 for piece, _ in pieces):
            return characters.of_numbers(text, self._is_constant)
        # Of many single characters, some are texts of the event by chance.
        few = len(pieces) >= _MIN_PIECES and 2 * sum(s.end - s.start for s in found) < len(text)
        joined = self._joined(pieces) if few else []
        longer = [s for s in found if s.end - s.start > 1] if joined else []
        seen = apart(longer, joined) if few else found
        return seen or characters.searched(text, pieces, found, self._leaf)

    def _all_of(self, text: str, origin: Origin, *, exact: bool = True) -> Span:
        return Span(0, len(text), origin, exact, self._vouched(text, exact=exact))

    def _vouched(self, text: str, *, exact: bool) -> str:
        """Return how the function's code vouches for a value, as in `Span.checked`.

        That the code holds the same text somewhere says little: it may stand in a message. It
        foresees a name, for those who look at names alone, and what may be here by chance: then the
        text of the code is as likely to be the one that was found.
        """
        how = self.check_of(text)
        if not how and self._is_constant(text):
            if len(text) == 1 or not exact:
                return "constant"
            return "named" if text.isidentifier() else ""
        return how or ("named" if self._is_qualified(text) else "")

    def _is_qualified(self, text: str) -> bool:
        """Tell whether a text is a name with dots, of which the code holds each part."""
        parts = text.split(".", _MAX_DOTS + 1)
        if not 1 < len(parts) <= _MAX_DOTS + 1:
            return False
        return all(part.isidentifier() and self._is_constant(part) for part in parts)

    def check_of(self, text: str) -> str:
        """Return how the code checked a text; nothing if it found it in what the event brought."""
        how, collection = self._provenance.check_of(text)
        own = how != "member" or self.membership.vouches(collection, text)
        return how if own else ""

    def _leaf(self, text: str) -> list[Span]:
        """A text of which nothing is known."""
        if self._is_constant(text):
            return []
        origin = self._taint.exact(text)
        if origin is not None:
            whole = self._all_of(text, origin)
            # A number that the code has written as well is as likely its own: `str(get("n", 1))`.
            own = not whole.checked and text in self._numbers
            return [whole._replace(checked="constant") if own else whole]
        # A long word, such as a token's segment, is no part of another text by chance.
        too_plain = len(text) < MIN_SEARCHED or (text.isalnum() and len(text) < _MIN_WORD)
        part_of = None if too_plain else self._taint.holding(text)
        if part_of is not None:
            return [self._all_of(text, part_of, exact=False)]
        found = self._searched(text)
        found = found or self._lone(text)
        kept = self._provenance.kept
        if found and (own_files.holds(kept, text) or own_files.has_value(kept, text)):
            return []
        if not found and self._taint.overflown:
            return [Span(0, len(text), Origin("event", "", TOO_MUCH), exact=False)]
        standing = Cover(self._standing_in(text) if found else ())
        if standing.starts:  # a piece of a text of the code's that stands there is one by chance
            found = [s for s in found if not self._is_chance(text, s, standing)]
        return self._checked(text, found, standing)

    def _checked(self, text: str, found: list[Span], standing: Cover) -> list[Span]:
        """Say of what was found by search how the code vouches for it."""
        return [
            s._replace(
                checked=s.checked
                or self._vouched(text[s.start : s.end], exact=s.exact)
                or chance(s, standing)
            )
            for s in found
        ]

    def _is_chance(self, text: str, span: Span, standing: Cover) -> bool:
        """Tell of a piece whether it stands in a text of the code's, but for blanks around it."""
        if not span.is_piece:
            return False
        part = text[span.start : span.end]
        start = span.end - len(part.lstrip())
        return chance(span._replace(start=start, end=start + len(part.strip())), standing) != ""

    def _lone(self, text: str) -> list[Span]:
        """Look at single signs, but not for those of what a sign is a part of: it may be this."""
        if self._looks_at_signs:
            return []
        self._looks_at_signs = True
        try:
            return characters.lone(text, self._sign, self._standing_in)
        finally:
            self._looks_at_signs = False

    def _sign(self, sign: str) -> list[Span]:
        if self._provenance.of(sign) is not None:
            return self._spans(sign, _NOTED_DEPTH)
        origin = None if self._is_constant(sign) else self._taint.exact(sign)
        return [] if origin is None else [Span(0, 1, origin, exact=False)]

    # -- searched ------------------------------------------------------------------------------

    def _searched(self, text: str) -> list[Span]:
        """Find the event's texts in one that nobody was seen making, and what came of them."""
        sources = self._taint.sources
        known = self._leaves.get(text)
        if known is None or known.sources != sources:
            # A statement that a library writes is the same each time: it is searched once.
            if len(self._leaves) >= _MAX_LEAVES:
                self._leaves.clear()
            found = self._taint.search(text) or self._taint.assembled(text)
            known = _Leaf(sources, _NONE, apart(found, self._taint.fragments(text)))
        if self._searching:
            # Called from `_noted_in`, which would begin again with every note.
            return known.spans
        values, mark = self._noted_since(known.mark, text)
        added = self._noted_in(text, values)
        spans = apart(merged(added), known.spans) if added else known.spans
        self._leaves[text] = _Leaf(sources, mark, spans)
        return spans

    def _noted_since(self, mark: tuple[int, int], text: str) -> tuple[list[Any], tuple[int, int]]:
        """Return the noted texts since a mark that may stand in a text, and the mark of now."""
        if mark != _NONE or self._scanned < _SCANNED or len(text) > _MAX_SORTED:
            self._scanned += mark == _NONE
            notes, now = self._provenance.since(mark)
            return [note[0] for note in notes], now
        notes, now = self._provenance.since(self._sorted_in)
        if now[0] != self._sorted_in[0]:  # others are forgotten
            self._noted_texts = NotedTexts()
        self._noted_texts.add(notes)
        self._sorted_in = now
        return self._noted_texts.find(lowered(text)), now

    def _noted_in(self, text: str, values: list[Any]) -> list[Span]:
        """Find in a text others that the code made from the event's, such as a part of a split one.

        Words alone are left: they are in every text by chance.
        """
        found: list[Span] = []
        lower = lowered(text)
        reach = self._reach() if len(values) > MANY else None
        # Few stand in a short text, which takes less to see than what each of them came of.
        early = reach if len(text) > _MAX_SORTED else None
        self._searching = True
        try:
            for value in values:
                if type(value) is not str or len(value) < MIN_SEARCHED or value is text:
                    continue
                if early is not None and not early.may_hold(value):
                    continue  # what the event has of it is found by searching for the event
                part = value if value in text else value.strip()
                if len(part) < MIN_SEARCHED or (low := lowered(part)) not in lower:
                    continue
                if value.isalnum() or self._is_constant(value):
                    continue
                if reach is not None and not reach.may_hold(value):
                    continue
                inside = self._spans(value, _NOTED_DEPTH)
                if part is not value:  # trimmed since, by what takes no notes
                    inside = within(inside, len(value) - len(value.lstrip()), len(part))
                start = lower.find(low) if inside else -1
                while start >= 0:
                    found += [span.moved(start)._replace(exact=False) for span in inside]
                    start = lower.find(low, start + len(low))
        finally:
            self._searching = False
        return found

    # -- put together --------------------------------------------------------------------------

    def _reach(self) -> Reach:
        return Reach(self._taint, self._provenance, self._leaf)

    def _composed(self, pieces: list[Piece], depth: int) -> list[Span]:
        spans: list[Span] = []
        offset = 0
        reach = self._reach() if len(pieces) > MANY else None
        others: list[tuple[int, int]] = []
        for piece, constant in pieces:
            text = as_text(piece)
            if constant:
                pass
            elif reach is None or reach.may_hold(piece):
                spans += [s.moved(offset) for s in self._spans(piece, depth + 1)]
            elif not self._is_constant(text):
                others.append((offset, offset + len(text)))
            offset += len(text)
        if others:
            whole = "".join(as_text(piece) for piece, _ in pieces)
            spans = sorted(spans + self._among(whole, others), key=lambda s: s.start)
        return spans

    def _among(self, text: str, places: list[tuple[int, int]]) -> list[Span]:
        """Search places of a text together, which are of nothing from outside by their notes."""
        found = apart(self._taint.search(text), self._taint.fragments(text))
        begins = [begin for begin, _ in places]
        kept = []
        for span in found:
            at = bisect.bisect_right(begins, span.start) - 1
            if at >= 0 and span.end <= places[at][1]:
                kept.append(span)
        standing = Cover(self._standing_in(text) if kept else ())
        kept = [span for span in kept if not self._is_chance(text, span, standing)]
        return self._checked(text, kept, standing)

    def _unfolded(self, pieces: list[Piece]) -> list[Piece]:
        """Put the pieces of a text in its place that others were added to, one after the other.

        A statement that grows in a loop is as deep as the loop is long. One that grows by single
        characters stays as it is: these are looked at together.
        """
        ends: list[list[Piece]] = []
        for _ in range(MAX_NOTED):
            value, constant = pieces[0]
            if constant or type(value) is not str or self._taint.is_of(value) is not None:
                break
            made = self._provenance.of(value)
            if made is None or made.kind != JOINED or characters.ends_in(made):
                break
            ends.append(pieces[1:])
            pieces = joined_of(made)
        return list(itertools.chain(pieces, *reversed(ends)))

    def _pieces(self, made: Made) -> list[Piece] | None:
        """Return what a text was put together from; None if it was made in another way."""
        if made.kind == JOINED:
            return joined_of(made)
        # A template from outside has no literals of the code: what it gives is derived from it.
        # Made of no text: `encode` of an object.
        template = made.parts[0] if made.parts else ""
        if made.kind == PERCENT and not self._spans(template, _MAX_DEPTH):
            return of_percent(template, made.parts[1])
        if made.kind == FORMAT and not self._spans(template, _MAX_DEPTH):
            return of_format(template, made.parts[1], made.parts[2])
        if made.kind == SUBSTITUTED and not self._spans(template, _MAX_DEPTH):
            return list(substituted(template, *made.parts[1:]))
        if made.kind == REPLACED and not self._spans(template, _MAX_DEPTH):
            return replaced(*made.parts)
        return None

    def _grown(self, text: str, made: Made, depth: int) -> list[Span]:
        """Texts that grew by one character after the other."""
        steps: list[Step] = []
        whole: Any = text
        last: Made | None = made
        while last is not None and last.kind == JOINED and len(last.parts) == 2:
            step = self._turns.step(last.parts[1], constant=bool(last.constant >> 1 & 1))
            if step is None or len(steps) > _MAX_FILTERED:
                break
            steps.append(step)
            whole = last.parts[0]
            last = self._provenance.of(whole)
        if len(steps) < 2:
            return []
        steps.reverse()
        # What it began with is its first character, which is not noted, or the code's own.
        begun = as_text(whole)
        if len(begun) == 1 and (found := self._characters([[(begun, False)], *steps])):
            return found
        found = [s.moved(len(begun)) for s in self._characters(steps)]
        return self._spans(whole, depth + 1) + found if found else []

    def _joined(self, pieces: list[Piece]) -> list[Span]:
        """Texts joined from single characters, with longer ones before, after and between them."""
        if self._turns.is_list(pieces):
            return []
        found: list[Span] = []
        run: list[Step] = []
        start = place = 0
        for number, (piece, constant) in enumerate([*pieces, (None, True)]):
            own = constant or characters.is_between(pieces, number, self._is_constant)
            step = self._turns.step(piece, constant=own) if piece is not None else None
            if step is None:
                if run:
                    found += [span.moved(start) for span in self._characters(run)]
                    run = []
                start = place + len(piece or "")
            elif piece:
                run.append(step)
            place += len(piece or "")
        return found

    def _characters(self, steps: list[Step]) -> list[Span]:
        """Characters that were taken one by one."""
        return characters.spans(steps, lambda: self._taint.texts(_MAX_COMPARED), self._is_constant)

    # -- made from, in another way -------------------------------------------------------------

    def _derived(self, text: str, made: Made, depth: int) -> list[Span]:
        substituted = self._substituted(text, made, depth) if "<" in text else None
        if substituted is not None:
            return substituted
        sources = [s for s in made.parts if isinstance(s, (str, bytes)) and s]
        spans: list[Span] = []
        of_known = False
        for source in sources if made.kind != DERIVED else sources[:8]:
            inside = self._spans(source, depth + 1)
            if not inside:
                continue
            whole = as_text(source)
            # The same in another object, a part of it, or parts of it in another text.
            if whole == text:
                return inside
            if len(text) < len(whole) and text in whole:
                spans += self._cut(text, whole, inside)
                of_known = getattr(self._provenance.of(source), "kind", "") == JOINED
                continue
            again = found_again(text, whole, inside)
            spans += again
            covered = sum(span.end - span.start for span in inside)
            short = covered < MIN_AGAIN and len(text) > len(whole)
            # None of them: it was changed beyond recognition, as `b64decode` does. If most of the
            # source is from outside, so is the result.
            if not again and not short and 2 * covered > len(whole):
                first = inside[0]
                parts = escaped_again(text, whole, inside) or unwritten(text, whole, made)
                if parts:
                    spans += [first._replace(start=a, end=b, exact=True) for a, b in parts]
                    continue
                how = first.checked or self.check_of(text)
                origin = first.origin.decoded("what the code made of it")
                begins = folder_before(text, whole, first)
                return [Span(begins, len(text), origin, exact=True, checked=how)]
        if not spans and made.constant and self._is_own(made, 0):
            return []
        spans = merged(spans)
        if len(spans) == 1 and (spans[0].start, spans[0].end) == (0, len(text)):
            return spans  # a search can find no more of it
        searched = self._leaf(text)
        if of_known:  # of what the code has put together, and this was cut from, all is known
            searched = [span for span in searched if not span.is_piece]
        return merged(spans + without_pieces_of(spans, searched))

    def _substituted(self, text: str, made: Made, depth: int) -> list[Span] | None:
        """Find the parts of a text in which `re.sub` has put markup of the code's around some.

        None if it put in something else: what it took away or changed is checked by the pattern.
        """
        again = made.parts[-2] if len(made.parts) > 1 else None
        if type(again) is not Substitution or self._searching:
            return None
        of_template = isinstance(again.by, str)
        if of_template and ("<" not in again.by or self._spans(again.by, depth + 1)):
            return None
        noted = () if of_template else self._provenance.since(_NONE)[0]
        parts = parts_of(again, text, (note[0] for note in noted))
        put_in = [part.made for part in parts or () if part.made is not None]
        if parts is None or not any("<" in one for one in put_in):
            return None
        cut = cutting(self._spans(again.text, depth + 1))
        found: list[Span] = []
        offset = 0
        for start, end, one in parts:
            if one is None:
                found += [s.moved(offset) for s in cut(start, end - start)]
            elif not of_template:
                found += [s.moved(offset) for s in self._spans(one, depth + 1)]
            offset += end - start if one is None else len(one)
        return merged(found)

    def _is_own(self, made: Made, depth: int) -> bool:
        """Tell whether a text was made of nothing but the code's own: `"Contact".lower()`.

        Then an event's text that equals it is there by chance.
        """
        if depth > _MAX_OWN_DEPTH or made.kind not in (DERIVED, JOINED):
            return False
        if made.kind == DERIVED and not made.constant:
            return False
        return all(
            (made.kind == JOINED and made.constant >> number & 1)
            or self._is_own_part(part, depth + 1)
            for number, part in enumerate(made.parts)
        )

    def _is_own_part(self, part: Any, depth: int) -> bool:
        if not isinstance(part, (str, bytes)):
            return type(part) in _NUMBERS
        if self._taint.is_of(part) is not None:
            return False
        made = self._provenance.of(part)
        return self._is_constant(as_text(part)) if made is None else self._is_own(made, depth)

    def _cut(self, text: str, source: str, inside: list[Span]) -> list[Span]:
        """Find what of a source's parts is in a text that was cut out of it, wherever it was."""
        place = source.find(text)
        for _ in range(_MAX_PLACES):
            found = [
                span._replace(
                    start=max(span.start - place, 0), end=min(span.end - place, len(text))
                )
                for span in inside
                if span.start < place + len(text) and span.end > place
            ]
            if found:
                return [
                    s._replace(
                        checked=s.checked or self._vouched(text[s.start : s.end], exact=s.exact)
                    )
                    for s in found
                ]
            place = source.find(text, place + 1)
            if place < 0:
                break
        return []
