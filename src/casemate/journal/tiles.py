"""Tiles of hashes and bundles of entries as C2SP's tlog-tiles names and writes them.

A tile is a row of at most 256 hashes; at level 0 those of entries, above those of full tiles of
the level below. A bundle is the entries of a tile of level 0, each after its length in 2 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from casemate.journal.merkle import HASH_BYTES

WIDTH = 256
WIDTH_BITS = 8
ENTRIES = "entries"
"""Where a level stands in a path: bundles are kept there."""
MAX_ENTRY_BYTES = 0xFFFF
MAX_LEVEL = 6
"""256 ** 7 is the most entries that a tree may have."""
_DIGITS = 1000


def path(level: int | str, index: int, width: int = WIDTH) -> str:
    """Return the name of a tile or bundle (`ENTRIES`), such as `tile/0/x001/234.p/5`."""
    last = f"{index % _DIGITS:03}"
    folders: list[str] = []
    rest = index // _DIGITS
    while rest:
        folders.append(f"x{rest % _DIGITS:03}")
        rest //= _DIGITS
    name = "/".join(["tile", str(level), *reversed(folders), last])
    return name if width == WIDTH else f"{name}.p/{width}"


def widths(size: int) -> Iterator[tuple[int, int, int]]:
    """Yield the partial tiles of a tree of this size: level, index, width."""
    level = 0
    while size:
        if width := size % WIDTH:
            yield level, size // WIDTH, width
        size //= WIDTH
        level += 1


def hashes(data: bytes) -> list[bytes]:
    """Return the hashes of a tile. ValueError where it is no whole number of 1 to 256."""
    if len(data) % HASH_BYTES or not 0 < len(data) <= WIDTH * HASH_BYTES:
        raise ValueError(f"a tile of {len(data)} bytes")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def bundle(entries: Sequence[bytes]) -> bytes:
    """Return the bundle of these entries; each has at most `MAX_ENTRY_BYTES`."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unbundled(data: bytes) -> list[bytes]:
    """Return the entries of a bundle. ValueError where it ends within one, or has over 256."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data) or at + 2 > len(data) or len(entries) == WIDTH:
            raise ValueError(f"a bundle that is cut or too long, after {len(entries)} entries")
        entries.append(data[at + 2 : end])
        at = end
    return entries
