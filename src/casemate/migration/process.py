"""The process that moves the state of a node that has stopped: `... process CONFIG`.

It has the rights of a gateway, no more, and asks the vault for keys as a gateway does. Where the
database and the object store are its environment says. Whatever ends it, the next one goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import msgspec

from casemate.blobs import Blobs, S3Store, credentials_of, parse_s3_url
from casemate.blobs.s3_client import S3Client
from casemate.blobs.s3_url import PLAINTEXT
from casemate.child.gateway_confinement import confine
from casemate.decoding import decodable
from casemate.folder.folders import Folders
from casemate.migration.errors import MigrationError
from casemate.migration.postgresql_place import PostgresqlSource, PostgresqlTarget
from casemate.migration.sequence import Move, Outcome
from casemate.migration.sqlite_place import SqliteSource, SqliteTarget
from casemate.model.errors import CasemateError
from casemate.model.processes import OBJECTS_VARIABLE, STORE_VARIABLE
from casemate.postgresql.settings import Settings
from casemate.vault import VaultClient
from casemate.vault.interface import DataKey, Purpose
from casemate.vault.key_material import take_variable

_SHOW_SECONDS = 0.5


class MoveConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is told."""

    data: str
    shown: str
    """How people call the data folder."""
    back: bool
    """Whether the folder is where the state goes."""
    vault: int
    """Descriptor of the socket to the vault."""
    uid: int | None
    unproved: bool
    """Whether servers may be spoken to without TLS that proves them."""


class MoveLine(msgspec.Struct, frozen=True, kw_only=True):
    """What it writes to its standard output, a line each: how far it is, its end, or why not."""

    doing: str = ""
    rows: int = 0
    bytes: int = 0
    outcome: Outcome | None = None
    error: str = ""
    next_step: str | None = None


def _say(line: MoveLine) -> None:
    print(msgspec.json.encode(line).decode(), flush=True)


def _ended(line: MoveLine) -> int:
    """Say how it ended, if somebody hears it still; return the exit code."""
    with suppress(BrokenPipeError):
        _say(line)
    return 1 if line.error else 0


class _Shown:
    """Says how far it is, now and then."""

    def __init__(self) -> None:
        self._doing = ""
        self._rows = 0
        self._bytes = 0
        self._next = 0.0

    def rows(self, doing: str, rows: int) -> None:
        if doing != self._doing:
            self._bytes = 0
        self._doing, self._rows = doing, rows
        self._tell()

    def bytes(self, count: int) -> None:
        self._bytes += count
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _SHOW_SECONDS
            _say(MoveLine(doing=self._doing, rows=self._rows, bytes=self._bytes))


class _Keys:
    """Asks the vault, from a thread beside its loop."""

    def __init__(self, vault: VaultClient, loop: asyncio.AbstractEventLoop) -> None:
        self._vault = vault
        self._loop = loop

    def __call__(self, project: str, purpose: Purpose, version: int | None) -> DataKey:
        asked = self._vault.data_key(project, purpose, version)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result()


def _move(config: MoveConfig, cluster: str, keys: _Keys) -> Outcome:
    shown = _Shown()
    folders = Folders(Path(config.data))
    settings = Settings.of_url(
        take_variable(STORE_VARIABLE).decode(), weak_tls_accepted=config.unproved
    )
    url = parse_s3_url(
        take_variable(OBJECTS_VARIABLE).decode(),
        frozenset({PLAINTEXT} if config.unproved else ()),
    )
    with ExitStack() as opened:
        objects = S3Store(S3Client(url, credentials_of(os.environ)), cluster)
        opened.callback(objects.close)

        def blobs(kind: str) -> Blobs:
            return objects.blobs(kind)

        def clear(kind: str) -> None:
            objects.delete_now(f"{kind}/")

        server = (settings, cluster, blobs)
        if config.back:
            target = opened.enter_context(
                closing(SqliteTarget(folders, keys, shown.bytes, place=config.shown))
            )
            source = PostgresqlSource(*server, keys, shown.bytes, resumes=target.resumes)
            return Move(opened.enter_context(closing(source)), target, keys, shown.rows).run()
        there = opened.enter_context(closing(PostgresqlTarget(*server, clear, keys, shown.bytes)))
        here = opened.enter_context(
            closing(SqliteSource(folders, keys, shown.bytes, place=config.shown, to=there.place))
        )
        if here.is_moved and there.is_open:
            raise MigrationError(
                f"The state of {here.place} was moved to {there.place} already, all of it.",
                next_step="Start nodes with --store and --objects.",
            )
        return Move(here, there, keys, shown.rows).run()


async def _run(config: MoveConfig) -> Outcome:
    loop = asyncio.get_running_loop()
    vault = VaultClient(socket.socket(fileno=config.vault), loop)
    try:
        cluster = (await vault.status()).vault
        return await asyncio.to_thread(_move, config, cluster, _Keys(vault, loop))
    finally:
        vault.close()


def main() -> int:
    """Move; return the process's exit code."""
    config = msgspec.json.decode(sys.argv[1], type=decodable(MoveConfig))
    logging.basicConfig(level=logging.CRITICAL)
    # At once: what has been moved so far is gone on with, and a thread cannot be ended.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        confine(config.uid)
        outcome = asyncio.run(_run(config))
    except CasemateError as error:
        return _ended(MoveLine(error=error.message, next_step=error.next_step))
    except OSError as error:
        return _ended(MoveLine(error=f"The state cannot be moved: {error.strerror or error}."))
    except Exception as error:  # noqa: BLE001 - a database may hold anything, constraints or not
        what = type(error).__name__
        return _ended(
            MoveLine(
                error=f"The state cannot be moved: it holds what no node has written ({what}). "
                "No node starts where it went.",
                next_step="Look into who changed the database beside the nodes, restore it from a "
                "backup, and move again.",
            )
        )
    return _ended(MoveLine(outcome=outcome))


if __name__ == "__main__":
    sys.exit(main())
