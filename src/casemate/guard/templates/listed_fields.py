"""Fields of a template that a pattern of the code's leaves out, which says what one may have.

`re.compile(r"%\\((title|agency)\\)s")` is there to let no other field pass.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ..origin import Span
from ..verdict import Verdict

_LISTED = re.compile(r"\((?:\?:|\?P<\w{1,64}>)?(\w{1,64}(?:\|\w{1,64}){1,200})\)")
_MAX_PATTERN = 4096
PERCENT, DOLLAR, BRACE = "%\\(", "\\$", "\\{"
"""How a pattern begins a field: of `%`, of `string.Template`, of `str.format`."""
_FIX = "check the template once it is whole, or give it the values alone that it may show"


def judge(
    texts: Collection[str],
    sign: str,
    template: str,
    spans: Sequence[Span],
    fields: re.Pattern[str],
) -> Verdict | None:
    """Return a verdict if data in a template names a field that none of such patterns has.

    `texts`: those of the code; `fields` finds one, with its name in the first group.
    """
    offered: set[str] | None = None
    for span in spans:
        for field in fields.finditer(template, span.start, span.end) if not span.vouched else ():
            if offered is None:
                offered = _offered(texts, sign)
            if offered and field[1] not in offered:
                words = "adds a field that the code's pattern of fields leaves out"
                return Verdict(span.origin, words, _FIX)
    return None


def _offered(texts: Collection[str], sign: str) -> set[str]:
    """Return the names that patterns of fields have, which other texts that name them do not."""
    found: set[str] = set()
    for text in texts:
        if sign in text and "|" in text and len(text) <= _MAX_PATTERN:
            for listed in _LISTED.finditer(text):
                found.update(listed[1].split("|"))
    return found
