"""The gateway's client, against a supervisor that says what a test has it say."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from casemate.egress.interface import PROXY_PORT
from casemate.model.deployment import Version
from casemate.model.errors import NotFoundError, UnavailableError
from casemate.model.function import Limits, Trust
from casemate.model.grant import Grant, GrantKind
from casemate.model.invocation import Outcome
from casemate.restorer.protocol import ASKED, TOLD, UNKNOWN_CPU
from casemate.runner import wire
from casemate.sandbox import opening as opening_module
from casemate.sandbox import protocol, zygotes
from casemate.sandbox.client import SandboxClient
from casemate.sandbox.frames import Output
from casemate.sandbox.instance import Instance
from casemate.sandbox.opening import ImportFailedError, egress_ports
from casemate.sandbox.system_calls import DeniedCall
from casemate.sandbox.zygote import SupervisorLostError, Zygote
from casemate.sandbox.zygotes import Zygotes
from support.core import version
from support.descriptors import descriptors_held, require_none_left

WEB = Grant(kind=GrantKind.EGRESS, name="api.example.com:443", actions=("connect",))
DATABASE = Grant(
    kind=GrantKind.EGRESS, name="db.example.com:5432", actions=("connect",), forward=5432
)


async def vouched(_version: Version) -> None:
    """Let every version be started."""


class Bundles:
    """Counts who uses the files of a bundle."""

    def __init__(self) -> None:
        self.used: list[str] = []
        self.acquired = 0
        self.fault: Exception | None = None
        self.looking: asyncio.Future[None] | None = None

    async def acquire(self, digest: str) -> None:
        if self.fault is not None:
            raise self.fault
        self.acquired += 1
        self.used.append(digest)

    async def require_whole(self, digest: str) -> None:
        if self.looking is not None:
            await self.looking

    def size(self, digest: str) -> int:
        return 1000

    def release(self, digest: str) -> None:
        self.used.remove(digest)  # raises if it is released twice


class Egress:
    """Keeps what is asked of the proxy, in order."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.named: list[str] = []

    def open(self, zygote: int, listeners: dict[int, int], grants: tuple[Grant, ...]) -> None:
        # The descriptors are ours for the call alone, and open.
        kinds = {port: os.fstat(fd).st_mode & 0o170000 for port, fd in listeners.items()}
        assert set(kinds.values()) == {0o140000}
        self.asked.append(("open", zygote, tuple(listeners), grants))

    def cut(self, zygote: int, hosts: tuple[str, ...]) -> None:
        raise AssertionError("nothing is cut off")

    def grant(
        self,
        zygote: int,
        grants: tuple[Grant, ...],
        function: str = "",
        *,
        in_tables: bool = False,
    ) -> None:
        self.asked.append(("grant", zygote, grants))
        self.named.append(function)

    def close(self, zygote: int) -> None:
        self.asked.append(("close", zygote))

    def of(self, zygote: int) -> list[str]:
        return [call[0] for call in self.asked if call[1] == zygote]


def listener() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


def send_descriptors(report: int, listeners: int, *, said: int | None = None) -> None:
    """Send the first frame as trusted code does: listeners, and one for notifications."""
    opened = [listener() for _ in range(listeners)]
    notify = os.eventfd(0)
    head = json.dumps({"listeners": listeners if said is None else said}).encode()
    with socket.socket(fileno=os.dup(report)) as sock:
        frame = wire.pack(wire.DESCRIPTORS, head)
        socket.send_fds(sock, [frame], [*(s.fileno() for s in opened), notify])
    os.close(notify)
    for sock in opened:
        sock.close()


