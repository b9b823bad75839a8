"""How fast one peer gets handshakes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.triggers.http_server import peer_rate
from casemate.triggers.http_server.handshake_rate import BURST, PER_SECOND, HandshakeRate


def test_a_burst_comes_at_once_and_the_rest_at_the_rate() -> None:
    rate = HandshakeRate()
    delays = [rate.delay("192.0.2.1", 1000.0) for _ in range(BURST + 50)]
    assert delays[: BURST - 1] == [0.0] * (BURST - 1)
    assert delays[-1] == pytest.approx(50 / PER_SECOND)
    assert rate.delay("192.0.2.2", 1000.0) == 0.0


def test_a_peer_is_a_network_in_ipv6() -> None:
    rate = HandshakeRate()
    for host in range(BURST + 10):
        last = rate.delay(f"2001:db8::{host:x}", 5.0)
    assert last > 0
    assert rate.delay("2001:db8:0:1::1", 5.0) == 0.0


@given(st.lists(st.floats(0, 10), min_size=1, max_size=300))
def test_nobody_gets_more_than_burst_and_rate(pauses: list[float]) -> None:
    rate, now, turns = HandshakeRate(), 100.0, []
    for pause in pauses:
        now += pause
        turns.append(now + rate.delay("192.0.2.1", now))
    for start in turns:
        within = [turn for turn in turns if start <= turn < start + 1.0]
        assert len(within) <= BURST + PER_SECOND + 1


def test_what_is_kept_of_peers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_rate, "MOST_PEERS", 10)
    rate = HandshakeRate()
    for number in range(1000):
        rate.delay(f"192.0.2.{number % 250}", float(number % 3))
        assert len(rate._next) <= 10
