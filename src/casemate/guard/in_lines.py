"""What loops over lines call most: splits, matches with what they found, and questions to a text.

Each is given what its method is called on, not the method, which would have to be made for each
text. What is not as most of it is goes the long way, which knows all that these know.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from re import Match
from typing import Any

from .calls import Calls
from .frequent import BEGINS_WITH, IN_LINK
from .notes import DERIVED, MAX_COLLECTIONS, SPREAD, Several
from .quick import MAX_CUT_FROM, MAX_SHORT, MAX_WAITING
from .searching import MAX_ANSWERS


def splitter(notes: Calls, slow: Callable[..., Any]) -> Callable[..., Any]:
    """Return what does `text.split(separator)` with a separator that is written there."""
    append, keep = notes._waiting.append, notes._lists.append

    def split(text: Any, separator: str, index: int | None = None) -> Any:
        if type(text) is not str:
            return slow(text.split, separator)
        parts = text.split(separator)
        if notes.divides[separator] and len(parts) > 1 and notes.active:
            notes._divided(text, separator, -1, False, index)
        # Whether it is records that are read again is asked where texts are longer, too.
        longer = separator == "\n" or len(text) > MAX_SHORT or text[:4] in BEGINS_WITH
        if longer or not notes.active:
            notes._parted(parts, (text, separator))
            return parts
        note = (parts, SPREAD, (text, separator), parts[:])
        keep(note)
        append(note)
        notes._listed += len(parts)
        if notes._listed > MAX_WAITING:
            notes._forget_lists()
        return parts

    return split


def telling_splitter(
    split: Callable[..., Any],
    seen: Callable[..., Any],
    name: str,
    signs: str,
    literals: Mapping[str, str],
    needed: Sequence[Any],
) -> Callable[..., Any]:
    """Return what does both: announces as `announcer`, and splits as `splitter`."""
    first, second, third, fourth = tuple(signs * 4)[:4]

    def told_split(text: Any, separator: str, index: int | None = None) -> Any:
        if needed and type(text) is str:
            found = first in text or second in text or third in text or fourth in text
            if found and literals.get(text) is not text:
                seen(name, text)
        return split(text, separator, index)

    return told_split


def announcer(
    seen: Callable[..., Any],
    name: str,
    signs: str,
    literals: Mapping[str, str],
    needed: Sequence[Any],
) -> Callable[[Any], Any]:
    """Return what announces a text that the code cuts next, if it has one of some signs.

    But not one that is a literal of the code's: nothing of it is from outside. Nothing is announced
    while `needed` is empty.
    """
    first, second, third, fourth = tuple(signs * 4)[:4]

    def announced(text: Any) -> Any:
        if type(text) is not str or not needed:
            return text
        found = first in text or second in text or third in text or fourth in text
        if found and literals.get(text) is not text:
            seen(name, text)
        return text

    return announced


def parter(notes: Calls, slow: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return what does `text.partition(separator)`, or `rpartition`, as `splitter` does."""
    append, keep, cut = notes._waiting.append, notes._lists.append, getattr(str, name)
    backwards = name == "rpartition"

    def part(text: Any, separator: str) -> Any:
        if type(text) is not str:
            return slow(getattr(text, name), separator)
        found = cut(text, separator)
        if found[1] and notes.divides[separator] and notes.active:
            notes._divided(text, separator, 1, backwards)
        longer = text[:4] in BEGINS_WITH or not notes.active
        if longer or (found[1] and len(text) > MAX_SHORT):
            notes._partitioned(found, (text, separator))
        elif found[1]:  # else it is the text itself
            note = (found, SPREAD, (text, separator), found[::2])
            keep(note)
            append(note)
            notes._listed += 2
            if notes._listed > MAX_WAITING:
                notes._forget_lists()
        return found

    return part


