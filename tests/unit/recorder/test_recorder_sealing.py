"""Sealed entries: opened by their key alone, and bound to what they say in clear."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.recorder.errors import RecorderError
from casemate.recorder.sealing import EntryKey, opening

KEY = EntryKey("shop", 1, bytes(32))
SESSION = bytes(range(8))


@given(st.binary(max_size=2000), st.integers(0, 2**63))
def test_an_entry_is_opened_by_its_key(text: bytes, number: int) -> None:
    entry = KEY.seal(SESSION, number, text)
    assert KEY.open(entry) == text
    clear = opening(entry)
    assert clear is not None
    assert (clear.session, clear.number, clear.key_id) == (SESSION, number, KEY.id)
    assert clear.id == f"{SESSION.hex()}-{number}"


def test_equal_texts_have_different_entries() -> None:
    assert KEY.seal(SESSION, 1, b"same") != KEY.seal(SESSION, 1, b"same")


@given(st.integers(0, 200), st.integers(1, 255))
def test_any_change_is_noticed(at: int, change: int) -> None:
    data = bytearray(KEY.seal(SESSION, 7, b"what happened"))
    data[at % len(data)] ^= change
    with pytest.raises(RecorderError):
        KEY.open(bytes(data))


def test_the_key_of_another_project_opens_nothing() -> None:
    other = EntryKey("mail", 1, b"\1" * 32)
    assert other.id != KEY.id
    with pytest.raises(RecorderError):
        other.open(KEY.seal(SESSION, 1, b"text"))


@given(st.binary(max_size=60))
def test_what_is_no_entry_says_nothing(data: bytes) -> None:
    clear = opening(data)
    assert clear is None or data[0] == 1
