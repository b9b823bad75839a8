"""One node after the other gets the next release, while callers come by way of a balancer."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
from scripts.demo_cluster.balancer import Backend, Balancer

from casemate.upgrade.versions import program
from support.node import TestNode
from support.versions import make_environment

MORE = '''

from casemate.postgresql.migrating import Expanding, Own  # noqa: E402

MIGRATIONS = (
    *MIGRATIONS,
    Expanding(
        (
            Own("""
                DO $$ DECLARE found TEXT; BEGIN
                    FOR found IN SELECT relname FROM pg_catalog.pg_class
                        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
                    LOOP
                        EXECUTE format('ALTER TABLE %I ADD COLUMN later INTEGER DEFAULT 1', found);
                    END LOOP;
                END $$
            """),
        )
    ),
)
'''
"""What the next release does to each schema: every table gets a column."""
SCHEMAS = (
    "store/postgresql/schema.py",
    "data/postgresql/schema.py",
    "data/postgresql/catalogue.py",
)


@contextlib.contextmanager
def next_release() -> Iterator[Path]:
    """Yield an environment of a release that brings every schema forward."""
    folder = Path(tempfile.mkdtemp(prefix="casemate-rolling-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield make_environment(folder / "next", "99.0.0", added=dict.fromkeys(SCHEMAS, MORE))
    finally:
        shutil.rmtree(folder)


class Callers:
    """Calls and events by way of a balancer, which asks each node whether it is ready."""

    def __init__(self, nodes: list[TestNode]) -> None:
        for node in nodes:
            node.wait_until(lambda node=node: is_ready(node))  # type: ignore[misc]
        self.key = nodes[0].key
        self.balancer = Balancer([Backend("127.0.0.1", node.port) for node in nodes])
        self.wrong: list[str] = []
        self.calls = 0
        self.accepted: list[str] = []
        self._ended, self._answered = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._balance, self._call)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
            while not self.balancer.port:
                time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._threads[1].join()
        self._answered.set()
        self._threads[0].join()

    def _balance(self) -> None:
        async def serve() -> None:
            async with self.balancer.running():
                await asyncio.to_thread(self._answered.wait)

        asyncio.run(serve())

    def _call(self) -> None:
        while not self._ended.is_set():
            self.calls += 1
            note = f"n{self.calls}"
            prefer = "respond-async" if self.calls % 2 else "respond-sync"
            try:
                # A connection of its own each time: all nodes are met.
                answer = httpx2.post(
                    f"http://127.0.0.1:{self.balancer.port}/invoke/t/notes",
                    json={"note": note},
                    headers={"authorization": f"Bearer {self.key}", "prefer": prefer},
                    timeout=30,
                )
            except httpx2.HTTPError as error:
                self.wrong.append(f"{note}: {error!r}")
                continue
            if answer.status_code not in (200, 202):
                self.wrong.append(f"{note}: {answer.status_code} {answer.text}")
            else:
                self.accepted.append(note)
            time.sleep(0.03)

    def lost(self, node: TestNode, seconds: float = 20.0) -> set[str]:
        """Return what was accepted and has not been done, as one node reads it."""
        missing, deadline = set(self.accepted), time.monotonic() + seconds
        while missing and time.monotonic() < deadline:
            for note in tuple(missing):
                if node.invoke({"read": note}, function="t/notes").status_code != 200:
                    break
                missing.discard(note)
            else:
                break
            time.sleep(0.2)
        return missing


def is_ready(node: TestNode) -> bool:
    """Tell what a balancer is told."""
    return node.client.get(f"{node.url}/api/v1/ready").status_code == 200


def drain(node: TestNode, other: TestNode, *, undo: bool = False) -> None:
    """Have a node drained by way of another one, and wait until it says so."""
    [name] = [each["name"] for each in other.get("/nodes")["nodes"] if each["address"] == node.url]
    done = other.client.post(f"{other.url}/api/v1/nodes/{name}/drain", json={"undo": undo})
    assert done.status_code == 200, done.text
    node.wait_until(lambda: is_ready(node) is undo)


def replace(node: TestNode, other: TestNode, release: Path) -> None:
    """Take a node out, as the guide says, and start it with another release."""
    drain(node, other)
    time.sleep(1.0)  # the balancer has seen it
    assert node.stop() == 0
    node.launcher = tuple(program(release, []))
    node.start()
    drain(node, other, undo=True)
