"""Links that the code makes for others: a label of a host that ends the host leads elsewhere.

`f"https://{tenant}.example.app/reset?token=..."` in a mail, an answer, or cut into its parts.
Nobody asks for such a URL here: whoever opens it does, with the token that is in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core import Guard
from ..origin import Span
from ..spans import neutral
from ..verdict import Verdict
from ..written.lines import doubtful

MAX_TEXT = 64 * 1024
"""Characters of a text in which links are looked for."""
_MAX_BEFORE = 300
_BEGUN = re.compile(r"(?i:https?|wss?|ftps?)://[^\s/?#\\<>\"']{0,255}\Z")
_GOES_ON = re.compile(r"(?:\.[A-Za-z0-9-]{1,63}){1,8}(?=[/:?#\s\"'<>)\]]|\Z)")
_ENDS = re.compile(r"[/?#\\<>\"]|\w\.\w\S{0,200}+\s")
"""A blank ends it as well, behind a name with a dot: in `New York` is no host."""
_FIX = (
    "take the name from a collection in the code, or let letters, digits and hyphens through "
    "alone: if not re.fullmatch(r'[a-z0-9-]+', name): raise ..."
)


def check(guard: Guard, sink: str, text: object) -> None:
    """Block a text (BlockedError) with a link whose host the event has ended."""
    if (
        isinstance(text, str)
        and "://" in text
        and len(text) <= MAX_TEXT
        and guard.active
        and guard.constants.builds_hosts
    ):
        guard.check(sink, text, judge)


def judge(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data within a host, which the code goes on with, ends the host."""
    own: str | None = None
    for span in doubtful(spans):
        if _ENDS.search(text, span.start, span.end) is None:
            continue
        own = neutral(text, spans) if own is None else own
        begun = _BEGUN.search(own[max(span.start - _MAX_BEFORE, 0) : span.start])
        if begun is not None and _GOES_ON.match(own, span.end) is not None:
            return Verdict(span.origin, "ends the host of a link, which leads elsewhere", _FIX)
    return None
