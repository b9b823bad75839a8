"""Writing a journal: what was appended stays over kills at any step, full disks and damage."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from casemate.journal.errors import JournalDamagedError, JournalInputError, JournalWriteError
from casemate.journal.reader import Reader
from casemate.journal.verifying import verify
from casemate.journal.writer import MAX_BATCH, Writer
from support.journal import KEY, PRIVATE, entry, write_journal


def entries_of(folder: Path) -> list[bytes]:
    reader = Reader(folder, KEY)
    found: list[bytes] = []
    for index in range(-(-reader.head.size // 256)):
        found += reader.entries(index)
    return found


@pytest.mark.parametrize("sizes", [[1], [256], [255, 256, 257], [10, 700, 1300], [66_000]])
def test_what_was_written_is_read_and_verifies(tmp_path: Path, sizes: list[int]) -> None:
    write_journal(tmp_path, sizes).close()
    assert entries_of(tmp_path) == [entry(n) for n in range(sizes[-1])]
    result = verify(tmp_path, KEY)
    assert (result.size, result.unsigned, result.findings) == (sizes[-1], 0, ())
    again = Writer(tmp_path, KEY)
    assert again.append([b"next"]) == sizes[-1], "it goes on, with full tiles of every level"
    again.checkpoint(PRIVATE.sign)
    again.close()
    assert verify(tmp_path, KEY).findings == ()


def test_a_journal_goes_on_where_it_ended(tmp_path: Path) -> None:
    write_journal(tmp_path, [300]).close()
    for size in (301, 512, 513, 1200):
        writer = Writer(tmp_path, KEY)
        assert writer.append([entry(n) for n in range(writer.size, size)]) < size
        assert writer.checkpoint(PRIVATE.sign).size == size
        writer.close()
    assert verify(tmp_path, KEY).findings == ()
    assert entries_of(tmp_path) == [entry(n) for n in range(1200)]


def test_entries_without_a_checkpoint_are_there_after_a_kill(tmp_path: Path) -> None:
    writer = write_journal(tmp_path, [300])
    writer.append([entry(n) for n in range(300, 900)])
    writer.close()  # no checkpoint: as a kill leaves it
    assert verify(tmp_path, KEY).unsigned == 600
    again = Writer(tmp_path, KEY)
    assert again.size == 900
    again.checkpoint(PRIVATE.sign)
    again.close()
    assert entries_of(tmp_path) == [entry(n) for n in range(900)]


class _Killed(BaseException):
    """Stands for the end of the process."""


CALLS = ("pwrite", "fdatasync", "write", "fsync", "open", "unlink", "replace")


def _fail_at(
    monkeypatch: pytest.MonkeyPatch, number: int, failure: Callable[[], BaseException]
) -> list[int]:
    """Have the `number`-th call that touches the disk fail; the list has how many were made."""
    count = [0]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            count[0] += 1
            if count[0] == number:
                raise failure()
            return real(*arguments, **named)

        return call

    for name in CALLS:
        if hasattr(os, name):
            monkeypatch.setattr(os, name, counted(getattr(os, name)))
    return count


def _work(folder: Path, told: list[int]) -> None:
    # Closing writes nothing: it stands for what a kill does to descriptors.
    with contextlib.closing(Writer(folder, KEY)) as writer:
        for _ in range(3):
            first = writer.size
            writer.append([entry(n) for n in range(first, first + 200)])
            told.append(writer.size)
            writer.checkpoint(PRIVATE.sign)


def left_by_it(folder: Path) -> Path:
    """Return the files that an ended writer has left: here its lock would still be held."""
    left = folder.with_suffix(".left")
    shutil.copytree(folder, left)
    return left


def test_a_kill_at_any_step_loses_nothing(tmp_path: Path) -> None:
    number = 0
    while True:
        number += 1
        folder = tmp_path / str(number)
        write_journal(folder, [100]).close()
        told = [100]
        with pytest.MonkeyPatch.context() as patch:
            count = _fail_at(patch, number, _Killed)
            with contextlib.suppress(_Killed):
                _work(folder, told)
        if count[0] < number:
            break  # more steps than there are
        folder = left_by_it(folder)
        again = Writer(folder, KEY)
        assert again.size >= told[-1], number
        again.append([entry(again.size)])
        again.checkpoint(PRIVATE.sign)
        size = again.size
        again.close()
        assert verify(folder, KEY).findings == (), number
        assert entries_of(folder) == [entry(n) for n in range(size)], number
    assert number > 30


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_at_any_step_loses_nothing(tmp_path: Path, code: int) -> None:
    number = 0
    while True:
        number += 1
        folder = tmp_path / str(number)
        write_journal(folder, [100]).close()
        told = [100]
        with pytest.MonkeyPatch.context() as patch:
            count = _fail_at(patch, number, lambda: OSError(code, os.strerror(code)))
            with contextlib.suppress(JournalWriteError, OSError):
                _work(folder, told)
        if count[0] < number:
            break
        folder = left_by_it(folder)
        again = Writer(folder, KEY)
        assert again.size >= told[-1], number
        again.checkpoint(PRIVATE.sign)
        again.close()
        assert verify(folder, KEY).findings == (), number


def test_after_a_full_disk_the_same_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = write_journal(tmp_path, [10])

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(JournalWriteError, match="No space left"):
            writer.append([b"not kept"])
    assert writer.append([entry(10)]) == 10
    writer.checkpoint(PRIVATE.sign)
    writer.close()
    assert entries_of(tmp_path) == [entry(n) for n in range(11)]


def test_after_a_failed_sync_nothing_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = write_journal(tmp_path, [10])

    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(JournalWriteError):
            writer.append([b"nobody knows"])
    with pytest.raises(JournalWriteError, match="Input/output error"):
        writer.append([b"refused"])
    writer.close()


def test_where_the_key_is_gone_entries_are_kept(tmp_path: Path) -> None:
    def refuse(_: bytes) -> bytes:
        raise RuntimeError("the vault is closed")

    writer = Writer(tmp_path, KEY)
    writer.append([entry(0)])
    with pytest.raises(RuntimeError):
        writer.checkpoint(refuse)
    writer.append([entry(1)])
    writer.close()
    again = Writer(tmp_path, KEY)
    assert again.checkpoint(PRIVATE.sign).size == 2
    again.close()


def test_too_much_is_refused_with_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(tmp_path, KEY)
    with pytest.raises(JournalInputError, match="65536 bytes"):
        writer.append([bytes(65_536)])
    with pytest.raises(JournalInputError, match=f"Got {MAX_BATCH + 1} entries"):
        writer.append([b""] * (MAX_BATCH + 1))
    monkeypatch.setattr("casemate.journal.writer.MAX_WAITING", 10)
    writer.append([b""] * 10)
    with pytest.raises(JournalWriteError, match="10 entries wait"):
        writer.append([b""])
    assert writer.append([]) == 10
    writer.close()


def test_a_journal_has_one_writer(tmp_path: Path) -> None:
    writer = Writer(tmp_path, KEY)
    with pytest.raises(JournalWriteError, match="Another process"):
        Writer(tmp_path, KEY)
    writer.close()
    writer.close()
    Writer(tmp_path, KEY).close()
    with pytest.raises(JournalWriteError, match="closed"):
        writer.append([b"late"])


def _tail(folder: Path, change: Callable[[bytearray], None]) -> None:
    file = folder / "pending"
    data = bytearray(file.read_bytes())
    change(data)
    file.write_bytes(data)


def test_a_cut_group_at_the_end_is_dropped(tmp_path: Path) -> None:
    writer = write_journal(tmp_path, [5])
    writer.append([entry(5), entry(6)])
    writer.close()
    _tail(tmp_path, lambda data: data.__delitem__(slice(-3, None)))
    again = Writer(tmp_path, KEY)
    assert again.size == 6
    again.append([entry(6)])
    again.checkpoint(PRIVATE.sign)
    again.close()
    assert entries_of(tmp_path) == [entry(n) for n in range(7)]


@pytest.mark.parametrize("at", [0, 20, 40, 45])
def test_a_change_in_the_middle_is_damage(tmp_path: Path, at: int) -> None:
    write_journal(tmp_path, [5]).close()
    _tail(tmp_path, lambda data: data.__setitem__(at, data[at] ^ 1))
    with pytest.raises(JournalDamagedError):
        Writer(tmp_path, KEY)


@pytest.mark.parametrize("name", ["checkpoint", "tile/0/000", "tile/0/001"])
def test_a_journal_that_lacks_a_file_is_not_gone_on_with(tmp_path: Path, name: str) -> None:
    write_journal(tmp_path, [600]).close()
    (tmp_path / name).unlink()
    with pytest.raises(JournalDamagedError):
        Writer(tmp_path, KEY)


def test_an_edited_tile_is_not_gone_on_with(tmp_path: Path) -> None:
    write_journal(tmp_path, [600]).close()
    file = tmp_path / "tile/0/001"
    file.write_bytes(bytes(32) + file.read_bytes()[32:])
    with pytest.raises(JournalDamagedError, match="not those that were signed"):
        Writer(tmp_path, KEY)
    # The writer that refused holds nothing.
    with pytest.raises(JournalDamagedError):
        Writer(tmp_path, KEY)


def test_entries_that_come_while_a_head_is_signed_are_of_the_next(tmp_path: Path) -> None:
    writer = write_journal(tmp_path, [200])
    writer.append([entry(n) for n in range(200, 250)])
    proposal = writer.propose()
    assert proposal is not None
    writer.append([entry(n) for n in range(250, 900)])
    assert writer.publish(proposal, proposal.head.signed(KEY, PRIVATE.sign)).size == 250
    assert entries_of(tmp_path) == [entry(n) for n in range(250)]
    assert verify(tmp_path, KEY).findings == ()
    assert verify(tmp_path, KEY).unsigned == 650
    assert writer.checkpoint(PRIVATE.sign).size == 900
    assert writer.propose() is None
    writer.close()
    assert verify(tmp_path, KEY).findings == ()
    assert entries_of(tmp_path) == [entry(n) for n in range(900)]


def test_what_a_killed_writer_left_in_the_kernel_is_durable_before_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be acknowledged when it is sent again, and gone if the power went then."""
    writer = write_journal(tmp_path / "j", [10])

    def killed(_descriptor: int) -> None:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", killed)
        with pytest.raises(_Killed):
            writer.append([entry(10)])
    synced: list[str] = []
    real = os.fdatasync

    def sync(descriptor: int) -> None:
        real(descriptor)
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(os, "fdatasync", sync)
    left = left_by_it(tmp_path / "j")
    again = Writer(left, KEY)
    assert (again.size, synced) == (11, [str(left / "pending")])
    again.close()
    writer.close()


