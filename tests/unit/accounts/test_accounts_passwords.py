"""Which passwords are accepted, and that hashing is bounded."""

from __future__ import annotations

import asyncio

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError
from hypothesis import given
from hypothesis import strategies as st

from casemate.accounts.errors import PasswordRefusedError, TooManyAttemptsError
from casemate.accounts.passwords import (
    AT_ONCE,
    MAX_WAITING,
    PasswordHashing,
    prepared,
    require_acceptable,
)
from support.accounts import FAST, PASSWORD


@pytest.mark.parametrize(
    "password", [PASSWORD, "correct battery staple horse", "ночь улица фонарь", "Tr0ub4dor&3-lived"]
)
def test_accepted(password: str) -> None:
    assert require_acceptable(password, "ada") == prepared(password)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "elevenchars",
        "aaaaaaaaaaaaaaaa",
        "abababababab",
        "password1234",
        "Password2024!",
        "P@ssw0rd2024!",
        "passwordpassword",
        "qwertyuiop123",
        "123456789012",
        "482-193-775-203",
        "ada-lovelace",
        "ada-lovelace-12",
        "adalovelace1815",
        "letmeinletmein",
        "correcthorsebatterystaple",
        "x" * 1025,
        "violin-otter-\ud800-granite",
    ],
)
def test_refused(password: str) -> None:
    with pytest.raises(PasswordRefusedError) as caught:
        require_acceptable(password, "ada-lovelace")
    assert not password or len(password) < 6 or password not in str(caught.value)


def test_length_is_counted_in_characters_and_bounded_in_bytes() -> None:
    with pytest.raises(PasswordRefusedError, match="bytes"):
        prepared("é" * 513)
    assert len(prepared("é" * 512)) == 1024


def test_both_spellings_of_an_accent_are_one_password() -> None:
    assert prepared("cafe\u0301-au-lait-12") == prepared("caf\u00e9-au-lait-12")


@given(st.text(max_size=200), st.sampled_from(["ada", "b", "x-1"]))
def test_never_another_error(password: str, name: str) -> None:
    try:
        require_acceptable(password, name)
    except PasswordRefusedError as error:
        assert str(error)


def test_parameters_are_those_of_the_rfc() -> None:
    async def work() -> None:
        hashing = PasswordHashing()
        stored = await hashing.hash(b"x" * 12)
        found = extract_parameters(stored)
        assert stored.startswith("$argon2id$")
        assert (found.memory_cost, found.time_cost, found.parallelism) == (65536, 3, 4)
        assert not hashing.outdated(stored)
        assert hashing.outdated(FAST.hash("x"))
        hashing.close()

    asyncio.run(work())


@pytest.mark.parametrize("hasher", [None, FAST])
def test_nobody_costs_what_a_known_name_does(hasher: PasswordHasher | None) -> None:
    hashing = PasswordHashing(hasher)
    known = asyncio.run(hashing.hash(b"x" * 12))
    assert extract_parameters(hashing._nobody) == extract_parameters(known)
    assert len(hashing._nobody) == len(known)
    assert not hashing.outdated(hashing._nobody)
    with pytest.raises(VerifyMismatchError):  # not that it is no hash, which takes no time
        hashing._hasher.verify(hashing._nobody, b"x" * 12)
    hashing.close()


def test_right_wrong_and_nobody() -> None:
    async def work() -> None:
        hashing = PasswordHashing(FAST)
        stored = await hashing.hash(b"right")
        assert await hashing.verify(stored, b"right")
        assert not await hashing.verify(stored, b"wrong")
        assert not await hashing.verify(None, b"right")
        assert not await hashing.verify("not a hash", b"x")
        hashing.close()

    asyncio.run(work())


def test_a_crowd_is_refused_not_queued_for_ever() -> None:
    async def work() -> None:
        hashing = PasswordHashing()
        crowd = [asyncio.create_task(hashing.hash(b"x" * 12)) for _ in range(AT_ONCE + MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyAttemptsError) as caught:
            await hashing.hash(b"one more")
        assert caught.value.retry_after > 0
        for task in crowd[2:]:
            task.cancel()
        # Who gives up frees no thread: the work still counts until it ends.
        with pytest.raises(TooManyAttemptsError):
            await hashing.hash(b"one more")
        await asyncio.gather(*crowd, return_exceptions=True)
        hashing.close()

    asyncio.run(work())
