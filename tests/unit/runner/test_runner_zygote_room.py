"""What a function zygote holds ready for instances that are restored, and when it makes it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from casemate.runner import restorable, zygote

RESTORED, FORKED = 4, 3


class _Forks:
    """Stands for clone(2): forks nothing, and notes whether there was room for all by then."""

    def __init__(self) -> None:
        self.of: zygote.Zygote | None = None
        self.shared: list[bool] = []

    def clone(self, _flags: int) -> int:
        assert self.of is not None
        self.shared.append(self.of._room is not None)
        return 1000 + len(self.shared)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []

    def make_room() -> list[bytes]:
        made.append("room")
        return [b""]

    monkeypatch.setattr(restorable, "make_room", make_room)
    monkeypatch.setattr(zygote, "fill_pools", lambda: made.append("pools"))
    monkeypatch.setattr(zygote, "fill_chunks", lambda: made.append("chunks"))
    monkeypatch.setattr("gc.freeze", lambda: made.append("freeze"))
    return made


@pytest.fixture
def of_function() -> Iterator[tuple[zygote.Zygote, _Forks]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    prepared = cast("zygote.Prepared", SimpleNamespace(guard=None))
    with ours, theirs:
        made = zygote.Zygote(ours, prepared)
        forks = _Forks()
        forks.of = made
        made._cloner = cast("Any", forks)
        yield made, forks
        os.close(made._wake_read)
        os.close(made._wake_write)


def _fork(of: zygote.Zygote, kind: int) -> None:
    of._fork(1, [os.open("/dev/null", os.O_RDONLY) for _ in range(kind)])


def test_those_that_came_before_it_had_settled_count(
    of_function: tuple[zygote.Zygote, _Forks], made: list[str]
) -> None:
    """Else as many again would each hold a room of their own, depending on when the first came."""
    of, forks = of_function
    for settled in (False, False, True, True):
        of._settled = settled
        _fork(of, RESTORED)
    assert forks.shared == [False, False, True, True]
    assert made == ["pools", "chunks", "freeze", "room"]


def test_nothing_is_held_ready_for_what_is_called_once_in_a_while(
    of_function: tuple[zygote.Zygote, _Forks], made: list[str]
) -> None:
    of, forks = of_function
    of._settled = True
    for kind in (FORKED, RESTORED, RESTORED, FORKED, FORKED):
        _fork(of, kind)
    assert forks.shared == [False] * 5
    assert made == []


def test_room_is_made_again_after_a_rest_and_pools_are_filled_once(
    of_function: tuple[zygote.Zygote, _Forks], made: list[str]
) -> None:
    of, _ = of_function
    of._settled = True
    for _ in range(3):
        _fork(of, RESTORED)
    of._room = None  # as at rest
    _fork(of, RESTORED)
    assert made == ["pools", "chunks", "freeze", "room", "room"]


def test_before_it_has_settled_an_instance_has_room_alone(
    of_function: tuple[zygote.Zygote, _Forks], made: list[str]
) -> None:
    of, _ = of_function
    of._make_room()
    assert made == ["room"]
