"""A journal that was put back says so, once, and explains by it what a later head tells."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec
import pytest

from casemate.journal import verify
from casemate.journal.checkpoint import opened_checkpoint
from casemate.journal.errors import JournalDamagedError
from casemate.model.facts import SignedIn
from casemate.recorder import restored
from casemate.recorder.config import RESTORED
from casemate.recorder.protocol import Query
from support.journal import KEY, PRIVATE
from support.monitor import Journal

MARK = restored.Mark(made_at=7.0, entries=3, archive="a" * 64)


def signed_in(number: int) -> SignedIn:
    return SignedIn(at=float(number), by="user:ada", method="password")


async def put_back(folder: Path, mark: bytes) -> Journal:
    """Open a journal as the recorder does, that has the mark of a restore."""
    (folder / RESTORED).write_bytes(mark)
    journal = Journal(folder)
    await journal.keys.load()
    journal.loaded = True
    journal.keeper.remember(journal.writer.newest())
    await restored.say(folder, journal.keeper)
    return journal


def test_the_next_entry_says_so_once_whenever_the_recorder_is_killed(tmp_path: Path) -> None:
    async def run() -> None:
        first = Journal(tmp_path / "j")
        await first.keep(*map(signed_in, range(3)))
        first.writer.checkpoint(PRIVATE.sign)
        first.close()
        for _ in range(3):
            # Killed before the mark is gone, it does the same again.
            journal = await put_back(tmp_path / "j", msgspec.json.encode(MARK))
            assert journal.writer.size == 4 and not (tmp_path / "j" / RESTORED).exists()
            found = await journal.search.find(Query(contains=('"JournalRestored"',)))
            (told,) = found.entries
            event = msgspec.json.decode(told.event)
            assert event["unmapped"] == {"made_at": 7.0, "entries": 3, "archive": "a" * 64}
            assert (told.index, event["severity_id"]) == (3, 4)
            journal.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "mark",
    [b"", b"{}", b"x" * 10_000, b'{"made_at":1,"entries":-1,"archive":"' + b"a" * 64 + b'"}'],
)
def test_a_mark_that_no_restore_leaves_is_refused(tmp_path: Path, mark: bytes) -> None:
    with pytest.raises(JournalDamagedError):
        asyncio.run(put_back(make(tmp_path), mark))


def make(tmp_path: Path) -> Path:
    folder = tmp_path / "j"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("after", [0, 2, 30])
def test_a_later_head_tells_of_a_rollback_with_what_the_journal_says(
    tmp_path: Path, after: int
) -> None:
    async def run() -> None:
        folder, backup = tmp_path / "j", tmp_path / "backup"
        journal = Journal(folder)
        await journal.keep(*map(signed_in, range(3)))
        journal.writer.checkpoint(PRIVATE.sign)
        shutil.copytree(folder, backup)
        await journal.keep(*map(signed_in, range(10)))
        journal.writer.checkpoint(PRIVATE.sign)
        sent = opened_checkpoint((folder / "checkpoint").read_text(), KEY)
        journal.close()
        again = await put_back(backup, msgspec.json.encode(MARK))
        if after:
            await again.keep(*map(signed_in, range(after)))
        again.writer.checkpoint(PRIVATE.sign)
        plain = verify(backup, KEY, [sent])
        told = await restored.explained(plain, again.search)
        assert len(told.findings) == len(plain.findings) == 1, "it stays a finding"
        assert told.findings[0].kind == ("rewritten" if after == 30 else "rolled back")
        assert "entry 3 says that a backup of 3 entries was put back" in told.findings[0].text
        again.close()
        # Who rolls back by other means has no such entry.
        other = Journal(shutil.copytree(folder, tmp_path / "other"))
        await other.keys.load()
        assert await restored.explained(plain, other.search) == plain
        other.close()

    asyncio.run(run())
