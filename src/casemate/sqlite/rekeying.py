"""Encrypting a database with another key while its owner goes on: readers and writer wait."""

from __future__ import annotations

import threading
from concurrent.futures import Executor
from typing import Any

from casemate.sqlite import engine
from casemate.sqlite.connections import Connections
from casemate.sqlite.copying import change_key
from casemate.sqlite.writer import Writer


def rekey(connections: Connections, writer: Writer[Any], reads: Executor, new_key: bytes) -> bool:
    """Encrypt the database with another key, page by page in one transaction. Blocks.

    `reads` has the one thread that reads. After a crash the database has the one key or the other,
    never both; False: it still has the old one. Raises an error of the connections' family.
    """
    resume = threading.Event()
    try:
        _pause(connections, writer, reads, resume)
        if not change_key(connections.path, connections.key, new_key, connections.family):
            return False
        connections.change_key(new_key)
        return True
    finally:
        resume.set()


def _pause(
    connections: Connections, writer: Writer[Any], reads: Executor, resume: threading.Event
) -> None:
    """Return once the writer and the reader have no connection, until `resume` is set."""
    writer_paused, reader_paused = threading.Event(), threading.Event()

    def stop_writing(connection: engine.Connection) -> tuple[None, None]:
        connections.end(connection)
        writer_paused.set()
        resume.wait()
        return None, None

    def stop_reading() -> None:
        connections.close_readers()
        reader_paused.set()
        resume.wait()

    writer.enqueue_job(stop_writing)
    reads.submit(stop_reading)
    writer_paused.wait()
    reader_paused.wait()
