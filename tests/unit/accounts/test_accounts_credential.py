"""The text of tokens: recognisable, and only in its exact form."""

from __future__ import annotations

import re
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.accounts.credential import (
    LENGTH,
    OLD_LENGTH,
    PATTERN,
    bearer_text,
    checksum,
    new_text,
    same,
)

ID = "0123456789abcdef"
OLD = f"cm_{ID}_{'Ab0-_' * 8}xyz"
TEXT = OLD + checksum(OLD)


def test_new_texts_have_this_form() -> None:
    identity, text = new_text()
    assert (len(identity), len(text), len(OLD)) == (len(ID), len(TEXT), OLD_LENGTH)
    assert PATTERN.fullmatch(text) and text.startswith(f"cm_{identity}_")


def test_form() -> None:
    assert len(TEXT) == LENGTH == 69
    assert PATTERN.fullmatch(TEXT)
    assert PATTERN.fullmatch(OLD)
    assert TEXT.startswith(f"cm_{ID}_")
    assert re.fullmatch("[0-9a-f]{16}", ID)


def test_checksum_is_crc32_in_base_62() -> None:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for text in ("", "cm_", OLD, "x" * 1000):
        number = 0
        for character in checksum(text):
            number = number * 62 + digits.index(character)
        assert number == crc32(text.encode())
        assert len(checksum(text)) == 6


def test_no_two_are_alike() -> None:
    assert len({new_text() for _ in range(200)}) == 200


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer    "])
@pytest.mark.parametrize("text", [TEXT, OLD])
def test_accepted(scheme: str, text: str) -> None:
    assert bearer_text(scheme + text) == text
    assert bearer_text(f"{scheme}{text}  ") == text


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        TEXT,
        f"Basic {TEXT}",
        f"Bearer{TEXT}",
        f"Bearer\t{TEXT}",
        f"Bearer {TEXT}\n",
        f"Bearer {TEXT}\x00",
        f"Bearer {TEXT}, {TEXT}",
        f"Bearer {TEXT.upper()}",
        f"Bearer {TEXT[:-1]}",
        f"Bearer {TEXT}A",
        f"Bearer {TEXT}" + " " * 256,
        f"Bearer {TEXT}é",
        "Bearer " + TEXT.replace("c", "\uff43", 1),
        f"Bearer {TEXT}".replace("B", "\u212a"),
        f"Bearer {TEXT}\ud800",
    ],
)
def test_refused(header: str | None) -> None:
    assert bearer_text(header) is None


def test_every_change_of_one_character_is_found_by_the_checksum() -> None:
    for place in range(len(TEXT)):
        changed = TEXT[:place] + ("A" if TEXT[place] != "A" else "B") + TEXT[place + 1 :]
        assert bearer_text(f"Bearer {changed}") is None, place


@given(st.text())
def test_arbitrary_text_never_raises(text: str) -> None:
    for header in (text, f"Bearer {text}", f"Bearer cm_{text}", f"Bearer cm_{ID}_{text}"):
        found = bearer_text(header)
        assert found is None or PATTERN.fullmatch(found) or len(found) == OLD_LENGTH


def test_nothing_equals_a_hash_that_is_not_there() -> None:
    assert not same("a", None)
    assert not same("a", "b")
    assert same("a", "a")
