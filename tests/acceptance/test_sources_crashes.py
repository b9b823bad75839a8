"""Gateway and sources process are killed while events come: every event reaches the function."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from support.cli import casemate
from support.node import TestNode
from support.outside_servers import Valkey, running
from support.publishers import valkey_add, valkey_do

SOURCE = """
def handler(event, context):
    context.table("seen").put({"id": context.event.id, "n": context.event.data["n"]})
"""
EVENTS = 600


def kept(node: TestNode) -> set[int]:
    found: set[int] = set()
    after: list[str] = []
    while True:
        done = casemate(node, "tables", "query", "t/seen", "--limit", "1000", "--json", *after)
        assert done.returncode == 0, done.stderr
        page = json.loads(done.stdout)
        found |= {int(item["value"]["n"]) for item in page["items"]}
        if not page.get("after"):
            return found
        after = ["--after", page["after"]]


@pytest.mark.storm
def test_kills_of_gateway_and_sources_lose_no_event(fresh_node: TestNode, tmp_path: Path) -> None:
    node = fresh_node
    folder = tmp_path / "valkey"
    folder.mkdir()
    with running(Valkey, folder) as server:
        assert isinstance(server, Valkey)
        done = casemate(node, "secrets", "set", "t/pw", stdin=server.password)
        assert done.returncode == 0, done.stderr
        node.deploy(
            SOURCE,
            routes=f"""
[[function.f.valkey]]
host = "127.0.0.1"
port = {server.port}
tls = false
private = true
exception = "a server of the test"
stream = "orders"
password = "pw"
""",
            grants='tables = [{ name = "seen", actions = ["put"] }]',
            resources='[table.seen]\nkey = "id"',
            approve=True,
        )

        def publish() -> None:
            for start in range(0, EVENTS, 20):
                valkey_add(server, "orders", *({"n": n} for n in range(start, start + 20)))
                time.sleep(0.15)

        sending = threading.Thread(target=publish)
        sending.start()
        for part in ("sources", "gateway") * 2:
            time.sleep(0.8)
            deadline = time.monotonic() + 20
            while (pid := node.part(part)) is None and time.monotonic() < deadline:
                time.sleep(0.02)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        sending.join()
        node.wait_until(lambda: answers(node), 30)
        node.wait_until(lambda: len(kept(node)) == EVENTS, 60)
        pending = valkey_do(server, ["XPENDING", "orders", "casemate"])
        node.wait_until(lambda: b":0\r\n" in pending, 1)


def answers(node: TestNode) -> bool:
    try:
        return node.client.get(f"{node.url}/api/v1/health").status_code == 200
    except Exception:
        return False
