"""The gateway's client, against a supervisor that says what a test has it say."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from casemate.model.errors import UnavailableError
from casemate.model.function import Limits
from casemate.model.invocation import Outcome
from casemate.runner import wire
from casemate.sandbox import client as client_module
from casemate.sandbox import protocol
from casemate.sandbox.client import ImportFailedError, SandboxClient, SupervisorLostError, Zygote
from casemate.sandbox.instance import Instance, Output
from support.core import version


class Supervisor:
    """The other end of the client's socket."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        ours, self.sock = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours = ours
        self.sock.setblocking(False)
        self.client = SandboxClient(ours, self.loop)
        self.held: list[int] = []
        self.ready: list[Instance] = []
        self.ended: list[Instance] = []

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    async def request(self) -> tuple[protocol.Request, list[int]]:
        """Return the next request, decoded as the supervisor does, and its descriptors."""
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self.sock, protocol.MAX_PACKET, 8)
            except BlockingIOError:
                await asyncio.sleep(0)
                continue
            self.held += descriptors
            request = msgspec.json.decode(data, type=protocol.Request)
            assert len(descriptors) == protocol.descriptors_of(request)
            return request, list(descriptors)

    def nothing_asked(self) -> bool:
        try:
            self.sock.recv(1)
        except BlockingIOError:
            return True
        return False

    async def tell(self, event: protocol.Event | bytes) -> None:
        self.sock.send(event if isinstance(event, bytes) else msgspec.json.encode(event))
        await self.settle()

    async def opened(self, **limits: Any) -> Zygote:
        task = self.loop.create_task(self.client.open(version(limits=Limits(**limits))))
        request, _ = await self.request()
        assert isinstance(request, protocol.Open)
        await self.tell(protocol.Opened(request.z))
        return await task

    async def spawned(self, zygote: Zygote) -> tuple[Instance, socket.socket, int]:
        """Return an instance, and what its process would hold."""
        instance = zygote.spawn(self.ready.append, self.ended.append)
        request, (sock, output) = await self.request()
        assert request == protocol.Spawn(zygote.number, instance.number)
        self.held.remove(sock)
        return instance, socket.socket(fileno=sock), output

    def close(self) -> None:
        for descriptor in self.held:
            os.close(descriptor)
        self.loop.remove_reader(self.ours.fileno())
        self.ours.close()
        self.sock.close()


def play(scene: Callable[[Supervisor], Awaitable[None]]) -> None:
    """Play a scene; afterwards no descriptor is left and no callback has failed."""
    faults: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, c: faults.append(c))
        supervisor = Supervisor()
        try:
            await asyncio.wait_for(scene(supervisor), 10)
        finally:
            supervisor.close()

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(run())
    assert len(os.listdir("/proc/self/fd")) == before
    assert not faults, faults


# -- opening -------------------------------------------------------------------------------------


def test_open_asks_for_exactly_what_the_version_says() -> None:
    async def scene(supervisor: Supervisor) -> None:
        limits = Limits(
            memory=1 << 27, cpu=0.5, processes=9, open_files=99, tmp=1 << 20, response=7
        )
        opening = supervisor.loop.create_task(supervisor.client.open(version(limits=limits)))
        request, descriptors = await supervisor.request()
        assert request == protocol.Open(
            z=1,
            python="3.11",
            digest="a" * 64,
            project="t",
            function="f",
            handler="app:handler",
            isolation=version().spec.isolation,
            trust=version().spec.trust,
            memory=1 << 27,
            cpu=0.5,
            processes=9,
            open_files=99,
            tmp=1 << 20,
            response=7,
        )
        assert len(descriptors) == 2 and not opening.done()
        await supervisor.tell(protocol.Opened(1))
        zygote = await opening
        assert (zygote.number, zygote.alive, supervisor.client.zygotes) == (1, True, 1)

    play(scene)


def test_zygotes_are_numbered_for_good() -> None:
    async def scene(supervisor: Supervisor) -> None:
        numbers = []
        for _ in range(3):
            zygote = await supervisor.opened()
            numbers.append(zygote.number)
            await supervisor.tell(protocol.ZygoteEnded(zygote.number, "x"))
        assert numbers == [1, 2, 3]

    play(scene)


def report_frame(**fields: Any) -> bytes:
    detail = {
        "kind": "init-error",
        "type": "ImportError",
        "message": "no x",
        "trace": "T",
        **fields,
    }
    return wire.pack(wire.ERROR, json.dumps(detail).encode())


async def failed_open(
    supervisor: Supervisor, reason: str, report: bytes = b"", output: bytes = b""
) -> BaseException:
    opening = supervisor.loop.create_task(supervisor.client.open(version()))
    request, (sock, writing) = await supervisor.request()
    if report:
        os.write(sock, report)
    if output:
        os.write(writing, output)
    await supervisor.tell(protocol.ZygoteEnded(request.z, reason))
    [error] = await asyncio.gather(opening, return_exceptions=True)
    assert isinstance(error, BaseException)
    assert supervisor.client.zygotes == 0
    return error


