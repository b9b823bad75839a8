"""A PostgreSQL for tests: one server in a run, on a socket, with a database for each test."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from support.servers import POSTGRES, reserved_port

_DURABLE_OFF = ("fsync=off", "full_page_writes=off")
_SMALL = ("shared_buffers=16MB", "max_connections=100", "max_wal_size=64MB", "autovacuum=off")


class Server:
    """A server of its own in a folder, whose superuser `test` needs no password."""

    def __init__(self, *settings: str) -> None:
        if not POSTGRES.is_dir():
            pytest.skip(f"there is no PostgreSQL in {POSTGRES}")
        # PostgreSQL does not run as root.
        self.is_root = os.geteuid() == 0
        self._as_user = {"user": "nobody"} if self.is_root else {}
        # Not below pytest's folder, which every run of it on this machine closes to others anew.
        self.folder = Path(tempfile.mkdtemp(prefix="casemate-postgresql-"))
        shutil.chown(self.folder, self._as_user.get("user", getpass.getuser()))
        self._settings = settings
        self.port = reserved_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._made = 0

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def make(self) -> None:
        """Make an empty cluster of databases."""
        subprocess.run(
            [
                *(POSTGRES / "initdb", "-D", self.data, "-A", "trust", "-U", "test"),
                *("--no-sync", "--no-instructions", "--wal-segsize=1", "--locale=C", "-E", "UTF8"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self._as_user,
        )

    def start(self) -> None:
        """Start and wait until it answers."""
        options = [word for each in (*_SMALL, *self._settings) for word in ("-c", each)]
        log = self.folder / "server.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(POSTGRES / "postgres", "-D", self.data, "-k", self.folder),
                    *("-p", str(self.port), "-c", "listen_addresses=127.0.0.1", *options),
                ],
                stderr=output,
                cwd=self.folder,
                **self._as_user,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.connect("postgres").close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    error.add_note(log.read_bytes()[-2000:].decode(errors="replace"))
                    raise
                time.sleep(0.02)

    def connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        """Return a connection of the superuser."""
        return psycopg.connect(
            host=str(self.folder), port=self.port, user="test", dbname=database, autocommit=True
        )

    def url(self, database: str) -> str:
        """Return what Casemate connects by."""
        return f"postgresql://test@:{self.port}/{database}?host={self.folder}"

    def database(self) -> str:
        """Make a database and return its name."""
        self._made += 1
        name = f"t{os.getpid()}_{self._made}"
        with self.connect("postgres") as connection:
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy"  # type: ignore[arg-type]
            )
        return name

    @contextlib.contextmanager
    def altered(self, **settings: str) -> Iterator[None]:
        """Have settings that a server takes while it runs be others."""
        try:
            with self.connect("postgres") as connection:
                for name, value in settings.items():
                    connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")  # type: ignore[arg-type]
                connection.execute("SELECT pg_reload_conf()")
                time.sleep(0.05)
            yield
        finally:
            with self.connect("postgres") as connection:
                connection.execute("ALTER SYSTEM RESET ALL")
                connection.execute("SELECT pg_reload_conf()")

    def give(self, name: str, content: bytes) -> Path:
        """Put a file into its folder, readable by itself alone."""
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        shutil.chown(path, self._as_user.get("user", getpass.getuser()))
        return path

    def signal(self, number: int) -> list[int]:
        """Send a signal to it and all that it has started; return whose numbers these were."""
        if self.process is None:
            raise RuntimeError("it does not run")
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        all_of_them = [pid, *map(int, children)]
        for one in all_of_them:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, number)
        return all_of_them

    def kill(self) -> None:
        """Kill it and all that it has started, at once."""
        killed = self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(20)
        while any(Path(f"/proc/{one}").exists() for one in killed):
            time.sleep(0.005)

    def end(self) -> None:
        """End it at once, and remove what it kept."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)  # at once, its children with it
            self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def server(*settings: str) -> Iterator[Server]:
    """Yield a server that forgets everything."""
    made = Server(*(settings or _DURABLE_OFF))
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """One server for all tests of a process, which keeps nothing for long."""
    with server() as made:
        yield made
