"""Who sends wakes all that wait at the other end: a function that waits there often is ended."""

from __future__ import annotations

from support.node import TestNode

SHARES_NODE = True
SOURCE = """
import os
import select
import signal

KEPT = []

def crowd(descriptor, times):
    every = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET
    duplicates = [os.dup(descriptor) for _ in range(times)]
    for _ in range(times):
        epoll = select.epoll()
        KEPT.append(epoll)
        for duplicate in duplicates:
            epoll.register(duplicate, every)
"""
CALL = """
def handler(event, context):
    crowd(event["descriptor"], event["times"])
    for _ in range(200):
        if event["descriptor"] == 3:
            try:
                context.bucket("none").get("x")
            except Exception:
                pass
        else:
            print("x" * 200_000)
    return len(KEPT)
"""
IMPORT = """
signal.signal(signal.SIGALRM, lambda *_: crowd(3, 400))
signal.setitimer(signal.ITIMER_REAL, 0.5)

def handler(event, context):
    return len(KEPT)
"""
LIMITS = 'timeout = "60s"\nopen_files = 1024\nmemory = "256MB"'


def test_a_crowd_at_the_socket_of_an_instance_ends_it(node: TestNode) -> None:
    """230,000 that waited had each message take the gateway 50 ms, and all others wait for it."""
    node.deploy(SOURCE + CALL, project="crowd", name="calls", limits=LIMITS, unguarded=True)
    event = {"descriptor": 3, "times": 400}
    answer = node.invoke(event, function="crowd/calls")
    assert answer.status_code == 500
    assert node.error(answer)["type"] == "TooManyWait"


def test_a_crowd_at_its_output_ends_it(node: TestNode) -> None:
    node.deploy(SOURCE + CALL, project="crowd", name="prints", limits=LIMITS, unguarded=True)
    event = {"descriptor": 1, "times": 400}
    answer = node.invoke(event, function="crowd/prints")
    assert answer.status_code == 500
    assert node.error(answer)["type"] == "TooManyWait"


def test_whoever_waits_a_little_is_served(node: TestNode) -> None:
    node.deploy(SOURCE + CALL, project="crowd", name="few", limits=LIMITS, unguarded=True)
    for descriptor in (1, 3):
        answer = node.invoke({"descriptor": descriptor, "times": 4}, function="crowd/few")
        assert answer.json() == 4


def test_a_crowd_at_the_socket_of_a_zygote_ends_it(node: TestNode) -> None:
    """The supervisor sends there what each new instance is made by, for all functions."""
    settings = 'fresh = "process"'
    node.deploy(SOURCE + IMPORT, project="crowd", name="imports", limits=LIMITS, settings=settings)
    before = node.errors.read_text().count("of crowd/imports is ended: so much waits")

    def ended() -> bool:
        node.invoke({}, function="crowd/imports")
        said = node.errors.read_text()
        return said.count("of crowd/imports is ended: so much waits") > before

    node.wait_until(ended, 45)
