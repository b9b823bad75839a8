"""What could not be written is told until it can be."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate import unwritten
from casemate.unwritten import Place, try_again


@pytest.fixture(autouse=True)
def _none_left() -> Iterator[None]:
    unwritten._failing.clear()
    yield
    unwritten._failing.clear()


def fail(place: Place, number: int = errno.ENOSPC) -> None:
    with pytest.raises(OSError), place.writing():
        raise OSError(number, os.strerror(number))


def test_it_is_told_what_failed_since_when_and_how_often(tmp_path: Path) -> None:
    place = Place("evidence", tmp_path)
    fail(place)
    fail(place, errno.EIO)
    (told,) = unwritten.unwritten()
    assert told.startswith("evidence: 2 failed since 2")
    assert told.endswith("Input/output error")
    with place.writing():
        pass
    assert unwritten.unwritten() == ()


def test_a_part_that_worked_says_nothing_of_the_rest(tmp_path: Path) -> None:
    place = Place("objects", tmp_path)
    fail(place)
    with place.noting():
        pass
    assert len(unwritten.unwritten()) == 1


@pytest.mark.parametrize("by", ["path", "descriptor"])
def test_a_trial_finds_out_that_it_works_again_and_leaves_nothing(tmp_path: Path, by: str) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        place = Place("bundles", tmp_path if by == "path" else descriptor)
        fail(place)
        try_again()
        assert unwritten.unwritten() == ()
        assert list(tmp_path.iterdir()) == []
    finally:
        os.close(descriptor)


def test_a_trial_that_fails_is_no_further_failure(tmp_path: Path) -> None:
    place = Place("bundles", tmp_path / "gone")
    fail(place)
    try_again()
    (told,) = unwritten.unwritten()
    assert told.startswith("bundles: 1 failed since")
    assert told.endswith("No such file or directory")


def test_what_a_trial_has_to_say_first_is_not_told_before() -> None:
    place = Place("the data of t")
    place.failed("full", certain=False)
    assert unwritten.unwritten() == ()
    try_again()
    assert place in unwritten._failing, "its owner tries it"
    place.failed_again("still full")
    assert len(unwritten.unwritten()) == 1
    place.worked()
    place.failed_again("too late")
    assert unwritten.unwritten() == ()
