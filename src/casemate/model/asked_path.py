"""The path of a refused request as its owner is shown it: without what may be a secret.

Who mistypes an address may have a token in it, a link to reset a password, or a name of a person.
So a segment is kept only where it reads as a word of an address, and everything is bounded.
"""

from __future__ import annotations

import re

MAX_PATH = 120
"""Characters of a path that are shown."""
MAX_SEGMENTS = 8
LEFT_OUT = "*"
"""Stands for a segment that is not shown."""
CUT = "..."

_MAX_READ = 1024
# Letters of both cases in no order are as tokens are written.
_PIECE = r"(?:[A-Z]?[a-z]{0,20}|[A-Z]{1,12})"
_WORD = re.compile(rf"{_PIECE}(?:[._-]{_PIECE}){{0,4}}[0-9]{{0,4}}(?:\.[a-z]{{1,8}})?")
_NUMBER = re.compile(r"v?[0-9]{1,6}(?:\.[0-9]{1,3}){0,2}")


def asked_path(path: str) -> str:
    """Return a path of a request, given without its query: `/wp-admin/*/setup.php`."""
    first, *segments = path[:_MAX_READ].split("/", MAX_SEGMENTS + 1)
    more = len(path) > _MAX_READ or len(segments) > MAX_SEGMENTS
    shown = "/".join(map(_shown, (first, *segments[:MAX_SEGMENTS])))
    if len(shown) > MAX_PATH or more:
        return shown[: MAX_PATH - len(CUT)] + CUT
    return shown


def _shown(segment: str) -> str:
    plain = _WORD.fullmatch(segment) or _NUMBER.fullmatch(segment)
    return segment if plain else LEFT_OUT