class Supervisor:
    """The other end of the client's socket."""

    def __init__(self, **how: Any) -> None:
        self.loop = asyncio.get_running_loop()
        ours, self.sock = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours = ours
        self.sock.setblocking(False)
        self.bundles, self.egress = Bundles(), Egress()
        self.denied: list[tuple[Zygote, DeniedCall]] = []
        self.killed: list[tuple[Zygote, str]] = []
        self.zygotes = Zygotes(self.loop)
        self.client = SandboxClient(
            ours,
            self.loop,
            zygotes=self.zygotes,
            bundles=self.bundles,
            require=vouched,
            egress=self.egress,
            on_denied_call=lambda *told: self.denied.append(told),
            on_filter_kill=lambda *told: self.killed.append(told),
            **how,
        )
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

    async def opened(self, grants: tuple[Grant, ...] = (), **limits: Any) -> Zygote:
        of = version(limits=Limits(**limits), grants=grants)
        task = self.loop.create_task(self.client.open(of))
        request, (report, _) = await self.request()
        assert isinstance(request, protocol.Open)
        send_descriptors(report, len(request.ports))
        await self.tell(protocol.Opened(request.z))
        return await task

    async def spawned(self, zygote: Zygote) -> tuple[Instance, socket.socket, int]:
        """Return an instance, and what its process would hold."""
        instance = zygote.spawn(self.ready.append, self.ended.append)
        request, (sock, output) = await self.request()
        assert request == protocol.Spawn(zygote.number, instance.number)
        self.held.remove(sock)
        return instance, socket.socket(fileno=sock), output

    def let_go(self) -> None:
        """Close what the processes would hold."""
        held, self.held = self.held, []
        for descriptor in held:
            os.close(descriptor)

    def close(self) -> None:
        self.let_go()
        for zygote in list(self.zygotes._open.values()):
            zygote.handle(protocol.ZygoteEnded(zygote.number, "the scene is over"))
        assert self.bundles.used == []
        if self.client._restorer is not None:
            self.client._restorer.close()
        self.loop.remove_reader(self.ours.fileno())
        self.ours.close()
        self.sock.close()


def play(scene: Callable[[Supervisor], Awaitable[None]], **options: Any) -> None:
    """Play a scene; afterwards no descriptor is left and no callback has failed."""
    faults: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, c: faults.append(c))
        supervisor = Supervisor(**options)
        try:
            await asyncio.wait_for(scene(supervisor), 60)
        finally:
            supervisor.close()

    before = descriptors_held()
    asyncio.run(run())
    require_none_left(before)
    assert not faults, faults


# -- what the supervisor would end the gateway for -------------------------------------------------


def test_a_function_that_the_supervisor_would_not_take_is_refused_alone() -> None:
    async def scene(supervisor: Supervisor) -> None:
        wrong = version(handler="app:handler\n")
        with pytest.raises(protocol.NotTakenError, match="handler"):
            await supervisor.client.open(wrong)
        request, _ = await supervisor.request()
        assert isinstance(request, protocol.Close), "and nothing that ends the gateway"
        assert supervisor.nothing_asked()
        assert (await supervisor.opened()).alive

    play(scene)


# -- the restorer --------------------------------------------------------------------------------


async def restorer(supervisor: Supervisor) -> socket.socket:
    """Return the end of a restorer that the client is given a way to."""
    theirs, way = socket.socketpair()
    with way:
        event = msgspec.json.encode(protocol.Restorer(0, ""))
        socket.send_fds(supervisor.sock, [event], [way.fileno()])
    theirs.setblocking(False)
    await supervisor.settle()
    assert supervisor.client.restores
    return theirs


def test_an_instance_is_made_ready_by_the_restorer_itself() -> None:
    async def scene(supervisor: Supervisor) -> None:
        with await restorer(supervisor) as theirs:
            zygote = await supervisor.opened()
            instance, sock, _ = await supervisor.spawned(zygote)
            told: list[tuple[Instance, str]] = []
            assert zygote.make_ready(instance, lambda *one: told.append(one))
            await supervisor.settle()
            assert ASKED.unpack(theirs.recv(99)) == (zygote.number, instance.number)
            records = [
                (99, 0, 1, 0, 5),
                (zygote.number, 99, 1, 0, 5),
                (zygote.number, instance.number, 1, 85, 700),
                (zygote.number, instance.number, 0, 0, 0),
            ]
            data = b"".join(TOLD.pack(*one) for one in records)
            for at in range(0, len(data), 7):
                theirs.send(data[at : at + 7])
                await supervisor.settle()
            assert told == [(instance, ""), (instance, "it is not held by a restorer")]
            assert supervisor.nothing_asked()
            instance.close()
            sock.close()

    play(scene)


def test_who_has_not_read_all_is_not_made_ready() -> None:
    async def scene(supervisor: Supervisor) -> None:
        with await restorer(supervisor) as theirs:
            zygote = await supervisor.opened()
            instance, sock, _ = await supervisor.spawned(zygote)
            instance.invoke(b"{}", b"{}", Output(99))
            assert not zygote.make_ready(instance, lambda *_: None)
            with pytest.raises(BlockingIOError):
                theirs.recv(9)
            sock.recv(999)
            assert zygote.make_ready(instance, lambda *_: None)
            instance.close()
            sock.close()

    play(scene)


