"""Two nodes work on one project and are killed: nothing is lost, settled twice, or out of order."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from data_support import SharedData, shared
from test_data_delivery_crash import WRITER

from casemate.data import letters, messages
from casemate.data.messages import text_of
from casemate.data.terms import terms_of
from casemate.sqlite.engine import Connection
from support.database import Server

OWN = "data = CalledData(Path(sys.argv[1]), FakeVault().data_key)"
SHARED = WRITER.replace(
    OWN,
    "data = await CalledSharedData.open(Cluster(Settings.of_url(sys.argv[4]), 'the-cluster', "
    "Holder(sys.argv[5], START)), folders_below(Path(sys.argv[1])), FakeVault().data_key)",
).replace(
    "from support.data_calls import CalledData",
    "from support.data_calls import CalledSharedData\n"
    "from casemate.data.postgresql.databases import Cluster\n"
    "from casemate.data.files import folders_below\n"
    "from casemate.data.terms import Holder\n"
    "from casemate.postgresql.settings import Settings",
)


class Node:
    """A process that works as one node."""

    def __init__(self, data: SharedData, name: str, start: int) -> None:
        self.name = name
        arguments = (str(data.folder), str(Path(__file__).parent), f"{name}{start}")
        self.child = subprocess.Popen(
            [sys.executable, "-c", SHARED, *arguments, data.url, name],
            stdout=subprocess.PIPE,
            bufsize=0,  # what a buffer holds, `communicate` would not return
        )
        self.whole = b""

    def work(self, lines: int) -> None:
        """Wait until it has told of so many things."""
        assert self.child.stdout is not None
        for _ in range(lines):
            self.whole += self.child.stdout.readline()

    def kill(self) -> list[list[str]]:
        """Return what it told before it was killed."""
        self.child.send_signal(signal.SIGKILL)
        output, _ = self.child.communicate(timeout=30)
        lines = (self.whole + output).decode().splitlines()
        assert lines[0] == "open x"
        return [line.split() for line in lines[1:] if line.endswith('"') or " " in line]


def bodies(data: SharedData, kind: str, name: str) -> list[str]:
    """Everything that is kept in a place, in whatever state, in the order of sending."""

    def ask(connection: Connection) -> list[str]:
        resource = data.opened().resource(kind, name)
        rows = connection.execute(
            f"SELECT {messages.COLUMNS} FROM message WHERE queue = ? ORDER BY id", (resource.id,)
        )
        terms = terms_of(connection)
        found = [messages.message(terms, resource, row).body.decode() for row in rows]
        dead = connection.execute("SELECT id FROM letter WHERE queue = ?", (resource.id,))
        return found + [letters.find(connection, text_of(row[0]))[1].decode() for row in dead]

    async def read() -> list[str]:
        return await data.opened().read(ask)

    data.queue_info("p", kind, name)
    return data.run(read())


def run(data: SharedData, kills: int) -> None:
    nodes: list[Node] = []
    try:
        work(data, kills, nodes)
    finally:
        for node in nodes:
            node.child.kill()
            node.child.wait()


def work(data: SharedData, kills: int, nodes: list[Node]) -> None:
    random.seed(11)
    words: dict[str, list[str]] = {"sent": [], "settled": [], "put": []}
    nodes += [Node(data, name, 0) for name in "ab"]
    for node in nodes:
        node.work(1)
    for start in range(1, kills + 1):
        victim = nodes.pop(random.randrange(2))
        victim.work(random.randint(5, 60))
        time.sleep(random.uniform(0.0, 0.05))
        for word, body in victim.kill():
            words[word].append(body)
        if start < kills:
            nodes.append(Node(data, victim.name, start))
            nodes[-1].work(1)
    for node in nodes:
        node.work(60)
        for word, body in node.kill():
            words[word].append(body)
    check(data, words)


def check(data: SharedData, words: dict[str, list[str]]) -> None:
    waiting, handled = bodies(data, "inbox", "f"), bodies(data, "queue", "rest")
    assert len(set(words["settled"])) > 3
    done = [body for body in words["settled"] if len(body) % 3 != 2]
    assert len(set(done)) == len(done), "settled twice"
    assert set(done) <= set(handled)
    assert len(set(waiting)) == len(waiting) and len(set(handled)) == len(handled)
    assert not set(waiting) & set(handled), "an end and what follows from it are one"
    sent = set(words["sent"])
    assert {body for body in sent if "-c-" not in body} <= set(waiting) | set(handled)
    told = [body.split('"data":')[1].split(",")[0] for body in bodies(data, "inbox", "g")]
    assert {body for body in sent if "-c-" in body} <= set(told)
    assert len(set(told)) == len(told)
    last: dict[str, int] = {}
    for body in handled:
        start, key, number = body.strip('"').rstrip("+").split("-")
        place = 2 * int(number) + body.endswith('+"')
        # All starts share the two keys; each sends its own in order.
        assert place > last.get(start + key, -1), "out of order"
        last[start + key] = place
    for key in words["put"]:
        assert data.get_item("p", "plain", key, None).value == {"id": key}


@pytest.mark.parametrize(
    "kills", [1, pytest.param(25, marks=pytest.mark.storm)], ids=["one", "many"]
)
def test_nodes_that_are_killed(tmp_path: Path, postgresql_server: Server, kills: int) -> None:
    data = shared(postgresql_server, tmp_path / "shared", node="watching")
    try:
        run(data, kills)
    finally:
        data.finish()
