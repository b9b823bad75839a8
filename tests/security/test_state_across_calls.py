"""What a module opens at import is an instance's own, or an error of the import."""

from __future__ import annotations

import re
from typing import Any

import pytest

from support.node import TestNode

SHARES_NODE = True
CALLS = 3


def calls(node: TestNode, name: str, source: str, event: Any = None) -> list[Any]:
    """Deploy a function and return what each of its calls answers."""
    node.deploy(source, name=name, unguarded=True)
    answers = []
    for _ in range(CALLS):
        answer = node.invoke(event, function=f"t/{name}")
        assert answer.status_code == 200, node.error(answer)
        answers.append(answer.json())
    return answers


def refused(node: TestNode, name: str, source: str) -> str:
    """Deploy a function that is refused; return what its owner is told."""
    problem = node.deploy(source, name=name, unguarded=True, expect=422)
    failure = problem["failure"]
    return f"{failure['type']}: {failure['message']}"


SEPARATED = {
    "file": """
FILE = open(__file__)
FILE.readline()
def handler(event, context):
    return FILE.readline() + FILE.read(100)
""",
    "descriptor": """
import os
FD = os.open(__file__, os.O_RDONLY)
os.lseek(FD, 3, os.SEEK_SET)
def handler(event, context):
    return os.read(FD, 1000).decode()
""",
    "folder": """
import os
FD = os.open(os.path.dirname(__file__), os.O_RDONLY)
def handler(event, context):
    with os.scandir(FD) as entries:
        return sorted(e.name for e in entries if not e.name.startswith("_"))
""",
    "zip": """
import io, os, zipfile
with zipfile.ZipFile("/tmp/data.zip", "w") as made:
    made.writestr("a", "text " * 1000)
FILE = zipfile.ZipFile("/tmp/data.zip")
def handler(event, context):
    with FILE.open("a") as one:
        return one.read(2000).decode()
""",
    "sqlite": """
import sqlite3
made = sqlite3.connect("/tmp/made.db")
made.execute("create table t (x)")
made.executemany("insert into t values (?)", [(str(n) * 100,) for n in range(100)])
made.commit()
made.close()
DB = sqlite3.connect("file:/tmp/made.db?mode=ro", uri=True, check_same_thread=False)
def handler(event, context):
    return DB.execute("select count(*), max(x) from t").fetchone()
""",
    "mapped-file": """
import mmap
with open(__file__, "rb") as file:
    MAP = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
def handler(event, context):
    return MAP.read(20).decode()
""",
    "private-memory": """
import mmap
MAP = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
def handler(event, context):
    before = MAP[0]
    MAP[0] = before + 1
    return before
""",
    "device": """
RANDOM = open("/dev/urandom", "rb")
def handler(event, context):
    return len(RANDOM.read(8))
""",
    "output": """
import os
OUT = os.fdopen(os.dup(1), "w")
def handler(event, context):
    OUT.write("copied\\n")
    OUT.flush()
    return 1
""",
    "socket": """
import socket
SOCK = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
SOCK.settimeout(1)
SOCK.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
def handler(event, context):
    before = SOCK.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    SOCK.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return [before, SOCK.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST), SOCK.gettimeout()]
""",
    "event-loop": """
import asyncio, os
LOOP = asyncio.new_event_loop()
async def work():
    reading, writing = os.pipe()
    got = LOOP.create_future()
    LOOP.add_reader(reading, lambda: got.done() or got.set_result(os.read(reading, 10)))
    LOOP.call_later(0.01, os.write, writing, b"x")
    LOOP.call_soon_threadsafe(lambda: None)
    return (await got).decode()
def handler(event, context):
    return LOOP.run_until_complete(work())
""",
    "used-event-loop": """
import asyncio
LOOP = asyncio.new_event_loop()
LOOP.run_until_complete(asyncio.sleep(0))
LOOP.call_soon_threadsafe(lambda: None)
async def work():
    async with asyncio.timeout(5):
        return await asyncio.to_thread(lambda: "done")
def handler(event, context):
    return LOOP.run_until_complete(work())
""",
    "closed-again": """
import mmap, os, socket, tempfile
with tempfile.TemporaryFile() as file:
    file.write(b"x")
mmap.mmap(-1, 4096).close()
a, b = socket.socketpair()
a.close(); b.close()
def handler(event, context):
    return 1
""",
    "semaphore-tried": """
import multiprocessing.synchronize
lock = multiprocessing.Lock()
del lock
def handler(event, context):
    return multiprocessing.Lock().acquire()
""",
}


