"""The supervisor's side of a zygote, which is hostile once it has run a function's import."""

from __future__ import annotations

import array
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casemate.kernel.cgroups import SlotLimits
from casemate.model.function import GuardMode, Isolation, Limits, Trust
from casemate.runner import control
from casemate.sandbox import zygote_process as module
from casemate.sandbox.protocol import GuardRule, Open
from casemate.sandbox.zygote_process import Fork, ZygoteProcess, ZygoteViolationError
from support.descriptors import descriptors_held, require_none_left

OPEN = Open(
    z=1,
    python="3.11",
    digest="a" * 64,
    project="p",
    function="f",
    handler="app:handler",
    isolation=Isolation.REQUEST,
    trust=Trust.NORMAL,
    memory=1000,
    cpu=0.5,
    processes=4,
    open_files=64,
    tmp=2000,
    response=3000,
    ports=(3128, 5432),
    environment={"MODE": "test"},
    guard=(GuardRule("sql", "app:query", GuardMode.REPORT),),
)


class Groups:
    """Control groups in memory."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.limits: dict[str, SlotLimits] = {}
        self.weights: dict[str, float] = {}
        self.entered: list[tuple[str, int]] = []
        self.killed: list[str] = []
        self.lives: set[str] = set()
        self.used = 77
        self.peak = 500
        self.cpu = "/dev/null"
        self.kills: dict[str, int] = {}
        self.removed: list[str] = []
        self.fault: OSError | None = None

    def create(self, name: str) -> None:
        self.made.append(name)

    def limit(self, name: str, limits: SlotLimits) -> None:
        self.limits[name] = limits

    def weigh(self, name: str, share: float) -> None:
        self.weights[name] = share

    def enter(self, name: str, pid: int) -> None:
        self.entered.append((name, pid))

    def kill(self, name: str) -> None:
        self.killed.append(name)
        self.lives.discard(name)

    def empty(self, name: str) -> bool:
        if self.fault is not None:
            raise self.fault
        return name not in self.lives

    def memory_used(self, name: str) -> int:
        return self.used

    def memory_peak(self, name: str) -> int:
        return self.peak

    def cpu_file(self, name: str) -> str:
        return self.cpu

    def out_of_memory_kills(self, name: str) -> int:
        return self.kills.get(name, 0)

    def remove(self, name: str) -> None:
        self.removed.append(name)


class Pair:
    """A zygote as the supervisor sees it, and the other end of its socket."""

    def __init__(self, *, cgroups: bool = True) -> None:
        ours, self.peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.groups = Groups()
        self.zygote = ZygoteProcess("z1", ours, self.groups if cgroups else None)

    def close(self) -> None:
        self.zygote.sock.close()
        self.peer.close()

    def send(self, data: bytes, descriptors: list[int] | None = None) -> None:
        rights = array.array("i", descriptors or [])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
        self.peer.sendmsg([data], ancillary)

    def received(self) -> tuple[dict[str, object], list[int]]:
        message, descriptors = control.receive(self.peer)
        assert message is not None
        return message, descriptors


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def pipe() -> list[int]:
    return list(os.pipe())


# -- records -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(control.EVENT_KINDS - {control.FILTERED}))
def test_a_record_is_read(pair: Pair, kind: bytes) -> None:
    pair.send(control.EVENT.pack(kind, 0xFFFFFFFF, -5))
    assert pair.zygote.read_event() == (kind, 0xFFFFFFFF, -5)


def test_the_runner_s_records_are_those_read_here(pair: Pair) -> None:
    control.send_event(pair.peer, control.FORKED, 3, 4)
    assert pair.zygote.read_event() == (control.FORKED, 3, 4)


def test_nothing_to_read_does_not_block(pair: Pair) -> None:
    with pytest.raises(BlockingIOError):
        pair.zygote.read_event()


def test_the_end_is_none(pair: Pair) -> None:
    pair.peer.close()
    assert pair.zygote.read_event() is None


@pytest.mark.parametrize("size", [1, 8, 10, 18, 63, 64, 65, 1000, 60_000])
def test_a_record_of_another_size_is_a_violation(pair: Pair, size: int) -> None:
    pair.send(b"K" * size)
    with pytest.raises(ZygoteViolationError):
        pair.zygote.read_event()


@given(st.binary(min_size=1, max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_arbitrary_packets_are_records_or_violations(pair: Pair, data: bytes) -> None:
    pair.send(data)
    # A filter is told of once, by a zygote that has been assigned: this one has not.
    kinds = control.EVENT_KINDS - {control.FILTERED}
    if len(data) == control.EVENT.size and data[:1] in kinds:
        assert pair.zygote.read_event() == control.EVENT.unpack(data)
    else:
        with pytest.raises(ZygoteViolationError):
            pair.zygote.read_event()


@pytest.mark.parametrize("kind", [b"Z", b"\x00", b"k", b"\xff"])
def test_an_unknown_kind_is_a_violation(pair: Pair, kind: bytes) -> None:
    pair.send(control.EVENT.pack(kind, 0, 0))
    with pytest.raises(ZygoteViolationError):
        pair.zygote.read_event()


@pytest.mark.parametrize("data", [control.EVENT.pack(control.FORKED, 1, 2), b"x"])
@pytest.mark.parametrize("count", [1, 2, 100])
def test_smuggled_descriptors_are_a_violation_and_do_not_stay(
    pair: Pair, data: bytes, count: int
) -> None:
    before = descriptors_held()
    pair.send(data, [pair.peer.fileno()] * count)
    with pytest.raises(ZygoteViolationError):
        pair.zygote.read_event()
    require_none_left(before)


FILTERED = control.EVENT.pack(control.FILTERED, 0, 0)


def assigned(pair: Pair) -> ZygoteProcess:
    pair.zygote.assign(OPEN, 6, [])
    return pair.zygote


@pytest.mark.parametrize("cgroups", [True, False])
def test_the_notifications_are_held_until_nothing_lives_under_the_filter(cgroups: bool) -> None:
    before = descriptors_held()
    pair = Pair(cgroups=cgroups)
    zygote = assigned(pair)
    notify = os.eventfd(0)
    pair.send(FILTERED, [notify])
    os.close(notify)
    assert not zygote.filtered
    held = descriptors_held()
    assert zygote.read_event() == (control.FILTERED, 0, 0)
    assert zygote.filtered
    assert descriptors_held() == held + 1
    zygote.end()
    assert descriptors_held() == held
    pair.groups.lives = {"z1/s0"} if cgroups else set()
    while not zygote.remove():
        assert descriptors_held() == held
    pair.close()
    require_none_left(before)


def test_a_filter_without_a_listener_brings_nothing(pair: Pair) -> None:
    zygote = assigned(pair)
    pair.send(FILTERED)
    assert zygote.read_event() == (control.FILTERED, 0, 0)
    assert zygote.filtered


@pytest.mark.parametrize("when", ["blank", "twice", "ready"])
def test_a_filter_comes_once_between_assignment_and_import(pair: Pair, when: str) -> None:
    if when != "blank":
        assigned(pair)
        pair.send(FILTERED)
        pair.zygote.read_event()
    if when == "ready":
        pair.zygote.imported()
    before = descriptors_held()
    pair.send(FILTERED, [pair.peer.fileno()])
    with pytest.raises(ZygoteViolationError):
        pair.zygote.read_event()
    require_none_left(before)


def test_a_filter_brings_one_descriptor(pair: Pair) -> None:
    assigned(pair)
    before = descriptors_held()
    pair.send(FILTERED, [pair.peer.fileno()] * 3)
    with pytest.raises(ZygoteViolationError):
        pair.zygote.read_event()
    require_none_left(before)


def test_the_kernel_tells_the_pid_and_only_with_the_first_hello(pair: Pair) -> None:
    pair.send(control.EVENT.pack(control.FORKED, 1, 2))
    pair.zygote.read_event()
    assert pair.zygote.pid == 0
    pair.send(control.EVENT.pack(control.HELLO, 0, 1))
    pair.zygote.read_event()
    assert pair.zygote.pid == os.getpid()
    pair.zygote.pid = 1_000_000_000
    pair.send(control.EVENT.pack(control.HELLO, 0, 2))
    pair.zygote.read_event()
    assert pair.zygote.pid == 1_000_000_000


def test_a_zygote_without_a_pid_is_not_settled(pair: Pair) -> None:
    with pytest.raises(ZygoteViolationError):
        pair.zygote.settle()
    assert pair.groups.entered == []


# -- slots and forks -----------------------------------------------------------------------------


def settled(pair: Pair) -> ZygoteProcess:
    pair.zygote.pid = 4242
    pair.zygote.settle()
    return pair.zygote


def forked(pair: Pair, number: int, now: float = 1.0) -> int:
    """Have an instance forked; return its slot."""
    pair.zygote.take_home()
    home = pair.zygote.home
    assert home is not None
    pair.zygote.fork(Fork(number, pipe()), os.dup(0), now)
    message, descriptors = pair.received()
    assert message == {"i": number} and len(descriptors) == 3
    for descriptor in descriptors:
        os.close(descriptor)
    pair.zygote.forking = None
    return home


def test_a_zygote_sits_in_a_slot_before_it_forks(pair: Pair) -> None:
    zygote = settled(pair)
    assert pair.groups.made == ["z1", "z1/s0"]
    assert pair.groups.entered == [("z1/s0", 4242)] and zygote.home == 0
    zygote.take_home()
    assert len(pair.groups.entered) == 1


def test_each_instance_has_a_slot_and_slots_are_used_again(pair: Pair) -> None:
    zygote = settled(pair)
    assert [forked(pair, number) for number in (5, 6)] == [0, 1]
    assert zygote.slots == {0: 5, 1: 6} and zygote.instances == {5: 0, 6: 1}
    assert zygote.home is None
    zygote.release(0)
    assert forked(pair, 7) == 0
    assert pair.groups.made == ["z1", "z1/s0", "z1/s1"]
    assert pair.groups.entered == [("z1/s0", 4242), ("z1/s1", 4242), ("z1/s0", 4242)]


def test_a_fork_hands_over_its_descriptors_and_keeps_none(pair: Pair) -> None:
    settled(pair)
    before = descriptors_held()
    forked(pair, 1)
    require_none_left(before)


def test_a_fork_is_timed(pair: Pair) -> None:
    zygote = settled(pair)
    fork = Fork(9, pipe())
    zygote.fork(fork, os.dup(0), 12.5)
    assert zygote.forking is fork and zygote.forking_since == 12.5
    assert fork.descriptors == []
    for descriptor in pair.received()[1]:
        os.close(descriptor)


def test_a_fork_that_cannot_be_sent_keeps_nothing_open(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(24, "Too many open files")

    zygote = settled(pair)
    monkeypatch.setattr(zygote, "_send", refuse)
    before = descriptors_held()
    fork = Fork(1, pipe())
    with pytest.raises(OSError, match="Too many open files"):
        zygote.fork(fork, os.dup(0), 1.0, os.dup(0))
    fork.close()
    require_none_left(before)


def test_a_fork_that_cannot_be_asked_for_can_still_be_closed(pair: Pair) -> None:
    zygote = settled(pair)
    pair.peer.close()
    before = descriptors_held()
    fork = Fork(1, pipe())
    with pytest.raises(OSError):
        zygote.fork(fork, os.dup(0), 1.0)
    fork.close()
    fork.close()
    require_none_left(before)
    assert zygote.slots == {} and zygote.home == 0


def test_a_blank_one_has_the_usual_limits_and_nothing_is_written_for_them(pair: Pair) -> None:
    usual = Limits()
    slot = SlotLimits(usual.memory, usual.cpu, usual.processes + 1)
    assert pair.groups.limits == {"z1/s0": slot}
    pair.groups.limits.clear()
    more = {"memory": usual.memory, "cpu": usual.cpu, "processes": usual.processes}
    pair.zygote.assign(msgspec.structs.replace(OPEN, **more), 5, pipe())
    assert not pair.groups.limits
    pair.zygote.imported()
    assert pair.groups.limits == {"z1/s0": slot._replace(memory=slot.memory + 77)}


def test_one_at_rest_is_asked_once_to_fork_ahead(pair: Pair) -> None:
    """In the slot where it sits until the next fork, which takes what it has forked."""
    zygote = pair.zygote
    zygote.ask_ahead()  # it has not imported
    zygote.ready = True
    zygote.ask_ahead()  # it sits in no slot
    zygote.take_home()
    pair.peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        pair.received()
    zygote.ask_ahead()
    zygote.ask_ahead()
    assert pair.received() == ({"ahead": True}, [])
    zygote.fork(Fork(1, pipe()), os.open("/dev/null", os.O_RDONLY), 0.0)
    message, descriptors = pair.received()
    assert message == {"i": 1}
    for descriptor in descriptors:
        os.close(descriptor)
    zygote.ask_ahead()  # it forks
    zygote.forking = None
    zygote.take_home()
    zygote.ask_ahead()  # an instance lives
    with pytest.raises(BlockingIOError):
        pair.received()
    zygote.instances.clear()
    zygote.ask_ahead()
    assert pair.received() == ({"ahead": True}, [])


def test_assigning_sends_all_and_limits_the_slots(pair: Pair) -> None:
    zygote = settled(pair)
    given = [os.dup(0) for _ in range(4)]
    zygote.assign(OPEN, 6, given)
    message, descriptors = pair.received()
    assert message == {
        "project": "p",
        "function": "f",
        "digest": "a" * 64,
        "handler": "app:handler",
        "isolation": "request",
        "trust": "normal",
        "memory": 1000,
        "processes": 4,
        "open_files": 64,
        "response": 3000,
        "landlock_abi": 6,
        "identity": 0,
        "ports": [3128, 5432],
        "environment": {"MODE": "test"},
        "restorable": False,
        "guard": [["sql", "app:query", "report"]],
        "shapes": {"known": [], "strict": False},
        "calls": {"asked": [], "refused": True},
        "packages": {},
    }
    assert len(descriptors) == 4
    for descriptor in given + descriptors:
        os.close(descriptor)
    assert pair.groups.limits == {"z1/s0": SlotLimits(1000, 0.5, 5)}
    forked(pair, 1)
    zygote.take_home()
    assert pair.groups.limits["z1/s1"] == SlotLimits(1000, 0.5, 5)


def test_a_zygote_that_ends_instances_itself_is_not_kept_from_it(pair: Pair) -> None:
    zygote = settled(pair)
    asking = msgspec.structs.replace(OPEN, calls=("kill", "unlink"), refused=False)
    for cgroups, asked in ((zygote.cgroups, ["kill", "unlink"]), (None, ["unlink"])):
        zygote.cgroups = cgroups
        zygote.assign(asking, 0, [])
        assert pair.received()[0]["calls"] == {"asked": asked, "refused": False}


def test_the_import_s_memory_comes_on_top_in_the_first_slot_only(pair: Pair) -> None:
    zygote = settled(pair)
    zygote.assign(OPEN, 0, [])
    assert not zygote.ready
    zygote.imported()
    assert zygote.ready
    assert pair.groups.limits == {"z1/s0": SlotLimits(1077, 0.5, 5)}


def test_out_of_memory_is_told_once_for_each_kill(pair: Pair) -> None:
    zygote = pair.zygote
    assert not zygote.ran_out_of_memory(0)
    pair.groups.kills["z1/s0"] = 1
    assert zygote.ran_out_of_memory(0)
    assert not zygote.ran_out_of_memory(0)
    assert not zygote.ran_out_of_memory(1)
    pair.groups.kills["z1/s0"] = 4
    assert zygote.ran_out_of_memory(0)


def test_without_control_groups_the_zygote_is_asked_to_kill() -> None:
    pair = Pair(cgroups=False)
    zygote = pair.zygote
    zygote.pid = 4242
    zygote.settle()
    forked(pair, 1)
    zygote.ask_to_kill(1)
    assert pair.received()[0] == {"kill": 1}
    zygote.kill_slot(0)
    assert zygote.slot_empty(0) and not zygote.ran_out_of_memory(0)
    assert zygote.remove()
    pair.close()


# -- the end -------------------------------------------------------------------------------------

HELLO = """
import socket, sys, time
sys.path.insert(0, sys.argv[2])
from casemate.runner import control
control.send_event(socket.socket(fileno=int(sys.argv[1])), control.HELLO)
time.sleep(60)
"""


def test_the_end_kills_the_process_and_all_slots_and_closes_what_waits() -> None:
    before = descriptors_held()
    pair = Pair()
    child = subprocess.Popen(
        [sys.executable, "-c", HELLO, str(pair.peer.fileno()), "src"], pass_fds=[pair.peer.fileno()]
    )
    pair.zygote.sock.settimeout(10)
    assert pair.zygote.read_event() == (control.HELLO, 0, 0)
    assert pair.zygote.pid == child.pid
    pair.zygote.settle()
    pair.zygote.waiting.append(Fork(1, pipe()))
    pair.zygote.end()
    assert child.wait(5) == -signal.SIGKILL
    assert pair.groups.killed == ["z1/s0"]
    assert pair.zygote.sock.fileno() == -1 and not pair.zygote.waiting
    pair.zygote.end()
    pair.close()
    require_none_left(before)


def test_the_end_of_a_process_that_is_gone() -> None:
    pair = Pair()
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    pair.zygote.pid = child.pid
    pair.zygote.end()
    assert pair.zygote.sock.fileno() == -1
    pair.close()


def test_groups_are_removed_once_nothing_lives_in_them(pair: Pair) -> None:
    zygote = settled(pair)
    forked(pair, 1)
    zygote.take_home()
    pair.groups.lives = {"z1/s0", "z1/s1"}
    assert not zygote.remove()
    assert not zygote.remove()
    assert pair.groups.killed == ["z1/s0", "z1/s1"]
    assert pair.groups.removed == []
    assert zygote.remove()
    assert pair.groups.removed == ["z1"]


def test_a_group_that_is_gone_is_removed_and_a_busy_one_is_tried_again(pair: Pair) -> None:
    pair.groups.fault = FileNotFoundError()
    assert pair.zygote.remove()
    pair.groups.fault = OSError(16, "EBUSY")
    assert not pair.zygote.remove()
    pair.groups.fault = None
    deadline = time.monotonic() + 1
    while not pair.zygote.remove():
        assert time.monotonic() < deadline


# -- what is used --------------------------------------------------------------------------------


def test_an_instance_is_charged_what_its_zygote_did_not_use_itself(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, file = [1000], tmp_path / "cpu.stat"
    monkeypatch.setattr(module, "process_clock", lambda _pid: clock[0])
    pair.groups.cpu = str(file)
    file.write_text("usage_usec 5000\n")
    zygote = settled(pair)
    forked(pair, 1)
    # It forks in the slot, which takes 700; the instance has used 300 when that is noted.
    clock[0] += 700
    file.write_text("usage_usec 6000\n")
    slot = zygote.instances[1]
    assert zygote.note_fork(slot) == 5700
    clock[0] += 999  # what it does elsewhere afterwards
    assert zygote.note_fork(slot) == 5700
    assert zygote.cpu_since_fork(slot) == 300
    file.write_text("usage_usec 8000\n")
    assert zygote.cpu_since_fork(slot) == 2300
    zygote.release(slot)
    forked(pair, 2)
    assert zygote.note_fork(zygote.instances[2]) == 8000


def test_an_instance_is_not_charged_what_processes_of_the_import_have_used(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, file = [1000], tmp_path / "cpu.stat"
    monkeypatch.setattr(module, "process_clock", lambda _pid: clock[0])
    pair.groups.cpu = str(file)
    file.write_text("usage_usec 5000\n")
    zygote = settled(pair)
    # The import takes 400 itself, and 9,000 in processes that it has waited for.
    clock[0] += 400
    file.write_text("usage_usec 14400\n")
    zygote.imported()
    clock[0] += 100
    file.write_text("usage_usec 14550\n")
    forked(pair, 1)
    assert zygote.cpu_since_fork(0) == 14550
    assert zygote.note_fork(0) == 14500
    assert zygote.cpu_since_fork(0) == 50


def test_where_nothing_is_counted_nothing_is_known(pair: Pair) -> None:
    zygote = settled(pair)
    forked(pair, 1)
    assert zygote.cpu_since_fork(zygote.instances[1]) is None
    pair.groups.cpu = "/nowhere/cpu.stat"
    with pytest.raises(OSError):
        zygote.cpu_since_fork(zygote.instances[1])


def test_a_peak_is_without_what_the_import_took(pair: Pair) -> None:
    zygote = assigned(pair)
    zygote.take_home()
    zygote.imported()
    assert zygote.memory_peak(0) == 500 - 77 and zygote.memory_peak(1) == 500
    pair.groups.peak = 10
    assert zygote.memory_peak(0) == 0


def test_the_clock_of_a_process_is_its_own_and_gone_with_it() -> None:
    before, end = module.process_clock(os.getpid()), time.process_time() + 0.02
    while time.process_time() < end:
        pass
    assert module.process_clock(os.getpid()) - before >= 15_000
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert module.process_clock(child) == 0
