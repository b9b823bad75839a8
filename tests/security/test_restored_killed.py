"""A restorer that is killed at each of its steps, or is sent what nobody would: no call of anybody
finds another's data.

Each step is a system call of the restorer's own, before which it is killed.
"""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from casemate.kernel import linux, tracing
from casemate.kernel.process_files import open_process
from casemate.restorer.probe import restoring_problem
from casemate.restorer.protocol import ASKED, GATEWAY, HELD, HOLD, REQUEST, TOLD, Report
from casemate.restorer.reasons import Reason
from support.asked_restorer import (
    CPU_BEFORE,
    NAME,
    Ready,
    Restorer,
    ask,
    hold,
    make_ready,
    report,
)
from support.node import TestNode
from support.restored import RestoredChild

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(restoring_problem()), reason=restoring_problem()),
]
_TO_NEXT_CALL = 24
"""PTRACE_SYSCALL."""
_PLANTS = "state['x'] = 1; state['y'] = 'z' * 100_000; ctypes.memset(AREA, 67, 9000)"
_LOOKS = "result = [len(state), area.raw[:2].hex()]"
_PREPARES = "# ONCE\narea = ctypes.create_string_buffer(9000); AREA = ctypes.addressof(area)"
_PRISTINE = [0, "0000"]
_LATE = (Reason.NOT_WAITING, Reason.NOT_STOPPING)
_UNANSWERED_SECONDS, _STARTED_SECONDS = 60, 300
_RESTORED_SECONDS = 100
"""A function that had forks for half a minute has had time for some more tries."""


class Stepped:
    """A process of which each system call can be stopped at. From one thread."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        tracing.seize(pid, 0)
        tracing.interrupt(pid)
        self._stop()

    def _stop(self) -> int:
        _, status = os.waitpid(self.pid, tracing.WALL)
        if not os.WIFSTOPPED(status):
            raise ProcessLookupError
        return status

    def kill_before(self, number: int, begin: Callable[[], None], done: Callable[[], bool]) -> int:
        """Kill it before its call of that number after `begin`, or once `done` says so.

        Returns how many calls it has made.
        """
        begun = False
        made = 0
        while True:
            if not begun:
                begin()
                begun = True
            tracing._ptrace(_TO_NEXT_CALL, self.pid)
            status = self._stop()
            if os.WSTOPSIG(status) != signal.SIGTRAP or status >> 16:
                continue
            made += 1  # each is stopped at twice: before it, and behind it
            if made // 2 >= number or done():
                os.kill(self.pid, signal.SIGKILL)
                return made // 2


def _killed_before(number: int) -> tuple[int, str]:
    """Kill a restorer before its call of that number since a call has begun; what came of it?"""
    restorer, child = Restorer(), RestoredChild(prepare=_PREPARES)
    try:
        assert hold(restorer, child).kind == HELD
        child.go()
        make_ready(restorer)
        stepped = Stepped(restorer.process.pid)

        def begin() -> None:
            child.send(_PLANTS)
            ask(restorer)

        told_of = bytearray()

        def done() -> bool:
            if select.select([restorer.gateway], [], [], 0)[0]:
                with suppress(ConnectionResetError):
                    told_of.extend(restorer.gateway.recv(TOLD.size))
            return bool(told_of)

        made = stepped.kill_before(number, begin, done)
        os.waitpid(restorer.process.pid, tracing.WALL)
        done()
        return made, _outcome(child, said_ready=bool(told_of))
    finally:
        restorer.close()
        child.close()


def _outcome(child: RestoredChild, *, said_ready: bool) -> str:
    """Return what becomes of one whose restorer has ended; whatever serves is as it was."""
    assert child.answer() is None  # of the call that has planted: it is not lost
    try:
        found = child.call(_LOOKS)
    except (EOFError, OSError):
        return "ended"
    assert found == _PRISTINE
    return "told" if said_ready else "set back"


# A sixth of them; all of them in the long run.
@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.storm)])
def test_killed_before_each_of_its_calls(every: int) -> None:
    whole, outcome = _killed_before(1 << 30)
    assert whole > 30 and outcome == "told"
    came = Counter(_killed_before(number)[1] for number in range(1, whole + 1, every))
    assert came["ended"] > 0


# -- what it is sent ---------------------------------------------------------------------------


def _junk(chance: random.Random) -> bytes:
    """Return some records of a gateway's, whole ones: another would have all after it be others."""
    names = [NAME, (NAME[0], 9), (9, NAME[1]), (chance.getrandbits(32), chance.getrandbits(32))]
    return b"".join(ASKED.pack(*chance.choice(names)) for _ in range(chance.choice((1, 3, 2000))))


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(n, marks=pytest.mark.storm) for n in range(2, 20))]
)
def test_whatever_a_gateway_says(seed: int) -> None:
    """One goes on at home and set back only, whenever and however often it is asked for."""
    chance, came = random.Random(seed), Counter[str]()
    restorer, child = Restorer(), RestoredChild(prepare=_PREPARES)
    try:
        assert hold(restorer, child).kind == HELD
        child.go()
        for turn in range(60):
            restorer.gateway.setblocking(False)
            for _ in range(chance.randrange(4)):
                with suppress(BlockingIOError):
                    restorer.gateway.send(_junk(chance))
                if chance.random() < 0.2:
                    with suppress(BlockingIOError):
                        socket.send_fds(restorer.gateway, [ASKED.pack(9, 9)], [0, 1])
            restorer.gateway.settimeout(30)
            ask(restorer)
            try:
                child.send(_LOOKS if turn % 2 else _PLANTS)
                found = child.answer()
            except (EOFError, OSError):
                # Discarded, as it had no processor for too long: nothing of it is found.
                assert report(restorer).reason in _LATE
                came["late"] += 1
                child.close()
                child = RestoredChild(prepare=_PREPARES)
                assert hold(restorer, child, turn + 2).kind == HELD
                child.go()
                continue
            came["right"] += 1
            assert found == (_PRISTINE if turn % 2 else None)
            while select.select([restorer.gateway], [], [], 0)[0]:
                restorer.gateway.recv(1 << 20)
        restorer.gateway.sendall(chance.randbytes(chance.randrange(1, 999)))
        restorer.gateway = restorer.another_gateway()
        found = make_ready(restorer)
        assert isinstance(found, Ready) and not found.ready  # whose it was is gone
        assert restorer.process.alive
        assert came["right"] > 40, came
    finally:
        restorer.close()
        child.close()