def test_without_a_restorer_nobody_is_asked() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        instance, sock, _ = await supervisor.spawned(zygote)
        assert not zygote.make_ready(instance, lambda *_: None)
        for lose in (True, False):
            theirs = await restorer(supervisor)
            if lose:
                theirs.close()
                await supervisor.settle()
            else:
                await supervisor.tell(protocol.Restorer(0, "it has ended"))
                assert theirs.recv(9) == b"" and not supervisor.client.restores
                theirs.close()
            assert not zygote.make_ready(instance, lambda *_: None)
        instance.close()
        sock.close()

    play(scene)


def test_no_instance_is_restored_while_a_restorer_that_has_ended_is_replaced() -> None:
    async def scene(supervisor: Supervisor) -> None:
        before = await supervisor.opened()
        with await restorer(supervisor):
            zygote = await supervisor.opened()
            # The one that was opened without a restorer has not been prepared for it.
            assert zygote.restores and not before.restores
        await supervisor.settle()
        assert zygote.restorable and not zygote.restores
        # One that is opened meanwhile had forks for as long as it was kept.
        meanwhile = await supervisor.opened()
        assert not meanwhile.restores
        with await restorer(supervisor):
            assert zygote.restores and meanwhile.restores and not before.restores

    play(scene)


def test_another_restorer_takes_the_place_of_the_one_before() -> None:
    async def scene(supervisor: Supervisor) -> None:
        with await restorer(supervisor) as first, await restorer(supervisor) as second:
            assert first.recv(9) == b""
            with pytest.raises(BlockingIOError):
                second.recv(9)

    play(scene)


# -- opening -------------------------------------------------------------------------------------


def test_what_a_zygote_holds_and_took_is_known() -> None:
    async def scene(supervisor: Supervisor) -> None:
        began = time.monotonic()
        zygote = await supervisor.opened()
        assert (zygote.memory, zygote.files) == (0, 1000)
        assert 0 < zygote.seconds <= time.monotonic() - began
        await supervisor.tell(protocol.Held(zygote.number, 2_500_000))
        assert zygote.memory == 2_500_000
        await supervisor.tell(protocol.Held(zygote.number + 1, 7))  # of one that has ended
        assert zygote.memory == 2_500_000

    play(scene)


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
        send_descriptors(descriptors[0], 0)
        await supervisor.tell(protocol.Opened(1))
        zygote = await opening
        assert (zygote.number, zygote.alive, supervisor.client.zygotes) == (1, True, 1)

    play(scene)


MANY = {f"V{number}": "x" for number in range(protocol.MAX_VARIABLES)}


async def _two(_project: str) -> dict[str, str]:
    return {"CASEMATE_BACKUP_HOST": "x.internal", "LEVEL": "of another"}


@pytest.mark.parametrize(
    ("own", "opened"),
    [
        ({}, {"CASEMATE_BACKUP_HOST": "x.internal", "LEVEL": "of another"}),
        ({"LEVEL": "info"}, {"CASEMATE_BACKUP_HOST": "x.internal", "LEVEL": "info"}),
        (MANY, MANY),
    ],
    ids=["none of its own", "one of the same name", "no room"],
)
def test_a_function_has_other_variables_where_there_is_room(
    own: dict[str, str], opened: dict[str, str]
) -> None:
    async def scene(supervisor: Supervisor) -> None:
        of = version()
        of = msgspec.structs.replace(of, spec=msgspec.structs.replace(of.spec, environment=own))
        opening = supervisor.loop.create_task(supervisor.client.open(of))
        request, _ = await supervisor.request()
        assert isinstance(request, protocol.Open)
        assert request.environment == opened
        opening.cancel()
        await supervisor.settle()

    play(scene, variables=_two)


def test_what_is_not_usual_is_not_let_out() -> None:
    async def scene(supervisor: Supervisor) -> None:
        opening = supervisor.loop.create_task(
            supervisor.client.open(version(grants=(WEB, DATABASE)))
        )
        _request, (report, _) = await supervisor.request()
        send_descriptors(report, 2)
        await supervisor.settle()
        await supervisor.tell(protocol.Opened(1))
        await opening
        assert supervisor.egress.asked[1:] == [("grant", 1, (WEB,))]
        assert supervisor.egress.named == [version().function], "refusals name it"

    play(scene, narrow=lambda _version, grants: tuple(g for g in grants if g == WEB))


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
    supervisor: Supervisor,
    reason: str,
    report: bytes = b"",
    output: bytes = b"",
    fault: protocol.Fault = protocol.Fault.FUNCTION,
) -> BaseException:
    opening = supervisor.loop.create_task(supervisor.client.open(version()))
    request, (sock, writing) = await supervisor.request()
    send_descriptors(sock, 0)
    await supervisor.settle()
    if report:
        os.write(sock, report)
    if output:
        os.write(writing, output)
    await supervisor.tell(protocol.ZygoteEnded(request.z, reason, fault))
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
        error = await failed_open(
            supervisor, "cannot be started: no space", fault=protocol.Fault.NODE
        )
        assert isinstance(error, UnavailableError) and "no space" in str(error)

    play(scene)


