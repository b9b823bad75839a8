"""Whatever ends or stops, no function gets to answer for its own system calls, nor is one let through."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from support.node import TestNode
from support.processes import children, gateway_of, zygotes_of

from . import Attempt, Attempts, shown

WON = ("io_uring", "userfaultfd", "seccomp notify", "won-")
SOURCE = (
    (Path(__file__).parents[2] / "functions" / "attacks" / "listener.py")
    .read_text()
    .split("def attempt():")[0]
)
APP = (
    SOURCE
    + '''
import mmap, sys
PAGE = ctypes.create_string_buffer(4096)
KEPT = {}
SHOWN = "a call that is let through"
def won(name):
    """Leave a mark by a descriptor, and by a name that an ordinary user may read as well."""
    if name not in KEPT:
        KEPT[name] = os.memfd_create("won-" + name)
    LIBC.prctl(15, b"won-" + name.encode(), 0, 0, 0)
def call(name, number, *arguments):
    """Make a call again and again; keep a mark that is seen from outside if it succeeds."""
    if LIBC.syscall(number, *arguments) >= 0:
        won(name)
def try_listener(flags):
    found = LIBC.syscall(SECCOMP, 1, ctypes.c_ulong(flags), FPROG)
    if found >= 0:
        won(f"listener-{flags}")
WAYS = {
    "NEW_LISTENER": lambda: try_listener(8),
    "NEW_LISTENER with TSYNC": lambda: try_listener(8 | 1 | 16),
    "NEW_LISTENER, killable": lambda: try_listener(8 | 32),
    "NEW_LISTENER, high bits": lambda: try_listener(8 | 1 << 33),
    "NEW_LISTENER, all flags": lambda: try_listener(0xFFFFFFFF),
    "io_uring": lambda: call("io_uring", 425, 4, PAGE),
    "userfaultfd": lambda: call("userfaultfd", 323, 1),
    "keyctl": lambda: call("keyctl", 250, 0, -3, 1),
    "ptrace": lambda: call("ptrace", 101, 0, 0, 0, 0),
    "bpf": lambda: call("bpf", 321, 0, PAGE, 72),
    "perf events": lambda: call("perf", 298, PAGE, 0, -1, -1, 0),
    "mount": lambda: call("mount", 165, b"none", b"/tmp", b"tmpfs", 0, 0),
    "unshare of users": lambda: call("unshare", 272, 0x10000000),
    "setns": lambda: call("setns", 308, 3, 0),
    "io_uring in 32 bits": lambda: call("x32", 425 | 1 << 30, 4, PAGE),
    SHOWN: lambda: call("shown", 39),
    "process_vm_readv of its parent": lambda: call("readv", 310, os.getppid(), PAGE, 1, PAGE, 1, 0),
}
def handler(event, context):
    way, end = WAYS[event["way"]], time.monotonic() + event["seconds"]
    for number in range(3):
        if os.fork() == 0:
            while time.monotonic() < end:
                way()
                if number == 2:
                    time.sleep(0.001)
            os._exit(0)
    while time.monotonic() < end:
        way()
    return "over"
'''
)
NAMES = (
    *(
        "NEW_LISTENER",
        "NEW_LISTENER with TSYNC",
        "NEW_LISTENER, killable",
        "NEW_LISTENER, high bits",
    ),
    *(
        "NEW_LISTENER, all flags",
        "io_uring",
        "userfaultfd",
        "keyctl",
        "ptrace",
        "bpf",
        "perf events",
        "mount",
    ),
    *("unshare of users", "setns", "io_uring in 32 bits", "process_vm_readv of its parent"),
)

SHOWN = "a call that is let through"
"""It leaves the mark that those would which are let through by mistake."""


def marks(node: TestNode) -> list[str]:
    """Return what processes of functions hold that is a success."""
    assert node.process is not None
    found = []
    for zygote in zygotes_of(node.process.pid):
        todo = [zygote]
        while todo:
            for child in children(todo.pop()):
                todo.append(child)
                with contextlib.suppress(OSError):
                    name = Path(f"/proc/{child}/comm").read_text().strip()
                    found += [name] if name.startswith("won-") else []
                with contextlib.suppress(OSError):
                    held = [os.readlink(p) for p in Path(f"/proc/{child}/fd").iterdir()]
                    own = ("userfaultfd",) if node.restores else ()
                    found += [one for one in held if any(w in one for w in WON if w not in own)]
    return found


def kill_gateway(node: TestNode) -> None:
    gateway = gateway_of(node.process.pid)  # type: ignore[union-attr]
    if gateway is not None:
        os.kill(gateway, signal.SIGKILL)


def stop_gateway(node: TestNode) -> None:
    gateway = gateway_of(node.process.pid)  # type: ignore[union-attr]
    if gateway is not None:
        os.kill(gateway, signal.SIGSTOP)
        time.sleep(0.6)
        with contextlib.suppress(OSError):
            os.kill(gateway, signal.SIGCONT)


def kill_gateway_while_stopped(node: TestNode) -> None:
    """The supervisor, which would end the function, is stopped meanwhile."""
    assert node.process is not None
    os.kill(node.process.pid, signal.SIGSTOP)
    try:
        kill_gateway(node)
        time.sleep(0.8)
    finally:
        os.kill(node.process.pid, signal.SIGCONT)


def nothing(_: TestNode) -> None:
    time.sleep(0.3)


EVENTS: dict[str, Callable[[TestNode], None]] = {
    "while all is well": nothing,
    "when the gateway is killed": kill_gateway,
    "when the gateway is stopped": stop_gateway,
    "when the gateway is killed and the supervisor stopped": kill_gateway_while_stopped,
}


def one(node: TestNode, way: str, strike: Callable[[TestNode], None]) -> list[str]:
    """Strike in the middle of a call; look all the time at what it holds."""

    def invoke() -> None:
        with contextlib.suppress(httpx2.HTTPError):
            httpx2.post(
                f"{node.url}/invoke/t/f",
                json={"way": way, "seconds": 1.6},
                timeout=20,
                headers={"authorization": f"Bearer {node.key}"},
            )

    thread = threading.Thread(target=invoke)
    thread.start()
    found: list[str] = []
    time.sleep(0.25)
    striking = threading.Thread(target=strike, args=(node,))
    striking.start()
    end = time.monotonic() + 1.7
    while time.monotonic() < end:
        found += marks(node)
        time.sleep(0.02)
    striking.join()
    thread.join()
    node.wait_until(lambda: gateway_of(node.process.pid) is not None, 40)  # type: ignore[union-attr]
    return found


def ready(node: TestNode) -> None:
    def answers() -> bool:
        with contextlib.suppress(httpx2.HTTPError):
            return httpx2.get(f"{node.url}/api/v1/ready", timeout=5).status_code == 200
        return False

    node.wait_until(answers, 60)


def attempts(node: TestNode) -> Attempts:
    """Try each way at each event."""
    node.deploy(APP, limits='timeout = "10s"\nprocesses = 16', unguarded=True)
    for event, strike in EVENTS.items():
        ready(node)
        yield from shown(f"{SHOWN} {event}", bool(one(node, SHOWN, strike)), "no mark is seen")
        for way in NAMES:
            ready(node)
            found = one(node, way, strike)
            yield Attempt(f"{way} {event}", bool(found), str(found[:2]))
