"""Legal holds: bounded, renewed, ended by themselves, known over starts."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.evidence import Holds, holding
from casemate.model.errors import ConflictError, NotFoundError, UnavailableError
from casemate.recordings.index import Index
from support.core import MemoryStore

DAY = 86_400.0


class Node:
    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.now = 1000.0 * DAY
        self.told: list[Any] = []
        self.fails = False
        self.recorded: tuple[Any, ...] = ()
        self.ahead = 0.0
        """What the clock was set forward by, and is not believed of it."""
        self.holds = Holds(
            self.store,
            self,  # type: ignore[arg-type]
            clock=lambda: self.now,
            deleting=lambda: self.now - self.ahead,
        )

    async def hold(self, id: str, functions: Any, **times: float) -> tuple[int, int]:
        if self.fails:
            raise UnavailableError("The recorder is gone.")
        self.told.append((id, functions, times))
        return 7, 700

    async def release(self, id: str) -> None:
        self.told.append(id)

    async def list(self, _project: Any, _function: Any) -> Any:
        return self.recorded

    def said(
        self, id: str = "inc_1", days: int = 10, *functions: str, opened_at: float | None = None
    ) -> Any:
        opened_at = self.now - 50.0 if opened_at is None else opened_at
        return asyncio.run(
            self.holds.hold(
                id,
                functions or ("shop/pay",),
                opened_at,
                opened_at + 10.0,
                days,
                reason="r",
                by="user:ada",
                recordings=self,  # type: ignore[arg-type]
            )
        )


def recording(at: float, function: str = "pay", size: int = 10, expires_at: float = 0.0) -> Any:
    return SimpleNamespace(
        id=f"{function}{at}", project="shop", function=function, at=at, size=size,
        expires_at=expires_at, error_id="",
    )  # fmt: skip


def test_it_is_renewed_and_keeps_what_it_kept() -> None:
    node = Node()
    first = node.said()
    assert (first.records, first.bytes, first.until) == (7, 700, node.now)
    node.now += 5 * DAY
    again = node.said(days=20)
    assert (again.since, again.until) == (first.since, first.until)
    assert again.expires_at == node.now + 20 * DAY
    assert [each[2]["until"] for each in node.told] == [first.until] * 2
    after = Node(node.store)
    after.now = node.now
    asyncio.run(after.holds.load())
    assert after.holds.all() == (again,)


def test_it_ends_by_itself_or_when_it_is_said() -> None:
    node = Node()
    node.said()
    node.said("inc_2")
    asyncio.run(node.holds.release("inc_1"))
    assert [one.incident for one in node.holds.all()] == ["inc_2"]
    with pytest.raises(NotFoundError):
        asyncio.run(node.holds.release("inc_1"))
    node.now += 11 * DAY
    assert node.holds.all() == () and not node.holds.covers(recording(node.now - 11 * DAY))
    with pytest.raises(NotFoundError):
        node.holds.one("inc_2")
    assert node.said("inc_2").until == node.now  # another one


def test_a_clock_that_is_ahead_for_a_moment_ends_none() -> None:
    node = Node()
    first = node.said()
    node.now += 500 * DAY
    node.ahead = 500 * DAY
    assert node.holds.all() == (first,) and node.holds.covers(recording(first.until - 1.0))
    later = node.said("inc_2")  # before, that forgot the first for good
    assert later.until == node.now, "what came meanwhile is stamped so, and under it"
    assert later.expires_at == first.expires_at
    node.now -= 500 * DAY
    node.ahead = 0.0
    assert {one.incident for one in node.holds.all()} == {"inc_1", "inc_2"}


def test_what_was_found_by_a_clock_that_was_ahead_is_under_it() -> None:
    """It was of times to come, and nothing at all was kept."""
    node = Node()
    found_at = node.now + 365 * DAY
    made = node.said(opened_at=found_at)
    assert made.since < node.now and made.until == found_at + 10.0
    assert node.holds.covers(recording(found_at)) and node.holds.covers(recording(node.now - 1.0))


def test_recordings_under_it_outlive_their_time_and_number() -> None:
    node = Node()
    node.recorded = tuple(recording(node.now - n) for n in range(3))
    assert node.said().recordings == 3
    index = Index(node.holds.covers)
    for each in node.recorded:
        index.add(each)
    later = [recording(node.now + n, expires_at=1e12) for n in range(1, 140)]
    gone: list[str] = []
    for each in later:
        index.add(each)
        gone += index.beyond(each, 1 << 30)
    assert gone and not {each.id for each in node.recorded} & set(gone)
    assert index.expired(node.now) == []
    node.now += 11 * DAY
    assert set(index.expired(node.now)) == {each.id for each in node.recorded}


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MAX_HOLDS", 3)
    node = Node()
    for n in range(3):
        node.said(f"inc_{n}")
    with pytest.raises(ConflictError, match="the most"):
        node.said("inc_9")
    node.said("inc_1")
    node.now += 11 * DAY
    node.said("inc_9")  # the others are over
    assert len(node.holds._parts.held) == 1
    big = holding.MOST_RECORDING_BYTES
    node.recorded = (recording(node.now - 1, size=big + 1),)
    with pytest.raises(ConflictError, match="Recordings"):
        node.said("inc_8")
    node.recorded = ()
    many = node.said("inc_7", 1, *(f"other/f{n}" for n in range(30)))
    assert len(many.functions) == holding.MAX_FUNCTIONS


def test_what_is_about_no_function_or_cannot_be_kept_is_told() -> None:
    node = Node()
    with pytest.raises(ConflictError, match="no function"):
        asyncio.run(
            node.holds.hold("inc_1", (), 1.0, 1.0, 1, reason="r", by="b", recordings=node)  # type: ignore[arg-type]
        )
    node.fails = True
    with pytest.raises(UnavailableError):
        node.said()
    assert node.holds.all() == ()