@pytest.mark.parametrize(
    "reason", ["cannot be started: import of a key", "the zygote is gone", "closed", ""]
)
def test_the_words_of_a_reason_decide_nothing(reason: str) -> None:
    async def scene(supervisor: Supervisor) -> None:
        ours = await failed_open(supervisor, reason, fault=protocol.Fault.NODE)
        assert isinstance(ours, UnavailableError) and reason in str(ours)
        theirs = await failed_open(supervisor, reason, fault=protocol.Fault.FUNCTION)
        assert isinstance(theirs, ImportFailedError)
        assert theirs.error.message == reason

    play(scene)


def test_a_zygote_that_died_while_importing_is_a_failed_import() -> None:
    async def scene(supervisor: Supervisor) -> None:
        assert isinstance(await failed_open(supervisor, "the zygote is gone"), ImportFailedError)

    play(scene)


def test_an_import_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening_module, "_IMPORT_SECONDS_LEAST", 0.05)

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
        assert [entry[1:] for entry in kept.entries] == [("stdout", b"printed")]
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
        assert (await waiter).outcome is Outcome.INTERNAL_ERROR
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


# -- what a zygote needs while it lives ----------------------------------------------------------


def test_ports_are_those_that_are_needed() -> None:
    assert egress_ports(()) == ()
    assert egress_ports((), proxy_always=True) == (PROXY_PORT,)
    assert egress_ports((WEB,)) == (PROXY_PORT,)
    assert egress_ports((DATABASE,)) == (5432,)
    assert egress_ports((WEB, DATABASE)) == (PROXY_PORT, 5432)


def test_the_network_is_reached_only_after_the_import() -> None:
    async def scene(supervisor: Supervisor) -> None:
        of = version(grants=(WEB, DATABASE))
        opening = supervisor.loop.create_task(supervisor.client.open(of))
        request, (report, _) = await supervisor.request()
        assert isinstance(request, protocol.Open) and request.ports == (PROXY_PORT, 5432)
        send_descriptors(report, 2)
        await supervisor.settle()
        # Served, so that what connects while it is imported is told no; granted nothing.
        assert supervisor.egress.asked == [("open", 1, (PROXY_PORT, 5432), ())]
        await supervisor.tell(protocol.Opened(1))
        await opening
        assert supervisor.egress.asked[1:] == [("grant", 1, (WEB, DATABASE))]

    play(scene)


def test_what_is_not_approved_yet_is_granted_nothing() -> None:
    async def scene(supervisor: Supervisor) -> None:
        of = version(grants=(WEB, DATABASE))
        opening = supervisor.loop.create_task(supervisor.client.open(of, approved=False))
        _request, (report, _) = await supervisor.request()
        send_descriptors(report, 2)
        await supervisor.settle()
        await supervisor.tell(protocol.Opened(1))
        zygote = await opening
        assert supervisor.egress.of(1) == ["open"]
        zygote.let_out()
        zygote.let_out()
        assert supervisor.egress.asked[1:] == [("grant", 1, (WEB, DATABASE))]

    play(scene)


def test_what_has_ended_is_not_let_out() -> None:
    async def scene(supervisor: Supervisor) -> None:
        of = version(grants=(WEB,))
        opening = supervisor.loop.create_task(supervisor.client.open(of, approved=False))
        _request, (report, _) = await supervisor.request()
        send_descriptors(report, 1)
        await supervisor.settle()
        await supervisor.tell(protocol.Opened(1))
        zygote = await opening
        await supervisor.tell(protocol.ZygoteEnded(1, "gone"))
        zygote.let_out()
        assert "grant" not in supervisor.egress.of(1)

    play(scene)


def test_without_egress_the_proxy_hears_of_no_listener() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        assert supervisor.egress.of(zygote.number) == ["grant"]
        assert supervisor.egress.asked == [("grant", 1, ())]

    play(scene)


