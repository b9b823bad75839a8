"""A first start that is killed before there is a journal is no loss of one; an empty folder is."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.recorder import process
from casemate.recorder.config import NEW_JOURNAL
from casemate.recorder.errors import JournalMissingError
from casemate.vault.interface import JournalKey


def key(*, made: bool) -> JournalKey:
    return JournalKey(name="casemate.test/journal", public=bytes(32), made=made)


def start(*, made: bool, accept_loss: bool = False) -> None:
    begun = process._begin_first()
    process._require_journal(key(made=made), begun=begun, accept_loss=accept_loss)


def test_a_first_start_that_was_killed_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: refused for ever, as the vault had made a key for a journal that never was."""
    monkeypatch.chdir(tmp_path)
    start(made=True)
    for _ in range(2):  # killed there, with the file half made
        (tmp_path / "pending.new").write_bytes(b"half")
        start(made=False)


def test_a_journal_that_is_gone_is_missed_however_often_one_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(3):
        with pytest.raises(JournalMissingError, match="its files are gone"):
            start(made=False)
        assert not (tmp_path / NEW_JOURNAL).exists()
    start(made=False, accept_loss=True)
    (tmp_path / "checkpoint").touch()
    with pytest.raises(JournalMissingError):
        start(made=False)
