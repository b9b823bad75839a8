"""All short parts of a text, or the beginnings of many, as numbers: made and compared in C.

Of each character the low byte counts. So parts that differ may have the same number, and whoever
asks looks at the texts themselves; equal ones always have the same.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence, Set

MOST = 8
"""Characters of a part."""
_SHARED = 5
"""Characters of a part of which `shared` tells."""
_RUN = re.compile(rb"[^\0]{5,}+")
_ALL = bytes(range(256))


def _low_bytes(text: str) -> bytes:
    return text.encode() if text.isascii() else text.encode("utf-32-le", "surrogatepass")[::4]


def windows(text: str, size: int) -> memoryview:
    """Return the number of the part of so many characters at each place of a text."""
    return _windows(_low_bytes(text), size)


def _windows(low: bytes, size: int) -> memoryview:
    count = max(len(low) - size + 1, 0)
    numbers = bytearray(MOST * count)
    for at in range(size):
        numbers[at::MOST] = low[at : at + count]
    return memoryview(numbers).cast("Q")


def of_heads(texts: Sequence[str], size: int) -> list[int]:
    """Return the numbers of the first characters of texts; of a shorter one that of all of it."""
    heads = [text[:size] for text in texts]
    if len(min(heads, key=len)) < size:
        heads = [head.ljust(size, "\0") for head in heads]
    low = _low_bytes("".join(heads))
    numbers = bytearray(MOST * len(texts))
    for at in range(size):
        numbers[at::MOST] = low[at::size]
    return memoryview(numbers).cast("Q").tolist()


def shared(text: str, inside: str, known: Set[int]) -> Iterator[tuple[int, int]]:
    """Yield places of a text with the numbers of some parts of five characters of another one.

    `known` are the numbers of the parts that are looked for. These consist of what the other text
    has: by far most of a text does not, and is left out.
    """
    low = _low_bytes(text)
    others = _ALL.translate(None, _low_bytes(inside))
    runs = [low]
    ahead: Iterator[re.Match[bytes]] = iter(())
    if others.startswith(b"\0"):  # which stands between the runs that are left
        kept = low.translate(bytes.maketrans(others, bytes(len(others))))
        runs, ahead = _RUN.findall(kept), _RUN.finditer(kept)
    numbers = _windows(b"\0".join(runs), _SHARED)
    if known.isdisjoint(numbers):
        return
    end = before = 0
    for at in itertools.compress(range(len(numbers)), map(known.__contains__, numbers)):
        while at >= end:
            run = next(ahead, None)
            if run is None:  # the text is one run
                end = len(numbers)
                break
            before = run.start() - end
            end += run.end() - run.start() + 1
        yield at + before, numbers[at]
