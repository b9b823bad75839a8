"""The Merkle tree: RFC 6962's vectors, the definition written down plainly, and forged proofs."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.journal.frontier import Frontier
from casemate.journal.merkle import (
    EMPTY_ROOT,
    consistency,
    inclusion,
    leaf_hash,
    node_hash,
    proves_consistency,
    proves_inclusion,
    root,
    root_of,
)

# The inputs and roots that certificate transparency's own tests use.
INPUTS = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(b"%d" % n) for n in range(700)]


def plain(leaves: list[bytes]) -> bytes:
    """Return the root as RFC 6962 defines it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(plain(leaves[:split]), plain(leaves[split:]))


def subtree(level: int, index: int) -> bytes:
    return plain(LEAVES[index << level : (index + 1) << level])


def test_the_roots_are_those_of_certificate_transparency() -> None:
    leaves = [leaf_hash(each) for each in INPUTS]
    assert [root_of(leaves[: n + 1]).hex() for n in range(len(leaves))] == ROOTS
    assert root_of([]) == EMPTY_ROOT


@given(st.integers(0, len(LEAVES)))
def test_all_ways_to_a_root_agree(size: int) -> None:
    edge = Frontier(lambda *_: None)
    for leaf in LEAVES[:size]:
        edge.add(leaf)
    expected = plain(LEAVES[:size])
    assert root_of(LEAVES[:size]) == root(subtree, size) == edge.root() == expected


@given(st.data())
def test_a_proof_of_inclusion_holds_for_its_entry_alone(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 600))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion(subtree, index, size)
    head = plain(LEAVES[:size])
    assert proves_inclusion(LEAVES[index], index, size, proof, head)
    other = data.draw(st.integers(0, size))
    if other != index:
        assert not proves_inclusion(LEAVES[index], other, size, proof, head)
        assert not proves_inclusion(LEAVES[other], index, size, proof, head)
    assert not proves_inclusion(LEAVES[index], index, size, [*proof, head], head)
    if proof:
        assert not proves_inclusion(LEAVES[index], index, size, proof[:-1], head)
        at = data.draw(st.integers(0, len(proof) - 1))
        forged = [*proof[:at], bytes(32), *proof[at + 1 :]]
        assert not proves_inclusion(LEAVES[index], index, size, forged, head)


@given(st.data())
def test_a_proof_of_consistency_holds_for_its_trees_alone(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, 600))
    old = data.draw(st.integers(0, new))
    proof = consistency(subtree, old, new)
    before, after = plain(LEAVES[:old]), plain(LEAVES[:new])
    assert proves_consistency(old, before, new, after, proof)
    assert not proves_consistency(old, bytes(32), new, after, proof)
    # Everything goes on from nothing.
    assert not proves_consistency(old, before, new, bytes(32), proof) or old == 0
    assert not proves_consistency(old, before, new, after, [*proof, after])
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        forged = [*proof[:at], bytes(32), *proof[at + 1 :]]
        assert not proves_consistency(old, before, new, after, forged)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_no_proof_for_an_entry_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no entry"):
        inclusion(subtree, index, size)
    assert not proves_inclusion(LEAVES[0], index, size, [], LEAVES[0])


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3)])
def test_no_proof_backwards(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="no consistency"):
        consistency(subtree, old, new)
    assert not proves_consistency(old, bytes(32), new, bytes(32), [])
