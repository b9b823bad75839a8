"""Errors of sqlite3 become the store's own."""

from __future__ import annotations

import sqlite3 as codes

import pytest

from casemate.model.errors import InvalidInputError
from casemate.sqlite import engine
from casemate.sqlite.family import primary_code
from casemate.store import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreKeyError,
    StoreMediumError,
)
from casemate.store.sqlite.faults import STORE


def fault(code: int, kind: type[engine.Error] = engine.OperationalError) -> engine.Error:
    error = kind("it failed")
    error.sqlite_errorcode = code
    error.sqlite_errorname = "SQLITE_TEST"
    return error


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        (codes.SQLITE_FULL, StoreFullError, True),
        (codes.SQLITE_IOERR_SHMSIZE, StoreFullError, True),
        (codes.SQLITE_BUSY, StoreBusyError, True),
        (codes.SQLITE_BUSY_SNAPSHOT, StoreBusyError, True),
        (codes.SQLITE_LOCKED, StoreBusyError, True),
        (codes.SQLITE_CORRUPT, StoreCorruptError, False),
        (codes.SQLITE_CORRUPT_INDEX, StoreCorruptError, False),
        (codes.SQLITE_NOTADB, StoreKeyError, False),
        (codes.SQLITE_IOERR_FSYNC, StoreMediumError, True),
        (codes.SQLITE_READONLY, StoreError, False),
        (codes.SQLITE_CANTOPEN, StoreMediumError, True),
    ],
)
def test_each_code_has_its_error(code: int, kind: type[StoreError], retryable: bool) -> None:
    error = STORE.translate(fault(code))
    assert type(error) is kind
    assert error.retryable is retryable
    assert kind is StoreKeyError or "it failed (SQLITE_TEST)" in error.message
    assert error.next_step


def test_an_error_without_a_code_is_the_general_one() -> None:
    error = engine.ProgrammingError("Cannot operate on a closed database.")
    assert primary_code(error) is None
    assert type(STORE.translate(error)) is StoreError


@pytest.mark.parametrize(
    "error",
    [
        engine.IntegrityError("NOT NULL constraint failed"),
        OverflowError("Python int too large"),
        UnicodeEncodeError("utf-8", "\udc80", 0, 1, "surrogates not allowed"),
    ],
)
def test_values_at_fault_are_invalid_input(error: Exception) -> None:
    with pytest.raises(InvalidInputError) as caught, STORE.translated():
        raise error
    assert caught.value.__cause__ is error
    assert caught.value.next_step


def test_other_errors_pass_untouched() -> None:
    with pytest.raises(KeyError), STORE.translated():
        raise KeyError
