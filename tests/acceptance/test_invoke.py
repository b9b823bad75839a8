"""The main job: deploy, call, each call in a fresh process."""

from __future__ import annotations

from support.node import TestNode

SHARES_NODE = True
COUNTER = """
import os
calls = 0
def handler(event, context):
    global calls
    calls += 1
    left = os.path.exists("/tmp/left")
    open("/tmp/left", "w").write("x")
    print("call", calls)
    return {"calls": calls, "left": left, "event": event, "pid": os.getpid()}
"""


def test_each_call_has_a_fresh_process_memory_and_tmp(node: TestNode) -> None:
    node.deploy(COUNTER)
    for number in range(5):
        answer = node.invoke({"n": number})
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"calls": 1, "left": False, "event": {"n": number}, "pid": 1}


def test_a_reused_instance_keeps_its_memory(node: TestNode) -> None:
    node.deploy(COUNTER, name="reused", settings='isolation = "instance"')
    counts = [node.invoke({}, function="t/reused").json()["calls"] for _ in range(3)]
    assert counts == [1, 2, 3]