class Mutated:
    """Requests to hold a process, of which something is not what it says."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.came = Counter[str]()
        self.restorer = Restorer()

    def close(self) -> None:
        self.restorer.close()

    def try_one(self) -> None:
        """Send one; then that process, another, and the restorer are as they should be."""
        chance, restorer = self.chance, self.restorer
        child, other = RestoredChild(prepare=_PREPARES), RestoredChild(prepare=_PREPARES)
        tmp = linux.new_tmpfs(1 << 20, 64)
        files, others = open_process(child.pid), open_process(other.pid)
        try:
            given = [*files, child.uffd, tmp, restorer.cpu]
            pid, filters, kind, number = child.pid, 2, HOLD, chance.randrange(2, 1 << 31)
            what = chance.randrange(9)
            if what == 0:
                given = [*others, *given[-3:]]
            elif what == 1:
                pid = other.pid
            elif what == 2:
                given[-3] = other.uffd
            elif what == 3:
                chance.shuffle(given)
            elif what == 4:
                at = chance.randrange(len(given))
                given[at] = chance.choice((0, tmp, restorer.control.fileno(), others[0], others[3]))
            elif what == 5:
                filters = chance.choice((0, 1, 3, 255))
            elif what == 6:
                given = given[: chance.randrange(len(given))]
            elif what == 7:
                kind = chance.choice((GATEWAY, b"x", b"\0"))
            request = REQUEST.pack(kind, number, pid, filters, *NAME, CPU_BEFORE)
            if what == 8:
                request = request[: chance.randrange(1, len(request))] + chance.randbytes(9)
            self._number = number
            with suppress(BrokenPipeError):  # its end is told below
                socket.send_fds(restorer.control, [request], given)
            self.came[f"{what} {self._what_came(child, other, pid)}"] += 1
        finally:
            for descriptor in (*files, *others, tmp):
                os.close(descriptor)
            child.close()
            other.close()

    def _what_came(self, child: RestoredChild, other: RestoredChild, pid: int) -> str:
        restorer = self.restorer
        try:
            said = self._said()
        except (ConnectionError, ValueError):
            self.restorer = Restorer()
            restorer.close()
            return "the end"
        if said.kind != HELD:
            return f"{said.reason.name}" if said.reason else ""
        held = child if pid == child.pid else other
        held.go()
        ask(restorer)
        found = self._served(held)
        assert _tracer(other if held is child else child) == 0
        return found

    def _said(self) -> Report:
        """Return what is said of the one that was sent; others that have ended are told of too."""
        while (said := report(self.restorer)).number != self._number:
            pass
        return said

    def _ready(self) -> str:
        """Return what is said of it once it was asked for."""
        restorer = self.restorer
        readable, _, _ = select.select([restorer.gateway, restorer.control], [], [], 30)
        if restorer.gateway in readable:
            data = restorer.gateway.recv(TOLD.size, socket.MSG_WAITALL)
            return "ready" if TOLD.unpack(data)[2] else "unknown"
        said = self._said()
        return said.reason.name if said.reason else "held"

    def _served(self, child: RestoredChild) -> str:
        for turn in range(6):
            restorer = self.restorer
            if turn:
                ask(restorer)
            if (said := self._ready()) != "ready":
                return said
            assert child.call(_LOOKS) == _PRISTINE
            ask(restorer)
            if (said := self._ready()) != "ready":
                return said
            child.call(_PLANTS)
        return "used"


def _tracer(child: RestoredChild) -> int:
    status = Path(f"/proc/{child.pid}/status").read_text()
    return int(status.partition("TracerPid:\t")[2].split()[0])


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(n, marks=pytest.mark.storm) for n in range(2, 20))]
)
def test_requests_that_are_not_what_they_say(seed: int) -> None:
    trying = Mutated(seed)
    try:
        for _ in range(12):
            trying.try_one()
    finally:
        trying.close()


# -- a node ------------------------------------------------------------------------------------

_CODE = """
state, area = {}, bytearray(4096)

