"""The recorder process: `python -m casemate.recorder.process CONFIG`, started by the supervisor.

It opens its folder with the rights it was started with, gives up every right, and then serves the
gateway whose connection it is passed. It ends with that, or when the vault is gone.
"""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import uvloop

from casemate.child.calls import refusal
from casemate.child.channel import FrameSocket
from casemate.child.collecting import spare_collections
from casemate.child.log import report
from casemate.child.process import Supervised, main
from casemate.child.protocol import admit
from casemate.journal.errors import JournalWriteError
from casemate.journal.files import CHECKPOINT, HISTORY, PENDING, write_whole
from casemate.journal.note import NoteKey
from casemate.model.errors import CasemateError
from casemate.recorder import protocol
from casemate.recorder.config import NEW_JOURNAL, RecorderConfig
from casemate.recorder.confinement import RECORDER
from casemate.recorder.errors import JournalMissingError
from casemate.recorder.opened_journal import opened_journal
from casemate.recorder.reading_protocol import READER
from casemate.recorder.records_server import RecordsServer
from casemate.recorder.sealing import EntryKey
from casemate.recorder.server import Recorder
from casemate.set_clock import believe
from casemate.sqlite import engine
from casemate.vault.interface import JournalKey
from casemate.vault.recorder_client import RecorderVault

_HERE = Path()
_LINGER_SECONDS = 0.2


def _warm_up() -> None:
    """Have everything loaded that would be read from files on first use."""
    key = EntryKey("", 1, bytes(32))
    key.open(key.seal(bytes(8), 0, b"{}"))
    engine.warm_up()
    protocol.ERRORS.failure(JournalMissingError())


def _begin_first() -> bool:
    """Mark a folder in which there is nothing of a journal, before the vault makes a key for one.

    A first start that is killed between that and the journal's first file finds the mark again.
    Raises JournalWriteError.
    """
    if any((_HERE / name).exists() for name in (PENDING, CHECKPOINT, HISTORY, NEW_JOURNAL)):
        return False
    try:
        write_whole(_HERE / NEW_JOURNAL, b"", durable=True)
    except OSError as error:
        raise JournalWriteError(f"No journal can be begun: {error.strerror}.") from error
    return True


def _require_journal(key: JournalKey, *, begun: bool, accept_loss: bool) -> None:
    """Raise JournalMissingError where there has to be a journal and is none.

    `begun`: this start has found nothing, and marked it; there was one if there is a key of it.
    """
    if begun and not key.made:
        (_HERE / NEW_JOURNAL).unlink()
    expected = key.made or accept_loss or (_HERE / NEW_JOURNAL).exists()
    if expected or (_HERE / PENDING).exists():
        return
    raise JournalMissingError(
        "The node had a journal, and its files are gone.",
        next_step="Put the folder journal/ back, or continue without its entries: "
        "casemate serve --accept-loss journal",
    )


async def _opened(config: RecorderConfig, vault: RecorderVault) -> Recorder:
    begun = _begin_first()
    key = await vault.journal_key()
    _require_journal(key, begun=begun, accept_loss=config.accept_loss)
    note_key = NoteKey(key.name, key.public)
    opened = await opened_journal(_HERE, note_key, vault.entry_key, accept_loss=config.accept_loss)
    records = await RecordsServer.open(_HERE, vault, accept_loss=config.accept_records_loss)
    recorder = Recorder(
        _HERE,
        opened.writer,
        note_key,
        opened.keys,
        opened.keeper,
        vault,
        records,
        restored=opened.restored,
        lends_records=config.lends_records,
        memories=config.memories,
    )
    await recorder.begin()
    return recorder


async def _refuse(sock: socket.socket, error: CasemateError) -> None:
    """Tell the gateway at its first request why there is no recorder."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()

    def received(body: bytes) -> None:
        number = protocol.decode_request(body).n
        connection.send(refusal(number, protocol.ERRORS.failure(error)))
        told.set()

    connection = FrameSocket(
        sock, loop, protocol.ANSWERING, received=received, ended=lambda _why: told.set()
    )
    await told.wait()
    await asyncio.sleep(_LINGER_SECONDS)
    connection.close()


async def _serve(config: RecorderConfig, supervised: Supervised, sock: socket.socket) -> int:
    loop = asyncio.get_running_loop()
    supervised.heart.beat_in(loop)
    vault = RecorderVault(socket.socket(fileno=config.vault), loop)
    try:
        recorder = await _opened(config, vault)
    except CasemateError as error:
        report("recorder", str(error))
        await _refuse(sock, error)
        return 1
    admit(
        supervised.control,
        frozenset({READER}),
        lambda _kind, sock: recorder.readers.accept(sock),
        ended=lambda: None,  # the gateway's end is ours as well
    )
    spare_collections()
    await recorder.serve(sock)
    return 0


def run(config: RecorderConfig) -> int:
    """Serve until the gateway is gone; return the exit code."""
    believe(config.clock)
    supervised = Supervised(config)
    descriptor = os.open(config.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    # From here on the folder is the working directory: the recorder's user may not be able to
    # walk to it by its path.
    os.fchdir(descriptor)
    _warm_up()
    held = supervised.confine(RECORDER, folder=descriptor)
    supervised.ready(held)
    return uvloop.run(_serve(config, supervised, supervised.connection()))


if __name__ == "__main__":
    main("recorder", RecorderConfig, run)