def test_a_disk_that_cannot_make_it_durable_is_no_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_journal(tmp_path, [10]).close()
    before = set(os.listdir("/proc/self/fd"))

    def failing(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", failing)
    with pytest.raises(JournalWriteError, match="Input/output error"):
        Writer(tmp_path, KEY)
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_note_of_the_history_that_was_cut_is_no_finding_ever_after(tmp_path: Path) -> None:
    write_journal(tmp_path, [10, 20]).close()
    history = tmp_path / "checkpoints"
    whole = history.read_bytes()
    for cut in (len(whole) - 1, len(whole) - 40, len(whole) // 2 + 3):
        history.write_bytes(whole[:cut])
        writer = Writer(tmp_path, KEY)
        writer.append([entry(writer.size)])
        writer.checkpoint(PRIVATE.sign)
        writer.close()
        assert verify(tmp_path, KEY).findings == ()


def test_a_full_disk_leaves_no_half_note_in_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = write_journal(tmp_path, [10])
    real = os.pwrite
    left = [1]

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if "checkpoints" not in os.readlink(f"/proc/self/fd/{descriptor}"):
            return real(descriptor, data, offset)
        if not left.pop():
            raise OSError(errno.ENOSPC, "No space left on device")
        left.append(0)
        return real(descriptor, data[:30], offset)

    writer.append([entry(10)])
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(JournalWriteError, match="No space left"):
            writer.checkpoint(PRIVATE.sign)
    writer.append([entry(11)])
    writer.checkpoint(PRIVATE.sign)
    writer.close()
    assert verify(tmp_path, KEY).findings == ()


def test_a_sync_that_finds_no_room_is_no_full_disk_to_go_on_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quotas and late allocation say so of a sync; what is on disk is then as open as ever."""
    writer = write_journal(tmp_path, [300])

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        with pytest.raises(JournalWriteError, match="made durable"):
            writer.append([entry(300)])
    with pytest.raises(JournalWriteError, match="made durable"):
        writer.append([entry(300)])
    writer.close()
