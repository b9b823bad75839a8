"""Sealed values open with the right key, for the right name, and not otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.model.vault import MAX_SEALED_BYTES, MAX_VALUE_BYTES, SEAL_OVERHEAD
from casemate.vault.errors import VaultInputError
from casemate.vault.sealed import (
    PUBLIC_KEY_BYTES,
    new_private_key,
    public_key_of,
    seal,
    seal_value,
    secret_info,
    unseal,
)

SECRET = new_private_key()
PUBLIC = public_key_of(SECRET)


@pytest.mark.parametrize("size", [6, 1000, MAX_VALUE_BYTES])
def test_round_trip(size) -> None:
    sealed = seal_value(PUBLIC, "shop", "key", b"v" * size)
    assert len(sealed) == size + SEAL_OVERHEAD <= MAX_SEALED_BYTES
    assert unseal(SECRET, secret_info("shop", "key"), sealed) == b"v" * size


@pytest.mark.parametrize("size", [0, 5, MAX_VALUE_BYTES + 1])
def test_sizes_out_of_bounds(size) -> None:
    with pytest.raises(VaultInputError) as caught:
        seal_value(PUBLIC, "shop", "key", b"v" * size)
    assert str(size) in str(caught.value)


@pytest.mark.parametrize("info", [("shop", "other"), ("shopk", "ey"), ("", "shopkey")])
def test_not_for_another_name(info) -> None:
    sealed = seal_value(PUBLIC, "shop", "key", b"value!")
    with pytest.raises(VaultInputError):
        unseal(SECRET, secret_info(*info), sealed)


def test_not_with_another_key() -> None:
    sealed = seal(PUBLIC, b"info", b"value!")
    with pytest.raises(VaultInputError):
        unseal(new_private_key(), b"info", sealed)


@given(st.data())
def test_a_changed_bit_or_a_cut_is_noticed(data) -> None:
    sealed = bytearray(seal(PUBLIC, b"info", b"value!"))
    if data.draw(st.booleans()):
        bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
        sealed[bit // 8] ^= 1 << bit % 8
    else:
        del sealed[data.draw(st.integers(0, len(sealed) - 1)) :]
    with pytest.raises(VaultInputError) as caught:
        unseal(SECRET, b"info", bytes(sealed))
    assert "value!" not in str(caught.value)


@given(st.binary(max_size=100))
def test_rubbish_is_refused(data) -> None:
    with pytest.raises(VaultInputError):
        unseal(SECRET, b"", data)


@pytest.mark.parametrize("public", [b"", b"short", bytes(32), bytes([1]) + bytes(31)])
def test_public_keys_that_are_none_or_of_low_order(public) -> None:
    with pytest.raises(VaultInputError):
        seal(public, b"", b"value!")
    with pytest.raises(VaultInputError):
        seal(PUBLIC[:-32] + public, b"", b"value!")
    with pytest.raises(VaultInputError):
        unseal(SECRET, b"", b"\x02" + bytes(1088) + public.ljust(32, b"\0") + bytes(40))


@pytest.mark.parametrize("half", [slice(64), slice(64, None)], ids=["ML-KEM", "X25519"])
def test_one_half_of_the_private_key_opens_nothing(half) -> None:
    """Whoever broke one of the two still lacks the other."""
    sealed = seal(PUBLIC, b"info", b"value!")
    other = bytearray(new_private_key())
    other[half] = SECRET[half]
    with pytest.raises(VaultInputError):
        unseal(bytes(other), b"info", sealed)


def test_the_halves_of_a_key_are_independent() -> None:
    first, second = new_private_key(), new_private_key()
    mixed = public_key_of(first[:64] + second[64:])
    assert mixed[:1184] == public_key_of(first)[:1184]
    assert mixed[1184:] == public_key_of(second)[1184:]
    assert len(mixed) == PUBLIC_KEY_BYTES


def test_a_key_of_an_older_node_is_refused_with_its_reason() -> None:
    with pytest.raises(VaultInputError) as caught:
        seal(PUBLIC[-32:], b"", b"value!")
    assert "older node" in (caught.value.next_step or "")


def test_the_same_value_never_looks_the_same() -> None:
    assert seal(PUBLIC, b"", b"value!") != seal(PUBLIC, b"", b"value!")
