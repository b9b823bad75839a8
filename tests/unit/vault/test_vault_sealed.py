"""Sealed values open with the right key, for the right name, and not otherwise."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from casemate.vault.errors import VaultInputError
from casemate.vault.sealed import (
    MAX_SEALED_BYTES,
    MAX_VALUE_BYTES,
    seal,
    seal_value,
    secret_info,
    unseal,
)

PRIVATE = X25519PrivateKey.generate()
PUBLIC = PRIVATE.public_key().public_bytes_raw()
SECRET = PRIVATE.private_bytes_raw()


@pytest.mark.parametrize("size", [6, 1000, MAX_VALUE_BYTES])
def test_round_trip(size) -> None:
    sealed = seal_value(PUBLIC, "shop", "key", b"v" * size)
    assert len(sealed) <= MAX_SEALED_BYTES
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
        unseal(X25519PrivateKey.generate().private_bytes_raw(), b"info", sealed)


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
        unseal(SECRET, b"", b"\x01" + public.ljust(32, b"\0") + bytes(40))


def test_the_same_value_never_looks_the_same() -> None:
    assert seal(PUBLIC, b"", b"value!") != seal(PUBLIC, b"", b"value!")
