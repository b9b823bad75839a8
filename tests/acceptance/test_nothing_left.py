"""Thousands of invocations, many of which die, leave nothing: no process, group, mount or file.

CASEMATE_SOAK=10000 sets how many; without it 280 are made, or as many as fit SOAK_SECONDS.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from casemate.model.processes import SANDBOX_UID
from casemate.supervisor.function_ids import DEFAULT_COUNT, DEFAULT_START
from support.node import TestNode, cgroups_of
from support.processes import children, gateway_of, memory, zygotes_of

ASKED = int(os.environ.get("CASEMATE_SOAK", "0"))
SOAK_CALLS = ASKED or 280
SOAK_SECONDS = 10.0
CALLERS = 6
LEFT = "zebra7-left"
SOAK = """
import ctypes, os, stat, threading, time

def ok(event):
    return event["n"]
def write_tmp(event):
    for folder in ("/tmp", "/dev/shm"):
        with open(f"{folder}/zebra7-left-{event['n']}", "w") as file:
            file.write("x" * 10_000)
    os.mkdir(f"/tmp/zebra7-left-folder-{event['n']}")
    return event["n"]
def leave_process(event):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(0)
    return event["n"]
def leave_thread(event):
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return event["n"]
def leave_descriptors(event):
    global held
    held = [os.memfd_create("left") for _ in range(20)] + [os.pipe() for _ in range(20)]
    return event["n"]
def fail(event):
    raise ValueError("on purpose")
def leave(event):
    os._exit(3)
def crash(event):
    ctypes.string_at(0)
def close_socket(event):
    for fd in range(3, 16):
        try:
            os.close(fd)
        except OSError:
            pass
    os._exit(0)
def garbage(event):
    for fd in range(3, 16):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.write(fd, b"garbage" * 10)
        except OSError:
            pass
    time.sleep(3600)
def overtime(event):
    time.sleep(3600)
def overeat(event):
    held = bytearray(64 << 20)
    for offset in range(0, len(held), 4096):
        held[offset] = 1
def handler(event, context):
    return globals()[event["do"]](event)
"""
LIMITS = 'memory = "32MB"\ntimeout = "500ms"\ntmp = "1MB"\nprocesses = 8\nconcurrency = 8'
QUIET = ["ok", "write_tmp", "leave_process", "leave_thread", "leave_descriptors"]
# On a loaded machine the time of what crashes or eats may be up first.
DEADLY = {
    "fail": (500,),
    "leave": (500,),
    "crash": (500, 504),
    "close_socket": (500,),
    "garbage": (500, 504),
    "overtime": (504,),
    "overeat": (500, 504),
}
PLAN = [do for deadly in DEADLY for do in (*QUIET, "ok", "ok", deadly)]


@dataclass(frozen=True)
class State:
    """What a node at rest has."""

    processes: int
    zygotes: frozenset[int]
    zygote_files: tuple[int, ...]
    zygote_mounts: tuple[int, ...]
    groups: int
    mounts: int
    supervisor_files: int
    gateway_files: int
    gateway_memory: int


def _files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _mounts(pid: int | str) -> int:
    return len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines())


def _groups(pid: int) -> list[Path]:
    """Return the folders of zygotes in each hierarchy."""
    return [child for root in cgroups_of(pid) for child in root.iterdir() if child.is_dir()]


def _rests(node: TestNode) -> bool:
    status = node.get("/node")
    return not (status["instances"] or status["spares"] or status["queued"])


def state(node: TestNode) -> State:
    """Return the node's state once it rests: no spares, no instances, no connections."""
    assert node.process is not None
    pid = node.process.pid
    node.client.close()
    node.client = httpx2.Client(timeout=60, headers={"authorization": f"Bearer {node.key}"})
    node.wait_until(lambda: _rests(node), 30)
    zygotes = zygotes_of(pid)
    # Supervisor, gateway, vault, recorder, monitor, the three of a base zygote; a restorer if there
    # is one.
    own = 8 + node.restores
    node.wait_until(lambda: len(node.processes()) == own + 2 * len(zygotes_of(pid)), 30)
    looks: list[list[int]] = []

    def are_files_settled() -> bool:
        """Tell whether a zygote has closed what it had of those that have ended, a moment after."""
        looks.append([_files(zygote) for zygote in sorted(zygotes)])
        return len(looks) > 20 and all(each == looks[-1] for each in looks[-20:])

    node.wait_until(are_files_settled, 30)
    gateway = gateway_of(pid)
    assert gateway is not None
    return State(
        processes=len(node.processes()),
        zygotes=frozenset(zygotes),
        zygote_files=tuple(_files(zygote) for zygote in sorted(zygotes)),
        zygote_mounts=tuple(_mounts(zygote) for zygote in sorted(zygotes)),
        groups=len(_groups(pid)),
        mounts=_mounts(pid),
        supervisor_files=_files(pid),
        gateway_files=_files(gateway),
        gateway_memory=memory(gateway, "VmRSS"),
    )


