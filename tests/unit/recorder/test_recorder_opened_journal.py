"""Whatever is damaged of a journal: the refusal says what to do about it, and that works."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.journal.errors import JournalDamagedError
from casemate.recorder import opened_journal as opened_journal_module
from casemate.recorder.config import RESTORED
from casemate.recorder.opened_journal import OpenedJournal, opened_journal
from casemate.recorder.protocol import Take
from support.faults.keeping import SESSION, told
from support.journal import KEY, PRIVATE
from support.monitor import vault_key

ENTRIES = 300
"""More than a bundle: the rest is pending."""


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def fill(file: Path) -> None:
    file.write_bytes(b"half a ma")


async def opened(folder: Path, *, accept_loss: bool = False) -> OpenedJournal:
    folder.mkdir(exist_ok=True)
    return await opened_journal(folder, KEY, vault_key, accept_loss=accept_loss)


async def keep(journal: OpenedJournal, first: int, count: int) -> None:
    every = tuple(told(number, "fact") for number in range(first, first + count))
    await journal.keeper.keep([Take(1, SESSION, first, every)])
    journal.writer.checkpoint(PRIVATE.sign)


def state(folder: Path) -> dict[str, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


DAMAGE: list[tuple[str, Callable[[Path], None]]] = [
    *(("checkpoint", damage) for damage in (flip, empty, halve, os.unlink)),
    *(("pending", damage) for damage in (empty, fill)),
    *(("tile/0/000", damage) for damage in (empty, os.unlink)),
    *(("tile/entries/000", damage) for damage in (empty, os.unlink)),
    *(("keys", damage) for damage in (flip, empty, halve, os.unlink)),
    (RESTORED, fill),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE)
def test_damage_is_told_with_what_to_do_and_that_works(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    async def run() -> None:
        journal = await opened(tmp_path)
        await keep(journal, 0, ENTRIES)
        journal.writer.close()
        damage(tmp_path / name)
        before = state(tmp_path)
        with pytest.raises(JournalDamagedError) as caught:
            await opened(tmp_path)
        assert "casemate serve --accept-loss journal" in str(caught.value.next_step)
        assert str(caught.value).count("Next: ") == 1
        assert state(tmp_path) == before
        journal = await opened(tmp_path, accept_loss=True)
        await keep(journal, ENTRIES, 2)
        size = journal.writer.size
        assert size in (2, ENTRIES + 2)
        assert (size == 2) is (name not in ("keys", RESTORED)), "what can be proven is kept"
        journal.writer.close()
        kept = {path for at, path in before.items() if at != "lock"}
        assert kept <= set(state(tmp_path).values()) or size != 2, "nothing is deleted"
        journal = await opened(tmp_path)
        await keep(journal, ENTRIES + 2, 1)
        assert journal.writer.size == size + 1
        journal.writer.close()

    asyncio.run(run())


def test_a_kill_while_damage_is_set_aside_takes_nothing_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each rename: without the loss being accepted again it is still refused."""

    class KilledError(Exception):
        """Stands for the end of the process."""

    async def run(folder: Path, most: int) -> bool:
        journal = await opened(folder)
        await keep(journal, 0, ENTRIES)
        journal.writer.close()
        flip(folder / "checkpoint")
        left, rename = [most], Path.rename

        def renamed(path: Path, target: Path) -> Path:
            if path.parent == folder and not left[0]:
                raise KilledError
            left[0] -= path.parent == folder
            return rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(opened_journal_module.Path, "rename", renamed)
            try:
                (await opened(folder, accept_loss=True)).writer.close()
            except KilledError:
                pass
            else:
                return False
        with pytest.raises(JournalDamagedError):
            await opened(folder)
        journal = await opened(folder, accept_loss=True)
        await keep(journal, ENTRIES, 2)
        assert journal.writer.size == 2
        journal.writer.close()
        return True

    number = 0
    while asyncio.run(run(tmp_path / str(number), number)):
        number += 1
        assert number < 10
    assert number > 3
