"""Names that may have been meant by one that there is not."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

MAX_GUESSED = 64
"""Characters of a name for which others are looked for: to compare takes their square."""


def near(word: str, known: Mapping[str, str], *, longest: int = MAX_GUESSED) -> str | None:
    """Return what `known` has for the name that is closest to a word, None if none is close."""
    close = get_close_matches(word, known, n=1, cutoff=0.6) if len(word) <= longest else ()
    return known[close[0]] if close else None


def question(name: str | None) -> str:
    """Return `; did you mean "NAME"?`, nothing for none."""
    return "" if name is None else f'; did you mean "{name}"?'
