"""Back-off: it grows, it is bounded, and it keeps nobody out for good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.accounts import attempts as attempts_module
from casemate.accounts.attempts import MAX_ENTRIES, Attempts
from casemate.accounts.errors import TooManyAttemptsError
from casemate.model.addresses import address_group
from casemate.model.back_off import (
    FREE_PER_ACCOUNT,
    FREE_PER_ADDRESS,
    LONGEST_ADDRESS_WAIT,
    LONGEST_WAIT,
)
from support.accounts import Clock


def fail(attempts: Attempts, times: int, account: str | None = "ada", remote: str = "10.0.0.1"):
    for _ in range(times):
        attempts.begin(account, remote)


def wait_of(attempts: Attempts, account: str | None = "ada", remote: str = "10.0.0.1") -> float:
    try:
        attempts.cancelled(attempts.begin(account, remote))
    except TooManyAttemptsError as error:
        return error.retry_after
    return 0.0


def test_doubling_up_to_the_longest_wait() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    fail(attempts, FREE_PER_ACCOUNT - 1)
    assert wait_of(attempts) == 0
    waits = []
    for _ in range(16):
        fail(attempts, 1)
        waits.append(wait_of(attempts))
        clock.now += waits[-1]
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits[-1] == LONGEST_WAIT == max(waits)


def test_waiting_attempts_do_not_count() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    fail(attempts, FREE_PER_ACCOUNT)
    for _ in range(100):
        assert wait_of(attempts) == 1
    clock.now += 1
    assert wait_of(attempts) == 0


def test_many_addresses_do_not_get_round_the_accounts_count() -> None:
    attempts = Attempts(Clock())
    for number in range(FREE_PER_ACCOUNT):
        attempts.begin("ada", f"10.0.{number}.1")
    assert wait_of(attempts, remote="10.9.9.9") > 0
    assert wait_of(attempts, account="bob", remote="10.9.9.9") == 0


def test_many_accounts_do_not_get_round_the_addresss_count() -> None:
    attempts = Attempts(Clock())
    for number in range(FREE_PER_ADDRESS):
        attempts.begin(f"user{number}", "10.0.0.1")
    assert wait_of(attempts, account="new") > 0
    assert wait_of(attempts, account=None) > 0
    assert wait_of(attempts, account="new", remote="10.0.0.2") == 0


def test_the_owner_gets_in_from_where_it_did_before_while_others_hammer() -> None:
    attempts = Attempts(Clock())
    attempts.succeeded("ada", "10.0.0.1", attempts.begin("ada", "10.0.0.1"))
    for number in range(FREE_PER_ACCOUNT):
        attempts.begin("ada", f"192.0.2.{number}")
    assert wait_of(attempts, remote="192.0.2.99") > 0
    assert wait_of(attempts, remote="10.0.0.1") == 0
    fail(attempts, FREE_PER_ACCOUNT)  # but not without limit
    assert wait_of(attempts, remote="10.0.0.1") > 0


def test_success_gives_the_address_only_one_attempt_back() -> None:
    attempts = Attempts(Clock())
    for number in range(FREE_PER_ADDRESS - 1):
        attempts.begin(f"user{number}", "10.0.0.1")
    attempts.succeeded("mallory", "10.0.0.1", attempts.begin("mallory", "10.0.0.1"))
    attempts.begin("victim", "10.0.0.1")
    assert wait_of(attempts, account="victim2") > 0


def test_a_flood_of_names_does_not_displace_the_account_under_attack(monkeypatch) -> None:
    monkeypatch.setattr(attempts_module, "MAX_ENTRIES", 64)
    clock = Clock()
    attempts = Attempts(clock)
    fail(attempts, FREE_PER_ACCOUNT)
    for number in range(500):
        attempts.begin(f"made-up-{number}", f"10.{number // 250}.{number % 250}.1")
        assert len(attempts._failures) <= 66
    assert wait_of(attempts) > 0
    assert MAX_ENTRIES >= 1024


def test_reset_and_a_day_forget() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    fail(attempts, FREE_PER_ACCOUNT)
    attempts.forget_account("ada")
    assert wait_of(attempts, remote="10.0.0.2") == 0
    fail(attempts, FREE_PER_ACCOUNT, account="bob")
    clock.now += 24 * 3600 + 1
    fail(attempts, 1, account="bob")
    assert wait_of(attempts, account="bob") == 0


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("not an address", "not an address"),
    ],
)
def test_groups(address: str, group: str) -> None:
    assert address_group(address) == group


@given(st.lists(st.tuples(st.sampled_from(["fail", "ok", "cancel", "wait"]), st.integers(0, 3))))
def test_counts_never_go_wrong(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for what, number in steps:
        if what == "wait":
            clock.now += 10.0**number
            continue
        try:
            counted = attempts.begin(f"user{number}", f"10.0.0.{number}")
        except TooManyAttemptsError as error:
            assert 0 < error.retry_after <= LONGEST_WAIT
            continue
        if what == "ok":
            attempts.succeeded(f"user{number}", f"10.0.0.{number}", counted)
        elif what == "cancel":
            attempts.cancelled(counted)
    assert all(failures.count > 0 for failures in attempts._failures.values())


def test_failures_of_others_behind_one_address_hold_nobody_up_for_long() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for number in range(10 * FREE_PER_ADDRESS):
        clock.now += LONGEST_ADDRESS_WAIT
        attempts.begin(f"user{number}", "10.0.0.1")
    assert 0 < wait_of(attempts, account="newcomer") <= LONGEST_ADDRESS_WAIT
    clock.now += LONGEST_ADDRESS_WAIT
    assert wait_of(attempts, account="newcomer") == 0


def test_who_logged_in_from_an_address_before_is_not_held_up_by_it() -> None:
    attempts = Attempts(Clock())
    attempts.succeeded("ada", "10.0.0.1", attempts.begin("ada", "10.0.0.1"))
    for number in range(FREE_PER_ADDRESS + 5):
        try:
            attempts.begin(f"user{number}", "10.0.0.1")
        except TooManyAttemptsError:
            break
    assert wait_of(attempts, account="bob") > 0
    assert wait_of(attempts, account="ada") == 0
    fail(attempts, FREE_PER_ACCOUNT)
    assert wait_of(attempts, account="ada") > 0


def test_a_clock_that_is_set_back_holds_nobody_up_for_longer_than_is_said() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    fail(attempts, 1)
    clock.now -= 86_400
    assert wait_of(attempts) == 0
    fail(attempts, FREE_PER_ACCOUNT - 1)
    clock.now -= 86_400
    wait = wait_of(attempts)
    assert 1 <= wait <= 2
    clock.now += wait
    assert wait_of(attempts) == 0