@pytest.mark.parametrize("name", SEPARATED)
def test_it_is_each_call_s_own(node: TestNode, name: str) -> None:
    answers = calls(node, name, SEPARATED[name])
    assert answers == [answers[0]] * CALLS
    assert answers[0] not in (None, "", [])


REFUSED = {
    "written-file": ('FILE = open("/tmp/app.log", "a")', "can be written.*app.log"),
    "log-file": (
        'import logging\nlogging.basicConfig(filename="/tmp/app.log")',
        "can be written.*app.log",
    ),
    "both-ways": ('FILE = open("/tmp/x", "w+")', "can be written"),
    "unnamed-file": ("import tempfile\nFILE = tempfile.TemporaryFile()", "can be written"),
    "unlinked-file": (
        'import os\nopen("/tmp/x", "w").close()\nFILE = open("/tmp/x")\nos.unlink("/tmp/x")',
        "without a name",
    ),
    "memory-file": ('import os\nFD = os.memfd_create("m")', "can be written"),
    "database": (
        'import sqlite3\nDB = sqlite3.connect("/tmp/x.db")\nDB.execute("create table t (x)")',
        "can be written",
    ),
    "pipe": ("import os\nFDS = os.pipe()", "a pipe"),
    "pair": ("import socket\nPAIR = socket.socketpair()", "a pair of sockets"),
    "epoll": ("import select\nE = select.epoll()", "an epoll"),
    "eventfd": ("import os\nFD = os.eventfd(0)", "an epoll, eventfd"),
    "selector": ("import selectors\nS = selectors.DefaultSelector()", "an epoll"),
    "shared-memory": ("import mmap\nMAP = mmap.mmap(-1, 8192)", "8192 bytes of shared memory"),
    "shared-zero": (
        "import ctypes, os\nFD = os.open('/dev/zero', os.O_RDWR)\n"
        "L = ctypes.CDLL(None)\nL.mmap.restype = ctypes.c_void_p\n"
        "L.mmap(None, ctypes.c_size_t(4096), 3, 1, FD, ctypes.c_long(0))\nos.close(FD)",
        "shared memory.*zero",
    ),
    "mapped-memory-file": (
        "import ctypes, os\nFD = os.memfd_create('m')\nos.ftruncate(FD, 4096)\n"
        "L = ctypes.CDLL(None)\nL.mmap.restype = ctypes.c_void_p\n"
        "L.mmap(None, ctypes.c_size_t(4096), 3, 1, FD, ctypes.c_long(0))\nos.close(FD)",
        "shared memory.*memfd:m",
    ),
    "readable-only-now": (
        "import ctypes, os\nFD = os.open('/tmp/x', os.O_RDWR | os.O_CREAT)\n"
        "os.ftruncate(FD, 4096)\n"
        "L = ctypes.CDLL(None)\nL.mmap.restype = ctypes.c_void_p\n"
        "L.mmap(None, ctypes.c_size_t(4096), 1, 1, FD, ctypes.c_long(0))\nos.close(FD)",
        "shared memory",
    ),
    "lock": ("import multiprocessing\nLOCK = multiprocessing.Lock()", "shared memory"),
    "value": ("import multiprocessing\nV = multiprocessing.Value('i', 0)", "can be written|shared"),
    "child": (
        "import os, time\nif os.fork() == 0:\n    time.sleep(60)\n    os._exit(0)",
        "ProcessAtImportError",
    ),
    "orphan": (
        "import os, time\nif os.fork() == 0:\n    if os.fork() == 0:\n        time.sleep(60)\n"
        "    os._exit(0)\nos.wait()",
        "processes that go on",
    ),
}  # fmt: skip
ORDINARY = ("log-file", "pipe", "shared-memory", "shared-zero", "readable-only-now", "lock")
ORDINARY += ("child", "orphan")
"""The others differ in what the zygote sees by itself, which its unit tests show one by one."""
HANDLER = "\ndef handler(event, context):\n    return 1\n"


@pytest.mark.parametrize(
    "name",
    [n if n in ORDINARY else pytest.param(n, marks=pytest.mark.storm) for n in REFUSED],
)
def test_it_is_an_error_of_the_import(node: TestNode, name: str) -> None:
    source, expected = REFUSED[name]
    told = refused(node, name, source + HANDLER)
    assert re.search(expected, told), told
    assert "trust" in told and "handler" in told


@pytest.mark.parametrize("name", ["written-file", "lock"])
def test_with_low_trust_each_instance_has_its_own(node: TestNode, name: str) -> None:
    source, _ = REFUSED[name]
    node.deploy(source + HANDLER, name=f"low-{name}", settings='trust = "low"', unguarded=True)
    for _ in range(2):
        assert node.invoke(function=f"t/low-{name}").json() == 1
