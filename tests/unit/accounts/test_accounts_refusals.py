"""Records of refusals: the first at once, a flood as a number."""

from __future__ import annotations

from casemate.accounts.refusals import MAX_ADDRESSES, OTHERS, PERIOD, Refusals
from casemate.model.denial import Denial, DenialKind
from support.accounts import Clock


def note(refusals: Refusals, remote: str = "10.0.0.1", principal: str | None = None) -> None:
    refusals.note(action="login", reason="refused", remote=remote, principal=principal)


def test_a_flood_is_two_records() -> None:
    clock, records = Clock(), list[Denial]()
    refusals = Refusals(records.append, clock)
    for _ in range(10_000):
        note(refusals)
    assert [r.count for r in records] == [1]
    clock.now += PERIOD
    refusals.flush()
    assert [r.count for r in records] == [1, 9_999]
    assert sum(r.count for r in records) == 10_000
    refusals.flush()
    assert len(records) == 2


def test_what_comes_after_the_period_counts_what_was_before() -> None:
    clock, records = Clock(), list[Denial]()
    refusals = Refusals(records.append, clock)
    for _ in range(3):
        note(refusals)
    clock.now += PERIOD
    note(refusals)
    clock.now += PERIOD
    refusals.flush()
    assert sum(r.count for r in records) == 4


def test_what_was_refused_while_the_clock_was_ahead_hides_nothing_that_follows() -> None:
    """Whoever was refused then could go on trying unseen for as long as it had been ahead."""
    clock, records = Clock(), list[Denial]()
    refusals = Refusals(records.append, clock)
    now, clock.now = clock.now, clock.now + 86_400.0
    note(refusals)
    clock.now = now
    note(refusals)
    note(refusals)
    assert [r.count for r in records] == [1, 1]
    clock.now += PERIOD
    refusals.flush()
    assert sum(r.count for r in records) == 3


def test_many_addresses_are_bounded() -> None:
    clock, records = Clock(), list[Denial]()
    refusals = Refusals(records.append, clock)
    for number in range(MAX_ADDRESSES + 500):
        note(refusals, remote=f"10.{number // 250}.{number % 250}.1")
    assert len(records) == MAX_ADDRESSES + 1
    assert records[-1].remote_address == OTHERS
    clock.now += PERIOD
    refusals.flush()
    assert sum(r.count for r in records) == MAX_ADDRESSES + 500


def test_what_a_record_says() -> None:
    records = list[Denial]()
    note(Refusals(records.append, Clock()), remote="2001:db8::1", principal="user:ada")
    (record,) = records
    assert record.kind is DenialKind.AUTHENTICATION
    assert (record.principal, record.action) == ("user:ada", "login")
    assert record.remote_address == "2001:db8::/64"
