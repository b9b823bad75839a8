"""What a text has to look like, in words: who mistypes a name is told no regular expression."""

from __future__ import annotations

from typing import Final

from casemate.model.account import BINDING_PATTERN
from casemate.model.bundle import DIGEST_PATTERN
from casemate.model.function import NAME_PATTERN
from casemate.operations.fields import ID_PATTERN, MOMENT_PATTERN, NUMBER_PATTERN, whole

_WORDS: Final = {
    NAME_PATTERN: "1 to 63 lower-case letters, digits and hyphens, a letter first and no hyphen "
    "last",
    BINDING_PATTERN: "a role such as developer, developer@shop or developer@shop/checkout",
    DIGEST_PATTERN: "a SHA-256, which is 64 lower-case hexadecimal digits",
    ID_PATTERN: "an id, which is 1 to 64 letters, digits, `_` and `-`, a letter or digit first",
    NUMBER_PATTERN: "a whole number of at most 15 digits, without zeros before it",
    MOMENT_PATTERN: "a Unix time in seconds, such as 1764201600.5",
}
WORDS: Final = {**_WORDS, **{whole(pattern): words for pattern, words in _WORDS.items()}}
"""By the expression, as it stands in the field or not; others are shown as they are."""


def expected(pattern: str) -> str:
    """Return what a text that matches `pattern` is, as it goes on after `expected`."""
    shown = pattern.replace(r"(?!\n)", "")
    return WORDS.get(pattern) or f"text that matches {shown}"


def in_words(message: str) -> str:
    """Return what msgspec says of a body, with the expressions in it said in words."""
    for pattern, words in WORDS.items():
        message = message.replace(f"`str` matching regex {pattern!r}", words)
    return message