def worder(notes: Calls, slow: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return what does `text.split()`."""
    append, keep = notes._waiting.append, notes._lists.append

    def words(text: Any) -> Any:
        if type(text) is not str:
            return slow(text.split)
        parts = text.split()
        if len(text) > MAX_SHORT or text[:4] in BEGINS_WITH or not notes.active:
            notes._parted(parts, (text,))
            return parts
        note = (parts, SPREAD, (text,), parts[:])
        keep(note)
        append(note)
        notes._listed += len(parts)
        if notes._listed > MAX_WAITING:
            notes._forget_lists()
        return parts

    return words


def all_grouper(notes: Calls, slow: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return what does `match.groups()`."""
    append, keep = notes._waiting.append, notes._lists.append

    def groups(match: Any) -> Any:
        if type(match) is not Match:
            return slow(match.groups)
        found = match.groups()
        text = match.string
        short = type(text) is str and len(text) <= MAX_SHORT
        if not (short and match.re is notes._wordless and notes.active) or IN_LINK in text:
            notes._grouped((match.groups, ()), match, found)
            return found
        note = (found, SPREAD, (text,), found)  # no pattern has as many as are too many for a list
        keep(note)
        append(note)
        notes._listed += len(found)
        if notes._listed > MAX_WAITING:
            notes._forget_lists()
        return found

    return groups


def grouper(notes: Calls, slow: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """Return what does `match.group(which)`."""
    append = notes._waiting.append

    def group(match: Any, which: Any) -> Any:
        if type(match) is not Match:
            return slow(match.group, which)
        found = match.group(which)
        text = match.string
        plain = type(found) is str and type(text) is str and match.re is notes._wordless
        if plain and len(found) <= MAX_SHORT and len(text) <= MAX_CUT_FROM and IN_LINK not in text:
            if found is not text:
                append((found, DERIVED, (text,), 0))
        elif found is not None:
            notes._grouped((match.group, (which,)), match, found)
        return found

    return group


def itemizer(group: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return what does `match[which]`, and of all else what `[]` does."""

    def item(held: Any, which: Any) -> Any:
        return group(held, which) if type(held) is Match else held[which]

    return item


def affirmer(notes: Calls) -> Callable[..., bool]:
    """Return what notes that a text has answered yes: to `startswith`, `isdigit` and the like."""
    checked, answers, kept = notes._checked, notes._answers, notes.kept

    def affirmed(text: str, name: str, affix: Any = None, _: None = None) -> bool:
        if affix is None:
            if text not in checked:
                notes.checked_by(text, "word")
        elif notes.active:
            if name == "startswith":
                kept["prefix", text] = affix
            answers.append((text, name, affix))
            if len(answers) > MAX_ANSWERS:
                notes._settle_answers()
        return True

    return affirmed


def admitter(notes: Calls, found: Callable[[Any, Any], None]) -> Callable[..., bool]:
    """Return what notes that a value was found in a collection of one of the plain types."""
    checked = notes._checked

    def admitted(value: Any, collection: Any, _: None = None) -> bool:
        # Most are found again, in the same.
        known = checked.get(value) if type(value) is str else None
        if known is None or known[1] is not collection:
            found(value, collection)
        return True

    return admitted


def finder_among(
    notes: Calls,
    among: Callable[[Any, Any], bool],
    found: Callable[[Any, Any], None],
    once: Container[type],
) -> Callable[[Any, Any], bool]:
    """Return what does `value in collection`; `among` does so of what gives its members `once`."""
    checked = notes._checked

    def member(value: Any, collection: Any) -> bool:
        kind = type(collection)
        if kind in once and notes.active:
            return among(value, collection)
        if value not in collection:
            return False
        known = checked.get(value) if kind is tuple and type(value) is str else None
        # To as many as are kept of one text nothing is added.
        if known is None or type(known[1]) is not Several or len(known[1]) < MAX_COLLECTIONS:
            found(value, collection)
        return True

    return member


def equaller(notes: Calls, same: Callable[[str, str], None]) -> Callable[..., bool]:
    """Return what notes that a text is the same as one that the code has written there."""
    checked = notes._checked

    def equal(left: str, right: str, _: None = None) -> bool:
        known = checked.get(left)
        # To as many as are kept of one text nothing is added.
        if known is None or type(known[1]) is not Several or len(known[1]) < MAX_COLLECTIONS:
            same(left, right)
        return True

    return equal