def test_a_failed_import_tells_the_function_s_own_words() -> None:
    async def scene(supervisor: Supervisor) -> None:
        error = await failed_open(
            supervisor, "the handler cannot be imported", report_frame(), b"printed \xff"
        )
        assert isinstance(error, ImportFailedError)
        assert (error.error.type, error.error.message, error.error.trace) == (
            "ImportError",
            "no x",
            "T",
        )
        assert error.output == "printed \ufffd"

    play(scene)


def test_a_long_trace_is_read_whole() -> None:
    async def scene(supervisor: Supervisor) -> None:
        error = await failed_open(supervisor, "import", report_frame(trace="x" * 48 * 1024))
        assert isinstance(error, ImportFailedError)
        assert len(error.error.trace) == 48 * 1024

    play(scene)


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"garbage, and more of it",
        b"E",
        wire.HEADER.pack(wire.ERROR, 0xFFFFFFFF, 0),
        wire.HEADER.pack(wire.ERROR, 2, 99) + b"{}",
        wire.pack(wire.ERROR, b"{}"),
        wire.pack(wire.ERROR, b"\xff\xff"),
        wire.pack(wire.ERROR, b"{", b""),
        wire.pack(wire.READY),
        wire.pack(wire.ANSWER, b"{}", b"1"),
    ],
)
def test_a_hostile_report_is_ignored(report: bytes) -> None:
    async def scene(supervisor: Supervisor) -> None:
        error = await failed_open(supervisor, "the handler cannot be imported", report)
        assert isinstance(error, ImportFailedError)
        assert (error.error.kind, error.error.type) == ("init-error", "InitFailed")
        assert error.error.message == "the handler cannot be imported"

    play(scene)


def test_a_failure_of_ours_is_no_failed_import() -> None:
    async def scene(supervisor: Supervisor) -> None:
        error = await failed_open(supervisor, "cannot be started: no space")
        assert isinstance(error, UnavailableError) and "no space" in str(error)

    play(scene)


def test_a_zygote_that_died_while_importing_is_a_failed_import() -> None:
    async def scene(supervisor: Supervisor) -> None:
        assert isinstance(await failed_open(supervisor, "the zygote is gone"), ImportFailedError)

    play(scene)


def test_an_import_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_IMPORT_SECONDS_LEAST", 0.05)

    async def scene(supervisor: Supervisor) -> None:
        limits = Limits(timeout=0.01)
        opening = supervisor.loop.create_task(supervisor.client.open(version(limits=limits)))
        request, _ = await supervisor.request()
        with pytest.raises(ImportFailedError, match="longer than"):
            await opening
        assert await supervisor.request() == (protocol.Close(request.z), [])
        # Too late; nobody waits for it.
        await supervisor.tell(protocol.Opened(request.z))
        await supervisor.tell(protocol.ZygoteEnded(request.z, "closed"))
        assert supervisor.client.zygotes == 0

    play(scene)


def test_a_cancelled_open_closes_the_zygote() -> None:
    async def scene(supervisor: Supervisor) -> None:
        opening = supervisor.loop.create_task(supervisor.client.open(version()))
        request, _ = await supervisor.request()
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        assert await supervisor.request() == (protocol.Close(request.z), [])
        await supervisor.tell(protocol.ZygoteEnded(request.z, "closed"))
        assert supervisor.client.zygotes == 0

    play(scene)


# -- instances -----------------------------------------------------------------------------------


def test_an_instance_speaks_over_the_socket_that_was_passed() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        instance, sock, output = await supervisor.spawned(zygote)
        sock.sendall(wire.pack(wire.READY))
        await supervisor.settle()
        assert supervisor.ready == [instance]
        kept = Output(100)
        waiter = instance.invoke(b"{}", b"[1]", kept)
        await supervisor.settle()
        assert wire.FrameReader(frozenset((wire.INVOKE,)), 100).feed(sock.recv(100)) == [
            (wire.INVOKE, b"{}", b"[1]")
        ]
        os.write(output, b"printed")
        sock.sendall(wire.pack(wire.ANSWER, b"{}", b"2"))
        assert (await waiter).body == b"2"
        assert kept.entries == [(0.0, "stdout", b"printed")]
        await supervisor.tell(protocol.Exited(zygote.number, instance.number, 0, False))
        assert zygote.instances == {} and supervisor.client.instances == 0
        sock.close()

    play(scene)


def test_the_response_limit_of_the_version_holds() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened(response=10)
        instance, sock, _ = await supervisor.spawned(zygote)
        sock.sendall(wire.pack(wire.READY))
        await supervisor.settle()
        waiter = instance.invoke(b"{}", b"1", Output(1))
        sock.sendall(wire.pack(wire.ANSWER, b"{}", b"x" * 11))
        assert (await waiter).outcome is Outcome.PROTOCOL_VIOLATION
        sock.close()

    play(scene)


