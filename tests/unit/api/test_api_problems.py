"""What an error is answered with: whether to come again, and what is logged of it."""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
from collections.abc import Iterator

import msgspec
import pytest

from casemate.api.problems import response_to, status_of
from casemate.data.errors import DataCorruptError, LimitError
from casemate.model.errors import CasemateError
from casemate.store.errors import StoreMediumError, StoreProofError

KEEPERS = ("blobs", "data", "journal", "postgresql", "recorder", "sqlite", "store", "vault")
"""What keeps something, and so can fail whatever was asked."""
OURS = {
    "What is there is damaged: it would be the same however often it is asked for.": (
        *("BlobDamagedError", "BlobSizeError", "DataCorruptError", "DatabaseCorruptError"),
        *("DecryptionError", "JournalDamagedError", "RecordsCorruptError", "StoreCorruptError"),
        "VaultDamagedError",
    ),
    "A failure that nobody has foreseen, or the root of those that were.": (
        *("BlobsError", "DataError", "DatabaseError", "RecorderError", "RecordsError"),
        *("StoreError", "VaultError"),
    ),
    "Whoever asks gets the key and asks again; the rest is a fault of ours.": (
        *("MissingKeyError", "MissingProofKeyError", "MissingValueKeyError"),
        *("SearchTooLongError", "UnstorableRecordError"),
    ),
}
"""What is answered with 500, and why."""


@pytest.mark.parametrize(("step", "has_trace"), [("Bring it back.", False), (None, True)])
def test_what_says_what_to_do_is_logged_without_where_it_was_raised(
    caplog: pytest.LogCaptureFixture, step: str | None, has_trace: bool
) -> None:
    try:
        raise DataCorruptError("It is damaged.", next_step=step)
    except DataCorruptError as error:
        assert response_to(error).status_code == 500
    (record,) = caplog.records
    assert "It is damaged." in record.message
    assert bool(record.exc_info and record.exc_info[0]) is has_trace


def test_what_somebody_has_to_mend_is_told_by_name_to_who_may_know_and_to_come_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Before: 500, as if the node had made a mistake."""
    answer = response_to(StoreProofError("It is not believed.", next_step="See who writes it."))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    told = msgspec.json.decode(answer.body)
    assert told["detail"] == "It is not believed." and told["next_step"] == "See who writes it."
    (record,) = caplog.records
    assert record.levelname == "ERROR" and told["error_id"] in record.message
    assert response_to(StoreMediumError("Away.")).headers["retry-after"] == "1"


def test_only_what_is_damaged_or_a_fault_of_ours_is_answered_with_500() -> None:
    """Before: so were databases that are another's, left, or written with another key."""
    found = {kind.__name__ for kind in _kinds() if status_of(kind.__new__(kind)) == 500}
    assert found == {name for names in OURS.values() for name in names}
    assert status_of(LimitError("Full.")) == 429


def _kinds() -> Iterator[type[CasemateError]]:
    for keeper in KEEPERS:
        package = importlib.import_module(f"casemate.{keeper}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    waiting = [CasemateError]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind.__module__.split(".")[1:2] in ([keeper] for keeper in KEEPERS):
                yield kind


@pytest.mark.parametrize(
    ("number", "status"),
    [
        *((number, 503) for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)),
        *((number, 500) for number in (errno.ENOENT, errno.EACCES, errno.EBADF)),
    ],
)
def test_a_disk_that_is_full_or_fails_is_no_fault_of_the_nodes(number: int, status: int) -> None:
    """Before: an upload was answered with 500, and told to look for its id in the log."""
    answer = response_to(OSError(number, os.strerror(number), "/srv/casemate/spool/x"))
    assert answer.status_code == status
    told = bytes(answer.body).decode()
    assert (os.strerror(number) in told) is (status == 503)
    assert "/srv" not in told, "no path of the node's"
    assert (answer.headers.get("retry-after") is not None) is (status == 503)