class Soak:
    """Makes calls from several threads until there are enough."""

    def __init__(self, node: TestNode) -> None:
        self._node = node
        self._count = SOAK_CALLS
        self._until = time.monotonic() + SOAK_SECONDS
        self._numbers = itertools.count()
        self._made = Counter[str]()
        self.wrong: list[tuple[str, int, str]] = []

    def _wanted(self, number: int) -> bool:
        if self.wrong:
            return False
        return number < self._count and (ASKED or time.monotonic() < self._until)

    def _call(self) -> None:
        headers = {"authorization": f"Bearer {self._node.key}"}
        with httpx2.Client(timeout=60, headers=headers) as client:
            while self._wanted(number := next(self._numbers)):
                do = PLAN[number % len(PLAN)]
                answer = client.post(f"{self._node.url}/invoke/t/f", json={"do": do, "n": number})
                if answer.status_code not in DEADLY.get(do, (200,)) or (
                    answer.status_code == 200 and answer.json() != number
                ):
                    self.wrong.append((do, answer.status_code, answer.text))
                self._made[do] += 1

    def run(self) -> Counter[str]:
        threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self._made


def files_left(root: Path) -> list[str]:
    """Return what functions left below a folder of the host: by name, or by owner."""
    found = []
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = os.path.join(folder, name)
            try:
                owner = os.lstat(path).st_uid
            except OSError:
                continue
            of_function = DEFAULT_START <= owner < DEFAULT_START + DEFAULT_COUNT
            if LEFT in name or owner == SANDBOX_UID or of_function:
                found.append(path)
    return found


@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("no_shared_node")
def test_nothing_is_left(fresh_node: TestNode) -> None:
    node = fresh_node
    assert node.process is not None
    pid = node.process.pid
    own_mounts = _mounts("self")
    node.deploy(SOAK, limits=LIMITS, unguarded=True)
    for do in QUIET + list(DEADLY):
        node.invoke({"do": do, "n": 0})
    before = state(node)

    soak = Soak(node)
    made = soak.run()
    assert not soak.wrong, soak.wrong
    assert made.total() >= (SOAK_CALLS if ASKED else len(PLAN))
    after = state(node)
    print(f"{made.total()} invocations: {dict(made)}\nbefore {before}\nafter  {after}")

    assert after.processes == before.processes
    assert after.zygotes == before.zygotes, "a function's death ended its zygote"
    assert after.zygote_files == before.zygote_files
    assert after.zygote_mounts == before.zygote_mounts
    assert after.mounts == before.mounts
    assert after.groups == before.groups == len(cgroups_of(pid)) * len(after.zygotes)
    for group in _groups(pid):
        slots = [slot for slot in group.iterdir() if slot.is_dir()]
        # At most 8 busy ones, 8 spares, and a few whose dead are not yet reaped.
        assert len(slots) <= 40, "slots are not used again"
    # Detached /tmp mounts are made eight at a time.
    assert abs(after.supervisor_files - before.supervisor_files) <= 8
    assert abs(after.gateway_files - before.gateway_files) <= 4
    assert after.gateway_memory - before.gateway_memory < 32 << 20
    lost = node.get("/node")["lost_records"]
    assert lost == 0
    assert files_left(Path("/tmp")) == []
    assert files_left(node.data) == []

    everything = node.processes()
    assert node.stop() == 0
    node.wait_until(lambda: not _alive(everything))
    assert cgroups_of(pid) == []
    assert _mounts("self") == own_mounts
    assert files_left(Path("/tmp")) == []
    stage = Path("/run/casemate")
    assert not stage.exists() or list(stage.iterdir()) == []


@pytest.mark.parametrize("who", ["gateway", "supervisor"])
def test_nothing_is_left_after_a_kill(fresh_node: TestNode, who: str) -> None:
    """With the supervisor or the gateway killed, no process of a function goes on."""
    node = fresh_node
    assert node.process is not None
    pid = node.process.pid
    node.deploy(SOAK, limits=LIMITS.replace("500ms", "30s"), unguarded=True)
    call = threading.Thread(target=_ignore_errors, args=(node,))
    call.start()
    node.wait_until(lambda: node.get("/node")["instances"] == 1)
    before = node.processes()
    instances = [i for zygote in zygotes_of(pid) for i in children(zygote)]
    assert instances
    if who == "gateway":
        gateway = gateway_of(pid)
        assert gateway is not None
        os.kill(gateway, 9)
        call.join()
        node.wait_until(lambda: not _alive(instances))
        node.wait_until(lambda: gateway_of(pid) not in (None, gateway))
        node.wait_until(lambda: node.invoke({"do": "ok", "n": 1}).status_code == 200)
        assert node.stop() == 0
        assert cgroups_of(pid) == []
    else:
        node.process.kill()
        node.process.wait()
        node.process.stdout.close()
        node.process = None
        call.join()
        node.wait_until(lambda: not _alive(before))
        # Nobody is left to remove the groups: the next start does.
        node.start()
        assert node.invoke({"do": "ok", "n": 1}).status_code == 200
        assert cgroups_of(pid) == []


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def _ignore_errors(node: TestNode) -> None:
    headers = {"authorization": f"Bearer {node.key}"}
    try:
        httpx2.post(f"{node.url}/invoke/t/f", json={"do": "overtime"}, headers=headers, timeout=60)
    except httpx2.HTTPError:
        return