def test_while_learning_every_function_finds_the_proxy() -> None:
    async def scene(supervisor: Supervisor) -> None:
        await supervisor.opened()
        assert supervisor.egress.asked[0] == ("open", 1, (PROXY_PORT,), ())

    play(scene, learn=True)


@pytest.mark.parametrize(
    ("sent", "said"), [(0, None), (1, None), (3, None), (2, 1), (2, 3), (1, 2), (2, -2), (3, 2)]
)
def test_a_zygote_that_does_not_hand_over_its_way_out_is_closed(
    sent: int, said: int | None
) -> None:
    async def scene(supervisor: Supervisor) -> None:
        of = version(grants=(WEB, DATABASE))
        opening = supervisor.loop.create_task(supervisor.client.open(of))
        request, (report, _) = await supervisor.request()
        send_descriptors(report, sent, said=said)
        await supervisor.tell(protocol.Opened(request.z))
        with pytest.raises(UnavailableError):
            await opening
        assert await supervisor.request() == (protocol.Close(request.z), [])
        await supervisor.tell(protocol.ZygoteEnded(request.z, "closed"))
        assert supervisor.egress.of(1) == ["close"]

    play(scene)


def test_an_import_that_sends_nothing_first_is_not_trusted() -> None:
    async def scene(supervisor: Supervisor) -> None:
        opening = supervisor.loop.create_task(supervisor.client.open(version()))
        request, _ = await supervisor.request()
        await supervisor.tell(protocol.Opened(request.z))
        with pytest.raises(UnavailableError):
            await opening
        assert supervisor.egress.of(1) == []
        await supervisor.request()
        await supervisor.tell(protocol.ZygoteEnded(request.z, "closed"))

    play(scene)


async def _ended(supervisor: Supervisor) -> None:
    zygote = await supervisor.opened(grants=(WEB,))
    assert supervisor.bundles.used == ["a" * 64]
    zygote.close()
    assert supervisor.bundles.used == ["a" * 64]  # its files are in use until it has ended
    await supervisor.request()
    await supervisor.tell(protocol.ZygoteEnded(zygote.number, "closed"))
    await supervisor.tell(protocol.ZygoteEnded(zygote.number, "closed"))


async def _import_failed(supervisor: Supervisor) -> None:
    await failed_open(supervisor, "the handler cannot be imported", report_frame())


async def _cancelled(supervisor: Supervisor) -> None:
    opening = supervisor.loop.create_task(supervisor.client.open(version()))
    request, _ = await supervisor.request()
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    await supervisor.request()
    await supervisor.tell(protocol.ZygoteEnded(request.z, "closed"))


async def _ended_while_the_answer_was_on_its_way(supervisor: Supervisor) -> None:
    opening = supervisor.loop.create_task(supervisor.client.open(version(grants=(WEB,))))
    request, (report, _) = await supervisor.request()
    send_descriptors(report, 1)
    await supervisor.settle()
    supervisor.sock.send(msgspec.json.encode(protocol.Opened(request.z)))
    await supervisor.tell(protocol.ZygoteEnded(request.z, "gone"))
    await asyncio.gather(opening, return_exceptions=True)


async def _ended_before_its_descriptors_were_read(supervisor: Supervisor) -> None:
    opening = supervisor.loop.create_task(supervisor.client.open(version(grants=(WEB,))))
    request, (report, _) = await supervisor.request()
    supervisor.sock.send(msgspec.json.encode(protocol.ZygoteEnded(request.z, "gone")))
    send_descriptors(report, 1)
    await supervisor.settle()
    await asyncio.gather(opening, return_exceptions=True)


async def _supervisor_lost(supervisor: Supervisor) -> None:
    await supervisor.opened()
    opening = supervisor.loop.create_task(supervisor.client.open(version()))
    await supervisor.request()
    supervisor.sock.close()
    await supervisor.client.lost
    await asyncio.gather(opening, return_exceptions=True)


async def _cannot_be_asked(supervisor: Supervisor) -> None:
    supervisor.sock.close()
    with pytest.raises(SupervisorLostError):
        await supervisor.client.open(version())


ENDS = (
    _ended,
    _import_failed,
    _cancelled,
    _ended_while_the_answer_was_on_its_way,
    _ended_before_its_descriptors_were_read,
    _supervisor_lost,
    _cannot_be_asked,
)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__.strip("_"))
def test_a_bundle_is_held_exactly_as_long_as_its_zygote(
    end: Callable[[Supervisor], Awaitable[None]],
) -> None:
    async def scene(supervisor: Supervisor) -> None:
        await end(supervisor)
        assert supervisor.bundles.acquired >= 1 and supervisor.bundles.used == []
        assert supervisor.client.zygotes == 0 and supervisor.client._opening._opening == {}

    play(scene)


