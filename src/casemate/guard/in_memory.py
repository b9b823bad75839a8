"""Texts that the function's code writes into a file in memory, or a temporary one, and reads again.

What is written there piece by piece nobody saw being put together: where the event's texts are in
it is found by search.
"""

from __future__ import annotations

import bisect
import io
import re
from collections.abc import Sequence

from .core import Guard
from .origin import Span
from .spans import merged
from .standing import is_put_together
from .verdict import Judge, Verdict
from .written.lines import is_whole

FILES = frozenset((io.BytesIO, io.StringIO))
"""Types of files in memory."""
_WORDS = frozenset(("stringio", "bytesio", "temporaryfile", "spooledtemporaryfile"))
"""Words, in lower case, of code that writes into such a file."""
_BINARY = re.compile(rb"[\s\S]{0,15}?[\x00-\x08\x0e-\x1a\x1c-\x1f\xf8-\xff]")
"""How files begin that are no text."""


def writes_in_memory(guard: Guard) -> bool:
    """Tell whether the function's code has files in memory at all: most of it has none."""
    return guard.constants.holds_any(_WORDS)


def check_own(guard: Guard, sink: str, text: str | bytes, judge: Judge) -> None:
    """Block a text (BlockedError) that the code has put together, or may have written in memory."""
    if is_put_together(guard, text):
        guard.check(sink, text, judge)
    elif writes_in_memory(guard):
        guard.check(sink, text, found(guard, judge))


def held_by(file: object) -> str | bytes | None:
    """Return what a file in memory holds; None for any other, and for one that is closed."""
    if isinstance(file, (io.BytesIO, io.StringIO)) and type(file) in FILES and not file.closed:
        return file.getvalue()
    return None


def found(guard: Guard, judge: Judge) -> Judge:
    """Return a judgement of a text by what was found in it: whole texts of the event alone.

    Pieces may be what a library has escaped. A text with nothing of the code's is passed on.
    """

    def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
        pieces = [s for s in spans if s.is_piece]
        whole = [s for s in spans if not s.is_piece]
        # What stands beside a text may go on as the event does: one that is there is no piece.
        ends = [piece.end for piece in pieces]
        for span in guard.texts(text) if pieces else ():
            at = bisect.bisect_right(ends, span.start)
            if at < len(pieces) and pieces[at].start < span.end:
                whole.append(span)
        whole = [s._replace(exact=True) for s in merged(whole)]
        return judge(text, whole) if whole and not is_whole(text, whole) else None

    return judged


def is_binary(held: str | bytes) -> bool:
    """Tell whether a file holds no text, by how it begins and as a whole: an image, an archive.

    To search it for an event takes long.
    """
    if isinstance(held, str) or _BINARY.match(held) is None:
        return False
    try:
        held.decode()
    except UnicodeDecodeError:
        return True
    return False
