"""What a function writes is seen while it runs, also of one that is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from support.node import TestNode
from support.processes import memory

SHARES_NODE = True
LONG = (pytest.mark.storm, pytest.mark.timeout(900))
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


HELD = """
import time

def handler(event, context):
    held = open("/tmp/held-by-the-test", "w")
    for number in range(1000):
        print("line", number, flush=True)
        time.sleep(0.1)
"""


def holder(node: TestNode) -> int:
    """Return the process in which the function runs."""
    for pid in node.processes():
        with contextlib.suppress(OSError):
            for each in Path(f"/proc/{pid}/fd").iterdir():
                if os.readlink(each).endswith("held-by-the-test"):
                    return pid
    return 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks into a function's process")
def test_lines_of_an_instance_that_is_killed_from_outside_are_there(node: TestNode) -> None:
    """With SIGKILL, between two lines, as the kernel does it where memory is short."""
    node.deploy(HELD, name="shot", limits='timeout = "30s"')
    thread = invoking(node, "shot", {})
    node.wait_until(lambda: len(lines(node, "shot")) >= 5, 20)
    assert thread.is_alive()
    seen = lines(node, "shot")
    os.kill(holder(node), signal.SIGKILL)
    thread.join(20)
    node.wait_until(lambda: lines(node, "shot")[-1]["level"] == "error", 10)
    found = [line["text"] for line in lines(node, "shot")]
    printed = [text for text in found if text.startswith("line")]
    assert printed == [f"line {number}" for number in range(len(printed))]
    assert len(printed) >= len([line for line in seen if line["level"] != "error"])
    assert len({line["invocation"] for line in lines(node, "shot")}) == 1


ENDLESS = """
import sys

def handler(event, context):
    print("before")
    for _ in range(event["megabytes"]):
        sys.stdout.write("x" * (1 << 20))
    print()
    print("after")
    return "answer"
"""


def peak(node: TestNode, part: str) -> int:
    """Return the most memory that a process of the node has had, in bytes."""
    return memory(node.part(part), "VmHWM")


@pytest.mark.parametrize("megabytes", [16, pytest.param(1024, marks=LONG)])
def test_a_line_of_any_length_is_cut_and_told(node: TestNode, megabytes: int) -> None:
    name = f"endless-{megabytes}"
    node.deploy(ENDLESS, name=name, limits='timeout = "10m"')
    watched = ("gateway", "recorder", "vault")
    before = {part: peak(node, part) for part in watched}
    answer = node.invoke({"megabytes": megabytes}, function=f"t/{name}", timeout=600)
    assert answer.status_code == 200, answer.text
    node.wait_until(lambda: lines(node, name), 20)
    found = lines(node, name)
    assert found[0]["text"] == "before"
    assert sum(len(line["text"]) for line in found) < 2 << 20
    assert any("dropped" in line["text"] and line["level"] == "warning" for line in found)
    for part in watched:
        assert peak(node, part) < before[part] + (64 << 20), part
    assert node.invoke({"megabytes": 0}, function=f"t/{name}").status_code == 200
