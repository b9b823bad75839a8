"""The Merkle tree of RFC 6962, section 2.1, with SHA-256: hashes, roots, proofs, verification.

Nothing here knows where hashes are kept: what is asked for are those of complete subtrees, by
`Subtree(level, index)`, which covers the entries from `index * 2**level` on, `2**level` of them.
Sizes and indexes are numbers of entries. Work and proofs are logarithmic in the size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
MAX_SIZE = 1 << 56
"""Entries that a tree may have; bounds every recursion at 56."""

Subtree = Callable[[int, int], bytes]
"""Returns the hash of the complete subtree of a level and index."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node with these children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(count: int) -> int:
    """Return the largest power of two below `count`, which is 2 or more."""
    return 1 << (count - 1).bit_length() - 1


def _hash(subtree: Subtree, start: int, end: int) -> bytes:
    """Return the hash over the entries [start, end), where `start` is as the tree has it."""
    count = end - start
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return subtree(level, start >> level)
    middle = start + _split(count)
    return node_hash(_hash(subtree, start, middle), _hash(subtree, middle, end))


def root(subtree: Subtree, size: int) -> bytes:
    """Return the root of the tree's first `size` entries."""
    return _hash(subtree, 0, size) if size else EMPTY_ROOT


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root over these leaf hashes."""
    row = list(hashes)
    if not row:
        return EMPTY_ROOT
    # Whole levels, an odd last one carried up as it is: the same tree as RFC 6962's recursion.
    while len(row) > 1:
        above = [node_hash(row[n], row[n + 1]) for n in range(0, len(row) - 1, 2)]
        if len(row) % 2:
            above.append(row[-1])
        row = above
    return row[0]


def inclusion(subtree: Subtree, index: int, size: int) -> list[bytes]:
    """Return the proof that the entry at `index` is in the tree of `size`, the sibling first.

    ValueError unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"no entry {index} in a tree of {size}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_hash(subtree, middle, end))
            end = middle
        else:
            proof.append(_hash(subtree, start, middle))
            start = middle
    proof.reverse()
    return proof


def consistency(subtree: Subtree, old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of `new` entries begins with that of `old`.

    ValueError unless 0 <= old <= new.
    """
    if not 0 <= old <= new:
        raise ValueError(f"no consistency of {old} and {new} entries")
    if old in (0, new):
        return []
    proof: list[bytes] = []
    start, end, whole = 0, new, True
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_hash(subtree, middle, end))
            end = middle
        else:
            proof.append(_hash(subtree, start, middle))
            start, whole = middle, False
    if not whole:
        proof.append(_hash(subtree, start, end))
    proof.reverse()
    return proof


def proves_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes
) -> bool:
    """Tell whether a proof holds (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size <= MAX_SIZE:
        return False
    position, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = node_hash(each, found)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            found = node_hash(found, each)
        position >>= 1
        last >>= 1
    return last == 0 and found == expected


def proves_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Tell whether a proof holds (RFC 9162, section 2.1.4.2)."""
    if not 0 <= old <= new <= MAX_SIZE:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position >>= 1
        last >>= 1
    before = after = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            before, after = node_hash(each, before), node_hash(each, after)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            after = node_hash(after, each)
        position >>= 1
        last >>= 1
    return last == 0 and before == old_root and after == new_root
