"""Tiles and bundles: the names and widths that the specification gives, and what is malformed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.journal.tiles import ENTRIES, bundle, hashes, path, unbundled, widths


@pytest.mark.parametrize(
    ("level", "index", "width", "expected"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 1234067, 256, "tile/0/x001/x234/067"),
        (1, 999, 17, "tile/1/999.p/17"),
        (ENTRIES, 1000, 1, "tile/entries/x001/000.p/1"),
    ],
)
def test_names_are_those_of_the_specification(
    level: int | str, index: int, width: int, expected: str
) -> None:
    assert path(level, index, width) == expected


def test_the_parts_of_a_tree_of_70000_are_those_of_the_specification() -> None:
    assert list(widths(70_000)) == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert list(widths(256)) == [(1, 0, 1)]
    assert list(widths(0)) == []


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_a_bundle_gives_its_entries_back(entries: list[bytes]) -> None:
    assert unbundled(bundle(entries)) == entries


@given(st.binary(max_size=600))
def test_any_bytes_are_a_bundle_or_refused(data: bytes) -> None:
    try:
        entries = unbundled(data)
    except ValueError:
        return
    assert bundle(entries) == data


def test_too_many_entries_are_no_bundle() -> None:
    with pytest.raises(ValueError, match="after 256"):
        unbundled(bundle([b""] * 257))


@pytest.mark.parametrize("data", [b"", b"x", bytes(33), bytes(257 * 32)])
def test_what_is_no_tile_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="a tile of"):
        hashes(data)