def test_a_bundle_that_is_not_there_starts_nothing() -> None:
    async def scene(supervisor: Supervisor) -> None:
        supervisor.bundles.fault = NotFoundError("gone")
        with pytest.raises(NotFoundError):
            await supervisor.client.open(version())
        assert supervisor.nothing_asked()
        assert supervisor.client.zygotes == 0 and supervisor.client._opening._opening == {}

    play(scene)


def test_a_report_that_cannot_be_made_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(opening_module, "Report", full)

    async def scene(supervisor: Supervisor) -> None:
        with pytest.raises(OSError, match="Too many"):
            await supervisor.client.open(version())
        held = list(supervisor.bundles.used)
        supervisor.bundles.used.clear()
        assert (held, supervisor.client.zygotes, supervisor.client._opening._opening) == ([], 0, {})

    play(scene)


def test_the_proxy_hears_of_the_end_last() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened(grants=(WEB,))
        await supervisor.tell(protocol.ZygoteEnded(zygote.number, "x"))
        assert supervisor.egress.of(zygote.number) == ["open", "grant", "close"]

    play(scene)


def test_nothing_is_granted_to_what_has_ended() -> None:
    async def scene(supervisor: Supervisor) -> None:
        await _ended_while_the_answer_was_on_its_way(supervisor)
        assert supervisor.egress.of(1) == ["open", "close"]

    play(scene)


# -- denied system calls -------------------------------------------------------------------------


def test_the_watch_is_there_before_a_function_s_code_and_ends_with_the_zygote() -> None:
    async def scene(supervisor: Supervisor) -> None:
        opening = supervisor.loop.create_task(supervisor.client.open(version()))
        request, (report, _) = await supervisor.request()
        send_descriptors(report, 0)
        await supervisor.settle()
        watch = supervisor.zygotes._open[request.z].watch
        assert watch is not None and not watch.closed and not opening.done()
        await supervisor.tell(protocol.Opened(request.z))
        zygote = await opening
        assert zygote.watch is watch and not watch.closed
        await supervisor.tell(protocol.ZygoteEnded(request.z, "x"))
        assert watch.closed

    play(scene)


@pytest.mark.parametrize("refused", [True, False])
def test_what_the_listener_lets_through_is_not_restored(refused: bool) -> None:
    told: list[tuple[int, tuple[str, ...]]] = []

    async def scene(supervisor: Supervisor) -> None:
        way = await restorer(supervisor)
        opening = supervisor.loop.create_task(supervisor.client.open(version()))
        request, (report, _) = await supervisor.request()
        assert isinstance(request, protocol.Open)
        assert (request.calls, request.refused) == (("unlink",), refused)
        assert request.restorable is refused, "nobody sees what a call leaves that was let through"
        send_descriptors(report, 0)
        await supervisor.settle()
        assert told == ([] if refused else [(request.z, ())]), "from the first call on"
        await supervisor.tell(protocol.Opened(request.z))
        watch = (await opening).watch
        assert watch is not None
        assert watch._passing == (frozenset() if refused else {"unlink"})
        watch._on_met("unlink")
        assert told[-1] == (request.z, ("unlink",))
        way.close()

    play(
        scene,
        asked=lambda _version: (("unlink",), refused),
        on_met_calls=lambda zygote, names: told.append((zygote.number, names)),
    )


def test_what_asks_about_other_calls_than_it_would_is_replaced() -> None:
    answers = {"f": (("unlink", "mkdir"), False)}

    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        for change in ((), ("f",)):
            for function in change:
                answers[function] = (("unlink",), False)
            supervisor.client.renew("t", "g")
            supervisor.client.renew("other", "f")
            assert not zygote.outdated
            supervisor.client.renew("t", "f")
            assert zygote.outdated is bool(change)

    play(scene, asked=lambda version: answers[version.function])


def test_a_watch_that_fails_ends_the_zygote() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        assert zygote.watch is not None
        zygote.watch._fail("a test")
        assert await supervisor.request() == (protocol.Close(zygote.number), [])

    play(scene)


