"""What nodes share: a PostgreSQL of the distribution, and an S3-compatible server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.demo_cluster.errors import DemoError

ROOT = Path(__file__).resolve().parents[2]
_S3 = ROOT / "tests/support/s3"
_SECONDS = 30
_USER = "nobody"
"""PostgreSQL does not run as root."""


def postgresql_programs() -> Path:
    """Return the folder of the newest PostgreSQL here. Raises DemoError."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: int(one.parts[-3])
    )
    if not found:
        raise DemoError("There is no PostgreSQL here. Next: apt-get install postgresql")
    return found[-1].parent


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Run a server on a socket in a folder; yield its URL. Every commit reaches the disk."""
    programs = postgresql_programs()
    home = folder / "postgresql"
    home.mkdir(mode=0o755)
    is_root = os.geteuid() == 0
    if is_root:
        shutil.chown(home, _USER)
    user = _USER if is_root else None
    made = subprocess.run(
        [
            *(str(programs / "initdb"), "-D", str(home / "data"), "-A", "trust", "-U", "casemate"),
            *("--no-instructions", "--locale=C", "-E", "UTF8"),
        ],
        user=user,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise DemoError(f"initdb failed: {made.stderr.strip()[-500:]}")
    command = [str(programs / "postgres"), "-D", str(home / "data"), "-k", str(home)]
    command += ["-c", "listen_addresses=", "-c", "max_connections=200"]
    with (folder / "postgresql.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            user=user,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_for_database(programs, home, server)
        yield f"postgresql://casemate@/casemate?host={home}"
    finally:
        server.terminate()  # ends connections once they are idle
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for_database(programs: Path, home: Path, server: subprocess.Popen[bytes]) -> None:
    command = [str(programs / "createdb"), "-h", str(home), "-U", "casemate"]
    command += ["-T", "template0", "casemate"]
    end = time.monotonic() + _SECONDS
    while subprocess.run(command, cwd=home, capture_output=True, check=False).returncode:
        if server.poll() is not None or time.monotonic() > end:
            raise DemoError(f"PostgreSQL did not start: see {home.parent / 'postgresql.log'}")
        time.sleep(0.1)


@contextmanager
def object_store(folder: Path, address: str) -> Iterator[str]:
    """Run an S3-compatible server on a free port of an address; yield the URL of its bucket."""
    if not (_S3 / "node_modules/s3rver").is_dir():
        raise DemoError("There is no S3-compatible server here. Next: scripts/bootstrap test")
    (folder / "objects").mkdir()
    server = subprocess.Popen(
        ["node", str(_S3 / "server.mjs"), str(folder / "objects"), address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
        start_new_session=True,
    )
    try:
        line = server.stdout.readline() if server.stdout is not None else ""
        if not line:
            raise DemoError("The S3-compatible server did not start; it needs Node.js 20 or newer.")
        port = json.loads(line)["port"]
        yield f"s3://uploads/demo?endpoint=http://{address}:{port}&region=us-east-1"
    finally:
        server.kill()
        server.wait()
