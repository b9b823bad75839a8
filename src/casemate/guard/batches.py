"""Texts of an event by the thousand: sorted by what they need, lowered and decoded at once.

What is done in the interpreter's loop for each text costs some microseconds, and an event of
256 KiB has fifty thousand. Here they are gone through by what works on all of them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from .decoding import CONTROL

_WORD = re.compile(r"[A-Za-z0-9_.,:@/-]++")
"""One that can be an encoding of another, but is always written as it is."""
_EASILY = r"!#$()*,./0-9:;<>?@A-Z\]^_a-z|}~-"
_SHAPE = r"(?:[{0}]{{1,7}}|(?!(?i:beare|data:))[{0}]++ (?:[ {0}]*[{0}])?+)"
_EASY = re.compile(_SHAPE.format(_EASILY))
"""What has no other form, quoted or decoded, and takes no decoder to say so: no quotes, no escapes,
and what is short or has blanks, but not at its ends."""
_QUOTED = re.compile('(?!")' + _SHAPE.format("'\"`" + _EASILY))
"""The same with quotes. JSON begins with one of the second kind."""
_MAX_EASY = 4096
_MIN_CODED = 8
_BASE64 = re.compile(r"[A-Za-z0-9/_-]{6,}={0,2}")
"""Of those with a `+` the blank that it stands for in a URL is a form as well."""
_CONTAINERS = b"P\x1f\x78"
"""First bytes of archives, gzip and zlib."""
_PADDING = ("", "AAA", "AA", "A")
_STANDARD = {ord("-"): "+", ord("_"): "/"}


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


def sort_out(texts: Sequence[str]) -> Sorted:
    """Sort texts that are not plain."""
    long = [text for text in texts if _MIN_CODED <= len(text) < _MAX_EASY and text[-1] != " "]
    coded = [text for text in long if _BASE64.fullmatch(text)]
    done = set(coded)
    others = [text for text in texts if text not in done] if done else texts
    # One that ends with a blank has a form without it, which the expressions do not tell.
    easy = [
        text
        for text in others
        if text[-1:] != " " and _EASY.fullmatch(text) and len(text) < _MAX_EASY
    ]
    done = set(easy)
    others = [text for text in others if text not in done] if done else others
    words = [text for text in others if _WORD.fullmatch(text)]
    quoted = [
        text
        for text in others
        if text[-1:] != " " and _QUOTED.fullmatch(text) and len(text) < _MAX_EASY
    ]
    done = {*words, *quoted}
    quoted = [text for text in quoted if not _WORD.fullmatch(text)]
    hard = [text for text in others if text not in done]
    words += [text for text in coded if text[-1] != "="]
    return Sorted(words, coded, easy, quoted, hard)


def lowered(text: str) -> str:
    """Return a text in lower case, of the same length."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := c.lower()) == 1 else c for c in text)


def all_lowered(texts: Sequence[str]) -> list[str]:
    """Return texts without null characters in lower case, each of the same length."""
    joined = "\0".join(texts)
    lower = joined.lower()
    found = lower.split("\0")
    if len(lower) == len(joined) and len(found) == len(texts):
        return found
    return [lowered(text) for text in texts]


def requoted(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield what quoting makes of texts with quotes and without null characters or backslashes.

    What SQL doubles, what a backslash escapes, and JSON; Python writes one of these.
    """
    joined = "\0".join(texts)
    escaped = joined.replace("'", "\\'")
    made = [joined.replace("'", "''"), escaped]
    if '"' in joined:
        made += [joined.replace('"', '\\"'), escaped.replace('"', '\\"')]
    for form in made:
        yield form.split("\0")


def base64_of(texts: Sequence[str]) -> dict[str, bytes]:
    """Return what texts of base64's digits hold, as `base64_bytes` does, decoded in one go."""
    digits = [text.rstrip("=") for text in texts]
    # Without their ends, to which the padding belongs, all are one.
    joined = "".join([bare + _PADDING[len(bare) & 3] for bare in digits])
    try:
        data = base64.b64decode(joined.translate(_STANDARD), validate=True)
    except (binascii.Error, ValueError):
        return {}
    found: dict[str, bytes] = {}
    place = 0
    for text, bare in zip(texts, digits, strict=True):
        size = len(bare)
        if size & 3 != 1:
            found[text] = data[place : place + size * 3 // 4]
        place += (size + 3) // 4 * 3
    return found


def plain_of(texts: Sequence[str], data: Mapping[str, bytes]) -> tuple[dict[str, str], list[str]]:
    """Return what data is as text if it is nothing else by its look, and whose may be more."""
    plain: dict[str, str] = {}
    others: list[str] = []
    for text in texts:
        held = data.get(text)
        if held and held[0] not in _CONTAINERS:
            try:
                plain[text] = held.decode()
            except UnicodeDecodeError:
                continue
        elif held:
            others.append(text)
    if CONTROL.search("".join(plain.values())):
        plain = {text: form for text, form in plain.items() if not CONTROL.search(form)}
    return plain, others
