"""One family of errors: the same kinds for every database, each in the words of whose it is."""

from __future__ import annotations

import sqlite3 as codes
from pathlib import Path

import pytest

from casemate.data import errors as data_errors
from casemate.data.faults import DATA
from casemate.model.errors import CasemateError, InvalidInputError
from casemate.sqlite import engine, errors
from casemate.sqlite.errors import DatabaseError, FileGoneError
from casemate.sqlite.family import Family
from casemate.store import errors as store_errors
from casemate.store.sqlite.faults import STORE

FAMILIES = {"store": STORE, "data": DATA}
SECRET = "planted-4711"


@pytest.fixture(params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


def fault(code: int) -> engine.Error:
    error = engine.OperationalError("it failed")
    error.sqlite_errorcode = code
    error.sqlite_errorname = "SQLITE_TEST"
    return error


@pytest.mark.parametrize(
    ("code", "kind", "of_the_store", "of_the_data"),
    [
        (
            codes.SQLITE_FULL,
            errors.DatabaseFullError,
            "The store's disk is full: it failed (SQLITE_TEST).",
            "The disk, or the size that a project may take on it, is full: it failed "
            "(SQLITE_TEST).",
        ),
        (
            codes.SQLITE_BUSY_SNAPSHOT,
            errors.DatabaseBusyError,
            "Another program holds the store's database: it failed (SQLITE_TEST).",
            "Another program holds the project's database: it failed (SQLITE_TEST).",
        ),
        (
            codes.SQLITE_CORRUPT_INDEX,
            errors.DatabaseCorruptError,
            "The store's database is damaged: it failed (SQLITE_TEST).",
            "The project's database is damaged: it failed (SQLITE_TEST).",
        ),
        (
            codes.SQLITE_NOTADB,
            errors.DatabaseKeyError,
            "The store's database was written with another key, or its first page is damaged.",
            "The project's database does not open with its key: it failed (SQLITE_TEST).",
        ),
        (
            codes.SQLITE_IOERR_FSYNC,
            errors.DatabaseMediumError,
            "The store's medium failed: it failed (SQLITE_TEST).",
            "The medium of the project's data failed: it failed (SQLITE_TEST).",
        ),
        (
            codes.SQLITE_READONLY,
            errors.DatabaseError,
            "The store's medium failed: it failed (SQLITE_TEST).",
            "The medium of the project's data failed: it failed (SQLITE_TEST).",
        ),
    ],
)
def test_a_code_is_one_kind_in_the_words_of_each(
    code: int, kind: type[DatabaseError], of_the_store: str, of_the_data: str
) -> None:
    for family, module, message in (
        (STORE, store_errors, of_the_store),
        (DATA, data_errors, of_the_data),
    ):
        error = family.translate(fault(code))
        assert isinstance(error, kind)
        assert type(error).__module__ == module.__name__
        assert error.message == message
        assert error.next_step


def test_all_kinds_have_a_class_of_each() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, CasemateError) and kind is not CasemateError
    ]
    kinds = [kind for kind in kinds if kind.__module__ == errors.__name__]
    assert len(kinds) == 12
    for module in (store_errors, data_errors):
        own = [k for k in vars(module).values() if isinstance(k, type)]
        own = [k for k in own if k.__module__ == module.__name__]
        for kind in kinds:
            found = [k for k in own if kind in k.__mro__]
            assert found, (module.__name__, kind)
            # Whether it is worth trying again is the kind's, not the database's.
            assert all(k.retryable for k in found) or not kind.retryable


def test_none_is_taken_for_the_others(family: Family) -> None:
    other = data_errors.DataError if family is STORE else store_errors.StoreError
    assert not isinstance(family.translate(fault(codes.SQLITE_FULL)), other)


def test_a_page_that_the_codec_refuses_is_damage(family: Family) -> None:
    assert isinstance(family.translate(MemoryError()), errors.DatabaseCorruptError)


def test_only_the_store_tells_values(family: Family) -> None:
    value = UnicodeEncodeError("utf-8", SECRET, 0, 1, "surrogates not allowed")
    told = [family.unstorable(value), family.surprised(ValueError(SECRET))]
    assert type(told[0]) is InvalidInputError
    if family is DATA:
        assert not any(SECRET in str(error) for error in told)
        assert "UnicodeEncodeError" in str(told[0])
        assert "ValueError" in str(told[1])
    else:
        assert SECRET in str(told[1])
    assert isinstance(told[1].__cause__, ValueError)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (engine.IntegrityError("x"), InvalidInputError),
        (engine.OperationalError("x"), DatabaseError),
        (MemoryError(), errors.DatabaseCorruptError),
        (FileGoneError(Path("/a/x.db")), errors.DatabaseGoneError),
    ],
)
def test_what_a_block_raises_becomes_ours(
    family: Family, raised: Exception, kind: type[CasemateError]
) -> None:
    with pytest.raises(kind) as caught, family.translated():
        raise raised
    assert caught.value.__cause__ is raised
    assert caught.value.next_step


@pytest.mark.parametrize("raised", [KeyError("x"), InvalidInputError("x")])
def test_what_is_not_the_engines_passes(family: Family, raised: Exception) -> None:
    with pytest.raises(type(raised)) as caught, family.translated():
        raise raised
    assert caught.value is raised


def test_a_gone_file_is_named_without_its_folder(family: Family) -> None:
    error = family.missing(Path("/planted/x.db"))
    assert "x.db" in error.message
    assert "/planted" not in str(error)


def test_braces_in_what_was_found_are_no_format(family: Family) -> None:
    assert "{0} {x}" in family.unread.of("{0} {x}").message


def test_a_copy_that_finds_no_room_is_told_as_that(family: Family, tmp_path: Path) -> None:
    """Before: as a medium that failed, as what the engine raises then has no code."""
    source, target = (
        engine.connect(tmp_path / name, bytes(32), create=True) for name in ("one", "other")
    )
    source.execute("CREATE TABLE t (x)")
    source.execute("INSERT INTO t VALUES (zeroblob(200000))")
    target.execute("PRAGMA max_page_count = 8")
    with pytest.raises(engine.Error) as raised:
        source.backup(target)
    source.close()
    target.close()
    assert isinstance(family.translate(raised.value), errors.DatabaseFullError)
