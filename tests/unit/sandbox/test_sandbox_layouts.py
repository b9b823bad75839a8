"""Which base zygote a function's zygotes are made of, and when one is replaced."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from casemate.model.errors import UnavailableError
from casemate.model.function import Isolation, Trust
from casemate.model.function import Layout as Kind
from casemate.sandbox.base_process import START_SECONDS
from casemate.sandbox.layouts import (
    AGAIN_SECONDS,
    FIRST,
    LAYOUT_SECONDS,
    LAYOUTS,
    LEAST_SECONDS,
    MAX_OWN,
    MAX_OWN_OF_PROJECT,
    MOST_AT_ONCE,
    Key,
    Layout,
    Layouts,
)
from casemate.sandbox.protocol import Open

OPEN = Open(
    z=1,
    python="3.13",
    digest="a" * 64,
    project="p",
    function="f",
    handler="app:handler",
    isolation=Isolation.REQUEST,
    trust=Trust.NORMAL,
    memory=1000,
    cpu=0.5,
    processes=4,
    open_files=64,
    tmp=2000,
    response=3000,
)


class Zygote:
    """A zygote, as far as a layout asks for it."""

    def __init__(self, assigned: Open | None = None) -> None:
        self.assigned = assigned
        self.project = "" if assigned is None else assigned.project


class Made:
    """Layouts whose base zygotes are none."""

    def __init__(self) -> None:
        self.started: list[Key] = []
        self.layouts = Layouts(self._start)

    def _start(self, key: Key) -> Layout:
        self.started.append(key)
        base = SimpleNamespace(
            ready=False,
            started_at=time.monotonic(),
            process=SimpleNamespace(poll=lambda: None),
        )
        return Layout(key, base)  # type: ignore[arg-type]

    def key(self, project: str, function: str = "f", **fields: Any) -> Key:
        request = msgspec.structs.replace(OPEN, project=project, function=function, **fields)
        return self.layouts.key_of(request)

    def ready(self, key: Key, *projects: str) -> Layout:
        """Return a layout that is ready, with a zygote of each project."""
        layout = self.layouts.get(key)
        layout.base.ready = True
        for project in projects:
            assigned = msgspec.structs.replace(OPEN, project=project)
            layout.zygotes.add(Zygote(assigned))  # type: ignore[arg-type]
        return layout


@pytest.fixture
def made() -> Made:
    return Made()


def later(by: float = 1.0) -> float:
    return time.monotonic() + LAYOUT_SECONDS * by + 1


def test_projects_are_spread_evenly_and_stay_where_they_are(made: Made) -> None:
    keys = [made.key(f"p{number}") for number in range(3 * LAYOUTS)]
    assert LAYOUTS >= 4
    assert [keys.count(key) for key in set(keys)] == [3] * LAYOUTS
    assert [made.key(f"p{number}") for number in range(3 * LAYOUTS)] == keys
    assert keys[0] == ("3.13", FIRST)
    assert made.key("p0", "another") == keys[0]
    assert made.started == []


def test_each_interpreter_has_layouts_of_its_own(made: Made) -> None:
    assert made.key("p0", python="3.12") == ("3.12", FIRST)
    assert made.key("p1", python="3.12")[1] != FIRST
    assert made.key("p1") == ("3.13", FIRST)


def test_a_function_that_asks_for_it_shares_with_nobody(made: Made) -> None:
    assert made.key("p", "f", layout=Kind.OWN) == ("3.13", "p/f")
    assert made.key("p", "g", layout=Kind.OWN) == ("3.13", "p/g")
    assert not Layout(("3.13", "p/f"), SimpleNamespace()).shared  # type: ignore[arg-type]


def test_one_is_started_when_it_is_first_needed(made: Made) -> None:
    key = made.key("p0")
    assert made.layouts.get(key) is made.layouts.get(key)
    assert made.started == [key]


def test_one_that_serves_is_replaced_once_the_next_is_ready(made: Made) -> None:
    made.key("p0")
    key = made.key("p1")
    old = made.ready(key, "p1")
    made.layouts.renew(time.monotonic())
    assert made.started == [key]
    made.layouts.renew(later())
    made.layouts.renew(later())
    assert made.started == [key, key]
    assert made.layouts.get(key) is old and not old.retired
    new = next(layout for layout in made.layouts if layout is not old)
    made.layouts.promote(new)
    assert made.layouts.get(key) is new
    assert old.retired and list(made.layouts) == [new, old]
    assert made.layouts.unused() == []
    old.zygotes.clear()
    assert made.layouts.unused() == [old]
    made.layouts.drop(old)
    assert list(made.layouts) == [new]


def test_one_without_zygotes_ends_and_is_not_replaced_but_the_first_is(made: Made) -> None:
    made.key("p0")
    first, second = made.ready(("3.13", FIRST)), made.ready(made.key("p1"))
    first.used = True
    second.blanks.append(Zygote())  # type: ignore[arg-type]
    second.zygotes.add(second.blanks[0])
    made.layouts.renew(later())
    assert made.started == [first.key, second.key, first.key]
    assert made.layouts.unused() == [second]


def test_one_that_nobody_has_used_stays(made: Made) -> None:
    """Nobody knows its layout: a node at rest starts none."""
    first = made.ready(("3.13", FIRST))
    made.layouts.renew(later(5))
    assert made.started == [first.key] and list(made.layouts) == [first]


def test_another_layout_than_one_that_is_used(made: Made) -> None:
    key = made.key("p0")
    first = made.ready(key, "p0")
    now = first.base.started_at + LEAST_SECONDS
    assert made.layouts.other_than(first, key, now - 1) is first, "it is as good as new"
    second = made.layouts.other_than(first, key, now)
    assert second is not first and made.layouts.get(key) is first
    assert made.layouts.other_than(first, key, now) is second, "it is being started"
    assert made.started == [key, key]
    second.base.ready = True
    made.layouts.promote(second)
    assert made.layouts.other_than(first, key, now) is second
    assert first.retired and made.started == [key, key]


def test_there_are_only_so_many_at_once(made: Made) -> None:
    key = made.key("p0")
    layout = made.ready(key, "p0")
    for _ in range(3 * MOST_AT_ONCE):
        layout = made.layouts.other_than(layout, key, layout.base.started_at + LEAST_SECONDS)
        layout.base.ready = True
        made.layouts.promote(layout)
    assert len(list(made.layouts)) == MOST_AT_ONCE
    # Those that are too old are replaced all the same.
    layout.used = True
    made.layouts.renew(later())
    assert len(list(made.layouts)) == MOST_AT_ONCE + 1


def test_functions_alone_do_not_count_twice_while_they_are_replaced(made: Made) -> None:
    for number in range(MAX_OWN_OF_PROJECT - 1):
        made.layouts.get(("3.13", f"p/f{number}"))
    replaced = made.ready(("3.13", "p/f0"), "p")
    made.layouts.other_than(replaced, replaced.key, later())
    made.layouts.get(("3.13", "p/last"))
    with pytest.raises(UnavailableError):
        made.layouts.get(("3.13", "p/more"))


def test_one_of_a_function_alone_ends_with_its_last_zygote(made: Made) -> None:
    layout = made.ready(("3.13", "p/f"), "p")
    assert made.layouts.unused() == []
    layout.zygotes.clear()
    assert made.layouts.unused() == [layout]
    layout.waiting.append((OPEN, []))
    assert made.layouts.unused() == []


def test_there_are_only_so_many_of_functions_alone(made: Made) -> None:
    """Each takes memory that no limit counts."""
    for number in range(MAX_OWN_OF_PROJECT):
        made.layouts.get(("3.13", f"p/f{number}"))
    with pytest.raises(UnavailableError, match="no room"):
        made.layouts.get(("3.13", "p/f99"))
    assert made.layouts.get(("3.13", "p/f0"))
    for number in range(MAX_OWN - MAX_OWN_OF_PROJECT):
        made.layouts.get(("3.13", f"q{number}/f"))
    with pytest.raises(UnavailableError, match="no room"):
        made.layouts.get(("3.12", "r/f"))
    made.layouts.get(("3.12", FIRST))


def test_projects_that_have_nothing_running_are_forgotten(made: Made) -> None:
    """So that a node on which many come and go remembers few."""
    for number in range(1000):
        made.key(f"p{number}")
    for number in range(LAYOUTS):
        made.ready(("3.13", str(number)), f"p{number}")
    made.layouts.renew(later())
    homes = made.layouts._homes["3.13"]
    assert homes == {f"p{number}": str(number) for number in range(LAYOUTS)}


def test_one_that_does_not_become_ready_or_has_ended_is_overdue(made: Made) -> None:
    layout = made.layouts.get(("3.13", FIRST))
    assert made.layouts.overdue() == []
    layout.base.started_at -= START_SECONDS + 1.0
    assert made.layouts.overdue() == [layout]
    layout.base.ready = True
    assert made.layouts.overdue() == []
    layout.base.process = SimpleNamespace(poll=lambda: 1)  # type: ignore[assignment]
    assert made.layouts.overdue() == [layout]
    made.layouts.drop(layout)
    assert list(made.layouts) == []


def test_one_that_is_outdated_is_replaced_at_once_and_tried_again_in_time(made: Made) -> None:
    now = time.monotonic()
    first = made.ready(("3.13", "0"))
    made.layouts.renew(now)
    assert len(made.started) == 1
    first.outdated = True
    made.layouts.renew(now)
    assert len(made.started) == 2, "also the first of an interpreter that nobody has used"
    [following] = [one for one in made.layouts if one is not first]
    assert made.layouts.follows(following) and not made.layouts.follows(first)
    # It does not start, for example as only some of the host's packages are there.
    made.layouts.drop(following)
    for _ in range(10):
        made.layouts.renew(now + 1)
    assert len(made.started) == 2, "another try does not follow at once"
    made.layouts.renew(now + AGAIN_SECONDS)
    assert len(made.started) == 3


class Mounts:
    """A base zygote, as far as it makes mounts: numbers stand for their descriptors."""

    def __init__(self) -> None:
        self.made: list[tuple[int, int]] = []

    def tmpfs(self, size: int, count: int) -> list[int]:
        self.made.append((size, count))
        return list(range(count))


def test_mounts_are_made_again_before_the_last_is_taken() -> None:
    """Whoever is first to find none would wait for all of them."""
    base, short = Mounts(), []
    layout = Layout(("3.13", FIRST), base)  # type: ignore[arg-type]
    layout.on_short = short.append
    taken = [layout.take_tmpfs(2000, 8) for _ in range(4)]
    assert len(set(taken)) == 4 and base.made == [(2000, 8)]
    assert short == [layout], "told once, and while there are some"
    layout.refill_tmpfs()
    assert base.made == [(2000, 8), (2000, 4)], "never more than a batch of one size"
    layout.refill_tmpfs()
    assert len(base.made) == 2
    for _ in range(4):
        layout.take_tmpfs(2000, 8)
    assert short == [layout, layout] and len(base.made) == 2


def test_mounts_of_each_size_are_made_again() -> None:
    base, short = Mounts(), []
    layout = Layout(("3.13", FIRST), base)  # type: ignore[arg-type]
    layout.on_short = short.append
    for size in (1000, 2000):
        for _ in range(4):
            layout.take_tmpfs(size, 8)
    layout.refill_tmpfs()
    assert sorted(base.made) == [(1000, 4), (1000, 8), (2000, 4), (2000, 8)]
