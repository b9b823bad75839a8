"""In which order the supervisor deals with what a zygote says."""

from __future__ import annotations

import selectors
from typing import Any, cast

import pytest

from casemate.sandbox import protocol
from casemate.supervisor.zygotes import Zygotes


class _Zygote:
    """One that has imported."""

    def __init__(self, order: list[str]) -> None:
        self._order = order
        self.assigned: object | None = object()
        self.waits = False
        self.shared = ""
        self.owner = ""

    def shared_at_import(self) -> str:
        return self.shared

    def imported(self) -> None:
        self._order.append("limits")


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
