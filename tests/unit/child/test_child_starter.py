"""Who is passed a gateway's connection: a process that has proved that it is confined, alone."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from casemate.child import starter as starter_module
from casemate.child.failure import Failure
from casemate.child.heartbeat import Pulse
from casemate.child.proof import Held
from casemate.child.protocol import (
    CONNECT,
    ChildConfig,
    NotReady,
    Ready,
    take_connection,
    take_named_connection,
)
from casemate.child.start import Child, ChildProgram, NotReadyError
from casemate.child.starter import START, ChildStarter
from casemate.kernel import linux
from support.descriptors import descriptors_held

UID = 64_809
HELD = Held(
    users=(UID,) * 4,
    groups=(UID,) * 4,
    others=(),
    capabilities=0,
    no_new_privileges=True,
    dumpable=False,
    filtered=True,
    sees_files=linux.landlock_abi() == 0,
)


class Process:
    """Stands for what subprocess started."""

    def __init__(self) -> None:
        self.pid = 1
        self.killed = False

    def wait(self, _seconds: float = 0.0) -> int:
        return 0

    def kill(self) -> None:
        self.killed = True


class Played(Child):
    """A child whose process is played by the test, on `theirs`."""

    all: list[Played]

    def __init__(self, program: ChildProgram, config: Any, passed: Any = ()) -> None:
        self.control, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.theirs.setblocking(False)
        self.pulse = Pulse()
        self.pulse.started()
        self.process = self._process = Process()  # type: ignore[assignment]
        self._uid = UID
        self._keeps = 0
        Played.all.append(self)

    def say(self, data: bytes) -> None:
        self.theirs.send(data)


class World:
    def __init__(self) -> None:
        self.starter = ChildStarter(
            ChildProgram(module="casemate.none"),
            lambda control, heart, _: ChildConfig(control=control, heart=heart, uid=UID),
        )

    def ask(self) -> socket.socket:
        """Ask for a process as the gateway does; return its end of the connection."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.starter.gateway_end, [START], [theirs.fileno()])
        assert self.due()
        self.starter.serve()
        ours.setblocking(False)
        return ours

    def due(self) -> bool:
        """Tell whether the supervisor's loop would call `serve`."""
        return bool(select.select([self.starter], [], [], 0)[0])


@pytest.fixture
def world(monkeypatch) -> Iterator[World]:
    monkeypatch.setattr(starter_module, "Child", Played)
    Played.all = []
    before = descriptors_held()
    made = World()
    yield made
    made.starter.close()
    for child in Played.all:
        child.theirs.close()
    assert descriptors_held() == before


def test_a_confined_process_is_passed_the_connection(world: World) -> None:
    with world.ask() as ours:
        (child,) = Played.all
        assert not world.due()
        with pytest.raises(BlockingIOError):
            take_connection(child.theirs)
        child.say(msgspec.json.encode(Ready(HELD)))
        assert world.due()
        assert world.starter.serve()
        theirs = take_connection(child.theirs)
        assert theirs is not None
        with theirs:
            theirs.send(b"hello")
            assert ours.recv(10) == b"hello"
        assert not world.due(), "the control socket is watched no more"
        assert ours.recv(10) == b"", "the supervisor kept no copy"
        assert not child.process.killed


@pytest.mark.parametrize(
    "more",
    [
        {"capabilities": 1},
        {"no_new_privileges": False},
        {"dumpable": True},
        {"filtered": False},
        {"sees_files": True},
        {"users": (UID, UID, 0, UID)},
        {"others": (0,)},
    ],
)
def test_one_that_holds_too_much_is_killed_and_passed_nothing(world: World, more) -> None:
    if "sees_files" in more and not linux.landlock_abi():
        pytest.skip("no Landlock")
    with world.ask() as ours:
        (child,) = Played.all
        child.say(msgspec.json.encode(Ready(msgspec.structs.replace(HELD, **more))))
        assert world.starter.serve()
        assert child.process.killed
        assert ours.recv(10) == b""
        with pytest.raises(BlockingIOError):
            take_connection(child.theirs)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"ready",
        b"{}",
        b'{"type":"ready"}',
        b"\xff\xfe",
        CONNECT,
        msgspec.json.encode(NotReady(Failure("OSError", "no", None))),
        b'{"type":"ready","held":{"users":[7,7,7,7]}}',
        b"x" * 100_000,
    ],
)
def test_one_that_says_anything_else_is_passed_nothing(world: World, said: bytes) -> None:
    with world.ask() as ours:
        (child,) = Played.all
        if said:
            child.say(said)
        else:
            child.theirs.shutdown(socket.SHUT_RDWR)
        assert world.starter.serve()
        assert ours.recv(10) == b"", "the gateway sees it, and asks for another one"
        assert not world.due()


