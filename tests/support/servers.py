"""Real servers that functions speak to: PostgreSQL and Valkey, on ports of their own."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

POSTGRES = max(
    Path("/usr/lib/postgresql").glob("*/bin"),
    key=lambda folder: int(folder.parent.name),
    default=Path("/usr/lib/postgresql/none/bin"),
)


def reserved_port() -> int:
    """Return a port of loopback for a server to listen on, now and after each restart.

    The socket that is bound to it stays open as long as this process lives, so that the kernel
    gives the port to no one who asks for any, nor to a connection. A server that sets SO_REUSEADDR
    gets it, as all do that are started again without a pause. Until then connections are refused.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = int(holder.getsockname()[1])
        holder.detach()
    return port


def wait_for_server(
    server: subprocess.Popen[bytes], port: int, log: Path, seconds: float = 20
) -> None:
    """Wait until a server listens on a port of loopback.

    Raises RuntimeError with what it has said once it has ended, or if that takes longer.
    """
    deadline = time.monotonic() + seconds
    while (code := server.poll()) is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    why = f"did not listen within {seconds} s" if code is None else f"has ended ({code})"
    said = log.read_bytes()[-2000:].decode(errors="replace")
    raise RuntimeError(f"the server of port {port} {why}; it said: {said}")


@contextlib.contextmanager
def serving(
    command: Sequence[str | Path], port: int, folder: Path, **options: str
) -> Iterator[None]:
    """Have a server run in a folder that listens on a port; end it afterwards."""
    log = folder / f"server-{port}.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, **options)
    try:
        wait_for_server(server, port, log)
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
    data, port = folder / "data", reserved_port()
    try:
        subprocess.run(
            [POSTGRES / "initdb", "-D", data, "-A", "trust", "-U", "test", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            **as_user,
        )
        options = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"]
        command = [POSTGRES / "postgres", "-D", data, "-p", str(port), "-k", folder, *options]
        with serving(command, port, folder, **as_user):
            yield port
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def valkey(folder: Path) -> Iterator[int]:
    """Yield the port of a Valkey that keeps nothing."""
    command = shutil.which("valkey-server") or shutil.which("redis-server")
    if command is None:
        pytest.skip("there is no valkey-server")
    port = reserved_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    with serving([command, *options], port, folder):
        yield port
