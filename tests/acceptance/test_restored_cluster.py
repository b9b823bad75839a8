"""A cluster's database is put back as the guide says: to the end of its log, and to a moment."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cli import casemate
from support.cluster import Cluster
from support.database import Server
from support.node import TestNode
from support.s3 import S3Server
from support.servers import POSTGRES

pytestmark = [pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(1800)]
"""Fourteen starts of a node, one after the other: 60 s at rest, 40 s each under a load of 30."""
_PATIENCE = 120
"""Seconds for what takes one where nobody else is."""

KEEPS = """\
def handler(event, context):
    table, bucket = context.table("notes"), context.bucket("files")
    if "note" in event.data:
        table.put({"id": event.data["note"]})
        bucket.put(event.data["note"], b"x" * 300_000)
    if "gone" in event.data:
        bucket.delete(event.data["gone"])
    if "read" in event.data:
        return [table.get(event.data["read"]).value, len(bucket.get(event.data["read"]))]
"""


class Backed(Server):
    """A server whose log is archived, and that can be put back."""

    def __init__(self, folder: Path) -> None:
        self.wal, self.base = folder / "wal", folder / "base"
        super().__init__(
            "archive_mode=on",
            f"archive_command=test ! -f {self.wal}/%f && cp %p {self.wal}/%f",
            "max_wal_senders=3",
        )
        for path in (folder, self.wal):
            path.mkdir()
            shutil.chown(path, "nobody" if self.is_root else os.geteuid())

    def back_up(self) -> None:
        """Make a base, as the guide says."""
        self._run(
            *("pg_basebackup", "-D", self.base, "-c", "fast", "-X", "none"),
            *("-U", "test", "-h", self.folder, "-p", str(self.port)),
        )
        self._run("pg_verifybackup", "-n", self.base)

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run([POSTGRES / program, *arguments], check=True, **self._as_user)

    def archive(self) -> None:
        """Have all of the log archived."""
        with self.connect("postgres") as connection:
            [(last,)] = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchall()
        deadline = time.monotonic() + _PATIENCE
        while not (self.wal / str(last)).exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def now(self) -> str:
        with self.connect("postgres") as connection:
            return str(connection.execute("SELECT clock_timestamp()").fetchall()[0][0])

    def restore(self, *settings: str) -> None:
        """Put the base in the place of all that is there, and recover."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(_PATIENCE)
        shutil.rmtree(self.data)
        self._as("cp", "-a", self.base, self.data)
        self._as("touch", self.data / "recovery.signal")
        before = self._settings
        said = (f"restore_command=cp {self.wal}/%f %p", "recovery_target_action=promote")
        self._settings = (*before, *said, *settings)
        self.start()
        self._settings = before
        deadline = time.monotonic() + _PATIENCE
        with self.connect("postgres") as connection:
            while connection.execute("SELECT pg_is_in_recovery()").fetchone() != (False,):
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def _as(self, *command: str | Path) -> None:
        subprocess.run([*command], check=True, **self._as_user)


@pytest.fixture
def database() -> Iterator[Backed]:
    folder = Path(tempfile.mkdtemp(prefix="casemate-backup-")) / "backup"
    folder.parent.chmod(0o755)
    made = Backed(folder)
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.end()
        shutil.rmtree(folder.parent)


def put(node: TestNode, name: str) -> None:
    assert node.invoke({"note": name}, function="t/notes").status_code == 200


def has(node: TestNode, name: str) -> bool:
    answer = node.invoke({"read": name}, function="t/notes")
    return answer.status_code == 200 and bool(answer.json() == [{"id": name}, 300_000])


def checked(node: TestNode) -> tuple[int, str]:
    done = casemate(node, "check")
    return done.returncode, done.stdout + done.stderr


def test_to_the_end_and_to_a_moment(tmp_path: Path, database: Backed) -> None:
    with contextlib.ExitStack() as stack:
        objects = stack.enter_context(contextlib.closing(S3Server(tmp_path / "s3")))
        cluster = Cluster(tmp_path, database, objects)
        stack.enter_context(contextlib.closing(cluster))
        one, two = cluster.node("one").start(), cluster.node("two").start()
        one.deploy(
            KEEPS,
            name="notes",
            grants='tables = [{ name = "notes", actions = ["get", "put"] }]\n'
            'buckets = [{ name = "files", actions = ["read", "write", "delete"] }]',
            resources='[table.notes]\nkey = "id"\n[bucket.files]',
            approve=True,
        )
        put(one, "before")
        database.back_up()
        put(one, "between")
        time.sleep(1.0)
        moment = database.now()
        bucket = tmp_path / "bucket"
        shutil.copytree(tmp_path / "s3", bucket)
        time.sleep(1.0)
        put(one, "after")
        assert one.invoke({"gone": "between"}, function="t/notes").status_code == 200
        done = casemate(one, "secrets", "set", "t/later", "--exact", stdin="later-than-it")
        assert done.returncode == 0, done.stderr
        assert checked(one)[0] == 0
        one.stop()
        two.stop()
        database.archive()
        # -- to the end: nothing is lost, and nobody says anything
        database.restore()
        one.start()
        two.start()
        assert has(one, "after") and has(two, "before")
        one.stop()
        two.stop()
        # -- to a moment: each node asks for what it has seen since, by name
        database.restore(f"recovery_target_time={moment}")
        accepted = [accepting(one), accepting(two)]
        kinds = [[name.partition("/")[0] for name in names] for names in accepted]
        assert kinds[0] == ["vault", "engine", "control"]
        # What the first has accepted is proved again: the second may not miss anything there.
        assert kinds[1] in (["vault", "engine"], ["vault", "engine", "control"])
        for name in ("before", "between"):
            assert has(one, name) is (name == "before")  # whose content was deleted since
        code, said = checked(two)
        assert code == 1 and "its file is gone" in said
        subprocess.run(["cp", "-an", f"{bucket}/.", tmp_path / "s3"], check=True)
        one.wait_until(lambda: has(one, "between"))
        assert checked(two)[0] == 0
        assert not has(one, "after")
        assert "later" not in casemate(one, "secrets", "ls", "--json").stdout
        put(two, "new")
        # Accepted once: they start again without, and know of each other.
        for node, names in zip((one, two), accepted, strict=True):
            node.stop()
            node.arguments = tuple(node.arguments[: -2 * len(names)])
            node.start()
        assert has(one, "new") and has(two, "between")


def accepting(node: TestNode) -> list[str]:
    """Start a node as its errors say; return the names that it asked for."""
    names: list[str] = []
    while True:
        begun = node.errors.stat().st_size
        try:
            node.start()
            return names
        except RuntimeError:
            said = node.errors.read_bytes()[begun:].decode()
            # What the database says of it is of that moment, a few seconds ago on a fast machine.
            if (again := re.search(r"try again in (\d+) s", said)) is not None:
                time.sleep(int(again[1]))
                continue
            name = re.findall(r"--accept-loss (\S+/[0-9a-f]+)", said)[-1]
            assert name not in names, said
            names.append(name)
            node.arguments = (*node.arguments, "--accept-loss", name)
