"""Contexts are unambiguous, ciphertexts are bound to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.vault import envelope
from casemate.vault.errors import DecryptionError

PARTS = st.lists(st.one_of(st.text(max_size=8), st.binary(max_size=8)), max_size=4)


def flat(parts: list) -> list[bytes]:
    return [part.encode() if isinstance(part, str) else part for part in parts]


@given(PARTS, PARTS)
def test_different_parts_make_different_contexts(one, other) -> None:
    same = envelope.context("x", *one) == envelope.context("x", *other)
    assert same == (flat(one) == flat(other))


def test_the_label_is_part_of_it() -> None:
    assert envelope.context("ab", "c") != envelope.context("a", "bc")


@given(st.binary(max_size=200), st.binary(max_size=40), st.data())
def test_a_changed_bit_anywhere_is_noticed(value, context, data) -> None:
    key = envelope.new_key()
    sealed = bytearray(envelope.encrypt(key, value, context))
    assert envelope.decrypt(key, bytes(sealed), context) == value
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DecryptionError):
        envelope.decrypt(key, bytes(sealed), context)


@given(st.integers(0, 27))
def test_what_is_too_short_is_refused(length) -> None:
    with pytest.raises(DecryptionError) as caught:
        envelope.decrypt(envelope.new_key(), bytes(length), b"")
    assert caught.value.next_step


def test_key_and_context_must_be_the_same() -> None:
    key = envelope.new_key()
    sealed = envelope.encrypt(key, b"value", b"context")
    for wrong_key, context in ((envelope.new_key(), b"context"), (key, b"contexT"), (key, b"")):
        with pytest.raises(DecryptionError):
            envelope.decrypt(wrong_key, sealed, context)


def test_nonces_are_never_the_same() -> None:
    key = envelope.new_key()
    assert len({envelope.encrypt(key, b"", b"")[:12] for _ in range(1000)}) == 1000


def test_derived_keys_differ_by_use_and_salt() -> None:
    key = envelope.new_key()
    derived = {
        envelope.derive(key, b"a"),
        envelope.derive(key, b"b"),
        envelope.derive(key, b"a", salt=b"s"),
        key,
    }
    assert len(derived) == 4


def test_derivation_is_that_of_rfc_5869() -> None:
    # RFC 5869, appendix A.1, of which the first 32 bytes.
    derived = envelope.derive(bytes([0x0B] * 22), bytes(range(0xF0, 0xFA)), salt=bytes(range(13)))
    assert derived.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


def test_a_key_id_tells_keys_apart_and_holds_nothing_of_them() -> None:
    one, other = envelope.new_key(), envelope.new_key()
    assert envelope.key_id(one) != envelope.key_id(other)
    assert envelope.key_id(one) not in one.hex()
