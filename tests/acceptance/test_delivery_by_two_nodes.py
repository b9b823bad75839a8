"""Two whole nodes with one PostgreSQL and one bucket: one is killed, frozen, drained, ended."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.database import Server, server
from support.node import TestNode
from support.s3 import S3Server

TICKS = """
def handler(event, context):
    tick = event.detail
    context.bucket("ticks").put(f"{tick['scheduled_at']!r}/{event.id}/{context.event.id}", b"")
"""
EVENTS = """
import time
def handler(event, context):
    time.sleep(0.05)
    context.bucket("ran").put(f"{event.data['n']:05d}", b"")
"""
SCHEDULE = """
[[function.ticks.schedule]]
name = "each"
every = "1s"
missed = "all"
"""
ARGUMENTS = ("--encrypted-disks", "--accept-loss", "journal", "--accept-loss", "records")


class Pair:
    """Two nodes that share all but their records."""

    def __init__(self, database: Server, folder: Path) -> None:
        self.database = database
        self.name = database.database()
        self.folder = folder
        self.nodes = [TestNode(folder / name, *ARGUMENTS) for name in ("one", "two")]

    def start(self) -> None:
        one, two = self.nodes
        one.arguments = ("--encrypted-disks",)
        one.start()
        one.arguments = ARGUMENTS
        write = 'buckets = [{{ name = "{}", actions = ["write"] }}]'
        one.deploy(
            TICKS, name="ticks", routes=SCHEDULE, grants=write.format("ticks"),
            resources="[bucket.ticks]", approve=True,
        )  # fmt: skip
        one.deploy(
            EVENTS, name="ran", grants=write.format("ran"), limits="concurrency = 4",
            resources="[bucket.ticks]\n[bucket.ran]", approve=True,
        )  # fmt: skip
        # The keys of the project are made: both nodes have them from now on.
        two.data.mkdir()
        subprocess.run(["cp", "-a", one.data / "vault", two.data / "vault"], check=True)
        shutil.copy(one.master_key, two.master_key)
        two.start()
        two.key = one.key
        two.client.headers["authorization"] = f"Bearer {one.key}"

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with self.database.connect(self.name) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]

    def leader(self) -> TestNode:
        """Return the node that runs the schedules."""
        found: list[tuple[object, ...]] = []
        self.nodes[0].wait_until(lambda: bool(found.extend(self._leaders()) or found), 20)
        for node in self.nodes:
            if json.loads((node.data / "node.json").read_text())["id"] == found[-1][0]:
                return node
        raise AssertionError(found)

    def _leaders(self) -> list[tuple[object, ...]]:
        return self.sql("SELECT node FROM casemate_projects.leader WHERE kind = 'schedules'")

    def other(self, node: TestNode) -> TestNode:
        return next(one for one in self.nodes if one is not node)

    def send(self, node: TestNode, numbers: range) -> None:
        for n in numbers:
            answer = node.invoke({"n": n}, function="t/ran", headers={"prefer": "respond-async"})
            assert answer.status_code == 202, answer.text

    def names(self, node: TestNode, bucket: str) -> list[str]:
        found: list[str] = []
        for first in "01":
            page = node.get(f"/buckets/t/{bucket}/objects", prefix=first, limit=1000)
            found += [one["key"] for one in page["objects"]]
        return found

    def require_each_time_once(self, node: TestNode) -> float:
        """Require that no time was left out or came twice; return the last."""
        times = Counter(float(name.split("/")[0]) for name in self.names(node, "ticks"))
        assert set(times.values()) == {1}
        ordered = sorted(times)
        assert all(abs(b - a - 1.0) < 0.01 for a, b in itertools.pairwise(ordered))
        return ordered[-1]

    def goes_on(self, node: TestNode, since: float, seconds: float) -> float:
        """Wait for a tick after a moment; return how long that took from then on.

        One that the other had leased may come later.
        """
        node.wait_until(
            lambda: max(float(n.split("/")[0]) for n in self.names(node, "ticks")) > since + 1,
            seconds,
        )
        return time.time() - since


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)  # the processes of a node are of other users
    objects = S3Server(folder / "s3")
    with server() as database:
        made = Pair(database, folder)
        endpoint = objects.url.removesuffix("/uploads")
        place = f"s3://uploads/{secrets.token_hex(4)}?endpoint={endpoint}"
        for name, value in {
            "CASEMATE_STORE": f"postgresql://test@127.0.0.1:{database.port}/{made.name}",
            "CASEMATE_OBJECTS": place,
            "AWS_ACCESS_KEY_ID": "S3RVER",
            "AWS_SECRET_ACCESS_KEY": "S3RVER",
        }.items():
            monkeypatch.setenv(name, value)
        try:
            made.start()
            yield made
        finally:
            for node in made.nodes:
                node.stop(signal.SIGKILL)
            objects.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.storm
@pytest.mark.timeout(400)
def test_what_a_node_did_goes_on_elsewhere(pair: Pair) -> None:
    # Killed, with events leased.
    killed = pair.leader()
    left = pair.other(killed)
    pair.send(killed, range(150))
    killed.stop(signal.SIGKILL)
    died = time.time()
    print(f"schedules after a kill: {pair.goes_on(left, died, 30):.1f} s")
    left.wait_until(lambda: set(pair.names(left, "ran")) >= {f"{n:05d}" for n in range(150)}, 30)
    print(f"events after a kill: {time.time() - died:.1f} s")
    killed.start()
    # Frozen until others have taken over, and woken.
    time.sleep(6)  # who comes first for the project leads it again
    frozen = pair.leader()
    other = pair.other(frozen)
    pair.send(frozen, range(150, 300))
    processes = [*frozen.processes(), *([frozen.process.pid] if frozen.process else [])]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        froze = time.time()
        print(f"schedules after a freeze: {pair.goes_on(other, froze, 30):.1f} s")
    finally:
        for pid in reversed(processes):
            os.kill(pid, signal.SIGCONT)
    wanted = {f"{n:05d}" for n in range(300)}
    other.wait_until(lambda: set(pair.names(other, "ran")) >= wanted, 30)
    time.sleep(3)
    pair.require_each_time_once(other)
    # Drained: at once.
    leader = pair.leader()
    heir = pair.other(leader)
    name = json.loads((leader.data / "node.json").read_text())["id"]
    (drained,) = [one for one in heir.get("/nodes")["nodes"] if one["id"] == name]
    answer = heir.client.post(f"{heir.url}/api/v1/nodes/{drained['name']}/drain", json={})
    assert answer.status_code in (200, 204), answer.text
    heir.wait_until(lambda: pair.leader() is heir, 8)
    assert pair.goes_on(heir, time.time(), 10) < 5
    time.sleep(3)
    pair.require_each_time_once(heir)
