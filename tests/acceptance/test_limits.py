"""Every limit of a function is enforced: each test fails on a node that ignores it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from casemate.model.function import Limits
from support.node import TestNode, cgroups_of
from support.processes import zygotes_of
from support.shared_node import empty

MIB = 1 << 20
PROBE = """
import ctypes, mmap, os, threading, time

def memory(event, context):
    held = bytearray(event["bytes"])
    for offset in range(0, len(held), 4096):
        held[offset] = 1
    return len(held)

def cpu(event, context):
    end = event.get("end") or time.monotonic() + event["seconds"]
    while time.monotonic() < end:
        pass
    return time.process_time()

def cpu_of_many(event, context):
    # Several processes share what one instance may use; all end at once, whenever each began.
    ends, event = [], {"end": time.monotonic() + event["seconds"]}
    for _ in range(3):
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, str(cpu(event, context)).encode())
            os._exit(0)
        ends.append(read)
    return sum(float(os.read(end, 100)) for end in ends)

def forks(event, context):
    made = 0
    while True:
        try:
            if os.fork() == 0:
                time.sleep(3600)
        except BlockingIOError:
            return made
        made += 1

def threads(event, context):
    made, stop = 0, threading.Event()
    try:
        while True:
            threading.Thread(target=stop.wait, daemon=True).start()
            made += 1
    except RuntimeError:
        return made

def threads_in_forks(event, context):
    # A process of its own does not bring a count of its own.
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, str(threads(event, context)).encode())
        os._exit(0)
    return int(os.read(read, 100))

def open_files(event, context):
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        return [error.errno, max(held)]

def raise_limit(event, context):
    import resource
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 65536))
    except (ValueError, OSError):
        return open_files(event, context)

def sleep(event, context):
    time.sleep(event["seconds"])
    return "slept"

def remaining(event, context):
    return [context.remaining(), context.get_remaining_time_in_millis()]

def tmp(event, context):
    written = 0
    try:
        with open("/tmp/file", "wb", buffering=0) as file:
            while True:
                written += file.write(bytes(4096))
    except OSError as error:
        return [error.errno, written]

def tmp_files(event, context):
    made = 0
    try:
        while True:
            os.close(os.open(f"/tmp/{made}", os.O_CREAT | os.O_WRONLY))
            made += 1
    except OSError as error:
        return [error.errno, made]

def memory_in_memfd(event, context):
    # Pages without a process that maps them count as well.
    descriptor = os.memfd_create("held")
    written = 0
    while written < event["bytes"]:
        written += os.write(descriptor, bytes(1 << 16))
    return written

