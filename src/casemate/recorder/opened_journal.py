"""Going on with a folder's journal, or with another once the damage of that one is accepted."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from casemate.journal.copying import KEYS
from casemate.journal.errors import JournalDamagedError
from casemate.journal.files import CHECKPOINT, PENDING
from casemate.journal.note import NoteKey
from casemate.journal.writer import Writer
from casemate.recorder import restored
from casemate.recorder.config import NEW_JOURNAL, RESTORED
from casemate.recorder.keeper import GetKey, Keeper, KeyRing
from casemate.recorder.noted import Noted
from casemate.recorder.records.opening import FOLDER
from casemate.recorder.told_events import KINDS

_ASIDE = "damaged-"
_NEXT = (
    "Put the folder journal/ back as it was. To continue without the damaged data, which is kept "
    "aside: casemate serve --accept-loss journal"
)


class OpenedJournal(NamedTuple):
    """A journal that goes on."""

    writer: Writer
    keys: KeyRing
    keeper: Keeper
    restored: bool
    """It came out of a backup, and says so from now on."""


async def opened_journal(
    folder: Path, key: NoteKey, get_key: GetKey, *, accept_loss: bool
) -> OpenedJournal:
    """Go on with the journal in a folder. With `accept_loss`, damaged files are kept aside.

    Raises JournalDamagedError, JournalWriteError, VaultError.
    """
    try:
        return await _opened(folder, key, get_key, accept_loss=accept_loss)
    except JournalDamagedError as error:
        raise JournalDamagedError(error.message, next_step=_NEXT) from error


async def _opened(
    folder: Path, key: NoteKey, get_key: GetKey, *, accept_loss: bool
) -> OpenedJournal:
    writer, newest = _writer(folder, key, accept_loss=accept_loss)
    try:
        keys = KeyRing(folder, get_key)
        try:
            await keys.load(expected=writer.size > 0)
        except JournalDamagedError:
            if not accept_loss:
                raise
            # The journal stays what can be proven, and what was written so far cannot be read.
            _set_aside(folder, (KEYS,))
            await keys.load()
        keeper = Keeper(writer, keys, Noted(KINDS, writer.size))
        keeper.remember(newest)
        (folder / NEW_JOURNAL).unlink(missing_ok=True)
        said = False
        try:
            said = await restored.say(folder, keeper)
        except JournalDamagedError:
            if not accept_loss:
                raise
            _set_aside(folder, (RESTORED,))
    except BaseException:
        writer.close()
        raise
    return OpenedJournal(writer, keys, keeper, said)


def _writer(folder: Path, key: NoteKey, *, accept_loss: bool) -> tuple[Writer, list[bytes]]:
    """Return what writes the journal, and its newest entries."""
    try:
        return _readable(folder, key)
    except JournalDamagedError:
        if not accept_loss:
            raise
    found = [entry.name for entry in folder.iterdir() if not entry.name.startswith(_ASIDE)]
    names = [name for name in found if name not in (KEYS, FOLDER)]
    # Those without which the rest is damaged go last: a kill in between leaves it so.
    _set_aside(folder, sorted(names, key=(CHECKPOINT, PENDING).__contains__))
    return _readable(folder, key)


def _readable(folder: Path, key: NoteKey) -> tuple[Writer, list[bytes]]:
    writer = Writer(folder, key)
    try:
        return writer, writer.newest()
    except BaseException:
        writer.close()
        raise


def _set_aside(folder: Path, names: Iterable[str]) -> None:
    """Keep files for examination, and nothing of them in the way."""
    aside = folder / f"{_ASIDE}{int(time.time())}"
    aside.mkdir(mode=0o700, exist_ok=True)
    for name in names:
        with suppress(FileNotFoundError):
            (folder / name).rename(aside / name)
