"""Which modules are looked through after a handler's import: those that were not there before."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from casemate.guard import imported
from casemate.guard.core import Guard
from casemate.guard.loading import own_modules


@pytest.fixture(autouse=True)
def begun(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known = dict(imported._known)
    # Those of the tests themselves come and go.
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    imported.begin()
    yield
    imported._known.clear()
    imported._known.update(known)


def names() -> list[str]:
    return [name for name, _ in imported.since()]


def test_all_are_where_nothing_began() -> None:
    imported._known.clear()
    assert names() == list(sys.modules)


def test_those_that_were_there_are_not_looked_through_again() -> None:
    assert names() == []
    sys.modules["later"] = ModuleType("later")
    sys.modules["last"] = ModuleType("last")
    assert names() == ["later", "last"]


def test_what_took_the_place_of_one_is_looked_through() -> None:
    sys.modules["json"] = ModuleType("json")
    assert names() == ["json"]
    del sys.modules["json"]
    assert names() == []


def test_a_name_that_is_none_is_not_looked_for() -> None:
    class Hostile(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return hash("hostile")

        def __eq__(self, other: object) -> bool:
            raise RuntimeError(other)

    sys.modules["hostile"] = ModuleType("hostile")
    imported.begin()
    name = Hostile("hostile2")
    sys.modules = {name: ModuleType("x")}
    assert imported.since() == [(name, sys.modules[name])]


def test_none_is_left_out_where_a_thread_imports_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Growing(dict):  # type: ignore[type-arg]
        left = 1

        def items(self) -> Any:
            for pair in super().items():
                yield pair
                if Growing.left:
                    Growing.left = 0
                    self["meanwhile"] = ModuleType("meanwhile")

    sys.modules["later"] = ModuleType("later")
    monkeypatch.setattr(sys, "modules", Growing(sys.modules))
    assert names() == ["later", "meanwhile"]


def test_no_pair_is_made_of_what_was_there() -> None:
    """Of 600 pairs, which the interpreter keeps for later, a zygote had ten pages."""
    imported.since()
    tracemalloc.start()
    try:
        imported.since()
        assert tracemalloc.get_traced_memory()[1] < 2_000
    finally:
        tracemalloc.stop()


def test_the_own_modules_of_a_function_are_found_among_them() -> None:
    guard = Guard()
    own = ModuleType("own")
    own.__file__ = f"{guard.root}app.py"
    sys.modules["own"] = own
    assert own_modules(guard) == ["own"]
