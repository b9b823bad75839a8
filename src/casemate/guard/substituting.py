"""Takes apart what `string.Template` and `replace` made: which of it is whose."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .notes import OF_MARKS, REPLACED, Made
from .origin import Span
from .pieces import has_step_up, is_whole, replaced, same
from .spans import cutting, found_again, merged

_PLACES = ("?", "%s")
"""What the code puts in the place of a value that it binds: `sql.replace(f"'{name}'", "?")`."""
_LETTER = re.compile(r"[^\W\d_]")
_SCALARS = (str, int, float, bool, type(None))


def held(arguments: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a substitution that may be held: a held file would not be closed."""
    given: dict[str, Any] = {}
    for mapping in (*arguments[:1], named):
        if isinstance(mapping, dict):
            given.update({k: v for k, v in mapping.items() if isinstance(v, _SCALARS)})
    return given


def pieces(
    template: str, pattern: re.Pattern[str], values: Mapping[str, Any]
) -> list[tuple[str, bool]]:
    """Return the texts in order, and whether each is the template's."""
    found: list[tuple[str, bool]] = []
    place = 0
    for match in pattern.finditer(template):
        found.append((template[place : match.start()], True))
        place = match.end()
        groups = match.groupdict()
        name = groups.get("named") or groups.get("braced")
        if name is None:
            # An escaped sign becomes one; what is invalid stays as it is.
            found.append((match[0][:1] if groups.get("escaped") is not None else match[0], True))
        elif name in values:
            value = values[name]
            found.append((value if type(value) is str else str(value), False))
        else:
            found.append((match[0], True))
    return [*found, (template[place:], True)]


def replaced_in(text: str, made: Made, spans_of: Callable[[str], list[Span]]) -> list[Span] | None:
    """Find the parts of a text in which the code has replaced something; None if nobody can."""
    found = put_in(text, made, spans_of)
    if found is None:
        found = marks_replaced(text, made, spans_of)
    return signs_replaced(text, made, spans_of) if found is None else found


def marks_replaced(
    text: str, made: Made, spans_of: Callable[[str], list[Span]]
) -> list[Span] | None:
    """Find the parts of a text in which a mark of the code's, as `%NAME%`, became a value.

    None if the mark is within data, or beside it, or is of no letters: signs may be of the data.
    """
    if made.kind != REPLACED or not all(type(part) is str for part in made.parts[:3]):
        return None
    source, mark, value = made.parts[:3]
    inside = spans_of(source) if len(_LETTER.findall(mark)) > 1 else []
    # A mark of a template is one whoever names it: `"$" + name`.
    if not inside or (mark[:1] not in OF_MARKS and spans_of(mark)):
        return None
    pieces_of = replaced(*made.parts)
    if pieces_of is None or not same(text, pieces_of):
        return None
    cut = cutting([s._replace(start=max(s.start - 1, 0), end=s.end + 1) for s in inside])
    exactly, put = cutting(inside), spans_of(value)
    found: list[Span] = []
    place = offset = 0
    for piece, is_rest in pieces_of:
        if is_rest:
            found += [s.moved(offset) for s in exactly(place, len(piece))]
        elif cut(place, len(mark)):
            return None
        else:
            found += [s.moved(offset) for s in put]
        place += len(piece if is_rest else mark)
        offset += len(piece)
    return found


def signs_replaced(
    text: str, made: Made, spans_of: Callable[[str], list[Span]]
) -> list[Span] | None:
    """Find what of a text's parts is in what came of it as the code replaced signs in these.

    None if none of them was changed, what was put in is from outside as well, or it was made in
    another way.
    """
    if made.kind != REPLACED or type(made.parts[0]) is not str:
        return None
    if any(map(spans_of, made.parts[1:3])):
        return None
    source, old = made.parts[:2]
    inside = spans_of(source)
    # What was put before the first sign of a value is of it: `\[x]` has `[x]` in it as well.
    changed = any(old in source[span.start : span.end] for span in inside)
    if not changed and found_again(text, source, inside):
        return None
    return moved_in(text, made, inside) or None


def moved_in(text: str, made: Made, spans: Sequence[Span]) -> list[Span] | None:
    """Return the spans of a text in which signs were replaced, in what came of it.

    What was put in is of the span that it is in, or touches. None if it is not what came of it.
    """
    pieces_of = replaced(*made.parts)
    if pieces_of is None or not same(text, pieces_of):
        return None
    old = len(made.parts[1])
    places: list[tuple[int, int, int]] = []
    place = offset = 0
    for piece, is_rest in pieces_of:
        size = len(piece) if is_rest else old
        if not is_rest:
            places.append((place, offset, len(piece)))
        place += size
        offset += len(piece)
    begins = [begin for begin, _, _ in places]

    def at(sign: int, *, ends: bool) -> int:
        number = bisect.bisect_left(begins, sign) - 1 if ends else bisect.bisect(begins, sign) - 1
        if number < 0:
            return sign
        begin, now, size = places[number]
        inside = sign < begin + old
        return now + (size if ends else 0) if inside else now + size + sign - begin - old

    moved = [s._replace(start=at(s.start, ends=False), end=at(s.end, ends=True)) for s in spans]
    return merged([span for span in moved if span.start < span.end])


def put_in(text: str, made: Made, spans_of: Callable[[str], list[Span]]) -> list[Span] | None:
    """Find the parts of a text in which the code has put something whole in place of others.

    As `text.replace("\\n", "<br>")` does, or `url.replace(PUBLIC, "http://mirror")`. None if it
    was made in another way: what else is put in can be what the event has written in another
    form, such as a quote for `%27`, or `and` for `&&`.
    """
    if made.kind != REPLACED or type(made.parts[2]) is not str:
        return None
    template, _, new, *_ = made.parts
    if type(template) is not str or not (is_whole(new) or new in _PLACES):
        return None
    # With steps up it is what clients make of the whole that counts, and the code may ask for.
    if spans_of(new) or ("://" in new and has_step_up(text)):
        return None
    pieces_of = replaced(*made.parts)
    if pieces_of is None or not same(text, pieces_of):
        return None
    cut = cutting(spans_of(template))
    found: list[Span] = []
    place = offset = 0
    for piece, is_rest in pieces_of:
        if is_rest:
            found += [s.moved(offset) for s in cut(place, len(piece))]
        elif new in _PLACES and not cut(place, len(made.parts[1])):
            return None  # the event has said where a place for a value is
        place += len(piece if is_rest else made.parts[1])
        offset += len(piece)
    return found
