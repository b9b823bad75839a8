"""Two nodes get the next release one after the other, under load: no call and no event is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from scripts.demo_cluster.balancer import Backend, Balancer

from casemate.upgrade.versions import program
from support.cli import casemate
from support.cluster import Cluster
from support.node import TestNode
from support.s3 import S3Server
from support.versions import make_environment

pytestmark = pytest.mark.sandbox

KEEPS = """\
def handler(event, context):
    table = context.table("notes")
    if "note" in event.data:
        table.put({"id": event.data["note"]})
        return {"kept": event.data["note"]}
    return {"found": table.get(event.data["read"]).value}
"""
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
SCHEMAS = ("store/postgresql/schema.py", "data/postgresql/schema.py", "data/postgresql/catalogue.py")


@pytest.fixture(scope="module")
def next_release() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="casemate-rolling-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield make_environment(folder / "next", "99.0.0", added=dict.fromkeys(SCHEMAS, MORE))
    shutil.rmtree(folder)


@pytest.fixture
def cluster(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: Any
) -> Iterator[Cluster]:
    with contextlib.closing(S3Server(tmp_path_factory.mktemp("s3"))) as objects:
        made = Cluster(tmp_path_factory.mktemp("cluster"), postgresql_server, objects)
        with contextlib.closing(made):
            made.node("one").start()
            made.node("two").start()
            yield made


class Callers:
    """Calls and events by way of a balancer, which asks each node whether it is ready."""

    def __init__(self, nodes: list[TestNode]) -> None:
        self.key = nodes[0].key
        self.balancer = Balancer([Backend("127.0.0.1", node.port) for node in nodes])
        self.wrong: list[str] = []
        self.calls = 0
        self.accepted: list[str] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._balance, self._call)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
            while not self.balancer.port:
                time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in reversed(self._threads):
            thread.join()

    def _balance(self) -> None:
        async def serve() -> None:
            async with self.balancer.running():
                await asyncio.to_thread(self._ended.wait)

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


def nodes(node: TestNode, *arguments: str) -> Any:
    done = casemate(node, "nodes", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def is_ready(node: TestNode) -> bool:
    return node.client.get(f"{node.url}/api/v1/ready").status_code == 200


def replace(node: TestNode, other: TestNode, release: Path) -> None:
    """Take a node out, as the guide says, and start it with another release."""
    name = next(one["name"] for one in nodes(other, "ls")["nodes"] if one["address"] == node.url)
    nodes(other, "drain", name)
    node.wait_until(lambda: not is_ready(node))
    time.sleep(1.0)  # the balancer has seen it
    assert node.stop() == 0
    node.launcher = tuple(program(release, []))
    node.start()
    nodes(other, "drain", name, "--undo")
    node.wait_until(lambda: is_ready(node))


def deploy(node: TestNode, source: str) -> None:
    node.deploy(
        source,
        name="notes",
        grants='tables = [{ name = "notes", actions = ["get", "put"] }]',
        resources='[table.notes]\nkey = "id"',
        approve=True,
    )


def test_no_call_and_no_event_is_lost(cluster: Cluster, next_release: Path) -> None:
    one, two = cluster.nodes
    deploy(one, KEEPS)
    two.wait_until(lambda: two.invoke({"note": "first"}, function="t/notes").status_code == 200)
    with Callers([one, two]) as callers:
        replace(one, two, next_release)
        # The older one goes on with the newer one's schema: here it decides, and keeps it.
        deploy(two, KEEPS + "# again\n")
        replace(two, one, next_release)
    for w in callers.wrong[:3]:
        i = "err_" + w.split("err_")[-1][:24]
        for n in (one, two):
            e = n.client.get(f"{n.url}/api/v1/errors/{i}")
            print(n.url, e.text[:3000])
    print(*callers.wrong, sep="\n")
    print(one.errors.read_text()[-3000:], two.errors.read_text()[-3000:])
    assert callers.wrong == []
    assert {node["version"] for node in nodes(one, "ls")["nodes"]} == {"99.0.0"}
    missing = set(callers.accepted)

    def kept() -> bool:
        found = {n for n in missing if two.invoke({"read": n}, function="t/notes").status_code == 200}
        missing.difference_update(found)
        return not missing

    two.wait_until(kept)