def memory_shared(event, context):
    held = mmap.mmap(-1, event["bytes"], mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    for offset in range(0, len(held), 4096):
        held[offset] = 1
    return len(held)

def result(event, context):
    return "x" * (event["bytes"] - 2)

def size(event, context):
    return len(event["text"])

def output(event, context):
    for number in range(event["lines"]):
        print(f"{number:09d}")

def log(event, context):
    for number in range(event["lines"]):
        context.log.info(f"{number:09d}")

def handler(event, context):
    return globals()[event["do"]](event, context)
"""
LIMITS = """
memory = "48MB"
cpu = 0.5
processes = 8
open_files = 32
timeout = "3s"
tmp = "1MB"
request = "8KB"
response = "16KB"
log = "2KB"
"""
COVERED = {
    "memory": ["memory", "memory_in_memfd", "memory_shared"],
    "cpu": ["cpu", "cpu_of_many"],
    "processes": ["forks", "threads", "threads_in_forks"],
    "open_files": ["open_files", "raise_limit"],
    "timeout": ["sleep"],
    "tmp": ["tmp", "tmp_files"],
    "request": ["size"],
    "response": ["result"],
    "log": ["output", "log"],
    "concurrency": [],
    "queue": [],
    "queue_time": [],
    "keep": [],
    "warm": [],
}
"""Limit to the attempts against it here; those without have a test of their own below."""


@pytest.fixture(scope="module")
def limited(node: TestNode) -> TestNode:
    """The node with a function of small limits."""
    node.deploy(PROBE, name="probe", limits=LIMITS, unguarded=True)
    return node


def attempt(node: TestNode, do: str, **event: Any) -> httpx2.Response:
    return node.invoke({"do": do, **event}, function="t/probe")


def value(node: TestNode, do: str, **event: Any) -> Any:
    answer = attempt(node, do, **event)
    assert answer.status_code == 200, node.error(answer)
    return answer.json()


def test_no_limit_is_left_out() -> None:
    assert set(COVERED) == set(Limits.__struct_fields__)


# -- memory, cpu, processes, files, /tmp -------------------------------------------------------


@pytest.mark.parametrize("do", COVERED["memory"])
def test_memory(limited: TestNode, do: str) -> None:
    assert value(limited, do, bytes=32 * MIB) == 32 * MIB
    answer = attempt(limited, do, bytes=64 * MIB)
    assert answer.status_code == 500
    assert limited.outcome(answer) == "out-of-memory"


def test_what_is_in_tmp_counts_as_memory(node: TestNode) -> None:
    node.deploy(PROBE, name="big-tmp", limits='memory = "32MB"\ntmp = "256MB"', unguarded=True)
    node.invoke({"do": "sleep", "seconds": 0}, function="t/big-tmp")
    node.wait_until(lambda: node.get("/node")["spares"] > 0)
    answer = node.invoke({"do": "tmp"}, function="t/big-tmp")
    assert node.outcome(answer) == "out-of-memory"


FILL = """
# {number}
held = bytearray(b"x") * (8 << 20)
def handler(event, context):
    global held
    held = None  # now the zygote is the larger of the two, and /tmp is nobody's
    with open("/tmp/file", "wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
"""


def test_an_instance_out_of_memory_does_not_take_its_zygote_along(node: TestNode) -> None:
    """Unless it is quicker than the supervisor, which busy machines have seen."""
    limits = 'memory = "16MB"\ntmp = "64MB"'
    for number in range(12):  # the first call after a deploy finds no spare instance
        node.deploy(FILL.format(number=number), name="fill", limits=limits)
        answer = node.invoke({}, function="t/fill")
        assert node.outcome(answer) == "out-of-memory", node.error(answer)
    assert node.errors.read_text().count(" of t/fill is ended") <= 4


def test_memory_of_the_import_is_not_the_instances(node: TestNode) -> None:
    """The zygote's pages are shared; what an instance adds is what its limit is for."""
    node.deploy(
        "held = b'x' * (24 << 20)\n" + PROBE,
        name="large-import",
        limits='memory = "32MB"',
        unguarded=True,
    )
    for _ in range(3):
        event = {"do": "memory", "bytes": 16 * MIB}
        answer = node.invoke(event, function="t/large-import")
        assert answer.status_code == 200, node.error(answer)


@pytest.mark.parametrize("do", COVERED["cpu"])
def test_cpu(limited: TestNode, do: str) -> None:
    """Half a core: a busy second has half a second of processor time in it, or less."""
    used = value(limited, do, seconds=1.5)
    assert used < 1.5 * 0.5 * 1.35


def held_back(node: TestNode) -> float | None:
    """Return for how many seconds a limit held back a node's functions; None if nobody counts."""
    assert node.process is not None
    found: list[float] = []
    for root in cgroups_of(node.process.pid):
        for file in root.glob("**/cpu.stat"):
            with suppress(OSError):
                figures = dict(line.split() for line in file.read_text().splitlines())
                if "throttled_usec" in figures:
                    found.append(int(figures["throttled_usec"]) / 1e6)
                elif "throttled_time" in figures:
                    found.append(int(figures["throttled_time"]) / 1e9)
    return sum(found) if found else None


def test_cpu_of_a_whole_core(node: TestNode) -> None:
    """The same loop without the small limit gets more, so the limit is what held it."""
    node.deploy(PROBE, name="whole-core", limits="cpu = 1.0\ntimeout = '5s'", unguarded=True)
    event = {"do": "cpu", "seconds": 1.5}
    node.invoke({"do": "sleep", "seconds": 0}, function="t/whole-core")
    before = held_back(node)
    # Others may want the cores at the same time: once is enough.
    tries = (node.invoke(event, function="t/whole-core").json() for _ in range(6))
    if any(used > 1.5 * 0.5 * 1.35 for used in tries):
        return
    # They want them all the time: then nothing but them kept it from a whole core.
    after = held_back(node)
    assert before is not None and after is not None, "others want the cores"
    assert after - before < 0.1


@pytest.mark.parametrize("do", COVERED["processes"])
def test_processes(limited: TestNode, do: str) -> None:
    made = value(limited, do)
    # The instance itself is one of the eight; the zygote's place may be free for it.
    assert 5 <= made <= 8


@pytest.mark.parametrize("do", COVERED["open_files"])
def test_open_files(limited: TestNode, do: str) -> None:
    errno, highest = value(limited, do)
    assert errno == 24
    assert highest == 31


def test_tmp(limited: TestNode) -> None:
    errno, written = value(limited, "tmp")
    assert errno == 28
    assert MIB // 2 <= written <= MIB


def test_files_in_tmp_are_counted(limited: TestNode) -> None:
    errno, made = value(limited, "tmp_files")
    assert errno == 28
    assert 100 <= made <= 1000


# -- time --------------------------------------------------------------------------------------


def test_timeout(node: TestNode) -> None:
    node.deploy(PROBE, name="short", limits='timeout = "2s"', unguarded=True)
    quick = node.invoke({"do": "sleep", "seconds": 0.05}, function="t/short")
    assert quick.json() == "slept"
    started = time.monotonic()
    slow = node.invoke({"do": "sleep", "seconds": 60}, function="t/short")
    assert 2 <= time.monotonic() - started < 30
    assert slow.status_code == 504
    assert node.outcome(slow) == "timeout"
    seconds, milliseconds = node.invoke({"do": "remaining"}, function="t/short").json()
    assert 0 < seconds <= 2
    assert 0 < milliseconds <= 2000


# -- sizes -------------------------------------------------------------------------------------


def test_request(limited: TestNode) -> None:
    overhead = len('{"do":"size","text":""}')
    at_limit = attempt(limited, "size", text="x" * (8192 - overhead))
    assert (at_limit.status_code, at_limit.json()) == (200, 8192 - overhead)
    over = attempt(limited, "size", text="x" * (8192 - overhead + 1))
    assert over.status_code == 413
    assert over.headers["content-type"] == "application/problem+json"


def test_a_request_without_a_length_is_cut(limited: TestNode) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(9):
            yield b" " * 1024

    answer = limited.client.post(f"{limited.url}/invoke/t/probe", content=chunks())
    assert answer.status_code == 413


def test_response(limited: TestNode) -> None:
    assert len(attempt(limited, "result", bytes=16384).content) == 16384
    over = attempt(limited, "result", bytes=16385)
    assert over.status_code == 500
    assert limited.outcome(over) == "response-too-large"


@pytest.mark.parametrize("do", COVERED["log"])
def test_log(limited: TestNode, do: str) -> None:
    def lines(count: int) -> list[dict[str, Any]]:
        answer = attempt(limited, do, lines=count)
        assert answer.status_code == 200
        logs = limited.client.get(
            f"{limited.url}/api/v1/logs", params={"invocation": answer.headers["x-request-id"]}
        )
        return [httpx2.Response(200, content=line).json() for line in logs.iter_lines()]

    within = lines(200)
    assert [line["text"] for line in within] == [f"{n:09d}" for n in range(200)]
    over = lines(5000)
    kept = [line for line in over if line["text"].isdigit()]
    assert 2000 < sum(len(line["text"]) + 1 for line in kept) - 1 <= 2048
    assert [line["text"] for line in kept][:204] == [f"{n:09d}" for n in range(204)]
    marker = over[-1]
    assert marker["level"] == "warning"
    assert f"{5000 * 10 - 2048} bytes" in marker["text"]


# -- how many at once --------------------------------------------------------------------------


class Callers:
    """Calls one function from many threads, each with a connection of its own."""

    def __init__(self, node: TestNode, function: str) -> None:
        self._node = node
        self._function = function
        self._pool = ThreadPoolExecutor(32)

    def call(self, event: dict[str, Any]) -> Future[tuple[httpx2.Response, float]]:
        return self._pool.submit(self._call, event)

    def _call(self, event: dict[str, Any]) -> tuple[httpx2.Response, float]:
        started = time.monotonic()
        answer = httpx2.post(
            f"{self._node.url}/invoke/{self._function}",
            json=event,
            headers={"authorization": f"Bearer {self._node.key}"},
            timeout=60,
        )
        return answer, time.monotonic() - started

    def __enter__(self) -> Callers:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


SPAN = """
import time
def handler(event, context):
    started = time.time()
    time.sleep(event["seconds"])
    return [started, time.time()]
"""


LONGER = (1.0, 5.0, 15.0)
"""How long a call runs that others are to meet: on a busy machine these come late."""


def overlap(spans: list[list[float]]) -> int:
    """Return how many spans there were at the fullest moment."""
    edges = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    most = now = 0
    for _, change in edges:
        now += change
        most = max(most, now)
    return most


@pytest.mark.parametrize("isolation", ["request", "instance"])
def test_concurrency(node: TestNode, isolation: str) -> None:
    name = f"span-{isolation}"
    settings = f'isolation = "{isolation}"'
    node.deploy(SPAN, name=name, settings=settings, limits="concurrency = 3")
    for seconds in LONGER:
        with Callers(node, f"t/{name}") as callers:
            calls = [callers.call({"seconds": seconds / 6}) for _ in range(12)]
            answers = [call.result()[0] for call in calls]
        assert [a.status_code for a in answers] == [200] * 12
        at_once = overlap([a.json() for a in answers])
        assert at_once <= 3
        if at_once == 3:
            return
    raise AssertionError("there were never three at once")


def busy(node: TestNode) -> int:
    return int(node.get("/node")["instances"])


def test_queue(node: TestNode) -> None:
    node.deploy(SPAN, name="queued", limits='concurrency = 1\nqueue = 2\nqueue_time = "20s"')
    assert any(_met_a_full_queue(node, seconds) for seconds in LONGER), "they always came too late"


def _met_a_full_queue(node: TestNode, seconds: float) -> bool:
    """Look at a call that meets a full queue; False if the one that runs has ended before."""
    with Callers(node, "t/queued") as callers:
        running = callers.call({"seconds": seconds})
        node.wait_until(lambda: busy(node) == 1 or running.done())
        waiting = [callers.call({"seconds": 0}) for _ in range(2)]
        node.wait_until(lambda: node.get("/node")["queued"] == 2 or running.done())
        refused, _ = callers.call({"seconds": 0}).result()
        met = not running.done()
        assert [c.result()[0].status_code for c in (running, *waiting)] == [200] * 3
    if met:
        # It did not wait for the one that ran on.
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert node.outcome(refused) == "throttled"
    return met


NOT_WAITING = (
    "a call counts against the queue while its instance starts, even if there is room for one"
)


def test_a_queue_of_none_refuses_only_what_would_wait(node: TestNode) -> None:
    node.deploy(SPAN, name="unqueued", limits="concurrency = 1\nqueue = 0")
    for seconds in LONGER:
        with Callers(node, "t/unqueued") as callers:
            running = callers.call({"seconds": seconds / 2})
            node.wait_until(lambda running=running: busy(node) == 1 or running.done())
            refused, _ = callers.call({"seconds": 0}).result()
            met = not running.done()
            assert running.result()[0].status_code == 200
        if met:
            assert refused.status_code == 429
            return
    raise AssertionError("the other one always came too late")


def test_the_queue_is_for_calls_beyond_the_concurrency(node: TestNode) -> None:
    node.deploy(SPAN, name="burst", limits="concurrency = 8\nqueue = 1")
    with Callers(node, "t/burst") as callers:
        calls = [callers.call({"seconds": 0.3}) for _ in range(8)]
        assert [call.result()[0].status_code for call in calls] == [200] * 8


def test_queue_time(node: TestNode) -> None:
    node.deploy(SPAN, name="patience", limits='concurrency = 1\nqueue_time = "300ms"')
    for longer in LONGER:
        with Callers(node, "t/patience") as callers:
            running = callers.call({"seconds": 1.5 * longer})
            node.wait_until(lambda running=running: busy(node) == 1 or running.done())
            refused, seconds = callers.call({"seconds": 0}).result()
            met = not running.done()
            assert running.result()[0].status_code == 200
        if met:
            assert seconds >= 0.3
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            return
    raise AssertionError("it always came too late to wait")


# -- how long it is kept -----------------------------------------------------------------------


def _folders(pid: int) -> set[str]:
    """Return the names of the groups of zygotes below a supervisor's, slots left out."""
    return {child.name for root in cgroups_of(pid) for child in root.iterdir() if child.is_dir()}


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    """A node on which there is nothing but what a test of the time kept deploys."""
    running = TestNode(tmp_path_factory.mktemp("idle") / "data").start()
    yield running
    running.close()


@pytest.mark.parametrize("isolation", ["request", "instance"])
def test_keep(idle: TestNode, isolation: str) -> None:
    assert idle.process is not None
    pid = idle.process.pid
    empty(idle)
    supervisor_files = _counter(Path(f"/proc/{pid}/fd"))
    idle.wait_until(lambda: len(zygotes_of(pid)) == 1)  # a blank one
    idle.deploy(SPAN, settings=f'isolation = "{isolation}"', limits='keep = "1s"')
    idle.wait_until(lambda: len(zygotes_of(pid)) == 2)
    assert idle.invoke({"seconds": 0}).status_code == 200
    files = supervisor_files()
    idle.wait_until(lambda: len(zygotes_of(pid)) == 1)
    idle.wait_until(lambda: len(_folders(pid)) == 1)
    idle.wait_until(lambda: supervisor_files() < files)
    status = idle.get("/node")
    assert (status["zygotes"], status["instances"], status["spares"]) == (0, 0, 0)
    # It comes back with the next call.
    again = idle.invoke({"seconds": 0})
    assert again.status_code == 200
    assert idle.get(f"/invocations/{again.headers['x-request-id']}")["cold"]


def _counter(folder: Path) -> Callable[[], int]:
    """Return what counts the descriptors of a process, but for the mounts that it makes ahead."""

    def opened() -> Iterator[str]:
        for descriptor in folder.iterdir():
            with suppress(FileNotFoundError):  # it was closed meanwhile
                yield os.readlink(descriptor)

    return lambda: sum(target != "/" for target in opened())
