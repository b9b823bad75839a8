"""A call that the guard stops out of the handler's sight ends the invocation, and soon."""

from __future__ import annotations

import time

import pytest

from support.attacks import INJECTION, attempt
from support.node import TestNode

SHARES_NODE = True
COMMON = """
import os, sqlite3, threading
def query(text):
    db = sqlite3.connect(":memory:")
    db.execute("create table t (name)")
    return db.execute("select * from t where name = '" + text + "'").fetchall()
"""
WAITING = {
    "pool": """
import multiprocessing
def handler(event, context):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(query, [event["name"]])
""",
    "default-pool": """
import multiprocessing
def handler(event, context):
    with multiprocessing.Pool(1) as pool:
        return pool.map(query, [event["name"]])
""",
    "process-and-queue": """
import multiprocessing
def work(queue, text):
    queue.put(query(text))
def handler(event, context):
    forks = multiprocessing.get_context("fork")
    queue = forks.SimpleQueue()
    forks.Process(target=work, args=(queue, event["name"])).start()
    return queue.get()
""",
    "fork-and-pipe": """
def handler(event, context):
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.write(writing, repr(query(event["name"])).encode())
        finally:
            os._exit(0)
    return os.read(reading, 1000).decode()
""",
    "fork-while-a-thread-writes": """
import logging
def chatter():
    while True:
        logging.warning("x" * 1000)
def handler(event, context):
    threading.Thread(target=chatter, daemon=True).start()
    reading, writing = os.pipe()
    for _ in range(8):
        if os.fork() == 0:
            try:
                os.write(writing, repr(query(event["name"])).encode())
            finally:
                os._exit(0)
    return os.read(reading, 1000).decode()
""",
    "thread-and-event": """
def handler(event, context):
    done = threading.Event()
    threading.Thread(target=lambda: (query(event["name"]), done.set())).start()
    done.wait()
""",
    "callback": """
import asyncio
def handler(event, context):
    loop = asyncio.new_event_loop()
    done = loop.create_future()
    def run():
        # As Tornado's loop does with whatever a callback raises.
        try:
            done.set_result(query(event["name"]))
        except BaseException:
            pass
    loop.call_soon(run)
    return loop.run_until_complete(done)
""",
    "child-whose-end-is-ignored": """
def handler(event, context):
    if os.fork() == 0:
        try:
            query(event["name"])
        finally:
            os._exit(0)
    os.wait()
    return "all well"
""",
}
HARMLESS = "Ada"
HOSTILE = "x' OR '1'='1"


@pytest.mark.parametrize("name", WAITING)
def test_it_ends_as_blocked(node: TestNode, name: str) -> None:
    node.deploy(COMMON + WAITING[name], name=name, limits='timeout = "30s"')
    started = time.monotonic()
    tried = attempt(node, f"t/{name}", {"name": HOSTILE})
    assert tried.response.status_code >= 400
    assert time.monotonic() - started < 20
    assert node.outcome(tried.response) == "blocked"
    assert tried.denied(kind=INJECTION)


@pytest.mark.parametrize("name", ["pool", "callback"])
def test_without_an_attack_it_waits_for_its_result(node: TestNode, name: str) -> None:
    node.deploy(COMMON + WAITING[name], name=name, limits='timeout = "30s"')
    answer = node.invoke({"name": HARMLESS}, function=f"t/{name}")
    assert answer.status_code == 200, node.error(answer)