def test_an_instance_that_its_filter_killed_is_told_with_its_invocation() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        deaths = ((signal.SIGSYS, "inv_1"), (signal.SIGKILL, "inv_2"), (31 << 8, "inv_3"))
        for status, invocation in deaths:
            instance, sock, _ = await supervisor.spawned(zygote)
            instance.serving = invocation
            await supervisor.tell(
                protocol.Exited(zygote.number, instance.number, int(status), False)
            )
            sock.close()
        assert supervisor.killed == [(zygote, "inv_1")]
        # Once for each: the second word of the same end is not believed.
        await supervisor.tell(protocol.Exited(zygote.number, 0, int(signal.SIGSYS), False))
        assert len(supervisor.killed) == 1

    play(scene)


def test_a_version_is_known_while_its_zygote_lives() -> None:
    async def scene(supervisor: Supervisor) -> None:
        timers: list[tuple[Any, ...]] = []
        loop = SimpleNamespace(call_later=lambda *timer: timers.append(timer))
        supervisor.zygotes._loop = loop  # type: ignore[assignment]
        zygote = await supervisor.opened()
        assert supervisor.zygotes.version_of(zygote.number) is zygote.version
        await supervisor.tell(protocol.ZygoteEnded(zygote.number, "x"))
        # What the proxy tells of it comes a moment later.
        assert supervisor.zygotes.version_of(zygote.number) is zygote.version
        [(seconds, forget, *arguments)] = timers
        assert seconds == zygotes._REMEMBERED_SECONDS > 1
        forget(*arguments)
        assert supervisor.zygotes.version_of(zygote.number) is None

    play(scene)


# -- what calls use ------------------------------------------------------------------------------


def test_what_an_instance_used_is_told_by_who_knows() -> None:
    async def scene(supervisor: Supervisor) -> None:
        with await restorer(supervisor) as theirs:
            zygote = await supervisor.opened()
            instance, sock, _ = await supervisor.spawned(zygote)
            meter, name = instance.meter, (zygote.number, instance.number)
            assert meter is not None
            first = meter.ended(0.1)
            theirs.send(TOLD.pack(*name, 0, 0, 50))  # it is not held: nothing is known of it
            theirs.send(TOLD.pack(*name, 1, 0, 700))
            await supervisor.settle()
            assert (first.known, first.cpu_us) == (True, 700)
            second, third = meter.ended(0.1), meter.ended(0.3)
            theirs.send(TOLD.pack(*name, 1, 0, UNKNOWN_CPU))
            await supervisor.settle()
            assert (second.cpu_us, third.cpu_us) == (100_000, 300_000)
            last = meter.ended(0.1)
            await supervisor.tell(protocol.Exited(*name, 0, False))
            assert not last.known
            await supervisor.tell(protocol.Used(*name, 400_900, 4 << 20))
            assert (last.cpu_us, last.memory) == (200, 4 << 20)
            for used in (protocol.Used(*name, 999_999, 0), protocol.Used(99, 99, 1, 1)):
                await supervisor.tell(used)
            assert meter.ended(0.1).cpu_us == 0
            sock.close()

    play(scene)


def test_a_supervisor_that_is_gone_leaves_no_call_unmeasured() -> None:
    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        instance, sock, _ = await supervisor.spawned(zygote)
        other, other_sock, _ = await supervisor.spawned(zygote)
        calls = [one.meter.ended(0.2) for one in (instance, other) if one.meter is not None]
        await supervisor.tell(protocol.Exited(zygote.number, other.number, 0, False))
        await supervisor.tell(protocol.ZygoteEnded(zygote.number, "gone"))
        assert [call.cpu_us for call in calls] == [200_000] * 2
        assert len(supervisor.client.meters) == 0
        sock.close()
        other_sock.close()

    play(scene)


# -- while the files of a bundle are looked at ---------------------------------------------------


async def opening(supervisor: Supervisor) -> tuple[asyncio.Task[Zygote], Zygote]:
    """Return the opening of a zygote that has imported while its files are still looked at."""
    supervisor.bundles.looking = supervisor.loop.create_future()
    begun: list[Zygote] = []

    async def open_one() -> Zygote:
        zygote = await supervisor.client.open(version(), begun=begun.append)
        assert supervisor.ready == []  # not before whoever has opened it knows of it
        return zygote

    task = supervisor.loop.create_task(open_one())
    request, (report, _) = await supervisor.request()
    assert isinstance(request, protocol.Open)
    send_descriptors(report, len(request.ports))
    await supervisor.tell(protocol.Opened(request.z))
    await supervisor.settle()
    [zygote] = begun
    assert not task.done()
    return task, zygote