def test_another_one_takes_the_place_of_one_that_never_was_ready(world: World) -> None:
    first = world.ask()
    with first, world.ask() as second:
        one, other = Played.all
        assert first.recv(10) == b""
        one.theirs.close()
        other.say(msgspec.json.encode(Ready(HELD)))
        assert world.starter.serve()
        theirs = take_connection(other.theirs)
        assert theirs is not None
        with theirs, pytest.raises(BlockingIOError):
            second.recv(10)


def test_a_program_that_cannot_be_started_leaves_nothing(world: World, monkeypatch) -> None:
    def refused(*_: object) -> Child:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(starter_module, "Child", refused)
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            socket.send_fds(world.starter.gateway_end, [START], [theirs.fileno()])
        with pytest.raises(OSError, match="memory"):
            world.starter.serve()
        assert ours.recv(10) == b""


@pytest.mark.parametrize("asked", [b"stop!", b"start", b"s"])
def test_only_a_whole_request_with_a_descriptor_counts(world: World, asked: bytes) -> None:
    world.starter.gateway_end.send(asked)
    assert world.starter.serve()
    assert Played.all == []
    world.starter.gateway_end.close()
    assert not world.starter.serve()


def test_what_a_process_says_is_not_believed_by_whoever_waits_for_it() -> None:
    Played.all = []
    child = Played(ChildProgram(module="casemate.none"), None)
    child.control.settimeout(0.05)
    try:
        with pytest.raises(TimeoutError):
            child.receive_ready()
        child.say(msgspec.json.encode(NotReady(Failure("VaultError", "m", "n"))))
        with pytest.raises(NotReadyError) as caught:
            child.receive_ready()
        assert caught.value.failure == Failure("VaultError", "m", "n")
        child.say(msgspec.json.encode(Ready(HELD)))
        assert child.receive_ready().held == HELD
        child.theirs.close()
        with pytest.raises(EOFError):
            child.receive_ready()
    finally:
        child.close()


def test_one_that_is_ready_is_introduced_to_others_and_no_other_is(world: World) -> None:
    ready: list[bool] = []
    world.starter._ready = lambda: ready.append(world.starter.is_ready)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not world.starter.introduce(theirs, b"other"), "there is none"
        with world.ask():
            (child,) = Played.all
            assert not world.starter.introduce(theirs, b"other"), "it has proved nothing"
            assert ready == []
            child.say(msgspec.json.encode(Ready(HELD)))
            assert world.starter.serve()
            assert ready == [True]
            passed = take_connection(child.theirs)
            assert passed is not None
            passed.close()
            assert world.starter.introduce(theirs, b"other")
            taken = take_named_connection(child.theirs, frozenset({b"other"}))
            assert taken is not None
            name, sock = taken
            with sock:
                assert name == b"other"
                ours.send(b"hello")
                assert sock.recv(10) == b"hello"
        with world.ask():
            assert not world.starter.introduce(theirs, b"other"), "another one is being started"


def test_one_that_holds_too_much_is_introduced_to_nobody(world: World) -> None:
    ready: list[bool] = []
    world.starter._ready = lambda: ready.append(True)
    ours, theirs = socket.socketpair()
    with ours, theirs, world.ask():
        (child,) = Played.all
        child.say(msgspec.json.encode(Ready(msgspec.structs.replace(HELD, capabilities=1))))
        assert world.starter.serve()
        assert not world.starter.introduce(theirs, b"other")
        assert ready == []


def test_what_a_program_is_given_is_missing_which_the_gateway_is_told(world: World) -> None:
    def missing() -> Any:
        raise OSError(24, "Too many open files")

    world.starter._gives = missing
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            socket.send_fds(world.starter.gateway_end, [START], [theirs.fileno()])
        with pytest.raises(OSError, match="Too many open files"):
            world.starter.serve()
        ours.setblocking(False)
        assert ours.recv(10) == b"", "the gateway sees it, and asks for another one"
