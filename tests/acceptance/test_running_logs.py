"""What a function writes is seen while it runs, also of one that is killed."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from support.node import TestNode

SHARES_NODE = True
HANDLER = """
import time

def handler(event, context):
    for number in range(event["lines"]):
        print("line", number, flush=True)
        context.log.info("ann@example.com", number=number)
        time.sleep(0.2)
    print("done")
    return "answer"
"""


def invoking(node: TestNode, name: str, event: dict[str, Any]) -> threading.Thread:
    thread = threading.Thread(target=lambda: node.invoke(event, function=f"t/{name}"))
    thread.start()
    return thread


def lines(node: TestNode, name: str) -> list[dict[str, Any]]:
    answer = node.client.get(f"{node.url}/api/v1/logs?project=t&function={name}")
    return [json.loads(line) for line in answer.text.splitlines() if line]


def test_lines_are_seen_while_it_runs_once_each_and_in_order(node: TestNode) -> None:
    node.deploy(HANDLER, name="slow", limits='timeout = "30s"')
    query = {"project": "t", "function": "slow", "follow": "true"}
    with node.client.stream("GET", f"{node.url}/api/v1/logs", params=query, timeout=30) as answer:
        thread = invoking(node, "slow", {"lines": 20})
        first = json.loads(next(line for line in answer.iter_lines() if line))
        assert thread.is_alive()
    assert first["text"] == "line 0"
    thread.join(30)
    texts = [line["text"] for line in lines(node, "slow")]
    printed = [text for text in texts if text.startswith(("line", "done"))]
    assert printed == [*(f"line {number}" for number in range(20)), "done"]
    masked = {text.split()[0] for text in texts if "email" in text}
    assert len(texts) == 41 and len(masked) == 1, "one mark within the invocation"
    assert len({line["invocation"] for line in lines(node, "slow")}) == 1


def test_lines_of_one_that_is_killed_are_there(node: TestNode) -> None:
    node.deploy(HANDLER, name="ended", limits='timeout = "1.5s"')
    thread = invoking(node, "ended", {"lines": 1000})
    deadline = time.monotonic() + 20
    while not lines(node, "ended") and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert lines(node, "ended") and thread.is_alive()
    thread.join(20)
    found = lines(node, "ended")
    printed = [line["text"] for line in found if line["text"].startswith("line")]
    assert len(printed) >= 5
    assert printed == [f"line {number}" for number in range(len(printed))]
    assert found[-1]["level"] == "error" and found[-1]["text"].startswith("timeout")
