"""Values that are sealed, keys in order, and the clock of the database."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.data import DataCorruptError
from casemate.data.postgresql import sealing
from casemate.data.postgresql.clock import ClockError, ServerClock
from casemate.data.postgresql.ordering import ordered, value_of
from casemate.data.postgresql.sealing import MissingValueKeyError, Sealer, version_of
from casemate.sqlite import engine
from casemate.vault.interface import DataKey

ONE, TWO = (DataKey(version=number, key=bytes([number]) * 32) for number in (1, 2))
EDGES = [0, -0.0, 0.5, 2**53, 2**53 + 1, float(2**53), 2**63 - 1, -(2**63), 1e308, -1e308, 5e-324]
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(EDGES),
)
KEYS = st.one_of(NUMBERS, st.text(st.characters(exclude_categories=["Cs"], min_codepoint=1)))


def test_what_is_sealed_is_for_its_place() -> None:
    sealer = Sealer("p", ONE)
    kept = sealer.seal(("item", 1, b"k"), b"content")
    assert b"content" not in kept and len(kept) == len(b"content") + sealing.OVERHEAD
    assert Sealer("p", ONE).open(("item", 1, b"k"), kept) == b"content"
    for other, bound in (
        (sealer, ("item", 2, b"k")),
        (sealer, ("message", 1, b"k")),
        (sealer, ("item", 1, "k")),
        (Sealer("q", ONE), ("item", 1, b"k")),
        (Sealer("p", DataKey(version=1, key=bytes(32))), ("item", 1, b"k")),
    ):
        with pytest.raises(DataCorruptError):
            other.open(bound, kept)


def test_each_byte_matters() -> None:
    sealer = Sealer("p", ONE)
    kept = sealer.seal(("item",), b"content")
    for place in range(len(kept)):
        changed = kept[:place] + bytes([kept[place] ^ 1]) + kept[place + 1 :]
        with pytest.raises((DataCorruptError, MissingValueKeyError)):
            sealer.open(("item",), changed)
        with pytest.raises(DataCorruptError):
            sealer.open(("item",), kept[:place])


def test_no_number_is_used_twice_and_no_two_processes_share_a_key() -> None:
    first, second = Sealer("p", ONE), Sealer("p", ONE)
    heads = {
        sealer.seal(("item",), b"")[: sealing.OVERHEAD - 16]
        for sealer in (first, second)
        for _ in range(100)
    }
    assert len(heads) == 200


def test_a_newer_key_is_used_and_an_older_one_still_opens() -> None:
    sealer = Sealer("p", ONE)
    old = sealer.seal(("item",), b"1")
    sealer.add(TWO)
    new = sealer.seal(("item",), b"2")
    assert (version_of(old), version_of(new), sealer.newest) == (1, 2, 2)
    assert sealer.open(("item",), old) == b"1"
    fresh = Sealer("p", TWO)
    with pytest.raises(MissingValueKeyError) as raised:
        fresh.open(("item",), old)
    assert raised.value.version == 1
    fresh.add(ONE)
    assert (fresh.open(("item",), old), fresh.newest) == (b"1", 2)
    assert version_of(b"") == version_of(b"purged") == 0
    assert "key" not in repr(sealer)


def test_the_keys_of_processes_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "MAX_DERIVED", 2)
    reader = Sealer("p", ONE)
    kept = [Sealer("p", ONE).seal(("item",), b"%d" % number) for number in range(5)]
    for _ in range(2):
        assert [reader.open(("item",), one) for one in kept] == [b"0", b"1", b"2", b"3", b"4"]
    assert len(reader._derived) == 2


@given(KEYS, KEYS)
def test_keys_are_in_order_as_sqlite_has_them(one, other) -> None:
    connection = engine.driver.connect(":memory:")
    order, same = connection.execute("SELECT ?1 < ?2, ?1 = ?2", (one, other)).fetchone()
    connection.close()
    assert (ordered(one) < ordered(other), ordered(one) == ordered(other)) == (order, same)


@given(KEYS)
def test_a_key_comes_back(value) -> None:
    assert value_of(ordered(value)) == value


@pytest.mark.parametrize("kept", [b"", b"\1", b"\1" + bytes(11), b"\2\xff", b"\3a"])
def test_keys_that_nobody_wrote(kept: bytes) -> None:
    with pytest.raises(DataCorruptError):
        value_of(kept)


def test_a_clock_goes_on_without_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ServerClock()
    assert clock.now() is None

    class Time:
        CLOCK_BOOTTIME = 7
        wall, steady = 1000.0, 50.0

        def time(self) -> float:
            return self.wall

        def clock_gettime(self, which: int) -> float:
            return self.steady

    fake = Time()
    monkeypatch.setattr("casemate.data.postgresql.clock.time", fake)
    assert clock.learn(1003.0) == 1003.0
    fake.wall, fake.steady = 9999.0, 52.0
    assert clock.now() == 1005.0
    fake.steady = 55.0
    assert clock.now() is None
    with pytest.raises(ClockError, match="ahead of"):
        clock.learn(1008.0)
    with pytest.raises(ClockError, match="behind"):
        clock.learn(99_999.0)
    assert math.isfinite(clock.learn(9995.0))
