"""That another release runs is told once, and that it is the first is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from casemate.gateway.release_told import tell_release
from casemate.model.facts import Fact, ReleaseChanged
from casemate.operations.node import KeepNodeValue, ReadNodeValue


class Kept:
    """A store of one value, that may not be reached."""

    def __init__(self, value: bytes | None = None) -> None:
        self.value = value
        self.full = False

    async def read(self, operation: ReadNodeValue) -> bytes | None:
        assert operation.name == "release"
        return self.value

    async def change(self, operation: KeepNodeValue) -> None:
        if self.full:
            raise OSError("no space left")
        self.value = operation.value


def starts(store: Any, *versions: str) -> list[tuple[str, str]]:
    told: list[Fact] = []
    for version in versions:
        asyncio.run(tell_release(store, told.append, version))
    return [(each.before, each.release) for each in told if isinstance(each, ReleaseChanged)]


def test_each_change_is_told_once_and_the_way_back_too() -> None:
    store = Kept()
    assert starts(store, "1.0", "1.0") == []
    assert starts(store, "1.1", "1.1", "1.0") == [("1.0", "1.1"), ("1.1", "1.0")]


def test_what_could_not_be_remembered_is_told_again() -> None:
    store = Kept(b"1.0")
    store.full = True
    with pytest.raises(OSError, match="no space"):
        starts(store, "1.1")
    store.full = False
    assert starts(store, "1.1", "1.1") == [("1.0", "1.1")]


def test_a_value_that_is_no_version_is_told_as_far_as_it_goes() -> None:
    assert starts(Kept(b"\xff" * 1000), "1.1") == [("\ufffd" * 64, "1.1")]
