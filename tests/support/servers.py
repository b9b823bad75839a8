"""Real servers that functions speak to: PostgreSQL and Valkey, on free ports of loopback."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

POSTGRES = max(
    Path("/usr/lib/postgresql").glob("*/bin"),
    key=lambda folder: int(folder.parent.name),
    default=Path("/usr/lib/postgresql/none/bin"),
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for_port(port: int, seconds: float = 20) -> None:
    """Wait until a server listens on a port of loopback. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as sock:
            # Where nobody listens, a connection may come to be with itself: from that very port.
            if sock.getsockname() != sock.getpeername():
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


@contextlib.contextmanager
def _serving(server: subprocess.Popen[bytes], port: int) -> Iterator[None]:
    """Wait until a server listens; end it afterwards."""
    try:
        wait_for_port(port)
        yield
    finally:
        server.terminate()
        server.wait(20)


@contextlib.contextmanager
def postgresql() -> Iterator[int]:
    """Yield the port of a PostgreSQL whose superuser `test` needs no password."""
    if not POSTGRES.is_dir():
        pytest.skip(f"there is no PostgreSQL in {POSTGRES}")
    # PostgreSQL does not run as root.
    as_user = {"user": "nobody"} if os.geteuid() == 0 else {}
    # Not below pytest's folder, which every run of it on this machine closes to others anew.
    folder = Path(tempfile.mkdtemp(prefix="casemate-database-"))
    shutil.chown(folder, as_user.get("user", getpass.getuser()))
    data, port = folder / "data", free_port()
    try:
        subprocess.run(
            [POSTGRES / "initdb", "-D", data, "-A", "trust", "-U", "test", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            **as_user,
        )
        options = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"]
        server = subprocess.Popen(
            [POSTGRES / "postgres", "-D", data, "-p", str(port), "-k", folder, *options],
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **as_user,
        )
        with _serving(server, port):
            yield port
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def valkey(folder: Path) -> Iterator[int]:
    """Yield the port of a Valkey that keeps nothing."""
    command = shutil.which("valkey-server") or shutil.which("redis-server")
    if command is None:
        pytest.skip("there is no valkey-server")
    port = free_port()
    server = subprocess.Popen(
        [command, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL,
    )
    with _serving(server, port):
        yield port
