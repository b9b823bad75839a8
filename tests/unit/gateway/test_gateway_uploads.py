"""Uploads that wait for a deploy: bounded, known to who brought them, gone in time."""

from __future__ import annotations

import pytest

from casemate.gateway import uploads
from casemate.gateway.uploads import KEPT_SECONDS, MAX_BYTES, MAX_COUNT, MAX_NODE_BYTES, Uploads
from casemate.model.errors import QuotaError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _maker(who: str) -> str:
    """Ada has made the tokens."""
    return "user:ada" if who.startswith("token:") else who


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_one_principal_keeps_no_more_than_its_share(clock: Clock) -> None:
    waiting = Uploads(_maker, clock)
    for number in range(MAX_COUNT):
        waiting.require_room(1, "user:eve")
        waiting.note(f"{number:064x}", 1, "user:eve")
    with pytest.raises(QuotaError, match=f"{MAX_COUNT} bundles"):
        waiting.require_room(1, "user:eve")
    waiting.require_room(MAX_BYTES, "user:ada")
    waiting.note("a" * 64, MAX_BYTES, "user:ada")
    with pytest.raises(QuotaError) as refused:
        waiting.require_room(1, "user:ada")
    assert refused.value.next_step


def test_nobody_has_more_room_by_making_tokens(clock: Clock) -> None:
    """Four of a developer of one project had all that the node keeps for deploys of others."""
    waiting = Uploads(_maker, clock)
    for digest, who in (("a" * 64, "token:one"), ("b" * 64, "token:two")):
        waiting.require_room(MAX_BYTES, who)
        waiting.note(digest, MAX_BYTES, who)
    with pytest.raises(QuotaError, match="token:one has 1 bundles"):
        waiting.require_room(1, "token:one")
    for who in ("token:three", "user:ada"):
        with pytest.raises(QuotaError, match="user:ada has 2 bundles"):
            waiting.require_room(1, who)
    waiting.require_room(MAX_BYTES, "user:eve")
    assert waiting.is_of("a" * 64, "token:one")
    assert not waiting.is_of("a" * 64, "token:two"), "it tells them of each other's"


def test_all_together_keep_no_more_than_the_node_can(clock: Clock) -> None:
    waiting = Uploads(_maker, clock)
    for number in range(MAX_NODE_BYTES // MAX_BYTES):
        waiting.note(f"{number:064x}", MAX_BYTES, f"user:u{number}")
    with pytest.raises(QuotaError, match="on this node"):
        waiting.require_room(1, "user:ada")


def test_what_is_not_deployed_in_time_is_told_once(clock: Clock) -> None:
    waiting = Uploads(_maker, clock)
    waiting.note("a" * 64, 1, "user:ada")
    clock.now = KEPT_SECONDS / 2
    waiting.note("b" * 64, 1, "user:ada")
    waiting.note("c" * 64, 1, "user:ada")
    waiting.forget("c" * 64)
    clock.now = KEPT_SECONDS
    assert waiting.take_expired() == ("a" * 64,)
    assert not waiting.is_of("a" * 64, "user:ada")
    clock.now *= 2
    assert waiting.take_expired() == ("b" * 64,)
    assert waiting.take_expired() == ()


def test_what_somebody_could_not_bring_stays_another_ones(clock: Clock) -> None:
    waiting = Uploads(_maker, clock)
    waiting.note("a" * 64, 5, "user:ada")
    waiting.note("a" * 64, 5, "user:eve")
    waiting.withdraw("a" * 64, "user:eve")
    assert waiting.is_of("a" * 64, "user:ada")
    assert not waiting.is_of("a" * 64, "user:eve")
    waiting.withdraw("a" * 64, "user:ada")
    clock.now = 2 * uploads.KEPT_SECONDS
    assert waiting.take_expired() == ()


def test_who_brings_the_same_twice_at_once_and_once_wrong_has_brought_it(clock: Clock) -> None:
    waiting = Uploads(_maker, clock)
    waiting.note("a" * 64, MAX_BYTES, "user:eve")
    waiting.note("a" * 64, 1, "user:eve")
    waiting.withdraw("a" * 64, "user:eve")
    assert waiting.is_of("a" * 64, "user:eve")
    with pytest.raises(QuotaError):
        waiting.require_room(1, "user:eve")
    waiting.withdraw("a" * 64, "user:eve")
    waiting.withdraw("a" * 64, "user:eve")
    assert not waiting.is_of("a" * 64, "user:eve")
    waiting.require_room(MAX_BYTES, "user:eve")
