"""Measure the data of a project on PostgreSQL with two synchronous standbys, beside SQLite.

    python -m bench.cluster [--json] [--quick] [--seconds S] [--rounds N] [--folder DIR]

Makes three servers on this machine and takes turns: SQLite; the primary alone; a commit that waits
for any one standby; one that waits for both. All share these cores and this disk, so what counts is
how they compare. No node and no HTTP: the data alone, as the gateway uses it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg

from bench.engines import key, measure
from bench.errors import BenchError
from casemate.data import SqliteProjectData
from casemate.data.files import folders_below
from casemate.data.interface import ProjectData
from casemate.data.postgresql import PostgresqlProjectData
from casemate.data.postgresql.databases import Cluster
from casemate.data.terms import Holder
from casemate.postgresql.settings import Settings

STANDBYS: Final = ("standby_one", "standby_two")
WAITS: Final = {
    "alone": "",
    "any one standby": "ANY 1 (standby_one, standby_two)",
    "both standbys": "FIRST 2 (standby_one, standby_two)",
}
"""What a commit waits for beside the primary's own disk."""
_USER: Final = "bench"
_START_SECONDS: Final = 60.0


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4]))
    if not found:
        raise BenchError("PostgreSQL's server is not in /usr/lib/postgresql: install it")
    return found[-1].parent


class Servers:
    """A primary and its standbys, which nobody but this process reaches: on sockets alone."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, which the servers' user may enter."""
        self._folder = folder
        self._programs = _programs()
        # PostgreSQL does not run as root.
        self._as_user: dict[str, Any] = {"user": "nobody"} if os.geteuid() == 0 else {}
        shutil.chown(folder, self._as_user.get("user", getpass.getuser()))
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Make and start them; return once both standbys stream."""
        initdb = (self._programs / "initdb", "-A", "trust", "-U", _USER, "-E", "UTF8")
        self._do(*initdb, "--locale=C", "--no-instructions", "-D", self._folder / "primary")
        self._run("primary", "synchronous_standby_names=")
        for name in STANDBYS:
            source = f"host={self._folder} port={self.port('primary')} user={_USER}"
            copy = (self._programs / "pg_basebackup", "-R", "--checkpoint=fast", "-d")
            self._do(*copy, f"{source} application_name={name}", "-D", self._folder / name)
            self._run(name, f"primary_conninfo={source} application_name={name}")
        deadline = time.monotonic() + _START_SECONDS
        while self.ask("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") != 2:
            if time.monotonic() > deadline:
                raise BenchError("the standbys do not stream from the primary")
            time.sleep(0.1)

    def port(self, name: str) -> int:
        """Return the number in the name of a server's socket."""
        return 5500 + ("primary", *STANDBYS).index(name)

    def ask(self, statement: str) -> Any:
        """Do a statement on the primary, as its superuser; return the first value, if any."""
        with psycopg.connect(
            host=str(self._folder),
            port=self.port("primary"),
            user=_USER,
            dbname="postgres",
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def wait_for(self, names: str) -> None:
        """Have commits wait for these standbys from now on."""
        self.ask(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.ask("SELECT pg_reload_conf()")
        deadline = time.monotonic() + _START_SECONDS
        while self.ask("SELECT current_setting('synchronous_standby_names')") != names:
            if time.monotonic() > deadline:
                raise BenchError("the primary does not take its new settings")
            time.sleep(0.05)

    def database(self) -> str:
        """Make an empty database; return what Casemate connects by."""
        name = f"bench_{secrets.token_hex(4)}"
        self.ask(f"CREATE DATABASE {name} TEMPLATE template0")
        return f"postgresql://{_USER}@:{self.port('primary')}/{name}?host={self._folder}"

    def stop(self) -> None:
        """End all of them."""
        for process in reversed(self._running):
            process.terminate()
        for process in reversed(self._running):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            if process.poll() is None:
                process.kill()
                process.wait()

    def _do(self, *command: str | Path) -> None:
        done = subprocess.run(command, cwd=self._folder, capture_output=True, **self._as_user)
        if done.returncode:
            raise BenchError(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-300:]}")

    def _run(self, name: str, *settings: str) -> None:
        wanted = ("listen_addresses=", "shared_buffers=128MB", "max_wal_size=2GB", *settings)
        options = [word for setting in wanted if setting for word in ("-c", setting)]
        if name == "primary":
            # Said by ALTER SYSTEM later on, which a command line would win over.
            options = options[:-2]
        place = ("-D", self._folder / name, "-k", self._folder, "-p", str(self.port(name)))
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [self._programs / "postgres", *place, *options],
                cwd=self._folder,
                stderr=log,
                stdout=log,
                **self._as_user,
            )
        self._running.append(process)
        ready = (self._programs / "pg_isready", "-q", "-h", self._folder, "-p")
        deadline = time.monotonic() + _START_SECONDS
        while subprocess.run([*ready, str(self.port(name))]).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"the server {name} does not start")
            time.sleep(0.1)


@contextlib.contextmanager
def servers(parent: Path | None) -> Iterator[Servers]:
    """Yield three servers below a folder, by default /var/tmp."""
    with tempfile.TemporaryDirectory(prefix="cmcl-", dir=parent or Path("/var/tmp")) as folder:
        made = Servers(Path(folder))
        try:
            made.start()
            yield made
        finally:
            made.stop()


async def run(made: Servers, folder: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """Measure all of them in turns; return the medians."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in ("sqlite", *WAITS)}
    for number in range(rounds):
        taken["sqlite"].append(
            await _measured(SqliteProjectData(folder / f"data{number}", key), seconds)
        )
        for name, waits in WAITS.items():
            made.wait_for(waits)
            cluster = Cluster(
                Settings.of_url(made.database()), "bench", Holder("bench", secrets.token_hex(4))
            )
            objects = folders_below(folder / "objects")
            data = await PostgresqlProjectData.open(cluster, objects, key)
            taken[name].append(await _measured(data, seconds))
    return {
        name: {what: statistics.median(one[what] for one in all_) for what in all_[0]}
        for name, all_ in taken.items()
    }


async def _measured(data: ProjectData, seconds: float) -> dict[str, float]:
    try:
        return await measure(data, seconds)
    finally:
        await data.close()


def table(found: dict[str, dict[str, float]]) -> str:
    """Return the figures as lines of text."""
    what = list(next(iter(found.values())))
    lines = [f"{'':18}" + "".join(f"{name:>18}" for name in found)]
    for one in what:
        lines.append(f"{one:18}" + "".join(f"{each[one]:>18,.2f}" for each in found.values()))
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    grammar = argparse.ArgumentParser(prog="python -m bench.cluster")
    grammar.add_argument("--json", action="store_true", help="print JSON instead of a table")
    grammar.add_argument("--quick", action="store_true", help="one round of a second each")
    grammar.add_argument("--seconds", type=float, default=3.0, help="length of each measurement")
    grammar.add_argument("--rounds", type=int, default=3)
    grammar.add_argument("--folder", type=Path, help="where all of it is kept")
    chosen = grammar.parse_args(arguments)
    seconds, rounds = (1.0, 1) if chosen.quick else (chosen.seconds, chosen.rounds)
    try:
        with (
            servers(chosen.folder) as made,
            tempfile.TemporaryDirectory(dir=chosen.folder or Path("/var/tmp")) as folder,
        ):
            found = asyncio.run(run(made, Path(folder), seconds, rounds))
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if chosen.json else table(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
