"""Texts of an event by the thousand: sorted by what they need, lowered and decoded at once.

What is done in the interpreter's loop for each text costs some microseconds, and an event of
256 KiB has fifty thousand. Here they are gone through by what works on all of them.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from .binary import may_hold_texts
from .decoding import CONTROL

_LETTERS = "A-Za-z0-9_.,:@/-"
_EASILY = r"!#$()*,./0-9:;<>?@A-Z\]^_a-z|}~'\"`-"
_CODED = r"(?=[^\0]{8})[A-Za-z0-9/_-]{6,}+={0,2}+"
_KINDS = re.compile(
    # A URL has a blank for a `+`, so these have none: that would be a form as well.
    f"({_CODED})"
    # What is short, or has blanks, but not at its ends. JSON begins with a double quote.
    f'|((?!")(?:[{_EASILY}]{{1,7}}+'
    f"|(?!(?i:beare|data:))[{_EASILY}]++ (?:[ {_EASILY}]*[{_EASILY}])?+)(?<! ))"
    f"|([{_LETTERS}]++)"
)
"""By the number of the group, what base64 looks like; what has no other form once its quotes are
seen to, and takes no decoder to say so, for it has no escapes; and a word that can be an encoding,
but is always written as it is."""
_ALL_CODED = re.compile(f"(?:{_CODED}\\0)++")
_ANY_KIND = re.compile(rf"\0(?:{_KINDS.pattern})(?=\0)")
"""The same of many texts with null characters between."""
_SAMPLE = 32
"""Texts by which it is seen whether all may be of one kind."""
_WORD = re.compile(f"[{_LETTERS}]++")
_MAX_EASY = 4096
_MIN_KEPT, _MAX_KEPT = 4096, 1 << 20
"""Characters of a text whose lower case is kept until that of another is asked for."""
_CONTAINERS = b"P\x1f\x78"
"""First bytes of archives, gzip and zlib."""
_CONTAINED = _CONTAINERS.decode()
_PADDING = ("", "AAA", "AA", "A")
_APART = ("AAAA", *_PADDING[1:])
_LONGER_LOWERED = "\u0130"
"""The only character (dotted capital I) that is more than one in lower case."""
_LATIN_LOWERED = bytes(range(256)).decode("latin-1").lower().encode("latin-1")
_STANDARD = {ord("-"): "+", ord("_"): "/"}


WRITTEN_OTHERWISE = ("\\", "''", '""')
"""One of these is in all that a text is written as, unless it is written as it is."""
Writer = Callable[[Sequence[str]], Iterator[tuple[list[str], Sequence[str]]]]
"""Yields what texts may be written as, and these texts."""


class Sorted(NamedTuple):
    """Texts by what has to be done with each."""

    words: list[str]
    coded: list[str]
    """What base64 looks like; may be words."""
    easy: list[str]
    """With signs, but no form beside their own: sentences, names with a semicolon."""
    quoted: list[str]
    """The same with quotes, which code may double or escape."""
    hard: list[str]


def all_coded(texts: Sequence[str]) -> bool:
    """Tell whether all texts look like base64: then none is plain, nor of another kind."""
    some = len(texts) > _SAMPLE and len(max(texts, key=len)) < _MAX_EASY
    if not some or _ALL_CODED.fullmatch("\0".join([*texts[:_SAMPLE], ""])) is None:
        return False
    joined = "\0".join([*texts, ""])
    return joined.count("\0") == len(texts) and _ALL_CODED.fullmatch(joined) is not None


def coded_alone(texts: Sequence[str]) -> Sorted:
    """Return such texts sorted."""
    return Sorted([text for text in texts if text[-1] != "="], [*texts], [], [], [])


def none_is(known: re.Pattern[str], each: re.Pattern[str], texts: Sequence[str]) -> bool:
    """Tell whether no text is one that `known` knows; False if they are few.

    `each` finds one behind a null character, before another.
    """
    if len(texts) <= _SAMPLE or any(map(known.fullmatch, texts[:_SAMPLE])):
        return False
    joined = "\0".join(["", *texts, ""])
    return joined.count("\0") == len(texts) + 1 and each.search(joined) is None


def sort_out(texts: Sequence[str]) -> Sorted:
    """Sort texts that are not plain."""
    if all_coded(texts):
        return coded_alone(texts)
    short = max(map(len, texts), default=0) < _MAX_EASY
    if short and none_is(_KINDS, _ANY_KIND, texts):
        return Sorted([], [], [], [], [*texts])
    kinds: tuple[list[str], ...] = ([], [], [], [])
    hard, coded, easy, words = kinds
    # One expression that tells them all, for each call of one takes longer than what it does.
    if short:
        numbers = [found.lastindex if found else 0 for found in map(_KINDS.fullmatch, texts)]
        for number, kind in enumerate(kinds):
            if numbers.count(number) == len(texts):  # most events have many of a kind
                kind.extend(texts)
            elif number in numbers:
                kind += [t for t, one in zip(texts, numbers, strict=True) if one == number]
    else:
        for text in texts:
            match = _KINDS.fullmatch(text)
            if match is None:
                hard.append(text)
            elif len(text) < _MAX_EASY:
                kinds[match.lastindex or 0].append(text)
            else:
                (words if _WORD.fullmatch(text) else hard).append(text)
    words += [text for text in coded if text[-1] != "="]
    quoted = [text for text in easy if "'" in text or '"' in text or "`" in text]
    if quoted:
        done = set(quoted)
        easy = [text for text in easy if text not in done]
    return Sorted(words, coded, easy, quoted, hard)


def lowered(text: str) -> str:
    """Return a text in lower case, of the same length."""
    # Not of a kind of its own, which decides itself what it is equal to.
    kept = type(text) is str and _MIN_KEPT <= len(text) <= _MAX_KEPT
    return _last_lowered(text) if kept else _lowered(text)


def _lowered(text: str) -> str:
    if not text.isascii():
        # In a fifth of the time, where no character is of another alphabet.
        with contextlib.suppress(UnicodeEncodeError):
            return text.encode("latin-1").translate(_LATIN_LOWERED).decode("latin-1")
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    # Binary data read as UTF-16 has it by chance, so this may not take a loop over all characters.
    return _LONGER_LOWERED.join([part.lower() for part in text.split(_LONGER_LOWERED)])


_last_lowered = functools.lru_cache(maxsize=1)(_lowered)
"""A large text is searched in four ways, one after the other, each of which lowers it."""


def all_lowered(texts: Sequence[str]) -> list[str]:
    """Return texts without null characters in lower case, each of the same length."""
    found = _lowered("\0".join(texts)).split("\0")
    return found if len(found) == len(texts) else [lowered(text) for text in texts]


def requoted(texts: Sequence[str]) -> Iterator[tuple[list[str], Sequence[str]]]:
    """Yield what quoting makes of texts with quotes and without null characters or backslashes.

    What SQL and CSV double, what a backslash escapes, and JSON; Python writes one of these.
    """
    joined = "\0".join(texts)
    escaped = joined.replace("'", "\\'")
    made = [joined.replace("'", "''"), escaped]
    if '"' in joined:
        made += [joined.replace('"', '\\"'), escaped.replace('"', '\\"')]
        made.append(joined.replace('"', '""'))
    for form in made:
        yield form.split("\0"), texts


def written_alone(texts: Sequence[str]) -> Iterator[tuple[list[str], Sequence[str]]]:
    """Yield what texts may be written as that may have null characters, each by itself."""
    for text in texts:
        forms: list[str] = []
        if "'" in text or '"' in text or "`" in text:
            forms.append(text.replace("'", "''"))
            forms.append(text.replace("'", "\\'"))
            forms.append(text.replace('"', '""'))
            forms.append(text.replace("'", "\\'").replace('"', '\\"'))
        if not text.isprintable() or '"' in text or "\\" in text:
            forms += (json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1])
        if not text.isascii():
            forms += (json.dumps(text)[1:-1], ascii(text)[1:-1])
        # Quotes are written alike in many ways: most of these forms are equal.
        some = [form for form in dict.fromkeys(forms) if form != text]
        yield some, [text] * len(some)


def written_otherwise(texts: Sequence[str]) -> Iterator[tuple[list[str], Sequence[str]]]:
    """Yield what else texts without null characters may be written as, and these texts.

    Quotes are doubled or escaped, as by `requoted`. What is not printed, not ASCII or escaped
    itself, JSON and Python write in ways of their own.
    """
    quoted = [text for text in texts if "'" in text or '"' in text or "`" in text]
    if quoted:
        joined = "\0".join(quoted)
        escaped = joined.replace("'", "\\'")
        made = [joined.replace("'", "''"), escaped]
        if '"' in joined:
            made += [joined.replace('"', '""'), escaped.replace('"', '\\"')]
        for form in made:
            yield form.split("\0"), quoted
    whole = "|".join(texts)
    special: list[str] = []
    if '"' in whole or "\\" in whole or not whole.isprintable():
        special = [t for t in texts if '"' in t or "\\" in t or not t.isprintable()]
    if special:
        yield _as_json(special, ascii_only=False), special
        yield from _as_python(special, repr)
    other = [] if whole.isascii() else [text for text in texts if not text.isascii()]
    if other:
        yield _as_json(other, ascii_only=True), other
        yield from _as_python(other, ascii)


def _as_json(texts: Sequence[str], *, ascii_only: bool) -> list[str]:
    # Behind a bar stands the one backslash that is none of the texts': theirs are doubled.
    return json.dumps("|\0".join(texts), ensure_ascii=ascii_only)[1:-1].split("|\\u0000")


def _as_python(
    texts: Sequence[str], write: Callable[[str], str]
) -> Iterator[tuple[list[str], Sequence[str]]]:
    """Yield texts as Python writes them. Which quotes have a backslash depends on both kinds."""
    single = [text for text in texts if "'" in text]
    double = {text for text in single if '"' in text}
    kinds = (
        [text for text in texts if "'" not in text],
        [text for text in single if text not in double],
        [text for text in single if text in double],
    )
    for kind in kinds:
        if kind:
            yield write("|\0".join(kind))[1:-1].split("|\\x00"), kind


def base64_of(texts: Sequence[str]) -> dict[str, bytes]:
    """Return what texts of base64's digits hold, as `base64_bytes` does, decoded in one go."""
    digits = _digits_of(texts)
    if len(digits) != len(texts):
        return {}
    # Without their ends, to which the padding belongs, all are one.
    joined = "".join([bare + _PADDING[len(bare) & 3] for bare in digits])
    try:
        data = base64.b64decode(joined.translate(_STANDARD), validate=True)
    except (binascii.Error, ValueError):
        return {}
    found: dict[str, bytes] = {}
    place = 0
    for text, size in zip(texts, map(len, digits), strict=True):
        if size & 3 != 1:
            found[text] = data[place : place + size * 3 // 4]
        place += (size + 3) // 4 * 3
    return found


def _digits_of(texts: Sequence[str]) -> list[str]:
    """Return texts of base64's digits without their ends."""
    ended = "\0".join([*texts, ""])
    # What has more than two at its end is no base64: it is not decoded.
    return ended.replace("=\0", "\0").replace("=\0", "\0").split("\0")[:-1]


def plainly_decoded(texts: Sequence[str]) -> list[str] | None:
    """Return what texts of base64's digits hold if each holds text and nothing else, by its look.

    None if one may hold more, or less: `base64_of` and `plain_of` take longer, and tell of each.
    """
    digits = _digits_of(texts)
    sizes = list(map(len, digits))
    if len(digits) != len(texts) or 1 in {size & 3 for size in sizes}:
        return None
    # The digits more come to one to three nulls, at which all is taken apart again.
    joined = "".join([bare + _APART[len(bare) & 3] for bare in digits])
    try:
        plain = base64.b64decode(joined.translate(_STANDARD), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    found = list(filter(None, plain.split("\0")))
    held = found if plain.isascii() else [form.encode() for form in found]
    whole = list(map(len, held)) == [size * 3 // 4 for size in sizes]
    if not whole or CONTROL.search(plain) or not {f[0] for f in found}.isdisjoint(_CONTAINED):
        return None
    return found


def plain_of(texts: Sequence[str], data: Mapping[str, bytes]) -> tuple[dict[str, str], list[str]]:
    """Return what data is as text if it is nothing else by its look, and whose may be more."""
    plain: dict[str, str] = {}
    others: list[str] = []
    found = list(map(data.get, texts))
    together = _decoded_together([held for held in found if held])
    if together is not None and all(found):
        return dict(zip(texts, together, strict=True)), others
    for text, held in zip(texts, found, strict=True):
        if held and held[0] not in _CONTAINERS:
            try:
                plain[text] = held.decode()
            except UnicodeDecodeError:
                if may_hold_texts(held):
                    others.append(text)
        elif held:
            others.append(text)
    if CONTROL.search("".join(plain.values())):
        shown = {text: form for text, form in plain.items() if not CONTROL.search(form)}
        others += [t for t in plain if t not in shown and may_hold_texts(data[t])]
        plain = shown
    return plain, others


def _decoded_together(held: Sequence[bytes]) -> list[str] | None:
    """Return what all data is as text; None if some of it is none, or may be more."""
    if not {one[0] for one in held}.isdisjoint(_CONTAINERS):
        return None
    try:
        plain = b"\0".join(held).decode()
    except UnicodeDecodeError:
        return None
    found = plain.split("\0")
    if len(found) != len(held) or CONTROL.search("".join(found)):
        return None
    return found
