"""The vault counts starts and backups, and signs a backup once it has counted it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from vault_samples import master_key, open_engine

from casemate.vault.errors import VaultInputError
from casemate.vault.state import DataKeyRecord

DIGEST = bytes(range(32))


class _RecordBefore(msgspec.Struct, frozen=True, array_like=True):
    """As the release before these counts reads and writes it."""

    project: str
    version: int
    created_at: float
    wrapped: bytes


def test_starts_are_kept_and_go_back_for_nobody(tmp_path: Path) -> None:
    master = master_key()
    engine = open_engine(tmp_path / "vault", master, create=True)
    assert engine.counts.starts() == 0
    engine.counts.keep_starts(3)
    engine.counts.keep_starts(3)
    with pytest.raises(VaultInputError, match="go back"):
        engine.counts.keep_starts(2)
    engine.rotate_data_keys("")
    assert engine.counts.starts() == 3
    engine.counts.keep_starts(4)
    engine.close()
    again = open_engine(tmp_path / "vault", master)
    assert again.counts.starts() == 4
    again.close()


def test_entries_are_kept_and_go_back_only_where_some_are_lost(tmp_path: Path) -> None:
    master = master_key()
    engine = open_engine(tmp_path / "vault", master, create=True)
    assert engine.counts.entries() == 0
    engine.counts.keep_entries(41, lost=False)
    engine.rotate_data_keys("")
    with pytest.raises(VaultInputError, match="go back"):
        engine.counts.keep_entries(40, lost=False)
    before = engine.status().generation
    engine.counts.keep_entries(41, lost=False)
    assert engine.status().generation == before
    assert engine.counts.entries() == 41
    engine.counts.keep_entries(12, lost=True)
    engine.close()
    again = open_engine(tmp_path / "vault", master)
    assert again.counts.entries() == 12
    again.close()


def test_a_start_that_is_known_writes_nothing(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "vault", master_key(), create=True)
    engine.counts.keep_starts(1)
    before = engine.status().generation
    engine.counts.keep_starts(1)
    assert engine.status().generation == before
    engine.close()


def test_a_backup_is_signed_once_it_is_counted_and_with_its_number(tmp_path: Path) -> None:
    master = master_key()
    engine = open_engine(tmp_path / "vault", master, create=True)
    with pytest.raises(VaultInputError):
        engine.sign_backup(1, DIGEST)
    assert [engine.counts.next_backup() for _ in range(3)] == [1, 2, 3]
    for number in (2, 4):
        with pytest.raises(VaultInputError):
            engine.sign_backup(number, DIGEST)
    signature = engine.sign_backup(3, DIGEST)
    engine.rotate_data_keys("")
    assert engine.counts.next_backup() == 4
    assert engine.verify_backup(3, DIGEST, signature)
    assert not engine.verify_backup(4, DIGEST, signature)
    assert not engine.verify_backup(3, DIGEST[::-1], signature)
    # Keys of one kind sign nothing of the other.
    assert not engine.verify_playbook((3).to_bytes(8, "big") + DIGEST, signature)
    engine.close()
    other = open_engine(tmp_path / "other", master_key(), create=True)
    other.counts.next_backup()
    assert not other.verify_backup(3, DIGEST, signature)
    other.close()


def test_the_release_before_reads_the_record_and_what_it_writes_is_read() -> None:
    record = DataKeyRecord("", 2, 7.0, b"wrapped", starts=9, backups=4)
    before = msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=_RecordBefore)
    assert before == _RecordBefore("", 2, 7.0, b"wrapped")
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(before), type=DataKeyRecord)
    assert (again.wrapped, again.starts, again.backups) == (b"wrapped", 0, 0)
