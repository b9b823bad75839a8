"""A second server with the first one's data, made by hand, to be promoted or left behind."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from support.database import Server


def copied(server: Server, *settings: str) -> Server:
    """Return another server with what one that does not run has."""
    made = Server(*settings)
    _copy(server.data, made.data)
    return made


def restored(server: Server, backup: Path) -> None:
    """Put a backup in the place of what a server that does not run has."""
    shutil.rmtree(server.data)
    _copy(backup, server.data)


def backed_up(server: Server) -> Path:
    """Return a copy of what a server that does not run has."""
    backup = server.folder / "backup"
    _copy(server.data, backup)
    return backup


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", source, target], check=True)


def stop(server: Server) -> None:
    """End a server in order, with all that it has written."""
    if server.process is not None and server.process.poll() is None:
        server.process.send_signal(signal.SIGINT)  # what is connected is ended
        server.process.wait(20)


def follow(server: Server, primary: Server) -> None:
    """Start a server as the standby of another, which runs."""
    (server.data / "standby.signal").touch()
    conninfo = f"host={primary.folder} port={primary.port} user=test"
    with (server.data / "postgresql.auto.conf").open("a") as file:
        file.write(f"primary_conninfo = '{conninfo}'\n")
    server.start()


def leave(server: Server) -> None:
    """Have a standby follow nobody any more."""
    with server.connect("postgres") as connection:
        connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
        connection.execute("SELECT pg_reload_conf()")
        _until(connection, "SELECT count(*) = 0 FROM pg_stat_wal_receiver")


def promote(server: Server) -> None:
    """Make a standby a primary, on a timeline of its own."""
    with server.connect("postgres") as connection:
        connection.execute("SELECT pg_promote(true, 30)")


def catch_up(server: Server, primary: Server) -> None:
    """Wait until a standby has all that its primary has written."""
    with primary.connect("postgres") as connection:
        row = connection.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
    with server.connect("postgres") as connection:
        _until(connection, f"SELECT pg_last_wal_replay_lsn() >= '{row[0]}'")  # type: ignore[index]


def _until(connection: object, question: str) -> None:
    deadline = time.monotonic() + 20
    while connection.execute(question).fetchone() != (True,):  # type: ignore[attr-defined]
        if time.monotonic() > deadline:
            raise TimeoutError(question)
        time.sleep(0.02)


@contextlib.contextmanager
def pair() -> Iterator[tuple[Server, Server]]:
    """Yield a primary and its standby, which it does not wait for."""
    first = Server("fsync=off")
    second: Server | None = None
    try:
        first.make()
        second = copied(first, "fsync=off")
        first.start()
        follow(second, first)
        yield first, second
    finally:
        first.end()
        if second is not None:
            second.end()
