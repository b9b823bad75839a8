"""In which order the supervisor deals with what a zygote says."""

from __future__ import annotations

import selectors
from collections import deque
from typing import Any, cast

import pytest

from casemate.sandbox import protocol
from casemate.sandbox.zygote_process import Fork
from casemate.supervisor.zygotes import Zygotes


class _Zygote:
    """One that has imported."""

    def __init__(self, order: list[str]) -> None:
        self._order = order
        self.assigned: object | None = object()
        self.waits = False
        self.shared = ""
        self.owner = ""
        self.ready = False
        self.forking: object | None = None
        self.waiting: deque[Any] = deque()
        self.instances: dict[int, int] = {}

    def shared_at_import(self) -> str:
        return self.shared

    def imported(self) -> None:
        self.ready = True
        self._order.append("limits")

    def take_home(self) -> None:
        self._order.append("home")

    def fork(self, fork: Fork, _tmpfs: int, _now: float, _hold: int | None) -> None:
        self.forking = fork
        self._order.append(f"fork {fork.number}")


class _Assigned:
    """What a zygote was told that it is."""

    tmp = 2000


class _Layout:
    def take_tmpfs(self, _size: int, _batch: int) -> int:
        return 99


class _Outbox:
    def __init__(self, order: list[str]) -> None:
        self._order = order

    def tell(self, event: protocol.Event) -> None:
        self._order.append(type(event).__name__)


@pytest.fixture
def order() -> list[str]:
    return []


@pytest.fixture
def zygotes(order: list[str]) -> Zygotes:
    return Zygotes(
        selector=selectors.DefaultSelector(),
        outbox=cast("Any", _Outbox(order)),
        staging=cast("Any", None),
        cgroups=None,
        identities=None,
        report=lambda _: None,
    )


def test_the_gateway_is_told_of_an_import_before_limits_are_written(
    zygotes: Zygotes, order: list[str]
) -> None:
    """A first call waits for it; what is asked for then is read in a later turn."""
    zygote = cast("Any", _Zygote(order))
    zygotes.know(3, zygote)
    zygotes._imported(zygote)
    assert order == ["Opened", "limits"]


def test_what_was_asked_for_before_the_import_is_forked_after_it_without_being_asked_again(
    zygotes: Zygotes, order: list[str]
) -> None:
    """A first call would wait for the way to the gateway and back."""
    zygote = cast("Any", _Zygote(order))
    zygote.assigned = _Assigned()
    zygotes.know(3, zygote)
    zygotes._layout_of[zygote] = cast("Any", _Layout())
    zygotes.spawn(protocol.Spawn(3, 7), [])
    zygotes.spawn(protocol.Spawn(3, 8), [])
    assert order == []
    zygotes._imported(zygote)
    assert order == ["Opened", "limits", "home", "fork 7"]
    assert [fork.number for fork in zygote.waiting] == [8]


def test_nothing_is_forked_from_what_is_no_function_s_or_left_what_calls_would_share(
    zygotes: Zygotes, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    zygote = cast("Any", _Zygote(order))
    zygotes.know(3, zygote)
    zygote.assigned = None
    zygotes.spawn(protocol.Spawn(3, 7), [])
    assert order == ["SpawnFailed"] and not zygote.waiting
    monkeypatch.setattr(zygotes, "end", lambda *_, **__: None)
    zygote.assigned, zygote.shared = _Assigned(), "a process that goes on"
    zygotes.spawn(protocol.Spawn(3, 7), [])
    zygotes._imported(zygote)
    assert order == ["SpawnFailed"] and [fork.number for fork in zygote.waiting] == [7]


def test_what_is_no_function_s_yet_only_waits(zygotes: Zygotes, order: list[str]) -> None:
    zygote = cast("Any", _Zygote(order))
    zygote.assigned = None
    zygotes.know(3, zygote)
    zygotes._imported(zygote)
    assert order == ["Opened"] and zygote.waits


def test_nothing_is_told_of_one_that_left_what_calls_would_share(
    zygotes: Zygotes, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(zygotes, "end", lambda _zygote, reason, **_: ended.append(reason))
    zygote = cast("Any", _Zygote(order))
    zygote.shared = "a process that goes on"
    zygotes.know(3, zygote)
    zygotes._imported(zygote)
    assert not order and "a process that goes on" in ended[0]