def test_a_killed_instance_is_asked_for_once() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        instance, sock, _ = await supervisor.spawned(zygote)
        instance.close()
        instance.close()
        assert await supervisor.request() == (protocol.Kill(zygote.number, instance.number), [])
        assert supervisor.nothing_asked()
        await supervisor.tell(protocol.Exited(zygote.number, instance.number, 9, False))
        assert supervisor.client.instances == 0
        sock.close()

    play(scene)


def test_a_fork_that_failed_ends_its_instance_alone() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        first, sock, _ = await supervisor.spawned(zygote)
        second, other, _ = await supervisor.spawned(zygote)
        await supervisor.tell(protocol.SpawnFailed(zygote.number, first.number, "EAGAIN"))
        assert supervisor.ended == [first] and not first.alive and second.alive
        assert first.last is not None and first.last.outcome is Outcome.CRASHED
        second.close()
        sock.close()
        other.close()

    play(scene)


def test_how_an_instance_died_reaches_its_caller() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        for status, oom, outcome in (
            (signal.SIGSEGV, False, Outcome.CRASHED),
            (signal.SIGKILL, True, Outcome.OUT_OF_MEMORY),
            (3 << 8, False, Outcome.CRASHED),
        ):
            instance, sock, _ = await supervisor.spawned(zygote)
            sock.sendall(wire.pack(wire.READY))
            await supervisor.settle()
            waiter = instance.invoke(b"{}", b"1", Output(1))
            sock.close()
            event = protocol.Exited(zygote.number, instance.number, int(status), oom)
            await supervisor.tell(event)
            assert (await waiter).outcome is outcome

    play(scene)


def test_the_end_of_a_zygote_ends_its_instances_and_no_others() -> None:
    async def scene(supervisor: Supervisor) -> None:
        dying, living = await supervisor.opened(), await supervisor.opened()
        reasons: list[str] = []
        dying.on_ended = reasons.append
        one, sock, _ = await supervisor.spawned(dying)
        two, other, _ = await supervisor.spawned(living)
        await supervisor.tell(protocol.ZygoteEnded(dying.number, "the zygote is gone"))
        assert reasons == ["the zygote is gone"]
        assert (dying.alive, one.alive, living.alive, two.alive) == (False, False, True, True)
        assert supervisor.client.zygotes == 1
        # Nothing is asked of a zygote that is gone.
        dying.close()
        assert supervisor.nothing_asked()
        two.close()
        sock.close()
        other.close()

    play(scene)


def test_events_of_the_unknown_are_ignored() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        for event in (
            protocol.Opened(99),
            protocol.ZygoteEnded(99, "x"),
            protocol.Exited(99, 0, 0, False),
            protocol.Exited(zygote.number, 99, 0, False),
            protocol.SpawnFailed(zygote.number, 99, "x"),
            protocol.Opened(zygote.number),
        ):
            await supervisor.tell(event)
        assert zygote.alive

    play(scene)


# -- the supervisor is gone ----------------------------------------------------------------------


def test_everything_ends_with_the_supervisor() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        instance, sock, _ = await supervisor.spawned(zygote)
        sock.sendall(wire.pack(wire.READY))
        await supervisor.settle()
        waiter = instance.invoke(b"{}", b"1", Output(1))
        opening = supervisor.loop.create_task(supervisor.client.open(version()))
        await supervisor.request()
        supervisor.sock.close()
        await supervisor.client.lost
        assert (await waiter).outcome is Outcome.CRASHED
        with pytest.raises(UnavailableError):
            await opening
        assert not zygote.alive and supervisor.client.zygotes == 0
        with pytest.raises(SupervisorLostError):
            supervisor.client.prepare("3.11")
        sock.close()

    play(scene)


def test_a_socket_that_is_full_is_an_error_and_does_not_block() -> None:
    async def scene(supervisor: Supervisor) -> None:
        with pytest.raises(SupervisorLostError):
            for _ in range(200_000):
                supervisor.client.prepare("3.11")

    play(scene)


def test_a_spawn_that_cannot_be_asked_for_leaves_no_descriptor() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        supervisor.sock.close()
        for _ in range(3):
            with pytest.raises(SupervisorLostError):
                zygote.spawn(supervisor.ready.append, supervisor.ended.append)
        assert zygote.instances == {}

    play(scene)


def test_an_open_that_cannot_be_asked_for_leaves_no_zygote() -> None:
    async def scene(supervisor: Supervisor) -> None:
        with pytest.raises(SupervisorLostError):
            for _ in range(200_000):
                supervisor.client.prepare("3.11")
        with pytest.raises(SupervisorLostError):
            await supervisor.client.open(version())
        assert supervisor.client.zygotes == 0

    play(scene)
