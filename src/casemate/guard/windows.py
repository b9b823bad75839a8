"""All short parts of a text, or the beginnings of many, as numbers: made and compared in C.

Of each character the low byte counts. So parts that differ may have the same number, and whoever
asks looks at the texts themselves; equal ones always have the same.
"""

from __future__ import annotations

from collections.abc import Sequence

MOST = 8
"""Characters of a part."""


def _low_bytes(text: str) -> bytes:
    return text.encode() if text.isascii() else text.encode("utf-32-le", "surrogatepass")[::4]


def windows(text: str, size: int) -> memoryview:
    """Return the number of the part of so many characters at each place of a text."""
    low = _low_bytes(text)
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