def test_instances_can_be_asked_for_as_soon_as_their_zygote_was() -> None:
    """They are forked once it has imported, and nobody has to ask again then."""

    async def scene(supervisor: Supervisor) -> None:
        begun: list[Zygote] = []
        opening = supervisor.client.open(version(), begun=begun.append)
        task = supervisor.loop.create_task(opening)
        request, (report, _) = await supervisor.request()
        assert isinstance(request, protocol.Open)
        [zygote] = begun
        early, sock, _ = await supervisor.spawned(zygote)
        sock.send(wire.pack(wire.READY))
        await supervisor.settle()
        assert supervisor.ready == [] and not task.done()
        send_descriptors(report, len(request.ports))
        await supervisor.tell(protocol.Opened(request.z))
        assert await task is zygote
        await supervisor.settle()
        assert supervisor.ready == [early]
        sock.close()

    play(scene)


def test_none_can_where_the_module_is_imported_in_them() -> None:
    async def scene(supervisor: Supervisor) -> None:
        begun: list[Zygote] = []
        spec = msgspec.structs.replace(version().spec, trust=Trust.LOW)
        low = msgspec.structs.replace(version(), spec=spec)
        task = supervisor.loop.create_task(supervisor.client.open(low, begun=begun.append))
        request, (report, _) = await supervisor.request()
        assert isinstance(request, protocol.Open)
        send_descriptors(report, len(request.ports))
        await supervisor.tell(protocol.Opened(request.z))
        await task
        assert begun == []

    play(scene)


def test_an_instance_gets_no_event_before_all_files_were_looked_at() -> None:
    async def scene(supervisor: Supervisor) -> None:
        task, zygote = await opening(supervisor)
        (early, sock, _), (hasty, other, _) = [await supervisor.spawned(zygote) for _ in "ab"]
        sock.setblocking(False)
        sock.send(wire.pack(wire.READY))
        await supervisor.settle()
        assert supervisor.ready == []
        reply = await hasty.invoke(b"{}", b"{}", Output(99))  # whoever would try
        assert reply.outcome is Outcome.INTERNAL_ERROR and other.recv(99) == b""
        assert supervisor.bundles.looking is not None
        supervisor.bundles.looking.set_result(None)
        assert await task is zygote
        await supervisor.settle()
        assert supervisor.ready == [early]
        with pytest.raises(BlockingIOError):
            sock.recv(99)
        early.close()
        for ended in (hasty, early):
            request, _ = await supervisor.request()
            assert request == protocol.Kill(zygote.number, ended.number)
        later, third, _ = await supervisor.spawned(zygote)
        third.send(wire.pack(wire.READY))
        await supervisor.settle()
        assert supervisor.ready == [early, later]
        later.close()
        for one in (sock, other, third):
            one.close()

    play(scene)


def test_a_changed_file_ends_the_instances_that_were_made_meanwhile() -> None:
    async def scene(supervisor: Supervisor) -> None:
        task, zygote = await opening(supervisor)
        early, sock, _ = await supervisor.spawned(zygote)
        sock.send(wire.pack(wire.READY))
        assert supervisor.bundles.looking is not None
        supervisor.bundles.looking.set_exception(NotFoundError("It was changed."))
        with pytest.raises(NotFoundError):
            await task
        request, _ = await supervisor.request()
        assert request == protocol.Close(zygote.number)
        await supervisor.tell(protocol.ZygoteEnded(zygote.number, "closed"))
        assert supervisor.ready == [] and not early.alive
        assert sock.recv(99) == b""
        sock.close()

    play(scene)


NO_EVENTS = {
    "no JSON": b"{",
    "another type": b'{"type":"nothing"}',
    "nested deep": b'{"x":' + b"[" * 5_000,
    "not UTF-8": b'{"type":"\xff"}',
    "a list": b"[]",
}


@pytest.mark.parametrize("data", NO_EVENTS.values(), ids=NO_EVENTS)
def test_a_supervisor_that_sends_what_is_no_event_is_given_up(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """What came with it had stayed open, and its zygotes were waited for."""

    async def scene(supervisor: Supervisor) -> None:
        zygote = await supervisor.opened()
        theirs, way = socket.socketpair()
        with theirs, way:
            socket.send_fds(supervisor.sock, [data], [way.fileno()])
        await asyncio.wait_for(supervisor.client.lost, 30)
        assert not zygote.alive
        assert "the supervisor has sent what is no event" in caplog.text

    play(scene)
