"""Which modules are looked through after a handler's import: those that were not there before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

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


def test_the_own_modules_of_a_function_are_found_among_them() -> None:
    guard = Guard()
    own = ModuleType("own")
    own.__file__ = f"{guard.root}app.py"
    sys.modules["own"] = own
    assert own_modules(guard) == ["own"]