def handler(event, context):
    found = [sorted(state), bytes(area[:8]).hex()]
    state[event["who"]] = event
    area[:8] = b"SECRETSE"
    return {"found": found, "who": event["who"], "once": len(state)}
"""


class Load:
    """Calls without end by some callers, and what came of them."""

    def __init__(self, node: TestNode, callers: int) -> None:
        self._node = node
        self._done = threading.Event()
        self._lock = threading.Lock()
        self.came = Counter[str]()
        self.wrong: list[str] = []
        self.names = ["killed", "killed"]
        """Functions that are called, by callers in turn."""
        self._threads = [threading.Thread(target=self._call, args=(n,)) for n in range(callers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(60)

    def _call(self, number: int) -> None:
        turn = 0
        while not self._done.is_set():
            turn += 1
            who = f"caller {number}.{turn}"
            answer = self._node.invoke({"who": who}, function=f"t/{self.names[number % 2]}")
            right = {"found": [[], "00" * 8], "who": who, "once": 1}
            with self._lock:
                if answer.status_code != 200:
                    self.came[f"lost {answer.status_code}"] += 1
                    self.wrong.append(answer.text)
                elif answer.json() != right:
                    self.came["wrong"] += 1
                    self.wrong.append(answer.text)
                else:
                    self.came["right"] += 1

    def goes_on_until(self, done: Callable[[], bool], most: float) -> bool:
        """Tell whether something is so before `most` seconds; calls are answered meanwhile."""
        began = answered_at = time.monotonic()
        answered = self.came["right"]
        while not done():
            now = time.monotonic()
            if self.came["right"] > answered:
                answered, answered_at = self.came["right"], now
            assert now - answered_at < _UNANSWERED_SECONDS, "no call is answered"
            if now - began > most:
                return False
            time.sleep(0.05)
        return True


# By what is lost and what is wrong: how long it takes is the machine's. One function is called all
# the time. Each kill has another one beside it: after some ends in a row a function has forks for
# half a minute, and there would be nothing to kill the restorer at.
@pytest.mark.parametrize("kills", [3, pytest.param(80, marks=pytest.mark.storm)])
def test_killed_at_any_step_of_a_node_s_calls(node: TestNode, kills: int) -> None:
    node.deploy(_CODE, name="killed", unguarded=True)
    chance, at_work = random.Random(kills), 0

    def restored(name: str) -> int:
        told_of = node.client.get(f"{node.url}/api/v1/functions/t/{name}/restoring").json()
        return int(told_of["restored"])

    def begin(number: int) -> str:
        """Deploy the next function; what begins while there is no restorer has forks for long."""
        name = f"killed-{kills}-{number}"
        node.deploy(_CODE, name=name, unguarded=True)
        assert node.invoke({"who": "first"}, function=f"t/{name}").status_code == 200
        return name

    name = begin(0)
    with Load(node, 4) as load:
        for number in range(kills):
            load.names[1] = name
            at_work += load.goes_on_until(lambda name=name: restored(name) > 20, _RESTORED_SECONDS)
            name = begin(number + 1)
            pid = node.part("restorer")
            assert pid is not None
            Stepped(pid).kill_before(chance.randrange(1, 300), lambda: None, lambda: False)
            with suppress(ChildProcessError):
                os.waitpid(pid, tracing.WALL)
            ended = (None, pid)
            assert load.goes_on_until(
                lambda ended=ended: node.part("restorer") not in ended, _STARTED_SECONDS
            )
    assert load.wrong == [], load.came
    assert load.came["right"] > 100
    assert at_work > kills / 2, f"only {at_work} of {kills} while it set processes back"
